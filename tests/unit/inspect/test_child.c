/* SPDX-License-Identifier: Apache-2.0 */
/* A look has its time of the processor, and is not ended because others have theirs. */
#include "unit.h"

#include <time.h>
#include <unistd.h>

#include "inspect/child.h"

static void wait_a_while(void *arg)
{
    struct timespec more_than_a_second = {1, 200000000};

    nanosleep(&more_than_a_second, NULL);
    *(int *)arg = 1;
}

static void wait_too_long(void *arg)
{
    struct timespec ten_seconds = {10, 0};

    nanosleep(&ten_seconds, NULL);
    *(int *)arg = 1;
}

static void work_for_ever(void *arg)
{
    for (volatile unsigned *n = arg;;)
        *n = *n & ~1U;
}

static void give_up(void *arg)
{
    (void)arg;
    _exit(3);
}

static void a_look_has_its_own_time(void **state)
{
    int *ended = child_share(sizeof(*ended));
    enum child_end end;

    (void)state;
    assert_non_null(ended);
    assert_int_equal(child_run(wait_a_while, ended, 1, &end), 0);
    assert_int_equal(end, CHILD_DONE);
    assert_int_equal(*ended, 1);
    *ended = 0;
    assert_int_equal(child_run(work_for_ever, ended, 1, &end), 0);
    assert_int_equal(end, CHILD_LATE);
    assert_int_equal(child_run(wait_too_long, ended, 1, &end), 0);
    assert_int_equal(end, CHILD_LATE);
    assert_int_equal(*ended, 0);
    assert_int_equal(child_run(give_up, ended, 1, &end), 0);
    assert_int_equal(end, CHILD_CRASHED);
    child_unshare(ended, sizeof(*ended));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_look_has_its_own_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
