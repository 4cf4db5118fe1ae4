/* SPDX-License-Identifier: Apache-2.0 */
/* faults.c - see faults.h. */
#include "catalogue/faults.h"

#include <stdarg.h>
#include <stdio.h>

enum { FAULT_ROOM = 5000 }; /* a path and some words */

void faults_add(struct faults *f, const char *fmt, ...)
{
    char text[FAULT_ROOM];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    f->count++;
    f->each(f->arg, text);
}
