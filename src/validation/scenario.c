/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scenario.c - checks in which the host takes part: reboots, pulled plugs, requests by the
 * persona's channel, other machines, another guest.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/cfg.h"
#include "core/err.h"
#include "validation/cell.h"
#include "validation/peer.h"

enum { SCENARIO_SETTLE_MS = 3000 };

const char *scenario_args(const char *args)
{
    args += strcspn(args, " ");
    return args + strspn(args, " ");
}

static void check_in(struct cell_run *c, const struct suite_check *k, const char *args, uint64_t ms,
                     struct outcome *out)
{
    session_check(&c->s, k->id, args, ms, out);
}

/* --- starting --- */

static void do_boot(struct cell_run *c, const struct suite_check *k, uint64_t ms,
                    struct outcome *out)
{
    cell_up(c, ms, out);
}

static void do_reboots(struct cell_run *c, const struct suite_check *k, uint64_t ms,
                       struct outcome *out)
{
    unsigned long n = strtoul(scenario_args(k->args), NULL, 10);

    cell_up(c, ms, out);
    for (unsigned long i = 0; out->status == V_PASS && i < n; i++) {
        if (c->s.ops->type(c->s.vm, "do reboot -f\n") < 0)
            outcome_set(out, V_ERROR, "nobody listens at the console");
        else
            session_ready(&c->s, ms, out);
        vlog_say(&c->log, "reboot %lu of %lu: %s", i + 1, n, vstatus_word(out->status));
    }
}

/* --- asking --- */

/* -ENOTSUP becomes a skip with the machine's words. */
static bool do_ask(struct cell_run *c, const char *what, uint64_t value, struct outcome *out)
{
    struct err e = {0};
    int rc = c->s.ops->ask(c->s.vm, what, value, &e);

    if (rc < 0)
        outcome_set(out, V_SKIP, "%s", e.msg);
    return rc == 0;
}

static void do_shutdown(struct cell_run *c, const struct suite_check *k, uint64_t ms,
                        struct outcome *out)
{
    cell_up(c, ms, out);
    if (out->status == V_PASS && do_ask(c, "shutdown", 0, out))
        session_gone(&c->s, ms, EX_OK, out);
}

static void do_poweroff(struct cell_run *c, const struct suite_check *k, uint64_t ms,
                        struct outcome *out)
{
    cell_up(c, ms, out);
    if (out->status == V_PASS && c->s.ops->type(c->s.vm, "do poweroff -f\n") == 0)
        session_gone(&c->s, ms, EX_OK, out);
}

static void do_crash(struct cell_run *c, const struct suite_check *k, uint64_t ms,
                     struct outcome *out)
{
    cell_up(c, ms, out);
    if (out->status == V_PASS && c->s.ops->type(c->s.vm, "do echo c >/proc/sysrq-trigger\n") == 0)
        session_gone(&c->s, ms, EX_GUEST_CRASHED, out);
}

static uint64_t said_number(const struct outcome *o, const char *word)
{
    return strcmp(o->word, word) == 0 ? strtoull(o->said, NULL, 10) : 0;
}

static void do_balloon(struct cell_run *c, const struct suite_check *k, uint64_t ms,
                       struct outcome *out)
{
    uint64_t all = c->cfg->plan->memory[c->cell->at[VP_MEMORY]], take = all / 4, free_kib;
    char args[64];

    cell_up(c, ms, out);
    if (out->status == V_PASS)
        check_in(c, k, "free", ms, out);
    free_kib = said_number(out, "free");
    if (out->status != V_PASS || !do_ask(c, "memory", all - take, out))
        return;
    snprintf(args, sizeof(args), "below %llu",
             (unsigned long long)(free_kib - min_u64(free_kib, take / 2048)));
    check_in(c, k, args, ms, out);
    if (out->status != V_PASS || !do_ask(c, "memory", all, out))
        return;
    snprintf(args, sizeof(args), "above %llu",
             (unsigned long long)(free_kib - min_u64(free_kib, take / 2048)));
    check_in(c, k, args, ms, out);
}

/* --- time --- */

/* "12.34" in milliseconds. */
static uint64_t said_ms(const struct outcome *o, const char *word)
{
    char *end;
    uint64_t ms = strcmp(o->word, word) == 0 ? strtoull(o->said, &end, 10) * 1000 : 0;

    if (ms && end[0] == '.' && isdigit((unsigned char)end[1]) && isdigit((unsigned char)end[2]))
        ms += (uint64_t)(end[1] - '0') * 100 + (uint64_t)(end[2] - '0') * 10;
    return ms;
}

/* The guest's uptime, and the host's clock in the middle of asking for it. */
static bool ask_uptime(struct cell_run *c, const struct suite_check *k, uint64_t ms,
                       struct outcome *out, struct clock_mark *m)
{
    uint64_t before = clock_ms();

    check_in(c, k, "", ms, out);
    m->doubt = clock_ms() - before;
    m->host = before + m->doubt / 2;
    m->guest = said_ms(out, "uptime");
    m->set = out->status == V_PASS && m->guest;
    return m->set;
}

/* The clocks run while other checks do: nobody waits for them. */
static void begin_drift(struct cell_run *c, const struct suite_check *k, uint64_t ms)
{
    struct outcome out;

    (void)ask_uptime(c, k, ms, &out, &c->mark);
}

static void do_drift(struct cell_run *c, const struct suite_check *k, uint64_t ms,
                     struct outcome *out)
{
    unsigned seconds = 0, limit = 0;
    struct clock_mark from = c->mark, to;
    uint64_t guest, host, off, gone;

    if (sscanf(scenario_args(k->args), "%u %u", &seconds, &limit) != 2 || seconds == 0) {
        outcome_set(out, V_ERROR, "drift wants seconds and milliseconds");
        return;
    }
    c->mark.set = false; /* another attempt counts from its own beginning */
    cell_up(c, ms, out);
    if (out->status != V_PASS || (!from.set && !ask_uptime(c, k, ms, out, &from)))
        return;
    gone = clock_ms() - from.host;
    if (gone < seconds * 1000ULL)
        usleep((useconds_t)(seconds * 1000ULL - gone) * 1000);
    if (!ask_uptime(c, k, ms, out, &to))
        return;
    guest = to.guest - from.guest;
    host = to.host - from.host;
    off = guest > host ? guest - host : host - guest;
    vlog_say(&c->log,
             "%s: %llu ms of the guest, %llu ms of the host, asked within %llu and %llu ms", k->id,
             (unsigned long long)guest, (unsigned long long)host, (unsigned long long)from.doubt,
             (unsigned long long)to.doubt);
    /* What asking took is no fault of the clock; more time has more room. */
    if (off > limit * max_u64(1, host / (seconds * 1000ULL)) + (from.doubt + to.doubt) / 2)
        outcome_set(out, V_FAIL, "the guest counted %llu ms in %llu ms of the host",
                    (unsigned long long)guest, (unsigned long long)host);
}

static void do_wall(struct cell_run *c, const struct suite_check *k, uint64_t ms,
                    struct outcome *out)
{
    long long limit = strtoll(scenario_args(k->args), NULL, 10), before, after, guest;

    cell_up(c, ms, out);
    if (out->status != V_PASS)
        return;
    before = time(NULL);
    check_in(c, k, "", ms, out);
    after = time(NULL);
    guest = (long long)said_number(out, "date");
    if (out->status == V_PASS && (guest < before - limit || guest > after + limit))
        outcome_set(out, V_FAIL, "the guest says %lld, the host %lld", guest, after);
}

/* --- other machines --- */

static void do_powercut(struct cell_run *c, const struct suite_check *k, uint64_t ms,
                        struct outcome *out)
{
    cell_up(c, ms, out);
    if (out->status == V_PASS)
        check_in(c, k, "write", ms, out);
    if (out->status != V_PASS)
        return;
    vlog_say(&c->log, "pulls the plug");
    session_stop(&c->s);
    cell_up(c, ms, out);
    if (out->status == V_PASS)
        check_in(c, k, "check", ms, out);
}

static void do_resize(struct cell_run *c, const struct suite_check *k, uint64_t ms,
                      struct outcome *out)
{
    const char *format = c->cfg->plan->disk[c->cell->at[VP_DISK]];
    struct err e = {0};
    char args[32];
    uint64_t more;

    if (size_parse(scenario_args(k->args), &more) < 0) {
        outcome_set(out, V_ERROR, "resize wants a size");
        return;
    }
    session_stop(&c->s);
    if (c->s.ops->disk(c->cfg->program, c->disk, format, c->disk_bytes + more, true, &e) < 0) {
        outcome_set(out, V_SKIP, "images of format %s are not resized here", format);
        return;
    }
    c->disk_bytes += more;
    cell_up(c, ms, out);
    snprintf(args, sizeof(args), "%llu", (unsigned long long)c->disk_bytes);
    if (out->status == V_PASS)
        check_in(c, k, args, ms, out);
}

/* cpus=N,memory=SIZE,nics=N: the same guest in another machine. */
static int machine_words(const char *args, struct vm_spec *spec, struct err *e)
{
    struct cfg *w;
    uint64_t cpus = spec->cpus, nics = spec->nics;
    int rc = cfg_create(&w, e);

    if (rc < 0)
        return rc;
    rc = cfg_parse(w, args, NULL, e);
    if (rc == 0)
        rc = cfg_u64(w, "cpus", 1, 255, &cpus, e);
    if (rc == 0)
        rc = cfg_u64(w, "nics", 0, ARRAY_SIZE(spec->nic), &nics, e);
    if (rc == 0)
        rc = cfg_size(w, "memory", &spec->memory, e);
    if (rc == 0)
        rc = cfg_finish(w, "machine", e);
    cfg_destroy(w);
    spec->cpus = (unsigned)cpus;
    for (spec->nics = 0; spec->nics < nics;)
        spec->nic[spec->nics++] = "user";
    return rc;
}

static void do_machine(struct cell_run *c, const struct suite_check *k, uint64_t ms,
                       struct outcome *out)
{
    struct vm_spec spec;
    struct err e = {0};

    session_stop(&c->s);
    cell_spec(c, &spec);
    if (machine_words(scenario_args(k->args), &spec, &e) < 0 ||
        session_start(&c->s, &spec, &e) < 0) {
        outcome_set(out, V_ERROR, "%s", e.msg);
        return;
    }
    session_ready(&c->s, ms, out);
    if (out->status == V_PASS)
        check_in(c, k, "", ms, out);
    session_stop(&c->s); /* later checks want the plan's machine */
    out->lost = false;
}

/* --- the network --- */

static void do_peer(struct cell_run *c, const struct suite_check *k, uint64_t ms,
                    struct outcome *out)
{
    unsigned mib = (unsigned)strtoul(scenario_args(k->args), NULL, 10);
    char sha[V_SHA_TEXT], args[160];
    struct err e = {0};
    struct peer *p;

    cell_up(c, ms, out);
    if (out->status != V_PASS)
        return;
    if (peer_start(&p, sha, mib, &e) < 0) {
        outcome_set(out, V_ERROR, "%s", e.msg);
        return;
    }
    snprintf(args, sizeof(args), "%u %u %s", peer_port(p), mib, sha);
    check_in(c, k, args, ms, out);
    peer_stop(p);
}

/* A guest of another persona beside this one, on a network of the two alone. */
static const char *other_persona(const char *persona)
{
    static const char *const pairs[][2] = {
        {"kvm", "hyperv"}, {"hyperv", "xen"}, {"xen", "vmware"}, {"vmware", "kvm"}};

    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        if (strcmp(pairs[i][0], persona) == 0)
            return pairs[i][1];
    }
    return "kvm";
}

struct pair {
    struct cell_run *c;
    struct cell_run other; /* only what a session needs */
    const struct suite_check *k;
    uint64_t ms;
    char sum[2][V_SHA_TEXT];
};

static bool pair_start(struct cell_run *c, const char *name, const char *nic, uint64_t ms,
                       struct outcome *out)
{
    struct vm_spec spec;
    struct err e = {0};

    cell_spec(c, &spec);
    spec.name = name;
    spec.nic[0] = nic;
    spec.nics = 1;
    spec.disk = NULL; /* one writer for a disk */
    if (session_start(&c->s, &spec, &e) < 0) {
        outcome_set(out, V_ERROR, "%s", e.msg);
        return false;
    }
    session_ready(&c->s, ms, out);
    return out->status == V_PASS;
}

static bool pair_address(struct pair *p, unsigned i, struct outcome *out)
{
    struct cell_run *c = i ? &p->other : p->c;

    check_in(c, p->k, i ? "address 10.9.0.2" : "address 10.9.0.1", p->ms, out);
    if (out->status != V_PASS)
        return false;
    if (strcmp(out->word, "sum") != 0 || strlen(out->said) != V_SHA_TEXT - 1) {
        outcome_set(out, V_ERROR, "the guest does not say the digest of its file");
        return false;
    }
    memcpy(p->sum[i], out->said, V_SHA_TEXT);
    return true;
}

static void pair_exchange(struct pair *p, struct outcome *out)
{
    char args[V_SHA_TEXT + 16];

    if (!pair_address(p, 0, out) || !pair_address(p, 1, out))
        return;
    check_in(p->c, p->k, "serve", p->ms, out);
    if (out->status == V_PASS)
        check_in(&p->other, p->k, "fetch 10.9.0.1", p->ms, out);
    snprintf(args, sizeof(args), "compare %s", p->sum[0]);
    if (out->status == V_PASS)
        check_in(&p->other, p->k, args, p->ms, out);
    snprintf(args, sizeof(args), "compare %s", p->sum[1]);
    if (out->status == V_PASS)
        check_in(p->c, p->k, args, p->ms, out);
}

static int pair_prepare(struct pair *p, struct err *e)
{
    struct cell_run *o = &p->other;
    const struct vplan *plan = p->c->cfg->plan;
    int rc;

    *o = *p->c;
    memset(&o->s, 0, sizeof(o->s));
    o->s.ops = p->c->s.ops;
    o->s.log = &p->c->log;
    o->s.who = other_persona(p->c->persona);
    snprintf(o->persona, sizeof(o->persona), "%s", o->s.who);
    rc = vpath(o->initrd, p->c->work, "other.cpio", e);
    if (rc == 0)
        rc = cell_initrd(o->initrd, p->c->guest, o->persona, plan, NULL, 0, e);
    if (rc == 0)
        cell_append(o);
    return rc;
}

static void do_coexist(struct cell_run *c, const struct suite_check *k, uint64_t ms,
                       struct outcome *out)
{
    struct pair *p = calloc(1, sizeof(*p));
    char nic[V_PATH + 16];
    struct err e = {0};

    session_stop(&c->s);
    if (!p)
        return;
    p->c = c;
    p->k = k;
    p->ms = ms;
    snprintf(nic, sizeof(nic), "socket=%s/lan", c->work);
    if (pair_prepare(p, &e) < 0)
        outcome_set(out, V_ERROR, "%s", e.msg);
    else if (pair_start(c, "this", nic, ms, out) && pair_start(&p->other, "other", nic, ms, out))
        pair_exchange(p, out);
    session_stop(&p->other.s);
    session_free(&p->other.s);
    session_stop(&c->s);
    out->lost = false;
    free(p);
}

const struct scenario scenarios[] = {
    {"boot", PHASE_BOOT, do_boot},
    {"drift", PHASE_LAST, do_drift, begin_drift},
    {"wall", PHASE_LIVE, do_wall},
    {"peer", PHASE_LIVE, do_peer},
    {"balloon", PHASE_RESTART, do_balloon},
    {"reboots", PHASE_RESTART, do_reboots},
    {"powercut", PHASE_RESTART, do_powercut},
    {"resize", PHASE_RESTART, do_resize},
    {"machine", PHASE_RESTART, do_machine},
    {"coexist", PHASE_RESTART, do_coexist},
    {"hotplug", PHASE_RESTART, do_hotplug},
    {"link", PHASE_RESTART, do_link},
    {"grow", PHASE_RESTART, do_grow},
    {"dump", PHASE_RESTART, do_dump},
    {"shutdown", PHASE_END, do_shutdown},
    {"poweroff", PHASE_END, do_poweroff},
    {"crash", PHASE_END, do_crash},
    {NULL},
};

const struct scenario *scenario_find(const char *args)
{
    size_t n = strcspn(args, " ");

    for (size_t i = 0; scenarios[i].name; i++) {
        if (strlen(scenarios[i].name) == n && strncmp(scenarios[i].name, args, n) == 0)
            return &scenarios[i];
    }
    return NULL;
}
