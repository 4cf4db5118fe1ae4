/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_event.c - what a guest does to its machine: power off, reset, crash.
 *
 * Events come on any thread, often from inside a device's io(). They stop the vCPUs where the guest
 * must not go on, and leave the rest to the loop.
 *
 * A notice of a panic lets the guest go on. After some of them nothing comes but last words: a
 * second is enough. After others a crash kernel may start and save the memory of the one that died,
 * so the machine runs on for as long as the guest shows signs of work, or without a limit once it
 * has handed its devices over or its crash kernel has found them. Then, or when it resets or powers
 * off before, the machine ends as crashed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "machine/machine_priv.h"

#define MACHINE_GRACE_NS UINT64_C(1000000000)
#define MACHINE_DUMP_NS UINT64_C(10000000000)

enum told {
    TOLD_POWEROFF,
    TOLD_RESET,
    TOLD_RENEW,
    TOLD_PANIC,  /* last words follow */
    TOLD_NOTICE, /* a crash kernel may follow */
    TOLD_ALIVE,  /* the guest found its devices, or leaves them to its next kernel */
    TOLD_CRASH,
    TOLD_TEST,
    TOLD_SLEEP,
    TOLD_WAKE,
    TOLD_EJECT, /* value: the slot */
    TOLD_FAILED,
};

/* Exits in MACHINE_DUMP_NS above which a guest is at work; a panicked Linux that blinks the
 * keyboard's lights makes some 250. */
enum { MACHINE_DUMP_EXITS = 500 };

struct notice {
    struct machine *m;
    enum told what;
    unsigned value;
    uint64_t life; /* the reset_count that it is about */
    char text[200];
};

void machine_finish(struct machine *m, enum machine_end end)
{
    if (m->ended)
        return;
    m->ended = true;
    m->end = end;
    log_line(LOG_INFO, "machine", "ends: %d %s", (int)end, m->why);
    loop_stop(m->loop);
}

void machine_failed(struct machine *m, const struct err *e)
{
    if (m->ended)
        return;
    m->err = *e;
    m->rc = -e->code;
    machine_finish(m, END_FAILED);
}

static void machine_crashed(struct machine *m, const char *text)
{
    m->crashed = true;
    if (!m->why[0])
        snprintf(m->why, sizeof(m->why), "%s", text);
}

static uint64_t machine_exits(const struct machine *m)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < m->cpus; i++)
        n += m->cpu[i].v ? m->ops->vcpu_exits(m->cpu[i].v) : 0;
    return n;
}

static void machine_grace(struct machine *m, bool dumps)
{
    m->dumps = dumps;
    m->grace_exits = machine_exits(m);
    loop_arm(m->loop, &m->grace, loop_now(m->loop) + (dumps ? MACHINE_DUMP_NS : MACHINE_GRACE_NS));
}

void machine_grace_over(struct alarm *a)
{
    struct machine *m = container_of(a, struct machine, grace);

    if (m->dumps && machine_exits(m) - m->grace_exits > MACHINE_DUMP_EXITS)
        machine_grace(m, true);
    else
        machine_finish(m, END_CRASHED);
}

static void machine_reset(struct machine *m)
{
    struct err e = {0};

    if (m->crashed) {
        machine_finish(m, END_CRASHED);
        return;
    }
    machine_cpus_order(m, CPU_HOLD);
    if (resets_again(&m->resets, loop_now(m->loop), machine_exits(m))) {
        snprintf(m->why, sizeof(m->why), "the guest keeps resetting: %llu times so far",
                 (unsigned long long)m->reset_count + 1);
        machine_finish(m, END_RESETS);
        return;
    }
    __atomic_add_fetch(&m->reset_count, 1, __ATOMIC_RELAXED);
    log_line(LOG_INFO, "machine", "reset %llu", (unsigned long long)m->reset_count);
    if (m->persona->ops->reset)
        m->persona->ops->reset(m->persona);
    board_reset(m->board);
    m->ops->reset(m->host);
    machine_cpus_order(m, CPU_RESET);
    if (machine_load(m, &e) < 0) {
        machine_failed(m, &e);
        return;
    }
    resets_begin(&m->resets, loop_now(m->loop), machine_exits(m));
    machine_cpus_order(m, CPU_START);
}

static void machine_renew(struct machine *m)
{
    machine_cpus_order(m, CPU_HOLD);
    log_line(LOG_INFO, "machine", "the guest starts another kernel");
    if (m->persona->ops->renew)
        m->persona->ops->renew(m->persona);
    machine_cpus_order(m, CPU_RUN);
}

/* S3: memory stays, and all else begins anew. */
static void machine_sleep(struct machine *m)
{
    machine_cpus_order(m, CPU_HOLD);
    m->asleep = true;
    log_line(LOG_INFO, "machine", "the guest sleeps");
}

static void machine_wake(struct machine *m)
{
    if (!m->asleep)
        return;
    m->asleep = false;
    log_line(LOG_INFO, "machine", "the guest wakes");
    m->waking = m->boot ? board_waking_vector(m->board) : 0;
    if (m->boot && (m->waking == 0 || m->waking >= 0x100000)) {
        machine_crashed(m, "the guest slept and did not say where to wake it");
        machine_finish(m, END_CRASHED);
        return;
    }
    if (m->persona->ops->reset)
        m->persona->ops->reset(m->persona);
    board_wake(m->board);
    m->ops->reset(m->host);
    machine_cpus_order(m, CPU_RESET);
    machine_cpus_order(m, CPU_WAKE);
}

/* Notices that a guest can give as often as it likes; what was told and not yet heard counts for
 * those after it. */
static bool guest_goes_on(enum told what)
{
    return what == TOLD_PANIC || what == TOLD_NOTICE || what == TOLD_ALIVE;
}

static void machine_told(void *arg)
{
    struct notice *n = arg;
    struct machine *m = n->m;
    struct err e = {0};

    if (guest_goes_on(n->what))
        __atomic_fetch_and(&m->told, ~(1u << n->what), __ATOMIC_ACQ_REL);
    /* Two processors may ask for the same reset. */
    if (m->ended || n->life != m->reset_count) {
        free(n);
        return;
    }
    switch (n->what) {
    case TOLD_POWEROFF:
        machine_finish(m, m->crashed ? END_CRASHED : END_POWEROFF);
        break;
    case TOLD_RESET:
        machine_reset(m);
        break;
    case TOLD_RENEW:
        machine_renew(m);
        break;
    case TOLD_PANIC:
        machine_crashed(m, n->text);
        machine_grace(m, false);
        break;
    case TOLD_NOTICE:
        machine_crashed(m, n->text);
        machine_grace(m, true);
        break;
    case TOLD_ALIVE:
        if (m->crashed) {
            log_line(LOG_WARN, "machine", "the guest's crash kernel has taken over");
            loop_disarm(m->loop, &m->grace);
        }
        break;
    case TOLD_CRASH:
        machine_crashed(m, n->text);
        machine_finish(m, END_CRASHED);
        break;
    case TOLD_TEST:
        m->test_value = n->value;
        machine_finish(m, END_TEST);
        break;
    case TOLD_SLEEP:
        machine_sleep(m);
        break;
    case TOLD_WAKE:
        machine_wake(m);
        break;
    case TOLD_EJECT:
        machine_ejected(m, n->value);
        break;
    case TOLD_FAILED:
        (void)err_exit(&e, EX_NO_HOST, ENOTRECOVERABLE, "%s", n->text);
        machine_failed(m, &e);
        break;
    }
    free(n);
}

static void machine_tell(struct machine *m, enum told what, unsigned value, const char *text)
{
    struct notice *n;

    if (guest_goes_on(what) &&
        __atomic_fetch_or(&m->told, 1u << what, __ATOMIC_ACQ_REL) & 1u << what)
        return;
    if (!guest_goes_on(what) && what != TOLD_EJECT)
        machine_cpus_halt(m);
    n = calloc(1, sizeof(*n));
    if (!n)
        abort();
    *n = (struct notice){.m = m, .what = what, .value = value};
    n->life = READ_ONCE(m->reset_count);
    snprintf(n->text, sizeof(n->text), "%s", text ? text : "");
    loop_post(m->loop, machine_told, n);
}

void machine_board_event(void *arg, enum board_event what, unsigned value, const char *text)
{
    switch (what) {
    case BOARD_POWEROFF:
        machine_tell(arg, TOLD_POWEROFF, 0, NULL);
        break;
    case BOARD_RESET:
        machine_tell(arg, TOLD_RESET, 0, NULL);
        break;
    case BOARD_PANIC:
        machine_tell(arg, TOLD_PANIC, value, text ? text : "the guest's kernel panicked");
        break;
    case BOARD_TEST_EXIT:
        machine_tell(arg, TOLD_TEST, value, NULL);
        break;
    case BOARD_SLEEP:
        machine_tell(arg, TOLD_SLEEP, 0, NULL);
        break;
    case BOARD_WAKE:
        machine_tell(arg, TOLD_WAKE, 0, NULL);
        break;
    case BOARD_EJECT:
        machine_tell(arg, TOLD_EJECT, value, NULL);
        break;
    }
}

void machine_persona_event(void *arg, enum machine_event what, const char *text)
{
    switch (what) {
    case MACHINE_POWEROFF:
        machine_tell(arg, TOLD_POWEROFF, 0, NULL);
        break;
    case MACHINE_RESET:
        machine_tell(arg, TOLD_RESET, 0, NULL);
        break;
    case MACHINE_RENEW:
        machine_tell(arg, TOLD_RENEW, 0, NULL);
        break;
    case MACHINE_CRASH:
        machine_tell(arg, TOLD_PANIC, 0, text ? text : "the guest gave a crash notice");
        break;
    case MACHINE_ALIVE:
        machine_tell(arg, TOLD_ALIVE, 0, NULL);
        break;
    case MACHINE_ASK_DONE:
    case MACHINE_ASK_FAILED:
        log_line(LOG_INFO, "machine", "the guest %s: %s",
                 what == MACHINE_ASK_DONE ? "obeyed" : "refused", text ? text : "-");
        machine_answered(arg, what == MACHINE_ASK_DONE, text);
        break;
    }
}

void machine_host_event(void *arg, struct vcpu *v, enum host_event what,
                        const struct host_event_info *info)
{
    struct machine *m = arg;
    char text[200];

    switch (what) {
    case HOST_EVENT_SHUTDOWN:
        machine_crash_log(m, v);
        snprintf(text, sizeof(text), "processor %u hit a triple fault", v->index);
        machine_tell(m, TOLD_CRASH, 0, text);
        break;
    case HOST_EVENT_RESET:
        machine_tell(m, TOLD_RESET, 0, NULL);
        break;
    case HOST_EVENT_CRASH:
        snprintf(text, sizeof(text), "the guest gave a crash notice: %#llx %#llx %#llx %#llx %#llx",
                 (unsigned long long)info->data[0], (unsigned long long)info->data[1],
                 (unsigned long long)info->data[2], (unsigned long long)info->data[3],
                 (unsigned long long)info->data[4]);
        machine_tell(m, TOLD_NOTICE, 0, text);
        break;
    case HOST_EVENT_SYNIC:
        if (m->persona->ops->synic)
            m->persona->ops->synic(m->persona, v, info);
        break;
    case HOST_EVENT_INTERNAL:
        machine_tell(m, TOLD_FAILED, 0, info->text);
        break;
    }
}
