/* SPDX-License-Identifier: Apache-2.0 */
/* dec21140_ring.c - frames, and setup frames, through the rings or chains of descriptors. */
#include <errno.h>
#include <string.h>

#include "board/nic/dec21140_priv.h"
#include "core/gmem.h"

enum { CSR_TX_BASE = 4, CSR_RX_BASE = 3 };

int dec_read(struct dec *d, gpa_t at, uint32_t word[4])
{
    uint8_t b[16];

    if (gmem_read(d->nic.pci.dev.env.mem, at, b, sizeof(b)) < 0)
        return -EFAULT;
    for (unsigned i = 0; i < 4; i++)
        word[i] = d->s.csr[0] & CSR0_DBO ? be32_at(b + 4 * i) : le32_at(b + 4 * i);
    return 0;
}

int dec_write(struct dec *d, gpa_t at, uint32_t status)
{
    uint8_t b[4];

    if (d->s.csr[0] & CSR0_DBO)
        be32_put(b, status);
    else
        le32_put(b, status);
    return gmem_write(d->nic.pci.dev.env.mem, at, b, sizeof(b));
}

gpa_t dec_next(struct dec *d, gpa_t at, const uint32_t word[4], unsigned base)
{
    if (word[1] & DES1_ER)
        return d->s.csr[base] & ~3u;
    if (word[1] & DES1_CH)
        return word[3] & ~3u;
    return (uint32_t)(at + sizeof(struct dec_desc) + (d->s.csr[0] & CSR0_DSL));
}

/* --- sending --- */

static void setup(struct dec *d, const uint32_t word[4])
{
    bool ft1 = word[1] & TDES1_FT1, ft0 = word[1] & TDES1_FT0;

    if ((word[1] & DES1_SIZE) != DEC_SETUP ||
        gmem_read(d->nic.pci.dev.env.mem, word[2], d->s.filter, DEC_SETUP) < 0) {
        guest_fault(&d->nic.pci.dev, "a setup frame of %u bytes is none", word[1] & DES1_SIZE);
        return;
    }
    d->s.perfect = !ft0;
    d->s.hash = ft0;
    d->s.inverse = ft1 && !ft0;
    /* With hashes, one address is compared as a whole unless the type says hashes alone. */
    d->s.csr[6] = (d->s.csr[6] & ~CSR6_FILTER) | (d->s.hash ? 1u | (ft1 ? 4u : 0) : 0) |
                  (d->s.inverse ? 0x10u : 0);
}

static void gather(struct dec *d, gpa_t at, uint32_t n)
{
    if (d->s.bad || d->s.len + n > NET_FRAME_MAX - ETHER_MIN ||
        gmem_read(d->nic.pci.dev.env.mem, at, d->nic.out + d->s.len, n) < 0)
        d->s.bad = true;
    else
        d->s.len += n;
}

static void whole(struct dec *d)
{
    if (d->s.bad || d->s.len < ETHER_HEAD) {
        d->nic.refused++;
        guest_fault(&d->nic.pci.dev, "a frame of %zu bytes cannot be sent", d->s.len);
        d->s.len = 0;
        return;
    }
    if (d->s.len < ETHER_MIN) {
        memset(d->nic.out + d->s.len, 0, ETHER_MIN - d->s.len);
        d->s.len = ETHER_MIN;
    }
    d->s.ready = true;
}

static void data(struct dec *d, const uint32_t word[4])
{
    if (word[1] & TDES1_FS) {
        d->s.len = 0;
        d->s.bad = false;
    }
    gather(d, word[2], word[1] & DES1_SIZE);
    if (!(word[1] & DES1_CH))
        gather(d, word[3], word[1] >> 11 & DES1_SIZE);
    if (word[1] & TDES1_LS)
        whole(d);
}

/* 1: one is done; 0: the back end is full; -EAGAIN: none is ours; -EFAULT. */
static int send_one(struct dec *d)
{
    struct net_meta none = {0};
    uint32_t word[4];

    if (dec_read(d, d->s.tx, word) < 0)
        return -EFAULT;
    if (!(word[0] & DES0_OWN))
        return -EAGAIN;
    if (word[1] & TDES1_SET)
        setup(d, word);
    else if (!d->s.ready)
        data(d, word);
    if (d->s.ready) {
        if (!nic_send(&d->nic, d->s.len, &none))
            return 0;
        d->s.ready = false;
        d->s.len = 0;
    }
    if (dec_write(d, d->s.tx, word[1] & TDES1_SET ? 0x7fffffff : 0) < 0)
        return -EFAULT;
    d->s.tx = dec_next(d, d->s.tx, word, CSR_TX_BASE);
    if (word[1] & TDES1_IC)
        dec_cause(d, CSR5_TI);
    return 1;
}

bool dec_send_all(struct dec *d)
{
    unsigned n = 0;
    int rc = 1;

    if (!(d->s.csr[6] & CSR6_ST))
        return false;
    while (n < NIC_BATCH && (rc = send_one(d)) == 1)
        n++;
    if (rc == -EFAULT) {
        guest_fault(&d->nic.pci.dev, "the send ring leads outside memory");
        d->s.csr[6] &= ~CSR6_ST;
        dec_process(d, CSR5_TS, CSR5_STOPPED);
        dec_cause(d, CSR5_FBE);
    }
    if (n && rc == -EAGAIN)
        dec_cause(d, CSR5_TU);
    return n == NIC_BATCH;
}

/* --- receiving --- */

static uint32_t reflect9(uint32_t crc)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < 9; i++)
        v |= (crc >> (31 - i) & 1) << i;
    return v;
}

/* The entry's three words have two bytes of the address each. */
static bool same(const uint8_t *entry, const uint8_t *mac)
{
    return memcmp(entry, mac, 2) == 0 && memcmp(entry + 4, mac + 2, 2) == 0 &&
           memcmp(entry + 8, mac + 4, 2) == 0;
}

static bool in_table(const struct dec *d, const uint8_t *mac)
{
    unsigned bit;

    if (d->s.perfect) {
        for (unsigned i = 0; i < DEC_PERFECT; i++) {
            if (same(d->s.filter + 12 * i, mac))
                return true;
        }
        return false;
    }
    if (!d->s.hash)
        return false;
    if (!(mac[0] & 1) && !(d->s.csr[6] & 4))
        return same(d->s.filter + DEC_HASH_ADDRESS, mac);
    bit = reflect9(nic_crc(mac));
    return d->s.filter[bit / 16 * 4 + bit % 16 / 8] >> bit % 8 & 1;
}

/* Status bits with it, 0: not wanted. */
static uint32_t wanted(const struct dec *d)
{
    const uint8_t *f = d->nic.in;
    uint32_t group = f[0] & 1 ? RDES0_MF : 0;
    bool hit = in_table(d, f);

    if (nic_is_broadcast(f) || hit != d->s.inverse)
        return group | RDES0_LS;
    if (d->s.csr[6] & (CSR6_PR | CSR6_RA))
        return group | RDES0_LS | RDES0_FF;
    return d->s.csr[6] & CSR6_PM && group ? group | RDES0_LS : 0;
}

/* Are there buffers for n bytes? 1, 0, -EFAULT; -EMSGSIZE: there never will be. */
static int room(struct dec *d, size_t n)
{
    gpa_t at = d->s.rx;

    for (unsigned i = 0; i < DEC_DESCS; i++) {
        uint32_t word[4];
        size_t here;

        if (dec_read(d, at, word) < 0)
            return -EFAULT;
        if (!(word[0] & DES0_OWN))
            return 0;
        here = word[1] & DES1_SIZE;
        if (!(word[1] & DES1_CH))
            here += word[1] >> 11 & DES1_SIZE;
        if (here >= n)
            return 1;
        n -= here;
        at = dec_next(d, at, word, CSR_RX_BASE);
    }
    return -EMSGSIZE;
}

static size_t fill(struct dec *d, gpa_t at, const uint8_t *p, size_t n, uint32_t size)
{
    n = (size_t)min_u64(n, size);
    if (n && gmem_write(d->nic.pci.dev.env.mem, at, p, n) < 0)
        guest_fault(&d->nic.pci.dev, "a receive buffer lies outside memory");
    return n;
}

static int deliver(struct dec *d, uint32_t status)
{
    size_t len = d->nic.in_len + ETHER_FCS, at = 0;
    uint32_t first = RDES0_FS;
    int rc = room(d, len);

    if (rc <= 0)
        return rc;
    memset(d->nic.in + d->nic.in_len, 0, ETHER_FCS);
    if (be16_at(d->nic.in + ETHER_ADDRESSES) > 1500)
        status |= RDES0_FT;
    for (unsigned i = 0; at < len; i++) {
        uint32_t word[4], end;

        if (i == DEC_DESCS) /* the guest has changed them since room() */
            return -EMSGSIZE;
        if (dec_read(d, d->s.rx, word) < 0)
            return -EFAULT;
        at += fill(d, word[2], d->nic.in + at, len - at, word[1] & DES1_SIZE);
        if (!(word[1] & DES1_CH))
            at += fill(d, word[3], d->nic.in + at, len - at, word[1] >> 11 & DES1_SIZE);
        end = at == len ? status | (uint32_t)len << RDES0_FL : 0;
        if (dec_write(d, d->s.rx, first | end) < 0)
            return -EFAULT;
        d->s.rx = dec_next(d, d->s.rx, word, CSR_RX_BASE);
        first = 0;
    }
    return 1;
}

bool dec_receive_all(struct dec *d)
{
    bool was = d->s.starved;
    unsigned n, got = 0;

    d->s.starved = false;
    if (!(d->s.csr[6] & CSR6_SR))
        return false;
    for (n = 0; n < NIC_BATCH && nic_fetch(&d->nic, DEC_FRAME_MAX); n++) {
        uint32_t status = wanted(d);
        int rc = status ? deliver(d, status) : 0;

        if (status && rc == 0) {
            d->s.starved = true;
            dec_process(d, CSR5_RS, CSR5_RX_SUSPENDED);
            if (!was)
                dec_cause(d, CSR5_RU);
            break;
        }
        if (rc < 0) {
            d->nic.dropped++;
            guest_fault(&d->nic.pci.dev, "the receive ring has no place for a frame");
        }
        got += rc > 0;
        d->nic.in_len = 0;
    }
    if (!d->s.starved)
        dec_process(d, CSR5_RS, CSR5_RX_WAITS);
    if (got)
        dec_cause(d, CSR5_RI);
    return n == NIC_BATCH;
}
