/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image files of every format: probed, opened, mapped, read, written, checked and repaired. The
 * first byte chooses what is done, so that each way is found by itself.
 */
#define _GNU_SOURCE
#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/err.h"
#include "storage/file.h"
#include "storage/format/format.h"
#include "storage/image.h"

enum { READ_PIECE = 64 * 1024, PIECES = 16, EXTENTS = 5000 };

static struct disk *file_of(const uint8_t *data, size_t size, bool readonly)
{
    int fd = memfd_create("image", MFD_CLOEXEC);
    struct disk *file;
    struct err e;

    if (fd < 0 || write(fd, data, size) != (ssize_t)size ||
        file_adopt(fd, "image", readonly, NULL, &file, &e) < 0)
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

static void check(const uint8_t *data, size_t size, bool repair)
{
    struct disk *file = file_of(data, size, !repair);
    struct disk_cfg c = {.path = "image", .no_chain = true, .no_lock = true, .readonly = !repair};
    struct image_report rep = {0};
    const struct format_ops *f;
    struct err e = {0};

    if (format_choose(file, &c, &f, &e) == 0 && f->check &&
        f->check(file, &c, repair, &rep, &e) < 0)
        assert(e.code > 0 && e.msg[0]);
    disk_close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct disk_cfg c = {.path = "image", .no_chain = true, .no_lock = true};
    bool writes = size && data[0] & 1;
    struct err e = {0};
    struct disk *d;

    if (size < 2)
        return 0;
    if (data[0] & 2) {
        check(data + 1, size - 1, writes);
        return 0;
    }
    c.readonly = !writes;
    if (disk_open_file(file_of(data + 1, size - 1, !writes), &c, NULL, &d, &e) < 0) {
        assert(e.code > 0 && e.msg[0]);
        return 0;
    }
    work(d, writes);
    disk_close(d);
    return 0;
}
