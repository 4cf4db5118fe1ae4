/* SPDX-License-Identifier: Apache-2.0 */
/* xhci_priv.h - what the xhci*.c files share; everything under the device's lock. */
#ifndef HOSPES_BOARD_USB_XHCI_PRIV_H
#define HOSPES_BOARD_USB_XHCI_PRIV_H

#include "abi/xhci.h"
#include "board/pci.h"
#include "board/usb/xhci.h"
#include "core/loop.h"

enum {
    XHCI_PORT_COUNT = 8, /* four for USB 2, four for USB 3 that stay empty */
    XHCI_SOCKETS = 4,
    XHCI_SLOTS = 8,
    XHCI_EVENTS = 64,    /* that wait while the ring is full */
    XHCI_BATCH = 256,    /* TRBs before the guest has its turn */
    XHCI_CONTROL = 4096, /* bytes of a control transfer */
    XHCI_PACKET = 64,    /* bytes of an interrupt endpoint's, at most */
};

struct xhci_ring {
    gpa_t at;
    bool cycle;
};

/* Plain data. */
struct xhci_endpoint {
    struct xhci_ring ring; /* the next TRB */
    uint8_t state;
    bool wanted; /* rung, and not yet out of TRBs */
    /* The transfer descriptor that is under way: TRBs of one chain. */
    bool skip;        /* a short packet was in it: what buffers are left in it stay empty */
    bool shorted;     /* it, or the control transfer that it belongs to, had one */
    uint32_t counted; /* bytes since the last event data TRB */
    /* EP 0: the transfer that is under way. */
    uint8_t setup[8];
    bool has_setup;
    uint32_t done; /* bytes of its data that have moved */
    /* Others: the packet that the descriptor's buffers share. */
    bool fetched;
    uint8_t packet[XHCI_PACKET], have, taken;
};
struct xhci_slot {
    bool enabled;
    uint8_t state, port; /* port: from 1, 0: none */
    gpa_t context;       /* the output device context */
    struct xhci_endpoint ep[XHCI_ENDPOINTS];
};

struct xhci_state {
    uint32_t usbcmd, usbsts, dnctrl, config;
    uint64_t crcr, dcbaap;
    uint32_t portsc[XHCI_PORT_COUNT];
    uint32_t iman, imod, erstsz;
    uint64_t erstba, erdp;
    gpa_t event_at; /* the segment */
    uint32_t event_size, event_next;
    bool event_cycle, event_fresh; /* fresh: its table's address was written */
    struct xhci_ring command;
    bool command_running;
    bool command_stopped; /* and its address was not written since */
    struct xhci_slot slot[XHCI_SLOTS + 1];
    struct xhci_trb waiting[XHCI_EVENTS];
    unsigned waiting_first, waiting_count;
};

struct xhci {
    struct pci_dev pci; /* first */
    struct usb_device *socket[XHCI_SOCKETS];
    struct watch kick; /* the loop looks who is bound */
    struct xhci_state s;
    uint8_t data[XHCI_CONTROL]; /* of the control transfer that is being done */
    uint64_t transfers;
};

/* A descriptor has come to its end, or is left. */
static inline void xhci_td_leave(struct xhci_endpoint *e)
{
    e->skip = e->shorted = e->fetched = false;
    e->counted = 0;
}

static inline unsigned xhci_type(const struct xhci_trb *t)
{
    return le32_get(t->control) >> 10 & 63;
}

/* xhci.c */
void xhci_kick(struct xhci *x);
struct usb_device *xhci_at(struct xhci *x, unsigned port); /* NULL: nothing there, or not reset */
void xhci_fatal(struct xhci *x, const char *why);

/* xhci_ring.c */
void xhci_event(struct xhci *x, unsigned type, uint64_t parameter, uint32_t status,
                uint32_t control);
void xhci_events_moved(struct xhci *x); /* ERDP was written, or the ring made anew */
void xhci_interrupt(struct xhci *x);
/* The ring's next TRB, links followed, and steps over it; *at is where it was. false: none. */
MUST bool xhci_next(struct xhci *x, struct xhci_ring *r, struct xhci_trb *out, gpa_t *at);

/* xhci_command.c */
void xhci_commands(struct xhci *x);
/* Writes an endpoint's state and ring back into the output context. */
void xhci_endpoint_save(struct xhci *x, unsigned slot, unsigned dci);

/* xhci_transfer.c */
void xhci_endpoint_run(struct xhci *x, unsigned slot, unsigned dci);
void xhci_device_ready(struct xhci *x, const struct usb_device *d);

#endif
