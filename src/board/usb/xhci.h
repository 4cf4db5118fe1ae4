/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xhci.h - a USB host controller with four ports for devices.
 *
 * Life: xhci_create() puts it into the first free PCI slot; the bus destroys it and what is plugged
 * in. Threads: as board/device.h says.
 */
#ifndef HOSPES_BOARD_USB_XHCI_H
#define HOSPES_BOARD_USB_XHCI_H

#include "board/device.h"
#include "board/usb/usb.h"

struct xhci;

MUST int xhci_create(const struct env *env, struct xhci **out, struct err *e);
/* Before the machine runs. Takes d over, also on failure. */
MUST int xhci_plug(struct xhci *x, struct usb_device *d, struct err *e);
/* A controller with a keyboard and a tablet over the hub. */
MUST int xhci_add_input(const struct env *env, struct hub *hub, struct err *e);

#endif
