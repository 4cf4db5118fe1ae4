/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nic.h - emulated network cards: their models, and what these share.
 *
 * A card has one frame on its way in and room for one on its way out. Frames move on the loop
 * alone, in the model's work(); registers wake it.
 *
 * Life: nic_create() puts a card on the PCI bus, which destroys it. Threads: io() on vCPU threads,
 * all the rest on the loop, both under the device's lock.
 */
#ifndef HOSPES_BOARD_NIC_NIC_H
#define HOSPES_BOARD_NIC_NIC_H

#include "board/pci.h"
#include "core/loop.h"
#include "net/netif.h"

enum { ETHER_HEAD = 14, ETHER_ADDRESSES = 12, ETHER_VLAN = 4, ETHER_MIN = 60, ETHER_FCS = 4 };
enum { NIC_BATCH = 256 /* frames before others have their turn */ };

struct nic;

struct nic_model {
    const char *name; /* "e1000": as in model=e1000, log area, and page in docs/reference */
    const char *about;
    size_t size;     /* of the struct that begins with a struct nic, zeroed */
    const char *rom; /* see pci_add_rom(); NULL: there is none */
    /* Identity, BARs, capabilities, and the state after power-on. */
    MUST int (*init)(struct nic *n, const struct env *env, struct err *e);
    /* Sends and receives what can be; under the lock. true: there is more, call again. */
    bool (*work)(struct nic *n);
    void (*link)(struct nic *n); /* n->caps.link has changed; under the lock */
    void (*fini)(struct nic *n); /* frees what init made; may be NULL */
};

struct nic {
    struct pci_dev pci; /* first */
    const struct nic_model *model;
    struct netif *netif;
    struct net_caps caps;
    uint8_t mac[6]; /* of the plan */
    struct watch kick;
    uint8_t *in, *out, *cut; /* NET_FRAME_MAX bytes each */
    size_t in_len;           /* a frame that waits for buffers, 0: none */
    struct net_meta in_meta;
    uint64_t refused, dropped;
};

struct nic_cfg {
    const char *model;   /* a name in nic_models[] */
    struct netif *netif; /* taken over on success */
    const uint8_t *mac;  /* 6 bytes */
    bool boot;           /* with the ROM that starts a guest from the network, if it is installed */
    int devfn;           /* -1: the first free slot */
};

extern const struct nic_model *const nic_models[]; /* NULL at the end */

/* true when there is such a model. */
bool nic_known(const char *model);
MUST int nic_create(const struct env *env, const struct nic_cfg *c, struct err *e);

/* --- for models --- */

void nic_describe(struct nic *n, struct dump *out);
void nic_destroy(struct device *d);
/* work() will run. Any thread. */
void nic_wake(struct nic *n);
/* Fetches a frame of at most `max` bytes, padded to the least that Ethernet has, into n->in unless
 * one is there. Checksums in it are complete. false: there is none. */
bool nic_fetch(struct nic *n, size_t max);
/* Sends n->out[0..len). m may ask for what this back end cannot do. false: it is full, and work()
 * will be called when it is not; else the frame is gone, one way or the other. */
MUST bool nic_send(struct nic *n, size_t len, struct net_meta *m);
/* The Ethernet CRC's upper bits, as multicast filters take them (IEEE 802.3, bits as sent). */
uint32_t nic_crc(const uint8_t mac[6]);
bool nic_is_broadcast(const uint8_t *frame);

#endif
