/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - writes down every request; see filter.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"
#include "storage/filter/filter.h"
#include "storage/filter/pass.h"

struct log_filter {
    struct pass p;
    int fd;
};

static void line(struct pass *p, const struct disk_req *r, const char *what, int res)
{
    static const char *const names[] = {"read", "write", "flush", "zero", "trim"};
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    dprintf(container_of(p, struct log_filter, p)->fd, "%lld%09ld %s %s %llu %llu %d%s\n",
            (long long)ts.tv_sec, ts.tv_nsec, what, names[r->op], (unsigned long long)r->off,
            (unsigned long long)r->len, res, r->fua ? " fua" : "");
}

static int before(struct pass *p, const struct disk_req *r, uint64_t *wait_ns)
{
    (void)wait_ns;
    line(p, r, "start", 0);
    return 0;
}

static void after(struct pass *p, const struct disk_req *r, int res)
{
    line(p, r, "end", res);
}

static void release(struct pass *p)
{
    close(container_of(p, struct log_filter, p)->fd);
}

static const struct pass_ops ops = {
    .name = "log",
    .before = before,
    .after = after,
    .free = release,
};

int log_create(struct disk *below, int fd, struct loop *l, struct disk **out, struct err *e)
{
    struct log_filter *f = calloc(1, sizeof(*f));

    if (!f)
        return err_set(e, ENOMEM, "no memory for a log filter");
    pass_init(&f->p, &ops, below, l);
    f->fd = fd;
    *out = &f->p.d;
    return 0;
}
