/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hyperv.h - the hypervisor interface of Hyper-V: CPUID leaves, MSRs, hypercalls, SynIC pages.
 *
 * Document: Hypervisor Top Level Functional Specification 6.0b, chapters 2, 3, 4, 11 and 12.
 * Names are those of the document with the prefixes that Linux gives them.
 */
#ifndef HOSPES_ABI_HYPERV_H
#define HOSPES_ABI_HYPERV_H

#include "abi/bytes.h"

enum hv_cpuid {
    HYPERV_CPUID_VENDOR_AND_MAX_FUNCTIONS = 0x40000000,
    HYPERV_CPUID_INTERFACE = 0x40000001,
    HYPERV_CPUID_VERSION = 0x40000002,
    HYPERV_CPUID_FEATURES = 0x40000003,
    HYPERV_CPUID_ENLIGHTMENT_INFO = 0x40000004,
    HYPERV_CPUID_IMPLEMENT_LIMITS = 0x40000005,
    HYPERV_CPUID_HW_FEATURES = 0x40000006,
};

/* "Microsoft Hv" and "Hv#1". */
#define HV_VENDOR_EBX UINT32_C(0x7263694d)
#define HV_VENDOR_ECX UINT32_C(0x666f736f)
#define HV_VENDOR_EDX UINT32_C(0x76482074)
#define HV_INTERFACE_EAX UINT32_C(0x31237648)

/* Features, EAX: what the partition may use. */
enum hv_privilege {
    HV_MSR_VP_RUNTIME_AVAILABLE = 1 << 0,
    HV_MSR_TIME_REF_COUNT_AVAILABLE = 1 << 1,
    HV_MSR_SYNIC_AVAILABLE = 1 << 2,
    HV_MSR_SYNTIMER_AVAILABLE = 1 << 3,
    HV_MSR_APIC_ACCESS_AVAILABLE = 1 << 4,
    HV_MSR_HYPERCALL_AVAILABLE = 1 << 5,
    HV_MSR_VP_INDEX_AVAILABLE = 1 << 6,
    HV_MSR_RESET_AVAILABLE = 1 << 7,
    HV_MSR_REFERENCE_TSC_AVAILABLE = 1 << 9,
    HV_MSR_GUEST_IDLE_AVAILABLE = 1 << 10,
    HV_ACCESS_FREQUENCY_MSRS = 1 << 11,
    HV_ACCESS_REENLIGHTENMENT = 1 << 13,
    HV_ACCESS_TSC_INVARIANT = 1 << 15,
};
/* Features, EBX. */
enum hv_privilege_high { HV_POST_MESSAGES = 1 << 4, HV_SIGNAL_EVENTS = 1 << 5 };
/* Features, EDX. */
enum hv_feature {
    HV_X64_HYPERCALL_XMM_INPUT_AVAILABLE = 1 << 4,
    HV_FEATURE_FREQUENCY_MSRS_AVAILABLE = 1 << 8,
    HV_FEATURE_GUEST_CRASH_MSR_AVAILABLE = 1 << 10,
    HV_STIMER_DIRECT_MODE_AVAILABLE = 1 << 19,
};
/* Recommendations, EAX. */
enum hv_hint {
    HV_X64_REMOTE_TLB_FLUSH_RECOMMENDED = 1 << 2,
    HV_X64_APIC_ACCESS_RECOMMENDED = 1 << 3,
    HV_X64_SYSTEM_RESET_RECOMMENDED = 1 << 4,
    HV_X64_RELAXED_TIMING_RECOMMENDED = 1 << 5,
    HV_DEPRECATING_AEOI_RECOMMENDED = 1 << 9,
    HV_X64_CLUSTER_IPI_RECOMMENDED = 1 << 10,
    HV_X64_EX_PROCESSOR_MASKS_RECOMMENDED = 1 << 11,
    HV_X64_NO_NONARCH_CORESHARING = 1 << 18,
};

enum hv_msr {
    HV_X64_MSR_GUEST_OS_ID = 0x40000000,
    HV_X64_MSR_HYPERCALL = 0x40000001,
    HV_X64_MSR_REFERENCE_TSC = 0x40000021,
    HV_X64_MSR_SCONTROL = 0x40000080,
    HV_X64_MSR_SIEFP = 0x40000082,
    HV_X64_MSR_SIMP = 0x40000083,
    HV_X64_MSR_SINT0 = 0x40000090,
    HV_X64_MSR_STIMER0_CONFIG = 0x400000b0,
    HV_X64_MSR_CRASH_P0 = 0x40000100,
};
#define HV_SINT_MASKED (UINT64_C(1) << 16)
#define HV_SYNIC_ENABLE UINT64_C(1) /* SCONTROL, SIEFP, SIMP */
#define HV_PAGE_MASK (~UINT64_C(0xfff))

enum hv_call { HVCALL_POST_MESSAGE = 0x5c, HVCALL_SIGNAL_EVENT = 0x5d };
#define HV_HYPERCALL_FAST_BIT (UINT64_C(1) << 16)

enum hv_status {
    HV_STATUS_SUCCESS = 0,
    HV_STATUS_INVALID_HYPERCALL_CODE = 2,
    HV_STATUS_INVALID_HYPERCALL_INPUT = 3,
    HV_STATUS_INVALID_ALIGNMENT = 4,
    HV_STATUS_INVALID_PARAMETER = 5,
    HV_STATUS_INVALID_CONNECTION_ID = 18,
    HV_STATUS_INSUFFICIENT_BUFFERS = 19,
};

enum {
    HV_MESSAGE_PAYLOAD = 240,
    HV_SYNIC_SLOTS = 16,
    HV_EVENT_FLAGS = 2048, /* per slot */
};

struct hv_post_message_input {
    le32 connectionid;
    le32 reserved;
    le32 message_type;
    le32 payload_size;
    uint8_t payload[HV_MESSAGE_PAYLOAD];
};
WIRE_SIZE(struct hv_post_message_input, 256);
WIRE_OFFSET(struct hv_post_message_input, payload, 16);

/* One slot of the SIM page. */
struct hv_message {
    le32 message_type; /* HVMSG_NONE: free */
    uint8_t payload_size;
    uint8_t message_flags; /* bit 0: another one waits, write EOM */
    le16 reserved;
    le64 port;
    uint8_t payload[HV_MESSAGE_PAYLOAD];
};
WIRE_SIZE(struct hv_message, 256);
WIRE_OFFSET(struct hv_message, port, 8);
WIRE_OFFSET(struct hv_message, payload, 16);
enum hv_message_type { HVMSG_NONE = 0, HVMSG_VMBUS = 1 };
enum { HV_MESSAGE_PENDING = 1 };

#endif
