/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmdk.c - VMware's disks: descriptors, flat, sparse and split extents, streams, snapshots.
 *
 * Followed: "Virtual Disk Format 5.0" (VMware, 2011); COWD and seSparse by the libvmdk
 * documentation. A disk may be one file that begins with a sparse extent and holds its descriptor,
 * or a descriptor alone that names its extents. Names are followed only beneath the descriptor's
 * own directory (chain.c), and not at all while probing or describing.
 *
 * Files that say they are compressed are written once, in order, and only read afterwards; see
 * vmdk_stream.c. COWD and seSparse extents are only read.
 *
 * Not modelled: raw device mappings, changed block tracking (its file is left alone), encryption.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/err.h"
#include "core/path.h"
#include "storage/file.h"
#include "storage/format/vmdk.h"
#include "storage/image.h"

int vmdk_bad(const char *path, const char *what, struct err *e)
{
    return err_set(e, EINVAL, "'%s' is a damaged VMDK image: %s; 'hospes image check' says more",
                   path, what);
}

static int no_memory(const char *path, struct err *e)
{
    return err_set(e, ENOMEM, "no memory to open VMDK image '%s'", path);
}

int vmdk_take_tables(struct vmdk *v, size_t n, size_t size, void **out, const char *path,
                     struct err *e)
{
    if (n > VMDK_TABLES_MAX / size || v->tables + n * size > VMDK_TABLES_MAX)
        return vmdk_bad(path, "its grain directories are larger than any real disk's", e);
    *out = calloc(n ? n : 1, size);
    if (!*out)
        return no_memory(path, e);
    v->tables += n * size;
    return 0;
}

/* --- extents --- */

/* Opens the file of line i, whose name may be in another encoding, or as bytes. */
static int open_named(struct vmdk *v, const struct disk_cfg *c, const struct vmdk_line *line,
                      struct loop *l, struct disk **out, struct err *e)
{
    bool readonly = v->m.file->shape.readonly || line->access != VMDK_RW;
    char *name = vmdk_desc_name(&v->desc, line->name);
    struct err again;
    int rc;

    if (!name)
        return no_memory(c->path, e);
    rc = chain_file(c, name, readonly, l, out, e);
    if (rc == -ENOENT && strcmp(name, line->name) != 0 &&
        chain_file(c, line->name, readonly, l, out, &again) == 0)
        rc = 0;
    free(name);
    return rc;
}

/* Flat extents may lie in one file, one after the other: the extent that has it open, or NULL. */
static struct vmdk_extent *opened_before(const struct vmdk *v, const struct vmdk_line *line)
{
    for (size_t i = 0; i < v->extent_count && line->type == VMDK_FLAT; i++) {
        const struct vmdk_line *other = &v->desc.lines[i];

        if (other != line && other->type == VMDK_FLAT && v->extents[i].file &&
            strcmp(other->name, line->name) == 0)
            return &v->extents[i];
    }
    return NULL;
}

/* The same file again is opened a second time only to be kept from being written; the first has the
 * lock. */
static int open_extent(struct vmdk *v, struct vmdk_extent *x, const struct vmdk_line *line,
                       const struct disk_cfg *c, struct loop *l, struct err *e)
{
    const struct vmdk_extent *other = opened_before(v, line);
    struct disk_cfg again = *c;

    again.no_lock = c->no_lock || other;
    if (other && other->access == x->access) {
        x->file = other->file;
        x->shared = true;
        return 0;
    }
    return open_named(v, &again, line, l, &x->file, e);
}

static int load_flat(struct vmdk_extent *x, const struct vmdk_line *line, const char *path,
                     bool forgiving, struct err *e)
{
    uint64_t have = disk_bytes(x->file);

    x->base = line->offset * VMDK_SECTOR;
    if (forgiving || range_in(x->base, x->len, have))
        return 0;
    return err_set(e, EINVAL,
                   "extent '%s' of VMDK image '%s' has %llu bytes and should have %llu; it was cut "
                   "off, get it anew",
                   line->name, path, (unsigned long long)have,
                   (unsigned long long)(x->base + x->len));
}

static int load_extent(struct vmdk *v, struct vmdk_extent *x, const struct vmdk_line *line,
                       const struct disk_cfg *c, struct loop *l, bool forgiving, struct err *e)
{
    int rc;

    if (x->type == VMDK_ZERO || x->access == VMDK_NOACCESS || c->no_chain)
        return 0;
    if (x->type == VMDK_RAW)
        return err_set(e, EINVAL,
                       "VMDK image '%s' maps a raw device of another host ('%s'), which is not in "
                       "the image; copy the device itself",
                       c->path, line->name);
    rc = open_extent(v, x, line, c, l, e);
    if (rc < 0) {
        x->file = NULL;
        return rc;
    }
    switch (x->type) {
    case VMDK_FLAT:
        return load_flat(x, line, c->path, forgiving, e);
    case VMDK_COWD:
        return vmdk_cowd_load(v, x, c->path, e);
    case VMDK_SESPARSE:
        return vmdk_sesparse_load(v, x, c->path, e);
    default:
        return vmdk_sparse_load(v, x, c->path, forgiving, e);
    }
}

/* The extents of a descriptor that is a file of its own. */
static int load_lines(struct vmdk *v, const struct disk_cfg *c, struct loop *l, bool forgiving,
                      struct err *e)
{
    uint64_t at = 0;
    int rc = 0;

    if (v->desc.n == 0)
        return vmdk_bad(c->path, "its descriptor names no extents", e);
    v->extents = calloc(v->desc.n, sizeof(*v->extents));
    if (!v->extents)
        return no_memory(c->path, e);
    for (size_t i = 0; i < v->desc.n && rc == 0; i++) {
        const struct vmdk_line *line = &v->desc.lines[i];
        struct vmdk_extent *x = &v->extents[i];

        *x = (struct vmdk_extent){.type = line->type, .access = line->access};
        x->number = (unsigned)i;
        x->start = at;
        x->len = line->sectors * VMDK_SECTOR;
        v->extent_count++;
        if (add_overflows(at, x->len, &at) || at > INT64_MAX)
            return vmdk_bad(c->path, "its extents are longer than any disk", e);
    }
    v->m.d.shape.bytes = at;
    for (int pass = 0; pass < 2; pass++) { /* those that need a writer's lock first */
        for (size_t i = 0; i < v->desc.n && rc == 0; i++) {
            if ((v->extents[i].access == VMDK_RW) == (pass == 0))
                rc = load_extent(v, &v->extents[i], &v->desc.lines[i], c, l, forgiving, e);
        }
    }
    return rc;
}

/* --- one file --- */

static enum vmdk_type type_by_magic(const uint8_t *head)
{
    if (le32_at(head) == SPARSE_MAGICNUMBER)
        return VMDK_SPARSE;
    if (le32_at(head) == COWD_MAGIC)
        return VMDK_COWD;
    return le64_at(head) == SESPARSE_CONST_MAGIC ? VMDK_SESPARSE : VMDK_FLAT;
}

/* The descriptor inside a sparse extent. */
static int load_embedded(struct vmdk *v, const struct disk_cfg *c, struct err *e)
{
    const struct sparse_extent_header *h = &v->extents[0].h;
    uint64_t at = le64_get(h->descriptorOffset), sectors = le64_get(h->descriptorSize);
    char *text;
    size_t n;
    int rc;

    if (at == 0 || sectors == 0) {
        v->lone = true;
        return 0;
    }
    if (!range_in(at, sectors, disk_bytes(v->m.file) / VMDK_SECTOR))
        return vmdk_bad(c->path, "its descriptor lies outside the file", e);
    v->text_at = at * VMDK_SECTOR;
    rc = vmdk_desc_read(v->m.file, v->text_at, sectors * VMDK_SECTOR, c->path, &text, &n, e);
    if (rc < 0)
        return rc;
    v->text_len = n;
    rc = vmdk_desc_parse(&v->desc, text, n, c->path, e);
    free(text);
    return rc;
}

static int load_single(struct vmdk *v, enum vmdk_type type, const struct disk_cfg *c,
                       bool forgiving, struct err *e)
{
    struct vmdk_extent *x = calloc(1, sizeof(*x));
    int rc = 0;

    if (!x)
        return no_memory(c->path, e);
    v->extents = x;
    v->extent_count = 1;
    *x = (struct vmdk_extent){.type = type, .file = v->m.file, .shared = true};
    if (type == VMDK_SPARSE)
        rc = vmdk_sparse_load(v, x, c->path, forgiving, e);
    else if (type == VMDK_COWD)
        rc = vmdk_cowd_load(v, x, c->path, e);
    else
        rc = vmdk_sesparse_load(v, x, c->path, e);
    if (rc == 0 && type == VMDK_SPARSE)
        rc = load_embedded(v, c, e);
    else if (rc == 0)
        v->lone = true;
    v->m.d.shape.bytes = x->len;
    return rc;
}

static int load_text(struct vmdk *v, const struct disk_cfg *c, struct loop *l, bool forgiving,
                     struct err *e)
{
    char *text;
    size_t n;
    int rc = vmdk_desc_read(v->m.file, 0, disk_bytes(v->m.file), c->path, &text, &n, e);

    if (rc < 0)
        return rc;
    if (!vmdk_desc_probe((const uint8_t *)text, n))
        rc = vmdk_bad(c->path, "it is neither an extent nor a descriptor", e);
    v->text_len = n;
    if (rc == 0)
        rc = vmdk_desc_parse(&v->desc, text, n, c->path, e);
    free(text);
    return rc == 0 ? load_lines(v, c, l, forgiving, e) : rc;
}

/* One grain size for all that is allocated or packed, and no grain that two extents would share. */
static int choose_grain(struct vmdk *v, const char *path, struct err *e)
{
    bool readonly = v->m.d.shape.readonly;

    v->m.cluster = 0;
    for (size_t i = 0; i < v->extent_count; i++) {
        const struct vmdk_extent *x = &v->extents[i];

        if (x->grain == 0 || (readonly && !x->packed))
            continue;
        if (v->m.cluster == 0)
            v->m.cluster = x->grain;
        if (x->grain != v->m.cluster || x->start % x->grain ||
            (i + 1 < v->extent_count && x->len % x->grain))
            return err_set(e, EINVAL,
                           "the sparse extents of VMDK image '%s' do not fit together in whole "
                           "grains, so it can only be read",
                           path);
    }
    if (v->m.cluster == 0)
        v->m.cluster = VMDK_GRAIN;
    v->m.grain = v->m.cluster;
    return 0;
}

int vmdk_load(struct vmdk *v, const struct disk_cfg *c, struct loop *l, bool forgiving,
              struct err *e)
{
    uint8_t head[8] = {0};
    enum vmdk_type type;
    int rc;

    v->desc.cid = v->desc.parent_cid = UINT32_MAX;
    if (disk_read(v->m.file, 0, head, sizeof(head)) < 0)
        return err_set(e, EIO, "cannot read VMDK image '%s'", c->path);
    v->m.d.shape = (struct disk_shape){
        .logical = DISK_SECTOR,
        .physical = 4096,
        .readonly = v->m.file->shape.readonly,
        .trims = true,
    };
    type = type_by_magic(head);
    if (type == VMDK_FLAT)
        rc = load_text(v, c, l, forgiving, e);
    else
        rc = load_single(v, type, c, forgiving, e);
    if (rc == 0)
        rc = choose_grain(v, c->path, e);
    return rc;
}

void vmdk_unload(struct vmdk *v)
{
    for (size_t i = 0; i < v->extent_count; i++) {
        struct vmdk_extent *x = &v->extents[i];

        free(x->gd);
        free(x->gd64);
        free(x->places);
        free(x->pool.v);
        if (!x->shared)
            disk_close(x->file);
    }
    free(v->extents);
    v->extents = NULL;
    v->extent_count = 0;
    vmdk_desc_free(&v->desc);
}

/* --- the parent --- */

/* Where the hint says, or else beside the image, or where VirtualBox, whose hints are whole names
 * of the host that it ran on, keeps the disk that its children began with. */
static int open_parent(struct vmdk *v, const struct disk_cfg *c, struct loop *l, struct err *e)
{
    char *name = vmdk_desc_name(&v->desc, v->desc.hint), above[CHAIN_NAME];
    const char *last = name ? path_last(name) : NULL;
    struct err first;
    int rc;

    if (!name)
        return no_memory(c->path, e);
    rc = chain_open(c, name, NULL, l, &v->m.parent, &first);
    if ((rc == -ENOENT || rc == -EINVAL) && *last && last != name)
        rc = chain_open(c, last, NULL, l, &v->m.parent, e);
    if ((rc == -ENOENT || rc == -EINVAL) && *last && chain_above(c) &&
        (size_t)snprintf(above, sizeof(above), "../%s", last) < sizeof(above))
        rc = chain_open(c, above, NULL, l, &v->m.parent, e);
    free(name);
    if (rc < 0) {
        v->m.parent = NULL;
        *e = first;
    }
    return rc;
}

static int check_parent(const struct vmdk *v, const struct disk_cfg *c, struct err *e)
{
    const struct vmdk *p;

    if (!v->m.parent || v->m.parent->format != &vmdk_format || !map_of(v->m.parent))
        return 0;
    p = vmdk_of(map_of(v->m.parent));
    if (p->desc.cid == v->desc.parent_cid)
        return 0;
    return err_set(
        e, EINVAL,
        "VMDK image '%s' belongs to a parent with content ID %08x, and '%s' has %08x: it "
        "was written to after the snapshot; use a copy from before that",
        c->path, v->desc.parent_cid, v->m.parent->path, p->desc.cid);
}

/* --- opening --- */

static bool only_read(const struct vmdk_extent *x)
{
    return x->type == VMDK_COWD || x->type == VMDK_SESPARSE || x->packed;
}

/* What is asked of an image that is to be written. */
static int prepare(struct vmdk *v, const char *path, struct err *e)
{
    int rc = 0;

    if (v->lone)
        return err_set(
            e, EINVAL,
            "'%s' is one extent of a VMDK disk and can only be read; name the descriptor "
            "to write",
            path);
    for (size_t i = 0; i < v->extent_count && rc == 0; i++) {
        struct vmdk_extent *x = &v->extents[i];

        if (x->access != VMDK_RW || !x->file)
            continue;
        if (only_read(x))
            return err_set(
                e, EINVAL,
                "VMDK image '%s' is of a kind that can only be read (%s); convert it, or "
                "open it as a snapshot",
                path,
                x->packed              ? "streamOptimized, written once"
                : x->type == VMDK_COWD ? "vmfsSparse"
                                       : "seSparse");
        if (x->type == VMDK_SPARSE)
            rc = vmdk_sparse_prepare(x, path, e);
    }
    return rc;
}

static int list_files(struct vmdk *v, const char *path, struct err *e)
{
    v->m.files = calloc(v->extent_count, sizeof(struct disk *));
    if (!v->m.files)
        return no_memory(path, e);
    for (size_t i = 0; i < v->extent_count; i++) {
        if (v->extents[i].file && !v->extents[i].shared)
            v->m.files[v->m.file_count++] = v->extents[i].file;
    }
    return 0;
}

/* A stream without a grain is there to be filled. */
static bool is_empty_stream(const struct vmdk *v)
{
    const struct vmdk_extent *x = &v->extents[0];

    if (v->m.d.shape.readonly || v->extent_count != 1 || !x->packed || !x->shared || x->places ||
        v->desc.hint)
        return false;
    for (uint32_t i = 0; i < x->gd_count; i++) {
        if (x->gd[i])
            return false;
    }
    return true;
}

static int give_up(struct vmdk *v, int rc)
{
    disk_close(v->m.parent);
    vmdk_unload(v);
    free(v->m.files);
    free(v);
    return rc;
}

static int vmdk_open(struct disk *file, const struct disk_cfg *c, struct loop *l, struct disk **out,
                     struct err *e)
{
    struct vmdk *v = calloc(1, sizeof(*v));
    int rc;

    if (!v)
        return no_memory(c->path, e);
    v->m.file = file;
    rc = vmdk_load(v, c, l, false, e);
    if (rc == 0 && is_empty_stream(v)) {
        rc = vmdk_stream_writer(file, &v->extents[0], c->path, l, out, e);
        return give_up(v, rc);
    }
    if (rc == 0 && !v->m.d.shape.readonly)
        rc = prepare(v, c->path, e);
    if (rc == 0 && v->desc.hint && v->desc.parent_cid != UINT32_MAX)
        rc = open_parent(v, c, l, e);
    if (rc == 0)
        rc = check_parent(v, c, e);
    if (rc == 0)
        rc = list_files(v, c->path, e);
    if (rc == 0)
        rc = map_init(&v->m, &vmdk_map_ops, l, e);
    if (rc < 0)
        return give_up(v, rc);
    *out = &v->m.d;
    return 0;
}

static int vmdk_probe(const uint8_t *head, size_t n, const uint8_t *tail, size_t tn, uint64_t size)
{
    (void)tail, (void)tn;
    if (n < 8)
        return 0;
    if (type_by_magic(head) == VMDK_SPARSE)
        return 90;
    if (type_by_magic(head) == VMDK_SESPARSE || (type_by_magic(head) == VMDK_COWD && n >= 2048))
        return 80;
    return size <= VMDK_TEXT_MAX && vmdk_desc_probe(head, n) ? 85 : 0;
}

/* --- describing --- */

static const char *kind_of(const struct vmdk *v)
{
    if (*v->desc.type)
        return v->desc.type;
    switch (v->extents[0].type) {
    case VMDK_COWD:
        return "vmfsSparse";
    case VMDK_SESPARSE:
        return "seSparse";
    default:
        return v->lone ? "one extent" : "?";
    }
}

static void extent_facts(const struct vmdk *v, struct facts *f)
{
    const struct vmdk_extent *x = &v->extents[0];

    facts_number(f, "extents", v->extent_count);
    for (size_t i = 0; i < v->desc.n && i < 8 && v->extents[0].file != v->m.file; i++)
        facts_text(f, "extent", "%s %s", v->desc.lines[i].kind,
                   v->desc.lines[i].name ? v->desc.lines[i].name : "");
    if (x->grain)
        facts_number(f, "grain-size", x->grain);
    if (x->type == VMDK_SPARSE && x->file) {
        facts_number(f, "version", le32_get(x->h.version));
        facts_text(f, "zeroed-grain", "%s", x->zeroed ? "yes" : "no");
        facts_text(f, "clean", "%s", x->h.uncleanShutdown ? "no" : "yes");
    }
}

static void vmdk_facts(struct disk *d, struct facts *f)
{
    struct vmdk *v = map_of(d) ? vmdk_of(map_of(d)) : NULL;

    if (!v) { /* a stream that is being written */
        facts_text(f, "subformat", "streamOptimized");
        return;
    }
    facts_text(f, "subformat", "%s", kind_of(v));
    if (*v->desc.adapter)
        facts_text(f, "adapter-type", "%s", v->desc.adapter);
    if (*v->desc.hwversion)
        facts_text(f, "hardware-version", "%s", v->desc.hwversion);
    if (*v->desc.tools)
        facts_text(f, "tools-version", "%s", v->desc.tools);
    if (*v->desc.uuid)
        facts_text(f, "uuid", "%s", v->desc.uuid);
    if (v->text_len)
        facts_text(f, "content-id", "%08x", v->desc.cid);
    if (v->desc.hint) {
        facts_text(f, "parent-content-id", "%08x", v->desc.parent_cid);
        facts_text(f, "parent", "%s", v->desc.hint);
    }
    extent_facts(v, f);
}

const struct format_ops vmdk_format = {
    .name = "vmdk",
    .suffixes = ".vmdk",
    .about = "VMware",
    .probe = vmdk_probe,
    .open = vmdk_open,
    .options = vmdk_options,
    .create = vmdk_create,
    .check = vmdk_check,
    .resize = vmdk_resize,
    .facts = vmdk_facts,
    .pack = vmdk_pack,
    .put = vmdk_put,
};
