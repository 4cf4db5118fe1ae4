/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evtchn_fifo.c - the FIFO event channel ABI.
 *
 * Each event has a word in the guest's event array: PENDING, MASKED, LINKED, BUSY and the number of
 * the next event in its queue. A queue per vCPU and priority is a singly linked list through these
 * words; its head is in the vCPU's control block, its tail is ours. The guest takes events off the
 * head and clears LINKED, so appending to a tail that it has just taken is a race that the
 * compare-and-swap below decides.
 *
 * Every number read back from the guest's words is masked and checked before it is used.
 */
#include <errno.h>
#include <string.h>

#include "core/gmem.h"
#include "personas/xen/evtchn_priv.h"

#define FIFO_BIT(n) (UINT32_C(1) << (n))

enum { LINK_TRIES = 64 };

static uint32_t *word_of(struct evtchn *x, unsigned port)
{
    unsigned page = port / FIFO_PAGE_WORDS;

    return page < x->fifo_pages ? x->fifo_word[page] + port % FIFO_PAGE_WORDS : NULL;
}

/* Makes `next` follow the event at w. false: that event is not queued any more. */
static bool link_after(uint32_t *w, uint32_t next)
{
    uint32_t old = __atomic_load_n(w, __ATOMIC_SEQ_CST);

    for (int i = 0; i < LINK_TRIES; i++) {
        if (!(old & FIFO_BIT(EVTCHN_FIFO_LINKED)))
            return false;
        if (__atomic_compare_exchange_n(w, &old, (old & ~(uint32_t)EVTCHN_FIFO_LINK_MASK) | next,
                                        false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            return true;
    }
    return false; /* a guest that keeps changing the word loses the place, not the event */
}

static void enqueue(struct evtchn *x, unsigned port, uint32_t *w)
{
    struct evtchn_port *p = &x->port[port];
    struct evtchn_fifo_control_block *block = x->fifo_block[p->cpu];
    uint32_t *old = &x->fifo_tail[p->last_cpu][p->last_priority];
    uint32_t *tail = &x->fifo_tail[p->cpu][p->priority];
    uint32_t *last;

    if (__atomic_fetch_or(w, FIFO_BIT(EVTCHN_FIFO_LINKED), __ATOMIC_SEQ_CST) &
        FIFO_BIT(EVTCHN_FIFO_LINKED))
        return;
    /* It was not linked, so a queue that it is the tail of is empty: the next event there must not
     * be linked behind it, for it may now be in another queue. */
    if (*old == port)
        *old = 0;
    last = *tail && *tail != port ? word_of(x, *tail) : NULL;
    __atomic_fetch_and(w, ~(uint32_t)EVTCHN_FIFO_LINK_MASK, __ATOMIC_SEQ_CST);
    if (!last || !link_after(last, port))
        __atomic_store_n(&block->head[p->priority], port, __ATOMIC_SEQ_CST);
    *tail = port;
    p->last_cpu = p->cpu;
    p->last_priority = p->priority;
    if (!bit_test_and_set(&block->ready, p->priority))
        evtchn_upcall(x, p->cpu);
}

void evtchn_fifo_set_pending(struct evtchn *x, unsigned port)
{
    uint32_t *w = word_of(x, port), old;

    if (!w) {
        x->port[port].early = true; /* until the guest has made room for this port */
        return;
    }
    old = __atomic_fetch_or(w, FIFO_BIT(EVTCHN_FIFO_PENDING), __ATOMIC_SEQ_CST);
    if (old & (FIFO_BIT(EVTCHN_FIFO_MASKED) | FIFO_BIT(EVTCHN_FIFO_LINKED)))
        return;
    if (x->fifo_block[x->port[port].cpu])
        enqueue(x, port, w);
}

void evtchn_fifo_clear_pending(struct evtchn *x, unsigned port)
{
    uint32_t *w = word_of(x, port);

    if (w)
        (void)__atomic_fetch_and(w, ~FIFO_BIT(EVTCHN_FIFO_PENDING), __ATOMIC_SEQ_CST);
}

int evtchn_fifo_unmask(struct evtchn *x, unsigned port)
{
    uint32_t *w = word_of(x, port), old;

    if (!w)
        return 0;
    old = __atomic_fetch_and(w, ~FIFO_BIT(EVTCHN_FIFO_MASKED), __ATOMIC_SEQ_CST);
    if (old & FIFO_BIT(EVTCHN_FIFO_PENDING))
        evtchn_fifo_set_pending(x, port);
    return 0;
}

/* What was pending under the 2-level ABI stays so. */
static void carry_over(struct evtchn *x)
{
    unsigned width = x->longmode ? 4096 : 1024;
    const uint8_t *pending = x->shared ? x->shared + 2048 : NULL;

    for (unsigned port = 1; pending && port < width; port++)
        x->port[port].early = x->port[port].state != EVTCHNSTAT_closed && bit_test(pending, port);
}

int evtchn_fifo_init(struct evtchn *x, struct evtchn_init_control *op)
{
    size_t cpu;
    uint8_t *page;

    if (!idx_in(op->vcpu, x->cpus, &cpu))
        return -ENOENT;
    if (op->offset % 8 || op->offset > 4096 - sizeof(struct evtchn_fifo_control_block) ||
        op->control_gfn >= UINT64_C(1) << 40)
        return -EINVAL;
    page = gmem_shared(x->mem, op->control_gfn * 4096, 4096);
    if (!page)
        return -EINVAL;
    x->fifo_block[cpu] = (struct evtchn_fifo_control_block *)(page + op->offset);
    memset(x->fifo_block[cpu], 0, sizeof(*x->fifo_block[cpu]));
    memset(x->fifo_tail[cpu], 0, sizeof(x->fifo_tail[cpu]));
    op->link_bits = EVTCHN_FIFO_LINK_BITS;
    if (!x->fifo)
        carry_over(x);
    x->fifo = true;
    return 0;
}

int evtchn_fifo_expand(struct evtchn *x, const struct evtchn_expand_array *op)
{
    unsigned first = x->fifo_pages * FIFO_PAGE_WORDS;
    uint32_t *page;

    if (!x->fifo)
        return -EOPNOTSUPP;
    if (x->fifo_pages == FIFO_PAGES)
        return -ENOSPC;
    if (op->array_gfn >= UINT64_C(1) << 40)
        return -EINVAL;
    page = gmem_shared(x->mem, op->array_gfn * 4096, 4096);
    if (!page)
        return -EINVAL;
    x->fifo_word[x->fifo_pages++] = page;
    for (unsigned port = first; port < first + FIFO_PAGE_WORDS; port++) {
        if (x->port[port].early)
            evtchn_fifo_set_pending(x, port);
        x->port[port].early = false;
    }
    return 0;
}
