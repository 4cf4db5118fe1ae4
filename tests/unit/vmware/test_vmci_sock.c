/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets over VMCI: a scripted guest on one side, unix sockets on the other. */
#include "unit.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/usock.h"
#include "fakes/fake_irqs.h"
#include "fakes/fake_pci.h"
#include "personas/vmware/vmci_priv.h"
#include "vmware/vmci_guest.h"

enum {
    INVALID = VMCI_TRANSPORT_PACKET_TYPE_INVALID,
    REQUEST = VMCI_TRANSPORT_PACKET_TYPE_REQUEST,
    NEGOTIATE = VMCI_TRANSPORT_PACKET_TYPE_NEGOTIATE,
    OFFER = VMCI_TRANSPORT_PACKET_TYPE_OFFER,
    ATTACH = VMCI_TRANSPORT_PACKET_TYPE_ATTACH,
    WROTE = VMCI_TRANSPORT_PACKET_TYPE_WROTE,
    READ = VMCI_TRANSPORT_PACKET_TYPE_READ,
    RST = VMCI_TRANSPORT_PACKET_TYPE_RST,
    SHUTDOWN = VMCI_TRANSPORT_PACKET_TYPE_SHUTDOWN,
    WAITING_WRITE = VMCI_TRANSPORT_PACKET_TYPE_WAITING_WRITE,
    WAITING_READ = VMCI_TRANSPORT_PACKET_TYPE_WAITING_READ,
    REQUEST2 = VMCI_TRANSPORT_PACKET_TYPE_REQUEST2,
    NEGOTIATE2 = VMCI_TRANSPORT_PACKET_TYPE_NEGOTIATE2,
};

static struct vmci_guest g;

static int setup(void **state)
{
    vg_create(&g);
    return 0;
}

static int teardown(void **state)
{
    vg_destroy(&g);
    return 0;
}

static void a_guest_reaches_a_program(void **state)
{
    uint8_t text[16];
    int fd;

    fd = vg_connect(&g);
    vg_write(&g, "question", 8);
    vg_packet(&g, WROTE, VG_PORT, VG_HOST_PORT, 0);
    vg_wants(&g, fd, "question");
    assert_int_equal(vg_room(&g), g.size - 1);
    assert_int_equal(send(fd, "answer", 6, 0), 6);
    assert_int_equal(vg_received(&g), WROTE);
    assert_int_equal(vg_read(&g, text, 16), 6);
    assert_memory_equal(text, "answer", 6);
    assert_int_equal(vg_received(&g), VG_NOTHING);
    vg_write(&g, "bye", 3); /* it closes, and says nothing */
    assert_int_equal(vg_detach(&g), VMCI_SUCCESS);
    vg_wants(&g, fd, "bye");
    vg_wants_end(&g, fd);
    close(fd);
    assert_int_equal(vg_detach(&g), VMCI_ERROR_NOT_FOUND);
}

static void a_program_reaches_the_guest(void **state)
{
    uint32_t host_port;
    uint8_t text[16];
    int fd;

    fd = vg_called(&g, "CONNECT 1024\nhello", &host_port);
    snprintf((char *)text, sizeof(text), "OK %u\n", host_port);
    vg_wants(&g, fd, (char *)text);
    assert_int_equal(vg_received(&g), WROTE); /* what followed the line */
    assert_int_equal(vg_read(&g, text, 16), 5);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    assert_int_equal(vg_received(&g), SHUTDOWN);
    assert_int_equal(le64_get(g.got.u.mode), SEND_SHUTDOWN);
    vg_write(&g, "rest", 4);
    vg_packet(&g, WROTE, VG_PORT, host_port, 0);
    vg_packet(&g, SHUTDOWN, VG_PORT, host_port, SEND_SHUTDOWN);
    vg_wants(&g, fd, "rest");
    vg_wants_end(&g, fd);
    assert_int_equal(vg_received(&g), SHUTDOWN);
    assert_int_equal(le64_get(g.got.u.mode), SEND_SHUTDOWN | RCV_SHUTDOWN);
    assert_int_equal(vg_received(&g), VG_EVENT);
    assert_int_equal(g.event, VMCI_EVENT_QP_PEER_DETACH);
    assert_int_equal(vg_detach(&g), VMCI_SUCCESS);
    vg_packet(&g, SHUTDOWN, VG_PORT, host_port, SEND_SHUTDOWN); /* nobody is there */
    assert_int_equal(vg_received(&g), RST);
    close(fd);
}

/* What comes behind the packet that says it may overtake it in the guest. */
static void a_guest_has_time_to_see_that_it_is_connected(void **state)
{
    struct vmci_handle own = {le32_of(VG_CID), le32_of(2000)};
    uint8_t text[16];

    for (int turn = 0; turn < 3; turn++) {
        int fd;

        vg_packet(&g, REQUEST2, VG_PORT, VG_HOST_PORT, g.size);
        assert_int_equal(vg_received(&g), NEGOTIATE2);
        fd = usock_accept(g.listener);
        assert_int_equal(send(fd, "at once", 7, 0), 7);
        assert_int_equal(vg_alloc(&g, own, 0, true), VMCI_SUCCESS_QUEUEPAIR_CREATE);
        vg_packet(&g, OFFER, VG_PORT, VG_HOST_PORT, vg_word(own));
        assert_int_equal(vg_received(&g), ATTACH);
        assert_int_equal(vg_received(&g), VG_EVENT);
        fake_env_run(&g.f);
        assert_int_equal(vg_ready(&g), 7);
        assert_int_equal(fake_irqs_take(&g.f.irqs, VG_VECTOR), 0);
        assert_int_equal(vg_received(&g), VG_NOTHING);
        if (turn == 0) {
            shutdown(fd, SHUT_WR);
            fake_env_run(&g.f);
            assert_int_equal(fake_irqs_take(&g.f.irqs, VG_VECTOR), 0);
            fake_env_advance(&g.f, UINT64_C(200000000));
        } else if (turn == 1) {
            vg_packet(&g, READ, VG_PORT, VG_HOST_PORT, 0); /* it speaks */
        } else {
            assert_int_equal(vg_read(&g, text, 7), 7);
            assert_int_equal(send(fd, "more", 4, 0), 4);
        }
        assert_int_equal(vg_received(&g), WROTE);
        if (turn == 0)
            assert_int_equal(vg_received(&g), SHUTDOWN);
        close(fd);
        assert_int_equal(vg_received(&g), SHUTDOWN);
        assert_int_equal(vg_received(&g), VG_EVENT);
        assert_int_equal(vg_detach(&g), VMCI_SUCCESS);
    }
}

static void nobody_there_is_told_by_a_reset(void **state)
{
    int fd;

    vg_packet(&g, REQUEST2, VG_PORT, VG_HOST_PORT + 1, g.size);
    assert_int_equal(vg_received(&g), RST);
    assert_int_equal(le32_get(g.got.src_port), VG_HOST_PORT + 1);
    assert_int_equal(le32_get(g.got.dg.src.context), VMCI_HOST_CONTEXT_ID);
    vg_packet(&g, WROTE, VG_PORT, VG_HOST_PORT, 0);
    assert_int_equal(vg_received(&g), RST);
    vg_packet(&g, RST, VG_PORT, VG_HOST_PORT, 0);
    assert_int_equal(vg_received(&g), VG_NOTHING);
    assert_int_equal(vg_packet_to(&g, VMCI_HYPERVISOR_CONTEXT_ID,
                                  VMCI_TRANSPORT_HYPERVISOR_PACKET_RID, REQUEST2, VG_PORT, 976,
                                  g.size),
                     sizeof(g.got));
    assert_int_equal(vg_received(&g), RST);
    assert_int_equal(le32_get(g.got.dg.src.context), VMCI_HYPERVISOR_CONTEXT_ID);
    assert_int_equal(le32_get(g.got.dg.src.resource), VMCI_TRANSPORT_HYPERVISOR_PACKET_RID);
    fd = vg_calls(&g, "CONNECT 1024\n");
    assert_int_equal(vg_received(&g), REQUEST2);
    vg_packet(&g, RST, VG_PORT, le32_get(g.got.src_port), 0);
    vg_wants_end(&g, fd);
    close(fd);
    fd = vg_calls(&g, "GET / HTTP/1.0\n");
    vg_wants_no_more(&g, fd);
    close(fd);
}

static void a_silent_guest_is_given_up(void **state)
{
    int fd;

    fd = vg_calls(&g, "CONNECT 1024\n");
    assert_int_equal(vg_received(&g), REQUEST2);
    fake_env_advance(&g.f, UINT64_C(6000000000));
    vg_wants_end(&g, fd);
    assert_int_equal(vg_received(&g), RST);
    close(fd);
    vg_put(&g, VMCI_CONTROL_ADDR, VMCI_CONTROL_INT_DISABLE); /* no driver */
    fd = vg_calls(&g, "CONNECT 1024\n");
    vg_wants_no_more(&g, fd);
    close(fd);
}

/* Bytes of a stream by their place in it. */
static uint8_t nth(size_t i)
{
    return (uint8_t)(i * 7 + i / 251);
}

/* A guest that sleeps over an empty queue is woken, and says so when it has read from a full one.
 */
static void a_slow_guest_holds_the_program(void **state)
{
    size_t sent = 0, read = 0, total = 600000;
    unsigned sleeps = 0;
    bool awake = true;
    int fd, type;

    g.size = 5000; /* the last page is not whole */
    fd = vg_connect(&g);
    while (read < total) {
        uint8_t piece[1700];
        uint32_t n;
        ssize_t k;
        bool full;

        for (n = 0; n < sizeof(piece) && sent + n < total; n++)
            piece[n] = nth(sent + n);
        k = sent % 3 ? send(fd, piece, n, MSG_DONTWAIT) : send(fd, piece, n / 2, MSG_DONTWAIT);
        sent += k > 0 ? (size_t)k : 0;
        while ((type = vg_received(&g)) != VG_NOTHING) {
            assert_int_equal(type, WROTE);
            awake = true;
        }
        assert_true(awake);
        full = vg_ready(&g) == g.size - 1;
        n = vg_read(&g, piece, sizeof(piece));
        for (uint32_t i = 0; i < n; i++)
            assert_int_equal(piece[i], nth(read + i));
        read += n;
        if (full)
            vg_packet(&g, READ, VG_PORT, VG_HOST_PORT, 0);
        awake = vg_ready(&g) != 0;
        sleeps += !awake;
    }
    assert_true(sleeps > 10);
    close(fd);
}

/* Writes as Linux does: it tells only when the queue was empty. true: it has told. */
static bool guest_sends(const uint8_t *p, uint32_t n)
{
    vg_write(&g, p, n);
    if (g.size - 1 - vg_room(&g) != n)
        return false;
    vg_packet(&g, WROTE, VG_PORT, VG_HOST_PORT, 0);
    return true;
}

static void a_slow_program_holds_the_guest(void **state)
{
    static uint8_t piece[65536];
    size_t sent = 0, got_bytes = 0, total = 700000;
    unsigned reads = 0;
    bool full = false;
    int fd;

    fd = vg_connect(&g);
    while (got_bytes < total) {
        uint32_t n = full ? 0 : (uint32_t)min_u64(vg_room(&g), total - sent);
        int type;
        ssize_t k;

        for (uint32_t i = 0; i < n; i++)
            piece[i] = nth(sent + i);
        if (n) {
            (void)guest_sends(piece, n);
            sent += n;
            full = vg_room(&g) == 0; /* the guest sleeps until it is told */
            fake_env_advance(&g.f, sent % 5 * 400000);
        }
        while ((type = vg_received(&g)) != VG_NOTHING) {
            assert_int_equal(type, READ);
            reads++;
            full = false;
        }
        if (!full && sent < total)
            continue;
        k = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);
        if (k < 0) {
            fake_env_advance(&g.f, 500000);
            k = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);
        }
        assert_true(k > 0); /* the guest sleeps and the program has nothing: a wake-up was lost */
        for (ssize_t i = 0; i < k; i++)
            assert_int_equal(piece[i], nth(got_bytes + (size_t)i));
        got_bytes += (size_t)k;
        fake_env_run(&g.f);
    }
    assert_true(reads > 0);
    close(fd);
}

static size_t program_has(int fd)
{
    static uint8_t piece[65536];
    ssize_t n;
    size_t all = 0;

    fake_env_run(&g.f);
    while ((n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT)) > 0)
        all += (size_t)n;
    return all;
}

static void a_guest_that_sends_much_need_not_tell(void **state)
{
    static const uint8_t piece[4096];
    int fd = vg_connect(&g);

    assert_true(guest_sends(piece, 4096));
    assert_true(guest_sends(piece, 4096)); /* the second within 20 ms: more will come */
    assert_int_equal(program_has(fd), 8192);
    for (int i = 0; i < 10; i++) {
        assert_false(guest_sends(piece, 4096));
        assert_int_equal(program_has(fd), 0);
        fake_env_advance(&g.f, 500000);
        assert_int_equal(program_has(fd), 4096);
    }
    for (int i = 0; i < 4; i++)
        fake_env_advance(&g.f, 500000);
    assert_true(guest_sends(piece, 4096)); /* it was silent for a while */
    assert_int_equal(program_has(fd), 4096);
    for (int i = 0; i < 5; i++)
        fake_env_advance(&g.f, 10000000);
    for (int i = 0; i < 5; i++)
        assert_true(guest_sends(piece, 10)); /* questions, not a stream */
    assert_int_equal(program_has(fd), 50);
    close(fd);
}

/* A guest that fills its queue while the loop looks by itself is told of the room. */
static void a_guest_that_fills_its_queue_unasked_is_woken(void **state)
{
    static const uint8_t piece[VG_SIZE];
    int fd = vg_connect(&g);

    assert_true(guest_sends(piece, 4096));
    assert_true(guest_sends(piece, 4096));
    assert_int_equal(vg_room(&g), g.size - 2); /* a byte that was taken is still shown */
    assert_false(guest_sends(piece, g.size - 2));
    fake_env_advance(&g.f, 500000);
    assert_int_equal(vg_received(&g), READ);
    assert_int_equal(program_has(fd), 8192 + g.size - 2);
    for (int i = 0; i < 3; i++)
        fake_env_advance(&g.f, 500000);
    assert_false(guest_sends(piece, g.size - 2)); /* just before the loop stops looking */
    fake_env_advance(&g.f, 500000);
    assert_int_equal(vg_received(&g), READ);
    assert_int_equal(program_has(fd), g.size - 2);
    vg_packet(&g, SHUTDOWN, VG_PORT, VG_HOST_PORT, SEND_SHUTDOWN);
    vg_wants_end(&g, fd);
    close(fd);
}

/* A guest that closes while the program reads slowly loses nothing. */
static void what_a_closed_guest_has_sent_arrives(void **state)
{
    static uint8_t piece[VMCI_QUEUE_MAX];
    size_t sent = 0, got_bytes = 0;
    ssize_t k;
    int fd;

    g.size = VMCI_QUEUE_MAX;
    fd = vg_connect(&g);
    for (unsigned turn = 0; turn < 4; turn++) {
        uint32_t n = vg_room(&g);

        for (uint32_t i = 0; i < n; i++)
            piece[i] = nth(sent + i);
        vg_write(&g, piece, n);
        sent += n;
        vg_packet(&g, WROTE, VG_PORT, VG_HOST_PORT, 0);
    }
    assert_int_not_equal(vg_room(&g), g.size - 1); /* the socket is full */
    assert_int_equal(vg_detach(&g), VMCI_SUCCESS);
    memset(vg_ram(&g, VG_QUEUES, 4096), 0xee, 4096);
    while ((k = recv(fd, piece, sizeof(piece), MSG_DONTWAIT)) > 0) {
        for (ssize_t i = 0; i < k; i++)
            assert_int_equal(piece[i], nth(got_bytes + (size_t)i));
        got_bytes += (size_t)k;
        fake_env_run(&g.f);
    }
    assert_int_equal(k, 0);
    assert_int_equal(got_bytes, sent);
    close(fd);
}

/* A program that says something and closes, while the guest sends. */
static void what_a_closed_program_has_sent_arrives(void **state)
{
    uint8_t text[16];
    int fd;

    fd = vg_connect(&g);
    assert_int_equal(send(fd, "last words", 10, 0), 10);
    vg_write(&g, "unheard", 7);
    close(fd);
    vg_packet(&g, WROTE, VG_PORT, VG_HOST_PORT, 0);
    assert_int_equal(vg_received(&g), WROTE);
    assert_int_equal(vg_read(&g, text, 16), 10);
    assert_memory_equal(text, "last words", 10);
    assert_int_equal(vg_received(&g), SHUTDOWN);
    assert_int_equal(le64_get(g.got.u.mode), SEND_SHUTDOWN | RCV_SHUTDOWN);
    assert_int_equal(vg_detach(&g), VMCI_SUCCESS);
}

static void places_outside_a_queue_end_the_connection(void **state)
{
    int fd;

    fd = vg_connect(&g);
    shared_store64(&vg_header(&g, false)->producer_tail, g.size);
    vg_packet(&g, WROTE, VG_PORT, VG_HOST_PORT, 0);
    assert_int_equal(vg_received(&g), RST);
    vg_wants_end(&g, fd);
    close(fd);
    assert_int_equal(vg_detach(&g), VMCI_SUCCESS);
    fd = vg_connect(&g);
    shared_store64(&vg_header(&g, false)->consumer_head, UINT64_MAX);
    assert_int_equal(send(fd, "x", 1, 0), 1);
    assert_int_equal(vg_received(&g), RST);
    vg_wants_no_more(&g, fd);
    close(fd);
}

static void another_size_than_agreed_is_refused(void **state)
{
    struct vmci_handle own = {le32_of(VG_CID), le32_of(2000)};
    int fd;

    vg_packet(&g, REQUEST2, VG_PORT, VG_HOST_PORT, g.size);
    assert_int_equal(vg_received(&g), NEGOTIATE2);
    g.size = 4096;
    assert_int_equal(vg_alloc(&g, own, 0, true), VMCI_SUCCESS_QUEUEPAIR_CREATE);
    vg_packet(&g, OFFER, VG_PORT, VG_HOST_PORT, vg_word(own));
    assert_int_equal(vg_received(&g), RST);
    fd = vg_calls(&g, "CONNECT 1024\n");
    assert_int_equal(vg_received(&g), REQUEST2);
    vg_packet(&g, NEGOTIATE2, VG_PORT, le32_get(g.got.src_port), VG_SIZE);
    assert_int_equal(vg_received(&g), OFFER);
    assert_int_equal(vg_alloc(&g, g.got.u.handle, VMCI_QPFLAG_ATTACH_ONLY, true),
                     VMCI_ERROR_QUEUEPAIR_MISMATCH);
    close(fd);
    vg_packet(&g, REQUEST2, VG_PORT, VG_HOST_PORT, UINT64_MAX); /* more than there can be */
    assert_int_equal(vg_received(&g), NEGOTIATE2);
    assert_int_equal(le64_get(g.got.u.size), VMCI_QUEUE_MAX);
}

/* What is in the pages of the queue that the host writes. */
static void wants_untouched(void)
{
    const uint8_t *p = vg_ram(&g, VG_QUEUES + 4 * 4096, VG_SIZE);

    for (unsigned i = 0; i < VG_SIZE; i++)
        assert_int_equal(p[i], 0x55);
}

/* Another kernel starts in the same machine: the first one has switched mastering off. */
static void a_driver_that_starts_finds_nothing_left(void **state)
{
    int fd, waiting;

    fd = vg_connect(&g);
    waiting = vg_calls(&g, "CONNECT 1024\n");
    memset(vg_ram(&g, VG_QUEUES + 4 * 4096, VG_SIZE), 0x55, VG_SIZE);
    fake_pci_write(&g.f, VG_DEVFN, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
    (void)send(fd, "late", 4, MSG_NOSIGNAL);
    fake_pci_write(&g.f, VG_DEVFN, PCI_COMMAND, 2,
                   PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    vg_wants_no_more(&g, fd);
    wants_untouched();
    vg_driver(&g, VMCI_CAPS_DATAGRAM);
    vg_wants_end(&g, waiting);
    assert_int_equal(vg_detach(&g), VMCI_ERROR_NOT_FOUND);
    wants_untouched();
    close(fd);
    close(waiting);
    fake_irqs_take(&g.f.irqs, VG_VECTOR);
    vg_packet(&g, REQUEST2, VG_PORT, VG_HOST_PORT, g.size);
    assert_int_equal(vg_received(&g), NEGOTIATE2);
    assert_int_equal(vg_alloc(&g, g.pair, 0, false), VMCI_SUCCESS_QUEUEPAIR_CREATE);
    vg_packet(&g, OFFER, VG_PORT, VG_HOST_PORT, vg_word(g.pair));
    assert_int_equal(vg_received(&g), ATTACH);
}

static void without_mastering_there_are_no_queues(void **state)
{
    struct vmci_handle own = {le32_of(VG_CID), le32_of(2000)};

    fake_pci_write(&g.f, VG_DEVFN, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
    assert_int_equal(vg_alloc(&g, own, 0, true), VMCI_ERROR_UNAVAILABLE);
}

static void what_was_sent_before_a_reset_arrives(void **state)
{
    int fd = vg_connect(&g);

    vg_write(&g, "tail", 4);
    vg_packet(&g, RST, VG_PORT, VG_HOST_PORT, 0);
    vg_wants(&g, fd, "tail");
    vg_wants_end(&g, fd);
    close(fd);
    assert_int_equal(vg_detach(&g), VMCI_SUCCESS);
}

static void a_reset_ends_connections(void **state)
{
    int fd;

    fd = vg_connect(&g);
    pci_bus_reset(g.f.env.pci);
    vg_wants_end(&g, fd);
    close(fd);
}

/* The first form of the protocol: who waits says so, and only then is told. */
static void old_drivers_say_that_they_wait(void **state)
{
    struct vmci_handle own = {le32_of(VG_CID), le32_of(2000)};
    static uint8_t piece[VG_SIZE];
    int fd;

    vg_packet(&g, REQUEST, VG_PORT, VG_HOST_PORT, g.size);
    assert_int_equal(vg_received(&g), NEGOTIATE);
    assert_int_equal(vg_alloc(&g, own, 0, true), VMCI_SUCCESS_QUEUEPAIR_CREATE);
    vg_packet(&g, OFFER, VG_PORT, VG_HOST_PORT, vg_word(own));
    assert_int_equal(vg_received(&g), ATTACH);
    assert_int_equal(vg_received(&g), VG_EVENT);
    assert_int_equal(vg_received(&g), VG_NOTHING);
    fake_env_advance(&g.f, UINT64_C(200000000));
    assert_int_equal(vg_received(&g), WAITING_READ); /* the host does */
    assert_int_equal(le64_get(g.got.u.wait.generation), 0);
    assert_int_equal(le64_get(g.got.u.wait.offset), 1);
    fd = usock_accept(g.listener);
    assert_true(fd >= 0);
    assert_int_equal(send(fd, "a", 1, 0), 1);
    assert_int_equal(vg_received(&g), VG_NOTHING); /* the guest does not wait */
    vg_packet(&g, WAITING_READ, VG_PORT, VG_HOST_PORT, 0);
    assert_int_equal(vg_received(&g), WROTE);
    assert_int_equal(vg_read(&g, piece, 1), 1);
    vg_packet(&g, WAITING_READ, VG_PORT, VG_HOST_PORT, 0);
    assert_int_equal(vg_received(&g), VG_NOTHING);
    assert_int_equal(send(fd, piece, VG_SIZE - 1, 0), VG_SIZE - 1);
    assert_int_equal(vg_received(&g), WAITING_WRITE); /* it is full, which the host says first */
    assert_int_equal(vg_received(&g), WROTE);
    assert_int_equal(vg_read(&g, piece, 100), 100);
    vg_packet(&g, READ, VG_PORT, VG_HOST_PORT, 0);
    vg_write(&g, "b", 1);
    vg_packet(&g, WROTE, VG_PORT, VG_HOST_PORT, 0);
    vg_wants(&g, fd, "b");
    vg_packet(&g, WAITING_WRITE, VG_PORT, VG_HOST_PORT, 0);
    assert_int_equal(vg_received(&g), WAITING_READ);
    assert_int_equal(vg_received(&g), READ);
    close(fd);
}

static void a_guest_that_knows_the_first_form_is_asked_again(void **state)
{
    int fd;

    fd = vg_calls(&g, "CONNECT 1024\n");
    assert_int_equal(vg_received(&g), REQUEST2);
    vg_packet(&g, INVALID, VG_PORT, le32_get(g.got.src_port), 0);
    assert_int_equal(vg_received(&g), REQUEST);
    assert_int_equal(le16_get(g.got.proto), VSOCK_PROTO_INVALID);
    vg_packet(&g, NEGOTIATE, VG_PORT, le32_get(g.got.src_port), g.size);
    assert_int_equal(vg_received(&g), OFFER);
    close(fd);
}

static void connections_are_bounded(void **state)
{
    for (uint32_t i = 0; i < VMCI_CONNS; i++)
        assert_int_equal(vg_packet_to(&g, VMCI_HOST_CONTEXT_ID, VMCI_TRANSPORT_PACKET_RID, REQUEST2,
                                      i, VG_HOST_PORT + 1, g.size),
                         sizeof(g.got)); /* the loop has not run: they are all there */
    vg_packet(&g, REQUEST2, 5000, VG_HOST_PORT + 1, g.size);
    assert_int_equal(vg_received(&g), RST);
    assert_int_equal(le32_get(g.got.dst_port), 5000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_guest_reaches_a_program),
        TEST(a_program_reaches_the_guest),
        TEST(a_guest_has_time_to_see_that_it_is_connected),
        TEST(nobody_there_is_told_by_a_reset),
        TEST(a_silent_guest_is_given_up),
        TEST(a_slow_guest_holds_the_program),
        TEST(a_slow_program_holds_the_guest),
        TEST(a_guest_that_sends_much_need_not_tell),
        TEST(a_guest_that_fills_its_queue_unasked_is_woken),
        TEST(what_a_closed_guest_has_sent_arrives),
        TEST(what_a_closed_program_has_sent_arrives),
        TEST(places_outside_a_queue_end_the_connection),
        TEST(another_size_than_agreed_is_refused),
        TEST(a_driver_that_starts_finds_nothing_left),
        TEST(without_mastering_there_are_no_queues),
        TEST(what_was_sent_before_a_reset_arrives),
        TEST(a_reset_ends_connections),
        TEST(old_drivers_say_that_they_wait),
        TEST(a_guest_that_knows_the_first_form_is_asked_again),
        TEST(connections_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
