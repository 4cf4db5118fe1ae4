/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vdi.h - VirtualBox disk images, header version 1.1, as VirtualBox' VDICore.h lays them out.
 * Little-endian.
 */
#ifndef HOSPES_ABI_VDI_H
#define HOSPES_ABI_VDI_H

#include "abi/bytes.h"

#define VDI_SIGNATURE UINT32_C(0xbeda107f)
#define VDI_VERSION UINT32_C(0x00010001)

enum { VDI_TYPE_DYNAMIC = 1, VDI_TYPE_STATIC = 2, VDI_TYPE_UNDO = 3, VDI_TYPE_DIFF = 4 };

struct vdi_header {
    char text[64];
    le32 signature, version;
    le32 header_size; /* from here on: 0x190 */
    le32 image_type, image_flags;
    char description[256];
    le32 offset_bmap, offset_data;
    le32 cylinders, heads, sectors, sector_size;
    le32 unused1;
    le64 disk_size;
    le32 block_size, block_extra;
    le32 blocks_in_image, blocks_allocated;
    uint8_t uuid_image[16], uuid_last_snap[16], uuid_link[16], uuid_parent[16];
    uint8_t unused2[56];
};
WIRE_SIZE(struct vdi_header, 512);
WIRE_OFFSET(struct vdi_header, signature, 64);
WIRE_OFFSET(struct vdi_header, offset_bmap, 0x154);
WIRE_OFFSET(struct vdi_header, disk_size, 0x170);
WIRE_OFFSET(struct vdi_header, uuid_image, 0x188);

/* Block map entries that are no index. */
#define VDI_UNALLOCATED UINT32_C(0xffffffff)
#define VDI_DISCARDED UINT32_C(0xfffffffe)

#endif
