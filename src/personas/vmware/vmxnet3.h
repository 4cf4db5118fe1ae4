/* SPDX-License-Identifier: Apache-2.0 */
/* vmxnet3.h - VMware's network adapter for the persona; see vmxnet3.c. */
#ifndef HOSPES_PERSONAS_VMWARE_VMXNET3_H
#define HOSPES_PERSONAS_VMWARE_VMXNET3_H

#include "abi/vmxnet3.h"
#include "board/pci.h"
#include "core/loop.h"
#include "net/netif.h"

/* Puts the card on the bus, which owns it then. n is taken over on success. boot: firmware may
 * start the guest through it. */
MUST int vmxnet3_create(const struct env *env, struct netif *n, const uint8_t mac[6], bool boot,
                        struct err *e);

/* --- between the vmxnet3*.c files --- */

enum { VMXNET3_MACS = 64, VMXNET3_PARTS = 128 };

struct vmxnet3_ring {
    gpa_t at;
    uint32_t size, next;
    bool gen;
};

enum vmxnet3_cast { VMXNET3_UCAST, VMXNET3_MCAST, VMXNET3_BCAST };

struct vmxnet3_queue {
    struct vmxnet3_ring ring[2], comp; /* a tx queue has one ring */
    gpa_t data; /* receive queues: of cells for small frames, one for each entry of ring[0] */
    uint32_t data_size; /* bytes of a cell, 0: there are none */
    uint8_t intr;
    bool stopped;
    unsigned done;                /* completions since the last interrupt */
    uint64_t frames[3], bytes[3]; /* by enum vmxnet3_cast */
};

struct vmxnet3_rss {
    bool on;
    uint32_t types, fields, entries;
    uint8_t key[40], table[128];
};

struct vmxnet3_moderation {
    uint32_t mode, rate, tx_depth, rx_depth;
};

/* All that a driver set; cleared by a reset. */
struct vmxnet3_state {
    bool active, link_told;
    bool rx_asks;    /* the driver is asked to tell of new buffers, for a frame waits for them */
    uint32_t result; /* of the last command */
    uint64_t shared; /* address */
    uint64_t queues; /* address of the queue descriptors */
    uint8_t ntx, nrx, event_intr;
    bool auto_mask, rx_csum, rx_vlan, lro;
    bool vlan_filter; /* by vlan[]; a driver that filters sets a bit, if only that of 0 */
    struct vmxnet3_rss rss;
    struct vmxnet3_moderation coalesce;
    uint8_t vlan[512]; /* a bit for each identifier that is let in */
    uint32_t rx_mode;
    unsigned macs;
    uint8_t table[VMXNET3_MACS][6];
    bool masked[VMXNET3_MAX_INTRS], pending[VMXNET3_MAX_INTRS];
    bool icr;
    struct vmxnet3_queue tx[VMXNET3_MAX_TX_QUEUES], rx[VMXNET3_MAX_RX_QUEUES];
};

/* An interrupt that is held back. */
struct vmxnet3_due {
    uint64_t at, last; /* ns; at 0: none waits */
    unsigned count;    /* completions */
};

struct vmxnet3 {
    struct pci_dev pci; /* first */
    unsigned revision;  /* that the driver chose, from 1 */
    struct vmxnet3_due due[VMXNET3_MAX_INTRS];
    struct alarm moderate;
    uint64_t moderate_at; /* when it fires, 0: never */
    struct netif *netif;
    struct net_caps caps;
    uint8_t perm_mac[6], mac[6];
    struct watch kick;
    struct vmxnet3_state s;
    uint8_t *out, *in; /* one frame each */
    uint8_t *cut;      /* two more, when one has to be cut */
    size_t in_len;     /* a frame that waits for buffers, 0: none */
    struct net_meta in_meta;
    uint32_t in_tag; /* that was taken off it, as a completion has it */
    uint64_t refused, dropped;
    struct task offload; /* what a driver can ask for as often as it likes */
    uint32_t offloads;   /* what the back end may give to us; written under the lock */
    struct alarm look;   /* once more, for a frame that waits */
};

/* Both under the device's lock, on the loop. */
void vmxnet3_send_all(struct vmxnet3 *x);
void vmxnet3_receive_all(struct vmxnet3 *x);
/* Shall the driver tell of new receive buffers? */
void vmxnet3_rx_ask(struct vmxnet3 *x, bool on);
/* Another round, after others had their turn. Any thread. */
void vmxnet3_wake(struct vmxnet3 *x);
void vmxnet3_raise(struct vmxnet3 *x, unsigned intr);
/* n more completions for a vector: raises it, now or when the driver wants it. */
void vmxnet3_completed(struct vmxnet3 *x, unsigned intr, bool tx, unsigned n);
void vmxnet3_moderate_fire(struct alarm *a);
/* Takes what the command area names; 0, or 1: it makes no sense. */
uint32_t vmxnet3_coalesce_load(struct vmxnet3 *x);
/* Takes the driver's key and table; false: they are not there. */
bool vmxnet3_rss_load(struct vmxnet3 *x);
/* The queue of the frame in x->in, its hash and the kind of that, for the completion. */
unsigned vmxnet3_pick(struct vmxnet3 *x, uint32_t *hash, unsigned *kind);
/* Sends the tunnelled frame of len bytes in x->out, whose inner headers end at hlen, in pieces of
 * mss bytes (0: whole), with all checksums. -EINVAL: it is no such frame; -EAGAIN: nothing was
 * sent, the back end is full. */
MUST int vmxnet3_encap(struct vmxnet3 *x, size_t len, unsigned hlen, unsigned mss, bool outer_sum);
/* Stops a queue and tells the driver. */
void vmxnet3_queue_error(struct vmxnet3 *x, bool tx, unsigned queue, const char *why);

#endif
