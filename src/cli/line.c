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

void line_row(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    line_out(stdout, 0, 0, fmt, ap);
    va_end(ap);
}

void line_complain(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    line_out(stderr, 0, 0, fmt, ap);
    va_end(ap);
}

/* Bytes of the character at p (RFC 3629), 0: it is none. p ends in 0. */
static size_t utf8_len(const unsigned char *p)
{
    size_t n = *p < 0x80 ? 1 : *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;

    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    if (n >= 3 && ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] >= 0xa0) ||
                   (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] >= 0x90)))
        return 0;
    return n;
}

void line_utf8(FILE *out, const char *json)
{
    while (*json) {
        size_t n = utf8_len((const unsigned char *)json);

        fwrite(n ? json : "\xef\xbf\xbd", 1, n ? n : 3, out);
        json += n ? n : 1;
    }
    fwrite("\n", 1, 1, out);
}

void line_json(struct json_object *o)
{
    line_utf8(stdout, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
                                                            JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
}
