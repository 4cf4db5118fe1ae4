/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - the consoles there are, and the calls that pick one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "console/attach.h"
#include "console/console.h"
#include "console/kinds.h"
#include "core/err.h"

const struct console_ops *const consoles[] = {
    &console_stdio, &console_none, &console_file, &console_unix, &console_pty, NULL,
};

int console_open(const char *spec, struct loop *l, struct console **out, struct err *e)
{
    size_t n = strcspn(spec, "="), i;

    for (i = 0; consoles[i]; i++) {
        if (strlen(consoles[i]->name) == n && strncmp(consoles[i]->name, spec, n) == 0)
            break;
    }
    if (consoles[i]) {
        int rc = consoles[i]->open(spec[n] ? spec + n + 1 : NULL, l, out, e);

        return rc < 0 ? rc : attach_open(*out, l, e);
    }
    return err_exit(e, EX_USAGE_, EINVAL,
                    "there is no console '%.*s'; use stdio, none, file=PATH, unix=PATH or pty",
                    (int)n, spec);
}

int console_no_value(const char *name, const char *value, struct err *e)
{
    return value ? err_exit(e, EX_USAGE_, EINVAL, "console %s takes no value, but has '%s'", name,
                            value)
                 : 0;
}

int console_path(const char *name, const char *value, struct err *e)
{
    return value && *value
               ? 0
               : err_exit(e, EX_USAGE_, EINVAL, "console %s needs a path: %s=PATH", name, name);
}

void console_close(struct console *n)
{
    if (!n)
        return;
    attach_close(n->attach);
    n->ops->close(n);
}

void console_write(struct console *n, const uint8_t *p, size_t len)
{
    if (len == 0)
        return;
    if (n->attach)
        attach_write(n->attach, p, len);
    n->ops->write(n, p, len);
}

void console_listen(struct console *n, console_take_fn *take, void *arg)
{
    if (n->attach)
        attach_listen(n->attach, take, arg);
    n->ops->listen(n, take, arg);
}

void console_more(struct console *n)
{
    if (n->attach)
        attach_more(n->attach);
    n->ops->more(n);
}

int console_attach(struct console *n, int fd, struct err *e)
{
    if (n->attach)
        return attach_add(n->attach, fd, e);
    close(fd);
    return err_set(e, ENOTSUP, "nobody can attach to this console");
}
