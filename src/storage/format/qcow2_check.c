/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_check.c - counts every reference of a QCOW2 image anew, compares, and mends.
 *
 * The tables are the truth and the counts follow them: repair sets each count to what was found,
 * and the COPIED flags after that. Entries that point outside the file, or to no cluster's start,
 * are told and, when repairing, cleared if nothing could have been read through them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "storage/format/qcow2.h"

/* Counts of 4096 clusters; a sparse file may be far longer than memory. */
enum { LEAF = 4096 };

struct checker {
    struct qcow2 *q;
    struct image_report *rep;
    bool repair;
    uint32_t **leaf;
    uint64_t leaves, clusters; /* of the file, the last one in part */
    uint64_t end;
    uint64_t added; /* clusters behind the file's, for new count blocks */
};

static void wrong(struct checker *k, bool fixed, const char *what, uint64_t at)
{
    report(k->rep, FINDING_ERROR, fixed, "%s at %#llx", what, (unsigned long long)at);
}

/* --- counting --- */

static int count_cluster(struct checker *k, uint64_t c)
{
    uint32_t **leaf;

    if (c >= k->leaves * LEAF)
        return -ERANGE;
    leaf = &k->leaf[c / LEAF];
    if (!*leaf)
        *leaf = calloc(LEAF, sizeof(**leaf));
    if (!*leaf)
        return -ENOMEM;
    if ((*leaf)[c % LEAF] < UINT32_MAX)
        (*leaf)[c % LEAF]++;
    k->end = max_u64(k->end, (c + 1) << k->q->cluster_bits);
    return 0;
}

static uint32_t counted(const struct checker *k, uint64_t c)
{
    return c < k->leaves * LEAF && k->leaf[c / LEAF] ? k->leaf[c / LEAF][c % LEAF] : 0;
}

/* -ERANGE: not all of it lies in the file. */
static int count_bytes(struct checker *k, uint64_t off, uint64_t len)
{
    uint64_t c = off >> k->q->cluster_bits, last;
    int rc = 0;

    if (len == 0)
        return 0;
    if (off + len < off)
        return -ERANGE;
    last = (off + len - 1) >> k->q->cluster_bits;
    if (last >= k->clusters)
        return -ERANGE;
    for (; c <= last && rc == 0; c++)
        rc = count_cluster(k, c);
    return rc;
}

static int count_table(struct checker *k, const char *what, uint64_t off, uint64_t len)
{
    int rc = off % k->q->m.cluster ? -ERANGE : count_bytes(k, off, len);

    if (rc != -ERANGE)
        return rc;
    wrong(k, false, what, off);
    return 0;
}

static int put64(struct checker *k, uint64_t at, uint64_t v)
{
    be64 w = be64_of(v);

    return disk_write(k->q->m.file, at, &w, sizeof(w));
}

/* An entry that nothing can be read through goes. */
static int clear_entry(struct checker *k, uint64_t at)
{
    wrong(k, k->repair, "an entry points outside the file", at);
    return k->repair ? put64(k, at, 0) : 0;
}

static int count_entry(struct checker *k, uint64_t at, uint64_t v)
{
    struct qcow2 *q = k->q;
    uint64_t host = v & QCOW2_OFFSET;
    int rc;

    if (v & QCOW2_COMPRESSED) {
        unsigned bits = 62 - (q->cluster_bits - 8);
        uint64_t from = v & ((UINT64_C(1) << bits) - 1);
        uint64_t n = (((v & (QCOW2_COMPRESSED - 1)) >> bits) + 1) * 512 - from % 512;

        rc = count_bytes(k, from, min_u64(n, max_u64(1, (k->clusters << q->cluster_bits) - from)));
        k->rep->packed++;
        k->rep->allocated++;
        return rc == -ERANGE ? clear_entry(k, at) : rc;
    }
    if (!host || q->data_name)
        return 0;
    if (host % q->m.cluster) {
        wrong(k, false, "an entry points to no cluster's start", at);
        return 0;
    }
    k->rep->allocated++;
    rc = count_bytes(k, host, q->m.cluster);
    return rc == -ERANGE ? clear_entry(k, at) : rc;
}

static int count_l2(struct checker *k, uint64_t l2)
{
    struct qcow2 *q = k->q;
    uint8_t buf[4096];
    int rc = 0;

    for (uint64_t i = 0; i < q->m.cluster && rc == 0; i += sizeof(buf)) {
        size_t n = min_u64(sizeof(buf), q->m.cluster - i);

        rc = disk_read(q->m.file, l2 + i, buf, n);
        for (size_t b = 0; b < n && rc == 0; b += q->entry) {
            uint64_t v = be64_at(buf + b);

            if (v)
                rc = count_entry(k, l2 + i + b, v);
        }
    }
    return rc;
}

/* One L1 table with everything below. */
static int count_l1(struct checker *k, uint64_t off, const uint64_t *l1, uint64_t n)
{
    int rc = count_table(k, "an L1 table lies outside the file", off, n * 8);

    for (uint64_t i = 0; i < n && rc == 0; i++) {
        uint64_t l2 = l1[i] & QCOW2_OFFSET;

        if (!l2)
            continue;
        if (l2 % k->q->m.cluster) {
            wrong(k, false, "an L1 entry points to no cluster's start", off + i * 8);
            continue;
        }
        rc = count_bytes(k, l2, k->q->m.cluster);
        if (rc == -ERANGE) {
            rc = clear_entry(k, off + i * 8);
            if (k->repair && l1 == k->q->l1)
                k->q->l1[i] = 0;
        } else if (rc == 0) {
            rc = count_l2(k, l2);
        }
    }
    return rc;
}

static int count_snapshot(void *arg, const struct qcow2_snap *s)
{
    struct checker *k = arg;
    uint64_t *l1;
    int rc;

    if (s->l1_size * 8 > QCOW2_L1_MAX || s->l1_off % k->q->m.cluster ||
        !range_in(s->l1_off, s->l1_size * 8, disk_bytes(k->q->m.file))) {
        wrong(k, false, "the L1 table of a snapshot lies outside the file", s->l1_off);
        return 0;
    }
    l1 = malloc(s->l1_size * 8 + 1);
    rc = l1 ? disk_read(k->q->m.file, s->l1_off, l1, s->l1_size * 8) : -ENOMEM;
    for (uint64_t i = 0; i < s->l1_size && rc == 0; i++)
        l1[i] = be64_at(&l1[i]);
    if (rc == 0)
        rc = count_l1(k, s->l1_off, l1, s->l1_size);
    free(l1);
    return rc;
}

static int count_bitmap(struct checker *k, const struct qcow2_bitmap *b)
{
    uint64_t table = be64_get(b->bitmap_table_offset), n = be32_get(b->bitmap_table_size);
    int rc = count_table(k, "a bitmap's table lies outside the file", table, n * 8);

    for (uint64_t i = 0; i < n && rc == 0; i++) {
        be64 w;

        rc = disk_read(k->q->m.file, table + i * 8, &w, sizeof(w));
        if (rc == 0 && be64_get(w) & QCOW2_OFFSET)
            rc = count_table(k, "a bitmap's data lies outside the file", be64_get(w) & QCOW2_OFFSET,
                             k->q->m.cluster);
    }
    return rc;
}

static int count_bitmaps(struct checker *k)
{
    struct qcow2 *q = k->q;
    uint64_t at = q->bitmaps_off, end = at + q->bitmaps_size;
    int rc = count_table(k, "the bitmap directory lies outside the file", at, q->bitmaps_size);

    for (uint32_t i = 0; i < q->bitmaps && rc == 0; i++) {
        struct qcow2_bitmap b;
        uint64_t n;

        if (at + sizeof(b) > end) {
            wrong(k, false, "the bitmap directory is too short", at);
            return 0;
        }
        rc = disk_read(q->m.file, at, &b, sizeof(b));
        if (rc == 0 && be32_get(b.bitmap_table_size) <= QCOW2_L1_MAX / 8)
            rc = count_bitmap(k, &b);
        n = sizeof(b) + be32_get(b.extra_data_size) + be16_get(b.name_size);
        at += align_up(n, 8);
    }
    return rc;
}

static int count_refblocks(struct checker *k)
{
    struct qcow2 *q = k->q;
    int rc = count_table(k, "the refcount table lies outside the file", q->reftable_off,
                         q->reftable_size * 8);

    for (uint64_t i = 0; i < q->reftable_size && rc == 0; i++) {
        uint64_t block = q->reftable[i] & ~UINT64_C(511);

        if (!block)
            continue;
        rc = block % q->m.cluster ? -ERANGE : count_bytes(k, block, q->m.cluster);
        if (rc == -ERANGE) {
            wrong(k, k->repair, "a refcount block lies outside the file", q->reftable_off + i * 8);
            q->reftable[i] = 0;
            rc = k->repair ? put64(k, q->reftable_off + i * 8, 0) : 0;
        }
    }
    return rc;
}

static int count_all(struct checker *k)
{
    struct qcow2 *q = k->q;
    uint64_t snaps = be64_get(q->h.snapshots_offset), end = snaps;
    int rc = count_cluster(k, 0);

    if (rc == 0)
        rc = count_refblocks(k);
    if (rc == 0)
        rc = count_l1(k, q->l1_off, q->l1, q->l1_size);
    k->rep->clusters = (q->m.d.shape.bytes + q->m.cluster - 1) >> q->cluster_bits;
    if (rc == 0 && q->bitmaps)
        rc = count_bitmaps(k);
    if (rc == 0 && be32_get(q->h.nb_snapshots)) {
        rc = qcow2_each_snapshot(q, count_snapshot, k, &end);
        if (rc == -EINVAL) {
            wrong(k, false, "the snapshot table is damaged", snaps);
            rc = 0;
        } else if (rc == 0) {
            rc = count_table(k, "the snapshot table lies outside the file", snaps, end - snaps);
        }
    }
    return rc;
}

/* --- comparing --- */

static int compare_cluster(struct checker *k, uint64_t c)
{
    struct qcow2 *q = k->q;
    uint64_t stored, want = counted(k, c);
    int rc = qcow2_ref_get(q, c, &stored);

    if (rc < 0 || stored == want)
        return rc;
    if (stored < want)
        report(k->rep, FINDING_ERROR, k->repair, "cluster %llu has the refcount %llu, needs %llu",
               (unsigned long long)c, (unsigned long long)stored, (unsigned long long)want);
    else
        report(k->rep, FINDING_LEAK, k->repair, "cluster %llu has the refcount %llu, needs %llu",
               (unsigned long long)c, (unsigned long long)stored, (unsigned long long)want);
    if (!k->repair)
        return 0;
    return qcow2_ref_add(q, c, (int64_t)want - (int64_t)stored);
}

/* Most counts of a block are zero, and rightly: how many from c on, by whole pages. */
static int idle_run(struct checker *k, uint64_t c, uint64_t *n)
{
    int rc = c % qcow2_ref_page(k->q) ? 0 : qcow2_ref_none(k->q, c, n);
    uint64_t part;

    for (uint64_t i = c, end = c + *n; rc == 0 && i < end && i < k->leaves * LEAF; i += part) {
        part = min_u64(end - i, LEAF - i % LEAF);
        if (k->leaf[i / LEAF] && !all_zero(k->leaf[i / LEAF] + i % LEAF, part * sizeof(uint32_t)))
            *n = 0, end = i;
    }
    return rc;
}

static int grow_counts(struct checker *k)
{
    uint64_t leaves = (k->clusters + k->added + LEAF - 1) / LEAF;
    uint32_t **grown;

    if (leaves <= k->leaves)
        return 0;
    grown = reallocarray(k->leaf, leaves, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    memset(grown + k->leaves, 0, (leaves - k->leaves) * sizeof(*grown));
    k->leaf = grown;
    k->leaves = leaves;
    return 0;
}

/* Clusters whose counts no block holds: a new block at the end of everything. */
static int cover(struct checker *k, uint64_t c)
{
    uint64_t used = 0;
    int rc = qcow2_ref_cover(k->q, c, k->clusters + k->added, &used);

    for (uint64_t i = 0; i < used && rc == 0; i++) { /* that it counts itself is right */
        k->added++;
        rc = grow_counts(k);
        if (rc == 0)
            rc = count_cluster(k, k->clusters + k->added - 1);
    }
    return rc;
}

static int compare_counts(struct checker *k)
{
    struct qcow2 *q = k->q;
    uint64_t per = q->m.cluster * 8 >> q->refcount_order, c = 0;
    uint64_t top = q->reftable_size * per;
    int rc = 0;

    while (rc == 0 && c < max_u64(top, k->clusters)) {
        uint64_t t = c / per, next = (t + 1) * per;
        bool block = t < q->reftable_size && q->reftable[t];

        if (!block && c >= k->clusters) {
            c = next;
            continue;
        }
        for (; c < next && (block || c < k->clusters) && rc == 0; c++) {
            uint64_t idle = 0;

            if (!block && !counted(k, c))
                continue;
            if (!block && k->repair) {
                rc = cover(k, c);
                block = true;
            }
            if (block && rc == 0)
                rc = idle_run(k, c, &idle);
            if (idle)
                c += idle - 1;
            else if (rc == 0)
                rc = compare_cluster(k, c);
        }
        c = next;
    }
    return rc;
}

/* COPIED must say whether the count is one. */
static int check_flag(struct checker *k, uint64_t at, uint64_t v, uint64_t host)
{
    bool one = counted(k, host >> k->q->cluster_bits) == 1;

    if (one == !!(v & QCOW2_COPIED))
        return 0;
    wrong(k, k->repair, "the COPIED flag is wrong", at);
    return k->repair ? put64(k, at, v ^ QCOW2_COPIED) : 0;
}

static int check_flags(struct checker *k)
{
    struct qcow2 *q = k->q;
    uint8_t buf[4096];
    int rc = 0;

    for (uint64_t i = 0; i < q->l1_size && rc == 0; i++) {
        uint64_t l2 = q->l1[i] & QCOW2_OFFSET;

        if (!l2 || l2 % q->m.cluster || l2 >> q->cluster_bits >= k->clusters)
            continue;
        rc = check_flag(k, q->l1_off + i * 8, q->l1[i], l2);
        for (uint64_t at = 0; at < q->m.cluster && rc == 0; at += sizeof(buf)) {
            size_t n = min_u64(sizeof(buf), q->m.cluster - at);

            rc = disk_read(q->m.file, l2 + at, buf, n);
            for (size_t b = 0; b < n && rc == 0; b += q->entry) {
                uint64_t v = be64_at(buf + b);

                if (!(v & QCOW2_COMPRESSED) && v & QCOW2_OFFSET && !q->data_name)
                    rc = check_flag(k, l2 + at + b, v, v & QCOW2_OFFSET);
            }
        }
    }
    return rc;
}

/* --- the whole --- */

static int clear_marks(struct qcow2 *q)
{
    uint64_t bits = be64_get(q->h.incompatible_features);
    uint64_t keep = bits & ~(uint64_t)(QCOW2_INCOMPAT_DIRTY | QCOW2_INCOMPAT_CORRUPT);

    if (!q->v3 || keep == bits)
        return 0;
    q->h.incompatible_features = be64_of(keep);
    return disk_write(q->m.file, offsetof(struct qcow2_header, incompatible_features),
                      &q->h.incompatible_features, 8);
}

static int run(struct checker *k)
{
    struct qcow2 *q = k->q;
    int rc = count_all(k);

    if (rc == 0)
        rc = compare_counts(k);
    if (rc == 0 && k->repair)
        rc = map_flush(&q->m);
    if (rc == 0)
        rc = check_flags(k);
    if (rc == 0 && k->repair)
        rc = disk_flush(q->m.file);
    if (rc == 0 && k->repair && !k->rep->errors)
        rc = clear_marks(q);
    if (rc == 0 && k->repair)
        rc = disk_flush(q->m.file);
    k->rep->image_end = k->end;
    return rc;
}

int qcow2_check(struct disk *file, const struct disk_cfg *c, bool repair, struct image_report *rep,
                struct err *e)
{
    struct qcow2 *q = calloc(1, sizeof(*q));
    struct checker k = {.q = q, .rep = rep, .repair = repair};
    struct err why = {0};
    int rc;

    if (!q)
        return err_set(e, ENOMEM, "no memory to check '%s'", c->path);
    q->m.file = file;
    rc = qcow2_load(q, c, &why);
    if (rc < 0) {
        report(rep, FINDING_ERROR, false, "%s", why.msg);
        qcow2_unload(q);
        free(q);
        return 0;
    }
    k.clusters = (disk_bytes(file) + q->m.cluster - 1) >> q->cluster_bits;
    k.leaves = (k.clusters + LEAF - 1) / LEAF;
    q->m.virgin = k.clusters << q->cluster_bits;
    k.leaf = k.leaves > (UINT64_C(1) << 22) ? NULL : calloc(k.leaves + 1, sizeof(uint32_t *));
    rc = k.leaf ? map_init(&q->m, &qcow2_map_ops, NULL, e) : -ENOMEM;
    if (rc == 0) {
        rc = run(&k);
        map_fini(&q->m);
    }
    for (uint64_t i = 0; k.leaf && i < k.leaves; i++)
        free(k.leaf[i]);
    free(k.leaf);
    qcow2_unload(q);
    free(q);
    return rc < 0 ? err_set(e, -rc, "cannot check '%s': %s", c->path, strerror(-rc)) : 0;
}
