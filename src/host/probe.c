/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.c - see probe.h.
 *
 * The scratch VM has 32 KiB: page tables that map 2 MiB onto themselves, and at 0x4000
 * `dec %ecx; jnz .-2; hlt`. HLT leaves KVM_RUN, because there is no interrupt controller. A first
 * run with a small count pays for page faults and caches.
 */
#define _GNU_SOURCE
#include "host/probe.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "abi/bytes.h"
#include "host/kvm.h"

enum {
    PROBE_MEMORY = 0x8000,
    PROBE_PML4 = 0x1000,
    PROBE_PDPT = 0x2000,
    PROBE_PD = 0x3000,
    PROBE_CODE = 0x4000,
    PROBE_WARM = 500,     /* rounds of two instructions */
    PROBE_ROUNDS = 20000, /* 40 ms at a microsecond per instruction */
    PROBE_TRIES = 3,      /* the best counts: other work on the machine only slows */
};

struct scratch {
    int sys, vm, vcpu;
    uint8_t *mem;
    struct kvm_run *run;
    size_t run_size;
};

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static void scratch_close(struct scratch *s)
{
    if (s->run)
        munmap(s->run, s->run_size);
    if (s->vcpu >= 0)
        close(s->vcpu);
    if (s->vm >= 0)
        close(s->vm);
    if (s->sys >= 0)
        close(s->sys);
    if (s->mem)
        munmap(s->mem, PROBE_MEMORY);
}

static bool scratch_memory(struct scratch *s)
{
    static const uint8_t code[] = {0xff, 0xc9, 0x75, 0xfc, 0xf4};
    struct kvm_userspace_memory_region r = {.memory_size = PROBE_MEMORY};
    void *p = mmap(NULL, PROBE_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return false;
    s->mem = p;
    le64_put(s->mem + PROBE_PML4, PROBE_PDPT | 3);
    le64_put(s->mem + PROBE_PDPT, PROBE_PD | 3);
    le64_put(s->mem + PROBE_PD, 0x83); /* present, writable, 2 MiB */
    memcpy(s->mem + PROBE_CODE, code, sizeof(code));
    r.userspace_addr = (uint64_t)(uintptr_t)s->mem;
    return ioctl(s->vm, KVM_SET_USER_MEMORY_REGION, &r) == 0;
}

/* 64-bit ring 0 with paging. */
static bool scratch_mode(struct scratch *s)
{
    struct kvm_segment flat = {.limit = 0xffffffff, .selector = 0x10, .type = 3, .present = 1};
    struct kvm_sregs sr;

    if (ioctl(s->vcpu, KVM_GET_SREGS, &sr) < 0)
        return false;
    flat.s = flat.g = flat.db = 1;
    sr.ds = sr.es = sr.fs = sr.gs = sr.ss = flat;
    flat.selector = 8;
    flat.type = 11;
    flat.db = 0;
    flat.l = 1;
    sr.cs = flat;
    sr.cr3 = PROBE_PML4;
    sr.cr4 |= 1 << 5;            /* PAE */
    sr.efer |= 1 << 8 | 1 << 10; /* LME, LMA */
    sr.cr0 = 0x80000031;         /* PG, NE, ET, PE */
    return ioctl(s->vcpu, KVM_SET_SREGS, &sr) == 0;
}

static bool scratch_vcpu(struct scratch *s)
{
    int size = ioctl(s->sys, KVM_GET_VCPU_MMAP_SIZE, 0);
    void *p;

    s->vcpu = ioctl(s->vm, KVM_CREATE_VCPU, 0);
    if (s->vcpu < 0 || size <= 0)
        return false;
    s->run_size = (size_t)size;
    p = mmap(NULL, s->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, s->vcpu, 0);
    if (p == MAP_FAILED)
        return false;
    s->run = p;
    return scratch_mode(s);
}

/* Nanoseconds that `rounds` take, 0 when the guest did not come to its HLT. */
static uint64_t scratch_time(struct scratch *s, uint32_t rounds)
{
    struct kvm_regs r = {.rip = PROBE_CODE, .rcx = rounds, .rflags = 2};
    uint64_t start;
    int rc;

    if (ioctl(s->vcpu, KVM_SET_REGS, &r) < 0)
        return 0;
    start = now_ns();
    do
        rc = ioctl(s->vcpu, KVM_RUN, 0);
    while (rc < 0 && errno == EINTR);
    if (rc < 0 || s->run->exit_reason != KVM_EXIT_HLT)
        return 0;
    return now_ns() - start + 1;
}

static void probe_speed(struct scratch *s, struct host_probe *out)
{
    uint64_t ns = 0;

    s->vm = ioctl(s->sys, KVM_CREATE_VM, 0);
    if (s->vm < 0) {
        snprintf(out->why, sizeof(out->why),
                 "KVM makes no machine: %s; other hypervisors may be in its way", strerror(errno));
        return;
    }
    if (scratch_memory(s) && scratch_vcpu(s) && scratch_time(s, PROBE_WARM)) {
        for (int i = 0; i < PROBE_TRIES; i++) {
            uint64_t t = scratch_time(s, PROBE_ROUNDS);

            ns = ns && ns < t ? ns : t;
        }
    }
    if (ns == 0) {
        snprintf(out->why, sizeof(out->why),
                 "KVM does not run kernel code here; use --host soft, or a machine with virtual "
                 "machine extensions");
        return;
    }
    out->speed = 2 * (uint64_t)PROBE_ROUNDS * UINT64_C(1000000000) / ns;
    out->usable = out->speed >= PROBE_SLOW;
    if (!out->usable)
        snprintf(out->why, sizeof(out->why),
                 "KVM runs kernel code at %.1f million instructions per second only, so it "
                 "emulates; use --host soft",
                 (double)out->speed / 1e6);
}

static void probe_open_failed(struct host_probe *out, int code)
{
    out->exists = code != ENOENT;
    if (code == ENOENT)
        snprintf(out->why, sizeof(out->why),
                 "there is no /dev/kvm: load kvm_intel or kvm_amd and switch virtualization on in "
                 "the firmware");
    else if (code == EACCES || code == EPERM)
        snprintf(out->why, sizeof(out->why),
                 "no permission on /dev/kvm: add this user to its group, as with adduser NAME kvm, "
                 "and log in again");
    else
        snprintf(out->why, sizeof(out->why), "/dev/kvm does not open: %s", strerror(code));
}

void host_probe(struct host_probe *out)
{
    struct scratch s = {.sys = -1, .vm = -1, .vcpu = -1};

    *out = (struct host_probe){0};
    s.sys = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    out->exists = out->opens = s.sys >= 0;
    if (s.sys < 0) {
        probe_open_failed(out, errno);
    } else if (ioctl(s.sys, KVM_GET_API_VERSION, 0) == KVM_API_VERSION) {
        out->caps = kvm_caps(s.sys);
        probe_speed(&s, out);
    } else {
        snprintf(out->why, sizeof(out->why), "/dev/kvm has an interface that is not supported");
    }
    scratch_close(&s);
}

bool host_nested_tcg(void)
{
    unsigned a, b, c, d;
    char name[12];

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 31)) /* no hypervisor */
        return false;
    __cpuid(0x40000000, a, b, c, d);
    memcpy(name, &b, 4);
    memcpy(name + 4, &c, 4);
    memcpy(name + 8, &d, 4);
    return memcmp(name, "TCGTCGTCGTCG", sizeof(name)) == 0;
}
