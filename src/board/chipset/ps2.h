/* SPDX-License-Identifier: Apache-2.0 */
/* ps2.h - the keyboard and the mouse behind the keyboard controller; under its lock. */
#ifndef HOSPES_BOARD_PS2_H
#define HOSPES_BOARD_PS2_H

#include "core/core.h"

enum { PS2_QUEUE = 32 };

struct ps2_queue {
    uint8_t b[PS2_QUEUE];
    unsigned first, n;
};

struct ps2_keyboard {
    struct ps2_queue q;
    bool enabled;
    uint8_t set;     /* scan code set, 1 or 2 */
    uint8_t command; /* waits for its byte, 0: none */
    uint8_t leds, last;
    bool release; /* translation: 0xf0 was seen */
};

struct ps2_mouse {
    struct ps2_queue q;
    bool reporting, wrap, remote, scaling21;
    uint8_t id; /* 0, or 3 with a wheel */
    uint8_t command, rate, resolution, last;
    uint8_t knock[2]; /* the last two sample rates: 200, 100, 80 turns the wheel on */
    int dx, dy, dz;
    unsigned buttons;
};

void ps2_keyboard_init(struct ps2_keyboard *k);
void ps2_keyboard_write(struct ps2_keyboard *k, uint8_t v);
/* The next byte for the controller, translated to set 1 when asked; false: none. */
bool ps2_keyboard_next(struct ps2_keyboard *k, bool translate, uint8_t *v);
/* false: the queue is full, or the guest has switched the keyboard off. */
bool ps2_keyboard_key(struct ps2_keyboard *k, uint8_t code, bool extended, bool down);

void ps2_mouse_init(struct ps2_mouse *m);
void ps2_mouse_write(struct ps2_mouse *m, uint8_t v);
bool ps2_mouse_next(struct ps2_mouse *m, uint8_t *v);
void ps2_mouse_event(struct ps2_mouse *m, int dx, int dy, int wheel, unsigned buttons);

#endif
