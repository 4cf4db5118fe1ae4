/* SPDX-License-Identifier: Apache-2.0 */
/*
 * initrd.h - what is given to a guest that is a kernel alone: busybox, the modules of its persona,
 * the suites and the agent that runs them.
 */
#ifndef HOSPES_VALIDATION_INITRD_H
#define HOSPES_VALIDATION_INITRD_H

#include "core/core.h"
#include "validation/suite.h"

/* Writes the archive to `path`. modules: a folder with lib/modules/VERSION/modules.dep, or that
 * folder itself. It goes behind `before` (a file, may be NULL), which the kernel unpacks first. */
MUST int initrd_write(const char *path, const char *modules, const char *persona,
                      const struct suite *suite, size_t suites, const char *before, struct err *e);

#endif
