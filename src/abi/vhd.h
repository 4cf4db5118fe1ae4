/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhd.h - Virtual Hard Disk Image Format Specification, October 11, 2006, version 1.0 (Microsoft).
 * All integers are big-endian, sectors are 512 bytes.
 */
#ifndef HOSPES_ABI_VHD_H
#define HOSPES_ABI_VHD_H

#include "abi/bytes.h"

/* "Hard Disk Footer Format": the last 512 bytes; dynamic and differencing disks have a copy at 0.
 */
struct vhd_footer {
    char cookie[8]; /* "conectix" */
    be32 features;  /* VHD_RESERVED always */
    be32 file_format_version;
    be64 data_offset; /* of the dynamic header; all ones for fixed disks */
    be32 time_stamp;  /* seconds since 2000-01-01 00:00 UTC */
    char creator_application[4];
    be32 creator_version;
    be32 creator_host_os;
    be64 original_size;
    be64 current_size;
    be16 cylinders;
    uint8_t heads, sectors_per_track;
    be32 disk_type;
    be32 checksum; /* complement of the sum of all bytes, this field taken as 0 */
    uint8_t unique_id[16];
    uint8_t saved_state;
    uint8_t hidden; /* XenServer */
    uint8_t reserved[426];
};
WIRE_SIZE(struct vhd_footer, 512);
WIRE_OFFSET(struct vhd_footer, current_size, 48);
WIRE_OFFSET(struct vhd_footer, checksum, 64);
WIRE_OFFSET(struct vhd_footer, saved_state, 84);

enum { VHD_FIXED = 2, VHD_DYNAMIC = 3, VHD_DIFFERENCING = 4 };
enum { VHD_RESERVED = 2, VHD_VERSION = 0x00010000 };
enum { VHD_HOST_WINDOWS = 0x5769326b /* "Wi2k" */ };

/* "Parent Locator Entry" */
struct vhd_locator {
    be32 platform_code;
    be32 platform_data_space; /* sectors by the document, bytes by Windows 8: do not use */
    be32 platform_data_length;
    be32 reserved;
    be64 platform_data_offset;
};
WIRE_SIZE(struct vhd_locator, 24);

#define VHD_W2RU UINT32_C(0x57327275) /* relative path, UTF-16LE */
#define VHD_W2KU UINT32_C(0x57326b75) /* absolute path, UTF-16LE */
#define VHD_MACX UINT32_C(0x4d616358) /* file URL, UTF-8 */

/* "Dynamic Disk Header Format" */
struct vhd_dynamic {
    char cookie[8]; /* "cxsparse" */
    be64 data_offset;
    be64 table_offset;
    be32 header_version;
    be32 max_table_entries;
    be32 block_size;
    be32 checksum;
    uint8_t parent_unique_id[16];
    be32 parent_time_stamp;
    be32 reserved;
    be16 parent_unicode_name[256];
    struct vhd_locator locator[8];
    uint8_t reserved2[256];
};
WIRE_SIZE(struct vhd_dynamic, 1024);
WIRE_OFFSET(struct vhd_dynamic, checksum, 36);
WIRE_OFFSET(struct vhd_dynamic, locator, 576);

#define VHD_UNUSED UINT32_C(0xffffffff) /* block allocation table entry */

#endif
