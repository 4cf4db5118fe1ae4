/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci_bar.c - base address registers: sizing, moving, decoding, and placing without firmware.
 *
 * A BAR is decoded when its space is enabled in the command register and its address is neither 0
 * nor off the end of its space. One that the guest puts where something else answers is blocked:
 * not decoded, and tried again whenever another BAR gives up its place.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"
#include "board/pci_priv.h"
#include "core/err.h"
#include "core/gmem.h"

/* 64-bit BARs from this size on go to the 64-bit window, smaller ones stay below 4 GiB, where
 * guests without 64-bit addressing reach them. */
#define BAR_HIGH_FROM (64 * MiB)
#define BAR_MEM64_END (UINT64_C(1) << 52)

bool pci_bar_is_mem64(const struct pci_bar *bar)
{
    return bar->kind == PCI_BAR_MEM64 || bar->kind == PCI_BAR_MEM64_PREF;
}

static unsigned bar_reg(unsigned i)
{
    return i == PCI_ROM ? PCI_ROM_ADDRESS : PCI_BASE_ADDRESS_0 + 4 * i;
}

void pci_bar_init(struct pci_dev *p)
{
    for (unsigned i = 0; i < PCI_BARS_ALL; i++) {
        struct pci_bar *bar = &p->bar[i];
        uint8_t *reg = &p->config[bar_reg(i)], *mask = &p->writable[bar_reg(i)];
        uint64_t bits = ~(bar->size - 1);

        switch (bar->kind) {
        case PCI_BAR_NONE:
            continue;
        case PCI_BAR_IO:
            assert(is_pow2(bar->size) && bar->size >= 4 && bar->size <= 256);
            reg[0] = 1;
            break;
        case PCI_BAR_MEM32:
        case PCI_BAR_MEM32_PREF:
            assert(is_pow2(bar->size) && bar->size >= 16 && bar->size <= 2 * GiB);
            reg[0] = bar->kind == PCI_BAR_MEM32_PREF ? 8 : 0;
            break;
        case PCI_BAR_MEM64:
        case PCI_BAR_MEM64_PREF:
            assert(is_pow2(bar->size) && bar->size >= 16 && i + 1 < PCI_BARS);
            reg[0] = bar->kind == PCI_BAR_MEM64_PREF ? 0xc : 4;
            le32_put(mask + 4, (uint32_t)(bits >> 32));
            break;
        case PCI_BAR_EXPANSION_ROM:
            assert(is_pow2(bar->size) && bar->size >= 4096 && bar->ram && i == PCI_ROM);
            bits |= PCI_ROM_ADDRESS_ENABLE;
            break;
        }
        le32_put(mask, (uint32_t)bits);
    }
}

static struct bus *bar_bus(struct pci_dev *p, const struct pci_bar *bar)
{
    return bar->kind == PCI_BAR_IO ? p->bus->host.env.pio : p->bus->host.env.mmio;
}

static struct device *bar_owner(struct pci_dev *p, unsigned i)
{
    struct device *d = pci_msix_bar_owner(p, i);

    return d ? d : &p->dev;
}

static void bar_unmap(struct pci_dev *p, unsigned i)
{
    struct pci_bar *bar = &p->bar[i];

    if (!bar->mapped)
        return;
    if (bar->ram)
        gmem_remove(p->dev.env.mem, bar->addr);
    else
        bus_release(bar_bus(p, bar), bar_owner(p, i), i);
    bar->mapped = false;
}

/* Where the registers want the BAR; false: nowhere. */
static bool bar_wanted(const struct pci_dev *p, unsigned i, uint64_t *addr)
{
    const struct pci_bar *bar = &p->bar[i];
    uint16_t command = pci_config_get16(p, PCI_COMMAND);
    uint64_t a = le32_at(&p->config[bar_reg(i)]), end = UINT64_C(1) << 32, last;

    if (bar->kind == PCI_BAR_IO) {
        a &= ~UINT64_C(3);
        end = 0x10000;
    } else if (bar->kind == PCI_BAR_EXPANSION_ROM) {
        if (!(a & PCI_ROM_ADDRESS_ENABLE))
            command = 0;
        a &= ~UINT64_C(0x7ff);
    } else {
        a &= ~UINT64_C(15);
    }
    if (pci_bar_is_mem64(bar)) {
        a |= (uint64_t)le32_at(&p->config[bar_reg(i) + 4]) << 32;
        end = BAR_MEM64_END;
    }
    *addr = a;
    return (command & (bar->kind == PCI_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)) && a != 0 &&
           !add_overflows(a, bar->size - 1, &last) && last < end - 1;
}

static int bar_map(struct pci_dev *p, unsigned i, uint64_t addr)
{
    struct pci_bar *bar = &p->bar[i];
    struct err e;

    if (bar->ram)
        return gmem_add(p->dev.env.mem, addr, bar->size, bar->ram,
                        bar->kind == PCI_BAR_EXPANSION_ROM ? GMEM_ROM : GMEM_DEVICE, &e);
    return bus_claim(bar_bus(p, bar), addr, bar->size, bar_owner(p, i), i);
}

static void bar_block(struct pci_dev *p, struct pci_bar *bar, bool blocked)
{
    if (bar->blocked != blocked)
        p->bus->blocked += blocked ? 1 : -1;
    bar->blocked = blocked;
}

/* Returns true when a place was given up. */
static bool bar_update(struct pci_dev *p, unsigned i)
{
    struct pci_bar *bar = &p->bar[i];
    uint64_t addr;
    bool want, left = false;

    if (bar->kind == PCI_BAR_NONE)
        return false;
    want = bar_wanted(p, i, &addr);
    if (bar->mapped && want && addr == bar->addr)
        return false;
    if (bar->mapped) {
        bar_unmap(p, i);
        left = true;
    }
    if (want && bar_map(p, i, addr) == 0) {
        bar->mapped = true;
        bar->addr = addr;
    }
    bar_block(p, bar, want && !bar->mapped);
    return left;
}

/* A place became free: who waited for one? */
static void bars_retry(struct pci_bus *b)
{
    for (unsigned f = 0; f < PCI_FUNCTIONS && b->blocked; f++) {
        for (unsigned i = 0; b->fn[f] && i < PCI_BARS_ALL; i++) {
            if (b->fn[f]->bar[i].blocked)
                bar_update(b->fn[f], i);
        }
    }
}

void pci_bar_update(struct pci_dev *p)
{
    bool left = false;

    for (unsigned i = 0; i < PCI_BARS_ALL; i++)
        left |= bar_update(p, i);
    if (left && p->bus->blocked)
        bars_retry(p->bus);
}

void pci_bar_unmap_all(struct pci_dev *p)
{
    for (unsigned i = 0; i < PCI_BARS_ALL; i++) {
        bar_unmap(p, i);
        bar_block(p, &p->bar[i], false);
    }
    if (p->bus->blocked)
        bars_retry(p->bus);
}

/* --- placing --- */

struct place {
    struct pci_dev *p;
    unsigned i;
};

static int by_size(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    uint64_t sx = x->p->bar[x->i].size, sy = y->p->bar[y->i].size;

    if (sx != sy)
        return sx > sy ? -1 : 1;
    if (x->p->devfn != y->p->devfn)
        return x->p->devfn < y->p->devfn ? -1 : 1;
    return x->i < y->i ? -1 : 1;
}

struct window {
    uint64_t next, end;
};

static int window_take(struct window *w, uint64_t size, uint64_t *addr)
{
    uint64_t at = align_up(w->next, size);

    if (at < w->next || at > w->end || size > w->end - at)
        return -ENOSPC;
    *addr = at;
    w->next = at + size;
    return 0;
}

static int bar_place(struct place *pl, struct window *io, struct window *mem, struct window *high)
{
    struct pci_dev *p = pl->p;
    struct pci_bar *bar = &p->bar[pl->i];
    uint8_t *reg = &p->config[bar_reg(pl->i)];
    struct window *w = bar->kind == PCI_BAR_IO ? io : mem;
    uint64_t addr = 0;
    int rc;

    if (pci_bar_is_mem64(bar) && bar->size >= BAR_HIGH_FROM)
        w = high;
    rc = window_take(w, max_u64(bar->size, bar->kind == PCI_BAR_IO ? 4 : 4096), &addr);
    if (rc < 0 && w == mem && pci_bar_is_mem64(bar)) {
        w = high;
        rc = window_take(w, bar->size, &addr);
    }
    if (rc < 0)
        return rc;
    le32_put(reg, (uint32_t)addr | (reg[0] & (bar->kind == PCI_BAR_IO ? 3u : 15u)));
    if (pci_bar_is_mem64(bar))
        le32_put(reg + 4, (uint32_t)(addr >> 32));
    if (w == high)
        p->bus->uses_mem64 = true;
    pci_config_set16(p, PCI_COMMAND,
                     pci_config_get16(p, PCI_COMMAND) |
                         (bar->kind == PCI_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY));
    return 0;
}

/* What a port passes on, for devices that are there and one that may come. */
enum { PORT_IO = 4096, PORT_MEM = 2 << 20 };

/* Bus numbers and windows of the ports, as firmware would give them; in[n] is what is in those. */
static int ports_place(struct pci_bus *b, struct window *io, struct window *mem,
                       struct window in[PCI_PORTS][2])
{
    for (unsigned n = 0; n < PCI_PORTS; n++) {
        struct pci_dev *p = b->bridge[n];
        uint64_t i, m;

        if (!p)
            continue;
        if (window_take(io, PORT_IO, &i) < 0 || window_take(mem, PORT_MEM, &m) < 0)
            return -ENOSPC;
        in[n][0] = (struct window){i, i + PORT_IO};
        in[n][1] = (struct window){m, m + PORT_MEM};
        p->config[PCI_SECONDARY_BUS] = p->config[PCI_SECONDARY_BUS + 1] = (uint8_t)(n + 1);
        p->config[PCI_IO_BASE] = p->config[PCI_IO_BASE + 1] = (uint8_t)(i >> 8);
        pci_config_set16(p, PCI_MEMORY_BASE, (uint16_t)(m >> 16));
        pci_config_set16(p, PCI_MEMORY_BASE + 2, (uint16_t)((m + PORT_MEM - 1) >> 16 & 0xfff0));
        pci_config_set16(p, PCI_PREF_BASE, 0xfff1); /* above its limit: none */
        pci_config_set16(p, PCI_PREF_BASE + 2, 0x0001);
        pci_config_set16(p, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    }
    return 0;
}

static size_t places(struct pci_bus *b, struct place *out)
{
    size_t n = 0;

    for (unsigned f = 0; f < PCI_FUNCTIONS; f++) {
        for (unsigned i = 0; b->fn[f] && i < PCI_BARS_ALL; i++) {
            if (b->fn[f]->bar[i].kind != PCI_BAR_NONE)
                out[n++] = (struct place){b->fn[f], i};
        }
    }
    qsort(out, n, sizeof(*out), by_size);
    return n;
}

int pci_bus_assign(struct pci_bus *b, struct err *e)
{
    struct window io = {b->w.io_base, b->w.io_base + b->w.io_size},
                  mem = {b->w.mem_base, b->w.mem_base + b->w.mem_size},
                  high = {b->w.mem64_base, b->w.mem64_base + b->w.mem64_size};
    struct window in[PCI_PORTS][2] = {{{0, 0}}};
    struct place *all = calloc((size_t)PCI_FUNCTIONS * PCI_BARS_ALL, sizeof(*all));
    int rc = 0;
    size_t n;

    if (!all)
        return err_set(e, ENOMEM, "no memory to place PCI devices");
    device_lock(&b->host);
    n = places(b, all);
    rc = ports_place(b, &io, &mem, in);
    for (size_t i = 0; i < n && rc == 0; i++) {
        unsigned port = all[i].p->port;

        rc = port ? bar_place(&all[i], &in[port - 1][0], &in[port - 1][1], &in[port - 1][1])
                  : bar_place(&all[i], &io, &mem, &high);
    }
    for (unsigned f = 0; f < PCI_FUNCTIONS && rc == 0; f++) {
        struct pci_dev *p = b->fn[f];

        if (!p)
            continue;
        if (p->config[PCI_INTERRUPT_PIN])
            p->config[PCI_INTERRUPT_LINE] = (uint8_t)pci_gsi_of(
                pci_root_devfn(p) >> 3, p->config[PCI_INTERRUPT_PIN] - 1u, b->w.q35);
        pci_bar_update(p);
    }
    device_unlock(&b->host);
    free(all);
    return rc < 0 ? err_set(e, ENOSPC,
                            "the PCI devices do not fit into the address windows: "
                            "use fewer or smaller ones")
                  : 0;
}

/* --- where they are --- */

/* Firmware sizes a BAR by ones, and leaves what it does not use at 0. */
static void extent_add(struct pci_extent *x, const struct pci_bar *bar, const uint8_t *reg)
{
    uint64_t at = le32_get(*(const le32 *)reg) & ~UINT64_C(15);

    if (pci_bar_is_mem64(bar))
        at |= (uint64_t)le32_get(*(const le32 *)(reg + 4)) << 32;
    if (at == 0 || at > BAR_MEM64_END - bar->size)
        return;
    if (at < UINT64_C(0x100000000)) {
        x->low = x->low ? min_u64(x->low, at) : at;
        return;
    }
    x->high = x->high ? min_u64(x->high, at) : at;
    if (at + bar->size > x->high_end)
        x->high_end = at + bar->size;
}

static void extent_window(struct pci_extent *x, uint64_t base, uint64_t last)
{
    if (base == 0 || base > last || last >= BAR_MEM64_END)
        return; /* switched off, or nonsense */
    if (base < UINT64_C(0x100000000)) {
        x->low = x->low ? min_u64(x->low, base) : base;
        return;
    }
    x->high = x->high ? min_u64(x->high, base) : base;
    x->high_end = max_u64(x->high_end, last + 1);
}

/* A port's windows are there whether something is behind it or not. */
static void extent_bridge(struct pci_extent *x, const uint8_t *c)
{
    extent_window(x, (uint64_t)(le16_at(c + PCI_MEMORY_BASE) & 0xfff0) << 16,
                  (uint64_t)(le16_at(c + PCI_MEMORY_BASE + 2) & 0xfff0) << 16 | 0xfffff);
    extent_window(x,
                  (uint64_t)le32_at(c + PCI_PREF_UPPER) << 32 |
                      (uint64_t)(le16_at(c + PCI_PREF_BASE) & 0xfff0) << 16,
                  (uint64_t)le32_at(c + PCI_PREF_UPPER + 4) << 32 |
                      (uint64_t)(le16_at(c + PCI_PREF_BASE + 2) & 0xfff0) << 16 | 0xfffff);
}

struct pci_extent pci_bus_extent(struct pci_bus *b)
{
    struct pci_extent x = {0};

    device_lock(&b->host);
    for (unsigned f = 0; f < PCI_FUNCTIONS; f++) {
        struct pci_dev *p = b->fn[f];

        for (unsigned i = 0; p && i < PCI_BARS; i++) {
            if (p->bar[i].kind != PCI_BAR_NONE && p->bar[i].kind != PCI_BAR_IO)
                extent_add(&x, &p->bar[i], &p->config[bar_reg(i)]);
        }
    }
    for (unsigned n = 0; n < PCI_PORTS; n++) {
        if (b->bridge[n])
            extent_bridge(&x, b->bridge[n]->config);
    }
    device_unlock(&b->host);
    return x;
}
