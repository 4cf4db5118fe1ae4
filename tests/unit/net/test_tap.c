/* SPDX-License-Identifier: Apache-2.0 */
/* A tap device in a network namespace of its own; the host's kernel is the other side. */
#define _GNU_SOURCE
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
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
static unsigned told, downs;
static uint8_t got[NET_FRAME_MAX];
static struct net_meta got_meta;
static const uint8_t guest_mac[6] = {0x52, 0x54, 0, 1, 2, 3};
static uint8_t host_mac[6];

static void readable(void *arg)
{
    (void)arg;
    told++;
}

static void linked(void *arg, bool up)
{
    (void)arg;
    downs += !up;
}

static const struct net_events events = {.readable = readable, .link = linked};

static int open_tap(const char *name, struct netif **out, struct err *e)
{
    struct cfg *rest = NULL;
    char spec[64];
    int rc;

    snprintf(spec, sizeof(spec), "tap=%s", name);
    rc = net_open(spec, loop, out, &rest, e);
    cfg_destroy(rest);
    return rc;
}

static void give(const struct net_meta *m, const uint8_t *f, size_t len)
{
    struct iovec iov[2] = {{(void *)(uintptr_t)f, 20}, {(void *)(uintptr_t)(f + 20), len - 20}};

    assert_int_equal(net->ops->send(net, m, iov, 2), len);
}

static long take(bool (*fits)(void))
{
    struct iovec iov[2] = {{got, 10}, {got + 10, sizeof(got) - 10}};

    for (int i = 0; i < 300; i++) {
        long len;

        while ((len = net->ops->recv(net, &got_meta, iov, 2)) >= 0) {
            if (fits())
                return len;
        }
        assert_int_equal(len, -EAGAIN);
        assert_true(loop_step(loop, 5000000) >= 0);
    }
    fail_msg("the frame did not come");
    return 0;
}

static bool is_arp_reply(void)
{
    return be16_at(got + 12) == 0x0806 && be16_at(got + 20) == 2;
}

static bool is_udp(void)
{
    return be16_at(got + 12) == 0x0800 && got[23] == 17 && be16_at(got + 36) == 5000;
}

static void ask_arp(void)
{
    static const uint8_t head[] = {0, 1, 8, 0, 6, 4, 0, 1};
    uint8_t f[60] = {0};

    memset(f, 0xff, 6);
    memcpy(f + 6, guest_mac, 6);
    be16_put(f + 12, 0x0806);
    memcpy(f + 14, head, sizeof(head));
    memcpy(f + 22, guest_mac, 6);
    inet_pton(AF_INET, "10.9.9.2", f + 28);
    inet_pton(AF_INET, "10.9.9.1", f + 38);
    give(&(struct net_meta){0}, f, sizeof(f));
}

static int set_up(void **state)
{
    struct ifreq r = {.ifr_name = "test0"};
    struct sockaddr_in *a = (struct sockaddr_in *)&r.ifr_addr;
    struct err e;
    int s, rc;

    (void)state;
    told = downs = 0;
    if (loop_create(&loop, &e) < 0 || open_tap("test0", &net, &e) < 0)
        return -1;
    net->ops->listen(net, &events, NULL);
    s = socket(AF_INET, SOCK_DGRAM, 0);
    a->sin_family = AF_INET;
    inet_pton(AF_INET, "10.9.9.1", &a->sin_addr);
    rc = ioctl(s, SIOCSIFADDR, &r);
    inet_pton(AF_INET, "255.255.255.0", &a->sin_addr);
    rc |= ioctl(s, SIOCSIFNETMASK, &r);
    close(s);
    ask_arp();
    take(is_arp_reply);
    memcpy(host_mac, got + 6, 6);
    return rc;
}

static int tear_down(void **state)
{
    (void)state;
    net_close(net);
    loop_destroy(loop);
    return 0;
}

static int udp_socket(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    int s = socket(AF_INET, SOCK_DGRAM, 0);

    assert_int_equal(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
    return s;
}

/* From the guest's port 5000 to the host's 4000. */
static void udp_head(uint8_t f[42])
{
    memcpy(f, host_mac, 6);
    memcpy(f + 6, guest_mac, 6);
    be16_put(f + 12, 0x0800);
    f[14] = 0x45;
    f[22] = 64;
    f[23] = 17;
    inet_pton(AF_INET, "10.9.9.2", f + 26);
    inet_pton(AF_INET, "10.9.9.1", f + 30);
    be16_put(f + 34, 5000);
    be16_put(f + 36, 4000);
}

static void open_checksums_cross_both_ways(void **state)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(5000)};
    int s = udp_socket(4000);
    uint8_t f[100] = {0};
    struct net_meta m = {0};
    char text[64] = "";

    (void)state;
    net->ops->set_caps(net, NET_CSUM, NET_CSUM);
    udp_head(f);
    memcpy(f + 42, "hello there", 11);
    assert_int_equal(net_csum_defer(f, 53, &m), 0);
    give(&m, f, 53);
    assert_int_equal(recv(s, text, sizeof(text), 0), 11);
    assert_string_equal(text, "hello there");
    inet_pton(AF_INET, "10.9.9.2", &to.sin_addr);
    assert_int_equal(sendto(s, "hi", 2, 0, (struct sockaddr *)&to, sizeof(to)), 2);
    ask_arp(); /* the kernel wants to know us too */
    assert_int_equal(take(is_udp), 44);
    assert_int_equal(got_meta.flags, NET_NEEDS_CSUM);
    assert_int_equal(got_meta.csum_start, 34);
    assert_int_equal(got_meta.csum_off, 6);
    assert_int_equal(net_csum_fill(got, 44, &got_meta), 0);
    close(s);
}

static void a_frame_in_many_pieces_goes_out_whole(void **state)
{
    int s = udp_socket(4000);
    uint8_t f[42 + 400] = {0}, in[sizeof(f)];
    struct iovec iov[sizeof(f)];
    struct net_meta m = {0};

    (void)state;
    _Static_assert(ARRAY_SIZE(iov) <= NET_VECTORS, "as many as the back ends promise to take");
    net->ops->set_caps(net, NET_CSUM, NET_CSUM);
    udp_head(f);
    for (size_t i = 42; i < sizeof(f); i++)
        f[i] = (uint8_t)i;
    assert_int_equal(net_csum_defer(f, sizeof(f), &m), 0);
    for (size_t i = 0; i < sizeof(f); i++)
        iov[i] = (struct iovec){f + i, 1};
    assert_int_equal(net->ops->send(net, &m, iov, sizeof(f)), sizeof(f));
    assert_int_equal(recv(s, in, sizeof(in), 0), 400);
    assert_memory_equal(in, f + 42, 400);
    close(s);
}

static void a_guest_without_buffers_does_not_make_the_loop_spin(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        ask_arp();
    for (int i = 0; i < 5; i++)
        (void)!loop_step(loop, 1000000);
    told = 0;
    for (int i = 0; i < 20; i++)
        (void)!loop_step(loop, 1000000);
    assert_in_range(told, 0, 1);
    take(is_arp_reply); /* asks by itself, and is told again */
    ask_arp();
    for (int i = 0; i < 5; i++)
        (void)!loop_step(loop, 1000000);
    assert_true(told >= 1);
}

static void a_frame_too_long_for_the_guest_is_dropped(void **state)
{
    struct iovec iov = {got, 41};
    struct net_meta m;
    long rc = -EAGAIN;

    (void)state;
    ask_arp();
    for (int i = 0; i < 200 && rc == -EAGAIN; i++) {
        rc = net->ops->recv(net, &m, &iov, 1);
        (void)!loop_step(loop, 1000000);
    }
    assert_int_equal(rc, -EMSGSIZE);
}

static void a_deleted_device_is_a_link_that_is_down(void **state)
{
    struct net_caps c;

    (void)state;
    net->ops->caps(net, &c);
    assert_true(c.link);
    assert_int_equal(system("ip link del test0"), 0);
    for (int i = 0; i < 50 && !downs; i++)
        (void)!loop_step(loop, 1000000);
    assert_int_equal(downs, 1);
    net->ops->caps(net, &c);
    assert_false(c.link);
}

static void names_that_cannot_be_are_refused(void **state)
{
    static const char *const bad[] = {"", "sixteencharacter", "a/b", "tap%d", "lo"};
    struct netif *n;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_true(open_tap(bad[i], &n, &e) < 0);
        assert_int_equal(e.exit, EX_USAGE_);
    }
    assert_int_equal(open_tap("test0", &n, &e), -EBUSY);
    assert_int_equal(e.exit, EX_IN_USE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(open_checksums_cross_both_ways),
        TEST(a_frame_in_many_pieces_goes_out_whole),
        TEST(a_guest_without_buffers_does_not_make_the_loop_spin),
        TEST(a_frame_too_long_for_the_guest_is_dropped),
        TEST(a_deleted_device_is_a_link_that_is_down),
        TEST(names_that_cannot_be_are_refused),
    };

    if (unshare(CLONE_NEWNET) < 0 || access("/dev/net/tun", R_OK | W_OK) < 0) {
        printf("no permission for a network namespace and tap devices\n");
        return 77; /* meson: skipped */
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
