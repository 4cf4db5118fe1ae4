/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eeprom93.h - the 93C46: 64 words of 16 bits behind four pins, as network cards keep their
 * address in it.
 *
 * Document: Microchip 93C46 (21749). READ alone; writing and erasing leave it as it is.
 */
#ifndef HOSPES_BOARD_NIC_EEPROM93_H
#define HOSPES_BOARD_NIC_EEPROM93_H

#include "core/core.h"

enum { EEPROM93_WORDS = 64 };

struct eeprom93 {
    uint16_t word[EEPROM93_WORDS];
    bool cs, sk, out;
    uint8_t bits;     /* of the command, from its start bit on */
    uint16_t command; /* start bit, two of the operation, six of the address */
    uint8_t left;     /* bits of the word that are still to come */
    uint16_t shift;
};

/* The guest sets the pins; what the chip then shows is in e->out. */
void eeprom93_pins(struct eeprom93 *e, bool cs, bool sk, bool in);

#endif
