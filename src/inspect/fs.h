/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs.h - file systems inside a guest's disk, read and never written.
 *
 * A reader finds nodes by listing folders; following of paths and symbolic links is done here,
 * once for all. What a reader does not model it refuses (-ENOTSUP) and never guesses.
 *
 * Journals are not replayed: a disk that was not unmounted shows what its last checkpoint holds.
 *
 * Threads: none.
 */
#ifndef HOSPES_INSPECT_FS_H
#define HOSPES_INSPECT_FS_H

#include <sys/types.h>

#include "core/core.h"
#include "inspect/vol.h"

enum fs_kind { FS_UNKNOWN, FS_FILE, FS_DIR, FS_LINK, FS_OTHER };

enum { FS_NAME_MAX = 255, FS_PATH_MAX = 1024, FS_LINKS_MAX = 16, FS_DEPTH_MAX = 64 };

struct fs_node {
    uint64_t id, aux; /* the reader's own */
    uint64_t size;
    enum fs_kind kind;
};

struct fs;

/* One entry of a folder; n holds at least id and aux. Nonzero ends the list and is its result. */
typedef int fs_entry_fn(void *arg, const char *name, const struct fs_node *n);

struct fs_ops {
    const char *name; /* "ext4" or a family's: "ext", "fat" */
    bool any_case;    /* names compare without case */
    /* 1: it is one; 0: it is not. From the first bytes of the volume alone. */
    int (*probe)(const struct vol *v);
    /* 0 or -errno: -ENOTSUP when something in it is not modelled, with why in fs->why. */
    MUST int (*open)(struct fs *fs);
    void (*close)(struct fs *fs);
    MUST int (*root)(struct fs *fs, struct fs_node *n);
    /* Fills kind and size from id and aux. */
    MUST int (*stat)(struct fs *fs, struct fs_node *n);
    MUST int (*list)(struct fs *fs, const struct fs_node *dir, fs_entry_fn *fn, void *arg);
    /* The bytes that were read, 0 past the end, or -errno. */
    ssize_t (*read)(struct fs *fs, const struct fs_node *n, uint64_t off, void *buf, size_t len);
    /* The target of a link, with a NUL. NULL: read() gives it. */
    MUST int (*link)(struct fs *fs, const struct fs_node *n, char *buf, size_t room);
};
extern const struct fs_ops *const filesystems[]; /* fs.c, NULL at the end */
extern const struct fs_ops fs_iso9660;           /* the one that may be where partitions are too */

struct fs {
    const struct fs_ops *ops;
    struct vol *vol;
    void *own;
    char name[16]; /* "ext4", "vfat", ... */
    char label[40], uuid[40];
    char why[96];       /* why it could not be opened */
    struct fs_node top; /* what a path begins at: the root, or a subvolume */
};

/* Opens what v holds. 1: there is one, and fs->why is empty when it can be read; 0: none known. */
int fs_open(struct vol *v, struct fs *fs);
void fs_close(struct fs *fs);
/* Quietly -ENOENT, -ENOTDIR, -ELOOP or what the reader says. */
MUST int fs_find(struct fs *fs, const struct fs_node *from, const char *name, struct fs_node *out);

/* --- several file systems as one tree --- */

enum { TREE_MOUNTS = 8 };

struct fstree {
    struct {
        char at[64]; /* "/" first, "/boot", ... */
        struct fs *fs;
        struct fs_node top;
    } mount[TREE_MOUNTS];
    size_t mounts;
};

/* A tree whose root is fs's. */
void fstree_init(struct fstree *t, struct fs *fs, const struct fs_node *top);
void fstree_mount(struct fstree *t, const char *at, struct fs *fs, const struct fs_node *top);
/* Follows links, the last one too. */
MUST int fstree_find(const struct fstree *t, const char *path, struct fs **fs, struct fs_node *n);
bool fstree_has(const struct fstree *t, const char *path);
/* malloc()ed, with a NUL that *n does not count; what is longer than max is cut. */
MUST int fstree_load(const struct fstree *t, const char *path, size_t max, char **out, size_t *n);
MUST int fstree_list(const struct fstree *t, const char *path, fs_entry_fn *fn, void *arg);
/* Where a link points to, without following it. */
MUST int fstree_link(const struct fstree *t, const char *path, char *buf, size_t room);

#endif
