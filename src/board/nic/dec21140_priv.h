/* SPDX-License-Identifier: Apache-2.0 */
/* dec21140_priv.h - what the dec21140*.c files share; everything under the device's lock. */
#ifndef HOSPES_BOARD_NIC_DEC21140_PRIV_H
#define HOSPES_BOARD_NIC_DEC21140_PRIV_H

#include "abi/dec21140.h"
#include "board/nic/eeprom93.h"
#include "board/nic/mdio.h"
#include "board/nic/nic.h"

enum { DEC_FRAME_MAX = 1518, DEC_DESCS = 1024 /* more in a ring than any driver has */ };

/* All that a guest can change; plain data. */
struct dec_state {
    uint32_t csr[CSR_COUNT];
    gpa_t tx, rx; /* the next descriptors */
    uint8_t filter[DEC_SETUP];
    bool perfect, hash, inverse; /* how it is meant */
    uint8_t gpio_out, gpio_dir;
    bool starved;
    uint64_t began; /* when the timer was set */
    size_t len;     /* of the frame that is being gathered in nic.out */
    bool bad, ready;
};

struct dec {
    struct nic nic; /* first */
    struct eeprom93 srom;
    struct mdio mdio;
    struct alarm timer;
    struct dec_state s;
};

void dec_cause(struct dec *d, uint32_t bits);
void dec_process(struct dec *d, unsigned shift, uint32_t state);
/* A descriptor and back, in the byte order that the guest has chosen. -EFAULT. */
MUST int dec_read(struct dec *d, gpa_t at, uint32_t word[4]);
MUST int dec_write(struct dec *d, gpa_t at, uint32_t status);
gpa_t dec_next(struct dec *d, gpa_t at, const uint32_t word[4], unsigned base);

/* dec21140_ring.c. true: there is more. */
bool dec_send_all(struct dec *d);
bool dec_receive_all(struct dec *d);

#endif
