/* SPDX-License-Identifier: Apache-2.0 */
/*
 * varstore.c - see varstore.h.
 *
 * Firmware changes a variable by some hundred writes of a byte. The thread waits a moment after the
 * first of them and then keeps all at once.
 */
#define _GNU_SOURCE
#include "board/varstore.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"
#include "core/file.h"
#include "core/log.h"
#include "storage/lock.h"

enum { VARSTORE_MIN = 8 << 10, VARSTORE_MAX = 4 << 20, VARSTORE_PAGE = 4096 };
enum { VARSTORE_WAIT_MS = 100 };

/* A firmware volume's header has its signature here (UEFI PI specification, volume 3, 3.2.1). */
enum { VOLUME_SIGNATURE = 0x28 };

struct varstore {
    char *file; /* NULL: kept nowhere */
    int lock;   /* -1: none */
    uint8_t *bytes, *copy;
    size_t size;

    pthread_t thread;
    bool running;
    pthread_mutex_t m; /* the bytes and all below */
    pthread_cond_t wake;
    bool dirty, quit, failed;
};

/* --- the file --- */

/* Under the lock, which is left while it writes. */
static void keep(struct varstore *v)
{
    int rc;

    v->dirty = false;
    if (!v->file)
        return;
    memcpy(v->copy, v->bytes, v->size);
    pthread_mutex_unlock(&v->m);
    rc = file_replace(v->file, v->copy, v->size, 0600);
    if (rc < 0)
        log_line(LOG_WARN, "varstore",
                 "cannot write %s: %s; the guest's changes to its firmware "
                 "variables are not kept",
                 v->file, strerror(-rc));
    pthread_mutex_lock(&v->m);
    v->failed = rc < 0;
}

static void *varstore_main(void *arg)
{
    struct varstore *v = arg;
    const struct timespec moment = {.tv_nsec = VARSTORE_WAIT_MS * 1000000L};

    pthread_mutex_lock(&v->m);
    while (!v->quit) {
        if (!v->dirty) {
            pthread_cond_wait(&v->wake, &v->m);
            continue;
        }
        pthread_mutex_unlock(&v->m);
        nanosleep(&moment, NULL);
        pthread_mutex_lock(&v->m);
        keep(v);
    }
    if (v->dirty || v->failed)
        keep(v);
    pthread_mutex_unlock(&v->m);
    return NULL;
}

/* --- opening --- */

static int read_store(struct varstore *v, int fd, const char *path, struct err *e)
{
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st) < 0)
        return err_set(e, errno, "cannot read the variable store %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size < VARSTORE_MIN || st.st_size > VARSTORE_MAX ||
        st.st_size % VARSTORE_PAGE || (v->size && (size_t)st.st_size != v->size))
        return err_set(e, EINVAL,
                       "%s is no variable store for this firmware, which has %zu bytes: give "
                       "another file, or remove it to begin with none of the guest's variables",
                       path, v->size);
    if (!v->bytes) {
        v->size = (size_t)st.st_size;
        v->bytes = mmap(NULL, v->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        v->copy = malloc(v->size);
    }
    if (v->bytes == MAP_FAILED || !v->copy) {
        v->bytes = v->bytes == MAP_FAILED ? NULL : v->bytes;
        return err_set(e, ENOMEM, "no memory for the firmware's variables");
    }
    n = file_read(fd, v->bytes, v->size, 0);
    if (n != (ssize_t)v->size)
        return err_set(e, n < 0 ? (int)-n : EIO, "cannot read the variable store %s: %s", path,
                       n < 0 ? strerror((int)-n) : "it is shorter than it was");
    if (memcmp(v->bytes + VOLUME_SIGNATURE, "_FVH", 4) != 0)
        return err_set(e, EINVAL,
                       "%s does not begin with a UEFI firmware volume, so it is no variable store",
                       path);
    return 0;
}

static int read_path(struct varstore *v, const char *path, bool may_miss, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

    if (fd < 0 && errno == ENOENT && may_miss)
        return 0;
    if (fd < 0)
        return err_set(e, errno, "cannot open the variable store %s: %s", path, strerror(errno));
    rc = read_store(v, fd, path, e);
    close(fd);
    return rc;
}

int varstore_lock(const char *file, int *fd, struct err *e)
{
    char *path;
    int rc = 0;

    if (asprintf(&path, "%s.lock", file) < 0)
        return err_set(e, ENOMEM, "no memory for a file's name");
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*fd < 0)
        rc = err_set(e, errno, "cannot lock the variable store: cannot make %s: %s", path,
                     strerror(errno));
    if (rc == 0)
        rc = lock_take(*fd, true, file, e);
    if (rc == -EBUSY)
        rc =
            err_exit(e, EX_IN_USE, EBUSY,
                     "the variable store %s is in use by another machine: stop that first, or give "
                     "this one its own with --nvram",
                     file);
    if (rc < 0 && *fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    free(path);
    return rc;
}

/* A link stays one: what it leads to is replaced. */
static int name_files(struct varstore *v, const char *file, struct err *e)
{
    v->file = realpath(file, NULL);
    if (!v->file && errno == ENOENT)
        v->file = strdup(file);
    else if (!v->file)
        return err_set(e, errno, "cannot open the variable store %s: %s", file, strerror(errno));
    if (!v->file)
        return err_set(e, ENOMEM, "no memory for a file's name");
    return varstore_lock(v->file, &v->lock, e);
}

int varstore_open(const char *file, const char *template, struct varstore **out, struct err *e)
{
    struct varstore *v = calloc(1, sizeof(*v));
    int rc = 0, code;

    if (!v)
        return err_set(e, ENOMEM, "no memory for the firmware's variables");
    v->lock = -1;
    pthread_mutex_init(&v->m, NULL);
    pthread_cond_init(&v->wake, NULL);
    if (file)
        rc = name_files(v, file, e);
    if (rc == 0)
        rc = read_path(v, template, false, e);
    if (rc == 0 && file)
        rc = read_path(v, v->file, true, e);
    if (rc == 0 && file) {
        code = pthread_create(&v->thread, NULL, varstore_main, v);
        v->running = code == 0;
        if (code)
            rc = err_exit(e, EX_NO_HOST, code, "cannot start a thread for the variable store: %s",
                          strerror(code));
    }
    if (rc < 0) {
        varstore_close(v);
        return rc;
    }
    *out = v;
    return 0;
}

void varstore_close(struct varstore *v)
{
    if (!v)
        return;
    if (v->running) {
        pthread_mutex_lock(&v->m);
        v->quit = true;
        pthread_cond_signal(&v->wake);
        pthread_mutex_unlock(&v->m);
        pthread_join(v->thread, NULL);
    }
    if (v->lock >= 0)
        close(v->lock);
    if (v->bytes)
        munmap(v->bytes, v->size);
    free(v->copy);
    free(v->file);
    pthread_cond_destroy(&v->wake);
    pthread_mutex_destroy(&v->m);
    free(v);
}

const uint8_t *varstore_bytes(const struct varstore *v, size_t *size)
{
    *size = v->size;
    return v->bytes;
}

bool varstore_write(struct varstore *v, size_t off, const uint8_t *p, size_t n)
{
    bool ok;

    pthread_mutex_lock(&v->m);
    memcpy(v->bytes + off, p, n);
    v->dirty = true;
    ok = !v->failed;
    pthread_cond_signal(&v->wake);
    pthread_mutex_unlock(&v->m);
    return ok;
}

/* --- where it is when nobody says --- */

int varstore_default(const char *name, bool make, char **out, struct err *e)
{
    size_t n;
    int rc = file_state(name, "nvram", out);

    if (rc == -ENOENT)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "there is no $HOME to keep the firmware's variables in: say where by "
                        "--nvram FILE, or --nvram none");
    if (rc < 0)
        return err_set(e, -rc, "no memory for a file's name");
    rc = make ? file_folders(*out, (size_t)(strrchr(*out, '/') - *out), 0700, &n) : 0;
    if (rc < 0) {
        (void)err_set(e, -rc, "cannot make the folder %.*s for firmware variables: %s", (int)n,
                      *out, strerror(-rc));
        free(*out);
        *out = NULL;
    }
    return rc;
}
