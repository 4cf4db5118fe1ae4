/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nvme.h - an NVM Express controller whose namespaces are disks.
 *
 * Life and threads as in legacy/ide.h; it takes the first free PCI slot.
 */
#ifndef HOSPES_BOARD_NVME_NVME_H
#define HOSPES_BOARD_NVME_NVME_H

#include "board/pci.h"

struct nvme;
struct disk;

enum { NVME_NAMESPACES = 16 };

struct nvme_cfg {
    struct disk *disk;
    const char *serial; /* NULL: made from the id; that of the first disk is the controller's */
    const char *id;     /* "disk0" */
    struct pci_id pci;  /* whose product it is; vendor 0: the board's */
};

/* Attaches as the next namespace, and makes the controller with the first one (*n NULL until
 * then). The disk is taken over, also on failure. */
MUST int nvme_add(const struct env *env, struct nvme **n, const struct nvme_cfg *c, struct err *e);
/* The disk grew, with every vCPU at rest. true: the guest wants such events and is told; false: it
 * did not ask for them, or no namespace is this disk. n may be NULL. */
bool nvme_grew(struct nvme *n, const struct disk *disk);

#endif
