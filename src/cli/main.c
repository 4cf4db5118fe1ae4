/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the table of subcommands, and the two that are too short for a file of their own. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"

static int main_version(int argc, char **argv)
{
    struct err e;
    int n, rc = cli_parse(&cli_version, argc, argv, NULL, &n, &e);

    if (rc < 0)
        return cli_fail(&e);
    if (rc == 0)
        printf("hospes %s\n", HOSPES_VERSION);
    return EX_OK;
}

const struct cli_command cli_version = {
    .name = "version",
    .args = "",
    .about = "Prints the version.",
    .run = main_version,
};

static void main_usage(FILE *out)
{
    fprintf(out, "usage: hospes COMMAND [OPTION...] [ARGUMENT...]\n\nCommands:\n");
    for (size_t i = 0; cli_commands[i]; i++)
        fprintf(out, "  %-12s %s\n", cli_commands[i]->name, cli_commands[i]->about);
    fprintf(out, "\n`hospes help COMMAND` tells more about one.\n");
}

static int main_help(int argc, char **argv)
{
    const struct cli_command *c;
    struct err e;
    int n, rc = cli_parse(&cli_help_command, argc, argv, NULL, &n, &e);

    if (rc < 0)
        return cli_fail(&e);
    if (rc > 0)
        return EX_OK;
    if (n == 0) {
        main_usage(stdout);
        return EX_OK;
    }
    c = cli_find(argv[1]);
    if (!c) {
        (void)err_exit(&e, EX_USAGE_, EINVAL, "there is no command \"%s\"; see hospes help",
                       argv[1]);
        return cli_fail(&e);
    }
    cli_help(c);
    return EX_OK;
}

const struct cli_command cli_help_command = {
    .name = "help",
    .args = "[COMMAND]",
    .about = "Lists the commands, or explains one.",
    .run = main_help,
};

/* clang-format off: one a line */
const struct cli_command *const cli_commands[] = {
    &cli_run,     &cli_ls,      &cli_stop,         &cli_console,    &cli_info,    &cli_doctor,
    &cli_ask,     &cli_data,    &cli_copy,         &cli_screenshot, &cli_type,    &cli_host,
    &cli_image,   &cli_import,  &cli_validate,     &cli_catalogue,  &cli_support, &cli_export,
    &cli_inspect, &cli_version, &cli_help_command, &cli_attach,     &cli_detach,  &cli_resize,
    &cli_disc,    NULL,
};
/* clang-format on */

const struct cli_command *cli_find(const char *name)
{
    for (size_t i = 0; cli_commands[i]; i++) {
        if (strcmp(cli_commands[i]->name, name) == 0)
            return cli_commands[i];
    }
    return NULL;
}

/* A closed standard stream leads nowhere: its number must not become a disk's, which would then get
 * what is printed. */
static void main_streams(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd < STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

/* What was printed has arrived, or `code` is not the truth. Who stops reading wants no more. */
static int main_ended(int code)
{
    int failed = fflush(stdout) != 0 ? errno : ferror(stdout) ? EIO : 0;
    struct err e;

    if (code != EX_OK || failed == 0 || failed == EPIPE)
        return code;
    (void)err_exit(&e, EX_HOST_IO, failed,
                   "cannot write to standard output: %s; what was printed is not complete",
                   strerror(failed));
    return cli_fail(&e);
}

int main(int argc, char **argv)
{
    const struct cli_command *c;
    struct err e;

    main_streams();
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of its write */
    if (argc < 2) {
        main_usage(stderr);
        return EX_USAGE_;
    }
    if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) {
        main_usage(stdout);
        return main_ended(EX_OK);
    }
    if (strcmp(argv[1], "--version") == 0)
        argv[1] += 2;
    if (strcmp(argv[1], "soft-agent") == 0)
        return soft_agent_main(argc - 1, argv + 1);
    c = cli_find(argv[1]);
    if (!c) {
        (void)err_exit(&e, EX_USAGE_, EINVAL, "there is no command \"%s\"; see hospes help",
                       argv[1]);
        return cli_fail(&e);
    }
    return main_ended(c->run(argc - 1, argv + 1));
}
