/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vbd_ring.c - block requests (Xen public/io/blkif.h, ring.h).
 *
 * Ring entries are copied before they are looked at; they may straddle the pages of a large ring.
 * The vCPU that sends the event serves it when the disk can answer at once; what would wait goes to
 * the loop. While many requests come at a time the front end is not asked for events (req_event
 * stays behind), and the ring is looked at: see bursts.h. Every request that was taken is answered
 * once, with OKAY, ERROR or EOPNOTSUPP; a ring whose producer leaves it is not served again until
 * the front end reconnects.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"
#include "core/bell.h"
#include "core/gmem.h"
#include "core/log.h"
#include "personas/xen/vbd_priv.h"

enum { OP_READ = 0, OP_WRITE = 1, OP_BARRIER = 2, OP_FLUSH = 3, OP_DISCARD = 5, OP_INDIRECT = 6 };
enum { RSP_OKAY = 0, RSP_ERROR = -1, RSP_EOPNOTSUPP = -2 };
enum { REQ_PROD = 0, REQ_EVENT = 4, RSP_PROD = 8, RSP_EVENT = 12 };
enum { SECTOR = 512, ENTRY_HEAD = 32 }; /* bytes: with the first segment */
/* Bytes that one event may move on the vCPU; what is left keeps the loop busy instead. */
enum { VCPU_BYTES = 512 << 10 };
enum { VBD_BATCH = 32 }; /* requests whose grants begin, and end, under one lock */

static void *ring_word(struct vbd_queue *q, unsigned off)
{
    return q->page[0] + off;
}

static size_t entry_at(const struct vbd_queue *q, uint32_t index)
{
    return VBD_RING_HEAD + (index & (q->entries - 1)) * q->entry_size;
}

/* Copies n bytes at `at` in or out, across pages. */
static void ring_copy(struct vbd_queue *q, size_t at, void *buf, size_t n, bool in)
{
    uint8_t *b = buf;

    while (n) {
        size_t len = (size_t)min_u64(n, VBD_PAGE - at % VBD_PAGE);
        uint8_t *p = q->page[at / VBD_PAGE] + at % VBD_PAGE;

        memcpy(in ? b : p, in ? p : b, len);
        b += len;
        at += len;
        n -= len;
    }
}

/* --- answers --- */

static inline void respond(struct vbd_queue *q, uint64_t id, uint8_t op, int status)
{
    size_t at = entry_at(q, q->rsp_prod++);
    uint64_t rest = op | (uint64_t)(uint16_t)status << 16;

    if (q->entry_size == VBD_ENTRY_64 && at % VBD_PAGE <= VBD_PAGE - 16) {
        uint8_t *p = q->page[at / VBD_PAGE] + at % VBD_PAGE;

        le64_put(p, id);
        le64_put(p + 8, rest);
    } else {
        uint8_t rsp[16];

        le64_put(rsp, id);
        le64_put(rsp + 8, rest);
        ring_copy(q, at, rsp, q->b->narrow ? 12 : 16, false);
    }
    if (status != RSP_OKAY)
        q->errors++;
}

/* Makes answers visible; tells the guest if it waits for one of them. */
static void push(struct vbd_queue *q)
{
    uint32_t old = shared_load32(ring_word(q, RSP_PROD)), event;

    if (old == q->rsp_prod)
        return;
    shared_store32(ring_word(q, RSP_PROD), q->rsp_prod);
    shared_barrier();
    event = shared_load32(ring_word(q, RSP_EVENT));
    if (q->rsp_prod - event < q->rsp_prod - old)
        evtchn_notify(q->b->d.x->ev, q->port);
}

/* A list of them by next, all of q. */
static void release(struct vbd_queue *q, struct vbd_req *list)
{
    struct grant_table *g = q->b->d.x->gr;
    struct vbd_req *next;

    if (!list)
        return;
    grant_lock(g);
    for (struct vbd_req *r = list; r; r = next) {
        next = r->next;
        for (unsigned i = 0; i < r->refs; i++)
            grant_end_locked(g, r->ref[i], r->writes_guest);
        r->refs = 0;
        r->next = q->spare;
        q->spare = r;
    }
    grant_unlock(g);
}

static int status_of(int res)
{
    return res == 0 ? RSP_OKAY : res == -EOPNOTSUPP ? RSP_EOPNOTSUPP : RSP_ERROR;
}

static void finished(struct vbd_queue *q, const struct vbd_req *r, int res)
{
    respond(q, r->id, r->op, status_of(res));
}

/* --- requests --- */

/* What parse() does not always set is as release() leaves it. */
static struct vbd_req *req_get(struct vbd_queue *q)
{
    struct vbd_req *r = q->spare;

    if (r) {
        q->spare = r->next;
        r->disk.len = 0;
        r->disk.iovcnt = 0;
    } else {
        r = calloc(1, sizeof(*r));
        if (!r)
            return NULL;
        r->q = q;
    }
    r->epoch = q->epoch;
    return r;
}

void vbd_waiting_drop(struct vbd_queue *q)
{
    pthread_mutex_lock(&q->lock);
    release(q, q->waiting);
    q->waiting = NULL;
    q->wait_end = &q->waiting;
    pthread_mutex_unlock(&q->lock);
}

void vbd_requests_free(struct vbd_queue *q)
{
    while (q->spare) {
        struct vbd_req *r = q->spare;

        q->spare = r->next;
        free(r);
    }
}

/* Pages that lie one after the other are one piece. */
static void add_piece(struct disk_req *d, struct iovec *iov, uint8_t *base, size_t len)
{
    struct iovec *last = d->iovcnt ? &iov[d->iovcnt - 1] : NULL;

    if (last && (uint8_t *)last->iov_base + last->iov_len == base)
        last->iov_len += len;
    else
        iov[d->iovcnt++] = (struct iovec){base, len};
    d->len += len;
}

/* Of {u32 gref, u8 first, u8 last, pad}: 512-byte sectors in a page. Under the lock of the grants,
 * as all that parses; what was begun is ended with the request. */
static int add_segments(struct vbd_req *r, const uint8_t *segs, unsigned n)
{
    struct grant_table *gr = r->q->b->d.x->gr;

    for (unsigned i = 0; i < n; i++) {
        const uint8_t *seg = segs + 8 * (size_t)i;
        unsigned off = seg[4] * SECTOR, len = (seg[5] - seg[4] + 1u) * SECTOR;
        struct granted g;

        if (seg[4] > seg[5] || seg[5] >= VBD_PAGE / SECTOR)
            return -EINVAL;
        r->ref[i] = le32_at(seg);
        g = grant_begin_locked(gr, r->ref[i], r->writes_guest);
        if (g.status != 0)
            return -EFAULT;
        r->refs = i + 1;
        if (off < g.off || off + len > (unsigned)g.off + g.len)
            return -EFAULT;
        add_piece(&r->disk, r->iov, g.page + off, len);
    }
    return 0;
}

static int add_direct(struct vbd_req *r, const uint8_t *segs, unsigned n)
{
    return n <= VBD_DIRECT_SEGMENTS ? add_segments(r, segs, n) : -EINVAL;
}

/* The segments lie in pages of their own, which are copied before they are believed. */
static int add_indirect(struct vbd_req *r, const uint8_t *refs, unsigned n)
{
    enum { PER_PAGE = VBD_PAGE / 8 };
    uint8_t list[VBD_SEGMENTS * 8];

    if (n == 0 || n > VBD_SEGMENTS)
        return -EINVAL;
    for (unsigned done = 0; done < n; done += PER_PAGE) {
        unsigned take = n - done < PER_PAGE ? n - done : PER_PAGE;
        uint32_t ref = le32_at(refs + 4 * (done / PER_PAGE));
        struct granted g = grant_begin_locked(r->q->b->d.x->gr, ref, false);

        if (g.status != 0)
            return -EFAULT;
        memcpy(list + done * 8, g.page, take * 8);
        grant_end_locked(r->q->b->d.x->gr, ref, false);
    }
    return add_segments(r, list, n);
}

static int set_transfer(struct vbd_req *r, uint8_t op, uint64_t sector)
{
    r->disk.op = op == OP_READ ? DISK_READ : DISK_WRITE;
    if (mul_overflows(sector, SECTOR, &r->disk.off))
        return -EINVAL;
    r->disk.iov = r->iov;
    return r->refs ? 0 : -EINVAL;
}

/* Fills r from a copied entry. 0, or -errno as the answer. */
static int parse(const struct vbd_queue *q, struct vbd_req *r, const uint8_t *e)
{
    unsigned w = q->entry_size == VBD_ENTRY_32 ? 4 : 8; /* where the fields after the head begin */
    uint64_t sector = le64_at(e + 2 * w + (w == 4 ? 4 : 0));
    unsigned after = 2 * w + (w == 4 ? 4 : 0) + 8;
    uint8_t inner;
    int rc;

    r->op = e[0];
    r->id = le64_at(e + w);
    switch (e[0]) {
    case OP_READ:
    case OP_WRITE:
        r->writes_guest = e[0] == OP_READ;
        rc = add_direct(r, e + after, e[1]);
        return rc < 0 ? rc : set_transfer(r, e[0], sector);
    case OP_INDIRECT:
        inner = e[1];
        if (inner != OP_READ && inner != OP_WRITE)
            return -EINVAL;
        r->op = inner; /* front ends want the answer to name what was done */
        r->writes_guest = inner == OP_READ;
        rc = add_indirect(r, e + after + 4, le16_at(e + 2));
        return rc < 0 ? rc : set_transfer(r, inner, sector);
    case OP_FLUSH:
        r->disk.op = DISK_FLUSH;
        return 0;
    case OP_DISCARD:
        r->disk.op = DISK_TRIM;
        if (mul_overflows(sector, SECTOR, &r->disk.off) ||
            mul_overflows(le64_at(e + after), SECTOR, &r->disk.len))
            return -EINVAL;
        return 0;
    default:
        return -EOPNOTSUPP;
    }
}

static void wake_loop(struct vbd_queue *q)
{
    bell_ring(q->kick.fd);
}

static void hand_to_loop(struct vbd_queue *q, struct vbd_req *r)
{
    bool first = !q->waiting;

    r->next = NULL;
    *q->wait_end = r;
    q->wait_end = &r->next;
    if (first)
        wake_loop(q);
}

static void take_entry(struct vbd_queue *q, uint8_t entry[VBD_ENTRY_64])
{
    size_t at = entry_at(q, q->req_cons++);
    const uint8_t *from = q->page[at / VBD_PAGE] + at % VBD_PAGE;

    if (at % VBD_PAGE > VBD_PAGE - VBD_ENTRY_64) {
        ring_copy(q, at, entry, q->entry_size, true);
        return;
    }
    /* Most have one segment. What is read too much is not looked at. */
    memcpy(entry, from, ENTRY_HEAD);
    if (entry[0] > OP_WRITE || entry[1] > 1)
        memcpy(entry + ENTRY_HEAD, from + ENTRY_HEAD, VBD_ENTRY_64 - ENTRY_HEAD);
}

/* The next entries of the ring before `prod`, some of them, by next and in order. */
static struct vbd_req *gather(struct vbd_queue *q, uint32_t prod)
{
    struct grant_table *g = q->b->d.x->gr;
    struct vbd_req *first = NULL, **end = &first;
    uint8_t entry[VBD_ENTRY_64];
    uint32_t from = q->req_cons;
    uint64_t bytes = 0;

    grant_lock(g);
    for (unsigned n = 0; n < VBD_BATCH && q->req_cons != prod && bytes < VCPU_BYTES; n++) {
        struct vbd_req *r = req_get(q);

        take_entry(q, entry);
        if (!r) { /* the id is all that an answer needs */
            respond(q, le64_at(entry + (q->b->narrow ? 4 : 8)), entry[0], RSP_ERROR);
            continue;
        }
        r->rc = parse(q, r, entry);
        bytes += r->disk.len;
        *end = r;
        end = &r->next;
    }
    *end = NULL;
    grant_unlock(g);
    q->requests += q->req_cons - from;
    return first;
}

/* Does at once what can be. The bytes that were moved. */
static uint64_t start(struct vbd_queue *q, struct vbd_req *list)
{
    struct vbd_req *next, *done = NULL;
    struct disk *disk = q->b->disk;
    uint64_t moved = 0, inlined = 0;

    for (struct vbd_req *r = list; r; r = next) {
        int rc = r->rc;

        next = r->next;
        if (rc == 0) {
            rc = disk_try(disk, &r->disk);
            if (rc == -EAGAIN) {
                hand_to_loop(q, r);
                continue;
            }
            inlined++;
            moved += r->disk.len;
        }
        finished(q, r, rc);
        r->next = done;
        done = r;
    }
    q->inlined += inlined;
    release(q, done);
    return moved;
}

/* Takes what was in the ring when it was looked at. How many requests that were. An entry is free
 * again when it has been answered: without that a guest could have us hold requests without end
 * while the disk is slow. */
static unsigned take(struct vbd_queue *q, uint64_t *moved)
{
    uint32_t prod = shared_load32(ring_word(q, REQ_PROD)), from = q->req_cons;

    if (prod - from > q->entries || prod - q->rsp_prod > q->entries) {
        log_line(LOG_WARN, "xen-vbd", "%u: the request ring's producer is outside the ring",
                 q->b->d.id);
        q->broken = true;
        return 0;
    }
    while (q->req_cons != prod && *moved < VCPU_BYTES)
        *moved += start(q, gather(q, prod));
    return q->req_cons - from;
}

/* The front end is asked for an event. true: there is more already, and it may not have seen
 * that. */
static bool want_event(struct vbd_queue *q)
{
    shared_store32(ring_word(q, REQ_EVENT), q->req_cons + 1);
    shared_barrier();
    return shared_load32(ring_word(q, REQ_PROD)) != q->req_cons;
}

static void watch_ring(struct vbd_queue *q)
{
    bursts_wait(&q->bursts, ring_word(q, REQ_PROD), q->req_cons);
}

void vbd_serve(struct vbd_queue *q)
{
    uint64_t moved = 0;
    unsigned n = 0;

    if (!q->up || q->broken)
        return;
    do {
        n += take(q, &moved);
        if (q->broken)
            return;
        push(q);
        if (moved >= VCPU_BYTES || n > q->entries) {
            q->again = true;
            wake_loop(q);
            break;
        }
        if (q->bursts.on) {
            watch_ring(q);
            break;
        }
    } while (want_event(q));
    if (q->bursts.on && n)
        bursts_count(&q->bursts, n);
}

void vbd_sent(void *arg)
{
    struct vbd_queue *q = arg;

    pthread_mutex_lock(&q->lock);
    if (q->up && !q->broken && !q->again) {
        if (bursts_due(&q->bursts))
            watch_ring(q);
        else
            vbd_serve(q);
    }
    pthread_mutex_unlock(&q->lock);
}

/* --- the loop's side --- */

static void request_done(struct disk_req *d, int res)
{
    struct vbd_req *r = container_of(d, struct vbd_req, disk);
    struct vbd_queue *q = r->q;

    pthread_mutex_lock(&q->lock);
    if (q->up && !q->broken && r->epoch == q->epoch) {
        finished(q, r, res);
        if (!q->answering)
            loop_arm(q->b->d.x->p.env.dev.loop, &q->answer, 0);
        q->answering = true;
    }
    r->next = NULL;
    release(q, r);
    pthread_mutex_unlock(&q->lock);
}

void vbd_answer(struct alarm *a)
{
    struct vbd_queue *q = container_of(a, struct vbd_queue, answer);

    pthread_mutex_lock(&q->lock);
    q->answering = false;
    if (q->up && !q->broken)
        push(q);
    pthread_mutex_unlock(&q->lock);
}

void vbd_polled(void *arg, bool news)
{
    struct vbd_queue *q = arg;

    pthread_mutex_lock(&q->lock);
    if (news)
        bursts_news(&q->bursts);
    if (q->up && !q->broken && !q->again && (news || want_event(q)))
        vbd_serve(q);
    pthread_mutex_unlock(&q->lock);
}

void vbd_kicked(struct watch *w, uint32_t got)
{
    struct vbd_queue *q = container_of(w, struct vbd_queue, kick);
    struct vbd_req *r, *next;

    bell_take(w->fd);
    (void)got;
    pthread_mutex_lock(&q->lock);
    if (q->again) {
        q->again = false;
        vbd_serve(q);
    }
    r = q->waiting;
    q->waiting = NULL;
    q->wait_end = &q->waiting;
    pthread_mutex_unlock(&q->lock);
    for (; r; r = next) {
        next = r->next;
        r->disk.done = request_done;
        disk_submit(q->b->disk, &r->disk);
    }
}
