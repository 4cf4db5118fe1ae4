/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vga.h - a VGA with linear frame buffer, PCI 1234:1111, at 02.0.
 */
#ifndef HOSPES_BOARD_LEGACY_VGA_H
#define HOSPES_BOARD_LEGACY_VGA_H

#include "board/device.h"

struct hub;

/* hub may be NULL: nobody looks. rom: with its BIOS, for firmware. There must be no RAM from 640 to
 * 768 KiB. The PCI bus destroys it. */
MUST int vga_create(const struct env *env, struct hub *hub, bool rom, struct err *e);

#endif
