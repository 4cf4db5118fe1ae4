/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shadow.h - guest memory from 0xc0000 to 0xfffff, as the host bridge's PAM registers show it.
 */
#ifndef HOSPES_BOARD_SHADOW_H
#define HOSPES_BOARD_SHADOW_H

#include "board/device.h"

#define SHADOW_BASE UINT64_C(0xc0000)
#define SHADOW_SIZE UINT64_C(0x40000)

/* PAM as 4 bits for each 16 KiB: bit 0 reads come from RAM, bit 1 writes go there. */
enum { SHADOW_PIECE = 0x4000, SHADOW_PIECES = 16, SHADOW_READ = 1, SHADOW_WRITE = 2 };

struct shadow {
    struct gmem *mem;
    uint8_t *ram; /* SHADOW_SIZE bytes; NULL: all is RAM for ever, and nothing is mapped here */
    const uint8_t *rom; /* firmware that ends at 1 MiB, rom_size bytes; NULL: none */
    size_t rom_size;
    uint8_t attribute[SHADOW_PIECES];
    bool mapped[SHADOW_PIECES]; /* a region begins at this piece */
};

/* Nothing is mapped until the first shadow_set(). */
void shadow_init(struct shadow *s, struct gmem *mem, uint8_t *ram);
void shadow_fini(struct shadow *s);
/* What is seen where reads do not come from RAM. Pages; stays the caller's. */
void shadow_rom(struct shadow *s, const uint8_t *rom, size_t size);
/* Attributes of pieces first to first + n - 1, which change together. */
void shadow_set(struct shadow *s, unsigned first, unsigned n, uint8_t attribute);
/* An access that no memory answered; off from SHADOW_BASE. */
void shadow_io(struct shadow *s, uint64_t off, unsigned size, enum access dir, uint64_t *val);

#endif
