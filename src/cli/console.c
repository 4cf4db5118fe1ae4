/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.c - `hospes console`: this terminal as one more reader and typist of a machine's
 * console. Ctrl-] q leaves; the machine goes on.
 */
#define _GNU_SOURCE
#include "console/console.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/commands.h"
#include "core/loop.h"
#include "machine/remote.h"

enum { CONSOLE_CALL_MS = 5000 };

struct attached {
    struct loop *loop;
    struct console *here; /* this terminal */
    struct watch there;   /* the machine */
    bool left;            /* by the key, or at the end of input: not an error */
};

static void attached_leave(void *arg)
{
    struct attached *a = arg;

    a->left = true;
    loop_stop(a->loop);
}

static const struct console_key attached_keys[] = {
    {'q', "leave the console; the machine goes on", attached_leave},
    {0},
};

static size_t attached_typed(void *arg, const uint8_t *p, size_t len)
{
    struct attached *a = arg;
    ssize_t n = send(a->there.fd, p, len, MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN && errno != EINTR)
        loop_stop(a->loop);
    if (n < (ssize_t)len && a->there.loop &&
        loop_rewatch(a->loop, &a->there, EPOLLIN | EPOLLOUT) < 0)
        loop_stop(a->loop);
    return n > 0 ? (size_t)n : 0;
}

static void attached_ready(struct watch *w, uint32_t got)
{
    struct attached *a = container_of(w, struct attached, there);
    uint8_t buf[16384];
    ssize_t n;

    if (got & EPOLLOUT) {
        if (loop_rewatch(a->loop, w, EPOLLIN) < 0)
            loop_stop(a->loop);
        console_more(a->here);
    }
    if (!(got & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    n = recv(w->fd, buf, sizeof(buf), 0);
    if (n > 0)
        console_write(a->here, buf, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        loop_stop(a->loop);
}

/* Until one side ends. */
static int attached_run(struct attached *a, struct remote *r, struct err *e)
{
    const char *early;
    size_t len;
    int rc;

    a->there = (struct watch){
        .fd = remote_stream(r, &early, &len), .want = EPOLLIN, .ready = attached_ready};
    rc = console_open("stdio", a->loop, &a->here, e);
    if (rc < 0)
        return rc;
    console_set_keys(a->here, attached_keys, a);
    console_write(a->here, (const uint8_t *)early, len);
    rc = loop_watch(a->loop, &a->there);
    if (rc < 0)
        rc = err_set(e, -rc, "cannot watch the machine's console: %s", strerror(-rc));
    if (rc == 0) {
        console_listen(a->here, attached_typed, a);
        rc = loop_run(a->loop, e);
    }
    loop_unwatch(a->loop, &a->there);
    console_close(a->here);
    return rc;
}

static int attached_start(const char *name, struct err *e)
{
    struct attached a = {0};
    struct remote *r;
    int rc = remote_open(name, &r, e);

    if (rc < 0)
        return rc;
    rc = remote_call(r, "console", NULL, CONSOLE_CALL_MS, NULL, e);
    if (rc == 0)
        rc = loop_create(&a.loop, e);
    if (rc == 0) {
        if (isatty(STDIN_FILENO))
            fprintf(stderr, "Console of %s; Ctrl-] q leaves, Ctrl-] ? lists the keys.\n", name);
        rc = attached_run(&a, r, e);
        loop_destroy(a.loop);
    }
    remote_close(r);
    if (rc == 0 && isatty(STDIN_FILENO))
        fprintf(stderr, "\n%s\n", a.left ? "Left; the machine goes on." : "The machine has ended.");
    return rc;
}

static int console_main(int argc, char **argv)
{
    struct err e;
    int n, rc = cli_parse(&cli_console, argc, argv, NULL, &n, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0 && n != 1)
        rc =
            err_exit(&e, EX_USAGE_, EINVAL, "console wants the name of one machine; see hospes ls");
    if (rc == 0)
        rc = attached_start(argv[1], &e);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

const struct cli_command cli_console = {
    .name = "console",
    .args = "NAME",
    .about = "Attaches this terminal to a machine's serial console.",
    .more = "What the guest printed last comes first. Ctrl-] q leaves and the machine goes on.",
    .run = console_main,
};
