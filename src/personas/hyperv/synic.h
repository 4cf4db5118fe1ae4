/* SPDX-License-Identifier: Apache-2.0 */
/*
 * synic.h - messages and event flags into the guest's SynIC pages.
 *
 * The host's kernel owns the MSRs and the interrupts; it tells where the pages are. Only SINT 2 is
 * used. A message waits in a queue until the guest has emptied its slot; that it did so comes as
 * the host's end-of-message notice. Synthetic timers are in direct mode, so nobody else writes
 * there.
 *
 * Threads: the loop's, except synic_changed(), which runs on the vCPU's, and synic_signal().
 */
#ifndef HOSPES_PERSONAS_HYPERV_SYNIC_H
#define HOSPES_PERSONAS_HYPERV_SYNIC_H

#include "abi/hyperv.h"
#include "core/loop.h"
#include "host/host.h"

enum {
    SYNIC_QUEUE = 4096
}; /* messages that may wait: offers and answers, bounded by the guest's */

struct synic_message {
    struct synic_message *next;
    uint8_t size;
    uint8_t payload[HV_MESSAGE_PAYLOAD];
};

struct synic_vp {
    struct synic *s;
    uint8_t *messages, *events; /* SINT 2's slots in the guest's pages; NULL while off; atomic */
    uint64_t simp, siefp;       /* as last set */
    struct irq *event_irq;      /* from vcpu_ready() on */
    struct irq *message_irq;    /* while messages are on their way: it costs a wake-up per EOI */
    struct synic_message *head, **tail;
    unsigned waiting;
};

struct synic {
    struct host *host;
    struct gmem *mem;
    struct loop *loop;
    unsigned cpus;
    struct synic_vp *vp;
    struct alarm idle;     /* no messages for a while */
    struct alarm retry;    /* looks at slots that were not free */
    uint64_t retry_ns;     /* after which it does so again */
    bool retrying;         /* it is armed */
    struct task pump;      /* a processor can take messages again */
    uint64_t sent, raised; /* raised: atomic */
    uint64_t os_id;        /* GUEST_OS_ID, for info; atomic */
};

MUST int synic_create(struct host *h, struct gmem *m, struct loop *l, unsigned cpus,
                      struct synic **out, struct err *e);
void synic_destroy(struct synic *s); /* NULL is fine */
/* As after power-on; vCPUs are stopped. */
void synic_reset(struct synic *s);
MUST int synic_vcpu_ready(struct synic *s, struct vcpu *v, struct err *e);
void synic_changed(struct synic *s, struct vcpu *v, const struct host_event_info *info);

/* Queues a message of at most 240 bytes; false: the guest leaves too many unread. */
bool synic_post(struct synic *s, unsigned vp, const void *payload, size_t n);
/* Drops what the guest has not got yet. */
void synic_forget(struct synic *s);
/* Sets an event flag, and interrupts if it was clear. Any thread. */
void synic_signal(struct synic *s, unsigned vp, unsigned flag);

/* For other SINTs than the bus's; the caller interrupts. Any thread. */
enum synic_sent { SYNIC_SENT, SYNIC_BUSY, SYNIC_OFF };
/* Busy: the guest was asked for an EOM. n is at most 240. */
enum synic_sent synic_put(struct synic *s, unsigned vp, unsigned sint, uint32_t type,
                          const void *payload, size_t n);
/* Busy: the flag was set already. */
enum synic_sent synic_flag(struct synic *s, unsigned vp, unsigned sint, unsigned flag);

#endif
