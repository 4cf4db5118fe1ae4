/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.c - one open channel: rings, doorbell, packets both ways.
 *
 * The guest's signal arrives as an eventfd (KVM_HYPERV_EVENTFD), so the vCPU does not wait for us.
 * While packets are drained the guest is told not to signal. Threads: the loop's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/gmem.h"
#include "core/iov.h"
#include "vmbus.h"

enum { CHANNEL_BATCH = 256 };

struct vmbus_backlog {
    struct vmbus_backlog *next;
    uint16_t type, flags;
    uint64_t trans;
    size_t ext_len, len;
    uint8_t bytes[]; /* ext, data */
};

static uint32_t channel_conn(const struct vmbus_channel *c)
{
    return VMBUS_MESSAGE_SINT << 12 | c->relid;
}

/* --- to the guest --- */

static void channel_interrupt(struct vmbus_channel *c)
{
    struct vmbus *b = c->bus;
    uint8_t *page;

    if (c->target_vp == VMBUS_NO_INTERRUPTS)
        return;
    c->interrupts++;
    if (b->version >= VERSION_WIN8) {
        synic_signal(b->synic, c->target_vp, c->relid);
        return;
    }
    page = b->interrupt_page ? gmem_shared(b->mem, b->interrupt_page, VMBUS_PAGE) : NULL;
    if (!page)
        return;
    __atomic_fetch_or(page + c->relid / 8, (uint8_t)(1u << c->relid % 8), __ATOMIC_SEQ_CST);
    synic_signal(b->synic, 0, 0);
}

static bool backlog_add(struct vmbus_channel *c, uint16_t type, uint16_t flags, uint64_t trans,
                        const void *ext, size_t ext_len, const struct iovec *iov, unsigned cnt)
{
    size_t len = (size_t)iov_len(iov, cnt);
    struct vmbus_backlog *k = calloc(1, sizeof(*k) + ext_len + len);

    if (!k)
        return false;
    *k = (struct vmbus_backlog){
        .type = type, .flags = flags, .trans = trans, .ext_len = ext_len, .len = len};
    if (ext_len)
        memcpy(k->bytes, ext, ext_len);
    iov_read(iov, cnt, 0, k->bytes + ext_len, len);
    *c->backlog_end = k;
    c->backlog_end = &k->next;
    return true;
}

static void channel_break(struct vmbus_channel *c, const char *why)
{
    if (!c->broken)
        vmbus_fault(c, "%s; it is dead until it is opened again", why);
    c->broken = true;
}

void vmbus_send(struct vmbus_channel *c, uint16_t type, uint16_t flags, uint64_t trans,
                const void *ext, size_t ext_len, const struct iovec *iov, unsigned cnt)
{
    int rc = 0;

    if (!c->open || c->broken)
        return;
    if (!c->backlog)
        rc = ring_put(&c->out, type, flags, trans, ext, ext_len, iov, cnt);
    if (rc < 0)
        channel_break(c, "the ring to the guest has a bad index");
    else if (rc > 0)
        c->packets_out++;
    else if (!backlog_add(c, type, flags, trans, ext, ext_len, iov, cnt))
        channel_break(c, "there is no memory for a waiting packet");
}

void vmbus_send_data(struct vmbus_channel *c, const void *data, size_t n)
{
    struct iovec iov = {(void *)(uintptr_t)data, n};

    vmbus_send(c, VM_PKT_DATA_INBAND, 0, 0, NULL, 0, &iov, 1);
}

void vmbus_complete(struct vmbus_channel *c, uint64_t trans, const void *data, size_t n)
{
    struct iovec iov = {(void *)(uintptr_t)data, n};

    vmbus_send(c, VM_PKT_COMP, 0, trans, NULL, 0, &iov, 1);
}

static void backlog_run(struct vmbus_channel *c)
{
    while (c->backlog && !c->broken) {
        struct vmbus_backlog *k = c->backlog;
        struct iovec iov = {k->bytes + k->ext_len, k->len};
        int rc = ring_put(&c->out, k->type, k->flags, k->trans, k->bytes, k->ext_len, &iov, 1);

        if (rc < 0)
            channel_break(c, "the ring to the guest has a bad index");
        if (rc <= 0)
            return;
        c->packets_out++;
        c->backlog = k->next;
        if (!c->backlog)
            c->backlog_end = &c->backlog;
        free(k);
    }
}

static void backlog_drop(struct vmbus_channel *c)
{
    for (struct vmbus_backlog *k = c->backlog, *next; k; k = next) {
        next = k->next;
        free(k);
    }
    c->backlog = NULL;
    c->backlog_end = &c->backlog;
}

void vmbus_flush(struct vmbus_channel *c)
{
    if (c->open && !c->draining && ring_flush(&c->out))
        channel_interrupt(c);
}

bool vmbus_congested(const struct vmbus_channel *c)
{
    return c->backlog != NULL;
}

/* --- from the guest --- */

/* true: there may be more at once. */
static bool channel_drain(struct vmbus_channel *c)
{
    struct ring_packet p;
    unsigned n;
    int rc = 0;

    for (n = 0; n < CHANNEL_BATCH && c->open && !c->broken && !c->paused && !c->backlog; n++) {
        rc = ring_take(&c->in, c->buf, c->class->packet_max, &p);
        if (rc <= 0)
            break;
        c->packets_in++;
        c->class->packet(c, &p);
    }
    if (rc < 0)
        channel_break(c, "the ring from the guest holds no packet");
    return n == CHANNEL_BATCH;
}

static void channel_again(struct vmbus_channel *c)
{
    uint64_t one = 1;

    (void)!write(c->kick.fd, &one, sizeof(one));
}

void channel_run(struct vmbus_channel *c)
{
    bool more, signal, waited;

    if (!c->open || c->broken || c->draining)
        return;
    c->draining = true;
    waited = c->backlog != NULL;
    backlog_run(c);
    if (waited && !c->backlog && c->class->room)
        c->class->room(c);
    do {
        ring_mask(&c->in);
        more = channel_drain(c);
        if (!c->open)
            break;
        signal = ring_taken(&c->in);
        signal |= ring_flush(&c->out);
        if (signal)
            channel_interrupt(c);
        if (c->backlog || c->paused || c->broken || more)
            break;
    } while (ring_unmask(&c->in));
    c->draining = false;
    if (!c->open || c->broken)
        return;
    if (c->backlog)
        ring_unmask(&c->in); /* the guest signals when it has made room */
    if (more)
        channel_again(c);
}

static void channel_kicked(struct watch *w, uint32_t got)
{
    struct vmbus_channel *c = container_of(w, struct vmbus_channel, kick);
    uint64_t n;

    (void)got;
    (void)!read(w->fd, &n, sizeof(n));
    channel_run(c);
}

void vmbus_pause(struct vmbus_channel *c)
{
    c->paused = true;
}

void vmbus_resume(struct vmbus_channel *c)
{
    if (!c->paused)
        return;
    c->paused = false;
    if (c->open && !c->draining)
        channel_run(c);
}

/* --- open and close --- */

static bool channel_rings(struct vmbus_channel *c, uint32_t id, uint32_t downstream)
{
    struct gpadl *g = vmbus_gpadl(c, id);

    if (!g || !gpadl_is_pages(g) || downstream < 2 || downstream > g->pages ||
        g->pages - downstream < 2)
        return false;
    if (!ring_open(&c->in, g, 0, downstream, true) ||
        !ring_open(&c->out, g, downstream, g->pages - downstream, false))
        return false;
    c->gpadl = g;
    return true;
}

static bool channel_doorbell(struct vmbus_channel *c)
{
    struct vmbus *b = c->bus;

    c->kick = (struct watch){.want = EPOLLIN, .ready = channel_kicked};
    c->kick.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->kick.fd < 0)
        return false;
    if (loop_watch(b->loop, &c->kick) < 0) {
        close(c->kick.fd);
        return false;
    }
    /* Without it the hypercall comes to us and we signal ourselves. */
    (void)!b->host->ops->hyperv_signal(b->host, channel_conn(c), c->kick.fd);
    return true;
}

static bool channel_try_open(struct vmbus_channel *c, const struct vmbus_channel_open_channel *m)
{
    if (c->open || !c->offered ||
        !channel_rings(c, le32_get(m->ringbuffer_gpadlhandle),
                       le32_get(m->downstream_ringbuffer_pageoffset)))
        return false;
    c->buf = malloc(c->class->packet_max);
    if (!c->buf)
        return false;
    if (!channel_doorbell(c)) {
        free(c->buf);
        c->buf = NULL;
        return false;
    }
    c->target_vp = le32_get(m->target_vp);
    memcpy(c->userdata, m->userdata, sizeof(c->userdata));
    c->broken = c->paused = c->draining = false;
    c->backlog_end = &c->backlog;
    c->open = true;
    if (!c->class->open || c->class->open(c))
        return true;
    channel_close(c);
    return false;
}

void channel_open(struct vmbus_channel *c, const struct vmbus_channel_open_channel *m)
{
    struct vmbus_channel_result r = {
        .header.msgtype = le32_of(CHANNELMSG_OPENCHANNEL_RESULT),
        .child_relid = m->child_relid,
        .id = m->openid,
    };

    if (!channel_try_open(c, m)) {
        vmbus_fault(c, "it cannot be opened so");
        r.status = le32_of(STATUS_UNSUCCESSFUL);
    }
    channel_send_message(c->bus, &r, sizeof(r));
    if (c->open)
        channel_again(c);
}

void channel_close(struct vmbus_channel *c)
{
    struct vmbus *b = c->bus;

    if (!c->open)
        return;
    c->open = false;
    (void)!b->host->ops->hyperv_signal(b->host, channel_conn(c), -1);
    loop_unwatch(b->loop, &c->kick);
    close(c->kick.fd);
    backlog_drop(c);
    if (c->class->close)
        c->class->close(c);
    c->gpadl = NULL;
    free(c->buf);
    c->buf = NULL;
}
