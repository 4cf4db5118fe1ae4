/* SPDX-License-Identifier: Apache-2.0 */
/*
 * e1000_rx.c - frames to the guest: filters, and buffers in the three layouts of descriptors.
 *
 * All frames go to queue 0. With packet split nothing is parsed: a frame begins in buffer 0 and
 * goes on in the others.
 */
#include <errno.h>
#include <string.h>

#include "board/nic/e1000_priv.h"
#include "core/gmem.h"
#include "net/csum.h"

enum { SPLITS = 4, IP_TCP = 6, IP_UDP = 17, FRAME_USUAL = 1518, VLANS = 4096 };

/* How the guest wants frames. */
struct shape {
    bool extended, split;
    unsigned buffers; /* in a descriptor */
    uint32_t size[SPLITS];
    uint32_t room; /* bytes in a descriptor's buffers */
};

/* A frame, ready for buffers. */
struct ready {
    const uint8_t *p;
    size_t len;
    uint32_t status;
    uint16_t tag;
};

static void shape_of(struct e1000 *c, struct shape *s)
{
    static const uint16_t usual[] = {2048, 1024, 512, 256};
    uint32_t rctl = *e1000_reg(c, E1000_RCTL), ps = *e1000_reg(c, E1000_PSRCTL);
    unsigned code = rctl >> 16 & 3;

    *s = (struct shape){.extended = c->pcie && *e1000_reg(c, E1000_RFCTL) & E1000_RFCTL_EXTEN};
    s->split = s->extended && rctl & E1000_RCTL_DTYP_PS;
    s->buffers = s->split ? SPLITS : 1;
    if (s->split) {
        s->size[0] = (ps & 0x7f) * 128;
        for (unsigned i = 1; i < SPLITS; i++)
            s->size[i] = (ps >> 8 * i & 0x3f) * 1024;
    } else {
        s->size[0] = usual[code];
        if (rctl & E1000_RCTL_BSEX && code)
            s->size[0] *= 16;
        if (c->pcie && rctl >> 27 & 15) /* FLXBUF */
            s->size[0] = (rctl >> 27 & 15) * 1024;
    }
    for (unsigned i = 0; i < s->buffers; i++)
        s->room += s->size[i];
}

/* --- which frames --- */

static bool is_vlan(struct e1000 *c)
{
    return be16_at(c->nic.in + ETHER_ADDRESSES) == (uint16_t)*e1000_reg(c, E1000_VET);
}

static bool in_table(struct e1000 *c, unsigned table, unsigned bit)
{
    return *e1000_reg(c, table + bit / 32 * 4) >> bit % 32 & 1;
}

static bool wanted(struct e1000 *c)
{
    static const uint8_t shift[] = {4, 3, 2, 0};
    uint32_t rctl = *e1000_reg(c, E1000_RCTL);
    const uint8_t *f = c->nic.in;

    if (rctl & E1000_RCTL_VFE && is_vlan(c) &&
        !in_table(c, E1000_VFTA, be16_at(f + ETHER_ADDRESSES + 2) % VLANS))
        return false;
    if (rctl & E1000_RCTL_UPE && !(f[0] & 1))
        return true;
    if (rctl & E1000_RCTL_MPE && f[0] & 1)
        return true;
    if (nic_is_broadcast(f))
        return rctl & E1000_RCTL_BAM;
    for (unsigned i = 0; i < 16; i++) {
        uint32_t low = *e1000_reg(c, E1000_RAL + 8 * i),
                 high = *e1000_reg(c, E1000_RAL + 8 * i + 4);

        if (high & E1000_RAH_AV && low == le32_at(f) && (uint16_t)high == le16_at(f + 4))
            return true;
    }
    return f[0] & 1 &&
           in_table(c, E1000_MTA, (unsigned)le16_at(f + 4) >> shift[rctl >> 12 & 3] & 0xfff);
}

static void count(struct e1000 *c)
{
    uint32_t n = (uint32_t)c->nic.in_len + ETHER_FCS;

    e1000_count(c, E1000_GPRC, 1);
    e1000_count(c, E1000_TPR, 1);
    e1000_count64(c, E1000_GORCL, n);
    e1000_count64(c, E1000_TORL, n);
    if (nic_is_broadcast(c->nic.in))
        e1000_count(c, E1000_BPRC, 1);
    else if (c->nic.in[0] & 1)
        e1000_count(c, E1000_MPRC, 1);
}

/* --- into buffers --- */

/* What was verified on the way, for the status. */
static uint32_t sums(struct e1000 *c)
{
    uint32_t on = *e1000_reg(c, E1000_RXCSUM), bits = 0;
    struct net_layout o;

    if (!(c->nic.in_meta.flags & NET_CSUM_OK) || !net_layout(c->nic.in, c->nic.in_len, &o))
        return E1000_RXD_IXSM;
    if (on & E1000_RXCSUM_IPOFL && o.version == 4)
        bits |= E1000_RXD_IPCS;
    if (on & E1000_RXCSUM_TUOFL && o.payload && o.proto == IP_TCP)
        bits |= E1000_RXD_TCPCS;
    if (on & E1000_RXCSUM_TUOFL && o.payload && o.proto == IP_UDP)
        bits |= E1000_RXD_UDPCS;
    return bits ? bits : E1000_RXD_IXSM;
}

/* After this n->in is no frame any more. */
static void prepare(struct e1000 *c, struct ready *r)
{
    struct nic *n = &c->nic;

    r->status = sums(c) | (nic_is_broadcast(n->in) || !(n->in[0] & 1) ? 0 : E1000_RXD_PIF);
    r->len = n->in_len;
    if (!(*e1000_reg(c, E1000_RCTL) & E1000_RCTL_SECRC)) {
        memset(n->in + r->len, 0, ETHER_FCS);
        r->len += ETHER_FCS;
    }
    r->p = n->in;
    r->tag = 0;
    if (is_vlan(c) && *e1000_reg(c, E1000_CTRL) & E1000_CTRL_VME) {
        r->status |= E1000_RXD_VP;
        r->tag = be16_at(n->in + ETHER_ADDRESSES + 2);
        memmove(n->in + ETHER_VLAN, n->in, ETHER_ADDRESSES);
        r->p += ETHER_VLAN;
        r->len -= ETHER_VLAN;
    }
}

static size_t write_back(uint8_t d[E1000_DESC_PS], const struct shape *s, const struct ready *r,
                         const uint32_t used[SPLITS], uint32_t status)
{
    if (!s->extended) {
        le16_put(d + 8, (uint16_t)used[0]);
        le16_put(d + 10, 0);
        d[12] = (uint8_t)status;
        d[13] = 0;
        le16_put(d + 14, r->tag);
        return E1000_DESC;
    }
    memset(d, 0, s->split ? E1000_DESC_PS : E1000_DESC);
    le32_put(d + 8, status);
    le16_put(d + 12, (uint16_t)used[0]);
    le16_put(d + 14, r->tag);
    for (unsigned i = 1; i < s->buffers; i++)
        le16_put(d + 16 + 2 * i, (uint16_t)used[i]);
    return s->split ? E1000_DESC_PS : E1000_DESC;
}

/* Fills one descriptor at `at`; -EFAULT. */
static int fill(struct e1000 *c, gpa_t at, const struct shape *s, struct ready *r)
{
    struct gmem *m = c->nic.pci.dev.env.mem;
    uint8_t d[E1000_DESC_PS] = {0};
    uint32_t used[SPLITS] = {0}, status;
    size_t n = s->split ? E1000_DESC_PS : E1000_DESC;

    if (gmem_read(m, at, d, n) < 0)
        return -EFAULT;
    for (unsigned i = 0; i < s->buffers && r->len; i++) {
        used[i] = (uint32_t)min_u64(r->len, s->size[i]);
        if (used[i] && gmem_write(m, le64_at(d + 8 * i), r->p, used[i]) < 0)
            guest_fault(&c->nic.pci.dev, "a receive buffer lies outside memory");
        r->p += used[i];
        r->len -= used[i];
    }
    status = E1000_RXD_DD | (r->len ? 0 : E1000_RXD_EOP | r->status);
    n = write_back(d, s, r, used, status);
    return gmem_write(m, at, d, n);
}

/* 1: delivered; 0: not enough buffers; negative: there is no ring for it. */
static int deliver(struct e1000 *c, const struct shape *s)
{
    uint32_t *r = e1000_reg(c, E1000_RDBAL), *head = &r[4], tail = r[6], free, need;
    gpa_t base = (r[0] & ~15u) | (gpa_t)r[1] << 32;
    uint32_t entry = s->split ? E1000_DESC_PS : E1000_DESC, size = (r[2] & 0xfff80) / entry;
    struct ready f;
    int rc = 0;

    if (size == 0 || *head >= size || tail >= size || s->room == 0)
        return 0;
    free = (tail + size - *head) % size;
    need = (uint32_t)(c->nic.in_len + ETHER_FCS + s->room - 1) / s->room;
    if (need >= size)
        return -EMSGSIZE;
    if (need > free)
        return 0;
    count(c);
    prepare(c, &f);
    do {
        rc = fill(c, base + (gpa_t)*head * entry, s, &f);
        *head = *head + 1 == size ? 0 : *head + 1;
        free--;
    } while (rc == 0 && f.len);
    if (free <= size >> (1 + (*e1000_reg(c, E1000_RCTL) >> 8 & 3)))
        e1000_cause(c, E1000_ICR_RXDMT0);
    return rc < 0 ? rc : 1;
}

bool e1000_receive_all(struct e1000 *c)
{
    uint32_t rctl = *e1000_reg(c, E1000_RCTL);
    size_t max = rctl & E1000_RCTL_LPE ? E1000_FRAME_MAX : FRAME_USUAL;
    unsigned n, got = 0;
    struct shape s;

    c->s.starved = false;
    if (!(rctl & E1000_RCTL_EN))
        return false;
    shape_of(c, &s);
    for (n = 0; n < NIC_BATCH && nic_fetch(&c->nic, max); n++) {
        bool ours = wanted(c);
        int rc = ours ? deliver(c, &s) : 0;

        c->s.starved = ours && rc == 0;
        if (c->s.starved)
            break;
        if (rc < 0) {
            c->nic.dropped++;
            e1000_count(c, E1000_MPC, 1);
            guest_fault(&c->nic.pci.dev, "the receive ring has no place for a frame");
        }
        got += rc > 0;
        c->nic.in_len = 0;
    }
    if (got)
        e1000_cause(c, E1000_ICR_RXT0 | E1000_ICR_RXQ0);
    return n == NIC_BATCH;
}
