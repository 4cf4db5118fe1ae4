/* SPDX-License-Identifier: Apache-2.0 */
/* info.c - `hospes info`: what a machine is and what its guest has done, seen from outside. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "machine/remote.h"

enum { INFO_TIMEOUT_MS = 10000 };

static int info_json(void *arg, const char *value, struct err *e)
{
    *(bool *)arg = true;
    return 0;
}

static const struct cli_option info_options[] = {
    {"json", NULL, "print one JSON object", info_json},
    {NULL},
};

static void info_value(int indent, const char *key, struct json_object *v)
{
    printf("%*s%-*s %s\n", indent, "", 24 - indent, key, json_object_get_string(v));
}

/* A list of parts: each has its id and model, and facts below them. */
static void info_parts(struct json_object *list)
{
    size_t n = json_object_array_length(list);

    for (size_t i = 0; i < n; i++) {
        struct json_object *part = json_object_array_get_idx(list, i);
        const char *model = remote_text(part, "model");

        printf("\n%s%s%s\n", remote_text(part, "id"), model ? "  " : "", model ? model : "");
        json_object_object_foreach(part, key, v)
        {
            if (strcmp(key, "id") != 0 && strcmp(key, "model") != 0)
                info_value(2, key, v);
        }
    }
}

static void info_print(struct json_object *o)
{
    json_object_object_foreach(o, key, v)
    {
        if (strcmp(key, "memory") == 0)
            printf("%-24s %llu MiB\n", key, (unsigned long long)(remote_number(o, key) / MiB));
        else if (!json_object_is_type(v, json_type_array))
            info_value(0, key, v);
    }
    json_object_object_foreach(o, name, list)
    {
        (void)name;
        if (json_object_is_type(list, json_type_array))
            info_parts(list);
    }
}

static int info_machine(const char *name, bool json, struct err *e)
{
    struct json_object *answer, *result;
    struct remote *r;
    int rc = remote_open(name, &r, e);

    if (rc < 0)
        return rc;
    rc = remote_call(r, "info", NULL, INFO_TIMEOUT_MS, &answer, e);
    remote_close(r);
    if (rc < 0)
        return rc;
    if (!json_object_object_get_ex(answer, "result", &result))
        rc = err_exit(e, EX_HOST_IO, EPROTO, "%s gave no facts", name);
    else if (json)
        printf("%s\n", json_object_to_json_string_ext(result, JSON_C_TO_STRING_PLAIN |
                                                                  JSON_C_TO_STRING_NOSLASHESCAPE));
    else
        info_print(result);
    json_object_put(answer);
    return rc;
}

static int info_main(int argc, char **argv)
{
    bool json = false;
    struct err e;
    int n, rc = cli_parse(&cli_info, argc, argv, &json, &n, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0 && n != 1)
        rc = err_exit(&e, EX_USAGE_, EINVAL, "info wants the name of one machine; see hospes ls");
    if (rc == 0)
        rc = info_machine(argv[1], json, &e);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

const struct cli_command cli_info = {
    .name = "info",
    .args = "[OPTION...] NAME",
    .about = "Shows what a machine is and what its guest has done.",
    .more = "Everything is seen from outside: nothing needs to be installed in the guest.",
    .options = info_options,
    .run = info_main,
};
