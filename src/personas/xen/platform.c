/* SPDX-License-Identifier: Apache-2.0 */
/*
 * platform.c - Xen's platform PCI device, and the ports by which a guest asks for the emulated
 * devices to be unplugged.
 *
 * Document: Xen docs/misc/hvm-emulated-unplug.pandoc, docs/misc/pci-device-reservations. Modelled:
 * the magic, product, build and log ports; BAR 0, by whose ports SUSE's drivers of old unplug (as
 * in QEMU), and BAR 1, 16 MiB of memory where HVM guests put their grant frames. Who unplugs is
 * told by the persona. Threads: io() under the device's lock.
 */
#include "personas/xen/platform.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "board/bus.h"
#include "board/pci.h"
#include "core/cfg.h"
#include "core/err.h"

enum {
    XEN_VENDOR = 0x5853,
    BAR_IO_SIZE = 0x100,
    BAR_MEMORY_SIZE = 16 << 20,
    REGION_PORTS = 16, /* beyond the BARs */
    PORTS = 0x10,
    PORTS_SIZE = 4,
    PORT_MAGIC = 0,      /* 16 bits: read the magic, write the unplug mask; 32 bits: build number */
    PORT_PRODUCT = 2,    /* 16 bits: product number; 8 bits: read the version, write log text */
    BAR_UNPLUG_ALL = 4,  /* write 1 */
    BAR_UNPLUG_SOME = 8, /* write 1: disks, 2: cards */
    MAGIC = 0x49d2,
    PROTOCOL_VERSION = 1,
    LINE = 160,
};

struct xen_platform {
    struct pci_dev pci; /* first */
    void *memory;
    uint16_t product, unplug;
    uint32_t build;
    struct log_limit limit;
    unsigned used;
    void (*unplugs)(void *arg, unsigned bits);
    void *arg;
    char line[LINE];
};

static struct xen_platform *platform_of(struct device *d)
{
    return container_of(container_of(d, struct pci_dev, dev), struct xen_platform, pci);
}

static void log_byte(struct xen_platform *p, uint8_t c)
{
    if (c >= ' ' && c < 0x7f)
        p->line[p->used++] = (char)c;
    if (c != '\n' && p->used < LINE - 1)
        return;
    p->line[p->used] = '\0';
    p->used = 0;
    if (p->line[0] && log_allow(&p->limit, "xen-guest", 20))
        log_line(LOG_INFO, "xen-guest", "%s", p->line);
}

static void ports_read(uint64_t off, unsigned size, uint64_t *val)
{
    *val = UINT64_MAX;
    if (off == PORT_MAGIC && size == 2)
        *val = MAGIC;
    else if (off == PORT_PRODUCT && size == 1)
        *val = PROTOCOL_VERSION;
}

static void take_out(struct xen_platform *p, unsigned bits)
{
    p->unplug = (uint16_t)bits;
    p->unplugs(p->arg, bits);
    log_line(LOG_INFO, "xen", "the guest asks to unplug 0x%x (product %u, build %u)", bits,
             p->product, p->build);
}

static void bar_write(struct xen_platform *p, uint64_t off, uint64_t val)
{
    if (off == BAR_UNPLUG_ALL && val == 1)
        take_out(p, XEN_UNPLUG_IDE_DISKS | XEN_UNPLUG_NICS);
    else if (off == BAR_UNPLUG_SOME && (val == 1 || val == 2))
        take_out(p, val == 1 ? XEN_UNPLUG_IDE_DISKS : XEN_UNPLUG_NICS);
}

static void ports_write(struct xen_platform *p, uint64_t off, unsigned size, uint64_t val)
{
    if (off == PORT_MAGIC && size == 4) {
        p->build = (uint32_t)val;
    } else if (off == PORT_MAGIC && size == 2) {
        take_out(p, (uint16_t)val);
    } else if (off == PORT_PRODUCT && size == 2) {
        p->product = (uint16_t)val;
    } else if (off == PORT_PRODUCT && size == 1) {
        log_byte(p, (uint8_t)val);
    }
}

static void platform_io(struct device *d, unsigned region, uint64_t off, unsigned size,
                        enum access dir, uint64_t *val)
{
    if (region != REGION_PORTS && dir == ACC_READ)
        *val = 0; /* BAR 0 */
    else if (region != REGION_PORTS)
        bar_write(platform_of(d), off, *val);
    else if (dir == ACC_READ)
        ports_read(off, size, val);
    else
        ports_write(platform_of(d), off, size, *val);
}

static void platform_reset(struct device *d)
{
    struct xen_platform *p = platform_of(d);

    p->product = p->unplug = 0;
    p->build = 0;
    p->used = 0;
}

static void platform_free(struct xen_platform *p)
{
    if (p->memory)
        munmap(p->memory, BAR_MEMORY_SIZE);
    free(p);
}

static void platform_destroy(struct device *d)
{
    struct xen_platform *p = platform_of(d);

    bus_release(d->env.pio, d, REGION_PORTS);
    pci_remove(&p->pci);
    platform_free(p);
}

static const struct device_ops platform_ops = {
    .name = "xen-platform",
    .destroy = platform_destroy,
    .reset = platform_reset,
    .io = platform_io,
};

static int platform_attach(struct xen_platform *p, const struct env *env, uint16_t device,
                           struct err *e)
{
    struct pci_id id = {.vendor = XEN_VENDOR,
                        .device = device,
                        .subvendor = XEN_VENDOR,
                        .subdevice = device,
                        .class_rev = 0xff800001};
    int rc;

    pci_init(&p->pci, &platform_ops, env, &id);
    p->pci.bar[0] = (struct pci_bar){.kind = PCI_BAR_IO, .size = BAR_IO_SIZE};
    p->pci.bar[1] =
        (struct pci_bar){.kind = PCI_BAR_MEM32_PREF, .size = BAR_MEMORY_SIZE, .ram = p->memory};
    if (bus_claim(env->pio, PORTS, PORTS_SIZE, &p->pci.dev, REGION_PORTS) < 0)
        rc = err_set(e, EEXIST, "something else answers at the unplug ports");
    else
        rc = pci_add(env->pci, &p->pci, -1, e);
    if (rc < 0) {
        bus_release(env->pio, &p->pci.dev, REGION_PORTS);
        pci_remove(&p->pci);
    }
    return rc;
}

int xen_platform_add(const struct env *env, struct cfg *opts,
                     void (*unplug)(void *arg, unsigned bits), void *arg, struct xen_platform **out,
                     struct err *e)
{
    uint64_t device = 1;
    struct xen_platform *p;
    int rc = opts ? cfg_u64(opts, "device-id", 1, 2, &device, e) : 0;

    if (rc < 0)
        return rc;
    p = calloc(1, sizeof(*p));
    if (!p)
        return err_set(e, ENOMEM, "no memory for Xen's platform device");
    p->unplugs = unplug;
    p->arg = arg;
    p->memory = mmap(NULL, BAR_MEMORY_SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p->memory == MAP_FAILED) {
        p->memory = NULL;
        rc = err_set(e, ENOMEM, "no memory for the platform device's BAR");
    } else {
        rc = platform_attach(p, env, (uint16_t)device, e);
    }
    if (rc < 0) {
        platform_free(p);
        return rc;
    }
    *out = p;
    return 0;
}

void xen_platform_describe(struct xen_platform *p, struct dump *out)
{
    device_lock(&p->pci.dev);
    dump_add(out, "unplug", "0x%x by product %u, build %u", p->unplug, p->product, p->build);
    device_unlock(&p->pci.dev);
}
