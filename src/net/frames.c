/* SPDX-License-Identifier: Apache-2.0 */
/* frames.c - see frames.h. Each record is a header and the frame's bytes, wrapping at the end. */
#include "net/frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/iov.h"

enum { FRAMES_FIRST_ROOM = 16384 };

struct frame_head {
    size_t len;
    struct net_meta meta;
};

void frames_init(struct frames *f, size_t limit)
{
    *f = (struct frames){.limit = limit};
}

void frames_free(struct frames *f)
{
    free(f->buf);
    frames_init(f, f->limit);
}

void frames_clear(struct frames *f)
{
    f->at = f->used = f->count = 0;
}

/* The ring's n bytes at offset `from`, as one or two vectors. */
static unsigned ring_iov(const struct frames *f, size_t from, size_t n, struct iovec iov[2])
{
    size_t start = from & (f->room - 1), head = (size_t)min_u64(n, f->room - start);

    iov[0] = (struct iovec){f->buf + start, head};
    iov[1] = (struct iovec){f->buf, n - head};
    return 2;
}

static bool frames_grow(struct frames *f, size_t want)
{
    size_t room = f->room ? f->room : FRAMES_FIRST_ROOM;
    struct iovec old[2];
    uint8_t *buf;

    while (room < want)
        room *= 2;
    if (room == f->room)
        return true;
    buf = room <= f->limit ? malloc(room) : NULL;
    if (!buf)
        return false;
    if (f->used) {
        ring_iov(f, f->at, f->used, old);
        iov_read(old, 2, 0, buf, f->used);
    }
    free(f->buf);
    f->buf = buf;
    f->room = room;
    f->at = 0;
    return true;
}

bool frames_push(struct frames *f, const struct net_meta *m, const struct iovec *iov, int cnt)
{
    struct frame_head h = {.len = (size_t)iov_len(iov, (unsigned)cnt)};
    struct iovec to[2];
    size_t off = sizeof(h);

    if (m)
        h.meta = *m;
    if (h.len > NET_FRAME_MAX || !frames_grow(f, f->used + sizeof(h) + h.len))
        return false;
    ring_iov(f, f->at + f->used, sizeof(h) + h.len, to);
    iov_write(to, 2, 0, &h, sizeof(h));
    for (int i = 0; i < cnt; i++)
        off += iov_write(to, 2, off, iov[i].iov_base, iov[i].iov_len);
    f->used += off;
    f->count++;
    return true;
}

long frames_pop(struct frames *f, struct net_meta *m, const struct iovec *iov, int cnt)
{
    struct frame_head h;
    struct iovec from[2];
    size_t done = 0;

    if (f->used == 0)
        return -EAGAIN;
    ring_iov(f, f->at, sizeof(h), from);
    iov_read(from, 2, 0, &h, sizeof(h));
    ring_iov(f, f->at + sizeof(h), h.len, from);
    for (int i = 0; i < cnt && done < h.len; i++)
        done +=
            iov_read(from, 2, done, iov[i].iov_base, (size_t)min_u64(iov[i].iov_len, h.len - done));
    f->used -= sizeof(h) + h.len;
    f->at = f->used ? (f->at + sizeof(h) + h.len) & (f->room - 1) : 0;
    f->count--;
    *m = h.meta;
    return done == h.len ? (long)h.len : -EMSGSIZE;
}
