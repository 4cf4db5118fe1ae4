/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux_boot.h - the Linux/x86 boot protocol: setup header and zero page.
 *
 * Documentation/x86/boot.rst and zero-page.rst of Linux 6.1. Only the fields that a loader reads or
 * writes have names.
 */
#ifndef HOSPES_ABI_LINUX_BOOT_H
#define HOSPES_ABI_LINUX_BOOT_H

#include "abi/bytes.h"

#define LINUX_BOOT_FLAG 0xaa55
#define LINUX_HEADER_MAGIC 0x53726448 /* "HdrS" */

enum linux_loadflags {
    LOADED_HIGH = 1 << 0,
    KASLR_FLAG = 1 << 1,
    KEEP_SEGMENTS = 1 << 6,
    CAN_USE_HEAP = 1 << 7,
};

enum linux_xloadflags {
    XLF_KERNEL_64 = 1 << 0,
    XLF_CAN_BE_LOADED_ABOVE_4G = 1 << 1,
};

enum linux_e820_type { E820_TYPE_RAM = 1, E820_TYPE_RESERVED = 2, E820_TYPE_ACPI = 3 };

/* At offset 0x1f1 of the image and of the zero page. */
struct linux_setup_header {
    uint8_t setup_sects;
    le16 root_flags;
    le32 syssize; /* 16-byte units */
    le16 ram_size;
    le16 vid_mode;
    le16 root_dev;
    le16 boot_flag;
    le16 jump; /* its second byte says where the header ends */
    le32 header;
    le16 version;
    le32 realmode_swtch;
    le16 start_sys_seg;
    le16 kernel_version;
    uint8_t type_of_loader;
    uint8_t loadflags;
    le16 setup_move_size;
    le32 code32_start;
    le32 ramdisk_image;
    le32 ramdisk_size;
    le32 bootsect_kludge;
    le16 heap_end_ptr;
    uint8_t ext_loader_ver;
    uint8_t ext_loader_type;
    le32 cmd_line_ptr;
    le32 initrd_addr_max;
    le32 kernel_alignment;
    uint8_t relocatable_kernel;
    uint8_t min_alignment;
    le16 xloadflags;
    le32 cmdline_size;
    le32 hardware_subarch;
    le64 hardware_subarch_data;
    le32 payload_offset;
    le32 payload_length;
    le64 setup_data;
    le64 pref_address;
    le32 init_size;
    le32 handover_offset;
    le32 kernel_info_offset;
};
WIRE_OFFSET(struct linux_setup_header, header, 0x202 - 0x1f1);
WIRE_OFFSET(struct linux_setup_header, version, 0x206 - 0x1f1);
WIRE_OFFSET(struct linux_setup_header, type_of_loader, 0x210 - 0x1f1);
WIRE_OFFSET(struct linux_setup_header, cmd_line_ptr, 0x228 - 0x1f1);
WIRE_OFFSET(struct linux_setup_header, xloadflags, 0x236 - 0x1f1);
WIRE_OFFSET(struct linux_setup_header, payload_offset, 0x248 - 0x1f1);
WIRE_OFFSET(struct linux_setup_header, init_size, 0x260 - 0x1f1);
WIRE_SIZE(struct linux_setup_header, 0x26c - 0x1f1);

#define LINUX_HEADER_AT 0x1f1

struct linux_e820_entry {
    le64 addr, size;
    le32 type;
};
WIRE_SIZE(struct linux_e820_entry, 20);

enum { LINUX_E820_MAX = 128 };

/* include/uapi/linux/screen_info.h, the part that BIOS calls used to fill. */
struct linux_screen_info {
    uint8_t orig_x, orig_y;
    le16 ext_mem_k, orig_video_page;
    uint8_t orig_video_mode, orig_video_cols, flags, unused2;
    le16 orig_video_ega_bx, unused3;
    uint8_t orig_video_lines, orig_video_isVGA;
    le16 orig_video_points;
    uint8_t rest[0x40 - 0x12];
};
WIRE_SIZE(struct linux_screen_info, 0x40);
WIRE_OFFSET(struct linux_screen_info, orig_video_lines, 0x0e);

struct linux_boot_params {
    struct linux_screen_info screen_info;
    uint8_t apm_bios_info[0x14];
    uint8_t pad0[0x70 - 0x54];
    le64 acpi_rsdp_addr;
    uint8_t pad1[0xc0 - 0x78];
    le32 ext_ramdisk_image;
    le32 ext_ramdisk_size;
    le32 ext_cmd_line_ptr;
    uint8_t pad2[0x1e0 - 0xcc];
    le32 alt_mem_k;
    le32 scratch;
    uint8_t e820_entries;
    uint8_t eddbuf_entries;
    uint8_t edd_mbr_sig_buf_entries;
    uint8_t kbd_status;
    uint8_t secure_boot;
    uint8_t pad3[2];
    uint8_t sentinel;
    uint8_t pad4;
    struct linux_setup_header hdr;
    uint8_t pad5[0x2d0 - 0x26c];
    struct linux_e820_entry e820_table[LINUX_E820_MAX];
    uint8_t pad6[0x1000 - 0xcd0];
};
WIRE_OFFSET(struct linux_boot_params, ext_ramdisk_image, 0xc0);
WIRE_OFFSET(struct linux_boot_params, alt_mem_k, 0x1e0);
WIRE_OFFSET(struct linux_boot_params, e820_entries, 0x1e8);
WIRE_OFFSET(struct linux_boot_params, sentinel, 0x1ef);
WIRE_OFFSET(struct linux_boot_params, hdr, 0x1f1);
WIRE_OFFSET(struct linux_boot_params, e820_table, 0x2d0);
WIRE_SIZE(struct linux_boot_params, 4096);

#endif
