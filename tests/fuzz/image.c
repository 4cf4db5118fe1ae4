/* SPDX-License-Identifier: Apache-2.0 */
/* image.c - see image.h. */
#define _GNU_SOURCE
#include "image.h"

#include <assert.h>
#include <stdlib.h>

#include "core/err.h"
#include "storage/file.h"
#include "storage/format/format.h"
#include "storage/image.h"

enum { READ_PIECE = 64 * 1024, PIECES = 16, EXTENTS = 5000, RESIZE_MOST = 8 << 20 };

struct disk *image_file(int fd, bool readonly)
{
    struct disk *file;
    struct err e;

    if (file_adopt(fd, "image", readonly, NULL, &file, &e) < 0)
        abort();
    return file;
}

struct walk {
    uint64_t at;
    unsigned count;
};

static int walk_extent(void *arg, const struct extent *x)
{
    struct walk *w = arg;

    assert(x->off == w->at && x->len > 0);
    w->at += x->len;
    return ++w->count >= EXTENTS;
}

static void work(struct disk *d, bool writes)
{
    static uint8_t buf[READ_PIECE];
    uint64_t bytes = d->shape.bytes, step = align_down(bytes / PIECES, 512) + 512;
    struct walk w = {0};

    if (disk_extents(d, 0, bytes, walk_extent, &w) == 0)
        assert(w.at == bytes);
    for (unsigned i = 0; i < PIECES; i++) {
        uint64_t off = align_down(i * step, d->shape.logical);
        size_t n;

        if (off >= bytes)
            break;
        n = align_down(min_u64(sizeof(buf), bytes - off), d->shape.logical);
        (void)!disk_read(d, off, buf, n);
        if (writes) {
            (void)!disk_write(d, off, buf, n);
            (void)!disk_zero(d, off, n, i % 2);
        }
    }
    if (writes)
        (void)!disk_flush(d);
}

/* The disk gets another size, by a little, and is used on. */
static void resize(struct disk *d, bool grow)
{
    uint64_t old = d->shape.bytes, by = min_u64(align_down(old / 2, 4096), RESIZE_MOST) + 4096;
    struct err e = {0};

    if (grow ? old > INT64_MAX - by : old <= by)
        return;
    if (image_resize(d, grow ? old + by : old - by, &e) < 0)
        assert(e.code > 0 && e.msg[0]);
    else
        assert(d->shape.bytes == (grow ? old + by : old - by));
    work(d, true);
}

static void check(struct disk *file, bool repair)
{
    struct disk_cfg c = {.path = "image", .no_chain = true, .no_lock = true, .readonly = !repair};
    struct image_report rep = {0};
    const struct format_ops *f;
    struct err e = {0};

    if (format_choose(file, &c, &f, &e) == 0 && f->check &&
        f->check(file, &c, repair, &rep, &e) < 0)
        assert(e.code > 0 && e.msg[0]);
    disk_close(file);
}

void image_use(struct disk *file, unsigned flags)
{
    struct disk_cfg c = {.path = "image", .no_chain = true, .no_lock = true};
    struct facts f = {0};
    struct err e = {0};
    struct disk *d;

    if (flags & IMAGE_CHECKS) {
        check(file, flags & IMAGE_WRITES);
        return;
    }
    c.readonly = !(flags & IMAGE_WRITES);
    if (disk_open_file(file, &c, NULL, &d, &e) < 0) {
        assert(e.code > 0 && e.msg[0]);
        return;
    }
    work(d, flags & IMAGE_WRITES);
    if (flags & IMAGE_WRITES && flags & IMAGE_GROWS)
        resize(d, true);
    if (flags & IMAGE_WRITES && flags & IMAGE_SHRINKS)
        resize(d, false);
    if (d->format && d->format->facts)
        d->format->facts(d, &f);
    facts_free(&f);
    disk_close(d);
}
