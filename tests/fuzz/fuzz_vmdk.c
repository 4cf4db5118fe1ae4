/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMDK: descriptors, sparse extents, streams, COWD and seSparse. The first byte chooses whether the
 * rest is opened for reading or writing, checked, or repaired; a repaired image must be sound.
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
#include "storage/format/vmdk.h"
#include "storage/image.h"

enum { PIECES = 8, PIECE = 16 * 1024, EXTENTS = 2000 };

static struct disk *file_of(const uint8_t *data, size_t size, bool readonly)
{
    int fd = memfd_create("x.vmdk", MFD_CLOEXEC);
    struct disk *file;
    struct err e;

    if (fd < 0 || write(fd, data, size) != (ssize_t)size ||
        file_adopt(fd, "x.vmdk", readonly, NULL, &file, &e) < 0)
        abort();
    return file;
}

static int walk(void *arg, const struct extent *x)
{
    uint64_t *at = arg;

    assert(x->off == at[0] && x->len > 0);
    at[0] += x->len;
    return ++at[1] >= EXTENTS;
}

static void work(struct disk *d, bool writes)
{
    static uint8_t buf[PIECE];
    uint64_t bytes = d->shape.bytes, step = align_down(bytes / PIECES, 512) + 512, at[2] = {0};

    if (disk_extents(d, 0, bytes, walk, at) == 0)
        assert(at[0] == bytes);
    for (unsigned i = 0; i < PIECES && i * step < bytes; i++) {
        size_t n = align_down(min_u64(PIECE, bytes - i * step), 512);

        (void)!disk_read(d, i * step, buf, n);
        if (writes) {
            (void)!disk_write(d, i * step, buf, n);
            (void)!disk_zero(d, i * step, n, i % 2);
        }
    }
    if (writes)
        (void)!disk_flush(d);
}

static void descriptor(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    struct vmdk_desc d;
    struct err e = {0};

    memcpy(text, data, size);
    text[size] = '\0';
    (void)vmdk_desc_probe(data, size);
    if (vmdk_desc_parse(&d, text, strlen(text), "x.vmdk", &e) < 0)
        assert(e.code > 0 && e.msg[0]);
    for (size_t i = 0; i < d.n; i++) {
        char *name = d.lines[i].name ? vmdk_desc_name(&d, d.lines[i].name) : NULL;

        assert(d.lines[i].sectors_at < size);
        free(name);
    }
    assert(d.cid_at + d.cid_digits <= size && d.long_at + (d.long_at ? 8 : 0) <= size);
    vmdk_desc_free(&d);
    free(text);
}

static unsigned check(struct disk *file, bool repair)
{
    struct disk_cfg c = {.path = "x.vmdk", .no_chain = true, .no_lock = true, .readonly = !repair};
    struct image_report rep = {0};
    struct err e = {0};

    if (vmdk_check(file, &c, repair, &rep, &e) < 0) {
        assert(e.code > 0 && e.msg[0]);
        return 0;
    }
    return (unsigned)rep.errors;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct disk_cfg c = {.path = "x.vmdk", .format = "vmdk", .no_chain = true, .no_lock = true};
    struct err e = {0};
    struct disk *d;

    if (size < 2)
        return 0;
    switch (data[0] % 4) {
    case 0:
    case 1:
        if (data[0] & 4)
            descriptor(data + 1, size - 1);
        c.readonly = !(data[0] & 1);
        d = file_of(data + 1, size - 1, c.readonly);
        if (disk_open_file(d, &c, NULL, &d, &e) < 0) {
            assert(e.code > 0 && e.msg[0]);
            return 0;
        }
        work(d, !c.readonly);
        disk_close(d);
        break;
    case 2:
        d = file_of(data + 1, size - 1, true);
        (void)check(d, false);
        disk_close(d);
        break;
    case 3: /* what was mended needs no mending */
        d = file_of(data + 1, size - 1, false);
        if (check(d, true) == 0)
            assert(check(d, false) == 0);
        disk_close(d);
        break;
    }
    return 0;
}
