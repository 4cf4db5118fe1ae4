/* SPDX-License-Identifier: Apache-2.0 */
/* scratch.h - a directory of its own for each test program, and disks in it. */
#ifndef HOSPES_TESTS_STORAGE_SCRATCH_H
#define HOSPES_TESTS_STORAGE_SCRATCH_H

#include "unit.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/err.h"
#include "core/loop.h"
#include "storage/disk.h"

static char scratch_dir[64];

static inline const char *scratch_path(const char *name)
{
    static char path[4][256];
    static unsigned n;
    char *p = path[n++ % 4];

    snprintf(p, sizeof(path[0]), "%s/%s", scratch_dir, name);
    return p;
}

static inline int scratch_setup(void **state)
{
    (void)state;
    snprintf(scratch_dir, sizeof(scratch_dir), "/tmp/hospes-unit-XXXXXX");
    return mkdtemp(scratch_dir) ? 0 : -1;
}

static inline int scratch_teardown(void **state)
{
    char cmd[96];

    (void)state;
    snprintf(cmd, sizeof(cmd), "rm -rf %s", scratch_dir);
    return system(cmd);
}

/* A command of the shell that must succeed. */
static inline void PRINTF_LIKE(1, 2) scratch_shell(const char *fmt, ...)
{
    char cmd[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(cmd, sizeof(cmd), fmt, ap);
    va_end(ap);
    if (system(cmd))
        fail_msg("%s", cmd);
}

static inline void scratch_fill(const char *path, size_t n, uint8_t byte)
{
    uint8_t *buf = malloc(n);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

    assert_non_null(buf);
    assert_true(fd >= 0);
    memset(buf, byte, n);
    assert_int_equal(write(fd, buf, n), (ssize_t)n);
    close(fd);
    free(buf);
}

/* One request through the loop. */
struct scratch_io {
    struct disk_req r;
    struct iovec iov;
    int res, times;
};

static inline void scratch_done(struct disk_req *r, int res)
{
    struct scratch_io *io = container_of(r, struct scratch_io, r);

    io->res = res;
    io->times++;
}

static inline void scratch_start(struct disk *d, struct scratch_io *io, enum disk_op op,
                                 uint64_t off, void *buf, size_t len)
{
    *io = (struct scratch_io){.r = {.op = op, .off = off, .len = len}, .res = 1};
    io->iov = (struct iovec){buf, len};
    io->r.iov = &io->iov;
    io->r.iovcnt = buf ? 1 : 0;
    io->r.done = scratch_done;
    disk_submit(d, &io->r);
    assert_int_equal(io->times, 0); /* never from inside submit */
}

static inline int scratch_wait(struct loop *l, struct scratch_io *io)
{
    /* A wake-up for what the round before has done already is a round with nothing in it. */
    for (int empty = 0; !io->times && empty < 10;) {
        int ran = loop_step(l, 1000000000);

        assert_true(ran >= 0);
        empty = ran ? 0 : empty + 1;
    }
    assert_int_equal(io->times, 1);
    return io->res;
}

static inline int scratch_run(struct disk *d, enum disk_op op, uint64_t off, void *buf, size_t len)
{
    struct scratch_io io;

    scratch_start(d, &io, op, off, buf, len);
    return scratch_wait(d->loop, &io);
}

#endif
