/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xfs.c - XFS, versions 4 and 5.
 *
 * Document: "XFS Filesystem Structure", 3rd edition, and Linux fs/xfs/libxfs/xfs_format.h for
 * features that are newer. Not modelled: real-time files, the log, quotas, attributes, checksums.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"
#include "inspect/fs.h"
#include "inspect/fs/extents.h"

enum {
    XFS_INCOMPAT_KNOWN = 0x1ff, /* ftype to metadir */
    XFS_INCOMPAT_FTYPE = 1,
    XFS_VERSION2_FTYPE = 0x200,
    XFS_LOCAL = 1,
    XFS_EXTENTS = 2,
    XFS_BTREE = 3,
    XFS_FLAG_REALTIME = 1,
    XFS_FLAG2_NREXT64 = 1 << 4,
    XFS_LEVELS = 8,
    XFS_INODE_MAX = 2048,
    XFS_DIRBLOCK_MAX = 65536,
};
#define XFS_DIR_DATA_END (UINT64_C(32) << 30) /* bytes; leaf and free blocks come after it */

struct xfs {
    uint32_t block, inode, agblocks, agcount, dirblock;
    unsigned blocklog, inodelog, inopblog, agblklog;
    uint64_t root;
    bool v5, ftype;
    struct extents map;
};

static int xfs_probe(const struct vol *v)
{
    char magic[4];

    return vol_read(v, 0, magic, sizeof(magic)) == 0 && memcmp(magic, "XFSB", 4) == 0;
}

static int xfs_layout(struct xfs *x, const uint8_t *b)
{
    x->block = be32_at(b + 4);
    x->agblocks = be32_at(b + 84);
    x->agcount = be32_at(b + 88);
    x->root = be64_at(b + 56);
    x->inode = be16_at(b + 104);
    x->blocklog = b[120];
    x->inodelog = b[122];
    x->inopblog = b[123];
    x->agblklog = b[124];
    if (x->blocklog < 9 || x->blocklog > 16 || x->block != 1U << x->blocklog || x->inodelog < 8 ||
        x->inodelog > 11 || x->inode != 1U << x->inodelog || x->agblklog > 31 ||
        x->inopblog + x->inodelog != x->blocklog || x->agblocks == 0 || b[192] > 7)
        return -EIO;
    x->dirblock = x->block << b[192];
    return x->dirblock > XFS_DIRBLOCK_MAX ? -EIO : 0;
}

static int xfs_open(struct fs *fs)
{
    struct xfs *x = calloc(1, sizeof(*x));
    uint8_t b[512];
    int rc;

    if (!x)
        return -ENOMEM;
    fs->own = x;
    rc = vol_read(fs->vol, 0, b, sizeof(b));
    if (rc == 0)
        rc = xfs_layout(x, b);
    if (rc < 0)
        return rc;
    x->v5 = (be16_at(b + 100) & 15) == 5;
    x->ftype = x->v5 ? (be32_at(b + 216) & XFS_INCOMPAT_FTYPE) != 0
                     : (be32_at(b + 200) & XFS_VERSION2_FTYPE) != 0;
    if (x->v5 && (be32_at(b + 216) & ~(uint32_t)XFS_INCOMPAT_KNOWN)) {
        snprintf(fs->why, sizeof(fs->why), "it has features that hospes does not know");
        return -ENOTSUP;
    }
    snprintf(fs->label, sizeof(fs->label), "%.12s", (const char *)b + 108);
    snprintf(fs->uuid, sizeof(fs->uuid), "%08x-%04x-%04x-%04x-%04x%08x", be32_at(b + 32),
             be16_at(b + 36), be16_at(b + 38), be16_at(b + 40), be16_at(b + 42), be32_at(b + 44));
    return 0;
}

static void xfs_close(struct fs *fs)
{
    struct xfs *x = fs->own;

    if (x)
        extents_clear(&x->map);
    free(x);
}

static int xfs_block_at(const struct xfs *x, uint64_t fsblock, uint64_t *off)
{
    uint64_t ag = fsblock >> x->agblklog, in = fsblock & ((UINT64_C(1) << x->agblklog) - 1);

    if (ag >= x->agcount || in >= x->agblocks)
        return -EIO;
    *off = (ag * x->agblocks + in) << x->blocklog;
    return 0;
}

/* b has XFS_INODE_MAX bytes. */
static int xfs_inode(struct fs *fs, uint64_t ino, uint8_t *b)
{
    struct xfs *x = fs->own;
    uint64_t off, in = ino & ((UINT64_C(1) << x->inopblog) - 1);
    int rc = xfs_block_at(x, ino >> x->inopblog, &off);

    if (rc == 0)
        rc = vol_read(fs->vol, off + (in << x->inodelog), b, x->inode);
    if (rc == 0 && memcmp(b, "IN", 2) != 0)
        rc = -EIO;
    return rc;
}

static int xfs_stat(struct fs *fs, struct fs_node *n)
{
    uint8_t b[XFS_INODE_MAX];
    int rc = xfs_inode(fs, n->id, b);
    unsigned type;

    if (rc < 0)
        return rc;
    type = be16_at(b + 2) >> 12;
    n->size = be64_at(b + 56);
    n->kind = type == 8 ? FS_FILE : type == 4 ? FS_DIR : type == 10 ? FS_LINK : FS_OTHER;
    return 0;
}

static int xfs_root(struct fs *fs, struct fs_node *n)
{
    *n = (struct fs_node){.id = ((struct xfs *)fs->own)->root};
    return xfs_stat(fs, n);
}

/* --- the map of a file --- */

static size_t xfs_literal(const uint8_t *inode)
{
    return inode[4] >= 3 ? 176 : 100;
}

/* The data fork inside an inode. */
static const uint8_t *xfs_fork(const struct xfs *x, const uint8_t *inode, size_t *len)
{
    size_t at = xfs_literal(inode), room = x->inode - at, fork = (size_t)inode[82] * 8;

    *len = fork && fork < room ? fork : room;
    return inode + at;
}

static int xfs_records(struct xfs *x, const uint8_t *r, size_t count)
{
    for (size_t i = 0; i < count; i++, r += 16) {
        uint64_t l0 = be64_at(r), l1 = be64_at(r + 8), off;
        uint64_t at = (l0 & INT64_MAX) >> 9, block = (l0 & 511) << 43 | l1 >> 21;
        int rc = xfs_block_at(x, block, &off);

        if (rc == 0)
            rc = extents_add(&x->map, at << x->blocklog, (l1 & 0x1fffff) << x->blocklog, off,
                             l0 >> 63);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int xfs_btree(struct fs *fs, uint64_t fsblock, unsigned level)
{
    struct xfs *x = fs->own;
    size_t head = x->v5 ? 72 : 24, count, max = (x->block - head) / 16;
    uint8_t *b = malloc(x->block);
    uint64_t off;
    int rc = b ? xfs_block_at(x, fsblock, &off) : -ENOMEM;

    if (rc == 0)
        rc = vol_read(fs->vol, off, b, x->block);
    if (rc == 0 && (memcmp(b, x->v5 ? "BMA3" : "BMAP", 4) != 0 || be16_at(b + 4) != level))
        rc = -EIO;
    count = rc == 0 ? be16_at(b + 6) : 0;
    if (count > max)
        rc = -EIO;
    if (rc == 0 && level == 0)
        rc = xfs_records(x, b + head, count);
    for (size_t i = 0; rc == 0 && level > 0 && i < count; i++)
        rc = xfs_btree(fs, be64_at(b + head + max * 8 + i * 8), level - 1);
    free(b);
    return rc;
}

static int xfs_btree_root(struct fs *fs, const uint8_t *fork, size_t len)
{
    unsigned level = be16_at(fork);
    size_t count = be16_at(fork + 2), max = (len - 4) / 16;
    int rc = 0;

    if (level == 0 || level > XFS_LEVELS || count > max)
        return -EIO;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = xfs_btree(fs, be64_at(fork + 4 + max * 8 + i * 8), level - 1);
    return rc;
}

static int xfs_map(struct fs *fs, uint64_t ino, const uint8_t *inode)
{
    struct xfs *x = fs->own;
    size_t len;
    const uint8_t *fork = xfs_fork(x, inode, &len);
    bool wide = inode[4] >= 3 && (be64_at(inode + 120) & XFS_FLAG2_NREXT64);
    uint64_t count = wide ? be64_at(inode + 24) : be32_at(inode + 76);
    int rc = -EIO;

    if (x->map.valid && x->map.id == ino)
        return 0;
    extents_clear(&x->map);
    if (be16_at(inode + 90) & XFS_FLAG_REALTIME)
        return -ENOTSUP;
    if (inode[5] == XFS_EXTENTS && count <= len / 16)
        rc = xfs_records(x, fork, (size_t)count);
    else if (inode[5] == XFS_BTREE)
        rc = xfs_btree_root(fs, fork, len);
    if (rc < 0)
        return rc;
    extents_sort(&x->map);
    x->map.id = ino;
    x->map.valid = true;
    return 0;
}

static ssize_t xfs_read(struct fs *fs, const struct fs_node *n, uint64_t off, void *buf, size_t len)
{
    struct xfs *x = fs->own;
    uint8_t inode[XFS_INODE_MAX];
    int rc = xfs_inode(fs, n->id, inode);

    if (rc == 0 && inode[5] == XFS_LOCAL)
        rc = -EIO;
    if (rc == 0)
        rc = xfs_map(fs, n->id, inode);
    if (rc < 0)
        return rc;
    if (off >= n->size)
        return 0;
    return extents_read(&x->map, fs->vol, off, buf, (size_t)min_u64(len, n->size - off));
}

/* Blocks of a long target have a head each in version 5. */
static int xfs_link(struct fs *fs, const struct fs_node *n, char *buf, size_t room)
{
    struct xfs *x = fs->own;
    uint8_t inode[XFS_INODE_MAX];
    size_t len, head = x->v5 ? 56 : 0, done = 0;
    const uint8_t *fork;
    int rc = xfs_inode(fs, n->id, inode);

    if (rc < 0 || n->size >= room)
        return rc < 0 ? rc : -ENAMETOOLONG;
    fork = xfs_fork(x, inode, &len);
    if (inode[5] == XFS_LOCAL && n->size <= len) {
        memcpy(buf, fork, (size_t)n->size);
        buf[n->size] = '\0';
        return 0;
    }
    rc = xfs_map(fs, n->id, inode);
    for (size_t i = 0; rc == 0 && done < n->size && i < x->map.n; i++) {
        size_t part = (size_t)min_u64(n->size - done, x->block - head);

        rc = vol_read(fs->vol, x->map.v[i].off + head, buf + done, part);
        done += part;
    }
    buf[done] = '\0';
    return rc == 0 && done < n->size ? -EIO : rc;
}

/* --- folders --- */

static int xfs_short_list(const struct xfs *x, const uint8_t *f, size_t len, fs_entry_fn *fn,
                          void *arg)
{
    unsigned wide = f[1] ? 8 : 4;
    size_t at = 2 + (size_t)wide;

    for (unsigned i = 0; i < f[0]; i++) {
        char name[FS_NAME_MAX + 1];
        struct fs_node n = {.id = 0};
        size_t named, end;
        int rc;

        if (at + 3 > len)
            return -EIO;
        named = f[at];
        end = at + 3 + named + x->ftype + wide;
        if (named == 0 || end > len)
            return -EIO;
        memcpy(name, f + at + 3, named);
        name[named] = '\0';
        n.id = wide == 8 ? be64_at(f + end - 8) : be32_at(f + end - 4);
        rc = fn(arg, name, &n);
        if (rc != 0)
            return rc;
        at = end;
    }
    return 0;
}

static int xfs_data_block(const struct xfs *x, const uint8_t *b, fs_entry_fn *fn, void *arg)
{
    bool single = memcmp(b, x->v5 ? "XDB3" : "XD2B", 4) == 0;
    size_t at = x->v5 ? 64 : 16, end = x->dirblock;

    if (!single && memcmp(b, x->v5 ? "XDD3" : "XD2D", 4) != 0)
        return -EIO;
    if (single) {
        uint64_t leaves = (uint64_t)be32_at(b + end - 8) * 8 + 8;

        if (leaves > end - at)
            return -EIO;
        end -= (size_t)leaves;
    }
    while (at + 12 <= end) {
        char name[FS_NAME_MAX + 1];
        struct fs_node n = {.id = be64_at(b + at)};
        size_t named = b[at + 8], size = align_up(11 + named + x->ftype, 8);
        int rc = 0;

        if (be16_at(b + at) == 0xffff) {
            size = be16_at(b + at + 2);
            if (size < 8 || size > end - at)
                return -EIO;
        } else {
            if (named == 0 || size > end - at)
                return -EIO;
            memcpy(name, b + at + 9, named);
            name[named] = '\0';
            if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
                rc = fn(arg, name, &n);
        }
        if (rc != 0)
            return rc;
        at += size;
    }
    return 0;
}

static int xfs_list_blocks(struct fs *fs, const struct fs_node *dir, fs_entry_fn *fn, void *arg)
{
    struct xfs *x = fs->own;
    struct extents map = x->map; /* fn may read files, which changes x->map */
    uint8_t *b = malloc(x->dirblock);
    uint64_t end = 0;
    int rc = b ? 0 : -ENOMEM;

    x->map = (struct extents){.n = 0};
    for (size_t i = 0; i < map.n; i++)
        end = map.v[i].at < XFS_DIR_DATA_END ? map.v[i].at + map.v[i].len : end;
    end = min_u64(end, XFS_DIR_DATA_END);
    for (uint64_t off = 0; rc == 0 && off < end; off += x->dirblock) {
        ssize_t got = extents_read(&map, fs->vol, off, b, x->dirblock);

        if (got < 0)
            rc = (int)got;
        else if (be32_at(b) != 0) /* else a hole */
            rc = xfs_data_block(x, b, fn, arg);
    }
    free(b);
    extents_clear(&map);
    return rc;
}

static int xfs_list(struct fs *fs, const struct fs_node *dir, fs_entry_fn *fn, void *arg)
{
    struct xfs *x = fs->own;
    uint8_t inode[XFS_INODE_MAX];
    size_t len;
    int rc = xfs_inode(fs, dir->id, inode);

    if (rc == 0 && inode[5] == XFS_LOCAL) {
        const uint8_t *fork = xfs_fork(x, inode, &len);

        return xfs_short_list(x, fork, len, fn, arg);
    }
    if (rc == 0)
        rc = xfs_map(fs, dir->id, inode);
    return rc < 0 ? rc : xfs_list_blocks(fs, dir, fn, arg);
}

const struct fs_ops fs_xfs = {
    .name = "xfs",
    .probe = xfs_probe,
    .open = xfs_open,
    .close = xfs_close,
    .root = xfs_root,
    .stat = xfs_stat,
    .list = xfs_list,
    .read = xfs_read,
    .link = xfs_link,
};
