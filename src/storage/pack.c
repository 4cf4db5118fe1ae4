/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack.c - isa-l, zlib, libdeflate and libzstd behind one face; see
 * docs/decisions/0002-dependencies.md.
 *
 * Readers of qcow2 may inflate with a window of 4 KiB, which libdeflate cannot promise; isa-l and
 * zlib can. For reading the window does not matter: the whole output is there.
 */
#include "storage/pack.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <libdeflate.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "storage/matches.h"

enum {
    DEFLATE_WINDOW_BITS = 12,
    DEFLATE_MEMORY = 8, /* zlib's own default */
    ISAL_LEVELS = 3,    /* zlib's own ones above */
    DEFLATE_LEVEL = 3,
    ZLIB_LEVEL = 5,
    ZSTD_LEVEL = 3
};

/* What finding matches takes, of which little is ever touched. */
struct zstd_work {
    struct matches m;
    ZSTD_Sequence v[MATCHES_MOST];
    /* libzstd 1.5.4 writes past the end of a smaller buffer when it takes sequences. */
    uint8_t out[ZSTD_COMPRESSBOUND(MATCHES_BLOCK) + 64];
};

struct tools {
    struct isal_zstream isal;
    uint8_t *isal_level;
    z_stream deflate;
    unsigned deflate_level; /* 0: none; likewise below */
    struct libdeflate_compressor *zlib;
    unsigned zlib_level;
    struct libdeflate_decompressor *inflate;
    ZSTD_CCtx *zstd;
    unsigned zstd_level; /* 0: ours */
    struct zstd_work *zstd_work;
    ZSTD_DCtx *unzstd;
};

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void drop(void *arg)
{
    struct tools *t = arg;

    if (t->deflate_level)
        (void)deflateEnd(&t->deflate);
    libdeflate_free_compressor(t->zlib);
    libdeflate_free_decompressor(t->inflate);
    free(t->zstd_work);
    ZSTD_freeCCtx(t->zstd);
    ZSTD_freeDCtx(t->unzstd);
    free(t->isal_level);
    free(t);
}

static void make_key(void)
{
    (void)!pthread_key_create(&key, drop);
}

/* This thread's; NULL: no memory. */
static struct tools *tools(void)
{
    struct tools *t;

    pthread_once(&once, make_key);
    t = pthread_getspecific(key);
    if (!t) {
        t = calloc(1, sizeof(*t));
        if (t && pthread_setspecific(key, t) != 0) {
            free(t);
            t = NULL;
        }
    }
    return t;
}

/* With isa-l, many times as fast as zlib and 7 to 9 % larger. */
static size_t deflate_fast(struct tools *t, const uint8_t *in, size_t n, uint8_t *out, size_t room,
                           unsigned level)
{
    struct isal_zstream *z = &t->isal;

    if (!t->isal_level)
        t->isal_level = malloc(ISAL_DEF_LVL3_DEFAULT);
    if (!t->isal_level)
        return 0;
    isal_deflate_init(z);
    z->level = level;
    z->level_buf = t->isal_level;
    z->level_buf_size = level == 1   ? ISAL_DEF_LVL1_DEFAULT
                        : level == 2 ? ISAL_DEF_LVL2_DEFAULT
                                     : ISAL_DEF_LVL3_DEFAULT;
    z->hist_bits = DEFLATE_WINDOW_BITS;
    z->gzip_flag = IGZIP_DEFLATE;
    z->end_of_stream = 1;
    z->flush = NO_FLUSH;
    z->next_in = (uint8_t *)in;
    z->avail_in = (uint32_t)n;
    z->next_out = out;
    z->avail_out = (uint32_t)room;
    if (isal_deflate(z) != COMP_OK || z->internal_state.state != ZSTATE_END)
        return 0;
    return z->total_out;
}

static size_t deflate_small(struct tools *t, const uint8_t *in, size_t n, uint8_t *out, size_t room,
                            unsigned level)
{
    z_stream *z = &t->deflate;

    if (t->deflate_level != level) {
        if (t->deflate_level)
            (void)deflateEnd(z);
        t->deflate_level = 0;
        *z = (z_stream){0};
        if (deflateInit2(z, (int)level, Z_DEFLATED, -DEFLATE_WINDOW_BITS, DEFLATE_MEMORY,
                         Z_DEFAULT_STRATEGY) != Z_OK)
            return 0;
        t->deflate_level = level;
    } else if (deflateReset(z) != Z_OK) {
        return 0;
    }
    z->next_in = (uint8_t *)in;
    z->avail_in = (uInt)n;
    z->next_out = out;
    z->avail_out = (uInt)room;
    return deflate(z, Z_FINISH) == Z_STREAM_END ? z->total_out : 0;
}

size_t pack_deflate(const uint8_t *in, size_t n, uint8_t *out, size_t room, unsigned level)
{
    struct tools *t = tools();

    if (!t)
        return 0;
    if (level <= ISAL_LEVELS)
        return deflate_fast(t, in, n, out, room, level ? level : DEFLATE_LEVEL);
    return deflate_small(t, in, n, out, room, level);
}

size_t pack_zlib(const uint8_t *in, size_t n, uint8_t *out, size_t room, unsigned level)
{
    struct tools *t = tools();

    level = level ? level : ZLIB_LEVEL;
    if (t && t->zlib_level != level) {
        libdeflate_free_compressor(t->zlib);
        t->zlib = libdeflate_alloc_compressor((int)level);
        t->zlib_level = t->zlib ? level : 0;
    }
    return t && t->zlib ? libdeflate_zlib_compress(t->zlib, in, n, out, room) : 0;
}

size_t pack_zlib_stored(const uint8_t *in, size_t n, uint8_t *out, size_t room)
{
    enum { BLOCK = 65535 };
    uint32_t sum = libdeflate_adler32(1, in, n);
    size_t blocks = n ? (n + BLOCK - 1) / BLOCK : 1, at = 2;

    if (room < n + blocks * 5 + 6)
        return 0;
    out[0] = 0x78; /* deflate, a window of 32 KiB */
    out[1] = 0x01;
    for (size_t i = 0; i < blocks; i++) {
        size_t len = min_u64(n - i * BLOCK, BLOCK);

        out[at] = i + 1 == blocks; /* the last one; stored */
        out[at + 1] = (uint8_t)len;
        out[at + 2] = (uint8_t)(len >> 8);
        out[at + 3] = (uint8_t)~len;
        out[at + 4] = (uint8_t)(~len >> 8);
        memcpy(out + at + 5, in + i * BLOCK, len);
        at += len + 5;
    }
    for (int shift = 24; shift >= 0; shift -= 8)
        out[at++] = (uint8_t)(sum >> shift);
    return at;
}

/* A level of libzstd; 0: entropy coding like level 3's, for matches that we find. */
static ZSTD_CCtx *new_zstd(unsigned level)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();

    if (!c)
        return NULL;
    ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level ? (int)level : ZSTD_LEVEL);
    if (level == 0) {
        ZSTD_CCtx_setParameter(c, ZSTD_c_strategy, ZSTD_dfast);
        ZSTD_CCtx_setParameter(c, ZSTD_c_minMatch, 4);
        ZSTD_CCtx_setParameter(c, ZSTD_c_hashLog, ZSTD_HASHLOG_MIN); /* not looked into */
        ZSTD_CCtx_setParameter(c, ZSTD_c_chainLog, ZSTD_CHAINLOG_MIN);
        ZSTD_CCtx_setParameter(c, ZSTD_c_blockDelimiters, ZSTD_sf_explicitBlockDelimiters);
        ZSTD_CCtx_setParameter(c, ZSTD_c_searchForExternalRepcodes, ZSTD_ps_enable);
    }
    return c;
}

/* The length, 0: it does not fit, or this libzstd does not want our sequences. */
static size_t zstd_matches(struct tools *t, const uint8_t *in, size_t n, uint8_t *out, size_t room)
{
    size_t len;

    if (!t->zstd_work)
        t->zstd_work = malloc(sizeof(*t->zstd_work));
    if (!t->zstd_work)
        return 0;
    len = matches_find(&t->zstd_work->m, in, n, t->zstd_work->v);
    len = ZSTD_compressSequences(t->zstd, t->zstd_work->out, sizeof(t->zstd_work->out),
                                 t->zstd_work->v, len, in, n);
    if (ZSTD_isError(len) || len > room)
        return 0;
    memcpy(out, t->zstd_work->out, len);
    return len;
}

size_t pack_zstd(const uint8_t *in, size_t n, uint8_t *out, size_t room, unsigned level)
{
    struct tools *t = tools();
    bool ours = level == 0 && n <= MATCHES_BLOCK;
    size_t len;

    if (!ours && level == 0)
        level = ZSTD_LEVEL;
    if (t && (!t->zstd || t->zstd_level != level)) {
        ZSTD_freeCCtx(t->zstd);
        t->zstd = new_zstd(level);
        t->zstd_level = level;
    }
    if (!t || !t->zstd)
        return 0;
    if (ours)
        return zstd_matches(t, in, n, out, room);
    len = ZSTD_compress2(t->zstd, out, room, in, n);
    return ZSTD_isError(len) ? 0 : len;
}

static struct libdeflate_decompressor *inflater(void)
{
    struct tools *t = tools();

    if (t && !t->inflate)
        t->inflate = libdeflate_alloc_decompressor();
    return t ? t->inflate : NULL;
}

int unpack_deflate(const uint8_t *in, size_t n, uint8_t *out, size_t len)
{
    struct libdeflate_decompressor *d = inflater();

    if (!d)
        return -ENOMEM;
    return libdeflate_deflate_decompress(d, in, n, out, len, NULL) == LIBDEFLATE_SUCCESS ? 0 : -EIO;
}

int unpack_zlib(const uint8_t *in, size_t n, uint8_t *out, size_t len)
{
    struct libdeflate_decompressor *d = inflater();

    if (!d)
        return -ENOMEM;
    return libdeflate_zlib_decompress(d, in, n, out, len, NULL) == LIBDEFLATE_SUCCESS ? 0 : -EIO;
}

/* The stream form: what follows the frame is not looked at. */
int unpack_zstd(const uint8_t *in, size_t n, uint8_t *out, size_t len)
{
    struct tools *t = tools();
    ZSTD_inBuffer i = {in, n, 0};
    ZSTD_outBuffer o = {out, len, 0};

    if (t && !t->unzstd)
        t->unzstd = ZSTD_createDCtx();
    if (!t || !t->unzstd)
        return -ENOMEM;
    ZSTD_DCtx_reset(t->unzstd, ZSTD_reset_session_only);
    while (o.pos < len) {
        size_t before = o.pos + i.pos;
        size_t rc = ZSTD_decompressStream(t->unzstd, &o, &i);

        if (ZSTD_isError(rc) || (o.pos < len && (rc == 0 || before == o.pos + i.pos)))
            return -EIO;
    }
    return 0;
}
