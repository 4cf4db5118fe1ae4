/* SPDX-License-Identifier: Apache-2.0 */
/* memdisk.h - a disk in memory that does its work when the test says so. */
#ifndef HOSPES_TESTS_MEMDISK_H
#define HOSPES_TESTS_MEMDISK_H

#include "storage/disk.h"

struct memdisk {
    struct disk d; /* first */
    uint8_t *bytes;
    bool no_try;             /* disk_try() always says -EAGAIN */
    bool hold;               /* submitted requests wait for memdisk_let_go() */
    int fail;                /* -errno for all that follows */
    unsigned tries, submits; /* how often */
    unsigned flushes, trims, zeroes, fuas;
    struct disk_req *held;
    unsigned held_count;
    bool *closed; /* set when not NULL */
};

/* bytes: a multiple of 512. */
struct memdisk *memdisk_create(struct loop *l, size_t bytes);
/* Does what was held; the completions come from the loop. */
void memdisk_let_go(struct memdisk *m);

#endif
