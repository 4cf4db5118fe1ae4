/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stdio.c - the console on standard input and output, with a raw terminal and the keys after
 * Ctrl-].
 *
 * Descriptors are opened anew (by /proc/self/fd) to be non-blocking, because O_NONBLOCK on the
 * ones we were given would change them for the shell and for standard error too. The terminal is
 * made raw only when it is ours (foreground process group), and put back when the console closes,
 * at exit, and on signals that end the process. A process in the background leaves the terminal
 * alone and reads nothing.
 *
 * Threads: one stdio console per process; signal handlers touch only the saved settings.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "console/kinds.h"
#include "console/stream.h"
#include "core/err.h"

enum { STDIO_ESCAPE = 0x1d /* Ctrl-] */ };

struct stdio {
    struct stream s; /* first */
    bool terminal;   /* keys work */
    bool escaped;    /* the last byte was Ctrl-] */
    int shared[2];   /* descriptors whose flags were changed, -1: none */
    int flags[2];
    const struct console_key *keys;
    void *keys_arg;
};

/* --- the terminal --- */

static struct termios term_saved, term_raw;
static int term_fd = -1; /* the terminal that is raw now */

void console_restore_terminal(void)
{
    int fd = __atomic_exchange_n(&term_fd, -1, __ATOMIC_ACQ_REL);

    if (fd >= 0)
        tcsetattr(fd, TCSADRAIN, &term_saved);
}

static void term_on_fatal(int sig)
{
    console_restore_terminal();
    raise(sig); /* SA_RESETHAND: the default action now */
}

/* After a stop from outside the shell has its own settings on the terminal. */
static void term_on_continue(int sig)
{
    int fd = __atomic_load_n(&term_fd, __ATOMIC_ACQUIRE), code = errno;

    (void)sig;
    if (fd >= 0 && tcgetpgrp(fd) == getpgrp())
        tcsetattr(fd, TCSANOW, &term_raw);
    errno = code;
}

static void term_guard(void)
{
    static const int fatal[] = {SIGABRT, SIGSEGV, SIGBUS,  SIGILL, SIGFPE,
                                SIGHUP,  SIGQUIT, SIGTERM, SIGINT, SIGSYS};
    struct sigaction sa = {.sa_handler = term_on_fatal, .sa_flags = (int)SA_RESETHAND}, old;
    static bool done;

    if (done)
        return;
    done = true;
    atexit(console_restore_terminal);
    for (size_t i = 0; i < ARRAY_SIZE(fatal); i++) {
        /* Who handles a signal already ends in good order. */
        if (sigaction(fatal[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            sigaction(fatal[i], &sa, NULL);
    }
    sa.sa_handler = term_on_continue;
    sa.sa_flags = SA_RESTART;
    sigaction(SIGCONT, &sa, NULL);
}

static void term_make_raw(int fd)
{
    if (tcgetattr(fd, &term_saved) < 0)
        return;
    term_raw = term_saved;
    cfmakeraw(&term_raw);
    term_raw.c_oflag |= term_saved.c_oflag & (OPOST | ONLCR); /* our own messages need it */
    term_guard();
    if (tcsetattr(fd, TCSANOW, &term_raw) == 0)
        __atomic_store_n(&term_fd, fd, __ATOMIC_RELEASE);
}

/* --- keys --- */

static void key_interrupt(void *arg)
{
    (void)arg;
    console_restore_terminal();
    kill(getpid(), SIGINT);
}

static const struct console_key stdio_keys[] = {
    {'q', "quit", key_interrupt},
    {0},
};

static void stdio_list_keys(const struct stdio *c)
{
    fprintf(stderr, "\r\nKeys after Ctrl-]:\r\n");
    for (const struct console_key *k = c->keys; k->key; k++)
        fprintf(stderr, "  %c       %s\r\n", k->key, k->about);
    fprintf(stderr, "  ?       list the keys\r\n  Ctrl-]  send Ctrl-]\r\n");
}

static void stdio_key(struct stdio *c, uint8_t key)
{
    if (key == '?') {
        stdio_list_keys(c);
        return;
    }
    for (const struct console_key *k = c->keys; k->key; k++) {
        if ((uint8_t)k->key == key)
            k->fn(c->keys_arg);
    }
}

/* Takes the keys out of what was typed. */
static size_t stdio_filter(struct stream *s, uint8_t *p, size_t n)
{
    struct stdio *c = container_of(s, struct stdio, s);
    size_t left = 0;

    if (!c->terminal)
        return n;
    for (size_t i = 0; i < n; i++) {
        bool second = c->escaped;

        c->escaped = !second && p[i] == STDIO_ESCAPE;
        if (second && p[i] != STDIO_ESCAPE)
            stdio_key(c, p[i]);
        else if (!c->escaped)
            p[left++] = p[i];
    }
    return left;
}

void console_set_keys(struct console *n, const struct console_key *keys, void *arg)
{
    if (n->ops == &console_stdio) {
        struct stdio *c = container_of(n, struct stdio, s.n);

        c->keys = keys;
        c->keys_arg = arg;
    }
}

/* --- life --- */

/* A non-blocking descriptor for fd (0 or 1), -1 when it is closed. */
static int stdio_descriptor(struct stdio *c, int fd)
{
    char path[32];
    struct stat st;
    int own;

    if (fstat(fd, &st) < 0)
        return -1;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)) {
        own = open(path, (fd ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        if (own >= 0)
            return own;
    }
    own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (own >= 0 && !S_ISREG(st.st_mode)) {
        c->flags[fd] = fcntl(own, F_GETFL);
        c->shared[fd] = fd;
        fcntl(own, F_SETFL, c->flags[fd] | O_NONBLOCK);
    }
    return own;
}

static void stdio_close(struct console *n)
{
    struct stdio *c = container_of(n, struct stdio, s.n);

    stream_done(&c->s);
    console_restore_terminal();
    for (int i = 0; i < 2; i++) {
        if (c->shared[i] >= 0)
            fcntl(c->shared[i], F_SETFL, c->flags[i]);
    }
    free(c);
}

static int stdio_open(const char *value, struct loop *l, struct console **out, struct err *e)
{
    int rc = console_no_value("stdio", value, e), in = -1, rc2;
    struct stdio *c;

    if (rc < 0)
        return rc;
    c = calloc(1, sizeof(*c));
    if (!c)
        return err_set(e, ENOMEM, "no memory for a console");
    c->shared[0] = c->shared[1] = -1;
    c->keys = stdio_keys;
    rc = stream_init(&c->s, &console_stdio, l, e);
    if (rc < 0) {
        free(c);
        return rc;
    }
    signal(SIGPIPE, SIG_IGN); /* a reader that goes away does not end the guest */
    c->s.full = STREAM_SLOW;
    c->s.filter = stdio_filter;
    snprintf(c->s.n.where, sizeof(c->s.n.where), "stdio");
    c->terminal = isatty(0);
    if (!c->terminal || tcgetpgrp(0) == getpgrp()) {
        in = stdio_descriptor(c, 0);
        if (c->terminal)
            term_make_raw(0);
    }
    rc2 = stream_attach(&c->s, in, stdio_descriptor(c, 1));
    if (rc2 < 0) {
        stdio_close(&c->s.n);
        return err_set(e, -rc2, "cannot watch standard input and output: %s", strerror(-rc2));
    }
    *out = &c->s.n;
    return 0;
}

const struct console_ops console_stdio = {
    .name = "stdio",
    .open = stdio_open,
    .close = stdio_close,
    .write = stream_write,
    .listen = stream_listen,
    .more = stream_more,
};
