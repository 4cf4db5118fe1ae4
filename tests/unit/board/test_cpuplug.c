/* SPDX-License-Identifier: Apache-2.0 */
/* ACPI hot plug of processors: what the guest's methods read. */
#include "unit.h"

#include "board/chipset/chipset.h"
#include "core/err.h"
#include "fakes/fake_env.h"

enum { COUNT = 0xaf00, NEXT = 0xaf01, NONE = 0xff, GPE = 0x620, EVENT = 4 };

static struct fake_env f;
static struct device *pm, *plug;

static void note(void *arg, enum board_event what, unsigned value, const char *text)
{
    (void)arg;
    (void)what;
    (void)value;
    (void)text;
    fail();
}

static int setup(void **state)
{
    const struct board_signal sig = {note, NULL};
    struct err e = {0};

    (void)state;
    fake_env_create(&f, 1 << 20);
    assert_int_equal(pm_create(&f.env, &sig, &pm, &e), 0);
    assert_int_equal(cpuplug_create(&f.env, 2, pm, &plug, &e), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    plug->ops->destroy(plug);
    pm->ops->destroy(pm);
    fake_env_destroy(&f);
    return 0;
}

static void those_of_the_start_did_not_come(void **state)
{
    (void)state;
    assert_int_equal(fake_env_in(&f, COUNT, 1), 2);
    assert_int_equal(fake_env_in(&f, NEXT, 1), NONE);
    assert_int_equal(fake_env_in(&f, GPE, 2), 0);
}

static void each_that_comes_is_told_once(void **state)
{
    (void)state;
    cpuplug_came(plug, 4);
    assert_int_equal(fake_env_in(&f, GPE, 2), EVENT);
    assert_int_equal(fake_env_in(&f, COUNT, 1), 4);
    assert_int_equal(fake_env_in(&f, NEXT, 1), 2);
    assert_int_equal(fake_env_in(&f, NEXT, 1), 3);
    assert_int_equal(fake_env_in(&f, NEXT, 1), NONE);
    assert_int_equal(cpuplug_count(plug), 4);
}

static void after_a_reset_nothing_is_news(void **state)
{
    (void)state;
    cpuplug_came(plug, 3);
    plug->ops->reset(plug);
    assert_int_equal(fake_env_in(&f, COUNT, 1), 3);
    assert_int_equal(fake_env_in(&f, NEXT, 1), NONE);
}

static void nonsense_changes_nothing(void **state)
{
    (void)state;
    fake_env_out(&f, COUNT, 1, 9);
    assert_int_equal(fake_env_in(&f, COUNT, 1), 2);
    assert_int_equal(fake_env_in(&f, COUNT, 2), 0xffff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(those_of_the_start_did_not_come, setup, teardown),
        cmocka_unit_test_setup_teardown(each_that_comes_is_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(after_a_reset_nothing_is_news, setup, teardown),
        cmocka_unit_test_setup_teardown(nonsense_changes_nothing, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
