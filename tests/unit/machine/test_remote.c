/* SPDX-License-Identifier: Apache-2.0 */
/* The client of the control socket against a machine on another thread, and against nonsense. */
#define _GNU_SOURCE
#include "unit.h"

#include <errno.h>
#include <json-c/json.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "console/console.h"
#include "core/err.h"
#include "core/loop.h"
#include "core/usock.h"
#include "machine/control.h"
#include "machine/remote.h"
#include "machine/runtime.h"

static struct loop *loop;
static struct control *ctl;
static struct console *con;
static pthread_t thread;
static char dir[64];

static void fake_info(void *arg, struct info *out)
{
    (void)arg;
    info_number(out, "cpus", 4);
}

static int fake_ask(void *arg, const char *what, uint64_t value, const char **how, struct err *e)
{
    (void)arg;
    (void)value;
    *how = "test";
    if (strcmp(what, "shutdown") != 0)
        return err_exit(e, EX_USAGE_, ENOTSUP, "the guest has no ears");
    control_event(ctl, "obeyed", "in a minute"); /* before the answer */
    return 0;
}

static void fake_stop(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

static struct console *fake_console(void *arg)
{
    (void)arg;
    return con;
}

static const struct control_ops ops = {
    .info = fake_info, .ask = fake_ask, .stop = fake_stop, .console = fake_console};

static void *serve(void *arg)
{
    struct err e;

    (void)arg;
    if (loop_run(loop, &e) < 0)
        abort();
    control_close(ctl, "stopped", NULL);
    ctl = NULL;
    return NULL;
}

static int set_up(void **state)
{
    struct err e;

    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/hospes-test-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    setenv("HOSPES_RUNTIME", dir, 1);
    if (loop_create(&loop, &e) || console_open("none", loop, &con, &e) ||
        control_open("vm1", loop, &ops, NULL, &ctl, &e))
        return -1;
    return pthread_create(&thread, NULL, serve, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    loop_stop(loop);
    pthread_join(thread, NULL);
    console_close(con);
    loop_destroy(loop);
    return rmdir(dir);
}

static void calls_events_and_the_end(void **state)
{
    struct json_object *o;
    struct remote *r;
    struct err e;

    (void)state;
    assert_int_equal(remote_open("vm1", &r, &e), 0);
    assert_int_equal(remote_pid(r), getpid());
    assert_int_equal(remote_call(r, "info", NULL, 5000, &o, &e), 0);
    assert_int_equal(remote_number(json_object_object_get(o, "result"), "cpus"), 4);
    json_object_put(o);
    assert_int_equal(remote_ask("vm1", "info", NULL, 5000, &o, &e), 0);
    assert_int_equal(remote_number(json_object_object_get(o, "result"), "cpus"), 4);
    json_object_put(o);
    assert_int_equal(remote_event(r, 10, &o, &e), 0);
    o = json_object_new_object();
    json_object_object_add(o, "what", json_object_new_string("freeze"));
    assert_true(remote_call(r, "ask", o, 5000, NULL, &e) < 0);
    assert_string_equal(e.msg, "vm1: the guest has no ears");
    assert_int_equal(e.exit, EX_USAGE_);
    o = json_object_new_object();
    json_object_object_add(o, "now", json_object_new_boolean(true));
    assert_int_equal(remote_call(r, "stop", o, 5000, NULL, &e), 0);
    assert_int_equal(remote_event(r, 5000, &o, &e), 1);
    assert_string_equal(remote_text(o, "event"), "end");
    assert_string_equal(remote_text(o, "how"), "stopped");
    json_object_put(o);
    assert_int_equal(remote_event(r, 5000, &o, &e), -ECONNRESET);
    remote_close(r);
}

static void the_console_starts_with_what_came_with_the_answer(void **state)
{
    const char *early;
    struct remote *r;
    char got[64] = "";
    struct err e;
    size_t len;
    int fd;

    (void)state;
    console_write(con, (const uint8_t *)"login: ", 7);
    assert_int_equal(remote_open("vm1", &r, &e), 0);
    assert_int_equal(remote_call(r, "console", NULL, 5000, NULL, &e), 0);
    fd = remote_stream(r, &early, &len);
    assert_in_range(len, 0, 7);
    memcpy(got, early, len);
    while (len < 7) {
        ssize_t n = recv(fd, got + len, sizeof(got) - len, 0);

        assert_true(n != 0);
        if (n > 0)
            len += (size_t)n;
    }
    assert_string_equal(got, "login: ");
    remote_close(r);
}

static void machines_that_are_not_there_are_missing(void **state)
{
    char path[100];
    struct remote *r;
    struct err e;
    int fd;

    (void)state;
    assert_true(remote_open("nobody", &r, &e) < 0);
    assert_int_equal(e.exit, EX_MISSING);
    assert_true(remote_ask("nobody", "info", json_object_new_object(), 5000, NULL, &e) < 0);
    assert_int_equal(e.exit, EX_MISSING);
    assert_non_null(strstr(e.msg, "no machine named nobody"));
    assert_true(remote_open("../x", &r, &e) < 0);
    assert_int_equal(e.exit, EX_USAGE_);
    snprintf(path, sizeof(path), "%s/dead.sock", dir);
    assert_int_equal(usock_listen(path, &fd, &e), 0);
    close(fd);
    assert_true(remote_open("dead", &r, &e) < 0);
    assert_int_equal(e.exit, EX_MISSING);
    assert_int_equal(access(path, F_OK), -1); /* and its socket is cleared away */
}

static void what_does_not_speak_the_protocol_is_told_apart(void **state)
{
    static const char *const greetings[] = {
        "SSH-2.0-OpenSSH\n",
        "[]\n",
        "{\"hospes\":\"machine\",\"protocol\":2,\"name\":\"x\",\"pid\":1}\n",
        "",
    };
    char path[100];
    struct err e;
    int fd;

    (void)state;
    snprintf(path, sizeof(path), "%s/odd.sock", dir);
    assert_int_equal(usock_listen(path, &fd, &e), 0);
    for (size_t i = 0; i < ARRAY_SIZE(greetings); i++) {
        struct remote *r;
        int peer;

        if (fork() == 0) {
            while ((peer = usock_accept(fd)) < 0)
                usleep(1000);
            (void)!send(peer, greetings[i], strlen(greetings[i]), MSG_NOSIGNAL);
            _exit(0);
        }
        assert_true(remote_open("odd", &r, &e) < 0);
        assert_int_equal(e.exit, EX_HOST_IO);
    }
    usock_unlisten(fd, path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(calls_events_and_the_end),
        TEST(the_console_starts_with_what_came_with_the_answer),
        TEST(machines_that_are_not_there_are_missing),
        TEST(what_does_not_speak_the_protocol_is_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
