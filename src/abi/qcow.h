/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow.h - version 1 of QEMU's image format, as QEMU's block/qcow.c lays it out. Big-endian.
 */
#ifndef HOSPES_ABI_QCOW_H
#define HOSPES_ABI_QCOW_H

#include "abi/bytes.h"

#define QCOW_MAGIC UINT32_C(0x514649fb)

struct qcow_header {
    be32 magic, version; /* 1 */
    be64 backing_file_offset;
    be32 backing_file_size;
    be32 mtime;
    be64 size;
    uint8_t cluster_bits, l2_bits;
    uint8_t padding[2];
    be32 crypt_method;
    be64 l1_table_offset;
};
WIRE_SIZE(struct qcow_header, 48);
WIRE_OFFSET(struct qcow_header, l1_table_offset, 40);

#define QCOW_COMPRESSED (UINT64_C(1) << 63)

#endif
