/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack.c - how fast the compressors of the image formats are on their own.
 *
 *   pack deflate|zlib|zstd|undeflate|unzlib|unzstd FILE [LEVEL]
 *
 * Prints bytes of clusters per CPU second, and compressed bytes per byte, over 64 KiB clusters of
 * FILE that are not zero, one of eleven.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "storage/image.h"
#include "storage/pack.h"

enum { CLUSTER = 65536, EACH = 11, MOST = 4096 };

static const struct tool {
    const char *name;
    size_t (*pack)(const uint8_t *in, size_t n, uint8_t *out, size_t room, unsigned level);
    int (*unpack)(const uint8_t *in, size_t n, uint8_t *out, size_t len);
} tools[] = {
    {"deflate", pack_deflate, unpack_deflate},
    {"zlib", pack_zlib, unpack_zlib},
    {"zstd", pack_zstd, unpack_zstd},
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static size_t sample(const char *path, uint8_t *to)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t n = 0, seen = 0;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return 0;
    for (off_t at = 0; at + CLUSTER <= st.st_size && n < MOST; at += CLUSTER) {
        uint8_t *p = to + n * CLUSTER;

        if (pread(fd, p, CLUSTER, at) == CLUSTER && !all_zero(p, CLUSTER) && seen++ % EACH == 0)
            n++;
    }
    close(fd);
    return n;
}

int main(int argc, char **argv)
{
    static uint8_t in[(size_t)MOST * CLUSTER], out[(size_t)MOST * CLUSTER], back[CLUSTER];
    static size_t sizes[MOST];
    size_t total = 0, n;
    const struct tool *t = NULL;
    double start, took;
    unsigned level;
    bool un;

    if (argc != 3 && argc != 4)
        return 64;
    level = argc == 4 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    un = !strncmp(argv[1], "un", 2);
    for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
        if (!strcmp(tools[i].name, argv[1] + (un ? 2 : 0)))
            t = &tools[i];
    }
    n = t ? sample(argv[2], in) : 0;
    if (n == 0)
        return 66;
    start = now();
    for (size_t i = 0; i < n; i++) {
        sizes[i] = t->pack(in + i * CLUSTER, CLUSTER, out + i * CLUSTER, CLUSTER, level);
        total += sizes[i] ? sizes[i] : CLUSTER;
    }
    took = now() - start;
    start = now();
    for (size_t i = 0; i < n && un; i++) {
        if (sizes[i] && (t->unpack(out + i * CLUSTER, sizes[i], back, CLUSTER) < 0 ||
                         memcmp(back, in + i * CLUSTER, CLUSTER) != 0))
            return 70;
    }
    took = un ? now() - start : took;
    printf("%.0f %.4f\n", (double)(n * CLUSTER) / took, (double)total / (double)(n * CLUSTER));
    return 0;
}
