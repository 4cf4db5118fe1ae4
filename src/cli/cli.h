/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli.h - subcommands, their options and how they end.
 *
 * One table of options per subcommand drives parsing, --help and the comparison with the man page.
 * Only this folder prints or exits.
 */
#ifndef HOSPES_CLI_CLI_H
#define HOSPES_CLI_CLI_H

#include <stdio.h>

#include "core/core.h"
#include "core/err.h"

struct cli_option {
    const char *name; /* without dashes; one letter has one dash; NULL ends the table */
    const char *arg;  /* "FILE"; NULL: takes no value */
    const char *about;
    /* value is NULL without an argument. */
    int (*set)(void *arg, const char *value, struct err *e);
};

struct cli_command {
    const char *name;
    const char *args;                  /* what follows in the usage line: "[OPTION...] [FILE]" */
    const char *about;                 /* one line */
    const char *more;                  /* paragraphs after the options, or NULL */
    const struct cli_option *options;  /* NULL: none but --help */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; returns the exit code */
};

/* A command made of commands: `hospes image info`. */
struct cli_group {
    const char *name;                       /* "image"; its parts are named "image info" */
    const struct cli_command *const *parts; /* NULL at the end */
    int column;                             /* width of the names in --help */
    void (*more)(FILE *out);                /* what --help says after the parts, or NULL */
};

extern const struct cli_command *const cli_commands[]; /* main.c, NULL at the end */
const struct cli_command *cli_find(const char *name);

/* Reads options; `arg` goes to their set(). Operands are moved to argv[1..*operands]. 1: help was
 * asked for and printed, the caller returns 0. */
MUST int cli_parse(const struct cli_command *c, int argc, char **argv, void *arg, int *operands,
                   struct err *e);

/* Runs the part that argv[1] names, or prints the help that it asks for; returns the exit code. */
int cli_group_run(const struct cli_group *g, int argc, char **argv);

/* A running machine has a working folder of its own: what begins with a file's name, as an absolute
 * path. malloc()ed; NULL: no memory. */
char *cli_absolute(const char *file);

/* "hospes: MESSAGE" on standard error; returns the exit code. */
int cli_fail(const struct err *e);
void cli_help(const struct cli_command *c);

#endif
