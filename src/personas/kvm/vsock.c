/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock.c - the virtio socket device (VIRTIO 1.2, 5.10) with Unix sockets on the host's side.
 *
 * With the path P: a host program connects to P and writes "CONNECT <port>\n"; when the guest
 * accepts it reads "OK <its own port>\n" and then the stream. A guest that connects to port N of
 * CID 2 reaches the socket P_N. What the guest sends and the host does not read yet waits in a
 * buffer of VSOCK_BUF bytes per connection, which is also the credit that the guest is given.
 *
 * Not modelled: datagrams and SOCK_SEQPACKET, transport reset events. Threads: the loop, under the
 * device's lock; stop() may come from a vCPU and posts.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "abi/virtio_vsock.h"
#include "core/err.h"
#include "core/iov.h"
#include "core/usock.h"
#include "devices.h"

enum {
    VSOCK_RING = 128,
    VSOCK_IOV = VSOCK_RING + 4,
    VSOCK_BUF = 64 << 10,
    VSOCK_CONNS = 256,
    VSOCK_ORPHANS = 64,
    VSOCK_RX = 0,
    VSOCK_TX = 1,
    VSOCK_QUEUES = 3,
};
#define VSOCK_HOST_PORTS UINT32_C(0x40000000) /* ports of host programs that connected to P */

/* VSOCK_LEFT: the guest knows nothing of it any more; what waits goes to the host's program. */
enum vsock_state { VSOCK_GREETING, VSOCK_REQUESTED, VSOCK_OPEN, VSOCK_LEFT };

/* Packets that a connection owes the guest, sent as receive buffers come. */
enum vsock_owed {
    OWE_REQUEST = 1,
    OWE_RESPONSE = 2,
    OWE_CREDIT = 4,
    OWE_SHUTDOWN = 8, /* with the flags in shut_told */
    OWE_RST = 16,     /* the last one: the connection goes with it */
};

struct vsock_conn {
    struct vsock *s;
    struct vsock_conn *next;
    struct watch watch; /* on fd; want is 0 while it is not watched */
    int fd;
    enum vsock_state state;
    uint32_t host_port, guest_port;
    unsigned owed;
    bool readable; /* the last read did not say EAGAIN */
    bool host_eof;
    uint32_t shut_told;                    /* VIRTIO_VSOCK_SHUTDOWN_F_ that the guest was told */
    uint32_t guest_shut;                   /* that the guest told us */
    uint32_t sent, guest_alloc, guest_fwd; /* towards the guest, free-running bytes */
    uint32_t forwarded, told;              /* from the guest: passed on, and as it knows */
    uint32_t buf_at, buf_used;
    struct usock_hello hello;
    uint8_t buf[VSOCK_BUF];
};

struct vsock {
    struct virtio v; /* first */
    uint64_t cid;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    struct watch listener;
    struct vsock_conn *conns; /* the first is served first, then moved to the end */
    unsigned count;
    uint32_t next_port;
    bool spare_held; /* a receive buffer that found nothing to carry */
    struct vq_chain spare;
    struct iovec spare_iov[VSOCK_IOV];
    struct virtio_vsock_hdr orphan[VSOCK_ORPHANS]; /* resets for connections that are not there */
    unsigned orphans;
};

static struct vsock *vsock_of(struct virtio *v)
{
    return container_of(v, struct vsock, v);
}

/* --- connections --- */

static struct vsock_conn *conn_find(struct vsock *s, uint32_t host_port, uint32_t guest_port)
{
    for (struct vsock_conn *c = s->conns; c; c = c->next) {
        if (c->state != VSOCK_GREETING && c->state != VSOCK_LEFT && c->host_port == host_port &&
            c->guest_port == guest_port)
            return c;
    }
    return NULL;
}

static uint32_t conn_credit(const struct vsock_conn *c)
{
    uint32_t used = c->sent - c->guest_fwd;

    return used < c->guest_alloc ? c->guest_alloc - used : 0;
}

/* Watches for what the connection can make use of; a descriptor that is watched for nothing would
 * still report hang-ups for ever. */
static void conn_rewatch(struct vsock_conn *c)
{
    struct loop *l = c->s->v.pci.dev.env.loop;
    uint32_t want = 0;

    if (c->state == VSOCK_GREETING ||
        (c->state == VSOCK_OPEN && !c->readable && !c->host_eof && conn_credit(c)))
        want |= EPOLLIN;
    if (c->buf_used)
        want |= EPOLLOUT;
    if (want == 0) {
        loop_unwatch(l, &c->watch);
        c->watch.want = 0;
    } else if (c->watch.want == 0) {
        c->watch.want = want;
        if (loop_watch(l, &c->watch) < 0)
            c->owed |= OWE_RST;
    } else if (loop_rewatch(l, &c->watch, want) < 0) {
        c->owed |= OWE_RST;
    }
}

static void conn_ready(struct watch *w, uint32_t got);

static void conn_free(struct vsock_conn *c)
{
    struct vsock *s = c->s;
    struct vsock_conn **at = &s->conns;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    s->count--;
    loop_unwatch(s->v.pci.dev.env.loop, &c->watch);
    close(c->fd);
    free(c);
}

/* Those that a program of the host's does not read make room for others. */
static void conn_make_room(struct vsock *s)
{
    struct vsock_conn *c = s->conns;

    while (c && c->state != VSOCK_LEFT)
        c = c->next;
    if (c)
        conn_free(c);
}

static struct vsock_conn *conn_new(struct vsock *s, int fd, enum vsock_state state)
{
    struct vsock_conn *c;

    if (s->count >= VSOCK_CONNS)
        conn_make_room(s);
    c = s->count < VSOCK_CONNS ? malloc(sizeof(*c)) : NULL;
    if (!c)
        return NULL;
    memset(c, 0, offsetof(struct vsock_conn, buf));
    c->s = s;
    c->fd = fd;
    c->state = state;
    c->watch = (struct watch){.fd = fd, .ready = conn_ready};
    c->next = s->conns;
    s->conns = c;
    s->count++;
    return c;
}

/* Passes on what waits. false: the host's end is gone. */
static bool conn_drain(struct vsock_conn *c)
{
    while (c->buf_used) {
        size_t n = min_u64(c->buf_used, VSOCK_BUF - c->buf_at);
        ssize_t done = send(c->fd, c->buf + c->buf_at, n, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (done < 0)
            return errno == EAGAIN || errno == EINTR;
        c->buf_at = (c->buf_at + (uint32_t)done) % VSOCK_BUF;
        c->buf_used -= (uint32_t)done;
        c->forwarded += (uint32_t)done;
    }
    if (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_F_SEND)
        shutdown(c->fd, SHUT_WR);
    if (c->guest_shut == (VIRTIO_VSOCK_SHUTDOWN_F_SEND | VIRTIO_VSOCK_SHUTDOWN_F_RECEIVE))
        c->owed |= OWE_RST;
    return true;
}

/* The guest has let go of c. What it had sent is still the host program's. */
static void conn_leave(struct vsock_conn *c)
{
    c->state = VSOCK_LEFT;
    c->owed = 0;
    if (c->buf_used)
        conn_rewatch(c);
    if (!c->buf_used || c->owed)
        conn_free(c);
}

/* After bytes were passed on: the guest may send again. */
static void conn_after_drain(struct vsock_conn *c, bool alive)
{
    if (!alive)
        c->owed |= OWE_RST;
    else if (c->forwarded - c->told >= VSOCK_BUF / 2)
        c->owed |= OWE_CREDIT;
}

/* --- to the guest --- */

static void conn_header(struct vsock_conn *c, struct virtio_vsock_hdr *h, uint16_t op, uint32_t len)
{
    *h = (struct virtio_vsock_hdr){
        .src_cid = le64_of(VSOCK_CID_HOST),
        .dst_cid = le64_of(c->s->cid),
        .src_port = le32_of(c->host_port),
        .dst_port = le32_of(c->guest_port),
        .len = le32_of(len),
        .type = le16_of(VIRTIO_VSOCK_TYPE_STREAM),
        .op = le16_of(op),
        .flags = le32_of(op == VIRTIO_VSOCK_OP_SHUTDOWN ? c->shut_told : 0),
        .buf_alloc = le32_of(VSOCK_BUF),
        .fwd_cnt = le32_of(c->forwarded),
    };
    c->told = c->forwarded;
    c->owed &= ~(unsigned)OWE_CREDIT; /* every header carries it */
}

/* The next thing this connection owes, as an operation; 0 for none. */
static uint16_t conn_next_op(struct vsock_conn *c)
{
    static const struct {
        unsigned owed;
        uint16_t op;
    } order[] = {
        {OWE_REQUEST, VIRTIO_VSOCK_OP_REQUEST},
        {OWE_RESPONSE, VIRTIO_VSOCK_OP_RESPONSE},
        {OWE_RST, VIRTIO_VSOCK_OP_RST},
        {OWE_SHUTDOWN, VIRTIO_VSOCK_OP_SHUTDOWN},
        {OWE_CREDIT, VIRTIO_VSOCK_OP_CREDIT_UPDATE},
    };

    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        if (c->owed & order[i].owed) {
            c->owed &= ~order[i].owed;
            return order[i].op;
        }
    }
    return 0;
}

/* Reads straight into the guest's buffer, behind the header. Bytes, or 0 for nothing now. */
static uint32_t conn_read(struct vsock_conn *c, const struct vq_chain *b)
{
    struct iovec iov[VSOCK_IOV];
    uint64_t room = min_u64(b->in_len - sizeof(struct virtio_vsock_hdr), conn_credit(c));
    int n =
        iov_slice(b->iov + b->out, b->in, sizeof(struct virtio_vsock_hdr), room, iov, VSOCK_IOV);
    ssize_t got;

    if (n <= 0 || room == 0)
        return 0;
    got = readv(c->fd, iov, n);
    if (got > 0) {
        c->sent += (uint32_t)got;
        return (uint32_t)got;
    }
    c->readable = false;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    c->host_eof = true;
    if (got < 0) {
        c->owed |= OWE_RST;
    } else {
        c->shut_told |= VIRTIO_VSOCK_SHUTDOWN_F_SEND;
        c->owed |= OWE_SHUTDOWN;
    }
    return 0;
}

/* Fills b with one packet of c's. true: b is used; c may be gone. */
static bool conn_serve(struct vsock_conn *c, const struct vq_chain *b, uint32_t *len)
{
    struct virtio_vsock_hdr h;
    uint32_t data = 0;
    uint16_t op;

    if (c->state == VSOCK_LEFT)
        return false;
    if (c->state == VSOCK_OPEN && c->readable && !c->host_eof && !(c->owed & ~(unsigned)OWE_CREDIT))
        data = conn_read(c, b);
    op = data ? VIRTIO_VSOCK_OP_RW : conn_next_op(c);
    if (op == 0) {
        conn_rewatch(c);
        return false;
    }
    conn_header(c, &h, op, data);
    iov_write(b->iov + b->out, b->in, 0, &h, sizeof(h));
    *len = sizeof(h) + data;
    if (op == VIRTIO_VSOCK_OP_RST)
        conn_free(c);
    else
        conn_rewatch(c);
    return true;
}

static bool vsock_next(struct vsock *s, const struct vq_chain *b, uint32_t *len)
{
    unsigned turns = s->count;

    if (s->orphans) {
        s->orphans--;
        iov_write(b->iov + b->out, b->in, 0, &s->orphan[s->orphans], sizeof(s->orphan[0]));
        *len = sizeof(s->orphan[0]);
        return true;
    }
    while (turns-- > 0) {
        struct vsock_conn *c = s->conns, **end = &s->conns;

        s->conns = c->next; /* to the end of the list: everyone gets a turn */
        c->next = NULL;
        while (*end)
            end = &(*end)->next;
        *end = c;
        if (conn_serve(c, b, len))
            return true;
    }
    return false;
}

/* Sends what is owed and what can be read, as far as the guest has buffers. */
static void vsock_pump(struct vsock *s)
{
    struct virtio_queue *q = &s->v.q[VSOCK_RX];
    unsigned n = 0;

    while (s->v.running && q->vq.ready) {
        uint32_t len;

        if (!s->spare_held) {
            s->spare.iov = s->spare_iov;
            s->spare.max = VSOCK_IOV;
            if (!virtio_pop(q, &s->spare)) {
                if (s->v.running && vq_notify_on(&q->vq))
                    continue;
                break;
            }
            if (s->spare.out || s->spare.in_len < sizeof(struct virtio_vsock_hdr)) {
                virtio_break(&s->v, "a receive buffer has no room for a packet header");
                return;
            }
            s->spare_held = true;
        }
        if (n++ == VSOCK_RING) {
            virtio_wake(q);
            break;
        }
        if (!vsock_next(s, &s->spare, &len))
            break;
        s->spare_held = false;
        vq_push(&q->vq, &s->spare, len);
    }
    virtio_flush(q);
}

/* --- from the guest --- */

static void vsock_refuse(struct vsock *s, const struct virtio_vsock_hdr *in)
{
    if (le16_get(in->op) == VIRTIO_VSOCK_OP_RST || s->orphans == VSOCK_ORPHANS)
        return;
    s->orphan[s->orphans++] = (struct virtio_vsock_hdr){
        .src_cid = in->dst_cid,
        .dst_cid = le64_of(s->cid),
        .src_port = in->dst_port,
        .dst_port = in->src_port,
        .type = in->type,
        .op = le16_of(VIRTIO_VSOCK_OP_RST),
    };
}

static void vsock_request(struct vsock *s, const struct virtio_vsock_hdr *h)
{
    char path[sizeof(s->path) + 16];
    struct vsock_conn *c = NULL;
    struct err e;
    int fd = -1;

    snprintf(path, sizeof(path), "%s_%u", s->path, le32_get(h->dst_port));
    if (usock_connect(path, &fd, &e) == 0)
        c = conn_new(s, fd, VSOCK_OPEN);
    if (!c) {
        if (fd >= 0)
            close(fd);
        vsock_refuse(s, h);
        return;
    }
    c->host_port = le32_get(h->dst_port);
    c->guest_port = le32_get(h->src_port);
    c->guest_alloc = le32_get(h->buf_alloc);
    c->guest_fwd = le32_get(h->fwd_cnt);
    c->owed = OWE_RESPONSE;
    conn_rewatch(c);
}

/* Data of the guest's: what the host's end does not take at once waits. */
static void conn_data(struct vsock_conn *c, const struct vq_chain *b, uint32_t len)
{
    uint32_t at, first;

    if (c->state != VSOCK_OPEN || len > VSOCK_BUF - c->buf_used ||
        c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_F_SEND) {
        guest_fault(&c->s->v.pci.dev, "port %u sent more than its credit", c->guest_port);
        c->owed |= OWE_RST;
        return;
    }
    at = (c->buf_at + c->buf_used) % VSOCK_BUF;
    first = (uint32_t)min_u64(len, VSOCK_BUF - at);
    iov_read(b->iov, b->out, sizeof(struct virtio_vsock_hdr), c->buf + at, first);
    iov_read(b->iov, b->out, sizeof(struct virtio_vsock_hdr) + first, c->buf, len - first);
    c->buf_used += len;
    conn_after_drain(c, conn_drain(c));
}

static void conn_response(struct vsock_conn *c)
{
    if (c->state != VSOCK_REQUESTED) {
        c->owed |= OWE_RST;
        return;
    }
    c->state = VSOCK_OPEN;
    if (!usock_welcome(c->fd, c->host_port))
        c->owed |= OWE_RST;
}

static void conn_packet(struct vsock_conn *c, const struct virtio_vsock_hdr *h,
                        const struct vq_chain *b)
{
    c->guest_alloc = le32_get(h->buf_alloc);
    c->guest_fwd = le32_get(h->fwd_cnt);
    switch (le16_get(h->op)) {
    case VIRTIO_VSOCK_OP_RESPONSE:
        conn_response(c);
        break;
    case VIRTIO_VSOCK_OP_RST:
        if (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_F_SEND)
            conn_leave(c); /* Linux, which waits 8 s for our answer to a close */
        else
            conn_free(c);
        return;
    case VIRTIO_VSOCK_OP_SHUTDOWN:
        c->guest_shut |=
            le32_get(h->flags) & (VIRTIO_VSOCK_SHUTDOWN_F_SEND | VIRTIO_VSOCK_SHUTDOWN_F_RECEIVE);
        conn_after_drain(c, conn_drain(c));
        break;
    case VIRTIO_VSOCK_OP_RW:
        conn_data(c, b, le32_get(h->len));
        break;
    case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
        break;
    case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
        c->owed |= OWE_CREDIT;
        break;
    default:
        c->owed |= OWE_RST;
        break;
    }
    conn_rewatch(c);
}

static void vsock_packet(struct vsock *s, const struct vq_chain *b)
{
    struct virtio_vsock_hdr h;
    struct vsock_conn *c;

    if (iov_read(b->iov, b->out, 0, &h, sizeof(h)) < sizeof(h) ||
        le32_get(h.len) > b->out_len - sizeof(h) || le64_get(h.src_cid) != s->cid) {
        guest_fault(&s->v.pci.dev, "a packet's header is wrong");
        return;
    }
    if (le64_get(h.dst_cid) != VSOCK_CID_HOST || le16_get(h.type) != VIRTIO_VSOCK_TYPE_STREAM) {
        vsock_refuse(s, &h);
        return;
    }
    c = conn_find(s, le32_get(h.dst_port), le32_get(h.src_port));
    if (le16_get(h.op) == VIRTIO_VSOCK_OP_REQUEST && !c)
        vsock_request(s, &h);
    else if (c)
        conn_packet(c, &h, b);
    else
        vsock_refuse(s, &h);
}

static void vsock_tx(struct vsock *s)
{
    struct virtio_queue *q = &s->v.q[VSOCK_TX];
    struct iovec iov[VSOCK_IOV];
    struct vq_chain b = {.iov = iov, .max = VSOCK_IOV};
    unsigned n = 0;

    while (s->v.running && q->vq.ready) {
        /* Answers that cannot be sent hold up questions. vsock_pump() comes back here. */
        if (s->orphans == VSOCK_ORPHANS)
            break;
        if (n++ == VSOCK_RING) {
            virtio_wake(q);
            break;
        }
        if (!virtio_pop(q, &b)) {
            if (s->v.running && vq_notify_on(&q->vq))
                continue;
            break;
        }
        vsock_packet(s, &b);
        vq_push(&q->vq, &b, 0);
    }
    virtio_flush(q);
}

static void vsock_kick(struct virtio *v, struct virtio_queue *q, bool on_loop)
{
    struct vsock *s = vsock_of(v);
    bool full = s->orphans == VSOCK_ORPHANS;

    if (q->index == VSOCK_TX)
        vsock_tx(s);
    vsock_pump(s);
    if (full && s->orphans < VSOCK_ORPHANS)
        virtio_wake(&v->q[VSOCK_TX]);
}

/* --- from the host --- */

/* true: c goes on. */
static bool conn_greeting(struct vsock_conn *c)
{
    uint32_t port;
    int rc = usock_hello(c->fd, &c->hello, &port);

    if (rc <= 0)
        return rc == 0;
    do {
        c->host_port = VSOCK_HOST_PORTS + c->s->next_port++ % VSOCK_HOST_PORTS;
    } while (conn_find(c->s, c->host_port, port));
    c->guest_port = port;
    c->state = VSOCK_REQUESTED;
    c->owed = OWE_REQUEST;
    return true;
}

static void conn_ready(struct watch *w, uint32_t got)
{
    struct vsock_conn *c = container_of(w, struct vsock_conn, watch);
    struct vsock *s = c->s;

    device_lock(&s->v.pci.dev);
    if (c->state == VSOCK_LEFT) {
        if (!conn_drain(c) || !c->buf_used)
            conn_free(c);
    } else if (!s->v.running) {
        /* the reset closes it soon */
    } else if (c->state == VSOCK_GREETING && !conn_greeting(c)) {
        conn_free(c);
    } else {
        if (got & EPOLLOUT || (got & (EPOLLHUP | EPOLLERR) && c->buf_used))
            conn_after_drain(c, conn_drain(c));
        if (c->state == VSOCK_OPEN && got & (EPOLLIN | EPOLLHUP | EPOLLERR))
            c->readable = true;
        if (got & EPOLLHUP && c->state == VSOCK_OPEN) /* closed, not only half of it */
            c->shut_told |= VIRTIO_VSOCK_SHUTDOWN_F_RECEIVE;
        conn_rewatch(c);
        vsock_pump(s);
    }
    device_unlock(&s->v.pci.dev);
}

static void vsock_accept(struct watch *w, uint32_t got)
{
    struct vsock *s = container_of(w, struct vsock, listener);
    int fd = usock_accept(w->fd);
    struct vsock_conn *c = NULL;

    if (fd < 0)
        return;
    device_lock(&s->v.pci.dev);
    if (s->v.running)
        c = conn_new(s, fd, VSOCK_GREETING);
    if (c)
        conn_rewatch(c);
    else
        close(fd);
    device_unlock(&s->v.pci.dev);
}

/* --- life --- */

static void vsock_close_all(void *arg)
{
    struct vsock *s = arg;

    device_lock(&s->v.pci.dev);
    for (struct vsock_conn *c = s->conns, *next; c; c = next) {
        next = c->next;
        if (c->state != VSOCK_LEFT)
            conn_leave(c);
    }
    virtio_release(&s->v, NULL);
    device_unlock(&s->v.pci.dev);
}

static void vsock_stop(struct virtio *v)
{
    struct vsock *s = vsock_of(v);

    s->spare_held = false;
    s->orphans = 0;
    virtio_hold(v, NULL);
    loop_post(v->pci.dev.env.loop, vsock_close_all, s);
}

static void vsock_stop_queue(struct virtio *v, struct virtio_queue *q)
{
    if (q->index == VSOCK_RX)
        vsock_of(v)->spare_held = false;
}

static void vsock_destroy(struct virtio *v)
{
    struct vsock *s = vsock_of(v);

    for (struct vsock_conn *c = s->conns, *next; c; c = next) {
        next = c->next;
        conn_free(c);
    }
    loop_unwatch(v->pci.dev.env.loop, &s->listener);
    usock_unlisten(s->listener.fd, s->path);
}

static void vsock_describe(struct virtio *v, struct dump *out)
{
    struct vsock *s = vsock_of(v);

    dump_add(out, "cid", "%llu", (unsigned long long)s->cid);
    dump_add(out, "socket", "%s, %u connections", s->path, s->count);
}

static const struct virtio_class vsock_class = {
    .ops = VIRTIO_DEVICE_OPS("virtio-vsock"),
    .id = VIRTIO_ID_SOCK,
    .pci_class = 0x078000,
    .stop = vsock_stop,
    .stop_queue = vsock_stop_queue,
    .kick = vsock_kick,
    .destroy = vsock_destroy,
    .describe = vsock_describe,
};

static int vsock_listen(struct vsock *s, const char *path, struct err *e)
{
    int rc, fd;

    /* "_" and ten digits must fit as well. */
    if (strlen(path) + 11 >= sizeof(s->path))
        return err_exit(e, EX_USAGE_, ENAMETOOLONG,
                        "vsock=%s is too long for a Unix socket; use a shorter path", path);
    rc = usock_listen(path, &fd, e);
    if (rc < 0)
        return err_wrap(e, "vsock");
    memcpy(s->path, path, strlen(path) + 1);
    s->listener = (struct watch){.fd = fd, .want = EPOLLIN, .ready = vsock_accept};
    return 0;
}

int vsock_create(const struct env *env, const struct virtio_options *o, uint64_t cid,
                 const char *path, struct err *e)
{
    struct vsock *s = calloc(1, sizeof(*s));
    int rc;

    if (!s)
        return err_set(e, ENOMEM, "no memory for a socket device");
    s->cid = cid;
    rc = vsock_listen(s, path, e);
    if (rc < 0) {
        free(s);
        return rc;
    }
    rc = virtio_init(&s->v, &vsock_class, env, VSOCK_QUEUES, VSOCK_RING, o, e);
    if (rc == 0) {
        ((struct virtio_vsock_config *)s->v.config)->guest_cid = le64_of(cid);
        s->v.config_len = sizeof(struct virtio_vsock_config);
        rc = loop_watch(env->loop, &s->listener);
        if (rc < 0)
            rc = err_set(e, -rc, "cannot watch vsock=%s: %s", path, strerror(-rc));
    }
    if (rc == 0)
        rc = virtio_attach(&s->v, o, e);
    if (rc < 0) {
        vsock_destroy(&s->v);
        virtio_fini(&s->v);
        free(s);
    }
    return rc;
}
