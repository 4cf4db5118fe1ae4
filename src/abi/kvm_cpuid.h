/* SPDX-License-Identifier: Apache-2.0 */
/* kvm_cpuid.h - the CPUID leaves of KVM. Document: Linux, Documentation/virt/kvm/x86/cpuid.rst. */
#ifndef HOSPES_ABI_KVM_CPUID_H
#define HOSPES_ABI_KVM_CPUID_H

#include <stdint.h>

#define KVM_CPUID_SIGNATURE UINT32_C(0x40000000)
#define KVM_CPUID_FEATURES UINT32_C(0x40000001)

/* "KVMKVMKVM" in EBX, ECX, EDX of the signature leaf. */
enum {
    KVM_SIGNATURE_EBX = 0x4b4d564b,
    KVM_SIGNATURE_ECX = 0x564b4d56,
    KVM_SIGNATURE_EDX = 0x4d,
};

/* Bit numbers in EAX of the features leaf. */
enum {
    KVM_FEATURE_CLOCKSOURCE = 0,
    KVM_FEATURE_NOP_IO_DELAY = 1,
    KVM_FEATURE_CLOCKSOURCE2 = 3,
    KVM_FEATURE_ASYNC_PF = 4,
    KVM_FEATURE_STEAL_TIME = 5,
    KVM_FEATURE_PV_EOI = 6,
    KVM_FEATURE_PV_UNHALT = 7,
    KVM_FEATURE_PV_TLB_FLUSH = 9,
    KVM_FEATURE_ASYNC_PF_VMEXIT = 10,
    KVM_FEATURE_PV_SEND_IPI = 11,
    KVM_FEATURE_POLL_CONTROL = 12,
    KVM_FEATURE_PV_SCHED_YIELD = 13,
    KVM_FEATURE_ASYNC_PF_INT = 14,
    KVM_FEATURE_CLOCKSOURCE_STABLE_BIT = 24,
};

#endif
