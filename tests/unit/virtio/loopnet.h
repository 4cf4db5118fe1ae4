/* SPDX-License-Identifier: Apache-2.0 */
/* loopnet.h - a netif in memory: the test sees what was sent and puts in what is received. */
#ifndef HOSPES_TESTS_LOOPNET_H
#define HOSPES_TESTS_LOOPNET_H

#include "net/netif.h"

enum { LOOPNET_FRAMES = 64 };

struct loopnet_frame {
    uint8_t bytes[NET_FRAME_MAX];
    size_t len;
    struct net_meta meta;
};

struct loopnet {
    struct netif n; /* first */
    struct loop *loop;
    const struct net_events *ev;
    void *arg;
    bool full; /* send() says -EAGAIN */
    uint32_t tx_caps, rx_caps, tx_set, rx_set;
    bool *closed;
    unsigned sent, first, count; /* received frames wait in a ring */
    struct loopnet_frame last;   /* the last frame that was sent */
    struct loopnet_frame rx[LOOPNET_FRAMES];
};

struct loopnet *loopnet_create(struct loop *l);
/* A frame of len bytes for the guest; m may be NULL. readable() is called. */
void loopnet_put(struct loopnet *n, const void *frame, size_t len, const struct net_meta *m);
/* The same unless as many wait as there is room for; for inputs that nobody has made. */
void loopnet_offer(struct loopnet *n, const void *frame, size_t len, const struct net_meta *m);

#endif
