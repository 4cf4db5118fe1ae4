/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vif_tx.c - frames from the guest (Xen public/io/netif.h).
 *
 * Requests are copied before they are looked at, and so are the headers of a frame; the rest goes
 * to the network from the guest's pages. Every request is answered once.
 */
#include <errno.h>
#include <string.h>

#include "abi/bytes.h"
#include "core/gmem.h"
#include "core/iov.h"
#include "net/csum.h"
#include "personas/xen/vif_priv.h"

enum { REQUEST = 12, RESPONSE = 4, ETHER_HEAD = 14, IP_TCP = 6, IP_UDP = 17 };
enum { CSUM_BLANK = 1, DATA_VALIDATED = 2, MORE_DATA = 4, EXTRA_INFO = 8 };

struct request {
    uint32_t ref;
    uint16_t off, flags, id, size;
};

static void take(struct vif_ring *r, uint8_t raw[REQUEST])
{
    memcpy(raw, r->page + VIF_RING_HEAD + (size_t)(r->req_cons++ % VIF_RING) * REQUEST, REQUEST);
}

static void take_request(struct vif_ring *r, struct request *out)
{
    uint8_t raw[REQUEST];

    take(r, raw);
    *out = (struct request){.ref = le32_at(raw),
                            .off = le16_at(raw + 4),
                            .flags = le16_at(raw + 6),
                            .id = le16_at(raw + 8),
                            .size = le16_at(raw + 10)};
}

static void answer(struct vif_ring *r, uint16_t id, int status)
{
    uint8_t *p = r->page + VIF_RING_HEAD + (size_t)(r->rsp_prod++ % VIF_RING) * REQUEST;

    le16_put(p, id);
    le16_put(p + 2, (uint16_t)status);
}

/* Answers all of the frame and unpins its pages. */
static void finish(struct vif_queue *q, int status)
{
    struct vif_tx *t = &q->frame;

    for (unsigned i = 0; i < t->pins; i++)
        grant_end(q->v->d.x->gr, t->ref[i], false);
    for (unsigned i = 0; i < t->slots; i++) {
        answer(&q->tx, t->id[i], status);
        for (unsigned k = 0; i == 0 && k < t->extras; k++)
            answer(&q->tx, 0, NETIF_RSP_NULL);
    }
    t->held = false;
    t->pins = t->slots = t->extras = 0;
}

void vif_send_drop(struct vif_queue *q)
{
    if (q->frame.held)
        finish(q, NETIF_RSP_ERROR);
}

/* The list of groups that frames come from, as a request that is no frame changes it. */
static bool change_group(struct vif *v, const uint8_t mac[6], bool add)
{
    unsigned i = 0;

    while (i < v->groups && memcmp(v->group[i], mac, 6) != 0)
        i++;
    if (add && i == v->groups) {
        if (!(mac[0] & 1) || v->groups == VIF_GROUPS)
            return false;
        memcpy(v->group[v->groups++], mac, 6);
    } else if (!add) {
        if (i == v->groups)
            return false;
        memcpy(v->group[i], v->group[--v->groups], 6);
    }
    return true;
}

/* One descriptor of the other kind; false: unknown. *more: another follows. */
static bool take_extra(struct vif_queue *q, bool *more)
{
    struct net_meta *m = &q->frame.meta;
    uint8_t raw[REQUEST];

    take(&q->tx, raw);
    *more = raw[1] & NETIF_EXTRA_MORE;
    if (raw[0] == NETIF_EXTRA_MCAST_ADD || raw[0] == NETIF_EXTRA_MCAST_DEL) {
        q->frame.dummy = true;
        return change_group(q->v, raw + 2, raw[0] == NETIF_EXTRA_MCAST_ADD);
    }
    if (raw[0] == NETIF_EXTRA_HASH)
        return true; /* what the guest knows of the flow helps nobody here */
    if (raw[0] != NETIF_EXTRA_GSO)
        return false;
    m->gso_size = le16_at(raw + 2);
    m->gso = raw[4] == NETIF_GSO_TCPV4   ? NET_GSO_TCP4
             : raw[4] == NETIF_GSO_TCPV6 ? NET_GSO_TCP6
                                         : NET_GSO_NONE;
    return m->gso != NET_GSO_NONE && m->gso_size;
}

/* Pins a piece. Only the first VIF_SLOTS are remembered; a frame has no more. */
static int add_piece(struct vif_queue *q, const struct request *r, uint32_t size)
{
    struct vif_tx *t = &q->frame;
    struct granted g;

    if (grant_begin(q->v->d.x->gr, r->ref, false, &g) != 0)
        return -EFAULT;
    t->ref[t->pins++] = r->ref;
    if (r->off < g.off || (uint32_t)r->off + size > (uint32_t)g.off + g.len)
        return -EFAULT;
    t->iov[t->cnt++] = (struct iovec){g.page + r->off, size};
    return 0;
}

/*
 * All requests of the next frame. 0: q->frame holds it; -ECANCELED: it was none, and is answered;
 * -EINVAL: answered with an error; -EAGAIN: the ring ends in the middle of it, or is broken. The
 * size in the first request is that of all.
 */
static int collect(struct vif_queue *q)
{
    uint32_t have = vif_waiting(q, &q->tx), sum = 0;
    struct request r[VIF_SLOTS], *last;
    struct vif_tx *t = &q->frame;
    bool more, good = true;
    int rc = 0;

    if (have == 0)
        return -EAGAIN;
    *t = (struct vif_tx){.cnt = 1};
    do {
        last = &r[t->slots];
        take_request(&q->tx, last);
        t->id[t->slots++] = last->id;
        have--;
        for (more = t->slots == 1 && last->flags & EXTRA_INFO; more && have; have--) {
            good = take_extra(q, &more) && good;
            if (++t->extras > VIF_EXTRAS)
                have = 1;
        }
    } while (!more && last->flags & MORE_DATA && have && t->slots < VIF_SLOTS);
    if (more || last->flags & MORE_DATA) {
        vif_break(q, "a frame has too many pieces or does not end");
        return -EAGAIN;
    }
    if (t->dummy && good) {
        finish(q, NETIF_RSP_OKAY);
        return -ECANCELED;
    }
    for (unsigned i = 1; i < t->slots; i++)
        sum += r[i].size;
    t->len = r[0].size;
    if (!good || sum > t->len || t->len < ETHER_HEAD)
        rc = -EINVAL;
    for (unsigned i = 0; i < t->slots && rc == 0; i++)
        rc = add_piece(q, &r[i], i ? r[i].size : t->len - sum);
    if (r[0].flags & CSUM_BLANK)
        t->meta.flags = NET_NEEDS_CSUM;
    else if (r[0].flags & DATA_VALIDATED)
        t->meta.flags = NET_CSUM_OK;
    if (rc < 0)
        finish(q, NETIF_RSP_ERROR);
    return rc < 0 ? -EINVAL : 0;
}

/* The start of the frame becomes our own copy, and is what the rest is judged by. */
static int parse(struct vif_queue *q)
{
    struct vif_tx *t = &q->frame;
    struct net_meta *m = &t->meta;
    struct net_layout o;
    size_t n = iov_read(t->iov + 1, t->cnt - 1, 0, t->head, sizeof(t->head));
    unsigned used = iov_skip(t->iov + 1, t->cnt - 1, n);

    t->iov[used] = (struct iovec){t->head, n};
    memmove(t->iov, t->iov + used, (t->cnt - used) * sizeof(t->iov[0]));
    t->cnt -= used;
    if (!(m->flags & NET_NEEDS_CSUM) && m->gso == NET_GSO_NONE)
        return 0;
    if (!net_layout(t->head, n, &o) || !o.l4 || (o.proto != IP_TCP && o.proto != IP_UDP))
        return -EINVAL;
    m->csum_start = o.l4;
    m->csum_off = o.proto == IP_TCP ? 16 : 6;
    if (m->gso == NET_GSO_NONE)
        return 0;
    m->hdr_len = o.payload;
    return o.payload && o.proto == IP_TCP && o.version == (m->gso == NET_GSO_TCP4 ? 4 : 6)
               ? 0
               : -EINVAL;
}

/* In one piece of our own, with what the network cannot do done here. */
static long send_copy(struct vif_queue *q)
{
    struct vif_tx *t = &q->frame;
    struct vif *v = q->v;
    struct net_meta m = t->meta;
    struct iovec one = {v->bounce, t->len};
    int rc;

    iov_read(t->iov, t->cnt, 0, v->bounce, t->len);
    if (m.gso != NET_GSO_NONE) { /* a front end that left the pseudo header's sum to us */
        rc = net_csum_defer(v->bounce, t->len, &m);
    } else {
        rc = net_csum_fill(v->bounce, t->len, &m);
        m.flags &= ~(uint32_t)NET_NEEDS_CSUM;
    }
    return rc < 0 ? rc : v->netif->ops->send(v->netif, &m, &one, 1);
}

/* true: the frame is done with. */
static bool send_frame(struct vif_queue *q)
{
    struct vif_tx *t = &q->frame;
    struct vif *v = q->v;
    bool blank = t->meta.flags & NET_NEEDS_CSUM;
    long rc;

    if (t->meta.gso != NET_GSO_NONE ? !blank : blank && !(v->caps.tx & NET_CSUM))
        rc = send_copy(q);
    else
        rc = v->netif->ops->send(v->netif, &t->meta, t->iov, (int)t->cnt);
    t->held = rc == -EAGAIN;
    if (t->held)
        return false;
    v->sent += rc >= 0;
    finish(q, rc < 0 ? NETIF_RSP_ERROR : NETIF_RSP_OKAY);
    return true;
}

void vif_send(struct vif_queue *q)
{
    unsigned n = 0;

    if (!q->tx.up || q->broken || (q->frame.held && !send_frame(q)))
        return;
    for (;;) {
        int rc = n++ < VIF_BATCH ? collect(q) : -EBUSY;

        if (rc == -EAGAIN && !q->broken) {
            shared_store32(q->tx.page + RING_REQ_EVENT, q->tx.req_cons + 1);
            shared_barrier();
            if (vif_waiting(q, &q->tx) && !q->broken)
                continue;
        }
        if (rc == -EBUSY)
            vif_wake(q);
        if (rc == -EAGAIN || rc == -EBUSY)
            break;
        if (rc == 0 && parse(q) < 0) {
            finish(q, NETIF_RSP_ERROR);
            rc = -EINVAL;
        }
        q->v->refused += rc == -EINVAL;
        if (rc == 0 && !send_frame(q))
            break;
    }
    vif_push(q, &q->tx);
}
