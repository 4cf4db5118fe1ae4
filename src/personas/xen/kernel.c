/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel.c - a KVM that knows Xen (CONFIG_KVM_XEN) keeps clocks, run states and timers and raises
 * events by itself; see evtchn_kernel.c for the ports.
 *
 * What the kernel is told of a vCPU is told on that vCPU's thread: whoever changes it asks the vCPU
 * to attend. Until then the kernel uses what it knew, so the vCPU looks at all its ports after.
 */
#include <string.h>

#include "core/err.h"
#include "core/log.h"
#include "personas/xen/xen.h"

static const struct host_xen *kernel(struct xen *x)
{
    return x->p.env.host->ops->xen;
}

int xen_kernel_shared(struct xen *x, gpa_t at, bool longmode)
{
    return x->kernel_events ? kernel(x)->shared(x->p.env.host, at, longmode) : 0;
}

static struct host_xen_vcpu wanted(struct xen *x, unsigned cpu)
{
    struct host_xen_vcpu s = {.info = HOST_XEN_NOWHERE,
                              .runstate = x->vcpu[cpu].runstate,
                              .timer = evtchn_timer_port(x->ev, cpu),
                              .vector = READ_ONCE(x->vcpu[cpu].upcall_vector)};

    (void)evtchn_vcpu_info(x->ev, cpu, &s.info);
    return s;
}

static bool same(const struct host_xen_vcpu *a, const struct host_xen_vcpu *b)
{
    return a->info == b->info && a->runstate == b->runstate && a->timer == b->timer &&
           a->vector == b->vector;
}

/* Of the timer's port others ask, too. */
static void told(struct xen_vcpu *c, const struct host_xen_vcpu *s)
{
    c->told.info = s->info;
    c->told.runstate = s->runstate;
    c->told.vector = s->vector;
    WRITE_ONCE(c->told.timer, s->timer);
}

void xen_auto_eoi(struct xen *x, struct vcpu *v)
{
    struct xen_vcpu *c = &x->vcpu[v->index];
    uint8_t vector = READ_ONCE(x->callback_vector);

    if (x->kernel_events || READ_ONCE(c->upcall_vector) || !vector || c->auto_eoi == vector)
        return;
    if (v->host->ops->vcpu_auto_eoi(v, vector) < 0) {
        log_line(LOG_WARN, "xen", "this KVM cannot deliver the callback vector to vCPU %u",
                 v->index);
        return;
    }
    WRITE_ONCE(c->auto_eoi, vector);
    if (evtchn_upcall_pending(x->ev, v->index))
        xen_deliver(x, v->index);
}

void xen_kernel_attend(struct xen *x, struct vcpu *v)
{
    struct xen_vcpu *c = &x->vcpu[v->index];
    struct host_xen_vcpu s;
    bool moved, vector;

    xen_auto_eoi(x, v);
    if (!x->kernel_events)
        return;
    s = wanted(x, v->index);
    if (same(&s, &c->told))
        return;
    moved = s.info != c->told.info;
    vector = s.vector && s.vector != c->told.vector;
    if (kernel(x)->vcpu(v, &s) < 0) {
        /* A kernel without scheduler statistics refuses run states, and nothing else. */
        c->runstate = s.runstate = HOST_XEN_NOWHERE;
        if (kernel(x)->vcpu(v, &s) < 0) {
            log_line(LOG_WARN, "xen", "KVM refuses the state of vCPU %u", v->index);
            return;
        }
    }
    told(c, &s);
    if (moved && s.info != HOST_XEN_NOWHERE)
        evtchn_poke(x->ev, v->index);
    /* What became pending before went nowhere. */
    else if (vector && evtchn_upcall_pending(x->ev, v->index))
        xen_deliver(x, v->index);
}

void xen_kernel_changed(struct xen *x, struct vcpu *v, unsigned cpu)
{
    if (!x->kernel_events)
        return;
    if (cpu == v->index)
        xen_kernel_attend(x, v);
    else if (x->vcpu[cpu].v)
        v->host->ops->vcpu_attend(x->vcpu[cpu].v);
}

void xen_kernel_reset(struct xen *x)
{
    for (unsigned i = 0; i < x->p.env.cpus; i++) {
        struct xen_vcpu *c = &x->vcpu[i];

        c->runstate = HOST_XEN_NOWHERE;
        told(c, &(struct host_xen_vcpu){HOST_XEN_NOWHERE, HOST_XEN_NOWHERE, 0, 0});
        if (x->kernel_events && c->v && kernel(x)->vcpu(c->v, &c->told) < 0)
            log_line(LOG_WARN, "xen", "KVM does not forget the state of vCPU %u", i);
    }
    if (x->kernel_events && (kernel(x)->vector(x->p.env.host, 0) < 0 ||
                             kernel(x)->shared(x->p.env.host, HOST_XEN_NOWHERE, false) < 0))
        log_line(LOG_WARN, "xen", "KVM does not forget the guest's shared page");
}
