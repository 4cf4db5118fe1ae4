/* SPDX-License-Identifier: Apache-2.0 */
/* A command at a port of the software host, with a socket pair for the port. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "softhost/session.h"
#include "softhost/wire.h"
#include "unit.h"

struct peer {
    int fd;
    pid_t agent;
    struct wire_in in;
    char out[1 << 17];
    size_t out_len, credit;
    bool ready;
    int code, failed; /* -1: not yet */
};

static void start(struct peer *p, const char *script)
{
    static const char env[] = "PATH=/usr/bin:/bin\0COLOUR=green";
    struct wire_start head = {.argc = 3};
    char data[2048];
    size_t n = sizeof(head);
    int fd[2];

    *p = (struct peer){.code = -1, .failed = -1, .credit = WIRE_CREDIT};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    p->agent = fork();
    if (p->agent == 0) {
        alarm(30);
        close(fd[0]);
        fcntl(fd[1], F_SETFL, O_NONBLOCK);
        session_run(fd[1]);
        _exit(0);
    }
    close(fd[1]);
    p->fd = fd[0];
    memcpy(data, &head, sizeof(head));
    n += (size_t)sprintf(data + n, "sh%c-c%c%s%c/%c", 0, 0, script, 0, 0);
    memcpy(data + n, env, sizeof(env));
    assert_int_equal(wire_send(p->fd, WIRE_START, data, n + sizeof(env)), 0);
}

/* Reads messages until fn() is content or the session has ended. */
static void listen_until(struct peer *p, bool (*fn)(const struct peer *p))
{
    struct wire_msg m;
    uint32_t credit;

    while (p->code < 0 && p->failed < 0 && !(fn && fn(p))) {
        int rc = p->in.buf ? wire_next(&p->in, &m) : 0;

        assert_true(rc >= 0);
        if (rc == 0) {
            assert_true(wire_fill(&p->in, p->fd) > 0);
            continue;
        }
        if (m.kind == WIRE_STDOUT || m.kind == WIRE_STDERR) {
            assert_true(range_in(p->out_len, m.len, sizeof(p->out)));
            memcpy(p->out + p->out_len, m.data, m.len);
            p->out_len += m.len;
        } else if (m.kind == WIRE_CREDITED) {
            memcpy(&credit, m.data, sizeof(credit));
            p->credit += credit;
        } else if (m.kind == WIRE_EXIT) {
            memcpy(&p->code, m.data, sizeof(p->code));
        } else if (m.kind == WIRE_FAILED) {
            memcpy(&p->failed, m.data, sizeof(p->failed));
        } else {
            assert_int_equal(m.kind, WIRE_READY);
            p->ready = true;
        }
    }
}

static void finish(struct peer *p)
{
    int status;

    if (p->fd >= 0) {
        (void)!wire_send(p->fd, WIRE_BYE, NULL, 0);
        close(p->fd);
    }
    assert_int_equal(waitpid(p->agent, &status, 0), p->agent);
    assert_true(WIFEXITED(status));
    wire_free(&p->in);
}

static void streams_and_exit_code_come_back(void **state)
{
    struct peer p;

    start(&p, "echo $COLOUR; pwd; exit 7");
    listen_until(&p, NULL);
    assert_int_equal(p.code, 7);
    assert_int_equal(p.out_len, strlen("green\n/\n"));
    assert_memory_equal(p.out, "green\n/\n", p.out_len);
    finish(&p);
}

static void standard_input_arrives_whole(void **state)
{
    char data[WIRE_CHUNK];
    struct peer p;

    memset(data, 'x', sizeof(data));
    start(&p, "wc -c");
    for (int i = 0; i < 4; i++)
        assert_int_equal(wire_send(p.fd, WIRE_STDIN, data, sizeof(data)), 0);
    assert_int_equal(wire_send(p.fd, WIRE_EOF, NULL, 0), 0);
    listen_until(&p, NULL);
    assert_int_equal(p.code, 0);
    assert_int_equal(p.credit, WIRE_CREDIT + 4 * sizeof(data));
    assert_memory_equal(p.out, "65536\n", p.out_len);
    finish(&p);
}

static void a_signal_passes_input_that_nobody_reads(void **state)
{
    char data[WIRE_CHUNK] = {0};
    struct peer p;

    start(&p, "exec sleep 30");
    for (int i = 0; i < 4; i++)
        assert_int_equal(wire_send(p.fd, WIRE_STDIN, data, sizeof(data)), 0);
    assert_int_equal(wire_send(p.fd, WIRE_SIGNAL, &(int){SIGTERM}, sizeof(int)), 0);
    listen_until(&p, NULL);
    assert_int_equal(p.code, 128 + SIGTERM);
    finish(&p);
}

static bool is_ready(const struct peer *p)
{
    return p->ready;
}

static void the_command_says_when_it_is_ready(void **state)
{
    struct peer p;

    start(&p, "f=/proc/self/fd/$HOSPES_READY_FD; [ $(stat -Lc %i $f) = $HOSPES_READY_INODE ] && "
              "echo > $f; "
              "read x; echo got $x");
    listen_until(&p, is_ready);
    assert_true(p.ready);
    assert_int_equal(p.code, -1);
    assert_int_equal(wire_send(p.fd, WIRE_STDIN, "it\n", 3), 0);
    listen_until(&p, NULL);
    assert_memory_equal(p.out, "got it\n", p.out_len);
    finish(&p);
}

static bool has_pid(const struct peer *p)
{
    return memchr(p->out, '\n', p->out_len) != NULL;
}

static void a_command_ends_when_its_client_leaves(void **state)
{
    struct peer p;
    int pid;

    start(&p, "echo $$; exec sleep 30");
    listen_until(&p, has_pid);
    pid = atoi(p.out);
    assert_int_equal(kill(pid, 0), 0);
    close(p.fd);
    p.fd = -1;
    finish(&p);
    assert_int_equal(kill(pid, 0), -1);
}

static void a_program_that_is_not_there_is_said(void **state)
{
    struct wire_start head = {.argc = 1};
    struct peer p;
    char data[64];

    start(&p, "exit 0");
    listen_until(&p, NULL);
    finish(&p);
    memcpy(data, &head, sizeof(head));
    memcpy(data + sizeof(head), "/nonexistent\0/", 15);
    p = (struct peer){.code = -1, .failed = -1};
    {
        int fd[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
        assert_int_equal(wire_send(fd[0], WIRE_START, data, sizeof(head) + 15), 0);
        session_run(fd[1]);
        close(fd[1]);
        p.fd = fd[0];
        listen_until(&p, NULL);
        assert_int_equal(p.failed, ENOENT);
        close(fd[0]);
        wire_free(&p.in);
    }
}

static void nonsense_ends_the_session(void **state)
{
    static const unsigned char bad[][8] = {
        {0xff, 0xff, 0xff, 0xff, WIRE_START}, /* longer than any message */
        {1, 0, 0, 0, WIRE_START, 'x'},        /* no strings */
        {3, 0, 0, 0, WIRE_STDIN, 'a', 'b', 'c'},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        int fd[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
        assert_int_equal(write(fd[0], bad[i], sizeof(bad[i])), sizeof(bad[i]));
        shutdown(fd[0], SHUT_WR);
        alarm(20);
        session_run(fd[1]);
        alarm(0);
        close(fd[0]);
        close(fd[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_and_exit_code_come_back),
        cmocka_unit_test(standard_input_arrives_whole),
        cmocka_unit_test(a_signal_passes_input_that_nobody_reads),
        cmocka_unit_test(the_command_says_when_it_is_ready),
        cmocka_unit_test(a_command_ends_when_its_client_leaves),
        cmocka_unit_test(a_program_that_is_not_there_is_said),
        cmocka_unit_test(nonsense_ends_the_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
