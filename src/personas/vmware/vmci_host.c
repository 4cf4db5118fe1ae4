/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmci_host.c - sockets over VMCI, as the host's programs see them: unix sockets and bytes.
 *
 * Bytes go between a socket and the guest's pages without a copy. What the host does not read stays
 * in the guest's queue, what the guest does not read stays in the host's socket. A guest that
 * closes leaves what it had sent in memory of ours, one queue at most, until the host has read it.
 *
 * A guest tells when its queue was empty, with an exit for each byte of that packet. One that sends
 * much would do so for every write, so its queue is not shown to be empty for a while: the last
 * byte stays, for it to see, and the loop looks by itself.
 *
 * Threads: the loop's, under the device's lock.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/err.h"
#include "personas/vmware/vmci_priv.h"

#define LATE_NS UINT64_C(5000000000)         /* a guest whose driver knows no sockets is silent */
#define SETTLE_NS UINT64_C(200000000)        /* until it must know that it is connected */
#define FIRST_HOST_PORT UINT32_C(0x40000000) /* of programs that connected to PATH */
#define STREAM_NS UINT64_C(20000000)         /* between packets of a guest that sends much */
#define POLL_NS UINT64_C(500000)
enum { STREAM_BYTES = 1024, POLLS = 4 };
enum { ROUNDS = 8 }; /* of one connection before the others have a turn */

static void conn_ready(struct watch *w, uint32_t got);
static void conn_late(struct alarm *a);
static void conn_poll(struct alarm *a);

/* --- the socket --- */

static void conn_mute(struct vmci_conn *c)
{
    if (c->watched)
        loop_unwatch(vmci_loop(c->v), &c->w);
    c->watched = false;
}

static void conn_hang_up(struct vmci_conn *c)
{
    conn_mute(c);
    if (c->w.fd >= 0)
        close(c->w.fd);
    c->w.fd = -1;
}

/* Watches for what the connection can make use of. One that has hung up says so for ever. */
static void conn_watch(struct vmci_conn *c, uint32_t want)
{
    struct loop *l = vmci_loop(c->v);
    int rc = 0;

    if (c->w.fd < 0)
        return;
    if (want == 0 && c->hung_up) {
        conn_mute(c);
    } else if (c->watched) {
        rc = c->w.want == want ? 0 : loop_rewatch(l, &c->w, want);
    } else {
        c->w.want = want;
        rc = loop_watch(l, &c->w);
        c->watched = rc == 0;
    }
    if (rc < 0 && c->state == CONN_OPEN)
        vmci_conn_reset(c);
    else if (rc < 0)
        vmci_conn_die(c);
}

/* Neither side will say anything more. */
static void conn_over(struct vmci_conn *c)
{
    conn_hang_up(c);
    c->shut = RCV_SHUTDOWN | SEND_SHUTDOWN;
    vmci_conn_owe(c, OWE_SHUTDOWN | OWE_DETACHED);
}

/* The host's program takes nothing more; what it had sent still goes to the guest. */
static void conn_host_deaf(struct vmci_conn *c)
{
    c->passed_end = true;
    c->shut |= RCV_SHUTDOWN;
    if (c->state == CONN_OPEN)
        vmci_conn_owe(c, OWE_SHUTDOWN);
}

/* --- from the guest --- */

static bool send_iov(struct vmci_conn *c, struct iovec *iov, size_t cnt, uint32_t *done)
{
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = cnt};
    ssize_t n = sendmsg(c->w.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);

    *done = n > 0 ? (uint32_t)n : 0;
    return n >= 0 || errno == EAGAIN || errno == EINTR;
}

static void owe_read(struct vmci_conn *c, uint32_t ready)
{
    if (c->guest_waits_to_send && ready < c->qp->produce_size - 1) {
        c->guest_waits_to_send = false;
        vmci_conn_owe(c, OWE_READ);
    }
}

/* Shows the guest that n more bytes are gone; what waits then is the new `ready`. */
static bool show_taken(struct vmci_conn *c, uint32_t n, uint32_t *ready)
{
    struct vmci_qp *q = c->qp;
    uint32_t was = q->shown, room;

    c->head_wraps += q->head + n >= q->produce_size;
    if (!vmci_qp_took(c->v, q, n, c->polling) || !vmci_qp_look(c->v, q, ready, &room) ||
        (*ready && q->shown != q->head && !vmci_qp_took(c->v, q, 0, false))) {
        vmci_conn_reset(c);
        return false;
    }
    /* It was full: the guest may have gone to sleep over that. */
    if (!c->old_protocol &&
        (q->head + q->produce_size - was) % q->produce_size + *ready == q->produce_size - 1)
        c->guest_waits_to_send = true;
    owe_read(c, *ready);
    return true;
}

/* Passes on up to `ready` bytes, and what has come meanwhile is the new `ready`. false: c is not
 * open any more, or nothing went. */
static bool take_some(struct vmci_conn *c, uint32_t *ready)
{
    struct iovec iov[VMCI_QUEUE_PIECES];
    uint32_t done;
    int cnt = vmci_qp_map(c->v, c->qp, false, *ready, iov);

    if (cnt < 0) {
        vmci_conn_reset(c);
        return false;
    }
    if (!send_iov(c, iov, (size_t)cnt, &done))
        conn_host_deaf(c);
    return done != 0 && show_taken(c, done, ready);
}

/* Before `ready` bytes are taken: shall the loop look by itself from now on? */
static void pace(struct vmci_conn *c, uint32_t ready)
{
    uint64_t now = loop_now(vmci_loop(c->v));

    if (c->old_protocol || c->qp->produce_size < VMCI_PAGE_SIZE)
        return;
    if (c->wrote && c->wrote_before && ready >= STREAM_BYTES && now - c->wrote_at < STREAM_NS)
        c->polling = true;
    if (c->wrote) {
        c->wrote = false;
        c->wrote_before = true;
        c->wrote_at = now;
    }
    if (ready)
        c->polls = POLLS;
}

/* After all was taken: when it is looked again. */
static void pace_next(struct vmci_conn *c)
{
    uint32_t ready;

    if (!c->polling)
        return;
    if (c->polls && !c->passed_end) {
        loop_arm(vmci_loop(c->v), &c->poll, loop_now(vmci_loop(c->v)) + POLL_NS);
        return;
    }
    c->polling = false;
    if (show_taken(c, 0, &ready) && ready)
        vmci_conn_todo(c);
}

static void pass_end(struct vmci_conn *c)
{
    if (c->guest_shut & SEND_SHUTDOWN && !c->passed_end) {
        c->passed_end = true;
        (void)shutdown(c->w.fd, SHUT_WR);
    }
}

/* true: bytes are left that the socket does not take now. */
static bool conn_take(struct vmci_conn *c)
{
    uint32_t ready, room, rounds = 0;

    if (!vmci_qp_look(c->v, c->qp, &ready, &room)) {
        vmci_conn_reset(c);
        return false;
    }
    owe_read(c, ready);
    pace(c, ready);
    while (ready && !c->passed_end) {
        if (rounds++ == ROUNDS) {
            vmci_conn_todo(c);
            return false;
        }
        if (!take_some(c, &ready))
            return c->state == CONN_OPEN && !c->passed_end;
    }
    pass_end(c);
    pace_next(c);
    if (c->old_protocol && !c->said_waiting_read && !c->passed_end) {
        c->said_waiting_read = true;
        vmci_conn_owe(c, OWE_WAITING_READ);
    }
    return false;
}

/* --- to the guest --- */

static void conn_host_ended(struct vmci_conn *c)
{
    c->host_end = true;
    c->shut |= SEND_SHUTDOWN;
    vmci_conn_owe(c, OWE_SHUTDOWN);
}

static void owe_wrote(struct vmci_conn *c, uint32_t used)
{
    if (c->guest_waits_to_read && used) {
        c->guest_waits_to_read = false;
        vmci_conn_owe(c, OWE_WROTE);
    }
}

/* Reads up to `room` bytes from the socket; what is left is the new `room`. false: no more now. */
static bool give_some(struct vmci_conn *c, uint32_t *room)
{
    struct iovec iov[VMCI_QUEUE_PIECES];
    struct vmci_qp *q = c->qp;
    uint32_t ready, used;
    int cnt = vmci_qp_map(c->v, q, true, *room, iov);
    ssize_t n;

    if (cnt < 0) {
        vmci_conn_reset(c);
        return false;
    }
    n = readv(c->w.fd, iov, cnt);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        conn_host_ended(c);
    if (n <= 0)
        return false;
    c->tail_wraps += q->tail + (uint32_t)n >= q->consume_size;
    if (!vmci_qp_gave(c->v, q, (uint32_t)n) || !vmci_qp_look(c->v, q, &ready, room)) {
        vmci_conn_reset(c);
        return false;
    }
    used = q->consume_size - 1 - *room;
    /* It was empty: the guest may have gone to sleep over that. */
    if (!c->old_protocol && used == (uint32_t)n)
        c->guest_waits_to_read = true;
    owe_wrote(c, used);
    return true;
}

/* true: there is room, and nothing in the socket. */
static bool conn_give(struct vmci_conn *c)
{
    uint32_t ready, room, used, rounds = 0;

    if (!vmci_qp_look(c->v, c->qp, &ready, &room)) {
        vmci_conn_reset(c);
        return false;
    }
    used = c->qp->consume_size - 1 - room;
    if (!c->settled && (c->tail_wraps || used != c->qp->tail))
        vmci_conn_settled(c); /* it has read something */
    owe_wrote(c, used);
    while (room && !c->host_end) {
        if (rounds++ == ROUNDS) {
            vmci_conn_todo(c);
            return false;
        }
        if (!give_some(c, &room))
            return c->state == CONN_OPEN && !c->host_end;
    }
    if (c->old_protocol && room == 0 && !c->host_end && !c->said_waiting_write) {
        c->said_waiting_write = true;
        vmci_conn_owe(c, OWE_WAITING_WRITE);
    }
    return false;
}

/* --- states --- */

static void conn_open(struct vmci_conn *c)
{
    bool more, wants;

    if (c->w.fd < 0)
        return;
    more = conn_take(c);
    if (c->state != CONN_OPEN)
        return;
    if (c->guest_shut & RCV_SHUTDOWN && !c->host_end) {
        c->host_end = true; /* what the host sends has nobody to read it */
        (void)shutdown(c->w.fd, SHUT_RD);
    }
    wants = conn_give(c);
    if (c->state != CONN_OPEN)
        return;
    if (c->host_end && (c->passed_end || c->hung_up))
        conn_over(c);
    else
        conn_watch(c, (more ? EPOLLOUT : 0U) | (wants ? EPOLLIN : 0U));
}

/* The guest has closed: the rest of what it sent. */
static void conn_left(struct vmci_conn *c)
{
    while (c->held_at < c->held_len) {
        struct iovec iov = {c->held + c->held_at, c->held_len - c->held_at};
        uint32_t done;

        if (c->passed_end || !send_iov(c, &iov, 1, &done))
            break;
        if (done == 0) {
            conn_watch(c, EPOLLOUT);
            return;
        }
        c->held_at += done;
    }
    vmci_conn_die(c);
}

static void conn_socket(struct vmci_conn *c, int fd)
{
    c->w = (struct watch){.fd = fd, .ready = conn_ready};
    c->late.fire = conn_late;
    c->poll.fire = conn_poll;
}

static void conn_call(struct vmci_conn *c)
{
    char path[sizeof(c->v->path) + 12];
    struct err e;
    int fd;

    snprintf(path, sizeof(path), "%s_%u", c->v->path, c->host_port);
    if (usock_connect(path, &fd, &e) < 0) {
        vmci_conn_reset(c);
        return;
    }
    conn_socket(c, fd);
    c->state = CONN_NEGOTIATED;
    loop_arm(vmci_loop(c->v), &c->late, loop_now(vmci_loop(c->v)) + LATE_NS);
    vmci_conn_owe(c, OWE_NEGOTIATE);
}

static void conn_hello(struct vmci_conn *c)
{
    uint32_t port;
    int rc = usock_hello(c->w.fd, &c->hello, &port);

    if (rc == 0) {
        conn_watch(c, EPOLLIN);
        return;
    }
    if (rc < 0) {
        vmci_conn_die(c);
        return;
    }
    do {
        c->host_port = FIRST_HOST_PORT + c->v->next_port++ % FIRST_HOST_PORT;
    } while (vmci_conn_find(c->v, c->host_port, port));
    c->guest_port = port;
    c->size = VMCI_QUEUE_MAX;
    c->state = CONN_REQUESTED;
    loop_arm(vmci_loop(c->v), &c->late, loop_now(vmci_loop(c->v)) + LATE_NS);
    vmci_conn_owe(c, OWE_REQUEST);
    conn_watch(c, 0);
}

/* The alarm was for the handshake, and is for the time that the guest is left in peace after it. */
static void conn_settle(struct vmci_conn *c)
{
    struct loop *l = vmci_loop(c->v);

    if (c->settled || !c->settling)
        loop_disarm(l, &c->late);
    if (!c->settled && !c->settling && c->attach_told) {
        c->settling = true;
        loop_arm(l, &c->late, loop_now(l) + SETTLE_NS);
    }
}

static void conn_run(struct vmci_conn *c)
{
    if (c->welcome && (c->state == CONN_OPEN || c->state == CONN_LEFT)) {
        c->welcome = false;
        if (!usock_welcome(c->w.fd, c->host_port))
            conn_host_deaf(c);
    }
    switch (c->state) {
    case CONN_HELLO:
        conn_hello(c);
        break;
    case CONN_ASKED:
        conn_call(c);
        break;
    case CONN_OPEN:
        conn_settle(c);
        conn_open(c);
        break;
    case CONN_LEFT:
        conn_left(c);
        break;
    case CONN_RESET:
        conn_hang_up(c);
        break;
    case CONN_REQUESTED:
    case CONN_OFFERED:
    case CONN_NEGOTIATED:
        conn_watch(c, 0);
        break;
    case CONN_DEAD:
        break;
    }
}

static void conn_free(struct vmci_conn *c)
{
    struct vmci_conn **at = &c->v->conns;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    c->v->count--;
    conn_hang_up(c);
    loop_disarm(vmci_loop(c->v), &c->late);
    loop_disarm(vmci_loop(c->v), &c->poll);
    free(c->held);
    free(c);
}

void vmci_host_work(struct task *t)
{
    struct vmci *v = container_of(t, struct vmci, work);

    device_lock(&v->pci.dev);
    for (struct vmci_conn *c = v->conns, *next; c; c = next) {
        next = c->next;
        if (c->todo && c->state != CONN_DEAD) {
            c->todo = false;
            conn_run(c);
        }
        if (c->state == CONN_DEAD)
            conn_free(c);
    }
    device_unlock(&v->pci.dev);
}

static void conn_late(struct alarm *a)
{
    struct vmci_conn *c = container_of(a, struct vmci_conn, late);

    device_lock(&c->v->pci.dev);
    if (c->state < CONN_OPEN)
        vmci_conn_reset(c);
    else if (c->state == CONN_OPEN)
        vmci_conn_settled(c);
    device_unlock(&c->v->pci.dev);
}

static void conn_poll(struct alarm *a)
{
    struct vmci_conn *c = container_of(a, struct vmci_conn, poll);

    device_lock(&c->v->pci.dev);
    if (c->state == CONN_OPEN) {
        c->polls -= c->polls != 0;
        conn_run(c);
    }
    device_unlock(&c->v->pci.dev);
}

static void conn_ready(struct watch *w, uint32_t got)
{
    struct vmci_conn *c = container_of(w, struct vmci_conn, w);

    device_lock(&c->v->pci.dev);
    if (got & (EPOLLHUP | EPOLLERR))
        c->hung_up = true;
    if (c->state != CONN_DEAD)
        conn_run(c);
    device_unlock(&c->v->pci.dev);
}

/* --- life --- */

static void host_accept(struct watch *w, uint32_t got)
{
    struct vmci *v = container_of(w, struct vmci, listener);
    int fd = usock_accept(w->fd);
    struct vmci_conn *c = NULL;

    (void)got;
    if (fd < 0)
        return;
    device_lock(&v->pci.dev);
    if (vmci_up(v))
        c = vmci_conn_new(v, CONN_HELLO);
    if (c) {
        conn_socket(c, fd);
        c->from_host = true;
        conn_hello(c);
    } else {
        close(fd);
    }
    device_unlock(&v->pci.dev);
}

int vmci_host_listen(struct vmci *v, const char *path, struct err *e)
{
    int rc;

    v->work.run = vmci_host_work;
    v->listener = (struct watch){.fd = -1, .want = EPOLLIN, .ready = host_accept};
    /* "_" and ten digits must fit as well. */
    if (strlen(path) + 11 >= sizeof(v->path))
        return err_exit(e, EX_USAGE_, ENAMETOOLONG,
                        "vsock=%s is too long for a Unix socket; use a shorter path", path);
    memcpy(v->path, path, strlen(path) + 1);
    rc = usock_listen(path, &v->listener.fd, e);
    if (rc < 0)
        return rc;
    rc = loop_watch(vmci_loop(v), &v->listener);
    return rc < 0 ? err_set(e, -rc, "cannot watch %s: %s", path, strerror(-rc)) : 0;
}

void vmci_host_close(struct vmci *v)
{
    loop_forget(vmci_loop(v), &v->work);
    for (struct vmci_conn *c = v->conns, *next; c; c = next) {
        next = c->next;
        conn_free(c);
    }
    loop_unwatch(vmci_loop(v), &v->listener);
    usock_unlisten(v->listener.fd, v->path);
}
