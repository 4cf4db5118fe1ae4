/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vif.c - Xen's network back end: what it offers, and how a front end connects.
 *
 * Document: Xen public/io/netif.h. Modelled: receiving by copy, several queues, split event
 * channels, scatter-gather, checksums of IPv4 and IPv6 and segmentation of TCP both ways, the
 * control ring (hashes of the front end's choice), multicast control, the carrier. Not modelled:
 * page flipping, static grants, XDP headroom, the GSO prefix of drivers before 2013. Threads: the
 * loop's; an event of the guest's signals an eventfd.
 */
#include "personas/xen/vif.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/bell.h"
#include "core/cfg.h"
#include "core/err.h"
#include "core/gmem.h"
#include "core/ids.h"
#include "personas/xen/vif_priv.h"

static struct vif *vif_of(struct xenbus_dev *d)
{
    return container_of(d, struct vif, d);
}

/* --- rings --- */

void vif_break(struct vif_queue *q, const char *why)
{
    if (!q->broken)
        log_line(LOG_WARN, "xen-vif", "%u: %s", q->v->d.id, why);
    q->broken = true;
}

void vif_wake(struct vif_queue *q)
{
    bell_ring(q->kick.fd);
}

uint32_t vif_waiting(struct vif_queue *q, struct vif_ring *r)
{
    uint32_t n = shared_load32(r->page + RING_REQ_PROD) - r->req_cons;

    if (n <= VIF_RING)
        return n;
    vif_break(q, "a ring's producer is outside the ring");
    return 0;
}

void vif_push(struct vif_queue *q, struct vif_ring *r)
{
    uint32_t old, event;

    if (!r->up)
        return;
    old = shared_load32(r->page + RING_RSP_PROD);
    if (old == r->rsp_prod)
        return;
    shared_store32(r->page + RING_RSP_PROD, r->rsp_prod);
    shared_barrier();
    event = shared_load32(r->page + RING_RSP_EVENT);
    if (r->rsp_prod - event < r->rsp_prod - old)
        evtchn_notify(q->v->d.x->ev, r->port);
}

/* evtchn_sent_fn; arg is the queue. */
static void vif_sent(void *arg)
{
    vif_wake(arg);
}

static void vif_kicked(struct watch *w, uint32_t got)
{
    struct vif_queue *q = container_of(w, struct vif_queue, kick);

    (void)got;
    bell_take(w->fd);
    vif_send(q);
    vif_receive(q->v);
}

/* --- keys --- */

/* Linux looks at the carrier, Windows into its own directory. */
static void write_link(struct vif *v)
{
    char path[128];

    xenbus_write(&v->d, "carrier", "%d", v->caps.link);
    snprintf(path, sizeof(path), "%s/disconnect", v->d.front);
    (void)xs_put(v->d.x->store, path, "%d", !v->caps.link);
}

static void vif_offer(struct xenbus_dev *d)
{
    struct vif *v = vif_of(d);
    char path[128], mac[18];

    snprintf(mac, sizeof(mac), MAC_FMT, MAC_ARGS(v->mac));
    snprintf(path, sizeof(path), "%s/mac", d->front);
    (void)xs_put(d->x->store, path, "%s", mac);
    xenbus_write(d, "mac", "%s", mac); /* where OpenBSD looks */
    xenbus_write(d, "type", "vif");
    snprintf(path, sizeof(path), "%s/handle", d->front);
    (void)xs_put(d->x->store, path, "%u", d->id);
    xenbus_write(d, "handle", "%u", d->id);
    xenbus_write(d, "feature-rx-copy", "1");
    xenbus_write(d, "feature-rx-flip", "0");
    xenbus_write(d, "feature-sg", "1");
    xenbus_write(d, "feature-gso-tcpv4", "%d", !!(v->caps.tx & NET_TSO4));
    xenbus_write(d, "feature-gso-tcpv6", "%d", !!(v->caps.tx & NET_TSO6));
    xenbus_write(d, "feature-ipv6-csum-offload", "1");
    xenbus_write(d, "feature-split-event-channels", "1");
    xenbus_write(d, "feature-multicast-control", "1");
    xenbus_write(d, "feature-ctrl-ring", "1");
    write_link(v);
    xenbus_write(d, "multi-queue-max-queues", "%u", v->offered);
    xenbus_write(d, "hotplug-status", "connected");
}

/* --- connecting --- */

static void ring_down(struct vif_queue *q, struct vif_ring *r)
{
    struct xen *x = q->v->d.x;

    if (!r->up)
        return;
    evtchn_unbind(x->ev, r->port, q);
    grant_end(x->gr, r->ref, true);
    r->up = false;
}

static void vif_disconnect(struct xenbus_dev *d)
{
    struct vif *v = vif_of(d);

    for (unsigned i = 0; i < VIF_QUEUES; i++) {
        if (v->q[i].tx.up)
            vif_send_drop(&v->q[i]);
        ring_down(&v->q[i], &v->q[i].tx);
        ring_down(&v->q[i], &v->q[i].rx);
        v->q[i].broken = false;
    }
    ring_down(&v->ctrl, &v->ctrl.tx);
    v->ctrl.broken = false;
    v->hash = (struct vif_hash){0};
    v->filter = false;
    v->groups = 0;
    v->queues = 0;
}

/* bind: this ring's event channel is not the other's. */
static int ring_up(struct vif_queue *q, struct vif_ring *r, uint64_t ref, uint64_t port, bool bind)
{
    struct xen *x = q->v->d.x;
    struct granted g;
    int rc = 0;

    if (ref >= UINT32_MAX || port == 0 || port > UINT32_MAX)
        return -EINVAL;
    if (grant_begin(x->gr, (uint32_t)ref, true, &g) != 0)
        return -EFAULT;
    *r = (struct vif_ring){.ref = (uint32_t)ref, .port = (unsigned)port, .page = g.page};
    if (g.len != VIF_PAGE)
        rc = -EFAULT;
    if (rc == 0 && bind)
        rc = evtchn_bind(x->ev, r->port, vif_sent, q, q->kick.fd);
    if (rc < 0)
        grant_end(x->gr, r->ref, true);
    r->up = rc == 0;
    return rc;
}

static uint64_t queue_key(struct vif_queue *q, const char *prefix, const char *key)
{
    char path[64];

    snprintf(path, sizeof(path), "%s%s", prefix, key);
    return xenbus_read(&q->v->d, path, UINT64_MAX);
}

/* prefix is "" or "queue-N/". */
static int queue_up(struct vif_queue *q, const char *prefix)
{
    uint64_t both = queue_key(q, prefix, "event-channel");
    uint64_t tx = queue_key(q, prefix, "event-channel-tx");
    uint64_t rx = queue_key(q, prefix, "event-channel-rx");
    bool split = tx != UINT64_MAX && rx != UINT64_MAX;
    int rc = ring_up(q, &q->tx, queue_key(q, prefix, "tx-ring-ref"), split ? tx : both, true);

    if (rc == 0)
        rc = ring_up(q, &q->rx, queue_key(q, prefix, "rx-ring-ref"), split ? rx : both,
                     split && rx != tx);
    return rc;
}

/* A front end may have a control ring. */
static int ctrl_up(struct vif *v)
{
    uint64_t ref = xenbus_read(&v->d, "ctrl-ring-ref", UINT64_MAX);
    uint64_t port = xenbus_read(&v->d, "event-channel-ctrl", UINT64_MAX);

    return ref == UINT64_MAX && port == UINT64_MAX
               ? 0
               : ring_up(&v->ctrl, &v->ctrl.tx, ref, port, true);
}

/* What may be given to this front end without work of ours. */
static uint32_t rx_caps(struct xenbus_dev *d)
{
    struct vif *v = vif_of(d);
    uint32_t rx = xenbus_read(d, "feature-no-csum-offload", 0) ? 0 : NET_CSUM;

    v->sg = xenbus_read(d, "feature-sg", 0);
    v->csum6 = xenbus_read(d, "feature-ipv6-csum-offload", 0);
    if (v->sg && rx && xenbus_read(d, "feature-gso-tcpv4", 0))
        rx |= NET_TSO4;
    if (v->sg && v->csum6 && rx && xenbus_read(d, "feature-gso-tcpv6", 0))
        rx |= NET_TSO6;
    return rx & v->caps.rx;
}

static int vif_connect(struct xenbus_dev *d)
{
    uint64_t queues = xenbus_read(d, "multi-queue-num-queues", 1);
    struct vif *v = vif_of(d);
    char prefix[16] = "";
    uint32_t rx;
    int rc = 0;

    if (queues == 0 || queues > v->offered || !xenbus_read(d, "request-rx-copy", 0))
        return -EINVAL;
    for (unsigned i = 0; i < queues && rc == 0; i++) {
        if (queues > 1)
            snprintf(prefix, sizeof(prefix), "queue-%u/", i);
        rc = queue_up(&v->q[i], prefix);
    }
    if (rc == 0)
        rc = ctrl_up(v);
    if (rc < 0)
        return rc;
    v->queues = (unsigned)queues;
    v->filter = xenbus_read(d, "request-multicast-control", 0);
    rx = rx_caps(d);
    if (v->netif->ops->set_caps)
        v->netif->ops->set_caps(v->netif, v->caps.tx & (NET_CSUM | NET_TSO4 | NET_TSO6), rx);
    for (unsigned i = 0; i < v->queues; i++)
        vif_wake(&v->q[i]); /* what was written before the channel was bound */
    vif_wake(&v->ctrl);
    return 0;
}

/* --- the network's events --- */

static void vif_readable(void *arg)
{
    vif_receive(arg);
}

static void vif_writable(void *arg)
{
    struct vif *v = arg;

    for (unsigned i = 0; i < v->queues; i++)
        vif_send(&v->q[i]);
}

static void vif_link(void *arg, bool up)
{
    struct vif *v = arg;

    v->caps.link = up;
    write_link(v);
    xenstore_run(v->d.x->store); /* no event is under way that would */
    log_line(LOG_INFO, "xen-vif", "%u: link %s", v->d.id, up ? "up" : "down");
}

static const struct net_events vif_events = {vif_readable, vif_writable, vif_link};

/* --- life --- */

static void queue_fini(struct vif_queue *q, struct loop *l)
{
    if (q->kick.fd < 0)
        return;
    loop_unwatch(l, &q->kick);
    close(q->kick.fd);
}

static void vif_destroy(struct xenbus_dev *d)
{
    struct vif *v = vif_of(d);

    v->netif->ops->listen(v->netif, NULL, NULL);
    net_close(v->netif);
    for (unsigned i = 0; i < VIF_QUEUES; i++)
        queue_fini(&v->q[i], d->x->p.env.dev.loop);
    queue_fini(&v->ctrl, d->x->p.env.dev.loop);
    free(v);
}

static void vif_describe(struct xenbus_dev *d, struct dump *out)
{
    struct vif *v = vif_of(d);
    char key[48];

    snprintf(key, sizeof(key), "vif %u queues", d->id);
    dump_add(out, key, "%u", v->queues);
    snprintf(key, sizeof(key), "vif %u frames", d->id);
    dump_add(out, key, "%llu sent, %llu received, %llu refused, %llu lost",
             (unsigned long long)v->sent, (unsigned long long)v->received,
             (unsigned long long)v->refused, (unsigned long long)v->lost);
}

static const struct xenbus_ops vif_ops = {
    .class = "vif",
    .offer = vif_offer,
    .connect = vif_connect,
    .disconnect = vif_disconnect,
    .destroy = vif_destroy,
    .describe = vif_describe,
};

static int queue_init(struct vif *v, struct vif_queue *q,
                      void (*kicked)(struct watch *w, uint32_t got), struct loop *l, struct err *e)
{
    int rc;

    q->v = v;
    q->kick = (struct watch){.want = EPOLLIN, .ready = kicked};
    q->kick.fd = bell_make();
    if (q->kick.fd < 0)
        return err_set(e, errno, "cannot make an eventfd for a Xen card: %s", strerror(errno));
    rc = loop_watch(l, &q->kick);
    return rc < 0 ? err_set(e, -rc, "cannot watch a Xen card's doorbell: %s", strerror(-rc)) : 0;
}

int vif_add(struct xen *x, const struct nic_spec *s, unsigned n, struct err *e)
{
    uint64_t queues = min_u64(x->p.env.cpus, 4);
    int rc = s->opts ? cfg_u64(s->opts, "queues", 1, VIF_QUEUES, &queues, e) : 0;
    struct vif *v = rc < 0 ? NULL : calloc(1, sizeof(*v));

    if (!v) {
        net_close(s->netif);
        return rc < 0 ? rc : err_set(e, ENOMEM, "no memory for %s", s->id);
    }
    v->d.ops = &vif_ops;
    v->d.x = x;
    v->offered = (unsigned)queues;
    v->netif = s->netif;
    v->netif->ops->caps(v->netif, &v->caps);
    memcpy(v->mac, s->mac, sizeof(v->mac));
    v->ctrl.kick.fd = -1;
    for (unsigned i = 0; i < VIF_QUEUES; i++)
        v->q[i].kick.fd = -1;
    for (unsigned i = 0; i < VIF_QUEUES && rc == 0; i++)
        rc = queue_init(v, &v->q[i], vif_kicked, x->p.env.dev.loop, e);
    if (rc == 0)
        rc = queue_init(v, &v->ctrl, vif_ctrl_kicked, x->p.env.dev.loop, e);
    if (rc == 0)
        rc = xenbus_add(x, &v->d, n, e);
    if (rc < 0) {
        vif_destroy(&v->d);
        return rc;
    }
    v->netif->ops->listen(v->netif, &vif_events, v);
    return 0;
}
