/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmci_qp.c - queue pairs of VMCI: two byte queues in the guest's memory.
 *
 * Facts: Linux drivers/misc/vmw_vmci/vmci_queue_pair.c and vmw_vmci_defs.h. A queue is a page with
 * its header and pages of data. Either side writes only to the header of the queue that it fills;
 * the host keeps its own two places and reads the guest's two each time, as numbers that may be
 * anything. One byte of a queue stays free: equal places mean that it is empty.
 *
 * Not modelled: pairs between two endpoints of the guest's (it keeps those to itself), pinned ones.
 */
#include <stdlib.h>
#include <string.h>

#include "board/device.h"
#include "personas/vmware/vmci_priv.h"

struct vmci_qp *vmci_qp_find(struct vmci *v, uint32_t context, uint32_t resource)
{
    for (struct vmci_qp *q = v->qps; q; q = q->next) {
        if (q->context == context && q->resource == resource)
            return q;
    }
    return NULL;
}

static void qp_free(struct vmci *v, struct vmci_qp *q)
{
    struct vmci_qp **at = &v->qps;

    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
    v->qp_count--;
    free(q);
}

void vmci_qp_free_all(struct vmci *v)
{
    while (v->qps)
        qp_free(v, v->qps);
}

/* --- made and let go --- */

static bool size_valid(uint64_t size)
{
    return size >= 2 && size <= VMCI_QUEUE_MAX;
}

static uint32_t pages_of(uint64_t size)
{
    return (uint32_t)((size + VMCI_PAGE_SIZE - 1) / VMCI_PAGE_SIZE) + 1;
}

/* What is wrong with a message, VMCI_SUCCESS: nothing. */
static int32_t alloc_check(struct vmci *v, const struct vmci_qp_alloc_msg *m, size_t list)
{
    uint32_t context = le32_get(m->handle.context), peer = le32_get(m->peer);
    uint64_t produce = le64_get(m->produce_size), consume = le64_get(m->consume_size);

    if (le32_get(m->flags) & VMCI_QPFLAG_LOCAL || le32_get(m->handle.resource) == VMCI_INVALID_ID)
        return VMCI_ERROR_INVALID_ARGS;
    if (context != v->cid && context != peer)
        return VMCI_ERROR_NO_ACCESS;
    if (peer != VMCI_HOST_CONTEXT_ID)
        return VMCI_ERROR_DST_UNREACHABLE;
    if (!size_valid(produce) || !size_valid(consume))
        return VMCI_ERROR_NO_RESOURCES;
    if (le64_get(m->num_ppns) != pages_of(produce) + pages_of(consume) ||
        list / (v->s.caps & VMCI_CAPS_PPN64 ? 8 : 4) < le64_get(m->num_ppns))
        return VMCI_ERROR_INVALID_ARGS;
    if (vmci_qp_find(v, context, le32_get(m->handle.resource)))
        return VMCI_ERROR_ALREADY_EXISTS;
    return v->qp_count < VMCI_QPS ? VMCI_SUCCESS : VMCI_ERROR_NO_RESOURCES;
}

static bool copy_pages(struct vmci *v, struct vmci_qp *q, const uint8_t *list, uint32_t pages)
{
    bool wide = v->s.caps & VMCI_CAPS_PPN64;

    for (uint32_t i = 0; i < pages; i++) {
        q->ppn[i] = wide ? le64_at(list + 8 * (size_t)i) : le32_at(list + 4 * (size_t)i);
        if (q->ppn[i] >= UINT64_C(1) << 40 ||
            !gmem_shared(v->pci.dev.env.mem, q->ppn[i] * VMCI_PAGE_SIZE, VMCI_PAGE_SIZE))
            return false;
    }
    return true;
}

static bool write_headers(struct vmci *v, const struct vmci_qp *q)
{
    struct vmci_queue_header h = {.handle = {le32_of(q->context), le32_of(q->resource)}};
    struct gmem *m = v->pci.dev.env.mem;

    return gmem_write(m, q->ppn[0] * VMCI_PAGE_SIZE, &h, sizeof(h)) == 0 &&
           gmem_write(m, q->ppn[q->consume] * VMCI_PAGE_SIZE, &h, sizeof(h)) == 0;
}

int32_t vmci_qp_alloc(struct vmci *v, const uint8_t *msg, size_t n)
{
    struct vmci_qp_alloc_msg m;
    struct vmci_qp *q;
    uint32_t pages;
    int32_t rc;

    if (!vmci_masters(v))
        return VMCI_ERROR_UNAVAILABLE;
    if (n < sizeof(m))
        return VMCI_ERROR_INVALID_ARGS;
    memcpy(&m, msg, sizeof(m));
    rc = alloc_check(v, &m, n - sizeof(m));
    if (rc != VMCI_SUCCESS)
        return rc;
    pages = (uint32_t)le64_get(m.num_ppns);
    q = calloc(1, sizeof(*q) + pages * sizeof(q->ppn[0]));
    if (!q)
        return VMCI_ERROR_NO_MEM;
    q->context = le32_get(m.handle.context);
    q->resource = le32_get(m.handle.resource);
    q->produce_size = (uint32_t)le64_get(m.produce_size);
    q->consume_size = (uint32_t)le64_get(m.consume_size);
    q->consume = pages_of(q->produce_size);
    rc = VMCI_SUCCESS_QUEUEPAIR_CREATE;
    if (!copy_pages(v, q, msg + sizeof(m), pages) || !write_headers(v, q)) {
        guest_fault(&v->pci.dev, "the pages of a queue pair are not in memory");
        rc = VMCI_ERROR_INVALID_ARGS;
    } else if (le32_get(m.flags) & VMCI_QPFLAG_ATTACH_ONLY) {
        rc = vmci_sock_made(v, q);
    }
    if (rc < VMCI_SUCCESS) {
        free(q);
        return rc;
    }
    q->next = v->qps;
    v->qps = q;
    v->qp_count++;
    return rc;
}

/* What the guest had sent must be taken now: its pages are its own again when this returns. */
int32_t vmci_qp_detach(struct vmci *v, const uint8_t *msg, size_t n)
{
    struct vmci_handle h;
    struct vmci_qp *q;

    if (n < sizeof(h))
        return VMCI_ERROR_INVALID_ARGS;
    memcpy(&h, msg, sizeof(h));
    q = vmci_qp_find(v, le32_get(h.context), le32_get(h.resource));
    if (!q)
        return VMCI_ERROR_NOT_FOUND;
    if (q->conn)
        vmci_sock_left(v, q);
    qp_free(v, q);
    return VMCI_SUCCESS;
}

/* --- what is in them --- */

static struct vmci_queue_header *header(struct vmci *v, const struct vmci_qp *q, bool consume)
{
    return gmem_shared(v->pci.dev.env.mem, q->ppn[consume ? q->consume : 0] * VMCI_PAGE_SIZE,
                       sizeof(struct vmci_queue_header));
}

/* Bytes from one place to another. */
static uint32_t distance(uint32_t from, uint32_t to, uint32_t size)
{
    return to >= from ? to - from : size - (from - to);
}

bool vmci_qp_look(struct vmci *v, const struct vmci_qp *q, uint32_t *ready, uint32_t *room)
{
    struct vmci_queue_header *h = header(v, q, false);
    size_t tail = 0, head = 0;

    *ready = *room = 0;
    if (!h || !idx_in(shared_load64(&h->producer_tail), q->produce_size, &tail) ||
        !idx_in(shared_load64(&h->consumer_head), q->consume_size, &head)) {
        guest_fault(&v->pci.dev, "the places in a queue pair are not in it");
        return false;
    }
    *ready = distance(q->head, (uint32_t)tail, q->produce_size);
    *room = q->consume_size - 1 - distance((uint32_t)head, q->tail, q->consume_size);
    return true;
}

int vmci_qp_map(struct vmci *v, const struct vmci_qp *q, bool consume, uint32_t n,
                struct iovec *iov)
{
    uint32_t size = consume ? q->consume_size : q->produce_size;
    uint32_t at = consume ? q->tail : q->head;
    const uint64_t *ppn = &q->ppn[(consume ? q->consume : 0) + 1];
    size_t count = 0;

    while (n && count < VMCI_QUEUE_PIECES) {
        uint32_t off = at % VMCI_PAGE_SIZE;
        uint32_t len = (uint32_t)min_u64(min_u64(n, VMCI_PAGE_SIZE - off), size - at);

        if (gmem_map(v->pci.dev.env.mem, ppn[at / VMCI_PAGE_SIZE] * VMCI_PAGE_SIZE + off, len,
                     consume, iov, VMCI_QUEUE_PIECES, &count) < 0) {
            guest_fault(&v->pci.dev, "a page of a queue pair is not in memory");
            return -1;
        }
        n -= len;
        at = (at + len) % size;
    }
    return (int)count;
}

bool vmci_qp_took(struct vmci *v, struct vmci_qp *q, uint32_t n, bool keep)
{
    struct vmci_queue_header *h = header(v, q, true);

    if (!h)
        return false;
    q->head = (q->head + n) % q->produce_size;
    q->shown = keep ? (q->head + q->produce_size - 1) % q->produce_size : q->head;
    shared_store64(&h->consumer_head, q->shown);
    shared_barrier(); /* before it is looked whether the guest has gone to sleep */
    return true;
}

bool vmci_qp_gave(struct vmci *v, struct vmci_qp *q, uint32_t n)
{
    struct vmci_queue_header *h = header(v, q, true);

    if (!h)
        return false;
    q->tail = (q->tail + n) % q->consume_size;
    shared_store64(&h->producer_tail, q->tail);
    shared_barrier();
    return true;
}
