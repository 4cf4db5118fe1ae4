/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reserve.c - SPC-4 5.13: persistent reservations, as far as one I_T nexus can tell.
 *
 * The guest is the only initiator, so a reservation never conflicts; its keys and types are kept
 * truthfully, because cluster software checks that it reads back what it wrote.
 */
#include <string.h>

#include "storage/scsi/target.h"

enum {
    IN_READ_KEYS = 0,
    IN_READ_RESERVATION = 1,
    IN_REPORT_CAPABILITIES = 2,
    IN_READ_FULL_STATUS = 3
};
enum {
    OUT_REGISTER = 0,
    OUT_RESERVE = 1,
    OUT_RELEASE = 2,
    OUT_CLEAR = 3,
    OUT_PREEMPT = 4,
    OUT_PREEMPT_AND_ABORT = 5,
    OUT_REGISTER_AND_IGNORE = 6
};

static bool type_valid(uint8_t type)
{
    return type == 1 || type == 3 || (type >= 5 && type <= 8);
}

void scsi_reserve_in(struct scsi_req *r)
{
    const struct scsi_lun_state *s = &r->l->s;
    uint8_t out[8 + 24] = {0};
    size_t n = 8;

    be32_put(out, s->pr_generation);
    switch (r->cdb[1] & 0x1f) {
    case IN_READ_KEYS:
        if (s->pr_key) {
            be64_put(out + 8, s->pr_key);
            n += 8;
        }
        be32_put(out + 4, (uint32_t)(n - 8));
        break;
    case IN_READ_RESERVATION:
        if (s->pr_type) {
            be64_put(out + 8, s->pr_key);
            out[21] = s->pr_type;
            n += 16;
        }
        be32_put(out + 4, (uint32_t)(n - 8));
        break;
    case IN_REPORT_CAPABILITIES:
        memset(out, 0, 8);
        be16_put(out, 8);
        out[3] = 0x80;             /* TMV: the type mask is valid */
        be16_put(out + 4, 0xea01); /* all six types */
        break;
    case IN_READ_FULL_STATUS:
        if (s->pr_key) {
            be64_put(out + 8, s->pr_key);
            out[20] = s->pr_type ? 0x01 : 0; /* R_HOLDER */
            out[21] = s->pr_type;
            n += 24;
        }
        be32_put(out + 4, (uint32_t)(n - 8));
        break;
    default:
        scsi_fail(r, ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
        return;
    }
    scsi_reply(r, out, n, be16_at(r->cdb + 7));
}

static void registration(struct scsi_lun_state *s, uint64_t key)
{
    s->pr_key = key;
    if (!key)
        s->pr_type = 0;
    s->pr_generation++;
}

/* false: reservation conflict. The caller has checked the action and the type. */
static bool change(struct scsi_lun_state *s, unsigned action, uint8_t type, uint64_t key,
                   uint64_t new_key)
{
    if (action == OUT_REGISTER_AND_IGNORE) {
        registration(s, new_key);
        return true;
    }
    if (key != s->pr_key || (action != OUT_REGISTER && !s->pr_key))
        return false;
    switch (action) {
    case OUT_REGISTER:
        registration(s, new_key);
        break;
    case OUT_RESERVE:
        if (s->pr_type && s->pr_type != type)
            return false;
        s->pr_type = type;
        break;
    case OUT_RELEASE:
        s->pr_type = 0;
        break;
    case OUT_CLEAR:
        registration(s, 0);
        break;
    default: /* preempt: there is only ourselves to preempt */
        if (new_key && new_key != s->pr_key)
            return false;
        s->pr_type = type;
        s->pr_generation++;
        break;
    }
    return true;
}

void scsi_reserve_out(struct scsi_req *r)
{
    unsigned action = r->cdb[1] & 0x1f;
    uint8_t type = r->cdb[2] & 0x0f, list[24];
    bool typed = action == OUT_RESERVE || action == OUT_RELEASE || action == OUT_PREEMPT ||
                 action == OUT_PREEMPT_AND_ABORT;

    if (action > OUT_REGISTER_AND_IGNORE || (typed && (!type_valid(type) || r->cdb[2] >> 4))) {
        scsi_fail(r, ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
        return;
    }
    if (be32_at(r->cdb + 5) != sizeof(list)) {
        scsi_fail(r, ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
        return;
    }
    if (!scsi_param(r, list, sizeof(list)))
        return;
    if (list[20] & 0x0e) { /* SPEC_I_PT, ALL_TG_PT are not offered */
        scsi_fail(r, ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_PARAMETER_LIST);
        return;
    }
    if (change(&r->l->s, action, type, be64_at(list), be64_at(list + 8)))
        scsi_good(r, sizeof(list));
    else
        scsi_status(r, SCSI_RESERVATION_CONFLICT);
}
