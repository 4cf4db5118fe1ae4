/* SPDX-License-Identifier: Apache-2.0 */
/* inspect.h - what the files of `hospes inspect` share. */
#ifndef HOSPES_CLI_INSPECT_H
#define HOSPES_CLI_INSPECT_H

#include "core/core.h"

struct fleet;

enum inspect_form { INSPECT_TEXT, INSPECT_JSON, INSPECT_CSV, INSPECT_HTML };

struct inspect_args {
    const char *format, *fleet;
    enum inspect_form form;
    bool outside;
};

/* inspect_fleet.c, inspect_html.c: to standard output. */
MUST int inspect_fleet(const struct inspect_args *a, struct err *e);
void inspect_html(const char *folder, const struct fleet *f);
/* "2.0 GiB"; out has 24 bytes. */
void inspect_size(uint64_t bytes, char *out);

#endif
