/* SPDX-License-Identifier: Apache-2.0 */
/* pvh.h - what a PVH kernel is handed. Xen 4.17, public/arch-x86/hvm/start_info.h. */
#ifndef HOSPES_ABI_PVH_H
#define HOSPES_ABI_PVH_H

#include "abi/bytes.h"

#define XEN_HVM_START_MAGIC_VALUE 0x336ec578
#define XEN_HVM_MEMMAP_TYPE_RAM 1
#define XEN_HVM_MEMMAP_TYPE_RESERVED 2
#define XEN_HVM_MEMMAP_TYPE_ACPI 3

struct hvm_start_info {
    le32 magic, version, flags, nr_modules;
    le64 modlist_paddr, cmdline_paddr, rsdp_paddr, memmap_paddr;
    le32 memmap_entries, reserved;
};
WIRE_SIZE(struct hvm_start_info, 56);

struct hvm_modlist_entry {
    le64 paddr, size, cmdline_paddr, reserved;
};
WIRE_SIZE(struct hvm_modlist_entry, 32);

struct hvm_memmap_table_entry {
    le64 addr, size;
    le32 type, reserved;
};
WIRE_SIZE(struct hvm_memmap_table_entry, 24);

#endif
