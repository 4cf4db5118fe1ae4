/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rootport.c - a PCI Express root port with one slot for devices that come and go: PCI Express 3.0
 * section 7.8, PCI-to-PCI Bridge 1.2 chapter 3, in the PCI identity of Intel's ICH9 (316972).
 *
 * The slot has an attention button, which the host presses, a power controller and a power
 * indicator. What comes is told by the button and the presence bit, what is asked back by the
 * button alone; when the guest has switched the power off, the machine takes it away. Events come
 * by MSI or the pin. Bus numbers and windows are storage: pci.c looks for the port that leads to a
 * bus, and BARs behind it are decoded wherever they are. Not modelled: reset of the secondary bus,
 * errors, power management events, links of other speeds.
 *
 * Threads: configuration accesses on vCPU threads, port_came() and port_ask() on the loop,
 * port_settle() with every vCPU stopped.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"
#include "board/chipset/chipset.h"
#include "board/pci.h"
#include "core/err.h"

enum { PORT_DEVFN = 28 << 3, PORT_DEVICE = 0x2940 /* and every second one */ };

/* Header of type 1 */
enum { TYPE_BRIDGE = 1, PREF_64 = 1 };

/* The capability, by offsets in it */
enum { EXP_LEN = 0x3c, EXP_FLAGS = 0x02, EXP_DEVCAP = 0x04, EXP_DEVCTL = 0x08, EXP_LNKCAP = 0x0c };
enum { EXP_LNKSTA = 0x12, EXP_SLTCAP = 0x14, EXP_SLTCTL = 0x18, EXP_SLTSTA = 0x1a };
enum { EXP_RTCTL = 0x1c };
enum port_bits {
    FLAGS = 0x0142, /* version 2, root port, with a slot */
    DEVCAP_RBER = 0x8000,
    LNK_X1_GEN1 = 0x0011,
    LNKCAP_DLLLARC = 1 << 20, /* says whether the link is active: */
    LNKSTA_DLLLA = 0x2000,
    SLTCAP = 0x00040053, /* button, power controller, indicator, hot plug, no command completed */
    SLTCAP_NUMBER = 19,
    SLTCTL_MASK = 0x1fff,
    SLTCTL_HPIE = 0x0020,
    SLTCTL_PCC = 0x0400, /* the power is off */
    SLTCTL_DLLSCE = 0x1000,
    SLTSTA_ABP = 0x0001,
    SLTSTA_PDC = 0x0008,
    SLTSTA_PDS = 0x0040,
    SLTSTA_DLLSC = 0x0100,
    SLTSTA_EVENTS =
        0x011f, /* cleared by writing ones; enabled by the same bits, but for the last */
    SLTCTL_EVENTS = 0x001f,
};

struct rootport {
    struct pci_dev p; /* first */
    struct board_signal sig;
    unsigned number; /* from 1 on */
    unsigned exp;    /* where the capability is */
    uint16_t events; /* SLTSTA's */
    bool occupied;
    bool powered;   /* by SLTCTL, as it was written last */
    bool removable; /* what is there came by port_came() */
    bool leaving;   /* the guest has given it up */
    bool raised;
};

/* --- under the device's lock --- */

static void port_update(struct rootport *r)
{
    uint16_t ctl = pci_config_get16(&r->p, r->exp + EXP_SLTCTL);
    bool active = r->occupied && r->powered;
    bool up =
        (r->events & ctl & SLTCTL_EVENTS) || ((ctl & SLTCTL_DLLSCE) && (r->events & SLTSTA_DLLSC));

    pci_config_set16(&r->p, r->exp + EXP_SLTSTA, r->events | (r->occupied ? SLTSTA_PDS : 0));
    pci_config_set16(&r->p, r->exp + EXP_LNKSTA, LNK_X1_GEN1 | (active ? LNKSTA_DLLLA : 0));
    up = up && (ctl & SLTCTL_HPIE);
    if (up == r->raised)
        return;
    r->raised = up;
    if (!up || !pci_notify(&r->p, 0))
        pci_intx(&r->p, up);
}

/* The bytes of a register that a write reached; the others are 0. */
static uint16_t port_written16(const struct pci_dev *p, unsigned reg, unsigned off, unsigned size)
{
    uint16_t v = 0;

    for (unsigned i = 0; i < 2; i++) {
        if (off <= reg + i && reg + i < off + size)
            v |= (uint16_t)(p->config[reg + i] << 8 * i);
    }
    return v;
}

static void port_config_written(struct pci_dev *p, unsigned off, unsigned size)
{
    struct rootport *r = (struct rootport *)p;
    bool was = r->powered;

    if (off >= r->exp + EXP_SLTSTA + 2 || off + size <= r->exp + EXP_SLTCTL)
        return;
    r->events &= (uint16_t)~port_written16(p, r->exp + EXP_SLTSTA, off, size);
    r->powered = !(pci_config_get16(p, r->exp + EXP_SLTCTL) & SLTCTL_PCC);
    if (was && !r->powered && r->removable) {
        r->removable = r->occupied = false;
        r->leaving = true;
        r->events |= SLTSTA_PDC | SLTSTA_DLLSC;
        r->sig.event(r->sig.arg, BOARD_EJECT, PCI_PLACE_PORT + r->number, NULL);
    }
    port_update(r);
}

/* --- the machine's side --- */

static void port_event(struct rootport *r, uint16_t events)
{
    r->events |= events;
    port_update(r);
}

void port_came(struct pci_dev *p)
{
    struct rootport *r = (struct rootport *)p;

    device_lock(&p->dev);
    r->occupied = r->removable = true;
    r->leaving = false;
    port_event(r, SLTSTA_ABP | SLTSTA_PDC | SLTSTA_DLLSC);
    device_unlock(&p->dev);
}

void port_ask(struct pci_dev *p)
{
    struct rootport *r = (struct rootport *)p;

    device_lock(&p->dev);
    if (r->removable)
        port_event(r, SLTSTA_ABP);
    device_unlock(&p->dev);
}

/* --- life --- */

/* What came stays, and firmware finds it as it finds the rest: with its power on. */
void port_settle(struct pci_dev *p)
{
    struct rootport *r = (struct rootport *)p;

    r->events = 0;
    r->occupied = !r->leaving && pci_at(p->dev.env.pci, PCI_BEHIND + r->number);
    r->powered = r->occupied;
    pci_config_set16(p, r->exp + EXP_SLTCTL, r->powered ? 0 : SLTCTL_PCC);
    port_update(r);
}

static void port_reset(struct device *d)
{
    port_settle((struct pci_dev *)d);
}

static void port_destroy(struct device *d)
{
    free(d);
}

static void port_io(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
                    uint64_t *val)
{
    /* there are no BARs */
}

static const struct device_ops port_ops = {
    .name = "rootport", .destroy = port_destroy, .reset = port_reset, .io = port_io};

static int port_capability(struct rootport *r)
{
    uint8_t body[EXP_LEN] = {0}, mask[EXP_LEN] = {0};

    le16_put(body + EXP_FLAGS, FLAGS);
    le32_put(body + EXP_DEVCAP, DEVCAP_RBER);
    le32_put(body + EXP_LNKCAP, LNK_X1_GEN1 | LNKCAP_DLLLARC | r->number << 24);
    le16_put(body + EXP_LNKSTA, LNK_X1_GEN1);
    le32_put(body + EXP_SLTCAP, SLTCAP | r->number << SLTCAP_NUMBER);
    le16_put(mask + EXP_DEVCTL, 0x000f);
    le16_put(mask + EXP_SLTCTL, SLTCTL_MASK);
    le16_put(mask + EXP_SLTSTA, SLTSTA_EVENTS);
    le16_put(mask + EXP_RTCTL, 0x001f);
    r->exp = pci_add_cap(&r->p, PCI_CAP_ID_EXP, body, mask, sizeof(body));
    return r->exp ? 0 : -ENOSPC;
}

static void port_header(struct pci_dev *p)
{
    p->config[PCI_HEADER_TYPE] = TYPE_BRIDGE;
    p->config[PCI_INTERRUPT_PIN] = 1;
    p->config[PCI_PREF_BASE] = p->config[PCI_PREF_BASE + 2] = PREF_64;
    memset(&p->writable[PCI_PRIMARY_BUS], 0xff, 3);
    memset(&p->writable[PCI_IO_BASE], 0xf0, 2);
    le32_put(&p->writable[PCI_MEMORY_BASE], 0xfff0fff0);
    le32_put(&p->writable[PCI_PREF_BASE], 0xfff0fff0);
    le64_put(&p->writable[PCI_PREF_UPPER], UINT64_MAX);
    p->writable[PCI_BRIDGE_CONTROL] = 0x03;
}

int port_create(const struct env *env, const struct board_signal *sig, unsigned number,
                struct pci_dev **out, struct err *e)
{
    const struct pci_id id = {0x8086, (uint16_t)(PORT_DEVICE + 2 * (number - 1)), 0, 0, 0x06040002};
    struct rootport *r = calloc(1, sizeof(*r));
    int rc;

    if (!r)
        return err_set(e, ENOMEM, "no memory for a PCI Express port");
    pci_init(&r->p, &port_ops, env, &id);
    port_header(&r->p);
    r->p.config_written = port_config_written;
    r->sig = *sig;
    r->number = number;
    rc = port_capability(r) < 0 ? err_set(e, ENOSPC, "no room for a port's capability") : 0;
    if (rc == 0)
        rc = pci_add_msi(&r->p, 1, e);
    if (rc == 0)
        rc = pci_add(env->pci, &r->p, PORT_DEVFN | (int)(number - 1), e);
    if (rc < 0) {
        pci_remove(&r->p);
        free(r);
        return rc;
    }
    pci_leads(&r->p, number);
    port_settle(&r->p);
    *out = &r->p;
    return 0;
}
