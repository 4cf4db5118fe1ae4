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

#endif
