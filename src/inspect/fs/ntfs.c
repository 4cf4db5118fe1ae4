/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ntfs.c - NTFS: folders by their indexes, files with runs, compressed ones too.
 *
 * Document: Linux fs/ntfs3/ntfs.h and [MS-XCA] 2.5 (LZNT1). Not modelled: the log, encryption,
 * reparse points (so files of "compact" installations), names outside ASCII.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"
#include "inspect/fs.h"
#include "inspect/fs/extents.h"
#include "inspect/fs/ntfs.h"

enum {
    NTFS_RECORD_MAX = 4096,
    NTFS_ROOT = 5,
    NTFS_LIST = 0x20,
    NTFS_FILE_NAME_DOS = 2,
    NTFS_DATA = 0x80,
    NTFS_INDEX_ROOT = 0x90,
    NTFS_INDEX_ALLOCATION = 0xa0,
    NTFS_BITMAP = 0xb0,
    NTFS_COMPRESSED = 1,
    NTFS_ENCRYPTED = 0x4000,
    NTFS_LIST_MAX = 1 << 20,
    NTFS_INDEX_MAX = 64 << 20,
    NTFS_UNIT_MAX = 1 << 20,
};
#define NTFS_RECORD_OF(ref) ((ref)&UINT64_C(0xffffffffffff))

/* One attribute of a file, with all its runs. */
struct ntfs_attr {
    bool found, resident;
    uint16_t flags;
    uint8_t unit; /* log2 of clusters of a compression unit */
    uint64_t size, initialised;
    struct extents map;
    uint8_t *value; /* resident: a copy */
};

struct ntfs {
    uint32_t cluster, record, index;
    struct extents mft;
    struct ntfs_attr data; /* of the file read last: map.id */
    struct {
        uint8_t *b;
        uint64_t at;
        bool valid;
    } unit; /* of that file, unpacked */
};

static void attr_free(struct ntfs_attr *a)
{
    extents_clear(&a->map);
    free(a->value);
    *a = (struct ntfs_attr){.found = false};
}

static int ntfs_probe(const struct vol *v)
{
    uint8_t b[16];

    return vol_read(v, 0, b, sizeof(b)) == 0 && memcmp(b + 3, "NTFS    ", 8) == 0;
}

/* --- records --- */

/* The last two bytes of each sector are kept elsewhere, and a check stands in their place. */
static int fixup(uint8_t *b, size_t size)
{
    size_t at = le16_at(b + 4), count = le16_at(b + 6);

    if (count != size / 512 + 1 || at + count * 2 > 510)
        return -EIO;
    for (size_t i = 1; i < count; i++) {
        if (memcmp(b + i * 512 - 2, b + at, 2) != 0)
            return -EIO;
        memcpy(b + i * 512 - 2, b + at + i * 2, 2);
    }
    return 0;
}

static int record_read(struct fs *fs, uint64_t no, uint8_t *b)
{
    struct ntfs *x = fs->own;
    ssize_t got;

    if (no > UINT64_C(1) << 40)
        return -EIO;
    got = extents_read(&x->mft, fs->vol, no * x->record, b, x->record);
    if (got < 0)
        return (int)got;
    return memcmp(b, "FILE", 4) == 0 ? fixup(b, x->record) : -EIO;
}

/* Steps through the attributes of a record; *at is 0 before the first. NULL: no more. */
static const uint8_t *attr_next(const struct ntfs *x, const uint8_t *b, size_t *at)
{
    size_t used = (size_t)min_u64(le32_at(b + 24), x->record);
    uint32_t len;

    *at = *at == 0 ? le16_at(b + 20) : *at + le32_at(b + *at + 4);
    if (*at < 42 || *at + 24 > used || le32_at(b + *at) == UINT32_MAX)
        return NULL;
    len = le32_at(b + *at + 4);
    return len >= 24 && len <= used - *at ? b + *at : NULL;
}

static bool attr_is(const uint8_t *a, uint32_t type, bool i30)
{
    static const uint8_t name[8] = {'$', 0, 'I', 0, '3', 0, '0', 0};
    uint16_t at = le16_at(a + 10);

    if (le32_at(a) != type)
        return false;
    if (!i30)
        return a[9] == 0;
    return a[9] == 4 && at + 8u <= le32_at(a + 4) && memcmp(a + at, name, 8) == 0;
}

/* Runs of (length, difference of place), each number with as many bytes as the head says. */
static int attr_runs(const struct ntfs *x, const uint8_t *a, struct extents *map)
{
    size_t len = le32_at(a + 4), at = le16_at(a + 32);
    uint64_t vcn = le64_at(a + 16);
    int64_t lcn = 0;

    if (vcn > UINT64_MAX / x->cluster / 2)
        return -EIO;
    while (at < len && a[at]) {
        unsigned nl = a[at] & 15, no = a[at] >> 4;
        uint64_t count = 0, step = 0;
        int rc;

        if (nl == 0 || nl > 8 || no > 8 || at + 1 + nl + no > len)
            return -EIO;
        memcpy(&count, a + at + 1, nl);
        memcpy(&step, a + at + 1 + nl, no);
        if (no > 0 && no < 8 && (a[at + nl + no] & 0x80))
            step |= ~UINT64_C(0) << (no * 8);
        if (count > UINT64_C(1) << 40 || vcn > UINT64_C(1) << 44)
            return -EIO;
        lcn = (int64_t)((uint64_t)lcn + step);
        if (no > 0 && (lcn < 0 || lcn > INT64_C(1) << 44))
            return -EIO;
        rc = extents_add(map, vcn * x->cluster, count * x->cluster,
                         no ? (uint64_t)lcn * x->cluster : 0, no == 0);
        if (rc < 0)
            return rc;
        vcn += count;
        at += 1 + nl + no;
    }
    return 0;
}

/* Adds one attribute record to what is known of the attribute. */
static int attr_take(const struct ntfs *x, const uint8_t *a, struct ntfs_attr *out)
{
    uint32_t len = le32_at(a + 4);

    out->flags |= le16_at(a + 12);
    if (a[8] == 0) {
        uint32_t n = le32_at(a + 16), at = le16_at(a + 20);

        if (!range_in(at, n, len) || out->found)
            return -EIO;
        out->value = malloc(n + 1);
        if (!out->value)
            return -ENOMEM;
        memcpy(out->value, a + at, n);
        out->size = out->initialised = n;
        out->found = out->resident = true;
        return 0;
    }
    if (len < 64 || out->resident)
        return -EIO;
    if (le64_at(a + 16) == 0) {
        out->size = le64_at(a + 48);
        out->initialised = min_u64(le64_at(a + 56), out->size);
        out->unit = a[34];
    }
    out->found = true;
    return attr_runs(x, a, &out->map);
}

/* All attributes of the kind that lie in one record. */
static int attr_from(const struct ntfs *x, const uint8_t *b, uint32_t type, bool i30,
                     struct ntfs_attr *out)
{
    const uint8_t *a;
    size_t at = 0;
    int rc = 0;

    while (rc == 0 && (a = attr_next(x, b, &at)) != NULL) {
        if (attr_is(a, type, i30))
            rc = attr_take(x, a, out);
    }
    return rc;
}

static int attr_value(struct fs *fs, const struct ntfs_attr *a, size_t max, uint8_t **out,
                      size_t *n)
{
    ssize_t got;

    if (a->size > max)
        return -E2BIG;
    *n = (size_t)a->size;
    *out = malloc(*n + 1);
    if (!*out)
        return -ENOMEM;
    if (a->resident) {
        memcpy(*out, a->value, *n);
        return 0;
    }
    got = extents_read(&a->map, fs->vol, 0, *out, *n);
    if (got < 0) {
        free(*out);
        *out = NULL;
    }
    return got < 0 ? (int)got : 0;
}

/* Follows the attribute list to the other records that hold the attribute. */
static int attr_listed(struct fs *fs, uint64_t no, const struct ntfs_attr *list, uint32_t type,
                       bool i30, struct ntfs_attr *out)
{
    struct ntfs *x = fs->own;
    uint8_t b[NTFS_RECORD_MAX], *v;
    uint64_t last = no;
    size_t n, at = 0;
    int rc = attr_value(fs, list, NTFS_LIST_MAX, &v, &n);

    if (rc < 0)
        return rc;
    while (rc == 0 && at + 26 <= n) {
        size_t len = le16_at(v + at + 4);
        uint64_t ref = NTFS_RECORD_OF(le64_at(v + at + 16));

        if (len < 26 || len > n - at) {
            rc = -EIO;
        } else if (le32_at(v + at) == type && ref != no && ref != last) {
            last = ref;
            rc = record_read(fs, ref, b);
            if (rc == 0)
                rc = attr_from(x, b, type, i30, out);
        }
        at += len;
    }
    free(v);
    return rc;
}

static int attr_load(struct fs *fs, uint64_t no, uint32_t type, bool i30, struct ntfs_attr *out)
{
    struct ntfs *x = fs->own;
    struct ntfs_attr list = {.found = false};
    uint8_t b[NTFS_RECORD_MAX];
    int rc = record_read(fs, no, b);

    *out = (struct ntfs_attr){.found = false};
    if (rc == 0)
        rc = attr_from(x, b, type, i30, out);
    if (rc == 0)
        rc = attr_from(x, b, NTFS_LIST, false, &list);
    if (rc == 0 && list.found)
        rc = attr_listed(fs, no, &list, type, i30, out);
    attr_free(&list);
    extents_sort(&out->map);
    if (rc == 0 && !out->found)
        rc = -ENOENT;
    if (rc < 0)
        attr_free(out);
    return rc;
}

/* --- opening --- */

/* Record 0 tells where all records are, and where the rest of what it tells is. */
static int mft_load(struct fs *fs, uint64_t off)
{
    struct ntfs *x = fs->own;
    struct ntfs_attr data = {.found = false};
    uint8_t b[NTFS_RECORD_MAX];
    int rc = vol_read(fs->vol, off, b, x->record);

    if (rc == 0)
        rc = memcmp(b, "FILE", 4) == 0 ? fixup(b, x->record) : -EIO;
    if (rc == 0)
        rc = attr_from(x, b, NTFS_DATA, false, &data);
    if (rc == 0 && !data.found)
        rc = -EIO;
    x->mft = data.map;
    data.map = (struct extents){.n = 0};
    attr_free(&data);
    if (rc < 0)
        return rc;
    extents_sort(&x->mft);
    rc = attr_load(fs, 0, NTFS_DATA, false, &data);
    if (rc == 0) {
        extents_clear(&x->mft);
        x->mft = data.map;
        data.map = (struct extents){.n = 0};
        attr_free(&data);
    }
    return rc;
}

static uint32_t ntfs_size(uint8_t v, uint32_t cluster)
{
    if (v & 0x80)
        return v >= 0xe1 ? 1U << (256 - v) : 0;
    return v * cluster;
}

static int ntfs_open(struct fs *fs)
{
    struct ntfs *x = calloc(1, sizeof(*x));
    uint32_t sector;
    uint8_t b[512];
    int rc;

    if (!x)
        return -ENOMEM;
    fs->own = x;
    rc = vol_read(fs->vol, 0, b, sizeof(b));
    if (rc < 0)
        return rc;
    sector = le16_at(b + 11);
    x->cluster = b[13] & 0x80 ? sector << ((256 - b[13]) & 31) : sector * b[13];
    x->record = ntfs_size(b[64], x->cluster);
    x->index = ntfs_size(b[68], x->cluster);
    snprintf(fs->uuid, sizeof(fs->uuid), "%016llX", (unsigned long long)le64_at(b + 72));
    if (!is_pow2(sector) || sector < 512 || sector > 4096 || !is_pow2(x->cluster) ||
        x->cluster < 512 || x->cluster > 2 * MiB || !is_pow2(x->record) || x->record < 512 ||
        x->record > NTFS_RECORD_MAX || le64_at(b + 48) > UINT64_C(1) << 44)
        return -EIO;
    return mft_load(fs, le64_at(b + 48) * x->cluster);
}

static void ntfs_close(struct fs *fs)
{
    struct ntfs *x = fs->own;

    if (!x)
        return;
    extents_clear(&x->mft);
    attr_free(&x->data);
    free(x->unit.b);
    free(x);
}

static int ntfs_root(struct fs *fs, struct fs_node *n)
{
    *n = (struct fs_node){.id = NTFS_ROOT, .kind = FS_DIR};
    return 0;
}

static int ntfs_stat(struct fs *fs, struct fs_node *n)
{
    struct ntfs *x = fs->own;
    uint8_t b[NTFS_RECORD_MAX];
    int rc = record_read(fs, n->id, b);

    if (rc < 0 || !(le16_at(b + 22) & 1))
        return rc < 0 ? rc : -ENOENT;
    if (le16_at(b + 22) & 2) {
        n->kind = FS_DIR;
        return 0;
    }
    n->kind = FS_FILE;
    if (!x->data.map.valid || x->data.map.id != n->id) {
        attr_free(&x->data);
        x->unit.valid = false;
        rc = attr_load(fs, n->id, NTFS_DATA, false, &x->data);
        x->data.map.id = n->id;
        x->data.map.valid = rc == 0;
    }
    if (rc == -ENOENT) /* a device, a link */
        n->kind = FS_OTHER;
    else if (rc == 0)
        n->size = x->data.size;
    return rc == -ENOENT ? 0 : rc;
}

/* --- contents --- */

/* Unpacks the compression unit that begins at byte `at` of the file. */
static int unit_load(struct fs *fs, uint64_t at, size_t size)
{
    struct ntfs *x = fs->own;
    struct extents *map = &x->data.map;
    uint8_t *packed;
    size_t have = 0;
    ssize_t got;

    if (x->unit.valid && x->unit.at == at)
        return 0;
    free(x->unit.b);
    x->unit.valid = false;
    x->unit.b = calloc(1, size);
    packed = malloc(size);
    /* The unit is packed when its last clusters are a hole. */
    for (size_t i = 0; i < map->n; i++) {
        const struct extent_run *r = &map->v[i];

        if (!r->zero && r->at < at + size && r->at + r->len > at)
            have += (size_t)(min_u64(r->at + r->len, at + size) - max_u64(r->at, at));
    }
    got = x->unit.b && packed ? extents_read(map, fs->vol, at, packed, size) : -ENOMEM;
    if (got >= 0 && have >= size)
        memcpy(x->unit.b, packed, size);
    else if (got >= 0 && have > 0)
        got = lznt1_unpack(packed, have, x->unit.b, size);
    free(packed);
    x->unit.at = at;
    x->unit.valid = got >= 0;
    return got < 0 ? (int)got : 0;
}

static ssize_t read_packed(struct fs *fs, uint64_t off, uint8_t *to, size_t len)
{
    struct ntfs *x = fs->own;
    uint64_t size = x->data.unit < 8 ? (uint64_t)x->cluster << x->data.unit : 0;

    if (size == 0 || size > NTFS_UNIT_MAX)
        return -EIO;
    for (size_t done = 0; done < len;) {
        uint64_t at = off + done, in = at % size;
        size_t n = (size_t)min_u64(len - done, size - in);
        int rc = unit_load(fs, at - in, (size_t)size);

        if (rc < 0)
            return rc;
        memcpy(to + done, x->unit.b + in, n);
        done += n;
    }
    return (ssize_t)len;
}

static ssize_t ntfs_read(struct fs *fs, const struct fs_node *n, uint64_t off, void *buf,
                         size_t len)
{
    struct ntfs *x = fs->own;
    struct fs_node again = *n;
    int rc = ntfs_stat(fs, &again);
    size_t real;
    ssize_t got;

    if (rc < 0 || again.kind != FS_FILE || off >= x->data.size)
        return rc;
    if (x->data.flags & NTFS_ENCRYPTED)
        return -ENOTSUP;
    len = (size_t)min_u64(len, x->data.size - off);
    if (x->data.resident) {
        memcpy(buf, x->data.value + off, len);
        return (ssize_t)len;
    }
    /* What was never written reads as zeroes, whatever lies there. */
    real = off < x->data.initialised ? (size_t)min_u64(len, x->data.initialised - off) : 0;
    memset((uint8_t *)buf + real, 0, len - real);
    got = (x->data.flags & NTFS_COMPRESSED) ? read_packed(fs, off, buf, real)
                                            : extents_read(&x->data.map, fs->vol, off, buf, real);
    return got < 0 ? got : (ssize_t)len;
}

/* --- folders --- */

static int index_entries(const uint8_t *b, size_t n, fs_entry_fn *fn, void *arg)
{
    for (size_t at = 0; at + 16 <= n;) {
        const uint8_t *e = b + at;
        size_t len = le16_at(e + 8), key = le16_at(e + 10);
        struct fs_node node = {.id = NTFS_RECORD_OF(le64_at(e))};
        char name[FS_NAME_MAX + 1];
        int rc;

        if (len < 16 || len > n - at || (le16_at(e + 12) & 2))
            break;
        at += len;
        if (key < 66 || key > len - 16 || 66u + e[16 + 64] * 2u > key ||
            e[16 + 65] == NTFS_FILE_NAME_DOS || node.id < 16)
            continue;
        for (unsigned i = 0; i < e[16 + 64]; i++) {
            uint16_t c = le16_at(e + 16 + 66 + (size_t)i * 2);

            name[i] = c < 128 ? (char)c : '?';
        }
        name[e[16 + 64]] = '\0';
        rc = fn(arg, name, &node);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int index_head(const uint8_t *b, size_t n, fs_entry_fn *fn, void *arg)
{
    uint32_t from = n >= 16 ? le32_at(b) : 0, to = n >= 16 ? le32_at(b + 4) : 0;

    if (from < 16 || from > to || to > n)
        return -EIO;
    return index_entries(b + from, to - from, fn, arg);
}

static int index_block(struct fs *fs, const struct ntfs_attr *a, uint64_t off, uint32_t size,
                       fs_entry_fn *fn, void *arg)
{
    uint8_t b[65536];
    ssize_t got = extents_read(&a->map, fs->vol, off, b, size);
    int rc = got < 0 ? (int)got : 0;

    if (rc == 0)
        rc = memcmp(b, "INDX", 4) == 0 ? fixup(b, size) : -EIO;
    return rc < 0 ? rc : index_head(b + 24, size - 24, fn, arg);
}

static int index_blocks(struct fs *fs, const struct fs_node *dir, uint32_t size, fs_entry_fn *fn,
                        void *arg)
{
    struct ntfs_attr a, bits;
    uint8_t *used = NULL;
    size_t n = 0;
    int rc = attr_load(fs, dir->id, NTFS_INDEX_ALLOCATION, true, &a);

    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;
    rc = attr_load(fs, dir->id, NTFS_BITMAP, true, &bits);
    if (rc == 0) {
        rc = attr_value(fs, &bits, NTFS_INDEX_MAX / 8, &used, &n);
        attr_free(&bits);
    }
    for (uint64_t i = 0; rc == 0 && (i + 1) * size <= min_u64(a.size, NTFS_INDEX_MAX); i++) {
        if (i / 8 < n && (used[i / 8] >> (i % 8) & 1))
            rc = index_block(fs, &a, i * size, size, fn, arg);
    }
    free(used);
    attr_free(&a);
    return rc;
}

static int ntfs_list(struct fs *fs, const struct fs_node *dir, fs_entry_fn *fn, void *arg)
{
    struct ntfs_attr root;
    uint32_t size;
    int rc = attr_load(fs, dir->id, NTFS_INDEX_ROOT, true, &root);

    if (rc < 0)
        return rc;
    if (!root.resident || root.size < 32) {
        attr_free(&root);
        return -EIO;
    }
    size = le32_at(root.value + 8);
    rc = index_head(root.value + 16, (size_t)root.size - 16, fn, arg);
    if (rc == 0 && (root.value[28] & 1)) {
        if (is_pow2(size) && size >= 512 && size <= 65536)
            rc = index_blocks(fs, dir, size, fn, arg);
        else
            rc = -EIO;
    }
    attr_free(&root);
    return rc;
}

const struct fs_ops fs_ntfs = {
    .name = "ntfs",
    .any_case = true,
    .probe = ntfs_probe,
    .open = ntfs_open,
    .close = ntfs_close,
    .root = ntfs_root,
    .stat = ntfs_stat,
    .list = ntfs_list,
    .read = ntfs_read,
};
