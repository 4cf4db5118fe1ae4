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
#include "core/file.h"
#include "core/ids.h"
#include "core/path.h"
#include "import/folder.h"
#include "machine/plan.h"
#include "storage/member.h"

enum { PROBE_BYTES = 4096, REPORT_MAX = 20000, IMPORT_SURE = 40, NAME_BYTES = 2000 };

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

/* least: what a probe has to say at least. */
static const struct importer_ops *choose(const struct import_file *f, const char *head, size_t n,
                                         int least)
{
    const struct importer_ops *best = NULL;
    int top = least;

    for (size_t i = 0; importers[i]; i++) {
        int sure = importers[i]->probe(head, n);

        if (f->wish.format && strcmp(f->wish.format, importers[i]->name) == 0)
            return importers[i];
        if (sure && path_has_suffix(f->path, importers[i]->suffixes))
            sure += 10;
        if (sure > top) {
            top = sure;
            best = importers[i];
        }
    }
    return f->wish.format ? NULL : best;
}

static int load(const struct stat *st, struct import_file *f, const struct importer_ops **o,
                struct err *e)
{
    char head[PROBE_BYTES];
    ssize_t n = file_read(f->fd, head, sizeof(head), 0);
    size_t want;

    if (n < 0)
        return err_set(e, (int)-n, "cannot read %s: %s", f->path, strerror((int)-n));
    *o = choose(f, head, (size_t)n, 0);
    if (!*o)
        return err_exit(e, EX_BAD_INPUT, EINVAL,
                        "%s is no description of a machine that hospes knows; see hospes help "
                        "import for the kinds",
                        f->path);
    if ((*o)->max_size && (uint64_t)st->st_size > (*o)->max_size)
        return err_exit(e, EX_BAD_INPUT, EINVAL, "%s is too large for a %s file (%llu bytes)",
                        f->path, (*o)->name, (unsigned long long)st->st_size);
    want = (*o)->max_size ? (size_t)st->st_size : (size_t)n;
    f->text = malloc(want + 1);
    if (!f->text)
        return err_set(e, ENOMEM, "no memory for %s", f->path);
    n = file_read(f->fd, f->text, want, 0);
    if (n < 0)
        return err_set(e, (int)-n, "cannot read %s: %s", f->path, strerror((int)-n));
    f->size = (size_t)n;
    f->text[n] = '\0';
    return 0;
}

/* In an export of Hyper-V the disks lie in a folder beside the description's. */
static int export_folder(struct import_file *f, struct err *e)
{
    char *folder = NULL;
    struct stat st;

    if (asprintf(&folder, "%s/../Virtual Hard Disks", f->dir) < 0)
        return err_set(e, ENOMEM, "no memory for %s", f->path);
    if (lstat(folder, &st) == 0 && S_ISDIR(st.st_mode))
        f->folder = folder;
    else
        free(folder);
    return 0;
}

/* Is the file in a folder below dir? */
static bool deeper(const char *dir, const char *path)
{
    const char *rest = path_below(dir, path);

    return rest && strchr(rest, '/');
}

/* Children may lie in a folder of their own, below the disks that they began with: where a disk may
 * lie its parents may lie too. */
static int references(const struct import_file *f, struct plan *p, struct err *e)
{
    char *dir = f->archive ? NULL : realpath(f->dir, NULL);
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < p->disks; i++) {
        p->disk[i].outside |= f->wish.trust;
        if (dir && p->disk[i].path && deeper(f->dir, p->disk[i].path))
            rc = plan_set(&p->disk[i].within, dir, e);
    }
    free(dir);
    return rc;
}

static int read_open(struct import_file *f, const struct stat *st, struct plan *p,
                     struct import_report *r, struct err *e)
{
    const struct importer_ops *o = NULL;
    int rc = load(st, f, &o, e);

    f->dir = path_folder(f->path);
    if (rc == 0 && !f->dir)
        rc = err_set(e, ENOMEM, "no memory for %s", f->path);
    if (rc == 0)
        rc = export_folder(f, e);
    if (rc < 0)
        return rc;
    r->format = o->name;
    rc = o->read(f, p, r, e);
    if (rc == 0)
        rc = references(f, p, e);
    if (rc == 0 && p->name && p->name[0] == '\0')
        rc = plan_set(&p->name, NULL, e);
    return rc < 0 ? err_wrap(e, "%s", f->path) : 0;
}

static int read_file_at(const char *path, const struct import_wish *wish, struct plan *p,
                        struct import_report *r, struct err *e)
{
    struct import_file f = {.path = path, .wish = wish ? *wish : (struct import_wish){0}};
    struct stat st;
    int fd, rc;

    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return err_set(e, errno, "cannot open %s: %s", path, strerror(errno));
    f.fd = fd;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        rc = err_exit(e, EX_BAD_INPUT, EINVAL, "%s is not a file", path);
    else
        rc = read_open(&f, &st, p, r, e);
    close(fd);
    free(f.text);
    free(f.dir);
    free(f.folder);
    return rc;
}

int import_read(const char *path, const struct import_wish *wish, struct plan *p,
                struct import_report *r, struct err *e)
{
    char *inside = NULL;
    struct stat st;
    int rc;

    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        rc = import_folder(path, &inside, e);
        if (rc < 0)
            return rc;
        path = inside;
    }
    rc = read_file_at(path, wish, p, r, e);
    free(inside);
    return rc;
}

bool import_named(const char *name)
{
    size_t i = 0;

    while (importers[i] && !path_has_suffix(name, importers[i]->suffixes))
        i++;
    return importers[i];
}

bool import_knows(const char *path)
{
    struct import_file f = {.path = path};
    char head[PROBE_BYTES];
    struct stat st;
    ssize_t n = -1;
    int fd;

    if (stat(path, &st) < 0)
        return false;
    if (S_ISDIR(st.st_mode))
        return true;
    fd = S_ISREG(st.st_mode) ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
    if (fd >= 0) {
        n = file_read(fd, head, sizeof(head), 0);
        close(fd);
    }
    return n > 0 && choose(&f, head, (size_t)n, IMPORT_SURE);
}

/* --- helpers for importers --- */

static bool leaves_folder(const char *name)
{
    return name[0] == '/' || (isalpha((unsigned char)name[0]) && name[1] == ':') ||
           path_leads_above(name);
}

/* "[datastore1] web/web.vmdk" is VMware's, "C:\VMs\web.vhdx" Windows'. */
static char *plain_name(const char *name)
{
    const char *end = name[0] == '[' ? strstr(name, "] ") : NULL;
    char *s = strdup(end ? end + 2 : name);

    if (s)
        path_from_windows(s);
    return s;
}

/* A link could lead anywhere: parts of `name` below dir may be none. */
static bool has_link(const char *dir, const char *name)
{
    char path[4096];
    struct stat st;
    size_t at = 0;

    do {
        at += strcspn(name + at, "/");
        if ((size_t)snprintf(path, sizeof(path), "%s/%.*s", dir, (int)at, name) >= sizeof(path))
            return true;
        if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
            return true;
        at += name[at] == '/';
    } while (name[at]);
    return false;
}

static bool is_there(const char *dir, const char *name)
{
    char path[4096];
    struct stat st;

    return (size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) < sizeof(path) &&
           lstat(path, &st) == 0;
}

/* A name that stays below the folder; *name is changed to it. */
static int confine(const struct import_file *f, const char **name, bool *moved, struct err *e)
{
    const char *last = path_last(*name), *dir = f->dir;

    *moved =
        leaves_folder(*name) || (*name != last && !is_there(dir, *name) && is_there(dir, last));
    if (*moved)
        *name = last;
    if (!*last || strcmp(last, ".") == 0 || strcmp(last, "..") == 0 || strchr(*name, '\n'))
        return err_exit(e, EX_BAD_INPUT, EINVAL, "a disk has no usable file name");
    if (f->folder && is_there(f->folder, last))
        dir = f->folder, *name = last;
    if (!f->wish.trust && has_link(dir, *name))
        return err_exit(
            e, EX_BAD_INPUT, EINVAL,
            "there is a symbolic link, which could lead anywhere; give --trust when the "
            "description is your own");
    return 0;
}

/* A whole name that leads into the description's folder is as good as a relative one. */
static const char *below(const struct import_file *f, const char *name)
{
    char *real = name[0] == '/' ? realpath(f->dir, NULL) : NULL;
    const char *const dirs[] = {f->dir, real};
    const char *out = NULL;

    for (size_t i = 0; name[0] == '/' && i < ARRAY_SIZE(dirs) && !out; i++)
        out = dirs[i] ? path_below(dirs[i], name) : NULL;
    free(real);
    return out ? out : name;
}

static int in_archive(const struct import_file *f, const char *name, char **out, struct err *e)
{
    if (!members_find(f->members, name))
        return err_exit(e, EX_BAD_INPUT, EINVAL, "the archive has no such member");
    if (asprintf(out, "%s:%s", f->archive, name) < 0)
        return err_set(e, ENOMEM, "no memory for a file name");
    return 0;
}

int import_reference(const struct import_file *f, const char *name, char **out, bool *moved,
                     struct err *e)
{
    char *plain = plain_name(name);
    const char *s = plain, *dir = f->dir;
    int rc = plain ? 0 : err_set(e, ENOMEM, "no memory for a file name");

    if (rc == 0 && !f->archive)
        s = below(f, plain);
    *moved = false;
    if (rc == 0 && strlen(plain) > NAME_BYTES)
        rc = err_exit(e, EX_BAD_INPUT, EINVAL, "a disk has too long a file name");
    if (rc == 0 && f->archive) {
        rc = in_archive(f, plain, out, e);
        free(plain);
        return rc;
    }
    if (rc == 0 && (!f->wish.trust || !leaves_folder(s) || s[1] == ':'))
        rc = confine(f, &s, moved, e);
    else if (rc == 0 && s[0] == '/')
        dir = "";
    if (rc == 0 && f->folder && !strchr(s, '/') && is_there(f->folder, s))
        dir = f->folder;
    if (rc == 0 && asprintf(out, "%s%s%s", dir, *dir ? "/" : "", s) < 0)
        rc = err_set(e, ENOMEM, "no memory for a file name");
    free(plain);
    return rc;
}

int import_slurp(const char *path, size_t most, char **text, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY), rc = 0;
    struct stat st;
    ssize_t n = 0;

    *text = NULL;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        if (fd >= 0)
            close(fd);
        return err_set(e, ENOENT, "there is no file %s", path);
    }
    if ((uint64_t)st.st_size > most)
        rc = err_set(e, EFBIG, "%s is longer than %zu bytes", path, most);
    if (rc == 0 && !(*text = malloc((size_t)st.st_size + 1)))
        rc = err_set(e, ENOMEM, "no memory for %s", path);
    if (rc == 0 && (n = file_read(fd, *text, (size_t)st.st_size, 0)) < 0)
        rc = err_set(e, (int)-n, "cannot read %s: %s", path, strerror((int)-n));
    if (rc == 0)
        (*text)[n] = '\0';
    close(fd);
    return rc;
}

void import_unescape(char *text, char mark)
{
    char *out = text;

    for (; *text; text++) {
        int high = *text == mark ? hex_digit((unsigned char)text[1]) : -1;
        int low = high < 0 ? -1 : hex_digit((unsigned char)text[2]);

        if (low < 0 || high + low == 0) {
            *out++ = *text;
            continue;
        }
        *out++ = (char)(high << 4 | low);
        text += 2;
    }
    *out = '\0';
}

bool import_uuid(const char *text, uint8_t out[16])
{
    return hex_bytes(text, " -{}", out, 16);
}

bool import_mac(const char *text, uint8_t out[6])
{
    return hex_bytes(text, ":-", out, 6);
}
