/* SPDX-License-Identifier: Apache-2.0 */
/* rss.c - see rss.h. */
#include "net/rss.h"

#include <string.h>

#include "abi/bytes.h"

/* Bit i of the input counts 32 bits of the key from its bit i on. */
uint32_t rss_toeplitz(const uint8_t key[RSS_KEY], const uint8_t *p, size_t n)
{
    uint32_t hash = 0, window = be32_at(key);

    for (size_t i = 0; i < n; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            if (p[i] & 0x80 >> bit)
                hash ^= window;
            window = window << 1 | (uint32_t)(key[i + 4] >> (7 - bit) & 1);
        }
    }
    return hash;
}

size_t rss_input(const uint8_t *f, const struct net_layout *o, unsigned l4, uint8_t out[RSS_INPUT])
{
    size_t n = o->version == 4 ? 8 : 32;

    if (!o->version)
        return 0;
    memcpy(out, f + o->l3 + (o->version == 4 ? 12 : 8), n);
    if (!l4)
        return n;
    memcpy(out + n, f + l4, 4);
    return n + 4;
}
