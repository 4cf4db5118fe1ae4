/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhdx_head.c - the fixed parts of a VHDX file: headers, region tables, metadata. [MS-VHDX] 2.2 and
 * 2.6. All are checked before anything in them is used: what they name lies inside the file, is
 * aligned, known where it must be, and does not overlap.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <isa-l/crc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/err.h"
#include "core/ids.h"
#include "storage/format/vhdx.h"

int vhdx_bad(const char *path, const char *what, struct err *e)
{
    return err_set(e, EINVAL, "'%s' is a damaged VHDX image: %s; 'hospes image check' says more",
                   path, what);
}

static int newer(const char *path, const char *what, struct err *e)
{
    return err_set(e, EINVAL,
                   "VHDX image '%s' uses %s that this program does not know; convert it on the "
                   "system that made it",
                   path, what);
}

static int unreadable(const char *path, int rc, struct err *e)
{
    return err_set(e, -rc, "cannot read VHDX image '%s': %s", path, strerror(-rc));
}

/* --- checksums and GUIDs --- */

uint32_t vhdx_checksum(const void *p, size_t n)
{
    static uint8_t none[4];
    uint8_t *b = (uint8_t *)(uintptr_t)p; /* the library does not write to it */
    uint32_t c = crc32_iscsi(b, 4, UINT32_MAX);

    c = crc32_iscsi(none, 4, c);
    return ~crc32_iscsi(b + 8, (int)(n - 8), c);
}

bool vhdx_guid_same(const struct vhdx_guid *a, const struct vhdx_guid *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

bool vhdx_guid_none(const struct vhdx_guid *g)
{
    static const struct vhdx_guid none;

    return vhdx_guid_same(g, &none);
}

/* RFC 4122: version 4. */
void vhdx_guid_new(struct vhdx_guid *g)
{
    (void)!getrandom(g, sizeof(*g), 0);
    g->b[7] = (uint8_t)((g->b[7] & 0x0f) | 0x40);
    g->b[8] = (uint8_t)((g->b[8] & 0x3f) | 0x80);
}

void vhdx_guid_text(const struct vhdx_guid *g, char out[VHDX_GUID_TEXT])
{
    const uint8_t *b = g->b;

    snprintf(out, VHDX_GUID_TEXT, "{" GUID_FMT "}", GUID_ARGS(b));
}

/* --- headers --- */

static int read_header(struct disk *file, uint64_t off, uint8_t buf[VHDX_HEADER_SIZE], bool *valid)
{
    int rc = disk_read(file, off, buf, VHDX_HEADER_SIZE);

    *valid = rc == 0 && memcmp(buf, "head", 4) == 0 &&
             le32_at(buf + 4) == vhdx_checksum(buf, VHDX_HEADER_SIZE);
    return rc;
}

static int check_log_place(struct vhdx *v, const char *path, struct err *e)
{
    uint64_t off = le64_get(v->h.log_offset), len = le32_get(v->h.log_length);

    if (le16_get(v->h.version) != 1)
        return newer(path, "a version", e);
    if (le16_get(v->h.log_version) != 0 && !vhdx_guid_none(&v->h.log_guid))
        return newer(path, "a version of the log", e);
    if (len == 0 && vhdx_guid_none(&v->h.log_guid)) {
        v->h.log_offset = le64_of(0);
        return 0;
    }
    if (len > VHDX_LOG_MAX)
        return vhdx_bad(path, "its log is larger than 256 MiB", e);
    if (len == 0 || (off | len) % MiB || off < MiB || !range_in(off, len, disk_bytes(v->m.file)))
        return vhdx_bad(path, "its log has an impossible place", e);
    return 0;
}

int vhdx_load_headers(struct vhdx *v, const char *path, struct err *e)
{
    uint8_t buf[2][VHDX_HEADER_SIZE];
    struct vhdx_header h[2];
    bool valid[2] = {false, false};
    char id[8] = "";
    int rc = disk_bytes(v->m.file) < MiB ? 0 : disk_read(v->m.file, 0, id, sizeof(id));

    if (rc == 0 && memcmp(id, "vhdxfile", 8) != 0)
        return vhdx_bad(path, "it does not begin as one", e);
    if (rc == 0)
        rc = read_header(v->m.file, VHDX_HEADER_1, buf[0], &valid[0]);
    if (rc == 0)
        rc = read_header(v->m.file, VHDX_HEADER_2, buf[1], &valid[1]);
    if (rc < 0)
        return unreadable(path, rc, e);
    memcpy(&h[0], buf[0], sizeof(h[0]));
    memcpy(&h[1], buf[1], sizeof(h[1]));
    v->both = valid[0] && valid[1];
    if (!valid[0] && !valid[1])
        return vhdx_bad(path, "neither of its headers is valid", e);
    v->slot =
        !valid[0] || (valid[1] && le64_get(h[1].sequence_number) > le64_get(h[0].sequence_number));
    if (v->both && le64_get(h[0].sequence_number) == le64_get(h[1].sequence_number) &&
        memcmp(buf[0], buf[1], sizeof(buf[0])) != 0)
        return vhdx_bad(path, "its headers are of the same age and differ", e);
    v->h = h[v->slot];
    return check_log_place(v, path, e);
}

int vhdx_put_header(struct vhdx *v)
{
    uint8_t buf[VHDX_HEADER_SIZE] = {0};
    int rc;

    v->h.sequence_number = le64_of(le64_get(v->h.sequence_number) + 1);
    v->h.version = le16_of(1);
    v->h.log_version = le16_of(0);
    memcpy(v->h.signature, "head", 4);
    memcpy(buf, &v->h, sizeof(v->h));
    v->h.checksum = le32_of(vhdx_checksum(buf, sizeof(buf)));
    memcpy(buf, &v->h, sizeof(v->h));
    rc = disk_write(v->m.file, v->slot ? VHDX_HEADER_1 : VHDX_HEADER_2, buf, sizeof(buf));
    if (rc == 0)
        v->slot = !v->slot;
    return rc;
}

/* The second header need not be durable: the first one is, and says the same. */
int vhdx_renew_headers(struct vhdx *v, bool data, bool keep_log)
{
    int rc;

    vhdx_guid_new(&v->h.file_write_guid);
    if (data)
        vhdx_guid_new(&v->h.data_write_guid);
    if (!keep_log)
        v->h.log_guid = (struct vhdx_guid){{0}};
    rc = vhdx_put_header(v);
    if (rc == 0)
        rc = disk_flush(v->m.file);
    return rc == 0 ? vhdx_put_header(v) : rc;
}

/* --- regions --- */

static bool overlap(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
    return a < b + blen && b < a + alen;
}

/* One entry; 0, or -errno with e filled. */
static int take_region(struct vhdx *v, const struct vhdx_region *r, const char *path, struct err *e)
{
    static const struct vhdx_guid bat = VHDX_REGION_BAT, meta = VHDX_REGION_METADATA;
    uint64_t off = le64_get(r->file_offset), len = le32_get(r->length);
    bool is_bat = vhdx_guid_same(&r->guid, &bat), is_meta = vhdx_guid_same(&r->guid, &meta);

    if (!is_bat && !is_meta && le32_get(r->required) & 1)
        return newer(path, "a region", e);
    if (len == 0 || (off | len) % MiB || off < MiB || !range_in(off, len, disk_bytes(v->m.file)))
        return vhdx_bad(path, "a region has an impossible place", e);
    if (overlap(off, len, le64_get(v->h.log_offset), le32_get(v->h.log_length)))
        return vhdx_bad(path, "a region overlaps the log", e);
    if ((is_bat && (v->bat_len || len > VHDX_BAT_MAX)) ||
        (is_meta && (v->meta_len || len > VHDX_METADATA_MAX)))
        return vhdx_bad(path, "a region is there twice, or too large", e);
    if (is_bat) {
        v->bat_off = off;
        v->bat_len = len;
    } else if (is_meta) {
        v->meta_off = off;
        v->meta_len = len;
    } else {
        v->foreign = true;
    }
    return 0;
}

static int by_offset(const void *a, const void *b)
{
    uint64_t x = le64_get(((const struct vhdx_region *)a)->file_offset);
    uint64_t y = le64_get(((const struct vhdx_region *)b)->file_offset);

    return x < y ? -1 : x > y;
}

static int take_regions(struct vhdx *v, uint8_t *table, const char *path, struct err *e)
{
    struct vhdx_region *r = (struct vhdx_region *)(table + sizeof(struct vhdx_region_table));
    uint32_t n = le32_at(table + offsetof(struct vhdx_region_table, entry_count));
    int rc = 0;

    v->bat_len = v->meta_len = 0;
    qsort(r, n, sizeof(*r), by_offset);
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        if (i > 0 &&
            le64_get(r[i].file_offset) < le64_get(r[i - 1].file_offset) + le32_get(r[i - 1].length))
            return vhdx_bad(path, "its regions overlap", e);
        rc = take_region(v, &r[i], path, e);
    }
    if (rc == 0 && (!v->bat_len || !v->meta_len))
        rc = vhdx_bad(path, "it has no block table or no metadata", e);
    return rc;
}

static bool valid_table(const uint8_t *t)
{
    return memcmp(t, "regi", 4) == 0 && le32_at(t + 4) == vhdx_checksum(t, VHDX_TABLE_SIZE) &&
           le32_at(t + 8) <= VHDX_TABLE_ENTRIES;
}

/* Both tables; *use is the one that counts, NULL when there is none. malloc'd. */
static int read_tables(struct vhdx *v, uint8_t **both, uint8_t **use)
{
    uint8_t *t = malloc(2 * VHDX_TABLE_SIZE);
    int rc = t ? disk_read(v->m.file, VHDX_REGION_TABLE_1, t, 2 * VHDX_TABLE_SIZE) : -ENOMEM;

    if (rc < 0) {
        free(t);
        return rc;
    }
    v->tables_differ = memcmp(t, t + VHDX_TABLE_SIZE, VHDX_TABLE_SIZE) != 0;
    *both = t;
    *use = valid_table(t) ? t : valid_table(t + VHDX_TABLE_SIZE) ? t + VHDX_TABLE_SIZE : NULL;
    return 0;
}

static int load_regions(struct vhdx *v, const char *path, struct err *e)
{
    uint8_t *t, *use;
    int rc = read_tables(v, &t, &use);

    if (rc < 0)
        return unreadable(path, rc, e);
    if (use)
        rc = take_regions(v, use, path, e);
    else
        rc = vhdx_bad(path, "neither of its region tables is valid", e);
    free(t);
    return rc;
}

int vhdx_put_regions(struct vhdx *v)
{
    static const struct vhdx_guid bat = VHDX_REGION_BAT;
    struct vhdx_region *r;
    uint8_t *t, *use;
    int rc = read_tables(v, &t, &use);

    if (rc < 0)
        return rc;
    for (uint32_t i = 0; use && i < le32_at(use + 8); i++) {
        r = (struct vhdx_region *)(use + sizeof(struct vhdx_region_table)) + i;
        if (vhdx_guid_same(&r->guid, &bat)) {
            r->file_offset = le64_of(v->bat_off);
            r->length = le32_of((uint32_t)v->bat_len);
        }
    }
    if (use) {
        le32_put(use + 4, vhdx_checksum(use, VHDX_TABLE_SIZE));
        rc = disk_write(v->m.file, VHDX_REGION_TABLE_1, use, VHDX_TABLE_SIZE);
    } else {
        rc = -EIO;
    }
    if (rc == 0)
        rc = disk_flush(v->m.file);
    if (rc == 0)
        rc = disk_write(v->m.file, VHDX_REGION_TABLE_2, use, VHDX_TABLE_SIZE);
    free(t);
    return rc == 0 ? disk_flush(v->m.file) : rc;
}

/* --- metadata --- */

enum { FILE_PARAMETERS, DISK_SIZE, DISK_ID, LOGICAL, PHYSICAL, LOCATOR, ITEMS };

static const struct {
    struct vhdx_guid id;
    uint32_t least, most; /* bytes */
} items[ITEMS] = {
    [FILE_PARAMETERS] = {VHDX_ITEM_FILE_PARAMETERS, 8, 8},
    [DISK_SIZE] = {VHDX_ITEM_VIRTUAL_DISK_SIZE, 8, 8},
    [DISK_ID] = {VHDX_ITEM_VIRTUAL_DISK_ID, 16, 16},
    [LOGICAL] = {VHDX_ITEM_LOGICAL_SECTOR, 4, 4},
    [PHYSICAL] = {VHDX_ITEM_PHYSICAL_SECTOR, 4, 4},
    [LOCATOR] = {VHDX_ITEM_PARENT_LOCATOR, sizeof(struct vhdx_locator), VHDX_LOCATOR_MAX},
};

static int by_place(const void *a, const void *b)
{
    uint32_t x = le32_get(((const struct vhdx_metadata_entry *)a)->offset);
    uint32_t y = le32_get(((const struct vhdx_metadata_entry *)b)->offset);

    return x < y ? -1 : x > y;
}

static int take_item(struct vhdx *v, const struct vhdx_metadata_entry *x, uint64_t at[ITEMS],
                     const char *path, struct err *e)
{
    uint32_t off = le32_get(x->offset), len = le32_get(x->length), flags = le32_get(x->flags);
    unsigned i = 0;

    if (flags > 7 || (len == 0 && off != 0) || (flags & 5) == 5 ||
        (len && (off < VHDX_TABLE_SIZE || !range_in(off, len, v->meta_len))))
        return vhdx_bad(path, "a metadata item has an impossible place", e);
    if (flags & VHDX_ITEM_USER)
        return 0;
    while (i < ITEMS && !vhdx_guid_same(&x->item_id, &items[i].id))
        i++;
    if (i == ITEMS)
        return flags & VHDX_ITEM_REQUIRED ? newer(path, "a metadata item", e) : 0;
    if (at[i] || len < items[i].least || len > items[i].most)
        return vhdx_bad(path, "a metadata item is there twice, or has a wrong length", e);
    at[i] = v->meta_off + off;
    if (i == LOCATOR)
        v->locator_len = len;
    return 0;
}

static int take_items(struct vhdx *v, uint8_t *t, uint64_t at[ITEMS], const char *path,
                      struct err *e)
{
    struct vhdx_metadata_entry *x =
        (struct vhdx_metadata_entry *)(t + sizeof(struct vhdx_metadata_table));
    uint16_t n = le16_at(t + offsetof(struct vhdx_metadata_table, entry_count));
    int rc = 0;

    if (memcmp(t, "metadata", 8) != 0 || n > VHDX_TABLE_ENTRIES)
        return vhdx_bad(path, "its metadata table is not one", e);
    qsort(x, n, sizeof(*x), by_place);
    for (uint16_t i = 0; i < n && rc == 0; i++) {
        rc = take_item(v, &x[i], at, path, e);
        if (rc == 0 && i > 0 &&
            le32_get(x[i].offset) < le32_get(x[i - 1].offset) + le32_get(x[i - 1].length))
            rc = vhdx_bad(path, "its metadata items overlap", e);
    }
    for (unsigned i = 0; i < LOCATOR && rc == 0; i++) {
        if (!at[i])
            rc = vhdx_bad(path, "a metadata item that every image has is missing", e);
    }
    return rc;
}

static unsigned log2_of(uint64_t pow2)
{
    return (unsigned)__builtin_ctzll(pow2);
}

uint64_t vhdx_entries(const struct vhdx *v, uint64_t bytes)
{
    uint64_t n = (bytes + vhdx_block(v) - 1) >> v->block_bits, ratio = UINT64_C(1) << v->ratio_bits;

    if (v->child)
        return (n + ratio - 1) / ratio * (ratio + 1);
    return n ? n + ((n - 1) >> v->ratio_bits) : 0;
}

static int take_shape(struct vhdx *v, const struct vhdx_file_parameters *p, uint64_t bytes,
                      uint32_t logical, const char *path, struct err *e)
{
    uint64_t block = le32_get(p->block_size);
    uint32_t flags = le32_get(p->flags);

    if (!is_pow2(block) || block < MiB || block > 256 * MiB || flags > 3)
        return vhdx_bad(path, "its block size is impossible", e);
    if ((logical != 512 && logical != 4096) || (v->physical != 512 && v->physical != 4096))
        return vhdx_bad(path, "its sector size is impossible", e);
    if (bytes == 0 || bytes % logical || bytes > VHDX_DISK_MAX)
        return vhdx_bad(path, "its disk size is impossible", e);
    v->block_bits = log2_of(block);
    v->ratio_bits = 23 + log2_of(logical) - v->block_bits;
    v->child = flags & VHDX_HAS_PARENT;
    v->fixed = !v->child && flags & VHDX_LEAVE_BLOCKS_ALLOCATED;
    v->blocks = (bytes + block - 1) >> v->block_bits;
    v->m.cluster = block;
    v->m.grain = v->child ? logical : block;
    v->m.d.shape = (struct disk_shape){
        .bytes = bytes,
        .logical = logical,
        .physical = (uint32_t)max_u64(v->physical, logical),
        .readonly = v->m.file->shape.readonly,
        .trims = !v->fixed,
    };
    if (vhdx_entries(v, bytes) > v->bat_len / 8)
        return vhdx_bad(path, "its block table is too short for its size", e);
    if (v->child != (v->locator_len != 0))
        return vhdx_bad(path, "it has a parent and does not name it, or the reverse", e);
    return 0;
}

static int load_metadata(struct vhdx *v, const char *path, struct err *e)
{
    uint8_t *t = malloc(VHDX_TABLE_SIZE);
    struct vhdx_file_parameters p;
    uint64_t at[ITEMS] = {0};
    le32 logical, physical;
    le64 size;
    int rc = t ? disk_read(v->m.file, v->meta_off, t, VHDX_TABLE_SIZE) : -ENOMEM;

    v->locator_len = 0;
    rc = rc < 0 ? unreadable(path, rc, e) : take_items(v, t, at, path, e);
    free(t);
    if (rc < 0)
        return rc;
    rc = disk_read(v->m.file, at[FILE_PARAMETERS], &p, sizeof(p));
    if (rc == 0)
        rc = disk_read(v->m.file, at[DISK_SIZE], &size, sizeof(size));
    if (rc == 0)
        rc = disk_read(v->m.file, at[DISK_ID], &v->disk_id, sizeof(v->disk_id));
    if (rc == 0)
        rc = disk_read(v->m.file, at[LOGICAL], &logical, sizeof(logical));
    if (rc == 0)
        rc = disk_read(v->m.file, at[PHYSICAL], &physical, sizeof(physical));
    if (rc < 0)
        return unreadable(path, rc, e);
    v->size_at = at[DISK_SIZE];
    v->locator_at = at[LOCATOR];
    v->physical = le32_get(physical);
    return take_shape(v, &p, le64_get(size), le32_get(logical), path, e);
}

int vhdx_load_tables(struct vhdx *v, const char *path, struct err *e)
{
    int rc = load_regions(v, path, e);

    return rc == 0 ? load_metadata(v, path, e) : rc;
}
