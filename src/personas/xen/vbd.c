/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vbd.c - Xen's block back end: what it offers, and how a front end connects.
 *
 * Document: Xen public/io/blkif.h. Modelled: several queues, rings of several pages, indirect
 * segments, flush, discard, both widths, CD-ROM as device type. Persistent grants are offered on
 * request only (option persistent): mapping costs nothing here, while they make the guest copy.
 * Not modelled: write barriers, secure discard.
 */
#include "personas/xen/vbd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/bell.h"
#include "core/cfg.h"
#include "core/err.h"
#include "personas/xen/vbd_priv.h"
#include "storage/letters.h"

enum { RING_ORDER = 4, VDISK_CDROM = 1, VDISK_READONLY = 4 };

static struct vbd *vbd_of(struct xenbus_dev *d)
{
    return container_of(d, struct vbd, d);
}

/* xvda, xvdb: what a domain's configuration would have said. */
static void write_name(struct vbd *b)
{
    char letters[LETTERS_ROOM];

    letters_of(b->n, letters);
    xenbus_write(&b->d, "dev", "xvd%s", letters);
}

/* For drivers that look at what only the toolstack and the back end need. */
static void toolstack_keys(struct vbd *b)
{
    write_name(b);
    xenbus_write(&b->d, "type", "qdisk");
    xenbus_write(&b->d, "device-type", "%s", b->cdrom ? "cdrom" : "disk");
    xenbus_write(&b->d, "removable", "%d", b->cdrom);
    xenbus_write(&b->d, "bootable", "1");
}

static void vbd_offer(struct xenbus_dev *d)
{
    struct vbd *b = vbd_of(d);
    const struct disk_shape *s = &b->disk->shape;
    char path[128];

    toolstack_keys(b);
    snprintf(path, sizeof(path), "%s/virtual-device", d->front);
    (void)xs_put(d->x->store, path, "%u", d->id);
    snprintf(path, sizeof(path), "%s/device-type", d->front);
    (void)xs_put(d->x->store, path, "%s", b->cdrom ? "cdrom" : "disk");
    xenbus_write(d, "mode", "%s", s->readonly ? "r" : "w");
    xenbus_write(d, "sectors", "%llu", (unsigned long long)(s->bytes / 512));
    xenbus_write(d, "sector-size", "%u", s->logical);
    xenbus_write(d, "physical-sector-size", "%u", s->physical);
    xenbus_write(d, "info", "%u",
                 (b->cdrom ? VDISK_CDROM : 0) | (s->readonly ? VDISK_READONLY : 0));
    xenbus_write(d, "feature-flush-cache", "1");
    xenbus_write(d, "feature-barrier", "0");
    xenbus_write(d, "feature-persistent", "%d", b->persistent);
    xenbus_write(d, "feature-max-indirect-segments", "%d", VBD_SEGMENTS);
    xenbus_write(d, "max-ring-page-order", "%d", RING_ORDER);
    xenbus_write(d, "multi-queue-max-queues", "%u", b->queues);
    if (s->trims && !s->readonly) {
        xenbus_write(d, "feature-discard", "1");
        xenbus_write(d, "discard-granularity", "%u", s->physical);
        xenbus_write(d, "discard-alignment", "0");
        xenbus_write(d, "discard-secure", "0");
    }
}

/* --- connecting --- */

static void queue_down(struct vbd_queue *q)
{
    struct xen *x = q->b->d.x;

    pthread_mutex_lock(&q->lock);
    if (q->up) {
        evtchn_unbind(x->ev, q->port, q);
        for (unsigned i = 0; i < q->pages; i++)
            grant_end(x->gr, q->ring_ref[i], true);
    }
    bursts_close(&q->bursts);
    q->up = q->broken = q->again = false;
    q->epoch++;
    q->pages = 0;
    pthread_mutex_unlock(&q->lock);
}

static void vbd_disconnect(struct xenbus_dev *d)
{
    struct vbd *b = vbd_of(d);

    for (unsigned i = 0; i < VBD_QUEUES; i++)
        queue_down(&b->q[i]);
}

static bool vbd_busy(void *arg)
{
    return ((const struct disk *)arg)->inflight;
}

/* A reset gives the guest's memory to what comes next: nothing may be read into it then, nor what
 * is found there be written. */
static void vbd_drain(struct xenbus_dev *d)
{
    struct vbd *b = vbd_of(d);

    for (unsigned i = 0; i < VBD_QUEUES; i++)
        vbd_waiting_drop(&b->q[i]);
    loop_drain(d->x->p.env.dev.loop, b->disk->path ? b->disk->path : "vbd", vbd_busy, b->disk);
}

static int map_ring(struct vbd_queue *q)
{
    struct xen *x = q->b->d.x;
    struct granted g;

    for (unsigned i = 0; i < q->pages; i++) {
        if (grant_begin(x->gr, q->ring_ref[i], true, &g) != 0 || g.len != VBD_PAGE) {
            for (unsigned k = 0; k < i; k++)
                grant_end(x->gr, q->ring_ref[k], true);
            return -EFAULT;
        }
        q->page[i] = g.page;
    }
    return 0;
}

static unsigned largest_pow2(unsigned n)
{
    return n ? 1u << (31 - __builtin_clz(n)) : 0;
}

/* prefix is "" or "queue-N/". */
static int queue_up(struct vbd_queue *q, const char *prefix, unsigned order)
{
    struct xenbus_dev *d = &q->b->d;
    char key[64];
    int rc;

    q->pages = 1u << order;
    for (unsigned i = 0; i < q->pages; i++) {
        if (q->pages == 1 && order == 0)
            snprintf(key, sizeof(key), "%sring-ref", prefix);
        else
            snprintf(key, sizeof(key), "%sring-ref%u", prefix, i);
        q->ring_ref[i] = (uint32_t)xenbus_read(d, key, UINT32_MAX);
    }
    if (q->ring_ref[0] == UINT32_MAX && order == 0) { /* one page under its long name */
        snprintf(key, sizeof(key), "%sring-ref0", prefix);
        q->ring_ref[0] = (uint32_t)xenbus_read(d, key, UINT32_MAX);
    }
    snprintf(key, sizeof(key), "%sevent-channel", prefix);
    q->port = (unsigned)xenbus_read(d, key, 0);
    rc = map_ring(q);
    if (rc < 0) {
        q->pages = 0;
        return rc;
    }
    q->entry_size = q->b->narrow ? VBD_ENTRY_32 : VBD_ENTRY_64;
    q->entries = largest_pow2((q->pages * VBD_PAGE - VBD_RING_HEAD) / (unsigned)q->entry_size);
    q->req_cons = q->rsp_prod = 0;
    q->broken = false;
    rc = evtchn_bind(d->x->ev, q->port, vbd_sent, q, -1);
    if (rc < 0) {
        for (unsigned i = 0; i < q->pages; i++)
            grant_end(d->x->gr, q->ring_ref[i], true);
        q->pages = 0;
        return rc;
    }
    pthread_mutex_lock(&q->lock);
    bursts_open(&q->bursts, d->x->p.env.dev.loop, xen_poller(d->x), vbd_polled, q);
    q->up = true;
    vbd_serve(q); /* what was written before the channel was bound */
    pthread_mutex_unlock(&q->lock);
    return 0;
}

static int vbd_connect(struct xenbus_dev *d)
{
    struct vbd *b = vbd_of(d);
    uint64_t queues = xenbus_read(d, "multi-queue-num-queues", 1);
    uint64_t order = xenbus_read(d, "ring-page-order", 0);
    char protocol[32] = "", prefix[16] = "";
    int rc = 0;

    if (queues == 0 || queues > b->queues || order > RING_ORDER)
        return -EINVAL;
    b->narrow = xenbus_read_text(d, "protocol", protocol, sizeof(protocol))
                    ? strcmp(protocol, "x86_32-abi") == 0
                    : !d->x->longmode;
    for (unsigned i = 0; i < queues && rc == 0; i++) {
        if (queues > 1)
            snprintf(prefix, sizeof(prefix), "queue-%u/", i);
        rc = queue_up(&b->q[i], prefix, (unsigned)order);
    }
    return rc;
}

/* --- life --- */

static void vbd_destroy(struct xenbus_dev *d)
{
    struct vbd *b = vbd_of(d);

    for (unsigned i = 0; i < VBD_QUEUES; i++) {
        struct vbd_queue *q = &b->q[i];

        if (q->kick.fd >= 0) {
            vbd_kicked(&q->kick, 0); /* nothing may wait any more */
            loop_unwatch(d->x->p.env.dev.loop, &q->kick);
            close(q->kick.fd);
        }
    }
    disk_close(b->disk); /* waits for requests in flight */
    for (unsigned i = 0; i < VBD_QUEUES; i++) {
        loop_disarm(d->x->p.env.dev.loop, &b->q[i].answer);
        vbd_requests_free(&b->q[i]);
        pthread_mutex_destroy(&b->q[i].lock);
    }
    free(b);
}

static void vbd_describe(struct xenbus_dev *d, struct dump *out)
{
    struct vbd *b = vbd_of(d);
    uint64_t requests = 0, inlined = 0, errors = 0;
    unsigned up = 0;
    char key[48];

    for (unsigned i = 0; i < VBD_QUEUES; i++) {
        struct vbd_queue *q = &b->q[i];

        pthread_mutex_lock(&q->lock);
        up += q->up;
        requests += q->requests;
        inlined += q->inlined;
        errors += q->errors;
        pthread_mutex_unlock(&q->lock);
    }
    snprintf(key, sizeof(key), "vbd %u queues", d->id);
    dump_add(out, key, "%u", up);
    snprintf(key, sizeof(key), "vbd %u events", d->id);
    dump_add(out, key, "%s", b->q[0].bursts.on ? "spared, the ring is looked at" : "wanted");
    snprintf(key, sizeof(key), "vbd %u requests", d->id);
    dump_add(out, key, "%llu, %llu on the vCPU, %llu failed", (unsigned long long)requests,
             (unsigned long long)inlined, (unsigned long long)errors);
}

static const struct xenbus_ops vbd_ops = {
    .class = "vbd",
    .offer = vbd_offer,
    .connect = vbd_connect,
    .disconnect = vbd_disconnect,
    .drain = vbd_drain,
    .destroy = vbd_destroy,
    .describe = vbd_describe,
};

static int queue_init(struct vbd *b, struct vbd_queue *q, struct loop *l, struct err *e)
{
    int rc;

    q->b = b;
    q->wait_end = &q->waiting;
    pthread_mutex_init(&q->lock, NULL);
    q->answer.fire = vbd_answer;
    q->kick = (struct watch){.want = EPOLLIN, .ready = vbd_kicked};
    q->kick.fd = bell_make();
    if (q->kick.fd < 0)
        return err_set(e, errno, "cannot make an eventfd for a Xen disk: %s", strerror(errno));
    rc = loop_watch(l, &q->kick);
    return rc < 0 ? err_set(e, -rc, "cannot watch a Xen disk's doorbell: %s", strerror(-rc)) : 0;
}

int vbd_add(struct xen *x, const struct disk_spec *s, unsigned n, struct err *e)
{
    struct vbd *b = calloc(1, sizeof(*b));
    unsigned id = n < 16 ? 51712 + 16 * n : 1u << 28 | n << 8;
    int rc = 0;

    if (!b)
        return err_set(e, ENOMEM, "no memory for %s", s->id);
    b->d.ops = &vbd_ops;
    b->d.x = x;
    b->n = n;
    b->cdrom = s->cdrom;
    b->persistent = s->opts && cfg_flag(s->opts, "persistent");
    b->queues = s->queues ? s->queues : (unsigned)min_u64(x->p.env.cpus, 4);
    if (b->queues > VBD_QUEUES)
        b->queues = VBD_QUEUES;
    b->disk = s->disk;
    for (unsigned i = 0; i < VBD_QUEUES; i++)
        b->q[i].kick.fd = -1;
    for (unsigned i = 0; i < VBD_QUEUES && rc == 0; i++)
        rc = queue_init(b, &b->q[i], x->p.env.dev.loop, e);
    if (rc == 0)
        rc = xenbus_add(x, &b->d, id, e);
    if (rc < 0) {
        b->disk = NULL; /* stays the caller's */
        vbd_destroy(&b->d);
    }
    return rc;
}

bool vbd_grew(struct xen *x, const struct disk *disk)
{
    for (struct xenbus_dev *d = xenbus_first(x); d; d = d->next) {
        if (d->ops != &vbd_ops || vbd_of(d)->disk != disk)
            continue;
        xenbus_write(d, "sectors", "%llu", (unsigned long long)(disk->shape.bytes / 512));
        xenbus_again(d);
        xenstore_run(x->store); /* no event is under way that would */
        return d->state == XenbusStateConnected;
    }
    return false;
}
