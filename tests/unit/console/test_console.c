/* SPDX-License-Identifier: Apache-2.0 */
/* Consoles over files, ptys and unix sockets: nothing lost, nothing blocks, stale names go. */
#define _GNU_SOURCE
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "console/console.h"
#include "core/err.h"
#include "core/loop.h"
#include "core/usock.h"

static struct loop *loop;
static char dir[64];
static char typed[65536];
static size_t typed_len, typed_room;

static int set_up(void **state)
{
    struct err e;

    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/hospes-test-XXXXXX");
    typed_len = 0;
    typed_room = sizeof(typed);
    memset(typed, 0, sizeof(typed));
    return mkdtemp(dir) && loop_create(&loop, &e) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    loop_destroy(loop);
    return rmdir(dir);
}

static const char *in_dir(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static size_t take(void *arg, const uint8_t *p, size_t len)
{
    size_t n = (size_t)min_u64(len, typed_room - typed_len);

    (void)arg;
    memcpy(typed + typed_len, p, n);
    typed_len += n;
    return n;
}

static void turn(int rounds)
{
    while (rounds-- > 0)
        assert_true(loop_step(loop, 2000000) >= 0);
}

/* The kernel takes its time with a pty's or a socket's bytes: turns until `cond`, 20 s at most. */
#define UNTIL(cond)                                                                                \
    do {                                                                                           \
        for (int turns_ = 0; !(cond) && turns_ < 10000; turns_++)                                  \
            turn(1);                                                                               \
    } while (0)

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) > 0;
}

static off_t size_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? st.st_size : -1;
}

static struct console *open_ok(const char *kind, const char *path)
{
    struct console *n;
    char spec[200];
    struct err e;

    snprintf(spec, sizeof(spec), path ? "%s=%s" : "%s", kind, path);
    assert_int_equal(console_open(spec, loop, &n, &e), 0);
    return n;
}

static void say(struct console *n, const char *text)
{
    console_write(n, (const uint8_t *)text, strlen(text));
}

static void a_file_holds_all_that_was_written(void **state)
{
    char line[64], *text = NULL;
    struct console *n;
    size_t len = 0, sum = 0;
    FILE *f;

    (void)state;
    n = open_ok("file", in_dir("log"));
    for (int i = 0; i < 50000; i++) {
        sum += (size_t)snprintf(line, sizeof(line), "line %d of the guest's console\n", i);
        say(n, line);
    }
    say(n, "and no end of line");
    console_close(n);
    f = fopen(in_dir("log"), "r");
    assert_int_equal(getdelim(&text, &len, 0, f), sum + 18);
    assert_string_equal(text + sum, "and no end of line");
    free(text);
    fclose(f);
    unlink(in_dir("log"));
}

static void the_start_of_a_line_comes_out_soon(void **state)
{
    struct console *n;

    (void)state;
    n = open_ok("file", in_dir("log"));
    say(n, "login: ");
    assert_int_equal(size_of(in_dir("log")), 0);
    UNTIL(size_of(in_dir("log")) > 0);
    assert_int_equal(size_of(in_dir("log")), 7);
    console_close(n);
    unlink(in_dir("log"));
}

static void bad_specs_are_named(void **state)
{
    static const char *const bad[] = {"",        "tty",      "file", "file=",  "unix",
                                      "pty=/x/", "none=yes", "stdi", "stdio=0"};
    struct console *n;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(console_open(bad[i], loop, &n, &e), -EINVAL);
        assert_int_equal(e.exit, EX_USAGE_);
    }
    assert_true(console_open("file=/nowhere/at/all", loop, &n, &e) < 0);
    assert_int_equal(e.exit, EX_MISSING);
    assert_non_null(strstr(e.msg, "/nowhere/at/all"));
    assert_true(console_open("file=/tmp", loop, &n, &e) < 0);
    mkfifo(in_dir("fifo"), 0600);
    snprintf(typed, sizeof(typed), "file=%s", in_dir("fifo"));
    assert_true(console_open(typed, loop, &n, &e) < 0);
    assert_non_null(strstr(e.msg, "nobody reads"));
    unlink(in_dir("fifo"));
}

static void a_pty_carries_bytes_both_ways_without_echo(void **state)
{
    struct console *n = open_ok("pty", NULL);
    char got[64] = "";
    int fd;

    (void)state;
    assert_memory_equal(n->where, "pty /dev/pts/", 13);
    console_listen(n, take, NULL);
    say(n, "hello\n");
    turn(3);
    assert_int_equal(typed_len, 0); /* nothing is echoed back */
    fd = open(n->where + 4, O_RDWR | O_NOCTTY);
    UNTIL(readable(fd));
    assert_int_equal(read(fd, got, sizeof(got)), 6);
    assert_string_equal(got, "hello\n");
    assert_int_equal(write(fd, "ls\r\003", 4), 4);
    UNTIL(typed_len == 4);
    assert_memory_equal(typed, "ls\r\003", 4);
    close(fd);
    assert_int_equal(loop_step(loop, 0), 0); /* no hang-up storm */
    console_close(n);
}

static void a_pty_that_nobody_reads_keeps_the_newest(void **state)
{
    static char block[65536];
    struct console *n = open_ok("pty", NULL);
    size_t total = 0;
    char last[8] = "";
    struct pollfd p;
    ssize_t got;
    int fd;

    (void)state;
    memset(block, '.', sizeof(block));
    for (int i = 0; i < 40; i++)
        console_write(n, (const uint8_t *)block, sizeof(block));
    say(n, "newest\n");
    fd = open(n->where + 4, O_RDWR | O_NOCTTY | O_NONBLOCK);
    p = (struct pollfd){.fd = fd, .events = POLLIN};
    /* The kernel hands a pty's bytes over in pieces of its own, when it likes. */
    for (int i = 0; i < 3000 && memcmp(last, "newest\n", 7) != 0; i++) {
        turn(1);
        poll(&p, 1, 2);
        while ((got = read(fd, block, sizeof(block))) > 0) {
            size_t tail = (size_t)min_u64((uint64_t)got, 7);

            total += (size_t)got;
            memmove(last, last + tail, 7 - tail);
            memcpy(last + 7 - tail, block + (size_t)got - tail, tail);
        }
    }
    assert_string_equal(last, "newest\n");
    assert_in_range(total, 1 << 20, (1 << 20) + 131072);
    close(fd);
    console_close(n);
}

static void input_waits_for_a_slow_listener(void **state)
{
    static char block[32768];
    struct console *n = open_ok("pty", NULL);
    int fd = open(n->where + 4, O_RDWR | O_NOCTTY | O_NONBLOCK);
    ssize_t put;

    (void)state;
    memset(block, 'x', sizeof(block));
    put = write(fd, block, sizeof(block));
    assert_true(put > 1000);
    typed_room = 10;
    console_listen(n, take, NULL);
    UNTIL(typed_len == 10);
    assert_int_equal(typed_len, 10);
    assert_int_equal(loop_step(loop, 0), 0); /* not asked again before there is room */
    typed_room = sizeof(typed);
    console_more(n);
    UNTIL(typed_len == (size_t)put);
    assert_int_equal(typed_len, put);
    close(fd);
    console_close(n);
}

static void a_socket_serves_one_client_after_the_other(void **state)
{
    struct console *n = open_ok("unix", in_dir("sock"));
    char got[64] = "";
    struct err e;
    int a, b;

    (void)state;
    console_listen(n, take, NULL);
    say(n, "before anyone came\n");
    assert_int_equal(usock_connect(in_dir("sock"), &a, &e), 0);
    assert_int_equal(usock_connect(in_dir("sock"), &b, &e), 0);
    UNTIL(readable(a));
    assert_int_equal(read(a, got, sizeof(got)), 19);
    assert_int_equal(write(a, "one", 3), 3);
    assert_int_equal(write(b, "two", 3), 3);
    UNTIL(typed_len == 3);
    turn(4); /* and nothing of b's */
    assert_memory_equal(typed, "one", 4);
    close(a);
    UNTIL(typed_len == 6);
    assert_string_equal(typed, "onetwo");
    say(n, "for b\n");
    UNTIL(readable(b));
    assert_int_equal(read(b, got, sizeof(got)), 6);
    close(b);
    say(n, "to nobody\n"); /* the peer is gone: no SIGPIPE */
    turn(4);
    console_close(n);
    assert_int_equal(access(in_dir("sock"), F_OK), -1);
}

static void a_stale_socket_is_replaced_and_a_live_one_is_not(void **state)
{
    struct console *n, *again;
    char spec[200];
    struct err e;
    int fd;

    (void)state;
    assert_int_equal(usock_listen(in_dir("sock"), &fd, &e), 0);
    close(fd); /* the name stays, as after a crash */
    n = open_ok("unix", in_dir("sock"));
    snprintf(spec, sizeof(spec), "unix=%s", in_dir("sock"));
    assert_int_equal(console_open(spec, loop, &again, &e), -EBUSY);
    assert_int_equal(e.exit, EX_IN_USE);
    snprintf(typed, sizeof(typed), "process %d", (int)getpid());
    assert_non_null(strstr(e.msg, typed));
    console_close(n);
    assert_int_equal(close(open(in_dir("sock"), O_CREAT | O_WRONLY, 0600)), 0);
    assert_int_equal(console_open(spec, loop, &again, &e), -EEXIST);
    unlink(in_dir("sock"));
    memset(spec, 'x', sizeof(spec) - 1);
    memcpy(spec, "unix=/tmp/", 10);
    spec[sizeof(spec) - 1] = '\0';
    assert_int_equal(console_open(spec, loop, &again, &e), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_holds_all_that_was_written),
        TEST(the_start_of_a_line_comes_out_soon),
        TEST(bad_specs_are_named),
        TEST(a_pty_carries_bytes_both_ways_without_echo),
        TEST(a_pty_that_nobody_reads_keeps_the_newest),
        TEST(input_waits_for_a_slow_listener),
        TEST(a_socket_serves_one_client_after_the_other),
        TEST(a_stale_socket_is_replaced_and_a_live_one_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
