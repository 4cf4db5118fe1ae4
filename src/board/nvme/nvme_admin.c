/* SPDX-License-Identifier: Apache-2.0 */
/* nvme_admin.c - the admin command set: NVM Express 1.4 chapter 5. */
#include <stdio.h>
#include <string.h>

#include "board/nvme/nvme_priv.h"
#include "core/gmem.h"
#include "core/iov.h"

enum { QUEUE_CONTIGUOUS = 1, QUEUE_INTERRUPTS = 2 };

/* --- queues --- */

static uint16_t queue_checks(struct nvme *n, const struct nvme_sqe *c, uint32_t q, uint32_t size,
                             size_t entry)
{
    gpa_t at = le64_get(c->prp1);

    if (size < 2 || size > NVME_ENTRIES)
        return NVME_INVALID_QUEUE_SIZE | NVME_DNR;
    if (!(le32_get(c->cdw11) & QUEUE_CONTIGUOUS))
        return NVME_INVALID_FIELD | NVME_DNR;
    if (at % NVME_PAGE)
        return NVME_INVALID_PRP_OFFSET | NVME_DNR;
    if (at > UINT64_C(1) << 52 || !gmem_shared(n->pci.dev.env.mem, at, size * entry))
        return NVME_INVALID_FIELD | NVME_DNR;
    return q ? NVME_SUCCESS : NVME_INVALID_QUEUE_ID | NVME_DNR;
}

static uint16_t create_cq(struct nvme *n, const struct nvme_sqe *c)
{
    uint32_t cdw10 = le32_get(c->cdw10), cdw11 = le32_get(c->cdw11), size = (cdw10 >> 16) + 1;
    uint16_t rc;
    size_t q;

    if (!idx_in(cdw10 & 0xffff, NVME_QUEUES, &q) || n->s.cq[q].size)
        return NVME_INVALID_QUEUE_ID | NVME_DNR;
    rc = queue_checks(n, c, (uint32_t)q, size, sizeof(struct nvme_cqe));
    if (rc != NVME_SUCCESS)
        return rc;
    if (cdw11 >> 16 >= NVME_QUEUES)
        return NVME_INVALID_VECTOR | NVME_DNR;
    n->s.cq[q] = (struct nvme_cq){.at = le64_get(c->prp1),
                                  .size = size,
                                  .vector = (uint16_t)(cdw11 >> 16),
                                  .phase = true,
                                  .interrupts = cdw11 & QUEUE_INTERRUPTS};
    return NVME_SUCCESS;
}

static uint16_t create_sq(struct nvme *n, const struct nvme_sqe *c)
{
    uint32_t cdw10 = le32_get(c->cdw10), cdw11 = le32_get(c->cdw11), size = (cdw10 >> 16) + 1;
    uint16_t rc;
    size_t q, cq;

    if (!idx_in(cdw10 & 0xffff, NVME_QUEUES, &q) || n->s.sq[q].size)
        return NVME_INVALID_QUEUE_ID | NVME_DNR;
    rc = queue_checks(n, c, (uint32_t)q, size, sizeof(struct nvme_sqe));
    if (rc != NVME_SUCCESS)
        return rc;
    if (!idx_in(cdw11 >> 16, NVME_QUEUES, &cq) || cq == 0 || !n->s.cq[cq].size)
        return NVME_INVALID_CQ | NVME_DNR;
    n->s.sq[q] = (struct nvme_sq){.at = le64_get(c->prp1), .size = size, .cq = (uint16_t)cq};
    n->s.cq[cq].users++;
    return NVME_SUCCESS;
}

static uint16_t delete_cq(struct nvme *n, const struct nvme_sqe *c)
{
    size_t q;

    if (!idx_in(le32_get(c->cdw10) & 0xffff, NVME_QUEUES, &q) || q == 0 || !n->s.cq[q].size)
        return NVME_INVALID_QUEUE_ID | NVME_DNR;
    if (n->s.cq[q].users)
        return NVME_INVALID_QUEUE_DELETION | NVME_DNR;
    n->s.cq[q] = (struct nvme_cq){.size = 0};
    return NVME_SUCCESS;
}

/* --- answers --- */

static uint16_t answer(struct nvme_request *r, const struct nvme_sqe *c, const uint8_t *p,
                       uint64_t have, uint64_t from, uint32_t len)
{
    uint32_t n = from < have ? (uint32_t)min_u64(len, have - from) : 0;
    uint16_t rc = nvme_map(r, c, len, true);

    if (rc != NVME_SUCCESS)
        return rc;
    iov_write(r->u.iov, (unsigned)r->iovcnt, 0, p + from, n);
    iov_fill(r->u.iov, (unsigned)r->iovcnt, n, 0, len - n);
    return NVME_SUCCESS;
}

/* Padded with spaces. */
static void text(uint8_t *at, size_t n, const char *s)
{
    size_t len = strnlen(s, n);

    memset(at, ' ', n);
    memcpy(at, s, len);
}

static void identify_controller(struct nvme *n, uint8_t *p)
{
    const char *serial = n->namespaces ? n->ns[0].serial : "";

    le16_put(p, pci_config_get16(&n->pci, PCI_VENDOR_ID));
    le16_put(p + 2, pci_config_get16(&n->pci, PCI_SUBSYSTEM_VENDOR_ID));
    text(p + 4, 20, serial);
    text(p + 24, 40, "hospes NVMe disk");
    text(p + 64, 8, "1.0");
    p[72] = 6; /* commands in one go, 2^n */
    p[77] = NVME_MDTS;
    le32_put(p + 80, NVME_VERSION);
    le32_put(p + 84, 500000);  /* how long to become ready, in microseconds */
    le32_put(p + 88, 5000000); /* and to shut down */
    le32_put(p + 92, NVME_NS_EVENTS);
    p[111] = 1; /* an I/O controller */
    p[258] = 3; /* aborts at once, less one */
    p[259] = NVME_EVENTS - 1;
    p[260] = 3;                /* one firmware slot, not to be written */
    p[261] = 2;                /* a log of commands' effects */
    le16_put(p + 266, 0x0157); /* kelvins: a warning, and too hot */
    le16_put(p + 268, 0x0175);
    p[512] = 0x66; /* sizes of queue entries, 2^n */
    p[513] = 0x44;
    le32_put(p + 516, NVME_NAMESPACES);
    le16_put(p + 520, 0x000c);                          /* DSM and write zeroes */
    p[525] = 0x01 | (n->namespaces == 1 ? 0x06 : 0x04); /* a write cache; flushing all at once */
    snprintf((char *)p + 768, 256, "nqn.2026-01.org.hospes:%s", serial);
    le16_put(p + 2048, 2500); /* 25 W */
}

static const struct nvme_namespace *namespace_of(const struct nvme *n, uint32_t nsid)
{
    size_t i;

    return idx_in(nsid - UINT64_C(1), n->namespaces, &i) ? &n->ns[i] : NULL;
}

static void identify_namespace(const struct nvme_namespace *s, uint8_t *p)
{
    for (unsigned i = 0; i < 3; i++)
        le64_put(p + 8 * i, s->blocks);
    p[24] = s->disk->shape.trims ? 0x01 : 0; /* thin */
    p[99] = s->disk->shape.readonly ? 0x01 : 0;
    le32_put(p + 128, s->shift << 16);
}

/* A UUID from the serial number (FNV-1a, twice), as random ones look. */
static void descriptors(const struct nvme_namespace *s, uint32_t nsid, uint8_t *p)
{
    uint64_t h[2] = {UINT64_C(0xcbf29ce484222325), UINT64_C(0x84222325cbf29ce4)};

    for (unsigned k = 0; k < 2; k++) {
        for (const char *c = s->serial; *c; c++)
            h[k] = (h[k] ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
        h[k] = (h[k] ^ nsid) * UINT64_C(0x100000001b3);
    }
    p[0] = 3; /* a UUID */
    p[1] = 16;
    le64_put(p + 4, h[0]);
    le64_put(p + 12, h[1]);
    p[10] = (uint8_t)((p[10] & 0x0f) | 0x40);
    p[12] = (uint8_t)((p[12] & 0x3f) | 0x80);
}

static uint16_t identify(struct nvme_request *r, const struct nvme_sqe *c)
{
    uint32_t nsid = le32_get(c->nsid);
    const struct nvme_namespace *s = namespace_of(r->ctl, nsid);
    uint8_t p[NVME_ANSWER] = {0};

    switch (le32_get(c->cdw10) & 0xff) {
    case NVME_CNS_NAMESPACE:
        if (!s && nsid - UINT64_C(1) >= NVME_NAMESPACES && nsid != NVME_NSID_ALL)
            return NVME_INVALID_NAMESPACE | NVME_DNR;
        if (s)
            identify_namespace(s, p); /* else zeros: it is not active */
        break;
    case NVME_CNS_CONTROLLER:
        identify_controller(r->ctl, p);
        break;
    case NVME_CNS_ACTIVE:
        if (nsid >= 0xfffffffe)
            return NVME_INVALID_NAMESPACE | NVME_DNR;
        for (uint32_t i = nsid, at = 0; i < r->ctl->namespaces; i++, at += 4)
            le32_put(p + at, i + 1);
        break;
    case NVME_CNS_DESCRIPTORS:
        if (!s)
            return NVME_INVALID_NAMESPACE | NVME_DNR;
        descriptors(s, nsid, p);
        break;
    default:
        return NVME_INVALID_FIELD | NVME_DNR;
    }
    return answer(r, c, p, sizeof(p), 0, NVME_ANSWER);
}

static void log_smart(const struct nvme *n, uint8_t *p)
{
    le16_put(p + 1, 0x012c); /* 300 K */
    p[3] = 100;              /* spare blocks left */
    p[4] = 10;
    le64_put(p + 32, (n->count.read_blocks + 999) / 1000);
    le64_put(p + 48, (n->count.written_blocks + 999) / 1000);
    le64_put(p + 64, n->count.reads);
    le64_put(p + 80, n->count.writes);
}

static void log_changed(struct nvme *n, uint8_t *p)
{
    for (uint32_t i = 0, at = 0; i < NVME_NAMESPACES; i++) {
        if (n->s.changed >> i & 1) {
            le32_put(p + at, i + 1);
            at += 4;
        }
    }
}

static void log_effects(uint8_t *p)
{
    static const uint8_t admin[] = {0, 1, 2, 4, 5, 6, 8, 9, 10, 12};
    static const uint8_t nvm[] = {0, 1, 2, 8, 9};

    for (unsigned i = 0; i < sizeof(admin); i++)
        le32_put(p + 4 * admin[i], 1);
    for (unsigned i = 0; i < sizeof(nvm); i++)
        le32_put(p + 1024 + 4 * nvm[i], nvm[i] == NVME_READ || nvm[i] == NVME_FLUSH ? 1 : 3);
}

static uint16_t get_log(struct nvme_request *r, const struct nvme_sqe *c)
{
    uint32_t cdw10 = le32_get(c->cdw10);
    uint64_t len = ((cdw10 >> 16 | (uint64_t)(le32_get(c->cdw11) & 0xffff) << 16) + 1) * 4;
    uint64_t from = le32_get(c->cdw12) | (uint64_t)le32_get(c->cdw13) << 32;
    uint8_t p[NVME_ANSWER] = {0};
    unsigned type = 2;
    uint64_t have = 512;

    switch (cdw10 & 0xff) {
    case NVME_LOG_ERROR:
        type = 0;
        have = 64; /* an entry that says there is none */
        break;
    case NVME_LOG_SMART:
        type = 1;
        log_smart(r->ctl, p);
        break;
    case NVME_LOG_FIRMWARE:
        p[0] = 1;
        text(p + 8, 8, "1.0");
        break;
    case NVME_LOG_CHANGED:
        have = sizeof(p);
        log_changed(r->ctl, p);
        break;
    case NVME_LOG_EFFECTS:
        have = sizeof(p);
        log_effects(p);
        break;
    default:
        return NVME_INVALID_LOG_PAGE | NVME_DNR;
    }
    if (from % 4 || from > have || len > NVME_DATA)
        return NVME_INVALID_FIELD | NVME_DNR;
    if (!(cdw10 & 0x8000)) { /* keep the event */
        r->ctl->s.unread[type] = false;
        if ((cdw10 & 0xff) == NVME_LOG_CHANGED)
            r->ctl->s.changed = 0;
    }
    return answer(r, c, p, have, from, (uint32_t)len);
}

/* --- features --- */

static uint16_t set_feature(struct nvme *n, const struct nvme_sqe *c, uint32_t *result)
{
    uint32_t cdw10 = le32_get(c->cdw10), v = le32_get(c->cdw11);
    size_t id;

    if (cdw10 & 0x80000000)
        return NVME_NOT_SAVEABLE | NVME_DNR;
    if (!idx_in(cdw10 & 0xff, NVME_FEATURES, &id) || id == 0 || id == 3)
        return NVME_INVALID_FIELD | NVME_DNR;
    switch (id) {
    case NVME_FEAT_QUEUES:
        if ((v & 0xffff) == 0xffff || v >> 16 == 0xffff)
            return NVME_INVALID_FIELD | NVME_DNR;
        *result = n->s.feature[id]; /* all that there are */
        return NVME_SUCCESS;
    case NVME_FEAT_POWER:
        if (v & 0x1f)
            return NVME_INVALID_FIELD | NVME_DNR;
        break;
    case NVME_FEAT_WRITE_CACHE:
        v &= 1;
        break;
    case NVME_FEAT_VECTOR: /* no coalescing whatever it says */
        return (v & 0xffff) < NVME_QUEUES ? NVME_SUCCESS : NVME_INVALID_FIELD | NVME_DNR;
    default:
        break;
    }
    n->s.feature[id] = v;
    return NVME_SUCCESS;
}

static uint16_t get_feature(struct nvme *n, const struct nvme_sqe *c, uint32_t *result)
{
    uint32_t cdw10 = le32_get(c->cdw10);
    unsigned select = cdw10 >> 8 & 7;
    size_t id;

    if (!idx_in(cdw10 & 0xff, NVME_FEATURES, &id) || id == 0 || id == 3 || select > 3)
        return NVME_INVALID_FIELD | NVME_DNR;
    if (select == 3)
        *result = id == NVME_FEAT_QUEUES ? 0 : 4; /* what it can: be changed */
    else if (id == NVME_FEAT_VECTOR)
        *result = (le32_get(c->cdw11) & 0xffff) | 1u << 16;
    else
        *result = n->s.feature[id];
    return NVME_SUCCESS;
}

/* --- commands --- */

static void event_request(struct nvme_request *r)
{
    struct nvme *n = r->ctl;

    for (unsigned type = 0; type < 3; type++) {
        if (n->s.told[type] && !n->s.unread[type]) {
            uint32_t result = n->s.told[type] & 0x7fffffff;

            n->s.told[type] = 0;
            n->s.unread[type] = true;
            nvme_end(r, NVME_SUCCESS, result);
            return;
        }
    }
    if (n->s.events == NVME_EVENTS) {
        nvme_end(r, NVME_TOO_MANY_EVENT_REQUESTS | NVME_DNR, 0);
        return;
    }
    n->s.event[n->s.events++] = r->cid;
    nvme_park(r);
}

static void delete_sq(struct nvme_request *r, const struct nvme_sqe *c)
{
    struct nvme *n = r->ctl;
    size_t q;

    if (!idx_in(le32_get(c->cdw10) & 0xffff, NVME_QUEUES, &q) || q == 0 || !n->s.sq[q].size ||
        n->s.sq[q].deleting)
        nvme_end(r, NVME_INVALID_QUEUE_ID | NVME_DNR, 0);
    else
        nvme_sq_delete(r, (unsigned)q);
}

void nvme_admin(struct nvme_request *r, const struct nvme_sqe *c)
{
    uint32_t result = 0;
    uint16_t rc;

    switch (c->opcode) {
    case NVME_DELETE_IO_SQ:
        delete_sq(r, c);
        return;
    case NVME_ASYNC_EVENT_REQUEST:
        event_request(r);
        return;
    case NVME_CREATE_IO_SQ:
        rc = create_sq(r->ctl, c);
        break;
    case NVME_CREATE_IO_CQ:
        rc = create_cq(r->ctl, c);
        break;
    case NVME_DELETE_IO_CQ:
        rc = delete_cq(r->ctl, c);
        break;
    case NVME_GET_LOG_PAGE:
        rc = get_log(r, c);
        break;
    case NVME_IDENTIFY:
        rc = identify(r, c);
        break;
    case NVME_ABORT: /* it was not: commands end by themselves */
        rc = NVME_SUCCESS;
        result = 1;
        break;
    case NVME_SET_FEATURES:
        rc = set_feature(r->ctl, c, &result);
        break;
    case NVME_GET_FEATURES:
        rc = get_feature(r->ctl, c, &result);
        break;
    default:
        rc = NVME_INVALID_OPCODE | NVME_DNR;
    }
    nvme_end(r, rc, result);
}
