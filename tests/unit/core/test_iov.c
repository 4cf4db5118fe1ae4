/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors: copies across pieces, empty pieces, cutting at and between borders. */
#include "unit.h"

#include "core/iov.h"

static char a[4], b[1], c[5];
static struct iovec v[4];

static void fresh(void)
{
    memcpy(a, "abcd", 4);
    memcpy(b, "e", 1);
    memcpy(c, "fghij", 5);
    v[0] = (struct iovec){a, 4};
    v[1] = (struct iovec){b, 0};
    v[2] = (struct iovec){b, 1};
    v[3] = (struct iovec){c, 5};
}

static void copies_cross_pieces(void **state)
{
    char buf[16] = "";

    (void)state;
    fresh();
    assert_int_equal(iov_len(v, 4), 10);
    assert_int_equal(iov_read(v, 4, 2, buf, 5), 5);
    assert_memory_equal(buf, "cdefg", 5);
    assert_int_equal(iov_read(v, 4, 8, buf, 5), 2);
    assert_int_equal(iov_read(v, 4, 10, buf, 5), 0);
    assert_int_equal(iov_write(v, 4, 3, "XYZ", 3), 3);
    assert_int_equal(a[3], 'X');
    assert_int_equal(b[0], 'Y');
    assert_int_equal(c[0], 'Z');
    assert_int_equal(iov_fill(v, 4, 4, '-', 100), 6);
    assert_memory_equal(c, "-----", 5);
}

static void cuts(void **state)
{
    struct iovec part[2];

    (void)state;
    fresh();
    assert_int_equal(iov_slice(v, 4, 3, 2, part, 2), 2);
    assert_int_equal(part[1].iov_len, 1);
    assert_int_equal(iov_slice(v, 4, 3, 3, part, 2), -1);
    assert_int_equal(iov_slice(v, 4, 9, 2, part, 2), -1);
    assert_int_equal(iov_skip(v, 4, 4), 2);
    assert_int_equal(iov_trim(v + 2, 2, 3), 2);
    assert_int_equal(v[3].iov_len, 2);
    assert_int_equal(iov_trim(v + 2, 2, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_cross_pieces),
        cmocka_unit_test(cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
