/* SPDX-License-Identifier: Apache-2.0 */
/* fake_mem_disk.h - a disk in memory that counts and can be told to fail or to be slow. */
#ifndef HOSPES_TESTS_FAKE_MEM_DISK_H
#define HOSPES_TESTS_FAKE_MEM_DISK_H

#include "core/loop.h"
#include "storage/disk.h"

struct mem_disk {
    struct disk disk; /* shape may be changed before it is given away */
    uint8_t *data;
    int fail;      /* -errno for every request from now on, 0: none */
    bool slow;     /* try() says -EAGAIN */
    bool hold;     /* submitted requests wait for mem_disk_release() */
    bool fua_seen; /* of the last request */
    unsigned flushes, trims;
    unsigned *closed; /* counted here, since the disk is freed then; may be NULL */
    struct disk_req *held;
    struct alarm soon;
};

/* 512-byte blocks, 4 KiB physical, trims. Freed by disk_close(). */
struct mem_disk *mem_disk_create(struct loop *l, uint64_t bytes);
/* Lets held requests finish, newest first. Returns how many there were. */
unsigned mem_disk_release(struct mem_disk *m);
/* The same once the loop runs: for those who wait. */
void mem_disk_release_soon(struct mem_disk *m);

#endif
