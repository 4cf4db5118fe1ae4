/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unpack.h - compressed bytes as a stream: what kernels and initial RAM disks are packed with.
 *
 * gzip, xz, lzma, zstd, bzip2, lz4 (legacy frames) and lzo (lzop files). Memory is bounded by
 * UNPACK_MEMORY, output by the caller.
 */
#ifndef HOSPES_INSPECT_UNPACK_H
#define HOSPES_INSPECT_UNPACK_H

#include <sys/types.h>

#include "core/core.h"

enum { UNPACK_MEMORY = 40 << 20, UNPACK_CHUNK = 64 << 10 };

/* Where packed bytes come from: up to len of them at off; 0 at the end, or -errno. */
typedef ssize_t unpack_source(void *arg, uint64_t off, void *buf, size_t len);

enum unpack_kind {
    UNPACK_NONE,
    UNPACK_GZIP,
    UNPACK_XZ,
    UNPACK_LZMA,
    UNPACK_ZSTD,
    UNPACK_BZIP2,
    UNPACK_LZ4,
    UNPACK_LZO,
};
/* By the first bytes, at least 14 of them. */
enum unpack_kind unpack_probe(const uint8_t *head, size_t n);
const char *unpack_name(enum unpack_kind k); /* "gzip"; "none" */

struct unpack;
/* Starts at `off` of the source. */
MUST int unpack_open(enum unpack_kind k, unpack_source *from, void *arg, uint64_t off,
                     struct unpack **out);
/* Up to len bytes; 0 at the end of the packed stream, or -errno. */
ssize_t unpack_read(struct unpack *u, void *buf, size_t len);
/* The offset in the source after what has been used; right once unpack_read() gave 0. */
uint64_t unpack_tell(const struct unpack *u);
void unpack_close(struct unpack *u);

#endif
