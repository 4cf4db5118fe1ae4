/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vga_mem.c - the window at 0xa0000 and the four planes behind it.
 *
 * An access goes through latches, masks and logic of the graphics controller, one exit each. What
 * guests do in bulk needs none of that and is mapped as memory instead: characters in text modes,
 * a plane alone (fonts), chained bytes, banks of a frame buffer. For the first two guest and frame
 * buffer differ in layout: the guest has a copy, which is folded back when the mode changes or
 * somebody looks.
 */
#include <string.h>

#include "board/legacy/vga_priv.h"
#include "core/err.h"
#include "core/gmem.h"

/* --- which window --- */

static void window_place(const struct vga_state *s, gpa_t *base, uint32_t *size)
{
    static const struct {
        uint32_t base, size;
    } map[4] = {{0xa0000, 0x20000}, {0xa0000, 0x10000}, {0xb0000, 0x8000}, {0xb8000, 0x8000}};
    unsigned k = s->gr[GR_MISC] >> 2 & 3;

    *base = map[k].base;
    *size = map[k].size;
}

/* Bytes go to memory as they come. */
static bool plain(const struct vga_state *s)
{
    return (s->gr[GR_MODE] & 0x0b) == 0 && s->gr[GR_ROTATE] == 0 &&
           (s->gr[GR_ENABLE_SET_RESET] & 0x0f) == 0 && s->gr[GR_MASK] == 0xff;
}

static struct vga_window window_want(const struct vga_state *s)
{
    struct vga_window w = {.kind = WINDOW_EXITS};
    uint8_t planes = s->seq[SEQ_PLANES] & 0x0f, memory = s->seq[SEQ_MEMORY];

    window_place(s, &w.base, &w.size);
    if (vga_dispi_on(s) && s->dispi[VBE_DISPI_INDEX_BPP] >= 8) {
        w.kind = WINDOW_LINEAR;
        w.base = VGA_WINDOW;
        w.size = VGA_DIRECT_MAX;
        w.offset = (uint32_t)s->dispi[VBE_DISPI_INDEX_BANK] << 16;
        return w;
    }
    if (!(s->misc & 2) || !plain(s) || w.size > VGA_DIRECT_MAX)
        return w;
    if (memory & 8) { /* chain 4 */
        w.kind = planes == 0x0f ? WINDOW_LINEAR : WINDOW_EXITS;
    } else if (!(memory & 4)) { /* odd and even */
        if ((planes & 3) == 3 && (s->gr[GR_READ_PLANE] & 3) == 0)
            w.kind = WINDOW_TEXT;
    } else if (is_pow2(planes) && planes == 1u << (s->gr[GR_READ_PLANE] & 3)) {
        w.kind = WINDOW_PLANE;
        w.offset = s->gr[GR_READ_PLANE] & 3;
    }
    return w;
}

/* --- copies --- */

static uint8_t *behind(struct vga *v, uint32_t i)
{
    return v->window.kind == WINDOW_TEXT ? &v->vram[(i >> 1) * 4 + (i & 1)]
                                         : &v->vram[i * 4 + v->window.offset];
}

void vga_window_fold(struct vga *v)
{
    if (v->window.kind == WINDOW_TEXT || v->window.kind == WINDOW_PLANE) {
        for (uint32_t i = 0; i < v->window.size; i++)
            *behind(v, i) = v->copy[i];
    }
}

static void window_unfold(struct vga *v)
{
    if (v->window.kind == WINDOW_TEXT || v->window.kind == WINDOW_PLANE) {
        for (uint32_t i = 0; i < v->window.size; i++)
            v->copy[i] = *behind(v, i);
    }
}

/* --- mapping --- */

void vga_window_close(struct vga *v)
{
    if (v->window.kind == WINDOW_EXITS)
        return;
    gmem_remove(v->pci.dev.env.mem, v->window.base);
    vga_window_fold(v);
    v->window.kind = WINDOW_EXITS;
}

static bool same(const struct vga_window *a, const struct vga_window *b)
{
    return a->kind == b->kind &&
           (a->kind == WINDOW_EXITS ||
            (a->base == b->base && a->size == b->size && a->offset == b->offset));
}

void vga_window_update(struct vga *v)
{
    struct vga_window w = window_want(&v->s);
    struct err ignored;
    uint8_t *host;

    if (same(&w, &v->window))
        return;
    vga_window_close(v);
    if (w.kind == WINDOW_EXITS || (w.kind == WINDOW_LINEAR && w.offset > VGA_MEMORY - w.size))
        return;
    v->window = w;
    window_unfold(v);
    host = w.kind == WINDOW_LINEAR ? v->vram + w.offset : v->copy;
    if (gmem_add(v->pci.dev.env.mem, w.base, w.size, host, GMEM_DEVICE, &ignored) < 0)
        v->window.kind = WINDOW_EXITS; /* exits serve it as well */
}

/* --- one by one --- */

static uint8_t rotate(uint8_t v, unsigned n)
{
    return (uint8_t)(v >> n | v << (8 - n));
}

static uint8_t logic(unsigned how, uint8_t v, uint8_t latch)
{
    switch (how) {
    case 1:
        return v & latch;
    case 2:
        return v | latch;
    case 3:
        return v ^ latch;
    default:
        return v;
    }
}

/* What plane p gets for the byte v. */
static uint8_t plane_value(const struct vga_state *s, unsigned p, uint8_t v)
{
    uint8_t mask = s->gr[GR_MASK], latch = s->latch[p], out;
    uint8_t turned = rotate(v, s->gr[GR_ROTATE] & 7);
    uint8_t full = s->gr[GR_SET_RESET] >> p & 1 ? 0xff : 0;

    switch (s->gr[GR_MODE] & 3) {
    case 1:
        return latch;
    case 2:
        out = v >> p & 1 ? 0xff : 0;
        break;
    case 3:
        mask &= turned;
        return (uint8_t)((full & mask) | (latch & ~mask));
    default:
        out = s->gr[GR_ENABLE_SET_RESET] >> p & 1 ? full : turned;
    }
    out = logic(s->gr[GR_ROTATE] >> 3 & 3, out, latch);
    return (uint8_t)((out & mask) | (latch & ~mask));
}

static void write_byte(struct vga *v, uint32_t at, uint8_t val)
{
    struct vga_state *s = &v->s;
    uint8_t planes = s->seq[SEQ_PLANES];

    if (s->seq[SEQ_MEMORY] & 8) {
        if (planes >> (at & 3) & 1)
            v->vram[at] = val;
    } else if (!(s->seq[SEQ_MEMORY] & 4)) {
        unsigned p = (s->gr[GR_READ_PLANE] & 2) | (at & 1);

        if (planes >> p & 1)
            v->vram[(at >> 1) * 4 + p] = val;
    } else {
        for (unsigned p = 0; p < 4; p++) {
            if (planes >> p & 1)
                v->vram[at * 4 + p] = plane_value(s, p, val);
        }
    }
}

static uint8_t read_byte(struct vga *v, uint32_t at)
{
    struct vga_state *s = &v->s;
    uint8_t differs = 0;

    if (s->seq[SEQ_MEMORY] & 8) {
        memcpy(s->latch, &v->vram[at & ~3u], 4);
        return v->vram[at];
    }
    if (!(s->seq[SEQ_MEMORY] & 4)) {
        memcpy(s->latch, &v->vram[(at >> 1) * 4], 4);
        return v->vram[(at >> 1) * 4 + ((s->gr[GR_READ_PLANE] & 2) | (at & 1))];
    }
    memcpy(s->latch, &v->vram[at * 4], 4);
    if (!(s->gr[GR_MODE] & 8))
        return s->latch[s->gr[GR_READ_PLANE] & 3];
    for (unsigned p = 0; p < 4; p++) {
        uint8_t want = s->gr[GR_COMPARE] >> p & 1 ? 0xff : 0;

        if (s->gr[GR_DONT_CARE] >> p & 1)
            differs |= s->latch[p] ^ want;
    }
    return (uint8_t)~differs;
}

void vga_mem_io(struct vga *v, uint32_t at, unsigned size, enum access dir, uint64_t *val)
{
    gpa_t base;
    uint32_t len;
    uint64_t all = 0;

    window_place(&v->s, &base, &len);
    for (unsigned i = 0; i < size; i++) {
        uint64_t off = VGA_WINDOW + (uint64_t)at + i - base;
        uint8_t b = 0xff;

        if ((v->s.misc & 2) && off < len) {
            if (dir == ACC_WRITE)
                write_byte(v, (uint32_t)off, (uint8_t)(*val >> (8 * i)));
            else
                b = read_byte(v, (uint32_t)off);
        }
        all |= (uint64_t)b << (8 * i);
    }
    if (dir == ACC_READ)
        *val = all;
}
