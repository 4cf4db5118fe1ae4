/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - see log.h. One process logs to one file. */
#define _GNU_SOURCE
#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"

static int log_fd = -1;
static enum log_level log_most = LOG_WARN;

int log_open(const char *path, enum log_level most, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);

    if (fd < 0)
        return err_set(e, errno, "cannot write the log %s: %s", path, strerror(errno));
    log_close();
    log_most = most;
    __atomic_store_n(&log_fd, fd, __ATOMIC_RELEASE);
    return 0;
}

void log_close(void)
{
    int fd = __atomic_exchange_n(&log_fd, -1, __ATOMIC_ACQ_REL);

    if (fd >= 0)
        close(fd);
}

bool log_on(enum log_level level)
{
    return level <= log_most && __atomic_load_n(&log_fd, __ATOMIC_ACQUIRE) >= 0;
}

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

void log_line(enum log_level level, const char *area, const char *fmt, ...)
{
    static const char mark[] = "EWIT";
    char line[1024];
    uint64_t us = now_ns() / 1000;
    va_list ap;
    ssize_t put;
    int n, m;

    if (!log_on(level))
        return;
    n = snprintf(line, sizeof(line), "%llu.%06llu %c %s: ", (unsigned long long)(us / 1000000),
                 (unsigned long long)(us % 1000000), mark[level], area);
    if (n < 0 || (size_t)n >= sizeof(line))
        return;
    va_start(ap, fmt);
    m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
    va_end(ap);
    if (m < 0)
        return;
    n = (int)min_u64((uint64_t)n + (uint64_t)m, sizeof(line) - 2);
    line[n++] = '\n';
    put = write(__atomic_load_n(&log_fd, __ATOMIC_ACQUIRE), line, (size_t)n);
    (void)put; /* a full disk must not stop the guest */
}

bool log_allow(struct log_limit *l, const char *area, unsigned burst)
{
    uint64_t now = now_ns();

    if (now - l->window >= UINT64_C(1000000000)) {
        if (l->held)
            log_line(LOG_WARN, area, "%u more messages like the last were held back", l->held);
        *l = (struct log_limit){.window = now};
    }
    if (l->used < burst) {
        l->used++;
        return true;
    }
    l->held++;
    return false;
}
