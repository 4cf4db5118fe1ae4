/* SPDX-License-Identifier: Apache-2.0 */
/* The socket device: a scripted guest on one side, Unix sockets on the other. */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "abi/virtio_vsock.h"
#include "core/err.h"
#include "core/gmem.h"
#include "core/loop.h"
#include "personas/kvm/devices.h"
#include "virtio/guest.h"

enum { CID = 42, RX = 0, TX = 1, HDR = 44, BUF = 65536 };
#define SPLIT (~(VIRTIO_F_RING_PACKED))

struct bench {
    struct guest g;
    char dir[32], path[64];
    gpa_t tx, rx;
    unsigned rx_next;
    struct virtio_vsock_hdr h; /* of the last packet received */
    uint8_t data[8192];
};

static void bench_open(struct bench *b, unsigned rx)
{
    struct virtio_options o = {.packed = true, .indirect = true, .devfn = -1};
    struct err e = {0};

    strcpy(b->dir, "/tmp/vsock-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    snprintf(b->path, sizeof(b->path), "%s/s", b->dir);
    guest_open(&b->g);
    assert_int_equal(vsock_create(&b->g.f.env, &o, CID, b->path, &e), 0);
    guest_find(&b->g, true);
    guest_start(&b->g, false, SPLIT, 3);
    b->tx = guest_alloc(&b->g, 70000, 4096);
    b->rx = guest_alloc(&b->g, 128 * 4096, 4096);
    b->rx_next = 0;
    for (unsigned i = 0; i < rx; i++)
        guest_add(&b->g, RX, (struct guest_buf[]){{b->rx + 4096 * i, 4096, true}}, 1, false);
    guest_kick(&b->g, RX);
    fake_env_run(&b->g.f);
}

static void bench_close(struct bench *b)
{
    struct stat st;

    guest_close(&b->g);
    assert_int_equal(stat(b->path, &st), -1); /* the device took its socket away */
    rmdir(b->dir);
}

static void packet_from(struct bench *b, uint64_t cid, uint16_t op, uint32_t guest_port,
                        uint32_t host_port, const void *data, uint32_t n, uint32_t flags)
{
    struct virtio_vsock_hdr h = {
        .src_cid = le64_of(cid),
        .dst_cid = le64_of(VSOCK_CID_HOST),
        .src_port = le32_of(guest_port),
        .dst_port = le32_of(host_port),
        .len = le32_of(n),
        .type = le16_of(VIRTIO_VSOCK_TYPE_STREAM),
        .op = le16_of(op),
        .flags = le32_of(flags),
        .buf_alloc = le32_of(BUF),
    };
    struct guest_buf buf[] = {{b->tx, HDR, false}, {b->tx + HDR, n, false}};
    uint32_t len;
    uint16_t id;

    assert_int_equal(gmem_write(b->g.f.env.mem, b->tx, &h, HDR), 0);
    assert_int_equal(gmem_write(b->g.f.env.mem, b->tx + HDR, data, n), 0);
    guest_add(&b->g, TX, buf, n ? 2 : 1, false);
    guest_kick(&b->g, TX);
    fake_env_run(&b->g.f);
    assert_true(guest_used(&b->g, TX, &id, &len));
}

static void packet(struct bench *b, uint16_t op, uint32_t guest_port, uint32_t host_port,
                   const void *data, uint32_t n)
{
    packet_from(b, CID, op, guest_port, host_port, data, n, 0);
}

/* The next packet for the guest: its operation, or -1. */
static int received(struct bench *b)
{
    uint32_t len;
    uint16_t id;

    fake_env_run(&b->g.f);
    if (!guest_used(&b->g, RX, &id, &len))
        return -1;
    assert_true(len >= HDR);
    assert_int_equal(gmem_read(b->g.f.env.mem, b->rx + 4096 * b->rx_next, &b->h, HDR), 0);
    assert_int_equal(gmem_read(b->g.f.env.mem, b->rx + 4096 * b->rx_next + HDR, b->data, len - HDR),
                     0);
    assert_int_equal(le32_get(b->h.len), len - HDR);
    assert_int_equal(le64_get(b->h.dst_cid), CID);
    b->rx_next++;
    return le16_get(b->h.op);
}

static int unix_listen(struct bench *b, unsigned port)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(a.sun_path, sizeof(a.sun_path), "%s_%u", b->path, port);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

static void unix_unlink(struct bench *b, unsigned port)
{
    char path[80];

    snprintf(path, sizeof(path), "%s_%u", b->path, port);
    unlink(path);
}

static int unix_connect(struct bench *b)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", b->path);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static void a_guest_reaches_a_host_program(void **state)
{
    struct bench b;
    char got[16] = {0};
    int server, fd;

    bench_open(&b, 32);
    server = unix_listen(&b, 1234);
    packet(&b, VIRTIO_VSOCK_OP_REQUEST, 7, 1234, NULL, 0);
    assert_int_equal(received(&b), VIRTIO_VSOCK_OP_RESPONSE);
    assert_int_equal(le32_get(b.h.src_port), 1234);
    assert_int_equal(le32_get(b.h.dst_port), 7);
    assert_int_equal(le32_get(b.h.buf_alloc), BUF);
    fd = accept(server, NULL, NULL);
    packet(&b, VIRTIO_VSOCK_OP_RW, 7, 1234, "hello", 5);
    assert_int_equal(read(fd, got, sizeof(got)), 5);
    assert_string_equal(got, "hello");
    assert_int_equal(write(fd, "world", 5), 5);
    assert_int_equal(received(&b), VIRTIO_VSOCK_OP_RW);
    assert_memory_equal(b.data, "world", 5);
    packet(&b, VIRTIO_VSOCK_OP_CREDIT_REQUEST, 7, 1234, NULL, 0);
    assert_int_equal(received(&b), VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    assert_int_equal(le32_get(b.h.fwd_cnt), 5);
    packet_from(&b, CID, VIRTIO_VSOCK_OP_SHUTDOWN, 7, 1234, NULL, 0, 3);
    assert_int_equal(received(&b), VIRTIO_VSOCK_OP_RST);
    assert_int_equal(read(fd, got, sizeof(got)), 0);
    close(fd);
    close(server);
    unix_unlink(&b, 1234);
    bench_close(&b);
}

static void a_host_program_reaches_the_guest(void **state)
{
    struct bench b;
    char got[64] = {0}, want[64];
    uint32_t port;
    int fd;

    bench_open(&b, 32);
    fd = unix_connect(&b);
    assert_int_equal(write(fd, "CONN", 4), 4);
    assert_int_equal(received(&b), -1);
    assert_int_equal(write(fd, "ECT 80\nearly", 12), 12);
    assert_int_equal(received(&b), VIRTIO_VSOCK_OP_REQUEST);
    assert_int_equal(le32_get(b.h.dst_port), 80);
    port = le32_get(b.h.src_port);
    packet(&b, VIRTIO_VSOCK_OP_RESPONSE, 80, port, NULL, 0);
    snprintf(want, sizeof(want), "OK %u\n", port);
    assert_int_equal(read(fd, got, sizeof(got)), strlen(want));
    assert_string_equal(got, want);
    assert_int_equal(received(&b), VIRTIO_VSOCK_OP_RW);
    assert_memory_equal(b.data, "early", 5);
    /* Half a close, then the other half. */
    shutdown(fd, SHUT_WR);
    assert_int_equal(received(&b), VIRTIO_VSOCK_OP_SHUTDOWN);
    assert_int_equal(le32_get(b.h.flags), VIRTIO_VSOCK_SHUTDOWN_F_SEND);
    packet(&b, VIRTIO_VSOCK_OP_RW, 80, port, "late", 4);
    assert_int_equal(read(fd, got, sizeof(got)), 4);
    packet(&b, VIRTIO_VSOCK_OP_RST, 80, port, NULL, 0);
    assert_int_equal(read(fd, got, sizeof(got)), 0);
    close(fd);
    assert_int_equal(received(&b), -1);
    bench_close(&b);
}

static void bad_greetings_are_hung_up_on(void **state)
{
    static const char *const bad[] = {"CONNECT\n", "CONNECT x\n", "GET / HTTP/1.1\r\n\r\n",
                                      "CONNECT 99999999999999999999999999\n",
                                      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    struct bench b;
    char got[8];

    bench_open(&b, 8);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        int fd = unix_connect(&b);

        assert_true(write(fd, bad[i], strlen(bad[i])) > 0);
        if (i == 3) { /* a number that wraps is a port like any other, or refused */
            received(&b);
            close(fd);
            continue;
        }
        assert_int_equal(received(&b), -1);
        assert_true(read(fd, got, sizeof(got)) <= 0);
        close(fd);
    }
    bench_close(&b);
}

static void wrong_packets_get_a_reset_or_nothing(void **state)
{
    struct bench b;
    struct virtio_vsock_hdr h = {.len = le32_of(UINT32_MAX), .src_cid = le64_of(CID)};
    uint32_t len;
    uint16_t id;

    bench_open(&b, 120);
    packet(&b, VIRTIO_VSOCK_OP_REQUEST, 7, 1, NULL, 0); /* nobody listens */
    assert_int_equal(received(&b), VIRTIO_VSOCK_OP_RST);
    packet(&b, VIRTIO_VSOCK_OP_RW, 7, 1, "x", 1); /* no connection */
    assert_int_equal(received(&b), VIRTIO_VSOCK_OP_RST);
    packet(&b, VIRTIO_VSOCK_OP_RST, 7, 1, NULL, 0); /* a reset is not answered */
    assert_int_equal(received(&b), -1);
    packet_from(&b, CID + 1, VIRTIO_VSOCK_OP_REQUEST, 7, 1, NULL, 0, 0); /* not its address */
    assert_int_equal(received(&b), -1);
    assert_int_equal(gmem_write(b.g.f.env.mem, b.tx, &h, HDR), 0); /* a length that lies */
    guest_add(&b.g, TX, (struct guest_buf[]){{b.tx, HDR, false}}, 1, false);
    guest_add(&b.g, TX, (struct guest_buf[]){{b.tx, 10, false}}, 1, false); /* half a header */
    guest_kick(&b.g, TX);
    fake_env_run(&b.g.f);
    assert_true(guest_used(&b.g, TX, &id, &len));
    assert_true(guest_used(&b.g, TX, &id, &len));
    assert_int_equal(received(&b), -1);
    assert_false(guest_status(&b.g) & VIRTIO_STATUS_DEVICE_NEEDS_RESET);
    bench_close(&b);
}

static void credit_holds_both_ways(void **state)
{
    static uint8_t much[BUF + 1000];
    struct bench b;
    uint32_t got = 0, moved = 0;
    int server, fd, op;
    ssize_t n;

    bench_open(&b, 120);
    server = unix_listen(&b, 5);
    packet(&b, VIRTIO_VSOCK_OP_REQUEST, 7, 5, NULL, 0);
    assert_int_equal(received(&b), VIRTIO_VSOCK_OP_RESPONSE);
    fd = accept(server, NULL, NULL);
    /* The guest gave 64 KiB: not a byte more comes without an update. */
    for (unsigned i = 0; i < 2; i++)
        assert_true(send(fd, much, BUF, MSG_DONTWAIT) > 0);
    while ((op = received(&b)) == VIRTIO_VSOCK_OP_RW) {
        got += le32_get(b.h.len);
        send(fd, much, 4096, MSG_DONTWAIT);
    }
    assert_int_equal(op, -1);
    assert_int_equal(got, BUF);
    /* The guest may fill what the host does not read, and then its credit comes back. */
    for (unsigned i = 0; i < 200 && op != VIRTIO_VSOCK_OP_RST; i++) {
        packet(&b, VIRTIO_VSOCK_OP_RW, 7, 5, much, 4000);
        op = received(&b);
    }
    assert_int_equal(op, VIRTIO_VSOCK_OP_RST); /* far more than its credit */
    while ((n = recv(fd, much, sizeof(much), MSG_DONTWAIT)) > 0)
        moved += (uint32_t)n;
    assert_true(moved >= 4000);
    close(fd);
    close(server);
    unix_unlink(&b, 5);
    bench_close(&b);
}

static void a_reset_closes_every_connection(void **state)
{
    struct bench b;
    char got[8];
    int server, fd;

    bench_open(&b, 8);
    server = unix_listen(&b, 5);
    packet(&b, VIRTIO_VSOCK_OP_REQUEST, 7, 5, NULL, 0);
    fd = accept(server, NULL, NULL);
    guest_status_set(&b.g, 0);
    fake_env_run(&b.g.f);
    assert_int_equal(guest_status(&b.g), 0);
    assert_int_equal(read(fd, got, sizeof(got)), 0);
    close(fd);
    fd = unix_connect(&b); /* nobody home */
    fake_env_run(&b.g.f);
    assert_int_equal(read(fd, got, sizeof(got)), 0);
    close(fd);
    close(server);
    unix_unlink(&b, 5);
    bench_close(&b);
}

/* Fills socket and buffer of a connection whose program does not read: bytes. */
static size_t fill(struct bench *b, uint32_t guest_port)
{
    uint8_t m[4000];
    size_t sent = 0;

    for (uint32_t taken = 0; sent - taken + sizeof(m) <= BUF; sent += sizeof(m)) {
        for (size_t i = 0; i < sizeof(m); i++)
            m[i] = (uint8_t)((sent + i) % 251);
        packet(b, VIRTIO_VSOCK_OP_RW, guest_port, 5, m, sizeof(m));
        while (received(b) == VIRTIO_VSOCK_OP_CREDIT_UPDATE)
            taken = le32_get(b->h.fwd_cnt);
    }
    return sent;
}

/* What fill() sent; the connection must then be at its end. */
static size_t drain(struct bench *b, int fd)
{
    static uint8_t text[65536];
    size_t got = 0;
    ssize_t n;

    while ((n = recv(fd, text, sizeof(text), MSG_DONTWAIT)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(text[i], (got + (size_t)i) % 251);
        got += (size_t)n;
        fake_env_run(&b->g.f);
    }
    assert_int_equal(n, 0);
    close(fd);
    return got;
}

static int connection(struct bench *b, int server, uint32_t guest_port)
{
    int fd, small = 4096;

    packet(b, VIRTIO_VSOCK_OP_REQUEST, guest_port, 5, NULL, 0);
    assert_int_equal(received(b), VIRTIO_VSOCK_OP_RESPONSE);
    fd = accept(server, NULL, NULL);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    return fd;
}

/* Linux closes, waits 8 s for a reset, and sends one itself. */
static void what_a_guest_sent_before_it_closed_is_read_to_its_end(void **state)
{
    struct bench b;
    int server, fd, again, other;
    size_t sent;

    bench_open(&b, 120);
    server = unix_listen(&b, 5);
    fd = connection(&b, server, 7);
    sent = fill(&b, 7);
    packet_from(&b, CID, VIRTIO_VSOCK_OP_SHUTDOWN, 7, 5, NULL, 0, 3);
    assert_int_equal(received(&b), -1);
    packet(&b, VIRTIO_VSOCK_OP_RST, 7, 5, NULL, 0);
    again = connection(&b, server, 7); /* the port is free */
    assert_int_equal(drain(&b, fd), sent);
    packet(&b, VIRTIO_VSOCK_OP_RST, 7, 5, NULL, 0);
    assert_int_equal(drain(&b, again), 0);
    other = connection(&b, server, 8); /* a reset alone throws away */
    sent = fill(&b, 8);
    packet(&b, VIRTIO_VSOCK_OP_RST, 8, 5, NULL, 0);
    assert_true(drain(&b, other) < sent);
    assert_int_equal(received(&b), -1);
    close(server);
    unix_unlink(&b, 5);
    bench_close(&b);
}

static void what_a_guest_sent_outlives_its_reset(void **state)
{
    struct bench b;
    int server, fd, gone;
    size_t sent;

    bench_open(&b, 120);
    server = unix_listen(&b, 5);
    fd = connection(&b, server, 7);
    sent = fill(&b, 7);
    gone = connection(&b, server, 8);
    fill(&b, 8);
    guest_status_set(&b.g, 0);
    fake_env_run(&b.g.f);
    assert_int_equal(guest_status(&b.g), 0);
    assert_true(loop_step(b.g.f.env.loop, 0) == 0); /* nor does it keep the loop awake */
    close(gone);
    assert_int_equal(drain(&b, fd), sent);
    close(server);
    unix_unlink(&b, 5);
    bench_close(&b);
}

static void answers_wait_for_receive_buffers(void **state)
{
    struct bench b;
    unsigned resets = 0;

    bench_open(&b, 0);
    for (unsigned i = 0; i < 60; i++)
        packet(&b, VIRTIO_VSOCK_OP_RW, i, 1, "x", 1);
    for (unsigned i = 0; i < 100; i++)
        guest_add(&b.g, RX, (struct guest_buf[]){{b.rx + 4096 * i, 4096, true}}, 1, false);
    guest_kick(&b.g, RX);
    while (received(&b) == VIRTIO_VSOCK_OP_RST)
        resets++;
    assert_int_equal(resets, 60);
    bench_close(&b);
}

/* As a machine that was killed leaves it. */
static void a_socket_that_nobody_serves_is_replaced(void **state)
{
    struct virtio_options o = {.indirect = true, .devfn = -1};
    struct bench b = {.dir = "/tmp/vsock-XXXXXX"};
    struct fake_env f;
    struct err e = {0};
    char path[80];

    (void)state;
    assert_non_null(mkdtemp(b.dir));
    snprintf(b.path, sizeof(b.path), "%s/s", b.dir);
    snprintf(path, sizeof(path), "%s_5", b.path);
    close(unix_listen(&b, 5));
    fake_env_create(&f, 1 << 20);
    assert_int_equal(vsock_create(&f.env, &o, CID, path, &e), 0);
    fake_env_destroy(&f);
    assert_int_equal(rmdir(b.dir), 0); /* it took the name away */
}

static void a_path_in_use_is_an_error(void **state)
{
    struct virtio_options o = {.indirect = true, .devfn = -1};
    struct err e = {0};
    struct bench b;
    char path[200];

    bench_open(&b, 1);
    assert_int_equal(vsock_create(&b.g.f.env, &o, CID, b.path, &e), -EBUSY);
    assert_non_null(strstr(e.msg, b.path));
    memset(path, 'a', sizeof(path));
    path[199] = 0;
    assert_int_equal(vsock_create(&b.g.f.env, &o, CID, path, &e), -ENAMETOOLONG);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_reaches_a_host_program),
        cmocka_unit_test(a_host_program_reaches_the_guest),
        cmocka_unit_test(bad_greetings_are_hung_up_on),
        cmocka_unit_test(wrong_packets_get_a_reset_or_nothing),
        cmocka_unit_test(credit_holds_both_ways),
        cmocka_unit_test(a_reset_closes_every_connection),
        cmocka_unit_test(what_a_guest_sent_before_it_closed_is_read_to_its_end),
        cmocka_unit_test(what_a_guest_sent_outlives_its_reset),
        cmocka_unit_test(answers_wait_for_receive_buffers),
        cmocka_unit_test(a_socket_that_nobody_serves_is_replaced),
        cmocka_unit_test(a_path_in_use_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
