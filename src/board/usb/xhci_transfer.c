/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xhci_transfer.c - transfer rings: control transfers of endpoint 0, and interrupt endpoints to the
 * host. Chapters 4.11 and 6.4.1.
 */
#include <errno.h>
#include <string.h>

#include "board/usb/xhci_priv.h"
#include "core/gmem.h"

static void tell(struct xhci *x, unsigned slot, unsigned dci, gpa_t trb, enum xhci_code code,
                 uint32_t left)
{
    x->transfers++;
    xhci_event(x, XHCI_TRANSFER_EVENT, trb, (left & 0xffffff) | (uint32_t)code << 24,
               slot << 24 | dci << 16);
}

static void halt(struct xhci *x, unsigned slot, unsigned dci, gpa_t trb, uint32_t left,
                 enum xhci_code code)
{
    struct xhci_endpoint *e = &x->s.slot[slot].ep[dci];

    e->state = XHCI_EP_HALTED;
    e->wanted = e->has_setup = false;
    xhci_td_leave(e);
    xhci_endpoint_save(x, slot, dci);
    tell(x, slot, dci, trb, code, left);
}

/* 4.11.5.2: an event with the driver's own word and the bytes since the last one. */
static void event_data(struct xhci *x, unsigned slot, unsigned dci, const struct xhci_trb *t)
{
    struct xhci_endpoint *e = &x->s.slot[slot].ep[dci];
    uint32_t code = e->shorted ? XHCI_SHORT_PACKET : XHCI_SUCCESS;

    if (le32_get(t->control) & XHCI_TRB_IOC) {
        x->transfers++;
        xhci_event(x, XHCI_TRANSFER_EVENT, le64_get(t->parameter),
                   (e->counted & 0xffffff) | code << 24, slot << 24 | dci << 16 | XHCI_TRB_ED);
    }
    e->counted = 0;
}

/* --- control --- */

/* Asks the device, when all that goes to it is there. Bytes of the answer in x->data or -EPIPE. */
static int ask(struct xhci *x, struct usb_device *d, const struct xhci_endpoint *e)
{
    struct usb_setup s;
    size_t len;

    memcpy(&s, e->setup, sizeof(s));
    len = le16_get(s.wLength);
    len = len < sizeof(x->data) ? len : sizeof(x->data);
    memset(x->data, 0, len);
    return d->ops->control(d, &s, x->data, len);
}

/* A data stage's TRB. The device is asked again for each piece of a long answer, which changes
 * nothing: it has no requests that count. */
static void data_stage(struct xhci *x, unsigned slot, gpa_t at, const struct xhci_trb *t,
                       struct usb_device *d)
{
    struct xhci_endpoint *e = &x->s.slot[slot].ep[1];
    uint32_t len = le32_get(t->status) & 0x1ffff, control = le32_get(t->control), moved = 0;
    int n;

    if (e->skip) {
        e->skip = control & XHCI_TRB_CHAIN;
        return;
    }
    if (e->setup[0] & USB_DIR_IN) {
        n = ask(x, d, e);
        if (n < 0) {
            halt(x, slot, 1, at, len, XHCI_STALL);
            return;
        }
        if ((uint32_t)n > e->done)
            moved = (uint32_t)min_u64((uint32_t)n - e->done, len);
        if (gmem_write(x->pci.dev.env.mem, le64_get(t->parameter), x->data + e->done, moved) < 0) {
            halt(x, slot, 1, at, len, XHCI_BUFFER_ERROR);
            return;
        }
    } else {
        moved = len; /* no request has data that matters */
    }
    e->done += moved;
    e->counted += moved;
    if (moved < len) {
        e->shorted = true;
        e->skip = control & XHCI_TRB_CHAIN;
    }
    if (control & XHCI_TRB_IOC || (moved < len && control & XHCI_TRB_ISP))
        tell(x, slot, 1, at, moved < len ? XHCI_SHORT_PACKET : XHCI_SUCCESS, len - moved);
}

static void status_stage(struct xhci *x, unsigned slot, gpa_t at, const struct xhci_trb *t,
                         struct usb_device *d)
{
    struct xhci_endpoint *e = &x->s.slot[slot].ep[1];

    if (!(e->setup[0] & USB_DIR_IN) && ask(x, d, e) < 0) {
        halt(x, slot, 1, at, 0, XHCI_STALL);
        return;
    }
    e->has_setup = false;
    xhci_kick(x); /* it may be bound now */
    if (le32_get(t->control) & XHCI_TRB_IOC)
        tell(x, slot, 1, at, XHCI_SUCCESS, 0);
}

static void control(struct xhci *x, unsigned slot, gpa_t at, const struct xhci_trb *t,
                    struct usb_device *d)
{
    struct xhci_endpoint *e = &x->s.slot[slot].ep[1];

    switch (xhci_type(t)) {
    case XHCI_SETUP:
        memcpy(e->setup, t->parameter.b, sizeof(e->setup));
        e->has_setup = true;
        e->done = 0;
        xhci_td_leave(e);
        if (le32_get(t->control) & XHCI_TRB_IOC)
            tell(x, slot, 1, at, XHCI_SUCCESS, 0);
        return;
    case XHCI_DATA:
    case XHCI_NORMAL:
        if (!e->has_setup)
            break;
        data_stage(x, slot, at, t, d);
        return;
    case XHCI_STATUS:
        if (!e->has_setup)
            break;
        status_stage(x, slot, at, t, d);
        return;
    case XHCI_EVENT_DATA:
        event_data(x, slot, 1, t);
        if (!(le32_get(t->control) & XHCI_TRB_CHAIN))
            e->skip = false;
        return;
    case XHCI_NOOP:
        if (le32_get(t->control) & XHCI_TRB_IOC)
            tell(x, slot, 1, at, XHCI_SUCCESS, 0);
        return;
    default:
        break;
    }
    halt(x, slot, 1, at, 0, XHCI_TRB_ERROR);
}

/* --- interrupt endpoints --- */

/* A buffer of a descriptor gets its piece of the packet. false: the device has none, and the TRB
 * stays. */
static bool packet_piece(struct xhci *x, unsigned slot, unsigned dci, gpa_t at,
                         const struct xhci_trb *t, struct usb_device *d)
{
    struct xhci_endpoint *e = &x->s.slot[slot].ep[dci];
    uint32_t len = le32_get(t->status) & 0x1ffff, moved;

    if (!e->fetched) {
        int n = d->ops->in(d, dci / 2, e->packet, sizeof(e->packet));

        if (n == -EAGAIN)
            return false;
        if (n < 0) {
            halt(x, slot, dci, at, len, XHCI_STALL);
            return true;
        }
        e->fetched = true;
        e->have = (uint8_t)n;
        e->taken = 0;
    }
    moved = (uint32_t)min_u64(len, (uint64_t)(e->have - e->taken));
    if (gmem_write(x->pci.dev.env.mem, le64_get(t->parameter), e->packet + e->taken, moved) < 0) {
        halt(x, slot, dci, at, len, XHCI_BUFFER_ERROR);
        return true;
    }
    e->taken = (uint8_t)(e->taken + moved);
    e->counted += moved;
    if (moved < len)
        e->skip = e->shorted = true;
    if (le32_get(t->control) & XHCI_TRB_IOC || (moved < len && le32_get(t->control) & XHCI_TRB_ISP))
        tell(x, slot, dci, at, moved < len ? XHCI_SHORT_PACKET : XHCI_SUCCESS, len - moved);
    return true;
}

/* false: the device has nothing, and the TRB stays. */
static bool interrupt_in(struct xhci *x, unsigned slot, unsigned dci, gpa_t at,
                         const struct xhci_trb *t, struct usb_device *d)
{
    struct xhci_endpoint *e = &x->s.slot[slot].ep[dci];
    unsigned type = xhci_type(t);

    if (type == XHCI_EVENT_DATA) {
        event_data(x, slot, dci, t);
    } else if (type == XHCI_NOOP) {
        if (le32_get(t->control) & XHCI_TRB_IOC)
            tell(x, slot, dci, at, XHCI_SUCCESS, 0);
    } else if (type != XHCI_NORMAL || !(dci & 1)) {
        halt(x, slot, dci, at, le32_get(t->status) & 0x1ffff, XHCI_TRB_ERROR);
    } else if (!e->skip && !packet_piece(x, slot, dci, at, t, d)) {
        return false;
    }
    if (!(le32_get(t->control) & XHCI_TRB_CHAIN))
        xhci_td_leave(e);
    return true;
}

void xhci_endpoint_run(struct xhci *x, unsigned slot, unsigned dci)
{
    struct xhci_endpoint *e = &x->s.slot[slot].ep[dci];
    struct usb_device *d = xhci_at(x, x->s.slot[slot].port);
    unsigned i;

    e->wanted = true;
    for (i = 0; i < XHCI_BATCH && d && e->wanted && e->state == XHCI_EP_RUNNING &&
                !(x->s.usbsts & (XHCI_STS_HCH | XHCI_STS_HSE)) && !x->s.waiting_count;
         i++) {
        struct xhci_ring next = e->ring;
        struct xhci_trb t;
        gpa_t at;

        if (!xhci_next(x, &next, &t, &at)) {
            e->wanted = false;
            break;
        }
        if (dci != 1 && !interrupt_in(x, slot, dci, at, &t, d))
            break;
        if (dci == 1) {
            e->ring = next; /* before an event or a halt tells where it is */
            control(x, slot, at, &t, d);
        } else if (e->state == XHCI_EP_RUNNING) {
            e->ring = next;
        }
    }
    if (i == XHCI_BATCH)
        xhci_kick(x); /* the loop goes on */
}

void xhci_device_ready(struct xhci *x, const struct usb_device *d)
{
    for (unsigned slot = 1; slot <= XHCI_SLOTS; slot++) {
        if (!x->s.slot[slot].enabled || xhci_at(x, x->s.slot[slot].port) != d)
            continue;
        for (unsigned dci = 2; dci < XHCI_ENDPOINTS; dci++) {
            if (x->s.slot[slot].ep[dci].wanted)
                xhci_endpoint_run(x, slot, dci);
        }
    }
}
