/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhd_check.c - looks at a VHD image's footers, header and table, and mends them.
 *
 * Nothing that could be read is lost: a missing footer is made from its copy, a block used twice is
 * copied, a block that starts past the end of the file holds nothing and is let go.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "storage/file.h"
#include "storage/format/vhd.h"

struct vhd_checker {
    struct disk *file;
    struct image_report *rep;
    bool repair;
    struct vhd_footer footer;
    struct vhd_dynamic dyn;
    uint64_t bat, block; /* offset of the table; bytes of bitmap and data */
    uint32_t entries, used;
    uint64_t end;    /* of what is referred to */
    uint64_t copied; /* bytes that blocks in the same place have cost */
    uint8_t *table;
};

static int by_sector(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static int copy_block(struct vhd_checker *k, uint64_t from, uint64_t to)
{
    enum { CHUNK = 64 * 1024 };
    uint8_t *buf = malloc(CHUNK);
    int rc = buf ? 0 : -ENOMEM;

    for (uint64_t i = 0; i < k->block && rc == 0; i += CHUNK) {
        size_t n = min_u64(CHUNK, k->block - i);

        rc = disk_read(k->file, from + i, buf, n);
        if (rc == 0)
            rc = disk_write(k->file, to + i, buf, n);
    }
    free(buf);
    return rc;
}

static int put_entry(struct vhd_checker *k, uint32_t i, uint32_t sector)
{
    be32_put(k->table + (size_t)i * 4, sector);
    return disk_write(k->file, k->bat + (uint64_t)i * 4, k->table + (size_t)i * 4, 4);
}

/* Two blocks in one place: which of them is right cannot be known, so both get what is there. */
static int mend_overlap(struct vhd_checker *k, uint32_t i)
{
    uint64_t from = (uint64_t)be32_at(k->table + (size_t)i * 4) * VHD_SECTOR, to = k->end;
    bool can = k->copied + k->block <= max_u64(disk_bytes(k->file), GiB);
    int rc;

    report(k->rep, FINDING_ERROR, k->repair && can, "block %u shares space with another block", i);
    if (!k->repair || !can)
        return 0;
    k->copied += k->block;
    rc = copy_block(k, from, to);
    if (rc == 0)
        rc = disk_flush(k->file);
    if (rc == 0)
        rc = put_entry(k, i, (uint32_t)(to / VHD_SECTOR));
    k->end = to + k->block;
    return rc;
}

/* Blocks that cannot be: before the table's end, or past the end of the file. */
static int check_places(struct vhd_checker *k)
{
    uint64_t first = align_up(k->bat + (uint64_t)k->entries * 4, VHD_SECTOR);
    int rc = 0;

    for (uint32_t i = 0; i < k->entries && rc == 0; i++) {
        uint32_t sector = be32_at(k->table + (size_t)i * 4);
        uint64_t at = (uint64_t)sector * VHD_SECTOR;

        if (sector == VHD_UNUSED)
            continue;
        if (at < disk_bytes(k->file) && (at >= first || at + k->block <= k->bat)) {
            k->used++;
            k->end = max_u64(k->end, at + k->block);
            continue;
        }
        report(k->rep, FINDING_ERROR, k->repair, "block %u lies %s", i,
               at < first ? "inside the tables" : "past the end of the file");
        if (k->repair)
            rc = put_entry(k, i, VHD_UNUSED);
    }
    return rc;
}

static int check_overlaps(struct vhd_checker *k)
{
    uint64_t *v = calloc(k->used ? k->used : 1, sizeof(*v));
    uint32_t n = 0;
    int rc = 0;

    if (!v)
        return -ENOMEM;
    for (uint32_t i = 0; i < k->entries && n < k->used; i++) {
        uint32_t sector = be32_at(k->table + (size_t)i * 4);

        if (sector != VHD_UNUSED && (uint64_t)sector * VHD_SECTOR < disk_bytes(k->file))
            v[n++] = (uint64_t)sector << 32 | i;
    }
    qsort(v, n, sizeof(*v), by_sector);
    for (uint32_t i = 1; i < n && rc == 0; i++) {
        if (((v[i] >> 32) - (v[i - 1] >> 32)) * VHD_SECTOR < k->block)
            rc = mend_overlap(k, (uint32_t)v[i]);
    }
    free(v);
    return rc;
}

static int check_footers(struct vhd_checker *k, enum vhd_where where)
{
    struct vhd_footer copy;
    uint64_t at = disk_bytes(k->file) - sizeof(copy);
    int rc = disk_read(k->file, 0, &copy, sizeof(copy));
    bool stale = where == VHD_AT_START, same = !memcmp(&copy, &k->footer, sizeof(copy));
    /* Less than a block is what Windows leaves, so that blocks begin where its sectors do. */
    bool lost = k->end + k->block <= at;

    if (stale)
        report(k->rep, FINDING_ERROR, k->repair, "the footer at the end is missing");
    else if (lost)
        report(k->rep, FINDING_LEAK, k->repair, "%llu bytes before the footer are not used",
               (unsigned long long)(at - k->end));
    if (!same)
        report(k->rep, FINDING_ERROR, k->repair, "the footer's copy at the start differs");
    if (rc < 0 || !k->repair)
        return rc;
    if (stale || lost || k->end > at) {
        rc = disk_write(k->file, k->end, &k->footer, sizeof(k->footer));
        if (rc == 0)
            rc = disk_flush(k->file);
        if (rc == 0)
            rc = file_resize(k->file, k->end + sizeof(k->footer));
    }
    if (rc == 0 && !same)
        rc = disk_write(k->file, 0, &k->footer, sizeof(k->footer));
    return rc == 0 ? disk_flush(k->file) : rc;
}

/* false: nothing more can be looked at. */
static bool check_header(struct vhd_checker *k)
{
    uint64_t at = be64_get(k->footer.data_offset);
    struct vhd_dynamic *h = &k->dyn;
    uint32_t bs;

    if (!range_in(at, sizeof(*h), disk_bytes(k->file)) ||
        disk_read(k->file, at, h, sizeof(*h)) < 0 || memcmp(h->cookie, "cxsparse", 8) != 0 ||
        be32_get(h->checksum) !=
            vhd_checksum(h, sizeof(*h), offsetof(struct vhd_dynamic, checksum))) {
        report(k->rep, FINDING_ERROR, false, "the dynamic header is damaged");
        return false;
    }
    bs = be32_get(h->block_size);
    k->bat = be64_get(h->table_offset);
    k->entries = be32_get(h->max_table_entries);
    if (!is_pow2(bs) || bs < VHD_SECTOR * 8 || bs > VHD_BLOCK_MAX ||
        k->entries > vhd_entries_max(bs) ||
        !range_in(k->bat, (uint64_t)k->entries * 4, disk_bytes(k->file))) {
        report(k->rep, FINDING_ERROR, false, "the dynamic header has impossible values");
        return false;
    }
    k->block = vhd_bitmap_bytes(bs) + (uint64_t)bs;
    k->end = vhd_tables_end(k->file, &k->footer, h);
    return true;
}

static int check_dynamic(struct vhd_checker *k, enum vhd_where where)
{
    int rc;

    if (!check_header(k))
        return 0;
    k->table = malloc((size_t)k->entries * 4 + 1); /* no longer than the file */
    if (!k->table)
        return -ENOMEM;
    rc = disk_read(k->file, k->bat, k->table, (size_t)k->entries * 4);
    if (rc == 0)
        rc = check_places(k);
    if (rc == 0)
        rc = check_overlaps(k);
    if (rc == 0)
        rc = check_footers(k, where);
    k->rep->clusters = k->entries;
    k->rep->allocated = k->used;
    k->rep->image_end = k->end + sizeof(k->footer);
    free(k->table);
    return rc;
}

/* Two footers that are alike in every byte, and whose checksum alone is wrong, were changed by a
 * program that forgot it: they are believed. *found: there are such, with the right one in
 * k->footer. */
static int mend_checksum(struct vhd_checker *k, bool *found)
{
    struct vhd_footer *f = &k->footer, copy = {0};
    uint64_t size = disk_bytes(k->file);
    uint32_t type;
    int rc;

    *found = false;
    if (size < 2 * sizeof(*f))
        return 0;
    rc = disk_read(k->file, size - sizeof(*f), f, sizeof(*f));
    if (rc == 0)
        rc = disk_read(k->file, 0, &copy, sizeof(copy));
    type = be32_get(f->disk_type);
    if (rc < 0 || memcmp(f, &copy, sizeof(copy)) != 0 || memcmp(f->cookie, "conectix", 8) != 0 ||
        (type != VHD_DYNAMIC && type != VHD_DIFFERENCING))
        return rc;
    *found = true;
    report(k->rep, FINDING_ERROR, k->repair, "the checksum of both footers is wrong");
    vhd_seal_footer(f);
    if (k->repair)
        rc = disk_write(k->file, size - sizeof(*f), f, sizeof(*f));
    if (rc == 0 && k->repair)
        rc = disk_flush(k->file);
    if (rc == 0 && k->repair)
        rc = disk_write(k->file, 0, f, sizeof(*f));
    return rc == 0 && k->repair ? disk_flush(k->file) : rc;
}

int vhd_check(struct disk *file, const struct disk_cfg *c, bool repair, struct image_report *rep,
              struct err *e)
{
    struct vhd_checker k = {.file = file, .rep = rep, .repair = repair};
    enum vhd_where where;
    bool found = true;
    uint32_t type;
    int rc = 0;

    if (vhd_read_footer(file, &k.footer, &where) < 0) {
        where = VHD_AT_END;
        rc = mend_checksum(&k, &found);
        if (rc == 0 && !found)
            report(rep, FINDING_ERROR, false, "there is no valid footer");
    }
    if (rc < 0 || !found || (rep->errors && !repair))
        return rc < 0 ? err_set(e, -rc, "cannot check '%s': %s", c->path, strerror(-rc)) : 0;
    type = be32_get(k.footer.disk_type);
    if (type == VHD_FIXED && vhd_bytes(&k.footer) > disk_bytes(file))
        report(rep, FINDING_ERROR, false, "the file is shorter than its footer says");
    else if (type == VHD_DYNAMIC || type == VHD_DIFFERENCING)
        rc = check_dynamic(&k, where);
    return rc < 0 ? err_set(e, -rc, "cannot check '%s': %s", c->path, strerror(-rc)) : 0;
}
