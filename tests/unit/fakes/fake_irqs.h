/* SPDX-License-Identifier: Apache-2.0 */
/* fake_irqs.h - interrupts that count, for scripted guests. */
#ifndef HOSPES_TESTS_FAKE_IRQS_H
#define HOSPES_TESTS_FAKE_IRQS_H

#include "core/irq.h"

struct fake_irq {
    struct irq irq; /* first */
    struct fake_irqs *owner;
    bool is_line;
    unsigned gsi; /* lines */
    bool up;
    unsigned rises; /* times set() went from down to up (lines) or was called (messages) */
    bool on;        /* messages: routed */
    uint64_t addr;
    uint32_t data;
    unsigned lost; /* messages raised while off */
    void (*acked)(void *arg);
    void *arg;
    struct fake_irq *next;
};

struct fake_irqs {
    struct irqs irqs; /* first */
    struct fake_irq *all;
    unsigned fail_after; /* 0: never; n: the n-th creation from now fails */
};

void fake_irqs_init(struct fake_irqs *f);
/* Frees what devices have not released; returns how many there were. */
unsigned fake_irqs_fini(struct fake_irqs *f);

/* true while any holder of the line has it up. */
bool fake_irqs_line(const struct fake_irqs *f, unsigned gsi);
/* Rising edges of all holders so far. */
unsigned fake_irqs_rises(const struct fake_irqs *f, unsigned gsi);
/* The guest's EOI. */
void fake_irqs_ack(struct fake_irqs *f, unsigned gsi);

/* Messages delivered with this data since the last call (also those written to eventfds). */
unsigned fake_irqs_take(struct fake_irqs *f, uint32_t data);

#endif
