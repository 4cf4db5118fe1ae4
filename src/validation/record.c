/* SPDX-License-Identifier: Apache-2.0 */
/* record.c - see record.h: texts, lists, and the rules by which a verdict follows from checks. */
#define _GNU_SOURCE
#include "validation/record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"

static const char *const vstatus_words[V_STATUSES] = {
    [V_FAIL] = "FAIL",   [V_ERROR] = "ERROR", [V_MISS] = "MISS", [V_KNOWN] = "KNOWN",
    [V_FLAKY] = "FLAKY", [V_PASS] = "PASS",   [V_SKIP] = "SKIP",
};

const char *vstatus_word(enum vstatus s)
{
    return vstatus_words[s];
}

bool vstatus_of(const char *word, enum vstatus *out)
{
    for (int i = 0; i < V_STATUSES; i++) {
        if (strcmp(word, vstatus_words[i]) == 0) {
            *out = (enum vstatus)i;
            return true;
        }
    }
    return false;
}

int vtext_set(char **at, const char *value, struct err *e)
{
    char *copy = value ? strdup(value) : NULL;

    if (value && !copy)
        return err_set(e, ENOMEM, "no memory for a result");
    free(*at);
    *at = copy;
    return 0;
}

/* A list that grows by one: *list is moved, and the new item is zero. */
static void *v_grow(void *list, size_t *n, size_t size, size_t max, struct err *e)
{
    char *grown = *n < max ? reallocarray(list, *n + 1, size) : NULL;

    if (!grown) {
        (void)err_set(e, *n < max ? ENOMEM : E2BIG, "a result has no room for more than %zu items",
                      *n);
        return NULL;
    }
    memset(grown + *n * size, 0, size);
    (*n)++;
    return grown;
}

/* --- facts --- */

const char *vfacts_get(const struct vfacts *f, const char *key)
{
    for (size_t i = 0; i < f->n; i++) {
        if (strcmp(f->fact[i].key, key) == 0)
            return f->fact[i].value;
    }
    return NULL;
}

int vfacts_set(struct vfacts *f, const char *key, const char *value, struct err *e)
{
    struct vfact *grown;
    char *k = NULL;
    int rc;

    if (!value || !*value)
        return 0;
    for (size_t i = 0; i < f->n; i++) {
        if (strcmp(f->fact[i].key, key) == 0)
            return vtext_set(&f->fact[i].value, value, e);
    }
    rc = vtext_set(&k, key, e);
    if (rc < 0)
        return rc;
    grown = v_grow(f->fact, &f->n, sizeof(*grown), V_LIST_MAX, e);
    if (!grown) {
        free(k);
        return -e->code;
    }
    f->fact = grown;
    grown[f->n - 1].key = k;
    rc = vtext_set(&grown[f->n - 1].value, value, e);
    if (rc < 0)
        free(grown[--f->n].key);
    return rc;
}

int vfacts_copy(struct vfacts *to, const struct vfacts *from, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < from->n; i++)
        rc = vfacts_set(to, from->fact[i].key, from->fact[i].value, e);
    return rc;
}

void vfacts_free(struct vfacts *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->fact[i].key);
        free(f->fact[i].value);
    }
    free(f->fact);
    *f = (struct vfacts){0};
}

/* --- files --- */

int vfiles_add(struct vfiles *f, const char *role, const char *name, uint64_t size,
               const char *sha256, struct err *e)
{
    struct vfile *grown = v_grow(f->file, &f->n, sizeof(*grown), V_LIST_MAX, e), *at;
    int rc;

    if (!grown)
        return -e->code;
    f->file = grown;
    at = &grown[f->n - 1];
    at->size = size;
    snprintf(at->sha256, sizeof(at->sha256), "%s", sha256);
    rc = vtext_set(&at->role, role, e);
    if (rc == 0)
        rc = vtext_set(&at->name, name, e);
    return rc;
}

void vfiles_free(struct vfiles *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->file[i].role);
        free(f->file[i].name);
    }
    free(f->file);
    *f = (struct vfiles){0};
}

/* --- the record --- */

void vrecord_init(struct vrecord *r)
{
    memset(r, 0, sizeof(*r));
}

static void vcheck_free(struct vcheck *c)
{
    for (size_t i = 0; i < c->attempts; i++)
        free(c->attempt[i].why);
    free(c->attempt);
    free(c->id);
    free(c->suite);
    free(c->why);
    free(c->issue);
}

void vrecord_free(struct vrecord *r)
{
    char *const own[] = {r->cell,     r->plan, r->started, r->end,   r->persona, r->persona_opts,
                         r->firmware, r->disk, r->network, r->level, r->command};

    for (size_t i = 0; i < ARRAY_SIZE(own); i++)
        free(own[i]);
    vfacts_free(&r->host);
    vfacts_free(&r->guest);
    vfiles_free(&r->inputs);
    vfiles_free(&r->files);
    for (size_t i = 0; i < r->suites; i++) {
        free(r->suite[i].name);
        free(r->suite[i].owner);
    }
    free(r->suite);
    for (size_t i = 0; i < r->controls; i++) {
        free(r->control[i].id);
        free(r->control[i].why);
    }
    free(r->control);
    for (size_t i = 0; i < r->checks; i++)
        vcheck_free(&r->check[i]);
    free(r->check);
    vrecord_init(r);
}

int vrecord_add_suite(struct vrecord *r, const char *name, unsigned version, const char *owner,
                      const char *sha256, struct err *e)
{
    struct vsuite_ref *grown = v_grow(r->suite, &r->suites, sizeof(*grown), V_LIST_MAX, e), *at;
    int rc;

    if (!grown)
        return -e->code;
    r->suite = grown;
    at = &grown[r->suites - 1];
    at->version = version;
    snprintf(at->sha256, sizeof(at->sha256), "%s", sha256);
    rc = vtext_set(&at->name, name, e);
    return rc < 0 ? rc : vtext_set(&at->owner, owner, e);
}

int vrecord_add_check(struct vrecord *r, const char *suite, const char *id, bool mandatory,
                      struct vcheck **out, struct err *e)
{
    struct vcheck *grown = v_grow(r->check, &r->checks, sizeof(*grown), V_CHECKS_MAX, e), *at;
    int rc;

    if (!grown)
        return -e->code;
    r->check = grown;
    at = &grown[r->checks - 1];
    at->mandatory = mandatory;
    at->status = V_MISS;
    rc = vtext_set(&at->id, id, e);
    if (rc == 0)
        rc = vtext_set(&at->suite, suite, e);
    if (rc == 0 && out)
        *out = at;
    return rc;
}

int vrecord_add_control(struct vrecord *r, const char *id, enum vstatus status, const char *why,
                        struct err *e)
{
    struct vcontrol *grown = v_grow(r->control, &r->controls, sizeof(*grown), V_CHECKS_MAX, e);
    int rc;

    if (!grown)
        return -e->code;
    r->control = grown;
    grown += r->controls - 1;
    grown->status = status;
    rc = vtext_set(&grown->id, id, e);
    return rc < 0 ? rc : vtext_set(&grown->why, why && *why ? why : NULL, e);
}

int vcheck_add_attempt(struct vcheck *c, enum vstatus status, uint64_t ms, const char *why,
                       uint32_t from, uint32_t to, struct err *e)
{
    struct vattempt *grown = v_grow(c->attempt, &c->attempts, sizeof(*grown), V_ATTEMPTS_MAX, e);

    if (!grown)
        return -e->code;
    c->attempt = grown;
    grown += c->attempts - 1;
    *grown = (struct vattempt){.status = status, .ms = ms, .from = from, .to = to};
    return vtext_set(&grown->why, why && *why ? why : NULL, e);
}

const struct vcheck *vrecord_check(const struct vrecord *r, const char *id)
{
    for (size_t i = 0; i < r->checks; i++) {
        if (strcmp(r->check[i].id, id) == 0)
            return &r->check[i];
    }
    return NULL;
}

void vrecord_judge(struct vrecord *r)
{
    enum vstatus worst = V_SKIP;
    size_t mandatory = 0, good = 0;

    for (size_t i = 0; i < r->checks; i++) {
        const struct vcheck *c = &r->check[i];

        if (c->status < worst)
            worst = c->status;
        mandatory += c->mandatory;
        good += c->mandatory && (c->status == V_PASS || c->status == V_FLAKY);
    }
    r->verdict = worst;
    r->validated = mandatory > 0 && good == mandatory;
}

int vrecord_exit(const struct vrecord *r)
{
    switch (r->verdict) {
    case V_FAIL:
    case V_MISS:
        return 1;
    case V_ERROR:
        return 2;
    case V_SKIP:
        return 3;
    default:
        return 0;
    }
}

/* --- evidence --- */

/* Line n (from 1) of log; false past the end. */
static bool v_line(const char *log, size_t len, uint32_t n, const char **line, size_t *size)
{
    const char *at = log, *end = log + len;

    for (uint32_t i = 1; at < end; i++) {
        const char *feed = memchr(at, '\n', (size_t)(end - at));

        if (!feed)
            feed = end;
        if (i == n) {
            *line = at;
            *size = (size_t)(feed - at);
            return true;
        }
        at = feed + 1;
    }
    return false;
}

static bool v_line_is(const char *log, size_t len, uint32_t n, const char *wanted)
{
    const char *line;
    size_t size;

    return v_line(log, len, n, &line, &size) && size == strlen(wanted) &&
           memcmp(line, wanted, size) == 0;
}

static int vcheck_check_log(const struct vcheck *c, const char *log, size_t len, struct err *e)
{
    char begin[V_NAME_MAX + 64], end[V_NAME_MAX + 64];

    snprintf(end, sizeof(end), "# %.*s PASS", V_NAME_MAX, c->id);
    for (size_t i = 0; i < c->attempts; i++) {
        const struct vattempt *a = &c->attempt[i];

        snprintf(begin, sizeof(begin), "# %.*s attempt %zu", V_NAME_MAX, c->id, i + 1);
        if (a->status != V_PASS)
            continue;
        if (a->from >= a->to || !v_line_is(log, len, a->from, begin))
            return err_set(e, EINVAL, "line %u of run.log does not begin attempt %zu of %s",
                           a->from, i + 1, c->id);
        if (!v_line_is(log, len, a->to, end))
            return err_set(e, EINVAL, "line %u of run.log does not say that %s passed", a->to,
                           c->id);
    }
    return 0;
}

int vrecord_check_log(const struct vrecord *r, const char *log, size_t len, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < r->checks; i++)
        rc = vcheck_check_log(&r->check[i], log, len, e);
    return rc < 0 ? err_wrap(e, "cell %s", r->cell) : 0;
}
