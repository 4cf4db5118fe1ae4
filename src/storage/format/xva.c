/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xva.c - the disks of a XenServer or XCP-ng export, read in the archive.
 *
 * Followed: "The XenServer VM import/export format" of the xapi project. A disk is a folder "Ref:N"
 * of numbered blocks, each with a checksum behind it. The numbers only count: a gap of n stands for
 * n - 1 blocks of zeroes that were left out, and a block without bytes counts and has no place on
 * the disk. The first and the last block are always there. How long the disk is stands in ova.xml.
 *
 * Not modelled: archives that are compressed as a whole.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#define XXH_INLINE_ALL /* no library to load for one sum */
#include <xxhash.h>

#include "abi/tar.h"
#include "core/dl.h"
#include "core/err.h"
#include "storage/format/format.h"
#include "storage/image.h"
#include "storage/map.h"
#include "storage/member.h"
#include "storage/tar.h"

enum {
    BLOCK_LEAST = 4096,
    BLOCK_MOST = 64 << 20,
    BLOCKS_MAX = 4 << 20, /* of 1 MiB: 4 TiB of content */
    TEXT_MAX = 32 << 20,
    NAMES_SHOWN = 8
};

struct block {
    uint32_t index;  /* of the disk */
    uint32_t sector; /* of the archive */
};

struct xva {
    struct map m;
    char ref[TAR_NAME_MAX]; /* "Ref:4" */
    struct block *v;
    size_t n, room;
    uint64_t block; /* bytes; 0 until the first one came */
    uint64_t index; /* of the next block */
    uint64_t count; /* that the next number should be */
    uint64_t last_len;
    bool short_one; /* a block shorter than the others came, so it was the last */
};

static struct xva *xva_of(struct map *m)
{
    return container_of(m, struct xva, m);
}

static int bad(const char *path, const char *what, struct err *e)
{
    return err_set(e, EINVAL, "'%s' is a damaged XVA archive: %s; get it anew", path, what);
}

/* --- names of members --- */

/* "Ref:4/00000012.checksum": its parts. false: no block and no checksum of one. */
static bool split_name(const char *name, size_t *ref, uint64_t *number, const char **suffix)
{
    const char *slash = strrchr(name, '/');
    char *end;

    if (!slash || slash == name || !isdigit((unsigned char)slash[1]))
        return false;
    errno = 0;
    *number = strtoull(slash + 1, &end, 10);
    *ref = (size_t)(slash - name);
    *suffix = end;
    return errno == 0 && (!*end || *end == '.') && end - slash <= 12;
}

static bool is_ref(const struct xva *v, const char *name, size_t n)
{
    return strlen(v->ref) == n && memcmp(v->ref, name, n) == 0;
}

/* --- the blocks --- */

static int keep(struct xva *v, uint64_t index, uint64_t at)
{
    if (v->n == v->room) {
        size_t room = v->room ? v->room * 2 : 256;
        struct block *blocks;

        if (room > BLOCKS_MAX)
            return -EFBIG;
        blocks = reallocarray(v->v, room, sizeof(*blocks));
        if (!blocks)
            return -ENOMEM;
        v->v = blocks;
        v->room = room;
    }
    if (index > UINT32_MAX || at / TAR_BLOCK > UINT32_MAX)
        return -EFBIG;
    v->v[v->n++] = (struct block){(uint32_t)index, (uint32_t)(at / TAR_BLOCK)};
    return 0;
}

/* One block file, in the archive's order. */
static int add_block(struct xva *v, const struct tar_member *x, uint64_t number)
{
    if (number < v->count || v->short_one)
        return -EINVAL;
    v->index += number - v->count;
    v->count = number + 1;
    if (x->size == 0)
        return 0;
    if (v->block == 0) {
        if (!is_pow2(x->size) || x->size < BLOCK_LEAST || x->size > BLOCK_MOST)
            return -EINVAL;
        v->block = x->size;
    }
    if (x->size > v->block)
        return -EINVAL;
    v->short_one = x->size < v->block;
    v->last_len = x->size;
    return keep(v, v->index++, x->at);
}

struct refs {
    char shown[NAMES_SHOWN * 40];
    char last[TAR_NAME_MAX];
    unsigned n;
};

static void see_ref(struct refs *r, const char *name, size_t n)
{
    size_t at = strlen(r->shown);

    if (strlen(r->last) == n && memcmp(r->last, name, n) == 0)
        return;
    memcpy(r->last, name, n);
    r->last[n] = '\0';
    r->n++;
    snprintf(r->shown + at, sizeof(r->shown) - at, "%s%.36s", at ? ", " : "", r->last);
}

/* Walks the archive; the disk that is wanted, or the first. */
static int collect(struct xva *v, struct refs *r)
{
    struct tar t = {.file = v->m.file};
    struct tar_member *x = malloc(sizeof(*x));
    int rc = x ? 1 : -ENOMEM;

    while (rc > 0 && (rc = tar_next(&t, x)) > 0) {
        const char *suffix;
        uint64_t number;
        size_t ref;

        if (!x->file || !split_name(x->name, &ref, &number, &suffix))
            continue;
        see_ref(r, x->name, ref);
        if (!v->ref[0])
            memcpy(v->ref, x->name, ref);
        if (!*suffix && is_ref(v, x->name, ref) && add_block(v, x, number) < 0)
            rc = -EINVAL;
    }
    free(x);
    return rc;
}

/* --- ova.xml: XML-RPC's structs and members --- */

/* The text of the value behind <name>KEY</name> at or after p; NULL: none. */
static const char *value_of(const char *p, const char *key, size_t *n)
{
    char tag[64];
    const char *end;

    snprintf(tag, sizeof(tag), "<name>%s</name>", key);
    p = strstr(p, tag);
    if (!p)
        return NULL;
    p += strlen(tag);
    p += strspn(p, " \t\r\n");
    if (strncmp(p, "<value>", 7) != 0)
        return NULL;
    p += 7;
    end = strchr(p, '<');
    *n = end ? (size_t)(end - p) : 0;
    return end ? p : NULL;
}

/* The virtual_size of the object with that id; 0: it is not said. */
static uint64_t size_in(const char *text, const char *ref)
{
    const char *p = text, *value;
    size_t n;

    while ((p = strstr(p, "<name>id</name>"))) {
        const char *next;

        value = value_of(p, "id", &n);
        p += 4;
        if (!value || n != strlen(ref) || memcmp(value, ref, n) != 0)
            continue;
        next = strstr(value, "<name>id</name>");
        value = value_of(value, "virtual_size", &n);
        if (value && (!next || value < next))
            return strtoull(value, NULL, 10);
    }
    return 0;
}

static int read_size(struct xva *v, const char *path, struct err *e)
{
    struct tar t = {.file = v->m.file};
    struct tar_member *x = malloc(sizeof(*x));
    uint64_t blocks = v->index ? (v->index - 1) * v->block + v->last_len : 0, bytes = 0;
    char *text = NULL;
    int rc = x ? tar_next(&t, x) : -ENOMEM;

    if (rc > 0 && x->size <= TEXT_MAX) {
        text = malloc(x->size + 1);
        rc = text ? disk_read(v->m.file, x->at, text, x->size) : -ENOMEM;
        if (rc == 0) {
            text[x->size] = '\0';
            bytes = size_in(text, v->ref);
        }
    }
    free(text);
    free(x);
    if (rc < 0)
        return err_set(e, -rc, "cannot read XVA archive '%s': %s", path, strerror(-rc));
    if (bytes % DISK_SECTOR || bytes > INT64_MAX)
        return bad(path, "ova.xml says an impossible size", e);
    if (bytes && (bytes - 1) / v->block != v->index - 1)
        return bad(path, "the last block of the disk is not there", e);
    v->m.d.shape.bytes = bytes ? bytes : align_up(blocks, DISK_SECTOR);
    return 0;
}

/* --- the disk --- */

static int xva_find(struct map *m, uint64_t off, uint64_t len, bool wait, struct piece *x)
{
    struct xva *v = xva_of(m);
    uint64_t index = off / v->block, lo = 0, hi = v->n;

    (void)wait;
    while (lo < hi) {
        uint64_t mid = (lo + hi) / 2;

        if (v->v[mid].index < index)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo < v->n && v->v[lo].index == index) {
        x->kind = PIECE_DATA;
        x->file = m->file;
        x->at = (uint64_t)v->v[lo].sector * TAR_BLOCK + off % v->block;
        x->len = min_u64(len, (index + 1) * v->block - off);
        if (v->short_one && lo == v->n - 1 && off % v->block + x->len > v->last_len) {
            uint64_t have = v->last_len - min_u64(v->last_len, off % v->block);

            x->kind = have ? PIECE_DATA : PIECE_ZERO;
            x->len = have ? have : x->len;
        }
        return 0;
    }
    x->kind = PIECE_PARENT;
    x->len = lo < v->n ? min_u64(len, v->v[lo].index * v->block - off) : len;
    return 0;
}

static void xva_close(struct map *m, bool clean)
{
    (void)clean;
    free(xva_of(m)->v);
}

static const struct map_ops xva_map_ops = {
    .name = "xva",
    .find = xva_find,
    .close = xva_close,
};

static int load(struct xva *v, const struct disk_cfg *c, struct err *e)
{
    struct refs *r = calloc(1, sizeof(*r));
    size_t n = c->member ? strlen(c->member) : 0;
    int rc;

    while (n && c->member[n - 1] == '/')
        n--;
    if (n >= sizeof(v->ref))
        n = sizeof(v->ref) - 1;
    if (n)
        memcpy(v->ref, c->member, n);
    rc = r ? collect(v, r) : -ENOMEM;
    if (rc == -EINVAL)
        rc = bad(c->path, "it was cut off, or its blocks are out of order", e);
    else if (rc < 0)
        rc = err_set(e, -rc, "cannot read XVA archive '%s': %s", c->path, strerror(-rc));
    else if (!c->member && r->n > 1)
        rc = err_set(e, EINVAL, "XVA archive '%s' holds %u disks (%s); name one as in '%s:%s'",
                     c->path, r->n, r->shown, c->path, v->ref);
    else if (v->n == 0)
        rc = err_set(e, ENOENT, "XVA archive '%s' has no disk '%s'; the disks in it are: %s",
                     c->path, n ? v->ref : "", r->n ? r->shown : "none");
    free(r);
    return rc == 0 ? read_size(v, c->path, e) : rc;
}

static int xva_open(struct disk *file, const struct disk_cfg *c, struct loop *l, struct disk **out,
                    struct err *e)
{
    struct xva *v;
    int rc;

    if (!file->shape.readonly)
        return err_set(e, EINVAL,
                       "'%s' is an archive and can only be read; convert it, or open it as a "
                       "snapshot",
                       c->path);
    v = calloc(1, sizeof(*v));
    if (!v)
        return err_set(e, ENOMEM, "no memory to open XVA archive '%s'", c->path);
    v->m.file = file;
    v->m.d.shape = (struct disk_shape){.logical = DISK_SECTOR, .physical = 4096, .readonly = true};
    rc = load(v, c, e);
    v->m.cluster = v->m.grain = v->block;
    if (rc == 0)
        rc = map_init(&v->m, &xva_map_ops, l, e);
    if (rc < 0) {
        free(v->v);
        free(v);
        return rc;
    }
    *out = &v->m.d;
    return 0;
}

static int xva_probe(const uint8_t *head, size_t n, const uint8_t *tail, size_t tn, uint64_t size)
{
    char name[TAR_NAME_MAX];

    (void)tail, (void)tn, (void)size;
    if (!tar_probe(head, n))
        return 0;
    tar_first_name(head, name, sizeof(name));
    return strcmp(name, "ova.xml") == 0 ? 90 : 0;
}

static void xva_facts(struct disk *d, struct facts *f)
{
    struct xva *v = xva_of(map_of(d));

    facts_text(f, "member", "%s", v->ref);
    facts_number(f, "block-size", v->block);
    facts_number(f, "blocks", v->n);
}

/* --- checksums --- */

struct verifying {
    struct disk *file;
    struct image_report *rep;
    char name[TAR_NAME_MAX]; /* of the last block */
    uint64_t at, size;
    uint8_t *buf;
    uint64_t room;
};

static int load_block(struct verifying *k)
{
    if (k->size > BLOCK_MOST)
        return -EINVAL;
    if (k->size > k->room) {
        free(k->buf);
        k->buf = malloc(k->size);
        k->room = k->buf ? k->size : 0;
        if (!k->buf)
            return -ENOMEM;
    }
    return k->size ? disk_read(k->file, k->at, k->buf, k->size) : 0;
}

/* Loaded when it is first used: see core/dl.h. */
DL_DECLARE(EVP_Digest);
DL_DECLARE(EVP_sha1);
static const struct dl_symbol libcrypto[] = {
    DL_SYMBOL(EVP_Digest),
    DL_SYMBOL(EVP_sha1),
    {NULL, NULL},
};
#define EVP_Digest dl_EVP_Digest
#define EVP_sha1 dl_EVP_sha1

static void digest(const struct verifying *k, bool sha1, char hex[48])
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (!sha1) {
        snprintf(hex, 48, "%016llx", (unsigned long long)XXH64(k->buf, k->size, 0));
        return;
    }
    hex[0] = '\0';
    if (EVP_Digest(k->buf, k->size, sum, &n, EVP_sha1(), NULL) != 1)
        return;
    for (unsigned i = 0; i < n && i < 20; i++)
        snprintf(hex + 2 * (size_t)i, 3, "%02x", sum[i]);
}

/* x is the checksum of the block before it. */
static int verify(struct verifying *k, const struct tar_member *x, bool sha1)
{
    char said[48] = "", is[48] = "";
    size_t stem = strlen(k->name);
    int rc;

    if (stem == 0 || strncmp(x->name, k->name, stem) != 0 || x->name[stem] != '.') {
        report(k->rep, FINDING_ERROR, false, "'%s' has no block before it", x->name);
        return 0;
    }
    rc = disk_read(k->file, x->at, said, min_u64(x->size, sizeof(said) - 1));
    if (rc == 0)
        rc = load_block(k);
    if (rc < 0)
        return rc == -EINVAL ? 0 : rc;
    said[strcspn(said, " \r\n")] = '\0';
    digest(k, sha1, is);
    if (strcasecmp(said, is) != 0)
        report(k->rep, FINDING_ERROR, false, "block '%s' is not what its checksum says", k->name);
    return 0;
}

static int verify_all(struct verifying *k)
{
    struct tar t = {.file = k->file};
    struct tar_member *x = malloc(sizeof(*x));
    int rc = x ? 1 : -ENOMEM;

    while (rc > 0 && (rc = tar_next(&t, x)) > 0) {
        const char *suffix;
        uint64_t number;
        size_t ref;
        int one = 0;

        if (!x->file || !split_name(x->name, &ref, &number, &suffix))
            continue;
        if (strcmp(suffix, ".checksum") == 0 || strcmp(suffix, ".xxhash") == 0)
            one = verify(k, x, suffix[1] == 'c');
        if (*suffix)
            k->name[0] = '\0';
        else
            memcpy(k->name, x->name, sizeof(k->name));
        k->at = x->at;
        k->size = x->size;
        k->rep->clusters += !*suffix;
        k->rep->allocated += !*suffix && x->size;
        rc = one < 0 ? one : rc;
    }
    k->rep->image_end = t.pos;
    free(x);
    return rc;
}

static int xva_check(struct disk *file, const struct disk_cfg *c, bool repair,
                     struct image_report *rep, struct err *e)
{
    struct verifying *k = calloc(1, sizeof(*k));
    int rc = dl_load("libcrypto.so.3", "libssl3", libcrypto, e);

    (void)repair;
    if (rc < 0) {
        free(k);
        return rc;
    }
    rc = k ? 0 : -ENOMEM;
    if (k) {
        k->file = file;
        k->rep = rep;
        rc = verify_all(k);
        free(k->buf);
    }
    free(k);
    if (rc == -EINVAL) {
        report(rep, FINDING_ERROR, false, "the archive was cut off");
        rc = 0;
    }
    return rc < 0 ? err_set(e, -rc, "cannot check '%s': %s", c->path, strerror(-rc)) : 0;
}

const struct format_ops xva_format = {
    .name = "xva",
    .suffixes = ".xva",
    .about = "exports of XenServer and XCP-ng",
    .probe = xva_probe,
    .open = xva_open,
    .check = xva_check,
    .facts = xva_facts,
};
