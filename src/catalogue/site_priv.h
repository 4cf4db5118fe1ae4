/* SPDX-License-Identifier: Apache-2.0 */
/* site_priv.h - what the files of the site builder share. */
#ifndef HOSPES_CATALOGUE_SITE_PRIV_H
#define HOSPES_CATALOGUE_SITE_PRIV_H

#include "catalogue/cell.h"
#include "catalogue/html.h"
#include "catalogue/site.h"
#include "validation/bundle.h"

enum { SITE_PERSONAS = 5, SITE_SPLIT = 400 };
extern const char *const site_personas[SITE_PERSONAS];

/* A guest's line in the matrix. */
struct site_guest {
    char *family, *name; /* "Debian Debian 12", and with version and architecture */
    char slug[HTML_SLUG];
    struct cell *cell[SITE_PERSONAS]; /* NULL: nothing is said */
};

/* A copy of a row, with its strings. */
struct site_row {
    struct index_row r;
    char *mem;
};

struct site {
    const struct store *s;
    struct index *ix;
    const char *current;
    char dir[STORE_PATH]; /* being made */
    int lock;             /* on it, as long as it is; -1: none */
    struct site_told *told;
    struct err *e;
    struct vbuf json, csv;
    struct site_guest *guest;
    size_t guests;
    struct site_row *row; /* of the guest that is being read */
    size_t rows, row_room;
    char (*done)[V_SHA_TEXT]; /* bundles whose records have pages, sorted as they came */
    size_t dones;
};

/* A file below the folder, which is made; its text is freed. */
MUST int site_write(struct site *t, const char *name, struct vbuf *b);
/* The mark of a cell: sign, word, and what must be said with it. */
void site_mark(struct vbuf *b, const struct cell *c);
/* "record/B16-CELL.html" without folder and suffix. */
enum { SITE_RECORD = 128 };
void site_record_name(const char *bundle, const char *cell, char out[SITE_RECORD]);

/* site_guest.c: the page of the guest whose rows are there, and its line of the matrix. */
MUST int site_guest_done(struct site *t);
/* site_record.c: pages of all records of a bundle, once. 1: the bundle is not here. */
MUST int site_bundle(struct site *t, const char *sha256);
/* site_matrix.c */
MUST int site_matrix(struct site *t);
MUST int site_errata(struct site *t);
MUST int site_about(struct site *t);

#endif
