/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow.c - version 1 of QEMU's image format, read only, as QEMU's block/qcow.c has it.
 *
 * Modelled: backing files, compressed clusters. Not modelled: encryption.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/qcow.h"
#include "core/err.h"
#include "storage/format/format.h"
#include "storage/format/two_level.h"
#include "storage/pack.h"

enum { L1_MAX = 32 << 20 }; /* bytes, as for qcow2 */

struct qcow {
    struct two_level t;
    struct qcow_header h;
};

static int bad(const struct disk_cfg *c, const char *what, struct err *e)
{
    return err_set(e, EINVAL, "'%s' is a damaged qcow image: %s; copy it again from where it came",
                   c->path, what);
}

static int classify(const struct two_level *t, uint64_t entry, struct piece *x)
{
    unsigned bits = 63 - t->cluster_bits;

    x->kind = entry == 0 ? PIECE_PARENT : entry & QCOW_COMPRESSED ? PIECE_PACKED : PIECE_DATA;
    if (x->kind == PIECE_PACKED) {
        x->at = entry & ((UINT64_C(1) << bits) - 1);
        x->packed = (uint32_t)(entry >> bits & (t->m.cluster - 1));
        return x->packed && range_in(x->at, x->packed, INT64_MAX) ? 0 : -EIO;
    }
    if (!range_in(entry, t->m.cluster, INT64_MAX))
        return -EIO;
    x->at = entry + (x->off & (t->m.cluster - 1));
    return 0;
}

static int qcow_unpack(struct map *m, const struct piece *x, uint8_t *buf)
{
    uint8_t *in = malloc(x->packed);
    int rc = in ? disk_read(x->file, x->at, in, x->packed) : -ENOMEM;

    if (rc == 0)
        rc = unpack_deflate(in, x->packed, buf, m->cluster);
    free(in);
    return rc;
}

static const struct map_ops qcow_map_ops = {
    .name = "qcow",
    .find = two_level_find,
    .unpack = qcow_unpack,
    .close = two_level_close,
};

static int load(struct qcow *q, const struct disk_cfg *c, struct err *e)
{
    struct disk *file = q->t.m.file;
    struct qcow_header *h = &q->h;
    unsigned shift;
    uint64_t l1;

    if (disk_bytes(file) < sizeof(*h) || disk_read(file, 0, h, sizeof(*h)) < 0 ||
        be32_get(h->magic) != QCOW_MAGIC || be32_get(h->version) != 1)
        return bad(c, "it does not begin as one", e);
    if (be32_get(h->crypt_method))
        return err_set(e, EINVAL,
                       "qcow image '%s' is encrypted, which is not supported; convert it with the "
                       "tool that made it",
                       c->path);
    if (h->cluster_bits < 9 || h->cluster_bits > 16 || h->l2_bits < 6 || h->l2_bits > 13 ||
        be64_get(h->size) > INT64_MAX)
        return bad(c, "its header has impossible values", e);
    shift = (unsigned)h->cluster_bits + h->l2_bits;
    l1 = (be64_get(h->size) >> shift) + 1;
    q->t.cluster_bits = h->cluster_bits;
    q->t.l2_bits = h->l2_bits;
    q->t.l1_off = be64_get(h->l1_table_offset);
    q->t.big_endian = true;
    q->t.classify = classify;
    q->t.m.cluster = q->t.m.grain = UINT64_C(1) << h->cluster_bits;
    if ((be64_get(h->size) & ((UINT64_C(1) << shift) - 1)) == 0)
        l1--;
    if (l1 * 8 > L1_MAX || q->t.l1_off % 8 || !range_in(q->t.l1_off, l1 * 8, disk_bytes(file)))
        return bad(c, "its table is too large or lies outside the file", e);
    if (be64_get(h->backing_file_offset)) {
        q->t.backing =
            image_text(file, be64_get(h->backing_file_offset), be32_get(h->backing_file_size));
        if (!q->t.backing)
            return bad(c, "the name of its backing file lies outside the file", e);
    }
    return 0;
}

static int qcow_open(struct disk *file, const struct disk_cfg *c, struct loop *l, struct disk **out,
                     struct err *e)
{
    struct qcow *q = calloc(1, sizeof(*q));
    int rc;

    if (!q)
        return err_set(e, ENOMEM, "no memory to open qcow image '%s'", c->path);
    q->t.m.file = file;
    rc = load(q, c, e);
    if (rc == 0)
        rc = two_level_open(&q->t, &qcow_map_ops, align_down(be64_get(q->h.size), DISK_SECTOR),
                            NULL, c, l, e);
    if (rc < 0) {
        free(q->t.backing);
        free(q);
        return rc;
    }
    *out = &q->t.m.d;
    return 0;
}

static int qcow_probe(const uint8_t *head, size_t n, const uint8_t *tail, size_t tn, uint64_t size)
{
    (void)tail, (void)tn, (void)size;
    return n >= 8 && be32_at(head) == QCOW_MAGIC && be32_at(head + 4) == 1 ? 100 : 0;
}

static void qcow_facts(struct disk *d, struct facts *f)
{
    struct qcow *q = container_of(map_of(d), struct qcow, t.m);

    facts_number(f, "cluster-size", q->t.m.cluster);
    if (q->t.backing)
        facts_text(f, "parent", "%s", q->t.backing);
}

const struct format_ops qcow_format = {
    .name = "qcow",
    .suffixes = ".qcow",
    .about = "QEMU, before qcow2",
    .probe = qcow_probe,
    .open = qcow_open,
    .facts = qcow_facts,
};
