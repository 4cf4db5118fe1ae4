/* SPDX-License-Identifier: Apache-2.0 */
/* pvscsi.h - VMware's paravirtual SCSI adapter for the persona; see pvscsi.c. Loop's thread. */
#ifndef HOSPES_PERSONAS_VMWARE_PVSCSI_H
#define HOSPES_PERSONAS_VMWARE_PVSCSI_H

#include "personas/vmware/units.h"

enum { PVSCSI_TARGETS = 64 };

struct pvscsi;

/* Not on a bus yet: the caller gives pvscsi_pci() to pci_add(), and from then on the bus owns it.
 */
MUST int pvscsi_create(const struct env *env, struct pvscsi **out, struct err *e);
struct pci_dev *pvscsi_pci(struct pvscsi *p);
/* fn(arg) whenever a driver has set up the rings, with the device's lock held. */
void pvscsi_on_driven(struct pvscsi *p, void (*fn)(void *arg), void *arg);

/* The guest is told of disks that come and go by a message if it asked for them. */
struct units *pvscsi_units(struct pvscsi *p);

#endif
