/* SPDX-License-Identifier: Apache-2.0 */
/* pvscsi.h - VMware's paravirtual SCSI adapter for the persona; see pvscsi.c. Loop's thread. */
#ifndef HOSPES_PERSONAS_VMWARE_PVSCSI_H
#define HOSPES_PERSONAS_VMWARE_PVSCSI_H

#include "board/pci.h"
#include "storage/scsi.h"

enum { PVSCSI_TARGETS = 64 };

struct pvscsi;

/* Not on a bus yet: the caller gives pvscsi_pci() to pci_add(), and from then on the bus owns it.
 */
MUST int pvscsi_create(const struct env *env, struct pvscsi **out, struct err *e);
struct pci_dev *pvscsi_pci(struct pvscsi *p);
/* fn(arg) whenever a driver has set up the rings, with the device's lock held. */
void pvscsi_on_driven(struct pvscsi *p, void (*fn)(void *arg), void *arg);

/* A unit as LUN 0 of target `target`, at any time; the guest is told by a message if it asked for
 * them. -EBUSY when taken. On failure the disk stays the caller's. */
MUST int pvscsi_attach(struct pvscsi *p, unsigned target, const struct scsi_lun_cfg *c,
                       struct err *e);
MUST int pvscsi_detach(struct pvscsi *p, unsigned target, struct err *e);
/* A target's disk grew: unit attention. false: no target's. */
bool pvscsi_grew(struct pvscsi *p, const struct disk *disk);

#endif
