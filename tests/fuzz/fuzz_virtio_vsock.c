/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio socket device between a hostile driver and a host program. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "unit.h"

#include "core/err.h"
#include "virtio.h"

enum { PEERS = 4, PORT = 1 };

static char path[64];
static int peer[PEERS], server;

static int unix_at(const char *p, bool listening)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), rc;

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", p);
    rc = listening ? bind(fd, (struct sockaddr *)&a, sizeof(a))
                   : connect(fd, (struct sockaddr *)&a, sizeof(a));
    if (rc < 0 || (listening && listen(fd, 8) < 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

static void create(struct fuzz_virtio *z, const struct virtio_options *o)
{
    char port[80];
    struct err e;

    snprintf(path, sizeof(path), "/tmp/fuzz-vsock-%d", (int)getpid());
    snprintf(port, sizeof(port), "%s_%d", path, PORT);
    unlink(port);
    server = unix_at(port, true);
    for (unsigned i = 0; i < PEERS; i++)
        peer[i] = -1;
    if (server < 0 || vsock_create(&z->f.env, o, 3, path, &e) < 0)
        abort();
}

static void event(struct fuzz_virtio *z)
{
    unsigned what = (unsigned)fuzz_take(z, 1);
    int *p = &peer[what / 8 % PEERS];
    static char bytes[65536];

    switch (what % 8) {
    case 0:
    case 1:
        if (*p >= 0)
            close(*p);
        *p = what % 8 ? unix_at(path, false) : accept(server, NULL, NULL);
        break;
    case 2:
        if (*p >= 0)
            (void)!send(*p, "CONNECT 1\n", 10, MSG_NOSIGNAL);
        break;
    case 3:
        if (*p >= 0)
            (void)!send(*p, bytes, fuzz_take(z, 2), MSG_NOSIGNAL);
        break;
    case 4:
        if (*p >= 0)
            (void)!recv(*p, bytes, sizeof(bytes), MSG_DONTWAIT);
        break;
    case 5:
        if (*p >= 0)
            shutdown(*p, SHUT_WR);
        break;
    default:
        if (*p >= 0)
            close(*p);
        *p = -1;
        break;
    }
}

static void before_end(struct fuzz_virtio *z)
{
    char port[80];

    for (unsigned i = 0; i < PEERS; i++) {
        if (peer[i] >= 0)
            close(peer[i]);
    }
    close(server);
    snprintf(port, sizeof(port), "%s_%d", path, PORT);
    unlink(port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fuzz_virtio_target t = {3, create, event, NULL, before_end};

    fuzz_virtio(&t, data, size);
    return 0;
}
