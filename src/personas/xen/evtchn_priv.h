/* SPDX-License-Identifier: Apache-2.0 */
/* evtchn_priv.h - what evtchn.c (ports, 2-level ABI) and evtchn_fifo.c share. */
#ifndef HOSPES_PERSONAS_XEN_EVTCHN_PRIV_H
#define HOSPES_PERSONAS_XEN_EVTCHN_PRIV_H

#include <pthread.h>

#include "personas/xen/evtchn.h"
#include "personas/xen/public.h"

struct evtchn_port {
    uint8_t state; /* EVTCHNSTAT_ */
    uint8_t priority;
    uint16_t cpu;    /* which is told */
    uint16_t remote; /* unbound, interdomain: domain id */
    uint16_t virq;
    evtchn_sent_fn *sent; /* a back end is bound */
    void *arg;
    int fd;          /* of that back end, -1: none */
    bool routed;     /* the kernel knows what to do when the guest sends on it */
    uint8_t service; /* of which it is the guest's end, counted from 1; 0: none */
    bool looped;     /* interdomain with another port of the same guest */
    uint16_t peer;   /* that port */
    bool early;      /* FIFO: became pending before it had a word */
    /* FIFO: the queue the event was last linked to; outlives the port. */
    uint16_t last_cpu;
    uint8_t last_priority;
};

#define EVTCHN_NOWHERE UINT64_MAX /* as the place of what the guest does not see */

struct evtchn_end {
    evtchn_sent_fn *sent; /* NULL: nobody serves it */
    void *arg;
    int fd;
    unsigned port; /* the guest's, 0: it has closed it */
};

enum { FIFO_PAGE_WORDS = 4096 / 4, FIFO_PAGES = EVTCHN_MAX_PORTS / FIFO_PAGE_WORDS };

struct evtchn {
    struct gmem *mem;
    unsigned cpus;
    evtchn_deliver_fn *deliver;
    void *arg;
    pthread_mutex_t lock;
    struct evtchn_port port[EVTCHN_MAX_PORTS];
    struct evtchn_end service[EVTCHN_SERVICES];

    bool longmode;
    gpa_t shared_at;
    uint8_t *shared; /* shared_info in guest memory or hidden, NULL before it is mapped */
    _Alignas(8) uint8_t hidden[4096];
    gpa_t info_at[EVTCHN_MAX_CPUS];
    uint8_t *info[EVTCHN_MAX_CPUS]; /* vcpu_info */

    struct host *host; /* it has struct host_xen: the kernel raises events; else NULL */
    bool vectored;
    unsigned timer_port[EVTCHN_MAX_CPUS];

    bool fifo;
    uint32_t *fifo_word[FIFO_PAGES]; /* event array, guest memory */
    unsigned fifo_pages;
    struct evtchn_fifo_control_block *fifo_block[EVTCHN_MAX_CPUS]; /* guest memory */
    uint32_t fifo_tail[EVTCHN_MAX_CPUS][EVTCHN_FIFO_MAX_QUEUES];
};

/* evtchn_kernel.c, under the lock: tells the kernel what it shall do when the guest sends on port;
 * makes port pending, false: it cannot. Neither does anything without a kernel that could. */
void evtchn_kernel_route(struct evtchn *x, unsigned port);
void evtchn_kernel_reset(struct evtchn *x);
bool evtchn_kernel_raise(struct evtchn *x, unsigned port);

/* Under the lock. */
void evtchn_fifo_set_pending(struct evtchn *x, unsigned port);
void evtchn_fifo_clear_pending(struct evtchn *x, unsigned port);
int evtchn_fifo_unmask(struct evtchn *x, unsigned port);
int evtchn_fifo_init(struct evtchn *x, struct evtchn_init_control *op);
int evtchn_fifo_expand(struct evtchn *x, const struct evtchn_expand_array *op);
/* Sets upcall_pending and delivers. */
void evtchn_upcall(struct evtchn *x, unsigned cpu);

/* Guest bitmaps are arrays of bits; the guest uses other widths on the same bytes. */
static inline bool bit_test_and_set(void *base, unsigned bit)
{
    uint32_t mask = UINT32_C(1) << (bit % 32);

    return __atomic_fetch_or((uint32_t *)base + bit / 32, mask, __ATOMIC_SEQ_CST) & mask;
}
static inline bool bit_test_and_clear(void *base, unsigned bit)
{
    uint32_t mask = UINT32_C(1) << (bit % 32);

    return __atomic_fetch_and((uint32_t *)base + bit / 32, ~mask, __ATOMIC_SEQ_CST) & mask;
}
static inline bool bit_test(const void *base, unsigned bit)
{
    return __atomic_load_n((const uint32_t *)base + bit / 32, __ATOMIC_SEQ_CST) >> (bit % 32) & 1;
}

#endif
