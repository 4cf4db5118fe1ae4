/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netvsp.c - Hyper-V's synthetic network card: NVSP, its buffers, frames both ways.
 *
 * Facts: Linux drivers/net/hyperv. Modelled: protocols 1 to 6.1, send and receive buffers, several
 * queues with receive side scaling, checksums, large sends, receive segment coalescing (frames that
 * the back end gives whole), the guest's MTU. Not modelled: virtual functions, NVSP's own load
 * indirection for sending (the back end has one queue).
 *
 * Frames to the guest are netvsp_rx.c's. Threads: the loop's.
 */
#include "netvsp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/iov.h"

enum { TX_HEAD = 192 };

static struct netvsp_queue *queue_of(struct vmbus_channel *c)
{
    return container_of(c, struct netvsp_queue, c);
}

size_t nvsp_size(const struct netvsp *n)
{
    return netvsp_takes_parts(n) ? sizeof(struct nvsp_message) : (size_t)NVSP_MESSAGE_OLD;
}

/* --- transmit --- */

/* The copied start of a frame, with the VLAN tag that came beside it put where it belongs. */
static int tx_head(struct iovec *out, uint8_t *head, size_t len, uint32_t vlan, uint8_t tag[4],
                   struct net_meta *m)
{
    if (vlan == UINT32_MAX) {
        out[0] = (struct iovec){head, len};
        return 1;
    }
    be16_put(tag, 0x8100);
    be16_put(tag + 2, (uint16_t)((vlan & 7) << 13 | (vlan >> 3 & 1) << 12 | (vlan >> 4 & 0xfff)));
    out[0] = (struct iovec){head, 12};
    out[1] = (struct iovec){tag, 4};
    out[2] = (struct iovec){head + 12, len - 12};
    m->csum_start += 4;
    m->hdr_len += m->hdr_len ? 4 : 0;
    return 3;
}

/* One RNDIS data message at tx->at. -EAGAIN: not now. */
static long tx_frame(struct netvsp *n, struct netvsp_tx *t, uint32_t msg_len)
{
    uint8_t ppi[512], head[TX_HEAD], tag[4];
    struct iovec data[NETVSP_IOV + 3];
    struct net_meta m = {0};
    struct rndis_packet h;
    uint64_t off, len, info, info_len;
    size_t head_len;
    uint32_t vlan;
    int cnt, used;

    if (msg_len < sizeof(h))
        return -EINVAL;
    iov_read(t->iov, t->cnt, t->at, &h, sizeof(h));
    off = (uint64_t)le32_get(h.data_offset) + RNDIS_BODY;
    len = le32_get(h.data_len);
    info = (uint64_t)le32_get(h.per_pkt_info_offset) + RNDIS_BODY;
    info_len = le32_get(h.per_pkt_info_len);
    if (!range_in(off, len, msg_len) || len < ETHER_HEAD || len > NET_FRAME_MAX ||
        (info_len && !range_in(info, info_len, msg_len)) || info_len > sizeof(ppi))
        return -EINVAL;
    iov_read(t->iov, t->cnt, t->at + info, ppi, info_len);
    head_len = iov_read(t->iov, t->cnt, t->at + off, head, min_u64(len, sizeof(head)));
    if (!rndis_meta(n, ppi, info_len, head, head_len, len, &m, &vlan))
        return -EINVAL;
    used = tx_head(data, head, head_len, vlan, tag, &m);
    cnt =
        iov_slice(t->iov, t->cnt, t->at + off + head_len, len - head_len, data + used, NETVSP_IOV);
    return cnt < 0 ? -EINVAL : n->netif->ops->send(n->netif, &m, data, cnt + used);
}

/* The length of the message at t->at, 0: none that makes sense. */
static uint32_t tx_next(const struct netvsp_tx *t, uint32_t *type)
{
    struct rndis_message_header h;

    if (!range_in(t->at, sizeof(h), t->total))
        return 0;
    iov_read(t->iov, t->cnt, t->at, &h, sizeof(h));
    *type = le32_get(h.ndis_msg_type);
    if (le32_get(h.msg_len) < sizeof(h) || !range_in(t->at, le32_get(h.msg_len), t->total))
        return 0;
    return le32_get(h.msg_len);
}

static void tx_control(struct netvsp *n, const struct netvsp_tx *t, uint32_t len)
{
    uint8_t buf[NETVSP_CONTROL];

    len = (uint32_t)min_u64(len, sizeof(buf));
    iov_read(t->iov, t->cnt, t->at, buf, len);
    rndis_message(n, buf, len);
}

/* All messages of the packet in q->tx. false: held. */
static bool tx_run(struct netvsp_queue *q)
{
    struct netvsp *n = q->n;
    struct netvsp_tx *t = &q->tx;
    struct nvsp_message m = {.msg_type = le32_of(NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE),
                             .w = {le32_of(NVSP_STAT_SUCCESS)}};
    uint32_t type, len;

    t->held = false;
    while (t->at < t->total && (len = tx_next(t, &type)) != 0) {
        if (t->messages == NETVSP_MESSAGES) {
            vmbus_fault(&q->c, "a packet holds more than %d messages", NETVSP_MESSAGES);
            m.w[0] = le32_of(NVSP_STAT_FAIL);
            break;
        }
        if (type == RNDIS_MSG_PACKET) {
            long rc = tx_frame(n, t, len);

            t->held = rc == -EAGAIN;
            if (t->held)
                return false;
            n->refused += rc == -EINVAL;
        } else {
            tx_control(n, t, len);
        }
        t->at += len;
        t->messages++;
    }
    if (t->answer)
        vmbus_complete(&q->c, t->trans, &m, nvsp_size(n));
    return true;
}

/* Section first, then pages. */
static bool tx_collect(struct netvsp *n, struct netvsp_tx *t, const struct ring_packet *p,
                       uint32_t section, uint32_t size)
{
    struct vmdata_gpa_direct d;
    size_t cnt = 0;

    t->buffer = section != NETVSC_INVALID_INDEX ? n->send : NULL;
    if (section != NETVSC_INVALID_INDEX &&
        (!n->send || size > NETVSP_SEND_SECTION * 16 ||
         !gpadl_map(n->send, (uint64_t)section * NETVSP_SEND_SECTION, size, t->iov, NETVSP_IOV,
                    &cnt)))
        return false;
    if (p->type == VM_PKT_DATA_USING_GPA_DIRECT) {
        if (p->ext_len < sizeof(d))
            return false;
        memcpy(&d, p->ext, sizeof(d));
        if (!gpadl_direct(n->b->mem, p->ext + sizeof(d), p->ext_len - sizeof(d),
                          le32_get(d.rangecount), t->iov, NETVSP_IOV, &cnt))
            return false;
    }
    t->cnt = (unsigned)cnt;
    t->total = iov_len(t->iov, t->cnt);
    return t->total >= sizeof(struct rndis_message_header);
}

static void on_rndis(struct netvsp_queue *q, const struct ring_packet *p,
                     const struct nvsp_message *k)
{
    struct netvsp_tx *t = &q->tx;
    struct nvsp_message m = {.msg_type = le32_of(NVSP_MSG1_TYPE_SEND_RNDIS_PKT_COMPLETE),
                             .w = {le32_of(NVSP_STAT_FAIL)}};

    t->trans = p->trans;
    t->answer = p->flags & VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED;
    t->at = 0;
    t->messages = 0;
    if (!tx_collect(q->n, t, p, le32_get(k->w[1]), le32_get(k->w[2]))) {
        vmbus_fault(&q->c, "a packet to send lies outside memory");
        q->n->refused++;
        vmbus_complete(&q->c, p->trans, &m, nvsp_size(q->n));
    } else if (!tx_run(q)) {
        vmbus_pause(&q->c);
    }
}

/* --- NVSP --- */

static void nvsp_answer(struct netvsp_queue *q, const struct ring_packet *p, uint32_t type,
                        const uint32_t *w, unsigned words)
{
    struct nvsp_message m = {.msg_type = le32_of(type)};

    for (unsigned i = 0; i < words; i++)
        m.w[i] = le32_of(w[i]);
    vmbus_complete(&q->c, p->trans, &m, nvsp_size(q->n));
}

static void on_init(struct netvsp_queue *q, const struct ring_packet *p,
                    const struct nvsp_message *k)
{
    static const uint32_t known[] = {NVSP_PROTOCOL_VERSION_61, NVSP_PROTOCOL_VERSION_6,
                                     NVSP_PROTOCOL_VERSION_5,  NVSP_PROTOCOL_VERSION_4,
                                     NVSP_PROTOCOL_VERSION_2,  NVSP_PROTOCOL_VERSION_1};
    uint32_t low = le32_get(k->w[0]), high = le32_get(k->w[1]);
    uint32_t w[3] = {0, 34, NVSP_STAT_FAIL};

    for (size_t i = 0; i < ARRAY_SIZE(known) && !w[0]; i++) {
        if (known[i] >= low && known[i] <= high)
            w[0] = known[i];
    }
    if (w[0])
        w[2] = NVSP_STAT_SUCCESS;
    q->n->version = 0; /* of whose size this answer still is */
    nvsp_answer(q, p, NVSP_MSG_TYPE_INIT_COMPLETE, w, 3);
    q->n->version = w[0];
}

static void on_recv_buf(struct netvsp_queue *q, const struct ring_packet *p,
                        const struct nvsp_message *k)
{
    struct netvsp *n = q->n;
    const struct gpadl *g = vmbus_gpadl(&n->q[0].c, le32_get(k->w[0]));
    uint32_t w[6] = {NVSP_STAT_FAIL};

    if (g && netvsp_rx_buffer(n, g)) {
        n->recv_id = (uint16_t)le32_get(k->w[1]);
        w[0] = NVSP_STAT_SUCCESS;
        w[1] = 1; /* one kind of section, from the start */
        w[3] = NETVSP_SECTION;
        w[4] = n->sections;
        w[5] = n->sections * NETVSP_SECTION;
    }
    nvsp_answer(q, p, NVSP_MSG1_TYPE_SEND_RECV_BUF_COMPLETE, w, 6);
}

static void on_send_buf(struct netvsp_queue *q, const struct ring_packet *p,
                        const struct nvsp_message *k)
{
    const struct gpadl *g = vmbus_gpadl(&q->n->q[0].c, le32_get(k->w[0]));
    uint32_t w[2] = {g ? NVSP_STAT_SUCCESS : NVSP_STAT_FAIL, NETVSP_SEND_SECTION};

    q->n->send = g;
    nvsp_answer(q, p, NVSP_MSG1_TYPE_SEND_SEND_BUF_COMPLETE, w, 2);
}

/* The table for sending: all our queues alike. It stands right behind its head: Linux looks for it
 * elsewhere in a longer message of an old protocol. */
static void send_table(struct netvsp *n, unsigned queues)
{
    struct {
        le32 type, count, offset, table[NVSP_INDIRECTION];
    } k = {.type = le32_of(NVSP_MSG5_TYPE_SEND_INDIRECTION_TABLE),
           .count = le32_of(NVSP_INDIRECTION),
           .offset = le32_of(3 * sizeof(k.type))};

    for (unsigned i = 0; i < NVSP_INDIRECTION; i++)
        k.table[i] = le32_of(i % queues);
    vmbus_send_data(&n->q[0].c, &k, sizeof(k));
}

static void on_subchannel(struct netvsp_queue *q, const struct ring_packet *p,
                          const struct nvsp_message *k)
{
    struct netvsp *n = q->n;
    uint32_t want = le32_get(k->w[1]);
    uint32_t w[2] = {NVSP_STAT_SUCCESS, (uint32_t)min_u64(want, n->queues - 1)};

    if (le32_get(k->w[0]) != 1 || n->version < NVSP_PROTOCOL_VERSION_5) {
        w[0] = NVSP_STAT_FAIL;
        w[1] = 0;
    }
    nvsp_answer(q, p, NVSP_MSG5_TYPE_SUBCHANNEL, w, 2);
    n->granted = w[1];
    for (uint32_t i = 1; i <= w[1]; i++)
        vmbus_offer(&n->q[i].c);
}

/* Messages with an answer of their own. false: this is none. */
static bool nvsp_request(struct netvsp_queue *q, const struct ring_packet *p,
                         const struct nvsp_message *k)
{
    switch (le32_get(k->msg_type)) {
    case NVSP_MSG_TYPE_INIT:
        on_init(q, p, k);
        return true;
    case NVSP_MSG1_TYPE_SEND_RECV_BUF:
        on_recv_buf(q, p, k);
        return true;
    case NVSP_MSG1_TYPE_SEND_SEND_BUF:
        on_send_buf(q, p, k);
        return true;
    case NVSP_MSG5_TYPE_SUBCHANNEL:
        on_subchannel(q, p, k);
        return true;
    default:
        return false;
    }
}

/* The others end with an empty completion if the guest wants one: OpenBSD and UEFI wait for it. */
static void nvsp_notice(struct netvsp_queue *q, const struct ring_packet *p,
                        const struct nvsp_message *k)
{
    switch (le32_get(k->msg_type)) {
    case NVSP_MSG1_TYPE_REVOKE_RECV_BUF:
        netvsp_rx_forget(q->n);
        break;
    case NVSP_MSG1_TYPE_REVOKE_SEND_BUF:
        q->n->send = NULL;
        break;
    case NVSP_MSG2_TYPE_SEND_NDIS_CONFIG:
        q->n->longest = (uint32_t)min_u64(le32_get(k->w[0]), NET_FRAME_MAX - ETHER_TAG);
        break;
    default:
        break;
    }
    if (p->flags & VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED)
        vmbus_complete(&q->c, p->trans, NULL, 0);
}

static void netvsp_packet(struct vmbus_channel *c, const struct ring_packet *p)
{
    struct netvsp_queue *q = queue_of(c);
    struct nvsp_message k = {.msg_type = le32_of(0)};

    if (p->type == VM_PKT_COMP) {
        netvsp_rx_done(q, p->trans);
        netvsp_rx_run(q->n);
        return;
    }
    memcpy(&k, p->data, min_u64(p->data_len, sizeof(k)));
    if (p->data_len < 16)
        vmbus_fault(c, "a packet of %zu bytes is too short", p->data_len);
    else if (le32_get(k.msg_type) == NVSP_MSG1_TYPE_SEND_RNDIS_PKT)
        on_rndis(q, p, &k);
    else if (c->sub_index == 0 && !nvsp_request(q, p, &k))
        nvsp_notice(q, p, &k);
}

/* --- the back end; on the loop --- */

static void net_readable(void *arg)
{
    netvsp_rx_run(arg);
}

static void net_writable(void *arg)
{
    struct netvsp *n = arg;

    for (unsigned i = 0; i < n->queues; i++) {
        struct netvsp_queue *q = &n->q[i];

        if (q->c.open && q->tx.held && tx_run(q)) {
            vmbus_flush(&q->c);
            vmbus_resume(&q->c);
        }
    }
}

void netvsp_offloads(struct netvsp *n)
{
    if (n->netif->ops->set_caps)
        n->netif->ops->set_caps(n->netif, n->caps.tx & (NET_CSUM | NET_TSO4 | NET_TSO6),
                                n->caps.rx & (NET_CSUM | n->rsc));
}

static void net_link(void *arg, bool up)
{
    rndis_link(arg, up);
}

static const struct net_events net_events = {net_readable, net_writable, net_link};

/* --- life --- */

/* With the last of the granted channels the guest may send on all of them. */
static bool netvsp_open(struct vmbus_channel *c)
{
    struct netvsp *n = queue_of(c)->n;
    unsigned open = 0;

    if (c->sub_index == 0)
        return true;
    for (unsigned i = 1; i <= n->granted; i++)
        open += n->q[i].c.open;
    if (open == n->granted && c->sub_index <= n->granted) {
        send_table(n, n->granted + 1);
        vmbus_flush(&n->q[0].c);
    }
    return true;
}

static void netvsp_close(struct vmbus_channel *c)
{
    struct netvsp_queue *q = queue_of(c);
    struct netvsp *n = q->n;

    q->tx.held = false;
    q->batch = -1;
    if (c->sub_index)
        return;
    netvsp_rx_forget(n);
    n->send = NULL;
    n->version = n->longest = n->granted = 0;
    n->rndis_up = n->rss = false;
    n->filter = n->rsc = 0;
    netvsp_offloads(n);
    memcpy(n->current_mac, n->mac, sizeof(n->mac));
    for (unsigned i = 1; i < n->queues; i++)
        vmbus_rescind(&n->q[i].c);
}

static void netvsp_gpadl_gone(struct vmbus_channel *c, const struct gpadl *g)
{
    struct netvsp *n = queue_of(c)->n;

    if (n->recv == g)
        netvsp_rx_forget(n);
    if (n->send == g)
        n->send = NULL;
    for (unsigned i = 0; i < n->queues; i++) { /* what is held ends without being sent */
        if (n->q[i].tx.buffer == g)
            n->q[i].tx.total = n->q[i].tx.at;
    }
}

static void netvsp_room(struct vmbus_channel *c)
{
    netvsp_rx_run(queue_of(c)->n);
}

static void netvsp_describe(struct vmbus_channel *c, struct dump *out)
{
    const struct netvsp *n = queue_of(c)->n;

    if (c->sub_index)
        return;
    dump_add(out, c->id,
             "netvsc protocol %u.%u, %s, %llu frames sent, %llu received, %llu of them coalesced, "
             "%llu refused",
             n->version >> 16, n->version & 0xffff, n->rndis_up ? "up" : "down",
             (unsigned long long)n->netif->stats.tx_frames,
             (unsigned long long)n->netif->stats.rx_frames, (unsigned long long)n->coalesced,
             (unsigned long long)n->refused);
}

static const struct vmbus_class netvsp_class = {
    .name = "netvsc",
    .packet_max = NETVSP_PACKET,
    .monitored = true,
    .open = netvsp_open,
    .close = netvsp_close,
    .packet = netvsp_packet,
    .gpadl_gone = netvsp_gpadl_gone,
    .room = netvsp_room,
    .describe = netvsp_describe,
};

/* own: the instance that the plan gives, or NULL. */
static int netvsp_add_channels(struct netvsp *n, const uint8_t *own, struct err *e)
{
    static const uint8_t type[16] = HV_NIC_GUID;
    static const uint8_t instance[10] = {0x63, 0x51, 0x61, 0xf8, 0, 0, 0, 0x10, 0x20, 0};
    int rc = 0;

    for (unsigned i = 0; i < n->queues && rc == 0; i++) {
        struct netvsp_queue *q = &n->q[i];

        q->n = n;
        q->batch = -1;
        q->c = (struct vmbus_channel){.class = &netvsp_class,
                                      .id = n->id,
                                      .sub_index = (uint16_t)i,
                                      .hidden = i > 0,
                                      .owner = q};
        memcpy(q->c.type, type, sizeof(type));
        memcpy(q->c.instance, instance, sizeof(instance));
        memcpy(q->c.instance + 10, n->mac, sizeof(n->mac));
        if (own)
            memcpy(q->c.instance, own, sizeof(q->c.instance));
        rc = vmbus_add(n->b, &q->c, e);
    }
    return rc;
}

void netvsp_destroy(struct netvsp *n)
{
    n->netif->ops->listen(n->netif, NULL, NULL);
    for (unsigned i = 0; i < n->queues && n->q[i].c.bus; i++)
        vmbus_remove(&n->q[i].c);
    loop_disarm(n->b->loop, &n->again);
    net_close(n->netif);
    free(n->spare);
    free(n->at);
    free(n->id);
    free(n);
}

const char *netvsp_instance(const struct netvsp *n, uint8_t out[16])
{
    memcpy(out, n->q[0].c.instance, 16);
    return n->id;
}

int netvsp_create(struct vmbus *b, const struct nic_spec *s, unsigned queues, struct netvsp **out,
                  struct err *e)
{
    struct netvsp *n = calloc(1, sizeof(*n));
    int rc;

    if (!n) {
        net_close(s->netif);
        return err_set(e, ENOMEM, "no memory for a network card");
    }
    n->b = b;
    n->netif = s->netif;
    n->queues = queues;
    n->again.fire = netvsp_rx_again;
    n->id = strdup(s->id);
    n->spare = calloc(NETVSP_SECTIONS, sizeof(*n->spare));
    n->at = calloc(NETVSP_SECTIONS, sizeof(*n->at));
    memcpy(n->mac, s->mac, sizeof(n->mac));
    memcpy(n->current_mac, s->mac, sizeof(n->mac));
    n->netif->ops->caps(n->netif, &n->caps);
    rc = n->id && n->spare && n->at ? netvsp_add_channels(n, s->instance, e)
                                    : err_set(e, ENOMEM, "no memory for a network card");
    if (rc < 0) {
        netvsp_destroy(n);
        return rc;
    }
    netvsp_offloads(n);
    n->netif->ops->listen(n->netif, &net_events, n);
    *out = n;
    return 0;
}
