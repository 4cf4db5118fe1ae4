/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dl.h - libraries that few machines need, loaded when they are first used: what is linked is paid
 * for, in instructions and memory, by every start of every guest.
 */
#ifndef HOSPES_CORE_DL_H
#define HOSPES_CORE_DL_H

#include "core/core.h"

struct dl_symbol {
    const char *name;
    void **to; /* a function pointer of the library's own type */
};

/* Loads a library by its soname and fills in the symbols, the last of which has a NULL name. Safe
 * to call again and from any thread. The error names the Debian package. */
MUST int dl_load(const char *soname, const char *package, const struct dl_symbol *symbol,
                 struct err *e);

/* For tables: DL(f) is the pointer of f, declared by DL_DECLARE(f). */
#define DL_DECLARE(f) static __typeof__(&(f)) dl_##f
#define DL_SYMBOL(f)                                                                               \
    {                                                                                              \
#f, (void **)(void *)&dl_##f                                                               \
    }

#endif
