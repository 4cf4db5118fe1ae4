/* SPDX-License-Identifier: Apache-2.0 */
/* lzo.h - LZO1X, which btrfs and initramfs files may use. The known library is GPL, so not linked.
 */
#ifndef HOSPES_INSPECT_LZO_H
#define HOSPES_INSPECT_LZO_H

#include <sys/types.h>

#include "core/core.h"

/* The bytes written to out, or -EIO: damaged, or more than `room`. */
ssize_t lzo1x_unpack(const uint8_t *in, size_t n, uint8_t *out, size_t room);

#endif
