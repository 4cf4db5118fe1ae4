/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.c - see view.h.
 *
 * The format itself makes the tables: an image is created in memory, space is taken in it for every
 * cluster that the disk stores, and nothing is written there. What the image then says of where the
 * clusters lie is the map from the view's bytes to the disk's; every other byte is a table's and
 * comes from memory. So each format that can be written can also be looked like, by code that knows
 * none of them.
 */
#define _GNU_SOURCE
#include "storage/serve/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cfg.h"
#include "core/err.h"
#include "storage/file.h"
#include "storage/image.h"
#include "storage/map.h"
#include "storage/serve/bytes.h"

/* [file, file+len) of the view is [disk, disk+len) of the disk. */
struct run {
    uint64_t file, disk, len;
};

struct view {
    struct disk d;
    struct disk *src;
    struct bytes bytes; /* of src */
    struct disk *tables;
    struct run *runs; /* by file */
    size_t count, room;
};

static const uint64_t tables_most = 64 * MiB;

static struct view *view_of(struct disk *d)
{
    return container_of(d, struct view, d);
}

/* The first run that ends after `off`; count: none. */
static size_t run_at(const struct view *v, uint64_t off)
{
    size_t low = 0, high = v->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (v->runs[mid].file + v->runs[mid].len <= off)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* --- reading and writing --- */

/* The last cluster may reach past the disk's end: zeroes. */
static int read_payload(struct view *v, uint64_t off, uint8_t *buf, size_t n)
{
    uint64_t bytes = v->src->shape.bytes;
    size_t have = off >= bytes ? 0 : min_u64(n, bytes - off);

    memset(buf + have, 0, n - have);
    return have ? bytes_read(&v->bytes, off, buf, have) : 0;
}

static int write_payload(struct view *v, uint64_t off, const uint8_t *buf, size_t n, bool fua)
{
    uint64_t bytes = v->src->shape.bytes;
    size_t have = off >= bytes ? 0 : min_u64(n, bytes - off);

    return have ? bytes_write(&v->bytes, off, buf, have, fua) : 0;
}

/* Tables may be written with what they hold. Anything else would be lost, or change where things
 * lie: refused. */
static int write_tables(struct view *v, uint64_t off, const uint8_t *buf, size_t n)
{
    uint8_t now[4096];
    int rc = 0;

    for (size_t at = 0; at < n && rc == 0; at += sizeof(now)) {
        size_t m = min_u64(sizeof(now), n - at);

        rc = disk_read(v->tables, off + at, now, m);
        if (rc == 0 && memcmp(now, buf + at, m) != 0)
            rc = -EPERM;
    }
    return rc;
}

static int move(struct view *v, const struct disk_req *r, uint64_t off, uint8_t *buf, size_t n)
{
    size_t i = run_at(v, off);
    int rc = 0;

    while (n && rc == 0) {
        const struct run *x = i < v->count ? &v->runs[i] : NULL;
        bool payload = x && off >= x->file;
        uint64_t stop = payload ? x->file + x->len : x ? x->file : UINT64_MAX;
        size_t m = min_u64(n, stop - off);

        if (payload && r->op == DISK_READ)
            rc = read_payload(v, x->disk + (off - x->file), buf, m);
        else if (payload)
            rc = write_payload(v, x->disk + (off - x->file), buf, m, r->fua);
        else if (r->op == DISK_READ)
            rc = disk_read(v->tables, off, buf, m);
        else
            rc = write_tables(v, off, buf, m);
        i += payload;
        off += m;
        buf += m;
        n -= m;
    }
    return rc;
}

static int zero(struct view *v, const struct disk_req *r)
{
    static uint8_t zeroes[64 * 1024];
    struct disk_req w = {.op = DISK_WRITE, .fua = r->fua};
    int rc = 0;

    for (uint64_t at = 0; at < r->len && rc == 0; at += sizeof(zeroes))
        rc = move(v, &w, r->off + at, zeroes, min_u64(sizeof(zeroes), r->len - at));
    return rc;
}

static int view_now(struct disk *d, struct disk_req *r)
{
    struct view *v = view_of(d);
    uint64_t off = r->off;
    int rc = 0;

    if (r->op == DISK_FLUSH)
        return disk_flush(v->src);
    if (r->op == DISK_TRIM)
        return 0;
    if (r->op == DISK_ZERO)
        return zero(v, r);
    for (unsigned i = 0; i < r->iovcnt && rc == 0; i++) {
        rc = move(v, r, off, r->iov[i].iov_base, r->iov[i].iov_len);
        off += r->iov[i].iov_len;
    }
    return rc;
}

/* --- extents --- */

struct shifted {
    extent_fn *fn;
    void *arg;
    uint64_t from, to;
};

static int shift(void *arg, const struct extent *x)
{
    const struct shifted *s = arg;
    struct extent y = *x;

    y.off = y.off - s->from + s->to;
    return s->fn(s->arg, &y);
}

static int payload_extents(struct view *v, uint64_t disk, uint64_t file, uint64_t n, extent_fn *fn,
                           void *arg)
{
    uint64_t bytes = v->src->shape.bytes, have = disk >= bytes ? 0 : min_u64(n, bytes - disk);
    struct shifted s = {fn, arg, disk, file};
    struct extent past = {.off = file + have, .len = n - have, .kind = EXTENT_HOLE};
    int rc = have ? disk_extents(v->src, disk, have, shift, &s) : 0;

    past.file_off = UINT64_MAX;
    return rc == 0 && past.len ? fn(arg, &past) : rc;
}

static int view_extents(struct disk *d, uint64_t off, uint64_t len, extent_fn *fn, void *arg)
{
    struct view *v = view_of(d);
    uint64_t end = off + len;
    size_t i = run_at(v, off);
    int rc = 0;

    while (off < end && rc == 0) {
        const struct run *x = i < v->count ? &v->runs[i] : NULL;
        bool payload = x && off >= x->file;
        uint64_t stop = min_u64(end, payload ? x->file + x->len : x ? x->file : end);
        struct extent table = {.off = off, .len = stop - off, .file_off = UINT64_MAX};

        if (payload)
            rc = payload_extents(v, x->disk + (off - x->file), off, stop - off, fn, arg);
        else
            rc = fn(arg, &table);
        i += payload;
        off = stop;
    }
    return rc;
}

static void view_free(struct view *v)
{
    disk_close(v->tables);
    bytes_fini(&v->bytes);
    free(v->runs);
    free(v);
}

static void view_close(struct disk *d)
{
    struct view *v = view_of(d);

    disk_fini(d);
    disk_close(v->src);
    view_free(v);
}

static const struct disk_ops view_ops = {
    .name = "view",
    .close = view_close,
    .now = view_now,
    .extents = view_extents,
};

/* --- making the tables --- */

struct placer {
    struct map *m;
    uint64_t done; /* clusters below this have space */
    int rc;
};

static int place(void *arg, const struct extent *x)
{
    struct placer *p = arg;
    uint64_t at = max_u64(align_down(x->off, p->m->cluster), p->done);
    uint64_t end = align_up(x->off + x->len, p->m->cluster);

    if (x->kind != EXTENT_DATA)
        return 0;
    end = min_u64(end, align_up(p->m->d.shape.bytes, p->m->grain));
    while (at < end && p->rc == 0) {
        struct piece y;

        p->rc = map_place(p->m, at, end - at, &y);
        if (p->rc == 0)
            p->rc = map_placed(p->m, &y, true);
        at += y.len;
        if (p->rc == 0 && meta_full(p->m->meta))
            p->rc = map_flush(p->m);
    }
    p->done = max_u64(p->done, at);
    return p->rc;
}

static int add_run(void *arg, const struct extent *x)
{
    struct view *v = arg;
    struct run *last = v->count ? &v->runs[v->count - 1] : NULL;

    if (x->kind != EXTENT_DATA || x->file_off == UINT64_MAX)
        return 0;
    if (last && last->file + last->len == x->file_off && last->disk + last->len == x->off) {
        last->len += x->len;
        return 0;
    }
    if (v->count == v->room) {
        size_t room = v->room ? v->room * 2 : 64;
        struct run *more = reallocarray(v->runs, room, sizeof(*more));

        if (!more)
            return -ENOMEM;
        v->runs = more;
        v->room = room;
    }
    v->runs[v->count++] = (struct run){x->file_off, x->off, x->len};
    return 0;
}

static int by_file(const void *a, const void *b)
{
    const struct run *x = a, *y = b;

    return x->file < y->file ? -1 : x->file > y->file;
}

/* Takes space in the image for what the disk stores, all of it when it will be written. */
static int place_all(const struct view_cfg *c, struct disk *image)
{
    struct placer p = {.m = map_of(image)};
    struct extent all = {.len = c->src->shape.bytes, .kind = EXTENT_DATA};
    int rc;

    if (!p.m || !p.m->ops->reserve)
        return 0;
    rc = c->write ? place(&p, &all) : disk_extents(c->src, 0, c->src->shape.bytes, place, &p);
    return rc == 0 ? disk_flush(image) : rc;
}

/* Where the image has its clusters. One without a map has them all, in order, at the start. */
static int learn(struct view *v, struct disk *image)
{
    struct extent all = {.len = image->shape.bytes, .kind = EXTENT_DATA};
    struct map *m = map_of(image);
    int rc;

    rc = m && m->ops->reserve ? disk_extents(image, 0, image->shape.bytes, add_run, v)
                              : add_run(v, &all);
    if (v->count)
        qsort(v->runs, v->count, sizeof(*v->runs), by_file);
    for (size_t i = 0; i + 1 < v->count && rc == 0; i++) {
        if (v->runs[i].file + v->runs[i].len > v->runs[i + 1].file)
            rc = -ENOTSUP; /* clusters in several files */
    }
    return rc;
}

static int adopt(int fd, const struct view_cfg *c, bool readonly, struct disk **out, struct err *e)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (copy < 0)
        return err_set(e, errno, "cannot copy a descriptor: %s", strerror(errno));
    return file_adopt(copy, c->name, readonly, NULL, out, e);
}

static int make_image(int fd, const struct view_cfg *c, struct err *e)
{
    struct image_make k = {.path = c->name, .bytes = c->src->shape.bytes, .opts = c->opts};
    struct disk *file;
    int rc;

    if (!c->format->create)
        return err_exit(e, EX_USAGE_, ENOTSUP, "images of format %s are only read",
                        c->format->name);
    rc = adopt(fd, c, false, &file, e);
    if (rc < 0)
        return rc;
    rc = c->format->create(file, &k, e);
    if (rc == 0)
        rc = cfg_finish(c->opts, c->format->name, e);
    disk_close(file);
    return rc;
}

static int make_tables(struct view *v, int fd, const struct view_cfg *c, struct err *e)
{
    struct disk_cfg dc = {.path = c->name, .format = c->format->name, .no_lock = true};
    struct disk *file, *image;
    struct stat st;
    int rc = make_image(fd, c, e);

    if (rc == 0)
        rc = adopt(fd, c, false, &file, e);
    if (rc < 0)
        return rc;
    dc.no_chain = true;
    rc = disk_open_file(file, &dc, NULL, &image, e);
    if (rc < 0)
        return rc;
    if (image->pack_only)
        rc = -ENOTSUP;
    if (rc == 0)
        rc = place_all(c, image);
    if (rc == 0)
        rc = learn(v, image);
    disk_close(image);
    if (rc == -ENOTSUP)
        return err_exit(e, EX_USAGE_, ENOTSUP,
                        "this kind of %s image is more than tables and clusters in one file, so a "
                        "disk cannot be shown as one",
                        c->format->name);
    if (rc < 0)
        return err_set(e, -rc, "cannot make the tables of a %s image: %s", c->format->name,
                       strerror(-rc));
    if (fstat(fd, &st) == 0 && (uint64_t)st.st_blocks * 512 > tables_most)
        return err_set(e, EFBIG,
                       "the tables of such a %s image take more than 64 MiB; choose a "
                       "larger cluster or block size",
                       c->format->name);
    return adopt(fd, c, true, &v->tables, e);
}

int view_create(const struct view_cfg *c, struct disk **out, struct err *e)
{
    struct view *v = calloc(1, sizeof(*v));
    int fd = memfd_create("hospes-view", MFD_CLOEXEC), rc;

    if (!v || fd < 0) {
        free(v);
        if (fd >= 0)
            close(fd);
        return err_set(e, ENOMEM, "no memory to show the disk as %s", c->format->name);
    }
    bytes_init(&v->bytes, c->src);
    rc = make_tables(v, fd, c, e);
    close(fd);
    if (rc < 0) {
        view_free(v);
        return rc;
    }
    disk_init(&v->d, &view_ops, NULL);
    v->src = c->src;
    v->d.shape = (struct disk_shape){
        .bytes = v->tables->shape.bytes,
        .logical = 1,
        .physical = c->src->shape.physical,
        .readonly = !c->write,
    };
    for (size_t i = 0; i < v->count; i++)
        v->d.shape.bytes = max_u64(v->d.shape.bytes, v->runs[i].file + v->runs[i].len);
    v->d.format = c->format;
    *out = &v->d;
    return 0;
}
