/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keymap.c - Linux key numbers to PC/AT scan codes, and US ASCII to key numbers.
 *
 * Document: IBM PS/2 keyboard technical reference, scan code sets 1 and 2. KEY_ numbers 1 to 83
 * are set 1 codes by construction. PRINT SCREEN is sent in its unshifted form; PAUSE has no break.
 */
#include <linux/input-event-codes.h>
#include <string.h>

#include "console/hub.h"

/* Set 2 code of set 1 code 01h to 58h. */
static const uint8_t set2_of[0x59] = {
    0x00, 0x76, 0x16, 0x1e, 0x26, 0x25, 0x2e, 0x36, 0x3d, 0x3e, 0x46, 0x45, 0x4e, 0x55, 0x66,
    0x0d, 0x15, 0x1d, 0x24, 0x2d, 0x2c, 0x35, 0x3c, 0x43, 0x44, 0x4d, 0x54, 0x5b, 0x5a, 0x14,
    0x1c, 0x1b, 0x23, 0x2b, 0x34, 0x33, 0x3b, 0x42, 0x4b, 0x4c, 0x52, 0x0e, 0x12, 0x5d, 0x1a,
    0x22, 0x21, 0x2a, 0x32, 0x31, 0x3a, 0x41, 0x49, 0x4a, 0x59, 0x7c, 0x11, 0x29, 0x58, 0x05,
    0x06, 0x04, 0x0c, 0x03, 0x0b, 0x83, 0x0a, 0x01, 0x09, 0x77, 0x7e, 0x6c, 0x75, 0x7d, 0x7b,
    0x6b, 0x73, 0x74, 0x79, 0x69, 0x72, 0x7a, 0x70, 0x71, 0x84, 0x00, 0x61, 0x78, 0x07,
};

/* Keys with an E0 prefix: number and set 1 code. */
static const struct {
    uint16_t code;
    uint8_t set1;
} extended[] = {
    {KEY_KPENTER, 0x1c}, {KEY_RIGHTCTRL, 0x1d}, {KEY_KPSLASH, 0x35},  {KEY_RIGHTALT, 0x38},
    {KEY_HOME, 0x47},    {KEY_UP, 0x48},        {KEY_PAGEUP, 0x49},   {KEY_LEFT, 0x4b},
    {KEY_RIGHT, 0x4d},   {KEY_END, 0x4f},       {KEY_DOWN, 0x50},     {KEY_PAGEDOWN, 0x51},
    {KEY_INSERT, 0x52},  {KEY_DELETE, 0x53},    {KEY_LEFTMETA, 0x5b}, {KEY_RIGHTMETA, 0x5c},
    {KEY_COMPOSE, 0x5d}, {KEY_SYSRQ, 0x37},     {KEY_POWER, 0x5e},    {KEY_SLEEP, 0x5f},
};

/* Set 1 code of a key, with *e0 for extended ones; 0: none. */
static uint8_t base_code(unsigned code, bool *e0)
{
    *e0 = false;
    if ((code >= 1 && code <= 0x53) || code == KEY_102ND || code == KEY_F11 || code == KEY_F12)
        return (uint8_t)code;
    *e0 = true;
    for (size_t i = 0; i < ARRAY_SIZE(extended); i++) {
        if (extended[i].code == code)
            return extended[i].set1;
    }
    return 0;
}

/* Set 2 codes of extended keys are those of the same place on the numeric pad, with exceptions. */
static uint8_t set2_extended(uint8_t set1)
{
    switch (set1) {
    case 0x5b:
        return 0x1f;
    case 0x5c:
        return 0x27;
    case 0x5d:
        return 0x2f;
    case 0x5e:
        return 0x37;
    case 0x5f:
        return 0x3f;
    default:
        return set2_of[set1];
    }
}

size_t key_set1(unsigned code, bool down, uint8_t out[8])
{
    static const uint8_t pause[] = {0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5};
    size_t n = 0;
    uint8_t c;
    bool e0;

    if (code == KEY_PAUSE) {
        memcpy(out, pause, sizeof(pause));
        return down ? sizeof(pause) : 0;
    }
    c = base_code(code, &e0);
    if (!c)
        return 0;
    if (e0)
        out[n++] = 0xe0;
    out[n++] = (uint8_t)(c | (down ? 0 : 0x80));
    return n;
}

size_t key_set2(unsigned code, bool down, uint8_t out[8])
{
    static const uint8_t pause[] = {0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77};
    size_t n = 0;
    uint8_t c;
    bool e0;

    if (code == KEY_PAUSE) {
        memcpy(out, pause, sizeof(pause));
        return down ? sizeof(pause) : 0;
    }
    c = base_code(code, &e0);
    if (!c)
        return 0;
    if (e0)
        out[n++] = 0xe0;
    if (!down)
        out[n++] = 0xf0;
    out[n++] = e0 ? set2_extended(c) : set2_of[c];
    return n;
}

unsigned key_ascii(char c, bool *shift)
{
    static const struct {
        const char *plain, *shifted;
        uint8_t first; /* KEY_ number of plain[0]; the others follow */
    } rows[] = {
        {"1234567890-=", "!@#$%^&*()_+", KEY_1},
        {"qwertyuiop[]", "QWERTYUIOP{}", KEY_Q},
        {"asdfghjkl;'`", "ASDFGHJKL:\"~", KEY_A},
        {"\\zxcvbnm,./", "|ZXCVBNM<>?", KEY_BACKSLASH},
        {" ", " ", KEY_SPACE},
        {"\n", "\r", KEY_ENTER},
        {"\t", "\t", KEY_TAB},
        {"\b", "\b", KEY_BACKSPACE},
        {"\033", "\033", KEY_ESC},
    };

    *shift = false;
    for (size_t i = 0; c && i < ARRAY_SIZE(rows); i++) {
        const char *at = strchr(rows[i].plain, c);

        if (at)
            return (unsigned)(rows[i].first + (at - rows[i].plain));
        at = strchr(rows[i].shifted, c);
        if (at) {
            *shift = c != '\r';
            return (unsigned)(rows[i].first + (at - rows[i].shifted));
        }
    }
    return 0;
}
