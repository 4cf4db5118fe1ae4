/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xen.h - the persona's own state, for the files in this folder.
 *
 * Handlers run on vCPU threads; `lock` guards what they share. Back ends live on the loop.
 */
#ifndef HOSPES_PERSONAS_XEN_XEN_H
#define HOSPES_PERSONAS_XEN_XEN_H

#include <pthread.h>

#include "core/loop.h"
#include "personas/persona.h"
#include "personas/xen/evtchn.h"
#include "personas/xen/grant.h"
#include "personas/xen/public.h"
#include "personas/xen/xenstore.h"

enum {
    XEN_CPUS = 255,
    XEN_PARAMS = 40,
    XEN_HCALLS = 64,
    XEN_STUB_PORT = 0xec, /* of the hypercall page and of patched call sites */
    /* Xen puts them 8 pages higher, where HOST_RESERVED is. Guests ask for the numbers. */
    XEN_SPECIAL_PFN = 0xfeff0,
    XEN_SPECIAL_PAGES = 8,
    XEN_STORE_PFN = 0xfeff4,
    XEN_CONSOLE_PFN = 0xfeff7,
    XEN_EXTRAS = 8,
    XEN_HCALL_MSR = 0x40000000,
};

struct xen_vcpu {
    struct vcpu *v; /* NULL until it is ready */
    uint8_t upcall_vector;
    bool undelivered;   /* the APIC did not take the last upcall */
    struct watch timer; /* a timerfd: the single-shot timer */
    struct xen *x;
    unsigned index;
    bool clock_moved; /* vcpu_info moved: KVM's clock is to follow, on this vCPU's thread */
    bool clock_kept;  /* KVM has been told where it is */
    gpa_t runstate;   /* its area, when the kernel fills it; else HOST_XEN_NOWHERE */
    struct host_xen_vcpu told; /* what the kernel knows */
    uint8_t auto_eoi;          /* the vector that its APIC acknowledges by itself */
};

/* Memory for pages that guests place where there is none. */
struct xen_extra {
    void *host; /* NULL: none yet */
    gpa_t at;
    uint64_t size;
};

/* A watchdog of the guest's own. */
struct xen_dog {
    bool used, poked; /* poked: due counts from when the loop sees it */
    uint32_t seconds;
    uint64_t due;
};

struct xen {
    struct persona p; /* first */
    pthread_mutex_t lock;
    struct evtchn *ev;
    struct grant_table *gr;
    struct xenstore *store;
    struct xs_ring *ring;
    struct xen_vcpu vcpu[XEN_CPUS];

    bool kernel_hcalls; /* KVM_XEN hands hypercalls over; else stub page and patching */
    bool kernel_events; /* it raises events and runs timers, too */
    bool no_vectors;    /* option: guests shall not be offered a vector of each vCPU */
    bool vfb;           /* option: there is a frame buffer */
    bool longmode;      /* of the guest that mapped shared info */
    bool told_direct;
    unsigned patched; /* call sites */
    gpa_t shared_at;  /* 0: not mapped */
    uint64_t param[XEN_PARAMS];
    void *special; /* host memory of the special pages */
    struct xen_extra extra[XEN_EXTRAS];
    uint64_t *out_pages; /* a bit per page of RAM that the guest has given back; NULL: none yet */
    uint64_t out_count;  /* of these */
    struct xen_platform *platform; /* the PCI bus's; NULL without a bus */
    struct console *hvc;           /* where the console ring goes, NULL: nowhere */
    bool hvc_own;                  /* not the serial console: what is typed there is the ring's */
    struct watch hvc_kick;         /* eventfd: the guest has written to the console's ring */
    struct watch store_kick;       /* eventfd: the guest has written to xenstore's ring */

    struct irq *callback_line;
    unsigned callback_gsi;
    uint8_t callback_vector; /* of all vCPUs, never acknowledged; 0: none */
    struct alarm redeliver;
    bool redelivers; /* it is armed; the loop's */
    struct task redeliver_soon, take_line;

    struct xenbus_dev *devices; /* back ends */
    struct poller *poller;      /* made for the first that wants it */
    bool polls;                 /* a thread may look at rings */
    unsigned disks, nics;
    struct ide *ide;    /* emulated: CD-ROM drives, and disks until they are unplugged */
    unsigned ide_disks; /* units that show a back end's disk: bit 0 for unit 0 */
    struct {
        struct xen_dog dog[2]; /* as many as Xen has */
        struct alarm bite;
        struct task look;
    } dogs;
    bool crashed; /* SCHEDOP_shutdown_code said so */
    struct xs_watch *shutdown_watch;
    bool asked; /* control/shutdown was written and not yet taken */

    uint64_t hcalls[XEN_HCALLS]; /* counts, for describe() */
    uint64_t hcall_errors[XEN_HCALLS];
    int hcall_error[XEN_HCALLS]; /* the last of them */
    uint64_t unknown_hcalls;
};

static inline struct xen *xen_of(struct persona *p)
{
    return container_of(p, struct xen, p);
}

/* hypercall.c: the result as the guest gets it. */
long xen_hypercall(struct xen *x, struct vcpu *v, bool longmode, unsigned nr, const uint64_t *args);
/* Guest-virtual copies; -EFAULT with some bytes moved. */
MUST int xen_copy_in(struct xen *x, struct vcpu *v, uint64_t va, void *buf, size_t n);
MUST int xen_copy_out(struct xen *x, struct vcpu *v, uint64_t va, const void *buf, size_t n);

/* xenmem.c */
long xen_memory_op(struct xen *x, struct vcpu *v, bool longmode, unsigned cmd, uint64_t arg);
MUST int xen_special_pages(struct xen *x, struct err *e);
/* The guest has given that page back. */
bool xen_page_is_out(struct xen *x, uint64_t pfn);
/* These, and what else guests had outside RAM. */
void xen_pages_free(struct xen *x);

/* sched.c */
long xen_sched_op(struct xen *x, struct vcpu *v, unsigned cmd, uint64_t arg);
void xen_dogs_init(struct xen *x);
/* Watchdogs are gone. With all vCPUs at rest, on the loop. */
void xen_dogs_reset(struct xen *x);

/* vcpu_op.c */
long xen_vcpu_op(struct xen *x, struct vcpu *v, bool longmode, unsigned cmd, unsigned cpu,
                 uint64_t arg);
long xen_set_timer(struct xen *x, struct vcpu *v, uint64_t abs_ns);
/* Timers of all vCPUs; on the loop, as is their end. */
MUST int xen_timers_create(struct xen *x, struct err *e);
void xen_timers_destroy(struct xen *x);
void xen_timers_reset(struct xen *x);
/* Points KVM's clock of v at its time area, or at none. On v's thread. */
void xen_clock_place(struct xen *x, struct vcpu *v);
/* Gives the time areas in shared info a first reading, since KVM writes a vCPU's when that runs: a
 * kernel on another vCPU reads the TSC's rate in vCPU 0's. On v's thread. */
void xen_clocks_begin(struct xen *x, struct vcpu *v);
/* KVM writes no clock any more. With all vCPUs at rest. */
void xen_clocks_reset(struct xen *x);

/* kernel.c: what a KVM that knows Xen does by itself. Nothing, without one. */
MUST int xen_kernel_shared(struct xen *x, gpa_t at, bool longmode);
/* vcpu_info, run state area, timer or vector of `cpu` may have changed; v is the one that asks. */
void xen_kernel_changed(struct xen *x, struct vcpu *v, unsigned cpu);
/* Brings the kernel's knowledge of v up to date. On v's thread. */
void xen_kernel_attend(struct xen *x, struct vcpu *v);
/* With all vCPUs at rest. */
void xen_kernel_reset(struct xen *x);
/* For a vCPU whose events come by the callback vector: sees to it that its APIC ends them. */
void xen_auto_eoi(struct xen *x, struct vcpu *v);

/* deliver.c */
void xen_deliver(void *arg, unsigned cpu); /* evtchn_deliver_fn */
/* v makes a hypercall: it gets the upcall that its APIC may have lost. */
void xen_deliver_again(struct xen *x, struct vcpu *v);
long xen_set_callback(struct xen *x, struct vcpu *v, uint64_t via);
long xen_set_upcall_vector(struct xen *x, struct vcpu *v, unsigned cpu, uint8_t vector);
/* Some vCPU has a vector of its own. */
bool xen_upcall_vectors(const struct xen *x);
void xen_deliver_reset(struct xen *x);
void xen_deliver_init(struct xen *x);

/* stub.c: hypercalls without help from the kernel. */
enum verdict xen_msr(struct persona *p, struct vcpu *v, uint32_t msr, enum access dir,
                     uint64_t *val);
enum verdict xen_port(struct persona *p, struct vcpu *v, uint16_t port, unsigned size,
                      enum access dir, uint32_t *val);
MUST int xen_stub_init(struct xen *x, struct err *e);

/* data.c; on the loop. */
void xen_data_list(struct persona *p, const char *prefix, persona_data_fn *fn, void *arg);
MUST int xen_data_set(struct persona *p, const char *key, const char *value, struct err *e);

/* domain.c; on the loop. */
/* Begins anew with what a new domain has. The ports are handed over before. */
void xen_domain_fill(struct xen *x);
MUST int xen_domain_watch(struct xen *x, struct err *e);
MUST int xen_ask(struct persona *p, enum persona_ask what, uint64_t value, struct err *e);

/* pvconsole.c; on the loop. */
MUST int xen_console_create(struct xen *x, struct err *e);
void xen_console_destroy(struct xen *x);
/* Starts with an empty ring. The port that the guest is to be told. */
MUST unsigned xen_console_serve(struct xen *x);

/* persona.c: NULL when no thread may look at rings. On the loop. */
struct poller *xen_poller(struct xen *x);

/* Tells the machine. */
void xen_event(struct xen *x, enum machine_event what, const char *text);

#endif
