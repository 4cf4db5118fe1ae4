/* SPDX-License-Identifier: Apache-2.0 */
/* redact_rules.h - what the redactor looks for; for redact.c alone. */
#ifndef HOSPES_SUPPORT_REDACT_RULES_H
#define HOSPES_SUPPORT_REDACT_RULES_H

#include "core/core.h"

enum { REDACT_SECRETS = 37, REDACT_IDS = 14 };

/* Extended expressions, whatever the case. A rule is only tried on a line that holds one of the
 * lower-case words of `hints` (with '|' between them; NULL: on every line): most lines hold none,
 * and the expressions are slow. */
struct redact_rule {
    const char *kind, *hints, *expr;
    unsigned part; /* the group that is taken out or gets a false name */
    bool list;     /* the value may be one of KEY=VALUE,KEY=VALUE: it ends where the next begins */
};

extern const struct redact_rule redact_secrets[REDACT_SECRETS];
extern const struct redact_rule redact_ids[REDACT_IDS];
/* A key of YAML that has its secret in the lines below it. */
extern const struct redact_rule redact_yaml_block, redact_yaml_next;

#endif
