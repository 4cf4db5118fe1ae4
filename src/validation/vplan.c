/* SPDX-License-Identifier: Apache-2.0 */
/* vplan.c - see vplan.h: the file's lines. */
#define _GNU_SOURCE
#include "validation/vplan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cfg.h"
#include "core/err.h"
#include "core/path.h"
#include "machine/plan.h"
#include "storage/disk.h"
#include "validation/key.h"
#include "validation/text.h"
#include "validation/vjson.h"

enum { VPLAN_LINE = 4096, VPLAN_ATTEMPTS_MAX = 9 };

static const char vplan_magic[] = "hospes-validation 1";

static void vguest_free(struct vguest *g)
{
    char *const own[] = {g->name,  g->kernel, g->modules,  g->initrd,
                         g->image, g->append, g->firmware, g->marker};

    for (size_t i = 0; i < ARRAY_SIZE(own); i++)
        free(own[i]);
    vfacts_free(&g->facts);
}

void vplan_free(struct vplan *p)
{
    free(p->name);
    free(p->dir);
    free(p->text);
    for (unsigned i = 0; i < VPLAN_LIST_MAX; i++) {
        vguest_free(&p->guest[i]);
        free(p->persona[i]);
        free(p->disk[i]);
        free(p->network[i]);
        suite_free(&p->suite[i]);
    }
    for (size_t i = 0; i < p->exceptions; i++) {
        struct vexception *x = &p->exception[i];
        char *const own[] = {x->check, x->text, x->persona, x->guest, x->until};

        for (size_t k = 0; k < ARRAY_SIZE(own); k++)
            free(own[k]);
    }
    free(p->exception);
    free(p->cell);
    memset(p, 0, sizeof(*p));
}

/* --- words of a line --- */

static int vplan_full(const char *what, struct err *e)
{
    return err_exit(e, EX_BAD_INPUT, E2BIG, "a plan has at most %d %s", VPLAN_LIST_MAX, what);
}

/* Takes each word of value; the callback gets the index that it may fill. */
static int vplan_words(struct vplan *p, char *value, enum vplan_factor f, const char *what,
                       int (*one)(struct vplan *p, unsigned i, const char *word, struct err *e),
                       struct err *e)
{
    int rc = 0;

    for (char *save, *w = strtok_r(value, " ", &save); rc == 0 && w;
         w = strtok_r(NULL, " ", &save)) {
        if (p->n[f] == VPLAN_LIST_MAX)
            return vplan_full(what, e);
        rc = one(p, p->n[f], w, e);
        p->n[f] += rc == 0;
    }
    return rc;
}

static int one_persona(struct vplan *p, unsigned i, const char *word, struct err *e)
{
    static const char known[] = "kvm hyperv xen vmware bare";
    char name[16];

    snprintf(name, sizeof(name), "%.*s", (int)min_u64(strcspn(word, ","), sizeof(name) - 1), word);
    if (!suite_has_word(known, name))
        return err_exit(e, EX_BAD_INPUT, EINVAL, "there is no persona \"%.20s\": use %s", word,
                        known);
    return vtext_set(&p->persona[i], word, e);
}

static int one_cpus(struct vplan *p, unsigned i, const char *word, struct err *e)
{
    char *end;
    unsigned long n = strtoul(word, &end, 10);

    if (*word < '0' || *word > '9' || *end || n < 1 || n > PLAN_MAX_CPUS)
        return err_exit(e, EX_BAD_INPUT, EINVAL, "cpus wants numbers from 1 to %d, not %.20s",
                        PLAN_MAX_CPUS, word);
    p->cpus[i] = (unsigned)n;
    return 0;
}

static int one_memory(struct vplan *p, unsigned i, const char *word, struct err *e)
{
    if (size_parse(word, &p->memory[i]) < 0 || p->memory[i] < 16 * MiB ||
        p->memory[i] > UINT64_C(1) << 42)
        return err_exit(e, EX_BAD_INPUT, EINVAL, "memory wants sizes like 256M or 2G, not %.20s",
                        word);
    return 0;
}

static int one_disk(struct vplan *p, unsigned i, const char *word, struct err *e)
{
    const struct format_ops *format = format_by_name(word);

    if (strcmp(word, "none") != 0 && (!format || !format->create))
        return err_exit(e, EX_BAD_INPUT, EINVAL,
                        "disk wants names of formats that can be made (see hospes image create "
                        "--help) or none, not %.20s",
                        word);
    return vtext_set(&p->disk[i], word, e);
}

static int one_network(struct vplan *p, unsigned i, const char *word, struct err *e)
{
    if (strcmp(word, "user") != 0 && strcmp(word, "none") != 0)
        return err_exit(e, EX_BAD_INPUT, EINVAL, "network is user or none, not %.20s", word);
    return vtext_set(&p->network[i], word, e);
}

/* The file that stands for suite `word`; the word itself when none does. */
static int vplan_suite_path(const struct vplan *p, const char *word, char out[V_PATH],
                            struct err *e)
{
    const char *base = path_last(word);
    size_t n = strcspn(base, ".");
    char name[80];

    if (p->suite_dir) {
        int rc;

        snprintf(name, sizeof(name), "%.*s.sh", (int)min_u64(n, 64), base);
        rc = vpath(out, p->suite_dir, name, e);
        if (rc < 0 || access(out, F_OK) == 0)
            return rc;
    }
    if (strchr(word, '/') && word[0] != '/')
        return vpath(out, p->dir, word, e);
    if (snprintf(out, V_PATH, "%s", word) >= V_PATH)
        return err_set(e, ENAMETOOLONG, "the name of a suite is too long");
    return 0;
}

static int vplan_suites(struct vplan *p, char *value, struct err *e)
{
    int rc = 0;

    for (char *save, *w = strtok_r(value, " ", &save); rc == 0 && w;
         w = strtok_r(NULL, " ", &save)) {
        char path[V_PATH];

        if (p->suites == VPLAN_LIST_MAX)
            return vplan_full("suites", e);
        rc = vplan_suite_path(p, w, path, e);
        if (rc < 0)
            return rc;
        rc = suite_open(&p->suite[p->suites], path, e);
        for (unsigned i = 0; rc == 0 && i < p->suites; i++) {
            if (strcmp(p->suite[i].name, p->suite[p->suites].name) == 0)
                rc = err_exit(e, EX_BAD_INPUT, EEXIST, "suite %s is named twice", p->suite[i].name);
        }
        p->suites++;
    }
    return rc;
}

/* --- guests --- */

static int guest_path(const struct vplan *p, struct cfg *c, const char *key, char **out,
                      struct err *e)
{
    const char *value = cfg_get(c, key);
    char path[V_PATH];
    int rc;

    if (!value || !*value)
        return 0;
    if (value[0] == '/' || strcmp(p->dir, ".") == 0)
        return vtext_set(out, value, e);
    rc = vpath(path, p->dir, value, e);
    return rc < 0 ? rc : vtext_set(out, path, e);
}

static int guest_facts(struct vguest *g, struct cfg *c, struct err *e)
{
    static const char *const keys[] = {"vendor", "product", "version", "edition",
                                       "arch",   "drivers", "source"};
    int rc = vfacts_set(&g->facts, "name", g->name, e);

    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(keys); i++)
        rc = vfacts_set(&g->facts, keys[i], cfg_get(c, keys[i]), e);
    return rc;
}

static int guest_check(const struct vguest *g, struct err *e)
{
    if (!g->name || strspn(g->name, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != strlen(g->name) ||
        !vname_good(g->name) || strlen(g->name) > 24)
        return err_exit(
            e, EX_BAD_INPUT, EINVAL,
            "a guest's name has up to 24 small letters, digits and . - _, not \"%.40s\"",
            g->name ? g->name : "");
    if (!g->kernel == !g->image)
        return err_exit(e, EX_BAD_INPUT, EINVAL, "guest %s wants either kernel=FILE or image=FILE",
                        g->name);
    if (g->kernel && !g->modules && !g->outside)
        return err_exit(e, EX_BAD_INPUT, EINVAL,
                        "guest %s wants modules=FOLDER with its kernel's modules, or mode=outside",
                        g->name);
    if (g->firmware && strcmp(g->firmware, "bios") != 0 && strcmp(g->firmware, "uefi") != 0)
        return err_exit(e, EX_BAD_INPUT, EINVAL, "guest %s: firmware is bios or uefi", g->name);
    return 0;
}

static int guest_read(struct vplan *p, struct vguest *g, struct cfg *c, struct err *e)
{
    const char *mode = cfg_get(c, "mode");
    int rc = vtext_set(&g->name, cfg_get(c, "name"), e);

    if (rc == 0)
        rc = guest_path(p, c, "kernel", &g->kernel, e);
    if (rc == 0)
        rc = guest_path(p, c, "modules", &g->modules, e);
    if (rc == 0)
        rc = guest_path(p, c, "initrd", &g->initrd, e);
    if (rc == 0)
        rc = guest_path(p, c, "image", &g->image, e);
    if (rc == 0)
        rc = vtext_set(&g->append, cfg_get(c, "append"), e);
    if (rc == 0)
        rc = vtext_set(&g->firmware, cfg_get(c, "firmware"), e);
    if (rc == 0)
        rc = vtext_set(&g->marker, cfg_get(c, "marker"), e);
    if (rc == 0 && mode && strcmp(mode, "outside") != 0 && strcmp(mode, "agent") != 0)
        rc = err_exit(e, EX_BAD_INPUT, EINVAL, "a guest's mode is agent or outside, not %.20s",
                      mode);
    g->outside = (mode && strcmp(mode, "outside") == 0) || g->image;
    if (rc == 0)
        rc = guest_facts(g, c, e);
    if (rc == 0)
        rc = cfg_finish(c, "a guest of a plan", e);
    return rc < 0 ? rc : guest_check(g, e);
}

static int vplan_guest(struct vplan *p, char *value, struct err *e)
{
    struct cfg *c;
    int rc;

    if (p->n[VP_GUEST] == VPLAN_LIST_MAX)
        return vplan_full("guests", e);
    rc = cfg_create(&c, e);
    if (rc < 0)
        return rc;
    rc = cfg_parse(c, value, "name", e);
    if (rc == 0)
        rc = guest_read(p, &p->guest[p->n[VP_GUEST]++], c, e);
    cfg_destroy(c);
    for (unsigned i = 0; rc == 0 && i + 1 < p->n[VP_GUEST]; i++) {
        if (strcmp(p->guest[i].name, p->guest[p->n[VP_GUEST] - 1].name) == 0)
            rc = err_exit(e, EX_BAD_INPUT, EEXIST, "guest %s is named twice", p->guest[i].name);
    }
    return rc;
}

/* --- exceptions --- */

static int exception_read(struct vexception *x, struct cfg *c, bool skip, struct err *e)
{
    const char *text = cfg_get(c, skip ? "why" : "issue"), *until = cfg_get(c, "until");
    int rc;

    x->skip = skip;
    if (!cfg_get(c, "check") || !text || !*text)
        return err_exit(e, EX_BAD_INPUT, EINVAL, "%s wants CHECK,%s=TEXT", skip ? "skip" : "known",
                        skip ? "why" : "issue");
    if (until && !vday_good(until))
        return err_exit(e, EX_BAD_INPUT, EINVAL, "until=%.20s is no date like 2027-01-31", until);
    rc = vtext_set(&x->check, cfg_get(c, "check"), e);
    if (rc == 0)
        rc = vtext_set(&x->text, text, e);
    if (rc == 0)
        rc = vtext_set(&x->persona, cfg_get(c, "persona"), e);
    if (rc == 0)
        rc = vtext_set(&x->guest, cfg_get(c, "guest"), e);
    if (rc == 0)
        rc = vtext_set(&x->until, until, e);
    return rc < 0 ? rc : cfg_finish(c, skip ? "skip" : "known", e);
}

static int vplan_exception_line(struct vplan *p, char *value, bool skip, struct err *e)
{
    struct vexception *grown = p->exceptions < V_CHECKS_MAX
                                   ? reallocarray(p->exception, p->exceptions + 1, sizeof(*grown))
                                   : NULL;
    struct cfg *c;
    int rc;

    if (!grown)
        return err_set(e, E2BIG, "a plan has at most %d exceptions", V_CHECKS_MAX);
    p->exception = grown;
    grown += p->exceptions++;
    *grown = (struct vexception){.skip = skip};
    rc = cfg_create(&c, e);
    if (rc < 0)
        return rc;
    rc = cfg_parse(c, value, "check", e);
    if (rc == 0)
        rc = exception_read(grown, c, skip, e);
    cfg_destroy(c);
    return rc;
}

const struct vexception *vplan_exception(const struct vplan *p, const struct vcell *c,
                                         const char *check, const char *today)
{
    char persona[16];

    vplan_cell_persona(p, c, persona);
    for (size_t i = 0; i < p->exceptions; i++) {
        const struct vexception *x = &p->exception[i];

        if (strcmp(x->check, check) == 0 && (!x->persona || strcmp(x->persona, persona) == 0) &&
            (!x->guest || strcmp(x->guest, p->guest[c->at[VP_GUEST]].name) == 0) &&
            (!x->until || strcmp(today, x->until) <= 0))
            return x;
    }
    return NULL;
}

/* --- the file --- */

static int vplan_choice(const char *value, const char *const *words, const char *key, unsigned *out,
                        struct err *e)
{
    for (unsigned i = 0; words[i]; i++) {
        if (strcmp(value, words[i]) == 0) {
            *out = i;
            return 0;
        }
    }
    return err_exit(e, EX_BAD_INPUT, EINVAL, "%s cannot be \"%.20s\"", key, value);
}

/* What has one value: a second one would silently take the place of the first. */
static int vplan_once(struct vplan *p, const char *key, struct err *e)
{
    static const char *const keys[] = {"name", "level", "cells", "attempts"};

    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
        if (strcmp(keys[i], key) != 0)
            continue;
        if (p->said & 1U << i)
            return err_exit(e, EX_BAD_INPUT, EEXIST, "%s is said twice", key);
        p->said |= 1U << i;
    }
    return 0;
}

static int vplan_line(struct vplan *p, const char *key, char *value, struct err *e)
{
    static const char *const levels[] = {"smoke", "full", "long", NULL};
    static const char *const cells[] = {"all", "pairwise", NULL};
    unsigned n = 0;
    int rc = vplan_once(p, key, e);

    if (rc < 0)
        return rc;
    if (strcmp(key, "name") == 0)
        return vtext_set(&p->name, value, e);
    if (strcmp(key, "guest") == 0)
        return vplan_guest(p, value, e);
    if (strcmp(key, "persona") == 0)
        return vplan_words(p, value, VP_PERSONA, "personas", one_persona, e);
    if (strcmp(key, "cpus") == 0)
        return vplan_words(p, value, VP_CPUS, "counts of processors", one_cpus, e);
    if (strcmp(key, "memory") == 0)
        return vplan_words(p, value, VP_MEMORY, "sizes of memory", one_memory, e);
    if (strcmp(key, "disk") == 0)
        return vplan_words(p, value, VP_DISK, "disks", one_disk, e);
    if (strcmp(key, "network") == 0)
        return vplan_words(p, value, VP_NETWORK, "networks", one_network, e);
    if (strcmp(key, "suite") == 0)
        return vplan_suites(p, value, e);
    if (strcmp(key, "known") == 0 || strcmp(key, "skip") == 0)
        return vplan_exception_line(p, value, key[0] == 's', e);
    if (strcmp(key, "level") == 0) {
        rc = vplan_choice(value, levels, key, &n, e);
        p->level = (enum suite_level)n;
        return rc;
    }
    if (strcmp(key, "cells") == 0) {
        rc = vplan_choice(value, cells, key, &n, e);
        p->pairwise = n;
        return rc;
    }
    if (strcmp(key, "attempts") == 0) {
        p->attempts = (unsigned)(value[0] - '0');
        if (value[0] < '1' || value[0] > '0' + VPLAN_ATTEMPTS_MAX || value[1])
            return err_exit(e, EX_BAD_INPUT, EINVAL, "attempts is a number from 1 to %d",
                            VPLAN_ATTEMPTS_MAX);
        return 0;
    }
    return err_exit(e, EX_BAD_INPUT, EINVAL, "a plan has no \"%.20s\"", key);
}

static int vplan_read_line(struct vplan *p, const char *line, size_t len, struct err *e)
{
    char text[VPLAN_LINE], *value;

    while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\t' || line[len - 1] == '\r'))
        len--;
    if (len == 0 || line[0] == '#')
        return 0;
    if (len >= sizeof(text))
        return err_exit(e, EX_BAD_INPUT, E2BIG, "it is longer than %d bytes", VPLAN_LINE - 1);
    memcpy(text, line, len);
    text[len] = '\0';
    value = text + strcspn(text, " \t");
    if (*value)
        *value++ = '\0';
    value += strspn(value, " \t");
    if (!*value)
        return err_exit(e, EX_BAD_INPUT, EINVAL, "\"%.20s\" has no value", text);
    return vplan_line(p, text, value, e);
}

static int vplan_lines(struct vplan *p, struct err *e)
{
    const size_t n = strlen(vplan_magic);
    const char *at = p->text;
    int rc = 0;

    if (strncmp(at, vplan_magic, n) != 0 || at[n + (at[n] == '\r')] != '\n')
        return err_exit(e, EX_BAD_INPUT, EINVAL,
                        "it is no validation plan: the first line must be "
                        "\"%s\"",
                        vplan_magic);
    for (unsigned line = 1; rc == 0 && *at; line++) {
        size_t len = strcspn(at, "\n");

        if (line > 1)
            rc = vplan_read_line(p, at, len, e);
        if (rc < 0)
            return err_wrap(e, "line %u", line);
        at += len + (at[len] == '\n');
    }
    return 0;
}

/* --- defaults, checks, cells --- */

static int vplan_defaults(struct vplan *p, struct err *e)
{
    static const struct {
        enum vplan_factor f;
        const char *key, *value;
    } defaults[] = {{VP_CPUS, "cpus", "1"},
                    {VP_MEMORY, "memory", "256M"},
                    {VP_DISK, "disk", "raw"},
                    {VP_NETWORK, "network", "user"}};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(defaults); i++) {
        char value[16];

        snprintf(value, sizeof(value), "%s", defaults[i].value);
        if (p->n[defaults[i].f] == 0)
            rc = vplan_line(p, defaults[i].key, value, e);
    }
    if (rc == 0 && p->attempts == 0)
        p->attempts = 2;
    return rc;
}

static bool has_persona(const struct vplan *p, const char *name)
{
    for (unsigned i = 0; i < p->n[VP_PERSONA]; i++) {
        size_t n = strcspn(p->persona[i], ",");

        if (strlen(name) == n && strncmp(p->persona[i], name, n) == 0)
            return true;
    }
    return false;
}

static bool has_guest(const struct vplan *p, const char *name)
{
    for (unsigned i = 0; i < p->n[VP_GUEST]; i++) {
        if (strcmp(p->guest[i].name, name) == 0)
            return true;
    }
    return false;
}

/* A misspelt check, persona or guest in an exception would be no exception at all. */
static int vplan_known_checks(const struct vplan *p, struct err *e)
{
    for (size_t i = 0; i < p->exceptions; i++) {
        bool found = false;

        for (unsigned s = 0; s < p->suites; s++) {
            for (size_t k = 0; k < p->suite[s].checks; k++)
                found |= strcmp(p->suite[s].check[k].id, p->exception[i].check) == 0;
        }
        if (!found)
            return err_exit(e, EX_BAD_INPUT, ENOENT,
                            "no suite of this plan has a check \"%.60s\", which %s names",
                            p->exception[i].check, p->exception[i].skip ? "skip" : "known");
        if (p->exception[i].persona && !has_persona(p, p->exception[i].persona))
            return err_exit(
                e, EX_BAD_INPUT, ENOENT,
                "this plan has no persona \"%.20s\", which the exception of %.60s names",
                p->exception[i].persona, p->exception[i].check);
        if (p->exception[i].guest && !has_guest(p, p->exception[i].guest))
            return err_exit(e, EX_BAD_INPUT, ENOENT,
                            "this plan has no guest \"%.24s\", which the exception of %.60s names",
                            p->exception[i].guest, p->exception[i].check);
    }
    return 0;
}

static int vplan_all_cells(struct vplan *p, struct err *e)
{
    uint64_t all = 1;
    size_t i = 0;

    for (unsigned f = 0; f < VP_FACTORS; f++)
        all *= p->n[f];
    if (all > VPLAN_CELLS_MAX)
        return err_exit(e, EX_BAD_INPUT, E2BIG,
                        "it spans %llu cells; at most %d are possible: say cells pairwise",
                        (unsigned long long)all, VPLAN_CELLS_MAX);
    p->cell = calloc((size_t)all, sizeof(*p->cell));
    if (!p->cell)
        return err_set(e, ENOMEM, "no memory for the cells of a plan");
    for (struct vcell c = {.at = {0}}; i < all;) {
        unsigned f = VP_FACTORS;

        p->cell[i++] = c;
        while (f > 0 && ++c.at[f - 1] == p->n[f - 1])
            c.at[--f] = 0;
    }
    p->cells = i;
    return 0;
}

static int vplan_ids(const struct vplan *p, struct err *e)
{
    char a[VPLAN_CELL_ID], b[VPLAN_CELL_ID];

    for (size_t i = 0; i + 1 < p->cells && p->cells <= 4096; i++) {
        vplan_cell_id(p, &p->cell[i], a);
        for (size_t k = i + 1; k < p->cells; k++) {
            vplan_cell_id(p, &p->cell[k], b);
            if (strcmp(a, b) == 0)
                return err_exit(e, EX_BAD_INPUT, EEXIST,
                                "cell %s is there twice: a value is named "
                                "twice",
                                a);
        }
    }
    return 0;
}

static int vplan_finish(struct vplan *p, struct err *e)
{
    int rc = vplan_defaults(p, e);

    if (rc == 0 &&
        (!p->name || !vname_good(p->name) || strchr(p->name, '/') || strlen(p->name) > 60))
        rc = err_exit(e, EX_BAD_INPUT, EINVAL,
                      "it wants a name of small letters and digits: name "
                      "smoke");
    if (rc == 0 && (!p->n[VP_GUEST] || !p->n[VP_PERSONA] || !p->suites))
        rc = err_exit(e, EX_BAD_INPUT, EINVAL, "it wants at least one %s line",
                      !p->n[VP_GUEST]     ? "guest"
                      : !p->n[VP_PERSONA] ? "persona"
                                          : "suite");
    if (rc == 0)
        rc = vplan_known_checks(p, e);
    if (rc == 0)
        rc = p->pairwise ? pairwise_choose(p->n, &p->cell, &p->cells, e) : vplan_all_cells(p, e);
    if (rc == 0)
        rc = vplan_ids(p, e);
    if (rc == 0)
        pairwise_count(p->n, p->cell, p->cells, &p->pairs, &p->pairs_covered);
    return rc;
}

int vplan_parse(struct vplan *p, const char *text, size_t len, const char *dir, const char *suites,
                struct err *e)
{
    int rc;

    memset(p, 0, sizeof(*p));
    p->suite_dir = suites;
    p->text = malloc(len + 1);
    if (!p->text)
        return err_set(e, ENOMEM, "no memory for a plan");
    if (len)
        memcpy(p->text, text, len);
    p->text[len] = '\0';
    p->len = len;
    sha256_text(text, len, p->sha256);
    rc = vtext_set(&p->dir, dir, e);
    if (rc == 0 && (len > VPLAN_BYTES_MAX || strlen(p->text) != len))
        rc =
            err_exit(e, EX_BAD_INPUT, EINVAL, "it is no text of at most %d bytes", VPLAN_BYTES_MAX);
    if (rc == 0)
        rc = vplan_lines(p, e);
    p->suite_dir = NULL; /* the caller's */
    return rc < 0 ? rc : vplan_finish(p, e);
}

int vplan_read(struct vplan *p, const char *path, const char *suites, struct err *e)
{
    char *text, *dir;
    size_t len;
    int rc;

    memset(p, 0, sizeof(*p));
    rc = vtext_read(path, VPLAN_BYTES_MAX, &text, &len, e);
    if (rc < 0)
        return rc;
    dir = path_folder(path);
    rc = dir ? vplan_parse(p, text, len, dir, suites, e)
             : err_set(e, ENOMEM, "no memory for a plan");
    free(dir);
    free(text);
    return rc < 0 ? err_wrap(e, "%s", path) : 0;
}
