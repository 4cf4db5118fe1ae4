/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox.h - what the threads of a running machine may ask of the kernel.
 *
 * Once a machine is set up its threads need few system calls: none of them starts a program, traces
 * another, mounts, loads a module or becomes somebody else. A filter (seccomp) holds each thread to
 * a list. A call outside it ends the process with one sentence and EX_BUG: either hospes has a
 * fault, or a guest has found one.
 *
 * Threads: sandbox_open() before other threads enter; sandbox_enter() on the thread that it is for.
 * A thread that is started later has the filter of the one that started it.
 */
#ifndef HOSPES_HOST_SANDBOX_H
#define HOSPES_HOST_SANDBOX_H

#include "core/core.h"

enum sandbox_mode {
    SANDBOX_OFF,
    SANDBOX_ON,     /* the loop, and the threads that it starts: disks, displays */
    SANDBOX_STRICT, /* processors too; each of their exits then costs some 150 instructions more */
};

enum sandbox_thread { SANDBOX_LOOP, SANDBOX_VCPU };

/* "off", "on" or "strict". -EINVAL: none of these. */
MUST int sandbox_parse(const char *text, enum sandbox_mode *out);
/* false: this host has no such filters. */
bool sandbox_there(void);
/* No new privileges for this process from here on; before_end (may be NULL) is called before it
 * ends for a forbidden call, from a signal handler. */
MUST int sandbox_open(enum sandbox_mode mode, void (*before_end)(void), struct err *e);
/* Holds the calling thread to its list, for good. Does nothing when the mode leaves it free. */
MUST int sandbox_enter(enum sandbox_thread kind, struct err *e);

#endif
