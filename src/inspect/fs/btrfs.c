/* SPDX-License-Identifier: Apache-2.0 */
/*
 * btrfs.c - btrfs on one device, with subvolumes and compressed files.
 *
 * Document: "On-disk Format", btrfs.readthedocs.io, and Linux include/uapi/linux/btrfs_tree.h. Not
 * modelled: several devices beyond mirrors, the log tree, checksums, encryption.
 *
 * A node is (object, subvolume). A path begins at the top level; subvolumes are folders in it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"
#include "inspect/fs.h"
#include "inspect/fs/btrfs.h"

enum {
    BTRFS_SUPER = 65536,
    BTRFS_CHUNKS_MAX = 65536,
    BTRFS_HEAD = 101,
    BTRFS_ITEM = 25,
    BTRFS_POINTER = 33,
    BTRFS_NODE_MAX = 65536,
    BTRFS_EXTENT_MAX = 1 << 20, /* unpacked bytes of one compressed extent; writers make 128 KiB */
    BTRFS_INODE_ITEM = 1,
    BTRFS_DIR_ITEM = 84,
    BTRFS_DIR_INDEX = 96,
    BTRFS_EXTENT_DATA = 108,
    BTRFS_ROOT_ITEM = 132,
    BTRFS_CHUNK_ITEM = 228,
    BTRFS_FS_TREE = 5,
    BTRFS_ROOT_DIR = 6,
    BTRFS_FIRST = 256, /* the root folder of each subvolume */
    BTRFS_CACHE = 24,
};
#define BTRFS_STRIPED UINT64_C(0x1c8) /* RAID0, RAID10, RAID5, RAID6 */

struct btrfs_key {
    uint64_t object;
    uint8_t type;
    uint64_t offset;
};

struct btrfs_chunk {
    uint64_t at, len, off; /* off: on our device */
    bool readable;
};

struct btrfs {
    uint32_t node, sector;
    uint64_t device, root, chunk_root;
    uint8_t root_level, chunk_level;
    struct btrfs_chunk *chunks;
    size_t nchunks, room;
    struct {
        uint64_t at; /* 0: empty */
        uint8_t *b;
    } cache[BTRFS_CACHE];
    unsigned turn;
    /* The subvolume and the extent that were used last. */
    uint64_t tree_id, tree;
    uint8_t tree_level;
    struct {
        uint64_t object, tree, at;
        uint8_t *b;
        size_t len;
        bool valid;
    } extent;
};

static struct btrfs_key key_at(const uint8_t *p)
{
    return (struct btrfs_key){le64_at(p), p[8], le64_at(p + 9)};
}

static int key_order(const struct btrfs_key *a, const struct btrfs_key *b)
{
    if (a->object != b->object)
        return a->object < b->object ? -1 : 1;
    if (a->type != b->type)
        return a->type < b->type ? -1 : 1;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static int btrfs_probe(const struct vol *v)
{
    char magic[8];

    return vol_read(v, BTRFS_SUPER + 0x40, magic, sizeof(magic)) == 0 &&
           memcmp(magic, "_BHRfS_M", 8) == 0;
}

/* --- logical addresses --- */

static int chunk_add(struct btrfs *x, uint64_t at, const uint8_t *item, size_t n)
{
    uint16_t stripes = n >= 48 ? le16_at(item + 44) : 0;
    struct btrfs_chunk c = {.at = at};

    if (stripes == 0 || n < 48 + (size_t)stripes * 32 || x->nchunks == BTRFS_CHUNKS_MAX)
        return -EIO;
    c.len = le64_at(item);
    for (unsigned i = 0; i < stripes && !c.readable; i++) {
        if (le64_at(item + 48 + i * 32) == x->device) {
            c.off = le64_at(item + 48 + i * 32 + 8);
            c.readable = stripes == 1 || !(le64_at(item + 24) & BTRFS_STRIPED);
        }
    }
    if (x->nchunks == x->room) {
        size_t room = x->room ? x->room * 2 : 64;
        struct btrfs_chunk *v = reallocarray(x->chunks, room, sizeof(*v));

        if (!v)
            return -ENOMEM;
        x->chunks = v;
        x->room = room;
    }
    x->chunks[x->nchunks++] = c;
    return 0;
}

static int logical_read(struct fs *fs, uint64_t at, void *buf, size_t len)
{
    struct btrfs *x = fs->own;

    for (size_t i = 0; i < x->nchunks; i++) {
        const struct btrfs_chunk *c = &x->chunks[i];

        if (at < c->at || !range_in(at - c->at, len, c->len))
            continue;
        if (!c->readable) {
            snprintf(fs->why, sizeof(fs->why), "parts of it lie on other disks");
            return -ENOTSUP;
        }
        return vol_read(fs->vol, c->off + (at - c->at), buf, len);
    }
    return -EIO;
}

/* --- trees --- */

/* A node from the cache; valid until BTRFS_CACHE others have been read. */
static int node_read(struct fs *fs, uint64_t at, unsigned level, const uint8_t **out)
{
    struct btrfs *x = fs->own;
    unsigned slot;
    int rc;

    for (unsigned i = 0; i < BTRFS_CACHE; i++) {
        if (at && x->cache[i].at == at && x->cache[i].b[100] == level) {
            *out = x->cache[i].b;
            return 0;
        }
    }
    slot = x->turn++ % BTRFS_CACHE;
    x->cache[slot].at = 0;
    if (!x->cache[slot].b)
        x->cache[slot].b = malloc(x->node);
    if (!x->cache[slot].b)
        return -ENOMEM;
    rc = logical_read(fs, at, x->cache[slot].b, x->node);
    if (rc < 0)
        return rc;
    if (le64_at(x->cache[slot].b + 0x30) != at || x->cache[slot].b[100] != level)
        return -EIO;
    x->cache[slot].at = at;
    *out = x->cache[slot].b;
    return 0;
}

/* item is valid during the call. Nonzero ends the walk and is its result. */
typedef int item_fn(struct fs *fs, void *arg, const struct btrfs_key *k, const uint8_t *item,
                    size_t n);

struct range {
    struct btrfs_key from, to;
    item_fn *fn;
    void *arg;
};

static int leaf_walk(struct fs *fs, const uint8_t *shared, const struct range *r)
{
    struct btrfs *x = fs->own;
    uint32_t count = le32_at(shared + 0x60);
    uint8_t *b;
    int rc = 0;

    if (count > (x->node - BTRFS_HEAD) / BTRFS_ITEM)
        return -EIO;
    b = malloc(x->node); /* fn may read other nodes, which may take the cache's slot */
    if (!b)
        return -ENOMEM;
    memcpy(b, shared, x->node);
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        const uint8_t *item = b + BTRFS_HEAD + (size_t)i * BTRFS_ITEM;
        struct btrfs_key k = key_at(item);
        uint32_t off = le32_at(item + 17), n = le32_at(item + 21);

        if (key_order(&k, &r->from) < 0)
            continue;
        if (key_order(&k, &r->to) > 0)
            break;
        if (!range_in(off, n, x->node - BTRFS_HEAD))
            rc = -EIO;
        else
            rc = r->fn(fs, r->arg, &k, b + BTRFS_HEAD + off, n);
    }
    free(b);
    return rc;
}

static int tree_walk(struct fs *fs, uint64_t at, unsigned level, const struct range *r)
{
    struct btrfs *x = fs->own;
    uint32_t count, max = (x->node - BTRFS_HEAD) / BTRFS_POINTER;
    const uint8_t *b;
    int rc = vol_step(fs->vol);

    if (rc == 0)
        rc = node_read(fs, at, level, &b);
    if (rc < 0 || level == 0)
        return rc < 0 ? rc : leaf_walk(fs, b, r);
    count = le32_at(b + 0x60);
    if (count > max)
        return -EIO;
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        struct btrfs_key k, next;
        const uint8_t *p;

        rc = node_read(fs, at, level, &b); /* what was below may have taken its slot */
        if (rc < 0)
            return rc;
        p = b + BTRFS_HEAD + (size_t)i * BTRFS_POINTER;
        k = key_at(p);
        if (key_order(&k, &r->to) > 0)
            break;
        if (i + 1 < count) {
            next = key_at(p + BTRFS_POINTER);
            if (key_order(&next, &r->from) < 0)
                continue;
        }
        rc = tree_walk(fs, le64_at(p + 17), level - 1, r);
    }
    return rc;
}

static int item_chunk(struct fs *fs, void *arg, const struct btrfs_key *k, const uint8_t *item,
                      size_t n)
{
    return k->type == BTRFS_CHUNK_ITEM ? chunk_add(fs->own, k->offset, item, n) : 0;
}

struct root_item {
    uint64_t at;
    uint8_t level;
};

static int item_root(struct fs *fs, void *arg, const struct btrfs_key *k, const uint8_t *item,
                     size_t n)
{
    struct root_item *r = arg;

    if (n < 239)
        return -EIO;
    r->at = le64_at(item + 176);
    r->level = item[238];
    return r->level > 7 ? -EIO : 0; /* the last one of several is the newest */
}

/* Makes x->tree the one of subvolume id. */
static int tree_choose(struct fs *fs, uint64_t id)
{
    struct btrfs *x = fs->own;
    struct root_item r = {0, 0};
    struct range all = {{id, BTRFS_ROOT_ITEM, 0}, {id, BTRFS_ROOT_ITEM, UINT64_MAX}, item_root, &r};
    int rc;

    if (x->tree_id == id && x->tree)
        return 0;
    rc = tree_walk(fs, x->root, x->root_level, &all);
    if (rc < 0)
        return rc;
    if (r.at == 0)
        return -ENOENT;
    x->tree_id = id;
    x->tree = r.at;
    x->tree_level = r.level;
    return 0;
}

static int object_walk(struct fs *fs, const struct fs_node *n, uint8_t type, item_fn *fn, void *arg)
{
    struct btrfs *x = fs->own;
    struct range r = {{n->id, type, 0}, {n->id, type, UINT64_MAX}, fn, arg};
    int rc = tree_choose(fs, n->aux);

    return rc < 0 ? rc : tree_walk(fs, x->tree, x->tree_level, &r);
}

/* --- opening --- */

static int system_chunks(struct btrfs *x, const uint8_t *b)
{
    uint32_t size = le32_at(b + 0xa0), at = 0;

    if (size > 2048)
        return -EIO;
    while (at + 17 + 48 <= size) {
        const uint8_t *item = b + 0x32b + at + 17;
        uint64_t n = 48 + (uint64_t)le16_at(item + 44) * 32;
        int rc;

        if (n > size - at - 17 || b[0x32b + at + 8] != BTRFS_CHUNK_ITEM)
            return -EIO;
        rc = chunk_add(x, le64_at(b + 0x32b + at + 9), item, (size_t)n);
        if (rc < 0)
            return rc;
        at += 17 + (uint32_t)n;
    }
    return 0;
}

static int btrfs_open(struct fs *fs)
{
    struct btrfs *x = calloc(1, sizeof(*x));
    struct range all = {{0, 0, 0}, {UINT64_MAX, 255, UINT64_MAX}, item_chunk, NULL};
    uint8_t b[4096];
    int rc;

    if (!x)
        return -ENOMEM;
    fs->own = x;
    rc = vol_read(fs->vol, BTRFS_SUPER, b, sizeof(b));
    if (rc < 0)
        return rc;
    x->root = le64_at(b + 0x50);
    x->chunk_root = le64_at(b + 0x58);
    x->sector = le32_at(b + 0x90);
    x->node = le32_at(b + 0x94);
    x->root_level = b[0xc6];
    x->chunk_level = b[0xc7];
    x->device = le64_at(b + 0xc9);
    snprintf(fs->label, sizeof(fs->label), "%.39s", (const char *)b + 0x12b);
    snprintf(fs->uuid, sizeof(fs->uuid), "%08x-%04x-%04x-%04x-%04x%08x", be32_at(b + 0x20),
             be16_at(b + 0x24), be16_at(b + 0x26), be16_at(b + 0x28), be16_at(b + 0x2a),
             be32_at(b + 0x2c));
    if (!is_pow2(x->node) || x->node < 4096 || x->node > BTRFS_NODE_MAX || !is_pow2(x->sector) ||
        x->sector < 512 || x->sector > 65536 || x->root_level > 7 || x->chunk_level > 7)
        return -EIO;
    rc = system_chunks(x, b);
    return rc < 0 ? rc : tree_walk(fs, x->chunk_root, x->chunk_level, &all);
}

static void btrfs_close(struct fs *fs)
{
    struct btrfs *x = fs->own;

    for (unsigned i = 0; x && i < BTRFS_CACHE; i++)
        free(x->cache[i].b);
    if (x) {
        free(x->chunks);
        free(x->extent.b);
    }
    free(x);
}

/* --- nodes --- */

static int item_inode(struct fs *fs, void *arg, const struct btrfs_key *k, const uint8_t *item,
                      size_t n)
{
    struct fs_node *node = arg;
    unsigned type;

    if (n < 56)
        return -EIO;
    type = le32_at(item + 52) >> 12;
    node->size = le64_at(item + 16);
    node->kind = type == 8 ? FS_FILE : type == 4 ? FS_DIR : type == 10 ? FS_LINK : FS_OTHER;
    return 1;
}

static int btrfs_stat(struct fs *fs, struct fs_node *n)
{
    int rc = object_walk(fs, n, BTRFS_INODE_ITEM, item_inode, n);

    return rc < 0 ? rc : rc == 1 ? 0 : -ENOENT;
}

static int btrfs_root(struct fs *fs, struct fs_node *n)
{
    *n = (struct fs_node){.id = BTRFS_FIRST, .aux = BTRFS_FS_TREE};
    return btrfs_stat(fs, n);
}

struct listing {
    fs_entry_fn *fn;
    void *arg;
    uint64_t tree;
};

static int item_entry(struct fs *fs, void *arg, const struct btrfs_key *k, const uint8_t *item,
                      size_t n)
{
    struct listing *l = arg;
    char name[FS_NAME_MAX + 1];
    struct btrfs_key to;
    struct fs_node node;
    size_t named = n >= 30 ? le16_at(item + 27) : 0;

    if (named == 0 || named > FS_NAME_MAX || 30 + named > n)
        return -EIO;
    memcpy(name, item + 30, named);
    name[named] = '\0';
    to = key_at(item);
    node = (struct fs_node){.id = to.object, .aux = l->tree};
    if (to.type == BTRFS_ROOT_ITEM)
        node = (struct fs_node){.id = BTRFS_FIRST, .aux = to.object};
    return l->fn(l->arg, name, &node);
}

static int btrfs_list(struct fs *fs, const struct fs_node *dir, fs_entry_fn *fn, void *arg)
{
    struct listing l = {fn, arg, dir->aux};

    return object_walk(fs, dir, BTRFS_DIR_INDEX, item_entry, &l);
}

static int item_default(struct fs *fs, void *arg, const struct btrfs_key *k, const uint8_t *item,
                        size_t n)
{
    if (n >= 30 + 7 && le16_at(item + 27) == 7 && memcmp(item + 30, "default", 7) == 0)
        *(uint64_t *)arg = le64_at(item);
    return 0;
}

int btrfs_default(struct fs *fs, struct fs_node *n)
{
    struct btrfs *x = fs->own;
    uint64_t id = BTRFS_FS_TREE;
    struct range r = {{BTRFS_ROOT_DIR, BTRFS_DIR_ITEM, 0},
                      {BTRFS_ROOT_DIR, BTRFS_DIR_ITEM, UINT64_MAX},
                      item_default,
                      &id};
    int rc = tree_walk(fs, x->root, x->root_level, &r);

    if (rc < 0)
        return rc;
    *n = (struct fs_node){.id = BTRFS_FIRST, .aux = id};
    return btrfs_stat(fs, n);
}

/* --- file contents --- */

struct reading {
    uint64_t off;
    uint8_t *to;
    size_t len;
    uint64_t tree;
};

/* Unpacks into x->extent; `in` of n bytes is as it lies on the disk. */
static int extent_unpack(struct btrfs *x, unsigned how, const uint8_t *in, size_t n, uint64_t bytes)
{
    ssize_t got;

    free(x->extent.b);
    x->extent.valid = false;
    x->extent.b = bytes > 0 && bytes <= BTRFS_EXTENT_MAX ? calloc(1, (size_t)bytes) : NULL;
    if (!x->extent.b)
        return -EIO;
    got = btrfs_unpack(how, in, n, x->extent.b, (size_t)bytes, x->sector);
    x->extent.len = (size_t)bytes;
    return got < 0 ? (int)got : 0;
}

static int extent_load(struct fs *fs, const struct btrfs_key *k, const uint8_t *item, size_t n,
                       uint64_t tree)
{
    struct btrfs *x = fs->own;
    uint64_t packed, bytes = le64_at(item + 8);
    uint8_t *in;
    int rc;

    if (x->extent.valid && x->extent.object == k->object && x->extent.tree == tree &&
        x->extent.at == k->offset)
        return 0;
    if (item[20] == 0) {
        rc = extent_unpack(x, item[16], item + 21, n - 21, bytes);
    } else {
        packed = le64_at(item + 29);
        in = packed > 0 && packed <= BTRFS_EXTENT_MAX ? malloc((size_t)packed) : NULL;
        rc = in ? logical_read(fs, le64_at(item + 21), in, (size_t)packed) : -EIO;
        if (rc == 0)
            rc = extent_unpack(x, item[16], in, (size_t)packed, bytes);
        free(in);
    }
    if (rc < 0)
        return rc;
    x->extent.object = k->object;
    x->extent.tree = tree;
    x->extent.at = k->offset;
    x->extent.valid = true;
    return 0;
}

/* Copies what this extent has of the wanted range. */
static int item_extent(struct fs *fs, void *arg, const struct btrfs_key *k, const uint8_t *item,
                       size_t n)
{
    struct btrfs *x = fs->own;
    struct reading *r = arg;
    bool in_tree = n >= 21 && item[20] == 0;
    uint64_t len, skip = 0, from, to, disk;
    int rc;

    if (n < 21 || (!in_tree && n < 53) || item[17] || le16_at(item + 18))
        return -EIO;
    len = in_tree ? le64_at(item + 8) : le64_at(item + 45);
    from = max_u64(r->off, k->offset);
    if (add_overflows(k->offset, len, &to))
        return -EIO;
    to = min_u64(to, r->off + r->len);
    disk = in_tree ? 1 : le64_at(item + 21);
    if (from >= to || disk == 0 || item[20] == 2)
        return 0; /* elsewhere, a hole, or not written yet */
    skip = from - k->offset + (in_tree ? 0 : le64_at(item + 37));
    if (item[16] != 0) {
        rc = extent_load(fs, k, item, n, r->tree);
        if (rc < 0)
            return rc;
        if (!range_in(skip, to - from, x->extent.len))
            return -EIO;
        memcpy(r->to + (from - r->off), x->extent.b + skip, (size_t)(to - from));
        return 0;
    }
    if (!in_tree)
        return logical_read(fs, disk + skip, r->to + (from - r->off), (size_t)(to - from));
    if (!range_in(skip, to - from, n - 21))
        return -EIO;
    memcpy(r->to + (from - r->off), item + 21 + skip, (size_t)(to - from));
    return 0;
}

static ssize_t btrfs_read(struct fs *fs, const struct fs_node *n, uint64_t off, void *buf,
                          size_t len)
{
    struct btrfs *x = fs->own;
    struct reading r = {off, buf, 0, n->aux};
    struct range range = {
        {n->id, BTRFS_EXTENT_DATA, 0}, {n->id, BTRFS_EXTENT_DATA, 0}, item_extent, &r};
    int rc = tree_choose(fs, n->aux);

    if (rc < 0 || off >= n->size)
        return rc;
    r.len = (size_t)min_u64(len, n->size - off);
    /* An extent is 128 MiB at most: one that begins before that cannot reach us. */
    range.from.offset = off > 128 * MiB ? off - 128 * MiB : 0;
    range.to.offset = off + r.len;
    memset(buf, 0, r.len);
    rc = tree_walk(fs, x->tree, x->tree_level, &range);
    return rc < 0 ? rc : (ssize_t)r.len;
}

const struct fs_ops fs_btrfs = {
    .name = "btrfs",
    .probe = btrfs_probe,
    .open = btrfs_open,
    .close = btrfs_close,
    .root = btrfs_root,
    .stat = btrfs_stat,
    .list = btrfs_list,
    .read = btrfs_read,
};
