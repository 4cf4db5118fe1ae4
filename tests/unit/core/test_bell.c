/* SPDX-License-Identifier: Apache-2.0 */
/* A doorbell is heard once however often it rings, and who rings never waits. */
#include "unit.h"

#include "core/bell.h"

static void many_rings_are_heard_once(void **state)
{
    int fd = bell_make();

    (void)state;
    assert_true(fd >= 0);
    assert_false(bell_take(fd));
    bell_ring(fd);
    bell_ring(fd);
    assert_true(bell_take(fd));
    assert_false(bell_take(fd));
    close(fd);
}

static void a_full_one_has_rung(void **state)
{
    uint64_t most = UINT64_MAX - 1;
    int fd = bell_make();

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, &most, sizeof(most)), sizeof(most));
    bell_ring(fd);
    assert_true(bell_take(fd));
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_rings_are_heard_once),
        cmocka_unit_test(a_full_one_has_rung),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
