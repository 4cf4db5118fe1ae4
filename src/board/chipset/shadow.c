/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shadow.c - see shadow.h. Intel 82441FX (290549), section 3.2.18.
 *
 *   reads from RAM   writes to RAM   what the guest has there
 *   yes              yes             RAM
 *   yes              no              RAM that cannot be written
 *   no               no              the firmware's image, or nothing
 *   no               yes             the same; each write exits and goes to the RAM behind it
 *
 * Pieces that change together and look the same are one region of memory.
 */
#include "board/chipset/shadow.h"

#include <string.h>

#include "core/err.h"
#include "core/gmem.h"

void shadow_init(struct shadow *s, struct gmem *mem, uint8_t *ram)
{
    s->mem = mem;
    s->ram = ram;
}

static void shadow_unmap(struct shadow *s, unsigned piece)
{
    if (s->mapped[piece])
        gmem_remove(s->mem, SHADOW_BASE + (uint64_t)piece * SHADOW_PIECE);
    s->mapped[piece] = false;
}

void shadow_fini(struct shadow *s)
{
    for (unsigned i = 0; i < SHADOW_PIECES; i++)
        shadow_unmap(s, i);
}

void shadow_rom(struct shadow *s, const uint8_t *rom, size_t size)
{
    s->rom_size = (size_t)min_u64(size, SHADOW_SIZE / 2); /* it answers from 0xe0000 on */
    s->rom = rom + (size - s->rom_size);
}

/* The firmware's bytes at off, NULL: it does not reach there. */
static const uint8_t *shadow_rom_at(const struct shadow *s, uint64_t off)
{
    return s->rom && off >= SHADOW_SIZE - s->rom_size ? s->rom + (off - (SHADOW_SIZE - s->rom_size))
                                                      : NULL;
}

static void shadow_map(struct shadow *s, unsigned piece, unsigned n)
{
    uint64_t off = (uint64_t)piece * SHADOW_PIECE, size = (uint64_t)n * SHADOW_PIECE;
    uint8_t a = s->attribute[piece];
    enum gmem_kind kind = a == (SHADOW_READ | SHADOW_WRITE) ? GMEM_RAM : GMEM_ROM;
    const uint8_t *host = a & SHADOW_READ ? s->ram + off : shadow_rom_at(s, off);
    struct err ignored;

    if (host) /* where it fails, shadow_io() answers instead */
        s->mapped[piece] = gmem_add(s->mem, SHADOW_BASE + off, size, (uint8_t *)(uintptr_t)host,
                                    kind, &ignored) == 0;
}

/* The run of pieces around [first, first + n) that is one region, so that no more than it is
 * touched: whole halves of a PAM register pair, or the last 64 KiB. */
static void shadow_cell(unsigned piece, unsigned *first, unsigned *n)
{
    *first = piece >= 12 ? 12 : piece & ~1u;
    *n = piece >= 12 ? 4 : 2;
}

static bool shadow_even(const struct shadow *s, unsigned first, unsigned n)
{
    for (unsigned i = 1; i < n; i++) {
        if (s->attribute[first + i] != s->attribute[first])
            return false;
    }
    return true;
}

void shadow_set(struct shadow *s, unsigned first, unsigned n, uint8_t attribute)
{
    unsigned cell, len;
    bool same = true;

    for (unsigned i = first; i < first + n; i++)
        same &= s->attribute[i] == attribute;
    shadow_cell(first, &cell, &len);
    if (!s->ram || (same && s->mapped[cell]))
        return;
    for (unsigned i = cell; i < cell + len; i++)
        shadow_unmap(s, i);
    memset(s->attribute + first, attribute, n);
    if (shadow_even(s, cell, len)) {
        shadow_map(s, cell, len);
        return;
    }
    for (unsigned i = cell; i < cell + len; i++)
        shadow_map(s, i, 1);
}

void shadow_io(struct shadow *s, uint64_t off, unsigned size, enum access dir, uint64_t *val)
{
    uint64_t all = 0;

    if (!s->ram)
        return;
    for (unsigned i = 0; i < size; i++, off++) {
        uint8_t a = s->attribute[off / SHADOW_PIECE];
        const uint8_t *from = a & SHADOW_READ ? s->ram + off : shadow_rom_at(s, off);

        if (dir == ACC_WRITE && (a & SHADOW_WRITE))
            s->ram[off] = (uint8_t)(*val >> (8 * i));
        all |= (uint64_t)(from ? *from : 0xff) << (8 * i);
    }
    if (dir == ACC_READ)
        *val = all;
}
