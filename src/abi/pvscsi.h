/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pvscsi.h - VMware's paravirtual SCSI adapter, as its public guest drivers define it.
 *
 * Names are those of the Linux driver vmw_pvscsi.h. All fields are little-endian.
 */
#ifndef HOSPES_ABI_PVSCSI_H
#define HOSPES_ABI_PVSCSI_H

#include "abi/bytes.h"

enum { PCI_VENDOR_ID_VMWARE = 0x15ad, PCI_DEVICE_ID_VMWARE_PVSCSI = 0x07c0 };

/* Register offsets in the memory BAR. */
enum {
    PVSCSI_REG_OFFSET_COMMAND = 0x0,
    PVSCSI_REG_OFFSET_COMMAND_DATA = 0x4,
    PVSCSI_REG_OFFSET_COMMAND_STATUS = 0x8,
    PVSCSI_REG_OFFSET_LAST_STS_0 = 0x100,
    PVSCSI_REG_OFFSET_LAST_STS_3 = 0x10c,
    PVSCSI_REG_OFFSET_INTR_STATUS = 0x100c,
    PVSCSI_REG_OFFSET_INTR_MASK = 0x2010,
    PVSCSI_REG_OFFSET_KICK_NON_RW_IO = 0x3014,
    PVSCSI_REG_OFFSET_DEBUG = 0x3018,
    PVSCSI_REG_OFFSET_KICK_RW_IO = 0x4018,
    PVSCSI_MEM_SPACE_SIZE = 0x8000,
    PVSCSI_MSIX_TABLE = 0x6000,
};

enum pvscsi_command {
    PVSCSI_CMD_ADAPTER_RESET = 1,
    PVSCSI_CMD_ISSUE_SCSI = 2,
    PVSCSI_CMD_SETUP_RINGS = 3,
    PVSCSI_CMD_RESET_BUS = 4,
    PVSCSI_CMD_RESET_DEVICE = 5,
    PVSCSI_CMD_ABORT_CMD = 6,
    PVSCSI_CMD_CONFIG = 7,
    PVSCSI_CMD_SETUP_MSG_RING = 8,
    PVSCSI_CMD_DEVICE_UNPLUG = 9,
    PVSCSI_CMD_SETUP_REQCALLTHRESHOLD = 10,
    PVSCSI_CMD_GET_MAX_TARGETS = 11,
    PVSCSI_CMD_LAST = 12,
};

/* COMMAND_STATUS besides a command's own positive answer. */
enum {
    PVSCSI_COMMAND_PROCESSING_SUCCEEDED = 0,
    PVSCSI_COMMAND_PROCESSING_FAILED = -1,
    PVSCSI_COMMAND_NOT_ENOUGH_DATA = -2
};

/* Interrupt status and mask bits. */
enum {
    PVSCSI_INTR_CMPL_0 = 1 << 0,
    PVSCSI_INTR_CMPL_1 = 1 << 1,
    PVSCSI_INTR_CMPL_MASK = 3,
    PVSCSI_INTR_MSG_0 = 1 << 2,
    PVSCSI_INTR_MSG_1 = 1 << 3,
    PVSCSI_INTR_ALL_SUPPORTED = 0xf,
};

enum {
    PVSCSI_PAGE_SIZE = 4096,
    PVSCSI_SETUP_RINGS_MAX_NUM_PAGES = 32,
    PVSCSI_SETUP_MSG_RING_MAX_NUM_PAGES = 16,
    PVSCSI_MAX_SG_PER_SEGMENT = 128
};

struct pvscsi_setup_rings {
    le32 req_pages, cmp_pages;
    le64 state_ppn;
    le64 req_ppn[PVSCSI_SETUP_RINGS_MAX_NUM_PAGES];
    le64 cmp_ppn[PVSCSI_SETUP_RINGS_MAX_NUM_PAGES];
};
WIRE_SIZE(struct pvscsi_setup_rings, 528);

struct pvscsi_setup_msg_ring {
    le32 pages, pad;
    le64 ppn[PVSCSI_SETUP_MSG_RING_MAX_NUM_PAGES];
};
WIRE_SIZE(struct pvscsi_setup_msg_ring, 136);

struct pvscsi_reset_device {
    le32 target;
    uint8_t lun[8];
};
WIRE_SIZE(struct pvscsi_reset_device, 12);

struct pvscsi_abort {
    le64 context;
    le32 target, pad;
};
WIRE_SIZE(struct pvscsi_abort, 16);

struct pvscsi_config {
    le64 cmp_addr;
    le64 config_page_address; /* type << 32 | number */
    le32 config_page_num, pad;
};
WIRE_SIZE(struct pvscsi_config, 24);

enum {
    PVSCSI_CONFIG_PAGE_CONTROLLER = 0x1958,
    PVSCSI_CONFIG_PAGE_PHY = 0x1959,
    PVSCSI_CONFIG_PAGE_DEVICE = 0x195a
};

struct pvscsi_config_header {
    le32 page_num;
    le16 num_dwords, host_status, scsi_status, reserved[3];
};
WIRE_SIZE(struct pvscsi_config_header, 16);

struct pvscsi_config_controller {
    struct pvscsi_config_header header;
    le64 node_wwn;
    le16 manufacturer[64], serial[64], oprom_version[32], hw_version[32], fw_version[32];
    le32 num_phys;
    uint8_t use_consecutive_phy_wwns;
    uint8_t reserved[3];
};
WIRE_OFFSET(struct pvscsi_config_controller, num_phys, 472);
WIRE_SIZE(struct pvscsi_config_controller, 480);

struct pvscsi_config_phy {
    struct pvscsi_config_header header;
    le64 wwn;
    le32 id, link_up;
};
WIRE_SIZE(struct pvscsi_config_phy, 32);

/* The page that guest and adapter share: free-running indices, masked by 2^log2. */
struct pvscsi_rings_state {
    le32 req_prod_idx, req_cons_idx, req_num_entries_log2;
    le32 cmp_prod_idx, cmp_cons_idx, cmp_num_entries_log2;
    le32 req_call_threshold;
    uint8_t pad[100];
    le32 msg_prod_idx, msg_cons_idx, msg_num_entries_log2;
};
WIRE_OFFSET(struct pvscsi_rings_state, cmp_prod_idx, 12);
WIRE_OFFSET(struct pvscsi_rings_state, msg_prod_idx, 128);
WIRE_SIZE(struct pvscsi_rings_state, 140);

enum pvscsi_req_flags {
    PVSCSI_FLAG_CMD_WITH_SG_LIST = 1 << 0,
    PVSCSI_FLAG_CMD_OUT_OF_BAND_CDB = 1 << 1,
    PVSCSI_FLAG_CMD_DIR_NONE = 1 << 2,
    PVSCSI_FLAG_CMD_DIR_TOHOST = 1 << 3,
    PVSCSI_FLAG_CMD_DIR_TODEVICE = 1 << 4,
};

struct pvscsi_req_desc {
    le64 context, data_addr, data_len, sense_addr;
    le32 sense_len, flags;
    uint8_t cdb[16];
    uint8_t cdb_len;
    uint8_t lun[8];
    uint8_t tag, bus, target;
    uint8_t vcpu_hint;
    uint8_t unused[59];
};
WIRE_OFFSET(struct pvscsi_req_desc, cdb_len, 56);
WIRE_OFFSET(struct pvscsi_req_desc, target, 67);
WIRE_SIZE(struct pvscsi_req_desc, 128);

enum { PVSCSI_SGE_FLAG_CHAIN_ELEMENT = 1 << 0 };
struct pvscsi_sg_element {
    le64 addr;
    le32 length, flags;
};
WIRE_SIZE(struct pvscsi_sg_element, 16);

struct pvscsi_cmp_desc {
    le64 context, data_len;
    le32 sense_len;
    le16 host_status, scsi_status;
    le32 pad[2];
};
WIRE_SIZE(struct pvscsi_cmp_desc, 32);

enum pvscsi_host_status {
    BTSTAT_SUCCESS = 0x00,
    BTSTAT_DATA_UNDERRUN = 0x0c,
    BTSTAT_SELTIMEO = 0x11,
    BTSTAT_DATARUN = 0x12,
    BTSTAT_INVPARAM = 0x1a,
    BTSTAT_BUSRESET = 0x25,
    BTSTAT_ABORTQUEUE = 0x26,
    BTSTAT_HASOFTWARE = 0x27,
};

enum { PVSCSI_MSG_DEV_ADDED = 0, PVSCSI_MSG_DEV_REMOVED = 1 };
struct pvscsi_msg_dev_status {
    le32 type, bus, target;
    uint8_t lun[8];
    le32 pad[27];
};
WIRE_SIZE(struct pvscsi_msg_dev_status, 128);

#endif
