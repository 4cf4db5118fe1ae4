/* SPDX-License-Identifier: Apache-2.0 */
/* btrfs_unpack.c - the three compressions of btrfs, one extent at a time; see btrfs.h. */
#include <errno.h>
#include <zlib.h>
#include <zstd.h>

#include "abi/bytes.h"
#include "inspect/fs/btrfs.h"
#include "inspect/lzo.h"

static ssize_t zlib_extent(const uint8_t *in, size_t n, uint8_t *out, size_t room)
{
    z_stream z = {.next_in = (uint8_t *)in,
                  .avail_in = (unsigned)n,
                  .next_out = out,
                  .avail_out = (unsigned)room};
    int rc;

    if (inflateInit(&z) != Z_OK)
        return -ENOMEM;
    rc = inflate(&z, Z_FINISH);
    (void)inflateEnd(&z);
    return rc == Z_STREAM_END || rc == Z_BUF_ERROR ? (ssize_t)(room - z.avail_out) : -EIO;
}

/* Each segment is a sector unpacked; its length does not cross the end of a sector. */
static ssize_t lzo_extent(const uint8_t *in, size_t n, uint8_t *out, size_t room, uint32_t sector)
{
    size_t at = 4, done = 0, total = n >= 4 ? min_u64(le32_at(in), n) : 0;

    while (at + 4 <= total && done < room) {
        size_t len = le32_at(in + at);
        ssize_t got;

        at += 4;
        if (len > total - at)
            return -EIO;
        got = lzo1x_unpack(in + at, len, out + done, (size_t)min_u64(room - done, sector));
        if (got < 0)
            return got;
        done += (size_t)got;
        at += len;
        if (sector - at % sector < 4)
            at += sector - at % sector;
    }
    return (ssize_t)done;
}

static ssize_t zstd_extent(const uint8_t *in, size_t n, uint8_t *out, size_t room)
{
    ZSTD_DStream *z = ZSTD_createDStream();
    ZSTD_inBuffer from = {in, n, 0};
    ZSTD_outBuffer to = {out, room, 0};
    size_t rc = 1;

    if (!z)
        return -ENOMEM;
    (void)ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, 20);
    while (rc != 0 && !ZSTD_isError(rc) && from.pos < from.size && to.pos < to.size) {
        size_t was = from.pos + to.pos;

        rc = ZSTD_decompressStream(z, &to, &from);
        if (from.pos + to.pos == was)
            break;
    }
    ZSTD_freeDStream(z);
    return ZSTD_isError(rc) ? -EIO : (ssize_t)to.pos;
}

ssize_t btrfs_unpack(unsigned how, const uint8_t *in, size_t n, uint8_t *out, size_t room,
                     uint32_t sector)
{
    switch (how) {
    case 1:
        return zlib_extent(in, n, out, room);
    case 2:
        return lzo_extent(in, n, out, room, sector);
    case 3:
        return zstd_extent(in, n, out, room);
    default:
        return -ENOTSUP;
    }
}
