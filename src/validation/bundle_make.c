/* SPDX-License-Identifier: Apache-2.0 */
/* bundle_make.c - packs a folder of results and signs it; adds a signature to a bundle. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"
#include "validation/bundle_priv.h"
#include "validation/text.h"

enum { MAKE_DEPTH = 4, MAKE_FILE_MAX = 64 << 20 };

/* --- the folder --- */

static bool make_wanted(const char *name)
{
    return strcmp(name, "plan.txt") == 0 || strncmp(name, "suites", 6) == 0 ||
           strncmp(name, "cells", 5) == 0;
}

static int make_walk(struct vmembers *l, const char *dir, const char *below, unsigned depth,
                     struct err *e);

static int make_one(struct vmembers *l, const char *dir, const char *below, const char *entry,
                    unsigned depth, struct err *e)
{
    char name[V_PATH], path[V_PATH], *data;
    struct stat st;
    size_t len;
    int rc = 0;

    snprintf(name, sizeof(name), "%s%s%s", below, *below ? "/" : "", entry);
    /* What is hidden is half-written. */
    if (entry[0] == '.' || (!*below && !make_wanted(name)))
        return 0;
    rc = vpath(path, dir, name, e);
    if (rc < 0)
        return rc;
    if (lstat(path, &st) < 0)
        return err_set(e, errno, "cannot look at %s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return depth ? make_walk(l, dir, name, depth - 1, e)
                     : err_set(e, EINVAL, "%s: a results folder is not that deep", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, EINVAL, "%s is no file and no folder: take it away", path);
    rc = vtext_read(path, MAKE_FILE_MAX, &data, &len, e);
    if (rc < 0)
        return rc;
    rc = vmembers_add(l, name, data, len, e);
    free(data);
    return rc;
}

static int make_walk(struct vmembers *l, const char *dir, const char *below, unsigned depth,
                     struct err *e)
{
    char path[V_PATH];
    struct dirent *d;
    DIR *list;
    int rc = vpath(path, dir, below, e);

    if (rc < 0)
        return rc;
    list = opendir(path);
    if (!list)
        return err_set(e, errno, "cannot read the folder %s: %s", path, strerror(errno));
    while (rc == 0 && (d = readdir(list)))
        rc = make_one(l, dir, below, d->d_name, depth, e);
    closedir(list);
    return rc;
}

/* --- making --- */

static int make_add(void *arg, struct vmembers *l, const char *name, const char *text, size_t len,
                    struct err *e)
{
    return vmembers_add(l, name, text, len, e);
}

static void make_drop_signatures(struct vmembers *l)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++) {
        if (strncmp(l->m[i].name, "signatures/", 11) == 0) {
            free(l->m[i].name);
            free(l->m[i].data);
        } else {
            l->m[n++] = l->m[i];
        }
    }
    l->n = n;
}

static int make_envelope(struct vmembers *l, const char *name, const struct dsse *d, struct err *e)
{
    char *text;
    int rc = dsse_to_json(d, &text, e);

    if (rc < 0)
        return rc;
    rc = vmembers_add(l, name, text, strlen(text), e);
    free(text);
    return rc;
}

static int make_minisig(struct vmembers *l, const struct bundle_facts *f, const struct seckey *k,
                        struct err *e)
{
    const struct vmember *sums = vmembers_find(l, "SHA256SUMS");
    char name[64], comment[400], text[KEY_PUBLIC_TEXT], pub[512], *sig;
    int rc;

    snprintf(comment, sizeof(comment), "hospes bundle %.200s finished %s", f->record[0].plan,
             f->finished);
    rc = minisig_make(k, sums->data, sums->len, comment, &sig, e);
    if (rc < 0)
        return rc;
    snprintf(name, sizeof(name), "signatures/%.16s.minisig", k->pub.id);
    rc = vmembers_add(l, name, sig, strlen(sig), e);
    free(sig);
    if (rc < 0)
        return rc;
    pubkey_to_text(&k->pub, text);
    snprintf(pub, sizeof(pub), "untrusted comment: %.16s\n%s\n", k->pub.id, text);
    snprintf(name, sizeof(name), "signatures/%.16s.pub", k->pub.id);
    return vmembers_add(l, name, pub, strlen(pub), e);
}

static int make_write(const struct vmembers *l, const char *path, struct err *e)
{
    struct bundle *b;
    size_t tar_len, len;
    char *tar, *data;
    int rc = tar_pack(l, &tar, &tar_len, e);

    if (rc < 0)
        return rc;
    rc = zst_pack(tar, tar_len, &data, &len, e);
    free(tar);
    if (rc < 0)
        return rc;
    /* Nobody else should be the first to find a fault in it. */
    rc = bundle_parse(data, len, path, &b, e);
    if (rc == 0) {
        bundle_free(b);
        rc = vtext_write(path, data, len, e);
    }
    free(data);
    return rc;
}

static int make_sign(struct vmembers *l, const struct bundle_facts *f, const struct seckey *keys,
                     size_t n, struct err *e)
{
    char *statement = NULL, *result = NULL;
    struct dsse one = {0}, two = {0};
    int rc = bundle_statement_text(f, l, &statement, e);

    if (rc == 0)
        rc = bundle_test_result_text(f, l, &result, e);
    if (rc == 0)
        rc = dsse_create(&one, DSSE_INTOTO, statement, strlen(statement), e);
    if (rc == 0)
        rc = dsse_create(&two, DSSE_INTOTO, result, strlen(result), e);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = dsse_sign(&one, &keys[i], e);
        if (rc == 0)
            rc = dsse_sign(&two, &keys[i], e);
        if (rc == 0)
            rc = make_minisig(l, f, &keys[i], e);
    }
    if (rc == 0)
        rc = make_envelope(l, "signatures/statement.json", &one, e);
    if (rc == 0)
        rc = make_envelope(l, "signatures/test-result.json", &two, e);
    dsse_free(&one);
    dsse_free(&two);
    free(statement);
    free(result);
    return rc;
}

int bundle_write(const char *dir, const char *path, const struct seckey *keys, size_t n,
                 struct err *e)
{
    struct vmembers l = {0};
    struct bundle_facts f = {0};
    int rc;

    if (n == 0)
        return err_exit(e, EX_USAGE_, EINVAL, "a bundle needs a key that signs it: --key FILE");
    rc = make_walk(&l, dir, "", MAKE_DEPTH, e);
    if (rc == 0)
        rc = bundle_facts_read(&f, &l, e);
    if (rc == 0) {
        zst_packer(f.packer, sizeof(f.packer));
        rc = bundle_derive(&f, &l, make_add, NULL, e);
    }
    if (rc == 0)
        rc = make_sign(&l, &f, keys, n, e);
    if (rc == 0)
        rc = make_write(&l, path, e);
    bundle_facts_free(&f);
    vmembers_free(&l);
    return rc;
}

static int resign(struct dsse *d, const struct vmembers *l, const char *name,
                  const struct seckey *key, struct err *e)
{
    const struct vmember *m = vmembers_find(l, name);
    int rc = dsse_from_json(d, m->data, m->len, e);

    return rc < 0 ? rc : dsse_sign(d, key, e);
}

/* Keeps what signs for others: their keys and minisign signatures. */
static int countersign(struct vmembers *l, const struct bundle_facts *f, const struct seckey *key,
                       struct err *e)
{
    struct dsse one = {0}, two = {0};
    struct vmembers kept = {0};
    char mine[64];
    int rc = resign(&one, l, "signatures/statement.json", key, e);

    if (rc == 0)
        rc = resign(&two, l, "signatures/test-result.json", key, e);
    snprintf(mine, sizeof(mine), "signatures/%.16s.", key->pub.id);
    for (size_t i = 0; rc == 0 && i < l->n; i++) {
        const struct vmember *m = &l->m[i];

        if (strncmp(m->name, "signatures/", 11) == 0 && !strstr(m->name, ".json") &&
            strncmp(m->name, mine, strlen(mine)) != 0)
            rc = vmembers_add(&kept, m->name, m->data, m->len, e);
    }
    if (rc == 0) {
        make_drop_signatures(l);
        for (size_t i = 0; rc == 0 && i < kept.n; i++)
            rc = vmembers_add(l, kept.m[i].name, kept.m[i].data, kept.m[i].len, e);
    }
    if (rc == 0)
        rc = make_minisig(l, f, key, e);
    if (rc == 0)
        rc = make_envelope(l, "signatures/statement.json", &one, e);
    if (rc == 0)
        rc = make_envelope(l, "signatures/test-result.json", &two, e);
    vmembers_free(&kept);
    dsse_free(&one);
    dsse_free(&two);
    return rc;
}

/* Opens the file and locks it, so that two who sign at once do so one after the other: each takes
 * the place of the file by rename, and the second must read what the first has written. */
static int bundle_hold(const char *path, struct err *e)
{
    struct stat held, there;
    int fd;

    for (;;) {
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return err_set(e, errno, "cannot open %s: %s", path, strerror(errno));
        (void)flock(fd, LOCK_EX); /* a file system without locks has them all on one machine */
        if (fstat(fd, &held) < 0 || stat(path, &there) < 0 ||
            (held.st_ino == there.st_ino && held.st_dev == there.st_dev))
            return fd;
        close(fd);
    }
}

static int countersign_held(const char *path, const char *out, const struct seckey *key,
                            struct err *e)
{
    struct bundle_facts f = {0};
    struct vmembers l = {0};
    struct bundle *b;
    int rc = bundle_read(path, &b, e);

    if (rc < 0)
        return rc;
    for (size_t i = 0; rc == 0 && bundle_file_name(b, i); i++) {
        const char *data;
        size_t len;

        (void)bundle_file(b, bundle_file_name(b, i), &data, &len);
        rc = vmembers_add(&l, bundle_file_name(b, i), data, len, e);
    }
    bundle_free(b);
    if (rc == 0)
        rc = bundle_facts_read(&f, &l, e);
    if (rc == 0)
        rc = countersign(&l, &f, key, e);
    if (rc == 0)
        rc = make_write(&l, out, e);
    bundle_facts_free(&f);
    vmembers_free(&l);
    return rc;
}

int bundle_countersign(const char *path, const char *out, const struct seckey *key, struct err *e)
{
    char *real = realpath(path, NULL); /* a symbolic link stays, and what it names is signed */
    const char *from = real ? real : path;
    int fd = bundle_hold(from, e);
    int rc = fd < 0 ? fd : countersign_held(from, strcmp(out, path) == 0 ? from : out, key, e);

    if (fd >= 0)
        close(fd);
    free(real);
    return rc;
}
