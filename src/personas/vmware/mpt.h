/* SPDX-License-Identifier: Apache-2.0 */
/* mpt.h - LSI Logic's 53C1030 and SAS1068 controllers for the persona; see mpt.c. Loop's thread. */
#ifndef HOSPES_PERSONAS_VMWARE_MPT_H
#define HOSPES_PERSONAS_VMWARE_MPT_H

#include "personas/vmware/units.h"

/* Target 7 is the controller's own on a parallel bus; SAS knows no such thing. */
enum { MPT_TARGETS = 16, MPT_OWN_TARGET = 7 };
enum mpt_kind { MPT_53C1030, MPT_SAS1068 };

struct mpt;

/* Not on a bus yet: the caller gives mpt_pci() to pci_add(), and from then on the bus owns it.
 * number: the controller's among those of its kind; addresses of SAS disks are made from it. */
MUST int mpt_create(const struct env *env, enum mpt_kind kind, unsigned number, struct mpt **out,
                    struct err *e);
struct pci_dev *mpt_pci(struct mpt *p);
/* fn(arg) whenever a driver has initialised the controller, with the device's lock held. */
void mpt_on_driven(struct mpt *p, void (*fn)(void *arg), void *arg);

/* A guest of the SAS1068 is told of disks that come and go; one of the 53C1030 finds them when it
 * scans the bus. */
struct units *mpt_units(struct mpt *p);

#endif
