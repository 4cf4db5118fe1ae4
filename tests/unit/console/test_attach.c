/* SPDX-License-Identifier: Apache-2.0 */
/* Attached readers: history first, all see the same, none delays the guest, each may type. */
#define _GNU_SOURCE
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "console/console.h"
#include "core/err.h"
#include "core/loop.h"

static struct loop *loop;
static struct console *con;
static char typed[256];
static size_t typed_len, typed_room;

static size_t take(void *arg, const uint8_t *p, size_t len)
{
    size_t n = (size_t)min_u64(len, typed_room - typed_len);

    (void)arg;
    memcpy(typed + typed_len, p, n);
    typed_len += n;
    return n;
}

static int set_up(void **state)
{
    struct err e;

    (void)state;
    memset(typed, 0, sizeof(typed));
    typed_len = 0;
    typed_room = sizeof(typed) - 1;
    if (loop_create(&loop, &e) < 0 || console_open("none", loop, &con, &e) < 0)
        return -1;
    console_listen(con, take, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    console_close(con);
    loop_destroy(loop);
    return 0;
}

static void turn(int rounds)
{
    while (rounds-- > 0)
        assert_true(loop_step(loop, 2000000) >= 0);
}

static void say(const char *text)
{
    console_write(con, (const uint8_t *)text, strlen(text));
}

static int attach(void)
{
    struct err e;
    int fd[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    assert_int_equal(console_attach(con, fd[0], &e), 0);
    return fd[1];
}

static void expect(int fd, const char *text)
{
    char got[1024] = "";

    turn(4);
    assert_int_equal(read(fd, got, sizeof(got) - 1), strlen(text));
    assert_string_equal(got, text);
}

static void the_history_comes_first_and_then_what_follows(void **state)
{
    int a, b;

    (void)state;
    say("booting\n");
    a = attach();
    expect(a, "booting\n");
    say("login: ");
    expect(a, "login: ");
    b = attach();
    expect(b, "booting\nlogin: ");
    say("both\n");
    expect(a, "both\n");
    expect(b, "both\n");
    close(a);
    turn(3);
    say("one\n");
    expect(b, "one\n");
    close(b);
    turn(3);
    say("nobody\n");
}

static void long_history_keeps_its_end(void **state)
{
    static char got[20000];
    char line[32];
    int a, n;

    (void)state;
    for (int i = 0; i < 3000; i++) {
        snprintf(line, sizeof(line), "line %d\n", i);
        say(line);
    }
    a = attach();
    turn(4);
    n = (int)read(a, got, sizeof(got) - 1);
    assert_int_equal(n, 16384);
    assert_string_equal(got + n - 10, "line 2999\n");
    close(a);
}

static void every_one_may_type_and_waits_for_room(void **state)
{
    int a = attach(), b = attach();

    (void)state;
    assert_int_equal(write(a, "root\n", 5), 5);
    turn(3);
    assert_int_equal(write(b, "secret\n", 7), 7);
    turn(3);
    assert_string_equal(typed, "root\nsecret\n");
    typed_room = typed_len + 2;
    assert_int_equal(write(a, "abcd", 4), 4);
    turn(3);
    assert_string_equal(typed, "root\nsecret\nab");
    typed_room = sizeof(typed) - 1;
    console_more(con);
    turn(3);
    assert_string_equal(typed, "root\nsecret\nabcd");
    close(a);
    close(b);
}

static void one_that_does_not_read_delays_nobody(void **state)
{
    static uint8_t block[65536];
    int a = attach(), b = attach();
    size_t total = 0;
    ssize_t n;

    (void)state;
    memset(block, '.', sizeof(block));
    for (int i = 0; i < 100; i++) {
        console_write(con, block, sizeof(block));
        turn(1);
        while ((n = read(b, block, sizeof(block))) > 0)
            total += (size_t)n;
    }
    turn(20);
    while ((n = read(b, block, sizeof(block))) > 0)
        total += (size_t)n;
    assert_in_range(total, 90 * 65536, 100 * 65536);
    close(a);
    close(b);
}

static void too_many_are_refused(void **state)
{
    int fd[40], pair[2], n = 0;
    struct err e;

    (void)state;
    for (int i = 0; i < 40; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        fd[i] = pair[1];
        n += console_attach(con, pair[0], &e) == 0;
    }
    assert_int_equal(n, 16);
    assert_int_equal(e.exit, EX_IN_USE);
    for (int i = 0; i < 40; i++)
        close(fd[i]);
    turn(20);
    close(attach()); /* room again */
    turn(3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_history_comes_first_and_then_what_follows),
        TEST(long_history_keeps_its_end),
        TEST(every_one_may_type_and_waits_for_room),
        TEST(one_that_does_not_read_delays_nobody),
        TEST(too_many_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
