/* SPDX-License-Identifier: Apache-2.0 */
/* suite.c - see suite.h. */
#define _GNU_SOURCE
#include "validation/suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "validation/key.h"
#include "validation/suite_files.h"
#include "validation/text.h"

enum { SUITE_VERSION = 1, SUITE_LINE = 1024 };

static const char *const suite_levels[LEVELS] = {"smoke", "full", "long"};

const char *suite_level_word(enum suite_level l)
{
    return suite_levels[l];
}

bool suite_level_of(const char *word, enum suite_level *out)
{
    for (int i = 0; i < LEVELS; i++) {
        if (strcmp(word, suite_levels[i]) == 0) {
            *out = (enum suite_level)i;
            return true;
        }
    }
    return false;
}

bool suite_has_word(const char *words, const char *word)
{
    size_t n = strlen(word);

    while (*words) {
        size_t len;

        words += strspn(words, " ");
        len = strcspn(words, " ");
        if (len == n && n > 0 && memcmp(words, word, n) == 0)
            return true;
        words += len;
    }
    return false;
}

void suite_free(struct suite *s)
{
    for (size_t i = 0; i < s->checks; i++) {
        struct suite_check *c = &s->check[i];
        char *const own[] = {c->id,   c->purpose, c->pass,     c->source,
                             c->args, c->needs,   c->personas, c->programs};

        for (size_t k = 0; k < ARRAY_SIZE(own); k++)
            free(own[k]);
    }
    free(s->check);
    free(s->name);
    free(s->owner);
    free(s->modules);
    free(s->text);
    memset(s, 0, sizeof(*s));
}

/* --- one line of the head --- */

struct suite_reader {
    struct suite *s;
    struct suite_check *c; /* the check that lines belong to; NULL: the suite */
    unsigned line;
    struct err *e;
};

static int suite_bad(const struct suite_reader *r, const char *what)
{
    return err_set(r->e, EINVAL, "line %u of the suite: %s", r->line, what);
}

static int suite_number(const struct suite_reader *r, const char *value, unsigned max,
                        unsigned *out)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (*value < '0' || *value > '9' || *end || n == 0 || n > max)
        return suite_bad(r, "the number is not in its range");
    *out = (unsigned)n;
    return 0;
}

static int suite_new_check(struct suite_reader *r, const char *id)
{
    struct suite *s = r->s;
    struct suite_check *grown;
    int rc = 0;

    if (!vname_good(id) || strchr(id, '/') || !strchr(id, '.') || strpbrk(id, "=+-"))
        return suite_bad(r, "a check's id is AREA.NAME in small letters, digits and _");
    for (size_t i = 0; i < s->checks; i++) {
        if (strcmp(s->check[i].id, id) == 0)
            return suite_bad(r, "a check of this id is there already");
    }
    grown = s->checks < V_CHECKS_MAX ? reallocarray(s->check, s->checks + 1, sizeof(*grown)) : NULL;
    if (!grown)
        return err_set(r->e, E2BIG, "a suite has at most %d checks", V_CHECKS_MAX);
    s->check = grown;
    r->c = &grown[s->checks++];
    *r->c = (struct suite_check){.seconds = 30};
    rc = vtext_set(&r->c->id, id, r->e);
    if (rc == 0)
        rc = vtext_set(&r->c->args, "", r->e);
    if (rc == 0)
        rc = vtext_set(&r->c->needs, "", r->e);
    if (rc == 0)
        rc = vtext_set(&r->c->personas, "", r->e);
    if (rc == 0)
        rc = vtext_set(&r->c->programs, "", r->e);
    return rc;
}

static int suite_by(struct suite_reader *r, const char *value)
{
    static const struct {
        const char *word;
        enum suite_by by;
    } kinds[] = {{"guest", BY_GUEST}, {"outside", BY_OUTSIDE}, {"host", BY_HOST}};
    size_t n = strcspn(value, " ");
    const char *args = value + n + strspn(value + n, " ");

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (strlen(kinds[i].word) == n && strncmp(kinds[i].word, value, n) == 0) {
            r->c->by = kinds[i].by;
            if ((r->c->by == BY_GUEST) != !*args)
                return suite_bad(r, "by is guest, outside RULE or host SCENARIO");
            return vtext_set(&r->c->args, args, r->e);
        }
    }
    return suite_bad(r, "by is guest, outside RULE or host SCENARIO");
}

/* Names without a folder: which file that is, is this machine's affair. */
static int suite_programs(struct suite_reader *r, const char *value)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.+ ";

    if (value[strspn(value, good)] || *value == '.' || *value == '-' || strstr(value, " .") ||
        strstr(value, " -"))
        return suite_bad(r, "programs are names, without folders");
    return vtext_set(&r->c->programs, value, r->e);
}

static int suite_check_line(struct suite_reader *r, const char *key, const char *value)
{
    struct suite_check *c = r->c;

    if (strcmp(key, "purpose") == 0)
        return vtext_set(&c->purpose, value, r->e);
    if (strcmp(key, "pass") == 0)
        return vtext_set(&c->pass, value, r->e);
    if (strcmp(key, "source") == 0)
        return vtext_set(&c->source, value, r->e);
    if (strcmp(key, "needs") == 0)
        return vtext_set(&c->needs, value, r->e);
    if (strcmp(key, "personas") == 0)
        return vtext_set(&c->personas, value, r->e);
    if (strcmp(key, "programs") == 0)
        return suite_programs(r, value);
    if (strcmp(key, "by") == 0)
        return suite_by(r, value);
    if (strcmp(key, "seconds") == 0)
        return suite_number(r, value, SUITE_SECONDS_MAX, &c->seconds);
    if (strcmp(key, "level") == 0)
        return suite_level_of(value, &c->level) ? 0 : suite_bad(r, "level is smoke, full or long");
    if (strcmp(key, "mandatory") == 0) {
        c->mandatory = strcmp(value, "yes") == 0;
        return c->mandatory || strcmp(value, "no") == 0 ? 0
                                                        : suite_bad(r, "mandatory is yes or no");
    }
    return suite_bad(r, "a check has no such key");
}

static int suite_line(struct suite_reader *r, const char *key, const char *value)
{
    struct suite *s = r->s;

    if (strcmp(key, "check") == 0)
        return suite_new_check(r, value);
    if (r->c)
        return suite_check_line(r, key, value);
    if (strcmp(key, "name") == 0)
        return vtext_set(&s->name, value, r->e);
    if (strcmp(key, "owner") == 0)
        return vtext_set(&s->owner, value, r->e);
    if (strcmp(key, "modules") == 0)
        return vtext_set(&s->modules, value, r->e);
    if (strcmp(key, "version") == 0)
        return suite_number(r, value, UINT32_MAX, &s->version);
    return suite_bad(r, "a suite has no such key");
}

/* "#: key: value" lines describe; everything else is the script's own. */
static int suite_read_line(struct suite_reader *r, const char *line, size_t len)
{
    char text[SUITE_LINE], *key = text + 2, *value;

    if (len < 3 || line[0] != '#' || line[1] != ':')
        return 0;
    if (len >= sizeof(text))
        return suite_bad(r, "it is too long");
    memcpy(text, line, len);
    text[len] = '\0';
    key += strspn(key, " ");
    value = strchr(key, ':');
    if (!value)
        return suite_bad(r, "it is not like \"#: key: value\"");
    *value++ = '\0';
    value += strspn(value, " ");
    return suite_line(r, key, value);
}

/* --- the whole --- */

static int suite_complete(const struct suite *s, struct err *e)
{
    if (!s->name || !s->owner || !s->version)
        return err_set(e, EINVAL, "the suite does not say its name, version and owner");
    if (!vname_good(s->name) || strchr(s->name, '/') || strlen(s->name) > 40)
        return err_set(e, EINVAL, "\"%.60s\" is no name for a suite", s->name);
    if (s->checks == 0)
        return err_set(e, EINVAL, "suite %s has no check", s->name);
    for (size_t i = 0; i < s->checks; i++) {
        const struct suite_check *c = &s->check[i];

        if (!c->purpose || !c->pass || !c->source)
            return err_set(e, EINVAL, "check %s does not say its purpose, pass rule and source",
                           c->id);
    }
    return 0;
}

int suite_parse(struct suite *s, const char *text, size_t len, struct err *e)
{
    struct suite_reader r = {.s = s, .e = e};
    size_t at = 0;
    int rc = 0;

    memset(s, 0, sizeof(*s));
    if (len > SUITE_BYTES_MAX)
        return err_set(e, EFBIG, "a suite has at most %d bytes", SUITE_BYTES_MAX);
    s->text = malloc(len + 1);
    if (!s->text)
        return err_set(e, ENOMEM, "no memory for a suite");
    if (len)
        memcpy(s->text, text, len);
    s->text[len] = '\0';
    s->len = len;
    sha256_text(text, len, s->sha256);
    rc = vtext_set(&s->modules, "", e);
    if (rc == 0 && strlen(s->text) != len)
        rc = err_set(e, EINVAL, "a suite is text, but this one has a zero byte");
    while (rc == 0 && at < len) {
        size_t n = strcspn(s->text + at, "\n");

        r.line++;
        rc = suite_read_line(&r, s->text + at, n);
        at += n + 1;
    }
    return rc < 0 ? rc : suite_complete(s, e);
}

const char *suite_builtin(size_t i)
{
    return i < suite_files_n ? suite_files[i].name : NULL;
}

int suite_open(struct suite *s, const char *name, struct err *e)
{
    char *text;
    size_t len;
    int rc;

    memset(s, 0, sizeof(*s));
    if (strchr(name, '/')) {
        rc = vtext_read(name, SUITE_BYTES_MAX, &text, &len, e);
        if (rc < 0)
            return rc;
        rc = suite_parse(s, text, len, e);
        free(text);
        return rc < 0 ? err_wrap(e, "%s", name) : 0;
    }
    for (size_t i = 0; i < suite_files_n; i++) {
        if (strcmp(suite_files[i].name, name) == 0)
            return suite_parse(s, suite_files[i].text, suite_files[i].len, e);
    }
    return err_exit(e, EX_USAGE_, ENOENT,
                    "there is no suite \"%s\": hospes validate plan --suites lists them, and a "
                    "file's name has a / in it",
                    name);
}

int suite_covers(const struct suite *s, const struct vrecord *r, struct err *e)
{
    enum suite_level level;

    if (!suite_level_of(r->level, &level))
        return err_set(e, EINVAL, "level \"%.20s\" is none of smoke, full and long", r->level);
    for (size_t i = 0; i < s->checks; i++) {
        const struct suite_check *c = &s->check[i];
        const struct vcheck *have = vrecord_check(r, c->id);

        if (c->level > level || (*c->personas && !suite_has_word(c->personas, r->persona)))
            continue;
        if (!have)
            return err_set(e, EINVAL, "check %s of suite %s is not in the record", c->id, s->name);
        if (have->mandatory != c->mandatory)
            return err_set(e, EINVAL, "check %s is %smandatory by suite %s, and not in the record",
                           c->id, c->mandatory ? "" : "not ", s->name);
    }
    return 0;
}
