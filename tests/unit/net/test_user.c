/* SPDX-License-Identifier: Apache-2.0 */
/* The user network, driven by a scripted guest on a real loop: ARP, DHCP, NAT, forwards. */
#define _GNU_SOURCE
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/bytes.h"
#include "core/cfg.h"
#include "core/err.h"
#include "core/loop.h"
#include "net/csum.h"
#include "net/netif.h"

static struct loop *loop;
static struct netif *net;
static uint8_t got[NET_FRAME_MAX]; /* the last frame that the guest received */
static long got_len;
static unsigned told;

static const uint8_t guest_mac[6] = {0x52, 0x54, 0, 1, 2, 3};
static uint8_t gateway_mac[6];
static uint16_t udp_port; /* of this host, forwarded to the guest's 77 */

static void readable(void *arg)
{
    (void)arg;
    told++;
}

static const struct net_events events = {.readable = readable};

static int open_spec(const char *spec, struct err *e)
{
    struct cfg *rest;
    int rc = net_open(spec, loop, &net, &rest, e);

    if (rc < 0)
        return rc;
    rc = cfg_finish(rest, "--nic", e);
    cfg_destroy(rest);
    net->ops->listen(net, &events, NULL);
    return rc;
}

static void send_frame(const uint8_t *frame, size_t len)
{
    struct iovec iov[2] = {{(void *)(uintptr_t)frame, 9},
                           {(void *)(uintptr_t)(frame + 9), len - 9}};
    struct net_meta m = {0};

    assert_int_equal(net->ops->send(net, &m, iov, 2), len);
}

static uint16_t sum16(const uint8_t *p, size_t n, uint32_t sum)
{
    for (size_t i = 0; i + 1 < n; i += 2)
        sum += be16_at(p + i);
    if (n & 1)
        sum += (uint32_t)p[n - 1] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void send_udp(const char *to, uint16_t from_port, uint16_t to_port, const void *data,
                     size_t len)
{
    uint8_t f[1600] = {0};

    memcpy(f, gateway_mac, 6);
    memcpy(f + 6, guest_mac, 6);
    be16_put(f + 12, 0x0800);
    f[14] = 0x45;
    be16_put(f + 16, (uint16_t)(28 + len));
    f[22] = 64;
    f[23] = 17;
    inet_pton(AF_INET, strcmp(to, "255.255.255.255") ? "10.0.2.15" : "0.0.0.0", f + 26);
    inet_pton(AF_INET, to, f + 30);
    be16_put(f + 24, sum16(f + 14, 20, 0));
    be16_put(f + 34, from_port);
    be16_put(f + 36, to_port);
    be16_put(f + 38, (uint16_t)(8 + len)); /* checksum 0: not used */
    memcpy(f + 42, data, len);
    send_frame(f, 42 + len);
}

static void send_arp(uint16_t op, const char *target)
{
    static const uint8_t head[] = {0, 1, 8, 0, 6, 4};
    uint8_t f[60] = {0};

    memset(f, 0xff, 6);
    memcpy(f + 6, guest_mac, 6);
    be16_put(f + 12, 0x0806);
    memcpy(f + 14, head, sizeof(head));
    be16_put(f + 20, op);
    memcpy(f + 22, guest_mac, 6);
    inet_pton(AF_INET, "10.0.2.15", f + 28);
    inet_pton(AF_INET, target, f + 38);
    send_frame(f, sizeof(f));
}

/* Takes frames until one fits; answers ARP requests on the way, as a guest does. */
static void expect(bool (*fits)(void))
{
    struct iovec iov = {got, sizeof(got)};
    struct net_meta m;

    for (int i = 0; i < 400; i++) {
        while ((got_len = net->ops->recv(net, &m, &iov, 1)) >= 0) {
            if (fits())
                return;
            if (be16_at(got + 12) == 0x0806 && be16_at(got + 20) == 1)
                send_arp(2, "10.0.2.2");
        }
        assert_int_equal(got_len, -EAGAIN);
        assert_true(loop_step(loop, 5000000) >= 0);
    }
    fail_msg("the frame did not come");
}

static bool is_arp_reply(void)
{
    return be16_at(got + 12) == 0x0806 && be16_at(got + 20) == 2;
}

static bool is_udp(void)
{
    return be16_at(got + 12) == 0x0800 && got[23] == 17;
}

static int host_socket(int type, uint16_t *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    getsockname(fd, (struct sockaddr *)&a, &len);
    *port = ntohs(a.sin_port);
    return fd;
}

/* A port that nobody had a moment ago. */
static uint16_t free_port(int type)
{
    uint16_t port;

    close(host_socket(type, &port));
    return port;
}

static int set_up(void **state)
{
    char spec[100];
    struct err e;

    (void)state;
    told = 0;
    udp_port = free_port(SOCK_DGRAM);
    snprintf(spec, sizeof(spec), "user,forward=udp:127.0.0.1:%u-:77", udp_port);
    if (loop_create(&loop, &e) < 0 || open_spec(spec, &e) < 0)
        return -1;
    send_arp(1, "10.0.2.2");
    expect(is_arp_reply);
    memcpy(gateway_mac, got + 6, 6);
    return 0;
}

/* The same on a clock that the test moves. */
static int set_up_fake(void **state)
{
    struct err e;

    (void)state;
    if (loop_create_fake(&loop, &e) < 0)
        return -1;
    loop_advance(loop, UINT64_C(1000000000000));
    if (open_spec("user", &e) < 0)
        return -1;
    send_arp(1, "10.0.2.2");
    expect(is_arp_reply);
    memcpy(gateway_mac, got + 6, 6);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    net_close(net);
    loop_destroy(loop);
    return 0;
}

static void the_gateway_answers_arp_and_tells_once_for_all_frames(void **state)
{
    (void)state;
    told = 0;
    send_arp(1, "10.0.2.2");
    send_arp(1, "10.0.2.3");
    assert_int_equal(told, 0); /* never from inside send() */
    assert_true(loop_step(loop, 0) >= 0);
    assert_int_equal(told, 1);
}

static void dhcp_offers_an_address(void **state)
{
    uint8_t req[300] = {1, 1, 6, 0, 0xaa, 0xbb, 0xcc, 0xdd};
    static const uint8_t opts[] = {0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255};
    char addr[32];

    (void)state;
    memcpy(req + 28, guest_mac, 6);
    memcpy(req + 236, opts, sizeof(opts));
    send_udp("255.255.255.255", 68, 67, req, sizeof(req));
    expect(is_udp);
    inet_ntop(AF_INET, got + 42 + 16, addr, sizeof(addr));
    assert_string_equal(addr, "10.0.2.15");
}

static void the_guest_reaches_the_host_and_gets_the_answer(void **state)
{
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    char text[16] = "";
    uint16_t port;
    int fd = host_socket(SOCK_DGRAM, &port);

    (void)state;
    send_udp("10.0.2.2", 1000, port, "ping", 4);
    for (int i = 0; i < 100; i++) {
        assert_true(loop_step(loop, 5000000) >= 0);
        if (recvfrom(fd, text, sizeof(text), 0, (struct sockaddr *)&from, &len) > 0)
            break;
    }
    assert_string_equal(text, "ping");
    assert_int_equal(sendto(fd, "pong", 4, 0, (struct sockaddr *)&from, len), 4);
    expect(is_udp);
    assert_memory_equal(got + 42, "pong", 4);
    assert_int_equal(be16_at(got + 36), 1000);
    close(fd);
}

static void an_answer_comes_after_a_long_silence(void **state)
{
    (void)state;
    the_guest_reaches_the_host_and_gets_the_answer(state);
    for (int i = 0; i < 5; i++)
        assert_true(loop_step(loop, 0) >= 0);
    loop_advance(loop, UINT64_C(3600000000000));
    the_guest_reaches_the_host_and_gets_the_answer(state);
}

static void a_forward_leads_from_the_host_to_the_guest(void **state)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(udp_port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint16_t port;
    int fd = host_socket(SOCK_DGRAM, &port);
    char text[16] = "";

    (void)state;
    assert_int_equal(sendto(fd, "knock", 5, 0, (struct sockaddr *)&to, sizeof(to)), 5);
    expect(is_udp);
    assert_memory_equal(got + 42, "knock", 5);
    assert_int_equal(be16_at(got + 36), 77);
    send_udp("10.0.2.2", 77, be16_at(got + 34), "come in", 7);
    for (int i = 0; i < 100 && !*text; i++) {
        assert_true(loop_step(loop, 5000000) >= 0);
        (void)!recv(fd, text, sizeof(text), 0);
    }
    assert_string_equal(text, "come in");
    close(fd);
}

static void a_taken_port_is_named(void **state)
{
    struct netif *first = net;
    char spec[100], said[40];
    uint16_t tcp_port = free_port(SOCK_STREAM);
    struct err e;

    (void)state;
    snprintf(spec, sizeof(spec), "user,forward=udp:127.0.0.1:%u-:1", udp_port);
    snprintf(said, sizeof(said), "port %u is in use", udp_port);
    assert_true(open_spec(spec, &e) < 0);
    assert_int_equal(e.exit, EX_IN_USE);
    assert_non_null(strstr(e.msg, said));
    snprintf(spec, sizeof(spec), "user,forward=tcp::%u-:1,forward=tcp::%u-:2", tcp_port, tcp_port);
    assert_true(open_spec(spec, &e) < 0);
    assert_int_equal(e.exit, EX_IN_USE);
    net = first;
}

static void forwards_that_mean_nothing_are_refused(void **state)
{
    static const char *const bad[] = {
        "tcp:127.0.0.1:22",     "22-:22",          "sctp::22-:22", "tcp::0-:22",
        "tcp::22-:65536",       "tcp::-:22",       "tcp::22x-:22", "tcp:host:22-:22",
        "tcp:1.2.3.4:22-::",    "tcp:[::1:22-:22", "tcp::22-22",   "",
        "tcp:::1:22-1.2.3.4:5", "tcp::22--:22",
    };
    struct netif *first = net;
    char spec[100];
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        snprintf(spec, sizeof(spec), "user,forward=%s", bad[i]);
        if (open_spec(spec, &e) == 0)
            fail_msg("%s was taken", spec);
        assert_int_equal(e.exit, EX_USAGE_);
    }
    assert_true(open_spec("usre", &e) < 0);
    assert_true(open_spec("user,net=10.0.2.1", &e) < 0);
    assert_true(open_spec("user,forwards=tcp::1-:1", &e) < 0);
    net_close(net);
    assert_non_null(strstr(e.msg, "forwards"));
    net = first;
}

/* --- TCP, as a guest with and without offloads speaks it --- */

static struct net_meta got_meta;
static uint16_t peer_port;

static uint16_t window = 65535; /* that the guest offers */

static void send_tcp(const struct net_meta *m, uint8_t flags, uint32_t seq, uint32_t ack,
                     const void *data, size_t len)
{
    static uint8_t f[NET_FRAME_MAX];
    struct net_meta meta = *m;
    struct iovec iov = {f, 58 + len};

    memcpy(f, gateway_mac, 6);
    memcpy(f + 6, guest_mac, 6);
    be16_put(f + 12, 0x0800);
    memset(f + 14, 0, 44);
    f[14] = 0x45;
    f[22] = 64;
    f[23] = 6;
    inet_pton(AF_INET, "10.0.2.15", f + 26);
    inet_pton(AF_INET, "10.0.2.2", f + 30);
    be16_put(f + 34, 1234);
    be16_put(f + 36, peer_port);
    be32_put(f + 38, seq);
    be32_put(f + 42, ack);
    f[46] = 0x60;
    f[47] = flags;
    be16_put(f + 48, window);
    be32_put(f + 54, flags & 2 ? 0x020405b4 : 0x01010101);
    memcpy(f + 58, data, len);
    if (m->flags & NET_NEEDS_CSUM)
        assert_int_equal(net_csum_defer(f, 58 + len, &meta), 0);
    else
        assert_int_equal(net_csum_all(f, 58 + len), 0);
    assert_int_equal(net->ops->send(net, &meta, &iov, 1), 58 + len);
}

/* The next TCP frame with any of flags, or with payload. */
static size_t take_tcp(uint8_t flags)
{
    struct iovec iov = {got, sizeof(got)};

    for (int i = 0; i < 400; i++) {
        long len;

        while ((len = net->ops->recv(net, &got_meta, &iov, 1)) >= 0) {
            if (be16_at(got + 12) == 0x0800 && got[23] == 6 && ((got[47] & flags) || len > 60))
                return (size_t)len;
        }
        assert_true(loop_step(loop, 5000000) >= 0);
    }
    fail_msg("no TCP frame came");
    return 0;
}

static int tcp_connect(uint32_t *seq, uint32_t *ack)
{
    struct net_meta plain = {0};
    int listener = host_socket(SOCK_STREAM, &peer_port), fd = -1;

    assert_int_equal(listen(listener, 1), 0);
    *seq = 5000;
    send_tcp(&plain, 2, (*seq)++, 0, "", 0);
    take_tcp(2);
    *ack = be32_at(got + 38) + 1;
    send_tcp(&plain, 0x10, *seq, *ack, "", 0);
    for (int i = 0; i < 100 && fd < 0; i++) {
        assert_true(loop_step(loop, 2000000) >= 0);
        fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    }
    close(listener);
    assert_true(fd >= 0);
    return fd;
}

/* The host sends 30,000 bytes; returns the longest frame that came. */
static size_t tcp_download(int fd, uint32_t seq, uint32_t ack)
{
    static uint8_t data[30000];
    struct net_meta plain = {0};
    size_t longest = 0, total = 0;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + i / 256);
    assert_int_equal(send(fd, data, sizeof(data), 0), sizeof(data));
    while (total < sizeof(data)) {
        size_t len = take_tcp(0), head = 34 + (size_t)(got[46] >> 4) * 4;

        assert_int_equal(be32_at(got + 38), ack);
        assert_memory_equal(got + head, data + total, len - head);
        longest = len > longest ? len : longest;
        if (got_meta.flags & NET_NEEDS_CSUM)
            assert_int_equal(net_csum_fill(got, len, &got_meta), 0);
        assert_int_equal(sum16(got + 34, len - 34,
                               be16_at(got + 26) + be16_at(got + 28) + be16_at(got + 30) +
                                   be16_at(got + 32) + 6u + (uint32_t)(len - 34)),
                         0);
        total += len - head;
        ack += (uint32_t)(len - head);
        send_tcp(&plain, 0x10, seq, ack, "", 0);
    }
    return longest;
}

static void a_guest_with_offloads_gets_and_gives_long_frames(void **state)
{
    static uint8_t data[20000], back[20000];
    struct net_meta m = {.flags = NET_NEEDS_CSUM, .gso = NET_GSO_TCP4, .gso_size = 1460};
    uint32_t seq, ack;
    size_t at = 0;
    int fd;

    (void)state;
    net->ops->set_caps(net, NET_CSUM | NET_TSO4, NET_CSUM | NET_TSO4);
    fd = tcp_connect(&seq, &ack);
    assert_in_range(tcp_download(fd, seq, ack), 10000, 32900);
    assert_int_equal(got_meta.csum_start, 34);
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 3);
    send_tcp(&m, 0x18, seq, ack + 30000, data, sizeof(data));
    for (int i = 0; i < 200 && at < sizeof(data); i++) {
        ssize_t n = recv(fd, back + at, sizeof(back) - at, 0);

        at += n > 0 ? (size_t)n : 0;
        assert_true(loop_step(loop, 2000000) >= 0);
    }
    assert_memory_equal(back, data, sizeof(data));
    close(fd);
}

/* As Linux has it: what is left of the window is told, as long as twice that is more than all. */
static void a_window_that_is_half_open_is_filled(void **state)
{
    static uint8_t data[120000];
    struct net_meta plain = {0};
    uint32_t seq, ack;
    size_t total = 0;
    int fd;

    (void)state;
    window = 64240;
    net->ops->set_caps(net, NET_CSUM | NET_TSO4, NET_CSUM | NET_TSO4);
    fd = tcp_connect(&seq, &ack);
    assert_int_equal(send(fd, data, sizeof(data), 0), sizeof(data));
    window = 31472;
    while (total < sizeof(data)) {
        size_t len = take_tcp(0) - 34 - (size_t)(got[46] >> 4) * 4;

        total += len;
        ack += (uint32_t)len;
        send_tcp(&plain, 0x10, seq, ack, "", 0);
    }
    window = 65535;
    close(fd);
}

static void a_guest_without_offloads_gets_frames_of_the_mtu(void **state)
{
    uint32_t seq, ack;
    int fd;

    (void)state;
    net->ops->set_caps(net, 0, 0);
    fd = tcp_connect(&seq, &ack);
    assert_in_range(tcp_download(fd, seq, ack), 1400, 1514);
    close(fd);
}

static void a_guest_that_lost_its_offloads_gets_segments(void **state)
{
    uint32_t seq, ack;
    int fd;

    (void)state;
    net->ops->set_caps(net, NET_CSUM | NET_TSO4, NET_CSUM | NET_TSO4);
    fd = tcp_connect(&seq, &ack);
    net->ops->set_caps(net, 0, 0); /* another driver, the connection lives on */
    assert_in_range(tcp_download(fd, seq, ack), 1400, 1514);
    close(fd);
}

static void garbage_from_the_guest_is_survived(void **state)
{
    static uint8_t junk[2000];

    (void)state;
    srand(3);
    for (int i = 0; i < 3000; i++) {
        size_t len = 10 + (size_t)rand() % 1900;

        for (size_t b = 0; b < len; b++)
            junk[b] = (uint8_t)rand();
        be16_put(junk + 12, i & 1 ? 0x0800 : 0x86dd);
        junk[14] = i & 1 ? 0x45 : 0x60;
        send_frame(junk, len);
        if (i % 100 == 0)
            assert_true(loop_step(loop, 0) >= 0);
    }
    send_arp(1, "10.0.2.2");
    expect(is_arp_reply);
}

static void an_idle_network_does_not_wake_the_loop(void **state)
{
    int ran = 0;

    (void)state;
    for (int i = 0; i < 10; i++)
        (void)!loop_step(loop, 1000000);
    for (int i = 0; i < 20; i++)
        ran += loop_step(loop, 2000000);
    assert_in_range(ran, 0, 4); /* IPv6 sends its advertisements */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_gateway_answers_arp_and_tells_once_for_all_frames),
        TEST(dhcp_offers_an_address),
        TEST(the_guest_reaches_the_host_and_gets_the_answer),
        cmocka_unit_test_setup_teardown(an_answer_comes_after_a_long_silence, set_up_fake,
                                        tear_down),
        TEST(a_forward_leads_from_the_host_to_the_guest),
        TEST(a_taken_port_is_named),
        TEST(forwards_that_mean_nothing_are_refused),
        TEST(a_guest_with_offloads_gets_and_gives_long_frames),
        TEST(a_window_that_is_half_open_is_filled),
        TEST(a_guest_without_offloads_gets_frames_of_the_mtu),
        TEST(a_guest_that_lost_its_offloads_gets_segments),
        TEST(garbage_from_the_guest_is_survived),
        TEST(an_idle_network_does_not_wake_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
