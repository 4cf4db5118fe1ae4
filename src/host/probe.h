/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.h - measures whether this machine can run guests on KVM.
 *
 * That /dev/kvm opens proves little: a KVM that cannot run kernel code natively (some nested ones)
 * emulates it at a microsecond per instruction. So a scratch VM runs a loop in 64-bit ring 0.
 */
#ifndef HOSPES_HOST_PROBE_H
#define HOSPES_HOST_PROBE_H

#include "core/core.h"

enum {
    PROBE_SLOW = 10000000, /* instructions per second below which KVM is not usable */
};

struct host_probe {
    bool usable;
    char why[240];      /* not usable: one sentence, with what to do */
    bool exists, opens; /* /dev/kvm */
    uint64_t speed;     /* ring-0 instructions per second, 0: the loop did not run */
    uint32_t caps;      /* HOST_CAP_*, 0 when it does not open */
};

/* Takes some milliseconds; up to 0.2 s where KVM emulates. Any thread. */
void host_probe(struct host_probe *out);

/* Is this the processor that QEMU's TCG makes? KVM on it has TCG's limits: see
 * docs/reference/softhost. */
bool host_nested_tcg(void);

#endif
