/* SPDX-License-Identifier: Apache-2.0 */
/* The serial port: polled and interrupt-driven output, input with flow control, loop mode. */
#include "unit.h"

#include "board/chipset/chipset.h"
#include "console/console.h"
#include "core/err.h"
#include "fakes/fake_env.h"

static struct fake_env f;
static struct device *uart;

/* A console that keeps what was written and remembers who listens. */
static struct {
    struct console n;
    uint8_t b[4096];
    size_t len;
    unsigned writes, mores;
    console_take_fn *take;
    void *arg;
} con;

static void con_write(struct console *n, const uint8_t *p, size_t len)
{
    assert_true(con.len + len <= sizeof(con.b));
    memcpy(con.b + con.len, p, len);
    con.len += len;
    con.writes++;
}

static void con_listen(struct console *n, console_take_fn *take, void *arg)
{
    con.take = take;
    con.arg = arg;
}

static void con_more(struct console *n)
{
    con.mores++;
}

static const struct console_ops con_ops = {
    .name = "test", .write = con_write, .listen = con_listen, .more = con_more};

static int setup(void **state)
{
    struct err e = {0};

    (void)state;
    memset(&con, 0, sizeof(con));
    con.n.ops = &con_ops;
    fake_env_create(&f, 1 << 20);
    assert_int_equal(uart_create(&f.env, 0x3f8, 4, &con.n, &uart, &e), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    uart->ops->destroy(uart);
    assert_null(con.take);
    fake_env_destroy(&f);
    return 0;
}

static void wr(unsigned reg, uint8_t v)
{
    fake_env_out(&f, 0x3f8 + reg, 1, v);
}

static uint8_t rd(unsigned reg)
{
    return (uint8_t)fake_env_in(&f, 0x3f8 + reg, 1);
}

static void polled_bytes_go_out_at_once(void **state)
{
    (void)state;
    for (const char *s = "boot"; *s; s++) {
        assert_int_equal(rd(5) & 0x60, 0x60);
        wr(0, (uint8_t)*s);
    }
    assert_int_equal(con.len, 4);
    assert_memory_equal(con.b, "boot", 4);
}

static void interrupt_driven_output_is_gathered(void **state)
{
    (void)state;
    wr(2, 0x01);
    wr(1, 0x02);
    assert_true(fake_irqs_line(&f.irqs, 4));
    assert_int_equal(rd(2), 0xc2);
    assert_false(fake_irqs_line(&f.irqs, 4));
    for (unsigned i = 0; i < 16; i++)
        wr(0, (uint8_t)('a' + i));
    assert_int_equal(con.writes, 0);
    assert_true(fake_irqs_line(&f.irqs, 4));
    assert_int_equal(rd(2), 0xc2);
    assert_int_equal(con.writes, 1);
    assert_int_equal(con.len, 16);
    /* Switching the interrupt off, as at the end of a line, leaves nothing behind. */
    wr(0, '\n');
    wr(1, 0);
    assert_int_equal(con.len, 17);
    assert_int_equal(rd(2), 0xc1);
    /* Neither does a reset in the middle. */
    wr(1, 0x02);
    wr(0, '!');
    uart->ops->reset(uart);
    assert_int_equal(con.b[17], '!');
    assert_false(fake_irqs_line(&f.irqs, 4));
}

static void long_gathering_is_bounded(void **state)
{
    (void)state;
    wr(2, 0x01);
    wr(1, 0x02);
    for (unsigned i = 0; i < 1000; i++)
        wr(0, (uint8_t)i);
    assert_true(con.len >= 1000 - 64);
    rd(5);
    assert_int_equal(con.len, 1000);
}

static void input_waits_for_room(void **state)
{
    static const uint8_t text[40] = "0123456789abcdefghijklmnopqrstuvwxyzABCD";
    size_t at;

    (void)state;
    wr(2, 0xc1); /* trigger at 14 */
    wr(1, 0x01);
    assert_int_equal(con.take(con.arg, text, 3), 3);
    assert_true(fake_irqs_line(&f.irqs, 4));
    assert_int_equal(rd(2), 0xcc);
    at = 3 + con.take(con.arg, text + 3, 37);
    assert_int_equal(at, 16);
    assert_int_equal(rd(2), 0xc4);
    for (size_t i = 0; i < sizeof(text); i++) {
        if (!(rd(5) & 1)) {
            fake_env_run(&f);
            at += con.take(con.arg, text + at, sizeof(text) - at);
        }
        assert_int_equal(rd(0), text[i]);
    }
    assert_int_equal(con.mores, 2);
    assert_false(fake_irqs_line(&f.irqs, 4));
    assert_int_equal(rd(0), 0);
    /* Without FIFO, one at a time. */
    wr(2, 0);
    assert_int_equal(con.take(con.arg, text, 5), 1);
    assert_int_equal(rd(2), 0x04);
}

static void loop_mode_returns_bytes_and_lines(void **state)
{
    (void)state;
    wr(4, 0x1a);
    assert_int_equal(rd(6) & 0xf0, 0x90);
    wr(0, 0x55);
    assert_int_equal(con.len, 0);
    assert_int_equal(rd(5) & 1, 1);
    wr(0, 0x66);
    assert_int_equal(rd(5) & 2, 2); /* overrun, once */
    assert_int_equal(rd(5) & 2, 0);
    assert_int_equal(rd(0), 0x55);
    assert_int_equal(con.take(con.arg, (const uint8_t *)"x", 1), 0);
    wr(4, 0x0b);
    assert_int_equal(rd(6) & 0xf0, 0xb0);
    fake_env_run(&f);
    assert_int_equal(con.mores, 1);
    wr(1, 0x08);
    wr(4, 0x10);
    assert_int_equal(rd(2), 0);
    assert_int_equal(rd(6) & 0x0f, 0x0b);
    assert_int_equal(rd(2), 1);
}

static void registers_hold_and_divisor_is_apart(void **state)
{
    (void)state;
    wr(7, 0xa5);
    assert_int_equal(rd(7), 0xa5);
    wr(3, 0x83);
    wr(0, 1);
    wr(1, 2);
    assert_int_equal(rd(0), 1);
    assert_int_equal(rd(1), 2);
    assert_int_equal(con.len, 0);
    wr(3, 3);
    assert_int_equal(rd(1), 0);
    wr(5, 0xff);
    wr(6, 0xff);
    assert_int_equal(rd(5), 0x60);
    assert_int_equal(rd(6) & 0xf0, 0xb0);
    /* Wide accesses are bytes side by side. */
    fake_env_out(&f, 0x3fb, 2, 0x0b03);
    assert_int_equal(fake_env_in(&f, 0x3fb, 2), 0x0b03);
    assert_int_equal(fake_env_in(&f, 0x3fc, 4) >> 24, 0xa5);
}

#define UART_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UART_TEST(polled_bytes_go_out_at_once),
        UART_TEST(interrupt_driven_output_is_gathered),
        UART_TEST(long_gathering_is_bounded),
        UART_TEST(input_waits_for_room),
        UART_TEST(loop_mode_returns_bytes_and_lines),
        UART_TEST(registers_hold_and_divisor_is_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
