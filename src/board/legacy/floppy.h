/* SPDX-License-Identifier: Apache-2.0 */
/* floppy.h - the floppy controller at 0x3f0 with up to two drives. */
#ifndef HOSPES_BOARD_LEGACY_FLOPPY_H
#define HOSPES_BOARD_LEGACY_FLOPPY_H

#include "board/device.h"

struct disk;

enum { FLOPPY_DRIVES = 2 };

/* dma: of dma.h, which outlives it. The disks are taken over on success. */
MUST int floppy_create(const struct env *env, struct device *dma, struct device **out,
                       struct err *e);
/* The first free drive gets the disk; its format follows from its size. One without bytes is a
 * drive with nothing in it, for 1440 KiB. Before the machine runs. Returns the drive; on failure
 * the disk stays the caller's. */
MUST int floppy_attach(struct device *d, struct disk *disk, const char *id, struct err *e);
/* Does what `next` holds go into the drive of `disk`? NULL does. -EINVAL: it is no floppy disk, or
 * one for another drive. */
MUST int floppy_fits(struct device *d, const struct disk *disk, const struct disk *next,
                     const char *id, struct err *e);
/* The drive's disk holds something else now: its guest finds the change line set. With nothing in
 * flight and no processor in the device. */
void floppy_changed(struct device *d, const struct disk *disk);
/* The byte at 0x10 of CMOS: types of both drives. */
uint8_t floppy_cmos(struct device *d);

#endif
