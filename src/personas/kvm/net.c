/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.c - the virtio network device (VIRTIO 1.2, 5.1) in front of a netif.
 *
 * All frames move on the loop: the doorbells are ioeventfds. Received frames go straight into the
 * guest's buffers, as many of them as a frame of the largest size needs. With several queue pairs
 * the queue follows from the frame, so it waits in a bounce buffer first; a flow is received on the
 * pair that last sent for it.
 *
 * Not modelled: RSS and hash reports, UFO, header splitting, notification coalescing, guest
 * offload switching (CTRL_GUEST_OFFLOADS). Threads: the loop, under the device's lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/ids.h"
#include "core/iov.h"
#include "net.h"

enum {
    ETHER_HEAD = 14,
    ETHER_LARGEST = 18, /* header with a VLAN tag */
    NET_BATCH = 256,    /* frames of one queue before others get their turn */
};

static struct virtio_queue *rx_queue(struct net *n, unsigned pair)
{
    return &n->v.q[2 * pair];
}

/* The control queue follows the pairs that the driver knows of. */
static unsigned ctrl_index(const struct net *n)
{
    return virtio_has(&n->v, VIRTIO_NET_F_MQ) ? 2 * n->pairs : 2;
}

/* --- which queue a flow belongs to --- */

/* The same for both directions: addresses and ports are folded together. */
static uint8_t flow_hash(const uint8_t *p, size_t n)
{
    uint32_t h = 0;
    unsigned type = n >= ETHER_HEAD ? p[12] << 8 | p[13] : 0;
    size_t at = 0, len = 0, ports = 0;

    if (type == 0x0800 && n >= ETHER_HEAD + 20) {
        at = ETHER_HEAD + 12;
        len = 8;
        ports = ETHER_HEAD + 4 * (size_t)(p[ETHER_HEAD] & 0xf);
    } else if (type == 0x86dd && n >= ETHER_HEAD + 40) {
        at = ETHER_HEAD + 8;
        len = 32;
        ports = ETHER_HEAD + 40;
    }
    for (size_t i = 0; i + 4 <= len; i += 4)
        h ^= le32_at(p + at + i);
    if (ports && ports + 4 <= n)
        h ^= (uint32_t)(le16_at(p + ports) ^ le16_at(p + ports + 2)) << 8;
    h ^= h >> 16;
    return (uint8_t)(h ^ h >> 8);
}

static void flow_learn(struct net *n, unsigned pair, const struct iovec *iov, unsigned cnt)
{
    uint8_t head[ETHER_HEAD + 64];
    size_t len = iov_read(iov, cnt, 0, head, sizeof(head));

    n->flow[flow_hash(head, len)] = (uint8_t)pair;
}

/* --- transmit --- */

static const struct {
    uint8_t wire;
    enum net_gso gso;
    uint64_t tx_feature;
} gso_kinds[] = {
    {VIRTIO_NET_HDR_GSO_TCPV4, NET_GSO_TCP4, VIRTIO_NET_F_HOST_TSO4},
    {VIRTIO_NET_HDR_GSO_TCPV6, NET_GSO_TCP6, VIRTIO_NET_F_HOST_TSO6},
    {VIRTIO_NET_HDR_GSO_UDP_L4, NET_GSO_UDP, VIRTIO_NET_F_HOST_USO},
};

/* false: the header asks for what was not negotiated, or points outside the frame. */
static bool tx_meta(const struct net *n, const struct virtio_net_hdr *h, uint64_t frame,
                    struct net_meta *m)
{
    uint8_t type = h->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
    bool known = type == VIRTIO_NET_HDR_GSO_NONE;

    *m = (struct net_meta){0};
    if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
        m->flags |= NET_NEEDS_CSUM;
        m->csum_start = le16_get(h->csum_start);
        m->csum_off = le16_get(h->csum_offset);
        if (!virtio_has(&n->v, VIRTIO_NET_F_CSUM) ||
            (uint64_t)m->csum_start + m->csum_off + 2 > frame)
            return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(gso_kinds); i++) {
        if (type != gso_kinds[i].wire)
            continue;
        known = virtio_has(&n->v, gso_kinds[i].tx_feature);
        m->gso = gso_kinds[i].gso;
        m->gso_size = le16_get(h->gso_size);
        m->hdr_len = le16_get(h->hdr_len);
        m->ecn = h->gso_type & VIRTIO_NET_HDR_GSO_ECN;
        known = known && m->gso_size && m->flags & NET_NEEDS_CSUM &&
                (!m->ecn || virtio_has(&n->v, VIRTIO_NET_F_HOST_ECN));
    }
    return known;
}

/* Makes t->iov + t->skip the frame. false: not a frame that may be sent. */
static bool tx_parse(struct net *n, struct net_tx *t)
{
    struct virtio_net_hdr h = {0};
    struct vq_chain *c = &t->chain;

    if (c->in || c->out_len < n->hdr_len + ETHER_HEAD || c->out_len - n->hdr_len > NET_FRAME_MAX)
        return false;
    iov_read(c->iov, c->out, 0, &h, n->hdr_len);
    t->skip = iov_skip(c->iov, c->out, n->hdr_len);
    return tx_meta(n, &h, c->out_len - n->hdr_len, &t->meta);
}

/* true: the frame is gone, one way or the other. */
static bool tx_send(struct net *n, unsigned pair, struct net_tx *t)
{
    const struct iovec *iov = t->iov + t->skip;
    unsigned cnt = t->chain.out - t->skip;
    long rc;

    if (n->active > 1 && !t->held)
        flow_learn(n, pair, iov, cnt);
    rc = n->netif->ops->send(n->netif, &t->meta, iov, (int)cnt);
    t->held = rc == -EAGAIN;
    return !t->held;
}

static void net_tx(struct net *n, unsigned pair)
{
    struct virtio_queue *q = &n->v.q[2 * pair + 1];
    struct net_tx *t = &n->pair[pair].tx;
    unsigned sent = 0;

    if (!q->vq.ready)
        return;
    vq_notify_off(&q->vq);
    for (;;) {
        if (!t->held) {
            t->chain.iov = t->iov;
            t->chain.max = NET_TX_IOV;
            if (sent == NET_BATCH) {
                virtio_wake(q);
                break;
            }
            if (!virtio_pop(q, &t->chain)) {
                if (n->v.running && vq_notify_on(&q->vq))
                    continue;
                break;
            }
        }
        if (!t->held && !tx_parse(n, t)) {
            n->refused++;
            guest_fault(&n->v.pci.dev, "a frame of %llu bytes has a header that is not allowed",
                        (unsigned long long)t->chain.out_len);
        } else if (!tx_send(n, pair, t)) {
            break; /* writable() goes on */
        }
        vq_push(&q->vq, &t->chain, 0);
        sent++;
    }
    virtio_flush(q);
}

/* --- receive --- */

static void rx_compact(struct net_rx *w)
{
    if (w->first == 0)
        return;
    memmove(w->chain, w->chain + w->first, w->count * sizeof(w->chain[0]));
    memmove(w->iov, w->iov + w->iov_first, (w->iov_end - w->iov_first) * sizeof(w->iov[0]));
    for (unsigned i = 0; i < w->count; i++)
        w->chain[i].iov -= w->iov_first;
    w->iov_end -= w->iov_first;
    w->first = w->iov_first = 0;
}

/* Takes buffers until the largest frame fits. false: there are not enough, and the guest will
 * ring when there are more. */
static bool rx_fill(struct net *n, struct virtio_queue *q, struct net_rx *w)
{
    bool merge = virtio_has(&n->v, VIRTIO_NET_F_MRG_RXBUF);

    while (merge ? w->bytes < n->rx_need : w->count == 0) {
        struct vq_chain *c;

        if (w->first + w->count == NET_RX_CHAINS || NET_RX_IOV - w->iov_end < NET_RX_IOV / 2)
            rx_compact(w);
        if (w->count == NET_RX_CHAINS || w->iov_end == NET_RX_IOV)
            return true; /* tiny buffers: a large frame will not fit */
        c = &w->chain[w->first + w->count];
        c->iov = w->iov + w->iov_end;
        c->max = (uint16_t)(NET_RX_IOV - w->iov_end);
        if (!virtio_pop(q, c)) {
            if (!n->v.running)
                return false;
            if (vq_notify_on(&q->vq))
                continue;
            /* All that the ring can hold is here: wait no longer. */
            return w->count && q->vq.inflight == q->vq.size;
        }
        if (c->out || c->in_len < n->hdr_len) {
            virtio_break(&n->v, "a receive buffer has no room for its header");
            return false;
        }
        w->iov_end += c->in;
        w->bytes += c->in_len;
        w->count++;
    }
    return true;
}

/* Without merging a frame must fit the first buffer. */
static unsigned rx_vectors(const struct net *n, const struct net_rx *w)
{
    return virtio_has(&n->v, VIRTIO_NET_F_MRG_RXBUF) ? w->iov_end - w->iov_first
                                                     : w->chain[w->first].in;
}

static void rx_header(const struct net *n, const struct net_meta *m, unsigned buffers,
                      struct virtio_net_hdr *h)
{
    *h = (struct virtio_net_hdr){.num_buffers = le16_of((uint16_t)buffers)};
    if (m->flags & NET_NEEDS_CSUM) {
        h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        h->csum_start = le16_of(m->csum_start);
        h->csum_offset = le16_of(m->csum_off);
    } else if (m->flags & NET_CSUM_OK && virtio_has(&n->v, VIRTIO_NET_F_GUEST_CSUM)) {
        h->flags = VIRTIO_NET_HDR_F_DATA_VALID;
    }
    for (size_t i = 0; i < ARRAY_SIZE(gso_kinds); i++) {
        if (m->gso == NET_GSO_NONE || m->gso != gso_kinds[i].gso)
            continue;
        h->gso_type = gso_kinds[i].wire | (m->ecn ? VIRTIO_NET_HDR_GSO_ECN : 0);
        h->gso_size = le16_of(m->gso_size);
        h->hdr_len = le16_of(m->hdr_len);
    }
}

/* The frame of len bytes lies behind the header's place in the window's first buffers. */
static void rx_deliver(struct net *n, struct virtio_queue *q, struct net_rx *w,
                       const struct net_meta *m, uint64_t len)
{
    uint64_t left = len + n->hdr_len;
    struct virtio_net_hdr h;
    unsigned used = 0;

    for (uint64_t sum = 0; sum < left; used++)
        sum += w->chain[w->first + used].in_len;
    rx_header(n, m, used, &h);
    iov_write(w->iov + w->iov_first, w->iov_end - w->iov_first, 0, &h, n->hdr_len);
    for (unsigned i = 0; i < used; i++) {
        struct vq_chain *c = &w->chain[w->first];
        uint64_t part = min_u64(left, c->in_len);

        vq_push(&q->vq, c, (uint32_t)part);
        left -= part;
        w->bytes -= c->in_len;
        w->iov_first += c->in;
        w->first++;
        w->count--;
    }
    if (w->count == 0)
        w->first = w->iov_first = w->iov_end = 0;
}

/* Straight from the back end into the guest's buffers. The frame's length or -errno. */
static long rx_direct(struct net *n, struct net_rx *w, struct net_meta *m)
{
    struct iovec *iov = w->iov + w->iov_first, first = iov[0], scratch[NET_RX_IOV];
    unsigned cnt = rx_vectors(n, w);
    long rc;
    int k;

    if (first.iov_len > n->hdr_len) {
        iov[0].iov_base = (uint8_t *)first.iov_base + n->hdr_len;
        iov[0].iov_len -= n->hdr_len;
        rc = n->netif->ops->recv(n->netif, m, iov, (int)cnt);
        iov[0] = first;
        return rc;
    }
    k = iov_slice(iov, cnt, n->hdr_len, iov_len(iov, cnt) - n->hdr_len, scratch, NET_RX_IOV);
    return n->netif->ops->recv(n->netif, m, scratch, k > 0 ? k : 0);
}

static bool rx_frame_wanted(struct net *n, const struct net_rx *w, long len)
{
    uint8_t head[ETHER_LARGEST] = {0};

    if (len < ETHER_HEAD)
        return false;
    if (n->filter.promisc)
        return true;
    iov_read(w->iov + w->iov_first, w->iov_end - w->iov_first, n->hdr_len, head, sizeof(head));
    return net_wanted(n, head);
}

static void net_rx_single(struct net *n)
{
    struct virtio_queue *q = rx_queue(n, 0);
    struct net_rx *w = &n->pair[0].rx;
    unsigned got;

    if (!q->vq.ready)
        return;
    vq_notify_off(&q->vq);
    for (got = 0; got < NET_BATCH && rx_fill(n, q, w); got++) {
        struct net_meta m = {0};
        long rc = rx_direct(n, w, &m);

        if (rc == -EAGAIN)
            break;
        if (rc >= 0 && rx_frame_wanted(n, w, rc))
            rx_deliver(n, q, w, &m, (uint64_t)rc);
    }
    virtio_flush(q);
    if (got == NET_BATCH)
        virtio_wake(q);
}

/* From the bounce buffer to its pair; a pair without buffers drops, as a NIC does. */
static void rx_steer(struct net *n, const struct net_meta *m, long len)
{
    unsigned pair = n->flow[flow_hash(n->bounce, (size_t)len)] % n->active;
    struct virtio_queue *q = rx_queue(n, pair);
    struct net_rx *w = &n->pair[pair].rx;
    unsigned cnt;

    if (!q->vq.ready) {
        q = rx_queue(n, 0);
        w = &n->pair[0].rx;
    }
    if (!q->vq.ready || !rx_fill(n, q, w))
        return;
    cnt = rx_vectors(n, w);
    if (iov_len(w->iov + w->iov_first, cnt) < (uint64_t)len + n->hdr_len)
        return;
    iov_write(w->iov + w->iov_first, cnt, n->hdr_len, n->bounce, (size_t)len);
    rx_deliver(n, q, w, m, (uint64_t)len);
}

static void net_rx_steered(struct net *n)
{
    struct iovec iov = {n->bounce, NET_FRAME_MAX};
    unsigned got;

    for (got = 0; got < NET_BATCH && n->v.running; got++) {
        struct net_meta m = {0};
        long rc = n->netif->ops->recv(n->netif, &m, &iov, 1);

        if (rc == -EAGAIN)
            break;
        if (rc >= ETHER_HEAD && net_wanted(n, n->bounce))
            rx_steer(n, &m, rc);
    }
    for (unsigned i = 0; i < n->active; i++)
        virtio_flush(rx_queue(n, i));
    if (got == NET_BATCH)
        virtio_wake(rx_queue(n, 0));
}

static void net_rx(struct net *n)
{
    if (n->active > 1)
        net_rx_steered(n);
    else
        net_rx_single(n);
}

/* --- the back end's events; on the loop --- */

static void net_readable(void *arg)
{
    struct net *n = arg;

    device_lock(&n->v.pci.dev);
    if (n->v.running && !n->fresh)
        net_rx(n);
    device_unlock(&n->v.pci.dev);
}

static void net_writable(void *arg)
{
    struct net *n = arg;

    device_lock(&n->v.pci.dev);
    for (unsigned i = 0; i < n->active && n->v.running; i++) {
        if (n->pair[i].tx.held)
            net_tx(n, i);
    }
    device_unlock(&n->v.pci.dev);
}

static void net_link(void *arg, bool up)
{
    struct net *n = arg;
    struct virtio_net_config *c = (void *)n->v.config;
    uint16_t status = up ? VIRTIO_NET_S_LINK_UP : 0;

    device_lock(&n->v.pci.dev);
    if (up && virtio_has(&n->v, VIRTIO_NET_F_GUEST_ANNOUNCE))
        status |= VIRTIO_NET_S_ANNOUNCE; /* the other end may be a new one */
    n->caps.link = up;
    c->status = le16_of(status);
    virtio_config_changed(&n->v);
    device_unlock(&n->v.pci.dev);
}

static const struct net_events net_events = {net_readable, net_writable, net_link};

/* --- life --- */

static const struct {
    uint32_t cap;
    uint64_t tx, rx;
} offloads[] = {
    {NET_CSUM, VIRTIO_NET_F_CSUM, VIRTIO_NET_F_GUEST_CSUM},
    {NET_TSO4, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_GUEST_TSO4},
    {NET_TSO6, VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_GUEST_TSO6},
    {NET_TSO_ECN, VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_GUEST_ECN},
    {NET_USO, VIRTIO_NET_F_HOST_USO, VIRTIO_NET_F_GUEST_USO4 | VIRTIO_NET_F_GUEST_USO6},
};

/* A driver that cannot take partial checksums gets no large frames either. */
static void net_apply(struct net *n)
{
    uint32_t tx = 0, rx = 0;

    for (size_t i = 0; i < ARRAY_SIZE(offloads); i++) {
        tx |= virtio_has(&n->v, offloads[i].tx) ? offloads[i].cap : 0;
        rx |= (n->v.features & offloads[i].rx) == offloads[i].rx ? offloads[i].cap : 0;
    }
    tx &= tx & NET_CSUM ? UINT32_MAX : 0;
    rx &= rx & NET_CSUM ? UINT32_MAX : 0;
    n->rx_need =
        n->hdr_len +
        (rx & ~(uint32_t)NET_CSUM ? NET_FRAME_MAX : max_u64(n->caps.mtu, 1500) + ETHER_LARGEST);
    if (n->netif->ops->set_caps)
        n->netif->ops->set_caps(n->netif, tx & n->caps.tx, rx & n->caps.rx);
    n->fresh = false;
}

static void net_kick(struct virtio *v, struct virtio_queue *q, bool on_loop)
{
    struct net *n = net_of(v);

    if (n->fresh)
        net_apply(n);
    if (q->index == ctrl_index(n)) {
        if (virtio_has(v, VIRTIO_NET_F_CTRL_VQ))
            net_ctrl(n, q);
    } else if (q->index / 2 >= n->pairs) {
        return;
    } else if (q->index % 2) {
        net_tx(n, q->index / 2);
    } else {
        net_rx(n);
    }
}

static void net_start(struct virtio *v)
{
    struct net *n = net_of(v);

    n->fresh = true;
    n->hdr_len = v->features & (VIRTIO_F_VERSION_1 | VIRTIO_NET_F_MRG_RXBUF)
                     ? sizeof(struct virtio_net_hdr)
                     : VIRTIO_NET_HDR_LEGACY;
}

static void net_stop_queue(struct virtio *v, struct virtio_queue *q)
{
    struct net *n = net_of(v);
    struct net_pair *p;

    if (q->index / 2 >= n->pairs)
        return;
    p = &n->pair[q->index / 2];
    if (q->index % 2)
        p->tx.held = false;
    else
        p->rx.first = p->rx.count = p->rx.iov_first = p->rx.iov_end = 0, p->rx.bytes = 0;
}

static void net_stop(struct virtio *v)
{
    for (unsigned i = 0; i < v->queues; i++)
        net_stop_queue(v, &v->q[i]);
}

static void net_reset(struct virtio *v)
{
    struct net *n = net_of(v);
    struct virtio_net_config *c = (void *)v->config;

    memcpy(c->mac, n->mac, sizeof(c->mac));
    c->status = le16_of(n->caps.link ? VIRTIO_NET_S_LINK_UP : 0);
    c->max_virtqueue_pairs = le16_of((uint16_t)n->pairs);
    c->mtu = le16_of(n->caps.mtu);
    n->active = 1;
    net_filter_reset(&n->filter);
}

static void net_free(struct net *n)
{
    free(n->pair);
    free(n->bounce);
}

static void net_destroy(struct virtio *v)
{
    struct net *n = net_of(v);

    n->netif->ops->listen(n->netif, NULL, NULL);
    net_close(n->netif);
    net_free(n);
}

static void net_describe(struct virtio *v, struct dump *out)
{
    const struct net *n = net_of(v);

    dump_add(out, "mac", MAC_FMT, MAC_ARGS(v->config));
    dump_add(out, "frames", "%llu",
             (unsigned long long)n->netif->stats.tx_frames + n->netif->stats.rx_frames);
    dump_add(out, "sent", "%llu frames, %llu bytes, %llu refused",
             (unsigned long long)n->netif->stats.tx_frames,
             (unsigned long long)n->netif->stats.tx_bytes, (unsigned long long)n->refused);
    dump_add(out, "received", "%llu frames, %llu bytes, %llu dropped",
             (unsigned long long)n->netif->stats.rx_frames,
             (unsigned long long)n->netif->stats.rx_bytes,
             (unsigned long long)n->netif->stats.dropped);
}

static const struct virtio_class net_class = {
    .ops = VIRTIO_DEVICE_OPS("virtio-net"),
    .id = VIRTIO_ID_NET,
    .transitional_id = VIRTIO_PCI_DEVICE_NET,
    .pci_class = 0x020000,
    .start = net_start,
    .stop = net_stop,
    .stop_queue = net_stop_queue,
    .kick = net_kick,
    .reset = net_reset,
    .destroy = net_destroy,
    .describe = net_describe,
};

static uint64_t net_features(const struct net *n)
{
    uint64_t f = VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_MRG_RXBUF |
                 VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_CTRL_RX_EXTRA |
                 VIRTIO_NET_F_CTRL_VLAN | VIRTIO_NET_F_CTRL_MAC_ADDR | VIRTIO_NET_F_GUEST_ANNOUNCE;

    for (size_t i = 0; i < ARRAY_SIZE(offloads); i++) {
        f |= n->caps.tx & offloads[i].cap ? offloads[i].tx : 0;
        f |= n->caps.rx & offloads[i].cap ? offloads[i].rx : 0;
    }
    if (n->pairs > 1)
        f |= VIRTIO_NET_F_MQ;
    if (n->caps.mtu && n->caps.mtu != 1500)
        f |= VIRTIO_NET_F_MTU;
    return f;
}

static int net_memory(struct net *n, struct err *e)
{
    n->pair = calloc(n->pairs, sizeof(*n->pair));
    n->bounce = n->pairs > 1 ? malloc(NET_FRAME_MAX) : NULL;
    if (!n->pair || (n->pairs > 1 && !n->bounce))
        return err_set(e, ENOMEM, "%s: no memory for %u queue pairs", n->v.id, n->pairs);
    return 0;
}

int net_create(const struct env *env, const struct virtio_options *o, const struct nic_spec *s,
               unsigned pairs, struct err *e)
{
    struct net *n = calloc(1, sizeof(*n));
    int rc;

    if (!n)
        return err_set(e, ENOMEM, "%s: no memory for a network card", env->id);
    n->netif = s->netif;
    n->pairs = pairs;
    memcpy(n->mac, s->mac, sizeof(n->mac));
    s->netif->ops->caps(s->netif, &n->caps);
    rc = virtio_init(&n->v, &net_class, env, 2 * pairs + 1, NET_RING, o, e);
    if (rc == 0)
        rc = net_memory(n, e);
    if (rc == 0) {
        n->v.offered |= net_features(n);
        n->v.config_len = sizeof(struct virtio_net_config);
        net_reset(&n->v);
        rc = virtio_attach(&n->v, o, e);
    }
    if (rc < 0) {
        virtio_fini(&n->v);
        net_free(n);
        free(n);
        return rc;
    }
    pci_boots(&n->v.pci, env->id, "ethernet", "ethernet-phy@0");
    n->netif->ops->listen(n->netif, &net_events, n);
    return 0;
}
