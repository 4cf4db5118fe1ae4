/* SPDX-License-Identifier: Apache-2.0 */
/* told.c - see told.h. */
#include "cli/told.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/line.h"
#include "machine/remote.h"

enum { TOLD_CALL_MS = 5000 };

int told_json(void *arg, const char *value, struct err *e)
{
    (void)value;
    (void)e;
    ((struct told *)arg)->json = true;
    return 0;
}

int told_timeout(void *arg, const char *value, struct err *e)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (*value < '0' || *value > '9' || *end || n > 86400)
        return err_exit(e, EX_USAGE_, EINVAL, "--timeout wants seconds from 0 to 86400, not %s",
                        value);
    ((struct told *)arg)->timeout = (unsigned)n;
    return 0;
}

static void told_print(const struct told *t, const char *name, const char *text, bool obeyed)
{
    struct json_object *o;

    if (!t->json) {
        if (obeyed)
            line_print(2, "%s: %s", name, text);
        return;
    }
    o = json_object_new_object();
    json_object_object_add(o, "name", json_object_new_string(name));
    json_object_object_add(o, "obeyed", json_object_new_boolean(obeyed));
    json_object_object_add(o, "text", json_object_new_string(text));
    line_json(o);
}

static int told_wait(const struct told *t, struct remote *r, const char *name, struct err *e)
{
    struct json_object *o = NULL;
    const char *event, *text;
    int rc = remote_event(r, (int)t->timeout * 1000, &o, e);

    if (rc < 0)
        return rc;
    if (rc == 0)
        return err_exit(e, EX_HOST_IO, ETIMEDOUT, "%s was asked and has not answered after %u s",
                        name, t->timeout);
    event = remote_text(o, "event");
    text = remote_text(o, "text");
    rc = strcmp(event, "refused") == 0 ? -EREMOTEIO : 0;
    told_print(t, name, text ? text : event, rc == 0);
    if (rc < 0)
        rc = err_exit(e, EX_HOST_IO, EREMOTEIO, "%s: the guest refused: %s", name,
                      text ? text : "it gave no reason");
    json_object_put(o);
    return rc;
}

int told_call(const struct told *t, const char *name, const char *word, struct json_object *more,
              struct err *e)
{
    struct json_object *answer = NULL, *done = NULL;
    struct remote *r;
    int rc = remote_open(name, &r, e);

    if (rc < 0) {
        json_object_put(more);
        return rc;
    }
    rc = remote_call(r, word, more, TOLD_CALL_MS, &answer, e);
    if (rc == 0 && json_object_object_get_ex(answer, "done", &done) &&
        json_object_get_boolean(done))
        told_print(t, name, "done", true);
    else if (rc == 0)
        rc = told_wait(t, r, name, e);
    json_object_put(answer);
    remote_close(r);
    return rc;
}
