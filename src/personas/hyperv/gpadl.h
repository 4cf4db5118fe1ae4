/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpadl.h - guest memory that a channel has handed over: rings and shared buffers.
 *
 * A GPADL is a list of ranges, each a byte offset, a length and the pages that it touches. Pages
 * are looked up once, when the list is complete. Threads: the loop's.
 */
#ifndef HOSPES_PERSONAS_HYPERV_GPADL_H
#define HOSPES_PERSONAS_HYPERV_GPADL_H

#include "core/core.h"

struct gpadl_range {
    uint32_t offset; /* in its first page */
    uint32_t len;
    size_t page; /* its first, in gpadl.page */
};

struct gpadl {
    struct gpadl *next;
    uint32_t id, relid;
    uint8_t *list; /* the guest's description while it comes in; then NULL */
    size_t have, want;
    unsigned ranges;
    struct gpadl_range *range;
    uint8_t **page; /* host addresses */
    size_t pages;
    uint64_t bytes;
    unsigned users; /* rings and buffers that look at it */
};

/* Reads a list of ranges from `n` bytes of the guest's making, already copied. Any thread.
 * 0, -EINVAL or -ENOMEM; g is then unchanged but for memory that gpadl_free() frees. */
MUST int gpadl_parse(struct gpadl *g, struct gmem *m, const uint8_t *list, size_t n,
                     unsigned ranges);
void gpadl_free(struct gpadl *g);

/* [off, off+n) as vectors. Appends to iov[*count..max), merging what adjoins. false: outside, or
 * too many pieces. */
MUST bool gpadl_map(const struct gpadl *g, uint64_t off, uint64_t n, struct iovec *iov, size_t max,
                    size_t *count);

/* The same for the ranges behind a GPA direct packet: n bytes of list, at most max vectors. */
MUST bool gpadl_direct(struct gmem *m, const uint8_t *list, size_t n, unsigned ranges,
                       struct iovec *iov, size_t max, size_t *count);

/* true: whole pages in one range, as rings must be. */
bool gpadl_is_pages(const struct gpadl *g);

#endif
