/* SPDX-License-Identifier: Apache-2.0 */
/* iov.h - scattered buffers: copy in and out, measure, cut. Any thread; nothing is allocated. */
#ifndef HOSPES_CORE_IOV_H
#define HOSPES_CORE_IOV_H

#include "core/core.h"

/* Sum of the lengths in bytes. */
uint64_t iov_len(const struct iovec *iov, unsigned cnt);

/* Copies between buf and iov from byte `off` of the vector on; return the bytes copied, less than
 * n when the vector ends before. */
size_t iov_read(const struct iovec *iov, unsigned cnt, uint64_t off, void *buf, size_t n);
size_t iov_write(const struct iovec *iov, unsigned cnt, uint64_t off, const void *buf, size_t n);
size_t iov_fill(const struct iovec *iov, unsigned cnt, uint64_t off, uint8_t byte, size_t n);

/* Shortens the vector in place to at most n bytes; returns the new count. */
unsigned iov_trim(struct iovec *iov, unsigned cnt, uint64_t n);

/* Drops the first n bytes in place: entries before stay with length 0 skipped; returns how many
 * leading entries are used up (iov + that is the rest). */
unsigned iov_skip(struct iovec *iov, unsigned cnt, uint64_t n);

/* The part [off, off+n) of src as new entries in dst; -1 when dst (max entries) is too small or
 * src too short, else the number of entries. */
int iov_slice(const struct iovec *src, unsigned cnt, uint64_t off, uint64_t n, struct iovec *dst,
              unsigned max);

#endif
