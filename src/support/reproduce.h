/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reproduce.h - the command for a shell that starts a plan's machine without its persona:
 * processors, memory, firmware, board, disks as snapshots, floppies, cards with their addresses.
 *
 * Threads: none.
 */
#ifndef HOSPES_SUPPORT_REPRODUCE_H
#define HOSPES_SUPPORT_REPRODUCE_H

#include <stdio.h>

struct plan;

/* A line each; p was checked by plan_check(). */
void reproduce_bare(FILE *out, const struct plan *p);
void reproduce_qemu(FILE *out, const struct plan *p);

#endif
