/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floppy_media.c - what floppy drives hold: formats by the size of an image, drives by what they
 * were started with, and the change of one disk for another.
 *
 * Threads: the loop's, before the machine runs or with every processor held.
 */
#include <errno.h>

#include "board/legacy/floppy_priv.h"
#include "core/err.h"

/* Double density at 250 kbit/s, or 300 where the drive turns faster, high density at 500. */
static const struct floppy_format formats_known[] = {
    {160, 40, 1, 8, 1, RATE_300K | RATE_250K},
    {180, 40, 1, 9, 1, RATE_300K | RATE_250K},
    {320, 40, 2, 8, 1, RATE_300K | RATE_250K},
    {360, 40, 2, 9, 1, RATE_300K | RATE_250K},
    {640, 80, 2, 8, 3, RATE_250K},
    {720, 80, 2, 9, 3, RATE_250K},
    {1200, 80, 2, 15, 2, RATE_500K},
    {1440, 80, 2, 18, 4, RATE_500K},
    {1680, 80, 2, 21, 4, RATE_500K},
    {1722, 82, 2, 21, 4, RATE_500K},
    {2880, 80, 2, 36, 5, RATE_1M},
};
/* What other images are taken for: shorter ones, of which only the first sectors were written to a
 * file, and those with less than a cylinder too many. */
static const struct floppy_format format_common = {1440, 80, 2, 18, 4, RATE_500K};

/* NULL: no floppy disk, or none at all. */
static const struct floppy_format *format_of(const struct disk *disk)
{
    const struct floppy_format *common = &format_common;
    uint64_t bytes = disk->shape.bytes;

    if (disk->shape.logical != FLOPPY_SECTOR || bytes == 0)
        return NULL;
    for (size_t i = 0; i < ARRAY_SIZE(formats_known); i++) {
        if (bytes == formats_known[i].kib * KiB)
            return &formats_known[i];
    }
    return bytes < common->kib * KiB + (uint64_t)common->heads * common->sectors * FLOPPY_SECTOR
               ? common
               : NULL;
}

static int no_floppy(const char *id, const struct disk *disk, struct err *e)
{
    return err_exit(e, EX_BAD_INPUT, EINVAL,
                    "%s has %llu bytes, which is no floppy disk: one has up to 1440 KiB, or 1680, "
                    "1722 or 2880; give it with --disk or --cdrom",
                    id, (unsigned long long)disk->shape.bytes);
}

int floppy_attach(struct device *d, struct disk *disk, const char *id, struct err *e)
{
    struct floppy *f = (struct floppy *)d;
    unsigned n = 0;

    while (n < FLOPPY_DRIVES && f->drive[n].disk)
        n++;
    if (n == FLOPPY_DRIVES)
        return err_exit(e, EX_USAGE_, ENOSPC, "%s: there are only %d floppy drives", id,
                        FLOPPY_DRIVES);
    f->drive[n].format = format_of(disk);
    if (!f->drive[n].format && disk->shape.bytes)
        return no_floppy(id, disk, e);
    f->drive[n].cmos = f->drive[n].format ? f->drive[n].format->cmos : format_common.cmos;
    f->drive[n].disk = disk;
    f->drive[n].changed = true;
    return (int)n;
}

static struct floppy_drive *drive_with(struct device *d, const struct disk *disk)
{
    struct floppy *f = (struct floppy *)d;

    for (unsigned i = 0; i < FLOPPY_DRIVES; i++) {
        if (f->drive[i].disk == disk)
            return &f->drive[i];
    }
    return NULL;
}

/* Types of CMOS: 1 and 2 take disks of 5.25 inches, the others of 3.5; a higher one takes what a
 * lower one does. */
int floppy_fits(struct device *d, const struct disk *disk, const struct disk *next, const char *id,
                struct err *e)
{
    const struct floppy_drive *drive = drive_with(d, disk);
    const struct floppy_format *m = next ? format_of(next) : NULL;

    if (!drive)
        return err_exit(e, EX_USAGE_, ENOENT, "%s is no floppy drive", id);
    if (!next)
        return 0;
    if (!m)
        return no_floppy(id, next, e);
    if ((m->cmos > 2) != (drive->cmos > 2) || m->cmos > drive->cmos)
        return err_exit(e, EX_BAD_INPUT, EINVAL,
                        "a disk of %u KiB does not go into %s, whose drive is of another kind: "
                        "start the machine with such a disk in it",
                        m->kib, id);
    return 0;
}

void floppy_changed(struct device *d, const struct disk *disk)
{
    struct floppy_drive *drive = drive_with(d, disk);

    if (!drive)
        return;
    drive->format = format_of(disk);
    drive->changed = true;
}

uint8_t floppy_cmos(struct device *d)
{
    struct floppy *f = (struct floppy *)d;

    return (uint8_t)(f->drive[0].cmos << 4 | f->drive[1].cmos);
}
