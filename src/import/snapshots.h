/* SPDX-License-Identifier: Apache-2.0 */
/* snapshots.h - what VMware keeps beside a .vmx: chains of .vmdk files, and the .vmsd. */
#ifndef HOSPES_IMPORT_SNAPSHOTS_H
#define HOSPES_IMPORT_SNAPSHOTS_H

#include "import/reading.h"

/* Follows the parents of the .vmdk at path as far as the files are there, tells of each, and fails
 * for a chain that comes back to itself, leaves the folder or lacks a link. n named the disk. */
void vmdk_chain(struct reading *r, const struct node *n, const char *path);

/* Tells of the snapshots that the .vmsd beside the description lists. */
void vmsd_read(struct reading *r);

#endif
