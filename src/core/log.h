/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - the machine's log: what --log names, one line each with a monotonic time stamp.
 *
 * Nothing here prints to the terminal. Before log_open() lines go nowhere. Any thread may log.
 */
#ifndef HOSPES_CORE_LOG_H
#define HOSPES_CORE_LOG_H

#include "core/core.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_TRACE };

/* Appends to path, created with mode 0600. */
MUST int log_open(const char *path, enum log_level most, struct err *e);
void log_close(void);

/* area is a subsystem's name: "virtio-blk", "vmbus". Cheap when the level is off. */
void log_line(enum log_level level, const char *area, const char *fmt, ...) PRINTF_LIKE(3, 4);
bool log_on(enum log_level level);

/* At most `burst` true answers per second for one caller; then false, and a count of what was held
 * back is logged with the next line let through. For messages that a guest can cause. */
struct log_limit {
    uint64_t window; /* ns, start of the current second */
    unsigned used, held;
};
bool log_allow(struct log_limit *l, const char *area, unsigned burst);

#endif
