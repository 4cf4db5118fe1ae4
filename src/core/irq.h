/* SPDX-License-Identifier: Apache-2.0 */
/*
 * irq.h - signals between devices and the host: interrupts one way, doorbells the other.
 */
#ifndef HOSPES_CORE_IRQ_H
#define HOSPES_CORE_IRQ_H

#include "core/core.h"

struct irqs;

/* What a device raises: a line, an MSI, a SynIC event or an event channel. The device cannot tell
 * which, and a test sees a counter. set() may be called from any thread; for an edge, up is true
 * and there is no down. */
struct irq {
    void (*set)(struct irq *i, bool up);
};

static inline void irq_raise(struct irq *i)
{
    i->set(i, true);
}
static inline void irq_lower(struct irq *i)
{
    i->set(i, false);
}

/* Where irqs come from. The real one is host/; tests have tests/unit/fake_irqs.h. */
struct irqs_ops {
    /* A level-triggered line into the interrupt controller (GSI). Lines are shared: the pin is up
     * while any holder has it up. acked (may be NULL) is called on the loop at the guest's EOI. */
    MUST int (*line)(struct irqs *s, unsigned gsi, void (*acked)(void *arg), void *arg,
                     struct irq **out, struct err *e);
    /* A message-signalled interrupt, silent until msi_route(). */
    MUST int (*msi)(struct irqs *s, struct irq **out, struct err *e);
    /* Where the message goes now; on == false masks it. Any thread. An address or data that means
     * nothing is the guest's loss: the interrupt is dropped. */
    void (*msi_route)(struct irqs *s, struct irq *i, bool on, uint64_t addr, uint32_t data);
    void (*release)(struct irqs *s, struct irq *i);
};
struct irqs {
    const struct irqs_ops *ops;
};

enum bus_kind { BUS_PIO, BUS_MMIO };

/* The host's fast path for doorbells (ioeventfd). Without it, io() sees every access, so a device
 * must do the same work in io() as when its eventfd fires. */
struct doorbells {
    int (*assign)(void *arg, enum bus_kind kind, uint64_t addr, unsigned size, bool match,
                  uint64_t value, int fd);
    void (*deassign)(void *arg, enum bus_kind kind, uint64_t addr, unsigned size, bool match,
                     uint64_t value, int fd);
    void *arg;
};

#endif
