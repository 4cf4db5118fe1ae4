/* SPDX-License-Identifier: Apache-2.0 */
/* html.h - pieces of HTML that all pages share. Text is escaped, everything else is ours. */
#ifndef HOSPES_CATALOGUE_HTML_H
#define HOSPES_CATALOGUE_HTML_H

#include "validation/text.h"

void html_text(struct vbuf *b, const char *text);
/* For [from, from+n), which need not end in 0; controls become U+FFFD. */
void html_bytes(struct vbuf *b, const char *from, size_t n);
/* "1 guest", "2 guests" */
void html_count(struct vbuf *b, unsigned long long n, const char *one);
/* <tag>text</tag> */
void html_element(struct vbuf *b, const char *tag, const char *text);
/* up: "" or "../", the way to the top folder. */
void html_head(struct vbuf *b, const char *title, const char *up);
void html_foot(struct vbuf *b, const char *up);
/* A row of a list of facts; nothing for an empty text. */
void html_fact(struct vbuf *b, const char *name, const char *value);
/* A name for a file from any text: a-z, 0-9 and -, with digits of its digest. */
enum { HTML_SLUG = 80 };
void html_slug(const char *text, char out[HTML_SLUG]);

extern const char html_style[], html_script[];

#endif
