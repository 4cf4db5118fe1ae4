/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netvsp_rx.c - the way to the guest: see netvsp.h. A frame goes from the back end straight into
 * sections of the guest's receive buffer; one packet then tells of up to 64 sections. A frame that
 * is longer than a section, coalesced or as long as the guest's MTU allows, comes in parts.
 */
#include "netvsp.h"

#include <errno.h>
#include <string.h>

#include "core/iov.h"
#include "net/csum.h"

enum { RX_BUDGET = 256 };

static struct netvsp_batch *batch_get(struct netvsp *n, int *index)
{
    for (unsigned i = 0; i < NETVSP_BATCHES; i++) {
        unsigned at = (n->batch_hint + i) % NETVSP_BATCHES;

        if (!n->batch[at].used) {
            n->batch[at].used = true;
            n->batch[at].count = 0;
            n->batches++;
            n->batch_hint = at + 1;
            *index = (int)at;
            return &n->batch[at];
        }
    }
    return NULL;
}

static void batch_send(struct netvsp *n, struct netvsp_queue *q, int index, bool control)
{
    const struct netvsp_batch *b = &n->batch[index];
    struct nvsp_message m = {
        .msg_type = le32_of(NVSP_MSG1_TYPE_SEND_RNDIS_PKT),
        .w = {le32_of(control ? NVSP_CHANNEL_CONTROL : 0), le32_of(NETVSC_INVALID_INDEX)}};
    struct {
        struct vmtransfer_page_header h;
        struct vmtransfer_page_range r[NETVSP_BATCH];
    } ext = {.h = {.xfer_pageset_id = le16_of(n->recv_id), .range_cnt = le32_of(b->count)}};
    struct iovec iov = {&m, nvsp_size(n)};

    for (unsigned i = 0; i < b->count; i++) {
        ext.r[i].byte_count = le32_of(b->len[i]);
        ext.r[i].byte_offset = le32_of(b->section[i] * NETVSP_SECTION);
    }
    vmbus_send(&q->c, VM_PKT_DATA_USING_XFER_PAGES, VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED,
               (uint64_t)index + 1, &ext, sizeof(ext.h) + b->count * sizeof(ext.r[0]), &iov, 1);
}

static void queue_send(struct netvsp *n, struct netvsp_queue *q)
{
    if (q->batch < 0)
        return;
    batch_send(n, q, q->batch, false);
    q->batch = -1;
    vmbus_flush(&q->c);
}

/* The guest gives frames back. */
void netvsp_rx_done(struct netvsp_queue *q, uint64_t trans)
{
    struct netvsp *n = q->n;
    struct netvsp_batch *b;
    size_t at;

    if (!idx_in(trans - 1, NETVSP_BATCHES, &at) || !n->batch[at].used) {
        vmbus_fault(&q->c, "frames come back that were never sent");
        return;
    }
    b = &n->batch[at];
    for (unsigned i = 0; i < b->count; i++)
        n->spare[n->spares++] = b->section[i];
    b->used = false;
    n->batches--;
}

bool netvsp_control(struct netvsp *n, const void *p, size_t len)
{
    struct netvsp_batch *b;
    int index;

    if (!n->q[0].c.open || n->spares == 0 || len > NETVSP_SECTION)
        return false;
    b = batch_get(n, &index);
    if (!b)
        return false;
    b->section[0] = n->spare[--n->spares];
    b->len[0] = (uint32_t)len;
    b->count = 1;
    memcpy(n->at[b->section[0]], p, len);
    batch_send(n, &n->q[0], index, true);
    vmbus_flush(&n->q[0].c);
    return true;
}

static void ppi_put(uint8_t **at, uint32_t type, const void *value)
{
    struct rndis_per_packet_info i = {
        .size = le32_of(16), .type = le32_of(type), .ppi_offset = le32_of(sizeof(i))};

    memcpy(*at, &i, sizeof(i));
    memcpy(*at + sizeof(i), value, 4);
    *at += 16;
}

/* What one section says of the frame, or part of one, in it. */
struct rx_part {
    size_t skip, len; /* bytes between the headroom and the data, bytes of data */
    bool right;       /* checksums are */
    unsigned flags;   /* RNDIS_PKTINFO_SUBALLOC and so on, 0: the whole frame */
    uint32_t vlan;    /* UINT32_MAX: none */
};

/* The header of a section; returns the bytes of the section that are told. */
static uint32_t rx_header(uint8_t *section, const struct rx_part *x)
{
    const struct rndis_pktinfo_id id = {RNDIS_PKTINFO_ID_V1, (uint8_t)x->flags, le16_of(0)};
    const le32 csum = le32_of(NDIS_RX_TCP_SUCCEEDED | NDIS_RX_UDP_SUCCEEDED | NDIS_RX_IP_SUCCEEDED);
    const le32 vlan = le32_of(x->vlan);
    uint32_t total = (uint32_t)(NETVSP_HEADROOM + x->skip + x->len);
    struct rndis_packet h = {
        .ndis_msg_type = le32_of(RNDIS_MSG_PACKET),
        .msg_len = le32_of(total),
        .data_offset = le32_of((uint32_t)(NETVSP_HEADROOM + x->skip - RNDIS_BODY)),
        .data_len = le32_of((uint32_t)x->len),
    };
    uint8_t out[NETVSP_HEADROOM] = {0}, *at = out + sizeof(h);

    if (x->right)
        ppi_put(&at, TCPIP_CHKSUM_PKTINFO, &csum);
    if (x->vlan != UINT32_MAX)
        ppi_put(&at, IEEE_8021Q_INFO, &vlan);
    if (x->flags)
        ppi_put(&at, RNDIS_PKTINFO_ID | RNDIS_PKTINFO_INTERNAL, &id);
    if (at > out + sizeof(h)) {
        h.per_pkt_info_offset = le32_of(sizeof(h) - RNDIS_BODY);
        h.per_pkt_info_len = le32_of((uint32_t)(at - out - sizeof(h)));
    }
    memcpy(out, &h, sizeof(h));
    memcpy(section, out, sizeof(out));
    return total;
}

static bool rx_wanted(const struct netvsp *n, const uint8_t *mac)
{
    if (n->filter & 0x20) /* promiscuous */
        return true;
    if (mac[0] & 1)
        return n->filter & 0xe; /* multicast, all multicast, broadcast */
    return n->filter & 1 && memcmp(mac, n->current_mac, 6) == 0;
}

/* Sections that a frame of len bytes takes. */
static unsigned parts_of(size_t len)
{
    return (unsigned)((len + NETVSP_ROOM - 1) / NETVSP_ROOM);
}

/* The spare sections on top of the stack. */
static void rx_iov(const struct netvsp *n, struct iovec iov[NETVSP_PARTS], unsigned parts)
{
    for (unsigned i = 0; i < parts; i++)
        iov[i] = (struct iovec){n->at[n->spare[n->spares - 1 - i]] + NETVSP_HEADROOM, NETVSP_ROOM};
}

/* A batch of q's with room for `parts` sections, NULL: all are under way. */
static struct netvsp_batch *rx_batch(struct netvsp *n, struct netvsp_queue *q, unsigned parts)
{
    if (q->batch >= 0 && n->batch[q->batch].count + parts > NETVSP_BATCH)
        queue_send(n, q);
    if (q->batch < 0 &&
        (n->batches >= NETVSP_BATCHES - NETVSP_RESERVED || !batch_get(n, &q->batch)))
        return NULL;
    return &n->batch[q->batch];
}

/* Of a frame that lies in several sections, those on top of the stack. */
static bool rx_checksum_parts(struct netvsp *n, const struct net_meta *m, size_t len,
                              unsigned parts)
{
    size_t at = (size_t)m->csum_start + m->csum_off;
    struct iovec iov[NETVSP_PARTS];

    rx_iov(n, iov, parts);
    iov_read(iov, parts, 0, n->whole, len);
    if (net_csum_fill(n->whole, len, m) < 0)
        return false;
    iov_write(iov, parts, at, n->whole + at, 2);
    return true;
}

/* A checksum that is left to us is made; that of a coalesced frame nobody looks at. */
static bool rx_checksum(struct netvsp *n, const struct net_meta *m, uint8_t *frame, size_t len,
                        unsigned parts)
{
    if (!(m->flags & NET_NEEDS_CSUM) || m->gso != NET_GSO_NONE)
        return m->flags & (NET_CSUM_OK | NET_NEEDS_CSUM);
    if (parts > 1)
        return rx_checksum_parts(n, m, len, parts);
    return net_csum_fill(frame, len, m) == 0;
}

/* Takes a VLAN tag out of the frame: it is told beside it. head: a copy of the frame's start. */
static uint32_t rx_untag(uint8_t *frame, const uint8_t *head, size_t len, size_t *skip)
{
    unsigned tag = be16_at(head + 14);

    *skip = 0;
    if (len < ETHER_HEAD + ETHER_TAG || be16_at(head + 12) != 0x8100)
        return UINT32_MAX;
    memcpy(frame + 4, head, 12);
    *skip = 4;
    return tag >> 13 | (tag >> 12 & 1) << 3 | (tag & 0xfff) << 4;
}

static void rx_fill(struct netvsp *n, struct netvsp_batch *b, struct rx_part *x, size_t len,
                    unsigned parts)
{
    for (unsigned i = 0; i < parts; i++) {
        x->len = min_u64(len - (size_t)i * NETVSP_ROOM, NETVSP_ROOM) - x->skip;
        if (parts > 1)
            x->flags = RNDIS_PKTINFO_SUBALLOC | (i == 0 ? RNDIS_PKTINFO_1ST_FRAG : 0) |
                       (i == parts - 1 ? RNDIS_PKTINFO_LAST_FRAG : 0);
        b->section[b->count] = n->spare[--n->spares];
        b->len[b->count] = rx_header(n->at[b->section[b->count]], x);
        b->count++;
        x->skip = 0;
    }
    n->coalesced += parts > 1 && len > n->longest;
}

/* The frame lies in the sections on top of the stack. */
static void rx_deliver(struct netvsp *n, const struct net_meta *m, size_t len)
{
    unsigned parts = parts_of(len);
    uint8_t *frame = n->at[n->spare[n->spares - 1]] + NETVSP_HEADROOM, head[96] = {0};
    struct rx_part x = {.len = 0};
    struct netvsp_queue *q;
    struct netvsp_batch *b;

    if (len < ETHER_HEAD)
        return;
    memcpy(head, frame, min_u64(len, sizeof(head)));
    if (!rx_wanted(n, head))
        return;
    q = &n->q[n->queues > 1 ? rss_queue(n, head, min_u64(len, sizeof(head))) : 0];
    if (!q->c.open)
        q = &n->q[0];
    b = rx_batch(n, q, parts);
    if (!b) {
        n->lost++;
        return;
    }
    x.right = rx_checksum(n, m, frame, len, parts);
    x.vlan = rx_untag(frame, head, len, &x.skip);
    rx_fill(n, b, &x, len, parts);
    if (b->count == NETVSP_BATCH)
        queue_send(n, q);
}

/* Sections that a guest with all frames in its hands still gets its answers in. */
static unsigned rx_reserved(const struct netvsp *n)
{
    return (unsigned)min_u64(NETVSP_RESERVED, n->usable / 8);
}

/* The spare sections that the next frame may fill; 0: wait until the guest gives some back. */
static int rx_room(const struct netvsp *n, struct iovec iov[NETVSP_PARTS])
{
    unsigned parts = 1, reserved = rx_reserved(n);

    if (n->rsc)
        parts = NETVSP_PARTS;
    else if (netvsp_takes_parts(n) && n->longest + ETHER_TAG > NETVSP_ROOM)
        parts = parts_of(n->longest + ETHER_TAG);
    parts = (unsigned)min_u64(parts, n->usable - reserved);
    if (n->spares < parts + reserved)
        return 0;
    rx_iov(n, iov, parts);
    return (int)parts;
}

void netvsp_rx_run(struct netvsp *n)
{
    unsigned i;

    for (i = 0; i < RX_BUDGET && n->rndis_up && n->filter; i++) {
        struct iovec iov[NETVSP_PARTS];
        struct net_meta m = {0};
        long len;
        int k;

        if (vmbus_congested(&n->q[0].c))
            break;
        k = rx_room(n, iov);
        if (k == 0)
            break;
        len = n->netif->ops->recv(n->netif, &m, iov, k);
        if (len == -EAGAIN)
            break;
        if (len > 0)
            rx_deliver(n, &m, (size_t)len);
    }
    if (i == RX_BUDGET)
        loop_arm(n->b->loop, &n->again, loop_now(n->b->loop));
    for (i = 0; i < n->queues; i++)
        queue_send(n, &n->q[i]);
}

void netvsp_rx_again(struct alarm *a)
{
    netvsp_rx_run(container_of(a, struct netvsp, again));
}

/* --- the buffer --- */

void netvsp_rx_forget(struct netvsp *n)
{
    n->recv = NULL;
    n->spares = n->sections = n->usable = 0;
    memset(n->batch, 0, sizeof(n->batch));
    n->batches = 0;
    for (unsigned i = 0; i < n->queues; i++)
        n->q[i].batch = -1;
}

/* A section that lies in two pieces of our memory is left alone. */
static void sections_find(struct netvsp *n, const struct gpadl *g)
{
    n->spares = 0;
    for (uint32_t i = n->sections; i-- > 0;) {
        struct iovec iov;
        size_t cnt = 0;

        if (!gpadl_map(g, (uint64_t)i * NETVSP_SECTION, NETVSP_SECTION, &iov, 1, &cnt))
            continue;
        n->at[i] = iov.iov_base;
        n->spare[n->spares++] = i;
    }
    n->usable = n->spares;
}

bool netvsp_rx_buffer(struct netvsp *n, const struct gpadl *g)
{
    if (n->recv || g->bytes < 4 * NETVSP_SECTION)
        return false;
    n->recv = g;
    n->sections = (uint32_t)min_u64(g->bytes / NETVSP_SECTION, NETVSP_SECTIONS);
    sections_find(n, g);
    return n->usable > 0;
}
