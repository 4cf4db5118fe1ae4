/* SPDX-License-Identifier: Apache-2.0 */
/* virtio_scsi.h - the SCSI host device. Document: VIRTIO 1.2, section 5.6. */
#ifndef HOSPES_ABI_VIRTIO_SCSI_H
#define HOSPES_ABI_VIRTIO_SCSI_H

#include "abi/bytes.h"

/* 5.6.2: queues before those for requests. */
enum { VIRTIO_SCSI_CONTROLQ = 0, VIRTIO_SCSI_EVENTQ = 1, VIRTIO_SCSI_REQUESTQ = 2 };

/* 5.6.3 */
#define VIRTIO_SCSI_F_HOTPLUG (UINT64_C(1) << 1)
#define VIRTIO_SCSI_F_CHANGE (UINT64_C(1) << 2)

/* 5.6.4 */
struct virtio_scsi_config {
    le32 num_queues;
    le32 seg_max;
    le32 max_sectors;
    le32 cmd_per_lun;
    le32 event_info_size;
    le32 sense_size;
    le32 cdb_size;
    le16 max_channel;
    le16 max_target;
    le32 max_lun;
};
WIRE_SIZE(struct virtio_scsi_config, 36);
WIRE_OFFSET(struct virtio_scsi_config, sense_size, 20);

enum { VIRTIO_SCSI_CDB_DEFAULT_SIZE = 32, VIRTIO_SCSI_SENSE_DEFAULT_SIZE = 96 };

/* 5.6.6.1: then cdb_size bytes, then data to the device. */
struct virtio_scsi_req_cmd {
    uint8_t lun[8];
    le64 id;
    uint8_t task_attr;
    uint8_t prio;
    uint8_t crn;
};
WIRE_SIZE(struct virtio_scsi_req_cmd, 19);

/* Then sense_size bytes, then data from the device. */
struct virtio_scsi_resp_cmd {
    le32 sense_len;
    le32 residual;
    le16 status_qualifier;
    uint8_t status;
    uint8_t response;
};
WIRE_SIZE(struct virtio_scsi_resp_cmd, 12);

enum {
    VIRTIO_SCSI_S_OK = 0,
    VIRTIO_SCSI_S_BAD_TARGET = 3,
    VIRTIO_SCSI_S_FAILURE = 9,
    VIRTIO_SCSI_S_FUNCTION_COMPLETE = 0,
    VIRTIO_SCSI_S_FUNCTION_SUCCEEDED = 10,
    VIRTIO_SCSI_S_FUNCTION_REJECTED = 11,
};

/* 5.6.6.2 */
enum { VIRTIO_SCSI_T_TMF = 0, VIRTIO_SCSI_T_AN_QUERY = 1, VIRTIO_SCSI_T_AN_SUBSCRIBE = 2 };
enum {
    VIRTIO_SCSI_T_TMF_ABORT_TASK = 0,
    VIRTIO_SCSI_T_TMF_ABORT_TASK_SET = 1,
    VIRTIO_SCSI_T_TMF_CLEAR_ACA = 2,
    VIRTIO_SCSI_T_TMF_CLEAR_TASK_SET = 3,
    VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET = 4,
    VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET = 5,
    VIRTIO_SCSI_T_TMF_QUERY_TASK = 6,
    VIRTIO_SCSI_T_TMF_QUERY_TASK_SET = 7,
};
struct virtio_scsi_ctrl_tmf {
    le32 type;
    le32 subtype;
    uint8_t lun[8];
    le64 id;
};
WIRE_SIZE(struct virtio_scsi_ctrl_tmf, 24);

/* The answer to AN_QUERY and AN_SUBSCRIBE. */
struct virtio_scsi_ctrl_an_resp {
    le32 event_actual;
    uint8_t response;
};
WIRE_SIZE(struct virtio_scsi_ctrl_an_resp, 5);

/* 5.6.6.3 */
#define VIRTIO_SCSI_T_EVENTS_MISSED UINT32_C(0x80000000)
enum {
    VIRTIO_SCSI_T_NO_EVENT = 0,
    VIRTIO_SCSI_T_TRANSPORT_RESET = 1,
    VIRTIO_SCSI_T_ASYNC_NOTIFY = 2,
    VIRTIO_SCSI_T_PARAM_CHANGE = 3,
};
enum { VIRTIO_SCSI_EVT_RESET_RESCAN = 1, VIRTIO_SCSI_EVT_RESET_REMOVED = 2 };
struct virtio_scsi_event {
    le32 event;
    uint8_t lun[8];
    le32 reason;
};
WIRE_SIZE(struct virtio_scsi_event, 16);

#endif
