/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.c - see file.h.
 *
 * Guest memory is used in place: the iovecs of a request go to the kernel as they are. Reads and
 * writes submitted by the loop go to io_uring where the host has it, in one system call for all
 * that a round of the loop has gathered; zeroing and trimming, and everything where there is no
 * io_uring, go to worker threads.
 *
 * A failed fdatasync is final: the kernel may have dropped the pages and would report success the
 * next time. Every later flush fails likewise, so nobody takes that data for durable.
 */
#define _GNU_SOURCE
#include "storage/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/err.h"
#include "storage/lock.h"
#include "storage/uring.h"

/* Below this, asking for space costs more than it saves. */
enum { RESERVE_MIN = 128 * 1024 };

struct file {
    struct disk d;
    int fd;
    char *path;
    bool threads;      /* no io_uring, or it was refused */
    bool no_try_write; /* the file system cannot write without waiting */
    bool no_sync;
    bool reserves; /* before it writes much */
    int try_flags; /* of preadv2() and pwritev2() */
    int failed;    /* -errno of the first failed sync; atomic */
    struct uring *ring;
};

static struct file *file_of(struct disk *d)
{
    return container_of(d, struct file, d);
}

/* The file now reaches at least to `end`. */
static void grown(struct file *f, uint64_t end)
{
    uint64_t old = disk_bytes(&f->d);

    while (f->d.shape.grows && old < end &&
           !__atomic_compare_exchange_n(&f->d.shape.bytes, &old, end, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
        ;
}

/* --- blocking I/O --- */

/* The rest of a transfer of which `did` bytes are done, piece by piece. */
static int transfer_rest(struct file *f, const struct disk_req *r, uint64_t did)
{
    uint64_t at = 0;

    for (unsigned i = 0; i < r->iovcnt; i++) {
        uint8_t *p = r->iov[i].iov_base;
        size_t n = r->iov[i].iov_len;

        while (n) {
            size_t skip = did > at ? min_u64(did - at, n) : 0;
            ssize_t got = (ssize_t)skip;

            if (!skip && r->op == DISK_READ)
                got = pread(f->fd, p, n, (off_t)(r->off + at));
            else if (!skip)
                got = pwrite(f->fd, p, n, (off_t)(r->off + at));
            if (got < 0 && errno == EINTR)
                continue;
            if (got < 0)
                return -errno;
            if (got == 0 && r->op != DISK_READ)
                return -EIO;
            if (got == 0) { /* past the end of the file */
                memset(p, 0, n);
                got = (ssize_t)n;
            }
            p += got;
            n -= (size_t)got;
            at += (uint64_t)got;
        }
    }
    return 0;
}

static int sync_now(struct file *f)
{
    int failed = __atomic_load_n(&f->failed, __ATOMIC_ACQUIRE);

    if (failed == 0 && !f->no_sync && fdatasync(f->fd) < 0) {
        failed = -errno;
        __atomic_store_n(&f->failed, failed, __ATOMIC_RELEASE);
    }
    return failed;
}

static int transfer(struct file *f, const struct disk_req *r)
{
    ssize_t got;
    int rc = 0;

    if (f->reserves && r->op == DISK_WRITE && r->len >= RESERVE_MIN) /* the write says what fails */
        (void)!fallocate(f->fd, FALLOC_FL_KEEP_SIZE, (off_t)r->off, (off_t)r->len);
    do {
        if (r->op == DISK_READ)
            got = preadv(f->fd, r->iov, (int)r->iovcnt, (off_t)r->off);
        else
            got = pwritev(f->fd, r->iov, (int)r->iovcnt, (off_t)r->off);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    if ((uint64_t)got < r->len)
        rc = transfer_rest(f, r, (uint64_t)got);
    if (rc == 0 && r->op == DISK_WRITE)
        grown(f, r->off + r->len);
    return rc == 0 && r->fua ? sync_now(f) : rc;
}

static int write_zeroes(struct file *f, uint64_t off, uint64_t len)
{
    static const uint8_t zeroes[64 * 1024];

    while (len) {
        ssize_t n = pwrite(f->fd, zeroes, min_u64(len, sizeof(zeroes)), (off_t)off);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        off += (uint64_t)n;
        len -= (uint64_t)n;
    }
    return 0;
}

static bool unsupported(int code)
{
    return code == EOPNOTSUPP || code == ENOSYS || code == ENODEV || code == EINVAL;
}

static int zero(struct file *f, const struct disk_req *r)
{
    uint64_t end = r->off + r->len, size = disk_bytes(&f->d), inside = 0;
    int mode = r->unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
    int rc = 0;

    if (r->off < size)
        inside = min_u64(end, size) - r->off;
    if (inside && fallocate(f->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)r->off, (off_t)inside) < 0)
        rc = unsupported(errno) ? write_zeroes(f, r->off, inside) : -errno;
    if (rc == 0 && end > size) { /* the last byte alone makes a hole of the rest */
        rc = write_zeroes(f, end - 1, 1);
        grown(f, end);
    }
    return rc == 0 && r->fua ? sync_now(f) : rc;
}

static int trim(struct file *f, const struct disk_req *r)
{
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

    if (r->off >= disk_bytes(&f->d))
        return 0;
    if (fallocate(f->fd, mode, (off_t)r->off, (off_t)r->len) < 0 && !unsupported(errno))
        return -errno;
    return 0;
}

static int file_now(struct disk *d, struct disk_req *r)
{
    struct file *f = file_of(d);

    switch (r->op) {
    case DISK_READ:
    case DISK_WRITE:
        return transfer(f, r);
    case DISK_FLUSH:
        return sync_now(f);
    case DISK_ZERO:
        return zero(f, r);
    case DISK_TRIM:
        return trim(f, r);
    }
    return -EINVAL;
}

/* preadv2() and pwritev2() pay for reading the vector and for their flags: where neither is
 * needed, the plain calls do. */
static ssize_t try_read(const struct file *f, const struct disk_req *r)
{
    if (r->iovcnt == 1 && f->try_flags == 0)
        return pread(f->fd, r->iov->iov_base, r->iov->iov_len, (off_t)r->off);
    return preadv2(f->fd, r->iov, (int)r->iovcnt, (off_t)r->off, f->try_flags);
}

static ssize_t try_write(const struct file *f, const struct disk_req *r)
{
    if (r->iovcnt == 1 && f->try_flags == 0)
        return pwrite(f->fd, r->iov->iov_base, r->iov->iov_len, (off_t)r->off);
    return pwritev2(f->fd, r->iov, (int)r->iovcnt, (off_t)r->off, f->try_flags);
}

static int file_try(struct disk *d, struct disk_req *r)
{
    struct file *f = file_of(d);
    ssize_t got = -1;

    if (r->op == DISK_READ) {
        got = try_read(f, r);
    } else if (r->op == DISK_WRITE && !r->fua && !f->no_try_write) {
        got = try_write(f, r);
        if (got < 0 && errno == EOPNOTSUPP)
            f->no_try_write = true;
    }
    if (got < 0 || (uint64_t)got < r->len)
        return -EAGAIN; /* a part that was written is written again, with the same bytes */
    if (r->op == DISK_WRITE)
        grown(f, r->off + r->len);
    return 0;
}

/* --- on the loop --- */

/* A completion of the ring. Anything out of the ordinary is done again by a worker, which loops
 * over short transfers and fills in zeroes past the end; all of it is harmless to repeat. */
static void ring_done(struct disk_req *r, int res)
{
    struct file *f = file_of(r->disk);

    if (r->op == DISK_FLUSH) {
        if (res < 0 && res != -EINTR && res != -EAGAIN)
            __atomic_store_n(&f->failed, res, __ATOMIC_RELEASE);
        if (res == 0)
            res = __atomic_load_n(&f->failed, __ATOMIC_ACQUIRE);
    } else if (res >= 0) {
        if ((uint64_t)res < r->len)
            res = -EAGAIN;
        else if (r->op == DISK_WRITE)
            grown(f, r->off + r->len);
    }
    if (res == -EAGAIN || res == -EINTR)
        disk_work(&f->d, r);
    else
        disk_finish(r, res > 0 ? 0 : res);
}

static void file_submit(struct disk *d, struct disk_req *r)
{
    struct file *f = file_of(d);

    if (!f->ring && !f->threads && uring_create(d->loop, f->fd, ring_done, &f->ring) < 0)
        f->threads = true;
    if (f->threads || r->op == DISK_ZERO || r->op == DISK_TRIM || (r->fua && r->op != DISK_READ) ||
        (r->op == DISK_FLUSH && __atomic_load_n(&f->failed, __ATOMIC_ACQUIRE)))
        disk_work(d, r);
    else
        uring_queue(f->ring, r);
}

/* --- extents --- */

static int file_extents(struct disk *d, uint64_t off, uint64_t len, extent_fn *fn, void *arg)
{
    struct file *f = file_of(d);
    uint64_t end = off + len;
    int rc = 0;

    while (off < end && rc == 0) {
        struct extent x = {.off = off, .file_off = off, .file = d, .kind = EXTENT_DATA};
        off_t next = lseek(f->fd, (off_t)off, SEEK_DATA);

        if (next < 0 && errno == ENXIO) { /* no data up to the end */
            x.kind = EXTENT_HOLE;
            next = (off_t)end;
        } else if (next < 0) { /* cannot tell */
            next = (off_t)end;
        } else if ((uint64_t)next > off) {
            x.kind = EXTENT_HOLE;
        } else {
            next = lseek(f->fd, (off_t)off, SEEK_HOLE);
            if (next <= (off_t)off)
                next = (off_t)end;
        }
        x.len = min_u64((uint64_t)next, end) - off;
        if (x.kind == EXTENT_HOLE) {
            x.file_off = UINT64_MAX;
            x.file = NULL;
        }
        rc = fn(arg, &x);
        off += x.len;
    }
    return rc;
}

/* --- opening --- */

static void file_close(struct disk *d)
{
    struct file *f = file_of(d);

    uring_destroy(f->ring);
    disk_fini(d);
    close(f->fd);
    free(f->path);
    free(f);
}

static const struct disk_ops file_ops = {
    .name = "file",
    .close = file_close,
    .now = file_now,
    .submit = file_submit,
    .try = file_try,
    .extents = file_extents,
};

/* tmpfs refuses RWF_NOWAIT before Linux 6.6, and has no device to wait for: at worst it swaps, as
 * guest memory does. */
static int flags_for_try(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC ? 0 : RWF_NOWAIT;
}

/* ext4 reserves the space of a write block by block, at a third of what writing costs; given at
 * once, it is nearly free. Others do not: tmpfs would clear what is about to be written. */
static bool reserves(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) == 0 && fs.f_type == EXT4_SUPER_MAGIC;
}

/* Size, block sizes and what the host can do. */
static int examine(struct file *f, struct err *e)
{
    struct disk_shape *s = &f->d.shape;
    struct stat st;
    int logical = 512;
    uint64_t bytes;

    if (fstat(f->fd, &st) < 0)
        return err_set(e, errno, "cannot examine disk image '%s': %s", f->path, strerror(errno));
    *s = (struct disk_shape){.logical = 1, .physical = 4096, .trims = true};
    f->try_flags = flags_for_try(f->fd);
    if (S_ISREG(st.st_mode)) {
        s->bytes = (uint64_t)st.st_size;
        s->grows = true;
        return 0;
    }
    if (S_ISDIR(st.st_mode))
        return err_set(e, EINVAL, "disk image '%s' is a directory; name a file or a block device",
                       f->path);
    if (!S_ISBLK(st.st_mode))
        return err_set(e, EINVAL,
                       "disk image '%s' is neither a file nor a block device; name one of these",
                       f->path);
    if (ioctl(f->fd, BLKGETSIZE64, &bytes) < 0 || ioctl(f->fd, BLKSSZGET, &logical) < 0)
        return err_set(e, errno, "cannot ask block device '%s' for its size: %s", f->path,
                       strerror(errno));
    s->bytes = bytes;
    s->physical = (uint32_t)logical;
    return 0;
}

int file_adopt(int fd, const char *name, bool readonly, struct loop *l, struct disk **out,
               struct err *e)
{
    struct file *f = calloc(1, sizeof(*f));
    int rc, flags;

    if (!f || !(f->path = strdup(name))) {
        free(f);
        close(fd);
        return err_set(e, ENOMEM, "no memory to open disk image '%s'", name);
    }
    f->fd = fd;
    /* Only for who owns the file; an access time that moves at each read is of no use to anybody.
     */
    flags = fcntl(fd, F_GETFL);
    if (flags >= 0)
        (void)fcntl(fd, F_SETFL, flags | O_NOATIME);
    rc = examine(f, e);
    if (rc < 0) {
        file_close(&f->d);
        return rc;
    }
    disk_init(&f->d, &file_ops, l);
    f->d.shape.readonly = readonly;
    *out = &f->d;
    return 0;
}

static int open_error(const struct file_cfg *c, int code, struct err *e)
{
    switch (code) {
    case ENOENT:
        if (c->create)
            return err_set(e, ENOENT, "cannot make '%s': its directory does not exist", c->path);
        return err_set(e, ENOENT, "disk image '%s' does not exist; check the path", c->path);
    case EISDIR:
        return err_set(e, EINVAL, "disk image '%s' is a directory; name a file or a block device",
                       c->path);
    case EEXIST:
        return err_exit(e, EX_USAGE_, EEXIST,
                        "'%s' exists already; choose another name or remove it", c->path);
    case EACCES:
    case EPERM:
    case EROFS:
        if (c->create)
            return err_set(e, code, "cannot make '%s': %s; choose a directory that can be written",
                           c->path, strerror(code));
        return err_set(e, code, "no permission to open disk image '%s' for %s; %s", c->path,
                       c->readonly ? "reading" : "writing",
                       c->readonly ? "change its mode or owner"
                                   : "change its mode or owner, or use a snapshot of it");
    default:
        return err_set(e, code, "cannot open disk image '%s': %s", c->path, strerror(code));
    }
}

int file_open(const struct file_cfg *c, struct loop *l, struct disk **out, struct err *e)
{
    int flags = O_CLOEXEC | O_NONBLOCK | (c->readonly ? O_RDONLY : O_RDWR);
    struct disk *d;
    int fd, rc;

    if (c->create)
        flags |= O_CREAT | (c->overwrite ? 0 : O_EXCL);
    fd = open(c->path, flags, 0666); /* O_NONBLOCK: a FIFO must not hang us */
    if (fd < 0)
        return open_error(c, errno, e);
    rc = file_adopt(fd, c->path, c->readonly, l, &d, e);
    if (rc < 0)
        return rc;
    file_of(d)->threads = c->threads;
    file_of(d)->no_sync = c->no_sync;
    file_of(d)->reserves = c->filling && d->shape.grows && reserves(fd);
    if (!c->no_lock)
        rc = lock_take(fd, !c->readonly, c->path, e);
    if (rc == 0 && c->create && c->overwrite && d->shape.grows)
        rc = file_resize(d, 0) < 0
                 ? err_set(e, errno, "cannot empty '%s': %s", c->path, strerror(errno))
                 : 0;
    if (rc < 0) {
        disk_close(d);
        return rc;
    }
    *out = d;
    return 0;
}

const char *file_path(const struct disk *d)
{
    return d->ops == &file_ops ? container_of(d, const struct file, d)->path : NULL;
}

int file_fd(const struct disk *d)
{
    return d->ops == &file_ops ? container_of(d, const struct file, d)->fd : -1;
}

int file_resize(struct disk *d, uint64_t bytes)
{
    struct file *f = file_of(d);

    if (d->ops != &file_ops || d->shape.readonly || !d->shape.grows)
        return -ENOTSUP;
    if (ftruncate(f->fd, (off_t)bytes) < 0)
        return -errno;
    WRITE_ONCE(d->shape.bytes, bytes);
    return 0;
}

void file_discard(const char *path)
{
    struct stat st;

    if (lstat(path, &st) == 0 && S_ISREG(st.st_mode))
        (void)unlink(path);
}

uint64_t file_device_bytes(const struct disk *d)
{
    const struct file *f = container_of(d, const struct file, d);
    struct stat st;
    off_t end;

    if (d->ops != &file_ops || fstat(f->fd, &st) < 0 || !S_ISBLK(st.st_mode))
        return 0;
    end = lseek(f->fd, 0, SEEK_END); /* no ioctl: one that the sandbox need not know */
    return end < 0 ? 0 : (uint64_t)end;
}
