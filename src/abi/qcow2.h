/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2.h - docs/interop/qcow2.txt of QEMU: versions 2 and 3. All integers are big-endian.
 */
#ifndef HOSPES_ABI_QCOW2_H
#define HOSPES_ABI_QCOW2_H

#include "abi/bytes.h"

#define QCOW2_MAGIC UINT32_C(0x514649fb)

/* "Header". Version 2 ends before incompatible_features. */
struct qcow2_header {
    be32 magic, version;
    be64 backing_file_offset;
    be32 backing_file_size;
    be32 cluster_bits;
    be64 size;
    be32 crypt_method;
    be32 l1_size;
    be64 l1_table_offset;
    be64 refcount_table_offset;
    be32 refcount_table_clusters;
    be32 nb_snapshots;
    be64 snapshots_offset;
    be64 incompatible_features;
    be64 compatible_features;
    be64 autoclear_features;
    be32 refcount_order;
    be32 header_length;
    uint8_t compression_type;
    uint8_t padding[7];
};
WIRE_SIZE(struct qcow2_header, 112);
WIRE_OFFSET(struct qcow2_header, l1_table_offset, 40);
WIRE_OFFSET(struct qcow2_header, incompatible_features, 72);
WIRE_OFFSET(struct qcow2_header, compression_type, 104);

enum { QCOW2_V2_HEADER = 72 };
enum {
    QCOW2_INCOMPAT_DIRTY = 1,
    QCOW2_INCOMPAT_CORRUPT = 2,
    QCOW2_INCOMPAT_DATA_FILE = 4,
    QCOW2_INCOMPAT_COMPRESSION = 8,
    QCOW2_INCOMPAT_EXTL2 = 16,
};
enum { QCOW2_COMPAT_LAZY_REFCOUNTS = 1 };
enum { QCOW2_AUTOCLEAR_BITMAPS = 1, QCOW2_AUTOCLEAR_DATA_FILE_RAW = 2 };
enum { QCOW2_ZLIB = 0, QCOW2_ZSTD = 1 };

/* "Header extensions" */
struct qcow2_extension {
    be32 type, length; /* the data follows, padded to 8 bytes */
};
WIRE_SIZE(struct qcow2_extension, 8);

#define QCOW2_EXT_END UINT32_C(0)
#define QCOW2_EXT_BACKING_FORMAT UINT32_C(0xe2792aca)
#define QCOW2_EXT_FEATURE_NAMES UINT32_C(0x6803f857)
#define QCOW2_EXT_BITMAPS UINT32_C(0x23852875)
#define QCOW2_EXT_DATA_FILE UINT32_C(0x44415441)

/* "Cluster mapping" */
#define QCOW2_OFFSET UINT64_C(0x00fffffffffffe00)
#define QCOW2_COPIED (UINT64_C(1) << 63)
#define QCOW2_COMPRESSED (UINT64_C(1) << 62)
#define QCOW2_ZERO UINT64_C(1)

/* "Snapshots" */
struct qcow2_snapshot {
    be64 l1_table_offset;
    be32 l1_size;
    be16 id_str_size, name_size;
    be32 date_sec, date_nsec;
    be64 vm_clock_nsec;
    be32 vm_state_size;
    be32 extra_data_size; /* extra data, id and name follow, padded to 8 bytes */
};
WIRE_SIZE(struct qcow2_snapshot, 40);

/* "Bitmaps" */
struct qcow2_bitmaps_ext {
    be32 nb_bitmaps, reserved;
    be64 bitmap_directory_size, bitmap_directory_offset;
};
WIRE_SIZE(struct qcow2_bitmaps_ext, 24);

struct qcow2_bitmap {
    be64 bitmap_table_offset;
    be32 bitmap_table_size; /* entries */
    be32 flags;
    uint8_t type, granularity_bits;
    be16 name_size;
    be32 extra_data_size; /* extra data and name follow, padded to 8 bytes */
};
WIRE_SIZE(struct qcow2_bitmap, 24);

enum { QCOW2_BITMAP_IN_USE = 1, QCOW2_BITMAP_AUTO = 2, QCOW2_BITMAP_EXTRA_COMPATIBLE = 4 };
enum { QCOW2_BITMAP_TRACKING = 1 }; /* the type */

#endif
