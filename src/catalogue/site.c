/* SPDX-License-Identifier: Apache-2.0 */
/*
 * site.c - builds the web site of a catalogue: a page per guest, per record and per log, a matrix
 * of guests and personas, and the same facts as JSON and CSV.
 *
 * The rows come in order from the index, one guest at a time, so memory holds one guest's claims
 * and a line for each guest. The site is made in a folder beside and put in place at the end.
 */
#define _GNU_SOURCE
#include "catalogue/site.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalogue/site_priv.h"
#include "core/err.h"
#include "core/file.h"
#include "core/path.h"

const char *const site_personas[SITE_PERSONAS] = {"hyperv", "vmware", "xen", "kvm", "bare"};

/* --- files --- */

static int write_page(const char *path, const struct vbuf *b, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int rc = fd < 0 ? -errno : file_write(fd, b->data, b->len);

    if (fd >= 0 && close(fd) < 0 && rc == 0)
        rc = -errno;
    return rc < 0 ? err_set(e, -rc, "cannot write %s: %s", path, strerror(-rc)) : 0;
}

int site_write(struct site *t, const char *name, struct vbuf *b)
{
    char path[STORE_PATH + 256];
    int rc;

    snprintf(path, sizeof(path), "%s/%s", t->dir, name);
    rc = b->failed ? err_set(t->e, ENOMEM, "no memory for the page %s", name)
                   : write_page(path, b, t->e);
    vbuf_free(b);
    *b = (struct vbuf){0};
    return rc;
}

static int site_folders(struct site *t)
{
    static const char *const folders[] = {"guest", "guests", "record", "log", "bundles"};
    char path[STORE_PATH + 32];
    int rc = vtext_mkdir(t->dir, t->e);

    t->lock = rc < 0 ? -1 : open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (t->lock >= 0)
        (void)flock(t->lock, LOCK_EX | LOCK_NB); /* see site_sweep() */
    for (size_t i = 0; i < ARRAY_SIZE(folders) && rc == 0; i++) {
        snprintf(path, sizeof(path), "%s/%s", t->dir, folders[i]);
        rc = vtext_mkdir(path, t->e);
    }
    return rc;
}

static int site_fixed(struct site *t, const char *name, const char *text)
{
    struct vbuf b = {0};

    vbuf_add(&b, text, strlen(text));
    return site_write(t, name, &b);
}

/* --- rows --- */

static const char *keep(char **at, const char *text)
{
    size_t n = strlen(text) + 1;
    char *to = *at;

    memcpy(to, text, n);
    *at += n;
    return to;
}

static int row_copy(struct site *t, const struct index_row *r)
{
    const char *const all[] = {r->sha256, r->made,         r->signer,     r->who,
                               r->host,   r->host_version, r->guest_name, r->guest_version,
                               r->arch,   r->persona,      r->firmware,   r->bundle,
                               r->cell,   r->record,       r->evidence,   r->notes};
    struct site_row *more = t->row;
    size_t bytes = 0;
    char *at;

    if (t->rows == t->row_room) {
        size_t room = t->row_room ? t->row_room * 2 : 64;

        more = realloc(t->row, room * sizeof(*more));
        if (!more)
            return err_set(t->e, ENOMEM, "no memory for %zu claims", room);
        t->row = more;
        t->row_room = room;
    }
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        bytes += strlen(all[i]) + 1;
    at = malloc(bytes);
    if (!at)
        return err_set(t->e, ENOMEM, "no memory for a claim");
    more[t->rows] = (struct site_row){*r, at};
    r = &more[t->rows].r;
    more[t->rows].r.sha256 = keep(&at, r->sha256);
    more[t->rows].r.made = keep(&at, r->made);
    more[t->rows].r.signer = keep(&at, r->signer);
    more[t->rows].r.who = keep(&at, r->who);
    more[t->rows].r.host = keep(&at, r->host);
    more[t->rows].r.host_version = keep(&at, r->host_version);
    more[t->rows].r.guest_name = keep(&at, r->guest_name);
    more[t->rows].r.guest_version = keep(&at, r->guest_version);
    more[t->rows].r.arch = keep(&at, r->arch);
    more[t->rows].r.persona = keep(&at, r->persona);
    more[t->rows].r.firmware = keep(&at, r->firmware);
    more[t->rows].r.bundle = keep(&at, r->bundle);
    more[t->rows].r.cell = keep(&at, r->cell);
    more[t->rows].r.record = keep(&at, r->record);
    more[t->rows].r.evidence = keep(&at, r->evidence);
    more[t->rows].r.notes = keep(&at, r->notes);
    t->rows++;
    return 0;
}

static void rows_forget(struct site *t)
{
    for (size_t i = 0; i < t->rows; i++)
        free(t->row[i].mem);
    t->rows = 0;
}

static int guest_end(struct site *t)
{
    int rc = t->rows ? site_guest_done(t) : 0;

    rows_forget(t);
    return rc;
}

static bool same_guest(const struct index_row *a, const struct index_row *b)
{
    return strcmp(a->guest_name, b->guest_name) == 0 &&
           strcmp(a->guest_version, b->guest_version) == 0 && strcmp(a->arch, b->arch) == 0;
}

static int on_row(void *arg, const struct index_row *r)
{
    struct site *t = arg;
    int rc = 0;

    if (t->rows && !same_guest(&t->row[0].r, r))
        rc = guest_end(t);
    if (rc == 0)
        rc = row_copy(t, r);
    t->told->claims++;
    return rc;
}

/* --- the whole --- */

static int site_pages(struct site *t)
{
    int rc = site_folders(t);

    vbuf_print(&t->json, "[");
    vbuf_print(&t->csv, "guest,version,arch,persona,state,host,host_version,tested,runner,"
                        "max_cpus,max_memory,level,owner,stale,disputed,claims,page\n");
    if (rc == 0)
        rc = index_rows(t->ix, NULL, NULL, on_row, t, t->e);
    if (rc == 0)
        rc = guest_end(t);
    if (rc == 0)
        rc = site_matrix(t);
    if (rc == 0)
        rc = site_errata(t);
    if (rc == 0)
        rc = site_about(t);
    if (rc == 0)
        rc = site_fixed(t, "style.css", html_style);
    if (rc == 0)
        rc = site_fixed(t, "filter.js", html_script);
    vbuf_print(&t->json, "\n]\n");
    if (rc == 0)
        rc = site_write(t, "catalogue.json", &t->json);
    if (rc == 0)
        rc = site_write(t, "catalogue.csv", &t->csv);
    return rc;
}

/* What a site has in its folder; the rest is in folders of it. */
static bool site_has(const char *name)
{
    static const char *const names[] = {
        "about.html",  "bundles",   "catalogue.csv", "catalogue.json",
        "errata.html", "filter.js", "guest",         "guests",
        "index.html",  "log",       "record",        "style.css",
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

/* A site takes the place of a site as a whole: what is none, and what was put beside its pages, is
 * not ours to remove. */
static int site_may_replace(const char *out, struct err *e)
{
    struct dirent *x;
    DIR *d = opendir(out);
    char other[256] = "";
    bool site = false;

    if (!d)
        return errno == ENOENT
                   ? 0
                   : err_set(e, errno, "cannot put a site at %s: %s", out, strerror(errno));
    while ((x = readdir(d))) {
        if (strcmp(x->d_name, ".") == 0 || strcmp(x->d_name, "..") == 0)
            continue;
        site = site || strcmp(x->d_name, "catalogue.csv") == 0;
        if (!site_has(x->d_name))
            snprintf(other, sizeof(other), "%s", x->d_name);
    }
    closedir(d);
    if (other[0])
        return err_exit(e, EX_USAGE_, ENOTEMPTY,
                        "%s has %s in it, which is no part of a site and would be lost; name "
                        "another folder",
                        out, other);
    if (!site && rmdir(out) < 0)
        return err_exit(
            e, EX_USAGE_, ENOTEMPTY,
            "%s has something in it that is no site of a catalogue; name another folder", out);
    return 0;
}

/* Where the site goes: behind symbolic links, and without the slash that a shell's completion adds
 * to a folder. */
static int site_where(const char *out, char where[STORE_PATH], struct err *e)
{
    char *real = realpath(out, NULL);
    size_t n = strlen(real ? real : out);

    while (!real && n > 1 && out[n - 1] == '/')
        n--;
    if (n == 0 || n >= STORE_PATH) {
        free(real);
        return err_exit(e, EX_USAGE_, n ? ENAMETOOLONG : ENOENT, "%s",
                        n ? "the path of the site is too long"
                          : "the folder of the site has no name");
    }
    snprintf(where, STORE_PATH, "%.*s", (int)n, real ? real : out);
    free(real);
    return 0;
}

/* At no time is there no site, or half of one. */
static int site_place(struct site *t, const char *out)
{
    char old[STORE_PATH + 32];

    if (renameat2(AT_FDCWD, t->dir, AT_FDCWD, out, RENAME_EXCHANGE) == 0) {
        vtext_remove(t->dir);
        return 0;
    }
    /* There was none, or the file system cannot do that. */
    snprintf(old, sizeof(old), "%s.old-%ld", out, (long)getpid());
    if (rename(out, old) < 0 && errno != ENOENT)
        return err_set(t->e, errno, "cannot replace %s: %s", out, strerror(errno));
    if (rename(t->dir, out) < 0)
        return err_set(t->e, errno, "cannot put the site at %s: %s", out, strerror(errno));
    vtext_remove(old);
    return 0;
}

static void site_free(struct site *t)
{
    rows_forget(t);
    free(t->row);
    for (size_t i = 0; i < t->guests; i++) {
        free(t->guest[i].family);
        free(t->guest[i].name);
        for (unsigned p = 0; p < SITE_PERSONAS; p++)
            free(t->guest[i].cell[p]);
    }
    free(t->guest);
    free(t->done);
    if (t->lock >= 0)
        close(t->lock);
    vbuf_free(&t->json);
    vbuf_free(&t->csv);
}

/* What builds that were ended have left beside: who still builds holds a lock on its folder. */
static void site_sweep(const char *where)
{
    const char *last = path_last(where);
    char *parent = path_folder(where), path[STORE_PATH + 256];
    DIR *d = parent ? opendir(parent) : NULL;
    size_t n = strlen(last);
    struct dirent *x;
    int fd;

    while (d && (x = readdir(d))) {
        if (strncmp(x->d_name, last, n) != 0 || strncmp(x->d_name + n, ".new-", 5) != 0 ||
            !x->d_name[n + 5] || x->d_name[n + 5 + strspn(x->d_name + n + 5, "0123456789")])
            continue;
        snprintf(path, sizeof(path), "%s/%s", parent, x->d_name);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
            vtext_remove(path);
        if (fd >= 0)
            close(fd);
    }
    if (d)
        closedir(d);
    free(parent);
}

int site_build(const struct store *s, struct index *ix, const char *out, const char *current,
               struct site_told *told, struct err *e)
{
    struct site t = {.s = s, .ix = ix, .current = current, .told = told, .e = e, .lock = -1};
    char where[STORE_PATH];
    int rc = site_where(out, where, e);

    *told = (struct site_told){0};
    if (rc == 0)
        rc = site_may_replace(where, e);
    if (rc < 0)
        return rc;
    if (snprintf(t.dir, sizeof(t.dir), "%s.new-%ld", where, (long)getpid()) >= (int)sizeof(t.dir))
        return err_exit(e, EX_USAGE_, ENAMETOOLONG, "the path %s is too long", out);
    site_sweep(where);
    rc = site_pages(&t);
    if (rc == 0)
        rc = site_place(&t, where);
    if (rc < 0)
        vtext_remove(t.dir);
    site_free(&t);
    return rc;
}
