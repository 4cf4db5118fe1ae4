/* SPDX-License-Identifier: Apache-2.0 */
/* hvguest.c - see hvguest.h. */
#include "unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "core/err.h"
#include "core/gmem.h"
#include "hvguest.h"

enum { MESSAGES = 0x1000, EVENTS = 0x2000, INPUT = 0x3000, PAGE = 4096 };

static struct hvguest *guest_of(struct host *h)
{
    return container_of(h, struct hvguest, host);
}

/* --- the host's kernel --- */

static uint32_t host_caps(const struct host *h)
{
    return HOST_CAP_HYPERV_SYNIC;
}

static struct irqs *host_irqs(struct host *h)
{
    return &guest_of(h)->irqs;
}

static int host_signal(struct host *h, uint32_t conn, int fd)
{
    struct hvguest *g = guest_of(h);

    if (conn == VMBUS_EVENT_CONNECTION_ID)
        g->shared_fd = fd;
    else
        g->fd[conn % VMBUS_RELIDS] = fd;
    return 0;
}

static void sint_set(struct irq *i, bool up)
{
    struct hv_sint *s = (struct hv_sint *)(void *)i;

    s->raised++;
    if (s->g->at_interrupt && s->sint == VMBUS_MESSAGE_SINT && !s->eom)
        s->g->at_interrupt(s->g);
}

static int host_sint(struct host *h, unsigned vp, unsigned sint, void (*eom)(void *arg), void *arg,
                     struct irq **out, struct err *e)
{
    struct hv_sint *s = calloc(1, sizeof(*s));

    struct hvguest *g = guest_of(h);

    assert_non_null(s);
    *s = (struct hv_sint){{sint_set}, NULL, g, vp, sint, 0, eom, arg};
    *out = &s->irq;
    if (sint != VMBUS_MESSAGE_SINT) {
        s->next = g->others;
        g->others = s;
        return 0;
    }
    assert_null(g->sint[vp][eom != NULL]);
    g->sint[vp][eom != NULL] = s;
    return 0;
}

static void irqs_release(struct irqs *irqs, struct irq *i)
{
    struct hvguest *g = container_of(irqs, struct hvguest, irqs);
    struct hv_sint *s = (struct hv_sint *)(void *)i, **at = &g->others;

    while (*at && *at != s)
        at = &(*at)->next;
    if (*at)
        *at = s->next;
    else
        g->sint[s->vp][s->eom != NULL] = NULL;
    free(s);
}

static int host_get_msr(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    *val = guest_of(v->host)->os_id;
    return 0;
}

static uint64_t host_clock(const struct host *h)
{
    return UINT64_C(1234567800);
}

static const struct irqs_ops irqs_ops = {.release = irqs_release};
static const struct host_ops host_ops = {
    .caps = host_caps,
    .irqs = host_irqs,
    .clock_ns = host_clock,
    .hyperv_signal = host_signal,
    .hyperv_sint = host_sint,
    .vcpu_get_msr = host_get_msr,
};

/* --- life --- */

static void begin(struct hvguest *g)
{
    memset(g, 0, sizeof(*g));
    fake_env_create(&g->f, HV_RAM);
    g->host.ops = &host_ops;
    g->irqs.ops = &irqs_ops;
    g->conn = VMBUS_MESSAGE_CONNECTION_ID;
    g->os_id = UINT64_C(0x8100000601c00000);
    for (unsigned i = 0; i < VMBUS_RELIDS; i++)
        g->fd[i] = -1;
    for (unsigned i = 0; i < HV_CPUS; i++)
        g->cpu[i] = (struct vcpu){&g->host, i};
}

static struct host_event_info pages(unsigned i)
{
    return (struct host_event_info){
        .data = {HV_X64_MSR_SCONTROL, 1, (EVENTS + i * 0x10000) | 1, (MESSAGES + i * 0x10000) | 1}};
}

void hv_create(struct hvguest *g, uint32_t max_version)
{
    struct err e = {0};

    begin(g);
    assert_int_equal(
        vmbus_create(&g->host, g->f.env.mem, g->f.env.loop, HV_CPUS, max_version, &g->bus, &e), 0);
    for (unsigned i = 0; i < HV_CPUS; i++) {
        struct host_event_info info = pages(i);

        assert_int_equal(synic_vcpu_ready(g->bus->synic, &g->cpu[i], &e), 0);
        synic_changed(g->bus->synic, &g->cpu[i], &info);
    }
    fake_env_run(&g->f);
}

void hv_create_persona(struct hvguest *g, const struct persona_ops *ops, struct persona_env *env)
{
    struct err e = {0};

    begin(g);
    env->dev = g->f.env;
    env->host = &g->host;
    env->cpus = HV_CPUS;
    env->memory = HV_RAM;
    assert_int_equal(ops->create(env, &g->persona, &e), 0);
    for (unsigned i = 0; i < HV_CPUS; i++) {
        struct host_event_info info = pages(i);

        assert_int_equal(ops->vcpu_ready(g->persona, &g->cpu[i], &e), 0);
        ops->synic(g->persona, &g->cpu[i], &info);
    }
    fake_env_run(&g->f);
}

void hv_destroy(struct hvguest *g)
{
    vmbus_destroy(g->bus);
    if (g->persona)
        g->persona->ops->destroy(g->persona);
    for (unsigned i = 0; i < HV_CPUS; i++) {
        assert_null(g->sint[i][0]);
        assert_null(g->sint[i][1]);
    }
    fake_env_destroy(&g->f);
}

void *hv_ram(struct hvguest *g, gpa_t at, size_t n)
{
    void *p = gmem_shared(g->f.env.mem, at, n);

    assert_non_null(p);
    return p;
}

/* --- messages --- */

static unsigned hypercall(struct hvguest *g, struct hcall *h)
{
    if (!g->persona)
        return vmbus_hypercall(g->bus, h);
    assert_int_equal(g->persona->ops->hypercall(g->persona, &g->cpu[0], h), VERDICT_DONE);
    return (unsigned)h->result;
}

unsigned hv_post(struct hvguest *g, const void *p, size_t n)
{
    struct hv_post_message_input *in = hv_ram(g, INPUT, sizeof(*in));
    struct hcall h = {.kind = HCALL_HYPERV, .nr = HVCALL_POST_MESSAGE, .args = {INPUT}};
    unsigned status;

    *in = (struct hv_post_message_input){.connectionid = le32_of(g->conn),
                                         .message_type = le32_of(HVMSG_VMBUS),
                                         .payload_size = le32_of((uint32_t)n)};
    memcpy(in->payload, p, n < sizeof(in->payload) ? n : sizeof(in->payload));
    status = hypercall(g, &h);
    fake_env_run(&g->f);
    return status;
}

void hv_say(struct hvguest *g, uint32_t relid, uint32_t type, void *m, size_t n)
{
    uint8_t buf[512];

    assert_true(n <= sizeof(buf) - 8);
    le32_put(m, type);
    le32_put((uint8_t *)m + 4, (uint32_t)n);
    le32_put(buf, VMBUS_PIPE_DATA);
    le32_put(buf + 4, (uint32_t)n);
    memcpy(buf + 8, m, n);
    hv_send(g, relid, 0, buf, 8 + n);
    fake_env_run(&g->f);
}

struct hv_message *hv_slot(struct hvguest *g, unsigned vp)
{
    return hv_ram(g, MESSAGES + vp * 0x10000 + 2 * sizeof(struct hv_message),
                  sizeof(struct hv_message));
}

uint32_t hv_message(struct hvguest *g, void *out)
{
    for (unsigned i = 0; i < HV_CPUS; i++) {
        struct hv_message *m = hv_slot(g, i);
        bool pending;

        if (le32_get(m->message_type) == HVMSG_NONE)
            continue;
        assert_int_equal(le32_get(m->message_type), HVMSG_VMBUS);
        memcpy(out, m->payload, sizeof(m->payload));
        m->message_type = le32_of(HVMSG_NONE);
        pending = m->message_flags & HV_MESSAGE_PENDING;
        if (pending && g->sint[i][1])
            g->sint[i][1]->eom(g->sint[i][1]->arg);
        return le32_at(out);
    }
    return 0;
}

bool hv_contact(struct hvguest *g, uint32_t version)
{
    struct vmbus_channel_initiate_contact m = {
        .header.msgtype = le32_of(CHANNELMSG_INITIATE_CONTACT),
        .vmbus_version_requested = le32_of(version),
        .monitor_page1 = le64_of(HV_MONITORS + PAGE),
        .monitor_page2 = le64_of(HV_MONITORS),
    };
    uint8_t out[HV_MESSAGE_PAYLOAD];

    g->conn =
        version >= VERSION_WIN10_V5 ? VMBUS_MESSAGE_CONNECTION_ID_4 : VMBUS_MESSAGE_CONNECTION_ID;
    if (version >= VERSION_WIN10_V5)
        m.interrupt_page = le64_of(VMBUS_MESSAGE_SINT);
    else if (version < VERSION_WIN8)
        m.interrupt_page = le64_of(0x4000);
    if (hv_post(g, &m, sizeof(m)) != 0)
        return false;
    assert_int_equal(hv_message(g, out), CHANNELMSG_VERSION_RESPONSE);
    return out[8];
}

unsigned hv_offers(struct hvguest *g, struct hv_offer *o, unsigned max)
{
    struct vmbus_channel_message_header m = {le32_of(CHANNELMSG_REQUESTOFFERS), le32_of(0)};
    uint8_t out[HV_MESSAGE_PAYLOAD];
    unsigned n = 0;
    uint32_t type;

    assert_int_equal(hv_post(g, &m, sizeof(m)), 0);
    while ((type = hv_message(g, out)) == CHANNELMSG_OFFERCHANNEL) {
        struct vmbus_channel_offer_channel c;

        memcpy(&c, out, sizeof(c));
        assert_true(n < max);
        o[n] = (struct hv_offer){.relid = le32_get(c.child_relid),
                                 .sub = le16_get(c.sub_channel_index),
                                 .flags = le16_get(c.chn_flags),
                                 .monitor = c.monitor_allocated & 1 ? c.monitorid : -1};
        memcpy(o[n].user_def, c.user_def, sizeof(c.user_def));
        memcpy(o[n].type, c.if_type, 16);
        memcpy(o[n++].instance, c.if_instance, 16);
    }
    assert_int_equal(type, CHANNELMSG_ALLOFFERS_DELIVERED);
    return n;
}

uint32_t hv_gpadl(struct hvguest *g, uint32_t relid, uint32_t id, gpa_t at, unsigned pages)
{
    uint8_t list[16384], m[HV_MESSAGE_PAYLOAD], out[HV_MESSAGE_PAYLOAD];
    size_t total = 8 + 8 * (size_t)pages, done, part;
    struct vmbus_channel_gpadl_header h = {
        .header.msgtype = le32_of(CHANNELMSG_GPADL_HEADER),
        .child_relid = le32_of(relid),
        .gpadl = le32_of(id),
        .range_buflen = le16_of((uint16_t)total),
        .rangecount = le16_of(1),
    };
    struct vmbus_channel_gpadl_body b = {.header.msgtype = le32_of(CHANNELMSG_GPADL_BODY),
                                         .gpadl = le32_of(id)};

    le32_put(list, pages * PAGE);
    le32_put(list + 4, 0);
    for (unsigned i = 0; i < pages; i++)
        le64_put(list + 8 + 8 * (size_t)i, at / PAGE + i);
    part = total < 216 ? total : 216;
    memcpy(m, &h, sizeof(h));
    memcpy(m + sizeof(h), list, part);
    assert_int_equal(hv_post(g, m, sizeof(h) + part), 0);
    for (done = part; done < total; done += part) {
        part = total - done < 224 ? total - done : 224;
        memcpy(m, &b, sizeof(b));
        memcpy(m + sizeof(b), list + done, part);
        assert_int_equal(hv_post(g, m, sizeof(b) + part), 0);
    }
    assert_int_equal(hv_message(g, out), CHANNELMSG_GPADL_CREATED);
    assert_int_equal(le32_at(out + 12), id);
    return le32_at(out + 16);
}

void hv_teardown(struct hvguest *g, uint32_t relid, uint32_t id)
{
    struct vmbus_channel_pair t = {.header.msgtype = le32_of(CHANNELMSG_GPADL_TEARDOWN),
                                   .child_relid = le32_of(relid),
                                   .second = le32_of(id)};
    uint8_t out[HV_MESSAGE_PAYLOAD];

    assert_int_equal(hv_post(g, &t, sizeof(t)), 0);
    while (hv_message(g, out) != CHANNELMSG_GPADL_TORNDOWN)
        assert_int_equal(le32_at(out), CHANNELMSG_RESCIND_CHANNELOFFER);
}

static gpa_t ring_at(uint32_t relid)
{
    return HV_RINGS + (gpa_t)relid * 2 * HV_RING_PAGES * PAGE;
}

uint32_t hv_open(struct hvguest *g, uint32_t relid, unsigned vp)
{
    struct vmbus_channel_open_channel m = {
        .header.msgtype = le32_of(CHANNELMSG_OPENCHANNEL),
        .child_relid = le32_of(relid),
        .openid = le32_of(77),
        .ringbuffer_gpadlhandle = le32_of(0xe1e10 + relid),
        .target_vp = le32_of(vp),
        .downstream_ringbuffer_pageoffset = le32_of(HV_RING_PAGES),
    };
    uint8_t out[HV_MESSAGE_PAYLOAD];

    memset(hv_ram(g, ring_at(relid), 2 * HV_RING_PAGES * PAGE), 0, 2 * HV_RING_PAGES * PAGE);
    if (hv_gpadl(g, relid, 0xe1e10 + relid, ring_at(relid), 2 * HV_RING_PAGES) != 0)
        return 1;
    assert_int_equal(hv_post(g, &m, sizeof(m)), 0);
    assert_int_equal(hv_message(g, out), CHANNELMSG_OPENCHANNEL_RESULT);
    assert_int_equal(le32_at(out + 12), 77);
    return le32_at(out + 16);
}

void hv_close(struct hvguest *g, uint32_t relid)
{
    struct vmbus_channel_relid c = {.header.msgtype = le32_of(CHANNELMSG_CLOSECHANNEL),
                                    .child_relid = le32_of(relid)};

    assert_int_equal(hv_post(g, &c, sizeof(c)), 0);
    hv_teardown(g, relid, 0xe1e10 + relid);
}

/* --- rings --- */

static struct hv_ring_buffer *ring(struct hvguest *g, uint32_t relid, bool out, uint8_t **data)
{
    uint8_t *p = hv_ram(g, ring_at(relid) + (out ? 0 : HV_RING_PAGES * PAGE), HV_RING_PAGES * PAGE);

    *data = p + PAGE;
    return (void *)p;
}

enum { RING_DATA = (HV_RING_PAGES - 1) * PAGE };

static uint32_t ring_write(uint8_t *data, uint32_t at, const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        data[(at + i) % RING_DATA] = ((const uint8_t *)p)[i];
    return (uint32_t)((at + n) % RING_DATA);
}

static uint32_t ring_read(const uint8_t *data, uint32_t at, void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)p)[i] = data[(at + i) % RING_DATA];
    return (uint32_t)((at + n) % RING_DATA);
}

void hv_signal(struct hvguest *g, uint32_t relid)
{
    struct hcall h = {.kind = HCALL_HYPERV,
                      .nr = HVCALL_SIGNAL_EVENT | HV_HYPERCALL_FAST_BIT,
                      .args = {VMBUS_MESSAGE_SINT << 12 | relid}};
    uint64_t one = 1;

    __atomic_add_fetch(&g->signals, 1, __ATOMIC_RELAXED);
    if (g->fd[relid] >= 0)
        assert_int_equal(write(g->fd[relid], &one, sizeof(one)), sizeof(one));
    else
        assert_int_equal(hypercall(g, &h), HV_STATUS_SUCCESS);
    if (!g->busy)
        fake_env_run(&g->f);
}

void hv_put(struct hvguest *g, uint32_t relid, unsigned type, unsigned flags, uint64_t trans,
            const void *ext, size_t ext_len, const void *data, size_t n)
{
    uint8_t *bytes, pad[8] = {0}, tail[8];
    struct hv_ring_buffer *r = ring(g, relid, true, &bytes);
    size_t off = 16 + ext_len, len = (off + n + 7) / 8 * 8;
    uint32_t old = le32_get(r->write_index), at = old;
    struct vmpacket_descriptor d = {le16_of((uint16_t)type), le16_of((uint16_t)(off / 8)),
                                    le16_of((uint16_t)(len / 8)), le16_of((uint16_t)flags),
                                    le64_of(trans)};

    le64_put(tail, (uint64_t)old << 32);
    at = ring_write(bytes, at, &d, sizeof(d));
    at = ring_write(bytes, at, ext, ext_len);
    at = ring_write(bytes, at, data, n);
    at = ring_write(bytes, at, pad, len - off - n);
    at = ring_write(bytes, at, tail, sizeof(tail));
    shared_store32(&r->write_index, at);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* the host unmasks, then looks */
    if (shared_load32(&r->interrupt_mask) == 0)
        hv_signal(g, relid);
}

void hv_send(struct hvguest *g, uint32_t relid, uint64_t trans, const void *data, size_t n)
{
    hv_put(g, relid, VM_PKT_DATA_INBAND, 1, trans, NULL, 0, data, n);
}

void hv_send_pages(struct hvguest *g, uint32_t relid, uint64_t trans, const void *data, size_t n,
                   gpa_t at, uint32_t len)
{
    uint8_t ext[4096];
    size_t pages = (at % PAGE + len + PAGE - 1) / PAGE;

    le32_put(ext, 0);
    le32_put(ext + 4, 1);
    le32_put(ext + 8, len);
    le32_put(ext + 12, (uint32_t)(at % PAGE));
    for (size_t i = 0; i < pages; i++)
        le64_put(ext + 16 + 8 * i, at / PAGE + i);
    hv_put(g, relid, VM_PKT_DATA_USING_GPA_DIRECT, 1, trans, ext, 16 + 8 * pages, data, n);
}

bool hv_get(struct hvguest *g, uint32_t relid, struct hv_packet *p)
{
    uint8_t *bytes;
    struct hv_ring_buffer *r = ring(g, relid, false, &bytes);
    uint32_t at = le32_get(r->read_index), write_index = shared_load32(&r->write_index);
    struct vmpacket_descriptor d;
    size_t off, len;

    if (at == write_index)
        return false;
    assert_true(write_index < RING_DATA);
    ring_read(bytes, at, &d, sizeof(d));
    off = (size_t)le16_get(d.offset8) * 8;
    len = (size_t)le16_get(d.len8) * 8;
    assert_true(off >= 16 && len >= off && off - 16 <= sizeof(p->ext) &&
                len - off <= sizeof(p->data));
    *p = (struct hv_packet){.type = le16_get(d.type),
                            .flags = le16_get(d.flags),
                            .trans = le64_get(d.trans_id),
                            .len = len - off,
                            .ext_len = off - 16};
    ring_read(bytes, (uint32_t)((at + 16) % RING_DATA), p->ext, off - 16);
    ring_read(bytes, (uint32_t)((at + off) % RING_DATA), p->data, len - off);
    shared_store32(&r->read_index, (uint32_t)((at + len + 8) % RING_DATA));
    if (le32_get(r->pending_send_sz) && !g->mute)
        hv_signal(g, relid);
    return true;
}

bool hv_event(struct hvguest *g, unsigned vp, uint32_t relid)
{
    uint8_t *p = hv_ram(g, EVENTS + vp * 0x10000 + 2 * HV_EVENT_FLAGS / 8 + relid / 8, 1);
    bool up = *p >> relid % 8 & 1;

    *p &= (uint8_t) ~(1u << relid % 8);
    return up;
}
