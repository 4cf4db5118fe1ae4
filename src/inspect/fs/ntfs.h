/* SPDX-License-Identifier: Apache-2.0 */
/* ntfs.h - the compression of NTFS. */
#ifndef HOSPES_INSPECT_FS_NTFS_H
#define HOSPES_INSPECT_FS_NTFS_H

#include <sys/types.h>

#include "core/core.h"

/* One compression unit; the bytes written to out, or -EIO. */
ssize_t lznt1_unpack(const uint8_t *in, size_t n, uint8_t *out, size_t room);

#endif
