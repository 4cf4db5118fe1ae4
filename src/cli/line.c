/* SPDX-License-Identifier: Apache-2.0 */
/* line.c - see line.h. */
#define _GNU_SOURCE
#include "cli/line.h"

#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/fold.h"

enum { LINE_NARROW = 40 }; /* below, folding helps nobody */

unsigned line_width(int fd)
{
    struct winsize w;

    if (!isatty(fd) || ioctl(fd, TIOCGWINSZ, &w) < 0 || w.ws_col < LINE_NARROW)
        return 0;
    return w.ws_col;
}

static void line_out(FILE *out, unsigned width, unsigned indent, const char *fmt, va_list ap)
{
    char *text;

    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    fold_line(out, text ? text : "", width, indent);
    free(text);
}

void line_print(unsigned indent, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    line_out(stdout, line_width(STDOUT_FILENO), indent, fmt, ap);
    va_end(ap);
}

void line_complain(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    line_out(stderr, 0, 0, fmt, ap);
    va_end(ap);
}

void line_json(struct json_object *o)
{
    printf("%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
                                                         JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
}
