/* SPDX-License-Identifier: Apache-2.0 */
/* utf.c - see utf.h. */
#include "storage/utf.h"

#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"
#include "core/path.h"

static uint32_t unit(const uint8_t *p, size_t i, bool be)
{
    return be ? be16_at(p + 2 * i) : le16_at(p + 2 * i);
}

static size_t put_utf8(uint8_t *o, uint32_t c)
{
    if (c < 0x80) {
        o[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        o[0] = (uint8_t)(0xc0 | c >> 6);
        o[1] = (uint8_t)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        o[0] = (uint8_t)(0xe0 | c >> 12);
        o[1] = (uint8_t)(0x80 | (c >> 6 & 63));
        o[2] = (uint8_t)(0x80 | (c & 63));
        return 3;
    }
    o[0] = (uint8_t)(0xf0 | c >> 18);
    o[1] = (uint8_t)(0x80 | (c >> 12 & 63));
    o[2] = (uint8_t)(0x80 | (c >> 6 & 63));
    o[3] = (uint8_t)(0x80 | (c & 63));
    return 4;
}

char *utf16_text(const uint8_t *p, size_t n, bool big_endian)
{
    uint8_t *out = malloc(n * 3 + 1);
    size_t len = 0;

    if (!out)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        uint32_t c = unit(p, i, big_endian);
        uint32_t low = i + 1 < n ? unit(p, i + 1, big_endian) : 0;

        if (c == 0)
            break;
        if (c >= 0xd800 && c < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            i++;
        } else if (c >= 0xd800 && c < 0xe000) {
            c = 0xfffd;
        }
        len += put_utf8(out + len, c);
    }
    out[len] = 0;
    return (char *)out;
}

char *utf16_path(const uint8_t *p, size_t n, bool big_endian)
{
    char *s = utf16_text(p, n, big_endian);

    if (s)
        path_from_windows(s);
    return s;
}

/* The next character; s moves on. Broken sequences give U+FFFD, a byte at a time. */
static uint32_t get_utf8(const uint8_t **s)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t c = *(*s)++, v;
    unsigned n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;

    if (c < 0x80)
        return c;
    if (n == 1 || c >= 0xf8)
        return 0xfffd;
    v = c & (0x7fu >> n);
    for (unsigned i = 1; i < n; i++) {
        if (((*s)[i - 1] & 0xc0) != 0x80)
            return 0xfffd;
        v = v << 6 | ((*s)[i - 1] & 63);
    }
    *s += n - 1;
    return v < least[n] || v > 0x10ffff ? 0xfffd : v;
}

static size_t put_unit(uint8_t *out, size_t at, size_t room, uint32_t u, bool be)
{
    if (at < room && be)
        be16_put(out + 2 * at, (uint16_t)u);
    else if (at < room)
        le16_put(out + 2 * at, (uint16_t)u);
    return at < room ? at + 1 : at;
}

size_t utf16_from(const char *text, uint8_t *out, size_t room, bool big_endian)
{
    const uint8_t *s = (const uint8_t *)text;
    size_t n = 0;

    while (*s) {
        uint32_t c = get_utf8(&s);

        if (c >= 0x10000) {
            n = put_unit(out, n, room, 0xd800 + ((c - 0x10000) >> 10), big_endian);
            c = 0xdc00 + ((c - 0x10000) & 0x3ff);
        }
        n = put_unit(out, n, room, c, big_endian);
    }
    return n;
}
