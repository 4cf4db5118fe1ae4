/* SPDX-License-Identifier: Apache-2.0 */
/* vmdk_kit.h - making, opening and damaging VMDK images. */
#ifndef HOSPES_TESTS_STORAGE_VMDK_KIT_H
#define HOSPES_TESTS_STORAGE_VMDK_KIT_H

#include "scratch.h"

#include <errno.h>
#include <sys/stat.h>

#include "abi/vmdk.h"
#include "core/cfg.h"
#include "storage/image.h"
#include "storage/map.h"

enum { GRAIN = 64 * 1024, BYTES = 40 * 1024 * 1024 };

static struct loop *loop;
static uint8_t buf[GRAIN], want[GRAIN];

static inline int setup(void **state)
{
    struct err e;

    return scratch_setup(state) || loop_create(&loop, &e);
}

static inline int teardown(void **state)
{
    loop_destroy(loop);
    return scratch_teardown(state);
}

/* --- helpers --- */

static inline void make(const char *path, const char *options, uint64_t bytes)
{
    struct image_make k = {.path = path, .bytes = bytes};
    struct err e = {0};

    assert_int_equal(cfg_create(&k.opts, &e), 0);
    assert_int_equal(cfg_parse(k.opts, options, NULL, &e), 0);
    if (image_create(format_by_name("vmdk"), &k, true, &e) < 0)
        fail_msg("%s", e.msg);
    cfg_destroy(k.opts);
}

static inline void make_child(const char *path, const char *parent, const char *name)
{
    struct image_make k = {.path = path, .backing = name};
    struct disk_cfg c = {.path = parent, .readonly = true};
    struct err e = {0};

    assert_int_equal(cfg_create(&k.opts, &e), 0);
    assert_int_equal(disk_open(&c, NULL, &k.parent, &e), 0);
    k.bytes = k.parent->shape.bytes;
    assert_int_equal(image_create(format_by_name("vmdk"), &k, true, &e), 0);
    disk_close(k.parent);
    cfg_destroy(k.opts);
}

static inline int try_open(const char *path, bool readonly, struct disk **d, struct err *e)
{
    struct disk_cfg c = {.path = path, .readonly = readonly};

    *e = (struct err){0};
    return disk_open(&c, loop, d, e);
}

static inline struct disk *open_image(const char *path, bool readonly)
{
    struct disk *d;
    struct err e;

    if (try_open(path, readonly, &d, &e) < 0)
        fail_msg("%s", e.msg);
    assert_string_equal(d->format->name, "vmdk");
    return d;
}

static inline void refused(const char *path, bool readonly, const char *why)
{
    struct disk *d;
    struct err e;

    assert_true(try_open(path, readonly, &d, &e) < 0);
    assert_true(e.code > 0);
    if (!strstr(e.msg, why))
        fail_msg("'%s' does not say '%s'", e.msg, why);
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

static inline void poke(const char *path, uint64_t at, const void *data, size_t n)
{
    int fd = open(path, O_RDWR);

    assert_int_equal(pwrite(fd, data, n, (off_t)at), (ssize_t)n);
    close(fd);
}

static inline void peek(const char *path, uint64_t at, void *data, size_t n)
{
    int fd = open(path, O_RDONLY);

    assert_int_equal(pread(fd, data, n, (off_t)at), (ssize_t)n);
    close(fd);
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

static inline void holds(struct disk *d, uint32_t grain, uint8_t byte)
{
    assert_int_equal(disk_read(d, (uint64_t)grain * GRAIN, buf, GRAIN), 0);
    memset(want, byte, GRAIN);
    assert_memory_equal(buf, want, GRAIN);
}

static inline void tell(void *arg, enum finding kind, bool fixed, const char *text)
{
    print_message("    %s%s\n", text, fixed ? " (fixed)" : "");
}

static inline struct image_report check(const char *path, bool repair)
{
    struct disk_cfg c = {.path = path, .format = "vmdk"};
    struct image_report rep = {.tell = tell};
    const struct format_ops *f;
    struct err e = {0};

    if (image_check(&c, repair, &rep, &f, &e) < 0)
        fail_msg("%s", e.msg);
    return rep;
}

static inline void mended(const char *path)
{
    struct image_report rep;

    assert_true(check(path, true).errors == 0);
    rep = check(path, false);
    assert_int_equal(rep.errors + rep.leaks, 0);
}

#endif
