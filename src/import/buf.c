/* SPDX-License-Identifier: Apache-2.0 */
/* buf.c - see buf.h. */
#include "import/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"

static bool grow(struct buf *b, size_t more)
{
    size_t room = b->room ? b->room : 256;
    char *s;

    while (room - b->len <= more)
        room *= 2;
    if (b->failed || room == b->room)
        return !b->failed;
    s = realloc(b->s, room);
    if (!s) {
        b->failed = true;
        return false;
    }
    b->s = s;
    b->room = room;
    return true;
}

void buf_bytes(struct buf *b, const void *p, size_t n)
{
    if (!grow(b, n))
        return;
    memcpy(b->s + b->len, p, n);
    b->len += n;
    b->s[b->len] = '\0';
}

void buf_add(struct buf *b, const char *text)
{
    buf_bytes(b, text, strlen(text));
}

void buf_fmt(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || !grow(b, (size_t)n))
        return;
    va_start(ap, fmt);
    vsnprintf(b->s + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
}

void buf_xml(struct buf *b, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            buf_add(b, "&amp;");
            break;
        case '<':
            buf_add(b, "&lt;");
            break;
        case '>':
            buf_add(b, "&gt;");
            break;
        case '"':
            buf_add(b, "&quot;");
            break;
        case '\n':
            buf_add(b, "&#10;"); /* an attribute would turn it into a space */
            break;
        case '\t':
            buf_add(b, "&#9;");
            break;
        default:
            if ((unsigned char)*text >= ' ') /* XML has no other control characters */
                buf_bytes(b, text, 1);
        }
    }
}

void buf_attr(struct buf *b, const char *name, const char *value)
{
    if (!value)
        return;
    buf_fmt(b, " %s=\"", name);
    buf_xml(b, value);
    buf_add(b, "\"");
}

int buf_end(const struct buf *b, struct err *e)
{
    return b->failed ? err_set(e, ENOMEM, "no memory for the text") : 0;
}

void buf_free(struct buf *b)
{
    free(b->s);
    *b = (struct buf){0};
}
