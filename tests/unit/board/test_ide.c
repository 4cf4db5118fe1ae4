/* SPDX-License-Identifier: Apache-2.0 */
/* test_ide.c - a guest's IDE driver, word by word. */
#include "unit.h"

#include "abi/ata.h"
#include "abi/scsi.h"
#include "board/legacy/ide.h"
#include "board/legacy/ide_priv.h"
#include "core/err.h"
#include "core/gmem.h"
#include "fakes/fake_env.h"
#include "fakes/fake_mem_disk.h"
#include "fakes/fake_pci.h"

enum { CMD = 0x1f0, CTL = 0x3f6, CMD2 = 0x170, DEVFN = 9, SECTORS = 4096, TABLE = 0x1000 };

struct rig {
    struct fake_env f;
    struct ide *ide;
    struct mem_disk *disk, *disc;
    unsigned closed;
    uint64_t bm;
};

static void rig_create(struct rig *r)
{
    struct ide_unit_cfg c = {.id = "disk0"}, cd = {.id = "cdrom1", .cdrom = true};
    uint64_t bar[6];
    struct err e;

    memset(r, 0, sizeof(*r));
    fake_env_create(&r->f, 1 * MiB);
    assert_int_equal(ide_create(&r->f.env, &r->ide, &e), 0);
    r->disk = mem_disk_create(r->f.env.loop, SECTORS * 512);
    r->disc = mem_disk_create(r->f.env.loop, 1 * MiB);
    r->disk->closed = r->disc->closed = &r->closed;
    for (unsigned i = 0; i < SECTORS * 512; i++)
        r->disk->data[i] = (uint8_t)(i >> 9 ^ i);
    for (unsigned i = 0; i < 1 * MiB; i++)
        r->disc->data[i] = (uint8_t)(i >> 11 ^ i);
    c.disk = &r->disk->disk;
    cd.disk = &r->disc->disk;
    assert_int_equal(ide_attach(r->ide, -1, &c, &e), 0);
    assert_int_equal(ide_attach(r->ide, -1, &cd, &e), 2);
    fake_pci_map(&r->f, DEVFN, bar);
    r->bm = bar[4];
    assert_true(r->bm);
}

static void rig_destroy(struct rig *r)
{
    fake_env_destroy(&r->f);
    assert_int_equal(r->closed, 2);
}

static uint8_t in(struct rig *r, uint64_t port)
{
    return (uint8_t)fake_env_in(&r->f, port, 1);
}

static void out(struct rig *r, uint64_t port, uint8_t v)
{
    fake_env_out(&r->f, port, 1, v);
}

static void command(struct rig *r, uint8_t op, uint32_t lba, uint8_t n)
{
    out(r, CMD + ATA_DEVICE, (uint8_t)(ATA_LBA | lba >> 24));
    out(r, CMD + ATA_COUNT, n);
    out(r, CMD + ATA_LBA_LOW, (uint8_t)lba);
    out(r, CMD + ATA_LBA_MID, (uint8_t)(lba >> 8));
    out(r, CMD + ATA_LBA_HIGH, (uint8_t)(lba >> 16));
    out(r, CMD + ATA_COMMAND, op);
}

static void read_words(struct rig *r, uint64_t base, uint8_t *p, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i += 2) {
        uint64_t v = fake_env_in(&r->f, base, 2);

        p[i] = (uint8_t)v;
        p[i + 1] = (uint8_t)(v >> 8);
    }
}

static void test_signatures_and_absent_units(void **state)
{
    struct rig r;

    rig_create(&r);
    assert_int_equal(in(&r, CMD + ATA_COMMAND), ATA_DRDY | ATA_DSC);
    assert_int_equal(in(&r, CMD + ATA_LBA_MID), 0);
    out(&r, CMD + ATA_DEVICE, ATA_DEV);
    assert_int_equal(in(&r, CMD + ATA_COMMAND), 0);
    assert_int_equal(in(&r, CMD2 + ATA_LBA_MID), 0x14);
    assert_int_equal(in(&r, CMD2 + ATA_LBA_HIGH), 0xeb);
    out(&r, CTL, ATA_SRST);
    assert_int_equal(in(&r, CTL), ATA_BSY); /* unit 0 is selected again */
    rig_destroy(&r);
}

static void test_soft_reset_is_busy_until_released(void **state)
{
    struct rig r;

    rig_create(&r);
    out(&r, CTL, ATA_SRST);
    assert_int_equal(in(&r, CTL), ATA_BSY);
    out(&r, CTL, 0);
    assert_int_equal(in(&r, CTL), ATA_DRDY | ATA_DSC);
    assert_int_equal(in(&r, CMD + ATA_FEATURE), 1);
    rig_destroy(&r);
}

static void test_identify_says_size_and_model(void **state)
{
    uint8_t id[512];
    struct rig r;

    rig_create(&r);
    command(&r, ATA_IDENTIFY, 0, 0);
    assert_true(fake_irqs_line(&r.f.irqs, 14));
    assert_int_equal(in(&r, CMD + ATA_COMMAND), ATA_DRDY | ATA_DSC | ATA_DRQ);
    assert_false(fake_irqs_line(&r.f.irqs, 14)); /* reading the status takes it away */
    read_words(&r, CMD, id, sizeof(id));
    assert_int_equal(in(&r, CMD + ATA_COMMAND), ATA_DRDY | ATA_DSC);
    assert_int_equal(le32_at(id + 120), SECTORS);
    assert_int_equal(le64_at(id + 200), SECTORS);
    assert_memory_equal(id + 54, "OHPSSEH ", 8);
    rig_destroy(&r);
}

/* A BIOS reads the first sector by cylinder, head and sector, and refuses what has no cylinders. */
static void test_small_disks_have_cylinders(void **state)
{
    uint8_t id[512];
    struct rig r;

    (void)state;
    rig_create(&r);
    r.ide->channel[0].unit[0].size = 3;
    command(&r, ATA_IDENTIFY, 0, 0);
    read_words(&r, CMD, id, sizeof(id));
    assert_int_equal(le16_at(id + 2 * 1), 2);
    assert_int_equal(le16_at(id + 2 * 54), 2);
    assert_int_equal(le32_at(id + 120), 3);
    rig_destroy(&r);
}

static void test_pio_reads_sector_by_sector(void **state)
{
    uint8_t b[512];
    struct rig r;

    rig_create(&r);
    command(&r, ATA_READ_SECTORS, 5, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(fake_irqs_line(&r.f.irqs, 14));
        assert_int_equal(in(&r, CMD + ATA_COMMAND), ATA_DRDY | ATA_DSC | ATA_DRQ);
        read_words(&r, CMD, b, sizeof(b));
        assert_memory_equal(b, r.disk->data + (5 + i) * 512, 512);
    }
    assert_int_equal(in(&r, CMD + ATA_COMMAND), ATA_DRDY | ATA_DSC);
    rig_destroy(&r);
}

static void test_cylinders_heads_and_sectors(void **state)
{
    uint8_t b[512];
    struct rig r;

    rig_create(&r);
    out(&r, CMD + ATA_DEVICE, 2); /* head 2 */
    out(&r, CMD + ATA_COUNT, 1);
    out(&r, CMD + ATA_LBA_LOW, 4);
    out(&r, CMD + ATA_LBA_MID, 1);
    out(&r, CMD + ATA_LBA_HIGH, 0);
    out(&r, CMD + ATA_COMMAND, ATA_READ_SECTORS);
    read_words(&r, CMD, b, sizeof(b));
    assert_memory_equal(b, r.disk->data + ((1 * 16 + 2) * 63 + 3) * 512, 512);
    out(&r, CMD + ATA_LBA_LOW, 64); /* past the track */
    out(&r, CMD + ATA_COMMAND, ATA_READ_SECTORS);
    assert_int_equal(in(&r, CMD + ATA_COMMAND), ATA_DRDY | ATA_DSC | ATA_ERR);
    assert_int_equal(in(&r, CMD + ATA_FEATURE), ATA_IDNF);
    rig_destroy(&r);
}

static void test_pio_writes_by_multiple_blocks(void **state)
{
    struct rig r;

    rig_create(&r);
    command(&r, ATA_SET_MULTIPLE, 0, 2);
    command(&r, ATA_WRITE_MULTIPLE, 7, 3);
    assert_int_equal(in(&r, CMD + ATA_COMMAND) & ATA_DRQ, ATA_DRQ);
    for (unsigned i = 0; i < 3 * 256; i++) {
        if (i == 2 * 256) {
            assert_true(fake_irqs_line(&r.f.irqs, 14));
            (void)in(&r, CMD + ATA_COMMAND);
        }
        fake_env_out(&r.f, CMD, 2, 0xa55a);
    }
    assert_int_equal(in(&r, CMD + ATA_COMMAND), ATA_DRDY | ATA_DSC);
    for (unsigned i = 0; i < 3 * 512; i += 2)
        assert_int_equal(le16_at(r.disk->data + 7 * 512 + i), 0xa55a);
    assert_int_equal(r.disk->flushes, 0);
    rig_destroy(&r);
}

static void table(struct rig *r, unsigned at, uint32_t base, uint16_t n, bool last)
{
    struct bmide_region e = {le32_of(base), le16_of(n), le16_of(last ? BMIDE_END_OF_TABLE : 0)};

    assert_int_equal(gmem_write(r->f.env.mem, TABLE + at * sizeof(e), &e, sizeof(e)), 0);
}

static void test_dma_reads_scattered_pages(void **state)
{
    uint8_t b[8 * 512];
    struct rig r;

    rig_create(&r);
    table(&r, 0, 0x20000, 512, false);
    table(&r, 1, 0x30002, 7 * 512, true);
    fake_env_out(&r.f, r.bm + BMIDE_TABLE, 4, TABLE);
    out(&r, r.bm + BMIDE_COMMAND, BMIDE_TO_MEMORY);
    command(&r, ATA_READ_DMA, 100, 8);
    assert_false(fake_irqs_line(&r.f.irqs, 14));
    r.disk->slow = true; /* through the loop */
    out(&r, r.bm + BMIDE_COMMAND, BMIDE_TO_MEMORY | BMIDE_START);
    assert_int_equal(in(&r, r.bm + BMIDE_STATUS), BMIDE_ACTIVE);
    assert_int_equal(in(&r, CTL) & ATA_BSY, ATA_BSY);
    fake_env_run(&r.f);
    assert_true(fake_irqs_line(&r.f.irqs, 14));
    assert_int_equal(in(&r, r.bm + BMIDE_STATUS), BMIDE_INTERRUPT);
    assert_int_equal(gmem_read(r.f.env.mem, 0x20000, b, 512), 0);
    assert_int_equal(gmem_read(r.f.env.mem, 0x30002, b + 512, 7 * 512), 0);
    assert_memory_equal(b, r.disk->data + 100 * 512, sizeof(b));
    out(&r, r.bm + BMIDE_STATUS, BMIDE_INTERRUPT);
    assert_int_equal(in(&r, r.bm + BMIDE_STATUS), 0);
    rig_destroy(&r);
}

static void test_dma_writes_beyond_28_bits_of_registers(void **state)
{
    uint8_t b[512];
    struct rig r;

    rig_create(&r);
    memset(b, 0x77, sizeof(b));
    assert_int_equal(gmem_write(r.f.env.mem, 0x20000, b, sizeof(b)), 0);
    table(&r, 0, 0x20000, 512, true);
    fake_env_out(&r.f, r.bm + BMIDE_TABLE, 4, TABLE);
    out(&r, r.bm + BMIDE_COMMAND, BMIDE_START);
    out(&r, CMD + ATA_DEVICE, ATA_LBA);
    for (unsigned i = 0; i < 2; i++) { /* high halves first */
        out(&r, CMD + ATA_COUNT, i ? 1 : 0);
        out(&r, CMD + ATA_LBA_LOW, i ? 9 : 0);
        out(&r, CMD + ATA_LBA_MID, i ? 1 : 0);
        out(&r, CMD + ATA_LBA_HIGH, 0);
    }
    out(&r, CMD + ATA_COMMAND, ATA_WRITE_DMA_FUA_EXT);
    assert_true(r.disk->fua_seen);
    assert_memory_equal(r.disk->data + 265 * 512, b, sizeof(b));
    out(&r, CTL, ATA_HOB);
    assert_int_equal(in(&r, CMD + ATA_LBA_LOW), 0);
    out(&r, CTL, 0);
    assert_int_equal(in(&r, CMD + ATA_LBA_LOW), 9);
    rig_destroy(&r);
}

static void test_a_bad_table_fails_the_command(void **state)
{
    struct rig r;

    rig_create(&r);
    table(&r, 0, 0x20000, 512, true); /* too short */
    fake_env_out(&r.f, r.bm + BMIDE_TABLE, 4, TABLE);
    out(&r, r.bm + BMIDE_COMMAND, BMIDE_TO_MEMORY | BMIDE_START);
    command(&r, ATA_READ_DMA, 0, 8);
    assert_int_equal(in(&r, CMD + ATA_COMMAND), ATA_DRDY | ATA_DSC | ATA_ERR);
    assert_int_equal(in(&r, r.bm + BMIDE_STATUS) & 3, BMIDE_ERROR);
    table(&r, 0, 0xfffff000, 8 * 512, true); /* outside of memory */
    command(&r, ATA_READ_DMA, 0, 8);
    assert_int_equal(in(&r, CMD + ATA_FEATURE), ATA_ABRT);
    rig_destroy(&r);
}

static void test_errors_of_the_disk_are_told(void **state)
{
    struct rig r;

    rig_create(&r);
    r.disk->fail = -5;
    command(&r, ATA_READ_SECTORS, 0, 1);
    assert_int_equal(in(&r, CMD + ATA_FEATURE), ATA_UNC);
    r.disk->fail = 0;
    command(&r, ATA_READ_SECTORS, SECTORS - 1, 2);
    assert_int_equal(in(&r, CMD + ATA_FEATURE), ATA_IDNF);
    command(&r, 0xfe, 0, 0);
    assert_int_equal(in(&r, CMD + ATA_FEATURE), ATA_ABRT);
    rig_destroy(&r);
}

static void test_no_write_cache_means_flushes(void **state)
{
    struct rig r;

    rig_create(&r);
    out(&r, CMD + ATA_FEATURE, ATA_FEATURE_WRITE_CACHE_OFF);
    command(&r, ATA_SET_FEATURES, 0, 0);
    command(&r, ATA_WRITE_SECTORS, 0, 1);
    for (unsigned i = 0; i < 128; i++)
        fake_env_out(&r.f, CMD, 4, 0);
    fake_env_run(&r.f);
    assert_int_equal(in(&r, CMD + ATA_COMMAND), ATA_DRDY | ATA_DSC);
    assert_int_equal(r.disk->flushes, 1);
    rig_destroy(&r);
}

static void test_a_reset_waits_for_what_is_in_flight(void **state)
{
    struct rig r;

    rig_create(&r);
    r.disk->hold = true;
    command(&r, ATA_READ_SECTORS, 0, 1);
    fake_env_run(&r.f);
    out(&r, CTL, ATA_SRST);
    out(&r, CTL, 0);
    assert_int_equal(in(&r, CTL), ATA_BSY);
    assert_int_equal(mem_disk_release(r.disk), 1);
    assert_int_equal(in(&r, CTL), ATA_DRDY | ATA_DSC);
    assert_false(fake_irqs_line(&r.f.irqs, 14));
    rig_destroy(&r);
}

/* The next kernel is loaded into that memory. */
static void test_after_a_reset_nothing_writes_memory(void **state)
{
    struct rig r;

    rig_create(&r);
    r.disk->hold = true;
    command(&r, ATA_READ_SECTORS, 0, 1);
    fake_env_run(&r.f);
    assert_non_null(r.disk->held);
    mem_disk_release_soon(r.disk);
    pci_bus_reset(r.f.env.pci);
    assert_null(r.disk->held);
    assert_int_equal(in(&r, CMD + ATA_COMMAND), ATA_DRDY | ATA_DSC);
    rig_destroy(&r);
}

static void test_hidden_disks_come_back_with_a_reset(void **state)
{
    struct rig r;

    rig_create(&r);
    ide_hide(r.ide, 0x0f);
    assert_int_equal(in(&r, CMD + ATA_COMMAND), 0);
    assert_int_equal(in(&r, CMD2 + ATA_LBA_MID), 0x14); /* the CD-ROM drive stays */
    pci_bus_reset(r.f.env.pci);
    assert_int_equal(in(&r, CMD + ATA_COMMAND), ATA_DRDY | ATA_DSC);
    rig_destroy(&r);
}

/* --- CD-ROM --- */

static void packet(struct rig *r, const uint8_t *cdb, unsigned limit, bool dma)
{
    out(r, CMD2 + ATA_DEVICE, 0);
    out(r, CMD2 + ATA_FEATURE, dma);
    out(r, CMD2 + ATA_LBA_MID, (uint8_t)limit);
    out(r, CMD2 + ATA_LBA_HIGH, (uint8_t)(limit >> 8));
    out(r, CMD2 + ATA_COMMAND, ATA_PACKET);
    assert_int_equal(in(r, CMD2 + ATA_COUNT) & 3, ATA_COD);
    for (unsigned i = 0; i < 12; i += 2)
        fake_env_out(&r->f, CMD2, 2, le16_at(cdb + i));
    fake_env_run(&r->f);
}

/* Reads what the drive offers, block by block; the number of bytes. */
static unsigned collect(struct rig *r, uint8_t *p)
{
    unsigned got = 0;

    while (in(r, CMD2 + ATA_COMMAND) & ATA_DRQ) {
        unsigned n = in(r, CMD2 + ATA_LBA_MID) | in(r, CMD2 + ATA_LBA_HIGH) << 8;

        assert_int_equal(in(r, CMD2 + ATA_COUNT) & 3, ATA_IO);
        read_words(r, CMD2, p + got, n);
        got += n;
        fake_env_run(&r->f);
    }
    assert_int_equal(in(r, CMD2 + ATA_COUNT) & 3, ATA_COD | ATA_IO);
    return got;
}

/* The next guest knows nothing of the lock, and would not open it. */
static void test_a_reset_unlocks_the_drive(void **state)
{
    static const uint8_t tur[12] = {TEST_UNIT_READY},
                         lock[12] = {PREVENT_ALLOW_MEDIUM_REMOVAL, 0, 0, 0, 1};
    struct rig r;

    rig_create(&r);
    packet(&r, tur, 0, false); /* a unit attention */
    packet(&r, lock, 0, false);
    assert_true(r.disc->disk.door.locked);
    pci_bus_reset(r.f.env.pci);
    assert_false(r.disc->disk.door.locked);
    rig_destroy(&r);
}

static void test_a_fresh_disc_is_told_once(void **state)
{
    const uint8_t ready[12] = {TEST_UNIT_READY}, sense[12] = {REQUEST_SENSE, 0, 0, 0, 18};
    uint8_t b[64];
    struct rig r;

    rig_create(&r);
    packet(&r, ready, 0, false);
    assert_int_equal(in(&r, CMD2 + ATA_COMMAND) & ATA_ERR, ATA_ERR);
    assert_int_equal(in(&r, CMD2 + ATA_FEATURE) >> 4, UNIT_ATTENTION);
    packet(&r, sense, 64, false);
    assert_int_equal(collect(&r, b), 18);
    assert_int_equal(b[2], UNIT_ATTENTION);
    packet(&r, sense, 64, false);
    assert_int_equal(collect(&r, b), 18);
    assert_int_equal(b[2], NO_SENSE);
    packet(&r, ready, 0, false);
    assert_int_equal(in(&r, CMD2 + ATA_COMMAND), ATA_DRDY | ATA_DSC);
    rig_destroy(&r);
}

static void test_a_disc_is_read_in_blocks_and_pieces(void **state)
{
    const uint8_t ready[12] = {TEST_UNIT_READY};
    const uint8_t read[12] = {READ_10, 0, 0, 0, 0, 3, 0, 0, 200}; /* more than the buffer holds */
    static uint8_t b[200 * 2048];
    struct rig r;

    rig_create(&r);
    packet(&r, ready, 0, false);
    packet(&r, read, 2048, false);
    assert_true(fake_irqs_line(&r.f.irqs, 15));
    assert_int_equal(collect(&r, b), sizeof(b));
    assert_memory_equal(b, r.disc->data + 3 * 2048, sizeof(b));
    rig_destroy(&r);
}

/* Drivers move what the byte count says, at each interrupt anew. */
static void test_each_block_tells_its_length(void **state)
{
    const uint8_t ready[12] = {TEST_UNIT_READY}, sense[12] = {REQUEST_SENSE, 0, 0, 0, 17};
    const uint8_t read[12] = {READ_10, 0, 0, 0, 0, 3, 0, 0, 70};
    static const unsigned limits[] = {0xffff, 5000, 100};
    static uint8_t b[70 * 2048];
    struct rig r;

    (void)state;
    rig_create(&r);
    packet(&r, ready, 0, false);
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        packet(&r, read, limits[i], false);
        if (limits[i] > 2048)
            assert_int_equal(in(&r, CMD2 + ATA_LBA_HIGH) % 8, 0); /* whole sectors */
        memset(b, 0, sizeof(b));
        assert_int_equal(collect(&r, b), sizeof(b));
        assert_memory_equal(b, r.disc->data + 3 * 2048, sizeof(b));
    }
    packet(&r, sense, 17, false);
    assert_int_equal(in(&r, CMD2 + ATA_LBA_MID), 17); /* odd, but all */
    rig_destroy(&r);
}

static void test_a_disc_is_read_by_dma(void **state)
{
    const uint8_t ready[12] = {TEST_UNIT_READY}, read[12] = {READ_12, 0, 0, 0, 0, 7, 0, 0, 0, 2};
    uint8_t b[4096];
    struct rig r;

    rig_create(&r);
    packet(&r, ready, 0, false);
    table(&r, 0, 0x20000, 4096, true);
    fake_env_out(&r.f, r.bm + BMIDE_CHANNEL + BMIDE_TABLE, 4, TABLE);
    packet(&r, read, 0, true);
    out(&r, r.bm + BMIDE_CHANNEL, BMIDE_TO_MEMORY | BMIDE_START);
    fake_env_run(&r.f);
    assert_int_equal(in(&r, r.bm + BMIDE_CHANNEL + BMIDE_STATUS), BMIDE_INTERRUPT);
    assert_int_equal(gmem_read(r.f.env.mem, 0x20000, b, sizeof(b)), 0);
    assert_memory_equal(b, r.disc->data + 7 * 2048, sizeof(b));
    rig_destroy(&r);
}

/* FreeBSD and Plan 9 ask by DMA, too, for what went wrong. */
static void test_sense_is_fetched_by_dma(void **state)
{
    const uint8_t ready[12] = {TEST_UNIT_READY}, sense[12] = {REQUEST_SENSE, 0, 0, 0, 18};
    uint8_t b[18];
    struct rig r;

    (void)state;
    rig_create(&r);
    packet(&r, ready, 0, false);
    assert_int_equal(in(&r, CMD2 + ATA_COMMAND) & ATA_ERR, ATA_ERR);
    table(&r, 0, 0x20000, sizeof(b), true);
    fake_env_out(&r.f, r.bm + BMIDE_CHANNEL + BMIDE_TABLE, 4, TABLE);
    packet(&r, sense, 0, true);
    out(&r, r.bm + BMIDE_CHANNEL, BMIDE_TO_MEMORY | BMIDE_START);
    fake_env_run(&r.f);
    assert_int_equal(in(&r, r.bm + BMIDE_CHANNEL + BMIDE_STATUS), BMIDE_INTERRUPT);
    assert_int_equal(in(&r, CMD2 + ATA_COMMAND), ATA_DRDY | ATA_DSC);
    assert_int_equal(gmem_read(r.f.env.mem, 0x20000, b, sizeof(b)), 0);
    assert_int_equal(b[2], UNIT_ATTENTION);
    rig_destroy(&r);
}

/* Drivers made for SFF-8020i look for the page behind the header of eight bytes. */
static void test_a_mode_page_has_no_block_descriptor(void **state)
{
    const uint8_t ready[12] = {TEST_UNIT_READY};
    const uint8_t sense[12] = {MODE_SENSE_10, 0, 0x2a, 0, 0, 0, 0, 0, 64};
    uint8_t b[64] = {0};
    struct rig r;

    (void)state;
    rig_create(&r);
    packet(&r, ready, 0, false);
    packet(&r, sense, 64, false);
    assert_int_equal(collect(&r, b), 8 + 22);
    assert_int_equal(be16_at(b), 8 + 22 - 2);
    assert_int_equal(be16_at(b + 6), 0);
    assert_int_equal(b[8], 0x2a);
    rig_destroy(&r);
}

static void test_a_drive_is_no_disk(void **state)
{
    struct rig r;

    rig_create(&r);
    out(&r, CMD2 + ATA_COMMAND, ATA_IDENTIFY);
    assert_int_equal(in(&r, CMD2 + ATA_FEATURE), ATA_ABRT);
    assert_int_equal(in(&r, CMD2 + ATA_LBA_MID), 0x14);
    out(&r, CMD2 + ATA_COMMAND, ATA_IDENTIFY_PACKET);
    assert_int_equal(fake_env_in(&r.f, CMD2, 2), 0x8580);
    rig_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures_and_absent_units),
        cmocka_unit_test(test_soft_reset_is_busy_until_released),
        cmocka_unit_test(test_identify_says_size_and_model),
        cmocka_unit_test(test_small_disks_have_cylinders),
        cmocka_unit_test(test_pio_reads_sector_by_sector),
        cmocka_unit_test(test_cylinders_heads_and_sectors),
        cmocka_unit_test(test_pio_writes_by_multiple_blocks),
        cmocka_unit_test(test_dma_reads_scattered_pages),
        cmocka_unit_test(test_dma_writes_beyond_28_bits_of_registers),
        cmocka_unit_test(test_a_bad_table_fails_the_command),
        cmocka_unit_test(test_errors_of_the_disk_are_told),
        cmocka_unit_test(test_no_write_cache_means_flushes),
        cmocka_unit_test(test_a_reset_waits_for_what_is_in_flight),
        cmocka_unit_test(test_after_a_reset_nothing_writes_memory),
        cmocka_unit_test(test_hidden_disks_come_back_with_a_reset),
        cmocka_unit_test(test_a_reset_unlocks_the_drive),
        cmocka_unit_test(test_a_fresh_disc_is_told_once),
        cmocka_unit_test(test_a_disc_is_read_in_blocks_and_pieces),
        cmocka_unit_test(test_each_block_tells_its_length),
        cmocka_unit_test(test_a_disc_is_read_by_dma),
        cmocka_unit_test(test_sense_is_fetched_by_dma),
        cmocka_unit_test(test_a_mode_page_has_no_block_descriptor),
        cmocka_unit_test(test_a_drive_is_no_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
