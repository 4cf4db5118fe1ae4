/* SPDX-License-Identifier: Apache-2.0 */
/* virtio_blk.h - the block device. Document: VIRTIO 1.2, section 5.2. */
#ifndef HOSPES_ABI_VIRTIO_BLK_H
#define HOSPES_ABI_VIRTIO_BLK_H

#include "abi/bytes.h"

/* 5.2.3, 5.2.3.1 */
#define VIRTIO_BLK_F_SIZE_MAX (UINT64_C(1) << 1)
#define VIRTIO_BLK_F_SEG_MAX (UINT64_C(1) << 2)
#define VIRTIO_BLK_F_GEOMETRY (UINT64_C(1) << 4)
#define VIRTIO_BLK_F_RO (UINT64_C(1) << 5)
#define VIRTIO_BLK_F_BLK_SIZE (UINT64_C(1) << 6)
#define VIRTIO_BLK_F_FLUSH (UINT64_C(1) << 9)
#define VIRTIO_BLK_F_TOPOLOGY (UINT64_C(1) << 10)
#define VIRTIO_BLK_F_CONFIG_WCE (UINT64_C(1) << 11)
#define VIRTIO_BLK_F_MQ (UINT64_C(1) << 12)
#define VIRTIO_BLK_F_DISCARD (UINT64_C(1) << 13)
#define VIRTIO_BLK_F_WRITE_ZEROES (UINT64_C(1) << 14)

/* 5.2.4 */
struct virtio_blk_config {
    le64 capacity; /* 512-byte sectors */
    le32 size_max;
    le32 seg_max;
    struct {
        le16 cylinders;
        uint8_t heads, sectors;
    } geometry;
    le32 blk_size;
    struct {
        uint8_t physical_block_exp;
        uint8_t alignment_offset;
        le16 min_io_size;
        le32 opt_io_size;
    } topology;
    uint8_t writeback;
    uint8_t unused0;
    le16 num_queues;
    le32 max_discard_sectors;
    le32 max_discard_seg;
    le32 discard_sector_alignment;
    le32 max_write_zeroes_sectors;
    le32 max_write_zeroes_seg;
    uint8_t write_zeroes_may_unmap;
    uint8_t unused1[3];
};
WIRE_SIZE(struct virtio_blk_config, 60);
WIRE_OFFSET(struct virtio_blk_config, blk_size, 20);
WIRE_OFFSET(struct virtio_blk_config, writeback, 32);
WIRE_OFFSET(struct virtio_blk_config, max_write_zeroes_sectors, 48);

/* 5.2.6: the header that a request starts with. */
struct virtio_blk_req {
    le32 type;
    le32 reserved;
    le64 sector;
};
WIRE_SIZE(struct virtio_blk_req, 16);

enum {
    VIRTIO_BLK_T_IN = 0,
    VIRTIO_BLK_T_OUT = 1,
    VIRTIO_BLK_T_FLUSH = 4,
    VIRTIO_BLK_T_GET_ID = 8,
    VIRTIO_BLK_T_DISCARD = 11,
    VIRTIO_BLK_T_WRITE_ZEROES = 13,
    VIRTIO_BLK_T_BARRIER = INT32_MIN, /* legacy flag that old drivers may still set */
};
enum { VIRTIO_BLK_S_OK = 0, VIRTIO_BLK_S_IOERR = 1, VIRTIO_BLK_S_UNSUPP = 2 };
enum { VIRTIO_BLK_ID_BYTES = 20 };

struct virtio_blk_discard_write_zeroes {
    le64 sector;
    le32 num_sectors;
    le32 flags;
};
WIRE_SIZE(struct virtio_blk_discard_write_zeroes, 16);
enum { VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP = 1 };

#endif
