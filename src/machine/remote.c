/* SPDX-License-Identifier: Apache-2.0 */
/* remote.c - see remote.h. */
#define _GNU_SOURCE
#include "machine/remote.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"
#include "core/usock.h"
#include "machine/control.h"
#include "machine/runtime.h"

enum {
    REMOTE_LINE_MAX = 4 << 20, /* bytes of an answer */
    REMOTE_GREETING_MS = 5000,
};

struct remote {
    int fd;
    int pid;
    char name[RUNTIME_NAME_MAX + 1];
    char *buf; /* read, not yet used */
    size_t len, room;
};

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void remote_close(struct remote *r)
{
    if (!r)
        return;
    close(r->fd);
    free(r->buf);
    free(r);
}

int remote_pid(const struct remote *r)
{
    return r->pid;
}

const char *remote_text(struct json_object *o, const char *key)
{
    struct json_object *v;

    return json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : NULL;
}

uint64_t remote_number(struct json_object *o, const char *key)
{
    struct json_object *v;

    return json_object_object_get_ex(o, key, &v) ? json_object_get_uint64(v) : 0;
}

static bool remote_grow(struct remote *r)
{
    size_t room = r->room ? r->room * 2 : 4096;
    char *buf = room <= REMOTE_LINE_MAX ? realloc(r->buf, room) : NULL;

    if (!buf)
        return false;
    r->buf = buf;
    r->room = room;
    return true;
}

/* More bytes into buf: 1, 0 at the time limit (until, in now_ms(); -1: none), -errno. */
static int remote_fill(struct remote *r, int64_t until)
{
    struct pollfd p = {.fd = r->fd, .events = POLLIN};
    int64_t left = until < 0 ? -1 : until - now_ms();
    ssize_t n;

    if (r->len == r->room && !remote_grow(r))
        return -E2BIG;
    if (until >= 0 && left < 0)
        left = 0;
    n = poll(&p, 1, left > 60000 ? 60000 : (int)left);
    if (n < 0 && errno != EINTR)
        return -errno;
    if (n <= 0)
        return until < 0 || now_ms() < until;
    n = recv(r->fd, r->buf + r->len, r->room - r->len, 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 1 : -errno;
    if (n == 0)
        return -ECONNRESET;
    r->len += (size_t)n;
    return 1;
}

/* The next message: 1, 0 at the time limit, -errno with e. */
static int remote_message(struct remote *r, int64_t until, struct json_object **out, struct err *e)
{
    char *end;
    int rc = 1;

    while (rc > 0 && !(r->len && (end = memchr(r->buf, '\n', r->len))))
        rc = remote_fill(r, until);
    if (rc == -ECONNRESET)
        return err_exit(e, EX_HOST_IO, ECONNRESET, "%s has gone while it was asked", r->name);
    if (rc < 0)
        return err_set(e, -rc, "cannot talk to %s: %s", r->name, strerror(-rc));
    if (rc == 0)
        return 0;
    *end = '\0';
    *out = json_tokener_parse(r->buf);
    r->len -= (size_t)(end + 1 - r->buf);
    memmove(r->buf, end + 1, r->len);
    if (!json_object_is_type(*out, json_type_object)) {
        json_object_put(*out);
        return err_exit(e, EX_HOST_IO, EPROTO, "%s does not speak the control protocol", r->name);
    }
    return 1;
}

static int remote_greeting(struct remote *r, struct err *e)
{
    struct json_object *o;
    int rc = remote_message(r, now_ms() + REMOTE_GREETING_MS, &o, e);
    uint64_t protocol;

    if (rc < 0)
        return rc;
    if (rc == 0)
        return err_exit(e, EX_HOST_IO, ETIMEDOUT,
                        "%s does not answer; it may be stopped (SIGSTOP) or overloaded", r->name);
    protocol = remote_number(o, "protocol");
    r->pid = (int)remote_number(o, "pid");
    json_object_put(o);
    if (protocol != CONTROL_PROTOCOL)
        return err_exit(e, EX_HOST_IO, EPROTO,
                        "%s speaks version %llu of the control protocol and this hospes version "
                        "%d; use the hospes that started it",
                        r->name, (unsigned long long)protocol, CONTROL_PROTOCOL);
    return 0;
}

int remote_open(const char *name, struct remote **out, struct err *e)
{
    char path[RUNTIME_PATH_MAX];
    struct remote *r;
    int fd, rc = runtime_socket(name, false, path, e);

    if (rc == 0)
        rc = usock_connect(path, &fd, e);
    if (rc == -ECONNREFUSED)
        unlink(path); /* its machine did not end in good order */
    if (rc == -ENOENT || rc == -ECONNREFUSED)
        return err_exit(e, EX_MISSING, ENOENT,
                        "no machine named %s runs; hospes ls lists those that do", name);
    if (rc != 0)
        return rc;
    r = calloc(1, sizeof(*r));
    if (!r) {
        close(fd);
        return err_set(e, ENOMEM, "no memory");
    }
    r->fd = fd;
    memcpy(r->name, name, strlen(name) + 1);
    rc = remote_greeting(r, e);
    if (rc < 0) {
        remote_close(r);
        return rc;
    }
    *out = r;
    return 0;
}

static int remote_say(struct remote *r, struct json_object *o, struct err *e)
{
    size_t len, at = 0;
    const char *text = json_object_to_json_string_length(o, JSON_C_TO_STRING_PLAIN, &len);
    char *line = malloc(len + 1);
    int rc = 0;

    if (!line)
        return err_set(e, ENOMEM, "no memory");
    memcpy(line, text, len);
    line[len++] = '\n';
    while (rc == 0 && at < len) {
        struct pollfd p = {.fd = r->fd, .events = POLLOUT};
        ssize_t n = poll(&p, 1, REMOTE_GREETING_MS);

        n = n > 0 ? send(r->fd, line + at, len - at, MSG_NOSIGNAL) : -1;
        if (n > 0)
            at += (size_t)n;
        else if (errno != EAGAIN && errno != EINTR)
            rc = err_exit(e, EX_HOST_IO, errno, "cannot talk to %s: %s", r->name, strerror(errno));
    }
    free(line);
    return rc;
}

static int refusal(struct json_object *o, const char *name, struct err *e)
{
    const char *why = remote_text(o, "error");
    uint64_t code = remote_number(o, "exit");

    return err_exit(e, code && code < 126 ? (enum exit_code)code : EX_HOST_IO, EREMOTEIO, "%s: %s",
                    name, why ? why : "refused");
}

int remote_call(struct remote *r, const char *word, struct json_object *more, int timeout_ms,
                struct json_object **answer, struct err *e)
{
    struct json_object *req = more ? more : json_object_new_object(), *o = NULL, *ok;
    int64_t until = now_ms() + timeout_ms;
    int rc;

    json_object_object_add(req, "do", json_object_new_string(word));
    rc = remote_say(r, req, e);
    json_object_put(req);
    while (rc == 0) {
        rc = remote_message(r, until, &o, e);
        if (rc == 0)
            return err_exit(e, EX_HOST_IO, ETIMEDOUT, "%s does not answer", r->name);
        if (rc < 0)
            return rc;
        rc = 0;
        if (json_object_object_get_ex(o, "ok", &ok))
            break;
        json_object_put(o); /* an event from before */
    }
    if (rc != 0)
        return rc;
    rc = json_object_get_boolean(ok) ? 0 : refusal(o, r->name, e);
    if (answer && rc == 0)
        *answer = o;
    else
        json_object_put(o);
    return rc;
}

int remote_ask(const char *name, const char *word, struct json_object *more, int timeout_ms,
               struct json_object **answer, struct err *e)
{
    struct remote *r;
    int rc = remote_open(name, &r, e);

    if (rc != 0) {
        json_object_put(more);
        return rc;
    }
    rc = remote_call(r, word, more, timeout_ms, answer, e);
    remote_close(r);
    return rc;
}

int remote_event(struct remote *r, int timeout_ms, struct json_object **event, struct err *e)
{
    int64_t until = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;

    for (;;) {
        int rc = remote_message(r, until, event, e);

        if (rc <= 0 || remote_text(*event, "event"))
            return rc;
        json_object_put(*event);
    }
}

int remote_stream(struct remote *r, const char **early, size_t *len)
{
    *early = r->buf;
    *len = r->len;
    return r->fd;
}
