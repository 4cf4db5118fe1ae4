/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usb.h - a device on a bus, as its host controller sees it.
 *
 * Threads: control() and in() under the controller's lock, on vCPU threads or the loop; bind() and
 * destroy() on the loop without it.
 */
#ifndef HOSPES_BOARD_USB_USB_H
#define HOSPES_BOARD_USB_USB_H

#include "abi/usb.h"
#include "core/core.h"

enum usb_speed { USB_FULL = 1, USB_LOW, USB_HIGH, USB_SUPER };

struct usb_device;

struct usb_device_ops {
    const char *name;
    void (*destroy)(struct usb_device *d);
    void (*reset)(struct usb_device *d);
    /* data: at most len bytes to answer with, or the len bytes that came. Bytes of the answer, or
     * -EPIPE: a stall. */
    MUST int (*control)(struct usb_device *d, const struct usb_setup *s, uint8_t *data, size_t len);
    /* A packet of an interrupt endpoint: its bytes; -EAGAIN: there is none, and d->ready() will be
     * called; -EPIPE. */
    MUST int (*in)(struct usb_device *d, unsigned endpoint, uint8_t *data, size_t max);
    /* The guest has a driver for it, or not any more. */
    void (*bind)(struct usb_device *d, bool bound);
};

struct usb_device {
    const struct usb_device_ops *ops;
    enum usb_speed speed;
    uint8_t configuration; /* 0: none, as the guest has set it */
    bool bound;
    /* The controller's: there is a packet; on the loop, without its lock. */
    void (*ready)(struct usb_device *d);
    /* And around what both threads touch. */
    void (*lock)(struct usb_device *d, bool on);
    void *bus;
};

struct hub;

/* Keyboard and pointer over the hub, which must outlive them and may be NULL. */
MUST int usb_keyboard_create(struct hub *hub, struct usb_device **out, struct err *e);
MUST int usb_tablet_create(struct hub *hub, struct usb_device **out, struct err *e);

#endif
