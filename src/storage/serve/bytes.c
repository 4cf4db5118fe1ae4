/* SPDX-License-Identifier: Apache-2.0 */
/* bytes.c - see bytes.h. */
#include "storage/serve/bytes.h"

#include <errno.h>
#include <string.h>

enum { BLOCK_MAX = 4096 };

void bytes_init(struct bytes *b, struct disk *d)
{
    b->d = d;
    ranges_init(&b->busy);
}

void bytes_fini(struct bytes *b)
{
    ranges_fini(&b->busy);
}

static uint32_t block(const struct bytes *b)
{
    return b->d->shape.logical;
}

static bool whole(const struct bytes *b, uint64_t off, uint64_t len)
{
    return ((off | len) & (block(b) - 1)) == 0;
}

static bool inside(const struct bytes *b, uint64_t off, uint64_t len)
{
    return range_in(off, len, b->d->shape.bytes);
}

int bytes_try(struct bytes *b, enum disk_op op, uint64_t off, void *buf, size_t len)
{
    struct iovec iov = {.iov_base = buf, .iov_len = len};
    struct disk_req r = {.op = op, .off = off, .len = len, .iov = &iov, .iovcnt = 1};
    struct range g;
    int rc;

    if (!whole(b, off, len))
        return -EAGAIN;
    if (op == DISK_READ)
        return disk_try(b->d, &r);
    if (!ranges_try(&b->busy, &g, off, len))
        return -EAGAIN;
    rc = disk_try(b->d, &r);
    ranges_drop(&b->busy, &g);
    return rc;
}

/* The part of [off, off+len) in its first block; the whole of it when it is aligned so far. */
static size_t head_of(const struct bytes *b, uint64_t off, uint64_t len)
{
    uint64_t in = off & (block(b) - 1);

    if (in == 0 && len >= block(b))
        return align_down(len, block(b));
    return min_u64(block(b) - in, len);
}

int bytes_read(struct bytes *b, uint64_t off, void *buf, size_t len)
{
    uint8_t some[BLOCK_MAX], *to = buf;
    int rc = inside(b, off, len) && block(b) <= BLOCK_MAX ? 0 : -EINVAL;

    while (len && rc == 0) {
        size_t n = head_of(b, off, len), in = off & (block(b) - 1);

        if (whole(b, off, n)) {
            rc = disk_read(b->d, off, to, n);
        } else {
            rc = disk_read(b->d, off - in, some, block(b));
            memcpy(to, some + in, n);
        }
        off += n;
        to += n;
        len -= n;
    }
    return rc;
}

/* Changes part of one block; from NULL: to zeroes. */
static int change(struct bytes *b, uint64_t off, const uint8_t *from, size_t n)
{
    size_t in = off & (block(b) - 1);
    uint8_t some[BLOCK_MAX];
    int rc = disk_read(b->d, off - in, some, block(b));

    if (rc < 0)
        return rc;
    if (from)
        memcpy(some + in, from, n);
    else
        memset(some + in, 0, n);
    return disk_write(b->d, off - in, some, block(b));
}

/* Runs a writing request of any range; from NULL: zeroes, which unmap may deallocate. */
static int put(struct bytes *b, uint64_t off, const uint8_t *from, uint64_t len, bool unmap)
{
    int rc = block(b) <= BLOCK_MAX ? 0 : -EINVAL;
    struct range g;

    /* Two who change parts of one block must not overtake each other, nor one who writes all. */
    ranges_hold(&b->busy, &g, align_down(off, block(b)),
                align_up(off + len, block(b)) - align_down(off, block(b)));
    while (len && rc == 0) {
        uint64_t n = head_of(b, off, len);

        if (!whole(b, off, n))
            rc = change(b, off, from, n);
        else if (from)
            rc = disk_write(b->d, off, from, n);
        else
            rc = disk_zero(b->d, off, n, unmap);
        off += n;
        if (from)
            from += n;
        len -= n;
    }
    ranges_drop(&b->busy, &g);
    return rc;
}

int bytes_write(struct bytes *b, uint64_t off, const void *buf, size_t len, bool fua)
{
    int rc = inside(b, off, len) ? put(b, off, buf, len, false) : -ENOSPC;

    return rc == 0 && fua ? disk_flush(b->d) : rc;
}

int bytes_zero(struct bytes *b, uint64_t off, uint64_t len, bool unmap, bool fua)
{
    int rc = inside(b, off, len) ? put(b, off, NULL, len, unmap) : -ENOSPC;

    return rc == 0 && fua ? disk_flush(b->d) : rc;
}

int bytes_trim(struct bytes *b, uint64_t off, uint64_t len, bool fua)
{
    uint64_t from = align_up(off, block(b)), to = align_down(off + len, block(b));
    struct disk_req r = {.op = DISK_TRIM, .off = from, .len = to - from};
    int rc = 0;

    if (!inside(b, off, len))
        return -EINVAL;
    if (from < to)
        rc = disk_now(b->d, &r);
    return rc == 0 && fua ? disk_flush(b->d) : rc;
}
