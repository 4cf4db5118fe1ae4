/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_vcpu.c - runs a processor and hands its exits on.
 *
 * The path of a port or memory access is straight code: KVM_RUN, a switch, one call into the bus.
 * Nothing on it takes a lock of this folder, makes another system call or copies registers.
 * vcpu_kick() sets `stop` before immediate_exit, and the runner clears immediate_exit before it
 * looks at `stop`, so that a kick is never lost.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/kvm.h"

enum { KVM_KICK_SIGNAL = SIGUSR1, VECTOR_GP = 13, VECTOR_UD = 6, HV_STATUS_INVALID_CODE = 2 };

static void kvm_vcpu_on_signal(int sig)
{
    (void)sig; /* interrupting KVM_RUN is all that is wanted */
}

static void kvm_vcpu_signals(void)
{
    struct sigaction sa = {.sa_handler = kvm_vcpu_on_signal};
    sigset_t set;

    sigemptyset(&sa.sa_mask);
    sigaction(KVM_KICK_SIGNAL, &sa, NULL);
    sigemptyset(&set);
    sigaddset(&set, KVM_KICK_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int kvm_vcpu_enable(struct kvm_vcpu *v, uint32_t cap, uint64_t arg)
{
    struct kvm_enable_cap c = {.cap = cap, .args = {arg}};

    return ioctl(v->fd, KVM_ENABLE_CAP, &c) < 0 ? -errno : 0;
}

static int kvm_vcpu_caps(struct kvm_vcpu *v, struct err *e)
{
    const struct host_cfg *c = &v->h->cfg;
    int rc = 0;

    /* A guest that is not told of KVM shall get #GP for KVM's MSRs, as on the real thing. */
    if (!c->pv_clock)
        (void)kvm_vcpu_enable(v, KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 1);
    if (c->hyperv_synic)
        rc = kvm_vcpu_enable(v, KVM_CAP_HYPERV_SYNIC2, 0);
    if (rc == 0 && c->hyperv_enforce_cpuid && (v->h->caps & HOST_CAP_HYPERV_ENFORCE))
        rc = kvm_vcpu_enable(v, KVM_CAP_HYPERV_ENFORCE_CPUID, 1);
    if (rc < 0)
        return err_exit(e, EX_NO_HOST, -rc, "this KVM does not do what Hyper-V guests need: %s",
                        strerror(-rc));
    return 0;
}

int kvm_vcpu_create(struct host *base, unsigned index, struct vcpu **out, struct err *e)
{
    struct kvm_host *h = kvm_host_of(base);
    struct kvm_vcpu *v = calloc(1, sizeof(*v));
    int rc;

    if (!v)
        return err_set(e, ENOMEM, "no memory for processor %u", index);
    v->base = (struct vcpu){.host = base, .index = index};
    v->h = h;
    v->thread = pthread_self();
    v->run = MAP_FAILED;
    kvm_vcpu_signals();
    v->fd = ioctl(h->vm, KVM_CREATE_VCPU, index);
    if (v->fd >= 0)
        v->run = mmap(NULL, h->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
    if (v->run == MAP_FAILED)
        rc = err_exit(e, EX_NO_HOST, errno, "KVM cannot make processor %u: %s", index,
                      strerror(errno));
    else
        rc = kvm_vcpu_caps(v, e);
    if (rc == 0 && h->cfg.keep_regs && (h->caps & HOST_CAP_SYNC_REGS))
        v->before = calloc(1, sizeof(*v->before)); /* without it nothing is kept */
    if (rc < 0)
        kvm_vcpu_destroy(&v->base);
    else
        *out = &v->base;
    return rc;
}

void kvm_vcpu_destroy(struct vcpu *base)
{
    struct kvm_vcpu *v = kvm_vcpu_of(base);

    if (v->run != MAP_FAILED)
        munmap(v->run, v->h->run_size);
    if (v->fd >= 0)
        close(v->fd);
    kvm_state_free(v);
    free(v);
}

void kvm_vcpu_poke(struct kvm_vcpu *v)
{
    __atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    if (!pthread_equal(v->thread, pthread_self()))
        pthread_kill(v->thread, KVM_KICK_SIGNAL);
}

void kvm_vcpu_kick(struct vcpu *base)
{
    struct kvm_vcpu *v = kvm_vcpu_of(base);

    __atomic_store_n(&v->stop, true, __ATOMIC_SEQ_CST);
    kvm_vcpu_poke(v);
}

void kvm_vcpu_attend(struct vcpu *base)
{
    struct kvm_vcpu *v = kvm_vcpu_of(base);

    __atomic_store_n(&v->attend, true, __ATOMIC_SEQ_CST);
    kvm_vcpu_poke(v);
}

size_t kvm_vcpu_last(const struct vcpu *base, struct vcpu_exit *out, size_t max)
{
    static const struct {
        uint32_t reason;
        bool addr;
        const char *what;
    } words[] = {
        {KVM_EXIT_IO, true, "port"},
        {KVM_EXIT_MMIO, true, "memory"},
        {KVM_EXIT_HLT, false, "hlt"},
        {KVM_EXIT_X86_RDMSR, false, "rdmsr"},
        {KVM_EXIT_X86_WRMSR, false, "wrmsr"},
        {KVM_EXIT_HYPERV, false, "hyperv"},
        {KVM_EXIT_XEN, false, "xen"},
        {KVM_EXIT_INTR, false, "signal"},
        {KVM_EXIT_SHUTDOWN, false, "triple fault"},
    };
    const struct kvm_vcpu *v = container_of(base, const struct kvm_vcpu, base);
    size_t n = (size_t)min_u64(min_u64(max, KVM_LAST), v->exits);

    for (size_t i = 0; i < n; i++) {
        size_t at = (size_t)((v->exits - 1 - i) % KVM_LAST);

        out[i] = (struct vcpu_exit){.what = "other"};
        for (size_t k = 0; k < ARRAY_SIZE(words); k++) {
            if (words[k].reason == v->last[at].reason)
                out[i] = (struct vcpu_exit){words[k].what, words[k].addr ? v->last[at].addr : 0};
        }
    }
    return n;
}

uint64_t kvm_vcpu_exits(const struct vcpu *v)
{
    return READ_ONCE(kvm_vcpu_of(v)->exits);
}

/* --- exits --- */

/* KVM's buffers hold `size` bytes, host order. */
static inline uint64_t kvm_vcpu_load(const uint8_t *p, unsigned size)
{
    uint64_t val = 0;

    switch (size) {
    case 1:
        return *p;
    case 2:
        memcpy(&val, p, 2);
        break;
    case 4:
        memcpy(&val, p, 4);
        break;
    default:
        memcpy(&val, p, 8);
        break;
    }
    return val;
}

static inline void kvm_vcpu_store(uint8_t *p, unsigned size, uint64_t val)
{
    switch (size) {
    case 1:
        *p = (uint8_t)val;
        break;
    case 2:
        memcpy(p, &val, 2);
        break;
    case 4:
        memcpy(p, &val, 4);
        break;
    default:
        memcpy(p, &val, 8);
        break;
    }
}

static inline void kvm_vcpu_access(const struct host_sink *s, enum bus_kind kind, uint64_t addr,
                                   uint8_t *p, unsigned size, enum access dir)
{
    uint64_t val = 0;

    if (dir == ACC_WRITE) {
        val = kvm_vcpu_load(p, size);
        s->access(s->bus[kind], addr, size, ACC_WRITE, &val);
    } else {
        s->access(s->bus[kind], addr, size, ACC_READ, &val);
        kvm_vcpu_store(p, size, val);
    }
}

/* A watched port: the persona first. false: the bus shall have it. */
static bool kvm_vcpu_watched(struct kvm_vcpu *v, const struct host_sink *s, uint16_t port,
                             uint8_t *p, unsigned size, enum access dir)
{
    uint32_t val = dir == ACC_WRITE ? (uint32_t)kvm_vcpu_load(p, size) : 0;
    enum verdict got;

    if (!s->port || !(v->h->ports[port / 64] >> (port % 64) & 1))
        return false;
    got = s->port(s->arg, &v->base, port, size, dir, &val);
    if (got == VERDICT_NOT_MINE)
        return false;
    if (got == VERDICT_FAULT)
        kvm_state_fault(v, VECTOR_GP, 0);
    else if (dir == ACC_READ)
        kvm_vcpu_store(p, size, val);
    return true;
}

static inline void kvm_vcpu_port(struct kvm_vcpu *v, const struct host_sink *s)
{
    struct kvm_run *run = v->run;
    uint8_t *p = (uint8_t *)run + run->io.data_offset;
    enum access dir = run->io.direction == KVM_EXIT_IO_IN ? ACC_READ : ACC_WRITE;
    unsigned size = run->io.size;
    uint16_t port = run->io.port;
    uint32_t count = run->io.count;

    for (; count; count--, p += size) {
        if (v->h->port_watched && kvm_vcpu_watched(v, s, port, p, size, dir))
            continue;
        kvm_vcpu_access(s, BUS_PIO, port, p, size, dir);
    }
}

static inline void kvm_vcpu_mmio(struct kvm_vcpu *v, const struct host_sink *s)
{
    struct kvm_run *run = v->run;
    enum access dir = run->mmio.is_write ? ACC_WRITE : ACC_READ;
    unsigned len = run->mmio.len;

    if (len <= 8 && is_pow2(len)) {
        kvm_vcpu_access(s, BUS_MMIO, run->mmio.phys_addr, run->mmio.data, len, dir);
        return;
    }
    /* An access that straddles pages comes in odd pieces. */
    for (unsigned i = 0; i < len && i < sizeof(run->mmio.data); i++)
        kvm_vcpu_access(s, BUS_MMIO, run->mmio.phys_addr + i, run->mmio.data + i, 1, dir);
}

static void kvm_vcpu_msr(struct kvm_vcpu *v, const struct host_sink *s, enum access dir)
{
    struct kvm_run *run = v->run;
    uint64_t val = dir == ACC_WRITE ? run->msr.data : 0;
    enum verdict got = VERDICT_NOT_MINE;
    int rc = 0;

    if (s->msr)
        got = s->msr(s->arg, &v->base, run->msr.index, dir, &val);
    if (got == VERDICT_NOT_MINE)
        rc = dir == ACC_WRITE ? kvm_state_set_msr(&v->base, run->msr.index, val)
                              : kvm_state_get_msr(&v->base, run->msr.index, &val);
    run->msr.error = got == VERDICT_FAULT || rc < 0;
    if (dir == ACC_READ)
        run->msr.data = val;
}

static void kvm_vcpu_xen(struct kvm_vcpu *v, const struct host_sink *s)
{
    struct kvm_run *run = v->run;
    struct hcall hc = {
        .kind = HCALL_XEN,
        .longmode = run->xen.u.hcall.longmode != 0,
        .cpl = run->xen.u.hcall.cpl,
        .nr = run->xen.u.hcall.input,
        .result = (uint64_t)-ENOSYS,
    };

    if (run->xen.type != KVM_EXIT_XEN_HCALL)
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(hc.args); i++)
        hc.args[i] = run->xen.u.hcall.params[i];
    if (!s->hypercall || s->hypercall(s->arg, &v->base, &hc) != VERDICT_DONE)
        hc.result = (uint64_t)-ENOSYS;
    run->xen.u.hcall.result = hc.result;
}

static void kvm_vcpu_hyperv(struct kvm_vcpu *v, const struct host_sink *s)
{
    struct kvm_hyperv_exit *x = &v->run->hyperv;
    struct host_event_info info = {{0}, {0}};
    struct hcall hc = {.kind = HCALL_HYPERV, .longmode = true};

    if (x->type == KVM_EXIT_HYPERV_SYNIC) {
        info.data[0] = x->u.synic.msr;
        info.data[1] = x->u.synic.control;
        info.data[2] = x->u.synic.evt_page;
        info.data[3] = x->u.synic.msg_page;
        s->event(s->arg, &v->base, HOST_EVENT_SYNIC, &info);
    } else if (x->type == KVM_EXIT_HYPERV_HCALL) {
        hc.nr = x->u.hcall.input;
        hc.args[0] = x->u.hcall.params[0];
        hc.args[1] = x->u.hcall.params[1];
        if (!s->hypercall || s->hypercall(s->arg, &v->base, &hc) != VERDICT_DONE)
            hc.result = HV_STATUS_INVALID_CODE;
        x->u.hcall.result = hc.result;
    }
}

static void kvm_vcpu_system_event(struct kvm_vcpu *v, const struct host_sink *s)
{
    struct host_event_info info = {{0}, {0}};
    enum host_event what = HOST_EVENT_RESET;

    switch (v->run->system_event.type) {
    case KVM_SYSTEM_EVENT_SHUTDOWN:
        what = HOST_EVENT_SHUTDOWN;
        break;
    case KVM_SYSTEM_EVENT_CRASH:
        what = HOST_EVENT_CRASH;
        /* Hyper-V's crash parameters P0..P4: HV_X64_MSR_CRASH_P0 is 0x40000100. */
        for (unsigned i = 0; i < 5; i++)
            (void)!kvm_state_get_msr(&v->base, 0x40000100 + i, &info.data[i]);
        break;
    default:
        break;
    }
    s->event(s->arg, &v->base, what, &info);
}

static void kvm_vcpu_internal(struct kvm_vcpu *v, const struct host_sink *s)
{
    struct kvm_run *run = v->run;
    struct host_event_info info = {{0}, {0}};
    struct regs r;

    kvm_state_get_regs(&v->base, &r);
    if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
        snprintf(info.text, sizeof(info.text),
                 "KVM cannot go on with processor %u at %#llx (internal error %u)", v->base.index,
                 (unsigned long long)r.rip, run->internal.suberror);
    else if (run->exit_reason == KVM_EXIT_FAIL_ENTRY)
        snprintf(info.text, sizeof(info.text),
                 "the hardware refuses to enter processor %u at %#llx (reason %#llx)",
                 v->base.index, (unsigned long long)r.rip,
                 (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
    else
        snprintf(info.text, sizeof(info.text),
                 "KVM stopped processor %u at %#llx for an unknown reason (%u)", v->base.index,
                 (unsigned long long)r.rip, run->exit_reason);
    s->event(s->arg, &v->base, HOST_EVENT_INTERNAL, &info);
}

/* The rare exits. false: the processor stops running. */
static bool kvm_vcpu_rare(struct kvm_vcpu *v, const struct host_sink *s)
{
    struct host_event_info none = {{0}, {0}};

    switch (v->run->exit_reason) {
    case KVM_EXIT_X86_RDMSR:
        kvm_vcpu_msr(v, s, ACC_READ);
        return true;
    case KVM_EXIT_X86_WRMSR:
        kvm_vcpu_msr(v, s, ACC_WRITE);
        return true;
    case KVM_EXIT_XEN:
        kvm_vcpu_xen(v, s);
        return true;
    case KVM_EXIT_HYPERV:
        kvm_vcpu_hyperv(v, s);
        return true;
    case KVM_EXIT_INTR:
    case KVM_EXIT_IRQ_WINDOW_OPEN:
        return true;
    case KVM_EXIT_SHUTDOWN:
        s->event(s->arg, &v->base, HOST_EVENT_SHUTDOWN, &none);
        return false;
    case KVM_EXIT_SYSTEM_EVENT:
        kvm_vcpu_system_event(v, s);
        return false;
    default:
        kvm_vcpu_internal(v, s);
        return false;
    }
}

/* KVM_RUN failed. true: try again. */
static bool kvm_vcpu_interrupted(struct kvm_vcpu *v, int code)
{
    if (code != EINTR && code != EAGAIN)
        return false;
    __atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
    return true;
}

/* For whoever looks at a guest that hangs. An exit's address is at the same place for ports and
 * memory within a union that is there in any case, so this costs a few stores. */
static void kvm_vcpu_note(struct kvm_vcpu *v, const struct kvm_run *run)
{
    size_t at = v->exits % KVM_LAST;

    v->last[at].reason = run->exit_reason;
    v->last[at].addr = run->exit_reason == KVM_EXIT_IO ? run->io.port : run->mmio.phys_addr;
    WRITE_ONCE(v->exits, v->exits + 1); /* kvm_vcpu_exits() looks on */
    if (v->before)
        kvm_state_keep(v);
}

/* What comes with each exit. */
static uint64_t kvm_vcpu_wanted(const struct kvm_vcpu *v)
{
    bool can = v->h->caps & HOST_CAP_SYNC_REGS;

    return (can && (v->h->port_watched || v->before) ? KVM_SYNC_X86_REGS : 0) |
           (v->before || (can && v->h->cfg.sync_sregs) ? KVM_SYNC_X86_SREGS : 0);
}

static int kvm_vcpu_loop(struct vcpu *base, const struct host_sink *s, struct err *e)
{
    struct kvm_vcpu *v = kvm_vcpu_of(base);
    struct kvm_run *run = v->run;
    uint64_t wanted = kvm_vcpu_wanted(v);
    bool sync = wanted & KVM_SYNC_X86_REGS, sregs = wanted & KVM_SYNC_X86_SREGS;

    run->kvm_valid_regs = wanted;
    for (;;) {
        if (READ_ONCE(v->stop)) {
            __atomic_store_n(&v->stop, false, __ATOMIC_SEQ_CST);
            return 0;
        }
        if (READ_ONCE(v->attend)) {
            __atomic_store_n(&v->attend, false, __ATOMIC_SEQ_CST);
            if (s->attend)
                s->attend(s->arg, base);
        }
        if (READ_ONCE(v->h->gate.closed))
            kvm_gate_wait(&v->h->gate);
        v->synced = v->synced_sregs = false;
        if (ioctl(v->fd, KVM_RUN, 0) < 0) {
            if (kvm_vcpu_interrupted(v, errno))
                continue;
            return err_exit(e, EX_NO_HOST, errno, "KVM cannot run processor %u: %s", base->index,
                            strerror(errno));
        }
        v->synced = sync;
        v->synced_sregs = sregs;
        kvm_vcpu_note(v, run);
        if (run->exit_reason == KVM_EXIT_IO)
            kvm_vcpu_port(v, s);
        else if (run->exit_reason == KVM_EXIT_MMIO)
            kvm_vcpu_mmio(v, s);
        else if (!kvm_vcpu_rare(v, s))
            return 0;
    }
}

int kvm_vcpu_run(struct vcpu *base, const struct host_sink *s, struct err *e)
{
    struct kvm_vcpu *v = kvm_vcpu_of(base);
    int rc;

    kvm_gate_join(&v->h->gate, v);
    rc = kvm_vcpu_loop(base, s, e);
    kvm_gate_leave(&v->h->gate, v);
    return rc;
}
