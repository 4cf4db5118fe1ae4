/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.h - starts a kernel without firmware.
 *
 * boot_open() opens and judges the files, boot_load() puts them into guest memory and says where
 * the first processor starts; it is called again after each reset and reads the files again, from
 * the same open descriptors, so no copy of them is kept. Every load checks what it has read: a file
 * that changed meanwhile is refused, never trusted.
 *
 * boot_begin() lets the first load's long part, unpacking the kernel, run beside everything else
 * that a machine needs before it starts.
 *
 * Not thread-safe: the loop's thread, or before it runs, with every vCPU stopped.
 */
#ifndef HOSPES_BOARD_BOOT_BOOT_H
#define HOSPES_BOARD_BOOT_BOOT_H

#include "board/board.h"
#include "host/host.h"

struct boot;

enum { BOOT_MODULES = 32 };

/* A file that a PVH or multiboot kernel is handed, and the command line that goes with it. */
struct boot_module {
    const char *file;
    const char *text; /* NULL: empty */
};

struct boot_cfg {
    const char *kernel;
    const char *initrd; /* NULL: none; the first module where the kernel takes modules */
    const char *append; /* NULL: empty */
    uint64_t memory;    /* bytes, to refuse early what cannot fit on whichever board */
    const struct boot_module *module;
    size_t modules; /* at most BOOT_MODULES - 1 */
};

/* What boot_load() is given. */
struct boot_env {
    struct gmem *mem;
    const struct board_range *range; /* the memory map */
    size_t ranges;
    gpa_t rsdp;
};

/* The first processor at its first instruction. */
struct boot_start {
    bool longmode; /* else 32-bit flat, paging off */
    uint64_t rip, rax, rbx, rsi, cr3;
    gpa_t gdt;
    uint16_t code; /* selector; that of data is the next one */
    gpa_t first;   /* 0, or code that runs first, sets rax and jumps to rip */
};

MUST int boot_open(const struct boot_cfg *c, struct boot **out, struct err *e);
void boot_close(struct boot *b); /* NULL is fine */
/* Optional, once mem has its RAM, `memory` bytes of it, and before the first boot_load(): unpacks
 * on a thread of its own. Guest memory stays mapped until boot_load() or boot_close() returns. */
void boot_begin(struct boot *b, struct gmem *mem, uint64_t memory);
MUST int boot_load(struct boot *b, const struct boot_env *env, struct boot_start *out,
                   struct err *e);
/* What the kernel file is, for the banner: "Linux 6.1.0-50-cloud-amd64", "PVH ELF". */
const char *boot_describe(const struct boot *b);
/* Was it made for machines with a BIOS, so that it finds them as one leaves them? */
bool boot_for_bios(const struct boot *b);

/* What firmware leaves on every processor: memory is write-back unless page tables say else. */
void boot_prepare(struct vcpu *v);

/* Sets the registers of the first processor, just reset. The descriptor tables are in guest memory,
 * where boot_load() put them. */
void boot_enter(const struct boot_start *s, struct vcpu *v);
/* The first processor of a guest that slept, just reset: in real mode at a FACS's waking vector
 * (ACPI 6.3, 5.2.10 and 16.3.2). */
void boot_wake(uint32_t vector, struct vcpu *v);

#endif
