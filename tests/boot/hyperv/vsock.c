/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsock.c - guest sockets, in the guest. `vsock echo PORT` takes one connection and sends back what
 * comes until the other side ends; `vsock send PORT BYTES` connects to the host and sends a
 * pattern.
 */
#include <err.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int stream(struct sockaddr_vm *a, const char *port, unsigned cid)
{
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

    *a = (struct sockaddr_vm){
        .svm_family = AF_VSOCK, .svm_port = (unsigned)strtoul(port, NULL, 10), .svm_cid = cid};
    if (fd < 0)
        err(1, "socket");
    return fd;
}

static void put(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t k = write(fd, p, n);

        if (k <= 0)
            err(1, "write");
        p += k;
        n -= (size_t)k;
    }
}

static void echo(const char *port)
{
    struct sockaddr_vm a;
    int fd = stream(&a, port, VMADDR_CID_ANY), peer;
    static char buf[16384];
    ssize_t n;

    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 1))
        err(1, "listen");
    puts("the guest listens");
    fflush(stdout);
    peer = accept(fd, NULL, NULL);
    if (peer < 0)
        err(1, "accept");
    while ((n = read(peer, buf, sizeof(buf))) > 0)
        put(peer, buf, (size_t)n);
    close(peer);
}

static void send_pattern(const char *port, size_t n)
{
    struct sockaddr_vm a;
    int fd = stream(&a, port, VMADDR_CID_HOST);
    char buf[4096];

    if (connect(fd, (struct sockaddr *)&a, sizeof(a)))
        err(1, "connect");
    for (size_t i = 0; i < sizeof(buf); i++)
        buf[i] = (char)(i * 7);
    for (; n; n -= n < sizeof(buf) ? n : sizeof(buf))
        put(fd, buf, n < sizeof(buf) ? n : sizeof(buf));
    shutdown(fd, SHUT_WR);
    if (read(fd, buf, 1) != 1)
        err(1, "the host's answer");
    close(fd);
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "echo"))
        echo(argv[2]);
    else if (argc == 4 && !strcmp(argv[1], "send"))
        send_pattern(argv[2], strtoul(argv[3], NULL, 10));
    else
        errx(64, "usage: vsock echo PORT | vsock send PORT BYTES");
    return 0;
}
