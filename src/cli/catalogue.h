/* SPDX-License-Identifier: Apache-2.0 */
/* catalogue.h - what the parts of `hospes catalogue` have in common. */
#ifndef HOSPES_CLI_CATALOGUE_H
#define HOSPES_CLI_CATALOGUE_H

#include "catalogue/index.h"
#include "cli/cli.h"

enum { CATALOGUE_SCOPE = 10 };

struct catalogue_args {
    const char *key, *trust, *name, *db, *persona, *host_version, *http;
    const char *level, *owner, *maturity, *note;
    const char *add, *text, *since, *resolved, *issue;
    const char *scope[CATALOGUE_SCOPE];
    size_t scopes;
    bool json, remark, preview, claim;
};

/* Rows of option tables. */
int catalogue_set_key(void *arg, const char *value, struct err *e);
int catalogue_set_trust(void *arg, const char *value, struct err *e);
int catalogue_set_name(void *arg, const char *value, struct err *e);
int catalogue_set_db(void *arg, const char *value, struct err *e);
int catalogue_set_persona(void *arg, const char *value, struct err *e);
int catalogue_set_host_version(void *arg, const char *value, struct err *e);
int catalogue_set_http(void *arg, const char *value, struct err *e);
int catalogue_set_level(void *arg, const char *value, struct err *e);
int catalogue_set_owner(void *arg, const char *value, struct err *e);
int catalogue_set_maturity(void *arg, const char *value, struct err *e);
int catalogue_set_note(void *arg, const char *value, struct err *e);
int catalogue_set_add(void *arg, const char *value, struct err *e);
int catalogue_set_text(void *arg, const char *value, struct err *e);
int catalogue_set_since(void *arg, const char *value, struct err *e);
int catalogue_set_resolved(void *arg, const char *value, struct err *e);
int catalogue_set_issue(void *arg, const char *value, struct err *e);
int catalogue_set_scope(void *arg, const char *value, struct err *e);
int catalogue_set_json(void *arg, const char *value, struct err *e);
int catalogue_set_remark(void *arg, const char *value, struct err *e);
int catalogue_set_preview(void *arg, const char *value, struct err *e);
int catalogue_set_claim(void *arg, const char *value, struct err *e);

/* Parses; wants between least and most operands (-1: any number). 1: help was printed. *n: how
 * many there are. */
MUST int catalogue_parse(const struct cli_command *c, int argc, char **argv,
                         struct catalogue_args *a, int least, int most, int *n, struct err *e);

/* A catalogue that is there, with its index. */
struct catalogue {
    struct store s;
    struct index *ix;
};
MUST int catalogue_open(struct catalogue *c, const char *dir, const struct catalogue_args *a,
                        struct err *e);
void catalogue_close(struct catalogue *c);
/* How most parts begin: catalogue_parse() with `operands` of them, then catalogue_open() of the
 * first. 1: help was printed, nothing is open. */
MUST int catalogue_begin(const struct cli_command *cmd, int argc, char **argv,
                         struct catalogue_args *a, int operands, struct catalogue *c,
                         struct err *e);

extern const struct cli_command catalogue_add, catalogue_build, catalogue_why, catalogue_diff,
    catalogue_merge, catalogue_stale, catalogue_errata, catalogue_verify, catalogue_serve;

#endif
