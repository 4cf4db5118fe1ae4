/* SPDX-License-Identifier: Apache-2.0 */
/* The board as UEFI firmware finds it: flash, tables as files that it places itself, a kernel. */
#define _GNU_SOURCE
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "abi/acpi.h"
#include "abi/cfi.h"
#include "abi/fw_cfg.h"
#include "abi/linux_boot.h"
#include "board/board.h"
#include "core/err.h"
#include "core/gmem.h"
#include "core/loop.h"
#include "fakes/fake_irqs.h"

enum { CODE = 128 << 10, VARS = 16 << 10, BOARD_RAM = 128 << 20, ROOM = 64 << 10 };
#define TOP UINT64_C(0x100000000)
/* Where the test's firmware puts files. */
#define PLACE UINT32_C(0x3000000)

static char dir[] = "/tmp/test-uefi-XXXXXX", code[64], vars[64], nvram[64], kernel[64];
static struct fake_irqs irqs;
static struct board_cfg cfg;
static struct board_uefi uefi;
static struct board_tables said;
static struct board *b;

static void ignore(void *arg, enum board_event what, unsigned value, const char *text)
{
    (void)arg;
    (void)what;
    (void)value;
    (void)text;
}

static void write_file(const char *path, size_t size, size_t at, const void *p, size_t n)
{
    uint8_t *bytes = malloc(size);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_non_null(bytes);
    memset(bytes, 0xff, size);
    memcpy(bytes + at, p, n);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
    free(bytes);
}

static int begin(void **state)
{
    struct err e = {0};

    (void)state;
    memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
    assert_non_null(mkdtemp(dir));
    snprintf(code, sizeof(code), "%s/code", dir);
    snprintf(vars, sizeof(vars), "%s/vars", dir);
    snprintf(nvram, sizeof(nvram), "%s/nvram", dir);
    snprintf(kernel, sizeof(kernel), "%s/kernel", dir);
    write_file(code, CODE, 0x28, "_FVH", 4);
    write_file(vars, VARS, 0x28, "_FVH", 4);
    fake_irqs_init(&irqs);
    uefi = (struct board_uefi){.code = code, .vars = vars, .nvram = nvram};
    cfg = (struct board_cfg){.cpus = 2,
                             .memory = BOARD_RAM,
                             .event = ignore,
                             .firmware = true,
                             .uefi = &uefi,
                             .irqs = &irqs.irqs};
    assert_int_equal(gmem_create(&cfg.mem, &e), 0);
    assert_int_equal(loop_create_fake(&cfg.loop, &e), 0);
    b = NULL;
    return 0;
}

static void make(void)
{
    struct err e = {0};

    assert_int_equal(board_create(&cfg, &b, &e), 0);
    assert_int_equal(board_place(b, &said, &e), 0);
}

static int end(void **state)
{
    char command[96];

    (void)state;
    board_destroy(b);
    loop_destroy(cfg.loop);
    gmem_destroy(cfg.mem);
    assert_int_equal(fake_irqs_fini(&irqs), 0);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static void out(uint16_t port, unsigned size, uint64_t v)
{
    bus_access(board_bus(b, BUS_PIO), port, size, ACC_WRITE, &v);
}

static uint64_t in(uint16_t port, unsigned size)
{
    uint64_t v = 0;

    bus_access(board_bus(b, BUS_PIO), port, size, ACC_READ, &v);
    return v;
}

static void config(unsigned devfn, unsigned reg, uint32_t v)
{
    out(0xcf8, 4, UINT32_C(0x80000000) | devfn << 8 | reg);
    out(0xcfc, 4, v);
}

static uint32_t config_of(unsigned devfn, unsigned reg)
{
    out(0xcf8, 4, UINT32_C(0x80000000) | devfn << 8 | reg);
    return (uint32_t)in(0xcfc, 4);
}

static void read_item(uint16_t key, void *p, size_t n)
{
    out(FW_CFG_PORT_SEL, 2, key);
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)p)[i] = (uint8_t)in(FW_CFG_PORT_DATA, 1);
}

/* Reads a file whole; its size. */
static size_t read_file(const char *name, uint8_t *p)
{
    struct fw_cfg_file f = {.size = be32_of(0)};
    be32 count;

    read_item(FW_CFG_FILE_DIR, &count, sizeof(count));
    for (uint32_t i = 0; i < be32_get(count); i++) {
        for (size_t k = 0; k < sizeof(f); k++)
            ((uint8_t *)&f)[k] = (uint8_t)in(FW_CFG_PORT_DATA, 1);
        if (strcmp(f.name, name) == 0)
            break;
    }
    assert_string_equal(f.name, name);
    assert_in_range(be32_get(f.size), 1, ROOM);
    read_item(be16_get(f.select), p, be32_get(f.size));
    return be32_get(f.size);
}

/* --- firmware's half of the script --- */

struct placed {
    char name[FW_CFG_MAX_FILE_PATH];
    uint8_t bytes[ROOM];
    size_t len;
    uint32_t at;
};

static struct placed placed[2];
static size_t placed_count;

static struct placed *placed_file(const char *name)
{
    for (size_t i = 0; i < placed_count; i++) {
        if (strcmp(placed[i].name, name) == 0)
            return &placed[i];
    }
    fail_msg("%s is not placed", name);
    return &placed[0];
}

static void do_allocate(const struct fw_cfg_allocate *a)
{
    struct placed *p = &placed[placed_count];

    assert_true(placed_count < 2);
    memcpy(p->name, a->file, sizeof(p->name));
    p->len = read_file(a->file, p->bytes);
    p->at = PLACE + (uint32_t)placed_count * 0x100000;
    assert_int_equal(p->at % le32_get(a->align), 0);
    placed_count++;
}

static void do_pointer(const struct fw_cfg_add_pointer *a)
{
    struct placed *from = placed_file(a->file), *to = placed_file(a->pointee);
    size_t at = le32_get(a->offset);
    uint64_t v = 0;

    assert_true(range_in(at, a->size, from->len));
    memcpy(&v, from->bytes + at, a->size);
    assert_true(v < to->len);
    v += to->at;
    memcpy(from->bytes + at, &v, a->size);
}

static void do_checksum(const struct fw_cfg_add_checksum *a)
{
    struct placed *f = placed_file(a->file);
    size_t at = le32_get(a->offset), start = le32_get(a->start), len = le32_get(a->length);
    uint8_t sum = 0;

    assert_true(idx_in(at, f->len, &at) && range_in(start, len, f->len));
    assert_int_equal(f->bytes[at], 0);
    for (size_t i = 0; i < len; i++)
        sum += f->bytes[start + i];
    f->bytes[at] = (uint8_t)-sum;
}

static void do_script(void)
{
    static uint8_t script[ROOM];
    size_t n;

    placed_count = 0;
    n = read_file("etc/table-loader", script);
    assert_int_equal(n % 128, 0);
    for (size_t at = 0; at < n; at += 128) {
        switch (le32_get(*(le32 *)(script + at))) {
        case LOADER_ALLOCATE:
            do_allocate((const struct fw_cfg_allocate *)(script + at));
            break;
        case LOADER_ADD_POINTER:
            do_pointer((const struct fw_cfg_add_pointer *)(script + at));
            break;
        case LOADER_ADD_CHECKSUM:
            do_checksum((const struct fw_cfg_add_checksum *)(script + at));
            break;
        default:
            fail_msg("an unknown step");
        }
    }
}

/* A table by its address; its bytes sum to zero. */
static const struct acpi_header *table(uint64_t at, const char *signature)
{
    struct placed *f = placed_file("etc/acpi/tables");
    const struct acpi_header *h = (const struct acpi_header *)(f->bytes + (at - f->at));
    uint8_t sum = 0;

    assert_true(range_in(at - f->at, sizeof(*h), f->len));
    assert_memory_equal(h->signature, signature, 4);
    assert_true(range_in(at - f->at, le32_get(h->length), f->len));
    for (size_t i = 0; i < le32_get(h->length) && strcmp(signature, "FACS") != 0; i++)
        sum += ((const uint8_t *)h)[i];
    assert_int_equal(sum, 0);
    return h;
}

static const struct acpi_header *dsdt(void)
{
    const struct acpi_rsdp *r = (const struct acpi_rsdp *)placed_file("etc/acpi/rsdp")->bytes;
    const uint8_t *xsdt = (const uint8_t *)table(le64_get(r->xsdt_address), "XSDT");
    const struct acpi_fadt *f = (const struct acpi_fadt *)table(
        le64_get(*(const le64 *)(xsdt + sizeof(struct acpi_header))), "FACP");

    table(le32_get(r->rsdt_address), "RSDT");
    table(le32_get(f->firmware_ctrl), "FACS");
    assert_int_equal(le32_get(f->dsdt), le64_get(f->x_dsdt));
    return table(le32_get(f->dsdt), "DSDT");
}

/* --- tests --- */

static void code_and_variables_end_at_4_gib(void **state)
{
    uint64_t v = CFI_READ_STATUS;
    uint8_t sig[4];

    (void)state;
    make();
    assert_int_equal(gmem_read(cfg.mem, TOP - CODE + 0x28, sig, 4), 0);
    assert_memory_equal(sig, "_FVH", 4);
    assert_true(gmem_write(cfg.mem, TOP - CODE, "x", 1) < 0);
    assert_int_equal(gmem_read(cfg.mem, TOP - CODE - VARS + 0x28, sig, 4), 0);
    assert_memory_equal(sig, "_FVH", 4);
    bus_access(board_bus(b, BUS_MMIO), TOP - CODE - VARS, 1, ACC_WRITE, &v);
    bus_access(board_bus(b, BUS_MMIO), TOP - CODE - VARS, 1, ACC_READ, &v);
    assert_int_equal(v, CFI_STATUS_READY);
}

static void a_variable_is_in_the_file(void **state)
{
    const uint8_t command[] = {CFI_PROGRAM, 0x5a};
    uint8_t byte = 0;
    int fd;

    (void)state;
    make();
    for (size_t i = 0; i < sizeof(command); i++) {
        uint64_t v = command[i];

        bus_access(board_bus(b, BUS_MMIO), TOP - CODE - 1, 1, ACC_WRITE, &v);
    }
    board_destroy(b);
    b = NULL;
    fd = open(nvram, O_RDONLY);
    assert_int_equal(pread(fd, &byte, 1, VARS - 1), 1);
    close(fd);
    assert_int_equal(byte, 0x5a);
}

static void tables_can_be_placed_anywhere(void **state)
{
    (void)state;
    make();
    do_script();
    dsdt();
    board_reset(b);
    do_script();
    dsdt();
}

/* The first memory range is all of RAM below 4 GiB: nothing is kept from firmware. */
static void no_memory_is_kept_from_it(void **state)
{
    struct board_range range[16];
    size_t n;

    (void)state;
    make();
    n = board_ranges(b, range, 16);
    assert_true(n >= 1);
    assert_int_equal(range[0].base, 0);
    assert_int_equal(range[0].size, BOARD_RAM);
    for (size_t i = 1; i < n; i++)
        assert_true(range[i].type != BOARD_RANGE_RAM && range[i].size);
}

static bool has(const struct acpi_header *h, uint32_t v)
{
    return memmem(h, le32_get(h->length), &v, sizeof(v)) != NULL;
}

static void tables_tell_where_it_put_pci_memory(void **state)
{
    unsigned vga = 2 << 3;

    (void)state;
    make();
    do_script();
    assert_false(has(dsdt(), 0x90000000));
    assert_int_equal(config_of(vga, 0) & 0xffff, 0x1234);
    config(vga, 0x10, 0x90000000);
    do_script();
    assert_true(has(dsdt(), 0x90000000));
}

static uint8_t sum(const void *p, size_t n)
{
    uint8_t all = 0;

    for (size_t i = 0; i < n; i++)
        all = (uint8_t)(all + ((const uint8_t *)p)[i]);
    return all;
}

/* The root pointer below 1 MiB as whoever knows no UEFI searches for it; NULL: there is none. */
static const struct acpi_rsdp *low_root(void)
{
    static uint8_t rom[128 << 10];

    assert_int_equal(gmem_read(cfg.mem, 0xe0000, rom, sizeof(rom)), 0);
    for (size_t at = 0; at < sizeof(rom); at += 16) {
        if (memcmp(rom + at, "RSD PTR ", 8) == 0 && sum(rom + at, sizeof(struct acpi_rsdp)) == 0)
            return (const struct acpi_rsdp *)(rom + at);
    }
    return NULL;
}

/* Windows' drivers for Xen look for processors there. */
static void tables_are_below_1_mib_where_they_are_wanted(void **state)
{
    uint8_t bytes[4096];
    const struct acpi_header *xsdt = (const struct acpi_header *)bytes;
    uint64_t to;
    char name[4];
    bool found = false;

    (void)state;
    cfg.low_acpi = true;
    make();
    do_script();
    assert_non_null(low_root());
    to = le64_get(low_root()->xsdt_address);
    assert_in_range(to, 0xe0000, 0xeffff);
    assert_int_equal(gmem_read(cfg.mem, to, bytes, sizeof(bytes)), 0);
    assert_memory_equal(xsdt->signature, "XSDT", 4);
    assert_int_equal(sum(bytes, le32_get(xsdt->length)), 0);
    for (size_t at = sizeof(*xsdt); at < le32_get(xsdt->length); at += 8) {
        memcpy(&to, bytes + at, 8);
        assert_int_equal(gmem_read(cfg.mem, to, name, sizeof(name)), 0);
        found = found || memcmp(name, "APIC", 4) == 0;
    }
    assert_true(found);
    assert_int_equal(gmem_read(cfg.mem, 0xf0000, bytes, sizeof(bytes)), 0);
    assert_int_equal(bytes[0], 0xff); /* the firmware's end is behind them */
}

static void firmware_alone_is_below_1_mib(void **state)
{
    (void)state;
    make();
    do_script();
    assert_null(low_root());
}

static void power_management_is_found_and_interrupts_stay(void **state)
{
    (void)state;
    make();
    assert_int_equal(config_of(1 << 3 | 3, 0), 0x71138086);
    assert_int_equal(config_of(1 << 3 | 3, 0x40), 0x601);
    assert_int_equal(config_of(1 << 3 | 3, 0x80) & 1, 1);
    assert_true(config_of(1 << 3, 0x0c) & 0x800000);
    assert_int_equal(config_of(1 << 3, 0x60), 0x0b0b0a0a);
}

static void a_kernel_comes_in_two_parts(void **state)
{
    enum { SECTS = 3, SIZE = 8192 };
    struct linux_setup_header h = {.setup_sects = SECTS, .header = le32_of(LINUX_HEADER_MAGIC)};
    uint8_t image[0x300] = {'M', 'Z'}, got[4];
    le32 size;

    (void)state;
    memcpy(image + LINUX_HEADER_AT, &h, sizeof(h));
    write_file(kernel, SIZE, 0, image, sizeof(image));
    uefi.kernel = kernel;
    uefi.append = "quiet";
    make();
    read_item(FW_CFG_SETUP_SIZE, &size, 4);
    assert_int_equal(le32_get(size), (SECTS + 1) * 512);
    read_item(FW_CFG_KERNEL_SIZE, &size, 4);
    assert_int_equal(le32_get(size), SIZE - (SECTS + 1) * 512);
    read_item(FW_CFG_SETUP_DATA, got, 2);
    assert_memory_equal(got, "MZ", 2);
    read_item(FW_CFG_CMDLINE_SIZE, &size, 4);
    assert_int_equal(le32_get(size), 6);
    read_item(FW_CFG_INITRD_SIZE, &size, 4);
    assert_int_equal(le32_get(size), 0);
}

static void refused(int rc, enum exit_code exit)
{
    struct err e = {0};

    assert_int_equal(board_create(&cfg, &b, &e), rc);
    assert_int_equal(e.exit, exit);
    b = NULL;
}

static void bad_files_are_refused(void **state)
{
    (void)state;
    uefi.code = vars;
    refused(-EINVAL, EX_BAD_INPUT);
    uefi.code = "/dev/null";
    refused(-EINVAL, EX_BAD_INPUT);
    uefi.code = "/nonexistent";
    refused(-ENOENT, EX_MISSING);
    uefi.code = NULL;
    refused(-EINVAL, EX_USAGE_);
    uefi.code = code;
    uefi.secure = true;
    refused(-EINVAL, EX_USAGE_);
    uefi.secure = false;
    uefi.kernel = vars;
    refused(-EINVAL, EX_BAD_INPUT);
}

int main(void)
{
#define UEFI(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        UEFI(code_and_variables_end_at_4_gib),
        UEFI(a_variable_is_in_the_file),
        UEFI(tables_can_be_placed_anywhere),
        UEFI(no_memory_is_kept_from_it),
        UEFI(tables_tell_where_it_put_pci_memory),
        UEFI(tables_are_below_1_mib_where_they_are_wanted),
        UEFI(firmware_alone_is_below_1_mib),
        UEFI(power_management_is_found_and_interrupts_stay),
        UEFI(a_kernel_comes_in_two_parts),
        UEFI(bad_files_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
