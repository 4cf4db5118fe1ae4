/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dma.c - two Intel 8237A (231466) and the page registers of the IBM PC/AT.
 *
 *   0x00-0x0f   channels 0 to 3, bytes      0xc0-0xdf   channels 4 to 7, at every second port
 *   0x81 0x82 0x83 0x87 0x89 0x8a 0x8b      page registers; the rest of 0x80-0x8f is storage
 *
 * Not modelled: memory to memory, block and demand timing, cascading beyond what firmware sets.
 * Only channels 0 to 3 have users. Threads: io() and the calls of dma.h under the device's lock.
 */
#include "board/legacy/dma.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "board/chipset/chipset.h"
#include "core/err.h"
#include "core/gmem.h"

enum region { REGION_LOW, REGION_HIGH, REGION_PAGES, REGIONS };
enum { CHANNELS = 8, MODE_DECREMENT = 0x20, MODE_AUTO = 0x10, MODE_TO_MEMORY = 1 };

struct dma_channel {
    uint16_t base_address, base_count, address, count;
    uint8_t mode;
};

struct dma_state {
    struct dma_channel channel[CHANNELS];
    uint8_t page[16];
    uint8_t mask[2], status[2], command[2]; /* of each controller */
    bool second[2];                         /* the next byte is the high one */
};

struct dma {
    struct device d; /* first */
    struct dma_state s;
};

/* --- registers --- */

static uint8_t dma_half(struct dma *m, unsigned chip, uint16_t v)
{
    bool high = m->s.second[chip];

    m->s.second[chip] = !high;
    return (uint8_t)(high ? v >> 8 : v);
}

static void dma_put_half(struct dma *m, unsigned chip, uint16_t *base, uint16_t *now, uint8_t v)
{
    bool high = m->s.second[chip];

    m->s.second[chip] = !high;
    *base = (uint16_t)(high ? (*base & 0xff) | v << 8 : (*base & 0xff00) | v);
    *now = *base;
}

static void dma_clear(struct dma *m, unsigned chip)
{
    m->s.mask[chip] = 0x0f;
    m->s.status[chip] = m->s.command[chip] = 0;
    m->s.second[chip] = false;
}

static void dma_write(struct dma *m, unsigned chip, unsigned reg, uint8_t v)
{
    struct dma_channel *c = &m->s.channel[4 * chip + (reg < 8 ? reg / 2 : v & 3u)];
    uint8_t bit = (uint8_t)(1u << (v & 3));

    switch (reg) {
    case 0 ... 7:
        if (reg & 1)
            dma_put_half(m, chip, &c->base_count, &c->count, v);
        else
            dma_put_half(m, chip, &c->base_address, &c->address, v);
        break;
    case 8:
        m->s.command[chip] = v;
        break;
    case 10:
        m->s.mask[chip] = (uint8_t)(v & 4 ? m->s.mask[chip] | bit : m->s.mask[chip] & ~bit);
        break;
    case 11:
        c->mode = v;
        break;
    case 12:
        m->s.second[chip] = false;
        break;
    case 13:
        dma_clear(m, chip);
        break;
    case 14:
        m->s.mask[chip] = 0;
        break;
    case 15:
        m->s.mask[chip] = v & 0x0f;
        break;
    default: /* requests by software move nothing: no channel has a partner in memory */
        break;
    }
}

static uint8_t dma_read(struct dma *m, unsigned chip, unsigned reg)
{
    const struct dma_channel *c = &m->s.channel[4 * chip + (reg & 7) / 2];
    uint8_t v;

    switch (reg) {
    case 0 ... 7:
        return dma_half(m, chip, reg & 1 ? c->count : c->address);
    case 8:
        v = m->s.status[chip];
        m->s.status[chip] &= 0xf0;
        return v;
    case 15:
        return m->s.mask[chip] | 0xf0;
    default:
        return 0;
    }
}

static void dma_io(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
                   uint64_t *val)
{
    struct dma *m = (struct dma *)d;
    unsigned at = (unsigned)off;

    if (size != 1) {
        chipset_bytes(d, region, off, size, dir, val);
    } else if (region == REGION_PAGES) {
        if (dir == ACC_WRITE)
            m->s.page[at] = (uint8_t)*val;
        else
            *val = m->s.page[at];
    } else {
        unsigned chip = region == REGION_HIGH, reg = chip ? at / 2 : at;

        if (dir == ACC_WRITE)
            dma_write(m, chip, reg, (uint8_t)*val);
        else
            *val = dma_read(m, chip, reg);
    }
}

/* --- devices --- */

static bool dma_ready(const struct dma *m, unsigned channel, bool to_memory)
{
    unsigned way = m->s.channel[channel].mode >> 2 & 3;

    return !(m->s.mask[0] >> channel & 1) && !(m->s.command[0] & 4) &&
           way == (to_memory ? MODE_TO_MEMORY : 2u);
}

size_t dma_wanted(struct device *d, unsigned channel, bool to_memory)
{
    struct dma *m = (struct dma *)d;
    size_t n = 0;

    device_lock(d);
    if (dma_ready(m, channel & 3, to_memory))
        n = m->s.channel[channel & 3].count + 1u;
    device_unlock(d);
    return n;
}

/* One byte: the address counts within its page of 64 KiB. */
static void dma_byte(struct dma *m, unsigned channel, uint8_t *b, bool to_memory)
{
    static const uint8_t page_of[4] = {7, 3, 1, 2};
    struct dma_channel *c = &m->s.channel[channel];
    gpa_t at = (gpa_t)m->s.page[page_of[channel]] << 16 | c->address;
    int rc = to_memory ? gmem_write(m->d.env.mem, at, b, 1) : gmem_read(m->d.env.mem, at, b, 1);

    if (rc < 0 && !to_memory)
        *b = 0xff;
    c->address = (uint16_t)(c->mode & MODE_DECREMENT ? c->address - 1 : c->address + 1);
}

size_t dma_move(struct device *d, unsigned channel, void *buf, size_t n, bool to_memory, bool *end)
{
    struct dma *m = (struct dma *)d;
    struct dma_channel *c = &m->s.channel[channel & 3];
    size_t moved = 0;

    *end = false;
    device_lock(d);
    while (moved < n && !*end && dma_ready(m, channel & 3, to_memory)) {
        dma_byte(m, channel & 3, (uint8_t *)buf + moved++, to_memory);
        *end = c->count-- == 0;
    }
    if (*end) {
        m->s.status[0] |= (uint8_t)(1u << (channel & 3));
        if (c->mode & MODE_AUTO) {
            c->address = c->base_address;
            c->count = c->base_count;
        } else {
            m->s.mask[0] |= (uint8_t)(1u << (channel & 3));
        }
    }
    device_unlock(d);
    return moved;
}

/* --- life --- */

static void dma_reset(struct device *d)
{
    struct dma *m = (struct dma *)d;

    memset(&m->s, 0, sizeof(m->s));
    dma_clear(m, 0);
    dma_clear(m, 1);
}

static void dma_destroy(struct device *d)
{
    chipset_free(d, REGIONS, NULL);
    free(d);
}

static const struct device_ops dma_ops = {
    .name = "isa-dma", .destroy = dma_destroy, .reset = dma_reset, .io = dma_io};

int dma_create(const struct env *env, struct device **out, struct err *e)
{
    struct dma *m = calloc(1, sizeof(*m));
    int rc;

    if (!m)
        return err_set(e, ENOMEM, "no memory for the DMA controllers");
    device_init(&m->d, &dma_ops, env);
    rc = chipset_claim(env, 0x00, 16, &m->d, REGION_LOW, e);
    if (rc == 0)
        rc = chipset_claim(env, 0xc0, 32, &m->d, REGION_HIGH, e);
    if (rc == 0) /* 0x92 is not ours; 0x80 takes diagnostic codes */
        rc = chipset_claim(env, 0x80, 16, &m->d, REGION_PAGES, e);
    if (rc < 0) {
        dma_destroy(&m->d);
        return rc;
    }
    dma_reset(&m->d);
    *out = &m->d;
    return 0;
}
