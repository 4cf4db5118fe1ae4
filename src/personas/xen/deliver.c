/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deliver.c - how a pending event interrupts the guest.
 *
 * Three ways, by what the guest asked for: a vector of its own per vCPU (HVMOP_set_evtchn_upcall_
 * vector), which the guest acknowledges at its APIC; HVM_PARAM_CALLBACK_IRQ type 2, one vector for
 * all, which the guest never acknowledges, so that its APIC is told to; types 0 and 1, a GSI or the
 * platform device's pin, a level that stays up while vCPU 0 has an upcall pending. A kernel that
 * raises events delivers the first two itself, and is helped only where we have set the bits.
 *
 * A local APIC that is still switched off does not take a message. Linux sets its vector before it
 * switches the APIC on, so such an upcall is offered again until it is taken. What an APIC has
 * taken is gone with an INIT (of a processor whose APIC firmware had switched on), and what the
 * kernel sends while the guest has it off for a moment (as Linux does to set it up) is not seen by
 * us. Either would be the last upcall, for the bits that it stands for stay set. Xen offers it when
 * the APIC is switched on; KVM does not tell us of that, but a hypercall tells that the vCPU runs.
 */
#include <errno.h>

#include "board/pci.h"
#include "core/err.h"
#include "core/log.h"
#include "personas/xen/xen.h"

enum { REDELIVER_NS = 1000 * 1000 };

enum { VIA_GSI = 0, VIA_PCI_INTX = 1, VIA_VECTOR = 2 };

static bool inject(struct xen *x, unsigned cpu, uint8_t vector)
{
    const struct host_ops *ops = x->p.env.host->ops;

    return ops->msi_send(x->p.env.host, UINT64_C(0xfee00000) | (uint64_t)cpu << 12, vector) > 0;
}

/* Who asks again meanwhile does not put it off. */
static void arm_redeliver(struct task *t)
{
    struct xen *x = container_of(t, struct xen, redeliver_soon);
    struct loop *l = x->p.env.dev.loop;

    if (!x->redelivers)
        loop_arm(l, &x->redeliver, loop_now(l) + REDELIVER_NS);
    x->redelivers = true;
}

static void again_later(struct xen *x)
{
    loop_ask(x->p.env.dev.loop, &x->redeliver_soon);
}

void xen_deliver(void *arg, unsigned cpu)
{
    struct xen *x = arg;
    struct xen_vcpu *c = &x->vcpu[cpu];
    struct irq *line = __atomic_load_n(&x->callback_line, __ATOMIC_ACQUIRE);
    uint8_t own = READ_ONCE(c->upcall_vector), eoi = READ_ONCE(c->auto_eoi);
    uint8_t all = READ_ONCE(x->callback_vector);

    if (own || (eoi && eoi == all)) {
        bool taken = inject(x, cpu, own ? own : eoi);

        WRITE_ONCE(c->undelivered, !taken);
        if (!taken)
            again_later(x);
    } else if (all) {
        /* The kernel looks at what is pending whenever the vCPU enters; else its APIC is made ready
         * first, and then this is called again. */
        if (c->v)
            c->v->host->ops->vcpu_attend(c->v);
    } else if (line && cpu == 0) {
        irq_raise(line);
    }
}

void xen_deliver_again(struct xen *x, struct vcpu *v)
{
    uint8_t own = READ_ONCE(x->vcpu[v->index].upcall_vector);
    uint8_t eoi = READ_ONCE(x->vcpu[v->index].auto_eoi);

    /* Else nothing gets lost: the kernel or a level keeps it. A second one joins the first. */
    if ((own || (eoi && eoi == READ_ONCE(x->callback_vector))) &&
        evtchn_upcall_pending(x->ev, v->index))
        xen_deliver(x, v->index);
}

static void xen_redeliver(struct alarm *a)
{
    struct xen *x = container_of(a, struct xen, redeliver);

    x->redelivers = false;
    for (unsigned cpu = 0; cpu < x->p.env.cpus; cpu++) {
        if (READ_ONCE(x->vcpu[cpu].undelivered) && evtchn_upcall_pending(x->ev, cpu))
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
static void line_take(struct task *t)
{
    struct xen *x = container_of(t, struct xen, take_line);
    struct irqs *irqs = x->p.env.dev.irqs;
    unsigned gsi = READ_ONCE(x->callback_gsi);
    struct irq *line;
    struct err e;

    line_drop(x);
    if (gsi == 0)
        return;
    if (irqs->ops->line(irqs, gsi, acked, x, &line, &e) < 0) {
        log_line(LOG_WARN, "xen", "no interrupt line for the callback: %s", e.msg);
        return;
    }
    __atomic_store_n(&x->callback_line, line, __ATOMIC_RELEASE);
    if (evtchn_upcall_pending(x->ev, 0))
        irq_raise(line);
}

bool xen_upcall_vectors(const struct xen *x)
{
    /* A crash kernel may have another vCPU than the first. */
    for (unsigned i = 0; i < x->p.env.cpus; i++) {
        if (READ_ONCE(x->vcpu[i].upcall_vector))
            return true;
    }
    return false;
}

/* Who delivers: the kernel does when it is by vectors. */
static void vectored(struct xen *x, struct vcpu *v)
{
    evtchn_set_vectored(x->ev, xen_upcall_vectors(x) || READ_ONCE(x->callback_vector));
    for (unsigned i = 0; i < x->p.env.cpus; i++)
        xen_kernel_changed(x, v, i);
}

long xen_set_upcall_vector(struct xen *x, struct vcpu *v, unsigned cpu, uint8_t vector)
{
    bool first;

    if (vector < 16)
        return -EINVAL;
    first = !xen_upcall_vectors(x);
    WRITE_ONCE(x->vcpu[cpu].upcall_vector, vector);
    if (first)
        vectored(x, v);
    else
        xen_kernel_changed(x, v, cpu);
    if (evtchn_upcall_pending(x->ev, cpu))
        xen_deliver(x, cpu);
    return 0;
}

static long set_vector(struct xen *x, struct vcpu *v, uint64_t vector)
{
    if (vector < 16 || vector > 255)
        return -EINVAL;
    if (x->kernel_events && v->host->ops->xen->vector(v->host, (uint8_t)vector) < 0)
        return -EINVAL;
    WRITE_ONCE(x->callback_vector, (uint8_t)vector);
    xen_auto_eoi(x, v);
    for (unsigned i = 0; i < x->p.env.cpus; i++) {
        if (i != v->index && x->vcpu[i].v)
            v->host->ops->vcpu_attend(x->vcpu[i].v);
    }
    return 0;
}

/* type << 56 | argument; Linux with its own vectors writes 1 only to look occupied. */
long xen_set_callback(struct xen *x, struct vcpu *v, uint64_t via)
{
    unsigned type = (unsigned)(via >> 56);
    unsigned gsi = 0;
    long rc = 0;

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
    if (type == VIA_VECTOR)
        rc = set_vector(x, v, via & 0xffffffff);
    else
        WRITE_ONCE(x->callback_vector, 0);
    if (rc < 0)
        return rc;
    WRITE_ONCE(x->callback_gsi, gsi);
    vectored(x, v);
    loop_ask(x->p.env.dev.loop, &x->take_line);
    return 0;
}

void xen_deliver_init(struct xen *x)
{
    x->redeliver.fire = xen_redeliver;
    x->redeliver_soon.run = arm_redeliver;
    x->take_line.run = line_take;
}

void xen_deliver_reset(struct xen *x)
{
    loop_forget(x->p.env.dev.loop, &x->redeliver_soon);
    loop_forget(x->p.env.dev.loop, &x->take_line);
    x->callback_gsi = 0;
    x->callback_vector = 0;
    line_drop(x);
    loop_disarm(x->p.env.dev.loop, &x->redeliver);
    x->redelivers = false;
    for (unsigned i = 0; i < XEN_CPUS; i++) {
        x->vcpu[i].upcall_vector = 0;
        x->vcpu[i].undelivered = false;
        x->vcpu[i].auto_eoi = 0; /* it is told anew when this is wanted again */
    }
}
