/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hub_text.c - what a screen in text mode says, as UTF-8.
 *
 * Code page 437, the characters in the ROM of every VGA; a guest that has loaded a font of its own
 * is read as if it had not. Colours and the cursor are left out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "console/hub.h"
#include "core/err.h"

static const uint16_t text_low[32] = {
    ' ',    0x263a, 0x263b, 0x2665, 0x2666, 0x2663, 0x2660, 0x2022, 0x25d8, 0x25cb, 0x25d9,
    0x2642, 0x2640, 0x266a, 0x266b, 0x263c, 0x25ba, 0x25c4, 0x2195, 0x203c, 0x00b6, 0x00a7,
    0x25ac, 0x21a8, 0x2191, 0x2193, 0x2192, 0x2190, 0x221f, 0x2194, 0x25b2, 0x25bc,
};

static const uint16_t text_high[129] = {
    0x2302, /* 0x7f */
    0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7, 0x00ea, 0x00eb, 0x00e8, 0x00ef,
    0x00ee, 0x00ec, 0x00c4, 0x00c5, 0x00c9, 0x00e6, 0x00c6, 0x00f4, 0x00f6, 0x00f2, 0x00fb, 0x00f9,
    0x00ff, 0x00d6, 0x00dc, 0x00a2, 0x00a3, 0x00a5, 0x20a7, 0x0192, 0x00e1, 0x00ed, 0x00f3, 0x00fa,
    0x00f1, 0x00d1, 0x00aa, 0x00ba, 0x00bf, 0x2310, 0x00ac, 0x00bd, 0x00bc, 0x00a1, 0x00ab, 0x00bb,
    0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557,
    0x255d, 0x255c, 0x255b, 0x2510, 0x2514, 0x2534, 0x252c, 0x251c, 0x2500, 0x253c, 0x255e, 0x255f,
    0x255a, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550, 0x256c, 0x2567, 0x2568, 0x2564, 0x2565, 0x2559,
    0x2558, 0x2552, 0x2553, 0x256b, 0x256a, 0x2518, 0x250c, 0x2588, 0x2584, 0x258c, 0x2590, 0x2580,
    0x03b1, 0x00df, 0x0393, 0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4, 0x03a6, 0x0398, 0x03a9, 0x03b4,
    0x221e, 0x03c6, 0x03b5, 0x2229, 0x2261, 0x00b1, 0x2265, 0x2264, 0x2320, 0x2321, 0x00f7, 0x2248,
    0x00b0, 0x2219, 0x00b7, 0x221a, 0x207f, 0x00b2, 0x25a0, ' ',
};

static unsigned text_code(uint8_t c)
{
    if (c < 0x20)
        return text_low[c];
    return c < 0x7f ? c : text_high[c - 0x7f];
}

static char *text_utf8(char *to, unsigned code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3f));
    } else {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    return to;
}

static bool text_blank(uint8_t c)
{
    return text_code(c) == ' ';
}

/* The row without the blanks at its end. */
static unsigned text_length(const uint8_t *row, unsigned columns)
{
    while (columns && text_blank(row[columns - 1]))
        columns--;
    return columns;
}

/* `to` has room for three bytes per cell, a line end per row and a NUL. */
static void text_lines(const struct screen_text *t, char *to)
{
    unsigned rows = t->rows;

    while (rows && text_length(t->cell + (rows - 1) * t->columns, t->columns) == 0)
        rows--;
    for (unsigned y = 0; y < rows; y++) {
        const uint8_t *row = t->cell + y * t->columns;
        unsigned n = text_length(row, t->columns);

        for (unsigned x = 0; x < n; x++)
            to = text_utf8(to, text_code(row[x]));
        *to++ = '\n';
    }
    *to = '\0';
}

int hub_text(struct hub *h, char **out, struct err *e)
{
    struct screen *s = hub_front(h);
    struct screen_text *t;
    int rc = 0;

    if (!s)
        return err_exit(e, EX_MISSING, ENOENT, "the guest shows nothing: no screen is lit");
    t = calloc(1, sizeof(*t));
    if (!t)
        return err_set(e, ENOMEM, "no memory for what the screen says");
    if (!s->text || !s->text(s, t) || t->columns > SCREEN_TEXT_COLUMNS ||
        t->rows > SCREEN_TEXT_ROWS)
        rc = err_exit(e, EX_MISSING, ENOENT,
                      "the screen shows a picture, not text: give a FILE for it");
    *out = rc == 0 ? malloc((size_t)t->rows * (3 * t->columns + 1) + 1) : NULL;
    if (rc == 0 && !*out)
        rc = err_set(e, ENOMEM, "no memory for what the screen says");
    if (rc == 0)
        text_lines(t, *out);
    free(t);
    return rc;
}
