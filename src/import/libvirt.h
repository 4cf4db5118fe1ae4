/* SPDX-License-Identifier: Apache-2.0 */
/* libvirt.h - the two halves of the libvirt importer. */
#ifndef HOSPES_IMPORT_LIBVIRT_H
#define HOSPES_IMPORT_LIBVIRT_H

#include "import/reading.h"

/* Disks, controllers, cards and the TPM below <devices>. */
void libvirt_devices(struct reading *r, struct node *devices);

#endif
