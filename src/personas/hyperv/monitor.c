/* SPDX-License-Identifier: Apache-2.0 */
/*
 * monitor.c - signals by monitor page, for the one guest that knows no others.
 *
 * A channel with a monitor is signalled by a bit in a page of the guest's, which the host looks at
 * now and then; a hypercall needs no looking, so guests get no monitors. But OpenBSD attaches its
 * drivers only to channels that have one. Modelled: the pending bits of the page from guest to
 * host. Not modelled: latencies, the page to the guest. Threads: the loop's.
 */
#include "core/gmem.h"
#include "identity.h"
#include "vmbus.h"

/* How long until the page is looked at again: after news, and at most. */
#define MONITOR_SOON_NS UINT64_C(50000)
#define MONITOR_LATE_NS UINT64_C(1000000)

enum { MONITOR_GROUPS = VMBUS_MONITORS / 32 };

static bool monitor_wanted(const struct vmbus *b)
{
    for (unsigned i = 0; i < VMBUS_MONITORS; i++) {
        if (b->monitored[i] && b->monitored[i]->open)
            return true;
    }
    return false;
}

/* true: something was signalled. */
static bool monitor_group(struct vmbus *b, struct hv_monitor_page *page, unsigned group)
{
    le32 *word = &page->trigger[group].pending;
    uint32_t bits = shared_load32(word);

    if (bits)
        bits = __atomic_exchange_n((uint32_t *)(void *)word, 0, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < 32; i++) {
        struct vmbus_channel *c = b->monitored[group * 32 + i];

        if (bits >> i & 1 && c)
            channel_run(c);
    }
    return bits;
}

static void monitor_look(struct alarm *a)
{
    struct vmbus *b = container_of(a, struct vmbus, monitor);
    struct hv_monitor_page *page = gmem_shared(b->mem, b->monitor_page, VMBUS_PAGE);
    bool news = false;

    for (unsigned i = 0; page && i < MONITOR_GROUPS && b->monitor_page; i++)
        news |= monitor_group(b, page, i);
    if (!page || !b->monitor_page || !monitor_wanted(b))
        return;
    b->monitor_ns = news ? MONITOR_SOON_NS : min_u64(2 * b->monitor_ns, MONITOR_LATE_NS);
    loop_arm(b->loop, a, loop_now(b->loop) + b->monitor_ns);
}

void monitor_contact(struct vmbus *b, const struct vmbus_channel_initiate_contact *m)
{
    uint64_t id = READ_ONCE(b->synic->os_id);

    b->monitor.fire = monitor_look;
    b->monitor_page = identity_needs_monitors(id) ? le64_get(m->monitor_page2) & HV_PAGE_MASK : 0;
}

void monitor_stop(struct vmbus *b)
{
    b->monitor_page = 0;
    loop_disarm(b->loop, &b->monitor);
}

void monitor_opened(struct vmbus_channel *c)
{
    struct vmbus *b = c->bus;

    if (!b->monitor_page || !c->class->monitored)
        return;
    b->monitor_ns = MONITOR_SOON_NS;
    loop_arm(b->loop, &b->monitor, loop_now(b->loop) + b->monitor_ns);
}

void monitor_offer(const struct vmbus_channel *c, struct vmbus_channel_offer_channel *m)
{
    for (unsigned i = 0; c->bus->monitor_page && i < VMBUS_MONITORS; i++) {
        if (c->bus->monitored[i] == c) {
            m->monitorid = (uint8_t)i;
            m->monitor_allocated = 1;
        }
    }
}

void monitor_add(struct vmbus_channel *c)
{
    struct vmbus_channel **at = c->bus->monitored;

    for (unsigned i = 0; c->class->monitored && !c->sub_index && i < VMBUS_MONITORS; i++) {
        if (!at[i]) {
            at[i] = c;
            return;
        }
    }
}

void monitor_remove(const struct vmbus_channel *c)
{
    for (unsigned i = 0; i < VMBUS_MONITORS; i++) {
        if (c->bus->monitored[i] == c)
            c->bus->monitored[i] = NULL;
    }
}
