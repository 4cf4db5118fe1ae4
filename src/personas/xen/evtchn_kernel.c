/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evtchn_kernel.c - event channels on a host whose kernel raises them, too (CONFIG_KVM_XEN).
 *
 * The table of ports stays evtchn.c's. The kernel is told what to do when the guest sends: signal a
 * back end's eventfd, or raise a port of the guest's own. What we raise goes through the kernel as
 * well, which also wakes a vCPU that polls. It knows the 2-level ABI only.
 */
#include "core/log.h"
#include "host/host.h"
#include "personas/xen/evtchn_priv.h"

static struct host_xen_route route_of(const struct evtchn *x, unsigned port)
{
    const struct evtchn_port *p = &x->port[port];
    struct host_xen_route r = {.kind = HOST_XEN_ROUTE_NONE, .fd = -1};

    if (p->state == EVTCHNSTAT_interdomain && p->sent && p->fd >= 0) {
        r.kind = HOST_XEN_ROUTE_FD;
        r.fd = p->fd;
    } else if (x->vectored && (p->state == EVTCHNSTAT_ipi || p->looped)) {
        r.kind = HOST_XEN_ROUTE_PORT;
        r.ipi = p->state == EVTCHNSTAT_ipi;
        r.port = r.ipi ? port : p->peer;
        r.vcpu = x->port[r.port].cpu;
    }
    return r;
}

void evtchn_kernel_route(struct evtchn *x, unsigned port)
{
    struct host_xen_route r;

    if (!x->host)
        return;
    r = route_of(x, port);
    if (r.kind == HOST_XEN_ROUTE_NONE && !x->port[port].routed)
        return;
    x->port[port].routed = r.kind != HOST_XEN_ROUTE_NONE;
    /* Without a route the hypercall comes to us, which is slower and right. */
    if (x->host->ops->xen->route(x->host, port, &r) < 0)
        log_line(LOG_WARN, "xen", "KVM refuses to send on port %u", port);
}

void evtchn_kernel_reset(struct evtchn *x)
{
    if (x->host)
        x->host->ops->xen->unroute_all(x->host);
}

bool evtchn_kernel_raise(struct evtchn *x, unsigned port)
{
    unsigned cpu = x->port[port].cpu;

    if (!x->host || x->host->ops->xen->raise(x->host, port, cpu) < 0)
        return false;
    /* A line is ours to raise, for whatever is pending. */
    if (!x->vectored && x->info[cpu] && __atomic_load_n(x->info[cpu], __ATOMIC_SEQ_CST))
        x->deliver(x->arg, cpu);
    return true;
}

void evtchn_use_kernel(struct evtchn *x, struct host *h)
{
    x->host = h;
}

void evtchn_set_vectored(struct evtchn *x, bool vectored)
{
    pthread_mutex_lock(&x->lock);
    if (x->vectored != vectored) {
        x->vectored = vectored;
        for (unsigned i = 1; i < EVTCHN_MAX_PORTS; i++)
            evtchn_kernel_route(x, i);
    }
    pthread_mutex_unlock(&x->lock);
}

unsigned evtchn_timer_port(struct evtchn *x, unsigned cpu)
{
    unsigned port;

    pthread_mutex_lock(&x->lock);
    port = cpu < x->cpus && x->vectored ? x->timer_port[cpu] : 0;
    pthread_mutex_unlock(&x->lock);
    return port;
}
