/* SPDX-License-Identifier: Apache-2.0 */
/* handover.c - see handover.h. */
#include "personas/vmware/handover.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "core/bell.h"

enum { DRAIN_SECONDS = 2, IOV_LEAST = 8 };

static void fly(struct handover *o, struct handed *h)
{
    h->next = o->flying;
    h->at = &o->flying;
    if (h->next)
        h->next->at = &h->next;
    o->flying = h;
}

static void land(struct handed *h)
{
    *h->at = h->next;
    if (h->next)
        h->next->at = h->at;
}

static void ended(struct handover *o)
{
    if (--o->inflight == 0)
        pthread_cond_broadcast(&o->drained);
}

static void command_done(struct scsi_req *s)
{
    struct handed *h = container_of(s, struct handed, scsi);
    struct handover *o = s->owner;

    pthread_mutex_lock(o->lock);
    land(h);
    o->served++;
    ended(o);
    o->done(h);
    pthread_mutex_unlock(o->lock);
}

static void kicked(struct watch *w, uint32_t got)
{
    struct handover *o = container_of(w, struct handover, kick);
    struct handed *h, *next;

    (void)got;
    bell_take(w->fd);
    pthread_mutex_lock(o->lock);
    h = o->waiting;
    o->waiting = NULL;
    o->wait_end = &o->waiting;
    for (; h; h = next) {
        next = h->next;
        if (!h->target) {
            o->turn(h);
            continue;
        }
        fly(o, h);
        h->scsi.owner = o;
        h->scsi.done = command_done;
        scsi_submit(h->target, &h->scsi);
    }
    pthread_mutex_unlock(o->lock);
}

void handover_give(struct handover *o, struct handed *h)
{
    bool first = !o->waiting;

    h->next = NULL;
    *o->wait_end = h;
    o->wait_end = &h->next;
    o->inflight++;
    if (first)
        bell_ring(o->kick.fd);
}

void handover_end(struct handover *o)
{
    ended(o);
}

static bool handover_busy(void *arg)
{
    struct handover *o = arg;
    bool any;

    pthread_mutex_lock(o->lock);
    any = o->inflight;
    pthread_mutex_unlock(o->lock);
    return any;
}

/* What waits is submitted by the loop. */
void handover_finish(struct handover *o)
{
    loop_drain(o->loop, o->what, handover_busy, o);
}

void handover_drain(struct handover *o)
{
    struct timespec until;

    if (loop_is_mine(o->loop)) {
        pthread_mutex_unlock(o->lock);
        handover_finish(o);
        pthread_mutex_lock(o->lock);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += DRAIN_SECONDS;
    while (o->inflight && pthread_cond_timedwait(&o->drained, o->lock, &until) != ETIMEDOUT)
        ;
}

int handed_add(struct handed *h, struct gmem *m, gpa_t at, uint64_t len, bool write, unsigned most,
               size_t *count)
{
    int rc = gmem_map(m, at, len, write, h->iov, h->iov_room, count);

    while (rc == -E2BIG && h->iov_room < most) {
        unsigned room = h->iov_room ? h->iov_room * 2 : IOV_LEAST;
        struct iovec *iov = reallocarray(h->iov, room, sizeof(*iov));

        if (!iov)
            return -ENOMEM;
        h->iov = iov;
        h->iov_room = room;
        rc = gmem_map(m, at, len, write, h->iov, h->iov_room, count);
    }
    return rc;
}

int handover_init(struct handover *o, struct loop *l, pthread_mutex_t *lock)
{
    pthread_condattr_t attr;

    o->loop = l;
    o->lock = lock;
    o->wait_end = &o->waiting;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&o->drained, &attr);
    pthread_condattr_destroy(&attr);
    o->kick = (struct watch){.want = EPOLLIN, .ready = kicked};
    o->kick.fd = bell_make();
    return o->kick.fd < 0 ? -errno : loop_watch(l, &o->kick);
}

void handover_destroy(struct handover *o, void (*drop)(struct handed *h))
{
    loop_unwatch(o->loop, &o->kick);
    if (o->kick.fd >= 0)
        close(o->kick.fd);
    while (o->waiting) {
        struct handed *h = o->waiting;

        o->waiting = h->next;
        drop(h);
    }
    pthread_cond_destroy(&o->drained);
}
