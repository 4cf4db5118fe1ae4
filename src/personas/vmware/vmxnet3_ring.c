/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmxnet3_ring.c - frames through vmxnet3's rings.
 *
 * An entry belongs to us when its generation bit is that of the ring's round. Frames are copied out
 * of guest memory before they are looked at, and into it when they are whole. Threads: the loop,
 * under the device's lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/gmem.h"
#include "net/csum.h"
#include "personas/vmware/vmxnet3.h"

/* After that a driver has seen what it is asked. */
enum { LOOK_NS = 5 * 1000 * 1000 };
enum { ETHER_HEAD = 14, ETHER_ADDRESSES = 12, VLAN_TAG = 4, BATCH = 256, IP_TCP = 6, IP_UDP = 17 };

/* --- rings --- */

static void ring_step(struct vmxnet3_ring *r)
{
    if (++r->next == r->size) {
        r->next = 0;
        r->gen = !r->gen;
    }
}

/* 1: the entry is ours and copied; 0: it is not; -EFAULT: it lies outside memory. gen: the bit in
 * word2. */
static int ring_peek(struct vmxnet3 *x, const struct vmxnet3_ring *r, uint32_t gen,
                     struct vmxnet3_desc *out)
{
    uint8_t *p =
        gmem_shared(x->pci.dev.env.mem, r->at + (gpa_t)r->next * sizeof(*out), sizeof(*out));
    uint32_t word2;

    if (!p)
        return -EFAULT;
    word2 = shared_load32(p + 8);
    if (!(word2 & gen) == r->gen)
        return 0;
    memcpy(out, p, sizeof(*out));
    out->word2 = le32_of(word2);
    return 1;
}

/* word3 goes last: it has the generation bit. */
static int comp_push(struct vmxnet3 *x, struct vmxnet3_ring *r, const uint32_t word[4])
{
    uint8_t *p =
        gmem_shared(x->pci.dev.env.mem, r->at + (gpa_t)r->next * sizeof(struct vmxnet3_comp),
                    sizeof(struct vmxnet3_comp));

    if (!p)
        return -EFAULT;
    for (unsigned i = 0; i < 3; i++)
        le32_put(p + 4 * i, word[i]);
    shared_store32(p + 12, (word[3] & ~VMXNET3_GEN) | (r->gen ? VMXNET3_GEN : 0));
    ring_step(r);
    return 0;
}

static uint32_t desc_len(const struct vmxnet3_desc *d)
{
    uint32_t n = le32_get(d->word2) & VMXNET3_LEN;

    return n ? n : VMXNET3_LEN + 1;
}

static enum vmxnet3_cast cast(const uint8_t *frame)
{
    static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    if (memcmp(frame, all, sizeof(all)) == 0)
        return VMXNET3_BCAST;
    return frame[0] & 1 ? VMXNET3_MCAST : VMXNET3_UCAST;
}

static void count(struct vmxnet3_queue *q, const uint8_t *frame, size_t n)
{
    enum vmxnet3_cast c = cast(frame);

    q->frames[c]++;
    q->bytes[c] += n;
}

/* --- transmit --- */

/* A frame gathered in x->out. */
struct packet {
    struct vmxnet3_desc first;
    struct vmxnet3_ring after; /* the ring behind it */
    uint32_t last;             /* index of its last entry */
    size_t len;
    bool completes, bad;
};

/* 1: a frame; 0: none that is whole; negative: the ring is broken. */
static int tx_gather(struct vmxnet3 *x, const struct vmxnet3_queue *q, struct packet *p)
{
    struct vmxnet3_desc d;

    *p = (struct packet){.after = q->ring[0]};
    for (unsigned i = 0; i < q->ring[0].size && i < VMXNET3_PARTS; i++) {
        int rc = ring_peek(x, &p->after, VMXNET3_TX_GEN, &d);
        uint32_t n, word3;

        if (rc <= 0)
            return rc;
        if (i == 0)
            p->first = d;
        n = desc_len(&d);
        word3 = le32_get(d.word3);
        p->last = p->after.next;
        ring_step(&p->after);
        if (p->len + n > NET_FRAME_MAX - VLAN_TAG ||
            gmem_read(x->pci.dev.env.mem, le64_get(d.addr), x->out + p->len, n) < 0)
            p->bad = true;
        else
            p->len += n;
        p->completes |= word3 & VMXNET3_TX_CQ;
        if (word3 & VMXNET3_TX_EOP)
            return 1;
    }
    return -E2BIG;
}

/* What the first entry asks for beyond sending. false: it cannot be done. */
static bool tx_meta(struct vmxnet3 *x, struct packet *p, struct net_meta *m)
{
    uint32_t word2 = le32_get(p->first.word2), word3 = le32_get(p->first.word3);
    uint32_t hlen = word3 & VMXNET3_TX_HLEN, field = word2 >> 18;
    struct net_layout o;

    *m = (struct net_meta){0};
    switch (word3 >> 10 & 3) {
    case VMXNET3_OM_NONE:
        return true;
    case VMXNET3_OM_CSUM:
        m->flags = NET_NEEDS_CSUM;
        m->csum_start = (uint16_t)hlen;
        m->csum_off = (uint16_t)(field - hlen);
        return field >= hlen && field + 2 <= p->len;
    case VMXNET3_OM_TSO:
        if (!net_layout(x->out, p->len, &o) || o.proto != IP_TCP ||
            net_csum_defer(x->out, p->len, m) < 0)
            return false;
        m->gso = o.version == 4 ? NET_GSO_TCP4 : NET_GSO_TCP6;
        m->gso_size = (uint16_t)field;
        return field >= NET_GSO_SIZE_MIN;
    default:
        return false;
    }
}

static void tx_tag(struct vmxnet3 *x, struct packet *p, struct net_meta *m)
{
    uint32_t word3 = le32_get(p->first.word3);

    if (!(word3 & VMXNET3_TX_TI))
        return;
    memmove(x->out + ETHER_ADDRESSES + VLAN_TAG, x->out + ETHER_ADDRESSES,
            p->len - ETHER_ADDRESSES);
    be16_put(x->out + ETHER_ADDRESSES, 0x8100);
    be16_put(x->out + ETHER_ADDRESSES + 2, (uint16_t)(word3 >> 16));
    p->len += VLAN_TAG;
    if (m->flags & NET_NEEDS_CSUM)
        m->csum_start += VLAN_TAG;
    if (m->hdr_len)
        m->hdr_len += VLAN_TAG;
}

/* A frame within a tunnel. false: the back end is full. */
static bool tx_encap(struct vmxnet3 *x, struct vmxnet3_queue *q, const struct packet *p)
{
    uint32_t word2 = le32_get(p->first.word2), word3 = le32_get(p->first.word3);
    int rc = word3 & VMXNET3_TX_TI ? -EINVAL
                                   : vmxnet3_encap(x, p->len, word3 & VMXNET3_TX_HLEN, word2 >> 18,
                                                   word2 & VMXNET3_TX_OCO);

    if (rc == -EAGAIN)
        return false;
    if (rc < 0) {
        x->refused++;
        guest_fault(&x->pci.dev, "a tunnelled frame of %zu bytes cannot be sent as asked", p->len);
    } else {
        count(q, x->out, p->len);
    }
    return true;
}

struct pieces {
    struct vmxnet3 *x;
    unsigned sent;
};

static int tx_piece(void *arg, const uint8_t *f, size_t len)
{
    static const struct net_meta none = {0};
    struct pieces *p = arg;
    struct iovec iov = {(void *)(uintptr_t)f, len};

    if (p->x->netif->ops->send(p->x->netif, &none, &iov, 1) == -EAGAIN)
        return -EAGAIN;
    p->sent++;
    return 0;
}

/* Drivers take it for granted that a card sums and cuts, whatever the back end can. 0 or -errno;
 * -EAGAIN: the back end is full. */
static int tx_finish(struct vmxnet3 *x, const struct packet *p, struct net_meta *m)
{
    uint32_t need = m->gso == NET_GSO_TCP4 ? NET_TSO4 : NET_TSO6;
    struct pieces pieces = {.x = x};
    struct iovec iov = {x->out, p->len};
    int rc = 0;

    if (m->gso != NET_GSO_NONE && !(x->caps.tx & need)) {
        if (!x->cut)
            x->cut = malloc(2 * (size_t)NET_FRAME_MAX);
        rc = x->cut ? net_segment(x->out, p->len, m->gso_size, x->cut, tx_piece, &pieces) : -ENOMEM;
        /* Once a piece has gone the rest is lost, as on a wire, rather than sent twice. */
        return rc == -EAGAIN && pieces.sent ? 0 : rc;
    }
    if (m->flags & NET_NEEDS_CSUM && !(x->caps.tx & NET_CSUM)) {
        rc = net_csum_fill(x->out, p->len, m);
        *m = (struct net_meta){0};
    }
    if (rc == 0 && x->netif->ops->send(x->netif, m, &iov, 1) == -EAGAIN)
        rc = -EAGAIN;
    return rc;
}

/* false: the back end is full, and writable() will follow. */
static bool tx_send(struct vmxnet3 *x, struct vmxnet3_queue *q, struct packet *p)
{
    struct net_meta m;
    int rc = -EINVAL;

    if (!p->bad && x->revision >= 4 && (le32_get(p->first.word3) >> 10 & 3) == VMXNET3_OM_ENCAP)
        return tx_encap(x, q, p);
    if (!p->bad && p->len >= ETHER_HEAD && tx_meta(x, p, &m)) {
        tx_tag(x, p, &m);
        rc = tx_finish(x, p, &m);
    }
    if (rc == -EAGAIN)
        return false;
    if (rc < 0) {
        x->refused++;
        guest_fault(&x->pci.dev, "a frame of %zu bytes cannot be sent as asked", p->len);
    } else {
        count(q, x->out, p->len);
    }
    return true;
}

static void tx_queue(struct vmxnet3 *x, unsigned index, bool *more)
{
    struct vmxnet3_queue *q = &x->s.tx[index];
    unsigned n;

    for (n = 0; n < BATCH && !q->stopped; n++) {
        struct packet p;
        int rc = tx_gather(x, q, &p);
        uint32_t word[4];

        if (rc == 0 || (rc > 0 && !tx_send(x, q, &p)))
            break;
        word[0] = p.last;
        word[1] = word[2] = word[3] = 0;
        if (rc > 0 && p.completes) {
            rc = comp_push(x, &q->comp, word);
            q->done++;
        }
        q->ring[0] = p.after;
        if (rc < 0)
            vmxnet3_queue_error(x, true, index, "the send ring has an entry that goes nowhere");
    }
    *more |= n == BATCH;
    vmxnet3_completed(x, q->intr, true, q->done);
    q->done = 0;
}

void vmxnet3_send_all(struct vmxnet3 *x)
{
    bool more = false;

    for (unsigned i = 0; i < x->s.ntx; i++)
        tx_queue(x, i, &more);
    if (more)
        vmxnet3_wake(x);
}

/* --- receive --- */

static bool rx_tagged(const struct vmxnet3 *x)
{
    return x->in_len >= ETHER_HEAD + VLAN_TAG && be16_at(x->in + ETHER_ADDRESSES) == 0x8100;
}

static bool rx_wanted(const struct vmxnet3 *x)
{
    unsigned id = rx_tagged(x) ? be16_at(x->in + ETHER_ADDRESSES + 2) & 0xfff : 0;
    static const uint32_t bit[] = {VMXNET3_RXM_UCAST, VMXNET3_RXM_MCAST, VMXNET3_RXM_BCAST};
    enum vmxnet3_cast c = cast(x->in);

    if (x->s.rx_mode & VMXNET3_RXM_PROMISC)
        return true;
    if (x->s.vlan_filter && rx_tagged(x) && !(x->s.vlan[id / 8] >> id % 8 & 1))
        return false;
    if (c == VMXNET3_MCAST && x->s.rx_mode & VMXNET3_RXM_ALL_MULTI)
        return true;
    if (!(x->s.rx_mode & bit[c]))
        return false;
    if (c == VMXNET3_BCAST || memcmp(x->in, x->mac, 6) == 0)
        return true;
    for (unsigned i = 0; i < x->s.macs; i++) {
        if (memcmp(x->in, x->s.table[i], 6) == 0)
            return true;
    }
    return false;
}

struct rx_part {
    unsigned ring;
    uint32_t index;
    gpa_t at;
    uint32_t n;
};

/* The next buffer of the wanted kind, in `ring` copies that the caller keeps or drops. 1, 0 none,
 * -errno. Bodies in front of a head are given back unused. */
static int rx_next(struct vmxnet3 *x, struct vmxnet3_ring ring[2], bool head, struct rx_part *out)
{
    struct vmxnet3_desc d;
    unsigned from = 0;
    int rc = 0;

    for (uint32_t tries = 0; tries <= ring[0].size; tries++) {
        rc = ring_peek(x, &ring[0], VMXNET3_GEN, &d);
        if (rc <= 0 || !head || !(le32_get(d.word2) & VMXNET3_RX_BODY))
            break;
        ring_step(&ring[0]);
        rc = 0;
    }
    if (!head && (rc <= 0 || !(le32_get(d.word2) & VMXNET3_RX_BODY))) {
        from = 1;
        rc = ring[1].size ? ring_peek(x, &ring[1], VMXNET3_GEN, &d) : 0;
    }
    if (rc <= 0)
        return rc;
    *out = (struct rx_part){from, ring[from].next, le64_get(d.addr), desc_len(&d)};
    ring_step(&ring[from]);
    return 1;
}

static uint32_t rx_flags(const struct vmxnet3 *x)
{
    struct net_layout o;
    uint32_t f = 0;

    if (!net_layout(x->in, x->in_len, &o) || !o.version)
        return 0;
    f = o.version == 4 ? VMXNET3_RCD_V4 : VMXNET3_RCD_V6;
    if (o.payload && o.proto == IP_TCP)
        f |= VMXNET3_RCD_TCP;
    if (o.payload && o.proto == IP_UDP)
        f |= VMXNET3_RCD_UDP;
    if (x->in_meta.flags & NET_CSUM_OK && x->s.rx_csum && f & (VMXNET3_RCD_TCP | VMXNET3_RCD_UDP))
        f |= VMXNET3_RCD_TUC | VMXNET3_RCD_IPC;
    return f;
}

/* What a completion says besides where its part is. */
struct rx_about {
    uint32_t word1, flags, tag; /* tag: word2's upper half */
    unsigned kind;
};

/* Takes a tag off, when the driver wants that. */
static uint32_t rx_untag(struct vmxnet3 *x)
{
    uint32_t tci;

    if (!x->s.rx_vlan || !rx_tagged(x))
        return 0;
    tci = be16_at(x->in + ETHER_ADDRESSES + 2);
    memmove(x->in + ETHER_ADDRESSES, x->in + ETHER_ADDRESSES + VLAN_TAG,
            x->in_len - ETHER_ADDRESSES - VLAN_TAG);
    x->in_len -= VLAN_TAG;
    if (x->in_meta.flags & NET_NEEDS_CSUM)
        x->in_meta.csum_start -= VLAN_TAG;
    return tci << 16 | VMXNET3_RCD_TS;
}

/* Frames that came large, or without their checksum: the back end vouches for them. */
static void rx_large(struct vmxnet3 *x, struct rx_about *a)
{
    struct net_layout o;
    uint64_t segments;

    if (x->in_meta.gso == NET_GSO_NONE) {
        if (x->in_meta.flags & NET_NEEDS_CSUM && net_csum_fill(x->in, x->in_len, &x->in_meta) == 0)
            x->in_meta.flags = NET_CSUM_OK;
        return;
    }
    x->in_meta.flags |= NET_CSUM_OK;
    if (!x->in_meta.gso_size || !net_layout(x->in, x->in_len, &o) || !o.payload)
        return;
    segments = (x->in_len - o.payload + x->in_meta.gso_size - 1) / x->in_meta.gso_size;
    a->kind = VMXNET3_RCD_RSS_TYPE_NONE; /* the hash's place is the count's */
    a->word1 = (uint32_t)min_u64(segments, 255);
    a->flags = VMXNET3_CDTYPE_RXCOMP_LRO | x->in_meta.gso_size;
}

/* A small frame that fits the data ring's cell: its buffer stays empty. 1, or 0: it does not. */
static int rx_small(struct vmxnet3 *x, struct vmxnet3_queue *q, struct vmxnet3_ring ring[2],
                    struct rx_part *part)
{
    struct vmxnet3_ring before[2] = {ring[0], ring[1]};
    int rc;

    if (x->in_len > q->data_size)
        return 0;
    rc = rx_next(x, ring, true, part);
    if (rc <= 0)
        return rc;
    part->ring = 2;
    part->n = (uint32_t)x->in_len;
    if (gmem_write(x->pci.dev.env.mem, q->data + (uint64_t)part->index * q->data_size, x->in,
                   x->in_len) == 0)
        return 1;
    ring[0] = before[0];
    ring[1] = before[1];
    return 0;
}

static int rx_complete(struct vmxnet3 *x, unsigned index, const struct rx_part *part,
                       unsigned parts, const struct rx_about *a)
{
    for (unsigned i = 0; i < parts; i++) {
        uint32_t queue = index + part[i].ring * x->s.nrx;
        uint32_t word[4] = {part[i].index | queue << 16, 0, part[i].n, VMXNET3_CDTYPE_RXCOMP};

        if (i == 0) {
            word[0] |= VMXNET3_RCD_SOP | a->kind << VMXNET3_RCD_RSS_SHIFT;
            word[1] = a->word1;
            if (a->flags & VMXNET3_CDTYPE_RXCOMP_LRO)
                word[3] = 0;
            word[3] |= a->flags & (VMXNET3_CDTYPE_RXCOMP_LRO | 0xffff);
        }
        if (i + 1 == parts) {
            /* Without this, drivers take sums that are not vouched for as wrong. */
            word[0] |= VMXNET3_RCD_EOP | (a->flags & VMXNET3_RCD_TUC ? 0 : VMXNET3_RCD_CNC);
            word[2] |= a->tag;
            word[3] |= a->flags & ~(VMXNET3_CDTYPE_RXCOMP_LRO | 0xffffu);
        }
        if (comp_push(x, &x->s.rx[index].comp, word) < 0)
            return -EFAULT;
    }
    return 0;
}

/* 1: delivered; 0: not enough buffers; negative: the ring is broken. */
static int rx_deliver(struct vmxnet3 *x, unsigned index, const struct rx_about *a)
{
    struct vmxnet3_queue *q = &x->s.rx[index];
    struct vmxnet3_ring ring[2] = {q->ring[0], q->ring[1]};
    struct rx_part part[VMXNET3_PARTS];
    unsigned parts = 0;
    size_t at = 0;

    if (q->data_size) {
        int rc = rx_small(x, q, ring, &part[0]);

        if (rc < 0)
            return rc;
        parts = (unsigned)rc;
        at = rc ? x->in_len : 0;
    }

    for (; at < x->in_len; parts++) {
        int rc = parts < VMXNET3_PARTS ? rx_next(x, ring, parts == 0, &part[parts]) : 0;

        if (rc <= 0)
            return rc;
        part[parts].n = (uint32_t)min_u64(part[parts].n, x->in_len - at);
        if (gmem_write(x->pci.dev.env.mem, part[parts].at, x->in + at, part[parts].n) < 0)
            return -EFAULT;
        at += part[parts].n;
    }
    if (rx_complete(x, index, part, parts, a) < 0)
        return -EFAULT;
    q->ring[0] = ring[0];
    q->ring[1] = ring[1];
    q->done += parts;
    count(q, x->in, x->in_len);
    return 1;
}

/* Drivers ring for new buffers only where update_prod says so, and have no barrier between a buffer
 * and that: whoever asks looks at once, and once more a while later. */
void vmxnet3_rx_ask(struct vmxnet3 *x, bool on)
{
    struct loop *l = x->pci.dev.env.loop;
    gpa_t at = x->s.queues + x->s.ntx * sizeof(struct vmxnet3_tx_queue) +
               offsetof(struct vmxnet3_rx_queue, update_prod);
    uint8_t v = on;

    x->s.rx_asks = on;
    (void)!gmem_write(x->pci.dev.env.mem, at, &v, sizeof(v));
    shared_barrier();
    if (on)
        loop_arm(l, &x->look, loop_now(l) + LOOK_NS);
}

static bool rx_fetch(struct vmxnet3 *x)
{
    struct iovec iov = {x->in, NET_FRAME_MAX};

    while (!x->in_len) {
        long rc = x->netif->ops->recv(x->netif, &x->in_meta, &iov, 1);

        if (rc == -EAGAIN)
            return false;
        x->in_len = rc >= ETHER_HEAD ? (size_t)rc : 0;
        if (x->in_len && !rx_wanted(x))
            x->in_len = 0;
        if (x->in_len && x->in_meta.gso != NET_GSO_NONE && !x->s.lro) {
            x->dropped++; /* left from before the driver went without large frames */
            x->in_len = 0;
        }
        x->in_tag = x->in_len ? rx_untag(x) : 0;
    }
    return true;
}

void vmxnet3_receive_all(struct vmxnet3 *x)
{
    size_t largest = max_u64(x->caps.mtu, 1500) + ETHER_HEAD + VLAN_TAG;
    unsigned n;

    for (n = 0; n < BATCH && x->s.nrx && rx_fetch(x); n++) {
        struct rx_about about = {.tag = x->in_tag};
        unsigned index = vmxnet3_pick(x, &about.word1, &about.kind);
        int rc;

        rx_large(x, &about);
        about.flags |= rx_flags(x);
        rc = x->s.rx[index].stopped ? 1 : rx_deliver(x, index, &about);

        if (rc < 0)
            vmxnet3_queue_error(x, false, index, "a receive ring goes nowhere");
        if (rc == 0 && x->s.nrx == 1 && x->in_len <= largest) {
            if (x->s.rx_asks)
                break; /* the guest rings when there are more buffers */
            vmxnet3_rx_ask(x, true);
            continue;
        }
        if (x->s.rx_asks)
            vmxnet3_rx_ask(x, false);
        x->dropped += rc != 1;
        x->in_len = 0;
    }
    for (unsigned i = 0; i < x->s.nrx; i++) {
        vmxnet3_completed(x, x->s.rx[i].intr, false, x->s.rx[i].done);
        x->s.rx[i].done = 0;
    }
    if (n == BATCH)
        vmxnet3_wake(x);
}
