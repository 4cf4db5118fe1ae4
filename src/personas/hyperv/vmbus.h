/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmbus.h - the bus of a Hyper-V guest: channels, their life, and packets on them.
 *
 * A device embeds one struct vmbus_channel per channel, fills in what the offer says and adds it to
 * the bus. Everything here runs on the loop, except vmbus_hypercall().
 *
 * A class with quick() serves the guest's signals on the vCPU that gave them, as long as that
 * mostly succeeds: one exit and no switch of threads. What quick() leaves goes to packet() on the
 * loop; when it leaves most, signals become eventfds that wake the loop and not the vCPU's thread.
 * Such a channel has a lock, which the bus holds around all that it calls, and the device around
 * vmbus_send(), vmbus_flush(), vmbus_pause() and vmbus_resume() when they are its own idea.
 */
#ifndef HOSPES_PERSONAS_HYPERV_VMBUS_H
#define HOSPES_PERSONAS_HYPERV_VMBUS_H

#include <pthread.h>

#include "abi/vmbus.h"
#include "board/device.h"
#include "core/log.h"
#include "core/loop.h"
#include "gpadl.h"
#include "host/host.h"
#include "personas/bursts.h"
#include "ring.h"
#include "synic.h"

struct vmbus;
struct vmbus_channel;

/* What a kind of channel does. */
struct vmbus_class {
    const char *name;  /* "storvsc", for logs and info */
    size_t packet_max; /* bytes: a longer packet breaks the channel */
    bool monitored;    /* Hyper-V gives it a monitor */
    bool unanswered;   /* no packet of the guest's makes one of ours: it is taken at any time */
    /* The rings stand, c->userdata is there. false: refused. */
    bool (*open)(struct vmbus_channel *c);
    /* Nothing can be sent any more. What the guest had sent can still be taken from c->in, by way
     * of c->buf, until this returns. Called once for each open. */
    void (*close)(struct vmbus_channel *c);
    /* A packet; all of p lies in the channel's buffer until the call returns. */
    void (*packet)(struct vmbus_channel *c, const struct ring_packet *p);
    /* The same on any thread, if it needs neither the loop nor a wait. The bytes that were moved,
     * -1: nothing was done, and packet() gets p. NULL: all is the loop's. */
    int64_t (*quick)(struct vmbus_channel *c, const struct ring_packet *p);
    /* Memory that the channel shared is taken back; may be NULL. */
    void (*gpadl_gone)(struct vmbus_channel *c, const struct gpadl *g);
    /* The guest let go of the offer (after rescind, or a subchannel's end); may be NULL. */
    void (*released)(struct vmbus_channel *c);
    /* Packets that waited have found room; may be NULL. */
    void (*room)(struct vmbus_channel *c);
    /* Facts for info; may be NULL. */
    void (*describe)(struct vmbus_channel *c, struct dump *out);
};

/* A packet that found no room. */
struct vmbus_backlog;

struct vmbus_channel {
    /* the device's, before vmbus_add() */
    const struct vmbus_class *class;
    const char *id; /* "disk0" */
    uint8_t type[16], instance[16];
    uint16_t flags, mmio_mb, sub_index;
    uint8_t user_def[VMBUS_USER_DEFINED];
    bool hidden; /* not offered until vmbus_offer(): subchannels */
    void *owner;
    pthread_mutex_t *lock; /* with quick(): recursive, outlives the channel; else NULL */

    /* the bus's; the device may read open, paused, relid, target_vp and userdata */
    struct vmbus *bus;
    struct vmbus_channel *next;
    uint32_t relid;
    bool offered, open, paused, broken;
    bool owed; /* rescinded, and the guest has not let go of its relid */
    uint32_t target_vp;
    uint8_t userdata[VMBUS_USER_DEFINED];
    struct gpadl *gpadl;
    struct ring in, out;
    uint8_t *buf;
    struct watch kick;
    struct vmbus_backlog *backlog, **backlog_end;
    struct alarm retry; /* for guests that do not tell of room */
    bool retrying;
    bool draining;
    bool loop_only;       /* signals are eventfds */
    unsigned score;       /* how often quick() succeeded of late */
    struct bursts bursts; /* with quick() only, under the lock */
    uint64_t packets_in, packets_out, interrupts;
};

enum { VMBUS_POSTED_MAX = 16 }; /* messages of the guest's that wait for us, as TLFS promises */

struct vmbus {
    struct host *host;
    struct gmem *mem;
    struct loop *loop;
    struct synic *synic;
    struct poller *poller;
    bool polls; /* the owner's: a thread may look at rings */
    struct vmbus_channel *channels;
    /* Of relid, of the channels' doorbells and of the faults, for vCPUs; taken last. */
    pthread_mutex_t lock;
    struct vmbus_channel *relid[VMBUS_RELIDS];
    uint32_t last_relid;
    uint32_t max_version;
    uint32_t version; /* 0: not connected */
    unsigned contact_vp;
    bool offers_wanted;
    struct gpadl *gpadls;
    size_t gpadl_pages;
    unsigned gpadl_count;
    gpa_t interrupt_page; /* before 2.4; 0: none */
    struct watch shared;  /* the doorbell of all channels before 2.4 */

    gpa_t monitor_page; /* signals to us, 0: by hypercall */
    struct alarm monitor;
    uint64_t monitor_ns; /* until it is looked at again */
    struct vmbus_channel *monitored[VMBUS_MONITORS];

    /* Requests that may still write guest memory; answers that end a connection wait for them. */
    unsigned inflight;
    bool late;
    uint8_t late_message[40];
    size_t late_size;

    unsigned posted; /* atomic */
    uint64_t life;   /* raised by vmbus_reset() */
    struct log_limit faults, contacts;
    uint64_t fault_count;
    /* A guest has made contact. May be NULL. */
    void (*contact)(void *arg);
    void *contact_arg;
    /* Asked for a service (hvsock); true: accepted. May be NULL. */
    bool (*tl_connect)(void *arg, const uint8_t endpoint[16], const uint8_t service[16]);
    void *tl_arg;
};

MUST int vmbus_create(struct host *h, struct gmem *m, struct loop *l, unsigned cpus,
                      uint32_t max_version, struct vmbus **out, struct err *e);
/* Closes and forgets all channels; devices destroy theirs after. NULL is fine. */
void vmbus_destroy(struct vmbus *b);
/* As after power-on, with every vCPU stopped. */
void vmbus_reset(struct vmbus *b);
/* "5.3": the version, 0 when there is no such. */
uint32_t vmbus_version_parse(const char *text);

/* On a vCPU's thread. */
enum hv_status vmbus_hypercall(struct vmbus *b, const struct hcall *h);

/* Takes c into the bus; a guest that has asked for offers gets one. -ENOSPC: no number left. */
MUST int vmbus_add(struct vmbus *b, struct vmbus_channel *c, struct err *e);
/* Closes c and takes it away; the guest is told. c may then be freed. */
void vmbus_remove(struct vmbus_channel *c);
void vmbus_offer(struct vmbus_channel *c);
void vmbus_rescind(struct vmbus_channel *c);

void vmbus_fault(struct vmbus_channel *c, const char *fmt, ...) PRINTF_LIKE(2, 3)
    __attribute__((cold));

/* A GPADL of this channel; NULL: none. Valid until gpadl_gone() or close(). */
struct gpadl *vmbus_gpadl(struct vmbus_channel *c, uint32_t id);

/* Sends a packet; what finds no room waits, and no packet of the guest's is taken meanwhile.
 * Quietly dropped on a channel that is not open. */
void vmbus_send(struct vmbus_channel *c, uint16_t type, uint16_t flags, uint64_t trans,
                const void *ext, size_t ext_len, const struct iovec *iov, unsigned cnt);
void vmbus_send_data(struct vmbus_channel *c, const void *data, size_t n); /* in-band */
void vmbus_complete(struct vmbus_channel *c, uint64_t trans, const void *data, size_t n);
/* Makes what was sent visible, one interrupt for all. Called for the device after packet(). */
void vmbus_flush(struct vmbus_channel *c);
/* Packets that wait for room: a device that makes its own should hold back. */
bool vmbus_congested(const struct vmbus_channel *c);
/* Bytes of packets, heads and all, that the guest has not taken yet; SIZE_MAX: some wait for room.
 * 0 on a channel that is not open, or broken. */
size_t vmbus_untaken(const struct vmbus_channel *c);
/* Stops and goes on with packet(): the device cannot take more now. */
void vmbus_pause(struct vmbus_channel *c);
void vmbus_resume(struct vmbus_channel *c);

/* Around requests that the guest's memory is handed to. */
void vmbus_io_begin(struct vmbus *b);
void vmbus_io_end(struct vmbus *b);

void vmbus_describe(struct vmbus *b, struct dump *out);

/* vmbus.c, for hcall.c */
struct vmbus_channel *vmbus_by_relid(struct vmbus *b, uint32_t relid);
void vmbus_message(struct vmbus *b, const uint8_t *p, size_t n);
void vmbus_shared_signal(struct vmbus *b); /* of a guest before 2.4 */

/* monitor.c, for vmbus.c and channel.c */
void monitor_contact(struct vmbus *b, const struct vmbus_channel_initiate_contact *m);
void monitor_stop(struct vmbus *b);
void monitor_add(struct vmbus_channel *c);
void monitor_remove(const struct vmbus_channel *c);
void monitor_offer(const struct vmbus_channel *c, struct vmbus_channel_offer_channel *m);
void monitor_opened(struct vmbus_channel *c);

/* channel.c, for vmbus.c and hcall.c */
void channel_open(struct vmbus_channel *c, const struct vmbus_channel_open_channel *m);
void channel_close(struct vmbus_channel *c);
void channel_run(struct vmbus_channel *c);
/* The guest has signalled; on a vCPU, under b->lock. Gives that lock back. */
void channel_signalled(struct vmbus_channel *c);
bool channel_send_message(struct vmbus *b, const void *p, size_t n);

#endif
