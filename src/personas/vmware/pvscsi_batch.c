/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pvscsi_batch.c - how many requests the guest gathers before it rings the doorbell.
 *
 * Document: vmw_pvscsi.h. A driver that has asked for it (SETUP_REQCALLTHRESHOLD) rings only when
 * req_call_threshold requests lie in the ring. Each doorbell is an exit, and each batch has one
 * interrupt. Our own choice is how the threshold moves:
 *
 *   it is 1, and after `patience` doorbells twice as much is tried;
 *   whoever fills that in time has it doubled again after PATIENCE_MIN doorbells;
 *   HOLD_NS after the last doorbell the ring is looked at. A guest that is about to fill it is let
 *   go on. Else what lies there is served, its number is the new threshold, and patience doubles.
 *   Nothing lies there: it is 1 again, and goes back to what it was when the guest does.
 *
 * In time means a request in PACE_NS. So a guest that waits for each request loses HOLD_NS in every
 * PATIENCE_MAX of them, and independent guests' threads do not wait for each other.
 *
 * Drivers have no barrier between their producer and the threshold that they read: when it has been
 * lowered to 1 the ring is looked at once more.
 */
#define _DEFAULT_SOURCE
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "core/gmem.h"
#include "personas/vmware/pvscsi_priv.h"

enum { HOLD_NS = 50 * 1000, PACE_NS = 25 * 1000, LOOKS = 6 };
enum { MOST = 32, PATIENCE = 32, PATIENCE_MIN = 4, PATIENCE_MAX = 256 };

static void look_later(struct pvscsi *p)
{
    const struct itimerspec t = {.it_value = {.tv_nsec = HOLD_NS}};

    timerfd_settime(p->look.fd, 0, &t, NULL);
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

static uint64_t now(const struct pvscsi *p)
{
    return loop_now(p->pci.dev.env.loop);
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

static void filled(struct pvscsi *p)
{
    struct pvscsi_batch *b = &p->batch;

    b->filled = b->at > 1;
    if (b->filled && b->raised)
        b->patience = PATIENCE_MIN;
    if (++b->doorbells >= b->patience && b->at < MOST)
        set(p, (uint32_t)min_u64(b->at * 2, MOST));
}

void pvscsi_doorbell(struct pvscsi *p)
{
    struct pvscsi_batch *b = &p->batch;
    uint64_t gap = now(p) - b->last;
    uint32_t served = pvscsi_serve(p);
    bool slow = b->at > 1 && gap > (uint64_t)PACE_NS * served;

    if (!p->s.gathers || !p->s.rings || p->s.broken || served == 0)
        return;
    b->last = now(p);
    b->looks = b->seen = 0;
    if (b->at == 1 && b->back > 1) {
        set(p, b->back);
        b->back = 1;
    } else if (slow) {
        disappointed(b);
        set(p, 1);
    } else if (served >= b->at) {
        filled(p);
    }
    if (b->at > 1 || slow)
        look_later(p);
}

/* The ring has n requests that nobody rang for, and there will not soon be more. */
static void lower(struct pvscsi *p, uint32_t n)
{
    struct pvscsi_batch *b = &p->batch;

    if (n == 0)
        b->back = b->filled ? b->at : b->at / 2; /* what it was before more was tried */
    if (n || !b->filled)
        disappointed(b);
    b->looks = b->seen = 0;
    set(p, n ? (uint32_t)min_u64(n, b->at) : 1);
    if (n == 0)
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
        look_later(p);
        if (still_gathers(p, n))
            return;
        lower(p, n);
    }
    (void)pvscsi_serve(p);
    b->last = now(p);
}

void pvscsi_look(struct watch *w, uint32_t got)
{
    struct pvscsi *p = container_of(w, struct pvscsi, look);
    uint64_t count;
    ssize_t rc = read(w->fd, &count, sizeof(count));

    (void)rc;
    (void)got;
    device_lock(&p->pci.dev);
    if (p->s.gathers && p->s.rings && !p->s.broken)
        look(p);
    device_unlock(&p->pci.dev);
}
