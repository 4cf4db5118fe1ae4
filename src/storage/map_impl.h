/* SPDX-License-Identifier: Apache-2.0 */
/* map_impl.h - what map.c, map_write.c and map_flush.c have in common. */
#ifndef HOSPES_STORAGE_MAP_IMPL_H
#define HOSPES_STORAGE_MAP_IMPL_H

#include "storage/map.h"

/* A request is under way: space that is freed from now on outlives it. */
static inline unsigned map_enter(struct map *m)
{
    for (;;) {
        unsigned p = __atomic_load_n(&m->parity, __ATOMIC_SEQ_CST);

        __atomic_fetch_add(&m->active[p], 1, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&m->parity, __ATOMIC_SEQ_CST) == p)
            return p;
        __atomic_fetch_sub(&m->active[p], 1, __ATOMIC_SEQ_CST);
    }
}

static inline void map_leave(struct map *m, unsigned parity)
{
    __atomic_fetch_sub(&m->active[parity], 1, __ATOMIC_SEQ_CST);
}

static inline int map_failed(const struct map *m)
{
    return __atomic_load_n(&m->failed, __ATOMIC_ACQUIRE);
}

/* Ends writing; returns rc. */
int map_fail(struct map *m, int rc);

static inline bool map_touched(const struct map *m)
{
    return __atomic_load_n(&m->touched, __ATOMIC_ACQUIRE);
}

/* Comes before every change; 0 or why nothing may be written. */
MUST int map_touch(struct map *m);

/* Finds with the lock taken and dropped. */
MUST int map_find(struct map *m, uint64_t off, uint64_t len, struct piece *x);

/* Reads guest bytes through the map. */
MUST int map_read(struct map *m, struct disk_req *r);
/* Reads one piece into iov; p is a read request for x->len bytes at x->off or inside it. */
MUST int map_read_piece(struct map *m, const struct piece *x, struct disk_req *p);

MUST int map_write(struct map *m, struct disk_req *r);
MUST int map_zero(struct map *m, struct disk_req *r);

void map_runs_free(struct map_runs *v);
/* Gives back space whose time has come; without the lock. */
void map_release(struct map *m);

#endif
