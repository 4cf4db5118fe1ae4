/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_ref.c - reference counts, and finding free clusters by them.
 *
 * Counts go up before anything durable points to a cluster (phase 0 of a flush), and down only
 * after the flush that made the last pointer's end durable; so a power cut leaves leaks at worst.
 * A new block of counts is linked in phase 1, before the pointers of phase 2 that rely on it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/format/qcow2.h"

/* Clusters that one block of counts covers. */
static uint64_t per_block(const struct qcow2 *q)
{
    return q->m.cluster * 8 >> q->refcount_order;
}

static uint64_t count_max(const struct qcow2 *q)
{
    unsigned bits = 1u << q->refcount_order;

    return bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
}

/* The i-th count of a block, of which p holds the byte that it begins in. */
static uint64_t peek(const struct qcow2 *q, const uint8_t *p, uint64_t i)
{
    unsigned bits = 1u << q->refcount_order;

    switch (q->refcount_order) {
    case 3:
        return p[0];
    case 4:
        return be16_at(p);
    case 5:
        return be32_at(p);
    case 6:
        return be64_at(p);
    default:
        return p[0] >> (i * bits % 8) & ((1u << bits) - 1);
    }
}

static void poke(const struct qcow2 *q, uint8_t *p, uint64_t i, uint64_t v)
{
    unsigned bits = 1u << q->refcount_order, shift = (unsigned)(i * bits % 8);

    switch (q->refcount_order) {
    case 3:
        p[0] = (uint8_t)v;
        break;
    case 4:
        be16_put(p, (uint16_t)v);
        break;
    case 5:
        be32_put(p, (uint32_t)v);
        break;
    case 6:
        be64_put(p, v);
        break;
    default:
        p[0] = (uint8_t)((p[0] & ~(((1u << bits) - 1) << shift)) | (unsigned)v << shift);
        break;
    }
}

/* Where the count lies; 0: nowhere, the count is 0. */
static int place_of(const struct qcow2 *q, uint64_t cluster, uint64_t *at)
{
    uint64_t t = cluster / per_block(q), i = cluster % per_block(q), block;

    *at = 0;
    if (t >= q->reftable_size || !(block = q->reftable[t] & ~UINT64_C(511)))
        return 0;
    if (block % q->m.cluster)
        return -EIO;
    *at = block + ((i << q->refcount_order) / 8);
    return 0;
}

int qcow2_ref_get(struct qcow2 *q, uint64_t cluster, uint64_t *out)
{
    uint64_t at;
    uint8_t *p;
    int rc = place_of(q, cluster, &at);

    *out = 0;
    if (rc < 0 || at == 0)
        return rc;
    rc = meta_get(&q->m, q->m.file, at, true, &p);
    if (rc == 0)
        *out = peek(q, p, cluster % per_block(q));
    return rc;
}

uint64_t qcow2_ref_page(const struct qcow2 *q)
{
    return min_u64(META_PAGE, q->m.cluster) * 8 >> q->refcount_order;
}

int qcow2_ref_none(struct qcow2 *q, uint64_t cluster, uint64_t *n)
{
    uint64_t at;
    uint8_t *p;
    int rc = place_of(q, cluster, &at);

    *n = 0;
    if (rc < 0 || at == 0 || at % META_PAGE)
        return rc;
    rc = meta_get(&q->m, q->m.file, at, true, &p);
    if (rc == 0 && all_zero(p, qcow2_ref_page(q) << q->refcount_order >> 3))
        *n = qcow2_ref_page(q);
    return rc;
}

static int ref_set(struct qcow2 *q, uint64_t cluster, uint64_t v)
{
    size_t bytes = q->refcount_order > 3 ? 1u << (q->refcount_order - 3) : 1;
    uint64_t at;
    uint8_t *p;
    int rc = place_of(q, cluster, &at);

    if (rc == 0 && at == 0)
        rc = -EIO;
    if (rc == 0)
        rc = meta_change(&q->m, q->m.file, at, bytes, QCOW2_REFS, &p);
    if (rc == 0)
        poke(q, p, cluster % per_block(q), v);
    return rc;
}

int qcow2_ref_add(struct qcow2 *q, uint64_t cluster, int64_t by)
{
    uint64_t v;
    int rc = qcow2_ref_get(q, cluster, &v);

    if (rc < 0)
        return rc;
    if (by < 0 ? v < (uint64_t)-by : v > count_max(q) - (uint64_t)by)
        return -ERANGE;
    return ref_set(q, cluster, v + (uint64_t)by);
}

/* --- blocks and the table of blocks --- */

static bool room_for(const struct qcow2 *q, uint64_t first, uint64_t n)
{
    const struct disk_shape *s = &q->m.file->shape;
    uint64_t end = (first + n) << q->cluster_bits;

    return end <= (s->grows ? UINT64_C(1) << 55 : s->bytes);
}

static int set_reftable(struct qcow2 *q, uint64_t t, uint64_t block)
{
    uint8_t *p;
    int rc = meta_change(&q->m, q->m.file, q->reftable_off + t * 8, 8, QCOW2_REFTABLE, &p);

    if (rc < 0)
        return rc;
    be64_put(p, block);
    q->reftable[t] = block;
    return 0;
}

/* Writes the grown table to its new place and points the header to it. */
static int move_reftable(struct qcow2 *q, uint64_t *table, uint64_t size, uint64_t at)
{
    uint64_t old_off = q->reftable_off, old_clusters = q->reftable_size * 8 >> q->cluster_bits;
    uint8_t *p;
    int rc = meta_new(&q->m, q->m.file, at, size * 8);

    for (uint64_t i = 0; i < size && rc == 0; i++) {
        if (!table[i])
            continue;
        rc = meta_change(&q->m, q->m.file, at + i * 8, 8, QCOW2_REFS, &p);
        if (rc == 0)
            be64_put(p, table[i]);
    }
    if (rc == 0)
        rc = meta_change(&q->m, q->m.file, 0, sizeof(q->h), QCOW2_REFTABLE, &p);
    if (rc)
        return rc;
    q->h.refcount_table_offset = be64_of(at);
    q->h.refcount_table_clusters = be32_of((uint32_t)(size * 8 >> q->cluster_bits));
    memcpy(p + 48, (uint8_t *)&q->h + 48, 12);
    free(q->reftable);
    q->reftable = table;
    q->reftable_size = size;
    q->reftable_off = at;
    meta_forget(&q->m, q->m.file, old_off, old_clusters << q->cluster_bits);
    qcow2_free(q, old_off, old_clusters);
    return 0;
}

/* Covers cluster `first`, from which on everything in its block's range is free: the block comes to
 * lie there, and a longer table behind it when there must be one. */
static int new_block(struct qcow2 *q, uint64_t first)
{
    uint64_t t = first / per_block(q), *table = NULL, size = 0, n = 0;
    uint64_t block = first << q->cluster_bits;
    int rc;

    if (t >= q->reftable_size) {
        size = align_up(max_u64(t + 1, q->reftable_size * 3 / 2), q->m.cluster / 8);
        n = size * 8 >> q->cluster_bits;
        table = size * 8 > QCOW2_REFTABLE_MAX ? NULL : calloc(size, sizeof(*table));
        if (!table)
            return size * 8 > QCOW2_REFTABLE_MAX ? -EFBIG : -ENOMEM;
        memcpy(table, q->reftable, q->reftable_size * sizeof(*table));
    }
    if (first % per_block(q) + n + 1 > per_block(q) || !room_for(q, first, n + 1)) {
        free(table);
        return -ENOSPC;
    }
    rc = meta_new(&q->m, q->m.file, block, q->m.cluster);
    if (rc == 0 && table) {
        table[t] = block;
        rc = move_reftable(q, table, size, block + q->m.cluster);
    } else if (rc == 0) {
        rc = set_reftable(q, t, block);
    }
    if (rc && table != q->reftable)
        free(table);
    for (uint64_t i = 0; i < n + 1 && rc == 0; i++)
        rc = ref_set(q, first + i, 1);
    return rc;
}

int qcow2_ref_cover(struct qcow2 *q, uint64_t cluster, uint64_t spare, uint64_t *used)
{
    uint64_t t = cluster / per_block(q), block = spare << q->cluster_bits, at;
    int rc;

    if (t >= q->reftable_size)
        return -EFBIG; /* a table of this length is checked, not made longer */
    rc = meta_new(&q->m, q->m.file, block, q->m.cluster);
    if (rc == 0)
        rc = set_reftable(q, t, block);
    *used = 1;
    if (rc == 0)
        rc = place_of(q, spare, &at);
    if (rc == 0 && at == 0 && spare / per_block(q) != t) {
        rc = qcow2_ref_cover(q, spare, spare + 1, used); /* ends with one that covers itself */
        ++*used;
    }
    return rc == 0 ? ref_set(q, spare, 1) : rc;
}

/* --- finding --- */

/* The first free cluster from `i` on; *covered: its count has a place. */
static int next_free(struct qcow2 *q, uint64_t *i, bool *covered)
{
    uint64_t mask = (UINT64_C(4096) * 8 >> q->refcount_order) - 1; /* counts in a page */
    const uint8_t *page = NULL;

    for (uint64_t c = *i;; c++) {
        uint64_t at, byte;
        uint8_t *p;
        int rc;

        if (page && (c & mask) && c % per_block(q)) {
            byte = (c % per_block(q) << q->refcount_order) / 8 % 4096;
        } else {
            rc = place_of(q, c, &at);
            *covered = at != 0;
            if (rc < 0 || at == 0) {
                *i = c;
                return rc;
            }
            byte = at % 4096;
            rc = meta_get(&q->m, q->m.file, at - byte, true, &p);
            if (rc < 0)
                return rc;
            page = p;
            if (q->m.cluster < 4096)
                page = NULL; /* several blocks in a page: look each up */
            if (peek(q, p + byte, c % per_block(q)) == 0) {
                *i = c;
                return 0;
            }
            continue;
        }
        if (peek(q, page + byte, c % per_block(q)) == 0) {
            *i = c;
            return 0;
        }
    }
}

/* n free clusters in a row from the first place that has them, or as many as are there. */
static int find_row(struct qcow2 *q, uint64_t want, bool all, uint64_t *first, uint64_t *got)
{
    uint64_t i = q->free_from;
    bool covered;
    int rc;

    for (;;) {
        uint64_t n = 1, v = 0;

        rc = next_free(q, &i, &covered);
        if (rc == 0 && !covered) {
            rc = new_block(q, i);
            if (rc == -ENOSPC && i % per_block(q)) { /* too near the end of a block's range */
                i = align_up(i, per_block(q));
                continue;
            }
            if (rc == 0)
                continue; /* the block itself took the place */
        }
        if (rc < 0)
            return rc;
        while (n < want && (i + n) % per_block(q)) {
            rc = qcow2_ref_get(q, i + n, &v);
            if (rc < 0)
                return rc;
            if (v)
                break;
            n++;
        }
        if (n < want && all) {
            i += n;
            continue;
        }
        *first = i;
        *got = n;
        return room_for(q, i, n) ? 0 : -ENOSPC;
    }
}

static int take(struct qcow2 *q, uint64_t want, bool all, uint64_t *at, uint64_t *got, bool *fresh)
{
    uint64_t first = 0, end;
    int rc = find_row(q, want, all, &first, got);

    for (uint64_t i = 0; i < *got && rc == 0; i++)
        rc = ref_set(q, first + i, 1);
    if (rc < 0)
        return rc;
    *at = first << q->cluster_bits;
    end = *at + (*got << q->cluster_bits);
    *fresh = q->m.file->shape.grows && *at >= q->m.virgin;
    q->m.virgin = max_u64(q->m.virgin, end);
    if (!all || want == 1)
        q->free_from = first + *got;
    return 0;
}

int qcow2_alloc(struct qcow2 *q, uint64_t want, uint64_t *at, uint64_t *got, bool *fresh)
{
    return take(q, want, false, at, got, fresh);
}

int qcow2_alloc_row(struct qcow2 *q, uint64_t n, uint64_t *at)
{
    uint64_t got = 0;
    bool fresh;

    return take(q, n, true, at, &got, &fresh);
}

/* --- freeing --- */

void qcow2_free(struct qcow2 *q, uint64_t at, uint64_t clusters)
{
    uint64_t len = clusters << q->cluster_bits;

    if (q->packed_at >= at && q->packed_at < at + len)
        q->packed_at = 0;
    map_free(&q->m, at, len);
}

bool qcow2_punchable(struct map *m, uint64_t at)
{
    uint64_t v;

    return qcow2_ref_get(qcow2_of(m), at / m->cluster, &v) == 0 && v == 1;
}

/* A count that cannot be taken back is a leak, which a check finds. */
void qcow2_released(struct map *m, uint64_t at, uint64_t len)
{
    struct qcow2 *q = qcow2_of(m);

    for (uint64_t c = at / m->cluster; c < (at + len) / m->cluster; c++) {
        if (qcow2_ref_add(q, c, -1) == 0 && c < q->free_from)
            q->free_from = c;
    }
}
