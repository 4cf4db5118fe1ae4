/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtl8139.c - Realtek's RTL8139C+: registers, EEPROM and life.
 *
 * Documents: abi/rtl8139.h. Modelled: the old mode (four slots to send, a ring of bytes to receive)
 * and the C+ mode (rings of descriptors, sums, segmentation, VLAN tags), filters, the tally
 * counters, the transceiver's registers, link changes, the timer and its interrupt. Not modelled:
 * early receive, loopback, flow control, wake-up, power states, a boot ROM's access by registers.
 *
 * Threads: as nic.h says.
 */
#include <string.h>

#include "board/nic/rtl8139_priv.h"
#include "core/gmem.h"

enum { BAR_PORTS, BAR_MEMORY, UNLOCKED = 0xc0, PROGRAM = 0x80, CLOCK_MHZ = 33 };
enum { EE_DO = 1, EE_DI = 2, EE_SK = 4, EE_CS = 8 };
#define TCR_VERSION 0x74800000u /* of the C+ chip */
#define TCR_WRITABLE 0x03060ff1u

static struct rtl *of(struct device *d)
{
    return (struct rtl *)d;
}

/* --- interrupts --- */

static void update(struct rtl *r)
{
    pci_intx(&r->nic.pci, rtl_get16(r, RTL_ISR) & rtl_get16(r, RTL_IMR));
}

void rtl_cause(struct rtl *r, uint16_t bits)
{
    le16_put(r->s.reg + RTL_ISR, rtl_get16(r, RTL_ISR) | bits);
    update(r);
}

/* --- the timer: BSD drivers fetch what was sent and received by it alone; on the loop --- */

static void timer_look(struct rtl *r)
{
    struct loop *l = r->nic.pci.dev.env.loop;
    uint64_t ticks = rtl_get32(r, RTL_TIMERINT), due;

    if (ticks == 0 || r->s.timed_out) {
        loop_disarm(l, &r->timer);
        return;
    }
    due = r->s.clock + ticks * 1000 / CLOCK_MHZ + 1;
    if (loop_now(l) < due) {
        loop_arm(l, &r->timer, due);
        return;
    }
    loop_disarm(l, &r->timer);
    r->s.timed_out = true;
    rtl_cause(r, RTL_ISR_TIMEOUT);
}

static void timer_fired(struct alarm *a)
{
    struct rtl *r = container_of(a, struct rtl, timer);

    device_lock(&r->nic.pci.dev);
    timer_look(r);
    device_unlock(&r->nic.pci.dev);
}

/* --- reset --- */

static void link_fill(struct rtl *r)
{
    bool up = r->nic.caps.link;

    le16_put(r->s.reg + RTL_BMSR, up ? 0x782d : 0x7809);
    le16_put(r->s.reg + RTL_ANLPAR, up ? 0x45e1 : 0);
    le16_put(r->s.reg + RTL_ANER, up ? 0x0005 : 0);
    le16_put(r->s.reg + RTL_CSCR, up ? 0x0400 : 0);
    r->s.reg[RTL_MSR] = (uint8_t)(up ? 0 : RTL_MSR_LINKB);
}

static void chip_reset(struct rtl *r, bool power)
{
    uint8_t id[6];

    memcpy(id, r->s.reg + RTL_IDR0, 6);
    memset(&r->s, 0, sizeof(r->s));
    memcpy(r->s.reg + RTL_IDR0, power ? r->nic.mac : id, 6);
    for (unsigned i = 0; i < RTL_SLOTS; i++)
        le32_put(r->s.reg + RTL_TSD0 + 4 * i, RTL_TSD_OWN);
    le16_put(r->s.reg + RTL_CAPR, 0xfff0);
    le32_put(r->s.reg + RTL_TCR, TCR_VERSION);
    r->s.reg[RTL_CONFIG1] = 0x0c; /* both kinds of BARs */
    r->s.reg[RTL_CONFIG3] = 0x01;
    le16_put(r->s.reg + RTL_BMCR, 0x1000);
    le16_put(r->s.reg + RTL_ANAR, 0x05e1);
    r->s.clock = loop_now(r->nic.pci.dev.env.loop);
    r->nic.in_len = 0;
    link_fill(r);
    update(r);
}

/* --- reading --- */

/* Status bits of all slots: OWN, abort, underrun, TOK in four nibbles. */
static uint16_t slots_summary(const struct rtl *r)
{
    uint16_t v = 0;

    for (unsigned i = 0; i < RTL_SLOTS; i++) {
        uint32_t tsd = rtl_get32(r, RTL_TSD0 + 4 * i);

        v |=
            (uint16_t)((tsd & RTL_TSD_TOK ? 1u << (12 + i) : 0) |
                       (tsd & RTL_TSD_TUN ? 1u << (8 + i) : 0) | (tsd & RTL_TSD_OWN ? 1u << i : 0));
    }
    return v;
}

/* Brings registers up to date that are no plain storage. */
static void refresh(struct rtl *r)
{
    uint64_t ns = loop_now(r->nic.pci.dev.env.loop) - r->s.clock;
    uint32_t size = rtl_ring(r);
    bool empty = rtl_get16(r, RTL_CBR) % size == (rtl_get16(r, RTL_CAPR) + 16u) % size;

    le32_put(r->s.reg + RTL_TCTR, (uint32_t)(ns * CLOCK_MHZ / 1000));
    le16_put(r->s.reg + RTL_TSAD, slots_summary(r));
    r->s.reg[RTL_CR] = (uint8_t)((r->s.reg[RTL_CR] & ~RTL_CR_BUFE) | (empty ? RTL_CR_BUFE : 0));
    r->s.reg[RTL_9346CR] = (uint8_t)((r->s.reg[RTL_9346CR] & ~EE_DO) | r->eeprom.out);
    r->s.reg[RTL_RERID] = r->nic.pci.config[PCI_CLASS_REVISION];
}

/* --- writing --- */

static void dump_tally(struct rtl *r)
{
    gpa_t at = le64_at(r->s.reg + RTL_TSD0) & ~UINT64_C(63);
    uint8_t t[64] = {0};

    le64_put(t, r->s.tally.tx_ok);
    le64_put(t + 8, r->s.tally.rx_ok);
    le64_put(t + 16, r->s.tally.tx_error);
    le32_put(t + 24, r->s.tally.rx_error);
    le64_put(t + 40, r->s.tally.rx_physical);
    le64_put(t + 48, r->s.tally.rx_broadcast);
    le32_put(t + 56, r->s.tally.rx_multicast);
    if (gmem_write(r->nic.pci.dev.env.mem, at, t, sizeof(t)) < 0)
        guest_fault(&r->nic.pci.dev, "the counters go outside memory");
    r->s.reg[RTL_TSD0] &= (uint8_t)~RTL_DTCCR_DUMP;
}

static void cr_write(struct rtl *r, uint8_t v)
{
    uint8_t was = r->s.reg[RTL_CR];

    if (v & RTL_CR_RST) {
        chip_reset(r, false);
        return;
    }
    r->s.reg[RTL_CR] = v & (RTL_CR_TE | RTL_CR_RE);
    if (v & RTL_CR_TE && !(was & RTL_CR_TE)) {
        r->s.tx_at[0] = r->s.tx_at[1] = r->s.slot = 0;
        r->s.len = 0;
        r->s.bad = r->s.ready = false;
    }
    if (v & RTL_CR_RE && !(was & RTL_CR_RE)) {
        r->s.rx_at = 0;
        le16_put(r->s.reg + RTL_CBR, 0);
    }
    nic_wake(&r->nic);
}

static void eeprom_write(struct rtl *r, uint8_t v)
{
    r->s.reg[RTL_9346CR] = v & 0xfe;
    if ((v & UNLOCKED) == PROGRAM)
        eeprom93_pins(&r->eeprom, v & EE_CS, v & EE_SK, v & EE_DI);
    else
        eeprom93_pins(&r->eeprom, false, false, false);
}

static bool locked(const struct rtl *r, unsigned off)
{
    return (r->s.reg[RTL_9346CR] & UNLOCKED) != UNLOCKED &&
           (off == RTL_CONFIG0 || off == RTL_CONFIG1 || off == RTL_CONFIG3 || off == RTL_CONFIG4 ||
            off == RTL_CONFIG5);
}

/* One byte; what follows from it is effects()' work. */
static void store(struct rtl *r, unsigned off, uint8_t v)
{
    uint8_t *reg = &r->s.reg[off];

    switch (off) {
    case RTL_ISR:
    case RTL_ISR + 1:
        *reg &= (uint8_t)~v;
        return;
    case RTL_CR:
        cr_write(r, v);
        return;
    case RTL_9346CR:
        eeprom_write(r, v);
        return;
    case RTL_TPPOLL:
        *reg |= v & (RTL_TPPOLL_NPQ | RTL_TPPOLL_HPQ);
        r->s.poll[0] |= (v & RTL_TPPOLL_NPQ) != 0;
        r->s.poll[1] |= (v & RTL_TPPOLL_HPQ) != 0;
        if (v & RTL_TPPOLL_FSWINT)
            rtl_cause(r, RTL_ISR_SWINT);
        nic_wake(&r->nic);
        return;
    case RTL_BMCR + 1: /* negotiation and resets end at once */
        *reg = v & 0x7d & ~0x02;
        return;
    case RTL_TCR:
    case RTL_TCR + 1:
    case RTL_TCR + 2:
    case RTL_TCR + 3:
        *reg = (uint8_t)((v & TCR_WRITABLE >> 8 * (off - RTL_TCR)) |
                         (TCR_VERSION >> 8 * (off - RTL_TCR) & 0xff));
        return;
    default:
        break;
    }
    if (off == RTL_CBR || off == RTL_CBR + 1 || off == RTL_MSR || (off >= 0x34 && off < RTL_CR) ||
        (off >= RTL_RERID && off < RTL_BMCR) || off == RTL_BMSR || off == RTL_BMSR + 1 ||
        (off >= RTL_ANLPAR && off < 0x6e) || locked(r, off) ||
        (off > RTL_TPPOLL && off < RTL_CPCR) || off > 0xec)
        return; /* read alone, or not there: what is at 0xda tells an RTL8169 */
    *reg = v;
}

static bool touches(unsigned off, unsigned size, unsigned from, unsigned to)
{
    return off < to && off + size > from;
}

static void effects(struct rtl *r, unsigned off, unsigned size)
{
    if (touches(off, size, RTL_TSD0, RTL_TSAD0)) {
        if (rtl_tx_new(r) && touches(off, size, RTL_TSD0, RTL_TSD0 + 1) &&
            r->s.reg[RTL_TSD0] & RTL_DTCCR_DUMP)
            dump_tally(r);
        else if (!rtl_tx_new(r))
            nic_wake(&r->nic);
    }
    if (touches(off, size, RTL_TNPDS, RTL_TNPDS + 4))
        r->s.tx_at[0] = 0;
    if (touches(off, size, RTL_THPDS, RTL_THPDS + 4))
        r->s.tx_at[1] = 0;
    if (touches(off, size, RTL_RDSAR, RTL_RDSAR + 4))
        r->s.rx_at = 0;
    if (touches(off, size, RTL_RBSTART, RTL_RBSTART + 4))
        le16_put(r->s.reg + RTL_CBR, 0);
    if (touches(off, size, RTL_TCTR, RTL_TCTR + 4)) {
        r->s.clock = loop_now(r->nic.pci.dev.env.loop);
        r->s.timed_out = false;
    }
    if (touches(off, size, RTL_TCTR, RTL_TCTR + 4) ||
        touches(off, size, RTL_TIMERINT, RTL_TIMERINT + 4))
        nic_wake(&r->nic); /* the loop sets the alarm */
    if (touches(off, size, RTL_MPC, RTL_MPC + 4))
        memset(r->s.reg + RTL_MPC, 0, 4);
    /* No doorbell tells of new buffers, but what the driver does when it has made some does. */
    if (r->s.starved && touches(off, size, RTL_CAPR, RTL_ISR + 2))
        nic_wake(&r->nic);
    if (touches(off, size, RTL_IMR, RTL_ISR + 2))
        update(r);
}

static void rtl_io(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
                   uint64_t *val)
{
    struct rtl *r = of(d);

    (void)region; /* both BARs show the same */
    if (dir == ACC_READ) {
        refresh(r);
        memcpy(val, r->s.reg + off, size);
        return;
    }
    for (unsigned i = 0; i < size; i++)
        store(r, (unsigned)off + i, (uint8_t)(*val >> 8 * i));
    effects(r, (unsigned)off, size);
}

/* --- life --- */

static bool rtl_work(struct nic *n)
{
    struct rtl *r = (struct rtl *)n;
    bool more = rtl_send_all(r);

    more |= rtl_receive_all(r);
    timer_look(r);
    return more;
}

static void rtl_link(struct nic *n)
{
    struct rtl *r = (struct rtl *)n;

    link_fill(r);
    rtl_cause(r, RTL_ISR_LINK);
}

static void rtl_reset(struct device *d)
{
    chip_reset(of(d), true);
}

static void rtl_describe(struct device *d, struct dump *out)
{
    struct rtl *r = of(d);

    nic_describe(&r->nic, out);
    dump_add(out, "mode", "%s",
             !(r->s.reg[RTL_CR] & RTL_CR_RE) ? "off"
             : rtl_rx_new(r)                 ? "descriptors"
                                             : "a ring of bytes");
}

static const struct device_ops rtl_ops = {
    .name = "rtl8139",
    .destroy = nic_destroy,
    .reset = rtl_reset,
    .io = rtl_io,
    .describe = rtl_describe,
};

static int rtl_init(struct nic *n, const struct env *env, struct err *e)
{
    static const struct pci_id id = {0x10ec, 0x8139, 0x10ec, 0x8139, 0x02000020};
    struct rtl *r = (struct rtl *)n;
    uint16_t *w = r->eeprom.word;

    (void)e;
    pci_init(&n->pci, &rtl_ops, env, &id);
    r->timer.fire = timer_fired;
    n->pci.bar[BAR_PORTS] = (struct pci_bar){.kind = PCI_BAR_IO, .size = RTL_REGISTERS};
    n->pci.bar[BAR_MEMORY] = (struct pci_bar){.kind = PCI_BAR_MEM32, .size = RTL_REGISTERS};
    w[0] = 0x8129;
    w[1] = id.vendor;
    w[2] = id.device;
    w[3] = id.subvendor;
    w[4] = id.subdevice;
    w[5] = 0x4020; /* latencies */
    w[6] = 0xf312; /* what CONFIG registers begin with */
    for (unsigned i = 0; i < 3; i++)
        w[7 + i] = le16_at(n->mac + 2 * i);
    chip_reset(r, true);
    return 0;
}

static void rtl_fini(struct nic *n)
{
    loop_disarm(n->pci.dev.env.loop, &((struct rtl *)n)->timer);
}

const struct nic_model nic_rtl8139 = {
    .name = "rtl8139",
    .about = "Realtek RTL8139C+",
    .size = sizeof(struct rtl),
    .rom = "pxe-rtl8139.rom",
    .init = rtl_init,
    .work = rtl_work,
    .link = rtl_link,
    .fini = rtl_fini,
};
