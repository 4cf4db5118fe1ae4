/* SPDX-License-Identifier: Apache-2.0 */
/* edid.h - what a screen says of itself. */
#ifndef HOSPES_CONSOLE_EDID_H
#define HOSPES_CONSOLE_EDID_H

#include "core/core.h"

enum { EDID_SIZE = 128 };

/* The base block of a screen that prefers width x height (64 to 4095 each) at 60 Hz. maker: three
 * capital letters; name: at most 12 characters. VESA E-EDID 1.4 (2006). */
void edid_make(uint8_t out[EDID_SIZE], unsigned width, unsigned height, const char *maker,
               const char *name);

#endif
