/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qed.c - QED images, read only: docs/interop/qed_spec.txt of QEMU.
 *
 * Modelled: backing files, zero clusters. A need-check bit does not matter to a reader: tables are
 * written after what they point to.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/qed.h"
#include "core/err.h"
#include "storage/format/format.h"
#include "storage/format/two_level.h"

struct qed {
    struct two_level t;
    struct qed_header h;
};

static int bad(const struct disk_cfg *c, const char *what, struct err *e)
{
    return err_set(e, EINVAL, "'%s' is a damaged QED image: %s; copy it again from where it came",
                   c->path, what);
}

static int classify(const struct two_level *t, uint64_t entry, struct piece *x)
{
    x->kind = entry == 0 ? PIECE_PARENT : entry == QED_ZERO ? PIECE_ZERO : PIECE_DATA;
    if (x->kind != PIECE_DATA)
        return 0;
    if (entry % t->m.cluster || !range_in(entry, t->m.cluster, INT64_MAX))
        return -EIO;
    x->at = entry + (x->off & (t->m.cluster - 1));
    return 0;
}

static const struct map_ops qed_map_ops = {
    .name = "qed",
    .find = two_level_find,
    .close = two_level_close,
};

static int load(struct qed *q, const struct disk_cfg *c, struct err *e)
{
    struct disk *file = q->t.m.file;
    struct qed_header *h = &q->h;
    uint64_t cluster, table, entries, most;

    if (disk_bytes(file) < sizeof(*h) || disk_read(file, 0, h, sizeof(*h)) < 0 ||
        le32_get(h->magic) != QED_MAGIC)
        return bad(c, "it does not begin as one", e);
    cluster = le32_get(h->cluster_size);
    table = le32_get(h->table_size);
    if (!is_pow2(cluster) || cluster < 4096 || cluster > 64 * MiB || !is_pow2(table) || table > 16)
        return bad(c, "its header has impossible values", e);
    if (le64_get(h->features) > 7)
        return err_set(e, EINVAL,
                       "QED image '%s' uses features that are newer than this program; convert it "
                       "with the tool that made it",
                       c->path);
    entries = cluster * table / 8;
    q->t.cluster_bits = (unsigned)__builtin_ctzll(cluster);
    q->t.l2_bits = (unsigned)__builtin_ctzll(entries);
    q->t.l1_off = le64_get(h->l1_table_offset);
    q->t.classify = classify;
    q->t.m.cluster = q->t.m.grain = cluster;
    if (mul_overflows(entries * entries, cluster, &most))
        most = INT64_MAX;
    if (le64_get(h->image_size) > min_u64(most, INT64_MAX) || le64_get(h->image_size) % DISK_SECTOR)
        return bad(c, "its size is impossible", e);
    if (q->t.l1_off % cluster || !range_in(q->t.l1_off, cluster * table, disk_bytes(file)))
        return bad(c, "its table lies outside the file", e);
    if (le64_get(h->features) & QED_F_BACKING_FILE) {
        q->t.backing = image_text(file, le32_get(h->backing_filename_offset),
                                  le32_get(h->backing_filename_size));
        if (!q->t.backing)
            return bad(c, "the name of its backing file lies outside the file", e);
    }
    return 0;
}

static int qed_open(struct disk *file, const struct disk_cfg *c, struct loop *l, struct disk **out,
                    struct err *e)
{
    struct qed *q = calloc(1, sizeof(*q));
    bool raw;
    int rc;

    if (!q)
        return err_set(e, ENOMEM, "no memory to open QED image '%s'", c->path);
    q->t.m.file = file;
    rc = load(q, c, e);
    raw = le64_get(q->h.features) & QED_F_BACKING_FORMAT_NO_PROBE;
    if (rc == 0)
        rc = two_level_open(&q->t, &qed_map_ops, le64_get(q->h.image_size), raw ? "raw" : NULL, c,
                            l, e);
    if (rc < 0) {
        free(q->t.backing);
        free(q);
        return rc;
    }
    *out = &q->t.m.d;
    return 0;
}

static int qed_probe(const uint8_t *head, size_t n, const uint8_t *tail, size_t tn, uint64_t size)
{
    (void)tail, (void)tn, (void)size;
    return n >= sizeof(struct qed_header) && le32_at(head) == QED_MAGIC ? 90 : 0;
}

static void qed_facts(struct disk *d, struct facts *f)
{
    struct qed *q = container_of(map_of(d), struct qed, t.m);

    facts_number(f, "cluster-size", q->t.m.cluster);
    facts_text(f, "dirty", "%s", le64_get(q->h.features) & QED_F_NEED_CHECK ? "yes" : "no");
    if (q->t.backing)
        facts_text(f, "parent", "%s", q->t.backing);
}

const struct format_ops qed_format = {
    .name = "qed",
    .suffixes = ".qed",
    .about = "QEMU, before qcow2 version 3",
    .probe = qed_probe,
    .open = qed_open,
    .facts = qed_facts,
};
