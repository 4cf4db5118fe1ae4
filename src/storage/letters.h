/* SPDX-License-Identifier: Apache-2.0 */
/* letters.h - a, ..., z, aa, ab: how names like sda and xvdaa count disks. Threads: any. */
#ifndef HOSPES_STORAGE_LETTERS_H
#define HOSPES_STORAGE_LETTERS_H

#include "core/core.h"

enum { LETTERS_ROOM = 8, LETTERS_MOST = 999 };

/* Those of disk n, counted from 0, with a NUL. */
void letters_of(unsigned n, char out[LETTERS_ROOM]);

/* The number of the disk whose letters the text begins with, lower-case ones. -1: there are none,
 * or it is more than LETTERS_MOST. */
int letters_number(const char *text);

#endif
