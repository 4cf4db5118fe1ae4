/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storvsp.h - packets of Hyper-V's synthetic SCSI and accelerated IDE controllers.
 *
 * Facts: Linux drivers/scsi/storvsc_drv.c, whose names are kept.
 */
#ifndef HOSPES_ABI_STORVSP_H
#define HOSPES_ABI_STORVSP_H

#include "abi/vmbus.h"

#define HV_SCSI_GUID                                                                               \
    WIRE_GUID(0xba6163d9, 0x04a1, 0x4d29, 0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f)
#define HV_IDE_GUID                                                                                \
    WIRE_GUID(0x32412632, 0x86cb, 0x44a2, 0x9b, 0x5c, 0x50, 0xd1, 0x41, 0x73, 0x54, 0xf5)

enum vstor_packet_operation {
    VSTOR_OPERATION_COMPLETE_IO = 1,
    VSTOR_OPERATION_REMOVE_DEVICE = 2,
    VSTOR_OPERATION_EXECUTE_SRB = 3,
    VSTOR_OPERATION_RESET_LUN = 4,
    VSTOR_OPERATION_RESET_ADAPTER = 5,
    VSTOR_OPERATION_RESET_BUS = 6,
    VSTOR_OPERATION_BEGIN_INITIALIZATION = 7,
    VSTOR_OPERATION_END_INITIALIZATION = 8,
    VSTOR_OPERATION_QUERY_PROTOCOL_VERSION = 9,
    VSTOR_OPERATION_QUERY_PROPERTIES = 10,
    VSTOR_OPERATION_ENUMERATE_BUS = 11,
    VSTOR_OPERATION_CREATE_SUB_CHANNELS = 13,
};

enum vmstor_protocol_version {
    VMSTOR_PROTO_VERSION_WIN6 = 0x0200,
    VMSTOR_PROTO_VERSION_WIN7 = 0x0402,
    VMSTOR_PROTO_VERSION_WIN8 = 0x0501,
    VMSTOR_PROTO_VERSION_WIN8_1 = 0x0600,
    VMSTOR_PROTO_VERSION_WIN10 = 0x0602,
};

struct vmscsi_request {
    le16 length;
    uint8_t srb_status, scsi_status;
    uint8_t port_number, path_id, target_id, lun;
    uint8_t cdb_length, sense_info_length, data_in, reserved;
    le32 data_transfer_length;
    uint8_t cdb[20]; /* 16 of CDB; sense data in the answer */
    le16 reserve;    /* from here on since Windows 8 */
    uint8_t queue_tag, queue_action;
    le32 srb_flags, time_out_value, queue_sort_ey;
};
WIRE_SIZE(struct vmscsi_request, 52);
enum { VMSCSI_CDB = 16, VMSCSI_SENSE = 20, VMSCSI_SENSE_WIN7 = 18 };
enum vmscsi_data { WRITE_TYPE = 0, READ_TYPE = 1, UNKNOWN_TYPE = 2 };

struct vmstorage_channel_properties {
    le32 reserved;
    le16 max_channel_cnt, reserved1;
    le32 flags; /* bit 0: subchannels */
    le32 max_transfer_bytes;
    le64 reserved2;
};
WIRE_SIZE(struct vmstorage_channel_properties, 24);
enum { STORAGE_CHANNEL_SUPPORTS_MULTI_CHANNEL = 1 };

struct vstor_packet {
    le32 operation;
    le32 flags; /* bit 0: an answer is wanted */
    le32 status;
    union {
        struct vmscsi_request vm_srb;
        struct vmstorage_channel_properties storage_channel_properties;
        le16 version;
        le16 sub_channel_count;
    };
};
WIRE_SIZE(struct vstor_packet, 64);
WIRE_OFFSET(struct vstor_packet, vm_srb, 12);
enum { VSTOR_PACKET_WIN7 = 48, REQUEST_COMPLETION_FLAG = 1 };

enum srb_status {
    SRB_STATUS_SUCCESS = 0x01,
    SRB_STATUS_ERROR = 0x04,
    SRB_STATUS_INVALID_REQUEST = 0x06,
    SRB_STATUS_NO_DEVICE = 0x08,
    SRB_STATUS_INVALID_LUN = 0x20,
    SRB_STATUS_AUTOSENSE_VALID = 0x80,
};

#endif
