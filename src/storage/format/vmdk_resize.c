/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmdk_resize.c - other sizes for disks of one extent.
 *
 * A sparse extent gets new directories at its end, with tables for what is new; the header, which
 * is one sector, then points to them. Of the descriptor what matters lies in its first sector.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "storage/file.h"
#include "storage/format/vmdk.h"
#include "storage/map_impl.h"

static int keeps(const char *why, struct err *e)
{
    return err_exit(e, EX_USAGE_, ENOTSUP, "%s; convert it to a new one", why);
}

/* The descriptor's number of sectors of its only extent. */
static int set_sectors(struct vmdk *v, uint64_t sectors)
{
    struct vmdk_line *line = &v->desc.lines[0];
    uint64_t room = v->extents[0].file == v->m.file
                        ? le64_get(v->extents[0].h.descriptorSize) * VMDK_SECTOR
                        : VMDK_TEXT_MAX;
    char number[24], *text = calloc(1, v->text_len + sizeof(number));
    size_t at, old = 0, n = 0;
    int rc = text ? disk_read(v->m.file, v->text_at, text, v->text_len) : -ENOMEM;

    at = line->sectors_at;
    if (rc == 0 && at >= v->text_len)
        rc = -EINVAL;
    if (rc == 0) {
        old = strspn(text + at, "0123456789");
        n = (size_t)snprintf(number, sizeof(number), "%llu", (unsigned long long)sectors);
        memmove(text + at + n, text + at + old, v->text_len - at - old);
        memcpy(text + at, number, n);
        n = v->text_len - old + n;
        memset(text + n, 0, v->text_len + sizeof(number) - n);
        if (n > room)
            rc = -ENOSPC;
    }
    if (rc == 0 && n < v->text_len && v->text_at) /* zeroes over the old end */
        rc = disk_write(v->m.file, v->text_at, text, v->text_len);
    else if (rc == 0)
        rc = disk_write(v->m.file, v->text_at, text, n);
    if (rc == 0 && n < v->text_len && !v->text_at)
        rc = file_resize(v->m.file, n);
    free(text);
    if (rc < 0)
        return rc;
    if (v->desc.long_at > at)
        v->desc.long_at += n - v->text_len;
    if (v->desc.cid_at > at)
        v->desc.cid_at += n - v->text_len;
    v->text_len = n;
    line->sectors = sectors;
    return disk_flush(v->m.file);
}

/* --- flat --- */

static int resize_flat(struct vmdk *v, uint64_t bytes)
{
    struct vmdk_extent *x = &v->extents[0];
    int rc = 0;

    if (bytes > x->len)
        rc = file_resize(x->file, x->base + bytes);
    if (rc == 0)
        rc = disk_flush(x->file);
    if (rc == 0)
        rc = set_sectors(v, bytes / VMDK_SECTOR);
    if (rc == 0 && bytes < x->len)
        rc = file_resize(x->file, x->base + bytes);
    return rc;
}

/* --- sparse --- */

struct growth {
    struct vmdk_extent *x;
    uint32_t count;     /* of tables, then */
    uint64_t dir_bytes; /* of a directory */
    uint64_t rgd, gd;   /* bytes: where they go, each with its new tables behind it */
    uint64_t end;
    uint32_t *all; /* the new directory, sectors */
};

static struct growth plan(struct vmdk_extent *x, uint64_t bytes)
{
    uint64_t span = x->grain * x->per_gt, one;
    struct growth g = {.x = x, .count = (uint32_t)((bytes + span - 1) / span)};

    g.dir_bytes = align_up((uint64_t)g.count * 4, VMDK_SECTOR);
    one = g.dir_bytes + (g.count - x->gd_count) * vmdk_gt_bytes(x);
    g.rgd = align_up(max_u64(x->end, disk_bytes(x->file)), x->grain);
    g.gd = x->rgd_at ? g.rgd + one : g.rgd;
    g.end = align_up(g.gd + one, x->grain);
    return g;
}

/* One directory: what the old one has, and new tables behind it. */
static int write_directory(struct growth *g, uint64_t old, uint64_t at)
{
    struct vmdk_extent *x = g->x;
    uint8_t *raw = calloc(1, g->dir_bytes);
    int rc = raw ? disk_read(x->file, old, raw, (size_t)x->gd_count * 4) : -ENOMEM;

    for (uint32_t i = x->gd_count; i < g->count && rc == 0; i++)
        le32_put(
            raw + (size_t)i * 4,
            (uint32_t)((at + g->dir_bytes + (i - x->gd_count) * vmdk_gt_bytes(x)) / VMDK_SECTOR));
    if (rc == 0)
        rc = disk_write(x->file, at, raw, g->dir_bytes);
    for (uint32_t i = 0; i < g->count && rc == 0; i++)
        g->all[i] = le32_at(raw + (size_t)i * 4);
    free(raw);
    return rc;
}

static int write_tables(struct growth *g)
{
    struct vmdk_extent *x = g->x;
    int rc = file_resize(x->file, g->end);

    if (rc == 0 && x->rgd_at)
        rc = write_directory(g, x->rgd_at, g->rgd);
    if (rc == 0)
        rc = write_directory(g, x->gd_at, g->gd);
    return rc == 0 ? disk_flush(x->file) : rc;
}

static int grow_sparse(struct vmdk *v, uint64_t bytes)
{
    struct vmdk_extent *x = &v->extents[0];
    struct growth g = plan(x, bytes);
    struct sparse_extent_header h = x->h;
    int rc = 0;

    if (g.count > x->gd_count) {
        if (g.end / VMDK_SECTOR > UINT32_MAX)
            return -EFBIG;
        g.all = malloc((size_t)g.count * sizeof(*g.all));
        rc = g.all ? write_tables(&g) : -ENOMEM;
        h.rgdOffset = x->rgd_at ? le64_of(g.rgd / VMDK_SECTOR) : h.rgdOffset;
        h.gdOffset = le64_of(g.gd / VMDK_SECTOR);
    }
    h.capacity = le64_of(bytes / VMDK_SECTOR);
    if (rc == 0)
        rc = disk_write(x->file, 0, &h, sizeof(h));
    if (rc == 0)
        rc = disk_flush(x->file);
    if (rc < 0) {
        free(g.all);
        return rc;
    }
    if (g.all) {
        free(x->gd);
        x->gd = g.all;
        x->gd_count = g.count;
        x->gd_at = g.gd;
        x->rgd_at = x->rgd_at ? g.rgd : 0;
        x->end = x->virgin = g.end;
    }
    x->h = h;
    return set_sectors(v, bytes / VMDK_SECTOR);
}

int vmdk_resize(struct disk *d, uint64_t bytes, struct err *e)
{
    struct vmdk *v = map_of(d) ? vmdk_of(map_of(d)) : NULL;
    struct vmdk_extent *x = v ? &v->extents[0] : NULL;
    int rc;

    if (bytes == 0 || bytes % DISK_SECTOR)
        return err_exit(e, EX_USAGE_, EINVAL, "a VMDK disk has whole sectors of 512 bytes");
    if (!v || v->extent_count != 1 || v->desc.n != 1 || x->packed || !x->file ||
        (x->type != VMDK_FLAT && x->type != VMDK_SPARSE) || !x->file->shape.grows)
        return keeps("this kind of VMDK image keeps its size", e);
    if (x->type == VMDK_SPARSE && x->file != v->m.file)
        return keeps("a split VMDK image keeps its size", e);
    if (x->type == VMDK_SPARSE && bytes < x->len)
        return keeps("a sparse VMDK image grows only", e);
    if (x->type == VMDK_SPARSE && bytes / (x->grain * x->per_gt) >= VMDK_TABLES_MAX / 4)
        return keeps("a sparse VMDK image cannot be that large", e);
    rc = map_flush(&v->m);
    if (rc == 0)
        rc = map_touch(&v->m);
    if (rc == 0)
        rc = x->type == VMDK_FLAT ? resize_flat(v, bytes) : grow_sparse(v, bytes);
    if (rc < 0)
        return err_set(e, -rc, "cannot resize the VMDK image: %s", strerror(-rc));
    x->len = bytes;
    d->shape.bytes = bytes;
    return 0;
}
