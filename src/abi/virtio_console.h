/* SPDX-License-Identifier: Apache-2.0 */
/* virtio_console.h - the console device. Document: VIRTIO 1.2, section 5.3. */
#ifndef HOSPES_ABI_VIRTIO_CONSOLE_H
#define HOSPES_ABI_VIRTIO_CONSOLE_H

#include "abi/bytes.h"

#define VIRTIO_CONSOLE_F_SIZE (UINT64_C(1) << 0)
#define VIRTIO_CONSOLE_F_EMERG_WRITE (UINT64_C(1) << 2)

/* 5.3.4 */
struct virtio_console_config {
    le16 cols;
    le16 rows;
    le32 max_nr_ports;
    le32 emerg_wr;
};
WIRE_SIZE(struct virtio_console_config, 12);

#endif
