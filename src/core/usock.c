/* SPDX-License-Identifier: Apache-2.0 */
/* usock.c - see usock.h. */
#define _GNU_SOURCE
#include "core/usock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/err.h"

static int address(struct sockaddr_un *sa, const char *path, struct err *e)
{
    size_t n = strlen(path);

    *sa = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (n == 0)
        return err_exit(e, EX_USAGE_, EINVAL, "a unix socket needs a path");
    if (n >= sizeof(sa->sun_path))
        return err_exit(e, EX_USAGE_, EINVAL,
                        "the socket path %s is longer than %zu bytes; choose a shorter one", path,
                        sizeof(sa->sun_path) - 1);
    memcpy(sa->sun_path, path, n);
    return 0;
}

static int new_socket(struct err *e)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return fd < 0 ? err_set(e, errno, "cannot make a unix socket: %s", strerror(errno)) : fd;
}

int usock_peer_pid(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 ? (int)peer.pid : 0;
}

/* What stands at sa: 0 nothing any more (a stale socket was removed), else -errno. */
static int clear_stale(const struct sockaddr_un *sa, struct err *e)
{
    struct stat st;
    int fd, rc, pid;

    if (lstat(sa->sun_path, &st) < 0)
        return 0;
    if (!S_ISSOCK(st.st_mode))
        return err_exit(e, EX_IN_USE, EEXIST, "%s exists and is not a socket; choose another name",
                        sa->sun_path);
    fd = new_socket(e);
    if (fd < 0)
        return fd;
    rc = connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 ? errno : 0;
    pid = usock_peer_pid(fd);
    close(fd);
    if (rc == 0 || rc == EAGAIN)
        return err_exit(e, EX_IN_USE, EBUSY,
                        "%s is served by the running process %d; choose another name or stop it",
                        sa->sun_path, pid);
    if (rc != ECONNREFUSED)
        return err_set(e, rc, "cannot use the socket %s: %s", sa->sun_path, strerror(rc));
    if (unlink(sa->sun_path) < 0 && errno != ENOENT)
        return err_set(e, errno, "cannot remove the stale socket %s: %s", sa->sun_path,
                       strerror(errno));
    return 0;
}

int usock_listen(const char *path, int *fd, struct err *e)
{
    struct sockaddr_un sa;
    int rc = address(&sa, path, e), s;
    mode_t old;

    if (rc == 0)
        rc = clear_stale(&sa, e);
    if (rc < 0)
        return rc;
    s = new_socket(e);
    if (s < 0)
        return s;
    old = umask(0177);
    rc = bind(s, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(s, 16) < 0 ? errno : 0;
    umask(old);
    if (rc) {
        close(s);
        return err_set(e, rc, "cannot listen at %s: %s; use a folder of this machine's own disk",
                       path, strerror(rc));
    }
    *fd = s;
    return 0;
}

int usock_connect(const char *path, int *fd, struct err *e)
{
    struct sockaddr_un sa;
    int rc = address(&sa, path, e), s;

    if (rc < 0)
        return rc;
    s = new_socket(e);
    if (s < 0)
        return s;
    if (connect(s, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
        rc = errno;
        close(s);
        return err_set(e, rc, "cannot connect to %s: %s", path, strerror(rc));
    }
    *fd = s;
    return 0;
}

int usock_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    return fd < 0 ? -errno : fd;
}

static bool hello_port(const char *digits, uint32_t *port)
{
    uint64_t v = 0;
    const char *p = digits;

    for (; *p >= '0' && *p <= '9' && v <= UINT32_MAX; p++)
        v = v * 10 + (uint64_t)(*p - '0');
    *port = (uint32_t)v;
    return p != digits && *p == '\n' && v <= UINT32_MAX;
}

int usock_hello(int fd, struct usock_hello *h, uint32_t *port)
{
    static const char verb[] = "CONNECT ";

    while (h->n + 1 < sizeof(h->text)) {
        ssize_t n = recv(fd, h->text + h->n, 1, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (n <= 0)
            break;
        if (h->text[h->n++] != '\n')
            continue;
        h->text[h->n] = 0;
        if (strncmp(h->text, verb, sizeof(verb) - 1) != 0)
            break;
        return hello_port(h->text + sizeof(verb) - 1, port) ? 1 : -EPROTO;
    }
    return -EPROTO;
}

bool usock_welcome(int fd, uint32_t port)
{
    char line[24];
    int n = snprintf(line, sizeof(line), "OK %u\n", port);

    return send(fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) == n;
}

void usock_unlisten(int fd, const char *path)
{
    if (fd < 0)
        return;
    unlink(path);
    close(fd);
}
