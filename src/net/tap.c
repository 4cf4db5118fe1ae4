/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap.c - frames to and from a tap device of the host, with checksum and segmentation offloads
 * handed through by the virtio-net header that Linux puts before each frame (IFF_VNET_HDR).
 *
 * `tap=NAME` uses a device that was made for this user, or makes one, which goes away with the
 * machine; that takes CAP_NET_ADMIN. One queue. Everything runs on the loop's thread.
 *
 * Not modelled: bridges and addresses, which are the host's own affair.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cfg.h"
#include "core/err.h"
#include "core/loop.h"
#include "net/kinds.h"

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

enum { TAP_IOV = NET_VECTORS + 2 /* the header, the frame, and what is too much of it */ };

struct tap {
    struct netif n; /* first */
    struct loop *loop;
    struct watch w;
    const struct net_events *ev;
    void *arg;
    bool took; /* recv() gave a frame since the last look */
    bool link, uso;
    uint16_t mtu;
};

static struct tap *tap_of(struct netif *n)
{
    return container_of(n, struct tap, n);
}

/* --- events --- */

static void tap_want(struct tap *t, uint32_t want)
{
    if (t->w.loop && loop_rewatch(t->loop, &t->w, want) < 0)
        loop_unwatch(t->loop, &t->w);
}

static void tap_gone(struct tap *t)
{
    loop_unwatch(t->loop, &t->w);
    t->link = false;
    if (t->ev && t->ev->link)
        t->ev->link(t->arg, false);
}

static void tap_ready(struct watch *w, uint32_t got)
{
    struct tap *t = container_of(w, struct tap, w);

    if (got & (EPOLLERR | EPOLLHUP)) {
        tap_gone(t); /* the device was deleted */
        return;
    }
    if (got & EPOLLOUT) {
        tap_want(t, w->want & ~(uint32_t)EPOLLOUT);
        if (t->ev && t->ev->writable)
            t->ev->writable(t->arg);
    }
    if (!(got & EPOLLIN))
        return;
    t->took = false;
    if (t->ev)
        t->ev->readable(t->arg);
    /* A guest without buffers must not make the loop spin: recv() switches this on again. */
    if (!t->took)
        tap_want(t, w->want & ~(uint32_t)EPOLLIN);
}

static void tap_listen(struct netif *n, const struct net_events *ev, void *arg)
{
    struct tap *t = tap_of(n);

    t->ev = ev;
    t->arg = arg;
    tap_want(t, ev ? EPOLLIN : 0);
}

/* --- frames --- */

static const struct {
    enum net_gso gso;
    uint8_t wire;
} tap_gso[] = {
    {NET_GSO_TCP4, VIRTIO_NET_HDR_GSO_TCPV4},
    {NET_GSO_TCP6, VIRTIO_NET_HDR_GSO_TCPV6},
    {NET_GSO_UDP, VIRTIO_NET_HDR_GSO_UDP_L4},
};

static struct virtio_net_hdr tap_head(const struct net_meta *m)
{
    struct virtio_net_hdr h = {.hdr_len = m->hdr_len};

    if (m->flags & NET_NEEDS_CSUM) {
        h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        h.csum_start = m->csum_start;
        h.csum_offset = m->csum_off;
    }
    for (size_t i = 0; i < ARRAY_SIZE(tap_gso); i++) {
        if (m->gso == tap_gso[i].gso) {
            h.gso_type = tap_gso[i].wire | (m->ecn ? VIRTIO_NET_HDR_GSO_ECN : 0);
            h.gso_size = m->gso_size;
        }
    }
    return h;
}

static void tap_meta(const struct virtio_net_hdr *h, struct net_meta *m)
{
    uint8_t type = h->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;

    *m = (struct net_meta){.hdr_len = h->hdr_len, .ecn = h->gso_type & VIRTIO_NET_HDR_GSO_ECN};
    if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
        m->flags = NET_NEEDS_CSUM;
        m->csum_start = h->csum_start;
        m->csum_off = h->csum_offset;
    } else if (h->flags & VIRTIO_NET_HDR_F_DATA_VALID) {
        m->flags = NET_CSUM_OK;
    }
    for (size_t i = 0; i < ARRAY_SIZE(tap_gso); i++) {
        if (type == tap_gso[i].wire) {
            m->gso = tap_gso[i].gso;
            m->gso_size = h->gso_size;
        }
    }
}

/* The header and the frame's vectors as one list with room for one more; 0 when there are too
 * many. */
static int tap_vectors(struct virtio_net_hdr *h, const struct iovec *iov, int cnt,
                       struct iovec out[TAP_IOV])
{
    if (cnt < 0 || cnt > NET_VECTORS)
        return 0;
    out[0] = (struct iovec){h, sizeof(*h)};
    memcpy(out + 1, iov, (size_t)cnt * sizeof(*iov));
    return cnt + 1;
}

static long tap_send(struct netif *n, const struct net_meta *m, const struct iovec *iov, int cnt)
{
    struct tap *t = tap_of(n);
    struct virtio_net_hdr h = tap_head(m);
    struct iovec v[TAP_IOV];
    int vectors = tap_vectors(&h, iov, cnt, v);
    ssize_t rc = -1;

    if (vectors == 0)
        errno = E2BIG;
    else
        rc = writev(t->w.fd, v, vectors);
    if (rc < 0 && errno == EAGAIN) {
        tap_want(t, t->w.want | EPOLLOUT);
        return -EAGAIN;
    }
    if (rc < 0) {
        n->stats.dropped++;
        return -errno;
    }
    n->stats.tx_frames++;
    n->stats.tx_bytes += (uint64_t)rc - sizeof(h);
    return rc - (long)sizeof(h);
}

static long tap_recv(struct netif *n, struct net_meta *m, const struct iovec *iov, int cnt)
{
    struct tap *t = tap_of(n);
    struct virtio_net_hdr h = {0};
    struct iovec v[TAP_IOV];
    int vectors = tap_vectors(&h, iov, cnt, v);
    ssize_t rc;
    uint8_t over;

    if (vectors == 0)
        return -E2BIG;
    v[vectors++] = (struct iovec){&over, 1}; /* tells whether the frame was longer */
    rc = readv(t->w.fd, v, vectors);
    t->took = rc >= 0 || t->took;
    if (t->ev && !(t->w.want & EPOLLIN))
        tap_want(t, t->w.want | EPOLLIN);
    if (rc < (ssize_t)sizeof(h))
        return rc < 0 && errno == EAGAIN ? -EAGAIN : rc < 0 ? -errno : -EIO;
    rc -= (ssize_t)sizeof(h);
    for (int i = 1; i < vectors - 1; i++)
        rc -= (ssize_t)v[i].iov_len;
    if (rc > 0) {
        n->stats.dropped++;
        return -EMSGSIZE;
    }
    for (int i = 1; i < vectors - 1; i++)
        rc += (ssize_t)v[i].iov_len;
    tap_meta(&h, m);
    n->stats.rx_frames++;
    n->stats.rx_bytes += (uint64_t)rc;
    return rc;
}

/* --- offloads --- */

static void tap_caps(const struct netif *n, struct net_caps *out)
{
    const struct tap *t = container_of(n, const struct tap, n);
    uint32_t all = NET_CSUM | NET_TSO4 | NET_TSO6 | NET_TSO_ECN | (t->uso ? NET_USO : 0);

    *out = (struct net_caps){.tx = all, .rx = all, .mtu = t->mtu, .queues = 1, .link = t->link};
}

static unsigned long tap_offloads(uint32_t rx)
{
    unsigned long f = 0;

    if (!(rx & NET_CSUM))
        return 0; /* the others need it */
    f = TUN_F_CSUM;
    f |= rx & NET_TSO4 ? TUN_F_TSO4 : 0;
    f |= rx & NET_TSO6 ? TUN_F_TSO6 : 0;
    f |= rx & NET_TSO_ECN && f != TUN_F_CSUM ? TUN_F_TSO_ECN : 0;
    f |= rx & NET_USO ? TUN_F_USO4 | TUN_F_USO6 : 0;
    return f;
}

static void tap_set_caps(struct netif *n, uint32_t tx, uint32_t rx)
{
    (void)tx; /* the kernel takes everything on the way out */
    if (ioctl(tap_of(n)->w.fd, TUNSETOFFLOAD, tap_offloads(rx)) < 0)
        ioctl(tap_of(n)->w.fd, TUNSETOFFLOAD, 0UL);
}

/* --- set-up --- */

static int tap_attach(int fd, const char *name, struct err *e)
{
    struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int size = (int)sizeof(struct virtio_net_hdr);

    memcpy(r.ifr_name, name, strlen(name));
    if (ioctl(fd, TUNSETIFF, &r) < 0) {
        int code = errno;

        if (code == EPERM || code == EACCES)
            return err_exit(e, EX_USAGE_, code,
                            "tap %s is not this user's; make it once as root: ip tuntap add dev %s "
                            "mode tap user NAME",
                            name, name);
        if (code == EBUSY)
            return err_set(e, code, "tap %s is in use by another process", name);
        if (code == EINVAL)
            return err_exit(e, EX_USAGE_, code, "%s is a network device, but no tap of one queue",
                            name);
        return err_set(e, code, "cannot use tap %s: %s", name, strerror(code));
    }
    if (ioctl(fd, TUNSETVNETHDRSZ, &size) < 0)
        return err_set(e, errno, "cannot set up tap %s: %s", name, strerror(errno));
    return 0;
}

/* Brings the device up if that is allowed; finds out what it is. */
static void tap_look(struct tap *t, const char *name)
{
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq r = {0};

    memcpy(r.ifr_name, name, strlen(name));
    t->mtu = 1500;
    if (s < 0)
        return;
    if (ioctl(s, SIOCGIFMTU, &r) == 0 && r.ifr_mtu > 0)
        t->mtu = (uint16_t)min_u64((uint64_t)r.ifr_mtu, 65535);
    if (ioctl(s, SIOCGIFFLAGS, &r) == 0 && !(r.ifr_flags & IFF_UP)) {
        r.ifr_flags |= IFF_UP;
        ioctl(s, SIOCSIFFLAGS, &r);
    }
    t->link = ioctl(s, SIOCGIFFLAGS, &r) == 0 && (r.ifr_flags & IFF_UP);
    close(s);
}

static int tap_open_device(const char *name, struct err *e)
{
    int fd, rc;

    if (!*name || strlen(name) >= IFNAMSIZ || strchr(name, '/') || strchr(name, '%'))
        return err_exit(e, EX_USAGE_, EINVAL,
                        "tap=%s: a device's name has 1 to %d characters, without '/' and '%%'",
                        name, IFNAMSIZ - 1);
    fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_exit(e, EX_NO_HOST, errno,
                        "cannot open /dev/net/tun: %s; see hospes doctor, or use --nic user",
                        strerror(errno));
    rc = tap_attach(fd, name, e);
    if (rc < 0)
        close(fd);
    return rc < 0 ? rc : fd;
}

static void tap_close(struct netif *n)
{
    struct tap *t = tap_of(n);

    loop_unwatch(t->loop, &t->w);
    close(t->w.fd);
    free(t);
}

static int tap_open(struct cfg *c, struct loop *l, struct netif **out, struct err *e)
{
    const char *name = cfg_get(c, "tap");
    int fd = tap_open_device(name, e), rc;
    struct tap *t;

    if (fd < 0)
        return fd;
    t = calloc(1, sizeof(*t));
    if (!t) {
        close(fd);
        return err_set(e, ENOMEM, "no memory for a network");
    }
    t->n.ops = &net_tap;
    t->loop = l;
    t->w = (struct watch){.fd = fd, .ready = tap_ready};
    t->uso = ioctl(fd, TUNSETOFFLOAD, (unsigned long)(TUN_F_CSUM | TUN_F_USO4 | TUN_F_USO6)) == 0;
    ioctl(fd, TUNSETOFFLOAD, 0UL);
    tap_look(t, name);
    rc = loop_watch(l, &t->w);
    if (rc < 0) {
        tap_close(&t->n);
        return err_set(e, -rc, "cannot watch tap %s: %s", name, strerror(-rc));
    }
    *out = &t->n;
    return 0;
}

const struct net_ops net_tap = {
    .name = "tap",
    .about = "a tap device of the host",
    .open = tap_open,
    .close = tap_close,
    .caps = tap_caps,
    .set_caps = tap_set_caps,
    .listen = tap_listen,
    .send = tap_send,
    .recv = tap_recv,
};
