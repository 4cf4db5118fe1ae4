/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest.c - /init of the guests that are measured.
 *
 * What it does is chosen by two words of the kernel's command line, which the kernel hands to init
 * as environment: bench=boot (default), blk, net or rest, and end=reset where the machine knows no
 * power-off. Lines that begin with "@@ " are read by runner.c: "begin NAME" and "end NAME" bracket
 * a measured stretch, "val NAME TICKS" is a result in time stamp ticks for one operation.
 *
 * Linked statically, so that a boot measures the kernel and the machine and no dynamic loader.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    DISK_MIB = 128,
    MIB = 1 << 20,
    DEPTH_MAX = 32,
    SETTLE_MS = 20, /* lets the runner read its counters at a marker */
    PEER_PORT = 5201,
    NET_MIB = 16,
    PINGS = 500,
};

static inline uint64_t ticks(void)
{
    uint32_t lo, hi;

    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (uint64_t)hi << 32 | lo;
}

static void settle(unsigned ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

    nanosleep(&t, NULL);
}

/* One write, so that one line costs the same however long the buffer of stdio is. */
static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *fmt, ...)
{
    char line[160];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (write(1, line, (size_t)n) < 0)
        _exit(1);
}

static _Noreturn void finish(void)
{
    const char *end = getenv("end");

    reboot(end && !strcmp(end, "reset") ? RB_AUTOBOOT : RB_POWER_OFF);
    for (;;)
        pause();
}

static _Noreturn void fail(const char *what)
{
    say("@@ fail %s: %m\n", what);
    finish();
}

static void load_modules(void)
{
    FILE *list = fopen("/modules", "r");
    char path[512];

    if (!list)
        fail("/modules");
    while (fgets(path, sizeof(path), list)) {
        int fd;

        path[strcspn(path, "\n")] = 0;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
            fail(path);
        close(fd);
    }
    fclose(list);
    mount("dev", "/dev", "devtmpfs", 0, NULL);
}

/* ---- block: O_DIRECT through the kernel's own asynchronous I/O, so that depth means depth */

struct blk_run {
    const char *name;
    unsigned size, depth, ops;
    bool write;
};

static uint64_t blk_offset(unsigned i, unsigned size)
{
    /* A fixed walk over the whole disk; 40503 is odd and so reaches every block once. */
    return (uint64_t)(i * 40503u % ((unsigned)DISK_MIB * MIB / size)) * size;
}

/* Batches of `depth` requests, each batch submitted at once and waited for. */
static uint64_t blk_drive(int fd, aio_context_t aio, uint8_t *buf, const struct blk_run *b)
{
    static struct iocb cb[DEPTH_MAX];
    struct iocb *list[DEPTH_MAX];
    struct io_event done[DEPTH_MAX];
    uint64_t from = ticks();

    for (unsigned at = 0; at < b->ops; at += b->depth) {
        for (unsigned i = 0; i < b->depth; i++) {
            cb[i].aio_fildes = (uint32_t)fd;
            cb[i].aio_lio_opcode = b->write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
            cb[i].aio_buf = (uintptr_t)(buf + (size_t)i * b->size);
            cb[i].aio_nbytes = b->size;
            cb[i].aio_offset = (int64_t)blk_offset(at + i, b->size);
            list[i] = &cb[i];
        }
        if (syscall(SYS_io_submit, aio, (long)b->depth, list) != (long)b->depth)
            fail("io_submit");
        if (syscall(SYS_io_getevents, aio, (long)b->depth, (long)b->depth, done, NULL) !=
            (long)b->depth)
            fail("io_getevents");
        for (unsigned i = 0; i < b->depth; i++) {
            if (done[i].res != b->size)
                fail(b->name);
        }
    }
    return ticks() - from;
}

static void bench_blk(void)
{
    static const struct blk_run runs[] = {
        {"wr4k_qd1", 4096, 1, 2000, true},    {"rd4k_qd1", 4096, 1, 2000, false},
        {"wr4k_qd32", 4096, 32, 16384, true}, {"rd4k_qd32", 4096, 32, 16384, false},
        {"wr1m_qd1", MIB, 1, 64, true},       {"rd1m_qd1", MIB, 1, 64, false},
    };
    aio_context_t aio = 0;
    uint8_t *buf = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = -1;

    for (int i = 0; i < 200 && fd < 0; i++) {
        fd = open("/dev/vda", O_RDWR | O_DIRECT | O_CLOEXEC);
        if (fd < 0)
            fd = open("/dev/xvda", O_RDWR | O_DIRECT | O_CLOEXEC);
        if (fd < 0)
            fd = open("/dev/sda", O_RDWR | O_DIRECT | O_CLOEXEC);
        if (fd < 0)
            settle(SETTLE_MS);
    }
    if (fd < 0 || syscall(SYS_io_setup, DEPTH_MAX, &aio) || buf == MAP_FAILED)
        fail("/dev/vda");
    memset(buf, 0x5a, MIB);
    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        struct blk_run warm = runs[i];

        warm.ops = runs[i].ops / 2;
        blk_drive(fd, aio, buf, &warm);
        settle(SETTLE_MS);
        say("@@ begin %s %u\n", runs[i].name, runs[i].ops);
        settle(SETTLE_MS);
        uint64_t took = blk_drive(fd, aio, buf, &runs[i]);
        settle(SETTLE_MS);
        say("@@ end %s\n", runs[i].name);
        say("@@ val %s %llu\n", runs[i].name, (unsigned long long)(took / runs[i].ops));
        settle(SETTLE_MS);
    }
}

/* ---- net: TCP through the user back end to the peer that runner.c serves at 10.0.2.2 */

static void net_up(void)
{
    struct ifreq r = {.ifr_name = "eth0"};
    struct sockaddr_in a = {.sin_family = AF_INET};
    struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = inet_addr("10.0.2.15");
    memcpy(&r.ifr_addr, &a, sizeof(a));
    for (int i = 0; ioctl(fd, SIOCSIFADDR, &r); i++) {
        if (i == 200)
            fail("eth0");
        settle(SETTLE_MS);
    }
    a.sin_addr.s_addr = inet_addr("255.255.255.0");
    memcpy(&r.ifr_netmask, &a, sizeof(a));
    if (ioctl(fd, SIOCSIFNETMASK, &r))
        fail("eth0 netmask");
    r.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(fd, SIOCSIFFLAGS, &r))
        fail("eth0 up");
    a.sin_addr.s_addr = 0;
    memcpy(&route.rt_dst, &a, sizeof(a));
    memcpy(&route.rt_genmask, &a, sizeof(a));
    a.sin_addr.s_addr = inet_addr("10.0.2.2");
    memcpy(&route.rt_gateway, &a, sizeof(a));
    ioctl(fd, SIOCADDRT, &route);
    close(fd);
}

/* The first byte tells the peer what the connection is for. */
static int net_open(char what)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PEER_PORT)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    a.sin_addr.s_addr = inet_addr("10.0.2.2");
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)))
        fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (write(fd, &what, 1) != 1)
        fail("peer");
    return fd;
}

static void net_send(int fd, uint8_t *buf, size_t size)
{
    for (unsigned i = 0; i < NET_MIB * (MIB / size); i++) {
        for (size_t at = 0; at < size;) {
            ssize_t n = write(fd, buf + at, size - at);

            if (n <= 0)
                fail("send");
            at += (size_t)n;
        }
    }
    /* The peer answers once it has read everything. */
    shutdown(fd, SHUT_WR);
    if (read(fd, buf, 1) != 1)
        fail("peer's answer");
}

static void net_receive(int fd, uint8_t *buf, size_t size)
{
    for (size_t left = (size_t)NET_MIB * MIB; left;) {
        ssize_t n = read(fd, buf, size);

        if (n <= 0)
            fail("receive");
        left -= (size_t)n;
    }
}

static void net_ping(int fd, uint8_t *buf, size_t size)
{
    for (int i = 0; i < PINGS; i++) {
        if (write(fd, buf, 1) != 1 || read(fd, buf, size) != 1)
            fail("ping");
    }
}

static void bench_net(void)
{
    static const struct {
        const char *name;
        char what;
        unsigned ops;
        void (*run)(int fd, uint8_t *buf, size_t size);
    } runs[] = {
        {"tcp_send_mib", 'S', NET_MIB, net_send},
        {"tcp_receive_mib", 'R', NET_MIB, net_receive},
        {"tcp_ping", 'P', PINGS, net_ping},
    };
    static uint8_t buf[64 << 10];

    /* Xen's front ends come up after their drivers. */
    for (int i = 0; i < 50 && access("/sys/class/net/eth0", F_OK); i++)
        settle(SETTLE_MS);
    net_up();
    close(net_open('P'));
    settle(SETTLE_MS);
    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        int fd = net_open(runs[i].what);

        settle(SETTLE_MS);
        say("@@ begin %s %u\n", runs[i].name, runs[i].ops);
        settle(SETTLE_MS);
        uint64_t from = ticks();
        runs[i].run(fd, buf, sizeof(buf));
        uint64_t took = ticks() - from;
        settle(SETTLE_MS);
        say("@@ end %s\n", runs[i].name);
        say("@@ val %s %llu\n", runs[i].name, (unsigned long long)(took / runs[i].ops));
        close(fd);
        settle(SETTLE_MS);
    }
}

static void bench_rest(void)
{
    static uint8_t buf[MIB] __attribute__((aligned(4096)));
    int fd = open("/dev/vda", O_RDONLY | O_DIRECT | O_CLOEXEC);

    net_up();
    if (fd < 0 || read(fd, buf, sizeof(buf)) != sizeof(buf))
        fail("/dev/vda");
    close(net_open('P'));
    settle(1000);
    say("@@ rest\n");
    settle(1000);
}

int main(void)
{
    const char *what = getenv("bench");

    say("@@ up\n");
    if (!what || !strcmp(what, "boot"))
        finish();
    load_modules();
    settle(200);
    if (!strcmp(what, "blk"))
        bench_blk();
    else if (!strcmp(what, "net"))
        bench_net();
    else if (!strcmp(what, "rest"))
        bench_rest();
    say("@@ done\n");
    finish();
}
