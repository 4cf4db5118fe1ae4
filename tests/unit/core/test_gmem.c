/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory: bounds, all-or-nothing, regions that adjoin, read-only memory. */
#include "unit.h"

#include <errno.h>

#include "core/err.h"
#include "core/gmem.h"

static struct gmem *two_regions(uint8_t *rom)
{
    struct gmem *m;
    struct err e;

    assert_int_equal(gmem_create(&m, &e), 0);
    assert_int_equal(gmem_add_ram(m, 0, 2 * MiB, false, &e), 0);
    assert_int_equal(gmem_add(m, 2 * MiB, 4096, rom, GMEM_ROM, &e), 0);
    return m;
}

static void reads_and_writes_stop_at_the_end(void **state)
{
    static uint8_t rom[4096];
    struct gmem *m = two_regions(rom);
    uint8_t buf[16] = {1, 2, 3};

    (void)state;
    assert_int_equal(gmem_write(m, 100, buf, 3), 0);
    memset(buf, 0, sizeof(buf));
    assert_int_equal(gmem_read(m, 100, buf, 3), 0);
    assert_int_equal(buf[2], 3);
    assert_int_equal(gmem_read(m, 2 * MiB + 4090, buf, 7), -EFAULT);
    assert_int_equal(gmem_read(m, UINT64_MAX - 3, buf, 8), -EFAULT);
    assert_int_equal(gmem_read(m, 2 * MiB + 4096, buf, 0), 0);
    gmem_destroy(m);
}

static void a_refused_write_changes_nothing(void **state)
{
    static uint8_t rom[4096];
    struct gmem *m = two_regions(rom);
    uint8_t ones[8], back[4];

    (void)state;
    memset(ones, 0xff, sizeof(ones));
    assert_int_equal(gmem_write(m, 2 * MiB - 4, ones, 8), -EFAULT); /* runs into the ROM */
    assert_int_equal(gmem_read(m, 2 * MiB - 4, back, 4), 0);
    assert_int_equal(back[0] | back[3], 0);
    assert_int_equal(gmem_fill(m, 2 * MiB, 1, 1), -EFAULT);
    gmem_destroy(m);
}

static void map_joins_and_bounds(void **state)
{
    static uint8_t rom[4096];
    struct gmem *m = two_regions(rom);
    struct iovec iov[2];
    size_t n = 0;

    (void)state;
    assert_int_equal(gmem_map(m, 2 * MiB - 8, 16, false, iov, 2, &n), 0);
    assert_int_equal(n, 2);
    assert_int_equal(iov[1].iov_len, 8);
    assert_int_equal(gmem_map(m, 0, 8, false, iov, 2, &n), -E2BIG);
    assert_int_equal(n, 2);
    assert_int_equal(gmem_map(m, 2 * MiB, 8, true, iov, 2, &n), -EFAULT);
    assert_null(gmem_shared(m, 2 * MiB - 8, 16));
    assert_non_null(gmem_shared(m, 4096, 4096));
    gmem_destroy(m);
}

static void overlap_and_removal(void **state)
{
    static uint8_t rom[4096];
    struct gmem *m = two_regions(rom);
    struct err e;
    uint8_t b;

    (void)state;
    assert_int_equal(gmem_add(m, 2 * MiB, 4096, rom, GMEM_DEVICE, &e), -EEXIST);
    assert_int_equal(gmem_add(m, UINT64_MAX - 4095, 8192, rom, GMEM_DEVICE, &e), -EINVAL);
    gmem_remove(m, 2 * MiB);
    assert_int_equal(gmem_read(m, 2 * MiB, &b, 1), -EFAULT);
    assert_int_equal(gmem_add(m, 2 * MiB, 4096, rom, GMEM_DEVICE, &e), 0);
    assert_int_equal(gmem_ram_size(m), 2 * MiB);
    gmem_destroy(m);
}

static void ram_is_huge_page_aligned(void **state)
{
    struct gmem_region r;
    struct gmem *m;
    struct err e;

    (void)state;
    assert_int_equal(gmem_create(&m, &e), 0);
    assert_int_equal(gmem_add_ram(m, 4 * GiB + MiB, 4 * MiB, false, &e), 0);
    assert_true(gmem_region_at(m, 0, &r));
    assert_int_equal((uintptr_t)r.host % (2 * MiB), r.base % (2 * MiB));
    gmem_destroy(m);
}

static void a_pool_that_is_too_small_is_said_so(void **state)
{
    struct gmem *m;
    struct err e;

    (void)state;
    assert_int_equal(gmem_create(&m, &e), 0);
    assert_true(gmem_add_ram(m, 0, UINT64_C(1) << 42, true, &e) < 0);
    assert_int_equal(e.exit, EX_NO_HOST);
    assert_non_null(strstr(e.msg, "vm.nr_hugepages"));
    gmem_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_that_is_too_small_is_said_so),
        cmocka_unit_test(reads_and_writes_stop_at_the_end),
        cmocka_unit_test(a_refused_write_changes_nothing),
        cmocka_unit_test(map_joins_and_bounds),
        cmocka_unit_test(overlap_and_removal),
        cmocka_unit_test(ram_is_huge_page_aligned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
