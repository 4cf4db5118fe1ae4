/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhdx.c - VHDX images: fixed, dynamic and differencing.
 *
 * Document: [MS-VHDX] Virtual Hard Disk v2 (VHDX) File Format. A file is
 *
 *   identifier, headers, region tables (1 MiB) | log | metadata | BAT | blocks ...
 *
 * The BAT has an entry of 8 bytes for each block, and after the entries of each chunk (2^23
 * sectors) one for the chunk's sector bitmap, a block of 1 MiB that differencing images need where
 * a block is only partly in this file. Everything begins at a multiple of 1 MiB.
 *
 * BAT, bitmaps and metadata change through the log (vhdx_log.c). A new block is written first, then
 * logged; a block that is given back keeps its place until the flush that said so. Before the first
 * change of an open, both headers get new write GUIDs: children find out that their parent changed.
 *
 * Reading a file whose log is full changes nothing in it (vhdx_view.c); opening it for writing
 * replays the log.
 *
 * Not modelled: keeping the parent locator's paths up to date; resilient change tracking.
 */
#include "storage/format/vhdx.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "storage/file.h"
#include "storage/format/format.h"
#include "storage/map_impl.h"
#include "storage/utf.h"

enum { PAGE = 4096 };

/* --- the table --- */

static int get_entry(struct vhdx *v, uint64_t index, bool wait, uint64_t *out)
{
    uint8_t *p;
    int rc = meta_get(&v->m, v->m.file, v->bat_off + index * 8, wait, &p);

    if (rc == 0)
        *out = le64_at(p);
    return rc;
}

static int set_entry(struct vhdx *v, uint64_t index, uint64_t entry)
{
    uint8_t *p;
    int rc = meta_change(&v->m, v->m.file, v->bat_off + index * 8, 8, 1, &p);

    if (rc == 0)
        le64_put(p, entry);
    return rc;
}

static enum piece_kind kind_of(uint64_t entry)
{
    if (vhdx_present(entry))
        return PIECE_DATA;
    return (entry & VHDX_BAT_STATE) == PAYLOAD_BLOCK_NOT_PRESENT ? PIECE_PARENT : PIECE_ZERO;
}

static bool entry_right(const struct vhdx *v, uint64_t entry)
{
    return (entry & VHDX_BAT_STATE) != 4 &&
           (!vhdx_present(entry) ||
            range_in(entry & VHDX_BAT_OFFSET, vhdx_block(v), (uint64_t)INT64_MAX));
}

static bool partial(const struct vhdx *v, uint64_t entry)
{
    return v->child && (entry & VHDX_BAT_STATE) == PAYLOAD_BLOCK_PARTIALLY_PRESENT;
}

/* Is `next` after `entry` more of the same? */
static bool continues(const struct vhdx *v, uint64_t entry, uint64_t next)
{
    if (kind_of(next) != kind_of(entry) || !entry_right(v, next) || partial(v, next))
        return false;
    return !vhdx_present(entry) ||
           (next & VHDX_BAT_OFFSET) == (entry & VHDX_BAT_OFFSET) + vhdx_block(v);
}

/* The last block of the run that begins at `block`, no further than `last`. */
static int run_end(struct vhdx *v, uint64_t block, uint64_t last, uint64_t entry, bool wait,
                   uint64_t *end)
{
    uint64_t chunk = (UINT64_C(1) << v->ratio_bits) - 1;
    const uint8_t *p = NULL;

    while (block < last) {
        uint64_t at = v->bat_off + vhdx_index(v, block + 1) * 8, next;

        if (!p || at % PAGE == 0 || ((block + 1) & chunk) == 0) {
            uint8_t *page;
            int rc = meta_get(&v->m, v->m.file, at, wait, &page);

            if (rc == -EAGAIN)
                break;
            if (rc < 0)
                return rc;
            p = page;
        }
        next = le64_at(p);
        if (!continues(v, entry, next))
            break;
        entry = next;
        p += 8;
        block++;
    }
    *end = block;
    return 0;
}

/* --- sector bitmaps --- */

static unsigned sector_bits(const struct vhdx *v)
{
    return v->m.d.shape.logical == 512 ? 9 : 12;
}

/* Where the bitmap of off's chunk lies; 0: there is none. */
static int get_bitmap(struct vhdx *v, uint64_t off, bool wait, uint64_t *out)
{
    uint64_t entry = 0;
    int rc =
        get_entry(v, vhdx_bitmap_index(v, off >> v->block_bits >> v->ratio_bits), wait, &entry);

    *out = (entry & VHDX_BAT_STATE) == SB_BLOCK_PRESENT ? entry & VHDX_BAT_OFFSET : 0;
    return rc;
}

/* Sectors of the chunk from `first` to at most `end` whose bits are alike. */
static int bit_run(struct vhdx *v, uint64_t bitmap, uint64_t first, uint64_t end, bool wait,
                   bool *set, uint64_t *n)
{
    uint64_t i = first, page_bits = UINT64_C(8) * PAGE;
    const uint8_t *p = NULL;

    *set = false;
    while (i < end) {
        uint64_t in = i % page_bits;

        if (!p || in == 0) {
            uint8_t *page;
            int rc = meta_get(&v->m, v->m.file, align_down(bitmap + i / 8, PAGE), wait, &page);

            if (rc == -EAGAIN && i > first)
                break;
            if (rc < 0)
                return rc;
            p = page;
            if (i == first)
                *set = p[in / 8] >> in % 8 & 1;
        }
        if (in % 64 == 0 && i + 64 <= end && le64_at(p + in / 8) == (*set ? UINT64_MAX : 0)) {
            i += 64;
            continue;
        }
        if ((bool)(p[in / 8] >> in % 8 & 1) != *set)
            break;
        i++;
    }
    *n = i - first;
    return 0;
}

static uint64_t sector_in_chunk(const struct vhdx *v, uint64_t off)
{
    return off >> sector_bits(v) & ((UINT64_C(1) << 23) - 1);
}

/* Sets n bits from `first` to `value`. */
static int put_bits(struct vhdx *v, uint64_t bitmap, uint64_t first, uint64_t n, bool value,
                    unsigned phase)
{
    while (n) {
        uint64_t in = first % (8 * DISK_SECTOR), some = min_u64(n, 8 * DISK_SECTOR - in);
        uint8_t *p;
        int rc = meta_change(&v->m, v->m.file, bitmap + align_down(first / 8, DISK_SECTOR),
                             DISK_SECTOR, phase, &p);

        if (rc < 0)
            return rc;
        for (uint64_t i = in; i < in + some; i++) {
            if (i % 8 == 0 && i + 8 <= in + some) {
                p[i / 8] = value ? 0xff : 0;
                i += 7;
            } else if (value) {
                p[i / 8] |= (uint8_t)(1u << i % 8);
            } else {
                p[i / 8] &= (uint8_t) ~(1u << i % 8);
            }
        }
        first += some;
        n -= some;
    }
    return 0;
}

/* --- finding --- */

static int find_partial(struct vhdx *v, uint64_t entry, bool wait, struct piece *x)
{
    uint64_t in = x->off & (vhdx_block(v) - 1), len = min_u64(x->len, vhdx_block(v) - in);
    uint64_t first = sector_in_chunk(v, x->off), bitmap, n = 0, sector = v->m.d.shape.logical;
    bool set = false;
    int rc = get_bitmap(v, x->off, wait, &bitmap);

    if (rc == 0 && !range_in(bitmap, VHDX_BITMAP, (uint64_t)INT64_MAX))
        rc = -EIO;
    if (rc == 0 && bitmap == 0)
        rc = -EIO;
    if (rc == 0)
        rc = bit_run(v, bitmap, first, first + (x->off % sector + len + sector - 1) / sector, wait,
                     &set, &n);
    if (rc < 0)
        return rc;
    x->len = min_u64(len, n * sector - x->off % sector);
    x->kind = set ? PIECE_DATA : PIECE_PARENT;
    x->file = v->m.file;
    x->at = (entry & VHDX_BAT_OFFSET) + in;
    return 0;
}

static int vhdx_find(struct map *m, uint64_t off, uint64_t len, bool wait, struct piece *x)
{
    struct vhdx *v = vhdx_of(m);
    uint64_t block = off >> v->block_bits, last = (off + len - 1) >> v->block_bits, entry = 0;
    int rc = get_entry(v, vhdx_index(v, block), wait, &entry);

    if (rc < 0)
        return rc;
    if (!entry_right(v, entry))
        return -EIO;
    if (partial(v, entry))
        return find_partial(v, entry, wait, x);
    x->kind = kind_of(entry);
    x->file = m->file;
    x->at = (entry & VHDX_BAT_OFFSET) + (off & (vhdx_block(v) - 1));
    if (block < last) {
        rc = run_end(v, block, last, entry, wait, &block);
        x->len = min_u64(len, ((block + 1) << v->block_bits) - off);
    }
    return rc;
}

/* --- changing --- */

static int vhdx_reserve(struct map *m, uint64_t off, uint64_t len, struct piece *x)
{
    struct vhdx *v = vhdx_of(m);
    uint64_t in = off & (vhdx_block(v) - 1), entry = 0;
    int rc = get_entry(v, vhdx_index(v, off >> v->block_bits), true, &entry);

    if (rc < 0)
        return rc;
    x->len = min_u64(len, vhdx_block(v) - in);
    if (partial(v, entry)) { /* sectors that the bitmap does not name yet */
        x->at = (entry & VHDX_BAT_OFFSET) + in;
        x->fresh = false;
        return 0;
    }
    rc = map_alloc(m, vhdx_block(v), MiB, x);
    /* A block of a child that is zero becomes one that is here as a whole. */
    if (rc == 0 && v->child && kind_of(entry) == PIECE_ZERO && !x->fresh) {
        rc = disk_zero(m->file, x->at, vhdx_block(v), true);
        if (rc < 0)
            map_unalloc(m, x->at, vhdx_block(v));
    }
    x->at += in;
    return rc;
}

static void vhdx_cancel(struct map *m, const struct piece *x)
{
    struct vhdx *v = vhdx_of(m);
    uint64_t entry = 0;

    if (get_entry(v, vhdx_index(v, x->off >> v->block_bits), true, &entry) == 0 &&
        !vhdx_present(entry))
        map_unalloc(m, x->at - (x->off & (vhdx_block(v) - 1)), vhdx_block(v));
}

/* The bitmap of off's chunk, made if there is none. *phase: of changes to it. */
static int need_bitmap(struct vhdx *v, uint64_t off, uint64_t *bitmap, unsigned *phase)
{
    struct piece x = {0};
    int rc = get_bitmap(v, off, true, bitmap);

    *phase = 1;
    if (rc < 0 || *bitmap)
        return rc;
    rc = map_alloc(&v->m, VHDX_BITMAP, MiB, &x);
    if (rc == 0 && !x.fresh)
        rc = disk_zero(v->m.file, x.at, VHDX_BITMAP, true);
    *bitmap = x.at;
    *phase = 0; /* nothing durable points to it */
    return rc == 0 ? set_entry(v, vhdx_bitmap_index(v, off >> v->block_bits >> v->ratio_bits),
                               x.at | SB_BLOCK_PRESENT)
                   : rc;
}

static int vhdx_assign(struct map *m, const struct piece *x)
{
    struct vhdx *v = vhdx_of(m);
    uint64_t in = x->off & (vhdx_block(v) - 1), index = vhdx_index(v, x->off >> v->block_bits);
    uint64_t first = sector_in_chunk(v, x->off), bitmap, entry = 0, n = x->len >> sector_bits(v);
    unsigned phase;
    int rc = get_entry(v, index, true, &entry);

    if (rc < 0)
        return rc;
    if (!partial(v, entry) &&
        (!v->child || kind_of(entry) == PIECE_ZERO || x->len == vhdx_block(v)))
        return set_entry(v, index, (x->at - in) | PAYLOAD_BLOCK_FULLY_PRESENT);
    rc = need_bitmap(v, x->off, &bitmap, &phase);
    if (rc == 0 && !partial(v, entry)) { /* what an earlier block there left */
        rc = put_bits(v, bitmap, first - (in >> sector_bits(v)), vhdx_block(v) >> sector_bits(v),
                      false, phase);
        if (rc == 0)
            rc = set_entry(v, index, (x->at - in) | PAYLOAD_BLOCK_PARTIALLY_PRESENT);
    }
    return rc == 0 ? put_bits(v, bitmap, first, n, true, phase) : rc;
}

static int clear_block(struct vhdx *v, uint64_t block)
{
    uint64_t index = vhdx_index(v, block), entry = 0;
    int rc = get_entry(v, index, true, &entry);

    if (rc < 0 || kind_of(entry) == PIECE_ZERO || (!v->child && !vhdx_present(entry)))
        return rc;
    if (!entry_right(v, entry))
        return -EIO;
    rc = set_entry(v, index, PAYLOAD_BLOCK_ZERO);
    if (rc == 0 && vhdx_present(entry))
        map_free(&v->m, entry & VHDX_BAT_OFFSET, vhdx_block(v));
    return rc;
}

static int vhdx_clear(struct map *m, uint64_t off, uint64_t len, bool unmap, uint64_t *done)
{
    enum { AT_ONCE = 4096 };
    struct vhdx *v = vhdx_of(m);
    int rc = 0;

    (void)unmap;
    if (v->fixed)
        return -ENOTSUP;
    for (unsigned i = 0; i < AT_ONCE && *done < len && rc == 0; i++) {
        rc = clear_block(v, (off + *done) >> v->block_bits);
        *done += vhdx_block(v);
    }
    return rc;
}

/* --- durability --- */

/* An image without a log gets one at its end. */
static int add_log(struct vhdx *v)
{
    struct piece x;
    int rc = map_alloc(&v->m, MiB, MiB, &x);

    if (rc == 0 && disk_bytes(v->m.file) < v->m.end)
        rc = file_resize(v->m.file, v->m.end);
    v->h.log_offset = le64_of(x.at);
    v->h.log_length = le32_of(MiB);
    return rc;
}

static int vhdx_touch(struct map *m)
{
    struct vhdx *v = vhdx_of(m);
    int rc = le32_get(v->h.log_length) ? 0 : add_log(v);

    if (rc == 0)
        rc = vhdx_renew_headers(v, true, false);
    if (rc == 0 && v->tables_differ)
        rc = vhdx_put_regions(v);
    __atomic_store_n(&m->wrote, true, __ATOMIC_RELEASE);
    return rc;
}

/* Blocks end where the file ends at the latest, whatever of them has been written. */
static int vhdx_stage(struct map *m)
{
    struct vhdx *v = vhdx_of(m);
    int rc = 0;

    if (m->file->shape.grows && disk_bytes(m->file) < m->end)
        rc = file_resize(m->file, m->end);
    v->flushed_end = m->end;
    return rc;
}

/* Free space at the end of the file is cut off. */
static int cut_end(struct vhdx *v)
{
    struct map_runs *pool = &v->m.pool;

    for (size_t i = 0; i < pool->n;) {
        if (pool->v[i].at + pool->v[i].len == v->m.end) {
            v->m.end = pool->v[i].at;
            pool->v[i] = pool->v[--pool->n];
            i = 0;
        } else {
            i++;
        }
    }
    if (v->foreign || !v->m.file->shape.grows || disk_bytes(v->m.file) <= v->m.end)
        return 0;
    return file_resize(v->m.file, v->m.end);
}

/* The log becomes empty: first all is in place, then a header says so, then the other. */
static void vhdx_close(struct map *m, bool clean)
{
    struct vhdx *v = vhdx_of(m);
    int rc;

    if (!clean || m->d.shape.readonly || !map_touched(m))
        return;
    rc = disk_flush(m->file);
    if (rc == 0)
        rc = cut_end(v);
    if (rc < 0 || !v->logging)
        return;
    v->h.log_guid = (struct vhdx_guid){{0}};
    rc = vhdx_put_header(v);
    if (rc == 0)
        rc = disk_flush(m->file);
    if (rc == 0)
        (void)!vhdx_put_header(v); /* either header is right */
}

static const struct map_ops vhdx_map_ops = {
    .name = "vhdx",
    .find = vhdx_find,
    .reserve = vhdx_reserve,
    .assign = vhdx_assign,
    .cancel = vhdx_cancel,
    .clear = vhdx_clear,
    .touch = vhdx_touch,
    .stage = vhdx_stage,
    .journal = vhdx_journal,
    .close = vhdx_close,
};

/* --- opening --- */

static int load(struct vhdx *v, const struct disk_cfg *c, struct loop *l, struct err *e)
{
    int rc = vhdx_load_headers(v, c->path, e);

    if (rc == 0)
        rc = vhdx_log_find(v, c->path, e);
    if (rc < 0)
        return rc;
    rc = vhdx_apply_log(v, l);
    if (rc < 0)
        return err_set(e, -rc, "cannot replay the log of VHDX image '%s': %s", c->path,
                       strerror(-rc));
    return vhdx_load_tables(v, c->path, e);
}

static int make_writable(struct vhdx *v, const struct disk_cfg *c, struct err *e)
{
    int rc = vhdx_scan(v, c->path, e);

    vhdx_guid_new(&v->log_guid);
    v->log_sequence = 1;
    if (rc == 0)
        meta_limit(v->m.meta, le32_get(v->h.log_length) ? vhdx_log_pages(v) : 64);
    return rc;
}

static int vhdx_open(struct disk *file, const struct disk_cfg *c, struct loop *l, struct disk **out,
                     struct err *e)
{
    struct vhdx *v = calloc(1, sizeof(*v));
    int rc;

    if (!v)
        return err_set(e, ENOMEM, "no memory to open VHDX image '%s'", c->path);
    v->m.file = file;
    v->allocated = UINT64_MAX;
    rc = load(v, c, l, e);
    if (rc == 0)
        rc = map_init(&v->m, &vhdx_map_ops, l, e);
    if (rc == 0 && !file->shape.readonly)
        rc = make_writable(v, c, e);
    if (rc == 0 && v->child && !c->no_chain)
        rc = vhdx_open_parent(v, c, l, e);
    if (rc < 0) {
        disk_close(v->m.parent);
        vhdx_unview(v, file);
        map_fini(&v->m);
        free(v);
        return rc;
    }
    *out = &v->m.d;
    return 0;
}

static int vhdx_probe(const uint8_t *head, size_t n, const uint8_t *tail, size_t tn, uint64_t size)
{
    (void)tail, (void)tn, (void)size;
    return n >= 8 && memcmp(head, "vhdxfile", 8) == 0 ? 100 : 0;
}

static int count_block(void *arg, uint64_t index, uint64_t entry)
{
    struct vhdx *v = arg;
    uint64_t ratio = UINT64_C(1) << v->ratio_bits;

    v->allocated += index % (ratio + 1) != ratio && vhdx_present(entry);
    return 0;
}

static void guid_fact(struct facts *f, const char *key, const struct vhdx_guid *g)
{
    char text[VHDX_GUID_TEXT];

    vhdx_guid_text(g, text);
    facts_text(f, key, "%s", text);
}

static void vhdx_facts(struct disk *d, struct facts *f)
{
    static const char *const states[] = {"empty", "to be replayed", "begun and empty"};
    struct vhdx *v = vhdx_of(map_of(d));
    struct vhdx_identifier id;
    char *creator = NULL;

    facts_text(f, "subformat", "%s", v->child ? "differencing" : v->fixed ? "fixed" : "dynamic");
    if (disk_read(v->m.file, 0, &id, sizeof(id)) == 0)
        creator = utf16_text((const uint8_t *)id.creator, ARRAY_SIZE(id.creator), false);
    if (creator)
        facts_text(f, "creator", "%s", creator);
    free(creator);
    facts_number(f, "block-size", vhdx_block(v));
    facts_number(f, "physical-sector-size", v->physical);
    if (v->allocated == UINT64_MAX) {
        v->allocated = 0;
        if (vhdx_each_entry(v, count_block, v) < 0)
            v->allocated = UINT64_MAX;
    }
    facts_number(f, "blocks", v->blocks);
    if (v->allocated != UINT64_MAX)
        facts_number(f, "blocks-allocated", v->allocated);
    facts_text(f, "log", "%s", states[v->log.state]);
    facts_number(f, "log-size", le32_get(v->h.log_length));
    guid_fact(f, "disk-id", &v->disk_id);
    guid_fact(f, "data-write-guid", &v->h.data_write_guid);
    guid_fact(f, "file-write-guid", &v->h.file_write_guid);
    if (v->child)
        vhdx_parent_facts(v, f);
}

const struct format_ops vhdx_format = {
    .name = "vhdx",
    .suffixes = ".vhdx .avhdx",
    .about = "Hyper-V, with a log and differencing images",
    .probe = vhdx_probe,
    .open = vhdx_open,
    .options = vhdx_options,
    .create = vhdx_create,
    .check = vhdx_check,
    .resize = vhdx_resize,
    .facts = vhdx_facts,
};
