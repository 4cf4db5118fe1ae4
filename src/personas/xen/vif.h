/* SPDX-License-Identifier: Apache-2.0 */
/* vif.h - Xen's network back end; see vif.c. Loop's thread. */
#ifndef HOSPES_PERSONAS_XEN_VIF_H
#define HOSPES_PERSONAS_XEN_VIF_H

#include "personas/xen/xen.h"

/* The n-th card. Takes s->netif over, also on failure. */
MUST int vif_add(struct xen *x, const struct nic_spec *s, unsigned n, struct err *e);

#endif
