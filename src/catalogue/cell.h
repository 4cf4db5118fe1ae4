/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cell.h - what a catalogue knows of one guest on one persona, boiled down from its claims.
 *
 * Only a tested claim of a trusted runner whose record is validated makes a tick. Everything else
 * has a word and a sign of its own, and nothing is ever hidden by something better.
 */
#ifndef HOSPES_CATALOGUE_CELL_H
#define HOSPES_CATALOGUE_CELL_H

#include "catalogue/index.h"

struct json_object;

enum cell_state {
    CELL_VALIDATED, /* the newest test passed */
    CELL_FAILED,    /* the newest test failed */
    CELL_UNDECIDED, /* tested, but not all that is mandatory could be done */
    CELL_INHERITED,
    CELL_STATED,
    CELL_PLANNED,
    CELL_UNKNOWN,
    CELL_STATES
};
extern const char *const cell_words[CELL_STATES]; /* "validated" */
extern const char *const cell_signs[CELL_STATES]; /* one character, UTF-8 */

enum { CELL_TEXT = 128 };
struct cell {
    char guest[CELL_TEXT], version[CELL_TEXT], arch[32], persona[32];
    enum cell_state state;
    bool stale;    /* the newest test is of an older host than others have been */
    bool disputed; /* runners disagree on the same host version */
    bool flaky;
    bool preview;
    char host[CELL_TEXT], host_version[64]; /* of the newest test, "" without one */
    char tested[24], runner[64];            /* when and by whom */
    enum claim_level level;
    enum claim_owner owner;
    uint64_t max_cpus, max_memory; /* that have passed, 0: none */
    uint32_t claims, newest;       /* their number; the entry that decides */
};

/* Starts with a row, then takes the others of the same cell in index_rows()' order. */
void cell_begin(struct cell *c, const struct index_row *r);
void cell_add(struct cell *c, const struct index_row *r);
/* All rows are there. current: a host version to hold the test against, NULL: the newest one that
 * the index knows. */
void cell_end(struct cell *c, const struct index *ix, const char *current);
bool cell_same(const struct cell *c, const struct index_row *r);

/* "validated on hospes 0.1.0, stale" and so on: a sentence's worth, without the guest. */
void cell_sentence(const struct cell *c, char *out, size_t room);

/* What a program is told of a cell; the caller's. */
struct json_object *cell_to_json(const struct cell *c);

/* Calls fn for every cell, in order; as index_rows(). */
typedef int cell_fn(void *arg, const struct cell *c);
MUST int cells_each(struct index *ix, const char *guest, const char *persona, const char *current,
                    cell_fn *fn, void *arg, struct err *e);

#endif
