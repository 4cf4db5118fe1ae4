/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvsock.c - see hvsock.h. Facts: Linux net/vmw_vsock/hyperv_transport.c.
 *
 * Each connection is a channel of its own: the type is the service,
 * <port>-facb-11e6-bd58-64006a7986d3, the instance names the connection. Data are pipe messages;
 * one without bytes is the end of a direction. When both have ended the channel goes, but not what
 * the guest has not read yet. A guest that closes its channel has sent what lies in the ring: the
 * connection lives on without a channel until the host's program has taken that. Not modelled:
 * services that are not ports. Threads: the loop's.
 */
#include "hvsock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/err.h"
#include "core/usock.h"

enum { HVSOCK_MESSAGE = 16 << 10, HVSOCK_PACKET = 20 << 10, HVSOCK_MAX = 256 };
/* What is kept of a closed channel at most, twice the largest ring that Linux makes. */
enum { HVSOCK_KEEP = 512 << 10 };
enum { HVSOCK_RS5 = 1 };                    /* of an offer's parameters */
#define HVSOCK_OPEN_NS UINT64_C(5000000000) /* a guest without a listener never opens */
#define HVSOCK_LOOK_NS UINT64_C(1000000)    /* until it is looked whether the guest has read all */
#define HVSOCK_LOOK_LATE_NS UINT64_C(256000000) /* and at most */
/* An end as it lies in the ring: Linux sees it there and never takes it. */
enum {
    HVSOCK_END =
        sizeof(struct vmpacket_descriptor) + sizeof(struct vmbus_pipe_header) + VMBUS_PACKET_TRAILER
};

static const uint8_t hvsock_service[16] =
    WIRE_GUID(0, 0xfacb, 0x11e6, 0xbd, 0x58, 0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3);

struct hvconn {
    struct vmbus_channel c;
    struct hvsock *s;
    struct hvconn *next;
    struct watch w;
    struct alarm late;
    uint64_t look_ns; /* until it is looked again whether the guest has read all; 0: not yet */
    bool added, from_host, dead;
    bool closed;              /* by the guest: what is held goes to the socket, and then it ends */
    bool muted;               /* w is not watched: a socket that hung up is not silent otherwise */
    bool host_end, guest_end; /* that side will send no more */
    uint32_t port;
    struct usock_hello hello;
    uint8_t *held; /* of the guest's, not taken by the socket yet */
    size_t held_len;
};

struct hvsock {
    struct vmbus *b;
    char *path;
    struct watch listener;
    struct hvconn *conns;
    unsigned count;
    struct alarm reap;
};

static void conn_reap_soon(struct hvconn *k)
{
    loop_arm(k->s->b->loop, &k->s->reap, loop_now(k->s->b->loop));
}

static void conn_die(struct hvconn *k)
{
    if (k->dead)
        return;
    k->dead = true;
    conn_reap_soon(k);
}

static void conn_free(struct hvconn *k)
{
    struct loop *l = k->s->b->loop;

    loop_disarm(l, &k->late);
    if (k->w.fd >= 0) {
        loop_unwatch(l, &k->w);
        close(k->w.fd);
    }
    if (k->added)
        vmbus_remove(&k->c);
    k->s->count--;
    free(k->held);
    free(k);
}

static void hvsock_reap(struct alarm *a)
{
    struct hvsock *s = container_of(a, struct hvsock, reap);

    for (struct hvconn **at = &s->conns; *at;) {
        struct hvconn *k = *at;

        if (k->closed && k->added) {
            vmbus_remove(&k->c);
            k->added = false;
        }
        if (!k->dead) {
            at = &k->next;
            continue;
        }
        *at = k->next;
        k->dead = true;
        conn_free(k);
    }
}

static void conn_late(struct alarm *a)
{
    conn_die(container_of(a, struct hvconn, late));
}

/* Both sides have said all. Linux reads nothing from a channel that is gone, so that waits; a guest
 * that never reads closes its end by itself. */
static void conn_ended(struct hvconn *k)
{
    struct loop *l = k->s->b->loop;

    if (vmbus_untaken(&k->c) <= HVSOCK_END) {
        conn_die(k);
        return;
    }
    k->look_ns = min_u64(max_u64(2 * k->look_ns, HVSOCK_LOOK_NS), HVSOCK_LOOK_LATE_NS);
    loop_arm(l, &k->late, loop_now(l) + k->look_ns);
}

static void conn_look(struct alarm *a)
{
    conn_ended(container_of(a, struct hvconn, late));
}

/* The oldest of those that only wait for a side to read makes room for another. */
static void conn_make_room(struct hvsock *s)
{
    struct hvconn *oldest = NULL;

    for (struct hvconn *k = s->conns; k; k = k->next)
        oldest = (k->look_ns || k->closed) && !k->dead ? k : oldest;
    if (!oldest)
        return;
    conn_die(oldest);
    hvsock_reap(&s->reap);
}

static void conn_want(struct hvconn *k)
{
    struct loop *l = k->s->b->loop;
    uint32_t want = 0;
    int rc = 0;

    if (k->c.open && !k->host_end && !vmbus_congested(&k->c))
        want |= EPOLLIN;
    if (k->held_len)
        want |= EPOLLOUT;
    if (!k->muted) {
        rc = loop_rewatch(l, &k->w, want);
    } else if (want) {
        k->w.want = want;
        rc = loop_watch(l, &k->w);
        k->muted = rc < 0;
    }
    if (rc < 0)
        conn_die(k);
}

static void conn_mute(struct hvconn *k)
{
    loop_unwatch(k->s->b->loop, &k->w);
    k->muted = true;
}

/* --- to the guest --- */

static void conn_send(struct hvconn *k, const uint8_t *p, size_t n)
{
    struct vmbus_pipe_header h = {le32_of(VMBUS_PIPE_DATA), le32_of((uint32_t)n)};
    struct iovec iov[2] = {{&h, sizeof(h)}, {(void *)(uintptr_t)p, n}};

    vmbus_send(&k->c, VM_PKT_DATA_INBAND, 0, 0, NULL, 0, iov, 2);
    vmbus_flush(&k->c);
}

static void conn_read(struct hvconn *k)
{
    uint8_t buf[HVSOCK_MESSAGE];
    ssize_t n = read(k->w.fd, buf, sizeof(buf));

    if (n > 0) {
        conn_send(k, buf, (size_t)n);
    } else if (n == 0) {
        k->host_end = true;
        conn_send(k, buf, 0);
        if (k->guest_end)
            conn_ended(k);
    } else if (errno != EAGAIN && errno != EINTR) {
        conn_die(k);
    }
}

/* --- from the guest --- */

static void conn_flush_held(struct hvconn *k)
{
    ssize_t n = send(k->w.fd, k->held, k->held_len, MSG_NOSIGNAL);

    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR)
            conn_die(k);
        return;
    }
    k->held_len -= (size_t)n;
    memmove(k->held, k->held + n, k->held_len);
    if (k->held_len == 0 && k->closed)
        conn_die(k);
    else if (k->held_len == 0)
        vmbus_resume(&k->c);
}

/* *len bytes of data at p->data + 8; false: p is no message. */
static bool conn_message(struct vmbus_channel *c, const struct ring_packet *p, uint32_t *len)
{
    *len = p->data_len >= 8 ? le32_at(p->data + 4) : UINT32_MAX;
    if (p->type == VM_PKT_DATA_INBAND && range_in(8, *len, p->data_len))
        return true;
    vmbus_fault(c, "a message of %zu bytes is malformed", p->data_len);
    return false;
}

static void conn_packet(struct vmbus_channel *c, const struct ring_packet *p)
{
    struct hvconn *k = c->owner;
    uint32_t len;
    ssize_t n;

    if (!conn_message(c, p, &len))
        return;
    if (len == 0) {
        k->guest_end = true;
        (void)shutdown(k->w.fd, SHUT_WR);
        if (k->host_end)
            conn_ended(k);
        return;
    }
    n = send(k->w.fd, p->data + 8, len, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        conn_die(k);
        return;
    }
    n = n < 0 ? 0 : n;
    if ((size_t)n < len) {
        k->held_len = len - (size_t)n;
        memcpy(k->held, p->data + 8 + n, k->held_len);
        vmbus_pause(c);
        conn_want(k);
    }
}

static bool conn_open(struct vmbus_channel *c)
{
    struct hvconn *k = c->owner;

    loop_disarm(k->s->b->loop, &k->late);
    k->late.fire = conn_look;
    if (k->from_host && !usock_welcome(k->w.fd, k->port))
        return false;
    conn_want(k);
    return true;
}

/* Takes what lies in the ring of a channel that is being closed. */
static void conn_keep(struct hvconn *k)
{
    size_t room = k->held_len + min_u64(k->c.in.size, HVSOCK_KEEP);
    uint8_t *held = realloc(k->held, max_u64(room, HVSOCK_PACKET));
    struct ring_packet p;
    uint32_t len;

    if (!held)
        return;
    k->held = held;
    while (ring_take(&k->c.in, k->c.buf, HVSOCK_PACKET, &p) > 0 && conn_message(&k->c, &p, &len) &&
           len && len <= room - k->held_len) {
        memcpy(k->held + k->held_len, p.data + 8, len);
        k->held_len += len;
    }
}

static void conn_closed(struct vmbus_channel *c)
{
    struct hvconn *k = c->owner;

    if (k->dead || k->closed)
        return;
    k->closed = true;
    loop_disarm(k->s->b->loop, &k->late);
    conn_reap_soon(k);
    if (!k->guest_end && !c->broken)
        conn_keep(k);
    if (k->held_len)
        conn_flush_held(k);
    if (k->held_len && !k->dead)
        conn_want(k);
    else
        conn_die(k);
}

static void conn_released(struct vmbus_channel *c)
{
    struct hvconn *k = c->owner;

    if (!k->closed)
        conn_die(k);
}

static void conn_room(struct vmbus_channel *c)
{
    conn_want(c->owner);
}

static void conn_describe(struct vmbus_channel *c, struct dump *out)
{
    const struct hvconn *k = c->owner;

    dump_add(out, c->id, "port %u, opened by the %s", k->port, k->from_host ? "host" : "guest");
}

static const struct vmbus_class hvsock_class = {
    .name = "hvsock",
    .packet_max = HVSOCK_PACKET,
    .unanswered = true, /* else a guest that writes before it reads, and we, would wait for good */
    .open = conn_open,
    .close = conn_closed,
    .packet = conn_packet,
    .released = conn_released,
    .room = conn_room,
    .describe = conn_describe,
};

/* --- connections --- */

static bool conn_offer(struct hvconn *k, const uint8_t instance[16])
{
    struct err e;

    k->c = (struct vmbus_channel){
        .class = &hvsock_class,
        .id = "hvsock",
        .flags = VMBUS_CHANNEL_ENUMERATE_DEVICE_INTERFACE | VMBUS_CHANNEL_NAMED_PIPE_MODE |
                 VMBUS_CHANNEL_TLNPI_PROVIDER_OFFER,
        .owner = k,
    };
    memcpy(k->c.type, hvsock_service, 16);
    le32_put(k->c.type, k->port);
    memcpy(k->c.instance, instance, 16);
    k->c.user_def[4] = k->from_host;
    k->c.user_def[6] = HVSOCK_RS5; /* a silo's GUID follows, here none */
    loop_arm(k->s->b->loop, &k->late, loop_now(k->s->b->loop) + HVSOCK_OPEN_NS);
    k->added = vmbus_add(k->s->b, &k->c, &e) == 0;
    return k->added;
}

static void conn_hello(struct hvconn *k)
{
    uint8_t instance[16];
    int rc = usock_hello(k->w.fd, &k->hello, &k->port);

    if (rc == 0)
        return;
    if (rc > 0 && getrandom(instance, sizeof(instance), 0) == sizeof(instance) &&
        conn_offer(k, instance))
        conn_want(k);
    else
        conn_die(k);
}

/* The socket has something to read, or its other end is closed. */
static void conn_hear(struct hvconn *k)
{
    if (k->c.open && !k->host_end && !vmbus_congested(&k->c)) {
        conn_read(k);
        return;
    }
    conn_mute(k); /* until there is room for what is left in it */
    if (k->host_end && k->held_len)
        conn_die(k);
    else if (k->host_end && !k->look_ns)
        conn_ended(k);
}

static void conn_ready(struct watch *w, uint32_t got)
{
    struct hvconn *k = container_of(w, struct hvconn, w);

    if (k->dead)
        return;
    if (!k->added && !k->closed) {
        conn_hello(k);
        return;
    }
    if (got & EPOLLOUT && k->held_len)
        conn_flush_held(k);
    if (got & (EPOLLIN | EPOLLHUP | EPOLLERR) && !k->dead)
        conn_hear(k);
    if (!k->dead)
        conn_want(k);
}

/* Takes fd over. */
static struct hvconn *conn_new(struct hvsock *s, int fd, bool from_host)
{
    struct hvconn *k;

    if (s->count >= HVSOCK_MAX)
        conn_make_room(s);
    k = s->count < HVSOCK_MAX ? calloc(1, sizeof(*k)) : NULL;
    if (k)
        k->held = malloc(HVSOCK_PACKET);
    if (k && k->held) {
        k->w = (struct watch){.fd = fd, .want = from_host ? EPOLLIN : 0, .ready = conn_ready};
        k->late.fire = conn_late;
        k->s = s;
        k->from_host = from_host;
    }
    if (!k || !k->held || loop_watch(s->b->loop, &k->w) < 0) {
        close(fd);
        if (k)
            free(k->held);
        free(k);
        return NULL;
    }
    k->next = s->conns;
    s->conns = k;
    s->count++;
    return k;
}

static void hvsock_accept(struct watch *w, uint32_t got)
{
    struct hvsock *s = container_of(w, struct hvsock, listener);
    int fd = usock_accept(w->fd);

    (void)got;
    if (fd >= 0)
        (void)conn_new(s, fd, true);
}

/* The guest wants to reach a listener of the host's. */
static bool hvsock_connect(void *arg, const uint8_t endpoint[16], const uint8_t service[16])
{
    struct hvsock *s = arg;
    struct hvconn *k;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    struct err e;
    int fd;

    if (memcmp(service + 4, hvsock_service + 4, 12) != 0 ||
        snprintf(path, sizeof(path), "%s_%u", s->path, le32_at(service)) >= (int)sizeof(path) ||
        usock_connect(path, &fd, &e) < 0)
        return false;
    k = conn_new(s, fd, false);
    if (!k)
        return false;
    k->port = le32_at(service);
    if (conn_offer(k, endpoint))
        return true;
    conn_die(k);
    return false;
}

/* --- life --- */

int hvsock_create(struct vmbus *b, const char *path, struct hvsock **out, struct err *e)
{
    struct hvsock *s = calloc(1, sizeof(*s));
    int rc;

    if (s)
        s->path = strdup(path);
    if (!s || !s->path) {
        free(s);
        return err_set(e, ENOMEM, "no memory for guest sockets");
    }
    s->b = b;
    s->reap.fire = hvsock_reap;
    s->listener = (struct watch){.fd = -1, .want = EPOLLIN, .ready = hvsock_accept};
    rc = usock_listen(path, &s->listener.fd, e);
    if (rc == 0) {
        rc = loop_watch(b->loop, &s->listener);
        if (rc < 0)
            rc = err_set(e, -rc, "cannot watch %s: %s", path, strerror(-rc));
    }
    if (rc < 0) {
        usock_unlisten(s->listener.fd, path);
        free(s->path);
        free(s);
        return rc;
    }
    b->tl_connect = hvsock_connect;
    b->tl_arg = s;
    *out = s;
    return 0;
}

void hvsock_destroy(struct hvsock *s)
{
    if (!s)
        return;
    s->b->tl_connect = NULL;
    for (struct hvconn *k = s->conns, *next; k; k = next) {
        next = k->next;
        k->dead = true;
        conn_free(k);
    }
    loop_disarm(s->b->loop, &s->reap);
    loop_unwatch(s->b->loop, &s->listener);
    usock_unlisten(s->listener.fd, s->path);
    free(s->path);
    free(s);
}
