/* SPDX-License-Identifier: Apache-2.0 */
/* e1000_priv.h - what the e1000*.c files share; everything under the device's lock. */
#ifndef HOSPES_BOARD_NIC_E1000_PRIV_H
#define HOSPES_BOARD_NIC_E1000_PRIV_H

#include "abi/e1000.h"
#include "board/nic/eeprom93.h"
#include "board/nic/nic.h"

enum { E1000_VECTORS = 5, E1000_TX_QUEUES = 2, E1000_FRAME_MAX = 16384 };

/* A transmit context: where sums lie, in bytes of the frame. */
struct e1000_context {
    uint8_t ipcss, ipcso, tucss, tucso, hdrlen;
    uint16_t ipcse, tucse, mss;
    bool tcp;
};

/* The frame that a queue is gathering, kept across work() while its last part is not there yet. */
struct e1000_gather {
    size_t len;
    uint32_t popts, special; /* of the first data descriptor */
    uint8_t cso, css;        /* of a legacy one */
    bool some, bad, legacy, tse, ic;
    bool ready; /* whole, and only the back end has no room */
    struct net_meta meta;
};

/* All that a guest can change; plain data. */
struct e1000_state {
    uint32_t reg[E1000_REGISTERS_END / 4];
    uint16_t phy[32];
    struct e1000_context sum[E1000_TX_QUEUES], tso[E1000_TX_QUEUES];
    struct e1000_gather gather[E1000_TX_QUEUES];
    uint32_t io_address;
    uint32_t told; /* causes that the guest has been interrupted for and not cleared */
    bool smbi;
    bool starved;                        /* no buffer for a frame: RDT wakes */
    uint64_t quiet_until[E1000_VECTORS]; /* loop_now(): the next interrupt not before */
};

struct e1000 {
    struct nic nic; /* first */
    bool pcie;      /* an 82574L */
    struct eeprom93 eeprom;
    struct alarm tick;               /* of moderated interrupts */
    uint64_t tick_due;               /* when it is armed for, UINT64_MAX: it is not */
    uint8_t *frame[E1000_TX_QUEUES]; /* NET_FRAME_MAX bytes, what gather counts */
    struct e1000_state s;
};

static inline uint32_t *e1000_reg(struct e1000 *c, unsigned off)
{
    return &c->s.reg[off / 4];
}

/* e1000_irq.c */
void e1000_cause(struct e1000 *c, uint32_t bits);
void e1000_update(struct e1000 *c);
uint32_t e1000_icr_read(struct e1000 *c);
void e1000_icr_write(struct e1000 *c, uint32_t v);
void e1000_tick(struct alarm *a);
void e1000_tick_arm(struct e1000 *c); /* on the loop */

/* e1000_tx.c, e1000_rx.c. true: there is more. */
bool e1000_send_all(struct e1000 *c);
bool e1000_receive_all(struct e1000 *c);
/* Adds to a statistics register, which stays at its end; or to a pair of them. */
void e1000_count(struct e1000 *c, unsigned reg, uint32_t n);
void e1000_count64(struct e1000 *c, unsigned reg, uint32_t n);

/* e1000_phy.c */
void e1000_phy_reset(struct e1000 *c);
void e1000_phy_link(struct e1000 *c);
void e1000_mdic(struct e1000 *c, uint32_t v);

#endif
