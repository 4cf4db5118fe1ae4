/* SPDX-License-Identifier: Apache-2.0 */
/* peer.c - see peer.h. */
#define _GNU_SOURCE
#include "validation/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/err.h"

/* What yes(1) says, so that any guest can make it. */
static const char peer_text[] = "hospes\n";
enum { PEER_TEXT = sizeof(peer_text) - 1, PEER_CHUNK = PEER_TEXT * 4096, PEER_MIB_MAX = 1024 };

struct peer {
    int fd;
    unsigned port, mib;
    pthread_t thread;
    bool quit;
    char chunk[PEER_CHUNK];
};

static void peer_sum(const struct peer *p, uint64_t bytes, char out[V_SHA_TEXT])
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state st;

    crypto_hash_sha256_init(&st);
    for (uint64_t at = 0; at < bytes; at += PEER_CHUNK)
        crypto_hash_sha256_update(&st, (const unsigned char *)p->chunk,
                                  min_u64(bytes - at, PEER_CHUNK));
    crypto_hash_sha256_final(&st, digest);
    sodium_bin2hex(out, V_SHA_TEXT, digest, sizeof(digest));
}

static bool peer_wait(const struct peer *p, int fd, short what)
{
    struct pollfd w = {.fd = fd, .events = what};

    while (!__atomic_load_n(&p->quit, __ATOMIC_ACQUIRE)) {
        int n = poll(&w, 1, 100);

        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR)
            return false;
    }
    return false;
}

static void peer_give(const struct peer *p, int fd, uint64_t bytes)
{
    for (uint64_t at = 0; at < bytes && peer_wait(p, fd, POLLOUT);) {
        size_t off = (size_t)(at % PEER_CHUNK);
        ssize_t n = send(fd, p->chunk + off, min_u64(bytes - at, PEER_CHUNK - off),
                         MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno != EAGAIN)
            return;
        at += n > 0 ? (uint64_t)n : 0;
    }
}

static void peer_take(const struct peer *p, int fd, uint64_t bytes)
{
    unsigned char digest[crypto_hash_sha256_BYTES], buf[16384];
    char text[V_SHA_TEXT + 1];
    crypto_hash_sha256_state st;

    crypto_hash_sha256_init(&st);
    while (bytes > 0 && peer_wait(p, fd, POLLIN)) {
        ssize_t n = recv(fd, buf, min_u64(bytes, sizeof(buf)), 0);

        if (n <= 0)
            break;
        crypto_hash_sha256_update(&st, buf, (unsigned long long)n);
        bytes -= (uint64_t)n;
    }
    crypto_hash_sha256_final(&st, digest);
    sodium_bin2hex(text, sizeof(text), digest, sizeof(digest));
    strcat(text, "\n");
    (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void peer_serve(const struct peer *p, int fd)
{
    char line[32] = "";
    unsigned mib = 0;
    size_t n = 0;

    while (n + 1 < sizeof(line) && peer_wait(p, fd, POLLIN) && recv(fd, line + n, 1, 0) == 1 &&
           line[n] != '\n')
        n++;
    line[n] = '\0';
    if (sscanf(line, "get %u", &mib) == 1 && mib <= PEER_MIB_MAX)
        peer_give(p, fd, mib * MiB);
    else if (sscanf(line, "put %u", &mib) == 1 && mib <= PEER_MIB_MAX)
        peer_take(p, fd, mib * MiB);
    shutdown(fd, SHUT_WR);
    /* Until the guest has read it all: closing with unread bytes would reset the connection. */
    while (peer_wait(p, fd, POLLIN) && recv(fd, line, sizeof(line), 0) > 0)
        ;
}

static void *peer_main(void *arg)
{
    struct peer *p = arg;

    while (peer_wait(p, p->fd, POLLIN)) {
        int fd = accept4(p->fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
            continue;
        peer_serve(p, fd);
        close(fd);
    }
    return NULL;
}

int peer_start(struct peer **out, char sha[V_SHA_TEXT], unsigned mib, struct err *e)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    struct peer *p = calloc(1, sizeof(*p));
    int rc = 0;

    if (!p || mib > PEER_MIB_MAX) {
        free(p);
        return err_set(e, p ? EINVAL : ENOMEM, "a transfer has up to %d MiB", PEER_MIB_MAX);
    }
    for (size_t i = 0; i < PEER_CHUNK; i += PEER_TEXT)
        memcpy(p->chunk + i, peer_text, PEER_TEXT);
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->fd < 0 || bind(p->fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(p->fd, 4) < 0 ||
        getsockname(p->fd, (struct sockaddr *)&a, &len) < 0)
        rc = errno;
    if (rc == 0)
        rc = pthread_create(&p->thread, NULL, peer_main, p);
    if (rc) {
        if (p->fd >= 0)
            close(p->fd);
        free(p);
        return err_exit(e, EX_HOST_IO, rc, "cannot listen on 127.0.0.1: %s", strerror(rc));
    }
    p->port = ntohs(a.sin_port);
    peer_sum(p, mib * MiB, sha);
    *out = p;
    return 0;
}

unsigned peer_port(const struct peer *p)
{
    return p->port;
}

void peer_stop(struct peer *p)
{
    __atomic_store_n(&p->quit, true, __ATOMIC_RELEASE);
    pthread_join(p->thread, NULL);
    close(p->fd);
    free(p);
}
