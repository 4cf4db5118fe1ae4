/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.c - the rules every disk keeps: checks before a request is started, one completion after,
 * never from inside submit.
 *
 * Three ways home for a completion: at once (disk_finish, from a callback of the loop), late
 * (disk_finish_later, from inside submit: an alarm of this round), and far (disk_finish_far, from
 * a worker thread: a list behind an eventfd).
 */
#define _GNU_SOURCE
#include "storage/disk.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/bell.h"
#include "core/err.h"
#include "core/iov.h"

struct disk_async {
    struct watch w;
    struct disk *d;
    pthread_mutex_t lock;
    struct disk_req *head, **tail; /* guarded by lock */
};

static void count(uint64_t *n, uint64_t by)
{
    __atomic_fetch_add(n, by, __ATOMIC_RELAXED);
}

static void account(struct disk *d, const struct disk_req *r, int res)
{
    count(&d->stats.ops[r->op], 1);
    if (res < 0)
        count(&d->stats.errors, 1);
    else
        count(&d->stats.bytes[r->op], r->len);
}

/* 0, or what the request gets instead of being started. */
static int check(const struct disk *d, const struct disk_req *r)
{
    const struct disk_shape *s = &d->shape;

    if (r->op == DISK_FLUSH)
        return 0;
    if (r->op != DISK_READ && s->readonly)
        return -EROFS;
    if ((r->off | r->len) & (s->logical - 1) || r->iovcnt > DISK_IOV_MAX)
        return -EINVAL;
    if (!range_in(r->off, r->len, s->grows ? INT64_MAX : s->bytes))
        return -EINVAL;
    return 0;
}

void disk_init(struct disk *d, const struct disk_ops *ops, struct loop *l)
{
    d->ops = ops;
    d->loop = l;
    d->late_tail = &d->late_head;
}

void disk_fini(struct disk *d)
{
    struct disk_async *a = d->async;

    free(d->path);
    d->path = NULL;
    if (!a)
        return;
    loop_unwatch(d->loop, &a->w);
    pthread_mutex_lock(&a->lock); /* a worker may still be on its way out of disk_finish_far() */
    pthread_mutex_unlock(&a->lock);
    close(a->w.fd);
    pthread_mutex_destroy(&a->lock);
    free(a);
    d->async = NULL;
}

void disk_submit(struct disk *d, struct disk_req *r)
{
    int res = check(d, r);

    r->disk = d;
    r->next = NULL;
    d->inflight++;
    if (res < 0 || (r->len == 0 && r->op != DISK_FLUSH))
        disk_finish_later(d, r, res);
    else if (d->ops->submit)
        d->ops->submit(d, r);
    else
        disk_work(d, r);
}

int disk_try(struct disk *d, struct disk_req *r)
{
    int res;

    if (!d->ops->try)
        return -EAGAIN;
    res = check(d, r);
    if (res == 0 && (r->len || r->op == DISK_FLUSH))
        res = d->ops->try(d, r);
    if (res != -EAGAIN)
        account(d, r, res);
    return res;
}

int disk_now(struct disk *d, struct disk_req *r)
{
    int res = check(d, r);

    if (res == 0 && (r->len || r->op == DISK_FLUSH))
        res = d->ops->now(d, r);
    account(d, r, res);
    return res;
}

void disk_finish(struct disk_req *r, int res)
{
    struct disk *d = r->disk;

    account(d, r, res);
    d->inflight--;
    r->done(r, res);
}

static void finish_late_ones(struct alarm *a)
{
    struct disk *d = container_of(a, struct disk, late);
    struct disk_req *r = d->late_head;

    d->late_head = NULL;
    d->late_tail = &d->late_head;
    while (r) {
        struct disk_req *next = r->next;

        disk_finish(r, r->res);
        r = next;
    }
}

void disk_finish_later(struct disk *d, struct disk_req *r, int res)
{
    r->res = res;
    r->next = NULL;
    *d->late_tail = r;
    d->late_tail = &r->next;
    if (d->late_head == r) {
        d->late.fire = finish_late_ones;
        loop_arm(d->loop, &d->late, 0);
    }
}

static void finish_far_ones(struct watch *w, uint32_t got)
{
    struct disk_async *a = container_of(w, struct disk_async, w);
    struct disk_req *r;

    (void)got;
    bell_take(w->fd);
    pthread_mutex_lock(&a->lock);
    r = a->head;
    a->head = NULL;
    a->tail = &a->head;
    pthread_mutex_unlock(&a->lock);
    while (r) {
        struct disk_req *next = r->next;

        disk_finish(r, r->res);
        r = next;
    }
}

void disk_finish_far(struct disk_req *r, int res)
{
    struct disk_async *a = r->disk->async;
    bool first;

    r->res = res;
    r->next = NULL;
    pthread_mutex_lock(&a->lock);
    first = !a->head;
    *a->tail = r;
    a->tail = &r->next;
    if (first)
        bell_ring(a->w.fd);
    pthread_mutex_unlock(&a->lock);
}

static int make_async(struct disk *d)
{
    struct disk_async *a = calloc(1, sizeof(*a));
    int rc;

    if (!a)
        return -ENOMEM;
    a->tail = &a->head;
    a->w.fd = bell_make();
    a->w.want = EPOLLIN;
    a->w.ready = finish_far_ones;
    rc = a->w.fd < 0 ? -errno : loop_watch(d->loop, &a->w);
    if (rc < 0) {
        if (a->w.fd >= 0)
            close(a->w.fd);
        free(a);
        return rc;
    }
    pthread_mutex_init(&a->lock, NULL);
    d->async = a;
    return 0;
}

static bool busy(void *arg)
{
    return ((const struct disk *)arg)->inflight;
}

void disk_close(struct disk *d)
{
    if (!d)
        return;
    if (d->loop) {
        loop_drain(d->loop, d->path ? d->path : "disk", busy, d);
        loop_disarm(d->loop, &d->late);
    }
    d->ops->close(d);
}

void disk_shape(const struct disk *d, struct disk_shape *s)
{
    *s = d->shape;
}

int disk_extents(struct disk *d, uint64_t off, uint64_t len, extent_fn *fn, void *arg)
{
    struct extent all = {.off = off, .len = len, .file_off = UINT64_MAX, .kind = EXTENT_DATA};

    if (!range_in(off, len, d->shape.bytes))
        return -EINVAL;
    if (len == 0)
        return 0;
    return d->ops->extents ? d->ops->extents(d, off, len, fn, arg) : fn(arg, &all);
}

static int stop_at_data(void *arg, const struct extent *x)
{
    (void)arg;
    return x->kind == EXTENT_DATA;
}

bool disk_known_zero(struct disk *d, uint64_t off, uint64_t len)
{
    uint64_t bytes = d->shape.bytes;

    return off >= bytes || disk_extents(d, off, min_u64(len, bytes - off), stop_at_data, NULL) == 0;
}

/* --- blocking helpers --- */

int disk_read(struct disk *d, uint64_t off, void *buf, size_t len)
{
    struct iovec iov = {.iov_base = buf, .iov_len = len};
    struct disk_req r = {.op = DISK_READ, .off = off, .len = len, .iov = &iov, .iovcnt = 1};

    return disk_now(d, &r);
}

int disk_write(struct disk *d, uint64_t off, const void *buf, size_t len)
{
    struct iovec iov = {.iov_base = (void *)buf, .iov_len = len};
    struct disk_req r = {.op = DISK_WRITE, .off = off, .len = len, .iov = &iov, .iovcnt = 1};

    return disk_now(d, &r);
}

int disk_flush(struct disk *d)
{
    struct disk_req r = {.op = DISK_FLUSH};

    return disk_now(d, &r);
}

int disk_zero(struct disk *d, uint64_t off, uint64_t len, bool unmap)
{
    struct disk_req r = {.op = DISK_ZERO, .off = off, .len = len, .unmap = unmap};

    return disk_now(d, &r);
}

/* --- worker threads: shared by all disks, started on demand, gone after some idle seconds --- */

enum { WORKERS_MAX = 16, WORKER_IDLE_S = 5 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct disk_req *head, **tail;
    unsigned queued, idle, threads;
} work = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

/* Waits for a request; NULL when idle for long. Called and left with the lock held. */
static struct disk_req *next_work(void)
{
    struct disk_req *r;
    struct timespec until;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WORKER_IDLE_S;
    work.idle++;
    while (!work.head && rc == 0)
        rc = pthread_cond_timedwait(&work.more, &work.lock, &until);
    work.idle--;
    r = work.head;
    if (r) {
        work.head = r->next;
        work.queued--;
    }
    return r;
}

static void *worker(void *arg)
{
    struct disk_req *r;

    (void)arg;
    pthread_mutex_lock(&work.lock);
    while ((r = next_work())) {
        pthread_mutex_unlock(&work.lock);
        disk_finish_far(r, r->disk->ops->now(r->disk, r));
        pthread_mutex_lock(&work.lock);
    }
    work.threads--;
    pthread_mutex_unlock(&work.lock);
    return NULL;
}

int disk_thread(void *(*fn)(void *), void *arg)
{
    pthread_attr_t attr;
    pthread_t t;
    int rc;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, DISK_STACK);
    rc = pthread_create(&t, &attr, fn, arg);
    pthread_attr_destroy(&attr);
    return -rc;
}

void disk_work(struct disk *d, struct disk_req *r)
{
    int rc = d->async ? 0 : make_async(d);

    if (rc < 0) {
        disk_finish_later(d, r, rc);
        return;
    }
    pthread_mutex_lock(&work.lock);
    if (work.idle <= work.queued && work.threads < WORKERS_MAX) {
        rc = disk_thread(worker, NULL);
        if (rc == 0)
            work.threads++;
    }
    if (work.threads > 0) {
        r->next = NULL;
        if (!work.head)
            work.tail = &work.head;
        *work.tail = r;
        work.tail = &r->next;
        work.queued++;
        pthread_cond_signal(&work.more);
        rc = 0;
    }
    pthread_mutex_unlock(&work.lock);
    if (rc < 0) /* not even one thread */
        disk_finish_later(d, r, rc);
}

/* --- child requests --- */

struct disk_req disk_part(const struct disk_req *r, uint64_t at, uint64_t n, struct iovec *iov)
{
    struct disk_req p = {.op = r->op, .off = at, .len = n, .unmap = r->unmap, .iov = iov};
    int cnt = iov_slice(r->iov, r->iovcnt, at - r->off, n, iov, DISK_IOV_MAX);

    p.iovcnt = cnt < 0 ? 0 : (unsigned)cnt;
    return p;
}

struct disk_fwd *disk_fwd_get(struct disk_fwds *f, struct disk_req *up)
{
    struct disk_fwd *w = f->spare;

    if (w)
        f->spare = w->arg;
    else
        w = malloc(sizeof(*w));
    if (!w)
        return NULL;
    *w = (struct disk_fwd){.r = *up, .up = up, .home = f};
    return w;
}

void disk_fwd_put(struct disk_fwd *w)
{
    w->arg = w->home->spare;
    w->home->spare = w;
}

void disk_fwds_fini(struct disk_fwds *f)
{
    while (f->spare) {
        struct disk_fwd *w = f->spare;

        f->spare = w->arg;
        free(w);
    }
}
