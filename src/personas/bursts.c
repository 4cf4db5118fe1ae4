/* SPDX-License-Identifier: Apache-2.0 */
/* bursts.c - see bursts.h. */
#include "personas/bursts.h"

enum {
    DEPTH_SCALE = 8,
    DEPTH_LEAST = 3 * DEPTH_SCALE, /* from here on it is worth to wait for more */
    DEPTH_TRIED = 4 * DEPTH_SCALE, /* some rounds are given to show it */
    PROBE_LEAST = 64,
    PROBE_MOST = 1024,
};

/* Who looks so late has no processor to itself, and none that the guest leaves free. */
#define LATE_NS UINT64_C(1000000)

void bursts_open(struct bursts *k, struct loop *l, struct poller *p, poll_fn *fn, void *arg)
{
    *k = (struct bursts){.loop = l, .slot = poll_slot_get(p, fn, arg), .probe = PROBE_LEAST};
}

void bursts_close(struct bursts *k)
{
    poll_slot_put(k->slot);
    k->slot = NULL;
    k->on = false;
}

bool bursts_due(struct bursts *k)
{
    if (!k->slot)
        return false;
    if (!k->on && ++k->served >= k->probe) {
        k->on = true;
        k->depth = DEPTH_TRIED;
        k->served = 0;
    }
    return k->on;
}

void bursts_wait(struct bursts *k, const void *word, uint32_t seen)
{
    k->since = loop_now(k->loop);
    poll_arm(k->slot, word, seen);
}

void bursts_news(struct bursts *k)
{
    if (loop_now(k->loop) - k->since <= LATE_NS)
        return;
    k->on = false;
    k->probe = PROBE_MOST;
}

void bursts_stop(struct bursts *k)
{
    k->on = false;
    k->probe = (unsigned)min_u64(2 * k->probe, PROBE_MOST);
}

void bursts_count(struct bursts *k, uint64_t n)
{
    k->depth += (unsigned)n - k->depth / DEPTH_SCALE;
    if (k->depth < DEPTH_LEAST)
        bursts_stop(k);
    else if (k->depth > 2 * DEPTH_TRIED)
        k->probe = PROBE_LEAST;
}
