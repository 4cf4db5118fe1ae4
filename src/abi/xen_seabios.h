/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xen_seabios.h - what Xen's hvmloader leaves for SeaBIOS at 0x1000 (SeaBIOS src/fw/xen.c, Xen
 * tools/firmware/hvmloader/seabios.c).
 */
#ifndef HOSPES_ABI_XEN_SEABIOS_H
#define HOSPES_ABI_XEN_SEABIOS_H

#include "abi/bytes.h"

enum { XEN_SEABIOS_INFO = 0x1000 };

struct xen_seabios_info {
    char signature[14]; /* "XenHVMSeaBIOS" and its end */
    uint8_t length, checksum;
    le32 tables, tables_nr; /* addresses of ACPI, SMBIOS and MP roots, 32 bits each */
    le32 e820, e820_nr;     /* entries as INT 15h E820h gives them */
};
WIRE_SIZE(struct xen_seabios_info, 32);

struct xen_e820 {
    le64 address, length;
    le32 type;
};
WIRE_SIZE(struct xen_e820, 20);

#endif
