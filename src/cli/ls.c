/* SPDX-License-Identifier: Apache-2.0 */
/* ls.c - `hospes ls`: the machines of this user that run now. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/line.h"
#include "machine/remote.h"
#include "machine/runtime.h"

enum { LS_TIMEOUT_MS = 3000 };

struct ls {
    bool json;
    unsigned shown;
};

static void ls_age(uint64_t s, char *out, size_t room)
{
    if (s >= 86400)
        snprintf(out, room, "%llud%lluh", (unsigned long long)(s / 86400),
                 (unsigned long long)(s / 3600 % 24));
    else if (s >= 3600)
        snprintf(out, room, "%lluh%llum", (unsigned long long)(s / 3600),
                 (unsigned long long)(s / 60 % 60));
    else if (s >= 60)
        snprintf(out, room, "%llum%llus", (unsigned long long)(s / 60),
                 (unsigned long long)(s % 60));
    else
        snprintf(out, room, "%llus", (unsigned long long)s);
}

static void ls_line(struct ls *l, const char *name, int pid, struct json_object *o)
{
    const char *persona = o ? remote_text(o, "persona") : NULL;
    char age[32] = "-", memory[32] = "-", cpus[16] = "-";

    if (l->json) {
        struct json_object *j = json_object_new_object();

        json_object_object_add(j, "name", json_object_new_string(name));
        json_object_object_add(j, "pid", json_object_new_int(pid));
        if (o) {
            json_object_object_add(j, "persona", json_object_new_string(persona ? persona : ""));
            json_object_object_add(j, "cpus", json_object_new_uint64(remote_number(o, "cpus")));
            json_object_object_add(j, "memory", json_object_new_uint64(remote_number(o, "memory")));
            json_object_object_add(j, "uptime", json_object_new_uint64(remote_number(o, "uptime")));
        }
        json_object_object_add(j, "answers", json_object_new_boolean(o != NULL));
        line_json(j);
        return;
    }
    if (o) {
        ls_age(remote_number(o, "uptime"), age, sizeof(age));
        snprintf(memory, sizeof(memory), "%lluM",
                 (unsigned long long)(remote_number(o, "memory") / MiB));
        snprintf(cpus, sizeof(cpus), "%llu", (unsigned long long)remote_number(o, "cpus"));
    }
    if (l->shown++ == 0)
        printf("%-20s %8s  %-8s %4s %8s  %s\n", "NAME", "PID", "PERSONA", "CPUS", "MEMORY",
               "UPTIME");
    printf("%-20s %8d  %-8s %4s %8s  %s\n", name, pid, persona ? persona : "-", cpus, memory, age);
}

static int ls_one(void *arg, const char *name, const char *path)
{
    struct json_object *answer = NULL, *result = NULL;
    struct remote *r;
    struct err e;
    int rc;

    (void)path;
    if (remote_open(name, &r, &e) < 0) {
        /* A stale socket is cleared away without a word, and one that ends now is no news. */
        if (e.code != ENOENT && e.code != ECONNRESET)
            line_complain("hospes: %s", e.msg);
        return 0;
    }
    rc = remote_call(r, "info", NULL, LS_TIMEOUT_MS, &answer, &e);
    if (rc == 0)
        json_object_object_get_ex(answer, "result", &result);
    if (rc != -ECONNRESET)
        ls_line(arg, name, remote_pid(r), result);
    json_object_put(answer);
    remote_close(r);
    return 0;
}

static int ls_json(void *arg, const char *value, struct err *e)
{
    ((struct ls *)arg)->json = true;
    return 0;
}

static const struct cli_option ls_options[] = {
    {"json", NULL, "print one JSON object per machine", ls_json},
    {NULL},
};

static int ls_main(int argc, char **argv)
{
    struct ls l = {0};
    struct err e;
    int n, rc = cli_parse(&cli_ls, argc, argv, &l, &n, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0 && n > 0)
        rc = err_exit(&e, EX_USAGE_, EINVAL,
                      "ls takes no argument, but was given %s; see hospes info", argv[1]);
    if (rc == 0)
        rc = runtime_each(ls_one, &l, &e);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

const struct cli_command cli_ls = {
    .name = "ls",
    .args = "[OPTION...]",
    .about = "Lists the machines that run now.",
    .options = ls_options,
    .run = ls_main,
};
