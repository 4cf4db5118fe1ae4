/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pvpanic.c - the ISA panic notifier at port 0x505 (QEMU docs/specs/pvpanic).
 *
 * Reading gives the events that are understood; writing tells of one: bit 0 the guest panicked, bit
 * 1 it panicked and a crash kernel takes over.
 */
#include <errno.h>
#include <stdlib.h>

#include "board/chipset/chipset.h"
#include "core/err.h"

enum { PVPANIC_PORT = 0x505, PVPANIC_PANICKED = 1, PVPANIC_CRASH_LOADED = 2 };

struct pvpanic {
    struct device d; /* first */
    struct board_signal sig;
};

static void pvpanic_io(struct device *d, unsigned region, uint64_t off, unsigned size,
                       enum access dir, uint64_t *val)
{
    struct pvpanic *p = (struct pvpanic *)d;

    if (dir == ACC_READ)
        *val = PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;
    else if (*val & PVPANIC_PANICKED)
        p->sig.event(p->sig.arg, BOARD_PANIC, 0, "the guest told of a panic by pvpanic");
    else if (*val & PVPANIC_CRASH_LOADED)
        log_line(LOG_WARN, d->ops->name, "the guest panicked and starts its crash kernel");
    else
        guest_fault(d, "event 0x%llx is not offered", (unsigned long long)(*val & 0xff));
}

static void pvpanic_reset(struct device *d)
{
}

static void pvpanic_destroy(struct device *d)
{
    chipset_free(d, 1, NULL);
    free(d);
}

static const struct device_ops pvpanic_ops = {
    .name = "pvpanic",
    .destroy = pvpanic_destroy,
    .reset = pvpanic_reset,
    .io = pvpanic_io,
};

int pvpanic_create(const struct env *env, const struct board_signal *sig, struct device **out,
                   struct err *e)
{
    struct pvpanic *p = calloc(1, sizeof(*p));
    int rc;

    if (!p)
        return err_set(e, ENOMEM, "no memory for the panic notifier");
    device_init(&p->d, &pvpanic_ops, env);
    p->sig = *sig;
    rc = chipset_claim(env, PVPANIC_PORT, 1, &p->d, 0, e);
    if (rc < 0) {
        pvpanic_destroy(&p->d);
        return rc;
    }
    *out = &p->d;
    return 0;
}
