/* SPDX-License-Identifier: Apache-2.0 */
/* file.c - see file.h. */
#define _GNU_SOURCE
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int file_write(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENOSPC;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

/* A rename is safe on disk when its folder is. File systems that cannot sync folders do not matter.
 */
static void sync_folder(const char *file)
{
    const char *slash = strrchr(file, '/');
    char *dir = slash ? strndup(file, slash == file ? 1 : (size_t)(slash - file)) : strdup(".");
    int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(dir);
}

static int fill(int fd, const char *path, const void *data, size_t len)
{
    struct stat st;
    int rc = file_write(fd, data, len);

    if (rc == 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
        fchmod(fd, st.st_mode & 07777) < 0)
        rc = -errno;
    if (rc == 0 && fsync(fd) < 0)
        rc = -errno;
    return rc;
}

int file_replace(const char *path, const void *data, size_t len, mode_t mode)
{
    static unsigned count;
    char *beside;
    int fd, rc;

    if (asprintf(&beside, "%s.%ld-%u.part", path, (long)getpid(),
                 __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED)) < 0)
        return -ENOMEM;
    fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    rc = fd < 0 ? -errno : fill(fd, path, data, len);
    if (fd >= 0 && close(fd) < 0 && rc == 0)
        rc = -errno;
    if (rc == 0 && rename(beside, path) < 0)
        rc = -errno;
    if (rc == 0)
        sync_folder(path);
    else if (fd >= 0)
        unlink(beside);
    free(beside);
    return rc;
}
