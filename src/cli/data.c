/* SPDX-License-Identifier: Apache-2.0 */
/* data.c - `hospes data`: the text that host and guest share by the persona's own channel. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/line.h"
#include "cli/told.h"
#include "machine/remote.h"

enum { DATA_CALL_MS = 5000 };

struct data {
    struct told t; /* first */
    bool remove;
};

static int data_remove(void *arg, const char *value, struct err *e)
{
    (void)value;
    (void)e;
    ((struct data *)arg)->remove = true;
    return 0;
}

static const struct cli_option data_options[] = {
    {"remove", NULL, "take KEY away", data_remove},
    {"timeout", "SECONDS", "how long the guest may take (default 30)", told_timeout},
    {"json", NULL, "print JSON", told_json},
    {NULL},
};

static int data_show(const struct data *d, const char *name, const char *prefix, struct err *e)
{
    struct json_object *req = json_object_new_object(), *answer, *pairs;
    int rc;

    json_object_object_add(req, "prefix", json_object_new_string(prefix));
    rc = remote_ask(name, "data", req, DATA_CALL_MS, &answer, e);
    if (rc < 0)
        return rc;
    if (!json_object_object_get_ex(answer, "result", &pairs)) {
        rc = err_exit(e, EX_HOST_IO, EPROTO, "%s gave no data", name);
    } else if (d->t.json) {
        line_json(json_object_get(pairs));
    } else {
        json_object_object_foreach(pairs, key, value)
        {
            line_print(2, "%s=%s", key, json_object_get_string(value));
        }
    }
    json_object_put(answer);
    return rc;
}

static int data_change(const struct data *d, const char *name, const char *pair, struct err *e)
{
    const char *value = strchr(pair, '=');
    struct json_object *req;

    if (d->remove && value)
        return err_exit(e, EX_USAGE_, EINVAL, "--remove wants a key without a value");
    req = json_object_new_object();
    json_object_object_add(
        req, "key",
        json_object_new_string_len(pair, value ? (int)(value - pair) : (int)strlen(pair)));
    if (value)
        json_object_object_add(req, "value", json_object_new_string(value + 1));
    return told_call(&d->t, name, "data-set", req, e);
}

static int data_main(int argc, char **argv)
{
    struct data d = {.t.timeout = TOLD_TIMEOUT_S};
    struct err e;
    int n, rc = cli_parse(&cli_data, argc, argv, &d, &n, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0 && (n < 1 || n > 2 || (d.remove && n != 2)))
        rc = err_exit(&e, EX_USAGE_, EINVAL,
                      "data wants the name of a machine, and perhaps KEY or KEY=VALUE");
    if (rc == 0 && n == 2 && (d.remove || strchr(argv[2], '=')))
        rc = data_change(&d, argv[1], argv[2], &e);
    else if (rc == 0)
        rc = data_show(&d, argv[1], n == 2 ? argv[2] : "", &e);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

const struct cli_command cli_data = {
    .name = "data",
    .args = "[OPTION...] NAME [KEY[=VALUE]]",
    .about = "Shows or changes the text that host and guest share.",
    .more = "That is Hyper-V's key-value pairs, xenstore, or VMware's guestinfo. Without a value,\n"
            "every key that begins with KEY is shown. Exit codes: 0 done, 64 a key that the host\n"
            "may not set, 66 no such machine, 74 the guest refused or did not answer.",
    .options = data_options,
    .run = data_main,
};
