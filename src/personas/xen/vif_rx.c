/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vif_rx.c - frames to the guest (Xen public/io/netif.h), copied into the pages that it grants.
 *
 * A frame is taken from the network only when the largest that may come fits the ring, so nothing
 * is lost while the guest is slow. With several queues a frame's addresses and ports choose one,
 * and a queue without room drops, as a card does.
 */
#include <errno.h>
#include <string.h>

#include "abi/bytes.h"
#include "core/gmem.h"
#include "core/iov.h"
#include "net/csum.h"
#include "personas/xen/vif_priv.h"

enum { REQUEST = 8, ETHER_HEAD = 14 };
enum { DATA_VALIDATED = 1, CSUM_BLANK = 2, MORE_DATA = 4, EXTRA_INFO = 8 };

static unsigned flow_queue(const struct vif *v, size_t len, struct vif_flow *flow)
{
    struct net_layout o = {0};
    uint32_t h = 0;
    unsigned at, n;

    *flow = (struct vif_flow){0};
    if ((v->queues < 2 && !vif_hashes(v)) || !net_layout(v->bounce, len, &o))
        o.version = 0;
    if (vif_hashes(v))
        return vif_hash(v, &o, flow);
    if (!o.version)
        return 0;
    at = o.l3 + (o.version == 4 ? 12 : 8);
    n = o.version == 4 ? 8 : 32;
    for (unsigned i = 0; i < n; i += 4)
        h ^= le32_at(v->bounce + at + i);
    if (o.l4 && o.payload)
        h ^= (uint32_t)(le16_at(v->bounce + o.l4) ^ le16_at(v->bounce + o.l4 + 2)) << 8;
    h ^= h >> 16;
    return (h ^ h >> 8) % v->queues;
}

/* Request `cons` is copied; its answer has the same place in the ring. */
static void take(struct vif_ring *r, uint16_t *id, uint32_t *ref)
{
    uint8_t raw[REQUEST];

    memcpy(raw, r->page + VIF_RING_HEAD + (size_t)(r->req_cons++ % VIF_RING) * REQUEST, REQUEST);
    *id = le16_at(raw);
    *ref = le32_at(raw + 4);
}

static void answer(struct vif_ring *r, const uint8_t raw[REQUEST])
{
    memcpy(r->page + VIF_RING_HEAD + (size_t)(r->rsp_prod++ % VIF_RING) * REQUEST, raw, REQUEST);
}

/* In the place of a request that gets no answer of its own. */
static void answer_extra(struct vif_ring *r, const uint8_t raw[REQUEST])
{
    uint32_t ref;
    uint16_t id;

    take(r, &id, &ref);
    answer(r, raw);
}

static void answer_extras(struct vif_ring *r, const struct net_meta *m, const struct vif_flow *flow)
{
    uint8_t gso[REQUEST] = {NETIF_EXTRA_GSO, flow->said ? NETIF_EXTRA_MORE : 0};
    uint8_t hash[REQUEST] = {NETIF_EXTRA_HASH, 0, flow->kind, VIF_TOEPLITZ};

    le16_put(gso + 2, m->gso_size);
    gso[4] = m->gso == NET_GSO_TCP4 ? NETIF_GSO_TCPV4 : NETIF_GSO_TCPV6;
    if (m->gso != NET_GSO_NONE)
        answer_extra(r, gso);
    le32_put(hash + 4, flow->value);
    if (flow->said)
        answer_extra(r, hash);
}

/* The next piece of the frame into the page of the next request; bytes that went or an error. */
static int fill(struct vif_queue *q, const uint8_t *p, size_t n, uint16_t *id)
{
    struct granted g;
    uint32_t ref;

    take(&q->rx, id, &ref);
    if (grant_begin(q->v->d.x->gr, ref, true, &g) != 0)
        return NETIF_RSP_ERROR;
    n = (size_t)min_u64(n, VIF_PAGE);
    if (g.off == 0 && g.len >= n)
        memcpy(g.page, p, n);
    else
        n = 0;
    grant_end(q->v->d.x->gr, ref, true);
    return n ? (int)n : NETIF_RSP_ERROR;
}

static unsigned slots_of(size_t len, const struct net_meta *m, const struct vif_flow *flow)
{
    return (unsigned)((len + VIF_PAGE - 1) / VIF_PAGE) + (m->gso != NET_GSO_NONE) + flow->said;
}

/* The frame in v->bounce. */
static void deliver(struct vif_queue *q, const struct net_meta *m, const struct vif_flow *flow,
                    size_t len)
{
    uint16_t flags = 0;
    size_t at = 0;

    if (m->flags & NET_NEEDS_CSUM)
        flags = CSUM_BLANK | DATA_VALIDATED;
    else if (m->flags & NET_CSUM_OK)
        flags = DATA_VALIDATED;
    while (at < len) {
        size_t part = (size_t)min_u64(len - at, VIF_PAGE);
        bool extra = at == 0 && (m->gso != NET_GSO_NONE || flow->said);
        uint8_t raw[REQUEST] = {0};
        uint16_t id;
        int got = fill(q, q->v->bounce + at, part, &id);

        at += part;
        le16_put(raw, id);
        le16_put(raw + 4,
                 (uint16_t)(flags | (extra ? EXTRA_INFO : 0) | (at < len ? MORE_DATA : 0)));
        le16_put(raw + 6, (uint16_t)got);
        answer(&q->rx, raw);
        if (extra)
            answer_extras(&q->rx, m, flow);
        flags = 0;
    }
    q->v->received++;
}

/* Slots that the largest frame needs. */
static uint32_t need(const struct vif *v)
{
    return (v->sg ? NET_FRAME_MAX / VIF_PAGE + 2 : 1) + vif_hashes(v);
}

/* false: the guest will send an event when there are enough. */
static bool room(struct vif_queue *q)
{
    uint32_t want = need(q->v);

    if (!q->rx.up || q->broken)
        return false;
    if (vif_waiting(q, &q->rx) >= want)
        return true;
    if (q->broken)
        return false;
    shared_store32(q->rx.page + RING_REQ_EVENT, q->rx.req_cons + want);
    shared_barrier();
    return vif_waiting(q, &q->rx) >= want;
}

static bool any_room(struct vif *v)
{
    bool any = false;

    for (unsigned i = 0; i < v->queues; i++)
        any = room(&v->q[i]) || any;
    return any;
}

/* A multicast frame of a group that the front end did not name. */
static bool unwanted(const struct vif *v)
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    if (!v->filter || !(v->bounce[0] & 1) || memcmp(v->bounce, broadcast, 6) == 0)
        return false;
    for (unsigned i = 0; i < v->groups; i++) {
        if (memcmp(v->bounce, v->group[i], 6) == 0)
            return false;
    }
    return true;
}

/* What the front end cannot take is done here. */
static int mend(struct vif *v, struct net_meta *m, size_t len)
{
    struct net_layout o;
    int rc;

    if (!(m->flags & NET_NEEDS_CSUM) || m->gso != NET_GSO_NONE)
        return 0;
    if (v->csum6 || !net_layout(v->bounce, len, &o) || o.version != 6)
        return 0;
    rc = net_csum_fill(v->bounce, len, m);
    m->flags &= ~(uint32_t)NET_NEEDS_CSUM;
    return rc;
}

void vif_receive(struct vif *v)
{
    struct iovec iov = {v->bounce, sizeof(v->bounce)};
    unsigned n;

    for (n = 0; n < VIF_BATCH && any_room(v); n++) {
        struct net_meta m = {0};
        struct vif_flow flow;
        struct vif_queue *q;
        long len = v->netif->ops->recv(v->netif, &m, &iov, 1);

        if (len == -EAGAIN)
            break;
        if (len < ETHER_HEAD || unwanted(v))
            continue;
        q = &v->q[flow_queue(v, (size_t)len, &flow)];
        if (mend(v, &m, (size_t)len) < 0 || !q->rx.up || q->broken ||
            vif_waiting(q, &q->rx) < slots_of((size_t)len, &m, &flow) || (!v->sg && len > VIF_PAGE))
            v->lost++;
        else
            deliver(q, &m, &flow, (size_t)len);
    }
    for (unsigned i = 0; i < v->queues; i++)
        vif_push(&v->q[i], &v->q[i].rx);
    if (n == VIF_BATCH)
        vif_wake(&v->q[0]);
}
