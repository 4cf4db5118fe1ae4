/* SPDX-License-Identifier: Apache-2.0 */
/* parallels.h - docs/interop/parallels.txt of QEMU. Little-endian, sectors of 512 bytes. */
#ifndef HOSPES_ABI_PARALLELS_H
#define HOSPES_ABI_PARALLELS_H

#include "abi/bytes.h"

#define PARALLELS_MAGIC "WithoutFreeSpace"     /* BAT entries are sectors */
#define PARALLELS_MAGIC_EXT "WithouFreSpacExt" /* BAT entries are clusters */

struct parallels_header {
    char magic[16];
    le32 version; /* 2 */
    le32 heads, cylinders;
    le32 tracks; /* sectors of a cluster */
    le32 bat_entries;
    le64 nb_sectors; /* the low half only with PARALLELS_MAGIC */
    le32 in_use;
    le32 data_off; /* sectors */
    le32 flags;
    le64 ext_off; /* sectors */
};
WIRE_SIZE(struct parallels_header, 64);
WIRE_OFFSET(struct parallels_header, nb_sectors, 36);
WIRE_OFFSET(struct parallels_header, ext_off, 56);

#define PARALLELS_IN_USE UINT32_C(0x746f6e59)
#define PARALLELS_CLOSED UINT32_C(0x312e3276)

#endif
