/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_stat.c - what a guest may learn of its share of the host: `vmware-toolbox-cmd stat`.
 *
 * Document: open-vm-tools libguestlib, version 2 of the answer to guestlib.info.get. Told are the
 * processor's speed, the time that the guest has had and has been on, its memory and what the
 * balloon holds; nothing is reserved or limited here. Not modelled: version 3 (a list of typed
 * values), which programs do without, and guestlib.stat.get.
 */
#include <string.h>

#include "personas/vmware/rpc.h"

/* Shares of a machine of normal weight. */
enum { SHARES_PER_CPU = 1000, SHARES_PER_MIB = 10, POOL_PATH = 512 };

struct stats {
    uint8_t *at;
};

static void put32(struct stats *s, uint32_t v)
{
    s->at[0] = 1; /* valid */
    le32_put(s->at + 4, v);
    s->at += 8;
}

static void put64(struct stats *s, uint64_t v)
{
    s->at[0] = 1;
    le64_put(s->at + 4, v);
    s->at += 12;
}

size_t rpc_stat(const struct rpc_facts *f, uint8_t out[RPC_STAT])
{
    struct stats s = {out + 12};

    _Static_assert(RPC_STAT == 12 + 3 * 8 + 12 + 8 + 11 * 8 + 12 + 1 + POOL_PATH, "");
    memset(out, 0, RPC_STAT);
    le32_put(out, 2); /* version */
    le64_put(out + 4, f->session);
    put32(&s, 0);          /* processor time: reserved, MHz */
    put32(&s, UINT32_MAX); /* limit */
    put32(&s, f->cpus * SHARES_PER_CPU);
    put64(&s, f->used_ms);
    put32(&s, f->mhz);
    put32(&s, 0);          /* memory: reserved, MiB */
    put32(&s, UINT32_MAX); /* limit */
    put32(&s, f->memory_mib * SHARES_PER_MIB);
    put32(&s, f->memory_mib - f->ballooned_mib); /* mapped */
    put32(&s, f->memory_mib - f->ballooned_mib); /* active */
    put32(&s, 0);                                /* overhead */
    put32(&s, f->ballooned_mib);
    put32(&s, 0);                                /* swapped */
    put32(&s, 0);                                /* shared */
    put32(&s, 0);                                /* saved by sharing */
    put32(&s, f->memory_mib - f->ballooned_mib); /* used */
    put64(&s, f->elapsed_ms);
    *s.at++ = 1;
    s.at[0] = '/'; /* path of the resource pool */
    return RPC_STAT;
}
