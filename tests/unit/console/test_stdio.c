/* SPDX-License-Identifier: Apache-2.0 */
/* The stdio console in a child on a terminal of its own: raw, keys, and put back at every end. */
#define _GNU_SOURCE
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#include "console/console.h"
#include "core/err.h"
#include "core/loop.h"

static struct console *child_console;
static struct loop *child_loop;

static size_t child_take(void *arg, const uint8_t *p, size_t len)
{
    char text[16];

    (void)arg;
    for (size_t i = 0; i < len; i++) {
        snprintf(text, sizeof(text), "<%02x>", p[i]);
        console_write(child_console, (const uint8_t *)text, strlen(text));
        if (p[i] == 'A')
            abort();
        if (p[i] == 'E')
            exit(7); /* neither closes the console */
        if (p[i] == 'C')
            loop_stop(child_loop);
    }
    return len;
}

static void child_run(void)
{
    struct err e;

    signal(SIGSEGV, SIG_DFL); /* the test library's own */
    signal(SIGHUP, SIG_DFL);  /* ignored under nohup */
    signal(SIGQUIT, SIG_DFL); /* and this one in the background of a script */
    if (loop_create(&child_loop, &e) < 0 || console_open("stdio", child_loop, &child_console, &e))
        _exit(90);
    console_listen(child_console, child_take, NULL);
    console_write(child_console, (const uint8_t *)"ready\n", 6);
    if (loop_run(child_loop, &e) < 0)
        _exit(91);
    console_close(child_console);
    _exit(5);
}

struct term {
    int fd, far;
    pid_t pid;
    char got[8192];
    size_t len;
};

static void term_expect(struct term *t, const char *text)
{
    struct pollfd p = {.fd = t->fd, .events = POLLIN};

    while (!strstr(t->got, text)) {
        ssize_t n;

        if (poll(&p, 1, 5000) <= 0)
            fail_msg("no '%s' in '%s'", text, t->got);
        n = read(t->fd, t->got + t->len, sizeof(t->got) - 1 - t->len);
        assert_true(n > 0);
        t->len += (size_t)n;
        t->got[t->len] = '\0';
    }
}

static void term_start(struct term *t)
{
    memset(t, 0, sizeof(*t));
    assert_int_equal(openpty(&t->fd, &t->far, NULL, NULL, NULL), 0);
    t->pid = fork();
    if (t->pid == 0) {
        close(t->fd);
        login_tty(t->far);
        child_run();
    }
    term_expect(t, "ready");
}

static void term_type(struct term *t, const char *text)
{
    assert_int_equal(write(t->fd, text, strlen(text)), strlen(text));
}

static bool term_raw(struct term *t)
{
    struct termios now;

    assert_int_equal(tcgetattr(t->far, &now), 0);
    return !(now.c_lflag & (ICANON | ECHO | ISIG));
}

/* The child's wait status; the terminal must be as it was. */
static int term_end(struct term *t)
{
    int status = 0;

    for (int i = 0; waitpid(t->pid, &status, WNOHANG) == 0; i++) {
        struct pollfd p = {.fd = t->fd, .events = POLLIN};

        assert_true(i < 500);
        if (poll(&p, 1, 10) > 0)
            (void)!read(t->fd, t->got, sizeof(t->got) - 1);
    }
    assert_false(term_raw(t));
    close(t->fd);
    close(t->far);
    return status;
}

static void keys_reach_the_guest_raw(void **state)
{
    struct term t;

    (void)state;
    term_start(&t);
    assert_true(term_raw(&t));
    term_type(&t, "a\003\032\r\x1d\x1d");
    term_expect(&t, "<61><03><1a><0d><1d>");
    term_type(&t, "C");
    assert_int_equal(WEXITSTATUS(term_end(&t)), 5);
}

static void the_question_mark_lists_the_keys_and_stays_out_of_the_guest(void **state)
{
    struct term t;

    (void)state;
    term_start(&t);
    term_type(&t, "\x1d");
    term_type(&t, "?b");
    term_expect(&t, "<62>");
    assert_non_null(strstr(t.got, "q       quit"));
    assert_null(strstr(t.got, "<3f>"));
    term_type(&t, "C");
    term_end(&t);
}

static void quit_interrupts_and_restores(void **state)
{
    struct term t;
    int status;

    (void)state;
    term_start(&t);
    term_type(&t, "\x1dq");
    status = term_end(&t);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

static void every_end_restores_the_terminal(void **state)
{
    static const int sigs[] = {SIGTERM, SIGHUP, SIGSEGV, SIGQUIT};
    struct term t;
    int status;

    (void)state;
    term_start(&t);
    term_type(&t, "E");
    assert_int_equal(WEXITSTATUS(term_end(&t)), 7);
    term_start(&t);
    term_type(&t, "A");
    status = term_end(&t);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    for (size_t i = 0; i < ARRAY_SIZE(sigs); i++) {
        term_start(&t);
        kill(t.pid, sigs[i]);
        status = term_end(&t);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == sigs[i]);
    }
}

static void a_stop_and_continue_makes_it_raw_again(void **state)
{
    struct term t;
    struct termios cooked;
    int status;

    (void)state;
    term_start(&t);
    kill(t.pid, SIGSTOP);
    assert_int_equal(waitpid(t.pid, &status, WUNTRACED), t.pid);
    tcgetattr(t.far, &cooked);
    cooked.c_lflag |= ICANON | ECHO | ISIG; /* as a shell does */
    tcsetattr(t.far, TCSANOW, &cooked);
    kill(t.pid, SIGCONT);
    for (int i = 0; i < 200 && !term_raw(&t); i++)
        usleep(5000);
    assert_true(term_raw(&t));
    term_type(&t, "C");
    term_end(&t);
}

static void pipes_carry_every_byte_and_the_end(void **state)
{
    int in[2], out[2], status;
    char got[256] = "";
    size_t len = 0;
    ssize_t n;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(in) | pipe(out), 0);
    pid = fork();
    if (pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        child_run();
    }
    close(in[0]);
    close(out[1]);
    assert_int_equal(write(in[1], "\x1dqC", 3), 3); /* no keys in a pipe */
    while ((n = read(out[0], got + len, sizeof(got) - 1 - len)) > 0)
        len += (size_t)n;
    assert_string_equal(got, "ready\n<1d><71><43>");
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 5);
    close(in[1]);
    close(out[0]);
}

static void a_regular_file_can_be_typed(void **state)
{
    char got[64] = "";
    FILE *in = tmpfile(), *out = tmpfile();
    int status;
    pid_t pid;

    (void)state;
    fputs("xyC", in);
    rewind(in);
    pid = fork();
    if (pid == 0) {
        dup2(fileno(in), 0);
        dup2(fileno(out), 1);
        child_run();
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 5);
    rewind(out);
    assert_non_null(fgets(got, sizeof(got), out));
    assert_non_null(fgets(got, sizeof(got), out));
    assert_string_equal(got, "<78><79><43>");
    fclose(in);
    fclose(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_reach_the_guest_raw),
        cmocka_unit_test(the_question_mark_lists_the_keys_and_stays_out_of_the_guest),
        cmocka_unit_test(quit_interrupts_and_restores),
        cmocka_unit_test(every_end_restores_the_terminal),
        cmocka_unit_test(a_stop_and_continue_makes_it_raw_again),
        cmocka_unit_test(pipes_carry_every_byte_and_the_end),
        cmocka_unit_test(a_regular_file_can_be_typed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
