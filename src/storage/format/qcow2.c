/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2.c - opening QCOW2 images, versions 2 and 3.
 *
 * Document: docs/interop/qcow2.txt of QEMU. Modelled: backing files, zlib and zstd clusters,
 * extended L2 entries, internal snapshots (listed and read), any refcount width, external data
 * files (read). Not modelled: encryption; writing to images with external data files. Refcounts
 * are always kept exact, so the lazy bit is left as it is and the dirty bit is never set; an image
 * that others left dirty is repaired before it is written to.
 */
#include "storage/format/qcow2.h"
#include "storage/pack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "storage/format/format.h"

static int bad(const struct disk_cfg *c, const char *what, struct err *e)
{
    return err_set(e, EINVAL, "'%s' is a damaged qcow2 image: %s; 'hospes image check' says more",
                   c->path, what);
}

static int cannot(const struct disk_cfg *c, const char *what, struct err *e)
{
    return err_set(e, EINVAL, "qcow2 image '%s' %s; convert it with the tool that made it", c->path,
                   what);
}

/* A short text of the header; malloc'd. */
static char *text_at(struct qcow2 *q, uint64_t off, uint32_t n)
{
    char *s = n <= QCOW2_NAME_MAX && range_in(off, n, disk_bytes(q->m.file)) ? malloc(n + 1) : NULL;

    if (s && disk_read(q->m.file, off, s, n) < 0) {
        free(s);
        return NULL;
    }
    if (s)
        s[n] = 0;
    return s;
}

static int load_bitmaps(struct qcow2 *q, uint64_t off, uint32_t len)
{
    struct qcow2_bitmaps_ext x;

    if (!(be64_get(q->h.autoclear_features) & QCOW2_AUTOCLEAR_BITMAPS))
        return 0; /* left behind by a writer that does not know them */
    if (len < sizeof(x) || disk_read(q->m.file, off, &x, sizeof(x)) < 0)
        return -EINVAL;
    q->bitmaps_ext = off;
    q->bitmaps = be32_get(x.nb_bitmaps);
    q->bitmaps_off = be64_get(x.bitmap_directory_offset);
    q->bitmaps_size = be64_get(x.bitmap_directory_size);
    return range_in(q->bitmaps_off, q->bitmaps_size, disk_bytes(q->m.file)) ? 0 : -EINVAL;
}

static int load_extensions(struct qcow2 *q)
{
    uint64_t at = q->v3 ? be32_get(q->h.header_length) : QCOW2_V2_HEADER;
    uint64_t end = be64_get(q->h.backing_file_offset);
    int rc = 0;

    if (end == 0 || end > q->m.cluster)
        end = q->m.cluster;
    while (rc == 0 && at + sizeof(struct qcow2_extension) <= end) {
        struct qcow2_extension x;
        uint32_t type, len;

        if (disk_read(q->m.file, at, &x, sizeof(x)) < 0)
            return -EIO;
        type = be32_get(x.type);
        len = be32_get(x.length);
        at += sizeof(x);
        if (type == QCOW2_EXT_END)
            return 0;
        if (len > end - at)
            return -EINVAL;
        if (type == QCOW2_EXT_BACKING_FORMAT && !q->backing_format)
            q->backing_format = text_at(q, at, len);
        else if (type == QCOW2_EXT_DATA_FILE && !q->data_name)
            q->data_name = text_at(q, at, len);
        else if (type == QCOW2_EXT_BITMAPS)
            rc = load_bitmaps(q, at, len);
        at += align_up(len, 8);
    }
    return rc;
}

static int load_table(struct qcow2 *q, uint64_t off, uint64_t entries, uint64_t **out)
{
    uint64_t *t = calloc(entries ? entries : 1, sizeof(*t));
    int rc;

    if (!t)
        return -ENOMEM;
    rc = disk_read(q->m.file, off, t, entries * 8);
    for (uint64_t i = 0; i < entries && rc == 0; i++)
        t[i] = be64_at(&t[i]);
    if (rc < 0) {
        free(t);
        return rc;
    }
    *out = t;
    return 0;
}

static int load_header(struct qcow2 *q, const struct disk_cfg *c, struct err *e)
{
    struct qcow2_header *h = &q->h;
    uint64_t size = disk_bytes(q->m.file), incompat;
    uint32_t version;
    int rc = disk_read(q->m.file, 0, h, sizeof(*h));

    if (rc < 0)
        return err_set(e, -rc, "cannot read qcow2 image '%s': %s", c->path, strerror(-rc));
    version = be32_get(h->version);
    if (size < QCOW2_V2_HEADER || be32_get(h->magic) != QCOW2_MAGIC ||
        (version != 2 && version != 3))
        return bad(c, "its header is not that of a version that exists", e);
    q->v3 = version == 3;
    if (!q->v3) {
        memset(&h->incompatible_features, 0, sizeof(*h) - QCOW2_V2_HEADER);
        h->refcount_order = be32_of(4);
        h->header_length = be32_of(QCOW2_V2_HEADER);
    }
    if (be32_get(h->header_length) <= 104)
        h->compression_type = 0;
    incompat = be64_get(h->incompatible_features);
    q->extl2 = incompat & QCOW2_INCOMPAT_EXTL2;
    q->zstd = h->compression_type == QCOW2_ZSTD;
    q->cluster_bits = be32_get(h->cluster_bits);
    q->refcount_order = be32_get(h->refcount_order);
    if (be32_get(h->crypt_method))
        return cannot(c,
                      be32_get(h->crypt_method) == 2
                          ? "is encrypted with LUKS, which is not supported"
                          : "is encrypted (AES), which is not supported",
                      e);
    if (incompat >= 32 || h->compression_type > QCOW2_ZSTD)
        return cannot(c, "uses features that are newer than this program", e);
    if (q->cluster_bits < (q->extl2 ? 14 : 9) || q->cluster_bits > 21 || q->refcount_order > 6 ||
        (q->v3 && (be32_get(h->header_length) < 104 || be32_get(h->header_length) % 8)))
        return bad(c, "its header has impossible values", e);
    return 0;
}

static bool table_fits(const struct qcow2 *q, uint64_t off, uint64_t bytes, uint64_t max)
{
    return bytes <= max && off % q->m.cluster == 0 && range_in(off, bytes, disk_bytes(q->m.file));
}

static int load_tables(struct qcow2 *q, const struct disk_cfg *c, struct err *e)
{
    struct qcow2_header *h = &q->h;
    uint64_t per_l1 = (uint64_t)q->m.cluster << q->l2_bits, need;
    int rc;

    q->l1_off = be64_get(h->l1_table_offset);
    q->l1_size = be32_get(h->l1_size);
    q->reftable_off = be64_get(h->refcount_table_offset);
    q->reftable_size = (uint64_t)be32_get(h->refcount_table_clusters) * q->m.cluster / 8;
    need = q->m.d.shape.bytes / per_l1 + (q->m.d.shape.bytes % per_l1 != 0);
    if (q->l1_size < need)
        return bad(c, "its L1 table is too short for its size", e);
    if (!table_fits(q, q->l1_off, q->l1_size * 8, QCOW2_L1_MAX))
        return bad(c, "its L1 table is too large or lies outside the file", e);
    if (!table_fits(q, q->reftable_off, q->reftable_size * 8, QCOW2_REFTABLE_MAX))
        return bad(c, "its refcount table is too large or lies outside the file", e);
    rc = load_table(q, q->l1_off, q->l1_size, &q->l1);
    if (rc == 0)
        rc = load_table(q, q->reftable_off, q->reftable_size, &q->reftable);
    return rc < 0 ? err_set(e, -rc, "cannot read the tables of qcow2 image '%s': %s", c->path,
                            strerror(-rc))
                  : 0;
}

int qcow2_load(struct qcow2 *q, const struct disk_cfg *c, struct err *e)
{
    int rc = load_header(q, c, e);

    if (rc < 0)
        return rc;
    q->entry = q->extl2 ? 16 : 8;
    q->m.cluster = UINT64_C(1) << q->cluster_bits;
    q->m.grain = q->extl2 ? q->m.cluster / QCOW2_SUBCLUSTERS : q->m.cluster;
    q->l2_bits = q->cluster_bits - (q->extl2 ? 4 : 3);
    q->m.d.shape = (struct disk_shape){
        .bytes = align_down(be64_get(q->h.size), DISK_SECTOR),
        .logical = DISK_SECTOR,
        .physical = 4096,
        .readonly = q->m.file->shape.readonly,
        .trims = true,
    };
    if (be64_get(q->h.size) > INT64_MAX)
        return bad(c, "its size is impossible", e);
    if (load_extensions(q) < 0)
        return bad(c, "its header extensions are broken", e);
    if (be64_get(q->h.backing_file_offset)) {
        q->backing =
            text_at(q, be64_get(q->h.backing_file_offset), be32_get(q->h.backing_file_size));
        if (!q->backing)
            return bad(c, "the name of its backing file lies outside the file", e);
    }
    return load_tables(q, c, e);
}

void qcow2_unload(struct qcow2 *q)
{
    free(q->l1);
    free(q->reftable);
    free(q->backing);
    free(q->backing_format);
    free(q->data_name);
    free(q->held);
    q->held = NULL;
    q->l1 = q->reftable = NULL;
    q->backing = q->backing_format = q->data_name = NULL;
}

/* --- snapshots --- */

struct wanted {
    const char *name;
    struct qcow2_snap found;
};

static int match(void *arg, const struct qcow2_snap *s)
{
    struct wanted *w = arg;

    if (strcmp(s->id, w->name) != 0 && strcmp(s->name, w->name) != 0)
        return 0;
    w->found = *s;
    return 1;
}

static int use_snapshot(struct qcow2 *q, const struct disk_cfg *c, struct err *e)
{
    struct wanted w = {.name = c->internal};
    uint64_t end, *l1;
    int rc = qcow2_each_snapshot(q, match, &w, &end);

    if (rc == 0)
        return err_exit(e, EX_USAGE_, ENOENT,
                        "qcow2 image '%s' has no snapshot '%s'; 'hospes image info' lists them",
                        c->path, c->internal);
    if (rc < 0 || !table_fits(q, w.found.l1_off, w.found.l1_size * 8, QCOW2_L1_MAX))
        return bad(c, "its snapshot table is broken", e);
    rc = load_table(q, w.found.l1_off, w.found.l1_size, &l1);
    if (rc < 0)
        return err_set(e, -rc, "cannot read snapshot '%s' of '%s'", c->internal, c->path);
    free(q->l1);
    q->l1 = l1;
    q->l1_size = w.found.l1_size;
    q->m.d.shape.bytes = align_down(w.found.bytes, DISK_SECTOR);
    q->m.d.shape.readonly = true;
    if (q->m.d.shape.bytes > q->l1_size * ((uint64_t)q->m.cluster << q->l2_bits))
        return bad(c, "the L1 table of the snapshot is too short", e);
    return 0;
}

/* --- opening --- */

/* A writer that does not know an autoclear feature says so before it writes. Bitmaps stay, see
 * qcow2_touch(). */
int qcow2_autoclear(struct qcow2 *q, bool bitmaps)
{
    uint64_t keep = bitmaps && q->bitmaps ? QCOW2_AUTOCLEAR_BITMAPS : 0;
    int rc;

    if (!q->v3 || (be64_get(q->h.autoclear_features) & ~keep) == 0)
        return 0;
    q->h.autoclear_features = be64_of(be64_get(q->h.autoclear_features) & keep);
    rc = disk_write(q->m.file, offsetof(struct qcow2_header, autoclear_features),
                    &q->h.autoclear_features, sizeof(q->h.autoclear_features));
    return rc < 0 ? rc : disk_flush(q->m.file);
}

/* Before the first write: what others left undone is done. */
static int make_writable(struct qcow2 *q, const struct disk_cfg *c, struct err *e)
{
    uint64_t incompat = be64_get(q->h.incompatible_features);
    struct image_report rep = {0};

    if (incompat & QCOW2_INCOMPAT_DATA_FILE)
        return cannot(c, "has an external data file and can only be read", e);
    if (incompat & QCOW2_INCOMPAT_CORRUPT)
        return bad(c, "it is marked as corrupt", e);
    if (qcow2_autoclear(q, true) < 0)
        return err_set(e, EIO, "cannot write to the header of qcow2 image '%s'", c->path);
    if (!(incompat & QCOW2_INCOMPAT_DIRTY))
        return 0;
    if (qcow2_check(q->m.file, c, true, &rep, e) < 0)
        return -e->code;
    if (rep.errors)
        return bad(c, "it was not closed, and not all of it could be repaired", e);
    qcow2_unload(q);
    return qcow2_load(q, c, e);
}

static int open_parts(struct qcow2 *q, const struct disk_cfg *c, struct loop *l, struct err *e)
{
    int rc = 0;

    if (be64_get(q->h.incompatible_features) & QCOW2_INCOMPAT_DATA_FILE && !c->no_chain) {
        if (!q->data_name)
            return bad(c, "it does not name its external data file", e);
        rc = chain_file(c, q->data_name, true, l, &q->data_file, e);
    }
    if (rc == 0 && q->backing)
        rc = chain_open(c, q->backing, q->backing_format, l, &q->m.parent, e);
    return rc;
}

static int qcow2_open(struct disk *file, const struct disk_cfg *c, struct loop *l,
                      struct disk **out, struct err *e)
{
    struct qcow2 *q = calloc(1, sizeof(*q));
    int rc;

    if (!q)
        return err_set(e, ENOMEM, "no memory to open qcow2 image '%s'", c->path);
    q->m.file = file;
    rc = qcow2_load(q, c, e);
    if (rc == 0 && !q->m.d.shape.readonly)
        rc = make_writable(q, c, e);
    if (rc == 0 && c->internal)
        rc = use_snapshot(q, c, e);
    if (rc == 0)
        rc = open_parts(q, c, l, e);
    if (rc == 0)
        rc = map_init(&q->m, &qcow2_map_ops, l, e);
    if (rc < 0) {
        disk_close(q->m.parent);
        disk_close(q->data_file);
        qcow2_unload(q);
        free(q);
        return rc;
    }
    q->m.end = q->m.virgin = align_up(disk_bytes(file), q->m.cluster);
    q->m.d.pack = (uint32_t)q->m.cluster;
    q->m.d.pack_levels = q->zstd ? PACK_ZSTD_LEVELS : PACK_DEFLATE_LEVELS;
    *out = &q->m.d;
    return 0;
}

/* Other versions are claimed too: they are refused with a sentence instead of being read as raw. */
static int qcow2_probe(const uint8_t *head, size_t n, const uint8_t *tail, size_t tn, uint64_t size)
{
    (void)tail, (void)tn, (void)size;
    return n >= 8 && be32_at(head) == QCOW2_MAGIC && be32_at(head + 4) != 1 ? 100 : 0;
}

static int snapshot_fact(void *arg, const struct qcow2_snap *s)
{
    facts_text(arg, "snapshot", "%s %s (%llu bytes, at %llu)", s->id, s->name,
               (unsigned long long)s->bytes, (unsigned long long)s->date);
    return 0;
}

static void qcow2_facts(struct disk *d, struct facts *f)
{
    struct qcow2 *q = qcow2_of(map_of(d));
    uint64_t end;

    facts_text(f, "compat", "%s", q->v3 ? "1.1" : "0.10");
    facts_number(f, "cluster-size", q->m.cluster);
    facts_number(f, "refcount-bits", UINT64_C(1) << q->refcount_order);
    facts_text(f, "compression-type", "%s", q->zstd ? "zstd" : "zlib");
    facts_text(f, "extended-l2", "%s", q->extl2 ? "yes" : "no");
    facts_text(f, "lazy-refcounts", "%s",
               be64_get(q->h.compatible_features) & QCOW2_COMPAT_LAZY_REFCOUNTS ? "yes" : "no");
    facts_text(f, "dirty", "%s",
               be64_get(q->h.incompatible_features) & QCOW2_INCOMPAT_DIRTY ? "yes" : "no");
    facts_text(f, "corrupt", "%s",
               be64_get(q->h.incompatible_features) & QCOW2_INCOMPAT_CORRUPT ? "yes" : "no");
    if (q->backing)
        facts_text(f, "parent", "%s", q->backing);
    if (q->backing_format)
        facts_text(f, "parent-format", "%s", q->backing_format);
    if (q->data_name)
        facts_text(f, "data-file", "%s", q->data_name);
    if (q->bitmaps)
        facts_number(f, "bitmaps", q->bitmaps);
    if (qcow2_each_snapshot(q, snapshot_fact, f, &end) < 0)
        facts_text(f, "snapshots", "damaged");
}

const struct format_ops qcow2_format = {
    .name = "qcow2",
    .suffixes = ".qcow2",
    .about = "QEMU and KVM, with backing files, compression and snapshots",
    .probe = qcow2_probe,
    .open = qcow2_open,
    .options = qcow2_options,
    .create = qcow2_create,
    .check = qcow2_check,
    .resize = qcow2_resize,
    .settle = qcow2_settle,
    .facts = qcow2_facts,
    .pack = qcow2_pack,
    .put = qcow2_put,
};
