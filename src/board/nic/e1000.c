/* SPDX-License-Identifier: Apache-2.0 */
/*
 * e1000.c - Intel's 82540EM and 82574L: registers, EEPROM and life.
 *
 * Documents: abi/e1000.h. Modelled: one receive and one (82574L: two) transmit queues with legacy,
 * context, data, extended and packet split descriptors, sums and segmentation on sending, VLAN
 * tags both ways and their filter, address filters, interrupt moderation, INTx, MSI and MSI-X
 * (82574L), statistics, link changes. Not modelled: delayed causes (RDTR, RADV, TIDV, TADV),
 * receive side scaling, header split, loopback, flow control, wake-up, management, flash, time
 * stamps; writes to the EEPROM.
 *
 * Threads: as nic.h says.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "board/nic/e1000_priv.h"
#include "core/err.h"

enum { BAR_REGISTERS = 0, BAR_SIZE = 128 << 10, IO_ADDRESS = 0, IO_DATA = 4 };
/* BARs behind the first differ. */
enum { BAR_IO_EM = 1, BAR_FLASH = 1, BAR_IO_L = 2, BAR_MSIX = 3 };

static struct e1000 *of(struct device *d)
{
    return (struct e1000 *)d;
}

/* --- EEPROM --- */

static void eeprom_fill(struct e1000 *c)
{
    uint16_t *w = c->eeprom.word, sum = 0;

    for (unsigned i = 0; i < 3; i++)
        w[i] = le16_at(c->nic.mac + 2 * i);
    w[0x05] = 0x0100; /* the image's version */
    w[0x08] = 0xffff; /* no part number */
    w[0x09] = 0xffff;
    w[0x0a] = c->pcie ? 0x026b : 0x4408;
    w[0x0b] = pci_config_get16(&c->nic.pci, PCI_SUBSYSTEM_ID);
    w[0x0c] = pci_config_get16(&c->nic.pci, PCI_SUBSYSTEM_VENDOR_ID);
    w[0x0d] = pci_config_get16(&c->nic.pci, PCI_DEVICE_ID);
    w[0x0e] = pci_config_get16(&c->nic.pci, PCI_VENDOR_ID);
    w[0x0f] = 0x1040;
    for (unsigned i = 0; i < EEPROM93_WORDS - 1; i++)
        sum = (uint16_t)(sum + w[i]);
    w[EEPROM93_WORDS - 1] = (uint16_t)(0xbaba - sum);
}

static void eecd_write(struct e1000 *c, uint32_t v)
{
    uint32_t *r = e1000_reg(c, E1000_EECD);

    eeprom93_pins(&c->eeprom, v & E1000_EECD_CS, v & E1000_EECD_SK, v & E1000_EECD_DI);
    *r = (v & (E1000_EECD_SK | E1000_EECD_CS | E1000_EECD_DI | 0x30 | E1000_EECD_REQ)) |
         E1000_EECD_PRES;
    if (v & E1000_EECD_REQ)
        *r |= E1000_EECD_GNT;
    if (c->pcie)
        *r |= E1000_EECD_AUTO_RD;
}

static void eerd_write(struct e1000 *c, uint32_t v)
{
    unsigned shift = c->pcie ? 2 : 8;
    uint32_t done = c->pcie ? 0x02 : 0x10, at = (v & 0xffff) >> shift;
    size_t i;

    if (!(v & E1000_EERD_START))
        return;
    *e1000_reg(c, E1000_EERD) = at << shift | done;
    if (idx_in(at, EEPROM93_WORDS, &i))
        *e1000_reg(c, E1000_EERD) |= (uint32_t)c->eeprom.word[i] << 16;
}

/* --- reset --- */

static void status_fill(struct e1000 *c)
{
    uint32_t *status = e1000_reg(c, E1000_STATUS);

    *status = 0;
    if (c->pcie && !(*e1000_reg(c, E1000_CTRL) & E1000_CTRL_GIO_MASTER_DISABLE))
        *status |= E1000_STATUS_GIO_MASTER_ENABLE;
    e1000_phy_link(c);
}

/* What both the power and the guest can do. The transceiver outlives the latter. */
static void chip_reset(struct e1000 *c, bool power)
{
    uint16_t phy[32];

    memcpy(phy, c->s.phy, sizeof(phy));
    memset(&c->s, 0, sizeof(c->s));
    memcpy(c->s.phy, phy, sizeof(phy));
    c->nic.in_len = 0;
    *e1000_reg(c, E1000_CTRL) = c->pcie ? 0x00180240 : 0x00000a41;
    *e1000_reg(c, E1000_VET) = 0x8100;
    *e1000_reg(c, E1000_PBA) = c->pcie ? 0x00140014 : 0x00100030;
    *e1000_reg(c, E1000_RAL) = le32_at(c->nic.mac);
    *e1000_reg(c, E1000_RAL + 4) = le16_at(c->nic.mac + 4) | E1000_RAH_AV;
    *e1000_reg(c, E1000_EEMNGCTL) = E1000_EEMNGCTL_CFG_DONE;
    eecd_write(c, 0);
    if (power)
        e1000_phy_reset(c);
    status_fill(c);
    e1000_update(c);
}

static void ctrl_write(struct e1000 *c, uint32_t v)
{
    if (v & E1000_CTRL_RST) {
        chip_reset(c, false);
        return;
    }
    *e1000_reg(c, E1000_CTRL) = v & ~E1000_CTRL_PHY_RST;
    if (v & E1000_CTRL_PHY_RST)
        e1000_phy_reset(c);
    status_fill(c);
}

/* --- registers --- */

static bool reg_known(const struct e1000 *c, unsigned off)
{
    return off < E1000_REGISTERS_END && (c->pcie || off < E1000_EIAC || off > 0xfc);
}

/* Registers that are no plain storage. false: it is one. */
static bool reg_write_interrupt(struct e1000 *c, unsigned off, uint32_t v)
{
    switch (off) {
    case E1000_ICR:
        e1000_icr_write(c, v);
        return true;
    case E1000_ICS:
        e1000_cause(c, v);
        return true;
    case E1000_IMS:
        *e1000_reg(c, E1000_IMS) |= v;
        e1000_update(c);
        return true;
    case E1000_IMC:
        *e1000_reg(c, E1000_IMS) &= ~v;
        e1000_update(c);
        return true;
    default:
        return false;
    }
}

static void reg_write(struct e1000 *c, unsigned off, uint32_t v)
{
    if (!reg_known(c, off) || reg_write_interrupt(c, off, v))
        return;
    switch (off) {
    case E1000_CTRL:
        ctrl_write(c, v);
        return;
    case E1000_EECD:
        eecd_write(c, v);
        return;
    case E1000_EERD:
        eerd_write(c, v);
        return;
    case E1000_MDIC:
        e1000_mdic(c, v);
        return;
    case E1000_CTRL_EXT:
        *e1000_reg(c, off) = v & ~E1000_CTRL_EXT_EE_RST;
        return;
    case E1000_STATUS:
    case E1000_FWSM:
    case E1000_EEMNGCTL:
        return;
    case E1000_SWSM:
        c->s.smbi = v & E1000_SWSM_SMBI;
        *e1000_reg(c, off) = v & ~E1000_SWSM_SMBI;
        return;
    case E1000_RDT:
        *e1000_reg(c, off) = v & 0xffff;
        if (c->s.starved)
            nic_wake(&c->nic);
        return;
    case E1000_RDH:
    case E1000_TDH:
    case E1000_TDH + 0x100:
        *e1000_reg(c, off) = v & 0xffff;
        return;
    case E1000_RCTL:
    case E1000_TCTL:
        *e1000_reg(c, off) = v;
        nic_wake(&c->nic);
        return;
    case E1000_TDT:
    case E1000_TDT + 0x100:
        *e1000_reg(c, off) = v & 0xffff;
        nic_wake(&c->nic);
        return;
    default:
        if (off < E1000_STATISTICS || off >= E1000_STATISTICS_END)
            *e1000_reg(c, off) = v;
    }
}

static uint32_t reg_read(struct e1000 *c, unsigned off)
{
    uint32_t v;

    if (!reg_known(c, off))
        return 0;
    v = *e1000_reg(c, off);
    switch (off) {
    case E1000_ICR:
        return e1000_icr_read(c);
    case E1000_EECD:
        return v | (c->eeprom.out ? E1000_EECD_DO : 0);
    case E1000_SWSM: /* who reads a zero has it */
        v |= c->s.smbi ? E1000_SWSM_SMBI : 0;
        c->s.smbi = true;
        return v;
    default:
        if (off >= E1000_STATISTICS && off < E1000_STATISTICS_END)
            *e1000_reg(c, off) = 0;
        return v;
    }
}

static void ports_io(struct e1000 *c, uint64_t off, unsigned size, enum access dir, uint64_t *val)
{
    if (size != 4)
        return;
    if (off == IO_ADDRESS && dir == ACC_WRITE)
        c->s.io_address = (uint32_t)*val;
    else if (off == IO_ADDRESS)
        *val = c->s.io_address;
    else if (off == IO_DATA && dir == ACC_WRITE)
        reg_write(c, c->s.io_address & ~3u, (uint32_t)*val);
    else if (off == IO_DATA)
        *val = reg_read(c, c->s.io_address & ~3u);
}

static void e1000_io(struct device *d, unsigned region, uint64_t off, unsigned size,
                     enum access dir, uint64_t *val)
{
    struct e1000 *c = of(d);

    if (region == (c->pcie ? BAR_IO_L : BAR_IO_EM)) {
        ports_io(c, off, size, dir, val);
    } else if (region != BAR_REGISTERS) {
        *val = dir == ACC_READ ? UINT64_MAX : *val; /* an empty flash */
    } else if (dir == ACC_WRITE) {
        if (size >= 4 && off % 4 == 0)
            reg_write(c, (unsigned)off, (uint32_t)*val);
        if (size == 8 && off % 4 == 0)
            reg_write(c, (unsigned)off + 4, (uint32_t)(*val >> 32));
    } else {
        *val = (uint64_t)reg_read(c, (unsigned)off & ~3u) >> 8 * (off & 3);
        if (size == 8)
            *val |= (uint64_t)reg_read(c, ((unsigned)off & ~3u) + 4) << 32;
    }
}

/* --- life --- */

static bool e1000_work(struct nic *n)
{
    struct e1000 *c = (struct e1000 *)n;
    bool more = e1000_send_all(c);

    more |= e1000_receive_all(c);
    e1000_tick_arm(c);
    return more;
}

static void e1000_link(struct nic *n)
{
    struct e1000 *c = (struct e1000 *)n;

    e1000_phy_link(c);
    e1000_cause(c, E1000_ICR_LSC);
}

static void e1000_reset(struct device *d)
{
    chip_reset(of(d), true);
}

static void e1000_describe(struct device *d, struct dump *out)
{
    struct e1000 *c = of(d);

    nic_describe(&c->nic, out);
    dump_add(out, "receiver", "%s", *e1000_reg(c, E1000_RCTL) & E1000_RCTL_EN ? "on" : "off");
    dump_add(out, "interrupts", "%s, at most each %u ns",
             c->pcie && pci_msix_enabled(&c->nic.pci) ? "MSI-X" : "one",
             (*e1000_reg(c, E1000_ITR) & 0xffff) * 256u);
}

static const struct device_ops e1000_ops = {
    .name = "e1000",
    .destroy = nic_destroy,
    .reset = e1000_reset,
    .io = e1000_io,
    .describe = e1000_describe,
};

static int prepare(struct e1000 *c, const struct env *env, const struct pci_id *id, struct err *e)
{
    pci_init(&c->nic.pci, &e1000_ops, env, id);
    c->nic.pci.bar[BAR_REGISTERS] = (struct pci_bar){.kind = PCI_BAR_MEM32, .size = BAR_SIZE};
    c->tick.fire = e1000_tick;
    c->tick_due = UINT64_MAX;
    eeprom_fill(c);
    for (unsigned q = 0; q < E1000_TX_QUEUES; q++) {
        c->frame[q] = malloc(NET_FRAME_MAX);
        if (!c->frame[q])
            return err_set(e, ENOMEM, "%s: no memory for a network card", env->id);
    }
    return 0;
}

static int init_em(struct nic *n, const struct env *env, struct err *e)
{
    static const struct pci_id id = {0x8086, 0x100e, 0x8086, 0x001e, 0x02000002};
    struct e1000 *c = (struct e1000 *)n;
    int rc = prepare(c, env, &id, e);

    n->pci.bar[BAR_IO_EM] = (struct pci_bar){.kind = PCI_BAR_IO, .size = 64};
    chip_reset(c, true);
    return rc;
}

static int init_l(struct nic *n, const struct env *env, struct err *e)
{
    static const struct pci_id id = {0x8086, 0x10d3, 0x8086, 0xa01f, 0x02000000};
    uint8_t express[60] = {0, 0, 0x92}; /* an endpoint of the root complex, version 2 */
    struct e1000 *c = (struct e1000 *)n;
    int rc;

    c->pcie = true;
    rc = prepare(c, env, &id, e);
    n->pci.bar[BAR_FLASH] = (struct pci_bar){.kind = PCI_BAR_MEM32, .size = BAR_SIZE};
    n->pci.bar[BAR_IO_L] = (struct pci_bar){.kind = PCI_BAR_IO, .size = 32};
    if (rc == 0)
        rc = pci_add_msi(&n->pci, 1, e);
    if (rc == 0 && !pci_add_cap(&n->pci, PCI_CAP_ID_EXP, express, NULL, sizeof(express)))
        rc = err_set(e, ENOSPC, "%s: no room for a capability", env->id);
    if (rc == 0)
        rc = pci_add_msix(&n->pci, BAR_MSIX, E1000_VECTORS, e);
    chip_reset(c, true);
    return rc;
}

static void e1000_fini(struct nic *n)
{
    struct e1000 *c = (struct e1000 *)n;

    loop_disarm(n->pci.dev.env.loop, &c->tick);
    for (unsigned q = 0; q < E1000_TX_QUEUES; q++)
        free(c->frame[q]);
}

const struct nic_model nic_e1000 = {
    .name = "e1000",
    .about = "Intel 82540EM",
    .size = sizeof(struct e1000),
    .rom = "pxe-e1000.rom",
    .init = init_em,
    .work = e1000_work,
    .link = e1000_link,
    .fini = e1000_fini,
};

const struct nic_model nic_e1000e = {
    .name = "e1000e",
    .about = "Intel 82574L",
    .size = sizeof(struct e1000),
    .rom = "pxe-e1000e.rom",
    .init = init_l,
    .work = e1000_work,
    .link = e1000_link,
    .fini = e1000_fini,
};
