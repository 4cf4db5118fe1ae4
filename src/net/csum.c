/* SPDX-License-Identifier: Apache-2.0 */
/* csum.c - see csum.h. Headers: RFC 791, 8200, 9293, 768; VLAN tags: IEEE 802.1Q. */
#include "net/csum.h"

#include <errno.h>
#include <string.h>

#include "abi/bytes.h"

enum {
    ETH_HEAD = 14,
    ETH_IP4 = 0x0800,
    ETH_IP6 = 0x86dd,
    ETH_VLAN = 0x8100,
    ETH_QINQ = 0x88a8,
    IP_TCP = 6,
    IP_UDP = 17,
    IP4_MF = 0x2000,
    TCP_FIN = 0x01,
    TCP_SYN = 0x02,
    TCP_PSH = 0x08,
    TCP_CWR = 0x80,
};

/* --- layout --- */

static bool layout_ip4(const uint8_t *f, size_t len, struct net_layout *o)
{
    size_t head;

    if (len < o->l3 + 20u || f[o->l3] >> 4 != 4)
        return false;
    head = (size_t)(f[o->l3] & 15) * 4;
    if (head < 20 || o->l3 + head > len)
        return false;
    o->version = 4;
    if (be16_at(f + o->l3 + 6) & 0x3fff)
        return true; /* a fragment */
    o->proto = f[o->l3 + 9];
    o->l4 = (uint16_t)(o->l3 + head);
    return true;
}

static bool layout_ip6(const uint8_t *f, size_t len, struct net_layout *o)
{
    size_t at = o->l3 + 40u;
    uint8_t next;

    if (len < at || f[o->l3] >> 4 != 6)
        return false;
    o->version = 6;
    next = f[o->l3 + 6];
    /* Hop-by-hop options, routing, destination options; at most one of each is usual. */
    for (int i = 0; i < 4 && (next == 0 || next == 43 || next == 60); i++) {
        if (at + 8 > len)
            return true;
        next = f[at];
        at += 8 + (size_t)f[at + 1] * 8;
    }
    if (at >= len || (next != IP_TCP && next != IP_UDP))
        return true;
    o->proto = next;
    o->l4 = (uint16_t)at;
    return true;
}

bool net_layout(const uint8_t *f, size_t len, struct net_layout *o)
{
    size_t at = 12;
    bool ip;

    *o = (struct net_layout){0};
    if (len > NET_FRAME_MAX)
        return false;
    while (at + 4 <= len && at < 20 && (be16_at(f + at) == ETH_VLAN || be16_at(f + at) == ETH_QINQ))
        at += 4;
    if (at + 2 > len)
        return false;
    o->l3 = (uint16_t)(at + 2);
    if (be16_at(f + at) == ETH_IP4)
        ip = layout_ip4(f, len, o);
    else
        ip = be16_at(f + at) == ETH_IP6 && layout_ip6(f, len, o);
    if (!ip)
        return false;
    if (o->proto != IP_TCP && o->proto != IP_UDP)
        o->l4 = 0;
    if (o->l4 && o->proto == IP_UDP && o->l4 + 8u <= len)
        o->payload = (uint16_t)(o->l4 + 8);
    if (o->l4 && o->proto == IP_TCP && o->l4 + 20u <= len) {
        size_t head = (size_t)(f[o->l4 + 12] >> 4) * 4;

        if (head >= 20 && o->l4 + head <= len)
            o->payload = (uint16_t)(o->l4 + head);
    }
    return true;
}

/* --- sums --- */

uint16_t net_sum(const void *p, size_t n, uint32_t start)
{
    const uint8_t *b = p;
    uint64_t sum = 0;
    uint32_t w;

    /* Sums of native words are right in every byte order, but for a swap at the end. */
    for (; n >= 4; n -= 4, b += 4) {
        memcpy(&w, b, 4);
        sum += w;
    }
    w = 0;
    memcpy(&w, b, n);
    sum += w;
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    sum = __builtin_bswap16((uint16_t)sum) + (uint64_t)start;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static size_t csum_field(const struct net_layout *o)
{
    return o->l4 + (o->proto == IP_TCP ? 16u : 6u);
}

static uint16_t sum_pseudo(const uint8_t *f, const struct net_layout *o, size_t l4_len)
{
    uint32_t start = (uint32_t)(l4_len >> 16) + (uint32_t)(l4_len & 0xffff) + o->proto;

    return o->version == 4 ? net_sum(f + o->l3 + 12, 8, start) : net_sum(f + o->l3 + 8, 32, start);
}

static void put_csum(uint8_t *at, uint16_t sum, uint8_t proto)
{
    sum = (uint16_t)~sum;
    be16_put(at, sum == 0 && proto == IP_UDP ? 0xffff : sum);
}

int net_csum_fill(uint8_t *f, size_t len, const struct net_meta *m)
{
    size_t at = (size_t)m->csum_start + m->csum_off;

    if (m->csum_start >= len || !range_in(at, 2, len))
        return -EINVAL;
    /* The field holds the pseudo header's sum. 0 would mean "no checksum" in UDP; 0xffff is the
     * same number, so it may stand for TCP too. */
    put_csum(f + at, net_sum(f + m->csum_start, len - m->csum_start, 0), IP_UDP);
    return 0;
}

/* Lengths and the IPv4 header's sum. */
static int fix_l3(uint8_t *f, size_t len, const struct net_layout *o)
{
    uint8_t *ip = f + o->l3;
    size_t n = len - o->l3;

    if (o->version == 6) {
        if (n - 40 > 65535)
            return -EINVAL;
        be16_put(ip + 4, (uint16_t)(n - 40));
        return 0;
    }
    if (n > 65535)
        return -EINVAL;
    be16_put(ip + 2, (uint16_t)n);
    be16_put(ip + 10, 0);
    put_csum(ip + 10, net_sum(ip, (size_t)(ip[0] & 15) * 4, 0), 0);
    return 0;
}

static int fix_l4(uint8_t *f, size_t len, const struct net_layout *o, bool whole)
{
    size_t n = len - o->l4;
    uint16_t pseudo;

    if (!o->payload || n > 65535)
        return -EINVAL;
    if (o->proto == IP_UDP)
        be16_put(f + o->l4 + 4, (uint16_t)n);
    pseudo = sum_pseudo(f, o, n);
    be16_put(f + csum_field(o), whole ? 0 : pseudo);
    if (whole)
        put_csum(f + csum_field(o), net_sum(f + o->l4, n, pseudo), o->proto);
    return 0;
}

int net_csum_all(uint8_t *f, size_t len)
{
    struct net_layout o;
    int rc = net_layout(f, len, &o) && o.payload ? fix_l3(f, len, &o) : -EINVAL;

    return rc < 0 ? rc : fix_l4(f, len, &o, true);
}

int net_csum_defer(uint8_t *f, size_t len, struct net_meta *m)
{
    struct net_layout o;
    int rc = net_layout(f, len, &o) && o.payload ? fix_l3(f, len, &o) : -EINVAL;

    if (rc == 0)
        rc = fix_l4(f, len, &o, false);
    if (rc < 0)
        return rc;
    m->flags |= NET_NEEDS_CSUM;
    m->csum_start = o.l4;
    m->csum_off = (uint16_t)(csum_field(&o) - o.l4);
    m->hdr_len = o.payload;
    return 0;
}

/* --- cutting --- */

/* Turns the copy of the whole frame's headers into those of the segment at `off`. */
static int segment_headers(uint8_t *seg, size_t len, const struct net_layout *o, size_t off,
                           unsigned index, bool last)
{
    int rc;

    if (o->version == 4)
        be16_put(seg + o->l3 + 4, (uint16_t)(be16_at(seg + o->l3 + 4) + index));
    if (o->proto == IP_TCP) {
        uint8_t *flags = seg + o->l4 + 13;

        be32_put(seg + o->l4 + 4, be32_at(seg + o->l4 + 4) + (uint32_t)off);
        if (!last)
            *flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
        if (index)
            *flags &= (uint8_t)~TCP_CWR;
    }
    rc = fix_l3(seg, len, o);
    return rc < 0 ? rc : fix_l4(seg, len, o, true);
}

int net_segment(const uint8_t *f, size_t len, size_t size, uint8_t *room,
                int (*fn)(void *arg, const uint8_t *f, size_t len), void *arg)
{
    struct net_layout o;
    unsigned index = 0;
    int rc = 0;

    if (size < NET_GSO_SIZE_MIN || !net_layout(f, len, &o) || !o.payload || len <= o.payload)
        return -EINVAL;
    for (size_t at = o.payload; rc == 0 && at < len; at += size, index++) {
        size_t n = (size_t)min_u64(size, len - at);

        memcpy(room, f, o.payload);
        memcpy(room + o.payload, f + at, n);
        rc = segment_headers(room, o.payload + n, &o, at - o.payload, index, at + n == len);
        if (rc == 0)
            rc = fn(arg, room, o.payload + n);
    }
    return rc;
}

int net_fragment(const uint8_t *f, size_t len, size_t mtu, uint8_t *room,
                 int (*fn)(void *arg, const uint8_t *f, size_t len), void *arg)
{
    struct net_layout o;
    size_t head, step;
    uint16_t word;
    int rc = 0;

    if (!net_layout(f, len, &o) || o.version != 4 || len - o.l3 > 65535)
        return -EINVAL;
    head = o.l3 + (size_t)(f[o.l3] & 15) * 4;
    word = be16_at(f + o.l3 + 6);
    if (word & (IP4_MF | 0x1fff) || mtu < head - o.l3 + 8)
        return -EINVAL;
    step = (mtu - (head - o.l3)) & ~(size_t)7;
    for (size_t at = head; rc == 0 && at < len; at += step) {
        size_t n = (size_t)min_u64(step, len - at);

        memcpy(room, f, head);
        memcpy(room + head, f + at, n);
        be16_put(room + o.l3 + 6, (uint16_t)((at - head) / 8 | (at + n < len ? IP4_MF : 0)));
        rc = fix_l3(room, head + n, &o);
        if (rc == 0)
            rc = fn(arg, room, head + n);
    }
    return rc;
}

/* true: o tells where all of it is. */
static bool is_syn(const uint8_t *f, size_t len, struct net_layout *o)
{
    return net_layout(f, len, o) && o->payload && o->proto == IP_TCP && f[o->l4 + 13] & TCP_SYN;
}

uint16_t net_syn_window(const uint8_t *f, size_t len)
{
    struct net_layout o;

    return is_syn(f, len, &o) ? be16_at(f + o.l4 + 14) : 0;
}

uint16_t net_mss_set(uint8_t *f, size_t len, uint16_t mss)
{
    struct net_layout o;
    uint16_t old;

    if (!is_syn(f, len, &o))
        return 0;
    for (size_t at = o.l4 + 20u; at + 4 <= o.payload && f[at] != 0;) {
        uint32_t sum;

        if (f[at] == 2 && f[at + 1] == 4 && (at - o.l4) % 2 == 0) {
            old = be16_at(f + at + 2);
            be16_put(f + at + 2, mss);
            /* RFC 1624: the new sum from the old one. */
            sum = (uint32_t)(uint16_t)~be16_at(f + o.l4 + 16) + (uint16_t)~old + mss;
            sum = (sum & 0xffff) + (sum >> 16);
            be16_put(f + o.l4 + 16, (uint16_t) ~((sum & 0xffff) + (sum >> 16)));
            return old;
        }
        if (f[at] != 1 && f[at + 1] < 2)
            return 0;
        at += f[at] == 1 ? 1 : f[at + 1];
    }
    return 0;
}
