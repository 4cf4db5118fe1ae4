/* SPDX-License-Identifier: Apache-2.0 */
/*
 * e1000_tx.c - frames from the guest.
 *
 * Parts are copied out of guest memory until the frame is whole. Sums of IP headers are made here,
 * those of TCP and UDP and the cutting into segments are left to the back end that can do it.
 */
#include <errno.h>
#include <string.h>

#include "board/nic/e1000_priv.h"
#include "core/gmem.h"
#include "net/csum.h"

enum { IP_TCP = 6 };

void e1000_count(struct e1000 *c, unsigned reg, uint32_t n)
{
    uint32_t *r = e1000_reg(c, reg), sum;

    *r = __builtin_add_overflow(*r, n, &sum) ? UINT32_MAX : sum;
}

void e1000_count64(struct e1000 *c, unsigned reg, uint32_t n)
{
    uint32_t *r = e1000_reg(c, reg), sum;

    if (__builtin_add_overflow(r[0], n, &sum) && r[1] != UINT32_MAX)
        r[1]++;
    r[0] = sum;
}

/* --- a frame is whole --- */

/* Puts the sum of [start, end] into off; end 0: to the frame's end. */
static bool fill_sum(uint8_t *f, size_t len, unsigned start, unsigned off, unsigned end)
{
    size_t stop = end && end + 1u < len ? end + 1u : len;

    if (start >= stop || !range_in(off, 2, len))
        return false;
    be16_put(f + off, (uint16_t)~net_sum(f + start, stop - start, 0));
    return true;
}

/* A TCP or UDP sum goes into the offload word unless it ends early. */
static bool sum_to_end(struct net_meta *m, uint8_t *f, size_t len, unsigned start, unsigned off,
                       unsigned end)
{
    if ((end && end + 1u < len) || off < start)
        return fill_sum(f, len, start, off, end);
    if (start >= len || !range_in(off, 2, len))
        return false;
    m->flags |= NET_NEEDS_CSUM;
    m->csum_start = (uint16_t)start;
    m->csum_off = (uint16_t)(off - start);
    return true;
}

static bool to_segments(const struct e1000_context *t, uint8_t *f, size_t len, struct net_meta *m)
{
    struct net_layout o;

    if (!t->tcp || !net_layout(f, len, &o) || o.proto != IP_TCP || !o.payload)
        return false;
    if (t->mss < NET_GSO_SIZE_MIN)
        return false;
    if (len - o.payload <= t->mss)
        return net_csum_all(f, len) == 0;
    m->gso = o.version == 4 ? NET_GSO_TCP4 : NET_GSO_TCP6;
    m->gso_size = t->mss;
    return net_csum_defer(f, len, m) == 0;
}

static bool make_sums(struct e1000 *c, unsigned q, uint8_t *f, struct net_meta *m)
{
    struct e1000_gather *g = &c->s.gather[q];
    const struct e1000_context *t = g->tse ? &c->s.tso[q] : &c->s.sum[q];

    if (g->legacy)
        return !g->ic || fill_sum(f, g->len, g->css, g->cso, 0);
    if (g->tse)
        return to_segments(t, f, g->len, m);
    if (g->popts & E1000_TXD_IXSM) { /* the field counts as zero */
        if (!range_in(t->ipcso, 2, g->len))
            return false;
        be16_put(f + t->ipcso, 0);
        if (!fill_sum(f, g->len, t->ipcss, t->ipcso, t->ipcse))
            return false;
    }
    return !(g->popts & E1000_TXD_TXSM) || sum_to_end(m, f, g->len, t->tucss, t->tucso, t->tucse);
}

static void put_tag(struct e1000 *c, uint8_t *f, struct e1000_gather *g)
{
    memmove(f + ETHER_ADDRESSES + ETHER_VLAN, f + ETHER_ADDRESSES, g->len - ETHER_ADDRESSES);
    be16_put(f + ETHER_ADDRESSES, (uint16_t)*e1000_reg(c, E1000_VET));
    be16_put(f + ETHER_ADDRESSES + 2, (uint16_t)g->special);
    g->len += ETHER_VLAN;
    if (g->meta.flags & NET_NEEDS_CSUM)
        g->meta.csum_start += ETHER_VLAN;
    if (g->meta.hdr_len)
        g->meta.hdr_len += ETHER_VLAN;
}

static void finish(struct e1000 *c, unsigned q, bool tag)
{
    struct e1000_gather *g = &c->s.gather[q];
    uint8_t *f = c->frame[q];

    g->meta = (struct net_meta){0};
    if (g->bad || g->len < ETHER_HEAD || !make_sums(c, q, f, &g->meta)) {
        c->nic.refused++;
        guest_fault(&c->nic.pci.dev, "a frame of %zu bytes cannot be sent as asked", g->len);
        *g = (struct e1000_gather){0};
        return;
    }
    if (tag)
        put_tag(c, f, g);
    if (*e1000_reg(c, E1000_TCTL) & E1000_TCTL_PSP && g->len < ETHER_MIN) {
        memset(f + g->len, 0, ETHER_MIN - g->len);
        g->len = ETHER_MIN;
    }
    g->ready = true;
}

/* false: the back end is full. */
static bool send_ready(struct e1000 *c, unsigned q)
{
    struct e1000_gather *g = &c->s.gather[q];
    const uint8_t *f = c->frame[q];
    struct net_meta m = g->meta;
    uint8_t *room = c->nic.out;
    bool sent;

    c->nic.out = c->frame[q];
    sent = nic_send(&c->nic, g->len, &m);
    c->nic.out = room;
    if (!sent)
        return false;
    e1000_count(c, E1000_GPTC, 1);
    e1000_count(c, E1000_TPT, 1);
    e1000_count64(c, E1000_GOTCL, (uint32_t)g->len + ETHER_FCS);
    e1000_count64(c, E1000_TOTL, (uint32_t)g->len + ETHER_FCS);
    if (nic_is_broadcast(f))
        e1000_count(c, E1000_BPTC, 1);
    else if (f[0] & 1)
        e1000_count(c, E1000_MPTC, 1);
    if (g->tse)
        e1000_count(c, E1000_TSCTC, 1);
    *g = (struct e1000_gather){0};
    return true;
}

/* --- descriptors --- */

static void context(struct e1000 *c, unsigned q, const struct e1000_tx_desc *d)
{
    uint32_t w0 = le32_at(d->addr.b), w1 = le32_at(d->addr.b + 4);
    uint32_t w2 = le32_get(d->word2), w3 = le32_get(d->word3);
    struct e1000_context t = {
        .ipcss = (uint8_t)w0,
        .ipcso = (uint8_t)(w0 >> 8),
        .ipcse = (uint16_t)(w0 >> 16),
        .tucss = (uint8_t)w1,
        .tucso = (uint8_t)(w1 >> 8),
        .tucse = (uint16_t)(w1 >> 16),
        .hdrlen = (uint8_t)(w3 >> 8),
        .mss = (uint16_t)(w3 >> 16),
        .tcp = w2 & E1000_TXD_TCP,
    };

    if (w2 & E1000_TXD_TSE)
        c->s.tso[q] = t;
    else
        c->s.sum[q] = t;
}

static void data(struct e1000 *c, unsigned q, const struct e1000_tx_desc *d)
{
    struct e1000_gather *g = &c->s.gather[q];
    uint32_t w2 = le32_get(d->word2), w3 = le32_get(d->word3), n;

    if (!g->some) {
        g->some = true;
        g->legacy = !(w2 & E1000_TXD_DEXT);
        g->popts = w3;
        g->tse = !g->legacy && w2 & E1000_TXD_TSE;
    }
    n = w2 & (g->legacy ? 0xffff : E1000_TXD_LEN);
    if (g->bad || g->len + n > NET_FRAME_MAX - ETHER_VLAN ||
        gmem_read(c->nic.pci.dev.env.mem, le64_get(d->addr), c->frame[q] + g->len, n) < 0)
        g->bad = true;
    else
        g->len += n;
    if (!(w2 & E1000_TXD_EOP))
        return;
    g->ic = g->legacy && w2 & E1000_TXD_IC;
    g->cso = (uint8_t)(w2 >> 16);
    g->css = (uint8_t)(w3 >> 8);
    g->special = w3 >> 16;
    finish(c, q, w2 & E1000_TXD_VLE && *e1000_reg(c, E1000_CTRL) & E1000_CTRL_VME);
}

/* One descriptor. 1: done; 0: the back end is full; negative: the ring is broken. */
static int step(struct e1000 *c, unsigned q, gpa_t at, uint32_t *causes)
{
    struct gmem *m = c->nic.pci.dev.env.mem;
    struct e1000_tx_desc d;
    uint32_t w2;

    if (gmem_read(m, at, &d, sizeof(d)) < 0)
        return -EFAULT;
    w2 = le32_get(d.word2);
    if (!c->s.gather[q].ready) {
        if (w2 & E1000_TXD_DEXT && (w2 & E1000_TXD_TYPE) != E1000_TXD_TYPE_DATA)
            context(c, q, &d);
        else
            data(c, q, &d);
    }
    if (c->s.gather[q].ready && !send_ready(c, q))
        return 0;
    if (!(w2 & E1000_TXD_RS))
        return 1;
    d.word3 = le32_of(le32_get(d.word3) | E1000_TXD_DD);
    *causes |= E1000_ICR_TXDW | E1000_ICR_TXQ0 << q;
    return gmem_write(m, at + 12, &d.word3, sizeof(d.word3)) < 0 ? -EFAULT : 1;
}

static bool send_queue(struct e1000 *c, unsigned q)
{
    uint32_t *r = e1000_reg(c, E1000_TDBAL + 0x100 * q), causes = 0, n;
    uint32_t *head = &r[4], *tail = &r[6];
    gpa_t base = (r[0] & ~15u) | (gpa_t)r[1] << 32;
    uint32_t size = (r[2] & 0xfff80) / E1000_DESC;

    if (size == 0 || *head >= size || *tail >= size || *head == *tail)
        return false;
    for (n = 0; n < NIC_BATCH && *head != *tail; n++) {
        int rc = step(c, q, base + (gpa_t)*head * E1000_DESC, &causes);

        if (rc == 0)
            break;
        if (rc < 0) {
            guest_fault(&c->nic.pci.dev, "a send ring lies outside memory");
            *head = *tail;
            break;
        }
        *head = *head + 1 == size ? 0 : *head + 1;
    }
    if (*head == *tail)
        causes |= E1000_ICR_TXQE;
    e1000_cause(c, causes);
    return n == NIC_BATCH;
}

bool e1000_send_all(struct e1000 *c)
{
    bool more = false;

    if (!(*e1000_reg(c, E1000_TCTL) & E1000_TCTL_EN))
        return false;
    for (unsigned q = 0; q < (c->pcie ? E1000_TX_QUEUES : 1u); q++)
        more |= send_queue(c, q);
    return more;
}
