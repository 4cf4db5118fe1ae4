/* SPDX-License-Identifier: Apache-2.0 */
/* import.c - reading a description, and the report of what became of it; see import.h. */
#define _GNU_SOURCE
#include "import/import.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"
#include "machine/plan.h"

enum { PROBE_BYTES = 4096, REPORT_MAX = 20000 };

/* --- the report --- */

const char *import_fate_name(enum import_fate fate)
{
    static const char *const names[] = {"kept", "changed", "dropped"};

    return names[fate];
}

static char *copy(const char *text, bool *failed)
{
    char *s = text ? strdup(text) : NULL;

    *failed |= text && !s;
    return s;
}

int import_tell(struct import_report *r, enum import_fate fate, unsigned line, const char *key,
                const char *value, const char *to, const char *why, struct err *e)
{
    struct import_line *l;
    bool failed = false;

    if (r->count == REPORT_MAX)
        return err_set(e, EINVAL, "more than %d keys; this is no description of one machine",
                       REPORT_MAX);
    if (r->count == r->room) {
        size_t room = r->room ? r->room * 2 : 64;

        l = reallocarray(r->lines, room, sizeof(*l));
        if (!l)
            return err_set(e, ENOMEM, "no memory for the report");
        r->lines = l;
        r->room = room;
    }
    l = &r->lines[r->count++];
    *l = (struct import_line){.fate = fate, .line = line};
    l->key = copy(key, &failed);
    l->value = copy(value, &failed);
    l->to = copy(to, &failed);
    l->why = copy(why, &failed);
    return failed ? err_set(e, ENOMEM, "no memory for the report") : 0;
}

void import_report_free(struct import_report *r)
{
    for (size_t i = 0; i < r->count; i++) {
        free(r->lines[i].key);
        free(r->lines[i].value);
        free(r->lines[i].to);
        free(r->lines[i].why);
    }
    free(r->lines);
    *r = (struct import_report){0};
}

/* --- the file --- */

static ssize_t read_all(int fd, char *buf, size_t n)
{
    size_t done = 0;

    while (done < n) {
        ssize_t got = read(fd, buf + done, n - done);

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

static bool has_suffix(const char *path, const char *suffixes)
{
    const char *dot = strrchr(path, '.');
    size_t n = dot ? strlen(dot) : 0;

    for (const char *at = suffixes; n && (at = strcasestr(at, dot)); at++) {
        if (at[n] == '\0' || at[n] == ' ')
            return true;
    }
    return false;
}

static const struct importer_ops *choose(const char *path, const char *head, size_t n)
{
    const struct importer_ops *best = NULL;
    int top = 0;

    for (size_t i = 0; importers[i]; i++) {
        int sure = importers[i]->probe(head, n);

        if (sure && has_suffix(path, importers[i]->suffixes))
            sure += 10;
        if (sure > top) {
            top = sure;
            best = importers[i];
        }
    }
    return best;
}

static int load(int fd, const struct stat *st, struct import_file *f, const struct importer_ops **o,
                struct err *e)
{
    char head[PROBE_BYTES];
    ssize_t n = read_all(fd, head, sizeof(head));

    if (n < 0)
        return err_set(e, (int)-n, "cannot read %s: %s", f->path, strerror((int)-n));
    *o = choose(f->path, head, (size_t)n);
    if (!*o)
        return err_exit(e, EX_BAD_INPUT, EINVAL,
                        "%s is no description of a machine that hospes knows; see hospes help "
                        "import for the kinds",
                        f->path);
    if ((uint64_t)st->st_size > (*o)->max_size)
        return err_exit(e, EX_BAD_INPUT, EINVAL, "%s is too large for a %s file (%llu bytes)",
                        f->path, (*o)->name, (unsigned long long)st->st_size);
    f->text = malloc((size_t)st->st_size + 1);
    if (!f->text)
        return err_set(e, ENOMEM, "no memory for %s", f->path);
    if (lseek(fd, 0, SEEK_SET) < 0 || (n = read_all(fd, f->text, (size_t)st->st_size)) < 0)
        return err_set(e, EIO, "cannot read %s", f->path);
    f->size = (size_t)n;
    f->text[n] = '\0';
    return 0;
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

int import_read(const char *path, struct plan *p, struct import_report *r, struct err *e)
{
    struct import_file f = {.path = path};
    const struct importer_ops *o = NULL;
    struct stat st;
    int fd, rc;

    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return err_set(e, errno, "cannot open %s: %s", path, strerror(errno));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return err_exit(e, EX_BAD_INPUT, EINVAL,
                        "%s is not a file; give the description itself, not its folder", path);
    }
    rc = load(fd, &st, &f, &o, e);
    close(fd);
    f.dir = folder_of(path);
    if (rc == 0 && !f.dir)
        rc = err_set(e, ENOMEM, "no memory for %s", path);
    if (rc == 0) {
        r->format = o->name;
        rc = o->read(&f, p, r, e);
        if (rc < 0)
            err_wrap(e, "%s", path);
    }
    free(f.text);
    free(f.dir);
    return rc;
}

/* --- helpers for importers --- */

static bool leaves_folder(const char *name)
{
    for (const char *at = name; (at = strstr(at, "..")); at++) {
        if ((at == name || at[-1] == '/') && (at[2] == '/' || at[2] == '\0'))
            return true;
    }
    return name[0] == '/';
}

int import_reference(const struct import_file *f, const char *name, char **out, bool *moved,
                     struct err *e)
{
    const char *last = strrchr(name, '/');

    *moved = leaves_folder(name);
    if (*moved && last)
        name = last + 1;
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return err_exit(e, EX_BAD_INPUT, EINVAL, "a disk has no usable file name");
    if (asprintf(out, "%s/%s", f->dir, name) < 0)
        return err_set(e, ENOMEM, "no memory for a file name");
    return 0;
}

static bool hex_bytes(const char *text, const char *between, uint8_t *out, size_t n)
{
    size_t digits = 0;

    memset(out, 0, n);
    for (; *text; text++) {
        int c = tolower((unsigned char)*text);

        if (strchr(between, c))
            continue;
        if (!isxdigit(c) || digits == 2 * n)
            return false;
        out[digits / 2] = (uint8_t)(out[digits / 2] << 4 | (isdigit(c) ? c - '0' : c - 'a' + 10));
        digits++;
    }
    return digits == 2 * n;
}

bool import_uuid(const char *text, uint8_t out[16])
{
    return hex_bytes(text, " -", out, 16);
}

bool import_mac(const char *text, uint8_t out[6])
{
    return hex_bytes(text, ":-", out, 6);
}
