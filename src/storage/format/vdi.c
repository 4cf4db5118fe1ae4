/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vdi.c - VirtualBox disk images: dynamic, static and differencing.
 *
 * Layout: header | block map | data blocks. The map holds the index of each block's data. The
 * header's count of blocks in use is written for others and never believed: after a power cut it
 * may be behind the map, and giving out a block by it would give the same block twice. Others do
 * that, so the blocks in use are kept dense: a block that was given out keeps its place, and what
 * is trimmed becomes a hole in the host file.
 *
 * A differencing image names its parent by UUID only, as VirtualBox keeps the paths elsewhere; so
 * such an image is opened with no parent, and refused, unless the parent lies beside it: the only
 * other image in its directory with that UUID.
 *
 * Not modelled: undo images, block_extra in new images (it is honoured in old ones).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "abi/vdi.h"
#include "core/cfg.h"
#include "core/err.h"
#include "core/ids.h"
#include "storage/file.h"
#include "storage/format/format.h"
#include "storage/image.h"
#include "storage/map.h"

enum {
    VDI_BLOCK = 1 << 20,
    VDI_BLOCK_MAX = 1 << 28,
    VDI_MAP_MAX = 64 << 20, /* bytes of map: 16 TiB with the usual blocks */
    VDI_ALIGN = 1 << 20
};

struct vdi {
    struct map m;
    struct vdi_header h;
    uint32_t blocks, extra, type;
    uint64_t map_off, data_off;
    uint32_t allocated; /* entries of the map at opening */
    uint32_t top;       /* one past the highest index in use */
};

static struct vdi *vdi_of(struct map *m)
{
    return container_of(m, struct vdi, m);
}

/* --- the map --- */

static int get_entry(struct vdi *v, uint64_t block, bool wait, uint32_t *out)
{
    uint8_t *p;
    int rc = meta_get(&v->m, v->m.file, v->map_off + block * 4, wait, &p);

    if (rc == 0)
        *out = le32_at(p);
    return rc;
}

static int set_entry(struct vdi *v, uint64_t block, uint32_t index)
{
    uint8_t *p;
    int rc = meta_change(&v->m, v->m.file, v->map_off + block * 4, 4, 1, &p);

    if (rc == 0)
        le32_put(p, index);
    return rc;
}

static uint64_t stride(const struct vdi *v)
{
    return v->m.cluster + v->extra;
}

static enum piece_kind kind_of(uint32_t entry)
{
    return entry == VDI_UNALLOCATED ? PIECE_PARENT
           : entry == VDI_DISCARDED ? PIECE_ZERO
                                    : PIECE_DATA;
}

static int vdi_find(struct map *m, uint64_t off, uint64_t len, bool wait, struct piece *x)
{
    struct vdi *v = vdi_of(m);
    uint64_t block = off / m->cluster, last = (off + len - 1) / m->cluster;
    uint32_t entry = VDI_UNALLOCATED, next = VDI_UNALLOCATED;
    int rc = get_entry(v, block, wait, &entry);

    if (rc < 0)
        return rc;
    x->kind = kind_of(entry);
    x->file = m->file;
    x->at = v->data_off + entry * stride(v) + v->extra + off % m->cluster;
    while (block < last) {
        rc = get_entry(v, block + 1, wait, &next);
        if (rc == -EAGAIN)
            break;
        if (rc < 0)
            return rc;
        if (kind_of(next) != x->kind || (x->kind == PIECE_DATA && (v->extra || next != entry + 1)))
            break;
        entry = next;
        block++;
    }
    x->len = min_u64(len, (block + 1) * m->cluster - off);
    return 0;
}

static int vdi_reserve(struct map *m, uint64_t off, uint64_t len, struct piece *x)
{
    struct vdi *v = vdi_of(m);
    uint64_t index;
    int rc = map_alloc(m, stride(v), 1, x);

    if (rc < 0)
        return rc;
    index = (x->at - v->data_off) / stride(v);
    if (index >= VDI_DISCARDED) {
        map_unalloc(m, x->at, stride(v));
        return -EFBIG;
    }
    (void)off;
    x->at += v->extra;
    x->len = min_u64(len, m->cluster);
    return 0;
}

static void vdi_cancel(struct map *m, const struct piece *x)
{
    struct vdi *v = vdi_of(m);

    map_unalloc(m, x->at - v->extra, stride(v));
}

static int vdi_assign(struct map *m, const struct piece *x)
{
    struct vdi *v = vdi_of(m);
    uint64_t index = (x->at - v->extra - v->data_off) / stride(v);

    v->top = (uint32_t)max_u64(v->top, index + 1);
    return set_entry(v, x->off / m->cluster, (uint32_t)index);
}

/* The count goes out in the phase before the map: too high is harmless to others. */
static int vdi_stage(struct map *m)
{
    struct vdi *v = vdi_of(m);

    v->h.blocks_allocated = le32_of(v->top);
    return map_stage(m, 0, m->file, offsetof(struct vdi_header, blocks_allocated),
                     &v->h.blocks_allocated, sizeof(v->h.blocks_allocated));
}

static const struct map_ops vdi_map_ops = {
    .name = "vdi",
    .find = vdi_find,
    .reserve = vdi_reserve,
    .assign = vdi_assign,
    .cancel = vdi_cancel,
    .stage = vdi_stage,
};

/* --- opening --- */

static int bad(const char *path, const char *what, struct err *e)
{
    return err_set(e, EINVAL, "'%s' is a damaged VDI image: %s; 'hospes image check' says more",
                   path, what);
}

static int load_header(struct vdi *v, const char *path, struct err *e)
{
    struct vdi_header *h = &v->h;
    uint64_t size = disk_bytes(v->m.file), block;

    if (disk_read(v->m.file, 0, h, sizeof(*h)) < 0)
        return err_set(e, EIO, "cannot read VDI image '%s'", path);
    if (le32_get(h->signature) != VDI_SIGNATURE || le32_get(h->version) != VDI_VERSION)
        return bad(path, "its header is not that of a version that exists", e);
    block = le32_get(h->block_size);
    v->type = le32_get(h->image_type);
    v->blocks = le32_get(h->blocks_in_image);
    v->extra = le32_get(h->block_extra);
    v->map_off = le32_get(h->offset_bmap);
    v->data_off = le32_get(h->offset_data);
    v->m.cluster = v->m.grain = block;
    if (!is_pow2(block) || block < 4096 || block > VDI_BLOCK_MAX || v->extra > block ||
        v->extra % DISK_SECTOR || le32_get(h->sector_size) != DISK_SECTOR)
        return bad(path, "its header has impossible values", e);
    if ((uint64_t)v->blocks * 4 > VDI_MAP_MAX || v->map_off % DISK_SECTOR ||
        v->data_off % DISK_SECTOR || v->map_off < sizeof(*h) ||
        !range_in(v->map_off, (uint64_t)v->blocks * 4, size) ||
        v->data_off < v->map_off + (uint64_t)v->blocks * 4)
        return bad(path, "its block map does not fit", e);
    if (le64_get(h->disk_size) > (uint64_t)v->blocks * block)
        return bad(path, "its block map is too short for its size", e);
    v->m.d.shape = (struct disk_shape){
        .bytes = align_down(le64_get(h->disk_size), DISK_SECTOR),
        .logical = DISK_SECTOR,
        .physical = 4096,
        .readonly = v->m.file->shape.readonly,
        .trims = true,
    };
    return 0;
}

/* Blocks below the highest one that no entry names, as a power cut leaves them, are given out
 * first. */
static int fill_pool(struct vdi *v, const uint8_t *used)
{
    pthread_mutex_lock(&v->m.lock);
    for (uint32_t i = 0; i < v->top; i++) {
        if (!(used[i / 8] >> i % 8 & 1))
            map_unalloc(&v->m, v->data_off + i * stride(v), stride(v));
    }
    pthread_mutex_unlock(&v->m.lock);
    return 0;
}

/* How far the blocks in use go; none may lie further than the file could hold. */
static int scan_map(struct vdi *v, const char *path, uint8_t **used, struct err *e)
{
    uint64_t size = disk_bytes(v->m.file);
    uint64_t most = (size - min_u64(size, v->data_off)) / stride(v) + 2;
    uint8_t buf[4096];

    *used = calloc(1, min_u64(most, VDI_MAP_MAX * UINT64_C(2)) / 8 + 1);
    if (!*used)
        return err_set(e, ENOMEM, "no memory to open VDI image '%s'", path);
    for (uint32_t i = 0; i < v->blocks; i++) {
        uint32_t at = i % (sizeof(buf) / 4) * 4, index;

        if (at == 0 && disk_read(v->m.file, v->map_off + (uint64_t)i * 4, buf,
                                 min_u64(sizeof(buf), (v->blocks - i) * UINT64_C(4))) < 0)
            return err_set(e, EIO, "cannot read the block map of '%s'", path);
        index = le32_at(buf + at);
        if (kind_of(index) != PIECE_DATA)
            continue;
        v->allocated++;
        if (index < most && index < VDI_MAP_MAX * UINT64_C(2)) {
            (*used)[index / 8] |= (uint8_t)(1u << index % 8);
            v->top = (uint32_t)max_u64(v->top, index + UINT64_C(1));
        } else if (!v->m.d.shape.readonly) {
            return bad(path, "its block map points past the end of the file", e);
        }
    }
    v->m.end = v->data_off + v->top * stride(v);
    v->m.virgin = max_u64(size, v->m.end);
    return 0;
}

static bool no_uuid(const uint8_t *u)
{
    static const uint8_t none[16];

    return memcmp(u, none, 16) == 0;
}

static bool is_parent(struct disk *file, const void *uuid)
{
    struct vdi_header h;

    return disk_read(file, 0, &h, sizeof(h)) == 0 && le32_get(h.signature) == VDI_SIGNATURE &&
           memcmp(h.uuid_image, uuid, 16) == 0;
}

static int open_parent(struct vdi *v, const struct disk_cfg *c, struct loop *l, struct err *e)
{
    char name[CHAIN_NAME];

    if (chain_beside(c, vdi_format.suffixes, is_parent, v->h.uuid_link, name) == 0)
        return chain_open(c, name, "vdi", l, &v->m.parent, e);
    return err_set(
        e, ENOENT,
        "VDI image '%s' is a child, and no .vdi file beside it is its parent; put the "
        "parent into the same directory, or, if it is in the one above and you trust the "
        "image, use --outside, or run --trust",
        c->path);
}

static int vdi_open(struct disk *file, const struct disk_cfg *c, struct loop *l, struct disk **out,
                    struct err *e)
{
    struct vdi *v = calloc(1, sizeof(*v));
    uint8_t *used = NULL;
    int rc;

    if (!v)
        return err_set(e, ENOMEM, "no memory to open VDI image '%s'", c->path);
    v->m.file = file;
    rc = load_header(v, c->path, e);
    if (rc == 0)
        rc = scan_map(v, c->path, &used, e);
    if (rc == 0 && v->type == VDI_TYPE_UNDO)
        rc = err_set(e, EINVAL, "VDI image '%s' is an undo image, which is not supported", c->path);
    if (rc == 0 && !c->no_chain && (v->type == VDI_TYPE_DIFF || !no_uuid(v->h.uuid_link)))
        rc = open_parent(v, c, l, e);
    if (rc == 0)
        rc = map_init(&v->m, &vdi_map_ops, l, e);
    if (rc == 0)
        rc = fill_pool(v, used);
    free(used);
    if (rc < 0) {
        disk_close(v->m.parent);
        free(v);
        return rc;
    }
    *out = &v->m.d;
    return 0;
}

static int vdi_probe(const uint8_t *head, size_t n, const uint8_t *tail, size_t tn, uint64_t size)
{
    (void)tail, (void)tn, (void)size;
    return n >= 72 && le32_at(head + 64) == VDI_SIGNATURE ? 90 : 0;
}

static void uuid_fact(struct facts *f, const char *key, const uint8_t *u)
{
    if (!no_uuid(u))
        facts_text(f, key, GUID_FMT, GUID_ARGS(u));
}

static void vdi_facts(struct disk *d, struct facts *f)
{
    static const char *const kinds[] = {"?", "dynamic", "static", "undo", "differencing"};
    struct vdi *v = vdi_of(map_of(d));

    facts_text(f, "subformat", "%s", kinds[v->type <= VDI_TYPE_DIFF ? v->type : 0]);
    facts_text(f, "producer", "%.63s", v->h.text);
    facts_number(f, "block-size", v->m.cluster);
    facts_number(f, "blocks", v->blocks);
    facts_number(f, "blocks-allocated", v->allocated);
    uuid_fact(f, "uuid", v->h.uuid_image);
    uuid_fact(f, "parent-uuid", v->h.uuid_link);
}

/* --- making --- */

static const struct format_option vdi_options[] = {
    {"subformat", "dynamic (default) or static"},
    {"static", "on: the same as subformat=static"},
    {"block_size", "bytes of a block, default 1M"},
    {NULL, NULL},
};

static int write_map(struct disk *file, uint64_t at, uint32_t blocks, bool all)
{
    uint8_t buf[4096];
    int rc = 0;

    for (uint32_t i = 0; i < blocks && rc == 0;) {
        uint32_t n = (uint32_t)min_u64(blocks - i, sizeof(buf) / 4);

        for (uint32_t k = 0; k < n; k++)
            le32_put(buf + (size_t)k * 4, all ? i + k : VDI_UNALLOCATED);
        rc = disk_write(file, at + (uint64_t)i * 4, buf, (size_t)n * 4);
        i += n;
    }
    return rc;
}

static int usage(const char *what, struct err *e)
{
    return err_exit(e, EX_USAGE_, EINVAL, "a VDI image cannot be made like that: %s", what);
}

static void new_header(struct vdi_header *h, const struct image_make *k, uint64_t block, bool fixed)
{
    uint64_t blocks = (k->bytes + block - 1) / block;

    *h = (struct vdi_header){
        .signature = le32_of(VDI_SIGNATURE),
        .version = le32_of(VDI_VERSION),
        .header_size = le32_of(0x190),
        .image_type = le32_of(k->parent ? VDI_TYPE_DIFF
                              : fixed   ? VDI_TYPE_STATIC
                                        : VDI_TYPE_DYNAMIC),
        .offset_bmap = le32_of(sizeof(*h)),
        .offset_data = le32_of((uint32_t)align_up(sizeof(*h) + blocks * 4, VDI_ALIGN)),
        .sector_size = le32_of(DISK_SECTOR),
        .disk_size = le64_of(k->bytes),
        .block_size = le32_of((uint32_t)block),
        .blocks_in_image = le32_of((uint32_t)blocks),
        .blocks_allocated = le32_of(fixed ? (uint32_t)blocks : 0),
    };
    memcpy(h->text, "<<< hospes disk image >>>\n", 26);
    (void)!getrandom(h->uuid_image, 16, 0);
    (void)!getrandom(h->uuid_last_snap, 16, 0);
    if (k->parent) {
        struct vdi *p = vdi_of(map_of(k->parent));

        memcpy(h->uuid_link, p->h.uuid_image, 16);
        memcpy(h->uuid_parent, p->h.uuid_last_snap, 16);
    }
}

static int vdi_create(struct disk *file, const struct image_make *k, struct err *e)
{
    const char *sub = cfg_get(k->opts, "subformat"), *on = cfg_get(k->opts, "static");
    bool fixed = (sub && !strcmp(sub, "static")) || (on && (!*on || !strcmp(on, "on")));
    uint64_t block = VDI_BLOCK, blocks;
    struct vdi_header h;
    int rc;

    if (cfg_size(k->opts, "block_size", &block, e) < 0)
        return -e->code;
    if (sub && strcmp(sub, "dynamic") != 0 && strcmp(sub, "static") != 0)
        return usage("subformat is dynamic or static", e);
    if (!is_pow2(block) || block < MiB || block > VDI_BLOCK_MAX)
        return usage("block_size is a power of two from 1M to 256M", e);
    if (k->parent && (fixed || k->parent->format != &vdi_format))
        return usage("a child is dynamic, and its parent is a VDI image", e);
    blocks = (k->bytes + block - 1) / block;
    if (k->bytes == 0 || k->bytes % DISK_SECTOR || blocks * 4 > VDI_MAP_MAX)
        return usage("the size must be whole sectors, and at most 16M blocks", e);
    new_header(&h, k, block, fixed);
    rc = write_map(file, sizeof(h), (uint32_t)blocks, fixed);
    if (rc == 0 && le32_get(h.offset_data) > 0)
        rc = file_resize(file, le32_get(h.offset_data) + (fixed ? blocks * block : 0));
    if (rc == 0)
        rc = disk_write(file, 0, &h, sizeof(h));
    if (rc == 0)
        rc = disk_flush(file);
    return rc < 0 ? err_set(e, -rc, "cannot write VDI image '%s': %s", k->path, strerror(-rc)) : 0;
}

/* The map grows into the space before the data; when there is none left the size cannot grow. */
static int vdi_resize(struct disk *d, uint64_t bytes, struct err *e)
{
    struct vdi *v = vdi_of(map_of(d));
    uint64_t blocks = (bytes + v->m.cluster - 1) / v->m.cluster, old = d->shape.bytes;
    int rc = 0;

    if (bytes == 0 || bytes % DISK_SECTOR)
        return usage("the size must be whole sectors", e);
    if (v->map_off + blocks * 4 > v->data_off || v->type == VDI_TYPE_STATIC)
        return err_exit(e, EX_USAGE_, ENOSPC,
                        "this VDI image has no room for a longer map; convert it to a new one");
    if (bytes < old)
        return err_exit(e, EX_USAGE_, ENOTSUP,
                        "a VDI image grows only; convert it to a smaller one after its file system "
                        "has been made smaller");
    rc = map_flush(&v->m);
    pthread_mutex_lock(&v->m.lock);
    for (uint64_t i = v->blocks; i < blocks && rc == 0; i++)
        rc = set_entry(v, i, VDI_UNALLOCATED);
    pthread_mutex_unlock(&v->m.lock);
    if (rc == 0)
        rc = map_flush(&v->m);
    v->h.disk_size = le64_of(bytes);
    v->h.blocks_in_image = le32_of((uint32_t)blocks);
    if (rc == 0) /* one sector: all of it or nothing */
        rc = disk_write(v->m.file, 0, &v->h, sizeof(v->h));
    if (rc == 0)
        rc = disk_flush(v->m.file);
    if (rc < 0)
        return err_set(e, -rc, "cannot resize the VDI image: %s", strerror(-rc));
    v->blocks = (uint32_t)blocks;
    d->shape.bytes = bytes;
    return 0;
}

/* --- checking --- */

static int by_index(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* Gives block number `block` a copy of the data of index `from`, at the end. */
static int copy_block(struct vdi *v, uint32_t block, uint32_t from, uint32_t to)
{
    enum { CHUNK = 64 * 1024 };
    uint8_t *buf = malloc(CHUNK), entry[4];
    int rc = buf ? 0 : -ENOMEM;

    for (uint64_t i = 0; i < stride(v) && rc == 0; i += CHUNK) {
        size_t n = min_u64(CHUNK, stride(v) - i);

        rc = disk_read(v->m.file, v->data_off + from * stride(v) + i, buf, n);
        if (rc == 0)
            rc = disk_write(v->m.file, v->data_off + to * stride(v) + i, buf, n);
    }
    free(buf);
    if (rc == 0)
        rc = disk_flush(v->m.file);
    le32_put(entry, to);
    return rc == 0 ? disk_write(v->m.file, v->map_off + (uint64_t)block * 4, entry, 4) : rc;
}

struct vdi_uses {
    uint64_t *v; /* index above block number, sorted */
    uint32_t n;
    uint64_t top;    /* one past the highest index */
    uint64_t copied; /* bytes that blocks in the same place have cost */
};

static int collect(struct vdi *v, bool repair, struct image_report *rep, struct vdi_uses *u)
{
    uint64_t size = disk_bytes(v->m.file);
    uint8_t buf[4096];
    int rc = 0;

    for (uint32_t i = 0; i < v->blocks && rc == 0; i++) {
        uint32_t at = i % (sizeof(buf) / 4) * 4, index;
        uint8_t w[4];

        if (at == 0)
            rc = disk_read(v->m.file, v->map_off + (uint64_t)i * 4, buf,
                           min_u64(sizeof(buf), (v->blocks - i) * UINT64_C(4)));
        index = le32_at(buf + at);
        if (rc < 0 || kind_of(index) != PIECE_DATA)
            continue;
        if (v->data_off + index * stride(v) >= size) {
            report(rep, FINDING_ERROR, repair, "block %u lies past the end of the file", i);
            le32_put(w, VDI_UNALLOCATED);
            rc = repair ? disk_write(v->m.file, v->map_off + (uint64_t)i * 4, w, 4) : 0;
            continue;
        }
        u->v[u->n++] = (uint64_t)index << 32 | i;
        u->top = max_u64(u->top, (uint64_t)index + 1);
    }
    qsort(u->v, u->n, sizeof(*u->v), by_index);
    return rc;
}

/* Every block a place of its own. u->v is sorted by place. */
static int check_shared(struct vdi *v, bool repair, struct image_report *rep, struct vdi_uses *u)
{
    uint64_t place = 0;
    int rc = 0;

    for (uint32_t i = 0; i < u->n && rc == 0; i++) {
        bool shared = i > 0 && u->v[i] >> 32 == place;
        bool can = u->copied + stride(v) <= max_u64(disk_bytes(v->m.file), GiB);

        place = u->v[i] >> 32;
        if (!shared)
            continue;
        report(rep, FINDING_ERROR, repair && can, "block %u shares its data with block %u",
               (uint32_t)u->v[i], (uint32_t)u->v[i - 1]);
        if (!repair || !can)
            continue;
        u->copied += stride(v);
        rc = copy_block(v, (uint32_t)u->v[i], (uint32_t)place, (uint32_t)u->top);
        u->v[i] = u->top++ << 32 | (uint32_t)u->v[i];
    }
    qsort(u->v, u->n, sizeof(*u->v), by_index);
    return rc;
}

/* Places that nothing uses are filled with the last blocks. */
static int check_dense(struct vdi *v, bool repair, struct image_report *rep, struct vdi_uses *u)
{
    uint32_t last = u->n, i = 0;
    uint64_t place = 0;
    int rc = 0;

    if (u->top <= u->n)
        return 0;
    report(rep, FINDING_LEAK, repair, "%llu places between blocks are not used",
           (unsigned long long)(u->top - u->n));
    if (!repair)
        return 0;
    for (; place < u->n && rc == 0; place++) {
        if (i < last && u->v[i] >> 32 == place) {
            i++;
            continue;
        }
        last--;
        rc = copy_block(v, (uint32_t)u->v[last], (uint32_t)(u->v[last] >> 32), (uint32_t)place);
    }
    u->top = u->n;
    return rc;
}

static int check_end(struct vdi *v, bool repair, struct image_report *rep, uint64_t top)
{
    uint64_t end = v->data_off + top * stride(v), size = disk_bytes(v->m.file);
    int rc = 0;

    if (size > end) {
        report(rep, FINDING_LEAK, repair, "%llu bytes at the end are not used",
               (unsigned long long)(size - end));
        if (repair)
            rc = disk_flush(v->m.file);
        if (repair && rc == 0)
            rc = file_resize(v->m.file, end);
    }
    rep->image_end = end;
    if (rc < 0 || le32_get(v->h.blocks_allocated) == top)
        return rc;
    report(rep, FINDING_LEAK, repair, "the header counts %u blocks, the map has %llu",
           le32_get(v->h.blocks_allocated), (unsigned long long)top);
    v->h.blocks_allocated = le32_of((uint32_t)top);
    return repair ? disk_write(v->m.file, 0, &v->h, sizeof(v->h)) : 0;
}

static int vdi_check(struct disk *file, const struct disk_cfg *c, bool repair,
                     struct image_report *rep, struct err *e)
{
    struct vdi v = {.m.file = file};
    struct vdi_uses u = {0};
    struct err why;
    int rc;

    if (load_header(&v, c->path, &why) < 0) {
        report(rep, FINDING_ERROR, false, "%s", why.msg);
        return 0;
    }
    u.v = calloc(v.blocks ? v.blocks : 1, sizeof(*u.v));
    rc = u.v ? collect(&v, repair, rep, &u) : -ENOMEM;
    if (rc == 0)
        rc = check_shared(&v, repair, rep, &u);
    if (rc == 0)
        rc = check_dense(&v, repair, rep, &u);
    if (rc == 0)
        rc = check_end(&v, repair, rep, u.top);
    if (rc == 0 && repair)
        rc = disk_flush(file);
    rep->clusters = v.blocks;
    rep->allocated = u.n;
    free(u.v);
    return rc < 0 ? err_set(e, -rc, "cannot check '%s': %s", c->path, strerror(-rc)) : 0;
}

const struct format_ops vdi_format = {
    .name = "vdi",
    .suffixes = ".vdi",
    .about = "VirtualBox",
    .probe = vdi_probe,
    .open = vdi_open,
    .options = vdi_options,
    .create = vdi_create,
    .check = vdi_check,
    .resize = vdi_resize,
    .facts = vdi_facts,
};
