/* SPDX-License-Identifier: Apache-2.0 */
/* stream.c - see stream.h. */
#define _GNU_SOURCE
#include "console/stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/bell.h"
#include "core/err.h"

enum {
    STREAM_DELAY_NS = 5000000, /* how long the start of a line may wait for its end */
    STREAM_SLOW_MS = 10,       /* how long a writer waits for a reader that does not keep up */
    STREAM_LAST_MS = 2000,     /* how long the end waits for such a reader's next sign of life */
    STREAM_FIRST_ROOM = 1024,
};

/* --- output; all under the lock --- */

static bool stream_grow(struct stream *s, size_t want)
{
    size_t room = s->room ? s->room : STREAM_FIRST_ROOM, head;
    uint8_t *buf;

    while (room < want)
        room *= 2;
    if (room == s->room)
        return true;
    buf = malloc(room);
    if (!buf)
        return false;
    head = (size_t)min_u64(s->used, s->room - s->at);
    if (s->used) {
        memcpy(buf, s->buf + s->at, head);
        memcpy(buf + head, s->buf, s->used - head);
    }
    free(s->buf);
    s->buf = buf;
    s->room = room;
    s->at = 0;
    return true;
}

static void stream_drop(struct stream *s, size_t n)
{
    s->used -= n;
    s->at = s->used ? (s->at + n) & (s->room - 1) : 0;
}

static void stream_append(struct stream *s, const uint8_t *p, size_t len)
{
    size_t end, head;

    if (s->full == STREAM_DROP && s->used + len > STREAM_LIMIT) {
        size_t over;

        if (len > STREAM_LIMIT) {
            p += len - STREAM_LIMIT;
            len = STREAM_LIMIT;
        }
        over = s->used + len > STREAM_LIMIT ? s->used + len - STREAM_LIMIT : 0;
        stream_drop(s, over);
    }
    if (!stream_grow(s, s->used + len))
        return; /* the host has no memory left: output is what can be spared */
    end = (s->at + s->used) & (s->room - 1);
    head = (size_t)min_u64(len, s->room - end);
    memcpy(s->buf + end, p, head);
    memcpy(s->buf, p + head, len - head);
    s->used += len;
}

static void stream_flush(struct stream *s)
{
    while (s->used && s->out >= 0) {
        size_t head = (size_t)min_u64(s->used, s->room - s->at);
        struct iovec iov[2] = {{s->buf + s->at, head}, {s->buf, s->used - head}};
        struct msghdr m = {.msg_iov = iov, .msg_iovlen = head < s->used ? 2 : 1};
        ssize_t n =
            s->socket ? sendmsg(s->out, &m, MSG_NOSIGNAL) : writev(s->out, iov, (int)m.msg_iovlen);

        if (n < 0 && errno == EINTR)
            continue;
        s->stuck = n < 0 && errno == EAGAIN;
        if (s->stuck)
            return;
        if (n < 0 && s->full == STREAM_DROP)
            return; /* the peer has gone: kept for the next one */
        stream_drop(s, n < 0 ? s->used : (size_t)n);
    }
}

/* The loop looks again soon: at the rest of a line, or at a descriptor that was full. */
static void stream_arm(struct stream *s)
{
    struct itimerspec when = {.it_value.tv_nsec = STREAM_DELAY_NS};

    if (s->timed || !s->used || s->out < 0)
        return;
    s->timed = timerfd_settime(s->w_timer.fd, 0, &when, NULL) == 0;
}

static bool stream_wait(struct stream *s, int ms)
{
    struct pollfd p = {.fd = s->out, .events = POLLOUT};

    if (poll(&p, 1, ms) <= 0)
        return false;
    stream_flush(s);
    return true;
}

void stream_write(struct console *n, const uint8_t *p, size_t len)
{
    struct stream *s = container_of(n, struct stream, n);

    pthread_mutex_lock(&s->lock);
    if (s->full == STREAM_SLOW && s->used >= STREAM_LIMIT)
        stream_wait(s, STREAM_SLOW_MS);
    stream_append(s, p, len);
    if (!s->stuck && (s->used >= STREAM_CHUNK || memchr(p, '\n', len)))
        stream_flush(s);
    stream_arm(s);
    pthread_mutex_unlock(&s->lock);
}

static void stream_timer(struct watch *w, uint32_t got)
{
    struct stream *s = container_of(w, struct stream, w_timer);
    bool stuck;

    (void)got;
    bell_take(w->fd);
    pthread_mutex_lock(&s->lock);
    s->timed = false;
    stream_flush(s);
    stuck = s->stuck && s->used;
    if (stuck && !s->w_out.loop)
        stream_arm(s); /* no watch on the descriptor: ask again */
    pthread_mutex_unlock(&s->lock);
    if (stuck && s->w_out.loop && loop_rewatch(s->loop, &s->w_out, EPOLLOUT) < 0)
        s->stuck = false;
}

static void stream_room(struct watch *w, uint32_t got)
{
    struct stream *s = container_of(w, struct stream, w_out);
    bool again;

    pthread_mutex_lock(&s->lock);
    stream_flush(s);
    again = s->stuck && s->used && !(got & (EPOLLERR | EPOLLHUP));
    pthread_mutex_unlock(&s->lock);
    if (got & (EPOLLERR | EPOLLHUP))
        loop_unwatch(s->loop, w); /* the input side sees the end, or the timer asks */
    else if (!again && loop_rewatch(s->loop, w, 0) < 0)
        loop_unwatch(s->loop, w);
}

/* --- input; all on the loop --- */

static void stream_want_input(struct stream *s, bool want)
{
    if (s->w_in.loop) {
        if (want && s->w_in.want == 0 && loop_rewatch(s->loop, &s->w_in, EPOLLIN) < 0)
            loop_unwatch(s->loop, &s->w_in);
        if (!want && s->w_in.want && loop_rewatch(s->loop, &s->w_in, 0) < 0)
            loop_unwatch(s->loop, &s->w_in);
    } else if (s->in >= 0 && want) {
        loop_arm(s->loop, &s->poll, loop_now(s->loop));
    }
}

static void stream_end_input(struct stream *s)
{
    loop_unwatch(s->loop, &s->w_in);
    loop_disarm(s->loop, &s->poll);
    if (s->in >= 0)
        close(s->in);
    s->in = -1;
    if (s->ended)
        s->ended(s);
}

/* Gives what is held to the listener; true when all was taken. */
static bool stream_give(struct stream *s)
{
    while (s->held_len) {
        size_t n = s->take ? s->take(s->take_arg, s->held + s->held_at, s->held_len) : 0;

        n = (size_t)min_u64(n, s->held_len);
        s->held_at += n;
        s->held_len -= n;
        if (n == 0)
            return false;
    }
    s->held_at = 0;
    return true;
}

static void stream_read(struct stream *s)
{
    ssize_t n = 0;

    if (!s->take || !stream_give(s)) {
        stream_want_input(s, false);
        return;
    }
    n = read(s->in, s->held, sizeof(s->held));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        stream_end_input(s);
        return;
    }
    s->held_len = s->filter ? s->filter(s, s->held, (size_t)n) : (size_t)n;
    if (!stream_give(s))
        stream_want_input(s, false);
}

static void stream_ready(struct watch *w, uint32_t got)
{
    struct stream *s = container_of(w, struct stream, w_in);

    /* A hang-up that comes while input is not wanted would come again in every round. */
    if (w->want == 0 && (got & (EPOLLHUP | EPOLLERR)))
        stream_end_input(s);
    else
        stream_read(s);
}

static void stream_poll(struct alarm *a)
{
    struct stream *s = container_of(a, struct stream, poll);

    if (s->in >= 0)
        stream_read(s);
    if (s->in >= 0 && s->held_len == 0 && s->take)
        loop_arm(s->loop, a, loop_now(s->loop));
}

void stream_listen(struct console *n, console_take_fn *take, void *arg)
{
    struct stream *s = container_of(n, struct stream, n);

    s->take = take;
    s->take_arg = arg;
    stream_more(n);
}

void stream_more(struct console *n)
{
    struct stream *s = container_of(n, struct stream, n);

    if (s->take && stream_give(s))
        stream_want_input(s, true);
}

/* --- life --- */

int stream_init(struct stream *s, const struct console_ops *ops, struct loop *l, struct err *e)
{
    s->n.ops = ops;
    s->loop = l;
    s->in = s->out = -1;
    s->w_timer.want = EPOLLIN;
    s->w_timer.ready = stream_timer;
    s->poll.fire = stream_poll;
    s->w_timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (s->w_timer.fd < 0)
        return err_set(e, errno, "cannot make a timer for a console: %s", strerror(errno));
    pthread_mutex_init(&s->lock, NULL);
    if (loop_watch(l, &s->w_timer) < 0) {
        close(s->w_timer.fd);
        return err_set(e, EIO, "cannot watch a console's timer");
    }
    return 0;
}

int stream_attach(struct stream *s, int in, int out)
{
    struct stat st;
    int rc = 0;

    s->in = in;
    s->socket = out >= 0 && fstat(out, &st) == 0 && S_ISSOCK(st.st_mode);
    s->w_in = (struct watch){.fd = in, .want = s->take ? EPOLLIN : 0, .ready = stream_ready};
    s->w_out = (struct watch){.fd = out, .ready = stream_room};
    if (in >= 0)
        rc = loop_watch(s->loop, &s->w_in);
    if (rc == -EPERM)
        rc = 0; /* a regular file: always readable */
    if (rc == 0 && out >= 0)
        rc = loop_watch(s->loop, &s->w_out);
    if (rc == -EPERM)
        rc = 0;
    pthread_mutex_lock(&s->lock);
    s->out = out;
    s->stuck = false;
    stream_flush(s);
    stream_arm(s);
    pthread_mutex_unlock(&s->lock);
    if (s->take)
        stream_want_input(s, true);
    return rc;
}

void stream_detach(struct stream *s)
{
    loop_unwatch(s->loop, &s->w_in);
    loop_unwatch(s->loop, &s->w_out);
    loop_disarm(s->loop, &s->poll);
    pthread_mutex_lock(&s->lock);
    stream_flush(s);
    while (s->full == STREAM_SLOW && s->out >= 0 && s->used && stream_wait(s, STREAM_LAST_MS))
        ;
    if (s->out >= 0)
        close(s->out);
    s->out = -1;
    pthread_mutex_unlock(&s->lock);
    if (s->in >= 0)
        close(s->in);
    s->in = -1;
    s->held_len = s->held_at = 0;
}

void stream_done(struct stream *s)
{
    stream_detach(s);
    loop_unwatch(s->loop, &s->w_timer);
    close(s->w_timer.fd);
    pthread_mutex_destroy(&s->lock);
    free(s->buf);
}
