/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blk.c - the virtio block device (VIRTIO 1.2, 5.2) in front of a disk.
 *
 * A request is tried on the vCPU that rang the doorbell, for as long as disk_try() mostly succeeds:
 * no thread switch, one exit, one interrupt. What cannot be done at once goes to the loop and from
 * there to the disk. When most tries fail, an ioeventfd takes the doorbell over and the loop serves
 * the queue alone, trying now and then whether the data has become quick to reach.
 *
 * Not modelled: SCSI passthrough (legacy), secure erase, lifetime, zoned devices, and more than one
 * range per discard or write-zeroes request. Threads: vCPUs and the loop, under the device's lock.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/virtio_blk.h"
#include "core/err.h"
#include "core/iov.h"
#include "devices.h"
#include "storage/disk.h"

enum {
    BLK_RING = 256,
    BLK_SLOTS = BLK_RING + 1, /* one more than can be in flight: a pop always has room */
    BLK_SEG_MAX = BLK_RING - 2,
    BLK_IOV = BLK_RING + 4, /* a piece more for each border between memory regions */
    BLK_ZERO_SECTORS = 1 << 22,
    /* Bytes that one doorbell may move on the vCPU; what is left keeps the loop busy instead. */
    BLK_VCPU_BYTES = 512 << 10,
    /* A verdict on disk_try() falls after so many tries. */
    BLK_WINDOW = 32,
    BLK_PROBE = 64, /* on the loop, one request in so many is tried */
};

struct blk_req {
    struct disk_req r; /* first */
    struct vq_chain c;
    struct virtio_queue *q;
    uint8_t *status;   /* in guest memory */
    uint32_t in_bytes; /* what the driver's buffer will hold, without the status */
    struct iovec iov[BLK_IOV];
};

struct blk_queue {
    struct blk_req *slab;
    uint16_t free[BLK_SLOTS]; /* a stack, so that few slots are ever touched */
    unsigned nfree;
    struct disk_req *waiting, **tail; /* refused by disk_try(), for the loop to submit */
    unsigned tries, hits, count;
    bool dirty; /* pushed and not flushed */
};

struct blk {
    struct virtio v; /* first */
    struct disk *disk;
    struct disk_shape shape;
    char serial[VIRTIO_BLK_ID_BYTES];
    bool write_through;
    bool loop_only; /* the ioeventfds are there */
    bool flushing;
    struct alarm flush; /* completions of one round of the loop share an interrupt */
    struct blk_queue *bq;
};

static struct blk *blk_of(struct virtio *v)
{
    return container_of(v, struct blk, v);
}

/* --- completion --- */

static uint8_t blk_status(int res)
{
    if (res == 0)
        return VIRTIO_BLK_S_OK;
    return res == -ENOTSUP ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
}

static void blk_finish(struct blk_queue *bq, struct blk_req *r, uint8_t status)
{
    *r->status = status;
    vq_push(&r->q->vq, &r->c, (status == VIRTIO_BLK_S_OK ? r->in_bytes : 0) + 1);
    bq->free[bq->nfree++] = (uint16_t)(r - bq->slab);
}

static void blk_done(struct disk_req *dr, int res)
{
    struct blk_req *r = container_of(dr, struct blk_req, r);
    struct virtio_queue *q = r->q;
    struct blk *b = blk_of(q->dev);
    struct blk_queue *bq = &b->bq[q->index];

    device_lock(&b->v.pci.dev);
    blk_finish(bq, r, blk_status(res));
    bq->dirty = true;
    if (!b->flushing) {
        b->flushing = true;
        loop_arm(b->v.pci.dev.env.loop, &b->flush, 0);
    }
    virtio_release(&b->v, q);
    device_unlock(&b->v.pci.dev);
}

static void blk_flush(struct alarm *a)
{
    struct blk *b = container_of(a, struct blk, flush);

    device_lock(&b->v.pci.dev);
    b->flushing = false;
    for (unsigned i = 0; i < b->v.queues; i++) {
        if (!b->bq[i].dirty)
            continue;
        b->bq[i].dirty = false;
        virtio_flush(&b->v.q[i]);
    }
    device_unlock(&b->v.pci.dev);
}

/* --- decoding --- */

enum blk_next { BLK_REFUSED, BLK_DISK, BLK_ANSWERED };

static enum blk_next blk_get_id(struct blk *b, struct blk_req *r, uint8_t *status)
{
    size_t n = min_u64(r->c.in_len - 1, sizeof(b->serial));

    r->in_bytes = (uint32_t)iov_write(r->c.iov + r->c.out, r->c.in, 0, b->serial, n);
    *status = VIRTIO_BLK_S_OK;
    return BLK_ANSWERED;
}

static enum blk_next blk_rw(struct blk *b, struct blk_req *r, uint64_t sector, bool write,
                            uint8_t *status)
{
    struct vq_chain *c = &r->c;
    uint64_t len = write ? c->out_len - sizeof(struct virtio_blk_req) : c->in_len - 1;

    r->in_bytes = write ? 0 : (uint32_t)len;
    *status = len % DISK_SECTOR || sector > UINT64_MAX / DISK_SECTOR ? VIRTIO_BLK_S_IOERR
                                                                     : VIRTIO_BLK_S_OK;
    if (len == 0 || *status != VIRTIO_BLK_S_OK)
        return BLK_ANSWERED;
    r->r = (struct disk_req){
        .op = write ? DISK_WRITE : DISK_READ,
        .fua = write && b->write_through,
        .off = sector * DISK_SECTOR,
        .len = len,
    };
    if (write) {
        unsigned used = iov_skip(c->iov, c->out, sizeof(struct virtio_blk_req));

        r->r.iov = c->iov + used;
        r->r.iovcnt = c->out - used;
    } else {
        r->r.iov = c->iov + c->out;
        r->r.iovcnt = iov_trim(r->r.iov, c->in, len);
    }
    return BLK_DISK;
}

static enum blk_next blk_range(struct blk *b, struct blk_req *r, bool zero, uint8_t *status)
{
    struct virtio_blk_discard_write_zeroes w;
    uint64_t feature = zero ? VIRTIO_BLK_F_WRITE_ZEROES : VIRTIO_BLK_F_DISCARD;
    uint64_t len, end;
    uint32_t flags;

    *status = VIRTIO_BLK_S_UNSUPP;
    if (!virtio_has(&b->v, feature) || r->c.out_len != sizeof(struct virtio_blk_req) + sizeof(w))
        return BLK_ANSWERED;
    iov_read(r->c.iov, r->c.out, sizeof(struct virtio_blk_req), &w, sizeof(w));
    flags = le32_get(w.flags);
    if (flags & ~(uint32_t)(zero ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0))
        return BLK_ANSWERED;
    *status = VIRTIO_BLK_S_IOERR;
    len = (uint64_t)le32_get(w.num_sectors) * DISK_SECTOR;
    if (le32_get(w.num_sectors) > BLK_ZERO_SECTORS ||
        mul_overflows(le64_get(w.sector), DISK_SECTOR, &end) || add_overflows(end, len, &end))
        return BLK_ANSWERED;
    r->r = (struct disk_req){
        .op = zero ? DISK_ZERO : DISK_TRIM,
        .fua = zero && b->write_through,
        .unmap = flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP,
        .off = le64_get(w.sector) * DISK_SECTOR,
        .len = len,
    };
    if (len)
        return BLK_DISK;
    *status = VIRTIO_BLK_S_OK;
    return BLK_ANSWERED;
}

/* Fills r->r for BLK_DISK, or *status for BLK_ANSWERED. */
static enum blk_next blk_decode(struct blk *b, struct blk_req *r, uint8_t *status)
{
    struct virtio_blk_req h;
    struct vq_chain *c = &r->c;
    struct iovec *last;

    if (c->out_len < sizeof(h) || c->in_len < 1)
        return BLK_REFUSED;
    iov_read(c->iov, c->out, 0, &h, sizeof(h));
    last = &c->iov[c->out + c->in - 1];
    r->status = (uint8_t *)last->iov_base + last->iov_len - 1;
    r->in_bytes = 0;
    switch (le32_get(h.type) & ~(uint32_t)VIRTIO_BLK_T_BARRIER) {
    case VIRTIO_BLK_T_IN:
        return blk_rw(b, r, le64_get(h.sector), false, status);
    case VIRTIO_BLK_T_OUT:
        return blk_rw(b, r, le64_get(h.sector), true, status);
    case VIRTIO_BLK_T_FLUSH:
        r->r = (struct disk_req){.op = DISK_FLUSH};
        return BLK_DISK;
    case VIRTIO_BLK_T_GET_ID:
        return blk_get_id(b, r, status);
    case VIRTIO_BLK_T_DISCARD:
        return blk_range(b, r, false, status);
    case VIRTIO_BLK_T_WRITE_ZEROES:
        return blk_range(b, r, true, status);
    default:
        *status = VIRTIO_BLK_S_UNSUPP;
        return BLK_ANSWERED;
    }
}

/* --- serving --- */

/* Looks back at BLK_WINDOW tries and moves the doorbell to where it costs less. */
static void blk_judge(struct blk *b, struct blk_queue *bq)
{
    bool mostly = bq->hits >= BLK_WINDOW / 2, nearly_all = bq->hits >= BLK_WINDOW * 7 / 8;

    bq->tries = bq->hits = 0;
    if (!b->loop_only && !mostly) {
        b->loop_only = true;
        for (unsigned i = 0; i < b->v.queues; i++) {
            if (b->v.q[i].vq.ready)
                virtio_doorbell_on(&b->v.q[i]);
        }
    } else if (b->loop_only && nearly_all) {
        b->loop_only = false;
        virtio_doorbells_off(&b->v);
    }
}

/* true: done already. */
static bool blk_try(struct blk *b, struct blk_queue *bq, struct blk_req *r)
{
    bool data = r->r.op == DISK_READ || r->r.op == DISK_WRITE;
    int res = disk_try(b->disk, &r->r);

    if (res != -EAGAIN)
        blk_finish(bq, r, blk_status(res));
    if (data) { /* a flush always waits and says nothing about where the data is */
        bq->tries++;
        bq->hits += res != -EAGAIN;
    }
    if (bq->tries == BLK_WINDOW)
        blk_judge(b, bq);
    return res != -EAGAIN;
}

/* Returns the bytes that moved at once. false with a broken request. */
static bool blk_serve_one(struct blk *b, struct blk_queue *bq, struct blk_req *r, bool on_loop,
                          uint64_t *moved)
{
    uint8_t status;
    uint64_t len;

    switch (blk_decode(b, r, &status)) {
    case BLK_REFUSED:
        virtio_break(&b->v, "a request is too short for its header or status");
        return false;
    case BLK_ANSWERED:
        blk_finish(bq, r, status);
        return true;
    case BLK_DISK:
        break;
    }
    len = r->r.len; /* r may be gone after a try */
    r->r.done = blk_done;
    r->r.owner = b;
    if ((!on_loop || bq->count++ % BLK_PROBE == 0) && blk_try(b, bq, r)) {
        *moved += len;
        return true;
    }
    virtio_hold(&b->v, r->q);
    if (on_loop) {
        disk_submit(b->disk, &r->r);
    } else {
        r->r.next = NULL;
        *bq->tail = &r->r;
        bq->tail = &r->r.next;
    }
    return true;
}

static void blk_submit_waiting(struct blk *b, struct blk_queue *bq)
{
    while (bq->waiting) {
        struct disk_req *r = bq->waiting;

        bq->waiting = r->next;
        if (!bq->waiting)
            bq->tail = &bq->waiting;
        disk_submit(b->disk, r);
    }
}

static void blk_kick(struct virtio *v, struct virtio_queue *q, bool on_loop)
{
    struct blk *b = blk_of(v);
    struct blk_queue *bq = &b->bq[q->index];
    uint64_t moved = 0;
    unsigned served = 0;
    bool more = true;

    if (on_loop)
        blk_submit_waiting(b, bq);
    vq_notify_off(&q->vq);
    while (more) {
        struct blk_req *r;

        if (served++ == 2 * BLK_RING || (!on_loop && moved >= BLK_VCPU_BYTES))
            break;
        r = &bq->slab[bq->free[bq->nfree - 1]];
        r->q = q;
        r->c.iov = r->iov;
        r->c.max = BLK_IOV;
        if (!virtio_pop(q, &r->c)) {
            more = v->running && vq_notify_on(&q->vq);
            continue;
        }
        bq->nfree--;
        if (!blk_serve_one(b, bq, r, on_loop, &moved))
            return;
    }
    virtio_flush(q);
    if (more || (!on_loop && bq->waiting))
        virtio_wake(q);
}

/* --- configuration --- */

static void blk_wce(struct blk *b)
{
    const struct virtio_blk_config *c = (const void *)b->v.config;

    b->write_through = !virtio_has(&b->v, VIRTIO_BLK_F_FLUSH) ||
                       (virtio_has(&b->v, VIRTIO_BLK_F_CONFIG_WCE) && !c->writeback);
}

static void blk_config_written(struct virtio *v, unsigned off, unsigned size)
{
    (void)off;
    (void)size;
    v->config[__builtin_offsetof(struct virtio_blk_config, writeback)] &= 1;
    blk_wce(blk_of(v));
}

static void blk_fill_config(struct blk *b, unsigned queues)
{
    struct virtio_blk_config *c = (void *)b->v.config;
    const struct disk_shape *s = &b->shape;
    uint64_t sectors = s->bytes / DISK_SECTOR, cylinders = disk_cylinders(sectors, 65535);
    uint32_t per_block = s->physical > s->logical ? s->physical / s->logical : 1;

    memset(c, 0, sizeof(*c));
    c->capacity = le64_of(sectors);
    c->seg_max = le32_of(BLK_SEG_MAX);
    c->geometry.cylinders = le16_of((uint16_t)cylinders);
    c->geometry.heads = 16;
    c->geometry.sectors = 63;
    c->blk_size = le32_of(s->logical);
    c->topology.physical_block_exp = (uint8_t)__builtin_ctz(per_block);
    c->topology.min_io_size = le16_of((uint16_t)per_block);
    c->writeback = 1;
    c->num_queues = le16_of((uint16_t)queues);
    c->max_discard_sectors = c->max_write_zeroes_sectors = le32_of(BLK_ZERO_SECTORS);
    c->max_discard_seg = c->max_write_zeroes_seg = le32_of(1);
    c->discard_sector_alignment =
        le32_of((s->physical > s->logical ? s->physical : s->logical) / DISK_SECTOR);
    c->write_zeroes_may_unmap = s->trims;
    b->v.config_len = sizeof(*c);
    b->v.config_mask[__builtin_offsetof(struct virtio_blk_config, writeback)] = 0xff;
}

static uint64_t blk_features(const struct blk *b, unsigned queues)
{
    uint64_t f = VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_GEOMETRY | VIRTIO_BLK_F_BLK_SIZE |
                 VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_TOPOLOGY | VIRTIO_BLK_F_CONFIG_WCE;

    if (queues > 1)
        f |= VIRTIO_BLK_F_MQ;
    if (b->shape.readonly)
        return f | VIRTIO_BLK_F_RO;
    return f | VIRTIO_BLK_F_WRITE_ZEROES | (b->shape.trims ? VIRTIO_BLK_F_DISCARD : 0);
}

/* --- life --- */

static void blk_start(struct virtio *v)
{
    struct blk *b = blk_of(v);

    b->loop_only = false;
    blk_wce(b);
}

/* What the loop has not submitted yet never will be. */
static void blk_stop_queue(struct virtio *v, struct virtio_queue *q)
{
    struct blk_queue *bq = &blk_of(v)->bq[q->index];

    while (bq->waiting) {
        struct blk_req *r = container_of(bq->waiting, struct blk_req, r);

        bq->waiting = r->r.next;
        bq->free[bq->nfree++] = (uint16_t)(r - bq->slab);
        virtio_release(v, q);
    }
    bq->tail = &bq->waiting;
    bq->tries = bq->hits = 0;
    bq->dirty = false;
}

static void blk_stop(struct virtio *v)
{
    virtio_hold(v, NULL); /* the reset must not end while the queues are being stopped */
    for (unsigned i = 0; i < v->queues; i++)
        blk_stop_queue(v, &v->q[i]);
    virtio_release(v, NULL);
}

static void blk_reset(struct virtio *v)
{
    v->config[__builtin_offsetof(struct virtio_blk_config, writeback)] = 1;
}

static void blk_free(struct blk *b)
{
    for (unsigned i = 0; b->bq && i < b->v.queues; i++) {
        if (b->bq[i].slab)
            munmap(b->bq[i].slab, BLK_SLOTS * sizeof(struct blk_req));
    }
    free(b->bq);
}

static void blk_destroy(struct virtio *v)
{
    struct blk *b = blk_of(v);

    loop_disarm(v->pci.dev.env.loop, &b->flush);
    disk_close(b->disk);
    blk_free(b);
}

static void blk_describe(struct virtio *v, struct dump *out)
{
    struct blk *b = blk_of(v);

    uint64_t requests = 0;

    for (size_t i = 0; i < ARRAY_SIZE(b->disk->stats.ops); i++)
        requests += b->disk->stats.ops[i];
    dump_add(out, "requests", "%llu", (unsigned long long)requests);
    dump_add(out, "served by", "%s", b->loop_only ? "the loop" : "the vCPU");
    dump_add(out, "capacity", "%llu bytes%s", (unsigned long long)b->shape.bytes,
             b->shape.readonly ? ", read-only" : "");
}

static const struct virtio_class blk_class = {
    .ops = VIRTIO_DEVICE_OPS("virtio-blk"),
    .id = VIRTIO_ID_BLOCK,
    .transitional_id = VIRTIO_PCI_DEVICE_BLOCK,
    .pci_class = 0x010000,
    .serves_vcpu = true,
    .start = blk_start,
    .stop = blk_stop,
    .stop_queue = blk_stop_queue,
    .kick = blk_kick,
    .reset = blk_reset,
    .config_written = blk_config_written,
    .destroy = blk_destroy,
    .describe = blk_describe,
};

/* Pages of a slab that no request ever used cost nothing, so no huge pages. */
static int blk_slabs(struct blk *b, unsigned queues, struct err *e)
{
    size_t bytes = BLK_SLOTS * sizeof(struct blk_req);

    b->bq = calloc(queues, sizeof(*b->bq));
    for (unsigned i = 0; i < queues; i++) {
        struct blk_queue *bq = b->bq ? &b->bq[i] : NULL;
        void *p = MAP_FAILED;

        if (bq)
            p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED)
            return err_set(e, ENOMEM, "%s: no memory for the requests of %u queues",
                           b->v.pci.dev.env.id, queues);
        madvise(p, bytes, MADV_NOHUGEPAGE);
        bq->slab = p;
        bq->tail = &bq->waiting;
        while (bq->nfree < BLK_SLOTS) {
            bq->free[bq->nfree] = (uint16_t)(BLK_SLOTS - 1 - bq->nfree);
            bq->nfree++;
        }
    }
    return 0;
}

int blk_create(const struct env *env, const struct virtio_options *o, const struct disk_spec *s,
               unsigned queues, struct err *e)
{
    struct blk *b = calloc(1, sizeof(*b));
    const char *serial;
    int rc;

    if (!b)
        return err_set(e, ENOMEM, "%s: no memory for a disk", env->id);
    b->disk = s->disk;
    b->flush.fire = blk_flush;
    serial = s->serial ? s->serial : env->id;
    memcpy(b->serial, serial, strnlen(serial, sizeof(b->serial)));
    disk_shape(s->disk, &b->shape);
    rc = virtio_init(&b->v, &blk_class, env, queues, BLK_RING, o, e);
    if (rc == 0)
        rc = blk_slabs(b, queues, e);
    if (rc == 0) {
        b->v.offered |= blk_features(b, queues);
        blk_fill_config(b, queues);
        rc = virtio_attach(&b->v, o, e);
    }
    if (rc == 0)
        pci_boots(&b->v.pci, env->id, "scsi", "disk@0,0");
    if (rc < 0) {
        virtio_fini(&b->v);
        blk_free(b);
        free(b);
    }
    return rc;
}

bool blk_grew(struct pci_dev *p, const struct disk *disk)
{
    struct virtio_blk_config *c;
    struct blk *b;

    if (p->dev.ops != &blk_class.ops)
        return false;
    b = blk_of(container_of(p, struct virtio, pci));
    if (b->disk != disk)
        return false;
    device_lock(&p->dev);
    disk_shape(disk, &b->shape);
    c = (void *)b->v.config;
    c->capacity = le64_of(b->shape.bytes / DISK_SECTOR);
    virtio_config_changed(&b->v);
    device_unlock(&p->dev);
    return true;
}
