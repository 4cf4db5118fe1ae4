/* SPDX-License-Identifier: Apache-2.0 */
/* ask.c - `hospes ask`: what else than a shutdown a guest can be asked for. */
#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/told.h"
#include "core/cfg.h"
#include "machine/control.h"

static const struct cli_option ask_options[] = {
    {"timeout", "SECONDS", "how long the guest may take (default 30)", told_timeout},
    {"json", NULL, "print the answer as JSON", told_json},
    {NULL},
};

static int ask_machine(const struct told *t, const char *name, const char *what, struct err *e)
{
    struct json_object *req;
    uint64_t bytes = 0;

    if (strncmp(what, "memory=", 7) == 0
            ? size_parse(what + 7, &bytes) < 0 || bytes == 0
            : !control_asks(what) || strcmp(what, "memory") == 0 || strcmp(what, "shutdown") == 0)
        return err_exit(
            e, EX_USAGE_, EINVAL,
            "a guest cannot be asked for '%s'; ask for reboot, freeze, thaw, time-sync, "
            "wake or memory=SIZE",
            what);
    req = json_object_new_object();
    json_object_object_add(req, "what", json_object_new_string(bytes ? "memory" : what));
    if (bytes)
        json_object_object_add(req, "value", json_object_new_int64((int64_t)bytes));
    return told_call(t, name, "ask", req, e);
}

static int ask_main(int argc, char **argv)
{
    struct told t = {.timeout = TOLD_TIMEOUT_S};
    struct err e;
    int n, rc = cli_parse(&cli_ask, argc, argv, &t, &n, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0 && n != 2)
        rc = err_exit(&e, EX_USAGE_, EINVAL, "ask wants the name of a machine, and what for");
    if (rc == 0)
        rc = ask_machine(&t, argv[1], argv[2], &e);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

const struct cli_command cli_ask = {
    .name = "ask",
    .args = "[OPTION...] NAME reboot|freeze|thaw|time-sync|wake|memory=SIZE",
    .about = "Asks a guest to restart, to freeze its file systems, to set its clock, to wake "
             "from sleep or to give memory.",
    .more = "The guest is asked by its persona's own channel, and its answer is printed. Exit\n"
            "codes: 0 it obeyed, 66 no such machine, 74 it refused, has no such channel or did\n"
            "not answer.",
    .options = ask_options,
    .run = ask_main,
};
