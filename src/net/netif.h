/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netif.h - where frames come from and go to. Knows no guest ABI.
 *
 * Frames are whole Ethernet frames without FCS. Offload metadata is our own; RNDIS, vmxnet3, Xen
 * netif and virtio flags each translate to it. All calls are for the loop's thread.
 */
#ifndef HOSPES_NET_NETIF_H
#define HOSPES_NET_NETIF_H

#include "core/core.h"
#include "core/frame.h"

/* Vectors of one frame, at most: what a guest may cut it into. */
enum { NET_VECTORS = 512 };

enum net_cap {
    NET_CSUM = 1 << 0, /* partial checksums (csum_start, csum_off) */
    NET_TSO4 = 1 << 1,
    NET_TSO6 = 1 << 2,
    NET_TSO_ECN = 1 << 3,
    NET_USO = 1 << 4,
};

struct net_caps {
    uint32_t tx; /* what send() accepts from the guest */
    uint32_t rx; /* what recv() may give to the guest */
    uint16_t mtu;
    uint16_t queues;
    bool link;
};

enum net_meta_flag {
    NET_NEEDS_CSUM = 1 << 0, /* the checksum at csum_start + csum_off is still to be filled */
    NET_CSUM_OK = 1 << 1,    /* checksums were verified */
};
enum net_gso { NET_GSO_NONE, NET_GSO_TCP4, NET_GSO_TCP6, NET_GSO_UDP };

struct net_meta {
    uint32_t flags;
    uint16_t csum_start, csum_off; /* bytes from the frame's start */
    uint16_t gso_size;             /* payload bytes per segment */
    uint16_t hdr_len;              /* bytes of headers before the payload, 0 unknown */
    enum net_gso gso;
    bool ecn;
};

/* None of them is called from inside send() or recv(). */
struct net_events {
    void (*readable)(void *arg); /* recv() will give a frame; level: again until -EAGAIN */
    void (*writable)(void *arg); /* after send() said -EAGAIN */
    void (*link)(void *arg, bool up);
};

struct net_ops {
    const char *name; /* "user": as in --nic user */
    const char *about;
    /* Reads its keys from c; the caller runs cfg_finish(). */
    MUST int (*open)(struct cfg *c, struct loop *l, struct netif **out, struct err *e);
    void (*close)(struct netif *n);
    void (*caps)(const struct netif *n, struct net_caps *out);
    /* Narrows the offloads to what the guest negotiated. */
    void (*set_caps)(struct netif *n, uint32_t tx, uint32_t rx);
    /* ev must outlive the netif or the next listen(); NULL stops events. */
    void (*listen)(struct netif *n, const struct net_events *ev, void *arg);
    /* Bytes taken (all of the frame), or -EAGAIN and writable() will follow; other errors drop the
     * frame. Here and in recv(), cnt is at most NET_VECTORS. */
    MUST long (*send)(struct netif *n, const struct net_meta *m, const struct iovec *iov, int cnt);
    /* The frame's length, or -EAGAIN and readable() will follow. A frame that is longer than iov is
     * dropped: -EMSGSIZE. */
    MUST long (*recv)(struct netif *n, struct net_meta *m, const struct iovec *iov, int cnt);
};

struct netif {
    const struct net_ops *ops;
    struct {
        uint64_t tx_frames, tx_bytes, rx_frames, rx_bytes, dropped;
    } stats;
};

extern const struct net_ops *const nets[]; /* net/table.c, NULL at the end */

/* spec: "user,forward=tcp:127.0.0.1:2222-:22", "tap=NAME". Keys that belong to the NIC and not to
 * the back end (mac, model, slot) are left in *rest for the persona; the caller frees it. */
MUST int net_open(const char *spec, struct loop *l, struct netif **out, struct cfg **rest,
                  struct err *e);
void net_close(struct netif *n);

#endif
