/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bridges.c - the two bridges every guest expects: Intel 82441FX (order number 290549) at 00.0 and
 * the 82371SB ISA bridge (290550) at 01.0; for UEFI also the power management function of the
 * 82371AB (290562) at 01.3, which tells where the ports of pm.c are and cannot move them. A q35 has
 * the 82Q35 (316966) and the ICH9's LPC bridge (316972) at 1f.0, which tells the same itself.
 *
 * The host bridge's PAM registers steer what is seen from 0xc0000 to 0xfffff (shadow.c), that of a
 * q35 also where configuration space is in memory (PCIEXBAR); the ISA bridge's PIRQ registers say
 * where PCI interrupts go. All else in them is storage. Not modelled: SMM and its memory (the SMI
 * enable port reads as ones, by which SeaBIOS knows that it has nothing to set up), A20 (always
 * open), DRAM registers, the ICH9's root complex registers, PIRQ E to H, which firmware sets as A
 * to D.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"
#include "board/bus.h"
#include "board/chipset/chipset.h"
#include "board/chipset/shadow.h"
#include "board/layout.h"
#include "board/pci.h"
#include "core/err.h"

enum { DEVFN_HOST_BRIDGE = 0, DEVFN_ISA_BRIDGE = 1 << 3, DEVFN_POWER = 1 << 3 | 3 };
enum { DEVFN_LPC = 31 << 3 };

/* 82441FX and 82Q35 */
enum { NB_PAM = 0x59, NB_PAM_Q35 = 0x90, NB_PAM_COUNT = 7, PAM_RAM = SHADOW_READ | SHADOW_WRITE };
enum { NB_SMRAM = 0x72, NB_SMRAM_Q35 = 0x9d };
enum { NB_PCIEXBAR = 0x60, PCIEXBAR_LEN = 8, PCIEXBAREN = 1, PCIEXBAR_LENGTHS = 3 };
/* 82371SB; PIRQ is the ICH9's, too */
enum { PM_PMBA = 0x40, PM_DEVACTB = 0x58, PM_PMREGMISC = 0x80, PM_PMIOSE = 1 };
enum { PM_APMC_EN = 1 << 25 };
enum { SB_XBCS = 0x4e, SB_PIRQ = 0x60, SB_PIRQ_OFF = 0x80, SB_DLC = 0x82 };
/* ICH9 LPC */
enum { LPC_PMBASE = 0x40, LPC_ACPI_CNTL = 0x44, LPC_PIRQ_E = 0x68, LPC_RCBA = 0xf0 };

enum { REGION_SHADOW = 16 };

struct host_bridge {
    struct pci_dev p; /* first */
    struct bridges_cfg c;
    bool held;
    uint8_t pam[NB_PAM_COUNT], pciexbar[PCIEXBAR_LEN]; /* while it is held */
};

struct isa_bridge {
    struct pci_dev p; /* first */
    bool set_up, fixed;
};

static unsigned bridge_pam_at(const struct host_bridge *b)
{
    return b->c.q35 ? NB_PAM_Q35 : NB_PAM;
}

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
    uint8_t v = b->p.config[bridge_pam_at(b) + reg];

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

/* 256, 128 or 64 buses at a multiple of their size. */
static void bridge_pciexbar(struct host_bridge *b)
{
    uint64_t v = le64_at(&b->p.config[NB_PCIEXBAR]);
    unsigned length = v >> 1 & PCIEXBAR_LENGTHS, buses = 256 >> length;

    if (!(v & PCIEXBAREN) || length == PCIEXBAR_LENGTHS)
        v = 0;
    v &= ~((uint64_t)buses * LAYOUT_ECAM_BUS_SIZE - 1);
    if (v != pci_ecam_at(b->p.dev.env.pci))
        pci_ecam(b->p.dev.env.pci, v, buses);
}

static void bridge_host_written(struct pci_dev *p, unsigned off, unsigned size)
{
    struct host_bridge *b = (struct host_bridge *)p;
    unsigned pam = bridge_pam_at(b);

    for (unsigned i = 0; i < NB_PAM_COUNT; i++) {
        if (off <= pam + i && pam + i < off + size)
            bridge_pam(b, i);
    }
    if (b->c.q35 && off < NB_PCIEXBAR + PCIEXBAR_LEN && off + size > NB_PCIEXBAR)
        bridge_pciexbar(b);
}

static void bridge_reset_host(struct device *d)
{
    struct host_bridge *b = (struct host_bridge *)d;
    uint8_t *pam = &b->p.config[bridge_pam_at(b)];

    b->p.config[b->c.q35 ? NB_SMRAM_Q35 : NB_SMRAM] = 0x02;
    if (b->held) {
        memcpy(pam, b->pam, NB_PAM_COUNT);
        if (b->c.q35)
            memcpy(&b->p.config[NB_PCIEXBAR], b->pciexbar, PCIEXBAR_LEN);
        return;
    }
    memset(pam, b->c.set_up ? PAM_RAM | PAM_RAM << 4 : 0, NB_PAM_COUNT);
    for (unsigned i = 0; i < NB_PAM_COUNT; i++)
        bridge_pam(b, i);
    if (!b->c.q35)
        return;
    le64_put(&b->p.config[NB_PCIEXBAR], b->c.set_up ? LAYOUT_ECAM_Q35 | PCIEXBAREN : 0);
    bridge_pciexbar(b);
}

void bridges_hold(struct pci_bus *bus, bool hold)
{
    struct host_bridge *b = (struct host_bridge *)pci_at(bus, DEVFN_HOST_BRIDGE);

    b->held = hold;
    memcpy(b->pam, &b->p.config[bridge_pam_at(b)], NB_PAM_COUNT);
    memcpy(b->pciexbar, &b->p.config[NB_PCIEXBAR], PCIEXBAR_LEN);
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

    if (!pci_is_q35(d->env.pci))
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
static const struct device_ops mch_ops = {
    .name = "q35", .destroy = bridge_destroy_host, .reset = bridge_reset_host, .io = bridge_io};
static const struct device_ops lpc_ops = {
    .name = "ich9", .destroy = bridge_destroy, .reset = bridge_reset_isa, .io = bridge_io};

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
    static const struct pci_id fx = {0x8086, 0x1237, 0x1af4, 0x1100, 0x06000002};
    static const struct pci_id q35 = {0x8086, 0x29c0, 0x1af4, 0x1100, 0x06000000};
    struct pci_dev *p;
    int rc = bridge_add(env, c->q35 ? &mch_ops : &host_bridge_ops, c->q35 ? &q35 : &fx,
                        DEVFN_HOST_BRIDGE, sizeof(struct host_bridge), &p, e);

    if (rc < 0)
        return rc;
    ((struct host_bridge *)p)->c = *c;
    memset(&p->writable[c->q35 ? NB_PAM_Q35 : NB_PAM], 0x33, NB_PAM_COUNT);
    p->writable[c->q35 ? NB_SMRAM_Q35 : NB_SMRAM] = 0x7f;
    if (c->q35)
        le64_put(&p->writable[NB_PCIEXBAR], UINT64_C(0xffc000007));
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
    /* Firmware takes this for "system management mode is set up", and does not wait for its SMI. */
    le32_put(&p->config[PM_DEVACTB], PM_APMC_EN);
    return 0;
}

/* The ports of power management are where both kinds of firmware put them, and stay there. */
static void bridge_lpc_registers(struct pci_dev *p)
{
    pci_config_set16(p, LPC_PMBASE, LAYOUT_PM_BASE | 1);
    p->writable[LPC_ACPI_CNTL] = 0x87;
    memset(&p->writable[LPC_PIRQ_E], 0x8f, 4);
    le32_put(&p->writable[LPC_RCBA], 0xffffc001);
}

int bridges_create(const struct env *env, const struct bridges_cfg *c, struct err *e)
{
    static const struct pci_id piix = {0x8086, 0x7000, 0x1af4, 0x1100, 0x06010000};
    static const struct pci_id ich9 = {0x8086, 0x2918, 0x1af4, 0x1100, 0x06010002};
    struct pci_dev *p;
    int rc = bridge_host(env, c, e);

    if (rc == 0)
        rc = bridge_add(env, c->q35 ? &lpc_ops : &isa_bridge_ops, c->q35 ? &ich9 : &piix,
                        c->q35 ? DEVFN_LPC : DEVFN_ISA_BRIDGE, sizeof(struct isa_bridge), &p, e);
    if (rc < 0)
        return rc;
    if (c->q35) {
        bridge_lpc_registers(p);
    } else {
        p->writable[SB_XBCS] = 0xff;
        p->writable[SB_XBCS + 1] = 0xff;
        p->writable[SB_DLC] = 0x0f;
    }
    memset(&p->writable[SB_PIRQ], 0x8f, 4);
    p->config_written = bridge_isa_written;
    ((struct isa_bridge *)p)->set_up = c->set_up;
    ((struct isa_bridge *)p)->fixed = c->uefi;
    bridge_reset_isa(&p->dev);
    return c->power && !c->q35 ? bridge_power(env, e) : 0;
}
