/* SPDX-License-Identifier: Apache-2.0 */
/* image_kit.h - making, opening, filling and checking images of KIT_FORMAT, which is defined first.
 */
#ifndef HOSPES_TESTS_STORAGE_IMAGE_KIT_H
#define HOSPES_TESTS_STORAGE_IMAGE_KIT_H

#include "scratch.h"

#include <errno.h>
#include <sys/stat.h>

#include "core/cfg.h"
#include "storage/image.h"
#include "storage/map.h"

enum { KIT_PIECE = 4096 };

/* parent: borrowed, or NULL; name: what the image calls it. */
static inline void make_over(const char *path, uint64_t bytes, const char *options,
                             struct disk *parent, const char *name)
{
    struct image_make k = {.path = path, .bytes = bytes, .parent = parent, .backing = name};
    struct err e = {0};

    assert_int_equal(cfg_create(&k.opts, &e), 0);
    assert_int_equal(cfg_parse(k.opts, options, NULL, &e), 0);
    if (image_create(format_by_name(KIT_FORMAT), &k, true, &e) < 0)
        fail_msg("%s", e.msg);
    cfg_destroy(k.opts);
}

/* parent: its name beside the image, or NULL. */
static inline void make(const char *path, uint64_t bytes, const char *options, const char *parent)
{
    struct disk_cfg c = {.path = path, .readonly = true};
    struct disk *below = NULL;
    struct err e = {0};

    if (parent)
        assert_int_equal(chain_open(&c, parent, NULL, NULL, &below, &e), 0);
    make_over(path, bytes, options, below, parent);
    disk_close(below);
}

/* A reader takes no lock: it may look at what a writer has open. */
static inline int try_open(const char *path, bool readonly, struct disk **d, struct err *e)
{
    struct disk_cfg c = {.path = path, .readonly = readonly, .no_lock = readonly};

    *e = (struct err){0};
    return disk_open(&c, NULL, d, e);
}

static inline struct disk *must_open(const char *path, bool readonly)
{
    struct disk *d;
    struct err e;

    if (try_open(path, readonly, &d, &e) < 0)
        fail_msg("%s", e.msg);
    assert_string_equal(d->format->name, KIT_FORMAT);
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

static inline void put(struct disk *d, uint64_t off, int byte)
{
    uint8_t buf[KIT_PIECE];

    memset(buf, byte, sizeof(buf));
    assert_int_equal(disk_write(d, off, buf, sizeof(buf)), 0);
}

static inline void holds(struct disk *d, uint64_t off, int byte)
{
    uint8_t buf[KIT_PIECE];

    assert_int_equal(disk_read(d, off, buf, sizeof(buf)), 0);
    for (size_t i = 0; i < sizeof(buf); i++)
        assert_int_equal(buf[i], byte);
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

/* Makes the byte another one, whatever it is. */
static inline void spoil(const char *path, uint64_t at)
{
    uint8_t b;

    peek(path, at, &b, 1);
    b = (uint8_t)~b;
    poke(path, at, &b, 1);
}

static inline void tell(void *arg, enum finding kind, bool fixed, const char *text)
{
    print_message("    %s%s\n", text, fixed ? " (fixed)" : "");
}

static inline struct image_report check(const char *path, bool repair)
{
    struct disk_cfg c = {.path = path, .format = KIT_FORMAT};
    struct image_report rep = {.tell = tell};
    const struct format_ops *f;
    struct err e = {0};

    if (image_check(&c, repair, &rep, &f, &e) < 0)
        fail_msg("%s", e.msg);
    return rep;
}

#endif
