/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.h - a look at hostile bytes, in a process that can read and do nothing else.
 *
 * The child has no write access to anything but its own memory and one nameless file in memory, may
 * open files for reading only, and is bounded in memory and time. It cannot start programs, make
 * sockets or signal others.
 */
#ifndef HOSPES_INSPECT_CHILD_H
#define HOSPES_INSPECT_CHILD_H

#include "core/core.h"

enum { CHILD_MEMORY = 56 << 20 };

enum child_end {
    CHILD_DONE,
    CHILD_CRASHED, /* a signal, which it may have got for using too much */
    CHILD_LATE,    /* its time was over */
};

/* Runs fn(arg) in a child and waits. It has `seconds` of processor time, and four times as much by
 * the clock, so that what it finds does not depend on what else the machine does. `arg` lies in
 * memory from child_share(). -errno: no child. */
MUST int child_run(void (*fn)(void *arg), void *arg, unsigned seconds, enum child_end *end);
/* For the child: everything that must be opened is open; from here on only reading is left. */
void child_lock(void);

/* Zeroed memory that a child shares; NULL: none. */
void *child_share(size_t n);
void child_unshare(void *p, size_t n);

/* An empty file in memory that a library can open as /proc/self/fd/N. One at a time. */
int child_memory(void);
void child_memory_done(int fd);

#endif
