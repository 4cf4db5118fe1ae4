/* SPDX-License-Identifier: Apache-2.0 */
/* input.h - an input as a program: numbers are taken from its front, and zeros follow its end. */
#ifndef HOSPES_TESTS_FUZZ_INPUT_H
#define HOSPES_TESTS_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

#include "core/gmem.h"

struct input {
    const uint8_t *p;
    size_t n;
};

/* The next n bytes, little-endian, at most 4. */
static inline uint32_t take(struct input *in, size_t n)
{
    uint32_t v = 0;

    for (size_t i = 0; i < n && in->n; i++, in->p++, in->n--)
        v |= (uint32_t)*in->p << 8 * i;
    return v;
}

/* A stretch of guest memory below `room` is written. */
static inline void take_memory(struct input *in, struct gmem *m, uint32_t room)
{
    uint32_t at = take(in, 2), n = take(in, 1);

    n = n < in->n ? n : (uint32_t)in->n;
    if (at + n <= room && gmem_write(m, at, in->p, n) == 0) {
        in->p += n;
        in->n -= n;
    }
}

#endif
