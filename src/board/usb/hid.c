/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hid.c - a keyboard and a tablet.
 *
 * Documents: abi/usb.h; HID Usage Tables 1.12. The keyboard has boot and report protocol in one
 * report of eight bytes; the tablet says where it is, from 0 to 32767, with three buttons and a
 * wheel, and is no boot mouse. Not modelled: LEDs, idle rates, remote wake-up.
 */
#include <errno.h>
#include <linux/input-event-codes.h>
#include <stdlib.h>
#include <string.h>

#include "board/usb/usb.h"
#include "console/hub.h"
#include "core/err.h"

enum { REPORT = 8, QUEUE = 32, PRESSED = 6, MODIFIER = 0xe0, STRINGS = 4, CONFIG = 34 };

struct hid {
    struct usb_device dev; /* first */
    struct hub *hub;
    bool tablet;
    struct keyboard keyboard;
    struct pointer pointer;
    uint8_t protocol, idle;
    uint8_t held[REPORT]; /* the keyboard's report as keys are now */
    uint8_t queue[QUEUE][REPORT];
    unsigned first, count;
};

static const uint8_t keyboard_report[] = {
    0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x05, 0x07, 0x19, 0xe0, 0x29, 0xe7,
    0x15, 0x00, 0x25, 0x01, 0x75, 0x01, 0x95, 0x08, 0x81, 0x02, /* modifiers, a bit each */
    0x95, 0x01, 0x75, 0x08, 0x81, 0x01,                         /* a byte */
    0x95, 0x05, 0x75, 0x01, 0x05, 0x08, 0x19, 0x01, 0x29, 0x05, 0x91, 0x02, /* LEDs */
    0x95, 0x01, 0x75, 0x03, 0x91, 0x01,                                     /* fill up the byte */
    0x95, 0x06, 0x75, 0x08, 0x15, 0x00, 0x26, 0xff, 0x00, 0x05, 0x07, 0x19,
    0x00, 0x2a, 0xff, 0x00, 0x81, 0x00, 0xc0, /* six keys */
};

static const uint8_t tablet_report[] = {HID_TABLET_ITEMS, 0xc0, 0xc0};
enum { TABLET_REPORT = 6 };

/* Usages of KEY_ numbers 1 to 88, 0: none. */
static const uint8_t usage_of[89] = {
    0x00, 0x29, 0x1e, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x2d, 0x2e, 0x2a,
    0x2b, 0x14, 0x1a, 0x08, 0x15, 0x17, 0x1c, 0x18, 0x0c, 0x12, 0x13, 0x2f, 0x30, 0x28, 0xe0,
    0x04, 0x16, 0x07, 0x09, 0x0a, 0x0b, 0x0d, 0x0e, 0x0f, 0x33, 0x34, 0x35, 0xe1, 0x31, 0x1d,
    0x1b, 0x06, 0x19, 0x05, 0x11, 0x10, 0x36, 0x37, 0x38, 0xe5, 0x55, 0xe2, 0x2c, 0x39, 0x3a,
    0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x40, 0x41, 0x42, 0x43, 0x53, 0x47, 0x5f, 0x60, 0x61, 0x56,
    0x5c, 0x5d, 0x5e, 0x57, 0x59, 0x5a, 0x5b, 0x62, 0x63, 0x00, 0x94, 0x64, 0x44, 0x45,
};
static const struct {
    uint16_t code;
    uint8_t usage;
} usage_more[] = {
    {KEY_KPENTER, 0x58},  {KEY_RIGHTCTRL, 0xe4}, {KEY_KPSLASH, 0x54}, {KEY_SYSRQ, 0x46},
    {KEY_RIGHTALT, 0xe6}, {KEY_HOME, 0x4a},      {KEY_UP, 0x52},      {KEY_PAGEUP, 0x4b},
    {KEY_LEFT, 0x50},     {KEY_RIGHT, 0x4f},     {KEY_END, 0x4d},     {KEY_DOWN, 0x51},
    {KEY_PAGEDOWN, 0x4e}, {KEY_INSERT, 0x49},    {KEY_DELETE, 0x4c},  {KEY_PAUSE, 0x48},
    {KEY_LEFTMETA, 0xe3}, {KEY_RIGHTMETA, 0xe7}, {KEY_COMPOSE, 0x65}, {KEY_POWER, 0x66},
};

static struct hid *of(struct usb_device *d)
{
    return (struct hid *)d;
}

static uint8_t usage(unsigned code)
{
    if (code < ARRAY_SIZE(usage_of))
        return usage_of[code];
    for (size_t i = 0; i < ARRAY_SIZE(usage_more); i++) {
        if (usage_more[i].code == code)
            return usage_more[i].usage;
    }
    return 0;
}

/* --- from the hub --- */

static bool push(struct hid *h, const uint8_t report[REPORT])
{
    if (h->count == QUEUE)
        return false;
    memcpy(h->queue[(h->first + h->count++) % QUEUE], report, REPORT);
    return true;
}

static void press(uint8_t held[REPORT], uint8_t u, bool down)
{
    uint8_t *free_place = NULL;

    if (u >= MODIFIER) {
        held[0] = (uint8_t)(down ? held[0] | 1u << (u & 7) : held[0] & ~(1u << (u & 7)));
        return;
    }
    for (unsigned i = 2; i < REPORT; i++) {
        if (held[i] == u) {
            held[i] = down ? u : 0;
            return;
        }
        if (!held[i] && !free_place)
            free_place = &held[i];
    }
    if (down && free_place) /* a seventh key is not seen */
        *free_place = u;
}

static bool hid_key(struct keyboard *k, unsigned code, bool down)
{
    struct hid *h = container_of(k, struct hid, keyboard);
    uint8_t u = usage(code), held[REPORT];
    bool ok;

    if (!u)
        return true;
    h->dev.lock(&h->dev, true);
    memcpy(held, h->held, REPORT);
    press(held, u, down);
    ok = push(h, held);
    if (ok)
        memcpy(h->held, held, REPORT);
    h->dev.lock(&h->dev, false);
    if (ok)
        h->dev.ready(&h->dev);
    return ok;
}

static bool hid_move(struct pointer *p, const struct pointer_event *ev)
{
    struct hid *h = container_of(p, struct hid, pointer);
    int wheel = ev->wheel > 127 ? 127 : ev->wheel < -127 ? -127 : ev->wheel;
    uint8_t report[REPORT] = {(uint8_t)(ev->buttons & 7)};
    bool ok;

    le16_put(report + 1, (uint16_t)(ev->x & 0x7fff));
    le16_put(report + 3, (uint16_t)(ev->y & 0x7fff));
    report[5] = (uint8_t)wheel;
    h->dev.lock(&h->dev, true);
    ok = push(h, report);
    if (!ok) { /* the last place counts */
        memcpy(h->queue[(h->first + h->count - 1) % QUEUE], report, REPORT);
        ok = true;
    }
    h->dev.lock(&h->dev, false);
    h->dev.ready(&h->dev);
    return ok;
}

/* --- from the guest --- */

static void hid_reset(struct usb_device *d)
{
    struct hid *h = of(d);

    d->configuration = 0;
    h->protocol = 1;
    h->idle = 0;
    h->first = h->count = 0;
    memset(h->held, 0, sizeof(h->held));
}

static size_t string(const struct hid *h, unsigned index, uint8_t *out)
{
    static const char *const text[STRINGS] = {NULL, "hospes", NULL, "1"};
    const char *s = index == 2 ? h->tablet ? "USB tablet" : "USB keyboard" : NULL;
    size_t n = 2;

    if (index == 0) {
        memcpy(out, "\x04\x03\x09\x04", 4); /* English */
        return 4;
    }
    s = s ? s : index < STRINGS ? text[index] : NULL;
    for (; s && *s; s++) {
        out[n++] = (uint8_t)*s;
        out[n++] = 0;
    }
    out[0] = (uint8_t)n;
    out[1] = USB_DT_STRING;
    return s ? n : 0;
}

static size_t report_size(const struct hid *h)
{
    return h->tablet ? sizeof(tablet_report) : sizeof(keyboard_report);
}

static size_t config(const struct hid *h, uint8_t *out)
{
    uint8_t bytes = h->tablet ? TABLET_REPORT : REPORT, boot = h->tablet ? 0 : 1;
    const uint8_t c[CONFIG] = {
        9,
        USB_DT_CONFIG,
        CONFIG,
        0,
        1,
        1,
        0,
        0xa0,
        50, /* 100 mA */
        9,
        4,
        0,
        0,
        1,
        3,
        boot,
        boot,
        0,
        9,
        USB_DT_HID,
        0x11,
        1,
        0,
        1,
        USB_DT_REPORT,
        (uint8_t)report_size(h),
        0,
        7,
        5,
        0x81,
        3,
        bytes,
        0,
        4,
    };

    memcpy(out, c, sizeof(c));
    return sizeof(c);
}

static size_t descriptor(const struct hid *h, uint16_t value, uint8_t *out)
{
    const uint8_t device[18] = {18,   USB_DT_DEVICE, 0x00, 0x02, 0,    0, 0, 64, 0x27,
                                0x06, 0x01,          0x00, 0x00, 0x01, 1, 2, 3,  1};

    switch (value >> 8) {
    case USB_DT_DEVICE:
        memcpy(out, device, sizeof(device));
        out[10] = h->tablet ? 0x03 : 0x04;
        return sizeof(device);
    case USB_DT_CONFIG:
        return config(h, out);
    case USB_DT_STRING:
        return string(h, value & 0xff, out);
    case USB_DT_HID:
        config(h, out);
        memmove(out, out + 18, 9);
        return 9;
    case USB_DT_REPORT:
        memcpy(out, h->tablet ? tablet_report : keyboard_report, report_size(h));
        return report_size(h);
    default:
        return 0;
    }
}

static int standard(struct hid *h, const struct usb_setup *s, uint8_t *answer)
{
    uint16_t value = le16_get(s->wValue);
    size_t n;

    switch (s->bRequest) {
    case USB_GET_STATUS:
        le16_put(answer, 0);
        return 2;
    case USB_GET_DESCRIPTOR:
        n = descriptor(h, value, answer);
        return n ? (int)n : -EPIPE;
    case USB_GET_CONFIGURATION:
        answer[0] = h->dev.configuration;
        return 1;
    case USB_SET_CONFIGURATION:
        if (value > 1)
            return -EPIPE;
        h->dev.configuration = (uint8_t)value;
        return 0;
    case USB_GET_INTERFACE:
        answer[0] = 0;
        return 1;
    case USB_CLEAR_FEATURE:
    case USB_SET_FEATURE:
    case USB_SET_ADDRESS:
    case USB_SET_INTERFACE:
        return 0;
    default:
        return -EPIPE;
    }
}

static int class_request(struct hid *h, const struct usb_setup *s, uint8_t *answer)
{
    uint16_t value = le16_get(s->wValue);

    switch (s->bRequest) {
    case HID_GET_REPORT:
        memcpy(answer, h->held, REPORT);
        return h->tablet ? TABLET_REPORT : REPORT;
    case HID_GET_IDLE:
        answer[0] = h->idle;
        return 1;
    case HID_GET_PROTOCOL:
        answer[0] = h->protocol;
        return 1;
    case HID_SET_IDLE:
        h->idle = (uint8_t)(value >> 8);
        return 0;
    case HID_SET_PROTOCOL:
        h->protocol = value & 1;
        return 0;
    case HID_SET_REPORT: /* LEDs, which nobody sees */
        return 0;
    default:
        return -EPIPE;
    }
}

static int hid_control(struct usb_device *d, const struct usb_setup *s, uint8_t *data, size_t len)
{
    uint8_t answer[256];
    int n = (s->bmRequestType & 0x60) == USB_TYPE_CLASS ? class_request(of(d), s, answer)
                                                        : standard(of(d), s, answer);

    if (n <= 0 || !(s->bmRequestType & USB_DIR_IN))
        return n < 0 ? n : 0;
    n = (size_t)n < len ? n : (int)len;
    memcpy(data, answer, (size_t)n);
    return n;
}

static int hid_in(struct usb_device *d, unsigned endpoint, uint8_t *data, size_t max)
{
    struct hid *h = of(d);
    size_t n = h->tablet ? TABLET_REPORT : REPORT;

    if (endpoint != 1)
        return -EPIPE;
    if (!h->count)
        return -EAGAIN;
    n = n < max ? n : max;
    memcpy(data, h->queue[h->first], n);
    h->first = (h->first + 1) % QUEUE;
    h->count--;
    return (int)n;
}

static void hid_bind(struct usb_device *d, bool bound)
{
    struct hid *h = of(d);

    if (h->tablet && bound)
        hub_pointer(h->hub, &h->pointer);
    else if (h->tablet)
        hub_pointer_gone(h->hub, &h->pointer);
    else if (bound)
        hub_keyboard(h->hub, &h->keyboard);
    else
        hub_keyboard_gone(h->hub, &h->keyboard);
}

static void hid_destroy(struct usb_device *d)
{
    free(d);
}

static const struct usb_device_ops keyboard_ops = {
    .name = "usb-keyboard",
    .destroy = hid_destroy,
    .reset = hid_reset,
    .control = hid_control,
    .in = hid_in,
    .bind = hid_bind,
};

static const struct usb_device_ops tablet_ops = {
    .name = "usb-tablet",
    .destroy = hid_destroy,
    .reset = hid_reset,
    .control = hid_control,
    .in = hid_in,
    .bind = hid_bind,
};

static int create(struct hub *hub, bool tablet, struct usb_device **out, struct err *e)
{
    struct hid *h = calloc(1, sizeof(*h));

    if (!h)
        return err_set(e, ENOMEM, "no memory for a USB device");
    h->dev.ops = tablet ? &tablet_ops : &keyboard_ops;
    h->dev.speed = USB_FULL;
    h->hub = hub;
    h->tablet = tablet;
    h->keyboard = (struct keyboard){.name = "usb", .key = hid_key};
    h->pointer = (struct pointer){.name = "usb", .absolute = true, .move = hid_move};
    hid_reset(&h->dev);
    *out = &h->dev;
    return 0;
}

int usb_keyboard_create(struct hub *hub, struct usb_device **out, struct err *e)
{
    return create(hub, false, out, e);
}

int usb_tablet_create(struct hub *hub, struct usb_device **out, struct err *e)
{
    return create(hub, true, out, e);
}
