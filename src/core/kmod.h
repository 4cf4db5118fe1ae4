/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kmod.h - which files of a Linux kernel's modules must be loaded, and in what order: modules.dep
 * as depmod(8) writes it, where each line names a module and then what it needs, the nearest first.
 */
#ifndef HOSPES_CORE_KMOD_H
#define HOSPES_CORE_KMOD_H

#include "core/core.h"

enum { KMOD_MAX = 192 };

struct kmod_list {
    const char *path[KMOD_MAX]; /* as modules.dep has them, in it: not ended by 0 */
    size_t len[KMOD_MAX];
    size_t n;
};

/* Is [path, len) the file of module `name`? '-' and '_' are the same there. */
bool kmod_is(const char *path, size_t len, const char *name);

/* Appends module `name` after all that it needs, unless they are there already. false: modules.dep
 * does not name it, so it is built in or does not exist. */
bool kmod_add(struct kmod_list *l, const char *dep, const char *name);

#endif
