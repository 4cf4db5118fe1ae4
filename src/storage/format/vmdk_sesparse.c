/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmdk_sesparse.c - seSparse extents, ESXi's snapshots on VMFS 6 and of disks above 2 TiB. Only
 * read.
 *
 * Followed: the libvmdk documentation, and what QEMU's reader relies on. The layout of the journal
 * is not public: an extent that must be replayed is refused. Free bitmap and back map are not
 * needed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "storage/format/vmdk.h"

enum {
    GRAIN_SECTORS = 8,
    TABLE_SECTORS = 64,
    ENTRIES = TABLE_SECTORS * VMDK_SECTOR / 8,
    PAGE = 4096
};

/* A pair of offset and size in sectors lies inside the file; its offset in bytes. */
static bool place(const struct vmdk_extent *x, le64 off, le64 n, uint64_t *at)
{
    uint64_t sectors = disk_bytes(x->file) / VMDK_SECTOR;

    *at = le64_get(off) * VMDK_SECTOR;
    return range_in(le64_get(off), le64_get(n), sectors);
}

static int check_header(struct vmdk_extent *x, const struct sesparse_const_header *h,
                        const char *path, struct err *e)
{
    struct sesparse_volatile_header volatile_h;
    uint64_t at, capacity = le64_get(h->capacity);

    if (le64_get(h->magic) != SESPARSE_CONST_MAGIC || le64_get(h->version) != SESPARSE_VERSION)
        return vmdk_bad(path, "one of its extents has no seSparse header of a known version", e);
    if (le64_get(h->grain_size) != GRAIN_SECTORS ||
        le64_get(h->grain_table_size) != TABLE_SECTORS || capacity == 0 ||
        capacity > INT64_MAX / VMDK_SECTOR)
        return vmdk_bad(path, "its seSparse header has impossible values", e);
    if (x->len && capacity * VMDK_SECTOR < x->len)
        return vmdk_bad(path, "one of its extents is shorter than its descriptor says", e);
    if (!place(x, h->volatile_header_offset, le64_of(1), &at) ||
        disk_read(x->file, at, &volatile_h, sizeof(volatile_h)) < 0 ||
        le64_get(volatile_h.magic) != SESPARSE_VOLATILE_MAGIC)
        return vmdk_bad(path, "its seSparse header has no volatile part", e);
    if (le64_get(volatile_h.replay_journal))
        return err_set(e, EINVAL,
                       "seSparse image '%s' was not closed and its journal must be replayed, which "
                       "only ESXi can do; open the disk there once",
                       path);
    return 0;
}

int vmdk_sesparse_load(struct vmdk *v, struct vmdk_extent *x, const char *path, struct err *e)
{
    struct sesparse_const_header h;
    uint64_t at, count;
    void *gd;
    int rc = disk_read(x->file, 0, &h, sizeof(h));

    if (rc == 0)
        rc = check_header(x, &h, path, e);
    else
        rc = err_set(e, -rc, "cannot read VMDK image '%s': %s", path, strerror(-rc));
    if (rc < 0)
        return rc;
    x->type = VMDK_SESPARSE;
    x->grain = GRAIN_SECTORS * VMDK_SECTOR;
    if (x->len == 0)
        x->len = le64_get(h.capacity) * VMDK_SECTOR;
    count = (x->len + x->grain * ENTRIES - 1) / (x->grain * ENTRIES);
    if (!place(x, h.grain_dir_offset, h.grain_dir_size, &at) ||
        count > le64_get(h.grain_dir_size) * (VMDK_SECTOR / 8))
        return vmdk_bad(path, "its grain directory does not fit", e);
    if (!place(x, h.grain_tables_offset, h.grain_tables_size, &x->gt_base) ||
        !place(x, h.grains_offset, le64_of(0), &x->grain_base))
        return vmdk_bad(path, "its grain tables lie outside the file", e);
    x->gt_bytes = le64_get(h.grain_tables_size) * VMDK_SECTOR;
    rc = vmdk_take_tables(v, count, 8, &gd, path, e);
    if (rc < 0)
        return rc;
    x->gd64 = gd;
    x->gd_count = (uint32_t)count;
    rc = disk_read(x->file, at, gd, count * 8);
    for (uint32_t i = 0; i < x->gd_count; i++)
        x->gd64[i] = le64_at((const uint8_t *)&x->gd64[i]);
    return rc < 0 ? err_set(e, -rc, "cannot read VMDK image '%s': %s", path, strerror(-rc)) : 0;
}

/* Kind and place of an entry; -EIO: no entry that exists. */
static int decode(const struct vmdk_extent *x, uint64_t entry, enum piece_kind *kind, uint64_t *at)
{
    uint64_t number;

    *at = 0;
    switch (entry & SESPARSE_GTE_TYPE) {
    case SESPARSE_GTE_UNALLOCATED:
        *kind = PIECE_PARENT;
        return entry ? -EIO : 0;
    case SESPARSE_GTE_UNMAPPED:
    case SESPARSE_GTE_ZERO:
        *kind = PIECE_ZERO;
        return 0;
    case SESPARSE_GTE_ALLOCATED:
        number = (entry & UINT64_C(0x0fff000000000000)) >> 48 |
                 (entry & UINT64_C(0x0000ffffffffffff)) << 12;
        *kind = PIECE_DATA;
        if (number > INT64_MAX / x->grain)
            return -EIO;
        *at = x->grain_base + number * x->grain;
        return range_in(*at, x->grain, disk_bytes(x->file)) ? 0 : -EIO;
    default:
        return -EIO;
    }
}

/* The entry of a grain, and for a table that is missing how many grains that is. */
static int entry_of(struct vmdk *v, struct vmdk_extent *x, uint64_t grain, bool wait, uint64_t *out,
                    uint64_t *run)
{
    uint64_t dir = x->gd64[grain / ENTRIES], at;
    uint8_t *p;
    int rc;

    *run = 1;
    *out = 0;
    if (dir == 0) {
        *run = ENTRIES - grain % ENTRIES;
        return 0;
    }
    at = (dir & ~SESPARSE_GD_MASK) * TABLE_SECTORS * VMDK_SECTOR;
    if ((dir & SESPARSE_GD_MASK) != SESPARSE_GD_PRESENT ||
        !range_in(at, TABLE_SECTORS * VMDK_SECTOR, x->gt_bytes))
        return -EIO;
    rc = meta_get(&v->m, x->file, x->gt_base + at + grain % ENTRIES * 8, wait, &p);
    if (rc == 0)
        *out = le64_at(p);
    return rc;
}

int vmdk_sesparse_find(struct vmdk *v, struct vmdk_extent *x, uint64_t in, uint64_t len, bool wait,
                       struct piece *p)
{
    uint64_t first = in / x->grain, last = (in + len - 1) / x->grain, g = first;
    uint64_t entry, run, at = 0, start = 0;

    p->file = x->file;
    while (g <= last) {
        enum piece_kind kind = PIECE_PARENT;
        int rc = entry_of(v, x, g, wait, &entry, &run);

        if (rc == 0)
            rc = decode(x, entry, &kind, &at);
        if (rc < 0 && g > first)
            break; /* said when it is its turn */
        if (rc < 0)
            return rc;
        if (g == first) {
            p->kind = kind;
            start = at;
        }
        if (kind != p->kind || (kind == PIECE_DATA && at != start + (g - first) * x->grain))
            break;
        g += run;
    }
    p->at = start + in % x->grain;
    p->len = min_u64(len, g * x->grain - in);
    return 0;
}
