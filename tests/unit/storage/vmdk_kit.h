/* SPDX-License-Identifier: Apache-2.0 */
/* vmdk_kit.h - making, opening and damaging VMDK images. */
#ifndef HOSPES_TESTS_STORAGE_VMDK_KIT_H
#define HOSPES_TESTS_STORAGE_VMDK_KIT_H

#define KIT_FORMAT "vmdk"
#include "image_kit.h"

#include "abi/vmdk.h"

enum { GRAIN = 64 * 1024, BYTES = 40 * 1024 * 1024 };

static uint8_t buf[GRAIN], want[GRAIN];

static inline void make_child(const char *path, const char *parent, const char *name)
{
    struct disk *below = must_open(parent, true);

    make_over(path, below->shape.bytes, "", below, name);
    disk_close(below);
}

static inline void write_file(const char *name, const void *data, size_t n)
{
    int fd = open(scratch_path(name), O_RDWR | O_CREAT | O_TRUNC, 0600);

    assert_int_equal(write(fd, data, n), (ssize_t)n);
    close(fd);
}

static inline void write_text(const char *name, const char *extents)
{
    char text[2048];

    snprintf(text, sizeof(text),
             "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n"
             "createType=\"custom\"\n%s\n",
             extents);
    write_file(name, text, strlen(text));
}

static inline struct sparse_extent_header header(const char *path)
{
    struct sparse_extent_header h;

    peek(path, 0, &h, sizeof(h));
    return h;
}

/* Where the entry of a grain is, by one of the directories. */
static inline uint64_t entry_at(const char *path, uint64_t directory, uint32_t grain)
{
    uint8_t w[4];

    peek(path, directory * VMDK_SECTOR + (uint64_t)(grain / 512) * 4, w, 4);
    return (uint64_t)le32_at(w) * VMDK_SECTOR + (uint64_t)(grain % 512) * 4;
}

static inline uint64_t gte(const char *path, uint32_t grain)
{
    return entry_at(path, le64_get(header(path).gdOffset), grain);
}

static inline uint32_t get_gte(const char *path, uint32_t grain)
{
    uint8_t w[4];

    peek(path, gte(path, grain), w, 4);
    return le32_at(w);
}

static inline void set_gte(const char *path, uint32_t grain, uint32_t sector)
{
    uint8_t w[4];

    le32_put(w, sector);
    poke(path, gte(path, grain), w, 4);
}

static inline void fill(struct disk *d, uint32_t grain, uint8_t byte)
{
    memset(buf, byte, GRAIN);
    assert_int_equal(disk_write(d, (uint64_t)grain * GRAIN, buf, GRAIN), 0);
}

static inline void filled(struct disk *d, uint32_t grain, uint8_t byte)
{
    assert_int_equal(disk_read(d, (uint64_t)grain * GRAIN, buf, GRAIN), 0);
    memset(want, byte, GRAIN);
    assert_memory_equal(buf, want, GRAIN);
}

static inline void mended(const char *path)
{
    struct image_report rep;

    assert_true(check(path, true).errors == 0);
    rep = check(path, false);
    assert_int_equal(rep.errors + rep.leaks, 0);
}

#endif
