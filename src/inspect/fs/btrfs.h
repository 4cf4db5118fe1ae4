/* SPDX-License-Identifier: Apache-2.0 */
/* btrfs.h - what of btrfs is not in the interface that all readers have. */
#ifndef HOSPES_INSPECT_FS_BTRFS_H
#define HOSPES_INSPECT_FS_BTRFS_H

#include "inspect/fs.h"

/* The subvolume that is mounted when none is named. */
MUST int btrfs_default(struct fs *fs, struct fs_node *n);

/* One compressed extent; how: 1 zlib, 2 LZO, 3 zstd. The bytes written to out, or -errno. */
ssize_t btrfs_unpack(unsigned how, const uint8_t *in, size_t n, uint8_t *out, size_t room,
                     uint32_t sector);

#endif
