/* SPDX-License-Identifier: Apache-2.0 */
/*
 * initrd.h - what is given to a guest that is a kernel alone: busybox, the modules of its persona,
 * the suites, the agent that runs them, and programs of this machine that checks ask for.
 */
#ifndef HOSPES_VALIDATION_INITRD_H
#define HOSPES_VALIDATION_INITRD_H

#include "core/core.h"
#include "validation/suite.h"
#include "validation/text.h"

struct initrd_file {
    const char *name; /* in the guest, without a leading '/' */
    const char *from; /* a file of this machine */
};

struct initrd_parts {
    const char *modules; /* a folder with lib/modules/VERSION/modules.dep, or that folder itself */
    const char *persona; /* without its options */
    const struct suite *suite;
    size_t suites;
    enum suite_level level; /* checks up to it get their programs */
    const char *before;     /* an archive that the kernel unpacks first; may be NULL */
    const struct initrd_file *file;
    size_t files;
};

/* Writes the archive to `path`. A program that this machine has not is left out. */
MUST int initrd_write(const char *path, const struct initrd_parts *p, struct err *e);

/* programs.c: where this machine has the program. false: nowhere. */
bool program_find(const char *name, char out[V_PATH]);
/* Its loader and shared libraries, as its loader finds them here; 0 for a static one. path[i] are
 * malloc()ed. At most `room`. */
MUST int program_libraries(const char *program, char **path, size_t room, size_t *n, struct err *e);

#endif
