/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matches.c - see matches.h.
 *
 * Greedy, as libzstd's "dfast": at each position, first what lies where the last match came from,
 * then eight bytes that are the same, then four, unless eight follow a byte later. Where nothing
 * repeats for long, the steps grow. An empty entry names the block's start, which is as good a
 * candidate as any: what counts is the comparison.
 */
#include "storage/matches.h"

#include <string.h>

enum {
    EIGHT_BITS = 13,
    FOUR_BITS = 12,
    LEAST = 4,
    MARGIN = 12,  /* bytes at the end that are not looked up: words are read from there */
    SLOWER = 256, /* bytes without a match, and the step grows by one */
};

struct scan {
    struct matches *m;
    const uint8_t *base, *end, *last;
    const uint8_t *done; /* up to here all is in out */
    uint32_t back[2];    /* the two latest offsets */
    ZSTD_Sequence *out;
};

/* Text at `at` that is also at `from`, at least LEAST bytes. */
struct found {
    const uint8_t *at, *from;
};

static inline uint64_t word_at(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint32_t half_at(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

/* Multiplicative hashing, by odd numbers near the golden ratio of 64 and 32 bits. */
static inline size_t hash_eight(uint64_t v)
{
    return v * UINT64_C(0x9e3779b97f4a7c15) >> (64 - EIGHT_BITS);
}

static inline size_t hash_four(uint64_t v)
{
    return (uint32_t)v * UINT32_C(0x9e3779b1) >> (32 - FOUR_BITS);
}

/* How many bytes are the same; b is before a. */
static inline size_t same(const uint8_t *a, const uint8_t *b, const uint8_t *end)
{
    const uint8_t *start = a;

    for (; end - a >= 8; a += 8, b += 8) {
        uint64_t x = word_at(a) ^ word_at(b);

        if (x) /* the first byte in memory is the lowest: this is x86 */
            return (size_t)(a - start) + (size_t)__builtin_ctzll(x) / 8;
    }
    while (a < end && *a == *b)
        a++, b++;
    return (size_t)(a - start);
}

/* The first match at `at` or later; false: none up to s->last. */
static inline bool next_match(const struct scan *s, const uint8_t *at, struct found *x)
{
    const uint8_t *base = s->base, *last = s->last, *slow = at + SLOWER;
    struct matches *m = s->m;
    uint32_t back = s->back[0];
    uint64_t word = word_at(at), next;
    size_t hash = hash_eight(word), step = 1;

    for (;;) {
        size_t hash4 = hash_four(word);
        const uint8_t *eight = base + m->eight[hash], *four = base + m->four[hash4];

        m->eight[hash] = m->four[hash4] = (uint16_t)(at - base);
        next = word_at(at + 1);
        if (half_at(at + 1 - back) == (uint32_t)next) {
            *x = (struct found){at + 1, at + 1 - back};
            return true;
        }
        if (word_at(eight) == word) {
            *x = (struct found){at, eight};
            return true;
        }
        hash = hash_eight(next);
        if (half_at(four) == (uint32_t)word) {
            *x = (struct found){at, four};
            eight = base + m->eight[hash];
            if (word_at(eight) == next) {
                m->eight[hash] = (uint16_t)(at + 1 - base);
                *x = (struct found){at + 1, eight};
            }
            return true;
        }
        if (at >= slow) {
            step++;
            slow += SLOWER;
        }
        at += step;
        if (at >= last)
            return false;
        word = next;
        if (step > 1) {
            word = word_at(at);
            hash = hash_eight(word);
        }
    }
}

static void emit(struct scan *s, const uint8_t *at, uint32_t back, size_t len)
{
    *s->out++ = (ZSTD_Sequence){
        .offset = back,
        .litLength = (uint32_t)(at - s->done),
        .matchLength = (uint32_t)len,
    };
    s->done = at + len;
}

/* Remembers some of what a match has passed over. */
static void remember(const struct scan *s, const uint8_t *from, const uint8_t *to)
{
    struct matches *m = s->m;
    uint64_t word = word_at(from + 2);

    m->eight[hash_eight(word)] = m->four[hash_four(word)] = (uint16_t)(from + 2 - s->base);
    m->eight[hash_eight(word_at(to - 2))] = (uint16_t)(to - 2 - s->base);
    m->four[hash_four(word_at(to - 1))] = (uint16_t)(to - 1 - s->base);
}

/* What follows a match is often what lay at the offset before it, with nothing between. */
static const uint8_t *repeats(struct scan *s, const uint8_t *at)
{
    struct matches *m = s->m;

    while (at < s->last && half_at(at) == half_at(at - s->back[1])) {
        uint32_t back = s->back[1];
        uint64_t word = word_at(at);

        s->back[1] = s->back[0];
        s->back[0] = back;
        m->eight[hash_eight(word)] = m->four[hash_four(word)] = (uint16_t)(at - s->base);
        emit(s, at, back, LEAST + same(at + LEAST, at + LEAST - back, s->end));
        at = s->done;
    }
    return at;
}

/* Takes a match, which may begin earlier than where it was found. Returns where to go on. */
static const uint8_t *take(struct scan *s, struct found x)
{
    size_t len = LEAST + same(x.at + LEAST, x.from + LEAST, s->end);
    uint32_t back = (uint32_t)(x.at - x.from);

    while (x.at > s->done && x.from > s->base && x.at[-1] == x.from[-1])
        x.at--, x.from--, len++;
    if (back != s->back[0]) {
        s->back[1] = s->back[0];
        s->back[0] = back;
    }
    emit(s, x.at, back, len);
    if (s->done >= s->last)
        return s->done;
    remember(s, x.at, s->done);
    return repeats(s, s->done);
}

size_t matches_find(struct matches *m, const uint8_t *in, size_t n, ZSTD_Sequence *v)
{
    struct scan s = {
        .m = m,
        .base = in,
        .end = in + n,
        .last = in + n,
        .done = in,
        .back = {1, 1},
        .out = v,
    };
    const uint8_t *at = in + 1;
    struct found x;

    memset(m, 0, sizeof(*m));
    if (n > MARGIN)
        s.last -= MARGIN;
    while (n > MARGIN && at < s.last && next_match(&s, at, &x))
        at = take(&s, x);
    emit(&s, s.end, 0, 0);
    return (size_t)(s.out - v);
}
