/* SPDX-License-Identifier: Apache-2.0 */
/* What PAM attributes show below 1 MiB: RAM, RAM that cannot be written, firmware, nothing. */
#include "unit.h"

#include <sys/mman.h>

#include "board/bus.h"
#include "board/chipset/chipset.h"
#include "board/chipset/shadow.h"
#include "core/err.h"
#include "core/gmem.h"
#include "fakes/fake_env.h"
#include "fakes/fake_pci.h"

enum { HOST_BRIDGE = 0, PAM = 0x59, ROM_SIZE = 0x20000 };

static struct fake_env f;
static struct shadow shadow;
static uint8_t *ram, *rom;

static int setup(void **state)
{
    static struct bridges_cfg c;
    struct err e;

    (void)state;
    ram = mmap(NULL, SHADOW_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    rom = mmap(NULL, ROM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(ram, 0x11, SHADOW_SIZE);
    memset(rom, 0xee, ROM_SIZE);
    fake_env_create(&f, 512 * KiB);
    memset(&shadow, 0, sizeof(shadow));
    shadow_init(&shadow, f.env.mem, ram);
    shadow_rom(&shadow, rom, ROM_SIZE);
    c = (struct bridges_cfg){&shadow, false};
    return bridges_create(&f.env, &c, &e);
}

static int teardown(void **state)
{
    (void)state;
    pci_bus_destroy(f.env.pci);
    f.env.pci = NULL;
    shadow_fini(&shadow);
    fake_env_destroy(&f);
    munmap(ram, SHADOW_SIZE);
    munmap(rom, ROM_SIZE);
    return 0;
}

static uint8_t rd(uint32_t at)
{
    return (uint8_t)fake_env_read(&f, at, 1);
}

static bool is_memory(uint32_t at)
{
    uint8_t b;

    return gmem_read(f.env.mem, at, &b, 1) == 0;
}

static void at_first_firmware_is_seen_and_nothing_else(void **state)
{
    (void)state;
    assert_int_equal(rd(0xe0000), 0xee);
    assert_int_equal(rd(0xfffff), 0xee);
    assert_true(is_memory(0xf0000));
    assert_int_equal(rd(0xc0000), 0xff);
    assert_false(is_memory(0xdffff));
    fake_env_write(&f, 0xf0000, 1, 0x22);
    assert_int_equal(rd(0xf0000), 0xee);
    assert_int_equal(ram[0x30000], 0x11);
}

static void writes_can_go_behind_what_is_seen(void **state)
{
    (void)state;
    fake_pci_write(&f, HOST_BRIDGE, PAM, 1, 0x20); /* 0xf0000: write alone */
    fake_env_write(&f, 0xf1234, 2, 0x3344);
    assert_int_equal(rd(0xf1234), 0xee);
    assert_int_equal(ram[0x31234], 0x44);
    fake_pci_write(&f, HOST_BRIDGE, PAM, 1, 0x10); /* and now read alone */
    assert_int_equal(rd(0xf1235), 0x33);
    fake_env_write(&f, 0xf1234, 1, 0x55);
    assert_int_equal(rd(0xf1234), 0x44);
}

static void halves_of_a_register_are_16_kib_each(void **state)
{
    (void)state;
    fake_pci_write(&f, HOST_BRIDGE, PAM + 1, 1, 0x03); /* 0xc0000 RAM, 0xc4000 nothing */
    fake_env_write(&f, 0xc3fff, 1, 0x77);
    assert_int_equal(rd(0xc3fff), 0x77);
    assert_int_equal(rd(0xc4000), 0xff);
    fake_pci_write(&f, HOST_BRIDGE, PAM + 1, 1, 0x33);
    assert_int_equal(rd(0xc4000), 0x11);
    fake_pci_write(&f, HOST_BRIDGE, PAM + 1, 1, 0x31); /* the first cannot be written now */
    fake_env_write(&f, 0xc3fff, 1, 0x78);
    assert_int_equal(rd(0xc3fff), 0x77);
    fake_env_write(&f, 0xc4000, 1, 0x79);
    assert_int_equal(rd(0xc4000), 0x79);
    assert_int_equal(rd(0xc8000), 0xff);
}

static void a_reset_shows_firmware_again(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 7; i++)
        fake_pci_write(&f, HOST_BRIDGE, PAM + i, 1, 0x33);
    assert_int_equal(rd(0xf0000), 0x11);
    assert_int_equal(rd(0xe8000), 0x11);
    pci_bus_reset(f.env.pci);
    assert_int_equal(rd(0xf0000), 0xee);
    assert_int_equal(rd(0xe8000), 0xee);
    assert_false(is_memory(0xd0000));
}

static void every_attribute_everywhere_reads_as_it_says(void **state)
{
    (void)state;
    for (unsigned seed = 1, i = 0; i < 2000; i++) {
        seed = seed * 1103515245 + 12345;
        fake_pci_write(&f, HOST_BRIDGE, PAM + seed / 7 % 7, 1, seed >> 16 & 0xff);
        for (unsigned p = 0; p < SHADOW_PIECES; p++) {
            uint8_t wanted = shadow.attribute[p] & SHADOW_READ ? 0x11 : p >= 8 ? 0xee : 0xff;

            assert_int_equal(rd(0xc0000 + p * SHADOW_PIECE + 5), wanted);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(at_first_firmware_is_seen_and_nothing_else),  TEST(writes_can_go_behind_what_is_seen),
        TEST(halves_of_a_register_are_16_kib_each),        TEST(a_reset_shows_firmware_again),
        TEST(every_attribute_everywhere_reads_as_it_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
