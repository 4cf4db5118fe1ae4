/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vol.h - bytes that hold a file system: a disk, a part of one, a logical volume, or memory.
 *
 * All reading of an inspection goes through vol_read(), which counts it: a hostile image cannot
 * make a reader work for longer than its share allows, whatever loops its structures form.
 *
 * Threads: none; a volume belongs to its caller.
 */
#ifndef HOSPES_INSPECT_VOL_H
#define HOSPES_INSPECT_VOL_H

#include "core/core.h"

enum { WORK_BLOCK = 4096, WORK_BLOCKS = 256 };

/* What may still be read, and the blocks that were read last; shared by all volumes of one
 * inspection. Zeroed before use. Only one disk of it is read through the blocks. */
struct work {
    uint64_t calls, bytes;
    struct {
        uint64_t at; /* plus 1; 0: empty */
        uint8_t b[WORK_BLOCK];
    } block[WORK_BLOCKS];
};

enum { VOL_LEGS = 16 };

/* A run of a logical volume: [at, at+len) lies on `legs` volumes in turns of `stripe` bytes. */
struct vol_run {
    uint64_t at, len, stripe;
    unsigned legs;
    struct {
        struct vol *vol;
        uint64_t off;
    } leg[VOL_LEGS];
};

struct vol {
    struct work *work;
    uint64_t bytes;
    struct disk *disk;  /* one of disk, mem, of and runs */
    const uint8_t *mem; /* a volume in memory, not owned */
    struct vol *of;     /* with off: a part of another volume */
    uint64_t off;
    struct vol_run *runs; /* owned, in order of `at` */
    size_t nruns;
};

/* All or nothing: 0, -EIO (outside, or not readable), -ETIME (no work left). */
MUST int vol_read(const struct vol *v, uint64_t off, void *buf, size_t len);
/* Counts a step that needs no reading, like one of a tree whose nodes are kept. 0 or -ETIME. */
MUST int vol_step(const struct vol *v);
/* A part of `of`, which outlives it. */
void vol_part(struct vol *v, struct vol *of, uint64_t off, uint64_t len);
void vol_disk(struct vol *v, struct disk *d, struct work *w);
void vol_mem(struct vol *v, const void *mem, size_t len, struct work *w);
void vol_fini(struct vol *v);

#endif
