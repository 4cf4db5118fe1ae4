/* SPDX-License-Identifier: Apache-2.0 */
/* steps.h - an input as steps of four bytes: what, a place of two bytes, a value. */
#ifndef HOSPES_TESTS_FUZZ_STEPS_H
#define HOSPES_TESTS_FUZZ_STEPS_H

#include "fakes/fake_env.h"

enum { STEP = 4, STEPS_MAX = 4000 };

/* Bytes of data that are whole steps, not too many of them. */
static inline size_t steps_in(size_t size)
{
    return size < (size_t)STEP * STEPS_MAX ? size - size % STEP : (size_t)STEP * STEPS_MAX;
}

/* Kinds 0 and 1 of 8: a read, or a write of the value in every byte, of a window of memory. false:
 * another kind. */
static inline bool step_window(struct fake_env *f, uint64_t base, uint64_t span, const uint8_t *p)
{
    uint64_t at = base + (p[1] | (uint64_t)p[2] << 8) % span;
    unsigned size = 1u << (p[0] >> 4 & 3);

    if ((p[0] & 7) == 0)
        fake_env_read(f, at, size);
    else if ((p[0] & 7) == 1)
        fake_env_write(f, at, size, p[3] * UINT64_C(0x0101010101010101));
    return (p[0] & 7) < 2;
}

#endif
