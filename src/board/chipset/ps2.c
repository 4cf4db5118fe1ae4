/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ps2.c - IBM enhanced keyboard and PS/2 mouse (Keyboard and Mouse Technical Reference), with the
 * wheel of the IntelliMouse.
 *
 * Keys arrive as scan code set 1 and are queued in set 2, the keyboard's own; sets 1 and 2 can be
 * chosen, set 3 is refused. Not modelled: typematic repeat (the host's keyboard repeats), the
 * numeric-lock prefixes of extended keys.
 */
#include "board/chipset/ps2.h"

#include <string.h>

enum {
    PS2_ACK = 0xfa,
    PS2_RESEND = 0xfe,
    PS2_TEST_OK = 0xaa,
    PS2_ANSWERS = 4, /* room kept for answers: input never fills the queue */
};

/* Scan code set 2 of each set 1 code. */
static const uint8_t set2_of_set1[128] = {
    0,   118, 22,  30,  38,  37,  46,  54,  61,  62,  70,  69,  78,  85,  102, 13,  21,  29,  36,
    45,  44,  53,  60,  67,  68,  77,  84,  91,  90,  20,  28,  27,  35,  43,  52,  51,  59,  66,
    75,  76,  82,  14,  18,  93,  26,  34,  33,  42,  50,  49,  58,  65,  73,  74,  89,  124, 17,
    41,  88,  5,   6,   4,   12,  3,   11,  2,   10,  1,   9,   119, 126, 108, 117, 125, 123, 107,
    115, 116, 121, 105, 114, 122, 112, 113, 127, 96,  97,  120, 7,   15,  23,  31,  39,  47,  55,
    63,  71,  79,  86,  94,  8,   16,  24,  32,  40,  48,  56,  64,  72,  80,  87,  111, 19,  25,
    57,  81,  83,  92,  95,  98,  99,  100, 101, 103, 104, 106, 109, 110,
};

static uint8_t set1_of_set2(uint8_t code)
{
    if (code == 0x83)
        return 0x41; /* F7 */
    for (unsigned i = 1; i < 128; i++) {
        if (set2_of_set1[i] == code)
            return (uint8_t)i;
    }
    return code; /* answers and codes without a pair pass as they are */
}

static void queue_put(struct ps2_queue *q, uint8_t v)
{
    if (q->n < PS2_QUEUE)
        q->b[(q->first + q->n++) % PS2_QUEUE] = v;
}

static bool queue_get(struct ps2_queue *q, uint8_t *v)
{
    if (q->n == 0)
        return false;
    *v = q->b[q->first];
    q->first = (q->first + 1) % PS2_QUEUE;
    q->n--;
    return true;
}

static bool queue_has_room(const struct ps2_queue *q, unsigned n)
{
    return q->n + n + PS2_ANSWERS <= PS2_QUEUE;
}

static void queue_clear(struct ps2_queue *q)
{
    q->n = 0;
}

/* --- keyboard --- */

void ps2_keyboard_init(struct ps2_keyboard *k)
{
    *k = (struct ps2_keyboard){.enabled = true, .set = 2};
}

static void keyboard_argument(struct ps2_keyboard *k, uint8_t v)
{
    uint8_t c = k->command;

    k->command = 0;
    switch (c) {
    case 0xed:
        k->leds = v;
        queue_put(&k->q, PS2_ACK);
        break;
    case 0xf0:
        if (v > 2) {
            queue_put(&k->q, PS2_RESEND);
            break;
        }
        queue_put(&k->q, PS2_ACK);
        if (v == 0)
            queue_put(&k->q, k->set);
        else
            k->set = v;
        break;
    default: /* 0xf3, typematic rate */
        queue_put(&k->q, PS2_ACK);
    }
}

void ps2_keyboard_write(struct ps2_keyboard *k, uint8_t v)
{
    /* A byte with the top bit set is a command, even where another one's byte was expected. */
    if (k->command && v < 0xed) {
        keyboard_argument(k, v);
        return;
    }
    k->command = 0;
    switch (v) {
    case 0xed:
    case 0xf0:
    case 0xf3:
        k->command = v;
        queue_put(&k->q, PS2_ACK);
        break;
    case 0xee:
        queue_put(&k->q, 0xee);
        break;
    case 0xf2:
        queue_put(&k->q, PS2_ACK);
        queue_put(&k->q, 0xab);
        queue_put(&k->q, 0x83);
        break;
    case 0xf4:
    case 0xf5:
    case 0xf6:
        queue_clear(&k->q);
        if (v == 0xf6)
            ps2_keyboard_init(k);
        k->enabled = v != 0xf5;
        queue_put(&k->q, PS2_ACK);
        break;
    case 0xfe:
        queue_put(&k->q, k->last);
        break;
    case 0xff:
        ps2_keyboard_init(k);
        queue_put(&k->q, PS2_ACK);
        queue_put(&k->q, PS2_TEST_OK);
        break;
    default:
        queue_put(&k->q, PS2_RESEND);
    }
}

bool ps2_keyboard_next(struct ps2_keyboard *k, bool translate, uint8_t *v)
{
    uint8_t code;

    while (queue_get(&k->q, &code)) {
        k->last = code;
        if (translate && code == 0xf0) {
            k->release = true;
            continue;
        }
        *v = code;
        if (translate && (code < 0x80 || code == 0x83))
            *v = set1_of_set2(code) | (k->release ? 0x80 : 0);
        k->release = false;
        return true;
    }
    return false;
}

bool ps2_keyboard_key(struct ps2_keyboard *k, uint8_t code, bool extended, bool down)
{
    code &= 0x7f;
    if (!k->enabled || !queue_has_room(&k->q, 3))
        return false;
    if (extended)
        queue_put(&k->q, 0xe0);
    if (k->set == 1) {
        queue_put(&k->q, code | (down ? 0 : 0x80));
        return true;
    }
    if (!down)
        queue_put(&k->q, 0xf0);
    queue_put(&k->q, set2_of_set1[code]);
    return true;
}

/* --- mouse --- */

void ps2_mouse_init(struct ps2_mouse *m)
{
    *m = (struct ps2_mouse){.rate = 100, .resolution = 2};
}

static int mouse_clip(int v)
{
    return v < -255 ? -255 : v > 255 ? 255 : v;
}

static void mouse_packet(struct ps2_mouse *m)
{
    int dx = mouse_clip(m->dx), dy = mouse_clip(m->dy);
    int dz = m->dz < -8 ? -8 : m->dz > 7 ? 7 : m->dz;

    m->dx -= dx;
    m->dy -= dy;
    m->dz -= dz;
    queue_put(&m->q,
              (uint8_t)(0x08 | (m->buttons & 7) | (dx < 0 ? 0x10 : 0) | (dy < 0 ? 0x20 : 0)));
    queue_put(&m->q, (uint8_t)dx);
    queue_put(&m->q, (uint8_t)dy);
    if (m->id == 3)
        queue_put(&m->q, (uint8_t)-dz); /* the wheel counts towards the user */
}

static void mouse_status(struct ps2_mouse *m)
{
    /* Buttons in this byte stand left, middle, right from bit 2 down. */
    uint8_t b = (uint8_t)((m->buttons & 1) << 2 | (m->buttons & 4) >> 1 | (m->buttons & 2) >> 1);

    queue_put(&m->q, (uint8_t)(b | (m->scaling21 ? 0x10 : 0) | (m->reporting ? 0x20 : 0) |
                               (m->remote ? 0x40 : 0)));
    queue_put(&m->q, m->resolution);
    queue_put(&m->q, m->rate);
}

static void mouse_argument(struct ps2_mouse *m, uint8_t v)
{
    if (m->command == 0xe8) {
        m->resolution = v & 3;
    } else {
        if (m->knock[0] == 200 && m->knock[1] == 100 && v == 80)
            m->id = 3;
        m->knock[0] = m->knock[1];
        m->knock[1] = v;
        m->rate = v;
    }
    m->command = 0;
    queue_put(&m->q, PS2_ACK);
}

static void mouse_answer(struct ps2_mouse *m, uint8_t v)
{
    switch (v) {
    case 0xe9:
        mouse_status(m);
        break;
    case 0xeb:
        mouse_packet(m);
        break;
    case 0xf2:
        queue_put(&m->q, m->id);
        break;
    case 0xff:
        queue_put(&m->q, PS2_TEST_OK);
        queue_put(&m->q, 0);
        break;
    default:
        break;
    }
}

/* false: no such command. */
static bool mouse_command(struct ps2_mouse *m, uint8_t v)
{
    switch (v) {
    case 0xe6:
    case 0xe7:
        m->scaling21 = v == 0xe7;
        return true;
    case 0xe8:
    case 0xf3:
        m->command = v;
        return true;
    case 0xea:
    case 0xf0:
        m->remote = v == 0xf0;
        return true;
    case 0xec:
    case 0xee:
        m->wrap = v == 0xee;
        return true;
    case 0xf4:
    case 0xf5:
        m->reporting = v == 0xf4;
        return true;
    case 0xf6:
    case 0xff:
        ps2_mouse_init(m);
        return true;
    case 0xe9:
    case 0xeb:
    case 0xf2:
        return true;
    default:
        return false;
    }
}

void ps2_mouse_write(struct ps2_mouse *m, uint8_t v)
{
    if (m->wrap && v != 0xec && v != 0xff) {
        queue_put(&m->q, v);
        return;
    }
    if (m->command) {
        mouse_argument(m, v);
        return;
    }
    if (v == 0xfe) {
        queue_put(&m->q, m->last);
        return;
    }
    queue_clear(&m->q); /* an answer comes before what was waiting */
    if (!mouse_command(m, v)) {
        queue_put(&m->q, PS2_RESEND);
        return;
    }
    queue_put(&m->q, PS2_ACK);
    mouse_answer(m, v);
}

bool ps2_mouse_next(struct ps2_mouse *m, uint8_t *v)
{
    if (!queue_get(&m->q, v))
        return false;
    m->last = *v;
    return true;
}

void ps2_mouse_event(struct ps2_mouse *m, int dx, int dy, int wheel, unsigned buttons)
{
    /* Sums stay small however long the guest does not look. */
    m->dx = mouse_clip(m->dx + mouse_clip(dx));
    m->dy = mouse_clip(m->dy + mouse_clip(dy));
    m->dz = mouse_clip(m->dz + mouse_clip(wheel));
    m->buttons = buttons;
    if (m->reporting && !m->remote && queue_has_room(&m->q, 4))
        mouse_packet(m);
}
