/* SPDX-License-Identifier: Apache-2.0 */
/* ACPI's fixed hardware: status and enable bits, the timer's rate and overflow, events, sleep. */
#include "unit.h"

#include "board/chipset/chipset.h"
#include "core/err.h"
#include "fakes/fake_env.h"

#define SEC UINT64_C(1000000000)

enum { EVT = 0x600, EN = 0x602, CNT = 0x604, TMR = 0x608, GPE = 0x620, GPE_EN = 0x622, SCI = 9 };

static struct fake_env f;
static struct device *pm;
static unsigned events[8];

static void note(void *arg, enum board_event what, unsigned value, const char *text)
{
    events[what]++;
}

static int setup(void **state)
{
    const struct board_signal sig = {note, NULL};
    struct err e = {0};

    (void)state;
    memset(events, 0, sizeof(events));
    fake_env_create(&f, 1 << 20);
    assert_int_equal(pm_create(&f.env, &sig, &pm, &e), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pm->ops->destroy(pm);
    fake_env_destroy(&f);
    return 0;
}

static void the_timer_keeps_its_rate(void **state)
{
    uint32_t from;

    (void)state;
    from = (uint32_t)fake_env_in(&f, TMR, 4);
    fake_env_advance(&f, SEC);
    assert_int_equal((uint32_t)fake_env_in(&f, TMR, 4) - from, 3579545);
    fake_env_out(&f, TMR, 4, 0);
    assert_int_equal((uint32_t)fake_env_in(&f, TMR, 4) - from, 3579545);
    assert_int_equal(fake_env_in(&f, TMR, 2), (from + 3579545) & 0xffff);
    assert_int_equal(fake_env_in(&f, TMR + 3, 1), (from + 3579545) >> 24);
}

static void the_timers_overflow_interrupts(void **state)
{
    (void)state;
    fake_env_out(&f, 0xb2, 1, 0xf1);
    fake_env_out(&f, EN, 2, 0x0001);
    fake_env_run(&f);
    fake_env_advance(&f, 599 * SEC);
    assert_false(fake_irqs_line(&f.irqs, SCI));
    fake_env_advance(&f, SEC);
    assert_true(fake_irqs_line(&f.irqs, SCI));
    fake_env_out(&f, EVT, 2, 0x0001);
    assert_false(fake_irqs_line(&f.irqs, SCI));
    fake_env_advance(&f, 600 * SEC);
    assert_true(fake_irqs_line(&f.irqs, SCI));
    /* Without the interrupt, the status tells who looks. */
    fake_env_out(&f, EVT, 2, 0x0001);
    fake_env_out(&f, EN, 2, 0);
    fake_env_run(&f);
    fake_env_advance(&f, 600 * SEC);
    assert_false(fake_irqs_line(&f.irqs, SCI));
    assert_int_equal(fake_env_in(&f, EVT, 2) & 1, 1);
}

static void status_bits_clear_by_ones_and_byte_by_byte(void **state)
{
    (void)state;
    fake_env_out(&f, 0xb2, 1, 0xf1);
    fake_env_out(&f, EN + 1, 1, 0x01);
    assert_int_equal(fake_env_in(&f, EN, 2), 0x0100);
    assert_int_equal(pm_button(pm), 0);
    fake_env_out(&f, EVT, 1, 0xff);
    assert_int_equal(fake_env_in(&f, EVT, 2), 0x0100);
    fake_env_out(&f, EVT + 1, 1, 0xfe);
    assert_int_equal(fake_env_in(&f, EVT, 2), 0x0100);
    fake_env_out(&f, EVT, 4, 0x0100ffff); /* both halves at once */
    assert_int_equal(fake_env_in(&f, EVT, 4), 0x01000000);
    fake_env_out(&f, EN, 2, 0xffff);
    assert_int_equal(fake_env_in(&f, EN, 2), 0x0721);
}

static void events_reach_the_guest_in_acpi_mode_only(void **state)
{
    (void)state;
    fake_env_out(&f, GPE_EN, 2, 0x0002);
    pm_gpe(pm, 1);
    assert_false(fake_irqs_line(&f.irqs, SCI));
    fake_env_out(&f, 0xb2, 1, 0xf1);
    assert_true(fake_irqs_line(&f.irqs, SCI));
    fake_env_out(&f, GPE, 1, 0x02);
    assert_false(fake_irqs_line(&f.irqs, SCI));
    pm_gpe(pm, 8);
    assert_false(fake_irqs_line(&f.irqs, SCI));
    assert_int_equal(fake_env_in(&f, GPE, 4), 0x00020100);
    fake_env_out(&f, 0xb2, 1, 0xf0);
    assert_int_equal(fake_env_in(&f, CNT, 2) & 1, 0);
    assert_int_equal(fake_env_in(&f, 0xb2, 1), 0xf0);
}

static void only_the_offered_sleep_type_ends_the_machine(void **state)
{
    (void)state;
    fake_env_out(&f, CNT, 2, 0x2401);
    fake_env_out(&f, CNT, 2, 0x0001);
    assert_int_equal(events[BOARD_POWEROFF], 0);
    assert_int_equal(pm->fault_count, 1);
    fake_env_out(&f, CNT + 1, 1, 0x20);
    assert_int_equal(events[BOARD_POWEROFF], 1);
    assert_int_equal(fake_env_in(&f, CNT, 2) & 0x2000, 0);
}

static void reset_registers_hold_their_other_bits(void **state)
{
    (void)state;
    fake_env_out(&f, 0xcf9, 1, 0x0a);
    assert_int_equal(fake_env_in(&f, 0xcf9, 1), 0x0a);
    assert_int_equal(fake_env_in(&f, 0x92, 1), 0x02);
    fake_env_out(&f, 0x92, 1, 0x00);
    assert_int_equal(fake_env_in(&f, 0x92, 1), 0x00);
    assert_int_equal(events[BOARD_RESET], 0);
    fake_env_out(&f, 0x92, 1, 0x01);
    fake_env_out(&f, 0x92, 1, 0x01); /* once per edge */
    assert_int_equal(events[BOARD_RESET], 1);
    pm->ops->reset(pm);
    assert_int_equal(fake_env_in(&f, 0x92, 1), 0x02);
    assert_int_equal(fake_env_in(&f, TMR, 4), 0);
}

#define PM_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void suspend_to_ram_waits_for_a_reason(void **state)
{
    (void)state;
    fake_env_out(&f, CNT, 2, 0x2400);
    assert_int_equal(events[BOARD_SLEEP], 0); /* not offered */
    pm_offer_s3(pm);
    fake_env_out(&f, EN, 2, 0x0100);
    fake_env_out(&f, CNT, 2, 0x2400);
    assert_int_equal(events[BOARD_SLEEP], 1);
    pm_clock_alarm(pm); /* the guest has not enabled that */
    assert_int_equal(events[BOARD_WAKE], 0);
    assert_int_equal(pm_button(pm), 0);
    assert_int_equal(events[BOARD_WAKE], 1);
    pm->ops->reset(pm);
    pm_woken(pm);
    assert_int_equal(fake_env_in(&f, EVT, 2) & 0x8500, 0x8100);
    assert_int_equal(events[BOARD_POWEROFF], 0);
}

static void until_the_guest_chooses_everything_wakes_it(void **state)
{
    (void)state;
    pm_offer_s3(pm);
    fake_env_out(&f, CNT, 2, 0x2400);
    pm_clock_alarm(pm);
    assert_int_equal(events[BOARD_WAKE], 1);
    pm_clock_alarm(pm); /* it is awake */
    assert_int_equal(events[BOARD_WAKE], 1);
    pm->ops->reset(pm);
    pm_woken(pm);
    assert_int_equal(fake_env_in(&f, EVT, 2) & 0x8500, 0x8400);
    fake_env_out(&f, EVT, 2, 0x8400);
    assert_int_equal(fake_env_in(&f, EVT, 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PM_TEST(the_timer_keeps_its_rate),
        PM_TEST(the_timers_overflow_interrupts),
        PM_TEST(status_bits_clear_by_ones_and_byte_by_byte),
        PM_TEST(events_reach_the_guest_in_acpi_mode_only),
        PM_TEST(only_the_offered_sleep_type_ends_the_machine),
        PM_TEST(reset_registers_hold_their_other_bits),
        PM_TEST(suspend_to_ram_waits_for_a_reason),
        PM_TEST(until_the_guest_chooses_everything_wakes_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
