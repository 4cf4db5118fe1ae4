/* SPDX-License-Identifier: Apache-2.0 */
/* text.c - see text.h. */
#define _GNU_SOURCE
#include "validation/text.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"
#include "core/file.h"
#include "validation/record.h"

int vtext_read(const char *path, size_t max, char **out, size_t *len, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
    struct vbuf b = {0};
    char chunk[16384];
    ssize_t n = 0;

    if (fd < 0)
        return err_set(e, errno, "cannot open %s: %s", path, strerror(errno));
    while (!b.failed && b.len <= max && (n = read(fd, chunk, sizeof(chunk))) > 0)
        vbuf_add(&b, chunk, (size_t)n);
    if (n < 0 && errno == EISDIR)
        rc = err_exit(e, EX_BAD_INPUT, EISDIR, "%s is a folder; name a file", path);
    else if (n < 0)
        rc = err_set(e, errno, "cannot read %s: %s", path, strerror(errno));
    else if (b.len > max)
        rc = err_exit(e, EX_BAD_INPUT, EFBIG, "%s is larger than %zu bytes", path, max);
    close(fd);
    vbuf_add(&b, "", 1);
    if (rc == 0 && b.failed)
        rc = err_set(e, ENOMEM, "no memory to read %s", path);
    if (rc < 0) {
        vbuf_free(&b);
        return rc;
    }
    *out = b.data;
    if (len)
        *len = b.len - 1;
    return 0;
}

int vtext_write(const char *path, const void *data, size_t len, struct err *e)
{
    int rc = file_replace(path, data, len, 0644);

    return rc < 0 ? err_exit(e, EX_HOST_IO, -rc, "cannot write %s: %s", path, strerror(-rc)) : 0;
}

int vtext_mkdir(const char *path, struct err *e)
{
    size_t n = strlen(path), bad;
    int rc;

    if (n == 0 || n >= V_PATH)
        return err_set(e, ENAMETOOLONG, "the name of the folder %s is too long", path);
    rc = file_folders(path, n, 0777, &bad);
    return rc < 0 ? err_exit(e, EX_HOST_IO, -rc, "cannot make the folder %.*s: %s", (int)bad, path,
                             strerror(-rc))
                  : 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
    return remove(path);
}

void vtext_remove(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

bool vname_good(const char *name)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    static const char rest[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._=+-";
    size_t n = strlen(name);

    if (n == 0 || n > V_NAME_MAX)
        return false;
    if (strcmp(name, "SHA256SUMS") == 0)
        return true;
    for (const char *at = name; *at;) {
        size_t part = strspn(at, rest);

        if (part == 0 || !strchr(first, *at))
            return false;
        at += part;
        if (*at == '/' && at[1])
            at++;
        else if (*at)
            return false;
    }
    return true;
}

int vpath(char out[V_PATH], const char *dir, const char *name, struct err *e)
{
    int n = snprintf(out, V_PATH, "%s/%s", dir, name);

    if (n < 0 || n >= V_PATH)
        return err_set(e, ENAMETOOLONG, "the name %s/%s is too long", dir, name);
    return 0;
}

int vtext_mktemp(char out[V_PATH], const char *dir, const char *name, struct err *e)
{
    int rc = file_mktemp(dir, name, out, V_PATH);

    if (rc == -ENAMETOOLONG)
        return err_set(e, ENAMETOOLONG, "the name %s/%s is too long", dir, name);
    return rc < 0 ? err_exit(e, EX_HOST_IO, -rc,
                             "cannot make a folder in %s: %s; TMPDIR names another place", dir,
                             strerror(-rc))
                  : 0;
}

void vbuf_add(struct vbuf *b, const void *data, size_t len)
{
    uint64_t want;

    if (!len || b->failed || add_overflows(b->len, len, &want))
        return;
    if (!b->data || want > b->room) {
        size_t room = (size_t)max_u64(want, max_u64(256, 2 * b->room));
        char *grown = realloc(b->data, room);

        if (!grown) {
            b->failed = true;
            return;
        }
        b->data = grown;
        b->room = room;
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

void vbuf_print(struct vbuf *b, const char *fmt, ...)
{
    char *text;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0) {
        b->failed = true;
        return;
    }
    vbuf_add(b, text, (size_t)n);
    free(text);
}

void vbuf_free(struct vbuf *b)
{
    free(b->data);
    *b = (struct vbuf){0};
}
