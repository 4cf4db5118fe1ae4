/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhd_parent.c - the parent of a differencing VHD image: "Parent Locator" of the document.
 *
 * Tried are the relative name, the plain names beside the child, the absolute name where references
 * outside are allowed, and at last every VHD file beside the child: it is the unique id that makes
 * a file the parent. Time stamps are not looked at, as copying changes them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/path.h"
#include "storage/format/format.h"
#include "storage/format/vhd.h"
#include "storage/utf.h"

/* The locator's text as a path with slashes; NULL: none. malloc'd. */
static char *locator_name(struct vhd *v, uint32_t code)
{
    for (unsigned i = 0; i < 8; i++) {
        const struct vhd_locator *l = &v->dyn.locator[i];
        uint32_t n = be32_get(l->platform_data_length);
        uint8_t raw[2048];

        if (be32_get(l->platform_code) != code || n == 0 || n > sizeof(raw) ||
            !range_in(be64_get(l->platform_data_offset), n, disk_bytes(v->m.file)) ||
            disk_read(v->m.file, be64_get(l->platform_data_offset), raw, n) < 0)
            continue;
        return utf16_path(raw, n / 2, false);
    }
    return NULL;
}

static bool is_parent(const struct vhd *v, const struct disk *p)
{
    const struct vhd *pv;

    if (p->format != &vhd_format) /* which has no such id */
        return true;
    pv = container_of(map_of((struct disk *)(uintptr_t)p), struct vhd, m);
    return memcmp(pv->footer.unique_id, v->dyn.parent_unique_id, 16) == 0;
}

static int try_name(struct vhd *v, const struct disk_cfg *c, const char *name, struct loop *l,
                    struct err *e)
{
    int rc = chain_open(c, name, NULL, l, &v->m.parent, e);

    if (rc < 0 || !v->m.parent || is_parent(v, v->m.parent))
        return rc;
    disk_close(v->m.parent);
    v->m.parent = NULL;
    return err_set(e, EINVAL,
                   "'%s' is not the parent that VHD image '%s' was made over; find the right file "
                   "or convert a copy without the child",
                   name, c->path);
}

static bool has_id(struct disk *file, const void *id)
{
    enum vhd_where where;
    struct vhd_footer f;

    return vhd_read_footer(file, &f, &where) == 0 && memcmp(f.unique_id, id, 16) == 0;
}

/* -ENOENT, with e as it was: no file beside the child is the parent. */
static int try_neighbours(struct vhd *v, const struct disk_cfg *c, struct loop *l, struct err *e)
{
    char name[CHAIN_NAME];
    int rc = chain_beside(c, vhd_format.suffixes, has_id, v->dyn.parent_unique_id, name);

    return rc < 0 ? rc : try_name(v, c, name, l, e);
}

int vhd_open_parent(struct vhd *v, const struct disk_cfg *c, struct loop *l, struct err *e)
{
    char *rel = locator_name(v, VHD_W2RU), *abs = locator_name(v, VHD_W2KU);
    char *uni = utf16_path((const uint8_t *)v->dyn.parent_unicode_name, 256, true);
    const char *names[4] = {rel, uni ? path_last(uni) : NULL, abs ? path_last(abs) : NULL, abs};
    struct err why, first = {0};
    int rc = -ENOENT;

    (void)err_set(e, ENOENT, "VHD image '%s' needs a parent and does not name it", c->path);
    for (int i = 0; i < 4 && rc < 0 && !c->no_chain; i++) {
        if (!names[i] || !*names[i] || (i == 3 && !c->allow_outside))
            continue;
        rc = try_name(v, c, names[i], l, &why);
        if (rc < 0 && rc != -ENOENT && !first.code)
            first = why; /* a file that is there, and will not do, says more */
        if (rc < 0)
            *e = first.code ? first : why;
    }
    if (rc < 0 && !c->no_chain)
        rc = try_neighbours(v, c, l, e);
    free(rel);
    free(abs);
    free(uni);
    return c->no_chain ? 0
           : rc < 0    ? err_wrap(e, "cannot open the parent of VHD image '%s'", c->path)
                       : 0;
}
