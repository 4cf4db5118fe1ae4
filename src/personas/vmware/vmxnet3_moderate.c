/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmxnet3_moderate.c - fewer interrupts, as a driver of revision 3 asks for.
 *
 * By rate: a vector is raised no more often than that. By number: after so many completions, or
 * MODERATE_NS after the first. Adaptive: at most ADAPT_RATE a second. Threads: the loop, under the
 * device's lock.
 */
#include "core/gmem.h"
#include "personas/vmware/vmxnet3.h"

#define MODERATE_NS UINT64_C(100000)
#define NS_PER_SEC UINT64_C(1000000000)
enum { ADAPT_RATE = 20000, RATE_MIN = 100, DEPTH_MAX = 128 };

uint32_t vmxnet3_coalesce_load(struct vmxnet3 *x)
{
    struct gmem *m = x->pci.dev.env.mem;
    struct vmxnet3_conf_desc where;
    struct vmxnet3_coalesce c;
    uint32_t mode;

    if (gmem_read(m, x->s.shared + offsetof(struct vmxnet3_shared, command), &where,
                  sizeof(where)) < 0 ||
        le32_get(where.len) < sizeof(c) || gmem_read(m, le64_get(where.at), &c, sizeof(c)) < 0)
        return 1;
    mode = le32_get(c.mode);
    if (mode > VMXNET3_COALESCE_RBC ||
        (mode == VMXNET3_COALESCE_RBC && le32_get(c.value[0]) < RATE_MIN))
        return 1;
    x->s.coalesce = (struct vmxnet3_moderation){
        .mode = mode,
        .rate = mode == VMXNET3_COALESCE_RBC ? le32_get(c.value[0]) : ADAPT_RATE,
        .tx_depth = (uint32_t)min_u64(le32_get(c.value[1]), DEPTH_MAX),
        .rx_depth = (uint32_t)min_u64(le32_get(c.value[2]), DEPTH_MAX),
    };
    return 0;
}

static void later(struct vmxnet3 *x, struct vmxnet3_due *d, uint64_t at)
{
    struct loop *l = x->pci.dev.env.loop;

    if (!d->at || at < d->at)
        d->at = at;
    if (!x->moderate_at || d->at < x->moderate_at) {
        x->moderate_at = d->at;
        loop_arm(l, &x->moderate, d->at);
    }
}

static void now(struct vmxnet3 *x, unsigned intr, uint64_t t)
{
    struct vmxnet3_due *d = &x->due[intr];

    *d = (struct vmxnet3_due){.last = t};
    vmxnet3_raise(x, intr);
}

void vmxnet3_completed(struct vmxnet3 *x, unsigned intr, bool tx, unsigned n)
{
    const struct vmxnet3_moderation *c = &x->s.coalesce;
    uint64_t t = loop_now(x->pci.dev.env.loop);
    struct vmxnet3_due *d;
    uint64_t next;
    size_t i;

    if (n == 0 || !idx_in(intr, VMXNET3_MAX_INTRS, &i))
        return;
    d = &x->due[i];
    d->count += n;
    switch (c->mode) {
    case VMXNET3_COALESCE_ADAPT:
    case VMXNET3_COALESCE_RBC:
        next = d->last + NS_PER_SEC / c->rate;
        if (t < next)
            later(x, d, next);
        else
            now(x, (unsigned)i, t);
        break;
    case VMXNET3_COALESCE_STATIC:
        if (d->count < (tx ? c->tx_depth : c->rx_depth))
            later(x, d, t + MODERATE_NS);
        else
            now(x, (unsigned)i, t);
        break;
    default:
        now(x, (unsigned)i, t);
    }
}

void vmxnet3_moderate_fire(struct alarm *a)
{
    struct vmxnet3 *x = container_of(a, struct vmxnet3, moderate);
    struct loop *l = x->pci.dev.env.loop;
    uint64_t next = 0;

    device_lock(&x->pci.dev);
    for (unsigned i = 0; i < VMXNET3_MAX_INTRS; i++) {
        if (x->due[i].at && x->due[i].at <= loop_now(l))
            now(x, i, loop_now(l));
        else if (x->due[i].at && (!next || x->due[i].at < next))
            next = x->due[i].at;
    }
    x->moderate_at = next;
    if (next)
        loop_arm(l, a, next);
    device_unlock(&x->pci.dev);
}
