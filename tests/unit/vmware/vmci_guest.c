/* SPDX-License-Identifier: Apache-2.0 */
/* vmci_guest.c - see vmci_guest.h. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/err.h"
#include "core/gmem.h"
#include "core/usock.h"
#include "fakes/fake_irqs.h"
#include "fakes/fake_pci.h"
#include "personas/vmware/vmci_priv.h"
#include "vmware/vmci_guest.h"

/* --- registers --- */

void vg_put(struct vmci_guest *g, unsigned reg, uint32_t v)
{
    fake_env_out(&g->f, g->bar[0] + reg, 4, v);
}

uint32_t vg_get(struct vmci_guest *g, unsigned reg)
{
    return (uint32_t)fake_env_in(&g->f, g->bar[0] + reg, 4);
}

int32_t vg_datagram(struct vmci_guest *g, uint32_t context, uint32_t resource, const void *payload,
                    size_t n)
{
    struct vmci_datagram h = {.dst = {le32_of(context), le32_of(resource)},
                              .src = {le32_of(VMCI_INVALID_ID), le32_of(VMCI_INVALID_ID)},
                              .payload_size = le64_of(n)};

    for (size_t i = 0; i < sizeof(h); i++)
        fake_env_out(&g->f, g->bar[0] + VMCI_DATA_OUT_ADDR, 1, ((uint8_t *)&h)[i]);
    for (size_t i = 0; i < n; i++)
        fake_env_out(&g->f, g->bar[0] + VMCI_DATA_OUT_ADDR, 1, ((const uint8_t *)payload)[i]);
    return (int32_t)vg_get(g, VMCI_RESULT_LOW_ADDR);
}

int32_t vg_call(struct vmci_guest *g, uint32_t what, const void *payload, size_t n)
{
    return vg_datagram(g, VMCI_HYPERVISOR_CONTEXT_ID, what, payload, n);
}

void vg_driver(struct vmci_guest *g, uint32_t caps)
{
    le64 ppn = le64_of(VG_BITMAP / 4096);

    vg_put(g, VMCI_CAPS_ADDR, caps);
    assert_int_equal(vg_call(g, VMCI_SET_NOTIFY_BITMAP, &ppn, sizeof(ppn)), VMCI_SUCCESS);
    vg_put(g, VMCI_IMR_ADDR, VMCI_ICR_DATAGRAM | VMCI_ICR_NOTIFICATION);
    vg_put(g, VMCI_CONTROL_ADDR, VMCI_CONTROL_INT_ENABLE);
    fake_env_run(&g->f);
    g->page_at = VMCI_PAGE_SIZE;
}

/* --- packets --- */

int32_t vg_packet_to(struct vmci_guest *g, uint32_t context, uint32_t resource, uint8_t type,
                     uint32_t guest_port, uint32_t host_port, uint64_t word)
{
    struct vmci_transport_packet p = {
        .version = VMCI_TRANSPORT_PACKET_VERSION,
        .type = type,
        .proto = le16_of(type == VMCI_TRANSPORT_PACKET_TYPE_REQUEST2 ||
                                 type == VMCI_TRANSPORT_PACKET_TYPE_NEGOTIATE2
                             ? VSOCK_PROTO_PKT_ON_NOTIFY
                             : 0),
        .src_port = le32_of(guest_port),
        .dst_port = le32_of(host_port),
        .u.size = le64_of(word),
    };

    return vg_datagram(g, context, resource, (uint8_t *)&p + sizeof(p.dg),
                       sizeof(p) - sizeof(p.dg));
}

void vg_packet(struct vmci_guest *g, uint8_t type, uint32_t guest_port, uint32_t host_port,
               uint64_t word)
{
    assert_int_equal(vg_packet_to(g, VMCI_HOST_CONTEXT_ID, VMCI_TRANSPORT_PACKET_RID, type,
                                  guest_port, host_port, word),
                     sizeof(struct vmci_transport_packet));
    fake_env_run(&g->f);
}

uint64_t vg_word(struct vmci_handle h)
{
    return le32_get(h.context) | (uint64_t)le32_get(h.resource) << 32;
}

void vg_read_page(struct vmci_guest *g)
{
    for (unsigned i = 0; i < VMCI_PAGE_SIZE; i++)
        g->page[i] = (uint8_t)fake_env_in(&g->f, g->bar[0] + VMCI_DATA_IN_ADDR, 1);
    g->page_at = 0;
}

/* The next datagram in the page: its type; VG_NOTHING behind the last. */
int vg_in_page(struct vmci_guest *g)
{
    struct vmci_datagram h;
    size_t n;

    if (g->page_at + sizeof(h) > VMCI_PAGE_SIZE ||
        le32_at(g->page + g->page_at + 4) == VMCI_INVALID_ID)
        return VG_NOTHING;
    memcpy(&h, g->page + g->page_at, sizeof(h));
    n = sizeof(h) + le64_get(h.payload_size);
    assert_true(g->page_at + n <= VMCI_PAGE_SIZE);
    assert_int_equal(le32_get(h.dst.context), VG_CID);
    if (le32_get(h.dst.resource) == VMCI_EVENT_HANDLER) {
        assert_int_equal(n, sizeof(struct vmci_event_qp));
        g->event = le32_at(g->page + g->page_at + sizeof(h));
        g->page_at += n;
        return VG_EVENT;
    }
    assert_int_equal(le32_get(h.dst.resource), VMCI_TRANSPORT_PACKET_RID);
    assert_int_equal(n, sizeof(g->got));
    memcpy(&g->got, g->page + g->page_at, n);
    g->page_at += n;
    assert_int_equal(g->got.version, VMCI_TRANSPORT_PACKET_VERSION);
    return g->got.type;
}

/* The next datagram for the guest, read as its driver does: after an interrupt. */
int vg_received(struct vmci_guest *g)
{
    int type = vg_in_page(g);

    fake_env_run(&g->f);
    if (type != VG_NOTHING || !fake_irqs_take(&g->f.irqs, VG_VECTOR))
        return type;
    vg_read_page(g);
    return vg_in_page(g);
}

/* --- a queue pair --- */

void *vg_ram(struct vmci_guest *g, gpa_t at, size_t n)
{
    void *p = gmem_shared(g->f.env.mem, at, n);

    assert_non_null(p);
    return p;
}

static uint32_t queue_pages(const struct vmci_guest *g)
{
    return (g->size + 4095) / 4096 + 1;
}

struct vmci_queue_header *vg_header(struct vmci_guest *g, bool consume)
{
    return (void *)vg_ram(g, VG_QUEUES + (consume ? queue_pages(g) * 4096 : 0), 4096);
}

int32_t vg_alloc(struct vmci_guest *g, struct vmci_handle handle, uint32_t flags, bool wide)
{
    static uint8_t m[40 + 8 * 200];
    uint32_t n = 2 * queue_pages(g);
    struct vmci_qp_alloc_msg a = {.handle = handle,
                                  .peer = le32_of(VMCI_HOST_CONTEXT_ID),
                                  .flags = le32_of(flags),
                                  .produce_size = le64_of(g->size),
                                  .consume_size = le64_of(g->size),
                                  .num_ppns = le64_of(n)};

    memcpy(m, &a, sizeof(a));
    for (uint32_t i = 0; i < n; i++) {
        if (wide)
            le64_put(m + sizeof(a) + 8 * (size_t)i, VG_QUEUES / 4096 + i);
        else
            le32_put(m + sizeof(a) + 4 * (size_t)i, VG_QUEUES / 4096 + i);
    }
    g->pair = handle;
    return vg_call(g, VMCI_QUEUEPAIR_ALLOC, m, sizeof(a) + (wide ? 8 : 4) * (size_t)n);
}

int32_t vg_detach(struct vmci_guest *g)
{
    int32_t rc = vg_call(g, VMCI_QUEUEPAIR_DETACH, &g->pair, sizeof(g->pair));

    fake_env_run(&g->f);
    return rc;
}

/* The guest's places are in the header of the queue that it writes. */
void vg_write(struct vmci_guest *g, const void *text, uint32_t n)
{
    struct vmci_queue_header *h = vg_header(g, false);
    uint64_t tail = le64_get(h->producer_tail);

    for (uint32_t i = 0; i < n; i++, tail = (tail + 1) % g->size)
        *(uint8_t *)vg_ram(g, VG_QUEUES + 4096 + tail, 1) = ((const uint8_t *)text)[i];
    shared_store64(&h->producer_tail, tail);
}

uint32_t vg_ready(struct vmci_guest *g)
{
    return (uint32_t)((le64_get(vg_header(g, true)->producer_tail) + g->size -
                       le64_get(vg_header(g, false)->consumer_head)) %
                      g->size);
}

uint32_t vg_read(struct vmci_guest *g, uint8_t *to, uint32_t most)
{
    uint32_t n = (uint32_t)min_u64(vg_ready(g), most);
    uint64_t head = le64_get(vg_header(g, false)->consumer_head);

    for (uint32_t i = 0; i < n; i++, head = (head + 1) % g->size)
        to[i] = *(uint8_t *)vg_ram(g, VG_QUEUES + (queue_pages(g) + 1) * 4096 + head, 1);
    shared_store64(&vg_header(g, false)->consumer_head, head);
    return n;
}

uint32_t vg_room(struct vmci_guest *g)
{
    return g->size - 1 -
           (uint32_t)((le64_get(vg_header(g, false)->producer_tail) + g->size -
                       le64_get(vg_header(g, true)->consumer_head)) %
                      g->size);
}

/* --- both sides --- */

/* The guest connects to VG_HOST_PORT; the program's end of it. */
int vg_connect(struct vmci_guest *g)
{
    struct vmci_handle own = {le32_of(VG_CID), le32_of(2000)};
    int fd;

    vg_packet(g, VMCI_TRANSPORT_PACKET_TYPE_REQUEST2, VG_PORT, VG_HOST_PORT, g->size);
    assert_int_equal(vg_received(g), VMCI_TRANSPORT_PACKET_TYPE_NEGOTIATE2);
    assert_int_equal(le32_get(g->got.src_port), VG_HOST_PORT);
    assert_int_equal(le32_get(g->got.dst_port), VG_PORT);
    assert_int_equal(le64_get(g->got.u.size), g->size);
    assert_int_equal(le16_get(g->got.proto), VSOCK_PROTO_PKT_ON_NOTIFY);
    assert_int_equal(vg_alloc(g, own, 0, true), VMCI_SUCCESS_QUEUEPAIR_CREATE);
    vg_packet(g, VMCI_TRANSPORT_PACKET_TYPE_OFFER, VG_PORT, VG_HOST_PORT, vg_word(own));
    assert_int_equal(vg_received(g), VMCI_TRANSPORT_PACKET_TYPE_ATTACH);
    assert_memory_equal(&g->got.u.handle, &own, sizeof(own));
    assert_int_equal(vg_received(g), VG_EVENT);
    assert_int_equal(g->event, VMCI_EVENT_QP_PEER_ATTACH);
    fd = usock_accept(g->listener);
    assert_true(fd >= 0);
    fake_env_run(&g->f);
    fake_env_advance(&g->f, UINT64_C(200000000)); /* it has understood */
    return fd;
}

int vg_calls(struct vmci_guest *g, const char *line)
{
    struct err e = {0};
    int fd;

    assert_int_equal(usock_connect(g->path, &fd, &e), 0);
    assert_int_equal(send(fd, line, strlen(line), MSG_NOSIGNAL), strlen(line));
    fake_env_run(&g->f);
    return fd;
}

/* A program connects to VG_PORT; its end of it. */
int vg_called(struct vmci_guest *g, const char *line, uint32_t *host_port)
{
    int fd = vg_calls(g, line);

    assert_int_equal(vg_received(g), VMCI_TRANSPORT_PACKET_TYPE_REQUEST2);
    *host_port = le32_get(g->got.src_port);
    assert_int_equal(le32_get(g->got.dst_port), VG_PORT);
    assert_int_equal(le64_get(g->got.u.size), VMCI_QUEUE_MAX);
    vg_packet(g, VMCI_TRANSPORT_PACKET_TYPE_NEGOTIATE2, VG_PORT, *host_port, g->size);
    assert_int_equal(vg_received(g), VMCI_TRANSPORT_PACKET_TYPE_OFFER);
    assert_int_equal(le32_get(g->got.u.handle.context), VMCI_HOST_CONTEXT_ID);
    assert_int_equal(vg_alloc(g, g->got.u.handle, VMCI_QPFLAG_ATTACH_ONLY, true),
                     VMCI_SUCCESS_QUEUEPAIR_ATTACH);
    vg_packet(g, VMCI_TRANSPORT_PACKET_TYPE_ATTACH, VG_PORT, *host_port, vg_word(g->pair));
    return fd;
}

void vg_wants(struct vmci_guest *g, int fd, const char *text)
{
    char buf[64];

    fake_env_run(&g->f);
    assert_int_equal(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), strlen(text));
    assert_memory_equal(buf, text, strlen(text));
}

void vg_wants_end(struct vmci_guest *g, int fd)
{
    char c;

    fake_env_run(&g->f);
    assert_int_equal(recv(fd, &c, 1, MSG_DONTWAIT), 0);
}

void vg_wants_no_more(struct vmci_guest *g, int fd)
{
    char c;

    fake_env_run(&g->f);
    assert_true(recv(fd, &c, 1, MSG_DONTWAIT) <= 0);
}

/* --- life --- */

void vg_create(struct vmci_guest *g)
{
    struct err e = {0};

    memset(g, 0, sizeof(*g));
    g->size = VG_SIZE;
    strcpy(g->dir, "/tmp/vmci-XXXXXX");
    assert_non_null(mkdtemp(g->dir));
    snprintf(g->path, sizeof(g->path), "%s/s", g->dir);
    snprintf(g->port_path, sizeof(g->port_path), "%s_%u", g->path, VG_HOST_PORT);
    fake_env_create(&g->f, 16 * MiB);
    assert_int_equal(vmci_create(&g->f.env, VG_CID, g->path, &e), 0);
    assert_int_equal(fake_pci_read(&g->f, VG_DEVFN, PCI_VENDOR_ID, 4), 0x074015ad);
    fake_pci_map(&g->f, VG_DEVFN, g->bar);
    assert_int_equal(fake_pci_msix(&g->f, VG_DEVFN, g->bar, VG_VECTOR), VMCI_MAX_INTRS);
    vg_driver(g, VMCI_CAPS_DATAGRAM | VMCI_CAPS_NOTIFICATIONS | VMCI_CAPS_PPN64);
    assert_int_equal(usock_listen(g->port_path, &g->listener, &e), 0);
}

void vg_destroy(struct vmci_guest *g)
{
    usock_unlisten(g->listener, g->port_path);
    fake_env_run(&g->f);
    fake_env_destroy(&g->f);
    assert_int_equal(rmdir(g->dir), 0);
}
