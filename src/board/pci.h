/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci.h - PCI Local Bus 3.0 configuration space, BARs, capabilities, INTx, MSI and MSI-X.
 *
 * Configuration mechanism 1 (0xcf8/0xcfc) and ECAM give the same registers. A function is a
 * `struct pci_dev` inside a device model: the model fills ids and BARs, adds capabilities and
 * calls pci_add(); from then on the bus answers its configuration space, maps its BARs (the
 * model's io() gets region = BAR number) and keeps its MSI-X table.
 */
#ifndef HOSPES_BOARD_PCI_H
#define HOSPES_BOARD_PCI_H

#include "board/bus.h"
#include "board/device.h"

enum pci_bar_kind {
    PCI_BAR_NONE,
    PCI_BAR_IO,
    PCI_BAR_MEM32,
    PCI_BAR_MEM64,
    PCI_BAR_MEM64_PREF,
    PCI_BAR_MEM32_PREF,
    PCI_BAR_EXPANSION_ROM,
};

/* Regions that the bus itself passes to io() are BAR numbers 0-5. PCI_ROM is the expansion ROM's
 * place behind them: memory of the model's that guests cannot write. */
/* Where functions are, for pci_at(): on bus 0 by devfn, and function 0 behind the n-th port (from 1
 * on) at PCI_BEHIND + n. Slots are numbered likewise: those of bus 0, and behind port n
 * PCI_PLACE_PORT + n. */
enum { PCI_PORTS = 6, PCI_BEHIND = 255, PCI_PLACE_PORT = 31, PCI_PLACES = 256 + PCI_PORTS };
enum { PCI_BARS = 6, PCI_ROM = 6, PCI_BARS_ALL = 7, PCI_CONFIG_SIZE = 4096 };

/* Configuration header, PCI Local Bus 3.0 chapter 6 (type 0). */
enum pci_register {
    PCI_VENDOR_ID = 0x00,
    PCI_DEVICE_ID = 0x02,
    PCI_COMMAND = 0x04,
    PCI_COMMAND_IO = 0x0001,
    PCI_COMMAND_MEMORY = 0x0002,
    PCI_COMMAND_MASTER = 0x0004,
    PCI_COMMAND_INTX_DISABLE = 0x0400,
    PCI_STATUS = 0x06,
    PCI_STATUS_INTERRUPT = 0x0008,
    PCI_STATUS_CAP_LIST = 0x0010,
    PCI_CLASS_REVISION = 0x08,
    PCI_CACHE_LINE_SIZE = 0x0c,
    PCI_LATENCY_TIMER = 0x0d,
    PCI_HEADER_TYPE = 0x0e,
    PCI_BASE_ADDRESS_0 = 0x10,
    PCI_PRIMARY_BUS = 0x18, /* of bridges: then secondary and subordinate */
    PCI_SECONDARY_BUS = 0x19,
    PCI_IO_BASE = 0x1c, /* then limits */
    PCI_MEMORY_BASE = 0x20,
    PCI_PREF_BASE = 0x24,
    PCI_PREF_UPPER = 0x28, /* halves of the same */
    PCI_SUBSYSTEM_VENDOR_ID = 0x2c,
    PCI_SUBSYSTEM_ID = 0x2e,
    PCI_ROM_ADDRESS = 0x30,
    PCI_ROM_ADDRESS_ENABLE = 1,
    PCI_CAPABILITY_LIST = 0x34,
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_INTERRUPT_PIN = 0x3d,
    PCI_BRIDGE_CONTROL = 0x3e,
    PCI_CAP_ID_PM = 0x01,
    PCI_CAP_ID_MSI = 0x05,
    PCI_CAP_ID_VNDR = 0x09,
    PCI_CAP_ID_EXP = 0x10,
    PCI_CAP_ID_MSIX = 0x11,
};

struct pci_bar {
    enum pci_bar_kind kind;
    uint64_t size; /* a power of two, at least 4 (I/O) or 16 (memory) */
    void *ram;     /* not NULL: device memory mapped into the guest, no io() calls */
    uint64_t addr; /* where it is decoded now, while mapped */
    bool mapped;
    bool blocked; /* private: enabled, but something else answers there */
};

struct pci_id {
    uint16_t vendor, device, subvendor, subdevice;
    uint32_t class_rev; /* class << 24 | subclass << 16 | prog-if << 8 | revision */
};

struct pci_msix;
struct pci_msi;

struct pci_dev {
    struct device dev; /* first: a pci_dev is a device */
    struct pci_bar bar[PCI_BARS_ALL];
    uint8_t config[PCI_CONFIG_SIZE];
    uint8_t writable[PCI_CONFIG_SIZE]; /* bits the guest may set */
    uint8_t cap_end;                   /* where the next capability goes */
    struct pci_msix *msix;             /* private, as is all up to bus */
    struct pci_msi *msi;
    bool own_rom; /* the expansion ROM's memory is this layer's */
    bool intx_up; /* the model wants its pin up */
    bool hidden;
    bool intx_pulls; /* it pulls its wire: not switched off in the command register */
    uint8_t devfn;
    uint8_t port; /* the one that it is behind; 0: it is on bus 0 */
    struct pci_bus *bus;
    /* May be NULL. After a configuration write, under the device's lock. */
    void (*config_written)(struct pci_dev *p, unsigned off, unsigned size);
    /* May be NULL. Before a configuration read of [off, off+size), likewise: the model brings
     * config[] up to date for registers that are windows to somewhere else. */
    void (*config_reading)(struct pci_dev *p, unsigned off, unsigned size);
};

/* Zeroes nothing; p is zeroed by the caller. Sets dev.ops, dev.env and the header, with interrupt
 * pin A for all but bridges (clear config[PCI_INTERRUPT_PIN] to have none). */
void pci_init(struct pci_dev *p, const struct device_ops *ops, const struct env *env,
              const struct pci_id *id);

/* Appends a capability of len bytes (the first two are filled in); returns its offset, 0 when the
 * header is full. write (may be NULL): which bits the guest may set. */
MUST unsigned pci_add_cap(struct pci_dev *p, uint8_t id, const void *body, const void *write,
                          unsigned len);

/* MSI-X with `vectors` entries, table and pending bits in BAR `bar`, which it takes whole. */
MUST int pci_add_msix(struct pci_dev *p, unsigned bar, unsigned vectors, struct err *e);
MUST int pci_add_msi(struct pci_dev *p, unsigned vectors, struct err *e);

/* iPXE's option ROM of that name ("pxe-e1000.rom"), from the installed package ipxe-qemu, by which
 * firmware can start a guest through this card. 0 also without the package: then it cannot, and the
 * card does all the rest. Before pci_add(). */
MUST int pci_add_rom(struct pci_dev *p, const char *file, struct err *e);

/* Puts p at devfn (slot << 3 | function) or PCI_BEHIND + n, or at the first free slot for -1; the
 * bus owns p from here and destroys it. -EBUSY when the slot is taken or there is none. */
MUST int pci_add(struct pci_bus *b, struct pci_dev *p, int devfn, struct err *e);
/* Takes p off the bus (surprise removal) and frees all that this layer made for it; the caller
 * then frees the model. Also for a p that was initialised and never added. No lock is held. */
void pci_remove(struct pci_dev *p);

/* p answers no configuration access, no BAR of it is decoded and its pin pulls nothing, until the
 * next reset or until it is shown again: another driver has taken over what it leads to. Any
 * thread, no lock held. */
void pci_hide(struct pci_dev *p, bool hide);

/* Raises vector v by MSI-X or MSI when the guest has switched that on; a masked vector becomes
 * pending. false: neither is on, so the model sets its status register and calls pci_intx(). Any
 * thread, with or without the device's lock. */
bool pci_notify(struct pci_dev *p, unsigned v);
bool pci_msix_enabled(const struct pci_dev *p);
/* The irq of MSI-X vector v, NULL when there is none: for writing its fd from the kernel. What is
 * signalled that way while the vector is masked is lost, so a model that hands the fd out calls
 * pci_notify() once after pci_msix_enabled() or the mask may have changed. */
struct irq *pci_msix_irq(struct pci_dev *p, unsigned v);
/* The model's INTx pin; under the device's lock. */
void pci_intx(struct pci_dev *p, bool up);

/* Firmware can start from `id` ("disk0"), which is behind p on its bus: by the names of Open
 * Firmware p is a `node` (a literal), and `tail` is what follows. A device may have several faces,
 * each with the same id. Forgotten with p; nothing happens when memory is out, or for a p that is
 * NULL or on no bus. */
void pci_boots(struct pci_dev *p, const char *id, const char *node, const char *tail, ...)
    PRINTF_LIKE(4, 5);

/* Register accessors for models. */
static inline void pci_config_set16(struct pci_dev *p, unsigned off, uint16_t v)
{
    p->config[off] = (uint8_t)v;
    p->config[off + 1] = (uint8_t)(v >> 8);
}
static inline uint16_t pci_config_get16(const struct pci_dev *p, unsigned off)
{
    return (uint16_t)(p->config[off] | p->config[off + 1] << 8);
}

/* --- the bus, for the board --- */

/* Windows that firmware (or, without firmware, the board) puts BARs into. */
struct pci_windows {
    uint64_t io_base, io_size, mem_base, mem_size, mem64_base, mem64_size;
    uint64_t ecam_base; /* 0: the chipset says later, by pci_ecam() */
    uint8_t last_bus;   /* bus numbers 0..last_bus decode in ECAM */
    bool q35;           /* pins lead to wires as on that board */
};

MUST int pci_bus_create(const struct env *env, const struct pci_windows *w, struct pci_bus **out,
                        struct err *e);
/* Destroys the functions too. */
void pci_bus_destroy(struct pci_bus *b);
/* Resets every function: BARs are not decoded any more, all writable bits of its configuration
 * are zero, MSI and MSI-X are off; then the model's reset(). */
void pci_bus_reset(struct pci_bus *b);
/* Byte accesses to port 0xcf9, which lies inside mechanism 1's address register. */
void pci_bus_on_cf9(struct pci_bus *b, void (*io)(void *arg, enum access dir, uint64_t *val),
                    void *arg);
/* Gives every BAR an address, as firmware would: for direct kernel boot. */
MUST int pci_bus_assign(struct pci_bus *b, struct err *e);
/* The GSI behind pin (0-3) of a slot of bus 0, for ACPI's _PRT: as firmware sets the routes. */
unsigned pci_gsi_of(unsigned slot, unsigned pin, bool q35);
static inline unsigned pci_gsi(unsigned slot, unsigned pin)
{
    return pci_gsi_of(slot, pin, false);
}
/* Is it the bus of a q35, with its disks' controller at 1f.2? */
bool pci_is_q35(const struct pci_bus *b);
/* Puts the configuration space of `buses` buses at base; 0: nowhere, and so it is where something
 * else answers. From the chipset's configuration registers, or before the machine runs. */
void pci_ecam(struct pci_bus *b, uint64_t base, unsigned buses);
/* Where that is now; 0: nowhere. */
uint64_t pci_ecam_at(const struct pci_bus *b);
/* Leads wire 0-3 (PIRQ A to D) to a line 0-15, or nowhere (-1). At first they are as pci_gsi()
 * says. Any thread. A line that cannot be had leads nowhere. */
void pci_route(struct pci_bus *b, unsigned wire, int gsi);
int pci_route_default(unsigned wire);
struct pci_dev *pci_at(struct pci_bus *b, unsigned devfn);
/* The slot that p is in. */
unsigned pci_place(const struct pci_dev *p);
/* p, which is on bus 0, is the bridge to what is behind port n. Before the machine runs. */
void pci_leads(struct pci_dev *p, unsigned n);
/* From now on what gets the first free slot gets one behind a port: the guest runs, and is told. */
void pci_slots_behind(struct pci_bus *b);
/* The lines of firmware's boot order for these n ids, malloc()ed; what cannot be started from is
 * left out. NULL: no memory. */
char *pci_boot_order(struct pci_bus *b, const char *const *id, size_t n);
/* Where memory BARs and the ports' windows are, by their registers, whether decoded or not; 0: none
 * there. */
struct pci_extent {
    uint64_t low;            /* the lowest below 4 GiB */
    uint64_t high, high_end; /* above */
};
struct pci_extent pci_bus_extent(struct pci_bus *b);
/* true when a BAR was assigned to the 64-bit window. */
bool pci_bus_uses_mem64(const struct pci_bus *b);

#endif
