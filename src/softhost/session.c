/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - see session.h. One process per port, one thread.
 *
 * Backpressure: the command's output is read only while the port takes more, so that the client's
 * messages are heard also when the client does not read; standard input comes by credit, so a
 * command that reads nothing cannot block a signal behind it.
 */
#define _GNU_SOURCE
#include "softhost/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "softhost/wire.h"

enum {
    SESSION_DRAIN_MS = 200, /* for what a command's own children still write after its end */
    SESSION_TERM_MS = 10000 /* from SIGHUP to SIGKILL when the client has left */
};

struct session {
    int port, children;
    int in, out, err, ready; /* our ends; -1 when closed. A terminal: in and out, two descriptors */
    bool tty, eof, left, exited, bye, writable;
    pid_t pid;
    int code;
    struct wire_in msgs;
    unsigned char stdin_buf[WIRE_CREDIT];
    size_t stdin_len;
};

/* What the child needs, taken apart from one START. The strings stay in `copy`. */
struct session_start {
    struct wire_start head;
    char *copy, **argv, **env;
    const char *cwd;
};

static void session_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void session_failed(struct session *s, int code, const char *what)
{
    char buf[64];

    memcpy(buf, &code, sizeof(code));
    snprintf(buf + sizeof(code), sizeof(buf) - sizeof(code), "%s", what);
    (void)!wire_send(s->port, WIRE_FAILED, buf, sizeof(code) + strlen(what));
}

/* --- start --- */

/* argc + 1 strings at least; the rest is the environment. */
static int session_parse(const struct wire_msg *m, struct session_start *out)
{
    size_t len = m->len - sizeof(out->head), strings = 0, at = 0;
    char **v;

    if (m->kind != WIRE_START || m->len <= sizeof(out->head) || m->data[m->len - 1] != '\0')
        return -EPROTO;
    memcpy(&out->head, m->data, sizeof(out->head));
    for (size_t i = 0; i < len; i++)
        strings += m->data[sizeof(out->head) + i] == '\0';
    if (out->head.argc == 0 || out->head.argc >= strings)
        return -EPROTO;
    /* A NULL after the arguments and one after the environment; the two of session_words(). */
    v = calloc(strings + 4, sizeof(*v));
    out->copy = malloc(len);
    if (!v || !out->copy) {
        free(v);
        return -ENOMEM;
    }
    memcpy(out->copy, m->data + sizeof(out->head), len);
    out->argv = v;
    out->env = v + out->head.argc + 1;
    for (size_t i = 0; i < strings; i++) {
        char *text = out->copy + at;

        at += strlen(text) + 1;
        if (i < out->head.argc)
            out->argv[i] = text;
        else if (i == out->head.argc)
            out->cwd = text;
        else
            out->env[i - out->head.argc - 1] = text;
    }
    return 0;
}

struct session_pipes {
    int in, out, err, ready, failed; /* the child's ends */
};

/* Tells the command where it says that it is ready. Its children have the words but perhaps not the
 * descriptor, whose number may then be another file's: hence the inode. */
static void session_words(char **env, int fd)
{
    static char number[40], inode[48];
    struct stat st;
    size_t n = 0;

    if (fstat(fd, &st) < 0 || fcntl(fd, F_SETFD, 0) < 0)
        return;
    snprintf(number, sizeof(number), "HOSPES_READY_FD=%d", fd);
    snprintf(inode, sizeof(inode), "HOSPES_READY_INODE=%llu", (unsigned long long)st.st_ino);
    while (env[n])
        n++;
    env[n] = number;
    env[n + 1] = inode;
}

static void session_exec(const struct session_start *st, const struct session_pipes *p)
{
    const char *what = "exec";
    sigset_t none;
    int code;

    setsid();
    dup2(p->in, STDIN_FILENO);
    dup2(p->out, STDOUT_FILENO);
    dup2(p->err, STDERR_FILENO);
    if (st->head.tty)
        ioctl(STDIN_FILENO, TIOCSCTTY, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    session_words(st->env, p->ready);
    environ = st->env;
    if (chdir(st->cwd) < 0)
        what = "chdir";
    else
        execvp(st->argv[0], st->argv);
    code = errno;
    (void)!write(p->failed, &code, sizeof(code));
    (void)!write(p->failed, what, strlen(what));
    _exit(127);
}

static void session_size(int fd, const struct wire_window *w)
{
    ioctl(fd, TIOCSWINSZ, &(struct winsize){.ws_row = w->rows, .ws_col = w->cols});
}

/* Makes our ends and the child's; 0 or -errno with all closed that can be. */
static int session_pipes(struct session *s, const struct session_start *st, struct session_pipes *p)
{
    int in[2], out[2], err[2], ready[2], rc = 0;

    if (st->head.tty) {
        if (openpty(&out[0], &out[1], NULL, NULL, NULL) < 0)
            return -errno;
        session_size(out[0], &st->head.window);
        fcntl(out[0], F_SETFD, FD_CLOEXEC);
        fcntl(out[1], F_SETFD, FD_CLOEXEC);
        s->in = fcntl(out[0], F_DUPFD_CLOEXEC, 0);
        s->out = out[0];
        p->in = p->err = p->out = out[1];
    } else {
        if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
            return -errno;
        s->in = in[1];
        s->out = out[0];
        s->err = err[0];
        p->in = in[0];
        p->out = out[1];
        p->err = err[1];
    }
    if (pipe2(ready, O_CLOEXEC) < 0)
        rc = -errno;
    s->ready = ready[0];
    p->ready = ready[1];
    fcntl(s->in, F_SETFL, O_NONBLOCK);
    return rc;
}

static int session_spawn(struct session *s, const struct session_start *st)
{
    struct session_pipes p = {-1, -1, -1, -1, -1};
    int failed[2], code, rc = session_pipes(s, st, &p);
    char what[16];
    ssize_t n;

    if (rc < 0 || pipe2(failed, O_CLOEXEC) < 0) {
        session_failed(s, rc < 0 ? -rc : errno, "make pipes");
        return -1;
    }
    p.failed = failed[1];
    s->tty = st->head.tty;
    s->pid = fork();
    if (s->pid == 0)
        session_exec(st, &p);
    code = errno;
    close(p.in);
    if (!s->tty) {
        close(p.out);
        close(p.err);
    }
    close(p.ready);
    close(failed[1]);
    n = s->pid < 0 ? (ssize_t)sizeof(code) : read(failed[0], &code, sizeof(code));
    if (n == (ssize_t)sizeof(code)) {
        snprintf(what, sizeof(what), "fork");
        if (s->pid > 0) {
            n = read(failed[0], what, sizeof(what) - 1);
            what[n > 0 ? n : 0] = '\0';
            waitpid(s->pid, NULL, 0);
        }
        session_failed(s, code, strcmp(what, "exec") == 0 ? "run the program" : what);
    }
    close(failed[0]);
    return n == 0 ? 0 : -1;
}

/* --- while it runs --- */

static void session_flush_stdin(struct session *s)
{
    ssize_t n;
    uint32_t credit;

    if (s->stdin_len) {
        n = write(s->in, s->stdin_buf, s->stdin_len);
        if (n < 0 && errno == EAGAIN)
            return;
        /* A command that has closed its input gets no more: as outside. */
        credit = n < 0 ? (uint32_t)s->stdin_len : (uint32_t)n;
        s->stdin_len -= credit;
        memmove(s->stdin_buf, s->stdin_buf + credit, s->stdin_len);
        if (wire_send(s->port, WIRE_CREDITED, &credit, sizeof(credit)) < 0)
            s->left = true;
    }
    if (s->stdin_len == 0 && s->eof && !s->tty)
        session_close(&s->in);
}

static void session_message(struct session *s, const struct wire_msg *m)
{
    struct wire_window w;
    int number;

    if (m->kind == WIRE_STDIN && m->len <= sizeof(s->stdin_buf) - s->stdin_len) {
        memcpy(s->stdin_buf + s->stdin_len, m->data, m->len);
        s->stdin_len += m->len;
        if (s->in >= 0)
            session_flush_stdin(s);
        else
            s->stdin_len = 0;
    } else if (m->kind == WIRE_EOF) {
        s->eof = true;
        if (s->in >= 0)
            session_flush_stdin(s);
    } else if (m->kind == WIRE_WINDOW && m->len == sizeof(w)) {
        memcpy(&w, m->data, sizeof(w));
        if (s->tty && s->in >= 0)
            session_size(s->in, &w);
    } else if (m->kind == WIRE_SIGNAL && m->len == sizeof(number)) {
        memcpy(&number, m->data, sizeof(number));
        if (!s->exited)
            kill(-s->pid, number);
    } else if (m->kind == WIRE_BYE) {
        s->bye = true;
    } else {
        s->left = true; /* nonsense: as if the client were gone */
    }
}

/* All that have arrived whole. */
static void session_messages(struct session *s)
{
    struct wire_msg m;
    int rc = 0;

    while (!s->bye && (rc = wire_next(&s->msgs, &m)) > 0)
        session_message(s, &m);
    if (rc < 0)
        s->left = true;
}

static void session_port(struct session *s)
{
    ssize_t n = wire_fill(&s->msgs, s->port);

    if (n == -EAGAIN || n == -EINTR)
        return;
    if (n <= 0)
        s->left = true;
    else
        session_messages(s);
}

static bool session_can_write(int port)
{
    struct pollfd p = {port, POLLOUT, 0};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

/* One piece of output. The end of it closes the descriptor; a terminal's end is EIO. */
static void session_output(struct session *s, int *fd, enum wire_kind kind)
{
    unsigned char buf[WIRE_CHUNK];
    ssize_t n = read(*fd, buf, sizeof(buf));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0)
        session_close(fd);
    else if (wire_send(s->port, kind, buf, (size_t)n) < 0)
        s->left = true;
    s->writable = session_can_write(s->port);
}

static void session_ready(struct session *s)
{
    char byte;

    if (read(s->ready, &byte, 1) == 1 && wire_send(s->port, WIRE_READY, NULL, 0) < 0)
        s->left = true;
    session_close(&s->ready);
}

static void session_child(struct session *s)
{
    struct signalfd_siginfo info;
    int status;

    (void)!read(s->children, &info, sizeof(info));
    if (waitpid(s->pid, &status, WNOHANG) != s->pid)
        return;
    s->exited = true;
    s->code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void session_round(struct session *s, int timeout)
{
    struct pollfd p[] = {
        {s->port, (short)(POLLIN | (s->writable ? 0 : POLLOUT)), 0},
        {s->children, POLLIN, 0},
        {s->writable ? s->out : -1, POLLIN, 0},
        {s->writable ? s->err : -1, POLLIN, 0},
        {s->stdin_len ? s->in : -1, POLLOUT, 0},
        {s->ready, POLLIN, 0},
    };

    if (poll(p, ARRAY_SIZE(p), timeout) < 0)
        return;
    if (p[0].revents & POLLHUP)
        s->left = true;
    else if (p[0].revents & POLLIN)
        session_port(s);
    s->writable = s->writable || (p[0].revents & POLLOUT);
    if (p[1].revents)
        session_child(s);
    if (p[2].revents)
        session_output(s, &s->out, WIRE_STDOUT);
    if (p[3].revents && s->writable)
        session_output(s, &s->err, WIRE_STDERR);
    if (p[4].revents && s->in >= 0)
        session_flush_stdin(s);
    if (p[5].revents && s->ready >= 0)
        session_ready(s);
}

static long session_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The client is gone: what it started gets SIGHUP, and some time to end well. */
static void session_abandon(struct session *s)
{
    kill(-s->pid, SIGHUP);
    for (int ms = 0; waitpid(s->pid, NULL, WNOHANG) == 0; ms += 50) {
        if (ms == SESSION_TERM_MS)
            kill(-s->pid, SIGKILL);
        nanosleep(&(struct timespec){0, 50000000}, NULL);
    }
    kill(-s->pid, SIGKILL);
}

static void session_loop(struct session *s)
{
    long end = 0;

    session_messages(s); /* those that came together with START */
    while (!s->left && (s->out >= 0 || s->err >= 0 || !s->exited)) {
        session_round(s, s->exited ? 20 : -1);
        if (s->exited && !end)
            end = session_now_ms() + SESSION_DRAIN_MS;
        if (s->exited && session_now_ms() > end && s->writable)
            break;
    }
    if (!s->exited) {
        session_abandon(s);
        return;
    }
    if (!s->left && wire_send(s->port, WIRE_EXIT, &s->code, sizeof(s->code)) < 0)
        s->left = true;
    session_close(&s->out);
    session_close(&s->err);
    while (!s->left && !s->bye)
        session_round(s, -1);
}

void session_run(int port)
{
    struct session s = {
        .port = port, .in = -1, .out = -1, .err = -1, .ready = -1, .writable = true};
    struct session_start st = {.copy = NULL};
    struct wire_msg m;
    sigset_t chld;
    int rc = 0;

    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &chld, NULL);
    s.children = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
    while (rc == 0) {
        struct pollfd p = {port, POLLIN, 0};
        ssize_t n;

        if (poll(&p, 1, -1) < 0 || (p.revents & POLLHUP))
            break;
        n = wire_fill(&s.msgs, port);
        if (n == -EAGAIN)
            continue;
        rc = n <= 0 ? -EPIPE : wire_next(&s.msgs, &m);
    }
    if (rc > 0 && session_parse(&m, &st) == 0 && session_spawn(&s, &st) == 0)
        session_loop(&s);
    session_close(&s.in);
    session_close(&s.out);
    session_close(&s.err);
    session_close(&s.ready);
    session_close(&s.children);
    free(st.copy);
    free(st.argv);
    wire_free(&s.msgs);
}
