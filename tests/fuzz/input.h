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

enum { INPUT_MOST = 4096 };

/* What is longer is cut: a run has to end soon. */
static inline struct input input_of(const uint8_t *data, size_t size)
{
    return (struct input){data, size < INPUT_MOST ? size : INPUT_MOST};
}

/* The next n bytes, little-endian, at most 8. */
static inline uint64_t take64(struct input *in, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n && in->n; i++, in->p++, in->n--)
        v |= (uint64_t)*in->p << 8 * i;
    return v;
}

/* The same of at most 4. */
static inline uint32_t take(struct input *in, size_t n)
{
    return (uint32_t)take64(in, n);
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
