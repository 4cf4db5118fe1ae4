/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chipset.h - the PC's fixed devices. Each create() claims its ports and lines on env and leaves
 * *out to the caller, who puts it on the machine's list.
 */
#ifndef HOSPES_BOARD_CHIPSET_H
#define HOSPES_BOARD_CHIPSET_H

#include "board/board.h"

/* How a chipset device tells the machine; board_cfg.event. */
struct board_signal {
    void (*event)(void *arg, enum board_event what, unsigned value, const char *text);
    void *arg;
};

/* One creation's bookkeeping: claims a port range, and gets a line. */
MUST int chipset_claim(const struct env *env, uint16_t port, unsigned len, struct device *d,
                       unsigned region, struct err *e);
MUST int chipset_line(const struct env *env, unsigned gsi, struct irq **out, struct err *e);
/* Before the model is freed: regions 0..regions-1 and the line (may be NULL). */
void chipset_free(struct device *d, unsigned regions, struct irq *line);
/* Calls io() once per byte, for wide accesses to models whose registers are bytes. */
void chipset_bytes(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
                   uint64_t *val);

/* uart.c: a 16550A at port..port+7. con may be NULL. */
MUST int uart_create(const struct env *env, uint16_t port, unsigned gsi, struct console *con,
                     struct device **out, struct err *e);

/* rtc.c: clock and CMOS memory at 0x70. */
struct rtc_cfg {
    bool local;             /* the clock holds the host's local time, else UTC */
    uint64_t (*wall)(void); /* nanoseconds since 1970; NULL: the host's clock */
    void (*alarm)(
        void *arg); /* NULL: nobody wants to know when it goes off. Under the device's lock */
    void *alarm_arg;
    uint64_t memory;
    bool q35; /* where that memory lies */
    unsigned cpus;
};
MUST int rtc_create(const struct env *env, const struct rtc_cfg *c, struct device **out,
                    struct err *e);
void rtc_cmos_set(struct device *d, unsigned at, uint8_t v);
/* Drives' types, as in the byte at 0x10, and the equipment byte with them. */
void rtc_cmos_floppy(struct device *d, uint8_t types);
/* How many processors firmware waits for. */
void rtc_cpus(struct device *d, unsigned cpus);

/* hpet.c: an event timer at LAYOUT_HPET. */
MUST int hpet_create(const struct env *env, struct device **out, struct err *e);

/* genid.c: a generation id, in the order in which it lies in memory, at LAYOUT_GENID. */
MUST int genid_create(const struct env *env, const uint8_t id[16], struct device **out,
                      struct err *e);

/* i8042.c: keyboard and mouse, which hub (may be NULL) can use. */
struct hub;
MUST int i8042_create(const struct env *env, const struct board_signal *sig, struct hub *hub,
                      struct device **out, struct err *e);
/* A key as scan code set 1 without the break bit; extended: with prefix 0xe0. Loop's thread. false:
 * the keyboard's buffer is full. */
bool i8042_key(struct device *d, uint8_t code, bool extended, bool down);
/* Relative motion (y grows upwards), wheel, buttons: 1 left, 2 right, 4 middle. Loop's thread. */
void i8042_mouse(struct device *d, int dx, int dy, int wheel, unsigned buttons);

/* pm.c: ACPI fixed hardware, general purpose events, reset registers. */
MUST int pm_create(const struct env *env, const struct board_signal *sig, struct device **out,
                   struct err *e);
MUST int pm_button(struct device *d);
/* S3: BOARD_SLEEP and BOARD_WAKE may come. Before the machine runs. */
void pm_offer_s3(struct device *d);
/* After the reset that wakes a machine: says so, and why. */
void pm_woken(struct device *d);
/* The clock's alarm went off; arg is the device. Any thread. */
void pm_clock_alarm(void *arg);
/* Sets a general purpose event's status bit (0-15). Any thread. */
void pm_gpe(struct device *d, unsigned bit);

/* pciplug.c: ACPI hot plug of PCI slots; pm is told of events. */
MUST int pciplug_create(const struct env *env, const struct board_signal *sig, struct device *pm,
                        struct device **out, struct err *e);
/* Something came into a slot; the guest shall give it up again. */
void pciplug_came(struct device *d, unsigned slot);
void pciplug_ask(struct device *d, unsigned slot);

/* rootport.c: PCI Express port `number` (from 1 on) of a q35, at 1c.0 and on. BOARD_EJECT tells of
 * what the guest has given up. Destroyed with the bus. */
struct pci_dev;
MUST int port_create(const struct env *env, const struct board_signal *sig, unsigned number,
                     struct pci_dev **out, struct err *e);
/* What is behind it now was there from the start. With every vCPU stopped. */
void port_settle(struct pci_dev *p);
/* Something came; the guest shall give it up again. On the loop. */
void port_came(struct pci_dev *p);
void port_ask(struct pci_dev *p);

/* cpuplug.c: ACPI hot plug of processors, `cpus` of which are there; pm is told of events. */
MUST int cpuplug_create(const struct env *env, unsigned cpus, struct device *pm,
                        struct device **out, struct err *e);
/* There are `cpus` now, never fewer than before. */
void cpuplug_came(struct device *d, unsigned cpus);
unsigned cpuplug_count(struct device *d);

/* pvpanic.c: panic notices at port 0x505. */
MUST int pvpanic_create(const struct env *env, const struct board_signal *sig, struct device **out,
                        struct err *e);

/* bridges.c: the host bridge at 00.0 and the ISA bridge at 01.0 or, of a q35, 1f.0. shadow is set
 * by the PAM registers and lives as long as the board. */
struct pci_bus;
struct shadow;
struct bridges_cfg {
    struct shadow *shadow;
    bool set_up; /* no firmware will set them up: PAM and PIRQ registers are as it would leave them
                  */
    bool uefi;   /* PCI interrupts stay where ACPI says */
    bool power;  /* a PIIX has its power management function, too */
    bool q35;
};
/* true: the next reset leaves alone what is seen below 1 MiB. */
void bridges_hold(struct pci_bus *b, bool hold);
MUST int bridges_create(const struct env *env, const struct bridges_cfg *c, struct err *e);

/* fwcfg.c: what firmware is told, at 0x510. Items are copied; one that is there is replaced. With
 * every vCPU stopped. */
MUST int fwcfg_create(const struct env *env, struct device **out, struct err *e);
MUST int fwcfg_set(struct device *d, uint16_t key, const void *p, size_t n, struct err *e);
MUST int fwcfg_set_file(struct device *d, const char *name, const void *p, size_t n, struct err *e);
/* told(arg) before the directory is read, so that files may be brought up to date: on a vCPU's
 * thread, where fwcfg_set_file() is allowed. */
void fwcfg_on_directory(struct device *d, void (*told)(void *arg), void *arg);

/* pflash.c: a flash chip of whole blocks at a page boundary. */
enum { PFLASH_BLOCK = 4096 };
struct pflash_cfg {
    gpa_t base;
    const uint8_t *bytes; /* the array, whole pages; only write() changes it */
    size_t size;
    /* Changes bytes [off, off + n), inside the array. false: they cannot be kept. On a vCPU's
     * thread; must not block. */
    bool (*write)(void *arg, size_t off, const uint8_t *p, size_t n);
    void *arg;
};
MUST int pflash_create(const struct env *env, const struct pflash_cfg *c, struct device **out,
                       struct err *e);

/* tpm.c: a TPM 2.0 at LAYOUT_TPM. Powers swtpm on, and down at the end; c's sockets stay the
 * caller's and outlive it. startup: no firmware will start it up (TPM2_Startup), so that is done,
 * too. */
MUST int tpm_create(const struct env *env, const struct board_tpm *c, bool startup,
                    struct device **out, struct err *e);

/* testdev.c: the test devices of kvm-unit-tests. */
MUST int testdev_create(const struct env *env, const struct board_signal *sig, struct device **out,
                        struct err *e);

#endif
