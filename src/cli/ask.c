/* SPDX-License-Identifier: Apache-2.0 */
/* ask.c - `hospes ask`: what else than a shutdown a guest can be asked for. */
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
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

/* 0: no number. */
static uint64_t ask_count(const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    return *text < '0' || *text > '9' || *end ? 0 : n;
}

/* memory=SIZE and cpus=N, cut to the word; NULL: not so, or for nothing. */
static const char *ask_value(const char *what, uint64_t *value)
{
    *value = 0;
    if (strncmp(what, "memory=", 7) == 0)
        return size_parse(what + 7, value) == 0 && *value ? "memory" : NULL;
    if (strncmp(what, "cpus=", 5) == 0)
        return (*value = ask_count(what + 5)) ? "cpus" : NULL;
    return NULL;
}

static int ask_machine(const struct told *t, const char *name, const char *what, struct err *e)
{
    static const char *const not_alone[] = {"memory", "cpus", "shutdown"};
    struct json_object *req;
    uint64_t value;
    const char *word = ask_value(what, &value);
    bool alone = control_asks(what);

    for (size_t i = 0; i < ARRAY_SIZE(not_alone); i++)
        alone &= strcmp(what, not_alone[i]) != 0;
    if (!word && !alone)
        return err_exit(
            e, EX_USAGE_, EINVAL,
            "a guest cannot be asked for '%s'; ask for reboot, freeze, thaw, time-sync, "
            "wake, memory=SIZE or cpus=N",
            what);
    req = json_object_new_object();
    json_object_object_add(req, "what", json_object_new_string(word ? word : what));
    if (word)
        json_object_object_add(req, "value", json_object_new_int64((int64_t)value));
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
    .args = "[OPTION...] NAME reboot|freeze|thaw|time-sync|wake|memory=SIZE|cpus=N",
    .about = "Asks a guest to restart, to freeze its file systems, to set its clock, to wake "
             "from sleep or to give memory, and gives it processors.",
    .more = "The guest is asked by its persona's own channel, and its answer is printed. Exit\n"
            "codes: 0 it obeyed, 66 no such machine, 74 it refused, has no such channel or did\n"
            "not answer.",
    .options = ask_options,
    .run = ask_main,
};
