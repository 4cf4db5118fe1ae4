/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage.h - counts what a guest asks of its hypervisor: MSRs and hypercalls that leave KVM. For
 * `hospes info`, and from there for the contract of a validation.
 *
 * Not counted: what KVM answers itself (CPUID, its own clock MSRs, Hyper-V's and Xen's in-kernel
 * parts).
 */
#ifndef HOSPES_MACHINE_USAGE_H
#define HOSPES_MACHINE_USAGE_H

#include "core/core.h"
#include "machine/control.h"

enum usage_kind { USAGE_MSR = 1, USAGE_HYPERCALL = 2 };
enum { USAGE_SLOTS = 256 }; /* what comes after so many different ones is not counted */

struct usage_slot {
    uint64_t key;      /* kind and number; 0: free */
    uint64_t count[2]; /* by enum access; calls are in [0] */
};

struct usage {
    struct usage_slot slot[USAGE_SLOTS];
};

/* Any thread, no lock. */
void usage_count(struct usage *u, enum usage_kind kind, uint64_t number, enum access dir);
/* As parts of the list "uses", sorted. */
void usage_describe(const struct usage *u, struct info *out);

#endif
