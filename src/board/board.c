/* SPDX-License-Identifier: Apache-2.0 */
/* board.c - see board.h. Where things lie is layout.h's. */
#include "board/board.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "board/chipset/chipset.h"
#include "board/chipset/shadow.h"
#include "board/firmware.h"
#include "board/layout.h"
#include "board/legacy/dma.h"
#include "board/legacy/floppy.h"
#include "board/legacy/vga.h"
#include "board/pci.h"
#include "board/tables.h"
#include "core/err.h"
#include "core/gmem.h"
#include "core/log.h"
#include "host/host.h"
#include "storage/disk.h"

enum { BOARD_LAST_BUS_Q35 = 255, BOARD_ISA = 1 << 3, BOARD_ISA_Q35 = 31 << 3 /* its bridge */ };
/* Where firmware reads why the machine was reset. */
enum { CMOS_SHUTDOWN = 0x0f, CMOS_SHUTDOWN_S3 = 0xfe };

/* Tables fill the ROM area, where guests look for their anchors and which they leave alone. */
#define BOARD_TABLES LAYOUT_ROM
#define BOARD_TABLES_ROOM (LAYOUT_ROM_END - BOARD_TABLES)
#define BOARD_LOW (SHADOW_BASE + SHADOW_SIZE / 2)
#define BOARD_LOW_SIZE (SHADOW_SIZE / 2)
/* Ports are handed out from here, clear of all fixed ones. */
#define BOARD_PCI_IO UINT64_C(0xc000)
/* On a q35, whose ports take 4 KiB each, from LAYOUT_PCI_IO on and up to here. */
#define BOARD_PCI_IO_END_Q35 UINT64_C(0xa000)

struct board {
    struct board_cfg cfg;
    struct env env;
    struct device *devices; /* last added first */
    struct device *pm, *rtc, *dma;
    struct device *plug;             /* NULL: PCI functions neither come nor go */
    uint32_t plug_slots;             /* empty at the start */
    struct pci_dev *port[PCI_PORTS]; /* of a q35 */
    struct device *cpuplug;          /* NULL: no processors come */
    struct device *floppy;           /* NULL: no controller */
    struct firmware *firmware;       /* NULL: none runs */
    struct shadow shadow;
    uint8_t *low; /* what is read from BOARD_LOW on; NULL: the firmware's end */
    gpa_t rsdp;
    const struct board_tables *said;     /* board_place()'s */
    struct pci_extent told;              /* what the tables say of PCI memory */
    struct board_boot boot[BOARD_BOOTS]; /* what firmware tries, in that order */
    size_t boots;
    bool awake; /* UEFI has asked for something since power-on */
};

/* --- parts --- */

/* Firmware and a VGA want the PC's holes from 640 KiB to 1 MiB. Without them all is memory in one
 * piece, which a kernel that is entered directly gets with fewer faults. */
static int board_ram_low(struct gmem *m, uint64_t size, bool hugetlb, bool holes, struct err *e)
{
    uint8_t *host;
    int rc;

    if (!holes)
        return gmem_add_ram(m, 0, size, hugetlb, e);
    rc = gmem_reserve_ram(m, 0, size, hugetlb, &host, e);
    if (rc == 0)
        rc = gmem_add(m, 0, LAYOUT_VGA, host, GMEM_RAM, e);
    if (rc == 0)
        rc = gmem_add(m, LAYOUT_ROM_END, size - LAYOUT_ROM_END, host + LAYOUT_ROM_END, GMEM_RAM, e);
    return rc;
}

static bool board_wants_holes(const struct board_cfg *c)
{
    return c->firmware || c->vga || c->bios_kernel;
}

int board_ram(const struct board_cfg *c, struct err *e)
{
    uint64_t high = layout_ram_high(c->memory, c->q35);
    int rc = board_ram_low(c->mem, layout_ram_low(c->memory, c->q35), c->hugetlb,
                           board_wants_holes(c), e);

    if (rc == 0 && high)
        rc = gmem_add_ram(c->mem, LAYOUT_RAM_HIGH, high, c->hugetlb, e);
    return rc;
}

static enum vga_start board_vga_start(const struct board_cfg *c)
{
    if (c->firmware)
        return VGA_ROM;
    return c->bios_kernel ? VGA_TEXT : VGA_DARK;
}

/* What lies below 1 MiB behind the holes goes on in the host where conventional memory ends. */
static void board_shadow(struct board *b)
{
    struct gmem_region r = {.host = NULL};

    for (size_t i = 0; gmem_region_at(b->cfg.mem, i, &r); i++) {
        if (r.base == 0 && r.size)
            break;
    }
    shadow_init(&b->shadow, b->cfg.mem, r.size == LAYOUT_VGA ? r.host + SHADOW_BASE : NULL);
}

static uint8_t board_last_bus(const struct board *b)
{
    return b->cfg.q35 ? BOARD_LAST_BUS_Q35 : 0;
}

static int board_buses(struct board *b, struct err *e)
{
    const uint64_t io = b->cfg.q35 ? LAYOUT_PCI_IO : BOARD_PCI_IO;
    const uint64_t io_end = b->cfg.q35 ? BOARD_PCI_IO_END_Q35 : LAYOUT_PCI_IO_END;
    const struct pci_windows w = {
        .io_base = io,
        .io_size = io_end - io,
        .mem_base = LAYOUT_PCI_MEM_A,
        .mem_size = LAYOUT_PCI_MEM_A_END - LAYOUT_PCI_MEM_A,
        .mem64_base = layout_mem64(b->cfg.memory, b->cfg.q35),
        .mem64_size = LAYOUT_PCI_MEM64_SIZE,
        .ecam_base = b->cfg.q35 ? 0 : LAYOUT_ECAM,
        .last_bus = board_last_bus(b),
        .q35 = b->cfg.q35,
    };
    int rc = bus_create(BUS_PIO, &b->env.pio, e);

    if (rc == 0)
        rc = bus_create(BUS_MMIO, &b->env.mmio, e);
    if (rc < 0)
        return rc;
    bus_set_doorbells(b->env.pio, b->cfg.doorbells);
    bus_set_doorbells(b->env.mmio, b->cfg.doorbells);
    return pci_bus_create(&b->env, &w, &b->env.pci, e);
}

/* Puts what create() made on the list. */
static int board_take(struct board *b, int rc, struct device *const *d)
{
    if (rc == 0)
        board_add(b, *d);
    return rc;
}

/* What tells the guest of things that come. */
static int board_plugs(struct board *b, const struct board_signal *sig, struct err *e)
{
    struct env env = b->env;
    int rc = 0;

    env.id = "pciplug";
    if (b->cfg.pci_plug)
        rc = board_take(b, pciplug_create(&env, sig, b->pm, &b->plug, e), &b->plug);
    env.id = "cpuplug";
    if (rc == 0 && b->cfg.cpus_max > b->cfg.cpus)
        rc = board_take(b, cpuplug_create(&env, b->cfg.cpus, b->pm, &b->cpuplug, e), &b->cpuplug);
    return rc;
}

/* What not every machine has. */
static int board_extras(struct board *b, struct err *e)
{
    struct env env = b->env;
    struct device *d = NULL;
    int rc = 0;

    env.id = "tpm";
    if (b->cfg.tpm)
        rc = board_take(b, tpm_create(&env, b->cfg.tpm, !b->cfg.uefi, &d, e), &d);
    env.id = "hpet";
    if (rc == 0 && b->cfg.hpet)
        rc = board_take(b, hpet_create(&env, &d, e), &d);
    env.id = "floppy";
    if (rc == 0 && b->cfg.fdc)
        rc = board_take(b, floppy_create(&env, b->dma, &b->floppy, e), &b->floppy);
    env.id = "genid";
    if (rc == 0 && b->cfg.genid)
        rc = board_take(b, genid_create(&env, b->cfg.genid, &d, e), &d);
    return rc;
}

/* Root ports, into which something may come. */
static int board_ports(struct board *b, const struct board_signal *sig, struct err *e)
{
    struct env env = b->env;
    int rc = 0;

    env.id = "port";
    for (unsigned n = 1; n <= PCI_PORTS && b->cfg.q35 && rc == 0; n++)
        rc = port_create(&env, sig, n, &b->port[n - 1], e);
    return rc;
}

static int board_bridges(struct board *b, struct err *e)
{
    const struct bridges_cfg c = {.shadow = &b->shadow,
                                  .set_up = !b->cfg.firmware || b->cfg.xen_firmware,
                                  .uefi = b->cfg.uefi != NULL,
                                  .power = b->cfg.uefi || b->cfg.pm_function,
                                  .q35 = b->cfg.q35};

    return bridges_create(&b->env, &c, e);
}

static int board_chipset(struct board *b, struct err *e)
{
    const struct board_signal sig = {b->cfg.event, b->cfg.event_arg};
    struct rtc_cfg rtc = {.local = b->cfg.rtc_local,
                          .memory = b->cfg.memory,
                          .q35 = b->cfg.q35,
                          .cpus = b->cfg.cpus,
                          .alarm = pm_clock_alarm};
    struct env env = b->env;
    struct device *d = NULL;
    int rc;

    rc = board_bridges(b, e);
    if (rc == 0)
        rc = board_ports(b, &sig, e);
    if (rc == 0 && board_wants_holes(&b->cfg))
        rc = vga_create(&env, b->cfg.hub, board_vga_start(&b->cfg), e);
    if (rc < 0)
        return rc;
    env.id = "pm";
    rc = board_take(b, pm_create(&env, &sig, &d, e), &d);
    if (rc < 0)
        return rc;
    b->pm = rtc.alarm_arg = b->devices;
    if (b->cfg.s3)
        pm_offer_s3(b->pm);
    rc = board_plugs(b, &sig, e);
    if (rc < 0)
        return rc;
    env.id = "com1";
    rc = board_take(b, uart_create(&env, 0x3f8, 4, b->cfg.com1, &d, e), &d);
    if (rc < 0)
        return rc;
    env.id = "rtc";
    rc = board_take(b, rtc_create(&env, &rtc, &d, e), &d);
    if (rc < 0)
        return rc;
    b->rtc = d;
    env.id = "dma";
    rc = board_take(b, dma_create(&env, &b->dma, e), &b->dma);
    if (rc < 0)
        return rc;
    if (b->cfg.firmware)
        firmware_cmos(b->rtc, false, NULL, 0);
    env.id = "i8042";
    rc = board_take(b, i8042_create(&env, &sig, b->cfg.hub, &d, e), &d);
    if (rc < 0)
        return rc;
    rc = board_extras(b, e);
    if (rc < 0)
        return rc;
    env.id = "pvpanic";
    if (!b->cfg.no_pvpanic)
        rc = board_take(b, pvpanic_create(&env, &sig, &d, e), &d);
    if (rc < 0 || !b->cfg.testdev)
        return rc;
    env.id = "testdev";
    return board_take(b, testdev_create(&env, &sig, &d, e), &d);
}

static void board_tables_wanted(void *arg);

/* UEFI has the end of its image below 1 MiB, which it never looks at there. It makes room. */
static int board_low(struct board *b, const uint8_t *image, size_t size, struct err *e)
{
    size_t n = min_u64(size, BOARD_LOW_SIZE);

    b->low = mmap(NULL, BOARD_LOW_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b->low == MAP_FAILED) {
        b->low = NULL;
        return err_set(e, ENOMEM, "no memory for tables below 1 MiB");
    }
    memcpy(b->low + BOARD_LOW_SIZE - n, image + size - n, n);
    shadow_rom(&b->shadow, b->low, BOARD_LOW_SIZE);
    return 0;
}

static int board_firmware(struct board *b, struct err *e)
{
    struct env env = b->env;

    const uint8_t *image;
    size_t size;
    int rc;

    env.id = "fwcfg";
    rc = firmware_create(b, &env, &b->cfg, &b->firmware, e);
    if (rc < 0)
        return rc;
    if (firmware_uefi(b->firmware))
        firmware_on_tables(b->firmware, board_tables_wanted, b);
    image = firmware_image(b->firmware, &size);
    if (firmware_uefi(b->firmware) && b->cfg.low_acpi)
        return board_low(b, image, size, e);
    shadow_rom(&b->shadow, image, size);
    return 0;
}

int board_create(const struct board_cfg *c, struct board **out, struct err *e)
{
    struct board *b = calloc(1, sizeof(*b));
    int rc;

    if (!b)
        return err_set(e, ENOMEM, "no memory for a machine");
    if (c->memory <= LAYOUT_ROM_END) {
        free(b);
        return err_set(e, EINVAL, "a PC needs more than 1 MiB of memory: give it more");
    }
    b->cfg = *c;
    b->env = (struct env){.mem = c->mem, .loop = c->loop, .irqs = c->irqs};
    rc = gmem_ram_size(c->mem) ? 0 : board_ram(c, e);
    if (rc == 0)
        board_shadow(b);
    if (rc == 0)
        rc = board_buses(b, e);
    if (rc == 0 && c->firmware)
        rc = board_firmware(b, e);
    if (rc == 0)
        rc = board_chipset(b, e);
    if (rc < 0) {
        board_destroy(b);
        return rc;
    }
    *out = b;
    return 0;
}

void board_destroy(struct board *b)
{
    if (!b)
        return;
    while (b->devices) {
        struct device *d = b->devices;

        b->devices = d->next;
        d->ops->destroy(d);
    }
    pci_bus_destroy(b->env.pci);
    shadow_fini(&b->shadow);
    if (b->low)
        munmap(b->low, BOARD_LOW_SIZE);
    firmware_destroy(b->firmware);
    bus_destroy(b->env.mmio);
    bus_destroy(b->env.pio);
    free(b);
}

const struct env *board_env(const struct board *b)
{
    return &b->env;
}

struct bus *board_bus(const struct board *b, enum bus_kind kind)
{
    return kind == BUS_PIO ? b->env.pio : b->env.mmio;
}

static bool board_has_floppy(const struct board *b)
{
    return b->floppy && floppy_cmos(b->floppy);
}

int board_floppy(struct board *b, struct disk *disk, const char *id, struct err *e)
{
    struct env env = b->env;
    int rc = 0;

    env.id = "floppy";
    if (!b->floppy)
        rc = board_take(b, floppy_create(&env, b->dma, &b->floppy, e), &b->floppy);
    if (rc == 0)
        rc = floppy_attach(b->floppy, disk, id, e);
    if (rc < 0) {
        disk_close(disk);
        return rc;
    }
    rtc_cmos_floppy(b->rtc, floppy_cmos(b->floppy));
    pci_boots(pci_at(b->env.pci, b->cfg.q35 ? BOARD_ISA_Q35 : BOARD_ISA), id, "isa",
              "fdc@03f0/floppy@%x", (unsigned)rc);
    if (b->cfg.firmware)
        firmware_cmos(b->rtc, true, NULL, 0);
    return 0;
}

int board_floppy_fits(struct board *b, const struct disk *disk, const struct disk *next,
                      const char *id, struct err *e)
{
    return floppy_fits(b->floppy, disk, next, id, e);
}

void board_floppy_changed(struct board *b, const struct disk *disk)
{
    floppy_changed(b->floppy, disk);
}

void board_boot_order(struct board *b, const struct board_boot *order, size_t n)
{
    b->boots = (size_t)min_u64(n, BOARD_BOOTS);
    memcpy(b->boot, order, b->boots * sizeof(*order));
    if (b->cfg.firmware)
        firmware_cmos(b->rtc, board_has_floppy(b), b->boot, b->boots);
}

void board_add(struct board *b, struct device *d)
{
    d->next = b->devices;
    b->devices = d;
}

/* --- tables and addresses --- */

static bool board_uefi(const struct board *b)
{
    return b->firmware && firmware_uefi(b->firmware);
}

/* Where tables go: to the ROM area, or out of the way of firmware. UEFI places them itself. */
static gpa_t board_tables_base(const struct board *b)
{
    return b->firmware ? layout_ram_low(b->cfg.memory, b->cfg.q35) - FIRMWARE_TABLES_ROOM
                       : BOARD_TABLES;
}

static int board_low_tables(struct board *b, const struct tables_cfg *c, struct err *e)
{
    struct tables block;
    gpa_t rsdp;
    int rc = b->low ? tables_init(&block, BOARD_LOW, FIRMWARE_TABLES_ROOM, e) : 0;

    if (rc < 0 || !b->low)
        return rc;
    rc = acpi_build(&block, c, &rsdp, e);
    if (rc == 0)
        memcpy(b->low, block.bytes, block.room);
    tables_fini(&block);
    return rc;
}

static int board_tables(struct board *b, struct tables *block, const struct tables_cfg *c,
                        struct err *e)
{
    struct firmware_roots r = {0};
    int rc = acpi_build(block, c, &r.rsdp, e);

    if (rc == 0)
        rc = smbios_build(block, c, &r.smbios, e);
    if (rc == 0 && (!b->firmware || b->cfg.xen_firmware))
        rc = mptable_build(block, c, &r.mp, e);
    b->rsdp = r.rsdp;
    if (rc == 0 && !board_uefi(b) &&
        gmem_write(b->cfg.mem, block->base, block->bytes, block->room) < 0)
        rc = err_set(e, EINVAL, "the guest has no memory for its tables: give it at least 1 MiB");
    if (rc == 0 && b->firmware)
        rc = firmware_place(b->firmware, b, c, block, &r, e);
    if (rc == 0)
        rc = board_low_tables(b, c, e);
    if (rc == 0 && b->firmware && b->boots)
        rc = firmware_order(b->firmware, b->env.pci, b->boot, b->boots, e);
    return rc;
}

/* Where firmware puts configuration space; UEFI has done so before it asks for tables. */
static gpa_t board_ecam(const struct board *b)
{
    if (!b->cfg.q35)
        return LAYOUT_ECAM;
    return board_uefi(b) && pci_ecam_at(b->env.pci) ? pci_ecam_at(b->env.pci) : LAYOUT_ECAM_Q35;
}

static struct tables_cfg board_facts(const struct board *b)
{
    struct tables_cfg c = {.cpus = b->cpuplug ? cpuplug_count(b->cpuplug) : b->cfg.cpus,
                           .cpus_max = b->cfg.cpus_max,
                           .memory = b->cfg.memory,
                           .q35 = b->cfg.q35,
                           .ecam = board_ecam(b),
                           .last_bus = board_last_bus(b),
                           .hpet = b->cfg.hpet,
                           .tpm = b->cfg.tpm != NULL,
                           .pvpanic = !b->cfg.no_pvpanic,
                           .floppy = board_has_floppy(b),
                           .s3 = b->cfg.s3,
                           .plug_slots = b->plug_slots,
                           .pci = b->told,
                           .mem64 = pci_bus_uses_mem64(b->env.pci),
                           .hooks = *b->said};

    memcpy(c.uuid, b->cfg.uuid, sizeof(c.uuid));
    return c;
}

/* UEFI looks for ACPI tables when it has placed PCI devices, and where it put them is in those. */
static void board_tables_wanted(void *arg)
{
    struct board *b = arg;
    struct pci_extent now = pci_bus_extent(b->env.pci);
    struct tables block;
    struct tables_cfg c;
    struct err e = {0};
    gpa_t rsdp;
    int rc;

    if (!b->awake)
        firmware_awake(b->firmware);
    b->awake = true;
    if (!b->said || memcmp(&now, &b->told, sizeof(now)) == 0)
        return;
    b->told = now;
    c = board_facts(b);
    rc = tables_init(&block, board_tables_base(b), FIRMWARE_TABLES_ROOM, &e);
    if (rc == 0)
        rc = acpi_build(&block, &c, &rsdp, &e);
    if (rc == 0)
        rc = firmware_acpi(b->firmware, &block, rsdp, &e);
    if (rc == 0)
        rc = board_low_tables(b, &c, &e);
    if (rc < 0)
        log_line(LOG_WARN, "firmware", "ACPI tables are not up to date: %s", e.msg);
    tables_fini(&block);
}

/* Once, when all devices of the start are there. */
static void board_empty_slots(struct board *b)
{
    for (unsigned slot = 1; slot < 32 && b->plug; slot++) {
        if (!pci_at(b->env.pci, slot << 3))
            b->plug_slots |= UINT32_C(1) << slot;
    }
}

int board_plug_came(struct board *b, const struct pci_dev *p)
{
    unsigned slot = p->devfn >> 3;

    if (p->port) {
        port_came(b->port[p->port - 1]);
        return 0;
    }
    if (!b->plug || (p->devfn & 7) || !(b->plug_slots >> slot & 1))
        return -ENOTSUP;
    pciplug_came(b->plug, slot);
    return 0;
}

void board_plug_ask(struct board *b, const struct pci_dev *p)
{
    if (p->port)
        port_ask(b->port[p->port - 1]);
    else
        pciplug_ask(b->plug, p->devfn >> 3);
}

/* Firmware waits for as many processors as the clock's memory says. */
void board_cpus_came(struct board *b, unsigned cpus)
{
    rtc_cpus(b->rtc, cpus);
    cpuplug_came(b->cpuplug, cpus);
}

/* Ports find what is behind them; what comes later comes there. */
static void board_settle(struct board *b)
{
    for (unsigned n = 0; n < PCI_PORTS && b->cfg.q35; n++)
        port_settle(b->port[n]);
    if (b->cfg.q35)
        pci_slots_behind(b->env.pci);
}

int board_place(struct board *b, const struct board_tables *t, struct err *e)
{
    struct tables_cfg c;
    struct tables block;
    int rc = b->firmware && !b->cfg.xen_firmware ? 0 : pci_bus_assign(b->env.pci, e);

    if (rc < 0)
        return rc;
    if (!b->said)
        board_empty_slots(b);
    board_settle(b);
    b->said = t;
    b->told = (struct pci_extent){0};
    b->awake = false;
    c = board_facts(b);
    rc = tables_init(&block, board_tables_base(b),
                     b->firmware ? FIRMWARE_TABLES_ROOM : BOARD_TABLES_ROOM, e);
    if (rc < 0)
        return rc;
    rc = board_tables(b, &block, &c, e);
    tables_fini(&block);
    return rc;
}

void board_reset(struct board *b)
{
    for (struct device *d = b->devices; d; d = d->next)
        d->ops->reset(d);
    pci_bus_reset(b->env.pci);
}

void board_wake(struct board *b)
{
    bridges_hold(b->env.pci, true);
    board_reset(b);
    bridges_hold(b->env.pci, false);
    pm_woken(b->pm);
    if (b->firmware)
        rtc_cmos_set(b->rtc, CMOS_SHUTDOWN, CMOS_SHUTDOWN_S3);
}

uint32_t board_waking_vector(const struct board *b)
{
    return acpi_waking_vector(b->cfg.mem, b->rsdp);
}

size_t board_ranges(const struct board *b, struct board_range *out, size_t max)
{
    const uint64_t low = layout_ram_low(b->cfg.memory, b->cfg.q35);
    const uint64_t high = layout_ram_high(b->cfg.memory, b->cfg.q35);
    gpa_t tables = board_tables_base(b);
    const struct board_range without[] = {
        {0, LAYOUT_EBDA, BOARD_RANGE_RAM},
        {LAYOUT_EBDA, 0xa0000 - LAYOUT_EBDA, BOARD_RANGE_RESERVED},
        {BOARD_TABLES, BOARD_TABLES_ROOM, BOARD_RANGE_RESERVED},
        {LAYOUT_ROM_END, low - LAYOUT_ROM_END, BOARD_RANGE_RAM},
    };
    /* Firmware itself carves up what is below 1 MiB. */
    const struct board_range with[] = {
        {0, board_uefi(b) ? low : tables, BOARD_RANGE_RAM},
        {tables, board_uefi(b) ? 0 : low - tables, BOARD_RANGE_RESERVED},
    };
    const struct board_range rest[] = {
        /* UEFI takes it for its own PCI window, and guests learn of it by ACPI. */
        {board_ecam(b), board_uefi(b) ? 0 : LAYOUT_ECAM_BUS_SIZE * (board_last_bus(b) + 1u),
         BOARD_RANGE_RESERVED},
        {HOST_RESERVED, HOST_RESERVED_SIZE, BOARD_RANGE_RESERVED},
        {LAYOUT_RAM_HIGH, high, BOARD_RANGE_RAM},
    };
    size_t n = 0, lows = b->firmware ? ARRAY_SIZE(with) : ARRAY_SIZE(without);

    for (size_t i = 0; i < lows && n < max; i++) {
        const struct board_range *r = b->firmware ? &with[i] : &without[i];

        if (r->size)
            out[n++] = *r;
    }
    for (size_t i = 0; i < ARRAY_SIZE(rest) && n < max; i++) {
        if (rest[i].size)
            out[n++] = rest[i];
    }
    return n;
}

gpa_t board_rsdp(const struct board *b)
{
    return b->rsdp;
}

int board_button(struct board *b)
{
    return pm_button(b->pm);
}

void board_each(struct board *b, void (*fn)(void *arg, struct device *d), void *arg)
{
    for (struct device *d = b->devices; d; d = d->next)
        fn(arg, d);
    for (unsigned f = 0; f < PCI_PLACES; f++) {
        struct pci_dev *p = pci_at(b->env.pci, f);

        if (p)
            fn(arg, &p->dev);
    }
}

static void board_describe_one(void *arg, struct device *d)
{
    device_describe(d, arg);
}

void board_describe(struct board *b, struct dump *out)
{
    board_each(b, board_describe_one, out);
}
