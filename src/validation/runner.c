/* SPDX-License-Identifier: Apache-2.0 */
/* runner.c - see runner.h: one cell from its plan to its record. */
#define _GNU_SOURCE
#include "validation/runner.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"
#include "core/path.h"
#include "validation/cell.h"
#include "validation/key.h"
#include "validation/vjson.h"

/* --- the results folder --- */

static int prepare_file(const char *path, const char *text, size_t len, struct err *e)
{
    char *have;
    size_t n;
    int rc;

    if (access(path, F_OK) < 0)
        return vtext_write(path, text, len, e);
    rc = vtext_read(path, VPLAN_BYTES_MAX, &have, &n, e);
    if (rc < 0)
        return rc;
    if (n != len || memcmp(have, text, len) != 0)
        rc = err_exit(e, EX_USAGE_, EEXIST,
                      "%s belongs to other results than these: choose another folder with --out",
                      path);
    free(have);
    return rc;
}

int runner_prepare(const struct runner_cfg *c, struct err *e)
{
    char path[V_PATH], name[80];
    int rc = vpath(path, c->out, "cells", e);

    if (rc == 0)
        rc = vtext_mkdir(path, e);
    if (rc == 0)
        rc = vpath(path, c->out, "suites", e);
    if (rc == 0)
        rc = vtext_mkdir(path, e);
    if (rc == 0)
        rc = vpath(path, c->out, "plan.txt", e);
    if (rc == 0)
        rc = prepare_file(path, c->plan->text, c->plan->len, e);
    for (unsigned i = 0; rc == 0 && i < c->plan->suites; i++) {
        snprintf(name, sizeof(name), "suites/%.40s.sh", c->plan->suite[i].name);
        rc = vpath(path, c->out, name, e);
        if (rc == 0)
            rc = prepare_file(path, c->plan->suite[i].text, c->plan->suite[i].len, e);
    }
    return rc;
}

int runner_result(const struct runner_cfg *c, size_t index, struct vrecord *r, struct err *e)
{
    char id[VPLAN_CELL_ID], name[VPLAN_CELL_ID + 32], path[V_PATH], *text;
    size_t len;
    int rc;

    vrecord_init(r);
    vplan_cell_id(c->plan, &c->plan->cell[index], id);
    snprintf(name, sizeof(name), "cells/%s/result.json", id);
    rc = vpath(path, c->out, name, e);
    if (rc < 0 || access(path, F_OK) < 0)
        return rc;
    rc = vtext_read(path, VJSON_BYTES_MAX, &text, &len, e);
    if (rc < 0)
        return rc;
    rc = vrecord_from_json(r, text, len, e);
    free(text);
    if (rc < 0)
        return err_wrap(e, "%s", path);
    if (strcmp(r->plan_sha256, c->plan->sha256) != 0)
        return err_exit(e, EX_USAGE_, EEXIST,
                        "%s is from another plan: choose another results folder with --out", path);
    return 1;
}

/* --- the machine --- */

void cell_append(struct cell_run *c)
{
    const struct vplan *p = c->cfg->plan;

    snprintf(c->append, sizeof(c->append),
             "console=ttyS0 quiet panic=-1 reboot=k hospes.persona=%s hospes.cpus=%u "
             "hospes.memory=%llu %s",
             c->persona, p->cpus[c->cell->at[VP_CPUS]],
             (unsigned long long)p->memory[c->cell->at[VP_MEMORY]],
             c->guest->append ? c->guest->append : "");
}

int cell_initrd(const char *path, const struct vguest *g, const char *persona,
                const struct vplan *plan, const struct initrd_file *file, size_t files,
                struct err *e)
{
    const struct initrd_parts parts = {
        .modules = g->modules,
        .persona = persona,
        .suite = plan->suite,
        .suites = plan->suites,
        .level = plan->level,
        .before = g->initrd,
        .file = file,
        .files = files,
    };

    return initrd_write(path, &parts, e);
}

void cell_spec(const struct cell_run *c, struct vm_spec *out)
{
    const struct vplan *p = c->cfg->plan;
    const struct vguest *g = c->guest;
    const char *whole = p->persona[c->cell->at[VP_PERSONA]];
    bool same = strncmp(whole, c->persona, strlen(c->persona)) == 0;

    *out = (struct vm_spec){
        .program = c->cfg->program,
        .work = c->work,
        .name = "this",
        .persona = same ? whole : c->persona,
        .cpus = p->cpus[c->cell->at[VP_CPUS]],
        .memory = p->memory[c->cell->at[VP_MEMORY]],
        .kernel = g->kernel,
        .initrd = c->initrd[0] ? c->initrd : g->initrd,
        .append = c->append,
        .image = g->image,
        .firmware = g->image ? g->firmware : NULL,
        .disk = c->disk[0] ? c->disk : NULL,
        .disk_format = p->disk[c->cell->at[VP_DISK]],
    };
    if (strcmp(p->network[c->cell->at[VP_NETWORK]], "none") != 0)
        out->nic[out->nics++] = "user";
}

/* A closed guest without a marker says nothing that we know: it has the time until `deadline`. */
static void cell_settle(struct cell_run *c, uint64_t deadline, struct outcome *out)
{
    struct event ev;

    do {
        session_event(&c->s, deadline, &ev);
    } while (ev.kind != EVENT_GONE && ev.kind != EVENT_TIMEOUT);
    if (ev.kind == EVENT_GONE) {
        outcome_set(out, V_FAIL, "%s", c->s.end);
        out->lost = true;
    } else {
        outcome_set(out, V_PASS, "%s", "");
    }
}

void cell_up(struct cell_run *c, uint64_t ms, struct outcome *out)
{
    struct vm_spec spec;
    struct err e = {0};

    *out = (struct outcome){.status = V_PASS};
    if (c->s.vm && (c->s.agent || c->guest->outside))
        return;
    session_stop(&c->s);
    c->mark.set = false;
    cell_spec(c, &spec);
    if (session_start(&c->s, &spec, &e) < 0) {
        outcome_set(out, V_ERROR, "%s", e.msg);
        out->lost = true;
    } else if (c->guest->outside && !c->s.marker) {
        cell_settle(c, clock_ms() + ms / 2, out);
    } else {
        session_ready(&c->s, ms, out);
    }
}

/* --- checks --- */

/* A program of the check that this machine cannot give to its guest. */
static bool cell_lacks_program(const struct suite_check *k, char why[V_NAME_MAX])
{
    char name[64], path[V_PATH];
    size_t n;

    for (const char *at = k->programs + strspn(k->programs, " "); *at; at += strspn(at, " ")) {
        n = strcspn(at, " ");
        snprintf(name, sizeof(name), "%.*s", (int)n, at);
        at += n;
        if (!program_find(name, path)) {
            snprintf(why, V_NAME_MAX, "this machine has no %.40s to give to the guest", name);
            return true;
        }
    }
    return false;
}

/* What the check needs and the cell has not; NULL: nothing. why: room for the words. */
static const char *cell_lacks(const struct cell_run *c, const struct suite_check *k,
                              char why[V_NAME_MAX])
{
    const struct vplan *p = c->cfg->plan;

    if ((k->by == BY_GUEST || suite_has_word(k->needs, "agent")) && c->guest->outside)
        return "nothing is installed in this guest";
    if (suite_has_word(k->needs, "disk") && !c->disk[0] && !c->guest->image)
        return "the cell has no disk";
    if (suite_has_word(k->needs, "nic") && strcmp(p->network[c->cell->at[VP_NETWORK]], "none") == 0)
        return "the cell has no network";
    return cell_lacks_program(k, why) ? why : NULL;
}

static void check_outside(struct cell_run *c, const struct suite_check *k, uint64_t ms,
                          struct outcome *out)
{
    struct json_object *info;
    struct err e = {0};
    bool holds = false;

    cell_up(c, ms, out);
    if (out->status != V_PASS)
        return;
    if (c->s.ops->info(c->s.vm, &info, &e) < 0) {
        outcome_set(out, e.code == ENOTSUP ? V_SKIP : V_ERROR, "%s", e.msg);
        return;
    }
    if (outside_rule(k->args, info, &holds, &e) < 0)
        outcome_set(out, V_ERROR, "%s", e.msg);
    else if (!holds)
        outcome_set(out, V_FAIL, "what hospes info shows does not match: %s", k->args);
    json_object_put(info);
}

static void check_once(struct cell_run *c, const struct suite_check *k, struct outcome *out)
{
    uint64_t ms = (uint64_t)k->seconds * 1000 * c->cfg->slow;
    const struct scenario *s;

    *out = (struct outcome){.status = V_ERROR};
    switch (k->by) {
    case BY_GUEST:
        cell_up(c, ms, out);
        if (out->status == V_PASS)
            session_check(&c->s, k->id, "", ms, out);
        break;
    case BY_OUTSIDE:
        check_outside(c, k, ms, out);
        break;
    case BY_HOST:
        s = scenario_find(k->args);
        if (s)
            s->run(c, k, ms, out);
        else
            outcome_set(out, V_ERROR, "this hospes has no scenario \"%.60s\"", k->args);
        break;
    }
}

static int check_attempt(struct cell_run *c, const struct suite_check *k, struct vcheck *v,
                         struct outcome *out, struct err *e)
{
    uint32_t from = vlog_say(&c->log, "%s attempt %zu", k->id, v->attempts + 1), to;
    uint64_t start = clock_ms();
    char why[sizeof(out->why)];

    check_once(c, k, out);
    if ((out->status == V_FAIL || out->status == V_ERROR) && !cell_evidence(c, k->id)) {
        /* Whatever the guest did: it could do no better. */
        snprintf(why, sizeof(why), "%s", out->why);
        outcome_set(out, V_ERROR, "hospes does not answer any more (%s)", why);
        out->lost = true;
    }
    /* A machine that does not answer is of no more use. */
    if (out->lost)
        session_stop(&c->s);
    to = vlog_say(&c->log, "%s %s%s%s", k->id, vstatus_word(out->status), out->why[0] ? " " : "",
                  out->status == V_PASS ? "" : out->why);
    return vcheck_add_attempt(v, out->status, clock_ms() - start, out->why, from, to, e);
}

static void today(char out[16])
{
    time_t now = time(NULL);
    struct tm tm;

    gmtime_r(&now, &tm);
    strftime(out, 16, "%Y-%m-%d", &tm);
}

/* The status that all attempts together give. */
static int check_settle(struct cell_run *c, const struct suite_check *k, struct vcheck *v,
                        const struct outcome *last, struct err *e)
{
    const struct vexception *x;
    char date[16];
    int rc;

    v->status = last->status;
    if (last->status == V_PASS && v->attempts > 1)
        v->status = V_FLAKY;
    rc = vtext_set(&v->why, last->why[0] ? last->why : NULL, e);
    if (rc < 0 || last->status != V_FAIL)
        return rc;
    today(date);
    x = vplan_exception(c->cfg->plan, c->cell, k->id, date);
    if (!x || x->skip)
        return 0;
    v->status = V_KNOWN;
    return vtext_set(&v->issue, x->text, e);
}

static int check_run(struct cell_run *c, const struct suite_check *k, struct vcheck *v,
                     struct err *e)
{
    char text[V_NAME_MAX];
    const char *lacks = cell_lacks(c, k, text);
    const struct vexception *x;
    struct outcome out;
    char date[16];
    int rc = 0;

    today(date);
    x = vplan_exception(c->cfg->plan, c->cell, k->id, date);
    if (lacks || (x && x->skip)) {
        v->status = V_SKIP;
        return vtext_set(&v->why, lacks ? lacks : x->text, e);
    }
    if (c->dead) {
        v->status = V_MISS;
        return vtext_set(&v->why, "the machine had ended before", e);
    }
    do {
        rc = check_attempt(c, k, v, &out, e);
    } while (rc == 0 && (out.status == V_FAIL || out.status == V_ERROR) &&
             v->attempts < c->cfg->plan->attempts);
    if (rc == 0)
        rc = check_settle(c, k, v, &out, e);
    /* A skip inside the check has an attempt that says so, in the log; the record keeps the reason.
     */
    if (out.lost)
        c->dead = true;
    if (c->cfg->progress)
        c->cfg->progress(c->cfg->arg, c->id, v);
    return rc;
}

static enum cell_phase check_phase(const struct suite_check *k)
{
    const struct scenario *s = k->by == BY_HOST ? scenario_find(k->args) : NULL;

    return s ? s->phase : PHASE_LIVE;
}

static void cell_begin(struct cell_run *c, const struct suite_check *k)
{
    const struct scenario *s = k->by == BY_HOST ? scenario_find(k->args) : NULL;
    char text[V_NAME_MAX];

    if (s && s->begin && !c->dead && c->s.vm && !cell_lacks(c, k, text))
        s->begin(c, k, (uint64_t)k->seconds * 1000 * c->cfg->slow);
}

/* Each check of this cell with its place in the record: what it is for in this phase. */
static int cell_phase_run(struct cell_run *c, enum cell_phase phase, struct err *e)
{
    const struct vplan *p = c->cfg->plan;
    size_t n = 0;
    int rc = 0;

    for (unsigned s = 0; rc == 0 && s < p->suites; s++) {
        for (size_t i = 0; rc == 0 && i < p->suite[s].checks; i++) {
            const struct suite_check *k = &p->suite[s].check[i];

            if (!vplan_check_applies(p, c->cell, k))
                continue;
            if (check_phase(k) == phase)
                rc = check_run(c, k, &c->r->check[n], e);
            else if (phase == PHASE_BEGIN)
                cell_begin(c, k);
            n++;
        }
    }
    return rc;
}

static int cell_checks(struct cell_run *c, struct err *e)
{
    int rc = 0;

    for (int phase = 0; rc == 0 && phase < PHASES; phase++) {
        if (phase == PHASE_RESTART)
            cell_tell(c);
        rc = cell_phase_run(c, (enum cell_phase)phase, e);
    }
    return rc;
}

/* --- the record --- */

static int cell_input(struct cell_run *c, const char *role, const char *path, struct err *e)
{
    char sha[V_SHA_TEXT];
    uint64_t size;
    int rc;

    if (!path || !*path)
        return 0;
    rc = sha256_file(path, sha, &size, e);
    return rc < 0 ? rc : vfiles_add(&c->r->inputs, role, path_last(path), size, sha, e);
}

static int cell_inputs(struct cell_run *c, struct err *e)
{
    int rc = cell_input(c, "kernel", c->guest->kernel, e);

    if (rc == 0)
        rc = cell_input(c, "initrd", c->guest->initrd, e);
    if (rc == 0)
        rc = cell_input(c, "image", c->guest->image, e);
    return rc < 0 ? rc : cell_input(c, "agent", c->initrd, e);
}

static int cell_list_checks(struct cell_run *c, struct err *e)
{
    const struct vplan *p = c->cfg->plan;
    int rc = 0;

    for (unsigned s = 0; rc == 0 && s < p->suites; s++) {
        const struct suite *u = &p->suite[s];

        rc = vrecord_add_suite(c->r, u->name, u->version, u->owner, u->sha256, e);
        for (size_t i = 0; rc == 0 && i < u->checks; i++) {
            if (vrecord_check(c->r, u->check[i].id))
                rc =
                    err_exit(e, EX_BAD_INPUT, EEXIST, "two suites have a check %s", u->check[i].id);
            else if (vplan_check_applies(p, c->cell, &u->check[i]))
                rc = vrecord_add_check(c->r, u->name, u->check[i].id, u->check[i].mandatory, NULL,
                                       e);
        }
    }
    return rc;
}

static int cell_facts(struct cell_run *c, size_t index, struct err *e)
{
    const struct vplan *p = c->cfg->plan;
    const char *opts = strchr(p->persona[c->cell->at[VP_PERSONA]], ',');
    char now[VTIME_TEXT], command[V_PATH];
    const struct {
        char **at;
        const char *value;
    } texts[] = {
        {&c->r->cell, c->id},
        {&c->r->plan, p->name},
        {&c->r->started, now},
        {&c->r->persona, c->persona},
        {&c->r->persona_opts, opts ? opts + 1 : NULL},
        {&c->r->firmware, c->guest->kernel     ? "none"
                          : c->guest->firmware ? c->guest->firmware
                                               : "bios"},
        {&c->r->disk, p->disk[c->cell->at[VP_DISK]]},
        {&c->r->network, p->network[c->cell->at[VP_NETWORK]]},
        {&c->r->level, suite_level_word(p->level)},
        {&c->r->command, command},
        {&c->r->end, "not started"},
    };
    int rc = 0;

    vtime_now(now);
    snprintf(command, sizeof(command), "%s %s %zu", c->cfg->command, c->cfg->plan_path, index + 1);
    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(texts); i++)
        rc = vtext_set(texts[i].at, texts[i].value, e);
    memcpy(c->r->plan_sha256, p->sha256, sizeof(p->sha256));
    c->r->number = (uint32_t)index + 1;
    c->r->cpus = p->cpus[c->cell->at[VP_CPUS]];
    c->r->memory = p->memory[c->cell->at[VP_MEMORY]];
    if (rc == 0)
        rc = vfacts_copy(&c->r->host, c->cfg->host, e);
    if (rc == 0)
        rc = vfacts_copy(&c->r->guest, &c->guest->facts, e);
    return rc < 0 ? rc : cell_list_checks(c, e);
}

/* --- the control run --- */

/* The same checks inside the same kernel, on plain QEMU: a failure there is not the persona's. */
static int cell_control(struct cell_run *c, struct err *e)
{
    const struct vplan *p = c->cfg->plan;
    struct cell_run k = *c;
    int rc = vpath(k.initrd, c->work, "control.cpio", e);

    if (!c->cfg->control || c->guest->outside)
        return 0;
    memset(&k.s, 0, sizeof(k.s));
    k.s = (struct session){.ops = c->cfg->control, .log = &c->log, .who = "control"};
    snprintf(k.persona, sizeof(k.persona), "kvm");
    cell_append(&k);
    if (rc == 0)
        rc = cell_initrd(k.initrd, k.guest, k.persona, p, NULL, 0, e);
    for (unsigned s = 0; rc == 0 && s < p->suites; s++) {
        for (size_t i = 0; rc == 0 && i < p->suite[s].checks; i++) {
            const struct suite_check *check = &p->suite[s].check[i];
            uint64_t ms = (uint64_t)check->seconds * 1000 * c->cfg->slow;
            struct outcome out = {.status = V_PASS};
            char text[V_NAME_MAX];
            struct vm_spec spec;

            if (check->by != BY_GUEST || check->level > p->level || *check->personas ||
                cell_lacks(c, check, text))
                continue;
            cell_spec(&k, &spec);
            spec.program = c->cfg->control_program;
            if (!k.s.vm) {
                rc = session_start(&k.s, &spec, e);
                if (rc == 0)
                    session_ready(&k.s, ms, &out);
            }
            if (rc == 0 && out.status == V_PASS)
                session_check(&k.s, check->id, "", ms, &out);
            if (out.lost)
                session_stop(&k.s);
            if (rc == 0)
                rc = vrecord_add_control(c->r, check->id, out.status, out.why, e);
        }
    }
    session_free(&k.s);
    return rc;
}

/* --- the whole --- */

static int cell_prepare(struct cell_run *c, size_t index, struct err *e)
{
    const struct vplan *p = c->cfg->plan;
    const char *format = p->disk[c->cell->at[VP_DISK]];
    int rc = cell_facts(c, index, e);

    if (rc == 0 && !c->guest->outside) {
        rc = vpath(c->initrd, c->work, "agent.cpio", e);
        if (rc == 0)
            rc = cell_initrd(c->initrd, c->guest, c->persona, p, NULL, 0, e);
        cell_append(c);
    } else if (rc == 0 && c->guest->append) {
        snprintf(c->append, sizeof(c->append), "%s", c->guest->append);
    }
    if (rc == 0)
        rc = cell_inputs(c, e);
    if (rc == 0 && strcmp(format, "none") != 0 && !c->guest->image) {
        rc = vpath(c->disk, c->work, "disk.img", e);
        c->disk_bytes = CELL_DISK_MIB * MiB;
        if (rc == 0)
            rc = c->s.ops->disk(c->cfg->program, c->disk, format, c->disk_bytes, false, e);
    }
    return rc;
}

static int cell_finish(struct cell_run *c, uint64_t start, struct err *e)
{
    char path[V_PATH], said[V_PATH], *text;
    size_t len;
    int rc;

    cell_tell(c);
    session_stop(&c->s);
    rc = vtext_set(&c->r->end, session_end_word(c->s.code), e);
    if (rc == 0)
        rc = cell_control(c, e);
    if (rc < 0)
        return rc;
    if (c->log.text.failed || c->log.serial.failed)
        return err_set(e, ENOMEM, "no memory for the log of a cell");
    cell_file(c, "run.log", c->log.text.data, c->log.text.len);
    cell_file(c, "serial.log", c->log.serial.len ? c->log.serial.data : "", c->log.serial.len);
    rc = vpath(said, c->work, "this.vmm", e);
    if (rc == 0 && vtext_read(said, VLOG_SERIAL_MAX, &text, &len, e) == 0) {
        cell_file(c, "vmm.log", text, len);
        free(text);
    }
    c->r->ms = clock_ms() - start;
    vrecord_judge(c->r);
    rc = vrecord_to_json(c->r, &text, e);
    if (rc == 0)
        rc = vpath(path, c->dir, "result.json", e);
    if (rc == 0) {
        rc = vtext_write(path, text, strlen(text), e);
        free(text);
    }
    return rc;
}

/* The folder takes its place whole. An older result of the same cell goes away. */
static int cell_publish(const struct cell_run *c, struct err *e)
{
    char path[V_PATH], name[VPLAN_CELL_ID + 16];
    int rc;

    snprintf(name, sizeof(name), "cells/%s", c->id);
    rc = vpath(path, c->cfg->out, name, e);
    if (rc < 0)
        return rc;
    vtext_remove(path);
    if (rename(c->dir, path) < 0)
        return err_exit(e, EX_HOST_IO, errno, "cannot put the result at %s: %s", path,
                        strerror(errno));
    return 0;
}

static int cell_folders(struct cell_run *c, struct err *e)
{
    char name[VPLAN_CELL_ID + 32];
    int rc;

    snprintf(name, sizeof(name), "cells/.%s.%d", c->id, (int)getpid());
    rc = vpath(c->dir, c->cfg->out, name, e);
    /* In each software host the same numbers come again: what one that died left is not ours. */
    if (rc == 0)
        vtext_remove(c->dir);
    if (rc == 0)
        rc = vtext_mkdir(c->dir, e);
    if (rc == 0)
        rc = vtext_mktemp(c->work, c->cfg->scratch, "cell", e);
    if (rc == 0)
        rc = sweeper_begin(&c->sweeper, (const char *const[]){c->dir, c->work}, 2, e);
    return rc;
}

int runner_cell(const struct runner_cfg *cfg, size_t index, struct vrecord *r, bool *cached,
                struct err *e)
{
    struct cell_run *c;
    uint64_t start = clock_ms();
    int rc;

    vrecord_init(r);
    rc = cfg->again ? 0 : runner_result(cfg, index, r, e);
    *cached = rc > 0;
    if (rc != 0)
        return rc < 0 ? rc : 0;
    vrecord_free(r);
    c = calloc(1, sizeof(*c));
    if (!c)
        return err_set(e, ENOMEM, "no memory for a cell");
    c->cfg = cfg;
    c->cell = &cfg->plan->cell[index];
    c->guest = &cfg->plan->guest[c->cell->at[VP_GUEST]];
    c->r = r;
    c->s = (struct session){.ops = cfg->ops, .log = &c->log, .who = "", .marker = c->guest->marker};
    vplan_cell_id(cfg->plan, c->cell, c->id);
    vplan_cell_persona(cfg->plan, c->cell, c->persona);
    rc = cell_folders(c, e);
    if (rc == 0)
        rc = cell_prepare(c, index, e);
    if (rc == 0)
        rc = cell_checks(c, e);
    if (rc == 0)
        rc = cell_finish(c, start, e);
    if (rc == 0)
        rc = cell_publish(c, e);
    session_free(&c->s);
    if (rc < 0 && c->dir[0])
        vtext_remove(c->dir);
    if (c->work[0])
        vtext_remove(c->work);
    sweeper_end(&c->sweeper);
    vlog_free(&c->log);
    free(c);
    return rc < 0 ? err_wrap(e, "cell %zu", index + 1) : 0;
}
