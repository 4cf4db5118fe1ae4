/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dec21140.c - Digital's 21140A, Hyper-V's legacy network adapter: registers, serial ROM and life.
 *
 * Documents: abi/dec21140.h. Modelled: rings and chains of descriptors in either byte order, setup
 * frames for perfect, hash and inverse filters, the serial ROM with one transceiver for MII in its
 * media table, that transceiver, the general purpose port and timer, link changes (seen in the
 * transceiver alone, as on the chip). Not modelled: the watchdog, loopback, the boot ROM, receive
 * thresholds, power states; the SYM port, which this ROM does not name.
 *
 * Threads: as nic.h says.
 */
#include <string.h>

#include "board/nic/dec21140_priv.h"

enum { BAR_PORTS, BAR_MEMORY, BAR_SIZE = CSR_STRIDE * CSR_COUNT, CFDD = 0x40, PHY = 1 };
enum {
    CSR_TX_POLL = 1,
    CSR_RX_POLL = 2,
    CSR_STATUS = 5,
    CSR_MODE = 6,
    CSR_MASK = 7,
    CSR_SERIAL = 9,
    CSR_TIMER = 11,
    CSR_PORT = 12
};

static struct dec *of(struct device *d)
{
    return (struct dec *)d;
}

/* --- the serial ROM --- */

static uint8_t rom_byte(const struct dec *d, unsigned i)
{
    return (uint8_t)(d->srom.word[i / 2] >> 8 * (i % 2));
}

static void rom_put(struct dec *d, unsigned i, uint8_t v)
{
    uint16_t *w = &d->srom.word[i / 2];

    *w = (uint16_t)((*w & ~(0xff << 8 * (i % 2))) | v << 8 * (i % 2));
}

/* Of the ID block: over words from their high bytes on, up to its own place. */
static uint8_t rom_id_crc(const struct dec *d)
{
    uint8_t crc = 0xff;

    for (unsigned i = 0; i <= 16; i++) {
        crc ^= rom_byte(d, i ^ 1);
        for (unsigned bit = 0; bit < 8; bit++)
            crc = (uint8_t)(crc << 1 ^ (crc & 0x80 ? 0x07 : 0));
    }
    return crc;
}

/* Of the whole: the low half of Ethernet's CRC. */
static uint16_t rom_crc(const struct dec *d)
{
    uint32_t crc = UINT32_MAX;

    for (unsigned i = 0; i < 126; i++) {
        crc ^= rom_byte(d, i);
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
    }
    return (uint16_t)~crc;
}

/* Version 3 of the format and the first transceiver are what all drivers know: Windows NT's takes 1
 * and 3 alone, and no other transceiver than number 0, which stands for the one it finds. */
static void rom_fill(struct dec *d, const struct pci_id *id)
{
    static const uint8_t leaf[] = {
        0x00, 0x08,                   /* the medium is found by itself */
        0x00, 0x01,                   /* no pin is an output; one block follows */
        0x8c, 0x01, 0x00, 0x00, 0x00, /* the first MII, no sequences for the pins */
        0x00, 0x78, 0xe1, 0x01, 0x00, 0x50, 0x00, 0x18,
    };
    const uint8_t head[] = {(uint8_t)id->subvendor, (uint8_t)(id->subvendor >> 8),
                            (uint8_t)id->subdevice, (uint8_t)(id->subdevice >> 8)};

    for (unsigned i = 0; i < sizeof(head); i++)
        rom_put(d, i, head[i]);
    rom_put(d, 18, 3); /* the format's version */
    rom_put(d, 19, 1); /* controllers */
    for (unsigned i = 0; i < 6; i++)
        rom_put(d, 20 + i, d->nic.mac[i]);
    rom_put(d, 27, 30); /* where the leaf is */
    for (unsigned i = 0; i < sizeof(leaf); i++)
        rom_put(d, 30 + i, leaf[i]);
    rom_put(d, 16, rom_id_crc(d));
    d->srom.word[EEPROM93_WORDS - 1] = rom_crc(d);
}

/* --- interrupts and states --- */

static void update(struct dec *d)
{
    uint32_t *csr5 = &d->s.csr[CSR_STATUS], live = *csr5 & d->s.csr[CSR_MASK];

    *csr5 &= ~(CSR5_NIS | CSR5_AIS);
    if (live & CSR5_NORMAL)
        *csr5 |= CSR5_NIS;
    if (live & (CSR5_ABNORMAL | CSR5_GTE))
        *csr5 |= CSR5_AIS;
    pci_intx(&d->nic.pci, *csr5 & d->s.csr[CSR_MASK] & (CSR5_NIS | CSR5_AIS));
}

void dec_cause(struct dec *d, uint32_t bits)
{
    d->s.csr[CSR_STATUS] |= bits;
    update(d);
}

void dec_process(struct dec *d, unsigned shift, uint32_t state)
{
    d->s.csr[CSR_STATUS] = (d->s.csr[CSR_STATUS] & ~(7u << shift)) | state << shift;
}

/* --- the timer: Windows NT's driver lives by it when there are many frames; on the loop --- */

static uint64_t timer_ns(const struct dec *d)
{
    uint32_t mode = d->s.csr[CSR_MODE];
    uint64_t tick = !(mode & CSR6_PS) ? 204800 : mode & CSR6_TTM ? 819200 : 81920;

    return (d->s.csr[CSR_TIMER] & CSR11_VALUE) * tick;
}

static void timer_look(struct dec *d)
{
    struct loop *l = d->nic.pci.dev.env.loop;
    uint64_t period = timer_ns(d), passed = loop_now(l) - d->s.began;

    if (period && passed >= period) {
        if (d->s.csr[CSR_TIMER] & CSR11_CON)
            d->s.began += passed - passed % period;
        else
            d->s.csr[CSR_TIMER] &= ~CSR11_VALUE;
        dec_cause(d, CSR5_GTE);
        period = timer_ns(d);
    }
    if (period)
        loop_arm(l, &d->timer, d->s.began + period);
    else
        loop_disarm(l, &d->timer);
}

static void timer_fired(struct alarm *a)
{
    struct dec *d = container_of(a, struct dec, timer);

    device_lock(&d->nic.pci.dev);
    timer_look(d);
    device_unlock(&d->nic.pci.dev);
}

/* --- registers --- */

static void chip_reset(struct dec *d)
{
    static const uint32_t begin[CSR_COUNT] = {0xfe000000, UINT32_MAX, UINT32_MAX, 0,
                                              0,          0xfc000000, 0x32000040, 0xfffe0000,
                                              0xe0000000, 0xfff483ff, 0,          0xfffe0000,
                                              0xfffffe00, 0,          0,          0xfffffec8};

    memset(&d->s, 0, sizeof(d->s));
    memcpy(d->s.csr, begin, sizeof(begin));
    d->nic.in_len = 0;
    update(d);
}

static void mode_write(struct dec *d, uint32_t v)
{
    uint32_t was = d->s.csr[CSR_MODE];

    d->s.csr[CSR_MODE] = (v & ~CSR6_FILTER) | (was & CSR6_FILTER);
    if ((v ^ was) & CSR6_SR) {
        dec_process(d, CSR5_RS, v & CSR6_SR ? CSR5_RX_WAITS : CSR5_STOPPED);
        d->s.starved = false;
        if (!(v & CSR6_SR))
            dec_cause(d, CSR5_RPS);
    }
    if ((v ^ was) & CSR6_ST) {
        dec_process(d, CSR5_TS, v & CSR6_ST ? CSR5_TX_SUSPENDED : CSR5_STOPPED);
        if (!(v & CSR6_ST))
            dec_cause(d, CSR5_TPS);
    }
    nic_wake(&d->nic);
}

static void serial_write(struct dec *d, uint32_t v)
{
    bool rom = v & CSR9_SR;

    eeprom93_pins(&d->srom, rom && v & CSR9_CS, rom && v & CSR9_SK, v & CSR9_DI);
    mdio_pins(&d->mdio, v & CSR9_MDC, v & CSR9_MII || v & CSR9_MDO); /* not driven: up */
    d->s.csr[CSR_SERIAL] = v & ~(CSR9_DO | CSR9_MDI);
}

static void port_write(struct dec *d, uint32_t v)
{
    if (v & CSR12_GPC)
        d->s.gpio_dir = (uint8_t)v;
    else
        d->s.gpio_out = (uint8_t)v;
}

static void csr_write(struct dec *d, unsigned n, uint32_t v)
{
    switch (n) {
    case 0:
        if (v & CSR0_SWR)
            chip_reset(d);
        d->s.csr[0] = v & ~CSR0_SWR;
        return;
    case CSR_TX_POLL:
    case CSR_RX_POLL:
        nic_wake(&d->nic);
        return;
    case 3:
        d->s.csr[3] = v & ~3u;
        d->s.rx = v & ~3u;
        return;
    case 4:
        d->s.csr[4] = v & ~3u;
        d->s.tx = v & ~3u;
        return;
    case CSR_STATUS:
        d->s.csr[n] &= ~(v & CSR5_CAUSES);
        update(d);
        break;
    case CSR_MODE:
        mode_write(d, v);
        return;
    case CSR_MASK:
        d->s.csr[n] = v;
        update(d);
        break;
    case CSR_SERIAL:
        serial_write(d, v);
        return;
    case CSR_TIMER:
        d->s.csr[n] = v | CSR11_ONES;
        d->s.began = loop_now(d->nic.pci.dev.env.loop);
        nic_wake(&d->nic); /* the loop sets the alarm */
        return;
    case CSR_PORT:
        port_write(d, v);
        return;
    case 8:
        return;
    default:
        d->s.csr[n] = v;
        return;
    }
    if (d->s.starved) /* a driver that has made buffers says so here, if it does at all */
        nic_wake(&d->nic);
}

static uint32_t csr_read(struct dec *d, unsigned n)
{
    if (n == CSR_SERIAL)
        return d->s.csr[n] | (d->srom.out ? CSR9_DO : 0) | (d->mdio.out ? CSR9_MDI : 0);
    if (n == CSR_PORT) /* inputs are pulled up */
        return 0xfffffe00 | (d->s.gpio_out & d->s.gpio_dir) | (uint8_t)~d->s.gpio_dir;
    return d->s.csr[n];
}

static void dec_io(struct device *dev, unsigned region, uint64_t off, unsigned size,
                   enum access dir, uint64_t *val)
{
    unsigned n = (unsigned)off / CSR_STRIDE;

    (void)region; /* both BARs show the same */
    if (off % CSR_STRIDE >= 4) {
        *val = dir == ACC_READ ? 0 : *val;
    } else if (dir == ACC_READ) {
        *val = csr_read(of(dev), n) >> 8 * (off % 4);
    } else if (size >= 4 || n == CSR_TX_POLL || n == CSR_RX_POLL) { /* Solaris polls by a byte */
        csr_write(of(dev), n, (uint32_t)*val);
    }
}

/* --- life --- */

static bool dec_work(struct nic *n)
{
    struct dec *d = (struct dec *)n;
    bool more = dec_send_all(d);

    more |= dec_receive_all(d);
    timer_look(d);
    return more;
}

static void dec_link(struct nic *n)
{
    mdio_link(&((struct dec *)n)->mdio, n->caps.link);
}

static void dec_reset(struct device *dev)
{
    struct dec *d = of(dev);

    mdio_reset(&d->mdio, d->nic.caps.link);
    chip_reset(d);
}

static void dec_describe(struct device *dev, struct dump *out)
{
    struct dec *d = of(dev);

    nic_describe(&d->nic, out);
    dump_add(out, "filter", "%s",
             d->s.hash      ? "hashes"
             : d->s.inverse ? "all but a list"
             : d->s.perfect ? "a list"
                            : "not set");
}

static const struct device_ops dec_ops = {
    .name = "dec21140",
    .destroy = nic_destroy,
    .reset = dec_reset,
    .io = dec_io,
    .describe = dec_describe,
};

static int dec_init(struct nic *n, const struct env *env, struct err *e)
{
    static const struct pci_id id = {0x1011, 0x0009, 0x0a00, 0x2114, 0x02000020};
    struct dec *d = (struct dec *)n;

    (void)e;
    pci_init(&n->pci, &dec_ops, env, &id);
    n->pci.bar[BAR_PORTS] = (struct pci_bar){.kind = PCI_BAR_IO, .size = BAR_SIZE};
    n->pci.bar[BAR_MEMORY] = (struct pci_bar){.kind = PCI_BAR_MEM32, .size = BAR_SIZE};
    memset(n->pci.writable + CFDD, 0xff, 4);
    rom_fill(d, &id);
    d->mdio.address = PHY;
    d->timer.fire = timer_fired;
    dec_reset(&n->pci.dev);
    return 0;
}

static void dec_fini(struct nic *n)
{
    loop_disarm(n->pci.dev.env.loop, &((struct dec *)n)->timer);
}

const struct nic_model nic_dec21140 = {
    .name = "dec21140",
    .about = "Digital 21140A",
    .size = sizeof(struct dec),
    .init = dec_init,
    .work = dec_work,
    .link = dec_link,
    .fini = dec_fini,
};
