/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storvsp.c - Hyper-V's synthetic SCSI controller and the accelerated channel of an IDE unit.
 *
 * Facts: Linux drivers/scsi/storvsc_drv.c. Modelled: protocols 2.0 to 6.2, subchannels, data by
 * guest pages, rescan notices. Not modelled: Fibre Channel, aborts (the protocol has none).
 *
 * Data goes between the disk and the guest's pages without a copy. Commands that move data are
 * tried on the vCPU that signals; all else is the loop's. Threads: these, under the device's lock.
 */
#define _GNU_SOURCE
#include "storvsp.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "abi/storvsp.h"
#include "core/err.h"
#include "core/iov.h"

enum {
    STORVSP_TRANSFER = 1 << 20, /* bytes of one request */
    STORVSP_IOV = STORVSP_TRANSFER / VMBUS_PAGE + 2,
    STORVSP_FLYING = 2048, /* requests at once */
    STORVSP_PACKET = 16 << 10,
    STORVSP_IDE_INSTANCE = 0x8899,
};

enum init_state { INIT_NONE, INIT_BEGUN, INIT_DONE };

struct storvsp_req {
    struct scsi_req scsi;
    struct vmbus_channel *c;
    struct storvsp *s;
    uint64_t life; /* the opening of c that it came by */
    uint64_t trans;
    size_t size;                /* of the packet and of its answer */
    struct vstor_packet packet; /* as it came; becomes the answer */
    struct storvsp_req *next;   /* free */
    struct iovec iov[STORVSP_IOV];
};

struct storvsp {
    struct vmbus *b;
    struct scsi_target *target;
    bool ide;
    uint8_t ide_target; /* its place on the cable */
    char *id;           /* of its channels, too */
    pthread_mutex_t lock;
    unsigned channels;
    struct vmbus_channel channel[STORVSP_CHANNELS];
    uint64_t life[STORVSP_CHANNELS]; /* openings so far */

    enum init_state init;
    uint16_t version;
    struct storvsp_req *spare;
    unsigned flying, made;
    uint64_t inlined, submitted;
};

static const uint16_t storvsp_versions[] = {VMSTOR_PROTO_VERSION_WIN6, VMSTOR_PROTO_VERSION_WIN7,
                                            VMSTOR_PROTO_VERSION_WIN8, VMSTOR_PROTO_VERSION_WIN8_1,
                                            VMSTOR_PROTO_VERSION_WIN10};

/* --- answers --- */

/* Drivers take no answer that is longer than what they have sent: before a version is agreed on
 * FreeBSD and older Linux send the short packets of Windows 7, others the long ones. */
static size_t answer_size(const struct ring_packet *p)
{
    return p->data_len < sizeof(struct vstor_packet) ? (size_t)VSTOR_PACKET_WIN7
                                                     : sizeof(struct vstor_packet);
}

static void answer(struct vmbus_channel *c, uint64_t trans, struct vstor_packet *k, size_t size)
{
    k->operation = le32_of(VSTOR_OPERATION_COMPLETE_IO);
    vmbus_complete(c, trans, k, size);
}

static struct storvsp_req *req_get(struct storvsp *s)
{
    struct storvsp_req *r = s->spare;

    if (r) {
        s->spare = r->next;
    } else {
        if (s->made == STORVSP_FLYING)
            return NULL;
        r = malloc(sizeof(*r));
        if (!r)
            return NULL;
        s->made++;
    }
    s->flying++;
    return r;
}

static void req_put(struct storvsp_req *r)
{
    struct storvsp *s = r->s;

    r->next = s->spare;
    s->spare = r;
    s->flying--;
}

/* The packet's own status follows from the command's. */
static void packet_status(struct vstor_packet *k)
{
    switch (k->vm_srb.srb_status & ~SRB_STATUS_AUTOSENSE_VALID) {
    case SRB_STATUS_SUCCESS:
        k->status = le32_of(0);
        break;
    case SRB_STATUS_NO_DEVICE:
    case SRB_STATUS_INVALID_LUN:
        k->status = le32_of(STATUS_DEVICE_DOES_NOT_EXIST);
        break;
    default:
        k->status = le32_of(STATUS_IO_DEVICE_ERROR);
        break;
    }
}

/* Sense and status of a finished command into its answer. */
static void srb_result(struct storvsp_req *r)
{
    struct vmscsi_request *q = &r->packet.vm_srb;
    size_t room = r->s->version < VMSTOR_PROTO_VERSION_WIN8 ? VMSCSI_SENSE_WIN7 : VMSCSI_SENSE;

    q->scsi_status = r->scsi.status;
    q->srb_status = r->scsi.status == SCSI_GOOD ? SRB_STATUS_SUCCESS : SRB_STATUS_ERROR;
    q->data_transfer_length = le32_of((uint32_t)r->scsi.moved);
    q->sense_info_length = 0;
    if (r->scsi.status == SCSI_CHECK_CONDITION && r->scsi.sense_len) {
        q->srb_status |= SRB_STATUS_AUTOSENSE_VALID;
        q->sense_info_length = (uint8_t)min_u64(r->scsi.sense_len, room);
        memset(q->cdb, 0, sizeof(q->cdb));
        memcpy(q->cdb, r->scsi.sense, q->sense_info_length);
    }
    packet_status(&r->packet);
}

static void req_finish(struct storvsp_req *r)
{
    size_t at = (size_t)(r->c - r->s->channel);

    if (r->life == r->s->life[at]) {
        srb_result(r);
        answer(r->c, r->trans, &r->packet, r->size);
    }
    req_put(r);
}

static void req_done(struct scsi_req *scsi)
{
    struct storvsp_req *r = container_of(scsi, struct storvsp_req, scsi);
    struct storvsp *s = r->s;
    struct vmbus_channel *c = r->c;
    bool full;

    pthread_mutex_lock(&s->lock);
    full = s->flying == STORVSP_FLYING;
    req_finish(r);
    vmbus_flush(c);
    for (unsigned i = 0; full && i < s->channels; i++)
        vmbus_resume(&s->channel[i]);
    pthread_mutex_unlock(&s->lock);
    vmbus_io_end(s->b);
}

/* --- commands --- */

static bool req_data(struct storvsp_req *r, const struct ring_packet *p)
{
    const struct vmscsi_request *q = &r->packet.vm_srb;
    uint32_t want = le32_get(q->data_transfer_length);
    struct vmdata_gpa_direct d;
    size_t n = 0;

    if (p->type == VM_PKT_DATA_USING_GPA_DIRECT) {
        if (p->ext_len < sizeof(d))
            return false;
        memcpy(&d, p->ext, sizeof(d));
        if (!gpadl_direct(r->s->b->mem, p->ext + sizeof(d), p->ext_len - sizeof(d),
                          le32_get(d.rangecount), r->iov, STORVSP_IOV, &n))
            return false;
    }
    if (q->data_in > UNKNOWN_TYPE || (q->data_in == UNKNOWN_TYPE && want && n == 0))
        want = 0;
    r->scsi.iov = r->iov;
    r->scsi.iovcnt = iov_trim(r->iov, (unsigned)n, want);
    return iov_len(r->iov, r->scsi.iovcnt) == want;
}

/* Of an IDE unit guests give the target as it is, but not always the path. */
static bool target_exists(const struct storvsp *s, const struct vmscsi_request *q)
{
    if (s->ide)
        return q->target_id == s->ide_target && q->lun == 0;
    return q->path_id == 0 && q->target_id == 0;
}

/* The list of units can be asked for without there being a unit 0. */
static bool unit_exists(const struct storvsp *s, const struct vmscsi_request *q, uint16_t *lun)
{
    *lun = q->lun;
    return target_exists(s, q) && (scsi_lun_present(s->target, *lun) || q->cdb[0] == REPORT_LUNS);
}

/* Linux takes every INQUIRY for a success, so the data must say that there is no unit; and at
 * INVALID_LUN it removes that unit of path 0, whatever the path was. */
static void srb_absent(struct storvsp_req *r)
{
    static const uint8_t none[36] = {0x7f, 0, 5, 2, 31}, empty[8] = {0};
    struct vmscsi_request *q = &r->packet.vm_srb;
    size_t n = 0;

    q->srb_status = q->path_id == 0 ? SRB_STATUS_INVALID_LUN : SRB_STATUS_NO_DEVICE;
    if (q->cdb[0] == INQUIRY && q->data_in == READ_TYPE) {
        n = iov_write(r->iov, r->scsi.iovcnt, 0, none, sizeof(none));
    } else if (q->cdb[0] == REPORT_LUNS && q->data_in == READ_TYPE) {
        n = iov_write(r->iov, r->scsi.iovcnt, 0, empty, sizeof(empty));
        q->srb_status = SRB_STATUS_SUCCESS;
    }
    q->data_transfer_length = le32_of((uint32_t)n);
}

/* Everything that follows from the packet; false: malformed. */
static bool req_begin(struct storvsp_req *r, struct storvsp *s, struct vmbus_channel *c,
                      const struct ring_packet *p, const struct vstor_packet *k)
{
    const struct vmscsi_request *q = &r->packet.vm_srb;

    r->s = s;
    r->c = c;
    r->trans = p->trans;
    r->size = answer_size(p);
    r->life = s->life[c - s->channel];
    r->packet = *k;
    r->scsi = (struct scsi_req){.done = req_done};
    memcpy(r->scsi.cdb, q->cdb, VMSCSI_CDB);
    return s->init == INIT_DONE && q->cdb_length <= VMSCSI_CDB && q->cdb_length && req_data(r, p);
}

/* true: the answer is in r->packet and nothing was started. */
static bool srb_refused(struct storvsp_req *r, bool sound)
{
    struct vmscsi_request *q = &r->packet.vm_srb;

    if (!sound) {
        vmbus_fault(r->c, "a command of %u bytes for unit %u is malformed", q->cdb_length, q->lun);
        q->srb_status = SRB_STATUS_INVALID_REQUEST;
        q->data_transfer_length = le32_of(0);
    } else if (!unit_exists(r->s, q, &r->scsi.lun)) {
        srb_absent(r);
    } else {
        return false;
    }
    q->scsi_status = SCSI_GOOD;
    q->sense_info_length = 0;
    packet_status(&r->packet);
    return true;
}

/* Any thread. */
static int64_t storvsp_quick(struct vmbus_channel *c, const struct ring_packet *p)
{
    struct storvsp *s = c->owner;
    struct vstor_packet k;
    struct storvsp_req *r;
    int64_t moved = -1;

    if (p->type != VM_PKT_DATA_USING_GPA_DIRECT || p->data_len < VSTOR_PACKET_WIN7)
        return -1;
    memcpy(&k, p->data, min_u64(p->data_len, sizeof(k)));
    if (le32_get(k.operation) != VSTOR_OPERATION_EXECUTE_SRB)
        return -1;
    r = req_get(s);
    if (!r)
        return -1;
    if (req_begin(r, s, c, p, &k) && target_exists(s, &k.vm_srb)) {
        r->scsi.lun = k.vm_srb.lun;
        if (scsi_try(s->target, &r->scsi))
            moved = (int64_t)r->scsi.moved;
    }
    if (moved < 0) {
        req_put(r);
        return -1;
    }
    s->inlined++;
    req_finish(r);
    return moved;
}

static void storvsp_srb(struct storvsp *s, struct vmbus_channel *c, const struct ring_packet *p,
                        struct vstor_packet *k)
{
    struct storvsp_req *r = req_get(s);

    if (!r) { /* cannot be: packets wait while all requests are in use; or memory ran out */
        k->vm_srb.srb_status = SRB_STATUS_ERROR;
        answer(c, p->trans, k, answer_size(p));
        return;
    }
    if (srb_refused(r, req_begin(r, s, c, p, k))) {
        answer(c, r->trans, &r->packet, r->size);
        req_put(r);
        return;
    }
    s->submitted++;
    vmbus_io_begin(s->b);
    scsi_submit(s->target, &r->scsi);
    if (s->flying == STORVSP_FLYING) {
        for (unsigned i = 0; i < s->channels; i++)
            vmbus_pause(&s->channel[i]);
    }
}

/* --- initialization --- */

static uint32_t set_version(struct storvsp *s, uint16_t version)
{
    for (size_t i = 0; i < ARRAY_SIZE(storvsp_versions); i++) {
        if (storvsp_versions[i] == version) {
            s->version = version;
            return 0;
        }
    }
    return STATUS_REVISION_MISMATCH;
}

static void properties(const struct storvsp *s, struct vstor_packet *k)
{
    bool many = s->channels > 1 && s->version >= VMSTOR_PROTO_VERSION_WIN8;

    k->storage_channel_properties = (struct vmstorage_channel_properties){
        .max_channel_cnt = le16_of(many ? (uint16_t)(s->channels - 1) : 0),
        .flags = le32_of(many ? STORAGE_CHANNEL_SUPPORTS_MULTI_CHANNEL : 0),
        .max_transfer_bytes = le32_of(STORVSP_TRANSFER),
    };
}

static void subchannels(struct storvsp *s, struct vmbus_channel *c, const struct ring_packet *p,
                        struct vstor_packet *k)
{
    unsigned n = le16_get(k->sub_channel_count);
    bool ok = s->init != INIT_NONE && s->version >= VMSTOR_PROTO_VERSION_WIN8 && n < s->channels;

    k->status = le32_of(ok ? 0 : STATUS_INVALID_PARAMETER);
    answer(c, p->trans, k, answer_size(p));
    for (unsigned i = 1; ok && i <= n; i++)
        vmbus_offer(&s->channel[i]);
}

static uint32_t initialize(struct storvsp *s, uint32_t op, struct vstor_packet *k)
{
    switch (op) {
    case VSTOR_OPERATION_BEGIN_INITIALIZATION:
        s->init = INIT_BEGUN;
        s->version = 0;
        return 0;
    case VSTOR_OPERATION_END_INITIALIZATION:
        if (s->init == INIT_NONE)
            return STATUS_UNSUCCESSFUL;
        s->init = INIT_DONE;
        return 0;
    case VSTOR_OPERATION_QUERY_PROTOCOL_VERSION:
        return s->init == INIT_BEGUN ? set_version(s, le16_get(k->version)) : STATUS_UNSUCCESSFUL;
    case VSTOR_OPERATION_QUERY_PROPERTIES:
        properties(s, k);
        return 0;
    case VSTOR_OPERATION_RESET_LUN:
    case VSTOR_OPERATION_RESET_ADAPTER:
    case VSTOR_OPERATION_RESET_BUS:
        scsi_reset(s->target, -1);
        return 0;
    default:
        return STATUS_INVALID_PARAMETER;
    }
}

static void storvsp_packet(struct vmbus_channel *c, const struct ring_packet *p)
{
    struct storvsp *s = c->owner;
    struct vstor_packet k = {.operation = le32_of(0)};
    uint32_t op;

    if (p->type == VM_PKT_COMP)
        return; /* of a notice of ours */
    memcpy(&k, p->data, min_u64(p->data_len, sizeof(k)));
    op = le32_get(k.operation);
    if (p->data_len < VSTOR_PACKET_WIN7) {
        vmbus_fault(c, "a packet of %zu bytes is too short", p->data_len);
        k.status = le32_of(STATUS_INVALID_PARAMETER);
        answer(c, p->trans, &k, sizeof(k));
    } else if (op == VSTOR_OPERATION_EXECUTE_SRB) {
        storvsp_srb(s, c, p, &k);
    } else if (op == VSTOR_OPERATION_CREATE_SUB_CHANNELS) {
        subchannels(s, c, p, &k);
    } else {
        k.status = le32_of(initialize(s, op, &k));
        answer(c, p->trans, &k, answer_size(p));
    }
}

/* --- channels --- */

static bool storvsp_open(struct vmbus_channel *c)
{
    struct storvsp *s = c->owner;

    if (c->sub_index == 0)
        s->init = INIT_NONE;
    if (s->flying == STORVSP_FLYING)
        vmbus_pause(c); /* like the others, until one ends */
    return true;
}

static void storvsp_close(struct vmbus_channel *c)
{
    struct storvsp *s = c->owner;

    s->life[c - s->channel]++;
    if (c->sub_index)
        return;
    s->init = INIT_NONE;
    for (unsigned i = 1; i < s->channels; i++)
        vmbus_rescind(&s->channel[i]);
}

static void storvsp_describe(struct vmbus_channel *c, struct dump *out)
{
    struct storvsp *s = c->owner;

    if (c->sub_index)
        return;
    pthread_mutex_lock(&s->lock);
    dump_add(out, c->id,
             "storvsc protocol %u.%u, %llu commands at once, %llu in the background, served by %s",
             s->version >> 8, s->version & 0xff, (unsigned long long)s->inlined,
             (unsigned long long)s->submitted,
             c->loop_only   ? "the loop"
             : c->bursts.on ? "the loop, in bursts"
                            : "the vCPU");
    pthread_mutex_unlock(&s->lock);
}

static const struct vmbus_class storvsp_class = {
    .name = "storvsc",
    .packet_max = STORVSP_PACKET,
    .monitored = true,
    .open = storvsp_open,
    .close = storvsp_close,
    .packet = storvsp_packet,
    .quick = storvsp_quick,
    .describe = storvsp_describe,
};

/* A unit came, went or grew: look again. */
static void storvsp_changed(void *arg, unsigned lun, bool present)
{
    struct storvsp *s = arg;
    struct vstor_packet k = {.operation = le32_of(VSTOR_OPERATION_ENUMERATE_BUS)};
    bool old = s->version < VMSTOR_PROTO_VERSION_WIN8;

    (void)lun;
    (void)present;
    if (s->init != INIT_DONE || s->version < VMSTOR_PROTO_VERSION_WIN7 || s->ide)
        return;
    pthread_mutex_lock(&s->lock);
    vmbus_send_data(&s->channel[0], &k, old ? (size_t)VSTOR_PACKET_WIN7 : sizeof(k));
    vmbus_flush(&s->channel[0]);
    pthread_mutex_unlock(&s->lock);
}

static int storvsp_add_channels(struct storvsp *s, const char *id, int ide, struct err *e)
{
    static const uint8_t scsi[16] = HV_SCSI_GUID, accel[16] = HV_IDE_GUID;
    int rc = 0;

    for (unsigned i = 0; i < s->channels && rc == 0; i++) {
        struct vmbus_channel *c = &s->channel[i];

        *c = (struct vmbus_channel){.class = &storvsp_class,
                                    .id = id,
                                    .sub_index = (uint16_t)i,
                                    .hidden = i > 0,
                                    .owner = s,
                                    .lock = &s->lock};
        memcpy(c->type, ide < 0 ? scsi : accel, 16);
        memcpy(c->instance, c->type, 16);
        if (ide < 0) {
            c->instance[15] ^= 1;
            for (size_t k = 0; id[k]; k++)
                c->instance[8 + k % 7] ^= (uint8_t)id[k];
        } else { /* 00000000-0001-8899-0000-000000000000: cable and unit; and told once more */
            memset(c->instance, 0, sizeof(c->instance));
            c->instance[0] = c->user_def[2] = (uint8_t)(ide / 2);
            c->instance[4] = c->user_def[3] = s->ide_target;
            le16_put(c->instance + 6, STORVSP_IDE_INSTANCE);
            c->user_def[8] = 2; /* an IDE unit */
        }
        rc = vmbus_add(s->b, c, e);
    }
    return rc;
}

void storvsp_instance(struct storvsp *s, const uint8_t instance[16])
{
    for (unsigned i = 0; i < s->channels; i++)
        memcpy(s->channel[i].instance, instance, sizeof(s->channel[i].instance));
}

/* A closing channel closes others. */
static void lock_make(pthread_mutex_t *lock)
{
    pthread_mutexattr_t a;

    pthread_mutexattr_init(&a);
    pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(lock, &a);
    pthread_mutexattr_destroy(&a);
}

static void storvsp_free(struct storvsp *s)
{
    scsi_target_destroy(s->target);
    for (struct storvsp_req *r = s->spare, *next; r; r = next) {
        next = r->next;
        free(r);
    }
    pthread_mutex_destroy(&s->lock);
    free(s->id);
    free(s);
}

int storvsp_create(struct vmbus *b, const char *id, int ide, unsigned channels,
                   struct storvsp **out, struct err *e)
{
    static const struct scsi_target_cfg cfg = {.vendor = "Msft",
                                               .product = "Virtual Disk",
                                               .revision = "1.0",
                                               .max_transfer = STORVSP_TRANSFER};
    struct storvsp *s = calloc(1, sizeof(*s));
    struct scsi_events ev = {.changed = storvsp_changed, .arg = s};
    int rc;

    if (s)
        s->id = strdup(id);
    if (!s || !s->id) {
        free(s);
        return err_set(e, ENOMEM, "no memory for a storage controller");
    }
    lock_make(&s->lock);
    s->b = b;
    s->ide = ide >= 0;
    s->ide_target = (uint8_t)(s->ide ? ide % 2 : 0);
    s->channels = ide >= 0 ? 1 : channels;
    rc = scsi_target_create(b->loop, &cfg, &s->target, e);
    if (rc == 0) {
        scsi_target_listen(s->target, &ev);
        rc = storvsp_add_channels(s, s->id, ide, e);
    }
    if (rc < 0) {
        for (unsigned i = 0; i < s->channels && s->channel[i].bus; i++)
            vmbus_remove(&s->channel[i]);
        storvsp_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

static bool storvsp_busy(void *arg)
{
    return ((const struct storvsp *)arg)->flying;
}

void storvsp_destroy(struct storvsp *s)
{
    for (unsigned i = 0; i < s->channels; i++)
        vmbus_remove(&s->channel[i]);
    /* What the disks still work on comes back here. */
    loop_drain(s->b->loop, s->id, storvsp_busy, s);
    storvsp_free(s);
}

void storvsp_reset(struct storvsp *s)
{
    loop_drain(s->b->loop, s->id, storvsp_busy, s);
    scsi_reset(s->target, -1);
}

int storvsp_attach(struct storvsp *s, unsigned lun, const struct scsi_lun_cfg *c, struct err *e)
{
    if (lun >= (s->ide ? 1 : STORVSP_LUNS))
        return err_set(e, EINVAL, "a Hyper-V storage controller has no unit %u", lun);
    return scsi_attach(s->target, lun, c, e);
}

int storvsp_detach(struct storvsp *s, unsigned lun, struct err *e)
{
    return scsi_detach(s->target, lun, e);
}

bool storvsp_grew(struct storvsp *s, const struct disk *disk)
{
    return scsi_grew(s->target, disk);
}
