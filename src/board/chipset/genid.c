/* SPDX-License-Identifier: Apache-2.0 */
/*
 * genid.c - the generation id: sixteen bytes by which a guest sees that its state was copied or put
 * back (Microsoft, Virtual Machine Generation ID, 2012).
 *
 * They are read-only, in the device space below 4 GiB, which no memory map gives away; the DSDT
 * says where. The id stays while the machine runs, so the guest is never notified.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "board/chipset/chipset.h"
#include "board/layout.h"
#include "core/err.h"
#include "core/ids.h"

enum { GENID_LEN = 16, GENID_PAGE = 4096 };

struct genid {
    struct device d; /* first */
    uint8_t id[GENID_LEN];
};

static void genid_io(struct device *d, unsigned region, uint64_t off, unsigned size,
                     enum access dir, uint64_t *val)
{
    const struct genid *g = (struct genid *)d;

    if (dir == ACC_WRITE) {
        guest_fault(d, "the generation id is read-only");
        return;
    }
    for (unsigned i = 0; i < size && off + i < GENID_LEN; i++)
        *val |= (uint64_t)g->id[off + i] << (8 * i);
}

static void genid_reset(struct device *d)
{
}

static void genid_destroy(struct device *d)
{
    bus_release(d->env.mmio, d, 0);
    chipset_free(d, 0, NULL);
    free(d);
}

static void genid_describe(struct device *d, struct dump *out)
{
    const uint8_t *g = ((struct genid *)d)->id;

    dump_add(out, "id", GUID_FMT, GUID_ARGS(g));
}

static const struct device_ops genid_ops = {
    .name = "genid",
    .destroy = genid_destroy,
    .reset = genid_reset,
    .io = genid_io,
    .describe = genid_describe,
};

int genid_create(const struct env *env, const uint8_t id[16], struct device **out, struct err *e)
{
    struct genid *g = calloc(1, sizeof(*g));
    int rc;

    if (!g)
        return err_set(e, ENOMEM, "no memory for the generation id");
    device_init(&g->d, &genid_ops, env);
    memcpy(g->id, id, GENID_LEN);
    rc = bus_claim(env->mmio, LAYOUT_GENID, GENID_PAGE, &g->d, 0);
    if (rc < 0) {
        genid_destroy(&g->d);
        return err_set(e, -rc, "the place of the generation id is taken by another device");
    }
    *out = &g->d;
    return 0;
}
