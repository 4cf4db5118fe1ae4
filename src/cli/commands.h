/* SPDX-License-Identifier: Apache-2.0 */
/* commands.h - the subcommands; each is in the file of its name, and in the table of main.c. */
#ifndef HOSPES_CLI_COMMANDS_H
#define HOSPES_CLI_COMMANDS_H

#include "cli/cli.h"

extern const struct cli_command cli_run;
extern const struct cli_command cli_ls, cli_stop, cli_console, cli_info, cli_doctor;
extern const struct cli_command cli_attach, cli_detach, cli_resize, cli_disc;
extern const struct cli_command cli_ask, cli_data, cli_copy, cli_screenshot, cli_type;
extern const struct cli_command cli_host;
extern const struct cli_command cli_image, cli_import, cli_export, cli_inspect;
extern const struct cli_command cli_validate, cli_catalogue, cli_support;
extern const struct cli_command cli_version, cli_help_command;

/* The inside of a software host; not for users, so in no list. */
int soft_agent_main(int argc, char **argv);

#endif
