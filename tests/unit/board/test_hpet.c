/* SPDX-License-Identifier: Apache-2.0 */
/* test_hpet.c - the event timer: its counter, one-shot and periodic comparators, lines and
 * messages. */
#include "unit.h"

#include "board/chipset/chipset.h"
#include "board/layout.h"
#include "core/err.h"
#include "core/loop.h"
#include "fakes/fake_env.h"
#include "fakes/fake_irqs.h"

enum { CONFIG = 0x10, STATUS = 0x20, COUNTER = 0xf0, T0 = 0x100, T1 = 0x120, LINE = 20 };

static struct fake_env f;
static struct device *hpet;

static uint64_t rd(unsigned reg)
{
    return fake_env_read(&f, LAYOUT_HPET + reg, 8);
}

static void wr(unsigned reg, uint64_t v)
{
    fake_env_write(&f, LAYOUT_HPET + reg, 8, v);
    fake_env_run(&f);
}

static int setup(void **state)
{
    struct err e;

    (void)state;
    fake_env_create(&f, 64 * KiB);
    assert_int_equal(hpet_create(&f.env, &hpet, &e), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hpet->ops->destroy(hpet);
    fake_env_destroy(&f);
    return 0;
}

static void the_counter_counts_while_it_is_enabled(void **state)
{
    (void)state;
    assert_int_equal(rd(0) >> 32, 10000000);
    assert_int_equal(rd(0) & 0xffff, 0x2201);
    fake_env_advance(&f, 1000);
    assert_int_equal(rd(COUNTER), 0);
    wr(COUNTER, 500);
    wr(CONFIG, 1);
    fake_env_advance(&f, 1000);
    assert_int_equal(rd(COUNTER), 600);
    assert_int_equal(fake_env_read(&f, LAYOUT_HPET + COUNTER, 4), 600);
    assert_int_equal(fake_env_read(&f, LAYOUT_HPET + COUNTER + 4, 4), 0);
    wr(COUNTER, 0); /* not while it runs */
    assert_int_equal(rd(COUNTER), 600);
    wr(CONFIG, 0);
    fake_env_advance(&f, 1000);
    assert_int_equal(rd(COUNTER), 600);
}

static void one_shot_by_a_level(void **state)
{
    (void)state;
    wr(T0, LINE << 9 | 2 | 4);
    wr(T0 + 8, 1000);
    wr(CONFIG, 1);
    fake_env_advance(&f, 9990);
    assert_false(fake_irqs_line(&f.irqs, LINE));
    fake_env_advance(&f, 20);
    assert_true(fake_irqs_line(&f.irqs, LINE));
    assert_int_equal(rd(STATUS), 1);
    wr(STATUS, 1);
    assert_false(fake_irqs_line(&f.irqs, LINE));
    wr(T0 + 8, rd(COUNTER) + 100);
    fake_env_advance(&f, 1001);
    assert_true(fake_irqs_line(&f.irqs, LINE));
}

static void a_line_that_two_share_stays_up_for_either(void **state)
{
    (void)state;
    wr(T0, LINE << 9 | 2 | 4);
    wr(T1, LINE << 9 | 2 | 4);
    wr(T0 + 8, 100);
    wr(T1 + 8, 100);
    wr(CONFIG, 1);
    fake_env_advance(&f, 2000);
    assert_int_equal(rd(STATUS), 3);
    wr(STATUS, 1);
    assert_true(fake_irqs_line(&f.irqs, LINE));
    wr(T0, (LINE + 1) << 9 | 2 | 4); /* it leaves, and the other one stays */
    assert_true(fake_irqs_line(&f.irqs, LINE));
    wr(T1, (LINE + 1) << 9 | 2 | 4);
    assert_false(fake_irqs_line(&f.irqs, LINE));
    assert_true(fake_irqs_line(&f.irqs, LINE + 1));
    wr(STATUS, 2);
    assert_false(fake_irqs_line(&f.irqs, LINE + 1));
}

static void periodic_by_edges(void **state)
{
    (void)state;
    wr(T1, LINE << 9 | 4 | 8 | 0x40);
    wr(T1 + 8, 10000); /* where it begins */
    wr(T1 + 8, 10000); /* and each 100 us from there */
    wr(CONFIG, 1);
    for (unsigned i = 1; i <= 5; i++) {
        fake_env_advance(&f, 100000);
        assert_int_equal(fake_irqs_rises(&f.irqs, LINE), i);
    }
    fake_env_advance(&f, 1000000); /* the host was busy */
    assert_int_equal(fake_irqs_rises(&f.irqs, LINE), 6);
    wr(CONFIG, 0);
    fake_env_advance(&f, 1000000);
    assert_int_equal(fake_irqs_rises(&f.irqs, LINE), 6);
}

/* A guest may ask for less time than the loop takes to hear of it. */
static void a_comparator_that_passes_unheard_matches(void **state)
{
    unsigned was;

    (void)state;
    wr(T0, LINE << 9 | 4);
    wr(T1, LINE << 9 | 4 | 0x100);
    wr(CONFIG, 1); /* both match at 0 */
    was = fake_irqs_rises(&f.irqs, LINE);
    fake_env_write(&f, LAYOUT_HPET + T0 + 8, 8, rd(COUNTER) + 200);
    loop_advance(f.env.loop, 50000);
    fake_env_run(&f);
    assert_int_equal(fake_irqs_rises(&f.irqs, LINE), was + 1);
    fake_env_write(&f, LAYOUT_HPET + T1 + 8, 8, rd(COUNTER) + 200);
    loop_advance(f.env.loop, 50000);
    fake_env_run(&f);
    assert_int_equal(fake_irqs_rises(&f.irqs, LINE), was + 2);
    /* One that lies behind when it is written comes round the next time only. */
    wr(T1 + 8, rd(COUNTER) - 100);
    fake_env_advance(&f, 1000000);
    assert_int_equal(fake_irqs_rises(&f.irqs, LINE), was + 2);
    fake_env_advance(&f, UINT64_C(10) << 32);
    assert_int_equal(fake_irqs_rises(&f.irqs, LINE), was + 3);
}

static void messages(void **state)
{
    (void)state;
    wr(T0 + 0x10, UINT64_C(0xfee00000) << 32 | 0x41);
    wr(T0, 0x4000 | 4);
    wr(T0 + 8, 10);
    wr(CONFIG, 1);
    fake_env_advance(&f, 200);
    assert_int_equal(fake_irqs_take(&f.irqs, 0x41), 1);
}

static void a_comparator_of_32_bits_wraps(void **state)
{
    (void)state;
    wr(COUNTER, UINT64_C(0x1fffffff0));
    wr(T0, LINE << 9 | 4 | 0x100);
    wr(T0 + 8, 0x10);
    wr(CONFIG, 1);
    fake_env_advance(&f, 310);
    assert_int_equal(fake_irqs_rises(&f.irqs, LINE), 0);
    fake_env_advance(&f, 20);
    assert_int_equal(fake_irqs_rises(&f.irqs, LINE), 1);
}

static void nonsense_does_nothing(void **state)
{
    (void)state;
    wr(T0, UINT64_MAX); /* a line that is none, and a message to nowhere */
    wr(T0 + 8, 0);
    wr(CONFIG, UINT64_MAX);
    wr(0x3f8, 1);
    fake_env_advance(&f, 100000);
    assert_int_equal(rd(0x3f8), 0);
    hpet->ops->reset(hpet);
    assert_int_equal(rd(CONFIG), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_counter_counts_while_it_is_enabled),
        TEST(one_shot_by_a_level),
        TEST(a_line_that_two_share_stays_up_for_either),
        TEST(periodic_by_edges),
        TEST(a_comparator_that_passes_unheard_matches),
        TEST(messages),
        TEST(a_comparator_of_32_bits_wraps),
        TEST(nonsense_does_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
