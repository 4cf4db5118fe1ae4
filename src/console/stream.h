/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - what consoles over descriptors share: buffered output and input with back-pressure.
 *
 * Output: any thread appends under the lock; a whole line, or STREAM_CHUNK bytes, is written at
 * once by that thread, the rest by the loop some milliseconds later. So a guest that prints a
 * line byte by byte costs one write(2), and one that reads an echo does not wait.
 * Input: read on the loop, only while the listener takes it.
 */
#ifndef HOSPES_CONSOLE_STREAM_H
#define HOSPES_CONSOLE_STREAM_H

#include <pthread.h>

#include "console/console.h"
#include "core/loop.h"

enum {
    STREAM_LIMIT = 1 << 20, /* bytes kept for a reader that does not read */
    STREAM_CHUNK = 512,     /* bytes after which a writer does not wait for the end of the line */
};

enum stream_full {
    STREAM_DROP, /* beyond the limit the oldest bytes go */
    STREAM_SLOW, /* nothing is lost: beyond the limit each write waits a little and is then kept */
};

struct stream {
    struct console n; /* first */
    struct loop *loop;
    enum stream_full full;
    int in, out; /* -1: none. Different numbers: epoll wants one watch for each */
    /* May be NULL. Changes what was read, in place; returns what is left of it. On the loop. */
    size_t (*filter)(struct stream *s, uint8_t *p, size_t n);
    /* May be NULL. Input has ended or failed; on the loop, once for each stream_attach(). */
    void (*ended)(struct stream *s);

    struct watch w_in, w_out, w_timer; /* private, as is all that follows */
    struct alarm poll;                 /* for input that epoll cannot watch */
    console_take_fn *take;
    void *take_arg;
    uint8_t held[4096]; /* read, not yet taken */
    size_t held_at, held_len;

    pthread_mutex_t lock; /* the output side */
    uint8_t *buf;         /* a ring of `room` bytes, a power of two */
    size_t room, at, used;
    bool timed, stuck; /* the timer runs; the descriptor was full */
    bool socket;       /* out is one: no SIGPIPE */
};

MUST int stream_init(struct stream *s, const struct console_ops *ops, struct loop *l,
                     struct err *e);
/* Starts to use the descriptors, which become the stream's. On the loop, or before it runs. */
MUST int stream_attach(struct stream *s, int in, int out);
/* Flushes what goes out at once and closes both descriptors. Output is kept for the next. */
void stream_detach(struct stream *s);
/* Detaches and frees what init made, not s. */
void stream_done(struct stream *s);

/* For struct console_ops. */
void stream_write(struct console *n, const uint8_t *p, size_t len);
void stream_listen(struct console *n, console_take_fn *take, void *arg);
void stream_more(struct console *n);

#endif
