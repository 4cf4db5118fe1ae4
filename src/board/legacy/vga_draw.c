/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vga_draw.c - what the VGA shows: a frame buffer as it is, everything else drawn into a picture.
 *
 * IBM VGA technical reference for text, planar, CGA and 256-colour modes. Not modelled: pixel
 * panning, line compare, the underline, blinking (text blinks as bright background).
 */
#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"
#include "board/legacy/vga_priv.h"

enum { SIDE_MAX = 2048, FONT_HEIGHT = 32 };

/* --- colours --- */

static uint32_t dac_colour(const struct vga_state *s, unsigned i)
{
    const uint8_t *c = &s->dac[3 * (i & s->dac_mask)];
    unsigned up = s->dispi[VBE_DISPI_INDEX_ENABLE] & VBE_DISPI_8BIT_DAC ? 0 : 2;
    uint32_t out = 0;

    for (unsigned k = 0; k < 3; k++) {
        uint8_t v = up ? (uint8_t)((c[k] & 0x3f) << 2 | (c[k] & 0x3f) >> 4) : c[k];

        out = out << 8 | v;
    }
    return out;
}

/* Colour of a 4-bit pixel, by the attribute controller. */
static uint32_t attribute_colour(const struct vga_state *s, unsigned i)
{
    unsigned c = s->ar[i & 15] & 0x3f;

    if (s->ar[AR_MODE] & 0x80)
        c = (c & 0x0f) | (s->ar[AR_COLOUR] & 3u) << 4;
    return dac_colour(s, c | (s->ar[AR_COLOUR] & 0x0cu) << 4);
}

static void fill_palette(struct vga *v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        v->palette[i] = n == 16 ? attribute_colour(&v->s, i) : dac_colour(&v->s, i);
}

/* --- sizes --- */

static unsigned lines_of(const struct vga_state *s)
{
    unsigned n = s->crtc[CRTC_V_END];

    n |= (s->crtc[CRTC_OVERFLOW] & 0x02u) << 7 | (s->crtc[CRTC_OVERFLOW] & 0x40u) << 3;
    return n + 1;
}

static unsigned start_of(const struct vga_state *s)
{
    return (unsigned)s->crtc[CRTC_START_HIGH] << 8 | s->crtc[CRTC_START_LOW];
}

static bool picture(struct vga *v, unsigned width, unsigned height, struct surface *out)
{
    size_t n = (size_t)width * height;

    if (width == 0 || height == 0 || width > SIDE_MAX || height > SIDE_MAX)
        return false;
    if (n > v->shown_pixels) {
        uint32_t *more = realloc(v->shown, n * sizeof(*more));

        if (!more)
            return false;
        v->shown = more;
        v->shown_pixels = n;
    }
    *out = (struct surface){.pixels = (const uint8_t *)v->shown,
                            .size = n * sizeof(*v->shown),
                            .width = width,
                            .height = height,
                            .stride = width * 4,
                            .format = PIXEL_XRGB8888};
    return true;
}

/* --- text --- */

struct text {
    unsigned columns, rows, cell_w, cell_h, font[2];
    unsigned start, offset; /* cells */
    int cursor;             /* cell, -1: none */
};

static bool text_shape(const struct vga_state *s, struct text *t)
{
    unsigned f = s->seq[SEQ_FONTS];

    t->columns = s->crtc[CRTC_H_END] + 1u;
    t->cell_w = s->seq[SEQ_CLOCKING] & 1 ? 8 : 9;
    t->cell_h = (s->crtc[CRTC_ROW_SCAN] & 0x1f) + 1u;
    t->rows = lines_of(s) / t->cell_h;
    t->offset = s->crtc[CRTC_OFFSET] * 2u;
    t->start = start_of(s);
    /* Bits 5,3,2 and 4,1,0 number 8 KiB pieces, odd ones behind the even ones. */
    t->font[0] = (f >> 4 & 1) * 8192u + (f & 3u) * 16384u;
    t->font[1] = (f >> 5 & 1) * 8192u + (f >> 2 & 3u) * 16384u;
    t->cursor = s->crtc[CRTC_CURSOR_HIGH] << 8 | s->crtc[CRTC_CURSOR_LOW];
    if (s->crtc[CRTC_CURSOR_START] & 0x20)
        t->cursor = -1;
    return t->rows != 0;
}

static void text_cell(struct vga *v, const struct text *t, unsigned x, unsigned y)
{
    unsigned cell = (t->start + y * t->offset + x) & 0xffff, width = t->columns * t->cell_w;
    uint8_t c = v->vram[cell * 4], a = v->vram[cell * 4 + 1];
    uint32_t fore = v->palette[a & 15], back = v->palette[a >> 4];
    uint32_t *out = v->shown + (size_t)y * t->cell_h * width + (size_t)x * t->cell_w;
    unsigned font = t->font[a >> 3 & 1] + c * FONT_HEIGHT;
    unsigned from = v->s.crtc[CRTC_CURSOR_START] & 0x1f, to = v->s.crtc[CRTC_CURSOR_END] & 0x1f;

    for (unsigned row = 0; row < t->cell_h; row++, out += width) {
        unsigned bits = v->vram[((font + row) & 0xffff) * 4 + 2];

        /* The ninth dot repeats the eighth for line drawing characters. */
        bits = bits << 1 | ((c & 0xe0) == 0xc0 && (v->s.ar[AR_MODE] & 4) ? bits & 1 : 0);
        if ((int)cell == t->cursor && row >= from && row <= to)
            bits = 0x1ff;
        for (unsigned k = 0; k < t->cell_w; k++)
            out[k] = bits >> (8 - k) & 1 ? fore : back;
    }
}

static bool draw_text(struct vga *v, struct surface *out)
{
    struct text t;

    if (!text_shape(&v->s, &t) || !picture(v, t.columns * t.cell_w, t.rows * t.cell_h, out))
        return false;
    fill_palette(v, 16);
    for (unsigned y = 0; y < t.rows; y++) {
        for (unsigned x = 0; x < t.columns; x++)
            text_cell(v, &t, x, y);
    }
    return true;
}

static bool vga_blank(const struct vga_state *s)
{
    return !(s->ar_at & AR_SCREEN_ON) || (s->seq[SEQ_CLOCKING] & 0x20);
}

static bool vga_dispi_shows(const struct vga_state *s)
{
    return vga_dispi_on(s) && s->dispi[VBE_DISPI_INDEX_BPP] >= 8;
}

bool vga_text(struct screen *screen, struct screen_text *out)
{
    struct vga *v = container_of(screen, struct vga, screen);
    const struct vga_state *s = &v->s;
    struct text t;
    bool is;

    device_lock(&v->pci.dev);
    vga_window_fold(v);
    is = !vga_dispi_shows(s) && !vga_blank(s) && !(s->gr[GR_MISC] & 1) && text_shape(s, &t);
    if (is) {
        out->columns = (unsigned)min_u64(t.columns, SCREEN_TEXT_COLUMNS);
        out->rows = (unsigned)min_u64(t.rows, SCREEN_TEXT_ROWS);
        for (unsigned i = 0; i < out->columns * out->rows; i++) {
            unsigned cell = t.start + i / out->columns * t.offset + i % out->columns;

            out->cell[i] = v->vram[(cell & 0xffff) * 4];
        }
    }
    device_unlock(&v->pci.dev);
    return is;
}

/* --- graphics --- */

/* The offset of byte x in scan line y, as the CRTC counts. */
static unsigned line_byte(const struct vga_state *s, unsigned start, unsigned y, unsigned x)
{
    unsigned rows = (s->crtc[CRTC_ROW_SCAN] & 0x1f) + 1u, scan = y % rows;
    unsigned at = start + y / rows * s->crtc[CRTC_OFFSET] * 2u + x;

    if (!(s->crtc[CRTC_MODE] & 1))
        at = (at & ~0x2000u) | (scan & 1) << 13;
    if (!(s->crtc[CRTC_MODE] & 2))
        at = (at & ~0x4000u) | (scan >> 1 & 1) << 14;
    return at & 0xffff;
}

static void planar_line(struct vga *v, unsigned y, unsigned bytes, uint32_t *out)
{
    for (unsigned x = 0; x < bytes; x++) {
        const uint8_t *p = &v->vram[line_byte(&v->s, start_of(&v->s), y, x) * 4];

        for (unsigned k = 0; k < 8; k++) {
            unsigned c = (p[0] >> (7 - k) & 1u) | (p[1] >> (7 - k) & 1u) << 1 |
                         (p[2] >> (7 - k) & 1u) << 2 | (p[3] >> (7 - k) & 1u) << 3;

            *out++ = v->palette[c & v->s.ar[AR_PLANES] & 15];
        }
    }
}

/* CGA's four colours: a pixel is two bits, even bytes in plane 0, odd ones in plane 1. */
static void pairs_line(struct vga *v, unsigned y, unsigned bytes, uint32_t *out)
{
    for (unsigned x = 0; x < bytes; x++) {
        const uint8_t *p = &v->vram[line_byte(&v->s, start_of(&v->s), y, x) * 4];

        for (unsigned k = 0; k < 8; k++)
            *out++ = v->palette[p[k / 4] >> (6 - 2 * (k % 4)) & 3];
    }
}

static void bytes_line(struct vga *v, unsigned y, unsigned width, uint32_t *out)
{
    unsigned rows = (v->s.crtc[CRTC_ROW_SCAN] & 0x1f) + 1u;
    unsigned at = start_of(&v->s) * 4 + y / rows * v->s.crtc[CRTC_OFFSET] * 8u;

    for (unsigned x = 0; x < width; x++)
        out[x] = v->palette[v->vram[(at + x) & 0x3ffff]];
}

static bool draw_graphics(struct vga *v, struct surface *out)
{
    const struct vga_state *s = &v->s;
    unsigned shift = s->gr[GR_MODE] >> 5 & 3, bytes = s->crtc[CRTC_H_END] + 1u, lines = lines_of(s);
    unsigned twice = s->crtc[CRTC_ROW_SCAN] & 0x80 ? 2 : 1;
    unsigned width = bytes * (shift & 2 ? 4 : 8);

    if (vga_dispi_on(s)) { /* 4 bits by the display interface */
        bytes = s->dispi[VBE_DISPI_INDEX_XRES] / 8;
        lines = s->dispi[VBE_DISPI_INDEX_YRES];
        width = bytes * 8;
        twice = 1;
    }
    lines /= twice;
    if (!picture(v, width, lines, out))
        return false;
    fill_palette(v, shift & 2 ? 256 : 16);
    for (unsigned y = 0; y < lines; y++) {
        uint32_t *line = v->shown + (size_t)y * width;

        if (shift & 2)
            bytes_line(v, y, width, line);
        else if (shift == 1)
            pairs_line(v, y, bytes, line);
        else
            planar_line(v, y, bytes, line);
    }
    return true;
}

/* --- the frame buffer --- */

static bool frame_buffer(struct vga *v, struct surface *out)
{
    const uint16_t *d = v->s.dispi;
    unsigned bytes = (d[VBE_DISPI_INDEX_BPP] + 7u) / 8;
    uint64_t stride = (uint64_t)d[VBE_DISPI_INDEX_VIRT_WIDTH] * bytes;
    uint64_t at =
        d[VBE_DISPI_INDEX_Y_OFFSET] * stride + (uint64_t)d[VBE_DISPI_INDEX_X_OFFSET] * bytes;
    static const enum pixel_format format[] = {PIXEL_PAL8, PIXEL_RGB565, PIXEL_RGB888,
                                               PIXEL_XRGB8888};

    if (at >= VGA_MEMORY || bytes < 1 || bytes > 4)
        return false;
    *out = (struct surface){.pixels = v->vram + at,
                            .size = VGA_MEMORY - at,
                            .width = d[VBE_DISPI_INDEX_XRES],
                            .height = d[VBE_DISPI_INDEX_YRES],
                            .stride = (uint32_t)stride,
                            .format =
                                d[VBE_DISPI_INDEX_BPP] == 15 ? PIXEL_XRGB1555 : format[bytes - 1]};
    if (bytes == 1) {
        fill_palette(v, 256);
        out->palette = v->palette;
    }
    return true;
}

bool vga_surface(struct screen *screen, struct surface *out)
{
    struct vga *v = container_of(screen, struct vga, screen);
    const struct vga_state *s = &v->s;
    bool lit = false;

    device_lock(&v->pci.dev);
    vga_window_fold(v);
    if (vga_dispi_shows(s))
        lit = frame_buffer(v, out);
    else if (vga_blank(s))
        lit = false;
    else if (s->gr[GR_MISC] & 1)
        lit = draw_graphics(v, out);
    else
        lit = draw_text(v, out);
    device_unlock(&v->pci.dev);
    return lit;
}
