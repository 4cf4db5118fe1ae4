/* SPDX-License-Identifier: Apache-2.0 */
/* vga_priv.h - what the vga*.c files share; everything under the device's lock. */
#ifndef HOSPES_BOARD_LEGACY_VGA_PRIV_H
#define HOSPES_BOARD_LEGACY_VGA_PRIV_H

#include "board/legacy/vga.h"
#include "board/pci.h"
#include "console/hub.h"

enum {
    VGA_MEMORY = 16 << 20,
    VGA_WINDOW = 0xa0000, /* 128 KiB of guest memory lead here */
    VGA_WINDOW_SIZE = 0x20000,
    VGA_DIRECT_MAX = 0x10000, /* bytes of a window that is mapped as memory */
    VGA_FONT = 256 * 16,      /* bytes of a font of 8 by 16 dots */
    VGA_TEXT_CELLS = 0x4000,  /* of the window of colour text */
};

/* Bochs' display interface: registers by number. */
enum dispi_register {
    VBE_DISPI_INDEX_ID,
    VBE_DISPI_INDEX_XRES,
    VBE_DISPI_INDEX_YRES,
    VBE_DISPI_INDEX_BPP,
    VBE_DISPI_INDEX_ENABLE,
    VBE_DISPI_INDEX_BANK,
    VBE_DISPI_INDEX_VIRT_WIDTH,
    VBE_DISPI_INDEX_VIRT_HEIGHT,
    VBE_DISPI_INDEX_X_OFFSET,
    VBE_DISPI_INDEX_Y_OFFSET,
    VBE_DISPI_INDEX_VIDEO_MEMORY_64K,
    VBE_DISPI_REGISTERS,
};
enum {
    VBE_DISPI_ENABLED = 0x01,
    VBE_DISPI_GETCAPS = 0x02,
    VBE_DISPI_8BIT_DAC = 0x20,
    VBE_DISPI_NOCLEARMEM = 0x80,
    VBE_DISPI_ID5 = 0xb0c5,
    VBE_DISPI_MAX_XRES = 4096,
    VBE_DISPI_MAX_YRES = 2160,
};

/* Register numbers that mean something here; IBM's VGA technical reference. */
enum {
    SEQ_CLOCKING = 1,
    SEQ_PLANES = 2,
    SEQ_FONTS = 3,
    SEQ_MEMORY = 4,
    SEQ_COUNT = 5,
    CRTC_H_END = 0x01,
    CRTC_OVERFLOW = 0x07,
    CRTC_ROW_SCAN = 0x09,
    CRTC_CURSOR_START = 0x0a,
    CRTC_CURSOR_END = 0x0b,
    CRTC_START_HIGH = 0x0c,
    CRTC_START_LOW = 0x0d,
    CRTC_CURSOR_HIGH = 0x0e,
    CRTC_CURSOR_LOW = 0x0f,
    CRTC_RETRACE_END = 0x11, /* bit 7 protects 0 to 7 */
    CRTC_V_END = 0x12,
    CRTC_OFFSET = 0x13,
    CRTC_MODE = 0x17,
    CRTC_COMPARE = 0x18,
    CRTC_COUNT = 0x19,
    GR_SET_RESET = 0,
    GR_ENABLE_SET_RESET = 1,
    GR_COMPARE = 2,
    GR_ROTATE = 3,
    GR_READ_PLANE = 4,
    GR_MODE = 5,
    GR_MISC = 6,
    GR_DONT_CARE = 7,
    GR_MASK = 8,
    GR_COUNT = 9,
    AR_MODE = 0x10,
    AR_PLANES = 0x12,
    AR_COLOUR = 0x14,
    AR_COUNT = 0x15,
    AR_SCREEN_ON = 0x20,
};

/* Plain data. */
struct vga_state {
    uint8_t misc, feature;
    uint8_t seq_at, seq[8];
    uint8_t crtc_at, crtc[32];
    uint8_t gr_at, gr[16];
    uint8_t ar_at, ar[32];
    bool ar_data; /* the next write to 0x3c0 is data */
    uint8_t st01;
    uint8_t dac_mask, dac_read, dac_write, dac_third, dac_mode;
    uint8_t dac[256 * 3];
    uint8_t latch[4];
    uint16_t dispi_at, dispi[VBE_DISPI_REGISTERS];
};

/* How accesses to the window at 0xa0000 are served. */
enum vga_window_kind {
    WINDOW_EXITS,  /* one by one, by vga_mem.c */
    WINDOW_LINEAR, /* a piece of the frame buffer */
    WINDOW_TEXT,   /* odd and even bytes are planes 1 and 0: a copy, folded back when needed */
    WINDOW_PLANE,  /* one plane: likewise */
};
struct vga_window {
    enum vga_window_kind kind;
    gpa_t base;
    uint32_t size, offset; /* offset: of the frame buffer, or the plane */
};

struct vga {
    struct pci_dev pci; /* first */
    struct hub *hub;
    struct screen screen;
    struct vga_state s;
    uint8_t *vram;            /* VGA_MEMORY bytes; planes side by side: offset * 4 + plane */
    uint8_t *copy;            /* VGA_DIRECT_MAX bytes, for WINDOW_TEXT and WINDOW_PLANE */
    uint8_t *rom;             /* NULL: none */
    uint8_t *font;            /* VGA_FONT bytes, NULL: none */
    bool text;                /* starts in text mode */
    struct vga_window window; /* as it is mapped now */
    uint32_t *shown;          /* the picture of modes that are no frame buffer */
    size_t shown_pixels;
    uint32_t palette[256];
};

/* vga_mem.c: planes and windows. */
void vga_window_update(struct vga *v); /* after registers changed */
void vga_window_close(struct vga *v);
void vga_window_fold(struct vga *v); /* what the guest wrote into a copy goes to vram */
void vga_mem_io(struct vga *v, uint32_t at, unsigned size, enum access dir, uint64_t *val);

/* vga_bios.c: what is called for VGA_ROM and VGA_TEXT, and the text mode that a reset leaves. */
MUST int vga_bios_rom(struct vga *v, struct err *e);
MUST int vga_bios_text(struct vga *v, struct err *e);
void vga_bios_leave(struct vga *v);

/* Pages of zeroes; NULL: no memory. */
void *vga_pages(size_t n);

/* vga_draw.c */
bool vga_surface(struct screen *s, struct surface *out);
bool vga_text(struct screen *s, struct screen_text *out);

static inline bool vga_dispi_on(const struct vga_state *s)
{
    return s->dispi[VBE_DISPI_INDEX_ENABLE] & VBE_DISPI_ENABLED;
}

#endif
