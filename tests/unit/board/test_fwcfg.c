/* SPDX-License-Identifier: Apache-2.0 */
/* fw_cfg as firmware uses it, with descriptors that make no sense, and the board around it. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "abi/acpi.h"
#include "abi/fw_cfg.h"
#include "abi/smbios.h"
#include "board/board.h"
#include "board/chipset/chipset.h"
#include "board/pci.h"
#include "core/err.h"
#include "core/gmem.h"
#include "core/loop.h"
#include "fakes/fake_env.h"

enum { DESC = 0x1000, DATA = 0x2000, RAM = 1 << 20 };

static struct fake_env f;
static struct device *dev;

static int set_up(void **state)
{
    struct err e = {0};

    (void)state;
    fake_env_create(&f, RAM);
    assert_int_equal(fwcfg_create(&f.env, &dev, &e), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dev->ops->destroy(dev);
    fake_env_destroy(&f);
    return 0;
}

static void read_ports(uint16_t key, void *out, size_t n)
{
    fake_env_out(&f, FW_CFG_PORT_SEL, 2, key);
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)out)[i] = (uint8_t)fake_env_in(&f, FW_CFG_PORT_DATA, 1);
}

static void start_dma(uint64_t at)
{
    fake_env_out(&f, FW_CFG_PORT_DMA, 4, __builtin_bswap32((uint32_t)(at >> 32)));
    fake_env_out(&f, FW_CFG_PORT_DMA + 4, 4, __builtin_bswap32((uint32_t)at));
}

/* Runs a transfer; what the device left in its control word. */
static uint32_t dma(uint32_t control, uint32_t len, uint64_t addr)
{
    struct fw_cfg_dma_access a = {be32_of(control), be32_of(len), be64_of(addr)};

    assert_int_equal(gmem_write(f.env.mem, DESC, &a, sizeof(a)), 0);
    start_dma(DESC);
    assert_int_equal(gmem_read(f.env.mem, DESC, &a, sizeof(a)), 0);
    return be32_get(a.control);
}

static void set(const char *name, const char *text)
{
    struct err e = {0};

    assert_int_equal(fwcfg_set_file(dev, name, text, strlen(text), &e), 0);
}

/* The directory's entry of a file; false: not listed. */
static bool listed(const char *name, struct fw_cfg_file *out)
{
    be32 count;

    read_ports(FW_CFG_FILE_DIR, &count, sizeof(count));
    for (uint32_t i = 0; i < be32_get(count); i++) {
        for (size_t k = 0; k < sizeof(*out); k++)
            ((uint8_t *)out)[k] = (uint8_t)fake_env_in(&f, FW_CFG_PORT_DATA, 1);
        if (strcmp(out->name, name) == 0)
            return true;
    }
    return false;
}

static void it_says_who_it_is(void **state)
{
    uint8_t b[8] = {0};

    (void)state;
    read_ports(FW_CFG_SIGNATURE, b, 6);
    assert_memory_equal(b, "QEMU\0\0", 6);
    read_ports(FW_CFG_ID, b, 4);
    assert_memory_equal(b, "\3\0\0\0", 4);
    assert_int_equal(fake_env_in(&f, FW_CFG_PORT_DMA, 4), 0x554d4551);
    assert_int_equal(fake_env_in(&f, FW_CFG_PORT_DMA + 4, 4), 0x47464320);
    read_ports(0x1234, b, 4);
    assert_memory_equal(b, "\0\0\0\0", 4);
}

static void files_are_listed_and_replaced(void **state)
{
    struct fw_cfg_file file;
    char b[16] = {0};

    (void)state;
    set("etc/one", "first");
    set("etc/two", "second");
    set("etc/one", "another");
    assert_true(listed("etc/one", &file));
    assert_int_equal(be32_get(file.size), 7);
    read_ports(be16_get(file.select), b, 9);
    assert_memory_equal(b, "another\0\0", 9);
    assert_true(listed("etc/two", &file));
    assert_int_equal(be16_get(file.select), FW_CFG_FILE_FIRST + 1);
    assert_false(listed("etc/three", &file));
}

static void dma_selects_skips_and_reads(void **state)
{
    uint32_t select = FW_CFG_FILE_FIRST << 16 | FW_CFG_DMA_CTL_SELECT;
    char b[12];

    (void)state;
    set("etc/text", "0123456789");
    memset(b, 'x', sizeof(b));
    assert_int_equal(gmem_write(f.env.mem, DATA, b, sizeof(b)), 0);
    assert_int_equal(dma(select | FW_CFG_DMA_CTL_SKIP, 4, 0), 0);
    assert_int_equal(dma(FW_CFG_DMA_CTL_READ, 3, DATA), 0);
    assert_int_equal(dma(FW_CFG_DMA_CTL_READ, 5, DATA + 3), 0);
    assert_int_equal(gmem_read(f.env.mem, DATA, b, sizeof(b)), 0);
    assert_memory_equal(b, "456789\0\0xxxx", 12);
    assert_int_equal(dma(select | FW_CFG_DMA_CTL_READ, 2, DATA), 0);
    assert_int_equal(gmem_read(f.env.mem, DATA, b, 2), 0);
    assert_memory_equal(b, "01", 2);
}

static void dma_that_cannot_be_done_is_an_error(void **state)
{
    uint32_t read = FW_CFG_FILE_FIRST << 16 | FW_CFG_DMA_CTL_SELECT | FW_CFG_DMA_CTL_READ;
    uint64_t faults;

    (void)state;
    set("etc/text", "0123456789");
    assert_int_equal(dma(read, 10, RAM - 4), FW_CFG_DMA_CTL_ERROR);
    assert_int_equal(dma(read, UINT32_MAX, DATA), FW_CFG_DMA_CTL_ERROR);
    assert_int_equal(dma(read, 10, UINT64_MAX - 4), FW_CFG_DMA_CTL_ERROR);
    assert_int_equal(dma(FW_CFG_DMA_CTL_WRITE, 1, DATA), FW_CFG_DMA_CTL_ERROR);
    assert_int_equal(dma(FW_CFG_DMA_CTL_SKIP, UINT32_MAX, 0), 0);
    faults = dev->fault_count;
    start_dma(RAM - 8);
    start_dma(UINT64_MAX - 3);
    assert_int_equal(dev->fault_count, faults + 2);
    assert_int_equal(dma(read, 10, DATA), 0);
}

/* --- the board with firmware --- */

enum { BIOS_SIZE = 256 << 10, BOARD_RAM = 64 << 20 };

static void ignore(void *arg, enum board_event what, unsigned value, const char *text)
{
    (void)arg;
    (void)what;
    (void)value;
    (void)text;
}

static void write_bios(char *path)
{
    uint8_t *image = calloc(1, BIOS_SIZE);
    int fd = mkstemp(path);

    assert_non_null(image);
    for (size_t i = 0; i < BIOS_SIZE; i++)
        image[i] = (uint8_t)(i ^ i >> 8 ^ i >> 16);
    assert_int_equal(write(fd, image, BIOS_SIZE), BIOS_SIZE);
    close(fd);
    free(image);
}

static void bios_is_at_both_places(struct gmem *mem)
{
    static uint8_t top[BIOS_SIZE], low[128 << 10];

    assert_int_equal(gmem_read(mem, UINT64_C(0x100000000) - BIOS_SIZE, top, sizeof(top)), 0);
    assert_int_equal(top[0x10203], 0x03 ^ 0x02 ^ 0x01);
    assert_int_equal(gmem_read(mem, 0xe0000, low, sizeof(low)), 0);
    assert_memory_equal(low, top + BIOS_SIZE - sizeof(low), sizeof(low));
}

static void pam(struct board *b, unsigned reg, uint8_t v)
{
    uint64_t address = UINT64_C(0x80000000) | (reg & ~3u), val = v;

    bus_access(board_bus(b, BUS_PIO), 0xcf8, 4, ACC_WRITE, &address);
    bus_access(board_bus(b, BUS_PIO), 0xcfc + (reg & 3), 1, ACC_WRITE, &val);
}

/* A board whose firmware is a file of ours; path is its template. */
static struct board *bios_board(struct board_cfg *c, char *path, struct fake_irqs *irqs)
{
    struct board *b;
    struct err e = {0};

    write_bios(path);
    fake_irqs_init(irqs);
    assert_int_equal(gmem_create(&c->mem, &e), 0);
    assert_int_equal(loop_create_fake(&c->loop, &e), 0);
    c->irqs = &irqs->irqs;
    assert_int_equal(board_create(c, &b, &e), 0);
    return b;
}

static void a_reset_brings_the_bios_back(void **state)
{
    char path[] = "/tmp/test-fwcfg-XXXXXX";
    struct fake_irqs irqs;
    struct board_tables t = {.acpi = NULL};
    struct board_cfg c = {
        .cpus = 2, .memory = BOARD_RAM, .event = ignore, .firmware = true, .bios = path};
    struct board *b;
    struct err e = {0};

    (void)state;
    b = bios_board(&c, path, &irqs);
    assert_int_equal(board_place(b, &t, &e), 0);
    bios_is_at_both_places(c.mem);
    assert_true(gmem_write(c.mem, 0xfffffff0, "x", 1) < 0);
    assert_true(gmem_write(c.mem, 0xffff0, "x", 1) < 0);
    pam(b, 0x59, 0x30); /* as firmware makes its shadow */
    pam(b, 0x5e, 0x33);
    pam(b, 0x5f, 0x33);
    assert_int_equal(gmem_fill(c.mem, 0xe0000, 0, 0x20000), 0);
    assert_int_equal(gmem_fill(c.mem, BOARD_RAM - 0x10000, 0, 0x10000), 0);
    board_reset(b);
    assert_int_equal(board_place(b, &t, &e), 0);
    bios_is_at_both_places(c.mem);
    board_destroy(b);
    loop_destroy(c.loop);
    gmem_destroy(c.mem);
    assert_int_equal(fake_irqs_fini(&irqs), 0);
    unlink(path);
}

/* What firmware is told leads to tables that firmware leaves alone. */
static void firmware_is_told_of_memory_and_tables(void **state)
{
    char path[] = "/tmp/test-fwcfg-XXXXXX";
    struct board_range range[16];
    struct board_tables t = {.acpi = NULL};
    struct board_cfg c = {
        .cpus = 2, .memory = BOARD_RAM, .event = ignore, .firmware = true, .bios = path};
    struct acpi_header xsdt;
    struct acpi_rsdp rsdp;
    struct fake_irqs irqs;
    struct board *b;
    struct err e = {0};

    (void)state;
    b = bios_board(&c, path, &irqs);
    assert_int_equal(board_place(b, &t, &e), 0);
    assert_true(board_ranges(b, range, 16) >= 2);
    assert_int_equal(range[0].base, 0);
    assert_int_equal(range[0].type, BOARD_RANGE_RAM);
    assert_int_equal(range[1].base, range[0].size);
    assert_int_equal(range[1].base + range[1].size, BOARD_RAM);
    assert_int_equal(range[1].type, BOARD_RANGE_RESERVED);
    assert_int_equal(gmem_read(c.mem, board_rsdp(b), &rsdp, sizeof(rsdp)), 0);
    assert_memory_equal(rsdp.signature, "RSD PTR ", 8);
    assert_in_range(le64_get(rsdp.xsdt_address), range[1].base, BOARD_RAM - 1);
    assert_int_equal(gmem_read(c.mem, le64_get(rsdp.xsdt_address), &xsdt, sizeof(xsdt)), 0);
    assert_memory_equal(xsdt.signature, "XSDT", 4);
    board_destroy(b);
    loop_destroy(c.loop);
    gmem_destroy(c.mem);
    assert_int_equal(fake_irqs_fini(&irqs), 0);
    unlink(path);
}

static uint8_t cmos(struct board *b, uint8_t at)
{
    uint64_t v = at;

    bus_access(board_bus(b, BUS_PIO), 0x70, 1, ACC_WRITE, &v);
    bus_access(board_bus(b, BUS_PIO), 0x71, 1, ACC_READ, &v);
    return (uint8_t)v;
}

/* A file of the board's fw_cfg; its size, 0: there is none. */
static size_t board_file(struct board *b, const char *name, char *to, size_t room)
{
    uint64_t v = FW_CFG_FILE_DIR;
    struct fw_cfg_file file = {.select = be16_of(0)};
    uint8_t at[4] = {0};
    size_t n;

    bus_access(board_bus(b, BUS_PIO), FW_CFG_PORT_SEL, 2, ACC_WRITE, &v);
#define GET(p, len)                                                                                \
    for (size_t get = 0; get < (len); get++) {                                                     \
        bus_access(board_bus(b, BUS_PIO), FW_CFG_PORT_DATA, 1, ACC_READ, &v);                      \
        ((uint8_t *)(p))[get] = (uint8_t)v;                                                        \
    }
    GET(at, 4);
    for (unsigned i = 0; i < at[3]; i++) {
        GET(&file, sizeof(file));
        if (strcmp(file.name, name) != 0)
            continue;
        v = be16_get(file.select);
        bus_access(board_bus(b, BUS_PIO), FW_CFG_PORT_SEL, 2, ACC_WRITE, &v);
        n = be32_get(file.size);
        assert_true(n <= room);
        GET(to, n);
        return n;
    }
    return 0;
}

/* What has several faces is named by all of them, what cannot be started from by none. */
static void firmware_is_told_the_boot_order(void **state)
{
    static const char want[] = "/pci@i0cf8/ethernet@2/ethernet-phy@0\n"
                               "/pci@i0cf8/ide@2/drive@1/disk@0\n/pci@i0cf8/scsi@2/disk@0,0";
    static const struct board_boot order[] = {
        {"nic0", BOARD_BOOT_NETWORK}, {"disk7", BOARD_BOOT_CDROM}, {"disk1", BOARD_BOOT_DISK}};
    char path[] = "/tmp/test-fwcfg-XXXXXX", got[256];
    struct fake_irqs irqs;
    struct board_tables t = {.acpi = NULL};
    struct board_cfg c = {
        .cpus = 1, .memory = BOARD_RAM, .event = ignore, .firmware = true, .bios = path};
    struct board *b;
    struct pci_dev *vga;
    struct err e = {0};

    (void)state;
    b = bios_board(&c, path, &irqs);
    assert_int_equal(cmos(b, 0x3d), 0x32);
    vga = pci_at(board_env(b)->pci, 2 << 3);
    pci_boots(vga, "disk1", "ide", "drive@%x/disk@%x", 1, 0);
    pci_boots(vga, "disk0", "scsi", "disk@9,0");
    pci_boots(vga, "disk1", "scsi", "disk@0,0");
    pci_boots(vga, "nic0", "ethernet", "ethernet-phy@0");
    pci_boots(NULL, "disk7", "scsi", "disk@0,0");
    assert_int_equal(board_place(b, &t, &e), 0);
    assert_int_equal(board_file(b, "bootorder", got, sizeof(got)), 0);
    board_boot_order(b, order, ARRAY_SIZE(order));
    board_reset(b);
    assert_int_equal(board_place(b, &t, &e), 0);
    assert_int_equal(board_file(b, "bootorder", got, sizeof(got)), sizeof(want));
    assert_memory_equal(got, want, sizeof(want));
    assert_int_equal(cmos(b, 0x3d), 0x34);
    assert_int_equal(cmos(b, 0x38), 0x20);
    board_destroy(b);
    loop_destroy(c.loop);
    gmem_destroy(c.mem);
    assert_int_equal(fake_irqs_fini(&irqs), 0);
    unlink(path);
}

/* As under QEMU: what is no boot sector is not jumped into. */
static void a_floppy_without_a_signature_is_not_started(void **state)
{
    char path[] = "/tmp/test-fwcfg-XXXXXX";
    static const struct board_boot floppy[] = {{"floppy0", BOARD_BOOT_FLOPPY}};
    struct fake_irqs irqs;
    struct board_cfg c = {
        .cpus = 1, .memory = BOARD_RAM, .event = ignore, .firmware = true, .bios = path};
    struct board_tables t = {.acpi = NULL};
    struct board *b;
    struct err e = {0};

    (void)state;
    b = bios_board(&c, path, &irqs);
    assert_int_equal(cmos(b, 0x38) & 1, 0);
    board_boot_order(b, floppy, 1);
    assert_int_equal(board_place(b, &t, &e), 0);
    assert_int_equal(cmos(b, 0x38) & 1, 0);
    board_destroy(b);
    loop_destroy(c.loop);
    gmem_destroy(c.mem);
    assert_int_equal(fake_irqs_fini(&irqs), 0);
    unlink(path);
}

static void firmware_waits_for_its_menu_when_that_is_asked_for(void **state)
{
    (void)state;
    for (unsigned ms = 0; ms <= 5000; ms += 5000) {
        char path[] = "/tmp/test-fwcfg-XXXXXX", got[8] = {0};
        struct board_tables t = {.acpi = NULL};
        struct board_cfg c = {.cpus = 1,
                              .memory = BOARD_RAM,
                              .event = ignore,
                              .firmware = true,
                              .menu_ms = ms,
                              .bios = path};
        struct fake_irqs irqs;
        struct err e = {0};
        struct board *b = bios_board(&c, path, &irqs);
        uint64_t v = FW_CFG_BOOT_MENU;

        assert_int_equal(board_place(b, &t, &e), 0);
        assert_int_equal(board_file(b, "etc/show-boot-menu", got, sizeof(got)), 1);
        assert_int_equal(got[0], ms != 0);
        assert_int_equal(board_file(b, "etc/boot-menu-wait", got, sizeof(got)), ms ? 2 : 0);
        assert_int_equal(ms ? le16_at(got) : 0, ms);
        bus_access(board_bus(b, BUS_PIO), FW_CFG_PORT_SEL, 2, ACC_WRITE, &v);
        bus_access(board_bus(b, BUS_PIO), FW_CFG_PORT_DATA, 1, ACC_READ, &v);
        assert_int_equal(v, ms != 0);
        board_destroy(b);
        loop_destroy(c.loop);
        gmem_destroy(c.mem);
        assert_int_equal(fake_irqs_fini(&irqs), 0);
        unlink(path);
    }
}

static void what_is_no_bios_is_refused(void **state)
{
    struct fake_irqs irqs;
    struct board_cfg c = {
        .cpus = 1, .memory = BOARD_RAM, .event = ignore, .firmware = true, .bios = "/dev/null"};
    struct board *b;
    struct err e = {0};

    (void)state;
    fake_irqs_init(&irqs);
    assert_int_equal(gmem_create(&c.mem, &e), 0);
    assert_int_equal(loop_create_fake(&c.loop, &e), 0);
    c.irqs = &irqs.irqs;
    assert_int_equal(board_create(&c, &b, &e), -EINVAL);
    loop_destroy(c.loop);
    gmem_destroy(c.mem);
    assert_int_equal(fake_irqs_fini(&irqs), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_says_who_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_are_listed_and_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dma_selects_skips_and_reads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dma_that_cannot_be_done_is_an_error, set_up, tear_down),
        cmocka_unit_test(a_reset_brings_the_bios_back),
        cmocka_unit_test(firmware_is_told_of_memory_and_tables),
        cmocka_unit_test(firmware_is_told_the_boot_order),
        cmocka_unit_test(a_floppy_without_a_signature_is_not_started),
        cmocka_unit_test(firmware_waits_for_its_menu_when_that_is_asked_for),
        cmocka_unit_test(what_is_no_bios_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
