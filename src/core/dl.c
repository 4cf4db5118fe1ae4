/* SPDX-License-Identifier: Apache-2.0 */
/* dl.c - see dl.h. */
#include "core/dl.h"

#include <dlfcn.h>
#include <errno.h>

#include "core/err.h"

int dl_load(const char *soname, const char *package, const struct dl_symbol *symbol, struct err *e)
{
    void *lib = dlopen(soname, RTLD_NOW | RTLD_LOCAL); /* counted; it stays */

    if (!lib)
        return err_set(e, ELIBACC, "%s cannot be loaded: install the package %s", soname, package);
    for (; symbol->name; symbol++) {
        *symbol->to = dlsym(lib, symbol->name);
        if (!*symbol->to)
            return err_set(e, ELIBACC, "%s has no %s: install another release of %s", soname,
                           symbol->name, package);
    }
    return 0;
}
