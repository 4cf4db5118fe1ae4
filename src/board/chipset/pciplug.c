/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pciplug.c - hot plug of PCI slots by ACPI, with the register set of QEMU's
 * docs/specs/acpi_pci_hotplug at 0xae00.
 *
 *   +0x00 slots that something came into; reading clears   +0x04 slots that are asked back
 *   +0x08 slots that the guest gives up (write)            +0x0c slots that may come and go
 *
 * All are double words with a bit for each slot of bus 0. General purpose event 1 tells the guest
 * to look; the methods for that are dsdt_plug.c's. Not modelled: the bus selector, for there are no
 * bridges.
 *
 * Threads: io() on vCPU threads; pciplug_came() and pciplug_ask() on the loop.
 */
#include <errno.h>
#include <stdlib.h>

#include "board/chipset/chipset.h"
#include "board/layout.h"
#include "core/err.h"

enum { PLUG_UP = 0, PLUG_DOWN = 4, PLUG_EJECT = 8, PLUG_REMOVABLE = 12, PLUG_GPE = 1 };

struct pciplug_state {
    uint32_t up, down;
};

struct pciplug {
    struct device d; /* first */
    struct pciplug_state s;
    struct board_signal sig;
    struct device *pm;
    uint32_t removable; /* slots with something that came by pciplug_came() */
};

static void pciplug_eject(struct pciplug *p, uint32_t slots)
{
    for (unsigned slot = 0; slot < 32; slot++) {
        uint32_t bit = UINT32_C(1) << slot;

        if (!(slots & bit & p->removable))
            continue;
        p->removable &= ~bit;
        p->s.up &= ~bit;
        p->s.down &= ~bit;
        p->sig.event(p->sig.arg, BOARD_EJECT, slot, NULL);
    }
}

static void pciplug_io(struct device *d, unsigned region, uint64_t off, unsigned size,
                       enum access dir, uint64_t *val)
{
    struct pciplug *p = (struct pciplug *)d;

    if (size != 4 || off % 4) {
        guest_fault(d, "an access of %u bytes at 0x%llx", size, (unsigned long long)off);
        *val = dir == ACC_READ ? UINT64_MAX : *val;
        return;
    }
    if (dir == ACC_WRITE) {
        if (off == PLUG_EJECT)
            pciplug_eject(p, (uint32_t)*val);
        return;
    }
    if (off == PLUG_UP) {
        *val = p->s.up;
        p->s.up = 0;
    } else if (off == PLUG_DOWN) {
        *val = p->s.down;
    } else if (off == PLUG_REMOVABLE) {
        *val = p->removable;
    }
}

void pciplug_came(struct device *d, unsigned slot)
{
    struct pciplug *p = (struct pciplug *)d;

    device_lock(d);
    p->removable |= UINT32_C(1) << slot;
    p->s.up |= UINT32_C(1) << slot;
    device_unlock(d);
    pm_gpe(p->pm, PLUG_GPE);
}

void pciplug_ask(struct device *d, unsigned slot)
{
    struct pciplug *p = (struct pciplug *)d;

    device_lock(d);
    p->s.down |= UINT32_C(1) << slot & p->removable;
    device_unlock(d);
    pm_gpe(p->pm, PLUG_GPE);
}

/* What came stays, and firmware finds it as it finds the rest. */
static void pciplug_reset(struct device *d)
{
    ((struct pciplug *)d)->s = (struct pciplug_state){0};
}

static void pciplug_destroy(struct device *d)
{
    chipset_free(d, 1, NULL);
    free(d);
}

static const struct device_ops pciplug_ops = {
    .name = "pciplug",
    .destroy = pciplug_destroy,
    .reset = pciplug_reset,
    .io = pciplug_io,
};

int pciplug_create(const struct env *env, const struct board_signal *sig, struct device *pm,
                   struct device **out, struct err *e)
{
    struct pciplug *p = calloc(1, sizeof(*p));
    int rc;

    if (!p)
        return err_set(e, ENOMEM, "no memory for PCI hot plug");
    device_init(&p->d, &pciplug_ops, env);
    p->sig = *sig;
    p->pm = pm;
    rc = chipset_claim(env, LAYOUT_PCIPLUG, LAYOUT_PCIPLUG_LEN, &p->d, 0, e);
    if (rc < 0) {
        pciplug_destroy(&p->d);
        return rc;
    }
    *out = &p->d;
    return 0;
}
