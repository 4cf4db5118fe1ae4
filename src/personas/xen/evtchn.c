/* SPDX-License-Identifier: Apache-2.0 */
/* evtchn.c - the table of ports, the EVTCHNOP calls and the 2-level ABI; see evtchn.h. */
#include "personas/xen/evtchn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/gmem.h"
#include "personas/xen/evtchn_priv.h"

/* Offsets inside shared_info and vcpu_info: 64-bit, 32-bit guests. */
enum {
    SI_PENDING = 2048,
    SI_MASK_64 = 2560,
    SI_MASK_32 = 2176,
    SI_VCPUS = 32,
    VI_SIZE = 64,
    VI_UPCALL_PENDING = 0,
    VI_PENDING_SEL_64 = 8,
    VI_PENDING_SEL_32 = 4,
};

int evtchn_create(struct gmem *m, unsigned cpus, evtchn_deliver_fn *deliver, void *arg,
                  struct evtchn **out, struct err *e)
{
    struct evtchn *x = calloc(1, sizeof(*x));

    if (!x)
        return err_set(e, ENOMEM, "no memory for event channels");
    x->mem = m;
    x->cpus = cpus;
    x->deliver = deliver;
    x->arg = arg;
    pthread_mutex_init(&x->lock, NULL);
    *out = x;
    return 0;
}

void evtchn_destroy(struct evtchn *x)
{
    if (!x)
        return;
    pthread_mutex_destroy(&x->lock);
    free(x);
}

void evtchn_reset(struct evtchn *x)
{
    pthread_mutex_lock(&x->lock);
    memset(x->port, 0, sizeof(x->port));
    memset(x->service, 0, sizeof(x->service));
    memset(x->info, 0, sizeof(x->info));
    memset(x->fifo_block, 0, sizeof(x->fifo_block));
    memset(x->fifo_tail, 0, sizeof(x->fifo_tail));
    memset(x->timer_port, 0, sizeof(x->timer_port));
    x->shared = NULL;
    x->vectored = false;
    evtchn_kernel_reset(x);
    x->fifo = false;
    x->fifo_pages = 0;
    pthread_mutex_unlock(&x->lock);
}

/* --- what is shared with the guest --- */

static unsigned port_limit(const struct evtchn *x)
{
    return x->longmode || x->fifo ? EVTCHN_MAX_PORTS : 1024;
}

/* vcpu_info of cpu is in shared info, not where the guest has registered it. */
static bool info_in_shared(const struct evtchn *x, unsigned cpu)
{
    return !x->info[cpu] || (x->shared && x->info[cpu] == x->shared + cpu * VI_SIZE);
}

/* Xen's page is one and the same wherever the guest sees it. Under the lock. */
static void move_shared(struct evtchn *x, uint8_t *to, gpa_t at)
{
    if (to && x->shared)
        memmove(to, x->shared, 4096);
    else if (to)
        memset(to, 0, 4096);
    for (unsigned cpu = 0; to && cpu < x->cpus && cpu < SI_VCPUS; cpu++) {
        if (info_in_shared(x, cpu)) {
            x->info[cpu] = to + cpu * VI_SIZE;
            x->info_at[cpu] = at == EVTCHN_NOWHERE ? at : at + cpu * VI_SIZE;
        }
    }
    x->shared = to;
    x->shared_at = at;
}

void evtchn_set_shared(struct evtchn *x, gpa_t shared_info, bool longmode)
{
    pthread_mutex_lock(&x->lock);
    x->longmode = longmode;
    move_shared(x, gmem_shared(x->mem, shared_info, 4096), shared_info);
    pthread_mutex_unlock(&x->lock);
}

void evtchn_hide_shared(struct evtchn *x)
{
    pthread_mutex_lock(&x->lock);
    if (x->shared)
        move_shared(x, x->hidden, EVTCHN_NOWHERE);
    pthread_mutex_unlock(&x->lock);
}

static void *pending_sel(const struct evtchn *x, unsigned cpu)
{
    return x->info[cpu] + (x->longmode ? VI_PENDING_SEL_64 : VI_PENDING_SEL_32);
}

void evtchn_upcall(struct evtchn *x, unsigned cpu)
{
    if (!x->info[cpu])
        return;
    __atomic_store_n(x->info[cpu] + VI_UPCALL_PENDING, 1, __ATOMIC_SEQ_CST);
    x->deliver(x->arg, cpu);
}

static void look_everywhere(struct evtchn *x, unsigned cpu)
{
    memset(pending_sel(x, cpu), 0xff, x->longmode ? 8 : 4);
    evtchn_upcall(x, cpu);
}

int evtchn_set_vcpu_info(struct evtchn *x, unsigned cpu, gpa_t at)
{
    uint8_t *to;

    if (cpu >= x->cpus || at % 4096 > 4096 - VI_SIZE || at % 8)
        return -EINVAL;
    to = gmem_shared(x->mem, at, VI_SIZE);
    if (!to)
        return -EINVAL;
    pthread_mutex_lock(&x->lock);
    if (x->info[cpu])
        memmove(to, x->info[cpu], VI_SIZE); /* the guest may let them overlap */
    x->info[cpu] = to;
    x->info_at[cpu] = at;
    /* An event may have been set in the old place meanwhile. */
    look_everywhere(x, cpu);
    pthread_mutex_unlock(&x->lock);
    return 0;
}

void evtchn_poke(struct evtchn *x, unsigned cpu)
{
    pthread_mutex_lock(&x->lock);
    if (cpu < x->cpus && x->info[cpu])
        look_everywhere(x, cpu);
    pthread_mutex_unlock(&x->lock);
}

bool evtchn_vcpu_info(struct evtchn *x, unsigned cpu, gpa_t *at)
{
    bool there;

    pthread_mutex_lock(&x->lock);
    there = cpu < x->cpus && x->info[cpu] && x->info_at[cpu] != EVTCHN_NOWHERE;
    if (there)
        *at = x->info_at[cpu];
    pthread_mutex_unlock(&x->lock);
    return there;
}

bool evtchn_upcall_pending(struct evtchn *x, unsigned cpu)
{
    bool up;

    pthread_mutex_lock(&x->lock);
    up = cpu < x->cpus && x->info[cpu] &&
         __atomic_load_n(x->info[cpu] + VI_UPCALL_PENDING, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&x->lock);
    return up;
}

static void two_level_tail(struct evtchn *x, unsigned port)
{
    unsigned cpu = x->port[port].cpu;

    if (!x->info[cpu])
        return;
    if (!bit_test_and_set(pending_sel(x, cpu), port / (x->longmode ? 64 : 32)))
        evtchn_upcall(x, cpu);
}

static void set_pending(struct evtchn *x, unsigned port)
{
    uint8_t *mask = x->shared ? x->shared + (x->longmode ? SI_MASK_64 : SI_MASK_32) : NULL;

    if (x->fifo) {
        evtchn_fifo_set_pending(x, port);
        return;
    }
    if (!mask || port >= port_limit(x) || evtchn_kernel_raise(x, port))
        return;
    if (bit_test_and_set(x->shared + SI_PENDING, port) || bit_test(mask, port))
        return;
    two_level_tail(x, port);
}

static int unmask(struct evtchn *x, unsigned port)
{
    uint8_t *mask = x->shared ? x->shared + (x->longmode ? SI_MASK_64 : SI_MASK_32) : NULL;

    if (x->fifo)
        return evtchn_fifo_unmask(x, port);
    if (!mask || port >= port_limit(x) || !bit_test_and_clear(mask, port))
        return 0;
    if (x->host && bit_test_and_clear(x->shared + SI_PENDING, port))
        set_pending(x, port);
    else if (bit_test(x->shared + SI_PENDING, port))
        two_level_tail(x, port);
    return 0;
}

/* --- ports --- */

/* Port 0 means none. */
static struct evtchn_port *port_at(struct evtchn *x, uint32_t port)
{
    size_t i;

    if (port == 0 || !idx_in(port, port_limit(x), &i) || x->port[i].state == EVTCHNSTAT_closed)
        return NULL;
    return &x->port[i];
}

/* -ENOSPC, or a port in `state` that tells cpu 0. */
static int port_new(struct evtchn *x, uint8_t state)
{
    for (unsigned i = 1; i < port_limit(x); i++) {
        if (x->port[i].state == EVTCHNSTAT_closed) {
            x->port[i].state = state;
            x->port[i].priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
            return (int)i;
        }
    }
    return -ENOSPC;
}

/* Takes what p was bound to back; its state is for the caller. */
static void port_detach(struct evtchn *x, struct evtchn_port *p)
{
    struct evtchn_port *peer = p->looped ? &x->port[p->peer] : NULL;

    if (peer) {
        peer->state = EVTCHNSTAT_unbound;
        peer->looped = false;
        evtchn_kernel_route(x, p->peer);
    }
    if (p->state == EVTCHNSTAT_virq && p->virq == VIRQ_TIMER)
        x->timer_port[p->cpu] = 0;
    if (p->service)
        x->service[p->service - 1].port = 0;
    p->service = 0;
    p->state = EVTCHNSTAT_closed;
    p->looped = false;
    p->sent = NULL;
    evtchn_kernel_route(x, (unsigned)(p - x->port));
}

static void port_close(struct evtchn *x, struct evtchn_port *p)
{
    unsigned port = (unsigned)(p - x->port);

    port_detach(x, p);
    /* As Xen does: what was pending is nothing to whoever gets the port next. */
    if (x->fifo)
        evtchn_fifo_clear_pending(x, port);
    else if (x->shared && port < port_limit(x))
        (void)bit_test_and_clear(x->shared + SI_PENDING, port);
    /* A queue may still have it as its tail. */
    *p = (struct evtchn_port){.last_cpu = p->last_cpu, .last_priority = p->last_priority};
}

int evtchn_bind(struct evtchn *x, unsigned port, evtchn_sent_fn *fn, void *arg, int fd)
{
    struct evtchn_port *p;
    int rc = -EINVAL;

    pthread_mutex_lock(&x->lock);
    p = port_at(x, port);
    if (p && p->state == EVTCHNSTAT_unbound && p->remote == 0) {
        p->state = EVTCHNSTAT_interdomain;
        p->sent = fn;
        p->arg = arg;
        p->fd = fd;
        evtchn_kernel_route(x, port);
        rc = 0;
    }
    pthread_mutex_unlock(&x->lock);
    return rc;
}

void evtchn_unbind(struct evtchn *x, unsigned port, void *arg)
{
    struct evtchn_port *p;

    pthread_mutex_lock(&x->lock);
    p = port_at(x, port);
    if (p && p->sent && p->arg == arg) {
        p->state = EVTCHNSTAT_unbound;
        p->sent = NULL;
        evtchn_kernel_route(x, port);
    }
    pthread_mutex_unlock(&x->lock);
}

void evtchn_notify(struct evtchn *x, unsigned port)
{
    pthread_mutex_lock(&x->lock);
    if (port_at(x, port))
        set_pending(x, port);
    pthread_mutex_unlock(&x->lock);
}

/* -ENOSPC, or the guest's port, which is connected to a service. */
static int port_serve(struct evtchn *x, unsigned which)
{
    struct evtchn_end *end = &x->service[which];
    int port = port_new(x, EVTCHNSTAT_interdomain);
    struct evtchn_port *p = &x->port[port < 0 ? 0 : port];

    if (port < 0)
        return port;
    p->service = (uint8_t)(which + 1);
    p->sent = end->sent;
    p->arg = end->arg;
    p->fd = end->fd;
    end->port = (unsigned)port;
    evtchn_kernel_route(x, end->port);
    return port;
}

unsigned evtchn_serve(struct evtchn *x, enum evtchn_service which, evtchn_sent_fn *fn, void *arg,
                      int fd)
{
    int port;

    pthread_mutex_lock(&x->lock);
    x->service[which] = (struct evtchn_end){.sent = fn, .arg = arg, .fd = fd};
    port = port_serve(x, which);
    pthread_mutex_unlock(&x->lock);
    return port < 0 ? 0 : (unsigned)port;
}

void evtchn_notify_service(struct evtchn *x, enum evtchn_service which)
{
    pthread_mutex_lock(&x->lock);
    if (x->service[which].port)
        set_pending(x, x->service[which].port);
    pthread_mutex_unlock(&x->lock);
}

bool evtchn_virq(struct evtchn *x, unsigned cpu, unsigned virq)
{
    bool found = false;

    pthread_mutex_lock(&x->lock);
    for (unsigned i = 1; i < port_limit(x) && !found; i++) {
        found =
            x->port[i].state == EVTCHNSTAT_virq && x->port[i].virq == virq && x->port[i].cpu == cpu;
        if (found)
            set_pending(x, i);
    }
    pthread_mutex_unlock(&x->lock);
    return found;
}

/* --- operations --- */

static int op_bind_virq(struct evtchn *x, struct evtchn_bind_virq *op)
{
    int port;

    if (op->virq >= 24 || op->vcpu >= x->cpus)
        return op->vcpu >= x->cpus ? -ENOENT : -EINVAL;
    for (unsigned i = 1; i < port_limit(x); i++) {
        if (x->port[i].state == EVTCHNSTAT_virq && x->port[i].virq == op->virq &&
            x->port[i].cpu == op->vcpu)
            return -EEXIST;
    }
    port = port_new(x, EVTCHNSTAT_virq);
    if (port < 0)
        return port;
    x->port[port].cpu = (uint16_t)op->vcpu;
    x->port[port].virq = (uint16_t)op->virq;
    if (op->virq == VIRQ_TIMER)
        x->timer_port[op->vcpu] = (unsigned)port;
    op->port = (evtchn_port_t)port;
    return 0;
}

static int op_bind_ipi(struct evtchn *x, struct evtchn_bind_ipi *op)
{
    int port;

    if (op->vcpu >= x->cpus)
        return -ENOENT;
    port = port_new(x, EVTCHNSTAT_ipi);
    if (port < 0)
        return port;
    x->port[port].cpu = (uint16_t)op->vcpu;
    evtchn_kernel_route(x, (unsigned)port);
    op->port = (evtchn_port_t)port;
    return 0;
}

static bool is_self(uint16_t dom)
{
    return dom == DOMID_SELF || dom == 1;
}

static int op_alloc_unbound(struct evtchn *x, struct evtchn_alloc_unbound *op)
{
    int port;

    if (!is_self(op->dom))
        return -EPERM;
    port = port_new(x, EVTCHNSTAT_unbound);
    if (port < 0)
        return port;
    x->port[port].remote = is_self(op->remote_dom) ? DOMID_SELF : op->remote_dom;
    op->port = (evtchn_port_t)port;
    return 0;
}

/* Our ends have the numbers of their services, counted from 1. */
static int bind_service(struct evtchn *x, struct evtchn_bind_interdomain *op)
{
    size_t which;
    int port;

    if (op->remote_port == 0 || !idx_in(op->remote_port - 1, EVTCHN_SERVICES, &which) ||
        !x->service[which].sent || x->service[which].port)
        return -EINVAL;
    port = port_serve(x, (unsigned)which);
    if (port < 0)
        return port;
    op->local_port = (evtchn_port_t)port;
    set_pending(x, (unsigned)port);
    return 0;
}

/* Guests may connect two ports of their own; of ours, the services' alone are open to them. */
static int op_bind_interdomain(struct evtchn *x, struct evtchn_bind_interdomain *op)
{
    struct evtchn_port *peer = port_at(x, op->remote_port);
    int port;

    if (op->remote_dom == 0)
        return bind_service(x, op);
    if (!is_self(op->remote_dom))
        return -ESRCH;
    if (!peer || peer->state != EVTCHNSTAT_unbound || peer->remote != DOMID_SELF)
        return -EINVAL;
    port = port_new(x, EVTCHNSTAT_interdomain);
    if (port < 0)
        return port;
    x->port[port].looped = peer->looped = true;
    x->port[port].peer = (uint16_t)op->remote_port;
    x->port[port].remote = DOMID_SELF;
    peer->state = EVTCHNSTAT_interdomain;
    peer->peer = (uint16_t)port;
    evtchn_kernel_route(x, (unsigned)port);
    evtchn_kernel_route(x, op->remote_port);
    op->local_port = (evtchn_port_t)port;
    set_pending(x, (unsigned)port); /* as Xen does: the binder looks once */
    return 0;
}

/* What is sent to a back end is called outside the lock. */
struct sent {
    evtchn_sent_fn *fn;
    void *arg;
};

static int op_send(struct evtchn *x, uint32_t port, struct sent *out)
{
    struct evtchn_port *p = port_at(x, port);

    if (!p)
        return -EINVAL;
    switch (p->state) {
    case EVTCHNSTAT_interdomain:
        if (p->looped)
            set_pending(x, p->peer);
        else
            *out = (struct sent){p->sent, p->arg};
        return 0;
    case EVTCHNSTAT_ipi:
        set_pending(x, port);
        return 0;
    case EVTCHNSTAT_unbound:
        return 0; /* nobody is there yet: silently lost, as in Xen */
    default:
        return -EINVAL;
    }
}

static int op_status(struct evtchn *x, struct evtchn_status *op)
{
    struct evtchn_port *p;
    size_t i;

    if (!is_self(op->dom))
        return -EPERM;
    if (op->port == 0 || !idx_in(op->port, port_limit(x), &i))
        return -EINVAL;
    p = &x->port[i];
    op->status = p->state;
    op->vcpu = p->cpu;
    if (p->state == EVTCHNSTAT_unbound)
        op->u.unbound.dom = p->remote;
    else if (p->state == EVTCHNSTAT_interdomain) {
        op->u.interdomain.dom = p->remote;
        op->u.interdomain.port = p->looped ? p->peer : p->service;
    } else if (p->state == EVTCHNSTAT_virq)
        op->u.virq = p->virq;
    return 0;
}

static int op_bind_vcpu(struct evtchn *x, const struct evtchn_bind_vcpu *op)
{
    struct evtchn_port *p = port_at(x, op->port);

    if (op->vcpu >= x->cpus)
        return -ENOENT;
    if (!p || p->state == EVTCHNSTAT_ipi ||
        (p->state == EVTCHNSTAT_virq && (p->virq == VIRQ_TIMER || p->virq == VIRQ_DEBUG)))
        return -EINVAL;
    p->cpu = (uint16_t)op->vcpu;
    if (p->looped)
        evtchn_kernel_route(x, p->peer);
    return 0;
}

static int op_close(struct evtchn *x, uint32_t port)
{
    struct evtchn_port *p = port_at(x, port);

    if (!p)
        return -EINVAL;
    port_close(x, p);
    return 0;
}

static int op_set_priority(struct evtchn *x, const struct evtchn_set_priority *op)
{
    struct evtchn_port *p = port_at(x, op->port);

    if (!x->fifo)
        return -ENOSYS;
    if (!p || op->priority > EVTCHN_FIFO_PRIORITY_MIN)
        return -EINVAL;
    p->priority = (uint8_t)op->priority;
    return 0;
}

/* The guest closes all it has: soft reset. Ports that back ends use are theirs to close. */
static int op_reset(struct evtchn *x, const struct evtchn_reset *op)
{
    if (!is_self(op->dom))
        return -EPERM;
    for (unsigned i = 1; i < EVTCHN_MAX_PORTS; i++) {
        if (x->port[i].state != EVTCHNSTAT_closed)
            port_close(x, &x->port[i]);
    }
    x->fifo = false;
    x->fifo_pages = 0;
    memset(x->fifo_block, 0, sizeof(x->fifo_block));
    return 0;
}

size_t evtchn_op_size(unsigned cmd)
{
    static const uint8_t size[] = {
        [EVTCHNOP_bind_interdomain] = sizeof(struct evtchn_bind_interdomain),
        [EVTCHNOP_bind_virq] = sizeof(struct evtchn_bind_virq),
        [EVTCHNOP_close] = sizeof(struct evtchn_close),
        [EVTCHNOP_send] = sizeof(struct evtchn_send),
        [EVTCHNOP_status] = sizeof(struct evtchn_status),
        [EVTCHNOP_alloc_unbound] = sizeof(struct evtchn_alloc_unbound),
        [EVTCHNOP_bind_ipi] = sizeof(struct evtchn_bind_ipi),
        [EVTCHNOP_bind_vcpu] = sizeof(struct evtchn_bind_vcpu),
        [EVTCHNOP_unmask] = sizeof(struct evtchn_unmask),
        [EVTCHNOP_reset] = sizeof(struct evtchn_reset),
        [EVTCHNOP_init_control] = sizeof(struct evtchn_init_control),
        [EVTCHNOP_expand_array] = sizeof(struct evtchn_expand_array),
        [EVTCHNOP_set_priority] = sizeof(struct evtchn_set_priority),
    };

    return cmd < ARRAY_SIZE(size) ? size[cmd] : 0;
}

static int operate(struct evtchn *x, unsigned cmd, void *body, struct sent *sent)
{
    switch (cmd) {
    case EVTCHNOP_bind_interdomain:
        return op_bind_interdomain(x, body);
    case EVTCHNOP_bind_virq:
        return op_bind_virq(x, body);
    case EVTCHNOP_close:
        return op_close(x, ((struct evtchn_close *)body)->port);
    case EVTCHNOP_send:
        return op_send(x, ((struct evtchn_send *)body)->port, sent);
    case EVTCHNOP_status:
        return op_status(x, body);
    case EVTCHNOP_alloc_unbound:
        return op_alloc_unbound(x, body);
    case EVTCHNOP_bind_ipi:
        return op_bind_ipi(x, body);
    case EVTCHNOP_bind_vcpu:
        return op_bind_vcpu(x, body);
    case EVTCHNOP_unmask: {
        uint32_t port = ((struct evtchn_unmask *)body)->port;

        return port_at(x, port) ? unmask(x, port) : -EINVAL;
    }
    case EVTCHNOP_reset:
        return op_reset(x, body);
    case EVTCHNOP_init_control:
        return x->host ? -ENOSYS : evtchn_fifo_init(x, body);
    case EVTCHNOP_expand_array:
        return evtchn_fifo_expand(x, body);
    case EVTCHNOP_set_priority:
        return op_set_priority(x, body);
    default:
        return -ENOSYS;
    }
}

int evtchn_op(struct evtchn *x, unsigned cpu, unsigned cmd, void *body, size_t size, bool *back)
{
    struct sent sent = {0};
    int rc;

    (void)cpu;
    *back = false;
    if (evtchn_op_size(cmd) == 0)
        return -ENOSYS;
    if (size < evtchn_op_size(cmd))
        return -EFAULT;
    pthread_mutex_lock(&x->lock);
    rc = operate(x, cmd, body, &sent);
    pthread_mutex_unlock(&x->lock);
    if (sent.fn)
        sent.fn(sent.arg);
    *back = rc == 0;
    return rc;
}
