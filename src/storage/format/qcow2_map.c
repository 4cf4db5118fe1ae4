/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_map.c - guest offsets to clusters by the L1 and L2 tables, and changing them.
 *
 * A table or cluster whose entry lacks the COPIED flag belongs to a snapshot too: it can be read in
 * place and is copied before it is changed (the engine's "unmarked" pieces).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/format/qcow2.h"

/* --- reading entries --- */

struct entry {
    uint64_t v;
    uint64_t subs; /* extended: zero bits above allocation bits */
};

static int get_entry(struct qcow2 *q, uint64_t l2, uint64_t i, bool wait, struct entry *e)
{
    uint8_t *p;
    int rc = meta_get(&q->m, q->m.file, l2 + i * q->entry, wait, &p);

    if (rc < 0)
        return rc;
    e->v = be64_at(p);
    e->subs = q->extl2 ? be64_at(p + 8) : 0;
    return 0;
}

static bool has_cluster(const struct qcow2 *q, const struct entry *e)
{
    if (e->v & QCOW2_COMPRESSED)
        return false;
    return (e->v & QCOW2_OFFSET) || (q->data_file && e->v & QCOW2_COPIED);
}

static void packed_piece(const struct qcow2 *q, uint64_t v, struct piece *x)
{
    unsigned bits = 62 - (q->cluster_bits - 8);
    uint64_t sectors = (v & (QCOW2_COMPRESSED - 1)) >> bits;

    x->kind = PIECE_PACKED;
    x->at = v & ((UINT64_C(1) << bits) - 1);
    x->packed = (uint32_t)((sectors + 1) * 512 - x->at % 512);
    x->file = q->m.file;
}

/* What the part of a cluster from `in` on is, and how far that goes. */
static int classify(const struct qcow2 *q, const struct entry *e, uint64_t in, struct piece *x)
{
    uint64_t host = e->v & QCOW2_OFFSET;
    bool here = has_cluster(q, e);
    unsigned s = (unsigned)(in / q->m.grain), n = 1;

    x->len = q->m.cluster - in;
    x->unmarked = false;
    if (e->v & QCOW2_COMPRESSED) {
        packed_piece(q, e->v, x);
        return 0;
    }
    if (here && host % q->m.cluster)
        return -EIO;
    if (!q->extl2) {
        x->kind = q->v3 && e->v & QCOW2_ZERO ? PIECE_ZERO : here ? PIECE_DATA : PIECE_PARENT;
    } else {
        uint64_t two = UINT64_C(0x100000001) << s, now = e->subs & two;

        if (now == two || (now == UINT64_C(1) << s && !here))
            return -EIO;
        x->kind = now == 0 ? PIECE_PARENT : now >> 32 ? PIECE_ZERO : PIECE_DATA;
        while (s + n < QCOW2_SUBCLUSTERS && (e->subs >> n & two) == now)
            n++;
        x->len = (s + n) * q->m.grain - in;
    }
    if (x->kind == PIECE_DATA) {
        x->at = host + in;
        x->file = q->data_file ? q->data_file : q->m.file;
        x->unmarked = !(e->v & QCOW2_COPIED);
    }
    return 0;
}

static bool continues(const struct piece *x, const struct piece *next)
{
    if (x->kind != next->kind || x->kind == PIECE_PACKED)
        return false;
    return x->kind != PIECE_DATA || (next->at == x->at + x->len && next->unmarked == x->unmarked);
}

static int find_in_table(struct qcow2 *q, uint64_t l2, bool wait, struct piece *x)
{
    uint64_t i = x->off >> q->cluster_bits & ((UINT64_C(1) << q->l2_bits) - 1);
    uint64_t want = x->len, in = x->off & (q->m.cluster - 1);
    struct entry e;
    int rc = get_entry(q, l2, i, wait, &e);

    if (rc == 0)
        rc = classify(q, &e, in, x);
    while (rc == 0 && x->len < want && (in + x->len) % q->m.cluster == 0 &&
           ++i < UINT64_C(1) << q->l2_bits) {
        struct piece next;

        rc = get_entry(q, l2, i, wait, &e);
        if (rc == -EAGAIN) {
            rc = 0; /* what is known is enough */
            break;
        }
        if (rc == 0)
            rc = classify(q, &e, 0, &next);
        if (rc < 0 || !continues(x, &next))
            break;
        x->len += next.len;
    }
    x->len = min_u64(x->len, want);
    return rc;
}

static int qcow2_find(struct map *m, uint64_t off, uint64_t len, bool wait, struct piece *x)
{
    struct qcow2 *q = qcow2_of(m);
    unsigned shift = q->l2_bits + q->cluster_bits;
    uint64_t i = off >> shift, last = (off + len - 1) >> shift, l2;

    if (last >= q->l1_size)
        return -EIO;
    l2 = q->l1[i] & QCOW2_OFFSET;
    if (l2 % m->cluster)
        return -EIO;
    if (l2) {
        x->len = min_u64(len, ((i + 1) << shift) - off);
        return find_in_table(q, l2, wait, x);
    }
    x->kind = PIECE_PARENT;
    while (i < last && !(q->l1[i + 1] & QCOW2_OFFSET))
        i++;
    x->len = min_u64(len, ((i + 1) << shift) - off);
    return 0;
}

/* --- changing tables --- */

static int set_l1(struct qcow2 *q, uint64_t i, uint64_t v)
{
    uint8_t *p;
    int rc = meta_change(&q->m, q->m.file, q->l1_off + i * 8, 8, QCOW2_LINKS, &p);

    if (rc < 0)
        return rc;
    be64_put(p, v);
    q->l1[i] = v;
    return 0;
}

static int copy_table(struct qcow2 *q, uint64_t from, uint64_t to)
{
    uint8_t buf[512], *p;
    int rc = 0;

    for (uint64_t i = 0; i < q->m.cluster && rc == 0; i += sizeof(buf)) {
        rc = meta_get(&q->m, q->m.file, from + i, true, &p);
        if (rc < 0)
            return rc;
        memcpy(buf, p, sizeof(buf));
        rc = meta_change(&q->m, q->m.file, to + i, sizeof(buf), QCOW2_REFS, &p);
        if (rc == 0)
            memcpy(p, buf, sizeof(buf));
    }
    return rc;
}

int qcow2_l2_for_write(struct qcow2 *q, uint64_t off, uint64_t *l2_off)
{
    uint64_t i = off >> (q->l2_bits + q->cluster_bits), old = q->l1[i] & QCOW2_OFFSET, at;
    int rc;

    *l2_off = old;
    if (old && q->l1[i] & QCOW2_COPIED)
        return 0;
    rc = qcow2_alloc_row(q, 1, &at);
    if (rc == 0)
        rc = meta_new(&q->m, q->m.file, at, q->m.cluster);
    if (rc == 0 && old)
        rc = copy_table(q, old, at);
    if (rc == 0)
        rc = set_l1(q, i, at | QCOW2_COPIED);
    if (rc == 0 && old)
        qcow2_free(q, old, 1);
    *l2_off = at;
    return rc;
}

int qcow2_drop_entry(struct qcow2 *q, uint64_t v)
{
    if (v & QCOW2_COMPRESSED) {
        struct piece x;
        uint64_t first, last;

        packed_piece(q, v, &x);
        first = x.at >> q->cluster_bits;
        last = (x.at + x.packed - 1) >> q->cluster_bits;
        for (; first <= last; first++)
            qcow2_free(q, first << q->cluster_bits, 1);
    } else if (v & QCOW2_OFFSET) {
        qcow2_free(q, v & QCOW2_OFFSET, 1);
    }
    return 0;
}

static int set_entry(struct qcow2 *q, uint64_t l2, uint64_t off, const struct entry *e)
{
    uint64_t i = off >> q->cluster_bits & ((UINT64_C(1) << q->l2_bits) - 1);
    uint8_t *p;
    int rc = meta_change(&q->m, q->m.file, l2 + i * q->entry, q->entry, QCOW2_LINKS, &p);

    if (rc < 0)
        return rc;
    be64_put(p, e->v);
    if (q->extl2)
        be64_put(p + 8, e->subs);
    return 0;
}

static int entry_at(struct qcow2 *q, uint64_t l2, uint64_t off, struct entry *e)
{
    return get_entry(q, l2, off >> q->cluster_bits & ((UINT64_C(1) << q->l2_bits) - 1), true, e);
}

/* --- reserving --- */

/* Extended entries: everything that the old cluster held, into the new one, for it is replaced as
 * a whole. Happens to clusters shared with a snapshot and to compressed ones. */
static int copy_old_cluster(struct qcow2 *q, uint64_t off, const struct entry *old, uint64_t to)
{
    uint64_t in = 0;
    uint8_t *buf = malloc(q->m.cluster);
    int rc = buf ? 0 : -ENOMEM;

    while (rc == 0 && in < q->m.cluster) {
        struct piece x = {.off = align_down(off, q->m.cluster) + in};

        rc = classify(q, old, in, &x);
        if (rc == 0 && x.kind == PIECE_PACKED)
            rc = qcow2_unpack(&q->m, &x, buf);
        else if (rc == 0 && x.kind == PIECE_DATA)
            rc = disk_read(x.file, x.at, buf, x.len);
        if (rc == 0 && (x.kind == PIECE_PACKED || x.kind == PIECE_DATA))
            rc = disk_write(q->m.file, to + in, buf, x.len);
        in += x.len;
    }
    free(buf);
    return rc;
}

static int reserve_part(struct qcow2 *q, uint64_t l2, struct piece *x)
{
    uint64_t in = x->off % q->m.cluster, at, got = 0;
    struct entry old;
    int rc = entry_at(q, l2, x->off, &old);

    x->len = min_u64(x->len, q->m.cluster - in);
    if (rc < 0)
        return rc;
    if (has_cluster(q, &old) && old.v & QCOW2_COPIED) {
        x->at = (old.v & QCOW2_OFFSET) + in;
        x->fresh = false;
        return 0;
    }
    rc = qcow2_alloc(q, 1, &at, &got, &x->fresh);
    if (rc == 0 && (has_cluster(q, &old) || old.v & QCOW2_COMPRESSED)) {
        x->fresh = false;
        rc = copy_old_cluster(q, x->off, &old, at);
        if (rc < 0)
            qcow2_released(&q->m, at, q->m.cluster);
    }
    x->at = at + in;
    return rc;
}

static int qcow2_reserve(struct map *m, uint64_t off, uint64_t len, struct piece *x)
{
    struct qcow2 *q = qcow2_of(m);
    unsigned shift = q->l2_bits + q->cluster_bits;
    uint64_t l2, got = 0;
    int rc;

    if (off >> shift >= q->l1_size)
        return -EIO;
    rc = qcow2_l2_for_write(q, off, &l2);
    if (rc < 0)
        return rc;
    x->len = min_u64(len, (((off >> shift) + 1) << shift) - off);
    if (q->extl2) /* a cluster at a time: its entry may have one already */
        return reserve_part(q, l2, x);
    rc = qcow2_alloc(q, x->len >> q->cluster_bits, &x->at, &got, &x->fresh);
    x->len = min_u64(x->len, got << q->cluster_bits);
    return rc;
}

static void qcow2_cancel(struct map *m, const struct piece *x)
{
    struct qcow2 *q = qcow2_of(m);
    uint64_t l2 = q->l1[x->off >> (q->l2_bits + q->cluster_bits)] & QCOW2_OFFSET;
    uint64_t base = align_down(x->at, m->cluster);
    struct entry old;

    if (q->extl2 && (entry_at(q, l2, x->off, &old) < 0 || (old.v & QCOW2_OFFSET) == base))
        return;
    qcow2_released(m, base, align_up(x->at + x->len, m->cluster) - base);
}

static int assign_extended(struct qcow2 *q, uint64_t l2, const struct piece *x)
{
    uint64_t in = x->off % q->m.cluster, base = x->at - in, n = x->len / q->m.grain;
    uint64_t bits = (n == QCOW2_SUBCLUSTERS ? UINT32_MAX : (UINT64_C(1) << n) - 1)
                    << in / q->m.grain;
    struct entry old, new;
    int rc = entry_at(q, l2, x->off, &old);

    if (rc < 0)
        return rc;
    new.v = base | QCOW2_COPIED;
    new.subs = (old.v & QCOW2_COMPRESSED ? UINT32_MAX : old.subs) | bits;
    new.subs &= ~(bits << 32);
    rc = set_entry(q, l2, x->off, &new);
    if (rc == 0 && (old.v & QCOW2_COMPRESSED || (old.v & QCOW2_OFFSET) != base))
        rc = qcow2_drop_entry(q, old.v);
    return rc;
}

static int qcow2_assign(struct map *m, const struct piece *x)
{
    struct qcow2 *q = qcow2_of(m);
    uint64_t l2;
    int rc = qcow2_l2_for_write(q, x->off, &l2);

    if (rc == 0 && q->extl2)
        return assign_extended(q, l2, x);
    for (uint64_t i = 0; i < x->len && rc == 0; i += m->cluster) {
        struct entry old, new = {.v = (x->at + i) | QCOW2_COPIED};

        rc = entry_at(q, l2, x->off + i, &old);
        if (rc == 0)
            rc = set_entry(q, l2, x->off + i, &new);
        if (rc == 0)
            rc = qcow2_drop_entry(q, old.v);
    }
    return rc;
}

/* --- clearing --- */

static int clear_one(struct qcow2 *q, uint64_t l2, uint64_t off)
{
    struct entry old, new = {0};
    int rc;

    if (q->m.parent && q->extl2)
        new.subs = UINT64_C(0xffffffff00000000);
    else if (q->m.parent)
        new.v = QCOW2_ZERO;
    rc = entry_at(q, l2, off, &old);
    if (rc < 0 || (old.v == new.v &&old.subs == new.subs))
        return rc;
    rc = set_entry(q, l2, off, &new);
    return rc == 0 ? qcow2_drop_entry(q, old.v) : rc;
}

static int qcow2_clear(struct map *m, uint64_t off, uint64_t len, bool unmap, uint64_t *done)
{
    struct qcow2 *q = qcow2_of(m);
    unsigned shift = q->l2_bits + q->cluster_bits;
    uint64_t i = off >> shift, l2, n;
    int rc;

    if (m->parent && !q->v3)
        return -ENOTSUP;
    if (i >= q->l1_size)
        return -EIO;
    n = min_u64(len, ((i + 1) << shift) - off);
    *done = n;
    if (!m->parent && !(q->l1[i] & QCOW2_OFFSET))
        return 0;
    rc = qcow2_l2_for_write(q, off, &l2);
    for (uint64_t at = off; at < off + n && rc == 0; at += m->cluster)
        rc = clear_one(q, l2, at);
    return rc;
}

static void qcow2_close(struct map *m, bool clean)
{
    struct qcow2 *q = qcow2_of(m);

    disk_close(q->data_file);
    qcow2_unload(q);
}

const struct map_ops qcow2_map_ops = {
    .name = "qcow2",
    .find = qcow2_find,
    .reserve = qcow2_reserve,
    .assign = qcow2_assign,
    .cancel = qcow2_cancel,
    .clear = qcow2_clear,
    .released = qcow2_released,
    .punchable = qcow2_punchable,
    .unpack = qcow2_unpack,
    .touch = qcow2_touch,
    .close = qcow2_close,
};
