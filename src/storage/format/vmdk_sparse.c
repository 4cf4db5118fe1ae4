/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmdk_sparse.c - sparse extents: header, directories, finding grains. COWD extents have the same
 * tables under another header.
 *
 * An entry that points past the end of the file was written before its grain and lost it to a power
 * cut (other programs write in that order): it counts as not there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "storage/format/vmdk.h"
#include "storage/pack.h"

enum { PAGE = 4096, VERSION_MAX = 3, GRAIN_MAX = 32768 /* sectors */ };

uint64_t vmdk_gt_bytes(const struct vmdk_extent *x)
{
    return align_up((uint64_t)x->per_gt * 4, VMDK_SECTOR);
}

/* --- the directory --- */

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* No table serves two parts of the disk: writing one would change the other, and a small file could
 * tell of a disk without end. */
static int check_apart(const struct vmdk_extent *x, const char *path, struct err *e)
{
    uint32_t step = (uint32_t)(vmdk_gt_bytes(x) / VMDK_SECTOR), last = 0;
    uint32_t *v;
    bool sorted = true, apart = true;

    for (uint32_t i = 0; i < x->gd_count && sorted; i++) {
        if (x->gd[i] == 0)
            continue;
        sorted = last == 0 || x->gd[i] >= (uint64_t)last + step;
        last = x->gd[i];
    }
    if (sorted)
        return 0;
    v = malloc((size_t)x->gd_count * sizeof(*v));
    if (!v)
        return err_set(e, ENOMEM, "no memory to open VMDK image '%s'", path);
    memcpy(v, x->gd, (size_t)x->gd_count * sizeof(*v));
    qsort(v, x->gd_count, sizeof(*v), by_value);
    for (uint32_t i = 1; i < x->gd_count; i++) {
        if (v[i - 1] && v[i] < (uint64_t)v[i - 1] + step)
            apart = false;
    }
    free(v);
    return apart ? 0 : vmdk_bad(path, "two of its grain tables lie in the same place", e);
}

static bool table_is_inside(const struct vmdk_extent *x, uint32_t sector)
{
    return (uint64_t)sector * VMDK_SECTOR < disk_bytes(x->file);
}

/* An entry that leads nowhere is looked up in the other directory. */
static int mend_directory(struct vmdk_extent *x, const char *path, struct err *e)
{
    for (uint32_t i = 0; i < x->gd_count; i++) {
        uint8_t w[4];

        if (table_is_inside(x, x->gd[i]))
            continue;
        if (!x->rgd_at)
            return vmdk_bad(path, "its grain directory points past the end of the file", e);
        if (disk_read(x->file, x->rgd_at + (uint64_t)i * 4, w, 4) < 0)
            return err_set(e, EIO, "cannot read VMDK image '%s'", path);
        if (!table_is_inside(x, le32_at(w)))
            return vmdk_bad(path, "both its grain directories point past the end of the file", e);
        x->gd[i] = le32_at(w);
        x->odd = true;
    }
    return 0;
}

/* gd_at, rgd_at, per_gt, grain and len are known. */
static int load_directory(struct vmdk *v, struct vmdk_extent *x, const char *path, bool forgiving,
                          struct err *e)
{
    uint64_t span = x->grain * x->per_gt, count = (x->len + span - 1) / span;
    uint64_t size = disk_bytes(x->file);
    void *gd;
    int rc;

    if (count > VMDK_TABLES_MAX / 4 || !range_in(x->gd_at, count * 4, size))
        return vmdk_bad(path, "its grain directory does not fit into the file", e);
    if (x->rgd_at && !range_in(x->rgd_at, count * 4, size))
        x->rgd_at = 0;
    rc = vmdk_take_tables(v, count, 4, &gd, path, e);
    if (rc < 0)
        return rc;
    x->gd = gd;
    x->gd_count = (uint32_t)count;
    rc = disk_read(x->file, x->gd_at, gd, count * 4);
    if (rc < 0)
        return err_set(e, -rc, "cannot read VMDK image '%s': %s", path, strerror(-rc));
    for (uint32_t i = 0; i < x->gd_count; i++)
        x->gd[i] = le32_at((const uint8_t *)&x->gd[i]);
    if (forgiving)
        return 0;
    rc = mend_directory(x, path, e);
    return rc == 0 ? check_apart(x, path, e) : rc;
}

/* --- headers --- */

static int check_header(const struct vmdk_extent *x, const char *path, struct err *e)
{
    const struct sparse_extent_header *h = &x->h;
    uint64_t grain = le64_get(h->grainSize), capacity = le64_get(h->capacity);
    uint32_t per_gt = le32_get(h->numGTEsPerGT);

    if (le32_get(h->version) < 1 || le32_get(h->version) > VERSION_MAX)
        return err_set(e, EINVAL, "VMDK image '%s' is of version %u, and versions 1 to 3 are known",
                       path, le32_get(h->version));
    if ((le32_get(h->flags) & SPARSE_NEWLINE_TEST) &&
        memcmp(&h->singleEndLineChar, "\n \r\n", 4) != 0)
        return vmdk_bad(path, "it was changed by a copy in text mode; copy it again as binary", e);
    if (!is_pow2(grain) || grain < 8 || grain > GRAIN_MAX)
        return vmdk_bad(path, "its grain size is impossible", e);
    if (!is_pow2(per_gt) || per_gt > VMDK_GT_ENTRIES)
        return vmdk_bad(path, "the size of its grain tables is impossible", e);
    if (capacity == 0 || capacity > INT64_MAX / VMDK_SECTOR ||
        capacity / (grain * per_gt) >= VMDK_TABLES_MAX / 4)
        return vmdk_bad(path, "its capacity is impossible", e);
    if (x->len && capacity * VMDK_SECTOR < x->len)
        return vmdk_bad(path, "one of its extents is shorter than its descriptor says", e);
    if (x->packed && le16_get(h->compressAlgorithm) != COMPRESSION_DEFLATE)
        return vmdk_bad(path, "its compression is unknown", e);
    return 0;
}

static int place_tables(struct vmdk_extent *x, const char *path, struct err *e)
{
    const struct sparse_extent_header *h = &x->h;
    uint64_t gd = le64_get(h->gdOffset), rgd = le64_get(h->rgdOffset);
    uint64_t sectors = disk_bytes(x->file) / VMDK_SECTOR + 1;

    if (gd == 0 || gd >= sectors)
        return vmdk_bad(path, "its grain directory lies outside the file", e);
    x->gd_at = gd * VMDK_SECTOR;
    if ((le32_get(h->flags) & SPARSE_REDUNDANT_GT) && rgd > 0 && rgd < sectors && rgd != gd)
        x->rgd_at = rgd * VMDK_SECTOR;
    return 0;
}

int vmdk_sparse_load(struct vmdk *v, struct vmdk_extent *x, const char *path, bool forgiving,
                     struct err *e)
{
    uint32_t flags;
    int rc = disk_read(x->file, 0, &x->h, sizeof(x->h));

    if (rc < 0)
        return err_set(e, -rc, "cannot read VMDK image '%s': %s", path, strerror(-rc));
    if (le32_get(x->h.magicNumber) != SPARSE_MAGICNUMBER)
        return vmdk_bad(path, "one of its extents has no sparse extent's header", e);
    flags = le32_get(x->h.flags);
    x->packed = flags & SPARSE_COMPRESSED;
    x->zeroed = flags & SPARSE_ZEROED_GTE;
    rc = check_header(x, path, e);
    if (rc < 0)
        return rc;
    x->grain = le64_get(x->h.grainSize) * VMDK_SECTOR;
    x->per_gt = le32_get(x->h.numGTEsPerGT);
    if (x->len == 0)
        x->len = le64_get(x->h.capacity) * VMDK_SECTOR;
    if (x->packed) {
        rc = vmdk_stream_locate(x, path, forgiving, e);
        if (rc < 0 || x->places)
            return rc;
    }
    rc = place_tables(x, path, e);
    return rc == 0 ? load_directory(v, x, path, forgiving, e) : rc;
}

int vmdk_cowd_load(struct vmdk *v, struct vmdk_extent *x, const char *path, struct err *e)
{
    struct cowd_header h;
    uint64_t grain, sectors;
    int rc = disk_read(x->file, 0, &h, sizeof(h));

    if (rc < 0)
        return err_set(e, -rc, "cannot read VMDK image '%s': %s", path, strerror(-rc));
    grain = le32_get(h.grainSize);
    sectors = le32_get(h.numSectors);
    if (le32_get(h.magicNumber) != COWD_MAGIC || le32_get(h.version) != 1)
        return vmdk_bad(path, "one of its extents has no COWD header of version 1", e);
    if (!is_pow2(grain) || grain > GRAIN_MAX || sectors == 0)
        return vmdk_bad(path, "its COWD header has impossible values", e);
    if (x->len && (uint64_t)sectors * VMDK_SECTOR < x->len)
        return vmdk_bad(path, "one of its extents is shorter than its descriptor says", e);
    x->type = VMDK_COWD;
    x->grain = grain * VMDK_SECTOR;
    x->per_gt = COWD_GTES;
    x->gd_at = (uint64_t)le32_get(h.gdOffset) * VMDK_SECTOR;
    if (x->len == 0)
        x->len = (uint64_t)sectors * VMDK_SECTOR;
    if (le32_get(h.numGDEntries) < (x->len + x->grain * COWD_GTES - 1) / (x->grain * COWD_GTES))
        return vmdk_bad(path, "its grain directory is too short for its size", e);
    return load_directory(v, x, path, false, e);
}

/* --- finding --- */

/* A stream without a directory: its grains by search. */
static int find_place(const struct vmdk_extent *x, uint64_t in, uint64_t len, struct piece *p)
{
    uint64_t grain = in / x->grain, lo = 0, hi = x->place_count;

    while (lo < hi) {
        uint64_t mid = (lo + hi) / 2;

        if (x->places[mid].grain < grain)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo < x->place_count && x->places[lo].grain == grain) {
        p->kind = PIECE_PACKED;
        p->at = (uint64_t)x->places[lo].sector * VMDK_SECTOR;
        p->len = min_u64(len, (grain + 1) * x->grain - in);
        return 0;
    }
    p->kind = PIECE_PARENT;
    p->len = lo < x->place_count ? min_u64(len, x->places[lo].grain * x->grain - in) : len;
    return 0;
}

static enum piece_kind kind_of(const struct vmdk_extent *x, uint32_t entry)
{
    if (entry == 0 || (uint64_t)entry * VMDK_SECTOR >= disk_bytes(x->file))
        return PIECE_PARENT;
    if (entry == 1 && x->zeroed)
        return PIECE_ZERO;
    return x->packed ? PIECE_PACKED : PIECE_DATA;
}

/* How many of n entries from p on continue a run of `kind` whose next grain should lie at `next`.
 */
static uint64_t run_of(const struct vmdk_extent *x, const uint8_t *p, uint64_t n,
                       enum piece_kind kind, uint64_t next)
{
    uint32_t step = (uint32_t)(x->grain / VMDK_SECTOR);
    uint64_t i = 0;

    for (; i < n; i++) {
        uint32_t entry = le32_at(p + i * 4);

        if (kind_of(x, entry) != kind || (kind == PIECE_DATA && entry != next + i * step))
            break;
    }
    return i;
}

int vmdk_sparse_find(struct vmdk *v, struct vmdk_extent *x, uint64_t in, uint64_t len, bool wait,
                     struct piece *p)
{
    uint64_t first = in / x->grain, last = (in + len - 1) / x->grain, g = first;
    uint64_t step = x->grain / VMDK_SECTOR, sector = 0;

    p->file = x->file;
    if (x->places)
        return find_place(x, in, len, p);
    while (g <= last) {
        uint64_t index = g % x->per_gt, n = min_u64(x->per_gt - index, last - g + 1), run = n;
        uint64_t at = (uint64_t)x->gd[g / x->per_gt] * VMDK_SECTOR + index * 4;
        enum piece_kind kind = PIECE_PARENT;
        uint8_t *t;
        int rc;

        if (x->gd[g / x->per_gt]) {
            rc = meta_get(&v->m, x->file, at, wait, &t);
            if (rc == -EAGAIN && g > first)
                break;
            if (rc < 0)
                return rc;
            n = min_u64(n, (PAGE - at % PAGE) / 4);
            kind = g == first ? kind_of(x, le32_at(t)) : p->kind;
            sector = g == first ? le32_at(t) : sector;
            run = run_of(x, t, n, kind, sector + (g - first) * step);
        }
        if (g == first)
            p->kind = kind;
        else if (kind != p->kind)
            break;
        g += run;
        if (p->kind == PIECE_PACKED || run < n)
            break;
    }
    if (p->kind == PIECE_PACKED)
        g = first + 1;
    p->at = sector * VMDK_SECTOR + in % x->grain;
    if (p->kind == PIECE_PACKED)
        p->at -= in % x->grain;
    p->len = min_u64(len, g * x->grain - in);
    return 0;
}

/* --- packed grains --- */

int vmdk_unpack(struct map *m, const struct piece *p, uint8_t *buf)
{
    struct grain_marker marker;
    uint64_t left = disk_bytes(p->file) - min_u64(disk_bytes(p->file), p->at), n = 0, skip = 0;
    uint64_t most = m->cluster * 2;
    const struct vmdk_extent *x = vmdk_extent_at(vmdk_of(m), p->off);
    uint8_t *in;
    int rc = 0;

    if (le32_get(x->h.flags) & SPARSE_MARKERS) {
        rc = left < sizeof(marker) ? -EIO : disk_read(p->file, p->at, &marker, sizeof(marker));
        if (rc < 0)
            return rc;
        n = le32_get(marker.size);
        skip = sizeof(marker);
        if (n == 0 || n > most || n > left - skip)
            return -EIO;
    } else {
        n = min_u64(most, left);
    }
    in = malloc(n);
    rc = in ? disk_read(p->file, p->at + skip, in, n) : -ENOMEM;
    if (rc == 0)
        rc = unpack_zlib(in, n, buf, m->cluster);
    free(in);
    return rc;
}
