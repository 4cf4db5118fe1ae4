/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums and segmentation against a slow and plain second opinion, and against nonsense. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "abi/bytes.h"
#include "net/csum.h"

static uint8_t frame[NET_FRAME_MAX], room[NET_FRAME_MAX], whole[NET_FRAME_MAX];

static uint16_t slow_sum(const uint8_t *p, size_t n, uint32_t sum)
{
    for (size_t i = 0; i < n; i++)
        sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

/* true when IP and TCP or UDP sums of a finished frame are right. */
static bool sums_right(const uint8_t *f, size_t len)
{
    struct net_layout o;
    uint32_t pseudo;

    if (!net_layout(f, len, &o) || !o.payload)
        return false;
    if (o.version == 4 && (slow_sum(f + o.l3, (f[o.l3] & 15u) * 4, 0) != 0xffff ||
                           be16_at(f + o.l3 + 2) != len - o.l3))
        return false;
    if (o.version == 6 && be16_at(f + o.l3 + 4) != len - o.l3 - 40)
        return false;
    pseudo = slow_sum(f + o.l3 + (o.version == 4 ? 12 : 8), o.version == 4 ? 8 : 32,
                      (uint32_t)(len - o.l4) + o.proto);
    return slow_sum(f + o.l4, len - o.l4, pseudo) == 0xffff;
}

/* A frame with random payload; vlan tags, TCP options. Returns its length. */
static size_t build(unsigned vlans, unsigned version, unsigned proto, size_t payload)
{
    size_t at = 12, l3, l4;

    memset(frame, 0x52, 12);
    for (unsigned i = 0; i < vlans; i++, at += 4)
        be32_put(frame + at, i ? 0x88a80005 : 0x81000007);
    be16_put(frame + at, version == 4 ? 0x0800 : 0x86dd);
    l3 = at + 2;
    l4 = l3 + (version == 4 ? 24 : 40);
    for (size_t i = l3; i < l4 + 32 + payload; i++)
        frame[i] = (uint8_t)rand();
    frame[l3] = version == 4 ? 0x46 : 0x60;
    if (version == 4) {
        be16_put(frame + l3 + 6, 0);
        frame[l3 + 9] = (uint8_t)proto;
        be32_put(frame + l3 + 20, 0x01010101);
    } else {
        frame[l3 + 6] = (uint8_t)proto;
    }
    if (proto == 6) {
        frame[l4 + 12] = 0x80;
        be16_put(frame + l4 + 12, 0x8099); /* FIN, PSH, ACK, CWR */
        frame[l4 + 20] = frame[l4 + 21] = 1;
        be16_put(frame + l4 + 22, 0x080a);
        return l4 + 32 + payload;
    }
    return l4 + 8 + payload;
}

static void sums_agree_with_the_slow_way(void **state)
{
    (void)state;
    srand(1);
    for (int i = 0; i < 3000; i++) {
        size_t n = (size_t)rand() % 2000, off = (size_t)rand() % 9;
        uint32_t start = (uint32_t)rand() & 0xffff;

        for (size_t b = 0; b < n + off; b++)
            room[b] = i % 3 ? (uint8_t)rand() : 0xff;
        assert_int_equal(net_sum(room + off, n, start) % 0xffff,
                         slow_sum(room + off, n, start) % 0xffff);
    }
}

static void all_headers_are_made_right(void **state)
{
    (void)state;
    for (int i = 0; i < 500; i++) {
        size_t len = build((unsigned)i % 3, i & 1 ? 4 : 6, i & 2 ? 6 : 17, (size_t)rand() % 3000);
        struct net_meta m = {0};

        assert_int_equal(net_csum_all(frame, len), 0);
        assert_true(sums_right(frame, len));
        assert_int_equal(net_csum_defer(frame, len, &m), 0);
        assert_int_equal(m.flags, NET_NEEDS_CSUM);
        assert_int_equal(net_csum_fill(frame, len, &m), 0);
        assert_true(sums_right(frame, len));
    }
}

static size_t cut_len[2000], cut_count, cut_at;
static uint32_t cut_seq;
static bool cut_wrong;

static int collect(void *arg, const uint8_t *f, size_t len)
{
    struct net_layout o;
    const size_t *total = arg;
    bool last;

    if (!sums_right(f, len) || !net_layout(f, len, &o)) {
        cut_wrong = true;
        return 0;
    }
    memcpy(whole + cut_at, f + o.payload, len - o.payload);
    cut_at += len - o.payload;
    last = cut_at == *total;
    if (o.proto == 6) {
        uint8_t flags = f[o.l4 + 13];

        if (cut_count == 0)
            cut_seq = be32_at(f + o.l4 + 4);
        cut_wrong |= be32_at(f + o.l4 + 4) != cut_seq || (bool)(flags & 9) != last ||
                     (bool)(flags & 0x80) != (cut_count == 0);
        cut_seq += (uint32_t)(len - o.payload);
    }
    cut_len[cut_count++] = len - o.payload;
    return 0;
}

static void segments_add_up_to_the_frame(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        size_t payload = 1 + (size_t)rand() % 60000, size = 48 + (size_t)rand() % 9000, head,
               len = build((unsigned)i % 3, i & 1 ? 4 : 6, i & 2 ? 6 : 17, payload);

        head = len - payload;
        cut_count = cut_at = 0;
        cut_wrong = false;
        assert_int_equal(net_segment(frame, len, size, room, collect, &payload), 0);
        assert_false(cut_wrong);
        assert_int_equal(cut_count, (payload + size - 1) / size);
        assert_int_equal(cut_at, payload);
        assert_memory_equal(whole, frame + head, payload);
    }
}

static int collect_fragment(void *arg, const uint8_t *f, size_t len)
{
    size_t off = (size_t)(be16_at(f + 20) & 0x1fff) * 8;

    (void)arg;
    cut_wrong |= slow_sum(f + 14, 24, 0) != 0xffff || len > 1514 || off != cut_at;
    memcpy(whole + off, f + 38, len - 38);
    cut_at = off + len - 38;
    cut_len[cut_count++] = be16_at(f + 20) & 0xe000;
    return 0;
}

static void fragments_add_up_to_the_packet(void **state)
{
    size_t len = build(0, 4, 17, 5000);

    (void)state;
    cut_wrong = false;
    /* Don't Fragment is for others than the sender, and in no fragment. */
    for (uint16_t word = 0; word <= 0x4000; word += 0x4000) {
        be16_put(frame + 20, word);
        cut_count = cut_at = 0;
        assert_int_equal(net_fragment(frame, len, 1500, room, collect_fragment, NULL), 0);
        assert_false(cut_wrong);
        assert_int_equal(cut_count, 4);
        assert_int_equal(cut_len[2], 0x2000);
        assert_int_equal(cut_len[3], 0);
        assert_memory_equal(whole, frame + 38, 5008);
    }
    be16_put(frame + 20, 0x2000); /* a fragment already */
    assert_int_equal(net_fragment(frame, len, 1500, room, collect_fragment, NULL), -EINVAL);
}

static void the_mss_of_a_syn_is_replaced(void **state)
{
    size_t len = build(0, 4, 6, 0);

    (void)state;
    be16_put(frame + 38 + 12, 0x8002);
    be32_put(frame + 38 + 20, 0x020405b4);
    be32_put(frame + 38 + 24, 0x01010402);
    be16_put(frame + 38 + 14, 64240);
    assert_int_equal(net_csum_all(frame, len), 0);
    assert_int_equal(net_syn_window(frame, len), 64240);
    assert_int_equal(net_mss_set(frame, len, 32000), 1460);
    assert_true(sums_right(frame, len));
    assert_int_equal(be16_at(frame + 38 + 22), 32000);
    frame[38 + 13] = 0x10; /* no SYN */
    assert_int_equal(net_syn_window(frame, len), 0);
    assert_int_equal(net_mss_set(frame, len, 9000), 0);
    be32_put(frame + 38 + 20, 0x03000000); /* an option of length 0 */
    frame[38 + 13] = 2;
    assert_int_equal(net_mss_set(frame, len, 9000), 0);
}

static void nonsense_is_refused(void **state)
{
    struct net_meta m = {.csum_start = 60, .csum_off = 6};
    size_t payload = 100;

    (void)state;
    assert_int_equal(net_csum_fill(frame, 60, &m), -EINVAL);
    assert_int_equal(net_csum_fill(frame, 67, &m), -EINVAL);
    assert_int_equal(net_csum_fill(frame, 68, &m), 0);
    assert_int_equal(net_segment(frame, build(0, 4, 6, 100), 47, room, collect, &payload), -EINVAL);
    assert_int_equal(net_segment(frame, build(0, 4, 6, 0), 100, room, collect, &payload), -EINVAL);
    assert_int_equal(net_segment(frame, build(0, 4, 50, 9), 100, room, collect, &payload), -EINVAL);
    for (size_t len = 0; len < 60; len++) {
        build(2, 6, 6, 0);
        (void)!net_csum_all(frame, len);
        assert_int_equal(net_csum_all(frame, len), -EINVAL);
    }
    build(0, 4, 6, 0);
    frame[14] = 0x44; /* a header of 16 bytes */
    assert_int_equal(net_csum_all(frame, 200), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_agree_with_the_slow_way),
        cmocka_unit_test(all_headers_are_made_right),
        cmocka_unit_test(segments_add_up_to_the_frame),
        cmocka_unit_test(fragments_add_up_to_the_packet),
        cmocka_unit_test(the_mss_of_a_syn_is_replaced),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
