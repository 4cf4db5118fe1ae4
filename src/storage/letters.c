/* SPDX-License-Identifier: Apache-2.0 */
/* letters.c - see letters.h. */
#include "storage/letters.h"

#include <string.h>

void letters_of(unsigned n, char out[LETTERS_ROOM])
{
    size_t at = LETTERS_ROOM;

    out[--at] = '\0';
    for (uint64_t rest = (uint64_t)n + 1; rest; rest = (rest - 1) / 26)
        out[--at] = (char)('a' + (rest - 1) % 26);
    memmove(out, out + at, LETTERS_ROOM - at);
}

int letters_number(const char *text)
{
    int n = 0;

    for (; *text >= 'a' && *text <= 'z' && n <= LETTERS_MOST + 1; text++)
        n = n * 26 + (*text - 'a') + 1;
    return n > LETTERS_MOST + 1 ? -1 : n - 1;
}
