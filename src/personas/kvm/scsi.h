/* SPDX-License-Identifier: Apache-2.0 */
/* scsi.h - the virtio SCSI controller: one target whose LUNs are the disks given to it. */
#ifndef HOSPES_PERSONAS_KVM_SCSI_H
#define HOSPES_PERSONAS_KVM_SCSI_H

#include "storage/scsi.h"
#include "virtio.h"

struct vscsi;

/* queues: for requests, at most VIRTIO_QUEUES_MAX - 2. On success the PCI bus owns it. */
MUST int vscsi_create(const struct env *env, const struct virtio_options *o, unsigned queues,
                      struct vscsi **out, struct err *e);
/* Where units are attached and detached, on the loop, before or while the guest runs; the guest is
 * told. */
struct scsi_target *vscsi_target(struct vscsi *s);
/* Firmware can start from this unit, which is the disk `id`. */
void vscsi_boots(struct vscsi *s, unsigned lun, const char *id);

#endif
