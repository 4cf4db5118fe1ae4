/* SPDX-License-Identifier: Apache-2.0 */
/* hvvideo.h - Hyper-V's synthetic video. Facts: Linux hyperv_drm_proto.c, names kept. */
#ifndef HOSPES_ABI_HVVIDEO_H
#define HOSPES_ABI_HVVIDEO_H

#include "abi/vmbus.h"

#define HV_SYNTHVID_GUID                                                                           \
    WIRE_GUID(0xda0a7802, 0xe377, 0x4aac, 0x8e, 0x77, 0x05, 0x58, 0xeb, 0x10, 0x73, 0xf8)

enum synthvid_msg_type {
    SYNTHVID_VERSION_REQUEST = 1,
    SYNTHVID_VERSION_RESPONSE = 2,
    SYNTHVID_VRAM_LOCATION = 3,
    SYNTHVID_VRAM_LOCATION_ACK = 4,
    SYNTHVID_SITUATION_UPDATE = 5,
    SYNTHVID_SITUATION_UPDATE_ACK = 6,
    SYNTHVID_POINTER_POSITION = 7,
    SYNTHVID_POINTER_SHAPE = 8,
    SYNTHVID_FEATURE_CHANGE = 9,
    SYNTHVID_DIRT = 10,
    SYNTHVID_BIOS_INFO_REQUEST = 11,
    SYNTHVID_BIOS_INFO_RESPONSE = 12,
    SYNTHVID_RESOLUTION_REQUEST = 13,
    SYNTHVID_RESOLUTION_RESPONSE = 14,
    SYNTHVID_CAPABILITY_REQUEST = 15, /* from 3.5 on */
    SYNTHVID_CAPABILITY_RESPONSE = 16,
};
enum { SYNTHVID_ACCEPTED_WITH_EXCHANGE = 2 };
#define SYNTHVID_VERSION(major, minor) ((uint32_t)(minor) << 16 | (major))

/* Behind the pipe header; Linux counts type and size in, the host only what follows. */
struct synthvid_msg_hdr {
    le32 type, size;
};
WIRE_SIZE(struct synthvid_msg_hdr, 8);

struct synthvid_version_resp {
    struct synthvid_msg_hdr hdr;
    le32 version;
    uint8_t is_accepted, max_video_outputs;
};
WIRE_SIZE(struct synthvid_version_resp, 14);

struct synthvid_vram_location {
    struct synthvid_msg_hdr hdr;
    le64 user_ctx;
    uint8_t is_vram_gpa_specified;
    le64 vram_gpa;
};
WIRE_SIZE(struct synthvid_vram_location, 25);

/* Acknowledges a location and a situation. */
struct synthvid_ack {
    struct synthvid_msg_hdr hdr;
    le64 user_ctx;
};
WIRE_SIZE(struct synthvid_ack, 16);

struct synthvid_situation_update {
    struct synthvid_msg_hdr hdr;
    le64 user_ctx;
    uint8_t video_output_count;
    /* the first output */
    uint8_t active;
    le32 vram_offset;
    uint8_t depth_bits;
    le32 width_pixels, height_pixels, pitch_bytes;
};
WIRE_SIZE(struct synthvid_situation_update, 35);

struct synthvid_feature_change {
    struct synthvid_msg_hdr hdr;
    uint8_t is_dirt_needed, is_ptr_pos_updates_needed, is_ptr_shape_updates_needed;
    uint8_t is_situ_updates_needed;
};
WIRE_SIZE(struct synthvid_feature_change, 12);

enum { SYNTHVID_RESOLUTIONS_MAX = 64 };
struct synthvid_resolution {
    le16 width, height;
};
WIRE_SIZE(struct synthvid_resolution, 4);
struct synthvid_resolution_resp {
    struct synthvid_msg_hdr hdr;
    uint8_t edid_block[128];
    uint8_t resolution_count, default_resolution_index, is_standard;
    struct synthvid_resolution supported_resolution[SYNTHVID_RESOLUTIONS_MAX];
};
WIRE_SIZE(struct synthvid_resolution_resp, 395);

struct synthvid_bios_info_resp {
    struct synthvid_msg_hdr hdr;
    le32 stop_device_supported;
    uint8_t reserved[12];
};
WIRE_SIZE(struct synthvid_bios_info_resp, 24);

struct synthvid_capability_resp {
    struct synthvid_msg_hdr hdr;
    le32 lock_on_disconnect;
    le32 reserved[15];
};
WIRE_SIZE(struct synthvid_capability_resp, 72);

#endif
