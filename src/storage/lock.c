/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.c - open file description locks on single bytes, laid out as QEMU's file-posix driver does.
 *
 * There is a list of permissions (0 consistent read, 1 write, 2 write unchanged, 3 resize). Who
 * uses permission i holds a shared lock on byte 100+i; who does not share it with others holds a
 * shared lock on byte 200+i. Nobody ever holds an exclusive lock; conflicts are seen by asking
 * whether one could be had. A reader uses 0 and shares no writing and no resizing; a writer uses
 * 0, 1 and 3 and shares as little.
 */
#define _GNU_SOURCE
#include "storage/lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"

enum { PERM_READ, PERM_WRITE, PERM_UNCHANGED, PERM_RESIZE, PERMS };
enum { USED_BASE = 100, UNSHARED_BASE = 200 };

static const unsigned reader_uses = 1 << PERM_READ;
static const unsigned writer_uses = 1 << PERM_READ | 1 << PERM_WRITE | 1 << PERM_RESIZE;
static const unsigned unshared = 1 << PERM_WRITE | 1 << PERM_RESIZE;

static int byte_lock(int fd, int cmd, short type, off_t at)
{
    struct flock fl = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};

    if (fcntl(fd, cmd, &fl) < 0)
        return -errno;
    return cmd == F_OFD_GETLK && fl.l_type != F_UNLCK ? -EBUSY : 0;
}

/* Does this fdinfo file tell of a lock? */
static bool tells_lock(const char *path)
{
    FILE *f = fopen(path, "re");
    char line[256];
    bool yes = false;

    if (!f)
        return false;
    while (!yes && fgets(line, sizeof(line), f))
        yes = !strncmp(line, "lock:", 5);
    fclose(f);
    return yes;
}

static bool holds(const char *pid, const struct stat *want, int except)
{
    char dir[64], path[512];
    struct dirent *de;
    struct stat st;
    bool mine = atoi(pid) == getpid(), yes = false;
    DIR *fds;

    snprintf(dir, sizeof(dir), "/proc/%.20s/fd", pid);
    fds = opendir(dir);
    if (!fds)
        return false;
    while (!yes && (de = readdir(fds))) {
        if (fstatat(dirfd(fds), de->d_name, &st, 0) < 0 || st.st_ino != want->st_ino ||
            st.st_dev != want->st_dev || (mine && atoi(de->d_name) == except))
            continue;
        snprintf(path, sizeof(path), "/proc/%.20s/fdinfo/%.20s", pid, de->d_name);
        yes = tells_lock(path);
    }
    closedir(fds);
    return yes;
}

/* The pid that holds a lock on fd's file; 0 when it cannot be seen. Locks of this kind have no pid
 * of their own, so the descriptors of every process are looked at. */
static int holder_of(int fd)
{
    DIR *proc = opendir("/proc");
    struct dirent *de;
    struct stat st;
    int pid = 0;

    if (!proc)
        return 0;
    if (fstat(fd, &st) == 0) {
        while (!pid && (de = readdir(proc))) {
            if (de->d_name[0] >= '1' && de->d_name[0] <= '9' && holds(de->d_name, &st, fd))
                pid = atoi(de->d_name);
        }
    }
    closedir(proc);
    return pid;
}

static int in_use(int fd, const char *path, struct err *e)
{
    int pid = holder_of(fd);
    char who[40] = "another process";

    if (pid == getpid())
        return err_set(e, EBUSY,
                       "disk image '%s' is open here already, for another disk: give each disk an "
                       "image of its own",
                       path);
    if (pid)
        snprintf(who, sizeof(who), "process %d", pid);
    return err_set(e, EBUSY,
                   "disk image '%s' is in use by %s: stop that first, or read the image as it "
                   "stands with the option -U of 'hospes image convert'",
                   path, who);
}

int lock_take(int fd, bool write, const char *path, struct err *e)
{
    unsigned uses = write ? writer_uses : reader_uses;
    int rc = 0;

    for (int i = 0; i < PERMS && rc == 0; i++) {
        if (uses & 1u << i)
            rc = byte_lock(fd, F_OFD_SETLK, F_RDLCK, USED_BASE + i);
        if (rc == 0 && unshared & 1u << i)
            rc = byte_lock(fd, F_OFD_SETLK, F_RDLCK, UNSHARED_BASE + i);
    }
    for (int i = 0; i < PERMS && rc == 0; i++) {
        if (uses & 1u << i)
            rc = byte_lock(fd, F_OFD_GETLK, F_WRLCK, UNSHARED_BASE + i);
        if (rc == 0 && unshared & 1u << i)
            rc = byte_lock(fd, F_OFD_GETLK, F_WRLCK, USED_BASE + i);
    }
    if (rc == -EBUSY || rc == -EAGAIN || rc == -EACCES)
        return in_use(fd, path, e);
    if (rc == -EINVAL || rc == -ENOLCK || rc == -EOPNOTSUPP || rc == -ENOSYS)
        return 0;
    if (rc < 0)
        return err_set(e, -rc, "cannot lock disk image '%s': %s", path, strerror(-rc));
    return 0;
}
