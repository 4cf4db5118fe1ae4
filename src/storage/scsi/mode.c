/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mode.c - SPC-4 6.11-6.14: MODE SENSE and MODE SELECT.
 *
 * Pages: read-write error recovery (01h), caching (08h), control (0Ah), informational exceptions
 * (1Ch), CD capabilities (2Ah). Only WCE of the caching page can be changed.
 */
#include <string.h>

#include "storage/scsi/target.h"

enum {
    PAGE_RECOVERY = 0x01,
    PAGE_CACHING = 0x08,
    PAGE_CONTROL = 0x0a,
    PAGE_EXCEPTIONS = 0x1c,
    PAGE_CD = 0x2a,
    PAGE_ALL = 0x3f
};
enum { PC_CURRENT = 0, PC_CHANGEABLE = 1, PC_DEFAULT = 2, PC_SAVED = 3 };
enum { CACHING_WCE = 0x04 };

/* Appends page `code` to p; returns its length, 0 when this unit has no such page. */
static size_t page(const struct scsi_lun *u, uint8_t code, unsigned pc, uint8_t *p)
{
    bool values = pc != PC_CHANGEABLE;

    switch (code) {
    case PAGE_RECOVERY:
        memset(p, 0, 12);
        p[1] = 10;
        break;
    case PAGE_CACHING:
        if (u->cdrom)
            return 0;
        memset(p, 0, 20);
        p[1] = 18;
        if (pc == PC_CHANGEABLE || pc == PC_DEFAULT || u->s.wce)
            p[2] = CACHING_WCE;
        break;
    case PAGE_CONTROL:
        memset(p, 0, 12);
        p[1] = 10;
        p[3] = values ? 0x10 : 0; /* commands may be reordered */
        break;
    case PAGE_EXCEPTIONS:
        memset(p, 0, 12);
        p[1] = 10;
        break;
    case PAGE_CD:
        if (!u->cdrom)
            return 0;
        memset(p, 0, 22);
        p[1] = 20;
        if (values) {
            p[2] = 0x3b;           /* reads CD-R, CD-RW, DVD-ROM, -R, -RAM */
            p[4] = 0x71;           /* audio play, mode 2 form 1 and 2, multi-session */
            p[6] = 0x29;           /* tray, eject, lock */
            be16_put(p + 8, 706);  /* 4x, kB/s */
            be16_put(p + 12, 512); /* buffer, KiB */
            be16_put(p + 14, 706);
        }
        break;
    default:
        return 0;
    }
    p[0] = code;
    return (size_t)p[1] + 2;
}

static size_t block_descriptor(const struct scsi_lun *u, uint8_t *p)
{
    uint32_t block = u->cdrom ? 2048 : u->shape.logical;

    /* SFF-8020i knows none, and no bit by which its drivers could ask to leave them out. */
    if (!scsi_medium(u) || u->packet)
        return 0;
    be32_put(p, (uint32_t)min_u64(u->shape.bytes / block, 0xffffff));
    be32_put(p + 4, block);
    return 8;
}

void scsi_mode_sense(struct scsi_req *r, bool ten)
{
    static const uint8_t all[] = {PAGE_RECOVERY, PAGE_CACHING, PAGE_CONTROL, PAGE_EXCEPTIONS,
                                  PAGE_CD};
    const struct scsi_lun *u = r->l;
    uint8_t code = r->cdb[2] & 0x3f, out[8 + 8 + 5 * 22] = {0};
    unsigned pc = r->cdb[2] >> 6;
    size_t head = ten ? 8 : 4, n = head, bd = 0, pages;

    if (pc == PC_SAVED) {
        scsi_fail(r, ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
        return;
    }
    if (!(r->cdb[1] & 0x08)) /* DBD */
        bd = block_descriptor(u, out + n);
    n += bd;
    pages = n;
    for (size_t i = 0; i < sizeof(all); i++) {
        if (code == PAGE_ALL || code == all[i])
            n += page(u, all[i], pc, out + n);
    }
    if (n == pages && code != PAGE_ALL) {
        scsi_fail(r, ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
        return;
    }
    out[ten ? 3 : 2] = (uint8_t)((u->shape.readonly || u->cdrom ? 0x80 : 0) |
                                 (u->cdrom ? 0 : 0x10)); /* WP, DPOFUA */
    if (ten) {
        be16_put(out, (uint16_t)(n - 2));
        be16_put(out + 6, (uint16_t)bd);
        scsi_reply(r, out, n, be16_at(r->cdb + 7));
    } else {
        out[0] = (uint8_t)(n - 1);
        out[3] = (uint8_t)bd;
        scsi_reply(r, out, n, r->cdb[4]);
    }
}

/* Pages are checked as a whole before anything changes. -1: refuse. */
static int select_pages(struct scsi_lun *u, const uint8_t *p, size_t n, bool *wce)
{
    while (n >= 2) {
        uint8_t code = p[0] & 0x3f, want[22];
        size_t len = (size_t)p[1] + 2;

        if (len > n || page(u, code, PC_CURRENT, want) != len)
            return -1;
        if (code == PAGE_CACHING)
            *wce = p[2] & CACHING_WCE;
        p += len;
        n -= len;
    }
    return n ? -1 : 0;
}

void scsi_mode_select(struct scsi_req *r, bool ten)
{
    size_t len = ten ? be16_at(r->cdb + 7) : r->cdb[4], head = ten ? 8 : 4, bd;
    bool wce = r->l->s.wce;
    uint8_t list[256];

    if (len == 0) {
        scsi_good(r, 0);
        return;
    }
    if (len < head || len > sizeof(list)) {
        scsi_fail(r, ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
        return;
    }
    if (!scsi_param(r, list, len))
        return;
    bd = ten ? be16_at(list + 6) : list[3];
    if (bd > len - head) {
        scsi_fail(r, ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
        return;
    }
    if (!(r->cdb[1] & 0x10) || (r->cdb[1] & 0x01)) { /* PF must be 1, SP 0: nothing is saved */
        scsi_fail(r, ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
        return;
    }
    if (select_pages(r->l, list + head + bd, len - head - bd, &wce) < 0) {
        scsi_fail(r, ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_PARAMETER_LIST);
        return;
    }
    WRITE_ONCE(r->l->s.wce, wce);
    scsi_good(r, len);
}
