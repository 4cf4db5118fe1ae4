/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_lz4.c - unpacks a block of LZ4.
 *
 * Follows doc/lz4_Block_format.md of lz4 1.9.4. Not modelled: dictionaries, blocks that refer to
 * earlier ones. docs/decisions/0011-kernels-in-lz4.md says why this is not the library's.
 *
 * A kernel is two million sequences of a few bytes each. The common ones, fewer than 15 literals
 * and a match of moderate length that is not its own source, are copied in fixed sizes that may
 * run over: `steps` says how many of them fit for sure into what is left of both buffers. All
 * others are checked at each length. Nothing outside of [out, out + room) is written or read.
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
    LZ4_COMMON_MAX = 92,  /* of a match, less the least */
    LZ4_STEP_IN = 20,     /* read by one common sequence, at most */
    LZ4_STEP_OUT = 14 + LZ4_MATCH_MIN + LZ4_COMMON_MAX + 16,
};

struct lz4 {
    const uint8_t *in, *in_end;
    uint8_t *out, *begin, *out_end; /* begin: of this block */
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
    lz4_repeat(z->out, back, n);
    z->out += n;
    return z->in < z->in_end ? 1 : -EINVAL; /* a block ends with literals */
}

/* Common sequences from `in`, at most `steps`; stops before one that is not. */
static void lz4_common(struct lz4 *z, size_t steps)
{
    const uint8_t *in = z->in;
    uint8_t *out = z->out;

    for (; steps; steps--) {
        size_t token = *in, literals = token >> 4, back;
        const uint8_t *from;
        uint8_t *to;

        if (token >= LZ4_LONG << 4)
            break;
        copy16(out, in + 1);
        to = out + literals;
        back = le16_at(in + literals + 1);
        from = to - back;
        if (back >= 16) {
            copy16(to, from);
        } else if (back >= 8) {
            copy8(to, from);
            copy8(to + 8, from + 8);
        } else {
            break;
        }
        memcpy(to + 16, from + 16, 2);
        token &= 15;
        if (token == LZ4_LONG) {
            token += in[literals + 3];
            if (back < 16 || token > LZ4_COMMON_MAX)
                break;
            for (size_t i = 16; i < token + LZ4_MATCH_MIN; i += 16)
                copy16(to + i, from + i);
            in++;
        }
        out = to + token + LZ4_MATCH_MIN;
        in += literals + 3;
    }
    z->in = in;
    z->out = out;
}

static int lz4_block(struct lz4 *z)
{
    int rc;

    do {
        size_t steps = min_u64((size_t)(z->in_end - z->in) / LZ4_STEP_IN,
                               (size_t)(z->out_end - z->out) / LZ4_STEP_OUT);

        /* From there on every distance is within the block. */
        if (z->out - z->begin >= LZ4_REACH)
            lz4_common(z, steps);
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
