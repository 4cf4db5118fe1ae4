/* SPDX-License-Identifier: Apache-2.0 */
/* netvsp.h - the network card of VMBus; netvsp.c (NVSP, sending), netvsp_rx.c (frames to the
 * guest), rndis.c (RNDIS control). */
#ifndef HOSPES_PERSONAS_HYPERV_NETVSP_H
#define HOSPES_PERSONAS_HYPERV_NETVSP_H

#include "abi/netvsp.h"
#include "net/netif.h"
#include "personas/persona.h"
#include "vmbus.h"

enum {
    NETVSP_QUEUES = 8,
    NETVSP_IOV = 192,     /* pieces of one packet to send */
    NETVSP_MESSAGES = 64, /* RNDIS messages in it; guests are told of 8 */
    NETVSP_BATCH = 64,    /* sections told of in one packet */
    NETVSP_BATCHES = 512,
    NETVSP_RESERVED = 8,   /* batches, and sections at most, that frames leave to answers */
    NETVSP_SECTION = 2048, /* bytes of the receive buffer for one frame, or a part of one */
    NETVSP_HEADROOM = 96,  /* RNDIS header, checksum, VLAN and part info before a frame */
    NETVSP_ROOM = NETVSP_SECTION - NETVSP_HEADROOM,
    NETVSP_PARTS = (NET_FRAME_MAX + NETVSP_ROOM - 1) / NETVSP_ROOM, /* of the longest frame */
    NETVSP_SECTIONS = 16384,                                        /* most that are used */
    NETVSP_SEND_SECTION = 6144,
    NETVSP_PACKET = 8 << 10,
    NETVSP_CONTROL = 4 << 10, /* longest control message */
};
_Static_assert((int)NETVSP_IOV + 3 <= (int)NET_VECTORS, "the back end takes what a packet holds");

/* Frames on their way to the guest in one packet; the guest gives them back together. */
struct netvsp_batch {
    bool used;
    unsigned count;
    uint32_t section[NETVSP_BATCH], len[NETVSP_BATCH];
};

/* A packet of the guest's whose messages are sent one by one. */
struct netvsp_tx {
    bool held; /* the back end could not take it yet */
    uint64_t trans;
    bool answer, control;
    uint64_t at, total;
    unsigned messages;          /* before `at` */
    const struct gpadl *buffer; /* the send buffer, if some of it lies there */
    unsigned cnt;
    struct iovec iov[NETVSP_IOV];
};

struct netvsp_queue {
    struct vmbus_channel c;
    struct netvsp *n;
    struct netvsp_tx tx;
    int batch; /* being filled, -1: none */
};

struct netvsp {
    struct vmbus *b;
    struct netif *netif;
    struct net_caps caps;
    char *id;
    uint8_t mac[6], current_mac[6];
    unsigned queues;
    struct netvsp_queue q[NETVSP_QUEUES];

    uint32_t version; /* 0: not initialized */
    uint32_t longest; /* frame that the guest's MTU allows, 0: it has not said */
    uint32_t granted; /* subchannels that the guest has asked for and got */
    const struct gpadl *recv, *send;
    uint16_t recv_id; /* the guest's number of the receive buffer */
    uint32_t sections;
    uint8_t **at;    /* where each section lies in our memory */
    uint32_t *spare; /* sections that are ours, as a stack */
    uint32_t usable; /* sections that lie in one piece: only these are used */
    uint32_t spares;
    struct netvsp_batch batch[NETVSP_BATCHES];
    unsigned batch_hint, batches; /* batches: that are used */
    struct alarm again;           /* more frames wait than one round takes */

    bool rndis_up;
    uint32_t filter;
    bool rss;
    uint8_t key[NDIS_RSS_KEY];
    uint32_t table[NDIS_RSS_TABLE];
    unsigned table_size;
    uint32_t rsc; /* NET_TSO4, NET_TSO6: the guest takes such frames in parts */
    uint64_t refused, lost, coalesced;
    uint8_t whole[NET_FRAME_MAX]; /* a frame in parts, while its checksum is made */
};

/* channels: 1 to NETVSP_QUEUES. Takes the netif over, also on failure. */
MUST int netvsp_create(struct vmbus *b, const struct nic_spec *s, unsigned queues,
                       struct netvsp **out, struct err *e);
void netvsp_destroy(struct netvsp *n);
/* The instance that the guest knows it by; returns its id, "nic0". */
const char *netvsp_instance(const struct netvsp *n, uint8_t out[16]);

/* --- between the files --- */
enum { ETHER_HEAD = 14, ETHER_TAG = 4 };
/* The guest joins frames that come in several sections. */
static inline bool netvsp_takes_parts(const struct netvsp *n)
{
    return n->version >= NVSP_PROTOCOL_VERSION_61;
}
/* netvsp.c. Bytes of a message of the agreed protocol. */
size_t nvsp_size(const struct netvsp *n);
/* netvsp_rx.c. The guest's receive buffer, which must stay until it is forgotten; false: it is too
 * small or in too many pieces, or there is one. Frames on their way are forgotten with it. */
bool netvsp_rx_buffer(struct netvsp *n, const struct gpadl *g);
void netvsp_rx_forget(struct netvsp *n);
/* Hands over what waits in the back end, as far as there is room, and one round at most. */
void netvsp_rx_run(struct netvsp *n);
void netvsp_rx_again(struct alarm *a); /* the next round: netvsp's `again` */
/* The guest gives a packet of frames back. */
void netvsp_rx_done(struct netvsp_queue *q, uint64_t trans);
/* A message to the guest through the receive buffer. false: no room there. */
bool netvsp_control(struct netvsp *n, const void *p, size_t len);
/* One RNDIS control message, copied from the guest. */
void rndis_message(struct netvsp *n, const uint8_t *p, size_t len);
void rndis_link(struct netvsp *n, bool up);
/* Tells the back end what the guest takes: rsc, and checksums always. */
void netvsp_offloads(struct netvsp *n);
/* The queue of a received frame by the guest's hash rules. */
unsigned rss_queue(const struct netvsp *n, const uint8_t *head, size_t len);
/* What the guest asked for one frame; head: a copy of its first *head_len bytes, which may be
 * mended. false: nonsense. */
MUST bool rndis_meta(const struct netvsp *n, const uint8_t *ppi, size_t ppi_len, uint8_t *head,
                     size_t head_len, uint64_t frame, struct net_meta *m, uint32_t *vlan);

#endif
