/* SPDX-License-Identifier: Apache-2.0 */
/* The whole board: a PC comes up, its tables are sound, it resets and powers off as guests ask. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "abi/acpi.h"
#include "board/board.h"
#include "board/layout.h"
#include "board/pci.h"
#include "core/err.h"
#include "core/gmem.h"
#include "core/loop.h"
#include "fakes/fake_irqs.h"

static struct fake_irqs irqs;
static struct gmem *mem;
static struct loop *loop;
static struct board *board;
static unsigned events[16];
static unsigned last_value;
static bool pm_function; /* of boards that start */

static void note(void *arg, enum board_event what, unsigned value, const char *text)
{
    (void)arg;
    (void)text;
    events[what]++;
    last_value = value;
}

static void start(uint64_t memory, unsigned cpus, bool testdev)
{
    static const uint8_t genid[16] = {1};
    struct board_cfg c = {.cpus = cpus,
                          .cpus_max = cpus + 2,
                          .memory = memory,
                          .testdev = testdev,
                          .s3 = true,
                          .pci_plug = !getenv("HOSPES_TEST_Q35"),
                          .q35 = getenv("HOSPES_TEST_Q35") != NULL,
                          .genid = genid,
                          .pm_function = pm_function,
                          .event = note};
    struct board_tables t = {.genid_hid = "MSFT1002"};
    struct err e = {0};

    memset(events, 0, sizeof(events));
    fake_irqs_init(&irqs);
    assert_int_equal(gmem_create(&mem, &e), 0);
    assert_int_equal(loop_create_fake(&loop, &e), 0);
    c.mem = mem;
    c.loop = loop;
    c.irqs = &irqs.irqs;
    assert_int_equal(board_create(&c, &board, &e), 0);
    assert_int_equal(board_place(board, &t, &e), 0);
}

static void stop(void)
{
    board_destroy(board);
    loop_destroy(loop);
    gmem_destroy(mem);
    assert_int_equal(fake_irqs_fini(&irqs), 0);
}

static void out(uint16_t port, unsigned size, uint64_t v)
{
    bus_access(board_bus(board, BUS_PIO), port, size, ACC_WRITE, &v);
}

static uint64_t in(uint16_t port, unsigned size)
{
    uint64_t v = 0;

    bus_access(board_bus(board, BUS_PIO), port, size, ACC_READ, &v);
    return v;
}

static uint8_t sum(gpa_t at, size_t n)
{
    uint8_t s = 0, b;

    for (size_t i = 0; i < n; i++) {
        assert_int_equal(gmem_read(mem, at + i, &b, 1), 0);
        s = (uint8_t)(s + b);
    }
    return s;
}

static struct acpi_header header(gpa_t at)
{
    struct acpi_header h;

    assert_int_equal(gmem_read(mem, at, &h, sizeof(h)), 0);
    return h;
}

/* With HOSPES_TEST_TABLES set to a folder, the tables are left there for ACPI's own tools. */
static void keep_table(const char *name, gpa_t at, uint32_t len)
{
    const char *dir = getenv("HOSPES_TEST_TABLES");
    char path[4096];
    uint8_t *p;
    FILE *f;

    if (!dir)
        return;
    snprintf(path, sizeof(path), "%s/%.4s@%llx.dat", dir, name, (unsigned long long)at);
    p = malloc(len);
    assert_int_equal(gmem_read(mem, at, p, len), 0);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, len, f), len);
    fclose(f);
    free(p);
}

static void check_table(gpa_t at, const char *signature)
{
    struct acpi_header h = header(at);

    assert_memory_equal(h.signature, signature, 4);
    assert_int_equal(sum(at, le32_get(h.length)), 0);
    keep_table(signature, at, le32_get(h.length));
}

static void acpi_tables_hang_together(void **state)
{
    static const char *const name[] = {"FACP", "APIC", "MCFG"};
    struct acpi_rsdp r;
    struct acpi_fadt f;
    struct acpi_facs facs;
    gpa_t xsdt, rsdt;

    (void)state;
    start(64 * MiB, 3, false);
    assert_int_equal(gmem_read(mem, board_rsdp(board), &r, sizeof(r)), 0);
    assert_true(board_rsdp(board) >= 0xe0000 && board_rsdp(board) % 16 == 0);
    assert_memory_equal(r.signature, "RSD PTR ", 8);
    assert_int_equal(sum(board_rsdp(board), 20), 0);
    assert_int_equal(sum(board_rsdp(board), sizeof(r)), 0);
    xsdt = le64_get(r.xsdt_address);
    rsdt = le32_get(r.rsdt_address);
    check_table(xsdt, "XSDT");
    check_table(rsdt, "RSDT");
    for (unsigned i = 0; i < ARRAY_SIZE(name); i++) {
        uint64_t wide;
        uint32_t narrow;

        assert_int_equal(gmem_read(mem, xsdt + 36 + 8 * i, &wide, 8), 0);
        assert_int_equal(gmem_read(mem, rsdt + 36 + 4 * i, &narrow, 4), 0);
        assert_int_equal(wide, narrow);
        check_table(wide, name[i]);
        if (i == 0)
            assert_int_equal(gmem_read(mem, wide, &f, sizeof(f)), 0);
    }
    assert_int_equal(le64_get(f.x_dsdt), le32_get(f.dsdt));
    check_table(le64_get(f.x_dsdt), "DSDT");
    assert_int_equal(gmem_read(mem, le32_get(f.firmware_ctrl), &facs, sizeof(facs)), 0);
    assert_memory_equal(facs.signature, "FACS", 4);
    assert_int_equal(le32_get(f.firmware_ctrl) % 64, 0);
    keep_table("FACS", le32_get(f.firmware_ctrl), sizeof(facs));
    keep_table("RSDP", board_rsdp(board), sizeof(r));
    stop();
}

static void the_guest_can_switch_off_and_reset(void **state)
{
    (void)state;
    start(64 * MiB, 1, false);
    out(0x604, 2, 0x2000);
    assert_int_equal(events[BOARD_POWEROFF], 1);
    out(0xcf9, 1, 0x02);
    assert_int_equal(events[BOARD_RESET], 0);
    out(0xcf9, 1, 0x06);
    assert_int_equal(events[BOARD_RESET], 1);
    out(0x64, 1, 0xfe);
    assert_int_equal(events[BOARD_RESET], 2);
    out(0x92, 1, in(0x92, 1) | 1);
    assert_int_equal(events[BOARD_RESET], 3);
    assert_int_equal(in(0x505, 1), 3);
    out(0x505, 1, 1);
    assert_int_equal(events[BOARD_PANIC], 1);
    stop();
}

/* The firmware control structure, by the tables. */
static gpa_t facs_at(void)
{
    struct acpi_rsdp r;
    le32 first;
    struct acpi_fadt f;

    assert_int_equal(gmem_read(mem, board_rsdp(board), &r, sizeof(r)), 0);
    assert_int_equal(gmem_read(mem, le32_get(r.rsdt_address) + 36, &first, sizeof(first)), 0);
    assert_int_equal(gmem_read(mem, le32_get(first), &f, sizeof(f)), 0);
    return le32_get(f.firmware_ctrl);
}

static void a_sleeper_says_where_it_goes_on(void **state)
{
    le32 vector = le32_of(0x9a000);

    (void)state;
    start(64 * MiB, 1, false);
    assert_int_equal(board_waking_vector(board), 0);
    assert_int_equal(gmem_write(mem, facs_at() + offsetof(struct acpi_facs, firmware_waking_vector),
                                &vector, sizeof(vector)),
                     0);
    out(0x604, 2, 0x2400);
    assert_int_equal(events[BOARD_SLEEP], 1);
    assert_int_equal(board_button(board), 0);
    assert_int_equal(events[BOARD_WAKE], 1);
    board_wake(board);
    assert_int_equal(in(0x600, 2) & 0x8100, 0x8100);
    assert_int_equal(board_waking_vector(board), 0x9a000);
    assert_int_equal(gmem_fill(mem, board_rsdp(board), 0, 36), 0); /* tables that are no more */
    assert_int_equal(board_waking_vector(board), 0);
    stop();
}

static void the_button_needs_a_guest_that_listens(void **state)
{
    (void)state;
    start(64 * MiB, 1, false);
    assert_true(board_button(board) < 0);
    out(0xb2, 1, 0xf1);
    assert_int_equal(in(0x604, 2), 1);
    out(0x602, 2, 0x100);
    assert_int_equal(board_button(board), 0);
    assert_true(fake_irqs_line(&irqs, 9));
    assert_int_equal(in(0x600, 2) & 0x100, 0x100);
    out(0x600, 2, 0x100);
    assert_false(fake_irqs_line(&irqs, 9));
    board_reset(board);
    assert_true(board_button(board) < 0);
    stop();
}

static void the_memory_map_covers_all_ram_once(void **state)
{
    static const uint64_t sizes[] = {2 * MiB, 128 * MiB, 3 * GiB, 3 * GiB + 2 * MiB, 8 * GiB};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct board_range r[16];
        uint64_t ram = 0;
        size_t n;

        start(sizes[i], 1, false);
        n = board_ranges(board, r, ARRAY_SIZE(r));
        for (size_t k = 0; k < n; k++) {
            assert_true(r[k].size > 0);
            assert_true(k == 0 || r[k].base >= r[k - 1].base + r[k - 1].size);
            ram += r[k].type == BOARD_RANGE_RAM ? r[k].size : 0;
        }
        /* All but the ROM area and the last KiB of conventional memory. */
        assert_int_equal(ram, sizes[i] - 0x60000 - 0x400);
        assert_int_equal(gmem_ram_size(mem), sizes[i]);
        stop();
    }
}

static void a_reset_board_is_as_new(void **state)
{
    struct board_tables t = {.acpi = NULL};
    struct err e = {0};

    (void)state;
    start(64 * MiB, 1, false);
    out(0x3fb, 1, 0x80);
    out(0x70, 1, 0x0f);
    out(0x71, 1, 0x5a);
    out(0xcf8, 4, 0x80000000);
    assert_int_equal(in(0xcfc, 4), 0x12378086);
    board_reset(board);
    assert_int_equal(board_place(board, &t, &e), 0);
    assert_int_equal(in(0x3fb, 1), 0);
    assert_int_equal(in(0xcfc, 4), 0xffffffff);
    out(0x70, 1, 0x0f);
    assert_int_equal(in(0x71, 1), 0x5a); /* CMOS is on a battery */
    stop();
}

static void test_devices_answer(void **state)
{
    (void)state;
    start(64 * MiB, 1, true);
    out(0xf4, 4, 1);
    assert_int_equal(events[BOARD_TEST_EXIT], 1);
    assert_int_equal(last_value, 3);
    out(0xe0, 4, 0x12345678);
    assert_int_equal(in(0xe2, 1), 0x34);
    out(0x200b, 1, 1);
    assert_true(fake_irqs_line(&irqs, 11));
    out(0x200b, 1, 0);
    assert_false(fake_irqs_line(&irqs, 11));
    out(0xe4, 4, 0x123000);
    out(0xe4, 4, 0xfffff000);
    stop();
}

static uint32_t config(unsigned devfn, unsigned reg)
{
    out(0xcf8, 4, 0x80000000 | devfn << 8 | reg);
    return (uint32_t)in(0xcfc, 4);
}

static void firmware_finds_the_timer_by_pci(void **state)
{
    (void)state;
    if (getenv("HOSPES_TEST_Q35"))
        skip();
    start(64 * MiB, 1, false);
    assert_int_equal(config(1 << 3 | 3, 0), UINT32_MAX);
    stop();
    pm_function = true;
    start(64 * MiB, 1, false);
    pm_function = false;
    assert_int_equal(config(1 << 3 | 3, 0), 0x71138086);
    assert_int_equal(config(1 << 3 | 3, 0x40), 0x601);   /* PMBA, where the timer is at 0x08 */
    assert_int_equal(config(1 << 3 | 3, 0x80) & 1, 1);   /* PMREGMISC: the ports are open */
    assert_int_equal(config(1 << 3 | 3, 0x58), 1 << 25); /* DEVACTB: no SMI is waited for */
    stop();
}

static void too_little_memory_is_refused(void **state)
{
    struct board_cfg c = {.cpus = 1, .memory = 1 * MiB, .event = note};
    struct err e = {0};

    (void)state;
    assert_true(board_create(&c, &board, &e) < 0);
    assert_true(e.code > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acpi_tables_hang_together),
        cmocka_unit_test(the_guest_can_switch_off_and_reset),
        cmocka_unit_test(the_button_needs_a_guest_that_listens),
        cmocka_unit_test(a_sleeper_says_where_it_goes_on),
        cmocka_unit_test(the_memory_map_covers_all_ram_once),
        cmocka_unit_test(a_reset_board_is_as_new),
        cmocka_unit_test(test_devices_answer),
        cmocka_unit_test(firmware_finds_the_timer_by_pci),
        cmocka_unit_test(too_little_memory_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
