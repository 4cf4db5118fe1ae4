/* SPDX-License-Identifier: Apache-2.0 */
/*
 * old-init.c - init of a Linux of 2005, built with musl: loads the modules of /modules in the order
 * of their names, writes a pattern to the first IDE disk and reads it back, pings the user
 * network's gateway where there is a card, and resets the machine. After the reset it finds the
 * pattern again and powers off. What goes wrong is one line, and the end.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#define DISK "/dev/hda"
#define BLOCK (256u << 10)
#define BLOCKS 64u /* 16 MiB, behind a first block with the mark */
static const char mark[] = "old guest was here";

static _Alignas(4096) uint8_t block[BLOCK], want[BLOCK];

static _Noreturn void end(int how, const char *why)
{
    printf("old guest: %s\n", why);
    fflush(stdout);
    sleep(1);
    reboot(how);
    for (;;)
        pause();
}

static _Noreturn void fail(const char *what)
{
    char line[200];

    snprintf(line, sizeof(line), "FAILED, %s: %s", what, strerror(errno));
    end(RB_POWER_OFF, line);
}

static void load(const char *path)
{
    struct stat st;
    void *image;
    int fd = open(path, O_RDONLY);

    if (fd < 0 || fstat(fd, &st) != 0)
        fail(path);
    image = malloc((size_t)st.st_size);
    if (!image || read(fd, image, (size_t)st.st_size) != st.st_size)
        fail(path);
    close(fd);
    if (syscall(SYS_init_module, image, st.st_size, "") != 0)
        fail(path);
    free(image);
}

/* load_modules - how many there were. */
static int load_modules(void)
{
    struct dirent **names;
    char path[300];
    int n = scandir("/modules", &names, NULL, alphasort), loaded = 0;

    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/modules/%s", names[i]->d_name);
        load(path);
        loaded++;
    }
    return loaded;
}

static void fill(uint8_t *to, uint32_t n)
{
    uint32_t x = 2654435761u * (n + 1);

    for (size_t i = 0; i < BLOCK; i++) {
        x = x * 1664525u + 1013904223u;
        to[i] = (uint8_t)(x >> 24);
    }
}

/* open_disk - the disk past the page cache; it may take a while to be there. */
static int open_disk(void)
{
    int fd = -1;

    mknod(DISK, S_IFBLK | 0600, makedev(3, 0));
    for (int i = 0; i < 100 && fd < 0; i++) {
        fd = open(DISK, O_RDWR | O_DIRECT);
        if (fd < 0)
            usleep(100000);
    }
    if (fd < 0)
        fail(DISK);
    return fd;
}

static void verify(int fd)
{
    for (uint32_t n = 0; n < BLOCKS; n++) {
        if (pread(fd, block, BLOCK, (off_t)(n + 1) * BLOCK) != BLOCK)
            fail("a read");
        fill(want, n);
        errno = EILSEQ;
        if (memcmp(block, want, BLOCK) != 0)
            fail("what was read");
    }
}

static void write_all(int fd)
{
    for (uint32_t n = 0; n < BLOCKS; n++) {
        fill(block, n);
        if (pwrite(fd, block, BLOCK, (off_t)(n + 1) * BLOCK) != BLOCK)
            fail("a write");
    }
    verify(fd);
    memset(block, 0, BLOCK);
    memcpy(block, mark, sizeof(mark));
    if (pwrite(fd, block, BLOCK, 0) != BLOCK || fsync(fd) != 0)
        fail("the mark");
}

static struct sockaddr_in inet_address(const char *text)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(text)};

    return a;
}

/* card_up - false where there is no card. */
static int card_up(int fd)
{
    struct ifreq r = {.ifr_name = "eth0"};
    struct sockaddr_in address = inet_address("10.0.2.15"), netmask = inet_address("255.255.255.0");

    if (ioctl(fd, SIOCGIFFLAGS, &r) != 0)
        return 0;
    memcpy(&r.ifr_addr, &address, sizeof(address));
    if (ioctl(fd, SIOCSIFADDR, &r) != 0)
        fail("the card's address");
    memcpy(&r.ifr_addr, &netmask, sizeof(netmask));
    if (ioctl(fd, SIOCSIFNETMASK, &r) != 0)
        fail("the card's mask");
    r.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(fd, SIOCSIFFLAGS, &r) != 0)
        fail("the card");
    return 1;
}

static uint16_t checksum(const uint8_t *p, size_t n)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < n; i += 2)
        sum += (uint32_t)p[i] << 8 | p[i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

/* answered - does the gateway answer to echo request N within two seconds? The answer comes behind
 * its IP header. */
static int answered(int fd, uint8_t n)
{
    struct sockaddr_in gateway = inet_address("10.0.2.2");
    struct timeval patience = {.tv_sec = 2};
    uint8_t echo[64] = {8, 0, 0, 0, 0x4f, 0x47, 0, n}, got[200];
    uint16_t sum = checksum(echo, sizeof(echo));

    memcpy(echo + 2, &sum, 2);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (sendto(fd, echo, sizeof(echo), 0, (struct sockaddr *)&gateway, sizeof(gateway)) < 0)
        return 0;
    for (int i = 0; i < 10; i++) {
        ssize_t len = recv(fd, got, sizeof(got), 0);

        if (len < 0)
            return 0;
        if (len == 20 + (ssize_t)sizeof(echo) && got[20] == 0 &&
            !memcmp(got + 24, echo + 4, sizeof(echo) - 4))
            return 1;
    }
    return 0;
}

static void ping(void)
{
    int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), good = 0;

    if (fd < 0)
        fail("a socket");
    if (!card_up(fd)) {
        close(fd);
        return;
    }
    for (uint8_t n = 1; n <= 20 && good < 3; n++)
        good += answered(fd, n);
    errno = ETIMEDOUT;
    if (good < 3)
        fail("ping");
    printf("old guest: the gateway answers\n");
    close(fd);
}

int main(void)
{
    struct utsname u;
    int fd;

    uname(&u);
    printf("old guest: %s %s\n", u.release, u.machine);
    if (!load_modules())
        end(RB_POWER_OFF, "no modules");
    ping();
    fd = open_disk();
    if (pread(fd, block, BLOCK, 0) != BLOCK)
        fail("the first block");
    if (!memcmp(block, mark, sizeof(mark))) {
        verify(fd);
        end(RB_POWER_OFF, "the disk is as it was before the reset");
    }
    write_all(fd);
    end(RB_AUTOBOOT, "the disk is written and read, resetting");
}
