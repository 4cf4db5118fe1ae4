/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rng.c - the virtio entropy device (VIRTIO 1.2, 5.4): random bytes from the host's kernel.
 *
 * Served on the vCPU that asks. One buffer gets at most RNG_MOST bytes, so that no guest can hold
 * its doorbell for long. Threads: vCPUs and the loop, under the device's lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "core/err.h"
#include "devices.h"

enum { RNG_RING = 64, RNG_MOST = 4096, RNG_BATCH = 16 };

static uint32_t rng_fill(const struct vq_chain *c)
{
    uint32_t done = 0;

    for (unsigned i = c->out; i < (unsigned)c->out + c->in && done < RNG_MOST; i++) {
        size_t want = min_u64(c->iov[i].iov_len, RNG_MOST - done);
        ssize_t got = getrandom(c->iov[i].iov_base, want, 0);

        if (got < 0)
            break;
        done += (uint32_t)got;
    }
    return done;
}

static void rng_kick(struct virtio *v, struct virtio_queue *q, bool on_loop)
{
    struct iovec iov[RNG_RING + 4];
    struct vq_chain c = {.iov = iov, .max = ARRAY_SIZE(iov)};
    unsigned n = 0;

    do {
        while (n < RNG_BATCH && virtio_pop(q, &c)) {
            vq_push(&q->vq, &c, rng_fill(&c));
            n++;
        }
        if (n == RNG_BATCH) {
            virtio_wake(q); /* the rest on the loop */
            break;
        }
    } while (v->running && vq_notify_on(&q->vq));
    virtio_flush(q);
}

static void rng_destroy(struct virtio *v)
{
    /* holds nothing */
}

static const struct virtio_class rng_class = {
    .ops = VIRTIO_DEVICE_OPS("virtio-rng"),
    .id = VIRTIO_ID_ENTROPY,
    .transitional_id = VIRTIO_PCI_DEVICE_ENTROPY,
    .pci_class = 0x00ff00,
    .serves_vcpu = true,
    .kick = rng_kick,
    .destroy = rng_destroy,
};

int rng_create(const struct env *env, const struct virtio_options *o, struct err *e)
{
    struct virtio *v = calloc(1, sizeof(*v));
    int rc;

    if (!v)
        return err_set(e, ENOMEM, "no memory for an entropy device");
    rc = virtio_init(v, &rng_class, env, 1, RNG_RING, o, e);
    if (rc == 0)
        rc = virtio_attach(v, o, e);
    if (rc < 0) {
        virtio_fini(v);
        free(v);
    }
    return rc;
}
