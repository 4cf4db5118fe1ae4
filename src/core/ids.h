/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids.h - bytes as hexadecimal text: Ethernet addresses, UUIDs and GUIDs.
 *
 * To write them there are formats of printf() and their arguments: printf("card " MAC_FMT,
 * MAC_ARGS(mac)). What a person or another product wrote is read strictly, or with marks anywhere.
 * A UUID's bytes stand in the order of RFC 4122; a GUID's
 * first three numbers are little-endian, as Microsoft and EFI keep them.
 */
#ifndef HOSPES_CORE_IDS_H
#define HOSPES_CORE_IDS_H

#include "abi/bytes.h"
#include "core/core.h"

#define MAC_FMT "%02x:%02x:%02x:%02x:%02x:%02x"
#define MAC_ARGS(m) (m)[0], (m)[1], (m)[2], (m)[3], (m)[4], (m)[5]

#define UUID_FMT "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x"
#define UUID_ARGS(u)                                                                               \
    (u)[0], (u)[1], (u)[2], (u)[3], (u)[4], (u)[5], (u)[6], (u)[7], (u)[8], (u)[9], (u)[10],       \
        (u)[11], (u)[12], (u)[13], (u)[14], (u)[15]

#define GUID_FMT "%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x"
#define GUID_ARGS(g)                                                                               \
    le32_at(g), le16_at((g) + 4), le16_at((g) + 6), (g)[8], (g)[9], (g)[10], (g)[11], (g)[12],     \
        (g)[13], (g)[14], (g)[15]

/* The digit's value, -1: it is none. */
static inline int hex_digit(unsigned c)
{
    return c >= '0' && c <= '9'   ? (int)c - '0'
           : c >= 'a' && c <= 'f' ? (int)c - 'a' + 10
           : c >= 'A' && c <= 'F' ? (int)c - 'A' + 10
                                  : -1;
}

/* n bytes from two digits each; any of `marks` may stand anywhere. false: the text is something
 * else, and out is no more what it was. */
MUST bool hex_bytes(const char *text, const char *marks, uint8_t *out, size_t n);
/* Like "52:54:00:12:34:56", and not otherwise. */
MUST bool mac_read(const char *text, uint8_t out[6]);
/* Like "01234567-89ab-cdef-0123-456789abcdef", and not otherwise. */
MUST bool uuid_read(const char *text, uint8_t out[16]);

#endif
