/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2_make.c - new QCOW2 images, and other sizes for old ones. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cfg.h"
#include "core/err.h"
#include "storage/format/qcow2.h"

const struct format_option qcow2_options[] = {
    {"compat", "1.1 (default) or 0.10"},
    {"cluster_size", "512 to 2M, default 64K"},
    {"refcount_bits", "1 to 64, default 16"},
    {"compression_type", "zlib (default) or zstd"},
    {"extended_l2", "on: 32 subclusters in each cluster, default off"},
    {"lazy_refcounts", "on: others may delay counts; this program never does; default off"},
    {NULL, NULL},
};

struct plan {
    uint64_t cluster, cluster_size_option, refcount_bits;
    unsigned cluster_bits, refcount_order;
    bool v3, extl2, zstd, lazy;
    uint64_t l1_size, l1_clusters, blocks, reftable_clusters, total; /* clusters at the start */
};

static bool is_on(const char *v)
{
    return v && (*v == '\0' || !strcmp(v, "on") || !strcmp(v, "true"));
}

static int usage(const char *what, struct err *e)
{
    return err_exit(e, EX_USAGE_, EINVAL, "a qcow2 image cannot be made like that: %s", what);
}

static int read_options(const struct image_make *k, struct plan *p, struct err *e)
{
    const char *compat = cfg_get(k->opts, "compat"), *comp = cfg_get(k->opts, "compression_type");
    bool ok_compat = !compat || !strcmp(compat, "1.1") || !strcmp(compat, "v3");

    p->v3 = ok_compat;
    if (!ok_compat && strcmp(compat, "0.10") != 0 && strcmp(compat, "v2") != 0)
        return usage("compat is 1.1 or 0.10", e);
    p->extl2 = is_on(cfg_get(k->opts, "extended_l2"));
    p->lazy = is_on(cfg_get(k->opts, "lazy_refcounts"));
    p->zstd = comp && !strcmp(comp, "zstd");
    p->cluster = p->extl2 ? 128 * KiB : 64 * KiB;
    p->refcount_bits = 16;
    if (comp && !p->zstd && strcmp(comp, "zlib") != 0)
        return usage("compression_type is zlib or zstd", e);
    if (cfg_size(k->opts, "cluster_size", &p->cluster, e) < 0 ||
        cfg_u64(k->opts, "refcount_bits", 1, 64, &p->refcount_bits, e) < 0)
        return -e->code;
    if (!is_pow2(p->cluster) || p->cluster < 512 || p->cluster > 2 * MiB)
        return usage("cluster_size is a power of two from 512 to 2M", e);
    if (!is_pow2(p->refcount_bits))
        return usage("refcount_bits is 1, 2, 4, 8, 16, 32 or 64", e);
    if (p->extl2 && p->cluster < 16 * KiB)
        return usage("extended_l2 needs clusters of 16K or more", e);
    if (!p->v3 && (p->extl2 || p->zstd || p->lazy || p->refcount_bits != 16))
        return usage("compat 0.10 knows none of the other options", e);
    p->cluster_bits = (unsigned)__builtin_ctzll(p->cluster);
    p->refcount_order = (unsigned)__builtin_ctzll(p->refcount_bits);
    return 0;
}

/* Header, refcount table, refcount blocks, L1, all in a row from the start. */
static int lay_out(const struct image_make *k, struct plan *p, struct err *e)
{
    uint64_t per_l1 = p->cluster * (p->cluster / (p->extl2 ? 16 : 8));
    uint64_t per_block = p->cluster * 8 / p->refcount_bits;

    if (k->bytes % DISK_SECTOR || k->bytes > INT64_MAX / 2)
        return usage("the size must be whole sectors of 512 bytes", e);
    p->l1_size = k->bytes / per_l1 + (k->bytes % per_l1 != 0);
    if (p->l1_size * 8 > QCOW2_L1_MAX)
        return usage("it is too large for clusters of this size; choose a larger cluster_size", e);
    p->l1_clusters = (p->l1_size * 8 + p->cluster - 1) / p->cluster;
    p->blocks = p->reftable_clusters = 1;
    for (;;) {
        uint64_t blocks, tables;

        p->total = 1 + p->reftable_clusters + p->blocks + p->l1_clusters;
        blocks = (p->total + per_block - 1) / per_block;
        tables = (blocks * 8 + p->cluster - 1) / p->cluster;
        if (blocks <= p->blocks && tables <= p->reftable_clusters)
            return 0;
        p->blocks = max_u64(blocks, p->blocks);
        p->reftable_clusters = max_u64(tables, p->reftable_clusters);
    }
}

static void set_count(uint8_t *block, uint64_t i, const struct plan *p)
{
    unsigned bits = (unsigned)p->refcount_bits;

    if (bits >= 8)
        block[(i + 1) * bits / 8 - 1] = 1;
    else
        block[i * bits / 8] |= (uint8_t)(1u << i * bits % 8);
}

static int write_refcounts(struct disk *file, const struct plan *p)
{
    uint64_t per_block = p->cluster * 8 / p->refcount_bits;
    uint64_t first = (1 + p->reftable_clusters) * p->cluster;
    uint8_t *block = malloc(p->cluster), entry[8];
    int rc = block ? 0 : -ENOMEM;

    for (uint64_t b = 0; b < p->blocks && rc == 0; b++) {
        memset(block, 0, p->cluster);
        for (uint64_t i = 0; i < per_block && b * per_block + i < p->total; i++)
            set_count(block, i, p);
        be64_put(entry, first + b * p->cluster);
        rc = disk_write(file, first + b * p->cluster, block, p->cluster);
        if (rc == 0)
            rc = disk_write(file, p->cluster + b * 8, entry, 8);
    }
    free(block);
    return rc;
}

/* Extensions and the parent's name, after the header. */
static size_t write_names(const struct image_make *k, struct qcow2_header *h, uint8_t *cluster,
                          size_t at)
{
    if (k->backing_format) {
        uint32_t n = (uint32_t)strlen(k->backing_format);

        be32_put(cluster + at, QCOW2_EXT_BACKING_FORMAT);
        be32_put(cluster + at + 4, n);
        memcpy(cluster + at + 8, k->backing_format, n);
        at += 8 + align_up(n, 8);
    }
    at += 8; /* the extension that ends them is zero */
    if (k->backing) {
        size_t n = strlen(k->backing);

        h->backing_file_offset = be64_of(at);
        h->backing_file_size = be32_of((uint32_t)n);
        memcpy(cluster + at, k->backing, n);
        at += n;
    }
    return at;
}

static int write_header(struct disk *file, const struct image_make *k, const struct plan *p)
{
    struct qcow2_header h = {
        .magic = be32_of(QCOW2_MAGIC),
        .version = be32_of(p->v3 ? 3 : 2),
        .cluster_bits = be32_of(p->cluster_bits),
        .size = be64_of(k->bytes),
        .l1_size = be32_of((uint32_t)p->l1_size),
        .l1_table_offset = be64_of((1 + p->reftable_clusters + p->blocks) * p->cluster),
        .refcount_table_offset = be64_of(p->cluster),
        .refcount_table_clusters = be32_of((uint32_t)p->reftable_clusters),
        .incompatible_features = be64_of((p->zstd ? QCOW2_INCOMPAT_COMPRESSION : 0) |
                                         (p->extl2 ? QCOW2_INCOMPAT_EXTL2 : 0)),
        .compatible_features = be64_of(p->lazy ? QCOW2_COMPAT_LAZY_REFCOUNTS : 0),
        .refcount_order = be32_of(p->refcount_order),
        .header_length = be32_of(sizeof(h)),
        .compression_type = p->zstd ? QCOW2_ZSTD : QCOW2_ZLIB,
    };
    size_t n = p->v3 ? sizeof(h) : QCOW2_V2_HEADER;
    uint8_t *cluster = calloc(1, p->cluster + 4096);
    int rc = -ENOMEM;

    if (cluster) {
        write_names(k, &h, cluster, n);
        memcpy(cluster, &h, n);
        rc = disk_write(file, 0, cluster, p->cluster);
    }
    free(cluster);
    return rc;
}

int qcow2_create(struct disk *file, const struct image_make *k, struct err *e)
{
    struct plan p = {0};
    int rc = read_options(k, &p, e);

    if (rc == 0)
        rc = lay_out(k, &p, e);
    if (rc < 0)
        return rc;
    if (k->backing && (strlen(k->backing) > QCOW2_NAME_MAX || strlen(k->backing) + 256 > p.cluster))
        return usage("the parent's name is too long", e);
    rc = write_refcounts(file, &p);
    if (rc == 0 && p.l1_clusters) /* the L1 table is zero */
        rc =
            disk_zero(file, (p.total - p.l1_clusters) * p.cluster, p.l1_clusters * p.cluster, true);
    if (rc == 0)
        rc = write_header(file, k, &p);
    if (rc == 0)
        rc = disk_flush(file);
    return rc < 0 ? err_set(e, -rc, "cannot write qcow2 image '%s': %s", k->path, strerror(-rc))
                  : 0;
}

/* --- resizing --- */

/* A longer L1 table in a new place; the header's one sector switches to it. */
static int grow_l1(struct qcow2 *q, uint64_t size)
{
    uint64_t old_off = q->l1_off, old = q->l1_size, clusters, at = 0;
    uint64_t *l1 = calloc(size, sizeof(*l1));
    uint8_t *p;
    int rc = l1 ? 0 : -ENOMEM;

    clusters = (size * 8 + q->m.cluster - 1) >> q->cluster_bits;
    if (rc == 0)
        rc = qcow2_alloc_row(q, clusters, &at);
    if (rc == 0)
        rc = meta_new(&q->m, q->m.file, at, clusters << q->cluster_bits);
    for (uint64_t i = 0; i < old && rc == 0; i++) {
        l1[i] = q->l1[i];
        if (l1[i])
            rc = meta_change(&q->m, q->m.file, at + i * 8, 8, QCOW2_REFS, &p);
        if (l1[i] && rc == 0)
            be64_put(p, l1[i]);
    }
    if (rc == 0)
        rc = meta_change(&q->m, q->m.file, 0, sizeof(q->h), QCOW2_LINKS, &p);
    if (rc != 0) {
        free(l1);
        return rc;
    }
    q->h.l1_size = be32_of((uint32_t)size);
    q->h.l1_table_offset = be64_of(at);
    memcpy(p + 36, (uint8_t *)&q->h + 36, 12);
    free(q->l1);
    q->l1 = l1;
    q->l1_size = size;
    q->l1_off = at;
    clusters = (old * 8 + q->m.cluster - 1) >> q->cluster_bits;
    if (clusters) {
        meta_forget(&q->m, q->m.file, old_off, clusters << q->cluster_bits);
        qcow2_free(q, old_off, clusters);
    }
    return 0;
}

static uint64_t l1_for(const struct qcow2 *q, uint64_t bytes)
{
    uint64_t per_l1 = q->m.cluster << q->l2_bits;

    return bytes / per_l1 + (bytes % per_l1 != 0);
}

static int set_size(struct qcow2 *q, uint64_t bytes)
{
    uint64_t need = l1_for(q, bytes);
    uint8_t *p;
    int rc;

    pthread_mutex_lock(&q->m.lock);
    rc = qcow2_bitmaps_resize(q, bytes);
    if (rc == 0 && need > q->l1_size)
        rc = grow_l1(q, need);
    if (rc == 0)
        rc = meta_change(&q->m, q->m.file, 0, sizeof(q->h), QCOW2_LINKS, &p);
    if (rc == 0) {
        q->h.size = be64_of(bytes);
        memcpy(p + 24, &q->h.size, 8);
    }
    pthread_mutex_unlock(&q->m.lock);
    return rc;
}

int qcow2_resize(struct disk *d, uint64_t bytes, struct err *e)
{
    struct qcow2 *q = qcow2_of(map_of(d));
    uint64_t old = d->shape.bytes;
    int rc = 0;

    if (bytes % DISK_SECTOR || bytes > INT64_MAX / 2)
        return usage("the size must be whole sectors of 512 bytes", e);
    if (be32_get(q->h.nb_snapshots) && !q->v3)
        return usage("an image of compat 0.10 with snapshots keeps its size", e);
    if (l1_for(q, bytes) > QCOW2_L1_MAX / 8)
        return usage("it is too large for clusters of this size", e);
    rc = qcow2_bitmaps_hold(q, bytes);
    if (rc == 0 && bytes < old)
        rc = disk_zero(d, bytes, old - bytes, true);
    if (rc == 0)
        rc = set_size(q, bytes);
    if (rc == 0) {
        d->shape.bytes = bytes;
        rc = map_flush(&q->m);
    }
    return rc < 0 ? err_set(e, -rc, "cannot resize the qcow2 image: %s", strerror(-rc)) : 0;
}
