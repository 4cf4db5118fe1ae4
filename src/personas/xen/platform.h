/* SPDX-License-Identifier: Apache-2.0 */
/* platform.h - Xen's platform PCI device and the unplug ports; see platform.c. */
#ifndef HOSPES_PERSONAS_XEN_PLATFORM_H
#define HOSPES_PERSONAS_XEN_PLATFORM_H

#include "board/device.h"

struct cfg;
struct xen_platform;

/* What a guest asks to be unplugged. */
enum xen_unplug { XEN_UNPLUG_IDE_DISKS = 1, XEN_UNPLUG_NICS = 2, XEN_UNPLUG_AUX_IDE_DISKS = 4 };

/* opts may be NULL; key device-id. The PCI bus of env owns the device from here on. unplug(arg,
 * bits) runs on a vCPU under the device's lock, once a request. */
MUST int xen_platform_add(const struct env *env, struct cfg *opts,
                          void (*unplug)(void *arg, unsigned bits), void *arg,
                          struct xen_platform **out, struct err *e);
void xen_platform_describe(struct xen_platform *p, struct dump *out);

#endif
