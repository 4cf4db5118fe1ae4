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

/* What the user said about an import. */
struct import_wish {
    const char *format; /* an importer's name; NULL: found out */
    const char
        *choice;    /* OVF: the configuration or the virtual system; NULL: the default, the only */
    bool trust;     /* absolute names, names with ".." and symbolic links mean what they say */
    bool quick;     /* of a manifest, only the description's own digest is checked */
    bool unchecked; /* digests and checksums are not checked at all */
};

struct members;

/* A description in memory; text ends with a NUL that `size` does not count. */
struct import_file {
    const char *path;
    char *dir;    /* of path; where disks are looked for */
    char *folder; /* beside dir, where they are looked for first; NULL: nowhere else */
    char *text;
    size_t size;
    int fd;                        /* the open file, or -1 */
    const char *archive;           /* disks are members of this archive; NULL: files of their own */
    const struct members *members; /* of it */
    struct import_wish wish;
};

struct importer_ops {
    const char *name; /* "vmx" */
    const char *about;
    const char *suffixes; /* ".vmx .vmtx" */
    size_t max_size;      /* bytes; a larger file is refused before it is read. 0: only its first
                           * bytes are read into text, and read() uses fd */
    /* 0 (no) to 100 (sure) from the first n bytes. */
    int (*probe)(const char *head, size_t n);
    /* Fills p, which is initialised. Messages name line and key. */
    MUST int (*read)(const struct import_file *f, struct plan *p, struct import_report *r,
                     struct err *e);
};
extern const struct importer_ops *const importers[]; /* table.c, NULL at the end */

/* Reads path, a description or a folder that holds one, by the importer that knows it. wish may be
 * NULL. The plan is initialised by the caller, and freed by it in any case, like the report.
 * -EINVAL, EX_BAD_INPUT: nobody knows it. */
MUST int import_read(const char *path, const struct import_wish *wish, struct plan *p,
                     struct import_report *r, struct err *e);

/* Does the name end like a description's? */
bool import_named(const char *name);
/* Is that file (or folder) a description, judged by its first bytes? */
bool import_knows(const char *path);

/* The file that a description means by `name`, inside the description's own folder: a name that
 * does not lead out of it, or else only its last part. Backslashes part names, too, and
 * "[datastore] " goes. *moved: the name was cut. malloc()ed. -EINVAL: no usable name, or a symbolic
 * link on the way. */
MUST int import_reference(const struct import_file *f, const char *name, char **out, bool *moved,
                          struct err *e);

/* A regular file's text with a closing NUL, malloc()ed; links are not followed. -ENOENT with e:
 * none there, -EFBIG: more than `most` bytes. */
MUST int import_slurp(const char *path, size_t most, char **text, struct err *e);

/* In place: `mark` and two hexadecimal digits become the byte that they say. A zero, and what else
 * follows a mark, stays as it is written. */
void import_unescape(char *text, char mark);

/* 16 bytes from hexadecimal digits with any of " -{}" between. */
MUST bool import_uuid(const char *text, uint8_t out[16]);
MUST bool import_mac(const char *text, uint8_t out[6]);

#endif
