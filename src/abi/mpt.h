/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mpt.h - LSI Logic's Message Passing Interface 1.5, of the 53C1030 and SAS1068 controllers.
 *
 * Names are those of LSI's public headers (mpi.h, mpi_ioc.h, mpi_init.h, mpi_cnfg.h, mpi_sas.h).
 * All fields are little-endian.
 */
#ifndef HOSPES_ABI_MPT_H
#define HOSPES_ABI_MPT_H

#include "abi/bytes.h"

enum {
    PCI_VENDOR_ID_LSI_LOGIC = 0x1000,
    MPI_MANUFACTPAGE_DEVID_53C1030 = 0x0030,
    MPI_MANUFACTPAGE_DEVID_SAS1068 = 0x0054,
};

/* System interface registers, in I/O and in memory. */
enum {
    MPI_DOORBELL_OFFSET = 0x00,
    MPI_WRITE_SEQUENCE_OFFSET = 0x04,
    MPI_DIAGNOSTIC_OFFSET = 0x08,
    MPI_HOST_INTERRUPT_STATUS_OFFSET = 0x30,
    MPI_HOST_INTERRUPT_MASK_OFFSET = 0x34,
    MPI_REQUEST_POST_FIFO_OFFSET = 0x40,
    MPI_REPLY_FIFO_OFFSET = 0x44, /* read: posted replies; written: free reply frames */
    MPI_HI_PRI_REQUEST_QUEUE_OFFSET = 0x48,
};

#define MPI_IOC_STATE_MASK UINT32_C(0xf0000000)
#define MPI_IOC_STATE_RESET UINT32_C(0x00000000)
#define MPI_IOC_STATE_READY UINT32_C(0x10000000)
#define MPI_IOC_STATE_OPERATIONAL UINT32_C(0x20000000)
#define MPI_IOC_STATE_FAULT UINT32_C(0x40000000)
#define MPI_DOORBELL_ACTIVE UINT32_C(0x08000000)
#define MPI_REPLY_EMPTY UINT32_C(0xffffffff)
#define MPI_ADDRESS_REPLY_A_BIT UINT32_C(0x80000000)

enum {
    MPI_DOORBELL_WHO_INIT_SHIFT = 24,
    MPI_DOORBELL_FUNCTION_SHIFT = 24,
    MPI_DOORBELL_ADD_DWORDS_SHIFT = 16,
    MPI_WRSEQ_KEY_VALUE_MASK = 0x0f,
    MPI_DIAG_RESET_HISTORY = 0x20,
    MPI_DIAG_DRWE = 0x80,
    MPI_DIAG_RW_ENABLE = 0x10,
    MPI_DIAG_RESET_ADAPTER = 0x04,
    MPI_HIS_REPLY_MESSAGE_INTERRUPT = 0x08,
    MPI_HIS_DOORBELL_INTERRUPT = 0x01,
};

enum mpi_function {
    MPI_FUNCTION_SCSI_IO_REQUEST = 0x00,
    MPI_FUNCTION_SCSI_TASK_MGMT = 0x01,
    MPI_FUNCTION_IOC_INIT = 0x02,
    MPI_FUNCTION_IOC_FACTS = 0x03,
    MPI_FUNCTION_CONFIG = 0x04,
    MPI_FUNCTION_PORT_FACTS = 0x05,
    MPI_FUNCTION_PORT_ENABLE = 0x06,
    MPI_FUNCTION_EVENT_NOTIFICATION = 0x07,
    MPI_FUNCTION_EVENT_ACK = 0x08,
    MPI_FUNCTION_IOC_MESSAGE_UNIT_RESET = 0x40,
    MPI_FUNCTION_IO_UNIT_RESET = 0x41,
    MPI_FUNCTION_HANDSHAKE = 0x42,
};

enum mpi_iocstatus {
    MPI_IOCSTATUS_SUCCESS = 0x0000,
    MPI_IOCSTATUS_INVALID_FUNCTION = 0x0001,
    MPI_IOCSTATUS_INVALID_SGL = 0x0003,
    MPI_IOCSTATUS_INSUFFICIENT_RESOURCES = 0x0006,
    MPI_IOCSTATUS_INVALID_FIELD = 0x0007,
    MPI_IOCSTATUS_INVALID_STATE = 0x0008,
    MPI_IOCSTATUS_CONFIG_INVALID_ACTION = 0x0020,
    MPI_IOCSTATUS_CONFIG_INVALID_TYPE = 0x0021,
    MPI_IOCSTATUS_CONFIG_INVALID_PAGE = 0x0022,
    MPI_IOCSTATUS_CONFIG_INVALID_DATA = 0x0023,
    MPI_IOCSTATUS_CONFIG_CANT_COMMIT = 0x0025,
    MPI_IOCSTATUS_SCSI_INVALID_BUS = 0x0041,
    MPI_IOCSTATUS_SCSI_INVALID_TARGETID = 0x0042,
    MPI_IOCSTATUS_SCSI_DEVICE_NOT_THERE = 0x0043,
    MPI_IOCSTATUS_SCSI_DATA_UNDERRUN = 0x0045,
    MPI_IOCSTATUS_SCSI_TASK_TERMINATED = 0x0048,
};

/* The first 12 bytes of every request. */
struct mpi_request_header {
    uint8_t reserved[2], chain_offset, function, reserved1[3], msg_flags;
    le32 msg_context;
};
WIRE_SIZE(struct mpi_request_header, 12);

/* The first 20 bytes of every reply, and all of most. */
struct mpi_default_reply {
    uint8_t reserved[2], msg_length /* dwords */, function, reserved1[3], msg_flags;
    le32 msg_context;
    le16 reserved2, ioc_status;
    le32 ioc_log_info;
};
WIRE_SIZE(struct mpi_default_reply, 20);

enum { MPI_MSGFLAGS_CONTINUATION_REPLY = 0x80 };
enum { MPI_VERSION_01_05 = 0x0105, MPI_HEADER_VERSION = 0x1300 };

/* --- mpi_ioc.h --- */

struct mpi_ioc_init {
    uint8_t who_init, reserved, chain_offset, function, flags, max_devices, max_buses, msg_flags;
    le32 msg_context;
    le16 reply_frame_size; /* bytes */
    uint8_t reserved1[2];
    le32 host_mfa_high_addr, sense_buffer_high_addr;
};
WIRE_SIZE(struct mpi_ioc_init, 24); /* later versions append fields that are not needed here */

struct mpi_ioc_init_reply {
    uint8_t who_init, reserved, msg_length, function, flags, max_devices, max_buses, msg_flags;
    le32 msg_context;
    le16 reserved2, ioc_status;
    le32 ioc_log_info;
};
WIRE_SIZE(struct mpi_ioc_init_reply, 20);

struct mpi_ioc_facts_reply {
    le16 msg_version;
    uint8_t msg_length, function;
    le16 header_version;
    uint8_t ioc_number, msg_flags;
    le32 msg_context;
    le16 ioc_exceptions, ioc_status;
    le32 ioc_log_info;
    uint8_t max_chain_depth, who_init, block_size, flags;
    le16 reply_queue_depth, request_frame_size /* dwords */;
    le16 reserved_0101_fw_version, product_id;
    le32 current_host_mfa_high_addr;
    le16 global_credits;
    uint8_t number_of_ports, event_state;
    le32 current_sense_buffer_high_addr;
    le16 cur_reply_frame_size;
    uint8_t max_devices, max_buses;
    le32 fw_image_size, ioc_capabilities, fw_version;
    le16 high_priority_queue_depth, reserved2;
    uint8_t host_page_buffer_sge[12];
    le32 reply_fifo_host_signaling_addr;
};
WIRE_OFFSET(struct mpi_ioc_facts_reply, fw_version, 0x38);
WIRE_SIZE(struct mpi_ioc_facts_reply, 0x50);

enum {
    MPI_IOCFACTS_CAPABILITY_HIGH_PRI_Q = 1,
    MPI_FW_HEADER_PID_1030B0_SCSI = 0x0102, /* an initiator of that family */
    MPI_FW_HEADER_PID_1068_SAS = 0x2102,
};

struct mpi_port_facts {
    uint8_t reserved[2], chain_offset, function, reserved1[2], port_number, msg_flags;
    le32 msg_context;
};
WIRE_SIZE(struct mpi_port_facts, 12);

struct mpi_port_facts_reply {
    le16 reserved;
    uint8_t msg_length, function;
    le16 reserved1;
    uint8_t port_number, msg_flags;
    le32 msg_context;
    le16 reserved2, ioc_status;
    le32 ioc_log_info;
    uint8_t reserved3, port_type;
    le16 max_devices, port_scsi_id, protocol_flags, max_posted_cmd_buffers, max_persistent_ids;
    le16 max_lan_buckets;
    uint8_t max_initiators, reserved4;
    le32 reserved5;
};
WIRE_SIZE(struct mpi_port_facts_reply, 0x28);

enum {
    MPI_PORTFACTS_PORTTYPE_SCSI = 0x01,
    MPI_PORTFACTS_PORTTYPE_SAS = 0x30,
    MPI_PORTFACTS_PROTOCOL_INITIATOR = 0x08,
};

struct mpi_event_notify {
    uint8_t on, reserved, chain_offset, function, reserved1[3], msg_flags;
    le32 msg_context;
};
WIRE_SIZE(struct mpi_event_notify, 12);

enum { MPI_EVENT_DATA_MAX = 0x24 };

struct mpi_event_notify_reply {
    le16 event_data_length; /* dwords */
    uint8_t msg_length, function, reserved1[2], ack_required, msg_flags;
    le32 msg_context;
    uint8_t reserved2[2];
    le16 ioc_status;
    le32 ioc_log_info, event, event_context;
    uint8_t data[MPI_EVENT_DATA_MAX];
};
WIRE_OFFSET(struct mpi_event_notify_reply, data, 0x1c);
WIRE_SIZE(struct mpi_event_notify_reply, 0x40);

enum mpi_event {
    MPI_EVENT_IOC_BUS_RESET = 0x04,
    MPI_EVENT_EVENT_CHANGE = 0x0a,
    MPI_EVENT_SAS_DEVICE_STATUS_CHANGE = 0x0f,
    MPI_EVENT_SAS_PHY_LINK_STATUS = 0x12,
};

struct mpi_event_sas_device_status {
    uint8_t target_id, bus, reason_code, reserved, asc, ascq;
    le16 dev_handle;
    le32 device_info;
    le16 parent_dev_handle;
    uint8_t phy_num, reserved1;
    le64 sas_address;
    uint8_t lun[8];
    le16 task_tag, reserved2;
};
WIRE_SIZE(struct mpi_event_sas_device_status, MPI_EVENT_DATA_MAX);

enum {
    MPI_EVENT_SAS_DEV_STAT_RC_ADDED = 0x03,
    MPI_EVENT_SAS_DEV_STAT_RC_NOT_RESPONDING = 0x04,
};

struct mpi_event_sas_phy_link {
    uint8_t phy_num, link_rates /* now << 4 | before */;
    le16 dev_handle;
    le64 sas_address;
};
WIRE_SIZE(struct mpi_event_sas_phy_link, 12);

/* --- mpi_init.h --- */

struct mpi_scsi_io_request {
    uint8_t target_id, bus, chain_offset /* dwords */, function;
    uint8_t cdb_length, sense_buffer_length, reserved, msg_flags;
    le32 msg_context;
    uint8_t lun[8];
    le32 control;
    uint8_t cdb[16];
    le32 data_length, sense_buffer_low_addr;
};
WIRE_SIZE(struct mpi_scsi_io_request, 0x30); /* the scatter list follows */

#define MPI_SCSIIO_CONTROL_DATADIRECTION_MASK UINT32_C(0x03000000)
#define MPI_SCSIIO_CONTROL_WRITE UINT32_C(0x01000000)
#define MPI_SCSIIO_CONTROL_READ UINT32_C(0x02000000)

struct mpi_scsi_io_reply {
    uint8_t target_id, bus, msg_length, function;
    uint8_t cdb_length, sense_buffer_length, reserved, msg_flags;
    le32 msg_context;
    uint8_t scsi_status, scsi_state;
    le16 ioc_status;
    le32 ioc_log_info, transfer_count, sense_count, response_info;
    le16 task_tag, reserved1;
};
WIRE_SIZE(struct mpi_scsi_io_reply, 0x24);

enum {
    MPI_SCSI_STATE_AUTOSENSE_VALID = 0x01,
    MPI_SCSI_STATE_NO_SCSI_STATUS = 0x04,
    MPI_SCSI_STATE_TERMINATED = 0x08,
    MPI_SCSI_TASKTAG_UNKNOWN = 0xffff,
};

struct mpi_scsi_task_mgmt {
    uint8_t target_id, bus, chain_offset, function, reserved, task_type, reserved1, msg_flags;
    le32 msg_context;
    uint8_t lun[8];
    le32 reserved2[7], task_msg_context;
};
WIRE_SIZE(struct mpi_scsi_task_mgmt, 0x34);

enum mpi_task_type {
    MPI_SCSITASKMGMT_TASKTYPE_ABORT_TASK = 1,
    MPI_SCSITASKMGMT_TASKTYPE_ABRT_TASK_SET = 2,
    MPI_SCSITASKMGMT_TASKTYPE_TARGET_RESET = 3,
    MPI_SCSITASKMGMT_TASKTYPE_RESET_BUS = 4,
    MPI_SCSITASKMGMT_TASKTYPE_LOGICAL_UNIT_RESET = 5,
    MPI_SCSITASKMGMT_TASKTYPE_CLEAR_TASK_SET = 6,
    MPI_SCSITASKMGMT_TASKTYPE_QUERY_TASK = 7,
};

struct mpi_scsi_task_mgmt_reply {
    uint8_t target_id, bus, msg_length, function, response_code, task_type, reserved1, msg_flags;
    le32 msg_context;
    uint8_t reserved2[2];
    le16 ioc_status;
    le32 ioc_log_info, termination_count;
};
WIRE_SIZE(struct mpi_scsi_task_mgmt_reply, 0x18);

enum {
    MPI_SCSITASKMGMT_RSP_TM_COMPLETE = 0x00,
    MPI_SCSITASKMGMT_RSP_TM_NOT_SUPPORTED = 0x04,
    MPI_SCSITASKMGMT_RSP_TM_SUCCEEDED = 0x08,
};

/* Scatter-gather elements: a word of flags and length, then an address of 4 or 8 bytes. */
enum {
    MPI_SGE_FLAGS_SHIFT = 24,
    MPI_SGE_FLAGS_LAST_ELEMENT = 0x80,
    MPI_SGE_FLAGS_ELEMENT_TYPE_MASK = 0x30,
    MPI_SGE_FLAGS_SIMPLE_ELEMENT = 0x10,
    MPI_SGE_FLAGS_CHAIN_ELEMENT = 0x30,
    MPI_SGE_FLAGS_DIRECTION = 0x04,
    MPI_SGE_FLAGS_64_BIT_ADDRESSING = 0x02,
    MPI_SGE_FLAGS_END_OF_LIST = 0x01,
    MPI_SGE_LENGTH_MASK = 0x00ffffff,
    MPI_SGE_CHAIN_LENGTH_MASK = 0xffff,
    MPI_SGE_CHAIN_OFFSET_SHIFT = 16, /* of the next chain element in the segment, dwords */
};

/* --- mpi_cnfg.h --- */

struct mpi_config_page_header {
    uint8_t page_version, page_length /* dwords */, page_number, page_type;
};
WIRE_SIZE(struct mpi_config_page_header, 4);

struct mpi_config_extended_page_header {
    uint8_t page_version, reserved1, page_number, page_type;
    le16 ext_page_length; /* dwords */
    uint8_t ext_page_type, reserved2;
};
WIRE_SIZE(struct mpi_config_extended_page_header, 8);

struct mpi_config {
    uint8_t action, reserved, chain_offset, function;
    le16 ext_page_length;
    uint8_t ext_page_type, msg_flags;
    le32 msg_context;
    uint8_t reserved2[8];
    struct mpi_config_page_header header;
    le32 page_address;
};
WIRE_SIZE(struct mpi_config, 0x1c); /* one scatter-gather element follows */

struct mpi_config_reply {
    uint8_t action, reserved, msg_length, function;
    le16 ext_page_length;
    uint8_t ext_page_type, msg_flags;
    le32 msg_context;
    uint8_t reserved2[2];
    le16 ioc_status;
    le32 ioc_log_info;
    struct mpi_config_page_header header;
};
WIRE_SIZE(struct mpi_config_reply, 0x18);

enum mpi_config_action {
    MPI_CONFIG_ACTION_PAGE_HEADER = 0,
    MPI_CONFIG_ACTION_PAGE_READ_CURRENT = 1,
    MPI_CONFIG_ACTION_PAGE_WRITE_CURRENT = 2,
    MPI_CONFIG_ACTION_PAGE_DEFAULT = 3,
    MPI_CONFIG_ACTION_PAGE_WRITE_NVRAM = 4,
    MPI_CONFIG_ACTION_PAGE_READ_DEFAULT = 5,
    MPI_CONFIG_ACTION_PAGE_READ_NVRAM = 6,
};

enum mpi_config_page_type {
    MPI_CONFIG_PAGETYPE_IO_UNIT = 0x00,
    MPI_CONFIG_PAGETYPE_IOC = 0x01,
    MPI_CONFIG_PAGETYPE_SCSI_PORT = 0x03,
    MPI_CONFIG_PAGETYPE_SCSI_DEVICE = 0x04,
    MPI_CONFIG_PAGETYPE_MANUFACTURING = 0x09,
    MPI_CONFIG_PAGETYPE_EXTENDED = 0x0f,
    MPI_CONFIG_PAGETYPE_MASK = 0x0f,
    MPI_CONFIG_PAGEATTR_CHANGEABLE = 0x10,
    MPI_CONFIG_PAGEATTR_PERSISTENT = 0x20,
    MPI_CONFIG_EXTPAGETYPE_SAS_IO_UNIT = 0x10,
    MPI_CONFIG_EXTPAGETYPE_SAS_DEVICE = 0x12,
    MPI_CONFIG_EXTPAGETYPE_SAS_PHY = 0x13,
    MPI_CONFIG_EXTPAGETYPE_ENCLOSURE = 0x15,
};

struct mpi_manufacturing_0 {
    struct mpi_config_page_header header;
    char chip_name[16], chip_revision[8], board_name[16], board_assembly[16], board_tracer[16];
};
WIRE_SIZE(struct mpi_manufacturing_0, 0x4c);

struct mpi_ioc_0 {
    struct mpi_config_page_header header;
    le32 total_nv_store, free_nv_store;
    le16 vendor_id, device_id;
    uint8_t revision_id, reserved[3];
    le32 class_code;
    le16 subsystem_vendor_id, subsystem_id;
};
WIRE_SIZE(struct mpi_ioc_0, 0x1c);

struct mpi_ioc_1 {
    struct mpi_config_page_header header;
    le32 flags, coalescing_timeout;
    uint8_t coalescing_depth, pci_slot_num, reserved[2];
};
WIRE_SIZE(struct mpi_ioc_1, 0x10);

enum { MPI_IOCPAGE1_PCISLOTNUM_UNKNOWN = 0xff };

struct mpi_scsi_port_0 {
    struct mpi_config_page_header header;
    le32 capabilities, physical_interface;
};
WIRE_SIZE(struct mpi_scsi_port_0, 0x0c);

#define MPI_SCSIPORTPAGE0_CAP_WIDE UINT32_C(0x20000000)
enum {
    MPI_SCSIPORTPAGE0_CAP_SHIFT_MIN_SYNC_PERIOD = 8,
    MPI_SCSIPORTPAGE0_CAP_SHIFT_MAX_SYNC_OFFSET = 16,
    MPI_SCSIPORTPAGE0_SYNC_40 = 0x0a,
    MPI_SCSIPORTPAGE0_PHY_SIGNAL_LVD = 3,
};

struct mpi_scsi_port_1 {
    struct mpi_config_page_header header;
    le32 configuration, on_bus_timer_value;
    uint8_t target_config, reserved1;
    le16 id_config;
};
WIRE_SIZE(struct mpi_scsi_port_1, 0x10);

struct mpi_device_info {
    uint8_t timeout, sync_factor;
    le16 device_flags;
};
WIRE_SIZE(struct mpi_device_info, 4);

struct mpi_scsi_port_2 {
    struct mpi_config_page_header header;
    le32 port_flags, port_settings;
    struct mpi_device_info device[16];
};
WIRE_SIZE(struct mpi_scsi_port_2, 0x4c);

enum { MPI_SCSIPORTPAGE2_DEVICE_ENABLED = 0x000f /* disconnect, both scans, tag queue */ };

struct mpi_scsi_device_1 {
    struct mpi_config_page_header header;
    le32 requested_parameters, reserved, configuration;
};
WIRE_SIZE(struct mpi_scsi_device_1, 0x10);

struct mpi_sas_io_unit0_phy {
    uint8_t port, port_flags, phy_flags, negotiated_link_rate;
    le32 controller_phy_device_info;
    le16 attached_device_handle, controller_dev_handle;
    le32 discovery_status;
};
WIRE_SIZE(struct mpi_sas_io_unit0_phy, 16);

struct mpi_sas_io_unit1_phy {
    uint8_t port, port_flags, phy_flags, max_min_link_rate;
    le32 controller_phy_device_info;
    le16 max_target_port_connect_time, reserved1;
};
WIRE_SIZE(struct mpi_sas_io_unit1_phy, 12);

struct mpi_sas_phy_0 {
    struct mpi_config_extended_page_header header;
    le16 owner_dev_handle, reserved1;
    le64 sas_address;
    le16 attached_dev_handle;
    uint8_t attached_phy_identifier, reserved2;
    le32 attached_device_info;
    uint8_t programmed_link_rate, hw_link_rate, change_count, flags;
    le32 phy_info;
};
WIRE_SIZE(struct mpi_sas_phy_0, 0x24);

struct mpi_sas_device_0 {
    struct mpi_config_extended_page_header header;
    le16 slot, enclosure_handle;
    le64 sas_address;
    le16 parent_dev_handle;
    uint8_t phy_num, access_status;
    le16 dev_handle;
    uint8_t target_id, bus;
    le32 device_info;
    le16 flags;
    uint8_t physical_port, reserved2;
};
WIRE_SIZE(struct mpi_sas_device_0, 0x24);

struct mpi_sas_device_1 {
    struct mpi_config_extended_page_header header;
    le32 reserved1;
    le64 sas_address;
    le32 reserved2;
    le16 dev_handle;
    uint8_t target_id, bus, initial_reg_device_fis[20];
};
WIRE_SIZE(struct mpi_sas_device_1, 0x30);

struct mpi_sas_enclosure_0 {
    struct mpi_config_extended_page_header header;
    le32 reserved1;
    le64 enclosure_logical_id;
    le16 flags, enclosure_handle, num_slots, start_slot;
    uint8_t start_target_id, start_bus, sep_target_id, sep_bus;
    le32 reserved2, reserved3;
};
WIRE_SIZE(struct mpi_sas_enclosure_0, 0x28);

enum {
    MPI_SAS_PGAD_FORM_SHIFT = 28,
    MPI_SAS_DEVICE_PGAD_FORM_GET_NEXT_HANDLE = 0,
    MPI_SAS_DEVICE_PGAD_FORM_BUS_TARGET_ID = 1,
    MPI_SAS_DEVICE_PGAD_FORM_HANDLE = 2,
    MPI_SAS_ENCLOS_PGAD_FORM_GET_NEXT_HANDLE = 0,
    MPI_SAS_ENCLOS_PGAD_FORM_HANDLE = 1,
    MPI_SAS_IOUNIT0_RATE_UNKNOWN = 0x00,
    MPI_SAS_IOUNIT0_RATE_3_0 = 0x09,
    MPI_SAS_RATE_1_5_TO_3_0 = 0x98,
    MPI_SAS_DEVICE0_FLAGS_DEVICE_PRESENT = 1,
    MPI_SAS_DEVICE0_FLAGS_DEVICE_MAPPED = 2,
    MPI_SAS_DEVICE_INFO_END_DEVICE = 0x001,
    MPI_SAS_DEVICE_INFO_INITIATOR = 0x070, /* SSP, STP and SMP */
    MPI_SAS_DEVICE_INFO_SSP_TARGET = 0x400,
    MPI_SAS_DEVICE_INFO_DIRECT_ATTACH = 0x800,
};

#endif
