/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2.h - what the files of the qcow2 format have in common. */
#ifndef HOSPES_STORAGE_FORMAT_QCOW2_H
#define HOSPES_STORAGE_FORMAT_QCOW2_H

#include "abi/qcow2.h"
#include "storage/image.h"
#include "storage/map.h"

enum {
    QCOW2_L1_MAX = 32 << 20, /* bytes of tables kept in memory, as QEMU limits them */
    QCOW2_REFTABLE_MAX = 8 << 20,
    QCOW2_SNAPSHOTS_MAX = 65536,
    QCOW2_NAME_MAX = 1023,
    QCOW2_SUBCLUSTERS = 32,
};

/* Phases of a flush. */
enum {
    QCOW2_REFS = 0,     /* refcounts and tables that nothing points to yet */
    QCOW2_REFTABLE = 1, /* where the refcounts are */
    QCOW2_LINKS = 2,    /* L2 and L1 entries */
};

struct qcow2 {
    struct map m;
    struct qcow2_header h; /* as on disk; version 2 with the defaults of version 3 */
    unsigned cluster_bits, refcount_order, l2_bits; /* l2_bits: log2 of entries of an L2 table */
    bool v3, extl2, zstd;
    uint32_t entry; /* bytes of an L2 entry: 8, or 16 with extended ones */
    uint64_t *l1;   /* entries in host order */
    uint64_t l1_size, l1_off;
    uint64_t *reftable; /* host order */
    uint64_t reftable_size, reftable_off;
    uint64_t free_from; /* no cluster below this index is free */
    uint64_t packed_at; /* where the next compressed cluster goes, 0: a new host cluster */
    struct disk *data_file;
    char *backing, *backing_format, *data_name;
    uint64_t bitmaps_off, bitmaps_size; /* the directory; 0: none */
    uint64_t bitmaps_ext;               /* the header extension that says so */
    uint32_t bitmaps;
    bool *held;   /* by bitmap: marked as in use by a resize alone; NULL: no resize is under way */
    bool touched; /* something was written: features that this writer does not keep are cleared */
};

static inline struct qcow2 *qcow2_of(struct map *m)
{
    return container_of(m, struct qcow2, m);
}

/* --- qcow2.c --- */
/* Reads and checks header, extensions and the small tables; e may name every reason. */
MUST int qcow2_load(struct qcow2 *q, const struct disk_cfg *c, struct err *e);
void qcow2_unload(struct qcow2 *q);
/* Clears the header's autoclear bits, but for that of bitmaps if they are kept; syncs. */
MUST int qcow2_autoclear(struct qcow2 *q, bool bitmaps);

/* --- qcow2_map.c --- */
extern const struct map_ops qcow2_map_ops;
/* The L2 table of a guest offset, made or copied if it must be for writing. */
MUST int qcow2_l2_for_write(struct qcow2 *q, uint64_t off, uint64_t *l2_off);
MUST int qcow2_drop_entry(struct qcow2 *q, uint64_t entry);

/* --- qcow2_ref.c: all with the map's lock held --- */
MUST int qcow2_ref_get(struct qcow2 *q, uint64_t cluster, uint64_t *out);
/* Counts are read by pages: how many one holds. */
uint64_t qcow2_ref_page(const struct qcow2 *q);
/* cluster: the first of a page. *n: how many counts that page holds if all are zero, else 0. */
MUST int qcow2_ref_none(struct qcow2 *q, uint64_t cluster, uint64_t *n);
/* Adds to a cluster's count. */
MUST int qcow2_ref_add(struct qcow2 *q, uint64_t cluster, int64_t by);
/* At least one and at most `want` free clusters in a row, counted once each. */
MUST int qcow2_alloc(struct qcow2 *q, uint64_t want, uint64_t *at, uint64_t *got, bool *fresh);
/* All `n` in a row. */
MUST int qcow2_alloc_row(struct qcow2 *q, uint64_t n, uint64_t *at);
/* Repair: gives a count block to `cluster`, which has none, at the clusters from `spare` on. The
 * block counts itself; *used: how many clusters from `spare` on it took. */
MUST int qcow2_ref_cover(struct qcow2 *q, uint64_t cluster, uint64_t spare, uint64_t *used);
void qcow2_free(struct qcow2 *q, uint64_t at, uint64_t clusters);
void qcow2_released(struct map *m, uint64_t at, uint64_t len);
bool qcow2_punchable(struct map *m, uint64_t at);

/* --- qcow2_pack.c --- */
MUST int qcow2_unpack(struct map *m, const struct piece *x, uint8_t *buf);
size_t qcow2_pack(struct disk *d, const uint8_t *in, uint8_t *out, size_t room);
MUST int qcow2_put(struct disk *d, const struct packed *v, size_t n);

/* --- qcow2_bitmap.c --- */
MUST int qcow2_touch(struct map *m);
/* Before the disk gets `bytes`: marks every bitmap as in use, durably. */
MUST int qcow2_bitmaps_hold(struct qcow2 *q, uint64_t bytes);
/* Tables and directory for a disk of `bytes`, for the next flush; with the map's lock held. */
MUST int qcow2_bitmaps_resize(struct qcow2 *q, uint64_t bytes);
/* Once that is durable: format_ops.settle. */
MUST int qcow2_settle(struct disk *d, struct err *e);

/* --- qcow2_make.c, qcow2_check.c, qcow2_snap.c --- */
extern const struct format_option qcow2_options[];
MUST int qcow2_create(struct disk *file, const struct image_make *k, struct err *e);
MUST int qcow2_resize(struct disk *d, uint64_t bytes, struct err *e);
MUST int qcow2_check(struct disk *file, const struct disk_cfg *c, bool repair,
                     struct image_report *rep, struct err *e);
/* Runs fn over the snapshots until it gives nonzero. */
struct qcow2_snap {
    uint64_t l1_off, l1_size, bytes, vm_state;
    uint64_t date; /* s */
    char id[64], name[256];
};
MUST int qcow2_each_snapshot(struct qcow2 *q, int (*fn)(void *arg, const struct qcow2_snap *s),
                             void *arg, uint64_t *end);

#endif
