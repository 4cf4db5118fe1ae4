/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtl8139.h - registers and descriptors of Realtek's RTL8139C+.
 *
 * Documents: Realtek RTL8139C(L)+ data sheet 1.6; RTL8139 programming guide 0.1.
 */
#ifndef HOSPES_ABI_RTL8139_H
#define HOSPES_ABI_RTL8139_H

#include "abi/bytes.h"

enum {
    RTL_IDR0 = 0x00,
    RTL_MAR0 = 0x08,
    RTL_TSD0 = 0x10,  /* four; C+: DTCCR, eight bytes */
    RTL_TSAD0 = 0x20, /* four; C+: TNPDS and THPDS, eight bytes each */
    RTL_TNPDS = 0x20,
    RTL_THPDS = 0x28,
    RTL_RBSTART = 0x30,
    RTL_CR = 0x37,
    RTL_CAPR = 0x38,
    RTL_CBR = 0x3a,
    RTL_IMR = 0x3c,
    RTL_ISR = 0x3e,
    RTL_TCR = 0x40,
    RTL_RCR = 0x44,
    RTL_TCTR = 0x48,
    RTL_MPC = 0x4c,
    RTL_9346CR = 0x50,
    RTL_CONFIG0 = 0x51,
    RTL_CONFIG1 = 0x52,
    RTL_TIMERINT = 0x54,
    RTL_MSR = 0x58,
    RTL_CONFIG3 = 0x59,
    RTL_CONFIG4 = 0x5a,
    RTL_RERID = 0x5e,
    RTL_TSAD = 0x60,
    RTL_BMCR = 0x62,
    RTL_BMSR = 0x64,
    RTL_ANAR = 0x66,
    RTL_ANLPAR = 0x68,
    RTL_ANER = 0x6a,
    RTL_CSCR = 0x74,
    RTL_CONFIG5 = 0xd8,
    RTL_TPPOLL = 0xd9,
    RTL_CPCR = 0xe0,
    RTL_RDSAR = 0xe4,
    RTL_REGISTERS = 256,
};

enum {
    RTL_CR_BUFE = 0x01,
    RTL_CR_TE = 0x04,
    RTL_CR_RE = 0x08,
    RTL_CR_RST = 0x10,
    RTL_ISR_ROK = 0x0001,
    RTL_ISR_TOK = 0x0004,
    RTL_ISR_TER = 0x0008,
    RTL_ISR_RDU = 0x0010, /* no buffer */
    RTL_ISR_LINK = 0x0020,
    RTL_ISR_SWINT = 0x0100,
    RTL_ISR_TIMEOUT = 0x4000,
    RTL_RCR_AAP = 0x01,
    RTL_RCR_APM = 0x02,
    RTL_RCR_AM = 0x04,
    RTL_RCR_AB = 0x08,
    RTL_RCR_WRAP = 0x80,
    RTL_TSD_SIZE = 0x1fff,
    RTL_TSD_OWN = 0x2000,
    RTL_TSD_TUN = 0x4000,
    RTL_TSD_TOK = 0x8000,
    RTL_MSR_LINKB = 0x04, /* the link is down */
    RTL_TPPOLL_NPQ = 0x40,
    RTL_TPPOLL_HPQ = 0x80,
    RTL_TPPOLL_FSWINT = 0x01,
    RTL_CPCR_TE = 0x0001,
    RTL_CPCR_RE = 0x0002,
    RTL_CPCR_RXCHKSUM = 0x0020,
    RTL_CPCR_RXVLAN = 0x0040,
    RTL_DTCCR_DUMP = 0x08,
    /* In front of a frame in the ring of the old mode. */
    RTL_RX_ROK = 0x0001,
    RTL_RX_BAR = 0x2000,
    RTL_RX_PAM = 0x4000,
    RTL_RX_MAR = 0x8000,
};

struct rtl_desc {
    le32 opts1, opts2;
    le64 addr;
};
WIRE_SIZE(struct rtl_desc, 16);
#define RTL_OWN 0x80000000u /* opts1 */
#define RTL_EOR 0x40000000u
#define RTL_FS 0x20000000u
#define RTL_LS 0x10000000u
#define RTL_TX_LGSEN 0x08000000u /* segment: the MSS in 26:16 */
#define RTL_TX_IPCS 0x00040000u
#define RTL_TX_UDPCS 0x00020000u
#define RTL_TX_TCPCS 0x00010000u
#define RTL_TX_TAGC 0x00020000u /* opts2 */
#define RTL_RX_MULTICAST 0x04000000u
#define RTL_RX_PHYSICAL 0x02000000u
#define RTL_RX_BROADCAST 0x01000000u
#define RTL_RX_TCP 0x00010000u
#define RTL_RX_UDP 0x00020000u
#define RTL_RX_IP 0x00030000u
#define RTL_RX_LENGTH 0x1fffu
#define RTL_RX_TAVA 0x00010000u /* opts2 */

#endif
