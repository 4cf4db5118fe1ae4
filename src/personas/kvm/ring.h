/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.h - a virtqueue as the device sees it, split or packed (VIRTIO 1.2, 2.7 and 2.8).
 *
 * The device takes chains with vq_pop(), gives them back with vq_push() in any order, and makes
 * what it pushed visible with vq_flush(). Descriptors are copied before they are checked. A ring
 * that breaks the rules is broken for good: vq_pop() returns -EPROTO and q->why says why.
 *
 * Not modelled: in-order use, VIRTIO_F_NOTIFICATION_DATA. Threads: one at a time per queue; the
 * driver's side runs at once.
 */
#ifndef HOSPES_PERSONAS_KVM_RING_H
#define HOSPES_PERSONAS_KVM_RING_H

#include "core/core.h"

enum { VQ_SIZE_MAX = 1024 };

/* One buffer of the driver's: first what the device reads, then what it writes. */
struct vq_chain {
    uint16_t id;    /* split: head of the chain; packed: buffer id */
    uint16_t slots; /* packed: ring slots it takes */
    uint32_t life;  /* of the ring that it was taken from */
    uint16_t out, in;
    uint16_t max;      /* room in iov; set by the caller of vq_pop(), like iov */
    struct iovec *iov; /* [0, out) is read, [out, out + in) is written */
    uint64_t out_len, in_len;
};

struct vq {
    struct gmem *mem;
    gpa_t desc, driver, device; /* where the driver put the three parts */
    uint16_t size;
    bool ready;    /* vq_start() succeeded and no reset since */
    uint32_t life; /* goes up with each vq_stop(): chains of an earlier one are dropped */
    bool packed, event_idx, indirect;
    const char *why; /* not NULL: broken */

    uint8_t *desc_area, *driver_area, *device_area;
    uint16_t next_avail; /* split: free-running; packed: slot */
    uint16_t next_used;
    uint16_t unpublished; /* pushed since vq_flush(): entries, or slots for packed */
    bool avail_wrap, used_wrap;
    uint16_t inflight;   /* popped and not pushed */
    uint8_t *first_slot; /* packed: the first of what is unpublished, and its flags */
    uint16_t first_flags;
};

/* Checks what the driver said and maps the rings. features: as negotiated. -EINVAL or -EFAULT with
 * q->why set. */
MUST int vq_start(struct vq *q, struct gmem *m, uint64_t features);
/* Forgets everything but the addresses and the size. */
void vq_stop(struct vq *q);

/* Bytes of the three parts for a ring of n entries. */
uint64_t vq_desc_bytes(unsigned n);
uint64_t vq_driver_bytes(unsigned n, bool packed);
uint64_t vq_device_bytes(unsigned n, bool packed);

/* 1: c is filled; 0: nothing there; -EPROTO: the ring is broken. */
MUST int vq_pop(struct vq *q, struct vq_chain *c);
/* Gives c back with `len` bytes written to its device-writable part. Nothing when the ring that c
 * comes from is no more. */
void vq_push(struct vq *q, const struct vq_chain *c, uint32_t len);
/* Publishes; true when the driver wants an interrupt for it. */
MUST bool vq_flush(struct vq *q);

/* Asks the driver not to notify; it may all the same. */
void vq_notify_off(struct vq *q);
/* Asks for notifications; true when something has come meanwhile, so that the caller looks again
 * instead of waiting. */
MUST bool vq_notify_on(struct vq *q);
/* true when vq_pop() would find something. */
bool vq_pending(const struct vq *q);

#endif
