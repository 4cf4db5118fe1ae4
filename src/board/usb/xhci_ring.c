/* SPDX-License-Identifier: Apache-2.0 */
/* xhci_ring.c - the event ring of one segment, and rings that are read: xHCI 1.1 chapter 4.9. */
#include <string.h>

#include "board/usb/xhci_priv.h"
#include "core/gmem.h"

enum { LINKS = 16 /* in a row */ };

static bool has_room(const struct xhci *x)
{
    gpa_t next =
        x->s.event_at + (x->s.event_next + 1) % x->s.event_size * (gpa_t)sizeof(struct xhci_trb);

    return next != (x->s.erdp & ~UINT64_C(15));
}

static void put(struct xhci *x, const struct xhci_trb *t)
{
    uint8_t *p =
        gmem_shared(x->pci.dev.env.mem, x->s.event_at + x->s.event_next * sizeof(*t), sizeof(*t));

    if (!p) {
        xhci_fatal(x, "the event ring lies outside memory");
        return;
    }
    memcpy(p, t, 12);
    /* The cycle bit tells that the rest is there, so it goes last. */
    shared_store32(p + 12, le32_get(t->control) | (x->s.event_cycle ? XHCI_TRB_CYCLE : 0));
    if (++x->s.event_next == x->s.event_size) {
        x->s.event_next = 0;
        x->s.event_cycle = !x->s.event_cycle;
    }
    x->s.usbsts |= XHCI_STS_EINT;
}

/* Interrupts, unless the guest is at the ring already: it says when it leaves. */
static void announce(struct xhci *x)
{
    if (x->s.erdp & XHCI_ERDP_EHB)
        return;
    x->s.erdp |= XHCI_ERDP_EHB;
    x->s.iman |= XHCI_IMAN_IP;
    xhci_interrupt(x);
}

void xhci_interrupt(struct xhci *x)
{
    bool up = x->s.iman & XHCI_IMAN_IP && x->s.iman & XHCI_IMAN_IE && x->s.usbcmd & XHCI_CMD_INTE;

    if (up && pci_notify(&x->pci, 0)) {
        x->s.iman &= ~XHCI_IMAN_IP; /* a message clears it by itself */
        up = false;
    }
    pci_intx(&x->pci, up);
}

void xhci_event(struct xhci *x, unsigned type, uint64_t parameter, uint32_t status,
                uint32_t control)
{
    struct xhci_trb t = {le64_of(parameter), le32_of(status), le32_of(control | type << 10)};

    if (!x->s.event_size || x->s.usbsts & (XHCI_STS_HSE | XHCI_STS_HCH))
        return;
    if (x->s.waiting_count || !has_room(x)) {
        if (x->s.waiting_count == XHCI_EVENTS)
            xhci_fatal(x, "events are not taken");
        else
            x->s.waiting[(x->s.waiting_first + x->s.waiting_count++) % XHCI_EVENTS] = t;
        return;
    }
    put(x, &t);
    announce(x);
}

void xhci_events_moved(struct xhci *x)
{
    while (x->s.waiting_count && x->s.event_size && has_room(x)) {
        put(x, &x->s.waiting[x->s.waiting_first]);
        x->s.waiting_first = (x->s.waiting_first + 1) % XHCI_EVENTS;
        x->s.waiting_count--;
    }
    if (x->s.event_size &&
        (x->s.erdp & ~UINT64_C(15)) != x->s.event_at + x->s.event_next * sizeof(struct xhci_trb))
        announce(x);
    xhci_interrupt(x);
}

bool xhci_next(struct xhci *x, struct xhci_ring *r, struct xhci_trb *out, gpa_t *at)
{
    for (unsigned i = 0; i < LINKS; i++) {
        if (gmem_read(x->pci.dev.env.mem, r->at, out, sizeof(*out)) < 0) {
            guest_fault(&x->pci.dev, "a ring leads outside memory");
            return false;
        }
        if (!(le32_get(out->control) & XHCI_TRB_CYCLE) == r->cycle)
            return false;
        *at = r->at;
        if (xhci_type(out) != XHCI_LINK) {
            r->at += sizeof(*out);
            return true;
        }
        r->at = le64_get(out->parameter) & ~UINT64_C(15);
        if (le32_get(out->control) & XHCI_TRB_TC)
            r->cycle = !r->cycle;
    }
    guest_fault(&x->pci.dev, "a ring is made of links");
    return false;
}
