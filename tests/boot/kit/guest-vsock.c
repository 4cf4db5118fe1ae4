/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-vsock.c - guest sockets, in the guest. What it sends, and wants to get, is a pattern.
 *
 *   vsock echo PORT [N]     takes N connections and sends back on each what comes until it ends
 *   vsock send PORT BYTES   connects to the host, sends, ends its direction, waits for an answer
 *   vsock drop PORT BYTES   connects to the host, sends and closes
 *   vsock get PORT BYTES    connects to the host and reads until that ends
 *   vsock refused PORT      connects to where nobody listens
 *   vsock hold PORT         connects to the host, waits for a byte, and keeps the connection
 */
#include <err.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
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

static int host(const char *port)
{
    struct sockaddr_vm a;
    int fd = stream(&a, port, VMADDR_CID_HOST);

    if (connect(fd, (struct sockaddr *)&a, sizeof(a)))
        err(1, "connect");
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

static int serve(int peer)
{
    static char buf[16384];
    ssize_t n;

    while ((n = read(peer, buf, sizeof(buf))) > 0)
        put(peer, buf, (size_t)n);
    close(peer);
    return n < 0;
}

static void echo(const char *port, int times)
{
    struct sockaddr_vm a;
    int fd = stream(&a, port, VMADDR_CID_ANY), status, bad = 0;

    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 8))
        err(1, "listen");
    puts("the guest listens");
    fflush(stdout);
    for (int i = 0; i < times; i++) {
        int peer = accept(fd, NULL, NULL);

        if (peer < 0)
            err(1, "accept");
        if (fork() == 0)
            _exit(serve(peer));
        close(peer);
    }
    while (wait(&status) > 0)
        bad |= status;
    if (bad)
        errx(1, "a connection broke");
}

static void put_pattern(int fd, size_t n)
{
    char buf[4096];

    for (size_t i = 0; i < sizeof(buf); i++)
        buf[i] = (char)(i * 7);
    for (; n; n -= n < sizeof(buf) ? n : sizeof(buf))
        put(fd, buf, n < sizeof(buf) ? n : sizeof(buf));
}

static void send_pattern(const char *port, size_t n)
{
    int fd = host(port);
    char answer;

    put_pattern(fd, n);
    shutdown(fd, SHUT_WR);
    if (read(fd, &answer, 1) != 1)
        err(1, "the host's answer");
    close(fd);
}

static void get_pattern(const char *port, size_t n)
{
    int fd = host(port);
    size_t at = 0;
    char buf[5000];
    ssize_t k;

    while ((k = read(fd, buf, sizeof(buf))) > 0) {
        for (ssize_t i = 0; i < k; i++, at++) {
            if (buf[i] != (char)(at % 4096 * 7))
                errx(1, "byte %zu is wrong", at);
        }
    }
    if (k < 0)
        err(1, "read after %zu bytes", at);
    if (at != n)
        errx(1, "%zu bytes came", at);
}

static void refused(const char *port)
{
    struct sockaddr_vm a;
    int fd = stream(&a, port, VMADDR_CID_HOST);

    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
        errx(1, "a port without a listener took the connection");
    warn("connect");
}

static void hold(const char *port)
{
    int fd = host(port);
    char c;

    if (read(fd, &c, 1) != 1)
        err(1, "the host's byte");
    puts("the guest holds on");
    fflush(stdout);
    pause();
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    size_t n = argc == 4 ? strtoul(argv[3], NULL, 10) : 1;

    if (!strcmp(what, "echo"))
        echo(argv[2], (int)n);
    else if (!strcmp(what, "send"))
        send_pattern(argv[2], n);
    else if (!strcmp(what, "drop"))
        put_pattern(host(argv[2]), n);
    else if (!strcmp(what, "get"))
        get_pattern(argv[2], n);
    else if (!strcmp(what, "refused"))
        refused(argv[2]);
    else if (!strcmp(what, "hold"))
        hold(argv[2]);
    else
        errx(64, "usage: vsock echo PORT [N] | send|drop|get PORT BYTES | refused|hold PORT");
    return 0;
}
