/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.h - a disk as an image file of some format, made up while it is read: nothing is copied.
 */
#ifndef HOSPES_STORAGE_SERVE_VIEW_H
#define HOSPES_STORAGE_SERVE_VIEW_H

#include "storage/disk.h"

struct view_cfg {
    struct disk *src;                /* becomes the view's on success */
    const struct format_ops *format; /* what the view looks like */
    struct cfg *opts;                /* of its creation; never NULL */
    const char *name;                /* of the file that it seems to be */
    bool write; /* bytes of the disk may be changed through it, those of the tables may not */
};

/* The view's bytes are those of the image file. Its tables are in memory: 64 MiB at most. */
MUST int view_create(const struct view_cfg *c, struct disk **out, struct err *e);

#endif
