/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmxnet3_rss.c - which of vmxnet3's receive queues a frame belongs to.
 *
 * With receive side scaling on, the driver's key and table decide: a Toeplitz hash over addresses
 * and, for the protocols that it names, ports or ESP's SPI. Without, a flow keeps to a queue by a
 * plainer hash that nobody is told of. Threads: the loop, under the device's lock.
 */
#include <string.h>

#include "core/gmem.h"
#include "net/rss.h"
#include "personas/vmware/vmxnet3.h"

enum {
    IP_TCP = 6,
    IP_UDP = 17,
    IP_ESP = 50,
};

bool vmxnet3_rss_load(struct vmxnet3 *x)
{
    struct gmem *m = x->pci.dev.env.mem;
    struct vmxnet3_rss *r = &x->s.rss;
    struct vmxnet3_conf_desc where;
    struct vmxnet3_rss_conf c;

    if (gmem_read(m, x->s.shared + offsetof(struct vmxnet3_shared, rss), &where, sizeof(where)) <
            0 ||
        le32_get(where.len) < sizeof(c) || gmem_read(m, le64_get(where.at), &c, sizeof(c)) < 0)
        return false;
    r->on = le16_get(c.hash_func) == UPT1_RSS_HASH_FUNC_TOEPLITZ && le16_get(c.table_size) &&
            le16_get(c.table_size) <= sizeof(r->table) && le16_get(c.key_size) <= sizeof(r->key);
    r->types = le16_get(c.hash_type);
    r->entries = le16_get(c.table_size);
    memcpy(r->key, c.key, sizeof(r->key));
    memcpy(r->table, c.table, sizeof(r->table));
    return true;
}

/* What follows the IP header, also of protocols that net_layout() knows nothing of. 0: nothing. */
static unsigned upper(const struct vmxnet3 *x, const struct net_layout *o, unsigned *proto)
{
    const uint8_t *ip = x->in + o->l3;

    *proto = o->proto;
    if (o->l4)
        return o->l4;
    if (o->version == 6 && x->in_len >= o->l3 + 44u && ip[6] == IP_ESP) {
        *proto = IP_ESP;
        return o->l3 + 40u;
    }
    if (o->version == 4 && ip[9] == IP_ESP && !(be16_at(ip + 6) & 0x3fff) &&
        x->in_len >= o->l3 + (ip[0] & 15u) * 4 + 4) {
        *proto = IP_ESP;
        return o->l3 + (ip[0] & 15u) * 4;
    }
    return 0;
}

static unsigned kind_of(const struct vmxnet3 *x, unsigned version, unsigned proto)
{
    const struct vmxnet3_rss *r = &x->s.rss;
    bool four = version == 4;

    if (proto == IP_TCP &&
        r->types & (four ? UPT1_RSS_HASH_TYPE_TCP_IPV4 : UPT1_RSS_HASH_TYPE_TCP_IPV6))
        return four ? VMXNET3_RCD_RSS_TYPE_TCPIPV4 : VMXNET3_RCD_RSS_TYPE_TCPIPV6;
    if (proto == IP_UDP &&
        r->fields & (four ? VMXNET3_RSS_FIELDS_UDPIP4 : VMXNET3_RSS_FIELDS_UDPIP6))
        return four ? VMXNET3_RCD_RSS_TYPE_UDPIPV4 : VMXNET3_RCD_RSS_TYPE_UDPIPV6;
    if (proto == IP_ESP &&
        r->fields & (four ? VMXNET3_RSS_FIELDS_ESPIP4 : VMXNET3_RSS_FIELDS_ESPIP6))
        return four ? VMXNET3_RCD_RSS_TYPE_ESPIPV4 : VMXNET3_RCD_RSS_TYPE_ESPIPV6;
    if (r->types & (four ? UPT1_RSS_HASH_TYPE_IPV4 : UPT1_RSS_HASH_TYPE_IPV6))
        return four ? VMXNET3_RCD_RSS_TYPE_IPV4 : VMXNET3_RCD_RSS_TYPE_IPV6;
    return VMXNET3_RCD_RSS_TYPE_NONE;
}

/* Addresses and ports folded. */
static uint32_t fold(const struct vmxnet3 *x, const struct net_layout *o)
{
    size_t from = o->l3 + (o->version == 4 ? 12u : 8u), n = o->version == 4 ? 8 : 32;
    uint32_t h = 0;

    for (size_t i = 0; i < n; i += 2)
        h ^= be16_at(x->in + from + i);
    if (o->payload)
        h ^= (uint32_t)be16_at(x->in + o->l4) ^ be16_at(x->in + o->l4 + 2);
    return h ^ h >> 8;
}

unsigned vmxnet3_pick(struct vmxnet3 *x, uint32_t *hash, unsigned *kind)
{
    const struct vmxnet3_rss *r = &x->s.rss;
    uint8_t input[RSS_INPUT];
    struct net_layout o;
    unsigned proto, l4, queue;
    size_t n;

    *hash = 0;
    *kind = VMXNET3_RCD_RSS_TYPE_NONE;
    if ((x->s.nrx < 2 && !r->on) || !net_layout(x->in, x->in_len, &o) || !o.version)
        return 0;
    if (!r->on)
        return fold(x, &o) % x->s.nrx;
    l4 = upper(x, &o, &proto);
    *kind = kind_of(x, o.version, l4 ? proto : 0);
    if (*kind == VMXNET3_RCD_RSS_TYPE_NONE)
        return 0;
    if (*kind == VMXNET3_RCD_RSS_TYPE_IPV4 || *kind == VMXNET3_RCD_RSS_TYPE_IPV6)
        l4 = 0;
    n = rss_input(x->in, &o, l4, input); /* with both ports, or the SPI */
    *hash = rss_toeplitz(r->key, input, n);
    queue = r->table[*hash % r->entries];
    return queue < x->s.nrx ? queue : 0;
}
