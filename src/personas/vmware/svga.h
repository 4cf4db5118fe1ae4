/* SPDX-License-Identifier: Apache-2.0 */
/* svga.h - VMware's SVGA II display for the persona; see svga.c. Loop's thread. */
#ifndef HOSPES_PERSONAS_VMWARE_SVGA_H
#define HOSPES_PERSONAS_VMWARE_SVGA_H

#include "board/pci.h"
#include "core/loop.h"

struct hub;

/* Puts the display on the bus, which owns it then. hub may be NULL: nobody looks. */
MUST int svga_create(const struct env *env, struct hub *hub, struct err *e);

/* --- between svga.c and svga_fifo.c --- */

#include "abi/svga.h"
#include "console/hub.h"

enum {
    SVGA_VRAM = 16 << 20,
    SVGA_FIFO_BYTES = 256 << 10,
    SVGA_MAX_WIDTH = 2560,
    SVGA_MAX_HEIGHT = 1600,
    SVGA_CURSOR_MAX = 64, /* pixels a side */
};

/* Plain data. */
struct svga_state {
    uint32_t index, id, enable, width, height, bpp, pitch, configured, guest;
    uint32_t cursor_x, cursor_y, cursor_on, displays;
    uint32_t hot_x, hot_y, cursor_w, cursor_h;
    uint32_t cursor[SVGA_CURSOR_MAX * SVGA_CURSOR_MAX]; /* ARGB, colours multiplied by alpha */
};

struct svga {
    struct pci_dev pci; /* first */
    struct hub *hub;
    struct screen screen;
    struct svga_state s;
    uint8_t *vram, *fifo; /* SVGA_VRAM and SVGA_FIFO_BYTES */
    uint32_t *shown;      /* the picture with its pointer, when there is one */
    size_t shown_pixels;
    bool lit; /* the hub has the screen; the loop's */
    struct task relight;
    struct task more; /* does what one look has left in the FIFO */
    uint64_t commands;
};

static inline uint32_t svga_fifo_word(const struct svga *v, enum svga_fifo at)
{
    return __atomic_load_n((const uint32_t *)(const void *)v->fifo + at, __ATOMIC_ACQUIRE);
}

static inline void svga_fifo_set(struct svga *v, enum svga_fifo at, uint32_t word)
{
    __atomic_store_n((uint32_t *)(void *)v->fifo + at, word, __ATOMIC_RELEASE);
}

/* Bytes from one line to the next. */
uint32_t svga_pitch(const struct svga *v);
/* Does what is in the FIFO, but no more at once than leaves others their turn. true: there is more,
 * which the loop goes on with. Under the device's lock. */
bool svga_fifo_run(struct svga *v);

#endif
