/* SPDX-License-Identifier: Apache-2.0 */
/*
 * input.c - Hyper-V's synthetic keyboard and mouse, from the hub to the guest.
 *
 * Facts: Linux hyperv-keyboard.c, hid-hyperv.c; USB HID 1.11 for the report descriptor. The
 * keyboard sends PC scan codes of set 1, the mouse absolute positions with three buttons and a
 * wheel. Not modelled: LEDs, horizontal wheels. Threads: the loop's.
 */
#include "input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/hvinput.h"
#include "abi/usb.h"
#include "console/hub.h"
#include "core/err.h"

enum { INPUT_PACKET = 1024 };

struct input {
    struct vmbus *b;
    struct hub *hub;
    struct vmbus_channel kbd_channel, mouse_channel;
    bool kbd_ready, mouse_ready;
    struct keyboard keyboard;
    struct pointer pointer;
    uint64_t keys, moves;
};

/* A tablet whose report has one byte of padding at its end. */
static const uint8_t report_descriptor[] = {
    HID_TABLET_ITEMS, 0x75, 0x08, 0x95, 0x01, 0x81, 0x03, 0xc0, 0xc0};

/* --- keyboard --- */

static bool kbd_key(struct keyboard *k, unsigned code, bool down)
{
    struct input *i = container_of(k, struct input, keyboard);
    struct synth_kbd_keystroke m = {.type = le32_of(SYNTH_KBD_EVENT)};
    uint8_t scan[8];
    uint32_t prefix = 0;
    size_t n = key_set1(code, down, scan);

    if (!i->kbd_ready || vmbus_congested(&i->kbd_channel))
        return false;
    for (size_t at = 0; at < n; at++) {
        if (scan[at] == 0xe0 || scan[at] == 0xe1) {
            prefix = scan[at] == 0xe0 ? SYNTH_KBD_E0 : SYNTH_KBD_E1;
            continue;
        }
        m.make_code = le16_of(scan[at] & 0x7f);
        m.info = le32_of(prefix | (scan[at] & 0x80 ? SYNTH_KBD_BREAK : 0));
        vmbus_send_data(&i->kbd_channel, &m, sizeof(m));
        prefix = prefix == SYNTH_KBD_E1 ? prefix : 0; /* E1 is for the two codes behind it */
    }
    vmbus_flush(&i->kbd_channel);
    i->keys++;
    return true;
}

static void kbd_packet(struct vmbus_channel *c, const struct ring_packet *p)
{
    struct input *i = c->owner;
    struct synth_kbd_protocol m = {.type = le32_of(0)};
    bool ok;

    if (p->type != VM_PKT_DATA_INBAND)
        return;
    memcpy(&m, p->data, min_u64(p->data_len, sizeof(m)));
    if (le32_get(m.type) == SYNTH_KBD_PROTOCOL_REQUEST) {
        ok = le32_get(m.value) == SYNTH_KBD_VERSION;
        m = (struct synth_kbd_protocol){le32_of(SYNTH_KBD_PROTOCOL_RESPONSE), le32_of(ok)};
        vmbus_send_data(c, &m, sizeof(m));
        if (ok)
            hub_keyboard(i->hub, &i->keyboard);
        else if (i->kbd_ready)
            hub_keyboard_gone(i->hub, &i->keyboard);
        i->kbd_ready = ok;
    } else if (le32_get(m.type) != SYNTH_KBD_LED_INDICATORS) {
        vmbus_fault(c, "a message of type %u is unknown", le32_get(m.type));
    }
}

static void kbd_close(struct vmbus_channel *c)
{
    struct input *i = c->owner;

    if (i->kbd_ready)
        hub_keyboard_gone(i->hub, &i->keyboard);
    i->kbd_ready = false;
}

static const struct vmbus_class kbd_class = {
    .name = "keyboard", .packet_max = INPUT_PACKET, .packet = kbd_packet, .close = kbd_close};

/* --- mouse --- */

static void mouse_send(struct input *i, const void *p, size_t n)
{
    uint8_t m[256];
    struct vmbus_pipe_header h = {le32_of(VMBUS_PIPE_DATA), le32_of((uint32_t)n)};

    memcpy(m, &h, sizeof(h));
    memcpy(m + sizeof(h), p, n);
    vmbus_send_data(&i->mouse_channel, m, sizeof(h) + n);
    vmbus_flush(&i->mouse_channel);
}

static bool mouse_move(struct pointer *p, const struct pointer_event *ev)
{
    struct input *i = container_of(p, struct input, pointer);
    struct synthhid_report m = {
        .h = {le32_of(SYNTH_HID_INPUT_REPORT), le32_of(sizeof(m) - sizeof(m.h))},
        .buttons = (uint8_t)(ev->buttons & (POINTER_LEFT | POINTER_RIGHT | POINTER_MIDDLE)),
        .x = le16_of((uint16_t)ev->x),
        .y = le16_of((uint16_t)ev->y),
        .wheel = (uint8_t)ev->wheel,
    };

    if (!i->mouse_ready || vmbus_congested(&i->mouse_channel))
        return false;
    mouse_send(i, &m, sizeof(m));
    i->moves++;
    return true;
}

static void mouse_describe_device(struct input *i)
{
    struct {
        struct synthhid_header h;
        struct hv_input_dev_info info;
        struct hid_descriptor_wire d;
        uint8_t report[sizeof(report_descriptor)];
    } m = {
        .h = {le32_of(SYNTH_HID_INITIAL_DEVICE_INFO), le32_of(sizeof(m) - sizeof(m.h))},
        .info = {.size = le32_of(sizeof(m) - sizeof(m.h)),
                 .vendor = le16_of(0x045e),
                 .product = le16_of(0x0621),
                 .version = le16_of(1)},
        .d = {sizeof(m.d), 0x21, le16_of(0x111), 0, 1, 0x22, le16_of(sizeof(m.report))},
    };

    memcpy(m.report, report_descriptor, sizeof(m.report));
    mouse_send(i, &m, sizeof(m));
}

static void mouse_packet(struct vmbus_channel *c, const struct ring_packet *p)
{
    struct input *i = c->owner;
    struct synthhid_response r = {
        .h = {le32_of(SYNTH_HID_PROTOCOL_RESPONSE), le32_of(sizeof(r) - sizeof(r.h))}};
    uint32_t type;

    if (p->type != VM_PKT_DATA_INBAND || p->data_len < 16)
        return;
    type = le32_at(p->data + 8);
    if (type == SYNTH_HID_PROTOCOL_REQUEST && p->data_len >= 20) {
        r.version = le32_of(le32_at(p->data + 16));
        r.approved = le32_at(p->data + 16) == SYNTHHID_INPUT_VERSION;
        mouse_send(i, &r, sizeof(r));
        if (r.approved)
            mouse_describe_device(i);
    } else if (type == SYNTH_HID_INITIAL_DEVICE_INFO_ACK) {
        if (!i->mouse_ready)
            hub_pointer(i->hub, &i->pointer);
        i->mouse_ready = true;
    } else {
        vmbus_fault(c, "a message of type %u is unknown", type);
    }
}

static void mouse_close(struct vmbus_channel *c)
{
    struct input *i = c->owner;

    if (i->mouse_ready)
        hub_pointer_gone(i->hub, &i->pointer);
    i->mouse_ready = false;
}

static const struct vmbus_class mouse_class = {
    .name = "mouse", .packet_max = INPUT_PACKET, .packet = mouse_packet, .close = mouse_close};

/* --- life --- */

static int add_channel(struct input *i, struct vmbus_channel *c, const struct vmbus_class *class,
                       bool pipe, const uint8_t type[16], struct err *e)
{
    *c = (struct vmbus_channel){.class = class,
                                .id = class->name,
                                .flags = pipe ? VMBUS_CHANNEL_NAMED_PIPE_MODE : 0,
                                .owner = i};
    le32_put(c->user_def, pipe ? VMBUS_PIPE_TYPE_MESSAGE : 0);
    memcpy(c->type, type, 16);
    memcpy(c->instance, type, 16);
    c->instance[15] ^= 1;
    return vmbus_add(i->b, c, e);
}

int input_create(struct vmbus *b, struct hub *hub, struct input **out, struct err *e)
{
    static const uint8_t kbd[16] = HV_KBD_GUID, mouse[16] = HV_MOUSE_GUID;
    struct input *i = calloc(1, sizeof(*i));
    int rc;

    if (!i)
        return err_set(e, ENOMEM, "no memory for the synthetic keyboard");
    i->b = b;
    i->hub = hub;
    i->keyboard = (struct keyboard){.name = "hyperv keyboard", .key = kbd_key};
    i->pointer = (struct pointer){.name = "hyperv mouse", .absolute = true, .move = mouse_move};
    rc = add_channel(i, &i->kbd_channel, &kbd_class, false, kbd, e);
    if (rc == 0)
        rc = add_channel(i, &i->mouse_channel, &mouse_class, true, mouse, e);
    if (rc < 0) {
        input_destroy(i);
        return rc;
    }
    *out = i;
    return 0;
}

void input_destroy(struct input *i)
{
    if (!i)
        return;
    if (i->kbd_channel.bus)
        vmbus_remove(&i->kbd_channel);
    if (i->mouse_channel.bus)
        vmbus_remove(&i->mouse_channel);
    free(i);
}
