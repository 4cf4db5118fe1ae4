/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handover.h - SCSI requests that the vCPU which brought them could not finish at once.
 *
 * They wait in order, the loop is woken and submits them to their targets; there they fly until the
 * disk is done. What is no command of a disk may wait in the same queue for what came before it.
 *
 * Threads: handover_init() and handover_destroy() the loop's; all else under the device's lock,
 * which guards every field.
 */
#ifndef HOSPES_PERSONAS_VMWARE_HANDOVER_H
#define HOSPES_PERSONAS_VMWARE_HANDOVER_H

#include <pthread.h>

#include "core/gmem.h"
#include "core/loop.h"
#include "storage/scsi.h"

/* One request, embedded in the device's own. */
struct handed {
    struct scsi_req scsi;
    struct scsi_target *target; /* NULL: no command of a disk */
    struct handed *next;        /* waiting or flying; the device's while neither */
    struct handed **at;         /* what points here, while it flies */
    unsigned iov_room;
    struct iovec *iov; /* the device frees it after many uses; scsi.iov may have been cut */
};

struct handover {
    struct loop *loop;
    pthread_mutex_t *lock;
    const char *what;               /* the device's id, for the log */
    void (*done)(struct handed *h); /* the command has ended; on the loop, with the lock held */
    void (*turn)(struct handed *h); /* the same for one without a target, whose turn it is */
    struct handed *waiting, **wait_end;
    struct handed *flying;
    unsigned inflight; /* given and not ended */
    uint64_t served;   /* commands that ended here */
    pthread_cond_t drained;
    struct watch kick;
};

/* what and done are set, turn if there are such requests. 0 or -errno; then, too, it is destroyed.
 */
MUST int handover_init(struct handover *o, struct loop *l, pthread_mutex_t *lock);
/* No command flies. Those that never began are given to drop(). */
void handover_destroy(struct handover *o, void (*drop)(struct handed *h));

/* scsi's command and data are set; h is the loop's until done() or turn(). */
void handover_give(struct handover *o, struct handed *h);
/* One without a target, which had its turn, has ended. */
void handover_end(struct handover *o);
/* Waits until nothing is in flight, and drops the lock meanwhile: on a vCPU's thread for a bounded
 * time; on the loop's, where the machine resets, as long as it takes, for the guest's memory is
 * another's afterwards. */
void handover_drain(struct handover *o);

/* Before the targets go: steps the loop until nothing is in flight. On its thread, without the
 * lock. */
void handover_finish(struct handover *o);

/* Appends guest memory to h->iov, which has *count pieces of at most `most`, and grows. 0, or
 * -errno as of gmem_map(). */
MUST int handed_add(struct handed *h, struct gmem *m, gpa_t at, uint64_t len, bool write,
                    unsigned most, size_t *count);

#endif
