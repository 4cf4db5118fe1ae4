/* SPDX-License-Identifier: Apache-2.0 */
/* netvsc's other side: buffers, RNDIS, frames both ways, offloads, several queues, garbage. */
#include "unit.h"

#include "core/err.h"
#include "core/gmem.h"
#include "hyperv/hvguest.h"
#include "net/csum.h"
#include "personas/hyperv/netvsp.h"
#include "virtio/loopnet.h"

enum { RECV = HV_DATA, RECV_PAGES = 64, SEND = HV_DATA + 0x100000, SEND_PAGES = 48 };

static struct hvguest g;
static struct netvsp *dut;
static struct loopnet *net;
static struct hv_offer offer[8];
static uint32_t relid;
static struct hv_packet p;

static void nvsp(uint32_t type, uint32_t a, uint32_t b, uint32_t c)
{
    struct nvsp_message m = {.msg_type = le32_of(type), .w = {le32_of(a), le32_of(b), le32_of(c)}};

    hv_send(&g, relid, type, &m, sizeof(m));
}

static uint16_t buffer_id; /* how the guest calls its receive buffer */

static uint32_t word(unsigned i)
{
    return le32_at(p.data + 4 * (size_t)i);
}

/* 40 bytes from 6.1 on, before that 28, in whole eights. */
static void answer(uint32_t type)
{
    size_t n = dut->version >= NVSP_PROTOCOL_VERSION_61 ? 40 : 32;

    fake_env_run(&g.f);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(p.type, VM_PKT_COMP);
    assert_int_equal(p.len, type == NVSP_MSG_TYPE_INIT_COMPLETE ? 32 : n);
    assert_int_equal(word(0), type);
}

/* An RNDIS message in section `n` of the send buffer. */
static void rndis(const void *m, size_t len, unsigned section, bool control)
{
    memcpy(hv_ram(&g, SEND + section * NETVSP_SEND_SECTION, len), m, len);
    nvsp(NVSP_MSG1_TYPE_SEND_RNDIS_PKT, control, section, (uint32_t)len);
}

/* Takes a transfer page packet; the frame of its range i and its length. */
static uint8_t *received(unsigned i, uint32_t *len)
{
    assert_int_equal(p.type, VM_PKT_DATA_USING_XFER_PAGES);
    assert_int_equal(le16_at(p.ext), buffer_id);
    assert_true(i < le32_at(p.ext + 4));
    *len = le32_at(p.ext + 8 + 8 * (size_t)i);
    return hv_ram(&g, RECV + le32_at(p.ext + 12 + 8 * (size_t)i), *len);
}

static void give_back(void)
{
    struct nvsp_message m = {.msg_type = le32_of(NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE),
                             .w = {le32_of(1)}};

    hv_put(&g, relid, VM_PKT_COMP, 0, p.trans, NULL, 0, &m, sizeof(m));
}

static uint8_t told[512]; /* the last status that was indicated */

/* Sends a control message and gets its answer; NULL: none. */
static uint8_t *request(const void *m, size_t len)
{
    uint8_t *reply = NULL, *got;
    uint32_t n;

    rndis(m, len, 0, true);
    while (hv_get(&g, relid, &p)) {
        if (p.type == VM_PKT_COMP)
            continue;
        got = received(0, &n);
        if (le32_at(got) == RNDIS_MSG_INDICATE)
            memcpy(told, got, n);
        else
            reply = got;
        give_back();
    }
    return reply;
}

static void set(uint32_t oid, const void *value, uint32_t n)
{
    uint8_t m[128] = {0}, *r;

    le32_put(m, RNDIS_MSG_SET);
    le32_put(m + 4, 28 + n);
    le32_put(m + 8, 77);
    le32_put(m + 12, oid);
    le32_put(m + 16, n);
    le32_put(m + 20, 20);
    memcpy(m + 28, value, n);
    r = request(m, 28 + n);
    assert_non_null(r);
    assert_int_equal(le32_at(r), RNDIS_MSG_SET | RNDIS_MSG_COMPLETION);
    assert_int_equal(le32_at(r + 8), 77);
    assert_int_equal(le32_at(r + 12), 0);
}

static void set_filter(uint32_t filter)
{
    le32 v = le32_of(filter);

    set(RNDIS_OID_GEN_CURRENT_PACKET_FILTER, &v, sizeof(v));
}

static uint8_t *query(uint32_t oid, const void *in, uint32_t n, uint32_t *len)
{
    uint8_t m[256] = {0}, *r;

    le32_put(m, RNDIS_MSG_QUERY);
    le32_put(m + 4, 28 + n);
    le32_put(m + 8, 5);
    le32_put(m + 12, oid);
    le32_put(m + 16, n);
    le32_put(m + 20, 20);
    if (n)
        memcpy(m + 28, in, n);
    r = request(m, 28 + n);
    assert_non_null(r);
    if (le32_at(r + 12))
        return NULL;
    *len = le32_at(r + 16);
    return r + 8 + le32_at(r + 20);
}

static void bring_up(uint32_t version)
{
    uint32_t init[6] = {RNDIS_MSG_INIT, 24, 1, 1, 0, 0x4000};
    uint8_t *r;

    nvsp(NVSP_MSG_TYPE_INIT, version, version, 0);
    answer(NVSP_MSG_TYPE_INIT_COMPLETE);
    assert_int_equal(word(1), version);
    assert_int_equal(word(3), 1);
    assert_int_equal(hv_gpadl(&g, relid, 0x100, RECV, RECV_PAGES), 0);
    assert_int_equal(hv_gpadl(&g, relid, 0x101, SEND, SEND_PAGES), 0);
    buffer_id = NETVSC_RECEIVE_BUFFER_ID + (version < NVSP_PROTOCOL_VERSION_61);
    nvsp(NVSP_MSG1_TYPE_SEND_RECV_BUF, 0x100, buffer_id, 0);
    answer(NVSP_MSG1_TYPE_SEND_RECV_BUF_COMPLETE);
    assert_int_equal(word(1), 1);
    assert_int_equal(word(2), 1);
    assert_int_equal(word(5), RECV_PAGES * 2);
    nvsp(NVSP_MSG1_TYPE_SEND_SEND_BUF, 0x101, 0, 0);
    answer(NVSP_MSG1_TYPE_SEND_SEND_BUF_COMPLETE);
    assert_int_equal(word(1), 1);
    r = request(init, sizeof(init));
    assert_non_null(r);
    assert_int_equal(le32_at(r + 12), 0);
    assert_true(le32_at(r + 36) > 64 << 10); /* bytes of a transfer: a large send has so many */
    set_filter(0xb);
}

static int setup(void **state)
{
    struct nic_spec s = {.id = "nic0", .mac = {2, 0, 0, 0, 0, 1}};
    struct err e = {0};

    hv_create(&g, VERSION_COPPER);
    net = loopnet_create(g.f.env.loop);
    net->tx_caps = NET_CSUM | NET_TSO4 | NET_TSO6;
    s.netif = &net->n;
    assert_int_equal(netvsp_create(g.bus, &s, 4, &dut, &e), 0);
    assert_true(hv_contact(&g, VERSION_WIN10_V5_3));
    assert_int_equal(hv_offers(&g, offer, 8), 1);
    assert_int_equal(offer[0].flags, 0); /* a device */
    relid = offer[0].relid;
    assert_int_equal(hv_open(&g, relid, 0), 0);
    bring_up(NVSP_PROTOCOL_VERSION_61);
    return 0;
}

static int teardown(void **state)
{
    fake_env_run(&g.f);
    netvsp_destroy(dut);
    hv_destroy(&g);
    return 0;
}

/* A data message: header, per-packet info, frame. */
static size_t packet(uint8_t *m, const void *ppi, size_t ppi_len, const void *frame, size_t n)
{
    struct rndis_packet h = {
        .ndis_msg_type = le32_of(RNDIS_MSG_PACKET),
        .msg_len = le32_of((uint32_t)((sizeof(h) + ppi_len + n + 7) / 8 * 8)),
        .data_offset = le32_of((uint32_t)(sizeof(h) - 8 + ppi_len)),
        .data_len = le32_of((uint32_t)n),
        .per_pkt_info_offset = le32_of(ppi_len ? sizeof(h) - 8 : 0),
        .per_pkt_info_len = le32_of((uint32_t)ppi_len),
    };

    memset(m, 0, le32_get(h.msg_len));
    memcpy(m, &h, sizeof(h));
    if (ppi_len)
        memcpy(m + sizeof(h), ppi, ppi_len);
    memcpy(m + sizeof(h) + ppi_len, frame, n);
    return le32_get(h.msg_len);
}

static const uint8_t frame[64] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 0, 0x45};

static void frames_are_sent_from_the_buffer_and_from_pages(void **state)
{
    uint8_t m[4096];
    struct nvsp_message k = {.msg_type = le32_of(NVSP_MSG1_TYPE_SEND_RNDIS_PKT),
                             .w = {le32_of(0), le32_of(NETVSC_INVALID_INDEX)}};
    size_t n = packet(m, NULL, 0, frame, sizeof(frame));

    n += packet(m + n, NULL, 0, frame, 60); /* two messages in one section */
    rndis(m, n, 3, false);
    answer(NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE);
    assert_int_equal(net->sent, 2);
    assert_int_equal(net->last.len, 60);
    n = packet(m, NULL, 0, frame, sizeof(frame));
    memcpy(hv_ram(&g, HV_DATA + 0x200000 + 4090, n), m, n);
    hv_send_pages(&g, relid, 9, &k, sizeof(k), HV_DATA + 0x200000 + 4090, (uint32_t)n);
    answer(NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE);
    assert_int_equal(word(1), NVSP_STAT_SUCCESS);
    assert_int_equal(net->sent, 3);
    assert_memory_equal(net->last.bytes, frame, sizeof(frame));
}

static void a_full_back_end_holds_the_guest(void **state)
{
    uint8_t m[256];
    size_t n = packet(m, NULL, 0, frame, sizeof(frame));

    net->full = true;
    for (unsigned i = 0; i < 5; i++)
        rndis(m, n, i, false);
    assert_false(hv_get(&g, relid, &p));
    net->full = false;
    net->ev->writable(net->arg);
    for (unsigned i = 0; i < 5; i++)
        answer(NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE);
    assert_int_equal(net->sent, 5);
}

/* A guest may take its buffer back while the card still waits for the cable. */
static void a_lost_send_buffer_does_not_stop_a_queue(void **state)
{
    uint8_t m[256];
    size_t n = packet(m, NULL, 0, frame, sizeof(frame));

    net->full = true;
    rndis(m, n, 0, false);
    assert_false(hv_get(&g, relid, &p));
    hv_teardown(&g, relid, 0x101);
    net->full = false;
    net->ev->writable(net->arg);
    answer(NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE);
    assert_int_equal(net->sent, 0); /* what lies there now is not the card's */
    assert_int_equal(hv_gpadl(&g, relid, 0x102, SEND, SEND_PAGES), 0);
    nvsp(NVSP_MSG1_TYPE_SEND_SEND_BUF, 0x102, 0, 0);
    answer(NVSP_MSG1_TYPE_SEND_SEND_BUF_COMPLETE);
}

/* Each is looked for behind the one before it, so a million of them would hold the loop. */
static void a_packet_of_endless_messages_is_cut(void **state)
{
    struct nvsp_message k = {.msg_type = le32_of(NVSP_MSG1_TYPE_SEND_RNDIS_PKT),
                             .w = {le32_of(0), le32_of(NETVSC_INVALID_INDEX)}};
    enum { AT = HV_DATA + 0x200000, BYTES = 1 << 20 };
    uint8_t *m = hv_ram(&g, AT, BYTES);
    uint64_t refused = dut->refused;

    for (unsigned i = 0; i < BYTES; i += 8) {
        le32_put(m + i, RNDIS_MSG_PACKET);
        le32_put(m + i + 4, 8);
    }
    hv_send_pages(&g, relid, 9, &k, sizeof(k), AT, BYTES);
    answer(NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE);
    assert_int_equal(word(1), NVSP_STAT_FAIL);
    assert_in_range(dut->refused - refused, 8, 100);
}

static void offloads_and_tags_are_translated(void **state)
{
    uint8_t m[4096] = {0}, big[2000] = {0};
    uint32_t csum[4] = {16, TCPIP_CHKSUM_PKTINFO, 12, 1 | NDIS_CSUM_TCP | 34u << 16};
    uint32_t lso[4] = {16, TCP_LARGESEND_PKTINFO, 12, 1400 | 34u << 20 | NDIS_LSO_V2};
    uint32_t vlan[4] = {16, IEEE_8021Q_INFO, 12, 5 | 0x123 << 4};

    rndis(m, packet(m, csum, 16, frame, sizeof(frame)), 0, false);
    answer(NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE);
    assert_int_equal(net->last.meta.flags, NET_NEEDS_CSUM);
    assert_int_equal(net->last.meta.csum_start, 34);
    assert_int_equal(net->last.meta.csum_off, 16);
    memcpy(big, frame, sizeof(frame));
    big[46] = 0x50;
    rndis(m, packet(m, lso, 16, big, sizeof(big)), 1, false);
    answer(NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE);
    assert_int_equal(net->last.meta.gso, NET_GSO_TCP4);
    assert_int_equal(net->last.meta.gso_size, 1400);
    assert_int_equal(net->last.meta.hdr_len, 54);
    assert_int_equal(be16_at(net->last.bytes + 16), sizeof(big) - 14);
    rndis(m, packet(m, vlan, 16, frame, sizeof(frame)), 2, false);
    answer(NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE);
    assert_int_equal(net->last.len, sizeof(frame) + 4);
    assert_int_equal(be16_at(net->last.bytes + 12), 0x8100);
    assert_int_equal(be16_at(net->last.bytes + 14), 5 << 13 | 0x123);
    assert_int_equal(be16_at(net->last.bytes + 16), 0x0800);
}

/* Some guests ask for checksums and large sends and do not say where the transport begins. */
/* As of a VLAN within a VLAN: one tag comes beside the frame, the other is in it. */
static void large_sends_may_have_a_tag_in_them(void **state)
{
    static const uint8_t want[10] = {0x81, 0, 0, 7, 0x81, 0, 0, 9, 8, 0};
    uint32_t info[8] = {16, TCP_LARGESEND_PKTINFO, 12, 1400 | 38u << 20 | NDIS_LSO_V2,
                        16, IEEE_8021Q_INFO,       12, 7 << 4};
    uint8_t m[4096] = {0}, big[2000] = {[18] = 0x45, [27] = 6, [50] = 0x50};

    memcpy(big, frame, 12);
    memcpy(big + 12, want + 4, 6);
    rndis(m, packet(m, info, 32, big, sizeof(big)), 0, false);
    answer(NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE);
    assert_int_equal(net->last.meta.hdr_len, 4 + 38 + 20);
    assert_memory_equal(net->last.bytes + 12, want, sizeof(want));
    assert_int_equal(be16_at(net->last.bytes + 24), sizeof(big) - 18);
    assert_int_equal(net_sum(net->last.bytes + 22, 20, 0), 0xffff);
}

static void transport_headers_are_found(void **state)
{
    static const struct {
        uint16_t type;
        uint8_t ip[44];
        unsigned at;
    } k[] = {{0x0800, {0x45}, 34},
             {0x0800, {0x46}, 38},
             {0x86dd, {0x60, [6] = 6}, 54},
             {0x86dd, {0x60, [6] = 0, [40] = 60, [41] = 1}, 14 + 40 + 16 + 8}};
    uint32_t csum[4] = {16, TCPIP_CHKSUM_PKTINFO, 12, 1 | NDIS_CSUM_TCP};
    uint32_t lso[4] = {16, TCP_LARGESEND_PKTINFO, 12, 1400 | NDIS_LSO_V2};
    uint8_t m[4096] = {0}, big[2000] = {0};

    for (size_t i = 0; i < ARRAY_SIZE(k); i++) {
        memset(big, 0, 200);
        memcpy(big, frame, 12);
        be16_put(big + 12, k[i].type);
        memcpy(big + 14, k[i].ip, sizeof(k[i].ip));
        if (i == 3)
            big[14 + 40 + 16] = 6; /* behind the destination options */
        rndis(m, packet(m, csum, 16, big, 200), 0, false);
        answer(NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE);
        assert_int_equal(net->last.meta.flags, NET_NEEDS_CSUM);
        assert_int_equal(net->last.meta.csum_start, k[i].at);
    }
    memcpy(big, frame, sizeof(frame));
    big[46] = 0x50;
    rndis(m, packet(m, lso, 16, big, sizeof(big)), 1, false);
    answer(NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE);
    assert_int_equal(net->last.meta.gso, NET_GSO_TCP4);
    assert_int_equal(net->last.meta.hdr_len, 54);
    net->sent = 0;
    be16_put(big + 12, 0x0806); /* a checksum of what has none */
    rndis(m, packet(m, csum, 16, big, 60), 0, false);
    answer(NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE);
    assert_int_equal(net->sent, 0);
}

static void frames_are_received_in_batches(void **state)
{
    uint32_t len;
    uint8_t *m;

    for (unsigned i = 0; i < 500; i++) { /* more than there are sections */
        loopnet_put(net, frame, sizeof(frame), NULL);
        assert_true(hv_get(&g, relid, &p));
        m = received(0, &len);
        assert_int_equal(le32_at(m), RNDIS_MSG_PACKET);
        assert_int_equal(le32_at(m + 4), len);
        assert_memory_equal(m + 8 + le32_at(m + 8), frame, sizeof(frame));
        give_back();
    }
    set_filter(0);
    loopnet_put(net, frame, sizeof(frame), NULL);
    assert_false(hv_get(&g, relid, &p));
}

/* The value of a per-packet info of section m, UINT32_MAX: there is none. */
static uint32_t info(const uint8_t *m, uint32_t type)
{
    uint32_t at = 8 + le32_at(m + 28), end = at + le32_at(m + 32);

    for (; at < end && le32_at(m + 28); at += le32_at(m + at)) {
        if (le32_at(m + at + 4) == type)
            return le32_at(m + at + le32_at(m + at + 8));
    }
    return UINT32_MAX;
}

static void set_coalescing(unsigned four, unsigned six)
{
    uint8_t v[32] = {NDIS_OBJECT_TYPE_DEFAULT, 3, 32};

    v[NDIS_OFFLOAD_PARAMETERS_RSC] = (uint8_t)four;
    v[NDIS_OFFLOAD_PARAMETERS_RSC + 1] = (uint8_t)six;
    set(OID_TCP_OFFLOAD_PARAMETERS, v, sizeof(v));
}

static void long_frames_come_in_parts(void **state)
{
    static const struct net_meta gso = {
        .flags = NET_NEEDS_CSUM, .csum_start = 34, .csum_off = 16, .gso = NET_GSO_TCP4};
    uint8_t big[5000], got[5000];
    uint32_t len, at = 0, parts;

    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (uint8_t)(i * 7);
    memcpy(big, frame, sizeof(frame));
    loopnet_put(net, big, sizeof(big), &gso);
    assert_false(hv_get(&g, relid, &p)); /* not asked for: dropped */
    set_coalescing(NDIS_OFFLOAD_PARAMETERS_RSC_ENABLED, NDIS_OFFLOAD_PARAMETERS_RSC_ENABLED);
    assert_int_equal(net->rx_set, NET_CSUM | NET_TSO4 | NET_TSO6);
    loopnet_put(net, big, sizeof(big), &gso);
    assert_true(hv_get(&g, relid, &p));
    parts = le32_at(p.ext + 4);
    assert_int_equal(parts, (sizeof(big) + NETVSP_ROOM - 1) / NETVSP_ROOM);
    for (unsigned i = 0; i < parts; i++) {
        const uint8_t *m = received(i, &len);
        uint32_t id = info(m, RNDIS_PKTINFO_ID | RNDIS_PKTINFO_INTERNAL);

        assert_int_equal(le32_at(m + 4), len);
        assert_int_equal(id & 0xff, RNDIS_PKTINFO_ID_V1);
        assert_int_equal(id >> 8 & 0xff, RNDIS_PKTINFO_SUBALLOC | (i == 0 ? 2 : 0) |
                                             (i == parts - 1 ? RNDIS_PKTINFO_LAST_FRAG : 0));
        assert_int_equal(info(m, TCPIP_CHKSUM_PKTINFO), 0x38);
        memcpy(got + at, m + 8 + le32_at(m + 8), le32_at(m + 12));
        at += le32_at(m + 12);
    }
    assert_int_equal(at, sizeof(big));
    assert_memory_equal(got, big, sizeof(big));
    give_back();
    set_coalescing(NDIS_OFFLOAD_PARAMETERS_RSC_DISABLED, 0);
    assert_int_equal(net->rx_set, NET_CSUM | NET_TSO6);
}

static void a_guest_with_a_long_mtu_gets_long_frames(void **state)
{
    static const struct net_meta left = {.flags = NET_NEEDS_CSUM, .csum_start = 34, .csum_off = 16};
    uint8_t big[9014 + 4], got[sizeof(big)], whole[sizeof(big)];
    uint32_t len, at = 0, parts = (sizeof(big) + NETVSP_ROOM - 1) / NETVSP_ROOM;

    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (uint8_t)(i * 7);
    memcpy(big, frame, sizeof(frame));
    loopnet_put(net, big, sizeof(big), &left);
    assert_false(hv_get(&g, relid, &p)); /* not asked for: dropped */
    assert_int_equal(le32_at(query(RNDIS_OID_GEN_MAXIMUM_FRAME_SIZE, NULL, 0, &len)), 1500);
    nvsp(NVSP_MSG2_TYPE_SEND_NDIS_CONFIG, 9014, 0, 0);
    fake_env_run(&g.f);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le32_at(query(RNDIS_OID_GEN_MAXIMUM_FRAME_SIZE, NULL, 0, &len)), 9000);
    loopnet_put(net, big, sizeof(big), &left);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le32_at(p.ext + 4), parts);
    for (unsigned i = 0; i < parts; i++) {
        const uint8_t *m = received(i, &len);

        memcpy(got + at, m + 8 + le32_at(m + 8), le32_at(m + 12));
        at += le32_at(m + 12);
    }
    memcpy(whole, big, sizeof(big));
    assert_int_equal(net_csum_fill(whole, sizeof(whole), &left), 0);
    assert_int_equal(at, sizeof(big));
    assert_memory_equal(got, whole, sizeof(big));
    give_back();
    loopnet_put(net, frame, sizeof(frame), NULL);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le32_at(p.ext + 4), 1);
}

/* A frame never stands in two packets. */
static void parts_of_a_frame_stay_together(void **state)
{
    static uint8_t big[60000];
    const struct net_events *ev = net->ev;
    uint32_t parts = 0, n, len;

    memcpy(big, frame, sizeof(frame));
    set_coalescing(NDIS_OFFLOAD_PARAMETERS_RSC_ENABLED, NDIS_OFFLOAD_PARAMETERS_RSC_ENABLED);
    net->ev = NULL; /* all at once */
    for (unsigned i = 0; i < 3; i++)
        loopnet_put(net, big, sizeof(big), NULL);
    net->ev = ev;
    ev->readable(net->arg);
    for (; hv_get(&g, relid, &p); parts += n) {
        n = le32_at(p.ext + 4);
        assert_true(info(received(0, &len), RNDIS_PKTINFO_ID | RNDIS_PKTINFO_INTERNAL) >> 8 &
                    RNDIS_PKTINFO_1ST_FRAG);
        assert_true(info(received(n - 1, &len), RNDIS_PKTINFO_ID | RNDIS_PKTINFO_INTERNAL) >> 8 &
                    RNDIS_PKTINFO_LAST_FRAG);
    }
    assert_int_equal(parts, 3 * ((sizeof(big) + NETVSP_ROOM - 1) / NETVSP_ROOM));
}

static void tags_are_told_beside_the_frame(void **state)
{
    uint8_t tagged[68];
    uint32_t len;
    uint8_t *m;

    memcpy(tagged, frame, 12);
    be16_put(tagged + 12, 0x8100);
    be16_put(tagged + 14, 5 << 13 | 0x123);
    memcpy(tagged + 16, frame + 12, sizeof(frame) - 12);
    loopnet_put(net, tagged, sizeof(tagged), NULL);
    assert_true(hv_get(&g, relid, &p));
    m = received(0, &len);
    assert_int_equal(info(m, IEEE_8021Q_INFO), 5 | 0x123 << 4);
    assert_int_equal(le32_at(m + 12), sizeof(frame));
    assert_memory_equal(m + 8 + le32_at(m + 8), frame, sizeof(frame));
}

static void a_checksum_left_to_the_card_is_made(void **state)
{
    static const struct net_meta left = {.flags = NET_NEEDS_CSUM, .csum_start = 34, .csum_off = 16};
    uint8_t whole[64];
    uint32_t len;
    uint8_t *m;

    memcpy(whole, frame, sizeof(whole));
    loopnet_put(net, whole, sizeof(whole), &left);
    assert_true(hv_get(&g, relid, &p));
    m = received(0, &len);
    m += 8 + le32_at(m + 8);
    assert_int_equal(be16_at(m + 50), 0xffff); /* of zeroes */
}

static void a_guest_that_keeps_its_frames_gets_no_more(void **state)
{
    unsigned n = 0;

    for (unsigned i = 0; i < RECV_PAGES * 2 + 20; i++)
        loopnet_put(net, frame, sizeof(frame), NULL);
    while (hv_get(&g, relid, &p))
        n += le32_at(p.ext + 4);
    assert_int_equal(n, RECV_PAGES * 2 - NETVSP_RESERVED);
    give_back();
    assert_true(hv_get(&g, relid, &p));
}

static void answers_come_while_the_guest_keeps_all_frames(void **state)
{
    uint32_t len;

    for (unsigned i = 0; i < RECV_PAGES * 2; i++)
        loopnet_offer(net, frame, sizeof(frame), NULL);
    while (hv_get(&g, relid, &p))
        ;
    for (unsigned i = 0; i < 3; i++)
        assert_non_null(query(RNDIS_OID_802_3_PERMANENT_ADDRESS, NULL, 0, &len));
}

static void questions_are_answered(void **state)
{
    uint8_t object[156] = {NDIS_OBJECT_TYPE_OFFLOAD, 3, 156};
    uint32_t len = 0, *v;
    uint8_t *r;

    r = query(RNDIS_OID_802_3_PERMANENT_ADDRESS, NULL, 0, &len);
    assert_int_equal(len, 6);
    assert_int_equal(r[5], 1);
    v = (void *)query(RNDIS_OID_GEN_MAXIMUM_FRAME_SIZE, NULL, 0, &len);
    assert_int_equal(*v, 1500);
    r = query(OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES, object, sizeof(object), &len);
    assert_int_equal(len, 156);
    assert_int_equal(r[0], NDIS_OBJECT_TYPE_OFFLOAD);
    assert_int_equal(le32_at(r + 80), NDIS_OFFLOAD_ENCAP_8023);
    object[2] = 112;
    query(OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES, object, 112, &len);
    assert_int_equal(len, 112);
    assert_null(query(0x12345678, NULL, 0, &len));
}

static void all_that_is_listed_is_known(void **state)
{
    static const uint32_t only_set[] = {
        RNDIS_OID_802_3_MULTICAST_LIST, RNDIS_OID_GEN_NETWORK_LAYER_ADDRESSES,
        RNDIS_OID_GEN_RNDIS_CONFIG_PARAMETER, OID_TCP_OFFLOAD_PARAMETERS,
        OID_GEN_RECEIVE_SCALE_PARAMETERS};
    uint32_t len = 0, n, list[64];
    uint8_t *r = query(RNDIS_OID_GEN_SUPPORTED_LIST, NULL, 0, &len);

    assert_non_null(r);
    n = len / 4;
    assert_in_range(n, 35, ARRAY_SIZE(list));
    memcpy(list, r, len);
    for (uint32_t i = 0; i < n; i++) {
        bool ask = true;

        for (size_t k = 0; k < ARRAY_SIZE(only_set); k++)
            ask &= list[i] != only_set[k];
        if (ask)
            assert_non_null(query(list[i], NULL, 0, &len));
    }
}

/* Windows asks for the objects of NDIS 6. */
static void ndis_6_is_served(void **state)
{
    uint8_t encapsulation[28] = {NDIS_OBJECT_TYPE_OFFLOAD_ENCAPSULATION, 1, 28}, nothing[4] = {0};
    static const uint8_t name[10] = {'n', 0, 'i', 0, 'c', 0, '0'};
    uint8_t offloads[20] = {NDIS_OBJECT_TYPE_DEFAULT, 1, 20};
    uint32_t len = 0;
    uint8_t *r;

    r = query(OID_GEN_LINK_STATE, NULL, 0, &len);
    assert_int_equal(len, 40);
    assert_int_equal(r[0], NDIS_OBJECT_TYPE_DEFAULT);
    assert_int_equal(le16_at(r + 2), 40);
    assert_int_equal(le32_at(r + 4), NDIS_MEDIA_CONNECTED);
    assert_int_equal(le64_at(r + 16), UINT64_C(10000000000));
    r = query(OID_OFFLOAD_ENCAPSULATION, NULL, 0, &len);
    assert_int_equal(len, 28);
    assert_int_equal(r[0], NDIS_OBJECT_TYPE_OFFLOAD_ENCAPSULATION);
    memcpy(encapsulation, r, len);
    set(OID_OFFLOAD_ENCAPSULATION, encapsulation, sizeof(encapsulation));
    set(RNDIS_OID_GEN_NETWORK_LAYER_ADDRESSES, nothing, sizeof(nothing));
    set(OID_GEN_RECEIVE_SCALE_PARAMETERS, nothing, sizeof(nothing)); /* no hash: off */
    r = query(RNDIS_OID_GEN_FRIENDLY_NAME, NULL, 0, &len);
    assert_int_equal(len, 512);
    assert_memory_equal(r, name, sizeof(name));
    set(OID_TCP_OFFLOAD_PARAMETERS, offloads, sizeof(offloads));
    assert_int_equal(le32_at(told + 8), RNDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG);
    assert_int_equal(le32_at(told + 12), 112);
    assert_int_equal(told[8 + le32_at(told + 16)], NDIS_OBJECT_TYPE_OFFLOAD);
    assert_int_equal(told[8 + le32_at(told + 16) + 1], 1);
}

static void queues_share_the_frames(void **state)
{
    struct {
        struct ndis_recv_scale_param s;
        uint8_t table[16], key[40];
    } rss = {.s = {.hashinfo = le32_of(1),
                   .indirect_tabsize = le16_of(16),
                   .indirect_taboffset = le32_of(40),
                   .hashkey_size = le16_of(40),
                   .hashkey_offset = le32_of(56)}};
    uint8_t m[28 + sizeof(rss)] = {0}, out[HV_MESSAGE_PAYLOAD];
    uint32_t subs[3];

    nvsp(NVSP_MSG5_TYPE_SUBCHANNEL, 1, 7, 0);
    answer(NVSP_MSG5_TYPE_SUBCHANNEL);
    assert_int_equal(word(2), 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(hv_message(&g, out), CHANNELMSG_OFFERCHANNEL);
        subs[i] = le32_at(out + 184);
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_false(hv_get(&g, relid, &p)); /* no table before the channels that it names */
        assert_int_equal(hv_open(&g, subs[i], 3), 0);
    }
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(word(0), NVSP_MSG5_TYPE_SEND_INDIRECTION_TABLE);
    assert_int_equal(word(1), NVSP_INDIRECTION);
    assert_int_equal(p.len, 80);
    assert_int_equal(le32_at(p.data + word(2)), 0);
    assert_int_equal(le32_at(p.data + word(2) + 4 * 7), 3);
    for (unsigned i = 0; i < 4; i++)
        rss.table[4 * i] = 3;
    le32_put(m, RNDIS_MSG_SET);
    le32_put(m + 4, sizeof(m));
    le32_put(m + 12, OID_GEN_RECEIVE_SCALE_PARAMETERS);
    le32_put(m + 16, sizeof(rss));
    le32_put(m + 20, 20);
    memcpy(m + 28, &rss, sizeof(rss));
    assert_int_equal(le32_at(request(m, sizeof(m)) + 12), 0);
    loopnet_put(net, frame, sizeof(frame), NULL);
    assert_false(hv_get(&g, relid, &p));
    relid = subs[2];
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(p.type, VM_PKT_DATA_USING_XFER_PAGES);
    le32_put(m + 28 + 40, 4); /* a queue that is not there */
    relid = offer[0].relid;
    assert_int_not_equal(le32_at(request(m, sizeof(m)) + 12), 0);
}

static void older_protocols_have_shorter_messages(void **state)
{
    static const uint32_t versions[] = {NVSP_PROTOCOL_VERSION_1, NVSP_PROTOCOL_VERSION_2,
                                        NVSP_PROTOCOL_VERSION_4, NVSP_PROTOCOL_VERSION_5,
                                        NVSP_PROTOCOL_VERSION_6, NVSP_PROTOCOL_VERSION_61};

    for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
        hv_teardown(&g, relid, 0x100);
        hv_teardown(&g, relid, 0x101);
        hv_close(&g, relid);
        assert_int_equal(hv_open(&g, relid, 0), 0);
        bring_up(versions[i]);
        loopnet_put(net, frame, sizeof(frame), NULL);
        assert_true(hv_get(&g, relid, &p));
        assert_int_equal(p.type, VM_PKT_DATA_USING_XFER_PAGES);
        assert_int_equal(p.len, versions[i] == NVSP_PROTOCOL_VERSION_61 ? 40 : 32);
        give_back();
    }
}

static void what_has_no_answer_is_completed(void **state)
{
    static const uint32_t types[] = {
        NVSP_MSG1_TYPE_SEND_NDIS_VER,    NVSP_MSG2_TYPE_SEND_NDIS_CONFIG,
        NVSP_MSG4_TYPE_SWITCH_DATA_PATH, NVSP_MSG1_TYPE_REVOKE_RECV_BUF,
        NVSP_MSG1_TYPE_REVOKE_SEND_BUF,  99};
    struct nvsp_message m = {.msg_type = le32_of(NVSP_MSG1_TYPE_SEND_NDIS_VER)};

    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        nvsp(types[i], 1514, 0, 0);
        assert_true(hv_get(&g, relid, &p));
        assert_int_equal(p.type, VM_PKT_COMP);
        assert_int_equal(p.trans, types[i]);
        assert_int_equal(p.len, 0);
    }
    hv_put(&g, relid, VM_PKT_DATA_INBAND, 0, 7, NULL, 0, &m, sizeof(m)); /* not wanted */
    assert_false(hv_get(&g, relid, &p));
}

static void the_card_starts_anew_after_a_close(void **state)
{
    hv_close(&g, relid);
    loopnet_put(net, frame, sizeof(frame), NULL);
    assert_int_equal(hv_open(&g, relid, 0), 0);
    assert_int_equal(dut->spares, 0);
    assert_int_equal(dut->version, 0);
}

static void any_packet_is_taken(void **state)
{
    uint8_t m[512];
    struct nvsp_message k;
    uint32_t x = 9;

    for (unsigned i = 0; i < 20000; i++) {
        for (size_t n = 0; n < sizeof(m); n++) {
            x = x * 1664525 + 1013904223;
            m[n] = x >> 30 ? 0 : (uint8_t)(x >> 16);
        }
        memcpy(&k, m + 100, sizeof(k));
        le32_put(m, x >> 28 & 7);
        le32_put(m + 4, x >> 8 & 511);
        memcpy(hv_ram(&g, SEND, sizeof(m)), m, sizeof(m));
        k.msg_type = le32_of(x >> 31 ? 107 : 100 + (x >> 20 & 31));
        if (x >> 31)
            k.w[1] = le32_of(x >> 30 & 1 ? 0 : x >> 4 & 63), k.w[2] = le32_of(512);
        hv_put(&g, relid, x & 4 ? VM_PKT_COMP : VM_PKT_DATA_INBAND, 1, x >> 20, NULL, 0, &k,
               sizeof(k));
        if (i % 16 == 0 && net->count < LOOPNET_FRAMES)
            loopnet_put(net, frame, sizeof(frame), NULL);
        while (hv_get(&g, relid, &p))
            ;
    }
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(frames_are_sent_from_the_buffer_and_from_pages),
        T(a_full_back_end_holds_the_guest),
        T(a_lost_send_buffer_does_not_stop_a_queue),
        T(a_packet_of_endless_messages_is_cut),
        T(offloads_and_tags_are_translated),
        T(large_sends_may_have_a_tag_in_them),
        T(transport_headers_are_found),
        T(frames_are_received_in_batches),
        T(long_frames_come_in_parts),
        T(a_guest_with_a_long_mtu_gets_long_frames),
        T(parts_of_a_frame_stay_together),
        T(tags_are_told_beside_the_frame),
        T(a_checksum_left_to_the_card_is_made),
        T(a_guest_that_keeps_its_frames_gets_no_more),
        T(answers_come_while_the_guest_keeps_all_frames),
        T(questions_are_answered),
        T(all_that_is_listed_is_known),
        T(ndis_6_is_served),
        T(queues_share_the_frames),
        T(older_protocols_have_shorter_messages),
        T(what_has_no_answer_is_completed),
        T(the_card_starts_anew_after_a_close),
        T(any_packet_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
