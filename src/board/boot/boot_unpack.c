/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_unpack.c - the compressed payload of a bzImage: LZ4 (legacy frames), XZ, Zstandard, gzip.
 *
 * The input is hostile as far as this file is concerned: every decoder is given both sizes. What
 * follows the compressed stream (four bytes that repeat the size) is not looked at.
 */
#include <errno.h>
#include <lz4.h>
#include <lzma.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "abi/bytes.h"
#include "board/boot/boot_priv.h"

enum { LZ4_LEGACY_BLOCK = 8 << 20, LZ4_TAIL = 4 };
#define LZ4_LEGACY_MAGIC 0x184c2102
#define UNPACK_XZ_MEMORY (UINT64_C(256) << 20)

static int unpack_lz4(const uint8_t *in, size_t n, uint8_t *out, size_t room, size_t *done)
{
    size_t at = 4, used = 0;

    while (n - at > LZ4_TAIL) {
        uint32_t size = le32_at(in + at);
        size_t left = room - used;
        int got;

        at += 4;
        if (size == 0 || !range_in(at, size, n))
            return -EINVAL;
        got = LZ4_decompress_safe((const char *)in + at, (char *)out + used, (int)size,
                                  (int)min_u64(left, LZ4_LEGACY_BLOCK));
        if (got <= 0)
            return -EINVAL;
        at += size;
        used += (size_t)got;
    }
    *done = used;
    return 0;
}

static int unpack_xz(const uint8_t *in, size_t n, uint8_t *out, size_t room, size_t *done)
{
    uint64_t memory = UNPACK_XZ_MEMORY;
    size_t at = 0;

    *done = 0;
    if (lzma_stream_buffer_decode(&memory, 0, NULL, in, &at, n, out, done, room) != LZMA_OK)
        return -EINVAL;
    return 0;
}

static int unpack_zstd(const uint8_t *in, size_t n, uint8_t *out, size_t room, size_t *done)
{
    size_t frame = ZSTD_findFrameCompressedSize(in, n);

    if (ZSTD_isError(frame) || frame > n)
        return -EINVAL;
    *done = ZSTD_decompress(out, room, in, frame);
    return ZSTD_isError(*done) ? -EINVAL : 0;
}

static int unpack_gzip(const uint8_t *in, size_t n, uint8_t *out, size_t room, size_t *done)
{
    z_stream z = {.next_in = (Bytef *)in,
                  .avail_in = (uInt)n,
                  .next_out = out,
                  .avail_out = (uInt)min_u64(room, UINT32_MAX)};
    int rc;

    if (n > UINT32_MAX || inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
        return -EINVAL;
    rc = inflate(&z, Z_FINISH);
    *done = z.total_out;
    inflateEnd(&z);
    return rc == Z_STREAM_END ? 0 : -EINVAL;
}

int boot_unpack(const uint8_t *in, size_t n, uint8_t *out, size_t room, size_t *done)
{
    if (n < 16)
        return -EINVAL;
    if (le32_at(in) == LZ4_LEGACY_MAGIC)
        return unpack_lz4(in, n, out, room, done);
    if (memcmp(in,
               "\375"
               "7zXZ",
               6) == 0)
        return unpack_xz(in, n, out, room, done);
    if (le32_at(in) == ZSTD_MAGICNUMBER)
        return unpack_zstd(in, n, out, room, done);
    if (in[0] == 0x1f && in[1] == 0x8b)
        return unpack_gzip(in, n, out, room, done);
    return -ENOTSUP;
}
