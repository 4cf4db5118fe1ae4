/* SPDX-License-Identifier: Apache-2.0 */
/* extents.h - where the parts of one file lie; what several readers keep of the file last read. */
#ifndef HOSPES_INSPECT_FS_EXTENTS_H
#define HOSPES_INSPECT_FS_EXTENTS_H

#include <sys/types.h>

#include "inspect/vol.h"

enum { EXTENTS_MAX = 1 << 17 };

/* [at, at+len) of the file lies at `off` of the volume; zero: it reads as zeroes. Bytes. */
struct extent_run {
    uint64_t at, len, off;
    bool zero;
};

struct extents {
    struct extent_run *v;
    size_t n, room;
    uint64_t id; /* whose they are */
    bool valid;
};

/* -ENOMEM, or -E2BIG past EXTENTS_MAX. */
MUST int extents_add(struct extents *x, uint64_t at, uint64_t len, uint64_t off, bool zero);
/* In order of `at`, after the last add; unordered input is put in order. */
void extents_sort(struct extents *x);
void extents_clear(struct extents *x);
/* What lies in no run reads as zeroes. len bytes, or -errno. */
ssize_t extents_read(const struct extents *x, const struct vol *v, uint64_t off, void *buf,
                     size_t len);

#endif
