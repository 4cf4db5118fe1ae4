/* SPDX-License-Identifier: Apache-2.0 */
/* hvs.h - Hyper-V's storage files as a tree, and a tree as such a file. */
#ifndef HOSPES_IMPORT_HVS_H
#define HOSPES_IMPORT_HVS_H

#include "import/buf.h"
#include "import/reading.h"

/* Parses r->f into r->t; -errno with r->e. Values become text: numbers in decimal, truth values as
 * True and False, bytes in hexadecimal. */
MUST int hvs_parse(struct reading *r);
bool hvs_probe(const char *head, size_t n);

/* Writing: keys in the order of their making, parents before children. */
struct hvs_make;
MUST int hvs_make_new(struct hvs_make **out, struct err *e);
void hvs_make_free(struct hvs_make *m);
/* path: "configuration/properties/name"; nodes on the way are made. Failures stay until the end. */
void hvs_put_text(struct hvs_make *m, const char *path, const char *value);
void hvs_put_number(struct hvs_make *m, const char *path, int64_t value);
void hvs_put_bool(struct hvs_make *m, const char *path, bool value);
void hvs_put_bytes(struct hvs_make *m, const char *path, const void *p, size_t n);
/* The whole file into out. */
MUST int hvs_make_end(struct hvs_make *m, struct buf *out, struct err *e);

#endif
