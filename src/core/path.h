/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path.h - names of files, as words.
 *
 * No file is looked at: a link on the way, for instance, may lead elsewhere than the words say. Who
 * opens a name that came from outside keeps the kernel to its folder as well, or looks for links.
 *
 * Threads: any.
 */
#ifndef HOSPES_CORE_PATH_H
#define HOSPES_CORE_PATH_H

#include "core/core.h"

/* What is behind the last slash: of "a/b" the b, of "a" all, of "a/" nothing. Part of name. */
const char *path_last(const char *name);

/* From the last dot on: ".gz" of "a.tar.gz". Part of name. Empty without a dot, and where only the
 * first of its last part is one. */
const char *path_suffix(const char *name);

/* Is that one of a list like ".vhdx .avhdx", in any case? NULL is an empty list. */
bool path_has_suffix(const char *name, const char *list);

/* The folder that the file of that name is in: of "a/b" the a, of "/b" the /, of "b" the ".".
 * malloc()ed; NULL: no memory. */
MUST char *path_folder(const char *name);

/* The name behind any "./" that it begins with. Part of name. */
const char *path_undotted(const char *name);

/* Makes a name of Windows' one of this system, in place: backslashes become slashes, and "./" at
 * its front goes. */
void path_from_windows(char *name);

/* Does the relative name lead above where it starts? "a/.." does not, "a/../.." does. */
bool path_leads_above(const char *name);

/* The rest of a name that leads to something below the folder dir, without slashes before it: a
 * part of name. NULL: it leads elsewhere, or to dir itself. Both are whole, or from the same place.
 */
const char *path_below(const char *dir, const char *name);

#endif
