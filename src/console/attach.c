/* SPDX-License-Identifier: Apache-2.0 */
/* attach.c - see attach.h. */
#define _GNU_SOURCE
#include "console/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "console/stream.h"
#include "core/err.h"

struct onlooker {
    struct stream s;
    struct attach *a;
    struct onlooker *next;
    bool gone;
};

struct attach {
    struct loop *loop;
    struct alarm reap; /* frees those that have gone, outside of their own callbacks */
    console_take_fn *take;
    void *arg;
    unsigned count; /* loop's thread */

    pthread_mutex_t lock; /* what follows */
    struct onlooker *first;
    size_t end; /* bytes of history so far */
    uint8_t history[ATTACH_HISTORY];
};

static const struct console_ops onlooker_ops = {
    .name = "attached",
    .write = stream_write,
    .listen = stream_listen,
    .more = stream_more,
};

static void onlooker_free(struct onlooker *o)
{
    stream_done(&o->s);
    free(o);
}

static void attach_reap(struct alarm *al)
{
    struct attach *a = container_of(al, struct attach, reap);
    struct onlooker **at = &a->first;

    pthread_mutex_lock(&a->lock);
    while (*at) {
        struct onlooker *o = *at;

        if (!o->gone) {
            at = &o->next;
            continue;
        }
        *at = o->next;
        a->count--;
        onlooker_free(o);
    }
    pthread_mutex_unlock(&a->lock);
}

static void onlooker_ended(struct stream *s)
{
    struct onlooker *o = container_of(s, struct onlooker, s);

    o->gone = true;
    loop_arm(o->a->loop, &o->a->reap, 0);
}

int attach_open(struct console *n, struct loop *l, struct err *e)
{
    struct attach *a = calloc(1, sizeof(*a));

    if (!a) {
        n->ops->close(n);
        return err_set(e, ENOMEM, "no memory for a console");
    }
    a->loop = l;
    a->reap.fire = attach_reap;
    pthread_mutex_init(&a->lock, NULL);
    n->attach = a;
    return 0;
}

void attach_close(struct attach *a)
{
    if (!a)
        return;
    loop_disarm(a->loop, &a->reap);
    while (a->first) {
        struct onlooker *o = a->first;

        a->first = o->next;
        onlooker_free(o);
    }
    pthread_mutex_destroy(&a->lock);
    free(a);
}

/* The last bytes of p at the end of the history. */
static void history_add(struct attach *a, const uint8_t *p, size_t len)
{
    size_t keep = (size_t)min_u64(len, ATTACH_HISTORY), at, head;

    p += len - keep;
    a->end += len - keep;
    at = a->end % ATTACH_HISTORY;
    head = (size_t)min_u64(keep, ATTACH_HISTORY - at);
    memcpy(a->history + at, p, head);
    memcpy(a->history, p + head, keep - head);
    a->end += keep;
}

static void history_tell(const struct attach *a, struct console *to)
{
    size_t at = a->end % ATTACH_HISTORY;

    if (a->end > ATTACH_HISTORY)
        stream_write(to, a->history + at, ATTACH_HISTORY - at);
    if (at)
        stream_write(to, a->history, at);
}

void attach_write(struct attach *a, const uint8_t *p, size_t len)
{
    pthread_mutex_lock(&a->lock);
    history_add(a, p, len);
    for (struct onlooker *o = a->first; o; o = o->next)
        stream_write(&o->s.n, p, len);
    pthread_mutex_unlock(&a->lock);
}

void attach_listen(struct attach *a, console_take_fn *take, void *arg)
{
    a->take = take;
    a->arg = arg;
    for (struct onlooker *o = a->first; o; o = o->next)
        stream_listen(&o->s.n, take, arg);
}

void attach_more(struct attach *a)
{
    for (struct onlooker *o = a->first; o; o = o->next)
        stream_more(&o->s.n);
}

static int onlooker_start(struct onlooker *o, int fd)
{
    int out = fcntl(fd, F_DUPFD_CLOEXEC, 3);

    if (out < 0) {
        int code = errno;

        close(fd);
        return -code;
    }
    return stream_attach(&o->s, fd, out);
}

int attach_add(struct attach *a, int fd, struct err *e)
{
    struct onlooker *o = NULL;
    int rc;

    if (a->count < ATTACH_MAX)
        o = calloc(1, sizeof(*o));
    if (!o) {
        close(fd);
        return err_set(e, EBUSY, "%u are attached to this console already", a->count);
    }
    o->a = a;
    o->s.ended = onlooker_ended;
    rc = stream_init(&o->s, &onlooker_ops, a->loop, e);
    if (rc < 0) {
        close(fd);
        free(o);
        return rc;
    }
    stream_listen(&o->s.n, a->take, a->arg);
    pthread_mutex_lock(&a->lock);
    history_tell(a, &o->s.n);
    o->next = a->first;
    a->first = o;
    a->count++;
    pthread_mutex_unlock(&a->lock);
    rc = onlooker_start(o, fd);
    if (rc < 0) {
        onlooker_ended(&o->s);
        return err_set(e, -rc, "cannot attach to the console: %s", strerror(-rc));
    }
    return 0;
}
