/* SPDX-License-Identifier: Apache-2.0 */
/*
 * units.h - the disks of one of VMware's SCSI controllers: each is LUN 0 of a target, and comes and
 * goes at any time. Loop's thread, but for at[] and tell().
 */
#ifndef HOSPES_PERSONAS_VMWARE_UNITS_H
#define HOSPES_PERSONAS_VMWARE_UNITS_H

#include "board/pci.h"
#include "storage/scsi.h"

enum { UNITS_MAX = 64 };

/* Its controller fills in the first five. */
struct units {
    struct pci_dev *pci;
    const char *name;     /* of the controller, as errors say it */
    const char *revision; /* of its disks */
    unsigned count;       /* of targets */
    /* What the guest is told, with the device's lock held. */
    void (*tell)(struct units *u, unsigned target, bool there);
    /* Changed with the device's lock held. One that was there stays, maybe without its unit, while
     * requests may be in flight, and answers like an absent one. */
    struct scsi_target *at[UNITS_MAX];
};

/* Unit attention for each. */
void units_reset(struct units *u);
void units_destroy(struct units *u);
/* -EBUSY when taken, -EINVAL: no such target. On failure the disk stays the caller's. */
MUST int units_attach(struct units *u, unsigned target, const struct scsi_lun_cfg *c,
                      struct err *e);
MUST int units_detach(struct units *u, unsigned target, struct err *e);
/* The disk grew: unit attention. false: it is none of these. */
bool units_grew(struct units *u, const struct disk *disk);

#endif
