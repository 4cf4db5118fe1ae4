/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfi.h - flash memory chips: Intel's command set (CFI algorithm 0x0001, Intel application note
 * AP-646) and the query structure of JEDEC JESD68.
 */
#ifndef HOSPES_ABI_CFI_H
#define HOSPES_ABI_CFI_H

#include "abi/bytes.h"

/* Commands. */
enum cfi_command {
    CFI_READ_ARRAY = 0xff,
    CFI_READ_ID = 0x90,
    CFI_QUERY = 0x98,
    CFI_READ_STATUS = 0x70,
    CFI_CLEAR_STATUS = 0x50,
    CFI_PROGRAM = 0x40,
    CFI_PROGRAM_ALT = 0x10,
    CFI_BLOCK_ERASE = 0x20,
    CFI_WRITE_BUFFER = 0xe8,
    CFI_LOCK_SETUP = 0x60,
    CFI_CONFIRM = 0xd0,
};

/* The status register. */
enum cfi_status {
    CFI_STATUS_READY = 0x80,
    CFI_STATUS_ERASE = 0x20,   /* erase failed, or with PROGRAM: a wrong sequence of commands */
    CFI_STATUS_PROGRAM = 0x10, /* programming failed */
};

/* The query structure, as read from a chip of 8 bits from 0x10 on. */
struct cfi_query {
    char qry[3]; /* "QRY" */
    le16 algorithm, extended;
    le16 algorithm2, extended2;
    uint8_t vcc_min, vcc_max, vpp_min, vpp_max;
    uint8_t program_us, buffer_us, erase_ms, chip_ms;                 /* powers of two */
    uint8_t program_us_max, buffer_us_max, erase_ms_max, chip_ms_max; /* of the typical times */
    uint8_t size;                                                     /* power of two, rounded up */
    le16 interface;
    le16 buffer; /* bytes, power of two */
    uint8_t regions;
    le16 blocks; /* in the region, less one */
    le16 block;  /* bytes / 256 */
};
WIRE_SIZE(struct cfi_query, 33);
enum { CFI_QUERY_AT = 0x10, CFI_ALGORITHM_INTEL = 1 };

#endif
