/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uring.c - see uring.h.
 *
 * Requests of one round of the loop are gathered and handed over in one system call by an alarm
 * that is due at once; what the page cache could answer is complete when that call returns and
 * goes home in the same round. The rest wakes the loop through the ring's own descriptor.
 */
#define _GNU_SOURCE
#include "storage/uring.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/epoll.h>

enum { URING_ENTRIES = 128 };
static const uint64_t retry_ns = 1000000;

struct uring {
    struct io_uring ring;
    struct watch w;
    struct alarm kick;
    struct loop *loop;
    int fd;
    void (*done)(struct disk_req *r, int res);
    struct disk_req *head, **tail; /* found no room in the queue */
};

static void reap(struct uring *u)
{
    struct io_uring_cqe *cqe;

    while (io_uring_peek_cqe(&u->ring, &cqe) == 0) {
        struct disk_req *r = io_uring_cqe_get_data(cqe);
        int res = cqe->res;

        io_uring_cqe_seen(&u->ring, cqe);
        u->done(r, res);
    }
}

static void fill(struct uring *u, struct io_uring_sqe *sqe, struct disk_req *r)
{
    switch (r->op) {
    case DISK_READ:
        if (r->iovcnt == 1)
            io_uring_prep_read(sqe, u->fd, r->iov->iov_base, (unsigned)r->iov->iov_len, r->off);
        else
            io_uring_prep_readv(sqe, u->fd, r->iov, r->iovcnt, r->off);
        break;
    case DISK_WRITE:
        if (r->iovcnt == 1)
            io_uring_prep_write(sqe, u->fd, r->iov->iov_base, (unsigned)r->iov->iov_len, r->off);
        else
            io_uring_prep_writev(sqe, u->fd, r->iov, r->iovcnt, r->off);
        break;
    default:
        io_uring_prep_fsync(sqe, u->fd, IORING_FSYNC_DATASYNC);
        break;
    }
    io_uring_sqe_set_data(sqe, r);
}

static bool place(struct uring *u, struct disk_req *r)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

    if (sqe)
        fill(u, sqe, r);
    return sqe;
}

static void kick(struct alarm *a)
{
    struct uring *u = container_of(a, struct uring, kick);
    int rc;

    do {
        rc = io_uring_submit(&u->ring);
        while (rc >= 0 && u->head && place(u, u->head))
            u->head = u->head->next;
    } while (rc > 0 && io_uring_sq_ready(&u->ring));
    if (io_uring_sq_ready(&u->ring)) /* the kernel is short of memory, or its queue is full */
        loop_arm(u->loop, &u->kick, loop_now(u->loop) + retry_ns);
    reap(u);
}

void uring_queue(struct uring *u, struct disk_req *r)
{
    if (u->head || !place(u, r)) {
        r->next = NULL;
        if (!u->head)
            u->tail = &u->head;
        *u->tail = r;
        u->tail = &r->next;
    }
    if (!u->kick.at)
        loop_arm(u->loop, &u->kick, 0);
}

static void ready(struct watch *w, uint32_t got)
{
    (void)got;
    reap(container_of(w, struct uring, w));
}

int uring_create(struct loop *l, int fd, void (*done)(struct disk_req *r, int res),
                 struct uring **out)
{
    struct uring *u = calloc(1, sizeof(*u));
    int rc;

    if (!u)
        return -ENOMEM;
    rc = io_uring_queue_init(URING_ENTRIES, &u->ring, IORING_SETUP_COOP_TASKRUN);
    if (rc == -EINVAL) /* before Linux 5.19 */
        rc = io_uring_queue_init(URING_ENTRIES, &u->ring, 0);
    if (rc < 0) {
        free(u);
        return rc;
    }
    u->loop = l;
    u->fd = fd;
    u->done = done;
    u->kick.fire = kick;
    u->w.fd = u->ring.ring_fd;
    u->w.want = EPOLLIN;
    u->w.ready = ready;
    rc = loop_watch(l, &u->w);
    if (rc < 0) {
        io_uring_queue_exit(&u->ring);
        free(u);
        return rc;
    }
    *out = u;
    return 0;
}

void uring_destroy(struct uring *u)
{
    if (!u)
        return;
    loop_disarm(u->loop, &u->kick);
    loop_unwatch(u->loop, &u->w);
    io_uring_queue_exit(&u->ring);
    free(u);
}
