/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.c - one open channel: rings, doorbell, packets both ways.
 *
 * The guest's signal arrives as an eventfd (KVM_HYPERV_EVENTFD), so the vCPU does not wait for us;
 * or, for a class with quick(), on the vCPU's thread, which does the work itself. While packets are
 * drained the guest is told not to signal. Threads: the loop's, and vCPUs in channel_signalled().
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/bell.h"
#include "core/gmem.h"
#include "core/iov.h"
#include "vmbus.h"

enum {
    CHANNEL_BATCH = 256, /* packets that are served before others have their turn */
    /* Bytes that one signal may move on the vCPU; what is left keeps the loop busy instead. */
    CHANNEL_VCPU_BYTES = 512 << 10,
    CHANNEL_SCORE = 32, /* misses in a row that move the signals to the loop */
    CHANNEL_RETRY_NS = 1000000,
};

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

static void channel_lock(struct vmbus_channel *c)
{
    if (c->lock)
        pthread_mutex_lock(c->lock);
}

static void channel_unlock(struct vmbus_channel *c)
{
    if (c->lock)
        pthread_mutex_unlock(c->lock);
}

/* --- to the guest --- */

static void channel_interrupt(struct vmbus_channel *c)
{
    struct vmbus *b = c->bus;
    uint32_t vp = READ_ONCE(c->target_vp);
    uint8_t *page;

    if (vp == VMBUS_NO_INTERRUPTS)
        return;
    c->interrupts++;
    if (b->version >= VERSION_WIN8) {
        synic_signal(b->synic, vp, c->relid);
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

    vmbus_send(c, VM_PKT_COMP, 0, trans, NULL, 0, &iov, n > 0);
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

static void channel_again(struct vmbus_channel *c)
{
    bell_ring(c->kick.fd);
}

void vmbus_flush(struct vmbus_channel *c)
{
    if (!c->open || c->draining)
        return;
    if (ring_flush(&c->out))
        channel_interrupt(c);
    if (c->backlog && !c->retrying)
        channel_again(c);
}

bool vmbus_congested(const struct vmbus_channel *c)
{
    return c->backlog != NULL;
}

size_t vmbus_untaken(const struct vmbus_channel *c)
{
    if (!c->open || c->broken)
        return 0;
    return c->backlog ? SIZE_MAX : ring_left(&c->out);
}

/* --- from the guest --- */

/* true: done. */
static bool channel_try(struct vmbus_channel *c, const struct ring_packet *p, uint64_t *moved)
{
    int64_t n = c->class->quick ? c->class->quick(c, p) : -1;

    if (n < 0) {
        c->score -= c->score > 0;
        return false;
    }
    c->score += c->score < CHANNEL_SCORE;
    c->packets_in++;
    *moved += (uint64_t)n;
    return true;
}

/* Takes the signals to where they cost less. On the loop: KVM waits for all vCPUs when it forgets
 * an eventfd. */
static void channel_judge(struct vmbus_channel *c)
{
    struct host *h = c->bus->host;

    if (!c->class->quick)
        return;
    if (!c->loop_only && c->score == 0) {
        c->loop_only = h->ops->hyperv_signal(h, channel_conn(c), c->kick.fd) == 0;
    } else if (c->loop_only && c->score == CHANNEL_SCORE) {
        c->loop_only = false;
        (void)!h->ops->hyperv_signal(h, channel_conn(c), -1);
    }
}

/* Looks for what follows, since the guest does not signal it. */
static void channel_watch(struct vmbus_channel *c)
{
    bursts_wait(&c->bursts, &c->in.head->write_index, c->in.at);
}

/* Not before the answers to earlier ones have found room: they would pile up. */
static bool channel_takes(const struct vmbus_channel *c)
{
    return c->open && !c->broken && !c->paused && (!c->backlog || c->class->unanswered);
}

/* At most *left packets. true: those were there, and there may be more. */
static bool channel_drain(struct vmbus_channel *c, unsigned *left)
{
    struct ring_packet p;
    uint64_t moved = 0;
    int rc = 0;

    for (; *left && channel_takes(c); --*left) {
        rc = ring_take(&c->in, c->buf, c->class->packet_max, &p);
        if (rc <= 0)
            break;
        if (channel_try(c, &p, &moved))
            continue;
        c->packets_in++;
        c->class->packet(c, &p);
    }
    if (rc < 0)
        channel_break(c, "the ring from the guest holds no packet");
    return *left == 0;
}

/* OpenBSD, NetBSD, FreeBSD before 14 and old Linux read a full ring and do not signal that it has
 * room; nor do they signal new packets, as the old ones have not been taken. */
static void channel_retry_later(struct vmbus_channel *c)
{
    struct loop *l = c->bus->loop;

    ring_unmask(&c->in); /* others signal when they have made room */
    if (c->retrying)
        return;
    c->retrying = true;
    loop_arm(l, &c->retry, loop_now(l) + CHANNEL_RETRY_NS);
}

static void channel_run_locked(struct vmbus_channel *c)
{
    uint64_t had = c->packets_in;
    unsigned left = CHANNEL_BATCH;
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
        more = channel_drain(c, &left);
        if (!c->open)
            break;
        signal = ring_taken(&c->in);
        signal |= ring_flush(&c->out);
        if (signal)
            channel_interrupt(c);
        if (c->backlog || c->paused || c->broken || more)
            break;
        if (c->bursts.on) {
            channel_watch(c);
            break;
        }
    } while (ring_unmask(&c->in));
    c->draining = false;
    if (!c->open || c->broken)
        return;
    if (c->bursts.on && c->loop_only)
        bursts_stop(&c->bursts);
    else if (c->bursts.on && c->packets_in != had)
        bursts_count(&c->bursts, c->packets_in - had);
    if (c->backlog)
        channel_retry_later(c);
    if (more)
        channel_again(c);
    channel_judge(c);
}

void channel_run(struct vmbus_channel *c)
{
    channel_lock(c);
    channel_run_locked(c);
    channel_unlock(c);
}

/* true: something is left for the loop. At most *left packets. */
static bool channel_quick_drain(struct vmbus_channel *c, uint64_t *moved, unsigned *left)
{
    struct ring_packet p;

    while (*left && *moved < CHANNEL_VCPU_BYTES && !c->broken && !c->paused && !c->backlog) {
        uint32_t at = c->in.at;
        int rc = ring_take(&c->in, c->buf, c->class->packet_max, &p);

        if (rc <= 0)
            return rc < 0;
        --*left;
        if (!channel_try(c, &p, moved)) {
            c->in.at = at;
            return true;
        }
    }
    return c->broken || c->paused || c->backlog || !ring_empty(&c->in);
}

static void channel_serve(struct vmbus_channel *c)
{
    unsigned packets = CHANNEL_BATCH;
    uint64_t moved = 0;
    bool left, signal;

    if (!c->open || c->broken)
        return;
    if (c->draining || c->paused || c->backlog || c->loop_only) {
        channel_again(c);
        return;
    }
    if (bursts_due(&c->bursts)) {
        ring_mask(&c->in);
        channel_watch(c);
        return;
    }
    c->draining = true;
    do {
        ring_mask(&c->in);
        left = channel_quick_drain(c, &moved, &packets);
        signal = ring_taken(&c->in);
        signal |= ring_flush(&c->out);
        if (signal)
            channel_interrupt(c);
    } while (!left && ring_unmask(&c->in));
    c->draining = false;
    if (left)
        channel_again(c);
}

void channel_signalled(struct vmbus_channel *c)
{
    pthread_mutex_t *lock = c->lock;
    bool mine = pthread_mutex_trylock(lock) == 0;

    if (!mine && c->kick.fd >= 0)
        channel_again(c); /* whoever has the lock may have looked already */
    pthread_mutex_unlock(&c->bus->lock);
    if (!mine)
        return;
    channel_serve(c);
    pthread_mutex_unlock(lock);
}

static void channel_retry(struct alarm *a)
{
    struct vmbus_channel *c = container_of(a, struct vmbus_channel, retry);

    channel_lock(c);
    c->retrying = false;
    channel_run_locked(c);
    channel_unlock(c);
}

static void channel_kicked(struct watch *w, uint32_t got)
{
    struct vmbus_channel *c = container_of(w, struct vmbus_channel, kick);

    (void)got;
    bell_take(w->fd);
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

/* The ring was looked at. */
static void channel_polled(void *arg, bool news)
{
    struct vmbus_channel *c = arg;

    channel_lock(c);
    if (news)
        bursts_news(&c->bursts);
    if (news || (c->open && !c->broken && ring_unmask(&c->in)))
        channel_run_locked(c);
    channel_unlock(c);
}

static void channel_bursts(struct vmbus_channel *c)
{
    struct vmbus *b = c->bus;
    bool may = c->class->quick && b->polls;

    if (may && !b->poller)
        b->poller = poller_create(b->loop);
    bursts_open(&c->bursts, b->loop, may ? b->poller : NULL, channel_polled, c);
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

static void channel_doorbell_to(struct vmbus_channel *c, int fd)
{
    pthread_mutex_lock(&c->bus->lock);
    c->kick.fd = fd;
    pthread_mutex_unlock(&c->bus->lock);
}

static bool channel_doorbell(struct vmbus_channel *c)
{
    struct vmbus *b = c->bus;
    int fd = bell_make();

    if (fd < 0)
        return false;
    c->kick.want = EPOLLIN;
    c->kick.ready = channel_kicked;
    c->retry.fire = channel_retry;
    channel_doorbell_to(c, fd);
    if (loop_watch(b->loop, &c->kick) < 0) {
        channel_doorbell_to(c, -1);
        close(fd);
        return false;
    }
    c->loop_only = false;
    c->score = CHANNEL_SCORE;
    /* Without it the hypercall comes to us and we signal ourselves. */
    if (!c->class->quick)
        (void)!b->host->ops->hyperv_signal(b->host, channel_conn(c), fd);
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
    channel_bursts(c);
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

    bool ok;

    channel_lock(c);
    ok = channel_try_open(c, m);
    channel_unlock(c);
    if (!ok) {
        vmbus_fault(c, "it cannot be opened so");
        r.status = le32_of(STATUS_UNSUCCESSFUL);
    }
    channel_send_message(c->bus, &r, sizeof(r));
    if (c->open) {
        channel_again(c);
        monitor_opened(c);
    }
}

static void channel_close_locked(struct vmbus_channel *c)
{
    struct vmbus *b = c->bus;
    int fd = c->kick.fd;

    if (!c->open)
        return;
    c->open = false;
    bursts_close(&c->bursts);
    if (c->loop_only || !c->class->quick)
        (void)!b->host->ops->hyperv_signal(b->host, channel_conn(c), -1);
    loop_unwatch(b->loop, &c->kick);
    loop_disarm(b->loop, &c->retry);
    c->retrying = false;
    channel_doorbell_to(c, -1);
    close(fd);
    backlog_drop(c);
    if (c->class->close)
        c->class->close(c);
    c->gpadl = NULL;
    free(c->buf);
    c->buf = NULL;
}

void channel_close(struct vmbus_channel *c)
{
    channel_lock(c);
    channel_close_locked(c);
    channel_unlock(c);
}
