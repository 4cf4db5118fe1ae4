/* SPDX-License-Identifier: Apache-2.0 */
/* The first line of programs that want to reach a port of the guest. */
#include "unit.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/usock.h"

/* What comes of a line; *rest: bytes that are left behind it. */
static int say(const char *text, uint32_t *port, char rest[64])
{
    struct usock_hello h = {.n = 0};
    int fd[2], rc;
    ssize_t n;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    for (; *text; text++) {
        assert_int_equal(usock_hello(fd[0], &h, port), 0);
        assert_int_equal(send(fd[1], text, 1, 0), 1);
        if (*text == '\n') {
            assert_true(send(fd[1], text, strlen(text), 0) > 0);
            break;
        }
    }
    rc = usock_hello(fd[0], &h, port);
    n = recv(fd[0], rest, 63, MSG_DONTWAIT);
    rest[n > 0 ? n : 0] = 0;
    close(fd[0]);
    close(fd[1]);
    return rc;
}

static void a_port_is_asked_for_in_one_line(void **state)
{
    uint32_t port = 0;
    char rest[64];

    assert_int_equal(say("CONNECT 5000\nhello", &port, rest), 1);
    assert_int_equal(port, 5000);
    assert_string_equal(rest, "\nhello"); /* what follows the line is left */
    assert_int_equal(say("CONNECT 4294967295\n", &port, rest), 1);
    assert_int_equal(port, UINT32_MAX);
}

static void other_lines_are_refused(void **state)
{
    static const char *const bad[] = {
        "CONNECT 4294967296\n", "CONNECT \n", "CONNECT 1 \n", "CONNECT -1\n",
        "connect 1\n",          "\n",         "CONNECT 1",    "GET / HTTP\n",
        "CONNECT99\n"};
    uint32_t port;
    char rest[64];

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(say(bad[i], &port, rest),
                         bad[i][strlen(bad[i]) - 1] == '\n' ? -EPROTO : 0);
}

static void a_line_without_an_end_is_refused(void **state)
{
    static const char text[] = "CONNECT 00000000000000000000000000000000000000\n";
    struct usock_hello h = {.n = 0};
    uint32_t port;
    int fd[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    assert_true(send(fd[1], text, strlen(text), 0) > 0);
    assert_int_equal(usock_hello(fd[0], &h, &port), -EPROTO);
    close(fd[1]);
    assert_false(usock_welcome(fd[0], 1)); /* nobody is there */
    close(fd[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_port_is_asked_for_in_one_line),
        cmocka_unit_test(other_lines_are_refused),
        cmocka_unit_test(a_line_without_an_end_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
