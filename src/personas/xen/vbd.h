/* SPDX-License-Identifier: Apache-2.0 */
/* vbd.h - Xen's block back end; see vbd.c. Loop's thread. */
#ifndef HOSPES_PERSONAS_XEN_VBD_H
#define HOSPES_PERSONAS_XEN_VBD_H

#include "personas/xen/xen.h"

/* The n-th disk becomes xvda, xvdb, ... Takes s->disk over on success. */
MUST int vbd_add(struct xen *x, const struct disk_spec *s, unsigned n, struct err *e);
/* The disk grew: its size and state are written anew, as the protocol has it. false: no back end is
 * this disk's. */
bool vbd_grew(struct xen *x, const struct disk *disk);

#endif
