/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmci_sock.c - sockets over VMCI, as the guest sees them: control packets and their order.
 *
 * Facts: Linux net/vmw_vsock/vmci_transport.c and vmci_transport_notify*.c. Who connects sends
 * REQUEST2; the other says by NEGOTIATE2 how large the queues shall be; the first one offers a
 * queue pair (the guest's own, or the name of one that the guest shall make) and the second
 * attaches to it. From then on bytes go by the queues, and packets only say that an empty queue has
 * something, a full one has room again, or a direction has ended. A guest that closes lets go of
 * its queue pair and says nothing more.
 *
 * A guest that is told that it is connected may look at the packet behind that one first, and then
 * breaks the connection off. So it is told no more until it has shown that it knows, or has had
 * time.
 *
 * A packet changes its connection's state here, on the vCPU's thread; the rest is the loop's. What
 * the guest is to be told are bits of its connection, made into datagrams as it reads them, so
 * nothing queues up.
 *
 * Not modelled: datagram sockets, connections between guests, sockets to the hypervisor itself,
 * for which a reset goes back: VMware's tools then use the backdoor.
 */
#include <stdlib.h>
#include <string.h>

#include "core/iov.h"
#include "personas/vmware/vmci_priv.h"

/* --- connections --- */

struct vmci_conn *vmci_conn_find(struct vmci *v, uint32_t host_port, uint32_t guest_port)
{
    for (struct vmci_conn *c = v->conns; c; c = c->next) {
        if (c->host_port == host_port && c->guest_port == guest_port && c->state != CONN_HELLO &&
            c->state < CONN_LEFT)
            return c;
    }
    return NULL;
}

struct vmci_conn *vmci_conn_new(struct vmci *v, enum vmci_conn_state state)
{
    struct vmci_conn *c = v->count < VMCI_CONNS ? calloc(1, sizeof(*c)) : NULL;

    if (!c)
        return NULL;
    c->v = v;
    c->w.fd = -1;
    c->state = state;
    c->next = v->conns;
    v->conns = c;
    v->count++;
    return c;
}

void vmci_conn_todo(struct vmci_conn *c)
{
    c->todo = true;
    loop_ask(vmci_loop(c->v), &c->v->work);
}

static void conn_lose_qp(struct vmci_conn *c)
{
    if (c->qp)
        c->qp->conn = NULL;
    c->qp = NULL;
}

void vmci_conn_die(struct vmci_conn *c)
{
    conn_lose_qp(c);
    c->state = CONN_DEAD;
    c->owed = 0;
    vmci_conn_todo(c);
}

/* Something is owed, and may be said now. */
static bool may_tell(const struct vmci_conn *c)
{
    return c->owed && (!c->attach_told || c->settled || c->state != CONN_OPEN);
}

void vmci_conn_owe(struct vmci_conn *c, unsigned what)
{
    c->owed |= what;
    if (may_tell(c))
        vmci_tell(c->v);
}

void vmci_conn_reset(struct vmci_conn *c)
{
    conn_lose_qp(c);
    c->state = CONN_RESET;
    c->owed = 0;
    vmci_conn_owe(c, OWE_RST);
    vmci_conn_todo(c);
}

void vmci_sock_stop(struct vmci *v)
{
    for (struct vmci_conn *c = v->conns; c; c = c->next)
        vmci_conn_die(c);
}

/* --- from the guest --- */

/* A reset for a packet that has no connection. */
static int32_t refuse(struct vmci *v, const struct vmci_transport_packet *p)
{
    struct vmci_transport_packet *r = &v->s.orphan[v->s.orphans];
    bool hypervisor = le32_get(p->dg.dst.context) == VMCI_HYPERVISOR_CONTEXT_ID;

    if (p->type == VMCI_TRANSPORT_PACKET_TYPE_RST)
        return sizeof(*p);
    if (v->s.orphans == VMCI_ORPHANS)
        return VMCI_ERROR_NO_RESOURCES;
    *r = (struct vmci_transport_packet){
        .dg.src = {p->dg.dst.context, le32_of(hypervisor ? VMCI_TRANSPORT_HYPERVISOR_PACKET_RID
                                                         : VMCI_TRANSPORT_PACKET_RID)},
        .type = VMCI_TRANSPORT_PACKET_TYPE_RST,
        .src_port = p->dst_port,
        .dst_port = p->src_port,
    };
    v->s.orphans++;
    vmci_tell(v);
    return sizeof(*p);
}

static int32_t request(struct vmci *v, const struct vmci_transport_packet *p)
{
    bool old = p->type == VMCI_TRANSPORT_PACKET_TYPE_REQUEST;
    uint64_t size = le64_get(p->u.size);
    struct vmci_conn *c = NULL;

    if (size >= 2 && (old || le16_get(p->proto) & VSOCK_PROTO_PKT_ON_NOTIFY))
        c = vmci_conn_new(v, CONN_ASKED);
    if (!c)
        return refuse(v, p);
    c->host_port = le32_get(p->dst_port);
    c->guest_port = le32_get(p->src_port);
    c->size = (uint32_t)min_u64(size, VMCI_QUEUE_MAX);
    c->old_protocol = old;
    vmci_conn_todo(c);
    return sizeof(*p);
}

static void negotiate(struct vmci_conn *c, const struct vmci_transport_packet *p)
{
    uint64_t size = le64_get(p->u.size);
    bool old = p->type == VMCI_TRANSPORT_PACKET_TYPE_NEGOTIATE;

    if (c->state != CONN_REQUESTED || size < 2 || size > VMCI_QUEUE_MAX ||
        (!old && le16_get(p->proto) != VSOCK_PROTO_PKT_ON_NOTIFY)) {
        vmci_conn_reset(c);
        return;
    }
    c->old_protocol = old;
    c->size = (uint32_t)size;
    c->resource = VMCI_RESERVED_RESOURCE_ID_MAX + 1 + c->v->next_resource++ % INT32_MAX;
    c->state = CONN_OFFERED;
    vmci_conn_owe(c, OWE_OFFER);
}

static bool fits(const struct vmci_conn *c, const struct vmci_qp *q)
{
    return q->produce_size == c->size && q->consume_size == c->size;
}

static void connected(struct vmci_conn *c)
{
    c->state = CONN_OPEN;
    vmci_conn_todo(c);
}

/* The guest has made a queue pair for c. */
static void offer(struct vmci_conn *c, const struct vmci_transport_packet *p)
{
    struct vmci_qp *q =
        vmci_qp_find(c->v, le32_get(p->u.handle.context), le32_get(p->u.handle.resource));

    if (c->state != CONN_NEGOTIATED || !q || q->conn || !fits(c, q)) {
        vmci_conn_reset(c);
        return;
    }
    q->conn = c;
    c->qp = q;
    vmci_conn_owe(c, OWE_ATTACH | OWE_ATTACHED);
    connected(c);
}

/* The guest makes the queue pair whose name c has offered. */
int32_t vmci_sock_made(struct vmci *v, struct vmci_qp *q)
{
    for (struct vmci_conn *c = v->conns; c; c = c->next) {
        if (c->state != CONN_OFFERED || c->qp || q->context != VMCI_HOST_CONTEXT_ID ||
            q->resource != c->resource)
            continue;
        if (!fits(c, q))
            return VMCI_ERROR_QUEUEPAIR_MISMATCH;
        q->conn = c;
        c->qp = q;
        return VMCI_SUCCESS_QUEUEPAIR_ATTACH;
    }
    return VMCI_ERROR_NOT_FOUND;
}

static void attach(struct vmci_conn *c, const struct vmci_transport_packet *p)
{
    if (c->state != CONN_OFFERED || !c->qp || le32_get(p->u.handle.resource) != c->resource) {
        vmci_conn_reset(c);
        return;
    }
    c->settled = c->welcome = true;
    connected(c);
}

/* A guest that knows the first form alone. */
static void invalid(struct vmci_conn *c)
{
    if (c->state != CONN_REQUESTED || c->old_protocol) {
        vmci_conn_reset(c);
        return;
    }
    c->old_protocol = true;
    vmci_conn_owe(c, OWE_REQUEST);
}

static void reset_by_guest(struct vmci_conn *c)
{
    if (c->state != CONN_OPEN || c->w.fd < 0) {
        vmci_conn_die(c);
        return;
    }
    c->guest_shut = RCV_SHUTDOWN | SEND_SHUTDOWN; /* what it has sent is still passed on */
    vmci_conn_todo(c);
}

void vmci_conn_settled(struct vmci_conn *c)
{
    c->settled = true;
    if (c->owed)
        vmci_tell(c->v);
}

/* What open connections say to each other. */
static void notified(struct vmci_conn *c, const struct vmci_transport_packet *p)
{
    vmci_conn_settled(c);
    switch (p->type) {
    case VMCI_TRANSPORT_PACKET_TYPE_WROTE:
        c->said_waiting_read = false;
        c->wrote = true;
        break;
    case VMCI_TRANSPORT_PACKET_TYPE_READ:
        c->said_waiting_write = false;
        break;
    case VMCI_TRANSPORT_PACKET_TYPE_WAITING_READ:
        c->guest_waits_to_read = true;
        break;
    case VMCI_TRANSPORT_PACKET_TYPE_WAITING_WRITE:
        c->guest_waits_to_send = true;
        break;
    default: /* SHUTDOWN */
        c->guest_shut |= le64_get(p->u.mode) & (RCV_SHUTDOWN | SEND_SHUTDOWN);
        break;
    }
    vmci_conn_todo(c);
}

static void conn_packet(struct vmci_conn *c, const struct vmci_transport_packet *p)
{
    switch (p->type) {
    case VMCI_TRANSPORT_PACKET_TYPE_NEGOTIATE:
    case VMCI_TRANSPORT_PACKET_TYPE_NEGOTIATE2:
        negotiate(c, p);
        break;
    case VMCI_TRANSPORT_PACKET_TYPE_OFFER:
        offer(c, p);
        break;
    case VMCI_TRANSPORT_PACKET_TYPE_ATTACH:
        attach(c, p);
        break;
    case VMCI_TRANSPORT_PACKET_TYPE_INVALID:
        invalid(c);
        break;
    case VMCI_TRANSPORT_PACKET_TYPE_RST:
        reset_by_guest(c);
        break;
    case VMCI_TRANSPORT_PACKET_TYPE_WROTE:
    case VMCI_TRANSPORT_PACKET_TYPE_READ:
    case VMCI_TRANSPORT_PACKET_TYPE_SHUTDOWN:
    case VMCI_TRANSPORT_PACKET_TYPE_WAITING_WRITE:
    case VMCI_TRANSPORT_PACKET_TYPE_WAITING_READ:
        if (c->state == CONN_OPEN)
            notified(c, p);
        else
            vmci_conn_reset(c);
        break;
    default:
        vmci_conn_reset(c);
        break;
    }
}

int32_t vmci_sock_packet(struct vmci *v, const struct vmci_transport_packet *p)
{
    struct vmci_conn *c = NULL;

    if (le32_get(p->dg.dst.context) == VMCI_HYPERVISOR_CONTEXT_ID)
        return refuse(v, p);
    c = vmci_conn_find(v, le32_get(p->dst_port), le32_get(p->src_port));
    if (c)
        conn_packet(c, p);
    else if (p->type == VMCI_TRANSPORT_PACKET_TYPE_REQUEST ||
             p->type == VMCI_TRANSPORT_PACKET_TYPE_REQUEST2)
        return request(v, p);
    else
        return refuse(v, p);
    return sizeof(*p);
}

/* The guest has closed, and takes its pages back as soon as this returns. */
void vmci_sock_left(struct vmci *v, struct vmci_qp *q)
{
    struct vmci_conn *c = q->conn;
    struct iovec iov[VMCI_QUEUE_PIECES];
    uint32_t ready = 0, room;
    int n = -1;

    if (c->state != CONN_OPEN || c->w.fd < 0) {
        vmci_conn_die(c);
        return;
    }
    if (vmci_qp_look(v, q, &ready, &room) && ready)
        n = vmci_qp_map(v, q, false, ready, iov);
    if (n > 0)
        c->held = malloc(ready);
    if (c->held)
        c->held_len = (uint32_t)iov_read(iov, (unsigned)n, 0, c->held, ready);
    conn_lose_qp(c);
    c->owed = 0;
    c->state = CONN_LEFT;
    vmci_conn_todo(c);
}

/* --- to the guest --- */

static void address(const struct vmci_conn *c, struct vmci_transport_packet *p, uint8_t type)
{
    *p = (struct vmci_transport_packet){
        .dg.src = {le32_of(VMCI_HOST_CONTEXT_ID), le32_of(VMCI_TRANSPORT_PACKET_RID)},
        .type = type,
        .src_port = le32_of(c->host_port),
        .dst_port = le32_of(c->guest_port),
    };
}

/* Where a queue will be when one more byte can be read, or written: what those that wait say. */
static void waiting(const struct vmci_conn *c, struct vmci_transport_packet *p, bool read)
{
    uint32_t at = read ? c->qp->head : c->qp->tail + 1;
    uint32_t wraps = read ? c->head_wraps : c->tail_wraps - 1;

    p->u.wait.generation = le64_of(at + 1 < c->size ? wraps : wraps + 1);
    p->u.wait.offset = le64_of((at + 1) % c->size);
}

/* The packet for one bit of what is owed. */
static void make(const struct vmci_conn *c, unsigned what, struct vmci_transport_packet *p)
{
    static const uint8_t types[] = {
        VMCI_TRANSPORT_PACKET_TYPE_REQUEST2,      VMCI_TRANSPORT_PACKET_TYPE_NEGOTIATE2,
        VMCI_TRANSPORT_PACKET_TYPE_OFFER,         VMCI_TRANSPORT_PACKET_TYPE_ATTACH,
        VMCI_TRANSPORT_PACKET_TYPE_INVALID,       VMCI_TRANSPORT_PACKET_TYPE_WAITING_READ,
        VMCI_TRANSPORT_PACKET_TYPE_WAITING_WRITE, VMCI_TRANSPORT_PACKET_TYPE_WROTE,
        VMCI_TRANSPORT_PACKET_TYPE_READ,          VMCI_TRANSPORT_PACKET_TYPE_SHUTDOWN,
        VMCI_TRANSPORT_PACKET_TYPE_INVALID,       VMCI_TRANSPORT_PACKET_TYPE_RST,
    };

    address(c, p, types[__builtin_ctz(what)]);
    switch (what) {
    case OWE_REQUEST:
    case OWE_NEGOTIATE:
        p->u.size = le64_of(c->size);
        if (!c->old_protocol)
            p->proto = le16_of(VSOCK_PROTO_PKT_ON_NOTIFY);
        else
            p->type = what == OWE_REQUEST ? VMCI_TRANSPORT_PACKET_TYPE_REQUEST
                                          : VMCI_TRANSPORT_PACKET_TYPE_NEGOTIATE;
        break;
    case OWE_OFFER:
        p->u.handle = (struct vmci_handle){le32_of(VMCI_HOST_CONTEXT_ID), le32_of(c->resource)};
        break;
    case OWE_ATTACH:
        p->u.handle = (struct vmci_handle){le32_of(c->qp->context), le32_of(c->qp->resource)};
        break;
    case OWE_WAITING_READ:
    case OWE_WAITING_WRITE:
        waiting(c, p, what == OWE_WAITING_READ);
        break;
    case OWE_SHUTDOWN:
        p->u.mode = le64_of(c->shut);
        break;
    default:
        break;
    }
}

static uint32_t event(const struct vmci_conn *c, unsigned what, uint8_t to[VMCI_IN_MAX])
{
    struct vmci_event_qp ev = {
        .hdr = {.dst = {le32_of(c->v->cid), le32_of(VMCI_EVENT_HANDLER)},
                .src = {le32_of(VMCI_HYPERVISOR_CONTEXT_ID), le32_of(VMCI_CONTEXT_RESOURCE_ID)},
                .payload_size = le64_of(sizeof(ev) - sizeof(ev.hdr))},
        .event_data.event =
            le32_of(what == OWE_ATTACHED ? VMCI_EVENT_QP_PEER_ATTACH : VMCI_EVENT_QP_PEER_DETACH),
        .payload = {.handle = {le32_of(c->qp->context), le32_of(c->qp->resource)},
                    .peer_id = le32_of(VMCI_HOST_CONTEXT_ID)},
    };

    memcpy(to, &ev, sizeof(ev));
    return sizeof(ev);
}

static uint32_t finish(const struct vmci *v, struct vmci_transport_packet *p,
                       uint8_t to[VMCI_IN_MAX])
{
    p->version = VMCI_TRANSPORT_PACKET_VERSION;
    p->dg.dst = (struct vmci_handle){le32_of(v->cid), le32_of(VMCI_TRANSPORT_PACKET_RID)};
    p->dg.payload_size = le64_of(sizeof(*p) - sizeof(p->dg));
    memcpy(to, p, sizeof(*p));
    return sizeof(*p);
}

bool vmci_sock_owes(const struct vmci *v)
{
    for (const struct vmci_conn *c = v->conns; c; c = c->next) {
        if (may_tell(c))
            return true;
    }
    return v->s.orphans != 0;
}

static uint32_t conn_next(struct vmci_conn *c, uint8_t to[VMCI_IN_MAX])
{
    struct vmci_transport_packet p;
    unsigned what = 1U << __builtin_ctz(c->owed);

    c->owed &= ~what;
    if (what == OWE_RST) {
        address(c, &p, VMCI_TRANSPORT_PACKET_TYPE_RST);
        vmci_conn_die(c);
        return finish(c->v, &p, to);
    }
    if (what == OWE_ATTACHED) {
        c->attach_told = true;
        vmci_conn_todo(c);
    }
    if (what & (OWE_ATTACHED | OWE_DETACHED))
        return event(c, what, to);
    make(c, what, &p);
    return finish(c->v, &p, to);
}

uint32_t vmci_sock_next(struct vmci *v, uint8_t to[VMCI_IN_MAX])
{
    struct vmci_conn **at = &v->conns, *c;

    if (v->s.orphans)
        return finish(v, &v->s.orphan[--v->s.orphans], to);
    while (*at && !may_tell(*at))
        at = &(*at)->next;
    c = *at;
    if (!c)
        return 0;
    *at = c->next; /* to the end of the list: everyone gets a turn */
    while (*at)
        at = &(*at)->next;
    *at = c;
    c->next = NULL;
    return conn_next(c, to);
}
