/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.c - the log, and what fills it: the linker leads every call of these six functions from
 * src/ to the ones here (-Wl,--wrap). A start and an end are logged for each; afterwards, while
 * images are judged, the calls only mark what they change.
 */
#define _GNU_SOURCE
#include "powercut.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

struct log the_log;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char folder[256];
static bool lying, marking;
static bool marks[FILES_MAX][PIECES];

ssize_t __real_pwrite64(int fd, const void *buf, size_t n, off_t off);
ssize_t __real_pwritev64(int fd, const struct iovec *iov, int cnt, off_t off);
ssize_t __real_pwritev64v2(int fd, const struct iovec *iov, int cnt, off_t off, int flags);
int __real_ftruncate64(int fd, off_t len);
int __real_fallocate64(int fd, int mode, off_t off, off_t len);
int __real_fdatasync(int fd);
ssize_t __wrap_pwrite64(int fd, const void *buf, size_t n, off_t off);
ssize_t __wrap_pwritev64(int fd, const struct iovec *iov, int cnt, off_t off);
ssize_t __wrap_pwritev64v2(int fd, const struct iovec *iov, int cnt, off_t off, int flags);
int __wrap_ftruncate64(int fd, off_t len);
int __wrap_fallocate64(int fd, int mode, off_t off, off_t len);
int __wrap_fdatasync(int fd);

void record_start(const char *dir, bool lie)
{
    lying = lie;
    marking = false;
    snprintf(folder, sizeof(folder), "%s/", dir);
}

void record_changes(const char *dir)
{
    record_start(dir, false);
    marking = true;
}

void changed(unsigned file, uint64_t off, uint64_t len)
{
    uint64_t end = len < UINT64_MAX - off ? off + len : UINT64_MAX;

    for (uint64_t at = off / PIECE; at < PIECES && at * PIECE < end; at++)
        marks[file][at] = true;
}

bool changed_next(unsigned file, uint64_t *off)
{
    for (uint64_t at = *off / PIECE; at < PIECES; at++) {
        if (!marks[file][at])
            continue;
        marks[file][at] = false;
        *off = at * PIECE;
        return true;
    }
    return false;
}

void record_stop(void)
{
    folder[0] = '\0';
}

void log_clear(void)
{
    for (size_t i = 0; i < the_log.n; i++)
        free(the_log.v[i].data);
    free(the_log.v);
    memset(&the_log, 0, sizeof(the_log));
    memset(marks, 0, sizeof(marks));
}

/* With the lock held: its number. */
static unsigned append(struct event x)
{
    if (the_log.n == the_log.room) {
        the_log.room = the_log.room ? the_log.room * 2 : 1024;
        the_log.v = reallocarray(the_log.v, the_log.room, sizeof(x));
        if (!the_log.v)
            abort();
    }
    the_log.v[the_log.n] = x;
    return (unsigned)the_log.n++;
}

static unsigned add(struct event x)
{
    unsigned n;

    pthread_mutex_lock(&lock);
    n = append(x);
    pthread_mutex_unlock(&lock);
    return n;
}

void log_client(enum event_kind kind, unsigned op)
{
    (void)add((struct event){.kind = kind, .op = op});
}

/* Is fd a file to record? Its number. */
static bool watched(int fd, unsigned *file)
{
    char link[64], path[512];
    const char *name;
    ssize_t n;

    if (!folder[0])
        return false;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof(path) - 1);
    if (n <= 0)
        return false;
    path[n] = '\0';
    if (strncmp(path, folder, strlen(folder)) != 0)
        return false;
    name = path + strlen(folder);
    pthread_mutex_lock(&lock);
    for (*file = 0; *file < the_log.files; ++*file) {
        if (!strcmp(the_log.names[*file], name))
            break;
    }
    if (*file == the_log.files) {
        if (*file == FILES_MAX || strlen(name) >= NAME_LEN)
            abort();
        snprintf(the_log.names[the_log.files++], NAME_LEN, "%s", name);
    }
    pthread_mutex_unlock(&lock);
    return true;
}

/* Does this call go to the log? If only changes are kept it is noted. */
static bool logged(int fd, unsigned *file, off_t off, uint64_t len)
{
    if (!watched(fd, file))
        return false;
    if (marking)
        changed(*file, (uint64_t)off, len);
    return !marking;
}

static uint64_t sum(const struct iovec *iov, int cnt)
{
    uint64_t n = 0;

    for (int i = 0; i < cnt; i++)
        n += iov[i].iov_len;
    return n;
}

static unsigned begin_write(unsigned file, const struct iovec *iov, int cnt, off_t off)
{
    struct event x = {.kind = EV_WRITE, .file = file, .off = (uint64_t)off, .len = sum(iov, cnt)};
    uint8_t *at;

    x.data = at = malloc(x.len ? x.len : 1);
    if (!at)
        abort();
    for (int i = 0; i < cnt; at += iov[i++].iov_len)
        memcpy(at, iov[i].iov_base, iov[i].iov_len);
    return add(x);
}

/* Keeps errno. */
static void end(unsigned of, long res)
{
    int code = errno;

    (void)add((struct event){.kind = EV_END, .of = of, .res = res < 0 ? -code : 0});
    errno = code;
}

ssize_t __wrap_pwrite64(int fd, const void *buf, size_t n, off_t off)
{
    struct iovec iov = {(void *)buf, n};
    unsigned file, of;
    ssize_t rc;

    if (!logged(fd, &file, off, n))
        return __real_pwrite64(fd, buf, n, off);
    of = begin_write(file, &iov, 1, off);
    rc = __real_pwrite64(fd, buf, n, off);
    end(of, rc);
    return rc;
}

ssize_t __wrap_pwritev64(int fd, const struct iovec *iov, int cnt, off_t off)
{
    unsigned file, of;
    ssize_t rc;

    if (!logged(fd, &file, off, sum(iov, cnt)))
        return __real_pwritev64(fd, iov, cnt, off);
    of = begin_write(file, iov, cnt, off);
    rc = __real_pwritev64(fd, iov, cnt, off);
    end(of, rc);
    return rc;
}

ssize_t __wrap_pwritev64v2(int fd, const struct iovec *iov, int cnt, off_t off, int flags)
{
    unsigned file, of;
    ssize_t rc;

    if (!logged(fd, &file, off, sum(iov, cnt)))
        return __real_pwritev64v2(fd, iov, cnt, off, flags);
    of = begin_write(file, iov, cnt, off);
    rc = __real_pwritev64v2(fd, iov, cnt, off, flags);
    end(of, rc);
    return rc;
}

int __wrap_ftruncate64(int fd, off_t len)
{
    unsigned file, of;
    int rc;

    if (!logged(fd, &file, len, UINT64_MAX)) /* and all behind it */
        return __real_ftruncate64(fd, len);
    of = add((struct event){.kind = EV_TRUNCATE, .file = file, .len = (uint64_t)len});
    rc = __real_ftruncate64(fd, len);
    end(of, rc);
    return rc;
}

int __wrap_fallocate64(int fd, int mode, off_t off, off_t len)
{
    struct event x = {.kind = EV_ALLOCATE, .mode = mode};
    unsigned of;
    int rc;

    if (!logged(fd, &x.file, off, (uint64_t)len))
        return __real_fallocate64(fd, mode, off, len);
    x.off = (uint64_t)off;
    x.len = (uint64_t)len;
    of = add(x);
    rc = __real_fallocate64(fd, mode, off, len);
    end(of, rc);
    return rc;
}

int __wrap_fdatasync(int fd)
{
    unsigned file, of;
    int rc;

    if (!logged(fd, &file, 0, 0))
        return __real_fdatasync(fd);
    if (lying)
        return 0;
    of = add((struct event){.kind = EV_SYNC, .file = file});
    rc = __real_fdatasync(fd);
    end(of, rc);
    return rc;
}
