/* SPDX-License-Identifier: Apache-2.0 */
/* inquiry.c - SPC-4 6.4 INQUIRY with its vital product data pages, and 6.33 REPORT LUNS. */
#include <string.h>

#include "storage/scsi/target.h"

enum {
    VPD_SUPPORTED = 0x00,
    VPD_SERIAL = 0x80,
    VPD_IDENTIFICATION = 0x83,
    VPD_BLOCK_LIMITS = 0xb0,
    VPD_BLOCK_CHARACTERISTICS = 0xb1,
    VPD_PROVISIONING = 0xb2,
};

enum { TYPE_DISK = 0x00, TYPE_CDROM = 0x05, TYPE_NONE = 0x7f };

static uint8_t type_of(const struct scsi_lun *u)
{
    return u->cdrom ? TYPE_CDROM : TYPE_DISK;
}

static void standard(struct scsi_req *r)
{
    const struct scsi_lun *u = r->l;
    uint8_t out[66] = {0};

    out[0] = type_of(u);
    out[1] = u->cdrom ? 0x80 : 0;    /* RMB */
    out[2] = u->cdrom ? 0x05 : 0x06; /* SPC-3, SPC-4 */
    out[3] = 0x12;                   /* HISUP, response data format 2 */
    out[4] = sizeof(out) - 5;
    out[7] = 0x02; /* CMDQUE */
    memcpy(out + 8, u->vendor, 8);
    memcpy(out + 16, u->product, 16);
    memcpy(out + 32, u->revision, 4);
    be16_put(out + 58, 0x00a0);                     /* SAM-5 */
    be16_put(out + 60, 0x0460);                     /* SPC-4 */
    be16_put(out + 62, u->cdrom ? 0x02a0 : 0x04c0); /* MMC-6, SBC-3 */
    scsi_reply(r, out, sizeof(out), be16_at(r->cdb + 3));
}

static size_t page_list(const struct scsi_lun *u, uint8_t *p)
{
    static const uint8_t disk[] = {VPD_SUPPORTED,
                                   VPD_SERIAL,
                                   VPD_IDENTIFICATION,
                                   VPD_BLOCK_LIMITS,
                                   VPD_BLOCK_CHARACTERISTICS,
                                   VPD_PROVISIONING};
    size_t n = u->cdrom ? 3 : sizeof(disk);

    memcpy(p, disk, n);
    return n;
}

static size_t page_serial(const struct scsi_lun *u, uint8_t *p)
{
    size_t n = strlen(u->serial);

    memcpy(p, u->serial, n);
    return n;
}

/* One NAA designator (type 3h, locally assigned) and one T10 vendor designator. */
static size_t page_identification(const struct scsi_lun *u, uint8_t *p)
{
    size_t n = strlen(u->serial);

    p[0] = 0x01; /* binary */
    p[1] = 0x03; /* NAA, logical unit */
    p[2] = 0;
    p[3] = 8;
    be64_put(p + 4, (u->naa & ~(UINT64_C(0xf) << 60)) | UINT64_C(3) << 60);
    p[12] = 0x02; /* ASCII */
    p[13] = 0x01; /* T10 vendor id */
    p[14] = 0;
    p[15] = (uint8_t)(8 + n);
    memcpy(p + 16, u->vendor, 8);
    memcpy(p + 24, u->serial, n);
    return 24 + n;
}

static size_t page_limits(const struct scsi_lun *u, uint8_t *p)
{
    const struct disk_shape *s = &u->shape;
    uint32_t block = s->logical ? s->logical : DISK_SECTOR;

    memset(p, 0, 60);
    be16_put(p + 2, (uint16_t)(s->physical / block)); /* optimal granularity */
    be32_put(p + 4, u->t->cfg.max_transfer / block);
    if (s->trims && !s->readonly) {
        be32_put(p + 16, UINT32_MAX);          /* maximum UNMAP blocks */
        be32_put(p + 20, 256);                 /* maximum UNMAP descriptors */
        be32_put(p + 24, s->physical / block); /* UNMAP granularity */
    }
    return 60;
}

static size_t page_characteristics(const struct scsi_lun *u, uint8_t *p)
{
    memset(p, 0, 60);
    be16_put(p, u->shape.rotates ? 7200 : 1); /* 1: does not rotate */
    return 60;
}

static size_t page_provisioning(const struct scsi_lun *u, uint8_t *p)
{
    bool thin = u->shape.trims && !u->shape.readonly;

    memset(p, 0, 4);
    p[1] = thin ? 0x80 | 0x40 | 0x20 | 0x04 : 0; /* UNMAP, WRITE SAME(16)/(10) unmap, LBPRZ */
    p[2] = thin ? 0x02 : 0;                      /* thin */
    return 4;
}

static void vital(struct scsi_req *r)
{
    const struct scsi_lun *u = r->l;
    uint8_t out[4 + 96] = {0};
    size_t n;

    switch (r->cdb[2]) {
    case VPD_SUPPORTED:
        n = page_list(u, out + 4);
        break;
    case VPD_SERIAL:
        n = page_serial(u, out + 4);
        break;
    case VPD_IDENTIFICATION:
        n = page_identification(u, out + 4);
        break;
    case VPD_BLOCK_LIMITS:
        n = page_limits(u, out + 4);
        break;
    case VPD_BLOCK_CHARACTERISTICS:
        n = page_characteristics(u, out + 4);
        break;
    case VPD_PROVISIONING:
        n = page_provisioning(u, out + 4);
        break;
    default:
        scsi_fail(r, ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
        return;
    }
    if (u->cdrom && r->cdb[2] >= VPD_BLOCK_LIMITS) {
        scsi_fail(r, ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
        return;
    }
    out[0] = type_of(u);
    out[1] = r->cdb[2];
    be16_put(out + 2, (uint16_t)n);
    scsi_reply(r, out, 4 + n, be16_at(r->cdb + 3));
}

void scsi_inquiry(struct scsi_req *r)
{
    bool evpd = r->cdb[1] & 0x01;

    if (r->cdb[1] & 0x02 || (!evpd && r->cdb[2] != 0))
        scsi_fail(r, ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
    else if (evpd)
        vital(r);
    else
        standard(r);
}

void scsi_inquiry_absent(struct scsi_req *r)
{
    uint8_t out[36] = {TYPE_NONE, 0, 0x06, 0x12, 36 - 5};

    if (r->cdb[1] & 0x03)
        scsi_fail(r, ILLEGAL_REQUEST, ASC_LOGICAL_UNIT_NOT_SUPPORTED);
    else
        scsi_reply(r, out, sizeof(out), be16_at(r->cdb + 3));
}

void scsi_report_luns(struct scsi_req *r)
{
    uint8_t out[8 + 8 * SCSI_MAX_LUNS] = {0};
    uint32_t allocation = be32_at(r->cdb + 6);
    size_t n = 8;

    if (allocation < 16) {
        scsi_fail(r, ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
        return;
    }
    /* Peripheral device addressing; LUN 0 is always told, so that the target can be found. */
    for (int i = 0; i >= 0 && i < SCSI_MAX_LUNS; i++) {
        if (i != 0 && (i = scsi_lun_next(r->t, (unsigned)i)) < 0)
            break;
        out[n + 1] = (uint8_t)i;
        n += 8;
    }
    be32_put(out, (uint32_t)(n - 8));
    scsi_reply(r, out, n, allocation);
}
