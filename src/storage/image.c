/* SPDX-License-Identifier: Apache-2.0 */
/* image.c - findings and facts; see image.h. */
#define _GNU_SOURCE
#include "storage/image.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 50 };

void report(struct image_report *rep, enum finding kind, bool fixed, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    if (kind == FINDING_ERROR)
        (*(fixed ? &rep->errors_fixed : &rep->errors))++;
    else if (kind == FINDING_LEAK)
        (*(fixed ? &rep->leaks_fixed : &rep->leaks))++;
    if (!rep->tell || rep->shown++ >= SHOWN_MAX)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    rep->tell(rep->arg, kind, fixed, text);
}

/* NULL when there is no memory: the fact is then missing. */
static struct fact *add(struct facts *f, const char *key)
{
    if (f->n == f->room) {
        size_t room = f->room ? f->room * 2 : 32;
        struct fact *v = reallocarray(f->v, room, sizeof(*v));

        if (!v)
            return NULL;
        f->v = v;
        f->room = room;
    }
    f->v[f->n] = (struct fact){.key = strdup(key)};
    return f->v[f->n].key ? &f->v[f->n++] : NULL;
}

void facts_text(struct facts *f, const char *key, const char *fmt, ...)
{
    struct fact *x = add(f, key);
    va_list ap;

    if (!x)
        return;
    va_start(ap, fmt);
    if (vasprintf(&x->text, fmt, ap) < 0)
        x->text = NULL;
    va_end(ap);
}

void facts_number(struct facts *f, const char *key, uint64_t v)
{
    struct fact *x = add(f, key);

    if (x)
        x->number = v;
}

void facts_free(struct facts *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->v[i].key);
        free(f->v[i].text);
    }
    free(f->v);
    *f = (struct facts){0};
}
