/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmbus.c - the control protocol of VMBus, versions 0.13 to 6.0.
 *
 * Facts: Linux include/linux/hyperv.h and drivers/hv. Modelled: contact, offers, GPADLs, open,
 * close, rescind, modify, unload, connection requests for sockets. Not modelled: reserved channels,
 * version 6.0's optional features. Monitor pages are monitor.c's.
 *
 * Messages come on vCPU threads (hcall.c) and are handled on the loop, in order.
 */
#include "vmbus.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/bell.h"
#include "core/err.h"
#include "core/gmem.h"

enum {
    GPADLS_MAX = 8192,
    GPADL_PAGES_MAX = 1 << 20, /* 4 GiB of shared memory */
};

static const uint32_t versions[] = {
    VERSION_WS2008,     VERSION_WIN7,       VERSION_WIN8,     VERSION_WIN8_1,
    VERSION_WIN10,      VERSION_WIN10_V4_1, VERSION_WIN10_V5, VERSION_WIN10_V5_1,
    VERSION_WIN10_V5_2, VERSION_WIN10_V5_3, VERSION_COPPER,
};

uint32_t vmbus_version_parse(const char *text)
{
    unsigned major, minor;
    char more;

    if (sscanf(text, "%u.%u%c", &major, &minor, &more) != 2)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
        if (major < 256 && minor < 256 && versions[i] == (major << 16 | minor))
            return versions[i];
    }
    return 0;
}

/* Counts a fault; true: tell it. */
static bool fault_shows(struct vmbus *b)
{
    bool show;

    pthread_mutex_lock(&b->lock);
    b->fault_count++;
    show = log_allow(&b->faults, "vmbus", 10);
    pthread_mutex_unlock(&b->lock);
    return show;
}

void vmbus_fault(struct vmbus_channel *c, const char *fmt, ...)
{
    char text[160];
    va_list ap;

    if (!fault_shows(c->bus))
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_line(LOG_WARN, "vmbus", "%s (%s): %s", c->id, c->class->name, text);
}

static void bus_fault(struct vmbus *b, const char *what, uint32_t value)
{
    if (fault_shows(b))
        log_line(LOG_WARN, "vmbus", "%s (%#x)", what, value);
}

bool channel_send_message(struct vmbus *b, const void *p, size_t n)
{
    bool ok = synic_post(b->synic, b->contact_vp, p, n);

    if (!ok)
        bus_fault(b, "the guest does not read its messages", le32_at(p));
    return ok;
}

/* A vCPU may be looking. */
static void relid_to(struct vmbus *b, uint32_t n, struct vmbus_channel *c)
{
    pthread_mutex_lock(&b->lock);
    b->relid[n] = c;
    pthread_mutex_unlock(&b->lock);
}

/* --- offers --- */

/* A number rests after use: a late release by the guest must not hit another channel. 0: none. */
static uint32_t relid_next(const struct vmbus *b)
{
    uint32_t n = b->last_relid, tried = 0;

    do
        n = n % (VMBUS_RELIDS - 1) + 1;
    while (b->relid[n] && ++tried < VMBUS_RELIDS);
    return b->relid[n] ? 0 : n;
}

static void relid_give(struct vmbus_channel *c, uint32_t n)
{
    c->relid = c->bus->last_relid = n;
    relid_to(c->bus, n, c);
}

static void offer_send(struct vmbus_channel *c)
{
    struct vmbus *b = c->bus;
    struct vmbus_channel_offer_channel m = {
        .header.msgtype = le32_of(CHANNELMSG_OFFERCHANNEL),
        .chn_flags = le16_of(c->flags),
        .mmio_megabytes = le16_of(c->mmio_mb),
        .sub_channel_index = le16_of(c->sub_index),
        .child_relid = le32_of(c->relid),
        .is_dedicated_interrupt = le16_of(b->version >= VERSION_WIN8),
        .connection_id = le32_of(b->version >= VERSION_WIN8 ? VMBUS_MESSAGE_SINT << 12 | c->relid
                                                            : VMBUS_EVENT_CONNECTION_ID),
    };

    memcpy(m.if_type, c->type, sizeof(m.if_type));
    memcpy(m.if_instance, c->instance, sizeof(m.if_instance));
    memcpy(m.user_def, c->user_def, sizeof(m.user_def));
    monitor_offer(c, &m);
    c->offered =
        channel_send_message(b, &m, b->version == VERSION_WS2008 ? VMBUS_OFFER_WS2008 : sizeof(m));
}

void vmbus_offer(struct vmbus_channel *c)
{
    uint32_t next;

    c->hidden = false;
    if (!c->bus->offers_wanted || c->offered)
        return;
    next = c->owed ? relid_next(c->bus) : 0;
    if (next) {
        relid_to(c->bus, c->relid, NULL);
        relid_give(c, next);
    }
    c->owed = false;
    offer_send(c);
}

static void on_request_offers(struct vmbus *b)
{
    struct vmbus_channel_message_header end = {.msgtype = le32_of(CHANNELMSG_ALLOFFERS_DELIVERED)};

    b->offers_wanted = true;
    for (struct vmbus_channel *c = b->channels; c; c = c->next) {
        if (!c->hidden)
            vmbus_offer(c);
    }
    channel_send_message(b, &end, sizeof(end));
}

void vmbus_rescind(struct vmbus_channel *c)
{
    struct vmbus_channel_relid m = {
        .header.msgtype = le32_of(CHANNELMSG_RESCIND_CHANNELOFFER),
        .child_relid = le32_of(c->relid),
    };

    channel_close(c);
    c->hidden = true;
    if (!c->offered)
        return;
    c->offered = false;
    c->owed = true;
    channel_send_message(c->bus, &m, sizeof(m));
}

struct vmbus_channel *vmbus_by_relid(struct vmbus *b, uint32_t relid)
{
    size_t at;

    return idx_in(relid, VMBUS_RELIDS, &at) ? b->relid[at] : NULL;
}

int vmbus_add(struct vmbus *b, struct vmbus_channel *c, struct err *e)
{
    struct vmbus_channel **end = &b->channels;
    uint32_t n = relid_next(b);

    if (!n)
        return err_set(e, ENOSPC, "VMBus has room for %d channels only: use fewer devices",
                       VMBUS_RELIDS - 1);
    c->bus = b; /* set only on success */
    c->next = NULL;
    c->kick.fd = -1;
    c->backlog_end = &c->backlog;
    relid_give(c, n);
    monitor_add(c);
    while (*end)
        end = &(*end)->next;
    *end = c;
    if (!c->hidden)
        vmbus_offer(c);
    return 0;
}

void vmbus_remove(struct vmbus_channel *c)
{
    struct vmbus *b = c->bus;
    struct vmbus_channel **at = &b->channels;

    vmbus_rescind(c);
    while (*at && *at != c)
        at = &(*at)->next;
    if (*at)
        *at = c->next;
    relid_to(b, c->relid, NULL);
    monitor_remove(c);
    if (c->lock) { /* a vCPU that has found it is done with it */
        pthread_mutex_lock(c->lock);
        pthread_mutex_unlock(c->lock);
    }
}

/* --- GPADLs --- */

static struct gpadl **gpadl_find(struct vmbus *b, uint32_t id)
{
    struct gpadl **at = &b->gpadls;

    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

struct gpadl *vmbus_gpadl(struct vmbus_channel *c, uint32_t id)
{
    struct gpadl *g = *gpadl_find(c->bus, id);

    return g && g->relid == c->relid && !g->list ? g : NULL;
}

static void gpadl_drop(struct vmbus *b, struct gpadl **at)
{
    struct gpadl *g = *at;
    struct vmbus_channel *c = vmbus_by_relid(b, g->relid);

    if (c && c->gpadl == g)
        channel_close(c);
    else if (c && c->open && c->class->gpadl_gone)
        c->class->gpadl_gone(c, g);
    *at = g->next;
    b->gpadl_count--;
    b->gpadl_pages -= g->want / 8;
    gpadl_free(g);
}

static void gpadl_answer(struct vmbus *b, uint32_t relid, uint32_t id, uint32_t status)
{
    struct vmbus_channel_result r = {
        .header.msgtype = le32_of(CHANNELMSG_GPADL_CREATED),
        .child_relid = le32_of(relid),
        .id = le32_of(id),
        .status = le32_of(status),
    };

    if (status)
        bus_fault(b, "a GPADL is refused", id);
    channel_send_message(b, &r, sizeof(r));
}

/* More of the list has come. */
static void gpadl_feed(struct vmbus *b, struct gpadl *g, const uint8_t *p, size_t n)
{
    n = min_u64(n, g->want - g->have);
    memcpy(g->list + g->have, p, n);
    g->have += n;
    if (g->have < g->want)
        return;
    if (gpadl_parse(g, b->mem, g->list, g->want, g->users) < 0) {
        gpadl_answer(b, g->relid, g->id, STATUS_INVALID_PARAMETER);
        gpadl_drop(b, gpadl_find(b, g->id));
        return;
    }
    free(g->list);
    g->list = NULL;
    gpadl_answer(b, g->relid, g->id, 0);
}

static void on_gpadl_header(struct vmbus *b, const uint8_t *p, size_t n)
{
    struct vmbus_channel_gpadl_header m;
    struct gpadl *g;
    uint32_t relid, id;
    size_t want;

    memcpy(&m, p, sizeof(m));
    relid = le32_get(m.child_relid);
    id = le32_get(m.gpadl);
    want = le16_get(m.range_buflen);
    g = vmbus_by_relid(b, relid) && want && want % 8 == 0 && !*gpadl_find(b, id) &&
                b->gpadl_count < GPADLS_MAX && b->gpadl_pages + want / 8 <= GPADL_PAGES_MAX
            ? calloc(1, sizeof(*g))
            : NULL;
    if (g)
        g->list = malloc(want);
    if (!g || !g->list) {
        free(g);
        gpadl_answer(b, relid, id, STATUS_INVALID_PARAMETER);
        return;
    }
    g->id = id;
    g->relid = relid;
    g->want = want;
    g->users = le16_get(m.rangecount);
    g->next = b->gpadls;
    b->gpadls = g;
    b->gpadl_count++;
    b->gpadl_pages += want / 8;
    gpadl_feed(b, g, p + sizeof(m), n - sizeof(m));
}

static void on_gpadl_body(struct vmbus *b, const uint8_t *p, size_t n)
{
    struct vmbus_channel_gpadl_body m;
    struct gpadl *g;

    memcpy(&m, p, sizeof(m));
    g = *gpadl_find(b, le32_get(m.gpadl));
    if (!g)
        bus_fault(b, "a piece of no GPADL", le32_get(m.gpadl));
    else if (g->list) /* OpenBSD sends more pieces than there are */
        gpadl_feed(b, g, p + sizeof(m), n - sizeof(m));
}

static void on_gpadl_teardown(struct vmbus *b, const uint8_t *p)
{
    struct vmbus_channel_pair m;
    struct vmbus_channel_relid r = {.header.msgtype = le32_of(CHANNELMSG_GPADL_TORNDOWN)};
    struct gpadl **at;

    memcpy(&m, p, sizeof(m));
    at = gpadl_find(b, le32_get(m.second));
    if (*at)
        gpadl_drop(b, at);
    else /* it is answered all the same: drivers wait without end */
        bus_fault(b, "no such GPADL", le32_get(m.second));
    r.child_relid = m.second; /* the GPADL stands in its place */
    channel_send_message(b, &r, sizeof(r));
}

/* --- connection --- */

/* Everything that the guest has set up is gone. */
static void disconnect(struct vmbus *b)
{
    for (struct vmbus_channel *c = b->channels; c; c = c->next) {
        channel_close(c);
        c->offered = c->owed = false;
        if (c->sub_index)
            c->hidden = true;
    }
    while (b->gpadls)
        gpadl_drop(b, &b->gpadls);
    if (b->interrupt_page)
        (void)!b->host->ops->hyperv_signal(b->host, VMBUS_EVENT_CONNECTION_ID, -1);
    b->interrupt_page = 0;
    monitor_stop(b);
    b->offers_wanted = false;
    b->version = 0;
    b->late = false;
    synic_forget(b->synic);
}

/* An answer after which the guest may use its memory anew. */
static void answer_when_quiet(struct vmbus *b, const void *p, size_t n)
{
    if (b->inflight == 0) {
        channel_send_message(b, p, n);
        return;
    }
    memcpy(b->late_message, p, n);
    b->late_size = n;
    b->late = true;
}

void vmbus_io_begin(struct vmbus *b)
{
    b->inflight++;
}

void vmbus_io_end(struct vmbus *b)
{
    if (--b->inflight || !b->late)
        return;
    b->late = false;
    channel_send_message(b, b->late_message, b->late_size);
}

static bool version_known(const struct vmbus *b, uint32_t version)
{
    for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
        if (versions[i] == version)
            return version <= b->max_version;
    }
    return false;
}

static void on_contact(struct vmbus *b, const uint8_t *p, size_t n)
{
    struct vmbus_channel_initiate_contact m;
    struct vmbus_channel_version_response r = {.header.msgtype =
                                                   le32_of(CHANNELMSG_VERSION_RESPONSE)};
    uint32_t version, vp;
    uint64_t word;
    bool ok;

    memcpy(&m, p, sizeof(m));
    version = le32_get(m.vmbus_version_requested);
    /* Before 3.0 messages go to the first processor, and the field means nothing. */
    vp = version < VERSION_WIN8_1 ? 0 : le32_get(m.target_vcpu);
    word = le64_get(m.interrupt_page);
    disconnect(b);
    b->contact_vp = vp < b->synic->cpus ? vp : 0;
    ok = version_known(b, version) && vp < b->synic->cpus &&
         (version < VERSION_WIN10_V5 || (word & 0xff) == VMBUS_MESSAGE_SINT);
    if (ok) {
        b->version = version;
        monitor_contact(b, &m);
        r.version_supported = 1;
        r.msg_conn_id =
            le32_of(version >= VERSION_WIN10_V5 ? VMBUS_MESSAGE_CONNECTION_ID_4 : version);
        if (version < VERSION_WIN8 && word) {
            b->interrupt_page = word & HV_PAGE_MASK;
            (void)!b->host->ops->hyperv_signal(b->host, VMBUS_EVENT_CONNECTION_ID, b->shared.fd);
        }
    }
    if (ok && b->contact)
        b->contact(b->contact_arg);
    if (log_on(LOG_INFO) && log_allow(&b->contacts, "vmbus", 10))
        log_line(LOG_INFO, "vmbus", "version %u.%u %s", version >> 16, version & 0xffff,
                 ok ? "agreed" : "refused");
    answer_when_quiet(b, &r,
                      version >= VERSION_COPPER ? sizeof(r) : (size_t)VMBUS_VERSION_RESPONSE_OLD);
    (void)n;
}

static void on_unload(struct vmbus *b)
{
    struct vmbus_channel_message_header r = {.msgtype = le32_of(CHANNELMSG_UNLOAD_RESPONSE)};

    disconnect(b);
    answer_when_quiet(b, &r, sizeof(r));
}

/* --- channels --- */

static void on_modify(struct vmbus *b, const struct vmbus_channel_pair *m)
{
    struct vmbus_channel *c = vmbus_by_relid(b, le32_get(m->child_relid));
    struct vmbus_channel_pair r = {
        .header.msgtype = le32_of(CHANNELMSG_MODIFYCHANNEL_RESPONSE),
        .child_relid = m->child_relid,
    };

    if (c && c->open && le32_get(m->second) < b->synic->cpus)
        WRITE_ONCE(c->target_vp, le32_get(m->second));
    else
        r.second = le32_of(STATUS_INVALID_PARAMETER);
    if (b->version >= VERSION_WIN10_V5_3)
        channel_send_message(b, &r, sizeof(r));
    /* Events that were set on the old processor may have been lost on the way. */
    if (c && c->open)
        synic_signal(b->synic, c->target_vp, c->relid);
}

/* Linux takes back no memory of a channel that was rescinded: it is the host's to know. */
static void gpadls_released(struct vmbus *b, uint32_t relid)
{
    struct gpadl **at = &b->gpadls;

    while (*at) {
        if ((*at)->relid == relid)
            gpadl_drop(b, at);
        else
            at = &(*at)->next;
    }
}

static void on_released(struct vmbus *b, uint32_t relid)
{
    struct vmbus_channel *c = vmbus_by_relid(b, relid);

    if (c)
        channel_close(c);
    gpadls_released(b, relid);
    if (!c)
        return;
    c->offered = c->owed = false;
    if (c->sub_index)
        c->hidden = true;
    if (c->class->released)
        c->class->released(c);
}

static void on_tl_connect(struct vmbus *b, const uint8_t *p)
{
    struct vmbus_channel_tl_connect_request m;
    struct vmbus_channel_tl_connect_result r = {.header.msgtype =
                                                    le32_of(CHANNELMSG_TL_CONNECT_RESULT)};

    memcpy(&m, p, sizeof(m));
    if (b->tl_connect && b->tl_connect(b->tl_arg, m.guest_endpoint_id, m.host_service_id))
        return; /* the offer of the new channel is the answer */
    memcpy(r.guest_endpoint_id, m.guest_endpoint_id, 16);
    memcpy(r.host_service_id, m.host_service_id, 16);
    r.status = le32_of(STATUS_CONNECTION_REFUSED);
    channel_send_message(b, &r, sizeof(r));
}

static void on_open(struct vmbus *b, const uint8_t *p)
{
    struct vmbus_channel_open_channel m;
    struct vmbus_channel_result r = {
        .header.msgtype = le32_of(CHANNELMSG_OPENCHANNEL_RESULT),
        .status = le32_of(STATUS_INVALID_PARAMETER),
    };
    struct vmbus_channel *c;

    memcpy(&m, p, sizeof(m));
    c = vmbus_by_relid(b, le32_get(m.child_relid));
    if (c) {
        channel_open(c, &m);
        return;
    }
    r.child_relid = m.child_relid;
    r.id = m.openid;
    channel_send_message(b, &r, sizeof(r));
}

static void on_close(struct vmbus *b, uint32_t relid)
{
    struct vmbus_channel *c = vmbus_by_relid(b, relid);

    if (c)
        channel_close(c);
    else
        bus_fault(b, "a channel that does not exist is closed", relid);
}

/* Bytes that a message must have. */
static size_t message_min(uint32_t type)
{
    switch (type) {
    case CHANNELMSG_INITIATE_CONTACT:
        return sizeof(struct vmbus_channel_initiate_contact);
    case CHANNELMSG_OPENCHANNEL:
        return sizeof(struct vmbus_channel_open_channel);
    case CHANNELMSG_GPADL_HEADER:
        return sizeof(struct vmbus_channel_gpadl_header);
    case CHANNELMSG_GPADL_BODY:
        return sizeof(struct vmbus_channel_gpadl_body);
    case CHANNELMSG_GPADL_TEARDOWN:
    case CHANNELMSG_MODIFYCHANNEL:
        return sizeof(struct vmbus_channel_pair);
    case CHANNELMSG_CLOSECHANNEL:
    case CHANNELMSG_RELID_RELEASED:
        return sizeof(struct vmbus_channel_relid);
    case CHANNELMSG_TL_CONNECT_REQUEST:
        return sizeof(struct vmbus_channel_tl_connect_request);
    default:
        return sizeof(struct vmbus_channel_message_header);
    }
}

static void dispatch(struct vmbus *b, uint32_t type, const uint8_t *p, size_t n)
{
    struct vmbus_channel_pair pair = {.second = le32_of(0)};

    memcpy(&pair, p, min_u64(n, sizeof(pair)));
    switch (type) {
    case CHANNELMSG_REQUESTOFFERS:
        on_request_offers(b);
        break;
    case CHANNELMSG_OPENCHANNEL:
        on_open(b, p);
        break;
    case CHANNELMSG_CLOSECHANNEL:
        on_close(b, le32_get(pair.child_relid));
        break;
    case CHANNELMSG_GPADL_HEADER:
        on_gpadl_header(b, p, n);
        break;
    case CHANNELMSG_GPADL_BODY:
        on_gpadl_body(b, p, n);
        break;
    case CHANNELMSG_GPADL_TEARDOWN:
        on_gpadl_teardown(b, p);
        break;
    case CHANNELMSG_RELID_RELEASED:
        on_released(b, le32_get(pair.child_relid));
        break;
    case CHANNELMSG_MODIFYCHANNEL:
        on_modify(b, &pair);
        break;
    case CHANNELMSG_TL_CONNECT_REQUEST:
        on_tl_connect(b, p);
        break;
    default:
        bus_fault(b, "an unknown message", type);
        break;
    }
}

void vmbus_message(struct vmbus *b, const uint8_t *p, size_t n)
{
    uint32_t type = n >= sizeof(struct vmbus_channel_message_header) ? le32_at(p) : 0;

    if (type == 0 || n < message_min(type))
        bus_fault(b, "a message is too short", type);
    else if (type == CHANNELMSG_INITIATE_CONTACT)
        on_contact(b, p, n);
    else if (type == CHANNELMSG_UNLOAD)
        on_unload(b);
    else if (b->version == 0)
        bus_fault(b, "a message before contact", type);
    else
        dispatch(b, type, p, n);
}

/* --- guests before 2.4: one doorbell for all, bits in the second half of the interrupt page --- */

void vmbus_shared_signal(struct vmbus *b)
{
    uint8_t *page = NULL;

    if (b->interrupt_page)
        page = gmem_shared(b->mem, b->interrupt_page, VMBUS_PAGE);
    for (unsigned i = 0; page && i < VMBUS_RELIDS / 8; i++) {
        uint8_t bits = shared_load8(page + VMBUS_PAGE / 2 + i);

        if (bits)
            bits = __atomic_exchange_n(page + VMBUS_PAGE / 2 + i, 0, __ATOMIC_SEQ_CST);
        for (unsigned k = 0; k < 8; k++) {
            if ((bits >> k & 1) && b->relid[i * 8 + k])
                channel_run(b->relid[i * 8 + k]);
        }
    }
}

static void shared_kicked(struct watch *w, uint32_t got)
{
    (void)got;
    bell_take(w->fd);
    vmbus_shared_signal(container_of(w, struct vmbus, shared));
}

/* --- life --- */

int vmbus_create(struct host *h, struct gmem *m, struct loop *l, unsigned cpus,
                 uint32_t max_version, struct vmbus **out, struct err *e)
{
    struct vmbus *b = calloc(1, sizeof(*b));
    int rc;

    if (!b)
        return err_set(e, ENOMEM, "no memory for VMBus");
    b->host = h;
    b->mem = m;
    b->loop = l;
    b->max_version = max_version;
    pthread_mutex_init(&b->lock, NULL);
    b->shared = (struct watch){.want = EPOLLIN, .ready = shared_kicked};
    b->shared.fd = bell_make();
    rc = b->shared.fd < 0 ? -errno : loop_watch(l, &b->shared);
    if (rc < 0)
        rc = err_set(e, -rc, "cannot make an eventfd for VMBus: %s", strerror(-rc));
    else
        rc = synic_create(h, m, l, cpus, &b->synic, e);
    if (rc < 0) {
        if (b->shared.fd >= 0)
            close(b->shared.fd);
        pthread_mutex_destroy(&b->lock);
        free(b);
        return rc;
    }
    *out = b;
    return 0;
}

void vmbus_reset(struct vmbus *b)
{
    __atomic_add_fetch(&b->life, 1, __ATOMIC_RELAXED);
    disconnect(b);
    synic_reset(b->synic);
}

void vmbus_destroy(struct vmbus *b)
{
    if (!b)
        return;
    disconnect(b);
    poller_destroy(b->poller);
    synic_destroy(b->synic);
    loop_unwatch(b->loop, &b->shared);
    close(b->shared.fd);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

void vmbus_describe(struct vmbus *b, struct dump *out)
{
    if (b->version == 0) {
        dump_add(out, "vmbus", "the guest has not made contact");
        return;
    }
    dump_add(out, "vmbus", "version %u.%u", b->version >> 16, b->version & 0xffff);
    dump_add(out, "vmbus messages", "%llu", (unsigned long long)b->synic->sent);
    dump_add(out, "vmbus interrupts", "%llu", (unsigned long long)b->synic->raised);
    dump_add(out, "vmbus faults", "%llu", (unsigned long long)b->fault_count);
    for (struct vmbus_channel *c = b->channels; c; c = c->next) {
        char key[64];

        snprintf(key, sizeof(key), c->sub_index ? "channel %s/%u" : "channel %s", c->id,
                 c->sub_index);
        if (c->offered)
            dump_add(out, key, "%s, %s, processor %d, %llu packets in, %llu out, %llu interrupts",
                     c->class->name,
                     c->broken ? "broken"
                     : c->open ? "open"
                               : "offered",
                     c->open ? (int)c->target_vp : -1, (unsigned long long)c->packets_in,
                     (unsigned long long)c->packets_out, (unsigned long long)c->interrupts);
        if (c->open && c->class->describe)
            c->class->describe(c, out);
    }
}
