/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uefi.h - UEFI firmware (OVMF): its code and its variables in flash below 4 GiB, and a kernel that
 * it shall start itself.
 *
 * Threads: those of board.h.
 */
#ifndef HOSPES_BOARD_UEFI_H
#define HOSPES_BOARD_UEFI_H

#include "board/board.h"

struct uefi;

/* Adds the flash to the board; fwcfg is told the kernel. */
MUST int uefi_create(struct board *b, const struct env *env, const struct board_uefi *c,
                     struct device *fwcfg, struct uefi **out, struct err *e);
/* After the board's devices. NULL is fine. */
void uefi_destroy(struct uefi *u);
/* Are the files installed that it takes when none are named? Any thread. */
bool uefi_available(bool secure);
/* The code, which ends at 4 GiB. */
const uint8_t *uefi_image(const struct uefi *u, size_t *size);

/* To be called when firmware is unpacked and at work. QEMU's TCG aborts when a guest of KVM in it
 * writes CR8 while an interrupt waits, which firmware does at the end of each of its interrupt
 * handlers, though it never uses CR8. With nested_tcg that instruction is taken out of its code in
 * memory; else this does nothing. */
void uefi_tame(struct uefi *u);

#endif
