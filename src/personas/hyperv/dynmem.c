/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dynmem.c - Hyper-V's dynamic memory: balloon, hot-added memory and status reports.
 *
 * Facts: Linux drivers/hv/hv_balloon.c. Pages that the guest lends are given back to the host at
 * once and remembered, so that they can be returned. What it gets beyond its first memory lies in
 * one range behind everything else; it is mapped when it is first offered, and stays mapped. The
 * guest keeps it until the machine is reset, also when its driver goes. Not modelled: page
 * reporting hypercalls. Threads: the loop's.
 */
#include "dynmem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/hvdynmem.h"
#include "core/err.h"
#include "core/gmem.h"
#include "identity.h"

enum {
    DYNMEM_PACKET = 16 << 10,
    DYNMEM_RANGES = 1 << 16, /* most that are remembered */
    DYNMEM_RETURN = 128,     /* ranges in one message */
    DYNMEM_STEP = 1 << 18,   /* pages asked for or added at once */
    DYNMEM_ALIGN = 1 << 15,  /* pages: what guests take that name no alignment, 128 MiB */
};
/* Windows Server 2019 breaks down when it is asked for something while it starts. */
#define DYNMEM_START_NS UINT64_C(50000000000)

enum dm_state { DM_NONE, DM_READY, DM_INFLATING, DM_DEFLATING, DM_ADDING };

struct dynmem {
    struct vmbus *b;
    const struct persona_env *env;
    struct vmbus_channel c;
    enum dm_state state;
    uint32_t version, trans;
    uint64_t want;     /* pages that the guest shall have */
    uint64_t pages;    /* lent to us */
    uint64_t target;   /* what shall be lent */
    uint64_t progress; /* pages of the current request */
    bool stuck;        /* the guest would not lend or take more */
    uint64_t ready;    /* when the guest may be asked first */

    struct dynmem_room hot;
    uint64_t added;   /* pages of it that the guest has */
    uint64_t offered; /* pages of the current request */
    uint64_t mapped;  /* bytes of it that are memory */
    uint64_t align;   /* pages; 0: the guest takes none */
    bool full;        /* it took fewer than it was offered */

    uint64_t *range;
    size_t ranges, room;
    uint64_t avail, committed; /* pages, as the guest says */
};

static void send_accept(struct dynmem *d, unsigned type, bool ok)
{
    struct dm_accept m = {
        .hdr = {le16_of((uint16_t)type), le16_of(sizeof(m)), le32_of(d->trans)},
        .is_accepted = le64_of(ok),
    };

    vmbus_send_data(&d->c, &m, sizeof(m));
}

/* Pages that are the guest's, lent ones included. */
static uint64_t owned(const struct dynmem *d)
{
    return d->env->memory / VMBUS_PAGE + d->added;
}

static void finished(struct dynmem *d)
{
    uint64_t has = owned(d) - d->pages;
    char text[96];

    d->state = DM_READY;
    snprintf(text, sizeof(text), "dynamic memory: the guest keeps %llu MiB",
             (unsigned long long)(has * VMBUS_PAGE >> 20));
    d->env->event(d->env->event_arg, d->stuck ? MACHINE_ASK_FAILED : MACHINE_ASK_DONE, text);
}

static void inflate(struct dynmem *d)
{
    uint64_t want = min_u64(d->target - d->pages, DYNMEM_STEP);
    struct dm_balloon m = {
        .hdr = {le16_of(DM_BALLOON_REQUEST), le16_of(sizeof(m)), le32_of(++d->trans)},
        .num_pages = le32_of((uint32_t)want),
    };

    d->state = DM_INFLATING;
    d->progress = 0;
    vmbus_send_data(&d->c, &m, sizeof(m));
}

/* Gives back until the target is reached; a range may be cut. */
static void deflate(struct dynmem *d)
{
    struct {
        struct dm_unballoon_request h;
        le64 range[DYNMEM_RETURN];
    } m = {.h = {.hdr = {.type = le16_of(DM_UNBALLOON_REQUEST), .trans_id = le32_of(++d->trans)}}};
    unsigned n = 0;

    d->state = DM_DEFLATING;
    while (d->pages > d->target && d->ranges && n < DYNMEM_RETURN) {
        uint64_t *r = &d->range[d->ranges - 1];
        uint64_t start = *r & ((UINT64_C(1) << DM_RANGE_SHIFT) - 1), have = *r >> DM_RANGE_SHIFT;
        uint64_t give = min_u64(have, d->pages - d->target);

        m.range[n++] = le64_of((start + have - give) | give << DM_RANGE_SHIFT);
        *r = start | (have - give) << DM_RANGE_SHIFT;
        d->pages -= give;
        if (give == have)
            d->ranges--;
    }
    m.h.range_count = le32_of(n);
    m.h.hdr.size = le16_of((uint16_t)(sizeof(m.h) + n * sizeof(m.range[0])));
    vmbus_send_data(&d->c, &m, sizeof(m.h) + n * sizeof(m.range[0]));
}

/* Offers the guest the next part of the range. false: there is none, or it is no memory. */
static bool hot_add(struct dynmem *d)
{
    gpa_t at = d->hot.base + d->added * VMBUS_PAGE;
    struct dm_hot_add m = {.hdr = {le16_of(DM_MEM_HOT_ADD_REQUEST), le16_of(sizeof(m))}};
    uint64_t left, n, end;
    struct err e;

    if (!d->align) /* the guest has told so since it was asked */
        return false;
    left = (d->hot.size / VMBUS_PAGE - d->added) / d->align * d->align;
    n = min_u64(align_up(d->want - owned(d), d->align), left);
    n = min_u64(n, d->align > DYNMEM_STEP ? d->align : DYNMEM_STEP / d->align * d->align);
    if (n == 0)
        return false;
    end = (d->added + n) * VMBUS_PAGE;
    if (end > d->mapped) {
        if (gmem_add_ram(d->b->mem, d->hot.base + d->mapped, end - d->mapped, false, &e) < 0) {
            log_line(LOG_WARN, "balloon", "no memory is added: %s", e.msg);
            return false;
        }
        d->mapped = end;
    }
    d->state = DM_ADDING;
    d->offered = n;
    m.hdr.trans_id = le32_of(++d->trans);
    m.range = le64_of(at / VMBUS_PAGE | n << DM_RANGE_SHIFT);
    vmbus_send_data(&d->c, &m, sizeof(m));
    return true;
}

/* The next step towards what is wanted. */
static void advance(struct dynmem *d)
{
    d->target = d->want < owned(d) ? owned(d) - d->want : 0;
    if (d->pages > d->target) {
        deflate(d);
    } else if (!d->stuck && d->pages < d->target) {
        inflate(d);
    } else if (!d->stuck && d->want > owned(d)) {
        if (d->full || !hot_add(d)) {
            d->stuck = true;
            finished(d);
        }
    } else {
        finished(d);
    }
}

static void on_added(struct dynmem *d, const uint8_t *p, size_t n)
{
    struct dm_hot_add_response m;
    uint64_t took;

    if (d->state != DM_ADDING || n < sizeof(m))
        return;
    memcpy(&m, p, sizeof(m));
    took = le32_get(m.result) ? min_u64(le32_get(m.page_count), d->offered) : 0;
    d->added += took;
    d->full = took < d->offered;
    d->stuck = took == 0;
    advance(d);
}

static bool remember(struct dynmem *d, uint64_t range)
{
    if (d->ranges == d->room) {
        size_t room = d->room ? d->room * 2 : 256;
        uint64_t *more = room <= DYNMEM_RANGES ? realloc(d->range, room * sizeof(*more)) : NULL;

        if (!more)
            return false;
        d->range = more;
        d->room = room;
    }
    d->range[d->ranges++] = range;
    return true;
}

static void lend(struct dynmem *d, uint64_t range)
{
    uint64_t start = range & ((UINT64_C(1) << DM_RANGE_SHIFT) - 1), n = range >> DM_RANGE_SHIFT;

    if (n == 0 || d->pages + n > owned(d) || !remember(d, range)) {
        vmbus_fault(&d->c, "%llu pages at %#llx cannot be lent", (unsigned long long)n,
                    (unsigned long long)start);
        return;
    }
    if (gmem_discard(d->b->mem, start * VMBUS_PAGE, n * VMBUS_PAGE) < 0) {
        d->ranges--;
        vmbus_fault(&d->c, "pages at %#llx are no memory", (unsigned long long)start);
        return;
    }
    d->pages += n;
    d->progress += n;
}

static void on_lent(struct dynmem *d, const uint8_t *p, size_t n)
{
    struct dm_balloon_response m;
    uint32_t count;
    bool more;

    if (d->state != DM_INFLATING || n < sizeof(m))
        return;
    memcpy(&m, p, sizeof(m));
    more = le32_get(m.more_and_count) & 1;
    count = le32_get(m.more_and_count) >> 1;
    for (uint32_t i = 0; i < count && range_in(sizeof(m) + 8 * (uint64_t)i, 8, n); i++)
        lend(d, le64_at(p + sizeof(m) + 8 * (size_t)i));
    if (more)
        return;
    d->stuck = d->progress == 0;
    advance(d);
}

static void on_capabilities(struct dynmem *d, const uint8_t *p, size_t n)
{
    struct dm_capabilities m;
    uint64_t caps = 0;

    if (n >= sizeof(m)) {
        memcpy(&m, p, sizeof(m));
        caps = le64_get(m.caps);
    }
    d->align = 0;
    if (caps & DM_CAP_HOT_ADD) {
        unsigned shift = caps >> DM_CAP_ALIGN_SHIFT & DM_CAP_ALIGN_MASK;

        d->align = shift ? (MiB / VMBUS_PAGE) << shift : DYNMEM_ALIGN;
    }
    send_accept(d, DM_CAPABILITIES_RESPONSE, d->version != 0);
    if (d->version && d->state == DM_NONE) {
        uint64_t id = READ_ONCE(d->b->synic->os_id);

        d->state = DM_READY;
        d->ready = identity_is_windows(id) ? loop_now(d->b->loop) + DYNMEM_START_NS : 0;
    }
}

static void on_status(struct dynmem *d, const uint8_t *p, size_t n)
{
    struct dm_status m;

    if (n < sizeof(m))
        return;
    memcpy(&m, p, sizeof(m));
    d->avail = le64_get(m.num_avail);
    d->committed = le64_get(m.num_committed);
}

static void on_version(struct dynmem *d, const uint8_t *p, size_t n)
{
    uint32_t version = n >= 12 ? le32_at(p + 8) : 0;
    bool ok = version == DYNMEM_PROTOCOL_VERSION_1 || version == DYNMEM_PROTOCOL_VERSION_2 ||
              version == DYNMEM_PROTOCOL_VERSION_3;

    if (ok)
        d->version = version;
    send_accept(d, DM_VERSION_RESPONSE, ok);
}

static void dynmem_packet(struct vmbus_channel *c, const struct ring_packet *p)
{
    struct dynmem *d = c->owner;
    struct dm_header h = {le16_of(0), le16_of(0), le32_of(0)};

    if (p->type != VM_PKT_DATA_INBAND || p->data_len < sizeof(h))
        return;
    memcpy(&h, p->data, sizeof(h));
    switch (le16_get(h.type)) {
    case DM_VERSION_REQUEST:
        d->trans = le32_get(h.trans_id);
        on_version(d, p->data, p->data_len);
        break;
    case DM_CAPABILITIES_REPORT:
        d->trans = le32_get(h.trans_id);
        on_capabilities(d, p->data, p->data_len);
        break;
    case DM_STATUS_REPORT:
        on_status(d, p->data, p->data_len);
        break;
    case DM_BALLOON_RESPONSE:
        on_lent(d, p->data, p->data_len);
        break;
    case DM_UNBALLOON_RESPONSE:
        if (d->state == DM_DEFLATING)
            advance(d);
        break;
    case DM_MEM_HOT_ADD_RESPONSE:
        on_added(d, p->data, p->data_len);
        break;
    default:
        vmbus_fault(c, "a message of type %u is unknown", le16_get(h.type));
        break;
    }
}

int dynmem_ask(struct dynmem *d, uint64_t bytes, struct err *e)
{
    uint64_t most = d->env->memory + d->hot.size, now = loop_now(d->b->loop);

    if (d->state == DM_NONE)
        return err_set(e, ENOTSUP, "the guest has not bound Hyper-V's dynamic memory");
    if (now < d->ready)
        return err_set(e, EAGAIN, "Windows is starting; it can be asked for memory in %llu s",
                       (unsigned long long)((d->ready - now) / 1000000000 + 1));
    if (d->state != DM_READY)
        return err_set(e, EBUSY, "the guest's memory is being changed already");
    if (bytes > most)
        return err_set(e, EINVAL, "the guest has %llu MiB and cannot get more than %llu MiB%s",
                       (unsigned long long)(owned(d) * VMBUS_PAGE >> 20),
                       (unsigned long long)(most >> 20),
                       d->hot.size ? "" : ": start it with --persona hyperv,memory-max=SIZE");
    if (bytes > owned(d) * VMBUS_PAGE && !d->align)
        return err_set(e, ENOTSUP, "the guest's driver takes no memory beyond its first %llu MiB",
                       (unsigned long long)(d->env->memory >> 20));
    d->want = bytes / VMBUS_PAGE;
    d->stuck = false;
    advance(d);
    vmbus_flush(&d->c);
    return 0;
}

/* A guest without its driver has its memory again when it starts anew. */
static void dynmem_close(struct vmbus_channel *c)
{
    struct dynmem *d = c->owner;

    d->state = DM_NONE;
    d->version = 0;
    d->pages = d->ranges = 0;
    d->avail = d->committed = 0;
    d->align = 0;
}

void dynmem_reset(struct dynmem *d)
{
    struct gmem_region r;

    d->added = 0;
    d->full = false;
    for (size_t i = 0; gmem_region_at(d->b->mem, i, &r); i++) { /* one for each that was added */
        if (r.base - d->hot.base < d->mapped && gmem_discard(d->b->mem, r.base, r.size) < 0)
            log_line(LOG_WARN, "balloon", "added memory is not given back");
    }
}

static void dynmem_describe(struct vmbus_channel *c, struct dump *out)
{
    const struct dynmem *d = c->owner;

    dump_add(out, c->id,
             "version %u.%u, %llu MiB lent, %llu MiB added, %llu MiB available, %llu MiB committed",
             d->version >> 16, d->version & 0xffff, (unsigned long long)(d->pages >> 8),
             (unsigned long long)(d->added >> 8), (unsigned long long)(d->avail >> 8),
             (unsigned long long)(d->committed >> 8));
}

static const struct vmbus_class dynmem_class = {
    .name = "dynamic memory",
    .packet_max = DYNMEM_PACKET,
    .close = dynmem_close,
    .packet = dynmem_packet,
    .describe = dynmem_describe,
};

int dynmem_create(struct vmbus *b, const struct persona_env *env, const struct dynmem_room *hot,
                  struct dynmem **out, struct err *e)
{
    static const uint8_t type[16] = HV_DM_GUID;
    struct dynmem *d = calloc(1, sizeof(*d));
    int rc;

    if (!d)
        return err_set(e, ENOMEM, "no memory for dynamic memory");
    d->b = b;
    d->env = env;
    d->hot = hot ? *hot : (struct dynmem_room){.size = 0};
    d->c = (struct vmbus_channel){.class = &dynmem_class, .id = "balloon", .owner = d};
    memcpy(d->c.type, type, 16);
    memcpy(d->c.instance, type, 16);
    d->c.instance[15] ^= 1;
    rc = vmbus_add(b, &d->c, e);
    if (rc < 0) {
        free(d);
        return rc;
    }
    *out = d;
    return 0;
}

void dynmem_destroy(struct dynmem *d)
{
    if (!d)
        return;
    vmbus_remove(&d->c);
    free(d->range);
    free(d);
}
