/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio network device under a hostile driver, with one pair of queues or two. */
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#include "core/err.h"
#include "virtio.h"
#include "virtio/loopnet.h"

static void create(struct fuzz_virtio *z, const struct virtio_options *o)
{
    struct loopnet *n = loopnet_create(z->f.env.loop);
    struct nic_spec s = {.id = "nic0", .netif = &n->n, .mac = {2, 0, 0, 0, 0, 1}};
    struct err e;

    z->back = n;
    if (net_create(&z->f.env, o, &s, 1 + (unsigned)fuzz_take(z, 1) % 2, &e) < 0)
        abort();
}

static void event(struct fuzz_virtio *z)
{
    static uint8_t frame[NET_FRAME_MAX];
    struct loopnet *n = z->back;
    struct net_meta m = {0};
    unsigned what = (unsigned)fuzz_take(z, 1);

    switch (what % 4) {
    case 0:
        n->full = !n->full;
        if (!n->full && n->ev)
            n->ev->writable(n->arg);
        break;
    case 1:
        if (n->ev)
            n->ev->link(n->arg, what & 4);
        break;
    default:
        m.flags = what >> 2 & 3;
        m.gso = what >> 4 & 3;
        m.gso_size = 1400;
        frame[0] = (uint8_t)fuzz_take(z, 1);
        loopnet_offer(n, frame, fuzz_take(z, 2), &m);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fuzz_virtio_target t = {5, create, event, NULL, NULL};

    fuzz_virtio(&t, data, size);
    return 0;
}
