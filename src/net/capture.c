/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture.c - a filter over any network that writes every frame to a pcap file, as tcpdump and
 * wireshark read it (nanosecond variant, link type Ethernet). `--nic user,capture=FILE`.
 *
 * Frames are written as the NIC hands them over: with offloads on, checksums may still be open
 * and frames longer than the MTU. When the file cannot be written any more, frames still pass.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "abi/bytes.h"
#include "core/err.h"
#include "core/iov.h"
#include "core/log.h"
#include "net/kinds.h"

enum { CAPTURE_MAGIC = (int)0xa1b23c4d, CAPTURE_ETHERNET = 1, CAPTURE_IOV = NET_VECTORS + 1 };

/* The file's head and the head of each record, as in draft-ietf-opsawg-pcap. */
struct pcap_head {
    le32 magic;
    le16 major, minor;
    le32 reserved[2], snaplen, linktype;
};
WIRE_SIZE(struct pcap_head, 24);

struct pcap_record {
    le32 seconds, nanoseconds, captured, length;
};
WIRE_SIZE(struct pcap_record, 16);

struct capture {
    struct netif n; /* first */
    struct netif *in;
    int fd; /* -1 after it failed */
};

static struct capture *capture_of(struct netif *n)
{
    return container_of(n, struct capture, n);
}

static void capture_write(struct capture *c, const struct iovec *iov, int cnt, size_t len)
{
    struct pcap_record r;
    struct iovec v[CAPTURE_IOV];
    struct timespec ts;
    int n;

    if (c->fd < 0)
        return;
    n = iov_slice(iov, (unsigned)cnt, 0, len, v + 1, CAPTURE_IOV - 1);
    if (n < 0)
        return;
    clock_gettime(CLOCK_REALTIME, &ts);
    r = (struct pcap_record){le32_of((uint32_t)ts.tv_sec), le32_of((uint32_t)ts.tv_nsec),
                             le32_of((uint32_t)len), le32_of((uint32_t)len)};
    v[0] = (struct iovec){&r, sizeof(r)};
    if (writev(c->fd, v, n + 1) == (ssize_t)(sizeof(r) + len))
        return;
    log_line(LOG_ERROR, "capture", "the capture ends here: %s", strerror(errno));
    close(c->fd);
    c->fd = -1;
}

static long capture_send(struct netif *n, const struct net_meta *m, const struct iovec *iov,
                         int cnt)
{
    struct capture *c = capture_of(n);
    long rc = c->in->ops->send(c->in, m, iov, cnt);

    if (rc >= 0)
        capture_write(c, iov, cnt, (size_t)rc);
    n->stats = c->in->stats;
    return rc;
}

static long capture_recv(struct netif *n, struct net_meta *m, const struct iovec *iov, int cnt)
{
    struct capture *c = capture_of(n);
    long rc = c->in->ops->recv(c->in, m, iov, cnt);

    if (rc >= 0)
        capture_write(c, iov, cnt, (size_t)rc);
    n->stats = c->in->stats;
    return rc;
}

static void capture_caps(const struct netif *n, struct net_caps *out)
{
    const struct capture *c = container_of(n, const struct capture, n);

    c->in->ops->caps(c->in, out);
}

static void capture_set_caps(struct netif *n, uint32_t tx, uint32_t rx)
{
    struct capture *c = capture_of(n);

    c->in->ops->set_caps(c->in, tx, rx);
}

static void capture_listen(struct netif *n, const struct net_events *ev, void *arg)
{
    struct capture *c = capture_of(n);

    c->in->ops->listen(c->in, ev, arg);
}

static void capture_close(struct netif *n)
{
    struct capture *c = capture_of(n);

    net_close(c->in);
    if (c->fd >= 0)
        close(c->fd);
    free(c);
}

static const struct net_ops capture_ops = {
    .name = "capture",
    .close = capture_close,
    .caps = capture_caps,
    .set_caps = capture_set_caps,
    .listen = capture_listen,
    .send = capture_send,
    .recv = capture_recv,
};

int net_capture(struct netif *in, const char *path, struct netif **out, struct err *e)
{
    struct pcap_head h = {.magic = le32_of((uint32_t)CAPTURE_MAGIC),
                          .major = le16_of(2),
                          .minor = le16_of(4),
                          .snaplen = le32_of(NET_FRAME_MAX),
                          .linktype = le32_of(CAPTURE_ETHERNET)};
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600);
    struct capture *c;

    if (fd < 0)
        return err_set(e, errno, "cannot write the capture %s: %s", path, strerror(errno));
    c = calloc(1, sizeof(*c));
    if (!c || write(fd, &h, sizeof(h)) != sizeof(h)) {
        int code = c ? errno : ENOMEM;

        close(fd);
        free(c);
        return err_set(e, code, "cannot write the capture %s: %s", path, strerror(code));
    }
    c->n.ops = &capture_ops;
    c->in = in;
    c->fd = fd;
    *out = &c->n;
    return 0;
}
