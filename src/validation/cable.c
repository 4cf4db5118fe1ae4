/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cable.c - see cable.h. Documents: the stream of net/socket.c (each frame behind its length, 4
 * bytes in network order), RFC 826 (ARP), RFC 791 and 792 (echo). Not modelled: VLAN tags,
 * fragments, IP options, anything that is not asked of 10.9.0.1.
 */
#define _GNU_SOURCE
#include "validation/cable.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/bytes.h"
#include "core/err.h"
#include "core/frame.h"
#include "core/usock.h"

enum {
    CABLE_WAIT_MS = 100,
    ETHER_HEAD = 14,
    ETHER_IP = 0x0800,
    ETHER_ARP = 0x0806,
    ARP_LEN = 28,
    IP_HEAD = 20,
    IP_ICMP = 1,
    ICMP_HEAD = 8,
    ICMP_ECHO = 8
};

static const uint8_t cable_mac[6] = {2, 0, 0, 9, 0, 1}, cable_ip[4] = {10, 9, 0, 1};

struct cable_end {
    char *path;
    pthread_t thread;
    bool quit, pulled;
    uint8_t frame[4 + NET_FRAME_MAX];
};

/* Turns the frame into the answer to it; false: there is none. len: without the length before it.
 */
static bool cable_answer(uint8_t *f, size_t len)
{
    uint8_t *p = f + ETHER_HEAD, ip[4];

    if (len >= ETHER_HEAD + ARP_LEN && be16_at(f + 12) == ETHER_ARP && be16_at(p + 6) == 1 &&
        memcmp(p + 24, cable_ip, 4) == 0) {
        p[7] = 2;
        memcpy(p + 18, p + 8, 10); /* the asker is the target now */
        memcpy(p + 8, cable_mac, 6);
        memcpy(p + 14, cable_ip, 4);
    } else if (len >= ETHER_HEAD + IP_HEAD + ICMP_HEAD && be16_at(f + 12) == ETHER_IP &&
               p[0] == 0x45 && p[9] == IP_ICMP && memcmp(p + 16, cable_ip, 4) == 0 &&
               p[IP_HEAD] == ICMP_ECHO) {
        uint32_t sum = be16_at(p + IP_HEAD + 2) + (ICMP_ECHO << 8);

        memcpy(ip, p + 12, 4);
        memcpy(p + 12, p + 16, 4); /* the header's sum is the same for both orders */
        memcpy(p + 16, ip, 4);
        p[IP_HEAD] = 0;
        be16_put(p + IP_HEAD + 2, (uint16_t)((sum & 0xffff) + (sum >> 16)));
    } else {
        return false;
    }
    memcpy(f, f + 6, 6);
    memcpy(f + 6, cable_mac, 6);
    return true;
}

static bool cable_wanted(const struct cable_end *c)
{
    return !__atomic_load_n(&c->quit, __ATOMIC_ACQUIRE) &&
           !__atomic_load_n(&c->pulled, __ATOMIC_ACQUIRE);
}

/* All `len` bytes in or out; false: the connection is over, or not wanted any more. */
static bool cable_move(const struct cable_end *c, int fd, uint8_t *data, size_t len, bool out)
{
    size_t done = 0;

    while (done < len && cable_wanted(c)) {
        struct pollfd w = {.fd = fd, .events = out ? POLLOUT : POLLIN};
        ssize_t n;

        if (poll(&w, 1, CABLE_WAIT_MS) <= 0)
            continue;
        n = out ? send(fd, data + done, len - done, MSG_NOSIGNAL)
                : recv(fd, data + done, len - done, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    return done == len;
}

static void cable_serve(struct cable_end *c, int fd)
{
    uint32_t len;

    while (cable_move(c, fd, c->frame, 4, false)) {
        len = be32_at(c->frame);
        if (len > NET_FRAME_MAX || !cable_move(c, fd, c->frame + 4, len, false))
            return;
        if (cable_answer(c->frame + 4, len) && !cable_move(c, fd, c->frame, 4 + len, true))
            return;
    }
}

static void *cable_main(void *arg)
{
    struct cable_end *c = arg;
    struct err e;
    int fd;

    while (!__atomic_load_n(&c->quit, __ATOMIC_ACQUIRE)) {
        if (!cable_wanted(c) || usock_connect(c->path, &fd, &e) < 0) {
            poll(NULL, 0, CABLE_WAIT_MS);
            continue;
        }
        cable_serve(c, fd);
        close(fd);
    }
    return NULL;
}

int cable_end_start(struct cable_end **out, const char *path, struct err *e)
{
    struct cable_end *c = calloc(1, sizeof(*c));
    int rc = ENOMEM;

    if (c && (c->path = strdup(path)))
        rc = pthread_create(&c->thread, NULL, cable_main, c);
    if (rc) {
        free(c ? c->path : NULL);
        free(c);
        return err_exit(e, EX_HOST_IO, rc, "cannot hold the other end of a cable: %s",
                        strerror(rc));
    }
    *out = c;
    return 0;
}

void cable_end_pull(struct cable_end *c, bool pulled)
{
    __atomic_store_n(&c->pulled, pulled, __ATOMIC_RELEASE);
}

void cable_end_stop(struct cable_end *c)
{
    __atomic_store_n(&c->quit, true, __ATOMIC_RELEASE);
    pthread_join(c->thread, NULL);
    free(c->path);
    free(c);
}
