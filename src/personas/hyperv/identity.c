/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.c - CPUID leaves of Hyper-V and the meaning of GUEST_OS_ID. TLFS 6.0b chapters 2
 * and 2.6.
 *
 * All enlightenments that the host's kernel has are offered, and none of the privileges of a root
 * partition. Synthetic timers are always offered with their direct mode, AutoEOI never.
 */
#include "identity.h"

#include <stdio.h>
#include <string.h>

#include "abi/hyperv.h"
#include "abi/vmbus.h"

/* Its driver says FreeBSD, and version 10 where FreeBSD counts from 1,000,000 on. */
#define IDENTITY_OPENBSD UINT64_C(0x82000000000a0000)
enum { IDENTITY_FREEBSD = 0x82 }; /* the top byte: open source, 2 */

const struct identity identities[] = {
    {"2025", 10, 0, 26100, VERSION_COPPER, 0, 0},
    {"2022", 10, 0, 20348, VERSION_WIN10_V5_3, 0, 0},
    {"2019", 10, 0, 17763, VERSION_WIN10_V5_2, 0, 0},
    {"2016", 10, 0, 14393, VERSION_WIN10, 0, 0},
    {"2012r2", 6, 3, 9600, VERSION_WIN8_1, HV_X64_HYPERCALL_XMM_INPUT_AVAILABLE,
     HV_X64_EX_PROCESSOR_MASKS_RECOMMENDED | HV_X64_CLUSTER_IPI_RECOMMENDED},
    {"2008r2", 6, 1, 7601, VERSION_WIN7,
     HV_X64_HYPERCALL_XMM_INPUT_AVAILABLE | HV_FEATURE_GUEST_CRASH_MSR_AVAILABLE,
     HV_X64_EX_PROCESSOR_MASKS_RECOMMENDED | HV_X64_CLUSTER_IPI_RECOMMENDED},
    {0},
};

const struct identity *identity_find(const char *name)
{
    for (const struct identity *id = identities; id->name; id++) {
        if (strcmp(id->name, name) == 0)
            return id;
    }
    return NULL;
}

/* What we offer where the host has it. */
enum {
    WANT_PRIVILEGES =
        HV_MSR_VP_RUNTIME_AVAILABLE | HV_MSR_TIME_REF_COUNT_AVAILABLE | HV_MSR_SYNIC_AVAILABLE |
        HV_MSR_SYNTIMER_AVAILABLE | HV_MSR_APIC_ACCESS_AVAILABLE | HV_MSR_HYPERCALL_AVAILABLE |
        HV_MSR_VP_INDEX_AVAILABLE | HV_MSR_RESET_AVAILABLE | HV_MSR_REFERENCE_TSC_AVAILABLE |
        HV_ACCESS_FREQUENCY_MSRS | HV_ACCESS_REENLIGHTENMENT | HV_ACCESS_TSC_INVARIANT,
    WANT_FEATURES = HV_X64_HYPERCALL_XMM_INPUT_AVAILABLE | HV_FEATURE_FREQUENCY_MSRS_AVAILABLE |
                    HV_FEATURE_GUEST_CRASH_MSR_AVAILABLE | HV_STIMER_DIRECT_MODE_AVAILABLE,
    WANT_HINTS = HV_X64_REMOTE_TLB_FLUSH_RECOMMENDED | HV_X64_APIC_ACCESS_RECOMMENDED |
                 HV_X64_RELAXED_TIMING_RECOMMENDED | HV_DEPRECATING_AEOI_RECOMMENDED |
                 HV_X64_CLUSTER_IPI_RECOMMENDED | HV_X64_EX_PROCESSOR_MASKS_RECOMMENDED,
    SPIN_RETRIES = 0xfff,
    VP_MAX = 240, /* APIC ids without remapping */
};

static struct cpuid_leaf host_leaf(const struct cpuid_leaf *have, size_t n, uint32_t fn)
{
    for (size_t i = 0; i < n; i++) {
        if (have[i].fn == fn)
            return have[i];
    }
    /* A host that does not say has had these since Linux 5.0. */
    return (struct cpuid_leaf){
        .fn = fn,
        .eax = UINT32_MAX & ~(uint32_t)(HV_ACCESS_REENLIGHTENMENT | HV_ACCESS_TSC_INVARIANT),
        .edx = UINT32_MAX & ~(uint32_t)HV_X64_HYPERCALL_XMM_INPUT_AVAILABLE,
    };
}

size_t identity_cpuid(const struct identity *id, struct host *h, unsigned cpus,
                      struct cpuid_leaf *leaf, size_t n, size_t max)
{
    struct cpuid_leaf have[32];
    size_t got = h->ops->hyperv_cpuid ? h->ops->hyperv_cpuid(h, have, ARRAY_SIZE(have)) : 0;
    struct cpuid_leaf f = host_leaf(have, got, HYPERV_CPUID_FEATURES);
    struct cpuid_leaf hint = host_leaf(have, got, HYPERV_CPUID_ENLIGHTMENT_INFO);
    const struct cpuid_leaf mine[] = {
        {.fn = HYPERV_CPUID_VENDOR_AND_MAX_FUNCTIONS,
         .eax = HYPERV_CPUID_HW_FEATURES,
         .ebx = HV_VENDOR_EBX,
         .ecx = HV_VENDOR_ECX,
         .edx = HV_VENDOR_EDX},
        {.fn = HYPERV_CPUID_INTERFACE, .eax = HV_INTERFACE_EAX},
        {.fn = HYPERV_CPUID_VERSION,
         .eax = id->build,
         .ebx = (uint32_t)id->major << 16 | id->minor},
        {.fn = HYPERV_CPUID_FEATURES,
         .eax = f.eax & WANT_PRIVILEGES,
         .ebx = HV_POST_MESSAGES | HV_SIGNAL_EVENTS,
         .edx = f.edx & WANT_FEATURES & ~id->hidden_features},
        {.fn = HYPERV_CPUID_ENLIGHTMENT_INFO,
         .eax = hint.eax & WANT_HINTS & ~id->hidden_hints,
         .ebx = SPIN_RETRIES},
        {.fn = HYPERV_CPUID_IMPLEMENT_LIMITS, .eax = VP_MAX, .ebx = cpus},
        {.fn = HYPERV_CPUID_HW_FEATURES},
    };

    for (size_t i = 0; i < ARRAY_SIZE(mine) && n < max; i++)
        leaf[n++] = mine[i];
    return n;
}

bool identity_needs_monitors(uint64_t os_id)
{
    return os_id == IDENTITY_OPENBSD;
}

bool identity_is_windows(uint64_t os_id)
{
    return os_id >> 48 == 1 && (os_id >> 40 & 0xff) == 4;
}

static const char *open_source_name(unsigned type)
{
    static const char *const names[] = {"unknown", "Linux", "FreeBSD", "Xen", "illumos"};

    return type < ARRAY_SIZE(names) ? names[type] : names[0];
}

void identity_guest(uint64_t os_id, char *out, size_t room)
{
    unsigned version = (unsigned)(os_id >> 16 & UINT32_MAX);

    if (os_id == 0) {
        snprintf(out, room, "not told");
    } else if (os_id == IDENTITY_OPENBSD) {
        snprintf(out, room, "OpenBSD");
    } else if (os_id >> 56 == IDENTITY_FREEBSD) { /* as uname -K: 1401000 */
        snprintf(out, room, "FreeBSD %u.%u", version / 100000, version / 1000 % 100);
    } else if (os_id >> 63) {
        snprintf(out, room, "%s %u.%u.%u", open_source_name((unsigned)(os_id >> 56 & 0x7f)),
                 version >> 16, version >> 8 & 0xff, version & 0xff);
    } else if ((os_id >> 48 & 0x7fff) == 1) {
        snprintf(out, room, "Microsoft %s %u.%u build %u service pack %u",
                 (os_id >> 40 & 0xff) == 4 ? "Windows NT" : "OS", (unsigned)(os_id >> 32 & 0xff),
                 (unsigned)(os_id >> 24 & 0xff), (unsigned)(os_id & 0xffff),
                 (unsigned)(os_id >> 16 & 0xff));
    } else {
        snprintf(out, room, "vendor %u, %#llx", (unsigned)(os_id >> 48 & 0x7fff),
                 (unsigned long long)os_id);
    }
}
