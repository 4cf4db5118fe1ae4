/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nvme.c - an NVM Express 1.4 controller: registers, queues, completions and life.
 *
 * Modelled: 32 pairs of I/O queues of up to 1024 entries, physically contiguous, PRP lists, up to
 * 16 namespaces, INTx, MSI and MSI-X, asynchronous events, shutdown. Not modelled: SGLs, metadata
 * and protection, weighted arbitration, fused commands, reservations, namespace management,
 * firmware updates, controller memory, shadow doorbells, multiple paths, interrupt coalescing.
 *
 * Threads: doorbells on vCPU threads, which also try commands at once; what would wait goes to the
 * loop. All under the device's lock.
 */
#include "board/nvme/nvme.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board/nvme/nvme_priv.h"
#include "core/err.h"
#include "core/gmem.h"
#include "core/loop.h"

enum { BAR_REGISTERS = 0, BAR_SIZE = 0x4000, BAR_MSIX = 4, SQES = 6, CQES = 4, TIMEOUT = 30 };
enum { EVENT_ERROR = 0, BAD_DOORBELL = 0, BAD_DOORBELL_VALUE = 1 };
enum { EVENT_NOTICE = 2, NAMESPACE_CHANGED = 0 };

/* --- completions --- */

/* Entries that the guest has not taken. */
static uint32_t cq_used(const struct nvme_cq *c)
{
    return c->tail >= c->head ? c->tail - c->head : c->tail + c->size - c->head;
}

/* There is room for one more than the answers to all commands that were begun. So each has its
 * place when it ends, and a queue that nobody empties holds back its own commands alone. */
static bool cq_room(const struct nvme_cq *c)
{
    return c->flying + cq_used(c) + 1 < c->size;
}

static void fatal(struct nvme *n, const char *why)
{
    guest_fault(&n->pci.dev, "the controller stops: %s", why);
    n->s.csts |= NVME_CSTS_CFS;
}

static void post(struct nvme *n, const struct nvme_request *r)
{
    struct nvme_sq *s = &n->s.sq[r->sq];
    struct nvme_cq *c = &n->s.cq[s->cq];
    uint8_t *p = gmem_shared(n->pci.dev.env.mem, c->at + c->tail * sizeof(struct nvme_cqe),
                             sizeof(struct nvme_cqe));

    if (!p) {
        fatal(n, "a completion queue lies outside memory");
        return;
    }
    le32_put(p, r->result);
    le32_put(p + 4, 0);
    le16_put(p + 8, (uint16_t)s->head);
    le16_put(p + 10, r->sq);
    /* The phase tells that the rest is there, so it goes last. */
    shared_store32(p + 12, r->cid | (uint32_t)(r->status << 1 | c->phase) << 16);
    if (++c->tail == c->size) {
        c->tail = 0;
        c->phase = !c->phase;
    }
    c->raise = true;
}

static void give_back(struct nvme_request *r)
{
    struct nvme *n = r->ctl;

    r->next = n->spare;
    n->spare = r;
}

static void sq_gone(struct nvme *n, unsigned q)
{
    struct nvme_request *r = n->deleter[q];

    n->s.cq[n->s.sq[q].cq].users--;
    n->s.sq[q] = (struct nvme_sq){.size = 0};
    n->deleter[q] = NULL;
    nvme_end(r, NVME_SUCCESS, 0);
}

void nvme_sq_delete(struct nvme_request *r, unsigned q)
{
    r->ctl->deleter[q] = r;
    r->ctl->s.sq[q].deleting = true;
    if (!r->ctl->s.sq[q].flying)
        sq_gone(r->ctl, q);
}

/* A controller that was switched off says so when nothing of its last life is left. */
static void ready_end(struct nvme *n)
{
    if (!n->flying && !(n->s.cc & NVME_CC_EN))
        n->s.csts &= ~NVME_CSTS_RDY;
}

static void flushed(struct nvme_request *r)
{
    struct nvme *n = r->ctl;

    give_back(r);
    if (--n->flushes == 0)
        n->s.csts = (n->s.csts & ~NVME_CSTS_SHST_OCCURRING) | NVME_CSTS_SHST_COMPLETE;
}

void nvme_end(struct nvme_request *r, uint16_t status, uint32_t result)
{
    struct nvme *n = r->ctl;
    struct nvme_sq *s = &n->s.sq[r->sq];
    unsigned q = r->sq;

    r->status = status;
    r->result = result;
    n->flying--;
    if (r->life != n->life) {
        give_back(r);
        ready_end(n);
        return;
    }
    if (r->shutdown) {
        flushed(r);
        ready_end(n);
        return;
    }
    n->count.errors += status != NVME_SUCCESS;
    n->s.cq[s->cq].flying--;
    post(n, r);
    give_back(r);
    if (--s->flying == 0 && s->deleting)
        sq_gone(n, q);
}

void nvme_park(struct nvme_request *r)
{
    struct nvme *n = r->ctl;
    struct nvme_sq *s = &n->s.sq[r->sq];

    n->flying--;
    n->s.cq[s->cq].flying--;
    s->flying--;
    give_back(r);
}

void nvme_interrupts(struct nvme *n)
{
    bool up = false;

    for (unsigned i = 0; i < NVME_QUEUES; i++) {
        struct nvme_cq *c = &n->s.cq[i];

        if (!c->size || !c->interrupts)
            continue;
        if (c->raise && !(n->s.intm >> (c->vector & 31) & 1 && !pci_msix_enabled(&n->pci))) {
            c->raise = false;
            n->by_pin = !pci_notify(&n->pci, c->vector);
        }
        up |= c->head != c->tail && !(n->s.intm & 1);
    }
    pci_intx(&n->pci, up && n->by_pin);
}

/* What waits, as far as there are requests for it and room to answer them. */
static void events_run(struct nvme *n)
{
    for (unsigned type = 0; type < ARRAY_SIZE(n->s.told); type++) {
        struct nvme_request r = {.ctl = n, .result = n->s.told[type] & 0x7fffffff};

        if (!n->s.told[type] || n->s.unread[type] || n->s.events == 0 || !cq_room(&n->s.cq[0]))
            continue;
        n->s.told[type] = 0;
        n->s.unread[type] = true;
        r.cid = n->s.event[--n->s.events];
        post(n, &r);
    }
}

void nvme_event(struct nvme *n, unsigned type, unsigned info, unsigned log)
{
    if (n->s.unread[type])
        return;
    n->s.told[type] = type | info << 8 | log << 16 | UINT32_C(1) << 31; /* never 0 */
    events_run(n);
}

/* --- submissions --- */

struct nvme_request *nvme_take(struct nvme *n, unsigned q)
{
    struct nvme_request *r = n->spare;

    if (!r)
        return NULL;
    n->spare = r->next;
    r->next = NULL;
    r->life = n->life;
    r->sq = (uint16_t)q;
    r->ns = NULL;
    r->shutdown = false;
    r->ranges = r->range = 0;
    r->iovcnt = 0;
    r->status = NVME_SUCCESS;
    n->flying++;
    return r;
}

static void fetch(struct nvme *n, unsigned q)
{
    struct nvme_sq *s = &n->s.sq[q];

    while (s->size && s->head != s->tail && !s->deleting && cq_room(&n->s.cq[s->cq]) &&
           !(n->s.csts & NVME_CSTS_CFS)) {
        struct nvme_sqe c;
        struct nvme_request *r;

        if (gmem_read(n->pci.dev.env.mem, s->at + s->head * sizeof(c), &c, sizeof(c)) < 0) {
            fatal(n, "a submission queue lies outside memory");
            return;
        }
        r = nvme_take(n, q);
        if (!r) {
            n->starved = true; /* goes on when one ends */
            return;
        }
        s->head = s->head + 1 == s->size ? 0 : s->head + 1;
        s->flying++;
        n->s.cq[s->cq].flying++;
        r->cid = le16_get(c.cid);
        if (c.flags) /* fused, or an SGL */
            nvme_end(r, NVME_INVALID_FIELD | NVME_DNR, 0);
        else if (q == 0)
            nvme_admin(r, &c);
        else
            nvme_io_command(r, &c);
    }
}

static void fetch_all(struct nvme *n)
{
    for (unsigned q = 0; q < NVME_QUEUES && n->s.csts & NVME_CSTS_RDY; q++)
        fetch(n, q);
}

/* Room in a completion queue: for what waited, then for new commands. */
static void head_moved(struct nvme *n, unsigned cq)
{
    if (cq == 0)
        events_run(n);
    for (unsigned q = 0; q < NVME_QUEUES; q++) {
        if (n->s.sq[q].cq == cq)
            fetch(n, q);
    }
}

static bool takes_what_is_there(const struct nvme_cq *c, uint32_t head)
{
    return (head + c->size - c->head) % c->size <= cq_used(c);
}

static void doorbell(struct nvme *n, unsigned off, uint32_t v)
{
    unsigned i = (off - NVME_DOORBELLS) / 4, q = i / 2;
    uint32_t size;

    if (!(n->s.csts & NVME_CSTS_RDY) || !(n->s.cc & NVME_CC_EN))
        return;
    size = q >= NVME_QUEUES ? 0 : i % 2 ? n->s.cq[q].size : n->s.sq[q].size;
    if (v >= size || (i % 2 && !takes_what_is_there(&n->s.cq[q], v))) {
        guest_fault(&n->pci.dev, "doorbell %u is rung with %u", i, v);
        nvme_event(n, EVENT_ERROR, size ? BAD_DOORBELL_VALUE : BAD_DOORBELL, NVME_LOG_ERROR);
    } else if (i % 2) {
        n->s.cq[q].head = v;
        head_moved(n, q);
    } else {
        n->s.sq[q].tail = v;
        fetch(n, q);
    }
    nvme_interrupts(n);
}

/* --- on the loop --- */

static void submit_all(struct task *t)
{
    struct nvme *n = container_of(t, struct nvme, submit);
    struct nvme_request *r;

    device_lock(&n->pci.dev);
    r = n->waiting;
    n->waiting = NULL;
    n->wait_end = &n->waiting;
    device_unlock(&n->pci.dev);
    while (r) {
        struct nvme_request *next = r->next; /* done() may use r again once it is submitted */

        disk_submit(r->ns->disk, &r->req);
        r = next;
    }
}

void nvme_later(struct nvme_request *r)
{
    struct nvme *n = r->ctl;

    r->next = NULL;
    *n->wait_end = r;
    n->wait_end = &r->next;
    loop_ask(n->pci.dev.env.loop, &n->submit);
}

void nvme_go_on(struct nvme *n)
{
    if (n->starved) {
        n->starved = false;
        fetch_all(n);
    }
    nvme_interrupts(n);
}

/* --- enabling --- */

/* What is in flight ends for nobody. */
static void forget(struct nvme *n)
{
    n->life++;
    for (unsigned q = 0; q < NVME_QUEUES; q++) {
        if (n->deleter[q]) {
            n->flying--;
            give_back(n->deleter[q]);
            n->deleter[q] = NULL;
        }
    }
    n->starved = false;
    memset(n->s.sq, 0, sizeof(n->s.sq));
    memset(n->s.cq, 0, sizeof(n->s.cq));
    n->s.events = 0;
    memset(n->s.told, 0, sizeof(n->s.told));
    memset(n->s.unread, 0, sizeof(n->s.unread));
    n->s.changed = 0;
    n->flushes = 0;
}

static void features_begin(struct nvme *n)
{
    memset(n->s.feature, 0, sizeof(n->s.feature));
    n->s.feature[NVME_FEAT_TEMPERATURE] = 0x0157;
    n->s.feature[NVME_FEAT_WRITE_CACHE] = 1;
    n->s.feature[NVME_FEAT_QUEUES] = (NVME_QUEUES - 2) | (NVME_QUEUES - 2) << 16;
}

static void enable(struct nvme *n)
{
    uint32_t sq = (n->s.aqa & 0xfff) + 1, cq = (n->s.aqa >> 16 & 0xfff) + 1, cc = n->s.cc;

    n->s.csts &= ~(NVME_CSTS_CFS | NVME_CSTS_SHST_COMPLETE | NVME_CSTS_SHST_OCCURRING);
    if ((cc >> 4 & 7) || (cc >> 7 & 15) || (cc >> 11 & 7) || sq < 2 || cq < 2 ||
        (n->s.asq | n->s.acq) % NVME_PAGE ||
        !gmem_shared(n->pci.dev.env.mem, n->s.asq, sizeof(struct nvme_sqe)) ||
        !gmem_shared(n->pci.dev.env.mem, n->s.acq, sizeof(struct nvme_cqe))) {
        fatal(n, "it was enabled with settings that it has not");
        return;
    }
    features_begin(n);
    n->s.sq[0] = (struct nvme_sq){.at = n->s.asq, .size = sq};
    n->s.cq[0] =
        (struct nvme_cq){.at = n->s.acq, .size = cq, .phase = true, .interrupts = true, .users = 1};
    n->s.csts |= NVME_CSTS_RDY;
}

static void cc_write(struct nvme *n, uint32_t v)
{
    uint32_t was = n->s.cc;

    n->s.cc = v & 0x00fffff1;
    if (v & NVME_CC_EN && !(was & NVME_CC_EN)) {
        enable(n);
    } else if (!(v & NVME_CC_EN) && was & NVME_CC_EN) {
        forget(n);
        n->s.csts &= ~(NVME_CSTS_CFS | NVME_CSTS_SHST_COMPLETE | NVME_CSTS_SHST_OCCURRING);
        ready_end(n);
        pci_intx(&n->pci, false);
    }
    if (v & NVME_CC_SHN && !(was & NVME_CC_SHN)) {
        n->s.csts = (n->s.csts & ~NVME_CSTS_SHST_COMPLETE) | NVME_CSTS_SHST_OCCURRING;
        nvme_shutdown(n);
    } else if (!(v & NVME_CC_SHN) && v & NVME_CC_EN) {
        n->s.csts &= ~(NVME_CSTS_SHST_COMPLETE | NVME_CSTS_SHST_OCCURRING);
    }
}

/* --- registers --- */

static void half(uint64_t *r, bool high, uint32_t v)
{
    *r = high ? (uint32_t)*r | (uint64_t)v << 32 : (*r & ~UINT64_C(0xffffffff)) | v;
}

static void reg_write(struct nvme *n, unsigned off, uint32_t v)
{
    bool on = n->s.cc & NVME_CC_EN;

    switch (off) {
    case NVME_INTMS:
        n->s.intm |= v;
        nvme_interrupts(n);
        break;
    case NVME_INTMC:
        n->s.intm &= ~v;
        nvme_interrupts(n);
        break;
    case NVME_CC:
        cc_write(n, v);
        break;
    case NVME_AQA:
        n->s.aqa = on ? n->s.aqa : v & 0x0fff0fff;
        break;
    case NVME_ASQ:
    case NVME_ASQ + 4:
        if (!on)
            half(&n->s.asq, off & 4, v);
        break;
    case NVME_ACQ:
    case NVME_ACQ + 4:
        if (!on)
            half(&n->s.acq, off & 4, v);
        break;
    default:
        if (off >= NVME_DOORBELLS)
            doorbell(n, off, v);
    }
}

static uint32_t reg_read(const struct nvme *n, unsigned off)
{
    const uint64_t cap =
        (NVME_ENTRIES - 1) | NVME_CAP_CQR | (uint64_t)TIMEOUT << NVME_CAP_TO | NVME_CAP_CSS_NVM;

    switch (off) {
    case NVME_CAP:
        return (uint32_t)cap;
    case NVME_CAP + 4:
        return (uint32_t)(cap >> 32);
    case NVME_VS:
        return NVME_VERSION;
    case NVME_INTMS:
    case NVME_INTMC:
        return n->s.intm;
    case NVME_CC:
        return n->s.cc;
    case NVME_CSTS:
        return n->s.csts;
    case NVME_AQA:
        return n->s.aqa;
    case NVME_ASQ:
    case NVME_ASQ + 4:
        return (uint32_t)(n->s.asq >> 8 * (off & 4));
    case NVME_ACQ:
    case NVME_ACQ + 4:
        return (uint32_t)(n->s.acq >> 8 * (off & 4));
    default:
        return 0;
    }
}

static void nvme_io(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
                    uint64_t *val)
{
    struct nvme *n = (struct nvme *)d;
    unsigned at = (unsigned)off & ~3u;

    (void)region;
    if (dir == ACC_READ) {
        *val = (uint64_t)reg_read(n, at) >> 8 * (off & 3);
        if (size == 8)
            *val |= (uint64_t)reg_read(n, at + 4) << 32;
    } else if (size >= 4 && off % 4 == 0) {
        reg_write(n, at, (uint32_t)*val);
        if (size == 8 && at < NVME_DOORBELLS)
            reg_write(n, at + 4, (uint32_t)(*val >> 32));
    }
}

/* --- life --- */

static bool nvme_busy(void *arg)
{
    return ((const struct nvme *)arg)->flying;
}

/* Waits for what writes the guest's memory: a new kernel is loaded there next. */
static void nvme_reset(struct device *d)
{
    struct nvme *n = (struct nvme *)d;

    forget(n); /* nothing starts any more */
    loop_drain(d->env.loop, d->env.id, nvme_busy, n);
    memset(&n->s, 0, sizeof(n->s));
    features_begin(n);
    pci_intx(&n->pci, false);
}

static void nvme_destroy(struct device *d)
{
    struct nvme *n = (struct nvme *)d;

    forget(n); /* nothing starts any more */
    n->s.csts = 0;
    loop_drain(d->env.loop, d->env.id, nvme_busy, n);
    loop_forget(d->env.loop, &n->submit);
    for (unsigned i = 0; i < n->namespaces; i++)
        disk_close(n->ns[i].disk);
    pthread_mutex_destroy(&d->lock);
    free(n->request);
    free(n);
}

static void nvme_describe(struct device *d, struct dump *out)
{
    struct nvme *n = (struct nvme *)d;
    unsigned queues = 0;

    for (unsigned q = 1; q < NVME_QUEUES; q++)
        queues += n->s.sq[q].size != 0;
    dump_add(out, "namespaces", "%u", n->namespaces);
    dump_add(out, "queues", "%u, %s", queues,
             pci_msix_enabled(&n->pci) ? "MSI-X" : "one interrupt");
    dump_add(out, "commands", "%llu reads, %llu writes, %llu failed",
             (unsigned long long)n->count.reads, (unsigned long long)n->count.writes,
             (unsigned long long)n->count.errors);
}

static const struct device_ops nvme_ops = {
    .name = "nvme",
    .destroy = nvme_destroy,
    .reset = nvme_reset,
    .io = nvme_io,
    .describe = nvme_describe,
};

static int nvme_create(const struct env *env, const struct nvme_cfg *c, struct nvme **out,
                       struct err *e)
{
    static const struct pci_id usual = {0x1b36, 0x0010, 0x1af4, 0x1100, 0x01080202};
    struct nvme *n = calloc(1, sizeof(*n));
    int rc;

    if (n)
        n->request = calloc(NVME_REQUESTS, sizeof(*n->request));
    if (!n || !n->request) {
        free(n);
        return err_set(e, ENOMEM, "no memory for an NVMe controller");
    }
    n->submit.run = submit_all;
    n->wait_end = &n->waiting;
    for (unsigned i = 0; i < NVME_REQUESTS; i++) {
        n->request[i].ctl = n;
        give_back(&n->request[i]);
    }
    pci_init(&n->pci, &nvme_ops, env, c->pci.vendor ? &c->pci : &usual);
    n->pci.dev.env.id = "nvme";
    n->pci.bar[BAR_REGISTERS] = (struct pci_bar){.kind = PCI_BAR_MEM64, .size = BAR_SIZE};
    rc = pci_add_msix(&n->pci, BAR_MSIX, NVME_QUEUES, e);
    if (rc == 0)
        rc = pci_add_msi(&n->pci, 1, e);
    if (rc == 0)
        rc = pci_add(env->pci, &n->pci, -1, e);
    if (rc < 0) {
        pci_remove(&n->pci);
        nvme_destroy(&n->pci.dev);
        return rc;
    }
    nvme_reset(&n->pci.dev);
    *out = n;
    return 0;
}

int nvme_add(const struct env *env, struct nvme **n, const struct nvme_cfg *c, struct err *e)
{
    int rc = *n ? 0 : nvme_create(env, c, n, e);
    struct nvme_namespace *s;

    if (rc == 0 && (*n)->namespaces == NVME_NAMESPACES)
        rc =
            err_exit(e, EX_USAGE_, ENOSPC, "%s: all %d namespaces of the NVMe controller are taken",
                     c->id, NVME_NAMESPACES);
    if (rc < 0) {
        disk_close(c->disk);
        return rc;
    }
    s = &(*n)->ns[(*n)->namespaces++];
    s->disk = c->disk;
    s->shift = (unsigned)__builtin_ctz(c->disk->shape.logical);
    s->blocks = c->disk->shape.bytes >> s->shift;
    snprintf(s->serial, sizeof(s->serial), "%s%s", c->serial ? "" : "hospes-",
             c->serial ? c->serial : c->id);
    pci_boots(&(*n)->pci, c->id, "pci8086,5845", "namespace@%x,0", (*n)->namespaces);
    return 0;
}

bool nvme_grew(struct nvme *n, const struct disk *disk)
{
    bool told = false;

    for (unsigned i = 0; n && i < n->namespaces; i++) {
        struct nvme_namespace *s = &n->ns[i];

        if (s->disk != disk)
            continue;
        device_lock(&n->pci.dev);
        s->blocks = disk->shape.bytes >> s->shift;
        told = n->s.csts & NVME_CSTS_RDY && n->s.feature[NVME_FEAT_EVENTS] & NVME_NS_EVENTS;
        if (told) {
            n->s.changed |= UINT32_C(1) << i;
            nvme_event(n, EVENT_NOTICE, NAMESPACE_CHANGED, NVME_LOG_CHANGED);
            nvme_interrupts(n);
        }
        device_unlock(&n->pci.dev);
    }
    return told;
}
