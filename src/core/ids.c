/* SPDX-License-Identifier: Apache-2.0 */
/* ids.c - see ids.h. */
#include "core/ids.h"

#include <string.h>

bool hex_bytes(const char *text, const char *marks, uint8_t *out, size_t n)
{
    size_t digits = 0;

    memset(out, 0, n);
    for (; *text; text++) {
        int v = hex_digit((unsigned char)*text);

        if (v < 0 && strchr(marks, *text))
            continue;
        if (v < 0 || digits == 2 * n)
            return false;
        out[digits / 2] = (uint8_t)(out[digits / 2] << 4 | v);
        digits++;
    }
    return digits == 2 * n;
}

/* Has the text one mark where `like` has it, and no more and no less of anything? */
static bool alike(const char *text, const char *like, char mark)
{
    size_t n = strlen(like);

    if (strlen(text) != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if ((text[i] == mark) != (like[i] == mark))
            return false;
    }
    return true;
}

bool mac_read(const char *text, uint8_t out[6])
{
    return alike(text, "00:00:00:00:00:00", ':') && hex_bytes(text, ":", out, 6);
}

bool uuid_read(const char *text, uint8_t out[16])
{
    return alike(text, "00000000-0000-0000-0000-000000000000", '-') &&
           hex_bytes(text, "-", out, 16);
}
