/* SPDX-License-Identifier: Apache-2.0 */
/* lvmtext.h - the configuration text of LVM2: name = value, name = [values], name { ... }. */
#ifndef HOSPES_INSPECT_LVMTEXT_H
#define HOSPES_INSPECT_LVMTEXT_H

#include "core/core.h"

/* Names and values point into the text. A list's values are children without a name. */
struct text_node {
    const char *name, *value; /* "" where there is none */
    struct text_node *first, *last, *next;
};

/* Cuts up `text`, which must outlive the tree. -EINVAL: not such a text, or too deep or large. */
MUST int text_parse(char *text, struct text_node **top);
void text_free(struct text_node *top);
const struct text_node *text_child(const struct text_node *n, const char *name); /* n may be NULL */
const char *text_string(const struct text_node *n, const char *name);            /* may be NULL */
uint64_t text_number(const struct text_node *n, const char *name);               /* 0: none */

#endif
