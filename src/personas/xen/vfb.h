/* SPDX-License-Identifier: Apache-2.0 */
/* vfb.h - the frame buffer, keyboard and pointer that Xen guests have drivers for. */
#ifndef HOSPES_PERSONAS_XEN_VFB_H
#define HOSPES_PERSONAS_XEN_VFB_H

#include "personas/xen/xenbus.h"

/* Threads: the loop's. They meet viewers at env.hub, which may be NULL. */
MUST int vfb_add(struct xen *x, struct err *e);
MUST int vkbd_add(struct xen *x, struct err *e);

#endif
