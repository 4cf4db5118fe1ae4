/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain.c - the consoles none, file=PATH, pty and unix=PATH.
 *
 * A pty keeps its own descriptor of the far side open and raw, so that nothing is echoed back and
 * the near side never hangs up. A unix socket serves one client at a time; others wait. What the
 * guest prints while nobody reads is kept (up to the limit) and given to the next reader.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "console/kinds.h"
#include "console/stream.h"
#include "core/err.h"
#include "core/usock.h"

struct plain {
    struct stream s; /* first */
    int far;         /* pty: the side that others open */
    struct watch listener;
    char *path;
};

static struct plain *plain_of(struct console *n)
{
    return container_of(n, struct plain, s.n);
}

static int plain_create(const struct console_ops *ops, struct loop *l, struct plain **out,
                        struct err *e)
{
    struct plain *p = calloc(1, sizeof(*p));
    int rc;

    if (!p)
        return err_set(e, ENOMEM, "no memory for a console");
    p->far = p->listener.fd = -1;
    rc = stream_init(&p->s, ops, l, e);
    if (rc < 0) {
        free(p);
        return rc;
    }
    *out = p;
    return 0;
}

static void plain_close(struct console *n)
{
    struct plain *p = plain_of(n);

    loop_unwatch(p->s.loop, &p->listener);
    usock_unlisten(p->listener.fd, p->path);
    stream_done(&p->s);
    if (p->far >= 0)
        close(p->far);
    free(p->path);
    free(p);
}

/* --- none --- */

static void none_write(struct console *n, const uint8_t *p, size_t len)
{
    (void)n;
    (void)p;
    (void)len;
}

static void none_listen(struct console *n, console_take_fn *take, void *arg)
{
    (void)n;
    (void)take;
    (void)arg;
}

static void none_more(struct console *n)
{
    (void)n;
}

static void none_close(struct console *n)
{
    free(n);
}

static int none_open(const char *value, struct loop *l, struct console **out, struct err *e)
{
    int rc = console_no_value("none", value, e);

    (void)l;
    if (rc < 0)
        return rc;
    *out = calloc(1, sizeof(**out));
    if (!*out)
        return err_set(e, ENOMEM, "no memory for a console");
    (*out)->ops = &console_none;
    snprintf((*out)->where, sizeof((*out)->where), "none");
    return 0;
}

/* --- file --- */

static int file_open(const char *path, struct loop *l, struct console **out, struct err *e)
{
    int rc = console_path("file", path, e), fd;
    struct plain *p;

    if (rc < 0)
        return rc;
    /* Non-blocking, so that a FIFO which nobody reads is an error instead of a wait for ever. */
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
    if (fd < 0 && errno == ENXIO)
        return err_exit(e, EX_MISSING, ENXIO,
                        "cannot write the console to the FIFO %s: nobody reads it yet", path);
    if (fd < 0)
        return err_set(e, errno, "cannot write the console to %s: %s", path, strerror(errno));
    rc = plain_create(&console_file, l, &p, e);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    p->s.full = STREAM_SLOW;
    snprintf(p->s.n.where, sizeof(p->s.n.where), "file %s", path);
    rc = stream_attach(&p->s, -1, fd);
    if (rc < 0) {
        plain_close(&p->s.n);
        return err_set(e, -rc, "cannot watch %s: %s", path, strerror(-rc));
    }
    *out = &p->s.n;
    return 0;
}

/* --- pty --- */

static int pty_pair(int *near, int *far, char *name, size_t room, struct err *e)
{
    struct termios raw;

    if (openpty(near, far, NULL, NULL, NULL) < 0)
        return err_set(e, errno, "cannot make a pty: %s", strerror(errno));
    if (tcgetattr(*far, &raw) == 0) {
        cfmakeraw(&raw);
        tcsetattr(*far, TCSANOW, &raw);
    }
    if (ptsname_r(*near, name, room) != 0)
        snprintf(name, room, "(unknown)");
    fcntl(*near, F_SETFL, O_NONBLOCK);
    fcntl(*near, F_SETFD, FD_CLOEXEC);
    fcntl(*far, F_SETFD, FD_CLOEXEC);
    return 0;
}

static int plain_attach_both(struct plain *p, int fd)
{
    int other = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (other < 0) {
        int code = errno;

        close(fd);
        return -code;
    }
    return stream_attach(&p->s, fd, other);
}

static int pty_open(const char *value, struct loop *l, struct console **out, struct err *e)
{
    int rc = console_no_value("pty", value, e), near, far;
    char name[100];
    struct plain *p;

    if (rc == 0)
        rc = pty_pair(&near, &far, name, sizeof(name), e);
    if (rc != 0)
        return rc;
    rc = plain_create(&console_pty, l, &p, e);
    if (rc < 0) {
        close(near);
        close(far);
        return rc;
    }
    p->far = far;
    snprintf(p->s.n.where, sizeof(p->s.n.where), "pty %s", name);
    rc = plain_attach_both(p, near);
    if (rc < 0) {
        plain_close(&p->s.n);
        return err_set(e, -rc, "cannot watch the pty %s: %s", name, strerror(-rc));
    }
    *out = &p->s.n;
    return 0;
}

/* --- unix socket --- */

static void unix_client(struct watch *w, uint32_t got)
{
    struct plain *p = container_of(w, struct plain, listener);
    int fd = usock_accept(w->fd);

    (void)got;
    if (fd < 0)
        return;
    if (plain_attach_both(p, fd) < 0)
        stream_detach(&p->s);
    else if (loop_rewatch(p->s.loop, w, 0) < 0)
        loop_unwatch(p->s.loop, w);
}

static void unix_ended(struct stream *s)
{
    struct plain *p = container_of(s, struct plain, s);

    stream_detach(s);
    if (loop_rewatch(s->loop, &p->listener, EPOLLIN) < 0)
        loop_unwatch(s->loop, &p->listener);
}

static int unix_open(const char *path, struct loop *l, struct console **out, struct err *e)
{
    int rc = console_path("unix", path, e);
    struct plain *p;

    if (rc == 0)
        rc = plain_create(&console_unix, l, &p, e);
    if (rc != 0)
        return rc;
    p->path = strdup(path);
    p->s.ended = unix_ended;
    snprintf(p->s.n.where, sizeof(p->s.n.where), "unix %s", path);
    rc = p->path ? usock_listen(path, &p->listener.fd, e) : err_set(e, ENOMEM, "no memory");
    if (rc == 0) {
        p->listener.want = EPOLLIN;
        p->listener.ready = unix_client;
        rc = loop_watch(l, &p->listener);
        if (rc < 0)
            rc = err_set(e, -rc, "cannot watch %s: %s", path, strerror(-rc));
    }
    if (rc < 0) {
        plain_close(&p->s.n);
        return rc;
    }
    *out = &p->s.n;
    return 0;
}

const struct console_ops console_none = {
    .name = "none",
    .open = none_open,
    .close = none_close,
    .write = none_write,
    .listen = none_listen,
    .more = none_more,
};
const struct console_ops console_file = {
    .name = "file",
    .open = file_open,
    .close = plain_close,
    .write = stream_write,
    .listen = stream_listen,
    .more = stream_more,
};
const struct console_ops console_pty = {
    .name = "pty",
    .open = pty_open,
    .close = plain_close,
    .write = stream_write,
    .listen = stream_listen,
    .more = stream_more,
};
const struct console_ops console_unix = {
    .name = "unix",
    .open = unix_open,
    .close = plain_close,
    .write = stream_write,
    .listen = stream_listen,
    .more = stream_more,
};
