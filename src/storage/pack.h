/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack.h - the compressors of the image formats. Any thread; each keeps its own working memory.
 */
#ifndef HOSPES_STORAGE_PACK_H
#define HOSPES_STORAGE_PACK_H

#include "core/core.h"

/* The highest level of each; 1 is the fastest, 0 the one that is meant for its format. */
enum { PACK_DEFLATE_LEVELS = 9, PACK_ZLIB_LEVELS = 12, PACK_ZSTD_LEVELS = 19 };

/* n bytes of `in` into out; the length, or 0 when it does not fit into `room` or there is no
 * memory. */
size_t pack_deflate(const uint8_t *in, size_t n, uint8_t *out, size_t room,
                    unsigned level); /* 4 KiB window */
size_t pack_zlib(const uint8_t *in, size_t n, uint8_t *out, size_t room, unsigned level);
/* The same without compressing: six bytes, and five for each 64 KiB, longer than n. */
size_t pack_zlib_stored(const uint8_t *in, size_t n, uint8_t *out, size_t room);
size_t pack_zstd(const uint8_t *in, size_t n, uint8_t *out, size_t room, unsigned level);

/* Exactly `len` bytes of out from at most n of in, which may have other bytes after its end.
 * -EIO: not that. */
MUST int unpack_deflate(const uint8_t *in, size_t n, uint8_t *out, size_t len);
MUST int unpack_zlib(const uint8_t *in, size_t n, uint8_t *out, size_t len);
MUST int unpack_zstd(const uint8_t *in, size_t n, uint8_t *out, size_t len);

#endif
