/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_unpack.c - compressed kernels, in a bzImage or as files: LZ4, XZ, Zstandard, gzip.
 *
 * LZ4 is the "legacy frame" of doc/lz4_Frame_format.md (lz4 1.9.4): a magic number and blocks, each
 * with its packed size before it and with at most 8 MiB of plain bytes; blocks do not refer to each
 * other. They are read one at a time, the other kinds at once.
 *
 * The input is hostile as far as this file is concerned: it is read before it is looked at, because
 * the file may change meanwhile, and every decoder is given both sizes. What follows the compressed
 * stream (four bytes that repeat the size) is not looked at.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <lzma.h>
#include <string.h>
#include <sys/mman.h>
#include <zlib.h>
#include <zstd.h>

#include "abi/bytes.h"
#include "board/boot/boot_priv.h"

#define UNPACK_XZ                                                                                  \
    "\375"                                                                                         \
    "7zXZ" /* and a NUL */
#define UNPACK_XZ_MEMORY (UINT64_C(256) << 20)

enum {
    UNPACK_PACKED_MAX = 256 << 20,
    UNPACK_HUGE = 2 << 20,
    UNPACK_LZ4_MAGIC = 0x184c2102,
    UNPACK_LZ4_PLAIN = 8 << 20,  /* of a block */
    UNPACK_LZ4_PACKED = 9 << 20, /* more than 8 MiB that do not pack at all */
};

typedef int unpack_fn(const uint8_t *in, size_t n, uint8_t *out, size_t room, size_t *done);

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

/* Scratch memory: freed before the guest runs, on huge pages because it is used once. */
struct scratch {
    uint8_t *p;
    size_t size;
};

static bool scratch_make(struct scratch *s, size_t n)
{
    s->size = align_up(n, UNPACK_HUGE);
    s->p = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                -1, 0);
    if (s->p == MAP_FAILED)
        return false;
    madvise(s->p, s->size, MADV_HUGEPAGE);
    return true;
}

static void scratch_free(struct scratch *s)
{
    munmap(s->p, s->size);
}

/* The next block of an LZ4 frame, at *at; same answers as boot_unpack(), *at == 0 after the last.
 */
static int unpack_block(const struct boot_packed *in, uint64_t *at, const struct scratch *s,
                        uint8_t *out, size_t room, size_t *done, struct err *e)
{
    uint64_t left = in->len - *at;
    size_t n, made;
    uint8_t size[4];
    int rc;

    if (left <= sizeof(size)) {
        *at = 0; /* the size that follows the stream */
        return 1;
    }
    rc = boot_file_read(in->file, in->off + *at, size, sizeof(size), e);
    if (rc < 0)
        return rc;
    n = le32_at(size);
    if (n > s->size || n > left - sizeof(size))
        return 0;
    rc = boot_file_read(in->file, in->off + *at + sizeof(size), s->p, n, e);
    if (rc < 0)
        return rc;
    if (boot_lz4_block(s->p, n, out + *done, min_u64(room - *done, UNPACK_LZ4_PLAIN), &made) < 0)
        return 0;
    *done += made;
    *at += sizeof(size) + n;
    return 1;
}

static int unpack_lz4(const struct boot_packed *in, uint8_t *out, size_t room, size_t *done,
                      struct err *e)
{
    uint64_t at = 4;
    struct scratch s;
    int rc = 1;

    if (!scratch_make(&s, UNPACK_LZ4_PACKED))
        return 0;
    while (rc > 0 && at > 0)
        rc = unpack_block(in, &at, &s, out, room, done, e);
    scratch_free(&s);
    return rc;
}

static int unpack_whole(const struct boot_packed *in, unpack_fn *fn, uint8_t *out, size_t room,
                        size_t *done, struct err *e)
{
    struct scratch s;
    int rc;

    if (!scratch_make(&s, in->len))
        return 0;
    rc = boot_file_read(in->file, in->off, s.p, in->len, e);
    if (rc == 0)
        rc = fn(s.p, in->len, out, room, done) == 0;
    scratch_free(&s);
    return rc;
}

bool boot_unpack_is(const uint8_t magic[6])
{
    return le32_at(magic) == UNPACK_LZ4_MAGIC || le32_at(magic) == ZSTD_MAGICNUMBER ||
           memcmp(magic, UNPACK_XZ, 6) == 0 || (magic[0] == 0x1f && magic[1] == 0x8b);
}

int boot_unpack(const struct boot_packed *in, uint8_t *out, size_t room, size_t *done,
                struct err *e)
{
    uint8_t magic[6];
    int rc;

    *done = 0;
    if (in->len < 16 || in->len > UNPACK_PACKED_MAX)
        return 0;
    rc = boot_file_read(in->file, in->off, magic, sizeof(magic), e);
    if (rc < 0)
        return rc;
    if (le32_at(magic) == UNPACK_LZ4_MAGIC)
        return unpack_lz4(in, out, room, done, e);
    if (memcmp(magic, UNPACK_XZ, 6) == 0)
        return unpack_whole(in, unpack_xz, out, room, done, e);
    if (le32_at(magic) == ZSTD_MAGICNUMBER)
        return unpack_whole(in, unpack_zstd, out, room, done, e);
    if (magic[0] == 0x1f && magic[1] == 0x8b)
        return unpack_whole(in, unpack_gzip, out, room, done, e);
    return 0;
}
