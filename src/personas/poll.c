/* SPDX-License-Identifier: Apache-2.0 */
/* poll.c - see poll.h. */
#define _GNU_SOURCE
#include "personas/poll.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/bell.h"
#include "core/gmem.h"

/* Without news for so long, it is cheaper to be signalled. */
#define POLL_NS UINT64_C(50000)

enum { POLL_SLOTS = 64, POLL_NICE = 19 };

enum poll_state { POLL_IDLE, POLL_ARMED, POLL_NEWS, POLL_QUIET };

struct poll_slot {
    struct poller *p;
    poll_fn *fn; /* NULL: free; the loop's, as is arg */
    void *arg;
    const void *word; /* atomic, as is what follows */
    uint32_t seen;
    int state;
    uint64_t since; /* the thread's: its first look */
};

struct poller {
    struct loop *loop;
    struct watch told;
    pthread_t thread;
    sem_t work;    /* raised for each slot that is armed */
    bool stop;     /* atomic, as is */
    unsigned used; /* those from here on never were */
    struct poll_slot slot[POLL_SLOTS];
};

/* --- the thread --- */

static uint64_t poll_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

/* true: it goes on being armed. */
static bool poll_look(struct poll_slot *s, uint64_t now)
{
    int armed = POLL_ARMED, next = POLL_NEWS;

    if (__atomic_load_n(&s->state, __ATOMIC_ACQUIRE) != POLL_ARMED) {
        s->since = 0;
        return false;
    }
    if (s->since == 0)
        s->since = now;
    if (shared_load32(READ_ONCE(s->word)) == READ_ONCE(s->seen)) {
        if (now - s->since < POLL_NS)
            return true;
        next = POLL_QUIET;
    }
    s->since = 0;
    if (__atomic_compare_exchange_n(&s->state, &armed, next, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED))
        bell_ring(s->p->told.fd);
    return false;
}

static void *poller_main(void *arg)
{
    struct poller *p = arg;

    pthread_setname_np(pthread_self(), "poll");
    (void)!setpriority(PRIO_PROCESS, 0, POLL_NICE); /* this thread's only */
    while (!__atomic_load_n(&p->stop, __ATOMIC_ACQUIRE)) {
        unsigned used = __atomic_load_n(&p->used, __ATOMIC_ACQUIRE);
        uint64_t now = poll_now();
        bool armed = false;

        for (unsigned i = 0; i < used; i++)
            armed |= poll_look(&p->slot[i], now);
        if (armed)
            sched_yield();
        else
            (void)sem_wait(&p->work);
    }
    return NULL;
}

/* --- the loop --- */

static void poller_told(struct watch *w, uint32_t got)
{
    struct poller *p = container_of(w, struct poller, told);

    (void)got;
    for (unsigned i = 0; i < p->used; i++) {
        struct poll_slot *s = &p->slot[i];
        int state = __atomic_load_n(&s->state, __ATOMIC_ACQUIRE);

        if (state != POLL_NEWS && state != POLL_QUIET)
            continue;
        if (__atomic_compare_exchange_n(&s->state, &state, POLL_IDLE, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED) &&
            s->fn)
            s->fn(s->arg, state == POLL_NEWS);
    }
}

struct poll_slot *poll_slot_get(struct poller *p, poll_fn *fn, void *arg)
{
    for (unsigned i = 0; p && i < POLL_SLOTS; i++) {
        if (p->slot[i].fn)
            continue;
        p->slot[i].fn = fn;
        p->slot[i].arg = arg;
        if (i == p->used)
            __atomic_store_n(&p->used, i + 1, __ATOMIC_RELEASE);
        return &p->slot[i];
    }
    return NULL;
}

void poll_slot_put(struct poll_slot *s)
{
    if (!s)
        return;
    poll_disarm(s);
    s->fn = NULL;
}

void poll_arm(struct poll_slot *s, const void *word, uint32_t seen)
{
    poll_disarm(s);
    WRITE_ONCE(s->word, word);
    WRITE_ONCE(s->seen, seen);
    __atomic_store_n(&s->state, POLL_ARMED, __ATOMIC_RELEASE);
    sem_post(&s->p->work);
}

void poll_disarm(struct poll_slot *s)
{
    __atomic_store_n(&s->state, POLL_IDLE, __ATOMIC_RELEASE);
}

/* --- life --- */

struct poller *poller_create(struct loop *l)
{
    struct poller *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    p->loop = l;
    for (unsigned i = 0; i < POLL_SLOTS; i++)
        p->slot[i].p = p;
    sem_init(&p->work, 0, 0);
    /* By edges, each write one: nothing has to be read, of which there is one for each burst. */
    p->told = (struct watch){.want = EPOLLIN | EPOLLET, .ready = poller_told};
    p->told.fd = bell_make();
    if (p->told.fd >= 0 && loop_watch(l, &p->told) == 0) {
        if (pthread_create(&p->thread, NULL, poller_main, p) == 0)
            return p;
        loop_unwatch(l, &p->told);
    }
    if (p->told.fd >= 0)
        close(p->told.fd);
    sem_destroy(&p->work);
    free(p);
    return NULL;
}

void poller_destroy(struct poller *p)
{
    if (!p)
        return;
    __atomic_store_n(&p->stop, true, __ATOMIC_RELEASE);
    sem_post(&p->work);
    pthread_join(p->thread, NULL);
    loop_unwatch(p->loop, &p->told);
    close(p->told.fd);
    sem_destroy(&p->work);
    free(p);
}
