/* SPDX-License-Identifier: Apache-2.0 */
/* Disk, card and platform device as a guest's front ends use them, and as broken ones do. */
#include "unit.h"

#include <stdlib.h>

#include "abi/bytes.h"
#include "core/err.h"
#include "core/gmem.h"
#include "core/loop.h"
#include "fakes/fake_env.h"
#include "personas/poll.h"
#include "personas/xen/platform.h"
#include "personas/xen/vbd.h"
#include "personas/xen/vif.h"
#include "personas/xen/xenbus.h"
#include "virtio/loopnet.h"
#include "virtio/memdisk.h"

enum { PAGE = 4096, SHARED = 0x5000, GRANTS = 0x9000, RING_A = 0x10000, RING_B = 0x11000 };
enum { RING_C = 0x12000, DATA = 0x20000, REF_A = 8, REF_B = 9, REF_C = 10, REF_DATA = 16 };
#define VIF "/local/domain/1/device/vif/0/"
#define VIF_BACK "/local/domain/0/backend/vif/1/0/state"
#define VIF_CARRIER "/local/domain/0/backend/vif/1/0/carrier"
#define VBD "/local/domain/1/device/vbd/51712/"
#define VBD_SECTORS "/local/domain/0/backend/vbd/1/51712/sectors"
#define VBD_BACK "/local/domain/0/backend/vbd/1/51712/state"

static struct fake_env f;
static struct xen *x;
static struct loopnet *net;
static unsigned port;

static void upcall(void *arg, unsigned cpu)
{
    (void)arg;
    (void)cpu;
}

static uint8_t *ram(gpa_t at)
{
    uint8_t *p = gmem_shared(f.env.mem, at, PAGE);

    assert_non_null(p);
    return p;
}

static void grant(unsigned ref, gpa_t at)
{
    uint8_t *e = ram(GRANTS) + 8 * (size_t)ref;

    le16_put(e, GTF_permit_access);
    le16_put(e + 2, 0);
    le32_put(e + 4, (uint32_t)(at / PAGE));
}

static uint16_t grant_flags(unsigned ref)
{
    return le16_at(ram(GRANTS) + 8 * (size_t)ref);
}

static unsigned new_port(void)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = 0};
    bool back;

    assert_int_equal(evtchn_op(x->ev, 0, EVTCHNOP_alloc_unbound, &a, sizeof(a), &back), 0);
    return a.port;
}

static void run(void)
{
    xenstore_run(x->store);
    fake_env_run(&f);
    xenstore_run(x->store);
}

static void ring_bell(void)
{
    struct evtchn_send s = {.port = port};
    bool back;

    assert_int_equal(evtchn_op(x->ev, 0, EVTCHNOP_send, &s, sizeof(s), &back), 0);
    run();
}

static void empty_ring(gpa_t at)
{
    memset(ram(at), 0, PAGE);
    le32_put(ram(at) + 4, 1);
    le32_put(ram(at) + 12, 1);
}

static int setup(void **state)
{
    struct err e;

    (void)state;
    fake_env_create(&f, 2 * MiB);
    x = calloc(1, sizeof(*x));
    assert_non_null(x);
    x->p.env.dev = f.env;
    x->p.env.cpus = 1;
    x->longmode = true;
    assert_int_equal(evtchn_create(f.env.mem, 1, upcall, NULL, &x->ev, &e), 0);
    assert_int_equal(grant_create(f.env.mem, &x->gr, &e), 0);
    assert_int_equal(xenstore_create(&x->store, &e), 0);
    evtchn_set_shared(x->ev, SHARED, true);
    assert_int_equal(grant_set_frame(x->gr, 0, false, GRANTS), 0);
    for (unsigned i = 0; i < 32; i++)
        grant(REF_DATA + i, DATA + i * PAGE);
    grant(REF_A, RING_A);
    grant(REF_B, RING_B);
    grant(REF_C, RING_C);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    xenbus_destroy(x);
    poller_destroy(x->poller);
    xenstore_destroy(x->store);
    evtchn_destroy(x->ev);
    grant_destroy(x->gr);
    free(x);
    fake_env_destroy(&f);
    return 0;
}

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

/* --- the disk --- */

static struct memdisk *disk;

static void connect_disk(void)
{
    empty_ring(RING_A);
    port = new_port();
    xs_put(x->store, VBD "ring-ref", "%d", REF_A);
    xs_put(x->store, VBD "event-channel", "%u", port);
    xs_put(x->store, VBD "protocol", "x86_64-abi");
    xs_put(x->store, VBD "state", "3");
    run();
    assert_int_equal(xs_get_u64(x->store, VBD_BACK, 0), XenbusStateConnected);
}

static void add_disk(void)
{
    struct disk_spec s = {.id = "disk0"};
    struct err e;

    disk = memdisk_create(f.env.loop, 64 * KiB);
    s.disk = &disk->d;
    assert_int_equal(vbd_add(x, &s, 0, &e), 0);
    run();
    connect_disk();
}

/* One segment: sectors first to last of the page behind ref. */
static void blk_put(unsigned at, uint8_t op, uint64_t sector, unsigned ref, unsigned first,
                    unsigned last)
{
    uint8_t *p = ram(RING_A) + 64 + 112 * (size_t)(at % 32);

    memset(p, 0, 112);
    p[0] = op;
    p[1] = 1;
    le64_put(p + 8, 0x1000 + at);
    le64_put(p + 16, sector);
    le32_put(p + 24, ref);
    p[28] = (uint8_t)first;
    p[29] = (uint8_t)last;
}

static void blk_go(unsigned prod)
{
    le32_put(ram(RING_A), prod);
    ring_bell();
}

static int blk_status(unsigned at)
{
    return (int16_t)le16_at(ram(RING_A) + 64 + 112 * (size_t)at + 10);
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    add_disk();
    memset(ram(DATA), 'w', PAGE);
    blk_put(0, 1, 8, REF_DATA, 2, 3);
    blk_put(1, 0, 8, REF_DATA + 1, 0, 1);
    blk_put(2, 3, 0, 0, 0, 0);
    ram(RING_A)[64 + 2 * 112 + 1] = 0; /* a flush has no segments */
    blk_go(3);
    assert_int_equal(le32_at(ram(RING_A) + 8), 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(blk_status(i), 0);
    assert_int_equal(ram(DATA + PAGE)[1023], 'w');
    assert_int_equal(ram(DATA + PAGE)[1024], 0);
    assert_int_equal(grant_flags(REF_DATA + 1), GTF_permit_access);
}

static void count_watch(void *arg, const char *path)
{
    (void)path;
    ++*(unsigned *)arg;
}

static void a_disk_that_grew_writes_its_state_again(void **state)
{
    unsigned watched = 0;
    struct xs_watch *w;

    (void)state;
    add_disk();
    w = xs_watch(x->store, VBD_BACK, count_watch, &watched);
    run();
    watched = 0;
    disk->d.shape.bytes = 96 * KiB;
    assert_true(vbd_grew(x, &disk->d));
    assert_int_equal(xs_get_u64(x->store, VBD_SECTORS, 0), 192);
    assert_int_equal(xs_get_u64(x->store, VBD_BACK, 0), XenbusStateConnected);
    assert_int_equal(watched, 1); /* at once: nothing else may come that sends events */
    assert_false(vbd_grew(x, NULL));
    run();
    assert_int_equal(watched, 1);
    xs_unwatch(x->store, w);
    disk->d.shape.bytes = 64 * KiB;
}

static void bad_requests_are_answered_with_an_error(void **state)
{
    (void)state;
    add_disk();
    blk_put(0, 0, 0, REF_DATA, 3, 2);          /* backwards */
    blk_put(1, 0, 0, REF_DATA, 0, 8);          /* beyond the page */
    blk_put(2, 0, 0, 500, 0, 7);               /* no such grant */
    blk_put(3, 0, 1000000, REF_DATA, 0, 7);    /* beyond the disk */
    blk_put(4, 0, UINT64_MAX, REF_DATA, 0, 7); /* wraps */
    blk_put(5, 99, 0, REF_DATA, 0, 7);         /* no such operation */
    blk_put(6, 0, 0, REF_DATA, 0, 7);
    ram(RING_A)[64 + 6 * 112 + 1] = 12; /* too many segments */
    blk_put(7, 6, 0, REF_DATA, 0, 7);   /* indirect without segments */
    blk_go(8);
    assert_int_equal(le32_at(ram(RING_A) + 8), 8);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(blk_status(i), i == 5 ? -2 : -1);
    assert_int_equal(grant_flags(REF_DATA), GTF_permit_access);
}

static void a_bad_segment_fails_its_request_alone(void **state)
{
    uint8_t *second = ram(RING_A) + 64 + 112;

    (void)state;
    add_disk();
    for (unsigned i = 0; i < 3; i++)
        blk_put(i, 0, 0, REF_DATA + i, 0, 7);
    second[1] = 2;
    le32_put(second + 32, 500); /* no such grant */
    blk_go(3);
    assert_int_equal(le32_at(ram(RING_A) + 8), 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(blk_status(i), i == 1 ? -1 : 0);
        assert_int_equal(grant_flags(REF_DATA + i), GTF_permit_access);
    }
}

static void an_indirect_request_is_answered_by_its_inner_operation(void **state)
{
    uint8_t *p = ram(RING_A) + 64;

    (void)state;
    add_disk();
    for (unsigned i = 0; i < 12; i++) { /* the list of segments lies in the page of REF_B */
        le32_put(ram(RING_B) + 8 * (size_t)i, REF_DATA + i);
        ram(RING_B)[8 * i + 4] = 0;
        ram(RING_B)[8 * i + 5] = 7;
    }
    memset(disk->bytes, 'i', 12 * PAGE);
    blk_put(0, 6, 0, 0, 0, 0);
    p[1] = 0; /* read */
    le16_put(p + 2, 12);
    le32_put(p + 28, REF_B);
    blk_go(1);
    assert_int_equal(le32_at(ram(RING_A) + 8), 1);
    assert_int_equal(p[8], 0);
    assert_int_equal(blk_status(0), 0);
    assert_int_equal(ram(DATA + 11 * PAGE)[PAGE - 1], 'i');
    assert_int_equal(grant_flags(REF_B), GTF_permit_access);
}

static void a_disk_reconnects_while_requests_are_out(void **state)
{
    (void)state;
    add_disk();
    disk->no_try = disk->hold = true;
    blk_put(0, 0, 0, REF_DATA, 0, 7);
    blk_go(1);
    assert_int_equal(le32_at(ram(RING_A) + 8), 0);
    assert_int_equal(disk->held_count, 1);
    xs_put(x->store, VBD "state", "6");
    run();
    xs_put(x->store, VBD "state", "1");
    run();
    assert_int_equal(xs_get_u64(x->store, VBD_BACK, 0), XenbusStateInitWait);
    connect_disk();
    memdisk_let_go(disk);
    run();
    assert_int_equal(le32_at(ram(RING_A) + 8), 0); /* the old request's answer went nowhere */
    assert_int_equal(grant_flags(REF_DATA), GTF_permit_access);
    disk->no_try = disk->hold = false;
    blk_put(0, 0, 0, REF_DATA, 0, 7);
    blk_go(1);
    assert_int_equal(le32_at(ram(RING_A) + 8), 1);
    assert_int_equal(blk_status(0), 0);
}

/* n reads as a front end makes them: it sends an event when it is asked to. How many it sent. */
static unsigned blk_burst(unsigned n)
{
    uint32_t old = le32_at(ram(RING_A)), new = old + n, event;

    for (uint32_t at = old; at != new; at++)
        blk_put(at, 0, 0, REF_DATA + at % 32, 0, 7);
    shared_store32(ram(RING_A), new);
    shared_barrier();
    event = shared_load32(ram(RING_A) + 4);
    if (new - event < n)
        ring_bell();
    for (unsigned wait = 0; shared_load32(ram(RING_A) + 8) != new; wait++) {
        assert_true(wait < 1000);
        assert_true(loop_step(f.env.loop, 10000000) >= 0);
    }
    for (uint32_t at = old; at != new; at++)
        assert_int_equal(blk_status(at % 32), 0);
    return new - event < n;
}

static void much_at_a_time_needs_no_events(void **state)
{
    unsigned sent = 0;

    (void)state;
    x->polls = true;
    add_disk();
    /* Now and then an event is held back, to see whether more comes. */
    for (unsigned i = 0; i < 200; i++)
        assert_true(blk_burst(1) || i >= 60);
    for (unsigned i = 0; i < 1100; i++)
        (void)blk_burst(8);
    for (unsigned i = 0; i < 20; i++)
        sent += blk_burst(16);
    assert_true(sent <= 10); /* a slow machine's thread may have given up waiting */
    for (unsigned i = 0; i < 60; i++)
        (void)blk_burst(1);
    sent = 0;
    for (unsigned i = 0; i < 20; i++)
        sent += blk_burst(1);
    assert_int_equal(sent, 20); /* whoever is alone is served at once */
    (void)blk_burst(16);
    xs_put(x->store, VBD "state", "6");
    run();
    xs_put(x->store, VBD "state", "1");
    run();
    connect_disk();
    assert_int_equal(blk_burst(1), 1);
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
        TEST(what_was_written_is_read),
        TEST(a_disk_that_grew_writes_its_state_again),
        TEST(bad_requests_are_answered_with_an_error),
        TEST(a_bad_segment_fails_its_request_alone),
        TEST(an_indirect_request_is_answered_by_its_inner_operation),
        TEST(a_disk_reconnects_while_requests_are_out),
        TEST(much_at_a_time_needs_no_events),
        TEST(the_unplug_ports_speak_the_protocol),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
