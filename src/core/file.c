/* SPDX-License-Identifier: Apache-2.0 */
/* file.c - see file.h. */
#define _GNU_SOURCE
#include "core/file.h"
#include "core/path.h"

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

ssize_t file_read(int fd, void *buf, size_t n, uint64_t off)
{
    size_t done = 0;

    while (done < n) {
        ssize_t got = pread(fd, (uint8_t *)buf + done, n - done, (off_t)(off + done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

/* A rename is safe on disk when its folder is. File systems that cannot sync folders do not matter.
 */
static void sync_folder(const char *file)
{
    char *dir = path_folder(file);
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

/* Into what is no file, for a rename would put one in the place of a device. A pipe that nobody
 * reads is an error, and no wait. */
static int pour(const char *path, const void *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), rc;

    if (fd < 0)
        return -errno;
    rc = fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) < 0 ? -errno
                                                                  : file_write(fd, data, len);
    if (close(fd) < 0 && rc == 0)
        rc = -errno;
    return rc;
}

int file_replace(const char *path, const void *data, size_t len, mode_t mode)
{
    static unsigned count;
    struct stat st;
    char *beside;
    int fd, rc;

    if (stat(path, &st) == 0 && (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)))
        return pour(path, data, len);
    if (lstat(path, &st) == 0 && (S_ISBLK(st.st_mode) || S_ISSOCK(st.st_mode)))
        return -EPERM;
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

int file_folders(const char *path, size_t n, mode_t mode, size_t *bad)
{
    char *part = strndup(path, n);
    int rc = 0;

    *bad = n;
    if (!part)
        return -ENOMEM;
    for (size_t i = 1; i <= n && rc == 0; i++) {
        if (i < n && path[i] != '/')
            continue;
        part[i] = '\0';
        if (mkdir(part, mode) < 0 && errno != EEXIST) {
            rc = -errno;
            *bad = i;
        }
        part[i] = i < n ? '/' : '\0';
    }
    free(part);
    return rc;
}

int file_state(const char *name, const char *kind, char **out)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n;

    if (state && *state == '/')
        n = asprintf(out, "%s/hospes/%s.%s", state, name, kind);
    else if (home && *home == '/')
        n = asprintf(out, "%s/.local/state/hospes/%s.%s", home, name, kind);
    else
        return -ENOENT;
    return n < 0 ? -ENOMEM : 0;
}

const char *file_tmp(void)
{
    const char *said = getenv("TMPDIR");

    return said && *said ? said : P_tmpdir;
}

int file_mktemp(const char *dir, const char *name, char *out, size_t room)
{
    int n = snprintf(out, room, "%s/%s-XXXXXX", dir, name), rc = 0;

    if (n < 0 || (size_t)n >= room)
        rc = -ENAMETOOLONG;
    else if (!mkdtemp(out))
        rc = -errno;
    if (rc < 0)
        out[0] = '\0';
    return rc;
}

bool file_program(const char *name, char *out, size_t room)
{
    const char *path = getenv("PATH"), *at = path ? path : "/usr/bin:/bin";

    while (*at) {
        size_t n = strcspn(at, ":");

        snprintf(out, room, "%.*s/%s", (int)n, at, name);
        if (n && access(out, X_OK) == 0)
            return true;
        at += n + (at[n] == ':');
    }
    return false;
}
