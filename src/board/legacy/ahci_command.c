/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ahci_command.c - commands of SATA disks and CD-ROM drives: ATA8-ACS with native command queueing.
 *
 * Data goes straight between disk and guest pages. A request is tried on the vCPU that issued it;
 * what would wait goes to the loop.
 */
#include <errno.h>
#include <string.h>

#include "board/legacy/ahci_priv.h"
#include "core/gmem.h"
#include "core/iov.h"
#include "core/loop.h"

enum { ATA_READ_FPDMA = 0x60, ATA_WRITE_FPDMA = 0x61, LOG_DIRECTORY = 0x00, LOG_NCQ_ERROR = 0x10 };
enum { CDB = 12, GOOD = ATA_DRDY | ATA_DSC, BAD = ATA_DRDY | ATA_DSC | ATA_ERR };

/* --- ends --- */

static void disk_ended(struct ahci_slot *s, int res)
{
    bool write = s->req.op == DISK_WRITE;

    if (res == 0)
        ahci_end(s, GOOD, 0);
    else
        ahci_end(s, BAD, write || res == -EINVAL ? ATA_ABRT : ATA_UNC);
}

static void packet_ended(struct ahci_slot *s)
{
    struct ahci_port_state *p = &s->port->s;

    s->bytes = s->scsi.moved;
    if (s->scsi.status == SCSI_GOOD) {
        ahci_end(s, GOOD, 0);
        return;
    }
    memset(p->sense, 0, sizeof(p->sense));
    memcpy(p->sense, s->scsi.sense, min_u64(s->scsi.sense_len, sizeof(p->sense)));
    p->sense_kept = true;
    ahci_end(s, BAD, (uint8_t)(p->sense[2] << 4 | ATA_ABRT));
}

/* What REQUEST SENSE gets when a command has failed before. */
static bool kept_sense(struct ahci_slot *s)
{
    struct ahci_port_state *p = &s->port->s;
    bool kept = p->sense_kept;

    p->sense_kept = false;
    if (!kept || s->scsi.cdb[0] != REQUEST_SENSE)
        return false;
    s->bytes = iov_write(s->iov, (unsigned)s->iovcnt, 0, p->sense,
                         min_u64(s->scsi.cdb[4], sizeof(p->sense)));
    ahci_end(s, GOOD, 0);
    return true;
}

static void disk_done(struct disk_req *r, int res)
{
    struct ahci_slot *s = r->owner;
    struct device *d = &s->port->hba->pci.dev;

    device_lock(d);
    disk_ended(s, res);
    device_unlock(d);
}

static void packet_done(struct scsi_req *r)
{
    struct ahci_slot *s = r->owner;
    struct device *d = &s->port->hba->pci.dev;

    device_lock(d);
    packet_ended(s);
    device_unlock(d);
}

/* On the loop. */
static void submit(void *arg)
{
    struct ahci_slot *s = arg;

    if (s->packet)
        scsi_submit(s->port->target, &s->scsi);
    else
        disk_submit(s->port->disk, &s->req);
}

/* --- data --- */

/* The guest's pages as the request's data, at most `want` bytes. false: the table has less, leads
 * outside memory, or is in too many pieces. */
static bool map(struct ahci_slot *s, uint64_t want, bool to_memory)
{
    struct gmem *m = s->port->hba->pci.dev.env.mem;
    uint64_t at = le64_get(s->head.table) + AHCI_TABLE_REGIONS;

    s->iovcnt = 0;
    for (unsigned i = le16_get(s->head.regions); i && want; i--, at += sizeof(struct ahci_region)) {
        struct ahci_region r;
        uint64_t n;

        if (gmem_read(m, at, &r, sizeof(r)) < 0)
            return false;
        n = min_u64((le32_get(r.count) & 0x3fffff) + UINT64_C(1), want);
        if (gmem_map(m, le64_get(r.base), n, to_memory, s->iov, AHCI_IOV, &s->iovcnt) < 0)
            return false;
        want -= n;
    }
    return want == 0;
}

/* Answers with s->data. */
static void reply(struct ahci_slot *s)
{
    s->pio = true;
    s->bytes = AHCI_DATA;
    if (map(s, AHCI_DATA, true) &&
        iov_write(s->iov, (unsigned)s->iovcnt, 0, s->data, AHCI_DATA) == AHCI_DATA)
        ahci_end(s, GOOD, 0);
    else
        ahci_end(s, BAD, ATA_ABRT);
}

static void start_disk(struct ahci_slot *s, enum disk_op op, uint64_t off, uint64_t len, bool fua)
{
    int rc;

    s->req = (struct disk_req){.op = op,
                               .off = off,
                               .len = len,
                               .fua = fua,
                               .iov = s->iov,
                               .iovcnt = op == DISK_FLUSH ? 0 : (unsigned)s->iovcnt,
                               .done = disk_done,
                               .owner = s};
    rc = disk_try(s->port->disk, &s->req);
    if (rc == -EAGAIN)
        loop_post(s->port->hba->pci.dev.env.loop, submit, s);
    else
        disk_ended(s, rc);
}

static void transfer(struct ahci_slot *s, uint64_t lba, uint32_t sectors, bool write, bool fua)
{
    struct ahci_unit *p = s->port;

    s->bytes = (uint64_t)sectors * AHCI_SECTOR;
    if (!range_in(lba, sectors, p->size)) {
        ahci_end(s, BAD, ATA_IDNF);
    } else if (!map(s, s->bytes, !write)) {
        guest_fault(&p->hba->pci.dev, "a region table of port %u does not hold the data",
                    p->number);
        ahci_end(s, BAD, ATA_ABRT);
    } else {
        start_disk(s, write ? DISK_WRITE : DISK_READ, lba * AHCI_SECTOR, s->bytes,
                   fua || (write && !p->s.write_cache));
    }
}

/* --- IDENTIFY --- */

static void text(uint8_t *id, unsigned word, unsigned words, const char *from)
{
    size_t n = strlen(from);

    for (unsigned i = 0; i < 2 * words; i++) /* the first character is the high byte */
        id[2 * word + (i ^ 1)] = i < n ? (uint8_t)from[i] : ' ';
}

static void identify_common(struct ahci_slot *s)
{
    uint8_t *id = s->data;

    memset(id, 0, AHCI_DATA);
    text(id, 10, 10, s->port->serial);
    text(id, 23, 4, "1.0");
    text(id, 27, 20, s->port->cdrom ? "HOSPES DVD-ROM" : "HOSPES HARDDISK");
    le16_put(id + 2 * 49, 0x0f00); /* IORDY, LBA, DMA */
    le16_put(id + 2 * 53, 0x0006);
    le16_put(id + 2 * 63, 0x0007);
    le16_put(id + 2 * 64, 0x0003);
    for (unsigned w = 65; w <= 68; w++)
        le16_put(id + 2 * w, 120);
    le16_put(id + 2 * 76, 0x0002); /* 1.5 Gbit/s */
    le16_put(id + 2 * 80, 0x01f0); /* ATA-4 to ATA8-ACS */
    le16_put(id + 2 * 83, 0x4000);
    le16_put(id + 2 * 84, 0x4000);
    le16_put(id + 2 * 87, 0x4000);
    le16_put(id + 2 * 88, 0x203f); /* Ultra DMA 5 */
}

static void identify_disk(struct ahci_slot *s)
{
    struct ahci_unit *p = s->port;
    uint64_t cylinders = disk_cylinders(p->size, 16383);
    uint8_t *id = s->data;

    identify_common(s);
    le16_put(id, 0x0040);
    le16_put(id + 2 * 1, (uint16_t)cylinders);
    le16_put(id + 2 * 3, 16);
    le16_put(id + 2 * 6, 63);
    le16_put(id + 2 * 47, 0x8000 | AHCI_MULTIPLE_MAX);
    le16_put(id + 2 * 59, p->s.multiple ? 0x0100 | p->s.multiple : 0);
    le32_put(id + 2 * 60, (uint32_t)min_u64(p->size, 0x0fffffff));
    le16_put(id + 2 * 75, AHCI_SLOTS - 1);
    le16_put(id + 2 * 76, 0x0102); /* and native command queueing */
    le16_put(id + 2 * 82, 0x4060);
    le16_put(id + 2 * 83, 0x7400);
    le16_put(id + 2 * 84, 0x4060); /* FUA, general purpose logging */
    le16_put(id + 2 * 85, (uint16_t)(0x4040 | (p->s.write_cache ? 0x20 : 0)));
    le16_put(id + 2 * 86, 0x3400);
    le16_put(id + 2 * 87, 0x4060);
    le64_put(id + 2 * 100, p->size);
    reply(s);
}

static void identify_packet(struct ahci_slot *s)
{
    identify_common(s);
    le16_put(s->data, 0x8580);
    le16_put(s->data + 2 * 82, 0x4010);
    le16_put(s->data + 2 * 85, 0x4010);
    reply(s);
}

/* --- commands --- */

static uint64_t lba48(const struct fis_h2d *f)
{
    return f->low | (uint64_t)f->mid << 8 | (uint64_t)f->high << 16 | (uint64_t)f->low_exp << 24 |
           (uint64_t)f->mid_exp << 32 | (uint64_t)f->high_exp << 40;
}

static uint64_t lba28(const struct fis_h2d *f)
{
    return f->low | (uint64_t)f->mid << 8 | (uint64_t)f->high << 16 |
           (uint64_t)(f->device & 15) << 24;
}

static uint32_t count16(uint8_t low, uint8_t high)
{
    uint32_t n = low | (uint32_t)high << 8;

    return n ? n : 65536;
}

/* The error of a queued command in log 10h, and the directory that names it: a page each. */
static void read_log(struct ahci_slot *s)
{
    struct ahci_port_state *p = &s->port->s;
    uint8_t *d = s->data, sum = 0, log = s->fis.low;

    if ((log != LOG_NCQ_ERROR && log != LOG_DIRECTORY) || s->fis.mid || s->fis.mid_exp ||
        count16(s->fis.count, s->fis.count_exp) != 1) {
        ahci_end(s, BAD, ATA_ABRT);
        return;
    }
    memset(d, 0, AHCI_DATA);
    if (log == LOG_DIRECTORY) {
        le16_put(d, 1); /* version */
        le16_put(d + 2 * LOG_NCQ_ERROR, 1);
        reply(s);
        return;
    }
    d[0] = p->error_tag;
    d[2] = p->error_status;
    d[3] = p->error_error;
    for (unsigned i = 0; i < AHCI_DATA - 1; i++)
        sum += d[i];
    d[AHCI_DATA - 1] = (uint8_t)-sum;
    reply(s);
}

static void set_features(struct ahci_slot *s)
{
    switch (s->fis.feature) {
    case ATA_FEATURE_WRITE_CACHE_ON:
    case ATA_FEATURE_WRITE_CACHE_OFF:
        s->port->s.write_cache = s->fis.feature == ATA_FEATURE_WRITE_CACHE_ON;
        break;
    case ATA_FEATURE_TRANSFER_MODE:
    case ATA_FEATURE_LOOK_AHEAD_ON:
    case ATA_FEATURE_LOOK_AHEAD_OFF:
    case ATA_FEATURE_REVERT_ON:
    case ATA_FEATURE_REVERT_OFF:
        break;
    default:
        ahci_end(s, BAD, ATA_ABRT);
        return;
    }
    ahci_end(s, GOOD, 0);
}

static void set_multiple(struct ahci_slot *s)
{
    uint8_t n = s->fis.count;

    if (n > AHCI_MULTIPLE_MAX || (n && !is_pow2(n))) {
        ahci_end(s, BAD, ATA_ABRT);
        return;
    }
    s->port->s.multiple = n;
    ahci_end(s, GOOD, 0);
}

static void run_transfer(struct ahci_slot *s)
{
    const struct fis_h2d *f = &s->fis;
    uint8_t op = f->command;

    switch (op) {
    case ATA_READ_FPDMA:
    case ATA_WRITE_FPDMA:
        transfer(s, lba48(f), count16(f->feature, f->feature_exp), op == ATA_WRITE_FPDMA,
                 f->device & 0x80);
        break;
    case ATA_READ_DMA_EXT:
    case ATA_READ_SECTORS_EXT:
    case ATA_READ_MULTIPLE_EXT:
        s->pio = op != ATA_READ_DMA_EXT;
        transfer(s, lba48(f), count16(f->count, f->count_exp), false, false);
        break;
    case ATA_WRITE_DMA_EXT:
    case ATA_WRITE_SECTORS_EXT:
    case ATA_WRITE_MULTIPLE_EXT:
    case ATA_WRITE_DMA_FUA_EXT:
        transfer(s, lba48(f), count16(f->count, f->count_exp), true, op == ATA_WRITE_DMA_FUA_EXT);
        break;
    case ATA_READ_DMA:
    case ATA_READ_SECTORS:
    case ATA_READ_MULTIPLE:
        s->pio = op != ATA_READ_DMA;
        transfer(s, lba28(f), f->count ? f->count : 256, false, false);
        break;
    default:
        transfer(s, lba28(f), f->count ? f->count : 256, true, false);
    }
}

static void run_disk(struct ahci_slot *s)
{
    switch (s->fis.command) {
    case ATA_READ_MULTIPLE:
    case ATA_READ_MULTIPLE_EXT:
    case ATA_WRITE_MULTIPLE:
    case ATA_WRITE_MULTIPLE_EXT:
        if (s->port->s.multiple)
            run_transfer(s);
        else
            ahci_end(s, BAD, ATA_ABRT);
        break;
    case ATA_READ_FPDMA:
    case ATA_WRITE_FPDMA:
    case ATA_READ_DMA_EXT:
    case ATA_READ_SECTORS_EXT:
    case ATA_WRITE_DMA_EXT:
    case ATA_WRITE_SECTORS_EXT:
    case ATA_WRITE_DMA_FUA_EXT:
    case ATA_READ_DMA:
    case ATA_READ_SECTORS:
    case ATA_WRITE_DMA:
    case ATA_WRITE_SECTORS:
        run_transfer(s);
        break;
    case ATA_FLUSH_CACHE:
    case ATA_FLUSH_CACHE_EXT:
        start_disk(s, DISK_FLUSH, 0, 0, false);
        break;
    case ATA_IDENTIFY:
        identify_disk(s);
        break;
    case ATA_READ_LOG_EXT:
        read_log(s);
        break;
    case ATA_SET_FEATURES:
        set_features(s);
        break;
    case ATA_SET_MULTIPLE:
        set_multiple(s);
        break;
    case ATA_READ_VERIFY:
    case ATA_READ_VERIFY_EXT:
    case ATA_CHECK_POWER:
    case ATA_STANDBY_IMMEDIATE ... ATA_IDLE:
        ahci_end(s, GOOD, 0);
        break;
    default:
        ahci_end(s, BAD, ATA_ABRT);
    }
}

/* --- packets --- */

static void run_packet(struct ahci_slot *s)
{
    struct gmem *m = s->port->hba->pci.dev.env.mem;
    uint64_t room = 0, at = le64_get(s->head.table);
    bool write = le16_get(s->head.flags) & AHCI_HEADER_WRITE;

    memset(&s->scsi, 0, sizeof(s->scsi));
    if (gmem_read(m, at + AHCI_TABLE_PACKET, s->scsi.cdb, CDB) < 0) {
        ahci_end(s, BAD, ATA_ABRT);
        return;
    }
    for (unsigned i = 0; i < le16_get(s->head.regions) && i < AHCI_IOV; i++) {
        struct ahci_region r;

        if (gmem_read(m, at + AHCI_TABLE_REGIONS + i * sizeof(r), &r, sizeof(r)) < 0)
            break;
        room += (le32_get(r.count) & 0x3fffff) + UINT64_C(1);
    }
    if (!map(s, room, !write)) {
        ahci_end(s, BAD, ATA_ABRT);
        return;
    }
    if (kept_sense(s))
        return;
    s->packet = true;
    s->scsi.iov = s->iov;
    s->scsi.iovcnt = (unsigned)s->iovcnt;
    s->scsi.done = packet_done;
    s->scsi.owner = s;
    if (scsi_try(s->port->target, &s->scsi))
        packet_ended(s);
    else
        loop_post(s->port->hba->pci.dev.env.loop, submit, s);
}

static void run_cdrom(struct ahci_slot *s)
{
    switch (s->fis.command) {
    case ATA_PACKET:
        run_packet(s);
        break;
    case ATA_IDENTIFY_PACKET:
        identify_packet(s);
        break;
    case ATA_SET_FEATURES:
        set_features(s);
        break;
    case ATA_CHECK_POWER:
    case ATA_STANDBY_IMMEDIATE ... ATA_IDLE:
    case ATA_FLUSH_CACHE:
        ahci_end(s, GOOD, 0);
        break;
    default:
        ahci_end(s, BAD, ATA_ABRT);
    }
}

/* --- slots --- */

void ahci_command(struct ahci_unit *p, unsigned n)
{
    struct gmem *m = p->hba->pci.dev.env.mem;
    struct ahci_slot *s = &p->slot[n];

    WRITE_ONCE(p->hba->used, true);
    s->busy = true;
    s->life = p->life;
    s->pio = s->packet = s->queued = false;
    s->bytes = 0;
    p->s.ccs = (uint8_t)n;
    p->flying++;
    if (gmem_read(m, p->s.list + n * sizeof(s->head), &s->head, sizeof(s->head)) < 0 ||
        gmem_read(m, le64_get(s->head.table), &s->fis, sizeof(s->fis)) < 0 ||
        s->fis.type != FIS_H2D) {
        guest_fault(&p->hba->pci.dev, "slot %u of port %u holds no command", n, p->number);
        s->fis = (struct fis_h2d){.flags = FIS_COMMAND};
        ahci_end(s, BAD, ATA_ABRT);
        return;
    }
    if (!(s->fis.flags & FIS_COMMAND)) { /* a soft reset, on both of its edges */
        ahci_end(s, GOOD, 1);
        return;
    }
    s->queued = s->fis.command == ATA_READ_FPDMA || s->fis.command == ATA_WRITE_FPDMA;
    if (s->queued && !(p->s.sact >> n & 1))
        s->queued = false; /* it then ends as others do */
    if (p->cdrom)
        run_cdrom(s);
    else
        run_disk(s);
}
