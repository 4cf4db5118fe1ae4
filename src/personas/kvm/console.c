/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.c - the virtio console (VIRTIO 1.2, 5.3): one port, hvc0 in a Linux guest.
 *
 * Not modelled: multiple ports, resizing. Threads: the loop, under the device's lock; the emergency
 * write register is served on the vCPU.
 */
#include <errno.h>
#include <stdlib.h>

#include "abi/virtio_console.h"
#include "console/console.h"
#include "core/err.h"
#include "core/iov.h"
#include "devices.h"

enum {
    HVC_RING = 128,
    HVC_IOV = HVC_RING + 4,
    HVC_CHUNK = 4096,
    HVC_TURN = 64 << 10, /* bytes that are written before the loop does something else */
    HVC_RX = 0,
    HVC_TX = 1
};

struct hvc {
    struct virtio v; /* first */
    struct console *console;
    bool writing; /* tx, and tx_at bytes of it are out */
    struct vq_chain tx;
    struct iovec tx_iov[HVC_IOV];
    uint64_t tx_at;
};

static struct hvc *hvc_of(struct virtio *v)
{
    return container_of(v, struct hvc, v);
}

/* A part of tx; false: there is more of it. */
static bool hvc_write(struct hvc *h, size_t *left)
{
    uint8_t buf[HVC_CHUNK];

    while (h->tx_at < h->tx.out_len && *left) {
        size_t n = iov_read(h->tx.iov, h->tx.out, h->tx_at, buf, min_u64(sizeof(buf), *left));

        console_write(h->console, buf, n);
        h->tx_at += n;
        *left -= n;
    }
    return h->tx_at == h->tx.out_len;
}

static bool hvc_next(struct hvc *h, struct virtio_queue *q)
{
    if (h->writing)
        return true;
    h->tx.iov = h->tx_iov;
    h->tx.max = HVC_IOV;
    h->tx_at = 0;
    h->writing = virtio_pop(q, &h->tx);
    return h->writing;
}

static void hvc_tx(struct hvc *h, struct virtio_queue *q)
{
    size_t left = HVC_TURN;
    unsigned n = 0;

    do {
        while (n++ < HVC_RING && left && hvc_next(h, q)) {
            if (!hvc_write(h, &left))
                break;
            vq_push(&q->vq, &h->tx, 0);
            h->writing = false;
        }
        if (n > HVC_RING || !left) {
            virtio_wake(q);
            break;
        }
    } while (h->v.running && vq_notify_on(&q->vq));
    virtio_flush(q);
}

/* What was typed; on the loop. What is not taken waits in the console. */
static size_t hvc_take(void *arg, const uint8_t *p, size_t len)
{
    struct hvc *h = arg;
    struct virtio_queue *q = &h->v.q[HVC_RX];
    struct iovec iov[HVC_IOV];
    struct vq_chain c = {.iov = iov, .max = ARRAY_SIZE(iov)};
    size_t done = 0;
    unsigned popped = 0;

    device_lock(&h->v.pci.dev);
    while (done < len && h->v.running && q->vq.ready) {
        size_t n;

        if (popped++ == HVC_RING) { /* buffers without room, as fast as they are given back */
            virtio_wake(q);
            break;
        }
        if (!virtio_pop(q, &c)) {
            if (h->v.running && vq_notify_on(&q->vq))
                continue;
            break;
        }
        n = iov_write(c.iov + c.out, c.in, 0, p + done, len - done);
        vq_push(&q->vq, &c, (uint32_t)n);
        done += n;
    }
    virtio_flush(q);
    device_unlock(&h->v.pci.dev);
    return done;
}

static void hvc_more(struct hvc *h)
{
    /* It calls hvc_take(), which locks. */
    device_unlock(&h->v.pci.dev);
    console_more(h->console);
    device_lock(&h->v.pci.dev);
}

static void hvc_kick(struct virtio *v, struct virtio_queue *q, bool on_loop)
{
    if (q->index == HVC_TX)
        hvc_tx(hvc_of(v), q);
    else
        hvc_more(hvc_of(v));
}

static void hvc_config_written(struct virtio *v, unsigned off, unsigned size)
{
    struct virtio_console_config *c = (void *)v->config;
    uint8_t byte = (uint8_t)le32_get(c->emerg_wr);

    if (off == __builtin_offsetof(struct virtio_console_config, emerg_wr))
        console_write(hvc_of(v)->console, &byte, 1);
    c->emerg_wr = le32_of(0);
}

static void hvc_stop(struct virtio *v)
{
    hvc_of(v)->writing = false;
}

static void hvc_stop_queue(struct virtio *v, struct virtio_queue *q)
{
    if (q->index == HVC_TX)
        hvc_stop(v);
}

static void hvc_destroy(struct virtio *v)
{
    struct hvc *h = hvc_of(v);

    console_listen(h->console, NULL, NULL);
    console_close(h->console);
}

static const struct virtio_class hvc_class = {
    .ops = VIRTIO_DEVICE_OPS("virtio-console"),
    .id = VIRTIO_ID_CONSOLE,
    .transitional_id = VIRTIO_PCI_DEVICE_CONSOLE,
    .pci_class = 0x078000,
    .stop = hvc_stop,
    .stop_queue = hvc_stop_queue,
    .kick = hvc_kick,
    .config_written = hvc_config_written,
    .destroy = hvc_destroy,
};

int hvc_create(const struct env *env, const struct virtio_options *o, struct console *n,
               struct err *e)
{
    struct hvc *h = calloc(1, sizeof(*h));
    int rc;

    if (!h)
        return err_set(e, ENOMEM, "no memory for a console");
    h->console = n;
    rc = virtio_init(&h->v, &hvc_class, env, 2, HVC_RING, o, e);
    if (rc == 0) {
        h->v.offered |= VIRTIO_CONSOLE_F_EMERG_WRITE;
        h->v.config_len = sizeof(struct virtio_console_config);
        for (unsigned i = 0; i < 4; i++)
            h->v.config_mask[__builtin_offsetof(struct virtio_console_config, emerg_wr) + i] = 0xff;
        rc = virtio_attach(&h->v, o, e);
    }
    if (rc < 0) {
        virtio_fini(&h->v);
        free(h);
        return rc;
    }
    console_listen(n, hvc_take, h);
    return 0;
}
