/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vga.h - a VGA with linear frame buffer, PCI 1234:1111, at 02.0.
 */
#ifndef HOSPES_BOARD_LEGACY_VGA_H
#define HOSPES_BOARD_LEGACY_VGA_H

#include "board/device.h"

struct hub;

enum vga_start {
    VGA_DARK, /* whoever drives it sets a mode */
    VGA_ROM,  /* with its BIOS, for firmware */
    VGA_TEXT, /* as its BIOS leaves it, for kernels that were made for machines with one */
};

/* hub may be NULL: nobody looks. There must be no RAM from 640 to 768 KiB. The PCI bus destroys it.
 */
MUST int vga_create(const struct env *env, struct hub *hub, enum vga_start start, struct err *e);

#endif
