/* SPDX-License-Identifier: Apache-2.0 */
/* buf.h - a text that grows. A failure stays until buf_end() tells of it. */
#ifndef HOSPES_IMPORT_BUF_H
#define HOSPES_IMPORT_BUF_H

#include "core/core.h"

struct buf {
    char *s; /* NULL: empty; else ends with a NUL */
    size_t len, room;
    bool failed;
};

void buf_add(struct buf *b, const char *text);
void buf_bytes(struct buf *b, const void *p, size_t n);
void buf_fmt(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The text as it stands between XML tags or in an attribute's quotes. */
void buf_xml(struct buf *b, const char *text);
/* " name=\"value\"", or nothing when value is NULL. */
void buf_attr(struct buf *b, const char *name, const char *value);
/* 0, or -ENOMEM with e. The text stays the buffer's. */
MUST int buf_end(const struct buf *b, struct err *e);
void buf_free(struct buf *b);

#endif
