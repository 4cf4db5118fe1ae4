/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ide_disk.c - commands of an IDE disk, ATA/ATAPI-6 chapter 8.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "board/legacy/ide_priv.h"

enum { LBA28_END = 0x0fffffff };

/* --- IDENTIFY --- */

void ide_identify_text(uint8_t *id, unsigned word, unsigned words, const char *text)
{
    size_t n = strlen(text);

    for (unsigned i = 0; i < 2 * words; i++) /* the first character is the high byte */
        id[2 * word + (i ^ 1)] = i < n ? (uint8_t)text[i] : ' ';
}

/* Words that say how data may move; the chosen mode has its bit in the high byte. */
void ide_identify_modes(uint8_t *id, const struct ide_unit *u)
{
    uint8_t mode = u->s.transfer_mode;
    unsigned bit = 1u << (mode & 7);

    le16_put(id + 2 * 53, 0x0006); /* words 64-70 and 88 are valid */
    le16_put(id + 2 * 63, (uint16_t)(0x07 | (mode >> 3 == 4 ? bit << 8 : 0)));
    le16_put(id + 2 * 64, 0x0003); /* PIO 3 and 4 */
    for (unsigned w = 65; w <= 68; w++)
        le16_put(id + 2 * w, 120); /* ns */
    le16_put(id + 2 * 88, (uint16_t)(0x07 | (mode >> 3 == 8 ? bit << 8 : 0)));
}

static void identify(struct ide_channel *c)
{
    struct ide_unit *u = ide_active(c);
    uint8_t *id = c->buf;
    uint64_t cylinders = disk_cylinders(u->size, 16383), chs;

    memset(id, 0, IDE_SECTOR);
    chs = cylinders * u->s.heads * u->s.sectors;
    le16_put(id, 0x0040);
    le16_put(id + 2 * 1, (uint16_t)cylinders);
    le16_put(id + 2 * 3, 16);
    le16_put(id + 2 * 6, 63);
    ide_identify_text(id, 10, 10, u->serial);
    ide_identify_text(id, 23, 4, "1.0");
    ide_identify_text(id, 27, 20, "HOSPES HARDDISK");
    le16_put(id + 2 * 47, 0x8000 | IDE_MULTIPLE_MAX);
    le16_put(id + 2 * 48, 1); /* 32-bit data port */
    le16_put(id + 2 * 49, 0x0b00);
    le16_put(id + 2 * 50, 0x4000);
    le16_put(id + 2 * 51, 0x0200);
    ide_identify_modes(id, u);
    le16_put(id + 2 * 53, 0x0007);
    le16_put(id + 2 * 54, (uint16_t)cylinders);
    le16_put(id + 2 * 55, u->s.heads);
    le16_put(id + 2 * 56, u->s.sectors);
    le32_put(id + 2 * 57, (uint32_t)chs);
    le16_put(id + 2 * 59, u->s.multiple ? 0x0100 | u->s.multiple : 0);
    le32_put(id + 2 * 60, (uint32_t)min_u64(u->size, LBA28_END));
    le16_put(id + 2 * 80, 0x00f0); /* ATA-4 to ATA-7 */
    le16_put(id + 2 * 82, 0x4060); /* NOP, look-ahead, write cache */
    le16_put(id + 2 * 83, 0x7400); /* FLUSH CACHE (EXT), 48 bits */
    le16_put(id + 2 * 84, 0x4040); /* WRITE DMA FUA EXT */
    le16_put(id + 2 * 85, (uint16_t)(0x4040 | (u->s.write_cache ? 0x20 : 0)));
    le16_put(id + 2 * 86, 0x3400);
    le16_put(id + 2 * 87, 0x4040);
    le16_put(id + 2 * 93, 0x6001); /* device 0, passed its diagnostics */
    le64_put(id + 2 * 100, u->size);
}

/* --- addresses --- */

/* false: outside of the disk, and the command has failed. */
static bool address(struct ide_channel *c, bool ext)
{
    struct ide_unit *u = ide_active(c);
    struct ide_unit_state *s = &u->s;
    uint64_t lba = (uint64_t)s->high[0] << 16 | (uint64_t)s->mid[0] << 8 | s->low[0];
    uint32_t n = s->count[0] ? s->count[0] : 256;

    if (ext) {
        lba |= (uint64_t)s->high[1] << 40 | (uint64_t)s->mid[1] << 32 | (uint64_t)s->low[1] << 24;
        n = (uint32_t)s->count[1] << 8 | s->count[0];
        n = n ? n : 65536;
    } else if (c->s.device & ATA_LBA) {
        lba |= (uint64_t)(c->s.device & 0x0f) << 24;
    } else {
        uint64_t cylinder = lba >> 8, head = c->s.device & 0x0f, sector = s->low[0];

        if (sector == 0 || sector > s->sectors || head >= s->heads) {
            ide_fail(c, ATA_IDNF);
            return false;
        }
        lba = (cylinder * s->heads + head) * s->sectors + sector - 1;
    }
    if (!range_in(lba, n, u->size)) {
        ide_fail(c, ATA_IDNF);
        return false;
    }
    c->s.lba = lba;
    c->s.left = n;
    return true;
}

static void finished(struct ide_channel *c, int res)
{
    uint8_t error = c->s.write || res == -EINVAL ? ATA_ABRT : ATA_UNC;

    if (c->s.dma)
        ide_dma_end(c, res < 0);
    if (res < 0)
        ide_fail(c, error);
    else
        ide_good(c, c->s.dma || c->s.write);
}

/* A disk whose write cache is off promises that what it has ended is on the medium. */
static void written(struct ide_channel *c, int res)
{
    if (res == 0 && !ide_active(c)->s.write_cache && !c->s.fua)
        ide_start_disk(c, DISK_FLUSH, 0, 0, finished);
    else
        finished(c, res);
}

/* --- PIO --- */

static uint32_t chunk(const struct ide_channel *c)
{
    return (uint32_t)min_u64(c->s.left, IDE_BUFFER / IDE_SECTOR);
}

static void pio_more(struct ide_channel *c);

static void pio_read(struct ide_channel *c, int res)
{
    uint32_t n = chunk(c);

    if (res < 0) {
        finished(c, res);
        return;
    }
    c->s.lba += n;
    c->s.left -= n;
    ide_pio(c, false, n * IDE_SECTOR, c->s.block, true, pio_more);
}

static void pio_more(struct ide_channel *c)
{
    c->s.phase = IDE_WORKING;
    if (c->s.left == 0) {
        ide_good(c, false);
        return;
    }
    ide_use_buffer(c, chunk(c) * IDE_SECTOR);
    ide_start_disk(c, DISK_READ, c->s.lba * IDE_SECTOR, c->iov[0].iov_len, pio_read);
}

static void pio_collected(struct ide_channel *c);

static void pio_written(struct ide_channel *c, int res)
{
    uint32_t n = chunk(c);

    if (res < 0 || c->s.left == n) {
        written(c, res);
        return;
    }
    c->s.lba += n;
    c->s.left -= n;
    ide_pio(c, true, chunk(c) * IDE_SECTOR, c->s.block, true, pio_collected);
}

static void pio_collected(struct ide_channel *c)
{
    c->s.phase = IDE_WORKING;
    ide_use_buffer(c, chunk(c) * IDE_SECTOR);
    ide_start_disk(c, DISK_WRITE, c->s.lba * IDE_SECTOR, c->iov[0].iov_len, pio_written);
}

static bool pio(struct ide_channel *c, bool ext, bool write, bool multiple)
{
    struct ide_unit *u = ide_active(c);

    if (multiple && !u->s.multiple)
        return false;
    if (!address(c, ext))
        return true;
    c->s.write = write;
    c->s.dma = false;
    c->s.block = (multiple ? u->s.multiple : 1u) * IDE_SECTOR;
    if (write)
        ide_pio(c, true, chunk(c) * IDE_SECTOR, c->s.block, false, pio_collected);
    else
        pio_more(c);
    return true;
}

/* --- DMA --- */

static void dma_run(struct ide_channel *c)
{
    uint64_t len = (uint64_t)c->s.left * IDE_SECTOR;

    if (ide_dma_map(c, len, !c->s.write) != (int64_t)len) {
        guest_fault(&c->ide->pci.dev, "bus master table is too short or leads outside memory");
        finished(c, -EINVAL);
        return;
    }
    ide_start_disk(c, c->s.write ? DISK_WRITE : DISK_READ, c->s.lba * IDE_SECTOR, len,
                   c->s.write ? written : finished);
}

static bool dma(struct ide_channel *c, bool ext, bool write)
{
    if (!address(c, ext))
        return true;
    c->s.write = write;
    c->s.dma = true;
    ide_dma_wait(c, dma_run);
    return true;
}

/* --- commands --- */

static void identified(struct ide_channel *c)
{
    ide_good(c, false);
}

static void flushed(struct ide_channel *c, int res)
{
    if (res < 0)
        ide_fail(c, ATA_ABRT);
    else
        ide_good(c, true);
}

static bool native_max(struct ide_channel *c, bool ext)
{
    struct ide_unit *u = ide_active(c);
    uint64_t last = u->size ? u->size - 1 : 0;

    if (!ext)
        last = min_u64(last, LBA28_END - 1);
    u->s.low[0] = (uint8_t)last;
    u->s.mid[0] = (uint8_t)(last >> 8);
    u->s.high[0] = (uint8_t)(last >> 16);
    u->s.low[1] = (uint8_t)(last >> 24);
    u->s.mid[1] = (uint8_t)(last >> 32);
    u->s.high[1] = (uint8_t)(last >> 40);
    if (!ext)
        c->s.device = (uint8_t)((c->s.device & 0xf0) | (last >> 24 & 0x0f));
    ide_good(c, true);
    return true;
}

bool ide_set_features(struct ide_channel *c)
{
    struct ide_unit_state *s = &ide_active(c)->s;
    uint8_t mode = s->count[0];

    switch (s->feature[0]) {
    case ATA_FEATURE_WRITE_CACHE_ON:
        s->write_cache = true;
        break;
    case ATA_FEATURE_WRITE_CACHE_OFF:
        s->write_cache = false;
        break;
    case ATA_FEATURE_TRANSFER_MODE: /* PIO default, PIO, multiword and Ultra DMA 0-2 */
        if (mode > 0x01 && mode >> 3 != 1 && ((mode >> 3 != 4 && mode >> 3 != 8) || (mode & 7) > 2))
            return false;
        s->transfer_mode = mode;
        break;
    case ATA_FEATURE_LOOK_AHEAD_ON:
    case ATA_FEATURE_LOOK_AHEAD_OFF:
    case ATA_FEATURE_REVERT_ON:
    case ATA_FEATURE_REVERT_OFF:
        break;
    default:
        return false;
    }
    ide_good(c, true);
    return true;
}

static bool set_multiple(struct ide_channel *c)
{
    struct ide_unit_state *s = &ide_active(c)->s;

    if (s->count[0] > IDE_MULTIPLE_MAX || (s->count[0] && !is_pow2(s->count[0])))
        return false;
    s->multiple = s->count[0];
    ide_good(c, true);
    return true;
}

static bool set_translation(struct ide_channel *c)
{
    struct ide_unit_state *s = &ide_active(c)->s;

    if (s->count[0] == 0)
        return false;
    s->sectors = s->count[0];
    s->heads = (uint16_t)((c->s.device & 0x0f) + 1);
    ide_good(c, true);
    return true;
}

static bool no_data(struct ide_channel *c, uint8_t command)
{
    switch (command) {
    case ATA_READ_VERIFY:
    case ATA_READ_VERIFY_NORETRY:
    case ATA_READ_VERIFY_EXT:
        if (address(c, command == ATA_READ_VERIFY_EXT))
            ide_good(c, true);
        return true;
    case ATA_READ_NATIVE_MAX:
    case ATA_READ_NATIVE_MAX_EXT:
        return native_max(c, command == ATA_READ_NATIVE_MAX_EXT);
    case ATA_SET_FEATURES:
        return ide_set_features(c);
    case ATA_SET_MULTIPLE:
        return set_multiple(c);
    case ATA_INITIALIZE_PARAMETERS:
        return set_translation(c);
    case ATA_CHECK_POWER:
        ide_active(c)->s.count[0] = 0xff; /* active */
        ide_good(c, true);
        return true;
    case ATA_RECALIBRATE ... ATA_RECALIBRATE + 0x0f:
    case ATA_SEEK ... ATA_SEEK + 0x0f:
    case ATA_STANDBY_IMMEDIATE ... ATA_IDLE:
    case ATA_SLEEP:
        ide_good(c, true);
        return true;
    default:
        return false;
    }
}

bool ide_disk_command(struct ide_channel *c, uint8_t command)
{
    c->s.fua = command == ATA_WRITE_DMA_FUA_EXT || command == ATA_WRITE_MULTIPLE_FUA_EXT;
    switch (command) {
    case ATA_READ_SECTORS:
    case ATA_READ_SECTORS_NORETRY:
    case ATA_READ_SECTORS_EXT:
        return pio(c, command == ATA_READ_SECTORS_EXT, false, false);
    case ATA_WRITE_SECTORS:
    case ATA_WRITE_SECTORS_NORETRY:
    case ATA_WRITE_SECTORS_EXT:
        return pio(c, command == ATA_WRITE_SECTORS_EXT, true, false);
    case ATA_READ_MULTIPLE:
    case ATA_READ_MULTIPLE_EXT:
        return pio(c, command == ATA_READ_MULTIPLE_EXT, false, true);
    case ATA_WRITE_MULTIPLE:
    case ATA_WRITE_MULTIPLE_EXT:
    case ATA_WRITE_MULTIPLE_FUA_EXT:
        return pio(c, command != ATA_WRITE_MULTIPLE, true, true);
    case ATA_READ_DMA:
    case ATA_READ_DMA_NORETRY:
    case ATA_READ_DMA_EXT:
        return dma(c, command == ATA_READ_DMA_EXT, false);
    case ATA_WRITE_DMA:
    case ATA_WRITE_DMA_NORETRY:
    case ATA_WRITE_DMA_EXT:
    case ATA_WRITE_DMA_FUA_EXT:
        return dma(c, command == ATA_WRITE_DMA_EXT || c->s.fua, true);
    case ATA_FLUSH_CACHE:
    case ATA_FLUSH_CACHE_EXT:
        ide_start_disk(c, DISK_FLUSH, 0, 0, flushed);
        return true;
    case ATA_IDENTIFY:
        identify(c);
        ide_pio(c, false, IDE_SECTOR, IDE_SECTOR, true, identified);
        return true;
    default:
        return no_data(c, command);
    }
}
