/* SPDX-License-Identifier: Apache-2.0 */
/* pass.c - see pass.h. */
#define _GNU_SOURCE
#include "storage/filter/pass.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

static struct pass *pass_of(struct disk *d)
{
    return container_of(d, struct pass, d);
}

static int pass_now(struct disk *d, struct disk_req *r)
{
    struct pass *p = pass_of(d);
    uint64_t ns = 0;
    int res = p->ops->before(p, r, &ns);
    struct timespec ts = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

    if (ns)
        clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
    if (res == 0)
        res = disk_now(p->below, r);
    if (p->ops->after)
        p->ops->after(p, r, res);
    return res;
}

static void done(struct disk_req *r, int res)
{
    struct disk_fwd *w = container_of(r, struct disk_fwd, r);
    struct disk_req *up = w->up;
    struct pass *p = pass_of(up->disk);

    if (p->ops->after)
        p->ops->after(p, up, res);
    disk_fwd_put(w);
    disk_finish(up, res);
}

struct held {
    struct alarm a;
    struct disk_fwd *w;
};

static void start(struct alarm *a)
{
    struct held *h = container_of(a, struct held, a);
    struct disk_fwd *w = h->w;

    free(h);
    disk_submit(pass_of(w->up->disk)->below, &w->r);
}

static int hold(struct pass *p, struct disk_fwd *w, uint64_t ns)
{
    struct held *h = calloc(1, sizeof(*h));

    if (!h)
        return -ENOMEM;
    h->w = w;
    h->a.fire = start;
    loop_arm(p->d.loop, &h->a, loop_now(p->d.loop) + ns);
    return 0;
}

static void pass_submit(struct disk *d, struct disk_req *r)
{
    struct pass *p = pass_of(d);
    uint64_t ns = 0;
    int res = p->ops->before(p, r, &ns);
    struct disk_fwd *w = res == 0 ? disk_fwd_get(&p->fwds, r) : NULL;

    if (res == 0 && !w)
        res = -ENOMEM;
    if (res == 0) {
        w->r.done = done;
        if (ns)
            res = hold(p, w, ns);
        else
            disk_submit(p->below, &w->r);
    }
    if (res == 0)
        return;
    if (w)
        disk_fwd_put(w);
    if (p->ops->after)
        p->ops->after(p, r, res);
    disk_finish_later(d, r, res);
}

static int pass_extents(struct disk *d, uint64_t off, uint64_t len, extent_fn *fn, void *arg)
{
    return disk_extents(pass_of(d)->below, off, len, fn, arg);
}

static void pass_close(struct disk *d)
{
    struct pass *p = pass_of(d);

    disk_close(p->below);
    if (p->ops->free)
        p->ops->free(p);
    disk_fwds_fini(&p->fwds);
    disk_fini(d);
    free(p);
}

static const struct disk_ops pass_disk_ops = {
    .name = "filter",
    .close = pass_close,
    .now = pass_now,
    .submit = pass_submit,
    .extents = pass_extents,
};

void pass_init(struct pass *p, const struct pass_ops *ops, struct disk *below, struct loop *l)
{
    disk_init(&p->d, &pass_disk_ops, l);
    p->d.shape = below->shape;
    p->below = below;
    p->ops = ops;
}
