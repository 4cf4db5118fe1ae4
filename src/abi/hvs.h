/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvs.h - Hyper-V's storage files (.vmcx, .vmrs): a store of typed keys.
 *
 * Document: "HyperV Storage File Format", published by Microsoft with its OpenVMM sources. All
 * numbers are little-endian. Checksums are CRC-32 (RFC 1952) over the structure with the checksum
 * taken as zero.
 */
#ifndef HOSPES_ABI_HVS_H
#define HOSPES_ABI_HVS_H

#include "abi/bytes.h"

#define HVS_HEADER_SIGNATURE UINT32_C(0x01282014)
#define HVS_OBJECTS_SIGNATURE UINT32_C(0x01110001)
#define HVS_LOG_SIGNATURE UINT32_C(0x01110003)
enum { HVS_KEYS_SIGNATURE = 2, HVS_VERSION = 0x0400, HVS_ALIGN = 4096, HVS_FILE_OBJECT = 2048 };

struct hvs_header { /* at 0 and at 4096; the newer valid one counts */
    le32 signature, checksum;
    le16 sequence;
    le32 format_version, data_version, flags, alignment;
    le64 log_offset, log_size;
    le32 log_header_size;
};
WIRE_SIZE(struct hvs_header, 46);

struct hvs_objects { /* at 8192, and where the last entry of another one says */
    le32 signature, count;
};
WIRE_SIZE(struct hvs_objects, 8);

enum { HVS_EMPTY, HVS_OBJECT_TABLE, HVS_KEY_TABLE, HVS_FILE, HVS_FREED };
struct hvs_object {
    uint8_t type;
    le32 checksum;
    le64 offset;
    le32 size;
    uint8_t flags; /* 1: required */
};
WIRE_SIZE(struct hvs_object, 18);

struct hvs_keys {
    le16 signature, index, sequence;
    le32 checksum;
};
WIRE_SIZE(struct hvs_keys, 10);

enum {
    HVS_KEY_FREE = 1,
    HVS_KEY_INT = 3,
    HVS_KEY_UINT = 4,
    HVS_KEY_DOUBLE = 5,
    HVS_KEY_STRING = 6, /* le32 bytes, UTF-16LE */
    HVS_KEY_ARRAY = 7,  /* le32 bytes, data */
    HVS_KEY_BOOL = 8,
    HVS_KEY_NODE = 9,
    HVS_FLAG_OBJECT = 1, /* the data is struct hvs_far */
};
struct hvs_key { /* then the name with its NUL, then the data */
    uint8_t type, flags;
    le32 size; /* of all three */
    le16 parent_table;
    le32 parent_offset; /* 0 and 0: the root */
    le32 checksum;
    le32 insertion; /* from 1 */
    uint8_t name_size;
};
WIRE_SIZE(struct hvs_key, 21);

struct hvs_node {
    le64 tracking;
    le32 next_insertion;
};
WIRE_SIZE(struct hvs_node, 12);

struct hvs_far {
    le32 size;
    le64 offset;
};
WIRE_SIZE(struct hvs_far, 12);

struct hvs_log {
    le32 signature, checksum, entries;
    uint8_t reserved;
    le32 max_entries;
    uint8_t tracking;
    le64 tracking_offset;
    le32 tracking_size, tracking_used;
};
WIRE_SIZE(struct hvs_log, 34);

#endif
