/* SPDX-License-Identifier: Apache-2.0 */
/* The flash chip as firmware drives it, in the right order and in wrong ones. */
#include "unit.h"

#include <string.h>

#include "abi/cfi.h"
#include "board/chipset/chipset.h"
#include "core/err.h"
#include "core/gmem.h"
#include "fakes/fake_env.h"

enum { SIZE = 16 << 10, RAM = 1 << 20 };
#define BASE UINT64_C(0xffc00000)

static struct fake_env f;
static struct device *dev;
static uint8_t array[SIZE] __attribute__((aligned(4096)));
static bool keeps;
static unsigned writes;

static bool write_array(void *arg, size_t off, const uint8_t *p, size_t n)
{
    assert_ptr_equal(arg, array);
    assert_true(range_in(off, n, SIZE));
    memcpy(array + off, p, n);
    writes++;
    return keeps;
}

static int set_up(void **state)
{
    struct pflash_cfg c = {
        .base = BASE, .bytes = array, .size = SIZE, .write = write_array, .arg = array};
    struct err e = {0};

    (void)state;
    memset(array, 0xff, sizeof(array));
    keeps = true;
    writes = 0;
    fake_env_create(&f, RAM);
    assert_int_equal(pflash_create(&f.env, &c, &dev, &e), 0);
    return 0;
}

static int tear_down(void **state)
{
    uint8_t b;

    (void)state;
    dev->ops->destroy(dev);
    assert_true(gmem_read(f.env.mem, BASE, &b, 1) < 0);
    fake_env_destroy(&f);
    return 0;
}

static void put(uint64_t off, uint8_t v)
{
    fake_env_write(&f, BASE + off, 1, v);
}

static uint8_t get(uint64_t off)
{
    return (uint8_t)fake_env_read(&f, BASE + off, 1);
}

/* Is the array memory, which costs a guest no exits? */
static bool is_memory(void)
{
    uint8_t b;

    return gmem_read(f.env.mem, BASE, &b, 1) == 0;
}

static void firmware_tells_it_from_ram_and_rom(void **state)
{
    (void)state;
    array[5] = 0x20;
    assert_true(is_memory());
    assert_true(gmem_write(f.env.mem, BASE, "x", 1) < 0);
    put(5, CFI_CLEAR_STATUS);
    assert_int_equal(get(5), 0x20);
    put(5, CFI_READ_STATUS);
    assert_false(is_memory());
    assert_int_equal(get(5), 0);
    put(5, CFI_READ_ARRAY);
    assert_true(is_memory());
    assert_int_equal(array[5], 0x20);
    assert_int_equal(writes, 0);
}

static void programming_clears_bits_alone(void **state)
{
    (void)state;
    put(7, CFI_PROGRAM_ALT);
    put(7, 0x5a);
    assert_int_equal(get(7), CFI_STATUS_READY);
    put(7, CFI_PROGRAM);
    put(7, 0xf0);
    put(7, CFI_READ_ARRAY);
    assert_int_equal(array[7], 0x50);
    assert_int_equal(array[6], 0xff);
    assert_int_equal(array[8], 0xff);
}

static void an_erasure_takes_a_block(void **state)
{
    (void)state;
    memset(array, 0, sizeof(array));
    put(PFLASH_BLOCK + 9, CFI_BLOCK_ERASE);
    put(PFLASH_BLOCK + 9, CFI_CONFIRM);
    assert_int_equal(get(0), CFI_STATUS_READY);
    assert_int_equal(array[PFLASH_BLOCK - 1], 0);
    assert_int_equal(array[PFLASH_BLOCK], 0xff);
    assert_int_equal(array[2 * PFLASH_BLOCK - 1], 0xff);
    assert_int_equal(array[2 * PFLASH_BLOCK], 0);
}

static void an_erasure_that_is_not_confirmed_is_an_error(void **state)
{
    (void)state;
    memset(array, 0, sizeof(array));
    put(0, CFI_BLOCK_ERASE);
    put(0, CFI_READ_ARRAY);
    assert_int_equal(get(0), CFI_STATUS_READY | CFI_STATUS_ERASE | CFI_STATUS_PROGRAM);
    put(0, CFI_CLEAR_STATUS);
    put(0, CFI_READ_STATUS);
    assert_int_equal(get(0), 0);
    assert_int_equal(array[0], 0);
    assert_int_equal(writes, 0);
}

static void a_buffer_is_written_at_its_confirmation(void **state)
{
    (void)state;
    put(0x100, CFI_WRITE_BUFFER);
    assert_int_equal(get(0x100), CFI_STATUS_READY);
    put(0x100, 2);
    put(0x102, 0x22);
    put(0x100, 0x00);
    put(0x1ff, 0xfe);
    assert_int_equal(writes, 0);
    put(0x100, CFI_CONFIRM);
    put(0x100, CFI_READ_ARRAY);
    assert_int_equal(array[0x100], 0x00);
    assert_int_equal(array[0x101], 0xff);
    assert_int_equal(array[0x102], 0x22);
    assert_int_equal(array[0x1ff], 0xfe);
}

static void a_buffer_that_leaves_its_piece_is_an_error(void **state)
{
    (void)state;
    put(0x180, CFI_WRITE_BUFFER);
    put(0x180, 0xff);
    put(0x180, 0x11);
    put(0x200, 0x22);
    assert_int_equal(get(0), CFI_STATUS_READY | CFI_STATUS_PROGRAM);
    put(0, CFI_CLEAR_STATUS);
    put(0x180, CFI_WRITE_BUFFER);
    put(0x180, 0);
    put(0x180, 0x11);
    put(0x180, CFI_READ_ARRAY); /* instead of the confirmation */
    assert_true(get(0) & CFI_STATUS_PROGRAM);
    assert_int_equal(writes, 0);
}

static void what_cannot_be_kept_is_told(void **state)
{
    (void)state;
    keeps = false;
    put(0, CFI_PROGRAM);
    put(0, 0);
    assert_int_equal(get(0), CFI_STATUS_READY | CFI_STATUS_PROGRAM);
    put(0, CFI_CLEAR_STATUS);
    put(0, CFI_BLOCK_ERASE);
    put(0, CFI_CONFIRM);
    assert_int_equal(get(0), CFI_STATUS_READY | CFI_STATUS_ERASE);
}

static void it_describes_itself(void **state)
{
    struct cfi_query q = {.qry = ""};

    (void)state;
    put(0x55, CFI_QUERY);
    for (size_t i = 0; i < sizeof(q); i++)
        ((uint8_t *)&q)[i] = get(CFI_QUERY_AT + i);
    assert_memory_equal(q.qry, "QRY", 3);
    assert_int_equal(le16_get(q.algorithm), CFI_ALGORITHM_INTEL);
    assert_int_equal(1 << q.size, SIZE);
    assert_int_equal((le16_get(q.blocks) + 1) * le16_get(q.block) * 256, SIZE);
    assert_int_equal(get(0), 0);
    assert_int_equal(get(SIZE - 1), 0);
    put(0, CFI_READ_ID);
    assert_int_equal(get(0), 0x89);
    put(0, CFI_LOCK_SETUP);
    put(0, CFI_CONFIRM);
    assert_int_equal(get(0), CFI_STATUS_READY);
}

static void wide_accesses_are_bytes_and_a_reset_shows_the_array(void **state)
{
    (void)state;
    array[8] = 0x34;
    array[9] = 0x12;
    put(0, CFI_READ_STATUS);
    assert_int_equal(fake_env_read(&f, BASE + 8, 4), 0x80808080);
    put(0, CFI_PROGRAM);
    dev->ops->reset(dev);
    assert_true(is_memory());
    put(0, 0x00); /* no command is pending, and this is none */
    assert_int_equal(array[0], 0xff);
    assert_int_equal(fake_env_read(&f, BASE + 8, 2), 0x1234);
}

int main(void)
{
#define FLASH(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        FLASH(firmware_tells_it_from_ram_and_rom),
        FLASH(programming_clears_bits_alone),
        FLASH(an_erasure_takes_a_block),
        FLASH(an_erasure_that_is_not_confirmed_is_an_error),
        FLASH(a_buffer_is_written_at_its_confirmation),
        FLASH(a_buffer_that_leaves_its_piece_is_an_error),
        FLASH(what_cannot_be_kept_is_told),
        FLASH(it_describes_itself),
        FLASH(wide_accesses_are_bytes_and_a_reset_shows_the_array),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
