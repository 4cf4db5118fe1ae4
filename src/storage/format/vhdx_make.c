/* SPDX-License-Identifier: Apache-2.0 */
/* vhdx_make.c - new VHDX images, and other sizes for old ones. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cfg.h"
#include "core/err.h"
#include "storage/file.h"
#include "storage/format/vhdx.h"
#include "storage/map_impl.h"
#include "storage/utf.h"

const struct format_option vhdx_options[] = {
    {"subformat", "dynamic (default) or fixed; with a parent, differencing"},
    {"block_size", "bytes of a block, 1M to 256M; 32M, differencing 2M"},
    {"logical_sector_size", "512 (default) or 4096"},
    {"physical_sector_size", "512 or 4096 (default)"},
    {"log_size", "bytes of the log, default 1M"},
    {NULL, NULL},
};

enum { ITEMS_AT = VHDX_TABLE_SIZE };

/* --- making --- */

struct plan {
    uint64_t block, log, logical, physical;
    uint64_t meta, bat, bat_len, data, end; /* places in the file */
    bool fixed;
    struct vhdx shape; /* for the table's arithmetic */
};

static int usage(const char *what, struct err *e)
{
    return err_exit(e, EX_USAGE_, EINVAL, "a VHDX image cannot be made like that: %s", what);
}

static int read_options(struct plan *p, const struct image_make *k, struct err *e)
{
    const char *sub = cfg_get(k->opts, "subformat");

    p->block = k->parent ? 2 * MiB : 32 * MiB;
    p->log = MiB;
    p->logical = k->parent && k->parent->shape.logical >= 4096 ? 4096 : 512;
    p->physical = 4096;
    p->fixed = sub && strcmp(sub, "fixed") == 0;
    if (cfg_size(k->opts, "block_size", &p->block, e) < 0 ||
        cfg_size(k->opts, "log_size", &p->log, e) < 0 ||
        cfg_size(k->opts, "logical_sector_size", &p->logical, e) < 0 ||
        cfg_size(k->opts, "physical_sector_size", &p->physical, e) < 0)
        return -e->code;
    if (sub && !p->fixed && strcmp(sub, "dynamic") != 0 && strcmp(sub, "differencing") != 0)
        return usage("subformat is dynamic, fixed, or differencing with a parent", e);
    if (k->parent ? p->fixed : sub && strcmp(sub, "differencing") == 0)
        return usage("an image with a parent is differencing, and no other is", e);
    if (!is_pow2(p->block) || p->block < MiB || p->block > 256 * MiB)
        return usage("block_size is a power of two from 1M to 256M", e);
    if (p->log == 0 || p->log % MiB || p->log > VHDX_LOG_MAX)
        return usage("log_size is a multiple of 1M, at most 256M", e);
    if ((p->logical != 512 && p->logical != 4096) || (p->physical != 512 && p->physical != 4096) ||
        p->physical < p->logical)
        return usage("sectors have 512 or 4096 bytes, physical ones at least as many as logical",
                     e);
    if (k->parent && k->parent->shape.logical > p->logical)
        return usage("its sectors would be smaller than its parent's", e);
    if (k->bytes == 0 || k->bytes % p->logical || k->bytes > VHDX_DISK_MAX)
        return usage("the size must be whole sectors, and at most 64T", e);
    return 0;
}

static void lay_out(struct plan *p, uint64_t bytes, bool child)
{
    struct vhdx *v = &p->shape;
    uint64_t blocks = (bytes + p->block - 1) / p->block;

    v->block_bits = (uint32_t)__builtin_ctzll(p->block);
    v->ratio_bits = 23 + (uint32_t)__builtin_ctzll(p->logical) - v->block_bits;
    v->child = child;
    p->meta = MiB + p->log;
    p->bat = p->meta + MiB;
    p->bat_len = align_up(vhdx_entries(v, bytes) * 8, MiB);
    p->data = p->bat + p->bat_len;
    p->end = p->data + (p->fixed ? blocks * p->block : 0);
}

static int write_head(struct disk *file, const struct plan *p)
{
    struct vhdx v = {.m.file = file, .slot = 1};
    struct vhdx_identifier id = {.signature = {'v', 'h', 'd', 'x', 'f', 'i', 'l', 'e'}};
    int rc;

    utf16_from("hospes", (uint8_t *)id.creator, ARRAY_SIZE(id.creator), false);
    v.h.log_length = le32_of((uint32_t)p->log);
    v.h.log_offset = le64_of(MiB);
    rc = disk_write(file, 0, &id, sizeof(id));
    return rc == 0 ? vhdx_renew_headers(&v, true, false) : rc;
}

static int write_regions(struct disk *file, const struct plan *p)
{
    struct vhdx_region_table h = {.signature = {'r', 'e', 'g', 'i'}, .entry_count = le32_of(2)};
    struct vhdx_region r[2] = {
        {VHDX_REGION_BAT, le64_of(p->bat), le32_of((uint32_t)p->bat_len), le32_of(1)},
        {VHDX_REGION_METADATA, le64_of(p->meta), le32_of(MiB), le32_of(1)},
    };
    uint8_t *t = calloc(1, VHDX_TABLE_SIZE);
    int rc = -ENOMEM;

    if (t) {
        memcpy(t, &h, sizeof(h));
        memcpy(t + sizeof(h), r, sizeof(r));
        le32_put(t + 4, vhdx_checksum(t, VHDX_TABLE_SIZE));
        rc = disk_write(file, VHDX_REGION_TABLE_1, t, VHDX_TABLE_SIZE);
        if (rc == 0)
            rc = disk_write(file, VHDX_REGION_TABLE_2, t, VHDX_TABLE_SIZE);
    }
    free(t);
    return rc;
}

/* Appends an item to table and content. */
static void put_item(uint8_t *meta, struct vhdx_guid id, const void *data, size_t n, uint32_t flags)
{
    struct vhdx_metadata_table h;
    struct vhdx_metadata_entry x = {.item_id = id, .length = le32_of((uint32_t)n)};
    uint32_t at = ITEMS_AT, count;

    memcpy(&h, meta, sizeof(h));
    count = le16_get(h.entry_count);
    for (uint32_t i = 0; i < count; i++)
        at += (uint32_t)align_up(le32_at(meta + sizeof(h) + i * sizeof(x) + 20), 8);
    x.offset = le32_of(at);
    x.flags = le32_of(flags);
    memcpy(meta + sizeof(h) + count * sizeof(x), &x, sizeof(x));
    memcpy(meta + at, data, n);
    h.entry_count = le16_of((uint16_t)(count + 1));
    memcpy(meta, &h, sizeof(h));
}

static int write_metadata(struct disk *file, const struct plan *p, const struct image_make *k)
{
    static const size_t room = ITEMS_AT + VHDX_LOCATOR_MAX + 4096;
    struct vhdx_file_parameters fp = {.block_size = le32_of((uint32_t)p->block)};
    uint32_t disk = VHDX_ITEM_VIRTUAL_DISK | VHDX_ITEM_REQUIRED;
    le32 logical = le32_of((uint32_t)p->logical), physical = le32_of((uint32_t)p->physical);
    le64 bytes = le64_of(k->bytes);
    uint8_t *meta = calloc(1, room), *locator = NULL;
    struct vhdx_guid id;
    size_t n = 0;
    int rc = meta ? 0 : -ENOMEM;

    if (k->parent && !(locator = vhdx_make_locator(k, &n)))
        rc = -ENAMETOOLONG;
    if (rc == 0) {
        memcpy(meta, "metadata", 8);
        vhdx_guid_new(&id);
        fp.flags = le32_of((p->fixed ? VHDX_LEAVE_BLOCKS_ALLOCATED : 0u) |
                           (k->parent ? VHDX_HAS_PARENT : 0u));
        put_item(meta, (struct vhdx_guid)VHDX_ITEM_FILE_PARAMETERS, &fp, sizeof(fp),
                 VHDX_ITEM_REQUIRED);
        put_item(meta, (struct vhdx_guid)VHDX_ITEM_VIRTUAL_DISK_SIZE, &bytes, 8, disk);
        put_item(meta, (struct vhdx_guid)VHDX_ITEM_VIRTUAL_DISK_ID, &id, sizeof(id), disk);
        put_item(meta, (struct vhdx_guid)VHDX_ITEM_LOGICAL_SECTOR, &logical, 4, disk);
        put_item(meta, (struct vhdx_guid)VHDX_ITEM_PHYSICAL_SECTOR, &physical, 4, disk);
        if (locator)
            put_item(meta, (struct vhdx_guid)VHDX_ITEM_PARENT_LOCATOR, locator, n,
                     VHDX_ITEM_REQUIRED);
        rc = disk_write(file, p->meta, meta, room);
    }
    free(locator);
    free(meta);
    return rc;
}

/* A fixed image's blocks, in order. */
static int write_bat(struct disk *file, const struct plan *p, uint64_t bytes)
{
    uint64_t blocks = (bytes + p->block - 1) / p->block, b = 0, at = p->bat;
    uint8_t buf[4096];
    int rc = 0;

    while (b < blocks && rc == 0) {
        memset(buf, 0, sizeof(buf));
        for (size_t i = 0; i < sizeof(buf) / 8 && b < blocks; i++) {
            uint64_t index = (at - p->bat) / 8 + i;

            if (index == vhdx_index(&p->shape, b))
                le64_put(buf + i * 8, (p->data + b++ * p->block) | PAYLOAD_BLOCK_FULLY_PRESENT);
        }
        rc = disk_write(file, at, buf, sizeof(buf));
        at += sizeof(buf);
    }
    return rc;
}

int vhdx_create(struct disk *file, const struct image_make *k, struct err *e)
{
    struct plan p = {0};
    int rc = read_options(&p, k, e);

    if (rc < 0)
        return rc;
    lay_out(&p, k->bytes, k->parent != NULL);
    if (file->shape.grows)
        rc = file_resize(file, p.end);
    else if (disk_bytes(file) < p.end)
        rc = -ENOSPC;
    else
        rc = disk_zero(file, 0, p.data, false);
    if (rc == 0)
        rc = write_metadata(file, &p, k);
    if (rc == 0 && p.fixed)
        rc = write_bat(file, &p, k->bytes);
    if (rc == 0)
        rc = write_regions(file, &p);
    if (rc == 0)
        rc = write_head(file, &p);
    if (rc == 0)
        rc = disk_flush(file);
    return rc < 0 ? err_set(e, -rc, "cannot write VHDX image '%s': %s", k->path, strerror(-rc)) : 0;
}

/* --- resizing: nothing else is under way --- */

static int change_entry(struct vhdx *v, uint64_t index, uint64_t new, uint64_t *old)
{
    uint64_t at = v->bat_off + index * 8;
    uint8_t *p;
    int rc;

    if (meta_full(v->m.meta)) {
        rc = map_flush(&v->m);
        if (rc < 0)
            return rc;
    }
    pthread_mutex_lock(&v->m.lock);
    rc = meta_get(&v->m, v->m.file, at, true, &p);
    if (rc == 0)
        *old = le64_at(p);
    if (rc == 0 && *old != new)
        rc = meta_change(&v->m, v->m.file, at, 8, 1, &p);
    if (rc == 0 && *old != new)
        le64_put(p, new);
    pthread_mutex_unlock(&v->m.lock);
    return rc;
}

/* A longer table, somewhere else. The old one's space is found to be free when the image is opened
 * the next time. */
static int move_bat(struct vhdx *v, uint64_t entries)
{
    uint64_t len = align_up(entries * 8, MiB);
    uint8_t *buf = malloc(64 * KiB);
    struct piece x = {0};
    int rc = buf ? map_flush(&v->m) : -ENOMEM;

    pthread_mutex_lock(&v->m.lock);
    if (rc == 0)
        rc = map_alloc(&v->m, len, MiB, &x);
    pthread_mutex_unlock(&v->m.lock);
    if (rc == 0 && disk_bytes(v->m.file) < x.at + len)
        rc = file_resize(v->m.file, x.at + len);
    if (rc == 0 && !x.fresh)
        rc = disk_zero(v->m.file, x.at, len, true);
    for (uint64_t i = 0; i < v->bat_len && rc == 0; i += 64 * KiB) {
        rc = disk_read(v->m.file, v->bat_off + i, buf, 64 * KiB);
        if (rc == 0 && !all_zero(buf, 64 * KiB))
            rc = disk_write(v->m.file, x.at + i, buf, 64 * KiB);
    }
    free(buf);
    if (rc == 0)
        rc = disk_flush(v->m.file);
    if (rc < 0)
        return rc;
    v->bat_off = x.at;
    v->bat_len = len;
    return vhdx_put_regions(v);
}

/* A fixed image gets its new blocks at once. */
static int allocate(struct vhdx *v, uint64_t from, uint64_t to)
{
    int rc = 0;

    for (uint64_t b = from; b < to && rc == 0; b++) {
        struct piece x = {0};
        uint64_t old;

        pthread_mutex_lock(&v->m.lock);
        rc = map_alloc(&v->m, vhdx_block(v), MiB, &x);
        pthread_mutex_unlock(&v->m.lock);
        if (rc == 0 && !x.fresh)
            rc = disk_zero(v->m.file, x.at, vhdx_block(v), false);
        if (rc == 0)
            rc = change_entry(v, vhdx_index(v, b), x.at | PAYLOAD_BLOCK_FULLY_PRESENT, &old);
    }
    return rc;
}

static int grow(struct vhdx *v, uint64_t bytes)
{
    uint64_t had = vhdx_entries(v, v->m.d.shape.bytes), need = vhdx_entries(v, bytes), old;
    uint64_t blocks = (bytes + vhdx_block(v) - 1) >> v->block_bits;
    int rc = 0;

    if (need > v->bat_len / 8)
        rc = move_bat(v, need);
    for (uint64_t i = had; i < need && rc == 0; i++) /* room that was never used */
        rc = change_entry(v, i, 0, &old);
    if (rc == 0 && v->fixed)
        rc = allocate(v, v->blocks, blocks);
    return rc;
}

static int shrink(struct vhdx *v, uint64_t bytes)
{
    uint64_t blocks = (bytes + vhdx_block(v) - 1) >> v->block_bits, old;
    uint64_t had = vhdx_entries(v, v->m.d.shape.bytes), keep = vhdx_entries(v, bytes);
    int rc = 0;

    for (uint64_t b = blocks; b < v->blocks && rc == 0; b++) {
        rc = change_entry(v, vhdx_index(v, b), 0, &old);
        if (rc == 0 && vhdx_present(old)) {
            pthread_mutex_lock(&v->m.lock);
            map_free(&v->m, old & VHDX_BAT_OFFSET, vhdx_block(v));
            pthread_mutex_unlock(&v->m.lock);
        }
    }
    for (uint64_t i = keep; i < had && rc == 0; i++)
        rc = change_entry(v, i, 0, &old);
    return rc;
}

static int put_size(struct vhdx *v, uint64_t bytes)
{
    uint8_t *p;
    int rc;

    pthread_mutex_lock(&v->m.lock);
    rc = meta_change(&v->m, v->m.file, v->size_at, 8, 1, &p);
    if (rc == 0)
        le64_put(p, bytes);
    pthread_mutex_unlock(&v->m.lock);
    return rc;
}

int vhdx_resize(struct disk *d, uint64_t bytes, struct err *e)
{
    struct vhdx *v = vhdx_of(map_of(d));
    int rc;

    if (bytes == 0 || bytes % d->shape.logical || bytes > VHDX_DISK_MAX)
        return usage("the size must be whole sectors, and at most 64T", e);
    if (v->size_at % 4096 >
        4096 - 8) /* nobody writes it like that, and the log could not hold it */
        return usage("its size lies across two pages", e);
    rc = map_touch(&v->m);
    if (rc == 0)
        rc = bytes > d->shape.bytes ? grow(v, bytes) : shrink(v, bytes);
    if (rc == 0)
        rc = map_flush(&v->m);
    if (rc == 0)
        rc = put_size(v, bytes);
    if (rc == 0)
        rc = map_flush(&v->m);
    if (rc < 0)
        return err_set(e, -rc, "cannot resize the VHDX image: %s", strerror(-rc));
    d->shape.bytes = bytes;
    v->blocks = (bytes + vhdx_block(v) - 1) >> v->block_bits;
    return 0;
}
