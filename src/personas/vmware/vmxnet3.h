/* SPDX-License-Identifier: Apache-2.0 */
/* vmxnet3.h - VMware's network adapter for the persona; see vmxnet3.c. */
#ifndef HOSPES_PERSONAS_VMWARE_VMXNET3_H
#define HOSPES_PERSONAS_VMWARE_VMXNET3_H

#include "abi/vmxnet3.h"
#include "board/pci.h"
#include "core/loop.h"
#include "net/netif.h"

/* Puts the card on the bus, which owns it then. n is taken over on success. */
MUST int vmxnet3_create(const struct env *env, struct netif *n, const uint8_t mac[6],
                        struct err *e);

/* --- between vmxnet3.c and vmxnet3_ring.c --- */

enum { VMXNET3_MACS = 64, VMXNET3_PARTS = 128 };

struct vmxnet3_ring {
    gpa_t at;
    uint32_t size, next;
    bool gen;
};

enum vmxnet3_cast { VMXNET3_UCAST, VMXNET3_MCAST, VMXNET3_BCAST };

struct vmxnet3_queue {
    struct vmxnet3_ring ring[2], comp; /* a tx queue has one ring */
    uint8_t intr;
    bool stopped, raise;
    uint64_t frames[3], bytes[3]; /* by enum vmxnet3_cast */
};

/* All that a driver set; cleared by a reset. */
struct vmxnet3_state {
    bool active, link_told;
    uint32_t result; /* of the last command */
    uint64_t shared; /* address */
    uint64_t queues; /* address of the queue descriptors */
    uint8_t ntx, nrx, event_intr;
    bool auto_mask, rx_csum;
    uint32_t rx_mode;
    unsigned macs;
    uint8_t table[VMXNET3_MACS][6];
    bool masked[VMXNET3_MAX_INTRS], pending[VMXNET3_MAX_INTRS];
    bool icr;
    struct vmxnet3_queue tx[VMXNET3_MAX_TX_QUEUES], rx[VMXNET3_MAX_RX_QUEUES];
};

struct vmxnet3 {
    struct pci_dev pci; /* first */
    struct netif *netif;
    struct net_caps caps;
    uint8_t perm_mac[6], mac[6];
    struct watch kick;
    struct vmxnet3_state s;
    uint8_t *out, *in; /* one frame each */
    size_t in_len;     /* a frame that waits for buffers, 0: none */
    struct net_meta in_meta;
    uint64_t refused, dropped;
};

/* Both under the device's lock, on the loop. */
void vmxnet3_send_all(struct vmxnet3 *x);
void vmxnet3_receive_all(struct vmxnet3 *x);
/* Another round, after others had their turn. Any thread. */
void vmxnet3_wake(struct vmxnet3 *x);
void vmxnet3_raise(struct vmxnet3 *x, unsigned intr);
/* Stops a queue and tells the driver. */
void vmxnet3_queue_error(struct vmxnet3 *x, bool tx, unsigned queue, const char *why);

#endif
