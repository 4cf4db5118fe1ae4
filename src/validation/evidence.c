/* SPDX-License-Identifier: Apache-2.0 */
/* evidence.c - the files beside a cell's record, also what can be had of a machine at a failure. */
#define _GNU_SOURCE
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "validation/cell.h"
#include "validation/contract.h"
#include "validation/key.h"
#include "validation/vjson.h"

void cell_file(struct cell_run *c, const char *name, const void *data, size_t len)
{
    char path[V_PATH], sha[V_SHA_TEXT];
    struct err e = {0};
    int rc = vpath(path, c->dir, name, &e);

    for (size_t i = 0; i < c->r->files.n; i++) {
        if (strcmp(c->r->files.file[i].name, name) == 0)
            return; /* the first one is about the first trouble */
    }
    if (rc == 0)
        rc = vtext_write(path, data, len, &e);
    sha256_text(data, len, sha);
    if (rc == 0)
        rc = vfiles_add(&c->r->files, NULL, name, len, sha, &e);
    if (rc < 0)
        vlog_say(&c->log, "%s", e.msg);
}

static void cell_json(struct cell_run *c, const char *name, struct json_object *o)
{
    struct err e = {0};
    char *text;

    if (vjson_print(json_object_get(o), &text, &e) < 0)
        return;
    cell_file(c, name, text, strlen(text));
    free(text);
}

static void cell_contract(struct cell_run *c, struct json_object *info)
{
    struct contract k = {0};
    struct err e = {0};
    char *text;

    if (contract_of_info(&k, info, c->id, c->guest->name, &e) == 0 &&
        contract_to_json(&k, &text, &e) == 0) {
        cell_file(c, "contract.json", text, strlen(text));
        free(text);
    } else {
        vlog_say(&c->log, "no contract: %s", e.msg);
    }
    contract_free(&k);
}

void cell_tell(struct cell_run *c)
{
    struct json_object *info;
    struct err e = {0};

    if (c->told || !c->s.vm)
        return;
    c->told = true;
    if (c->s.ops->info(c->s.vm, &info, &e) < 0) {
        vlog_say(&c->log, "no facts: %s", e.msg);
        return;
    }
    cell_json(c, "info-last.json", info);
    cell_contract(c, info);
    json_object_put(info);
}

static void cell_screen(struct cell_run *c, const char *id)
{
    char name[V_NAME_MAX], path[V_PATH], *data;
    struct err e = {0};
    size_t len;

    snprintf(name, sizeof(name), "screen-%.60s.png", id);
    if (vpath(path, c->work, name, &e) < 0 || c->s.ops->screen(c->s.vm, path, &e) < 0 ||
        vtext_read(path, VLOG_SERIAL_MAX, &data, &len, &e) < 0)
        return; /* it has none */
    cell_file(c, name, data, len);
    free(data);
}

static void cell_threads(struct cell_run *c, const char *id)
{
    char name[V_NAME_MAX];
    struct vbuf b = {0};

    snprintf(name, sizeof(name), "threads-%.60s.txt", id);
    c->s.ops->threads(c->s.vm, &b);
    if (!b.failed && b.len)
        cell_file(c, name, b.data, b.len);
    vbuf_free(&b);
}

static void cell_state(struct cell_run *c, const char *id)
{
    char name[V_NAME_MAX];
    struct json_object *o;
    struct err e = {0};

    snprintf(name, sizeof(name), "state-%.60s.json", id);
    if (c->s.ops->state(c->s.vm, &o, &e) == 0) {
        cell_json(c, name, o);
        json_object_put(o);
    } else if (e.code != ENOTSUP) {
        vlog_say(&c->log, "no registers: %s", e.msg);
    }
}

bool cell_evidence(struct cell_run *c, const char *id)
{
    char name[V_NAME_MAX];
    struct json_object *o;
    struct err e = {0};

    if (!c->s.vm)
        return true;
    snprintf(name, sizeof(name), "info-%.60s.json", id);
    if (c->s.ops->info(c->s.vm, &o, &e) == 0) {
        cell_json(c, name, o);
        json_object_put(o);
    } else if (e.code != ENOTSUP) {
        vlog_say(&c->log, "no facts: %s", e.msg);
    }
    if (e.code == ETIMEDOUT) {
        cell_threads(c, id);
        return false;
    }
    cell_screen(c, id);
    cell_state(c, id);
    return true;
}
