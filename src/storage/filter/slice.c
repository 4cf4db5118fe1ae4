/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slice.c - a range of a host file, only read, as a host file of its own: a member of an archive.
 * As with any file, what lies past its end reads as zeroes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "storage/member.h"

struct slice {
    struct disk d;
    struct disk *file;
    uint64_t at, len;
    struct disk_fwds fwds;
};

static struct slice *slice_of(struct disk *d)
{
    return container_of(d, struct slice, d);
}

/* What lies past the end is zero, and not the next member. */
static int read_end(struct slice *s, const struct disk_req *r)
{
    uint64_t at = r->off;
    int rc = 0;

    for (unsigned i = 0; i < r->iovcnt && rc == 0; i++) {
        uint8_t *p = r->iov[i].iov_base;
        size_t len = r->iov[i].iov_len, n = at < s->len ? min_u64(len, s->len - at) : 0;

        memset(p + n, 0, len - n);
        if (n)
            rc = disk_read(s->file, s->at + at, p, n);
        at += len;
    }
    return rc;
}

static int slice_now(struct disk *d, struct disk_req *r)
{
    struct slice *s = slice_of(d);
    struct disk_req below = *r;

    if (r->op == DISK_FLUSH)
        return 0;
    if (!range_in(r->off, r->len, s->len))
        return read_end(s, r);
    below.off += s->at;
    return disk_now(s->file, &below);
}

static int slice_try(struct disk *d, struct disk_req *r)
{
    struct slice *s = slice_of(d);
    struct disk_req below = *r;

    if (r->op == DISK_FLUSH)
        return 0;
    if (!range_in(r->off, r->len, s->len))
        return -EAGAIN;
    below.off += s->at;
    return disk_try(s->file, &below);
}

static void done(struct disk_req *r, int res)
{
    struct disk_fwd *w = container_of(r, struct disk_fwd, r);
    struct disk_req *up = w->up;

    disk_fwd_put(w);
    disk_finish(up, res);
}

static void slice_submit(struct disk *d, struct disk_req *r)
{
    struct slice *s = slice_of(d);
    bool inside = r->op == DISK_FLUSH || range_in(r->off, r->len, s->len);
    struct disk_fwd *w = r->op == DISK_FLUSH || !inside ? NULL : disk_fwd_get(&s->fwds, r);

    if (!w) {
        if (inside)
            disk_finish_later(d, r, r->op == DISK_FLUSH ? 0 : -ENOMEM);
        else
            disk_work(d, r);
        return;
    }
    w->r.off += s->at;
    w->r.done = done;
    disk_submit(s->file, &w->r);
}

struct shifted {
    struct slice *s;
    extent_fn *fn;
    void *arg;
};

/* The place is told as the archive's, so that its blocks can be shared. */
static int shift(void *arg, const struct extent *x)
{
    const struct shifted *k = arg;
    struct extent y = *x;

    y.off -= k->s->at;
    return k->fn(k->arg, &y);
}

static int slice_extents(struct disk *d, uint64_t off, uint64_t len, extent_fn *fn, void *arg)
{
    struct slice *s = slice_of(d);
    struct shifted k = {s, fn, arg};
    uint64_t n = off < s->len ? min_u64(len, s->len - off) : 0;
    struct extent tail = {.off = off + n, .len = len - n, .file_off = UINT64_MAX};
    int rc = disk_extents(s->file, s->at + min_u64(off, s->len), n, shift, &k);

    tail.kind = EXTENT_ZERO;
    return rc == 0 && tail.len ? fn(arg, &tail) : rc;
}

static void slice_close(struct disk *d)
{
    struct slice *s = slice_of(d);

    disk_close(s->file);
    disk_fwds_fini(&s->fwds);
    disk_fini(d);
    free(s);
}

static const struct disk_ops slice_ops = {
    .name = "slice",
    .close = slice_close,
    .now = slice_now,
    .submit = slice_submit,
    .try = slice_try,
    .extents = slice_extents,
};

int slice_create(struct disk *file, uint64_t at, uint64_t len, struct loop *l, struct disk **out,
                 struct err *e)
{
    struct slice *s;

    if (!range_in(at, len, disk_bytes(file)))
        return err_set(e, EINVAL, "a part of a file lies past the file's end");
    s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(e, ENOMEM, "no memory to open a part of a file");
    disk_init(&s->d, &slice_ops, l);
    s->d.shape = (struct disk_shape){.bytes = len, .logical = 1, .physical = 4096};
    s->d.shape.readonly = true;
    s->d.shape.grows = true; /* as a host file does: formats may read past its end */
    s->len = len;
    s->file = file;
    s->at = at;
    *out = &s->d;
    return 0;
}
