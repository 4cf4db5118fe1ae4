/* SPDX-License-Identifier: Apache-2.0 */
/* synic.c - see synic.h. TLFS 6.0b chapter 11. */
#include "synic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/vmbus.h"
#include "core/err.h"
#include "core/gmem.h"

/* Longer than a guest that sets up channels thinks between two messages; while it lasts, each end
 * of an interrupt of a channel wakes the loop for nothing. */
#define SYNIC_IDLE_NS UINT64_C(20000000)

/* A guest that unloads the bus when it has crashed empties the slots of processors that it has
 * stopped, and its EOM is one of its own processor: what waits for theirs would wait for ever. So
 * slots are looked at as well, more and more seldom. */
#define SYNIC_RETRY_NS UINT64_C(5000000)
#define SYNIC_RETRY_MOST_NS UINT64_C(1000000000)

static void *page_of(const struct synic_vp *vp, uint8_t *const *which)
{
    return __atomic_load_n(which, __ATOMIC_ACQUIRE);
}

/* --- messages --- */

/* true: the slot is free. Otherwise the guest is asked for an EOM. */
static bool slot_free(struct hv_message *slot)
{
    if (shared_load32(&slot->message_type) == HVMSG_NONE)
        return true;
    shared_store8(&slot->message_flags, HV_MESSAGE_PENDING);
    shared_barrier();
    return shared_load32(&slot->message_type) == HVMSG_NONE;
}

static void synic_eom(void *arg);

static bool message_irq_ready(struct synic_vp *vp)
{
    struct err e;
    unsigned index = (unsigned)(vp - vp->s->vp);

    if (vp->message_irq)
        return true;
    return vp->s->host->ops->hyperv_sint(vp->s->host, index, VMBUS_MESSAGE_SINT, synic_eom, vp,
                                         &vp->message_irq, &e) == 0;
}

static void slot_fill(struct hv_message *slot, uint32_t type, const void *payload, size_t n,
                      bool more)
{
    memcpy(slot->payload, payload, n);
    memset(slot->payload + n, 0, sizeof(slot->payload) - n);
    slot->payload_size = (uint8_t)n;
    slot->reserved = le16_of(0);
    slot->port = le64_of(0);
    shared_store8(&slot->message_flags, more ? HV_MESSAGE_PENDING : 0);
    shared_store32(&slot->message_type, type);
}

static void retry_later(struct synic *s)
{
    if (s->retrying)
        return;
    s->retrying = true;
    loop_arm(s->loop, &s->retry, loop_now(s->loop) + s->retry_ns);
}

static void synic_pump(struct synic_vp *vp)
{
    while (vp->head) {
        struct synic_message *m = vp->head;
        struct hv_message *slot = page_of(vp, &vp->messages);

        if (!slot || !message_irq_ready(vp))
            return;
        if (!slot_free(slot)) {
            retry_later(vp->s);
            return;
        }
        vp->s->retry_ns = SYNIC_RETRY_NS;
        vp->head = m->next;
        vp->waiting--;
        if (!vp->head)
            vp->tail = &vp->head;
        slot_fill(slot, HVMSG_VMBUS, m->payload, m->size, vp->head);
        vp->s->sent++;
        irq_raise(vp->message_irq);
        free(m);
    }
    loop_arm(vp->s->loop, &vp->s->idle, loop_now(vp->s->loop) + SYNIC_IDLE_NS);
}

static void synic_eom(void *arg)
{
    synic_pump(arg);
}

static void synic_retry(struct alarm *a)
{
    struct synic *s = container_of(a, struct synic, retry);

    s->retrying = false;
    s->retry_ns = min_u64(2 * s->retry_ns, SYNIC_RETRY_MOST_NS);
    for (unsigned i = 0; i < s->cpus; i++) {
        if (s->vp[i].head)
            synic_pump(&s->vp[i]);
    }
}

/* Without messages on their way nobody needs to know of each end of interrupt. */
static void synic_idle(struct alarm *a)
{
    struct synic *s = container_of(a, struct synic, idle);
    struct irqs *irqs = s->host->ops->irqs(s->host);

    for (unsigned i = 0; i < s->cpus; i++) {
        if (s->vp[i].message_irq && !s->vp[i].head) {
            irqs->ops->release(irqs, s->vp[i].message_irq);
            s->vp[i].message_irq = NULL;
        }
    }
}

bool synic_post(struct synic *s, unsigned index, const void *payload, size_t n)
{
    struct synic_vp *vp = &s->vp[index < s->cpus ? index : 0];
    struct synic_message *m;

    if (vp->waiting >= SYNIC_QUEUE || n > sizeof(m->payload))
        return false;
    m = calloc(1, sizeof(*m));
    if (!m)
        return false;
    m->size = (uint8_t)n;
    memcpy(m->payload, payload, n);
    *vp->tail = m;
    vp->tail = &m->next;
    vp->waiting++;
    synic_pump(vp);
    return true;
}

static void vp_forget(struct synic_vp *vp)
{
    for (struct synic_message *m = vp->head, *next; m; m = next) {
        next = m->next;
        free(m);
    }
    vp->head = NULL;
    vp->tail = &vp->head;
    vp->waiting = 0;
}

void synic_forget(struct synic *s)
{
    for (unsigned i = 0; i < s->cpus; i++)
        vp_forget(&s->vp[i]);
}

/* --- event flags --- */

/* true: it was clear. */
static bool flag_set(uint8_t *events, unsigned flag)
{
    uint32_t bit = UINT32_C(1) << flag % 32;
    uint32_t *word = (uint32_t *)(void *)(events + flag / 32 * sizeof(*word));

    return !(__atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST) & bit);
}

void synic_signal(struct synic *s, unsigned index, unsigned flag)
{
    struct synic_vp *vp = &s->vp[index < s->cpus ? index : 0];
    uint8_t *events = page_of(vp, &vp->events);

    if (!events || !vp->event_irq || flag >= HV_EVENT_FLAGS || !flag_set(events, flag))
        return;
    __atomic_add_fetch(&s->raised, 1, __ATOMIC_RELAXED);
    irq_raise(vp->event_irq);
}

/* --- other SINTs --- */

/* Where `sint` has its part of a page, given where the bus has its own. */
static uint8_t *slot_of(uint8_t *bus, unsigned sint, size_t each)
{
    return bus ? bus - VMBUS_MESSAGE_SINT * each + sint * each : NULL;
}

enum synic_sent synic_put(struct synic *s, unsigned index, unsigned sint, uint32_t type,
                          const void *payload, size_t n)
{
    size_t at, which;
    uint8_t *page;

    if (!idx_in(index, s->cpus, &at) || !idx_in(sint, HV_SYNIC_SLOTS, &which) ||
        n > HV_MESSAGE_PAYLOAD)
        return SYNIC_OFF;
    page = slot_of(page_of(&s->vp[at], &s->vp[at].messages), (unsigned)which,
                   sizeof(struct hv_message));
    if (!page)
        return SYNIC_OFF;
    if (!slot_free((struct hv_message *)page))
        return SYNIC_BUSY;
    slot_fill((struct hv_message *)page, type, payload, n, false);
    return SYNIC_SENT;
}

enum synic_sent synic_flag(struct synic *s, unsigned index, unsigned sint, unsigned flag)
{
    size_t at, which;
    uint8_t *page;

    if (!idx_in(index, s->cpus, &at) || !idx_in(sint, HV_SYNIC_SLOTS, &which) ||
        flag >= HV_EVENT_FLAGS)
        return SYNIC_OFF;
    page = slot_of(page_of(&s->vp[at], &s->vp[at].events), (unsigned)which, HV_EVENT_FLAGS / 8);
    if (!page)
        return SYNIC_OFF;
    return flag_set(page, flag) ? SYNIC_SENT : SYNIC_BUSY;
}

/* --- what the guest set --- */

/* The page that the register names, NULL when it is off or no memory. A page that is switched on
 * starts empty. */
static uint8_t *synic_page(struct synic *s, uint64_t old, uint64_t now)
{
    gpa_t at = now & HV_PAGE_MASK;

    if (!(now & HV_SYNIC_ENABLE))
        return NULL;
    if ((old & HV_PAGE_MASK) != at || !(old & HV_SYNIC_ENABLE)) {
        if (gmem_fill(s->mem, at, 0, VMBUS_PAGE) < 0)
            return NULL;
    }
    return gmem_shared(s->mem, at, VMBUS_PAGE);
}

static void pump_all(struct task *t)
{
    struct synic *s = container_of(t, struct synic, pump);

    for (unsigned i = 0; i < s->cpus; i++)
        synic_pump(&s->vp[i]);
}

void synic_changed(struct synic *s, struct vcpu *v, const struct host_event_info *info)
{
    uint64_t control = info->data[1], siefp = info->data[2], simp = info->data[3], id;
    uint8_t *messages, *events;
    struct synic_vp *vp;
    size_t index;

    if (!idx_in(v->index, s->cpus, &index))
        return;
    vp = &s->vp[index];
    messages = synic_page(s, vp->simp, simp);
    events = synic_page(s, vp->siefp, siefp);
    vp->simp = simp;
    vp->siefp = siefp;
    if (!(control & HV_SYNIC_ENABLE))
        messages = events = NULL;
    if (messages)
        messages += VMBUS_MESSAGE_SINT * sizeof(struct hv_message);
    if (events)
        events += VMBUS_MESSAGE_SINT * (HV_EVENT_FLAGS / 8);
    __atomic_store_n(&vp->messages, messages, __ATOMIC_RELEASE);
    __atomic_store_n(&vp->events, events, __ATOMIC_RELEASE);
    if (s->host->ops->vcpu_get_msr(v, HV_X64_MSR_GUEST_OS_ID, &id) == 0)
        WRITE_ONCE(s->os_id, id);
    if (messages)
        loop_ask(s->loop, &s->pump);
}

int synic_vcpu_ready(struct synic *s, struct vcpu *v, struct err *e)
{
    size_t index;

    if (!idx_in(v->index, s->cpus, &index))
        return err_set(e, EINVAL, "there is no processor %u", v->index);
    return s->host->ops->hyperv_sint(s->host, v->index, VMBUS_MESSAGE_SINT, NULL, NULL,
                                     &s->vp[index].event_irq, e);
}

/* --- life --- */

void synic_reset(struct synic *s)
{
    synic_forget(s);
    for (unsigned i = 0; i < s->cpus; i++) {
        struct synic_vp *vp = &s->vp[i];

        vp->messages = vp->events = NULL;
        vp->simp = vp->siefp = 0;
    }
    s->os_id = 0;
}

int synic_create(struct host *h, struct gmem *m, struct loop *l, unsigned cpus, struct synic **out,
                 struct err *e)
{
    struct synic *s = calloc(1, sizeof(*s));

    if (s)
        s->vp = calloc(cpus, sizeof(*s->vp));
    if (!s || !s->vp) {
        free(s);
        return err_set(e, ENOMEM, "no memory for the SynIC of %u processors", cpus);
    }
    s->host = h;
    s->mem = m;
    s->loop = l;
    s->cpus = cpus;
    s->idle.fire = synic_idle;
    s->retry.fire = synic_retry;
    s->retry_ns = SYNIC_RETRY_NS;
    s->pump.run = pump_all;
    for (unsigned i = 0; i < cpus; i++) {
        s->vp[i].s = s;
        s->vp[i].tail = &s->vp[i].head;
    }
    *out = s;
    return 0;
}

void synic_destroy(struct synic *s)
{
    struct irqs *irqs;

    if (!s)
        return;
    irqs = s->host->ops->irqs(s->host);
    synic_forget(s);
    loop_disarm(s->loop, &s->idle);
    loop_disarm(s->loop, &s->retry);
    loop_forget(s->loop, &s->pump);
    for (unsigned i = 0; i < s->cpus; i++) {
        if (s->vp[i].message_irq)
            irqs->ops->release(irqs, s->vp[i].message_irq);
        if (s->vp[i].event_irq)
            irqs->ops->release(irqs, s->vp[i].event_irq);
    }
    free(s->vp);
    free(s);
}
