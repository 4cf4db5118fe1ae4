/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outside.c - rules over the facts of `hospes info`: `[!] LIST[:MODEL] | KEY | VALUE`, each a
 * pattern of fnmatch(3). A rule holds when one part of LIST, whose model matches, has a key and a
 * value that do; with
 * `!` it holds when none has.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fnmatch.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "core/err.h"
#include "validation/cell.h"

struct rule {
    bool none; /* must hold for no part */
    char list[200], model[200], key[200], value[200];
};

static void rule_trim(char *out, const char *from, size_t len)
{
    while (len > 0 && *from == ' ') {
        from++;
        len--;
    }
    while (len > 0 && from[len - 1] == ' ')
        len--;
    snprintf(out, 200, "%.*s", (int)min_u64(len, 199), from);
}

static int rule_parse(const char *text, struct rule *r, struct err *e)
{
    const char *one = strchr(text, '|'), *two = one ? strchr(one + 1, '|') : NULL;
    char *colon;

    if (!two)
        return err_set(e, EINVAL, "\"%.100s\" is no rule: LIST[:MODEL] | KEY | VALUE", text);
    r->none = *text == '!';
    text += r->none;
    rule_trim(r->list, text, (size_t)(one - text));
    rule_trim(r->key, one + 1, (size_t)(two - one - 1));
    rule_trim(r->value, two + 1, strlen(two + 1));
    colon = strchr(r->list, ':');
    snprintf(r->model, sizeof(r->model), "%s", colon ? colon + 1 : "*");
    if (colon)
        *colon = '\0';
    return 0;
}

static bool part_matches(const struct rule *r, struct json_object *part)
{
    struct json_object *model = NULL;

    if (!json_object_is_type(part, json_type_object))
        return false;
    json_object_object_get_ex(part, "model", &model);
    if (strcmp(r->model, "*") != 0 &&
        (!model || fnmatch(r->model, json_object_get_string(model), 0) != 0))
        return false;
    json_object_object_foreach(part, key, value)
    {
        const char *text = value ? json_object_get_string(value) : "";

        if (fnmatch(r->key, key, 0) == 0 && fnmatch(r->value, text, 0) == 0)
            return true;
    }
    return false;
}

int outside_rule(const char *rule, struct json_object *info, bool *holds, struct err *e)
{
    struct json_object *list = NULL;
    struct rule r;
    bool found = false;
    int rc = rule_parse(rule, &r, e);

    if (rc < 0)
        return rc;
    if (json_object_object_get_ex(info, r.list, &list) &&
        json_object_is_type(list, json_type_array))
        for (size_t i = 0; !found && i < json_object_array_length(list); i++)
            found = part_matches(&r, json_object_array_get_idx(list, i));
    *holds = found != r.none;
    return 0;
}
