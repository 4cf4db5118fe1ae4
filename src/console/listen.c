/* SPDX-License-Identifier: Apache-2.0 */
/* listen.c - see listen.h. */
#define _GNU_SOURCE
#include "console/listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/err.h"

/* Splits [ADDR]:PORT or ADDR:PORT; false: there is no port. */
static bool split(const char *where, char *addr, size_t room, const char **port)
{
    const char *colon = strrchr(where, ':');
    size_t n;

    if (!colon || !colon[1] || strlen(colon) > 6 ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1) || atoi(colon + 1) > 65535)
        return false;
    n = (size_t)(colon - where);
    if (n >= 2 && where[0] == '[' && where[n - 1] == ']') {
        where++;
        n -= 2;
    }
    if (n >= room)
        return false;
    memcpy(addr, where, n);
    addr[n] = '\0';
    *port = colon + 1;
    return true;
}

static int bind_one(const struct addrinfo *a)
{
    int on = 1, rc = 0,
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);

    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, 8) < 0)
        rc = -errno;
    if (rc < 0)
        close(fd);
    return rc < 0 ? rc : fd;
}

static void tell(int fd, char is[LISTEN_WHERE], unsigned *port)
{
    struct sockaddr_storage s;
    socklen_t n = sizeof(s);
    char host[64] = "?", serv[8] = "0";

    if (getsockname(fd, (struct sockaddr *)&s, &n) == 0)
        (void)getnameinfo((struct sockaddr *)&s, n, host, sizeof(host), serv, sizeof(serv),
                          NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(is, LISTEN_WHERE, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, serv);
    *port = 0;
    for (const char *p = serv; *p; p++)
        *port = *port * 10 + (unsigned)(*p - '0');
}

int listen_tcp(const char *where, char is[LISTEN_WHERE], unsigned *port, struct err *e)
{
    struct addrinfo hint = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *list, *a;
    const char *serv;
    char addr[256];
    int fd = -EADDRNOTAVAIL, rc;

    if (!split(where, addr, sizeof(addr), &serv))
        return err_exit(e, EX_USAGE_, EINVAL,
                        "%s is no place to listen at: use ADDR:PORT, as in 127.0.0.1:5900", where);
    rc = getaddrinfo(*addr ? addr : "127.0.0.1", serv, &hint, &list);
    if (rc != 0)
        return err_exit(e, EX_USAGE_, EINVAL, "cannot listen at %s: %s", where, gai_strerror(rc));
    for (a = list; a && fd < 0; a = a->ai_next)
        fd = bind_one(a);
    freeaddrinfo(list);
    if (fd < 0)
        return err_exit(e, EX_IN_USE, -fd, "cannot listen at %s: %s; use another port", where,
                        strerror(-fd));
    tell(fd, is, port);
    return fd;
}
