/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhdx.h - [MS-VHDX]: Virtual Hard Disk v2 (VHDX) File Format (Microsoft). Little-endian; GUIDs
 * have their first three fields little-endian too.
 */
#ifndef HOSPES_ABI_VHDX_H
#define HOSPES_ABI_VHDX_H

#include "abi/bytes.h"

struct vhdx_guid {
    uint8_t b[16];
};
WIRE_SIZE(struct vhdx_guid, 16);

/* {A-B-C-DE-F}, with D to F as bytes */
#define VHDX_GUID(a, b, c, ...)                                                                    \
    {                                                                                              \
        {                                                                                          \
            (uint8_t)(a), (uint8_t)((a) >> 8), (uint8_t)((a) >> 16), (uint8_t)((a) >> 24),         \
                (uint8_t)(b), (uint8_t)((b) >> 8), (uint8_t)(c), (uint8_t)((c) >> 8), __VA_ARGS__  \
        }                                                                                          \
    }

/* 2.2: where the header section's parts lie. */
enum {
    VHDX_HEADER_1 = 64 << 10,
    VHDX_HEADER_2 = 128 << 10,
    VHDX_REGION_TABLE_1 = 192 << 10,
    VHDX_REGION_TABLE_2 = 256 << 10,
    VHDX_HEADER_SIZE = 4096,
    VHDX_TABLE_SIZE = 64 << 10, /* of region and metadata tables */
    VHDX_TABLE_ENTRIES = 2047,
};

/* 2.2.1 */
struct vhdx_identifier {
    char signature[8]; /* "vhdxfile" */
    le16 creator[256];
};
WIRE_SIZE(struct vhdx_identifier, 520);

/* 2.2.2; padded with zeroes to VHDX_HEADER_SIZE, all of which the checksum covers. */
struct vhdx_header {
    char signature[4]; /* "head" */
    le32 checksum;     /* CRC-32C with this field 0, here and below */
    le64 sequence_number;
    struct vhdx_guid file_write_guid, data_write_guid, log_guid;
    le16 log_version, version; /* 0, 1 */
    le32 log_length;
    le64 log_offset;
};
WIRE_SIZE(struct vhdx_header, 80);
WIRE_OFFSET(struct vhdx_header, log_guid, 48);
WIRE_OFFSET(struct vhdx_header, log_offset, 72);

/* 2.2.3; entries follow. */
struct vhdx_region_table {
    char signature[4]; /* "regi" */
    le32 checksum;
    le32 entry_count, reserved;
};
WIRE_SIZE(struct vhdx_region_table, 16);

struct vhdx_region {
    struct vhdx_guid guid;
    le64 file_offset;
    le32 length, required;
};
WIRE_SIZE(struct vhdx_region, 32);

#define VHDX_REGION_BAT                                                                            \
    VHDX_GUID(0x2dc27766u, 0xf623, 0x4200, 0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08)
#define VHDX_REGION_METADATA                                                                       \
    VHDX_GUID(0x8b7ca206u, 0x4790, 0x4b9a, 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e)

/* 2.3.1 */
struct vhdx_log_entry {
    char signature[4]; /* "loge" */
    le32 checksum;     /* of the whole entry */
    le32 entry_length, tail;
    le64 sequence_number;
    le32 descriptor_count, reserved;
    struct vhdx_guid log_guid;
    le64 flushed_file_offset, last_file_offset;
};
WIRE_SIZE(struct vhdx_log_entry, 64);

/* 2.3.1.2 and 2.3.1.3: a data descriptor, or one of zeroes. */
struct vhdx_log_descriptor {
    char signature[4]; /* "desc"; "zero" */
    le32 trailing;     /* the sector's last 4 bytes; - */
    le64 leading;      /* its first 8; bytes of zeroes */
    le64 file_offset;
    le64 sequence_number;
};
WIRE_SIZE(struct vhdx_log_descriptor, 32);

/* 2.3.1.4 */
struct vhdx_log_data {
    char signature[4]; /* "data" */
    le32 sequence_high;
    uint8_t data[4084];
    le32 sequence_low;
};
WIRE_SIZE(struct vhdx_log_data, 4096);

/* 2.5.1: an entry's low 3 bits are the state, bits 20 to 63 the offset in MiB. */
#define VHDX_BAT_OFFSET UINT64_C(0xfffffffffff00000)
enum {
    PAYLOAD_BLOCK_NOT_PRESENT = 0,
    PAYLOAD_BLOCK_UNDEFINED = 1,
    PAYLOAD_BLOCK_ZERO = 2,
    PAYLOAD_BLOCK_UNMAPPED = 3,
    PAYLOAD_BLOCK_UNMAPPED_095 = 5, /* as version 0.95 had it */
    PAYLOAD_BLOCK_FULLY_PRESENT = 6,
    PAYLOAD_BLOCK_PARTIALLY_PRESENT = 7,
    VHDX_BAT_STATE = 7,
};
enum { SB_BLOCK_NOT_PRESENT = 0, SB_BLOCK_PRESENT = 6 };

/* 2.6.1; entries follow. */
struct vhdx_metadata_table {
    char signature[8]; /* "metadata" */
    le16 reserved, entry_count;
    uint8_t reserved2[20];
};
WIRE_SIZE(struct vhdx_metadata_table, 32);

struct vhdx_metadata_entry {
    struct vhdx_guid item_id;
    le32 offset; /* in the region */
    le32 length, flags, reserved;
};
WIRE_SIZE(struct vhdx_metadata_entry, 32);

enum { VHDX_ITEM_USER = 1, VHDX_ITEM_VIRTUAL_DISK = 2, VHDX_ITEM_REQUIRED = 4 };

/* 2.6.2 */
#define VHDX_ITEM_FILE_PARAMETERS                                                                  \
    VHDX_GUID(0xcaa16737u, 0xfa36, 0x4d43, 0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b)
#define VHDX_ITEM_VIRTUAL_DISK_SIZE                                                                \
    VHDX_GUID(0x2fa54224u, 0xcd1b, 0x4876, 0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8)
#define VHDX_ITEM_VIRTUAL_DISK_ID                                                                  \
    VHDX_GUID(0xbeca12abu, 0xb2e6, 0x4523, 0x93, 0xef, 0xc3, 0x09, 0xe0, 0x00, 0xc7, 0x46)
#define VHDX_ITEM_LOGICAL_SECTOR                                                                   \
    VHDX_GUID(0x8141bf1du, 0xa96f, 0x4709, 0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f)
#define VHDX_ITEM_PHYSICAL_SECTOR                                                                  \
    VHDX_GUID(0xcda348c7u, 0x445d, 0x4471, 0x9c, 0xc9, 0xe9, 0x88, 0x52, 0x51, 0xc5, 0x56)
#define VHDX_ITEM_PARENT_LOCATOR                                                                   \
    VHDX_GUID(0xa8d35f2du, 0xb30b, 0x454d, 0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c)

struct vhdx_file_parameters {
    le32 block_size, flags;
};
WIRE_SIZE(struct vhdx_file_parameters, 8);
enum { VHDX_LEAVE_BLOCKS_ALLOCATED = 1, VHDX_HAS_PARENT = 2 };

/* 2.6.2.6; entries follow, then the UTF-16LE texts they point to. */
struct vhdx_locator {
    struct vhdx_guid type;
    le16 reserved, key_value_count;
};
WIRE_SIZE(struct vhdx_locator, 20);
#define VHDX_LOCATOR_VHDX                                                                          \
    VHDX_GUID(0xb04aefb7u, 0xd19e, 0x4a81, 0xb7, 0x89, 0x25, 0xb8, 0xe9, 0x44, 0x59, 0x13)

struct vhdx_locator_entry {
    le32 key_offset, value_offset;
    le16 key_length, value_length;
};
WIRE_SIZE(struct vhdx_locator_entry, 12);

#endif
