/* SPDX-License-Identifier: Apache-2.0 */
/* validate_plan.c - `hospes validate plan`: what a plan spans and costs; what suites there are. */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "cli/line.h"
#include "cli/validate.h"
#include "validation/vjson.h"
#include "validation/vplan.h"

static void check_json(const struct suite *s, size_t k)
{
    struct json_object *o = json_object_new_object();

    vjson_add_text(o, "suite", s->name);
    vjson_add_number(o, "version", s->version);
    vjson_add_text(o, "owner", s->owner);
    vjson_add_text(o, "sha256", s->sha256);
    vjson_add_text(o, "check", s->check[k].id);
    vjson_add_text(o, "level", suite_level_word(s->check[k].level));
    vjson_add_flag(o, "mandatory", s->check[k].mandatory);
    vjson_add_text(o, "purpose", s->check[k].purpose);
    line_json(o);
}

static void list_suite(const struct suite *s, bool json)
{
    if (!json)
        printf("%s version %u, %s, %.16s\n", s->name, s->version, s->owner, s->sha256);
    for (size_t k = 0; k < s->checks; k++) {
        if (json)
            check_json(s, k);
        else
            printf("  %-26s %-5s %-9s %s\n", s->check[k].id, suite_level_word(s->check[k].level),
                   s->check[k].mandatory ? "mandatory" : "-", s->check[k].purpose);
    }
}

static int list_suites(bool json, struct err *e)
{
    for (size_t i = 0; suite_builtin(i); i++) {
        struct suite s;
        int rc = suite_open(&s, suite_builtin(i), e);

        if (rc == 0)
            list_suite(&s, json);
        suite_free(&s);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void cell_json(size_t number, const char *id, unsigned checks, uint64_t cost)
{
    struct json_object *o = json_object_new_object();

    json_object_object_add(o, "number", json_object_new_uint64(number));
    json_object_object_add(o, "cell", json_object_new_string(id));
    json_object_object_add(o, "checks", json_object_new_uint64(checks));
    json_object_object_add(o, "seconds", json_object_new_uint64(cost));
    line_json(o);
}

static void show_plan(const struct vplan *p, bool json)
{
    uint64_t all = 0;

    for (size_t i = 0; i < p->cells; i++) {
        char id[VPLAN_CELL_ID];
        unsigned checks;
        uint64_t cost = vplan_cell_cost(p, &p->cell[i], &checks);

        vplan_cell_id(p, &p->cell[i], id);
        all += cost;
        if (json)
            cell_json(i + 1, id, checks, cost);
        else
            printf("%5zu  %-48s %3u check%s, at most %" PRIu64 " s\n", i + 1, id, checks,
                   checks == 1 ? "" : "s", cost);
    }
    if (!json)
        printf("%zu cell%s, at most %" PRIu64 " min one after the other on a plain machine\n"
               "pairs of values: %" PRIu64 " of %" PRIu64 " covered\n",
               p->cells, p->cells == 1 ? "" : "s", (all + 59) / 60, p->pairs_covered, p->pairs);
}

static int plan_main(int argc, char **argv)
{
    struct validate_args a = {0};
    struct err e = {0};
    struct vplan p;
    int rc = validate_parse(&validate_plan, argc, argv, &a, 0, 1, &e);

    if (rc > 0)
        return EX_OK;
    memset(&p, 0, sizeof(p));
    if (rc == 0 && !a.suites && !argv[1])
        rc = err_exit(&e, EX_USAGE_, EINVAL,
                      "validate plan wants a plan; see hospes validate plan "
                      "--help");
    if (rc == 0 && a.suites && argv[1])
        rc = err_exit(&e, EX_USAGE_, EINVAL,
                      "--suites lists those of this program and wants no plan");
    if (rc == 0 && a.suites)
        rc = list_suites(a.json, &e);
    else if (rc == 0)
        rc = vplan_read(&p, argv[1], NULL, &e);
    if (rc == 0 && !a.suites)
        show_plan(&p, a.json);
    vplan_free(&p);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

static const struct cli_option plan_options[] = {
    {"json", NULL, "print one JSON object per cell, or per check of a suite", validate_set_json},
    {"suites", NULL, "list the suites of this program and their checks", validate_set_suites},
    {NULL},
};

const struct cli_command validate_plan = {
    .name = "validate plan",
    .args = "[OPTION...] PLAN",
    .about = "Shows the cells of a plan, what they cost, and what pairs they cover.",
    .options = plan_options,
    .run = plan_main,
};
