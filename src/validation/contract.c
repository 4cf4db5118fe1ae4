/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contract.c - see contract.h. Facts become uses by three rules: a part of the list "uses" is one;
 * a device is used when it says what its driver did; a fact of the guest is used when it names a
 * version, a protocol or a state, or counts something. Counts differ from run to run, so they stay
 * out of the detail, which is what diff compares.
 */
#define _GNU_SOURCE
#include "validation/contract.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "validation/record.h"
#include "validation/vjson.h"

enum { CONTRACT_VERSION = 1, CONTRACT_USES_MAX = 4096 };

void contract_free(struct contract *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->use[i].kind);
        free(c->use[i].name);
        free(c->use[i].detail);
    }
    free(c->use);
    free(c->cell);
    free(c->persona);
    free(c->guest);
    memset(c, 0, sizeof(*c));
}

static int contract_add(struct contract *c, const char *kind, const char *name, const char *detail,
                        uint64_t count, struct err *e)
{
    struct contract_use *grown =
        c->n < CONTRACT_USES_MAX ? reallocarray(c->use, c->n + 1, sizeof(*grown)) : NULL;
    int rc;

    if (!grown)
        return err_set(e, E2BIG, "a contract has at most %d uses", CONTRACT_USES_MAX);
    c->use = grown;
    grown += c->n++;
    *grown = (struct contract_use){.count = count};
    rc = vtext_set(&grown->kind, kind, e);
    if (rc == 0)
        rc = vtext_set(&grown->name, name, e);
    return rc < 0 ? rc : vtext_set(&grown->detail, detail && *detail ? detail : NULL, e);
}

static int use_compare(const void *one, const void *two)
{
    const struct contract_use *a = one, *b = two;
    int d = strcmp(a->kind, b->kind);

    if (d == 0)
        d = strcmp(a->name, b->name);
    return d ? d : strcmp(a->detail ? a->detail : "", b->detail ? b->detail : "");
}

static const char *text_of(struct json_object *part, const char *key)
{
    struct json_object *v = NULL;

    return json_object_object_get_ex(part, key, &v) ? json_object_get_string(v) : NULL;
}

static uint64_t number_of(struct json_object *part, const char *key)
{
    struct json_object *v = NULL;

    return json_object_object_get_ex(part, key, &v) ? json_object_get_uint64(v) : 0;
}

/* --- the three rules --- */

/* "msr 0x40000000" with reads, writes or calls. */
static int of_use(struct contract *c, struct json_object *part, struct err *e)
{
    const char *id = text_of(part, "id"), *blank = id ? strchr(id, ' ') : NULL;
    uint64_t reads = number_of(part, "reads"), writes = number_of(part, "writes");
    char kind[32];

    if (!blank)
        return 0;
    snprintf(kind, sizeof(kind), "%.*s", (int)(blank - id), id);
    return contract_add(c, kind, blank + 1,
                        reads && writes ? "read, written"
                        : reads         ? "read"
                        : writes        ? "written"
                                        : NULL,
                        reads + writes + number_of(part, "calls"), e);
}

static int of_device(struct contract *c, struct json_object *part, struct err *e)
{
    const char *driver = text_of(part, "driver"), *model = text_of(part, "model");

    if (!driver || !model || strncmp(driver, "not bound", 9) == 0)
        return 0;
    return contract_add(c, "device", model, driver, 0, e);
}

/* Up to the first comma, which is where counts begin. */
static void head_of(const char *text, char *out, size_t room)
{
    snprintf(out, room, "%.*s", (int)strcspn(text, ","), text);
}

static int of_guest(struct contract *c, const char *key, const char *value, struct err *e)
{
    static const char *const identity[] = {"guest", "guest os id", "operating system",
                                           "tools version"};
    static const char *const telling[] = {"version", "protocol", "state",     "running",
                                          "told",    "mapped",   "stub page", "vector"};
    char head[200];

    for (size_t i = 0; i < ARRAY_SIZE(identity); i++) {
        if (strcmp(key, identity[i]) == 0)
            return contract_add(c, "identity", key, value, 0, e);
    }
    if (strncmp(key, "hypercall ", 10) == 0 || strncmp(key, "command ", 8) == 0)
        return contract_add(c, key[0] == 'h' ? "hypercall" : "backdoor", strchr(key, ' ') + 1, NULL,
                            strtoull(value, NULL, 10), e);
    head_of(value, head, sizeof(head));
    for (size_t i = 0; i < ARRAY_SIZE(telling); i++) {
        if (strstr(key, telling[i]) || strstr(head, telling[i]))
            return contract_add(c, strstr(head, "protocol") ? "channel" : "service", key, head, 0,
                                e);
    }
    return 0;
}

static int of_list(struct contract *c, struct json_object *info, const char *name,
                   int (*one)(struct contract *, struct json_object *, struct err *), struct err *e)
{
    struct json_object *list = NULL;
    int rc = 0;

    if (!json_object_object_get_ex(info, name, &list) ||
        !json_object_is_type(list, json_type_array))
        return 0;
    for (size_t i = 0; rc == 0 && i < json_object_array_length(list); i++) {
        struct json_object *part = json_object_array_get_idx(list, i);

        if (json_object_is_type(part, json_type_object))
            rc = one(c, part, e);
    }
    return rc;
}

static int of_guest_part(struct contract *c, struct json_object *part, struct err *e)
{
    int rc = 0;

    json_object_object_foreach(part, key, value)
    {
        if (rc == 0 && value && strcmp(key, "id") != 0 && strcmp(key, "model") != 0)
            rc = of_guest(c, key, json_object_get_string(value), e);
    }
    return rc;
}

int contract_of_info(struct contract *c, struct json_object *info, const char *cell,
                     const char *guest, struct err *e)
{
    const char *persona = text_of(info, "persona");
    int rc = vtext_set(&c->cell, cell, e);

    if (rc == 0)
        rc = vtext_set(&c->guest, guest, e);
    if (rc == 0)
        rc = vtext_set(&c->persona, persona ? persona : "none", e);
    if (rc == 0)
        rc = of_list(c, info, "uses", of_use, e);
    if (rc == 0)
        rc = of_list(c, info, "devices", of_device, e);
    if (rc == 0)
        rc = of_list(c, info, "guest", of_guest_part, e);
    if (c->n)
        qsort(c->use, c->n, sizeof(*c->use), use_compare);
    return rc;
}

/* --- JSON --- */

int contract_to_json(const struct contract *c, char **out, struct err *e)
{
    struct json_object *o = json_object_new_object(), *list = json_object_new_array();

    vjson_add_number(o, "hospes-contract", CONTRACT_VERSION);
    vjson_add_text(o, "cell", c->cell);
    vjson_add_text(o, "persona", c->persona);
    vjson_add_text(o, "guest", c->guest);
    for (size_t i = 0; i < c->n; i++) {
        struct json_object *u = json_object_new_object();

        vjson_add_text(u, "kind", c->use[i].kind);
        vjson_add_text(u, "name", c->use[i].name);
        vjson_add_text(u, "detail", c->use[i].detail);
        if (c->use[i].count)
            vjson_add_number(u, "count", c->use[i].count);
        json_object_array_add(list, u);
    }
    json_object_object_add(o, "uses", list);
    return vjson_print(o, out, e);
}

static void contract_read_use(struct vjson *j, struct contract *c, struct json_object *o)
{
    struct contract_use *u;

    if (j->rc == 0)
        j->rc = contract_add(c, NULL, NULL, NULL, 0, j->e);
    if (j->rc < 0)
        return;
    u = &c->use[c->n - 1];
    vjson_text(j, o, "kind", true, &u->kind);
    vjson_text(j, o, "name", true, &u->name);
    vjson_text(j, o, "detail", false, &u->detail);
    vjson_number(j, o, "count", false, INT64_MAX, &u->count);
    if (j->rc == 0 && c->n > 1 && use_compare(u - 1, u) > 0)
        vjson_bad(j, "uses", "sorted");
}

int contract_from_json(struct contract *c, const char *text, size_t len, struct err *e)
{
    struct json_object *list;
    uint64_t version = 0;
    char *again = NULL;
    struct vjson j;

    memset(c, 0, sizeof(*c));
    vjson_open(&j, "the contract", text, len, e);
    vjson_number(&j, j.top, "hospes-contract", true, INT32_MAX, &version);
    if (j.rc == 0 && version != CONTRACT_VERSION)
        vjson_bad(&j, "hospes-contract", "1, the only version that this program knows");
    vjson_text(&j, j.top, "cell", true, &c->cell);
    vjson_text(&j, j.top, "persona", true, &c->persona);
    vjson_text(&j, j.top, "guest", true, &c->guest);
    list = vjson_list(&j, j.top, "uses", true, CONTRACT_USES_MAX);
    for (size_t i = 0; list && j.rc == 0 && i < json_object_array_length(list); i++)
        contract_read_use(&j, c, vjson_item(&j, list, i));
    if (j.rc == 0) {
        j.rc = contract_to_json(c, &again, e);
        vjson_same(&j, text, len, again);
    }
    vjson_close(&j);
    return j.rc;
}

/* --- the difference --- */

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static int name_compare(const struct contract_use *a, const struct contract_use *b)
{
    int d = strcmp(a->kind, b->kind);

    return d ? d : strcmp(a->name, b->name);
}

size_t contract_diff(const struct contract *a, const struct contract *b,
                     void (*each)(void *arg, enum contract_change what,
                                  const struct contract_use *a, const struct contract_use *b),
                     void *arg)
{
    size_t i = 0, k = 0, n = 0;

    while (i < a->n || k < b->n) {
        int d = i == a->n ? 1 : k == b->n ? -1 : name_compare(&a->use[i], &b->use[k]);

        if (d < 0) {
            each(arg, CONTRACT_GONE, &a->use[i++], NULL);
            n++;
        } else if (d > 0) {
            each(arg, CONTRACT_NEW, NULL, &b->use[k++]);
            n++;
        } else {
            if (!same_text(a->use[i].detail, b->use[k].detail)) {
                each(arg, CONTRACT_CHANGED, &a->use[i], &b->use[k]);
                n++;
            }
            i++;
            k++;
        }
    }
    return n;
}
