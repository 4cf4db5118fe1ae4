/* SPDX-License-Identifier: Apache-2.0 */
/* inspect.h - what the files of `hospes inspect` share. */
#ifndef HOSPES_CLI_INSPECT_H
#define HOSPES_CLI_INSPECT_H

#include "core/core.h"

struct inspect_args {
    bool json;
    const char *format;
};

#endif
