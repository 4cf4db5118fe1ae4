/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes.h - a disk for clients that know no sectors: requests of any offset and length.
 *
 * What does not begin or end at the disk's logical block is read, changed and written back under a
 * lock of those blocks. Any thread.
 */
#ifndef HOSPES_STORAGE_SERVE_BYTES_H
#define HOSPES_STORAGE_SERVE_BYTES_H

#include "storage/disk.h"
#include "storage/ranges.h"

struct bytes {
    struct disk *d;
    struct ranges busy; /* blocks that are being changed in part */
};

void bytes_init(struct bytes *b, struct disk *d); /* d stays the caller's */
void bytes_fini(struct bytes *b);

/* Without waiting, as disk_try(); -EAGAIN for what is not whole blocks. */
int bytes_try(struct bytes *b, enum disk_op op, uint64_t off, void *buf, size_t len);
MUST int bytes_read(struct bytes *b, uint64_t off, void *buf, size_t len);
MUST int bytes_write(struct bytes *b, uint64_t off, const void *buf, size_t len, bool fua);
MUST int bytes_zero(struct bytes *b, uint64_t off, uint64_t len, bool unmap, bool fua);
/* Whole blocks inside the range alone: a trim promises nothing. */
MUST int bytes_trim(struct bytes *b, uint64_t off, uint64_t len, bool fua);

#endif
