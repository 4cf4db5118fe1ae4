/* SPDX-License-Identifier: Apache-2.0 */
/* mood.h - a disk that answers late, or with errors, as an input says. */
#ifndef HOSPES_TESTS_FUZZ_MOOD_H
#define HOSPES_TESTS_FUZZ_MOOD_H

#include "fakes/fake_mem_disk.h"

/* Bits 3 and 4 of what: it keeps its answers back; it fails. */
static inline void disk_mood(struct mem_disk *d, uint32_t what)
{
    d->hold = what & 0x08;
    d->fail = what & 0x10 ? -5 : 0;
    if (!d->hold)
        (void)mem_disk_release(d);
}

#endif
