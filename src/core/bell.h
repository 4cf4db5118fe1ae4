/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bell.h - doorbells: descriptors that any thread rings, as often as it likes, and that wake their
 * loop once. An eventfd that does not block.
 */
#ifndef HOSPES_CORE_BELL_H
#define HOSPES_CORE_BELL_H

#include <sys/eventfd.h>
#include <unistd.h>

#include "core/core.h"

/* Closed on exec; the caller's. -1 with errno. */
MUST static inline int bell_make(void)
{
    return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

/* It fails when the counter is full, which means that it has been rung: nothing is lost. */
static inline void bell_ring(int fd)
{
    uint64_t one = 1;

    (void)!write(fd, &one, sizeof(one));
}

/* Takes what was rung, of a timer (timerfd) what has passed. false: nothing. */
static inline bool bell_take(int fd)
{
    uint64_t n;

    return read(fd, &n, sizeof(n)) == sizeof(n);
}

#endif
