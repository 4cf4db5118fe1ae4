/* SPDX-License-Identifier: Apache-2.0 */
/*
 * e1000_irq.c - causes and interrupts.
 *
 * Without MSI-X there is one interrupt, moderated by ITR. With it (82574L, datasheet 7.4) five
 * causes lead to vectors by IVAR, each vector with its own EITR; EIAC says which causes go away by
 * themselves.
 */
#include "board/nic/e1000_priv.h"

enum { ITR_NS = 256, IVAR_VALID = 8 };

static const uint32_t vector_cause[E1000_VECTORS] = {
    E1000_ICR_RXQ0, E1000_ICR_RXQ0 << 1, E1000_ICR_TXQ0, E1000_ICR_TXQ1, E1000_ICR_OTHER,
};
/* What OTHER stands for. */
#define OTHERS (E1000_ICR_LSC | E1000_ICR_RXO | E1000_ICR_MDAC | 0x00030000u)

/* The guest is to be interrupted for vector v: true when that may be now. */
static bool may(struct e1000 *c, unsigned v, uint32_t interval)
{
    uint64_t now = loop_now(c->nic.pci.dev.env.loop);

    if (now < c->s.quiet_until[v]) {
        if (c->s.quiet_until[v] < c->tick_due)
            nic_wake(&c->nic); /* the loop sets the clock */
        return false;
    }
    c->s.quiet_until[v] = interval & 0xffff ? now + (uint64_t)(interval & 0xffff) * ITR_NS : 0;
    return true;
}

static void message(struct e1000 *c, unsigned which)
{
    uint32_t cause = vector_cause[which], ivar = *e1000_reg(c, E1000_IVAR) >> 4 * which & 15;
    unsigned v = ivar & 7;

    if (!(ivar & IVAR_VALID) || v >= E1000_VECTORS || !may(c, v, *e1000_reg(c, E1000_EITR + 4 * v)))
        return;
    c->s.told |= cause;
    pci_notify(&c->nic.pci, v);
    cause &= *e1000_reg(c, E1000_EIAC);
    *e1000_reg(c, E1000_ICR) &= ~cause;
    c->s.told &= ~cause;
    if (!(*e1000_reg(c, E1000_CTRL_EXT) & E1000_CTRL_EXT_IAME))
        *e1000_reg(c, E1000_IMS) &= ~cause;
}

void e1000_update(struct e1000 *c)
{
    uint32_t *icr = e1000_reg(c, E1000_ICR);
    uint32_t pending = *icr & *e1000_reg(c, E1000_IMS) & ~E1000_ICR_ASSERTED, fresh;

    c->s.told &= pending;
    fresh = pending & ~c->s.told;
    if (pending)
        *icr |= E1000_ICR_ASSERTED;
    else
        *icr &= ~E1000_ICR_ASSERTED;
    if (c->pcie && pci_msix_enabled(&c->nic.pci)) {
        for (unsigned i = 0; i < E1000_VECTORS; i++) {
            if (fresh & vector_cause[i])
                message(c, i);
        }
        return;
    }
    if (!pending)
        pci_intx(&c->nic.pci, false);
    if (!fresh || !may(c, 0, *e1000_reg(c, E1000_ITR)))
        return;
    c->s.told |= fresh;
    if (!pci_notify(&c->nic.pci, 0))
        pci_intx(&c->nic.pci, true);
}

void e1000_cause(struct e1000 *c, uint32_t bits)
{
    bits &= ~E1000_ICR_ASSERTED;
    if (!c->pcie)
        bits &= 0x000fffff;
    else if (bits & OTHERS)
        bits |= E1000_ICR_OTHER;
    *e1000_reg(c, E1000_ICR) |= bits;
    /* With messages each new event is one, even when the last was not looked at yet. */
    if (c->pcie && pci_msix_enabled(&c->nic.pci))
        c->s.told &= ~bits;
    e1000_update(c);
}

uint32_t e1000_icr_read(struct e1000 *c)
{
    uint32_t v = *e1000_reg(c, E1000_ICR);
    bool automask =
        c->pcie && *e1000_reg(c, E1000_CTRL_EXT) & E1000_CTRL_EXT_IAME && v & E1000_ICR_ASSERTED;

    if (automask)
        *e1000_reg(c, E1000_IMS) &= ~*e1000_reg(c, E1000_IAM);
    if (automask || !c->pcie || !pci_msix_enabled(&c->nic.pci) || !*e1000_reg(c, E1000_IMS))
        *e1000_reg(c, E1000_ICR) = 0;
    e1000_update(c);
    return v;
}

void e1000_icr_write(struct e1000 *c, uint32_t v)
{
    uint32_t *icr = e1000_reg(c, E1000_ICR);

    if (c->pcie && *icr & E1000_ICR_ASSERTED && *e1000_reg(c, E1000_CTRL_EXT) & E1000_CTRL_EXT_IAME)
        *e1000_reg(c, E1000_IMS) &= ~*e1000_reg(c, E1000_IAM);
    *icr &= ~v;
    e1000_update(c);
}

/* --- the clock; on the loop --- */

void e1000_tick_arm(struct e1000 *c)
{
    struct loop *l = c->nic.pci.dev.env.loop;
    uint64_t now = loop_now(l), due = UINT64_MAX;
    uint32_t pending = *e1000_reg(c, E1000_ICR) & *e1000_reg(c, E1000_IMS);

    if (!(pending & ~c->s.told & ~E1000_ICR_ASSERTED))
        return;
    for (unsigned v = 0; v < E1000_VECTORS; v++) {
        if (c->s.quiet_until[v] > now && c->s.quiet_until[v] < due)
            due = c->s.quiet_until[v];
    }
    if (due < c->tick_due) {
        loop_arm(l, &c->tick, due);
        c->tick_due = due;
    }
}

void e1000_tick(struct alarm *a)
{
    struct e1000 *c = container_of(a, struct e1000, tick);

    device_lock(&c->nic.pci.dev);
    c->tick_due = UINT64_MAX;
    e1000_update(c);
    e1000_tick_arm(c);
    device_unlock(&c->nic.pci.dev);
}
