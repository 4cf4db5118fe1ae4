/* SPDX-License-Identifier: Apache-2.0 */
/* fw_cfg.h - QEMU docs/specs/fw_cfg: the firmware configuration device, and its loader's script. */
#ifndef HOSPES_ABI_FW_CFG_H
#define HOSPES_ABI_FW_CFG_H

#include "abi/bytes.h"

/* Ports. */
enum fw_cfg_port {
    FW_CFG_PORT_SEL = 0x510,
    FW_CFG_PORT_DATA = 0x511,
    FW_CFG_PORT_DMA = 0x514, /* high half, big-endian; the low half at +4 starts the transfer */
    FW_CFG_PORTS = 12,
};

/* Keys. */
enum fw_cfg_key {
    FW_CFG_SIGNATURE = 0x00,
    FW_CFG_ID = 0x01,
    FW_CFG_UUID = 0x02,
    FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_NB_CPUS = 0x05,
    FW_CFG_KERNEL_SIZE = 0x08,
    FW_CFG_INITRD_SIZE = 0x0b,
    FW_CFG_BOOT_MENU = 0x0e,
    FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_KERNEL_DATA = 0x11,
    FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_CMDLINE_SIZE = 0x14,
    FW_CFG_CMDLINE_DATA = 0x15,
    FW_CFG_SETUP_SIZE = 0x17,
    FW_CFG_SETUP_DATA = 0x18,
    FW_CFG_FILE_DIR = 0x19,
    FW_CFG_FILE_FIRST = 0x20,
    FW_CFG_IRQ0_OVERRIDE = 0x8002,
};

/* FW_CFG_ID */
enum { FW_CFG_VERSION = 0x01, FW_CFG_VERSION_DMA = 0x02 };

/* fw_cfg_dma_access.control; the key is in bits 31:16. */
enum fw_cfg_dma_control {
    FW_CFG_DMA_CTL_ERROR = 0x01,
    FW_CFG_DMA_CTL_READ = 0x02,
    FW_CFG_DMA_CTL_SKIP = 0x04,
    FW_CFG_DMA_CTL_SELECT = 0x08,
    FW_CFG_DMA_CTL_WRITE = 0x10,
};

enum { FW_CFG_MAX_FILE_PATH = 56 };

struct fw_cfg_file {
    be32 size;
    be16 select, reserved;
    char name[FW_CFG_MAX_FILE_PATH];
};
WIRE_SIZE(struct fw_cfg_file, 64);

struct fw_cfg_dma_access {
    be32 control, length;
    be64 address;
};
WIRE_SIZE(struct fw_cfg_dma_access, 16);

/* An entry of file etc/e820. */
struct fw_cfg_e820 {
    le64 address, length;
    le32 type;
};
WIRE_SIZE(struct fw_cfg_e820, 20);

/* Entries of file etc/table-loader: place a file, add the address of one file to a pointer in
 * another, make bytes sum to zero. */
enum { LOADER_ALLOCATE = 1, LOADER_ADD_POINTER = 2, LOADER_ADD_CHECKSUM = 3 };
enum { LOADER_ZONE_HIGH = 1, LOADER_ZONE_FSEG = 2 };
struct fw_cfg_allocate {
    le32 command;
    char file[FW_CFG_MAX_FILE_PATH];
    le32 align;
    uint8_t zone, pad[63];
};
WIRE_SIZE(struct fw_cfg_allocate, 128);

struct fw_cfg_add_pointer {
    le32 command;
    char file[FW_CFG_MAX_FILE_PATH], pointee[FW_CFG_MAX_FILE_PATH];
    le32 offset;
    uint8_t size, pad[7];
};
WIRE_SIZE(struct fw_cfg_add_pointer, 128);

struct fw_cfg_add_checksum {
    le32 command;
    char file[FW_CFG_MAX_FILE_PATH];
    le32 offset, start, length;
    uint8_t pad[56];
};
WIRE_SIZE(struct fw_cfg_add_checksum, 128);

#endif
