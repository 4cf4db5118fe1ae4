/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmdk_make.c - new VMDK images of every kind that is written.
 *
 * Files of an image are named after its descriptor: x-flat.vmdk, x-f001.vmdk, x-s001.vmdk. All
 * tables of a sparse extent are there from the start, as VMware's programs expect.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cfg.h"
#include "core/err.h"
#include "core/path.h"
#include "storage/file.h"
#include "storage/format/vmdk.h"
#include "storage/image.h"

enum { TEXT_SECTORS = 20, STREAM_HEAD = 128 };
#define SPLIT (UINT64_C(2047) * MiB)
#define SPARSE_MOST (UINT64_C(2040) * GiB) /* of one extent: with its tables below 2 TiB */

const struct format_option vmdk_options[] = {
    {"subformat", "monolithicSparse (default), monolithicFlat, twoGbMaxExtentSparse, "
                  "twoGbMaxExtentFlat, vmfs, vmfsThin or streamOptimized (written once)"},
    {"adapter_type", "ide, buslogic, lsilogic or legacyESX"},
    {"hwversion", "the hardware version of the descriptor, default 4"},
    {"compat6", "on: hardware version 6"},
    {"toolsversion", "the version of VMware's tools, default 2147483647"},
    {"zeroed_grain", "on: grains of zeroes are told apart from missing ones"},
    {NULL, NULL},
};

struct sub {
    const char *name, *kind, *adapter;
    bool sparse, split, stream, thin;
};
static const struct sub subs[] = {
    {"monolithicSparse", "SPARSE", "ide", true, false, false, false},
    {"monolithicFlat", "FLAT", "ide", false, false, false, false},
    {"twoGbMaxExtentSparse", "SPARSE", "ide", true, true, false, false},
    {"twoGbMaxExtentFlat", "FLAT", "ide", false, true, false, false},
    {"vmfs", "VMFS", "lsilogic", false, false, false, false},
    {"vmfsThin", "VMFS", "lsilogic", false, false, false, true},
    {"streamOptimized", "SPARSE", "lsilogic", true, false, true, false},
};

struct making {
    const struct image_make *k;
    const struct sub *sub;
    struct vmdk_text t;
    bool zeroed;
};

static int usage(const char *what, struct err *e)
{
    return err_exit(e, EX_USAGE_, EINVAL, "a VMDK image cannot be made like that: %s", what);
}

static int cannot_write(const char *path, int rc, struct err *e)
{
    return err_set(e, -rc, "cannot write VMDK image '%s': %s", path, strerror(-rc));
}

/* --- options --- */

static bool is_on(struct cfg *c, const char *key)
{
    const char *v = cfg_get(c, key);

    return v && (!*v || strcmp(v, "on") == 0);
}

static bool is_plain(const char *s)
{
    for (; *s; s++) {
        if (*s == '"' || (unsigned char)*s < ' ')
            return false;
    }
    return true;
}

static int read_texts(struct making *w, struct err *e)
{
    static const char *const adapters[] = {"ide", "buslogic", "lsilogic", "legacyESX"};
    struct cfg *c = w->k->opts;
    const char *v = cfg_get(c, "adapter_type");
    bool known = !v;

    for (size_t i = 0; i < ARRAY_SIZE(adapters) && v; i++)
        known = known || strcmp(v, adapters[i]) == 0;
    if (!known)
        return usage("adapter_type is ide, buslogic, lsilogic or legacyESX", e);
    w->t.adapter = v ? v : w->sub->adapter;
    v = cfg_get(c, "hwversion");
    w->t.hwversion = v ? v : is_on(c, "compat6") ? "6" : "4";
    v = cfg_get(c, "toolsversion");
    w->t.tools = v ? v : "2147483647";
    if (!*w->t.hwversion || strspn(w->t.hwversion, "0123456789") != strlen(w->t.hwversion) ||
        strlen(w->t.hwversion) > 8)
        return usage("hwversion is a number", e);
    if (!*w->t.tools || strspn(w->t.tools, "0123456789") != strlen(w->t.tools) ||
        strlen(w->t.tools) > 12)
        return usage("toolsversion is a number", e);
    return 0;
}

static int read_options(struct making *w, struct err *e)
{
    const struct image_make *k = w->k;
    const char *name = cfg_get(k->opts, "subformat");

    w->sub = name ? NULL : &subs[0];
    for (size_t i = 0; i < ARRAY_SIZE(subs) && name; i++) {
        if (strcmp(subs[i].name, name) == 0)
            w->sub = &subs[i];
    }
    if (!w->sub)
        return usage("its subformat is none of those that 'hospes image create --help' names", e);
    w->zeroed = is_on(k->opts, "zeroed_grain");
    if (k->bytes == 0 || k->bytes % DISK_SECTOR)
        return usage("the size must be whole sectors", e);
    if (w->sub->sparse && !w->sub->split && !w->sub->stream && k->bytes > SPARSE_MOST)
        return usage("one sparse extent holds 2040 GiB; choose twoGbMaxExtentSparse or vmfs", e);
    if (w->sub->split && k->bytes / SPLIT >= VMDK_EXTENTS_MAX)
        return usage("that many extents of 2 GiB are too many; choose vmfs", e);
    if (k->backing && (!w->sub->sparse || w->sub->stream))
        return usage("a child is monolithicSparse or twoGbMaxExtentSparse", e);
    if (!is_plain(k->path) || (k->backing && !is_plain(k->backing)))
        return usage("names of files may hold no quotes and no line breaks", e);
    return read_texts(w, e);
}

static void fill_text(struct making *w)
{
    const struct image_make *k = w->k;

    w->t.create_type = w->sub->thin ? "vmfs" : w->sub->name; /* thin is said elsewhere */
    w->t.thin = w->sub->thin;
    w->t.sectors = k->bytes / VMDK_SECTOR;
    w->t.cid = vmdk_new_cid();
    w->t.parent_cid = UINT32_MAX;
    w->t.hint = k->backing;
    if (k->backing) /* a parent of another format has no content ID; this one is no real one */
        w->t.parent_cid = UINT32_MAX - 1;
    if (k->parent && k->parent->format == &vmdk_format && map_of(k->parent))
        w->t.parent_cid = vmdk_of(map_of(k->parent))->desc.cid;
}

/* --- names of extents --- */

/* "x-s001.vmdk" for "dir/x.vmdk": beside it, or only its name. NULL: no memory. */
static char *extent_name(const struct making *w, unsigned i, bool whole)
{
    const char *path = w->k->path, *base = path_last(path);
    int dir = whole ? (int)(base - path) : 0, stem = (int)strlen(base), n;
    char *out = NULL;

    if (path_has_suffix(base, ".vmdk"))
        stem = (int)(path_suffix(base) - base);
    if (w->sub->split)
        n = asprintf(&out, "%.*s%.*s-%c%03u.vmdk", dir, path, stem, base,
                     w->sub->sparse ? 's' : 'f', i + 1);
    else
        n = asprintf(&out, "%.*s%.*s-flat.vmdk", dir, path, stem, base);
    return n < 0 ? NULL : out;
}

static unsigned extent_count(const struct making *w)
{
    return w->sub->split ? (unsigned)((w->k->bytes + SPLIT - 1) / SPLIT) : 1;
}

static uint64_t extent_bytes(const struct making *w, unsigned i)
{
    return w->sub->split ? min_u64(SPLIT, w->k->bytes - i * SPLIT) : w->k->bytes;
}

/* --- sparse extents --- */

struct layout {
    uint64_t tables, gd_sectors, gt_sectors; /* of one directory */
    uint64_t text, rgd, gd, head;            /* where, sectors; text 0: none */
};

static struct layout lay_out(uint64_t bytes, bool text)
{
    uint64_t span = (uint64_t)VMDK_GRAIN * VMDK_GT_ENTRIES;
    struct layout y = {.tables = (bytes + span - 1) / span};

    y.gd_sectors = (y.tables * 4 + VMDK_SECTOR - 1) / VMDK_SECTOR;
    y.gt_sectors = VMDK_GT_ENTRIES * 4 / VMDK_SECTOR;
    y.text = text ? 1 : 0;
    y.rgd = text ? 1 + TEXT_SECTORS : 1;
    y.gd = y.rgd + y.gd_sectors + y.tables * y.gt_sectors;
    y.head = align_up(y.gd + y.gd_sectors + y.tables * y.gt_sectors, VMDK_GRAIN / VMDK_SECTOR);
    return y;
}

static struct sparse_extent_header new_header(const struct making *w, uint64_t bytes,
                                              const struct layout *y)
{
    uint32_t flags = SPARSE_NEWLINE_TEST | SPARSE_REDUNDANT_GT;
    struct sparse_extent_header h = {
        .magicNumber = le32_of(SPARSE_MAGICNUMBER),
        .version = le32_of(w->zeroed ? 2 : 1),
        .capacity = le64_of(bytes / VMDK_SECTOR),
        .grainSize = le64_of(VMDK_GRAIN / VMDK_SECTOR),
        .descriptorOffset = le64_of(y->text),
        .descriptorSize = le64_of(y->text ? TEXT_SECTORS : 0),
        .numGTEsPerGT = le32_of(VMDK_GT_ENTRIES),
        .rgdOffset = le64_of(y->rgd),
        .gdOffset = le64_of(y->gd),
        .overHead = le64_of(y->head),
    };

    memcpy(&h.singleEndLineChar, "\n \r\n", 4);
    if (w->sub->stream) {
        flags = SPARSE_NEWLINE_TEST | SPARSE_COMPRESSED | SPARSE_MARKERS;
        h.version = le32_of(3); /* ESXi takes no other */
        h.rgdOffset = le64_of(0);
        h.gdOffset = le64_of(GD_AT_END);
        h.overHead = le64_of(STREAM_HEAD);
        h.compressAlgorithm = le16_of(COMPRESSION_DEFLATE);
    } else if (w->zeroed) {
        flags |= SPARSE_ZEROED_GTE;
    }
    h.flags = le32_of(flags);
    return h;
}

static int write_directory(struct disk *file, const struct layout *y, uint64_t at)
{
    uint8_t *raw = calloc(y->gd_sectors, VMDK_SECTOR);
    uint64_t first = at + y->gd_sectors;
    int rc;

    if (!raw)
        return -ENOMEM;
    for (uint64_t i = 0; i < y->tables; i++)
        le32_put(raw + i * 4, (uint32_t)(first + i * y->gt_sectors));
    rc = disk_write(file, at * VMDK_SECTOR, raw, y->gd_sectors * VMDK_SECTOR);
    free(raw);
    return rc;
}

/* The embedded descriptor, padded with zeroes. */
static int write_text(const struct making *w, struct disk *file, uint64_t at)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    int rc = f ? 0 : -ENOMEM;

    if (f) {
        vmdk_text_head(f, &w->t);
        fprintf(f, "%s %llu SPARSE \"%s\"\n", w->sub->stream ? "RDONLY" : "RW",
                (unsigned long long)w->t.sectors, path_last(w->k->path));
        vmdk_text_tail(f, &w->t);
        rc = fclose(f) == 0 ? 0 : -ENOMEM;
    }
    if (rc == 0 && n > (size_t)TEXT_SECTORS * VMDK_SECTOR)
        rc = -ENAMETOOLONG;
    if (rc == 0)
        rc = disk_write(file, at * VMDK_SECTOR, text, n);
    free(text);
    return rc;
}

static int make_sparse(const struct making *w, struct disk *file, uint64_t bytes, bool text)
{
    struct layout y = lay_out(bytes, text);
    struct sparse_extent_header h = new_header(w, bytes, &y);
    uint64_t head = w->sub->stream ? STREAM_HEAD : y.head;
    int rc = file->shape.grows ? file_resize(file, head * VMDK_SECTOR)
                               : disk_zero(file, 0, head * VMDK_SECTOR, false);

    if (rc == 0 && !w->sub->stream)
        rc = write_directory(file, &y, y.rgd);
    if (rc == 0 && !w->sub->stream)
        rc = write_directory(file, &y, y.gd);
    if (rc == 0 && text)
        rc = write_text(w, file, y.text);
    if (rc == 0 && w->sub->stream)
        rc = vmdk_stream_empty(file, &h);
    if (rc == 0)
        rc = disk_write(file, 0, &h, sizeof(h));
    return rc == 0 ? disk_flush(file) : rc;
}

/* --- extents in files of their own --- */

static int make_extent(const struct making *w, unsigned i, const char *path, struct err *e)
{
    struct file_cfg fc = {.path = path, .create = true, .overwrite = true};
    struct disk *file;
    int rc = file_open(&fc, NULL, &file, e);

    if (rc < 0)
        return rc;
    if (w->sub->sparse)
        rc = make_sparse(w, file, extent_bytes(w, i), false);
    else
        rc = file_resize(file, extent_bytes(w, i));
    if (rc == 0)
        rc = disk_flush(file);
    disk_close(file);
    if (rc < 0)
        return cannot_write(path, rc, e);
    disk_mark_made(path);
    rc = w->k->made ? w->k->made(w->k->arg, path, e) : 0;
    if (rc < 0)
        unlink(path);
    return rc;
}

static int make_extents(const struct making *w, FILE *f, struct err *e)
{
    unsigned done = 0, n = extent_count(w);
    int rc = 0;

    while (done < n && rc == 0) {
        char *path = extent_name(w, done, true), *name = extent_name(w, done, false);

        rc = path && name ? make_extent(w, done, path, e) : cannot_write(w->k->path, -ENOMEM, e);
        if (rc == 0) {
            fprintf(f, "RW %llu %s \"%s\"%s\n",
                    (unsigned long long)(extent_bytes(w, done) / VMDK_SECTOR), w->sub->kind, name,
                    strcmp(w->sub->kind, "FLAT") == 0 ? " 0" : "");
            done++;
        }
        free(path);
        free(name);
    }
    for (unsigned i = 0; i < done && rc < 0; i++) {
        char *path = extent_name(w, i, true);

        if (path)
            unlink(path);
        free(path);
    }
    return rc;
}

static int make_many(const struct making *w, struct disk *file, struct err *e)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    int rc;

    if (!f)
        return cannot_write(w->k->path, -ENOMEM, e);
    vmdk_text_head(f, &w->t);
    rc = make_extents(w, f, e);
    vmdk_text_tail(f, &w->t);
    if (fclose(f) != 0 && rc == 0)
        rc = cannot_write(w->k->path, -ENOMEM, e);
    if (rc == 0) {
        rc = disk_write(file, 0, text, n);
        if (rc == 0)
            rc = disk_flush(file);
        rc = rc < 0 ? cannot_write(w->k->path, rc, e) : 0;
    }
    free(text);
    return rc;
}

int vmdk_create(struct disk *file, const struct image_make *k, struct err *e)
{
    struct making w = {.k = k};
    int rc = read_options(&w, e);

    if (rc < 0)
        return rc;
    fill_text(&w);
    if (!w.sub->sparse || w.sub->split)
        return make_many(&w, file, e);
    rc = make_sparse(&w, file, k->bytes, true);
    return rc < 0 ? cannot_write(k->path, rc, e) : 0;
}
