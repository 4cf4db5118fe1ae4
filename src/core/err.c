/* SPDX-License-Identifier: Apache-2.0 */
/* err.c - see err.h. */
#include "core/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#undef err_set /* defined in err.h for the analyser alone */
#undef err_exit
#undef err_wrap

static enum exit_code exit_of(int code)
{
    switch (code) {
    case ENOENT:
        return EX_MISSING;
    case EBUSY:
    case EAGAIN:
        return EX_IN_USE;
    case EINVAL:
        return EX_BAD_INPUT;
    default:
        return EX_HOST_IO;
    }
}

static void fill(struct err *e, enum exit_code exit, int code, const char *fmt, va_list ap)
{
    e->code = code;
    e->exit = exit;
    vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fill(e, exit_of(code), code, fmt, ap);
    va_end(ap);
    return -code;
}

int err_exit(struct err *e, enum exit_code exit, int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fill(e, exit, code, fmt, ap);
    va_end(ap);
    return -code;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
    char old[sizeof(e->msg)];
    size_t used;
    va_list ap;
    int n;

    memcpy(old, e->msg, sizeof(old));
    va_start(ap, fmt);
    n = vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
    va_end(ap);
    used = n < 0 ? 0 : (size_t)n;
    if (used < sizeof(e->msg))
        snprintf(e->msg + used, sizeof(e->msg) - used, ": %s", old);
    return -e->code;
}
