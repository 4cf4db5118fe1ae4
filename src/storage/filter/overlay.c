/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlay.c - the scratch overlay: a disk that can be written while the one below stays as it is.
 *
 * Units of 4 KiB lie at the same offset in a sparse file without a name as in the disk; a bitmap of
 * two levels says which ones are there. A write of whole units goes straight to the file. One that
 * covers a unit in part fills the unit up from below first, in a worker, and holds the unit
 * meanwhile so that no other writer comes between.
 *
 * Threads: the bitmap's words are read and set atomically; a unit's bit is set after its data.
 */
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "storage/file.h"
#include "storage/filter/filter.h"
#include "storage/ranges.h"

enum { UNIT = 4096, LEAF_UNITS = 32768, LEAF_WORDS = LEAF_UNITS / 64 };

struct leaf {
    uint64_t word[LEAF_WORDS];
};

struct overlay {
    struct disk d;
    struct disk *below, *file;
    char *name; /* of the file, where it could not be made without one; removed at the end */
    struct leaf **leaf; /* made when first needed, then there for good */
    size_t leaves;
    struct ranges busy; /* first writes of units */
    struct disk_fwds fwds;
};

static struct overlay *overlay_of(struct disk *d)
{
    return container_of(d, struct overlay, d);
}

static uint64_t units_of(uint64_t bytes)
{
    return bytes / UNIT + (bytes % UNIT != 0);
}

/* --- the bitmap --- */

static bool has(struct overlay *o, uint64_t unit)
{
    struct leaf *f = __atomic_load_n(&o->leaf[unit / LEAF_UNITS], __ATOMIC_ACQUIRE);
    uint64_t bit = unit % LEAF_UNITS;

    return f && __atomic_load_n(&f->word[bit / 64], __ATOMIC_ACQUIRE) >> bit % 64 & 1;
}

/* The units from `unit` to at most `end` that are all here, or all not. */
static uint64_t run(struct overlay *o, uint64_t unit, uint64_t end, bool *here)
{
    uint64_t n = 1;

    *here = has(o, unit);
    while (unit + n < end) {
        if (!*here && (unit + n) % LEAF_UNITS == 0 &&
            !__atomic_load_n(&o->leaf[(unit + n) / LEAF_UNITS], __ATOMIC_ACQUIRE)) {
            n = min_u64(n + LEAF_UNITS, end - unit);
            continue;
        }
        if (has(o, unit + n) != *here)
            break;
        n++;
    }
    return n;
}

/* Makes the leaves of a range, so that setting its bits later cannot fail. */
static int make_leaves(struct overlay *o, uint64_t unit, uint64_t n)
{
    for (uint64_t i = unit / LEAF_UNITS; i <= (unit + n - 1) / LEAF_UNITS; i++) {
        struct leaf *none = NULL, *f;

        if (__atomic_load_n(&o->leaf[i], __ATOMIC_ACQUIRE))
            continue;
        f = calloc(1, sizeof(*f));
        if (!f)
            return -ENOMEM;
        if (!__atomic_compare_exchange_n(&o->leaf[i], &none, f, false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE))
            free(f);
    }
    return 0;
}

static void set(struct overlay *o, uint64_t unit, uint64_t n)
{
    for (; n; unit++, n--) {
        uint64_t bit = unit % LEAF_UNITS;

        __atomic_fetch_or(&o->leaf[unit / LEAF_UNITS]->word[bit / 64], UINT64_C(1) << bit % 64,
                          __ATOMIC_RELEASE);
    }
}

/* --- blocking --- */

static int read_now(struct overlay *o, struct disk_req *r)
{
    struct iovec iov[DISK_IOV_MAX];
    uint64_t at = r->off, end = r->off + r->len;
    int rc = 0;

    while (at < end && rc == 0) {
        bool here;
        uint64_t n = run(o, at / UNIT, units_of(end), &here);
        uint64_t stop = min_u64((at / UNIT + n) * UNIT, end);
        struct disk_req p = disk_part(r, at, stop - at, iov);

        rc = disk_now(here ? o->file : o->below, &p);
        at = stop;
    }
    return rc;
}

/* Brings a unit that is to be changed in part up from below. */
static int fill_unit(struct overlay *o, uint64_t unit)
{
    uint8_t buf[UNIT] = {0};
    uint64_t off = unit * UNIT;
    int rc;

    if (has(o, unit))
        return 0;
    rc = disk_read(o->below, off, buf, min_u64(UNIT, o->d.shape.bytes - off));
    return rc < 0 ? rc : disk_write(o->file, off, buf, UNIT);
}

static int change_now(struct overlay *o, struct disk_req *r)
{
    uint64_t first = r->off / UNIT, end = r->off + r->len, n = units_of(end) - first;
    struct range g;
    int rc = make_leaves(o, first, n);

    if (rc < 0)
        return rc;
    ranges_hold(&o->busy, &g, first * UNIT, n * UNIT);
    if (r->off % UNIT)
        rc = fill_unit(o, first);
    if (rc == 0 && end % UNIT && end != o->d.shape.bytes)
        rc = fill_unit(o, first + n - 1);
    if (rc == 0 && r->op == DISK_WRITE) {
        struct disk_req w = *r;

        w.fua = false;
        rc = disk_now(o->file, &w);
    } else if (rc == 0) {
        rc = disk_zero(o->file, r->off, r->len, true);
    }
    if (rc == 0)
        set(o, first, n);
    ranges_drop(&o->busy, &g);
    return rc;
}

static int overlay_now(struct disk *d, struct disk_req *r)
{
    struct overlay *o = overlay_of(d);

    switch (r->op) {
    case DISK_READ:
        return read_now(o, r);
    case DISK_FLUSH:
        return 0;
    default:
        return change_now(o, r);
    }
}

/* --- without waiting, and on the loop --- */

/* Where all of r can go as it is; NULL when it is split, or changes units for the first time. */
static struct disk *whole(struct overlay *o, const struct disk_req *r)
{
    uint64_t first = r->off / UNIT, end = units_of(r->off + r->len);
    bool here;

    if (run(o, first, end, &here) < end - first)
        return NULL;
    if (here)
        return o->file;
    return r->op == DISK_READ ? o->below : NULL;
}

static int overlay_try(struct disk *d, struct disk_req *r)
{
    struct overlay *o = overlay_of(d);
    struct disk *to;

    if (r->op == DISK_FLUSH)
        return 0;
    if (r->op != DISK_READ && r->op != DISK_WRITE)
        return -EAGAIN;
    to = whole(o, r);
    if (!to)
        return -EAGAIN;
    if (r->fua) {
        struct disk_req w = *r;

        w.fua = false;
        return disk_try(to, &w);
    }
    return disk_try(to, r);
}

static void passed(struct disk_req *r, int res)
{
    struct disk_fwd *w = container_of(r, struct disk_fwd, r);
    struct disk_req *up = w->up;

    disk_fwd_put(w);
    disk_finish(up, res);
}

static void first_written(struct disk_req *r, int res)
{
    struct disk_fwd *w = container_of(r, struct disk_fwd, r);
    struct overlay *o = overlay_of(w->up->disk);
    struct range *g = w->arg;

    if (res == 0)
        set(o, g->off / UNIT, g->len / UNIT);
    ranges_drop(&o->busy, g);
    free(g);
    passed(r, res);
}

/* A write of whole units, not all of which are here yet. false: a worker must do it. */
static bool first_write(struct overlay *o, struct disk_fwd *w)
{
    struct disk_req *r = &w->r;
    uint64_t end = r->off + r->len, n = units_of(end) - r->off / UNIT;
    struct range *g;

    if (r->op != DISK_WRITE || r->off % UNIT || (end % UNIT && end != o->d.shape.bytes))
        return false;
    g = malloc(sizeof(*g));
    if (!g || make_leaves(o, r->off / UNIT, n) < 0 || !ranges_try(&o->busy, g, r->off, n * UNIT)) {
        free(g);
        return false;
    }
    w->arg = g;
    r->done = first_written;
    disk_submit(o->file, r);
    return true;
}

static void overlay_submit(struct disk *d, struct disk_req *r)
{
    struct overlay *o = overlay_of(d);
    struct disk_fwd *w;
    struct disk *to = NULL;

    if (r->op == DISK_FLUSH) {
        disk_finish_later(d, r, 0);
        return;
    }
    w = disk_fwd_get(&o->fwds, r);
    if (w) {
        w->r.fua = false;
        w->r.done = passed;
        if (r->op == DISK_READ || r->op == DISK_WRITE)
            to = whole(o, r);
        if (to) {
            disk_submit(to, &w->r);
            return;
        }
        if (first_write(o, w))
            return;
        disk_fwd_put(w);
    }
    disk_work(d, r);
}

/* --- extents: what lies here hides what lies below --- */

struct walk {
    extent_fn *fn;
    void *arg;
};

static int deeper(void *arg, const struct extent *x)
{
    const struct walk *k = arg;
    struct extent y = *x;

    y.depth++;
    return k->fn(k->arg, &y);
}

static int here_extent(void *arg, const struct extent *x)
{
    const struct walk *k = arg;
    struct extent y = *x;

    y.file_off = UINT64_MAX;
    y.file = NULL;
    if (y.kind == EXTENT_HOLE)
        y.kind = EXTENT_ZERO;
    return k->fn(k->arg, &y);
}

static int overlay_extents(struct disk *d, uint64_t off, uint64_t len, extent_fn *fn, void *arg)
{
    struct overlay *o = overlay_of(d);
    struct walk k = {fn, arg};
    uint64_t end = off + len;
    int rc = 0;

    while (off < end && rc == 0) {
        bool here;
        uint64_t n = run(o, off / UNIT, units_of(end), &here);
        uint64_t stop = min_u64((off / UNIT + n) * UNIT, end);

        rc = disk_extents(here ? o->file : o->below, off, stop - off, here ? here_extent : deeper,
                          &k);
        off = stop;
    }
    return rc;
}

static void overlay_close(struct disk *d)
{
    struct overlay *o = overlay_of(d);

    disk_close(o->file);
    disk_close(o->below);
    if (o->name)
        unlink(o->name);
    free(o->name);
    for (size_t i = 0; i < o->leaves; i++)
        free(o->leaf[i]);
    free(o->leaf);
    ranges_fini(&o->busy);
    disk_fwds_fini(&o->fwds);
    disk_fini(d);
    free(o);
}

static const struct disk_ops overlay_ops = {
    .name = "overlay",
    .close = overlay_close,
    .now = overlay_now,
    .submit = overlay_submit,
    .try = overlay_try,
    .extents = overlay_extents,
};

/* A file without a name; *name where that cannot be: 9p, for instance, forgets a file that is
 * removed while it is open. */
static int open_scratch(const char *dir, char **name)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0 && ftruncate(fd, 1) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    if (asprintf(name, "%s/hospes-XXXXXX", dir) < 0) {
        *name = NULL;
        return -1;
    }
    fd = mkostemp(*name, O_CLOEXEC);
    if (fd < 0) {
        free(*name);
        *name = NULL;
    }
    return fd;
}

/* In dir, or else where temporary files go. */
static int find_scratch(const char *dir, char **name, const char **where)
{
    const char *const places[] = {dir, dir ? NULL : getenv("TMPDIR"), dir ? NULL : "/var/tmp",
                                  dir ? NULL : "/tmp"};
    int fd = -1;

    for (size_t i = 0; i < ARRAY_SIZE(places) && fd < 0; i++) {
        if (!places[i] || !*places[i])
            continue;
        *where = places[i];
        fd = open_scratch(places[i], name);
    }
    return fd;
}

/* The overlay's file, of the disk's size. */
static int scratch(struct overlay *o, const char *dir, uint64_t bytes, struct loop *l,
                   struct err *e)
{
    const char *where = "";
    int fd = find_scratch(dir, &o->name, &where);

    if (fd < 0)
        return err_set(e, errno,
                       "cannot make a scratch file in '%s': %s; set TMPDIR to a directory that can "
                       "be written",
                       where, strerror(errno));
    if (ftruncate(fd, (off_t)align_up(bytes, UNIT)) < 0) {
        (void)err_set(e, errno,
                      "cannot make a scratch file of %llu bytes in '%s': %s; set TMPDIR to "
                      "another directory",
                      (unsigned long long)bytes, where, strerror(errno));
        close(fd);
    } else if (file_adopt(fd, "scratch overlay", false, l, &o->file, e) == 0) {
        o->file->shape.grows = false;
        return 0;
    }
    if (o->name)
        unlink(o->name);
    free(o->name);
    return -e->code;
}

int overlay_create(struct disk *below, const char *dir, struct loop *l, struct disk **out,
                   struct err *e)
{
    struct overlay *o = calloc(1, sizeof(*o));
    int rc;

    if (!o)
        return err_set(e, ENOMEM, "no memory for a scratch overlay");
    o->leaves = units_of(below->shape.bytes) / LEAF_UNITS + 1;
    o->leaf = calloc(o->leaves, sizeof(struct leaf *));
    if (!o->leaf) {
        free(o);
        return err_set(e, ENOMEM, "no memory for a scratch overlay");
    }
    rc = scratch(o, dir, below->shape.bytes, l, e);
    if (rc < 0) {
        free(o->leaf);
        free(o);
        return rc;
    }
    disk_init(&o->d, &overlay_ops, l);
    o->d.shape = below->shape;
    o->d.shape.readonly = false;
    o->d.shape.trims = true;
    o->below = below;
    ranges_init(&o->busy);
    *out = &o->d;
    return 0;
}
