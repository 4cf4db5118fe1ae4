/* SPDX-License-Identifier: Apache-2.0 */
/* sweep.h - folders of a process that go when it ends, also by a signal that nothing can catch. */
#ifndef HOSPES_VALIDATION_SWEEP_H
#define HOSPES_VALIDATION_SWEEP_H

#include <sys/types.h>

#include "core/core.h"

/* Zeroed: there is none. */
struct sweeper {
    pid_t pid; /* of a child that waits for this process's end */
    int pipe;  /* whose other end it holds */
};

/* From now on the n folders go when this process ends before sweeper_end(). The names may come into
 * being later. */
MUST int sweeper_begin(struct sweeper *s, const char *const path[], size_t n, struct err *e);
/* The folders stay as they are. */
void sweeper_end(struct sweeper *s);

#endif
