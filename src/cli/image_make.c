/* SPDX-License-Identifier: Apache-2.0 */
/* image_make.c - `hospes image` create, resize, compact and commit. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/image.h"
#include "core/cfg.h"
#include "storage/map.h"

/* --- create --- */

/* The parent's name is kept as given, so it is relative to the image that names it. */
static int open_parent(const struct image_args *a, const char *image, struct disk **out,
                       struct err *e)
{
    struct disk_cfg c = {.path = image, .allow_outside = true, .readonly = true};

    return chain_open(&c, a->parent, a->parent_format, NULL, out, e);
}

static int create(const struct image_args *a, const char *path, const char *size, struct err *e)
{
    const struct format_ops *f = format_by_name(a->format ? a->format : "raw");
    struct image_make k = {
        .path = path,
        .backing = a->parent,
        .backing_format = a->parent_format,
    };
    int rc;

    if (!f)
        return err_exit(e, EX_USAGE_, EINVAL, "'%s' is no image format; see hospes image --help",
                        a->format);
    if (!strcmp(path, "-"))
        return err_exit(e, EX_USAGE_, EINVAL,
                        "a new image wants the name of a file; ./- is one, - is not");
    if (!size && !a->parent)
        return err_exit(e, EX_USAGE_, EINVAL, "image create wants a size, 10G for instance");
    if (size && size_parse(size, &k.bytes) < 0)
        return err_exit(e, EX_USAGE_, EINVAL, "'%s' is no size; 10G and 512M are", size);
    rc = cfg_create(&k.opts, e);
    if (rc == 0 && a->options)
        rc = cfg_parse(k.opts, a->options, NULL, e);
    if (rc == 0 && a->parent)
        rc = open_parent(a, path, &k.parent, e);
    if (rc == 0 && k.parent) {
        if (!size)
            k.bytes = k.parent->shape.bytes;
        if (!k.backing_format && k.parent->format)
            k.backing_format = k.parent->format->name;
    }
    if (rc == 0)
        rc = image_create(f, &k, true, e);
    disk_close(k.parent);
    cfg_destroy(k.opts);
    return rc;
}

static int create_main(int argc, char **argv)
{
    struct image_args a = {0};
    struct err e;
    int rc = image_parse(&image_create_command, argc, argv, &a, 1, 2, &e);

    if (rc == 0)
        rc = create(&a, argv[1], argv[2], &e);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

static const struct cli_option create_options[] = {
    {"f", "FORMAT", "the new image's format, raw if not given", image_set_format},
    {"o", "K=V,..", "the format's options; see docs/reference", image_set_options},
    {"b", "PARENT", "make a child of this image; its size is the default", image_set_parent},
    {"F", "FORMAT", "the parent's format", image_set_parent_format},
    IMAGE_QUIET,
    {NULL},
};

const struct cli_command image_create_command = {
    .name = "image create",
    .args = "[OPTION...] IMG [SIZE]",
    .about = "Makes an empty image.",
    .options = create_options,
    .run = create_main,
};

/* --- resize --- */

/* "10G", "+1G", "-512M" */
static int new_size(const char *text, uint64_t old, uint64_t *out, struct err *e)
{
    bool more = text[0] == '+', less = text[0] == '-';
    uint64_t v;

    if (size_parse(text + (more || less), &v) < 0 || (less && v >= old) ||
        (more && add_overflows(old, v, &v)))
        return err_exit(e, EX_USAGE_, EINVAL, "'%s' is no size; 10G, +1G and -512M are", text);
    *out = less ? old - v : v;
    return 0;
}

static int resize(const struct image_args *a, const char *path, const char *size, struct err *e)
{
    struct disk *d;
    uint64_t bytes = 0;
    int rc = image_open(a, path, false, &d, e);

    if (rc < 0)
        return rc;
    rc = new_size(size, d->shape.bytes, &bytes, e);
    if (rc == 0 && bytes < d->shape.bytes && !a->shrink)
        rc = err_exit(e, EX_USAGE_, EINVAL,
                      "a smaller size cuts off what lies behind it; say --shrink if that is meant");
    if (rc == 0)
        rc = image_resize(d, bytes, e);
    disk_close(d);
    return rc;
}

static int resize_main(int argc, char **argv)
{
    struct image_args a = {0};
    struct err e;
    int rc = image_parse(&image_resize_command, argc, argv, &a, 2, 2, &e);

    if (rc == 0)
        rc = resize(&a, argv[1], argv[2], &e);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

static const struct cli_option resize_options[] = {
    IMAGE_FORMAT,  {"shrink", NULL, "a smaller size is meant", image_set_shrink},
    IMAGE_OUTSIDE, IMAGE_QUIET,
    {NULL},
};

const struct cli_command image_resize_command = {
    .name = "image resize",
    .args = "[OPTION...] IMG SIZE",
    .about = "Changes the size of the disk in an image.",
    .more = "SIZE may begin with + or -. Partitions and file systems are not touched.",
    .options = resize_options,
    .run = resize_main,
};

/* --- compact --- */

struct compacting {
    struct disk *d;
    uint8_t *buf;
    struct progress p;
    uint64_t given_back;
};

enum { COMPACT_CHUNK = 1 << 20 };

/* Whole clusters of zeroes are given back. */
static int compact_extent(void *arg, const struct extent *x)
{
    struct compacting *k = arg;
    uint64_t unit = map_of(k->d) ? map_of(k->d)->cluster : 4096;
    uint64_t at = align_up(x->off, unit), end = x->off + x->len;
    size_t step = max_u64(unit, COMPACT_CHUNK);

    if (x->kind != EXTENT_DATA || x->depth > 0)
        return 0;
    while (at + unit <= end) {
        size_t n = min_u64(step, align_down(end - at, unit));
        int rc = disk_read(k->d, at, k->buf, n);

        for (size_t i = 0; i < n && rc == 0; i += unit) {
            if (!all_zero(k->buf + i, unit))
                continue;
            rc = disk_zero(k->d, at + i, unit, true);
            k->given_back += unit;
        }
        if (rc < 0)
            return rc;
        at += n;
        if (k->p.step)
            k->p.step(k->p.arg, at, k->d->shape.bytes);
    }
    return 0;
}

static int compact(const struct image_args *a, const char *path, struct err *e)
{
    struct compacting k = {.p = image_progress(a, "compact")};
    uint64_t unit;
    int rc = image_open(a, path, false, &k.d, e);

    if (rc < 0)
        return rc;
    unit = map_of(k.d) ? map_of(k.d)->cluster : 4096;
    k.buf = malloc(max_u64(unit, COMPACT_CHUNK));
    rc = k.buf ? disk_extents(k.d, 0, k.d->shape.bytes, compact_extent, &k) : -ENOMEM;
    if (rc == 0)
        rc = disk_flush(k.d);
    free(k.buf);
    disk_close(k.d);
    image_progress_end(a);
    if (rc < 0)
        return err_set(e, -rc, "cannot compact '%s': %s", path, strerror(-rc));
    if (!a->quiet)
        printf("%llu bytes given back\n", (unsigned long long)k.given_back);
    return 0;
}

static int compact_main(int argc, char **argv)
{
    struct image_args a = {0};
    struct err e;
    int rc = image_parse(&image_compact, argc, argv, &a, 1, 1, &e);

    if (rc == 0)
        rc = compact(&a, argv[1], &e);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

static const struct cli_option compact_options[] = {
    IMAGE_FORMAT,
    IMAGE_OUTSIDE,
    IMAGE_QUIET,
    {NULL},
};

const struct cli_command image_compact = {
    .name = "image compact",
    .args = "[OPTION...] IMG",
    .about = "Gives back the space of clusters that hold nothing but zeroes.",
    .options = compact_options,
    .run = compact_main,
};

/* --- commit --- */

struct commit {
    struct disk *child, *parent;
    uint8_t *buf;
    struct progress p;
};

static int commit_extent(void *arg, const struct extent *x)
{
    struct commit *k = arg;
    uint64_t at = x->off, end = x->off + x->len;
    int rc = 0;

    if (x->depth > 0 || x->kind == EXTENT_HOLE)
        return 0;
    if (x->kind == EXTENT_ZERO)
        return disk_zero(k->parent, at, x->len, true);
    while (at < end && rc == 0) {
        size_t n = min_u64(COMPACT_CHUNK, end - at);

        rc = disk_read(k->child, at, k->buf, n);
        if (rc == 0)
            rc = disk_write(k->parent, at, k->buf, n);
        at += n;
        if (k->p.step)
            k->p.step(k->p.arg, at, k->child->shape.bytes);
    }
    return rc;
}

static int open_writable_parent(struct commit *k, const struct image_args *a, struct err *e)
{
    struct map *m = map_of(k->child);
    struct disk_cfg c = {.allow_outside = a->outside};

    if (!m || !m->parent || !m->parent->path)
        return err_exit(e, EX_USAGE_, EINVAL, "the image has no parent to commit to");
    c.path = m->parent->path;
    c.format = m->parent->format ? m->parent->format->name : NULL;
    return disk_open(&c, NULL, &k->parent, e);
}

static int commit(const struct image_args *a, const char *path, struct err *e)
{
    struct commit k = {.p = image_progress(a, "commit"), .buf = malloc(COMPACT_CHUNK)};
    struct image_args look = *a;
    int rc = k.buf ? 0 : err_set(e, ENOMEM, "no memory to commit '%s'", path);

    look.no_lock = true; /* the parent is about to be locked for writing by this process */
    if (rc == 0)
        rc = image_open(&look, path, true, &k.child, e);
    if (rc == 0)
        rc = open_writable_parent(&k, a, e);
    if (rc == 0 && k.child->shape.bytes > k.parent->shape.bytes)
        rc = image_resize(k.parent, k.child->shape.bytes, e);
    if (rc == 0) {
        rc = disk_extents(k.child, 0, k.child->shape.bytes, commit_extent, &k);
        if (rc == 0)
            rc = disk_flush(k.parent);
        if (rc < 0)
            rc = err_set(e, -rc, "cannot commit '%s': %s", path, strerror(-rc));
    }
    disk_close(k.parent);
    disk_close(k.child);
    free(k.buf);
    image_progress_end(a);
    return rc;
}

static int commit_main(int argc, char **argv)
{
    struct image_args a = {0};
    struct err e;
    int rc = image_parse(&image_commit, argc, argv, &a, 1, 1, &e);

    if (rc == 0)
        rc = commit(&a, argv[1], &e);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

static const struct cli_option commit_options[] = {
    IMAGE_FORMAT,
    IMAGE_OUTSIDE,
    IMAGE_QUIET,
    {NULL},
};

const struct cli_command image_commit = {
    .name = "image commit",
    .args = "[OPTION...] IMG",
    .about = "Writes what a child image holds into its parent.",
    .more = "The child stays as it is and reads the same as before; remove it when the parent is\n"
            "used in its place. Other children of that parent are worth nothing afterwards.",
    .options = commit_options,
    .run = commit_main,
};
