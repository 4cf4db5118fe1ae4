/* SPDX-License-Identifier: Apache-2.0 */
/* cell.c - from claims to one word; see cell.h. */
#include "catalogue/cell.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "validation/vjson.h"

const char *const cell_words[CELL_STATES] = {"validated",     "failed",  "undecided", "inherited",
                                             "vendor-stated", "planned", "unknown"};
const char *const cell_signs[CELL_STATES] = {"\u2714", "\u2718", "\u2300", "\u2248",
                                             "\u201c", "\u2026", "?"};

static enum cell_state state_of(const struct index_row *r)
{
    switch (r->kind) {
    case CLAIM_TESTED:
        if (!r->signer[0])
            return CELL_UNKNOWN;
        if (r->validated)
            return CELL_VALIDATED;
        return r->verdict == V_FAIL || r->verdict == V_MISS || r->verdict == V_KNOWN
                   ? CELL_FAILED
                   : CELL_UNDECIDED;
    case CLAIM_INHERITED:
        return r->signer[0] ? CELL_INHERITED : CELL_UNKNOWN;
    case CLAIM_VENDOR_STATED:
        return CELL_STATED;
    case CLAIM_PLANNED:
        return CELL_PLANNED;
    default:
        return CELL_UNKNOWN;
    }
}

static void copy(char *out, size_t room, const char *text)
{
    snprintf(out, room, "%s", text);
}

bool cell_same(const struct cell *c, const struct index_row *r)
{
    return strncmp(c->guest, r->guest_name, sizeof(c->guest) - 1) == 0 &&
           strncmp(c->version, r->guest_version, sizeof(c->version) - 1) == 0 &&
           strncmp(c->arch, r->arch, sizeof(c->arch) - 1) == 0 &&
           strncmp(c->persona, r->persona, sizeof(c->persona) - 1) == 0;
}

void cell_begin(struct cell *c, const struct index_row *r)
{
    *c = (struct cell){.state = CELL_UNKNOWN, .level = LEVEL_UNKNOWN, .owner = OWNER_NOBODY};
    copy(c->guest, sizeof(c->guest), r->guest_name);
    copy(c->version, sizeof(c->version), r->guest_version);
    copy(c->arch, sizeof(c->arch), r->arch);
    copy(c->persona, sizeof(c->persona), r->persona);
    cell_add(c, r);
}

static void decide(struct cell *c, const struct index_row *r, enum cell_state s)
{
    c->state = s;
    c->newest = r->n;
    c->level = r->level;
    c->owner = r->owner;
    c->preview = r->preview;
    c->flaky = r->kind == CLAIM_TESTED && r->verdict == V_FLAKY;
    if (s > CELL_UNDECIDED)
        return;
    copy(c->host, sizeof(c->host), r->host);
    copy(c->host_version, sizeof(c->host_version), r->host_version);
    copy(c->tested, sizeof(c->tested), r->made);
    copy(c->runner, sizeof(c->runner), r->who);
}

void cell_add(struct cell *c, const struct index_row *r)
{
    enum cell_state s = state_of(r);
    bool first = c->claims++ == 0;

    if (first || (c->state > CELL_UNDECIDED && s < c->state)) {
        decide(c, r, s);
    } else if (s <= CELL_UNDECIDED && c->state <= CELL_UNDECIDED && strcmp(c->host, r->host) == 0 &&
               strcmp(c->host_version, r->host_version) == 0) {
        if ((s == CELL_VALIDATED) != (c->state == CELL_VALIDATED) && strcmp(c->runner, r->who) != 0)
            c->disputed = true;
        /* One machine size that fails is not made good by another one of the same day. */
        if (s == CELL_FAILED && c->state == CELL_VALIDATED && strcmp(c->tested, r->made) == 0)
            decide(c, r, s);
    }
    if (s != CELL_VALIDATED)
        return;
    if (r->cpus > c->max_cpus)
        c->max_cpus = r->cpus;
    if (r->memory > c->max_memory)
        c->max_memory = r->memory;
}

void cell_end(struct cell *c, const struct index *ix, const char *current)
{
    if (c->state > CELL_UNDECIDED)
        return;
    if (!current)
        current = index_newest(ix, c->host);
    c->stale = *current && claim_version_cmp(c->host_version, current) < 0;
}

void cell_sentence(const struct cell *c, char *out, size_t room)
{
    int n = snprintf(out, room, "%s", cell_words[c->state]);
    size_t at = n > 0 ? (size_t)n : 0;

    if (c->state <= CELL_UNDECIDED && at < room)
        at += (size_t)snprintf(out + at, room - at, " on %s %s%s%.10s by %s", c->host,
                               c->host_version, ", tested ", c->tested, c->runner);
    if (c->state == CELL_VALIDATED && at < room)
        at += (size_t)snprintf(out + at, room - at, ", up to %llu processor%s and %llu MiB",
                               (unsigned long long)c->max_cpus, c->max_cpus == 1 ? "" : "s",
                               (unsigned long long)(c->max_memory / MiB));
    if (c->flaky && at < room)
        at += (size_t)snprintf(out + at, room - at, ", only after a retry");
    if (c->disputed && at < room)
        at += (size_t)snprintf(out + at, room - at, ", disputed: runners disagree");
    if (c->stale && at < room)
        at += (size_t)snprintf(out + at, room - at, ", stale: the host has moved on");
    if (c->preview && at < room)
        snprintf(out + at, room - at, ", a preview");
}

struct json_object *cell_to_json(const struct cell *c)
{
    struct json_object *o = json_object_new_object();

    vjson_add_text(o, "guest", c->guest);
    vjson_add_text(o, "version", c->version);
    vjson_add_text(o, "arch", c->arch);
    vjson_add_text(o, "persona", c->persona);
    vjson_add_text(o, "state", cell_words[c->state]);
    vjson_add_flag(o, "stale", c->stale);
    vjson_add_flag(o, "disputed", c->disputed);
    vjson_add_flag(o, "flaky", c->flaky);
    vjson_add_text(o, "host", c->host[0] ? c->host : NULL);
    vjson_add_text(o, "host-version", c->host[0] ? c->host_version : NULL);
    vjson_add_text(o, "tested", c->tested[0] ? c->tested : NULL);
    vjson_add_text(o, "runner", c->runner[0] ? c->runner : NULL);
    vjson_add_number(o, "max-cpus", c->max_cpus);
    vjson_add_number(o, "max-memory", c->max_memory);
    vjson_add_text(o, "level", claim_level_words[c->level]);
    vjson_add_text(o, "owner", claim_owner_words[c->owner]);
    vjson_add_number(o, "claims", c->claims);
    vjson_add_number(o, "decided-by", c->newest);
    return o;
}

struct each {
    struct index *ix;
    const char *current;
    cell_fn *fn;
    void *arg;
    struct cell c;
    bool open;
};

static int each_end(struct each *x)
{
    if (!x->open)
        return 0;
    x->open = false;
    cell_end(&x->c, x->ix, x->current);
    return x->fn(x->arg, &x->c);
}

static int each_row(void *arg, const struct index_row *r)
{
    struct each *x = arg;
    int rc = 0;

    if (x->open && cell_same(&x->c, r)) {
        cell_add(&x->c, r);
        return 0;
    }
    rc = each_end(x);
    x->open = true;
    cell_begin(&x->c, r);
    return rc;
}

int cells_each(struct index *ix, const char *guest, const char *persona, const char *current,
               cell_fn *fn, void *arg, struct err *e)
{
    struct each x = {.ix = ix, .current = current, .fn = fn, .arg = arg};
    int rc = index_rows(ix, guest, persona, each_row, &x, e);

    return rc ? rc : each_end(&x);
}
