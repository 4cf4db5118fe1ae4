/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ahci.h - registers and structures of Serial ATA AHCI 1.3.1, and the frames of Serial ATA 3.0.
 */
#ifndef HOSPES_ABI_AHCI_H
#define HOSPES_ABI_AHCI_H

#include "abi/bytes.h"

/* Chapter 3.1: generic host control. */
enum ahci_hba {
    HBA_CAP = 0x00,
    HBA_GHC = 0x04,
    HBA_IS = 0x08,
    HBA_PI = 0x0c,
    HBA_VS = 0x10,
    HBA_CAP2 = 0x24,
    HBA_PORTS = 0x100,
    HBA_PORT_SIZE = 0x80,
    GHC_HR = 1u << 0,
    GHC_IE = 1u << 1,
    CAP_SAM = 1u << 18,
    CAP_NCQ = 1u << 30,
};
#define GHC_AE (UINT32_C(1) << 31)
#define CAP_64BIT (UINT32_C(1) << 31)

/* Chapter 3.3: a port's registers, as offsets. */
enum ahci_port {
    PX_CLB = 0x00,
    PX_CLBU = 0x04,
    PX_FB = 0x08,
    PX_FBU = 0x0c,
    PX_IS = 0x10,
    PX_IE = 0x14,
    PX_CMD = 0x18,
    PX_TFD = 0x20,
    PX_SIG = 0x24,
    PX_SSTS = 0x28,
    PX_SCTL = 0x2c,
    PX_SERR = 0x30,
    PX_SACT = 0x34,
    PX_CI = 0x38,
    CMD_ST = 1u << 0,
    CMD_SUD = 1u << 1,
    CMD_POD = 1u << 2,
    CMD_CLO = 1u << 3,
    CMD_FRE = 1u << 4,
    CMD_CCS = 8, /* bits 12:8: the slot whose command was begun last */
    CMD_FR = 1u << 14,
    CMD_CR = 1u << 15,
    IS_DHRS = 1u << 0,
    IS_PSS = 1u << 1,
    IS_SDBS = 1u << 3,
    IS_PCS = 1u << 6,
    IS_TFES = 1u << 30,
    SERR_EXCHANGED = 1u << 26,
};

/* Chapter 4.2.2: a slot of the command list. */
struct ahci_header {
    le16 flags; /* bits 4:0 length of the frame in words, 5 ATAPI, 6 write */
    le16 regions;
    le32 moved;
    le64 table;
    uint8_t reserved[16];
};
WIRE_SIZE(struct ahci_header, 32);
enum { AHCI_HEADER_ATAPI = 0x20, AHCI_HEADER_WRITE = 0x40 };

/* Chapter 4.2.3: where parts of a command table lie, and its regions. */
enum { AHCI_TABLE_PACKET = 0x40, AHCI_TABLE_REGIONS = 0x80 };
struct ahci_region {
    le64 base;
    le32 reserved;
    le32 count; /* bits 21:0, less one */
};
WIRE_SIZE(struct ahci_region, 16);

/* Chapter 4.2.1: where received frames go. */
enum { AHCI_FIS_PIO = 0x20, AHCI_FIS_D2H = 0x40, AHCI_FIS_SDB = 0x58 };

/* Serial ATA 10.5: frames. */
enum {
    FIS_H2D = 0x27,
    FIS_D2H = 0x34,
    FIS_SDB = 0xa1,
    FIS_PIO_SETUP = 0x5f,
    FIS_COMMAND = 0x80,
    FIS_INTERRUPT = 0x40
};
struct fis_h2d {
    uint8_t type, flags, command, feature;
    uint8_t low, mid, high, device;
    uint8_t low_exp, mid_exp, high_exp, feature_exp;
    uint8_t count, count_exp, icc, control;
    uint8_t auxiliary[4];
};
WIRE_SIZE(struct fis_h2d, 20);

#endif
