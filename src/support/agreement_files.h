/* SPDX-License-Identifier: Apache-2.0 */
/* agreement_files.h - the agreements that come with hospes, embedded by tools/embed.py. */
#ifndef HOSPES_SUPPORT_AGREEMENT_FILES_H
#define HOSPES_SUPPORT_AGREEMENT_FILES_H

#include <stddef.h>

struct embedded {
    const char *name, *text; /* text ends in 0, which len does not count; NULL ends the table */
    size_t len;
};
extern const struct embedded agreement_files[];

#endif
