/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suite.h - a suite: one shell script whose comments describe its checks and whose functions are
 * those that run in the guest. docs/reference/suites.md has the form.
 *
 * Suites of the program are compiled in; any other file may be one, too. Its digest is its
 * identity.
 */
#ifndef HOSPES_VALIDATION_SUITE_H
#define HOSPES_VALIDATION_SUITE_H

#include "core/core.h"
#include "validation/record.h"

enum { SUITE_BYTES_MAX = 1 << 20, SUITE_SECONDS_MAX = 200000 };

enum suite_level { LEVEL_SMOKE, LEVEL_FULL, LEVEL_LONG, LEVELS };

enum suite_by {
    BY_GUEST,   /* a function in the guest */
    BY_OUTSIDE, /* what `hospes info` shows must hold; args: the rule */
    BY_HOST,    /* a scenario of the runner; args: its name and arguments */
};

struct suite_check {
    char *id, *purpose, *pass, *source;
    enum suite_by by;
    char *args;     /* of outside and host, "" else */
    char *needs;    /* words: disk, nic, cpus, agent; "" */
    char *personas; /* words; "" for all */
    char *programs; /* of this machine, which the guest is given for it: words; "" */
    enum suite_level level;
    bool mandatory;
    unsigned seconds; /* on a plain machine; the runner allows more where it is slow */
};

struct suite {
    char *name, *owner;
    unsigned version;
    char *modules; /* kernel modules that the guest needs for it; words */
    struct suite_check *check;
    size_t checks;
    char *text;
    size_t len;
    char sha256[V_SHA_TEXT];
};

void suite_free(struct suite *s);
/* s needs suite_free() also after an error. */
MUST int suite_parse(struct suite *s, const char *text, size_t len, struct err *e);
/* Compiled in, or the file of that name when it has a '/'. */
MUST int suite_open(struct suite *s, const char *name, struct err *e);
/* Names of those compiled in; NULL past the last. */
const char *suite_builtin(size_t i);

const char *suite_level_word(enum suite_level l);
MUST bool suite_level_of(const char *word, enum suite_level *out);
/* Is `word` in the list `words`, which blanks separate? */
bool suite_has_word(const char *words, const char *word);

/* Every check of s that belongs to r's level, persona and mandatory ones above all, is in r. */
MUST int suite_covers(const struct suite *s, const struct vrecord *r, struct err *e);

/* The library that every guest's agent starts with; see suites/agent.sh. */
extern const char suite_agent[];
extern const size_t suite_agent_len;

#endif
