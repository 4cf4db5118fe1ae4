/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll.h - a thread that looks at rings, so that a guest with much to ask need not signal.
 *
 * A guest signals at the first packet of a burst, and whoever serves that packet at once makes the
 * next one a first again: an exit for each. So while bursts are the rule, a channel leaves the
 * guest's signals off and has its ring looked at. The thread has the lowest priority: where it
 * shares a processor with the guest it runs when the guest has halted, that is, when the burst is
 * complete; where it has one to itself it spins. It takes no lock and only tells the loop.
 *
 * Threads: poll_arm() and poll_disarm() any, one at a time for a slot; all else the loop's.
 */
#ifndef HOSPES_PERSONAS_POLL_H
#define HOSPES_PERSONAS_POLL_H

#include "core/loop.h"

struct poll_slot;
struct poller;

/* news: the word has changed; else it has not for POLL_NS. The slot is no longer armed. */
typedef void poll_fn(void *arg, bool news);

/* NULL: no thread can be had; then nothing is polled. */
struct poller *poller_create(struct loop *l);
void poller_destroy(struct poller *p); /* NULL is fine */

/* NULL: none is left, or p is NULL. */
struct poll_slot *poll_slot_get(struct poller *p, poll_fn *fn, void *arg);
void poll_slot_put(struct poll_slot *s); /* NULL is fine; fn is not called any more */

/* Watches a word of the guest's memory until it is not `seen` any more. An armed slot is moved. */
void poll_arm(struct poll_slot *s, const void *word, uint32_t seen);
void poll_disarm(struct poll_slot *s);

#endif
