/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest.h - a virtio driver played by a test: registers, rings, buffers. No CPU.
 *
 * The driver is a polite one unless the test writes to the rings itself.
 */
#ifndef HOSPES_TESTS_VIRTIO_GUEST_H
#define HOSPES_TESTS_VIRTIO_GUEST_H

#include "abi/virtio.h"
#include "fakes/fake_env.h"
#include "fakes/fake_pci.h"

enum { GUEST_QUEUES = 34, GUEST_RAM = 4 << 20, GUEST_MSI = 0x4000 };

struct guest_queue {
    uint16_t size;
    gpa_t desc, driver, device;
    uint16_t next_free, avail, used; /* split: descriptors are handed out in a circle */
    bool wrap, used_wrap;            /* packed */
    uint16_t slots[1024];            /* packed: by buffer id */
};

struct guest_buf {
    gpa_t at;
    uint32_t len;
    bool in; /* the device writes */
};

struct guest {
    struct fake_env f;
    unsigned devfn;
    uint64_t bar[6];
    unsigned vectors; /* 0: interrupts by INTx */
    bool legacy;
    uint64_t features;
    struct guest_queue q[GUEST_QUEUES];
    gpa_t brk; /* memory is handed out from here */
};

/* 4 MiB of RAM; the device under test is then created by the test on g->f.env. */
void guest_open(struct guest *g);
void guest_close(struct guest *g);
/* Finds the device on the bus and maps it. */
void guest_find(struct guest *g, bool msix);
gpa_t guest_alloc(struct guest *g, size_t bytes, size_t align);

uint64_t guest_common(struct guest *g, unsigned off, unsigned size);
void guest_common_set(struct guest *g, unsigned off, unsigned size, uint64_t v);
uint64_t guest_config(struct guest *g, unsigned off, unsigned size);
void guest_config_set(struct guest *g, unsigned off, unsigned size, uint64_t v);
uint8_t guest_status(struct guest *g);
void guest_status_set(struct guest *g, uint8_t v);
uint8_t guest_isr(struct guest *g);
uint64_t guest_offered(struct guest *g);

/* Reset to FEATURES_OK; want is cut to what is offered. Returns whether FEATURES_OK stuck. */
bool guest_negotiate(struct guest *g, bool legacy, uint64_t want);
/* Gives queue i memory and switches it on. size 0: the largest. */
void guest_queue(struct guest *g, unsigned i, uint16_t size);
void guest_driver_ok(struct guest *g);
/* All of the above with `queues` queues. */
void guest_start(struct guest *g, bool legacy, uint64_t want, unsigned queues);

/* Makes a chain available; returns its id. indirect: in a table of its own. */
uint16_t guest_add(struct guest *g, unsigned i, const struct guest_buf *b, unsigned n,
                   bool indirect);
void guest_kick(struct guest *g, unsigned i);
/* Takes one used buffer back. */
bool guest_used(struct guest *g, unsigned i, uint16_t *id, uint32_t *len);
/* Interrupts of queue i since the last call. */
unsigned guest_irqs(struct guest *g, unsigned i);

uint64_t guest_peek(struct guest *g, gpa_t at, unsigned size);
void guest_poke(struct guest *g, gpa_t at, unsigned size, uint64_t v);

#endif
