/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuse.c - see fuse.h. By libfuse's high-level interface, with its threads.
 *
 * The folder holds one file of fixed size. fsync() is a flush of the disk; holes can be punched and
 * found. Nothing can be made, removed or renamed.
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 31
#include "storage/serve/fuse.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <fuse3/fuse_log.h>
#include <fuse3/fuse_lowlevel.h>
#include <linux/falloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/bell.h"
#include "core/dl.h"
#include "core/err.h"
#include "storage/serve/bytes.h"

/* Loaded when it is first used: see core/dl.h. */
DL_DECLARE(fuse_destroy);
DL_DECLARE(fuse_get_context);
DL_DECLARE(fuse_get_session);
DL_DECLARE(fuse_loop_mt_31);
DL_DECLARE(fuse_mount);
DL_DECLARE(fuse_new);
DL_DECLARE(fuse_opt_free_args);
DL_DECLARE(fuse_session_exit);
DL_DECLARE(fuse_set_log_func);
DL_DECLARE(fuse_unmount);
static const struct dl_symbol libfuse[] = {
    DL_SYMBOL(fuse_destroy),
    DL_SYMBOL(fuse_get_context),
    DL_SYMBOL(fuse_get_session),
    DL_SYMBOL(fuse_loop_mt_31),
    DL_SYMBOL(fuse_mount),
    DL_SYMBOL(fuse_new),
    DL_SYMBOL(fuse_opt_free_args),
    DL_SYMBOL(fuse_session_exit),
    DL_SYMBOL(fuse_set_log_func),
    DL_SYMBOL(fuse_unmount),
    {NULL, NULL},
};
#define fuse_destroy dl_fuse_destroy
#define fuse_get_context dl_fuse_get_context
#define fuse_get_session dl_fuse_get_session
#define fuse_loop_mt_31 dl_fuse_loop_mt_31
#define fuse_mount dl_fuse_mount
#define fuse_new dl_fuse_new
#define fuse_opt_free_args dl_fuse_opt_free_args
#define fuse_session_exit dl_fuse_session_exit
#define fuse_set_log_func dl_fuse_set_log_func
#define fuse_unmount dl_fuse_unmount

struct mount {
    struct mount_cfg c;
    struct bytes bytes;
    struct fuse *fuse;
    struct timespec made;
    int over; /* an eventfd: the loop has ended */
    bool mounted;
};

/* What libfuse, or fusermount3 through it, said last: the reason of a failed mount. */
static char said[256];

static void hear(enum fuse_log_level level, const char *fmt, va_list ap)
{
    (void)level;
    vsnprintf(said, sizeof(said), fmt, ap);
    said[strcspn(said, "\n")] = '\0';
}

static struct mount *mine(void)
{
    return fuse_get_context()->private_data;
}

static bool is_file(const struct mount *m, const char *path)
{
    return path[0] == '/' && !strcmp(path + 1, m->c.name);
}

static uint64_t size_of(const struct mount *m)
{
    return m->c.disk->shape.bytes;
}

/* --- operations; 0 or -errno --- */

static void *mount_init(struct fuse_conn_info *conn, struct fuse_config *cfg)
{
    (void)conn;
    cfg->kernel_cache = 1; /* nobody else changes the disk */
    cfg->nullpath_ok = 0;
    return mine();
}

static int mount_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
    const struct mount *m = mine();
    bool file = is_file(m, path);

    (void)fi;
    if (!file && strcmp(path, "/") != 0)
        return -ENOENT;
    *st = (struct stat){
        .st_mode = file ? S_IFREG | (m->c.disk->shape.readonly ? 0400 : 0600) : S_IFDIR | 0500,
        .st_nlink = file ? 1 : 2,
        .st_uid = getuid(),
        .st_gid = getgid(),
        .st_size = file ? (off_t)size_of(m) : 0,
        .st_blocks = file ? (blkcnt_t)((size_of(m) + 511) / 512) : 0,
        .st_mtim = m->made,
        .st_ctim = m->made,
        .st_atim = m->made,
    };
    return 0;
}

static int mount_readdir(const char *path, void *buf, fuse_fill_dir_t fill, off_t off,
                         struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
    (void)off, (void)fi, (void)flags;
    if (strcmp(path, "/") != 0)
        return -ENOTDIR;
    fill(buf, ".", NULL, 0, 0);
    fill(buf, "..", NULL, 0, 0);
    fill(buf, mine()->c.name, NULL, 0, 0);
    return 0;
}

static int mount_open(const char *path, struct fuse_file_info *fi)
{
    const struct mount *m = mine();

    if (!is_file(m, path))
        return -ENOENT;
    if (m->c.disk->shape.readonly && (fi->flags & O_ACCMODE) != O_RDONLY)
        return -EROFS;
    fi->keep_cache = 1;
    return 0;
}

static int mount_read(const char *path, char *buf, size_t n, off_t off, struct fuse_file_info *fi)
{
    struct mount *m = mine();
    int rc;

    (void)path, (void)fi;
    if ((uint64_t)off >= size_of(m))
        return 0;
    n = min_u64(min_u64(n, size_of(m) - (uint64_t)off), INT32_MAX);
    rc = bytes_try(&m->bytes, DISK_READ, (uint64_t)off, buf, n);
    if (rc < 0)
        rc = bytes_read(&m->bytes, (uint64_t)off, buf, n);
    return rc < 0 ? rc : (int)n;
}

static int mount_write(const char *path, const char *buf, size_t n, off_t off,
                       struct fuse_file_info *fi)
{
    struct mount *m = mine();
    int rc;

    (void)path, (void)fi;
    if ((uint64_t)off >= size_of(m))
        return -EFBIG;
    n = min_u64(min_u64(n, size_of(m) - (uint64_t)off), INT32_MAX);
    rc = bytes_write(&m->bytes, (uint64_t)off, buf, n, false);
    return rc < 0 ? rc : (int)n;
}

/* Programs that copy onto a disk cut it first, to nothing or to its size: only the size stays. */
static int mount_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
    const struct mount *m = mine();

    (void)fi;
    if (!is_file(m, path))
        return -ENOENT;
    if (m->c.disk->shape.readonly)
        return -EROFS;
    return (uint64_t)size == size_of(m) ? 0 : -EPERM;
}

static int mount_fsync(const char *path, int data, struct fuse_file_info *fi)
{
    (void)path, (void)data, (void)fi;
    return disk_flush(mine()->c.disk);
}

static int mount_fallocate(const char *path, int mode, off_t off, off_t len,
                           struct fuse_file_info *fi)
{
    struct mount *m = mine();
    uint64_t at = (uint64_t)off, n;

    (void)path, (void)fi;
    if (at >= size_of(m) || len <= 0)
        return -EINVAL;
    n = min_u64((uint64_t)len, size_of(m) - at);
    if (mode & FALLOC_FL_PUNCH_HOLE)
        return bytes_zero(&m->bytes, at, n, true, false);
    if (mode & FALLOC_FL_ZERO_RANGE)
        return bytes_zero(&m->bytes, at, n, false, false);
    return mode & ~FALLOC_FL_KEEP_SIZE ? -EOPNOTSUPP : 0;
}

struct seek {
    bool data;
    uint64_t found;
};

static int seek_extent(void *arg, const struct extent *x)
{
    struct seek *s = arg;

    if ((x->kind == EXTENT_DATA) != s->data)
        return 0;
    s->found = x->off;
    return 1;
}

static off_t mount_lseek(const char *path, off_t off, int whence, struct fuse_file_info *fi)
{
    struct mount *m = mine();
    struct seek s = {.data = whence == SEEK_DATA, .found = size_of(m)};
    int rc;

    (void)path, (void)fi;
    if (whence != SEEK_DATA && whence != SEEK_HOLE)
        return -EINVAL;
    if (off < 0 || (uint64_t)off >= size_of(m))
        return -ENXIO;
    rc = disk_extents(m->c.disk, (uint64_t)off, size_of(m) - (uint64_t)off, seek_extent, &s);
    if (rc < 0)
        return rc;
    return rc == 0 && s.data ? -ENXIO : (off_t)s.found;
}

static const struct fuse_operations operations = {
    .init = mount_init,
    .getattr = mount_getattr,
    .readdir = mount_readdir,
    .open = mount_open,
    .read = mount_read,
    .write = mount_write,
    .truncate = mount_truncate,
    .fsync = mount_fsync,
    .fallocate = mount_fallocate,
    .lseek = mount_lseek,
};

/* --- life --- */

static int no_mount(const struct mount_cfg *c, struct err *e)
{
    return err_exit(
        e, EX_HOST_IO, EIO,
        "cannot mount at '%s': %s; FUSE needs /dev/fuse, and fusermount3 where the user "
        "is not root",
        c->dir, said[0] ? said : "libfuse gives no reason");
}

static int check_dir(const struct mount_cfg *c, struct err *e)
{
    struct stat st;

    if (stat(c->dir, &st) < 0)
        return err_set(e, errno, "cannot mount at '%s': %s", c->dir, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return err_exit(e, EX_USAGE_, ENOTDIR, "cannot mount at '%s': that is no folder", c->dir);
    return 0;
}

int mount_create(const struct mount_cfg *c, struct mount **out, struct err *e)
{
    char options[128], *argv[] = {(char *)"hospes", (char *)"-o", options, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(3, argv);
    struct mount *m;
    int rc = check_dir(c, e);

    if (rc == 0)
        rc = dl_load("libfuse3.so.3", "libfuse3-3", libfuse, e);
    if (rc < 0)
        return rc;
    m = calloc(1, sizeof(*m));
    if (!m)
        return err_set(e, ENOMEM, "no memory to mount '%s'", c->dir);
    m->c = *c;
    m->over = bell_make();
    clock_gettime(CLOCK_REALTIME, &m->made);
    bytes_init(&m->bytes, c->disk);
    snprintf(options, sizeof(options), "fsname=hospes,subtype=disk,default_permissions%s",
             c->disk->shape.readonly ? ",ro" : "");
    fuse_set_log_func(hear);
    m->fuse = fuse_new(&args, &operations, sizeof(operations), m);
    fuse_opt_free_args(&args);
    m->mounted = m->fuse && m->over >= 0 && fuse_mount(m->fuse, c->dir) == 0;
    if (!m->mounted) {
        mount_destroy(m);
        return no_mount(c, e);
    }
    *out = m;
    return 0;
}

static void *serve(void *arg)
{
    struct mount *m = arg;

    (void)fuse_loop_mt(m->fuse, 0);
    bell_ring(m->over);
    return NULL;
}

int mount_run(struct mount *m, int stop_fd, struct err *e)
{
    struct pollfd p[2] = {{.fd = stop_fd, .events = POLLIN}, {.fd = m->over, .events = POLLIN}};
    pthread_t t;
    int rc = pthread_create(&t, NULL, serve, m);

    if (rc)
        return err_set(e, rc, "cannot start a thread: %s", strerror(rc));
    while (poll(p, 2, -1) < 0 && errno == EINTR)
        ;
    if (!p[1].revents) {
        fuse_session_exit(fuse_get_session(m->fuse));
        fuse_unmount(m->fuse); /* wakes the loop; programs that have the file open keep it */
        m->mounted = false;
    }
    pthread_join(t, NULL);
    return 0;
}

void mount_destroy(struct mount *m)
{
    if (!m)
        return;
    if (m->mounted)
        fuse_unmount(m->fuse);
    if (m->fuse)
        fuse_destroy(m->fuse);
    if (m->over >= 0)
        close(m->over);
    bytes_fini(&m->bytes);
    free(m);
}
