/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ic.c - the common frame of the integration services; shutdown, heartbeat, time and backup.
 *
 * Facts: Linux drivers/hv/{channel_mgmt,hv_util,hv_snapshot}.c. Each service negotiates when the
 * guest opens it. Key-value pairs are in ic_kvp.c, file copy in ic_copy.c. Threads: the loop's.
 */
#include "ic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/err.h"
#include "ic_priv.h"

struct ic_service {
    const char *name;
    uint8_t type[16], last; /* last byte of the instance's GUID */
    uint16_t message;
    uint8_t version[IC_VERSIONS][2]; /* the oldest first, as drivers expect; 0.0 ends */
};

static const struct ic_service services[IC_COUNT] = {
    {"shutdown", HV_SHUTDOWN_GUID, 1, ICMSGTYPE_SHUTDOWN, {{1, 0}, {3, 0}, {3, 1}, {3, 2}}},
    {"timesync", HV_TS_GUID, 2, ICMSGTYPE_TIMESYNC, {{1, 0}, {3, 0}, {4, 0}}},
    {"heartbeat", HV_HEART_BEAT_GUID, 3, ICMSGTYPE_HEARTBEAT, {{1, 0}, {3, 0}}},
    {"kvp", HV_KVP_GUID, 4, ICMSGTYPE_KVPEXCHANGE, {{1, 0}, {3, 0}, {4, 0}}},
    {"vss", HV_VSS_GUID, 5, ICMSGTYPE_VSS, {{5, 0}}},
    {"fcopy", HV_FCOPY_GUID, 6, ICMSGTYPE_FCOPY, {{1, 1}}},
};
static const uint8_t frames[][2] = {{1, 0}, {3, 0}};

/* --- sending --- */

bool ic_send(struct ic *i, unsigned type, const void *body, size_t n)
{
    uint8_t m[IC_PACKET];
    struct vmbus_pipe_header p = {le32_of(VMBUS_PIPE_DATA),
                                  le32_of((uint32_t)(sizeof(struct icmsg_hdr) + n))};
    struct icmsg_hdr h = {
        .icverframe = {le16_of(i->frame[0]), le16_of(i->frame[1])},
        .icmsgtype = le16_of((uint16_t)type),
        .icvermsg = {le16_of(i->version[0]), le16_of(i->version[1])},
        .icmsgsize = le16_of((uint16_t)n),
        .ictransaction_id = ++i->trans,
        .icflags = ICMSGHDRFLAG_TRANSACTION | ICMSGHDRFLAG_REQUEST,
    };

    if (n > sizeof(m) - IC_HEAD || vmbus_congested(&i->c))
        return false;
    memcpy(m, &p, sizeof(p));
    memcpy(m + sizeof(p), &h, sizeof(h));
    memcpy(m + IC_HEAD, body, n);
    i->asked = true;
    vmbus_send_data(&i->c, m, IC_HEAD + n);
    vmbus_flush(&i->c);
    return true;
}

static void negotiate(struct ic *i)
{
    const struct ic_service *v = &services[i->kind];
    uint8_t m[sizeof(struct icmsg_negotiate) + sizeof(struct ic_version) * (IC_VERSIONS + 2)] = {0};
    struct ic_version at;
    uint16_t n = 0;

    for (size_t k = 0; k < ARRAY_SIZE(frames); k++) {
        at = (struct ic_version){le16_of(frames[k][0]), le16_of(frames[k][1])};
        memcpy(m + sizeof(struct icmsg_negotiate) + k * sizeof(at), &at, sizeof(at));
    }
    for (; n < IC_VERSIONS && v->version[n][0]; n++) {
        at = (struct ic_version){le16_of(v->version[n][0]), le16_of(v->version[n][1])};
        memcpy(m + sizeof(struct icmsg_negotiate) + (ARRAY_SIZE(frames) + n) * sizeof(at), &at,
               sizeof(at));
    }
    le16_put(m, ARRAY_SIZE(frames));
    le16_put(m + 2, n);
    memset(i->frame, 0, sizeof(i->frame));
    memset(i->version, 0, sizeof(i->version));
    ic_send(i, ICMSGTYPE_NEGOTIATE, m,
            sizeof(struct icmsg_negotiate) + (ARRAY_SIZE(frames) + n) * sizeof(at));
}

static void send_beat(struct ic *i)
{
    struct heartbeat_msg_data m = {.seq_num = le64_of(i->s->beat + 1)};

    ic_send(i, ICMSGTYPE_HEARTBEAT, &m, sizeof(m));
}

/* From version 4.0 on with the guest's reference counter at that moment, so that the guest can make
 * up for the time that the message was on its way. */
static void send_time(struct ic *i, uint8_t flags)
{
    struct ictimesync_ref_data ref = {.flags = flags};
    struct ictimesync_data old = {.flags = flags};
    struct host *h = i->s->b->host;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    ref.parenttime = old.parenttime =
        le64_of((uint64_t)now.tv_sec * 10000000 + (uint64_t)now.tv_nsec / 100 + IC_EPOCH_1601);
    if (i->version[0] >= 4) {
        ref.vmreferencetime = le64_of(h->ops->clock_ns(h) / 100);
        ic_send(i, ICMSGTYPE_TIMESYNC, &ref, sizeof(ref));
    } else {
        ic_send(i, ICMSGTYPE_TIMESYNC, &old, sizeof(old));
    }
}

void ic_again(struct ic *i, uint64_t ns)
{
    loop_arm(i->s->b->loop, &i->alarm, loop_now(i->s->b->loop) + ns);
}

static void ic_fire(struct alarm *a)
{
    struct ic *i = container_of(a, struct ic, alarm);

    if (!i->c.open)
        return;
    if (!i->ready) {
        negotiate(i);
    } else if (i->kind == IC_HEARTBEAT) {
        send_beat(i);
        ic_again(i, IC_HEARTBEAT_NS);
    } else if (i->kind == IC_TIMESYNC) {
        send_time(i, ICTIMESYNCFLAG_SAMPLE);
        ic_again(i, IC_TIMESYNC_NS);
    } else if (i->kind == IC_KVP) {
        kvp_turn(i);
    }
}

/* --- answers --- */

static void on_negotiated(struct ic *i, const uint8_t *body, size_t n)
{
    if (n < 16 || le16_at(body) != 1 || le16_at(body + 2) != 1) {
        vmbus_fault(&i->c, "the guest speaks none of the offered versions");
        return;
    }
    i->frame[0] = le16_at(body + 8);
    i->frame[1] = le16_at(body + 10);
    i->version[0] = le16_at(body + 12);
    i->version[1] = le16_at(body + 14);
    i->ready = true;
    if (log_on(LOG_INFO) && log_allow(&i->told, "hyperv", 10))
        log_line(LOG_INFO, "hyperv", "%s version %u.%u", i->c.id, i->version[0], i->version[1]);
    if (i->kind == IC_TIMESYNC) {
        send_time(i, ICTIMESYNCFLAG_SYNC);
        ic_again(i, IC_TIMESYNC_NS);
    } else if (i->kind == IC_HEARTBEAT) {
        ic_again(i, 0);
    } else if (i->kind == IC_KVP) {
        kvp_start(i);
    }
}

void ic_event(struct ics *s, const struct ic *i, const char *done)
{
    char text[320];

    if (i->status)
        snprintf(text, sizeof(text), "%s: the guest answered %#x", i->c.id, i->status);
    else
        snprintf(text, sizeof(text), "%s: %s", i->c.id, done);
    s->env->event(s->env->event_arg, i->status ? MACHINE_ASK_FAILED : MACHINE_ASK_DONE, text);
}

static void on_answer(struct ic *i, const uint8_t *body, size_t n)
{
    struct ics *s = i->s;

    switch (i->kind) {
    case IC_SHUTDOWN:
        ic_event(s, i, s->restart ? "the guest restarts" : "the guest shuts down");
        break;
    case IC_HEARTBEAT:
        if (n >= 8)
            s->beat = le64_at(body);
        s->beat_at = loop_now(s->b->loop);
        break;
    case IC_KVP:
        kvp_answer(i, body, n);
        break;
    case IC_VSS:
        ic_event(s, i, s->thaw ? "file systems go on" : "file systems are frozen");
        break;
    case IC_FCOPY:
        fcopy_answer(i);
        break;
    default:
        break;
    }
}

static void ic_packet(struct vmbus_channel *c, const struct ring_packet *p)
{
    struct ic *i = c->owner;
    struct icmsg_hdr h;
    size_t n;

    if (p->type != VM_PKT_DATA_INBAND)
        return;
    if (p->data_len < IC_HEAD) {
        vmbus_fault(c, "an answer of %zu bytes is too short", p->data_len);
        return;
    }
    memcpy(&h, p->data + sizeof(struct vmbus_pipe_header), sizeof(h));
    n = min_u64(p->data_len - IC_HEAD, le16_get(h.icmsgsize));
    if (!(h.icflags & ICMSGHDRFLAG_RESPONSE) || !i->asked || h.ictransaction_id != i->trans) {
        vmbus_fault(c, "an answer that nobody waits for");
        return;
    }
    i->asked = false;
    i->answers++;
    i->status = le32_get(h.status);
    if (le16_get(h.icmsgtype) == ICMSGTYPE_NEGOTIATE)
        on_negotiated(i, p->data + IC_HEAD, n);
    else if (i->ready)
        on_answer(i, p->data + IC_HEAD, n);
}

/* --- asking --- */

static int ask_shutdown(struct ics *s, bool restart)
{
    struct shutdown_msg_data m = {
        .reason_code = le32_of(IC_SHUTDOWN_PLANNED),
        .timeout_seconds = le32_of(120),
        .flags = le32_of(restart ? IC_SHUTDOWN_RESTART : 0),
    };

    s->restart = restart;
    ic_send(&s->ic[IC_SHUTDOWN], ICMSGTYPE_SHUTDOWN, &m, sizeof(m));
    return 0;
}

static int ask_vss(struct ics *s, bool thaw)
{
    struct hv_vss_msg m = {.operation = thaw ? VSS_OP_THAW : VSS_OP_FREEZE};

    s->thaw = thaw;
    ic_send(&s->ic[IC_VSS], ICMSGTYPE_VSS, &m, sizeof(m));
    return 0;
}

static int ask_time(struct ics *s)
{
    send_time(&s->ic[IC_TIMESYNC], ICTIMESYNCFLAG_SYNC);
    s->env->event(s->env->event_arg, MACHINE_ASK_DONE, "timesync: the guest was told the time");
    return 0;
}

int ics_ask(struct ics *s, enum persona_ask what, struct err *e)
{
    static const enum ic_kind kinds[] = {
        [ASK_SHUTDOWN] = IC_SHUTDOWN, [ASK_REBOOT] = IC_SHUTDOWN,    [ASK_FREEZE] = IC_VSS,
        [ASK_THAW] = IC_VSS,          [ASK_TIME_SYNC] = IC_TIMESYNC,
    };
    const struct ic *i;

    if ((size_t)what >= ARRAY_SIZE(kinds))
        return err_set(e, ENOTSUP, "Hyper-V has no such service");
    i = &s->ic[kinds[what]];
    if (!i->ready)
        return err_set(e, ENOTSUP, "the guest has not bound Hyper-V's %s service",
                       services[i->kind].name);
    if (i->asked && i->kind != IC_TIMESYNC)
        return err_set(e, EBUSY, "the guest has not answered the last %s request yet",
                       services[i->kind].name);
    switch (what) {
    case ASK_SHUTDOWN:
        return ask_shutdown(s, false);
    case ASK_REBOOT:
        return ask_shutdown(s, true);
    case ASK_FREEZE:
        return ask_vss(s, false);
    case ASK_THAW:
        return ask_vss(s, true);
    default:
        return ask_time(s);
    }
}

/* --- life --- */

/* The guest learns that the channel is open before it hears from us. */
static bool ic_open(struct vmbus_channel *c)
{
    ic_again(c->owner, 0);
    return true;
}

static void ic_close(struct vmbus_channel *c)
{
    struct ic *i = c->owner;

    i->ready = i->asked = false;
    loop_disarm(i->s->b->loop, &i->alarm);
    if (i->kind == IC_KVP)
        kvp_closed(i);
    if (i->kind == IC_FCOPY)
        fcopy_closed(i);
    if (i->kind == IC_HEARTBEAT)
        i->s->beat_at = 0;
}

static const struct vmbus_class ic_class = {
    .name = "ic",
    .packet_max = IC_PACKET,
    .open = ic_open,
    .close = ic_close,
    .packet = ic_packet,
};

void ics_describe(struct ics *s, struct dump *out)
{
    for (unsigned k = 0; k < IC_COUNT; k++) {
        if (s->ic[k].ready)
            dump_add(out, services[k].name, "version %u.%u, %llu answers, last status %#x",
                     s->ic[k].version[0], s->ic[k].version[1], (unsigned long long)s->ic[k].answers,
                     s->ic[k].status);
    }
    if (s->beat_at)
        dump_add(out, "heartbeat age", "%llu ms",
                 (unsigned long long)((loop_now(s->b->loop) - s->beat_at) / 1000000));
    for (unsigned k = 0; k < s->kvp.count[0]; k++)
        dump_add(out, s->kvp.item[0][k].key, "%s", s->kvp.item[0][k].value);
}

int ics_create(struct vmbus *b, const struct persona_env *env, struct ics **out, struct err *e)
{
    struct ics *s = calloc(1, sizeof(*s));
    int rc = 0;

    if (!s)
        return err_set(e, ENOMEM, "no memory for the integration services");
    s->b = b;
    s->env = env;
    s->fcopy.fd = -1;
    for (unsigned k = 0; k < IC_COUNT && rc == 0; k++) {
        struct ic *i = &s->ic[k];

        i->s = s;
        i->kind = (enum ic_kind)k;
        i->alarm.fire = ic_fire;
        i->c = (struct vmbus_channel){
            .class = &ic_class,
            .id = services[k].name,
            .flags = VMBUS_CHANNEL_ENUMERATE_DEVICE_INTERFACE | VMBUS_CHANNEL_NAMED_PIPE_MODE,
            .owner = i,
        };
        le32_put(i->c.user_def, VMBUS_PIPE_TYPE_MESSAGE);
        memcpy(i->c.type, services[k].type, 16);
        memcpy(i->c.instance, services[k].type, 15);
        i->c.instance[15] = services[k].last;
        rc = vmbus_add(b, &i->c, e);
    }
    if (rc < 0) {
        ics_destroy(s);
        return rc;
    }
    *out = s;
    return 0;
}

void ics_destroy(struct ics *s)
{
    if (!s)
        return;
    for (unsigned k = 0; k < IC_COUNT && s->ic[k].c.bus; k++) {
        vmbus_remove(&s->ic[k].c);
        loop_disarm(s->b->loop, &s->ic[k].alarm);
    }
    kvp_destroy(s);
    free(s);
}
