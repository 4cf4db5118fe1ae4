/* SPDX-License-Identifier: Apache-2.0 */
/* fold.c - see fold.h. */
#include "core/fold.h"

#include <string.h>

/* Bytes of the control character at `at`, 0 if there is none: C0, DEL, and C1 in UTF-8, which
 * terminals obey, too. */
static size_t control_len(const unsigned char *at)
{
    if (*at < ' ' || *at == 0x7f)
        return 1;
    return at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0 ? 2 : 0;
}

static unsigned columns(const char *text, size_t len)
{
    unsigned n = 0;

    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

static void put_clean(FILE *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = control_len((const unsigned char *)text + i);

        fwrite(n ? " " : text + i, 1, 1, out);
        i += n ? n : 1;
    }
}

void fold_line(FILE *out, const char *line, unsigned width, unsigned indent)
{
    unsigned at = 0;
    bool fresh = true; /* a line whose words are still to come */

    while (*line) {
        size_t spaces = strspn(line, " "), word = strcspn(line + spaces, " ");
        unsigned wide = columns(line + spaces, word);

        if (width && !fresh && word && at + spaces + wide > width) {
            fprintf(out, "\n%*s", (int)indent, "");
            at = indent + wide;
        } else {
            fprintf(out, "%*s", (int)spaces, "");
            at += (unsigned)spaces + wide;
        }
        put_clean(out, line + spaces, word);
        fresh = fresh && !word;
        line += spaces + word;
    }
    fwrite("\n", 1, 1, out);
}
