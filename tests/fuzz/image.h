/* SPDX-License-Identifier: Apache-2.0 */
/* image.h - what is done with a disk image that an input made. */
#ifndef HOSPES_TESTS_FUZZ_IMAGE_H
#define HOSPES_TESTS_FUZZ_IMAGE_H

#include "storage/disk.h"

/* What the first byte of an input says. */
enum { IMAGE_WRITES = 1, IMAGE_CHECKS = 2, IMAGE_GROWS = 4, IMAGE_SHRINKS = 8 };

/* A host file over a memfd, which becomes the disk's. */
struct disk *image_file(int fd, bool readonly);
/* Opens, maps, reads and, by flags, writes and resizes; or checks, and by flags repairs. Closes the
 * file. */
void image_use(struct disk *file, unsigned flags);

#endif
