/* SPDX-License-Identifier: Apache-2.0 */
/* catalogue.c - `hospes catalogue`: its parts and their common options. */
#include "cli/catalogue.h"

#include <errno.h>
#include <string.h>

#include "cli/commands.h"

static const struct cli_command *const parts[] = {
    &catalogue_add,   &catalogue_build,  &catalogue_why,    &catalogue_diff,  &catalogue_merge,
    &catalogue_stale, &catalogue_errata, &catalogue_verify, &catalogue_serve, NULL};

#define CATALOGUE_TEXT(name)                                                                       \
    int catalogue_set_##name(void *arg, const char *value, struct err *e)                          \
    {                                                                                              \
        ((struct catalogue_args *)arg)->name = value;                                              \
        return 0;                                                                                  \
    }
CATALOGUE_TEXT(key)
CATALOGUE_TEXT(trust)
CATALOGUE_TEXT(name)
CATALOGUE_TEXT(db)
CATALOGUE_TEXT(persona)
CATALOGUE_TEXT(host_version)
CATALOGUE_TEXT(http)
CATALOGUE_TEXT(level)
CATALOGUE_TEXT(owner)
CATALOGUE_TEXT(maturity)
CATALOGUE_TEXT(note)
CATALOGUE_TEXT(add)
CATALOGUE_TEXT(text)
CATALOGUE_TEXT(since)
CATALOGUE_TEXT(resolved)
CATALOGUE_TEXT(issue)

#define CATALOGUE_FLAG(name)                                                                       \
    int catalogue_set_##name(void *arg, const char *value, struct err *e)                          \
    {                                                                                              \
        ((struct catalogue_args *)arg)->name = true;                                               \
        return 0;                                                                                  \
    }
CATALOGUE_FLAG(json)
CATALOGUE_FLAG(remark)
CATALOGUE_FLAG(preview)
CATALOGUE_FLAG(claim)

int catalogue_set_scope(void *arg, const char *value, struct err *e)
{
    struct catalogue_args *a = arg;

    if (!strchr(value, '=') || a->scopes == CATALOGUE_SCOPE)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "--applies wants KEY=VALUE, at most %d times; keys are host-version, "
                        "guest-product, persona and the like",
                        CATALOGUE_SCOPE);
    a->scope[a->scopes++] = value;
    return 0;
}

int catalogue_parse(const struct cli_command *c, int argc, char **argv, struct catalogue_args *a,
                    int least, int most, int *n, struct err *e)
{
    int rc = cli_parse(c, argc, argv, a, n, e);

    if (rc == 0 && (*n < least || (most >= 0 && *n > most)))
        return err_exit(e, EX_USAGE_, EINVAL, "%s wants %s; see hospes %s --help", c->name, c->args,
                        c->name);
    return rc;
}

int catalogue_open(struct catalogue *c, const char *dir, const struct catalogue_args *a,
                   struct err *e)
{
    int rc = store_open(dir, false, &c->s, e);

    c->ix = NULL;
    if (rc < 0)
        return rc;
    rc = index_open(&c->s, a->db, &c->ix, e);
    if (rc < 0)
        store_close(&c->s);
    return rc;
}

void catalogue_close(struct catalogue *c)
{
    index_close(c->ix);
    store_close(&c->s);
}

int catalogue_begin(const struct cli_command *cmd, int argc, char **argv, struct catalogue_args *a,
                    int operands, struct catalogue *c, struct err *e)
{
    int n, rc = catalogue_parse(cmd, argc, argv, a, operands, operands, &n, e);

    return rc ? rc : catalogue_open(c, argv[1], a, e);
}

static int catalogue_main(int argc, char **argv)
{
    static const struct cli_group group = {.name = "catalogue", .parts = parts, .column = 8};

    return cli_group_run(&group, argc, argv);
}

const struct cli_command cli_catalogue = {
    .name = "catalogue",
    .args = "COMMAND [OPTION...] [ARGUMENT...]",
    .about = "Publishes what was validated, with the evidence.",
    .more =
        "Commands: add, build, why, diff, merge, stale, errata, verify, serve. Each has its own\n"
        "--help.",
    .run = catalogue_main,
};
