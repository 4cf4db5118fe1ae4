/* SPDX-License-Identifier: Apache-2.0 */
/* multiboot.h - Multiboot Specification 0.6.96 and Multiboot2 Specification 2.0, sections 3.1 and
 * 3.3 of the first, 3.1 and 3.6 of the second. */
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
    MULTIBOOT_AOUT_KLUDGE = 1 << 16, /* the header says where the image goes */
    MULTIBOOT_REQUIRED = 0xffff,     /* a loader that does not know one of these must give up */

    MULTIBOOT_INFO_MEMORY = 1 << 0,
    MULTIBOOT_INFO_CMDLINE = 1 << 2,
    MULTIBOOT_INFO_MODS = 1 << 3,
    MULTIBOOT_INFO_MEM_MAP = 1 << 6,
    MULTIBOOT_INFO_BOOT_LOADER_NAME = 1 << 9,
    MULTIBOOT_INFO_FRAMEBUFFER_INFO = 1 << 12,

    MULTIBOOT_FRAMEBUFFER_TYPE_EGA_TEXT = 2, /* width and height in characters */
};

struct multiboot_header {
    le32 magic, flags, checksum;
};
WIRE_SIZE(struct multiboot_header, 12);

/* Follows the header where MULTIBOOT_AOUT_KLUDGE is set. */
struct multiboot_address {
    le32 header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
};
WIRE_SIZE(struct multiboot_address, 20);

struct multiboot_info {
    le32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
    le32 syms[4];
    le32 mmap_length, mmap_addr, drives_length, drives_addr, config_table, boot_loader_name;
    le32 apm_table;
    le32 vbe_control_info, vbe_mode_info;
    le16 vbe_mode, vbe_interface_seg, vbe_interface_off, vbe_interface_len;
    le64 framebuffer_addr;
    le32 framebuffer_pitch, framebuffer_width, framebuffer_height;
    uint8_t framebuffer_bpp, framebuffer_type, color_info[6];
};
WIRE_SIZE(struct multiboot_info, 116);
WIRE_OFFSET(struct multiboot_info, framebuffer_addr, 88);
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

/* --- version 2 --- */

#define MULTIBOOT2_HEADER_MAGIC 0xe85250d6
#define MULTIBOOT2_BOOTLOADER_MAGIC 0x36d76289

enum {
    MULTIBOOT2_SEARCH = 32768,
    MULTIBOOT2_HEADER_ALIGN = 8,
    MULTIBOOT2_ARCHITECTURE_I386 = 0,

    MULTIBOOT2_HEADER_TAG_END = 0,
    MULTIBOOT2_HEADER_TAG_INFORMATION_REQUEST = 1,
    MULTIBOOT2_HEADER_TAG_ADDRESS = 2,
    MULTIBOOT2_HEADER_TAG_ENTRY_ADDRESS = 3,
    MULTIBOOT2_HEADER_TAG_CONSOLE_FLAGS = 4,
    MULTIBOOT2_HEADER_TAG_FRAMEBUFFER = 5,
    MULTIBOOT2_HEADER_TAG_MODULE_ALIGN = 6,
    MULTIBOOT2_HEADER_TAG_ENTRY_ADDRESS_EFI32 = 8,
    MULTIBOOT2_HEADER_TAG_ENTRY_ADDRESS_EFI64 = 9,
    MULTIBOOT2_HEADER_TAG_RELOCATABLE = 10,
    MULTIBOOT2_HEADER_TAG_OPTIONAL = 1 << 0, /* of its flags */

    MULTIBOOT2_TAG_TYPE_END = 0,
    MULTIBOOT2_TAG_TYPE_CMDLINE = 1,
    MULTIBOOT2_TAG_TYPE_BOOT_LOADER_NAME = 2,
    MULTIBOOT2_TAG_TYPE_MODULE = 3,
    MULTIBOOT2_TAG_TYPE_BASIC_MEMINFO = 4,
    MULTIBOOT2_TAG_TYPE_MMAP = 6,
    MULTIBOOT2_TAG_TYPE_FRAMEBUFFER = 8,
    MULTIBOOT2_TAG_TYPE_ACPI_OLD = 14,
    MULTIBOOT2_TAG_TYPE_ACPI_NEW = 15,
};

struct multiboot2_header {
    le32 magic, architecture, header_length, checksum;
};
WIRE_SIZE(struct multiboot2_header, 16);

struct multiboot2_header_tag {
    le16 type, flags;
    le32 size; /* of all; the next one begins at a multiple of 8 */
};
WIRE_SIZE(struct multiboot2_header_tag, 8);

/* Body of MULTIBOOT2_HEADER_TAG_ADDRESS. */
struct multiboot2_address {
    le32 header_addr, load_addr, load_end_addr, bss_end_addr;
};
WIRE_SIZE(struct multiboot2_address, 16);

struct multiboot2_info {
    le32 total_size, reserved;
};
WIRE_SIZE(struct multiboot2_info, 8);

struct multiboot2_tag {
    le32 type, size;
};
WIRE_SIZE(struct multiboot2_tag, 8);

/* Bodies of tags. */
struct multiboot2_module {
    le32 mod_start, mod_end; /* the command line follows */
};
WIRE_SIZE(struct multiboot2_module, 8);

struct multiboot2_meminfo {
    le32 mem_lower, mem_upper;
};
WIRE_SIZE(struct multiboot2_meminfo, 8);

struct multiboot2_framebuffer {
    le64 addr;
    le32 pitch, width, height;
    uint8_t bpp, type;
    le16 reserved;
};
WIRE_SIZE(struct multiboot2_framebuffer, 24);

struct multiboot2_mmap {
    le32 entry_size, entry_version; /* the entries follow */
};
WIRE_SIZE(struct multiboot2_mmap, 8);

struct multiboot2_mmap_entry {
    le64 addr, len;
    le32 type, reserved;
};
WIRE_SIZE(struct multiboot2_mmap_entry, 24);

#endif
