/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuse.h - one disk as a file in a folder of its own, for programs that know nothing but files.
 */
#ifndef HOSPES_STORAGE_SERVE_FUSE_H
#define HOSPES_STORAGE_SERVE_FUSE_H

#include "storage/disk.h"

struct mount;

struct mount_cfg {
    struct disk *disk; /* stays the caller's; its loop is not used */
    const char *name;  /* of the file */
    const char *dir;   /* an empty folder */
};

/* Mounts; needs no root where fusermount3 is installed. */
MUST int mount_create(const struct mount_cfg *c, struct mount **out, struct err *e);
/* Serves until stop_fd can be read, or somebody unmounts the folder. */
MUST int mount_run(struct mount *m, int stop_fd, struct err *e);
void mount_destroy(struct mount *m); /* NULL is fine; unmounts */

#endif
