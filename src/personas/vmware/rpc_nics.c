/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_nics.c - a guest's network cards, as its tools tell of them.
 *
 * Document: open-vm-tools, nicinfo.x: XDR, big-endian words. Modelled: version 3, for its first
 * IPv4 address. Version 2, of tools from before 2010, is taken and not read. The guest's words:
 * each length is checked against what is left.
 */
#include <stdio.h>

#include "personas/vmware/rpc.h"

enum { VERSION = 3, IPV4 = 1 };

struct xdr {
    const uint8_t *p;
    size_t n;
};

static bool word(struct xdr *x, uint32_t *out)
{
    if (x->n < 4)
        return false;
    *out = be32_at(x->p);
    x->p += 4;
    x->n -= 4;
    return true;
}

static bool bytes(struct xdr *x, const uint8_t **out, uint32_t *len)
{
    uint64_t padded;

    if (!word(x, len))
        return false;
    padded = align_up(*len, 4);
    if (padded > x->n)
        return false;
    *out = x->p;
    x->p += padded;
    x->n -= padded;
    return true;
}

static bool skip_word(struct xdr *x)
{
    uint32_t v;

    return word(x, &v);
}

static bool skip_bytes(struct xdr *x)
{
    const uint8_t *p;
    uint32_t len;

    return bytes(x, &p, &len);
}

/* A word, for its kind or another, and the bytes. */
static bool skip_address(struct xdr *x)
{
    return skip_word(x) && skip_bytes(x);
}

/* times, one behind the other. */
static bool skip_n(struct xdr *x, uint32_t times, bool (*skip)(struct xdr *x))
{
    for (; times; times--) {
        if (!skip(x))
            return false;
    }
    return true;
}

/* As many as a word in front of them says; what may be there or not is one or none. */
static bool skip_all(struct xdr *x, bool (*skip)(struct xdr *x))
{
    uint32_t n;

    return word(x, &n) && skip_n(x, n, skip);
}

static bool skip_name(struct xdr *x)
{
    return skip_all(x, skip_bytes);
}

/* Names of the host and its domain, servers, suffixes. */
static bool skip_dns(struct xdr *x)
{
    return skip_n(x, 2, skip_name) && skip_all(x, skip_address) && skip_all(x, skip_bytes);
}

static bool skip_wins(struct xdr *x)
{
    return skip_n(x, 2, skip_address);
}

/* Whether it is on and its settings; for IPv4, then for IPv6. */
static bool skip_dhcp(struct xdr *x)
{
    return skip_all(x, skip_address);
}

static bool skip_number(struct xdr *x)
{
    return skip_all(x, skip_word);
}

/* An address with its prefix, origin and status. */
static bool entry(struct xdr *x, bool *found, char out[RPC_TEXT])
{
    uint32_t kind, len;
    const uint8_t *p;

    if (!word(x, &kind) || !bytes(x, &p, &len))
        return false;
    if (kind == IPV4 && len == 4) {
        snprintf(out, RPC_TEXT, "%u.%u.%u.%u", p[0], p[1], p[2], p[3]);
        *found = true;
    }
    return skip_word(x) && skip_n(x, 2, skip_number);
}

static bool card(struct xdr *x, bool *found, char out[RPC_TEXT])
{
    uint32_t n;

    if (!skip_bytes(x) || !word(x, &n)) /* the MAC address */
        return false;
    for (; n && !*found; n--) {
        if (!entry(x, found, out))
            return false;
    }
    return *found || (skip_all(x, skip_dns) && skip_all(x, skip_wins) && skip_n(x, 2, skip_dhcp));
}

bool rpc_first_address(const void *p, size_t n, char out[RPC_TEXT])
{
    struct xdr x = {p, n};
    uint32_t version, there, cards;
    bool found = false;

    if (!word(&x, &version) || version != VERSION || !word(&x, &there) || !there ||
        !word(&x, &cards))
        return false;
    for (; cards && !found; cards--) {
        if (!card(&x, &found, out))
            break;
    }
    return found;
}
