/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar.h - the members of a tar archive and where their bytes lie in it, so that a disk in an
 * archive is read in its place. Nothing is unpacked.
 *
 * Followed: POSIX.1-2001 (ustar, and path and size of pax headers) and GNU tar's long names and
 * binary numbers. Sparse members are told apart and have no bytes to point at.
 */
#ifndef HOSPES_STORAGE_TAR_H
#define HOSPES_STORAGE_TAR_H

#include "storage/disk.h"

enum { TAR_NAME_MAX = 1024, TAR_WINDOW = 2048 };

struct tar_member {
    char name[TAR_NAME_MAX]; /* without a leading "./" */
    bool file;               /* a regular file whose bytes lie in one piece */
    bool sparse;
    uint64_t at, size; /* its bytes */
};

/* A walk through an archive; zeroed but for file. */
struct tar {
    struct disk *file;
    uint64_t pos; /* of the next header */
    uint64_t window_at;
    size_t window_len;
    uint8_t window[TAR_WINDOW];
};

/* The next member: 1, 0 at the end, -EINVAL: damaged, cut off or no tar at all, -errno. */
MUST int tar_next(struct tar *t, struct tar_member *x);
/* Do the first n bytes of a file look like a tar's first header? */
bool tar_probe(const uint8_t *head, size_t n);
/* The first name, in at most `room` bytes with the closing NUL. Only after tar_probe(). */
void tar_first_name(const uint8_t *head, char *name, size_t room);

#endif
