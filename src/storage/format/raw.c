/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw.c - the disk's bytes and nothing else. The file below is the disk, with its size fixed and
 * rounded up to whole sectors; so it costs nothing.
 */
#include <errno.h>
#include <string.h>

#include "core/err.h"
#include "storage/file.h"
#include "storage/format/format.h"
#include "storage/image.h"

static int raw_probe(const uint8_t *head, size_t n, const uint8_t *tail, size_t tn, uint64_t size)
{
    (void)head, (void)n, (void)tail, (void)tn, (void)size;
    return 1; /* anything can be raw, if nothing else claims it */
}

static int raw_open(struct disk *file, const struct disk_cfg *c, struct loop *l, struct disk **out,
                    struct err *e)
{
    struct disk_shape *s = &file->shape;

    (void)c, (void)l, (void)e;
    if (s->grows) {
        s->grows = false;
        s->logical = DISK_SECTOR;
        s->bytes = align_up(s->bytes, DISK_SECTOR);
    }
    if (s->logical < DISK_SECTOR)
        s->logical = (uint32_t)max_u64(DISK_SECTOR, s->physical);
    *out = file;
    return 0;
}

static int raw_create(struct disk *file, const struct image_make *k, struct err *e)
{
    int rc = 0;

    if (k->backing)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "a raw image has no parent; choose the format qcow2 or vhdx");
    if (file->shape.grows)
        rc = file_resize(file, k->bytes);
    else if (k->bytes > disk_bytes(file))
        rc = -ENOSPC;
    return rc < 0 ? err_set(e, -rc, "cannot make '%s' %llu bytes long: %s", k->path,
                            (unsigned long long)k->bytes, strerror(-rc))
                  : 0;
}

/* The device's owner makes it longer; here its new size is taken over. */
static int device_resize(struct disk *d, uint64_t bytes, uint64_t there, struct err *e)
{
    if (bytes > there)
        return err_exit(e, EX_USAGE_, ENOSPC,
                        "the block device has %llu bytes: make it larger first",
                        (unsigned long long)there);
    WRITE_ONCE(d->shape.bytes, bytes);
    return 0;
}

static int raw_resize(struct disk *d, uint64_t bytes, struct err *e)
{
    uint64_t device = file_device_bytes(d);
    int rc;

    if (bytes % DISK_SECTOR)
        return err_exit(e, EX_USAGE_, EINVAL, "a disk has whole sectors of 512 bytes");
    if (device)
        return device_resize(d, bytes, device, e);
    d->shape.grows = true;
    rc = file_resize(d, bytes);
    d->shape.grows = false;
    return rc < 0 ? err_set(e, -rc, "cannot resize the raw image: %s", strerror(-rc)) : 0;
}

const struct format_ops raw_format = {
    .name = "raw",
    .suffixes = ".img .raw .bin .iso",
    .about = "the plain bytes of the disk",
    .probe = raw_probe,
    .open = raw_open,
    .create = raw_create,
    .resize = raw_resize,
};
