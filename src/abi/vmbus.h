/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmbus.h - VMBus: control messages, rings and packet descriptors.
 *
 * Microsoft publishes no document; the facts are those of the guest drivers that it maintains
 * (Linux include/linux/hyperv.h), whose names are kept.
 */
#ifndef HOSPES_ABI_VMBUS_H
#define HOSPES_ABI_VMBUS_H

#include "abi/bytes.h"

/* A GUID as it lies in memory, from its printed parts. */
#define WIRE_GUID(a, b, c, d0, d1, d2, d3, d4, d5, d6, d7)                                         \
    {                                                                                              \
        (a) & 0xff, (a) >> 8 & 0xff, (a) >> 16 & 0xff, (a) >> 24 & 0xff, (b)&0xff,                 \
            (b) >> 8 & 0xff, (c)&0xff, (c) >> 8 & 0xff, d0, d1, d2, d3, d4, d5, d6, d7             \
    }

enum vmbus_version {
    VERSION_WS2008 = 0 << 16 | 13,
    VERSION_WIN7 = 1 << 16 | 1,
    VERSION_WIN8 = 2 << 16 | 4,
    VERSION_WIN8_1 = 3 << 16 | 0,
    VERSION_WIN10 = 4 << 16 | 0,
    VERSION_WIN10_V4_1 = 4 << 16 | 1,
    VERSION_WIN10_V5 = 5 << 16 | 0,
    VERSION_WIN10_V5_1 = 5 << 16 | 1,
    VERSION_WIN10_V5_2 = 5 << 16 | 2,
    VERSION_WIN10_V5_3 = 5 << 16 | 3,
    VERSION_COPPER = 6 << 16 | 0,
};

enum {
    VMBUS_MESSAGE_SINT = 2,
    VMBUS_MESSAGE_CONNECTION_ID = 1,
    VMBUS_MESSAGE_CONNECTION_ID_4 = 4, /* from version 5.0 on */
    VMBUS_EVENT_CONNECTION_ID = 2,     /* shared by all channels before version 2.4 */
    VMBUS_RELIDS = 2048,
    VMBUS_PAGE = 4096,
    VMBUS_USER_DEFINED = 120,
};

enum vmbus_channel_message_type {
    CHANNELMSG_OFFERCHANNEL = 1,
    CHANNELMSG_RESCIND_CHANNELOFFER = 2,
    CHANNELMSG_REQUESTOFFERS = 3,
    CHANNELMSG_ALLOFFERS_DELIVERED = 4,
    CHANNELMSG_OPENCHANNEL = 5,
    CHANNELMSG_OPENCHANNEL_RESULT = 6,
    CHANNELMSG_CLOSECHANNEL = 7,
    CHANNELMSG_GPADL_HEADER = 8,
    CHANNELMSG_GPADL_BODY = 9,
    CHANNELMSG_GPADL_CREATED = 10,
    CHANNELMSG_GPADL_TEARDOWN = 11,
    CHANNELMSG_GPADL_TORNDOWN = 12,
    CHANNELMSG_RELID_RELEASED = 13,
    CHANNELMSG_INITIATE_CONTACT = 14,
    CHANNELMSG_VERSION_RESPONSE = 15,
    CHANNELMSG_UNLOAD = 16,
    CHANNELMSG_UNLOAD_RESPONSE = 17,
    CHANNELMSG_TL_CONNECT_REQUEST = 21,
    CHANNELMSG_MODIFYCHANNEL = 22,
    CHANNELMSG_TL_CONNECT_RESULT = 23,
    CHANNELMSG_MODIFYCHANNEL_RESPONSE = 24,
};

struct vmbus_channel_message_header {
    le32 msgtype;
    le32 padding;
};
WIRE_SIZE(struct vmbus_channel_message_header, 8);

struct vmbus_channel_initiate_contact {
    struct vmbus_channel_message_header header;
    le32 vmbus_version_requested;
    le32 target_vcpu;
    le64 interrupt_page; /* before 5.0; then message SINT, VTL and feature flags */
    le64 monitor_page1, monitor_page2;
};
WIRE_SIZE(struct vmbus_channel_initiate_contact, 40);

struct vmbus_channel_version_response {
    struct vmbus_channel_message_header header;
    uint8_t version_supported, connection_state;
    le16 padding;
    le32 msg_conn_id;        /* before 5.0 the version */
    le32 supported_features; /* from 6.0 on */
    le32 unused;
};
WIRE_SIZE(struct vmbus_channel_version_response, 24);
enum { VMBUS_VERSION_RESPONSE_OLD = 16 }; /* bytes before 6.0 */

struct vmbus_channel_offer_channel {
    struct vmbus_channel_message_header header;
    uint8_t if_type[16], if_instance[16];
    uint8_t reserved1[16];
    le16 chn_flags;
    le16 mmio_megabytes;
    uint8_t user_def[VMBUS_USER_DEFINED];
    le16 sub_channel_index;
    le16 reserved3;
    le32 child_relid;
    uint8_t monitorid, monitor_allocated;
    le16 is_dedicated_interrupt; /* from 1.1 on */
    le32 connection_id;
};
WIRE_SIZE(struct vmbus_channel_offer_channel, 196);
WIRE_OFFSET(struct vmbus_channel_offer_channel, chn_flags, 56);
WIRE_OFFSET(struct vmbus_channel_offer_channel, sub_channel_index, 180);
WIRE_OFFSET(struct vmbus_channel_offer_channel, child_relid, 184);
enum { VMBUS_MONITORS = 128 };
enum { VMBUS_OFFER_WS2008 = 189 }; /* bytes that version 0.13 knows */
enum vmbus_offer_flag {
    VMBUS_CHANNEL_ENUMERATE_DEVICE_INTERFACE = 1, /* for programs of the guest; not a device */
    VMBUS_CHANNEL_NAMED_PIPE_MODE = 0x10,         /* packets begin with a pipe header */
    VMBUS_CHANNEL_TLNPI_PROVIDER_OFFER = 0x2000,
};
enum { VMBUS_PIPE_TYPE_BYTE = 0, VMBUS_PIPE_TYPE_MESSAGE = 4 };

struct vmbus_channel_open_channel {
    struct vmbus_channel_message_header header;
    le32 child_relid;
    le32 openid;
    le32 ringbuffer_gpadlhandle;
    le32 target_vp;
    le32 downstream_ringbuffer_pageoffset;
    uint8_t userdata[VMBUS_USER_DEFINED];
};
WIRE_SIZE(struct vmbus_channel_open_channel, 148);
#define VMBUS_NO_INTERRUPTS UINT32_MAX /* target_vp */

/* Answers to OPENCHANNEL, GPADL_HEADER: channel, the guest's number, status. */
struct vmbus_channel_result {
    struct vmbus_channel_message_header header;
    le32 child_relid;
    le32 id;
    le32 status;
};
WIRE_SIZE(struct vmbus_channel_result, 20);

/* RESCIND, RELID_RELEASED, CLOSECHANNEL; GPADL_TORNDOWN with the GPADL. */
struct vmbus_channel_relid {
    struct vmbus_channel_message_header header;
    le32 child_relid;
};
WIRE_SIZE(struct vmbus_channel_relid, 12);

/* GPADL_TEARDOWN: second is the GPADL; MODIFYCHANNEL: the processor; its response: status. */
struct vmbus_channel_pair {
    struct vmbus_channel_message_header header;
    le32 child_relid;
    le32 second;
};
WIRE_SIZE(struct vmbus_channel_pair, 16);

struct vmbus_channel_gpadl_header {
    struct vmbus_channel_message_header header;
    le32 child_relid;
    le32 gpadl;
    le16 range_buflen;
    le16 rangecount;
};
WIRE_SIZE(struct vmbus_channel_gpadl_header, 20);
struct vmbus_channel_gpadl_body {
    struct vmbus_channel_message_header header;
    le32 msgnumber;
    le32 gpadl;
};
WIRE_SIZE(struct vmbus_channel_gpadl_body, 16);

/* Followed by a page number for each page that it touches. */
struct gpa_range {
    le32 byte_count;
    le32 byte_offset;
};
WIRE_SIZE(struct gpa_range, 8);

struct vmbus_channel_tl_connect_request {
    struct vmbus_channel_message_header header;
    uint8_t guest_endpoint_id[16], host_service_id[16];
};
WIRE_SIZE(struct vmbus_channel_tl_connect_request, 40);
struct vmbus_channel_tl_connect_result {
    struct vmbus_channel_message_header header;
    uint8_t guest_endpoint_id[16], host_service_id[16];
    le32 status;
};
WIRE_SIZE(struct vmbus_channel_tl_connect_result, 44);

/* NT status codes that answer a guest. */
#define STATUS_UNSUCCESSFUL UINT32_C(0xc0000001)
#define STATUS_INVALID_PARAMETER UINT32_C(0xc000000d)
#define STATUS_REVISION_MISMATCH UINT32_C(0xc0000059)
#define STATUS_DEVICE_DOES_NOT_EXIST UINT32_C(0xc00000c0)
#define STATUS_IO_DEVICE_ERROR UINT32_C(0xc0000185)
#define STATUS_CONNECTION_REFUSED UINT32_C(0xc0000236)

/* The start of a monitor page: a bit for each monitor, in groups of 32. */
struct hv_monitor_page {
    le32 trigger_state, reserved;
    struct {
        le32 pending, armed;
    } trigger[VMBUS_MONITORS / 32];
};
WIRE_SIZE(struct hv_monitor_page, 40);

/* --- rings --- */

/* First page of each direction; data follows. */
struct hv_ring_buffer {
    le32 write_index, read_index, interrupt_mask, pending_send_sz;
    uint8_t reserved1[48];
    le32 feature_bits; /* bit 0: the producer sets pending_send_sz */
    uint8_t reserved2[VMBUS_PAGE - 68];
};
WIRE_SIZE(struct hv_ring_buffer, 4096);
WIRE_OFFSET(struct hv_ring_buffer, feature_bits, 64);

struct vmpacket_descriptor {
    le16 type;
    le16 offset8; /* of the payload, in 8 bytes */
    le16 len8;    /* of the packet without its trailer, in 8 bytes */
    le16 flags;
    le64 trans_id;
};
WIRE_SIZE(struct vmpacket_descriptor, 16);
enum { VMBUS_PACKET_TRAILER = 8 }; /* le64: index of the packet's start << 32 */
enum vmbus_packet_type {
    VM_PKT_DATA_INBAND = 6,
    VM_PKT_DATA_USING_XFER_PAGES = 7,
    VM_PKT_DATA_USING_GPA_DIRECT = 9,
    VM_PKT_COMP = 0xb,
};
enum { VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED = 1 };

/* Behind the descriptor of a GPA direct packet; ranges follow. */
struct vmdata_gpa_direct {
    le32 reserved;
    le32 rangecount;
};
WIRE_SIZE(struct vmdata_gpa_direct, 8);

struct vmtransfer_page_range {
    le32 byte_count, byte_offset;
};
WIRE_SIZE(struct vmtransfer_page_range, 8);
/* Behind the descriptor of a transfer page packet; ranges follow. */
struct vmtransfer_page_header {
    le16 xfer_pageset_id;
    uint8_t sender_owns_set, reserved;
    le32 range_cnt;
};
WIRE_SIZE(struct vmtransfer_page_header, 8);

/* Before each message of a pipe. */
struct vmbus_pipe_header {
    le32 type; /* 1 data */
    le32 size;
};
WIRE_SIZE(struct vmbus_pipe_header, 8);
enum { VMBUS_PIPE_DATA = 1 };

#endif
