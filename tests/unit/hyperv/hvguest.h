/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvguest.h - a Hyper-V guest in a few calls: contact, offers, GPADLs, rings; and the host's kernel
 * that it needs (SINTs, signals), with no KVM and no CPU.
 *
 * The guest's memory: 0x1000 message page, 0x2000 event page, 0x3000 hypercall input; rings from
 * 1 MiB on, 64 KiB for each relid.
 */
#ifndef HOSPES_TESTS_HVGUEST_H
#define HOSPES_TESTS_HVGUEST_H

#include "abi/vmbus.h"
#include "fakes/fake_env.h"
#include "personas/hyperv/vmbus.h"
#include "personas/persona.h"

enum { HV_RAM = 32 << 20, HV_CPUS = 4, HV_RINGS = 1 << 20, HV_RING_PAGES = 8, HV_DATA = 16 << 20 };

struct hv_sint {
    struct irq irq; /* first */
    struct hv_sint *next;
    struct hvguest *g;
    unsigned vp, sint, raised;
    void (*eom)(void *arg);
    void *arg;
};

struct hv_offer {
    uint8_t type[16], instance[16];
    uint32_t relid;
    unsigned sub, flags;
    int monitor; /* -1: none */
    uint8_t user_def[VMBUS_USER_DEFINED];
};

struct hvguest {
    struct fake_env f;
    struct host host;
    struct irqs irqs;
    struct vcpu cpu[HV_CPUS];
    int fd[VMBUS_RELIDS]; /* signals given to the kernel, -1: none */
    int shared_fd;
    struct hv_sint *sint[HV_CPUS][2];        /* SINT 2, with and without notice of EOM */
    struct hv_sint *others;                  /* other SINTs */
    struct vmbus *bus;                       /* NULL: */
    struct persona *persona;                 /* has its own */
    uint32_t conn;                           /* where messages go */
    bool busy;                               /* the loop does not get to run after a signal */
    bool mute;                               /* does not tell of room in a ring that was full */
    void (*at_interrupt)(struct hvguest *g); /* of the bus's events; may be NULL */
    unsigned signals;
    uint64_t os_id;
};
enum { HV_MONITORS = 0x5000 }; /* the page to the host */

struct hv_packet {
    unsigned type, flags;
    uint64_t trans;
    size_t len; /* of payload */
    size_t ext_len;
    uint8_t ext[4096], data[17 << 10];
};

void hv_create(struct hvguest *g, uint32_t max_version);
/* The whole persona instead of a bus; env but for dev and host, which it outlives. */
void hv_create_persona(struct hvguest *g, const struct persona_ops *ops, struct persona_env *env);
void hv_destroy(struct hvguest *g);
void *hv_ram(struct hvguest *g, gpa_t at, size_t n);

/* HvPostMessage; its status. */
unsigned hv_post(struct hvguest *g, const void *p, size_t n);
/* Sends a message of at most 504 bytes by a pipe; m begins with its header, which is filled in. */
void hv_say(struct hvguest *g, uint32_t relid, uint32_t type, void *m, size_t n);
/* Where vp finds messages of SINT 2. */
struct hv_message *hv_slot(struct hvguest *g, unsigned vp);
/* The next message into out (240 bytes), with EOM when asked for. Its type, 0: none. */
uint32_t hv_message(struct hvguest *g, void *out);

/* true: agreed. */
bool hv_contact(struct hvguest *g, uint32_t version);
/* All offers up to the end of the list; their number. */
unsigned hv_offers(struct hvguest *g, struct hv_offer *o, unsigned max);
/* n adjoining pages from `at` on; the status of the answer. */
uint32_t hv_gpadl(struct hvguest *g, uint32_t relid, uint32_t id, gpa_t at, unsigned pages);
void hv_teardown(struct hvguest *g, uint32_t relid, uint32_t id);
/* GPADL relid, ring halves of HV_RING_PAGES each; the status of the answer. */
uint32_t hv_open(struct hvguest *g, uint32_t relid, unsigned vp);
void hv_close(struct hvguest *g, uint32_t relid);

/* Puts a packet into the ring and signals as a driver does. */
void hv_put(struct hvguest *g, uint32_t relid, unsigned type, unsigned flags, uint64_t trans,
            const void *ext, size_t ext_len, const void *data, size_t n);
void hv_send(struct hvguest *g, uint32_t relid, uint64_t trans, const void *data, size_t n);
/* A GPA direct packet over one run of adjoining pages. */
void hv_send_pages(struct hvguest *g, uint32_t relid, uint64_t trans, const void *data, size_t n,
                   gpa_t at, uint32_t len);
void hv_signal(struct hvguest *g, uint32_t relid);
/* Takes the next packet; false: none. */
bool hv_get(struct hvguest *g, uint32_t relid, struct hv_packet *p);
/* The event flag of a channel on a processor, cleared by looking. */
bool hv_event(struct hvguest *g, unsigned vp, uint32_t relid);

#endif
