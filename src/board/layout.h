/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout.h - where things lie in guest-physical space and in port space.
 *
 * Low memory follows the PC: RAM from 0 with a hole at 640 KiB for ROMs, RAM up to 3 GiB, devices
 * below 4 GiB, the rest of RAM from 4 GiB on. A q35 has RAM up to 2 GiB, as QEMU's, because
 * firmware puts the configuration space of all its buses at 2816 MiB. The 64-bit window
 * starts right above RAM, so that guests which size their tables by the highest address stay small.
 */
#ifndef HOSPES_BOARD_LAYOUT_H
#define HOSPES_BOARD_LAYOUT_H

#include "core/core.h"

#define LAYOUT_EBDA UINT64_C(0x9fc00)     /* end of conventional memory */
#define LAYOUT_VGA UINT64_C(0xa0000)      /* its window ends at 0xbffff */
#define LAYOUT_ROM UINT64_C(0xf0000)      /* SMBIOS and ACPI anchors are searched for from here */
#define LAYOUT_ROM_END UINT64_C(0x100000) /* first byte of extended memory */
#define LAYOUT_RAM_LOW_MAX UINT64_C(0xc0000000) /* RAM below 4 GiB ends here at the latest */
#define LAYOUT_RAM_LOW_MAX_Q35 UINT64_C(0x80000000)
#define LAYOUT_RAM_HIGH UINT64_C(0x100000000) /* RAM above that goes on here */

#define LAYOUT_ECAM UINT64_C(0xe0000000)
#define LAYOUT_ECAM_BUS_SIZE UINT64_C(0x100000)
#define LAYOUT_ECAM_Q35 UINT64_C(0xb0000000) /* where SeaBIOS puts it, 256 buses */
/* Two windows for 32-bit BARs, below and above ECAM. */
#define LAYOUT_PCI_MEM_A UINT64_C(0xc0000000)
#define LAYOUT_PCI_MEM_A_END UINT64_C(0xe0000000)
#define LAYOUT_PCI_MEM_B UINT64_C(0xe8000000)
#define LAYOUT_PCI_MEM_B_END UINT64_C(0xfec00000)
#define LAYOUT_PCI_IO UINT64_C(0x1000)
#define LAYOUT_PCI_IO_END UINT64_C(0x10000)
#define LAYOUT_PCI_MEM64_SIZE (UINT64_C(4) << 30) /* at layout_mem64() */

#define LAYOUT_IOAPIC UINT64_C(0xfec00000)
#define LAYOUT_HPET UINT64_C(0xfed00000)
#define LAYOUT_TPM UINT64_C(0xfed40000)
#define LAYOUT_GENID UINT64_C(0xfed50000)
#define LAYOUT_LAPIC UINT64_C(0xfee00000)
enum layout_port {
    LAYOUT_PCIPLUG = 0xae00, /* ACPI hot plug of PCI slots */
    LAYOUT_PCIPLUG_LEN = 16,
    LAYOUT_CPUPLUG = 0xaf00, /* ACPI hot plug of processors */
    LAYOUT_CPUPLUG_LEN = 2,
    LAYOUT_PM_BASE = 0x600, /* ACPI PM1 event, PM1 control, PM timer, GPE0 */
};

static inline uint64_t layout_ram_low(uint64_t memory, bool q35)
{
    return min_u64(memory, q35 ? LAYOUT_RAM_LOW_MAX_Q35 : LAYOUT_RAM_LOW_MAX);
}

static inline uint64_t layout_ram_high(uint64_t memory, bool q35)
{
    return memory - layout_ram_low(memory, q35);
}

/* Base of the window for 64-bit BARs. */
static inline uint64_t layout_mem64(uint64_t memory, bool q35)
{
    return align_up(LAYOUT_RAM_HIGH + layout_ram_high(memory, q35), LAYOUT_PCI_MEM64_SIZE);
}

#endif
