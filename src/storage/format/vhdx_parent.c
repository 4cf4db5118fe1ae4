/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhdx_parent.c - the parent of a differencing VHDX file: [MS-VHDX] 2.6.2.6.
 *
 * The locator's paths are tried in the document's order, each as it is and then as a plain name
 * beside the child, as an image that was copied here keeps the paths of its old home. A VHDX parent
 * must have the DataWriteGuid that the child remembers. Parents of other formats cannot be checked
 * that way: a child made here then names their format in a key of its own, `parent_format`, and has
 * a parent_linkage of zeroes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/err.h"
#include "core/path.h"
#include "storage/format/format.h"
#include "storage/format/vhdx.h"
#include "storage/utf.h"

enum { LINKAGE, LINKAGE2, RELATIVE, VOLUME, ABSOLUTE, FORMAT, KEYS };
static const char *const names[KEYS] = {"parent_linkage", "parent_linkage2",     "relative_path",
                                        "volume_path",    "absolute_win32_path", "parent_format"};

/* --- reading --- */

struct locator {
    char *value[KEYS]; /* malloc'd, or NULL; names of files are this system's */
};

static void forget(struct locator *k)
{
    for (unsigned i = 0; i < KEYS; i++)
        free(k->value[i]);
}

static char *text(const uint8_t *p, size_t n, uint64_t off, uint16_t len)
{
    return len && len % 2 == 0 && range_in(off, len, n) ? utf16_text(p + off, len / 2u, false)
                                                        : NULL;
}

/* false: not a locator of VHDX files. */
static bool parse(const uint8_t *p, size_t n, struct locator *k)
{
    static const struct vhdx_guid type = VHDX_LOCATOR_VHDX;
    struct vhdx_locator h;
    size_t count;

    memcpy(&h, p, sizeof(h)); /* the item is at least so long */
    count = le16_get(h.key_value_count);
    if (!vhdx_guid_same(&h.type, &type) || count > VHDX_LOCATOR_KEYS ||
        sizeof(h) + count * sizeof(struct vhdx_locator_entry) > n)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct vhdx_locator_entry x;
        char *key;

        memcpy(&x, p + sizeof(h) + i * sizeof(x), sizeof(x));
        key = text(p, n, le32_get(x.key_offset), le16_get(x.key_length));
        for (unsigned id = 0; key && id < KEYS; id++) {
            if (strcmp(key, names[id]) == 0 && !k->value[id])
                k->value[id] = text(p, n, le32_get(x.value_offset), le16_get(x.value_length));
        }
        free(key);
    }
    for (unsigned id = RELATIVE; id <= ABSOLUTE; id++) {
        if (k->value[id])
            path_from_windows(k->value[id]);
    }
    return true;
}

static int load(struct vhdx *v, struct locator *k)
{
    uint8_t *p = malloc(v->locator_len);
    int rc = p ? disk_read(v->m.file, v->locator_at, p, v->locator_len) : -ENOMEM;

    if (rc == 0 && !parse(p, v->locator_len, k))
        rc = -EINVAL;
    free(p);
    return rc;
}

/* --- opening --- */

static bool linked(const struct locator *k, const struct disk *parent)
{
    static const struct vhdx_guid none;
    char is[VHDX_GUID_TEXT], nothing[VHDX_GUID_TEXT];

    vhdx_guid_text(&none, nothing);
    if (parent->format != &vhdx_format)
        return k->value[LINKAGE] && strcmp(k->value[LINKAGE], nothing) == 0;
    vhdx_guid_text(&vhdx_of(map_of((struct disk *)(uintptr_t)parent))->h.data_write_guid, is);
    return (k->value[LINKAGE] && strcasecmp(k->value[LINKAGE], is) == 0) ||
           (k->value[LINKAGE2] && strcasecmp(k->value[LINKAGE2], is) == 0);
}

static int try_name(struct vhdx *v, const struct locator *k, const struct disk_cfg *c,
                    const char *name, struct loop *l, struct err *e)
{
    const char *format = k->value[FORMAT];
    int rc;

    if (!*name)
        return -ENOENT;
    if (format && !format_by_name(format))
        return vhdx_bad(c->path, "it names an unknown format of its parent", e);
    rc = chain_open(c, name, format ? format : "vhdx", l, &v->m.parent, e);
    if (rc < 0 || linked(k, v->m.parent))
        return rc;
    disk_close(v->m.parent);
    v->m.parent = NULL;
    return err_set(e, EINVAL,
                   "'%s' is not the parent that VHDX image '%s' was made over, or was changed "
                   "since; find the right file",
                   name, c->path);
}

static bool missing(int rc)
{
    return rc == -ENOENT || rc == -ENOTDIR;
}

/* The first name that leads to a file decides; e tells of the first failure that is not a missing
 * file. */
static int find_parent(struct vhdx *v, struct locator *k, const struct disk_cfg *c, struct loop *l,
                       struct err *e)
{
    static const unsigned order[] = {RELATIVE, VOLUME, ABSOLUTE};
    struct err why, first = {0};
    int rc = -ENOENT;

    (void)err_set(e, ENOENT, "VHDX image '%s' needs a parent and does not name it", c->path);
    for (unsigned i = 0; i < 2 * ARRAY_SIZE(order) && rc < 0; i++) {
        const char *path = k->value[order[i / 2]];

        if (!path || (i % 2 && path_last(path) == path))
            continue;
        rc = try_name(v, k, c, i % 2 ? path_last(path) : path, l, &why);
        if (rc < 0 && !missing(rc) && !first.code)
            first = why;
        if (rc < 0)
            *e = first.code ? first : why;
    }
    return rc;
}

int vhdx_open_parent(struct vhdx *v, const struct disk_cfg *c, struct loop *l, struct err *e)
{
    struct locator k = {{0}};
    int rc = load(v, &k);

    if (rc < 0)
        rc = vhdx_bad(c->path, "what it says of its parent cannot be read", e);
    else
        rc = find_parent(v, &k, c, l, e);
    forget(&k);
    return rc < 0 ? err_wrap(e, "cannot open the parent of VHDX image '%s'", c->path) : 0;
}

void vhdx_parent_facts(struct vhdx *v, struct facts *f)
{
    static const unsigned order[] = {RELATIVE, ABSOLUTE, VOLUME};
    struct locator k = {{0}};
    bool named = false;

    if (load(v, &k) == 0) {
        for (unsigned i = 0; i < ARRAY_SIZE(order) && !named; i++) {
            if (k.value[order[i]])
                facts_text(f, "parent", "%s", k.value[order[i]]);
            named = k.value[order[i]];
        }
        if (k.value[FORMAT])
            facts_text(f, "parent-format", "%s", k.value[FORMAT]);
        if (k.value[LINKAGE])
            facts_text(f, "parent-linkage", "%s", k.value[LINKAGE]);
    }
    forget(&k);
}

/* --- making --- */

enum { TEXT_UNITS = 4096 };

/* Appends a text to the item; its length in bytes, 0 when it does not fit. */
static uint16_t put_text(uint8_t *item, size_t *at, const char *s, bool path)
{
    size_t n = utf16_from(s, item + *at, TEXT_UNITS, false) * 2;

    if (n == TEXT_UNITS * 2)
        return 0;
    for (size_t i = 0; path && i < n; i += 2) {
        if (le16_at(item + *at + i) == '/')
            le16_put(item + *at + i, '\\');
    }
    *at += n;
    return (uint16_t)n;
}

uint8_t *vhdx_make_locator(const struct image_make *k, size_t *n)
{
    static const struct vhdx_guid none;
    bool same = k->parent->format == &vhdx_format;
    struct vhdx_locator h = {.type = VHDX_LOCATOR_VHDX, .key_value_count = le16_of(same ? 2 : 3)};
    const char *format = k->backing_format   ? k->backing_format
                         : k->parent->format ? k->parent->format->name
                                             : "raw";
    char guid[VHDX_GUID_TEXT];
    const char *pairs[3][2] = {{names[LINKAGE], guid},
                               {names[k->backing[0] == '/' ? ABSOLUTE : RELATIVE], k->backing},
                               {names[FORMAT], format}};
    size_t at = sizeof(h) + (same ? 2 : 3) * sizeof(struct vhdx_locator_entry);
    uint8_t *item = calloc(1, VHDX_LOCATOR_MAX);

    if (!item)
        return NULL;
    vhdx_guid_text(same ? &vhdx_of(map_of(k->parent))->h.data_write_guid : &none, guid);
    memcpy(item, &h, sizeof(h));
    for (unsigned i = 0; i < (same ? 2 : 3); i++) {
        struct vhdx_locator_entry x = {.key_offset = le32_of((uint32_t)at)};

        x.key_length = le16_of(put_text(item, &at, pairs[i][0], false));
        x.value_offset = le32_of((uint32_t)at);
        x.value_length = le16_of(put_text(item, &at, pairs[i][1], i == 1));
        if (le16_get(x.value_length) == 0) {
            free(item);
            return NULL;
        }
        memcpy(item + sizeof(h) + i * sizeof(x), &x, sizeof(x));
    }
    *n = at;
    return item;
}
