/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hcall.c - what a guest asks of VMBus by hypercall: messages and signals (TLFS 6.0b, 11.11).
 *
 * Messages wait for the loop, in order. Signals come here only where KVM has no eventfd for them.
 * Threads: vCPUs.
 */
#include <stdlib.h>
#include <string.h>

#include "core/gmem.h"
#include "vmbus.h"

struct posted {
    struct vmbus *b;
    uint64_t life;
    uint32_t conn;
    bool is_signal;
    size_t size;
    uint8_t payload[HV_MESSAGE_PAYLOAD];
};

static void posted_run(void *arg)
{
    struct posted *k = arg;
    struct vmbus *b = k->b;
    struct vmbus_channel *c;

    __atomic_sub_fetch(&b->posted, 1, __ATOMIC_RELAXED);
    if (k->life == b->life && !k->is_signal)
        vmbus_message(b, k->payload, k->size);
    if (k->life == b->life && k->is_signal) {
        c = vmbus_by_relid(b, k->conn & (VMBUS_RELIDS - 1));
        if (k->conn == VMBUS_EVENT_CONNECTION_ID)
            vmbus_shared_signal(b);
        else if (c)
            channel_run(c);
    }
    free(k);
}

static enum hv_status hypercall_post(struct vmbus *b, uint32_t conn, bool is_signal,
                                     const uint8_t *payload, size_t n)
{
    struct posted *k;

    if (__atomic_add_fetch(&b->posted, 1, __ATOMIC_RELAXED) > VMBUS_POSTED_MAX) {
        __atomic_sub_fetch(&b->posted, 1, __ATOMIC_RELAXED);
        return HV_STATUS_INSUFFICIENT_BUFFERS;
    }
    k = calloc(1, sizeof(*k));
    if (!k) {
        __atomic_sub_fetch(&b->posted, 1, __ATOMIC_RELAXED);
        return HV_STATUS_INSUFFICIENT_BUFFERS;
    }
    *k = (struct posted){.b = b, .conn = conn, .is_signal = is_signal, .size = n};
    k->life = READ_ONCE(b->life);
    if (n)
        memcpy(k->payload, payload, n);
    loop_post(b->loop, posted_run, k);
    return HV_STATUS_SUCCESS;
}

static enum hv_status post_message(struct vmbus *b, const struct hcall *h)
{
    struct hv_post_message_input in;
    uint32_t conn, size;

    if (h->nr & HV_HYPERCALL_FAST_BIT)
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    if (h->args[0] & 7)
        return HV_STATUS_INVALID_ALIGNMENT;
    if (gmem_read(b->mem, h->args[0], &in, sizeof(in)) < 0)
        return HV_STATUS_INVALID_PARAMETER;
    conn = le32_get(in.connectionid) & 0xffffff;
    size = le32_get(in.payload_size);
    if (conn != VMBUS_MESSAGE_CONNECTION_ID &&
        (conn != VMBUS_MESSAGE_CONNECTION_ID_4 || b->max_version < VERSION_WIN10_V5))
        return HV_STATUS_INVALID_CONNECTION_ID;
    if (size > HV_MESSAGE_PAYLOAD || le32_get(in.message_type) != HVMSG_VMBUS)
        return HV_STATUS_INVALID_PARAMETER;
    return hypercall_post(b, conn, false, in.payload, size);
}

/* true: c is one that is served here, and was. */
static bool signal_quick(struct vmbus *b, uint32_t conn)
{
    struct vmbus_channel *c;

    pthread_mutex_lock(&b->lock);
    c = vmbus_by_relid(b, conn & (VMBUS_RELIDS - 1));
    if (!c || !c->lock) {
        pthread_mutex_unlock(&b->lock);
        return false;
    }
    channel_signalled(c);
    return true;
}

/* The host's kernel serves the eventfds of channels; other signals come here. */
static enum hv_status signal_event(struct vmbus *b, const struct hcall *h)
{
    uint64_t word = h->args[0];
    uint32_t conn;

    if (!(h->nr & HV_HYPERCALL_FAST_BIT) && gmem_read(b->mem, h->args[0], &word, 8) < 0)
        return HV_STATUS_INVALID_PARAMETER;
    conn = (uint32_t)word & 0xffffff;
    if (word >> 32 || (conn != VMBUS_EVENT_CONNECTION_ID && conn >> 11 != VMBUS_MESSAGE_SINT << 1))
        return HV_STATUS_INVALID_CONNECTION_ID;
    if (conn != VMBUS_EVENT_CONNECTION_ID && signal_quick(b, conn))
        return HV_STATUS_SUCCESS;
    return hypercall_post(b, conn, true, NULL, 0);
}

enum hv_status vmbus_hypercall(struct vmbus *b, const struct hcall *h)
{
    switch (h->nr & 0xffff) {
    case HVCALL_POST_MESSAGE:
        return post_message(b, h);
    case HVCALL_SIGNAL_EVENT:
        return signal_event(b, h);
    default:
        return HV_STATUS_INVALID_HYPERCALL_CODE;
    }
}
