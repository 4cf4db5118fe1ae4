/* SPDX-License-Identifier: Apache-2.0 */
/* storvsp.h - a storage controller on VMBus: SCSI with many units, or one unit of emulated IDE. */
#ifndef HOSPES_PERSONAS_HYPERV_STORVSP_H
#define HOSPES_PERSONAS_HYPERV_STORVSP_H

#include "storage/scsi.h"
#include "vmbus.h"

struct storvsp;

enum { STORVSP_LUNS = 64, STORVSP_CHANNELS = 16 };

/* ide: -1 for SCSI, or the unit 0..3 on the two IDE cables. channels: 1 to STORVSP_CHANNELS. */
MUST int storvsp_create(struct vmbus *b, const char *id, int ide, unsigned channels,
                        struct storvsp **out, struct err *e);
/* The bus still stands; the loop does not run. Waits for requests in flight. */
void storvsp_destroy(struct storvsp *s);
/* After the bus's; waits for requests in flight, which write the guest's memory. */
void storvsp_reset(struct storvsp *s);

/* The instance by which the guest knows the controller, as on the wire; before it runs. */
void storvsp_instance(struct storvsp *s, const uint8_t instance[16]);

/* Units come and go at any time, on the loop; the guest is told to look. On failure the disk stays
 * the caller's. */
MUST int storvsp_attach(struct storvsp *s, unsigned lun, const struct scsi_lun_cfg *c,
                        struct err *e);
MUST int storvsp_detach(struct storvsp *s, unsigned lun, struct err *e);
/* A unit's disk grew: unit attention, and the guest is told to look. false: no unit's. */
bool storvsp_grew(struct storvsp *s, const struct disk *disk);

#endif
