/* SPDX-License-Identifier: Apache-2.0 */
/* map.c - requests of mapped disks: the fast way on the loop, the general way on any thread. */
#include "storage/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "storage/map_impl.h"

static struct map *up(struct disk *d)
{
    return container_of(d, struct map, d);
}

int map_find(struct map *m, uint64_t off, uint64_t len, struct piece *x)
{
    int rc;

    *x = (struct piece){.off = off, .len = len};
    pthread_mutex_lock(&m->lock);
    rc = m->ops->find(m, off, len, true, x);
    pthread_mutex_unlock(&m->lock);
    return rc;
}

/* --- reading --- */

static void fill_iov(const struct disk_req *r, const uint8_t *from)
{
    for (unsigned i = 0; i < r->iovcnt; i++) {
        if (from) {
            memcpy(r->iov[i].iov_base, from, r->iov[i].iov_len);
            from += r->iov[i].iov_len;
        } else {
            memset(r->iov[i].iov_base, 0, r->iov[i].iov_len);
        }
    }
}

static bool parent_aligned(const struct map *m, const struct disk_req *r)
{
    return !((r->off | r->len) & (m->parent->shape.logical - 1));
}

/* A parent with larger sectors than the child's reads whole ones. */
static int read_around(struct map *m, struct disk_req *p)
{
    uint64_t block = m->parent->shape.logical, from = align_down(p->off, block);
    uint64_t len = align_up(p->off + p->len, block) - from;
    uint8_t *buf = malloc(len);
    int rc = buf ? disk_read(m->parent, from, buf, len) : -ENOMEM;

    if (rc == 0)
        fill_iov(p, buf + (p->off - from));
    free(buf);
    return rc;
}

static int read_below(struct map *m, struct disk_req *p)
{
    return parent_aligned(m, p) ? disk_now(m->parent, p) : read_around(m, p);
}

/* What lies past the parent's end is zero. */
static int read_parent(struct map *m, struct disk_req *p)
{
    uint64_t bytes = m->parent ? m->parent->shape.bytes : 0;
    struct iovec iov[DISK_IOV_MAX];

    if (p->off >= bytes) {
        fill_iov(p, NULL);
        return 0;
    }
    if (p->off + p->len > bytes) {
        struct disk_req tail = disk_part(p, bytes, p->off + p->len - bytes, iov);

        fill_iov(&tail, NULL);
        tail = disk_part(p, p->off, bytes - p->off, iov);
        return read_below(m, &tail);
    }
    return read_below(m, p);
}

/* The last cluster stays decompressed: sequential reads are smaller than a cluster. */
static int read_packed(struct map *m, const struct piece *x, struct disk_req *p)
{
    uint64_t start = align_down(x->off, m->cluster);
    int rc = 0;

    if (p->len == m->cluster && p->iovcnt == 1)
        return m->ops->unpack(m, x, p->iov->iov_base);

    pthread_mutex_lock(&m->unpacked_lock);
    if (!m->unpacked) {
        m->unpacked = malloc(m->cluster);
        m->unpacked_at = UINT64_MAX;
    }
    if (!m->unpacked)
        rc = -ENOMEM;
    if (rc == 0 && (m->unpacked_at != x->at || m->unpacked_file != x->file)) {
        m->unpacked_at = UINT64_MAX;
        m->unpacked_file = x->file;
        rc = m->ops->unpack(m, x, m->unpacked);
        if (rc == 0)
            m->unpacked_at = x->at;
    }
    if (rc == 0)
        fill_iov(p, m->unpacked + (p->off - start));
    pthread_mutex_unlock(&m->unpacked_lock);
    return rc;
}

int map_read_piece(struct map *m, const struct piece *x, struct disk_req *p)
{
    struct disk_req r = *p;

    switch (x->kind) {
    case PIECE_PARENT:
        return read_parent(m, &r);
    case PIECE_ZERO:
        fill_iov(p, NULL);
        return 0;
    case PIECE_DATA:
        r.off = x->at + (p->off - x->off);
        return disk_now(x->file, &r);
    case PIECE_PACKED:
        return read_packed(m, x, p);
    }
    return -EIO;
}

int map_read(struct map *m, struct disk_req *r)
{
    struct iovec iov[DISK_IOV_MAX];
    uint64_t at = r->off, end = r->off + r->len;

    while (at < end) {
        struct disk_req p;
        struct piece x;
        int rc = map_find(m, at, end - at, &x);

        if (rc < 0)
            return rc;
        if (x.len == end - at && at == r->off)
            return map_read_piece(m, &x, r);
        p = disk_part(r, at, x.len, iov);
        rc = map_read_piece(m, &x, &p);
        if (rc < 0)
            return rc;
        at += x.len;
    }
    return 0;
}

static int map_now(struct disk *d, struct disk_req *r)
{
    struct map *m = up(d);
    unsigned parity;
    int rc;

    if (r->op == DISK_FLUSH)
        return map_flush(m);
    parity = map_enter(m);
    if (r->op == DISK_READ)
        rc = map_read(m, r);
    else if (r->op == DISK_WRITE)
        rc = map_write(m, r);
    else
        rc = map_zero(m, r);
    map_leave(m, parity);
    if (rc == 0 && r->fua && r->op != DISK_READ)
        rc = map_flush(m);
    else if (rc == 0 && r->op != DISK_READ && meta_full(m->meta))
        rc = map_flush(m);
    return rc;
}

/* --- without waiting --- */

/* All of r in one piece, or false: a worker must look. */
static bool find_fast(struct map *m, const struct disk_req *r, struct piece *x)
{
    int rc = -EAGAIN;

    if ((r->op != DISK_READ && r->op != DISK_WRITE) ||
        (r->op == DISK_WRITE && (map_failed(m) || !map_touched(m))))
        return false;
    if (pthread_mutex_trylock(&m->lock))
        return false;
    *x = (struct piece){.off = r->off, .len = r->len};
    rc = m->ops->find(m, r->off, r->len, false, x);
    pthread_mutex_unlock(&m->lock);
    if (rc < 0 || x->len < r->len || x->kind == PIECE_PACKED)
        return false;
    if (r->op == DISK_WRITE)
        return x->kind == PIECE_DATA && !x->unmarked && !r->fua;
    return x->kind != PIECE_PARENT || !m->parent ||
           (range_in(r->off, r->len, m->parent->shape.bytes) && parent_aligned(m, r));
}

static int map_try(struct disk *d, struct disk_req *r)
{
    struct map *m = up(d);
    unsigned parity = map_enter(m);
    struct disk_req p = *r;
    struct piece x;
    int rc = -EAGAIN;

    if (!find_fast(m, r, &x)) {
        map_leave(m, parity);
        return -EAGAIN;
    }
    if (x.kind == PIECE_DATA) {
        p.off = x.at;
        rc = disk_try(x.file, &p);
        if (rc == 0 && r->op == DISK_WRITE)
            __atomic_store_n(&m->wrote, true, __ATOMIC_RELEASE);
    } else if (x.kind == PIECE_PARENT && m->parent) {
        rc = disk_try(m->parent, &p);
    } else {
        fill_iov(r, NULL);
        rc = 0;
    }
    map_leave(m, parity);
    return rc;
}

static void forwarded(struct disk_req *r, int res)
{
    struct disk_fwd *w = container_of(r, struct disk_fwd, r);
    struct disk_req *mine = w->up;
    struct map *m = up(mine->disk);

    if (r->op == DISK_WRITE)
        __atomic_store_n(&m->wrote, true, __ATOMIC_RELEASE);
    map_leave(m, (unsigned)w->a);
    disk_fwd_put(w);
    disk_finish(mine, res);
}

static void map_submit(struct disk *d, struct disk_req *r)
{
    struct map *m = up(d);
    unsigned parity = map_enter(m);
    struct disk_fwd *w;
    struct piece x;

    if (!find_fast(m, r, &x) || !(w = disk_fwd_get(&m->fwds, r))) {
        map_leave(m, parity);
        disk_work(d, r);
        return;
    }
    w->a = parity;
    w->r.done = forwarded;
    if (x.kind == PIECE_DATA) {
        w->r.off = x.at;
        disk_submit(x.file, &w->r);
    } else if (x.kind == PIECE_PARENT && m->parent) {
        disk_submit(m->parent, &w->r);
    } else {
        disk_fwd_put(w);
        map_leave(m, parity);
        fill_iov(r, NULL);
        disk_finish_later(d, r, 0);
    }
}

/* --- extents --- */

struct below {
    extent_fn *fn;
    void *arg;
};

static int deeper(void *arg, const struct extent *x)
{
    const struct below *b = arg;
    struct extent y = *x;

    y.depth++;
    return b->fn(b->arg, &y);
}

static int parent_extents(struct map *m, const struct piece *x, extent_fn *fn, void *arg)
{
    uint64_t bytes = m->parent ? m->parent->shape.bytes : 0, n = 0;
    struct extent hole = {.kind = EXTENT_HOLE, .file_off = UINT64_MAX};
    struct below b = {fn, arg};
    int rc = 0;

    if (x->off < bytes) {
        n = min_u64(x->len, bytes - x->off);
        rc = disk_extents(m->parent, x->off, n, deeper, &b);
    }
    hole.off = x->off + n;
    hole.len = x->len - n;
    return rc == 0 && hole.len ? fn(arg, &hole) : rc;
}

static int map_extents(struct disk *d, uint64_t off, uint64_t len, extent_fn *fn, void *arg)
{
    struct map *m = up(d);
    uint64_t end = off + len;
    int rc = 0;

    while (off < end && rc == 0) {
        struct piece x;

        rc = map_find(m, off, end - off, &x);
        if (rc < 0)
            return rc;
        if (x.kind == PIECE_PARENT) {
            rc = parent_extents(m, &x, fn, arg);
        } else {
            struct extent y = {.off = off, .len = x.len, .file_off = UINT64_MAX};

            y.kind = x.kind == PIECE_ZERO ? EXTENT_ZERO : EXTENT_DATA;
            y.compressed = x.kind == PIECE_PACKED;
            y.file = x.kind == PIECE_ZERO ? NULL : x.file;
            if (x.kind == PIECE_DATA)
                y.file_off = x.at;
            rc = fn(arg, &y);
        }
        off += x.len;
    }
    return rc;
}

/* --- life --- */

static void map_close(struct disk *d)
{
    struct map *m = up(d);
    bool clean = true;

    if (!d->shape.readonly) {
        clean = map_flush(m) == 0;
        map_release(m); /* nothing is under way: both steps at once */
        map_release(m);
        clean = clean && map_flush(m) == 0; /* what releasing changed */
    }
    if (m->ops->close)
        m->ops->close(m, clean);
    disk_close(m->parent);
    disk_close(m->file);
    map_fini(m);
    disk_fini(d);
    free(m->files);
    free(m);
}

static const struct disk_ops map_disk_ops = {
    .name = "map",
    .close = map_close,
    .now = map_now,
    .submit = map_submit,
    .try = map_try,
    .extents = map_extents,
};

int map_init(struct map *m, const struct map_ops *ops, struct loop *l, struct err *e)
{
    if (meta_create(&m->meta) < 0)
        return err_set(e, ENOMEM, "no memory for the tables of a disk image");
    m->ops = ops;
    disk_init(&m->d, &map_disk_ops, l);
    pthread_mutex_init(&m->lock, NULL);
    pthread_mutex_init(&m->flushing, NULL);
    pthread_mutex_init(&m->unpacked_lock, NULL);
    ranges_init(&m->busy);
    m->staged_tail = &m->staged;
    m->touched = !ops->touch;
    return 0;
}

void map_fini(struct map *m)
{
    if (!m->meta)
        return;
    meta_destroy(m->meta);
    m->meta = NULL;
    ranges_fini(&m->busy);
    disk_fwds_fini(&m->fwds);
    map_runs_free(&m->pool);
    map_runs_free(&m->freed);
    map_runs_free(&m->flushed);
    map_runs_free(&m->draining_runs);
    free(m->unpacked);
    pthread_mutex_destroy(&m->lock);
    pthread_mutex_destroy(&m->flushing);
    pthread_mutex_destroy(&m->unpacked_lock);
}

struct map *map_of(struct disk *d)
{
    return d->ops == &map_disk_ops ? up(d) : NULL;
}
