/* SPDX-License-Identifier: Apache-2.0 */
/* The network device under a scripted guest: frames both ways, offloads, filters, resets. */
#include "unit.h"

#include <stdlib.h>

#include "abi/virtio_net.h"
#include "core/err.h"
#include "core/gmem.h"
#include "core/loop.h"
#include "personas/kvm/devices.h"
#include "virtio/guest.h"
#include "virtio/loopnet.h"

#define ALL UINT64_MAX
#define SPLIT (~(VIRTIO_F_RING_PACKED))

static const uint8_t mac[6] = {0x52, 0x54, 0, 1, 2, 3};

struct bench {
    struct guest g;
    struct loopnet *net;
    gpa_t tx, rx;
    unsigned hdr;
};

static void bench_open(struct bench *b, unsigned pairs)
{
    struct virtio_options o = {.packed = true, .indirect = true, .devfn = -1};
    struct nic_spec s = {.id = "nic0"};
    struct err e = {0};

    guest_open(&b->g);
    b->net = loopnet_create(b->g.f.env.loop);
    s.netif = &b->net->n;
    memcpy(s.mac, mac, 6);
    assert_int_equal(net_create(&b->g.f.env, &o, &s, pairs, &e), 0);
    guest_find(&b->g, true);
    b->tx = guest_alloc(&b->g, 70000, 4096);
    b->rx = guest_alloc(&b->g, 256 * 2048, 4096);
}

static void bench_start(struct bench *b, bool legacy, uint64_t want, unsigned queues)
{
    guest_start(&b->g, legacy, want, queues);
    b->hdr = !legacy || b->g.features & VIRTIO_NET_F_MRG_RXBUF ? 12 : 10;
}

/* n receive buffers of 2 KiB; without merging the header has a descriptor of its own. */
static void post_rx(struct bench *b, unsigned q, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        gpa_t at = b->rx + 2048 * i;
        struct guest_buf two[] = {{at, b->hdr, true}, {at + b->hdr, 2048 - b->hdr, true}};
        struct guest_buf one[] = {{at, 2048, true}};

        if (b->g.features & VIRTIO_NET_F_MRG_RXBUF)
            guest_add(&b->g, q, one, 1, false);
        else
            guest_add(&b->g, q, two, 2, false);
    }
    guest_kick(&b->g, q);
    fake_env_run(&b->g.f);
}

static void make_frame(uint8_t *f, size_t n, const uint8_t *to)
{
    for (size_t i = 0; i < n; i++)
        f[i] = (uint8_t)(i * 7 + i / 256);
    memcpy(f, to, 6);
    f[12] = 0x08;
    f[13] = 0;
}

static void send_frame(struct bench *b, unsigned q, const struct virtio_net_hdr *h,
                       const uint8_t *f, size_t n)
{
    struct guest_buf buf[] = {{b->tx, b->hdr, false}, {b->tx + b->hdr, (uint32_t)n, false}};
    uint32_t len;
    uint16_t id;

    assert_int_equal(gmem_write(b->g.f.env.mem, b->tx, h, b->hdr), 0);
    assert_int_equal(gmem_write(b->g.f.env.mem, b->tx + b->hdr, f, n), 0);
    guest_add(&b->g, q, buf, 2, false);
    guest_kick(&b->g, q);
    fake_env_run(&b->g.f);
    if (!b->net->full)
        assert_true(guest_used(&b->g, q, &id, &len));
}

static void frames_pass_both_ways(void **state)
{
    static const struct {
        bool legacy;
        uint64_t want;
    } kinds[] = {
        {true, 0},
        {true, ALL},
        {false, SPLIT},
        {false, ALL},
        {false, VIRTIO_F_VERSION_1},
        {false, VIRTIO_F_VERSION_1 | VIRTIO_F_RING_PACKED},
    };
    static const struct virtio_net_hdr none;
    uint8_t f[1514], got[1526];

    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
        struct bench b;
        uint32_t len;
        uint16_t id;

        bench_open(&b, 1);
        bench_start(&b, kinds[k].legacy, kinds[k].want, 3);
        post_rx(&b, 0, 64);
        for (unsigned i = 0; i < 600; i++) {
            size_t n = 60 + i * 13 % 1400;

            make_frame(f, n, mac);
            send_frame(&b, 1, &none, f, n);
            assert_int_equal(b.net->last.len, n);
            assert_memory_equal(b.net->last.bytes, f, n);
            loopnet_put(b.net, f, n, NULL);
            fake_env_run(&b.g.f);
            assert_true(guest_used(&b.g, 0, &id, &len));
            assert_int_equal(len, n + b.hdr);
            if (i == 0) {
                assert_int_equal(gmem_read(b.g.f.env.mem, b.rx, got, len), 0);
                assert_memory_equal(got + b.hdr, f, n);
                assert_int_equal(got[0] | got[1], 0);
                if (b.hdr == 12)
                    assert_int_equal(got[10], 1); /* one buffer */
            }
            if (i % 32 == 31)
                post_rx(&b, 0, 32);
        }
        assert_int_equal(b.net->sent, 600);
        guest_close(&b.g);
    }
}

static void a_large_frame_spreads_over_merged_buffers(void **state)
{
    static uint8_t f[60000];
    struct net_meta m = {.flags = NET_NEEDS_CSUM,
                         .csum_start = 34,
                         .csum_off = 16,
                         .gso = NET_GSO_TCP4,
                         .gso_size = 1448,
                         .hdr_len = 54};
    uint64_t kinds[] = {SPLIT, ALL};

    for (size_t k = 0; k < 2; k++) {
        struct bench b;
        unsigned buffers = 0, total = 0;
        uint32_t len;
        uint16_t id;

        bench_open(&b, 1);
        bench_start(&b, false, kinds[k], 3);
        assert_int_equal(b.net->rx_set, NET_CSUM | NET_TSO4 | NET_TSO6);
        post_rx(&b, 0, 100);
        make_frame(f, sizeof(f), mac);
        loopnet_put(b.net, f, sizeof(f), &m);
        fake_env_run(&b.g.f);
        while (guest_used(&b.g, 0, &id, &len)) {
            buffers++;
            total += len;
        }
        assert_int_equal(buffers, 30);
        assert_int_equal(total, sizeof(f) + 12);
        assert_int_equal(guest_peek(&b.g, b.rx, 1), VIRTIO_NET_HDR_F_NEEDS_CSUM);
        assert_int_equal(guest_peek(&b.g, b.rx + 1, 1), VIRTIO_NET_HDR_GSO_TCPV4);
        assert_int_equal(guest_peek(&b.g, b.rx + 4, 2), 1448);
        assert_int_equal(guest_peek(&b.g, b.rx + 6, 2), 34);
        assert_int_equal(guest_peek(&b.g, b.rx + 10, 2), 30);
        guest_close(&b.g);
    }
}

static void frames_wait_for_buffers_and_none_is_lost(void **state)
{
    struct bench b;
    uint8_t f[100];
    uint32_t len;
    uint16_t id;

    bench_open(&b, 1);
    bench_start(&b, false, SPLIT & ~(VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6), 3);
    make_frame(f, sizeof(f), mac);
    for (unsigned i = 0; i < 10; i++)
        loopnet_put(b.net, f, sizeof(f), NULL);
    fake_env_run(&b.g.f);
    assert_int_equal(b.net->count, 10);
    post_rx(&b, 0, 4);
    for (unsigned i = 0; i < 4; i++)
        assert_true(guest_used(&b.g, 0, &id, &len));
    assert_false(guest_used(&b.g, 0, &id, &len));
    post_rx(&b, 0, 10);
    for (unsigned i = 0; i < 6; i++)
        assert_true(guest_used(&b.g, 0, &id, &len));
    assert_int_equal(b.net->count, 0);
    guest_close(&b.g);
}

static void a_full_back_end_holds_frames_in_order(void **state)
{
    static const struct virtio_net_hdr none;
    struct bench b;
    uint8_t f[100];
    uint32_t len;
    uint16_t id;

    bench_open(&b, 1);
    bench_start(&b, false, SPLIT, 3);
    make_frame(f, sizeof(f), mac);
    b.net->full = true;
    send_frame(&b, 1, &none, f, sizeof(f));
    send_frame(&b, 1, &none, f, sizeof(f));
    assert_false(guest_used(&b.g, 1, &id, &len));
    b.net->full = false;
    b.net->ev->writable(b.net->arg);
    assert_int_equal(b.net->sent, 2);
    assert_true(guest_used(&b.g, 1, &id, &len));
    assert_true(guest_used(&b.g, 1, &id, &len));
    /* A reset forgets what is held. */
    b.net->full = true;
    send_frame(&b, 1, &none, f, sizeof(f));
    guest_status_set(&b.g, 0);
    assert_int_equal(guest_status(&b.g), 0);
    b.net->full = false;
    b.net->ev->writable(b.net->arg);
    assert_int_equal(b.net->sent, 2);
    guest_close(&b.g);
}

static void headers_that_lie_drop_the_frame(void **state)
{
    struct virtio_net_hdr good = {.flags = 1,
                                  .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                                  .gso_size = le16_of(1000),
                                  .csum_start = le16_of(34),
                                  .csum_offset = le16_of(16)};
    struct virtio_net_hdr h;
    struct bench b;
    uint8_t f[3000];

    bench_open(&b, 1);
    bench_start(&b, false, SPLIT, 3);
    make_frame(f, sizeof(f), mac);
    send_frame(&b, 1, &good, f, sizeof(f));
    assert_int_equal(b.net->sent, 1);
    assert_int_equal(b.net->last.meta.gso, NET_GSO_TCP4);
    assert_int_equal(b.net->last.meta.gso_size, 1000);
    h = good;
    h.csum_start = le16_of(2990);
    send_frame(&b, 1, &h, f, sizeof(f));
    h = good;
    h.csum_start = h.csum_offset = le16_of(65535);
    send_frame(&b, 1, &h, f, sizeof(f));
    h = good;
    h.gso_size = le16_of(0);
    send_frame(&b, 1, &h, f, sizeof(f));
    h = good;
    h.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4; /* not offered */
    send_frame(&b, 1, &h, f, sizeof(f));
    h.gso_type = 99;
    send_frame(&b, 1, &h, f, sizeof(f));
    h = good;
    h.gso_type |= VIRTIO_NET_HDR_GSO_ECN; /* not offered */
    send_frame(&b, 1, &h, f, sizeof(f));
    send_frame(&b, 1, &good, f, 13); /* not a frame */
    assert_int_equal(b.net->sent, 1);
    assert_false(guest_status(&b.g) & VIRTIO_STATUS_DEVICE_NEEDS_RESET);
    guest_close(&b.g);
}

static uint8_t ctrl(struct bench *b, unsigned q, uint8_t class, uint8_t command, const void *arg,
                    size_t n)
{
    struct guest_buf buf[] = {
        {b->tx, 2, false}, {b->tx + 2, (uint32_t)n, false}, {b->tx + 4096, 1, true}};
    uint32_t len;
    uint16_t id;

    guest_poke(&b->g, b->tx, 2, class | command << 8);
    assert_int_equal(gmem_write(b->g.f.env.mem, b->tx + 2, arg, n), 0);
    guest_poke(&b->g, b->tx + 4096, 1, 0xaa);
    guest_add(&b->g, q, buf, 3, false);
    guest_kick(&b->g, q);
    fake_env_run(&b->g.f);
    assert_true(guest_used(&b->g, q, &id, &len));
    return (uint8_t)guest_peek(&b->g, b->tx + 4096, 1);
}

static bool comes_through(struct bench *b, const uint8_t *to)
{
    uint8_t f[100];
    uint32_t len;
    uint16_t id;

    make_frame(f, sizeof(f), to);
    loopnet_put(b->net, f, sizeof(f), NULL);
    fake_env_run(&b->g.f);
    return guest_used(&b->g, 0, &id, &len);
}

static void filters_let_in_what_the_guest_asked_for(void **state)
{
    static const uint8_t other[6] = {2, 0, 0, 0, 0, 9}, group[6] = {1, 0, 0x5e, 0, 0, 1},
                         all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, on = 1, off = 0;
    uint8_t table[4 + 6 + 4 + 6] = {1};
    uint32_t huge = UINT32_MAX;
    struct bench b;

    bench_open(&b, 1);
    bench_start(&b, false, SPLIT & ~VIRTIO_NET_F_MQ, 3);
    post_rx(&b, 0, 64);
    assert_true(comes_through(&b, other));
    assert_int_equal(ctrl(&b, 2, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &off, 1), 0);
    assert_false(comes_through(&b, other));
    assert_true(comes_through(&b, mac));
    assert_true(comes_through(&b, all));
    assert_false(comes_through(&b, group));
    assert_int_equal(ctrl(&b, 2, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, &on, 1), 0);
    assert_true(comes_through(&b, group));
    assert_int_equal(ctrl(&b, 2, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, &off, 1), 0);
    memcpy(table + 4, other, 6);
    table[10] = 1;
    memcpy(table + 14, group, 6);
    assert_int_equal(
        ctrl(&b, 2, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table, sizeof(table)), 0);
    assert_true(comes_through(&b, group));
    assert_true(comes_through(&b, other));
    /* Counts that lie. */
    assert_int_equal(ctrl(&b, 2, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, &huge, 4), 1);
    table[0] = 3;
    assert_int_equal(
        ctrl(&b, 2, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table, sizeof(table)), 1);
    assert_false(comes_through(&b, other));
    assert_int_equal(ctrl(&b, 2, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, other, 6), 0);
    assert_true(comes_through(&b, other));
    assert_int_equal(ctrl(&b, 2, VIRTIO_NET_CTRL_RX, 6, &on, 1), 1);
    assert_int_equal(ctrl(&b, 2, 77, 0, &on, 1), 1);
    assert_int_equal(ctrl(&b, 2, VIRTIO_NET_CTRL_VLAN, 0, "\xff\xff", 2), 1);
    guest_close(&b.g);
}

static void several_pairs_receive_where_a_flow_was_sent(void **state)
{
    static const struct virtio_net_hdr none;
    uint8_t f[100], back[100], pairs[2] = {4, 0}, five[2] = {5, 0};
    struct bench b;
    uint32_t len;
    uint16_t id;

    bench_open(&b, 4);
    bench_start(&b, false, SPLIT, 9);
    assert_int_equal(ctrl(&b, 8, VIRTIO_NET_CTRL_MQ, 0, five, 2), 1);
    assert_int_equal(ctrl(&b, 8, VIRTIO_NET_CTRL_MQ, 0, pairs, 2), 0);
    for (unsigned i = 0; i < 4; i++)
        post_rx(&b, 2 * i, 40);
    make_frame(f, sizeof(f), mac);
    f[14] = 0x45;
    memcpy(back, f, sizeof(f));
    memcpy(back + 26, f + 30, 4); /* addresses and ports the other way round */
    memcpy(back + 30, f + 26, 4);
    memcpy(back + 34, f + 36, 2);
    memcpy(back + 36, f + 34, 2);
    for (unsigned i = 0; i < 4; i++) {
        send_frame(&b, 2 * i + 1, &none, f, sizeof(f));
        loopnet_put(b.net, back, sizeof(back), NULL);
        fake_env_run(&b.g.f);
        assert_true(guest_used(&b.g, 2 * i, &id, &len));
        assert_int_equal(guest_irqs(&b.g, 2 * i) > 0, 1);
    }
    guest_close(&b.g);
}

static void the_link_is_reported(void **state)
{
    struct bench b;
    uint8_t ack = 0;

    bench_open(&b, 1);
    bench_start(&b, false, SPLIT, 3);
    assert_int_equal(guest_config(&b.g, 6, 2), VIRTIO_NET_S_LINK_UP);
    b.net->ev->link(b.net->arg, false);
    assert_int_equal(guest_config(&b.g, 6, 2), 0);
    b.net->ev->link(b.net->arg, true);
    assert_int_equal(guest_config(&b.g, 6, 2), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
    assert_int_equal(ctrl(&b, 2, VIRTIO_NET_CTRL_ANNOUNCE, 0, &ack, 0), 0);
    assert_int_equal(guest_config(&b.g, 6, 2), VIRTIO_NET_S_LINK_UP);
    guest_close(&b.g);
}

static void the_back_end_is_closed_with_the_device(void **state)
{
    bool closed = false;
    struct bench b;

    bench_open(&b, 1);
    b.net->closed = &closed;
    bench_start(&b, false, ALL, 3);
    post_rx(&b, 0, 10);
    guest_close(&b.g);
    assert_true(closed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_pass_both_ways),
        cmocka_unit_test(a_large_frame_spreads_over_merged_buffers),
        cmocka_unit_test(frames_wait_for_buffers_and_none_is_lost),
        cmocka_unit_test(a_full_back_end_holds_frames_in_order),
        cmocka_unit_test(headers_that_lie_drop_the_frame),
        cmocka_unit_test(filters_let_in_what_the_guest_asked_for),
        cmocka_unit_test(several_pairs_receive_where_a_flow_was_sent),
        cmocka_unit_test(the_link_is_reported),
        cmocka_unit_test(the_back_end_is_closed_with_the_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
