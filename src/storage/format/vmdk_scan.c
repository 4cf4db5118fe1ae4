/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmdk_scan.c - all entries of a sparse extent: where its file is in use, and what is wrong.
 *
 * The file is seen as cells, of a grain's size where all grains begin at the same remainder, which
 * is the rule, and of one sector otherwise. Parts of tables that are holes in the file are not
 * read.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "storage/format/vmdk.h"

enum { CELLS_MAX = 1 << 28, TABLES_AT_ONCE = 64, POOL_MAX = 65536 };

/* --- cells --- */

bool vmdk_cell_used(const struct vmdk_scan *s, uint64_t cell)
{
    return s->used[cell / 8] >> cell % 8 & 1;
}

static uint64_t cell_of(const struct vmdk_scan *s, uint64_t at)
{
    return (at + s->unit - s->residue) / s->unit;
}

/* Marks [at, at+len); true: part of it was in use. What lies past the end of the file is nobody's.
 */
static bool mark(struct vmdk_scan *s, uint64_t at, uint64_t len)
{
    uint64_t last = min_u64(cell_of(s, at + len - 1), s->cells - 1);
    bool before = false;

    for (uint64_t c = cell_of(s, at); c <= last; c++) {
        before = before || vmdk_cell_used(s, c);
        s->used[c / 8] |= (uint8_t)(1u << c % 8);
    }
    return before;
}

static int mark_directory(struct vmdk_scan *s, uint64_t at, bool other)
{
    const struct vmdk_extent *x = s->x;
    uint64_t size = disk_bytes(x->file), bytes = vmdk_gt_bytes(x);
    uint8_t w[512];

    (void)mark(s, at, align_up((uint64_t)x->gd_count * 4, VMDK_SECTOR));
    for (uint32_t i = 0; i < x->gd_count; i++) {
        uint32_t in = i % (sizeof(w) / 4), table = x->gd[i];

        if (other && in == 0) {
            int rc = disk_read(x->file, at + (uint64_t)i * 4, w,
                               min_u64(sizeof(w), (x->gd_count - i) * UINT64_C(4)));

            if (rc < 0)
                return rc;
        }
        if (other)
            table = le32_at(w + (size_t)in * 4);
        if (table && (uint64_t)table * VMDK_SECTOR < size)
            (void)mark(s, (uint64_t)table * VMDK_SECTOR, bytes);
    }
    return 0;
}

/* Header, descriptor and tables. */
static int mark_metadata(struct vmdk_scan *s)
{
    const struct vmdk_extent *x = s->x;
    uint64_t at = le64_get(x->h.descriptorOffset), n = le64_get(x->h.descriptorSize);
    uint64_t sectors = disk_bytes(x->file) / VMDK_SECTOR;
    int rc;

    (void)mark(s, 0, VMDK_SECTOR);
    if (at && n && range_in(at, n, sectors))
        (void)mark(s, at * VMDK_SECTOR, n * VMDK_SECTOR);
    rc = mark_directory(s, x->gd_at, false);
    if (rc == 0 && x->rgd_at)
        rc = mark_directory(s, x->rgd_at, true);
    return rc;
}

static int start(struct vmdk_scan *s)
{
    uint64_t size = s->size;

    s->cells = (size + s->unit - 1) / s->unit + 2;
    if (s->cells > CELLS_MAX)
        return -EFBIG;
    s->used = calloc(1, s->cells / 8 + 1);
    return s->used ? mark_metadata(s) : -ENOMEM;
}

/* --- entries --- */

static int tell(struct vmdk_scan *s, const struct vmdk_entry *n, enum vmdk_trouble what)
{
    (*(what == VMDK_PAST_END ? &s->past_end : &s->collisions))++;
    return s->trouble ? s->trouble(s, n, what) : 0;
}

static int one_entry(struct vmdk_scan *s, const struct vmdk_entry *n)
{
    const struct vmdk_extent *x = s->x;
    uint64_t at = (uint64_t)n->sector * VMDK_SECTOR;

    if (n->sector == 0 || (n->sector == 1 && x->zeroed))
        return 0;
    if (at >= s->size)
        return tell(s, n, VMDK_PAST_END);
    if (!s->used) { /* the first one says where grains begin */
        int rc;

        s->residue = at % x->grain;
        rc = start(s);
        if (rc < 0)
            return rc;
    }
    if (s->unit == x->grain && at % x->grain != s->residue) {
        s->mixed = true;
        return -EAGAIN;
    }
    s->allocated++;
    s->top = max_u64(s->top, at + x->grain);
    return mark(s, at, x->grain) ? tell(s, n, VMDK_COLLIDES) : 0;
}

static int one_table(struct vmdk_scan *s, uint32_t gt, const uint8_t *table)
{
    const struct vmdk_extent *x = s->x;
    uint64_t left = (x->len + x->grain - 1) / x->grain - (uint64_t)gt * x->per_gt;
    struct vmdk_entry n = {.gt = gt};
    int rc = 0;

    for (n.index = 0; n.index < min_u64(x->per_gt, left) && rc == 0; n.index++) {
        n.sector = le32_at(table + (size_t)n.index * 4);
        n.at = (uint64_t)x->gd[gt] * VMDK_SECTOR + (uint64_t)n.index * 4;
        rc = one_entry(s, &n);
    }
    return rc;
}

static int is_data(void *arg, const struct extent *x)
{
    (void)arg;
    return x->kind == EXTENT_DATA;
}

/* n tables that lie one after the other. */
static int tables(struct vmdk_scan *s, uint32_t gt, uint32_t n, uint8_t *buf)
{
    const struct vmdk_extent *x = s->x;
    uint64_t at = (uint64_t)x->gd[gt] * VMDK_SECTOR, len = n * vmdk_gt_bytes(x);
    uint64_t size = disk_bytes(x->file);
    int rc;

    if (range_in(at, len, size)) {
        rc = disk_extents(x->file, at, len, is_data, NULL);
        if (rc <= 0)
            return rc;
    }
    rc = disk_read(x->file, at, buf, len);
    for (uint32_t i = 0; i < n && rc == 0; i++)
        rc = one_table(s, gt + i, buf + i * vmdk_gt_bytes(x));
    return rc;
}

static int walk(struct vmdk_scan *s)
{
    const struct vmdk_extent *x = s->x;
    uint64_t step = vmdk_gt_bytes(x), size = disk_bytes(x->file);
    uint8_t *buf = malloc(step * TABLES_AT_ONCE);
    int rc = buf ? 0 : -ENOMEM;

    for (uint32_t i = 0, n; i < x->gd_count && rc == 0; i += n) {
        n = 1;
        if (x->gd[i] == 0 || (uint64_t)x->gd[i] * VMDK_SECTOR >= size)
            continue;
        while (n < TABLES_AT_ONCE && i + n < x->gd_count &&
               x->gd[i + n] == x->gd[i] + n * (step / VMDK_SECTOR))
            n++;
        rc = tables(s, i, n, buf);
    }
    free(buf);
    return rc;
}

int vmdk_scan(struct vmdk_scan *s)
{
    int rc;

    s->unit = s->x->grain;
    s->size = disk_bytes(s->x->file);
    rc = walk(s);
    if (rc == -EAGAIN && s->mixed) {
        free(s->used);
        s->used = NULL;
        s->unit = VMDK_SECTOR;
        s->residue = s->top = s->allocated = s->past_end = s->collisions = 0;
        rc = start(s);
        if (rc == 0)
            rc = walk(s);
    }
    if (rc == 0 && !s->used)
        rc = start(s);
    return rc;
}

void vmdk_scan_free(struct vmdk_scan *s)
{
    free(s->used);
    s->used = NULL;
}

/* --- twins --- */

int vmdk_mirror(struct vmdk_extent *x, bool repair, uint64_t *differ)
{
    uint64_t bytes = vmdk_gt_bytes(x), size = disk_bytes(x->file);
    uint8_t *one = malloc(bytes), *two = malloc(bytes), w[4];
    int rc = one && two ? 0 : -ENOMEM;

    *differ = 0;
    for (uint32_t i = 0; i < x->gd_count && rc == 0; i++) {
        uint64_t at = (uint64_t)x->gd[i] * VMDK_SECTOR, twin;

        rc = disk_read(x->file, x->rgd_at + (uint64_t)i * 4, w, 4);
        twin = (uint64_t)le32_at(w) * VMDK_SECTOR;
        if (rc < 0 || at == 0 || twin == 0 || twin == at || twin >= size || at >= size)
            continue;
        rc = disk_read(x->file, at, one, bytes);
        if (rc == 0)
            rc = disk_read(x->file, twin, two, bytes);
        if (rc < 0 || memcmp(one, two, bytes) == 0)
            continue;
        ++*differ;
        if (repair)
            rc = disk_write(x->file, twin, one, bytes);
    }
    free(one);
    free(two);
    return rc;
}

/* --- before writing --- */

static int by_sector(const void *a, const void *b)
{
    const struct vmdk_range *x = a, *y = b;

    if (x->sector != y->sector)
        return x->sector < y->sector ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static void add_fixed(struct vmdk_range *v, size_t *n, uint64_t sector, uint64_t sectors)
{
    if (sectors)
        v[(*n)++] = (struct vmdk_range){.sector = sector, .sectors = sectors};
}

int vmdk_ranges(struct vmdk_extent *x, struct vmdk_range **out, size_t *n)
{
    uint64_t sectors = (disk_bytes(x->file) + VMDK_SECTOR - 1) / VMDK_SECTOR;
    uint64_t step = vmdk_gt_bytes(x) / VMDK_SECTOR;
    uint64_t dir = ((uint64_t)x->gd_count * 4 + VMDK_SECTOR - 1) / VMDK_SECTOR;
    uint64_t text = le64_get(x->h.descriptorOffset), len = le64_get(x->h.descriptorSize);
    struct vmdk_range *v = calloc((size_t)x->gd_count * 2 + 4, sizeof(*v));
    int rc = v ? 0 : -ENOMEM;

    *n = 0;
    *out = v;
    if (!v)
        return rc;
    add_fixed(v, n, 0, 1);
    add_fixed(v, n, text, text && range_in(text, len, sectors) ? len : 0);
    add_fixed(v, n, x->gd_at / VMDK_SECTOR, dir);
    add_fixed(v, n, x->rgd_at / VMDK_SECTOR, x->rgd_at ? dir : 0);
    for (uint32_t i = 0; i < x->gd_count && rc == 0; i++) {
        uint8_t w[4] = {0};

        if (x->rgd_at)
            rc = disk_read(x->file, x->rgd_at + (uint64_t)i * 4, w, 4);
        if (x->gd[i] && x->gd[i] < sectors)
            v[(*n)++] = (struct vmdk_range){x->gd[i], step, i, VMDK_TABLE};
        if (le32_at(w) && le32_at(w) < sectors && le32_at(w) != x->gd[i])
            v[(*n)++] = (struct vmdk_range){le32_at(w), step, i, VMDK_TWIN};
    }
    qsort(v, *n, sizeof(*v), by_sector);
    return rc;
}

/* No table is part of another one, of whichever directory, or of what is no table. */
static int tables_apart(struct vmdk_extent *x)
{
    struct vmdk_range *v;
    size_t n;
    int rc = vmdk_ranges(x, &v, &n);

    for (size_t i = 1; i < n && rc == 0; i++) {
        if (v[i].sector < v[i - 1].sector + v[i - 1].sectors)
            rc = -EINVAL;
    }
    free(v);
    return rc;
}

/* The entry goes, in both tables. */
static int drop_entry(struct vmdk_scan *s, const struct vmdk_entry *n, enum vmdk_trouble what)
{
    struct vmdk_extent *x = s->x;
    static const uint8_t none[4];
    uint64_t twin;
    uint8_t w[4];
    int rc;

    if (what != VMDK_PAST_END)
        return 0;
    rc = disk_write(x->file, n->at, none, 4);
    if (rc < 0 || !x->rgd_at)
        return rc;
    rc = disk_read(x->file, x->rgd_at + (uint64_t)n->gt * 4, w, 4);
    twin = (uint64_t)le32_at(w) * VMDK_SECTOR;
    if (rc < 0 || twin == 0 || twin >= disk_bytes(x->file))
        return rc;
    return disk_write(x->file, twin + (uint64_t)n->index * 4, none, 4);
}

/* Cells that nothing uses are given out before the file grows. */
static void find_space(struct vmdk_scan *s)
{
    struct vmdk_extent *x = s->x;
    uint64_t size = disk_bytes(x->file);

    x->end = x->grain * (cell_of(s, max_u64(size, s->top) + s->unit - 1) - 1) + s->residue;
    if (s->unit != x->grain)
        x->end = align_up(max_u64(size, s->top), x->grain);
    x->virgin = max_u64(x->end, size);
    for (uint64_t c = 1; s->unit == x->grain && c < s->cells && x->pool.n < POOL_MAX; c++) {
        uint64_t at = (c - 1) * s->unit + s->residue;

        if (!vmdk_cell_used(s, c) && at / VMDK_SECTOR >= le64_get(x->h.overHead) &&
            range_in(at, x->grain, min_u64(size, x->end)))
            map_runs_add(&x->pool, at, x->grain);
    }
}

int vmdk_sparse_prepare(struct vmdk_extent *x, const char *path, struct err *e)
{
    struct vmdk_scan s = {.x = x, .trouble = drop_entry};
    uint64_t differ;
    int rc;

    if (x->odd)
        return vmdk_bad(path, "its grain directory points past the end of the file", e);
    rc = tables_apart(x);
    if (rc == -EINVAL)
        return vmdk_bad(path, "two of its grain tables lie in the same place", e);
    if (rc == 0)
        rc = vmdk_scan(&s);
    if (rc == 0 && s.collisions)
        rc = vmdk_bad(path, "grains lie in the same place", e);
    else if (rc < 0)
        rc = err_set(e, -rc, "cannot read the tables of VMDK image '%s': %s", path, strerror(-rc));
    if (rc == 0) {
        find_space(&s);
        if (x->rgd_at && x->h.uncleanShutdown)
            rc = vmdk_mirror(x, true, &differ);
        if (rc == 0 && (s.past_end || x->h.uncleanShutdown))
            rc = disk_flush(x->file);
        if (rc < 0)
            rc = err_set(e, -rc, "cannot mend the tables of VMDK image '%s': %s", path,
                         strerror(-rc));
    }
    vmdk_scan_free(&s);
    return rc;
}
