/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain.c - following what an image file refers to: its parent, its extents.
 *
 * An image is an input like any other, and a name in it is a wish: a hostile one names /etc/shadow
 * or a device. By default a reference must lead into the image's own directory, by a relative name
 * or by a whole one, and the kernel resolves it beneath that (openat2), so that neither ".." nor a
 * symbolic link leads out. Who opens the image may give a larger directory: that of a machine's
 * description, in which VirtualBox, for instance, keeps children below their parents.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/err.h"
#include "core/path.h"
#include "storage/file.h"
#include "storage/image.h"
#include "storage/lock.h"

enum { CHAIN_MAX = 64 };

static int outside(const struct disk_cfg *c, const char *name, struct err *e)
{
    return err_set(e, EINVAL,
                   "image '%s' refers to '%s', which lies outside its own directory; if you "
                   "trust the image, allow that with the option --outside, or run --trust",
                   c->path, name);
}

/* Where a reference may lead, and its name from there. */
struct confined {
    char *root, *name;
};

static void confined_free(struct confined *k)
{
    free(k->root);
    free(k->name);
}

/* dir is the image's directory as c has it, own the same as it is. -EXDEV: it leads elsewhere. */
static int confine_to(const struct disk_cfg *c, const char *dir, const char *own, const char *name,
                      struct confined *k)
{
    const char *deep = c->within ? path_below(c->within, own) : NULL, *rest = name;
    char *from_root;

    if (name[0] == '/') {
        rest = path_below(own, name);
        rest = rest ? rest : path_below(dir, name);
        if (!rest && deep) {
            rest = path_below(c->within, name);
            deep = "";
        }
    }
    if (!rest || !*rest)
        return -EXDEV;
    if (asprintf(&from_root, "%s%s%s", deep ? deep : "", deep && *deep ? "/" : "", rest) < 0)
        from_root = NULL;
    if (from_root && path_leads_above(from_root)) {
        free(from_root);
        return -EXDEV;
    }
    k->name = from_root;
    k->root = strdup(deep ? c->within : own);
    return k->root && k->name ? 0 : -ENOMEM;
}

static int confine(const struct disk_cfg *c, const char *name, struct confined *k)
{
    char *dir = path_folder(c->path), *own = dir ? realpath(dir, NULL) : NULL;
    int rc = own ? confine_to(c, dir, own, name, k) : errno > 0 ? -errno : -ENOENT;

    free(own);
    free(dir);
    return rc;
}

/* A descriptor or -errno. */
static int open_confined(const struct disk_cfg *c, const char *name, int flags)
{
    struct open_how how = {.flags = (uint64_t)flags,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    struct confined k = {0};
    int fd = confine(c, name, &k), dir;

    if (k.root && k.name) {
        dir = open(k.root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        fd = dir < 0 ? -errno : (int)syscall(SYS_openat2, dir, k.name, &how, sizeof(how));
        fd = fd == -1 ? -errno : fd;
        if (dir >= 0)
            close(dir);
    }
    confined_free(&k);
    return fd;
}

/* The name as seen from here, so that its own references are relative to where it lies. */
static char *joined(const char *image, const char *name)
{
    char *dir, *out = NULL;

    if (name[0] == '/')
        return strdup(name);
    dir = path_folder(image);
    if (dir && asprintf(&out, "%s/%s", dir, name) < 0)
        out = NULL;
    free(dir);
    return out;
}

static int open_anywhere(const struct disk_cfg *c, const char *name, int flags)
{
    char *path = joined(c->path, name);
    int fd = path ? open(path, flags) : -1, code = path ? errno : ENOMEM;

    free(path);
    return fd >= 0 ? fd : -code;
}

/* A descriptor, or -errno with e filled. */
static int resolve(const struct disk_cfg *c, const char *name, bool readonly, struct err *e)
{
    const int flags = O_CLOEXEC | O_NONBLOCK | (readonly ? O_RDONLY : O_RDWR);
    int fd = c->allow_outside ? open_anywhere(c, name, flags) : open_confined(c, name, flags);
    struct stat st;

    if (fd == -EXDEV)
        return outside(c, name, e);
    if (fd < 0)
        return err_set(e, -fd, "cannot open '%s', which image '%s' refers to: %s", name, c->path,
                       strerror(-fd));
    if (!c->allow_outside && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
        close(fd);
        return outside(c, name, e);
    }
    return fd;
}

int chain_file(const struct disk_cfg *c, const char *name, bool readonly, struct loop *l,
               struct disk **out, struct err *e)
{
    int fd, rc = 0;

    if (c->member)
        return err_set(e, EINVAL,
                       "image '%s' refers to '%s', which is not followed from inside an archive; "
                       "unpack the archive with tar",
                       c->path, name);
    fd = resolve(c, name, readonly, e);
    if (fd < 0)
        return fd;
    if (!c->no_lock)
        rc = lock_take(fd, !readonly, name, e);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    return file_adopt(fd, name, readonly, l, out, e);
}

static bool is_it(const struct disk_cfg *c, const char *name, chain_is_fn *is, const void *arg)
{
    struct disk_cfg quiet = *c;
    struct disk *file;
    struct err e;
    bool yes;

    quiet.no_lock = true;
    if (chain_file(&quiet, name, true, NULL, &file, &e) < 0)
        return false;
    yes = is(file, arg);
    disk_close(file);
    return yes;
}

int chain_beside(const struct disk_cfg *c, const char *suffixes, chain_is_fn *is, const void *arg,
                 char name[CHAIN_NAME])
{
    /* VirtualBox keeps children in a folder of their own, below the disk that they began with. */
    const char *const folders[] = {"", chain_above(c) ? "../" : NULL};

    name[0] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(folders) && folders[i] && !*name; i++) {
        char *path = joined(c->path, *folders[i] ? folders[i] : ".");
        DIR *dir = path ? opendir(path) : NULL;
        struct dirent *de;

        while (dir && !*name && (de = readdir(dir))) {
            char what[CHAIN_NAME];

            if (path_has_suffix(de->d_name, suffixes) &&
                (size_t)snprintf(what, sizeof(what), "%s%s", folders[i], de->d_name) <
                    sizeof(what) &&
                is_it(c, what, is, arg))
                memcpy(name, what, sizeof(what));
        }
        if (dir)
            closedir(dir);
        free(path);
    }
    return *name ? 0 : -ENOENT;
}

int chain_open(const struct disk_cfg *c, const char *name, const char *format, struct loop *l,
               struct disk **out, struct err *e)
{
    struct disk_cfg pc = *c;
    struct disk *file;
    char *path;
    int rc;

    *out = NULL;
    if (c->no_chain)
        return 0;
    if (c->depth + 1 >= CHAIN_MAX)
        return err_set(e, EINVAL, "image '%s' has a chain of more than %d parents, or a loop",
                       c->path, CHAIN_MAX);
    rc = chain_file(c, name, true, l, &file, e);
    if (rc < 0)
        return rc;
    path = joined(c->path, name);
    if (!path) {
        disk_close(file);
        return err_set(e, ENOMEM, "no memory to open '%s'", name);
    }
    pc.path = path;
    pc.format = format;
    pc.readonly = true;
    pc.snapshot = false;
    pc.depth = c->depth + 1;
    rc = disk_open_file(file, &pc, l, out, e);
    free(path);
    return rc;
}
