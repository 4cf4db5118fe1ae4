/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pvscsi_ring.c - request, completion and message rings of the pvscsi adapter.
 *
 * A kick is served on the vCPU that made it: each request is tried at once (scsi_try), and what
 * would have to wait goes to the loop. A request is taken from the ring only while the completion
 * ring has room for every request in flight, so a completion never has to wait.
 *
 * Indices in the shared page are the guest's: the adapter keeps its own copies and believes only a
 * producer or consumer that lies within the ring.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/gmem.h"
#include "personas/vmware/pvscsi_priv.h"

enum { RETRY_NS = 1000 * 1000 };

static uint32_t load(const le32 *field)
{
    return shared_load32(field);
}

static void store(le32 *field, uint32_t v)
{
    shared_store32(field, v);
}

/* Address of entry `index` of a ring whose pages are listed in ppn. */
static gpa_t entry_at(const uint64_t *ppn, uint32_t entries, uint32_t index, unsigned per_page,
                      size_t size)
{
    uint32_t i = index & (entries - 1);

    return ppn[i / per_page] * PVSCSI_PAGE_SIZE + i % per_page * size;
}

static void broken(struct pvscsi *p, const char *what)
{
    guest_fault(&p->pci.dev, "%s; no request is served until the adapter is reset", what);
    p->s.broken = true;
}

/* --- interrupts and completions --- */

void pvscsi_interrupt(struct pvscsi *p, uint32_t bits)
{
    p->s.intr_status |= bits;
    if (!(p->s.intr_status & p->s.intr_mask)) {
        pci_intx(&p->pci, false);
        return;
    }
    if (bits & p->s.intr_mask && pci_notify(&p->pci, 0))
        return;
    pci_intx(&p->pci, true);
}

static void post(struct pvscsi *p, uint64_t context, uint64_t moved, uint16_t host, uint16_t scsi,
                 uint32_t sense)
{
    struct pvscsi_cmp_desc c = {
        .context = le64_of(context),
        .data_len = le64_of(moved),
        .sense_len = le32_of(sense),
        .host_status = le16_of(host),
        .scsi_status = le16_of(scsi),
    };
    gpa_t at =
        entry_at(p->s.cmp_ppn, p->s.cmp_entries, p->s.cmp_prod, PVSCSI_CMPS_PER_PAGE, sizeof(c));

    if (gmem_write(p->pci.dev.env.mem, at, &c, sizeof(c)) < 0) {
        broken(p, "the completion ring is not in memory");
        return;
    }
    store(&p->shared->cmp_prod_idx, ++p->s.cmp_prod);
}

/* r is finished by the target: tells the guest, unless it has reset the adapter since. */
static void complete(struct pvscsi_req *r)
{
    struct pvscsi *p = r->p;
    uint32_t sense = r->h.scsi.sense_len;

    if (sense > r->sense_room)
        sense = r->sense_room;
    if (sense && gmem_write(p->pci.dev.env.mem, r->sense_at, r->h.scsi.sense, sense) < 0)
        sense = 0;
    if (r->aborted)
        post(p, r->context, 0, BTSTAT_ABORTQUEUE, 0, 0);
    else
        post(p, r->context, r->h.scsi.moved, BTSTAT_SUCCESS, r->h.scsi.status, sense);
}

/* --- requests --- */

static struct pvscsi_req *req_get(struct pvscsi *p)
{
    struct pvscsi_req *r;

    if (p->spare) {
        r = container_of(p->spare, struct pvscsi_req, h);
        p->spare = r->h.next;
    } else {
        r = calloc(1, sizeof(*r));
        if (!r)
            return NULL;
        r->p = p;
    }
    r->aborted = false;
    return r;
}

static void req_put(struct pvscsi_req *r)
{
    r->h.next = r->p->spare;
    r->p->spare = &r->h;
}

void pvscsi_request_free(struct handed *h)
{
    free(h->iov);
    free(container_of(h, struct pvscsi_req, h));
}

void pvscsi_reqs_free(struct pvscsi *p)
{
    while (p->spare) {
        struct handed *h = p->spare;

        p->spare = h->next;
        pvscsi_request_free(h);
    }
}

static int add_piece(struct pvscsi_req *r, gpa_t at, uint64_t len, bool write, size_t *count)
{
    return handed_add(&r->h, r->p->pci.dev.env.mem, at, len, write, PVSCSI_MAX_SG, count);
}

/* Walks a scatter list: segments of at most 128 elements, the last of which may name the next. */
static int map_list(struct pvscsi_req *r, gpa_t at, bool write, size_t *count)
{
    struct pvscsi_sg_element seg[PVSCSI_MAX_SG_PER_SEGMENT];
    uint64_t left = r->data_len;
    unsigned total = 0, i = 0;
    size_t n = 0;
    int rc;

    while (left) {
        if (i == n) { /* as many elements as one read can hold, without leaving memory */
            n = PVSCSI_MAX_SG_PER_SEGMENT;
            while (n && gmem_read(r->p->pci.dev.env.mem, at, seg, n * sizeof(seg[0])) < 0)
                n /= 2;
            at += n * sizeof(seg[0]);
            i = 0;
        }
        if (n == 0 || ++total > PVSCSI_MAX_SG)
            return -EINVAL;
        if (le32_get(seg[i].flags) & PVSCSI_SGE_FLAG_CHAIN_ELEMENT) {
            at = le64_get(seg[i].addr);
            i = 0;
            n = 0;
            continue;
        }
        rc = add_piece(r, le64_get(seg[i].addr), min_u64(left, le32_get(seg[i].length)), write,
                       count);
        if (rc < 0)
            return rc;
        left -= min_u64(left, le32_get(seg[i].length));
        i++;
    }
    return 0;
}

/* enum pvscsi_host_status. */
static int prepare(struct pvscsi_req *r, const struct pvscsi_req_desc *d)
{
    uint32_t flags = le32_get(d->flags);
    bool write = !(flags & PVSCSI_FLAG_CMD_DIR_TODEVICE);
    size_t count = 0;
    int rc = 0;

    if (d->bus != 0 || d->target >= PVSCSI_TARGETS || !r->p->units.at[d->target] ||
        !scsi_lun_present(r->p->units.at[d->target], 0))
        return BTSTAT_SELTIMEO;
    if (flags & PVSCSI_FLAG_CMD_OUT_OF_BAND_CDB || d->cdb_len == 0 || d->cdb_len > sizeof(d->cdb))
        return BTSTAT_INVPARAM;
    r->data_len = flags & PVSCSI_FLAG_CMD_DIR_NONE ? 0 : le64_get(d->data_len);
    if (r->data_len > UINT32_MAX)
        return BTSTAT_INVPARAM;
    if (flags & PVSCSI_FLAG_CMD_WITH_SG_LIST)
        rc = map_list(r, le64_get(d->data_addr), write, &count);
    else if (r->data_len)
        rc = add_piece(r, le64_get(d->data_addr), r->data_len, write, &count);
    if (rc < 0) {
        guest_fault(&r->p->pci.dev, "request with data outside memory or in too many pieces");
        return BTSTAT_INVPARAM;
    }
    r->h.scsi = (struct scsi_req){.iov = r->h.iov, .iovcnt = (unsigned)count};
    memcpy(r->h.scsi.cdb, d->cdb, d->cdb_len);
    r->h.scsi.lun = d->lun[1]; /* single-level addressing: LUNs below 256 */
    r->h.target = r->p->units.at[d->target];
    r->sense_at = le64_get(d->sense_addr);
    r->sense_room = le32_get(d->sense_len);
    return BTSTAT_SUCCESS;
}

/* true: a completion was posted. */
static bool start(struct pvscsi *p, const struct pvscsi_req_desc *d)
{
    struct pvscsi_req *r = req_get(p);
    int host;

    if (!r) {
        post(p, le64_get(d->context), 0, BTSTAT_HASOFTWARE, 0, 0);
        return true;
    }
    r->context = le64_get(d->context);
    host = prepare(r, d);
    if (host != BTSTAT_SUCCESS) {
        post(p, r->context, 0, (uint16_t)host, 0, 0);
        req_put(r);
        return true;
    }
    if (scsi_try(r->h.target, &r->h.scsi)) {
        p->served_inline++;
        complete(r);
        req_put(r);
        return true;
    }
    handover_give(&p->late, &r->h);
    return false;
}

/* Requests that may be taken now without running out of room for completions. */
static uint32_t room(struct pvscsi *p)
{
    uint32_t used = p->s.cmp_prod - load(&p->shared->cmp_cons_idx);

    if (used > p->s.cmp_entries) {
        broken(p, "the completion ring's consumer is outside the ring");
        return 0;
    }
    used += p->late.inflight;
    return used < p->s.cmp_entries ? p->s.cmp_entries - used : 0;
}

/* Requests stayed in the ring for want of room: looks again until the guest has made some. */
void pvscsi_retry(struct alarm *a)
{
    struct pvscsi *p = container_of(a, struct pvscsi, retry);

    device_lock(&p->pci.dev);
    (void)pvscsi_serve(p);
    device_unlock(&p->pci.dev);
}

void pvscsi_retry_soon(struct task *t)
{
    struct pvscsi *p = container_of(t, struct pvscsi, full);
    struct loop *l = p->pci.dev.env.loop;

    loop_arm(l, &p->retry, loop_now(l) + RETRY_NS);
}

void pvscsi_serve_more(struct task *t)
{
    struct pvscsi *p = container_of(t, struct pvscsi, more);

    device_lock(&p->pci.dev);
    (void)pvscsi_serve(p);
    device_unlock(&p->pci.dev);
}

uint32_t pvscsi_serve(struct pvscsi *p)
{
    bool posted = false;
    uint32_t taken = 0;

    while (p->s.rings && !p->s.broken) {
        struct pvscsi_req_desc d;
        uint32_t n = load(&p->shared->req_prod_idx) - p->s.req_cons;

        if (n == 0)
            break;
        if (n > p->s.req_entries) {
            broken(p, "the request ring's producer is outside the ring");
            break;
        }
        if (taken == p->s.req_entries) {
            loop_ask(p->pci.dev.env.loop, &p->more);
            break;
        }
        if (room(p) == 0) {
            loop_ask(p->pci.dev.env.loop, &p->full);
            break;
        }
        if (gmem_read(p->pci.dev.env.mem,
                      entry_at(p->s.req_ppn, p->s.req_entries, p->s.req_cons, PVSCSI_REQS_PER_PAGE,
                               sizeof(d)),
                      &d, sizeof(d)) < 0) {
            broken(p, "the request ring is not in memory");
            break;
        }
        store(&p->shared->req_cons_idx, ++p->s.req_cons);
        posted |= start(p, &d);
        taken++;
    }
    if (posted)
        pvscsi_interrupt(p, PVSCSI_INTR_CMPL_0);
    return taken;
}

/* --- the loop's side --- */

void pvscsi_request_done(struct handed *h)
{
    struct pvscsi_req *r = container_of(h, struct pvscsi_req, h);
    struct pvscsi *p = r->p;

    if (p->s.rings && !p->s.broken) {
        complete(r);
        pvscsi_interrupt(p, PVSCSI_INTR_CMPL_0);
    }
    req_put(r);
}

/* --- set-up and the end --- */

void pvscsi_rings_start(struct pvscsi *p)
{
    struct pvscsi_rings_state *sh = p->shared;

    p->s.req_cons = p->s.cmp_prod = 0;
    store(&sh->req_cons_idx, 0);
    store(&sh->cmp_prod_idx, 0);
    store(&sh->req_num_entries_log2, (uint32_t)__builtin_ctz(p->s.req_entries));
    store(&sh->cmp_num_entries_log2, (uint32_t)__builtin_ctz(p->s.cmp_entries));
    store(&sh->req_call_threshold, 0); /* until the driver asks for more */
    p->s.rings = true;
    p->s.broken = false;
}

void pvscsi_rings_stop(struct pvscsi *p)
{
    p->s.rings = p->s.msg_ring = p->s.broken = p->s.gathers = false;
    p->shared = NULL;
}

static void abort_those(struct handed *h, uint64_t context)
{
    for (; h; h = h->next) {
        struct pvscsi_req *r = container_of(h, struct pvscsi_req, h);

        r->aborted |= r->context == context;
    }
}

void pvscsi_abort(struct pvscsi *p, uint64_t context)
{
    abort_those(p->late.waiting, context);
    abort_those(p->late.flying, context);
}

void pvscsi_message(struct pvscsi *p, uint32_t type, unsigned target)
{
    struct pvscsi_msg_dev_status msg = {.type = le32_of(type), .target = le32_of(target)};
    gpa_t at;

    if (!p->s.msg_ring || p->s.broken)
        return;
    if (p->s.msg_prod - load(&p->shared->msg_cons_idx) >= p->s.msg_entries)
        return; /* the guest does not read its messages: it will find the unit by a scan */
    at = entry_at(p->s.msg_ppn, p->s.msg_entries, p->s.msg_prod, PVSCSI_MSGS_PER_PAGE, sizeof(msg));
    if (gmem_write(p->pci.dev.env.mem, at, &msg, sizeof(msg)) < 0) {
        broken(p, "the message ring is not in memory");
        return;
    }
    store(&p->shared->msg_prod_idx, ++p->s.msg_prod);
    pvscsi_interrupt(p, PVSCSI_INTR_MSG_0);
}
