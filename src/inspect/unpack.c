/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unpack.c - see unpack.h.
 *
 * Documents: RFC 1952, the xz file format 1.0.4, RFC 8878; Linux lib/decompress_unlz4.c for the
 * legacy lz4 frame, and lzop's header as Linux lib/decompress_unlzo.c reads it.
 */
#include "inspect/unpack.h"

#include <bzlib.h>
#include <errno.h>
#include <lz4.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "abi/bytes.h"
#include "inspect/lzo.h"

enum { LZ4_BLOCK = 8 << 20, LZO_BLOCK = 256 << 10, ZSTD_WINDOW_LOG = 25 };

struct unpack {
    enum unpack_kind kind;
    unpack_source *from;
    void *arg;
    uint64_t off; /* in the source, after what is in `in` */
    uint8_t in[UNPACK_CHUNK];
    size_t at, have; /* of `in` */
    bool end;        /* of the packed stream */
    union {
        z_stream gzip;
        lzma_stream xz;
        bz_stream bzip2;
        ZSTD_DStream *zstd;
        struct { /* formats of blocks: one is unpacked at a time */
            uint8_t *packed, *plain;
            size_t n, used, room;
            uint32_t flags;
        } block;
    };
};

enum unpack_kind unpack_probe(const uint8_t *b, size_t n)
{
    static const struct {
        const char *magic;
        size_t n;
        enum unpack_kind kind;
    } known[] = {
        {"\x1f\x8b\x08", 3, UNPACK_GZIP},
        {"\xfd"
         "7zXZ\0",
         6, UNPACK_XZ},
        {"\x5d\0\0", 3, UNPACK_LZMA},
        {"\x28\xb5\x2f\xfd", 4, UNPACK_ZSTD},
        {"BZh", 3, UNPACK_BZIP2},
        {"\x02\x21\x4c\x18", 4, UNPACK_LZ4},
        {"\x89LZO\0\r\n\x1a\n", 9, UNPACK_LZO},
    };

    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (n >= known[i].n && memcmp(b, known[i].magic, known[i].n) == 0)
            return known[i].kind;
    }
    return UNPACK_NONE;
}

const char *unpack_name(enum unpack_kind k)
{
    static const char *const names[] = {"none", "gzip",  "xz",  "lzma",
                                        "zstd", "bzip2", "lz4", "lzo"};

    return names[k];
}

/* More input into `in`, after what is unused. false: none, or an error, which is kept in *rc. */
static bool refill(struct unpack *u, int *rc)
{
    ssize_t got;

    memmove(u->in, u->in + u->at, u->have - u->at);
    u->have -= u->at;
    u->at = 0;
    if (u->have == sizeof(u->in))
        return false;
    got = u->from(u->arg, u->off, u->in + u->have, sizeof(u->in) - u->have);
    if (got < 0)
        *rc = (int)got;
    if (got <= 0)
        return false;
    u->off += (uint64_t)got;
    u->have += (size_t)got;
    return true;
}

/* Exactly n bytes of input, or -EIO. */
static int take(struct unpack *u, void *buf, size_t n)
{
    uint8_t *to = buf;
    int rc = -EIO;

    while (n > 0) {
        size_t part;

        if (u->at == u->have && !refill(u, &rc))
            return rc;
        part = (size_t)min_u64(n, u->have - u->at);
        memcpy(to, u->in + u->at, part);
        u->at += part;
        to += part;
        n -= part;
    }
    return 0;
}

/* --- blocks --- */

static int lz4_block(struct unpack *u)
{
    uint8_t b[4];
    uint32_t n;
    int rc = -EIO, got;

    /* The stream ends with the file, or where a length makes no sense: padding. */
    if (u->have - u->at < 4 && !refill(u, &rc) && u->have - u->at < 4) {
        u->end = true;
        return 0;
    }
    n = le32_at(u->in + u->at);
    if (n == 0 || n > (uint32_t)LZ4_COMPRESSBOUND(LZ4_BLOCK)) {
        u->end = true;
        return 0;
    }
    rc = take(u, b, 4);
    if (rc == 0)
        rc = take(u, u->block.packed, n);
    if (rc < 0)
        return rc;
    got = LZ4_decompress_safe((const char *)u->block.packed, (char *)u->block.plain, (int)n,
                              LZ4_BLOCK);
    if (got < 0)
        return -EIO;
    u->block.n = (size_t)got;
    u->block.used = 0;
    return 0;
}

/* After the two lengths come the checksums that the header's flags promise. */
static int lzo_block(struct unpack *u)
{
    uint8_t b[8], sums[16];
    uint32_t plain, packed;
    size_t extra = 0;
    ssize_t got;
    int rc = take(u, b, 4);

    plain = be32_at(b);
    if (rc < 0 || plain == 0) {
        u->end = true;
        return rc;
    }
    rc = take(u, b + 4, 4);
    packed = be32_at(b + 4);
    if (rc < 0 || plain > LZO_BLOCK || packed == 0 || packed > plain)
        return rc < 0 ? rc : -EIO;
    extra += (u->block.flags & 0x001) ? 4 : 0; /* Adler of the plain bytes */
    extra += (u->block.flags & 0x100) ? 4 : 0; /* CRC of them */
    if (packed < plain) {
        extra += (u->block.flags & 0x002) ? 4 : 0;
        extra += (u->block.flags & 0x200) ? 4 : 0;
    }
    rc = take(u, sums, extra);
    if (rc == 0)
        rc = take(u, packed < plain ? u->block.packed : u->block.plain, packed);
    if (rc < 0)
        return rc;
    got = packed < plain ? lzo1x_unpack(u->block.packed, packed, u->block.plain, plain)
                         : (ssize_t)plain;
    if (got != (ssize_t)plain)
        return -EIO;
    u->block.n = plain;
    u->block.used = 0;
    return 0;
}

static ssize_t block_read(struct unpack *u, uint8_t *buf, size_t len)
{
    while (u->block.used == u->block.n && !u->end) {
        int rc = u->kind == UNPACK_LZ4 ? lz4_block(u) : lzo_block(u);

        if (rc < 0)
            return rc;
    }
    if (u->end)
        return 0;
    len = (size_t)min_u64(len, u->block.n - u->block.used);
    memcpy(buf, u->block.plain + u->block.used, len);
    u->block.used += len;
    return (ssize_t)len;
}

static int lzo_header(struct unpack *u)
{
    uint8_t b[64] = {0};
    unsigned version, name;
    int rc = take(u, b, 9 + 7); /* magic, version, library's version, version needed, method */

    if (rc < 0)
        return rc;
    version = be16_at(b + 9);
    if (version >= 0x0940) /* has the version that is needed, and so 2 bytes more, and a level */
        rc = take(u, b + 16, 1);
    if (rc == 0)
        rc = take(u, b, 4);
    u->block.flags = be32_at(b);
    if (rc == 0 && (u->block.flags & 0x800)) /* a filter, which Linux does not know either */
        return -ENOTSUP;
    if (rc == 0)
        rc = take(u, b, version >= 0x0940 ? 12 : 8); /* mode, time, its upper half */
    if (rc == 0)
        rc = take(u, b, 1);
    name = b[0];
    for (unsigned i = 0; rc == 0 && i < name + 4; i++) /* the name, a checksum */
        rc = take(u, b, 1);
    return rc;
}

static int block_open(struct unpack *u)
{
    uint8_t magic[4];

    u->block.room = u->kind == UNPACK_LZ4 ? LZ4_BLOCK : LZO_BLOCK;
    u->block.plain = malloc(u->block.room);
    u->block.packed = malloc((size_t)LZ4_COMPRESSBOUND(u->block.room));
    if (!u->block.plain || !u->block.packed)
        return -ENOMEM;
    return u->kind == UNPACK_LZ4 ? take(u, magic, 4) : lzo_header(u);
}

/* --- streams --- */

static int gzip_step(struct unpack *u, uint8_t **to, size_t *room)
{
    int rc;

    u->gzip.next_in = u->in + u->at;
    u->gzip.avail_in = (unsigned)(u->have - u->at);
    u->gzip.next_out = *to;
    u->gzip.avail_out = (unsigned)*room;
    rc = inflate(&u->gzip, Z_NO_FLUSH);
    u->at = u->have - u->gzip.avail_in;
    *to = u->gzip.next_out;
    *room = u->gzip.avail_out;
    u->end = rc == Z_STREAM_END;
    return rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR ? 0 : -EIO;
}

static int xz_step(struct unpack *u, uint8_t **to, size_t *room)
{
    lzma_ret rc;

    u->xz.next_in = u->in + u->at;
    u->xz.avail_in = u->have - u->at;
    u->xz.next_out = *to;
    u->xz.avail_out = *room;
    rc = lzma_code(&u->xz, LZMA_RUN);
    u->at = u->have - u->xz.avail_in;
    *to = u->xz.next_out;
    *room = u->xz.avail_out;
    u->end = rc == LZMA_STREAM_END;
    if (rc == LZMA_MEMLIMIT_ERROR)
        return -ENOMEM;
    return rc == LZMA_OK || rc == LZMA_STREAM_END || rc == LZMA_BUF_ERROR ? 0 : -EIO;
}

static int bzip2_step(struct unpack *u, uint8_t **to, size_t *room)
{
    int rc;

    u->bzip2.next_in = (char *)u->in + u->at;
    u->bzip2.avail_in = (unsigned)(u->have - u->at);
    u->bzip2.next_out = (char *)*to;
    u->bzip2.avail_out = (unsigned)*room;
    rc = BZ2_bzDecompress(&u->bzip2);
    u->at = u->have - u->bzip2.avail_in;
    *to = (uint8_t *)u->bzip2.next_out;
    *room = u->bzip2.avail_out;
    u->end = rc == BZ_STREAM_END;
    return rc == BZ_OK || rc == BZ_STREAM_END ? 0 : -EIO;
}

static int zstd_step(struct unpack *u, uint8_t **to, size_t *room)
{
    ZSTD_inBuffer in = {u->in + u->at, u->have - u->at, 0};
    ZSTD_outBuffer out = {*to, *room, 0};
    size_t rc = ZSTD_decompressStream(u->zstd, &out, &in);

    u->at += in.pos;
    *to += out.pos;
    *room -= out.pos;
    u->end = rc == 0;
    return ZSTD_isError(rc) ? -EIO : 0;
}

static int step(struct unpack *u, uint8_t **to, size_t *room)
{
    switch (u->kind) {
    case UNPACK_GZIP:
        return gzip_step(u, to, room);
    case UNPACK_XZ:
    case UNPACK_LZMA:
        return xz_step(u, to, room);
    case UNPACK_BZIP2:
        return bzip2_step(u, to, room);
    default:
        return zstd_step(u, to, room);
    }
}

ssize_t unpack_read(struct unpack *u, void *buf, size_t len)
{
    uint8_t *to = buf;
    size_t room = len;

    if (u->end)
        return 0;
    if (u->kind == UNPACK_LZ4 || u->kind == UNPACK_LZO)
        return block_read(u, buf, len);
    while (room == len && !u->end) {
        size_t was;
        int rc = 0;

        if (u->at == u->have && !refill(u, &rc))
            return rc < 0 ? rc : -EIO; /* the stream is cut short */
        was = u->at;
        rc = step(u, &to, &room);
        if (rc < 0)
            return rc;
        if (u->at == was && room == len && !u->end && u->have - u->at == sizeof(u->in))
            return -EIO; /* no progress */
        if (u->at == was && room == len && !u->end && !refill(u, &rc))
            return rc < 0 ? rc : -EIO;
    }
    return (ssize_t)(len - room);
}

static int stream_open(struct unpack *u)
{
    lzma_stream none = LZMA_STREAM_INIT;

    switch (u->kind) {
    case UNPACK_GZIP:
        return inflateInit2(&u->gzip, 15 + 16) == Z_OK ? 0 : -ENOMEM;
    case UNPACK_XZ:
        u->xz = none;
        return lzma_stream_decoder(&u->xz, UNPACK_MEMORY, LZMA_IGNORE_CHECK) == LZMA_OK ? 0
                                                                                        : -ENOMEM;
    case UNPACK_LZMA:
        u->xz = none;
        return lzma_alone_decoder(&u->xz, UNPACK_MEMORY) == LZMA_OK ? 0 : -ENOMEM;
    case UNPACK_BZIP2:
        return BZ2_bzDecompressInit(&u->bzip2, 0, 1) == BZ_OK ? 0 : -ENOMEM;
    case UNPACK_ZSTD:
        u->zstd = ZSTD_createDStream();
        if (!u->zstd)
            return -ENOMEM;
        (void)ZSTD_DCtx_setParameter(u->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
        return 0;
    case UNPACK_LZ4:
    case UNPACK_LZO:
        return block_open(u);
    default:
        return -EINVAL;
    }
}

int unpack_open(enum unpack_kind k, unpack_source *from, void *arg, uint64_t off,
                struct unpack **out)
{
    struct unpack *u = calloc(1, sizeof(*u));
    int rc;

    if (!u)
        return -ENOMEM;
    u->kind = k;
    u->from = from;
    u->arg = arg;
    u->off = off;
    rc = stream_open(u);
    if (rc < 0)
        unpack_close(u);
    else
        *out = u;
    return rc;
}

uint64_t unpack_tell(const struct unpack *u)
{
    return u->off - (u->have - u->at);
}

void unpack_close(struct unpack *u)
{
    if (!u)
        return;
    if (u->kind == UNPACK_GZIP)
        (void)inflateEnd(&u->gzip);
    else if (u->kind == UNPACK_XZ || u->kind == UNPACK_LZMA)
        lzma_end(&u->xz);
    else if (u->kind == UNPACK_BZIP2)
        (void)BZ2_bzDecompressEnd(&u->bzip2);
    else if (u->kind == UNPACK_ZSTD)
        ZSTD_freeDStream(u->zstd);
    else if (u->kind != UNPACK_NONE) {
        free(u->block.packed);
        free(u->block.plain);
    }
    free(u);
}
