/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h - one thread, one loop, one clock.
 *
 * Everything of a machine that is not a vCPU runs as callbacks of a loop: doorbells, timers,
 * sockets, completions. All calls are for the loop's own thread, or for before it runs, except
 * loop_ask(), loop_post(), loop_post_wait() and loop_stop(), which any thread may call.
 *
 * Time is CLOCK_MONOTONIC in nanoseconds. loop_create_fake() gives tests a clock that they move.
 */
#ifndef HOSPES_CORE_LOOP_H
#define HOSPES_CORE_LOOP_H

#include "core/core.h"

/* Embedded in its owner and zeroed before first use. want and got are EPOLLIN, EPOLLOUT... */
struct watch {
    int fd;
    uint32_t want;
    void (*ready)(struct watch *w, uint32_t got);
    struct loop *loop; /* private */
};

struct alarm {
    void (*fire)(struct alarm *a); /* disarmed when it is called; may arm again */
    uint64_t due;                  /* ns; private, as is all that follows */
    size_t at;                     /* heap index + 1, 0 while not armed */
    bool next;                     /* armed by an alarm that fired in this round */
};

/* Work for the loop that is done once, however often it was asked for meanwhile. What a guest can
 * ask for as fast as it likes is one of these: it costs no memory. */
struct task {
    void (*run)(struct task *t); /* may ask again: for the next round */
    struct task *next;           /* private, as is what follows */
    bool asked;
};

MUST int loop_create(struct loop **out, struct err *e);
MUST int loop_create_fake(struct loop **out, struct err *e);
void loop_destroy(struct loop *l);

/* 0 or -errno. The file descriptor stays the caller's. */
MUST int loop_watch(struct loop *l, struct watch *w);
/* Changes w->want for a watched descriptor. */
MUST int loop_rewatch(struct loop *l, struct watch *w, uint32_t want);
/* ready() does not run after this returns, not even for events already collected. */
void loop_unwatch(struct loop *l, struct watch *w);

/* Arming an armed alarm moves it. A due time in the past fires in this round, or in the next when
 * it is an alarm that arms it: alarms that arm each other do not keep the loop from its sockets. */
void loop_arm(struct loop *l, struct alarm *a, uint64_t due_ns);
void loop_disarm(struct loop *l, struct alarm *a);
uint64_t loop_now(const struct loop *l);

/* Has t->run() called on the loop's thread, after what was asked for before. Never blocks. */
void loop_ask(struct loop *l, struct task *t);
/* t does not run after this returns, for whatever was asked before. */
void loop_forget(struct loop *l, struct task *t);

/* Runs fn(arg) on the loop's thread, in the same order. Never blocks, allocates, and adds up: for
 * what cannot be asked for without end. */
void loop_post(struct loop *l, void (*fn)(void *arg), void *arg);

/* The same and waits until it ran; on the loop's own thread, or when the loop is not running, it
 * runs at once. Not to be called with a lock held that a callback may want. */
void loop_post_wait(struct loop *l, void (*fn)(void *arg), void *arg);

/* Serves events until loop_stop(). */
MUST int loop_run(struct loop *l, struct err *e);
void loop_stop(struct loop *l);

/* One round: waits at most timeout_ns (-1: for ever) and serves what is due. For tests and tools.
 * Returns the number of callbacks that ran or -errno. */
int loop_step(struct loop *l, int64_t timeout_ns);

/* Serves events until busy(arg) is false: for who is about to free, or to give to others, what
 * requests in flight still use. They end by callbacks of l. On l's thread, within its callbacks
 * too, or while l does not run; with no lock that a callback wants. Nothing else ends it, neither
 * time nor loop_stop(), but an l that cannot go on at all. What waits for long is named in the log
 * after some seconds, and then ever less often: `what` is a device's id or a file. */
void loop_drain(struct loop *l, const char *what, bool (*busy)(void *arg), void *arg);

/* From now on loop_drain() calls fn, once it waits for a second and then every second: for who may
 * end the process when nobody wants to wait any longer. */
void loop_on_wait(struct loop *l, void (*fn)(void *arg, const char *what, unsigned seconds),
                  void *arg);

/* Fake clock only: moves it forward; alarms fire in loop_step(). */
void loop_advance(struct loop *l, uint64_t ns);

/* true on the thread that runs the loop. */
bool loop_is_mine(const struct loop *l);

#endif
