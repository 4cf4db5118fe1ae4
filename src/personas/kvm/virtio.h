/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio.h - what the virtio devices of this persona share: negotiation, queues, the PCI function.
 *
 * A model embeds `struct virtio` first, fills its class, its features and its configuration bytes,
 * and calls virtio_attach(). From then on it sees kicks, starts and stops; registers are
 * virtio_pci.c's.
 *
 * Threads: everything here runs under the device's lock, on a vCPU thread or on the loop, unless
 * said otherwise. A model that can only work on the loop leaves `serves_vcpu` false; its kick() is
 * then always called on the loop.
 *
 * Stopping: what a model hands to a back end is held with virtio_hold() and let go with
 * virtio_release(). A reset ends when nothing is held any more, and only then does the driver see
 * status 0: no request completes into memory that the driver has taken back.
 */
#ifndef HOSPES_PERSONAS_KVM_VIRTIO_H
#define HOSPES_PERSONAS_KVM_VIRTIO_H

#include "abi/virtio.h"
#include "board/pci.h"
#include "core/loop.h"
#include "personas/persona.h"
#include "ring.h"

enum { VIRTIO_CONFIG_BYTES = 64, VIRTIO_QUEUES_MAX = 64 };

struct virtio;

struct virtio_queue {
    struct vq vq;
    struct virtio *dev;
    uint16_t index, max; /* max: the largest size, fixed by the model */
    uint16_t vector;
    bool enabled;       /* by the driver */
    bool resetting;     /* queue_reset or a legacy release, waiting for `held` */
    bool doorbell;      /* an ioeventfd stands in front of io() */
    unsigned held;      /* chains that a back end still works on */
    int fd;             /* eventfd: wakes the loop for this queue */
    struct watch watch; /* on fd */
};

struct virtio_class {
    struct device_ops ops; /* VIRTIO_DEVICE_OPS("virtio-blk") */
    uint16_t id;           /* VIRTIO_ID_ */
    uint16_t transitional_id;
    uint32_t pci_class;
    bool serves_vcpu;
    /* The driver has said DRIVER_OK. Any thread. May be NULL. */
    void (*start)(struct virtio *v);
    /* Give back or drop what is not held, hand no more out; the rings are dead already. Any thread;
     * to act on the loop, hold the device, post, and release there. May be NULL. */
    void (*stop)(struct virtio *v);
    /* The same for one queue. May be NULL when nothing is ever kept. */
    void (*stop_queue)(struct virtio *v, struct virtio_queue *q);
    /* New buffers in q, which is ready. */
    void (*kick)(struct virtio *v, struct virtio_queue *q, bool on_loop);
    /* Power-on state of the model's own registers, at every reset. May be NULL. */
    void (*reset)(struct virtio *v);
    /* May the driver have these features together? May be NULL: all that are offered. */
    bool (*features_fit)(const struct virtio *v, uint64_t f);
    /* The driver changed config bytes [off, off+size) that config_mask lets it. May be NULL. */
    void (*config_written)(struct virtio *v, unsigned off, unsigned size);
    /* Frees the model's parts; nothing is held any more. The caller frees v itself. */
    void (*destroy)(struct virtio *v);
    void (*describe)(struct virtio *v, struct dump *out); /* may be NULL */
};

struct virtio {
    struct pci_dev pci; /* first */
    const struct virtio_class *cls;
    uint64_t offered; /* virtio_init() fills the shared bits, the model adds its own */

    uint64_t features;
    uint8_t config[VIRTIO_CONFIG_BYTES];
    uint8_t config_mask[VIRTIO_CONFIG_BYTES]; /* what the driver may write */
    unsigned config_len;

    /* Registers; cleared at reset. */
    uint8_t status, isr, generation;
    uint16_t config_vector, queue_select;
    uint32_t device_feature_select, driver_feature_select;
    bool legacy;  /* the driver speaks through the legacy header */
    bool running; /* DRIVER_OK, not broken, not resetting */
    bool broken;  /* virtio_break(): nothing runs until the reset is done */
    bool resetting;

    unsigned held; /* all queues' held, and more */
    pthread_cond_t idle;
    bool pinged;
    unsigned cfg_cap; /* offset of the PCI configuration access capability */
    unsigned queues;
    struct virtio_queue *q;
    char id[32]; /* env.id */
};

/* How a device of this persona is made, from the persona's and the device's options. */
struct virtio_options {
    bool modern_only, packed, indirect;
    int devfn;       /* -1: the first free slot */
    const char *rom; /* see pci_add_rom(); NULL: none */
};

/* v is zeroed but for what the model filled: nothing. Queues get their eventfds here. */
MUST int virtio_init(struct virtio *v, const struct virtio_class *cls, const struct env *env,
                     unsigned queues, uint16_t size, const struct virtio_options *o, struct err *e);
/* Puts v on the bus, which owns it from here on. On failure v is still the caller's. */
MUST int virtio_attach(struct virtio *v, const struct virtio_options *o, struct err *e);
/* Undoes virtio_init(); not for a device on the bus. */
void virtio_fini(struct virtio *v);

/* Publishes what was pushed to q and interrupts if the driver wants that. */
void virtio_flush(struct virtio_queue *q);
/* The model changed v->config. */
void virtio_config_changed(struct virtio *v);
/* The driver broke the rules: the device needs a reset. */
void virtio_break(struct virtio *v, const char *why) __attribute__((cold));
/* vq_pop(), and virtio_break() when the ring is broken. */
MUST static inline bool virtio_pop(struct virtio_queue *q, struct vq_chain *c)
{
    int rc = vq_pop(&q->vq, c);

    if (rc < 0)
        virtio_break(q->dev, q->vq.why);
    return rc > 0;
}

void virtio_hold(struct virtio *v, struct virtio_queue *q);    /* q may be NULL */
void virtio_release(struct virtio *v, struct virtio_queue *q); /* may finish a reset */

/* Makes kick() run on the loop soon. */
void virtio_wake(struct virtio_queue *q);
/* Puts an ioeventfd in front of q's doorbell, or takes all of the device's away. */
void virtio_doorbell_on(struct virtio_queue *q);
void virtio_doorbells_off(struct virtio *v);

static inline bool virtio_has(const struct virtio *v, uint64_t feature)
{
    return v->features & feature;
}

/* --- for VIRTIO_DEVICE_OPS --- */

void virtio_device_destroy(struct device *d);
void virtio_device_reset(struct device *d);
void virtio_device_describe(struct device *d, struct dump *out);
void virtio_pci_io(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
                   uint64_t *val);
#define VIRTIO_DEVICE_OPS(text)                                                                    \
    {                                                                                              \
        .name = (text), .destroy = virtio_device_destroy, .reset = virtio_device_reset,            \
        .io = virtio_pci_io, .describe = virtio_device_describe,                                   \
    }

/* --- between virtio.c and virtio_pci.c --- */

void virtio_set_status(struct virtio *v, uint8_t status);
void virtio_kick(struct virtio *v, struct virtio_queue *q);
void virtio_queue_enable(struct virtio *v, struct virtio_queue *q);
void virtio_queue_reset(struct virtio *v, struct virtio_queue *q);
/* Legacy drivers do not wait for a reset, so the vCPU does. Drops and retakes the lock. */
void virtio_wait_idle(struct virtio *v);
MUST int virtio_pci_setup(struct virtio *v, const struct virtio_options *o, struct err *e);

#endif
