/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nbd.c - listening, connections and their threads; see nbd.h.
 *
 * Followed: doc/proto.md of the NBD project: fixed newstyle negotiation, structured replies, block
 * status. Not offered: TLS (a unix socket, or a tunnel, is what keeps others out), resizing,
 * extended headers.
 */
#define _GNU_SOURCE
#include "storage/serve/nbd.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"
#include "core/usock.h"
#include "storage/serve/nbd_impl.h"

enum { STOP_PATIENCE_S = 5, TALK_PATIENCE_S = 30 };

/* --- bytes on a socket --- */

bool nbd_recv(int fd, void *buf, size_t len)
{
    uint8_t *to = buf;

    while (len) {
        ssize_t n = recv(fd, to, len, MSG_WAITALL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        to += n;
        len -= (size_t)n;
    }
    return true;
}

bool nbd_send(int fd, struct iovec *iov, unsigned cnt)
{
    while (cnt) {
        struct msghdr h = {.msg_iov = iov, .msg_iovlen = cnt};
        ssize_t n = sendmsg(fd, &h, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        while (cnt && (size_t)n >= iov->iov_len) {
            n -= (ssize_t)iov->iov_len;
            iov++;
            cnt--;
        }
        if (cnt) {
            iov->iov_base = (uint8_t *)iov->iov_base + n;
            iov->iov_len -= (size_t)n;
        }
    }
    return true;
}

/* --- connections --- */

static void set_patience(int fd, int seconds)
{
    struct timeval t = {.tv_sec = seconds};

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
}

static struct nbd_conn *conn_new(struct nbd *n, int fd)
{
    struct nbd_conn *k = calloc(1, sizeof(*k));
    bool ok;

    if (!k)
        return NULL;
    k->n = n;
    k->fd = fd;
    k->threads = 1;
    pthread_mutex_init(&k->reading, NULL);
    pthread_mutex_init(&k->sending, NULL);
    pthread_mutex_lock(&n->lock);
    ok = !n->stopping && n->conn_count < NBD_CONNS_MAX;
    if (ok) {
        k->next = n->conns;
        if (k->next)
            k->next->prev = k;
        n->conns = k;
        n->conn_count++;
    }
    pthread_mutex_unlock(&n->lock);
    if (ok)
        return k;
    pthread_mutex_destroy(&k->reading);
    pthread_mutex_destroy(&k->sending);
    free(k);
    return NULL;
}

/* A thread of k ends; the last one takes k with it. */
static void conn_leave(struct nbd_conn *k)
{
    struct nbd *n = k->n;

    if (__atomic_sub_fetch(&k->threads, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    pthread_mutex_lock(&n->lock);
    *(k->prev ? &k->prev->next : &n->conns) = k->next;
    if (k->next)
        k->next->prev = k->prev;
    close(k->fd);
    pthread_mutex_destroy(&k->reading);
    pthread_mutex_destroy(&k->sending);
    free(k);
    n->conn_count--;
    pthread_cond_broadcast(&n->ended);
    pthread_mutex_unlock(&n->lock);
}

static void *helper(void *arg)
{
    nbd_transmit(arg);
    conn_leave(arg);
    return NULL;
}

static void *first(void *arg)
{
    struct nbd_conn *k = arg;

    set_patience(k->fd, TALK_PATIENCE_S);
    if (nbd_talk(k)) {
        set_patience(k->fd, 0);
        nbd_transmit(k);
    }
    conn_leave(k);
    return NULL;
}

void nbd_conn_help(struct nbd_conn *k)
{
    if (READ_ONCE(k->threads) >= NBD_THREADS_MAX)
        return;
    __atomic_add_fetch(&k->threads, 1, __ATOMIC_ACQ_REL);
    if (disk_thread(helper, k) < 0)
        __atomic_sub_fetch(&k->threads, 1, __ATOMIC_ACQ_REL); /* the caller is one: not the last */
}

static void conn_start(struct nbd *n, int fd)
{
    int one = 1, flags = fcntl(fd, F_GETFL);
    struct nbd_conn *k = NULL;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* no TCP: no harm */
    if (flags >= 0 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) >= 0)
        k = conn_new(n, fd);
    if (!k)
        close(fd);
    else if (disk_thread(first, k) < 0)
        conn_leave(k);
}

void nbd_serve_fd(struct nbd *n, int fd)
{
    conn_start(n, fd);
    pthread_mutex_lock(&n->lock);
    while (n->conn_count)
        pthread_cond_wait(&n->ended, &n->lock);
    pthread_mutex_unlock(&n->lock);
}

/* --- listening --- */

static int no_address(const char *where, struct err *e)
{
    return err_exit(e, EX_USAGE_, EINVAL,
                    "'%s' is nowhere to serve; unix=PATH and tcp=ADDRESS:PORT are", where);
}

/* Resolvers take numbers modulo 65536. */
static bool no_port(const char *text)
{
    return !*text || (strspn(text, "0123456789") == strlen(text) &&
                      (strlen(text) > 5 || strtoul(text, NULL, 10) > UINT16_MAX));
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in6 a = {.sin6_port = 0}; /* in IPv4's the port lies in the same place */
    socklen_t n = sizeof(a);

    return getsockname(fd, (struct sockaddr *)&a, &n) < 0 ? 0 : ntohs(a.sin6_port);
}

static int listen_at(const struct addrinfo *a)
{
    int one = 1, rc, fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, 16) == 0)
        return fd;
    rc = -errno;
    close(fd);
    return rc;
}

/* "127.0.0.1:10809", "[::1]:10809" */
static int listen_tcp(struct nbd *n, const char *where, struct err *e)
{
    struct addrinfo want = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
    const char *colon = strrchr(where, ':');
    char host[256];
    int rc;

    want.ai_flags = AI_PASSIVE;
    if (!colon || (size_t)(colon - where) >= sizeof(host) || no_port(colon + 1))
        return no_address(where, e);
    if (where[0] == '[' && colon > where + 1 && colon[-1] == ']')
        snprintf(host, sizeof(host), "%.*s", (int)(colon - where - 2), where + 1);
    else
        snprintf(host, sizeof(host), "%.*s", (int)(colon - where), where);
    rc = getaddrinfo(host[0] ? host : NULL, colon + 1, &want, &found);
    if (rc != 0)
        return err_exit(e, EX_USAGE_, EINVAL, "cannot serve at '%s': %s", where, gai_strerror(rc));
    n->listener = listen_at(found);
    freeaddrinfo(found);
    if (n->listener < 0)
        return err_set(e, -n->listener, "cannot listen at %s: %s", where, strerror(-n->listener));
    rc = asprintf(&n->uri, "nbd://%.*s:%u", (int)(colon - where), where, port_of(n->listener));
    return rc < 0 ? err_set(e, ENOMEM, "no memory to serve") : 0;
}

/* The URI of a path, which may hold anything (RFC 3986 2.1). malloc()ed; NULL: no memory. */
static char *unix_uri(const char *path)
{
    static const char head[] = "nbd+unix:///?socket=";
    char *uri = malloc(sizeof(head) + 3 * strlen(path)), *at = uri;

    if (!uri)
        return NULL;
    at = stpcpy(at, head);
    for (; *path; path++) {
        if (isalnum((unsigned char)*path) || strchr("-._~/", *path))
            *at++ = *path;
        else
            at += sprintf(at, "%%%02X", (unsigned char)*path);
    }
    *at = '\0';
    return uri;
}

static int listen_unix(struct nbd *n, const char *path, struct err *e)
{
    int rc = usock_listen(path, &n->listener, e);

    if (rc < 0)
        return rc;
    n->path = strdup(path);
    n->uri = unix_uri(path);
    if (!n->path || !n->uri)
        return err_set(e, ENOMEM, "no memory to serve");
    return 0;
}

int nbd_create_deaf(const struct nbd_cfg *c, struct nbd **out, struct err *e)
{
    struct nbd *n = calloc(1, sizeof(*n));

    if (!n)
        return err_set(e, ENOMEM, "no memory to serve");
    n->c = *c;
    n->listener = -1;
    bytes_init(&n->bytes, c->disk);
    pthread_mutex_init(&n->lock, NULL);
    pthread_cond_init(&n->ended, NULL);
    *out = n;
    return 0;
}

int nbd_create(const struct nbd_cfg *c, const char *where, struct nbd **out, struct err *e)
{
    int rc = nbd_create_deaf(c, out, e);

    if (rc < 0)
        return rc;
    if (strncmp(where, "unix=", 5) == 0)
        rc = listen_unix(*out, where + 5, e);
    else if (strncmp(where, "tcp=", 4) == 0)
        rc = listen_tcp(*out, where + 4, e);
    else
        rc = no_address(where, e);
    if (rc < 0)
        nbd_destroy(*out);
    return rc;
}

const char *nbd_uri(const struct nbd *n)
{
    return n->uri;
}

static void shut_all(struct nbd *n, int how)
{
    for (struct nbd_conn *k = n->conns; k; k = k->next)
        (void)shutdown(k->fd, how);
}

/* Requests that were read end normally; who does not take the answers is cut off. */
static void drain(struct nbd *n)
{
    struct timespec until;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += STOP_PATIENCE_S;
    pthread_mutex_lock(&n->lock);
    n->stopping = true;
    shut_all(n, SHUT_RD);
    while (n->conn_count && rc == 0)
        rc = pthread_cond_timedwait(&n->ended, &n->lock, &until);
    shut_all(n, SHUT_RDWR);
    while (n->conn_count)
        pthread_cond_wait(&n->ended, &n->lock);
    pthread_mutex_unlock(&n->lock);
}

int nbd_run(struct nbd *n, int stop_fd, struct err *e)
{
    struct pollfd p[2] = {{.fd = stop_fd, .events = POLLIN}, {.fd = n->listener, .events = POLLIN}};
    int rc = 0;

    while (rc == 0 && !p[0].revents) {
        int fd;

        if (poll(p, 2, -1) < 0 && errno != EINTR)
            rc = err_set(e, errno, "cannot wait for clients: %s", strerror(errno));
        fd = p[1].revents ? usock_accept(n->listener) : -1;
        if (fd >= 0)
            conn_start(n, fd);
        else if (p[1].revents && fd != -EAGAIN)
            (void)poll(p, 1, 100); /* out of descriptors: wait for one to come back */
    }
    drain(n);
    return rc;
}

void nbd_destroy(struct nbd *n)
{
    if (!n)
        return;
    if (n->path)
        usock_unlisten(n->listener, n->path);
    else if (n->listener >= 0)
        close(n->listener);
    bytes_fini(&n->bytes);
    pthread_mutex_destroy(&n->lock);
    pthread_cond_destroy(&n->ended);
    free(n->path);
    free(n->uri);
    free(n);
}
