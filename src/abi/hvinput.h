/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvinput.h - Hyper-V's synthetic keyboard and mouse.
 *
 * Facts: Linux drivers/input/serio/hyperv-keyboard.c and drivers/hid/hid-hyperv.c, names kept.
 */
#ifndef HOSPES_ABI_HVINPUT_H
#define HOSPES_ABI_HVINPUT_H

#include "abi/vmbus.h"

#define HV_KBD_GUID                                                                                \
    WIRE_GUID(0xf912ad6d, 0x2b17, 0x48ea, 0xbd, 0x65, 0xf9, 0x27, 0xa6, 0x1c, 0x76, 0x84)
#define HV_MOUSE_GUID                                                                              \
    WIRE_GUID(0xcfa8b69e, 0x5b4a, 0x4cc0, 0xb9, 0x8b, 0x8b, 0xa1, 0xa1, 0xf3, 0xf9, 0x5a)

enum synth_kbd_msg_type {
    SYNTH_KBD_PROTOCOL_REQUEST = 1,
    SYNTH_KBD_PROTOCOL_RESPONSE = 2,
    SYNTH_KBD_EVENT = 3,
    SYNTH_KBD_LED_INDICATORS = 4,
};
#define SYNTH_KBD_VERSION UINT32_C(0x10000)
enum synth_kbd_flag { SYNTH_KBD_BREAK = 2, SYNTH_KBD_E0 = 4, SYNTH_KBD_E1 = 8 };

struct synth_kbd_keystroke {
    le32 type;
    le16 make_code, reserved;
    le32 info;
};
WIRE_SIZE(struct synth_kbd_keystroke, 12);

/* Request and answer: type, then version or whether it is accepted. */
struct synth_kbd_protocol {
    le32 type, value;
};
WIRE_SIZE(struct synth_kbd_protocol, 8);

enum synthhid_msg_type {
    SYNTH_HID_PROTOCOL_REQUEST = 0,
    SYNTH_HID_PROTOCOL_RESPONSE = 1,
    SYNTH_HID_INITIAL_DEVICE_INFO = 2,
    SYNTH_HID_INITIAL_DEVICE_INFO_ACK = 3,
    SYNTH_HID_INPUT_REPORT = 4,
};
#define SYNTHHID_INPUT_VERSION UINT32_C(0x20000)

/* Behind a pipe header. */
struct synthhid_header {
    le32 type, size; /* bytes that follow */
};
WIRE_SIZE(struct synthhid_header, 8);

struct synthhid_response {
    struct synthhid_header h;
    le32 version;
    uint8_t approved; /* drivers refuse a longer message */
};
WIRE_SIZE(struct synthhid_response, 13);

struct hv_input_dev_info {
    le32 size;
    le16 vendor, product, version, reserved[11];
};
WIRE_SIZE(struct hv_input_dev_info, 32);

struct hid_descriptor_wire {
    uint8_t length, type;
    le16 hid;
    uint8_t country, descriptors, report_type;
    le16 report_len;
};
WIRE_SIZE(struct hid_descriptor_wire, 9);

struct synthhid_report {
    struct synthhid_header h;
    uint8_t buttons;
    le16 x, y;
    uint8_t wheel, pad;
};
WIRE_SIZE(struct synthhid_report, 15);

#endif
