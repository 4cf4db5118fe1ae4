/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_lz4.c - unpacks a block of LZ4.
 *
 * Follows doc/lz4_Block_format.md of lz4 1.9.4. Not modelled: dictionaries, blocks that refer to
 * earlier ones. docs/decisions/0011-kernels-in-lz4.md says why this is not the library's.
 *
 * A kernel is two million sequences of a few bytes each, so what counts is how few instructions the
 * common one takes: fewer than 15 literals, and a match of at most 16 bytes that begins 8 or more
 * before it. One look into a table tells it, copies of a fixed size that may run over make it, and
 * only every fourth asks whether both buffers have room for four of the longest. Most others are
 * steps, too, but take longer. What is left is checked at each length. Nothing outside of
 * [out, out + room) is written or read.
 */
#include <errno.h>
#include <string.h>

#include "abi/bytes.h"
#include "board/boot/boot_priv.h"
#include "core/core.h"

enum {
    LZ4_LENGTH_MAX = 1 << 30,
    LZ4_MATCH_MIN = 4,
    LZ4_REACH = 64 << 10, /* further back than any match can point */
    LZ4_LONG = 15,        /* a length that goes on in the next bytes */
    LZ4_COMMON_MAX = 92,  /* literals, and bytes of a match less the least, of a step */
    LZ4_STEPS = 4,        /* between two looks at what is left */
    LZ4_OVER = 16,        /* how far a copy in sixteens may run over */
    LZ4_STEP_IN = 2 + LZ4_COMMON_MAX + LZ4_OVER, /* read by one step, at most */
    LZ4_STEP_OUT = LZ4_COMMON_MAX + LZ4_MATCH_MIN + LZ4_COMMON_MAX + LZ4_OVER,
};

struct lz4 {
    const uint8_t *in, *in_end;
    uint8_t *out, *begin, *out_end; /* begin: of this block */
};

/* Where a step begins, or the next one; `in` is NULL when the sequence is none for it. */
struct lz4_at {
    const uint8_t *in;
    uint8_t *out;
};

/* The length of the match by the token; 0: it is not the common kind. */
#define LZ4_ROW 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0, 0, 0
static const uint8_t lz4_match[256] = {
    LZ4_ROW, LZ4_ROW, LZ4_ROW, LZ4_ROW, LZ4_ROW, LZ4_ROW, LZ4_ROW, LZ4_ROW,
    LZ4_ROW, LZ4_ROW, LZ4_ROW, LZ4_ROW, LZ4_ROW, LZ4_ROW, LZ4_ROW,
};

static inline void copy16(uint8_t *to, const uint8_t *from)
{
    uint8_t t[16];

    memcpy(t, from, sizeof(t));
    memcpy(to, t, sizeof(t));
}

static inline void copy8(uint8_t *to, const uint8_t *from)
{
    uint8_t t[8];

    memcpy(t, from, sizeof(t));
    memcpy(to, t, sizeof(t));
}

/* n bytes, and up to LZ4_OVER after them, which both sides must have. */
static inline void copy_over(uint8_t *to, const uint8_t *from, size_t n)
{
    size_t i = 0;

    do {
        copy16(to + i, from + i);
        i += 16;
    } while (i < n);
}

/* A match that may overlap what it makes: its source is a period of the result. */
static void lz4_repeat(uint8_t *to, size_t back, size_t n)
{
    const uint8_t *from = to - back;
    size_t have = back;

    if (back == 1) {
        memset(to, *from, n);
        return;
    }
    for (; n; have = (size_t)(to - from)) {
        size_t some = min_u64(n, have);

        memcpy(to, from, some);
        to += some;
        n -= some;
    }
}

/* The rest of a long length. */
static bool lz4_length(struct lz4 *z, size_t *n)
{
    uint8_t b;

    do {
        if (z->in == z->in_end || *n > LZ4_LENGTH_MAX)
            return false;
        b = *z->in++;
        *n += b;
    } while (b == 0xff);
    return true;
}

/* Any sequence. 1: there are more, 0: it was the block's last, -EINVAL. */
static int lz4_any(struct lz4 *z)
{
    uint8_t token = *z->in++;
    size_t n = token >> 4, back;

    if (n == LZ4_LONG && !lz4_length(z, &n))
        return -EINVAL;
    if (n > (size_t)(z->in_end - z->in) || n > (size_t)(z->out_end - z->out))
        return -EINVAL;
    if (n + LZ4_OVER <= (size_t)(z->in_end - z->in) &&
        n + LZ4_OVER <= (size_t)(z->out_end - z->out))
        copy_over(z->out, z->in, n);
    else
        memcpy(z->out, z->in, n);
    z->out += n;
    z->in += n;
    if (z->in == z->in_end)
        return 0;
    if (z->in_end - z->in < 2)
        return -EINVAL;
    back = le16_at(z->in);
    z->in += 2;
    n = token & 15;
    if (n == LZ4_LONG && !lz4_length(z, &n))
        return -EINVAL;
    n += LZ4_MATCH_MIN;
    if (back == 0 || back > (size_t)(z->out - z->begin) || n > (size_t)(z->out_end - z->out))
        return -EINVAL;
    if (back >= 16 && n + LZ4_OVER <= (size_t)(z->out_end - z->out))
        copy_over(z->out, z->out - back, n);
    else
        lz4_repeat(z->out, back, n);
    z->out += n;
    return z->in < z->in_end ? 1 : -EINVAL; /* a block ends with literals */
}

/* n bytes of a match that may be its own source. */
static inline void copy_bytes(uint8_t *to, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = from[i];
}

/* A step of lengths that go on in one byte, of a match of more than 16 bytes or that begins less
 * than 8 bytes before it. */
static __attribute__((noinline)) struct lz4_at lz4_step_long(struct lz4_at at)
{
    static const struct lz4_at none;
    size_t token = *at.in++, literals = token >> 4, n = token & 15, back;

    if (literals == LZ4_LONG)
        literals += *at.in++;
    if (literals > LZ4_COMMON_MAX)
        return none;
    copy_over(at.out, at.in, literals);
    at.in += literals + 2;
    at.out += literals;
    back = le16_at(at.in - 2);
    if (n == LZ4_LONG)
        n += *at.in++;
    if (n > LZ4_COMMON_MAX || back == 0)
        return none;
    n += LZ4_MATCH_MIN;
    if (back >= 16)
        copy_over(at.out, at.out - back, n);
    else
        copy_bytes(at.out, at.out - back, n);
    at.out += n;
    return at;
}

/* The same as a step. */
static inline bool lz4_long(struct lz4_at *at)
{
    struct lz4_at next = lz4_step_long(*at);

    if (next.in)
        *at = next;
    return next.in != NULL;
}

/* One sequence; false, and *at as it was, when it is none for a step. */
static inline bool lz4_step(struct lz4_at *at)
{
    size_t token = *at->in, n = lz4_match[token], back;
    const uint8_t *in = at->in, *from;
    uint8_t *out = at->out;

    if (n == 0)
        return lz4_long(at);
    copy16(out, in + 1);
    token >>= 4;
    in += token + 3;
    out += token;
    back = le16_at(in - 2);
    from = out - back;
    if (back >= 16) {
        copy16(out, from);
    } else if (back >= 8) {
        copy8(out, from);
        copy8(out + 8, from + 8);
    } else {
        return lz4_long(at);
    }
    *at = (struct lz4_at){in, out + n};
    return true;
}

/* Steps from `in` while there is room for the longest, up to a sequence that is none for them. */
static void lz4_steps(struct lz4 *z)
{
    struct lz4_at at = {z->in, z->out};

    if (z->in_end - z->in < LZ4_STEPS * LZ4_STEP_IN ||
        z->out_end - z->out < LZ4_STEPS * LZ4_STEP_OUT)
        return;
    const uint8_t *in_stop = z->in_end - LZ4_STEPS * LZ4_STEP_IN;
    const uint8_t *out_stop = z->out_end - LZ4_STEPS * LZ4_STEP_OUT;

    while (at.in <= in_stop && at.out <= out_stop && lz4_step(&at) && lz4_step(&at) &&
           lz4_step(&at) && lz4_step(&at))
        ;
    z->in = at.in;
    z->out = at.out;
}

static int lz4_block(struct lz4 *z)
{
    int rc;

    do {
        /* From there on every distance is within the block. */
        if (z->out - z->begin >= LZ4_REACH)
            lz4_steps(z);
        rc = z->in < z->in_end ? lz4_any(z) : -EINVAL;
    } while (rc > 0);
    return rc;
}

int boot_lz4_block(const uint8_t *in, size_t n, uint8_t *out, size_t room, size_t *done)
{
    struct lz4 z = {.in = in, .in_end = in + n, .out = out, .begin = out, .out_end = out + room};
    int rc = lz4_block(&z);

    *done = (size_t)(z.out - out);
    return rc;
}
