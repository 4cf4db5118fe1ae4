/* SPDX-License-Identifier: Apache-2.0 */
/* boot_file.c - kernel, initrd and module files: opened once, read at every load. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "board/boot/boot_priv.h"
#include "core/err.h"
#include "core/file.h"
#include "core/gmem.h"
#include "core/path.h"

enum { BOOT_PIECES = 8, BOOT_UNPACKED_MAX = 512 << 20 };

int boot_file_open(struct boot_file *f, const char *path, const char *what, struct err *e)
{
    struct stat st;
    int rc = 0;

    f->size = 0;
    f->path = strdup(path);
    /* O_NONBLOCK: a pipe without a writer shall be refused below, not waited for. */
    f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (!f->path)
        rc = err_set(e, ENOMEM, "no memory to open %s", path);
    else if (f->fd < 0 || fstat(f->fd, &st) < 0)
        rc = err_set(e, errno, "cannot open the %s %s: %s", what, path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        rc = err_set(e, EINVAL, "%s is %s, not a file: give the %s itself", path,
                     S_ISDIR(st.st_mode) ? "a directory" : "a device or pipe", what);
    else if (st.st_size == 0)
        rc = err_set(e, EINVAL, "the %s %s is empty", what, path);
    else
        f->size = (uint64_t)st.st_size;
    if (rc < 0)
        boot_file_close(f);
    return rc;
}

void boot_file_close(struct boot_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
    free(f->path);
    f->path = NULL;
}

const char *boot_file_name(const struct boot_file *f)
{
    return path_last(f->path);
}

static int file_unpack_into(struct boot_file *f, int fd, struct err *e)
{
    struct boot_packed in = {f, 0, f->size};
    size_t n = 0;
    uint8_t *out;
    int rc;

    if (ftruncate(fd, BOOT_UNPACKED_MAX) < 0)
        return err_set(e, errno, "no memory to unpack %s", f->path);
    out = mmap(NULL, BOOT_UNPACKED_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (out == MAP_FAILED)
        return err_set(e, errno, "no memory to unpack %s", f->path);
    rc = boot_unpack(&in, out, BOOT_UNPACKED_MAX, &n, e);
    munmap(out, BOOT_UNPACKED_MAX);
    if (rc < 0)
        return rc;
    if (rc == 0 || n == 0 || ftruncate(fd, (off_t)n) < 0)
        return err_set(e, EINVAL,
                       "%s is compressed and cannot be unpacked: it is truncated, damaged, or more "
                       "than 512 MiB are in it",
                       f->path);
    close(f->fd);
    f->fd = fd;
    f->size = n;
    return 1;
}

int boot_file_unpack(struct boot_file *f, struct err *e)
{
    uint8_t magic[6];
    int fd, rc;

    if (f->size < 16)
        return 0;
    rc = boot_file_read(f, 0, magic, sizeof(magic), e);
    if (rc < 0 || !boot_unpack_is(magic))
        return rc;
    fd = memfd_create("hospes-kernel", MFD_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno, "no memory to unpack %s", f->path);
    rc = file_unpack_into(f, fd, e);
    if (rc < 0)
        close(fd);
    return rc < 0 ? rc : 0;
}

/* n: what was read, or -errno. */
static int boot_file_short(const struct boot_file *f, long n, struct err *e)
{
    if (n < 0)
        return err_set(e, (int)-n, "cannot read %s: %s", f->path, strerror((int)-n));
    return err_set(e, EINVAL, "%s ends too early: it is truncated or being changed", f->path);
}

int boot_file_read(const struct boot_file *f, uint64_t off, void *buf, size_t len, struct err *e)
{
    ssize_t n = file_read(f->fd, buf, len, off);

    return n == (ssize_t)len ? 0 : boot_file_short(f, n, e);
}

int boot_file_load(const struct boot_file *f, uint64_t off, uint64_t len, struct gmem *m, gpa_t at,
                   struct err *e)
{
    while (len) {
        struct iovec iov[BOOT_PIECES];
        size_t count = 0;
        ssize_t n;

        if (gmem_map(m, at, len, true, iov, BOOT_PIECES, &count) < 0)
            return err_set(e, EINVAL,
                           "%s wants %llu KiB at %#llx, where the guest has no memory: give it "
                           "more --memory",
                           f->path, (unsigned long long)(len / KiB), (unsigned long long)at);
        n = preadv(f->fd, iov, (int)count, (off_t)off);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return boot_file_short(f, n < 0 ? -errno : 0, e);
        at += (uint64_t)n;
        off += (uint64_t)n;
        len -= (uint64_t)n;
    }
    return 0;
}
