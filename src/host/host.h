/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.h - the hypervisor of the machine we run on. Only this folder names KVM.
 *
 * A `struct host` is one virtual machine, a `struct vcpu` one processor. Calls go through an ops
 * table with two implementations: kvm_*.c and fake.c, a host for tests that records what it is told
 * and lets the test play the guest.
 *
 * Threads: each vCPU is created and run by its own thread; vcpu_ calls are for that thread, or for
 * any thread while the vCPU is paused. host_ calls are for any thread.
 */
#ifndef HOSPES_HOST_HOST_H
#define HOSPES_HOST_HOST_H

#include "core/core.h"
#include "core/irq.h"

struct vcpu;

/* Guest-physical pages that the host keeps for itself; the memory map says reserved. */
#define HOST_RESERVED UINT64_C(0xfeffc000)
#define HOST_RESERVED_SIZE UINT64_C(0x4000)

/* What a host can do beyond the plain machine; see host_caps(). */
enum host_cap {
    HOST_CAP_HYPERV_SYNIC = 1 << 0, /* SynIC, stimers, reference TSC page, KVM_HYPERV_EVENTFD */
    HOST_CAP_HYPERV_ENFORCE = 1 << 1,
    HOST_CAP_XEN_HCALL = 1 << 2,   /* hypercalls by VMCALL/VMMCALL reach us */
    HOST_CAP_XEN_EVTCHN = 1 << 3,  /* event channels and timers in the kernel: struct host_xen */
    HOST_CAP_USER_MSR = 1 << 4,    /* chosen MSRs exit to us */
    HOST_CAP_VMWARE_PORT = 1 << 5, /* ring 3 may use port 0x5658 */
    HOST_CAP_SYNC_REGS = 1 << 6,
};

/* General registers as on exit; written back when changed through vcpu_regs(). */
struct regs {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rip, rflags;
};

struct segment {
    uint64_t base;
    uint32_t limit;
    uint16_t selector;
    uint8_t type, present, dpl, db, s, l, g;
};

/* The control state that a boot protocol sets up and that hypercall code looks at. */
struct sregs {
    struct segment cs, ds, es, fs, gs, ss, tr, ldt;
    struct {
        uint64_t base;
        uint16_t limit;
    } gdt, idt;
    uint64_t cr0, cr2, cr3, cr4, cr8, efer, apic_base;
};

struct cpuid_leaf {
    uint32_t fn, index;
    bool indexed; /* index matters */
    uint32_t eax, ebx, ecx, edx;
};

/* Answer of a handler for something a guest asked of its hypervisor. */
enum verdict {
    VERDICT_DONE,
    VERDICT_FAULT,    /* inject the exception this ABI defines: #GP for MSRs, #UD for hypercalls */
    VERDICT_NOT_MINE, /* the host's default */
};

/* One exit to user space. */
struct vcpu_exit {
    const char *what; /* "port", "memory", "msr", ... */
    uint64_t addr;    /* port, address or MSR; 0 where there is none */
};

enum hcall_kind { HCALL_HYPERV, HCALL_XEN };

struct hcall {
    enum hcall_kind kind;
    bool longmode;
    unsigned cpl;
    uint64_t nr;      /* Hyper-V: the control word; Xen: the number */
    uint64_t args[6]; /* Hyper-V: input and output gpa or fast values; Xen: the arguments */
    uint64_t result;  /* out */
};

enum host_event {
    HOST_EVENT_SHUTDOWN, /* triple fault */
    HOST_EVENT_RESET,    /* the guest asked for a reset through a paravirtual register */
    HOST_EVENT_CRASH,    /* crash notice, Hyper-V crash MSRs */
    HOST_EVENT_SYNIC,    /* a SynIC register changed: control, event page, message page */
    HOST_EVENT_INTERNAL, /* the host cannot go on with this vCPU */
};

struct host_event_info {
    uint64_t data[6]; /* CRASH: P0..P4; SYNIC: msr, control, event page, message page */
    char text[160];   /* INTERNAL: what happened, for the error message */
};

/* What the machine does for a running vCPU. Called on the vCPU's thread, no lock held. */
struct host_sink {
    void *arg;
    /* Ordinary accesses: bus_access() with the bus of that kind. */
    struct bus *bus[2]; /* by enum bus_kind */
    bool (*access)(struct bus *b, uint64_t addr, unsigned size, enum access dir, uint64_t *val);
    /* A port access that needs registers (VMware's backdoor, Xen's stub page); asked before the
     * bus when the port was given to host_watch_port(). VERDICT_NOT_MINE: ask the bus. */
    enum verdict (*port)(void *arg, struct vcpu *v, uint16_t port, unsigned size, enum access dir,
                         uint32_t *val);
    enum verdict (*msr)(void *arg, struct vcpu *v, uint32_t msr, enum access dir, uint64_t *val);
    enum verdict (*hypercall)(void *arg, struct vcpu *v, struct hcall *h);
    /* On v's thread, between two runs, some time after vcpu_attend(). May be NULL. */
    void (*attend)(void *arg, struct vcpu *v);
    /* The vCPU stops running when this returns; the machine decides what follows. Except for
     * SYNIC, which goes on. */
    void (*event)(void *arg, struct vcpu *v, enum host_event what,
                  const struct host_event_info *info);
};

struct host_cfg {
    unsigned cpus;
    bool hyperv_synic;         /* the persona wants in-kernel SynIC */
    bool hyperv_enforce_cpuid; /* where the host can: a guest gets only what its CPUID shows */
    bool xen_hcall; /* VMCALL and VMMCALL come to host_sink.hypercall as Xen's, if the host can:
                     * HOST_CAP_XEN_HCALL tells */
    bool pv_clock;  /* KVM's clock may be set up by vcpu_set_msr() for a guest without its leaves */
    bool sync_sregs; /* control registers come with each exit, if the host can, for hypercalls that
                      * take addresses */
    bool keep_regs;  /* at each exit, for vcpu_before(): it makes exits dearer */
    bool no_pit;     /* without the 8254; PIC and I/O APIC are always there */
};

struct msr_range {
    uint32_t base, count;
    bool read, write;
};

/* What the kernel does by itself when a Xen guest sends on a port. */
struct host_xen_route {
    enum { HOST_XEN_ROUTE_NONE, HOST_XEN_ROUTE_FD, HOST_XEN_ROUTE_PORT } kind;
    int fd;        /* NONE: the hypercall comes to the sink. FD: this eventfd is signalled */
    uint32_t port; /* PORT: this one of the guest's becomes pending */
    uint16_t vcpu; /* and tells this vCPU */
    bool ipi;      /* PORT: the port sent on, itself */
};

/* Of one vCPU. HOST_XEN_NOWHERE: not there. */
struct host_xen_vcpu {
    gpa_t info;     /* vcpu_info, its clock included */
    gpa_t runstate; /* the run state area */
    uint32_t timer; /* the port of VIRQ_TIMER; 0: timer hypercalls come to the sink */
    uint8_t vector; /* of upcalls, acknowledged by the guest; 0: none of its own */
};
#define HOST_XEN_NOWHERE UINT64_MAX

/* Event channels and timers of Xen guests in the kernel, by the 2-level ABI: HOST_CAP_XEN_EVTCHN
 * and host_cfg.xen_hcall. -errno is the kernel's. */
struct host_xen {
    /* Where shared_info is, and the width of its guest. Writes the wall clock. */
    MUST int (*shared)(struct host *h, gpa_t at, bool longmode);
    MUST int (*route)(struct host *h, uint32_t send_port, const struct host_xen_route *r);
    void (*unroute_all)(struct host *h);
    /* Makes a port pending, and tells the vCPU unless it was so or is masked. */
    MUST int (*raise)(struct host *h, uint32_t port, unsigned vcpu);
    /* The vector of all vCPUs without one of their own, which nobody acknowledges. 0: none. */
    MUST int (*vector)(struct host *h, uint8_t vector);
    /* On v's thread. */
    MUST int (*vcpu)(struct vcpu *v, const struct host_xen_vcpu *s);
    /* State, entry time, times in the four states. On v's thread. */
    MUST int (*runstate)(struct vcpu *v, uint64_t out[6]);
};

struct host_ops {
    const char *name;
    MUST int (*open)(const struct host_cfg *c, struct gmem *m, struct loop *l, struct host **out,
                     struct err *e);
    void (*close)(struct host *h);
    uint32_t (*caps)(const struct host *h);
    struct irqs *(*irqs)(struct host *h);
    uint64_t (*tsc_khz)(const struct host *h);
    /* The time that KVM's clock shows to guests now, ns since the machine was made. */
    uint64_t (*clock_ns)(const struct host *h);
    /* KVM_CPUID_FEATURES bits (leaf 0x40000001) that this host implements. A guest gets none of
     * them, and #GP for their MSRs, unless a persona puts the leaves into its CPUID. */
    uint32_t (*pv_features)(const struct host *h);
    /* Interrupt controllers and PIT as after power-on. With every vCPU stopped. */
    void (*reset)(struct host *h);
    /* The CPUID leaves of a plain guest, before a persona adds its own: without any from
     * 0x40000000 on. Topology leaves are filled in by vcpu_set_cpuid(). Returns the number. */
    size_t (*cpuid)(struct host *h, struct cpuid_leaf *out, size_t max);

    /* Ioeventfds for the buses. */
    const struct doorbells *(*doorbells)(struct host *h);

    /* Before vCPUs run: exit to host_sink.msr for these, on top of what the persona asked for. */
    MUST int (*watch_msrs)(struct host *h, const struct msr_range *r, size_t n, struct err *e);
    /* Registers are synced on exits for this port, and sink->port is asked. */
    void (*watch_port)(struct host *h, uint16_t port);

    /* Hyper-V: the leaves from 0x40000000 on that this host implements, for a persona to choose
     * from. Returns the number, 0 without HOST_CAP_HYPERV_SYNIC. May be NULL. */
    size_t (*hyperv_cpuid)(struct host *h, struct cpuid_leaf *out, size_t max);
    /* Hyper-V: HvSignalEvent(conn_id) signals fd without an exit. fd -1 takes it back. */
    MUST int (*hyperv_signal)(struct host *h, uint32_t conn_id, int fd);
    /* Hyper-V: raises SINT `sint` of VP `vp`; eom(arg) is called on the loop at the end of message
     * (or EOI). From the loop or vcpu_ready(), once the vCPU exists. Released like any irq. */
    MUST int (*hyperv_sint)(struct host *h, unsigned vp, unsigned sint, void (*eom)(void *arg),
                            void *arg, struct irq **out, struct err *e);

    /* A message straight to a local APIC: Xen's upcall vector. 1 delivered, 0 not accepted (APIC
     * disabled), -errno. */
    int (*msi_send)(struct host *h, uint64_t addr, uint32_t data);
    const struct host_xen *xen; /* NULL: none */
    /* From now on the local APIC of v acknowledges `vector` by itself. On v's thread, for a guest
     * that does not use Hyper-V's SynIC. -ENOTSUP. */
    MUST int (*vcpu_auto_eoi)(struct vcpu *v, uint8_t vector);

    MUST int (*vcpu_create)(struct host *h, unsigned index, struct vcpu **out, struct err *e);
    void (*vcpu_destroy)(struct vcpu *v);
    MUST int (*vcpu_set_cpuid)(struct vcpu *v, const struct cpuid_leaf *leaf, size_t n,
                               struct err *e);
    /* Runs until vcpu_kick() or an event. 0, or -errno with e filled. */
    MUST int (*vcpu_run)(struct vcpu *v, const struct host_sink *sink, struct err *e);
    /* Any thread: makes vcpu_run() return soon. */
    void (*vcpu_kick)(struct vcpu *v);
    /* Any thread: makes the sink's attend() run soon; several calls may become one. */
    void (*vcpu_attend)(struct vcpu *v);
    /* Power-on state: registers, APIC, MSRs. Application processors wait for INIT/SIPI. */
    void (*vcpu_reset)(struct vcpu *v);

    void (*vcpu_get_regs)(struct vcpu *v, struct regs *r);
    void (*vcpu_set_regs)(struct vcpu *v, const struct regs *r);
    void (*vcpu_get_sregs)(struct vcpu *v, struct sregs *s);
    void (*vcpu_set_sregs)(struct vcpu *v, const struct sregs *s);
    MUST int (*vcpu_get_msr)(struct vcpu *v, uint32_t msr, uint64_t *val);
    MUST int (*vcpu_set_msr)(struct vcpu *v, uint32_t msr, uint64_t val);
    /* Guest-virtual to guest-physical, -EFAULT. For Xen's hypercall arguments. */
    MUST int (*vcpu_translate)(struct vcpu *v, uint64_t va, gpa_t *out);
    void (*nmi)(struct vcpu *v);
    uint64_t (*vcpu_exits)(const struct vcpu *v); /* exits to user space so far */
    /* The last exits, the latest first; returns their number. With the vCPU paused. */
    size_t (*vcpu_last)(const struct vcpu *v, struct vcpu_exit *out, size_t max);
    /* Registers as they were at the exit before the last, from the vCPU's own thread. For a triple
     * fault, after which a processor of AMD's has none of its own left. false: they are not kept,
     * because host_cfg.keep_regs is off or the host cannot. */
    bool (*vcpu_before)(const struct vcpu *v, struct regs *r, struct sregs *s);
};

struct host {
    const struct host_ops *ops;
};
struct vcpu {
    struct host *host;
    unsigned index; /* also its APIC id */
};

extern const struct host_ops host_kvm;
extern const struct host_ops host_fake;

#endif
