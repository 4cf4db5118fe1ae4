/* SPDX-License-Identifier: Apache-2.0 */
/* fold.h - a line for people, on a terminal that may be narrow. */
#ifndef HOSPES_CORE_FOLD_H
#define HOSPES_CORE_FOLD_H

#include <stdio.h>

#include "core/core.h"

/* Prints `line` and a line feed. Where it has more columns than `width` it is broken at a space,
 * and what follows begins after `indent` spaces; a longer word stays whole, so that a path can be
 * copied. width 0: nothing is broken. Control characters, as a guest's labels may have them, become
 * spaces. A character of UTF-8 counts as one column. */
void fold_line(FILE *out, const char *line, unsigned width, unsigned indent);

#endif
