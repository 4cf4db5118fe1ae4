/* SPDX-License-Identifier: Apache-2.0 */
/* rtl8139_tx.c - frames from the guest: four slots, or the C+ chip's two rings of descriptors. */
#include <errno.h>
#include <string.h>

#include "board/nic/rtl8139_priv.h"
#include "core/gmem.h"
#include "net/csum.h"

enum { IP_TCP = 6, IP_UDP = 17 };

static bool gather(struct rtl *r, gpa_t at, uint32_t n)
{
    struct rtl_state *s = &r->s;

    if (s->bad || s->len + n > NET_FRAME_MAX - ETHER_VLAN ||
        gmem_read(r->nic.pci.dev.env.mem, at, r->nic.out + s->len, n) < 0)
        return false;
    s->len += n;
    return true;
}

static void forget(struct rtl *r)
{
    r->s.len = 0;
    r->s.bad = r->s.ready = false;
    r->s.meta = (struct net_meta){0};
}

static void refuse(struct rtl *r)
{
    r->nic.refused++;
    r->s.tally.tx_error++;
    guest_fault(&r->nic.pci.dev, "a frame of %zu bytes cannot be sent as asked", r->s.len);
    forget(r);
}

static void pad(struct rtl *r)
{
    if (r->s.len < ETHER_MIN) {
        memset(r->nic.out + r->s.len, 0, ETHER_MIN - r->s.len);
        r->s.len = ETHER_MIN;
    }
}

/* false: the back end is full. */
static bool send_ready(struct rtl *r)
{
    struct net_meta m = r->s.meta;

    if (!nic_send(&r->nic, r->s.len, &m))
        return false;
    r->s.tally.tx_ok++;
    forget(r);
    return true;
}

/* --- slots --- */

static bool send_slots(struct rtl *r)
{
    for (unsigned i = 0; i < RTL_SLOTS; i++) {
        uint8_t *status = r->s.reg + RTL_TSD0 + 4 * r->s.slot;
        uint32_t tsd = le32_at(status);

        if (tsd & RTL_TSD_OWN)
            return false;
        if (!r->s.ready) {
            forget(r);
            r->s.ready = gather(r, rtl_get32(r, RTL_TSAD0 + 4 * r->s.slot), tsd & RTL_TSD_SIZE) &&
                         r->s.len >= ETHER_HEAD;
            if (!r->s.ready)
                refuse(r);
            else
                pad(r);
        }
        if (r->s.ready && !send_ready(r))
            return false;
        le32_put(status, tsd | RTL_TSD_OWN | RTL_TSD_TOK);
        r->s.slot = (r->s.slot + 1) % RTL_SLOTS;
        rtl_cause(r, RTL_ISR_TOK);
    }
    return true;
}

/* --- descriptors --- */

/* The chip makes all sums by itself. A frame may be longer than the packet in it. */
static bool sums(struct rtl *r, uint32_t opts1)
{
    uint8_t *f = r->nic.out;
    struct net_layout o;
    size_t end;

    if (!(opts1 & (RTL_TX_IPCS | RTL_TX_UDPCS | RTL_TX_TCPCS)))
        return true;
    if (!net_layout(f, r->s.len, &o) || o.version != 4)
        return false;
    end = o.l3 + (size_t)be16_at(f + o.l3 + 2);
    if (end > r->s.len || end < o.l3 + 20u)
        return false;
    if (opts1 & RTL_TX_IPCS) {
        be16_put(f + o.l3 + 10, 0);
        be16_put(f + o.l3 + 10, (uint16_t)~net_sum(f + o.l3, (size_t)(f[o.l3] & 15) * 4, 0));
    }
    if (!(opts1 & (RTL_TX_UDPCS | RTL_TX_TCPCS)))
        return true;
    if (!o.payload || o.payload > end || o.proto != (opts1 & RTL_TX_TCPCS ? IP_TCP : IP_UDP))
        return false;
    return end == r->s.len ? net_csum_defer(f, end, &r->s.meta) == 0 : net_csum_all(f, end) == 0;
}

static bool segments(struct rtl *r, uint32_t mss)
{
    struct net_layout o;

    if (!net_layout(r->nic.out, r->s.len, &o) || o.version != 4 || o.proto != IP_TCP ||
        !o.payload || mss < NET_GSO_SIZE_MIN)
        return false;
    if (r->s.len - o.payload <= mss)
        return net_csum_all(r->nic.out, r->s.len) == 0;
    r->s.meta.gso = NET_GSO_TCP4;
    r->s.meta.gso_size = (uint16_t)mss;
    return net_csum_defer(r->nic.out, r->s.len, &r->s.meta) == 0;
}

static void finish(struct rtl *r, uint32_t opts1, uint32_t opts2)
{
    uint8_t *f = r->nic.out;

    if (r->s.bad || r->s.len < ETHER_HEAD ||
        !(opts1 & RTL_TX_LGSEN ? segments(r, opts1 >> 16 & 0x7ff) : sums(r, opts1))) {
        refuse(r);
        return;
    }
    if (opts2 & RTL_TX_TAGC) {
        memmove(f + ETHER_ADDRESSES + ETHER_VLAN, f + ETHER_ADDRESSES, r->s.len - ETHER_ADDRESSES);
        be16_put(f + ETHER_ADDRESSES, 0x8100);
        le16_put(f + ETHER_ADDRESSES + 2, (uint16_t)opts2); /* as it goes over the wire */
        r->s.len += ETHER_VLAN;
        if (r->s.meta.flags & NET_NEEDS_CSUM)
            r->s.meta.csum_start += ETHER_VLAN;
        if (r->s.meta.hdr_len)
            r->s.meta.hdr_len += ETHER_VLAN;
    }
    pad(r);
    r->s.ready = true;
}

/* 1: one is done; 0: none is ours, or the back end is full. */
static int step(struct rtl *r, unsigned ring)
{
    gpa_t base = le64_at(r->s.reg + (ring ? RTL_THPDS : RTL_TNPDS)) & ~UINT64_C(0xff);
    gpa_t at = base + r->s.tx_at[ring] * sizeof(struct rtl_desc);
    struct gmem *m = r->nic.pci.dev.env.mem;
    struct rtl_desc d;
    uint32_t opts1;

    if (gmem_read(m, at, &d, sizeof(d)) < 0) {
        guest_fault(&r->nic.pci.dev, "a send ring lies outside memory");
        r->s.poll[ring] = false;
        return 0;
    }
    opts1 = le32_get(d.opts1);
    if (!(opts1 & RTL_OWN)) {
        r->s.poll[ring] = false;
        return 0;
    }
    if (!r->s.ready) {
        if (opts1 & RTL_FS)
            forget(r);
        r->s.owner = ring;
        if (!gather(r, le64_get(d.addr), opts1 & 0xffff))
            r->s.bad = true;
        if (opts1 & RTL_LS)
            finish(r, opts1, le32_get(d.opts2));
    }
    if (r->s.ready && !send_ready(r))
        return 0;
    d.opts1 = le32_of(opts1 & ~RTL_OWN);
    if (gmem_write(m, at, &d.opts1, sizeof(d.opts1)) < 0)
        r->s.poll[ring] = false;
    r->s.tx_at[ring] =
        opts1 & RTL_EOR || r->s.tx_at[ring] + 1 == RTL_RING_DESCS ? 0 : r->s.tx_at[ring] + 1;
    return 1;
}

static bool send_ring(struct rtl *r, unsigned ring)
{
    unsigned n = 0;

    if (!r->s.poll[ring])
        return false;
    while (n < NIC_BATCH && r->s.poll[ring] && step(r, ring) > 0)
        n++;
    if (n)
        rtl_cause(r, RTL_ISR_TOK);
    if (!r->s.poll[ring])
        r->s.reg[RTL_TPPOLL] &= (uint8_t) ~(ring ? RTL_TPPOLL_HPQ : RTL_TPPOLL_NPQ);
    return n == NIC_BATCH;
}

bool rtl_send_all(struct rtl *r)
{
    bool more = false;

    if (!(r->s.reg[RTL_CR] & RTL_CR_TE))
        return false;
    if (!rtl_tx_new(r))
        return send_slots(r);
    /* A frame is gathered from one ring at a time. */
    for (unsigned i = RTL_RINGS; i-- > 0;) {
        if (!(r->s.len || r->s.ready) || r->s.owner == i)
            more |= send_ring(r, i);
    }
    return more;
}
