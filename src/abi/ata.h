/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ata.h - registers and commands of ATA/ATAPI-6 (T13 1410D) and of the bus master IDE programming
 * interface (SFF-8038i, Intel 290550).
 */
#ifndef HOSPES_ABI_ATA_H
#define HOSPES_ABI_ATA_H

#include "abi/bytes.h"

/* ATA-6 7.: the command block, as offsets of its ports. */
enum ata_register {
    ATA_DATA = 0,
    ATA_FEATURE = 1, /* read: error */
    ATA_COUNT = 2,   /* PACKET: interrupt reason */
    ATA_LBA_LOW = 3,
    ATA_LBA_MID = 4, /* PACKET: byte count */
    ATA_LBA_HIGH = 5,
    ATA_DEVICE = 6,
    ATA_COMMAND = 7, /* read: status */
};

enum ata_status_bits {
    ATA_ERR = 0x01,
    ATA_DRQ = 0x08,
    ATA_DSC = 0x10,
    ATA_DF = 0x20,
    ATA_DRDY = 0x40,
    ATA_BSY = 0x80,
};

enum ata_error_bits { ATA_ABRT = 0x04, ATA_IDNF = 0x10, ATA_UNC = 0x40 };
enum ata_device_bits { ATA_DEV = 0x10, ATA_LBA = 0x40, ATA_DEVICE_ONES = 0xa0 };
enum ata_control_bits { ATA_NIEN = 0x02, ATA_SRST = 0x04, ATA_HOB = 0x80 };
enum ata_reason_bits { ATA_COD = 0x01, ATA_IO = 0x02 };

/* ATA-6 8.: command codes. */
enum ata_command {
    ATA_DEVICE_RESET = 0x08,
    ATA_RECALIBRATE = 0x10,
    ATA_READ_SECTORS = 0x20,
    ATA_READ_SECTORS_NORETRY = 0x21,
    ATA_READ_SECTORS_EXT = 0x24,
    ATA_READ_DMA_EXT = 0x25,
    ATA_READ_NATIVE_MAX_EXT = 0x27,
    ATA_READ_MULTIPLE_EXT = 0x29,
    ATA_READ_LOG_EXT = 0x2f,
    ATA_WRITE_SECTORS = 0x30,
    ATA_WRITE_SECTORS_NORETRY = 0x31,
    ATA_WRITE_SECTORS_EXT = 0x34,
    ATA_WRITE_DMA_EXT = 0x35,
    ATA_WRITE_MULTIPLE_EXT = 0x39,
    ATA_WRITE_DMA_FUA_EXT = 0x3d,
    ATA_READ_VERIFY = 0x40,
    ATA_READ_VERIFY_NORETRY = 0x41,
    ATA_READ_VERIFY_EXT = 0x42,
    ATA_SEEK = 0x70,
    ATA_EXECUTE_DIAGNOSTIC = 0x90,
    ATA_INITIALIZE_PARAMETERS = 0x91,
    ATA_PACKET = 0xa0,
    ATA_IDENTIFY_PACKET = 0xa1,
    ATA_READ_MULTIPLE = 0xc4,
    ATA_WRITE_MULTIPLE = 0xc5,
    ATA_SET_MULTIPLE = 0xc6,
    ATA_READ_DMA = 0xc8,
    ATA_READ_DMA_NORETRY = 0xc9,
    ATA_WRITE_DMA = 0xca,
    ATA_WRITE_DMA_NORETRY = 0xcb,
    ATA_WRITE_MULTIPLE_FUA_EXT = 0xce,
    ATA_STANDBY_IMMEDIATE = 0xe0,
    ATA_IDLE_IMMEDIATE = 0xe1,
    ATA_STANDBY = 0xe2,
    ATA_IDLE = 0xe3,
    ATA_CHECK_POWER = 0xe5,
    ATA_SLEEP = 0xe6,
    ATA_FLUSH_CACHE = 0xe7,
    ATA_FLUSH_CACHE_EXT = 0xea,
    ATA_IDENTIFY = 0xec,
    ATA_SET_FEATURES = 0xef,
    ATA_READ_NATIVE_MAX = 0xf8,
};

/* ATA-6 8.46: what SET FEATURES is asked for. */
enum ata_feature {
    ATA_FEATURE_WRITE_CACHE_ON = 0x02,
    ATA_FEATURE_TRANSFER_MODE = 0x03,
    ATA_FEATURE_LOOK_AHEAD_OFF = 0x55,
    ATA_FEATURE_REVERT_OFF = 0x66,
    ATA_FEATURE_WRITE_CACHE_OFF = 0x82,
    ATA_FEATURE_LOOK_AHEAD_ON = 0xaa,
    ATA_FEATURE_REVERT_ON = 0xcc,
};

/* SFF-8038i: registers of one channel, and the table of physical regions. */
enum bmide_register { BMIDE_COMMAND = 0, BMIDE_STATUS = 2, BMIDE_TABLE = 4, BMIDE_CHANNEL = 8 };
enum bmide_command_bits { BMIDE_START = 0x01, BMIDE_TO_MEMORY = 0x08 };
enum bmide_status_bits {
    BMIDE_ACTIVE = 0x01,
    BMIDE_ERROR = 0x02,
    BMIDE_INTERRUPT = 0x04,
    BMIDE_CAPABLE = 0x60,
};
struct bmide_region {
    le32 base;
    le16 count; /* bytes, 0: 64 KiB */
    le16 flags;
};
WIRE_SIZE(struct bmide_region, 8);
enum { BMIDE_END_OF_TABLE = 0x8000 };

#endif
