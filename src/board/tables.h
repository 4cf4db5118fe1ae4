/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables.h - firmware tables, built in host memory and then written to the guest's.
 *
 * A `struct tables` is one block of guest memory that fills up from its base; pointers between
 * tables are guest addresses that tables_put() returns.
 */
#ifndef HOSPES_BOARD_TABLES_H
#define HOSPES_BOARD_TABLES_H

#include "board/board.h"
#include "board/pci.h"

struct tables {
    gpa_t base;
    size_t room, used;
    uint8_t *bytes; /* room of them */
};

/* What the tables describe. */
struct tables_cfg {
    unsigned cpus, cpus_max; /* that are there, that may be one day; max 0: the same */
    uint64_t memory;
    uint8_t uuid[16];
    bool q35;
    gpa_t ecam; /* configuration space of buses 0..last_bus */
    uint8_t last_bus;
    bool hpet, tpm, pvpanic, floppy, s3;
    struct pci_extent pci; /* where firmware put PCI memory; zeroes: in the board's windows */
    bool mem64;            /* the 64-bit window is in use */
    uint32_t plug_slots;   /* bit 1: slot 1 of bus 0 may come and go */
    struct board_tables hooks;
};

MUST int tables_init(struct tables *t, gpa_t base, size_t room, struct err *e);
void tables_fini(struct tables *t);
/* Copies len bytes in at the next multiple of align. Returns their guest address, 0: full. */
gpa_t tables_put(struct tables *t, const void *p, size_t len, size_t align);
/* The copy of what was put at `at`. */
void *tables_at(struct tables *t, gpa_t at);
/* What makes all n bytes sum to zero when p[at] is set to it; p[at] counts as zero. */
uint8_t tables_checksum(const void *p, size_t n, size_t at);

/* acpi.c: all tables; *rsdp is where the root pointer is. */
MUST int acpi_build(struct tables *t, const struct tables_cfg *c, gpa_t *rsdp, struct err *e);
/* Where the guest wants to go on after S3, by tables that were built; 0: nowhere. */
uint32_t acpi_waking_vector(struct gmem *mem, gpa_t rsdp);
/* smbios.c: both entry points; *entry is where the 2.1 one is. */
MUST int smbios_build(struct tables *t, const struct tables_cfg *c, gpa_t *entry, struct err *e);
/* mptable.c: Intel MultiProcessor Specification 1.4; *mp is where the floating pointer is. */
MUST int mptable_build(struct tables *t, const struct tables_cfg *c, gpa_t *mp, struct err *e);

#endif
