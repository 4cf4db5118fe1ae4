/* SPDX-License-Identifier: Apache-2.0 */
/* memdisk.c - see memdisk.h. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "core/iov.h"
#include "virtio/memdisk.h"

static struct memdisk *memdisk_of(struct disk *d)
{
    return container_of(d, struct memdisk, d);
}

static int memdisk_now(struct disk *d, struct disk_req *r)
{
    struct memdisk *m = memdisk_of(d);

    m->fuas += r->fua;
    if (m->fail)
        return m->fail;
    switch (r->op) {
    case DISK_READ:
        iov_write(r->iov, r->iovcnt, 0, m->bytes + r->off, r->len);
        break;
    case DISK_WRITE:
        iov_read(r->iov, r->iovcnt, 0, m->bytes + r->off, r->len);
        break;
    case DISK_FLUSH:
        m->flushes++;
        break;
    case DISK_ZERO:
        m->zeroes++;
        memset(m->bytes + r->off, 0, r->len);
        break;
    case DISK_TRIM:
        m->trims++;
        break;
    }
    return 0;
}

static void memdisk_submit(struct disk *d, struct disk_req *r)
{
    struct memdisk *m = memdisk_of(d);

    m->submits++;
    if (m->hold) {
        r->next = m->held;
        m->held = r;
        m->held_count++;
        return;
    }
    disk_finish_later(d, r, memdisk_now(d, r));
}

static int memdisk_try(struct disk *d, struct disk_req *r)
{
    struct memdisk *m = memdisk_of(d);

    m->tries++;
    return m->no_try ? -EAGAIN : memdisk_now(d, r);
}

static void memdisk_close(struct disk *d)
{
    struct memdisk *m = memdisk_of(d);

    if (m->closed)
        *m->closed = true;
    disk_fini(d);
    free(m->bytes);
    free(m);
}

static const struct disk_ops memdisk_ops = {
    .name = "memdisk",
    .close = memdisk_close,
    .now = memdisk_now,
    .submit = memdisk_submit,
    .try = memdisk_try,
};

struct memdisk *memdisk_create(struct loop *l, size_t bytes)
{
    struct memdisk *m = calloc(1, sizeof(*m));

    assert_non_null(m);
    m->bytes = calloc(1, bytes);
    assert_non_null(m->bytes);
    disk_init(&m->d, &memdisk_ops, l);
    m->d.shape =
        (struct disk_shape){.bytes = bytes, .logical = 512, .physical = 4096, .trims = true};
    return m;
}

void memdisk_let_go(struct memdisk *m)
{
    while (m->held) {
        struct disk_req *r = m->held;

        m->held = r->next;
        m->held_count--;
        disk_finish_later(&m->d, r, memdisk_now(&m->d, r));
    }
}
