/* SPDX-License-Identifier: Apache-2.0 */
/*
 * csum.h - what offloads leave undone, for back ends that cannot take it: Internet checksums
 * (RFC 1071) and TCP and UDP segmentation. Frames come from guests: every length is checked.
 * Any thread; nothing is allocated.
 */
#ifndef HOSPES_NET_CSUM_H
#define HOSPES_NET_CSUM_H

#include "net/netif.h"

enum { NET_GSO_SIZE_MIN = 48 /* bytes; smaller segments are not made */ };

/* Where things are in a frame, in bytes from its start; 0: not there. */
struct net_layout {
    uint16_t l3, l4, payload; /* IP header, TCP or UDP header, what follows that */
    uint8_t version;          /* 4, 6; 0: not IP */
    uint8_t proto;            /* of l4 */
};

/* false: not IP, or cut short. l4 is 0 for fragments and for other protocols than TCP and UDP,
 * payload also when the header is cut short. */
bool net_layout(const uint8_t *f, size_t len, struct net_layout *out);

/* Ones' complement sum of n bytes, folded to 16 bits, in wire order. */
uint16_t net_sum(const void *p, size_t n, uint32_t start);

/* Finishes the checksum that m->csum_start and csum_off ask for. -EINVAL: outside the frame. */
MUST int net_csum_fill(uint8_t *f, size_t len, const struct net_meta *m);

/* Writes lengths and checksums of the IP and TCP or UDP headers as this frame's length says,
 * whatever they were. -EINVAL when it is not such a frame or too long for its headers. */
MUST int net_csum_all(uint8_t *f, size_t len);

/* Puts the sum of the pseudo header into the checksum field and sets m's csum words, so that
 * the receiver sees a checksum still to be done. Same errors. */
MUST int net_csum_defer(uint8_t *f, size_t len, struct net_meta *m);

/* Cuts a frame into segments of size payload bytes and calls fn for each, complete with headers
 * and checksums, until it gives something but 0. room: a buffer of NET_FRAME_MAX bytes.
 * -EINVAL when it cannot be cut. */
MUST int net_segment(const uint8_t *f, size_t len, size_t size, uint8_t *room,
                     int (*fn)(void *arg, const uint8_t *f, size_t len), void *arg);

/* Cuts an IPv4 packet that is longer than mtu into fragments (RFC 791), for its sender: Don't
 * Fragment binds those on the way alone, and the fragments do not have it. -EINVAL when it cannot
 * be cut. */
MUST int net_fragment(const uint8_t *f, size_t len, size_t mtu, uint8_t *room,
                      int (*fn)(void *arg, const uint8_t *f, size_t len), void *arg);

/* In a TCP SYN with the MSS option, replaces the value and corrects the checksum; other frames
 * stay as they are. Returns the old value, 0 when nothing was done. */
uint16_t net_mss_set(uint8_t *f, size_t len, uint16_t mss);
/* The window that a TCP SYN offers, in bytes: it is never scaled. 0: another frame. */
uint16_t net_syn_window(const uint8_t *f, size_t len);

#endif
