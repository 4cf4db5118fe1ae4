/* SPDX-License-Identifier: Apache-2.0 */
/* texts.c - configuration files of guests, read line by line; see look.h. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "inspect/look.h"

/* Control characters of a guest's file must not reach a terminal. */
void text_copy(char *out, size_t room, const char *text)
{
    size_t n = 0;

    for (; text[n] && n + 1 < room; n++)
        out[n] = (unsigned char)text[n] < 32 || text[n] == 127 ? '?' : text[n];
    out[n] = '\0';
}

void text_add(char *out, size_t room, const char *text)
{
    size_t at = strlen(out), n = strlen(text);
    const char *found = strstr(out, text);

    if (found && (found[n] == ',' || found[n] == '\0'))
        return;
    if (at + n + 3 > room)
        return;
    if (at > 0) {
        memcpy(out + at, ", ", 2);
        at += 2;
    }
    text_copy(out + at, room - at, text);
}

char *text_line(char **at)
{
    char *from = *at, *end;

    if (!*from)
        return NULL;
    end = from + strcspn(from, "\n");
    *at = *end ? end + 1 : end;
    *end = '\0';
    while (isspace((unsigned char)*from))
        from++;
    while (end > from && isspace((unsigned char)end[-1]))
        *--end = '\0';
    return from;
}

char *text_word(char **at)
{
    char *from = *at, *to, quote = 0;

    while (isspace((unsigned char)*from))
        from++;
    if (!*from)
        return NULL;
    *at = to = from;
    for (; **at && (quote || !isspace((unsigned char)**at)); ++*at) {
        char c = **at;

        if (!quote && (c == '"' || c == '\''))
            quote = c;
        else if (c == quote)
            quote = 0;
        else if (c == '\\' && quote != '\'' && (*at)[1])
            *to++ = *++*at;
        else
            *to++ = c;
    }
    if (**at)
        ++*at;
    *to = '\0';
    return from;
}

bool text_value(const char *text, const char *key, char *out, size_t room)
{
    size_t n = strlen(key);
    bool found = false;

    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        const char *v;
        size_t len;

        line += strspn(line, " \t");
        if (strncmp(line, key, n) != 0)
            continue;
        v = line + n + strspn(line + n, " \t");
        if (*v != '=')
            continue;
        v++;
        v += strspn(v, " \t");
        len = strcspn(v, "\n");
        if (*v == '"' || *v == '\'') {
            const char *end = memchr(v + 1, *v, len > 0 ? len - 1 : 0);

            len = end ? (size_t)(end - v) - 1 : len - 1;
            v++;
        }
        while (len > 0 && isspace((unsigned char)v[len - 1]))
            len--;
        snprintf(out, room, "%.*s", (int)min_u64(len, room - 1), v);
        found = true; /* the last one counts */
    }
    return found;
}
