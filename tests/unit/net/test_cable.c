/* SPDX-License-Identifier: Apache-2.0 */
/* Frames over a unix socket, as two machines plug it, and the capture filter over it. */
#define _GNU_SOURCE
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/bytes.h"
#include "core/cfg.h"
#include "core/err.h"
#include "core/loop.h"
#include "core/usock.h"
#include "net/netif.h"

struct side {
    struct netif *n;
    unsigned frames, wrong, writable, ups, downs;
    bool deaf; /* has no buffers */
    bool busy; /* inside send() or recv(), where a card holds its lock */
    uint64_t bytes;
};

static struct loop *loop;
static char dir[64], path[100];
static uint8_t buf[NET_FRAME_MAX];

static long take(struct side *s)
{
    struct iovec iov[2] = {{buf, 100}, {buf + 100, sizeof(buf) - 100}};
    struct net_meta m;
    long len;

    s->busy = true;
    len = s->n->ops->recv(s->n, &m, iov, 2);
    s->busy = false;
    if (len < 0)
        return len;
    s->frames++;
    s->bytes += (uint64_t)len;
    for (long i = 16; i < len; i++) {
        if (buf[i] != (uint8_t)(buf[14] + i)) {
            s->wrong++;
            break;
        }
    }
    return len;
}

static void readable(void *arg)
{
    struct side *s = arg;

    for (int i = 0; !s->deaf && i < 5; i++) { /* a NIC may stop before the end */
        if (take(s) == -EAGAIN)
            break;
    }
}

static void writable(void *arg)
{
    struct side *s = arg;

    assert_false(s->busy);
    s->writable++;
}

static void linked(void *arg, bool up)
{
    struct side *s = arg;

    assert_false(s->busy);
    *(up ? &s->ups : &s->downs) += 1;
}

static const struct net_events events = {readable, writable, linked};

static void plug(struct side *s, const char *extra)
{
    struct cfg *rest;
    char spec[300];
    struct err e;

    memset(s, 0, sizeof(*s));
    snprintf(spec, sizeof(spec), "socket=%s%s", path, extra);
    if (net_open(spec, loop, &s->n, &rest, &e) < 0)
        fail_msg("%s", e.msg);
    assert_int_equal(cfg_finish(rest, "--nic", &e), 0);
    cfg_destroy(rest);
    s->n->ops->listen(s->n, &events, s);
}

static long give(struct side *s, uint8_t tag, size_t len)
{
    static uint8_t f[NET_FRAME_MAX + 64];
    struct iovec iov[3] = {{f, 7}, {f + 7, 30}, {f + 37, len - 37}};
    struct net_meta m = {0};
    long sent;

    f[14] = tag;
    for (size_t i = 16; i < len; i++)
        f[i] = (uint8_t)(tag + i);
    s->busy = true;
    sent = s->n->ops->send(s->n, &m, iov, 3);
    s->busy = false;
    return sent;
}

static void turn(int rounds)
{
    while (rounds-- > 0)
        assert_true(loop_step(loop, 1000000) >= 0);
}

static bool link_of(const struct side *s)
{
    struct net_caps c;

    s->n->ops->caps(s->n, &c);
    return c.link;
}

static int set_up(void **state)
{
    struct err e;

    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/hospes-test-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/cable", dir);
    return loop_create(&loop, &e);
}

static int tear_down(void **state)
{
    (void)state;
    loop_destroy(loop);
    return rmdir(dir);
}

static void frames_cross_both_ways(void **state)
{
    struct side a, b;

    (void)state;
    plug(&a, "");
    assert_false(link_of(&a));
    assert_int_equal(give(&a, 1, 60), 60); /* nobody there: dropped */
    plug(&b, "");
    turn(3);
    assert_true(link_of(&a) && link_of(&b));
    assert_int_equal(a.ups, 1);
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(give(&a, (uint8_t)i, 60 + i * 37), 60 + i * 37);
        assert_int_equal(give(&b, (uint8_t)i, NET_FRAME_MAX - i), NET_FRAME_MAX - i);
        turn(8);
    }
    assert_int_equal(a.frames, 40);
    assert_int_equal(b.frames, 40);
    assert_int_equal(a.wrong + b.wrong, 0);
    assert_int_equal(give(&a, 0, NET_FRAME_MAX + 1), -EMSGSIZE);
    net_close(b.n);
    net_close(a.n);
}

static void a_full_cable_holds_the_sender_and_loses_nothing(void **state)
{
    unsigned sent = 0;
    struct side a, b;

    (void)state;
    plug(&a, "");
    plug(&b, "");
    turn(2);
    b.deaf = true;
    while (sent < 10000 && give(&a, (uint8_t)sent, 1514) > 0) {
        sent++;
        turn(1);
    }
    assert_in_range(sent, 300, 9999);
    assert_int_equal(loop_step(loop, 0), 0); /* and nobody spins */
    b.deaf = false;
    readable(&b);
    turn((int)sent);
    assert_int_equal(b.frames, sent);
    assert_int_equal(b.wrong, 0);
    assert_int_equal(a.writable, 1);
    assert_int_equal(give(&a, 1, 1514), 1514);
    net_close(a.n);
    net_close(b.n);
}

static void a_cable_can_be_plugged_again(void **state)
{
    struct side a, b;

    (void)state;
    plug(&a, "");
    for (int i = 0; i < 3; i++) {
        plug(&b, "");
        turn(3);
        assert_int_equal(give(&b, 9, 100), 100);
        turn(3);
        net_close(b.n);
        turn(3);
    }
    assert_int_equal(a.frames, 3);
    assert_int_equal(a.downs, 3);
    plug(&b, "");
    turn(3);
    net_close(a.n); /* the listener leaves: the other takes its place */
    turn(3);
    assert_int_equal(b.downs, 1);
    for (int i = 0; i < 300 && access(path, F_OK) != 0; i++)
        assert_true(loop_step(loop, 10000000) >= 0);
    plug(&a, "");
    turn(3);
    assert_int_equal(give(&a, 3, 100), 100);
    turn(3);
    assert_int_equal(b.frames, 1);
    net_close(a.n);
    net_close(b.n);
}

/* A card that sends finds out before the loop does. */
static void a_cable_that_is_pulled_out_is_told_later(void **state)
{
    struct side a, b;

    (void)state;
    plug(&a, "");
    plug(&b, "");
    turn(3);
    net_close(b.n);
    assert_true(give(&a, 1, 100) > 0);
    assert_int_equal(a.downs, 0);
    assert_false(link_of(&a));
    turn(2);
    assert_int_equal(a.downs, 1);
    plug(&b, "");
    turn(3);
    assert_int_equal(a.ups, 2);
    net_close(a.n);
    net_close(b.n);
}

/* What cannot be a frame is found in recv() when the queue was full before. */
static void a_stream_that_ends_in_nonsense_is_told_later(void **state)
{
    static uint8_t junk[4 + 2000];
    struct side a;
    struct err e;
    int fd;

    (void)state;
    plug(&a, "");
    a.deaf = true;
    assert_int_equal(usock_connect(path, &fd, &e), 0);
    turn(2);
    be32_put(junk, 2000);
    for (unsigned i = 0; i < 2000 && send(fd, junk, sizeof(junk), MSG_DONTWAIT) > 0; i++)
        turn(1);
    memset(junk, 0xff, sizeof(junk));
    a.deaf = false;
    for (unsigned i = 0; i < 2000 && a.downs == 0; i++) {
        (void)!send(fd, junk, sizeof(junk), MSG_DONTWAIT | MSG_NOSIGNAL);
        readable(&a);
        turn(1);
    }
    assert_int_equal(a.downs, 1);
    close(fd);
    net_close(a.n);
}

static void a_peer_that_sends_nonsense_is_unplugged(void **state)
{
    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 1, 2, 3};
    static const uint8_t tiny[] = {0, 0, 0, 3, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 60};
    struct side a;
    struct err e;
    char c;
    int fd;

    (void)state;
    plug(&a, "");
    assert_int_equal(usock_connect(path, &fd, &e), 0);
    turn(2);
    assert_int_equal(write(fd, huge, sizeof(huge)), sizeof(huge));
    turn(3);
    assert_int_equal(recv(fd, &c, 1, 0), 0);
    close(fd);
    assert_int_equal(a.downs, 1);
    assert_int_equal(usock_connect(path, &fd, &e), 0);
    turn(2);
    for (size_t i = 0; i < sizeof(tiny); i++) {
        assert_int_equal(write(fd, tiny + i, 1), 1);
        turn(1);
    }
    close(fd); /* in the middle of a frame */
    turn(3);
    assert_int_equal(a.frames, 0);
    assert_int_equal(a.downs, 2);
    net_close(a.n);
}

static void a_capture_holds_every_frame(void **state)
{
    char file[120], extra[140];
    uint8_t head[24], rec[16];
    struct side a, b;
    unsigned n = 0;
    struct err e;
    struct cfg *rest;
    FILE *f;

    (void)state;
    snprintf(file, sizeof(file), "%s/dump", dir);
    snprintf(extra, sizeof(extra), ",capture=%s", file);
    plug(&a, extra);
    plug(&b, "");
    turn(3);
    for (unsigned i = 0; i < 10; i++) {
        assert_true(give(&a, (uint8_t)i, 60 + i) > 0);
        assert_true(give(&b, (uint8_t)i, 160 + i) > 0);
        turn(4);
    }
    assert_int_equal(a.n->stats.rx_frames, 10);
    net_close(a.n);
    net_close(b.n);
    f = fopen(file, "r");
    assert_int_equal(fread(head, 1, 24, f), 24);
    assert_int_equal(le32_at(head), 0xa1b23c4d);
    assert_int_equal(le32_at(head + 20), 1);
    while (fread(rec, 1, 16, f) == 16) {
        size_t len = le32_at(rec + 8);

        assert_int_equal(fread(buf, 1, len, f), len);
        assert_in_range(len, 60, 169);
        assert_int_equal(buf[20], (uint8_t)(buf[14] + 20));
        n++;
    }
    assert_int_equal(n, 20);
    fclose(f);
    unlink(file);
    snprintf(extra, sizeof(extra), "socket=%s,capture=/nowhere/x", path);
    assert_true(net_open(extra, loop, &a.n, &rest, &e) < 0);
    assert_int_equal(e.exit, EX_MISSING);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(frames_cross_both_ways),
        TEST(a_full_cable_holds_the_sender_and_loses_nothing),
        TEST(a_cable_can_be_plugged_again),
        TEST(a_peer_that_sends_nonsense_is_unplugged),
        TEST(a_capture_holds_every_frame),
        TEST(a_cable_that_is_pulled_out_is_told_later),
        TEST(a_stream_that_ends_in_nonsense_is_told_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
