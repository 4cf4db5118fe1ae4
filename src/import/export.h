/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export.h - a plan as the description that another product reads, so that a machine can go home.
 *
 * An exporter makes texts; who calls it writes them. What the product cannot be told is reported
 * like the keys of an import. Nothing is done to disks: the report says what has to be.
 *
 * Threads: none; an export belongs to its caller.
 */
#ifndef HOSPES_IMPORT_EXPORT_H
#define HOSPES_IMPORT_EXPORT_H

#include "import/buf.h"
#include "import/import.h"

struct plan_disk;

enum { EXPORT_FILES = 4 };

struct export_file {
    char *name; /* relative to the folder; may have a folder of its own */
    struct buf text;
};

struct export
{
    const char *dir;   /* where the files will be, as it will be named to the product */
    const char *disks; /* the folder in it for disks, set by the exporter; NULL: itself */
    struct export_file file[EXPORT_FILES];
    size_t files;
    struct import_report report;
};

struct exporter_ops {
    const char *name; /* "vmx" */
    const char *about;
    /* p was checked by plan_complete(). Fills x, whose dir is set. */
    MUST int (*make)(const struct plan *p, struct export *x, struct err *e);
};
extern const struct exporter_ops *const exporters[]; /* export.c, NULL at the end */
const struct exporter_ops *exporter_find(const char *name);
void export_free(struct export *x);

/* --- helpers for exporters --- */

/* A new empty file of that name. NULL with e. */
MUST struct buf *export_file(struct export *x, struct err *e, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
/* "disk0" was to be said as value; to NULL: it cannot be. */
MUST int export_tell(struct export *x, const char *key, const char *value, const char *to,
                     const char *why, struct err *e);

/* The disk's file as the product will name it: below x->dir without it, else the whole path. The
 * product reads files that end in one of `suffixes` (".vmdk .iso"; NULL: any): when the disk is
 * another known kind of image the name gets the first of them, and the report says how to convert.
 * malloc()ed. */
MUST int export_disk(struct export *x, size_t i, const struct plan_disk *d, const char *suffixes,
                     char **out, struct err *e);

/* Disks and cards in the order in which firmware tries them; how many. */
enum { EXPORT_BOOT_MAX = 80 };
struct export_boot {
    bool card;
    size_t i;
};
size_t export_boot(const struct plan *p, struct export_boot out[EXPORT_BOOT_MAX]);

/* "01234567-89ab-cdef-0123-456789abcdef" */
void export_guid(const uint8_t b[16], char out[37]);
/* title, or else name */
const char *export_title(const struct plan *p);

#endif
