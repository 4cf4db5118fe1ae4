/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids.h - Ethernet addresses, UUIDs and GUIDs as text: formats of printf() and their arguments.
 *
 * printf("card " MAC_FMT, MAC_ARGS(mac)). A UUID's bytes stand in the order of RFC 4122; a GUID's
 * first three numbers are little-endian, as Microsoft and EFI keep them.
 */
#ifndef HOSPES_CORE_IDS_H
#define HOSPES_CORE_IDS_H

#include "abi/bytes.h"

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

#endif
