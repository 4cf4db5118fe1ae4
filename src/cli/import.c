/* SPDX-License-Identifier: Apache-2.0 */
/* import.c - `hospes import`: a foreign description becomes a plan, with a report of every key. */
#define _GNU_SOURCE
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "import/import.h"
#include "machine/plan.h"

struct import {
    bool json;
    const char *out; /* NULL: only the report */
};

static int import_json(void *arg, const char *value, struct err *e)
{
    ((struct import *)arg)->json = true;
    return 0;
}

static int import_out(void *arg, const char *value, struct err *e)
{
    ((struct import *)arg)->out = value;
    return 0;
}

static const struct cli_option import_options[] = {
    {"o", "PLAN", "write the plan to this file", import_out},
    {"json", NULL, "print the report as JSON, one key a line", import_json},
    {NULL},
};

static void import_add(struct json_object *j, const char *key, const char *value)
{
    if (value)
        json_object_object_add(j, key, json_object_new_string(value));
}

static void import_print(const struct import *i, const struct import_line *l)
{
    struct json_object *j;

    if (!i->json) {
        printf("%-8s %s = %s%s%s%s%s%s\n", import_fate_name(l->fate), l->key,
               l->value ? l->value : "", l->to ? " -> " : "", l->to ? l->to : "",
               l->why ? " (" : "", l->why ? l->why : "", l->why ? ")" : "");
        return;
    }
    j = json_object_new_object();
    import_add(j, "fate", import_fate_name(l->fate));
    import_add(j, "key", l->key);
    import_add(j, "value", l->value);
    import_add(j, "to", l->to);
    import_add(j, "why", l->why);
    if (l->line)
        json_object_object_add(j, "line", json_object_new_int64(l->line));
    printf("%s\n", json_object_to_json_string_ext(j, JSON_C_TO_STRING_PLAIN |
                                                         JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(j);
}

static void import_report(const struct import *i, const struct import_report *r)
{
    size_t fates[3] = {0};

    for (size_t k = 0; k < r->count; k++) {
        fates[r->lines[k].fate]++;
        import_print(i, &r->lines[k]);
    }
    if (!i->json)
        printf("%s: %zu kept, %zu changed, %zu dropped\n", r->format, fates[IMPORT_KEPT],
               fates[IMPORT_CHANGED], fates[IMPORT_DROPPED]);
}

/* By rename, so that nobody sees half a plan. */
static int import_save(const char *path, const char *text, struct err *e)
{
    char *tmp;
    FILE *f;
    int rc = 0;

    if (asprintf(&tmp, "%s.%ld.part", path, (long)getpid()) < 0)
        return err_set(e, ENOMEM, "no memory for a file name");
    f = fopen(tmp, "wbxe");
    if (!f || fputs(text, f) < 0 || fputc('\n', f) < 0)
        rc = -errno;
    if (f && fclose(f) != 0 && rc == 0)
        rc = -errno;
    if (rc == 0 && rename(tmp, path) < 0)
        rc = -errno;
    if (rc < 0 && f)
        unlink(tmp);
    free(tmp);
    return rc < 0 ? err_set(e, -rc, "cannot write the plan %s: %s", path, strerror(-rc)) : 0;
}

static int import_go(const struct import *i, const char *path, struct err *e)
{
    struct import_report report = {0};
    char *text = NULL;
    struct plan plan;
    int rc;

    plan_init(&plan);
    rc = import_read(path, &plan, &report, e);
    if (rc == 0 && i->out)
        rc = plan_to_json(&plan, &text, e);
    if (rc == 0 && i->out)
        rc = import_save(i->out, text, e);
    if (rc == 0)
        import_report(i, &report);
    free(text);
    import_report_free(&report);
    plan_free(&plan);
    return rc;
}

static int import_main(int argc, char **argv)
{
    struct import i = {0};
    struct err e = {0};
    int n, rc = cli_parse(&cli_import, argc, argv, &i, &n, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0 && n != 1)
        rc = err_exit(&e, EX_USAGE_, EINVAL, "import takes one FILE; see hospes help import");
    if (rc == 0)
        rc = import_go(&i, argv[1], &e);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

const struct cli_command cli_import = {
    .name = "import",
    .args = "[OPTION...] FILE",
    .about = "Turns a machine description of another product into a plan.",
    .options = import_options,
    .more =
        "FILE is a .vmx of VMware. Every key is told: kept, changed (to what, and why) or dropped\n"
        "(and what that means for the guest). No disk is opened, and none outside the folder of\n"
        "FILE is referred to.",
    .run = import_main,
};
