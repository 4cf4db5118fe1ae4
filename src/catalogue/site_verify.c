/* SPDX-License-Identifier: Apache-2.0 */
/*
 * site_verify.c - is a published site what its catalogue makes? Nothing in a page is signed, so the
 * site is made again, from the entries alone, and every file compared.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalogue/faults.h"
#include "catalogue/site.h"
#include "core/err.h"
#include "core/file.h"
#include "validation/text.h"

enum { NAME_ROOM = 1024, PATH_ROOM = 4096, PIECE = 1 << 14, DEPTH_MAX = 8 };

struct sites {
    const char *right, *there; /* folders: made just now, published */
    struct faults f;
};

/* Where two files differ first; -1: nowhere. */
static long long differ(FILE *a, FILE *b)
{
    uint8_t x[PIECE], y[PIECE];
    long long at = 0;

    for (;;) {
        size_t n = fread(x, 1, PIECE, a), m = fread(y, 1, PIECE, b), i = 0;

        while (i < n && i < m && x[i] == y[i])
            i++;
        if (i < n || i < m)
            return at + (long long)i;
        if (n == 0)
            return ferror(a) || ferror(b) ? at : -1;
        at += (long long)n;
    }
}

static void compare_file(struct sites *v, const char *name)
{
    char right[PATH_ROOM], there[PATH_ROOM];
    struct stat st;
    FILE *a, *b;
    long long at;

    snprintf(right, sizeof(right), "%s/%s", v->right, name);
    snprintf(there, sizeof(there), "%s/%s", v->there, name);
    a = fopen(right, "rbe");
    /* A FIFO would let us wait. */
    b = stat(there, &st) == 0 && S_ISREG(st.st_mode) ? fopen(there, "rbe") : NULL;
    if (!a)
        faults_add(&v->f, "%s: %s", right, strerror(errno));
    else if (!b)
        faults_add(&v->f, "%s is missing, or cannot be read", there);
    else if ((at = differ(a, b)) >= 0)
        faults_add(&v->f, "%s was changed: byte %lld is not what the catalogue makes", there, at);
    if (a)
        fclose(a);
    if (b)
        fclose(b);
}

/* Files are compared one way, and the other way only asked for. */
static void walk(struct sites *v, bool published, const char *below, unsigned depth)
{
    char path[PATH_ROOM], name[NAME_ROOM], other[PATH_ROOM];
    struct dirent *x;
    struct stat st;
    DIR *d;

    snprintf(path, sizeof(path), "%s/%s", published ? v->there : v->right, below);
    d = opendir(path);
    if (!d) {
        faults_add(&v->f, "%s cannot be read: %s", path, strerror(errno));
        return;
    }
    while ((x = readdir(d))) {
        if (!strcmp(x->d_name, ".") || !strcmp(x->d_name, ".."))
            continue;
        if (fstatat(dirfd(d), x->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            snprintf(name, sizeof(name), "%s%s%s", below, *below ? "/" : "", x->d_name) >=
                NAME_ROOM)
            continue;
        snprintf(other, sizeof(other), "%s/%s", published ? v->right : v->there, name);
        if (published && access(other, F_OK) < 0)
            faults_add(&v->f, "%s/%s is nothing that the catalogue makes", v->there, name);
        else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
            walk(v, published, name, depth + 1);
        else if (!published)
            compare_file(v, name);
    }
    closedir(d);
}

int site_verify(const struct store *s, const char *site, const char *current,
                void (*each)(void *arg, const char *fault), void *arg, struct err *e)
{
    struct sites v = {.there = site, .f = {each, arg, 0}};
    char tmp[V_PATH], right[V_PATH + 8];
    struct site_told told;
    struct index *ix;
    DIR *d = opendir(site);
    int rc;

    if (!d)
        return err_exit(e, EX_MISSING, errno, "cannot read the site %s: %s", site, strerror(errno));
    closedir(d);
    rc = vtext_mktemp(tmp, file_tmp(), "hospes-site", e);
    if (rc < 0)
        return rc;
    snprintf(right, sizeof(right), "%s/site", tmp);
    v.right = right;
    rc = index_open(s, ":memory:", &ix, e);
    if (rc == 0) {
        rc = site_build(s, ix, right, current, &told, e);
        index_close(ix);
    }
    if (rc == 0) {
        walk(&v, false, "", 0);
        walk(&v, true, "", 0);
    }
    vtext_remove(tmp);
    return rc < 0 ? rc : v.f.count;
}
