/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uring.h - one io_uring for one open file, on one loop.
 */
#ifndef HOSPES_STORAGE_URING_H
#define HOSPES_STORAGE_URING_H

#include "storage/disk.h"

struct uring;

/* -errno where the host does not allow it. done gets the kernel's result for each request. */
MUST int uring_create(struct loop *l, int fd, void (*done)(struct disk_req *r, int res),
                      struct uring **out);
void uring_destroy(struct uring *u); /* NULL is fine; nothing is in flight */

/* READ, WRITE or FLUSH. Goes to the kernel at the end of this round of the loop. */
void uring_queue(struct uring *u, struct disk_req *r);

#endif
