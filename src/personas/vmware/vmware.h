/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmware.h - the persona's parts and what they share.
 *
 * Threads: the backdoor runs on vCPU threads, asks and alarms on the loop. `lock` guards all that
 * both touch; the persona's event() is called with it free.
 */
#ifndef HOSPES_PERSONAS_VMWARE_VMWARE_H
#define HOSPES_PERSONAS_VMWARE_VMWARE_H

#include <pthread.h>

#include "abi/vmware.h"
#include "console/hub.h"
#include "core/loop.h"
#include "personas/faces.h"
#include "personas/persona.h"
#include "personas/vmware/units.h"

struct pvscsi;
struct mpt;
struct rpc;

/* Input and output of one IN on the backdoor, low halves of the registers. */
struct backdoor {
    uint32_t ax, bx, cx, dx, si, di;
};

struct vmware_balloon {
    bool started;
    uint64_t target; /* pages that the guest should give up */
    uint64_t held;   /* pages that it has given up */
    uint32_t caps;
    bool asked;
};

enum { VMMOUSE_WORDS = 1024 };

struct vmware_mouse {
    bool enabled, absolute, lost; /* lost: the guest asked for words that are not there */
    uint32_t restricted;
    uint32_t word[VMMOUSE_WORDS], put, got; /* free-running */
    bool bound;                             /* in the hub; the loop's, as is what follows */
    struct pointer pointer;
};

struct vmware_steal_clock {
    gpa_t at; /* 0: off */
    int tid;  /* thread of the vCPU */
};

enum vmware_adapter_kind { ADAPTER_PVSCSI, ADAPTER_LSILOGIC, ADAPTER_LSISAS1068 };
enum { VMWARE_ADAPTERS = 4 };

/* A SCSI controller. */
struct vmware_adapter {
    enum vmware_adapter_kind kind;
    int number; /* among those of all kinds, as a description counts them */
    char id[16];
    struct units *units;         /* of the controller, which is the bus's */
    const char *disk[UNITS_MAX]; /* ids; NULL: free */
};

enum { VMWARE_COMMANDS = 128 }; /* of the backdoor, that are counted one by one */

struct vmware {
    struct persona p; /* first */
    pthread_mutex_t lock;
    struct vmware_adapter adapter[VMWARE_ADAPTERS];
    unsigned adapters;
    struct ide *ide; /* the bus's; NULL: none; for CD-ROM drives */
    struct ahci *ahci;
    struct nvme *nvme;
    struct faces faces; /* what UEFI knows the adapters' disks by */
    unsigned drivers;   /* atomic: that set up an adapter since the last reset */
    bool met;           /* atomic: the guest called, and the faces are gone until a reset */
    char serial[64];
    uint8_t uuid[16]; /* as in the SMBIOS table */
    struct rpc *rpc;
    struct vmware_balloon balloon;
    struct vmware_mouse mouse;
    struct vmware_steal_clock *steal; /* one per processor */
    struct alarm steal_tick;
    struct task steal_begin, bind_mouse, meet; /* what vCPUs want of the loop */
    char *vsock;                               /* NULL: no sockets to the host */
    uint32_t cid;
    uint64_t started;              /* ns */
    uint64_t calls, unknown_calls; /* of the backdoor */
    uint64_t command_calls[VMWARE_COMMANDS];
};

static inline struct vmware *vmware_of(struct persona *p)
{
    return container_of(p, struct vmware, p);
}

enum verdict backdoor_port(struct persona *p, struct vcpu *v, uint16_t port, unsigned size,
                           enum access dir, uint32_t *val);

/* Readies what vCPUs may ask of the loop. */
void vmware_tasks(struct vmware *w);

/* --- disks.c --- */
MUST int vmware_add_disk(struct persona *p, const struct disk_spec *s, struct err *e);
MUST int vmware_plug_disk(struct persona *p, const struct disk_spec *s, struct err *e);
MUST int vmware_unplug_disk(struct persona *p, const char *id, struct err *e);
bool vmware_grew(struct persona *p, const struct disk *disk);
/* An operating system is there, not firmware: it shall see each disk once. Any thread, without a
 * device's lock. */
void vmware_meet(struct vmware *w);
void vmware_meet_asked(struct task *t);
void vmware_faces_reset(struct vmware *w);

void steal_set(struct vmware *w, unsigned cpu, unsigned cpl, struct backdoor *b);
void steal_tick(struct alarm *a);
void steal_begin(struct task *t);
/* How long a processor's thread has run and has waited to run, ns. */
void vmware_times(const struct vmware *w, unsigned cpu, uint64_t *ran, uint64_t *waited);

/* --- vmmouse.c --- */
/* One of the ABSPOINTER commands, or ISMOUSEABSOLUTE. */
void vmware_mouse_call(struct vmware *w, unsigned cpl, struct backdoor *b);
void vmware_mouse_reset(struct vmware *w);
void vmware_mouse_bind(struct task *t);
void vmware_mouse_gone(struct vmware *w);

void vmware_balloon_call(struct vmware *w, struct backdoor *b);
void vmware_balloon_reset(struct vmware *w);
/* true once, when the guest has come to the size that was asked for. */
bool vmware_balloon_event(struct vmware *w, enum machine_event *what, char *text, size_t n);
void vmware_balloon_ask(struct vmware *w, uint64_t keep);

#endif
