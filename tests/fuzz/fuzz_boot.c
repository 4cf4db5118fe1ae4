/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel images: bzImage, vmlinux, PVH and multiboot, each with an initrd. Whatever is loaded
 * lies in guest memory and the first instruction is said. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "board/boot/boot.h"
#include "core/err.h"
#include "core/gmem.h"

#define RAM (24 * MiB)

static struct gmem *fuzz_memory(void)
{
    static struct gmem *m;
    struct err e;

    if (!m && (gmem_create(&m, &e) < 0 || gmem_add_ram(m, 0, RAM, false, &e) < 0))
        abort();
    return m;
}

static int fuzz_file(const uint8_t *data, size_t size, char path[32])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, 32, "/proc/self/fd/%d", fd);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct board_range range[] = {{0, 0x9fc00, BOARD_RANGE_RAM},
                                        {0x100000, RAM - 0x100000, BOARD_RANGE_RAM}};
    struct boot_env env = {fuzz_memory(), range, ARRAY_SIZE(range), 0xf0000};
    char kernel[32], initrd[32];
    struct boot_cfg c = {.kernel = kernel, .initrd = initrd, .append = "x", .memory = RAM};
    int k = fuzz_file(data, size, kernel), i = fuzz_file((const uint8_t *)"initrd", 6, initrd);
    struct boot_start start;
    struct err e = {0};
    struct boot *b;

    if (boot_open(&c, &b, &e) == 0) {
        if (boot_load(b, &env, &start, &e) < 0)
            assert(e.code > 0 && e.msg[0]);
        assert(boot_describe(b)[0]);
        boot_close(b);
    } else {
        assert(e.code > 0 && e.msg[0]);
    }
    close(k);
    close(i);
    return 0;
}
