/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user.c - a network in user space by libslirp: NAT, DHCP, DNS and forwards without privileges.
 *
 * The guest sees 10.0.2.0/24 (gateway .2, name server .3, itself .15) and fec0::/64.
 *
 * libslirp wants to be asked before and after each poll for its descriptors. They live in an
 * epoll set of our own, which is one descriptor in the loop. A round, once per turn of the loop
 * in which anything happened, hands over what became ready, asks what is wanted now, and changes
 * only what differs in the set. Frames for the guest are queued and told once per round.
 *
 * Everything runs on the loop's thread.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cfg.h"
#include "core/dl.h"
#include "core/err.h"
#include "core/iov.h"
#include "core/log.h"
#include "core/loop.h"
#include "net/csum.h"
#include "net/forward.h"
#include "net/frames.h"
#include "net/kinds.h"

/* Loaded when it is first used: see core/dl.h. It brings GLib. */
DL_DECLARE(slirp_add_hostxfwd);
DL_DECLARE(slirp_cleanup);
DL_DECLARE(slirp_handle_timer);
DL_DECLARE(slirp_input);
DL_DECLARE(slirp_new);
DL_DECLARE(slirp_pollfds_fill);
DL_DECLARE(slirp_pollfds_poll);
static const struct dl_symbol libslirp[] = {
    DL_SYMBOL(slirp_add_hostxfwd), DL_SYMBOL(slirp_cleanup),
    DL_SYMBOL(slirp_handle_timer), DL_SYMBOL(slirp_input),
    DL_SYMBOL(slirp_new),          DL_SYMBOL(slirp_pollfds_fill),
    DL_SYMBOL(slirp_pollfds_poll), {NULL, NULL},
};
#define slirp_add_hostxfwd dl_slirp_add_hostxfwd
#define slirp_cleanup dl_slirp_cleanup
#define slirp_handle_timer dl_slirp_handle_timer
#define slirp_input dl_slirp_input
#define slirp_new dl_slirp_new
#define slirp_pollfds_fill dl_slirp_pollfds_fill
#define slirp_pollfds_poll dl_slirp_pollfds_poll

enum {
    USER_QUEUE = 8 << 20,      /* bytes for a guest that does not take its frames */
    USER_STALE_NS = 500000000, /* how far libslirp's clock may be behind */
    USER_SYN_MAX = 150,        /* bytes of the longest frame with a TCP SYN */
    USER_MTU = 1500,           /* what the guest is told */
    USER_LONG = 65521,         /* what libslirp is told: the most that it takes */
    USER_SEGMENTS = 4,         /* that a guest's window has room for, when they are long */
    USER_SEGMENT = 65535 / USER_SEGMENTS, /* the longest that libslirp sends, with its headers */
};

struct user_slot {
    int want, got; /* SLIRP_POLL_* */
    uint64_t seen; /* the last round that wanted it */
};

struct user {
    struct netif n; /* first */
    struct loop *loop;
    Slirp *slirp;
    const struct net_events *ev;
    void *ev_arg;

    struct watch set; /* the epoll set */
    struct alarm round, timeout;
    struct user_slot *slots; /* by descriptor */
    size_t slot_count;
    int *active; /* descriptors in the set */
    size_t active_count, active_room;
    uint64_t rounds;
    bool polled;      /* some slot has got */
    uint64_t told_ns; /* when libslirp last learnt the time */

    struct frames rx;
    bool telling;     /* inside readable() */
    uint32_t rx_caps; /* what the guest takes */
    struct log_limit complaints;
    uint8_t tx[NET_FRAME_MAX];  /* libslirp parses frames: never from guest memory */
    uint8_t cut[NET_FRAME_MAX]; /* a segment of a frame that the guest does not take whole */
};

static struct user *user_of(struct netif *n)
{
    return container_of(n, struct user, n);
}

/* A round at the end of this turn of the loop. */
static void user_wake(struct user *u)
{
    if (!u->round.at)
        loop_arm(u->loop, &u->round, 0);
}

/* --- the epoll set --- */

static const struct {
    int slirp;
    uint32_t epoll;
} user_bits[] = {
    {SLIRP_POLL_IN, EPOLLIN},   {SLIRP_POLL_OUT, EPOLLOUT}, {SLIRP_POLL_PRI, EPOLLPRI},
    {SLIRP_POLL_ERR, EPOLLERR}, {SLIRP_POLL_HUP, EPOLLHUP},
};

static uint32_t user_to_epoll(int events)
{
    uint32_t out = 0;

    for (size_t i = 0; i < ARRAY_SIZE(user_bits); i++)
        out |= events & user_bits[i].slirp ? user_bits[i].epoll : 0;
    return out;
}

static int user_from_epoll(uint32_t events)
{
    int out = 0;

    for (size_t i = 0; i < ARRAY_SIZE(user_bits); i++)
        out |= events & user_bits[i].epoll ? user_bits[i].slirp : 0;
    return out;
}

static bool user_reserve(struct user *u, int fd)
{
    size_t count = u->slot_count ? u->slot_count : 64;
    struct user_slot *slots;
    int *active;

    while (count <= (size_t)fd)
        count *= 2;
    if (count > u->slot_count) {
        slots = reallocarray(u->slots, count, sizeof(*slots));
        if (!slots)
            return false;
        memset(slots + u->slot_count, 0, (count - u->slot_count) * sizeof(*slots));
        u->slots = slots;
        u->slot_count = count;
    }
    if (u->active_count < u->active_room)
        return true;
    active = reallocarray(u->active, u->active_room + 64, sizeof(*active));
    if (!active)
        return false;
    u->active = active;
    u->active_room += 64;
    return true;
}

/* Called for each descriptor while a round asks what is wanted. */
static int user_add_poll(int fd, int events, void *opaque)
{
    struct user *u = opaque;
    struct epoll_event ev = {.events = user_to_epoll(events), .data.fd = fd};
    struct user_slot *s;

    if (fd < 0 || events == 0 || !user_reserve(u, fd))
        return -1;
    s = &u->slots[fd];
    s->seen = u->rounds;
    if (s->want == events)
        return fd;
    if (s->want == 0)
        u->active[u->active_count++] = fd;
    s->want = events;
    if (epoll_ctl(u->set.fd, EPOLL_CTL_MOD, fd, &ev) < 0 && errno == ENOENT)
        epoll_ctl(u->set.fd, EPOLL_CTL_ADD, fd, &ev);
    return fd;
}

static int user_get_revents(int idx, void *opaque)
{
    struct user *u = opaque;

    return idx >= 0 && (size_t)idx < u->slot_count ? u->slots[idx].got : 0;
}

/* Takes out of the set what this round did not want: a hang-up would come again for ever. */
static void user_sweep(struct user *u)
{
    for (size_t i = 0; i < u->active_count;) {
        int fd = u->active[i];

        if (u->slots[fd].seen == u->rounds) {
            i++;
            continue;
        }
        epoll_ctl(u->set.fd, EPOLL_CTL_DEL, fd, NULL);
        u->slots[fd] = (struct user_slot){0};
        u->active[i] = u->active[--u->active_count];
    }
}

static void user_ready(struct watch *w, uint32_t got)
{
    struct user *u = container_of(w, struct user, set);
    struct epoll_event ev[64];
    int n = epoll_wait(w->fd, ev, ARRAY_SIZE(ev), 0);

    (void)got;
    for (int i = 0; i < n; i++)
        u->slots[ev[i].data.fd].got = user_from_epoll(ev[i].events);
    u->polled = u->polled || n > 0;
    user_wake(u);
}

/* Hands over what became ready. libslirp also takes the time from here, and dates what it does for
 * a frame with that: see user_send(). */
static void user_poll(struct user *u)
{
    u->told_ns = loop_now(u->loop);
    slirp_pollfds_poll(u->slirp, 0, user_get_revents, u);
    for (size_t i = 0; u->polled && i < u->active_count; i++)
        u->slots[u->active[i]].got = 0;
    u->polled = false;
}

/* Tells of frames. Once more in the next round as long as the guest takes some; a guest without
 * buffers asks by itself when it has some. */
static void user_tell(struct user *u)
{
    size_t before = u->rx.count;

    if (!before || !u->ev)
        return;
    u->telling = true;
    u->ev->readable(u->ev_arg);
    u->telling = false;
    if (u->rx.count && u->rx.count < before)
        user_wake(u);
}

static void user_round(struct user *u)
{
    uint32_t ms = UINT32_MAX;

    user_poll(u);
    u->rounds++;
    slirp_pollfds_fill(u->slirp, &ms, user_add_poll, u);
    user_sweep(u);
    if (ms < 1000)
        loop_arm(u->loop, &u->timeout, loop_now(u->loop) + ms * UINT64_C(1000000));
    else
        loop_disarm(u->loop, &u->timeout);
    user_tell(u);
}

static void user_round_alarm(struct alarm *a)
{
    user_round(container_of(a, struct user, round));
}

static void user_timeout_alarm(struct alarm *a)
{
    user_round(container_of(a, struct user, timeout));
}

/* --- what libslirp calls --- */

static int user_queue(void *arg, const uint8_t *f, size_t len)
{
    static const struct net_meta right = {.flags = NET_CSUM_OK};
    struct user *u = arg;
    struct iovec iov = {(void *)(uintptr_t)f, len};

    if (!frames_push(&u->rx, u->rx_caps & NET_CSUM ? &right : NULL, &iov, 1))
        u->n.stats.dropped++;
    return 0;
}

/* A TCP frame longer than the MTU: as it is for a guest that takes such, with the segment size
 * that the wire would have, else in segments. Everything else: IPv4 fragments. */
static int user_queue_long(struct user *u, const uint8_t *f, size_t len)
{
    struct net_meta m = {0};
    struct iovec iov = {u->cut, len};
    struct net_layout o;
    uint32_t need;
    size_t size;

    if (len > NET_FRAME_MAX || !net_layout(f, len, &o))
        return -EINVAL;
    if (o.proto != IPPROTO_TCP || !o.payload)
        return net_fragment(f, len, USER_MTU, u->cut, user_queue, u);
    size = USER_MTU - (o.payload - o.l3);
    need = NET_CSUM | (o.version == 4 ? NET_TSO4 : NET_TSO6);
    if ((u->rx_caps & need) != need)
        return net_segment(f, len, size, u->cut, user_queue, u);
    memcpy(u->cut, f, len);
    m.gso = o.version == 4 ? NET_GSO_TCP4 : NET_GSO_TCP6;
    m.gso_size = (uint16_t)size;
    if (net_csum_defer(u->cut, len, &m) < 0)
        return -EINVAL;
    return frames_push(&u->rx, &m, &iov, 1) ? 0 : -ENOBUFS;
}

static ssize_t user_send_packet(const void *buf, size_t len, void *opaque)
{
    struct user *u = opaque;

    if (len <= USER_MTU + 14)
        user_queue(u, buf, len);
    else if (user_queue_long(u, buf, len) < 0)
        u->n.stats.dropped++;
    user_wake(u);
    return (ssize_t)len;
}

static void user_guest_error(const char *msg, void *opaque)
{
    struct user *u = opaque;

    if (log_on(LOG_WARN) && log_allow(&u->complaints, "user", 10))
        log_line(LOG_WARN, "user", "guest fault: %s", msg);
}

static int64_t user_clock(void *opaque)
{
    struct user *u = opaque;

    return (int64_t)loop_now(u->loop);
}

struct user_timer {
    struct alarm alarm;
    struct user *u;
    SlirpTimerId id;
    void *arg;
};

static void user_timer_fire(struct alarm *a)
{
    struct user_timer *t = container_of(a, struct user_timer, alarm);

    slirp_handle_timer(t->u->slirp, t->id, t->arg);
    user_wake(t->u);
}

static void *user_timer_new(SlirpTimerId id, void *cb_opaque, void *opaque)
{
    struct user_timer *t = calloc(1, sizeof(*t));

    if (!t)
        abort(); /* 64 bytes at start */
    *t =
        (struct user_timer){.alarm.fire = user_timer_fire, .u = opaque, .id = id, .arg = cb_opaque};
    return t;
}

static void user_timer_free(void *timer, void *opaque)
{
    struct user_timer *t = timer;

    (void)opaque;
    loop_disarm(t->u->loop, &t->alarm);
    free(t);
}

static void user_timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
    struct user_timer *t = timer;

    (void)opaque;
    loop_arm(t->u->loop, &t->alarm, (uint64_t)expire_ms * 1000000);
}

/* A new descriptor may have the number of one that was closed: forget that one. */
static void user_register(int fd, void *opaque)
{
    struct user *u = opaque;

    if (fd < 0 || (size_t)fd >= u->slot_count || u->slots[fd].want == 0)
        return;
    epoll_ctl(u->set.fd, EPOLL_CTL_DEL, fd, NULL);
    u->slots[fd] = (struct user_slot){0};
    for (size_t i = 0; i < u->active_count; i++) {
        if (u->active[i] == fd) {
            u->active[i] = u->active[--u->active_count];
            return;
        }
    }
}

static void user_notify(void *opaque)
{
    user_wake(opaque);
}

static const struct SlirpCb user_callbacks = {
    .send_packet = user_send_packet,
    .guest_error = user_guest_error,
    .clock_get_ns = user_clock,
    .timer_free = user_timer_free,
    .timer_mod = user_timer_mod,
    .register_poll_fd = user_register,
    .unregister_poll_fd = user_register,
    .notify = user_notify,
    .timer_new_opaque = user_timer_new,
};

/* --- set-up --- */

static int user_start(struct user *u, struct cfg *c, struct err *e)
{
    const char *net = cfg_get(c, "net");
    struct in_addr base;
    SlirpConfig s = {
        .version = 4,
        .restricted = cfg_flag(c, "restrict"),
        .in_enabled = true,
        .in6_enabled = true,
        .vprefix_len = 64,
        .if_mtu = USER_LONG,
        .if_mru = USER_SEGMENT, /* bounds nothing but this */
        .vhostname = cfg_get(c, "hostname"),
        .tftp_path = cfg_get(c, "tftp"),
        .bootfile = cfg_get(c, "bootfile"),
    };
    struct stat st;
    int rc;

    if (inet_pton(AF_INET, net ? net : "10.0.2.0", &base) != 1 || (ntohl(base.s_addr) & 0xff))
        return err_exit(e, EX_USAGE_, EINVAL,
                        "net=%s is not a network with 24 bits; write it like net=10.0.3.0", net);
    if (s.tftp_path && (stat(s.tftp_path, &st) < 0 || !S_ISDIR(st.st_mode)))
        return err_exit(e, EX_MISSING, ENOENT, "tftp=%s: there is no such folder", s.tftp_path);
    s.vnetwork = base;
    s.vnetmask.s_addr = htonl(0xffffff00);
    s.vhost.s_addr = htonl(ntohl(base.s_addr) | 2);
    s.vnameserver.s_addr = htonl(ntohl(base.s_addr) | 3);
    s.vdhcp_start.s_addr = htonl(ntohl(base.s_addr) | 15);
    inet_pton(AF_INET6, "fec0::", &s.vprefix_addr6);
    inet_pton(AF_INET6, "fec0::2", &s.vhost6);
    inet_pton(AF_INET6, "fec0::3", &s.vnameserver6);
    rc = dl_load("libslirp.so.0", "libslirp0", libslirp, e);
    if (rc < 0)
        return rc;
    u->slirp = slirp_new(&s, &user_callbacks, u);
    return u->slirp ? 0 : err_set(e, EIO, "libslirp cannot set up a user network");
}

static int user_forward(struct user *u, const char *text, struct err *e)
{
    struct forward f;
    int rc = forward_parse(text, &f, e);

    if (rc < 0)
        return rc;
    if (slirp_add_hostxfwd(u->slirp, &f.host.sa, f.len, &f.guest.sa, f.len,
                           f.udp ? SLIRP_HOSTFWD_UDP : 0) == 0)
        return 0;
    switch (errno) {
    case EADDRINUSE:
        return err_exit(e, EX_IN_USE, EADDRINUSE,
                        "cannot forward %s: host port %u is in use already; choose another", text,
                        ntohs(f.host.in.sin_port));
    case EACCES:
        return err_exit(e, EX_USAGE_, EACCES,
                        "cannot forward %s: host port %u is for root; choose one above 1023", text,
                        ntohs(f.host.in.sin_port));
    case EADDRNOTAVAIL:
        return err_exit(e, EX_USAGE_, EADDRNOTAVAIL,
                        "cannot forward %s: this host does not have that address", text);
    default:
        return err_set(e, errno, "cannot forward %s: %s", text, strerror(errno));
    }
}

static int user_forwards(struct user *u, struct cfg *c, struct err *e)
{
    const char *key, *value;
    int rc = 0;

    cfg_get(c, "forward"); /* marks all of them as read */
    for (size_t i = 0; rc == 0 && cfg_at(c, i, &key, &value); i++) {
        if (strcmp(key, "forward") == 0)
            rc = user_forward(u, value, e);
    }
    return rc;
}

static void user_close(struct netif *n)
{
    struct user *u = user_of(n);

    if (u->slirp)
        slirp_cleanup(u->slirp);
    loop_disarm(u->loop, &u->round);
    loop_disarm(u->loop, &u->timeout);
    loop_unwatch(u->loop, &u->set);
    if (u->set.fd >= 0)
        close(u->set.fd);
    frames_free(&u->rx);
    free(u->slots);
    free(u->active);
    free(u);
}

static int user_open(struct cfg *c, struct loop *l, struct netif **out, struct err *e)
{
    struct user *u = calloc(1, sizeof(*u));
    int rc;

    if (!u)
        return err_set(e, ENOMEM, "no memory for a user network");
    u->n.ops = &net_user;
    u->loop = l;
    u->round.fire = user_round_alarm;
    u->timeout.fire = user_timeout_alarm;
    frames_init(&u->rx, USER_QUEUE);
    u->set =
        (struct watch){.fd = epoll_create1(EPOLL_CLOEXEC), .want = EPOLLIN, .ready = user_ready};
    rc = u->set.fd < 0 ? -errno : loop_watch(l, &u->set);
    if (rc < 0)
        rc = err_set(e, -rc, "cannot set up a user network: %s", strerror(-rc));
    else
        rc = user_start(u, c, e);
    if (rc == 0)
        rc = user_forwards(u, c, e);
    if (rc < 0) {
        user_close(&u->n);
        return rc;
    }
    user_poll(u);
    user_wake(u);
    *out = &u->n;
    return 0;
}

/* --- frames --- */

static void user_caps(const struct netif *n, struct net_caps *out)
{
    (void)n;
    *out = (struct net_caps){.tx = NET_CSUM | NET_TSO4 | NET_TSO6,
                             .rx = NET_CSUM | NET_TSO4 | NET_TSO6,
                             .mtu = USER_MTU,
                             .queues = 1,
                             .link = true};
}

static void user_set_caps(struct netif *n, uint32_t tx, uint32_t rx)
{
    (void)tx;
    user_of(n)->rx_caps = rx;
}

static void user_listen(struct netif *n, const struct net_events *ev, void *arg)
{
    struct user *u = user_of(n);

    u->ev = ev;
    u->ev_arg = arg;
    if (u->rx.count)
        user_wake(u);
}

static int user_input(void *arg, const uint8_t *f, size_t len)
{
    struct user *u = arg;

    slirp_input(u->slirp, f, (int)len);
    return 0;
}

/* A guest that takes long frames is sent some. libslirp goes by the segment size in the guest's SYN
 * if it has called the guest, and by its own otherwise. It waits for a window of one segment or of
 * half of the largest that it has seen, and a guest opens a window again when that doubles it:
 * segments of half a window leave one in which both wait, until libslirp probes five seconds
 * later. */
static void user_lengthen(struct user *u, size_t len)
{
    uint16_t mss = net_syn_window(u->tx, len) / USER_SEGMENTS;

    if (mss > USER_MTU)
        net_mss_set(u->tx, len, mss);
}

/* Does what the guest left to us. libslirp takes TCP frames of nearly any length that IP can say,
 * so one to be segmented needs only its headers made whole. */
static int user_finish(struct user *u, const struct net_meta *m, size_t len)
{
    int rc = 0;

    if (m->gso != NET_GSO_NONE && len > USER_LONG)
        return net_segment(u->tx, len, m->gso_size, u->cut, user_input, u);
    if (m->gso != NET_GSO_NONE)
        rc = net_csum_all(u->tx, len);
    else if (m->flags & NET_NEEDS_CSUM)
        rc = net_csum_fill(u->tx, len, m);
    if (rc == 0 && (u->rx_caps & (NET_TSO4 | NET_TSO6)) && len < USER_SYN_MAX)
        user_lengthen(u, len);
    return rc < 0 ? rc : user_input(u, u->tx, len);
}

static long user_send(struct netif *n, const struct net_meta *m, const struct iovec *iov, int cnt)
{
    struct user *u = user_of(n);
    size_t len = iov_read(iov, (unsigned)cnt, 0, u->tx, sizeof(u->tx));
    int rc;

    /* After a long silence a new socket would be older than its own expiry at once. */
    if (loop_now(u->loop) - u->told_ns > USER_STALE_NS)
        user_poll(u);
    rc = user_finish(u, m, len);
    user_wake(u);
    if (rc < 0) {
        n->stats.dropped++;
        return rc;
    }
    n->stats.tx_frames++;
    n->stats.tx_bytes += len;
    return (long)len;
}

static long user_recv(struct netif *n, struct net_meta *m, const struct iovec *iov, int cnt)
{
    struct user *u = user_of(n);
    long len = frames_pop(&u->rx, m, iov, cnt);

    if (len >= 0) {
        n->stats.rx_frames++;
        n->stats.rx_bytes += (uint64_t)len;
        if (u->rx.count && !u->telling)
            user_wake(u); /* the NIC may have stopped before the end */
    } else if (len == -EMSGSIZE) {
        n->stats.dropped++;
    }
    return len;
}

const struct net_ops net_user = {
    .name = "user",
    .about = "a private network with NAT and forwards, no privileges",
    .open = user_open,
    .close = user_close,
    .caps = user_caps,
    .set_caps = user_set_caps,
    .listen = user_listen,
    .send = user_send,
    .recv = user_recv,
};
