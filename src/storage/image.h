/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.h - images as files: creating, checking, describing. What `hospes image` is made of.
 */
#ifndef HOSPES_STORAGE_IMAGE_H
#define HOSPES_STORAGE_IMAGE_H

#include "storage/disk.h"

/* --- creating --- */

struct image_make {
    const char *path;           /* of the image; files beside it are named after it */
    uint64_t bytes;             /* 0 with a parent: the parent's size */
    struct cfg *opts;           /* K=V; never NULL; what nobody reads is an error */
    const char *backing;        /* the parent as it is written into the image; NULL: none */
    const char *backing_format; /* NULL: not said */
    struct disk *parent;        /* the parent, open; NULL: none */
};

/* --- checking --- */

enum finding {
    FINDING_NOTE,  /* nothing wrong */
    FINDING_LEAK,  /* space that nothing refers to */
    FINDING_ERROR, /* a guest may read something wrong, or the next write may do harm */
};

struct image_report {
    uint64_t errors, leaks, errors_fixed, leaks_fixed;
    uint64_t clusters, allocated, packed; /* of the disk */
    uint64_t image_end;                   /* bytes of the file in use */
    unsigned shown;                       /* findings told so far; only the first ones are */
    void (*tell)(void *arg, enum finding kind, bool fixed, const char *text); /* may be NULL */
    void *arg;
};
void report(struct image_report *rep, enum finding kind, bool fixed, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* --- describing: keys with a text or a number, in order --- */

struct fact {
    char *key, *text; /* text NULL: a number */
    uint64_t number;
};
struct facts {
    struct fact *v;
    size_t n, room;
};
void facts_text(struct facts *f, const char *key, const char *fmt, ...) PRINTF_LIKE(3, 4);
void facts_number(struct facts *f, const char *key, uint64_t v);
void facts_free(struct facts *f);

/* --- chains --- */

/* Opens the parent that an image at c->path names. Without c->allow_outside only a plain relative
 * name that stays inside the image's own directory will do. format may be NULL. Parents are opened
 * read-only. Gives NULL and 0 with c->no_chain. */
MUST int chain_open(const struct disk_cfg *c, const char *name, const char *format, struct loop *l,
                    struct disk **out, struct err *e);
/* The same for a file that is part of the image, an extent for instance, as a host file. */
MUST int chain_file(const struct disk_cfg *c, const char *name, bool readonly, struct loop *l,
                    struct disk **out, struct err *e);

#endif
