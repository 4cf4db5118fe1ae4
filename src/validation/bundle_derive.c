/* SPDX-License-Identifier: Apache-2.0 */
/* bundle_derive.c - manifest, sums and statements: a function of plan, suites and records. */
#define _GNU_SOURCE
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/err.h"
#include "validation/bundle_priv.h"
#include "validation/key.h"
#include "validation/report.h"
#include "validation/suite.h"
#include "validation/text.h"

#define IN_TOTO "https://in-toto.io/Statement/v1"
#define TEST_RESULT "https://in-toto.io/attestation/test-result/v0.1"
#define VALIDATION "urn:hospes:validation:1"

/* --- the records --- */

void bundle_facts_free(struct bundle_facts *f)
{
    for (size_t i = 0; i < f->records; i++)
        vrecord_free(&f->record[i]);
    free(f->record);
    free(f->record_sha);
    memset(f, 0, sizeof(*f));
}

static bool is_record(const char *name, char cell[V_NAME_MAX + 1])
{
    const char *slash;

    if (strncmp(name, "cells/", 6) != 0)
        return false;
    slash = strchr(name + 6, '/');
    if (!slash || strcmp(slash, "/result.json") != 0)
        return false;
    snprintf(cell, V_NAME_MAX + 1, "%.*s", (int)(slash - name - 6), name + 6);
    return true;
}

/* Each file that the record lists is there with that digest. */
static int check_files(const struct vrecord *r, const struct vmembers *l, struct err *e)
{
    for (size_t i = 0; i < r->files.n; i++) {
        const struct vfile *f = &r->files.file[i];
        char name[2 * V_NAME_MAX + 16], sha[V_SHA_TEXT];
        const struct vmember *m;

        snprintf(name, sizeof(name), "cells/%.*s/%.*s", V_NAME_MAX, r->cell, V_NAME_MAX, f->name);
        m = vmembers_find(l, name);
        if (!m)
            return err_set(e, EINVAL, "%s is missing, which the record of its cell lists", name);
        sha256_text(m->data, m->len, sha);
        if (m->len != f->size || strcmp(sha, f->sha256) != 0)
            return err_set(e, EINVAL, "%s is changed: its record has another digest", name);
    }
    return 0;
}

/* Each file of the cell is listed: what nobody vouches for has no place. */
static int check_listed(const struct vrecord *r, const struct vmembers *l, struct err *e)
{
    char prefix[V_NAME_MAX + 16];
    size_t n;

    snprintf(prefix, sizeof(prefix), "cells/%.*s/", V_NAME_MAX, r->cell);
    n = strlen(prefix);
    for (size_t i = 0; i < l->n; i++) {
        const char *name = l->m[i].name;
        bool listed = strcmp(name + (strncmp(name, prefix, n) ? 0 : n), "result.json") == 0;

        if (strncmp(name, prefix, n) != 0)
            continue;
        for (size_t k = 0; !listed && k < r->files.n; k++)
            listed = strcmp(name + n, r->files.file[k].name) == 0;
        if (!listed)
            return err_set(e, EINVAL, "%s is not listed in the record of its cell", name);
    }
    return 0;
}

static int check_suites(const struct vrecord *r, const struct vmembers *l, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < r->suites; i++) {
        char name[2 * V_NAME_MAX], sha[V_SHA_TEXT];
        const struct vmember *m;
        struct suite s;

        snprintf(name, sizeof(name), "suites/%.*s.sh", V_NAME_MAX, r->suite[i].name);
        m = vmembers_find(l, name);
        if (!m)
            return err_set(e, EINVAL, "%s is missing, which the record of cell %s needs", name,
                           r->cell);
        sha256_text(m->data, m->len, sha);
        if (strcmp(sha, r->suite[i].sha256) != 0)
            return err_set(e, EINVAL, "%s is changed: the record of cell %s has another digest",
                           name, r->cell);
        rc = suite_parse(&s, m->data, m->len, e);
        if (rc == 0)
            rc = suite_covers(&s, r, e);
        suite_free(&s);
    }
    return rc;
}

static int check_record(const struct vrecord *r, const char *cell, const struct vmembers *l,
                        struct err *e)
{
    const struct vmember *plan = vmembers_find(l, "plan.txt"), *log;
    char name[V_NAME_MAX + 32], sha[V_SHA_TEXT];
    int rc;

    if (strcmp(r->cell, cell) != 0)
        return err_set(e, EINVAL, "the record in cells/%s is that of cell %s", cell, r->cell);
    if (!plan)
        return err_set(e, EINVAL, "there is no plan.txt");
    sha256_text(plan->data, plan->len, sha);
    if (strcmp(sha, r->plan_sha256) != 0)
        return err_set(e, EINVAL, "plan.txt is not the plan of cell %s: its digest differs", cell);
    rc = check_files(r, l, e);
    if (rc == 0)
        rc = check_listed(r, l, e);
    if (rc == 0)
        rc = check_suites(r, l, e);
    if (rc < 0)
        return rc;
    snprintf(name, sizeof(name), "cells/%.*s/run.log", V_NAME_MAX, cell);
    log = vmembers_find(l, name);
    return vrecord_check_log(r, log ? log->data : "", log ? log->len : 0, e);
}

static time_t time_of(const char *text)
{
    struct tm tm = {0};

    return strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm) ? timegm(&tm) : 0;
}

static void facts_times(struct bundle_facts *f)
{
    time_t last = 0;

    for (size_t i = 0; i < f->records; i++) {
        const struct vrecord *r = &f->record[i];
        time_t end = time_of(r->started) + (time_t)min_u64(r->ms / 1000, UINT32_MAX);

        if (i == 0 || strcmp(r->started, f->started) < 0)
            snprintf(f->started, sizeof(f->started), "%s", r->started);
        if (end > last)
            last = end;
    }
    strftime(f->finished, sizeof(f->finished), "%Y-%m-%dT%H:%M:%SZ", gmtime(&last));
}

int bundle_facts_read(struct bundle_facts *f, const struct vmembers *l, struct err *e)
{
    char cell[V_NAME_MAX + 1];
    int rc = 0;

    memset(f, 0, sizeof(*f));
    f->record = calloc(l->n + 1, sizeof(*f->record));
    f->record_sha = calloc(l->n + 1, sizeof(*f->record_sha));
    if (!f->record || !f->record_sha)
        return err_set(e, ENOMEM, "no memory for the records of a bundle");
    for (size_t i = 0; rc == 0 && i < l->n; i++) {
        const struct vmember *m = &l->m[i];

        if (!is_record(m->name, cell))
            continue;
        sha256_text(m->data, m->len, f->record_sha[f->records]);
        rc = vrecord_from_json(&f->record[f->records++], m->data, m->len, e);
        if (rc == 0)
            rc = check_record(&f->record[f->records - 1], cell, l, e);
        if (rc < 0)
            return err_wrap(e, "%s", m->name);
    }
    if (f->records == 0)
        return err_exit(e, EX_BAD_INPUT, EINVAL,
                        "there is no result of any cell: run the plan first");
    facts_times(f);
    return 0;
}

/* --- what follows from them --- */

static struct json_object *json_counts(const struct bundle_facts *f)
{
    struct json_object *o = json_object_new_object();

    for (int s = 0; s < V_STATUSES; s++) {
        uint64_t n = 0;

        for (size_t i = 0; i < f->records; i++)
            n += f->record[i].verdict == (enum vstatus)s;
        if (n)
            vjson_add_number(o, vstatus_word((enum vstatus)s), n);
    }
    return o;
}

static struct json_object *json_cells(const struct bundle_facts *f)
{
    struct json_object *list = json_object_new_array();

    for (size_t i = 0; i < f->records; i++) {
        struct json_object *o = json_object_new_object();
        char name[V_NAME_MAX + 32];

        snprintf(name, sizeof(name), "cells/%s/result.json", f->record[i].cell);
        vjson_add_text(o, "cell", f->record[i].cell);
        vjson_add_text(o, "verdict", vstatus_word(f->record[i].verdict));
        vjson_add_flag(o, "validated", f->record[i].validated);
        vjson_add_text(o, "record", name);
        vjson_add_text(o, "sha256", f->record_sha[i]);
        json_object_array_add(list, o);
    }
    return list;
}

/* The host of all cells; NULL when they ran on different ones. */
static struct json_object *json_host(const struct bundle_facts *f)
{
    const struct vfacts *one = &f->record[0].host;
    struct json_object *o;

    for (size_t i = 1; i < f->records; i++) {
        const struct vfacts *other = &f->record[i].host;

        if (other->n != one->n)
            return NULL;
        for (size_t k = 0; k < one->n; k++) {
            const char *v = vfacts_get(other, one->fact[k].key);

            if (!v || strcmp(v, one->fact[k].value) != 0)
                return NULL;
        }
    }
    o = json_object_new_object();
    for (size_t k = 0; k < one->n; k++)
        vjson_add_text(o, one->fact[k].key, one->fact[k].value);
    return o;
}

static struct json_object *json_plan(const struct bundle_facts *f)
{
    struct json_object *o = json_object_new_object();

    vjson_add_text(o, "name", f->record[0].plan);
    vjson_add_text(o, "sha256", f->record[0].plan_sha256);
    return o;
}

static bool is_signature(const char *name)
{
    return strncmp(name, "signatures/", 11) == 0;
}

static int manifest_text(const struct bundle_facts *f, const struct vmembers *l, char **out,
                         struct err *e)
{
    struct json_object *o = json_object_new_object(), *files = json_object_new_array(), *host;
    char sha[V_SHA_TEXT];

    vjson_add_number(o, "hospes-bundle", 1);
    vjson_add_text(o, "name", f->record[0].plan);
    vjson_add_text(o, "made", f->finished);
    vjson_add_text(o, "packer", f->packer);
    host = json_host(f);
    if (host)
        json_object_object_add(o, "host", host);
    json_object_object_add(o, "plan", json_plan(f));
    json_object_object_add(o, "counts", json_counts(f));
    json_object_object_add(o, "cells", json_cells(f));
    for (size_t i = 0; i < l->n; i++) {
        const struct vmember *m = &l->m[i];
        struct json_object *item;

        if (is_signature(m->name) || strcmp(m->name, "manifest.json") == 0 ||
            strcmp(m->name, "SHA256SUMS") == 0)
            continue;
        item = json_object_new_object();
        sha256_text(m->data, m->len, sha);
        vjson_add_text(item, "name", m->name);
        vjson_add_number(item, "size", m->len);
        vjson_add_text(item, "sha256", sha);
        json_object_array_add(files, item);
    }
    json_object_object_add(o, "files", files);
    return vjson_print(o, out, e);
}

static void sums_text(const struct vmembers *l, struct vbuf *b)
{
    char sha[V_SHA_TEXT];

    for (size_t i = 0; i < l->n; i++) {
        const struct vmember *m = &l->m[i];

        if (is_signature(m->name) || strcmp(m->name, "SHA256SUMS") == 0)
            continue;
        sha256_text(m->data, m->len, sha);
        vbuf_print(b, "%s  %s\n", sha, m->name);
    }
}

int bundle_derive(const struct bundle_facts *f, struct vmembers *l,
                  int (*emit)(void *arg, struct vmembers *l, const char *name, const char *text,
                              size_t len, struct err *e),
                  void *arg, struct err *e)
{
    struct vbuf junit = {0}, tap = {0}, sums = {0};
    char *manifest = NULL;
    int rc;

    report_junit(f->record, f->records, &junit);
    report_tap(f->record, f->records, &tap);
    rc = junit.failed || tap.failed ? err_set(e, ENOMEM, "no memory for a bundle") : 0;
    if (rc == 0)
        rc = emit(arg, l, "junit.xml", junit.data, junit.len, e);
    if (rc == 0)
        rc = emit(arg, l, "results.tap", tap.data, tap.len, e);
    if (rc == 0)
        rc = manifest_text(f, l, &manifest, e);
    if (rc == 0)
        rc = emit(arg, l, "manifest.json", manifest, strlen(manifest), e);
    if (rc == 0)
        sums_text(l, &sums);
    if (rc == 0 && sums.failed)
        rc = err_set(e, ENOMEM, "no memory for a bundle");
    if (rc == 0)
        rc = emit(arg, l, "SHA256SUMS", sums.data, sums.len, e);
    vbuf_free(&junit);
    vbuf_free(&tap);
    vbuf_free(&sums);
    free(manifest);
    return rc;
}

/* --- statements --- */

static void add_subject(struct json_object *list, const struct vmembers *l, const char *name)
{
    struct json_object *o = json_object_new_object(), *digest = json_object_new_object();
    const struct vmember *m = vmembers_find(l, name);
    char sha[V_SHA_TEXT];

    sha256_text(m ? m->data : "", m ? m->len : 0, sha);
    vjson_add_text(o, "name", name);
    vjson_add_text(digest, "sha256", sha);
    json_object_object_add(o, "digest", digest);
    json_object_array_add(list, o);
}

static struct json_object *json_subjects(const struct bundle_facts *f, const struct vmembers *l)
{
    struct json_object *list = json_object_new_array();

    add_subject(list, l, "SHA256SUMS");
    add_subject(list, l, "manifest.json");
    for (size_t i = 0; i < f->records; i++) {
        char name[V_NAME_MAX + 32];

        snprintf(name, sizeof(name), "cells/%s/result.json", f->record[i].cell);
        add_subject(list, l, name);
    }
    return list;
}

/* Each suite once; their files are members of the bundle. */
static struct json_object *json_suites(const struct vmembers *l)
{
    struct json_object *list = json_object_new_array();

    for (size_t i = 0; i < l->n; i++) {
        char sha[V_SHA_TEXT];
        struct json_object *o;

        if (strncmp(l->m[i].name, "suites/", 7) != 0)
            continue;
        sha256_text(l->m[i].data, l->m[i].len, sha);
        o = json_object_new_object();
        vjson_add_text(o, "name", l->m[i].name);
        vjson_add_text(o, "sha256", sha);
        json_object_array_add(list, o);
    }
    return list;
}

static struct json_object *statement_top(const struct bundle_facts *f, const struct vmembers *l,
                                         const char *type)
{
    struct json_object *o = json_object_new_object();

    vjson_add_text(o, "_type", IN_TOTO);
    json_object_object_add(o, "subject", json_subjects(f, l));
    vjson_add_text(o, "predicateType", type);
    return o;
}

int bundle_statement_text(const struct bundle_facts *f, const struct vmembers *l, char **out,
                          struct err *e)
{
    struct json_object *o = statement_top(f, l, VALIDATION), *p = json_object_new_object(), *host;

    vjson_add_number(p, "hospes-validation", 1);
    vjson_add_text(p, "name", f->record[0].plan);
    vjson_add_text(p, "started", f->started);
    vjson_add_text(p, "finished", f->finished);
    host = json_host(f);
    if (host)
        json_object_object_add(p, "host", host);
    json_object_object_add(p, "plan", json_plan(f));
    json_object_object_add(p, "suites", json_suites(l));
    json_object_object_add(p, "counts", json_counts(f));
    json_object_object_add(p, "cells", json_cells(f));
    json_object_object_add(o, "predicate", p);
    return vjson_print(o, out, e);
}

static void add_named(struct json_object *list, const struct vrecord *r, const struct vcheck *c)
{
    char name[2 * V_NAME_MAX + 8];

    snprintf(name, sizeof(name), "%.*s/%.*s", V_NAME_MAX, r->cell, V_NAME_MAX, c->id);
    json_object_array_add(list, json_object_new_string(name));
}

int bundle_test_result_text(const struct bundle_facts *f, const struct vmembers *l, char **out,
                            struct err *e)
{
    struct json_object *o = statement_top(f, l, TEST_RESULT), *p = json_object_new_object(),
                       *passed = json_object_new_array(), *warned = json_object_new_array(),
                       *failed = json_object_new_array(), *config = json_object_new_array();
    enum vstatus worst = V_SKIP;

    add_subject(config, l, "plan.txt");
    for (size_t i = 0; i < f->records; i++) {
        const struct vrecord *r = &f->record[i];

        if (r->verdict < worst)
            worst = r->verdict;
        for (size_t k = 0; k < r->checks; k++) {
            enum vstatus s = r->check[k].status;

            if (s != V_SKIP)
                add_named(s == V_PASS                    ? passed
                          : s == V_FLAKY || s == V_KNOWN ? warned
                                                         : failed,
                          r, &r->check[k]);
        }
    }
    vjson_add_text(p, "result",
                   worst >= V_PASS    ? "PASSED"
                   : worst >= V_KNOWN ? "WARNED"
                                      : "FAILED");
    json_object_object_add(p, "configuration", config);
    json_object_object_add(p, "passedTests", passed);
    json_object_object_add(p, "warnedTests", warned);
    json_object_object_add(p, "failedTests", failed);
    json_object_object_add(o, "predicate", p);
    return vjson_print(o, out, e);
}
