/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - runs one command in a software host: the outer end of a port.
 *
 * Standard streams, the terminal's size and the signals that a user sends go through. With the
 * command's standard input on a terminal, the terminal is put into raw mode: all keys, Ctrl-C too,
 * are for the command inside, which has a terminal of its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"
#include "core/usock.h"
#include "softhost/softhost.h"
#include "softhost/wire.h"

enum { CLIENT_BOOT_MS = 240000 };

struct client {
    const struct softhost_command *cmd;
    const char *dir;
    struct wire_in in;
    size_t credit; /* bytes of standard input that may be sent */
    int lock, port, signals, relay;
    bool tty, stdin_open, ended;
    struct termios saved;
    sigset_t mask;
    int code;
};

/* --- the port --- */

/* The first port that nobody uses. Its lock ends with the descriptor. */
static int client_open(struct client *c, struct err *e)
{
    for (int i = 1; i <= WIRE_PORTS; i++) {
        char path[SOFTHOST_PATH + 16];
        int rc;

        snprintf(path, sizeof(path), "%s/port%d.lock", c->dir, i);
        c->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (c->lock < 0)
            return err_set(e, errno, "cannot open %s: %s", path, strerror(errno));
        if (flock(c->lock, LOCK_EX | LOCK_NB) < 0) {
            close(c->lock);
            c->lock = -1;
            continue;
        }
        path[strlen(path) - strlen(".lock")] = '\0';
        rc = usock_connect(path, &c->port, e);
        return rc < 0 ? err_exit(e, EX_NO_HOST, -rc,
                                 "the software host in %s has ended; see "
                                 "%s/console",
                                 c->dir, c->dir)
                      : 0;
    }
    return err_exit(e, EX_IN_USE, EBUSY,
                    "the software host in %s runs %d commands already: wait "
                    "for one to end",
                    c->dir, WIRE_PORTS);
}

static int client_gone(struct client *c, struct err *e)
{
    return err_exit(e, EX_NO_HOST, EPIPE, "the software host died; see %s/console and %s/qemu.log",
                    c->dir, c->dir);
}

/* Greets until the agent answers; its kernel may still be coming up. What arrives before the answer
 * was for somebody else. */
static int client_hello(struct client *c, struct err *e)
{
    unsigned char hello[WIRE_HELLO_LEN], got[WIRE_HELLO_LEN] = {0};
    struct timespec start, now;
    int rc;

    memcpy(hello, WIRE_MAGIC, WIRE_MAGIC_LEN);
    if (getrandom(hello + WIRE_MAGIC_LEN, WIRE_NONCE_LEN, 0) != WIRE_NONCE_LEN)
        return err_set(e, errno, "no random numbers: %s", strerror(errno));
    rc = wire_send_all(c->port, hello, sizeof(hello));
    if (rc < 0)
        return client_gone(c, e);
    clock_gettime(CLOCK_MONOTONIC, &start);
    while (memcmp(hello, got, sizeof(got)) != 0) {
        struct pollfd p = {c->port, POLLIN, 0};
        unsigned char byte;
        ssize_t n;

        clock_gettime(CLOCK_MONOTONIC, &now);
        if ((now.tv_sec - start.tv_sec) * 1000 > CLIENT_BOOT_MS)
            return err_exit(e, EX_NO_HOST, ETIMEDOUT,
                            "the software host does not answer; see %s/console", c->dir);
        if (poll(&p, 1, 1000) <= 0)
            continue;
        n = read(c->port, &byte, 1);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return client_gone(c, e);
        if (n < 0)
            continue;
        memmove(got, got + 1, sizeof(got) - 1);
        got[sizeof(got) - 1] = byte;
    }
    return 0;
}

static void client_window(struct wire_window *out)
{
    struct winsize w;

    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &w) == 0)
        *out = (struct wire_window){w.ws_row, w.ws_col};
}

static int client_start(struct client *c, struct err *e)
{
    struct wire_start head = {.tty = c->tty};
    char *data = NULL, *cwd = getcwd(NULL, 0);
    size_t len = 0;
    FILE *f = open_memstream(&data, &len);
    int rc = -ENOMEM;

    if (f) {
        client_window(&head.window);
        while (c->cmd->argv[head.argc])
            head.argc++;
        fwrite(&head, sizeof(head), 1, f);
        for (size_t i = 0; i < head.argc; i++)
            fwrite(c->cmd->argv[i], strlen(c->cmd->argv[i]) + 1, 1, f);
        fwrite(cwd ? cwd : "/", strlen(cwd ? cwd : "/") + 1, 1, f);
        for (char **v = environ; *v; v++)
            fwrite(*v, strlen(*v) + 1, 1, f);
        fclose(f);
        rc = len <= WIRE_MESSAGE_MAX ? wire_send(c->port, WIRE_START, data, len) : -E2BIG;
    }
    free(data);
    free(cwd);
    if (rc == -E2BIG)
        return err_set(e, E2BIG, "the arguments and the environment are too large");
    return rc < 0 ? client_gone(c, e) : 0;
}

/* --- while it runs --- */

static int client_stdin(struct client *c)
{
    char buf[WIRE_CHUNK];
    ssize_t n = read(c->cmd->in, buf, min_u64(sizeof(buf), c->credit));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) {
        c->stdin_open = false;
        return wire_send(c->port, WIRE_EOF, NULL, 0);
    }
    c->credit -= (size_t)n;
    return wire_send(c->port, WIRE_STDIN, buf, (size_t)n);
}

static int client_signal(struct client *c)
{
    struct signalfd_siginfo info;
    int number;

    if (read(c->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return 0;
    number = (int)info.ssi_signo;
    if (number == SIGCHLD) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        return 0;
    }
    if (number == SIGWINCH) {
        struct wire_window w = {0};

        client_window(&w);
        return wire_send(c->port, WIRE_WINDOW, &w, sizeof(w));
    }
    return wire_send(c->port, WIRE_SIGNAL, &number, sizeof(number));
}

/* Somebody connected to the outer name of a socket inside: a child takes it there. */
static void client_relay(struct client *c)
{
    int fd = usock_accept(c->relay), code;
    char self[SOFTHOST_PATH];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *argv[] = {self, (char *)"soft-agent", (char *)"connect", (char *)c->cmd->relay_to, NULL};
    struct softhost_command cmd = {.argv = argv, .in = fd, .out = fd, .err = STDERR_FILENO};
    struct err e;

    if (fd < 0)
        return;
    self[n > 0 ? n : 0] = '\0';
    if (fork() == 0) {
        close(c->port);
        close(c->lock);
        close(c->relay);
        _exit(softhost_exec(c->dir, &cmd, &code, &e) < 0 ? EX_NO_HOST : EX_OK);
    }
    close(fd);
}

static void client_ready(struct client *c)
{
    struct err ignored;

    if (c->cmd->relay && usock_listen(c->cmd->relay, &c->relay, &ignored) < 0)
        c->relay = -1;
    if (c->cmd->ready)
        c->cmd->ready(c->cmd->arg);
}

static int client_message(struct client *c, const struct wire_msg *m, struct err *e)
{
    uint32_t credit;
    int rc = 0;

    switch (m->kind) {
    case WIRE_STDOUT:
    case WIRE_STDERR:
        rc = wire_send_all(m->kind == WIRE_STDOUT ? c->cmd->out : c->cmd->err, m->data, m->len);
        if (rc < 0) /* nobody reads it any more: the command learns it as it would outside */
            rc = wire_send(c->port, WIRE_SIGNAL, &(int){SIGPIPE}, sizeof(int));
        return rc < 0 ? client_gone(c, e) : 0;
    case WIRE_CREDITED:
        memcpy(&credit, m->data, sizeof(credit));
        c->credit += credit;
        return 0;
    case WIRE_READY:
        client_ready(c);
        return 0;
    case WIRE_EXIT:
        memcpy(&c->code, m->data, sizeof(c->code));
        c->ended = true;
        return 0;
    case WIRE_FAILED:
        memcpy(&rc, m->data, sizeof(rc));
        return err_set(e, rc, "cannot %.*s in the software host: %s", (int)(m->len - sizeof(rc)),
                       (const char *)m->data + sizeof(rc), strerror(rc));
    default:
        return err_exit(e, EX_BUG, EPROTO, "the software host speaks another language: stop it");
    }
}

static int client_port(struct client *c, struct err *e)
{
    ssize_t n = wire_fill(&c->in, c->port);
    struct wire_msg m;
    int rc = 0;

    if (n == -EAGAIN || n == -EINTR)
        return 0;
    if (n <= 0)
        return client_gone(c, e);
    while (!c->ended && rc == 0 && (rc = wire_next(&c->in, &m)) > 0)
        rc = client_message(c, &m, e);
    return rc == -EPROTO ? client_gone(c, e) : rc;
}

static int client_loop(struct client *c, struct err *e)
{
    while (!c->ended) {
        struct pollfd p[] = {
            {c->port, POLLIN, 0},
            {c->signals, POLLIN, 0},
            {c->stdin_open && c->credit ? c->cmd->in : -1, POLLIN, 0},
            {c->relay, POLLIN, 0},
        };
        int rc = 0;

        if (poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR)
            return err_set(e, errno, "poll: %s", strerror(errno));
        if (p[1].revents)
            rc = client_signal(c);
        if (rc == 0 && p[2].revents)
            rc = client_stdin(c);
        if (p[3].revents)
            client_relay(c);
        /* A port that has gone still has the last words of the agent. */
        if (p[0].revents || rc < 0)
            rc = client_port(c, e);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* --- the terminal and the signals --- */

static int client_take_over(struct client *c, struct err *e)
{
    static const int taken[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGCHLD, SIGPIPE};
    struct termios raw;
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
        sigaddset(&set, taken[i]);
    sigprocmask(SIG_BLOCK, &set, &c->mask);
    sigdelset(&set, SIGPIPE);
    c->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (c->signals < 0)
        return err_set(e, errno, "signalfd: %s", strerror(errno));
    if (!c->tty)
        return 0;
    tcgetattr(c->cmd->in, &c->saved);
    raw = c->saved;
    cfmakeraw(&raw);
    tcsetattr(c->cmd->in, TCSADRAIN, &raw);
    return 0;
}

static void client_give_back(struct client *c)
{
    sigset_t pipe;

    /* One that came while it was blocked is not for the caller. */
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    while (sigtimedwait(&pipe, NULL, &(struct timespec){0, 0}) > 0)
        ;
    if (c->tty)
        tcsetattr(c->cmd->in, TCSADRAIN, &c->saved);
    sigprocmask(SIG_SETMASK, &c->mask, NULL);
    if (c->signals >= 0)
        close(c->signals);
}

int softhost_exec(const char *dir, const struct softhost_command *cmd, int *code, struct err *e)
{
    struct client c = {
        .cmd = cmd,
        .dir = dir,
        .credit = WIRE_CREDIT,
        .lock = -1,
        .port = -1,
        .signals = -1,
        .relay = -1,
        .stdin_open = cmd->in >= 0,
    };
    int rc = client_open(&c, e);

    c.tty = rc == 0 && isatty(cmd->in) && isatty(cmd->out);
    if (rc == 0)
        rc = client_hello(&c, e);
    if (rc == 0)
        rc = client_start(&c, e);
    if (rc == 0) {
        rc = client_take_over(&c, e);
        if (rc == 0)
            rc = client_loop(&c, e);
        client_give_back(&c);
    }
    if (rc == 0) {
        /* The answer is here; a port that has gone since changes nothing. */
        (void)!wire_send(c.port, WIRE_BYE, NULL, 0);
        *code = c.code;
    }
    if (c.relay >= 0)
        usock_unlisten(c.relay, cmd->relay);
    wire_free(&c.in);
    if (c.port >= 0)
        close(c.port);
    if (c.lock >= 0)
        close(c.lock);
    return rc;
}
