/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mpt_io.c - SCSI requests and task management of the Fusion-MPT controllers.
 *
 * A request is tried on the vCPU that posts it (scsi_try); what would have to wait goes to the
 * loop, and task management always does, behind what was posted before it. A reply that needs a
 * frame when the driver has given none waits for one. Requests from before a reset end unheard.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/gmem.h"
#include "personas/vmware/mpt_priv.h"

static struct mpt_req *req_get(struct mpt *p)
{
    struct mpt_req *r = p->spare;
    struct iovec *iov;
    unsigned room;

    if (r)
        p->spare = r->next;
    else
        r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    iov = r->h.iov;
    room = r->h.iov_room;
    memset(r, 0, sizeof(*r));
    r->h.iov = iov;
    r->h.iov_room = room;
    r->p = p;
    r->epoch = p->epoch;
    return r;
}

static void req_put(struct mpt_req *r)
{
    r->next = r->p->spare;
    r->p->spare = r;
}

void mpt_request_free(struct handed *h)
{
    free(h->iov);
    free(container_of(h, struct mpt_req, h));
}

void mpt_reqs_free(struct mpt *p)
{
    while (p->spare) {
        struct mpt_req *r = p->spare;

        p->spare = r->next;
        mpt_request_free(&r->h);
    }
}

/* --- replies --- */

static void starve(struct mpt *p, struct mpt_req *r)
{
    r->next = NULL;
    *p->starved_end = r;
    p->starved_end = &r->next;
}

/* Sends r->reply in a frame and gives r back, now or when there is a frame. */
static void reply(struct mpt_req *r)
{
    struct mpt *p = r->p;

    if (p->starved || !mpt_post_frame(p, r->reply, r->reply_size)) {
        starve(p, r);
        return;
    }
    p->outstanding--;
    req_put(r);
}

void mpt_flush_starved(struct mpt *p)
{
    while (p->starved && mpt_post_frame(p, p->starved->reply, p->starved->reply_size)) {
        struct mpt_req *r = p->starved;

        p->starved = r->next;
        if (!p->starved)
            p->starved_end = &p->starved;
        if (r->event)
            p->starving_events--;
        else
            p->outstanding--;
        req_put(r);
    }
}

void mpt_drop_starved(struct mpt *p)
{
    while (p->starved) {
        struct mpt_req *r = p->starved;

        p->starved = r->next;
        if (!r->event)
            p->outstanding--;
        req_put(r);
    }
    p->starved_end = &p->starved;
    p->starving_events = 0;
}

void mpt_post_event(struct mpt *p, const uint8_t *event, unsigned size)
{
    struct mpt_req *r;

    if (!p->starved && mpt_post_frame(p, event, size))
        return;
    if (p->starving_events == MPT_EVENTS)
        return; /* the driver does not listen: it will find what there is by a scan */
    r = req_get(p);
    if (!r)
        return;
    r->event = true;
    p->starving_events++;
    memcpy(r->reply, event, size);
    r->reply_size = size;
    starve(p, r);
}

static void io_reply(struct mpt_req *r, uint16_t status)
{
    struct mpi_scsi_io_reply *o = (void *)r->reply;
    uint32_t sense = r->h.scsi.sense_len;

    mpt_reply_init(o, sizeof(*o), (const uint8_t *)&r->io, status);
    r->reply_size = sizeof(*o);
    o->task_tag = le16_of(MPI_SCSI_TASKTAG_UNKNOWN);
    o->transfer_count = le32_of((uint32_t)r->h.scsi.moved);
    o->scsi_status = r->h.scsi.status;
    if (status == MPI_IOCSTATUS_SCSI_TASK_TERMINATED)
        o->scsi_state = MPI_SCSI_STATE_TERMINATED | MPI_SCSI_STATE_NO_SCSI_STATUS;
    else if (status != MPI_IOCSTATUS_SUCCESS && status != MPI_IOCSTATUS_SCSI_DATA_UNDERRUN)
        o->scsi_state = MPI_SCSI_STATE_NO_SCSI_STATUS;
    else if (sense) {
        o->scsi_state = MPI_SCSI_STATE_AUTOSENSE_VALID;
        o->sense_count = le32_of(sense);
    }
    reply(r);
}

/* r is finished by the target. */
static void io_complete(struct mpt_req *r)
{
    struct mpt *p = r->p;
    bool less = r->h.scsi.moved < r->data_length;

    if (r->epoch != p->epoch) {
        p->outstanding--;
        req_put(r);
        return;
    }
    if (r->h.scsi.sense_len > r->sense_room)
        r->h.scsi.sense_len = r->sense_room;
    if (r->h.scsi.sense_len &&
        gmem_write(p->pci.dev.env.mem, r->sense_at, r->h.scsi.sense, r->h.scsi.sense_len) < 0)
        r->h.scsi.sense_len = 0;
    if (r->aborted) {
        r->h.scsi.sense_len = 0;
        io_reply(r, MPI_IOCSTATUS_SCSI_TASK_TERMINATED);
    } else if (r->h.scsi.status != SCSI_GOOD || less) {
        io_reply(r, less ? MPI_IOCSTATUS_SCSI_DATA_UNDERRUN : MPI_IOCSTATUS_SUCCESS);
    } else {
        mpt_post_context(p, r->context);
        p->outstanding--;
        req_put(r);
    }
}

/* --- scatter lists --- */

/* Where elements come from: the rest of the copied frame, then chained segments in memory. */
struct sgl {
    struct gmem *m;
    const uint8_t *frame;
    gpa_t base;           /* of a segment in memory */
    uint32_t at, size;    /* in the frame or the segment */
    uint32_t chain;       /* offset of its chain element, 0: none */
    bool in_memory, last; /* last: the list ends here */
};

struct element {
    uint32_t flags, length;
    uint64_t addr;
};

static bool sgl_bytes(const struct sgl *l, uint32_t at, uint8_t *out, uint32_t n)
{
    if (!range_in(at, n, l->size))
        return false;
    if (l->in_memory)
        return gmem_read(l->m, l->base + at, out, n) == 0;
    memcpy(out, l->frame + at, n);
    return true;
}

static bool sgl_element(struct sgl *l, struct element *e)
{
    uint8_t raw[12];
    uint32_t word;

    if (!sgl_bytes(l, l->at, raw, 4))
        return false;
    word = le32_at(raw);
    e->flags = word >> MPI_SGE_FLAGS_SHIFT;
    e->length = word & MPI_SGE_LENGTH_MASK;
    if (e->flags & MPI_SGE_FLAGS_64_BIT_ADDRESSING) {
        if (!sgl_bytes(l, l->at + 4, raw + 4, 8))
            return false;
        e->addr = le64_at(raw + 4);
        l->at += 12;
    } else {
        if (!sgl_bytes(l, l->at + 4, raw + 4, 4))
            return false;
        e->addr = le32_at(raw + 4);
        l->at += 8;
    }
    return true;
}

/* The next simple element, across chains. 1: there is one; 0: the end; -EINVAL: no list. */
static int sgl_next(struct sgl *l, struct element *e)
{
    for (unsigned chains = 0; chains < MPT_MAX_PIECES; chains++) {
        uint32_t type;

        if (l->last && !l->chain)
            return 0;
        if (l->last)
            l->at = l->chain; /* what lies between is padding */
        if (!sgl_element(l, e))
            return -EINVAL;
        type = e->flags & MPI_SGE_FLAGS_ELEMENT_TYPE_MASK;
        if (type == MPI_SGE_FLAGS_SIMPLE_ELEMENT) {
            l->last = e->flags & (MPI_SGE_FLAGS_LAST_ELEMENT | MPI_SGE_FLAGS_END_OF_LIST);
            if (e->flags & MPI_SGE_FLAGS_END_OF_LIST)
                l->chain = 0;
            return 1;
        }
        if (type != MPI_SGE_FLAGS_CHAIN_ELEMENT)
            return -EINVAL;
        l->in_memory = true;
        l->base = e->addr;
        l->size = e->length & MPI_SGE_CHAIN_LENGTH_MASK;
        l->chain = (e->length >> MPI_SGE_CHAIN_OFFSET_SHIFT & 0xff) * 4;
        l->at = 0;
        l->last = false;
    }
    return -EINVAL;
}

static int map_list(struct mpt_req *r, const uint8_t frame[MPT_FRAME], unsigned size, bool write)
{
    struct sgl l = {.m = r->p->pci.dev.env.mem,
                    .frame = frame,
                    .at = sizeof(r->io),
                    .size = size,
                    .chain = r->io.chain_offset * 4u};
    uint64_t left = r->data_length;
    size_t count = 0;

    for (unsigned n = 0; left && n < MPT_MAX_PIECES; n++) {
        struct element e;
        uint64_t len;
        int rc = sgl_next(&l, &e);

        if (rc <= 0)
            return rc < 0 ? rc : -EINVAL; /* it ends before the data does */
        len = min_u64(left, e.length);
        rc = len ? handed_add(&r->h, l.m, e.addr, len, write, 2 * MPT_MAX_PIECES, &count) : 0;
        if (rc < 0)
            return rc;
        left -= len;
    }
    if (left)
        return -EINVAL;
    r->h.scsi.iov = r->h.iov;
    r->h.scsi.iovcnt = (unsigned)count;
    return 0;
}

/* --- SCSI I/O --- */

static uint16_t prepare(struct mpt_req *r, const uint8_t frame[MPT_FRAME], unsigned size)
{
    struct mpt *p = r->p;
    uint32_t control = le32_get(r->io.control) & MPI_SCSIIO_CONTROL_DATADIRECTION_MASK;

    if (p->s.ioc_state != MPI_IOC_STATE_OPERATIONAL)
        return MPI_IOCSTATUS_INVALID_STATE;
    if (r->io.bus != 0)
        return MPI_IOCSTATUS_SCSI_INVALID_BUS;
    if (r->io.target_id >= p->s.max_devices)
        return MPI_IOCSTATUS_SCSI_INVALID_TARGETID;
    if (!mpt_present(p, r->io.target_id))
        return MPI_IOCSTATUS_SCSI_DEVICE_NOT_THERE;
    if (r->io.cdb_length == 0 || r->io.cdb_length > sizeof(r->io.cdb))
        return MPI_IOCSTATUS_INVALID_FIELD;
    r->target = r->io.target_id;
    r->h.target = p->units.at[r->target];
    r->data_length = control ? le32_get(r->io.data_length) : 0;
    r->sense_room = r->io.sense_buffer_length;
    r->sense_at = (gpa_t)p->s.sense_high << 32 | le32_get(r->io.sense_buffer_low_addr);
    if (map_list(r, frame, size, control != MPI_SCSIIO_CONTROL_WRITE) < 0) {
        guest_fault(&p->pci.dev, "a request's scatter list is no list, or not in memory");
        return MPI_IOCSTATUS_INVALID_SGL;
    }
    memcpy(r->h.scsi.cdb, r->io.cdb, r->io.cdb_length);
    /* Single-level addressing, by peripheral or flat. */
    r->h.scsi.lun = (uint16_t)((r->io.lun[0] & 0x3f) << 8 | r->io.lun[1]);
    return MPI_IOCSTATUS_SUCCESS;
}

static void scsi_io(struct mpt_req *r, const uint8_t frame[MPT_FRAME], unsigned size)
{
    struct mpt *p = r->p;
    uint16_t status;

    memcpy(&r->io, frame, sizeof(r->io));
    status = prepare(r, frame, size);
    if (status != MPI_IOCSTATUS_SUCCESS) {
        io_reply(r, status);
    } else if (scsi_try(r->h.target, &r->h.scsi)) {
        p->served_inline++;
        io_complete(r);
    } else {
        handover_give(&p->late, &r->h);
    }
}

/* --- task management --- */

static bool concerns(const struct mpt_req *tm, const struct mpt_req *r)
{
    switch (tm->task_type) {
    case MPI_SCSITASKMGMT_TASKTYPE_ABORT_TASK:
        return r->context == tm->task_context && r->target == tm->target;
    case MPI_SCSITASKMGMT_TASKTYPE_RESET_BUS:
        return true;
    default:
        return r->target == tm->target;
    }
}

static void tm_reply(struct mpt_req *tm, uint8_t response)
{
    struct mpi_scsi_task_mgmt_reply *o = (void *)tm->reply;

    mpt_reply_init(o, sizeof(*o), (const uint8_t *)&tm->io, MPI_IOCSTATUS_SUCCESS);
    o->response_code = response;
    o->task_type = tm->task_type;
    o->termination_count = le32_of(tm->terminated);
    tm->reply_size = sizeof(*o);
    reply(tm);
}

/* What tm concerns has ended. */
static void tm_finish(struct mpt *p, struct mpt_req *tm)
{
    static const uint8_t bus[4] = {0};
    bool all = tm->task_type == MPI_SCSITASKMGMT_TASKTYPE_RESET_BUS;

    if (tm->epoch != p->epoch) {
        p->outstanding--;
        req_put(tm);
        return;
    }
    if (tm->task_type == MPI_SCSITASKMGMT_TASKTYPE_TARGET_RESET || all ||
        tm->task_type == MPI_SCSITASKMGMT_TASKTYPE_LOGICAL_UNIT_RESET) {
        for (unsigned i = 0; i < MPT_TARGETS; i++) {
            if (p->units.at[i] && (all || i == tm->target))
                scsi_reset(p->units.at[i], -1);
        }
    }
    if (all && p->kind == MPT_53C1030)
        mpt_event(p, MPI_EVENT_IOC_BUS_RESET, bus, sizeof(bus));
    tm_reply(tm, MPI_SCSITASKMGMT_RSP_TM_COMPLETE);
}

static bool concerns_none(const struct mpt_req *tm, const struct handed *flying)
{
    for (; flying; flying = flying->next) {
        if (concerns(tm, container_of(flying, struct mpt_req, h)))
            return false;
    }
    return true;
}

/* Finishes those that wait for nothing in flight any more. */
static void tm_check(struct mpt *p)
{
    struct mpt_req **at = &p->managing;

    while (*at) {
        struct mpt_req *tm = *at;

        if (!concerns_none(tm, p->late.flying)) {
            at = &tm->next;
            continue;
        }
        *at = tm->next;
        handover_end(&p->late);
        tm_finish(p, tm);
    }
}

/* All that was posted before is flying or done. */
void mpt_request_turn(struct handed *h)
{
    struct mpt_req *tm = container_of(h, struct mpt_req, h);
    struct mpt *p = tm->p;

    for (struct handed *k = p->late.flying; k; k = k->next) {
        struct mpt_req *r = container_of(k, struct mpt_req, h);

        if (concerns(tm, r) && !r->aborted) {
            r->aborted = true;
            tm->terminated++;
        }
    }
    tm->next = p->managing;
    p->managing = tm;
    tm_check(p);
}

static void task_mgmt(struct mpt_req *tm, const uint8_t frame[MPT_FRAME])
{
    struct mpt *p = tm->p;
    struct mpi_scsi_task_mgmt m;
    uint16_t status = MPI_IOCSTATUS_SUCCESS;

    memcpy(&m, frame, sizeof(m));
    memcpy(&tm->io, frame, sizeof(tm->io));
    tm->target = m.target_id;
    tm->task_type = m.task_type;
    tm->task_context = le32_get(m.task_msg_context);
    if (p->s.ioc_state != MPI_IOC_STATE_OPERATIONAL)
        status = MPI_IOCSTATUS_INVALID_STATE;
    else if (m.bus != 0)
        status = MPI_IOCSTATUS_SCSI_INVALID_BUS;
    else if (m.target_id >= MPT_TARGETS)
        status = MPI_IOCSTATUS_SCSI_INVALID_TARGETID;
    if (status != MPI_IOCSTATUS_SUCCESS) {
        mpt_reply_init(tm->reply, sizeof(struct mpi_scsi_task_mgmt_reply), frame, status);
        tm->reply_size = sizeof(struct mpi_scsi_task_mgmt_reply);
        reply(tm);
    } else if (m.task_type == 0 || m.task_type >= MPI_SCSITASKMGMT_TASKTYPE_QUERY_TASK) {
        tm_reply(tm, MPI_SCSITASKMGMT_RSP_TM_NOT_SUPPORTED);
    } else {
        handover_give(&p->late, &tm->h);
    }
}

void mpt_request(struct mpt *p, const uint8_t frame[MPT_FRAME], unsigned size)
{
    struct mpt_req *r;

    if (!mpt_has_credit(p))
        return;
    r = req_get(p);
    if (!r) {
        mpt_fault(p, MPI_IOCSTATUS_INSUFFICIENT_RESOURCES, "no memory for a request");
        return;
    }
    p->outstanding++;
    r->context = le32_at(frame + offsetof(struct mpi_request_header, msg_context));
    switch (frame[offsetof(struct mpi_request_header, function)]) {
    case MPI_FUNCTION_SCSI_IO_REQUEST:
        scsi_io(r, frame, size);
        break;
    case MPI_FUNCTION_SCSI_TASK_MGMT:
        task_mgmt(r, frame);
        break;
    default:
        r->reply_size = mpt_message(p, frame, r->reply);
        reply(r);
    }
}

void mpt_request_done(struct handed *h)
{
    struct mpt_req *r = container_of(h, struct mpt_req, h);
    struct mpt *p = r->p;

    io_complete(r);
    tm_check(p);
}
