/* SPDX-License-Identifier: Apache-2.0 */
/* virtio_balloon.h - the memory balloon. Document: VIRTIO 1.2, section 5.5. */
#ifndef HOSPES_ABI_VIRTIO_BALLOON_H
#define HOSPES_ABI_VIRTIO_BALLOON_H

#include "abi/bytes.h"

#define VIRTIO_BALLOON_F_STATS_VQ (UINT64_C(1) << 1)
#define VIRTIO_BALLOON_F_DEFLATE_ON_OOM (UINT64_C(1) << 2)
#define VIRTIO_BALLOON_F_PAGE_POISON (UINT64_C(1) << 4)
#define VIRTIO_BALLOON_F_PAGE_REPORTING (UINT64_C(1) << 5)

/* 5.5.4; pages are 4 KiB. */
struct virtio_balloon_config {
    le32 num_pages;
    le32 actual;
    le32 free_page_hint_cmd_id;
    le32 poison_val;
};
WIRE_SIZE(struct virtio_balloon_config, 16);
enum { VIRTIO_BALLOON_PFN_SHIFT = 12 };

/* 5.5.6.3 */
struct virtio_balloon_stat {
    le16 tag;
    le64 val;
};
WIRE_SIZE(struct virtio_balloon_stat, 10);
enum {
    VIRTIO_BALLOON_S_SWAP_IN = 0,
    VIRTIO_BALLOON_S_SWAP_OUT = 1,
    VIRTIO_BALLOON_S_MAJFLT = 2,
    VIRTIO_BALLOON_S_MINFLT = 3,
    VIRTIO_BALLOON_S_MEMFREE = 4,
    VIRTIO_BALLOON_S_MEMTOT = 5,
    VIRTIO_BALLOON_S_AVAIL = 6,
    VIRTIO_BALLOON_S_CACHES = 7,
    VIRTIO_BALLOON_S_HTLB_PGALLOC = 8,
    VIRTIO_BALLOON_S_HTLB_PGFAIL = 9,
    VIRTIO_BALLOON_S_NR = 10,
};

#endif
