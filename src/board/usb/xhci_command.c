/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xhci_command.c - the command ring: slots, addresses, endpoints. Chapters 4.6 and 6.2.
 *
 * Contexts are 32 bytes. What the guest may read in an output context is written there; what counts
 * is kept here.
 */
#include <string.h>

#include "board/usb/xhci_priv.h"
#include "core/gmem.h"

/* An input context: control, slot, endpoints from 1 on. */
struct input {
    uint32_t drop, add;
    uint8_t slot[XHCI_CONTEXT];
    uint8_t ep[XHCI_ENDPOINTS][XHCI_CONTEXT];
};

static bool input_read(struct xhci *x, const struct xhci_trb *t, struct input *in)
{
    uint8_t raw[XHCI_CONTEXT * (XHCI_ENDPOINTS + 1)];
    gpa_t at = le64_get(t->parameter) & ~UINT64_C(15);

    if (gmem_read(x->pci.dev.env.mem, at, raw, sizeof(raw)) < 0)
        return false;
    in->drop = le32_at(raw);
    in->add = le32_at(raw + 4);
    memcpy(in->slot, raw + XHCI_CONTEXT, XHCI_CONTEXT);
    for (unsigned i = 1; i < XHCI_ENDPOINTS; i++)
        memcpy(in->ep[i], raw + (size_t)XHCI_CONTEXT * (i + 1), XHCI_CONTEXT);
    return true;
}

static void output_write(struct xhci *x, unsigned slot, unsigned index, const uint8_t *c)
{
    if (gmem_write(x->pci.dev.env.mem, x->s.slot[slot].context + (gpa_t)index * XHCI_CONTEXT, c,
                   XHCI_CONTEXT) < 0)
        guest_fault(&x->pci.dev, "the context of slot %u lies outside memory", slot);
}

void xhci_endpoint_save(struct xhci *x, unsigned slot, unsigned dci)
{
    const struct xhci_endpoint *e = &x->s.slot[slot].ep[dci];
    gpa_t at = x->s.slot[slot].context + (gpa_t)dci * XHCI_CONTEXT;
    uint8_t c[XHCI_CONTEXT];

    if (gmem_read(x->pci.dev.env.mem, at, c, sizeof(c)) < 0)
        return;
    c[0] = (uint8_t)((c[0] & ~7) | e->state);
    le64_put(c + 8, e->ring.at | e->ring.cycle);
    output_write(x, slot, dci, c);
}

static void slot_save(struct xhci *x, unsigned slot, const uint8_t *from)
{
    uint8_t c[XHCI_CONTEXT];

    if (from)
        memcpy(c, from, sizeof(c));
    else if (gmem_read(x->pci.dev.env.mem, x->s.slot[slot].context, c, sizeof(c)) < 0)
        return;
    le32_put(c + 12, (x->s.slot[slot].state >= XHCI_SLOT_ADDRESSED ? slot : 0) |
                         (uint32_t)x->s.slot[slot].state << 27);
    output_write(x, slot, 0, c);
}

static void endpoint_set(struct xhci *x, unsigned slot, unsigned dci, const uint8_t *c)
{
    struct xhci_endpoint *e = &x->s.slot[slot].ep[dci];
    uint64_t ring = le64_at(c + 8);

    *e = (struct xhci_endpoint){.ring = {ring & ~UINT64_C(15), ring & 1}, .state = XHCI_EP_RUNNING};
    output_write(x, slot, dci, c);
    xhci_endpoint_save(x, slot, dci);
}

/* --- commands --- */

static enum xhci_code enable_slot(struct xhci *x, unsigned *slot)
{
    unsigned max = x->s.config & 0xff;

    for (unsigned i = 1; i <= XHCI_SLOTS && i <= max; i++) {
        if (!x->s.slot[i].enabled) {
            x->s.slot[i] = (struct xhci_slot){.enabled = true};
            *slot = i;
            return XHCI_SUCCESS;
        }
    }
    return XHCI_NO_SLOTS;
}

static enum xhci_code address_device(struct xhci *x, unsigned slot, const struct xhci_trb *t)
{
    struct xhci_slot *s = &x->s.slot[slot];
    bool keep = le32_get(t->control) & XHCI_TRB_BSR;
    struct usb_device *d;
    struct input in;
    le64 context;

    if (!input_read(x, t, &in) || (in.add & 3) != 3 ||
        gmem_read(x->pci.dev.env.mem, (x->s.dcbaap & ~UINT64_C(63)) + slot * 8, &context, 8) < 0)
        return XHCI_PARAMETER_ERROR;
    d = xhci_at(x, in.slot[6]);
    if (!d)
        return XHCI_PARAMETER_ERROR;
    s->context = le64_get(context) & ~UINT64_C(63);
    s->port = in.slot[6];
    s->state = keep ? XHCI_SLOT_DEFAULT : XHCI_SLOT_ADDRESSED;
    slot_save(x, slot, in.slot);
    endpoint_set(x, slot, 1, in.ep[1]);
    return XHCI_SUCCESS;
}

static enum xhci_code configure(struct xhci *x, unsigned slot, const struct xhci_trb *t)
{
    struct xhci_slot *s = &x->s.slot[slot];
    struct input in = {.drop = UINT32_MAX};

    if (s->state < XHCI_SLOT_ADDRESSED)
        return XHCI_CONTEXT_STATE;
    if (!(le32_get(t->control) & XHCI_TRB_BSR) && !input_read(x, t, &in))
        return XHCI_PARAMETER_ERROR;
    s->state = XHCI_SLOT_ADDRESSED;
    for (unsigned dci = 2; dci < XHCI_ENDPOINTS; dci++) {
        if (in.drop >> dci & 1 && s->ep[dci].state != XHCI_EP_OFF) {
            s->ep[dci] = (struct xhci_endpoint){.state = XHCI_EP_OFF};
            xhci_endpoint_save(x, slot, dci);
        }
        if (in.add >> dci & 1)
            endpoint_set(x, slot, dci, in.ep[dci]);
        if (s->ep[dci].state != XHCI_EP_OFF)
            s->state = XHCI_SLOT_CONFIGURED;
    }
    if (in.add & 1) { /* how many endpoints there are, and the route */
        uint8_t c[XHCI_CONTEXT];

        memcpy(c, in.slot, sizeof(c));
        c[6] = s->port;
        slot_save(x, slot, c);
    } else {
        slot_save(x, slot, NULL);
    }
    return XHCI_SUCCESS;
}

/* The one thing that counts is endpoint 0's packet size, and that is in the output context. */
static enum xhci_code evaluate(struct xhci *x, unsigned slot, const struct xhci_trb *t)
{
    struct input in;
    uint8_t c[XHCI_CONTEXT];
    gpa_t at = x->s.slot[slot].context + XHCI_CONTEXT;

    if (!input_read(x, t, &in))
        return XHCI_PARAMETER_ERROR;
    if (in.add & 2 && gmem_read(x->pci.dev.env.mem, at, c, sizeof(c)) == 0) {
        memcpy(c + 6, in.ep[1] + 6, 2);
        output_write(x, slot, 1, c);
    }
    return XHCI_SUCCESS;
}

static enum xhci_code reset_device(struct xhci *x, unsigned slot)
{
    struct xhci_slot *s = &x->s.slot[slot];

    if (s->state < XHCI_SLOT_ADDRESSED)
        return XHCI_CONTEXT_STATE;
    s->state = XHCI_SLOT_DEFAULT;
    for (unsigned dci = 2; dci < XHCI_ENDPOINTS; dci++) {
        if (s->ep[dci].state != XHCI_EP_OFF) {
            s->ep[dci] = (struct xhci_endpoint){.state = XHCI_EP_OFF};
            xhci_endpoint_save(x, slot, dci);
        }
    }
    slot_save(x, slot, NULL);
    return XHCI_SUCCESS;
}

static enum xhci_code endpoint(struct xhci *x, unsigned slot, const struct xhci_trb *t)
{
    unsigned dci = le32_get(t->control) >> 16 & 31, type = xhci_type(t);
    struct xhci_endpoint *e = &x->s.slot[slot].ep[dci];
    uint64_t ring = le64_get(t->parameter);

    if (dci == 0 || e->state == XHCI_EP_OFF)
        return XHCI_CONTEXT_STATE;
    if (type == XHCI_RESET_ENDPOINT) {
        if (e->state != XHCI_EP_HALTED)
            return XHCI_CONTEXT_STATE;
        e->state = XHCI_EP_STOPPED;
    } else if (type == XHCI_STOP_ENDPOINT) {
        if (e->state != XHCI_EP_RUNNING)
            return XHCI_CONTEXT_STATE;
        e->state = XHCI_EP_STOPPED;
        e->wanted = false;
    } else {
        if (e->state == XHCI_EP_RUNNING)
            return XHCI_CONTEXT_STATE;
        e->ring = (struct xhci_ring){ring & ~UINT64_C(15), ring & 1};
        e->has_setup = false;
        xhci_td_leave(e);
    }
    xhci_endpoint_save(x, slot, dci);
    return XHCI_SUCCESS;
}

static enum xhci_code command(struct xhci *x, const struct xhci_trb *t, unsigned *slot)
{
    unsigned type = xhci_type(t);
    size_t i;

    if (type == XHCI_COMMAND_NOOP)
        return XHCI_SUCCESS;
    if (type == XHCI_ENABLE_SLOT)
        return enable_slot(x, slot);
    if (type < XHCI_ENABLE_SLOT || type > XHCI_RESET_DEVICE)
        return XHCI_TRB_ERROR;
    if (!idx_in(*slot, XHCI_SLOTS + 1, &i) || !x->s.slot[i].enabled)
        return XHCI_SLOT_NOT_ENABLED;
    switch (type) {
    case XHCI_DISABLE_SLOT:
        x->s.slot[i] = (struct xhci_slot){.enabled = false};
        return XHCI_SUCCESS;
    case XHCI_ADDRESS_DEVICE:
        return address_device(x, (unsigned)i, t);
    case XHCI_CONFIGURE_ENDPOINT:
        return configure(x, (unsigned)i, t);
    case XHCI_EVALUATE_CONTEXT:
        return evaluate(x, (unsigned)i, t);
    case XHCI_RESET_DEVICE:
        return reset_device(x, (unsigned)i);
    default:
        return endpoint(x, (unsigned)i, t);
    }
}

void xhci_commands(struct xhci *x)
{
    unsigned n;

    for (n = 0; n < XHCI_BATCH && x->s.command_running && !x->s.waiting_count; n++) {
        struct xhci_trb t;
        enum xhci_code code;
        unsigned slot;
        gpa_t at;

        if (!xhci_next(x, &x->s.command, &t, &at))
            break;
        slot = le32_get(t.control) >> 24;
        code = command(x, &t, &slot);
        xhci_event(x, XHCI_COMMAND_EVENT, at, (uint32_t)code << 24, slot << 24);
    }
    if (n == XHCI_BATCH)
        xhci_kick(x); /* the loop goes on */
}
