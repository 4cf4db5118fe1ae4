/* SPDX-License-Identifier: Apache-2.0 */
/* VMCI and its sockets between a hostile driver and host programs. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/vmci.h"
#include "core/err.h"
#include "core/usock.h"
#include "fakes/fake_env.h"
#include "fakes/fake_pci.h"
#include "fuzz.h"
#include "input.h"
#include "personas/vmware/vmci.h"

enum { DEVFN = 1 << 3, CID = 3, PEERS = 4, PORT = 1, PLAY = 64 * 1024 };

struct world {
    struct fake_env f;
    uint64_t bar[6];
    char path[64], port[80];
    int peer[PEERS], server;
};

static void out(struct world *w, const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fake_env_out(&w->f, w->bar[0] + VMCI_DATA_OUT_ADDR, 1, ((const uint8_t *)p)[i]);
}

static void datagram(struct world *w, uint32_t context, uint32_t resource, const void *p, size_t n)
{
    struct vmci_datagram h = {.dst = {le32_of(context), le32_of(resource)},
                              .src = {le32_of(CID), le32_of(1)},
                              .payload_size = le64_of(n)};

    out(w, &h, sizeof(h));
    out(w, p, n);
}

/* The guest's own queue pairs, and those that the host names. */
static struct vmci_handle handle(uint32_t k)
{
    uint32_t context = k & 1 ? VMCI_HOST_CONTEXT_ID : CID;

    return (struct vmci_handle){le32_of(context), le32_of(1024 + (k >> 1 & 3))};
}

static uint64_t size_of(uint32_t k)
{
    static const uint64_t sizes[] = {4096, 8192, 5000, 256 << 10, 2, 0, UINT64_MAX, 4096};

    return sizes[k & 7];
}

static void control_packet(struct world *w, struct input *in)
{
    uint32_t what = take(in, 1), ports = take(in, 1), k = take(in, 1);
    struct vmci_transport_packet p = {
        .version = VMCI_TRANSPORT_PACKET_VERSION,
        .type = what & 15,
        .proto = le16_of(k >> 7 ? 0 : VSOCK_PROTO_PKT_ON_NOTIFY),
        .src_port = le32_of(ports & 3),
        .dst_port = le32_of(ports & 4 ? 0x40000000 + (ports >> 3 & 7) : ports >> 3 & 3),
    };

    if (what & 0x80)
        p.u.handle = handle(k);
    else
        p.u.size = le64_of(what & 0x40 ? k : size_of(k));
    datagram(w, what & 0x20 ? VMCI_HYPERVISOR_CONTEXT_ID : VMCI_HOST_CONTEXT_ID,
             what & 0x20 ? VMCI_TRANSPORT_HYPERVISOR_PACKET_RID : VMCI_TRANSPORT_PACKET_RID,
             (uint8_t *)&p + sizeof(p.dg), sizeof(p) - sizeof(p.dg));
}

/* A queue pair with all pages, most of which are the same. */
static void alloc(struct world *w, struct input *in)
{
    uint32_t what = take(in, 1), sizes = take(in, 1), first = take(in, 1);
    uint64_t produce = size_of(sizes), consume = size_of(sizes >> 3);
    struct vmci_qp_alloc_msg m = {
        .handle = handle(what),
        .peer = le32_of(what & 0x80 ? CID : VMCI_HOST_CONTEXT_ID),
        .flags = le32_of(what >> 4 & 3),
        .produce_size = le64_of(produce),
        .consume_size = le64_of(consume),
    };
    static uint8_t text[sizeof(m) + 8 * 200];
    uint32_t n = (uint32_t)((produce % MiB + 4095) / 4096 + (consume % MiB + 4095) / 4096 + 2);

    if (n > 200)
        return;
    m.num_ppns = le64_of(n);
    memcpy(text, &m, sizeof(m));
    for (uint32_t i = 0; i < n; i++)
        le64_put(text + sizeof(m) + 8 * (size_t)i, i ? first + i % 16 : first % 16);
    datagram(w, 0, VMCI_QUEUEPAIR_ALLOC, text, sizeof(m) + 8 * (size_t)n);
}

static void close_peer(int *p)
{
    if (*p >= 0)
        close(*p);
    *p = -1;
}

static void event(struct world *w, struct input *in)
{
    unsigned what = take(in, 1);
    int *p = &w->peer[what / 8 % PEERS];
    static char bytes[65536];
    struct err e;

    switch (what % 8) {
    case 0:
        close_peer(p);
        *p = accept(w->server, NULL, NULL);
        break;
    case 1:
        close_peer(p);
        if (usock_connect(w->path, p, &e) < 0)
            *p = -1;
        else
            (void)!send(*p, "CONNECT 1\n", 10, MSG_NOSIGNAL);
        break;
    case 2:
        if (*p >= 0)
            (void)!send(*p, bytes, take(in, 2), MSG_NOSIGNAL | MSG_DONTWAIT);
        break;
    case 3:
        if (*p >= 0)
            (void)!recv(*p, bytes, sizeof(bytes), MSG_DONTWAIT);
        break;
    case 4:
        if (*p >= 0)
            shutdown(*p, what & 0x80 ? SHUT_RD : SHUT_WR);
        break;
    case 5:
        fake_env_advance(&w->f, UINT64_C(6000000000));
        break;
    default:
        close_peer(p);
        break;
    }
    fake_env_run(&w->f);
}

static void step(struct world *w, struct input *in)
{
    uint32_t what = take(in, 1), at;
    static uint8_t payload[256];
    struct vmci_handle h;
    uint64_t v;

    switch (what & 7) {
    case 0:
        at = take(in, 1) % 64;
        fake_env_out(&w->f, w->bar[0] + (what & 8 ? at & ~3U : at), what & 8 ? 4 : 1, take(in, 1));
        break;
    case 1:
        for (at = take(in, 1) * 16; at; at--)
            (void)fake_env_in(&w->f, w->bar[0] + VMCI_DATA_IN_ADDR, 1);
        (void)fake_env_in(&w->f, w->bar[0] + (what >> 1 & 0x3c), 4);
        break;
    case 2:
        for (at = 0; at < what >> 3 << 3; at++)
            payload[at] = (uint8_t)take(in, 1);
        datagram(w, take(in, 1) & 3, take(in, 1) % 18, payload, at);
        break;
    case 3:
        control_packet(w, in);
        break;
    case 4:
        alloc(w, in);
        break;
    case 5:
        h = handle(take(in, 1));
        if (what & 8)
            datagram(w, 0, VMCI_QUEUEPAIR_DETACH, &h, sizeof(h));
        else
            take_memory(in, w->f.env.mem, PLAY);
        break;
    case 6: /* the places in the header of a queue */
        at = (take(in, 1) % 16) * 4096 + 8 + (what & 8);
        v = what & 0x10 ? take64(in, 8) : take(in, 2);
        if (gmem_write(w->f.env.mem, at, &v, 8) < 0)
            abort();
        break;
    default:
        event(w, in);
    }
    if (what & 0x80)
        fake_env_run(&w->f);
    if ((what & 0x67) == 0x60)
        fake_pci_write(&w->f, DEVFN, PCI_COMMAND, 2, take(in, 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = input_of(data, size);
    static struct world w;
    struct err e;

    snprintf(w.path, sizeof(w.path), "/tmp/fuzz-vmci-%d", (int)getpid());
    snprintf(w.port, sizeof(w.port), "%s_%d", w.path, PORT);
    for (unsigned i = 0; i < PEERS; i++)
        w.peer[i] = -1;
    fake_env_create(&w.f, 1 * MiB);
    if (usock_listen(w.port, &w.server, &e) < 0 || vmci_create(&w.f.env, CID, w.path, &e) < 0)
        abort();
    fake_pci_map(&w.f, DEVFN, w.bar);
    fake_env_out(&w.f, w.bar[0] + VMCI_CAPS_ADDR, 4, VMCI_CAPS_DATAGRAM | VMCI_CAPS_PPN64);
    fake_env_out(&w.f, w.bar[0] + VMCI_IMR_ADDR, 4, 3);
    fake_env_out(&w.f, w.bar[0] + VMCI_CONTROL_ADDR, 4, VMCI_CONTROL_INT_ENABLE);
    while (in.n)
        step(&w, &in);
    fake_env_run(&w.f);
    for (unsigned i = 0; i < PEERS; i++)
        close_peer(&w.peer[i]);
    fake_env_destroy(&w.f);
    usock_unlisten(w.server, w.port);
    return 0;
}
