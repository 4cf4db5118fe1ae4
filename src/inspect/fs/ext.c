/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext.c - ext2, ext3 and ext4 by libext2fs, over a volume.
 *
 * The library gets an I/O manager that can read and nothing else. Its own checks of checksums are
 * off, since a disk that was pulled out of a running machine is worth a look too.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ext2fs/ext2fs.h>

#include "abi/bytes.h"
#include "inspect/fs.h"

enum { EXT_SUPER = 1024, EXT_MAGIC = 0x38 };

struct ext {
    ext2_filsys fs;
    ext2_ino_t open_ino; /* of `file` */
    ext2_file_t file;
};

/* --- the I/O manager --- */

static struct struct_io_manager io;

static errcode_t io_open(const char *name, int flags, io_channel *out)
{
    struct struct_io_channel *c = calloc(1, sizeof(*c));
    void *vol = NULL;

    if (!c || sscanf(name, "%p", &vol) != 1 || (flags & IO_FLAG_RW)) {
        free(c);
        return ENOMEM;
    }
    c->magic = EXT2_ET_MAGIC_IO_CHANNEL;
    c->manager = &io;
    c->block_size = EXT_SUPER;
    c->refcount = 1;
    c->private_data = vol;
    c->name = strdup(name);
    *out = c;
    return 0;
}

static errcode_t io_close(io_channel c)
{
    if (--c->refcount > 0)
        return 0;
    free(c->name);
    free(c);
    return 0;
}

static errcode_t io_size(io_channel c, int size)
{
    c->block_size = size;
    return 0;
}

static errcode_t io_read64(io_channel c, unsigned long long block, int count, void *data)
{
    size_t len = count < 0 ? (size_t)-count : (size_t)count * (size_t)c->block_size;
    uint64_t off;

    if (mul_overflows(block, (uint64_t)c->block_size, &off))
        return EIO;
    return vol_read(c->private_data, off, data, len) < 0 ? EIO : 0;
}

static errcode_t io_read(io_channel c, unsigned long block, int count, void *data)
{
    return io_read64(c, block, count, data);
}

static errcode_t io_write64(io_channel c, unsigned long long block, int count, const void *data)
{
    return EROFS;
}

static errcode_t io_write(io_channel c, unsigned long block, int count, const void *data)
{
    return EROFS;
}

static errcode_t io_flush(io_channel c)
{
    return 0;
}

static struct struct_io_manager io = {
    .magic = EXT2_ET_MAGIC_IO_MANAGER,
    .name = "hospes",
    .open = io_open,
    .close = io_close,
    .set_blksize = io_size,
    .read_blk = io_read,
    .write_blk = io_write,
    .flush = io_flush,
    .read_blk64 = io_read64,
    .write_blk64 = io_write64,
};

/* --- the reader --- */

static int ext_probe(const struct vol *v)
{
    uint8_t super[EXT_SUPER];

    return vol_read(v, EXT_SUPER, super, sizeof(super)) == 0 &&
           le16_at(super + EXT_MAGIC) == EXT2_SUPER_MAGIC;
}

static int ext_errno(errcode_t rc)
{
    return rc == 0 ? 0 : rc == EXT2_ET_NO_MEMORY ? -ENOMEM : -EIO;
}

static int ext_open(struct fs *fs)
{
    struct ext *x = calloc(1, sizeof(*x));
    const struct ext2_super_block *s;
    char name[32];
    errcode_t rc;

    if (!x)
        return -ENOMEM;
    fs->own = x;
    snprintf(name, sizeof(name), "%p", (void *)fs->vol);
    rc = ext2fs_open(name, EXT2_FLAG_64BITS | EXT2_FLAG_IGNORE_CSUM_ERRORS | EXT2_FLAG_SKIP_MMP, 0,
                     0, &io, &x->fs);
    if (rc) {
        snprintf(fs->why, sizeof(fs->why), "%s",
                 rc == EXT2_ET_UNSUPP_FEATURE ? "it has features that this libext2fs does not know"
                                              : "its superblock or group descriptors are damaged");
        return -EIO;
    }
    s = x->fs->super;
    snprintf(fs->name, sizeof(fs->name), "%s",
             ext2fs_has_feature_extents(x->fs->super)   ? "ext4"
             : ext2fs_has_feature_journal(x->fs->super) ? "ext3"
                                                        : "ext2");
    snprintf(fs->label, sizeof(fs->label), "%.16s", (const char *)s->s_volume_name);
    return 0;
}

static void ext_close(struct fs *fs)
{
    struct ext *x = fs->own;

    if (x && x->file)
        ext2fs_file_close(x->file);
    if (x && x->fs)
        ext2fs_free(x->fs);
    free(x);
}

static int ext_stat(struct fs *fs, struct fs_node *n)
{
    struct ext *x = fs->own;
    struct ext2_inode inode;
    errcode_t rc;

    if (n->id == 0 || n->id > x->fs->super->s_inodes_count)
        return -EIO;
    rc = ext2fs_read_inode(x->fs, (ext2_ino_t)n->id, &inode);
    if (rc)
        return ext_errno(rc);
    n->size = EXT2_I_SIZE(&inode);
    n->kind = LINUX_S_ISREG(inode.i_mode)   ? FS_FILE
              : LINUX_S_ISDIR(inode.i_mode) ? FS_DIR
              : LINUX_S_ISLNK(inode.i_mode) ? FS_LINK
                                            : FS_OTHER;
    return 0;
}

static int ext_root(struct fs *fs, struct fs_node *n)
{
    static const char hex[] = "0123456789abcdef";
    struct ext *x = fs->own;
    char *at = fs->uuid;

    for (unsigned i = 0; i < 16; i++) {
        *at++ = hex[x->fs->super->s_uuid[i] >> 4];
        *at++ = hex[x->fs->super->s_uuid[i] & 15];
        if (i == 3 || i == 5 || i == 7 || i == 9)
            *at++ = '-';
    }
    *at = '\0';
    *n = (struct fs_node){.id = EXT2_ROOT_INO};
    return ext_stat(fs, n);
}

struct ext_list {
    fs_entry_fn *fn;
    void *arg;
    int rc;
};

static int ext_entry(ext2_ino_t dir, int entry, struct ext2_dir_entry *d, int offset, int blocksize,
                     char *buf, void *arg)
{
    struct ext_list *l = arg;
    struct fs_node n = {.id = d->inode};
    char name[EXT2_NAME_LEN + 1];
    size_t len = (size_t)ext2fs_dirent_name_len(d);

    if (d->inode == 0 || len == 0 || len > EXT2_NAME_LEN)
        return 0;
    memcpy(name, d->name, len);
    name[len] = '\0';
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return 0;
    l->rc = l->fn(l->arg, name, &n);
    return l->rc ? DIRENT_ABORT : 0;
}

static int ext_list(struct fs *fs, const struct fs_node *dir, fs_entry_fn *fn, void *arg)
{
    struct ext *x = fs->own;
    struct ext_list l = {fn, arg, 0};
    errcode_t rc = ext2fs_dir_iterate2(x->fs, (ext2_ino_t)dir->id, 0, NULL, ext_entry, &l);

    return l.rc ? l.rc : ext_errno(rc);
}

/* Keeps the last file open: large ones are read in pieces. */
static ssize_t ext_read(struct fs *fs, const struct fs_node *n, uint64_t off, void *buf, size_t len)
{
    struct ext *x = fs->own;
    unsigned got = 0;
    errcode_t rc = 0;

    if (len > 1 * GiB)
        return -EINVAL;
    if (x->file && x->open_ino != n->id) {
        ext2fs_file_close(x->file);
        x->file = NULL;
    }
    if (!x->file) {
        rc = ext2fs_file_open(x->fs, (ext2_ino_t)n->id, 0, &x->file);
        x->open_ino = (ext2_ino_t)n->id;
    }
    if (rc == 0)
        rc = ext2fs_file_llseek(x->file, off, EXT2_SEEK_SET, NULL);
    if (rc == 0)
        rc = ext2fs_file_read(x->file, buf, (unsigned)len, &got);
    return rc ? ext_errno(rc) : (ssize_t)got;
}

/* Short targets lie in the inode itself. */
static int ext_link(struct fs *fs, const struct fs_node *n, char *buf, size_t room)
{
    struct ext *x = fs->own;
    struct ext2_inode inode;
    ssize_t got;

    if (n->size >= room)
        return -ENAMETOOLONG;
    if (ext2fs_read_inode(x->fs, (ext2_ino_t)n->id, &inode))
        return -EIO;
    if (ext2fs_is_fast_symlink(&inode) && n->size <= sizeof(inode.i_block)) {
        memcpy(buf, inode.i_block, (size_t)n->size);
        buf[n->size] = '\0';
        return 0;
    }
    got = ext_read(fs, n, 0, buf, (size_t)n->size);
    if (got < 0)
        return (int)got;
    buf[got] = '\0';
    return 0;
}

const struct fs_ops fs_ext = {
    .name = "ext",
    .probe = ext_probe,
    .open = ext_open,
    .close = ext_close,
    .root = ext_root,
    .stat = ext_stat,
    .list = ext_list,
    .read = ext_read,
    .link = ext_link,
};
