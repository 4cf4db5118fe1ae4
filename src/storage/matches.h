/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matches.h - what repeats in a small block, as the sequences of a zstd frame (RFC 8878, 3.1.1.4).
 *
 * libzstd's own search is made for any size and window; in 64 KiB it takes more than half of the
 * time. See docs/decisions/0068-matches-of-our-own.md.
 */
#ifndef HOSPES_STORAGE_MATCHES_H
#define HOSPES_STORAGE_MATCHES_H

#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include "core/core.h"

enum { MATCHES_BLOCK = 65536, MATCHES_MOST = MATCHES_BLOCK / 4 + 1 };

/* Where text was last seen, by the hash of its first eight and four bytes. One thread's. With 16
 * bits each, all of it fits into the first cache beside the text. */
struct matches {
    uint16_t eight[1 << 13], four[1 << 12];
};

/* Matches of at least four bytes, in order, then the last literals with offset and length 0. n is
 * at most MATCHES_BLOCK, v has room for MATCHES_MOST. Returns how many. m need not be cleared. */
size_t matches_find(struct matches *m, const uint8_t *in, size_t n, ZSTD_Sequence *v);

#endif
