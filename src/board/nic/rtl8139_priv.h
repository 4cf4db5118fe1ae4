/* SPDX-License-Identifier: Apache-2.0 */
/* rtl8139_priv.h - what the rtl8139*.c files share; everything under the device's lock. */
#ifndef HOSPES_BOARD_NIC_RTL8139_PRIV_H
#define HOSPES_BOARD_NIC_RTL8139_PRIV_H

#include "abi/rtl8139.h"
#include "board/nic/eeprom93.h"
#include "board/nic/nic.h"

enum { RTL_SLOTS = 4, RTL_RINGS = 2, RTL_FRAME_MAX = 8188, RTL_RING_DESCS = 64 };

/* All that a guest can change; plain data. */
struct rtl_state {
    uint8_t reg[RTL_REGISTERS];
    unsigned slot;                    /* of the old mode, that is sent next */
    uint32_t tx_at[RTL_RINGS], rx_at; /* descriptors */
    bool poll[RTL_RINGS];             /* the guest has asked to look at the ring */
    bool starved;
    unsigned owner; /* the ring that a frame in nic.out comes from */
    size_t len;     /* of the frame that is being gathered there */
    bool bad, ready;
    struct net_meta meta; /* of a frame that is ready */
    uint64_t clock;       /* loop_now() when TCTR was 0 */
    bool timed_out;       /* it has reached TimerInt since */
    struct {
        uint64_t tx_ok, rx_ok, tx_error, rx_physical, rx_broadcast;
        uint32_t rx_error, rx_multicast;
    } tally;
};

struct rtl {
    struct nic nic; /* first */
    struct eeprom93 eeprom;
    struct alarm timer;
    struct rtl_state s;
};

static inline uint16_t rtl_get16(const struct rtl *r, unsigned off)
{
    return le16_at(r->s.reg + off);
}

static inline uint32_t rtl_get32(const struct rtl *r, unsigned off)
{
    return le32_at(r->s.reg + off);
}

/* In use: the descriptors of the C+ chip, not the ring and slots of the older ones. */
static inline bool rtl_tx_new(const struct rtl *r)
{
    return rtl_get16(r, RTL_CPCR) & RTL_CPCR_TE;
}

static inline bool rtl_rx_new(const struct rtl *r)
{
    return rtl_get16(r, RTL_CPCR) & RTL_CPCR_RE;
}

/* Bytes of the old mode's ring. */
static inline uint32_t rtl_ring(const struct rtl *r)
{
    return 8192u << (rtl_get32(r, RTL_RCR) >> 11 & 3);
}

void rtl_cause(struct rtl *r, uint16_t bits);

/* rtl8139_tx.c, rtl8139_rx.c. true: there is more. */
bool rtl_send_all(struct rtl *r);
bool rtl_receive_all(struct rtl *r);

#endif
