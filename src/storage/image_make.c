/* SPDX-License-Identifier: Apache-2.0 */
/* image_make.c - images as files: making, resizing, checking; see image.h. */
#include <errno.h>
#include <string.h>

#include "core/cfg.h"
#include "core/err.h"
#include "storage/file.h"
#include "storage/format/format.h"
#include "storage/image.h"
#include "storage/map.h"

/* What lay on a block device must not show through the new image, nor be taken for its tables. */
static int clear_device(const struct format_ops *f, const struct image_make *k, struct disk *file,
                        struct err *e)
{
    bool raw = !strcmp(f->name, "raw");
    uint64_t n = disk_bytes(file);
    int rc;

    if (!raw && strcmp(f->name, "qcow2") != 0)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "'%s' is a block device, which holds raw and qcow2 images alone: those of "
                        "format %s are files",
                        k->path, f->name);
    if (raw && (k->filled || k->bytes > n))
        return 0;
    rc = disk_zero(file, 0, raw ? k->bytes : n, true);
    return rc < 0 ? err_set(e, -rc, "cannot clear '%s': %s", k->path, strerror(-rc)) : 0;
}

/* The same for every format: what none of them could open, or only after rounding. */
static int size_of_disk(uint64_t bytes, struct err *e)
{
    if (bytes && bytes % DISK_SECTOR == 0)
        return 0;
    return err_exit(e, EX_USAGE_, EINVAL,
                    "a disk has whole sectors of 512 bytes, at least one, not %llu bytes; choose "
                    "another size",
                    (unsigned long long)bytes);
}

int image_create(const struct format_ops *f, const struct image_make *k, bool overwrite,
                 struct err *e)
{
    const char *at = k->file ? k->file : k->path;
    struct file_cfg fc = {.path = at, .create = true, .overwrite = overwrite};
    struct disk *file;
    int rc;

    if (!f->create)
        return err_exit(e, EX_USAGE_, ENOTSUP,
                        "images of format %s are only read; choose another format", f->name);
    rc = size_of_disk(k->bytes || !k->parent ? k->bytes : k->parent->shape.bytes, e);
    if (rc < 0)
        return rc;
    rc = file_open(&fc, NULL, &file, e);
    if (rc < 0)
        return rc;
    rc = file_device_bytes(file) ? clear_device(f, k, file, e) : 0;
    if (rc == 0)
        rc = f->create(file, k, e);
    if (rc == 0)
        rc = cfg_finish(k->opts, f->name, e);
    disk_close(file);
    if (rc < 0)
        file_discard(at);
    else
        disk_mark_made(at);
    return rc;
}

/* What the last cluster holds past the old end, and what a longer parent has there. */
static int clear_new(struct disk *d, uint64_t old, uint64_t bytes)
{
    struct map *m = map_of(d);
    uint64_t end = bytes;
    int rc = 0;

    if (m)
        end = m->parent ? max_u64(align_up(old, m->cluster), m->parent->shape.bytes)
                        : align_up(old, m->cluster);
    end = min_u64(end, bytes);
    if (m && end > old)
        rc = disk_zero(d, old, end - old, true);
    return rc < 0 ? rc : disk_flush(d);
}

int image_resize(struct disk *d, uint64_t bytes, struct err *e)
{
    uint64_t old = d->shape.bytes;
    struct err ignored;
    int rc = size_of_disk(bytes, e);

    if (rc < 0)
        return rc;
    if (!d->format || !d->format->resize)
        return err_exit(e, EX_USAGE_, ENOTSUP, "images of format %s keep their size",
                        d->format ? d->format->name : "this kind");
    rc = d->format->resize(d, bytes, e);
    if (rc < 0)
        return rc;
    if (bytes > old)
        rc = clear_new(d, old, bytes);
    if (rc == 0)
        return d->format->settle ? d->format->settle(d, e) : 0;
    if (d->format->resize(d, old, &ignored) < 0) /* it grows only: nobody may see the rest */
        d->shape.bytes = old;
    return err_set(e, -rc, "cannot clear the new part: %s", strerror(-rc));
}

static int image_check_file(struct disk *file, const struct disk_cfg *c, bool repair,
                            struct image_report *rep, const struct format_ops **f, struct err *e)
{
    int rc = format_choose(file, c, f, e);

    if (rc == 0 && !(*f)->check)
        rc = err_exit(e, EX_USAGE_, ENOTSUP, "images of format %s have nothing to check",
                      (*f)->name);
    if (rc == 0)
        rc = (*f)->check(file, c, repair, rep, e);
    disk_close(file);
    return rc;
}

int image_check(const struct disk_cfg *c, bool repair, struct image_report *rep,
                const struct format_ops **f, struct err *e)
{
    struct disk_cfg want = *c, inner;
    struct disk_names names;
    struct disk *file;
    int rc;

    want.readonly = !repair;
    rc = disk_open_host(&want, NULL, &file, &inner, &names, e);
    if (rc == 0)
        rc = image_check_file(file, &inner, repair, rep, f, e);
    disk_names_free(&names);
    return rc;
}
