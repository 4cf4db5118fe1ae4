/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ahci.h - a SATA controller with six ports, for disks and CD-ROM drives.
 *
 * Life and threads as in ide.h; it takes the first free PCI slot.
 */
#ifndef HOSPES_BOARD_LEGACY_AHCI_H
#define HOSPES_BOARD_LEGACY_AHCI_H

#include "board/device.h"

struct ahci;
struct disk;

enum { AHCI_PORTS = 6 };

struct ahci_port_cfg {
    struct disk *disk; /* of a CD-ROM drive: its disc, NULL: none */
    bool cdrom;
    /* The disk has another owner, who shows it to the guest by other means, too, and calls
     * ahci_detach() before it closes it. Not for CD-ROM drives. */
    bool borrowed;
    const char *serial; /* NULL: made from the id */
    const char *id;     /* "disk0" */
};

/* Attaches to the first free port, and makes the controller with the first one (*a NULL until
 * then). A disk that is not borrowed is taken over, also on failure. */
MUST int ahci_add(const struct env *env, struct ahci **a, const struct ahci_port_cfg *c,
                  struct err *e);
/* Waits for requests in flight, by stepping the loop; closes what was not borrowed. */
void ahci_detach(struct ahci *a, unsigned port);
/* As ide_disc_changed(). */
bool ahci_disc_changed(struct ahci *a, const struct disk *disk);
/* Has the guest started a command since the last reset of the machine? Any thread. */
bool ahci_used(const struct ahci *a);
/* The controller is gone for the guest until the next reset. Any thread. */
void ahci_hide(struct ahci *a);

#endif
