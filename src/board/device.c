/* SPDX-License-Identifier: Apache-2.0 */
/* device.c - see device.h. */
#include "board/device.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void device_init(struct device *d, const struct device_ops *ops, const struct env *env)
{
    d->ops = ops;
    d->env = *env;
    pthread_mutex_init(&d->lock, NULL);
}

void guest_fault(struct device *d, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    __atomic_add_fetch(&d->fault_count, 1, __ATOMIC_RELAXED);
    if (!log_on(LOG_WARN) || !log_allow(&d->faults, d->ops->name, 10))
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_line(LOG_WARN, d->ops->name, "%s: guest fault: %s", d->env.id ? d->env.id : "-", text);
}

void dump_add(struct dump *out, const char *key, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    out->add(out, key, text);
}
