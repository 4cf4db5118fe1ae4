/* SPDX-License-Identifier: Apache-2.0 */
/* platform.h - Xen's platform PCI device and the unplug ports; see platform.c. */
#ifndef HOSPES_PERSONAS_XEN_PLATFORM_H
#define HOSPES_PERSONAS_XEN_PLATFORM_H

#include "board/device.h"

struct cfg;
struct xen_platform;

/* opts may be NULL; key device-id. The PCI bus of env owns the device from here on. */
MUST int xen_platform_add(const struct env *env, struct cfg *opts, struct xen_platform **out,
                          struct err *e);
void xen_platform_describe(struct xen_platform *p, struct dump *out);

#endif
