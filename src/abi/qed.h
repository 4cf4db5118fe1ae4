/* SPDX-License-Identifier: Apache-2.0 */
/* qed.h - docs/interop/qed_spec.txt of QEMU. Little-endian. */
#ifndef HOSPES_ABI_QED_H
#define HOSPES_ABI_QED_H

#include "abi/bytes.h"

#define QED_MAGIC UINT32_C(0x00444551) /* "QED" and a zero */

struct qed_header {
    le32 magic;
    le32 cluster_size; /* bytes */
    le32 table_size;   /* clusters of a table of either level */
    le32 header_size;  /* clusters */
    le64 features, compat_features, autoclear_features;
    le64 l1_table_offset;
    le64 image_size;
    le32 backing_filename_offset, backing_filename_size;
};
WIRE_SIZE(struct qed_header, 64);
WIRE_OFFSET(struct qed_header, l1_table_offset, 40);

enum { QED_F_BACKING_FILE = 1, QED_F_NEED_CHECK = 2, QED_F_BACKING_FORMAT_NO_PROBE = 4 };
enum { QED_ZERO = 1 }; /* an L2 entry: the cluster is zero */

#endif
