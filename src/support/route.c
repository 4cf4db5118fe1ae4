/* SPDX-License-Identifier: Apache-2.0 */
/* route.c - see route.h. */
#define _GNU_SOURCE
#include "support/route.h"

#include <dirent.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#include "core/err.h"
#include "support/agreement_files.h"
#include "validation/text.h"
#include "validation/vjson.h"

enum { RULES_MAX = 4096, FILES_MAX = 64, FILE_BYTES = 4 << 20, PATTERN = 128 };

struct agreements {
    struct json_object *file[FILES_MAX];
    size_t files;
};

/* --- reading --- */

static const char *text_of(struct json_object *o, const char *key)
{
    struct json_object *v;

    return json_object_object_get_ex(o, key, &v) && json_object_is_type(v, json_type_string)
               ? json_object_get_string(v)
               : NULL;
}

static struct json_object *member(struct json_object *o, const char *key, enum json_type type)
{
    struct json_object *v;

    return json_object_object_get_ex(o, key, &v) && json_object_is_type(v, type) ? v : NULL;
}

static size_t items(struct json_object *list)
{
    return list ? json_object_array_length(list) : 0;
}

static struct json_object *source_of(struct json_object *file, const char *id)
{
    struct json_object *list = member(file, "sources", json_type_array);

    for (size_t i = 0; id && i < items(list); i++) {
        struct json_object *o = json_object_array_get_idx(list, i);
        const char *theirs = json_object_is_type(o, json_type_object) ? text_of(o, "id") : NULL;

        if (theirs && strcmp(theirs, id) == 0)
            return o;
    }
    return NULL;
}

static const char *rule_fault(struct json_object *file, struct json_object *rule)
{
    static const char *const first[] = {"either", "host-vendor", "guest-vendor"};
    const char *who = json_object_is_type(rule, json_type_object) ? text_of(rule, "first") : NULL;
    struct json_object *needs;
    size_t i = 0;

    if (!who || !text_of(rule, "id") || !text_of(rule, "then"))
        return "a rule lacks id, first or then";
    while (i < ARRAY_SIZE(first) && strcmp(first[i], who) != 0)
        i++;
    if (i == ARRAY_SIZE(first))
        return "first is neither either, host-vendor nor guest-vendor";
    if (!member(rule, "host", json_type_object) || !member(rule, "guest", json_type_object))
        return "a rule lacks host or guest";
    if (!text_of(rule, "covered-from") && !text_of(rule, "planned-for"))
        return "a rule says neither covered-from nor planned-for";
    if ((text_of(rule, "covered-from") && !vday_good(text_of(rule, "covered-from"))) ||
        (text_of(rule, "planned-for") && !vday_good(text_of(rule, "planned-for"))))
        return "covered-from or planned-for is no day like 2009-02-16";
    if (!source_of(file, text_of(rule, "source")))
        return "a rule names no source of the file: a statement without one is not taken";
    needs = member(rule, "needs", json_type_array);
    for (i = 0; i < items(needs); i++) {
        struct json_object *n = json_object_array_get_idx(needs, i);

        if (!json_object_is_type(n, json_type_object) || !text_of(n, "party") ||
            !text_of(n, "what"))
            return "something needed lacks party or what";
    }
    return NULL;
}

static int file_check(struct json_object *file, const char *name, struct err *e)
{
    struct json_object *rules = member(file, "rules", json_type_array), *version;
    const char *fault = NULL;

    if (!json_object_object_get_ex(file, "hospes-agreements", &version) ||
        json_object_get_int(version) != 1)
        return err_exit(e, EX_BAD_INPUT, EINVAL, "%s is no agreements file of version 1", name);
    if (!rules || items(rules) > RULES_MAX)
        return err_exit(e, EX_BAD_INPUT, EINVAL, "%s has no list of at most %d rules", name,
                        RULES_MAX);
    for (size_t i = 0; i < items(rules) && !fault; i++) {
        fault = rule_fault(file, json_object_array_get_idx(rules, i));
        if (fault)
            return err_exit(e, EX_BAD_INPUT, EINVAL, "%s, rule %zu: %s", name, i + 1, fault);
    }
    return 0;
}

static int file_add(struct agreements *a, const char *text, size_t len, const char *name,
                    struct err *e)
{
    struct json_object *file;
    struct vjson j;
    int rc;

    if (a->files == FILES_MAX)
        return err_set(e, ENOSPC, "more than %d files of agreements", FILES_MAX);
    vjson_open(&j, name, text, len, e);
    file = j.rc == 0 ? json_object_get(j.top) : NULL;
    vjson_close(&j);
    if (!file)
        return j.rc;
    rc = json_object_is_type(file, json_type_object)
             ? file_check(file, name, e)
             : err_exit(e, EX_BAD_INPUT, EINVAL, "%s is no JSON object", name);
    if (rc < 0)
        json_object_put(file);
    else
        a->file[a->files++] = file;
    return rc;
}

int agreements_parse(const char *text, size_t len, const char *name, struct agreements **out,
                     struct err *e)
{
    struct agreements *a = calloc(1, sizeof(*a));
    int rc = a ? file_add(a, text, len, name, e) : err_set(e, ENOMEM, "no memory");

    if (rc < 0)
        agreements_free(a);
    else
        *out = a;
    return rc;
}

static int path_add(struct agreements *a, const char *path, struct err *e)
{
    char *text;
    size_t len;
    int rc = vtext_read(path, FILE_BYTES, &text, &len, e);

    if (rc < 0)
        return rc;
    rc = file_add(a, text, len, path, e);
    free(text);
    return rc;
}

static int json_name(const struct dirent *d)
{
    size_t n = strlen(d->d_name);

    return n > 5 && strcmp(d->d_name + n - 5, ".json") == 0;
}

static int folder_add(struct agreements *a, const char *dir, struct err *e)
{
    struct dirent **list;
    int n = scandir(dir, &list, json_name, alphasort), rc = 0;
    char path[V_PATH];

    if (n < 0)
        return err_set(e, errno, "cannot read %s: %s", dir, strerror(errno));
    for (int i = 0; i < n; i++) {
        if (rc == 0)
            rc = vpath(path, dir, list[i]->d_name, e);
        if (rc == 0)
            rc = path_add(a, path, e);
        free(list[i]);
    }
    free(list);
    return rc;
}

int agreements_read(const char *more, struct agreements **out, struct err *e)
{
    struct agreements *a = calloc(1, sizeof(*a));
    struct stat st;
    int rc = a ? 0 : err_set(e, ENOMEM, "no memory");

    for (size_t i = 0; rc == 0 && agreement_files[i].text; i++)
        rc = file_add(a, agreement_files[i].text, agreement_files[i].len, agreement_files[i].name,
                      e);
    if (rc == 0 && more && stat(more, &st) < 0)
        rc = err_exit(e, EX_MISSING, errno, "cannot read %s: %s", more, strerror(errno));
    else if (rc == 0 && more)
        rc = S_ISDIR(st.st_mode) ? folder_add(a, more, e) : path_add(a, more, e);
    if (rc < 0)
        agreements_free(a);
    else
        *out = a;
    return rc;
}

void agreements_free(struct agreements *a)
{
    for (size_t i = 0; a && i < a->files; i++)
        json_object_put(a->file[i]);
    free(a);
}

/* --- what someone has --- */

enum { KIND_MAX = 32 };
static const char until_word[] = " until ";

/* "KIND" or "KIND until YYYY-MM-DD" in its parts; *until is NULL without one. false: neither. */
static bool entitlement_parts(const char *text, char kind[KIND_MAX], const char **until)
{
    const char *at = strstr(text, until_word);
    size_t n = at ? (size_t)(at - text) : strlen(text);

    *until = at ? at + sizeof(until_word) - 1 : NULL;
    if (n == 0 || n >= KIND_MAX)
        return false;
    memcpy(kind, text, n);
    kind[n] = '\0';
    return !at || vday_good(*until);
}

int entitlement_read(const char *path, struct vfacts *out, struct err *e)
{
    struct json_object *have;
    struct vjson j;
    char *text;
    size_t len;
    int rc = vtext_read(path, FILE_BYTES, &text, &len, e);

    if (rc < 0)
        return rc;
    vjson_open(&j, path, text, len, e);
    have = vjson_object(&j, j.top, "have", true);
    if (have && j.rc == 0) {
        json_object_object_foreach(have, party, kind)
        {
            const char *until;
            char word[KIND_MAX];

            if (j.rc == 0 && (!json_object_is_type(kind, json_type_string) ||
                              !entitlement_parts(json_object_get_string(kind), word, &until)))
                vjson_bad(&j, "have",
                          "an object of texts: \"Red Hat\": \"contract\" or \"contract until "
                          "2027-01-31\"");
            else if (j.rc == 0)
                j.rc = vfacts_set(out, party, json_object_get_string(kind), e);
        }
    }
    vjson_close(&j);
    free(text);
    return j.rc;
}

/* --- matching --- */

/* Case does not matter; a pattern may end in *. */
static bool fits(const char *pattern, const char *text)
{
    size_t n = pattern ? strlen(pattern) : 0;

    if (n && pattern[n - 1] == '*')
        return strncasecmp(pattern, text ? text : "", n - 1) == 0;
    return pattern && text && strcasecmp(pattern, text) == 0;
}

static bool side_fits(struct json_object *side, const struct vfacts *f)
{
    return fits(text_of(side, "vendor"), vfacts_get(f, "vendor")) &&
           fits(text_of(side, "product"), vfacts_get(f, "product"));
}

/* An empty or missing list: any. */
static bool among(struct json_object *list, const char *text)
{
    for (size_t i = 0; i < items(list); i++) {
        struct json_object *v = json_object_array_get_idx(list, i);

        if (text && json_object_is_type(v, json_type_string) &&
            fits(json_object_get_string(v), text))
            return true;
    }
    return items(list) == 0;
}

/* "5.2, 5.3 (x86, x86_64)" */
static void covered_words(struct json_object *versions, struct json_object *archs, char *out,
                          size_t room)
{
    struct json_object *const list[] = {versions, archs};
    size_t at = (size_t)snprintf(out, room, "%s", items(versions) ? "" : "any version");

    for (size_t l = 0; l < ARRAY_SIZE(list); l++) {
        for (size_t i = 0; i < items(list[l]) && at < room; i++)
            at += (size_t)snprintf(out + at, room - at, "%s%s",
                                   i   ? ", "
                                   : l ? " ("
                                       : "",
                                   json_object_get_string(json_object_array_get_idx(list[l], i)));
        if (l && items(list[l]) && at < room)
            snprintf(out + at, room - at, ")");
    }
}

static enum route_cover cover_of(struct json_object *rule, const struct route_question *q,
                                 const char *on, struct route_answer *r)
{
    struct json_object *guest = member(rule, "guest", json_type_object), *limit;
    struct json_object *versions = member(guest, "versions", json_type_array);
    struct json_object *archs = member(guest, "archs", json_type_array);
    const char *version = vfacts_get(&q->guest, "version"), *arch = vfacts_get(&q->guest, "arch");

    covered_words(versions, archs, r->versions, sizeof(r->versions));
    r->since = text_of(rule, "covered-from");
    if (json_object_object_get_ex(rule, "max-cpus", &limit))
        r->max_cpus = (unsigned)json_object_get_int(limit);
    if ((version && !among(versions, version)) || (arch && !among(archs, arch)))
        return ROUTE_OTHER;
    if (!among(versions, version) || !among(archs, arch))
        return ROUTE_UNSAID;
    if (!r->since) {
        r->since = text_of(rule, "planned-for");
        return ROUTE_PLANNED;
    }
    if (strcmp(on, r->since) < 0)
        return ROUTE_NOT_YET;
    return r->max_cpus && q->cpus > r->max_cpus ? ROUTE_TOO_MANY : ROUTE_COVERED;
}

/* One thing that is needed, and how it stands with it on that day. */
static void need_of(struct json_object *need, const struct route_question *q, const char *on,
                    struct route_answer *r, size_t *at)
{
    const char *party = text_of(need, "party"), *until = NULL;
    const char *had = q->have ? vfacts_get(q->have, party) : NULL;
    char kind[KIND_MAX], state[120] = "";
    bool good = had && entitlement_parts(had, kind, &until) &&
                among(member(need, "kinds", json_type_array), kind);
    bool over = good && until && strcmp(on, until) > 0;

    r->missing |= q->have && (!good || over);
    if (over)
        snprintf(state, sizeof(state), ", which ended on %s", until);
    else if (good)
        snprintf(state, sizeof(state), ", which you have as %s", had);
    else if (q->have)
        snprintf(state, sizeof(state), ", which is missing");
    *at += (size_t)snprintf(r->needs + *at, sizeof(r->needs) - *at, "%s%s of %s%s", *at ? "; " : "",
                            text_of(need, "what"), party, state);
}

static void needs_of(struct json_object *rule, const struct route_question *q, const char *on,
                     struct route_answer *r)
{
    struct json_object *needs = member(rule, "needs", json_type_array);
    size_t at = 0;

    for (size_t i = 0; i < items(needs) && at < sizeof(r->needs); i++)
        need_of(json_object_array_get_idx(needs, i), q, on, r, &at);
}

static void answer_of(struct json_object *file, struct json_object *rule,
                      const struct route_question *q, const char *on, struct route_answer *r)
{
    struct json_object *source;

    *r = (struct route_answer){
        .rule = text_of(rule, "id"),
        .first = text_of(rule, "first"),
        .then = text_of(rule, "then"),
        .source = text_of(rule, "source"),
    };
    source = source_of(file, r->source);
    r->source_title = source ? text_of(source, "title") : NULL;
    r->source_date = source ? text_of(source, "date") : NULL;
    r->cover = cover_of(rule, q, on, r);
    needs_of(rule, q, on, r);
}

size_t route_each(const struct agreements *a, const struct route_question *q,
                  void (*each)(void *arg, const struct route_answer *r), void *arg)
{
    char today[VTIME_TEXT];
    const char *on = q->on;
    size_t found = 0;

    vtime_now(today);
    today[10] = '\0';
    if (!on)
        on = today;
    for (unsigned pass = 0; pass < 2; pass++) {
        for (size_t f = 0; f < a->files; f++) {
            struct json_object *rules = member(a->file[f], "rules", json_type_array);

            for (size_t i = 0; i < items(rules); i++) {
                struct json_object *rule = json_object_array_get_idx(rules, i);
                struct route_answer r;

                if (!side_fits(member(rule, "host", json_type_object), &q->host) ||
                    !side_fits(member(rule, "guest", json_type_object), &q->guest))
                    continue;
                answer_of(a->file[f], rule, q, on, &r);
                if ((r.cover == ROUTE_COVERED) != (pass == 0))
                    continue;
                each(arg, &r);
                found++;
            }
        }
    }
    return found;
}
