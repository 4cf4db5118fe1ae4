/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import.h - foreign descriptions of virtual machines become plans, and nothing is lost silently.
 *
 * An importer reads one kind of file into a plan and tells of every key what became of it. Nothing
 * is executed, nothing outside the description's own folder is referred to, and no disk is opened.
 *
 * Threads: none; an import belongs to its caller.
 */
#ifndef HOSPES_IMPORT_IMPORT_H
#define HOSPES_IMPORT_IMPORT_H

#include "core/core.h"

struct plan;

enum import_fate {
    IMPORT_KEPT,    /* means the same here */
    IMPORT_CHANGED, /* `to` is what it became, `why` says why */
    IMPORT_DROPPED, /* `why` says what that means for the guest */
};

struct import_line {
    enum import_fate fate;
    unsigned line;                /* in the file, 0: none */
    char *key, *value, *to, *why; /* owned; to and why may be NULL */
};

struct import_report {
    const char *format; /* "vmx" */
    struct import_line *lines;
    size_t count, room;
};

/* Copies the strings. -ENOMEM with e. */
MUST int import_tell(struct import_report *r, enum import_fate fate, unsigned line, const char *key,
                     const char *value, const char *to, const char *why, struct err *e);
void import_report_free(struct import_report *r);
const char *import_fate_name(enum import_fate fate);

/* A description in memory; text ends with a NUL that `size` does not count. */
struct import_file {
    const char *path;
    char *dir; /* of path; where disks are looked for */
    char *text;
    size_t size;
};

struct importer_ops {
    const char *name; /* "vmx" */
    const char *about;
    const char *suffixes; /* ".vmx .vmtx" */
    size_t max_size;      /* bytes; a larger file is refused before it is read */
    /* 0 (no) to 100 (sure) from the first n bytes. */
    int (*probe)(const char *head, size_t n);
    /* Fills p, which is initialised. Messages name line and key. */
    MUST int (*read)(const struct import_file *f, struct plan *p, struct import_report *r,
                     struct err *e);
};
extern const struct importer_ops *const importers[]; /* table.c, NULL at the end */

/* Reads path by the importer that knows it. The plan is initialised by the caller, and freed by it
 * in any case, like the report. -EINVAL, EX_BAD_INPUT: nobody knows it. */
MUST int import_read(const char *path, struct plan *p, struct import_report *r, struct err *e);

/* The file that a description means by `name`, inside the description's own folder: a relative name
 * without "..", or else only its last part. *moved: the name was cut. malloc()ed. */
MUST int import_reference(const struct import_file *f, const char *name, char **out, bool *moved,
                          struct err *e);

/* 16 bytes from hexadecimal digits with any of " -" between. */
MUST bool import_uuid(const char *text, uint8_t out[16]);
MUST bool import_mac(const char *text, uint8_t out[6]);

#endif
