/* SPDX-License-Identifier: Apache-2.0 */
/* images.h - folders and disk images for the tests of the inspection, in a folder that is thrown
 * away. */
#ifndef HOSPES_TESTS_INSPECT_IMAGES_H
#define HOSPES_TESTS_INSPECT_IMAGES_H

#include "unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

extern char images_dir[32];

int images_setup(void **state);
int images_teardown(void **state);
/* A shell command in that folder, quiet; its exit code. */
int images_run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool images_have(const char *program);
/* Writes a file below the folder, making folders on the way. */
void images_put(const char *path, const void *data, size_t n);
void images_text(const char *path, const char *text);
const char *images_path(const char *name); /* valid until the next call */
/* The whole of a file; malloc()ed. */
uint8_t *images_load(const char *name, size_t *n);

#endif
