/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vga.c - a VGA with the display interface of Bochs, as its BIOS and the drivers of Linux (bochs),
 * the BSDs and Windows' VBE path know it.
 *
 * Documents: IBM VGA technical reference; QEMU docs/specs/standard-vga. Ports 0x3b4-0x3df and
 * 0x1ce-0x1d1, the window at 0xa0000 (vga_mem.c), BAR 0 frame buffer, BAR 2 the same registers in
 * memory, expansion ROM. Not modelled: timing (every look at the retrace sees it change), EDID,
 * pixel panning, the feature connector.
 *
 * Threads: io() on vCPU threads; the picture is taken on the loop.
 */
#include "board/legacy/vga.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "board/bus.h"
#include "board/legacy/vga_priv.h"
#include "core/err.h"

enum { VGA_DEVFN = 2 << 3 };
/* Regions beyond the BARs. A range of ports has REGION_PORTS and its distance from 0x3b0. */
enum { REGION_WINDOW = 16, REGION_DISPI, REGION_PORTS };
enum { BAR_FRAME = 0, BAR_REGISTERS = 2, REGISTERS_VGA = 0x400, REGISTERS_DISPI = 0x500 };
enum { REGISTERS_QEXT = 0x600, PORT_BASE = 0x3b0 };

/* --- the display interface --- */

static uint16_t dispi_read(const struct vga *v, unsigned i)
{
    const struct vga_state *s = &v->s;

    if (i >= VBE_DISPI_REGISTERS)
        return 0;
    if (i == VBE_DISPI_INDEX_VIDEO_MEMORY_64K)
        return VGA_MEMORY >> 16;
    if (s->dispi[VBE_DISPI_INDEX_ENABLE] & VBE_DISPI_GETCAPS) {
        if (i == VBE_DISPI_INDEX_XRES)
            return VBE_DISPI_MAX_XRES;
        if (i == VBE_DISPI_INDEX_YRES)
            return VBE_DISPI_MAX_YRES;
        if (i == VBE_DISPI_INDEX_BPP)
            return 32;
    }
    return s->dispi[i];
}

/* Sizes that fit together, whatever was written. */
static void dispi_fit(struct vga_state *s)
{
    uint16_t *d = s->dispi;
    uint64_t line;

    if (d[VBE_DISPI_INDEX_BPP] == 0)
        d[VBE_DISPI_INDEX_BPP] = 8;
    d[VBE_DISPI_INDEX_XRES] &= (uint16_t)~7u;
    d[VBE_DISPI_INDEX_XRES] =
        (uint16_t)min_u64(max_u64(d[VBE_DISPI_INDEX_XRES], 8), VBE_DISPI_MAX_XRES);
    d[VBE_DISPI_INDEX_VIRT_WIDTH] =
        (uint16_t)max_u64(d[VBE_DISPI_INDEX_VIRT_WIDTH], d[VBE_DISPI_INDEX_XRES]);
    line = max_u64(d[VBE_DISPI_INDEX_VIRT_WIDTH] * ((d[VBE_DISPI_INDEX_BPP] + 7u) / 8), 1);
    d[VBE_DISPI_INDEX_YRES] =
        (uint16_t)min_u64(max_u64(d[VBE_DISPI_INDEX_YRES], 1), VGA_MEMORY / line);
    d[VBE_DISPI_INDEX_VIRT_HEIGHT] = (uint16_t)min_u64(VGA_MEMORY / line, UINT16_MAX);
}

static void dispi_enable(struct vga *v, uint16_t val)
{
    struct vga_state *s = &v->s;
    bool was = vga_dispi_on(s);

    s->dispi[VBE_DISPI_INDEX_ENABLE] = val;
    if (!vga_dispi_on(s) || was)
        return;
    s->dispi[VBE_DISPI_INDEX_VIRT_WIDTH] = s->dispi[VBE_DISPI_INDEX_XRES];
    s->dispi[VBE_DISPI_INDEX_X_OFFSET] = s->dispi[VBE_DISPI_INDEX_Y_OFFSET] = 0;
    s->dispi[VBE_DISPI_INDEX_BANK] = 0;
    dispi_fit(s);
    vga_window_close(v);
    if (!(val & VBE_DISPI_NOCLEARMEM))
        memset(v->vram, 0,
               (size_t)s->dispi[VBE_DISPI_INDEX_YRES] * s->dispi[VBE_DISPI_INDEX_VIRT_WIDTH] *
                   ((s->dispi[VBE_DISPI_INDEX_BPP] + 7u) / 8));
}

static void dispi_write(struct vga *v, unsigned i, uint16_t val)
{
    struct vga_state *s = &v->s;

    switch (i) {
    case VBE_DISPI_INDEX_ID:
        if (val >= 0xb0c0 && val <= VBE_DISPI_ID5)
            s->dispi[i] = val;
        break;
    case VBE_DISPI_INDEX_BPP:
        if (val == 0 || val == 4 || val == 8 || val == 15 || val == 16 || val == 24 || val == 32)
            s->dispi[i] = val;
        break;
    case VBE_DISPI_INDEX_ENABLE:
        dispi_enable(v, val);
        break;
    case VBE_DISPI_INDEX_BANK:
        if (val < VGA_MEMORY >> 16)
            s->dispi[i] = val;
        break;
    case VBE_DISPI_INDEX_XRES:
    case VBE_DISPI_INDEX_YRES:
    case VBE_DISPI_INDEX_VIRT_WIDTH:
    case VBE_DISPI_INDEX_X_OFFSET:
    case VBE_DISPI_INDEX_Y_OFFSET:
        s->dispi[i] = val;
        if (vga_dispi_on(s))
            dispi_fit(s);
        break;
    default:
        break;
    }
    vga_window_update(v);
}

/* --- VGA registers; port is 0x3b0 to 0x3df --- */

static void dac_write(struct vga_state *s, uint8_t val)
{
    s->dac[s->dac_write * 3 + s->dac_third] = val;
    if (++s->dac_third == 3) {
        s->dac_third = 0;
        s->dac_write++;
    }
}

static uint8_t dac_read(struct vga_state *s)
{
    uint8_t v = s->dac[s->dac_read * 3 + s->dac_third];

    if (++s->dac_third == 3) {
        s->dac_third = 0;
        s->dac_read++;
    }
    return v;
}

static void attribute_write(struct vga_state *s, uint8_t val)
{
    if (!s->ar_data)
        s->ar_at = val & 0x3f;
    else if ((s->ar_at & 0x1f) < AR_COUNT)
        s->ar[s->ar_at & 0x1f] = val;
    s->ar_data = !s->ar_data;
}

static void crtc_write(struct vga_state *s, uint8_t val)
{
    if (s->crtc_at >= CRTC_COUNT)
        return;
    if ((s->crtc[CRTC_RETRACE_END] & 0x80) && s->crtc_at <= CRTC_OVERFLOW) {
        if (s->crtc_at == CRTC_OVERFLOW) /* of these, line compare's bit stays free */
            s->crtc[CRTC_OVERFLOW] = (uint8_t)((s->crtc[CRTC_OVERFLOW] & ~0x10) | (val & 0x10));
        return;
    }
    s->crtc[s->crtc_at] = val;
}

/* Mono and colour ports answer as the miscellaneous register says. */
static bool elsewhere(const struct vga_state *s, unsigned port)
{
    return (port < 0x3c0 && (s->misc & 1)) || (port >= 0x3d0 && !(s->misc & 1));
}

static void port_write(struct vga *v, unsigned port, uint8_t val)
{
    struct vga_state *s = &v->s;

    switch (port) {
    case 0x3c0:
        attribute_write(s, val);
        return;
    case 0x3c2:
        s->misc = val;
        break;
    case 0x3c4:
        s->seq_at = val & 7;
        return;
    case 0x3c5:
        s->seq[s->seq_at] = val;
        break;
    case 0x3c6:
        s->dac_mask = val;
        return;
    case 0x3c7:
        s->dac_read = val;
        s->dac_third = 0;
        s->dac_mode = 3;
        return;
    case 0x3c8:
        s->dac_write = val;
        s->dac_third = 0;
        s->dac_mode = 0;
        return;
    case 0x3c9:
        dac_write(s, val);
        return;
    case 0x3ce:
        s->gr_at = val & 15;
        return;
    case 0x3cf:
        s->gr[s->gr_at] = val;
        break;
    case 0x3b4:
    case 0x3d4:
        s->crtc_at = val & 0x1f;
        return;
    case 0x3b5:
    case 0x3d5:
        crtc_write(s, val);
        return;
    case 0x3ba:
    case 0x3da:
        s->feature = val & 0x10;
        return;
    default:
        return;
    }
    vga_window_update(v);
}

static uint8_t port_read(struct vga *v, unsigned port)
{
    struct vga_state *s = &v->s;

    switch (port) {
    case 0x3c0:
        return s->ar_data ? 0 : s->ar_at;
    case 0x3c1:
        return (s->ar_at & 0x1f) < AR_COUNT ? s->ar[s->ar_at & 0x1f] : 0;
    case 0x3c4:
        return s->seq_at;
    case 0x3c5:
        return s->seq[s->seq_at];
    case 0x3c6:
        return s->dac_mask;
    case 0x3c7:
        return s->dac_mode;
    case 0x3c8:
        return s->dac_write;
    case 0x3c9:
        return dac_read(s);
    case 0x3ca:
        return s->feature;
    case 0x3cc:
        return s->misc;
    case 0x3ce:
        return s->gr_at;
    case 0x3cf:
        return s->gr[s->gr_at];
    case 0x3b4:
    case 0x3d4:
        return s->crtc_at;
    case 0x3b5:
    case 0x3d5:
        return s->crtc[s->crtc_at];
    case 0x3ba:
    case 0x3da:
        s->ar_data = false;
        s->st01 ^= 0x09; /* display and vertical retrace: whoever waits sees both soon */
        return s->st01;
    default:
        return 0;
    }
}

static void ports_io(struct vga *v, unsigned port, unsigned size, enum access dir, uint64_t *val)
{
    uint64_t all = 0;

    for (unsigned i = 0; i < size; i++, port++) {
        if (dir == ACC_WRITE && !elsewhere(&v->s, port))
            port_write(v, port, (uint8_t)(*val >> (8 * i)));
        else if (dir == ACC_READ)
            all |= (uint64_t)(elsewhere(&v->s, port) ? 0xff : port_read(v, port)) << (8 * i);
    }
    if (dir == ACC_READ)
        *val = all;
}

/* --- accesses --- */

/* Data at 0x1cf for those who count ports, at 0x1d0 for those who align. */
static void dispi_io(struct vga *v, unsigned off, enum access dir, uint64_t *val)
{
    if (off == 0 && dir == ACC_READ)
        *val = v->s.dispi_at;
    else if (off == 0)
        v->s.dispi_at = (uint16_t)*val;
    else if (off > 2)
        *val = UINT64_MAX;
    else if (dir == ACC_READ)
        *val = dispi_read(v, v->s.dispi_at);
    else
        dispi_write(v, v->s.dispi_at, (uint16_t)*val);
}

static void registers_io(struct vga *v, unsigned off, unsigned size, enum access dir, uint64_t *val)
{
    unsigned dispi = (off - REGISTERS_DISPI) / 2;

    if (off >= REGISTERS_VGA && off + size <= REGISTERS_VGA + 0x20)
        ports_io(v, off - REGISTERS_VGA + 0x3c0, size, dir, val);
    else if (off >= REGISTERS_DISPI && dispi < VBE_DISPI_REGISTERS && !(off & 1) && size == 2) {
        if (dir == ACC_READ)
            *val = dispi_read(v, dispi);
        else
            dispi_write(v, dispi, (uint16_t)*val);
    } else if (dir == ACC_READ) {
        /* The size of what follows, and little-endian pixels. */
        *val = off == REGISTERS_QEXT ? 8 : off == REGISTERS_QEXT + 4 ? 0x1e1e1e1e : 0;
    }
}

static void vga_io(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
                   uint64_t *val)
{
    struct vga *v = (struct vga *)d;

    switch (region) {
    case REGION_WINDOW:
        vga_mem_io(v, (uint32_t)off, size, dir, val);
        break;
    case REGION_DISPI:
        dispi_io(v, (unsigned)off, dir, val);
        break;
    case BAR_REGISTERS:
        registers_io(v, (unsigned)off, size, dir, val);
        break;
    default:
        ports_io(v, (unsigned)off + region - REGION_PORTS + PORT_BASE, size, dir, val);
    }
}

/* --- life --- */

static void vga_reset(struct device *d)
{
    struct vga *v = (struct vga *)d;

    vga_window_close(v);
    v->s = (struct vga_state){.misc = 1, .dac_mask = 0xff};
    v->s.dispi[VBE_DISPI_INDEX_ID] = VBE_DISPI_ID5;
    (void)madvise(v->vram, VGA_MEMORY, MADV_DONTNEED); /* zeroes from here on */
    if (v->text)
        vga_bios_leave(v);
    vga_window_update(v);
}

static const struct {
    uint16_t port, len;
} port_range[] = {{0x3b4, 2}, {0x3ba, 1}, {0x3c0, 16}, {0x3d4, 2}, {0x3da, 1}};

static void vga_destroy(struct device *d)
{
    struct vga *v = (struct vga *)d;

    hub_screen_gone(v->hub, &v->screen);
    if (v->vram)
        vga_window_close(v);
    for (size_t i = 0; i < ARRAY_SIZE(port_range); i++)
        bus_release(d->env.pio, d, REGION_PORTS + port_range[i].port - PORT_BASE);
    bus_release(d->env.pio, d, REGION_DISPI);
    bus_release(d->env.mmio, d, REGION_WINDOW);
    if (v->vram)
        munmap(v->vram, VGA_MEMORY);
    if (v->copy)
        munmap(v->copy, VGA_DIRECT_MAX);
    if (v->rom)
        munmap(v->rom, v->pci.bar[PCI_ROM].size);
    free(v->font);
    free(v->shown);
    pthread_mutex_destroy(&d->lock);
    free(v);
}

static void vga_describe(struct device *d, struct dump *out)
{
    struct vga *v = (struct vga *)d;
    const uint16_t *r = v->s.dispi;

    if (vga_dispi_on(&v->s))
        dump_add(out, "vga.mode", "%ux%u, %u bits", r[VBE_DISPI_INDEX_XRES],
                 r[VBE_DISPI_INDEX_YRES], r[VBE_DISPI_INDEX_BPP]);
    else
        dump_add(out, "vga.mode", "%s", v->s.gr[GR_MISC] & 1 ? "VGA graphics" : "text");
}

static const struct device_ops vga_ops = {
    .name = "vga",
    .destroy = vga_destroy,
    .reset = vga_reset,
    .io = vga_io,
    .describe = vga_describe,
};

void *vga_pages(size_t n)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, flags, -1, 0);

    if (p == MAP_FAILED)
        p = NULL;
    return p;
}

static int vga_claim(struct vga *v, struct err *e)
{
    struct env *env = &v->pci.dev.env;
    int rc = bus_claim(env->mmio, VGA_WINDOW, VGA_WINDOW_SIZE, &v->pci.dev, REGION_WINDOW);

    for (size_t i = 0; i < ARRAY_SIZE(port_range) && rc == 0; i++)
        rc = bus_claim(env->pio, port_range[i].port, port_range[i].len, &v->pci.dev,
                       REGION_PORTS + port_range[i].port - PORT_BASE);
    if (rc == 0)
        rc = bus_claim(env->pio, 0x1ce, 4, &v->pci.dev, REGION_DISPI);
    return rc < 0 ? err_set(e, EEXIST, "the VGA's ports are taken by another device") : 0;
}

int vga_create(const struct env *env, struct hub *hub, enum vga_start start, struct err *e)
{
    static const struct pci_id id = {0x1234, 0x1111, 0x1af4, 0x1100, 0x03000002};
    struct vga *v = calloc(1, sizeof(*v));
    int rc = 0;

    if (!v)
        return err_set(e, ENOMEM, "no memory for the VGA");
    pci_init(&v->pci, &vga_ops, env, &id);
    v->pci.dev.env.id = "vga";
    v->pci.config[PCI_INTERRUPT_PIN] = 0;
    v->vram = vga_pages(VGA_MEMORY);
    v->copy = vga_pages(VGA_DIRECT_MAX);
    v->screen = (struct screen){.name = "vga", .surface = vga_surface, .text = vga_text};
    if (!v->vram || !v->copy)
        rc = err_set(e, ENOMEM, "no memory for the VGA");
    v->pci.bar[BAR_FRAME] =
        (struct pci_bar){.kind = PCI_BAR_MEM32_PREF, .size = VGA_MEMORY, .ram = v->vram};
    v->pci.bar[BAR_REGISTERS] = (struct pci_bar){.kind = PCI_BAR_MEM32, .size = 4096};
    if (rc == 0 && start == VGA_ROM)
        rc = vga_bios_rom(v, e);
    if (rc == 0 && start == VGA_TEXT)
        rc = vga_bios_text(v, e);
    if (rc == 0)
        rc = vga_claim(v, e);
    if (rc == 0)
        rc = pci_add(env->pci, &v->pci, VGA_DEVFN, e);
    if (rc < 0) {
        pci_remove(&v->pci);
        vga_destroy(&v->pci.dev);
        return rc;
    }
    v->hub = hub;
    hub_screen(hub, &v->screen);
    vga_reset(&v->pci.dev);
    return 0;
}
