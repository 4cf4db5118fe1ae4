/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ufs.c - UFS1 and UFS2 of the BSDs and UFS of Solaris, little-endian.
 *
 * Document: FreeBSD sys/ufs/ffs/fs.h and sys/ufs/ufs/dinode.h; Solaris sys/fs/ufs_fsdir.h for its
 * folders. Not modelled: soft-update journals, snapshots, extended attributes, other endianness.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"
#include "inspect/fs.h"

enum {
    UFS_SUPER = 2048,
    UFS_MAGIC_AT = 1372,
    UFS_MAGIC1 = 0x00011954,
    UFS_MAGIC2 = 0x19540119,
    UFS_ROOT = 2,
    UFS_DIRECT = 12,
    UFS_FOLDER_MAX = 8 << 20,
    UFS_BLOCK_MAX = 65536,
};

struct ufs {
    bool two, solaris;
    uint32_t bsize, fsize, frag, ipg, fpg, inopb, iblkno, cgoffset, cgmask, ncg;
};

static int ufs_find_super(const struct vol *v, uint8_t *b)
{
    static const uint32_t places[] = {65536, 8192, 0, 262144};

    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        uint32_t magic;

        if (vol_read(v, places[i], b, UFS_SUPER) < 0)
            continue;
        magic = le32_at(b + UFS_MAGIC_AT);
        if (magic == UFS_MAGIC1 || magic == UFS_MAGIC2)
            return 1;
    }
    return 0;
}

static int ufs_probe(const struct vol *v)
{
    uint8_t b[UFS_SUPER];

    return ufs_find_super(v, b);
}

static int ufs_open(struct fs *fs)
{
    struct ufs *u = calloc(1, sizeof(*u));
    uint8_t b[UFS_SUPER];

    if (!u)
        return -ENOMEM;
    fs->own = u;
    if (!ufs_find_super(fs->vol, b))
        return -EIO;
    u->two = le32_at(b + UFS_MAGIC_AT) == UFS_MAGIC2;
    u->iblkno = le32_at(b + 16);
    u->cgoffset = u->two ? 0 : le32_at(b + 24);
    u->cgmask = u->two ? ~0U : le32_at(b + 28);
    u->ncg = le32_at(b + 44);
    u->bsize = le32_at(b + 48);
    u->fsize = le32_at(b + 52);
    u->frag = le32_at(b + 56);
    u->inopb = le32_at(b + 120);
    u->ipg = le32_at(b + 184);
    u->fpg = le32_at(b + 188);
    snprintf(fs->name, sizeof(fs->name), "ufs%d", u->two ? 2 : 1);
    snprintf(fs->uuid, sizeof(fs->uuid), "%08x%08x", le32_at(b + 144), le32_at(b + 148));
    if (u->two)
        snprintf(fs->label, sizeof(fs->label), "%.32s", (const char *)b + 680);
    if (!is_pow2(u->bsize) || u->bsize < 4096 || u->bsize > UFS_BLOCK_MAX || !is_pow2(u->fsize) ||
        u->fsize < 512 || u->frag != u->bsize / u->fsize || u->inopb == 0 || u->ipg == 0 ||
        u->inopb != u->bsize / (u->two ? 256 : 128))
        return -EIO;
    return 0;
}

static void ufs_close(struct fs *fs)
{
    free(fs->own);
}

/* b has 256 bytes; a UFS1 inode fills half of them. */
static int ufs_inode(struct fs *fs, uint64_t ino, uint8_t *b)
{
    struct ufs *u = fs->own;
    uint32_t cg = (uint32_t)(ino / u->ipg), in = (uint32_t)(ino % u->ipg);
    unsigned size = u->two ? 256 : 128;
    uint64_t frag;

    if (ino < UFS_ROOT || ino / u->ipg >= u->ncg)
        return -EIO;
    frag = (uint64_t)cg * u->fpg + (uint64_t)u->cgoffset * (cg & ~u->cgmask) + u->iblkno +
           (uint64_t)(in / u->inopb) * u->frag;
    return vol_read(fs->vol, frag * u->fsize + (uint64_t)(in % u->inopb) * size, b, size);
}

static uint64_t ufs_size(const struct ufs *u, const uint8_t *inode)
{
    return le64_at(inode + (u->two ? 16 : 8));
}

static int ufs_stat(struct fs *fs, struct fs_node *n)
{
    uint8_t inode[256];
    int rc = ufs_inode(fs, n->id, inode);
    unsigned type;

    if (rc < 0)
        return rc;
    type = le16_at(inode) >> 12;
    n->size = ufs_size(fs->own, inode);
    n->kind = type == 8 ? FS_FILE : type == 4 ? FS_DIR : type == 10 ? FS_LINK : FS_OTHER;
    return 0;
}

static ssize_t ufs_read(struct fs *fs, const struct fs_node *n, uint64_t off, void *buf,
                        size_t len);

/* Solaris has 16 bits for the length of a name where the BSDs have a type and 8 bits. */
static int ufs_root(struct fs *fs, struct fs_node *n)
{
    struct ufs *u = fs->own;
    uint8_t first[8];
    int rc;

    *n = (struct fs_node){.id = UFS_ROOT};
    rc = ufs_stat(fs, n);
    if (rc == 0 && ufs_read(fs, n, 0, first, sizeof(first)) == sizeof(first))
        u->solaris = first[6] == 1 && first[7] == 0;
    return rc;
}

/* --- blocks of a file: pointers count fragments, 0 is a hole --- */

static int ufs_pointer(struct fs *fs, uint64_t block, uint64_t i, uint64_t *out)
{
    struct ufs *u = fs->own;
    uint8_t b[8] = {0};
    unsigned size = u->two ? 8 : 4;
    int rc = block ? vol_read(fs->vol, block * u->fsize + i * size, b, size) : 0;

    *out = u->two ? le64_at(b) : le32_at(b);
    return rc;
}

static int ufs_block(struct fs *fs, const uint8_t *inode, uint64_t i, uint64_t *out)
{
    struct ufs *u = fs->own;
    const uint8_t *at = inode + (u->two ? 112 : 40);
    unsigned size = u->two ? 8 : 4;
    uint64_t per = u->bsize / size, span = per;

    if (i < UFS_DIRECT) {
        *out = u->two ? le64_at(at + i * 8) : le32_at(at + i * 4);
        return 0;
    }
    i -= UFS_DIRECT;
    at += UFS_DIRECT * size;
    for (unsigned level = 1; level <= 3; level++, at += size) {
        if (i < span) {
            uint64_t block = u->two ? le64_at(at) : le32_at(at);
            int rc = 0;

            for (; rc == 0 && level > 0; level--) {
                span /= per;
                rc = ufs_pointer(fs, block, i / span, &block);
                i %= span;
            }
            *out = block;
            return rc;
        }
        i -= span;
        span *= per;
    }
    return -EFBIG;
}

static ssize_t ufs_read(struct fs *fs, const struct fs_node *n, uint64_t off, void *buf, size_t len)
{
    struct ufs *u = fs->own;
    uint8_t inode[256], *to = buf;
    size_t done = 0;
    int rc = ufs_inode(fs, n->id, inode);

    if (rc < 0)
        return rc;
    if (off >= n->size)
        return 0;
    len = (size_t)min_u64(len, n->size - off);
    while (done < len) {
        uint64_t at = off + done, in = at % u->bsize, block;
        size_t part = (size_t)min_u64(len - done, u->bsize - in);

        rc = ufs_block(fs, inode, at / u->bsize, &block);
        if (rc == 0 && block == 0)
            memset(to + done, 0, part);
        else if (rc == 0 && block > UINT64_MAX / UFS_BLOCK_MAX)
            rc = -EIO;
        else if (rc == 0)
            rc = vol_read(fs->vol, block * u->fsize + in, to + done, part);
        if (rc < 0)
            return rc;
        done += part;
    }
    return (ssize_t)done;
}

/* Short targets lie where the block pointers would. */
static int ufs_link(struct fs *fs, const struct fs_node *n, char *buf, size_t room)
{
    struct ufs *u = fs->own;
    size_t inside = u->two ? 120 : 60;
    uint8_t inode[256];
    ssize_t got;
    int rc = ufs_inode(fs, n->id, inode);

    if (rc < 0 || n->size >= room)
        return rc < 0 ? rc : -ENAMETOOLONG;
    if (n->size < inside && le64_at(inode + (u->two ? 24 : 104)) << (u->two ? 0 : 32) == 0) {
        memcpy(buf, inode + (u->two ? 112 : 40), (size_t)n->size);
        buf[n->size] = '\0';
        return 0;
    }
    got = ufs_read(fs, n, 0, buf, (size_t)n->size);
    if (got < 0)
        return (int)got;
    buf[got] = '\0';
    return 0;
}

static int ufs_list_block(const struct ufs *u, const uint8_t *b, size_t len, fs_entry_fn *fn,
                          void *arg)
{
    for (size_t at = 0; at + 8 <= len;) {
        size_t size = le16_at(b + at + 4), named = u->solaris ? le16_at(b + at + 6) : b[at + 7];
        struct fs_node n = {.id = le32_at(b + at)};
        char name[FS_NAME_MAX + 1];
        int rc = 0;

        if (size < 8 || size > len - at || named > size - 8 || named > FS_NAME_MAX)
            return -EIO;
        memcpy(name, b + at + 8, named);
        name[named] = '\0';
        if (n.id != 0 && named > 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
            rc = fn(arg, name, &n);
        if (rc != 0)
            return rc;
        at += size;
    }
    return 0;
}

static int ufs_list(struct fs *fs, const struct fs_node *dir, fs_entry_fn *fn, void *arg)
{
    uint64_t size = min_u64(dir->size, UFS_FOLDER_MAX);
    uint8_t b[512]; /* an entry does not cross one */

    for (uint64_t off = 0; off < size; off += sizeof(b)) {
        ssize_t got = ufs_read(fs, dir, off, b, sizeof(b));
        int rc = got < 0 ? (int)got : ufs_list_block(fs->own, b, (size_t)got, fn, arg);

        if (rc != 0)
            return rc;
    }
    return 0;
}

const struct fs_ops fs_ufs = {
    .name = "ufs",
    .probe = ufs_probe,
    .open = ufs_open,
    .close = ufs_close,
    .root = ufs_root,
    .stat = ufs_stat,
    .list = ufs_list,
    .read = ufs_read,
    .link = ufs_link,
};
