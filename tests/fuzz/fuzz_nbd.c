/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an NBD client may send. The first byte chooses: negotiation from its start, or a
 * transmission after a good one, with simple or with structured replies.
 */
#include "fuzz.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/nbd.h"
#include "core/err.h"
#include "fakes/fake_mem_disk.h"
#include "storage/serve/nbd.h"

enum { BYTES = 1 << 20 };

static const uint8_t flags[] = {0, 0, 0, 3};
static const uint8_t structured[] = "IHAVEOPT\0\0\0\10\0\0\0\0";
static const uint8_t context[] =
    "IHAVEOPT\0\0\0\12\0\0\0\33\0\0\0\0\0\0\0\1\0\0\0\17base:allocation";
static const uint8_t export[] = "IHAVEOPT\0\0\0\1\0\0\0\0";

/* Takes what the server says until it closes. */
static void *listen_on(void *arg)
{
    uint8_t buf[4096];

    while (read(*(int *)arg, buf, sizeof(buf)) > 0)
        ;
    return NULL;
}

static void *talk(void *arg)
{
    void **v = arg;

    nbd_serve_fd(v[0], *(int *)v[1]);
    return NULL;
}

static void say(int fd, const uint8_t *p, size_t n)
{
    while (n) {
        ssize_t did = send(fd, p, n, MSG_NOSIGNAL);

        if (did <= 0)
            return;
        p += did;
        n -= (size_t)did;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nbd_cfg c = {.name = "disk"};
    struct mem_disk *m;
    pthread_t server, ear;
    struct nbd *n;
    struct err e;
    void *arg[2];
    int fds[2];

    if (size < 1 || size > 64 * 1024)
        return 0;
    m = mem_disk_create(NULL, BYTES);
    m->slow = data[0] & 4;
    m->disk.shape.readonly = data[0] & 8;
    c.disk = &m->disk;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0 || nbd_create_deaf(&c, &n, &e) < 0)
        abort();
    arg[0] = n;
    arg[1] = &fds[1];
    if (pthread_create(&server, NULL, talk, arg) || pthread_create(&ear, NULL, listen_on, fds))
        abort();
    if (data[0] & 1) {
        say(fds[0], flags, sizeof(flags));
        if (data[0] & 2) {
            say(fds[0], structured, sizeof(structured) - 1);
            say(fds[0], context, sizeof(context) - 1);
        }
        say(fds[0], export, sizeof(export) - 1);
    }
    say(fds[0], data + 1, size - 1);
    shutdown(fds[0], SHUT_WR);
    pthread_join(server, NULL);
    pthread_join(ear, NULL);
    close(fds[0]);
    nbd_destroy(n);
    disk_close(&m->disk);
    return 0;
}
