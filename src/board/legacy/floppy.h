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
/* The first free drive gets the disk; its format follows from its size. Before the machine runs.
 * Returns the drive; on failure the disk stays the caller's. */
MUST int floppy_attach(struct device *d, struct disk *disk, const char *id, struct err *e);
/* The byte at 0x10 of CMOS: types of both drives. */
uint8_t floppy_cmos(struct device *d);

#endif
