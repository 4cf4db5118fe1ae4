/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass.h - a filter that lets requests through and may refuse, hold or watch them.
 */
#ifndef HOSPES_STORAGE_FILTER_PASS_H
#define HOSPES_STORAGE_FILTER_PASS_H

#include "storage/disk.h"

struct pass;

struct pass_ops {
    const char *name;
    /* Before r starts; any thread. Negative: r ends with that. *wait_ns: r starts so much later. */
    int (*before)(struct pass *p, const struct disk_req *r, uint64_t *wait_ns);
    void (*after)(struct pass *p, const struct disk_req *r, int res); /* may be NULL; any thread */
    void (*free)(struct pass *p); /* may be NULL: what lies behind p, not p */
};

/* First member of such a filter, which is one malloc'd block. */
struct pass {
    struct disk d;
    struct disk *below;
    const struct pass_ops *ops;
    struct disk_fwds fwds;
};

/* p is zeroed memory. */
void pass_init(struct pass *p, const struct pass_ops *ops, struct disk *below, struct loop *l);

#endif
