/* SPDX-License-Identifier: Apache-2.0 */
/* mdio.c - see mdio.h. */
#include "board/nic/mdio.h"

enum { BMCR, BMSR, PHYSID1, PHYSID2, ADVERTISE, LPA, EXPANSION };
enum { BMCR_RESET = 0x8000, BMCR_RESTART = 0x0200, BMSR_ABLE = 0x7849, BMSR_UP = 0x0024 };
/* Bits of a frame: start 2, operation 2, transceiver 5, register 5, turn-around 2, data 16. */
enum { HEAD_BITS = 14, DATA_FROM = 16, FRAME_BITS = 32, OP_READ = 2, OP_WRITE = 1 };

void mdio_link(struct mdio *m, bool link)
{
    m->reg[BMSR] = BMSR_ABLE | (link ? BMSR_UP : 0);
    m->reg[LPA] = link ? 0x45e1 : 0;
    m->reg[EXPANSION] = link ? 1 : 0;
}

void mdio_reset(struct mdio *m, bool link)
{
    m->reg[BMCR] = 0x3100;
    m->reg[PHYSID1] = 0x2000; /* National's DP83840A */
    m->reg[PHYSID2] = 0x5c01;
    m->reg[ADVERTISE] = 0x01e1;
    mdio_link(m, link);
}

static void write_register(struct mdio *m, unsigned reg, uint16_t v)
{
    if (reg == BMCR && v & BMCR_RESET)
        mdio_reset(m, m->reg[BMSR] & BMSR_UP);
    else if (reg == BMCR)
        m->reg[reg] = v & (uint16_t)~BMCR_RESTART;
    else if (reg == ADVERTISE || reg > EXPANSION)
        m->reg[reg] = v;
}

static bool mine(const struct mdio *m, uint32_t head)
{
    return (head >> 5 & 31) == m->address;
}

void mdio_pins(struct mdio *m, bool clock, bool data)
{
    bool rises = clock && !m->clock;
    uint32_t head;

    m->clock = clock;
    if (!rises || (m->bits == 0 && data)) /* ones go before a frame */
        return;
    m->frame = m->frame << 1 | data;
    m->bits++;
    head = m->frame >> (m->bits > HEAD_BITS ? m->bits - HEAD_BITS : 0);
    if (m->bits == 2 && !data) {
        m->bits = 1; /* a longer start than it has: wait for its one */
    } else if (m->bits > HEAD_BITS && (head >> 10 & 3) == OP_READ) {
        uint16_t v = mine(m, head) ? m->reg[head & 31] : 0xffff;

        m->out = m->bits > HEAD_BITS + 1 ? v >> (FRAME_BITS - 1 - m->bits) & 1 : !mine(m, head);
        if (m->bits == FRAME_BITS - 1)
            m->bits = 0;
    } else if (m->bits == FRAME_BITS) {
        if ((head >> 10 & 3) == OP_WRITE && mine(m, head))
            write_register(m, head & 31, (uint16_t)m->frame);
        m->bits = 0;
    }
    if (m->bits == 0)
        m->frame = 0;
}
