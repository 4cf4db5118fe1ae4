/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci.c - see pci.h. PCI Local Bus Specification 3.0, chapters 3.2.2.3 (mechanism 1) and 6, and
 * PCI Express 3.0 section 7.2.2 (ECAM).
 *
 * Bits 27:24 of CONFADD are register bits 11:8, as on AMD: guests that see an AMD processor use
 * them, for others they are zero. Other buses than 0 are those behind root ports, which have one
 * device with one function. Not modelled: other bridges, parity and system errors, power states.
 *
 * Threads: configuration accesses run on vCPU threads under the host bridge's lock, then the
 * function's.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"
#include "board/pci_priv.h"
#include "core/err.h"

enum region { REGION_MECHANISM_1, REGION_ECAM };
enum { CONFADD = 0xcf8, CONFADD_ENABLE_BYTE = 31, Q35_OWN_SLOTS = 25 };

/* Pins rotate over PIRQ A to D from slot 1 on, and those lead to lines that PIC and I/O APIC both
 * have. On a q35 they begin at slot 0 and stand still from slot 25 on, where the chipset's own
 * functions are. SeaBIOS gives out the same. */
static unsigned wire_of(unsigned slot, unsigned pin, bool q35)
{
    return (q35 ? (slot < Q35_OWN_SLOTS ? slot : 0) + pin : slot + pin + 3) % PCI_WIRES;
}

int pci_route_default(unsigned wire)
{
    static const uint8_t gsi[PCI_WIRES] = {10, 10, 11, 11};

    return gsi[wire % PCI_WIRES];
}

unsigned pci_gsi_of(unsigned slot, unsigned pin, bool q35)
{
    return (unsigned)pci_route_default(wire_of(slot, pin, q35));
}

/* --- wires; under b->wires --- */

static int wires_line(struct pci_bus *b, unsigned gsi, struct err *e)
{
    struct irqs *irqs = b->host.env.irqs;

    return b->line[gsi] ? 0 : irqs->ops->line(irqs, gsi, NULL, NULL, &b->line[gsi], e);
}

static void wires_update(struct pci_bus *b)
{
    bool up[PCI_LINES] = {false};

    for (unsigned w = 0; w < PCI_WIRES; w++) {
        if (b->route[w] < PCI_LINES && b->pulled[w])
            up[b->route[w]] = true;
    }
    for (unsigned g = 0; g < PCI_LINES; g++) {
        if (!b->line[g] || up[g] == b->line_up[g])
            continue;
        b->line_up[g] = up[g];
        b->line[g]->set(b->line[g], up[g]);
    }
}

void pci_route(struct pci_bus *b, unsigned wire, int gsi)
{
    struct err ignored;

    pthread_mutex_lock(&b->wires);
    b->route[wire % PCI_WIRES] = PCI_WIRE_OFF;
    if (gsi >= 0 && gsi < PCI_LINES && wires_line(b, (unsigned)gsi, &ignored) == 0)
        b->route[wire % PCI_WIRES] = (uint8_t)gsi;
    wires_update(b);
    pthread_mutex_unlock(&b->wires);
}

/* --- functions --- */

void pci_init(struct pci_dev *p, const struct device_ops *ops, const struct env *env,
              const struct pci_id *id)
{
    device_init(&p->dev, ops, env);
    pci_config_set16(p, PCI_VENDOR_ID, id->vendor);
    pci_config_set16(p, PCI_DEVICE_ID, id->device);
    pci_config_set16(p, PCI_SUBSYSTEM_VENDOR_ID, id->subvendor);
    pci_config_set16(p, PCI_SUBSYSTEM_ID, id->subdevice);
    le32_put(&p->config[PCI_CLASS_REVISION], id->class_rev);
    if (id->class_rev >> 24 != 0x06)
        p->config[PCI_INTERRUPT_PIN] = 1;
    /* I/O, memory, master, parity response, SERR, INTx disable */
    le16_put(&p->writable[PCI_COMMAND], 0x0547);
    p->writable[PCI_CACHE_LINE_SIZE] = 0xff;
    p->writable[PCI_LATENCY_TIMER] = 0xff;
    p->writable[PCI_INTERRUPT_LINE] = 0xff;
    p->cap_end = 0x40;
}

unsigned pci_add_cap(struct pci_dev *p, uint8_t id, const void *body, const void *write,
                     unsigned len)
{
    unsigned at = (p->cap_end + 3u) & ~3u, prev = PCI_CAPABILITY_LIST;

    assert(len >= 2);
    if (at + len > 0x100 || p->cap_end < 0x40)
        return 0;
    while (p->config[prev])
        prev = p->config[prev] + 1u;
    p->config[prev] = (uint8_t)at;
    memcpy(&p->config[at], body, len);
    if (write)
        memcpy(&p->writable[at], write, len);
    p->config[at] = id;
    p->config[at + 1] = 0;
    p->writable[at] = p->writable[at + 1] = 0;
    p->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
    /* 0: full, which is told apart from "not begun" above. */
    p->cap_end = (uint8_t)(at + len);
    return at;
}

unsigned pci_root_devfn(const struct pci_dev *p)
{
    return p->port ? p->bus->bridge[p->port - 1]->devfn : p->devfn;
}

static void intx_update(struct pci_dev *p)
{
    bool up =
        p->intx_up && !p->hidden && !(pci_config_get16(p, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE);
    unsigned pin = p->config[PCI_INTERRUPT_PIN];
    struct pci_bus *b = p->bus;

    if (!b || pin == 0 || up == p->intx_pulls)
        return;
    p->intx_pulls = up;
    pthread_mutex_lock(&b->wires);
    b->pulled[wire_of(pci_root_devfn(p) >> 3, pin - 1, b->w.q35)] += up ? 1 : -1;
    wires_update(b);
    pthread_mutex_unlock(&b->wires);
}

void pci_intx(struct pci_dev *p, bool up)
{
    if (p->intx_up == up)
        return;
    p->intx_up = up;
    p->config[PCI_STATUS] = (uint8_t)((p->config[PCI_STATUS] & ~PCI_STATUS_INTERRUPT) |
                                      (up ? PCI_STATUS_INTERRUPT : 0));
    intx_update(p);
}

static int free_slot(const struct pci_bus *b)
{
    for (unsigned n = 0; n < PCI_PORTS && b->slots_behind; n++) {
        if (b->bridge[n] && !b->fn[256 + n])
            return (int)(256 + n);
    }
    for (unsigned slot = 1; slot < 32 && !b->slots_behind; slot++) {
        bool used = false;

        for (unsigned f = 0; f < 8; f++)
            used |= b->fn[slot << 3 | f] != NULL;
        if (!used)
            return (int)(slot << 3);
    }
    return -1;
}

/* The line that its wire leads to now must be there. */
static int add_line(struct pci_bus *b, struct pci_dev *p, struct err *e)
{
    unsigned pin = p->config[PCI_INTERRUPT_PIN], gsi;
    int rc = 0;

    if (pin == 0)
        return 0;
    pthread_mutex_lock(&b->wires);
    gsi = b->route[wire_of(pci_root_devfn(p) >> 3, pin - 1, b->w.q35)];
    if (gsi < PCI_LINES)
        rc = wires_line(b, gsi, e);
    pthread_mutex_unlock(&b->wires);
    return rc;
}

int pci_add(struct pci_bus *b, struct pci_dev *p, int devfn, struct err *e)
{
    int rc;

    device_lock(&b->host);
    if (devfn < 0)
        devfn = free_slot(b);
    if (devfn < 0 || devfn >= PCI_FUNCTIONS || b->fn[devfn] ||
        (devfn >= 256 && !b->bridge[devfn - 256])) {
        device_unlock(&b->host);
        return err_set(e, EBUSY, "no free PCI slot for %s: use fewer devices or other slots",
                       p->dev.env.id ? p->dev.env.id : p->dev.ops->name);
    }
    p->port = (uint8_t)(devfn >= 256 ? devfn - 255 : 0);
    p->devfn = (uint8_t)(p->port ? 0 : devfn);
    p->bus = b;
    rc = add_line(b, p, e);
    if (rc < 0) {
        p->bus = NULL;
    } else {
        pci_bar_init(p);
        b->fn[devfn] = p;
        for (unsigned f = devfn & ~7; f < (devfn & ~7u) + 8 && !p->port; f++) {
            /* Function 0 tells that there are more. */
            if (f != (devfn & ~7u) && b->fn[f] && b->fn[devfn & ~7])
                b->fn[devfn & ~7]->config[PCI_HEADER_TYPE] |= 0x80;
        }
    }
    device_unlock(&b->host);
    return rc;
}

void pci_remove(struct pci_dev *p)
{
    struct pci_bus *b = p->bus;

    if (b) {
        device_lock(&b->host);
        pci_bar_unmap_all(p);
        pci_boots_forget(b, p);
        b->fn[p->port ? 255 + p->port : p->devfn] = NULL;
        device_unlock(&b->host);
        bus_doorbells_drop(b->host.env.pio, &p->dev);
        bus_doorbells_drop(b->host.env.mmio, &p->dev);
        pci_intx(p, false);
        p->bus = NULL;
    }
    pci_msix_free(p);
    pci_rom_free(p);
}

void pci_hide(struct pci_dev *p, bool hide)
{
    struct pci_bus *b = p->bus;

    if (!b)
        return;
    device_lock(&b->host);
    device_lock(&p->dev);
    p->hidden = hide;
    intx_update(p);
    if (hide)
        pci_bar_unmap_all(p);
    else
        pci_bar_update(p);
    device_unlock(&p->dev);
    device_unlock(&b->host);
}

struct pci_dev *pci_at(struct pci_bus *b, unsigned devfn)
{
    return devfn < PCI_FUNCTIONS ? b->fn[devfn] : NULL;
}

unsigned pci_place(const struct pci_dev *p)
{
    return p->port ? PCI_PLACE_PORT + p->port : p->devfn >> 3;
}

void pci_leads(struct pci_dev *p, unsigned n)
{
    p->bus->bridge[n - 1] = p;
}

void pci_slots_behind(struct pci_bus *b)
{
    b->slots_behind = true;
}

bool pci_bus_uses_mem64(const struct pci_bus *b)
{
    return b->uses_mem64;
}

/* --- configuration accesses; off + size <= PCI_CONFIG_SIZE --- */

static uint64_t config_read(struct pci_dev *p, unsigned off, unsigned size)
{
    uint64_t v = 0;

    pci_msix_config_reading(p, off, size);
    if (p->config_reading) {
        device_lock(&p->dev);
        p->config_reading(p, off, size);
        device_unlock(&p->dev);
    }
    memcpy(&v, &p->config[off], size);
    return v;
}

static bool touches(unsigned off, unsigned size, unsigned first, unsigned end)
{
    return off < end && off + size > first;
}

static void config_write(struct pci_dev *p, unsigned off, unsigned size, uint64_t v)
{
    device_lock(&p->dev);
    for (unsigned i = 0; i < size; i++) {
        uint8_t w = p->writable[off + i], *c = &p->config[off + i];

        *c = (uint8_t)((*c & ~w) | ((v >> (8 * i)) & w));
    }
    if (touches(off, size, PCI_COMMAND, PCI_COMMAND + 2)) {
        intx_update(p);
        pci_bar_update(p);
    } else if (touches(off, size, PCI_BASE_ADDRESS_0, PCI_BASE_ADDRESS_0 + 4 * PCI_BARS) ||
               touches(off, size, PCI_ROM_ADDRESS, PCI_ROM_ADDRESS + 4)) {
        pci_bar_update(p);
    }
    if (off >= 0x40)
        pci_msix_config_written(p, off, size);
    if (p->config_written)
        p->config_written(p, off, size);
    device_unlock(&p->dev);
}

/* What is on a bus that a port leads to: the port has been told its number. */
static struct pci_dev *behind(const struct pci_bus *b, unsigned bus)
{
    for (unsigned n = 0; n < PCI_PORTS; n++) {
        if (b->bridge[n] && b->bridge[n]->config[PCI_SECONDARY_BUS] == bus)
            return b->fn[256 + n];
    }
    return NULL;
}

static void config_access(struct pci_bus *b, unsigned bus, unsigned devfn, unsigned off,
                          unsigned size, enum access dir, uint64_t *val)
{
    struct pci_dev *p = bus == 0 ? b->fn[devfn] : devfn == 0 ? behind(b, bus) : NULL;

    if (!p || p->hidden || off + size > PCI_CONFIG_SIZE) {
        *val = UINT64_MAX;
        return;
    }
    if (dir == ACC_READ)
        *val = config_read(p, off, size);
    else
        config_write(p, off, size, *val);
}

static void mechanism_1(struct pci_bus *b, unsigned off, unsigned size, enum access dir,
                        uint64_t *val)
{
    if (off >= 4) {
        uint32_t a = b->address;

        if (!(a >> CONFADD_ENABLE_BYTE)) {
            *val = UINT64_MAX;
            return;
        }
        config_access(b, a >> 16 & 0xff, a >> 8 & 0xff, (a >> 16 & 0xf00) | (a & 0xfc) | (off & 3),
                      size, dir, val);
    } else if (off == 0 && size == 4) {
        if (dir == ACC_READ)
            *val = b->address;
        else
            b->address = (uint32_t)*val & 0x8ffffffc;
    } else if (off == 1 && size == 1 && b->cf9) {
        b->cf9(b->cf9_arg, dir, val);
    } else {
        *val = UINT64_MAX;
    }
}

static void pci_io(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
                   uint64_t *val)
{
    struct pci_bus *b = container_of(d, struct pci_bus, host);

    if (region == REGION_ECAM)
        config_access(b, (unsigned)(off >> 20), off >> 12 & 0xff, off & 0xfff, size, dir, val);
    else
        mechanism_1(b, (unsigned)off, size, dir, val);
}

/* --- the bus --- */

static void pci_nothing(struct device *d)
{
}

static const struct device_ops pci_host_ops = {
    .name = "pci",
    .destroy = pci_nothing,
    .reset = pci_nothing,
    .io = pci_io,
};

void pci_ecam(struct pci_bus *b, uint64_t base, unsigned buses)
{
    if (b->ecam)
        bus_release(b->host.env.mmio, &b->host, REGION_ECAM);
    b->ecam = base;
    if (base && bus_claim(b->host.env.mmio, base, (uint64_t)buses << 20, &b->host, REGION_ECAM) < 0)
        b->ecam = 0;
}

uint64_t pci_ecam_at(const struct pci_bus *b)
{
    return b->ecam;
}

bool pci_is_q35(const struct pci_bus *b)
{
    return b->w.q35;
}

int pci_bus_create(const struct env *env, const struct pci_windows *w, struct pci_bus **out,
                   struct err *e)
{
    struct pci_bus *b = calloc(1, sizeof(*b));

    if (!b)
        return err_set(e, ENOMEM, "no memory for the PCI bus");
    device_init(&b->host, &pci_host_ops, env);
    b->host.env.id = "pci";
    b->w = *w;
    pthread_mutex_init(&b->wires, NULL);
    for (unsigned i = 0; i < PCI_WIRES; i++)
        b->route[i] = (uint8_t)pci_route_default(i);
    pci_ecam(b, w->ecam_base, w->last_bus + 1u);
    if (bus_claim(env->pio, CONFADD, 8, &b->host, REGION_MECHANISM_1) < 0 ||
        b->ecam != w->ecam_base) {
        pci_bus_destroy(b);
        return err_set(e, EEXIST, "the PCI bus's registers overlap another device");
    }
    *out = b;
    return 0;
}

void pci_bus_on_cf9(struct pci_bus *b, void (*io)(void *arg, enum access dir, uint64_t *val),
                    void *arg)
{
    b->cf9 = io;
    b->cf9_arg = arg;
}

static bool has_memory(const struct pci_dev *p)
{
    bool any = false;

    for (unsigned i = 0; i < PCI_BARS; i++)
        any |= p->bar[i].ram != NULL;
    return any;
}

/* What is behind ports goes before these. */
static void destroy_all(struct pci_bus *b, bool memory)
{
    for (unsigned f = PCI_FUNCTIONS; f-- > 0;) {
        struct pci_dev *p = b->fn[f];

        if (!p || has_memory(p) != memory)
            continue;
        pci_remove(p);
        p->dev.ops->destroy(&p->dev);
    }
}

void pci_bus_destroy(struct pci_bus *b)
{
    if (!b)
        return;
    /* A disk that still reads may do so into a frame buffer: that goes last. */
    destroy_all(b, false);
    destroy_all(b, true);
    bus_release(b->host.env.pio, &b->host, REGION_MECHANISM_1);
    bus_release(b->host.env.mmio, &b->host, REGION_ECAM);
    for (unsigned g = 0; g < PCI_LINES; g++) {
        if (b->line[g])
            b->host.env.irqs->ops->release(b->host.env.irqs, b->line[g]);
    }
    pthread_mutex_destroy(&b->wires);
    free(b);
}

void pci_bus_reset(struct pci_bus *b)
{
    b->address = 0;
    b->uses_mem64 = false;
    for (unsigned f = 0; f < PCI_FUNCTIONS; f++) {
        struct pci_dev *p = b->fn[f];

        if (!p)
            continue;
        device_lock(&b->host);
        pci_bar_unmap_all(p);
        p->hidden = false;
        device_unlock(&b->host);
        for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++)
            p->config[i] &= (uint8_t)~p->writable[i];
        pci_intx(p, false);
        pci_msix_reset(p);
        p->dev.ops->reset(&p->dev);
    }
}
