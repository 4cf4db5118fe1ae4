/* SPDX-License-Identifier: Apache-2.0 */
/*
 * e1000_phy.c - the transceiver: Marvell 88E1011 beside the 82540EM, the 82574L's own inside it.
 *
 * Whatever is asked for, the link runs at 1000 Mbit/s full duplex; negotiation ends at once.
 */
#include "board/nic/e1000_priv.h"

enum {
    CTRL_RESTART_AN = 0x0200,
    CTRL_RESET = 0x8000,
    STATUS_LINK = 0x0004,
    STATUS_AN_DONE = 0x0020,
    STATUS_ABLE = 0x7949, /* 10 and 100, extended status, negotiation, preamble, registers */
    SPEC_UP = 0xac00,     /* 1000, full duplex, resolved, link */
};

void e1000_phy_link(struct e1000 *c)
{
    uint16_t *p = c->s.phy;
    uint32_t *status = e1000_reg(c, E1000_STATUS);

    p[E1000_PHY_STATUS] = STATUS_ABLE;
    p[E1000_PHY_SPEC_STATUS] = 0x0010;
    p[E1000_PHY_LP_ABILITY] = p[E1000_PHY_1000T_STATUS] = 0;
    *status &= ~(E1000_STATUS_LU | E1000_STATUS_FD | 0x3c0u);
    if (!c->nic.caps.link)
        return;
    p[E1000_PHY_STATUS] |= STATUS_LINK | STATUS_AN_DONE;
    p[E1000_PHY_SPEC_STATUS] |= SPEC_UP;
    p[E1000_PHY_LP_ABILITY] = 0xc1e1;
    p[E1000_PHY_1000T_STATUS] = 0x7c00;
    *status |= E1000_STATUS_LU | E1000_STATUS_FD | E1000_STATUS_SPEED_1000 | E1000_STATUS_ASDV_1000;
}

void e1000_phy_reset(struct e1000 *c)
{
    uint16_t *p = c->s.phy;

    for (unsigned i = 0; i < 32; i++)
        p[i] = 0;
    p[E1000_PHY_CTRL] = 0x1140;
    p[E1000_PHY_ID1] = 0x0141;
    p[E1000_PHY_ID2] = c->pcie ? 0x0cb1 : 0x0c20;
    p[E1000_PHY_AUTONEG_ADV] = 0x0de1;
    p[E1000_PHY_AUTONEG_EXP] = 0x0003;
    p[E1000_PHY_1000T_CTRL] = 0x0e00;
    p[E1000_PHY_EXT_STATUS] = 0x3000;
    p[E1000_PHY_SPEC_CTRL] = 0x0360;
    p[E1000_PHY_EXT_SPEC_CTRL] = 0x0d60;
    e1000_phy_link(c);
}

static void phy_write(struct e1000 *c, unsigned reg, uint16_t v)
{
    switch (reg) {
    case E1000_PHY_STATUS:
    case E1000_PHY_ID1:
    case E1000_PHY_ID2:
    case E1000_PHY_LP_ABILITY:
    case E1000_PHY_AUTONEG_EXP:
    case E1000_PHY_1000T_STATUS:
    case E1000_PHY_EXT_STATUS:
    case E1000_PHY_SPEC_STATUS:
    case E1000_PHY_INT_STATUS:
        return;
    case E1000_PHY_CTRL:
        if (v & CTRL_RESET)
            e1000_phy_reset(c);
        c->s.phy[reg] = v & (uint16_t) ~(CTRL_RESET | CTRL_RESTART_AN | 0x3f);
        if (v & (CTRL_RESTART_AN | CTRL_RESET))
            e1000_cause(c, E1000_ICR_LSC);
        return;
    default:
        c->s.phy[reg] = v;
    }
}

void e1000_mdic(struct e1000 *c, uint32_t v)
{
    uint32_t *mdic = e1000_reg(c, E1000_MDIC);
    unsigned reg = v >> 16 & 31;

    *mdic = (v & ~E1000_MDIC_ERROR) | E1000_MDIC_READY;
    if ((v & E1000_MDIC_PHY) != 1u << 21) /* nobody else is there */
        *mdic |= E1000_MDIC_ERROR;
    else if (v & E1000_MDIC_OP_READ)
        *mdic = (*mdic & ~0xffffu) | c->s.phy[reg];
    else if (v & E1000_MDIC_OP_WRITE)
        phy_write(c, reg, (uint16_t)v);
    if (v & E1000_MDIC_INT_EN)
        e1000_cause(c, E1000_ICR_MDAC);
}
