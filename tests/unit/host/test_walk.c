/* SPDX-License-Identifier: Apache-2.0 */
/* Page tables of 64-bit guests, as they are and as they should not be. */
#include "unit.h"

#include <errno.h>

#include "abi/bytes.h"
#include "core/err.h"
#include "host/walk.h"

enum { L5 = 0x1000, L4 = 0x2000, L3 = 0x3000, L2 = 0x4000, L1 = 0x5000, P = 1, LARGE = 0x80 };

static struct gmem *m;

static void put(gpa_t table, unsigned index, uint64_t entry)
{
    le64_put(gmem_shared(m, table + 8 * (gpa_t)index, 8), entry);
}

static int setup(void **state)
{
    struct err e;

    (void)state;
    assert_int_equal(gmem_create(&m, &e), 0);
    assert_int_equal(gmem_add_ram(m, 0, 2 * MiB, false, &e), 0);
    put(L5, 511, L4 | P);
    put(L4, 511, L3 | P | UINT64_C(1) << 63); /* no-execute */
    put(L3, 510, L2 | P);
    put(L3, 511, UINT64_C(0x140000000) | P | LARGE);
    put(L2, 1, 0x600000 | P | LARGE | 0x1000); /* PAT of a large page */
    put(L2, 2, L1 | P);
    put(L1, 3, 0x7000 | P | LARGE); /* PAT of a small page */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gmem_destroy(m);
    return 0;
}

static void pages_of_each_size_are_found(void **state)
{
    gpa_t at;

    (void)state;
    assert_int_equal(walk_long(m, L4 | 0x18, false, UINT64_C(0xffffffff80403456), &at), 0);
    assert_int_equal(at, 0x7456);
    assert_int_equal(walk_long(m, L4, false, UINT64_C(0xffffffff80212345), &at), 0);
    assert_int_equal(at, 0x612345);
    assert_int_equal(walk_long(m, L4, false, UINT64_C(0xffffffffc1234567), &at), 0);
    assert_int_equal(at, UINT64_C(0x141234567));
    assert_int_equal(walk_long(m, L5, true, UINT64_C(0xffffffff80403456), &at), 0);
    assert_int_equal(at, 0x7456);
}

static void what_is_not_mapped_is_refused(void **state)
{
    gpa_t at;

    (void)state;
    assert_int_equal(walk_long(m, L4, false, UINT64_C(0xffffffff80404000), &at), -EFAULT);
    assert_int_equal(walk_long(m, L4, false, UINT64_C(0xffffffff80000000), &at), -EFAULT);
    assert_int_equal(walk_long(m, L4, false, 0, &at), -EFAULT);
    assert_int_equal(walk_long(m, L4, false, UINT64_C(0x0000ffff80403456), &at), -EFAULT);
    assert_int_equal(walk_long(m, L5, true, UINT64_C(0x00ffffff80403456), &at), -EFAULT);
}

static void tables_outside_memory_are_refused(void **state)
{
    gpa_t at;

    (void)state;
    assert_int_equal(walk_long(m, UINT64_MAX, false, 0, &at), -EFAULT);
    put(L4, 0, UINT64_C(0x000ffffffffff000) | P);
    assert_int_equal(walk_long(m, L4, false, 0, &at), -EFAULT);
    put(L4, 1, L4 | P); /* a table that is its own */
    assert_int_equal(walk_long(m, L4, false, UINT64_C(1) << 39 | UINT64_C(1) << 30, &at), -EFAULT);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(pages_of_each_size_are_found),
        T(what_is_not_mapped_is_refused),
        T(tables_outside_memory_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
