/* SPDX-License-Identifier: Apache-2.0 */
/* The hash of receive side scaling, by the values that Microsoft publishes to verify it. */
#include "unit.h"

#include "abi/bytes.h"
#include "net/rss.h"

static const uint8_t key[RSS_KEY] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
                                     0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
                                     0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
                                     0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

/* The hash of a TCP frame, with or without its ports. */
static uint32_t hash(unsigned version, const uint8_t *source, const uint8_t *target, uint16_t from,
                     uint16_t to, bool ports)
{
    unsigned alen = version == 4 ? 4 : 16, l4 = version == 4 ? 34 : 54;
    uint8_t f[100] = {0}, input[RSS_INPUT];
    struct net_layout o;
    size_t n;

    be16_put(f + 12, version == 4 ? 0x0800 : 0x86dd);
    f[14] = version == 4 ? 0x45 : 0x60;
    if (version == 4) {
        be16_put(f + 16, 40);
        f[23] = 6;
    } else {
        be16_put(f + 18, 20);
        f[20] = 6;
    }
    memcpy(f + l4 - 2 * alen, source, alen);
    memcpy(f + l4 - alen, target, alen);
    be16_put(f + l4, from);
    be16_put(f + l4 + 2, to);
    f[l4 + 12] = 0x50;
    assert_true(net_layout(f, l4 + 20, &o));
    assert_int_equal(o.l4, l4);
    n = rss_input(f, &o, ports ? o.l4 : 0, input);
    assert_int_equal(n, 2 * alen + (ports ? 4 : 0));
    return rss_toeplitz(key, input, n);
}

static void ipv4_hashes_as_published(void **state)
{
    static const uint8_t a[] = {66, 9, 149, 187}, b[] = {161, 142, 100, 80};
    static const uint8_t c[] = {199, 92, 111, 2}, d[] = {65, 69, 140, 83};

    (void)state;
    assert_int_equal(hash(4, a, b, 2794, 1766, false), 0x323e8fc2);
    assert_int_equal(hash(4, a, b, 2794, 1766, true), 0x51ccc178);
    assert_int_equal(hash(4, c, d, 14230, 4739, false), 0xd718262a);
    assert_int_equal(hash(4, c, d, 14230, 4739, true), 0xc626b0ea);
}

static void ipv6_hashes_as_published(void **state)
{
    static const uint8_t a[16] = {0x3f, 0xfe, 0x25, 0x01, 0x02, 0, 0x1f, 0xff, [15] = 7};
    static const uint8_t b[16] = {0x3f, 0xfe, 0x25, 0x01, 0x02, 0, 0, 3, [15] = 1};

    (void)state;
    assert_int_equal(hash(6, a, b, 2794, 1766, false), 0x2cc18cd5);
    assert_int_equal(hash(6, a, b, 2794, 1766, true), 0x40207d3d);
}

static void what_is_not_ip_has_no_input(void **state)
{
    const struct net_layout none = {.version = 0};
    uint8_t input[RSS_INPUT];

    (void)state;
    assert_int_equal(rss_input(key, &none, 0, input), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv4_hashes_as_published),
        cmocka_unit_test(ipv6_hashes_as_published),
        cmocka_unit_test(what_is_not_ip_has_no_input),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
