/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rate.c - the delay filter and the rate filter; see filter.h.
 *
 * The rate filter keeps the time at which each budget is paid up to now; a request that comes
 * before that time waits for it. An idle second can be made up for, more cannot.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "core/err.h"
#include "storage/filter/filter.h"
#include "storage/filter/pass.h"

static const uint64_t second = 1000000000;

struct rate {
    struct pass p;
    uint64_t delay_ns, bytes_per_s, ops_per_s;
    pthread_mutex_t lock;
    uint64_t bytes_paid, ops_paid; /* ns; guarded by lock */
};

static uint64_t now_ns(const struct rate *f)
{
    struct timespec ts;

    if (f->p.d.loop)
        return loop_now(f->p.d.loop);
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * second + (uint64_t)ts.tv_nsec;
}

/* Books `units`; returns how long to wait. */
static uint64_t book(uint64_t *paid, uint64_t units, uint64_t per_s, uint64_t now)
{
    uint64_t wait;

    if (per_s == 0)
        return 0;
    *paid = max_u64(*paid, now > second ? now - second : 0);
    wait = *paid > now ? *paid - now : 0;
    *paid += (uint64_t)((double)units / (double)per_s * (double)second);
    return wait;
}

static int before(struct pass *p, const struct disk_req *r, uint64_t *wait_ns)
{
    struct rate *f = container_of(p, struct rate, p);
    bool data = r->op == DISK_READ || r->op == DISK_WRITE;
    uint64_t now = now_ns(f), wait;

    pthread_mutex_lock(&f->lock);
    wait = book(&f->bytes_paid, data ? r->len : 0, f->bytes_per_s, now);
    wait = max_u64(wait, book(&f->ops_paid, 1, f->ops_per_s, now));
    pthread_mutex_unlock(&f->lock);
    *wait_ns = max_u64(wait, f->delay_ns);
    return 0;
}

static void release(struct pass *p)
{
    pthread_mutex_destroy(&container_of(p, struct rate, p)->lock);
}

static const struct pass_ops ops = {.name = "rate", .before = before, .free = release};

static int create(struct disk *below, const struct rate *want, struct loop *l, struct disk **out,
                  struct err *e)
{
    struct rate *f = malloc(sizeof(*f));

    if (!f)
        return err_set(e, ENOMEM, "no memory for a rate filter");
    *f = *want;
    pass_init(&f->p, &ops, below, l);
    pthread_mutex_init(&f->lock, NULL);
    *out = &f->p.d;
    return 0;
}

int delay_create(struct disk *below, uint64_t ns, struct loop *l, struct disk **out, struct err *e)
{
    struct rate want = {.delay_ns = ns};

    return create(below, &want, l, out, e);
}

int rate_create(struct disk *below, uint64_t bytes_per_s, uint64_t ops_per_s, struct loop *l,
                struct disk **out, struct err *e)
{
    struct rate want = {.bytes_per_s = bytes_per_s, .ops_per_s = ops_per_s};

    return create(below, &want, l, out, e);
}
