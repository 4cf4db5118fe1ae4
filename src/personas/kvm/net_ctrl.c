/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_ctrl.c - the network device's control queue and receive filters (VIRTIO 1.2, 5.1.6.5).
 *
 * Threads: the loop, under the device's lock.
 */
#include <string.h>

#include "core/iov.h"
#include "net.h"

enum { ETHER_ADDR = 6, ETHER_TYPE_AT = 12, ETHER_VLAN = 0x8100 };

void net_filter_reset(struct net_filter *f)
{
    memset(f, 0, sizeof(*f));
    f->promisc = true; /* until the driver says what it wants */
}

/* --- filters --- */

static bool is_multicast(const uint8_t *mac)
{
    return mac[0] & 1;
}

static bool is_broadcast(const uint8_t *mac)
{
    static const uint8_t ones[ETHER_ADDR] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    return memcmp(mac, ones, ETHER_ADDR) == 0;
}

static bool in_table(const struct net_filter *f, unsigned from, unsigned n, const uint8_t *mac)
{
    for (unsigned i = from; i < from + n; i++) {
        if (memcmp(f->mac[i], mac, ETHER_ADDR) == 0)
            return true;
    }
    return false;
}

static bool vlan_wanted(const struct net *n, const uint8_t *head)
{
    unsigned type = head[ETHER_TYPE_AT] << 8 | head[ETHER_TYPE_AT + 1];
    unsigned id = (head[14] << 8 | head[15]) & 0xfff;

    if (!virtio_has(&n->v, VIRTIO_NET_F_CTRL_VLAN) || type != ETHER_VLAN)
        return true;
    return n->filter.vlan[id / 8] >> id % 8 & 1;
}

bool net_wanted(const struct net *n, const uint8_t head[18])
{
    const struct net_filter *f = &n->filter;

    if (f->promisc)
        return true;
    if (!vlan_wanted(n, head))
        return false;
    if (is_broadcast(head))
        return !f->nobcast;
    if (is_multicast(head))
        return !f->nomulti && (f->allmulti || f->all_multi || in_table(f, f->uni, f->multi, head));
    return !f->nouni && (f->alluni || f->all_uni || memcmp(head, n->v.config, ETHER_ADDR) == 0 ||
                         in_table(f, 0, f->uni, head));
}

/* --- commands; each returns VIRTIO_NET_OK or VIRTIO_NET_ERR --- */

struct args {
    const struct vq_chain *c;
    uint64_t at;
};

static bool take(struct args *a, void *out, size_t n)
{
    size_t got = iov_read(a->c->iov, a->c->out, a->at, out, n);

    a->at += got;
    return got == n;
}

static uint8_t ctrl_rx(struct net *n, uint8_t command, struct args *a)
{
    struct net_filter *f = &n->filter;
    bool *flags[] = {
        [VIRTIO_NET_CTRL_RX_PROMISC] = &f->promisc, [VIRTIO_NET_CTRL_RX_ALLMULTI] = &f->allmulti,
        [VIRTIO_NET_CTRL_RX_ALLUNI] = &f->alluni,   [VIRTIO_NET_CTRL_RX_NOMULTI] = &f->nomulti,
        [VIRTIO_NET_CTRL_RX_NOUNI] = &f->nouni,     [VIRTIO_NET_CTRL_RX_NOBCAST] = &f->nobcast,
    };
    uint8_t on;
    size_t i;

    if (!idx_in(command, ARRAY_SIZE(flags), &i) || !take(a, &on, 1))
        return VIRTIO_NET_ERR;
    *flags[i] = on;
    return VIRTIO_NET_OK;
}

/* One of the two tables: a count, then that many addresses. What does not fit is "all". */
static bool mac_table(struct net_filter *f, struct args *a, unsigned *used, unsigned *count,
                      bool *all)
{
    uint32_t entries;
    le32 raw;

    *count = 0;
    if (!take(a, &raw, sizeof(raw)))
        return false;
    entries = le32_get(raw);
    *all = entries > NET_MACS - *used;
    for (uint32_t i = 0; i < entries && !*all; i++) {
        if (!take(a, f->mac[*used + i], ETHER_ADDR))
            return false;
    }
    if (*all) {
        a->at += (uint64_t)entries * ETHER_ADDR;
        return a->at <= a->c->out_len;
    }
    *count = entries;
    *used += entries;
    return true;
}

static uint8_t ctrl_mac(struct net *n, uint8_t command, struct args *a)
{
    struct net_filter *f = &n->filter;
    uint8_t mac[ETHER_ADDR];
    unsigned used = 0;

    if (command == VIRTIO_NET_CTRL_MAC_ADDR_SET) {
        if (!take(a, mac, sizeof(mac)))
            return VIRTIO_NET_ERR;
        memcpy(n->v.config, mac, sizeof(mac));
        return VIRTIO_NET_OK;
    }
    if (command != VIRTIO_NET_CTRL_MAC_TABLE_SET)
        return VIRTIO_NET_ERR;
    f->uni = f->multi = 0;
    if (mac_table(f, a, &used, &f->uni, &f->all_uni) &&
        mac_table(f, a, &used, &f->multi, &f->all_multi))
        return VIRTIO_NET_OK;
    f->uni = f->multi = 0;
    return VIRTIO_NET_ERR;
}

static uint8_t ctrl_vlan(struct net *n, uint8_t command, struct args *a)
{
    size_t id;
    le16 raw;

    if (!take(a, &raw, sizeof(raw)) || !idx_in(le16_get(raw), 4096, &id))
        return VIRTIO_NET_ERR;
    if (command == VIRTIO_NET_CTRL_VLAN_ADD)
        n->filter.vlan[id / 8] |= (uint8_t)(1 << id % 8);
    else if (command == VIRTIO_NET_CTRL_VLAN_DEL)
        n->filter.vlan[id / 8] &= (uint8_t) ~(1 << id % 8);
    else
        return VIRTIO_NET_ERR;
    return VIRTIO_NET_OK;
}

static uint8_t ctrl_announce(struct net *n, uint8_t command)
{
    struct virtio_net_config *c = (void *)n->v.config;

    if (command != VIRTIO_NET_CTRL_ANNOUNCE_ACK)
        return VIRTIO_NET_ERR;
    c->status = le16_of(le16_get(c->status) & (uint16_t)~VIRTIO_NET_S_ANNOUNCE);
    return VIRTIO_NET_OK;
}

static uint8_t ctrl_mq(struct net *n, uint8_t command, struct args *a)
{
    uint16_t pairs;
    le16 raw;

    if (command != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET || !virtio_has(&n->v, VIRTIO_NET_F_MQ) ||
        !take(a, &raw, sizeof(raw)))
        return VIRTIO_NET_ERR;
    pairs = le16_get(raw);
    if (pairs == 0 || pairs > n->pairs)
        return VIRTIO_NET_ERR;
    n->active = pairs;
    memset(n->flow, 0, sizeof(n->flow));
    return VIRTIO_NET_OK;
}

static uint8_t ctrl_command(struct net *n, const struct vq_chain *c)
{
    struct args a = {.c = c};
    struct virtio_net_ctrl h;

    if (!take(&a, &h, sizeof(h)))
        return VIRTIO_NET_ERR;
    switch (h.class) {
    case VIRTIO_NET_CTRL_RX:
        return ctrl_rx(n, h.command, &a);
    case VIRTIO_NET_CTRL_MAC:
        return ctrl_mac(n, h.command, &a);
    case VIRTIO_NET_CTRL_VLAN:
        return ctrl_vlan(n, h.command, &a);
    case VIRTIO_NET_CTRL_ANNOUNCE:
        return ctrl_announce(n, h.command);
    case VIRTIO_NET_CTRL_MQ:
        return ctrl_mq(n, h.command, &a);
    default:
        return VIRTIO_NET_ERR;
    }
}

void net_ctrl(struct net *n, struct virtio_queue *q)
{
    struct iovec iov[NET_TX_IOV];
    struct vq_chain c = {.iov = iov, .max = ARRAY_SIZE(iov)};
    unsigned served = 0;

    do {
        if (served == NET_RING) {
            virtio_wake(q);
            break;
        }
        while (served < NET_RING && virtio_pop(q, &c)) {
            uint8_t ack;

            served++;
            if (c.in_len < 1) {
                virtio_break(&n->v, "a control command has no room for its answer");
                return;
            }
            ack = ctrl_command(n, &c);
            iov_write(c.iov + c.out, c.in, 0, &ack, 1);
            vq_push(&q->vq, &c, 1);
        }
    } while (n->v.running && vq_notify_on(&q->vq));
    virtio_flush(q);
}
