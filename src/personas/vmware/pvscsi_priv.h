/* SPDX-License-Identifier: Apache-2.0 */
/* pvscsi_priv.h - what pvscsi.c (registers, commands), pvscsi_ring.c (rings) and pvscsi_batch.c
 * (how often the doorbell rings) share. */
#ifndef HOSPES_PERSONAS_VMWARE_PVSCSI_PRIV_H
#define HOSPES_PERSONAS_VMWARE_PVSCSI_PRIV_H

#include "abi/pvscsi.h"
#include "core/loop.h"
#include "personas/vmware/handover.h"
#include "personas/vmware/pvscsi.h"

enum {
    PVSCSI_REQS_PER_PAGE = PVSCSI_PAGE_SIZE / sizeof(struct pvscsi_req_desc),
    PVSCSI_CMPS_PER_PAGE = PVSCSI_PAGE_SIZE / sizeof(struct pvscsi_cmp_desc),
    PVSCSI_MSGS_PER_PAGE = PVSCSI_PAGE_SIZE / sizeof(struct pvscsi_msg_dev_status),
    PVSCSI_COMMAND_WORDS = sizeof(struct pvscsi_setup_rings) / 4,
    PVSCSI_MAX_SG = 1024, /* pieces of one request */
};

/* All that a guest sees or sets. */
struct pvscsi_state {
    uint32_t command, command_status;
    uint32_t words[PVSCSI_COMMAND_WORDS], have;
    uint32_t intr_status, intr_mask;

    bool rings, msg_ring, broken; /* broken: bad indices; nothing is served until a reset */
    bool gathers;                 /* the driver minds the request call threshold */
    gpa_t state_at;
    uint32_t req_entries, req_cons;
    uint32_t cmp_entries, cmp_prod;
    uint32_t msg_entries, msg_prod;
    uint64_t req_ppn[PVSCSI_SETUP_RINGS_MAX_NUM_PAGES];
    uint64_t cmp_ppn[PVSCSI_SETUP_RINGS_MAX_NUM_PAGES];
    uint64_t msg_ppn[PVSCSI_SETUP_MSG_RING_MAX_NUM_PAGES];
};

struct pvscsi_req {
    struct handed h;
    struct pvscsi *p;
    uint64_t context, sense_at, data_len;
    uint32_t sense_room;
    bool aborted;
};

/* The request call threshold, and what has been learnt about the guest. */
struct pvscsi_batch {
    uint32_t at, back;    /* it is; it was before the guest paused, 1: did not pause */
    uint32_t doorbells;   /* since it has been so */
    uint32_t patience;    /* doorbells before more is tried */
    bool raised;          /* it was less before */
    bool filled;          /* the guest has rung with as many requests */
    uint32_t looks, seen; /* at the ring since the last doorbell, and what lay there */
    uint64_t last;        /* ns: end of a doorbell, or of a look that served */
    uint64_t gap;         /* ns from one to the next, the longest of late */
    uint64_t spent;       /* ns that the last `count` requests took */
    uint32_t count;
    uint64_t due; /* ns: the next look; 0: none */
};

struct pvscsi {
    struct pci_dev pci; /* first */
    struct pvscsi_state s;

    struct pvscsi_rings_state *shared; /* guest memory */
    struct units units;
    struct handed *spare; /* requests, as many as were ever in use at once */
    struct handover late; /* what a vCPU could not finish */
    struct alarm retry;
    /* What a guest can ask for as often as it likes: */
    struct task reset_units; /* unit attentions */
    struct task full;        /* another look when it may have read its completions */
    struct task more;        /* the rest of the ring, after others had their turn */
    struct pvscsi_batch batch;
    struct watch look; /* timerfd: looks for requests that nobody rings for */
    uint64_t served_inline;
    void (*driven)(void *arg); /* may be NULL */
    void *driven_arg;
};

/* All under the device's lock. */
void pvscsi_rings_start(struct pvscsi *p);
void pvscsi_rings_stop(struct pvscsi *p);
/* Takes requests from the ring, and returns how many; on a vCPU's thread, tries each at once. No
 * more than the ring holds: what other processors add meanwhile is served by the loop. */
uint32_t pvscsi_serve(struct pvscsi *p);
/* The driver shall gather requests or not; the rings are there. */
void pvscsi_batch_start(struct pvscsi *p, bool on);
/* The guest rings: serves the ring. */
void pvscsi_doorbell(struct pvscsi *p);
void pvscsi_interrupt(struct pvscsi *p, uint32_t bits);
void pvscsi_message(struct pvscsi *p, uint32_t type, unsigned target);
void pvscsi_abort(struct pvscsi *p, uint64_t context);
/* A request that a vCPU could not finish has ended. */
void pvscsi_request_done(struct handed *h);
void pvscsi_request_free(struct handed *h);
/* Frees what is spare; nothing is in flight. */
void pvscsi_reqs_free(struct pvscsi *p);
void pvscsi_retry(struct alarm *a);
/* Of the tasks `full` and `more`. */
void pvscsi_retry_soon(struct task *t);
void pvscsi_serve_more(struct task *t);
void pvscsi_look(struct watch *w, uint32_t got);

#endif
