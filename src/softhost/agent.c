/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.c - inside a software host: a process for each port, which greets clients and runs what
 * they ask for; and the idle clock.
 *
 * Linux's virtio console sends SIGIO when the other side of a port opens or closes, so waiting for
 * a client costs nothing.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/hpet.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"
#include "core/usock.h"
#include "softhost/session.h"
#include "softhost/softhost.h"
#include "softhost/wire.h"

enum { AGENT_PULSE_HZ = 64 }; /* the most that Linux gives without being asked */

/* Shared by the port processes and the one that watches the time. */
struct agent_shared {
    _Atomic int busy;
    _Atomic long last; /* when a session began or ended, seconds */
};

static long agent_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* --- a port --- */

static bool agent_client_there(int fd)
{
    struct pollfd p = {fd, POLLIN, 0};

    return poll(&p, 1, 0) >= 0 && !(p.revents & POLLHUP);
}

static void agent_wait_for_client(int fd)
{
    sigset_t io;

    sigemptyset(&io);
    sigaddset(&io, SIGIO);
    while (!agent_client_there(fd))
        sigtimedwait(&io, NULL, &(struct timespec){2, 0});
}

static int agent_byte(int fd, unsigned char *out)
{
    for (;;) {
        struct pollfd p = {fd, POLLIN, 0};
        ssize_t n;

        if (poll(&p, 1, -1) < 0 && errno != EINTR)
            return -errno;
        if (p.revents & POLLHUP)
            return -EPIPE;
        n = read(fd, out, 1);
        if (n == 1)
            return 0;
        if (n == 0 || errno != EAGAIN)
            return -EPIPE;
    }
}

/* Finds the greeting in whatever comes and echoes it with its nonce. */
static int agent_greet(int fd)
{
    unsigned char hello[WIRE_HELLO_LEN] = {0};
    int rc = 0;

    while (rc == 0 && memcmp(hello, WIRE_MAGIC, WIRE_MAGIC_LEN) != 0) {
        memmove(hello, hello + 1, WIRE_MAGIC_LEN - 1);
        rc = agent_byte(fd, hello + WIRE_MAGIC_LEN - 1);
    }
    for (size_t i = WIRE_MAGIC_LEN; rc == 0 && i < WIRE_HELLO_LEN; i++)
        rc = agent_byte(fd, hello + i);
    return rc < 0 ? rc : wire_send_all(fd, hello, sizeof(hello));
}

static void agent_port(const char *path, struct agent_shared *shared)
{
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return;
    fcntl(fd, F_SETOWN, getpid());
    fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC);
    for (;;) {
        agent_wait_for_client(fd);
        shared->busy++;
        shared->last = agent_now();
        if (agent_greet(fd) == 0)
            session_run(fd);
        /* The client closes first, so that the next greeting is not the end of this one. */
        for (int i = 0; i < 100 && agent_client_there(fd); i++)
            nanosleep(&(struct timespec){0, 10000000}, NULL);
        shared->last = agent_now();
        shared->busy--;
    }
}

/* --- all of them --- */

static int agent_ports(struct agent_shared *shared)
{
    DIR *list = opendir("/sys/class/virtio-ports");
    struct dirent *d;
    int found = 0;

    while (list && (d = readdir(list))) {
        char path[300], name[32] = "";
        FILE *f;

        snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", d->d_name);
        f = d->d_name[0] == '.' ? NULL : fopen(path, "re");
        if (!f)
            continue;
        if (!fgets(name, sizeof(name), f))
            name[0] = '\0';
        fclose(f);
        if (strncmp(name, "hospes.", 7) != 0)
            continue;
        found++;
        snprintf(path, sizeof(path), "/dev/%s", d->d_name);
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            agent_port(path, shared);
            _exit(1);
        }
    }
    if (list)
        closedir(list);
    return found;
}

int softhost_pulse(struct err *e)
{
    int fd = open("/dev/hpet", O_RDONLY | O_CLOEXEC);

    if (fd >= 0 && ioctl(fd, HPET_IRQFREQ, (unsigned long)AGENT_PULSE_HZ) == 0 &&
        ioctl(fd, HPET_IE_ON, 0) == 0)
        return fd;
    err_set(e, errno, "the software host has no pulse by its HPET, and guests may stand still: %s",
            strerror(errno));
    if (fd >= 0)
        close(fd);
    return -e->code;
}

int softhost_agent(unsigned idle, struct err *e)
{
    struct agent_shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sigset_t set;

    if (shared == MAP_FAILED)
        return err_set(e, errno, "no memory for the agent");
    shared->last = agent_now();
    sigemptyset(&set);
    sigaddset(&set, SIGIO);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGPIPE);
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (agent_ports(shared) == 0)
        return err_exit(e, EX_NO_HOST, ENODEV,
                        "soft-agent found no port: it is for the inside of a software host");
    while (shared->busy || agent_now() - shared->last < (long)idle)
        nanosleep(&(struct timespec){1, 0}, NULL);
    return 0;
}

/* --- soft-agent connect --- */

/* Passes on what is there. false at the end. */
static bool agent_pass(int from, int to)
{
    char buf[WIRE_CHUNK];
    ssize_t n = read(from, buf, sizeof(buf));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    return n > 0 && wire_send_all(to, buf, (size_t)n) == 0;
}

int softhost_connect(const char *path, struct err *e)
{
    bool open = true;
    int fd, rc = usock_connect(path, &fd, e);

    if (rc < 0)
        return err_set(e, -rc, "nobody serves %s", path);
    while (open) {
        struct pollfd p[] = {{STDIN_FILENO, POLLIN, 0}, {fd, POLLIN, 0}};

        if (poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR)
            break;
        if (p[0].revents)
            open = agent_pass(STDIN_FILENO, fd);
        if (open && p[1].revents)
            open = agent_pass(fd, STDOUT_FILENO);
    }
    close(fd);
    return 0;
}
