/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pflash.c - a flash chip on the memory bus, 8 bits wide, with Intel's command set (abi/cfi.h).
 *
 * While the chip shows its array, that is read-only memory of the guest's and costs no exits;
 * writes come to io(). A command that makes reads show something else takes the memory away until
 * the array is asked for again. Programming clears bits and never sets them; erasing sets all of a
 * block. Both are done at once, so the chip is always ready.
 *
 * UEFI firmware tells a chip from RAM and ROM by its status, which must read 0 after it was
 * cleared, the ready bit with it, as in QEMU's chip. Not modelled: suspended operations, block
 * locks (the command is taken and changes nothing), protection registers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/cfi.h"
#include "board/bus.h"
#include "board/chipset/chipset.h"
#include "core/err.h"
#include "core/gmem.h"

enum { PFLASH_BUFFER_BITS = 8, PFLASH_BUFFER = 1 << PFLASH_BUFFER_BITS };
/* What 0x90 shows: Intel, and a chip of no particular kind. */
enum { PFLASH_VENDOR = 0x89, PFLASH_DEVICE = 0x18 };

enum pflash_phase {
    PHASE_COMMAND,
    PHASE_PROGRAM, /* the byte to program is next */
    PHASE_ERASE,   /* the confirmation is next */
    PHASE_LOCK,
    PHASE_COUNT, /* of bytes less one */
    PHASE_FILL,
    PHASE_COMMIT,
};

struct pflash_state {
    uint8_t show; /* the command that says what reads give */
    uint8_t status;
    uint8_t phase;
    uint16_t want, have; /* bytes of the buffer */
    uint32_t at;         /* offset of the block that the buffer goes to */
    uint8_t buffer[PFLASH_BUFFER];
    uint32_t offset[PFLASH_BUFFER];
};

struct pflash {
    struct device d; /* first */
    struct pflash_cfg c;
    struct pflash_state s;
    bool mapped;
};

/* --- what reads give --- */

static void pflash_show(struct pflash *f, uint8_t what)
{
    struct err ignored;

    f->s.show = what;
    if (what == CFI_READ_ARRAY && !f->mapped) /* where it fails, io() answers instead */
        f->mapped = gmem_add(f->d.env.mem, f->c.base, f->c.size, (uint8_t *)(uintptr_t)f->c.bytes,
                             GMEM_ROM, &ignored) == 0;
    if (what != CFI_READ_ARRAY && f->mapped) {
        gmem_remove(f->d.env.mem, f->c.base);
        f->mapped = false;
    }
}

static uint8_t pflash_query(const struct pflash *f, uint64_t off)
{
    struct cfi_query q = {
        .qry = {'Q', 'R', 'Y'},
        .algorithm = le16_of(CFI_ALGORITHM_INTEL),
        .vcc_min = 0x45,
        .vcc_max = 0x55,
        .program_us = 7,
        .buffer_us = 7,
        .erase_ms = 10,
        .program_us_max = 4,
        .buffer_us_max = 4,
        .erase_ms_max = 4,
        .buffer = le16_of(PFLASH_BUFFER_BITS),
        .regions = 1,
        .blocks = le16_of((uint16_t)(f->c.size / PFLASH_BLOCK - 1)),
        .block = le16_of(PFLASH_BLOCK / 256),
    };
    size_t at;

    while ((UINT64_C(1) << q.size) < f->c.size)
        q.size++;
    return idx_in(off - CFI_QUERY_AT, sizeof(q), &at) ? ((const uint8_t *)&q)[at] : 0;
}

static uint8_t pflash_read(const struct pflash *f, uint64_t off)
{
    switch (f->s.show) {
    case CFI_READ_ARRAY:
        return f->c.bytes[off];
    case CFI_READ_ID:
        return off % PFLASH_BLOCK == 0   ? PFLASH_VENDOR
               : off % PFLASH_BLOCK == 1 ? PFLASH_DEVICE
                                         : 0;
    case CFI_QUERY:
        return pflash_query(f, off);
    default:
        return f->s.status;
    }
}

/* --- what writes do --- */

static void pflash_done(struct pflash *f, bool kept, uint8_t failure)
{
    f->s.phase = PHASE_COMMAND;
    f->s.status |= (uint8_t)(CFI_STATUS_READY | (kept ? 0 : failure));
    pflash_show(f, CFI_READ_STATUS);
}

static bool pflash_put(struct pflash *f, uint64_t off, uint8_t v)
{
    v &= f->c.bytes[off];
    return f->c.write(f->c.arg, (size_t)off, &v, 1);
}

static void pflash_erase(struct pflash *f, uint64_t off)
{
    uint8_t block[PFLASH_BLOCK];

    memset(block, 0xff, sizeof(block));
    off -= off % PFLASH_BLOCK;
    pflash_done(f, f->c.write(f->c.arg, (size_t)off, block, sizeof(block)), CFI_STATUS_ERASE);
}

/* Bytes of the buffer may come in any order, all for one aligned piece of its size. */
static void pflash_fill(struct pflash *f, uint64_t off, uint8_t v)
{
    struct pflash_state *s = &f->s;

    if (s->have == 0)
        s->at = (uint32_t)(off - off % PFLASH_BUFFER);
    if (off - s->at >= PFLASH_BUFFER) {
        guest_fault(&f->d, "a buffered write at 0x%llx leaves its piece", (unsigned long long)off);
        pflash_done(f, false, CFI_STATUS_PROGRAM);
        return;
    }
    s->offset[s->have] = (uint32_t)off;
    s->buffer[s->have++] = v;
    if (s->have == s->want)
        s->phase = PHASE_COMMIT;
}

static void pflash_commit(struct pflash *f)
{
    bool kept = true;

    for (unsigned i = 0; i < f->s.have; i++)
        kept &= pflash_put(f, f->s.offset[i], f->s.buffer[i]);
    pflash_done(f, kept, CFI_STATUS_PROGRAM);
}

static void pflash_bad_sequence(struct pflash *f, const char *what)
{
    guest_fault(&f->d, "%s without confirmation", what);
    pflash_done(f, false, CFI_STATUS_ERASE | CFI_STATUS_PROGRAM);
}

static void pflash_command(struct pflash *f, uint8_t v)
{
    switch (v) {
    case CFI_PROGRAM:
    case CFI_PROGRAM_ALT:
        f->s.phase = PHASE_PROGRAM;
        break;
    case CFI_BLOCK_ERASE:
        f->s.phase = PHASE_ERASE;
        break;
    case CFI_LOCK_SETUP:
        f->s.phase = PHASE_LOCK;
        break;
    case CFI_WRITE_BUFFER:
        f->s.phase = PHASE_COUNT;
        f->s.have = 0;
        f->s.status |= CFI_STATUS_READY;
        break;
    case CFI_CLEAR_STATUS:
        f->s.status = 0;
        pflash_show(f, CFI_READ_ARRAY);
        return;
    case CFI_READ_ID:
    case CFI_QUERY:
    case CFI_READ_STATUS:
        pflash_show(f, v);
        return;
    default: /* and whatever is no command */
        pflash_show(f, CFI_READ_ARRAY);
        return;
    }
    pflash_show(f, CFI_READ_STATUS);
}

static void pflash_write(struct pflash *f, uint64_t off, uint8_t v)
{
    switch ((enum pflash_phase)f->s.phase) {
    case PHASE_COMMAND:
        pflash_command(f, v);
        break;
    case PHASE_PROGRAM:
        pflash_done(f, pflash_put(f, off, v), CFI_STATUS_PROGRAM);
        break;
    case PHASE_ERASE:
        if (v == CFI_CONFIRM)
            pflash_erase(f, off);
        else
            pflash_bad_sequence(f, "an erasure");
        break;
    case PHASE_LOCK:
        pflash_done(f, true, 0);
        break;
    case PHASE_COUNT:
        f->s.want = (uint16_t)(v + 1);
        f->s.phase = PHASE_FILL;
        break;
    case PHASE_FILL:
        pflash_fill(f, off, v);
        break;
    case PHASE_COMMIT:
        if (v == CFI_CONFIRM)
            pflash_commit(f);
        else
            pflash_bad_sequence(f, "a buffered write");
        break;
    }
}

static void pflash_io(struct device *d, unsigned region, uint64_t off, unsigned size,
                      enum access dir, uint64_t *val)
{
    struct pflash *f = (struct pflash *)d;

    if (size != 1)
        chipset_bytes(d, region, off, size, dir, val);
    else if (dir == ACC_WRITE)
        pflash_write(f, off, (uint8_t)*val);
    else
        *val = pflash_read(f, off);
}

/* --- life --- */

static void pflash_reset(struct device *d)
{
    struct pflash *f = (struct pflash *)d;

    f->s = (struct pflash_state){.status = CFI_STATUS_READY};
    pflash_show(f, CFI_READ_ARRAY);
}

static void pflash_destroy(struct device *d)
{
    struct pflash *f = (struct pflash *)d;

    if (f->mapped)
        gmem_remove(d->env.mem, f->c.base);
    bus_release(d->env.mmio, d, 0);
    chipset_free(d, 0, NULL);
    free(f);
}

static const struct device_ops pflash_ops = {
    .name = "pflash",
    .destroy = pflash_destroy,
    .reset = pflash_reset,
    .io = pflash_io,
};

int pflash_create(const struct env *env, const struct pflash_cfg *c, struct device **out,
                  struct err *e)
{
    struct pflash *f = calloc(1, sizeof(*f));

    if (!f)
        return err_set(e, ENOMEM, "no memory for a flash chip");
    device_init(&f->d, &pflash_ops, env);
    f->c = *c;
    if (bus_claim(env->mmio, c->base, c->size, &f->d, 0) < 0) {
        pflash_destroy(&f->d);
        return err_set(e, EEXIST, "something else answers where the flash chip is");
    }
    pflash_reset(&f->d);
    *out = &f->d;
    return 0;
}
