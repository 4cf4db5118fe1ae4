/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scenario_plug.c - checks on a machine of their own in which something comes, goes or breaks:
 * disks, the network's cable, memory, the kernel itself.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cfg.h"
#include "core/err.h"
#include "validation/cable.h"
#include "validation/cell.h"

enum { GROW_ASK_MS = 100 };

/* A machine of the check's own, up and running. false: out says why not. */
static bool plug_start(struct cell_run *c, const struct vm_spec *spec, uint64_t ms,
                       struct outcome *out)
{
    struct err e = {0};

    session_stop(&c->s);
    if (session_start(&c->s, spec, &e) < 0)
        outcome_set(out, V_ERROR, "%s", e.msg);
    else
        session_ready(&c->s, ms, out);
    return out->status == V_PASS;
}

/* Later checks want the plan's machine; that this one is gone is no loss. */
static void plug_end(struct cell_run *c, struct outcome *out)
{
    session_stop(&c->s);
    out->lost = false;
}

/* The plan's persona with one more option, unless it has it already. */
static void plug_persona(const struct vm_spec *spec, const char *option, char *out, size_t room)
{
    size_t n = strlen(option);
    const char *at = spec->persona;
    bool has = false;

    while (n && (at = strchr(at, ',')) != NULL) {
        at++;
        has |= strncmp(at, option, n) == 0 && (at[n] == ',' || !at[n]);
    }
    snprintf(out, room, "%s%s%s", spec->persona, n && !has ? "," : "", has ? "" : option);
}

/* --- disks --- */

/* What a persona's machine needs to take a disk while it runs. */
static const struct plug_place {
    const char *persona, *how, *option, *words;
} plug_places[] = {
    {"kvm", "", "scsi", "bus=scsi"},
    {"kvm", "function", "hotplug", "bus=virtio"},
};

static const struct plug_place *plug_place(const char *persona, const char *how)
{
    static const struct plug_place plain = {"", "", "", ""};

    for (size_t i = 0; i < ARRAY_SIZE(plug_places); i++) {
        if (strcmp(plug_places[i].persona, persona) == 0 && strcmp(plug_places[i].how, how) == 0)
            return &plug_places[i];
    }
    return *how ? NULL : &plain;
}

/* On a machine that is up: it comes, is used, and goes. */
static void plug_disk(struct cell_run *c, const struct suite_check *k, const char *path,
                      const struct plug_place *place, uint64_t bytes, uint64_t ms,
                      struct outcome *out)
{
    const char *format = c->cfg->plan->disk[c->cell->at[VP_DISK]];
    char args[64], words[64], id[64];
    struct err e = {0};

    snprintf(words, sizeof(words), "format=%s,write%s%s", format, *place->words ? "," : "",
             place->words);
    if (c->s.ops->attach(c->s.vm, path, words, id, sizeof(id), &e) < 0) {
        outcome_set(out, V_SKIP, "%s", e.msg);
        return;
    }
    vlog_say(&c->log, "%s: %s came", k->id, id);
    snprintf(args, sizeof(args), "come %llu", (unsigned long long)bytes);
    session_check(&c->s, k->id, args, ms, out);
    if (out->status != V_PASS)
        return;
    if (c->s.ops->detach(c->s.vm, id, &e) < 0) {
        outcome_set(out, V_FAIL, "%s does not go: %s", id, e.msg);
        return;
    }
    vlog_say(&c->log, "%s: %s goes", k->id, id);
    snprintf(args, sizeof(args), "gone %llu", (unsigned long long)bytes);
    session_check(&c->s, k->id, args, ms, out);
}

void do_hotplug(struct cell_run *c, const struct suite_check *k, uint64_t ms, struct outcome *out)
{
    const char *format = c->cfg->plan->disk[c->cell->at[VP_DISK]];
    char size[32] = "", how[32] = "", persona[256], path[V_PATH];
    const struct plug_place *place;
    struct vm_spec spec;
    struct err e = {0};
    uint64_t bytes = 0;

    (void)sscanf(scenario_args(k->args), "%31s %31s", size, how);
    place = plug_place(c->persona, how);
    if (size_parse(size, &bytes) < 0 || !place) {
        outcome_set(out, V_ERROR, "hotplug wants a size, and perhaps \"function\" on kvm");
        return;
    }
    if (vpath(path, c->work, "plug.img", &e) < 0 ||
        c->s.ops->disk(c->cfg->program, path, format, bytes, false, &e) < 0) {
        outcome_set(out, V_ERROR, "%s", e.msg);
        return;
    }
    cell_spec(c, &spec);
    plug_persona(&spec, place->option, persona, sizeof(persona));
    spec.persona = persona;
    if (plug_start(c, &spec, ms, out))
        plug_disk(c, k, path, place, bytes, ms, out);
    plug_end(c, out);
    unlink(path);
}

/* --- the cable --- */

void do_link(struct cell_run *c, const struct suite_check *k, uint64_t ms, struct outcome *out)
{
    static const struct {
        const char *args;
        bool pull; /* the cable, after it */
    } steps[] = {{"first", true}, {"down", false}, {"up", true}, {"down", false}, {"up", false}};
    char path[V_PATH], nic[V_PATH + 16];
    struct cable_end *end;
    struct vm_spec spec;
    struct err e = {0};

    if (vpath(path, c->work, "cable", &e) < 0 || cable_end_start(&end, path, &e) < 0) {
        outcome_set(out, V_ERROR, "%s", e.msg);
        return;
    }
    snprintf(nic, sizeof(nic), "socket=%s", path);
    cell_spec(c, &spec);
    spec.nic[0] = nic;
    spec.nics = 1;
    if (plug_start(c, &spec, ms, out)) {
        for (size_t i = 0; out->status == V_PASS && i < ARRAY_SIZE(steps); i++) {
            session_check(&c->s, k->id, steps[i].args, ms, out);
            cable_end_pull(end, steps[i].pull);
        }
    }
    plug_end(c, out);
    cable_end_stop(end);
}

/* --- memory --- */

/* The guest's driver takes a moment before it can be asked. */
static bool grow_ask(struct cell_run *c, uint64_t bytes, uint64_t ms, struct outcome *out)
{
    uint64_t deadline = clock_ms() + ms;
    struct err e = {0};
    int rc;

    while ((rc = c->s.ops->ask(c->s.vm, "memory", bytes, &e)) < 0 && clock_ms() < deadline)
        usleep(GROW_ASK_MS * 1000);
    if (rc < 0)
        outcome_set(out, V_FAIL, "%s", e.msg);
    return rc == 0;
}

void do_grow(struct cell_run *c, const struct suite_check *k, uint64_t ms, struct outcome *out)
{
    uint64_t more;
    char option[64], persona[320], args[64];
    struct vm_spec spec;

    if (size_parse(scenario_args(k->args), &more) < 0) {
        outcome_set(out, V_ERROR, "grow wants a size");
        return;
    }
    cell_spec(c, &spec);
    snprintf(option, sizeof(option), "memory-max=%llu", (unsigned long long)(spec.memory + more));
    plug_persona(&spec, option, persona, sizeof(persona));
    spec.persona = persona;
    if (plug_start(c, &spec, ms, out))
        session_check(&c->s, k->id, "first", ms, out);
    if (out->status == V_PASS && grow_ask(c, spec.memory + more, ms / 4, out)) {
        snprintf(args, sizeof(args), "more %llu", (unsigned long long)(more / 1024));
        session_check(&c->s, k->id, args, ms, out);
    }
    plug_end(c, out);
}

/* --- a crash that is dumped --- */

/* The agent's archive with the kernel, and with itself for the crash kernel. */
static int dump_initrd(struct cell_run *c, char path[V_PATH], struct err *e)
{
    const struct initrd_file files[] = {{"crash/vmlinuz", c->guest->kernel},
                                        {"crash/initrd", c->initrd}};
    int rc = vpath(path, c->work, "dump.cpio", e);

    return rc < 0
               ? rc
               : cell_initrd(path, c->guest, c->persona, c->cfg->plan, files, ARRAY_SIZE(files), e);
}

void do_dump(struct cell_run *c, const struct suite_check *k, uint64_t ms, struct outcome *out)
{
    char memory[32] = "", room[32] = "", path[V_PATH], append[sizeof(c->append) + 64];
    struct vm_spec spec;
    struct err e = {0};
    uint64_t bytes;

    if (sscanf(scenario_args(k->args), "%31s %31s", memory, room) != 2 ||
        size_parse(memory, &bytes) < 0) {
        outcome_set(out, V_ERROR, "dump wants the machine's memory and what of it is kept");
        return;
    }
    if (dump_initrd(c, path, &e) < 0) {
        outcome_set(out, V_ERROR, "%s", e.msg);
        return;
    }
    cell_spec(c, &spec);
    snprintf(append, sizeof(append), "%s crashkernel=%s", c->append, room);
    spec.memory = max_u64(spec.memory, bytes);
    spec.initrd = path;
    spec.append = append;
    if (plug_start(c, &spec, ms, out))
        session_check(&c->s, k->id, "load", ms, out);
    if (out->status == V_PASS) {
        vlog_say(&c->log, "%s: the kernel is made to crash", k->id);
        if (c->s.ops->type(c->s.vm, "do echo c >/proc/sysrq-trigger\n") < 0)
            outcome_set(out, V_ERROR, "nobody listens at the console");
        else
            session_ready(&c->s, ms, out);
    }
    if (out->status == V_PASS)
        session_check(&c->s, k->id, "core", ms, out);
    plug_end(c, out);
    unlink(path);
}
