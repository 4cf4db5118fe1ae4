/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scsi.h - operation codes, sense data and status of SPC-4, SBC-3 and MMC-6.
 */
#ifndef HOSPES_ABI_SCSI_H
#define HOSPES_ABI_SCSI_H

#include "abi/bytes.h"

/* SAM-5 table 39: status codes. */
enum scsi_status {
    SCSI_GOOD = 0x00,
    SCSI_CHECK_CONDITION = 0x02,
    SCSI_BUSY = 0x08,
    SCSI_RESERVATION_CONFLICT = 0x18,
    SCSI_TASK_SET_FULL = 0x28,
    SCSI_TASK_ABORTED = 0x40,
};

/* SPC-4, SBC-3 and MMC-6 operation codes. */
enum scsi_op {
    TEST_UNIT_READY = 0x00,
    REQUEST_SENSE = 0x03,
    READ_6 = 0x08,
    WRITE_6 = 0x0a,
    INQUIRY = 0x12,
    MODE_SELECT_6 = 0x15,
    RESERVE_6 = 0x16,
    RELEASE_6 = 0x17,
    MODE_SENSE_6 = 0x1a,
    START_STOP_UNIT = 0x1b,
    PREVENT_ALLOW_MEDIUM_REMOVAL = 0x1e,
    READ_CAPACITY_10 = 0x25,
    READ_10 = 0x28,
    WRITE_10 = 0x2a,
    SEEK_10 = 0x2b,
    WRITE_AND_VERIFY_10 = 0x2e,
    VERIFY_10 = 0x2f,
    SYNCHRONIZE_CACHE_10 = 0x35,
    WRITE_SAME_10 = 0x41,
    UNMAP = 0x42,
    READ_TOC_PMA_ATIP = 0x43,
    GET_CONFIGURATION = 0x46,
    GET_EVENT_STATUS_NOTIFICATION = 0x4a,
    READ_DISC_INFORMATION = 0x51,
    MODE_SELECT_10 = 0x55,
    RESERVE_10 = 0x56,
    RELEASE_10 = 0x57,
    MODE_SENSE_10 = 0x5a,
    PERSISTENT_RESERVE_IN = 0x5e,
    PERSISTENT_RESERVE_OUT = 0x5f,
    READ_16 = 0x88,
    WRITE_16 = 0x8a,
    WRITE_AND_VERIFY_16 = 0x8e,
    VERIFY_16 = 0x8f,
    SYNCHRONIZE_CACHE_16 = 0x91,
    WRITE_SAME_16 = 0x93,
    SERVICE_ACTION_IN_16 = 0x9e, /* 0x10: READ CAPACITY(16) */
    REPORT_LUNS = 0xa0,
    READ_12 = 0xa8,
    WRITE_12 = 0xaa,
    READ_DVD_STRUCTURE = 0xad,
    SET_CD_SPEED = 0xbb,
    MECHANISM_STATUS = 0xbd,
};

enum { SAI_READ_CAPACITY_16 = 0x10 };

/* SPC-4 table 28: sense keys. */
enum sense_key {
    NO_SENSE = 0x0,
    RECOVERED_ERROR = 0x1,
    NOT_READY = 0x2,
    MEDIUM_ERROR = 0x3,
    HARDWARE_ERROR = 0x4,
    ILLEGAL_REQUEST = 0x5,
    UNIT_ATTENTION = 0x6,
    DATA_PROTECT = 0x7,
    ABORTED_COMMAND = 0xb,
};

/* SPC-4 annex F: additional sense code << 8 | qualifier. */
enum sense_code {
    ASC_NONE = 0x0000,
    ASC_WRITE_ERROR = 0x0c00,
    ASC_UNRECOVERED_READ_ERROR = 0x1100,
    ASC_PARAMETER_LIST_LENGTH_ERROR = 0x1a00,
    ASC_INVALID_COMMAND_OPERATION_CODE = 0x2000,
    ASC_LBA_OUT_OF_RANGE = 0x2100,
    ASC_INVALID_FIELD_IN_CDB = 0x2400,
    ASC_LOGICAL_UNIT_NOT_SUPPORTED = 0x2500,
    ASC_INVALID_FIELD_IN_PARAMETER_LIST = 0x2600,
    ASC_WRITE_PROTECTED = 0x2700,
    ASC_SPACE_ALLOCATION_FAILED = 0x2707,
    ASC_MEDIUM_MAY_HAVE_CHANGED = 0x2800,
    ASC_POWER_ON_OR_RESET = 0x2900,
    ASC_MODE_PARAMETERS_CHANGED = 0x2a01,
    ASC_CAPACITY_HAS_CHANGED = 0x2a09,
    ASC_MEDIUM_NOT_PRESENT = 0x3a00,
    ASC_REPORTED_LUNS_DATA_HAS_CHANGED = 0x3f0e,
    ASC_INTERNAL_TARGET_FAILURE = 0x4400,
    ASC_MEDIUM_REMOVAL_PREVENTED = 0x5302,
};

/* SPC-4 4.5.3: fixed format sense data. */
struct scsi_sense_fixed {
    uint8_t response; /* 0x70: current error */
    uint8_t obsolete;
    uint8_t key;
    be32 information;
    uint8_t additional_length;
    be32 command_specific;
    uint8_t asc, ascq;
    uint8_t fru;
    uint8_t key_specific[3];
};
WIRE_SIZE(struct scsi_sense_fixed, 18);

/* SPC-4 table 57: UNMAP block descriptor (SBC-3 table 105), after an 8-byte header. */
struct scsi_unmap_range {
    be64 lba;
    be32 blocks;
    be32 reserved;
};
WIRE_SIZE(struct scsi_unmap_range, 16);

#endif
