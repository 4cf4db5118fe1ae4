/* SPDX-License-Identifier: Apache-2.0 */
/* public.h - Xen's public headers (package libxen-dev), at the interface version we speak. */
#ifndef HOSPES_PERSONAS_XEN_PUBLIC_H
#define HOSPES_PERSONAS_XEN_PUBLIC_H

#include <stdint.h>

#define __XEN_INTERFACE_VERSION__ 0x00040e00
#include <xen/xen.h>

#include <xen/event_channel.h>
#include <xen/grant_table.h>

#endif
