/* SPDX-License-Identifier: Apache-2.0 */
/* cli.c - see cli.h: options, help, error messages. */
#define _GNU_SOURCE
#include "cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/line.h"

enum { CLI_COLUMN = 26 };

static void cli_help_line(const char *name, const char *arg, const char *about)
{
    const char *dashes = name[1] ? "--" : "-";
    int n = printf("  %s%s%s%s", dashes, name, arg ? " " : "", arg ? arg : "");

    if (n >= CLI_COLUMN)
        n = printf("\n") - 1;
    printf("%*s%s\n", CLI_COLUMN - n, "", about);
}

void cli_help(const struct cli_command *c)
{
    printf("usage: hospes %s %s\n\n%s\n\nOptions:\n", c->name, c->args, c->about);
    for (const struct cli_option *o = c->options; o && o->name; o++)
        cli_help_line(o->name, o->arg, o->about);
    cli_help_line("help", NULL, "print this and end");
    if (c->more)
        printf("\n%s\n", c->more);
}

char *cli_absolute(const char *file)
{
    char here[PATH_MAX], *path;

    if (*file == '/')
        return strdup(file);
    if (!getcwd(here, sizeof(here)) || asprintf(&path, "%s/%s", here, file) < 0)
        return NULL;
    return path;
}

int cli_fail(const struct err *e)
{
    line_complain("hospes: %s", e->msg);
    return e->exit;
}

static const struct cli_option *cli_option_find(const struct cli_command *c, const char *name,
                                                size_t n)
{
    for (const struct cli_option *o = c->options; o && o->name; o++) {
        if (strlen(o->name) == n && strncmp(o->name, name, n) == 0)
            return o;
    }
    return NULL;
}

/* One option at argv[*i]; moves *i on when its value is the next word. */
static int cli_option_take(const struct cli_command *c, int argc, char **argv, int *i, void *arg,
                           struct err *e)
{
    bool letter = argv[*i][1] != '-'; /* -f FORMAT or -fFORMAT */
    const char *word = argv[*i] + (letter ? 1 : 2), *value = strchr(word, '=');
    size_t n = letter ? 1 : value ? (size_t)(value - word) : strlen(word);
    const struct cli_option *o = cli_option_find(c, word, n);

    if (!o)
        return err_exit(e, EX_USAGE_, EINVAL, "%s has no option %.*s; see hospes help %s", c->name,
                        (int)(word - argv[*i] + (ptrdiff_t)n), argv[*i], c->name);
    if (letter)
        value = word[1] ? word : NULL;
    if (!o->arg && value)
        return err_exit(e, EX_USAGE_, EINVAL, "%.*s takes no value",
                        (int)(word - argv[*i] + (ptrdiff_t)n), argv[*i]);
    if (value)
        value++;
    else if (o->arg) {
        if (*i + 1 >= argc)
            return err_exit(e, EX_USAGE_, EINVAL, "%s wants %s; see hospes help %s", argv[*i],
                            o->arg, c->name);
        value = argv[++*i];
    }
    return o->set(arg, value, e);
}

int cli_parse(const struct cli_command *c, int argc, char **argv, void *arg, int *operands,
              struct err *e)
{
    bool options = true;
    int n = 0;

    for (int i = 1; i < argc; i++) {
        int rc;

        if (!options || argv[i][0] != '-' || argv[i][1] == '\0') {
            argv[++n] = argv[i];
            continue;
        }
        if (strcmp(argv[i], "--") == 0) {
            options = false;
            continue;
        }
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
            cli_help(c);
            return 1;
        }
        rc = cli_option_take(c, argc, argv, &i, arg, e);
        if (rc < 0)
            return rc;
    }
    *operands = n;
    return 0;
}

static const char *cli_part_name(const struct cli_group *g, const struct cli_command *part)
{
    return part->name + strlen(g->name) + 1;
}

static void cli_group_help(const struct cli_group *g, FILE *out)
{
    fprintf(out, "usage: hospes %s COMMAND [OPTION...] [ARGUMENT...]\n\nCommands:\n", g->name);
    for (size_t i = 0; g->parts[i]; i++)
        fprintf(out, "  %-*s %s\n", g->column, cli_part_name(g, g->parts[i]), g->parts[i]->about);
    if (g->more)
        g->more(out);
}

int cli_group_run(const struct cli_group *g, int argc, char **argv)
{
    struct err e;

    if (argc < 2) {
        cli_group_help(g, stderr);
        return EX_USAGE_;
    }
    if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) {
        cli_group_help(g, stdout);
        return EX_OK;
    }
    for (size_t i = 0; g->parts[i]; i++) {
        if (strcmp(argv[1], cli_part_name(g, g->parts[i])) == 0)
            return g->parts[i]->run(argc - 1, argv + 1);
    }
    (void)err_exit(&e, EX_USAGE_, EINVAL, "%s has no command \"%s\"; see hospes %s --help", g->name,
                   argv[1], g->name);
    return cli_fail(&e);
}
