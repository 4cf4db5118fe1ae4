/* SPDX-License-Identifier: Apache-2.0 */
/* loopnet.c - see loopnet.h. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "core/iov.h"
#include "virtio/loopnet.h"

static struct loopnet *loopnet_of(const struct netif *n)
{
    return (struct loopnet *)(uintptr_t)n;
}

static void loopnet_close(struct netif *n)
{
    if (loopnet_of(n)->closed)
        *loopnet_of(n)->closed = true;
    free(n);
}

static void loopnet_caps(const struct netif *n, struct net_caps *out)
{
    *out = (struct net_caps){
        .tx = loopnet_of(n)->tx_caps,
        .rx = loopnet_of(n)->rx_caps,
        .mtu = 1500,
        .queues = 1,
        .link = true,
    };
}

static void loopnet_set_caps(struct netif *n, uint32_t tx, uint32_t rx)
{
    loopnet_of(n)->tx_set = tx;
    loopnet_of(n)->rx_set = rx;
}

static void loopnet_listen(struct netif *n, const struct net_events *ev, void *arg)
{
    loopnet_of(n)->ev = ev;
    loopnet_of(n)->arg = arg;
}

static long loopnet_send(struct netif *n, const struct net_meta *m, const struct iovec *iov,
                         int cnt)
{
    struct loopnet *l = loopnet_of(n);

    if (l->full)
        return -EAGAIN;
    l->last.len = iov_read(iov, (unsigned)cnt, 0, l->last.bytes, sizeof(l->last.bytes));
    l->last.meta = *m;
    l->sent++;
    return (long)l->last.len;
}

static long loopnet_recv(struct netif *n, struct net_meta *m, const struct iovec *iov, int cnt)
{
    struct loopnet *l = loopnet_of(n);
    struct loopnet_frame *f = &l->rx[l->first];

    if (l->count == 0)
        return -EAGAIN;
    l->first = (l->first + 1) % LOOPNET_FRAMES;
    l->count--;
    if (iov_len(iov, (unsigned)cnt) < f->len)
        return -EMSGSIZE;
    *m = f->meta;
    return (long)iov_write(iov, (unsigned)cnt, 0, f->bytes, f->len);
}

static const struct net_ops loopnet_ops = {
    .name = "loopnet",
    .close = loopnet_close,
    .caps = loopnet_caps,
    .set_caps = loopnet_set_caps,
    .listen = loopnet_listen,
    .send = loopnet_send,
    .recv = loopnet_recv,
};

struct loopnet *loopnet_create(struct loop *l)
{
    struct loopnet *n = calloc(1, sizeof(*n));

    assert_non_null(n);
    n->n.ops = &loopnet_ops;
    n->loop = l;
    n->tx_caps = n->rx_caps = NET_CSUM | NET_TSO4 | NET_TSO6;
    return n;
}

void loopnet_put(struct loopnet *n, const void *frame, size_t len, const struct net_meta *m)
{
    struct loopnet_frame *f = &n->rx[(n->first + n->count) % LOOPNET_FRAMES];

    assert_true(n->count < LOOPNET_FRAMES && len <= sizeof(f->bytes));
    memcpy(f->bytes, frame, len);
    f->len = len;
    f->meta = m ? *m : (struct net_meta){0};
    n->count++;
    if (n->ev)
        n->ev->readable(n->arg);
}

void loopnet_offer(struct loopnet *n, const void *frame, size_t len, const struct net_meta *m)
{
    if (n->count < LOOPNET_FRAMES)
        loopnet_put(n, frame, len, m);
}
