/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deliver.c - how a pending event interrupts the guest.
 *
 * Three ways, by what the guest asked for: a vector of its own per vCPU (HVMOP_set_evtchn_upcall_
 * vector), which the guest acknowledges at its APIC; a GSI or the platform device's pin
 * (HVM_PARAM_CALLBACK_IRQ types 0 and 1), a level that stays up while vCPU 0 has an upcall pending.
 * Type 2, one vector for all that the guest never acknowledges, is not modelled: the leaf that
 * offers the first way is always shown.
 *
 * A local APIC that is still switched off does not take a message. Linux sets its vector before it
 * switches the APIC on, so such an upcall is offered again until it is taken.
 */
#include <errno.h>

#include "board/pci.h"
#include "core/err.h"
#include "core/log.h"
#include "personas/xen/xen.h"

enum { REDELIVER_NS = 1000 * 1000 };

enum { VIA_GSI = 0, VIA_PCI_INTX = 1, VIA_VECTOR = 2 };

static bool inject(struct xen *x, unsigned cpu)
{
    const struct host_ops *ops = x->p.env.host->ops;

    return ops->msi_send(x->p.env.host, UINT64_C(0xfee00000) | (uint64_t)cpu << 12,
                         x->vcpu[cpu].upcall_vector) > 0;
}

static void arm_redeliver(void *arg)
{
    struct xen *x = arg;
    struct loop *l = x->p.env.dev.loop;

    __atomic_store_n(&x->redeliver_posted, false, __ATOMIC_RELEASE);
    loop_arm(l, &x->redeliver, loop_now(l) + REDELIVER_NS);
}

static void again_later(struct xen *x)
{
    if (!__atomic_exchange_n(&x->redeliver_posted, true, __ATOMIC_ACQ_REL))
        loop_post(x->p.env.dev.loop, arm_redeliver, x);
}

void xen_deliver(void *arg, unsigned cpu)
{
    struct xen *x = arg;
    struct xen_vcpu *c = &x->vcpu[cpu];
    struct irq *line = __atomic_load_n(&x->callback_line, __ATOMIC_ACQUIRE);

    if (c->upcall_vector) {
        c->undelivered = !inject(x, cpu);
        if (c->undelivered)
            again_later(x);
    } else if (line && cpu == 0) {
        irq_raise(line);
    }
}

void xen_redeliver(struct alarm *a)
{
    struct xen *x = container_of(a, struct xen, redeliver);

    for (unsigned cpu = 0; cpu < x->p.env.cpus; cpu++) {
        if (x->vcpu[cpu].undelivered && evtchn_upcall_pending(x->ev, cpu))
            xen_deliver(x, cpu);
    }
}

/* The guest's end of interrupt: the level goes down, and up again if there is more. */
static void acked(void *arg)
{
    struct xen *x = arg;
    struct irq *line = __atomic_load_n(&x->callback_line, __ATOMIC_ACQUIRE);

    if (!line)
        return;
    irq_lower(line);
    if (evtchn_upcall_pending(x->ev, 0))
        irq_raise(line);
}

static void line_drop(struct xen *x)
{
    struct irqs *irqs = x->p.env.dev.irqs;
    struct irq *line = __atomic_exchange_n(&x->callback_line, NULL, __ATOMIC_ACQ_REL);

    if (!line)
        return;
    irq_lower(line);
    irqs->ops->release(irqs, line);
}

/* Lines are made on the loop. */
static void line_take(void *arg)
{
    struct xen *x = arg;
    struct irqs *irqs = x->p.env.dev.irqs;
    struct irq *line;
    struct err e;

    line_drop(x);
    if (x->callback_gsi == 0)
        return;
    if (irqs->ops->line(irqs, x->callback_gsi, acked, x, &line, &e) < 0) {
        log_line(LOG_WARN, "xen", "no interrupt line for the callback: %s", e.msg);
        return;
    }
    __atomic_store_n(&x->callback_line, line, __ATOMIC_RELEASE);
    if (evtchn_upcall_pending(x->ev, 0))
        irq_raise(line);
}

/* type << 56 | argument; Linux with its own vectors writes 1 only to look occupied. */
long xen_set_callback(struct xen *x, uint64_t via)
{
    unsigned type = (unsigned)(via >> 56);
    unsigned gsi = 0;

    if (type == VIA_GSI)
        gsi = (unsigned)(via & 0xff);
    else if (type == VIA_PCI_INTX)
        gsi = pci_gsi((unsigned)via >> 11 & 31, (unsigned)via & 3);
    else if (type != VIA_VECTOR)
        return -EINVAL;
    if (type == VIA_GSI && gsi < 2)
        gsi = 0;
    if (gsi > 23)
        return -EINVAL;
    x->callback_gsi = gsi;
    loop_post(x->p.env.dev.loop, line_take, x);
    return 0;
}

void xen_deliver_reset(struct xen *x)
{
    x->callback_gsi = 0;
    line_drop(x);
    loop_disarm(x->p.env.dev.loop, &x->redeliver);
    for (unsigned i = 0; i < XEN_CPUS; i++) {
        x->vcpu[i].upcall_vector = 0;
        x->vcpu[i].undelivered = false;
    }
}
