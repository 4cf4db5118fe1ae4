/* SPDX-License-Identifier: Apache-2.0 */
/* rtl8139_rx.c - frames to the guest: a ring of bytes, or the C+ chip's descriptors. */
#include <errno.h>
#include <string.h>

#include "board/nic/rtl8139_priv.h"
#include "core/gmem.h"
#include "net/csum.h"

enum { HEADER = 4, IP_TCP = 6, IP_UDP = 17, CAPR_GAP = 16 };

/* RTL_RX_BAR, PAM or MAR, as the old mode has them; 0: not wanted. */
static uint16_t wanted(const struct rtl *r)
{
    uint32_t rcr = rtl_get32(r, RTL_RCR);
    const uint8_t *f = r->nic.in;
    unsigned bit;

    if (nic_is_broadcast(f))
        return rcr & (RTL_RCR_AB | RTL_RCR_AAP) ? RTL_RX_BAR : 0;
    if (f[0] & 1) {
        bit = nic_crc(f) >> 26;
        return rcr & RTL_RCR_AAP ||
                       (rcr & RTL_RCR_AM && r->s.reg[RTL_MAR0 + bit / 8] >> bit % 8 & 1)
                   ? RTL_RX_MAR
                   : 0;
    }
    if (memcmp(f, r->s.reg + RTL_IDR0, 6) == 0)
        return rcr & (RTL_RCR_APM | RTL_RCR_AAP) ? RTL_RX_PAM : 0;
    return rcr & RTL_RCR_AAP ? RTL_RX_ROK : 0;
}

static void count(struct rtl *r, uint16_t kind)
{
    r->s.tally.rx_ok++;
    r->s.tally.rx_broadcast += kind == RTL_RX_BAR;
    r->s.tally.rx_physical += kind == RTL_RX_PAM;
    r->s.tally.rx_multicast += kind == RTL_RX_MAR;
}

/* --- the ring of bytes --- */

static int put(struct rtl *r, uint32_t off, const void *p, size_t n)
{
    gpa_t base = rtl_get32(r, RTL_RBSTART);
    uint32_t size = rtl_ring(r), first;

    if (size < 65536 && rtl_get32(r, RTL_RCR) & RTL_RCR_WRAP) /* goes on behind the end */
        return gmem_write(r->nic.pci.dev.env.mem, base + off % size, p, n);
    first = (uint32_t)min_u64(n, size - off % size);
    if (gmem_write(r->nic.pci.dev.env.mem, base + off % size, p, first) < 0)
        return -EFAULT;
    return n == first
               ? 0
               : gmem_write(r->nic.pci.dev.env.mem, base, (const uint8_t *)p + first, n - first);
}

static int to_bytes(struct rtl *r, uint16_t kind)
{
    uint32_t size = rtl_ring(r), at = rtl_get16(r, RTL_CBR) % size;
    uint32_t from = (rtl_get16(r, RTL_CAPR) + CAPR_GAP) % size;
    uint32_t used = (at + size - from) % size, need;
    size_t n = r->nic.in_len + ETHER_FCS;
    uint8_t head[HEADER];

    need = (uint32_t)align_up(HEADER + n, 4);
    if (need >= size)
        return -EMSGSIZE;
    if (need >= size - used)
        return 0;
    le16_put(head, (uint16_t)(RTL_RX_ROK | (kind == RTL_RX_ROK ? 0 : kind)));
    le16_put(head + 2, (uint16_t)n);
    memset(r->nic.in + r->nic.in_len, 0, ETHER_FCS);
    /* With WRAP the header and all behind it are in one piece. */
    memmove(r->nic.in + HEADER, r->nic.in, n);
    memcpy(r->nic.in, head, HEADER);
    if (put(r, at, r->nic.in, HEADER + n) < 0)
        return -EFAULT;
    le16_put(r->s.reg + RTL_CBR, (uint16_t)((at + need) % size));
    return 1;
}

/* --- descriptors --- */

static uint32_t verified(const struct rtl *r)
{
    struct net_layout o;

    if (!(rtl_get16(r, RTL_CPCR) & RTL_CPCR_RXCHKSUM) || !(r->nic.in_meta.flags & NET_CSUM_OK) ||
        !net_layout(r->nic.in, r->nic.in_len, &o) || o.version != 4 || !o.payload)
        return 0;
    return o.proto == IP_TCP ? RTL_RX_TCP : o.proto == IP_UDP ? RTL_RX_UDP : 0;
}

static int to_descriptor(struct rtl *r, uint16_t kind)
{
    gpa_t at =
        (le64_at(r->s.reg + RTL_RDSAR) & ~UINT64_C(0xff)) + r->s.rx_at * sizeof(struct rtl_desc);
    struct gmem *m = r->nic.pci.dev.env.mem;
    uint32_t opts1, status, opts2 = 0;
    const uint8_t *p = r->nic.in;
    size_t n = r->nic.in_len;
    struct rtl_desc d;

    if (gmem_read(m, at, &d, sizeof(d)) < 0)
        return -EFAULT;
    opts1 = le32_get(d.opts1);
    if (!(opts1 & RTL_OWN))
        return 0;
    if (n + ETHER_FCS > (opts1 & RTL_RX_LENGTH))
        return -EMSGSIZE;
    status = (opts1 & RTL_EOR) | RTL_FS | RTL_LS | verified(r);
    status |= kind == RTL_RX_BAR   ? RTL_RX_BROADCAST
              : kind == RTL_RX_PAM ? RTL_RX_PHYSICAL
              : kind == RTL_RX_MAR ? RTL_RX_MULTICAST
                                   : 0;
    memset(r->nic.in + n, 0, ETHER_FCS);
    n += ETHER_FCS;
    if (rtl_get16(r, RTL_CPCR) & RTL_CPCR_RXVLAN && be16_at(p + ETHER_ADDRESSES) == 0x8100) {
        opts2 = RTL_RX_TAVA | le16_at(p + ETHER_ADDRESSES + 2);
        memmove(r->nic.in + ETHER_VLAN, r->nic.in, ETHER_ADDRESSES);
        p += ETHER_VLAN;
        n -= ETHER_VLAN;
    }
    if (gmem_write(m, le64_get(d.addr), p, n) < 0)
        return -EFAULT;
    d.opts1 = le32_of(status | (uint32_t)n);
    d.opts2 = le32_of(opts2);
    if (gmem_write(m, at, &d, 8) < 0)
        return -EFAULT;
    r->s.rx_at = opts1 & RTL_EOR || r->s.rx_at + 1 == RTL_RING_DESCS ? 0 : r->s.rx_at + 1;
    return 1;
}

bool rtl_receive_all(struct rtl *r)
{
    bool was = r->s.starved;
    unsigned n, got = 0;

    r->s.starved = false;
    if (!(r->s.reg[RTL_CR] & RTL_CR_RE))
        return false;
    for (n = 0; n < NIC_BATCH && nic_fetch(&r->nic, RTL_FRAME_MAX); n++) {
        uint16_t kind = wanted(r);
        int rc = !kind ? 0 : rtl_rx_new(r) ? to_descriptor(r, kind) : to_bytes(r, kind);

        if (kind && rc == 0) {
            r->s.starved = true;
            if (!was)
                rtl_cause(r, RTL_ISR_RDU);
            break;
        }
        if (rc < 0) {
            r->nic.dropped++;
            r->s.tally.rx_error++;
            guest_fault(&r->nic.pci.dev, "a frame of %zu bytes has no place in the receive ring",
                        r->nic.in_len);
        }
        if (rc > 0)
            count(r, kind);
        got += rc > 0;
        r->nic.in_len = 0;
    }
    if (got)
        rtl_cause(r, RTL_ISR_ROK);
    return n == NIC_BATCH;
}
