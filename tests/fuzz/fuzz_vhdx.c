/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VHDX files are too long and too well summed for changes at random to get far. An input changes
 * places of a good one, and the sums are made right afterwards:
 *
 *   what to do (as fuzz_image has it; bits 2 and 3: which file; 4: leave the sums)
 *   changes: part of the file (1), offset in it (2), length (1), bytes
 */
#define _GNU_SOURCE
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/cfg.h"
#include "core/err.h"
#include "image.h"
#include "storage/file.h"
#include "storage/format/format.h"
#include "storage/format/vhdx.h"

enum { FILES = 4, LOG = 1 << 20, METADATA = 2 << 20, BAT = 3 << 20, BLOCKS = 4 << 20 };

/* What of a good file is not zero: pages of 4 KiB. */
struct good {
    uint64_t size;
    size_t n;
    struct {
        uint64_t off;
        uint8_t data[4096];
    } page[128];
};
static struct good files[FILES];

static const struct part {
    uint32_t off, len, size; /* size: of each summed structure there; 0: none */
} parts[] = {
    {0, 1024, 0},
    {VHDX_HEADER_1, 128, 4096},
    {VHDX_HEADER_2, 128, 4096},
    {VHDX_REGION_TABLE_1, 256, VHDX_TABLE_SIZE},
    {VHDX_REGION_TABLE_2, 256, VHDX_TABLE_SIZE},
    {LOG, 32768, 0},
    {METADATA, 512, 0},
    {METADATA + VHDX_TABLE_SIZE, 1024, 0},
    {BAT, 512, 0},
    {BLOCKS, 65535, 0},
};

static void keep(struct good *g, int fd)
{
    static const uint8_t none[4096];
    uint8_t buf[4096];

    g->size = (uint64_t)lseek(fd, 0, SEEK_END);
    for (uint64_t off = 0; off < g->size && g->n < 128; off += sizeof(buf)) {
        if (pread(fd, buf, sizeof(buf), (off_t)off) != sizeof(buf) ||
            memcmp(buf, none, sizeof(buf)) == 0)
            continue;
        g->page[g->n].off = off;
        memcpy(g->page[g->n++].data, buf, sizeof(buf));
    }
}

static void make(struct good *g, const char *options, bool child, bool dirty)
{
    int fd = memfd_create("good", MFD_CLOEXEC), parent = memfd_create("parent", MFD_CLOEXEC);
    struct disk_cfg c = {.path = "good", .no_chain = true, .no_lock = true, .format = "vhdx"};
    struct image_make k = {.path = "good", .bytes = 64 * MiB, .backing = "p.raw"};
    struct disk *file, *d;
    struct err e;

    if (cfg_create(&k.opts, &e) < 0 || cfg_parse(k.opts, options, NULL, &e) < 0 ||
        ftruncate(parent, 64 << 20) < 0)
        abort();
    k.parent = child ? image_file(parent, true) : NULL;
    file = image_file(dup(fd), false);
    if (vhdx_create(file, &k, &e) < 0)
        abort();
    disk_close(file);
    disk_close(k.parent);
    cfg_destroy(k.opts);
    if (disk_open_file(image_file(dup(fd), false), &c, NULL, &d, &e) < 0)
        abort();
    for (unsigned i = 0; i < 4; i++) {
        static uint8_t buf[4096];

        memset(buf, (int)i + 1, sizeof(buf));
        if (disk_write(d, i * 3 * MiB, buf, sizeof(buf)) < 0 || disk_flush(d) < 0)
            abort();
    }
    if (dirty)
        keep(g, fd);
    disk_close(d);
    if (!dirty)
        keep(g, fd);
    close(fd);
}

static void resum(int fd, uint64_t off, size_t size)
{
    static uint8_t buf[VHDX_TABLE_SIZE];

    if (pread(fd, buf, size, (off_t)off) != (ssize_t)size)
        return;
    le32_put(buf + 4, vhdx_checksum(buf, size));
    (void)!pwrite(fd, buf + 4, 4, (off_t)off + 4);
}

/* Every entry that seems to begin a page of the log. */
static void resum_log(int fd)
{
    for (uint64_t at = LOG; at < LOG + 16 * 4096; at += 4096) {
        uint8_t h[16];
        size_t len;

        if (pread(fd, h, sizeof(h), (off_t)at) != sizeof(h) || memcmp(h, "loge", 4) != 0)
            continue;
        len = le32_at(h + 8);
        if (len % 4096 == 0 && len && len <= VHDX_TABLE_SIZE)
            resum(fd, at, len);
    }
}

static void change(int fd, const uint8_t **p, size_t *left)
{
    const struct part *w = &parts[(*p)[0] % ARRAY_SIZE(parts)];
    uint32_t off = w->off + le16_at(*p + 1) % w->len;
    size_t n = min_u64((*p)[3], *left - 4);

    (void)!pwrite(fd, *p + 4, n, (off_t)off);
    *p += 4 + n;
    *left -= 4 + n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct good *g;
    int fd;

    if (!files[0].n) {
        make(&files[0], "block_size=1M", false, true);
        make(&files[1], "block_size=1M", true, true);
        make(&files[2], "block_size=1M,subformat=fixed", false, false);
        make(&files[3], "block_size=1M,logical_sector_size=4096", true, false);
    }
    if (size < 1)
        return 0;
    g = &files[data[0] >> 2 & 3];
    fd = memfd_create("image", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)g->size) < 0)
        abort();
    for (size_t i = 0; i < g->n; i++)
        (void)!pwrite(fd, g->page[i].data, 4096, (off_t)g->page[i].off);
    for (const uint8_t *p = data + 1; size > 5 && p < data + size;) {
        size_t left = (size_t)(data + size - p);

        if (left < 5)
            break;
        change(fd, &p, &left);
    }
    if (!(data[0] & 16)) {
        resum_log(fd);
        for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
            if (parts[i].size)
                resum(fd, parts[i].off, parts[i].size);
        }
    }
    image_use(image_file(fd, !(data[0] & IMAGE_WRITES)), data[0]);
    return 0;
}
