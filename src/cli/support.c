/* SPDX-License-Identifier: Apache-2.0 */
/* support.c - `hospes support`: whom to call, what to send, where to look, how to show it
 * elsewhere. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/line.h"
#include "core/cfg.h"
#include "machine/plan.h"
#include "machine/remote.h"
#include "support/case.h"
#include "support/reproduce.h"
#include "support/route.h"
#include "support/triage.h"
#include "validation/bundle.h"
#include "validation/pack.h"
#include "validation/text.h"
#include "validation/vjson.h"

enum {
    SUPPORT_FILES = 32,
    SUPPORT_CALL_MS = 10000,
    LOG_MOST = 8 << 20,
    TEXT_MOST = 64 << 20,
    CASE_MOST = 1 << 30
};

struct support_args {
    struct vfacts host, guest;
    unsigned cpus;
    const char *on, *have, *agreements, *out, *key, *map, *target;
    const char *log[SUPPORT_FILES];
    size_t logs;
    bool json, preview;
};

#define SUPPORT_TEXT(name)                                                                         \
    static int set_##name(void *arg, const char *value, struct err *e)                             \
    {                                                                                              \
        ((struct support_args *)arg)->name = value;                                                \
        return 0;                                                                                  \
    }
SUPPORT_TEXT(have)
SUPPORT_TEXT(agreements)
SUPPORT_TEXT(out)
SUPPORT_TEXT(key)
SUPPORT_TEXT(map)

static int set_json(void *arg, const char *value, struct err *e)
{
    ((struct support_args *)arg)->json = true;
    return 0;
}

static int set_preview(void *arg, const char *value, struct err *e)
{
    ((struct support_args *)arg)->preview = true;
    return 0;
}

static int set_target(void *arg, const char *value, struct err *e)
{
    if (strcmp(value, "qemu") != 0 && strcmp(value, "bare") != 0)
        return err_exit(e, EX_USAGE_, EINVAL, "--on is qemu or bare, not %s", value);
    ((struct support_args *)arg)->target = value;
    return 0;
}

static int set_date(void *arg, const char *value, struct err *e)
{
    if (!vday_good(value))
        return err_exit(e, EX_USAGE_, EINVAL, "--date wants a day like 2009-02-16, not %s", value);
    ((struct support_args *)arg)->on = value;
    return 0;
}

static int set_cpus(void *arg, const char *value, struct err *e)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (*value < '0' || *value > '9' || *end || n < 1 || n > 4096)
        return err_exit(e, EX_USAGE_, EINVAL, "--cpus wants a number, not %s", value);
    ((struct support_args *)arg)->cpus = (unsigned)n;
    return 0;
}

static int set_log(void *arg, const char *value, struct err *e)
{
    struct support_args *a = arg;

    if (a->logs == SUPPORT_FILES)
        return err_exit(e, EX_USAGE_, E2BIG, "at most %d files", SUPPORT_FILES);
    a->log[a->logs++] = value;
    return 0;
}

/* "vendor=Red Hat,product=...,version=...,arch=..." */
static int set_side(struct vfacts *f, const char *option, const char *value, struct err *e)
{
    static const char *const keys[] = {"vendor", "product", "version", "arch"};
    char key[16], text[200];

    while (*value) {
        size_t n = strcspn(value, ","), k = strcspn(value, "="), i = 0;

        while (i < ARRAY_SIZE(keys) && (k != strlen(keys[i]) || strncmp(value, keys[i], k) != 0))
            i++;
        if (i == ARRAY_SIZE(keys) || k >= n || n - k - 1 >= sizeof(text))
            return err_exit(e, EX_USAGE_, EINVAL,
                            "--%s wants vendor=...,product=...,version=...,arch=..., not %s",
                            option, value);
        snprintf(key, sizeof(key), "%s", keys[i]);
        snprintf(text, sizeof(text), "%.*s", (int)(n - k - 1), value + k + 1);
        if (vfacts_set(f, key, text, e) < 0)
            return -ENOMEM;
        value += n + (value[n] == ',');
    }
    return 0;
}

static int set_host(void *arg, const char *value, struct err *e)
{
    return set_side(&((struct support_args *)arg)->host, "host", value, e);
}

static int set_guest(void *arg, const char *value, struct err *e)
{
    return set_side(&((struct support_args *)arg)->guest, "guest", value, e);
}

static int parse(const struct cli_command *c, int argc, char **argv, struct support_args *a,
                 int least, int most, int *n, struct err *e)
{
    int rc = cli_parse(c, argc, argv, a, n, e);

    if (rc == 0 && (*n < least || *n > most))
        return err_exit(e, EX_USAGE_, EINVAL, "%s wants %s; see hospes %s --help", c->name, c->args,
                        c->name);
    return rc;
}

/* --- who --- */

static const char *cover_words(const struct route_answer *r, char *out, size_t room)
{
    switch (r->cover) {
    case ROUTE_COVERED:
        snprintf(out, room, "covered since %s", r->since);
        break;
    case ROUTE_PLANNED:
        snprintf(out, room, "planned for %s, not covered", r->since);
        break;
    case ROUTE_NOT_YET:
        snprintf(out, room, "not covered on that day: it began on %s", r->since);
        break;
    case ROUTE_TOO_MANY:
        snprintf(out, room, "not covered: only with at most %u processor%s", r->max_cpus,
                 r->max_cpus == 1 ? "" : "s");
        break;
    case ROUTE_UNSAID:
        snprintf(out, room,
                 "depends on the guest's version and arch, which are not both said; covered are %s",
                 r->versions);
        break;
    default:
        snprintf(out, room, "not covered: another version or architecture; covered are %s",
                 r->versions);
        break;
    }
    return out;
}

static void who_text(void *arg, const struct route_answer *r)
{
    char text[400];

    (void)arg;
    line_print(2, "%s", cover_words(r, text, sizeof(text)));
    line_print(4, "  call first: %s", strcmp(r->first, "either") == 0 ? "either vendor" : r->first);
    line_print(4, "  then: %s", r->then);
    if (*r->needs)
        line_print(4, "  needed: %s", r->needs);
    if (r->max_cpus)
        line_print(4, "  holds up to %u processor%s", r->max_cpus, r->max_cpus == 1 ? "" : "s");
    line_print(4, "  says: %s (%s)", r->source_title ? r->source_title : r->source,
               r->source_date ? r->source_date : "no date");
}

static void who_json(void *arg, const struct route_answer *r)
{
    struct json_object *o = json_object_new_object();
    char text[400];

    (void)arg;
    vjson_add_text(o, "rule", r->rule);
    vjson_add_flag(o, "covered", r->cover == ROUTE_COVERED);
    vjson_add_text(o, "why", cover_words(r, text, sizeof(text)));
    vjson_add_text(o, "first", r->first);
    vjson_add_text(o, "then", r->then);
    vjson_add_text(o, "needs", r->needs);
    vjson_add_flag(o, "missing", r->missing);
    vjson_add_number(o, "max-cpus", r->max_cpus);
    vjson_add_text(o, "source", r->source_title);
    vjson_add_text(o, "source-date", r->source_date);
    line_json(o);
}

static int who(const struct support_args *a, struct err *e)
{
    const char *host = vfacts_get(&a->host, "vendor"), *guest = vfacts_get(&a->guest, "vendor");
    struct vfacts have = {NULL, 0};
    struct agreements *all;
    struct route_question q = {.host = a->host, .guest = a->guest, .cpus = a->cpus, .on = a->on};
    size_t n;
    int rc;

    if (!host || !guest || !vfacts_get(&a->host, "product") || !vfacts_get(&a->guest, "product"))
        return err_exit(e, EX_USAGE_, EINVAL,
                        "--host and --guest are needed, each with vendor= and product=");
    rc = agreements_read(a->agreements, &all, e);
    if (rc == 0 && a->have)
        rc = entitlement_read(a->have, &have, e);
    if (rc == 0) {
        q.have = a->have ? &have : NULL;
        n = route_each(all, &q, a->json ? who_json : who_text, NULL);
        if (n == 0)
            rc = err_exit(
                e, EX_MISSING, ENOENT,
                "no agreement between %s and %s on this combination is known here: call the "
                "vendor of the part that fails, or add an agreements file",
                host, guest);
        agreements_free(all);
    }
    vfacts_free(&have);
    return rc;
}

static void args_free(struct support_args *a)
{
    vfacts_free(&a->host);
    vfacts_free(&a->guest);
}

extern const struct cli_command support_who, support_bundle, support_triage, support_reproduce;

static int who_main(int argc, char **argv)
{
    struct support_args a = {.cpus = 0};
    struct err e = {0};
    int n, rc = parse(&support_who, argc, argv, &a, 0, 0, &n, &e);

    if (rc == 0)
        rc = who(&a, &e);
    args_free(&a);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

static const struct cli_option who_options[] = {
    {"host", "KEY=VALUE,...", "the host: vendor, product, version, arch", set_host},
    {"guest", "KEY=VALUE,...", "the guest: vendor, product, version, arch", set_guest},
    {"cpus", "N", "processors of the machine", set_cpus},
    {"date", "DAY", "on that day, like 2009-02-16 (default today)", set_date},
    {"have", "FILE", "what support you have, as JSON", set_have},
    {"agreements", "PATH", "more agreements: a file, or a folder of .json files", set_agreements},
    {"json", NULL, "one JSON object per statement", set_json},
    {NULL},
};

const struct cli_command support_who = {
    .name = "support who",
    .args = "[OPTION...]",
    .about = "Tells whom to call for a guest on a host, and who says so.",
    .more =
        "Each statement has its source; those that disagree are all told. Exit code 66: nothing\n"
        "is known.",
    .options = who_options,
    .run = who_main,
};

/* --- bundle --- */

static int bundle_info(struct support_case *c, const char *name, struct err *e)
{
    struct json_object *answer, *result;
    const char *text;
    int rc = remote_ask(name, "info", NULL, SUPPORT_CALL_MS, &answer, e);

    if (rc < 0)
        return rc;
    if (json_object_object_get_ex(answer, "result", &result)) {
        text = json_object_to_json_string_ext(result, JSON_C_TO_STRING_PRETTY |
                                                          JSON_C_TO_STRING_NOSLASHESCAPE);
        rc = case_add(c, "info.json", "what the guest has done, seen from outside", text,
                      strlen(text), e);
    }
    json_object_put(answer);
    return rc;
}

static int bundle_logs(struct support_case *c, const struct support_args *a, struct err *e)
{
    char name[64];
    int rc = 0;

    for (size_t i = 0; i < a->logs && rc == 0; i++) {
        snprintf(name, sizeof(name), "log-%zu.txt", i + 1);
        rc = case_add_file(c, name, "a log that was named", a->log[i], LOG_MOST, e);
    }
    return rc;
}

static int bundle_key(const char *path, uint8_t key[REDACT_KEY], struct err *e)
{
    char *text;
    size_t len;
    int rc = vtext_read(path, 4096, &text, &len, e);

    if (rc < 0)
        return rc;
    if (len < REDACT_KEY)
        rc = err_exit(e, EX_BAD_INPUT, EINVAL, "%s is too short for a key: %d bytes at least", path,
                      REDACT_KEY);
    else
        memcpy(key, text, REDACT_KEY);
    free(text);
    return rc;
}

static void bundle_tell(const struct support_case *c, struct redactor *r)
{
    const char *name, *about;
    size_t size;

    for (size_t i = 0; case_part(c, i, &name, &about, &size); i++)
        printf("%10zu  %-16s %s\n", size, name, about);
    printf("%zu secret%s removed; addresses and names replaced\n", redactor_removed(r),
           redactor_removed(r) == 1 ? "" : "s");
}

static int bundle_fill(struct support_case *c, const struct support_args *a, const char *name,
                       struct err *e)
{
    int rc = case_hide_self(c, e);

    if (rc == 0)
        rc = case_add(c, "version.txt", "this program", "hospes " HOSPES_VERSION "\n",
                      strlen("hospes " HOSPES_VERSION "\n"), e);
    if (rc == 0)
        rc = case_add_host(c, e);
    if (rc == 0 && name)
        rc = bundle_info(c, name, e);
    return rc < 0 ? rc : bundle_logs(c, a, e);
}

/* Nothing but a folder keeps a file from taking its place by rename. */
static int bundle_places(const char *out, const char *map, struct err *e)
{
    const char *const both[] = {out, map};
    struct stat st;

    if (strcmp(out, map) == 0)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "the bundle and its map are both to be %s: give them two names", out);
    for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
        if (stat(both[i], &st) == 0 && S_ISDIR(st.st_mode))
            return err_exit(e, EX_HOST_IO, EISDIR, "cannot write %s: it is a folder; name a file",
                            both[i]);
    }
    return 0;
}

/* A bundle without its map would be of no use: both take their places, or neither does. */
static int bundle_write_both(struct support_case *c, const char *out, const char *map,
                             struct err *e)
{
    char part[1100];
    struct stat st;
    bool device = stat(map, &st) == 0 && !S_ISREG(st.st_mode); /* /dev/null: it is not wanted */
    int rc = bundle_places(out, map, e);

    if (rc < 0)
        return rc;
    snprintf(part, sizeof(part), "%s.%d", map, (int)getpid());
    rc = case_write_map(c, device ? map : part, e);
    if (rc == 0)
        rc = case_write(c, out, e);
    if (rc == 0 && !device && rename(part, map) < 0)
        rc = err_exit(e, EX_HOST_IO, errno, "cannot write %s: %s", map, strerror(errno));
    if (rc < 0 && !device)
        unlink(part);
    else if (rc == 0)
        line_print(2, "%s; what the names stand for is in %s, which stays with you", out, map);
    return rc;
}

static int bundle(const struct support_args *a, const char *name, struct err *e)
{
    const char *out = a->out ? a->out : "hospes-support.tar.zst";
    uint8_t key[REDACT_KEY];
    struct support_case *c = NULL;
    char map[1024];
    int rc = a->key ? bundle_key(a->key, key, e) : 0;

    if (rc == 0)
        rc = case_create(a->key ? key : NULL, &c, e);
    if (rc < 0 || !c)
        return rc;
    if (snprintf(map, sizeof(map), "%s%s", a->map ? a->map : out, a->map ? "" : ".map") >=
        (int)sizeof(map))
        rc = err_exit(e, EX_USAGE_, ENAMETOOLONG, "the name %s is too long", out);
    if (rc == 0)
        rc = bundle_fill(c, a, name, e);
    if (rc == 0)
        bundle_tell(c, case_redactor(c));
    if (rc == 0 && !a->preview)
        rc = bundle_write_both(c, out, map, e);
    case_free(c);
    return rc;
}

static int bundle_main(int argc, char **argv)
{
    struct support_args a = {.cpus = 0};
    struct err e = {0};
    int n, rc = parse(&support_bundle, argc, argv, &a, 0, 1, &n, &e);

    if (rc == 0)
        rc = bundle(&a, n ? argv[1] : NULL, &e);
    args_free(&a);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

static const struct cli_option bundle_options[] = {
    {"preview", NULL, "show what would be in it, write nothing", set_preview},
    {"log", "FILE", "add a log; may be repeated", set_log},
    {"out", "FILE", "the bundle (default hospes-support.tar.zst)", set_out},
    {"map", "FILE", "what the false names stand for (default OUT.map)", set_map},
    {"key", "FILE", "32 bytes or more: the same key gives the same false names", set_key},
    {NULL},
};

const struct cli_command support_bundle = {
    .name = "support bundle",
    .args = "[OPTION...] [NAME]",
    .about = "Makes one file that both vendors can read, without secrets.",
    .more =
        "It holds facts of the host, those of machine NAME, and the logs that are named; never\n"
        "guest memory or disk contents. Passwords, tokens and keys are removed; addresses, host\n"
        "names, users and unique ids become the same false name everywhere.",
    .options = bundle_options,
    .run = bundle_main,
};

/* --- triage --- */

static int triage_bundle(struct triage *t, const struct bundle *b)
{
    char name[V_NAME_MAX + 32];
    const char *text;
    size_t len;

    for (size_t i = 0; i < bundle_records(b); i++) {
        const struct vrecord *r = bundle_record(b, i);

        triage_record(t, r->cell, r);
        for (unsigned k = 0; k < 2 && r->verdict != V_PASS; k++) {
            snprintf(name, sizeof(name), "cells/%s/%s", r->cell, k ? "vmm.log" : "serial.log");
            if (bundle_file(b, name, &text, &len))
                triage_text(t, r->cell, text, len);
        }
    }
    return 0;
}

static void triage_print(const struct triage *t)
{
    enum triage_layer layer;
    unsigned sure;

    for (size_t i = 0; i < t->n; i++) {
        line_print(20, "%3u %%  %-12s %s", t->found[i].sure, triage_layers[t->found[i].layer],
                   t->found[i].means);
        line_print(9, "       %s: %s", t->found[i].where, t->found[i].evidence);
    }
    if (triage_verdict(t, &layer, &sure))
        printf("\nThe evidence points at: %s (%u %% sure)\n", triage_layers[layer], sure);
    else
        printf("Nothing in these files points at a layer\n");
}

static void triage_json(const struct triage *t)
{
    struct json_object *o = json_object_new_object(), *list = json_object_new_array();
    enum triage_layer layer;
    unsigned sure;

    if (triage_verdict(t, &layer, &sure)) {
        vjson_add_text(o, "layer", triage_layers[layer]);
        vjson_add_number(o, "sure", sure);
    }
    for (size_t i = 0; i < t->n; i++) {
        struct json_object *f = json_object_new_object();

        vjson_add_text(f, "layer", triage_layers[t->found[i].layer]);
        vjson_add_number(f, "sure", t->found[i].sure);
        vjson_add_text(f, "means", t->found[i].means);
        vjson_add_text(f, "where", t->found[i].where);
        vjson_add_text(f, "evidence", t->found[i].evidence);
        json_object_array_add(list, f);
    }
    json_object_object_add(o, "findings", list);
    line_json(o);
}

/* What findings point into. */
struct triage_kept {
    struct bundle *bundle;
    struct vmembers parts;
};

/* The parts of a bundle of `support bundle`, of which the manifest is only the list. */
static void triage_parts(struct triage *t, const struct vmembers *parts)
{
    for (size_t i = 0; i < parts->n; i++) {
        if (strcmp(parts->m[i].name, "manifest.json") != 0)
            triage_text(t, parts->m[i].name, parts->m[i].data, parts->m[i].len);
    }
}

/* 1: it was one of `support bundle`. */
static int triage_case(struct triage *t, const char *text, size_t len, struct vmembers *parts,
                       struct err *e)
{
    static const char first[] = "\"hospes-case\"";
    const struct vmember *m;
    size_t tar_len;
    char *tar;
    int rc = zst_unpack(text, len, CASE_MOST, &tar, &tar_len, e);

    if (rc < 0)
        return 0; /* bundle_read() says what is wrong */
    rc = tar_unpack(tar, tar_len, parts, e);
    free(tar);
    m = rc < 0 ? NULL : vmembers_find(parts, "manifest.json");
    if (!m || !memmem(m->data, m->len < 64 ? m->len : 64, first, sizeof(first) - 1))
        return 0;
    triage_parts(t, parts);
    return 1;
}

/* A bundle is known by its first bytes, whatever it is called. */
static int triage_file(struct triage *t, const char *path, struct triage_kept *keep, struct err *e)
{
    struct err other = {0};
    char *text;
    size_t len;
    int rc = vtext_read(path, TEXT_MOST, &text, &len, e);

    if (rc < 0)
        return rc;
    if (!zst_begins(text, len)) {
        triage_text(t, path, text, len);
    } else if (triage_case(t, text, len, &keep->parts, &other) == 0) {
        rc = bundle_read(path, &keep->bundle, e);
        if (rc == 0)
            rc = triage_bundle(t, keep->bundle);
    }
    free(text);
    return rc;
}

static int triage_main(int argc, char **argv)
{
    struct support_args a = {.cpus = 0};
    struct triage_kept keep[SUPPORT_FILES] = {{NULL, {NULL, 0}}};
    struct triage *t = calloc(1, sizeof(*t));
    struct err e = {0};
    int n, rc = parse(&support_triage, argc, argv, &a, 1, SUPPORT_FILES, &n, &e);

    if (rc == 0 && !t)
        rc = err_set(&e, ENOMEM, "no memory");
    for (int i = 0; i < n && rc == 0; i++)
        rc = triage_file(t, argv[i + 1], &keep[i], &e);
    if (rc == 0 && a.json)
        triage_json(t);
    else if (rc == 0)
        triage_print(t);
    for (size_t i = 0; i < SUPPORT_FILES; i++) {
        bundle_free(keep[i].bundle);
        vmembers_free(&keep[i].parts);
    }
    free(t);
    args_free(&a);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

static const struct cli_option triage_options[] = {
    {"json", NULL, "print one JSON object", set_json},
    {NULL},
};

const struct cli_command support_triage = {
    .name = "support triage",
    .args = "[OPTION...] FILE...",
    .about = "Says which layer the evidence points at, and how sure that is.",
    .more =
        "A file is a log, a guest's console, what `hospes info` printed, a bundle of `hospes "
        "support\n"
        "bundle`, or a signed one of `hospes validate`; one with a control run on QEMU tells most.",
    .options = triage_options,
    .run = triage_main,
};

/* --- reproduce --- */

static int reproduce(const struct support_args *a, const char *path, struct err *e)
{
    struct plan *p = calloc(1, sizeof(*p));
    char *text = NULL;
    int rc = p ? vtext_read(path, 1 << 20, &text, NULL, e) : err_set(e, ENOMEM, "no memory");

    if (rc < 0) {
        free(p);
        return rc;
    }
    plan_init(p);
    rc = plan_from_json(p, text, e);
    if (rc == 0)
        rc = plan_check(p, e);
    if (rc < 0)
        rc = err_wrap(e, "%s", path);
    if (rc == 0 && strcmp(a->target, "bare") == 0)
        reproduce_bare(stdout, p);
    else if (rc == 0)
        reproduce_qemu(stdout, p);
    plan_free(p);
    free(p);
    free(text);
    return rc;
}

static int reproduce_main(int argc, char **argv)
{
    struct support_args a = {.target = "qemu"};
    struct err e = {0};
    int n, rc = parse(&support_reproduce, argc, argv, &a, 1, 1, &n, &e);

    if (rc == 0)
        rc = reproduce(&a, argv[1], &e);
    args_free(&a);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

static const struct cli_option reproduce_options[] = {
    {"on", "WHERE", "qemu (default): plain QEMU; bare: hospes without a hypervisor to show",
     set_target},
    {NULL},
};

const struct cli_command support_reproduce = {
    .name = "support reproduce",
    .args = "[OPTION...] PLAN",
    .about = "Prints the command that starts the same machine without its persona.",
    .more = "PLAN is what `hospes import -o` writes. Disks are opened as snapshots: nothing is "
            "changed.",
    .options = reproduce_options,
    .run = reproduce_main,
};

/* --- the command --- */

static const struct cli_command *const parts[] = {&support_who, &support_bundle, &support_triage,
                                                  &support_reproduce, NULL};

static int support_main(int argc, char **argv)
{
    static const struct cli_group group = {.name = "support", .parts = parts, .column = 10};

    return cli_group_run(&group, argc, argv);
}

const struct cli_command cli_support = {
    .name = "support",
    .args = "COMMAND [OPTION...] [ARGUMENT...]",
    .about = "Tells whom to call, and makes what they need to see.",
    .more = "Commands: who, bundle, triage, reproduce. Each has its own --help.",
    .run = support_main,
};
