/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhd.c - VHD images: fixed, dynamic and differencing.
 *
 * Document: Virtual Hard Disk Image Format Specification 1.0. A dynamic file is
 *
 *   footer copy | dynamic header | table | block: bitmap, data | block ... | footer
 *
 * The table holds the sector of each block's bitmap. A bit says that the sector is in this file
 * (differencing), or is not zero (dynamic; readers may ignore it there, and this one does, because
 * some writers do not set it; this writer does).
 *
 * New blocks lie at the end, over the old footer; the copy at the start holds until the flush that
 * writes the new one. There is no journal in the format: data and bitmap, sync, table, sync.
 *
 * Not modelled: saved states, XenServer's batmap (kept, never needed, and never made wrong: it only
 * says that a bitmap is full), journal files of XenServer.
 */
#include "storage/format/vhd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "storage/file.h"
#include "storage/format/format.h"
#include "storage/utf.h"

/* --- the footer --- */

uint32_t vhd_checksum(const void *p, size_t n, size_t checksum_at)
{
    const uint8_t *b = p;
    uint32_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += i - checksum_at < 4 ? 0 : b[i];
    return ~sum;
}

bool vhd_footer_valid(const struct vhd_footer *f)
{
    size_t at = offsetof(struct vhd_footer, checksum);

    return !memcmp(f->cookie, "conectix", 8) &&
           be32_get(f->checksum) == vhd_checksum(f, sizeof(*f), at);
}

void vhd_seal_footer(struct vhd_footer *f)
{
    f->checksum = be32_of(vhd_checksum(f, sizeof(*f), offsetof(struct vhd_footer, checksum)));
}

void vhd_seal_dynamic(struct vhd_dynamic *h)
{
    h->checksum = be32_of(vhd_checksum(h, sizeof(*h), offsetof(struct vhd_dynamic, checksum)));
}

int vhd_read_footer(struct disk *file, struct vhd_footer *f, enum vhd_where *where)
{
    uint64_t size = disk_bytes(file);
    int rc = size < sizeof(*f) ? -EINVAL : disk_read(file, size - sizeof(*f), f, sizeof(*f));

    if (rc < 0)
        return rc;
    *where = VHD_AT_END;
    if (vhd_footer_valid(f))
        return 0;
    /* quirk: Virtual PC before 2004 wrote 511 bytes; the last one counts as zero */
    memmove(f, (uint8_t *)f + 1, sizeof(*f) - 1);
    f->reserved[sizeof(f->reserved) - 1] = 0;
    *where = VHD_AT_END_511;
    if (vhd_footer_valid(f))
        return 0;
    rc = disk_read(file, 0, f, sizeof(*f));
    *where = VHD_AT_START;
    if (rc == 0 && (!vhd_footer_valid(f) || be32_get(f->disk_type) == VHD_FIXED))
        rc = -EINVAL;
    return rc;
}

/* quirk: Virtual PC, and QEMU after it, show a guest the bytes of the geometry and not the size
 * field. Everyone else uses the size field. A full geometry (127 GiB) says nothing. */
uint64_t vhd_bytes(const struct vhd_footer *f)
{
    uint64_t chs = (uint64_t)be16_get(f->cylinders) * f->heads * f->sectors_per_track;
    bool by_geometry =
        !memcmp(f->creator_application, "vpc ", 4) || !memcmp(f->creator_application, "qemu", 4);
    uint64_t size = be64_get(f->current_size);

    if (!by_geometry || chs == 0 || chs >= UINT64_C(65535) * 16 * 255 ||
        chs == UINT64_C(65535) * 16 * 63)
        return align_down(size, VHD_SECTOR);
    return chs * VHD_SECTOR;
}

uint32_t vhd_bitmap_bytes(uint32_t block_size)
{
    return (uint32_t)align_up((block_size / VHD_SECTOR + 7) / 8, VHD_SECTOR);
}

/* --- the map --- */

enum { FULL_MAX = 64 << 20 }; /* blocks that are remembered to be full */

static struct vhd *vhd_of(struct map *m)
{
    return container_of(m, struct vhd, m);
}

static int get_entry(struct vhd *v, uint64_t block, bool wait, uint32_t *out)
{
    uint8_t *p;
    int rc = meta_get(&v->m, v->m.file, v->bat_off + block * 4, wait, &p);

    if (rc == 0)
        *out = be32_at(p);
    return rc;
}

static int set_entry(struct vhd *v, uint64_t block, uint32_t sector)
{
    uint8_t *p;
    int rc = meta_change(&v->m, v->m.file, v->bat_off + block * 4, 4, 1, &p);

    if (rc == 0)
        be32_put(p, sector);
    return rc;
}

/* The sectors from `first` to at most `end` of a block whose bits are alike. */
static int bit_run(struct vhd *v, uint64_t bitmap, uint64_t first, uint64_t end, bool wait,
                   bool *set, uint64_t *n)
{
    const uint8_t *p = NULL;
    uint64_t i = first;

    while (i < end) {
        if (!p || i % 4096 == 0) { /* a sector of bitmap covers 4096 sectors of data */
            uint8_t *page;
            int rc = meta_get(&v->m, v->m.file, bitmap + i / 4096 * VHD_SECTOR, wait, &page);

            if (rc < 0)
                return rc;
            p = page;
            if (i == first)
                *set = p[i % 4096 / 8] >> (7 - i % 8) & 1;
        }
        if (i % 8 == 0 && i + 8 <= end && p[i % 4096 / 8] == (*set ? 0xff : 0)) {
            i += 8;
            continue;
        }
        if ((bool)(p[i % 4096 / 8] >> (7 - i % 8) & 1) != *set)
            break;
        i++;
    }
    *n = i - first;
    return 0;
}

static bool known_full(const struct vhd *v, uint64_t block)
{
    return block < v->full_count && v->full[block / 8] >> block % 8 & 1;
}

/* Most blocks are full for good: their bitmaps are looked at once. Only such that lie in one
 * sector, as those of the usual block size do. */
static void remember_full(struct vhd *v, uint64_t block, uint64_t bitmap)
{
    size_t n = v->m.cluster / VHD_SECTOR / 8;
    uint8_t *p;

    if (block >= v->full_count || v->bitmap_bytes != VHD_SECTOR ||
        meta_get(&v->m, v->m.file, bitmap, false, &p) < 0)
        return;
    if (p[0] == 0xff && memcmp(p, p + 1, n - 1) == 0)
        v->full[block / 8] |= (uint8_t)(1u << block % 8);
}

static int find_block(struct vhd *v, uint32_t entry, bool wait, struct piece *x)
{
    uint64_t bs = v->m.cluster, in = x->off % bs, base = (uint64_t)entry * VHD_SECTOR, n;
    uint64_t len = min_u64(x->len, bs - in), first = in / VHD_SECTOR;
    bool set = false;
    int rc;

    if (known_full(v, x->off / bs)) {
        x->kind = PIECE_DATA;
        x->file = v->m.file;
        x->len = len;
        x->at = base + v->bitmap_bytes + in;
        return 0;
    }
    /* Below the sector size only inside one sector; the disk hands out whole ones. */
    rc = bit_run(v, base, first, (in + len + VHD_SECTOR - 1) / VHD_SECTOR, wait, &set, &n);
    if (rc < 0)
        return rc;
    x->len = min_u64(len, (first + n) * VHD_SECTOR - in);
    x->kind = v->type == VHD_DIFFERENCING && !set ? PIECE_PARENT : PIECE_DATA;
    x->unmarked = !set;
    x->file = v->m.file;
    x->at = base + v->bitmap_bytes + in;
    if (set)
        remember_full(v, x->off / bs, base);
    return 0;
}

static int vhd_find(struct map *m, uint64_t off, uint64_t len, bool wait, struct piece *x)
{
    struct vhd *v = vhd_of(m);
    uint64_t block = off / m->cluster, last = (off + len - 1) / m->cluster;
    uint32_t entry = VHD_UNUSED;
    int rc = 0;

    if (v->type == VHD_FIXED) {
        x->kind = PIECE_DATA;
        x->file = m->file;
        x->at = off;
        return 0;
    }
    rc = get_entry(v, block, wait, &entry);
    if (rc < 0)
        return rc;
    if (entry != VHD_UNUSED)
        return find_block(v, entry, wait, x);
    x->kind = PIECE_PARENT;
    while (block < last) {
        rc = get_entry(v, block + 1, wait, &entry);
        if (rc == -EAGAIN)
            break;
        if (rc < 0)
            return rc;
        if (entry != VHD_UNUSED)
            break;
        block++;
    }
    x->len = min_u64(len, (block + 1) * m->cluster - off);
    return 0;
}

static int vhd_reserve(struct map *m, uint64_t off, uint64_t len, struct piece *x)
{
    struct vhd *v = vhd_of(m);
    uint64_t in = off % m->cluster;
    uint32_t entry = VHD_UNUSED;
    int rc = get_entry(v, off / m->cluster, true, &entry);

    if (rc < 0)
        return rc;
    x->len = min_u64(len, m->cluster - in);
    if (entry != VHD_UNUSED) { /* sectors that the bitmap does not name yet */
        x->at = (uint64_t)entry * VHD_SECTOR + v->bitmap_bytes + in;
        x->fresh = false;
        return 0;
    }
    if (m->pool.n == 0) /* a new one: its data begins a page, or each 4 KiB would be in two */
        m->end = align_up(m->end + v->bitmap_bytes, VHD_PAGE) - v->bitmap_bytes;
    rc = map_alloc(m, v->bitmap_bytes + m->cluster, VHD_SECTOR, x);
    if (rc == 0 && x->at / VHD_SECTOR >= VHD_UNUSED) {
        map_unalloc(m, x->at, v->bitmap_bytes + m->cluster);
        rc = -EFBIG;
    }
    if (rc == 0 && !x->fresh) /* a reused block: a dynamic one reads as zeroes where not written */
        rc = v->type == VHD_DYNAMIC ? disk_zero(m->file, x->at + v->bitmap_bytes, m->cluster, true)
                                    : 0;
    x->at += v->bitmap_bytes + in;
    return rc;
}

static void vhd_cancel(struct map *m, const struct piece *x)
{
    struct vhd *v = vhd_of(m);
    uint64_t base = x->at - x->off % m->cluster - v->bitmap_bytes;
    uint32_t entry = VHD_UNUSED;

    if (get_entry(v, x->off / m->cluster, true, &entry) == 0 && entry == VHD_UNUSED)
        map_unalloc(m, base, v->bitmap_bytes + m->cluster);
}

static int set_bits(struct vhd *v, uint64_t bitmap, uint64_t first, uint64_t n, unsigned phase)
{
    while (n) {
        uint64_t in = first % 4096, some = min_u64(n, 4096 - in);
        uint8_t *p;
        int rc = meta_change(&v->m, v->m.file, bitmap + first / 4096 * VHD_SECTOR, VHD_SECTOR,
                             phase, &p);

        if (rc < 0)
            return rc;
        for (uint64_t i = in; i < in + some; i++)
            p[i / 8] |= (uint8_t)(0x80 >> i % 8);
        first += some;
        n -= some;
    }
    return 0;
}

static int vhd_assign(struct map *m, const struct piece *x)
{
    struct vhd *v = vhd_of(m);
    uint64_t in = x->off % m->cluster, block = x->off / m->cluster;
    uint64_t base = x->at - in - v->bitmap_bytes;
    uint32_t entry = VHD_UNUSED;
    int rc = get_entry(v, block, true, &entry);

    if (rc < 0)
        return rc;
    if (entry != VHD_UNUSED)
        return set_bits(v, base, in / VHD_SECTOR, x->len / VHD_SECTOR, 1);
    v->tail_stale = true;
    rc = meta_new(m, m->file, base, v->bitmap_bytes);
    if (rc == 0 && v->type == VHD_DYNAMIC)
        rc = set_bits(v, base, 0, m->cluster / VHD_SECTOR, 0);
    else if (rc == 0)
        rc = set_bits(v, base, in / VHD_SECTOR, x->len / VHD_SECTOR, 0);
    return rc == 0 ? set_entry(v, block, (uint32_t)(base / VHD_SECTOR)) : rc;
}

static int vhd_clear(struct map *m, uint64_t off, uint64_t len, bool unmap, uint64_t *done)
{
    struct vhd *v = vhd_of(m);
    uint32_t entry = VHD_UNUSED;
    int rc;

    if (v->type != VHD_DYNAMIC)
        return -ENOTSUP;
    *done = m->cluster;
    rc = get_entry(v, off / m->cluster, true, &entry);
    if (rc < 0 || entry == VHD_UNUSED)
        return rc;
    rc = set_entry(v, off / m->cluster, VHD_UNUSED);
    if (off / m->cluster < v->full_count)
        v->full[off / m->cluster / 8] &= (uint8_t) ~(1u << off / m->cluster % 8);
    if (rc == 0) {
        uint64_t base = (uint64_t)entry * VHD_SECTOR;

        meta_forget(m, m->file, base, v->bitmap_bytes);
        map_free(m, base, v->bitmap_bytes + m->cluster);
    }
    return rc;
}

/* The footer moves with the end of the file. */
static int vhd_stage(struct map *m)
{
    struct vhd *v = vhd_of(m);
    int rc;

    if (!v->tail_stale)
        return 0;
    v->tail_stale = false;
    rc = map_stage(m, 0, m->file, m->end, &v->footer, sizeof(v->footer));
    if (rc == 0 && disk_bytes(m->file) > m->end + sizeof(v->footer))
        rc = file_resize(m->file, m->end + sizeof(v->footer));
    return rc;
}

static void vhd_close(struct map *m, bool clean)
{
    free(vhd_of(m)->full);
}

static const struct map_ops vhd_map_ops = {
    .close = vhd_close,
    .name = "vhd",
    .find = vhd_find,
    .reserve = vhd_reserve,
    .assign = vhd_assign,
    .cancel = vhd_cancel,
    .clear = vhd_clear,
    .stage = vhd_stage,
};

/* --- opening --- */

static int bad(const struct disk_cfg *c, const char *what, struct err *e)
{
    return err_set(e, EINVAL, "'%s' is a damaged VHD image: %s; 'hospes image check' says more",
                   c->path, what);
}

static int read_dynamic(struct vhd *v, const struct disk_cfg *c, struct err *e)
{
    uint64_t at = be64_get(v->footer.data_offset), size = disk_bytes(v->m.file);
    struct vhd_dynamic *h = &v->dyn;
    uint32_t bs;

    if (!range_in(at, sizeof(*h), size))
        return bad(c, "its header lies outside the file", e);
    if (disk_read(v->m.file, at, h, sizeof(*h)) < 0)
        return err_set(e, EIO, "cannot read the header of VHD image '%s'", c->path);
    if (memcmp(h->cookie, "cxsparse", 8) != 0 ||
        be32_get(h->checksum) !=
            vhd_checksum(h, sizeof(*h), offsetof(struct vhd_dynamic, checksum)))
        return bad(c, "its header has a wrong checksum", e);
    bs = be32_get(h->block_size);
    if (!is_pow2(bs) || bs < VHD_SECTOR * 8 || bs > VHD_BLOCK_MAX)
        return bad(c, "its block size is impossible", e);
    v->m.cluster = bs;
    v->bitmap_bytes = vhd_bitmap_bytes(bs);
    v->bat_off = be64_get(h->table_offset);
    if (!range_in(v->bat_off, (uint64_t)be32_get(h->max_table_entries) * 4, size) ||
        v->bat_off % VHD_SECTOR || be32_get(h->max_table_entries) > vhd_entries_max(bs))
        return bad(c, "its block table lies outside the file", e);
    return 0;
}

uint64_t vhd_tables_end(struct disk *file, const struct vhd_footer *f, const struct vhd_dynamic *h)
{
    uint64_t end = align_up(
        be64_get(h->table_offset) + be32_get(h->max_table_entries) * UINT64_C(4), VHD_SECTOR);
    uint64_t at = 0;
    uint8_t map[24];

    if (range_in(end, sizeof(map), disk_bytes(file)) &&
        disk_read(file, end, map, sizeof(map)) == 0 && memcmp(map, "tdbatmap", 8) == 0 &&
        !add_overflows(be64_at(map + 8), be32_at(map + 16) * UINT64_C(512), &at) &&
        at <= disk_bytes(file))
        end = max_u64(end + VHD_SECTOR, align_up(at, VHD_SECTOR));
    for (unsigned i = 0; i < 8; i++) {
        const struct vhd_locator *l = &h->locator[i];

        if (be32_get(l->platform_code) &&
            range_in(be64_get(l->platform_data_offset), be32_get(l->platform_data_length),
                     disk_bytes(file)))
            end = max_u64(
                end, align_up(be64_get(l->platform_data_offset) + be32_get(l->platform_data_length),
                              VHD_SECTOR));
    }
    return max_u64(end, be64_get(f->data_offset) + sizeof(*h));
}

/* The end of what is used; the size never ends before the last block in use. */
static int scan_table(struct vhd *v, const struct disk_cfg *c, struct err *e)
{
    uint32_t entries = be32_get(v->dyn.max_table_entries), used = 0, buf[2048];
    uint64_t block = v->bitmap_bytes + v->m.cluster, need;
    uint64_t end = vhd_tables_end(v->m.file, &v->footer, &v->dyn);

    for (uint32_t i = 0; i < entries;) {
        uint32_t n = (uint32_t)min_u64(entries - i, 2048);

        if (disk_read(v->m.file, v->bat_off + (uint64_t)i * 4, buf, n * 4) < 0)
            return err_set(e, EIO, "cannot read the block table of VHD image '%s'", c->path);
        for (uint32_t k = 0; k < n; k++) {
            uint32_t sector = be32_at(&buf[k]);

            if (sector == VHD_UNUSED)
                continue;
            used = i + k + 1;
            end = max_u64(end, (uint64_t)sector * VHD_SECTOR + block);
        }
        i += n;
    }
    v->m.end = end;
    v->m.virgin = max_u64(end, disk_bytes(v->m.file));
    if ((uint64_t)used * v->m.cluster > v->m.d.shape.bytes)
        v->m.d.shape.bytes = min_u64((uint64_t)used * v->m.cluster,
                                     max_u64(v->m.d.shape.bytes, be64_get(v->footer.current_size)));
    need = (v->m.d.shape.bytes + v->m.cluster - 1) / v->m.cluster;
    if (need > entries)
        return bad(c, "its block table is too short for its size", e);
    v->blocks = (uint32_t)need;
    return 0;
}

static int open_dynamic(struct vhd *v, const struct disk_cfg *c, enum vhd_where where,
                        struct loop *l, struct err *e)
{
    int rc = read_dynamic(v, c, e);

    v->m.grain = v->type == VHD_DIFFERENCING ? VHD_SECTOR : v->m.cluster;
    if (rc == 0)
        rc = scan_table(v, c, e);
    v->tail_stale =
        where != VHD_AT_END || disk_bytes(v->m.file) != v->m.end + sizeof(struct vhd_footer);
    if (rc == 0 && v->type == VHD_DIFFERENCING)
        rc = vhd_open_parent(v, c, l, e);
    return rc;
}

static int vhd_open(struct disk *file, const struct disk_cfg *c, struct loop *l, struct disk **out,
                    struct err *e)
{
    struct vhd *v = calloc(1, sizeof(*v));
    enum vhd_where where;
    int rc;

    if (!v)
        return err_set(e, ENOMEM, "no memory to open VHD image '%s'", c->path);
    v->m.file = file;
    rc = vhd_read_footer(file, &v->footer, &where);
    if (rc < 0)
        rc = bad(c, "it has no valid footer", e);
    v->type = be32_get(v->footer.disk_type);
    v->m.d.shape = (struct disk_shape){
        .bytes = vhd_bytes(&v->footer),
        .logical = VHD_SECTOR,
        .physical = 4096,
        .readonly = file->shape.readonly,
        .trims = v->type == VHD_DYNAMIC,
    };
    v->m.cluster = v->m.grain = VHD_SECTOR;
    if (rc == 0 && v->type == VHD_FIXED && vhd_bytes(&v->footer) > disk_bytes(file))
        rc = bad(c, "it is shorter than its footer says", e);
    else if (rc == 0 && (v->type == VHD_DYNAMIC || v->type == VHD_DIFFERENCING))
        rc = open_dynamic(v, c, where, l, e);
    else if (rc == 0 && v->type != VHD_FIXED)
        rc = bad(c, "its type is unknown", e);
    if (rc == 0)
        rc = map_init(&v->m, &vhd_map_ops, l, e);
    if (rc < 0) {
        disk_close(v->m.parent);
        free(v);
        return rc;
    }
    v->full = calloc(1, min_u64(v->blocks, FULL_MAX) / 8 + 1);
    v->full_count = v->full ? (uint32_t)min_u64(v->blocks, FULL_MAX) : 0;
    *out = &v->m.d;
    return 0;
}

static int vhd_probe(const uint8_t *head, size_t n, const uint8_t *tail, size_t tn, uint64_t size)
{
    struct vhd_footer f;

    (void)size;
    if (tn >= 512) {
        memcpy(&f, tail + tn - 512, 512);
        if (vhd_footer_valid(&f))
            return 95;
        memmove(&f, tail + tn - 511, 511);
        f.reserved[sizeof(f.reserved) - 1] = 0;
        if (vhd_footer_valid(&f))
            return 90;
    }
    return n >= 512 && !memcmp(head, "conectix", 8) ? 90 : 0;
}

static void vhd_facts(struct disk *d, struct facts *f)
{
    static const char *const kinds[] = {"?", "?", "fixed", "dynamic", "differencing"};
    struct vhd *v = vhd_of(map_of(d));
    const struct vhd_footer *t = &v->footer;

    facts_text(f, "subformat", "%s", kinds[v->type]);
    facts_text(f, "creator", "%.4s", t->creator_application);
    facts_number(f, "creator-version", be32_get(t->creator_version));
    facts_text(f, "geometry", "%u/%u/%u", be16_get(t->cylinders), t->heads, t->sectors_per_track);
    facts_number(f, "current-size", be64_get(t->current_size));
    facts_number(f, "original-size", be64_get(t->original_size));
    facts_number(f, "created", be32_get(t->time_stamp) + UINT64_C(946684800));
    facts_text(f, "saved-state", "%s", t->saved_state ? "yes" : "no");
    if (v->type == VHD_FIXED)
        return;
    facts_number(f, "block-size", v->m.cluster);
    if (v->type == VHD_DIFFERENCING) {
        char *uni = utf16_path((const uint8_t *)v->dyn.parent_unicode_name, 256, true);

        facts_text(f, "parent", "%s", uni ? uni : "");
        free(uni);
    }
}

const struct format_ops vhd_format = {
    .name = "vhd",
    .suffixes = ".vhd .avhd .vpc",
    .about = "Hyper-V generation 1, Virtual PC, XenServer, Azure",
    .probe = vhd_probe,
    .open = vhd_open,
    .options = vhd_options,
    .create = vhd_create,
    .check = vhd_check,
    .resize = vhd_resize,
    .facts = vhd_facts,
};
