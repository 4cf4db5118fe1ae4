/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rndis.c - the card's control side: RNDIS requests, offload and scaling settings, frame metadata.
 *
 * Facts: Linux drivers/net/hyperv/rndis_filter.c; names of OIDs from NDIS. Threads: the loop's.
 */
#include <string.h>

#include "core/ids.h"
#include "net/rss.h"
#include "netvsp.h"
#include "storage/utf.h"

enum {
    RNDIS_REPLY = 1024,
    RNDIS_DRIVER_VERSION = 0x61e,
    RNDIS_BUFFER_SPACE = 256 << 10, /* means nothing */
};
#define RNDIS_LINK_SPEED UINT64_C(10000000000) /* bits a second */

/* --- answers --- */

struct reply {
    uint8_t b[RNDIS_REPLY];
    size_t len;
};

static void put32(struct reply *r, uint32_t v)
{
    le32_put(r->b + r->len, v);
    r->len += 4;
}

static void put(struct reply *r, const void *p, size_t n)
{
    n = min_u64(n, sizeof(r->b) - r->len);
    memcpy(r->b + r->len, p, n);
    r->len += n;
}

static void reply_begin(struct reply *r, uint32_t type, uint32_t id)
{
    r->len = 0;
    put32(r, type | RNDIS_MSG_COMPLETION);
    put32(r, 0);
    put32(r, id);
}

static void reply_send(struct netvsp *n, struct reply *r)
{
    le32_put(r->b + 4, (uint32_t)r->len);
    if (!netvsp_control(n, r->b, r->len))
        n->lost++;
}

/* --- what can be asked --- */

static bool can_coalesce(const struct netvsp *n)
{
    uint32_t need = NET_CSUM | NET_TSO4 | NET_TSO6;

    return netvsp_takes_parts(n) && (n->caps.rx & need) == need;
}

static void offload_caps(const struct netvsp *n, const uint8_t *in, size_t in_len, struct reply *r)
{
    uint8_t o[NDIS_OFFLOAD_SIZE] = {0};
    struct ndis_csum_offload c = {.ip4_txenc = le32_of(0)};
    struct ndis_lsov2_offload l = {.ip4_encap = le32_of(0)};
    size_t size = in_len >= 4 ? le16_at(in + 2) : NDIS_OFFLOAD_SIZE;
    le32 on = le32_of(NDIS_OFFLOAD_ENCAP_8023);

    if (n->caps.tx & NET_CSUM) {
        c.ip4_txenc = c.ip6_txenc = on;
        c.ip4_txcsum = le32_of(NDIS_TXCSUM_CAP_TCP4 | NDIS_TXCSUM_CAP_UDP4 | NDIS_TXCSUM_CAP_IP4);
        c.ip6_txcsum = le32_of(NDIS_TXCSUM_CAP_6);
    }
    c.ip4_rxenc = c.ip6_rxenc = on;
    c.ip4_rxcsum = c.ip4_txcsum;
    c.ip6_rxcsum = c.ip6_txcsum;
    if (n->caps.tx & NET_CSUM && n->caps.tx & NET_TSO4) {
        l.ip4_encap = on;
        l.ip4_maxsz = le32_of(62000);
        l.ip4_minsg = le32_of(2);
    }
    if (n->caps.tx & NET_CSUM && n->caps.tx & NET_TSO6) {
        l.ip6_encap = on;
        l.ip6_maxsz = le32_of(62000);
        l.ip6_minsg = le32_of(2);
        l.ip6_opts = le32_of(NDIS_LSOV2_CAP_IP6);
    }
    size = size >= NDIS_OFFLOAD_SIZE       ? NDIS_OFFLOAD_SIZE
           : size >= NDIS_OFFLOAD_SIZE_6_1 ? NDIS_OFFLOAD_SIZE_6_1
                                           : NDIS_OFFLOAD_SIZE_6_0;
    o[0] = NDIS_OBJECT_TYPE_OFFLOAD;
    o[1] = size == NDIS_OFFLOAD_SIZE ? 3 : size == NDIS_OFFLOAD_SIZE_6_1 ? 2 : 1;
    le16_put(o + 2, (uint16_t)size);
    memcpy(o + NDIS_OFFLOAD_CSUM, &c, sizeof(c));
    memcpy(o + NDIS_OFFLOAD_LSOV2, &l, sizeof(l));
    o[NDIS_OFFLOAD_RSC] = o[NDIS_OFFLOAD_RSC + 1] = can_coalesce(n);
    put(r, o, size);
}

static void rss_caps(const struct netvsp *n, size_t in_len, struct reply *r)
{
    struct ndis_recv_scale_cap c = {
        .hdr = {NDIS_OBJECT_TYPE_RSS_CAPABILITIES, 2, le16_of(sizeof(c))},
        .cap_flag = le32_of(NDIS_RSS_CAPS),
        .num_int_msg = le32_of(n->queues),
        .num_recv_que = le32_of(n->queues),
        .num_indirect_tabent = le16_of(NDIS_RSS_TABLE),
    };

    put(r, &c, in_len ? min_u64(in_len, sizeof(c)) : sizeof(c));
}

static void link_state(const struct netvsp *n, struct reply *r)
{
    const le64 speed = le64_of(RNDIS_LINK_SPEED);
    struct ndis_link_state s = {
        .hdr = {NDIS_OBJECT_TYPE_DEFAULT, 1, le16_of(sizeof(s))},
        .media_connect_state =
            le32_of(n->caps.link ? NDIS_MEDIA_CONNECTED : NDIS_MEDIA_DISCONNECTED),
        .xmit_link_speed = speed,
        .rcv_link_speed = speed,
    };

    put(r, &s, sizeof(s));
}

static void encapsulation(struct reply *r)
{
    const le32 on = le32_of(1), type = le32_of(NDIS_OFFLOAD_ENCAP_8023), head = le32_of(ETHER_HEAD);
    struct ndis_offload_encapsulation s = {
        .hdr = {NDIS_OBJECT_TYPE_OFFLOAD_ENCAPSULATION, 1, le16_of(sizeof(s))},
        .ip4_enabled = on,
        .ip4_type = type,
        .ip4_header = head,
        .ip6_enabled = on,
        .ip6_type = type,
        .ip6_header = head,
    };

    put(r, &s, sizeof(s));
}

/* What the guest may call the card. */
static void friendly_name(const struct netvsp *n, struct reply *r)
{
    uint8_t name[RNDIS_FRIENDLY_NAME] = {0};

    utf16_from(n->id, name, sizeof(name) / 2 - 1, false);
    put(r, name, sizeof(name));
}

/* Linux lowers its MTU to this. A back end that carries whole Ethernet frames carries longer ones,
 * too, so a guest that was told to send such may. */
static uint32_t mtu_of(const struct netvsp *n)
{
    uint32_t most =
        netvsp_takes_parts(n) ? 65535 - ETHER_HEAD : NETVSP_ROOM - ETHER_HEAD - ETHER_TAG;
    uint32_t mtu = n->caps.mtu ? n->caps.mtu : 1500;

    if (mtu >= 1500 && n->longest > ETHER_HEAD)
        mtu = (uint32_t)max_u64(mtu, n->longest - ETHER_HEAD);
    return (uint32_t)min_u64(mtu, most);
}

/* Numbers that are asked for; false: not one of them. */
static bool query_number(const struct netvsp *n, uint32_t oid, uint32_t *v)
{
    switch (oid) {
    case RNDIS_OID_GEN_HARDWARE_STATUS:
    case RNDIS_OID_GEN_MEDIA_SUPPORTED:
    case RNDIS_OID_GEN_MEDIA_IN_USE:
    case RNDIS_OID_GEN_RCV_NO_BUFFER:
    case RNDIS_OID_GEN_XMIT_ERROR:
    case RNDIS_OID_GEN_RCV_ERROR:
    case RNDIS_OID_802_3_RCV_ERROR_ALIGNMENT:
    case RNDIS_OID_802_3_XMIT_ONE_COLLISION:
    case RNDIS_OID_802_3_XMIT_MORE_COLLISIONS:
        *v = 0;
        return true;
    case RNDIS_OID_GEN_MAXIMUM_LOOKAHEAD:
    case RNDIS_OID_GEN_CURRENT_LOOKAHEAD:
    case RNDIS_OID_GEN_MAXIMUM_FRAME_SIZE:
        *v = mtu_of(n);
        return true;
    case RNDIS_OID_GEN_TRANSMIT_BLOCK_SIZE:
    case RNDIS_OID_GEN_RECEIVE_BLOCK_SIZE:
    case RNDIS_OID_GEN_MAXIMUM_TOTAL_SIZE:
        *v = mtu_of(n) + ETHER_HEAD;
        return true;
    case RNDIS_OID_GEN_TRANSMIT_BUFFER_SPACE:
    case RNDIS_OID_GEN_RECEIVE_BUFFER_SPACE:
        *v = RNDIS_BUFFER_SPACE;
        return true;
    case RNDIS_OID_GEN_LINK_SPEED:
        *v = RNDIS_LINK_SPEED / 100; /* in units of 100 bit/s */
        return true;
    case RNDIS_OID_GEN_CURRENT_PACKET_FILTER:
        *v = n->filter;
        return true;
    case RNDIS_OID_GEN_MEDIA_CONNECT_STATUS:
        *v = n->caps.link ? 0 : 1;
        return true;
    case RNDIS_OID_GEN_MAXIMUM_SEND_PACKETS:
    case RNDIS_OID_802_3_MAXIMUM_LIST_SIZE:
        *v = 32;
        return true;
    case RNDIS_OID_GEN_VENDOR_ID:
        *v = 0xffffff;
        return true;
    case RNDIS_OID_GEN_DRIVER_VERSION:
    case RNDIS_OID_GEN_VENDOR_DRIVER_VERSION:
        *v = RNDIS_DRIVER_VERSION;
        return true;
    case RNDIS_OID_GEN_MAC_OPTIONS:
        *v = 0xcb; /* lookahead copies, transfers end at once, no loopback, priorities, VLANs */
        return true;
    default:
        return false;
    }
}

/* What NDIS asks drivers of version 6 for. */
static void put_list(struct reply *r)
{
    static const uint32_t list[] = {
        RNDIS_OID_GEN_SUPPORTED_LIST,
        RNDIS_OID_GEN_HARDWARE_STATUS,
        RNDIS_OID_GEN_MEDIA_SUPPORTED,
        RNDIS_OID_GEN_MEDIA_IN_USE,
        RNDIS_OID_GEN_MAXIMUM_LOOKAHEAD,
        RNDIS_OID_GEN_CURRENT_LOOKAHEAD,
        RNDIS_OID_GEN_MAXIMUM_FRAME_SIZE,
        RNDIS_OID_GEN_MAXIMUM_TOTAL_SIZE,
        RNDIS_OID_GEN_TRANSMIT_BLOCK_SIZE,
        RNDIS_OID_GEN_RECEIVE_BLOCK_SIZE,
        RNDIS_OID_GEN_LINK_SPEED,
        RNDIS_OID_GEN_TRANSMIT_BUFFER_SPACE,
        RNDIS_OID_GEN_RECEIVE_BUFFER_SPACE,
        RNDIS_OID_GEN_VENDOR_ID,
        RNDIS_OID_GEN_VENDOR_DESCRIPTION,
        RNDIS_OID_GEN_VENDOR_DRIVER_VERSION,
        RNDIS_OID_GEN_DRIVER_VERSION,
        RNDIS_OID_GEN_CURRENT_PACKET_FILTER,
        RNDIS_OID_GEN_MAC_OPTIONS,
        RNDIS_OID_GEN_MEDIA_CONNECT_STATUS,
        RNDIS_OID_GEN_MAXIMUM_SEND_PACKETS,
        RNDIS_OID_GEN_NETWORK_LAYER_ADDRESSES,
        RNDIS_OID_GEN_FRIENDLY_NAME,
        RNDIS_OID_802_3_PERMANENT_ADDRESS,
        RNDIS_OID_802_3_CURRENT_ADDRESS,
        RNDIS_OID_802_3_MULTICAST_LIST,
        RNDIS_OID_802_3_MAXIMUM_LIST_SIZE,
        RNDIS_OID_802_3_RCV_ERROR_ALIGNMENT,
        RNDIS_OID_802_3_XMIT_ONE_COLLISION,
        RNDIS_OID_802_3_XMIT_MORE_COLLISIONS,
        RNDIS_OID_GEN_RNDIS_CONFIG_PARAMETER,
        OID_GEN_LINK_STATE,
        OID_GEN_MAX_LINK_SPEED,
        OID_GEN_BYTES_RCV,
        OID_GEN_BYTES_XMIT,
        OID_OFFLOAD_ENCAPSULATION,
        OID_TCP_OFFLOAD_PARAMETERS,
        OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES,
        OID_TCP_OFFLOAD_CURRENT_CONFIG,
        OID_GEN_RECEIVE_SCALE_CAPABILITIES,
        OID_GEN_RECEIVE_SCALE_PARAMETERS,
    };

    for (size_t i = 0; i < ARRAY_SIZE(list); i++)
        put32(r, list[i]);
}

/* Counters, of the bits that the guest asks for; false: not one of them. */
static bool query_counter(const struct netvsp *n, uint32_t oid, struct reply *r)
{
    bool out = oid == RNDIS_OID_GEN_XMIT_OK || oid == OID_GEN_BYTES_XMIT;
    le64 v;

    if (oid == RNDIS_OID_GEN_XMIT_OK || oid == RNDIS_OID_GEN_RCV_OK) {
        put32(r, (uint32_t)(out ? n->netif->stats.tx_frames : n->netif->stats.rx_frames));
        return true;
    }
    v = le64_of(out ? n->netif->stats.tx_bytes : n->netif->stats.rx_bytes);
    if (oid == OID_GEN_BYTES_XMIT || oid == OID_GEN_BYTES_RCV)
        put(r, &v, sizeof(v));
    return oid == OID_GEN_BYTES_XMIT || oid == OID_GEN_BYTES_RCV;
}

static uint32_t query(const struct netvsp *n, uint32_t oid, const uint8_t *in, size_t in_len,
                      struct reply *r)
{
    const le64 speed[2] = {le64_of(RNDIS_LINK_SPEED), le64_of(RNDIS_LINK_SPEED)};
    uint32_t v;

    if (query_number(n, oid, &v)) {
        put32(r, v);
        return RNDIS_STATUS_SUCCESS;
    }
    if (query_counter(n, oid, r))
        return RNDIS_STATUS_SUCCESS;
    switch (oid) {
    case RNDIS_OID_GEN_SUPPORTED_LIST:
        put_list(r);
        return RNDIS_STATUS_SUCCESS;
    case RNDIS_OID_GEN_VENDOR_DESCRIPTION:
        put(r, "hospes", 7);
        return RNDIS_STATUS_SUCCESS;
    case RNDIS_OID_GEN_FRIENDLY_NAME:
        friendly_name(n, r);
        return RNDIS_STATUS_SUCCESS;
    case OID_GEN_LINK_STATE:
        link_state(n, r);
        return RNDIS_STATUS_SUCCESS;
    case OID_GEN_MAX_LINK_SPEED:
        put(r, speed, sizeof(speed));
        return RNDIS_STATUS_SUCCESS;
    case OID_OFFLOAD_ENCAPSULATION:
        encapsulation(r);
        return RNDIS_STATUS_SUCCESS;
    case RNDIS_OID_802_3_PERMANENT_ADDRESS:
        put(r, n->mac, sizeof(n->mac));
        return RNDIS_STATUS_SUCCESS;
    case RNDIS_OID_802_3_CURRENT_ADDRESS:
        put(r, n->current_mac, sizeof(n->current_mac));
        return RNDIS_STATUS_SUCCESS;
    case OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES:
    case OID_TCP_OFFLOAD_CURRENT_CONFIG:
        offload_caps(n, in, in_len, r);
        return RNDIS_STATUS_SUCCESS;
    case OID_GEN_RECEIVE_SCALE_CAPABILITIES:
        rss_caps(n, in_len, r);
        return RNDIS_STATUS_SUCCESS;
    default:
        return RNDIS_STATUS_NOT_SUPPORTED;
    }
}

/* --- what can be set --- */

static uint32_t set_rss(struct netvsp *n, const uint8_t *p, size_t len)
{
    struct ndis_recv_scale_param c = {.flag = le16_of(0)};
    uint32_t size, at, key;

    memcpy(&c, p, min_u64(len, sizeof(c)));
    n->rss = false;
    if (le16_get(c.flag) & NDIS_RSS_PARAM_FLAG_DISABLE_RSS ||
        !(le32_get(c.hashinfo) & NDIS_HASH_FUNCTION_MASK))
        return RNDIS_STATUS_SUCCESS;
    size = le16_get(c.indirect_tabsize) / 4;
    at = le32_get(c.indirect_taboffset);
    key = le32_get(c.hashkey_offset);
    if (size == 0 || size > NDIS_RSS_TABLE || !range_in(at, (uint64_t)size * 4, len) ||
        le16_get(c.hashkey_size) != NDIS_RSS_KEY || !range_in(key, NDIS_RSS_KEY, len))
        return RNDIS_STATUS_INVALID_DATA;
    for (uint32_t i = 0; i < size; i++) {
        n->table[i] = le32_at(p + at + 4 * i);
        if (n->table[i] >= n->queues)
            return RNDIS_STATUS_INVALID_DATA;
    }
    memcpy(n->key, p + key, NDIS_RSS_KEY);
    n->table_size = size;
    n->rss = true;
    return RNDIS_STATUS_SUCCESS;
}

/* Of the offloads, only receive coalescing is not decided frame by frame. */
static uint32_t set_offloads(struct netvsp *n, const uint8_t *p, size_t len)
{
    static const uint32_t which[2] = {NET_TSO4, NET_TSO6};

    for (unsigned i = 0; i < 2 && len >= NDIS_OFFLOAD_PARAMETERS_RSC + 2u; i++) {
        uint8_t v = p[NDIS_OFFLOAD_PARAMETERS_RSC + i];

        if (v == NDIS_OFFLOAD_PARAMETERS_RSC_ENABLED && can_coalesce(n))
            n->rsc |= which[i];
        else if (v == NDIS_OFFLOAD_PARAMETERS_RSC_DISABLED)
            n->rsc &= ~which[i];
    }
    netvsp_offloads(n);
    return RNDIS_STATUS_SUCCESS;
}

/* "NetworkAddress" = twelve digits, both in UTF-16. */
static uint32_t set_parameter(struct netvsp *n, const uint8_t *p, size_t len)
{
    uint32_t value, value_len;
    uint8_t mac[6];

    if (len < 20)
        return RNDIS_STATUS_INVALID_DATA;
    value = le32_at(p + 12);
    value_len = le32_at(p + 16);
    if (value_len != 24 || !range_in(value, 24, len))
        return RNDIS_STATUS_SUCCESS; /* some other parameter: nothing depends on it */
    for (unsigned i = 0; i < 6; i++) {
        int high = hex_digit(le16_at(p + value + 4 * i));
        int low = hex_digit(le16_at(p + value + 4 * i + 2));

        if (high < 0 || low < 0)
            return RNDIS_STATUS_INVALID_DATA;
        mac[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(n->current_mac, mac, sizeof(mac));
    return RNDIS_STATUS_SUCCESS;
}

/* Only that which is there anyway. */
static uint32_t set_encapsulation(const uint8_t *p, size_t len)
{
    struct ndis_offload_encapsulation c;

    if (len < sizeof(c))
        return RNDIS_STATUS_INVALID_DATA;
    memcpy(&c, p, sizeof(c));
    if ((le32_get(c.ip4_enabled) == 1 && (le32_get(c.ip4_type) != NDIS_OFFLOAD_ENCAP_8023 ||
                                          le32_get(c.ip4_header) != ETHER_HEAD)) ||
        (le32_get(c.ip6_enabled) == 1 &&
         (le32_get(c.ip6_type) != NDIS_OFFLOAD_ENCAP_8023 || le32_get(c.ip6_header) != ETHER_HEAD)))
        return RNDIS_STATUS_NOT_SUPPORTED;
    return RNDIS_STATUS_SUCCESS;
}

static uint32_t set(struct netvsp *n, uint32_t oid, const uint8_t *p, size_t len)
{
    switch (oid) {
    case RNDIS_OID_GEN_CURRENT_PACKET_FILTER:
        if (len < 4)
            return RNDIS_STATUS_INVALID_DATA;
        n->filter = le32_at(p);
        return RNDIS_STATUS_SUCCESS;
    case OID_GEN_RECEIVE_SCALE_PARAMETERS:
        return set_rss(n, p, len);
    case RNDIS_OID_GEN_RNDIS_CONFIG_PARAMETER:
        return set_parameter(n, p, len);
    case OID_TCP_OFFLOAD_PARAMETERS:
        return set_offloads(n, p, len);
    case RNDIS_OID_802_3_MULTICAST_LIST:
    case RNDIS_OID_GEN_CURRENT_LOOKAHEAD:
    case RNDIS_OID_GEN_NETWORK_LAYER_ADDRESSES:
        return RNDIS_STATUS_SUCCESS;
    case OID_OFFLOAD_ENCAPSULATION:
        return set_encapsulation(p, len);
    default:
        return RNDIS_STATUS_NOT_SUPPORTED;
    }
}

/* --- messages --- */

static void on_initialize(struct netvsp *n, uint32_t id)
{
    /* status, version 1.0, connectionless, 802.3, 8 messages at once of what length they will (a
     * large send is longer than any transfer that the guest names), aligned to 8 */
    static const uint32_t w[] = {0, 1, 0, 1, 0, 8, 0xefffffff, 3, 0, 0};
    struct reply r;

    reply_begin(&r, RNDIS_MSG_INIT, id);
    for (size_t i = 0; i < ARRAY_SIZE(w); i++)
        put32(&r, w[i]);
    n->rndis_up = true;
    reply_send(n, &r);
}

/* The information buffer of a query or set at its place, or nothing. */
static const uint8_t *info_of(const uint8_t *p, size_t len, size_t *n)
{
    uint64_t at = (uint64_t)le32_at(p + 20) + RNDIS_BODY;

    *n = le32_at(p + 16);
    if (*n && range_in(at, *n, len))
        return p + at;
    *n = 0;
    return p;
}

static void on_query(struct netvsp *n, uint32_t id, const uint8_t *p, size_t len)
{
    struct reply r, body = {.len = 0};
    const uint8_t *in;
    size_t in_len;
    uint32_t status;

    in = info_of(p, len, &in_len);
    status = query(n, le32_at(p + 12), in, in_len, &body);
    reply_begin(&r, RNDIS_MSG_QUERY, id);
    put32(&r, status);
    put32(&r, (uint32_t)body.len);
    put32(&r, 16); /* behind these words, counted from the request's number */
    put(&r, body.b, body.len);
    reply_send(n, &r);
}

/* NDIS learns of what has been set by a notice, in an object of the same revision. */
static void indicate_offloads(struct netvsp *n, unsigned revision)
{
    const uint8_t size = revision >= 3   ? NDIS_OFFLOAD_SIZE
                         : revision == 2 ? NDIS_OFFLOAD_SIZE_6_1
                                         : NDIS_OFFLOAD_SIZE_6_0;
    const uint8_t like[4] = {NDIS_OBJECT_TYPE_OFFLOAD, 0, size};
    struct reply r = {.len = 0}, config = {.len = 0};

    offload_caps(n, like, sizeof(like), &config);
    put32(&r, RNDIS_MSG_INDICATE);
    put32(&r, 0);
    put32(&r, RNDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG);
    put32(&r, (uint32_t)config.len);
    put32(&r, 12); /* behind these words, counted from the status */
    put(&r, config.b, config.len);
    reply_send(n, &r);
}

static void on_set(struct netvsp *n, uint32_t id, const uint8_t *p, size_t len)
{
    uint32_t oid = le32_at(p + 12), status;
    struct reply r;
    const uint8_t *in;
    size_t in_len;

    in = info_of(p, len, &in_len);
    status = set(n, oid, in, in_len);
    reply_begin(&r, RNDIS_MSG_SET, id);
    put32(&r, status);
    reply_send(n, &r);
    if (oid == OID_TCP_OFFLOAD_PARAMETERS && status == RNDIS_STATUS_SUCCESS)
        indicate_offloads(n, in_len >= 2 ? in[1] : 1);
}

static void on_simple(struct netvsp *n, uint32_t type, uint32_t id)
{
    struct reply r;

    reply_begin(&r, type, id);
    if (type == RNDIS_MSG_RESET)
        r.len -= 4; /* has no number: status, then whether addressing was lost */
    put32(&r, RNDIS_STATUS_SUCCESS);
    if (type == RNDIS_MSG_RESET)
        put32(&r, 0);
    reply_send(n, &r);
}

void rndis_message(struct netvsp *n, const uint8_t *p, size_t len)
{
    uint32_t type = le32_at(p), id = len >= 12 ? le32_at(p + 8) : 0;

    if (len < 12 || ((type == RNDIS_MSG_QUERY || type == RNDIS_MSG_SET) && len < 28)) {
        vmbus_fault(&n->q[0].c, "an RNDIS message of %zu bytes is too short", len);
        return;
    }
    switch (type) {
    case RNDIS_MSG_INIT:
        on_initialize(n, id);
        break;
    case RNDIS_MSG_HALT:
        n->rndis_up = false;
        break;
    case RNDIS_MSG_QUERY:
        on_query(n, id, p, len);
        break;
    case RNDIS_MSG_SET:
        on_set(n, id, p, len);
        break;
    case RNDIS_MSG_RESET:
    case RNDIS_MSG_KEEPALIVE:
        on_simple(n, type, id);
        break;
    default:
        vmbus_fault(&n->q[0].c, "an RNDIS message of type %#x is unknown", type);
        break;
    }
}

void rndis_link(struct netvsp *n, bool up)
{
    struct reply r = {.len = 0};

    n->caps.link = up;
    if (!n->rndis_up)
        return;
    put32(&r, RNDIS_MSG_INDICATE);
    put32(&r, 0);
    put32(&r, up ? RNDIS_STATUS_MEDIA_CONNECT : RNDIS_STATUS_MEDIA_DISCONNECT);
    put32(&r, 0);
    put32(&r, 0);
    reply_send(n, &r);
}

/* --- receive side scaling --- */

unsigned rss_queue(const struct netvsp *n, const uint8_t *head, size_t len)
{
    unsigned type = be16_at(head + 12), addresses = 0, ports = 0, proto = 0;
    uint8_t tuple[36];
    size_t at = 0;

    if (!n->rss)
        return 0;
    if (type == 0x0800 && len >= ETHER_HEAD + 20) {
        at = ETHER_HEAD + 12;
        addresses = 8;
        proto = head[ETHER_HEAD + 9];
        ports =
            be16_at(head + ETHER_HEAD + 6) & 0x3fff ? 0 : ETHER_HEAD + 4 * (head[ETHER_HEAD] & 15);
    } else if (type == 0x86dd && len >= ETHER_HEAD + 40) {
        at = ETHER_HEAD + 8;
        addresses = 32;
        proto = head[ETHER_HEAD + 6];
        ports = ETHER_HEAD + 40;
    } else {
        return 0;
    }
    memcpy(tuple, head + at, addresses);
    if (proto == 6 && ports && ports + 4 <= len) {
        memcpy(tuple + addresses, head + ports, 4);
        addresses += 4;
    }
    return n->table[rss_toeplitz(n->key, tuple, addresses) % n->table_size];
}

/* --- what the guest wants done to a frame --- */

static uint32_t fold(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static void ip_checksum(uint8_t *ip, size_t len)
{
    uint32_t sum = 0;

    be16_put(ip + 10, 0);
    for (size_t i = 0; i + 1 < len; i += 2)
        sum += be16_at(ip + i);
    be16_put(ip + 10, (uint16_t)~fold(sum));
}

/* Where IPv6's transport header begins in a frame whose IPv6 header stands at `at`. */
static unsigned transport_of_ipv6(const uint8_t *h, size_t len, unsigned at)
{
    unsigned next = h[at + 6];

    at += 40;
    /* hop-by-hop options, routing, destination options */
    while ((next == 0 || next == 43 || next == 60) && at + 2 <= len) {
        next = h[at];
        at += 8 * (h[at + 1] + 1u);
    }
    return at;
}

/* Where the IP header begins: behind a tag that is in the frame. */
static unsigned ip_of(const uint8_t *h, size_t len)
{
    return len >= ETHER_HEAD + ETHER_TAG && be16_at(h + 12) == 0x8100 ? ETHER_HEAD + ETHER_TAG
                                                                      : ETHER_HEAD;
}

/* Where TCP or UDP begins. OpenBSD and FreeBSD up to 11.0 do not say. 0: this is no IP. */
static unsigned transport_of(const uint8_t *h, size_t len)
{
    unsigned at = ip_of(h, len);

    if (len >= at + 20u && be16_at(h + at - 2) == 0x0800)
        return at + 4 * (h[at] & 15u);
    if (len >= at + 40u && be16_at(h + at - 2) == 0x86dd)
        return transport_of_ipv6(h, len, at);
    return 0;
}

/* Drivers leave the lengths of a large send out of IP header and pseudo header: fill them in. */
static bool mend_lso(uint8_t *h, size_t len, uint64_t frame, uint32_t v, struct net_meta *m)
{
    unsigned said = v >> NDIS_LSO_OFFSET_SHIFT & 0x3ff, tcp = said ? said : transport_of(h, len);
    unsigned ip = ip_of(h, len);
    uint32_t payload = (uint32_t)(frame - tcp);
    bool six = v & NDIS_LSO_IPV6;

    if (!(v & NDIS_LSO_V2) || (v & NDIS_LSO_MSS_MASK) == 0 || tcp + 20 > len || frame < tcp + 20u ||
        tcp < ip + (six ? 40u : 20u))
        return false;
    m->gso = six ? NET_GSO_TCP6 : NET_GSO_TCP4;
    m->gso_size = (uint16_t)min_u64(v & NDIS_LSO_MSS_MASK, UINT16_MAX);
    m->hdr_len = (uint16_t)(tcp + 4 * (h[tcp + 12] >> 4));
    m->flags = NET_NEEDS_CSUM;
    m->csum_start = (uint16_t)tcp;
    m->csum_off = 16;
    if (m->hdr_len > frame)
        return false;
    if (six) {
        be16_put(h + ip + 4, (uint16_t)(frame - ip - 40));
    } else {
        be16_put(h + ip + 2, (uint16_t)(frame - ip));
        ip_checksum(h + ip, tcp - ip);
    }
    be16_put(h + tcp + 16, (uint16_t)fold(be16_at(h + tcp + 16) + fold(payload)));
    return true;
}

static bool mend_csum(uint8_t *h, size_t len, uint64_t frame, uint32_t v, struct net_meta *m)
{
    unsigned said = v >> NDIS_CSUM_OFFSET_SHIFT & 0x3ff, at = said ? said : transport_of(h, len);
    unsigned ip = ip_of(h, len);

    if (v & NDIS_CSUM_IP_HEADER && len >= ip + 20u) {
        size_t ihl = 4 * (size_t)(h[ip] & 15);

        if (be16_at(h + ip - 2) == 0x0800 && ihl >= 20 && ip + ihl <= len)
            ip_checksum(h + ip, ihl);
    }
    if (!(v & (NDIS_CSUM_TCP | NDIS_CSUM_UDP)))
        return true;
    m->flags = NET_NEEDS_CSUM;
    m->csum_start = (uint16_t)at;
    m->csum_off = v & NDIS_CSUM_TCP ? 16 : 6;
    return at && (uint64_t)at + m->csum_off + 2 <= frame;
}

bool rndis_meta(const struct netvsp *n, const uint8_t *ppi, size_t ppi_len, uint8_t *head,
                size_t head_len, uint64_t frame, struct net_meta *m, uint32_t *vlan)
{
    uint32_t csum = 0, lso = 0;
    size_t at = 0;

    *vlan = UINT32_MAX;
    while (at + sizeof(struct rndis_per_packet_info) + 4 <= ppi_len) {
        uint32_t size = le32_at(ppi + at), type = le32_at(ppi + at + 4);
        uint32_t off = le32_at(ppi + at + 8);

        if (size < 16 || !range_in(at, size, ppi_len) || !range_in(off, 4, size))
            return false;
        if (type == TCPIP_CHKSUM_PKTINFO)
            csum = le32_at(ppi + at + off);
        else if (type == TCP_LARGESEND_PKTINFO)
            lso = le32_at(ppi + at + off);
        else if (type == IEEE_8021Q_INFO)
            *vlan = le32_at(ppi + at + off);
        at += size;
    }
    if (lso)
        return n->caps.tx & NET_CSUM && mend_lso(head, head_len, frame, lso, m);
    return !csum || (n->caps.tx & NET_CSUM && mend_csum(head, head_len, frame, csum, m));
}
