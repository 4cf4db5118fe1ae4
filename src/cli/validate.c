/* SPDX-License-Identifier: Apache-2.0 */
/* validate.c - `hospes validate`: its parts, their common options, and how results are printed. */
#include "cli/validate.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/line.h"
#include "validation/bundle.h"
#include "validation/report.h"

static const struct cli_command *const parts[] = {&validate_plan,
                                                  &validate_run,
                                                  &validate_run_cell,
                                                  &validate_collect,
                                                  &validate_show,
                                                  &validate_replay,
                                                  &validate_contract,
                                                  &validate_key,
                                                  &validate_verify,
                                                  &validate_countersign,
                                                  NULL};

/* --- options --- */

#define VALIDATE_TEXT(name)                                                                        \
    int validate_set_##name(void *arg, const char *value, struct err *e)                           \
    {                                                                                              \
        ((struct validate_args *)arg)->name = value;                                               \
        return 0;                                                                                  \
    }
VALIDATE_TEXT(out)
VALIDATE_TEXT(bundle)
VALIDATE_TEXT(trust)
VALIDATE_TEXT(role)
VALIDATE_TEXT(base)
VALIDATE_TEXT(cell)
VALIDATE_TEXT(suite_dir)

#define VALIDATE_FLAG(name)                                                                        \
    int validate_set_##name(void *arg, const char *value, struct err *e)                           \
    {                                                                                              \
        ((struct validate_args *)arg)->name = true;                                                \
        return 0;                                                                                  \
    }
VALIDATE_FLAG(again)
VALIDATE_FLAG(json)
VALIDATE_FLAG(suites)

int validate_set_host(void *arg, const char *value, struct err *e)
{
    if (strcmp(value, "kvm") != 0 && strcmp(value, "soft") != 0 && strcmp(value, "auto") != 0)
        return err_exit(e, EX_USAGE_, EINVAL, "--host is kvm, soft or auto, not %s", value);
    ((struct validate_args *)arg)->host = value;
    return 0;
}

int validate_set_control(void *arg, const char *value, struct err *e)
{
    if (strcmp(value, "qemu") != 0)
        return err_exit(e, EX_USAGE_, EINVAL, "--control is qemu, not %s", value);
    ((struct validate_args *)arg)->control = value;
    return 0;
}

int validate_set_key(void *arg, const char *value, struct err *e)
{
    struct validate_args *a = arg;

    if (a->keys == VALIDATE_KEYS)
        return err_exit(e, EX_USAGE_, E2BIG, "at most %d keys sign at once", VALIDATE_KEYS);
    a->key[a->keys++] = value;
    return 0;
}

int validate_set_jobs(void *arg, const char *value, struct err *e)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (*value < '0' || *value > '9' || *end || n < 1 || n > 64)
        return err_exit(e, EX_USAGE_, EINVAL, "--jobs wants a number from 1 to 64, not %s", value);
    ((struct validate_args *)arg)->jobs = (unsigned)n;
    return 0;
}

int validate_parse(const struct cli_command *c, int argc, char **argv, struct validate_args *a,
                   int least, int most, struct err *e)
{
    int n, rc = cli_parse(c, argc, argv, a, &n, e);

    if (rc == 0 && (n < least || n > most))
        return err_exit(e, EX_USAGE_, EINVAL, "%s wants %s; see hospes %s --help", c->name, c->args,
                        c->name);
    if (rc == 0)
        argv[n + 1] = NULL; /* options stood there */
    return rc;
}

/* --- results --- */

int validate_exit(const struct vrecord *r, size_t n)
{
    bool failed = false, error = false, skipped = n > 0;

    for (size_t i = 0; i < n; i++) {
        int code = vrecord_exit(&r[i]);

        failed |= code == 1;
        error |= code == VALIDATE_ERROR;
        skipped &= code == 3;
    }
    return failed ? 1 : error ? VALIDATE_ERROR : skipped ? 3 : 0;
}

static void validate_json_line(const struct vrecord *r)
{
    struct json_object *o = json_object_new_object();

    json_object_object_add(o, "cell", json_object_new_string(r->cell));
    json_object_object_add(o, "number", json_object_new_int((int)r->number));
    json_object_object_add(o, "verdict", json_object_new_string(vstatus_word(r->verdict)));
    json_object_object_add(o, "validated", json_object_new_boolean(r->validated));
    json_object_object_add(o, "ms", json_object_new_uint64(r->ms));
    line_json(o);
}

static void validate_troubles(const struct vrecord *r)
{
    for (size_t i = 0; i < r->checks; i++) {
        const struct vcheck *c = &r->check[i];

        if (c->status < V_FLAKY && c->status != V_MISS)
            line_print(12, "     %-6s %s: %s%s%s", vstatus_word(c->status), c->id,
                       c->issue ? c->issue : "", c->issue ? ": " : "", c->why ? c->why : "");
    }
}

static void validate_line(const struct vrecord *r, int width)
{
    struct vbuf counts = {0};

    report_counts(r, &counts);
    line_print(5, "%4u %-6s %-9s %5" PRIu64 " s  %-*s  %.*s", r->number, vstatus_word(r->verdict),
               r->validated ? "validated" : "-", r->ms / 1000, width, r->cell, (int)counts.len,
               counts.data ? counts.data : "");
    vbuf_free(&counts);
    validate_troubles(r);
}

void validate_table(const struct vrecord *r, size_t n, bool json)
{
    size_t validated = 0, width = 0;

    for (size_t i = 0; i < n; i++)
        width = max_u64(width, strlen(r[i].cell));
    for (size_t i = 0; i < n; i++) {
        validated += r[i].validated;
        if (json)
            validate_json_line(&r[i]);
        else
            validate_line(&r[i], (int)width);
    }
    if (!json)
        printf("%zu cell%s, %zu validated\n", n, n == 1 ? "" : "s", validated);
}

int validate_bundle(const struct validate_args *a, const char *out, struct err *e)
{
    struct seckey key[VALIDATE_KEYS];
    char path[1100];
    int rc = 0;

    snprintf(path, sizeof(path), "%s.tar.zst", out);
    for (size_t i = 0; rc == 0 && i < a->keys; i++)
        rc = key_read_secret(a->key[i], &key[i], e);
    if (rc == 0)
        rc = bundle_write(out, a->bundle ? a->bundle : path, key, a->keys, e);
    for (size_t i = 0; i < a->keys; i++)
        seckey_wipe(&key[i]);
    if (rc == 0 && !a->json)
        printf("signed bundle: %s\n", a->bundle ? a->bundle : path);
    return rc;
}

/* --- the command --- */

static int validate_main(int argc, char **argv)
{
    static const struct cli_group group = {.name = "validate", .parts = parts, .column = 11};

    signal(SIGPIPE, SIG_IGN); /* a machine may end while it is spoken to */
    return cli_group_run(&group, argc, argv);
}

const struct cli_command cli_validate = {
    .name = "validate",
    .args = "COMMAND [OPTION...] [ARGUMENT...]",
    .about = "Tests guests on personas and signs what came out.",
    .more =
        "Commands: plan, run, run-cell, collect, show, replay, contract, key, verify, "
        "countersign.\n"
        "Each has its own --help.\n\n"
        "Exit codes of run, run-cell, collect, show and replay: 0 all passed, 1 a check failed,\n"
        "2 it could not be run, 3 it was skipped.",
    .run = validate_main,
};
