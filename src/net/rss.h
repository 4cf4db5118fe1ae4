/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rss.h - receive side scaling: the hash by which all frames of a flow reach the same queue
 * (Microsoft, "RSS hashing types" and "RSS hash calculations"). Any thread; nothing is allocated.
 */
#ifndef HOSPES_NET_RSS_H
#define HOSPES_NET_RSS_H

#include "net/csum.h"

enum {
    RSS_KEY = 40,  /* bytes of key that the longest input uses */
    RSS_INPUT = 36 /* two addresses of IPv6 and two ports */
};

/* Toeplitz's hash of p; n is at most RSS_INPUT. */
uint32_t rss_toeplitz(const uint8_t key[RSS_KEY], const uint8_t *p, size_t n);

/* Addresses of a frame of which net_layout() told, and with l4, the offset of the header behind
 * IP's, its first four bytes: both ports. Returns the bytes of it, 0: not IP. */
size_t rss_input(const uint8_t *f, const struct net_layout *o, unsigned l4, uint8_t out[RSS_INPUT]);

#endif
