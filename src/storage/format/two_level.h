/* SPDX-License-Identifier: Apache-2.0 */
/*
 * two_level.h - reading images whose clusters are found through two levels of tables of 64-bit
 * offsets: what QED and the first version of QCOW have in common.
 */
#ifndef HOSPES_STORAGE_FORMAT_TWO_LEVEL_H
#define HOSPES_STORAGE_FORMAT_TWO_LEVEL_H

#include "storage/image.h"
#include "storage/map.h"

/* First member of such a format's disk; all but m is filled before two_level_open(). */
struct two_level {
    struct map m;
    char *backing;   /* the parent's name, malloc'd; NULL: none */
    uint64_t l1_off; /* a multiple of 8, with the whole table inside the file */
    unsigned cluster_bits, l2_bits;
    bool big_endian;
    /* What the part of a cluster from x->off on is, by its entry; x->len is set already. */
    MUST int (*classify)(const struct two_level *t, uint64_t entry, struct piece *x);
};

/* Opens the disk of `bytes` over t->m.file, which stays the caller's on failure, and so does t.
 * format: the parent's, NULL: unknown. */
MUST int two_level_open(struct two_level *t, const struct map_ops *ops, uint64_t bytes,
                        const char *format, const struct disk_cfg *c, struct loop *l,
                        struct err *e);
/* map_ops.close */
void two_level_close(struct map *m, bool clean);
MUST int two_level_find(struct map *m, uint64_t off, uint64_t len, bool wait, struct piece *x);

/* A short text of the file, NULL when it does not fit or there is no memory; malloc'd. */
char *image_text(struct disk *file, uint64_t off, uint64_t n);

#endif
