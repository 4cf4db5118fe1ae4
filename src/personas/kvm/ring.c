/* SPDX-License-Identifier: Apache-2.0 */
/* ring.c - see ring.h. */
#include "ring.h"

#include <errno.h>
#include <string.h>

#include "abi/virtio.h"
#include "core/gmem.h"

/* The longest buffer that 2.7.4.2 allows a driver to describe. */
#define CHAIN_BYTES_MAX (UINT64_C(1) << 32)

uint64_t vq_desc_bytes(unsigned n)
{
    return (uint64_t)n * sizeof(struct virtq_desc);
}

uint64_t vq_driver_bytes(unsigned n, bool packed)
{
    return packed ? sizeof(struct pvirtq_event_suppress) : VIRTQ_RING_ENTRIES + 2ull * n + 2;
}

uint64_t vq_device_bytes(unsigned n, bool packed)
{
    return packed ? sizeof(struct pvirtq_event_suppress)
                  : VIRTQ_RING_ENTRIES + sizeof(struct virtq_used_elem) * (uint64_t)n + 2;
}

static int broken(struct vq *q, const char *why)
{
    q->why = why;
    return -EPROTO;
}

/* --- set-up --- */

int vq_start(struct vq *q, struct gmem *m, uint64_t features)
{
    vq_stop(q);
    q->mem = m;
    q->packed = features & VIRTIO_F_RING_PACKED;
    q->event_idx = features & VIRTIO_F_EVENT_IDX;
    q->indirect = features & VIRTIO_F_INDIRECT_DESC;
    if (q->size == 0 || q->size > VQ_SIZE_MAX || (!q->packed && !is_pow2(q->size))) {
        q->why = "the queue size is not allowed";
        return -EINVAL;
    }
    if (q->desc % 16 || q->driver % (q->packed ? 4 : 2) || q->device % 4) {
        q->why = "a part of the ring is not aligned";
        return -EINVAL;
    }
    q->desc_area = gmem_shared(m, q->desc, vq_desc_bytes(q->size));
    q->driver_area = gmem_shared(m, q->driver, vq_driver_bytes(q->size, q->packed));
    q->device_area = gmem_shared(m, q->device, vq_device_bytes(q->size, q->packed));
    if (!q->desc_area || !q->driver_area || !q->device_area) {
        q->why = "a part of the ring lies outside memory";
        return -EFAULT;
    }
    q->ready = true;
    return 0;
}

void vq_stop(struct vq *q)
{
    q->ready = false;
    q->life++;
    q->why = NULL;
    q->desc_area = q->driver_area = q->device_area = NULL;
    q->next_avail = q->next_used = q->unpublished = q->inflight = 0;
    q->avail_wrap = q->used_wrap = true;
}

/* --- the walker --- */

static int chain_add(struct vq *q, struct vq_chain *c, uint64_t addr, uint32_t len, bool write)
{
    size_t n = (size_t)c->out + c->in, had = n;
    int rc;

    if (!write && c->in)
        return broken(q, "a readable descriptor follows a writable one");
    rc = gmem_map(q->mem, addr, len, write, c->iov, c->max, &n);
    if (rc == -E2BIG)
        return broken(q, "a chain has more pieces than the device allows");
    if (rc < 0)
        return broken(q, "a descriptor points outside memory");
    if (write) {
        c->in = (uint16_t)(c->in + (n - had));
        c->in_len += len;
    } else {
        c->out = (uint16_t)(c->out + (n - had));
        c->out_len += len;
    }
    if (c->in_len + c->out_len > CHAIN_BYTES_MAX)
        return broken(q, "a chain is longer than 4 GiB");
    return 0;
}

static uint8_t *indirect_table(struct vq *q, uint64_t addr, uint32_t len, unsigned *n)
{
    uint8_t *table;

    *n = len / sizeof(struct virtq_desc);
    if (len == 0 || len % sizeof(struct virtq_desc) || *n > VQ_SIZE_MAX) {
        broken(q, "an indirect table has a length that is not allowed");
        return NULL;
    }
    table = gmem_shared(q->mem, addr, len);
    if (!table)
        broken(q, "an indirect table lies outside memory");
    return table;
}

/* Follows `next` through a table of n entries from `at`. The count of steps bounds loops. */
static int split_walk(struct vq *q, struct vq_chain *c, const uint8_t *table, unsigned n, size_t at)
{
    bool inside = false;
    unsigned steps = 0;

    for (;;) {
        struct virtq_desc d;
        uint16_t flags;
        int rc;

        if (++steps > n)
            return broken(q, "a descriptor chain loops");
        memcpy(&d, table + at * sizeof(d), sizeof(d));
        flags = le16_get(d.flags);
        if (flags & VIRTQ_DESC_F_INDIRECT) {
            if (inside || !q->indirect || flags & VIRTQ_DESC_F_NEXT)
                return broken(q, "an indirect descriptor stands where none is allowed");
            table = indirect_table(q, le64_get(d.addr), le32_get(d.len), &n);
            if (!table)
                return -EPROTO;
            inside = true;
            at = steps = 0;
            continue;
        }
        rc = chain_add(q, c, le64_get(d.addr), le32_get(d.len), flags & VIRTQ_DESC_F_WRITE);
        if (rc < 0 || !(flags & VIRTQ_DESC_F_NEXT))
            return rc;
        if (!idx_in(le16_get(d.next), n, &at))
            return broken(q, "a descriptor's next lies outside the table");
    }
}

static int split_pop(struct vq *q, struct vq_chain *c)
{
    uint16_t pending = (uint16_t)(shared_load16(q->driver_area + VIRTQ_RING_IDX) - q->next_avail);
    size_t head;
    int rc;

    if (pending == 0)
        return 0;
    if (pending > q->size)
        return broken(q, "the available index runs ahead of the ring");
    c->id = shared_load16(q->driver_area + VIRTQ_RING_ENTRIES +
                          2 * (size_t)(q->next_avail & (q->size - 1)));
    if (!idx_in(c->id, q->size, &head))
        return broken(q, "the available ring names a descriptor outside the table");
    rc = split_walk(q, c, q->desc_area, q->size, head);
    if (rc < 0)
        return rc;
    q->next_avail++;
    return 1;
}

static uint8_t *packed_slot(const struct vq *q, unsigned at)
{
    return q->desc_area + (size_t)at * sizeof(struct pvirtq_desc);
}

static bool packed_pending(const struct vq *q)
{
    uint16_t flags = shared_load16(packed_slot(q, q->next_avail) + 14);

    return !!(flags & VIRTQ_DESC_F_AVAIL) == q->avail_wrap &&
           !!(flags & VIRTQ_DESC_F_USED) != q->avail_wrap;
}

/* All entries of an indirect table in a packed ring count, in order; only WRITE means anything. */
static int packed_indirect(struct vq *q, struct vq_chain *c, const struct pvirtq_desc *at)
{
    const uint8_t *table;
    unsigned n;

    table = indirect_table(q, le64_get(at->addr), le32_get(at->len), &n);
    if (!table)
        return -EPROTO;
    for (unsigned i = 0; i < n; i++) {
        struct pvirtq_desc d;
        int rc;

        memcpy(&d, table + (size_t)i * sizeof(d), sizeof(d));
        rc = chain_add(q, c, le64_get(d.addr), le32_get(d.len),
                       le16_get(d.flags) & VIRTQ_DESC_F_WRITE);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int packed_pop(struct vq *q, struct vq_chain *c)
{
    unsigned at = q->next_avail;
    uint16_t flags;

    if (!packed_pending(q))
        return 0;
    for (c->slots = 1;; c->slots++) {
        struct pvirtq_desc d;
        int rc;

        if (c->slots > q->size)
            return broken(q, "a descriptor chain loops");
        memcpy(&d, packed_slot(q, at), sizeof(d));
        at = at + 1 == q->size ? 0 : at + 1;
        flags = le16_get(d.flags);
        c->id = le16_get(d.id);
        if (!(flags & VIRTQ_DESC_F_INDIRECT))
            rc = chain_add(q, c, le64_get(d.addr), le32_get(d.len), flags & VIRTQ_DESC_F_WRITE);
        else if (q->indirect && !(flags & VIRTQ_DESC_F_NEXT))
            rc = packed_indirect(q, c, &d);
        else
            rc = broken(q, "an indirect descriptor stands where none is allowed");
        if (rc < 0)
            return rc;
        if (!(flags & VIRTQ_DESC_F_NEXT))
            break;
    }
    if (at <= q->next_avail)
        q->avail_wrap = !q->avail_wrap;
    q->next_avail = (uint16_t)at;
    return 1;
}

int vq_pop(struct vq *q, struct vq_chain *c)
{
    int rc;

    if (q->why || !q->ready)
        return q->why ? -EPROTO : 0;
    c->out = c->in = 0;
    c->out_len = c->in_len = 0;
    c->slots = 1;
    c->life = q->life;
    rc = q->packed ? packed_pop(q, c) : split_pop(q, c);
    if (rc == 1 && ++q->inflight > q->size)
        return broken(q, "more buffers are in use than the ring has");
    return rc;
}

bool vq_pending(const struct vq *q)
{
    if (!q->ready || q->why)
        return false;
    return q->packed ? packed_pending(q)
                     : shared_load16(q->driver_area + VIRTQ_RING_IDX) != q->next_avail;
}

/* --- giving back --- */

static void packed_push(struct vq *q, const struct vq_chain *c, uint32_t len)
{
    uint8_t *slot = packed_slot(q, q->next_used);
    uint16_t flags = len ? VIRTQ_DESC_F_WRITE : 0;
    unsigned next = q->next_used + (unsigned)c->slots;

    if (q->used_wrap)
        flags |= VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED;
    le32_put(slot + 8, len);
    le16_put(slot + 12, c->id);
    if (q->unpublished) {
        shared_store16(slot + 14, flags);
    } else { /* the driver looks here first, so what follows stays hidden until vq_flush() */
        q->first_slot = slot;
        q->first_flags = flags;
    }
    if (next >= q->size) {
        next -= q->size;
        q->used_wrap = !q->used_wrap;
    }
    q->next_used = (uint16_t)next;
    q->unpublished = (uint16_t)(q->unpublished + c->slots);
}

void vq_push(struct vq *q, const struct vq_chain *c, uint32_t len)
{
    uint8_t *e;

    if (!q->ready || c->life != q->life)
        return;
    q->inflight--;
    if (q->packed) {
        packed_push(q, c, len);
        return;
    }
    e = q->device_area + VIRTQ_RING_ENTRIES +
        sizeof(struct virtq_used_elem) * (size_t)(q->next_used & (q->size - 1));
    le32_put(e, c->id);
    le32_put(e + 4, len);
    q->next_used++;
    q->unpublished++;
}

/* 2.7.7.2: has `event` been passed by the move from old to now? */
static bool passed(uint16_t event, uint16_t now, uint16_t old)
{
    return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

static bool packed_wants(const struct vq *q, uint16_t pushed)
{
    uint16_t flags = shared_load16(q->driver_area + 2);
    uint16_t at = shared_load16(q->driver_area), event = at & 0x7fff;

    if (flags != RING_EVENT_FLAGS_DESC || !q->event_idx)
        return flags == RING_EVENT_FLAGS_ENABLE;
    if ((at >> 15) != q->used_wrap)
        event = (uint16_t)(event - q->size);
    return passed(event, q->next_used, (uint16_t)(q->next_used - pushed));
}

bool vq_flush(struct vq *q)
{
    uint16_t pushed = q->unpublished;

    if (pushed == 0 || !q->ready)
        return false;
    q->unpublished = 0;
    if (q->packed)
        shared_store16(q->first_slot + 14, q->first_flags);
    else
        shared_store16(q->device_area + VIRTQ_RING_IDX, q->next_used);
    shared_barrier();
    if (q->packed)
        return packed_wants(q, pushed);
    if (q->event_idx)
        return passed(shared_load16(q->driver_area + VIRTQ_RING_ENTRIES + 2 * (size_t)q->size),
                      q->next_used, (uint16_t)(q->next_used - pushed));
    return !(shared_load16(q->driver_area) & VIRTQ_AVAIL_F_NO_INTERRUPT);
}

/* --- notifications from the driver --- */

void vq_notify_off(struct vq *q)
{
    if (!q->ready)
        return;
    if (q->packed)
        shared_store16(q->device_area + 2, RING_EVENT_FLAGS_DISABLE);
    else if (!q->event_idx)
        shared_store16(q->device_area, VIRTQ_USED_F_NO_NOTIFY);
    /* A split ring with event index needs nothing: the index stays behind. */
}

bool vq_notify_on(struct vq *q)
{
    if (!q->ready || q->why)
        return false;
    if (q->packed && q->event_idx) {
        shared_store16(q->device_area, (uint16_t)(q->next_avail | q->avail_wrap << 15));
        shared_store16(q->device_area + 2, RING_EVENT_FLAGS_DESC);
    } else if (q->packed) {
        shared_store16(q->device_area + 2, RING_EVENT_FLAGS_ENABLE);
    } else if (q->event_idx) {
        shared_store16(q->device_area + VIRTQ_RING_ENTRIES +
                           sizeof(struct virtq_used_elem) * (size_t)q->size,
                       q->next_avail);
    } else {
        shared_store16(q->device_area, 0);
    }
    shared_barrier();
    return vq_pending(q);
}
