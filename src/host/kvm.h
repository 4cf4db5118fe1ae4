/* SPDX-License-Identifier: Apache-2.0 */
/* kvm.h - what the kvm_*.c files share; no other file includes it. */
#ifndef HOSPES_HOST_KVM_H
#define HOSPES_HOST_KVM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <sys/ioctl.h>

#include "core/err.h"
#include "core/gmem.h"
#include "core/loop.h"
#include "host/host.h"

enum {
    KVM_LINES = 24,        /* I/O APIC pins */
    KVM_GSI_MAX = 4096,    /* routes that every kernel since 4.17 takes */
    KVM_CPUID_MAX = 256,   /* leaves */
    KVM_PORT_WORDS = 1024, /* a bit per port */
};

struct kvm_irq;

/* HOST_CAP_* of /dev/kvm or of a machine. */
uint32_t kvm_caps(int fd);

/* One pin: up while any holder has it up. */
struct kvm_line {
    unsigned up;            /* holders that have it up */
    struct kvm_irq *holder; /* list */
    struct watch resample;  /* fd -1 until somebody wants to know of EOIs */
    int trigger;            /* the eventfd that a resampling irqfd must have; never written */
    struct kvm_host *h;
};

/* See kvm_gate.c. */
struct kvm_gate {
    bool used; /* vCPUs may poll in the kernel; constant once there are vCPUs */
    pthread_mutex_t lock;
    pthread_cond_t opened;
    unsigned closed;        /* by how many calls; written under the lock */
    struct kvm_vcpu *first; /* those that run, by next; under the lock */
};

struct kvm_host {
    struct host base;
    int sys, vm;
    struct host_cfg cfg;
    struct gmem *mem;
    struct loop *loop;
    uint32_t caps, pv_features;
    size_t run_size;
    struct kvm_cpuid2 *cpuid;  /* what KVM supports */
    struct kvm_msr_list *msrs; /* what a vCPU's state consists of */
    struct kvm_irqchip chip[3];
    struct kvm_pit_state2 pit;

    struct kvm_gate gate;
    struct irqs irqs;
    struct doorbells bells;
    pthread_mutex_t lock; /* all below */
    struct kvm_line line[KVM_LINES];
    struct kvm_irq_routing *routes;
    size_t routes_room;
    uint64_t gsi_used[KVM_GSI_MAX / 64];

    bool port_watched; /* any */
    uint64_t ports[KVM_PORT_WORDS];
};

/* Power-on state, taken when the vCPU has its CPUID. */
struct kvm_initial {
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    struct kvm_xsave xsave;
    struct kvm_xcrs xcrs;
    struct kvm_lapic_state lapic;
    struct kvm_vcpu_events events;
    struct kvm_debugregs debug;
    struct kvm_mp_state mp;
    struct kvm_msrs *msrs;
};

enum { KVM_LAST = 64 };

/* Two exits' registers, by exits modulo 2. */
struct kvm_before {
    struct {
        struct kvm_regs regs;
        struct kvm_sregs sregs;
    } at[2];
};

struct kvm_vcpu {
    struct vcpu base;
    struct kvm_host *h;
    struct kvm_vcpu *next; /* the gate's */
    int fd;
    struct kvm_run *run;
    pthread_t thread;
    bool stop;   /* set by vcpu_kick() */
    bool attend; /* set by vcpu_attend() */
    bool synced; /* run->s.regs holds the registers */
    bool synced_sregs;
    uint64_t exits;
    struct {
        uint32_t reason;
        uint64_t addr;
    } last[KVM_LAST]; /* by exits modulo KVM_LAST */
    struct kvm_initial *initial;
    struct kvm_before *before; /* with keep_regs */
};

static inline struct kvm_host *kvm_host_of(const struct host *h)
{
    return container_of(h, struct kvm_host, base);
}

static inline struct kvm_vcpu *kvm_vcpu_of(const struct vcpu *v)
{
    return container_of(v, struct kvm_vcpu, base);
}

/* kvm_gate.c. Any thread but for kvm_gate_wait(), the vCPU's own. */
void kvm_gate_init(struct kvm_gate *g);
void kvm_gate_fini(struct kvm_gate *g);
/* From here on, until it leaves, v's thread is sent out of KVM. On that thread. */
void kvm_gate_join(struct kvm_gate *g, struct kvm_vcpu *v);
void kvm_gate_leave(struct kvm_gate *g, struct kvm_vcpu *v);
/* Around a call that waits for vCPUs to leave KVM. Several threads may have it closed. */
void kvm_gate_close(struct kvm_gate *g);
void kvm_gate_open(struct kvm_gate *g);
/* Returns when it is open. A vCPU's thread holds no lock then. */
void kvm_gate_wait(struct kvm_gate *g);

/* kvm_irq.c */
MUST int kvm_irq_open(struct kvm_host *h, struct err *e);
void kvm_irq_close(struct kvm_host *h);
int kvm_irq_sint(struct host *h, unsigned vp, unsigned sint, void (*eom)(void *arg), void *arg,
                 struct irq **out, struct err *e);
int kvm_irq_signal(struct host *h, uint32_t conn_id, int fd);
int kvm_irq_msi_send(struct host *h, uint64_t addr, uint32_t data);

/* kvm_xen.c */
extern const struct host_xen kvm_xen;
int kvm_xen_auto_eoi(struct vcpu *v, uint8_t vector);

/* kvm_cpuid.c */
MUST int kvm_cpuid_open(struct kvm_host *h, struct err *e);
size_t kvm_cpuid_list(struct host *h, struct cpuid_leaf *out, size_t max);
size_t kvm_cpuid_hyperv(struct host *h, struct cpuid_leaf *out, size_t max);
int kvm_cpuid_set(struct vcpu *v, const struct cpuid_leaf *leaf, size_t n, struct err *e);
/* Fills the leaves which say where processor `index` of `cpus` sits: one package, no threads. */
void kvm_cpuid_topology(struct cpuid_leaf *leaf, size_t n, unsigned index, unsigned cpus);

/* kvm_state.c */
MUST int kvm_state_list(struct kvm_host *h, struct err *e);
MUST int kvm_state_take(struct kvm_vcpu *v, struct err *e);
void kvm_state_free(struct kvm_vcpu *v);
void kvm_state_reset(struct vcpu *v);
void kvm_state_get_regs(struct vcpu *v, struct regs *r);
void kvm_state_set_regs(struct vcpu *v, const struct regs *r);
void kvm_state_get_sregs(struct vcpu *v, struct sregs *s);
void kvm_state_set_sregs(struct vcpu *v, const struct sregs *s);
int kvm_state_get_msr(struct vcpu *v, uint32_t msr, uint64_t *val);
int kvm_state_set_msr(struct vcpu *v, uint32_t msr, uint64_t val);
int kvm_state_translate(struct vcpu *v, uint64_t va, gpa_t *out);
void kvm_state_nmi(struct vcpu *v);
void kvm_state_keep(struct kvm_vcpu *v);
bool kvm_state_before(const struct vcpu *v, struct regs *r, struct sregs *s);
/* An exception before the next instruction; error < 0: without an error code. */
void kvm_state_fault(struct kvm_vcpu *v, unsigned vector, int error);

/* kvm_vcpu.c */
int kvm_vcpu_create(struct host *h, unsigned index, struct vcpu **out, struct err *e);
void kvm_vcpu_destroy(struct vcpu *v);
int kvm_vcpu_run(struct vcpu *v, const struct host_sink *sink, struct err *e);
void kvm_vcpu_kick(struct vcpu *v);
void kvm_vcpu_attend(struct vcpu *v);
/* Makes the runner look at its flags, one of which was set before. Any thread. */
void kvm_vcpu_poke(struct kvm_vcpu *v);
/* -errno */
int kvm_vcpu_enable(struct kvm_vcpu *v, uint32_t cap, uint64_t arg);
size_t kvm_vcpu_last(const struct vcpu *base, struct vcpu_exit *out, size_t max);
uint64_t kvm_vcpu_exits(const struct vcpu *v);

#endif
