/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ranges.h - who is at work on which byte range of a disk. Any thread.
 *
 * A range is held by one holder at a time. The loop asks with ranges_try() and hands the request to
 * a worker when the answer is no; workers wait.
 */
#ifndef HOSPES_STORAGE_RANGES_H
#define HOSPES_STORAGE_RANGES_H

#include <pthread.h>

#include "core/core.h"

struct range {
    uint64_t off, len;
    struct range *next, *prev;
};

struct ranges {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    struct range *head;
};

void ranges_init(struct ranges *r);
void ranges_fini(struct ranges *r);

/* g is the caller's until ranges_drop(). */
void ranges_hold(struct ranges *r, struct range *g, uint64_t off, uint64_t len);
bool ranges_try(struct ranges *r, struct range *g, uint64_t off, uint64_t len);
void ranges_drop(struct ranges *r, struct range *g);

#endif
