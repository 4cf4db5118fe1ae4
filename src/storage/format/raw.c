/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw.c - the disk's bytes and nothing else. The file below is the disk, with its size fixed and
 * rounded up to whole sectors; so it costs nothing.
 */
#include "storage/format/format.h"

static int raw_probe(const uint8_t *head, size_t n, const uint8_t *tail, size_t tn, uint64_t size)
{
    (void)head, (void)n, (void)tail, (void)tn, (void)size;
    return 1; /* anything can be raw, if nothing else claims it */
}

static int raw_open(struct disk *parent, const struct disk_cfg *c, struct loop *l,
                    struct disk **out, struct err *e)
{
    struct disk_shape *s = &parent->shape;

    (void)c, (void)l, (void)e;
    if (s->grows) {
        s->grows = false;
        s->logical = DISK_SECTOR;
        s->bytes = align_up(s->bytes, DISK_SECTOR);
    }
    if (s->logical < DISK_SECTOR)
        s->logical = max_u64(DISK_SECTOR, s->physical);
    *out = parent;
    return 0;
}

const struct format_ops raw_format = {
    .name = "raw",
    .suffixes = ".img .raw .bin .iso",
    .about = "the plain bytes of the disk",
    .probe = raw_probe,
    .open = raw_open,
};
