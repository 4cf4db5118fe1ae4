/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board.h - one PC: buses, chipset and tables, put together from parameters.
 *
 * Life: board_create() makes RAM, the buses and the chipset. The persona then adds its devices by
 * board_env() and board_add() or pci_add(). board_place() gives BARs their addresses and writes the

 * firmware tables, or with firmware puts that back as after power-on; it is called when all devices
 are there, and again after each board_reset().
 *
 * Threads: board_reset(), board_place() and board_destroy() run with every vCPU stopped, on the
 * loop's thread or before it runs. board_button() may be called on any thread.
 */
#ifndef HOSPES_BOARD_BOARD_H
#define HOSPES_BOARD_BOARD_H

#include "board/bus.h"
#include "board/device.h"
#include "board/smbios.h"

struct aml;
struct board;
struct board_uefi;
struct hub;
struct pci_bus;
struct pci_dev;

enum board_event {
    BOARD_POWEROFF,  /* ACPI S5 */
    BOARD_RESET,     /* reset register, port 0x92, keyboard controller */
    BOARD_PANIC,     /* panic notice; the guest goes on as it likes */
    BOARD_TEST_EXIT, /* --testdev: value is what the process must end with */
    BOARD_SLEEP,     /* ACPI S3: processors stop until BOARD_WAKE, and then board_wake() */
    BOARD_WAKE,
    BOARD_EJECT, /* the guest gives up PCI slot `value` (pci_place()), which came by
                  * board_plug_came() */
};

struct board_cfg {
    unsigned cpus;
    unsigned cpus_max; /* that board_cpus_came() may bring it to; 0: the same */
    uint64_t memory;   /* bytes */
    bool hugetlb;      /* RAM from the host's huge page pool */
    struct gmem *mem;  /* empty: the board adds RAM; else board_ram() did */
    struct loop *loop;
    struct irqs *irqs;
    const struct doorbells *doorbells; /* NULL: every doorbell is an io() call */
    struct console *com1;              /* NULL: nothing is connected */
    uint8_t uuid[16];                  /* as printed, big-endian fields */
    bool rtc_local;                    /* the clock holds local time */
    bool hpet;                         /* an event timer: not in every hypervisor */
    bool fdc;                          /* a floppy controller, also without a drive */
    bool pm_function; /* power management has a PCI function, where a BIOS finds the PM timer; with
                       * UEFI it always has */
    const uint8_t *genid;          /* 16 bytes of a generation id, as they lie in memory; read by
                                    * board_create() alone; NULL: none */
    bool no_pvpanic;               /* leave the panic notifier out: not in every hypervisor */
    bool q35;                      /* a PC with PCI Express; else an i440FX */
    bool vga;                      /* a screen; always there with firmware and a bios_kernel */
    bool bios_kernel;              /* a kernel made for machines with a BIOS, without firmware */
    struct hub *hub;               /* who looks and types; may be NULL */
    bool testdev;                  /* the test devices of kvm-unit-tests */
    bool s3;                       /* suspend to RAM is offered */
    bool pci_plug;                 /* PCI slots that are empty at the start may be filled */
    bool firmware;                 /* a BIOS starts the machine and places its devices */
    bool xen_firmware;             /* tell it all as Xen does: it will see Xen's CPUID leaves */
    bool low_acpi;                 /* with UEFI: ACPI tables are below 1 MiB, too */
    unsigned menu_ms;              /* it waits so long for who wants its menu; 0: no menu */
    const char *bios;              /* its image; NULL: the installed SeaBIOS */
    const struct board_tpm *tpm;   /* read by board_create() alone; NULL: none */
    const struct board_uefi *uefi; /* with firmware; read by board_create() alone; NULL: a BIOS */
    /* Any thread, mostly a vCPU's inside io(), so it must not block or call back. text may be
     * NULL. */
    void (*event)(void *arg, enum board_event what, unsigned value, const char *text);
    void *event_arg;
};

/* A TPM: connected sockets of an swtpm, which outlive the board. */
struct board_tpm {
    int data, ctrl;
};

/* UEFI instead of a BIOS. NULL: what is usual. */
struct board_uefi {
    const char *code, *vars; /* the firmware's two files: both or none; the installed OVMF */
    bool secure;             /* of the installed ones those with Secure Boot, keys and all */
    const char *nvram;       /* where its variables are kept; nowhere */
    bool nested_tcg;         /* it runs on KVM inside QEMU's TCG: see uefi_tame() */
    /* A kernel that it shall start as an EFI program; initrd and append may be NULL. */
    const char *kernel, *initrd, *append;
};

/* A range of the memory map, as in the e820 table. */
enum board_range_type { BOARD_RANGE_RAM = 1, BOARD_RANGE_RESERVED = 2, BOARD_RANGE_ACPI = 3 };
struct board_range {
    gpa_t base;
    uint64_t size;
    enum board_range_type type;
};

/* What the persona says in the tables. */
struct board_tables {
    struct smbios_id smbios;
    /* Appends to the DSDT's \_SB scope; may be NULL. */
    void (*acpi)(void *arg, struct aml *out);
    void *acpi_arg;
    const char *genid_hid; /* the hardware id of a board's generation id; not NULL if it has one */
};

/* Puts c->memory bytes of RAM into c->mem where a board of that kind has them, for who needs them
 * before there is a board: of c the kind of machine, hugetlb, vga and how it starts count, and must
 * be the same in board_create(). */
MUST int board_ram(const struct board_cfg *c, struct err *e);
MUST int board_create(const struct board_cfg *c, struct board **out, struct err *e);
/* Destroys all devices, PCI ones included. NULL is fine. */
void board_destroy(struct board *b);

/* What devices on this board are given. id is NULL: fill it in a copy. */
const struct env *board_env(const struct board *b);
struct bus *board_bus(const struct board *b, enum bus_kind kind);

/* Adds a floppy drive with that disk in it, before board_place(). Takes the disk over, also on
 * failure. */
MUST int board_floppy(struct board *b, struct disk *disk, const char *id, struct err *e);

/* floppy_fits() and floppy_changed() of the drive with that disk. */
MUST int board_floppy_fits(struct board *b, const struct disk *disk, const struct disk *next,
                           const char *id, struct err *e);
void board_floppy_changed(struct board *b, const struct disk *disk);

/* What firmware tries first, and then; the rest follows as it likes. order[0] is the first. Before
 * board_place(), when all devices are there; ids live as long as the board. */
enum board_boot_kind { /* as CMOS has them */
                       BOARD_BOOT_FLOPPY = 1,
                       BOARD_BOOT_DISK,
                       BOARD_BOOT_CDROM,
                       BOARD_BOOT_NETWORK,
};
struct board_boot {
    const char *id; /* "disk0", "nic0" */
    enum board_boot_kind kind;
};
enum { BOARD_BOOTS = 80 };
void board_boot_order(struct board *b, const struct board_boot *order, size_t n);

/* d is reset, described and destroyed with the board. Not for PCI functions: see pci_add(). */
void board_add(struct board *b, struct device *d);

/* BAR addresses and tables. t and what it points to must live until the board is destroyed. */
MUST int board_place(struct board *b, const struct board_tables *t, struct err *e);
void board_reset(struct board *b);

/* As after power-on, for a machine that slept: memory, and what firmware made of the space below
 * 1 MiB, stay. Where the first processor goes on is board_waking_vector()'s word, unless firmware
 * starts: a real-mode address, 0: the guest has said none. Like board_reset(), and instead of
 * board_place() after it. */
void board_wake(struct board *b);
uint32_t board_waking_vector(const struct board *b);

/* Tells the guest of a function that pci_add() has put into a slot while it runs. -ENOTSUP: it
 * cannot be told of this one. */
MUST int board_plug_came(struct board *b, const struct pci_dev *p);
/* Tells the guest that it has `cpus` processors now, at most cpus_max. */
void board_cpus_came(struct board *b, unsigned cpus);
/* Asks the guest to give it up: BOARD_EJECT comes when it has. */
void board_plug_ask(struct board *b, const struct pci_dev *p);

/* The memory map in ascending order; the number of ranges, at most max. */
size_t board_ranges(const struct board *b, struct board_range *out, size_t max);
/* Where the root pointer of ACPI is, for boot protocols that hand it over. */
gpa_t board_rsdp(const struct board *b);

/* Presses the power button. -ENOTSUP: the guest has not enabled it (no ACPI driver yet). */
MUST int board_button(struct board *b);

void board_describe(struct board *b, struct dump *out);
/* Calls fn for every device, those on PCI last. */
void board_each(struct board *b, void (*fn)(void *arg, struct device *d), void *arg);

#endif
