/* SPDX-License-Identifier: Apache-2.0 */
/* forward.c - see forward.h. */
#define _GNU_SOURCE
#include "net/forward.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"

static int forward_bad(const char *text, const char *why, struct err *e)
{
    return err_exit(e, EX_USAGE_, EINVAL,
                    "forward=%s: %s; write forward=tcp:HOSTADDR:HOSTPORT-:GUESTPORT", text, why);
}

static bool parse_port(const char *text, size_t len, uint16_t *out)
{
    unsigned v = 0;

    if (len == 0 || len > 5)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char)text[i]))
            return false;
        v = v * 10 + (unsigned)(text[i] - '0');
    }
    *out = (uint16_t)v;
    return v >= 1 && v <= 65535;
}

/* One end: "ADDR:PORT" with ADDR possibly empty. NULL, or what is wrong. */
static const char *parse_end(const char *text, size_t len, char addr[64], uint16_t *port)
{
    const char *colon = memrchr(text, ':', len);
    size_t n;

    if (!colon)
        return "an end has no ':' before its port";
    if (!parse_port(colon + 1, len - (size_t)(colon + 1 - text), port))
        return "a port is not a number from 1 to 65535";
    n = (size_t)(colon - text);
    if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
        text++;
        n -= 2;
    }
    if (n >= 64)
        return "an address is too long";
    memcpy(addr, text, n);
    addr[n] = '\0';
    return NULL;
}

static bool fill(struct forward *f, bool host, int family, const char *addr, uint16_t port)
{
    struct sockaddr_in *in = host ? &f->host.in : &f->guest.in;
    struct sockaddr_in6 *in6 = host ? &f->host.in6 : &f->guest.in6;

    if (family == AF_INET6) {
        *in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
        return !*addr || inet_pton(AF_INET6, addr, &in6->sin6_addr) == 1;
    }
    *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    return !*addr || inet_pton(AF_INET, addr, &in->sin_addr) == 1;
}

int forward_parse(const char *text, struct forward *out, struct err *e)
{
    char host[64], guest[64];
    uint16_t host_port, guest_port;
    const char *at, *dash, *why;
    int family;

    memset(out, 0, sizeof(*out));
    out->udp = strncmp(text, "udp:", 4) == 0;
    if (!out->udp && strncmp(text, "tcp:", 4) != 0)
        return forward_bad(text, "it starts with neither tcp: nor udp:", e);
    at = text + 4;
    dash = strchr(at, '-');
    if (!dash)
        return forward_bad(text, "there is no '-' between the host's and the guest's end", e);
    why = parse_end(at, (size_t)(dash - at), host, &host_port);
    if (!why)
        why = parse_end(dash + 1, strlen(dash + 1), guest, &guest_port);
    if (why)
        return forward_bad(text, why, e);
    family = strchr(host, ':') || strchr(guest, ':') ? AF_INET6 : AF_INET;
    out->len = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    out->guest_said = *guest;
    if (!fill(out, true, family, host, host_port))
        return forward_bad(text, "the host's address is not an IP address of the guest's kind", e);
    if (!fill(out, false, family, guest, guest_port))
        return forward_bad(text, "the guest's address is not an IP address of the host's kind", e);
    return 0;
}
