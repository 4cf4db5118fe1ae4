/* SPDX-License-Identifier: Apache-2.0 */
/* test_ahci.c - a guest's SATA driver: link, slots, queued commands, packets, errors, resets. */
#include "unit.h"

#include "abi/ahci.h"
#include "abi/ata.h"
#include "abi/scsi.h"
#include "board/legacy/ahci.h"
#include "core/err.h"
#include "core/gmem.h"
#include "fakes/fake_env.h"
#include "fakes/fake_mem_disk.h"
#include "fakes/fake_pci.h"

enum { DEVFN = 1 << 3, SECTORS = 4096, LIST = 0x10000, RECEIVED = 0x11000, TABLES = 0x12000 };
enum { DATA = 0x40000, GSI_SLOT = 1, READ_FPDMA = 0x60, WRITE_FPDMA = 0x61, IDLE = 0x50 };

static struct fake_env f;
static struct ahci *hba;
static struct mem_disk *disk, *disc;
static uint64_t bar[6];
static unsigned closed;

static uint32_t rd(unsigned port, unsigned reg)
{
    return (uint32_t)fake_env_read(&f, bar[5] + HBA_PORTS + port * HBA_PORT_SIZE + reg, 4);
}

static void wr(unsigned port, unsigned reg, uint32_t v)
{
    fake_env_write(&f, bar[5] + HBA_PORTS + port * HBA_PORT_SIZE + reg, 4, v);
}

static void start(unsigned port)
{
    wr(port, PX_CLB, LIST);
    wr(port, PX_FB, RECEIVED);
    wr(port, PX_IE, 0xffffffff);
    wr(port, PX_CMD, CMD_FRE | CMD_SUD | CMD_POD);
    wr(port, PX_CMD, CMD_FRE | CMD_SUD | CMD_POD | CMD_ST);
    wr(port, PX_IS, 0xffffffff);
}

static int setup(void **state)
{
    struct ahci_port_cfg c = {.id = "disk0"}, cd = {.id = "cdrom1", .cdrom = true};
    struct err e;

    (void)state;
    closed = 0;
    hba = NULL;
    fake_env_create(&f, 1 * MiB);
    disk = mem_disk_create(f.env.loop, SECTORS * 512);
    disc = mem_disk_create(f.env.loop, 256 * KiB);
    disk->closed = disc->closed = &closed;
    for (unsigned i = 0; i < SECTORS * 512; i++)
        disk->data[i] = (uint8_t)(i >> 9 ^ i);
    memcpy(disc->data + 2048 * 5, "track", 5);
    c.disk = &disk->disk;
    cd.disk = &disc->disk;
    assert_int_equal(ahci_add(&f.env, &hba, &c, &e), 0);
    assert_int_equal(ahci_add(&f.env, &hba, &cd, &e), 0);
    fake_pci_map(&f, DEVFN, bar);
    fake_env_write(&f, bar[5] + HBA_GHC, 4, GHC_AE | GHC_IE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_env_destroy(&f);
    assert_int_equal(closed, 2);
    return 0;
}

/* Puts a command with one region into a slot. */
static void slot(unsigned n, const struct fis_h2d *fis, unsigned bytes, unsigned flags)
{
    gpa_t table = TABLES + n * 0x400;
    struct ahci_header h = {.flags = le16_of((uint16_t)(5 | flags)),
                            .regions = le16_of(bytes ? 1 : 0),
                            .table = le64_of(table)};
    struct ahci_region r = {.base = le64_of(DATA + n * 0x4000), .count = le32_of(bytes - 1)};

    assert_int_equal(gmem_write(f.env.mem, LIST + n * sizeof(h), &h, sizeof(h)), 0);
    assert_int_equal(gmem_write(f.env.mem, table, fis, sizeof(*fis)), 0);
    assert_int_equal(gmem_write(f.env.mem, table + AHCI_TABLE_REGIONS, &r, sizeof(r)), 0);
}

static struct fis_h2d frame(uint8_t command, uint32_t lba, unsigned count)
{
    return (struct fis_h2d){.type = FIS_H2D,
                            .flags = FIS_COMMAND,
                            .command = command,
                            .low = (uint8_t)lba,
                            .mid = (uint8_t)(lba >> 8),
                            .high = (uint8_t)(lba >> 16),
                            .device = 0x40,
                            .count = (uint8_t)count};
}

static struct fis_h2d queued(uint8_t command, uint32_t lba, unsigned count, unsigned tag)
{
    struct fis_h2d fis = frame(command, lba, tag << 3);

    fis.feature = (uint8_t)count;
    return fis;
}

static void ports_say_what_is_there(void **state)
{
    (void)state;
    assert_int_equal(fake_env_read(&f, bar[5] + HBA_PI, 4), 0x3f);
    assert_int_equal(fake_env_read(&f, bar[5] + HBA_CAP, 4) & 0x1f, 5);
    assert_int_equal(rd(0, PX_SSTS), 0x113);
    assert_int_equal(rd(0, PX_SIG), 0x101);
    assert_int_equal(rd(1, PX_SIG), 0xeb140101);
    assert_int_equal(rd(2, PX_SSTS), 0);
    start(0);
    assert_int_equal(fake_env_read(&f, RECEIVED + AHCI_FIS_D2H, 1), FIS_D2H);
    wr(0, PX_SCTL, 1);
    wr(0, PX_SCTL, 0);
    assert_int_equal(rd(0, PX_IS) & (IS_PCS | IS_DHRS), IS_PCS | IS_DHRS);
    assert_int_equal(rd(0, PX_TFD), 0x150);
    wr(0, PX_SERR, SERR_EXCHANGED); /* and with it goes the interrupt's bit */
    assert_int_equal(rd(0, PX_IS) & (IS_PCS | IS_DHRS), IS_DHRS);
}

static void identify_and_a_read(void **state)
{
    struct fis_h2d id = frame(ATA_IDENTIFY, 0, 0), read = frame(ATA_READ_DMA_EXT, 100, 8);
    uint8_t b[8 * 512];

    (void)state;
    start(0);
    slot(0, &id, 512, 0);
    wr(0, PX_CI, 1);
    assert_int_equal(rd(0, PX_CI), 0);
    assert_int_equal(rd(0, PX_IS), IS_PSS);
    assert_true(fake_irqs_line(&f.irqs, pci_gsi(GSI_SLOT, 0)));
    assert_int_equal(gmem_read(f.env.mem, DATA, b, 512), 0);
    assert_int_equal(le64_at(b + 200), SECTORS);
    assert_int_equal(fake_env_read(&f, bar[5] + HBA_IS, 4), 1);
    wr(0, PX_IS, IS_PSS);
    assert_false(fake_irqs_line(&f.irqs, pci_gsi(GSI_SLOT, 0)));
    slot(3, &read, sizeof(b), 0);
    wr(0, PX_CI, 8);
    assert_int_equal(gmem_read(f.env.mem, DATA + 3 * 0x4000, b, sizeof(b)), 0);
    assert_memory_equal(b, disk->data + 100 * 512, sizeof(b));
    assert_int_equal(fake_env_read(&f, LIST + 3 * 32 + 4, 4), sizeof(b));
    assert_int_equal(rd(0, PX_TFD), IDLE);
}

static void queued_commands_end_in_any_order(void **state)
{
    struct fis_h2d a = queued(READ_FPDMA, 1, 2, 0), b = queued(WRITE_FPDMA, 9, 1, 5);
    uint8_t data[512];

    (void)state;
    start(0);
    memset(data, 0x3c, sizeof(data));
    assert_int_equal(gmem_write(f.env.mem, DATA + 5 * 0x4000, data, sizeof(data)), 0);
    slot(0, &a, 1024, 0);
    slot(5, &b, 512, AHCI_HEADER_WRITE);
    disk->hold = true;
    wr(0, PX_SACT, 0x21);
    wr(0, PX_CI, 0x21);
    fake_env_run(&f);
    assert_int_equal(rd(0, PX_SACT), 0x21);
    disk->hold = false;
    assert_int_equal(mem_disk_release(disk), 2);
    assert_int_equal(rd(0, PX_SACT), 0);
    assert_int_equal(rd(0, PX_CI), 0);
    assert_int_equal(rd(0, PX_IS), IS_SDBS);
    assert_memory_equal(disk->data + 9 * 512, data, 512);
    assert_int_equal(gmem_read(f.env.mem, DATA, data, 512), 0);
    assert_memory_equal(data, disk->data + 512, 512);
}

static void errors_halt_the_port_until_it_is_stopped(void **state)
{
    struct fis_h2d bad = queued(READ_FPDMA, SECTORS, 1, 2), log = frame(0x2f, 0x10, 1),
                   flush = frame(ATA_FLUSH_CACHE, 0, 0);
    uint8_t b[512];

    (void)state;
    start(0);
    slot(2, &bad, 512, 0);
    wr(0, PX_SACT, 4);
    wr(0, PX_CI, 4);
    assert_int_equal(rd(0, PX_IS) & IS_TFES, IS_TFES);
    assert_int_equal(rd(0, PX_TFD), ATA_IDNF << 8 | IDLE | ATA_ERR);
    assert_int_equal(rd(0, PX_SACT), 4);
    slot(1, &flush, 0, 0);
    wr(0, PX_CI, 2);
    fake_env_run(&f);
    assert_int_equal(rd(0, PX_CI) & 2, 2); /* not begun */
    wr(0, PX_CMD, CMD_FRE);
    assert_int_equal(rd(0, PX_CI), 0);
    start(0);
    slot(0, &log, 512, 0);
    wr(0, PX_CI, 1);
    assert_int_equal(gmem_read(f.env.mem, DATA, b, sizeof(b)), 0);
    assert_int_equal(b[0], 2); /* the tag that failed */
    assert_int_equal(b[3], ATA_IDNF);
    slot(1, &flush, 0, 0);
    wr(0, PX_CI, 2);
    fake_env_run(&f);
    assert_int_equal(rd(0, PX_CI), 0);
    assert_int_equal(disk->flushes, 1);
}

/* FreeBSD takes a command whose bit is gone for one that ended well, and asks which one failed. */
static void a_failed_command_stays_issued(void **state)
{
    struct fis_h2d bad = frame(0x99, 0, 0);

    (void)state;
    start(0);
    slot(7, &bad, 0, 0);
    wr(0, PX_CI, 1u << 7);
    assert_int_equal(rd(0, PX_IS) & IS_TFES, IS_TFES);
    assert_int_equal(rd(0, PX_CI), 1u << 7);
    assert_int_equal(rd(0, PX_CMD) >> CMD_CCS & 31, 7);
    wr(0, PX_CMD, CMD_FRE);
    assert_int_equal(rd(0, PX_CI), 0);
    assert_int_equal(rd(0, PX_CMD) >> CMD_CCS & 31, 0);
}

/* FreeBSD gives up a disk that refuses SET MULTIPLE MODE. */
static void blocks_of_several_sectors(void **state)
{
    struct fis_h2d read = frame(ATA_READ_MULTIPLE, 3, 4), set = frame(ATA_SET_MULTIPLE, 0, 16),
                   more = frame(ATA_SET_MULTIPLE, 0, 32), id = frame(ATA_IDENTIFY, 0, 0);
    uint8_t b[4 * 512];

    (void)state;
    start(0);
    slot(0, &read, sizeof(b), 0);
    wr(0, PX_CI, 1); /* not chosen yet */
    assert_int_equal(rd(0, PX_TFD), ATA_ABRT << 8 | IDLE | ATA_ERR);
    start(0);
    slot(0, &set, 0, 0);
    wr(0, PX_CI, 1);
    assert_int_equal(rd(0, PX_TFD), IDLE);
    slot(0, &read, sizeof(b), 0);
    wr(0, PX_CI, 1);
    assert_int_equal(rd(0, PX_TFD), IDLE);
    assert_int_equal(gmem_read(f.env.mem, DATA, b, sizeof(b)), 0);
    assert_memory_equal(b, disk->data + 3 * 512, sizeof(b));
    slot(0, &id, 512, 0);
    wr(0, PX_CI, 1);
    assert_int_equal(gmem_read(f.env.mem, DATA, b, 512), 0);
    assert_int_equal(le16_at(b + 2 * 47), 0x8010);
    assert_int_equal(le16_at(b + 2 * 59), 0x0110);
    slot(0, &more, 0, 0);
    wr(0, PX_CI, 1);
    assert_int_equal(rd(0, PX_TFD), ATA_ABRT << 8 | IDLE | ATA_ERR);
}

static void logs_have_a_directory(void **state)
{
    struct fis_h2d log = frame(ATA_READ_LOG_EXT, 0, 1);
    uint8_t b[512];

    (void)state;
    start(0);
    slot(0, &log, 512, 0);
    wr(0, PX_CI, 1);
    assert_int_equal(rd(0, PX_TFD), IDLE);
    assert_int_equal(gmem_read(f.env.mem, DATA, b, sizeof(b)), 0);
    assert_int_equal(le16_at(b), 1);
    assert_int_equal(le16_at(b + 2 * 0x10), 1);
    assert_int_equal(le16_at(b + 2 * 0x30), 0);
}

/* A port whose first slot has a read under way, which ends when the test says so. */
static void hold_a_read(struct fis_h2d *read)
{
    start(0);
    slot(0, read, 512, 0);
    disk->hold = true;
    wr(0, PX_CI, 1);
    fake_env_run(&f);
}

/* A driver that stops a port reuses the memory when the port says that it has stopped. */
static void a_port_runs_until_nothing_is_in_flight(void **state)
{
    struct fis_h2d read = frame(ATA_READ_DMA, 0, 1);

    (void)state;
    hold_a_read(&read);
    wr(0, PX_CMD, CMD_FRE);
    assert_int_equal(rd(0, PX_CI), 0);
    assert_int_equal(rd(0, PX_CMD) & CMD_CR, CMD_CR);
    disk->hold = false;
    assert_int_equal(mem_disk_release(disk), 1);
    assert_int_equal(rd(0, PX_CMD) & CMD_CR, 0);
}

static void tables_that_lie_are_errors(void **state)
{
    struct fis_h2d read = frame(ATA_READ_DMA, 0, 8), none = {.type = 0};

    (void)state;
    start(0);
    slot(0, &read, 512, 0); /* too little */
    wr(0, PX_CI, 1);
    assert_int_equal(rd(0, PX_TFD), ATA_ABRT << 8 | IDLE | ATA_ERR);
    wr(0, PX_CMD, 0);
    start(0);
    slot(0, &none, 512, 0);
    wr(0, PX_CI, 1);
    assert_int_equal(rd(0, PX_TFD), ATA_ABRT << 8 | IDLE | ATA_ERR);
    wr(0, PX_CMD, 0);
    start(0);
    wr(0, PX_CLBU, 0xffff); /* no memory there */
    wr(0, PX_CI, 1);
    assert_int_equal(rd(0, PX_TFD) & ATA_ERR, ATA_ERR);
}

static void a_reset_forgets_what_is_in_flight(void **state)
{
    struct fis_h2d read = frame(ATA_READ_DMA, 0, 1);

    (void)state;
    hold_a_read(&read);
    fake_env_write(&f, bar[5] + HBA_GHC, 4, GHC_HR);
    assert_int_equal(rd(0, PX_CI), 0);
    start(0);
    slot(0, &read, 512, 0);
    wr(0, PX_CI, 1); /* waits for the old one to leave its slot */
    disk->hold = false;
    assert_int_equal(mem_disk_release(disk), 1);
    fake_env_run(&f);
    assert_int_equal(rd(0, PX_CI), 0);
    assert_int_equal(rd(0, PX_TFD), IDLE);
}

/* After a timeout drivers reset the link, and then take the command's memory for something else. */
static void a_link_reset_is_over_when_memory_is_free(void **state)
{
    struct fis_h2d read = frame(ATA_READ_DMA, 0, 1);

    (void)state;
    start(0);
    slot(0, &read, 512, 0);
    slot(1, &read, 512, 0);
    disk->hold = true;
    wr(0, PX_CI, 1);
    fake_env_run(&f);
    wr(0, PX_CMD, CMD_FRE);
    wr(0, PX_SCTL, 0x301);
    wr(0, PX_SCTL, 0x300);
    assert_int_equal(rd(0, PX_SSTS) & 15, 3);
    assert_int_equal(rd(0, PX_TFD), ATA_BSY);
    assert_int_equal(rd(0, PX_SIG), UINT32_MAX);
    start(0);
    wr(0, PX_CI, 2); /* too early: it waits, too */
    fake_env_run(&f);
    assert_int_equal(rd(0, PX_TFD), ATA_BSY);
    disk->hold = false;
    assert_int_equal(mem_disk_release(disk), 1);
    assert_int_equal(rd(0, PX_SIG), 0x101);
    assert_true(rd(0, PX_IS) & IS_DHRS);
    assert_int_equal(rd(0, PX_CI), 0);
    assert_int_equal(rd(0, PX_TFD), IDLE);
}

/* The next kernel is loaded into that memory. */
static void after_a_reset_nothing_writes_memory(void **state)
{
    struct fis_h2d read = frame(ATA_READ_DMA, 0, 1);

    (void)state;
    hold_a_read(&read);
    assert_non_null(disk->held);
    mem_disk_release_soon(disk);
    pci_bus_reset(f.env.pci);
    assert_null(disk->held);
    disk->slow = true;
    fake_pci_map(&f, DEVFN, bar);
    start(0);
    slot(0, &read, 512, 0);
    wr(0, PX_CI, 1); /* it is not even submitted yet */
    pci_bus_reset(f.env.pci);
    assert_int_equal(gmem_fill(f.env.mem, DATA, 0xee, 512), 0);
    fake_env_run(&f);
    assert_int_equal(*(uint8_t *)gmem_shared(f.env.mem, DATA + 100, 1), 0xee);
}

static void packet(uint8_t op, unsigned bytes)
{
    struct fis_h2d fis = frame(ATA_PACKET, 0, 0);
    uint8_t cdb[16] = {op, 0, 0, 0, op == REQUEST_SENSE ? 18 : 0, 5, 0, 0, 1};

    fis.feature = 1;
    slot(0, &fis, bytes, AHCI_HEADER_ATAPI);
    assert_int_equal(gmem_write(f.env.mem, TABLES + AHCI_TABLE_PACKET, cdb, sizeof(cdb)), 0);
    wr(1, PX_CI, 1);
    fake_env_run(&f);
}

static void a_disc_is_read_by_packets(void **state)
{
    uint8_t b[2048];

    (void)state;
    start(1);
    packet(TEST_UNIT_READY, 0);
    assert_int_equal(rd(1, PX_TFD) >> 12, UNIT_ATTENTION);
    wr(1, PX_CMD, 0);
    start(1);
    packet(REQUEST_SENSE, 18);
    assert_int_equal(gmem_read(f.env.mem, DATA, b, 18), 0);
    assert_int_equal(b[2], UNIT_ATTENTION);
    packet(READ_10, 2048);
    assert_int_equal(rd(1, PX_TFD), IDLE);
    assert_int_equal(gmem_read(f.env.mem, DATA, b, sizeof(b)), 0);
    assert_memory_equal(b, "track", 5);
}

/* The next guest knows nothing of the lock, and would not open it. */
static void a_reset_unlocks_the_drive(void **state)
{
    struct fis_h2d fis = frame(ATA_PACKET, 0, 0);
    uint8_t cdb[16] = {PREVENT_ALLOW_MEDIUM_REMOVAL, 0, 0, 0, 1};

    (void)state;
    start(1);
    packet(TEST_UNIT_READY, 0); /* a unit attention */
    wr(1, PX_CMD, 0);
    start(1);
    slot(0, &fis, 0, AHCI_HEADER_ATAPI);
    assert_int_equal(gmem_write(f.env.mem, TABLES + AHCI_TABLE_PACKET, cdb, sizeof(cdb)), 0);
    wr(1, PX_CI, 1);
    fake_env_run(&f);
    assert_true(disc->disk.door.locked);
    pci_bus_reset(f.env.pci);
    assert_false(disc->disk.door.locked);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static uint32_t identity(void)
{
    fake_env_out(&f, 0xcf8, 4, UINT32_C(0x80000000) | DEVFN << 8);
    return (uint32_t)fake_env_in(&f, 0xcfc, 4);
}

/* What another driver has taken over is gone from the bus until the next reset. */
static void a_hidden_controller_comes_back_by_a_reset(void **state)
{
    (void)state;
    assert_int_equal(identity(), 0x29228086);
    ahci_hide(hba);
    assert_int_equal(identity(), 0xffffffff);
    assert_int_equal((uint32_t)fake_env_read(&f, bar[5] + HBA_GHC, 4), 0xffffffff);
    pci_bus_reset(f.env.pci);
    assert_int_equal(identity(), 0x29228086);
}

/* Its owner closes it, after it was given back. */
static void a_borrowed_disk_stays_open(void **state)
{
    struct mem_disk *lent = mem_disk_create(f.env.loop, SECTORS * 512);
    struct ahci_port_cfg c = {.id = "disk2", .disk = &lent->disk, .borrowed = true};
    unsigned lent_closed = 0;
    struct err e;

    (void)state;
    lent->closed = &lent_closed;
    assert_int_equal(ahci_add(&f.env, &hba, &c, &e), 0);
    ahci_detach(hba, 2);
    assert_int_equal(lent_closed, 0);
    disk_close(&lent->disk);
    assert_int_equal(lent_closed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ports_say_what_is_there),
        TEST(identify_and_a_read),
        TEST(queued_commands_end_in_any_order),
        TEST(errors_halt_the_port_until_it_is_stopped),
        TEST(tables_that_lie_are_errors),
        TEST(a_reset_forgets_what_is_in_flight),
        TEST(a_link_reset_is_over_when_memory_is_free),
        TEST(after_a_reset_nothing_writes_memory),
        TEST(a_reset_unlocks_the_drive),
        TEST(a_disc_is_read_by_packets),
        TEST(a_hidden_controller_comes_back_by_a_reset),
        TEST(a_borrowed_disk_stays_open),
        TEST(a_failed_command_stays_issued),
        TEST(blocks_of_several_sectors),
        TEST(logs_have_a_directory),
        TEST(a_port_runs_until_nothing_is_in_flight),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
