/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain.c - following what an image file refers to: its parent, its extents.
 *
 * An image is an input like any other, and a name in it is a wish: a hostile one names /etc/shadow
 * or a device. By default a reference must be a relative name without "..", and the kernel resolves
 * it beneath the image's own directory (openat2), so that no symbolic link leads out.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/err.h"
#include "storage/file.h"
#include "storage/image.h"
#include "storage/lock.h"

enum { CHAIN_MAX = 64 };

static int outside(const struct disk_cfg *c, const char *name, struct err *e)
{
    return err_set(e, EINVAL,
                   "image '%s' refers to '%s', which lies outside its own directory; allow that "
                   "with the option 'outside' if you trust the image",
                   c->path, name);
}

/* The image's directory. */
static int open_dir(const struct disk_cfg *c, struct err *e)
{
    char *copy = strdup(c->path);
    int fd = -1, code = ENOMEM;

    if (copy) {
        fd = open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC);
        code = errno;
    }
    free(copy);
    return fd >= 0
               ? fd
               : err_set(e, code, "cannot open the directory of '%s': %s", c->path, strerror(code));
}

static int open_beneath(int dir, const char *name, bool readonly)
{
    struct open_how how = {
        .flags = (uint64_t)(O_CLOEXEC | O_NONBLOCK | (readonly ? O_RDONLY : O_RDWR)),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };

    return (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));
}

/* A descriptor, or -errno with e filled. */
static int resolve(const struct disk_cfg *c, const char *name, bool readonly, struct err *e)
{
    int dir = open_dir(c, e), fd, code;
    struct stat st;

    if (dir < 0)
        return dir;
    if (c->allow_outside)
        fd = openat(dir, name, O_CLOEXEC | O_NONBLOCK | (readonly ? O_RDONLY : O_RDWR));
    else
        fd = open_beneath(dir, name, readonly);
    code = errno;
    close(dir);
    if (fd < 0 && code == EXDEV)
        return outside(c, name, e);
    if (fd < 0)
        return err_set(e, code, "cannot open '%s', which image '%s' refers to: %s", name, c->path,
                       strerror(code));
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
    if (!c->allow_outside && (name[0] == '/' || name[0] == '\0' || strstr(name, "..")))
        return outside(c, name, e);
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

/* The path of the parent, so that its own references are relative to where it lies. */
static char *joined(const char *image, const char *name)
{
    char *copy, *out = NULL;

    if (name[0] == '/')
        return strdup(name);
    copy = strdup(image);
    if (copy && asprintf(&out, "%s/%s", dirname(copy), name) < 0)
        out = NULL;
    free(copy);
    return out;
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
