/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persona.h - a hypervisor as one guest sees it: CPUID, MSRs, hypercalls, ports and devices.
 *
 * A persona is created once per machine, gets the disks and NICs of the plan and decides what they
 * look like. Its handlers run on vCPU threads; everything else on the loop's thread.
 */
#ifndef HOSPES_PERSONAS_PERSONA_H
#define HOSPES_PERSONAS_PERSONA_H

#include "board/device.h"
#include "board/smbios.h"
#include "core/core.h"
#include "host/host.h"

struct disk;
struct netif;
struct console;
struct aml;

/* A disk of the plan. The persona takes `disk` over. */
struct disk_spec {
    struct disk *disk;
    const char *id;  /* "disk0" */
    const char *bus; /* NULL: the persona's own choice */
    const char *serial;
    bool cdrom;
    int controller, unit;    /* place on a controller of `bus`; -1: the persona's choice */
    unsigned queues;         /* 0: the persona's choice */
    struct cfg *opts;        /* what the front end may read: slot, ... */
    const uint8_t *instance; /* of the VMBus channel of its controller, as on the wire; NULL */
};

struct nic_spec {
    struct netif *netif; /* taken over */
    const char *id;
    const char *model; /* NULL: the persona's own */
    uint8_t mac[6];
    struct cfg *opts;
    const uint8_t *instance; /* of its VMBus channel, as on the wire; NULL: made from mac */
};

enum persona_ask {
    ASK_SHUTDOWN, /* by the persona's own channel; the answer comes as an event */
    ASK_REBOOT,
    ASK_FREEZE,
    ASK_THAW,
    ASK_TIME_SYNC,
    ASK_MEMORY, /* value: bytes the guest should keep */
};

enum machine_event {
    MACHINE_POWEROFF,
    MACHINE_RESET,
    MACHINE_RENEW,    /* a new kernel will start in the same machine, by its own hand (kexec) */
    MACHINE_CRASH,    /* text says how it was told */
    MACHINE_ALIVE,    /* a kernel found its devices, or left them to the next: after a crash, to the
                       * one that saves memory */
    MACHINE_ASK_DONE, /* the guest obeyed or answered; text is what it said */
    MACHINE_ASK_FAILED,
};

/* What a persona is given. Everything outlives it. */
struct persona_env {
    struct env dev; /* for its devices */
    struct host *host;
    unsigned cpus, cpus_max; /* at the start, and that may be there one day */
    uint64_t memory;         /* bytes */
    const char *name;
    uint8_t uuid[16];
    bool display;            /* somebody may look and point */
    bool firmware;           /* starts the machine: it must find a disk that it has a driver for */
    bool uefi;               /* and it is UEFI */
    bool ide;                /* an IDE controller, also without a disk on it */
    struct cfg *opts;        /* --persona NAME,key=value */
    struct console *console; /* the guest's serial console; a PV console may share it */
    struct hub *hub;         /* screens, keyboards and pointers; may be NULL */
    bool testdev;            /* --testdev: what kvm-unit-tests needs of this persona */
    /* Tells the machine; any thread. text may be NULL. */
    void (*event)(void *arg, enum machine_event what, const char *text);
    void *event_arg;
};

typedef void persona_data_fn(void *arg, const char *key, const char *value);

struct persona_ops {
    const char *name;
    const char *about;
    MUST int (*create)(const struct persona_env *env, struct persona **out, struct err *e);
    void (*destroy)(struct persona *p);
    void (*reset)(struct persona *p);
    /* After MACHINE_RENEW, with all vCPUs at rest and memory, board and processors as they are: the
     * next kernel shall find the persona as the first one did. May be NULL. */
    void (*renew)(struct persona *p);

    /* What the host must be told before vCPUs exist. May be NULL. */
    void (*host_needs)(struct cfg *opts, struct host_cfg *c);
    /* Edits the list that the host offered: removes, changes, appends up to max. */
    size_t (*cpuid)(struct persona *p, unsigned cpu, struct cpuid_leaf *leaf, size_t n, size_t max);
    /* After vCPU `cpu` exists and has its CPUID, on its thread, before it runs. May be NULL. */
    MUST int (*vcpu_ready)(struct persona *p, struct vcpu *v, struct err *e);

    /* On the vCPU's thread; must not block. Any may be NULL. */
    enum verdict (*msr)(struct persona *p, struct vcpu *v, uint32_t msr, enum access dir,
                        uint64_t *val);
    enum verdict (*hypercall)(struct persona *p, struct vcpu *v, struct hcall *h);
    enum verdict (*port)(struct persona *p, struct vcpu *v, uint16_t port, unsigned size,
                         enum access dir, uint32_t *val);
    void (*attend)(struct persona *p, struct vcpu *v); /* after host_ops.vcpu_attend() */
    void (*synic)(struct persona *p, struct vcpu *v, const struct host_event_info *info);

    MUST int (*add_disk)(struct persona *p, const struct disk_spec *s, struct err *e);
    /* The same while the guest runs: the guest is told. On the loop. May be NULL. */
    MUST int (*plug_disk)(struct persona *p, const struct disk_spec *s, struct err *e);
    /* Like add_nic, while the guest runs: as a PCI function, of which the board tells the guest.
     * May be NULL. */
    MUST int (*plug_nic)(struct persona *p, const struct nic_spec *s, struct err *e);
    /* Takes a disk away at once and closes it once nothing is in flight; -ENOENT: it has none of
     * that id that could go. On the loop. May be NULL. */
    MUST int (*unplug_disk)(struct persona *p, const char *id, struct err *e);
    /* The disk has more bytes than it had, or as a drive holds another disc or none (no bytes),
     * with every vCPU at rest: the guest is told by the way that its device has. false: that device
     * has none, or the guest does not listen; it sees the new size when the machine starts the next
     * time. On the loop. May be NULL. */
    bool (*grew)(struct persona *p, const struct disk *disk);
    MUST int (*add_nic)(struct persona *p, const struct nic_spec *s, struct err *e);
    /* The slot that firmware tells for the n-th NIC of a machine whose description says none, -1:
     * none. May be NULL. */
    int (*nic_slot)(struct persona *p, size_t n);
    /* All disks and NICs are there; add the rest (balloon, rng, consoles). May be NULL. */
    MUST int (*finish)(struct persona *p, struct err *e);
    /* Appends to the DSDT's \_SB scope; see board/aml.h. May be NULL. */
    void (*acpi)(struct persona *p, struct aml *out);
    void (*smbios)(struct persona *p, struct smbios_id *out);
    /* The hardware id of ACPI by which this hypervisor gives guests a generation id; said: the plan
     * has one. NULL: it gives them none. Before the persona is created; may be NULL. */
    const char *(*genid)(struct cfg *opts, bool said, bool uefi);
    /* 0: asked, an event will follow; -ENOTSUP: this guest has no such channel (now). */
    MUST int (*ask)(struct persona *p, enum persona_ask what, uint64_t value, struct err *e);
    /* Text that host and guest share by the persona's own channel: Hyper-V's key-value pairs,
     * xenstore, VMware's guestinfo. value NULL takes the key away. 0: done; 1: the guest was
     * asked, an event will follow. May be NULL. */
    MUST int (*data_set)(struct persona *p, const char *key, const char *value, struct err *e);
    /* Calls fn for every key that is known and begins with prefix. May be NULL. */
    void (*data_list)(struct persona *p, const char *prefix, persona_data_fn *fn, void *arg);
    /* Copies the host's file fd, taken over in any case, to the path `to` of the guest, in place
     * of one that is there. 0: begun, an event will follow. May be NULL. */
    MUST int (*copy)(struct persona *p, int fd, const char *to, struct err *e);
    /* What the guest has done, seen from outside: for `hospes info`. */
    void (*describe)(struct persona *p, struct dump *out);
};

struct persona {
    const struct persona_ops *ops;
    struct persona_env env;
};

extern const struct persona_ops *const personas[]; /* personas/table.c, NULL at the end */
const struct persona_ops *persona_find(const char *name);

#endif
