/* SPDX-License-Identifier: Apache-2.0 */
/* machine.c - see machine.h: life of a machine, seen from outside. */
#include "machine/machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "board/device.h"
#include "core/bell.h"
#include "host/sandbox.h"
#include "machine/machine_priv.h"

static void machine_interrupted(struct watch *w, uint32_t got)
{
    machine_finish(container_of(w, struct machine, interrupt), END_INTERRUPTED);
}

static int machine_watch_interrupt(struct machine *m, struct err *e)
{
    int rc;

    m->interrupt.fd = bell_make();
    m->interrupt.want = EPOLLIN;
    m->interrupt.ready = machine_interrupted;
    rc = m->interrupt.fd < 0 ? -errno : loop_watch(m->loop, &m->interrupt);
    if (rc < 0)
        return err_exit(e, EX_NO_HOST, -rc, "cannot make an eventfd: %s", strerror(-rc));
    return 0;
}

int machine_create(const struct plan *p, const struct host_ops *host, struct machine **out,
                   struct err *e)
{
    struct machine *m = calloc(1, sizeof(*m));
    int rc;

    if (!m)
        return err_set(e, ENOMEM, "no memory for the machine");
    m->plan = p;
    m->ops = host;
    m->interrupt.fd = -1;
    m->grace.fire = machine_grace_over;
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->go, NULL);
    pthread_cond_init(&m->done, NULL);
    m->cpu = calloc(machine_cpus_max(p), sizeof(*m->cpu));
    rc = m->cpu ? machine_build(m, e) : err_set(e, ENOMEM, "no memory for processors");
    if (rc == 0)
        rc = machine_watch_interrupt(m, e);
    if (rc < 0)
        machine_destroy(m);
    else
        *out = m;
    return rc;
}

void machine_destroy(struct machine *m)
{
    if (!m)
        return;
    machine_cpus_join(m);
    machine_control_end(m);
    if (m->loop)
        loop_disarm(m->loop, &m->grace);
    if (m->interrupt.fd >= 0) {
        loop_unwatch(m->loop, &m->interrupt);
        close(m->interrupt.fd);
    }
    machine_unbuild(m);
    free(m->cpu);
    pthread_cond_destroy(&m->go);
    pthread_cond_destroy(&m->done);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

int machine_run(struct machine *m, enum machine_end *end, struct err *e)
{
    int rc = machine_cpus_start(m, m->plan->cpus, e);

    if (rc < 0)
        return rc;
    m->started_ns = loop_now(m->loop);
    resets_begin(&m->resets, m->started_ns, 0);
    machine_cpus_order(m, CPU_START);
    rc = sandbox_enter(SANDBOX_LOOP, e);
    if (rc == 0)
        rc = loop_run(m->loop, e);
    machine_cpus_halt(m);
    machine_cpus_join(m);
    machine_control_end(m);
    if (rc < 0)
        return rc;
    *end = m->end;
    if (m->end == END_FAILED)
        *e = m->err;
    return m->rc;
}

const char *machine_why(const struct machine *m)
{
    return m->why;
}

unsigned machine_test_value(const struct machine *m)
{
    return m->test_value;
}

bool machine_unplugged(const struct machine *m)
{
    return m->ended && (m->end == END_STOPPED || m->end == END_INTERRUPTED);
}

void machine_interrupt(struct machine *m)
{
    bell_ring(m->interrupt.fd);
}

struct loop *machine_loop(struct machine *m)
{
    return m->loop;
}

const struct plan *machine_plan(const struct machine *m)
{
    return m->plan;
}

struct console *machine_console(struct machine *m)
{
    return m->console;
}

void machine_stop(struct machine *m)
{
    machine_finish(m, END_STOPPED);
}

int machine_shutdown(struct machine *m, const char **how, struct err *e)
{
    const struct persona_ops *ops = m->persona->ops;

    if (m->asleep)
        return err_set(e, ENOTSUP,
                       "the guest sleeps: wake it with `hospes ask %s wake` first, or use --now",
                       m->plan->name);
    if (ops->ask) {
        int rc = ops->ask(m->persona, ASK_SHUTDOWN, 0, e);

        *how = ops->name;
        if (rc != -ENOTSUP)
            return rc;
    }
    *how = "ACPI power button";
    if (board_button(m->board) < 0)
        return err_set(e, ENOTSUP,
                       "the guest listens to no shutdown channel yet: wait until it has started, "
                       "or use --now");
    return 0;
}

int machine_wake_up(struct machine *m, const char **how, struct err *e)
{
    *how = "ACPI power button";
    if (!m->asleep || board_button(m->board) < 0)
        return err_set(e, ENOTSUP, "the guest does not sleep");
    machine_answered(m, true, "it wakes");
    return 0;
}

void machine_describe(struct machine *m, struct dump *out)
{
    const struct plan *p = m->plan;

    dump_add(out, "persona", "%s", m->persona->ops->name);
    dump_add(out, "host", "%s", m->ops->name);
    dump_add(out, "cpus", "%u", m->cpus ? m->cpus : p->cpus);
    dump_add(out, "memory", "%llu MiB", (unsigned long long)(p->memory / MiB));
    if (p->kernel)
        dump_add(out, "kernel", "%s (%s)", p->kernel, m->boot ? boot_describe(m->boot) : "by UEFI");
    for (size_t i = 0; i < p->disks; i++)
        dump_add(out, "disk", "%s (%s)", machine_disk_path(m, i), m->disk_about[i]);
    for (size_t i = 0; i < p->nics; i++)
        dump_add(out, "nic", "%s", p->nic[i].backend);
    machine_display_describe(m, out);
    if (m->asleep)
        dump_add(out, "state", "asleep");
    dump_add(out, "resets", "%llu", (unsigned long long)m->reset_count);
    board_describe(m->board, out);
    if (m->persona->ops->describe)
        m->persona->ops->describe(m->persona, out);
}
