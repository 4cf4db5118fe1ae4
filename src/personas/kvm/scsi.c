/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scsi.c - the virtio SCSI host device (VIRTIO 1.2, 5.6) in front of a SCSI target.
 *
 * One target, number 0, whose LUNs are the disks. A request is tried on the vCPU that rang the
 * doorbell; what cannot be done at once goes to the loop. Task management is answered once the
 * tasks that it is about have ended: they cannot be recalled from a disk, but none of them moves
 * data after the answer. Units that come, go or change their size are told by the event queue.
 *
 * Not modelled: commands with data both ways, protection information, asynchronous notifications,
 * task attributes (the target orders nothing). Threads: vCPUs and the loop, under the device's
 * lock.
 */
#define _GNU_SOURCE
#include "scsi.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/virtio_scsi.h"
#include "core/err.h"
#include "core/iov.h"

enum {
    SCSI_RING = 256,
    SCSI_SLOTS = SCSI_RING + 1,
    SCSI_IOV = SCSI_RING + 4,
    SCSI_RESP_IOV = 8, /* pieces that a driver may cut a response into */
    SCSI_TMFS = 16,
    SCSI_TMF_IOV = 8,
    SCSI_VCPU_BYTES = 512 << 10, /* that one doorbell may move on the vCPU */
    SCSI_HEAD_MAX = 4096,        /* the largest cdb_size and sense_size that a driver may choose */
    SCSI_TARGET = 0,
    /* Others do not answer, but Windows and OpenBSD take the last one's number for how many there
     * are, and NetBSD up to 8 begins with the second and calls it ours. */
    SCSI_TARGET_LAST = 2,
};

struct vscsi_req {
    struct scsi_req r; /* first */
    struct vq_chain c;
    struct virtio_queue *q;
    uint64_t tag, data; /* data: bytes that the driver has room for, or sent */
    bool busy, in;
    struct iovec resp[SCSI_RESP_IOV];
    unsigned resps;
    struct iovec iov[SCSI_IOV];
};

struct vscsi_queue {
    struct vscsi_req *slab;
    uint16_t free[SCSI_SLOTS];
    unsigned nfree;
    struct vscsi_req *waiting[SCSI_SLOTS]; /* for the loop to submit, oldest first */
    unsigned nwaiting;
    bool dirty; /* pushed and not flushed */
};

/* A task management request that waits for the tasks it is about. */
struct vscsi_tmf {
    struct vq_chain c;
    struct iovec iov[SCSI_TMF_IOV];
    bool busy;
    uint32_t subtype;
    unsigned lun;
    uint64_t tag;
};

struct vscsi {
    struct virtio v; /* first */
    struct scsi_target *t;
    struct vscsi_queue *sq; /* by request queue */
    unsigned requestqs;
    struct vscsi_tmf tmf[SCSI_TMFS];
    uint64_t known[SCSI_MAX_LUNS / 64]; /* units that the guest was told of */
    bool missed;                        /* an event found no buffer */
    bool flushing;
    struct alarm flush;
};

static struct vscsi *vscsi_of(struct virtio *v)
{
    return container_of(v, struct vscsi, v);
}

static uint32_t head_size(const struct vscsi *s, size_t field)
{
    return le32_at(s->v.config + field);
}

#define CDB_SIZE(s) head_size((s), __builtin_offsetof(struct virtio_scsi_config, cdb_size))
#define SENSE_SIZE(s) head_size((s), __builtin_offsetof(struct virtio_scsi_config, sense_size))

/* 5.6.6.1: 1, target, then the LUN in single-level form. false: not one of our target. */
static bool lun_of(const uint8_t b[8], unsigned *lun)
{
    *lun = ((unsigned)b[2] << 8 | b[3]) & 0x3fff;
    return b[0] == 1 && b[1] == SCSI_TARGET && (b[2] & 0xc0) <= 0x40;
}

static void lun_put(uint8_t b[8], unsigned lun)
{
    memset(b, 0, 8);
    b[0] = 1;
    b[1] = SCSI_TARGET;
    b[2] = (uint8_t)(0x40 | lun >> 8);
    b[3] = (uint8_t)lun;
}

/* --- completion --- */

static void vscsi_finish(struct vscsi *s, struct vscsi_queue *sq, struct vscsi_req *r,
                         uint8_t response)
{
    uint32_t room = SENSE_SIZE(s);
    struct virtio_scsi_resp_cmd h = {
        .status = r->r.status,
        .response = response,
        .residual = le32_of((uint32_t)min_u64(r->data - min_u64(r->data, r->r.moved), UINT32_MAX)),
    };
    uint32_t sense = (uint32_t)min_u64(r->r.sense_len, room);

    h.sense_len = le32_of(sense);
    iov_write(r->resp, r->resps, 0, &h, sizeof(h));
    iov_write(r->resp, r->resps, sizeof(h), r->r.sense, sense);
    vq_push(&r->q->vq, &r->c,
            (uint32_t)(sizeof(h) + room + (r->in ? min_u64(r->r.moved, r->data) : 0)));
    r->busy = false;
    sq->free[sq->nfree++] = (uint16_t)(r - sq->slab);
}

/* Is a task that t is about still at work? */
static bool tmf_waits(struct vscsi *s, const struct vscsi_tmf *t)
{
    bool one =
        t->subtype == VIRTIO_SCSI_T_TMF_ABORT_TASK || t->subtype == VIRTIO_SCSI_T_TMF_QUERY_TASK;

    for (unsigned q = 0; q < s->requestqs; q++) {
        struct vscsi_queue *sq = &s->sq[q];

        if (sq->nfree == SCSI_SLOTS)
            continue;
        for (unsigned i = 0; i < SCSI_SLOTS; i++) {
            const struct vscsi_req *r = &sq->slab[i];

            if (r->busy && (t->subtype == VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET ||
                            (r->r.lun == t->lun && (!one || r->tag == t->tag))))
                return true;
        }
    }
    return false;
}

static void tmf_answer(struct vscsi *s, struct vscsi_tmf *t, uint8_t response)
{
    struct virtio_queue *q = &s->v.q[VIRTIO_SCSI_CONTROLQ];

    iov_write(t->c.iov + t->c.out, t->c.in, 0, &response, 1);
    vq_push(&q->vq, &t->c, 1);
    t->busy = false;
    virtio_flush(q);
    virtio_release(&s->v, q);
}

static void tmfs_look(struct vscsi *s)
{
    bool any = false;

    for (unsigned i = 0; i < SCSI_TMFS; i++) {
        if (!s->tmf[i].busy || tmf_waits(s, &s->tmf[i]))
            continue;
        tmf_answer(s, &s->tmf[i], VIRTIO_SCSI_S_FUNCTION_COMPLETE);
        any = true;
    }
    if (any) /* more may have come while all were busy */
        virtio_wake(&s->v.q[VIRTIO_SCSI_CONTROLQ]);
}

static void vscsi_done(struct scsi_req *sr)
{
    struct vscsi_req *r = container_of(sr, struct vscsi_req, r);
    struct virtio_queue *q = r->q;
    struct vscsi *s = vscsi_of(q->dev);
    struct vscsi_queue *sq = &s->sq[q->index - VIRTIO_SCSI_REQUESTQ];

    device_lock(&s->v.pci.dev);
    vscsi_finish(s, sq, r, VIRTIO_SCSI_S_OK);
    sq->dirty = true;
    if (!s->flushing) {
        s->flushing = true;
        loop_arm(s->v.pci.dev.env.loop, &s->flush, 0);
    }
    virtio_release(&s->v, q);
    device_unlock(&s->v.pci.dev);
}

static void vscsi_flush(struct alarm *a)
{
    struct vscsi *s = container_of(a, struct vscsi, flush);

    device_lock(&s->v.pci.dev);
    s->flushing = false;
    for (unsigned i = 0; i < s->requestqs; i++) {
        if (s->sq[i].dirty)
            virtio_flush(&s->v.q[VIRTIO_SCSI_REQUESTQ + i]);
        s->sq[i].dirty = false;
    }
    tmfs_look(s);
    device_unlock(&s->v.pci.dev);
}

/* --- requests --- */

enum vscsi_next { VSCSI_REFUSED, VSCSI_TARGET, VSCSI_ANSWERED };

/* Fills r->r, or *response for VSCSI_ANSWERED. */
static enum vscsi_next vscsi_decode(struct vscsi *s, struct vscsi_req *r, uint8_t *response)
{
    uint64_t out_head = sizeof(struct virtio_scsi_req_cmd) + CDB_SIZE(s);
    uint64_t in_head = sizeof(struct virtio_scsi_resp_cmd) + SENSE_SIZE(s);
    struct virtio_scsi_req_cmd h;
    struct vq_chain *c = &r->c;
    unsigned lun, used;
    int pieces;

    if (c->out_len < out_head || c->in_len < in_head)
        return VSCSI_REFUSED;
    pieces = iov_slice(c->iov + c->out, c->in, 0, in_head, r->resp, SCSI_RESP_IOV);
    if (pieces < 0)
        return VSCSI_REFUSED;
    r->resps = (unsigned)pieces;
    iov_read(c->iov, c->out, 0, &h, sizeof(h));
    r->r = (struct scsi_req){.status = SCSI_GOOD};
    iov_read(c->iov, c->out, sizeof(h), r->r.cdb, min_u64(CDB_SIZE(s), sizeof(r->r.cdb)));
    r->tag = le64_get(h.id);
    r->in = c->in_len > in_head;
    r->data = r->in ? c->in_len - in_head : c->out_len - out_head;
    *response = VIRTIO_SCSI_S_BAD_TARGET;
    if (!lun_of(h.lun, &lun))
        return VSCSI_ANSWERED;
    *response = VIRTIO_SCSI_S_FAILURE;
    if (r->in && c->out_len > out_head)
        return VSCSI_ANSWERED;
    r->r.lun = (uint16_t)lun;
    if (r->in) {
        used = iov_skip(c->iov + c->out, c->in, in_head);
        r->r.iov = c->iov + c->out + used;
        r->r.iovcnt = c->in - used;
    } else {
        used = iov_skip(c->iov, c->out, out_head);
        r->r.iov = c->iov + used;
        r->r.iovcnt = c->out - used;
    }
    return VSCSI_TARGET;
}

/* Returns the bytes that moved at once. false with a broken request. */
static bool vscsi_serve_one(struct vscsi *s, struct vscsi_queue *sq, struct vscsi_req *r,
                            bool on_loop, uint64_t *moved)
{
    uint8_t response;

    r->busy = true;
    switch (vscsi_decode(s, r, &response)) {
    case VSCSI_REFUSED:
        r->busy = false;
        virtio_break(&s->v, "a request is too short for its header or status");
        return false;
    case VSCSI_ANSWERED:
        vscsi_finish(s, sq, r, response);
        return true;
    case VSCSI_TARGET:
        break;
    }
    r->r.done = vscsi_done;
    r->r.owner = s;
    if (scsi_try(s->t, &r->r)) {
        *moved += r->r.moved;
        vscsi_finish(s, sq, r, VIRTIO_SCSI_S_OK);
        return true;
    }
    virtio_hold(&s->v, r->q);
    if (on_loop)
        scsi_submit(s->t, &r->r);
    else
        sq->waiting[sq->nwaiting++] = r;
    return true;
}

static void vscsi_requests(struct vscsi *s, struct virtio_queue *q, bool on_loop)
{
    struct vscsi_queue *sq = &s->sq[q->index - VIRTIO_SCSI_REQUESTQ];
    unsigned served = 0, n = sq->nwaiting;
    uint64_t moved = 0;
    bool more = true;

    if (on_loop) {
        sq->nwaiting = 0;
        for (unsigned i = 0; i < n; i++)
            scsi_submit(s->t, &sq->waiting[i]->r);
    }
    vq_notify_off(&q->vq);
    while (more) {
        struct vscsi_req *r;

        if (served++ == 2 * SCSI_RING || (!on_loop && moved >= SCSI_VCPU_BYTES))
            break;
        r = &sq->slab[sq->free[sq->nfree - 1]];
        r->q = q;
        r->c.iov = r->iov;
        r->c.max = SCSI_IOV;
        if (!virtio_pop(q, &r->c)) {
            more = s->v.running && vq_notify_on(&q->vq);
            continue;
        }
        sq->nfree--;
        if (!vscsi_serve_one(s, sq, r, on_loop, &moved))
            return;
    }
    virtio_flush(q);
    if (more || (!on_loop && sq->nwaiting))
        virtio_wake(q);
}

/* --- task management: on the loop, where the target is --- */

static void tmf_begin(struct vscsi *s, struct vscsi_tmf *t, const struct virtio_scsi_ctrl_tmf *c)
{
    bool ours = lun_of(c->lun, &t->lun);

    t->subtype = le32_get(c->subtype);
    t->tag = le64_get(c->id);
    if (!ours) {
        tmf_answer(s, t, VIRTIO_SCSI_S_BAD_TARGET);
        return;
    }
    switch (t->subtype) {
    case VIRTIO_SCSI_T_TMF_QUERY_TASK:
    case VIRTIO_SCSI_T_TMF_QUERY_TASK_SET:
        tmf_answer(s, t,
                   tmf_waits(s, t) ? VIRTIO_SCSI_S_FUNCTION_SUCCEEDED
                                   : VIRTIO_SCSI_S_FUNCTION_COMPLETE);
        return;
    case VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET:
        scsi_reset(s->t, (int)t->lun);
        break;
    case VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET:
        scsi_reset(s->t, -1);
        break;
    case VIRTIO_SCSI_T_TMF_ABORT_TASK:
    case VIRTIO_SCSI_T_TMF_ABORT_TASK_SET:
    case VIRTIO_SCSI_T_TMF_CLEAR_TASK_SET:
        break;
    default:
        tmf_answer(s, t, VIRTIO_SCSI_S_FUNCTION_REJECTED);
        return;
    }
    if (!tmf_waits(s, t))
        tmf_answer(s, t, VIRTIO_SCSI_S_FUNCTION_COMPLETE);
}

/* Notifications are not offered: no event of those asked for is there. */
static void an_answer(struct vscsi *s, struct vscsi_tmf *t)
{
    const struct virtio_scsi_ctrl_an_resp a = {.response = VIRTIO_SCSI_S_OK};
    struct virtio_queue *q = &s->v.q[VIRTIO_SCSI_CONTROLQ];

    vq_push(&q->vq, &t->c, (uint32_t)iov_write(t->c.iov + t->c.out, t->c.in, 0, &a, sizeof(a)));
    t->busy = false;
    virtio_flush(q);
    virtio_release(&s->v, q);
}

static struct vscsi_tmf *tmf_free(struct vscsi *s)
{
    for (unsigned i = 0; i < SCSI_TMFS; i++) {
        if (!s->tmf[i].busy)
            return &s->tmf[i];
    }
    return NULL; /* tmfs_look() goes on */
}

static void vscsi_control(struct vscsi *s, struct virtio_queue *q)
{
    struct vscsi_tmf *t;
    unsigned served = 0;

    while ((t = tmf_free(s)) != NULL) {
        struct virtio_scsi_ctrl_tmf c = {.type = le32_of(UINT32_MAX)};

        if (served++ == SCSI_RING) { /* another processor adds as fast as they are answered */
            virtio_wake(q);
            return;
        }
        t->c.iov = t->iov;
        t->c.max = SCSI_TMF_IOV;
        if (!virtio_pop(q, &t->c)) {
            if (s->v.running && vq_notify_on(&q->vq))
                continue;
            return;
        }
        iov_read(t->c.iov, t->c.out, 0, &c, sizeof(c));
        if (t->c.in_len < 1 || t->c.out_len < sizeof(le32)) {
            virtio_break(&s->v, "a control request is too short");
            return;
        }
        t->busy = true;
        virtio_hold(&s->v, q);
        if (le32_get(c.type) == VIRTIO_SCSI_T_TMF && t->c.out_len >= sizeof(c))
            tmf_begin(s, t, &c);
        else if (le32_get(c.type) == VIRTIO_SCSI_T_AN_QUERY ||
                 le32_get(c.type) == VIRTIO_SCSI_T_AN_SUBSCRIBE)
            an_answer(s, t);
        else
            tmf_answer(s, t, VIRTIO_SCSI_S_FAILURE);
    }
}

/* --- events --- */

static void vscsi_event(struct vscsi *s, uint32_t event, unsigned lun, uint32_t reason)
{
    struct virtio_queue *q = &s->v.q[VIRTIO_SCSI_EVENTQ];
    struct virtio_scsi_event ev = {.reason = le32_of(reason)};
    struct iovec iov[SCSI_TMF_IOV];
    struct vq_chain c = {.iov = iov, .max = ARRAY_SIZE(iov)};

    if (!s->v.running || !q->vq.ready)
        return;
    if (!virtio_pop(q, &c)) {
        s->missed = true;
        return;
    }
    ev.event = le32_of(event | (s->missed ? VIRTIO_SCSI_T_EVENTS_MISSED : 0));
    s->missed = false;
    if (event != VIRTIO_SCSI_T_NO_EVENT)
        lun_put(ev.lun, lun);
    ev.lun[2] &= 0x3f; /* as REPORT LUNS has it: Linux takes both bytes for the number */
    vq_push(&q->vq, &c, (uint32_t)iov_write(iov + c.out, c.in, 0, &ev, sizeof(ev)));
    virtio_flush(q);
}

/* The target's, on the loop. */
static void vscsi_changed(void *arg, unsigned lun, bool present)
{
    struct vscsi *s = arg;
    uint64_t bit = UINT64_C(1) << (lun % 64), *known = &s->known[lun / 64];

    device_lock(&s->v.pci.dev);
    if (!present && virtio_has(&s->v, VIRTIO_SCSI_F_HOTPLUG))
        vscsi_event(s, VIRTIO_SCSI_T_TRANSPORT_RESET, lun, VIRTIO_SCSI_EVT_RESET_REMOVED);
    else if (present && !(*known & bit) && virtio_has(&s->v, VIRTIO_SCSI_F_HOTPLUG))
        vscsi_event(s, VIRTIO_SCSI_T_TRANSPORT_RESET, lun, VIRTIO_SCSI_EVT_RESET_RESCAN);
    else if (present && *known & bit && virtio_has(&s->v, VIRTIO_SCSI_F_CHANGE))
        vscsi_event(s, VIRTIO_SCSI_T_PARAM_CHANGE, lun, 0x2a | 0x09 << 8); /* CAPACITY CHANGED */
    *known = present ? *known | bit : *known & ~bit;
    device_unlock(&s->v.pci.dev);
}

static void vscsi_kick(struct virtio *v, struct virtio_queue *q, bool on_loop)
{
    struct vscsi *s = vscsi_of(v);

    if (q->index >= VIRTIO_SCSI_REQUESTQ)
        vscsi_requests(s, q, on_loop);
    else if (q->index == VIRTIO_SCSI_CONTROLQ && !on_loop)
        virtio_wake(q);
    else if (q->index == VIRTIO_SCSI_CONTROLQ)
        vscsi_control(s, q);
    else if (s->missed)
        vscsi_event(s, VIRTIO_SCSI_T_NO_EVENT, 0, 0);
}

/* --- life --- */

/* What the loop has not submitted yet never will be; what waits is not answered. */
static void vscsi_stop_queue(struct virtio *v, struct virtio_queue *q)
{
    struct vscsi *s = vscsi_of(v);
    struct vscsi_queue *sq;

    if (q->index == VIRTIO_SCSI_CONTROLQ) {
        for (unsigned i = 0; i < SCSI_TMFS; i++) {
            if (s->tmf[i].busy)
                virtio_release(v, q);
            s->tmf[i].busy = false;
        }
    }
    if (q->index < VIRTIO_SCSI_REQUESTQ)
        return;
    sq = &s->sq[q->index - VIRTIO_SCSI_REQUESTQ];
    for (unsigned i = 0; i < sq->nwaiting; i++) {
        struct vscsi_req *r = sq->waiting[i];

        r->busy = false;
        sq->free[sq->nfree++] = (uint16_t)(r - sq->slab);
        virtio_release(v, q);
    }
    sq->nwaiting = 0;
    sq->dirty = false;
}

static void vscsi_stop(struct virtio *v)
{
    virtio_hold(v, NULL); /* the reset must not end while the queues are being stopped */
    for (unsigned i = 0; i < v->queues; i++)
        vscsi_stop_queue(v, &v->q[i]);
    virtio_release(v, NULL);
}

static void vscsi_fill_config(struct vscsi *s)
{
    struct virtio_scsi_config *c = (void *)s->v.config;

    *c = (struct virtio_scsi_config){
        .num_queues = le32_of(s->requestqs),
        .seg_max = le32_of(SCSI_RING - 2),
        .max_sectors = le32_of(0xffff),
        .cmd_per_lun = le32_of(128),
        .event_info_size = le32_of(sizeof(struct virtio_scsi_event)),
        .sense_size = le32_of(VIRTIO_SCSI_SENSE_DEFAULT_SIZE),
        .cdb_size = le32_of(VIRTIO_SCSI_CDB_DEFAULT_SIZE),
        .max_target = le16_of(SCSI_TARGET_LAST),
        .max_lun = le32_of(SCSI_MAX_LUNS - 1),
    };
    s->v.config_len = sizeof(*c);
    memset(s->v.config_mask + __builtin_offsetof(struct virtio_scsi_config, sense_size), 0xff, 8);
}

static void vscsi_reset(struct virtio *v)
{
    vscsi_of(v)->missed = false;
    vscsi_fill_config(vscsi_of(v));
}

/* A size beyond reason would only make every request too short; it is cut. */
static void vscsi_config_written(struct virtio *v, unsigned off, unsigned size)
{
    static const size_t fields[] = {__builtin_offsetof(struct virtio_scsi_config, sense_size),
                                    __builtin_offsetof(struct virtio_scsi_config, cdb_size)};

    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        if (le32_at(v->config + fields[i]) > SCSI_HEAD_MAX)
            le32_put(v->config + fields[i], SCSI_HEAD_MAX);
    }
}

static void vscsi_free(struct vscsi *s)
{
    for (unsigned i = 0; s->sq && i < s->requestqs; i++) {
        if (s->sq[i].slab)
            munmap(s->sq[i].slab, SCSI_SLOTS * sizeof(struct vscsi_req));
    }
    free(s->sq);
    scsi_target_destroy(s->t);
}

static void vscsi_destroy(struct virtio *v)
{
    loop_disarm(v->pci.dev.env.loop, &vscsi_of(v)->flush);
    vscsi_free(vscsi_of(v));
}

static void vscsi_describe(struct virtio *v, struct dump *out)
{
    struct vscsi *s = vscsi_of(v);
    unsigned units = 0;

    for (int lun = scsi_lun_next(s->t, 0); lun >= 0; lun = scsi_lun_next(s->t, (unsigned)lun + 1))
        units++;
    dump_add(out, "units", "%u", units);
    dump_add(out, "hot plug", "%s",
             virtio_has(v, VIRTIO_SCSI_F_HOTPLUG) ? "the driver listens" : "no");
}

static const struct virtio_class vscsi_class = {
    .ops = VIRTIO_DEVICE_OPS("virtio-scsi"),
    .id = VIRTIO_ID_SCSI,
    .transitional_id = VIRTIO_PCI_DEVICE_SCSI,
    .pci_class = 0x010000,
    .serves_vcpu = true,
    .stop = vscsi_stop,
    .stop_queue = vscsi_stop_queue,
    .kick = vscsi_kick,
    .reset = vscsi_reset,
    .config_written = vscsi_config_written,
    .destroy = vscsi_destroy,
    .describe = vscsi_describe,
};

static int vscsi_slabs(struct vscsi *s, struct err *e)
{
    size_t bytes = SCSI_SLOTS * sizeof(struct vscsi_req);

    s->sq = calloc(s->requestqs, sizeof(*s->sq));
    for (unsigned i = 0; i < s->requestqs; i++) {
        struct vscsi_queue *sq = s->sq ? &s->sq[i] : NULL;
        void *p = MAP_FAILED;

        if (sq)
            p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED)
            return err_set(e, ENOMEM, "%s: no memory for the requests of %u queues",
                           s->v.pci.dev.env.id, s->requestqs);
        madvise(p, bytes, MADV_NOHUGEPAGE);
        sq->slab = p;
        while (sq->nfree < SCSI_SLOTS) {
            sq->free[sq->nfree] = (uint16_t)(SCSI_SLOTS - 1 - sq->nfree);
            sq->nfree++;
        }
    }
    return 0;
}

int vscsi_create(const struct env *env, const struct virtio_options *o, unsigned queues,
                 struct vscsi **out, struct err *e)
{
    static const struct scsi_target_cfg cfg = {
        .vendor = "HOSPES", .product = "Virtual disk", .revision = "1.0"};
    struct vscsi *s = calloc(1, sizeof(*s));
    struct scsi_events listen = {vscsi_changed, s};
    int rc;

    if (!s)
        return err_set(e, ENOMEM, "%s: no memory for a SCSI controller", env->id);
    s->requestqs = queues;
    s->flush.fire = vscsi_flush;
    rc = virtio_init(&s->v, &vscsi_class, env, VIRTIO_SCSI_REQUESTQ + queues, SCSI_RING, o, e);
    if (rc == 0)
        rc = vscsi_slabs(s, e);
    if (rc == 0)
        rc = scsi_target_create(env->loop, &cfg, &s->t, e);
    if (rc == 0) {
        s->v.offered |= VIRTIO_SCSI_F_HOTPLUG | VIRTIO_SCSI_F_CHANGE;
        vscsi_fill_config(s);
        scsi_target_listen(s->t, &listen);
        rc = virtio_attach(&s->v, o, e);
    }
    if (rc < 0) {
        virtio_fini(&s->v);
        vscsi_free(s);
        free(s);
        return rc;
    }
    *out = s;
    return 0;
}

struct scsi_target *vscsi_target(struct vscsi *s)
{
    return s->t;
}

void vscsi_boots(struct vscsi *s, unsigned lun, const char *id)
{
    pci_boots(&s->v.pci, id, "scsi", "channel@0/disk@0,%x", lun);
}
