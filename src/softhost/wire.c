/* SPDX-License-Identifier: Apache-2.0 */
/* wire.c - see wire.h: messages in and out of a descriptor that may be non-blocking. */
#include "softhost/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WIRE_HEAD = 5 };

int wire_send_all(int fd, const void *data, size_t len)
{
    const unsigned char *p = data;

    while (len) {
        ssize_t n = write(fd, p, len);

        if (n > 0) {
            p += n;
            len -= (size_t)n;
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            struct pollfd w = {fd, POLLOUT, 0};

            if (poll(&w, 1, -1) < 0 && errno != EINTR)
                return -errno;
            if (w.revents & (POLLHUP | POLLERR))
                return -EPIPE;
        } else if (n < 0 && errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

int wire_send(int fd, enum wire_kind kind, const void *data, size_t len)
{
    unsigned char buf[WIRE_HEAD + WIRE_CHUNK];
    uint32_t n = (uint32_t)len;
    size_t first = len < WIRE_CHUNK ? len : WIRE_CHUNK;
    int rc;

    memcpy(buf, &n, sizeof(n));
    buf[sizeof(n)] = (unsigned char)kind;
    if (first)
        memcpy(buf + WIRE_HEAD, data, first);
    rc = wire_send_all(fd, buf, WIRE_HEAD + first);
    if (rc == 0 && first < len)
        rc = wire_send_all(fd, (const unsigned char *)data + first, len - first);
    return rc;
}

ssize_t wire_fill(struct wire_in *in, int fd)
{
    ssize_t n;

    if (!in->buf) {
        in->buf = malloc(WIRE_HEAD + WIRE_MESSAGE_MAX);
        if (!in->buf)
            return -ENOMEM;
    }
    memmove(in->buf, in->buf + in->used, in->have - in->used);
    in->have -= in->used;
    in->used = 0;
    n = read(fd, in->buf + in->have, WIRE_HEAD + WIRE_MESSAGE_MAX - in->have);
    if (n < 0)
        return -errno;
    in->have += (size_t)n;
    return n;
}

int wire_next(struct wire_in *in, struct wire_msg *msg)
{
    const unsigned char *p = in->buf + in->used;
    size_t left = in->have - in->used;
    uint32_t len;

    if (left < WIRE_HEAD)
        return 0;
    memcpy(&len, p, sizeof(len));
    if (len > WIRE_MESSAGE_MAX)
        return -EPROTO;
    if (left - WIRE_HEAD < len)
        return 0;
    *msg = (struct wire_msg){(enum wire_kind)p[sizeof(len)], p + WIRE_HEAD, len};
    in->used += WIRE_HEAD + len;
    return 1;
}

void wire_free(struct wire_in *in)
{
    free(in->buf);
    *in = (struct wire_in){0};
}
