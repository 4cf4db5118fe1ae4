/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bridges.c - the two bridges every guest expects: Intel 82441FX (order number 290549) at 00.0 and
 * the 82371SB ISA bridge (290550) at 01.0; for UEFI also the power management function of the
 * 82371AB (290562) at 01.3, which tells where the ports of pm.c are and cannot move them.
 *
 * The host bridge's PAM registers steer what is seen from 0xc0000 to 0xfffff (shadow.c), the ISA
 * bridge's PIRQ registers where PCI interrupts go. All else in them is storage. Not modelled: SMM
 * and its memory, A20 (always open), DRAM registers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "board/bus.h"
#include "board/chipset/chipset.h"
#include "board/chipset/shadow.h"
#include "board/layout.h"
#include "board/pci.h"
#include "core/err.h"

enum { DEVFN_HOST_BRIDGE = 0, DEVFN_ISA_BRIDGE = 1 << 3, DEVFN_POWER = 1 << 3 | 3 };

/* 82441FX */
enum { NB_PAM = 0x59, NB_PAM_COUNT = 7, NB_SMRAM = 0x72, PAM_RAM = SHADOW_READ | SHADOW_WRITE };
/* 82371SB */
enum { PM_PMBA = 0x40, PM_PMREGMISC = 0x80, PM_PMIOSE = 1 };
enum { SB_XBCS = 0x4e, SB_PIRQ = 0x60, SB_PIRQ_OFF = 0x80, SB_DLC = 0x82 };

enum { REGION_SHADOW = 16 };

struct host_bridge {
    struct pci_dev p; /* first */
    struct bridges_cfg c;
    bool held;
    uint8_t pam[NB_PAM_COUNT]; /* while it is held */
};

struct isa_bridge {
    struct pci_dev p; /* first */
    bool set_up, fixed;
};

static void bridge_io(struct device *d, unsigned region, uint64_t off, unsigned size,
                      enum access dir, uint64_t *val)
{
    if (region == REGION_SHADOW)
        shadow_io(((struct host_bridge *)d)->c.shadow, off, size, dir, val);
}

/* --- the host bridge --- */

/* The first register's high half is the BIOS area, the others' halves are 16 KiB each. */
static void bridge_pam(struct host_bridge *b, unsigned reg)
{
    uint8_t v = b->p.config[NB_PAM + reg];

    if (reg == 0) {
        shadow_set(b->c.shadow, 12, 4, v >> 4 & 3);
        return;
    }
    if ((v & 3) == (v >> 4 & 3)) {
        shadow_set(b->c.shadow, 2 * (reg - 1), 2, v & 3);
        return;
    }
    shadow_set(b->c.shadow, 2 * (reg - 1), 1, v & 3);
    shadow_set(b->c.shadow, 2 * (reg - 1) + 1, 1, v >> 4 & 3);
}

static void bridge_host_written(struct pci_dev *p, unsigned off, unsigned size)
{
    for (unsigned i = 0; i < NB_PAM_COUNT; i++) {
        if (off <= NB_PAM + i && NB_PAM + i < off + size)
            bridge_pam((struct host_bridge *)p, i);
    }
}

static void bridge_reset_host(struct device *d)
{
    struct host_bridge *b = (struct host_bridge *)d;

    b->p.config[NB_SMRAM] = 0x02;
    if (b->held) {
        memcpy(&b->p.config[NB_PAM], b->pam, NB_PAM_COUNT);
        return;
    }
    memset(&b->p.config[NB_PAM], b->c.set_up ? PAM_RAM | PAM_RAM << 4 : 0, NB_PAM_COUNT);
    for (unsigned i = 0; i < NB_PAM_COUNT; i++)
        bridge_pam(b, i);
}

void bridges_hold(struct pci_bus *bus, bool hold)
{
    struct host_bridge *b = (struct host_bridge *)pci_at(bus, DEVFN_HOST_BRIDGE);

    b->held = hold;
    memcpy(b->pam, &b->p.config[NB_PAM], NB_PAM_COUNT);
}

static void bridge_destroy_host(struct device *d)
{
    bus_release(d->env.mmio, d, REGION_SHADOW);
    free(d);
}

/* --- the ISA bridge --- */

/* The chip leads PCI interrupts to lines 3-7, 9-12, 14 and 15 alone. */
static void bridge_pirq(struct isa_bridge *b)
{
    for (unsigned i = 0; i < 4; i++) {
        uint8_t v = b->p.config[SB_PIRQ + i];
        bool on = !(v & SB_PIRQ_OFF) && (0xdef8 >> (v & 15) & 1);

        pci_route(b->p.dev.env.pci, i, on ? v & 15 : -1);
    }
}

static void bridge_isa_written(struct pci_dev *p, unsigned off, unsigned size)
{
    if (off < SB_PIRQ + 4 && off + size > SB_PIRQ && !((struct isa_bridge *)p)->fixed)
        bridge_pirq((struct isa_bridge *)p);
}

static void bridge_reset_isa(struct device *d)
{
    struct isa_bridge *b = (struct isa_bridge *)d;

    b->p.config[SB_XBCS] = 0x03;
    for (unsigned i = 0; i < 4; i++)
        b->p.config[SB_PIRQ + i] =
            b->set_up || b->fixed ? (uint8_t)pci_route_default(i) : SB_PIRQ_OFF;
    bridge_pirq(b);
}

static void bridge_destroy(struct device *d)
{
    free(d);
}

static const struct device_ops host_bridge_ops = {
    .name = "i440fx", .destroy = bridge_destroy_host, .reset = bridge_reset_host, .io = bridge_io};
static const struct device_ops isa_bridge_ops = {
    .name = "piix3", .destroy = bridge_destroy, .reset = bridge_reset_isa, .io = bridge_io};

/* A model of `size` bytes that begins with its pci_dev. */
static int bridge_add(const struct env *env, const struct device_ops *ops, const struct pci_id *id,
                      int devfn, size_t size, struct pci_dev **out, struct err *e)
{
    struct pci_dev *p = calloc(1, size);
    int rc;

    if (!p)
        return err_set(e, ENOMEM, "no memory for a PCI bridge");
    pci_init(p, ops, env, id);
    rc = pci_add(env->pci, p, devfn, e);
    if (rc < 0) {
        pci_remove(p);
        free(p);
        return rc;
    }
    *out = p;
    return 0;
}

static int bridge_host(const struct env *env, const struct bridges_cfg *c, struct err *e)
{
    /* Subsystem: the vendor that virtual machines on this chipset are known by. */
    static const struct pci_id id = {0x8086, 0x1237, 0x1af4, 0x1100, 0x06000002};
    struct pci_dev *p;
    int rc = bridge_add(env, &host_bridge_ops, &id, DEVFN_HOST_BRIDGE, sizeof(struct host_bridge),
                        &p, e);

    if (rc < 0)
        return rc;
    ((struct host_bridge *)p)->c = *c;
    memset(&p->writable[NB_PAM], 0x33, NB_PAM_COUNT);
    p->writable[NB_SMRAM] = 0x7f;
    p->config_written = bridge_host_written;
    bridge_reset_host(&p->dev);
    if (!c->shadow->ram)
        return 0; /* it is part of RAM */
    return bus_claim(env->mmio, SHADOW_BASE, SHADOW_SIZE, &p->dev, REGION_SHADOW) < 0
               ? err_set(e, EEXIST, "something else answers below 1 MiB")
               : 0;
}

/* --- power management: where its ports are, so that firmware finds the timer --- */

static void bridge_reset_power(struct device *d)
{
    (void)d;
}

static const struct device_ops power_ops = {
    .name = "piix4-pm", .destroy = bridge_destroy, .reset = bridge_reset_power, .io = bridge_io};

static int bridge_power(const struct env *env, struct err *e)
{
    static const struct pci_id id = {0x8086, 0x7113, 0x1af4, 0x1100, 0x06800003};
    struct pci_dev *p;
    int rc = bridge_add(env, &power_ops, &id, DEVFN_POWER, sizeof(*p), &p, e);

    if (rc < 0)
        return rc;
    pci_config_set16(p, PM_PMBA, LAYOUT_PM_BASE | 1);
    p->config[PM_PMREGMISC] = PM_PMIOSE;
    return 0;
}

int bridges_create(const struct env *env, const struct bridges_cfg *c, struct err *e)
{
    static const struct pci_id isa = {0x8086, 0x7000, 0x1af4, 0x1100, 0x06010000};
    struct pci_dev *p;
    int rc = bridge_host(env, c, e);

    if (rc == 0)
        rc = bridge_add(env, &isa_bridge_ops, &isa, DEVFN_ISA_BRIDGE, sizeof(struct isa_bridge), &p,
                        e);
    if (rc < 0)
        return rc;
    p->writable[SB_XBCS] = 0xff;
    p->writable[SB_XBCS + 1] = 0xff;
    memset(&p->writable[SB_PIRQ], 0x8f, 4);
    p->writable[SB_DLC] = 0x0f;
    p->config_written = bridge_isa_written;
    ((struct isa_bridge *)p)->set_up = c->set_up;
    ((struct isa_bridge *)p)->fixed = c->uefi;
    bridge_reset_isa(&p->dev);
    return c->uefi ? bridge_power(env, e) : 0;
}
