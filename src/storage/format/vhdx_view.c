/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhdx_view.c - a VHDX file whose log has not been replayed, as if it had been: for opening without
 * changing a byte.
 *
 * Kept is where in the log each sector's new content lies, not the content; so the memory is a
 * hundredth of the log's size.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/iov.h"
#include "storage/format/vhdx.h"

enum { SECTOR = 4096, ZEROES_MAX = 1024 };

struct patch {
    uint64_t off, at; /* in the file; of the log's sector in it */
    uint64_t order;
    struct vhdx_log_descriptor d;
};

struct zero_run {
    uint64_t off, len, order;
};

struct view {
    struct disk d;
    struct disk *file;
    struct patch *patches; /* by offset, one for each */
    size_t n, room;
    struct zero_run *zeroes; /* they come before the patches */
    size_t zero_count;
    uint64_t order;
};

static struct view *view_of(struct disk *d)
{
    return container_of(d, struct view, d);
}

/* --- collecting --- */

static int add_zeroes(struct view *w, const struct vhdx_log_descriptor *d)
{
    if (w->zero_count == ZEROES_MAX)
        return -E2BIG;
    if (!w->zeroes)
        w->zeroes = calloc(ZEROES_MAX, sizeof(*w->zeroes));
    if (!w->zeroes)
        return -ENOMEM;
    w->zeroes[w->zero_count++] =
        (struct zero_run){le64_get(d->file_offset), le64_get(d->leading), w->order++};
    return 0;
}

static int add_change(void *arg, const struct vhdx_log_descriptor *d, uint64_t at)
{
    struct view *w = arg;

    if (d->signature[0] == 'z')
        return add_zeroes(w, d);
    if (w->n == w->room) {
        size_t room = w->room ? w->room * 2 : 64;
        struct patch *v = reallocarray(w->patches, room, sizeof(*v));

        if (!v)
            return -ENOMEM;
        w->patches = v;
        w->room = room;
    }
    w->patches[w->n++] = (struct patch){le64_get(d->file_offset), at, w->order++, *d};
    return 0;
}

static int by_offset_then_newest(const void *a, const void *b)
{
    const struct patch *x = a, *y = b;

    if (x->off != y->off)
        return x->off < y->off ? -1 : 1;
    return x->order > y->order ? -1 : x->order < y->order;
}

static bool zeroed_later(const struct view *w, const struct patch *p)
{
    for (size_t i = 0; i < w->zero_count; i++) {
        const struct zero_run *z = &w->zeroes[i];

        if (z->order > p->order && p->off >= z->off && p->off - z->off < z->len)
            return true;
    }
    return false;
}

/* What counts at each offset is its last change. */
static void settle(struct view *w)
{
    size_t n = 0;

    if (w->n)
        qsort(w->patches, w->n, sizeof(*w->patches), by_offset_then_newest);
    for (size_t i = 0; i < w->n; i++) {
        if ((n == 0 || w->patches[n - 1].off != w->patches[i].off) &&
            !zeroed_later(w, &w->patches[i]))
            w->patches[n++] = w->patches[i];
    }
    w->n = n;
}

/* --- reading --- */

static size_t first_patch(const struct view *w, uint64_t off)
{
    size_t low = 0, high = w->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (w->patches[mid].off + SECTOR <= off)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static int apply_patch(const struct view *w, const struct patch *p, const struct disk_req *r)
{
    uint64_t from = max_u64(p->off, r->off), to = min_u64(p->off + SECTOR, r->off + r->len);
    uint8_t buf[SECTOR];
    int rc = vhdx_log_sector(w->file, &p->d, p->at, buf);

    if (rc == 0)
        iov_write(r->iov, r->iovcnt, from - r->off, buf + (from - p->off), to - from);
    return rc;
}

static int view_now(struct disk *d, struct disk_req *r)
{
    struct view *w = view_of(d);
    struct disk_req below = *r;
    int rc;

    if (r->op == DISK_FLUSH)
        return 0;
    if (r->op != DISK_READ)
        return -EROFS;
    rc = disk_now(w->file, &below);
    for (size_t i = 0; i < w->zero_count && rc == 0; i++) {
        const struct zero_run *z = &w->zeroes[i];
        uint64_t from = max_u64(z->off, r->off), to = min_u64(z->off + z->len, r->off + r->len);

        if (from < to)
            iov_fill(r->iov, r->iovcnt, from - r->off, 0, to - from);
    }
    for (size_t i = first_patch(w, r->off);
         rc == 0 && i < w->n && w->patches[i].off < r->off + r->len; i++)
        rc = apply_patch(w, &w->patches[i], r);
    return rc;
}

static void free_view(struct view *w)
{
    free(w->patches);
    free(w->zeroes);
    free(w);
}

static void view_close(struct disk *d)
{
    struct view *w = view_of(d);

    disk_close(w->file);
    disk_fini(d);
    free_view(w);
}

static const struct disk_ops view_ops = {
    .name = "vhdx-view",
    .close = view_close,
    .now = view_now,
};

int vhdx_view(struct vhdx *v, struct loop *l)
{
    struct view *w = calloc(1, sizeof(*w));
    int rc;

    if (!w)
        return -ENOMEM;
    w->file = v->m.file;
    rc = vhdx_log_each(v, add_change, w);
    if (rc < 0) {
        free_view(w);
        return rc;
    }
    settle(w);
    disk_init(&w->d, &view_ops, l);
    w->d.shape = v->m.file->shape;
    w->d.shape.bytes = max_u64(w->d.shape.bytes, v->log.last);
    w->d.shape.readonly = true;
    v->m.file = &w->d;
    return 0;
}

void vhdx_unview(struct vhdx *v, struct disk *file)
{
    if (v->m.file == file)
        return;
    free_view(view_of(v->m.file));
    v->m.file = file;
}

/* The document wants new GUIDs before a replay; the log stays valid until all is in place. */
int vhdx_apply_log(struct vhdx *v, struct loop *l)
{
    int rc;

    if (v->log.state != VHDX_LOG_FULL)
        return 0;
    if (v->m.file->shape.readonly)
        return vhdx_view(v, l);
    rc = vhdx_renew_headers(v, false, true);
    if (rc == 0)
        rc = vhdx_log_replay(v);
    if (rc == 0)
        rc = vhdx_renew_headers(v, false, false);
    if (rc == 0)
        rc = disk_flush(v->m.file);
    if (rc == 0)
        v->log.state = VHDX_LOG_EMPTY;
    return rc;
}
