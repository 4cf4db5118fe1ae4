/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.h - the two rings of a channel: packets from the guest and packets to it.
 *
 * Indices live in guest memory and are read once each; a packet is copied out whole before anything
 * in it is looked at. What a ring may not hold (an index outside, a length of nothing) breaks it:
 * nothing is read or written any more until the channel is opened anew. Threads: the loop's.
 */
#ifndef HOSPES_PERSONAS_HYPERV_RING_H
#define HOSPES_PERSONAS_HYPERV_RING_H

#include "abi/vmbus.h"
#include "gpadl.h"

/* One direction. */
struct ring {
    struct hv_ring_buffer *head;
    uint8_t **page; /* data pages */
    uint8_t *flat;  /* all data, when the pages adjoin; else NULL */
    uint32_t size;  /* bytes of data */
    uint32_t at;    /* our index: read (incoming) or write (outgoing); may be ahead of head's */
    uint32_t told;  /* the last one published */
    bool broken;
};

struct ring_packet {
    uint16_t type, flags;
    uint64_t trans;
    const uint8_t *ext; /* between descriptor and payload */
    size_t ext_len;
    const uint8_t *data;
    size_t data_len;
};

/* pages [first, first + n) of g; the first is the header. Incoming: reads from where the guest says
 * that reading stands. false: bad indices. */
MUST bool ring_open(struct ring *r, const struct gpadl *g, size_t first, size_t n, bool incoming);

/* Copies the next packet into buf (room bytes). 1, 0 none, -EINVAL broken, -E2BIG broken: too long.
 */
MUST int ring_take(struct ring *r, uint8_t *buf, size_t room, struct ring_packet *p);
/* Nothing is there to take; the guest may change that at any time. */
bool ring_empty(const struct ring *r);
/* Publishes what was taken. true: the guest waits for room and must be signalled. */
bool ring_taken(struct ring *r);
/* Whether the guest shall signal: on == false while we look anyway. After switching it on, look
 * once more: true when there is something. */
void ring_mask(struct ring *r);
bool ring_unmask(struct ring *r);

/* Writes a packet of ext and payload. 1 written, 0 no room (the guest will signal when there is),
 * -EINVAL broken. */
MUST int ring_put(struct ring *r, uint16_t type, uint16_t flags, uint64_t trans, const void *ext,
                  size_t ext_len, const struct iovec *iov, unsigned cnt);
/* Publishes. true: signal the guest. */
bool ring_flush(struct ring *r);
/* Bytes that the guest says it has not taken; 0 for an index of nonsense. */
uint32_t ring_left(const struct ring *r);

#endif
