/* SPDX-License-Identifier: Apache-2.0 */
/* xl.h - the syntax of Xen's configuration files. */
#ifndef HOSPES_IMPORT_XL_H
#define HOSPES_IMPORT_XL_H

#include "import/reading.h"

/* Parses r->f into r->t. Strings, numbers and lists; anything that would have to be executed is an
 * error with its line. An element of a list is named by its number. Of `disk`, `vif` and `vfb` an
 * element's parts become nodes of their own. */
MUST int xl_parse(struct reading *r);

/* "mac=..,bridge=.." below n; a part without '=' is named `bare`, or "flag" when that is NULL. */
MUST int xl_split(struct reading *r, struct node *n, const char *text, const char *bare);
/* A disk of xl or xm below n: target, format, vdev, access, and what else there is. */
MUST int xl_split_disk(struct reading *r, struct node *n, const char *text);

#endif
