/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c - epoll, a binary heap of alarms, and a queue of posted calls behind an eventfd. */
#define _GNU_SOURCE
#include "core/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "core/bell.h"
#include "core/err.h"
#include "core/log.h"

enum { LOOP_BATCH = 32, LOOP_PATIENCE_S = 5 };
#define LOOP_SECOND_NS INT64_C(1000000000)

struct post {
    struct task t; /* first */
    void (*fn)(void *arg);
    void *arg;
    bool *done; /* of a waiting caller, guarded by lock; NULL when nobody waits */
};

struct loop {
    int epfd;
    int wakefd;
    bool fake;
    bool stop;
    bool running;
    uint64_t fake_now;
    pthread_t thread;

    struct alarm **heap;
    size_t alarms, room;
    bool firing;    /* an alarm's fire() runs */
    bool some_next; /* some alarm has next set */

    struct epoll_event ev[LOOP_BATCH]; /* the round being served; unwatch clears entries */
    int ev_count;

    pthread_mutex_t lock; /* tasks and running */
    pthread_cond_t ran;
    struct task *head, **tail;
    size_t asked; /* length of that list */

    void (*on_wait)(void *arg, const char *what, unsigned seconds); /* may be NULL */
    void *wait_arg;
};

static void post_run(struct task *t);

static int create(struct loop **out, bool fake, struct err *e)
{
    struct loop *l = calloc(1, sizeof(*l));
    struct epoll_event ev = {.events = EPOLLIN};

    if (!l)
        return err_set(e, ENOMEM, "no memory for an event loop");
    l->epfd = epoll_create1(EPOLL_CLOEXEC);
    l->wakefd = bell_make();
    if (l->epfd < 0 || l->wakefd < 0 || epoll_ctl(l->epfd, EPOLL_CTL_ADD, l->wakefd, &ev) < 0) {
        int code = errno;

        loop_destroy(l);
        return err_set(e, code, "cannot set up an event loop: %s", strerror(code));
    }
    l->fake = fake;
    l->tail = &l->head;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->ran, NULL);
    *out = l;
    return 0;
}

int loop_create(struct loop **out, struct err *e)
{
    return create(out, false, e);
}

int loop_create_fake(struct loop **out, struct err *e)
{
    return create(out, true, e);
}

void loop_destroy(struct loop *l)
{
    if (!l)
        return;
    if (l->epfd >= 0)
        close(l->epfd);
    if (l->wakefd >= 0)
        close(l->wakefd);
    while (l->head) {
        struct task *t = l->head;

        l->head = t->next;
        if (t->run == post_run)
            free(container_of(t, struct post, t));
    }
    free(l->heap);
    free(l);
}

uint64_t loop_now(const struct loop *l)
{
    struct timespec ts;

    if (l->fake)
        return l->fake_now;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

void loop_advance(struct loop *l, uint64_t ns)
{
    assert(l->fake);
    l->fake_now += ns;
}

bool loop_is_mine(const struct loop *l)
{
    return l->running && pthread_equal(l->thread, pthread_self());
}

/* --- watches --- */

int loop_watch(struct loop *l, struct watch *w)
{
    struct epoll_event ev = {.events = w->want, .data.ptr = w};

    if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, w->fd, &ev) < 0)
        return -errno;
    w->loop = l;
    return 0;
}

int loop_rewatch(struct loop *l, struct watch *w, uint32_t want)
{
    struct epoll_event ev = {.events = want, .data.ptr = w};

    if (w->want == want)
        return 0;
    w->want = want;
    return epoll_ctl(l->epfd, EPOLL_CTL_MOD, w->fd, &ev) < 0 ? -errno : 0;
}

void loop_unwatch(struct loop *l, struct watch *w)
{
    if (w->loop != l)
        return;
    epoll_ctl(l->epfd, EPOLL_CTL_DEL, w->fd, NULL);
    w->loop = NULL;
    for (int i = 0; i < l->ev_count; i++) {
        if (l->ev[i].data.ptr == w)
            l->ev[i].events = 0;
    }
}

/* --- alarms: a binary heap, each alarm knows its place; those of the next round come last --- */

static bool before(const struct alarm *a, const struct alarm *b)
{
    return a->next != b->next ? b->next : a->due < b->due;
}

static void put(struct loop *l, size_t i, struct alarm *a)
{
    l->heap[i] = a;
    a->at = i + 1;
}

static void sift_up(struct loop *l, size_t i)
{
    struct alarm *a = l->heap[i];

    while (i > 0 && before(a, l->heap[(i - 1) / 2])) {
        put(l, i, l->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(l, i, a);
}

static void sift_down(struct loop *l, size_t i)
{
    struct alarm *a = l->heap[i];
    size_t c;

    while ((c = 2 * i + 1) < l->alarms) {
        if (c + 1 < l->alarms && before(l->heap[c + 1], l->heap[c]))
            c++;
        if (!before(l->heap[c], a))
            break;
        put(l, i, l->heap[c]);
        i = c;
    }
    put(l, i, a);
}

void loop_arm(struct loop *l, struct alarm *a, uint64_t due_ns)
{
    loop_disarm(l, a);
    if (l->alarms == l->room) {
        size_t room = l->room ? l->room * 2 : 16;
        struct alarm **heap = reallocarray(l->heap, room, sizeof(struct alarm *));

        assert(heap); /* a few hundred bytes; the number of alarms is the number of devices */
        l->heap = heap;
        l->room = room;
    }
    a->due = due_ns;
    a->next = l->firing;
    l->some_next |= a->next;
    l->heap[l->alarms] = a;
    sift_up(l, l->alarms++);
}

void loop_disarm(struct loop *l, struct alarm *a)
{
    size_t i = a->at - 1;
    struct alarm *last;

    if (a->at == 0)
        return;
    a->at = 0;
    last = l->heap[--l->alarms];
    if (last == a)
        return;
    put(l, i, last);
    sift_down(l, i);
    sift_up(l, last->at - 1);
}

/* What alarms of the last round have armed is like the others from here on. */
static void next_round(struct loop *l)
{
    l->firing = false;
    if (!l->some_next)
        return;
    l->some_next = false;
    for (size_t i = 0; i < l->alarms; i++)
        l->heap[i]->next = false;
    for (size_t i = l->alarms / 2; i-- > 0;)
        sift_down(l, i);
}

static int fire_due(struct loop *l)
{
    uint64_t now = loop_now(l);
    int ran = 0;

    while (l->alarms && !l->heap[0]->next && l->heap[0]->due <= now) {
        struct alarm *a = l->heap[0];

        loop_disarm(l, a);
        l->firing = true;
        a->fire(a);
        ran++;
    }
    l->firing = false;
    return ran;
}

/* --- what other threads ask for --- */

static void wake(struct loop *l)
{
    bell_ring(l->wakefd);
}

static void enqueue(struct loop *l, struct task *t)
{
    t->asked = true;
    t->next = NULL;
    *l->tail = t;
    l->tail = &t->next;
    l->asked++;
}

void loop_ask(struct loop *l, struct task *t)
{
    bool fresh;

    pthread_mutex_lock(&l->lock);
    fresh = !t->asked;
    if (fresh)
        enqueue(l, t);
    pthread_mutex_unlock(&l->lock);
    if (fresh)
        wake(l);
}

void loop_forget(struct loop *l, struct task *t)
{
    struct task **at = &l->head;

    pthread_mutex_lock(&l->lock);
    if (t->asked) {
        while (*at != t)
            at = &(*at)->next;
        *at = t->next;
        if (!t->next)
            l->tail = at;
        t->asked = false;
        l->asked--;
    }
    pthread_mutex_unlock(&l->lock);
}

static void post_run(struct task *t)
{
    struct post *p = container_of(t, struct post, t);

    p->fn(p->arg);
    if (!p->done)
        free(p);
}

void loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
    struct post *p = malloc(sizeof(*p));

    assert(p);
    *p = (struct post){.t.run = post_run, .fn = fn, .arg = arg};
    loop_ask(l, &p->t);
}

void loop_post_wait(struct loop *l, void (*fn)(void *arg), void *arg)
{
    struct post p = {.t.run = post_run, .fn = fn, .arg = arg};
    bool done = false;

    pthread_mutex_lock(&l->lock);
    if (!l->running || pthread_equal(l->thread, pthread_self())) {
        pthread_mutex_unlock(&l->lock);
        fn(arg);
        return;
    }
    p.done = &done;
    enqueue(l, &p.t);
    wake(l);
    while (!done)
        pthread_cond_wait(&l->ran, &l->lock);
    pthread_mutex_unlock(&l->lock);
}

/* Only what was asked for before the round: threads that ask faster than this serves must not keep
 * the loop from its sockets and alarms. They have woken the next round. */
static int run_tasks(struct loop *l)
{
    size_t most;
    int ran = 0;

    pthread_mutex_lock(&l->lock);
    for (most = l->asked; most && l->head; most--) {
        struct task *t = l->head;
        bool *done = t->run == post_run ? container_of(t, struct post, t)->done : NULL;

        l->head = t->next;
        if (!l->head)
            l->tail = &l->head;
        l->asked--;
        t->asked = false;
        pthread_mutex_unlock(&l->lock);
        t->run(t);
        pthread_mutex_lock(&l->lock);
        if (done) {
            *done = true;
            pthread_cond_broadcast(&l->ran);
        }
        ran++;
    }
    pthread_mutex_unlock(&l->lock);
    return ran;
}

/* --- the round --- */

static int64_t wait_for(const struct loop *l, int64_t timeout_ns)
{
    uint64_t now, due;
    int64_t left;

    if (l->alarms == 0)
        return timeout_ns;
    if (l->fake)
        return l->heap[0]->due <= l->fake_now ? 0 : timeout_ns;
    now = loop_now(l);
    due = l->heap[0]->due;
    left = due > now ? (int64_t)min_u64(due - now, INT64_MAX) : 0;
    return timeout_ns < 0 || left < timeout_ns ? left : timeout_ns;
}

int loop_step(struct loop *l, int64_t timeout_ns)
{
    bool firing = l->firing; /* an alarm's fire() may step the loop itself */
    struct timespec ts;
    int ran = 0, n;
    int64_t ns;

    next_round(l);
    ns = wait_for(l, timeout_ns);
    ts = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    n = epoll_pwait2(l->epfd, l->ev, LOOP_BATCH, ns < 0 ? NULL : &ts, NULL);
    if (n < 0 && errno != EINTR)
        return -errno;
    l->ev_count = n < 0 ? 0 : n;
    for (int i = 0; i < l->ev_count; i++) {
        struct watch *w = l->ev[i].data.ptr;

        if (!w) {
            bell_take(l->wakefd);
        } else if (l->ev[i].events) {
            w->ready(w, l->ev[i].events);
            ran++;
        }
    }
    l->ev_count = 0;
    ran += run_tasks(l);
    ran += fire_due(l);
    l->firing = firing;
    return ran;
}

static void set_running(struct loop *l, bool running)
{
    pthread_mutex_lock(&l->lock);
    l->thread = pthread_self();
    l->running = running;
    pthread_mutex_unlock(&l->lock);
}

int loop_run(struct loop *l, struct err *e)
{
    int rc = 0;

    set_running(l, true);
    while (rc >= 0 && !__atomic_exchange_n(&l->stop, false, __ATOMIC_ACQ_REL))
        rc = loop_step(l, -1);
    set_running(l, false);
    run_tasks(l); /* nobody may wait for ever on a loop that has ended */
    return rc < 0 ? err_set(e, -rc, "the event loop failed: %s", strerror(-rc)) : 0;
}

void loop_stop(struct loop *l)
{
    __atomic_store_n(&l->stop, true, __ATOMIC_RELEASE);
    wake(l);
}

/* --- waiting for requests --- */

void loop_on_wait(struct loop *l, void (*fn)(void *arg, const char *what, unsigned seconds),
                  void *arg)
{
    l->on_wait = fn;
    l->wait_arg = arg;
}

void loop_drain(struct loop *l, const char *what, bool (*busy)(void *arg), void *arg)
{
    unsigned seconds = 0, tell = LOOP_PATIENCE_S;
    uint64_t start = loop_now(l);
    int rc = 0;

    while (busy(arg) && rc >= 0) {
        unsigned now;

        rc = loop_step(l, LOOP_SECOND_NS);
        now = (unsigned)((loop_now(l) - start) / LOOP_SECOND_NS);
        if (now == seconds)
            continue;
        seconds = now;
        if (seconds >= tell) {
            log_line(LOG_WARN, what, "waits for requests that have no answer for %u s", seconds);
            tell = 2 * seconds;
        }
        if (l->on_wait)
            l->on_wait(l->wait_arg, what, seconds);
    }
    if (seconds >= LOOP_PATIENCE_S)
        log_line(LOG_WARN, what, "waits no longer, after %u s", seconds);
}
