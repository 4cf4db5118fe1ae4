/* SPDX-License-Identifier: Apache-2.0 */
/* utf.h - the UTF-16 texts of Windows' image formats. */
#ifndef HOSPES_STORAGE_UTF_H
#define HOSPES_STORAGE_UTF_H

#include "core/core.h"

/* n units of UTF-16 (up to a zero) as UTF-8; NULL: no memory. malloc'd. Broken surrogates become
 * U+FFFD. */
char *utf16_text(const uint8_t *p, size_t n, bool big_endian);
/* The same as a name of this system; see path_from_windows(). */
char *utf16_path(const uint8_t *p, size_t n, bool big_endian);
/* UTF-8 to units, without a closing zero; how many. At most `room` are written. */
size_t utf16_from(const char *s, uint8_t *out, size_t room, bool big_endian);

#endif
