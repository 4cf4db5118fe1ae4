/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_cpuid.c - what a plain guest sees of the processor.
 *
 * Intel SDM vol. 2A CPUID and AMD APM vol. 3 appendix E. The list is what KVM supports on this
 * processor, less nested virtualization and KVM's own leaves, plus what the in-kernel APIC offers
 * and the processor's name, of which KVM tells nothing.
 * Topology: one package of `cpus` cores without threads, APIC ids 0, 1, 2...
 */
#include <cpuid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/kvm.h"

enum {
    CPUID_1_ECX_VMX = 1 << 5,
    CPUID_1_ECX_X2APIC = 1 << 21,
    CPUID_1_ECX_TSC_DEADLINE = 1 << 24,
    CPUID_1_EDX_HTT = 1 << 28,
    CPUID_8000_0001_ECX_CMP_LEGACY = 1 << 1,
    CPUID_8000_0001_ECX_SVM = 1 << 2,
};
#define CPUID_1_ECX_HYPERVISOR (UINT32_C(1) << 31)

int kvm_cpuid_open(struct kvm_host *h, struct err *e)
{
    h->cpuid = calloc(1, sizeof(*h->cpuid) + KVM_CPUID_MAX * sizeof(h->cpuid->entries[0]));
    if (!h->cpuid)
        return err_set(e, ENOMEM, "no memory for CPUID");
    h->cpuid->nent = KVM_CPUID_MAX;
    if (ioctl(h->sys, KVM_GET_SUPPORTED_CPUID, h->cpuid) < 0)
        return err_exit(e, EX_NO_HOST, errno, "KVM does not tell which CPUID it supports: %s",
                        strerror(errno));
    for (uint32_t i = 0; i < h->cpuid->nent; i++) {
        if (h->cpuid->entries[i].function == 0x40000001)
            h->pv_features = h->cpuid->entries[i].eax;
    }
    return 0;
}

static bool kvm_cpuid_is_hypervisor(uint32_t fn)
{
    return fn >> 28 == 4;
}

/* One of the three leaves with the processor's name. */
static void kvm_cpuid_name(struct cpuid_leaf *l)
{
    if ((l->eax | l->ebx | l->ecx | l->edx) == 0)
        (void)__get_cpuid(l->fn, &l->eax, &l->ebx, &l->ecx, &l->edx);
}

static void kvm_cpuid_plain(struct kvm_host *h, struct cpuid_leaf *l)
{
    switch (l->fn) {
    case 1:
        l->ecx &= ~(uint32_t)CPUID_1_ECX_VMX;
        l->ecx |= CPUID_1_ECX_HYPERVISOR | CPUID_1_ECX_X2APIC;
        if (ioctl(h->vm, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0)
            l->ecx |= CPUID_1_ECX_TSC_DEADLINE;
        break;
    case 0x80000001:
        l->ecx &= ~(uint32_t)CPUID_8000_0001_ECX_SVM;
        break;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
        kvm_cpuid_name(l);
        break;
    case 0x8000000a: /* SVM */
        l->eax = l->ebx = l->ecx = l->edx = 0;
        break;
    default:
        break;
    }
}

static bool kvm_cpuid_is_levels(uint32_t fn)
{
    return fn == 0xb || fn == 0x1f;
}

size_t kvm_cpuid_list(struct host *base, struct cpuid_leaf *out, size_t max)
{
    struct kvm_host *h = kvm_host_of(base);
    size_t n = 0;

    for (uint32_t i = 0; i < h->cpuid->nent && n < max; i++) {
        const struct kvm_cpuid_entry2 *k = &h->cpuid->entries[i];

        if (kvm_cpuid_is_hypervisor(k->function) ||
            (kvm_cpuid_is_levels(k->function) && k->index > 0))
            continue;
        out[n] = (struct cpuid_leaf){
            .fn = k->function,
            .index = k->index,
            .indexed = (k->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) != 0,
            .eax = k->eax,
            .ebx = k->ebx,
            .ecx = k->ecx,
            .edx = k->edx,
        };
        kvm_cpuid_plain(h, &out[n]);
        n++;
        /* KVM lists the first level only. */
        if (kvm_cpuid_is_levels(k->function) && n < max)
            out[n++] = (struct cpuid_leaf){.fn = k->function, .index = 1, .indexed = true};
    }
    return n;
}

size_t kvm_cpuid_hyperv(struct host *base, struct cpuid_leaf *out, size_t max)
{
    struct kvm_host *h = kvm_host_of(base);
    struct kvm_cpuid2 *k;
    size_t n = 0;

    if (ioctl(h->sys, KVM_CHECK_EXTENSION, KVM_CAP_SYS_HYPERV_CPUID) <= 0)
        return 0;
    k = calloc(1, sizeof(*k) + KVM_CPUID_MAX * sizeof(k->entries[0]));
    if (!k)
        return 0;
    k->nent = KVM_CPUID_MAX;
    if (ioctl(h->sys, KVM_GET_SUPPORTED_HV_CPUID, k) == 0) {
        for (; n < k->nent && n < max; n++)
            out[n] = (struct cpuid_leaf){
                .fn = k->entries[n].function,
                .eax = k->entries[n].eax,
                .ebx = k->entries[n].ebx,
                .ecx = k->entries[n].ecx,
                .edx = k->entries[n].edx,
            };
    }
    free(k);
    return n;
}

/* Bits that number `n` things. */
static unsigned kvm_cpuid_width(unsigned n)
{
    unsigned bits = 0;

    while (1u << bits < n)
        bits++;
    return bits;
}

/* Leaves 4 and 0x8000001d: who shares this cache. The last level is the package's. */
static void kvm_cpuid_cache(struct cpuid_leaf *l, unsigned width)
{
    unsigned level = l->eax >> 5 & 7;
    unsigned sharing = level >= 3 ? (1u << width) - 1 : 0;
    unsigned cores = l->fn == 4 ? (1u << width) - 1 : 0;

    if ((l->eax & 0x1f) == 0)
        return;
    if (cores > 63)
        cores = 63;
    l->eax = (l->eax & 0x3fff) | sharing << 14 | cores << 26;
}

/* Leaves 0xb and 0x1f: level 0 threads, level 1 cores, then nothing. */
static void kvm_cpuid_levels(struct cpuid_leaf *l, unsigned index, unsigned cpus)
{
    l->eax = l->index == 1 ? kvm_cpuid_width(cpus) : 0;
    l->ebx = l->index == 0 ? 1 : l->index == 1 ? cpus : 0;
    l->ecx = l->index | (l->index < 2 ? (l->index + 1) << 8 : 0);
    l->edx = index;
}

void kvm_cpuid_topology(struct cpuid_leaf *leaf, size_t n, unsigned index, unsigned cpus)
{
    unsigned width = kvm_cpuid_width(cpus);

    for (size_t i = 0; i < n; i++) {
        struct cpuid_leaf *l = &leaf[i];

        switch (l->fn) {
        case 1:
            l->ebx = (l->ebx & 0xffff) | (cpus > 1 ? 1u << width : 1) << 16 | index << 24;
            l->edx &= ~(uint32_t)CPUID_1_EDX_HTT;
            l->edx |= cpus > 1 ? CPUID_1_EDX_HTT : 0;
            break;
        case 4:
        case 0x8000001d:
            kvm_cpuid_cache(l, width);
            break;
        case 0xb:
        case 0x1f:
            kvm_cpuid_levels(l, index, cpus);
            break;
        case 0x80000001:
            l->ecx &= ~(uint32_t)CPUID_8000_0001_ECX_CMP_LEGACY;
            l->ecx |= cpus > 1 ? CPUID_8000_0001_ECX_CMP_LEGACY : 0;
            break;
        case 0x80000008:
            l->ecx = (l->ecx & ~UINT32_C(0xf0ff)) | width << 12 | (cpus - 1);
            break;
        case 0x8000001e:
            l->eax = index;
            l->ebx = index & 0xff;
            l->ecx = 0;
            break;
        default:
            break;
        }
    }
}

int kvm_cpuid_set(struct vcpu *base, const struct cpuid_leaf *leaf, size_t n, struct err *e)
{
    struct kvm_vcpu *v = kvm_vcpu_of(base);
    struct cpuid_leaf *fixed = calloc(n ? n : 1, sizeof(*fixed));
    struct kvm_cpuid2 *k = calloc(1, sizeof(*k) + n * sizeof(k->entries[0]));
    int rc = 0;

    if (!fixed || !k) {
        rc = err_set(e, ENOMEM, "no memory for CPUID");
        goto out;
    }
    memcpy(fixed, leaf, n * sizeof(*fixed));
    kvm_cpuid_topology(fixed, n, base->index, v->h->cfg.cpus);
    k->nent = (uint32_t)n;
    for (size_t i = 0; i < n; i++)
        k->entries[i] = (struct kvm_cpuid_entry2){
            .function = fixed[i].fn,
            .index = fixed[i].index,
            .flags = fixed[i].indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
            .eax = fixed[i].eax,
            .ebx = fixed[i].ebx,
            .ecx = fixed[i].ecx,
            .edx = fixed[i].edx,
        };
    if (ioctl(v->fd, KVM_SET_CPUID2, k) < 0)
        rc = err_exit(e, EX_NO_HOST, errno, "KVM refuses the CPUID of processor %u: %s",
                      base->index, strerror(errno));
    else
        rc = kvm_state_take(v, e);
out:
    free(fixed);
    free(k);
    return rc;
}
