/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ide.h - the PIIX3's IDE function: two channels with two units each, disks and CD-ROM drives.
 *
 * Life: ide_create() puts it on the PCI bus at 01.1, which destroys it. Threads: attach and detach
 * on the loop, with every vCPU stopped or before they run; ide_hide() anywhere.
 */
#ifndef HOSPES_BOARD_LEGACY_IDE_H
#define HOSPES_BOARD_LEGACY_IDE_H

#include "board/device.h"

struct disk;
struct ide;

enum { IDE_UNITS = 4 };

struct ide_unit_cfg {
    struct disk *disk; /* of a CD-ROM drive: its disc, NULL: none */
    bool cdrom;
    /* The disk has another owner, who shows it to the guest by other means, too, and calls
     * ide_detach() before it closes it. Not for CD-ROM drives. */
    bool borrowed;
    const char *serial; /* NULL: made from the id */
    const char *id;     /* "disk0" */
};

MUST int ide_create(const struct env *env, struct ide **out, struct err *e);
/* unit: 0 to 3, primary master first; -1: the first free one, CD-ROM drives from 2 on. A disk that
 * is not borrowed is taken over, also on failure. Returns the unit. */
MUST int ide_attach(struct ide *i, int unit, const struct ide_unit_cfg *c, struct err *e);
/* For personas: attaches a disk of the plan, and makes the controller with the first one (*i NULL
 * until then). Returns the unit. */
MUST int ide_add(const struct env *env, struct ide **i, const struct ide_unit_cfg *c,
                 struct err *e);
/* Waits for requests in flight, by stepping the loop; closes what was not borrowed. */
void ide_detach(struct ide *i, unsigned unit);
/* If disk is what one of its CD-ROM drives holds: another disc lies there, and the guest is told as
 * the drive is asked. i NULL: false. On the loop, with every vCPU at rest. */
bool ide_disc_changed(struct ide *i, const struct disk *disk);
/* Disks (not CD-ROM drives) of these units (bit 0: unit 0) are gone for the guest until the next
 * reset: another driver has taken them over. */
void ide_hide(struct ide *i, unsigned units);

#endif
