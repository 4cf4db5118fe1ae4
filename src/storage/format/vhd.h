/* SPDX-License-Identifier: Apache-2.0 */
/* vhd.h - what vhd.c, vhd_make.c and vhd_check.c have in common. */
#ifndef HOSPES_STORAGE_FORMAT_VHD_H
#define HOSPES_STORAGE_FORMAT_VHD_H

#include "abi/vhd.h"
#include "storage/image.h"
#include "storage/map.h"

enum { VHD_SECTOR = 512, VHD_PAGE = 4096, VHD_BLOCK_DEFAULT = 2 << 20, VHD_BLOCK_MAX = 256 << 20 };

struct vhd {
    struct map m;
    struct vhd_footer footer;
    struct vhd_dynamic dyn;
    uint32_t type;
    uint64_t bat_off;
    uint32_t blocks;       /* entries of the table that the disk needs */
    uint32_t bitmap_bytes; /* before each block, whole sectors */
    bool tail_stale;       /* the footer at the end must be written anew */
    uint8_t *full;         /* a bit for each block: its bitmap was seen to be full; may be NULL */
    uint32_t full_count;   /* blocks that have one */
};

/* Where the footer was found. */
enum vhd_where { VHD_AT_END, VHD_AT_END_511, VHD_AT_START };

uint32_t vhd_checksum(const void *p, size_t n, size_t checksum_at);
bool vhd_footer_valid(const struct vhd_footer *f);
void vhd_seal_footer(struct vhd_footer *f);
void vhd_seal_dynamic(struct vhd_dynamic *h);
/* The footer of a file: the last 512 bytes, the last 511, or the copy at the start. */
MUST int vhd_read_footer(struct disk *file, struct vhd_footer *f, enum vhd_where *where);
/* What the guest sees, by who made it; see the comment there. */
uint64_t vhd_bytes(const struct vhd_footer *f);
void vhd_geometry(uint64_t bytes, struct vhd_footer *f);
uint32_t vhd_bitmap_bytes(uint32_t block_size);
/* Where blocks may begin: after the table, XenServer's batmap and the names of the parent. */
uint64_t vhd_tables_end(struct disk *file, const struct vhd_footer *f, const struct vhd_dynamic *h);

/* Entries that a file of 2 TiB can have a use for, twice. */
static inline uint64_t vhd_entries_max(uint32_t block_size)
{
    return (UINT64_C(4) << 40) / block_size;
}

/* --- vhd_parent.c --- */
MUST int vhd_open_parent(struct vhd *v, const struct disk_cfg *c, struct loop *l, struct err *e);

MUST int vhd_create(struct disk *file, const struct image_make *k, struct err *e);
MUST int vhd_resize(struct disk *d, uint64_t bytes, struct err *e);
MUST int vhd_check(struct disk *file, const struct disk_cfg *c, bool repair,
                   struct image_report *rep, struct err *e);
extern const struct format_option vhd_options[];

#endif
