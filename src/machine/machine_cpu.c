/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_cpu.c - one thread per vCPU, obeying orders.
 *
 * The loop's thread gives an order to all vCPUs at once and raises order_no; each thread obeys,
 * then is idle until the next. An event of the guest's (reset, power off) sets `halt` on the vCPU's
 * own thread, so that no vCPU executes much beyond it while the loop decides.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/sandbox.h"
#include "machine/machine_priv.h"

static int cpu_set_up(struct cpu *c, struct err *e)
{
    struct machine *m = c->m;
    struct cpuid_leaf *leaf = calloc(MACHINE_LEAVES, sizeof(*leaf));
    struct vcpu *v;
    size_t n;
    int rc;

    if (!leaf)
        return err_set(e, ENOMEM, "no memory for CPUID");
    rc = m->ops->vcpu_create(m->host, c->index, &v, e);
    if (rc == 0) {
        c->v = v;
        n = m->ops->cpuid(m->host, leaf, MACHINE_LEAVES);
        if (m->persona->ops->cpuid)
            n = m->persona->ops->cpuid(m->persona, c->index, leaf, n, MACHINE_LEAVES);
        rc = m->ops->vcpu_set_cpuid(v, leaf, n, e);
    }
    if (rc == 0 && m->persona->ops->vcpu_ready)
        rc = m->persona->ops->vcpu_ready(m->persona, v, e);
    if (rc == 0)
        rc = sandbox_enter(SANDBOX_VCPU, e);
    free(leaf);
    return rc;
}

static void cpu_report(void *arg)
{
    struct cpu *c = arg;

    machine_failed(c->m, &c->err);
}

static bool cpu_may_run(const struct cpu *c)
{
    const struct machine *m = c->m;

    return !__atomic_load_n(&m->halt, __ATOMIC_ACQUIRE) &&
           __atomic_load_n(&m->order_no, __ATOMIC_ACQUIRE) == c->seen;
}

static void cpu_run(struct cpu *c)
{
    c->fresh = false;
    while (cpu_may_run(c)) {
        c->rc = c->m->ops->vcpu_run(c->v, &c->m->sink, &c->err);
        if (c->rc < 0) {
            machine_cpus_halt(c->m);
            loop_post(c->m->loop, cpu_report, c);
            return;
        }
    }
}

static enum cpu_order cpu_wait(struct cpu *c)
{
    struct machine *m = c->m;
    enum cpu_order order;

    pthread_mutex_lock(&m->lock);
    c->idle = true;
    pthread_cond_broadcast(&m->done);
    while (m->order_no == c->seen)
        pthread_cond_wait(&m->go, &m->lock);
    __atomic_store_n(&c->seen, m->order_no, __ATOMIC_RELEASE);
    order = m->order;
    c->idle = false;
    pthread_mutex_unlock(&m->lock);
    return order;
}

static void *cpu_main(void *arg)
{
    struct cpu *c = arg;
    struct machine *m = c->m;

    c->rc = cpu_set_up(c, &c->err);
    if (c->rc < 0) {
        pthread_mutex_lock(&m->lock);
        c->idle = true;
        pthread_cond_broadcast(&m->done);
        pthread_mutex_unlock(&m->lock);
        return NULL;
    }
    for (;;) {
        switch (cpu_wait(c)) {
        case CPU_HOLD:
            break;
        case CPU_RESET:
            m->ops->vcpu_reset(c->v);
            break;
        case CPU_START:
            if (m->boot)
                boot_prepare(c->v);
            if (c->index == 0 && m->boot)
                boot_enter(&m->start, c->v);
            cpu_run(c);
            break;
        case CPU_WAKE:
            if (m->boot)
                boot_prepare(c->v);
            if (c->index == 0 && m->boot)
                boot_wake(m->waking, c->v);
            cpu_run(c);
            break;
        case CPU_RUN:
            if (c->fresh && m->boot)
                boot_prepare(c->v);
            cpu_run(c);
            break;
        case CPU_QUIT:
            return NULL;
        }
    }
}

static bool cpus_idle(const struct machine *m)
{
    for (unsigned i = 0; i < m->cpus; i++) {
        const struct cpu *c = &m->cpu[i];

        if (c->started && (!c->idle || c->seen != m->order_no))
            return false;
    }
    return true;
}

void machine_cpus_order(struct machine *m, enum cpu_order order)
{
    bool runs = order == CPU_START || order == CPU_WAKE || order == CPU_RUN;

    pthread_mutex_lock(&m->lock);
    if (runs)
        __atomic_store_n(&m->halt, false, __ATOMIC_RELEASE);
    m->order = order;
    __atomic_add_fetch(&m->order_no, 1, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < m->cpus; i++) {
        if (m->cpu[i].v && !m->cpu[i].idle)
            m->ops->vcpu_kick(m->cpu[i].v);
    }
    pthread_cond_broadcast(&m->go);
    while (!runs && order != CPU_QUIT && !cpus_idle(m))
        pthread_cond_wait(&m->done, &m->lock);
    pthread_mutex_unlock(&m->lock);
}

void machine_cpus_halt(struct machine *m)
{
    if (__atomic_exchange_n(&m->halt, true, __ATOMIC_ACQ_REL))
        return;
    for (unsigned i = 0; i < m->cpus; i++) {
        if (m->cpu && m->cpu[i].v)
            m->ops->vcpu_kick(m->cpu[i].v);
    }
}

/* The thread is on its way out. */
static void cpu_end(struct cpu *c)
{
    pthread_join(c->thread, NULL);
    c->started = false;
    if (c->v)
        c->m->ops->vcpu_destroy(c->v);
    c->v = NULL;
}

/* One after the other: KVM numbers processors in the order of their creation. */
int machine_cpus_start(struct machine *m, unsigned n, struct err *e)
{
    while (m->cpus < n) {
        unsigned i = m->cpus;
        struct cpu *c = &m->cpu[i];
        char name[16];
        int rc;

        c->m = m;
        c->index = i;
        c->seen = m->order_no;
        c->fresh = true;
        rc = pthread_create(&c->thread, NULL, cpu_main, c);
        if (rc)
            return err_exit(e, EX_NO_HOST, rc, "cannot start a thread for processor %u: %s", i,
                            strerror(rc));
        snprintf(name, sizeof(name), "vcpu%u", i);
        pthread_setname_np(c->thread, name);
        c->started = true;
        pthread_mutex_lock(&m->lock);
        while (!c->idle)
            pthread_cond_wait(&m->done, &m->lock);
        pthread_mutex_unlock(&m->lock);
        if (c->rc < 0) {
            *e = c->err;
            cpu_end(c);
            return c->rc;
        }
        __atomic_store_n(&m->cpus, i + 1, __ATOMIC_RELEASE);
    }
    return 0;
}

void machine_cpus_join(struct machine *m)
{
    if (!m->cpu)
        return;
    machine_cpus_halt(m);
    machine_cpus_order(m, CPU_QUIT);
    for (unsigned i = 0; i < m->cpus; i++) {
        struct cpu *c = &m->cpu[i];

        if (c->started)
            cpu_end(c);
    }
    m->cpus = 0;
}
