/* SPDX-License-Identifier: Apache-2.0 */
/* vif_priv.h - what vif.c (xenbus, keys), vif_ctrl.c, vif_tx.c and vif_rx.c (frames) share. */
#ifndef HOSPES_PERSONAS_XEN_VIF_PRIV_H
#define HOSPES_PERSONAS_XEN_VIF_PRIV_H

#include "net/netif.h"
#include "net/rss.h"
#include "personas/xen/vif.h"
#include "personas/xen/xenbus.h"

enum {
    VIF_QUEUES = 8,
    VIF_PAGE = 4096,
    VIF_RING = 256, /* entries of either ring */
    VIF_SLOTS = 18, /* most pieces of one frame */
    VIF_EXTRAS = 4, /* most descriptors of the other kind with one frame */
    VIF_BATCH = 256,
    VIF_RING_HEAD = 64,
    VIF_HEAD = 192,  /* bytes of a frame to send that are copied before they are parsed */
    VIF_GROUPS = 64, /* most multicast addresses */
    VIF_MAPPINGS = 128,
    VIF_TOEPLITZ = 1, /* XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ */
};

/* Words at the head of a ring page. */
enum { RING_REQ_PROD = 0, RING_REQ_EVENT = 4, RING_RSP_PROD = 8, RING_RSP_EVENT = 12 };

enum {
    NETIF_RSP_OKAY = 0,
    NETIF_RSP_ERROR = -1,
    NETIF_RSP_NULL = 1,
    NETIF_EXTRA_GSO = 1,
    NETIF_EXTRA_MCAST_ADD = 2,
    NETIF_EXTRA_MCAST_DEL = 3,
    NETIF_EXTRA_HASH = 4,
    NETIF_EXTRA_MORE = 1,
    NETIF_GSO_TCPV4 = 1,
    NETIF_GSO_TCPV6 = 2,
};

struct vif_ring {
    bool up;
    uint32_t ref;
    unsigned port;
    uint8_t *page; /* guest memory, pinned while up */
    uint32_t req_cons, rsp_prod;
};

/* A frame of the guest's, from the ring to the last answer. */
struct vif_tx {
    bool held;  /* the network could not take it */
    bool dummy; /* no frame, but a change of groups */
    struct net_meta meta;
    unsigned slots, extras, pins;
    uint16_t id[VIF_SLOTS];
    uint32_t ref[VIF_SLOTS];
    uint32_t len;
    uint8_t head[VIF_HEAD];
    unsigned cnt;
    struct iovec iov[VIF_SLOTS + 1]; /* head first */
};

struct vif_queue {
    struct vif *v;
    struct vif_ring tx, rx;
    struct vif_tx frame;
    bool broken;
    struct watch kick; /* eventfd: the guest has sent an event, or there is more to do */
};

/* What a front end's control ring says of hashing. */
struct vif_hash {
    uint32_t algorithm, kinds; /* 0: we choose queues; bits of XEN_NETIF_CTRL_HASH_TYPE_ */
    uint32_t mappings;         /* 0: the hash counts round the queues */
    uint8_t key[RSS_KEY], mapping[VIF_MAPPINGS];
};

/* The hash of one frame. */
struct vif_flow {
    bool said;
    uint8_t kind; /* number of a XEN_NETIF_CTRL_HASH_TYPE_ bit */
    uint32_t value;
};

struct vif {
    struct xenbus_dev d; /* first */
    struct netif *netif;
    struct net_caps caps;
    uint8_t mac[6];
    unsigned offered, queues; /* queues: those in use */
    bool sg, csum6;           /* the front end takes frames in pieces; blank checksums of IPv6 */
    uint8_t bounce[NET_FRAME_MAX];
    uint64_t sent, received, refused, lost;
    struct vif_hash hash;
    bool filter; /* multicast frames of these groups alone are wanted */
    unsigned groups;
    uint8_t group[VIF_GROUPS][6];
    struct vif_queue ctrl; /* its tx is the control ring */
    struct vif_queue q[VIF_QUEUES];
};

/* A ring whose producer leaves it, or whose frames make no sense: not served any more. */
void vif_break(struct vif_queue *q, const char *why);
/* Serves q again from the loop. */
void vif_wake(struct vif_queue *q);
/* Shows answers, tells the guest if it waits for one of them. */
void vif_push(struct vif_queue *q, struct vif_ring *r);
/* Requests not taken; breaks q when there are more than the ring holds. */
uint32_t vif_waiting(struct vif_queue *q, struct vif_ring *r);

/* vif_tx.c */
void vif_send(struct vif_queue *q);
/* Gives up a frame that waits for the network. */
void vif_send_drop(struct vif_queue *q);

/* vif_ctrl.c */
void vif_ctrl_kicked(struct watch *w, uint32_t got);
/* Does the front end choose the hash? Then: the queue of the frame in v->bounce and its hash. */
bool vif_hashes(const struct vif *v);
unsigned vif_hash(const struct vif *v, const struct net_layout *o, struct vif_flow *out);

/* vif_rx.c: as many frames as network and guest have. */
void vif_receive(struct vif *v);

#endif
