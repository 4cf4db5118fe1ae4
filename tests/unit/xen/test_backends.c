/* SPDX-License-Identifier: Apache-2.0 */
/* Card and platform device as a guest's front ends use them, and as broken ones do. */
#include "backend_kit.h"

#include "personas/xen/platform.h"
#include "personas/xen/vif.h"
#include "virtio/loopnet.h"

#define VIF "/local/domain/1/device/vif/0/"
#define VIF_BACK "/local/domain/0/backend/vif/1/0/state"
#define VIF_CARRIER "/local/domain/0/backend/vif/1/0/carrier"

static struct loopnet *net;

/* --- the card --- */

static void add_card(uint32_t caps)
{
    struct nic_spec s = {.id = "nic0", .mac = {2, 0, 0, 0, 0, 9}};
    struct err e;

    net = loopnet_create(f.env.loop);
    net->tx_caps = net->rx_caps = caps;
    s.netif = &net->n;
    assert_int_equal(vif_add(x, &s, 0, &e), 0);
    run();
}

static void connect_card(void)
{
    empty_ring(RING_A);
    empty_ring(RING_B);
    port = new_port();
    xs_put(x->store, VIF "tx-ring-ref", "%d", REF_A);
    xs_put(x->store, VIF "rx-ring-ref", "%d", REF_B);
    xs_put(x->store, VIF "event-channel", "%u", port);
    xs_put(x->store, VIF "request-rx-copy", "1");
    xs_put(x->store, VIF "feature-sg", "1");
    xs_put(x->store, VIF "feature-gso-tcpv4", "1");
    xs_put(x->store, VIF "state", "4");
    run();
}

static void tx_put(unsigned at, unsigned ref, unsigned off, unsigned flags, unsigned size)
{
    uint8_t *p = ram(RING_A) + 64 + 12 * (size_t)(at % 256);

    le32_put(p, ref);
    le16_put(p + 4, (uint16_t)off);
    le16_put(p + 6, (uint16_t)flags);
    le16_put(p + 8, (uint16_t)at);
    le16_put(p + 10, (uint16_t)size);
}

static void tx_go(unsigned prod)
{
    le32_put(ram(RING_A), prod);
    ring_bell();
}

static int tx_status(unsigned at)
{
    return (int16_t)le16_at(ram(RING_A) + 64 + 12 * (size_t)at + 2);
}

/* n receive requests, one page each. */
static void rx_put(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint8_t *p = ram(RING_B) + 64 + 8 * (size_t)i;

        le16_put(p, (uint16_t)i);
        le32_put(p + 4, REF_DATA + i);
    }
    le32_put(ram(RING_B), n);
    ring_bell();
}

static void a_frame_in_pieces_is_sent_whole(void **state)
{
    (void)state;
    add_card(NET_CSUM);
    connect_card();
    assert_int_equal(xs_get_u64(x->store, VIF_BACK, 0), XenbusStateConnected);
    memset(ram(DATA), 'a', PAGE);
    memset(ram(DATA + PAGE), 'b', PAGE);
    tx_put(0, REF_DATA, 100, 4, 1000);
    tx_put(1, REF_DATA + 1, 0, 0, 400);
    tx_go(2);
    assert_int_equal(net->sent, 1);
    assert_int_equal(net->last.len, 1000);
    assert_int_equal(net->last.bytes[599], 'a');
    assert_int_equal(net->last.bytes[600], 'b');
    assert_int_equal(le32_at(ram(RING_A) + 8), 2);
    assert_int_equal(tx_status(0), 0);
    assert_int_equal(grant_flags(REF_DATA), GTF_permit_access);
}

static void a_frame_waits_for_the_network(void **state)
{
    (void)state;
    add_card(NET_CSUM);
    connect_card();
    net->full = true;
    tx_put(0, REF_DATA, 0, 0, 60);
    tx_go(1);
    assert_int_equal(le32_at(ram(RING_A) + 8), 0);
    assert_true(grant_flags(REF_DATA) & GTF_reading);
    net->full = false;
    net->ev->writable(net->arg);
    assert_int_equal(net->sent, 1);
    assert_int_equal(le32_at(ram(RING_A) + 8), 1);
    assert_int_equal(grant_flags(REF_DATA), GTF_permit_access);
}

static void bad_frames_are_answered_with_an_error(void **state)
{
    (void)state;
    add_card(NET_CSUM | NET_TSO4);
    connect_card();
    tx_put(0, 500, 0, 0, 60);         /* no such grant */
    tx_put(1, REF_DATA, 4090, 0, 60); /* leaves its page */
    tx_put(2, REF_DATA, 0, 0, 13);    /* no Ethernet header */
    tx_put(3, REF_DATA, 0, 4, 60);    /* the rest is more than all */
    tx_put(4, REF_DATA, 0, 0, 61);
    tx_put(5, REF_DATA, 0, 1, 60); /* a checksum of what is not IP */
    tx_put(6, REF_DATA, 0, 8, 60); /* an extra of no known kind */
    memset(ram(RING_A) + 64 + 12 * 7, 0, 12);
    tx_go(8);
    assert_int_equal(le32_at(ram(RING_A) + 8), 8);
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(tx_status(i), -1);
    assert_int_equal(tx_status(7), 1);
    assert_int_equal(net->sent, 0);
    assert_int_equal(grant_flags(REF_DATA), GTF_permit_access);
}

static void a_ring_that_lies_stops_and_reconnects(void **state)
{
    (void)state;
    add_card(NET_CSUM);
    connect_card();
    tx_go(1000);
    assert_int_equal(le32_at(ram(RING_A) + 8), 0);
    xs_put(x->store, VIF "state", "6");
    run();
    assert_int_equal(xs_get_u64(x->store, VIF_BACK, 0), XenbusStateClosed);
    assert_int_equal(grant_flags(REF_A), GTF_permit_access);
    xs_put(x->store, VIF "state", "1");
    run();
    assert_int_equal(xs_get_u64(x->store, VIF_BACK, 0), XenbusStateInitWait);
    connect_card();
    tx_put(0, REF_DATA, 0, 0, 60);
    tx_go(1);
    assert_int_equal(net->sent, 1);
}

static void a_frame_without_an_end_stops_the_ring(void **state)
{
    (void)state;
    add_card(NET_CSUM);
    connect_card();
    tx_put(0, REF_DATA, 0, 4, 60);
    tx_go(1);
    assert_int_equal(net->sent, 0);
    for (unsigned i = 0; i < 40; i++)
        tx_put(i, REF_DATA, 0, 4, 60);
    tx_go(40);
    assert_int_equal(net->sent, 0);
}

static void a_long_frame_is_received_over_pages(void **state)
{
    static uint8_t frame[6000];
    struct net_meta m = {
        .flags = NET_NEEDS_CSUM, .gso = NET_GSO_TCP4, .gso_size = 1448, .csum_start = 34};
    uint8_t *rsp;

    (void)state;
    add_card(NET_CSUM | NET_TSO4);
    connect_card();
    assert_int_equal(net->rx_set, NET_CSUM | NET_TSO4);
    memset(frame, 'r', sizeof(frame));
    loopnet_put(net, frame, sizeof(frame), &m);
    run();
    assert_int_equal(le32_at(ram(RING_B) + 8), 0); /* no pages: it waits */
    rx_put(32);
    rsp = ram(RING_B) + 64;
    assert_int_equal(le32_at(ram(RING_B) + 8), 3);
    assert_int_equal(le16_at(rsp + 4), 1 | 2 | 4 | 8); /* validated, blank, more, extra */
    assert_int_equal(le16_at(rsp + 6), PAGE);
    assert_int_equal(rsp[8], 1);
    assert_int_equal(le16_at(rsp + 10), 1448);
    assert_int_equal(le16_at(rsp + 16), 2); /* the third request's id */
    assert_int_equal(le16_at(rsp + 22), 6000 - PAGE);
    assert_int_equal(ram(DATA + 2 * PAGE)[6000 - PAGE - 1], 'r');
    assert_int_equal(ram(DATA + 2 * PAGE)[6000 - PAGE], 0);
}

static void wrong_keys_do_not_connect(void **state)
{
    (void)state;
    add_card(NET_CSUM);
    xs_put(x->store, VIF "tx-ring-ref", "700");
    xs_put(x->store, VIF "rx-ring-ref", "%d", REF_B);
    xs_put(x->store, VIF "event-channel", "77");
    xs_put(x->store, VIF "request-rx-copy", "1");
    xs_put(x->store, VIF "state", "4");
    run();
    assert_int_equal(xs_get_u64(x->store, VIF_BACK, 0), XenbusStateClosing);
    assert_int_equal(grant_flags(REF_B), GTF_permit_access);
}

/* A request on the control ring; its status, and what came with it. */
static unsigned ctrl_port, ctrl_prod;

static void connect_ctrl(void)
{
    empty_ring(RING_C);
    ctrl_prod = 0;
    ctrl_port = new_port();
    xs_put(x->store, VIF "ctrl-ring-ref", "%d", REF_C);
    xs_put(x->store, VIF "event-channel-ctrl", "%u", ctrl_port);
    connect_card();
    assert_int_equal(xs_get_u64(x->store, VIF_BACK, 0), XenbusStateConnected);
}

static unsigned ctrl(unsigned type, uint32_t a, uint32_t b, uint32_t c, uint32_t *value)
{
    uint8_t *p = ram(RING_C) + 64 + 16 * (size_t)(ctrl_prod % 128);
    unsigned card = port;

    le16_put(p, (uint16_t)(ctrl_prod + 7));
    le16_put(p + 2, (uint16_t)type);
    le32_put(p + 4, a);
    le32_put(p + 8, b);
    le32_put(p + 12, c);
    le32_put(ram(RING_C), ++ctrl_prod);
    port = ctrl_port;
    ring_bell();
    port = card;
    assert_int_equal(le32_at(ram(RING_C) + 8), ctrl_prod);
    assert_int_equal(le16_at(p), ctrl_prod + 6);
    assert_int_equal(le16_at(p + 2), type);
    if (value)
        *value = le32_at(p + 8);
    return le32_at(p + 4);
}

static void the_control_ring_refuses_what_makes_no_sense(void **state)
{
    uint32_t v;

    (void)state;
    add_card(NET_CSUM);
    connect_ctrl();
    assert_int_equal(ctrl(0, 0, 0, 0, NULL), 1);
    assert_int_equal(ctrl(9, 0, 0, 0, NULL), 1); /* static grants */
    assert_int_equal(ctrl(0xffff, 0, 0, 0, NULL), 1);
    assert_int_equal(ctrl(1, 0, 0, 0, NULL), 1); /* kinds of no algorithm */
    assert_int_equal(ctrl(2, 1, 0, 0, NULL), 1);
    assert_int_equal(ctrl(7, 2, 0, 0, NULL), 2); /* an algorithm that is not there */
    assert_int_equal(ctrl(7, 1, 0, 0, NULL), 0);
    assert_int_equal(ctrl(1, 0, 0, 0, &v), 0);
    assert_int_equal(v, 15);
    assert_int_equal(ctrl(2, 16, 0, 0, NULL), 2);
    assert_int_equal(ctrl(3, REF_DATA, 41, 0, NULL), 3); /* too long a key */
    assert_int_equal(ctrl(3, 500, 40, 0, NULL), 2);      /* no such grant */
    assert_int_equal(ctrl(3, 500, 0, 0, NULL), 0);       /* no key needs none */
    assert_int_equal(ctrl(4, 0, 0, 0, &v), 0);
    assert_int_equal(v, 128);
    assert_int_equal(ctrl(5, 129, 0, 0, NULL), 2);
    assert_int_equal(ctrl(5, 4, 0, 0, NULL), 0);
    assert_int_equal(ctrl(6, REF_DATA, 3, 2, NULL), 3); /* leaves the table */
    assert_int_equal(ctrl(6, REF_DATA, 2, 0xffffffff, NULL), 3);
    le32_put(ram(DATA), 1); /* there is queue 0 alone */
    assert_int_equal(ctrl(6, REF_DATA, 2, 2, NULL), 2);
    le32_put(ram(DATA), 0);
    assert_int_equal(ctrl(6, REF_DATA, 2, 2, NULL), 0);
    assert_int_equal(grant_flags(REF_DATA), GTF_permit_access);
    le32_put(ram(RING_C), ctrl_prod + 129); /* a producer that lies: nothing is answered */
    port = ctrl_port;
    ring_bell();
    assert_int_equal(le32_at(ram(RING_C) + 8), ctrl_prod);
}

/* TCP over IPv4, from Microsoft's values to verify the hash. */
static size_t known_frame(uint8_t to[60])
{
    static const uint8_t flow[] = {66, 9, 149, 187, 161, 142, 100, 80, 0x0a, 0xea, 0x06, 0xe6};

    memset(to, 0, 60);
    to[0] = 2;
    be16_put(to + 12, 0x0800);
    to[14] = 0x45;
    be16_put(to + 16, 40);
    to[23] = 6;
    memcpy(to + 26, flow, sizeof(flow));
    to[46] = 0x50;
    return 54;
}

static void frames_come_with_the_hash_that_was_asked_for(void **state)
{
    static const uint8_t key[] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
                                  0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb};
    uint8_t frame[60], *rsp = ram(RING_B) + 64;

    (void)state;
    add_card(NET_CSUM);
    connect_ctrl();
    memcpy(ram(DATA), key, sizeof(key));
    assert_int_equal(ctrl(7, 1, 0, 0, NULL), 0);
    assert_int_equal(ctrl(3, REF_DATA, sizeof(key), 0, NULL), 0);
    assert_int_equal(ctrl(2, 3, 0, 0, NULL), 0);
    rx_put(32);
    loopnet_put(net, frame, known_frame(frame), NULL);
    run();
    assert_int_equal(le32_at(ram(RING_B) + 8), 2);
    assert_int_equal(le16_at(rsp + 4), 8); /* an extra follows */
    assert_int_equal(rsp[8], 4);           /* the hash's */
    assert_int_equal(rsp[9], 0);
    assert_int_equal(rsp[10], 1); /* of kind IPV4_TCP */
    assert_int_equal(rsp[11], 1); /* Toeplitz */
    assert_int_equal(le32_at(rsp + 12), 0x51ccc178);
    assert_int_equal(ctrl(7, 0, 0, 0, NULL), 0); /* and without again */
    loopnet_put(net, frame, known_frame(frame), NULL);
    run();
    assert_int_equal(le32_at(ram(RING_B) + 8), 3);
    assert_int_equal(le16_at(rsp + 16 + 4), 0);
}

/* A request that is no frame: one extra, to add (2) or take away (3) a group. */
static void group_put(unsigned at, unsigned kind, const uint8_t mac[6])
{
    uint8_t *p = ram(RING_A) + 64 + 12 * (size_t)(at + 1);

    tx_put(at, REF_DATA, 0, 8, 0);
    memset(p, 0, 12);
    p[0] = (uint8_t)kind;
    memcpy(p + 2, mac, 6);
}

static void groups_that_were_not_named_are_not_received(void **state)
{
    static const uint8_t group[6] = {1, 0, 0x5e, 0, 0, 1}, other[6] = {1, 0, 0x5e, 0, 0, 2};
    static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, mine[6] = {2};
    const uint8_t *const to[] = {group, other, all, mine};
    uint8_t frame[60] = {0};

    (void)state;
    add_card(NET_CSUM);
    xs_put(x->store, VIF "request-multicast-control", "1");
    connect_card();
    group_put(0, 2, group);
    group_put(2, 2, mine);  /* no group */
    group_put(4, 3, other); /* was not added */
    tx_go(6);
    assert_int_equal(le32_at(ram(RING_A) + 8), 6);
    assert_int_equal(tx_status(0), 0);
    assert_int_equal(tx_status(1), 1);
    assert_int_equal(tx_status(2), -1);
    assert_int_equal(tx_status(4), -1);
    assert_int_equal(net->sent, 0);
    rx_put(32);
    for (unsigned i = 0; i < 4; i++) {
        memcpy(frame, to[i], 6);
        loopnet_put(net, frame, sizeof(frame), NULL);
    }
    run();
    assert_int_equal(le32_at(ram(RING_B) + 8), 3); /* all but other */
    group_put(6, 3, group);
    tx_go(8);
    assert_int_equal(tx_status(6), 0);
    memcpy(frame, group, 6);
    loopnet_put(net, frame, sizeof(frame), NULL);
    run();
    assert_int_equal(le32_at(ram(RING_B) + 8), 3);
}

static void the_carrier_is_a_key(void **state)
{
    (void)state;
    add_card(NET_CSUM);
    connect_card();
    assert_int_equal(xs_get_u64(x->store, VIF_CARRIER, 7), 1);
    net->ev->link(net->arg, false);
    assert_int_equal(xs_get_u64(x->store, VIF_CARRIER, 7), 0);
}

/* --- the platform device --- */

static void count_unplug(void *arg, unsigned bits)
{
    *(unsigned *)arg += bits;
}

static void the_unplug_ports_speak_the_protocol(void **state)
{
    unsigned unplugged = 0;
    struct xen_platform *p;
    struct err e;

    (void)state;
    assert_int_equal(xen_platform_add(&f.env, NULL, count_unplug, &unplugged, &p, &e), 0);
    assert_int_equal(fake_env_in(&f, 0x10, 2), 0x49d2);
    assert_int_equal(fake_env_in(&f, 0x12, 1), 1);
    fake_env_out(&f, 0x12, 2, 3);
    fake_env_out(&f, 0x10, 4, 1);
    assert_int_equal(fake_env_in(&f, 0x10, 2), 0x49d2);
    fake_env_out(&f, 0x10, 2, 3);
    assert_int_equal(unplugged, XEN_UNPLUG_IDE_DISKS | XEN_UNPLUG_NICS);
    for (unsigned i = 0; i < 1000; i++)
        fake_env_out(&f, 0x12, 1, 'x');
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_frame_in_pieces_is_sent_whole),
        TEST(a_frame_waits_for_the_network),
        TEST(bad_frames_are_answered_with_an_error),
        TEST(a_ring_that_lies_stops_and_reconnects),
        TEST(a_frame_without_an_end_stops_the_ring),
        TEST(a_long_frame_is_received_over_pages),
        TEST(wrong_keys_do_not_connect),
        TEST(the_control_ring_refuses_what_makes_no_sense),
        TEST(frames_come_with_the_hash_that_was_asked_for),
        TEST(groups_that_were_not_named_are_not_received),
        TEST(the_carrier_is_a_key),
        TEST(the_unplug_ports_speak_the_protocol),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
