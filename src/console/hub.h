/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hub.h - where a machine's screens, keyboards and pointers meet those who look and type.
 *
 * Display devices of a persona (VGA, SVGA II, synthetic video, Xen's frame buffer) register a
 * screen, input devices a keyboard or pointer. Viewers (screenshot, VNC, `hospes type`) see one
 * picture, that of the screen which was lit last, and one keyboard and pointer: those the guest
 * has bound last. Neither side knows the other.
 *
 * Threads: the loop's.
 */
#ifndef HOSPES_CONSOLE_HUB_H
#define HOSPES_CONSOLE_HUB_H

#include "core/core.h"

struct hub;

enum pixel_format {
    PIXEL_XRGB8888, /* 32 bits, blue in the lowest byte */
    PIXEL_RGB888,   /* 24 bits, blue first */
    PIXEL_RGB565,
    PIXEL_XRGB1555,
    PIXEL_PAL8, /* 8 bits into palette */
};

enum { SCREEN_MAX_SIDE = 16384, SCREEN_MAX_BYTES = 256 << 20 };

/* What is shown now. The pixels may change while they are read: the guest draws. */
struct surface {
    const uint8_t *pixels;
    size_t size;                    /* bytes that may be read at pixels */
    uint32_t width, height, stride; /* pixels, pixels, bytes */
    enum pixel_format format;
    const uint32_t *palette; /* 256 entries 0x00rrggbb, for PIXEL_PAL8 */
};

enum { SCREEN_TEXT_COLUMNS = 256, SCREEN_TEXT_ROWS = 128 };

/* Codes of code page 437, row after row without gaps. */
struct screen_text {
    unsigned columns, rows;
    uint8_t cell[SCREEN_TEXT_COLUMNS * SCREEN_TEXT_ROWS];
};

/* Embedded in its device. */
struct screen {
    const char *name; /* "vga" */
    /* false: dark. Values may be nonsense from the guest: the hub checks them. */
    bool (*surface)(struct screen *s, struct surface *out);
    /* Fills in what it says in text mode. false: it shows pixels or nothing. NULL: never text. */
    bool (*text)(struct screen *s, struct screen_text *out);
    /* The viewer would like this size; may be NULL. */
    void (*wish)(struct screen *s, uint32_t width, uint32_t height);
    struct screen *next; /* the hub's */
};

/* code is Linux's KEY_ number (input-event-codes.h). */
struct keyboard {
    const char *name;
    /* false: the guest's buffer is full, try again later. */
    bool (*key)(struct keyboard *k, unsigned code, bool down);
    struct keyboard *next;
};

enum { POINTER_LEFT = 1, POINTER_RIGHT = 2, POINTER_MIDDLE = 4 };
struct pointer_event {
    int x, y; /* absolute: 0 to 32767 across the screen; relative: steps, y down */
    int wheel;
    unsigned buttons; /* all that are down */
};
struct pointer {
    const char *name;
    bool absolute;
    bool (*move)(struct pointer *p, const struct pointer_event *ev);
    struct pointer *next;
};

MUST int hub_create(struct loop *l, struct hub **out, struct err *e);
void hub_destroy(struct hub *h); /* NULL is fine */

/* Adding one that is there moves it to the front: the guest has lit or bound it. h may be NULL:
 * nobody looks. */
void hub_screen(struct hub *h, struct screen *s);
void hub_keyboard(struct hub *h, struct keyboard *k);
void hub_pointer(struct hub *h, struct pointer *p);
/* Has the pointer that p took over from tell its guest of no movement: some guests only look at an
 * absolute pointer when their plain mouse speaks. Nothing happens when that one is absolute. */
void hub_pointer_wake(struct hub *h, struct pointer *p);
void hub_screen_gone(struct hub *h, struct screen *s);
void hub_keyboard_gone(struct hub *h, struct keyboard *k);
void hub_pointer_gone(struct hub *h, struct pointer *p);

/* --- for viewers --- */

/* XRGB8888, width * 4 bytes a line. Free pixels with free(). */
struct image {
    uint32_t width, height;
    uint32_t *pixels;
};

/* -ENOENT: nothing is shown. */
MUST int hub_image(struct hub *h, struct image *out, struct err *e);
/* What a screen in text mode says, UTF-8, blanks at the ends of lines and empty last lines left
 * out. Free it. -ENOENT: nothing is shown, or pixels. */
MUST int hub_text(struct hub *h, char **out, struct err *e);
/* The screen that hub_image() and hub_text() take: the front one that is lit, or NULL. */
struct screen *hub_front(struct hub *h);
/* The front screen's size, false when dark: to notice a change without a copy. */
bool hub_size(struct hub *h, uint32_t *width, uint32_t *height);
void hub_wish(struct hub *h, uint32_t width, uint32_t height);

/* Writes PNG, by rename, so that a reader never sees half a file. */
MUST int image_png(const struct image *img, const char *path, struct err *e);

void hub_key(struct hub *h, unsigned code, bool down);
/* Absolute coordinates; a relative pointer gets the differences. */
void hub_move(struct hub *h, const struct pointer_event *ev);

/* Types ASCII text on a US keyboard, paced so that no guest loses keys; \n is Enter, \t Tab.
 * done(arg) may be NULL. -EINVAL for a character without a key; -EBUSY while typing. */
MUST int hub_type(struct hub *h, const char *text, void (*done)(void *arg), void *arg,
                  struct err *e);

/* --- key codes for keyboards, keymap.c --- */

/* PC/AT scan codes for a KEY_ number: bytes in out (at most 8), 0 when there are none. */
size_t key_set1(unsigned code, bool down, uint8_t out[8]);
size_t key_set2(unsigned code, bool down, uint8_t out[8]);
/* KEY_ number and shift for an ASCII character; 0 when there is none. */
unsigned key_ascii(char c, bool *shift);

#endif
