/* SPDX-License-Identifier: Apache-2.0 */
/* ACPI hot plug of PCI slots: what the guest's methods read, and what they may give up. */
#include "unit.h"

#include "board/chipset/chipset.h"
#include "core/err.h"
#include "fakes/fake_env.h"

enum { UP = 0xae00, DOWN = 0xae04, EJECT = 0xae08, REMOVABLE = 0xae0c, GPE = 0x620 };

static struct fake_env f;
static struct device *pm, *plug;
static unsigned ejected[32];

static void note(void *arg, enum board_event what, unsigned value, const char *text)
{
    (void)arg;
    (void)text;
    assert_int_equal(what, BOARD_EJECT);
    ejected[value]++;
}

static int setup(void **state)
{
    const struct board_signal sig = {note, NULL};
    struct err e = {0};

    (void)state;
    memset(ejected, 0, sizeof(ejected));
    fake_env_create(&f, 1 << 20);
    assert_int_equal(pm_create(&f.env, &sig, &pm, &e), 0);
    assert_int_equal(pciplug_create(&f.env, &sig, pm, &plug, &e), 0);
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

static void what_comes_is_told_once(void **state)
{
    (void)state;
    assert_int_equal(fake_env_in(&f, GPE, 2), 0);
    pciplug_came(plug, 7);
    assert_int_equal(fake_env_in(&f, GPE, 2), 2);
    assert_int_equal(fake_env_in(&f, UP, 4), 1 << 7);
    assert_int_equal(fake_env_in(&f, UP, 4), 0);
    assert_int_equal(fake_env_in(&f, REMOVABLE, 4), 1 << 7);
    assert_int_equal(fake_env_in(&f, DOWN, 4), 0);
}

static void what_is_asked_back_goes_when_the_guest_says_so(void **state)
{
    (void)state;
    pciplug_came(plug, 31);
    fake_env_out(&f, GPE, 2, 2);
    pciplug_ask(plug, 31);
    assert_int_equal(fake_env_in(&f, GPE, 2), 2);
    assert_int_equal(fake_env_in(&f, DOWN, 4), 0x80000000);
    assert_int_equal(fake_env_in(&f, DOWN, 4), 0x80000000);
    fake_env_out(&f, EJECT, 4, 0x80000000);
    assert_int_equal(ejected[31], 1);
    assert_int_equal(fake_env_in(&f, DOWN, 4), 0);
    fake_env_out(&f, EJECT, 4, 0x80000000); /* again: there is nothing */
    assert_int_equal(ejected[31], 1);
}

static void a_guest_gives_up_only_what_came(void **state)
{
    (void)state;
    pciplug_came(plug, 5);
    pciplug_ask(plug, 6);
    assert_int_equal(fake_env_in(&f, DOWN, 4), 0);
    fake_env_out(&f, EJECT, 4, 0xffffffff);
    for (unsigned i = 0; i < 32; i++)
        assert_int_equal(ejected[i], i == 5);
}

static void other_accesses_change_nothing(void **state)
{
    (void)state;
    pciplug_came(plug, 5);
    fake_env_out(&f, EJECT, 1, 0xff);
    fake_env_out(&f, UP, 4, 0xffffffff);
    fake_env_out(&f, DOWN, 4, 0xffffffff);
    fake_env_in(&f, UP, 2);
    assert_int_equal(fake_env_in(&f, UP, 4), 1 << 5);
    assert_int_equal(fake_env_in(&f, DOWN, 4), 0);
    assert_int_equal(ejected[5], 0);
    plug->ops->reset(plug);
    assert_int_equal(fake_env_in(&f, REMOVABLE, 4), 1 << 5);
}

int main(void)
{
#define PLUG(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        PLUG(what_comes_is_told_once),
        PLUG(what_is_asked_back_goes_when_the_guest_says_so),
        PLUG(a_guest_gives_up_only_what_came),
        PLUG(other_accesses_change_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
