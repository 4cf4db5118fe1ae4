/* SPDX-License-Identifier: Apache-2.0 */
/* info.c - `hospes info`: what a machine is and what its guest has done, seen from outside. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/line.h"
#include "cli/told.h"
#include "machine/remote.h"

enum { INFO_TIMEOUT_MS = 10000 };

struct info_wish {
    struct told t; /* first */
    bool xenstore;
};

static int info_xenstore(void *arg, const char *value, struct err *e)
{
    ((struct info_wish *)arg)->xenstore = true;
    return 0;
}

static const struct cli_option info_options[] = {
    {"json", NULL, "print one JSON object", told_json},
    {"xenstore", NULL, "show the tree that a Xen guest shares with its back ends, or change it",
     info_xenstore},
    {NULL},
};

static void info_value(int indent, const char *key, struct json_object *v)
{
    line_print(25, "%*s%-*s %s", indent, "", 24 - indent, key, json_object_get_string(v));
}

/* A list of parts: each has its id and model, and facts below them. */
static void info_parts(struct json_object *list)
{
    size_t n = json_object_array_length(list);

    for (size_t i = 0; i < n; i++) {
        struct json_object *part = json_object_array_get_idx(list, i);
        const char *model = remote_text(part, "model");

        printf("\n");
        line_print(2, "%s%s%s", remote_text(part, "id"), model ? "  " : "", model ? model : "");
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

/* xenstore, as `xenstore-ls -f` shows it. */
static void info_tree(struct json_object *o)
{
    json_object_object_foreach(o, path, v)
    {
        line_print(2, "%s = \"%s\"", path, json_object_get_string(v));
    }
}

/* more is taken over. */
static int info_ask(const char *name, const char *word, struct json_object *more, bool json,
                    void (*print)(struct json_object *o), struct err *e)
{
    struct json_object *answer, *result;
    int rc = remote_ask(name, word, more, INFO_TIMEOUT_MS, &answer, e);

    if (rc < 0)
        return rc;
    if (!json_object_object_get_ex(answer, "result", &result))
        rc = err_exit(e, EX_HOST_IO, EPROTO, "%s gave no facts", name);
    else if (json)
        line_json(json_object_get(result));
    else
        print(result);
    json_object_put(answer);
    return rc;
}

/* Other personas share data of other kinds, whose keys are no paths. */
static int info_has_store(const char *name, struct err *e)
{
    struct json_object *answer, *result;
    const char *persona = NULL;
    int rc = remote_ask(name, "info", NULL, INFO_TIMEOUT_MS, &answer, e);

    if (rc < 0)
        return rc;
    if (json_object_object_get_ex(answer, "result", &result))
        persona = remote_text(result, "persona");
    if (!persona || strncmp(persona, "xen", 3) != 0)
        rc = err_exit(e, EX_USAGE_, ENOTSUP,
                      "%s has no xenstore: its persona is %s; see hospes data", name,
                      persona ? persona : "unknown");
    json_object_put(answer);
    return rc;
}

/* what: NULL for all of the tree, PATH or PATH=VALUE. */
static int info_store(const struct info_wish *w, const char *name, const char *what, struct err *e)
{
    const char *value = what ? strchr(what, '=') : NULL;
    struct json_object *req;
    int rc = info_has_store(name, e);

    if (rc < 0)
        return rc;
    req = json_object_new_object();
    if (!value) {
        json_object_object_add(req, "prefix", json_object_new_string(what ? what : "/"));
        return info_ask(name, "data", req, w->t.json, info_tree, e);
    }
    json_object_object_add(req, "key", json_object_new_string_len(what, (int)(value - what)));
    json_object_object_add(req, "value", json_object_new_string(value + 1));
    return told_call(&w->t, name, "data-set", req, e);
}

static int info_main(int argc, char **argv)
{
    struct info_wish w = {.t.timeout = TOLD_TIMEOUT_S};
    struct err e;
    int n, rc = cli_parse(&cli_info, argc, argv, &w, &n, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0 && (n < 1 || n > (w.xenstore ? 2 : 1)))
        rc = err_exit(&e, EX_USAGE_, EINVAL, "info wants the name of one machine; see hospes ls");
    if (rc == 0 && w.xenstore)
        rc = info_store(&w, argv[1], n == 2 ? argv[2] : NULL, &e);
    else if (rc == 0)
        rc = info_ask(argv[1], "info", NULL, w.t.json, info_print, &e);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

const struct cli_command cli_info = {
    .name = "info",
    .args = "[OPTION...] NAME [PATH[=VALUE]]",
    .about = "Shows what a machine is and what its guest has done.",
    .more = "Everything is seen from outside: nothing needs to be installed in the guest.\n"
            "PATH, with --xenstore only, is absolute or below the guest's own directory; VALUE is\n"
            "written there.",
    .options = info_options,
    .run = info_main,
};
