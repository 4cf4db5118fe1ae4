/* SPDX-License-Identifier: Apache-2.0 */
/* text.h - small files: read whole, written whole or not at all; names that a bundle may hold. */
#ifndef HOSPES_VALIDATION_TEXT_H
#define HOSPES_VALIDATION_TEXT_H

#include "core/core.h"

/* *out is malloc()ed and ends in 0. -EFBIG above max. len may be NULL. */
MUST int vtext_read(const char *path, size_t max, char **out, size_t *len, struct err *e);
/* By a temporary file beside it, synced and renamed. */
MUST int vtext_write(const char *path, const void *data, size_t len, struct err *e);
/* mkdir -p */
MUST int vtext_mkdir(const char *path, struct err *e);
/* Removes a folder of files and folders; what is not there is no error. */
void vtext_remove(const char *path);

/* The charset and length of docs/reference/validation.md: no "..", no leading '/' or '.'. */
bool vname_good(const char *name);

/* "DIR/NAME" into out; an error when it does not fit. */
enum { V_PATH = 1024 };
MUST int vpath(char out[V_PATH], const char *dir, const char *name, struct err *e);

/* A new folder DIR/NAME-XXXXXX of this process; its path into out, "" on error. */
MUST int vtext_mktemp(char out[V_PATH], const char *dir, const char *name, struct err *e);

/* Text that grows; `failed` once memory ran out. */
struct vbuf {
    char *data;
    size_t len, room;
    bool failed;
};
void vbuf_add(struct vbuf *b, const void *data, size_t len);
void vbuf_print(struct vbuf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void vbuf_free(struct vbuf *b);

#endif
