/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h - a host file or block device as a disk: the bottom of every chain.
 *
 * The disk grows (shape.grows) when the file is a regular one: formats allocate at its end. Bytes
 * past the end read as zeroes. Whoever shows it to a guest as it is clears shape.grows.
 */
#ifndef HOSPES_STORAGE_FILE_H
#define HOSPES_STORAGE_FILE_H

#include "storage/disk.h"

struct file_cfg {
    const char *path;
    bool readonly;
    bool no_lock;
    bool threads; /* no io_uring */
    bool create;  /* make it; it must not exist unless overwrite */
    bool overwrite;
    bool no_sync; /* flushes do nothing: for a new file that is thrown away if anything fails */
    bool filling; /* what is written goes to places without space so far; large writes get theirs
                   * at once where the file system would give it block by block */
};

/* Opens and locks path. l may be NULL when only disk_now() will be used. */
MUST int file_open(const struct file_cfg *c, struct loop *l, struct disk **out, struct err *e);

/* The same for a descriptor, which becomes the disk's. No lock is taken. */
MUST int file_adopt(int fd, const char *name, bool readonly, struct loop *l, struct disk **out,
                    struct err *e);

/* NULL and -1 when d is not a host file. */
const char *file_path(const struct disk *d);
int file_fd(const struct disk *d);

/* Cuts or lengthens a regular file. No request may be in flight past `bytes`. */
MUST int file_resize(struct disk *d, uint64_t bytes);
/* Removes a file that was not made whole, if it is there. What is no regular file stays: nobody made
 * the node of a block device. */
void file_discard(const char *path);
/* Is d a block device, and how long is that now? 0: it is none. */
uint64_t file_device_bytes(const struct disk *d);

#endif
