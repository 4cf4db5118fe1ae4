/* SPDX-License-Identifier: Apache-2.0 */
/* hvdynmem.h - Hyper-V's dynamic memory. Facts: Linux drivers/hv/hv_balloon.c, names kept. */
#ifndef HOSPES_ABI_HVDYNMEM_H
#define HOSPES_ABI_HVDYNMEM_H

#include "abi/vmbus.h"

#define HV_DM_GUID                                                                                 \
    WIRE_GUID(0x525074dc, 0x8985, 0x46e2, 0x80, 0x57, 0xa3, 0x07, 0xdc, 0x18, 0xa5, 0x02)

enum dm_message_type {
    DM_VERSION_REQUEST = 1,
    DM_VERSION_RESPONSE = 2,
    DM_CAPABILITIES_REPORT = 3,
    DM_CAPABILITIES_RESPONSE = 4,
    DM_STATUS_REPORT = 5,
    DM_BALLOON_REQUEST = 6,
    DM_BALLOON_RESPONSE = 7,
    DM_UNBALLOON_REQUEST = 8,
    DM_UNBALLOON_RESPONSE = 9,
    DM_MEM_HOT_ADD_REQUEST = 10,
    DM_MEM_HOT_ADD_RESPONSE = 11,
};
#define DYNMEM_PROTOCOL_VERSION_1 UINT32_C(0x00003) /* 0.3: Windows 7 */
#define DYNMEM_PROTOCOL_VERSION_2 UINT32_C(0x10000)
#define DYNMEM_PROTOCOL_VERSION_3 UINT32_C(0x20000)

struct dm_header {
    le16 type, size;
    le32 trans_id;
};
WIRE_SIZE(struct dm_header, 8);

/* What the guest can do: bit 0 balloon, bit 1 hot add, bits 2..5 n: added ranges lie at 2^n MiB. */
struct dm_capabilities {
    struct dm_header hdr;
    le64 caps, min_page_cnt, max_page_number;
};
WIRE_SIZE(struct dm_capabilities, 32);
enum { DM_CAP_HOT_ADD = 1 << 1, DM_CAP_ALIGN_SHIFT = 2, DM_CAP_ALIGN_MASK = 15 };

/* Answers to version and capabilities: bit 0 accepted. */
struct dm_accept {
    struct dm_header hdr;
    le64 is_accepted;
};
WIRE_SIZE(struct dm_accept, 16);

struct dm_status {
    struct dm_header hdr;
    le64 num_avail, num_committed, page_file_size, zero_free; /* pages */
    le32 page_file_writes, io_diff;
};
WIRE_SIZE(struct dm_status, 48);

struct dm_balloon {
    struct dm_header hdr;
    le32 num_pages, reservedz;
};
WIRE_SIZE(struct dm_balloon, 16);

/* Ranges follow: first page in bits 0..39, count in bits 40..63. */
struct dm_balloon_response {
    struct dm_header hdr;
    le32 reservedz;
    le32 more_and_count; /* bit 0: more follow; then the number of ranges */
};
WIRE_SIZE(struct dm_balloon_response, 16);
struct dm_unballoon_request {
    struct dm_header hdr;
    le32 more_pages, range_count;
};
WIRE_SIZE(struct dm_unballoon_request, 16);
enum { DM_RANGE_SHIFT = 40 };

struct dm_hot_add {
    struct dm_header hdr;
    le64 range;
};
WIRE_SIZE(struct dm_hot_add, 16);
/* Fewer pages than were offered: the guest can take no more, now or later. */
struct dm_hot_add_response {
    struct dm_header hdr;
    le32 page_count, result; /* 1: success */
};
WIRE_SIZE(struct dm_hot_add_response, 16);

#endif
