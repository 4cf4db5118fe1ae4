/* SPDX-License-Identifier: Apache-2.0 */
/* pack.c - see pack.h. Header layout: POSIX.1-2017, pax, "ustar Interchange Format". */
#define _GNU_SOURCE
#include "validation/pack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "abi/bytes.h"
#include "core/err.h"
#include "validation/bundle.h"
#include "validation/text.h"

enum { TAR_BLOCK = 512, ZST_LEVEL = 9 };

void vmembers_free(struct vmembers *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->m[i].name);
        free(l->m[i].data);
    }
    free(l->m);
    *l = (struct vmembers){0};
}

/* The first member that is not before name. */
static size_t vmembers_place(const struct vmembers *l, const char *name)
{
    size_t lo = 0, hi = l->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (strcmp(l->m[mid].name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

const struct vmember *vmembers_find(const struct vmembers *l, const char *name)
{
    size_t at = vmembers_place(l, name);

    return at < l->n && strcmp(l->m[at].name, name) == 0 ? &l->m[at] : NULL;
}

int vmembers_add(struct vmembers *l, const char *name, const void *data, size_t len, struct err *e)
{
    size_t at = vmembers_place(l, name);
    struct vmember *grown, m = {.len = len};

    if (!vname_good(name))
        return err_set(e, EINVAL, "\"%.100s\" is no name for a member of a bundle", name);
    if (at < l->n && strcmp(l->m[at].name, name) == 0)
        return err_set(e, EEXIST, "member %s is there twice", name);
    grown = l->n < BUNDLE_FILES_MAX ? reallocarray(l->m, l->n + 1, sizeof(*grown)) : NULL;
    if (!grown)
        return err_set(e, E2BIG, "a bundle holds at most %d files", BUNDLE_FILES_MAX);
    l->m = grown;
    m.name = strdup(name);
    m.data = malloc(len + 1);
    if (!m.name || !m.data) {
        free(m.name);
        free(m.data);
        return err_set(e, ENOMEM, "no memory for member %s", name);
    }
    if (len)
        memcpy(m.data, data, len);
    m.data[len] = '\0';
    memmove(grown + at + 1, grown + at, (l->n - at) * sizeof(*grown));
    grown[at] = m;
    l->n++;
    return 0;
}

/* --- tar --- */

static void tar_header(char h[TAR_BLOCK], const char *name, size_t len)
{
    unsigned sum = 0;

    memset(h, 0, TAR_BLOCK);
    memcpy(h, name, strnlen(name, V_NAME_MAX)); /* 100 bytes fill the field */
    memcpy(h + 100, "0000644", 8);
    memcpy(h + 108, "0000000", 8);
    memcpy(h + 116, "0000000", 8);
    snprintf(h + 124, 12, "%011llo", (unsigned long long)len);
    memcpy(h + 136, "00000000000", 12);
    memset(h + 148, ' ', 8);
    h[156] = '0';
    memcpy(h + 257, "ustar\00000", 8);
    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 7, "%06o", sum);
    h[155] = ' ';
}

int tar_pack(const struct vmembers *l, char **out, size_t *len, struct err *e)
{
    static const char zero[2 * TAR_BLOCK];
    struct vbuf b = {0};

    for (size_t i = 0; i < l->n; i++) {
        char h[TAR_BLOCK];

        tar_header(h, l->m[i].name, l->m[i].len);
        vbuf_add(&b, h, sizeof(h));
        vbuf_add(&b, l->m[i].data, l->m[i].len);
        vbuf_add(&b, zero, -l->m[i].len % TAR_BLOCK);
    }
    vbuf_add(&b, zero, sizeof(zero));
    if (b.failed) {
        vbuf_free(&b);
        return err_set(e, ENOMEM, "no memory for the archive");
    }
    *out = b.data;
    *len = b.len;
    return 0;
}

static bool tar_all_zero(const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i])
            return false;
    }
    return true;
}

/* The size field, which must be eleven octal digits. */
static bool tar_size(const char *h, uint64_t *out)
{
    *out = 0;
    for (size_t i = 124; i < 135; i++) {
        if (h[i] < '0' || h[i] > '7')
            return false;
        *out = *out << 3 | (uint64_t)(h[i] - '0');
    }
    return true;
}

/* One member at *at; moves *at behind it. */
static int tar_member(const char *data, size_t len, size_t *at, struct vmembers *l, struct err *e)
{
    char name[V_NAME_MAX + 1] = "", want[TAR_BLOCK];
    const char *h = data + *at;
    uint64_t size;

    memcpy(name, h, V_NAME_MAX);
    if (!vname_good(name) || !tar_size(h, &size))
        return err_set(e, EINVAL, "the archive has no good header at byte %zu", *at);
    tar_header(want, name, (size_t)size);
    for (size_t i = 0; i < TAR_BLOCK; i++) {
        if (h[i] != want[i])
            return err_set(e, EINVAL, "the header of member %s is changed at its byte %zu", name,
                           i);
    }
    *at += TAR_BLOCK;
    if (!range_in(*at, size, len) || !range_in(*at + size, -size % TAR_BLOCK, len))
        return err_set(e, EINVAL, "the archive ends inside member %s", name);
    if (!tar_all_zero(data + *at + size, -size % TAR_BLOCK))
        return err_set(e, EINVAL, "the filling behind member %s is changed", name);
    if (l->n && strcmp(l->m[l->n - 1].name, name) >= 0)
        return err_set(e, EINVAL, "member %s is out of order", name);
    *at += (size_t)align_up(size, TAR_BLOCK);
    return vmembers_add(l, name, data + *at - align_up(size, TAR_BLOCK), (size_t)size, e);
}

int tar_unpack(const char *data, size_t len, struct vmembers *l, struct err *e)
{
    size_t at = 0;
    int rc = 0;

    while (rc == 0 && len - at >= TAR_BLOCK && !tar_all_zero(data + at, TAR_BLOCK))
        rc = tar_member(data, len, &at, l, e);
    if (rc < 0)
        return rc;
    if (len - at != (size_t)2 * TAR_BLOCK || !tar_all_zero(data + at, len - at))
        return err_set(e, EINVAL, "the archive does not end as it should at byte %zu", at);
    return 0;
}

/* --- zstd --- */

void zst_packer(char *out, size_t room)
{
    snprintf(out, room, "zstd %s level %d", ZSTD_versionString(), ZST_LEVEL);
}

bool zst_begins(const void *data, size_t len)
{
    return len >= 4 && le32_at(data) == ZSTD_MAGICNUMBER;
}

int zst_pack(const void *data, size_t len, char **out, size_t *out_len, struct err *e)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    size_t room = ZSTD_compressBound(len), n = 0;
    bool bad = true;

    *out = malloc(room);
    if (c && *out) {
        ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, ZST_LEVEL);
        ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
        n = ZSTD_compress2(c, *out, room, data, len);
        bad = ZSTD_isError(n);
    }
    ZSTD_freeCCtx(c);
    if (bad) {
        free(*out);
        return err_set(e, ENOMEM, "no memory to compress the bundle");
    }
    *out_len = n;
    return 0;
}

int zst_unpack(const void *data, size_t len, size_t max, char **out, size_t *out_len, struct err *e)
{
    unsigned long long size = ZSTD_getFrameContentSize(data, len);
    size_t frame = ZSTD_findFrameCompressedSize(data, len), n;

    if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR || ZSTD_isError(frame))
        return err_set(e, EINVAL, "it is not one whole zstd frame that says its size");
    if (frame != len)
        return err_set(e, EINVAL, "there is something behind the zstd frame, at byte %zu", frame);
    if (size > max)
        return err_exit(e, EX_BAD_INPUT, EFBIG, "it unpacks to %llu bytes; at most %zu are read",
                        size, max);
    *out = malloc((size_t)size + 1);
    if (!*out)
        return err_set(e, ENOMEM, "no memory for %llu bytes", size);
    n = ZSTD_decompress(*out, (size_t)size, data, len);
    if (ZSTD_isError(n) || n != size) {
        free(*out);
        return err_set(e, EINVAL, "the compressed data is damaged: %s",
                       ZSTD_isError(n) ? ZSTD_getErrorName(n) : "it is too short");
    }
    *out_len = n;
    return 0;
}
