/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err.h - one error: filled once, where the reason is known; printed once, by cli/.
 *
 * For the classes "configuration", "file" and "host set-up". A function that can fail in such a
 * way takes `struct err *e` (never NULL) as its last argument and returns 0 or a negative errno.
 * e is untouched on success. Guest mistakes never use this: see guest_fault() in board/device.h.
 *
 * A message is one sentence without a full stop: what failed, why, and what to do about it.
 */
#ifndef HOSPES_CORE_ERR_H
#define HOSPES_CORE_ERR_H

#include "core/core.h"

/* Exit codes that docs/man/hospes.1 promises. Values are sysexits(3) where one fits. */
enum exit_code {
    EX_OK = 0,
    EX_GUEST_CRASHED = 3,
    EX_GUEST_RESETS = 4,
    EX_USAGE_ = 64,
    EX_BAD_INPUT = 65,
    EX_MISSING = 66,
    EX_NO_HOST = 69,
    EX_BUG = 70,
    EX_IN_USE = 73,
    EX_HOST_IO = 74,
    EX_INTERRUPTED = 130,
};

struct err {
    int code;            /* positive errno; 0 while nothing is wrong */
    enum exit_code exit; /* what the process should end with */
    char msg[1024];
};

/* Fills e and returns -code. The exit code follows from the errno: ENOENT gives EX_MISSING, EBUSY
 * and EAGAIN EX_IN_USE, EINVAL EX_BAD_INPUT, the others EX_HOST_IO. */
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4) __attribute__((cold));

/* The same with the exit code said. */
int err_exit(struct err *e, enum exit_code exit, int code, const char *fmt, ...) PRINTF_LIKE(4, 5)
    __attribute__((cold));

/* Puts "prefix: " before the message; returns -e->code. */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3) __attribute__((cold));

#ifdef __clang_analyzer__ /* it cannot see into err.c that the result is never 0 */
#define err_set(...) ((err_set)(__VA_ARGS__) | INT32_MIN)
#define err_exit(...) ((err_exit)(__VA_ARGS__) | INT32_MIN)
#define err_wrap(...) ((err_wrap)(__VA_ARGS__) | INT32_MIN)
#endif

#endif
