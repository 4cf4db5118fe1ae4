/* SPDX-License-Identifier: Apache-2.0 */
/* net.h - the virtio network device's state, for net.c (frames) and net_ctrl.c (control queue). */
#ifndef HOSPES_PERSONAS_KVM_NET_H
#define HOSPES_PERSONAS_KVM_NET_H

#include "abi/virtio_net.h"
#include "devices.h"
#include "net/netif.h"

enum {
    NET_RING = 256,
    NET_TX_IOV = NET_RING + 4,
    NET_RX_CHAINS = 128,
    NET_RX_IOV = NET_VECTORS,
    NET_MACS = 64,
    NET_FLOWS = 256,
};
_Static_assert((int)NET_TX_IOV <= (int)NET_VECTORS, "the back end takes what a chain holds");

/* Buffers taken from the receive ring and not filled yet: chains [first, first + count), whose
 * vectors lie one after the other in iov. */
struct net_rx {
    struct vq_chain chain[NET_RX_CHAINS];
    struct iovec iov[NET_RX_IOV];
    unsigned first, count;
    unsigned iov_first, iov_end;
    uint64_t bytes;
};

/* The frame that the back end could not take yet. */
struct net_tx {
    bool held;
    struct vq_chain chain;
    struct net_meta meta;
    struct iovec iov[NET_TX_IOV];
    unsigned skip; /* vectors that held the header only */
};

struct net_pair {
    struct net_rx rx;
    struct net_tx tx;
};

/* What the guest wants to receive; 5.1.6.5.1. */
struct net_filter {
    bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
    bool all_uni, all_multi; /* the tables were too long */
    unsigned uni, multi;     /* entries of mac[]: first unicast, then multicast */
    uint8_t mac[NET_MACS][6];
    uint8_t vlan[4096 / 8];
};

struct net {
    struct virtio v; /* first */
    struct netif *netif;
    struct net_caps caps;
    uint8_t mac[6]; /* the plan's */
    unsigned pairs, active;
    unsigned hdr_len;
    uint64_t rx_need; /* bytes that the largest frame takes, with its header */
    bool fresh;       /* the back end does not know yet what was negotiated */
    struct net_filter filter;
    uint8_t flow[NET_FLOWS]; /* the pair that last sent for a flow's hash */
    struct net_pair *pair;
    uint8_t *bounce; /* with several pairs: where a frame waits until its queue is known */
    uint64_t refused;
};

static inline struct net *net_of(struct virtio *v)
{
    return container_of(v, struct net, v);
}

/* net_ctrl.c */
void net_ctrl(struct net *n, struct virtio_queue *q);
/* Do the guest's filters let this frame in? head: its first 18 bytes. */
bool net_wanted(const struct net *n, const uint8_t head[18]);
void net_filter_reset(struct net_filter *f);

#endif
