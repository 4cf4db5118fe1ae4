/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target.c - the SCSI target: logical units, dispatch, sense data, unit attention.
 *
 * Documents: SAM-5 (unit attention, task management), SPC-4. Not modelled: several initiators,
 * linked commands, autocontingent allegiance, asymmetric access, COMPARE AND WRITE, EXTENDED COPY.
 *
 * A command is either answered from the unit's state, or becomes disk requests (block.c, unmap.c).
 * What is finished at once is queued, and done() is called from the loop's next round.
 */
#include "storage/scsi/target.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/iov.h"
#include "core/loop.h"

/* --- units --- */

/* Space padded, as INQUIRY wants it. */
static void pad(char *dst, size_t n, const char *src)
{
    size_t len = strnlen(src, n);

    memset(dst, ' ', n);
    memcpy(dst, src, len);
    dst[n] = '\0';
}

/* FNV-1a: a stable number from a stable name. */
static uint64_t hash(const char *text)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    return h;
}

int scsi_target_create(struct loop *l, const struct scsi_target_cfg *c, struct scsi_target **out,
                       struct err *e)
{
    struct scsi_target *t = calloc(1, sizeof(*t));

    if (!t)
        return err_set(e, ENOMEM, "no memory for a SCSI target");
    t->loop = l;
    t->cfg = *c;
    pad(t->vendor, 8, c->vendor ? c->vendor : "HOSPES");
    pad(t->product, 16, c->product ? c->product : "DISK");
    pad(t->revision, 4, c->revision ? c->revision : "1.0");
    t->later_tail = &t->later;
    pthread_mutex_init(&t->lock, NULL);
    *out = t;
    return 0;
}

static void unit_free(void *arg)
{
    struct scsi_lun *u = arg;

    disk_close(u->disk);
    free(u);
}

void scsi_target_destroy(struct scsi_target *t)
{
    if (!t)
        return;
    for (unsigned i = 0; i < SCSI_MAX_LUNS; i++) {
        if (t->lun[i])
            unit_free(t->lun[i]);
    }
    pthread_mutex_destroy(&t->lock);
    free(t);
}

void scsi_target_listen(struct scsi_target *t, const struct scsi_events *ev)
{
    t->events = ev ? *ev : (struct scsi_events){0};
}

static struct scsi_lun *unit_get(struct scsi_target *t, unsigned lun)
{
    struct scsi_lun *u = NULL;
    size_t i;

    if (!idx_in(lun, SCSI_MAX_LUNS, &i))
        return NULL;
    pthread_mutex_lock(&t->lock);
    u = t->lun[i];
    if (u)
        u->refs++;
    pthread_mutex_unlock(&t->lock);
    return u;
}

static void unit_put(struct scsi_lun *u)
{
    struct loop *l;
    bool last;

    if (!u)
        return;
    l = u->t->loop;
    pthread_mutex_lock(&u->t->lock);
    last = --u->refs == 0 && u->gone;
    pthread_mutex_unlock(&u->t->lock);
    if (last)
        loop_post(l, unit_free, u); /* a disk is closed on its loop, and not inside its callback */
}

void scsi_attend(struct scsi_lun *u, uint16_t asc)
{
    WRITE_ONCE(u->s.attention, asc);
}

static void tell(struct scsi_target *t, unsigned lun, bool present)
{
    if (t->events.changed)
        t->events.changed(t->events.arg, lun, present);
}

static void others_changed(struct scsi_target *t, unsigned lun)
{
    for (unsigned i = 0; i < SCSI_MAX_LUNS; i++) {
        if (t->lun[i] && i != lun && !t->lun[i]->s.attention)
            scsi_attend(t->lun[i], ASC_REPORTED_LUNS_DATA_HAS_CHANGED);
    }
}

static struct scsi_lun *unit_make(struct scsi_target *t, unsigned lun, const struct scsi_lun_cfg *c)
{
    struct scsi_lun *u = calloc(1, sizeof(*u));
    const char *id = c->id ? c->id : "disk";

    if (!u)
        return NULL;
    u->t = t;
    u->number = lun;
    u->disk = c->disk;
    u->cdrom = c->cdrom;
    u->packet = c->packet;
    if (u->disk)
        disk_shape(u->disk, &u->shape);
    u->s = (struct scsi_lun_state){.wce = true, .attention = ASC_POWER_ON_OR_RESET};
    pad(u->vendor, 8, c->vendor ? c->vendor : t->vendor);
    pad(u->product, 16, c->product ? c->product : t->product);
    pad(u->revision, 4, c->revision ? c->revision : t->revision);
    u->naa = hash(c->serial ? c->serial : id);
    if (c->serial)
        snprintf(u->serial, sizeof(u->serial), "%s", c->serial);
    else
        snprintf(u->serial, sizeof(u->serial), "%016llx", (unsigned long long)u->naa);
    return u;
}

int scsi_attach(struct scsi_target *t, unsigned lun, const struct scsi_lun_cfg *c, struct err *e)
{
    struct scsi_lun *u;

    if (lun >= SCSI_MAX_LUNS)
        return err_set(e, EINVAL, "LUN %u does not exist; the last one is %d", lun,
                       SCSI_MAX_LUNS - 1);
    if (t->lun[lun])
        return err_set(e, EBUSY, "LUN %u is taken; choose another", lun);
    assert(c->disk || c->cdrom);
    u = unit_make(t, lun, c);
    if (!u)
        return err_set(e, ENOMEM, "no memory for LUN %u", lun);
    pthread_mutex_lock(&t->lock);
    t->lun[lun] = u;
    pthread_mutex_unlock(&t->lock);
    others_changed(t, lun);
    tell(t, lun, true);
    return 0;
}

int scsi_detach(struct scsi_target *t, unsigned lun, struct err *e)
{
    struct scsi_lun *u = unit_get(t, lun);

    if (!u)
        return err_set(e, ENOENT, "there is no LUN %u to take away", lun);
    pthread_mutex_lock(&t->lock);
    t->lun[lun] = NULL;
    u->gone = true;
    pthread_mutex_unlock(&t->lock);
    unit_put(u);
    others_changed(t, lun);
    tell(t, lun, false);
    return 0;
}

void scsi_resized(struct scsi_target *t, unsigned lun)
{
    struct scsi_lun *u = unit_get(t, lun);

    if (!u)
        return;
    if (u->disk)
        disk_shape(u->disk, &u->shape);
    if (u->cdrom) { /* a guest asks its drive */
        scsi_disc_changed(u);
    } else {
        scsi_attend(u, ASC_CAPACITY_HAS_CHANGED);
        tell(t, lun, true);
    }
    unit_put(u);
}

bool scsi_grew(struct scsi_target *t, const struct disk *disk)
{
    for (unsigned i = 0; t && i < SCSI_MAX_LUNS; i++) {
        if (t->lun[i] && t->lun[i]->disk == disk) {
            scsi_resized(t, i);
            return true;
        }
    }
    return false;
}

bool scsi_lun_present(struct scsi_target *t, unsigned lun)
{
    return lun < SCSI_MAX_LUNS && t->lun[lun];
}

int scsi_lun_next(struct scsi_target *t, unsigned from)
{
    for (unsigned i = from; i < SCSI_MAX_LUNS; i++) {
        if (t->lun[i])
            return (int)i;
    }
    return -1;
}

void scsi_reset(struct scsi_target *t, int lun)
{
    for (unsigned i = 0; i < SCSI_MAX_LUNS; i++) {
        struct scsi_lun *u = t->lun[i];

        if (!u || (lun >= 0 && (unsigned)lun != i))
            continue;
        WRITE_ONCE(u->s.wce, true);
        scsi_prevent(u, false);
        scsi_attend(u, ASC_POWER_ON_OR_RESET);
    }
}

/* --- results --- */

void scsi_status(struct scsi_req *r, enum scsi_status status)
{
    r->status = (uint8_t)status;
    r->sense_len = 0;
    r->moved = 0;
}

void scsi_good(struct scsi_req *r, uint64_t moved)
{
    scsi_status(r, SCSI_GOOD);
    r->moved = moved;
}

void scsi_fail(struct scsi_req *r, enum sense_key key, enum sense_code asc)
{
    struct scsi_sense_fixed s = {
        .response = 0x70,
        .key = (uint8_t)key,
        .additional_length = sizeof(s) - 8,
        .asc = (uint8_t)(asc >> 8),
        .ascq = (uint8_t)asc,
    };

    scsi_status(r, SCSI_CHECK_CONDITION);
    memcpy(r->sense, &s, sizeof(s));
    r->sense_len = sizeof(s);
}

void scsi_result(struct scsi_req *r, int res, uint64_t moved)
{
    bool reading = r->disk.op == DISK_READ;

    switch (res) {
    case 0:
        scsi_good(r, moved);
        break;
    case -ENOSPC:
    case -EDQUOT:
        scsi_fail(r, DATA_PROTECT, ASC_SPACE_ALLOCATION_FAILED);
        break;
    case -EROFS:
        scsi_fail(r, DATA_PROTECT, ASC_WRITE_PROTECTED);
        break;
    case -EINVAL:
        scsi_fail(r, ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
        break;
    case -ENOMEM:
        scsi_status(r, SCSI_BUSY);
        break;
    default:
        scsi_fail(r, MEDIUM_ERROR, reading ? ASC_UNRECOVERED_READ_ERROR : ASC_WRITE_ERROR);
        break;
    }
}

void scsi_reply(struct scsi_req *r, const void *buf, size_t n, size_t allocation)
{
    n = (size_t)min_u64(n, allocation);
    scsi_good(r, iov_write(r->iov, r->iovcnt, 0, buf, n));
}

bool scsi_param(struct scsi_req *r, void *buf, size_t n)
{
    if (iov_read(r->iov, r->iovcnt, 0, buf, n) == n)
        return true;
    scsi_fail(r, ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
    return false;
}

/* --- dispatch --- */

void scsi_complete(struct scsi_req *r)
{
    struct scsi_lun *u = r->l;

    r->l = NULL;
    unit_put(u);
    r->done(r);
}

/* What done() submits in turn is for the next round: a guest that always has another command does
 * not keep the loop. */
static void call_later(void *arg)
{
    struct scsi_target *t = arg;
    struct scsi_req *r = t->later;

    t->later = NULL;
    t->later_tail = &t->later;
    while (r) {
        struct scsi_req *next = r->next;

        scsi_complete(r);
        r = next;
    }
}

static void finish(struct scsi_req *r)
{
    struct scsi_target *t = r->t;

    if (!t->later)
        loop_post(t->loop, call_later, t);
    r->next = NULL;
    *t->later_tail = r;
    t->later_tail = &r->next;
}

static void disk_done(struct disk_req *d, int res)
{
    struct scsi_req *r = container_of(d, struct scsi_req, disk);

    scsi_result(r, res, d->op == DISK_READ || d->op == DISK_WRITE ? d->len : 0);
    scsi_complete(r);
}

static void request_sense(struct scsi_req *r)
{
    struct scsi_sense_fixed s = {.response = 0x70, .additional_length = sizeof(s) - 8};

    if (r->l && r->l->s.attention) {
        s.key = UNIT_ATTENTION;
        s.asc = (uint8_t)(r->l->s.attention >> 8);
        s.ascq = (uint8_t)r->l->s.attention;
        scsi_attend(r->l, 0);
    } else if (!r->l) {
        s.key = ILLEGAL_REQUEST;
        s.asc = ASC_LOGICAL_UNIT_NOT_SUPPORTED >> 8;
    }
    scsi_reply(r, &s, sizeof(s), r->cdb[4]);
}

/* SAM-5 5.14: these report their answer even while a unit attention is pending. */
static bool without_attention(struct scsi_req *r)
{
    switch (r->cdb[0]) {
    case INQUIRY:
        if (r->l)
            scsi_inquiry(r);
        else
            scsi_inquiry_absent(r);
        return true;
    case REPORT_LUNS:
        scsi_report_luns(r);
        return true;
    case REQUEST_SENSE:
        request_sense(r);
        return true;
    default:
        return false;
    }
}

static bool attention(struct scsi_req *r)
{
    uint16_t asc = r->l->s.attention;

    if (!asc || r->cdb[0] == GET_EVENT_STATUS_NOTIFICATION)
        return false;
    scsi_attend(r->l, 0);
    scsi_fail(r, UNIT_ATTENTION, (enum sense_code)asc);
    return true;
}

/* Commands that need no medium. */
static bool unit_command(struct scsi_req *r)
{
    switch (r->cdb[0]) {
    case MODE_SENSE_6:
    case MODE_SENSE_10:
        scsi_mode_sense(r, r->cdb[0] == MODE_SENSE_10);
        return true;
    case MODE_SELECT_6:
    case MODE_SELECT_10:
        scsi_mode_select(r, r->cdb[0] == MODE_SELECT_10);
        return true;
    case START_STOP_UNIT:
        scsi_start_stop(r);
        return true;
    case PREVENT_ALLOW_MEDIUM_REMOVAL:
        scsi_prevent(r->l, r->cdb[4] & 1);
        scsi_good(r, 0);
        return true;
    case RESERVE_6:
    case RELEASE_6:
    case RESERVE_10:
    case RELEASE_10:
        scsi_good(r, 0); /* there is one initiator, so nobody to keep out */
        return true;
    case PERSISTENT_RESERVE_IN:
        scsi_reserve_in(r);
        return true;
    case PERSISTENT_RESERVE_OUT:
        scsi_reserve_out(r);
        return true;
    default:
        return r->l->cdrom && scsi_cdrom_command(r);
    }
}

/* true: r is finished; false: its disk request was filled in and is to be submitted. */
static bool dispatch(struct scsi_req *r)
{
    if (without_attention(r))
        return true;
    if (!r->l) {
        scsi_fail(r, ILLEGAL_REQUEST, ASC_LOGICAL_UNIT_NOT_SUPPORTED);
        return true;
    }
    if (attention(r) || unit_command(r))
        return true;
    if (!scsi_medium(r->l)) {
        scsi_fail(r, NOT_READY, ASC_MEDIUM_NOT_PRESENT);
        return true;
    }
    return scsi_block_command(r);
}

static void prepare(struct scsi_target *t, struct scsi_req *r)
{
    r->t = t;
    r->l = unit_get(t, r->lun);
    r->job = NULL;
    r->moved = 0;
    r->disk = (struct disk_req){.done = disk_done};
}

void scsi_submit(struct scsi_target *t, struct scsi_req *r)
{
    prepare(t, r);
    if (dispatch(r))
        finish(r);
    else
        disk_submit(r->l->disk, &r->disk);
}

bool scsi_try(struct scsi_target *t, struct scsi_req *r)
{
    bool finished = false;
    int rc;

    prepare(t, r);
    if (r->l && scsi_medium(r->l) && !READ_ONCE(r->l->s.attention) && scsi_block_transfer(r) == 1) {
        rc = disk_try(r->l->disk, &r->disk);
        finished = rc != -EAGAIN;
        if (finished)
            scsi_result(r, rc, r->disk.len);
    }
    unit_put(r->l);
    r->l = NULL;
    return finished;
}
