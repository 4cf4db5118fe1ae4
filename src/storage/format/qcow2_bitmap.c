/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_bitmap.c - persistent bitmaps: kept beside our writes, and fitted to other sizes.
 *
 * Document: docs/interop/qcow2.txt of QEMU, "Bitmaps". A bitmap that is marked as in use is not to
 * be believed, and its size need not be the disk's. So that is what all are while a disk is
 * resized: a power cut costs what they recorded and nothing else. A longer disk is clean in its new
 * part, but where a whole cluster of a bitmap was said to be set, which stays so. Not modelled:
 * recording; bitmaps of other types and with extra data stay in use once the disk has another size.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "storage/format/qcow2.h"

enum {
    GRANULARITY_LEAST = 9,
    GRANULARITY_MOST = 31,
    DATA_MAX = 512 << 20, /* bytes of a bitmap, and of the directory, as QEMU limits them */
    DIRECTORY_MAX = 64 << 20,
};

/* --- the directory --- */

typedef int bitmap_fn(struct qcow2 *q, void *arg, uint32_t i, uint64_t at,
                      const struct qcow2_bitmap *b);

/* Runs fn over the entries, which lie at `at` of the file, until it gives nonzero. -EBADMSG: the
 * directory does not hold them all. */
static int each(struct qcow2 *q, bitmap_fn *fn, void *arg)
{
    uint64_t at = q->bitmaps_off, end = at + q->bitmaps_size;
    int rc = 0;

    for (uint32_t i = 0; i < q->bitmaps && rc == 0; i++) {
        struct qcow2_bitmap b;

        if (!range_in(at, sizeof(b), end))
            return -EBADMSG;
        rc = disk_read(q->m.file, at, &b, sizeof(b));
        if (rc == 0)
            rc = fn(q, arg, i, at, &b);
        at +=
            align_up(sizeof(b) + be16_get(b.name_size) + (uint64_t)be32_get(b.extra_data_size), 8);
    }
    return rc;
}

static int put_flags(struct qcow2 *q, uint64_t at, uint32_t flags)
{
    be32 w = be32_of(flags);

    return disk_write(q->m.file, at + offsetof(struct qcow2_bitmap, flags), &w, sizeof(w));
}

/* --- writing --- */

static int mark_recording(struct qcow2 *q, void *arg, uint32_t i, uint64_t at,
                          const struct qcow2_bitmap *b)
{
    uint32_t flags = be32_get(b->flags);

    if ((flags & (QCOW2_BITMAP_AUTO | QCOW2_BITMAP_IN_USE)) != QCOW2_BITMAP_AUTO)
        return 0;
    *(bool *)arg = true;
    return put_flags(q, at, flags | QCOW2_BITMAP_IN_USE);
}

/* A bitmap that is recording does not see what is written here. It is marked as in use before the
 * first write; those that are switched off stay right. */
int qcow2_touch(struct map *m)
{
    struct qcow2 *q = qcow2_of(m);
    bool changed = false;
    int rc = each(q, mark_recording, &changed);

    if (rc == -EBADMSG)
        return qcow2_autoclear(q, false);
    return rc == 0 && changed ? disk_flush(m->file) : rc;
}

/* --- other sizes --- */

static uint64_t bits_for(const struct qcow2_bitmap *b, uint64_t bytes)
{
    uint64_t one = UINT64_C(1) << b->granularity_bits;

    return bytes / one + (bytes % one != 0);
}

/* Entries of the table of a bitmap for a disk of `bytes`. */
static uint64_t table_for(const struct qcow2 *q, const struct qcow2_bitmap *b, uint64_t bytes)
{
    return (bits_for(b, bytes) + q->m.cluster * 8 - 1) / (q->m.cluster * 8);
}

/* Can this bitmap be given the size of a disk of `bytes`? */
static bool fits(const struct qcow2 *q, const struct qcow2_bitmap *b, uint64_t bytes)
{
    uint32_t flags = be32_get(b->flags);
    uint64_t table = be64_get(b->bitmap_table_offset), n = be32_get(b->bitmap_table_size), want;

    if (flags & ~(uint32_t)QCOW2_BITMAP_AUTO || b->type != QCOW2_BITMAP_TRACKING ||
        be32_get(b->extra_data_size) || b->granularity_bits < GRANULARITY_LEAST ||
        b->granularity_bits > GRANULARITY_MOST)
        return false;
    want = table_for(q, b, bytes);
    return n == table_for(q, b, q->m.d.shape.bytes) && table % q->m.cluster == 0 &&
           range_in(table, n * 8, disk_bytes(q->m.file)) && want > 0 &&
           max_u64(n, want) << q->cluster_bits <= DATA_MAX;
}

static int hold(struct qcow2 *q, void *arg, uint32_t i, uint64_t at, const struct qcow2_bitmap *b)
{
    uint32_t flags = be32_get(b->flags);

    if (flags & QCOW2_BITMAP_IN_USE)
        return 0;
    q->held[i] = fits(q, b, *(uint64_t *)arg);
    return put_flags(q, at, flags | QCOW2_BITMAP_IN_USE);
}

int qcow2_bitmaps_hold(struct qcow2 *q, uint64_t bytes)
{
    int rc;

    free(q->held);
    q->held = NULL;
    if (q->bitmaps == 0)
        return 0;
    if (q->bitmaps_size <= DIRECTORY_MAX &&
        q->bitmaps <= q->bitmaps_size / sizeof(struct qcow2_bitmap))
        q->held = calloc(q->bitmaps, sizeof(*q->held));
    rc = q->held ? each(q, hold, &bytes) : -EBADMSG;
    if (rc == 0)
        return disk_flush(q->m.file);
    free(q->held);
    q->held = NULL;
    if (rc != -EBADMSG)
        return rc;
    q->bitmaps = 0; /* nobody can read them */
    return qcow2_autoclear(q, false);
}

/* What a resize makes and what it then needs no longer. */
struct refit {
    uint64_t bytes;
    uint8_t *dir; /* as in the file */
    struct map_runs made, dropped;
};

/* A table in a new place. */
static int put_new(struct qcow2 *q, struct refit *r, const void *data, uint64_t len, uint64_t *at)
{
    uint64_t clusters = (len + q->m.cluster - 1) >> q->cluster_bits;
    uint8_t *whole = calloc(clusters, q->m.cluster);
    int rc = whole ? qcow2_alloc_row(q, clusters, at) : -ENOMEM;

    if (rc == 0) {
        map_runs_add(&r->made, *at, clusters << q->cluster_bits);
        memcpy(whole, data, len);
        rc = disk_write(q->m.file, *at, whole, clusters << q->cluster_bits);
    }
    free(whole);
    return rc;
}

/* Bits that stand for nothing are zero: those of the cluster at `at` from `bit` on. */
static int clear_bits(struct qcow2 *q, uint64_t at, uint64_t bit)
{
    int rc = 0;

    for (uint64_t i = bit / 8; i < q->m.cluster && rc == 0; i++) {
        uint8_t keep = i == bit / 8 ? (uint8_t)((1u << bit % 8) - 1) : 0, *p;

        rc = meta_get(&q->m, q->m.file, at + i, true, &p);
        if (rc < 0 || !(*p & ~keep))
            continue;
        rc = meta_change(&q->m, q->m.file, at + i, 1, QCOW2_LINKS, &p);
        if (rc == 0)
            *p &= keep;
    }
    return rc;
}

static bool sound(const struct qcow2 *q, const uint8_t *table, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        uint64_t at = be64_at(table + i * 8) & QCOW2_OFFSET;

        if (at % q->m.cluster || !range_in(at, q->m.cluster, disk_bytes(q->m.file)))
            return false;
    }
    return true;
}

/* table: `had` entries as they were, with room for as many as there will be. */
static int refit_table(struct qcow2 *q, struct refit *r, struct qcow2_bitmap *b, uint8_t *table,
                       uint64_t had)
{
    uint64_t want = table_for(q, b, r->bytes), at;
    uint64_t last = bits_for(b, min_u64(r->bytes, q->m.d.shape.bytes));
    uint64_t cluster = last / (q->m.cluster * 8);
    int rc = 0;

    for (uint64_t i = want; i < had; i++) {
        at = be64_at(table + i * 8) & QCOW2_OFFSET;
        if (at)
            map_runs_add(&r->dropped, at, q->m.cluster);
    }
    at = cluster < min_u64(had, want) ? be64_at(table + cluster * 8) & QCOW2_OFFSET : 0;
    if (at)
        rc = clear_bits(q, at, last % (q->m.cluster * 8));
    if (rc == 0)
        rc = put_new(q, r, table, want * 8, &at);
    if (rc < 0)
        return rc;
    map_runs_add(&r->dropped, be64_get(b->bitmap_table_offset), align_up(had * 8, q->m.cluster));
    b->bitmap_table_offset = be64_of(at);
    b->bitmap_table_size = be32_of((uint32_t)want);
    return 0;
}

static int refit_bitmap(struct qcow2 *q, void *arg, uint32_t i, uint64_t at,
                        const struct qcow2_bitmap *b)
{
    struct refit *r = arg;
    uint64_t had = be32_get(b->bitmap_table_size);
    struct qcow2_bitmap now = *b;
    uint8_t *table;
    int rc;

    if (!q->held[i])
        return 0;
    table = calloc(max_u64(had, table_for(q, b, r->bytes)), 8);
    rc = table ? disk_read(q->m.file, be64_get(b->bitmap_table_offset), table, had * 8) : -ENOMEM;
    if (rc == 0 && !sound(q, table, had))
        q->held[i] = false;
    else if (rc == 0)
        rc = refit_table(q, r, &now, table, had);
    if (rc == 0)
        memcpy(r->dir + (at - q->bitmaps_off), &now, sizeof(now));
    free(table);
    return rc;
}

/* The directory in a new place; one word of the header switches to it. */
static int move_directory(struct qcow2 *q, struct refit *r)
{
    uint64_t at;
    uint8_t *p;
    int rc = put_new(q, r, r->dir, q->bitmaps_size, &at);

    if (rc == 0)
        rc = meta_change(&q->m, q->m.file,
                         q->bitmaps_ext +
                             offsetof(struct qcow2_bitmaps_ext, bitmap_directory_offset),
                         8, QCOW2_LINKS, &p);
    if (rc != 0)
        return rc;
    be64_put(p, at);
    map_runs_add(&r->dropped, q->bitmaps_off, align_up(q->bitmaps_size, q->m.cluster));
    q->bitmaps_off = at;
    return 0;
}

static void give_back(struct qcow2 *q, struct map_runs *runs)
{
    for (size_t i = 0; i < runs->n; i++) {
        meta_forget(&q->m, q->m.file, runs->v[i].at, runs->v[i].len);
        qcow2_free(q, runs->v[i].at, runs->v[i].len >> q->cluster_bits);
    }
}

int qcow2_bitmaps_resize(struct qcow2 *q, uint64_t bytes)
{
    struct refit r = {.bytes = bytes};
    int rc;

    if (!q->held)
        return 0;
    r.dir = malloc(q->bitmaps_size);
    rc = r.dir ? disk_read(q->m.file, q->bitmaps_off, r.dir, q->bitmaps_size) : -ENOMEM;
    if (rc == 0)
        rc = each(q, refit_bitmap, &r);
    if (rc == 0)
        rc = move_directory(q, &r);
    give_back(q, rc == 0 ? &r.dropped : &r.made);
    free(r.made.v);
    free(r.dropped.v);
    free(r.dir);
    return rc;
}

static int release(struct qcow2 *q, void *arg, uint32_t i, uint64_t at,
                   const struct qcow2_bitmap *b)
{
    return q->held[i] ? put_flags(q, at, be32_get(b->flags) & ~(uint32_t)QCOW2_BITMAP_IN_USE) : 0;
}

int qcow2_settle(struct disk *d, struct err *e)
{
    struct qcow2 *q = qcow2_of(map_of(d));
    int rc;

    if (!q->held)
        return 0;
    rc = each(q, release, NULL);
    if (rc == 0)
        rc = disk_flush(q->m.file);
    free(q->held);
    q->held = NULL;
    map_untouch(&q->m); /* the next write is one that those which record do not see */
    return rc < 0
               ? err_set(e, -rc, "cannot say that the image's bitmaps are right: %s", strerror(-rc))
               : 0;
}
