/* SPDX-License-Identifier: Apache-2.0 */
/* fake_mem_disk.c - see fake_mem_disk.h. */
#include "fakes/fake_mem_disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int mem_now(struct disk *d, struct disk_req *r)
{
    struct mem_disk *m = container_of(d, struct mem_disk, disk);
    uint8_t *at = m->data + r->off;

    if (m->fail)
        return m->fail;
    __atomic_fetch_add(&m->flushes, r->op == DISK_FLUSH, __ATOMIC_RELAXED);
    __atomic_fetch_add(&m->trims, r->op == DISK_TRIM, __ATOMIC_RELAXED);
    __atomic_store_n(&m->fua_seen, r->fua, __ATOMIC_RELAXED);
    if (r->op == DISK_ZERO || r->op == DISK_TRIM)
        memset(at, 0, r->len);
    for (unsigned i = 0; r->op <= DISK_WRITE && i < r->iovcnt; at += r->iov[i++].iov_len) {
        if (r->op == DISK_READ)
            memcpy(r->iov[i].iov_base, at, r->iov[i].iov_len);
        else
            memcpy(at, r->iov[i].iov_base, r->iov[i].iov_len);
    }
    return 0;
}

static void mem_submit(struct disk *d, struct disk_req *r)
{
    struct mem_disk *m = container_of(d, struct mem_disk, disk);

    if (m->hold) {
        r->next = m->held;
        m->held = r;
        return;
    }
    disk_finish_later(d, r, mem_now(d, r));
}

unsigned mem_disk_release(struct mem_disk *m)
{
    unsigned n = 0;

    for (; m->held; n++) {
        struct disk_req *r = m->held;

        m->held = r->next;
        disk_finish(r, mem_now(&m->disk, r));
    }
    return n;
}

static void mem_soon(struct alarm *a)
{
    struct mem_disk *m = container_of(a, struct mem_disk, soon);

    m->hold = false;
    mem_disk_release(m);
}

void mem_disk_release_soon(struct mem_disk *m)
{
    m->soon.fire = mem_soon;
    loop_arm(m->disk.loop, &m->soon, loop_now(m->disk.loop));
}

static int mem_try(struct disk *d, struct disk_req *r)
{
    struct mem_disk *m = container_of(d, struct mem_disk, disk);

    return m->slow || m->hold ? -EAGAIN : mem_now(d, r);
}

static void mem_close(struct disk *d)
{
    struct mem_disk *m = container_of(d, struct mem_disk, disk);

    if (m->closed)
        ++*m->closed;
    loop_disarm(d->loop, &m->soon);
    disk_fini(d);
    free(m->data);
    free(m);
}

static const struct disk_ops mem_ops = {
    .name = "mem", .close = mem_close, .now = mem_now, .submit = mem_submit, .try = mem_try};

struct mem_disk *mem_disk_create(struct loop *l, uint64_t bytes)
{
    struct mem_disk *m = calloc(1, sizeof(*m));

    if (!m || !(m->data = calloc(1, bytes)))
        abort();
    disk_init(&m->disk, &mem_ops, l);
    m->disk.shape =
        (struct disk_shape){.bytes = bytes, .logical = 512, .physical = 4096, .trims = true};
    return m;
}
