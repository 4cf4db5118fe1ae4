/* SPDX-License-Identifier: Apache-2.0 */
/* vbd_priv.h - what vbd.c (xenbus, keys) and vbd_ring.c (requests) share. */
#ifndef HOSPES_PERSONAS_XEN_VBD_PRIV_H
#define HOSPES_PERSONAS_XEN_VBD_PRIV_H

#include "personas/bursts.h"
#include "personas/xen/vbd.h"
#include "personas/xen/xenbus.h"
#include "storage/disk.h"

enum {
    VBD_QUEUES = 8,
    VBD_RING_PAGES = 16, /* of one queue */
    VBD_SEGMENTS = 256,  /* of one indirect request */
    VBD_DIRECT_SEGMENTS = 11,
    VBD_PAGE = 4096,
    VBD_RING_HEAD = 64, /* bytes before the first entry */
    VBD_ENTRY_64 = 112,
    VBD_ENTRY_32 = 108,
};

struct vbd_req {
    struct disk_req disk;
    struct vbd_queue *q;
    struct vbd_req *next;
    int rc;         /* 0, or its answer before the disk was asked */
    unsigned epoch; /* of the queue when it was taken: an older one completes into nothing */
    uint64_t id;
    uint8_t op;
    bool writes_guest;
    unsigned refs;
    uint32_t ref[VBD_SEGMENTS];
    struct iovec iov[VBD_SEGMENTS];
};

/* Guarded by lock: the vCPU that sends and the loop both serve it. */
struct vbd_queue {
    struct vbd *b;
    pthread_mutex_t lock;
    bool up, broken;
    unsigned epoch;
    unsigned port;
    unsigned pages, entries;
    size_t entry_size; /* bytes */
    uint32_t ring_ref[VBD_RING_PAGES];
    uint8_t *page[VBD_RING_PAGES]; /* guest memory, pinned while up */
    uint32_t req_cons, rsp_prod;
    struct bursts bursts; /* req_event stays behind while they are on */
    struct watch kick;
    bool again;          /* the loop is to serve what is left in the ring */
    struct alarm answer; /* completions of one round of the loop share an event */
    bool answering;
    struct vbd_req *spare, *waiting, **wait_end;
    uint64_t requests, inlined, errors;
};

struct vbd {
    struct xenbus_dev d; /* first */
    struct disk *disk;
    unsigned n; /* 0: xvda */
    bool cdrom, persistent;
    bool narrow; /* the guest's rings have 32-bit layout */
    unsigned queues;
    struct vbd_queue q[VBD_QUEUES];
};

/* Takes what is in the ring, and leaves to the loop what would take long. Any thread, under the
 * queue's lock. */
void vbd_serve(struct vbd_queue *q);
/* poll_fn; arg is the queue. */
void vbd_polled(void *arg, bool news);
/* Of the alarm `answer`. */
void vbd_answer(struct alarm *a);
/* evtchn_sent_fn; arg is the queue. */
void vbd_sent(void *arg);
void vbd_kicked(struct watch *w, uint32_t got);
/* What the loop has not submitted yet never will be, nor answered. On the loop. */
void vbd_waiting_drop(struct vbd_queue *q);
void vbd_requests_free(struct vbd_queue *q);

#endif
