/* SPDX-License-Identifier: Apache-2.0 */
/*
 * svga.c - VMware's SVGA II display adapter, 2D.
 *
 * Document: VMware's public header svga_reg.h and what Linux's vmwgfx does with it. Modelled: one
 * screen of 32 or 16 bits a pixel, up to 2560 by 1600; the FIFO with updates, copies, fences and
 * pointers; pitch lock. Not modelled: 3D, guest memory regions, screen objects, several screens,
 * 8-bit modes, traces, video overlays, interrupts (guests poll fences), the VGA within the adapter:
 * text modes and firmware are the board's VGA's.
 *
 * Threads: registers on vCPU threads, pictures on the loop; one device lock.
 */
#include "personas/vmware/svga.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/pvscsi.h"
#include "core/err.h"
#include "core/loop.h"

enum { BAR_PORTS, BAR_VRAM, BAR_FIFO, PORTS = 16, FIRST_WIDTH = 1024, FIRST_HEIGHT = 768 };
enum {
    CAPABILITIES = SVGA_CAP_RECT_COPY | SVGA_CAP_CURSOR | SVGA_CAP_CURSOR_BYPASS_2 |
                   SVGA_CAP_ALPHA_CURSOR | SVGA_CAP_EXTENDED_FIFO | SVGA_CAP_PITCHLOCK,
    FIFO_CAPABILITIES =
        SVGA_FIFO_CAP_FENCE | SVGA_FIFO_CAP_PITCHLOCK | SVGA_FIFO_CAP_CURSOR_BYPASS_3,
};

static struct svga *of(struct device *d)
{
    return container_of(d, struct svga, pci.dev);
}

uint32_t svga_pitch(const struct svga *v)
{
    uint32_t locked = v->s.pitch ? v->s.pitch : svga_fifo_word(v, SVGA_FIFO_PITCHLOCK);

    return locked ? locked : v->s.width * (v->s.bpp / 8);
}

/* --- the picture --- */

static uint32_t blend(uint32_t under, uint32_t over)
{
    uint32_t alpha = 255 - (over >> 24), out = 0;

    for (unsigned shift = 0; shift < 24; shift += 8) {
        uint32_t c = (over >> shift & 0xff) + (under >> shift & 0xff) * alpha / 255;

        out |= (c < 255 ? c : 255) << shift;
    }
    return out;
}

/* The frame buffer's lines with the pointer over them. false: no memory, or nothing to put there.
 */
static bool with_pointer(struct svga *v, struct surface *out)
{
    bool bypass = svga_fifo_word(v, SVGA_FIFO_CURSOR_COUNT) != 0;
    uint32_t on = bypass ? svga_fifo_word(v, SVGA_FIFO_CURSOR_ON) : v->s.cursor_on;
    uint32_t x = (bypass ? svga_fifo_word(v, SVGA_FIFO_CURSOR_X) : v->s.cursor_x) - v->s.hot_x;
    uint32_t y = (bypass ? svga_fifo_word(v, SVGA_FIFO_CURSOR_Y) : v->s.cursor_y) - v->s.hot_y;
    size_t n = (size_t)out->width * out->height;

    if (!on || !v->s.cursor_w || out->format != PIXEL_XRGB8888 ||
        (uint64_t)out->stride * out->height > out->size || out->stride < out->width * 4)
        return false;
    if (n > v->shown_pixels) {
        free(v->shown);
        v->shown = malloc(n * 4);
        v->shown_pixels = v->shown ? n : 0;
    }
    if (!v->shown)
        return false;
    for (uint32_t i = 0; i < out->height; i++)
        memcpy(v->shown + (size_t)i * out->width, out->pixels + (size_t)i * out->stride,
               (size_t)out->width * 4);
    for (uint32_t i = 0; i < v->s.cursor_w * v->s.cursor_h; i++) {
        uint32_t px = x + i % v->s.cursor_w, py = y + i / v->s.cursor_w;

        if (px < out->width && py < out->height) {
            uint32_t *p = &v->shown[(size_t)py * out->width + px];

            *p = blend(*p, v->s.cursor[i]);
        }
    }
    out->pixels = (const uint8_t *)v->shown;
    out->stride = out->width * 4;
    out->size = n * 4;
    return true;
}

static bool svga_surface(struct screen *s, struct surface *out)
{
    struct svga *v = container_of(s, struct svga, screen);

    device_lock(&v->pci.dev);
    *out = (struct surface){
        .pixels = v->vram,
        .size = SVGA_VRAM,
        .width = v->s.width,
        .height = v->s.height,
        .stride = svga_pitch(v),
        .format = v->s.bpp == 32 ? PIXEL_XRGB8888 : PIXEL_RGB565,
    };
    (void)with_pointer(v, out);
    device_unlock(&v->pci.dev);
    return v->lit;
}

/* On the loop: brings the hub in line with what the guest switched. */
static void light(struct svga *v)
{
    bool on;

    device_lock(&v->pci.dev);
    on = v->s.enable & SVGA_REG_ENABLE_ENABLE && !(v->s.enable & SVGA_REG_ENABLE_HIDE);
    device_unlock(&v->pci.dev);
    if (on == v->lit)
        return;
    v->lit = on;
    if (on)
        hub_screen(v->hub, &v->screen);
    else
        hub_screen_gone(v->hub, &v->screen);
}

static void svga_relight(struct task *t)
{
    light(container_of(t, struct svga, relight));
}

static void svga_more(struct task *t)
{
    struct svga *v = container_of(t, struct svga, more);

    device_lock(&v->pci.dev);
    (void)svga_fifo_run(v);
    device_unlock(&v->pci.dev);
}

/* --- registers --- */

static uint32_t colour_mask(const struct svga *v, uint32_t reg)
{
    static const uint32_t deep[] = {0xff0000, 0xff00, 0xff}, high[] = {0xf800, 0x7e0, 0x1f};

    return (v->s.bpp == 32 ? deep : high)[reg - SVGA_REG_RED_MASK];
}

/* What the driver cannot change. */
static uint32_t fact(const struct svga *v, uint32_t reg)
{
    switch (reg) {
    case SVGA_REG_MAX_WIDTH:
        return SVGA_MAX_WIDTH;
    case SVGA_REG_MAX_HEIGHT:
        return SVGA_MAX_HEIGHT;
    case SVGA_REG_DEPTH:
        return v->s.bpp == 32 ? 24 : 16;
    case SVGA_REG_RED_MASK:
    case SVGA_REG_GREEN_MASK:
    case SVGA_REG_BLUE_MASK:
        return colour_mask(v, reg);
    case SVGA_REG_BYTES_PER_LINE:
        return svga_pitch(v);
    case SVGA_REG_FB_START:
        return (uint32_t)v->pci.bar[BAR_VRAM].addr;
    case SVGA_REG_VRAM_SIZE:
        return SVGA_VRAM;
    case SVGA_REG_FB_SIZE:
        return (uint32_t)min_u64((uint64_t)svga_pitch(v) * v->s.height, SVGA_VRAM);
    case SVGA_REG_CAPABILITIES:
        return CAPABILITIES;
    case SVGA_REG_MEM_START:
        return (uint32_t)v->pci.bar[BAR_FIFO].addr;
    case SVGA_REG_MEM_SIZE:
        return SVGA_FIFO_BYTES;
    case SVGA_REG_HOST_BITS_PER_PIXEL:
        return 32;
    case SVGA_REG_MEM_REGS:
        return SVGA_FIFO_NUM_REGS;
    case SVGA_REG_NUM_DISPLAYS:
        return 1;
    default:
        return 0;
    }
}

/* What it can; NULL: nothing. */
static uint32_t *setting(struct svga *v, uint32_t reg)
{
    switch (reg) {
    case SVGA_REG_ID:
        return &v->s.id;
    case SVGA_REG_ENABLE:
        return &v->s.enable;
    case SVGA_REG_WIDTH:
        return &v->s.width;
    case SVGA_REG_HEIGHT:
        return &v->s.height;
    case SVGA_REG_BITS_PER_PIXEL:
        return &v->s.bpp;
    case SVGA_REG_CONFIG_DONE:
        return &v->s.configured;
    case SVGA_REG_GUEST_ID:
        return &v->s.guest;
    case SVGA_REG_CURSOR_X:
        return &v->s.cursor_x;
    case SVGA_REG_CURSOR_Y:
        return &v->s.cursor_y;
    case SVGA_REG_CURSOR_ON:
        return &v->s.cursor_on;
    case SVGA_REG_PITCHLOCK:
        return &v->s.pitch;
    case SVGA_REG_NUM_GUEST_DISPLAYS:
        return &v->s.displays;
    default:
        return NULL;
    }
}

static bool acceptable(const struct svga *v, uint32_t reg, uint32_t value)
{
    switch (reg) {
    case SVGA_REG_ID:
        return value >= SVGA_ID_0 && value <= SVGA_ID_2;
    case SVGA_REG_WIDTH:
        return value && value <= SVGA_MAX_WIDTH;
    case SVGA_REG_HEIGHT:
        return value && value <= SVGA_MAX_HEIGHT;
    case SVGA_REG_BITS_PER_PIXEL:
        return value == 32 || value == 16;
    case SVGA_REG_PITCHLOCK:
        return value <= SVGA_VRAM / SVGA_MAX_HEIGHT;
    default:
        (void)v;
        return true;
    }
}

static void reg_write(struct svga *v, uint32_t reg, uint32_t value)
{
    uint32_t *at = setting(v, reg);

    if (reg == SVGA_REG_SYNC) {
        (void)svga_fifo_run(v);
        return;
    }
    if (!at || !acceptable(v, reg, value))
        return;
    *at = value;
    if (reg == SVGA_REG_CONFIG_DONE && value)
        svga_fifo_set(v, SVGA_FIFO_CAPABILITIES, FIFO_CAPABILITIES);
    if (reg == SVGA_REG_ENABLE)
        loop_ask(v->pci.dev.env.loop, &v->relight);
}

static uint32_t reg_read(struct svga *v, uint32_t reg)
{
    uint32_t *at = setting(v, reg);

    if (reg == SVGA_REG_BUSY)
        return svga_fifo_run(v);
    return at ? *at : fact(v, reg);
}

static void svga_io(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
                    uint64_t *val)
{
    struct svga *v = of(d);

    if (region != BAR_PORTS || size != 4)
        return;
    if (off == SVGA_INDEX_PORT && dir == ACC_WRITE)
        v->s.index = (uint32_t)*val;
    else if (off == SVGA_INDEX_PORT)
        *val = v->s.index;
    else if (off == SVGA_VALUE_PORT && dir == ACC_WRITE)
        reg_write(v, v->s.index, (uint32_t)*val);
    else if (off == SVGA_VALUE_PORT)
        *val = reg_read(v, v->s.index);
}

/* --- life --- */

static void svga_reset(struct device *d)
{
    struct svga *v = of(d);

    device_lock(d);
    memset(&v->s, 0, sizeof(v->s));
    v->s.id = SVGA_ID_2;
    v->s.bpp = 32;
    v->s.width = FIRST_WIDTH;
    v->s.height = FIRST_HEIGHT;
    v->s.displays = 1;
    memset(v->vram, 0, SVGA_VRAM);
    memset(v->fifo, 0, SVGA_FIFO_BYTES);
    svga_fifo_set(v, SVGA_FIFO_CAPABILITIES, FIFO_CAPABILITIES);
    device_unlock(d);
    light(v);
}

static void svga_destroy(struct device *d)
{
    struct svga *v = of(d);

    loop_forget(d->env.loop, &v->relight);
    loop_forget(d->env.loop, &v->more);
    if (v->lit)
        hub_screen_gone(v->hub, &v->screen);
    if (v->vram)
        munmap(v->vram, SVGA_VRAM);
    if (v->fifo)
        munmap(v->fifo, SVGA_FIFO_BYTES);
    free(v->shown);
    pthread_mutex_destroy(&d->lock);
    free(v);
}

static void svga_describe(struct device *d, struct dump *out)
{
    struct svga *v = of(d);

    if (v->s.enable & SVGA_REG_ENABLE_ENABLE)
        dump_add(out, "mode", "%ux%u, %u bits", v->s.width, v->s.height, v->s.bpp);
    else
        dump_add(out, "mode", "off");
    dump_add(out, "commands", "%llu", (unsigned long long)v->commands);
}

static const struct device_ops svga_ops = {
    .name = "svga",
    .destroy = svga_destroy,
    .reset = svga_reset,
    .io = svga_io,
    .describe = svga_describe,
};

static uint8_t *pages(size_t n)
{
    void *p =
        mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    return p;
}

int svga_create(const struct env *env, struct hub *hub, struct err *e)
{
    static const struct pci_id id = {PCI_VENDOR_ID_VMWARE, PCI_DEVICE_ID_VMWARE_SVGA2,
                                     PCI_VENDOR_ID_VMWARE, PCI_DEVICE_ID_VMWARE_SVGA2, 0x03000000};
    struct svga *v = calloc(1, sizeof(*v));
    int rc = 0;

    if (!v)
        return err_set(e, ENOMEM, "no memory for SVGA II");
    pci_init(&v->pci, &svga_ops, env, &id);
    v->pci.dev.env.id = "svga";
    v->pci.config[PCI_INTERRUPT_PIN] = 0;
    v->hub = hub;
    v->relight.run = svga_relight;
    v->more.run = svga_more;
    v->screen = (struct screen){.name = "svga", .surface = svga_surface};
    v->vram = pages(SVGA_VRAM);
    v->fifo = pages(SVGA_FIFO_BYTES);
    if (!v->vram || !v->fifo)
        rc = err_set(e, ENOMEM, "no memory for SVGA II");
    v->pci.bar[BAR_PORTS] = (struct pci_bar){.kind = PCI_BAR_IO, .size = PORTS};
    v->pci.bar[BAR_VRAM] =
        (struct pci_bar){.kind = PCI_BAR_MEM32_PREF, .size = SVGA_VRAM, .ram = v->vram};
    v->pci.bar[BAR_FIFO] =
        (struct pci_bar){.kind = PCI_BAR_MEM32, .size = SVGA_FIFO_BYTES, .ram = v->fifo};
    if (rc == 0)
        rc = pci_add(env->pci, &v->pci, -1, e);
    if (rc < 0) {
        pci_remove(&v->pci);
        svga_destroy(&v->pci.dev);
        return rc;
    }
    svga_reset(&v->pci.dev);
    return 0;
}
