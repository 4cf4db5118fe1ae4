/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake.h - how a test plays the guest on host_fake.
 *
 * One script for all fake hosts of the process; set it before the host is opened. The script runs
 * on the vCPU's thread, once per life (from creation or reset on), and acts on the sink as a guest
 * would. When it returns, the vCPU waits to be kicked, as a halted one does.
 */
#ifndef HOSPES_HOST_FAKE_H
#define HOSPES_HOST_FAKE_H

#include "host/host.h"

struct fake_script {
    /* life counts from 0. */
    void (*guest)(void *arg, struct vcpu *v, const struct host_sink *s, unsigned life);
    void *arg;
    int fail_open, fail_vcpu, fail_run; /* positive errno: that call fails */
};

/* What the host was told since fake_host_script(). */
struct fake_told {
    unsigned opened, closed, host_resets, vcpus, vcpu_resets, kicks, cpuid_leaves;
    struct host_cfg cfg;
    struct regs regs; /* of vCPU 0, last set */
    struct sregs sregs;
};

/* The script is copied; NULL: a guest that does nothing. Clears what was told. */
void fake_host_script(const struct fake_script *s);
/* A copy: vCPU threads may go on. */
struct fake_told fake_host_told(void);

#endif
