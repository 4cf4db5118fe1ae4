/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.c - see control.h. One line of JSON is one message; a client that sends no JSON, a line
 * that is too long, or does not read its answers is told why, if possible, and cut off.
 */
#define _GNU_SOURCE
#include "machine/control.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "console/console.h"
#include "core/err.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/usock.h"
#include "machine/info.h"
#include "machine/runtime.h"

enum { CONTROL_BACKLOG = 1 << 20 /* bytes of answers that a client may leave unread */ };

struct client {
    struct client *next;
    struct control *c;
    struct watch w;
    bool waits; /* gets events */
    bool gone;  /* freed by the reaper */
    char *in;   /* an unfinished line */
    size_t in_len;
    char *out; /* unsent */
    size_t out_len, out_at;
    struct json_object *late; /* the request that is answered when it is done; NULL: none */
};

struct control {
    struct loop *loop;
    const struct control_ops *ops;
    void *arg;
    char name[RUNTIME_NAME_MAX + 1];
    char path[RUNTIME_PATH_MAX];
    struct watch listener;
    struct alarm reap;
    struct client *first;
    unsigned clients;
};

/* --- a client's life --- */

static void client_free(struct client *k)
{
    loop_unwatch(k->c->loop, &k->w);
    if (k->w.fd >= 0)
        close(k->w.fd);
    json_object_put(k->late);
    free(k->in);
    free(k->out);
    free(k);
}

static void control_reap(struct alarm *a)
{
    struct control *c = container_of(a, struct control, reap);

    for (struct client **at = &c->first; *at;) {
        struct client *k = *at;

        if (!k->gone) {
            at = &k->next;
            continue;
        }
        *at = k->next;
        c->clients--;
        client_free(k);
    }
    if (c->listener.want == 0 && c->clients < CONTROL_CLIENTS &&
        loop_rewatch(c->loop, &c->listener, EPOLLIN) < 0)
        log_line(LOG_ERROR, "control", "cannot listen any more");
}

static void client_drop(struct client *k)
{
    if (k->gone)
        return;
    k->gone = true;
    loop_unwatch(k->c->loop, &k->w);
    loop_arm(k->c->loop, &k->c->reap, 0);
}

/* --- answers --- */

static void client_flush(struct client *k)
{
    while (k->out_at < k->out_len) {
        ssize_t n = send(k->w.fd, k->out + k->out_at, k->out_len - k->out_at, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            client_drop(k);
            return;
        }
        k->out_at += (size_t)n;
    }
    if (k->out_at == k->out_len)
        k->out_at = k->out_len = 0;
    if (!k->gone && k->w.loop &&
        loop_rewatch(k->c->loop, &k->w, k->out_len ? EPOLLIN | EPOLLOUT : EPOLLIN) < 0)
        client_drop(k);
}

/* Takes o over. */
static void client_tell(struct client *k, struct json_object *o)
{
    size_t len;
    const char *text = json_object_to_json_string_length(
        o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
    char *out = NULL;

    if (!k->gone && text && k->out_len - k->out_at + len < CONTROL_BACKLOG)
        out = realloc(k->out, k->out_len + len + 1);
    if (out) {
        memcpy(out + k->out_len, text, len);
        out[k->out_len + len] = '\n';
        k->out = out;
        k->out_len += len + 1;
        client_flush(k);
    } else {
        client_drop(k);
    }
    json_object_put(o);
}

static void add_text(struct json_object *o, const char *key, const char *value)
{
    if (value)
        json_object_object_add(o, key, json_object_new_string(value));
}

static struct json_object *answer_to(struct json_object *req, bool ok)
{
    struct json_object *o = json_object_new_object(), *id;

    if (req && json_object_object_get_ex(req, "id", &id))
        json_object_object_add(o, "id", json_object_get(id));
    json_object_object_add(o, "ok", json_object_new_boolean(ok));
    return o;
}

static void client_refuse(struct client *k, struct json_object *req, const struct err *e)
{
    struct json_object *o = answer_to(req, false);

    add_text(o, "error", e->msg);
    json_object_object_add(o, "exit", json_object_new_int(e->exit));
    client_tell(k, o);
}

/* --- requests --- */

static const char *text_of(struct json_object *req, const char *key)
{
    struct json_object *v;

    return json_object_object_get_ex(req, key, &v) && json_object_is_type(v, json_type_string)
               ? json_object_get_string(v)
               : NULL;
}

static bool flag_of(struct json_object *req, const char *key)
{
    struct json_object *v;

    return json_object_object_get_ex(req, key, &v) && json_object_is_type(v, json_type_boolean) &&
           json_object_get_boolean(v);
}

static int tell_facts(struct client *k, struct json_object *req,
                      void (*fill)(void *arg, struct info *out))
{
    struct json_object *o = answer_to(req, true), *facts = json_object_new_object();
    struct info i = {.dump.add = info_add, .top = facts};

    info_text(&i, "name", k->c->name);
    info_number(&i, "pid", (uint64_t)getpid());
    fill(k->c->arg, &i);
    json_object_object_add(o, "result", facts);
    client_tell(k, o);
    return 0;
}

static int do_info(struct client *k, struct json_object *req, struct err *e)
{
    (void)e;
    return tell_facts(k, req, k->c->ops->info);
}

static int do_state(struct client *k, struct json_object *req, struct err *e)
{
    if (!k->c->ops->state)
        return err_set(e, ENOTSUP, "this machine does not show its state");
    return tell_facts(k, req, k->c->ops->state);
}

bool control_asks(const char *what)
{
    static const char *const words[] = {"shutdown", "reboot",    "freeze", "thaw",
                                        "memory",   "time-sync", "wake",   "cpus"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (strcmp(words[i], what) == 0)
            return true;
    }
    return false;
}

static int ask(struct client *k, struct json_object *req, const char *what, struct err *e)
{
    struct json_object *v = NULL, *o;
    const char *how = NULL;
    int64_t value = 0;
    int rc;

    if (!control_asks(what))
        return err_exit(e, EX_USAGE_, EINVAL, "a guest cannot be asked for '%s'", what);
    if (json_object_object_get_ex(req, "value", &v))
        value = json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : -1;
    if (value < 0 || (value == 0 && (strcmp(what, "memory") == 0 || strcmp(what, "cpus") == 0)))
        return err_exit(e, EX_USAGE_, EINVAL, "'value' is not a number of bytes or processors");
    rc = k->c->ops->ask(k->c->arg, what, (uint64_t)value, &how, e);
    if (rc < 0)
        return rc;
    k->waits = true;
    o = answer_to(req, true);
    add_text(o, "how", how);
    client_tell(k, o);
    return 0;
}

static int do_ask(struct client *k, struct json_object *req, struct err *e)
{
    const char *what = text_of(req, "what");

    return what ? ask(k, req, what, e)
                : err_exit(e, EX_USAGE_, EINVAL, "'what' to ask the guest for is missing");
}

static int do_stop(struct client *k, struct json_object *req, struct err *e)
{
    if (!flag_of(req, "now"))
        return ask(k, req, "shutdown", e);
    k->waits = true;
    client_tell(k, answer_to(req, true));
    k->c->ops->stop(k->c->arg);
    return 0;
}

static void data_add(void *arg, const char *key, const char *value)
{
    add_text(arg, key, value);
}

static int do_data(struct client *k, struct json_object *req, struct err *e)
{
    const char *prefix = text_of(req, "prefix");
    struct json_object *o = answer_to(req, true), *pairs = json_object_new_object();
    int rc;

    json_object_object_add(o, "result", pairs);
    rc = k->c->ops->data_list(k->c->arg, prefix ? prefix : "", data_add, pairs, e);
    if (rc < 0)
        json_object_put(o);
    else
        client_tell(k, o);
    return rc;
}

static int do_data_set(struct client *k, struct json_object *req, struct err *e)
{
    const char *key = text_of(req, "key");
    struct json_object *o;
    int rc;

    if (!key || !*key)
        return err_exit(e, EX_USAGE_, EINVAL, "the 'key' to set is missing");
    rc = k->c->ops->data_set(k->c->arg, key, text_of(req, "value"), e);
    if (rc < 0)
        return rc;
    k->waits = k->waits || rc > 0;
    o = answer_to(req, true);
    json_object_object_add(o, "done", json_object_new_boolean(rc == 0));
    client_tell(k, o);
    return 0;
}

static int do_copy(struct client *k, struct json_object *req, struct err *e)
{
    const char *file = text_of(req, "file"), *to = text_of(req, "to");
    int rc;

    if (!file || !to)
        return err_exit(e, EX_USAGE_, EINVAL, "'file' or where 'to' copy it is missing");
    rc = k->c->ops->copy(k->c->arg, file, to, e);
    if (rc < 0)
        return rc;
    k->waits = true;
    client_tell(k, answer_to(req, true));
    return 0;
}

static int do_screenshot(struct client *k, struct json_object *req, struct err *e)
{
    const char *file = text_of(req, "file");
    unsigned width = 0, height = 0;
    struct json_object *o;
    int rc;

    if (!file || *file != '/')
        return err_exit(e, EX_USAGE_, EINVAL, "'file', an absolute path, is missing");
    rc = k->c->ops->screenshot(k->c->arg, file, &width, &height, e);
    if (rc < 0)
        return rc;
    o = answer_to(req, true);
    json_object_object_add(o, "width", json_object_new_int64(width));
    json_object_object_add(o, "height", json_object_new_int64(height));
    client_tell(k, o);
    return 0;
}

static int do_screen_text(struct client *k, struct json_object *req, struct err *e)
{
    struct json_object *o;
    char *text = NULL;
    int rc = k->c->ops->screen_text(k->c->arg, &text, e);

    if (rc < 0)
        return rc;
    o = answer_to(req, true);
    json_object_object_add(o, "text", json_object_new_string(text));
    free(text);
    client_tell(k, o);
    return 0;
}

static int do_type(struct client *k, struct json_object *req, struct err *e)
{
    const char *text = text_of(req, "text");
    int rc;

    if (!text || !*text)
        return err_exit(e, EX_USAGE_, EINVAL, "the 'text' to type is missing");
    rc = k->c->ops->type(k->c->arg, text, e);
    if (rc < 0)
        return rc;
    k->waits = true;
    client_tell(k, answer_to(req, true));
    return 0;
}

static int do_attach(struct client *k, struct json_object *req, struct err *e)
{
    const char *disk = text_of(req, "disk"), *nic = text_of(req, "nic"), *id = NULL;
    struct json_object *o;
    int rc;

    if (!disk == !nic)
        return err_exit(e, EX_USAGE_, EINVAL, "the 'disk' or the 'nic' to attach is missing");
    rc = disk ? k->c->ops->attach(k->c->arg, disk, &id, e)
              : k->c->ops->attach_nic(k->c->arg, nic, &id, e);
    if (rc < 0)
        return rc;
    o = answer_to(req, true);
    add_text(o, "result", id);
    client_tell(k, o);
    return 0;
}

static int do_detach(struct client *k, struct json_object *req, struct err *e)
{
    const char *disk = text_of(req, "disk");
    int rc;

    if (!disk)
        return err_exit(e, EX_USAGE_, EINVAL, "the id of the 'disk' to detach is missing");
    rc = k->c->ops->detach(k->c->arg, disk, e);
    if (rc >= 0) {
        struct json_object *o = answer_to(req, true);

        if (rc > 0)
            add_text(o, "result", "asked");
        client_tell(k, o);
    }
    return rc < 0 ? rc : 0;
}

/* rc of what was begun: 0: the answer to req comes by control_done(). */
static int client_late(struct client *k, struct json_object *req, int rc)
{
    if (rc == 0) {
        json_object_put(k->late); /* who asks for two hears of the second alone */
        k->late = json_object_get(req);
    }
    return rc;
}

static int do_resize(struct client *k, struct json_object *req, struct err *e)
{
    const char *disk = text_of(req, "disk");
    struct json_object *v;
    int64_t bytes = 0;

    if (!disk)
        return err_exit(e, EX_USAGE_, EINVAL, "the id of the 'disk' to resize is missing");
    if (json_object_object_get_ex(req, "bytes", &v) && json_object_is_type(v, json_type_int))
        bytes = json_object_get_int64(v);
    if (bytes <= 0)
        return err_exit(e, EX_USAGE_, EINVAL, "'bytes' is not a number of bytes");
    return client_late(k, req, k->c->ops->resize(k->c->arg, disk, (uint64_t)bytes, e));
}

static int do_disc(struct client *k, struct json_object *req, struct err *e)
{
    const char *disc = text_of(req, "disc");
    struct json_object *v;
    bool force = json_object_object_get_ex(req, "force", &v) && json_object_get_boolean(v);

    if (!disc)
        return err_exit(e, EX_USAGE_, EINVAL, "the 'disc' is missing: a file, or none");
    return client_late(k, req, k->c->ops->disc(k->c->arg, text_of(req, "drive"), disc, force, e));
}

static int do_watch(struct client *k, struct json_object *req, struct err *e)
{
    (void)e;
    k->waits = true;
    client_tell(k, answer_to(req, true));
    return 0;
}

/* The connection becomes the console's: what follows the answer is the guest's output. */
static int do_console(struct client *k, struct json_object *req, struct err *e)
{
    struct console *n = k->c->ops->console(k->c->arg);
    int fd, rc;

    if (!n)
        return err_set(e, ENOTSUP, "this machine has no console");
    client_tell(k, answer_to(req, true));
    if (k->gone || k->out_len)
        return err_set(e, EIO, "the client does not read");
    fd = fcntl(k->w.fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return err_set(e, errno, "cannot attach: %s", strerror(errno));
    rc = console_attach(n, fd, e);
    client_drop(k);
    return rc;
}

static const struct {
    const char *name;
    int (*run)(struct client *k, struct json_object *req, struct err *e);
} control_words[] = {
    {"info", do_info},
    {"state", do_state},
    {"stop", do_stop},
    {"ask", do_ask},
    {"watch", do_watch},
    {"console", do_console},
    {"data", do_data},
    {"data-set", do_data_set},
    {"copy", do_copy},
    {"screenshot", do_screenshot},
    {"screen-text", do_screen_text},
    {"type", do_type},
    {"attach", do_attach},
    {"detach", do_detach},
    {"resize", do_resize},
    {"disc", do_disc},
};

static int dispatch(struct client *k, struct json_object *req, struct err *e)
{
    const char *word = text_of(req, "do");

    for (size_t i = 0; word && i < ARRAY_SIZE(control_words); i++) {
        if (strcmp(control_words[i].name, word) == 0)
            return control_words[i].run(k, req, e);
    }
    if (word)
        return err_exit(e, EX_USAGE_, EINVAL, "there is no request '%.64s'", word);
    return err_exit(e, EX_USAGE_, EINVAL, "'do' is missing in the request");
}

static void client_line(struct client *k, const char *line, size_t len)
{
    struct json_tokener *t = json_tokener_new_ex(8);
    struct json_object *req = t ? json_tokener_parse_ex(t, line, (int)len) : NULL;
    bool whole = req && json_tokener_get_parse_end(t) == len;
    struct err e = {0};
    int rc;

    if (whole && json_object_is_type(req, json_type_object)) {
        rc = dispatch(k, req, &e);
        if (rc < 0 && !k->gone)
            client_refuse(k, req, &e);
    } else {
        (void)err_exit(&e, EX_USAGE_, EINVAL, "a request is one JSON object in one line");
        client_refuse(k, NULL, &e);
    }
    json_object_put(req);
    if (t)
        json_tokener_free(t);
}

/* Serves the whole lines of what came; keeps the rest. */
static void client_feed(struct client *k)
{
    size_t at = 0;
    char *end;

    while (!k->gone && (end = memchr(k->in + at, '\n', k->in_len - at))) {
        size_t len = (size_t)(end - k->in) - at;

        if (len)
            client_line(k, k->in + at, len);
        at += len + 1;
    }
    k->in_len -= at;
    memmove(k->in, k->in + at, k->in_len);
    if (k->in_len == CONTROL_LINE_MAX && !k->gone) {
        struct err e = {0};

        (void)err_exit(&e, EX_USAGE_, E2BIG, "a request is longer than %d bytes", CONTROL_LINE_MAX);
        client_refuse(k, NULL, &e);
        client_drop(k);
    }
}

static void client_ready(struct watch *w, uint32_t got)
{
    struct client *k = container_of(w, struct client, w);
    ssize_t n;

    if (got & EPOLLOUT)
        client_flush(k);
    if (k->gone || !(got & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    n = recv(w->fd, k->in + k->in_len, CONTROL_LINE_MAX - k->in_len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        client_drop(k);
        return;
    }
    k->in_len += (size_t)n;
    client_feed(k);
}

static void client_greet(struct client *k)
{
    struct json_object *o = json_object_new_object();

    add_text(o, "hospes", "machine");
    json_object_object_add(o, "protocol", json_object_new_int(CONTROL_PROTOCOL));
    add_text(o, "name", k->c->name);
    json_object_object_add(o, "pid", json_object_new_int((int)getpid()));
    client_tell(k, o);
}

static void control_client(struct watch *w, uint32_t got)
{
    struct control *c = container_of(w, struct control, listener);
    int fd = usock_accept(w->fd);
    struct client *k = fd < 0 ? NULL : calloc(1, sizeof(*k));

    (void)got;
    if (fd < 0)
        return;
    if (k)
        k->in = malloc(CONTROL_LINE_MAX);
    if (!k || !k->in) {
        close(fd);
        free(k);
        return;
    }
    k->c = c;
    k->w = (struct watch){.fd = fd, .want = EPOLLIN, .ready = client_ready};
    k->next = c->first;
    c->first = k;
    c->clients++;
    if (loop_watch(c->loop, &k->w) < 0)
        client_drop(k);
    else
        client_greet(k);
    /* The others wait until one of these leaves. */
    if (c->clients >= CONTROL_CLIENTS && loop_rewatch(c->loop, w, 0) < 0)
        log_line(LOG_ERROR, "control", "cannot pause the listener");
}

/* --- the machine's side --- */

void control_event(struct control *c, const char *event, const char *text)
{
    for (struct client *k = c ? c->first : NULL; k; k = k->next) {
        struct json_object *o;

        if (!k->waits || k->gone)
            continue;
        o = json_object_new_object();
        add_text(o, "event", event);
        add_text(o, "text", text);
        client_tell(k, o);
    }
}

const char *control_path(const struct control *c)
{
    return c->path;
}

void control_done(struct control *c, bool told, const struct err *e)
{
    struct client *k = c ? c->first : NULL;
    struct json_object *req, *o;

    while (k && !k->late)
        k = k->next;
    if (!k)
        return; /* who asked has left */
    req = k->late;
    k->late = NULL;
    if (e) {
        client_refuse(k, req, e);
    } else {
        o = answer_to(req, true);
        add_text(o, "result", told ? "told" : "later");
        client_tell(k, o);
    }
    json_object_put(req);
}

int control_open(const char *name, struct loop *l, const struct control_ops *ops, void *arg,
                 struct control **out, struct err *e)
{
    struct control *c = calloc(1, sizeof(*c));
    int rc;

    if (!c)
        return err_set(e, ENOMEM, "no memory for a control socket");
    c->loop = l;
    c->ops = ops;
    c->arg = arg;
    c->listener.fd = -1;
    c->reap.fire = control_reap;
    rc = runtime_socket(name, true, c->path, e);
    if (rc == 0) {
        memcpy(c->name, name, strlen(name) + 1);
        rc = usock_listen(c->path, &c->listener.fd, e);
        if (rc == -EBUSY)
            rc = err_wrap(e, "a machine named %s runs already", name);
    }
    if (rc == 0) {
        c->listener.want = EPOLLIN;
        c->listener.ready = control_client;
        rc = loop_watch(l, &c->listener);
        if (rc < 0)
            rc = err_set(e, -rc, "cannot watch %s: %s", c->path, strerror(-rc));
    }
    if (rc < 0) {
        control_close(c, NULL, NULL);
        return rc;
    }
    *out = c;
    return 0;
}

void control_close(struct control *c, const char *how, const char *text)
{
    if (!c)
        return;
    loop_unwatch(c->loop, &c->listener);
    usock_unlisten(c->listener.fd, c->path);
    for (struct client *k = c->first; how && k; k = k->next) {
        struct json_object *o = json_object_new_object();

        add_text(o, "event", "end");
        add_text(o, "how", how);
        add_text(o, "text", text);
        client_tell(k, o);
    }
    loop_disarm(c->loop, &c->reap);
    while (c->first) {
        struct client *k = c->first;

        c->first = k->next;
        client_free(k);
    }
    free(c);
}
