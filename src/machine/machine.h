/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h - a running machine: built from a plan, driven by one loop and a thread per vCPU.
 */
#ifndef HOSPES_MACHINE_MACHINE_H
#define HOSPES_MACHINE_MACHINE_H

#include "core/core.h"
#include "machine/plan.h"

struct machine;

enum machine_end {
    END_POWEROFF,
    END_CRASHED,     /* panic or crash notice, triple fault */
    END_RESETS,      /* keeps resetting */
    END_STOPPED,     /* pulled the plug: stop --now */
    END_INTERRUPTED, /* Ctrl-] q, SIGINT, SIGTERM */
    END_FAILED,      /* the host cannot go on; e says why */
};

/* Builds everything and checks everything that can be checked; runs nothing yet. The plan stays
 * the caller's and must outlive the machine. */
MUST int machine_create(const struct plan *p, struct machine **out, struct err *e);
void machine_destroy(struct machine *m);

/* Runs until the machine ends. -errno with e only for END_FAILED. */
MUST int machine_run(struct machine *m, enum machine_end *end, struct err *e);

/* Any thread, also a signal-driven one: ends machine_run() with END_INTERRUPTED. */
void machine_interrupt(struct machine *m);

#endif
