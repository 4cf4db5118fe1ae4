/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h - a running machine: built from a plan, driven by one loop and a thread per vCPU.
 */
#ifndef HOSPES_MACHINE_MACHINE_H
#define HOSPES_MACHINE_MACHINE_H

#include "core/core.h"
#include "machine/plan.h"

struct dump;
struct host_ops;
struct info;
struct machine;

enum machine_end {
    END_POWEROFF,
    END_CRASHED,     /* panic or crash notice, triple fault */
    END_RESETS,      /* keeps resetting */
    END_STOPPED,     /* pulled the plug: stop --now */
    END_INTERRUPTED, /* Ctrl-] q, SIGINT, SIGTERM */
    END_TEST,        /* --testdev: the guest wrote its exit value */
    END_FAILED,      /* the host cannot go on; e says why */
};

/* Builds everything and checks everything that can be checked; runs nothing yet. The plan stays
 * the caller's and must outlive the machine. host: &host_kvm, or a test's. */
MUST int machine_create(const struct plan *p, const struct host_ops *host, struct machine **out,
                        struct err *e);
void machine_destroy(struct machine *m);

/* Runs until the machine ends. -errno with e only for END_FAILED. */
MUST int machine_run(struct machine *m, enum machine_end *end, struct err *e);

/* END_CRASHED, END_RESETS: one sentence about it. */
const char *machine_why(const struct machine *m);
/* END_TEST: what the process ends with. */
unsigned machine_test_value(const struct machine *m);

/* Somebody wants it to end, and not the guest: END_STOPPED or END_INTERRUPTED. Loop's thread. */
bool machine_unplugged(const struct machine *m);

/* Any thread, also inside a signal handler: ends machine_run() with END_INTERRUPTED. */
void machine_interrupt(struct machine *m);

/* Opens the control socket of the machine's name, before it runs: -EBUSY when the name is taken.
 * *path stays valid as long as the machine. */
MUST int machine_control(struct machine *m, const char **path, struct err *e);

/* --- on the loop's thread, for the control socket --- */

struct loop *machine_loop(struct machine *m);
const struct plan *machine_plan(const struct machine *m);
struct console *machine_console(struct machine *m);

/* Pulls the plug: machine_run() returns END_STOPPED. */
void machine_stop(struct machine *m);
/* Asks the guest to shut down by its persona's own channel, or by the power button where it has
 * none: *how is "ACPI power button" or the persona's name. -ENOTSUP with e: nobody listens. */
MUST int machine_shutdown(struct machine *m, const char **how, struct err *e);
/* Wakes a guest that sleeps (ACPI S3) by the power button. -ENOTSUP: it does not sleep. */
MUST int machine_wake_up(struct machine *m, const char **how, struct err *e);
/* What is known of host, board, persona and devices. */
void machine_describe(struct machine *m, struct dump *out);
/* The same and more, part by part, for `hospes info`. */
void machine_info(struct machine *m, struct info *out);
/* Stops the processors for a moment and tells their registers and last exits. */
void machine_state(struct machine *m, struct info *out);

#endif
