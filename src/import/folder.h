/* SPDX-License-Identifier: Apache-2.0 */
/* folder.h - which file in a folder describes the machine. */
#ifndef HOSPES_IMPORT_FOLDER_H
#define HOSPES_IMPORT_FOLDER_H

#include "core/core.h"

/* The only description in the folder, or in its "Virtual Machines" (a Hyper-V export); malloc()ed.
 * -EINVAL with e: none, or several, which are named. */
MUST int import_folder(const char *path, char **out, struct err *e);

#endif
