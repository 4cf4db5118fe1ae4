/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usb.h - requests and descriptors.
 *
 * Documents: Universal Serial Bus 2.0 chapter 9; Device Class Definition for Human Interface
 * Devices 1.11.
 */
#ifndef HOSPES_ABI_USB_H
#define HOSPES_ABI_USB_H

#include "abi/bytes.h"

struct usb_setup {
    uint8_t bmRequestType, bRequest;
    le16 wValue, wIndex, wLength;
};
WIRE_SIZE(struct usb_setup, 8);

enum {
    USB_DIR_IN = 0x80,
    USB_TYPE_CLASS = 0x20,
    USB_RECIP_INTERFACE = 0x01,
    USB_RECIP_ENDPOINT = 0x02,
    USB_GET_STATUS = 0,
    USB_CLEAR_FEATURE = 1,
    USB_SET_FEATURE = 3,
    USB_SET_ADDRESS = 5,
    USB_GET_DESCRIPTOR = 6,
    USB_GET_CONFIGURATION = 8,
    USB_SET_CONFIGURATION = 9,
    USB_GET_INTERFACE = 10,
    USB_SET_INTERFACE = 11,
    USB_DT_DEVICE = 1,
    USB_DT_CONFIG = 2,
    USB_DT_STRING = 3,
    USB_DT_HID = 0x21,
    USB_DT_REPORT = 0x22,
    HID_GET_REPORT = 1,
    HID_GET_IDLE = 2,
    HID_GET_PROTOCOL = 3,
    HID_SET_REPORT = 9,
    HID_SET_IDLE = 10,
    HID_SET_PROTOCOL = 11,
};

/* Of a report descriptor: a pointer that says where it is. A report has a byte with three buttons,
 * x and y from 0 to 32767 in two bytes each, and a wheel from -127 to 127. Two collections stay
 * open; 0xc0 closes one. */
#define HID_TABLET_ITEMS                                                                           \
    0x05, 0x01, 0x09, 0x02, 0xa1, 0x01,                             /* mouse */                    \
        0x09, 0x01, 0xa1, 0x00,                                     /* pointer */                  \
        0x05, 0x09, 0x19, 0x01, 0x29, 0x03,                         /* buttons 1 to 3 */           \
        0x15, 0x00, 0x25, 0x01, 0x95, 0x03, 0x75, 0x01, 0x81, 0x02, /* a bit each */               \
        0x95, 0x01, 0x75, 0x05, 0x81, 0x03,                         /* fill up the byte */         \
        0x05, 0x01, 0x09, 0x30, 0x09, 0x31,                         /* X and Y */                  \
        0x15, 0x00, 0x26, 0xff, 0x7f,                               /* to 32767 */                 \
        0x75, 0x10, 0x95, 0x02, 0x81, 0x02,                         /* 16 bits, absolute */        \
        0x09, 0x38, 0x15, 0x81, 0x25, 0x7f,                         /* wheel */                    \
        0x75, 0x08, 0x95, 0x01, 0x81, 0x06                          /* 8 bits, relative */

#endif
