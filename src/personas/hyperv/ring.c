/* SPDX-License-Identifier: Apache-2.0 */
/* ring.c - see ring.h. */
#include "ring.h"

#include <errno.h>
#include <string.h>

#include "core/gmem.h"
#include "core/iov.h"

bool ring_open(struct ring *r, const struct gpadl *g, size_t first, size_t n, bool incoming)
{
    *r = (struct ring){.size = (uint32_t)((n - 1) * VMBUS_PAGE)};
    r->head = (void *)g->page[first];
    r->page = g->page + first + 1;
    r->flat = r->page[0];
    for (size_t i = 1; i < n - 1; i++) {
        if (r->page[i] != r->page[i - 1] + VMBUS_PAGE)
            r->flat = NULL;
    }
    r->at = shared_load32(incoming ? &r->head->read_index : &r->head->write_index);
    r->told = r->at;
    if (!incoming)
        shared_store32(&r->head->feature_bits, 1);
    return r->at < r->size && r->at % 8 == 0;
}

/* --- bytes --- */

static void ring_copy(const struct ring *r, uint32_t at, uint8_t *buf, size_t n, bool out)
{
    while (n) {
        size_t part = r->flat ? r->size - at : VMBUS_PAGE - at % VMBUS_PAGE;
        uint8_t *p = r->flat ? r->flat + at : r->page[at / VMBUS_PAGE] + at % VMBUS_PAGE;

        part = min_u64(part, n);
        if (out)
            memcpy(p, buf, part);
        else
            memcpy(buf, p, part);
        buf += part;
        n -= part;
        at += (uint32_t)part;
        if (at == r->size)
            at = 0;
    }
}

static uint32_t ring_after(const struct ring *r, uint32_t at, size_t n)
{
    uint64_t to = (uint64_t)at + n;

    return (uint32_t)(to >= r->size ? to - r->size : to);
}

static uint32_t ring_span(const struct ring *r, uint32_t from, uint32_t to)
{
    return to >= from ? to - from : to + r->size - from;
}

static int ring_break(struct ring *r, int code)
{
    r->broken = true;
    return code;
}

/* --- incoming --- */

int ring_take(struct ring *r, uint8_t *buf, size_t room, struct ring_packet *p)
{
    struct vmpacket_descriptor d;
    uint32_t write, have;
    size_t len, off;

    if (r->broken)
        return -EINVAL;
    write = shared_load32(&r->head->write_index);
    if (write >= r->size || write % 8)
        return ring_break(r, -EINVAL);
    have = ring_span(r, r->at, write);
    if (have == 0)
        return 0;
    if (have < sizeof(d) + VMBUS_PACKET_TRAILER)
        return ring_break(r, -EINVAL);
    ring_copy(r, r->at, (uint8_t *)&d, sizeof(d), false);
    off = (size_t)le16_get(d.offset8) * 8;
    len = (size_t)le16_get(d.len8) * 8;
    if (off < sizeof(d) || len < off || len + VMBUS_PACKET_TRAILER > have)
        return ring_break(r, -EINVAL);
    if (len > room)
        return ring_break(r, -E2BIG);
    ring_copy(r, r->at, buf, len, false);
    /* The descriptor counts as it was checked, whatever the second copy has brought. */
    *p = (struct ring_packet){
        .type = le16_get(d.type),
        .flags = le16_get(d.flags),
        .trans = le64_get(d.trans_id),
        .ext = buf + sizeof(d),
        .ext_len = off - sizeof(d),
        .data = buf + off,
        .data_len = len - off,
    };
    r->at = ring_after(r, r->at, len + VMBUS_PACKET_TRAILER);
    return 1;
}

bool ring_taken(struct ring *r)
{
    uint32_t old = r->told, write, pending, free_now, free_then;

    if (r->at == old)
        return false;
    r->told = r->at;
    shared_store32(&r->head->read_index, r->at);
    shared_barrier();
    pending = shared_load32(&r->head->pending_send_sz);
    if (pending == 0)
        return false;
    write = shared_load32(&r->head->write_index);
    if (write >= r->size)
        return false;
    free_now = r->size - ring_span(r, r->at, write);
    free_then = r->size - ring_span(r, old, write);
    return free_then <= pending && free_now > pending;
}

void ring_mask(struct ring *r)
{
    shared_store32(&r->head->interrupt_mask, 1);
}

bool ring_empty(const struct ring *r)
{
    return shared_load32(&r->head->write_index) == r->at;
}

bool ring_unmask(struct ring *r)
{
    shared_store32(&r->head->interrupt_mask, 0);
    shared_barrier();
    return !ring_empty(r);
}

/* --- outgoing --- */

/* 1: n bytes fit and leave the ring less than full. */
static int ring_room(struct ring *r, size_t n)
{
    uint32_t read = shared_load32(&r->head->read_index);

    if (read >= r->size)
        return ring_break(r, -EINVAL);
    return n < r->size - ring_span(r, read, r->at);
}

int ring_put(struct ring *r, uint16_t type, uint16_t flags, uint64_t trans, const void *ext,
             size_t ext_len, const struct iovec *iov, unsigned cnt)
{
    size_t data = (size_t)iov_len(iov, cnt), off = sizeof(struct vmpacket_descriptor) + ext_len;
    size_t len = align_up(off + data, 8), total = len + VMBUS_PACKET_TRAILER;
    struct vmpacket_descriptor d = {le16_of(type), le16_of((uint16_t)(off / 8)),
                                    le16_of((uint16_t)(len / 8)), le16_of(flags), le64_of(trans)};
    uint8_t zero[8] = {0}, tail[8];
    uint32_t at = r->at;
    int rc;

    if (r->broken)
        return -EINVAL;
    rc = ring_room(r, total);
    if (rc == 0) {
        shared_store32(&r->head->pending_send_sz, (uint32_t)total);
        shared_barrier();
        rc = ring_room(r, total);
    }
    if (rc <= 0)
        return rc;
    le64_put(tail, (uint64_t)at << 32);
    ring_copy(r, at, (uint8_t *)&d, sizeof(d), true);
    at = ring_after(r, at, sizeof(d));
    ring_copy(r, at, (uint8_t *)(uintptr_t)ext, ext_len, true);
    at = ring_after(r, at, ext_len);
    for (unsigned i = 0; i < cnt; i++) {
        ring_copy(r, at, iov[i].iov_base, iov[i].iov_len, true);
        at = ring_after(r, at, iov[i].iov_len);
    }
    ring_copy(r, at, zero, len - off - data, true);
    at = ring_after(r, at, len - off - data);
    ring_copy(r, at, tail, sizeof(tail), true);
    r->at = ring_after(r, at, sizeof(tail));
    if (shared_load32(&r->head->pending_send_sz))
        shared_store32(&r->head->pending_send_sz, 0);
    return 1;
}

bool ring_flush(struct ring *r)
{
    uint32_t old = r->told;

    if (r->at == old)
        return false;
    r->told = r->at;
    shared_store32(&r->head->write_index, r->at);
    shared_barrier();
    if (shared_load32(&r->head->interrupt_mask))
        return false;
    return shared_load32(&r->head->read_index) == old;
}

uint32_t ring_left(const struct ring *r)
{
    uint32_t read = shared_load32(&r->head->read_index);

    return read < r->size ? ring_span(r, read, r->at) : 0;
}
