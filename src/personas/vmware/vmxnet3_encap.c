/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmxnet3_encap.c - frames within VXLAN or Geneve that a driver of revision 4 leaves to be cut and
 * summed.
 *
 * Documents: RFC 7348, RFC 8926. The back ends know plain TCP only, so the inner frame is cut here
 * and each piece gets the outer headers, brought up to date. Threads: the loop, under the device's
 * lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/csum.h"
#include "personas/vmware/vmxnet3.h"

enum { UDP_HEAD = 8, TUNNEL_HEAD = 8, IP_UDP = 17, GENEVE_PORT = 6081, GENEVE_OPTIONS = 0x3f };

struct encap {
    struct vmxnet3 *x;
    size_t inner;  /* where the inner frame begins */
    unsigned udp;  /* the outer UDP header */
    bool zero_sum; /* the outer checksum is not wanted */
    uint8_t *room; /* for one outer frame */
    unsigned sent;
};

static int piece(void *arg, const uint8_t *f, size_t len)
{
    struct encap *e = arg;
    struct net_meta m = {0};
    struct iovec iov = {e->room, e->inner + len};

    if (e->inner + len > NET_FRAME_MAX)
        return -EINVAL;
    memcpy(e->room, e->x->out, e->inner);
    memcpy(e->room + e->inner, f, len);
    if (net_csum_all(e->room, e->inner + len) < 0)
        return -EINVAL;
    if (e->zero_sum)
        be16_put(e->room + e->udp + 6, 0);
    if (e->x->netif->ops->send(e->x->netif, &m, &iov, 1) == -EAGAIN)
        return -EAGAIN;
    e->sent++;
    return 0;
}

/* Where the inner frame begins, so that its headers end at hlen; 0: nowhere. */
static size_t inner_at(const struct vmxnet3 *x, size_t len, unsigned hlen, struct net_layout *outer)
{
    struct net_layout in;
    size_t at;

    if (!net_layout(x->out, len, outer) || !outer->payload || outer->proto != IP_UDP)
        return 0;
    at = outer->l4 + UDP_HEAD + TUNNEL_HEAD;
    if (be16_at(x->out + outer->l4 + 2) == GENEVE_PORT && len > outer->l4 + (size_t)UDP_HEAD)
        at += (x->out[outer->l4 + UDP_HEAD] & GENEVE_OPTIONS) * 4u;
    if (at >= len || !net_layout(x->out + at, len - at, &in) || !in.payload)
        return 0;
    return at + in.payload == hlen ? at : 0;
}

int vmxnet3_encap(struct vmxnet3 *x, size_t len, unsigned hlen, unsigned mss, bool outer_sum)
{
    struct net_layout outer;
    struct encap e = {.x = x, .inner = inner_at(x, len, hlen, &outer)};
    int rc;

    if (e.inner == 0)
        return -EINVAL;
    e.udp = outer.l4;
    e.zero_sum = !outer_sum && outer.version == 4;
    if (!x->cut)
        x->cut = malloc(2 * (size_t)NET_FRAME_MAX);
    if (!x->cut)
        return -ENOMEM;
    e.room = x->cut + NET_FRAME_MAX;
    if (mss) {
        rc = net_segment(x->out + e.inner, len - e.inner, mss, x->cut, piece, &e);
    } else {
        rc = net_csum_all(x->out + e.inner, len - e.inner);
        if (rc == 0)
            rc = piece(&e, x->out + e.inner, len - e.inner);
    }
    /* Once a piece has gone the rest is lost, as on a wire, rather than sent twice. */
    return rc == -EAGAIN && e.sent ? 0 : rc;
}
