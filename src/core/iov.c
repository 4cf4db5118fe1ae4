/* SPDX-License-Identifier: Apache-2.0 */
/* iov.c - see iov.h. */
#include "core/iov.h"

#include <string.h>

uint64_t iov_len(const struct iovec *iov, unsigned cnt)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < cnt; i++)
        sum += iov[i].iov_len;
    return sum;
}

/* The next piece at *off of at most `left` bytes; moves *i and *off past what precedes it. */
static uint8_t *next_piece(const struct iovec *iov, unsigned cnt, unsigned *i, uint64_t *off,
                           size_t left, size_t *len)
{
    for (; *i < cnt; (*i)++) {
        if (*off < iov[*i].iov_len) {
            *len = (size_t)min_u64(left, iov[*i].iov_len - *off);
            return (uint8_t *)iov[*i].iov_base + *off;
        }
        *off -= iov[*i].iov_len;
    }
    return NULL;
}

size_t iov_read(const struct iovec *iov, unsigned cnt, uint64_t off, void *buf, size_t n)
{
    size_t done = 0, len;
    unsigned i = 0;
    uint8_t *p;

    while (done < n && (p = next_piece(iov, cnt, &i, &off, n - done, &len))) {
        memcpy((uint8_t *)buf + done, p, len);
        done += len;
        off += len;
    }
    return done;
}

size_t iov_write(const struct iovec *iov, unsigned cnt, uint64_t off, const void *buf, size_t n)
{
    size_t done = 0, len;
    unsigned i = 0;
    uint8_t *p;

    while (done < n && (p = next_piece(iov, cnt, &i, &off, n - done, &len))) {
        memcpy(p, (const uint8_t *)buf + done, len);
        done += len;
        off += len;
    }
    return done;
}

size_t iov_fill(const struct iovec *iov, unsigned cnt, uint64_t off, uint8_t byte, size_t n)
{
    size_t done = 0, len;
    unsigned i = 0;
    uint8_t *p;

    while (done < n && (p = next_piece(iov, cnt, &i, &off, n - done, &len))) {
        memset(p, byte, len);
        done += len;
        off += len;
    }
    return done;
}

unsigned iov_trim(struct iovec *iov, unsigned cnt, uint64_t n)
{
    for (unsigned i = 0; i < cnt; i++) {
        if (iov[i].iov_len >= n) {
            iov[i].iov_len = (size_t)n;
            return n ? i + 1 : i;
        }
        n -= iov[i].iov_len;
    }
    return cnt;
}

unsigned iov_skip(struct iovec *iov, unsigned cnt, uint64_t n)
{
    unsigned i = 0;

    for (; i < cnt && iov[i].iov_len <= n; i++)
        n -= iov[i].iov_len;
    if (i < cnt) {
        iov[i].iov_base = (uint8_t *)iov[i].iov_base + n;
        iov[i].iov_len -= (size_t)n;
    }
    return i;
}

int iov_slice(const struct iovec *src, unsigned cnt, uint64_t off, uint64_t n, struct iovec *dst,
              unsigned max)
{
    unsigned i = 0, used = 0;
    uint64_t done = 0;
    size_t len;
    uint8_t *p;

    while (done < n && (p = next_piece(src, cnt, &i, &off, (size_t)(n - done), &len))) {
        if (used == max)
            return -1;
        dst[used++] = (struct iovec){.iov_base = p, .iov_len = len};
        done += len;
        off += len;
    }
    return done == n ? (int)used : -1;
}
