/* SPDX-License-Identifier: Apache-2.0 */
/* Guest sockets: connections from either side, data, ends, and guests that do not listen. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/err.h"
#include "core/usock.h"
#include "hyperv/hvguest.h"
#include "personas/hyperv/hvsock.h"

static struct hvguest g;
static struct hvsock *dut;
static char dir[64], path[80];
static struct hv_packet p;
static uint8_t message[HV_MESSAGE_PAYLOAD];

static int setup(void **state)
{
    struct hv_offer offer[2];
    struct err e = {0};

    snprintf(dir, sizeof(dir), "/tmp/hvsock-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/s", dir);
    hv_create(&g, VERSION_COPPER);
    assert_int_equal(hvsock_create(g.bus, path, &dut, &e), 0);
    assert_true(hv_contact(&g, VERSION_WIN10_V5_3));
    assert_int_equal(hv_offers(&g, offer, 2), 0);
    return 0;
}

static int teardown(void **state)
{
    hvsock_destroy(dut);
    hv_destroy(&g);
    assert_int_equal(rmdir(dir), 0);
    return 0;
}

/* Connects from the host and gets the guest's offer. */
static uint32_t call(int *fd, const char *line)
{
    struct err e = {0};

    assert_int_equal(usock_connect(path, fd, &e), 0);
    assert_int_equal(write(*fd, line, strlen(line)), strlen(line));
    fake_env_run(&g.f);
    if (hv_message(&g, message) != CHANNELMSG_OFFERCHANNEL)
        return 0;
    return le32_at(message + 184);
}

static void say(uint32_t relid, const char *text)
{
    uint8_t m[64] = {1};
    size_t n = strlen(text);

    m[4] = (uint8_t)n;
    memcpy(m + 8, text, n);
    hv_put(&g, relid, VM_PKT_DATA_INBAND, 0, 0, NULL, 0, m, 8 + n);
    fake_env_run(&g.f);
}

static void the_host_reaches_a_port_of_the_guest(void **state)
{
    char text[64];
    uint32_t relid;
    int fd;

    relid = call(&fd, "CONNECT 5000\nhello");
    assert_int_not_equal(relid, 0);
    assert_int_equal(le32_at(message + 8), 5000);
    assert_int_equal(le16_at(message + 12), 0xfacb);
    assert_true(le16_at(message + 56) & VMBUS_CHANNEL_TLNPI_PROVIDER_OFFER);
    assert_int_equal(message[60 + 4], 1);
    assert_int_equal(hv_open(&g, relid, 0), 0);
    fake_env_run(&g.f);
    assert_int_equal(read(fd, text, sizeof(text)), 8);
    assert_memory_equal(text, "OK 5000\n", 8);
    assert_true(hv_get(&g, relid, &p)); /* what followed the line */
    assert_int_equal(le32_at(p.data + 4), 5);
    assert_memory_equal(p.data + 8, "hello", 5);
    say(relid, "world");
    assert_int_equal(read(fd, text, sizeof(text)), 5);
    say(relid, ""); /* the guest has said all */
    assert_int_equal(read(fd, text, sizeof(text)), 0);
    close(fd);
    fake_env_run(&g.f);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le32_at(p.data + 4), 0);
    assert_int_equal(hv_message(&g, message), CHANNELMSG_RESCIND_CHANNELOFFER);
}

static void a_guest_that_does_not_listen_is_given_up(void **state)
{
    char text[8];
    int fd;

    assert_int_not_equal(call(&fd, "CONNECT 1\n"), 0);
    fake_env_advance(&g.f, UINT64_C(6000000000));
    assert_int_equal(hv_message(&g, message), CHANNELMSG_RESCIND_CHANNELOFFER);
    assert_int_equal(read(fd, text, sizeof(text)), 0);
    close(fd);
    assert_int_equal(call(&fd, "GET / HTTP/1.0\n"), 0);
    close(fd);
    assert_int_equal(call(&fd, "CONNECT 99999999999999999999999999999999999\n"), 0);
    close(fd);
}

static void the_guest_reaches_a_listener_of_the_host(void **state)
{
    struct vmbus_channel_tl_connect_request m = {
        .header.msgtype = le32_of(CHANNELMSG_TL_CONNECT_REQUEST),
        .guest_endpoint_id = {1, 2, 3},
        .host_service_id =
            WIRE_GUID(700, 0xfacb, 0x11e6, 0xbd, 0x58, 0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3)};
    char at[96], text[16];
    struct err e = {0};
    uint32_t relid;
    int listener, fd;

    hv_post(&g, &m, sizeof(m));
    assert_int_equal(hv_message(&g, message), CHANNELMSG_TL_CONNECT_RESULT);
    assert_int_not_equal(le32_at(message + 40), 0);
    snprintf(at, sizeof(at), "%s_700", path);
    assert_int_equal(usock_listen(at, &listener, &e), 0);
    hv_post(&g, &m, sizeof(m));
    assert_int_equal(hv_message(&g, message), CHANNELMSG_OFFERCHANNEL);
    assert_memory_equal(message + 24, m.guest_endpoint_id, 16);
    assert_int_equal(le16_at(message + 56), 0x2011);
    assert_int_equal(message[60 + 4], 0);
    assert_int_equal(le32_at(message + 60 + 6), 1); /* a silo may be named; none is */
    relid = le32_at(message + 184);
    assert_int_equal(hv_open(&g, relid, 0), 0);
    fd = usock_accept(listener);
    assert_true(fd >= 0);
    say(relid, "question");
    assert_int_equal(read(fd, text, sizeof(text)), 8);
    assert_int_equal(write(fd, "answer", 6), 6);
    fake_env_run(&g.f);
    assert_true(hv_get(&g, relid, &p));
    assert_memory_equal(p.data + 8, "answer", 6);
    close(fd);
    usock_unlisten(listener, at);
}

/* Sends until the socket takes no more, and then until the ring is nearly full. Bytes. */
static size_t fill(uint32_t relid)
{
    static uint8_t m[8 + 4000] = {1, 0, 0, 0, 0xa0, 0x0f};
    size_t sent = 0;

    while (sent < 200 * 4000) {
        uint32_t *ring = hv_ram(&g, HV_RINGS + relid * 2 * HV_RING_PAGES * 4096, 8);

        if ((ring[0] - ring[1] + 28672) % 28672 > 20000)
            break;
        for (size_t i = 8; i < sizeof(m); i++)
            m[i] = (uint8_t)((sent + i - 8) % 251);
        hv_put(&g, relid, VM_PKT_DATA_INBAND, 0, 0, NULL, 0, m, sizeof(m));
        fake_env_run(&g.f);
        sent += 4000;
    }
    assert_true(sent < 200 * 4000);
    return sent;
}

/* What fill() sent, up to the end of the stream or of what is there. Bytes; *ended: to the end. */
static size_t drain(int fd, bool *ended)
{
    static uint8_t text[65536];
    size_t got = 0;
    ssize_t n;

    while ((n = read(fd, text, sizeof(text))) > 0) {
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(text[i], (got + (size_t)i) % 251);
        got += (size_t)n;
        fake_env_run(&g.f);
    }
    *ended = n == 0;
    return got;
}

/* Connects, with little room in the socket, and takes the greeting. */
static uint32_t call_small(int *fd)
{
    int small = 4096;
    uint32_t relid = call(fd, "CONNECT 5\n");
    char text[8];

    assert_int_equal(setsockopt(*fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    assert_int_equal(hv_open(&g, relid, 0), 0);
    fake_env_run(&g.f);
    assert_int_equal(read(*fd, text, sizeof(text)), 5); /* "OK 5\n" */
    return relid;
}

static void a_slow_reader_holds_the_guest(void **state)
{
    uint32_t relid;
    size_t sent;
    bool ended;
    int fd;

    relid = call_small(&fd);
    sent = fill(relid);
    assert_int_equal(drain(fd, &ended), sent);
    assert_false(ended);
    close(fd);
}

static void what_a_guest_sent_before_it_closed_is_read_to_its_end(void **state)
{
    struct vmbus_channel_relid r = {.header.msgtype = le32_of(CHANNELMSG_RELID_RELEASED)};
    uint32_t relid;
    size_t sent;
    bool ended;
    int fd;

    relid = call_small(&fd);
    sent = fill(relid);
    say(relid, ""); /* in the ring, too */
    hv_close(&g, relid);
    r.child_relid = le32_of(relid);
    assert_int_equal(hv_post(&g, &r, sizeof(r)), 0);
    assert_true(loop_step(g.f.env.loop, 0) == 0); /* nor does it keep the loop awake */
    assert_int_equal(drain(fd, &ended), sent);
    assert_true(ended);
    close(fd);
}

/* The close may be seen before the signal that data are there. */
static void data_right_before_a_close_are_not_lost(void **state)
{
    uint32_t relid;
    char text[64];
    int fd;

    relid = call(&fd, "CONNECT 5\n");
    assert_int_equal(hv_open(&g, relid, 0), 0);
    fake_env_run(&g.f);
    assert_int_equal(read(fd, text, sizeof(text)), 5);
    g.busy = true;
    ((uint32_t *)hv_ram(&g, HV_RINGS + relid * 2 * HV_RING_PAGES * 4096, 12))[2] =
        1; /* no signal */
    hv_put(&g, relid, VM_PKT_DATA_INBAND, 0, 0, NULL, 0, "\1\0\0\0\3\0\0\0bye", 11);
    hv_close(&g, relid);
    assert_int_equal(read(fd, text, sizeof(text)), 3);
    assert_memory_equal(text, "bye", 3);
    assert_int_equal(read(fd, text, sizeof(text)), 0);
    close(fd);
}

/* Nobody will read it: nothing waits for that. */
static void a_program_that_left_ends_what_is_kept_for_it(void **state)
{
    uint32_t relid;
    int fd;

    relid = call_small(&fd);
    fill(relid);
    hv_close(&g, relid);
    close(fd);
    fake_env_run(&g.f);
    assert_true(loop_step(g.f.env.loop, 0) == 0);
}

/* Reads all that the host has sent; true: up to its end. */
static bool read_all(uint32_t relid, char *out, size_t *n)
{
    bool end = false;

    for (*n = 0; hv_get(&g, relid, &p); fake_env_run(&g.f)) {
        uint32_t len = le32_at(p.data + 4);

        memcpy(out + *n, p.data + 8, len);
        *n += len;
        end |= len == 0;
    }
    return end;
}

/* A client that asks, says that this was all, and only then reads. */
static void what_a_guest_has_not_read_outlives_both_ends(void **state)
{
    char text[64];
    uint32_t relid;
    size_t n;
    int fd;

    relid = call(&fd, "CONNECT 5\n");
    assert_int_equal(hv_open(&g, relid, 0), 0);
    say(relid, "question");
    say(relid, "");
    assert_int_equal(read(fd, text, sizeof(text)), 5 + 8);
    assert_int_equal(write(fd, "answer", 6), 6);
    close(fd);
    fake_env_run(&g.f);
    fake_env_advance(&g.f, UINT64_C(20000000000));
    assert_int_equal(hv_message(&g, message), 0);
    assert_true(read_all(relid, text, &n));
    assert_int_equal(n, 6);
    assert_memory_equal(text, "answer", 6);
    fake_env_advance(&g.f, UINT64_C(300000000));
    assert_int_equal(hv_message(&g, message), CHANNELMSG_RESCIND_CHANNELOFFER);
}

/* A program of the host's that sends a file and is gone before the guest has read it. */
static void what_a_gone_host_has_sent_is_read_to_its_end(void **state)
{
    static char sent[100000], text[sizeof(sent)];
    uint32_t relid;
    size_t n;
    int fd;

    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = (char)(i >> 8 ^ i);
    relid = call(&fd, "CONNECT 5\n");
    assert_int_equal(hv_open(&g, relid, 0), 0);
    assert_int_equal(read(fd, text, 5), 5);
    assert_int_equal(write(fd, sent, sizeof(sent)), sizeof(sent));
    close(fd);
    fake_env_run(&g.f);
    assert_true(loop_step(g.f.env.loop, 0) == 0); /* nor does it keep the loop awake */
    assert_int_equal(hv_message(&g, message), 0);
    assert_true(read_all(relid, text, &n));
    assert_int_equal(n, sizeof(sent));
    assert_memory_equal(text, sent, sizeof(sent));
    fake_env_advance(&g.f, UINT64_C(300000000));
    assert_int_equal(hv_message(&g, message), CHANNELMSG_RESCIND_CHANNELOFFER);
}

/* As an echo service does: it writes what it has got before it reads more. */
static void a_guest_that_must_write_before_it_reads_is_heard(void **state)
{
    static char sent[100000], text[sizeof(sent)];
    uint32_t relid;
    size_t n;
    int fd;

    relid = call(&fd, "CONNECT 5\n");
    assert_int_equal(hv_open(&g, relid, 0), 0);
    assert_int_equal(read(fd, text, 5), 5);
    assert_int_equal(write(fd, sent, sizeof(sent)), sizeof(sent)); /* more than the ring holds */
    fake_env_run(&g.f);
    for (int i = 0; i < 3; i++) {
        say(relid, "echo");
        assert_int_equal(recv(fd, text, sizeof(text), MSG_DONTWAIT), 4);
    }
    assert_false(read_all(relid, text, &n));
    assert_int_equal(n, sizeof(sent));
    close(fd);
}

/* Connections that only wait for their guest to read are no reason to refuse others. */
static void unread_connections_make_room(void **state)
{
    struct vmbus_channel_tl_connect_request m = {
        .header.msgtype = le32_of(CHANNELMSG_TL_CONNECT_REQUEST),
        .host_service_id =
            WIRE_GUID(700, 0xfacb, 0x11e6, 0xbd, 0x58, 0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3)};
    struct err e = {0};
    char at[96];
    uint32_t relid;
    unsigned gone = 0;
    int listener, fd;

    snprintf(at, sizeof(at), "%s_700", path);
    assert_int_equal(usock_listen(at, &listener, &e), 0);
    for (unsigned i = 0; i < 300; i++) {
        hv_post(&g, &m, sizeof(m));
        while (hv_message(&g, message) == CHANNELMSG_RESCIND_CHANNELOFFER)
            gone++;
        assert_int_equal(le32_at(message), CHANNELMSG_OFFERCHANNEL);
        relid = le32_at(message + 184);
        assert_int_equal(hv_open(&g, relid, 0), 0);
        say(relid, "");
        fd = usock_accept(listener);
        assert_int_equal(write(fd, "answer", 6), 6);
        close(fd);
        fake_env_run(&g.f);
    }
    assert_int_equal(gone, 300 - 256);
    usock_unlisten(listener, at);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_host_reaches_a_port_of_the_guest),
        T(a_guest_that_does_not_listen_is_given_up),
        T(the_guest_reaches_a_listener_of_the_host),
        T(a_slow_reader_holds_the_guest),
        T(what_a_guest_sent_before_it_closed_is_read_to_its_end),
        T(data_right_before_a_close_are_not_lost),
        T(a_program_that_left_ends_what_is_kept_for_it),
        T(what_a_guest_has_not_read_outlives_both_ends),
        T(what_a_gone_host_has_sent_is_read_to_its_end),
        T(a_guest_that_must_write_before_it_reads_is_heard),
        T(unread_connections_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
