/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold.c - see hold.h. Which keys there are: Linux 6.1 and 6.12, preempt_notifier_key (any
 * machine), apic_sw_disabled (a local APIC that its guest has not enabled), kvm_has_noapic_vcpu (a
 * processor without one), kvm_xen_enabled.
 */
#define _GNU_SOURCE
#include "host/hold.h"

#include <fcntl.h>

#include "host/kvm.h"

enum { HOLD_XEN_MSR = 0x40000000 };

static void hold_machine(int sys, bool chip)
{
    struct kvm_xen_hvm_config xen = {.flags = KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL,
                                     .msr = HOLD_XEN_MSR};
    int vm = ioctl(sys, KVM_CREATE_VM, 0);

    if (vm < 0)
        return;
    if (chip) {
        (void)ioctl(vm, KVM_CREATE_IRQCHIP, 0);
        (void)ioctl(vm, KVM_XEN_HVM_CONFIG, &xen);
    }
    /* The descriptors are the machines: they are not closed. */
    (void)ioctl(vm, KVM_CREATE_VCPU, 0);
}

void host_hold(void)
{
    int sys = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    if (sys < 0)
        return;
    hold_machine(sys, true);
    hold_machine(sys, false);
}
