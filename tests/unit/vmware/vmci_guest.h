/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmci_guest.h - a guest's VMCI driver and its sockets, one connection at a time, and a host whose
 * programs are tests.
 */
#ifndef HOSPES_TESTS_VMCI_GUEST_H
#define HOSPES_TESTS_VMCI_GUEST_H

#include "abi/vmci.h"
#include "fakes/fake_env.h"

/* Where the guest keeps things. A queue pair: a header and its pages, twice. */
enum {
    VG_CID = 42,
    VG_BITMAP = 0x8000,
    VG_QUEUES = 0x100000,
    VG_SIZE = 8192, /* of a queue, unless a test says otherwise */
    VG_DEVFN = 1 << 3,
    VG_VECTOR = 0x40,
    VG_HOST_PORT = 700, /* where a listener of the host's is */
    VG_PORT = 1024,     /* the guest's */
};
/* What the guest receives: a type of packet, or one of these. */
enum { VG_NOTHING = -1, VG_EVENT = 100 };

struct vmci_guest {
    struct fake_env f;
    uint64_t bar[6];
    char dir[32], path[64], port_path[80];
    int listener;
    uint8_t page[VMCI_PAGE_SIZE]; /* the last that was read, and how far it is looked at */
    unsigned page_at;
    struct vmci_transport_packet got; /* the last packet */
    uint32_t event;                   /* the last event */
    struct vmci_handle pair;          /* its queue pair, and the size of each queue */
    uint32_t size;
};

/* The device, its driver, and a listener at VG_HOST_PORT. */
void vg_create(struct vmci_guest *g);
void vg_destroy(struct vmci_guest *g);
void vg_driver(struct vmci_guest *g, uint32_t caps);

void vg_put(struct vmci_guest *g, unsigned reg, uint32_t v);
uint32_t vg_get(struct vmci_guest *g, unsigned reg);
void *vg_ram(struct vmci_guest *g, gpa_t at, size_t n);

/* Send a datagram, a call, a control packet with its one word; what comes of them. */
int32_t vg_datagram(struct vmci_guest *g, uint32_t context, uint32_t resource, const void *payload,
                    size_t n);
int32_t vg_call(struct vmci_guest *g, uint32_t what, const void *payload, size_t n);
int32_t vg_packet_to(struct vmci_guest *g, uint32_t context, uint32_t resource, uint8_t type,
                     uint32_t guest_port, uint32_t host_port, uint64_t word);
/* The same to a port of the host, which takes it; then the loop runs. */
void vg_packet(struct vmci_guest *g, uint8_t type, uint32_t guest_port, uint32_t host_port,
               uint64_t word);
uint64_t vg_word(struct vmci_handle h);

void vg_read_page(struct vmci_guest *g);
/* The next datagram of the page. */
int vg_in_page(struct vmci_guest *g);
/* The next datagram, read as drivers do: after an interrupt. */
int vg_received(struct vmci_guest *g);

/* Makes a queue pair of g->size with that name, which is g->pair then; wide: with page numbers of
 * 64 bits. */
int32_t vg_alloc(struct vmci_guest *g, struct vmci_handle handle, uint32_t flags, bool wide);
int32_t vg_detach(struct vmci_guest *g);
struct vmci_queue_header *vg_header(struct vmci_guest *g, bool consume);
void vg_write(struct vmci_guest *g, const void *text, uint32_t n);
uint32_t vg_read(struct vmci_guest *g, uint8_t *to, uint32_t most);
uint32_t vg_ready(struct vmci_guest *g);
uint32_t vg_room(struct vmci_guest *g);

/* The guest connects to VG_HOST_PORT; the program's end of it. */
int vg_connect(struct vmci_guest *g);
/* A program writes that line, and its end of it; the guest takes it at VG_PORT. */
int vg_calls(struct vmci_guest *g, const char *line);
int vg_called(struct vmci_guest *g, const char *line, uint32_t *host_port);
/* A program reads that text, the end, or an end that may be an error. */
void vg_wants(struct vmci_guest *g, int fd, const char *text);
void vg_wants_end(struct vmci_guest *g, int fd);
void vg_wants_no_more(struct vmci_guest *g, int fd);

#endif
