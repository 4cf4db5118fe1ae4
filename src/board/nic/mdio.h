/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mdio.h - the two wires to a transceiver for 10 and 100 Mbit/s, and that transceiver.
 *
 * Document: IEEE 802.3 clause 22. Negotiation ends at once with 100 Mbit/s full duplex.
 */
#ifndef HOSPES_BOARD_NIC_MDIO_H
#define HOSPES_BOARD_NIC_MDIO_H

#include "core/core.h"

struct mdio {
    uint8_t address;
    uint16_t reg[32];
    bool clock, out;
    uint8_t bits;   /* of a frame, from its start on */
    uint32_t frame; /* them */
};

void mdio_reset(struct mdio *m, bool link);
void mdio_link(struct mdio *m, bool link);
/* The master's pins; what the transceiver then shows is in m->out. */
void mdio_pins(struct mdio *m, bool clock, bool data);

#endif
