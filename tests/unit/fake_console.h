/* SPDX-License-Identifier: Apache-2.0 */
/* fake_console.h - a console in memory: what a device wrote, and a way to type. One thread. */
#ifndef HOSPES_TESTS_FAKE_CONSOLE_H
#define HOSPES_TESTS_FAKE_CONSOLE_H

#include <string.h>

#include "console/console.h"

struct fake_console {
    struct console n; /* hand &fake.n to the device */
    char out[65536];  /* what was written, always ended by a zero */
    size_t used;
    char in[4096]; /* typed, not yet taken */
    size_t waiting;
    console_take_fn *take;
    void *arg;
};

static inline void fake_console_more(struct console *n)
{
    struct fake_console *f = container_of(n, struct fake_console, n);

    while (f->waiting && f->take) {
        size_t got = f->take(f->arg, (const uint8_t *)f->in, f->waiting);

        if (got == 0)
            return;
        f->waiting -= got;
        memmove(f->in, f->in + got, f->waiting);
    }
}

static inline void fake_console_write(struct console *n, const uint8_t *p, size_t len)
{
    struct fake_console *f = container_of(n, struct fake_console, n);

    len = (size_t)min_u64(len, sizeof(f->out) - 1 - f->used);
    memcpy(f->out + f->used, p, len);
    f->used += len;
    f->out[f->used] = '\0';
}

static inline void fake_console_listen(struct console *n, console_take_fn *take, void *arg)
{
    struct fake_console *f = container_of(n, struct fake_console, n);

    f->take = take;
    f->arg = arg;
    fake_console_more(n);
}

static inline void fake_console_type(struct fake_console *f, const char *text)
{
    size_t len = (size_t)min_u64(strlen(text), sizeof(f->in) - f->waiting);

    memcpy(f->in + f->waiting, text, len);
    f->waiting += len;
    fake_console_more(&f->n);
}

static inline void fake_console_close(struct console *n)
{
    (void)n;
}

static inline void fake_console_init(struct fake_console *f)
{
    static const struct console_ops ops = {
        .name = "fake",
        .close = fake_console_close,
        .write = fake_console_write,
        .listen = fake_console_listen,
        .more = fake_console_more,
    };

    memset(f, 0, sizeof(*f));
    f->n.ops = &ops;
}

#endif
