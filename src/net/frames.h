/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frames.h - a queue of frames in one ring of bytes, for back ends that get frames when the guest
 * has no buffer. Grows on demand to a limit; nothing is allocated for each frame. One thread.
 */
#ifndef HOSPES_NET_FRAMES_H
#define HOSPES_NET_FRAMES_H

#include "net/netif.h"

struct frames {
    uint8_t *buf;
    size_t room, at, used; /* bytes; room is a power of two */
    size_t limit;          /* bytes, a power of two: beyond it frames are refused */
    size_t count;
};

void frames_init(struct frames *f, size_t limit);
void frames_free(struct frames *f);

/* false: no room. m may be NULL for none. */
MUST bool frames_push(struct frames *f, const struct net_meta *m, const struct iovec *iov, int cnt);

/* As net_ops.recv: the length, -EAGAIN when empty, -EMSGSIZE for one that was too long. */
MUST long frames_pop(struct frames *f, struct net_meta *m, const struct iovec *iov, int cnt);

void frames_clear(struct frames *f);

#endif
