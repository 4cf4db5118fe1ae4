/* SPDX-License-Identifier: Apache-2.0 */
/* eeprom93.c - see eeprom93.h. */
#include "board/nic/eeprom93.h"

enum { COMMAND_BITS = 9, OP_READ = 2 };

/* A rising clock edge with the chip selected. */
static void clocked(struct eeprom93 *e, bool in)
{
    if (e->bits == COMMAND_BITS) {
        if (e->command >> 6 != (4 | OP_READ)) /* ready: nothing takes time here */
            return;
        if (e->left == 0) { /* reading on gives the words behind */
            e->command = (uint16_t)((e->command & ~0x3f) | ((e->command + 1) & 0x3f));
            e->shift = e->word[e->command & 0x3f];
            e->left = 16;
        }
        e->out = e->shift >> 15;
        e->shift = (uint16_t)(e->shift << 1);
        e->left--;
        return;
    }
    if (e->bits == 0 && !in)
        return;
    e->command = (uint16_t)(e->command << 1 | in);
    if (++e->bits == COMMAND_BITS) {
        e->shift = e->word[e->command & 0x3f];
        e->left = 16;
        e->out = e->command >> 6 != (4 | OP_READ); /* a zero goes before the data */
    }
}

void eeprom93_pins(struct eeprom93 *e, bool cs, bool sk, bool in)
{
    if (!cs || !e->cs) {
        e->bits = e->left = 0;
        e->command = 0;
        e->out = true;
    }
    if (cs && sk && !e->sk)
        clocked(e, in);
    e->cs = cs;
    e->sk = sk;
}
