/* SPDX-License-Identifier: Apache-2.0 */
/* info.c - see info.h and control.h. */
#include "machine/info.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INFO_KEY_MAX = 128 };

/* What devices say is text; numbers are numbers again in JSON. */
static struct json_object *value_of(const char *text)
{
    unsigned long long v;
    char *end;

    if (*text < '0' || *text > '9' || (text[0] == '0' && text[1]) || strlen(text) > 19)
        return json_object_new_string(text);
    errno = 0;
    v = strtoull(text, &end, 10);
    return *end || errno ? json_object_new_string(text) : json_object_new_uint64(v);
}

/* Some keys are the guest's own words: none takes the place of another, such as the part's id. */
void info_add(struct dump *d, const char *key, const char *value)
{
    struct info *i = container_of(d, struct info, dump);
    struct json_object *o = i->part ? i->part : i->top;
    char name[INFO_KEY_MAX];
    unsigned n = 1;

    snprintf(name, sizeof(name), "%s", key);
    while (json_object_object_get_ex(o, name, NULL))
        snprintf(name, sizeof(name), "%.*s %u", INFO_KEY_MAX - 12, key, ++n);
    json_object_object_add(o, name, value_of(value));
}

void info_text(struct info *i, const char *key, const char *value)
{
    if (value)
        json_object_object_add(i->top, key, json_object_new_string(value));
}

void info_number(struct info *i, const char *key, uint64_t value)
{
    json_object_object_add(i->top, key, json_object_new_uint64(value));
}

struct dump *info_part(struct info *i, const char *list, const char *id, const char *model)
{
    struct json_object *l;

    if (!json_object_object_get_ex(i->top, list, &l)) {
        l = json_object_new_array();
        json_object_object_add(i->top, list, l);
    }
    i->part = json_object_new_object();
    json_object_object_add(i->part, "id", json_object_new_string(id));
    if (model)
        json_object_object_add(i->part, "model", json_object_new_string(model));
    json_object_array_add(l, i->part);
    return &i->dump;
}
