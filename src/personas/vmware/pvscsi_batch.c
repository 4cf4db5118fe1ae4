/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pvscsi_batch.c - how many requests the guest gathers before it rings the doorbell.
 *
 * Document: vmw_pvscsi.h. A driver that has asked for it (SETUP_REQCALLTHRESHOLD) rings only when
 * req_call_threshold requests lie in the ring. Each doorbell is an exit, and each batch has one
 * interrupt. Our own choice is how the threshold moves.
 *
 * It is 1, and after `patience` doorbells twice as much is tried. Whoever fills that has it doubled
 * again after PATIENCE_MIN doorbells. When requests come more slowly than one in PACE_NS, pauses
 * not counted, it is 1.
 *
 * When a guest does not ring for half as long again as it took at most of late, the ring is looked
 * at. A guest that is about to fill the batch is let go on. Else what lies there is served, its
 * number is the new threshold, and patience doubles. Nothing lies there: the threshold is 1 again,
 * and the guest's next request counts as the first of a batch of the old size, so that bursts stay
 * whole.
 *
 * So a guest that waits for each request loses at most three PACE_NS in every PATIENCE_MAX of them,
 * and independent guests' threads do not wait for each other. A guest that rings in time is not
 * looked at: each look takes a processor from someone.
 *
 * Drivers have no barrier between their producer and the threshold that they read: when it has been
 * lowered to 1 the ring is looked at once more.
 */
#define _DEFAULT_SOURCE
#include <sys/timerfd.h>
#include <time.h>

#include "core/bell.h"
#include "core/gmem.h"
#include "personas/vmware/pvscsi_priv.h"

enum { HOLD_NS = 50 * 1000, PACE_NS = 30 * 1000, LOOKS = 6 };
/* No parts of 32, lest what is tried always falls between the bursts of a guest. */
enum { MOST = 32, PATIENCE = 29, PATIENCE_MIN = 5, PATIENCE_MAX = 1021 };
enum { PAUSE_NS = MOST * PACE_NS, COUNT_MOST = 2 * MOST };

static uint64_t now(const struct pvscsi *p)
{
    return loop_now(p->pci.dev.env.loop);
}

/* ns: below a second */
static void look_in(struct pvscsi *p, uint64_t ns)
{
    const struct itimerspec t = {.it_value = {.tv_nsec = (long)ns}};

    p->batch.due = now(p) + ns;
    timerfd_settime(p->look.fd, 0, &t, NULL);
}

/* After a doorbell. The first batch that is larger may take twice as long. */
static void look_when_late(struct pvscsi *p)
{
    const struct pvscsi_batch *b = &p->batch;
    uint64_t late = b->gap * 3 / 2;

    if (b->raised && !b->filled)
        late = min_u64(late * 2, (uint64_t)b->at * PACE_NS * 3 / 2);
    look_in(p, max_u64(HOLD_NS, late));
}

static void set(struct pvscsi *p, uint32_t n)
{
    struct pvscsi_batch *b = &p->batch;

    b->doorbells = 0;
    b->filled = false;
    b->raised = n > b->at;
    if (b->at == n)
        return;
    b->at = n;
    shared_store32(&p->shared->req_call_threshold, n);
}

static void disappointed(struct pvscsi_batch *b)
{
    b->patience = b->patience < PATIENCE_MAX / 2 ? b->patience * 2 : PATIENCE_MAX;
}

void pvscsi_batch_start(struct pvscsi *p, bool on)
{
    p->s.gathers = on;
    p->batch = (struct pvscsi_batch){.back = 1, .patience = PATIENCE};
    if (on)
        set(p, 1);
    else
        shared_store32(&p->shared->req_call_threshold, 0);
}

/* Keeps the longest gap of late, and how long the last requests took together. */
static void took(struct pvscsi_batch *b, uint64_t gap, uint32_t served)
{
    if (gap > PAUSE_NS)
        return;
    b->gap = max_u64(b->gap - b->gap / 256, gap);
    b->spent += gap;
    b->count += served;
    if (b->count >= COUNT_MOST) {
        b->spent /= 2;
        b->count /= 2;
    }
}

static bool slow(const struct pvscsi_batch *b)
{
    return b->spent > (uint64_t)b->count * PACE_NS;
}

static void filled(struct pvscsi *p)
{
    struct pvscsi_batch *b = &p->batch;

    b->filled = b->at > 1;
    if (b->filled && b->raised)
        b->patience = PATIENCE_MIN;
    if (++b->doorbells >= b->patience && b->at < MOST && !slow(b))
        set(p, (uint32_t)min_u64(b->at * 2, MOST));
}

/* The guest may still see what was: the ring is looked at once more. */
static void give_up(struct pvscsi *p)
{
    disappointed(&p->batch);
    p->batch.back = 1;
    set(p, 1);
    look_in(p, HOLD_NS);
}

/* The guest has paused. It may have rung for the first request of its batch, or for the others. */
static void resumed(struct pvscsi *p, uint32_t served)
{
    struct pvscsi_batch *b = &p->batch;

    if (b->at == 1 && b->back > served + 1) {
        set(p, b->back - served);
        return;
    }
    set(p, b->back);
    b->filled = true;
    b->back = 1;
}

void pvscsi_doorbell(struct pvscsi *p)
{
    struct pvscsi_batch *b = &p->batch;
    uint64_t gap = now(p) - b->last; /* the guest's own: not what is done here */
    uint32_t served = pvscsi_serve(p);

    if (!p->s.gathers || !p->s.rings || p->s.broken || served == 0)
        return;
    b->last = now(p);
    b->looks = b->seen = 0;
    took(b, gap, served);
    if (b->at > 1 && slow(b))
        give_up(p);
    else if (b->back > b->at)
        resumed(p, served);
    else if (served >= b->at)
        filled(p);
    if (b->at > 1)
        look_when_late(p);
}

/* The ring has n requests that nobody rang for, and there will not soon be more. */
static void lower(struct pvscsi *p, uint32_t n)
{
    struct pvscsi_batch *b = &p->batch;

    b->back = n ? 1 : (uint32_t)max_u64(b->back, b->at);
    if (!b->filled)
        b->back = (b->back + 1) / 2; /* what it was before more was tried */
    if (n || !b->filled)
        disappointed(b);
    b->looks = b->seen = 0;
    set(p, n && !slow(b) ? (uint32_t)min_u64(n, b->at) : 1);
    if (b->at == 1)
        shared_barrier(); /* against one that came before the new threshold was seen */
}

/* true: the guest is on its way to ring. It has a while for that, and no more: it may have read an
 * older threshold. */
static bool still_gathers(struct pvscsi *p, uint32_t n)
{
    struct pvscsi_batch *b = &p->batch;
    bool more = n > b->seen && now(p) - b->last < (uint64_t)PACE_NS * n;

    b->seen = n;
    return b->looks++ < LOOKS && (more || n >= b->at);
}

static void look(struct pvscsi *p)
{
    struct pvscsi_batch *b = &p->batch;
    uint32_t n = shared_load32(&p->shared->req_prod_idx) - p->s.req_cons;

    if (b->at > 1) {
        look_in(p, HOLD_NS);
        if (still_gathers(p, n))
            return;
        if (n)
            took(b, now(p) - b->last, n);
        lower(p, n);
    }
    if (pvscsi_serve(p))
        b->last = now(p);
}

void pvscsi_look(struct watch *w, uint32_t got)
{
    struct pvscsi *p = container_of(w, struct pvscsi, look);

    (void)got;
    bell_take(w->fd);
    device_lock(&p->pci.dev);
    p->batch.due = 0;
    if (p->s.gathers && p->s.rings && !p->s.broken)
        look(p);
    device_unlock(&p->pci.dev);
}
