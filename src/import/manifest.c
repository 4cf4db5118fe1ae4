/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.c - see manifest.h.
 *
 * Document: DMTF DSP0243 5.1, "ALGORITHM(NAME)= DIGEST" lines; SHA-1, SHA-256 and SHA-512 occur.
 * The digests come from OpenSSL's libcrypto.
 */
#define _GNU_SOURCE
#include "import/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/dl.h"
#include "core/err.h"
#include "core/file.h"
#include "storage/member.h"

enum { PIECE = 1 << 20, LINES_MAX = 512, HEX_MAX = 2 * EVP_MAX_MD_SIZE + 1 };

/* Loaded when it is first used: see core/dl.h. */
DL_DECLARE(EVP_DigestFinal_ex);
DL_DECLARE(EVP_DigestInit_ex);
DL_DECLARE(EVP_DigestUpdate);
DL_DECLARE(EVP_MD_CTX_free);
DL_DECLARE(EVP_MD_CTX_new);
DL_DECLARE(EVP_sha1);
DL_DECLARE(EVP_sha256);
DL_DECLARE(EVP_sha512);
static const struct dl_symbol libcrypto[] = {
    DL_SYMBOL(EVP_DigestFinal_ex), DL_SYMBOL(EVP_DigestInit_ex), DL_SYMBOL(EVP_DigestUpdate),
    DL_SYMBOL(EVP_MD_CTX_free),    DL_SYMBOL(EVP_MD_CTX_new),    DL_SYMBOL(EVP_sha1),
    DL_SYMBOL(EVP_sha256),         DL_SYMBOL(EVP_sha512),        {NULL, NULL},
};
#define EVP_DigestFinal_ex dl_EVP_DigestFinal_ex
#define EVP_DigestInit_ex dl_EVP_DigestInit_ex
#define EVP_DigestUpdate dl_EVP_DigestUpdate
#define EVP_MD_CTX_free dl_EVP_MD_CTX_free
#define EVP_MD_CTX_new dl_EVP_MD_CTX_new
#define EVP_sha1 dl_EVP_sha1
#define EVP_sha256 dl_EVP_sha256
#define EVP_sha512 dl_EVP_sha512

struct line {
    const char *algorithm, *name, *digest; /* inside the text */
    unsigned number;
};

/* Reads [at, at+n) of what is digested. */
struct reader {
    struct disk *archive;
    int fd;
    uint64_t at, left;
};

static ssize_t next_piece(struct reader *rd, uint8_t *buf)
{
    size_t n = (size_t)min_u64(rd->left, PIECE);
    ssize_t got = (ssize_t)n;

    if (rd->archive) {
        int rc = n ? disk_read(rd->archive, rd->at, buf, n) : 0;

        got = rc < 0 ? rc : got;
    } else {
        got = file_read(rd->fd, buf, n, rd->at);
    }
    if (got > 0) {
        rd->at += (uint64_t)got;
        rd->left -= (uint64_t)got;
    }
    return got;
}

static int digest(struct reader *rd, const EVP_MD *md, char hex[HEX_MAX])
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    uint8_t *buf = malloc(PIECE), sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    ssize_t got = -ENOMEM;

    if (c && buf && EVP_DigestInit_ex(c, md, NULL) == 1) {
        while ((got = next_piece(rd, buf)) > 0)
            EVP_DigestUpdate(c, buf, (size_t)got);
        EVP_DigestFinal_ex(c, sum, &n);
    }
    for (unsigned i = 0; i < n; i++)
        snprintf(hex + 2 * (size_t)i, 3, "%02x", sum[i]);
    EVP_MD_CTX_free(c);
    free(buf);
    return got < 0 ? (int)got : 0;
}

/* 0, or -ENOENT: it is not there. */
static int open_named(const struct import_file *f, const struct manifest_source *s,
                      const char *name, struct reader *rd)
{
    char path[4096];
    struct stat st;

    *rd = (struct reader){.archive = s->archive, .fd = -1};
    if (s->archive) {
        const struct member *m = members_find(f->members, name);

        if (!m)
            return -ENOENT;
        rd->at = m->at;
        rd->left = m->size;
        return 0;
    }
    if (strchr(name, '/') ||
        (size_t)snprintf(path, sizeof(path), "%s/%s", f->dir, name) >= sizeof(path))
        return -ENOENT;
    rd->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (rd->fd < 0)
        return -ENOENT;
    if (fstat(rd->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(rd->fd);
        return -ENOENT;
    }
    rd->left = (uint64_t)st.st_size;
    return 0;
}

static int tell(struct import_report *r, const struct line *l, enum import_fate fate,
                const char *why, struct err *e)
{
    char key[512];

    snprintf(key, sizeof(key), "manifest: %s(%.300s)", l->algorithm, l->name);
    return import_tell(r, fate, l->number, key, l->digest, NULL, why, e);
}

static int check_line(const struct import_file *f, const struct manifest_source *s,
                      const struct line *l, struct import_report *r, struct err *e)
{
    const EVP_MD *md;
    char hex[HEX_MAX] = "";
    struct reader rd;
    int rc = dl_load("libcrypto.so.3", "libssl3", libcrypto, e);

    if (rc < 0)
        return rc;
    md = strcasecmp(l->algorithm, "SHA1") == 0     ? EVP_sha1()
         : strcasecmp(l->algorithm, "SHA256") == 0 ? EVP_sha256()
         : strcasecmp(l->algorithm, "SHA512") == 0 ? EVP_sha512()
                                                   : NULL;
    if (!md)
        return tell(r, l, IMPORT_DROPPED, "not a digest that hospes knows; nothing was checked", e);
    if (f->wish.unchecked)
        return tell(r, l, IMPORT_DROPPED, "it was not to be checked", e);
    if (f->wish.quick && strcmp(l->name, s->descriptor) != 0)
        return tell(r, l, IMPORT_DROPPED, "not checked before a run; hospes import checks it", e);
    if (open_named(f, s, l->name, &rd) < 0)
        return tell(r, l, IMPORT_DROPPED, "the file is not there", e);
    rc = digest(&rd, md, hex);
    if (rd.fd >= 0)
        close(rd.fd);
    if (rc < 0)
        return err_set(e, -rc, "cannot read %s: %s", l->name, strerror(-rc));
    if (strcasecmp(hex, l->digest) != 0)
        return err_exit(e, EX_BAD_INPUT, EINVAL,
                        "%s is not what the manifest says (line %u: %s %.16s..., the file has "
                        "%.16s...); fetch it again, or give --unchecked",
                        l->name, l->number, l->algorithm, l->digest, hex);
    return tell(r, l, IMPORT_KEPT, NULL, e);
}

/* "SHA256(a.vmdk)= 12ab..."; false: no such line. */
static bool split(char *text, struct line *l)
{
    char *open = strchr(text, '('), *close, *end;

    if (!open)
        return false;
    close = strrchr(open, ')');
    if (!close)
        return false;
    *open = '\0';
    *close++ = '\0';
    text += strspn(text, " \t");
    text[strcspn(text, " \t-")] = '\0'; /* "SHA-256" is not written, "SHA256 " is */
    close += strspn(close, " \t=");
    end = close + strcspn(close, " \t\r\n");
    *end = '\0';
    *l = (struct line){.algorithm = text, .name = open + 1, .digest = close};
    return *text && *l->name && strspn(close, "0123456789abcdefABCDEF") == strlen(close) && *close;
}

int manifest_check(const struct import_file *f, const struct manifest_source *s, char *text,
                   struct import_report *r, struct err *e)
{
    unsigned number = 0;
    char *next;
    int rc = 0;

    for (char *at = text; at && rc == 0; at = next) {
        struct line l;

        next = strchr(at, '\n');
        if (next)
            *next++ = '\0';
        number++;
        if (at[strspn(at, " \t\r")] == '\0')
            continue;
        if (number > LINES_MAX)
            return err_exit(e, EX_BAD_INPUT, EINVAL, "the manifest has more than %d lines",
                            LINES_MAX);
        if (!split(at, &l))
            return err_exit(e, EX_BAD_INPUT, EINVAL,
                            "line %u of the manifest is not ALGORITHM(NAME)= DIGEST", number);
        l.number = number;
        rc = check_line(f, s, &l, r, e);
    }
    return rc;
}
