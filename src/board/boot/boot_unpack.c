/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_unpack.c - the compressed payload of a bzImage: XZ, Zstandard, gzip.
 *
 * The input is hostile as far as this file is concerned: every decoder is given both sizes. What
 * follows the compressed stream (four bytes that repeat the size) is not looked at.
 */
#include <errno.h>
#include <lzma.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "abi/bytes.h"
#include "board/boot/boot_priv.h"

#define UNPACK_XZ                                                                                  \
    "\375"                                                                                         \
    "7zXZ" /* and a NUL */
#define UNPACK_XZ_MEMORY (UINT64_C(256) << 20)

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

bool boot_unpack_knows(const uint8_t magic[6])
{
    return memcmp(magic, UNPACK_XZ, 6) == 0 || le32_at(magic) == ZSTD_MAGICNUMBER ||
           (magic[0] == 0x1f && magic[1] == 0x8b);
}

int boot_unpack(const uint8_t *in, size_t n, uint8_t *out, size_t room, size_t *done)
{
    if (n < 16)
        return -EINVAL;
    if (memcmp(in, UNPACK_XZ, 6) == 0)
        return unpack_xz(in, n, out, room, done);
    if (le32_at(in) == ZSTD_MAGICNUMBER)
        return unpack_zstd(in, n, out, room, done);
    if (in[0] == 0x1f && in[1] == 0x8b)
        return unpack_gzip(in, n, out, room, done);
    return -ENOTSUP;
}
