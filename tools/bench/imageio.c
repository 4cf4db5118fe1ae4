/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imageio.c - what a random request of 4 KiB costs through each image format, once everything is
 * allocated, beside the same through a raw file.
 *
 *   imageio [DIR] [MiB] [REQUESTS]    default: /dev/shm 512 200000
 *
 * Prints CPU time (user and system) per request, the best of five rounds of all formats in turn,
 * and the ratio to raw. The host file lies in DIR; in memory the format's share is largest.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/cfg.h"
#include "core/err.h"
#include "storage/image.h"

enum { ROUNDS = 5, BLOCK = 4096 };

static struct row {
    const char *format, *options;
    struct disk *d;
    double best[2]; /* ns; read, write */
    unsigned slow;  /* requests that a worker would have done */
} rows[] = {
    {"raw", ""},   {"vhd", "subformat=fixed"},  {"vhd", ""},
    {"vhdx", ""},  {"vhdx", "block_size=1M"},   {"vdi", ""},
    {"qcow2", ""}, {"qcow2", "extended_l2=on"},
};

static void die(const char *what)
{
    fprintf(stderr, "imageio: %s\n", what);
    exit(1);
}

static void make(struct row *w, const char *dir, uint64_t bytes)
{
    static uint8_t buf[1 << 20];
    char path[256];
    struct image_make k = {.path = path, .bytes = bytes};
    struct disk_cfg c = {.path = path, .format = w->format};
    struct err e;

    snprintf(path, sizeof(path), "%s/imageio-%d.img", dir, (int)getpid());
    memset(buf, 0x5a, sizeof(buf));
    if (cfg_create(&k.opts, &e) < 0 || cfg_parse(k.opts, w->options, NULL, &e) < 0 ||
        image_create(format_by_name(w->format), &k, true, &e) < 0 ||
        disk_open(&c, NULL, &w->d, &e) < 0)
        die(e.msg);
    cfg_destroy(k.opts);
    unlink(path);
    for (uint64_t off = 0; off < bytes; off += sizeof(buf)) {
        if (disk_write(w->d, off, buf, sizeof(buf)) < 0)
            die("cannot write");
    }
    if (disk_flush(w->d) < 0)
        die("cannot flush");
}

static double cpu_ns(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e9 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e3;
}

static void round_of(struct row *w, enum disk_op op, unsigned requests)
{
    static uint8_t buf[BLOCK] __attribute__((aligned(4096)));
    struct iovec iov = {buf, BLOCK};
    uint64_t blocks = w->d->shape.bytes / BLOCK, x = 88172645463325252;
    double from = cpu_ns(), each;

    for (unsigned i = 0; i < requests; i++) {
        struct disk_req r = {.op = op, .len = BLOCK, .iov = &iov, .iovcnt = 1};

        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        r.off = x % blocks * BLOCK;
        if (disk_try(w->d, &r) == 0)
            continue;
        w->slow++;
        if (disk_now(w->d, &r) < 0)
            die("a request failed");
    }
    each = (cpu_ns() - from) / requests;
    if (w->best[op == DISK_WRITE] == 0 || each < w->best[op == DISK_WRITE])
        w->best[op == DISK_WRITE] = each;
}

int main(int argc, char **argv)
{
    const char *dir = argc > 1 ? argv[1] : "/dev/shm";
    uint64_t bytes = (argc > 2 ? strtoull(argv[2], NULL, 10) : 512) * MiB;
    unsigned requests = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 200000;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        make(&rows[i], dir, bytes);
    for (unsigned n = 0; n < ROUNDS; n++) {
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
            round_of(&rows[i], DISK_READ, requests);
            round_of(&rows[i], DISK_WRITE, requests);
        }
    }
    printf("%-8s %-20s %10s %6s %10s %6s %8s\n", "format", "options", "read ns", "ratio",
           "write ns", "ratio", "slow");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct row *w = &rows[i];

        printf("%-8s %-20s %10.0f %6.2f %10.0f %6.2f %8u\n", w->format, w->options, w->best[0],
               w->best[0] / rows[0].best[0], w->best[1], w->best[1] / rows[0].best[1], w->slow);
        disk_close(w->d);
    }
    return 0;
}
