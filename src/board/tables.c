/* SPDX-License-Identifier: Apache-2.0 */
/* tables.c - see tables.h. */
#include "board/tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"

int tables_init(struct tables *t, gpa_t base, size_t room, struct err *e)
{
    *t = (struct tables){.base = base, .room = room, .bytes = calloc(1, room)};
    return t->bytes ? 0 : err_set(e, ENOMEM, "no memory for the firmware tables");
}

void tables_fini(struct tables *t)
{
    free(t->bytes);
    t->bytes = NULL;
}

gpa_t tables_put(struct tables *t, const void *p, size_t len, size_t align)
{
    size_t at = align_up(t->used, align);

    if (!range_in(at, len, t->room))
        return 0;
    memcpy(t->bytes + at, p, len);
    t->used = at + len;
    return t->base + at;
}

void *tables_at(struct tables *t, gpa_t at)
{
    return t->bytes + (at - t->base);
}

uint8_t tables_checksum(const void *p, size_t n, size_t at)
{
    const uint8_t *b = p;
    uint8_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += i == at ? 0 : b[i];
    return (uint8_t)-sum;
}
