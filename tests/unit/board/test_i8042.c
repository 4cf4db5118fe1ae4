/* SPDX-License-Identifier: Apache-2.0 */
/* Keyboard controller, keyboard and mouse, as Linux and firmware probe and use them. */
#include "unit.h"

#include "board/chipset/chipset.h"
#include "core/err.h"
#include "fakes/fake_env.h"

static struct fake_env f;
static struct device *kbc;
static unsigned resets;

static void note(void *arg, enum board_event what, unsigned value, const char *text)
{
    assert_int_equal(what, BOARD_RESET);
    resets++;
}

static int setup(void **state)
{
    const struct board_signal sig = {note, NULL};
    struct err e = {0};

    (void)state;
    resets = 0;
    fake_env_create(&f, 1 << 20);
    assert_int_equal(i8042_create(&f.env, &sig, NULL, &kbc, &e), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kbc->ops->destroy(kbc);
    fake_env_destroy(&f);
    return 0;
}

static void command(uint8_t c)
{
    assert_int_equal(fake_env_in(&f, 0x64, 1) & 2, 0);
    fake_env_out(&f, 0x64, 1, c);
}

static void data(uint8_t v)
{
    fake_env_out(&f, 0x60, 1, v);
}

/* The next byte, which must be there, from the mouse or not. */
static uint8_t take(bool aux)
{
    uint64_t st = fake_env_in(&f, 0x64, 1);

    assert_int_equal(st & 1, 1);
    assert_int_equal((st & 0x20) != 0, aux);
    return (uint8_t)fake_env_in(&f, 0x60, 1);
}

static void empty(void)
{
    assert_int_equal(fake_env_in(&f, 0x64, 1) & 1, 0);
}

static void mouse(uint8_t v)
{
    command(0xd4);
    data(v);
}

/* As a BIOS leaves it: kernels that are started by one only unmask the line. */
static void keys_interrupt_who_sets_nothing_up(void **state)
{
    (void)state;
    assert_true(i8042_key(kbc, 0x1e, false, true));
    assert_true(fake_irqs_line(&f.irqs, 1));
    assert_int_equal(take(false), 0x1e);
    assert_false(fake_irqs_line(&f.irqs, 1));
}

static void the_controller_passes_its_tests(void **state)
{
    (void)state;
    command(0xaa);
    assert_int_equal(take(false), 0x55);
    command(0xab);
    assert_int_equal(take(false), 0x00);
    command(0xa9);
    assert_int_equal(take(false), 0x00);
    command(0x20);
    assert_int_equal(take(false), 0x45);
    command(0x60);
    data(0x47);
    command(0x20);
    assert_int_equal(take(false), 0x47);
    command(0xd3); /* the loop that tells a multiplexer from a plain port */
    data(0xf0);
    assert_int_equal(take(true), 0xf0);
    command(0xa7);
    command(0x20);
    assert_int_equal(take(false), 0x67);
    command(0xa8);
    command(0x7f);
    data(0x99);
    command(0x3f);
    assert_int_equal(take(false), 0x99);
    command(0xd0);
    assert_int_equal(take(false) & 3, 3);
    command(0x00);
    empty();
}

static void the_keyboard_answers_and_types(void **state)
{
    (void)state;
    command(0x60);
    data(0x45);
    data(0xff);
    assert_true(fake_irqs_line(&f.irqs, 1));
    assert_int_equal(take(false), 0xfa);
    assert_int_equal(take(false), 0xaa);
    assert_false(fake_irqs_line(&f.irqs, 1));
    assert_int_equal(fake_irqs_rises(&f.irqs, 1), 2);
    data(0xf2);
    assert_int_equal(take(false), 0xfa);
    assert_int_equal(take(false), 0xab);
    assert_int_equal(take(false), 0x41); /* 0x83 as the translation shows it */
    data(0xed);
    assert_int_equal(take(false), 0xfa);
    data(0x02);
    assert_int_equal(take(false), 0xfa);
    data(0x77);
    assert_int_equal(take(false), 0xfe);
    i8042_key(kbc, 0x1e, false, true);
    i8042_key(kbc, 0x1e, false, false);
    i8042_key(kbc, 0x48, true, true);
    i8042_key(kbc, 0x48, true, false);
    assert_int_equal(take(false), 0x1e);
    assert_int_equal(take(false), 0x9e);
    assert_int_equal(take(false), 0xe0);
    assert_int_equal(take(false), 0x48);
    assert_int_equal(take(false), 0xe0);
    assert_int_equal(take(false), 0xc8);
    empty();
    /* Untranslated: set 2 */
    command(0x60);
    data(0x05);
    i8042_key(kbc, 0x1e, false, true);
    i8042_key(kbc, 0x1e, false, false);
    assert_int_equal(take(false), 0x1c);
    assert_int_equal(take(false), 0xf0);
    assert_int_equal(take(false), 0x1c);
    data(0xf0);
    assert_int_equal(take(false), 0xfa);
    data(0x00);
    assert_int_equal(take(false), 0xfa);
    assert_int_equal(take(false), 0x02);
    data(0xf5);
    assert_int_equal(take(false), 0xfa);
    i8042_key(kbc, 0x1e, false, true);
    empty();
}

static void typing_ahead_is_bounded_and_answers_still_fit(void **state)
{
    unsigned n = 0;

    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        i8042_key(kbc, 0x1e, false, true);
    while (fake_env_in(&f, 0x64, 1) & 1) {
        fake_env_in(&f, 0x60, 1);
        n++;
    }
    assert_in_range(n, 8, 33);
    for (unsigned i = 0; i < 1000; i++)
        i8042_key(kbc, 0x1e, false, true);
    data(0xf4); /* empties the queue behind the byte already taken over */
    assert_int_equal(take(false), 0x1e);
    assert_int_equal(take(false), 0xfa);
    empty();
}

static void the_mouse_gets_its_wheel_and_moves(void **state)
{
    static const uint8_t knock[] = {0xf3, 200, 0xf3, 100, 0xf3, 80};

    (void)state;
    command(0x60);
    data(0x47);
    mouse(0xff);
    assert_true(fake_irqs_line(&f.irqs, 12));
    assert_int_equal(take(true), 0xfa);
    assert_int_equal(take(true), 0xaa);
    assert_int_equal(take(true), 0x00);
    mouse(0xf2);
    assert_int_equal(take(true), 0xfa);
    assert_int_equal(take(true), 0x00);
    for (unsigned i = 0; i < sizeof(knock); i++) {
        mouse(knock[i]);
        assert_int_equal(take(true), 0xfa);
    }
    mouse(0xf2);
    assert_int_equal(take(true), 0xfa);
    assert_int_equal(take(true), 0x03);
    i8042_mouse(kbc, 1, 1, 0, 0);
    empty(); /* not reporting yet */
    mouse(0xf4);
    assert_int_equal(take(true), 0xfa);
    i8042_mouse(kbc, 4, -3, 1, 1);
    assert_int_equal(take(true), 0x29);
    assert_int_equal(take(true), 5);
    assert_int_equal(take(true), 0xfe);
    assert_int_equal(take(true), 0xff);
    mouse(0xe9);
    assert_int_equal(take(true), 0xfa);
    assert_int_equal(take(true), 0x24);
    assert_int_equal(take(true), 2);
    assert_int_equal(take(true), 80);
    mouse(0x01);
    assert_int_equal(take(true), 0xfe);
    mouse(0xee);
    assert_int_equal(take(true), 0xfa);
    mouse(0x12);
    assert_int_equal(take(true), 0x12);
    mouse(0xec);
    assert_int_equal(take(true), 0xfa);
    empty();
}

static void a_slow_guest_gets_summed_motion(void **state)
{
    int x = 0;

    (void)state;
    mouse(0xf4);
    assert_int_equal(take(true), 0xfa);
    for (unsigned i = 0; i < 100; i++)
        i8042_mouse(kbc, 1, 0, 0, 0);
    while (fake_env_in(&f, 0x64, 1) & 1) {
        take(true);
        x += take(true);
        take(true);
        if (x < 100)
            i8042_mouse(kbc, 0, 0, 0, 0);
    }
    assert_int_equal(x, 100);
}

static void resets_are_pulsed_by_even_commands_only(void **state)
{
    (void)state;
    command(0xff);
    command(0xf1);
    assert_int_equal(resets, 0);
    command(0xfe);
    assert_int_equal(resets, 1);
    command(0xd1);
    data(0xdf);
    assert_int_equal(resets, 1);
    command(0xd1);
    data(0xde);
    assert_int_equal(resets, 2);
}

static void garbage_and_reset_in_the_middle(void **state)
{
    uint32_t seed = 3;

    (void)state;
    for (unsigned i = 0; i < 50000; i++) {
        seed = seed * 1664525 + 1013904223;
        fake_env_out(&f, seed & 0x100 ? 0x64 : 0x60, 1, seed >> 16);
        if (seed % 3 == 0)
            fake_env_in(&f, 0x60, 1 << (seed >> 12 & 1));
        if (seed % 11 == 0)
            i8042_key(kbc, (uint8_t)(seed >> 8), seed & 2, seed & 4);
        if (seed % 13 == 0)
            i8042_mouse(kbc, (int)seed, (int)(seed >> 3), (int)(seed >> 5), seed);
        if (seed % 997 == 0)
            kbc->ops->reset(kbc);
    }
    command(0xd4);
    kbc->ops->reset(kbc);
    empty();
    data(0xee);
    assert_int_equal(take(false), 0xee);
}

#define KBC_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KBC_TEST(the_controller_passes_its_tests),
        KBC_TEST(keys_interrupt_who_sets_nothing_up),
        KBC_TEST(the_keyboard_answers_and_types),
        KBC_TEST(typing_ahead_is_bounded_and_answers_still_fit),
        KBC_TEST(the_mouse_gets_its_wheel_and_moves),
        KBC_TEST(a_slow_guest_gets_summed_motion),
        KBC_TEST(resets_are_pulsed_by_even_commands_only),
        KBC_TEST(garbage_and_reset_in_the_middle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
