/* SPDX-License-Identifier: Apache-2.0 */
/* record_json.c - a record as JSON and back; docs/reference/validation.md describes the form. */
#define _GNU_SOURCE
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "validation/record.h"
#include "validation/vjson.h"

enum { RECORD_VERSION = 1 };

/* --- to JSON --- */

static struct json_object *json_of_facts(const struct vfacts *f)
{
    struct json_object *o = json_object_new_object();

    for (size_t i = 0; i < f->n; i++)
        vjson_add_text(o, f->fact[i].key, f->fact[i].value);
    return o;
}

static struct json_object *json_of_files(const struct vfiles *f)
{
    struct json_object *list = json_object_new_array();

    for (size_t i = 0; i < f->n; i++) {
        struct json_object *o = json_object_new_object();

        vjson_add_text(o, "role", f->file[i].role);
        vjson_add_text(o, "name", f->file[i].name);
        vjson_add_number(o, "size", f->file[i].size);
        vjson_add_text(o, "sha256", f->file[i].sha256);
        json_object_array_add(list, o);
    }
    return list;
}

static struct json_object *json_of_suites(const struct vrecord *r)
{
    struct json_object *list = json_object_new_array();

    for (size_t i = 0; i < r->suites; i++) {
        struct json_object *o = json_object_new_object();

        vjson_add_text(o, "name", r->suite[i].name);
        vjson_add_number(o, "version", r->suite[i].version);
        vjson_add_text(o, "owner", r->suite[i].owner);
        vjson_add_text(o, "sha256", r->suite[i].sha256);
        json_object_array_add(list, o);
    }
    return list;
}

static struct json_object *json_of_controls(const struct vrecord *r)
{
    struct json_object *list = json_object_new_array();

    for (size_t i = 0; i < r->controls; i++) {
        struct json_object *o = json_object_new_object();

        vjson_add_text(o, "id", r->control[i].id);
        vjson_add_text(o, "status", vstatus_word(r->control[i].status));
        vjson_add_text(o, "why", r->control[i].why);
        json_object_array_add(list, o);
    }
    return list;
}

static struct json_object *json_of_check(const struct vcheck *c)
{
    struct json_object *o = json_object_new_object(), *list = json_object_new_array();

    vjson_add_text(o, "id", c->id);
    vjson_add_text(o, "suite", c->suite);
    vjson_add_flag(o, "mandatory", c->mandatory);
    vjson_add_text(o, "status", vstatus_word(c->status));
    vjson_add_text(o, "why", c->why);
    vjson_add_text(o, "issue", c->issue);
    for (size_t i = 0; i < c->attempts; i++) {
        struct json_object *a = json_object_new_object();

        vjson_add_text(a, "status", vstatus_word(c->attempt[i].status));
        vjson_add_number(a, "ms", c->attempt[i].ms);
        vjson_add_text(a, "why", c->attempt[i].why);
        vjson_add_number(a, "from", c->attempt[i].from);
        vjson_add_number(a, "to", c->attempt[i].to);
        json_object_array_add(list, a);
    }
    json_object_object_add(o, "attempts", list);
    return o;
}

int vrecord_to_json(const struct vrecord *r, char **out, struct err *e)
{
    struct json_object *o = json_object_new_object(), *p = json_object_new_object(), *list;

    vjson_add_number(o, "hospes-result", RECORD_VERSION);
    vjson_add_text(o, "cell", r->cell);
    vjson_add_number(o, "number", r->number);
    vjson_add_text(p, "name", r->plan);
    vjson_add_text(p, "sha256", r->plan_sha256);
    json_object_object_add(o, "plan", p);
    vjson_add_text(o, "verdict", vstatus_word(r->verdict));
    vjson_add_flag(o, "validated", r->validated);
    vjson_add_text(o, "started", r->started);
    vjson_add_number(o, "ms", r->ms);
    vjson_add_text(o, "end", r->end);
    json_object_object_add(o, "host", json_of_facts(&r->host));
    json_object_object_add(o, "guest", json_of_facts(&r->guest));
    vjson_add_text(o, "persona", r->persona);
    vjson_add_text(o, "persona-options", r->persona_opts);
    vjson_add_number(o, "cpus", r->cpus);
    vjson_add_number(o, "memory", r->memory);
    vjson_add_text(o, "firmware", r->firmware);
    vjson_add_text(o, "disk", r->disk);
    vjson_add_text(o, "network", r->network);
    json_object_object_add(o, "inputs", json_of_files(&r->inputs));
    json_object_object_add(o, "suites", json_of_suites(r));
    vjson_add_text(o, "level", r->level);
    vjson_add_text(o, "command", r->command);
    if (r->controls)
        json_object_object_add(o, "control", json_of_controls(r));
    list = json_object_new_array();
    for (size_t i = 0; i < r->checks; i++)
        json_object_array_add(list, json_of_check(&r->check[i]));
    json_object_object_add(o, "checks", list);
    json_object_object_add(o, "files", json_of_files(&r->files));
    return vjson_print(o, out, e);
}

/* --- from JSON --- */

static void read_facts(struct vjson *j, struct json_object *top, const char *key, struct vfacts *f)
{
    struct json_object *o = vjson_object(j, top, key, true);

    if (!o)
        return;
    json_object_object_foreach(o, name, value)
    {
        if (!json_object_is_type(value, json_type_string) ||
            json_object_get_string_len(value) == 0 ||
            (size_t)json_object_get_string_len(value) > V_TEXT_MAX)
            vjson_bad(j, key, "a list of texts");
        if (j->rc == 0)
            j->rc = vfacts_set(f, name, json_object_get_string(value), j->e);
    }
}

static void read_files(struct vjson *j, struct json_object *top, const char *key, bool roles,
                       struct vfiles *f)
{
    struct json_object *list = vjson_list(j, top, key, true, V_LIST_MAX);

    for (size_t i = 0; list && j->rc == 0 && i < json_object_array_length(list); i++) {
        struct json_object *o = vjson_item(j, list, i);
        struct vfile *at;

        if (j->rc == 0)
            j->rc = vfiles_add(f, NULL, NULL, 0, "", j->e);
        if (j->rc < 0)
            return;
        at = &f->file[f->n - 1];
        vjson_text(j, o, "role", roles, &at->role);
        vjson_text(j, o, "name", true, &at->name);
        vjson_number(j, o, "size", true, INT64_MAX, &at->size);
        vjson_sha(j, o, "sha256", at->sha256);
    }
}

static void read_suites(struct vjson *j, struct vrecord *r)
{
    struct json_object *list = vjson_list(j, j->top, "suites", true, V_LIST_MAX);

    for (size_t i = 0; list && j->rc == 0 && i < json_object_array_length(list); i++) {
        struct json_object *o = vjson_item(j, list, i);
        struct vsuite_ref *at;
        uint64_t version = 0;

        if (j->rc == 0)
            j->rc = vrecord_add_suite(r, NULL, 0, NULL, "", j->e);
        if (j->rc < 0)
            return;
        at = &r->suite[r->suites - 1];
        vjson_text(j, o, "name", true, &at->name);
        vjson_number(j, o, "version", true, UINT32_MAX, &version);
        at->version = (unsigned)version;
        vjson_text(j, o, "owner", true, &at->owner);
        vjson_sha(j, o, "sha256", at->sha256);
    }
}

static void read_status(struct vjson *j, struct json_object *o, const char *key, enum vstatus *out)
{
    char *word = NULL;

    vjson_text(j, o, key, true, &word);
    if (j->rc == 0 && !vstatus_of(word, out))
        vjson_bad(j, key, "a status word");
    free(word);
}

static void read_controls(struct vjson *j, struct vrecord *r)
{
    struct json_object *list = vjson_list(j, j->top, "control", false, V_CHECKS_MAX);

    for (size_t i = 0; list && j->rc == 0 && i < json_object_array_length(list); i++) {
        struct json_object *o = vjson_item(j, list, i);

        if (j->rc == 0)
            j->rc = vrecord_add_control(r, NULL, V_MISS, NULL, j->e);
        if (j->rc < 0)
            return;
        vjson_text(j, o, "id", true, &r->control[i].id);
        read_status(j, o, "status", &r->control[i].status);
        vjson_text(j, o, "why", false, &r->control[i].why);
    }
}

static void read_attempts(struct vjson *j, struct json_object *o, struct vcheck *c)
{
    struct json_object *list = vjson_list(j, o, "attempts", true, V_ATTEMPTS_MAX);

    for (size_t i = 0; list && j->rc == 0 && i < json_object_array_length(list); i++) {
        struct json_object *a = vjson_item(j, list, i);
        uint64_t ms = 0, from = 0, to = 0;
        enum vstatus status = V_MISS;

        read_status(j, a, "status", &status);
        vjson_number(j, a, "ms", true, INT64_MAX, &ms);
        vjson_number(j, a, "from", true, UINT32_MAX, &from);
        vjson_number(j, a, "to", true, UINT32_MAX, &to);
        if (j->rc == 0)
            j->rc = vcheck_add_attempt(c, status, ms, NULL, (uint32_t)from, (uint32_t)to, j->e);
        if (j->rc == 0)
            vjson_text(j, a, "why", false, &c->attempt[i].why);
    }
}

/* A status that its attempts do not bear out would be a lie that nobody sees in the list. */
static void judge_attempts(struct vjson *j, const struct vcheck *c)
{
    bool passed = c->attempts > 0 && c->attempt[c->attempts - 1].status == V_PASS;

    if (c->status == V_PASS && (c->attempts != 1 || !passed))
        vjson_bad(j, c->id, "PASS by its attempts");
    if (c->status == V_FLAKY && (c->attempts < 2 || !passed))
        vjson_bad(j, c->id, "FLAKY by its attempts");
}

static void read_checks(struct vjson *j, struct vrecord *r)
{
    struct json_object *list = vjson_list(j, j->top, "checks", true, V_CHECKS_MAX);

    for (size_t i = 0; list && j->rc == 0 && i < json_object_array_length(list); i++) {
        struct json_object *o = vjson_item(j, list, i);
        struct vcheck *c = NULL;

        if (j->rc == 0)
            j->rc = vrecord_add_check(r, NULL, NULL, false, &c, j->e);
        if (!c || j->rc < 0)
            return;
        vjson_text(j, o, "id", true, &c->id);
        vjson_text(j, o, "suite", true, &c->suite);
        vjson_flag(j, o, "mandatory", true, &c->mandatory);
        read_status(j, o, "status", &c->status);
        vjson_text(j, o, "why", false, &c->why);
        vjson_text(j, o, "issue", false, &c->issue);
        read_attempts(j, o, c);
        if (j->rc == 0)
            judge_attempts(j, c);
    }
}

static void read_plain(struct vjson *j, struct vrecord *r)
{
    struct json_object *plan;
    uint64_t version = 0, number = 0, cpus = 0;

    vjson_number(j, j->top, "hospes-result", true, INT32_MAX, &version);
    if (j->rc == 0 && version != RECORD_VERSION)
        vjson_bad(j, "hospes-result", "1, the only version that this program knows");
    vjson_text(j, j->top, "cell", true, &r->cell);
    vjson_number(j, j->top, "number", true, UINT32_MAX, &number);
    plan = vjson_object(j, j->top, "plan", true);
    vjson_text(j, plan, "name", true, &r->plan);
    vjson_sha(j, plan, "sha256", r->plan_sha256);
    read_status(j, j->top, "verdict", &r->verdict);
    vjson_flag(j, j->top, "validated", true, &r->validated);
    vjson_text(j, j->top, "started", true, &r->started);
    if (j->rc == 0 && !vtime_good(r->started))
        vjson_bad(j, "started", "a time like 2026-11-27T23:05:00Z");
    vjson_number(j, j->top, "ms", true, INT64_MAX, &r->ms);
    vjson_text(j, j->top, "end", true, &r->end);
    vjson_text(j, j->top, "persona", true, &r->persona);
    vjson_text(j, j->top, "persona-options", false, &r->persona_opts);
    vjson_number(j, j->top, "cpus", true, UINT32_MAX, &cpus);
    vjson_number(j, j->top, "memory", true, INT64_MAX, &r->memory);
    vjson_text(j, j->top, "firmware", true, &r->firmware);
    vjson_text(j, j->top, "disk", true, &r->disk);
    vjson_text(j, j->top, "network", true, &r->network);
    vjson_text(j, j->top, "level", true, &r->level);
    vjson_text(j, j->top, "command", true, &r->command);
    r->number = (uint32_t)number;
    r->cpus = (unsigned)cpus;
}

static void judge(struct vjson *j, struct vrecord *r)
{
    enum vstatus verdict = r->verdict;
    bool validated = r->validated;

    vrecord_judge(r);
    if (verdict != r->verdict)
        vjson_bad(j, "verdict", "what follows from the checks");
    if (validated != r->validated)
        vjson_bad(j, "validated", "what follows from the mandatory checks");
}

int vrecord_from_json(struct vrecord *r, const char *text, size_t len, struct err *e)
{
    char *again = NULL;
    struct vjson j;

    vrecord_init(r);
    vjson_open(&j, "the result record", text, len, e);
    read_plain(&j, r);
    read_facts(&j, j.top, "host", &r->host);
    read_facts(&j, j.top, "guest", &r->guest);
    read_files(&j, j.top, "inputs", true, &r->inputs);
    read_suites(&j, r);
    read_controls(&j, r);
    read_checks(&j, r);
    read_files(&j, j.top, "files", false, &r->files);
    if (j.rc == 0)
        judge(&j, r);
    if (j.rc == 0) {
        j.rc = vrecord_to_json(r, &again, e);
        vjson_same(&j, text, len, again);
    }
    vjson_close(&j);
    return j.rc;
}
