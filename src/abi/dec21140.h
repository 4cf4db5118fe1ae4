/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dec21140.h - registers and descriptors of Digital's fast Ethernet controller.
 *
 * Documents: DIGITAL Semiconductor 21140A PCI Fast Ethernet LAN Controller Hardware Reference
 * Manual (EC-QN7NF-TE); 21X4 Serial ROM Format 4.05.
 */
#ifndef HOSPES_ABI_DEC21140_H
#define HOSPES_ABI_DEC21140_H

#include "abi/bytes.h"

/* Registers are 8 bytes apart. */
enum { CSR_STRIDE = 8, CSR_COUNT = 16 };

#define CSR0_SWR 0x00000001u
#define CSR0_DSL 0x0000007cu /* words to skip between descriptors, from bit 2 */
#define CSR0_DBO 0x00100000u /* descriptors are big-endian */
#define CSR5_TI 0x00000001u
#define CSR5_TPS 0x00000002u
#define CSR5_TU 0x00000004u
#define CSR5_RI 0x00000040u
#define CSR5_RU 0x00000080u
#define CSR5_RPS 0x00000100u
#define CSR5_GTE 0x00000800u
#define CSR5_FBE 0x00002000u
#define CSR5_AIS 0x00008000u
#define CSR5_NIS 0x00010000u
#define CSR5_CAUSES 0x0001ffffu
#define CSR5_NORMAL (CSR5_TI | CSR5_TU | CSR5_RI | 0x4000u)
#define CSR5_ABNORMAL 0x00002fbau /* without the timer, which is */
#define CSR5_RS 17                /* the first bit of the receiver's state, three of them */
#define CSR5_TS 20
#define CSR6_SR 0x00000002u
#define CSR6_PR 0x00000040u
#define CSR6_PM 0x00000080u
#define CSR6_ST 0x00002000u
#define CSR6_FILTER 0x00000015u /* hash and perfect, hash alone, inverse: as setup frames say */
#define CSR6_PS 0x00040000u     /* the MII port */
#define CSR6_TTM 0x00400000u    /* at 10 Mbit/s */
#define CSR6_RA 0x40000000u
#define CSR9_CS 0x00000001u
#define CSR9_SK 0x00000002u
#define CSR9_DI 0x00000004u
#define CSR9_DO 0x00000008u
#define CSR9_SR 0x00000800u
#define CSR9_MDC 0x00010000u
#define CSR9_MDO 0x00020000u
#define CSR9_MII 0x00040000u /* the transceiver speaks */
#define CSR9_MDI 0x00080000u
#define CSR11_VALUE 0x0000ffffu
#define CSR11_CON 0x00010000u /* again and again */
#define CSR11_ONES 0xfffe0000u
#define CSR12_GPC 0x00000100u

enum { CSR5_STOPPED = 0, CSR5_RX_WAITS = 3, CSR5_RX_SUSPENDED = 4, CSR5_TX_SUSPENDED = 6 };

struct dec_desc {
    le32 status, control, buffer1, buffer2;
};
WIRE_SIZE(struct dec_desc, 16);
#define DES0_OWN 0x80000000u
#define TDES1_IC 0x80000000u
#define TDES1_LS 0x40000000u
#define TDES1_FS 0x20000000u
#define TDES1_FT1 0x10000000u
#define TDES1_SET 0x08000000u
#define TDES1_FT0 0x00400000u
#define DES1_ER 0x02000000u /* the ring ends here */
#define DES1_CH 0x01000000u /* buffer 2 is the next descriptor */
#define DES1_SIZE 0x7ffu    /* of buffer 1; of buffer 2 from bit 11 */
#define RDES0_FF 0x40000000u
#define RDES0_FL 16 /* length, with the check sequence */
#define RDES0_MF 0x00000400u
#define RDES0_FS 0x00000200u
#define RDES0_LS 0x00000100u
#define RDES0_FT 0x00000020u
enum { DEC_SETUP = 192, DEC_PERFECT = 16, DEC_HASH_ADDRESS = 156 };

#endif
