/* SPDX-License-Identifier: Apache-2.0 */
/* The clock: dates in every format, setting it, update-in-progress, all three interrupts. */
#include "unit.h"

#include "board/chipset/chipset.h"
#include "core/err.h"
#include "core/loop.h"
#include "fakes/fake_env.h"

#define SEC UINT64_C(1000000000)
/* 2026-11-21 13:59:58 UTC, a Saturday */
#define START UINT64_C(1795269598)

static struct fake_env f;
static struct device *rtc;
static uint64_t wall;

static uint64_t test_wall(void)
{
    return wall;
}

static int setup(void **state)
{
    const struct rtc_cfg c = {.wall = test_wall, .memory = UINT64_C(5) << 30, .cpus = 4};
    struct err e = {0};

    (void)state;
    wall = START * SEC;
    fake_env_create(&f, 1 << 20);
    assert_int_equal(rtc_create(&f.env, &c, &rtc, &e), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rtc->ops->destroy(rtc);
    fake_env_destroy(&f);
    return 0;
}

static uint8_t rd(uint8_t reg)
{
    fake_env_out(&f, 0x70, 1, reg);
    return (uint8_t)fake_env_in(&f, 0x71, 1);
}

static void wr(uint8_t reg, uint8_t v)
{
    fake_env_out(&f, 0x70, 1, reg);
    fake_env_out(&f, 0x71, 1, v);
}

static void pass(uint64_t ns)
{
    fake_env_run(&f);
    wall += ns;
    fake_env_advance(&f, ns);
}

static void the_date_reads_in_every_format(void **state)
{
    (void)state;
    assert_int_equal(rd(0), 0x58);
    assert_int_equal(rd(2), 0x59);
    assert_int_equal(rd(4), 0x13);
    assert_int_equal(rd(6), 0x07);
    assert_int_equal(rd(7), 0x21);
    assert_int_equal(rd(8), 0x11);
    assert_int_equal(rd(9), 0x26);
    assert_int_equal(rd(0x32), 0x20);
    wr(11, 0x06);
    assert_int_equal(rd(0), 58);
    assert_int_equal(rd(4), 13);
    wr(11, 0x00);
    assert_int_equal(rd(4), 0x81); /* 1 pm */
    pass(2 * SEC);
    assert_int_equal(rd(4), 0x82);
    assert_int_equal(rd(0), 0);
    assert_int_equal(rd(13), 0x80);
}

static void the_guest_can_set_it(void **state)
{
    (void)state;
    wr(11, 0x82);
    wr(0, 0x00);
    wr(2, 0x30);
    wr(4, 0x06);
    wr(7, 0x29);
    wr(8, 0x02);
    wr(9, 0x00);
    wr(0x32, 0x20);
    pass(100 * SEC);
    assert_int_equal(rd(2), 0x30); /* frozen */
    wr(11, 0x02);
    assert_int_equal(rd(6), 0x03); /* 29 February 2000 was a Tuesday */
    pass(61 * SEC);
    assert_int_equal(rd(0), 0x01);
    assert_int_equal(rd(2), 0x31);
    assert_int_equal(rd(7), 0x29);
    /* It survives a reset. */
    rtc->ops->reset(rtc);
    assert_int_equal(rd(2), 0x31);
    /* Nonsense is some date, and reads back as one. */
    for (unsigned i = 0; i < 10; i++)
        wr((uint8_t)i, 0xff);
    wr(0x32, 0xff);
    assert_true(rd(2) < 0x60);
    assert_true(rd(8) >= 1 && rd(8) <= 0x12);
}

static void update_in_progress_shows_before_each_second(void **state)
{
    (void)state;
    assert_int_equal(rd(10) & 0x80, 0);
    pass(SEC - 200000);
    assert_int_equal(rd(10) & 0x80, 0x80);
    pass(200000);
    assert_int_equal(rd(10) & 0x80, 0);
}

static void update_and_alarm_interrupts_come_in_time(void **state)
{
    (void)state;
    wr(11, 0x12);
    fake_env_run(&f);
    assert_false(fake_irqs_line(&f.irqs, 8));
    pass(SEC);
    assert_true(fake_irqs_line(&f.irqs, 8));
    assert_int_equal(rd(12), 0xd0); /* with the periodic flag, which nobody enabled */
    assert_false(fake_irqs_line(&f.irqs, 8));
    assert_int_equal(rd(12), 0);

    wr(1, 0x05);
    wr(3, 0x00);
    wr(5, 0xff); /* any hour */
    wr(11, 0x22);
    pass(5 * SEC);
    assert_false(fake_irqs_line(&f.irqs, 8));
    pass(1 * SEC);
    assert_true(fake_irqs_line(&f.irqs, 8));
    assert_int_equal(rd(12) & 0xa0, 0xa0);
    pass(3599 * SEC);
    assert_false(fake_irqs_line(&f.irqs, 8));
    pass(1 * SEC);
    assert_true(fake_irqs_line(&f.irqs, 8));
}

static void periodic_interrupts_keep_their_rate(void **state)
{
    unsigned n = 0;

    (void)state;
    wr(10, 0x26); /* 1024 Hz */
    wr(11, 0x42);
    for (unsigned i = 0; i < 10000; i++) {
        pass(100000);
        if (fake_irqs_line(&f.irqs, 8)) {
            n++;
            rd(12);
        }
    }
    assert_in_range(n, 1020, 1025);
    wr(10, 0x20);
    rd(12);
    pass(SEC);
    assert_false(fake_irqs_line(&f.irqs, 8));
}

/* The interrupts that a guest takes one after the other, without time for anything else. */
static unsigned at_once(void)
{
    unsigned n = 0;

    for (; n < 100 && fake_irqs_line(&f.irqs, 8); n++)
        assert_int_equal(rd(12) & 0xc0, 0xc0);
    return n;
}

/* Windows counts time by them: what a busy host is late with follows, one behind each that is in
 * time, for a guest that is slower than its clock must have time for more than these. */
static void late_periodic_interrupts_are_made_up_for(void **state)
{
    unsigned n;

    (void)state;
    wr(10, 0x2a); /* 64 Hz */
    wr(11, 0x42);
    rd(12);
    pass(SEC / 4);
    n = at_once();
    assert_int_equal(n, 2);
    for (int i = 0; i < 20; i++) {
        pass(SEC / 64);
        n += at_once();
    }
    assert_int_equal(n, 16 + 20);
    pass(60 * SEC); /* but not of a guest that has slept */
    n = at_once();
    for (int i = 0; i < 100; i++) {
        pass(SEC / 64);
        n += at_once();
    }
    assert_in_range(n, 64 + 100, 65 + 100);
    pass(SEC / 4);
    wr(11, 0x02);
    rd(12);
    wr(11, 0x42);
    assert_false(fake_irqs_line(&f.irqs, 8)); /* switched off, nothing is owed */
}

static void memory_sizes_are_told(void **state)
{
    (void)state;
    assert_int_equal(rd(0x15) | rd(0x16) << 8, 640);
    assert_int_equal(rd(0x17) | rd(0x18) << 8, 0xffff);
    assert_int_equal(rd(0x34) | rd(0x35) << 8, ((3u << 30) - (16u << 20)) >> 16);
    assert_int_equal(rd(0x5b) | rd(0x5c) << 8 | rd(0x5d) << 16, (2u << 30) >> 16);
    assert_int_equal(rd(0x5f), 3);
    wr(0x7f, 0x42);
    assert_int_equal(rd(0xff), 0x42); /* bit 7 is the NMI gate */
    assert_int_equal(fake_env_in(&f, 0x70, 1), 0xff);
    assert_int_equal(fake_env_in(&f, 0x70, 2), 0x42ff);
    rtc_cmos_set(rtc, 0x3d, 0x21);
    assert_int_equal(rd(0x3d), 0x21);
}

static void garbage_never_stops_the_clock(void **state)
{
    uint32_t seed = 7;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        seed = seed * 1664525 + 1013904223;
        fake_env_out(&f, 0x70 + (seed >> 9 & 1), 1 << (seed >> 10 & 3), seed >> 12);
        if (seed % 5 == 0)
            fake_env_in(&f, 0x70 + (seed >> 9 & 1), 1 << (seed >> 10 & 3));
        if (seed % 61 == 0)
            pass(seed);
    }
    wr(11, 0x82);
    wr(11, 0x02);
    wr(10, 0x26);
    assert_true(rd(0) < 0x60);
}

#define RTC_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RTC_TEST(the_date_reads_in_every_format),
        RTC_TEST(the_guest_can_set_it),
        RTC_TEST(update_in_progress_shows_before_each_second),
        RTC_TEST(update_and_alarm_interrupts_come_in_time),
        RTC_TEST(periodic_interrupts_keep_their_rate),
        RTC_TEST(late_periodic_interrupts_are_made_up_for),
        RTC_TEST(memory_sizes_are_told),
        RTC_TEST(garbage_never_stops_the_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
