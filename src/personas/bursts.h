/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bursts.h - whether a guest asks for much at a time, so that its ring is looked at and its signals
 * are spared; see docs/decisions/0093.
 *
 * A ring's owner asks bursts_due() at each signal. Once it says yes, the owner leaves the guest's
 * signals off and calls bursts_wait(); its poll_fn then serves the ring on the loop, or lets the
 * guest signal again when there were no news. Threads: bursts_open() and bursts_close() the loop's;
 * all else under the owner's lock.
 */
#ifndef HOSPES_PERSONAS_BURSTS_H
#define HOSPES_PERSONAS_BURSTS_H

#include "personas/poll.h"

struct bursts {
    struct loop *loop;
    struct poll_slot *slot; /* NULL: never */
    bool on;                /* the owner reads it: signals stay off, bursts_wait() follows */
    unsigned depth;         /* requests found at a time, a mean, scaled */
    unsigned served, probe; /* signals served at once; how many until it is tried again */
    uint64_t since;         /* when the slot was armed, ns */
};

/* p NULL: there never are any. fn is called on the loop, without a lock. */
void bursts_open(struct bursts *k, struct loop *l, struct poller *p, poll_fn *fn, void *arg);
void bursts_close(struct bursts *k); /* fn is not called any more; also for one never opened */

/* A signal came. true: take it as the first of a burst and wait; else serve it at once. */
bool bursts_due(struct bursts *k);
/* fn is called when `word` of the ring, in guest memory, is not `seen` any more. */
void bursts_wait(struct bursts *k, const void *word, uint32_t seen);
/* fn was called with news: who is told too late had better be signalled. */
void bursts_news(struct bursts *k);
/* While on: the ring held n requests, n > 0. Few of them end it. */
void bursts_count(struct bursts *k, uint64_t n);
/* Ends it for a long while. */
void bursts_stop(struct bursts *k);

#endif
