/* SPDX-License-Identifier: Apache-2.0 */
/* stop.c - `hospes stop`: asks a guest to shut down and tells whether it did, or pulls the plug. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/commands.h"
#include "cli/line.h"
#include "machine/remote.h"

/* A machine leaves a disk without an answer 10 s after it began to wait. */
enum { STOP_CALL_MS = 5000, STOP_NOW_MS = 15000, STOP_TIMEOUT_S = 60 };

struct stop {
    bool now, json;
    unsigned timeout; /* seconds */
};

static int stop_now(void *arg, const char *value, struct err *e)
{
    ((struct stop *)arg)->now = true;
    return 0;
}

static int stop_json(void *arg, const char *value, struct err *e)
{
    ((struct stop *)arg)->json = true;
    return 0;
}

static int stop_timeout(void *arg, const char *value, struct err *e)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (*value < '0' || *value > '9' || *end || n > 86400)
        return err_exit(e, EX_USAGE_, EINVAL, "--timeout wants seconds from 0 to 86400, not %s",
                        value);
    ((struct stop *)arg)->timeout = (unsigned)n;
    return 0;
}

static const struct cli_option stop_options[] = {
    {"now", NULL, "pull the plug instead of asking", stop_now},
    {"timeout", "SECONDS", "how long the guest may take (default 60)", stop_timeout},
    {"json", NULL, "print what happened as JSON", stop_json},
    {NULL},
};

static int64_t stop_clock_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void stop_tell(const struct stop *s, const char *name, const char *how, bool obeyed,
                      const char *end, int64_t ms)
{
    if (s->json) {
        struct json_object *o = json_object_new_object();

        json_object_object_add(o, "name", json_object_new_string(name));
        json_object_object_add(o, "asked", json_object_new_string(how));
        json_object_object_add(o, "obeyed", json_object_new_boolean(obeyed));
        json_object_object_add(o, "end", json_object_new_string(end));
        json_object_object_add(o, "ms", json_object_new_int64(ms));
        line_json(o);
    } else if (s->now) {
        printf("%s: the plug was pulled\n", name);
    } else {
        printf("%s: asked by %s, %s after %.1f s\n", name, how, end, (double)ms / 1000);
    }
}

/* Waits for the machine's end. 1: it ended, and how; 0: time is up; -errno. */
static int stop_wait(struct remote *r, int64_t until, char *end, size_t room, struct err *e)
{
    struct json_object *o;
    int64_t left;
    int rc = 0;

    snprintf(end, room, "gone");
    while ((left = until - stop_clock_ms()) > 0) {
        rc = remote_event(r, (int)left, &o, e);
        if (rc == -ECONNRESET)
            return 1; /* the process ended without a last word */
        if (rc <= 0)
            return rc;
        if (strcmp(remote_text(o, "event"), "end") == 0) {
            snprintf(end, room, "%s", remote_text(o, "how"));
            json_object_put(o);
            return 1;
        }
        json_object_put(o);
    }
    return 0;
}

static int stop_machine(const struct stop *s, const char *name, struct err *e)
{
    int64_t start = stop_clock_ms(),
            until = start + (s->now ? STOP_NOW_MS : (int64_t)s->timeout * 1000);
    struct json_object *req = json_object_new_object(), *answer = NULL;
    char how[64] = "the plug", end[64];
    struct remote *r;
    int rc = remote_open(name, &r, e);

    if (rc < 0) {
        json_object_put(req);
        return rc;
    }
    json_object_object_add(req, "now", json_object_new_boolean(s->now));
    rc = remote_call(r, "stop", req, STOP_CALL_MS, &answer, e);
    if (rc == 0) {
        if (remote_text(answer, "how"))
            snprintf(how, sizeof(how), "%s", remote_text(answer, "how"));
        json_object_put(answer);
        rc = stop_wait(r, until, end, sizeof(end), e);
    }
    if (rc > 0) {
        stop_tell(s, name, how, !s->now, end, stop_clock_ms() - start);
        rc = 0;
    } else if (rc == 0) {
        if (s->json)
            stop_tell(s, name, how, false, "runs", stop_clock_ms() - start);
        rc = s->now ? err_exit(e, EX_HOST_IO, ETIMEDOUT,
                               "%s still runs %d s after its plug was pulled: the host does not "
                               "let it go; look at the storage of its disks",
                               name, STOP_NOW_MS / 1000)
                    : err_exit(e, EX_HOST_IO, ETIMEDOUT,
                               "%s was asked by %s and still runs after %u s; ask again, or stop "
                               "it with --now",
                               name, how, s->timeout);
    }
    remote_close(r);
    return rc;
}

static int stop_main(int argc, char **argv)
{
    struct stop s = {.timeout = STOP_TIMEOUT_S};
    struct err e;
    int n, rc = cli_parse(&cli_stop, argc, argv, &s, &n, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0 && n != 1)
        rc = err_exit(&e, EX_USAGE_, EINVAL, "stop wants the name of one machine; see hospes ls");
    if (rc == 0)
        rc = stop_machine(&s, argv[1], &e);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

const struct cli_command cli_stop = {
    .name = "stop",
    .args = "[OPTION...] NAME",
    .about = "Asks a guest to shut down, or pulls the plug.",
    .more = "The guest is asked by its persona's own channel, or by the ACPI power button where\n"
            "it has none. Exit codes: 0 the machine has ended, 66 no such machine, 74 it was\n"
            "asked and still runs.",
    .options = stop_options,
    .run = stop_main,
};
