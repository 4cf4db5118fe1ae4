/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_write.c - writing, zeroing and trimming through a map, on any thread.
 *
 * What lies in allocated clusters is written in place. Otherwise: hold the clusters, reserve space,
 * write the data and whatever else of the grain the guest can see, then point the tables to it in
 * memory. Readers meanwhile see the old state.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/map_impl.h"

enum { BOUNCE = 64 * 1024 };

static void wrote(struct map *m)
{
    __atomic_store_n(&m->wrote, true, __ATOMIC_RELEASE);
}

/* The guest's bytes end here; the rest of the last cluster is padding. */
static uint64_t guest_end(const struct map *m)
{
    return m->d.shape.bytes;
}

static uint64_t grain_up(const struct map *m, uint64_t at)
{
    return min_u64(align_up(at, m->grain), align_up(guest_end(m), m->grain));
}

static bool is_new(const struct piece *x)
{
    return x->kind != PIECE_DATA || x->unmarked;
}

/* --- filling up a new grain --- */

static int copy_piece(struct map *m, const struct piece *x, struct disk *file, uint64_t to)
{
    uint64_t at = x->off, end = x->off + x->len;
    uint8_t *buf = malloc(BOUNCE);
    int rc = buf ? 0 : -ENOMEM;

    while (rc == 0 && at < end) {
        struct iovec iov = {.iov_base = buf, .iov_len = min_u64(end - at, BOUNCE)};
        struct disk_req p = {.op = DISK_READ, .off = at, .len = iov.iov_len};

        p.iov = &iov;
        p.iovcnt = 1;
        rc = map_read_piece(m, x, &p);
        if (rc == 0)
            rc = disk_write(file, to + (at - x->off), buf, iov.iov_len);
        at += iov.iov_len;
    }
    free(buf);
    return rc;
}

/* Puts the guest's present content of [off, off+len) at `to` in the new space x. */
static int fill(struct map *m, const struct piece *x, uint64_t off, uint64_t len)
{
    uint64_t to = x->at + (off - x->off), end = off + len;
    int rc = 0;

    while (off < end && rc == 0) {
        uint64_t n = end - off;
        struct piece old = {.kind = PIECE_ZERO};

        if (off < guest_end(m)) {
            rc = map_find(m, off, min_u64(n, guest_end(m) - off), &old);
            n = old.len;
        }
        if (rc < 0)
            return rc;
        if (old.kind == PIECE_ZERO || (old.kind == PIECE_PARENT && !m->parent))
            rc = x->fresh ? 0 : disk_zero(x->file, to, n, false);
        else
            rc = copy_piece(m, &old, x->file, to);
        off += n;
        to += n;
    }
    return rc;
}

/* --- writing --- */

static int reserve(struct map *m, uint64_t off, uint64_t len, struct piece *x)
{
    int rc = map_failed(m);

    *x = (struct piece){.off = off, .len = len, .kind = PIECE_DATA, .file = m->file};
    pthread_mutex_lock(&m->lock);
    if (rc == 0)
        rc = m->ops->reserve(m, off, len, x);
    pthread_mutex_unlock(&m->lock);
    return rc;
}

/* ok: the space holds what it should. Otherwise it is given back. Returns rc, or why not. */
static int settle(struct map *m, const struct piece *x, int rc)
{
    pthread_mutex_lock(&m->lock);
    if (rc == 0) {
        rc = m->ops->assign(m, x);
        if (rc < 0)
            map_fail(m, rc);
    } else if (m->ops->cancel) {
        m->ops->cancel(m, x);
    }
    pthread_mutex_unlock(&m->lock);
    return rc;
}

/* Space for [at, stop) as far as one run of file space goes; *n is how much of r it took. */
static int write_run(struct map *m, struct disk_req *r, uint64_t at, uint64_t stop, uint64_t *n)
{
    uint64_t from = align_down(at, m->grain), end;
    struct iovec iov[DISK_IOV_MAX];
    struct disk_req p;
    struct piece x;
    int rc = reserve(m, from, grain_up(m, stop) - from, &x);

    if (rc < 0)
        return rc;
    end = min_u64(stop, x.off + x.len);
    if (at > from)
        rc = fill(m, &x, from, at - from);
    if (rc == 0 && end < x.off + x.len)
        rc = fill(m, &x, end, x.off + x.len - end);
    if (rc == 0) {
        p = disk_part(r, at, end - at, iov);
        p.off = x.at + (at - x.off);
        rc = disk_now(x.file, &p);
    }
    wrote(m);
    *n = end - at;
    return settle(m, &x, rc);
}

/* [at, at+len) lies where nothing is allocated, or was when it was looked at. */
static int write_new(struct map *m, struct disk_req *r, uint64_t at, uint64_t len, uint64_t *did)
{
    uint64_t c0 = align_down(at, m->cluster), c1 = align_up(at + len, m->cluster);
    struct range g;
    struct piece x;
    int rc;

    *did = 0;
    if (!m->ops->reserve)
        return -EROFS;
    ranges_hold(&m->busy, &g, c0, c1 - c0);
    rc = map_find(m, at, len, &x);
    while (rc == 0 && *did < len && is_new(&x)) {
        uint64_t n;

        rc = write_run(m, r, at + *did, at + x.len + *did, &n);
        if (rc < 0)
            break;
        *did += n;
        if (*did < len)
            rc = map_find(m, at + *did, len - *did, &x);
    }
    ranges_drop(&m->busy, &g);
    return rc;
}

static int write_old(struct map *m, struct disk_req *r, const struct piece *x)
{
    struct iovec iov[DISK_IOV_MAX];
    struct disk_req p = disk_part(r, x->off, x->len, iov);
    int rc;

    p.off = x->at;
    rc = disk_now(x->file, &p);
    wrote(m);
    return rc;
}

int map_write(struct map *m, struct disk_req *r)
{
    uint64_t at = r->off, end = r->off + r->len;
    int rc = map_touch(m);

    while (at < end && rc == 0) {
        struct piece x;
        uint64_t n;

        rc = map_find(m, at, end - at, &x);
        if (rc < 0)
            break;
        n = x.len;
        if (!is_new(&x))
            rc = write_old(m, r, &x);
        else
            rc = write_new(m, r, at, x.len, &n);
        at += n;
    }
    return rc;
}

/* --- zeroing and trimming --- */

static int zero_bytes(struct map *m, uint64_t at, uint64_t len)
{
    static uint8_t zeroes[BOUNCE];
    struct iovec iov = {.iov_base = zeroes};
    struct disk_req w = {.op = DISK_WRITE, .iov = &iov, .iovcnt = 1};
    int rc = 0;

    while (len && rc == 0) {
        iov.iov_len = min_u64(len, BOUNCE);
        w.off = at;
        w.len = iov.iov_len;
        rc = map_write(m, &w);
        at += w.len;
        len -= w.len;
    }
    return rc;
}

/* Makes part of a cluster zero, or all of it where the format has no way to say so. */
static int zero_part(struct map *m, uint64_t at, uint64_t end, bool unmap)
{
    int rc = map_failed(m);

    while (at < end && rc == 0) {
        struct piece x;

        rc = map_find(m, at, end - at, &x);
        if (rc < 0)
            break;
        if (x.kind == PIECE_DATA) {
            rc = disk_zero(x.file, x.at, x.len, unmap);
            wrote(m);
        } else if (x.kind == PIECE_PACKED || (x.kind == PIECE_PARENT && m->parent)) {
            rc = zero_bytes(m, at, x.len);
        }
        at += x.len;
    }
    return rc;
}

static int clear(struct map *m, uint64_t at, uint64_t end, bool unmap)
{
    struct range g;
    int rc = map_failed(m);

    ranges_hold(&m->busy, &g, at, end - at);
    while (at < end && rc == 0) {
        uint64_t did = 0;

        pthread_mutex_lock(&m->lock);
        rc = m->ops->clear ? m->ops->clear(m, at, end - at, unmap, &did) : -ENOTSUP;
        if (rc < 0 && rc != -ENOTSUP)
            map_fail(m, rc);
        pthread_mutex_unlock(&m->lock);
        at += did;
        if (rc == 0 && meta_full(m->meta))
            rc = map_flush(m);
    }
    ranges_drop(&m->busy, &g);
    return rc == -ENOTSUP ? zero_part(m, at, min_u64(end, guest_end(m)), unmap) : rc;
}

int map_zero(struct map *m, struct disk_req *r)
{
    uint64_t end = r->off + r->len;
    uint64_t c0 = align_up(r->off, m->cluster), c1 = align_down(end, m->cluster);
    bool trim = r->op == DISK_TRIM;
    int rc;

    if (!m->ops->reserve)
        return -EROFS;
    rc = map_touch(m);
    if (rc < 0)
        return rc;
    if (end == guest_end(m))
        c1 = align_up(end, m->cluster);
    if (c0 >= c1)
        return trim ? 0 : zero_part(m, r->off, end, r->unmap);
    if (!trim && r->off < c0)
        rc = zero_part(m, r->off, c0, r->unmap);
    if (rc == 0)
        rc = clear(m, c0, c1, trim || r->unmap);
    if (rc == 0 && !trim && c1 < end)
        rc = zero_part(m, c1, end, r->unmap);
    return rc;
}

/* --- space for a caller that fills it itself --- */

int map_place(struct map *m, uint64_t off, uint64_t len, struct piece *x)
{
    int rc = m->ops->reserve ? map_touch(m) : -EROFS;

    if (rc == 0 && off < guest_end(m))
        rc = map_find(m, off, min_u64(len, guest_end(m) - off), x);
    if (rc < 0)
        return rc;
    if (off < guest_end(m) && !is_new(x)) {
        x->old = true;
        x->fresh = false;
        x->len = min_u64(len, grain_up(m, off + x->len) - off);
        return 0;
    }
    if (off < guest_end(m))
        len = min_u64(len, grain_up(m, off + x->len) - off);
    return reserve(m, off, len, x);
}

int map_placed(struct map *m, const struct piece *x, bool ok)
{
    wrote(m);
    return x->old ? 0 : settle(m, x, ok ? 0 : -EIO);
}
