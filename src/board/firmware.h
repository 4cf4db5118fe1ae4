/* SPDX-License-Identifier: Apache-2.0 */
/*
 * firmware.h - a BIOS image, or UEFI, in its place below 4 GiB, and what the board tells it by
 * fw_cfg.
 *
 * Threads: those of board.h.
 */
#ifndef HOSPES_BOARD_FIRMWARE_H
#define HOSPES_BOARD_FIRMWARE_H

#include "board/tables.h"

struct firmware;

/* The last piece of RAM below 4 GiB, where tables stay and firmware builds nothing. */
#define FIRMWARE_TABLES_ROOM UINT64_C(0x10000)

/* Where the tables' roots are; mp 0: firmware makes MP tables itself. */
struct firmware_roots {
    gpa_t rsdp, smbios /* its 2.1 entry point */, mp;
};

/* c->bios NULL: SeaBIOS from where distributions put it. Devices are added to the board. *out is to
 * be destroyed after them, also on failure. */
MUST int firmware_create(struct board *b, const struct env *env, const struct board_cfg *c,
                         struct firmware **out, struct err *e);
void firmware_destroy(struct firmware *fw);
/* The image's bytes, which end at 4 GiB for the guest. */
const uint8_t *firmware_image(const struct firmware *fw, size_t *size);
/* CMOS: boots what order says by its kinds, then disks, then CD-ROMs; floppies before them if there
 * are any. */
void firmware_cmos(struct device *rtc, bool floppy, const struct board_boot *order, size_t n);
/* The same device by device. */
MUST int firmware_order(struct firmware *fw, struct pci_bus *pci, const struct board_boot *order,
                        size_t n, struct err *e);

/* As after power-on, after the bridges' reset. Tables are in place already. */
MUST int firmware_place(struct firmware *fw, struct board *b, const struct tables_cfg *c,
                        struct tables *t, const struct firmware_roots *r, struct err *e);

/* Is it UEFI? Then tables are files which firmware places itself, and told(arg) is called on a
 * vCPU's thread before it looks for them: firmware_acpi() may bring them up to date there. */
bool firmware_uefi(const struct firmware *fw);
void firmware_on_tables(struct firmware *fw, void (*told)(void *arg), void *arg);
/* The first time that it told since power-on. */
void firmware_awake(struct firmware *fw);
MUST int firmware_acpi(struct firmware *fw, struct tables *t, gpa_t rsdp, struct err *e);

#endif
