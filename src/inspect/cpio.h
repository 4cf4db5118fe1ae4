/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpio.h - reads an initial RAM disk as Linux does: archives of the "newc" format one after
 * another, plain or packed, with zeroes between.
 */
#ifndef HOSPES_INSPECT_CPIO_H
#define HOSPES_INSPECT_CPIO_H

#include "inspect/unpack.h"

enum { CPIO_ENTRIES_MAX = 200000 };

struct cpio_entry {
    const char *name; /* without a leading "/" or "./" */
    uint32_t mode;
    uint64_t size;
};

struct cpio_in {
    unpack_source *from;
    void *arg;
    uint64_t bytes; /* unpacked bytes that may still be read */
    unsigned entries;
    enum unpack_kind kind; /* of the last packed part */
    bool cut;              /* the bounds were reached: there may be more */
    bool bomb;             /* likewise: it unpacks to far more than files do */
    /* Inside the call of see(): what is left of the entry's contents. */
    struct unpack *u;
    uint64_t off, left;
    uint64_t unpacked; /* of this packed part */
};

/* Nonzero ends the reading, and is its result. */
typedef int cpio_see(void *arg, struct cpio_in *c, const struct cpio_entry *e);

/* 0: all was read, or the bounds were reached (c->cut). -EINVAL: the bytes are no such archive;
 * -EIO: damaged. What had been seen before an error has been told. */
MUST int cpio_read_all(struct cpio_in *c, cpio_see *see, void *arg);

/* For see(): up to len bytes of the entry's contents, or -errno. */
ssize_t cpio_contents(struct cpio_in *c, void *buf, size_t len);

#endif
