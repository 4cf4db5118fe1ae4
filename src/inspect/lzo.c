/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lzo.c - see lzo.h.
 *
 * Document: Linux Documentation/staging/lzo.rst, version 0 of the stream (no run-length codes).
 */
#include "inspect/lzo.h"

#include <errno.h>
#include <string.h>

struct lzo {
    const uint8_t *in, *end;
    uint8_t *out, *to, *limit;
    bool bad;
};

static unsigned lzo_byte(struct lzo *z)
{
    if (z->in == z->end) {
        z->bad = true;
        return 0;
    }
    return *z->in++;
}

/* A length that did not fit into the bits of its instruction: zero bytes of 255 each, then one. */
static size_t lzo_length(struct lzo *z, unsigned bits, unsigned mask)
{
    size_t n = bits & mask;

    if (n > 0)
        return n;
    n = mask;
    while (z->in < z->end && *z->in == 0 && n < SIZE_MAX / 2) {
        n += 255;
        z->in++;
    }
    return n + lzo_byte(z);
}

static void lzo_literals(struct lzo *z, size_t n)
{
    if (n > (size_t)(z->end - z->in) || n > (size_t)(z->limit - z->to)) {
        z->bad = true;
        return;
    }
    memcpy(z->to, z->in, n);
    z->in += n;
    z->to += n;
}

static void lzo_match(struct lzo *z, size_t distance, size_t n)
{
    if (distance == 0 || distance > (size_t)(z->to - z->out) || n > (size_t)(z->limit - z->to)) {
        z->bad = true;
        return;
    }
    for (; n > 0; n--, z->to++) /* may overlap: byte by byte */
        *z->to = *(z->to - distance);
}

/* One instruction from 16 on. Gives the number of literals that follow, -1 at the end mark. */
static int lzo_long(struct lzo *z, unsigned t)
{
    size_t n, distance;
    unsigned low, high;

    if (t >= 64) {
        n = (t >> 5) + 1;
        distance = ((size_t)lzo_byte(z) << 3) + ((t >> 2) & 7) + 1;
        lzo_match(z, distance, n);
        return (int)(t & 3);
    }
    n = t >= 32 ? lzo_length(z, t, 31) + 2 : lzo_length(z, t, 7) + 2;
    low = lzo_byte(z);
    high = lzo_byte(z);
    distance = (low | high << 8) >> 2;
    if (t >= 32) {
        distance++;
    } else {
        distance += 16384 + ((size_t)(t & 8) << 11);
        if (distance == 16384)
            return -1;
    }
    lzo_match(z, distance, n);
    return (int)(low & 3);
}

ssize_t lzo1x_unpack(const uint8_t *in, size_t n, uint8_t *out, size_t room)
{
    struct lzo z = {in, in + n, out, out, out + room, false};
    int state = 0; /* literals after the last instruction; 4: a run of them */

    if (n > 0 && *in > 17) {
        size_t first = lzo_byte(&z) - 17u;

        lzo_literals(&z, first);
        state = first < 4 ? (int)first : 4;
    }
    while (!z.bad) {
        unsigned t = lzo_byte(&z);

        if (z.bad)
            break;
        if (t >= 16) {
            state = lzo_long(&z, t);
            if (state < 0)
                return z.bad ? -EIO : z.to - z.out;
            lzo_literals(&z, (size_t)state);
        } else if (state == 0) {
            lzo_literals(&z, lzo_length(&z, t, 15) + 3);
            state = 4;
        } else {
            size_t distance = ((size_t)lzo_byte(&z) << 2) + (t >> 2) + (state == 4 ? 2049 : 1);

            lzo_match(&z, distance, state == 4 ? 3 : 2);
            state = (int)(t & 3);
            lzo_literals(&z, (size_t)state);
        }
    }
    return -EIO;
}
