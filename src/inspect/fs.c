/* SPDX-License-Identifier: Apache-2.0 */
/* fs.c - see fs.h: the table of readers, paths and links. */
#define _GNU_SOURCE
#include "inspect/fs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct fs_ops fs_ext, fs_xfs, fs_btrfs, fs_ntfs, fs_fat, fs_ufs;

const struct fs_ops *const filesystems[] = {
    &fs_ext, &fs_xfs, &fs_btrfs, &fs_ntfs, &fs_iso9660, &fs_ufs, &fs_fat, NULL,
};

int fs_open(struct vol *v, struct fs *fs)
{
    *fs = (struct fs){.vol = v};
    for (size_t i = 0; filesystems[i]; i++) {
        int rc;

        if (filesystems[i]->probe(v) <= 0)
            continue;
        fs->ops = filesystems[i];
        snprintf(fs->name, sizeof(fs->name), "%s", fs->ops->name);
        rc = fs->ops->open(fs);
        if (rc == 0)
            rc = fs->ops->root(fs, &fs->top);
        if (rc < 0 && !fs->why[0])
            snprintf(fs->why, sizeof(fs->why), "%s", strerror(-rc));
        return 1;
    }
    return 0;
}

void fs_close(struct fs *fs)
{
    if (fs->ops)
        fs->ops->close(fs);
    fs->ops = NULL;
}

/* --- one name --- */

struct finding_name {
    const char *name;
    bool any_case;
    struct fs_node *out;
};

static int name_matches(void *arg, const char *name, const struct fs_node *n)
{
    struct finding_name *f = arg;

    if (f->any_case ? strcasecmp(name, f->name) != 0 : strcmp(name, f->name) != 0)
        return 0;
    *f->out = *n;
    return 1;
}

int fs_find(struct fs *fs, const struct fs_node *from, const char *name, struct fs_node *out)
{
    struct finding_name f = {name, fs->ops->any_case, out};
    int rc;

    if (from->kind != FS_DIR)
        return -ENOTDIR;
    rc = fs->ops->list(fs, from, name_matches, &f);
    if (rc == 0)
        return -ENOENT;
    return rc < 0 ? rc : fs->ops->stat(fs, out);
}

static int node_link(struct fs *fs, const struct fs_node *n, char *buf, size_t room)
{
    ssize_t got;

    if (fs->ops->link)
        return fs->ops->link(fs, n, buf, room);
    if (n->size >= room)
        return -ENAMETOOLONG;
    got = fs->ops->read(fs, n, 0, buf, (size_t)n->size);
    if (got < 0)
        return (int)got;
    buf[got] = '\0';
    return 0;
}

/* --- paths --- */

void fstree_init(struct fstree *t, struct fs *fs, const struct fs_node *top)
{
    *t = (struct fstree){.mounts = 0};
    fstree_mount(t, "/", fs, top);
}

void fstree_mount(struct fstree *t, const char *at, struct fs *fs, const struct fs_node *top)
{
    size_t i = t->mounts;

    if (i == TREE_MOUNTS || strlen(at) >= sizeof(t->mount[i].at))
        return;
    snprintf(t->mount[i].at, sizeof(t->mount[i].at), "%s", at);
    t->mount[i].fs = fs;
    t->mount[i].top = top ? *top : fs->top;
    t->mounts++;
}

/* A place that a walk has reached. The stack lets ".." go back without help from the readers. */
struct walk {
    const struct fstree *t;
    struct fs *fs;
    struct fs_node node[FS_DEPTH_MAX];
    struct fs *of[FS_DEPTH_MAX];
    size_t depth; /* node[depth] is where we are */
    char at[FS_PATH_MAX];
    size_t end[FS_DEPTH_MAX]; /* of `at`, at each depth */
    unsigned links;
    bool keep_last; /* the last part is not followed when it is a link */
};

static int walk_path(struct walk *w, const char *path);

static void walk_top(struct walk *w)
{
    w->depth = 0;
    w->node[0] = w->t->mount[0].top;
    w->of[0] = w->t->mount[0].fs;
    w->at[0] = '\0';
    w->end[0] = 0;
}

/* Steps onto another file system where one is mounted. */
static void walk_mount(struct walk *w)
{
    for (size_t i = 1; i < w->t->mounts; i++) {
        if (strcmp(w->t->mount[i].at, w->at) == 0) {
            w->node[w->depth] = w->t->mount[i].top;
            w->of[w->depth] = w->t->mount[i].fs;
        }
    }
}

static int walk_link(struct walk *w, struct fs *fs, const struct fs_node *n)
{
    char target[FS_PATH_MAX];
    int rc;

    if (++w->links > FS_LINKS_MAX)
        return -ELOOP;
    rc = node_link(fs, n, target, sizeof(target));
    if (rc == 0) {
        bool keep = w->keep_last;

        w->keep_last = false; /* that is about the caller's own path */
        rc = walk_path(w, target);
        w->keep_last = keep;
    }
    return rc;
}

static int walk_step(struct walk *w, const char *name, bool last)
{
    struct fs *fs = w->of[w->depth];
    struct fs_node n;
    size_t end = w->end[w->depth];
    int rc;

    if (strcmp(name, ".") == 0)
        return 0;
    if (strcmp(name, "..") == 0) {
        w->depth -= w->depth > 0;
        w->at[w->end[w->depth]] = '\0';
        return 0;
    }
    rc = fs_find(fs, &w->node[w->depth], name, &n);
    if (rc < 0)
        return rc;
    if (n.kind == FS_LINK && !(last && w->keep_last))
        return walk_link(w, fs, &n);
    if (w->depth + 1 == FS_DEPTH_MAX || end + strlen(name) + 2 > sizeof(w->at))
        return -ENAMETOOLONG;
    w->depth++;
    w->node[w->depth] = n;
    w->of[w->depth] = fs;
    w->end[w->depth] = end + (size_t)snprintf(w->at + end, sizeof(w->at) - end, "/%s", name);
    walk_mount(w);
    return 0;
}

static int walk_path(struct walk *w, const char *path)
{
    char name[FS_NAME_MAX + 1];
    int rc = 0;

    if (*path == '/')
        walk_top(w);
    while (rc == 0 && *path) {
        size_t n = strcspn(path, "/");

        if (n > FS_NAME_MAX)
            return -ENAMETOOLONG;
        memcpy(name, path, n);
        name[n] = '\0';
        path += n;
        path += strspn(path, "/");
        if (n > 0)
            rc = walk_step(w, name, *path == '\0');
    }
    return rc;
}

static int tree_walk(const struct fstree *t, const char *path, bool keep_last, struct fs **fs,
                     struct fs_node *n)
{
    struct walk w = {.t = t, .keep_last = keep_last};
    int rc;

    if (t->mounts == 0)
        return -ENOENT;
    walk_top(&w);
    rc = walk_path(&w, path);
    if (rc < 0)
        return rc;
    *fs = w.of[w.depth];
    *n = w.node[w.depth];
    return 0;
}

int fstree_find(const struct fstree *t, const char *path, struct fs **fs, struct fs_node *n)
{
    return tree_walk(t, path, false, fs, n);
}

bool fstree_has(const struct fstree *t, const char *path)
{
    struct fs_node n;
    struct fs *fs;

    return fstree_find(t, path, &fs, &n) == 0;
}

int fstree_load(const struct fstree *t, const char *path, size_t max, char **out, size_t *n)
{
    struct fs_node node;
    struct fs *fs;
    ssize_t got;
    int rc = fstree_find(t, path, &fs, &node);

    if (rc < 0)
        return rc;
    if (node.kind != FS_FILE)
        return -EISDIR;
    *n = (size_t)min_u64(node.size, max);
    *out = malloc(*n + 1);
    if (!*out)
        return -ENOMEM;
    got = fs->ops->read(fs, &node, 0, *out, *n);
    if (got < 0) {
        free(*out);
        *out = NULL;
        return (int)got;
    }
    *n = (size_t)got;
    (*out)[got] = '\0';
    return 0;
}

int fstree_list(const struct fstree *t, const char *path, fs_entry_fn *fn, void *arg)
{
    struct fs_node node;
    struct fs *fs;
    int rc = fstree_find(t, path, &fs, &node);

    if (rc < 0)
        return rc;
    return node.kind == FS_DIR ? fs->ops->list(fs, &node, fn, arg) : -ENOTDIR;
}

int fstree_link(const struct fstree *t, const char *path, char *buf, size_t room)
{
    struct fs_node node;
    struct fs *fs;
    int rc = tree_walk(t, path, true, &fs, &node);

    if (rc < 0)
        return rc;
    return node.kind == FS_LINK ? node_link(fs, &node, buf, room) : -EINVAL;
}
