/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio.c - device status, features, queues and resets (VIRTIO 1.2, 2.1 to 2.6 and 3.1).
 * See virtio.h for the threads.
 */
#define _GNU_SOURCE
#include "virtio.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "core/bell.h"
#include "core/err.h"

/* A loop that does not answer for so long is waiting for this vCPU: the machine is stopping. */
enum { LOOP_SILENCE_NS = 500000000 };

static struct virtio *virtio_of(struct device *d)
{
    return container_of(d, struct virtio, pci.dev);
}

/* --- interrupts --- */

static void interrupt(struct virtio *v, uint16_t vector, uint8_t isr)
{
    if (pci_msix_enabled(&v->pci)) {
        if (vector != VIRTIO_MSI_NO_VECTOR)
            pci_notify(&v->pci, vector);
        return;
    }
    v->isr |= isr;
    pci_intx(&v->pci, true);
}

void virtio_flush(struct virtio_queue *q)
{
    if (vq_flush(&q->vq))
        interrupt(q->dev, q->vector, VIRTIO_PCI_ISR_QUEUE);
}

void virtio_config_changed(struct virtio *v)
{
    v->generation++;
    if (v->status & VIRTIO_STATUS_DRIVER_OK || v->running)
        interrupt(v, v->config_vector, VIRTIO_PCI_ISR_CONFIG);
}

void virtio_break(struct virtio *v, const char *why)
{
    guest_fault(&v->pci.dev, "%s", why ? why : "the ring is broken");
    v->running = false;
    v->broken = true;
    if (v->legacy || v->status & VIRTIO_STATUS_DEVICE_NEEDS_RESET)
        return; /* a legacy driver has no such bit: its requests just never complete */
    v->status |= VIRTIO_STATUS_DEVICE_NEEDS_RESET;
    virtio_config_changed(v);
}

/* --- doorbells --- */

void virtio_wake(struct virtio_queue *q)
{
    bell_ring(q->fd);
}

void virtio_doorbell_on(struct virtio_queue *q)
{
    struct virtio *v = q->dev;

    if (q->doorbell || !v->pci.dev.env.pio)
        return;
    /* Failure is no error: io() serves the doorbell. */
    q->doorbell = bus_doorbell(v->pci.dev.env.pio, &v->pci.dev, 0, VIRTIO_PCI_QUEUE_NOTIFY, 2, true,
                               q->index, q->fd) == 0;
}

void virtio_doorbells_off(struct virtio *v)
{
    bool any = false;

    for (unsigned i = 0; i < v->queues; i++) {
        any |= v->q[i].doorbell;
        v->q[i].doorbell = false;
    }
    if (any)
        bus_doorbells_drop(v->pci.dev.env.pio, &v->pci.dev);
}

static void queue_woken(struct watch *w, uint32_t got)
{
    struct virtio_queue *q = container_of(w, struct virtio_queue, watch);
    struct virtio *v = q->dev;

    (void)got;
    bell_take(q->fd);
    device_lock(&v->pci.dev);
    if (v->running && q->vq.ready)
        v->cls->kick(v, q, true);
    device_unlock(&v->pci.dev);
}

static void start(struct virtio *v);

void virtio_kick(struct virtio *v, struct virtio_queue *q)
{
    /* quirk: legacy drivers use their queues from probe(), before DRIVER_OK (Linux before 2.6.39).
     */
    if (v->legacy && !v->running && v->status & VIRTIO_STATUS_DRIVER && !v->resetting &&
        !(v->status & (VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_FAILED)))
        start(v);
    if (!v->running || !q->vq.ready)
        return;
    if (v->cls->serves_vcpu)
        v->cls->kick(v, q, false);
    else
        virtio_wake(q);
}

/* --- start --- */

static void queue_start(struct virtio *v, struct virtio_queue *q)
{
    if (vq_start(&q->vq, v->pci.dev.env.mem, v->features) < 0) {
        virtio_break(v, q->vq.why);
        return;
    }
    if (!v->cls->serves_vcpu)
        virtio_doorbell_on(q);
}

static void start(struct virtio *v)
{
    if (v->broken)
        return; /* what it holds is still out, and belongs to the ring as it was */
    v->running = true;
    for (unsigned i = 0; i < v->queues && v->running; i++) {
        if (v->q[i].enabled)
            queue_start(v, &v->q[i]);
    }
    if (!v->running)
        return;
    if (v->cls->start)
        v->cls->start(v);
    for (unsigned i = 0; i < v->queues && v->running; i++) {
        if (v->q[i].vq.ready)
            virtio_wake(&v->q[i]); /* what came before is served by the loop */
    }
}

void virtio_queue_enable(struct virtio *v, struct virtio_queue *q)
{
    if (q->enabled || q->resetting)
        return;
    q->enabled = true;
    if (v->running)
        queue_start(v, q);
}

static bool features_ok(struct virtio *v)
{
    uint64_t f = v->features;

    if (f & ~v->offered || !(f & VIRTIO_F_VERSION_1)) {
        guest_fault(&v->pci.dev, "features %#llx were not offered", (unsigned long long)f);
        return false;
    }
    return !v->cls->features_fit || v->cls->features_fit(v, f);
}

/* --- reset --- */

static void queue_clear(struct virtio_queue *q)
{
    vq_stop(&q->vq);
    q->enabled = q->resetting = false;
    q->vector = VIRTIO_MSI_NO_VECTOR;
    q->vq.desc = q->vq.driver = q->vq.device = 0;
    q->vq.size = q->max;
}

static void reset_done(struct virtio *v)
{
    for (unsigned i = 0; i < v->queues; i++)
        queue_clear(&v->q[i]);
    v->features = 0;
    v->status = v->isr = 0;
    v->config_vector = VIRTIO_MSI_NO_VECTOR;
    v->queue_select = 0;
    v->device_feature_select = v->driver_feature_select = 0;
    v->legacy = v->broken = v->resetting = false;
    pci_intx(&v->pci, false);
    if (v->cls->reset)
        v->cls->reset(v);
}

static void reset_begin(struct virtio *v)
{
    bool was = v->status || v->running;

    if (v->resetting)
        return;
    v->running = false;
    v->resetting = true;
    virtio_doorbells_off(v);
    for (unsigned i = 0; i < v->queues; i++)
        vq_stop(&v->q[i].vq);
    if (was && v->cls->stop)
        v->cls->stop(v);
    if (v->held == 0 && v->resetting)
        reset_done(v);
}

void virtio_queue_reset(struct virtio *v, struct virtio_queue *q)
{
    if (!q->enabled || q->resetting)
        return;
    vq_stop(&q->vq);
    q->resetting = true;
    if (v->cls->stop_queue)
        v->cls->stop_queue(v, q);
    if (q->held == 0)
        queue_clear(q);
}

void virtio_hold(struct virtio *v, struct virtio_queue *q)
{
    v->held++;
    if (q)
        q->held++;
}

void virtio_release(struct virtio *v, struct virtio_queue *q)
{
    assert(v->held > 0);
    v->held--;
    if (q && --q->held == 0 && q->resetting && !v->resetting)
        queue_clear(q);
    if (v->held)
        return;
    if (v->resetting)
        reset_done(v);
    pthread_cond_broadcast(&v->idle);
}

static void ping(void *arg)
{
    struct virtio *v = arg;

    device_lock(&v->pci.dev);
    v->pinged = true;
    virtio_release(v, NULL);
    pthread_cond_broadcast(&v->idle);
    device_unlock(&v->pci.dev);
}

/* A drive may take its time, and the guest must not get its memory back before. But if the loop
 * itself waits for this vCPU, it will end the wait with a reset or a destroy; then go on, with the
 * device still in reset. */
void virtio_wait_idle(struct virtio *v)
{
    struct timespec until;

    while (v->held) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += LOOP_SILENCE_NS;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        v->pinged = false;
        virtio_hold(v, NULL); /* the ping's own, so that v outlives it */
        loop_post(v->pci.dev.env.loop, ping, v);
        while (v->held && !v->pinged) {
            if (pthread_cond_timedwait(&v->idle, &v->pci.dev.lock, &until) == ETIMEDOUT)
                return;
        }
        if (!v->held)
            return;
        /* The loop is alive: give the request until the next slice. */
        pthread_cond_timedwait(&v->idle, &v->pci.dev.lock, &until);
    }
}

void virtio_set_status(struct virtio *v, uint8_t status)
{
    uint8_t fresh = status & (uint8_t)~v->status;

    if (status == 0) {
        reset_begin(v);
        return;
    }
    if (v->resetting)
        return;
    if (fresh & VIRTIO_STATUS_FEATURES_OK && (v->legacy || !features_ok(v)))
        fresh &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
    v->status |= fresh & (uint8_t)~VIRTIO_STATUS_DEVICE_NEEDS_RESET;
    if (!(fresh & VIRTIO_STATUS_DRIVER_OK))
        return;
    if (!v->legacy && !(v->status & VIRTIO_STATUS_FEATURES_OK)) {
        v->status &= (uint8_t)~VIRTIO_STATUS_DRIVER_OK;
        virtio_break(v, "DRIVER_OK came before FEATURES_OK");
        return;
    }
    if (!v->running)
        start(v);
}

/* --- life --- */

/* Both run on the loop's thread with the vCPUs stopped. What is held completes through the loop. */
static bool busy(void *arg)
{
    return ((const struct virtio *)arg)->held;
}

void virtio_device_reset(struct device *d)
{
    struct virtio *v = virtio_of(d);

    device_lock(d);
    reset_begin(v);
    device_unlock(d);
    loop_drain(d->env.loop, d->env.id, busy, v);
    v->generation = 0;
}

void virtio_fini(struct virtio *v)
{
    for (unsigned i = 0; i < v->queues; i++) {
        struct virtio_queue *q = &v->q[i];

        loop_unwatch(v->pci.dev.env.loop, &q->watch);
        if (q->fd >= 0)
            close(q->fd);
    }
    pci_remove(&v->pci);
    free(v->q);
    pthread_cond_destroy(&v->idle);
}

void virtio_device_destroy(struct device *d)
{
    struct virtio *v = virtio_of(d);

    virtio_device_reset(d);
    v->cls->destroy(v);
    virtio_fini(v);
    free(v);
}

void virtio_device_describe(struct device *d, struct dump *out)
{
    struct virtio *v = virtio_of(d);

    dump_add(out, "driver", "%s%s, status %#x, features %#llx",
             v->running  ? "running"
             : v->status ? "stopped"
                         : "none",
             v->legacy ? " (legacy)" : "", v->status, (unsigned long long)v->features);
    for (unsigned i = 0; i < v->queues; i++) {
        const struct virtio_queue *q = &v->q[i];
        char key[32];

        snprintf(key, sizeof(key), "queue %u", i); /* a name for each: in JSON they are keys */
        if (q->vq.ready)
            dump_add(out, key, "%u entries, %s, %u in flight, doorbell %s", q->vq.size,
                     q->vq.packed ? "packed" : "split", q->vq.inflight,
                     q->doorbell ? "eventfd" : "exit");
    }
    if (v->cls->describe)
        v->cls->describe(v, out);
}

static int queue_init(struct virtio *v, unsigned i, uint16_t size, struct err *e)
{
    struct virtio_queue *q = &v->q[i];
    int rc;

    *q = (struct virtio_queue){.dev = v, .index = (uint16_t)i, .max = size};
    queue_clear(q);
    q->fd = bell_make();
    if (q->fd < 0)
        return err_set(e, errno,
                       "%s: cannot make an eventfd for a queue: %s; raise the limit on "
                       "open files",
                       v->pci.dev.env.id, strerror(errno));
    q->watch = (struct watch){.fd = q->fd, .want = EPOLLIN, .ready = queue_woken};
    rc = loop_watch(v->pci.dev.env.loop, &q->watch);
    return rc < 0
               ? err_set(e, -rc, "%s: cannot watch a queue: %s", v->pci.dev.env.id, strerror(-rc))
               : 0;
}

int virtio_init(struct virtio *v, const struct virtio_class *cls, const struct env *env,
                unsigned queues, uint16_t size, const struct virtio_options *o, struct err *e)
{
    bool modern = o->modern_only || !cls->transitional_id;
    struct pci_id id = {
        .vendor = VIRTIO_PCI_VENDOR,
        .device = modern ? (uint16_t)(VIRTIO_PCI_DEVICE_BASE + cls->id) : cls->transitional_id,
        .subvendor = VIRTIO_PCI_VENDOR,
        .subdevice = cls->id,
        .class_rev = cls->pci_class << 8 | modern,
    };
    pthread_condattr_t mono;
    int rc = 0;

    v->cls = cls;
    pci_init(&v->pci, &cls->ops, env, &id);
    snprintf(v->id, sizeof(v->id), "%s", env->id ? env->id : cls->ops.name);
    v->pci.dev.env.id = v->id;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&v->idle, &mono);
    v->config_vector = VIRTIO_MSI_NO_VECTOR;
    v->offered = VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_RING_RESET;
    if (!modern)
        v->offered |= VIRTIO_F_ANY_LAYOUT;
    if (o->indirect)
        v->offered |= VIRTIO_F_INDIRECT_DESC;
    if (o->packed)
        v->offered |= VIRTIO_F_RING_PACKED;
    v->q = calloc(queues, sizeof(*v->q));
    if (!v->q)
        return err_set(e, ENOMEM, "%s: no memory for %u queues", env->id, queues);
    for (; v->queues < queues && rc == 0; v->queues++)
        rc = queue_init(v, v->queues, size, e);
    return rc < 0 ? rc : virtio_pci_setup(v, o, e);
}

int virtio_attach(struct virtio *v, const struct virtio_options *o, struct err *e)
{
    int rc = o->rom ? pci_add_rom(&v->pci, o->rom, e) : 0;

    return rc < 0 ? rc : pci_add(v->pci.dev.env.pci, &v->pci, o->devfn, e);
}
