/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xhci.c - an eXtensible Host Controller: registers, ports and life.
 *
 * Document: xHCI 1.1. Modelled: one interrupter with an event ring of one segment, eight slots,
 * control transfers and interrupt endpoints to the host, four sockets for USB 2; USB 3 ports are
 * there, since drivers want some, and empty. Not modelled: bulk and isochronous transfers, streams,
 * hubs, hot plug, interrupt moderation, frame numbers beyond a clock, power states beyond a port's.
 *
 * Threads: registers on vCPU threads, input on the loop; one lock.
 */
#include "board/usb/xhci.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "board/usb/xhci_priv.h"
#include "core/bell.h"
#include "core/err.h"
#include "core/gmem.h"

enum { BAR_REGISTERS = 0, BAR_SIZE = 0x4000, BAR_MSIX = 4 };
enum { OPERATIONAL = 0x40, RUNTIME = 0x1000, DOORBELLS = 0x2000, EXTENDED = 0x500 };
enum { PLS_U0 = 0, PLS_U3 = 3, PLS_DETECT = 5, PLS_POLLING = 7, PLS_RESUME = 15 };

static struct xhci *of(struct device *d)
{
    return (struct xhci *)d;
}

void xhci_kick(struct xhci *x)
{
    bell_ring(x->kick.fd);
}

void xhci_fatal(struct xhci *x, const char *why)
{
    guest_fault(&x->pci.dev, "the controller stops: %s", why);
    x->s.usbsts |= XHCI_STS_HSE | XHCI_STS_HCH;
    x->s.usbcmd &= ~XHCI_CMD_RUN;
    x->s.command_running = false;
}

struct usb_device *xhci_at(struct xhci *x, unsigned port)
{
    size_t i;

    return idx_in(port - UINT64_C(1), XHCI_SOCKETS, &i) && x->s.portsc[i] & XHCI_PORT_PED
               ? x->socket[i]
               : NULL;
}

/* --- ports --- */

static void port_power_on(struct xhci *x, unsigned i)
{
    const struct usb_device *d = i < XHCI_SOCKETS ? x->socket[i] : NULL;

    x->s.portsc[i] = XHCI_PORT_PP | (uint32_t)PLS_DETECT << 5;
    if (d)
        x->s.portsc[i] = XHCI_PORT_PP | XHCI_PORT_CCS | XHCI_PORT_CSC | (uint32_t)PLS_POLLING << 5 |
                         (uint32_t)d->speed << XHCI_PORT_SPEED;
}

static void port_changed(struct xhci *x, unsigned i, uint32_t bits)
{
    bool known = x->s.portsc[i] & bits;

    x->s.portsc[i] |= bits;
    x->s.usbsts |= XHCI_STS_PCD;
    if (!known)
        xhci_event(x, XHCI_PORT_EVENT, (uint64_t)(i + 1) << 24, (uint32_t)XHCI_SUCCESS << 24, 0);
}

static void port_state(struct xhci *x, unsigned i, unsigned pls)
{
    x->s.portsc[i] = (x->s.portsc[i] & ~XHCI_PORT_PLS) | pls << 5;
}

static void port_write(struct xhci *x, unsigned i, uint32_t v)
{
    uint32_t *p = &x->s.portsc[i];
    unsigned pls = (v & XHCI_PORT_PLS) >> 5, was = (*p & XHCI_PORT_PLS) >> 5;

    *p &= ~(v & XHCI_PORT_CHANGES);
    *p = (*p & ~XHCI_PORT_KEPT) | (v & XHCI_PORT_KEPT);
    if (v & XHCI_PORT_PED) /* writing a one switches it off */
        *p &= ~XHCI_PORT_PED;
    if (v & XHCI_PORT_PR && *p & XHCI_PORT_CCS) {
        x->socket[i]->ops->reset(x->socket[i]);
        xhci_kick(x);
        *p |= XHCI_PORT_PED;
        port_state(x, i, PLS_U0);
        port_changed(x, i, XHCI_PORT_PRC);
    } else if (v & XHCI_PORT_LWS && *p & XHCI_PORT_PED && pls != was) {
        if (pls != PLS_U0 && pls != PLS_U3 && pls != PLS_RESUME)
            return;
        port_state(x, i, pls);
        if (pls == PLS_U0)
            port_changed(x, i, XHCI_PORT_PLC);
    }
}

/* --- reset and running --- */

static void controller_reset(struct xhci *x)
{
    memset(&x->s, 0, sizeof(x->s));
    x->s.usbsts = XHCI_STS_HCH;
    for (unsigned i = 0; i < XHCI_PORT_COUNT; i++)
        port_power_on(x, i);
    for (unsigned i = 0; i < XHCI_SOCKETS; i++) {
        if (x->socket[i])
            x->socket[i]->ops->reset(x->socket[i]);
    }
    pci_intx(&x->pci, false);
    xhci_kick(x);
}

/* The segment table has one entry; the ring is made anew when its address was written. */
static void event_ring(struct xhci *x)
{
    uint8_t entry[16];

    x->s.event_size = 0;
    x->s.event_fresh = false;
    if (gmem_read(x->pci.dev.env.mem, x->s.erstba & ~UINT64_C(63), entry, sizeof(entry)) < 0) {
        xhci_fatal(x, "the event ring's table lies outside memory");
        return;
    }
    x->s.event_at = le64_at(entry) & ~UINT64_C(63);
    x->s.event_size = le32_at(entry + 8) & 0xffff;
    if (x->s.event_size < 16 || x->s.event_size > 4096)
        x->s.event_size = 0;
    x->s.event_next = 0;
    x->s.event_cycle = true;
}

static void command_write(struct xhci *x, uint32_t v)
{
    bool was = x->s.usbcmd & XHCI_CMD_RUN;

    if (v & XHCI_CMD_HCRST) {
        controller_reset(x);
        return;
    }
    /* What a sleep has taken was not saved: the driver is told to begin anew. */
    if (v & XHCI_CMD_CSS)
        x->s.usbsts &= ~XHCI_STS_SRE;
    if (v & XHCI_CMD_CRS)
        x->s.usbsts |= XHCI_STS_SRE;
    x->s.usbcmd = v & 0xc0d;
    if (v & XHCI_CMD_RUN && !was && x->s.event_fresh)
        event_ring(x);
    if (v & XHCI_CMD_RUN && !was && !(x->s.usbsts & XHCI_STS_HSE)) {
        x->s.usbsts &= ~XHCI_STS_HCH;
        for (unsigned i = 0; i < XHCI_PORT_COUNT; i++) {
            if (x->s.portsc[i] & XHCI_PORT_CHANGES)
                xhci_event(x, XHCI_PORT_EVENT, (uint64_t)(i + 1) << 24,
                           (uint32_t)XHCI_SUCCESS << 24, 0);
        }
    } else if (!(v & XHCI_CMD_RUN) && was) {
        x->s.usbsts |= XHCI_STS_HCH;
        x->s.command_running = false;
        x->s.crcr &= ~UINT64_C(8);
    }
    xhci_interrupt(x);
    xhci_kick(x);
}

/* --- registers --- */

static void half(uint64_t *r, bool high, uint32_t v)
{
    *r = high ? (uint32_t)*r | (uint64_t)v << 32 : (*r & ~UINT64_C(0xffffffff)) | v;
}

static void operational_write(struct xhci *x, unsigned off, uint32_t v)
{
    unsigned port = (off - XHCI_PORTS) / 16;

    switch (off) {
    case XHCI_USBCMD:
        command_write(x, v);
        return;
    case XHCI_USBSTS:
        x->s.usbsts &= ~(v & (XHCI_STS_EINT | XHCI_STS_PCD | XHCI_STS_SRE));
        return;
    case XHCI_DNCTRL:
        x->s.dnctrl = v & 0xffff;
        return;
    case XHCI_CRCR:
    case XHCI_CRCR + 4:
        if (x->s.command_running) {
            if (off == XHCI_CRCR && v & XHCI_CRCR_STOP) {
                x->s.command_running = false;
                x->s.command_stopped = true;
                xhci_event(x, XHCI_COMMAND_EVENT, x->s.command.at,
                           (uint32_t)XHCI_RING_STOPPED << 24, 0);
            }
            return;
        }
        if (off != XHCI_CRCR && x->s.command_stopped)
            return; /* the other half of what stopped it: the ring goes on where it is */
        x->s.command_stopped = false;
        half(&x->s.crcr, off & 4, v);
        x->s.command = (struct xhci_ring){x->s.crcr & ~UINT64_C(63), x->s.crcr & XHCI_CRCR_RCS};
        return;
    case XHCI_DCBAAP:
    case XHCI_DCBAAP + 4:
        half(&x->s.dcbaap, off & 4, v);
        return;
    case XHCI_CONFIG:
        x->s.config = v & 0xff;
        return;
    default:
        if (off >= XHCI_PORTS && port < XHCI_PORT_COUNT && off % 16 == XHCI_PORTSC)
            port_write(x, port, v);
    }
}

static uint32_t operational_read(const struct xhci *x, unsigned off)
{
    unsigned port = (off - XHCI_PORTS) / 16;

    switch (off) {
    case XHCI_USBCMD:
        return x->s.usbcmd;
    case XHCI_USBSTS:
        return x->s.usbsts;
    case XHCI_PAGESIZE:
        return 1;
    case XHCI_DNCTRL:
        return x->s.dnctrl;
    case XHCI_CRCR: /* the pointer reads as zero */
        return x->s.command_running ? XHCI_CRCR_CRR : 0;
    case XHCI_DCBAAP:
    case XHCI_DCBAAP + 4:
        return (uint32_t)(x->s.dcbaap >> 8 * (off & 4));
    case XHCI_CONFIG:
        return x->s.config;
    default:
        return off >= XHCI_PORTS && port < XHCI_PORT_COUNT && off % 16 == XHCI_PORTSC
                   ? x->s.portsc[port]
                   : 0;
    }
}

static void runtime_write(struct xhci *x, unsigned off, uint32_t v)
{
    switch (off) {
    case XHCI_IMAN:
        x->s.iman = (x->s.iman & ~(v & XHCI_IMAN_IP) & XHCI_IMAN_IP) | (v & XHCI_IMAN_IE);
        xhci_interrupt(x);
        return;
    case XHCI_IMOD:
        x->s.imod = v;
        return;
    case XHCI_ERSTSZ:
        x->s.erstsz = v & 0xffff;
        return;
    case XHCI_ERSTBA:
    case XHCI_ERSTBA + 4:
        half(&x->s.erstba, off & 4, v);
        x->s.event_fresh = true; /* halves come one by one: looked at when it is run */
        return;
    case XHCI_ERDP: { /* the busy bit is cleared by writing a one */
        bool busy = x->s.erdp & XHCI_ERDP_EHB && !(v & XHCI_ERDP_EHB);

        half(&x->s.erdp, false, (v & ~XHCI_ERDP_EHB) | (busy ? XHCI_ERDP_EHB : 0));
        break;
    }
    case XHCI_ERDP + 4:
        half(&x->s.erdp, true, v);
        break;
    default:
        return;
    }
    if (x->s.waiting_count)
        xhci_kick(x); /* what was held back goes on */
    xhci_events_moved(x);
}

static uint32_t runtime_read(const struct xhci *x, unsigned off)
{
    switch (off) {
    case XHCI_MFINDEX:
        return (uint32_t)(loop_now(x->pci.dev.env.loop) / 125000) & 0x3fff;
    case XHCI_IMAN:
        return x->s.iman;
    case XHCI_IMOD:
        return x->s.imod;
    case XHCI_ERSTSZ:
        return x->s.erstsz;
    case XHCI_ERSTBA:
    case XHCI_ERSTBA + 4:
        return (uint32_t)(x->s.erstba >> 8 * (off & 4));
    case XHCI_ERDP:
    case XHCI_ERDP + 4:
        return (uint32_t)(x->s.erdp >> 8 * (off & 4));
    default:
        return 0;
    }
}

static uint32_t capability_read(unsigned off)
{
    static const uint32_t extended[8] = {
        2 | 4 << 8 | 0x0200u << 16,
        0x20425355,
        1 | XHCI_SOCKETS << 8,
        0, /* ports 1 to 4: USB 2 */
        2 | 0x0300u << 16,
        0x20425355,
        (XHCI_SOCKETS + 1) | XHCI_SOCKETS << 8,
        0, /* 5 to 8: 3 */
    };

    switch (off) {
    case 0:
        return OPERATIONAL | 0x0100u << 16;
    case XHCI_HCSPARAMS1:
        return XHCI_SLOTS | 1u << 8 | (uint32_t)XHCI_PORT_COUNT << 24;
    case XHCI_HCSPARAMS2:
        return 0x0f;
    case XHCI_HCCPARAMS1:
        return 1 | (uint32_t)EXTENDED / 4 << 16; /* 64 bits of address */
    case XHCI_DBOFF:
        return DOORBELLS;
    case XHCI_RTSOFF:
        return RUNTIME;
    default:
        return off >= EXTENDED && off < EXTENDED + sizeof(extended) ? extended[(off - EXTENDED) / 4]
                                                                    : 0;
    }
}

static void doorbell(struct xhci *x, unsigned n, uint32_t v)
{
    unsigned dci = v & 0xff;
    size_t slot;

    if (x->s.usbsts & (XHCI_STS_HCH | XHCI_STS_HSE))
        return;
    if (n == 0) {
        x->s.command_running = true;
        xhci_commands(x);
    } else if (idx_in(n, XHCI_SLOTS + 1, &slot) && x->s.slot[slot].enabled && dci &&
               dci < XHCI_ENDPOINTS) {
        struct xhci_endpoint *e = &x->s.slot[slot].ep[dci];

        if (e->state == XHCI_EP_STOPPED) {
            e->state = XHCI_EP_RUNNING;
            xhci_endpoint_save(x, (unsigned)slot, dci);
        }
        xhci_endpoint_run(x, (unsigned)slot, dci);
    }
}

static void reg_write(struct xhci *x, unsigned off, uint32_t v)
{
    if (off >= DOORBELLS)
        doorbell(x, (off - DOORBELLS) / 4, v);
    else if (off >= RUNTIME)
        runtime_write(x, off - RUNTIME, v);
    else if (off >= OPERATIONAL)
        operational_write(x, off - OPERATIONAL, v);
}

static uint32_t reg_read(const struct xhci *x, unsigned off)
{
    if (off >= DOORBELLS)
        return 0;
    if (off >= RUNTIME)
        return runtime_read(x, off - RUNTIME);
    if (off >= EXTENDED && off < EXTENDED + 32)
        return capability_read(off);
    return off >= OPERATIONAL ? operational_read(x, off - OPERATIONAL) : capability_read(off);
}

static void xhci_io(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
                    uint64_t *val)
{
    unsigned at = (unsigned)off & ~3u;

    (void)region;
    if (dir == ACC_READ) {
        *val = (uint64_t)reg_read(of(d), at) >> 8 * (off & 3);
        if (size == 8)
            *val |= (uint64_t)reg_read(of(d), at + 4) << 32;
    } else if (size >= 4 && off % 4 == 0) {
        reg_write(of(d), at, (uint32_t)*val);
        if (size == 8)
            reg_write(of(d), at + 4, (uint32_t)(*val >> 32));
    }
}

/* --- the loop's side --- */

/* Who is bound has changed, or events are taken again. */
static void kicked(struct watch *w, uint32_t got)
{
    struct xhci *x = container_of(w, struct xhci, kick);
    bool now[XHCI_SOCKETS];

    (void)got;
    bell_take(w->fd);
    device_lock(&x->pci.dev);
    if (!(x->s.usbsts & XHCI_STS_HCH) && !x->s.waiting_count) {
        xhci_commands(x);
        for (unsigned slot = 1; slot <= XHCI_SLOTS; slot++) {
            for (unsigned dci = 1; dci < XHCI_ENDPOINTS; dci++) {
                if (x->s.slot[slot].enabled && x->s.slot[slot].ep[dci].wanted)
                    xhci_endpoint_run(x, slot, dci);
            }
        }
    }
    for (unsigned i = 0; i < XHCI_SOCKETS; i++)
        now[i] = x->socket[i] && x->socket[i]->configuration && !(x->s.usbsts & XHCI_STS_HCH);
    device_unlock(&x->pci.dev);
    for (unsigned i = 0; i < XHCI_SOCKETS; i++) {
        if (x->socket[i] && x->socket[i]->bound != now[i]) {
            x->socket[i]->bound = now[i];
            x->socket[i]->ops->bind(x->socket[i], now[i]);
        }
    }
}

static void device_ready(struct usb_device *d)
{
    struct xhci *x = d->bus;

    device_lock(&x->pci.dev);
    xhci_device_ready(x, d);
    device_unlock(&x->pci.dev);
}

static void device_guard(struct usb_device *d, bool on)
{
    struct xhci *x = d->bus;

    if (on)
        device_lock(&x->pci.dev);
    else
        device_unlock(&x->pci.dev);
}

/* --- life --- */

static void xhci_reset(struct device *d)
{
    controller_reset(of(d));
}

static void xhci_destroy(struct device *d)
{
    struct xhci *x = of(d);

    for (unsigned i = 0; i < XHCI_SOCKETS; i++) {
        if (x->socket[i] && x->socket[i]->bound)
            x->socket[i]->ops->bind(x->socket[i], false);
        if (x->socket[i])
            x->socket[i]->ops->destroy(x->socket[i]);
    }
    if (x->kick.fd >= 0) {
        loop_unwatch(d->env.loop, &x->kick);
        close(x->kick.fd);
    }
    free(x);
}

static void xhci_describe(struct device *d, struct dump *out)
{
    struct xhci *x = of(d);

    for (unsigned i = 0; i < XHCI_SOCKETS; i++) {
        if (x->socket[i])
            dump_add(out, x->socket[i]->ops->name, "%s",
                     x->socket[i]->bound ? "bound" : "no driver");
    }
    dump_add(out, "transfers", "%llu", (unsigned long long)x->transfers);
}

static const struct device_ops xhci_ops = {
    .name = "xhci",
    .destroy = xhci_destroy,
    .reset = xhci_reset,
    .io = xhci_io,
    .describe = xhci_describe,
};

int xhci_create(const struct env *env, struct xhci **out, struct err *e)
{
    static const struct pci_id id = {0x1b36, 0x000d, 0x1af4, 0x1100, 0x0c033001};
    struct xhci *x = calloc(1, sizeof(*x));
    int rc;

    if (!x)
        return err_set(e, ENOMEM, "no memory for a USB controller");
    pci_init(&x->pci, &xhci_ops, env, &id);
    x->pci.dev.env.id = "usb";
    x->pci.config[0x60] = 0x30; /* USB 3.0 */
    x->pci.cap_end = 0x70;
    x->pci.bar[BAR_REGISTERS] = (struct pci_bar){.kind = PCI_BAR_MEM64, .size = BAR_SIZE};
    x->kick = (struct watch){.want = EPOLLIN, .ready = kicked};
    x->kick.fd = bell_make();
    rc = x->kick.fd < 0 ? err_set(e, errno, "no doorbell for a USB controller")
                        : loop_watch(env->loop, &x->kick);
    if (rc == 0)
        rc = pci_add_msix(&x->pci, BAR_MSIX, 1, e);
    if (rc == 0)
        rc = pci_add_msi(&x->pci, 1, e);
    if (rc == 0)
        rc = pci_add(env->pci, &x->pci, -1, e);
    if (rc < 0) {
        pci_remove(&x->pci);
        xhci_destroy(&x->pci.dev);
        return rc;
    }
    controller_reset(x);
    *out = x;
    return 0;
}

int xhci_plug(struct xhci *x, struct usb_device *d, struct err *e)
{
    for (unsigned i = 0; i < XHCI_SOCKETS; i++) {
        if (x->socket[i])
            continue;
        d->bus = x;
        d->ready = device_ready;
        d->lock = device_guard;
        x->socket[i] = d;
        port_power_on(x, i);
        return 0;
    }
    d->ops->destroy(d);
    return err_set(e, ENOSPC, "all %d USB ports are taken", XHCI_SOCKETS);
}

int xhci_add_input(const struct env *env, struct hub *hub, struct err *e)
{
    struct usb_device *d;
    struct xhci *x;
    int rc = xhci_create(env, &x, e);

    if (rc == 0)
        rc = usb_keyboard_create(hub, &d, e);
    if (rc == 0)
        rc = xhci_plug(x, d, e);
    if (rc == 0)
        rc = usb_tablet_create(hub, &d, e);
    return rc < 0 ? rc : xhci_plug(x, d, e);
}
