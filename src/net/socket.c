/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket.c - a cable between two machines: whole frames over a unix stream socket, each behind
 * its length as 4 bytes in network order, as QEMU's `-netdev stream` has it.
 *
 * `socket=PATH` connects if somebody listens there and else listens itself, so the second machine
 * finds the first. When the other side goes away the link is down until one comes back.
 * Everything runs on the loop's thread.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/bytes.h"
#include "core/cfg.h"
#include "core/err.h"
#include "core/iov.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/usock.h"
#include "net/frames.h"
#include "net/kinds.h"

enum {
    CABLE_QUEUE = 1 << 20,         /* bytes of frames for a guest without buffers */
    CABLE_RETRY_NS = 500000000,    /* how often a lost listener is looked for */
    CABLE_ROOM = NET_FRAME_MAX + 4 /* one frame and its length */
};

struct cable {
    struct netif n; /* first */
    struct loop *loop;
    char *path;
    const struct net_events *ev;
    void *arg;
    struct watch listener, peer; /* fd -1: none */
    struct alarm retry, told;    /* told: tells of frames, once per round */
    struct alarm news;           /* tells of a cable that was pulled out */
    bool link;                   /* what was told last */
    struct frames rx;
    bool telling, took;     /* inside readable(); recv() gave a frame */
    size_t in_len;          /* bytes in `in` */
    size_t out_at, out_len; /* what of `out` is still to be sent */
    bool waiting;           /* send() said -EAGAIN */
    uint8_t in[2 * CABLE_ROOM], out[CABLE_ROOM];
};

static struct cable *cable_of(struct netif *n)
{
    return container_of(n, struct cable, n);
}

static void cable_link(struct cable *c, bool up)
{
    if (c->link != up && c->ev && c->ev->link)
        c->ev->link(c->arg, up);
    c->link = up;
}

static void cable_news(struct alarm *a)
{
    struct cable *c = container_of(a, struct cable, news);

    cable_link(c, c->peer.fd >= 0);
    if (c->peer.fd < 0 && c->waiting && c->ev && c->ev->writable) {
        c->waiting = false;
        c->ev->writable(c->arg); /* frames go nowhere now */
    }
}

/* The card hears of it at the end of the round: it may be the one that sends or receives, with a
 * lock held that its callbacks want. */
static void cable_unplug(struct cable *c)
{
    if (c->peer.fd < 0)
        return;
    loop_unwatch(c->loop, &c->peer);
    close(c->peer.fd);
    c->peer.fd = -1;
    c->in_len = c->out_len = c->out_at = 0;
    if (c->listener.fd >= 0) {
        if (loop_rewatch(c->loop, &c->listener, EPOLLIN) < 0)
            log_line(LOG_ERROR, "socket", "cannot listen at %s any more", c->path);
    } else {
        loop_arm(c->loop, &c->retry, loop_now(c->loop) + CABLE_RETRY_NS);
    }
    loop_arm(c->loop, &c->news, 0);
}

/* --- receiving --- */

/* Moves whole frames into the queue; false when the stream makes no sense. */
static bool cable_parse(struct cable *c)
{
    size_t at = 0;

    while (c->in_len - at >= 4) {
        size_t len = be32_at(c->in + at);
        struct iovec iov = {c->in + at + 4, len};

        if (len > NET_FRAME_MAX)
            return false;
        if (c->in_len - at - 4 < len)
            break;
        if (len >= 14 && !frames_push(&c->rx, NULL, &iov, 1))
            break; /* full: the stream waits */
        at += 4 + len;
    }
    c->in_len -= at;
    memmove(c->in, c->in + at, c->in_len);
    return true;
}

static uint32_t cable_wants(const struct cable *c)
{
    return (c->in_len < sizeof(c->in) ? EPOLLIN : 0) | (c->out_len ? EPOLLOUT : 0);
}

static void cable_rewatch(struct cable *c)
{
    if (c->peer.fd >= 0 && loop_rewatch(c->loop, &c->peer, cable_wants(c)) < 0)
        cable_unplug(c);
}

static void cable_tell(struct alarm *a)
{
    struct cable *c = container_of(a, struct cable, told);
    if (!c->rx.count || !c->ev)
        return;
    c->took = false;
    c->telling = true;
    c->ev->readable(c->arg);
    c->telling = false;
    if (c->rx.count && c->took)
        loop_arm(c->loop, a, 0);
}

static void cable_input(struct cable *c)
{
    ssize_t n = recv(c->peer.fd, c->in + c->in_len, sizeof(c->in) - c->in_len, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        c->in_len += (size_t)n;
    if (n <= 0 || !cable_parse(c)) {
        if (n > 0)
            log_line(LOG_WARN, "socket", "%s: the other side sends no frames; unplugged", c->path);
        cable_unplug(c);
        return;
    }
    if (c->rx.count)
        loop_arm(c->loop, &c->told, 0);
}

static long cable_recv(struct netif *n, struct net_meta *m, const struct iovec *iov, int cnt)
{
    struct cable *c = cable_of(n);
    bool full = c->in_len == sizeof(c->in);
    long len = frames_pop(&c->rx, m, iov, cnt);

    if (len != -EAGAIN)
        c->took = true;
    if (len >= 0) {
        n->stats.rx_frames++;
        n->stats.rx_bytes += (uint64_t)len;
        if (c->rx.count && !c->telling)
            loop_arm(c->loop, &c->told, 0); /* the NIC may have stopped before the end */
    } else if (len == -EMSGSIZE) {
        n->stats.dropped++;
    }
    if (len == -EAGAIN || c->peer.fd < 0 || c->in_len < 4)
        return len;
    /* There is room in the queue again for what waits in the stream. */
    if (!cable_parse(c))
        cable_unplug(c);
    else if (full)
        cable_rewatch(c);
    return len;
}

/* --- sending --- */

static void cable_flush(struct cable *c)
{
    while (c->out_at < c->out_len) {
        ssize_t n = send(c->peer.fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            cable_unplug(c);
        if (n < 0)
            return;
        c->out_at += (size_t)n;
    }
    c->out_at = c->out_len = 0;
}

static long cable_send(struct netif *n, const struct net_meta *m, const struct iovec *iov, int cnt)
{
    struct cable *c = cable_of(n);
    uint64_t len = iov_len(iov, (unsigned)cnt);

    (void)m;
    if (len > NET_FRAME_MAX) {
        n->stats.dropped++;
        return -EMSGSIZE;
    }
    if (c->peer.fd < 0) {
        n->stats.dropped++;
        return (long)len; /* a cable that ends in the air */
    }
    if (c->out_len) {
        c->waiting = true;
        return -EAGAIN;
    }
    be32_put(c->out, (uint32_t)len);
    iov_read(iov, (unsigned)cnt, 0, c->out + 4, (size_t)len);
    c->out_len = 4 + (size_t)len;
    cable_flush(c);
    if (c->out_len)
        cable_rewatch(c);
    n->stats.tx_frames++;
    n->stats.tx_bytes += len;
    return (long)len;
}

/* --- plugging in --- */

static void cable_ready(struct watch *w, uint32_t got)
{
    struct cable *c = container_of(w, struct cable, peer);

    if (got & EPOLLOUT) {
        cable_flush(c);
        if (c->peer.fd >= 0 && !c->out_len && c->waiting) {
            c->waiting = false;
            if (c->ev && c->ev->writable)
                c->ev->writable(c->arg);
        }
    }
    if (c->peer.fd >= 0 && (got & EPOLLIN))
        cable_input(c);
    else if (c->peer.fd >= 0 && (got & (EPOLLERR | EPOLLHUP)))
        cable_unplug(c);
    cable_rewatch(c);
}

static void cable_plug(struct cable *c, int fd)
{
    c->peer = (struct watch){.fd = fd, .want = EPOLLIN, .ready = cable_ready};
    if (loop_watch(c->loop, &c->peer) < 0) {
        cable_unplug(c);
        return;
    }
    cable_link(c, false); /* if nobody has heard of it yet */
    cable_link(c, true);
}

static void cable_client(struct watch *w, uint32_t got)
{
    struct cable *c = container_of(w, struct cable, listener);
    int fd = usock_accept(w->fd);

    (void)got;
    if (fd < 0)
        return;
    if (loop_rewatch(c->loop, w, 0) < 0)
        log_line(LOG_ERROR, "socket", "cannot pause listening at %s", c->path);
    cable_plug(c, fd);
}

/* Connects, or else listens. */
static int cable_start(struct cable *c, struct err *e)
{
    int fd, rc = usock_connect(c->path, &fd, e);

    if (rc == 0) {
        cable_plug(c, fd);
        return 0;
    }
    if (rc != -ENOENT && rc != -ECONNREFUSED)
        return rc;
    rc = usock_listen(c->path, &c->listener.fd, e);
    if (rc < 0)
        return rc;
    c->listener.want = EPOLLIN;
    c->listener.ready = cable_client;
    rc = loop_watch(c->loop, &c->listener);
    return rc < 0 ? err_set(e, -rc, "cannot watch %s: %s", c->path, strerror(-rc)) : 0;
}

static void cable_retry(struct alarm *a)
{
    struct cable *c = container_of(a, struct cable, retry);
    struct err e;

    if (cable_start(c, &e) < 0)
        loop_arm(c->loop, a, loop_now(c->loop) + CABLE_RETRY_NS);
}

static void cable_close(struct netif *n)
{
    struct cable *c = cable_of(n);

    c->ev = NULL;
    cable_unplug(c);
    loop_disarm(c->loop, &c->retry);
    loop_disarm(c->loop, &c->told);
    loop_disarm(c->loop, &c->news);
    loop_unwatch(c->loop, &c->listener);
    usock_unlisten(c->listener.fd, c->path);
    frames_free(&c->rx);
    free(c->path);
    free(c);
}

static int cable_open(struct cfg *cfg, struct loop *l, struct netif **out, struct err *e)
{
    struct cable *c = calloc(1, sizeof(*c));
    int rc;

    if (!c)
        return err_set(e, ENOMEM, "no memory for a network");
    c->n.ops = &net_socket;
    c->loop = l;
    c->path = strdup(cfg_get(cfg, "socket"));
    c->listener.fd = c->peer.fd = -1;
    c->retry.fire = cable_retry;
    c->told.fire = cable_tell;
    c->news.fire = cable_news;
    frames_init(&c->rx, CABLE_QUEUE);
    rc = c->path ? cable_start(c, e) : err_set(e, ENOMEM, "no memory for a network");
    if (rc < 0) {
        cable_close(&c->n);
        return rc;
    }
    *out = &c->n;
    return 0;
}

static void cable_caps(const struct netif *n, struct net_caps *out)
{
    const struct cable *c = container_of(n, const struct cable, n);

    *out = (struct net_caps){.mtu = 1500, .queues = 1, .link = c->peer.fd >= 0};
}

static void cable_set_caps(struct netif *n, uint32_t tx, uint32_t rx)
{
    (void)n;
    (void)tx;
    (void)rx;
}

static void cable_listen(struct netif *n, const struct net_events *ev, void *arg)
{
    struct cable *c = cable_of(n);

    c->ev = ev;
    c->arg = arg;
    if (c->rx.count)
        loop_arm(c->loop, &c->told, 0);
}

const struct net_ops net_socket = {
    .name = "socket",
    .about = "a cable to another machine, over a unix socket",
    .open = cable_open,
    .close = cable_close,
    .caps = cable_caps,
    .set_caps = cable_set_caps,
    .listen = cable_listen,
    .send = cable_send,
    .recv = cable_recv,
};
