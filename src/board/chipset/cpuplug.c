/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuplug.c - processors that come while a guest runs, told by ACPI (6.3 sections 5.6.6 and 8.4).
 * The registers are our own; the methods that read them are dsdt_cpus.c's.
 *
 *   +0 processors that are there      +1 the next one that came, 0xff: none; reading takes it
 *
 * General purpose event 2 tells the guest to look. Processors come in the order of their numbers
 * and stay: taking one away is not modelled.
 *
 * Threads: io() on vCPU threads; cpuplug_came() and cpuplug_count() on the loop.
 */
#include <errno.h>
#include <stdlib.h>

#include "board/chipset/chipset.h"
#include "board/layout.h"
#include "core/err.h"

enum { CPUPLUG_COUNT = 0, CPUPLUG_NEXT = 1, CPUPLUG_NONE = 0xff, CPUPLUG_GPE = 2 };

struct cpuplug {
    struct device d; /* first */
    struct device *pm;
    unsigned told;  /* processors that the guest knows of */
    unsigned there; /* at most 255 */
};

static void cpuplug_io(struct device *d, unsigned region, uint64_t off, unsigned size,
                       enum access dir, uint64_t *val)
{
    struct cpuplug *c = (struct cpuplug *)d;

    if (dir == ACC_WRITE)
        return;
    if (size != 1) {
        guest_fault(d, "an access of %u bytes at 0x%llx", size, (unsigned long long)off);
        *val = UINT64_MAX;
    } else if (off == CPUPLUG_COUNT) {
        *val = c->there;
    } else {
        *val = c->told < c->there ? c->told++ : CPUPLUG_NONE;
    }
}

void cpuplug_came(struct device *d, unsigned cpus)
{
    struct cpuplug *c = (struct cpuplug *)d;

    device_lock(d);
    c->there = cpus;
    device_unlock(d);
    pm_gpe(c->pm, CPUPLUG_GPE);
}

unsigned cpuplug_count(struct device *d)
{
    unsigned n;

    device_lock(d);
    n = ((struct cpuplug *)d)->there;
    device_unlock(d);
    return n;
}

/* Tables that are written anew name all that are there. */
static void cpuplug_reset(struct device *d)
{
    struct cpuplug *c = (struct cpuplug *)d;

    c->told = c->there;
}

static void cpuplug_destroy(struct device *d)
{
    chipset_free(d, 1, NULL);
    free(d);
}

static const struct device_ops cpuplug_ops = {
    .name = "cpuplug",
    .destroy = cpuplug_destroy,
    .reset = cpuplug_reset,
    .io = cpuplug_io,
};

int cpuplug_create(const struct env *env, unsigned cpus, struct device *pm, struct device **out,
                   struct err *e)
{
    struct cpuplug *c = calloc(1, sizeof(*c));
    int rc;

    if (!c)
        return err_set(e, ENOMEM, "no memory for processors that come");
    device_init(&c->d, &cpuplug_ops, env);
    c->pm = pm;
    c->told = c->there = cpus;
    rc = chipset_claim(env, LAYOUT_CPUPLUG, LAYOUT_CPUPLUG_LEN, &c->d, 0, e);
    if (rc < 0) {
        cpuplug_destroy(&c->d);
        return rc;
    }
    *out = &c->d;
    return 0;
}
