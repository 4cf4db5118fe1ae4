/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cdrom.c - MMC-6: a read-only CD or DVD drive with one data track.
 *
 * Not modelled: audio, sub-channels, region codes, raw sectors, writing.
 */
#include <string.h>

#include "storage/scsi/target.h"

enum {
    CD_MAX_BLOCKS = 450000,
    /* more is a DVD */ PROFILE_CDROM = 0x0008,
    PROFILE_DVDROM = 0x0010
};
enum { CD_BLOCK = 2048, LEAD_OUT = 0xaa };

static uint32_t blocks_of(const struct scsi_lun *u)
{
    return (uint32_t)min_u64(u->shape.bytes / CD_BLOCK, UINT32_MAX);
}

static bool disc_there(struct scsi_req *r)
{
    if (scsi_medium(r->l))
        return true;
    scsi_fail(r, NOT_READY, ASC_MEDIUM_NOT_PRESENT);
    return false;
}

/* Minutes, seconds, frames: 75 frames a second, two seconds of lead-in. */
static void put_address(uint8_t *p, uint32_t lba, bool msf)
{
    uint32_t f = lba + 150;

    if (!msf) {
        be32_put(p, lba);
        return;
    }
    p[0] = 0;
    p[1] = (uint8_t)(f / 75 / 60);
    p[2] = (uint8_t)(f / 75 % 60);
    p[3] = (uint8_t)(f % 75);
}

static size_t toc_entry(uint8_t *p, uint8_t track, uint32_t lba, bool msf)
{
    memset(p, 0, 8);
    p[1] = 0x14; /* ADR 1, data track */
    p[2] = track;
    put_address(p + 4, lba, msf);
    return 8;
}

/* Format 2: one point per item of the lead-in, all in minutes, seconds, frames. */
static size_t full_toc(const struct scsi_lun *u, uint8_t *p)
{
    static const uint8_t points[] = {0xa0, 0xa1, 0xa2, 1};
    size_t n = 0;

    for (size_t i = 0; i < sizeof(points); i++, n += 11) {
        memset(p + n, 0, 11);
        p[n] = 1; /* session */
        p[n + 1] = 0x14;
        p[n + 3] = points[i];
        if (i < 2)
            p[n + 8] = 1; /* first, last track */
        else
            put_address(p + n + 7, i == 2 ? blocks_of(u) : 0, true);
    }
    return n;
}

static void read_toc(struct scsi_req *r)
{
    bool msf = r->cdb[1] & 0x02;
    unsigned format = r->cdb[2] & 0x0f;
    uint8_t first = r->cdb[6], out[4 + 44] = {0};
    size_t n = 4;

    if (!disc_there(r))
        return;
    if (format == 0)
        format = r->cdb[9] >> 6; /* where SFF-8020 put it */
    out[2] = out[3] = 1;         /* first and last track or session */
    if (format == 0 && (first <= 1 || first == LEAD_OUT)) {
        if (first <= 1)
            n += toc_entry(out + n, 1, 0, msf);
        n += toc_entry(out + n, LEAD_OUT, blocks_of(r->l), msf);
    } else if (format == 1) {
        n += toc_entry(out + n, 1, 0, msf);
    } else if (format == 2) {
        n += full_toc(r->l, out + n);
    } else {
        scsi_fail(r, ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
        return;
    }
    be16_put(out, (uint16_t)(n - 2));
    scsi_reply(r, out, n, be16_at(r->cdb + 7));
}

static uint16_t profile(const struct scsi_lun *u)
{
    if (!scsi_medium(u))
        return 0;
    return blocks_of(u) > CD_MAX_BLOCKS ? PROFILE_DVDROM : PROFILE_CDROM;
}

static size_t feature(uint8_t *p, uint16_t code, uint8_t flags, const void *body, uint8_t len)
{
    be16_put(p, code);
    p[2] = flags; /* version << 2 | persistent << 1 | current */
    p[3] = len;
    memcpy(p + 4, body, len);
    return (size_t)len + 4;
}

static void get_configuration(struct scsi_req *r)
{
    uint16_t now = profile(r->l);
    uint8_t profiles[8] = {PROFILE_DVDROM >> 8,
                           PROFILE_DVDROM & 0xff,
                           now == PROFILE_DVDROM,
                           0,
                           0,
                           PROFILE_CDROM,
                           now == PROFILE_CDROM,
                           0};
    static const uint8_t core[8] = {0, 0, 0, 1, 1}; /* SCSI family, DBE */
    static const uint8_t morphing[4] = {0x02};
    static const uint8_t removable[4] = {0x29};                /* tray, eject, lock */
    static const uint8_t random[8] = {0, 0, 0x08, 0, 0, 0x10}; /* 2048-byte blocks, 16 at a time */
    static const uint8_t cd_read[4] = {0};                     /* no CD-Text, no C2 */
    uint8_t out[128] = {0};
    unsigned only = r->cdb[1] & 0x03;
    uint16_t from = be16_at(r->cdb + 2);
    size_t n = 8;
    const struct {
        uint16_t code;
        uint8_t flags, len;
        const void *body;
    } list[] = {
        {0x0000, 0x03, 8, profiles},      {0x0001, 0x0b, 8, core},
        {0x0002, 0x07, 4, morphing},      {0x0003, 0x03, 4, removable},
        {0x0010, now ? 1 : 0, 8, random}, {0x001e, now ? 9 : 8, 4, cd_read},
    };

    for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
        if (list[i].code < from || (only == 1 && !(list[i].flags & 1)) ||
            (only == 2 && list[i].code != from))
            continue;
        n += feature(out + n, list[i].code, list[i].flags, list[i].body, list[i].len);
    }
    be32_put(out, (uint32_t)(n - 4));
    be16_put(out + 6, now);
    scsi_reply(r, out, n, be16_at(r->cdb + 7));
}

/* What is told now, once. A wish to have the disc waits until other news has been told. */
static uint8_t media_event(struct scsi_lun *u)
{
    uint8_t event = u->s.media_event;

    u->s.media_event = MEDIA_NO_CHANGE;
    if (event == MEDIA_NO_CHANGE && u->disk && u->disk->door.asked) {
        u->disk->door.asked = false;
        event = MEDIA_EJECT_REQUEST;
    }
    return event;
}

static void event_status(struct scsi_req *r)
{
    struct scsi_lun *u = r->l;
    uint8_t out[8] = {0};
    size_t n = 4;

    if (!(r->cdb[1] & 0x01)) { /* only polling is offered */
        scsi_fail(r, ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
        return;
    }
    out[3] = 0x10; /* supported: media */
    if (r->cdb[4] & 0x10) {
        out[2] = 0x04;
        out[4] = media_event(u);
        out[5] = (uint8_t)((scsi_medium(u) ? 0x02 : 0) | (u->s.tray_open ? 0x01 : 0));
        n = 8;
    } else {
        out[2] = 0x80; /* no event available */
    }
    be16_put(out, (uint16_t)(n - 2));
    scsi_reply(r, out, n, be16_at(r->cdb + 7));
}

static void disc_information(struct scsi_req *r)
{
    uint8_t out[34] = {0};

    if (!disc_there(r))
        return;
    be16_put(out, sizeof(out) - 2);
    out[2] = 0x0e; /* complete, last session complete */
    out[3] = out[4] = out[5] = out[6] = 1;
    out[7] = 0x20; /* unrestricted use */
    scsi_reply(r, out, sizeof(out), be16_at(r->cdb + 7));
}

/* Physical format information of a DVD-ROM, single layer. */
static void dvd_structure(struct scsi_req *r)
{
    uint32_t end = 0x30000 + blocks_of(r->l) - 1;
    uint8_t out[4 + 2048] = {0};

    if (!disc_there(r))
        return;
    if (profile(r->l) != PROFILE_DVDROM || r->cdb[7] != 0) {
        scsi_fail(r, ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
        return;
    }
    be16_put(out, sizeof(out) - 2);
    out[4] = 1;    /* DVD-ROM, version 1 */
    out[5] = 0x0f; /* 120 mm, rate not said */
    out[6] = 0x01; /* one layer */
    be32_put(out + 8, 0x30000);
    be32_put(out + 12, end & 0xffffff);
    scsi_reply(r, out, sizeof(out), be16_at(r->cdb + 8));
}

bool scsi_cdrom_command(struct scsi_req *r)
{
    static const uint8_t idle[8] = {0};

    switch (r->cdb[0]) {
    case READ_TOC_PMA_ATIP:
        read_toc(r);
        return true;
    case GET_CONFIGURATION:
        get_configuration(r);
        return true;
    case GET_EVENT_STATUS_NOTIFICATION:
        event_status(r);
        return true;
    case READ_DISC_INFORMATION:
        disc_information(r);
        return true;
    case READ_DVD_STRUCTURE:
        dvd_structure(r);
        return true;
    case MECHANISM_STATUS:
        scsi_reply(r, idle, sizeof(idle), be16_at(r->cdb + 8));
        return true;
    case SET_CD_SPEED:
        scsi_good(r, 0);
        return true;
    default:
        return false;
    }
}

static void tray_move(struct scsi_lun *u, bool open)
{
    bool was = u->s.tray_open;

    WRITE_ONCE(u->s.tray_open, open);
    u->s.media_event = MEDIA_NO_CHANGE;
    if (open && u->disk)
        u->disk->door.asked = false;
    if (was && !open && scsi_medium(u)) { /* a drive does not know it again */
        u->s.media_event = MEDIA_NEW;
        scsi_attend(u, ASC_MEDIUM_MAY_HAVE_CHANGED);
    }
}

void scsi_disc_changed(struct scsi_lun *u)
{
    WRITE_ONCE(u->s.tray_open, false);
    u->s.media_event = scsi_medium(u) ? MEDIA_NEW : MEDIA_REMOVAL;
    scsi_attend(u, ASC_MEDIUM_MAY_HAVE_CHANGED);
}

void scsi_prevent(struct scsi_lun *u, bool on)
{
    u->s.prevent = u->cdrom && on;
    if (u->cdrom && u->disk)
        u->disk->door.locked = on;
}

/* SBC-3 5.25: LOEJ with START = 0 opens the tray, with START = 1 closes it. */
void scsi_start_stop(struct scsi_req *r)
{
    bool eject = (r->cdb[4] & 0x03) == 0x02;

    if (r->l->cdrom && eject && r->l->s.prevent) {
        scsi_fail(r, ILLEGAL_REQUEST, ASC_MEDIUM_REMOVAL_PREVENTED);
        return;
    }
    if (r->l->cdrom && (r->cdb[4] & 0x02))
        tray_move(r->l, eject);
    scsi_good(r, 0);
}
