/* SPDX-License-Identifier: Apache-2.0 */
/* suite_files.h - the texts of suites/, which the build turns into an array. */
#ifndef HOSPES_VALIDATION_SUITE_FILES_H
#define HOSPES_VALIDATION_SUITE_FILES_H

#include "core/core.h"

struct suite_file {
    const char *name, *text;
    size_t len;
};
extern const struct suite_file suite_files[];
extern const size_t suite_files_n;

#endif
