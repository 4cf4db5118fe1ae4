/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmdk_map.c - VMDK extents as the engine of map.h sees them.
 *
 * Each sparse extent gives out grains of its own file, so freed space carries the extent's number
 * above the offset. Tables are there from the start in nearly all images; one that is missing is
 * made in phase 0 and linked in phase 1. Both directories are kept alike: an entry of the redundant
 * tables goes out in the same phase as its twin, each inside one sector.
 *
 * The first change after opening writes a new content ID and marks the extents as not shut down.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/format/vmdk.h"

/* Freed space: the extent's number above, 16 TiB of offset below. */
enum { NUMBER_SHIFT = 44 };

struct vmdk *vmdk_of(struct map *m)
{
    return container_of(m, struct vmdk, m);
}

struct vmdk_extent *vmdk_extent_at(struct vmdk *v, uint64_t off)
{
    size_t lo = 0, hi = v->extent_count - 1;

    while (lo < hi) {
        size_t mid = (lo + hi + 1) / 2;

        if (v->extents[mid].start <= off)
            lo = mid;
        else
            hi = mid - 1;
    }
    return &v->extents[lo];
}

static int vmdk_find(struct map *m, uint64_t off, uint64_t len, bool wait, struct piece *p)
{
    struct vmdk *v = vmdk_of(m);
    struct vmdk_extent *x = v->extent_count == 1 ? v->extents : vmdk_extent_at(v, off);
    uint64_t in = off - x->start;

    len = min_u64(len, x->len - in);
    if (x->type == VMDK_ZERO) {
        p->kind = PIECE_ZERO;
        p->len = len;
        return 0;
    }
    if (x->access == VMDK_NOACCESS)
        return -EACCES;
    if (!x->file) /* only the descriptor was wanted */
        return -ENODATA;
    if (x->type == VMDK_FLAT) {
        p->kind = PIECE_DATA;
        p->file = x->file;
        p->at = x->base + in;
        p->len = len;
        return 0;
    }
    if (x->type == VMDK_SESPARSE)
        return vmdk_sesparse_find(v, x, in, len, wait, p);
    return vmdk_sparse_find(v, x, in, len, wait, p);
}

/* --- space --- */

/* n grains, or fewer, in one run. */
static int take(struct vmdk_extent *x, uint64_t n, struct piece *p)
{
    uint64_t most = (UINT64_C(1) << 32) * VMDK_SECTOR, room;

    if (x->pool.n) {
        struct map_run *r = &x->pool.v[x->pool.n - 1];

        p->len = min_u64(r->len, n * x->grain);
        p->at = r->at;
        p->fresh = false;
        r->at += p->len;
        r->len -= p->len;
        if (r->len == 0)
            x->pool.n--;
        return 0;
    }
    room = (most - min_u64(most, x->end)) / x->grain;
    if (!x->file->shape.grows)
        room =
            min_u64(room, (disk_bytes(x->file) - min_u64(disk_bytes(x->file), x->end)) / x->grain);
    if (room == 0)
        return -ENOSPC;
    p->at = x->end;
    p->len = min_u64(n, room) * x->grain;
    p->fresh = x->file->shape.grows && p->at >= x->virgin;
    x->end += p->len;
    x->virgin = max_u64(x->virgin, x->end);
    return 0;
}

static void give_back(struct vmdk_extent *x, uint64_t at, uint64_t len)
{
    if (at + len == x->end)
        x->end = at;
    else
        map_runs_add(&x->pool, at, len);
}

static int vmdk_reserve(struct map *m, uint64_t off, uint64_t len, struct piece *p)
{
    struct vmdk_extent *x = vmdk_extent_at(vmdk_of(m), off);

    if (x->type != VMDK_SPARSE || x->access != VMDK_RW || !x->file)
        return -EROFS;
    len = min_u64(len, align_up(x->len - (off - x->start), x->grain));
    p->file = x->file;
    return take(x, len / x->grain, p);
}

static void vmdk_cancel(struct map *m, const struct piece *p)
{
    give_back(vmdk_extent_at(vmdk_of(m), p->off), p->at, p->len);
}

/* --- tables --- */

/* Readers take the file's end for the end of what is there, so it covers each grain. Nobody else
 * can write to this one yet. */
static int cover(const struct vmdk_extent *x, uint64_t end)
{
    static const uint8_t zero;

    return disk_bytes(x->file) >= end ? 0 : disk_write(x->file, end - 1, &zero, 1);
}

/* A table that is missing, with its twin, in a grain of its own. */
static int new_table(struct vmdk *v, struct vmdk_extent *x, uint32_t i)
{
    uint64_t bytes = vmdk_gt_bytes(x);
    struct piece p = {0};
    uint8_t *w;
    int rc = take(x, 1, &p);

    if (rc == 0)
        rc = cover(x, p.at + p.len);
    if (rc == 0)
        rc = meta_new(&v->m, x->file, p.at, x->rgd_at ? 2 * bytes : bytes);
    if (rc == 0)
        rc = meta_change(&v->m, x->file, x->gd_at + (uint64_t)i * 4, 4, VMDK_LINKS, &w);
    if (rc != 0)
        return rc;
    x->gd[i] = (uint32_t)(p.at / VMDK_SECTOR);
    le32_put(w, x->gd[i]);
    if (!x->rgd_at)
        return 0;
    rc = meta_change(&v->m, x->file, x->rgd_at + (uint64_t)i * 4, 4, VMDK_LINKS, &w);
    if (rc == 0)
        le32_put(w, (uint32_t)((p.at + bytes) / VMDK_SECTOR));
    return rc;
}

static int set_twin(struct vmdk *v, struct vmdk_extent *x, uint64_t grain, uint32_t entry)
{
    uint64_t at = x->rgd_at + grain / x->per_gt * 4;
    uint8_t *w;
    int rc = meta_get(&v->m, x->file, at, true, &w);

    if (rc < 0)
        return rc;
    at = (uint64_t)le32_at(w) * VMDK_SECTOR;
    if (at == 0 || at >= disk_bytes(x->file) || at / VMDK_SECTOR == x->gd[grain / x->per_gt])
        return 0; /* none */
    at += grain % x->per_gt * 4;
    rc = meta_change(&v->m, x->file, at, 4, VMDK_LINKS, &w);
    if (rc == 0)
        le32_put(w, entry);
    return rc;
}

static int set_entry(struct vmdk *v, struct vmdk_extent *x, uint64_t grain, uint32_t entry)
{
    uint32_t i = (uint32_t)(grain / x->per_gt);
    uint8_t *w;
    int rc = x->gd[i] ? 0 : new_table(v, x, i);

    if (rc == 0)
        rc = meta_change(&v->m, x->file, (uint64_t)x->gd[i] * VMDK_SECTOR + grain % x->per_gt * 4,
                         4, VMDK_LINKS, &w);
    if (rc < 0)
        return rc;
    le32_put(w, entry);
    return x->rgd_at ? set_twin(v, x, grain, entry) : 0;
}

static int vmdk_assign(struct map *m, const struct piece *p)
{
    struct vmdk *v = vmdk_of(m);
    struct vmdk_extent *x = vmdk_extent_at(v, p->off);
    uint64_t grain = (p->off - x->start) / x->grain;
    int rc = cover(x, p->at + p->len);

    for (uint64_t i = 0; i * x->grain < p->len && rc == 0; i++)
        rc = set_entry(v, x, grain + i, (uint32_t)((p->at + i * x->grain) / VMDK_SECTOR));
    return rc;
}

/* One grain; -ENOTSUP: only written zeroes can say it. */
static int clear_one(struct vmdk *v, struct vmdk_extent *x, uint64_t grain)
{
    struct piece p = {0};
    int rc = vmdk_sparse_find(v, x, grain * x->grain, x->grain, true, &p);

    if (rc < 0 || p.kind == PIECE_ZERO || (p.kind == PIECE_PARENT && !v->m.parent))
        return rc;
    if (!x->zeroed && v->m.parent)
        return -ENOTSUP;
    rc = set_entry(v, x, grain, x->zeroed ? 1 : 0);
    if (rc == 0 && p.kind == PIECE_DATA)
        map_free(&v->m, (uint64_t)x->number << NUMBER_SHIFT | p.at, x->grain);
    return rc;
}

static int vmdk_clear(struct map *m, uint64_t off, uint64_t len, bool unmap, uint64_t *done)
{
    struct vmdk *v = vmdk_of(m);
    struct vmdk_extent *x = vmdk_extent_at(v, off);
    uint64_t in = off - x->start, span, end;
    int rc = 0;

    if (x->type == VMDK_ZERO) {
        *done = min_u64(len, align_up(x->len - in, m->cluster));
        return 0;
    }
    if (!unmap || x->type != VMDK_SPARSE || x->access != VMDK_RW || !x->file)
        return -ENOTSUP;
    span = x->grain * x->per_gt; /* one table at a time */
    end = min_u64(in + len, min_u64(align_up(x->len, x->grain), align_down(in, span) + span));
    for (*done = 0; in + *done < end && rc == 0; *done += rc == 0 ? x->grain : 0)
        rc = clear_one(v, x, (in + *done) / x->grain);
    return *done && rc == -ENOTSUP ? 0 : rc;
}

static struct vmdk_extent *extent_of_run(struct map *m, uint64_t *at)
{
    struct vmdk *v = vmdk_of(m);
    struct vmdk_extent *x = &v->extents[*at >> NUMBER_SHIFT];

    *at &= (UINT64_C(1) << NUMBER_SHIFT) - 1;
    return x;
}

static void vmdk_released(struct map *m, uint64_t at, uint64_t len)
{
    struct vmdk_extent *x = extent_of_run(m, &at);

    give_back(x, at, len);
}

static int vmdk_punch(struct map *m, uint64_t at, uint64_t len)
{
    struct vmdk_extent *x = extent_of_run(m, &at);
    struct disk_req r = {.op = DISK_TRIM, .off = at, .len = len};

    return disk_now(x->file, &r);
}

/* --- the first change, and the end --- */

static int write_hex(struct vmdk *v, uint64_t at, uint32_t value, unsigned digits)
{
    char text[16];

    snprintf(text, sizeof(text), "%08x", value);
    return disk_write(v->m.file, v->text_at + at, text + 8 - digits, digits);
}

/* A child that was made from what the image holds now knows it by the old ID. */
static int new_content_id(struct vmdk *v)
{
    unsigned digits = v->desc.cid_digits;
    uint32_t mask = digits >= 8 ? UINT32_MAX : (UINT32_C(1) << digits * 4) - 1, cid;
    int rc = 0;

    if (!v->desc.cid_at)
        return 0;
    do {
        cid = vmdk_new_cid() & mask;
    } while (cid == v->desc.cid);
    rc = write_hex(v, v->desc.cid_at, cid, digits);
    if (rc == 0 && v->desc.long_at)
        rc = write_hex(v, v->desc.long_at, cid, 8);
    v->desc.cid = cid;
    return rc;
}

static int mark_extent(struct vmdk_extent *x, uint8_t unclean)
{
    x->h.uncleanShutdown = unclean;
    x->touched = unclean;
    return disk_write(x->file, offsetof(struct sparse_extent_header, uncleanShutdown), &unclean, 1);
}

static int vmdk_touch(struct map *m)
{
    struct vmdk *v = vmdk_of(m);
    int rc = new_content_id(v);

    if (rc == 0)
        rc = disk_flush(m->file);
    for (size_t i = 0; i < v->extent_count && rc == 0; i++) {
        struct vmdk_extent *x = &v->extents[i];

        if (x->type != VMDK_SPARSE || x->access != VMDK_RW || !x->file)
            continue;
        rc = mark_extent(x, 1);
    }
    return rc;
}

static void vmdk_close(struct map *m, bool clean)
{
    struct vmdk *v = vmdk_of(m);

    for (size_t i = 0; i < v->extent_count && clean; i++) {
        if (v->extents[i].touched)
            clean = mark_extent(&v->extents[i], 0) == 0;
    }
    vmdk_unload(v);
}

const struct map_ops vmdk_map_ops = {
    .name = "vmdk",
    .find = vmdk_find,
    .reserve = vmdk_reserve,
    .assign = vmdk_assign,
    .cancel = vmdk_cancel,
    .clear = vmdk_clear,
    .touch = vmdk_touch,
    .released = vmdk_released,
    .punch = vmdk_punch,
    .unpack = vmdk_unpack,
    .close = vmdk_close,
};
