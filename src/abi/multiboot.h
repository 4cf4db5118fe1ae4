/* SPDX-License-Identifier: Apache-2.0 */
/* multiboot.h - Multiboot Specification 0.6.96, sections 3.1 and 3.3. */
#ifndef HOSPES_ABI_MULTIBOOT_H
#define HOSPES_ABI_MULTIBOOT_H

#include "abi/bytes.h"

#define MULTIBOOT_HEADER_MAGIC 0x1badb002
#define MULTIBOOT_BOOTLOADER_MAGIC 0x2badb002

enum {
    MULTIBOOT_SEARCH = 8192,       /* bytes of the image that may hold the header */
    MULTIBOOT_PAGE_ALIGN = 1 << 0, /* modules start at pages */
    MULTIBOOT_MEMORY_INFO = 1 << 1,
    MULTIBOOT_VIDEO_MODE = 1 << 2,
    MULTIBOOT_REQUIRED = 0xffff, /* a loader that does not know one of these must give up */

    MULTIBOOT_INFO_MEMORY = 1 << 0,
    MULTIBOOT_INFO_CMDLINE = 1 << 2,
    MULTIBOOT_INFO_MODS = 1 << 3,
    MULTIBOOT_INFO_MEM_MAP = 1 << 6,
    MULTIBOOT_INFO_BOOT_LOADER_NAME = 1 << 9,
};

struct multiboot_header {
    le32 magic, flags, checksum;
};
WIRE_SIZE(struct multiboot_header, 12);

struct multiboot_info {
    le32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
    le32 syms[4];
    le32 mmap_length, mmap_addr, drives_length, drives_addr, config_table, boot_loader_name;
    le32 apm_table;
};
WIRE_SIZE(struct multiboot_info, 72);
WIRE_OFFSET(struct multiboot_info, mmap_length, 44);
WIRE_OFFSET(struct multiboot_info, boot_loader_name, 64);

struct multiboot_module {
    le32 mod_start, mod_end, cmdline, pad;
};
WIRE_SIZE(struct multiboot_module, 16);

struct multiboot_mmap {
    le32 size; /* of what follows */
    le64 addr, len;
    le32 type;
};
WIRE_SIZE(struct multiboot_mmap, 24);

#endif
