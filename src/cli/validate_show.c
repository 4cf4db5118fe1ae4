/* SPDX-License-Identifier: Apache-2.0 */
/* validate_show.c - `hospes validate` show, contract and replay: what is in a bundle, and is it so
 * still? */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/line.h"
#include "cli/validate.h"
#include "validation/bundle.h"
#include "validation/contract.h"
#include "validation/pack.h"
#include "validation/text.h"
#include "validation/vjson.h"

/* --- show --- */

enum { SHOW_INDENT = 9 }; /* where the id of a check begins */

static void show_check(const struct vcheck *c)
{
    line_print(SHOW_INDENT, "  %-6s %-24s %s%s%s%s%s", vstatus_word(c->status), c->id,
               c->mandatory ? "mandatory" : "", c->issue ? " " : "", c->issue ? c->issue : "",
               c->why ? " " : "", c->why ? c->why : "");
    for (size_t i = 0; c->attempts > 1 && i < c->attempts; i++)
        line_print(SHOW_INDENT, "         attempt %zu: %s, %" PRIu64 " ms, lines %u to %u", i + 1,
                   vstatus_word(c->attempt[i].status), c->attempt[i].ms, c->attempt[i].from,
                   c->attempt[i].to);
}

static void show_record(const struct vrecord *r)
{
    line_print(2, "%s: %s%s", r->cell, vstatus_word(r->verdict), r->validated ? ", validated" : "");
    line_print(4,
               "  started %s, %" PRIu64 " s, %u processor%s, %" PRIu64 " MiB, disk %s, network %s",
               r->started, r->ms / 1000, r->cpus, r->cpus == 1 ? "" : "s", r->memory / MiB, r->disk,
               r->network);
    for (size_t i = 0; i < r->guest.n; i++)
        line_print(4, "  guest %s: %s", r->guest.fact[i].key, r->guest.fact[i].value);
    for (size_t i = 0; i < r->host.n; i++)
        line_print(4, "  host %s: %s", r->host.fact[i].key, r->host.fact[i].value);
    for (size_t i = 0; i < r->checks; i++)
        show_check(&r->check[i]);
    for (size_t i = 0; i < r->controls; i++)
        line_print(SHOW_INDENT, "  on QEMU: %-6s %s %s", vstatus_word(r->control[i].status),
                   r->control[i].id, r->control[i].why ? r->control[i].why : "");
    line_print(4, "  repeat: %s", r->command);
}

static int show_bundle(const struct validate_args *a, const struct bundle *b, struct err *e)
{
    size_t n = bundle_records(b), found = 0;

    for (size_t i = 0; i < n; i++) {
        const struct vrecord *r = bundle_record(b, i);
        const char *text;
        char name[200];
        size_t len;

        if (a->cell && strcmp(a->cell, r->cell) != 0)
            continue;
        found++;
        if (!a->cell)
            continue;
        snprintf(name, sizeof(name), "cells/%.100s/result.json", r->cell);
        if (!a->json)
            show_record(r);
        else if (bundle_file(b, name, &text, &len))
            printf("%s", text);
    }
    if (found == 0)
        return err_exit(e, EX_USAGE_, ENOENT, "the bundle has no cell %s", a->cell);
    if (!a->cell)
        validate_table(bundle_record(b, 0), n, a->json);
    return validate_exit(bundle_record(b, 0), n);
}

static int show_main(int argc, char **argv)
{
    struct validate_args a = {0};
    struct bundle *b = NULL;
    struct err e = {0};
    int rc = validate_parse(&validate_show, argc, argv, &a, 1, 1, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0)
        rc = bundle_read(argv[1], &b, &e);
    if (rc == 0)
        rc = show_bundle(&a, b, &e);
    bundle_free(b);
    return rc < 0 ? cli_fail(&e) : rc;
}

static const struct cli_option show_options[] = {
    {"cell", "CELL", "all of one cell", validate_set_cell},
    {"json", NULL, "print JSON", validate_set_json},
    {NULL},
};

const struct cli_command validate_show = {
    .name = "validate show",
    .args = "[OPTION...] BUNDLE",
    .about = "Shows what a bundle says, after checking every byte of it.",
    .options = show_options,
    .run = show_main,
};

/* --- contract --- */

static int contract_file(struct contract *c, const char *path, struct err *e)
{
    char *text;
    size_t len;
    int rc = vtext_read(path, (size_t)16 << 20, &text, &len, e);

    if (rc < 0)
        return rc;
    if (zst_begins(text, len))
        rc = err_exit(e, EX_USAGE_, EINVAL,
                      "%s is a bundle: say which cell, as %s:CELL; validate show lists them", path,
                      path);
    else if ((rc = contract_from_json(c, text, len, e)) < 0)
        rc = err_wrap(e, "%s", path);
    free(text);
    return rc;
}

/* FILE, or BUNDLE:CELL; a file may have a colon in its name. */
static int contract_open(struct contract *c, const char *what, struct err *e)
{
    const char *colon = strrchr(what, ':'), *text;
    char path[V_PATH], name[200];
    struct bundle *b;
    size_t len;
    int rc;

    memset(c, 0, sizeof(*c));
    if (!colon || access(what, F_OK) == 0)
        return contract_file(c, what, e);
    snprintf(path, sizeof(path), "%.*s", (int)min_u64((uint64_t)(colon - what), V_PATH - 1), what);
    rc = bundle_read(path, &b, e);
    if (rc < 0)
        return rc;
    snprintf(name, sizeof(name), "cells/%.100s/contract.json", colon + 1);
    if (bundle_file(b, name, &text, &len))
        rc = contract_from_json(c, text, len, e);
    else
        rc = err_exit(e, EX_MISSING, ENOENT, "%s holds no contract of cell %s", path, colon + 1);
    bundle_free(b);
    return rc;
}

/* change NULL: it is only shown. */
static void contract_json(const char *change, const struct contract_use *u, const char *was,
                          const char *is)
{
    struct json_object *o = json_object_new_object();

    vjson_add_text(o, "change", change);
    vjson_add_text(o, "kind", u->kind);
    vjson_add_text(o, "name", u->name);
    vjson_add_text(o, "was", was);
    vjson_add_text(o, change ? "is" : "detail", is);
    line_json(o);
}

static void contract_line(void *arg, enum contract_change what, const struct contract_use *a,
                          const struct contract_use *b)
{
    const struct contract_use *u = a ? a : b;
    const bool *json = arg;

    /* The one that changed is there on both sides. */
    if (u && *json)
        contract_json(what == CONTRACT_CHANGED ? "changed"
                      : what == CONTRACT_GONE  ? "gone"
                                               : "new",
                      u, what != CONTRACT_CHANGED && b ? NULL : u->detail, b ? b->detail : NULL);
    else if (what == CONTRACT_CHANGED && a && b)
        line_print(2, "~ %s %s: %s -> %s", u->kind, u->name, a->detail ? a->detail : "-",
                   b->detail ? b->detail : "-");
    else if (u)
        line_print(2, "%c %s %s%s%s", what == CONTRACT_GONE ? '-' : '+', u->kind, u->name,
                   u->detail ? ": " : "", u->detail ? u->detail : "");
}

static void contract_show(const struct contract *c, bool json)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct contract_use *u = &c->use[i];

        if (json)
            contract_json(NULL, u, NULL, u->detail);
        else
            line_print(2, "%s %s%s%s", u->kind, u->name, u->detail ? ": " : "",
                       u->detail ? u->detail : "");
    }
}

static int contract_main(int argc, char **argv)
{
    struct validate_args args = {0};
    struct contract a = {0}, b = {0};
    struct err e = {0};
    size_t n = 0;
    int rc = validate_parse(&validate_contract, argc, argv, &args, 2, 3, &e);
    bool diff;

    if (rc > 0)
        return EX_OK;
    diff = rc == 0 && argv[3];
    if (rc == 0 && strcmp(argv[1], diff ? "diff" : "show") != 0)
        rc = err_exit(&e, EX_USAGE_, EINVAL, "contract wants: diff A B, or show A");
    if (rc == 0)
        rc = contract_open(&a, argv[2], &e);
    if (rc == 0 && diff)
        rc = contract_open(&b, argv[3], &e);
    if (rc == 0 && diff)
        n = contract_diff(&a, &b, contract_line, &args.json);
    else if (rc == 0)
        contract_show(&a, args.json);
    contract_free(&a);
    contract_free(&b);
    return rc < 0 ? cli_fail(&e) : n > 0;
}

static const struct cli_option contract_options[] = {
    {"json", NULL, "print one JSON object per line", validate_set_json},
    {NULL},
};

const struct cli_command validate_contract = {
    .name = "validate contract",
    .args = "[OPTION...] diff A B | show A",
    .about = "Compares what two guests used of their hypervisors.",
    .more =
        "A and B are contract.json files, or BUNDLE:CELL. diff prints - for what B does not use\n"
        "any more, + for what is new, ~ for another version or feature set, and ends with 1 when\n"
        "there is any of that.",
    .options = contract_options,
    .run = contract_main,
};

/* --- replay --- */

static bool same_verdict(enum vstatus a, enum vstatus b)
{
    bool pa = a == V_PASS || a == V_FLAKY, pb = b == V_PASS || b == V_FLAKY;

    return a == b || (pa && pb);
}

/* Verdicts of now beside those of the bundle; returns how many differ. */
static size_t replay_compare(const struct vrecord *was, const struct vrecord *is)
{
    size_t n = 0;

    for (size_t i = 0; i < was->inputs.n; i++) {
        for (size_t k = 0; k < is->inputs.n; k++) {
            if (strcmp(was->inputs.file[i].role, is->inputs.file[k].role) == 0 &&
                strcmp(was->inputs.file[i].sha256, is->inputs.file[k].sha256) != 0)
                printf("  note: the %s is another one\n", was->inputs.file[i].role);
        }
    }
    for (size_t i = 0; i < was->checks; i++) {
        const struct vcheck *a = &was->check[i], *b = vrecord_check(is, a->id);

        if (b && same_verdict(a->status, b->status))
            continue;
        printf("  differs: %s was %s, is %s%s%s\n", a->id, vstatus_word(a->status),
               b ? vstatus_word(b->status) : "not there", b && b->why ? ": " : "",
               b && b->why ? b->why : "");
        n++;
    }
    return n;
}

static int replay_cells(struct validate_job *j, const struct bundle *b, struct err *e)
{
    size_t differ = 0;

    for (size_t i = 0; i < j->plan.cells; i++) {
        char id[VPLAN_CELL_ID];
        struct vrecord is;
        int rc = 0;

        vplan_cell_id(&j->plan, &j->plan.cell[i], id);
        for (size_t k = 0; k < bundle_records(b); k++) {
            const struct vrecord *was = bundle_record(b, k);

            if (strcmp(was->cell, id) != 0)
                continue;
            rc = runner_result(&j->cfg, i, &is, e);
            printf("%s: was %s, is %s\n", id, vstatus_word(was->verdict),
                   rc > 0 ? vstatus_word(is.verdict) : "without a result");
            differ += rc > 0 ? replay_compare(was, &is) : 1;
            vrecord_free(&is);
            if (rc < 0)
                return rc;
        }
    }
    printf(differ ? "%zu verdicts differ\n" : "every verdict is the same\n", differ);
    return differ > 0;
}

/* The plan as the bundle has it, where its paths are good. */
static int replay_plan(const struct bundle *b, const struct validate_args *a, char plan[V_PATH],
                       struct err *e)
{
    const char *text;
    char name[64];
    size_t len;
    int rc;

    snprintf(name, sizeof(name), ".replay-%.16s.plan", bundle_sha256(b));
    rc = vpath(plan, a->base ? a->base : ".", name, e);
    if (rc == 0 && bundle_file(b, "plan.txt", &text, &len))
        rc = vtext_write(plan, text, len, e);
    return rc;
}

/* The suites that it was run with: this program's own may have moved on. They are run inside the
 * guest alone. */
static int replay_suites(const struct bundle *b, const char *out, char dir[V_PATH], struct err *e)
{
    int rc = vpath(dir, out, "suites", e);
    const char *name, *text;
    char path[V_PATH];
    size_t len;

    if (rc == 0)
        rc = vtext_mkdir(dir, e);
    for (size_t i = 0; rc == 0 && (name = bundle_file_name(b, i)); i++) {
        if (strncmp(name, "suites/", 7) != 0 || !bundle_file(b, name, &text, &len))
            continue;
        rc = vpath(path, out, name, e);
        if (rc == 0)
            rc = vtext_write(path, text, len, e);
    }
    return rc;
}

static int replay_here(const struct validate_args *a, const char *path, struct err *e)
{
    struct validate_job *j = calloc(1, sizeof(*j));
    struct validate_args args = *a;
    char plan[V_PATH] = "", out[V_PATH], suites[V_PATH];
    struct bundle *b = NULL;
    int rc = j ? bundle_read(path, &b, e) : err_set(e, ENOMEM, "no memory for a bundle");

    if (rc == 0)
        rc = replay_plan(b, a, plan, e);
    snprintf(out, sizeof(out), "%.*s.replay", V_PATH - 16, path);
    if (!args.out)
        args.out = out;
    if (rc == 0)
        rc = replay_suites(b, args.out, suites, e);
    args.suite_dir = suites;
    if (rc == 0)
        rc = validate_job_open(j, &args, plan, e);
    if (rc == 0)
        rc = validate_run_cells(j, &args, e);
    if (rc >= 0)
        rc = replay_cells(j, b, e);
    if (plan[0])
        remove(plan);
    bundle_free(b);
    if (j)
        validate_job_free(j);
    free(j);
    return rc;
}

static int replay_main(int argc, char **argv)
{
    struct validate_args a = {0};
    struct err e = {0};
    int rc = validate_parse(&validate_replay, argc, argv, &a, 1, 1, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0) {
        a.soft = validate_soft(&a);
        rc = replay_here(&a, argv[1], &e);
    }
    if (rc < 0)
        rc = cli_fail(&e) == EX_USAGE_ ? (int)EX_USAGE_ : VALIDATE_ERROR;
    return rc;
}

static const struct cli_option replay_options[] = {
    {"base", "DIR", "what the plan's relative paths start from (default: this folder)",
     validate_set_base},
    {"out", "DIR", "results folder (default BUNDLE.replay)", validate_set_out},
    {"jobs", "N", "cells at a time", validate_set_jobs},
    {"again", NULL, "run cells that have a result again", validate_set_again},
    {"host", "kvm|soft|auto", "what runs the guests (default auto, or $HOSPES_HOST)",
     validate_set_host},
    {NULL},
};

const struct cli_command validate_replay = {
    .name = "validate replay",
    .args = "[OPTION...] BUNDLE",
    .about = "Runs the plan of a bundle again and compares the verdicts.",
    .options = replay_options,
    .run = replay_main,
};
