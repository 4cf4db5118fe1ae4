/* SPDX-License-Identifier: Apache-2.0 */
/* xhci.h - eXtensible Host Controller Interface for Universal Serial Bus, revision 1.1. */
#ifndef HOSPES_ABI_XHCI_H
#define HOSPES_ABI_XHCI_H

#include "abi/bytes.h"

/* Chapter 5.3: capabilities; the operational registers follow at CAPLENGTH. */
enum {
    XHCI_HCSPARAMS1 = 0x04,
    XHCI_HCSPARAMS2 = 0x08,
    XHCI_HCSPARAMS3 = 0x0c,
    XHCI_HCCPARAMS1 = 0x10,
    XHCI_DBOFF = 0x14,
    XHCI_RTSOFF = 0x18,
    XHCI_USBCMD = 0x00,
    XHCI_USBSTS = 0x04,
    XHCI_PAGESIZE = 0x08,
    XHCI_DNCTRL = 0x14,
    XHCI_CRCR = 0x18,
    XHCI_DCBAAP = 0x30,
    XHCI_CONFIG = 0x38,
    XHCI_PORTS = 0x400, /* 16 bytes each */
    XHCI_PORTSC = 0,
    /* runtime, of interrupter 0 */
    XHCI_MFINDEX = 0x00,
    XHCI_IMAN = 0x20,
    XHCI_IMOD = 0x24,
    XHCI_ERSTSZ = 0x28,
    XHCI_ERSTBA = 0x30,
    XHCI_ERDP = 0x38,
};
#define XHCI_CMD_RUN 0x0001u
#define XHCI_CMD_HCRST 0x0002u
#define XHCI_CMD_INTE 0x0004u
#define XHCI_CMD_CSS 0x0100u
#define XHCI_CMD_CRS 0x0200u
#define XHCI_STS_HCH 0x0001u
#define XHCI_STS_HSE 0x0004u
#define XHCI_STS_EINT 0x0008u
#define XHCI_STS_PCD 0x0010u
#define XHCI_STS_SRE 0x0400u
#define XHCI_CRCR_RCS 0x1u
#define XHCI_CRCR_STOP 0x6u /* or abort */
#define XHCI_CRCR_CRR 0x8u
#define XHCI_IMAN_IP 0x1u
#define XHCI_IMAN_IE 0x2u
#define XHCI_ERDP_EHB 0x8u
#define XHCI_PORT_CCS 0x00000001u
#define XHCI_PORT_PED 0x00000002u
#define XHCI_PORT_PR 0x00000010u
#define XHCI_PORT_PLS 0x000001e0u
#define XHCI_PORT_PP 0x00000200u
#define XHCI_PORT_SPEED 10 /* first bit of four */
#define XHCI_PORT_LWS 0x00010000u
#define XHCI_PORT_CSC 0x00020000u
#define XHCI_PORT_PEC 0x00040000u
#define XHCI_PORT_PRC 0x00200000u
#define XHCI_PORT_PLC 0x00400000u
#define XHCI_PORT_CHANGES 0x00fe0000u
#define XHCI_PORT_KEPT 0x0e00c000u /* wake and indicators: storage */

struct xhci_trb {
    le64 parameter;
    le32 status, control;
};
WIRE_SIZE(struct xhci_trb, 16);
#define XHCI_TRB_CYCLE 0x001u
#define XHCI_TRB_TC 0x002u  /* link: toggle cycle */
#define XHCI_TRB_ISP 0x004u /* tell of a short packet */
#define XHCI_TRB_ED 0x004u  /* of an event: made by an event data TRB */
#define XHCI_TRB_CHAIN 0x010u
#define XHCI_TRB_IOC 0x020u
#define XHCI_TRB_IDT 0x040u /* the data is in the parameter */
#define XHCI_TRB_BSR 0x200u /* address device: do not set it; configure: deconfigure */
#define XHCI_TRB_IN 0x10000u
enum xhci_trb_type {
    XHCI_NORMAL = 1,
    XHCI_SETUP = 2,
    XHCI_DATA = 3,
    XHCI_STATUS = 4,
    XHCI_LINK = 6,
    XHCI_EVENT_DATA = 7,
    XHCI_NOOP = 8,
    XHCI_ENABLE_SLOT = 9,
    XHCI_DISABLE_SLOT = 10,
    XHCI_ADDRESS_DEVICE = 11,
    XHCI_CONFIGURE_ENDPOINT = 12,
    XHCI_EVALUATE_CONTEXT = 13,
    XHCI_RESET_ENDPOINT = 14,
    XHCI_STOP_ENDPOINT = 15,
    XHCI_SET_TR_DEQUEUE = 16,
    XHCI_RESET_DEVICE = 17,
    XHCI_COMMAND_NOOP = 23,
    XHCI_TRANSFER_EVENT = 32,
    XHCI_COMMAND_EVENT = 33,
    XHCI_PORT_EVENT = 34,
};
enum xhci_code {
    XHCI_SUCCESS = 1,
    XHCI_BUFFER_ERROR = 2,
    XHCI_TRB_ERROR = 5,
    XHCI_STALL = 6,
    XHCI_NO_SLOTS = 9,
    XHCI_SLOT_NOT_ENABLED = 11,
    XHCI_SHORT_PACKET = 13,
    XHCI_PARAMETER_ERROR = 17,
    XHCI_CONTEXT_STATE = 19,
    XHCI_RING_STOPPED = 24,
    XHCI_STOPPED_INVALID = 27,
};
enum { XHCI_SLOT_DEFAULT = 1, XHCI_SLOT_ADDRESSED = 2, XHCI_SLOT_CONFIGURED = 3 };
enum { XHCI_EP_OFF, XHCI_EP_RUNNING, XHCI_EP_HALTED, XHCI_EP_STOPPED, XHCI_EP_ERROR };
enum { XHCI_CONTEXT = 32, XHCI_ENDPOINTS = 32 /* by device context index, 1 to 31 */ };

#endif
