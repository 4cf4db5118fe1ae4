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
    const char *file;           /* where it is made and filled first; NULL: at path */
    uint64_t bytes;             /* 0 with a parent: the parent's size */
    struct cfg *opts;           /* K=V; never NULL; what nobody reads is an error */
    const char *backing;        /* the parent as it is written into the image; NULL: none */
    const char *backing_format; /* NULL: not said */
    struct disk *parent;        /* the parent, open; NULL: none */
    bool filled;                /* all of it is written next: a raw block device is not cleared */
    /* Told of each file beside `path` that was made and is part of the image; NULL: nobody asks. */
    MUST int (*made)(void *arg, const char *path, struct err *e);
    void *arg;
};

/* Makes the file and writes a new image of format f into it; on failure the file is gone again.
 * k->path is where; overwrite: it may exist, as something that nobody uses. A block device is
 * cleared first, and stays. The disk has at least a sector, and whole ones, in every format. */
MUST int image_create(const struct format_ops *f, const struct image_make *k, bool overwrite,
                      struct err *e);
/* Changes the size and makes what is new read as zeroes, whatever a parent holds there. Nothing
 * else may be under way on the disk. On failure it has its old size, as far as its format can go
 * back. */
MUST int image_resize(struct disk *d, uint64_t bytes, struct err *e);
/* Opens the file and has its format's check look at it, or mend it. -ENOTSUP: that format has
 * nothing to check. */
MUST int image_check(const struct disk_cfg *c, bool repair, struct image_report *rep,
                     const struct format_ops **f, struct err *e);

/* --- copying and comparing --- */

struct progress {
    void (*step)(void *arg, uint64_t done, uint64_t total); /* NULL: none; any thread, in order */
    void *arg;
};

struct copy_cfg {
    bool compress;    /* dst packs its clusters */
    unsigned level;   /* of compression; 0: the usual one */
    bool blank;       /* dst is new and reads as zeroes, so none are written */
    unsigned threads; /* 0: as many as there are processors, 8 at most */
    struct progress progress;
};
/* Copies all of src into dst, which is at least as long; dst keeps what it has past that. Does not
 * flush. */
MUST int image_copy(struct disk *src, struct disk *dst, const struct copy_cfg *c, struct err *e);

/* Writes all of src, zeroes too, in order to a descriptor that may be a pipe. */
MUST int image_pour(struct disk *src, int fd, const struct progress *p, struct err *e);

/* *differs: the first byte that is not alike, UINT64_MAX if none. What one disk has beyond the
 * other's end counts as alike when it is zero. */
MUST int image_compare(struct disk *a, struct disk *b, const struct progress *p, uint64_t *differs,
                       struct err *e);

/* true when all n bytes are zero. */
bool all_zero(const void *p, size_t n);

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

/* Opens the parent that an image at c->path names. Without c->allow_outside only a name will do
 * that stays inside the image's own directory, or c->within. format may be NULL. Parents are opened
 * read-only. Gives NULL and 0 with c->no_chain. */
MUST int chain_open(const struct disk_cfg *c, const char *name, const char *format, struct loop *l,
                    struct disk **out, struct err *e);
/* The same for a file that is part of the image, an extent for instance, as a host file. */
MUST int chain_file(const struct disk_cfg *c, const char *name, bool readonly, struct loop *l,
                    struct disk **out, struct err *e);

/* May references lead into the directory above the image's? By c->within perhaps not that far. */
static inline bool chain_above(const struct disk_cfg *c)
{
    return c->allow_outside || c->within;
}

/* Looks for the file that is(), among those beside the image, and with chain_above() in the
 * directory above, whose name has one of these suffixes (".vhd .avhd").
 * Its name, for chain_open(), or -ENOENT. */
enum { CHAIN_NAME = 264 };
typedef bool chain_is_fn(struct disk *file, const void *arg);
MUST int chain_beside(const struct disk_cfg *c, const char *suffixes, chain_is_fn *is,
                      const void *arg, char name[CHAIN_NAME]);

#endif
