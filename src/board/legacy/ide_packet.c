/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ide_packet.c - a CD-ROM drive on IDE: ATA/ATAPI-6 section 9.8 (PACKET) around the SCSI target's
 * CD-ROM unit.
 *
 * Data for the guest goes through the channel's buffer, or straight into its pages by the bus
 * master. A drive keeps the sense data of its last failed command for REQUEST SENSE.
 */
#include <string.h>

#include "board/legacy/ide_priv.h"
#include "core/iov.h"

/* --- ends --- */

static void reason(struct ide_channel *c, uint8_t bits)
{
    struct ide_unit_state *s = &ide_active(c)->s;

    s->count[0] = (uint8_t)((s->count[0] & 0xf8) | bits);
}

static void packet_good(struct ide_channel *c)
{
    reason(c, ATA_COD | ATA_IO);
    ide_good(c, true);
}

static void packet_fail(struct ide_channel *c)
{
    struct ide_unit_state *s = &ide_active(c)->s;
    const struct scsi_req *r = &c->scsi;

    memset(s->sense, 0, sizeof(s->sense));
    memcpy(s->sense, r->sense, min_u64(r->sense_len, sizeof(s->sense)));
    s->sense_valid = true;
    reason(c, ATA_COD | ATA_IO);
    ide_fail(c, (uint8_t)(s->sense[2] << 4 | ATA_ABRT));
}

static int64_t packet_bytes(const uint8_t *cdb);

/* --- data by PIO --- */

static void data_more(struct ide_channel *c);

void ide_packet_block(struct ide_channel *c)
{
    struct ide_unit_state *s = &ide_active(c)->s;
    uint32_t n = c->s.end - c->s.pos;

    s->mid[0] = (uint8_t)n;
    s->high[0] = (uint8_t)(n >> 8);
}

/* Blocks of at most the byte count that the guest gave with the command: whole sectors where they
 * fit, as drives have them, and an even number unless one block is all. */
static void data_move(struct ide_channel *c, bool out, uint32_t len,
                      void (*drained)(struct ide_channel *c))
{
    uint32_t block = c->s.block;

    if (len > block && block >= CD_SECTOR)
        block -= block % CD_SECTOR;
    else if (len > block && block > 1)
        block &= ~1u;
    reason(c, out ? 0 : ATA_IO);
    ide_pio(c, out, len, block, true, drained);
    ide_packet_block(c);
}

static void data_in(struct ide_channel *c, uint32_t len)
{
    data_move(c, false, len, data_more);
}

static void packet_done(struct ide_channel *c, int res)
{
    (void)res; /* the target says it all in its status */
    if (c->scsi.status != SCSI_GOOD)
        packet_fail(c);
    else if (c->scsi.moved == 0)
        packet_good(c);
    else
        data_in(c, (uint32_t)min_u64(c->scsi.moved, IDE_BUFFER));
}

/* Reading more than the buffer holds: our own READ (10), piece by piece. */
static void read_piece(struct ide_channel *c)
{
    uint32_t n = (uint32_t)min_u64(c->s.left, IDE_BUFFER / CD_SECTOR);
    uint8_t *cdb = c->scsi.cdb;

    memset(cdb, 0, sizeof(c->scsi.cdb));
    cdb[0] = READ_10;
    be32_put(cdb + 2, (uint32_t)c->s.lba);
    be16_put(cdb + 7, (uint16_t)n);
    c->s.lba += n;
    c->s.left -= n;
    ide_use_buffer(c, n * CD_SECTOR);
    ide_start_packet(c, packet_done);
}

static void data_more(struct ide_channel *c)
{
    c->s.phase = IDE_WORKING;
    if (c->s.left)
        read_piece(c);
    else
        packet_good(c);
}

static void data_out(struct ide_channel *c)
{
    c->s.phase = IDE_WORKING;
    ide_use_buffer(c, c->s.len);
    ide_start_packet(c, packet_done);
}

/* --- data by DMA --- */

static void dma_done(struct ide_channel *c, int res)
{
    (void)res;
    ide_dma_end(c, false);
    if (c->scsi.status == SCSI_GOOD)
        packet_good(c);
    else
        packet_fail(c);
}

/* The guest's table becomes c->iov; false: the command has failed. */
static bool dma_map(struct ide_channel *c, uint64_t bytes, bool to_memory)
{
    if (ide_dma_map(c, bytes, to_memory) >= 0)
        return true;
    guest_fault(&c->ide->pci.dev, "bus master table leads outside memory");
    ide_dma_end(c, true);
    c->scsi.sense_len = 0;
    packet_fail(c);
    return false;
}

static void dma_run(struct ide_channel *c)
{
    int64_t want = packet_bytes(c->s.cdb);

    if (dma_map(c, (uint64_t)(want < 0 ? -want : want), want > 0))
        ide_start_packet(c, dma_done);
}

static uint32_t sense_bytes(const struct ide_channel *c)
{
    return (uint32_t)min_u64(c->s.cdb[4], SCSI_SENSE_MAX);
}

static void dma_sense(struct ide_channel *c)
{
    if (!dma_map(c, sense_bytes(c), true))
        return;
    iov_write(c->iov, (unsigned)c->iovcnt, 0, ide_active(c)->s.sense, sense_bytes(c));
    ide_dma_end(c, false);
    packet_good(c);
}

/* --- the packet --- */

static bool reads(const uint8_t *cdb, uint64_t *lba, uint32_t *blocks)
{
    switch (cdb[0]) {
    case READ_10:
        *lba = be32_at(cdb + 2);
        *blocks = be16_at(cdb + 7);
        return true;
    case READ_12:
        *lba = be32_at(cdb + 2);
        *blocks = be32_at(cdb + 6);
        return true;
    default:
        return false;
    }
}

/* Bytes that a command moves at most: > 0 to the guest, < 0 from it. */
static int64_t packet_bytes(const uint8_t *cdb)
{
    uint64_t lba;
    uint32_t blocks;

    if (reads(cdb, &lba, &blocks))
        return (int64_t)blocks * CD_SECTOR;
    switch (cdb[0]) {
    case REQUEST_SENSE:
    case MODE_SENSE_6:
        return cdb[4];
    case INQUIRY:
        return be16_at(cdb + 3);
    case READ_CAPACITY_10:
        return 8;
    case READ_TOC_PMA_ATIP:
    case GET_CONFIGURATION:
    case GET_EVENT_STATUS_NOTIFICATION:
    case READ_DISC_INFORMATION:
    case MODE_SENSE_10:
        return be16_at(cdb + 7);
    case READ_DVD_STRUCTURE:
    case MECHANISM_STATUS:
        return be16_at(cdb + 8);
    case MODE_SELECT_6:
        return -(int64_t)cdb[4];
    case MODE_SELECT_10:
        return -(int64_t)be16_at(cdb + 7);
    default:
        return 0;
    }
}

/* What REQUEST SENSE gets when a command has failed before. */
static bool kept_sense(struct ide_channel *c)
{
    struct ide_unit_state *s = &ide_active(c)->s;

    if (c->s.cdb[0] != REQUEST_SENSE || !s->sense_valid)
        return false;
    s->sense_valid = false;
    memcpy(c->buf, s->sense, sizeof(s->sense));
    if (sense_bytes(c) == 0)
        packet_good(c);
    else if (c->s.dma)
        ide_dma_wait(c, dma_sense);
    else
        data_in(c, sense_bytes(c));
    return true;
}

static void packet_run(struct ide_channel *c)
{
    int64_t bytes;

    c->s.phase = IDE_WORKING;
    memcpy(c->s.cdb, c->buf, IDE_CDB);
    memset(&c->scsi, 0, sizeof(c->scsi));
    memcpy(c->scsi.cdb, c->s.cdb, IDE_CDB);
    c->s.left = 0;
    if (kept_sense(c))
        return;
    ide_active(c)->s.sense_valid = false;
    bytes = packet_bytes(c->s.cdb);
    if (c->s.dma && bytes) {
        ide_dma_wait(c, dma_run);
    } else if (bytes < 0) {
        data_move(c, true, (uint32_t)min_u64((uint64_t)-bytes, IDE_BUFFER), data_out);
    } else if (reads(c->s.cdb, &c->s.lba, &c->s.left) && bytes > IDE_BUFFER) {
        read_piece(c);
    } else {
        c->s.left = 0;
        ide_use_buffer(c, (uint32_t)min_u64((uint64_t)bytes, IDE_BUFFER));
        c->iovcnt = bytes ? 1 : 0;
        ide_start_packet(c, packet_done);
    }
}

/* --- commands --- */

static void identified(struct ide_channel *c)
{
    ide_good(c, false);
}

static void identify(struct ide_channel *c)
{
    struct ide_unit *u = ide_active(c);
    uint8_t *id = c->buf;

    memset(id, 0, IDE_SECTOR);
    le16_put(id, 0x8580); /* ATAPI, CD-ROM, removable, DRQ within 50 us, 12-byte packets */
    ide_identify_text(id, 10, 10, u->serial);
    ide_identify_text(id, 23, 4, "1.0");
    ide_identify_text(id, 27, 20, "HOSPES DVD-ROM");
    le16_put(id + 2 * 48, 1);
    le16_put(id + 2 * 49, 0x0b00);
    ide_identify_modes(id, u);
    le16_put(id + 2 * 80, 0x00f0);
    le16_put(id + 2 * 82, 0x4010); /* NOP, PACKET */
    le16_put(id + 2 * 83, 0x4000);
    le16_put(id + 2 * 84, 0x4000);
    le16_put(id + 2 * 85, 0x4010);
    le16_put(id + 2 * 87, 0x4000);
    le16_put(id + 2 * 93, 0x6001);
}

static void packet(struct ide_channel *c)
{
    struct ide_unit_state *s = &ide_active(c)->s;
    uint32_t limit = (uint32_t)s->high[0] << 8 | s->mid[0];

    c->s.dma = s->feature[0] & 1;
    c->s.fua = c->s.write = false;
    reason(c, ATA_COD);
    ide_pio(c, true, IDE_CDB, IDE_CDB, false, packet_run);
    /* At most fffeh bytes a block; ide_pio() has used it for the packet alone. */
    c->s.block = limit == 0 || limit > 0xfffe ? 0xfffe : limit;
}

bool ide_packet_command(struct ide_channel *c, uint8_t command)
{
    switch (command) {
    case ATA_PACKET:
        packet(c);
        return true;
    case ATA_IDENTIFY_PACKET:
        identify(c);
        ide_pio(c, false, IDE_SECTOR, IDE_SECTOR, true, identified);
        return true;
    case ATA_DEVICE_RESET:
        c->s.phase = IDE_IDLE;
        ide_signature(ide_active(c));
        return true;
    case ATA_IDENTIFY:
    case ATA_READ_SECTORS: /* aborted, with the signature that tells what it is */
        ide_signature(ide_active(c));
        return false;
    case ATA_SET_FEATURES:
        return ide_set_features(c);
    case ATA_CHECK_POWER:
        ide_active(c)->s.count[0] = 0xff;
        ide_good(c, true);
        return true;
    case ATA_STANDBY_IMMEDIATE ... ATA_IDLE:
    case ATA_SLEEP:
    case ATA_FLUSH_CACHE:
        ide_good(c, true);
        return true;
    default:
        return false;
    }
}
