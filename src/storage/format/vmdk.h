/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmdk.h - what the parts of the VMDK formats have in common.
 *
 * A disk is a row of extents. Each lies in a file of its own, or in the same file as the descriptor
 * that lists them; a sparse one finds its grains through a directory of grain tables.
 */
#ifndef HOSPES_STORAGE_FORMAT_VMDK_H
#define HOSPES_STORAGE_FORMAT_VMDK_H

#include <stdio.h>

#include "abi/vmdk.h"
#include "storage/format/format.h"
#include "storage/map.h"

enum {
    VMDK_GT_ENTRIES = 512,   /* in new images */
    VMDK_GRAIN = 64 * 1024,  /* bytes, in new images */
    VMDK_TEXT_MAX = 2 << 20, /* bytes of a descriptor */
    VMDK_EXTENTS_MAX = 8192,
    VMDK_TABLES_MAX = 16 << 20, /* bytes of all directories of an image */
    VMDK_LINKS = 1              /* phase of entries that point to grains and tables */
};

enum vmdk_access { VMDK_RW, VMDK_RDONLY, VMDK_NOACCESS };
enum vmdk_type {
    VMDK_FLAT,     /* also VMFS */
    VMDK_ZERO,     /* no file: zeroes */
    VMDK_SPARSE,   /* "KDMV" */
    VMDK_COWD,     /* VMFSSPARSE */
    VMDK_SESPARSE, /* SESPARSE */
    VMDK_RAW,      /* VMFSRDM, VMFSRAW: a device of another host */
};

/* --- descriptors --- */

/* "RW 2048 SPARSE "disk-s001.vmdk" 0" */
struct vmdk_line {
    enum vmdk_access access;
    enum vmdk_type type;
    uint64_t sectors, offset; /* offset in the file, sectors */
    size_t sectors_at;        /* of the number in the text */
    char *name;               /* as bytes of the descriptor; NULL: none */
    char kind[12];            /* as written: "VMFS" */
};

struct vmdk_desc {
    uint32_t cid, parent_cid; /* UINT32_MAX: none */
    size_t cid_at;            /* of the CID's digits in the text; 0: there is none */
    unsigned cid_digits;
    size_t long_at; /* of the last eight digits of ddb.longContentID; 0: none */
    char *hint;     /* parentFileNameHint; NULL: none */
    char type[32], encoding[32], adapter[32], hwversion[16], tools[16], uuid[64];
    bool thin;
    struct vmdk_line *lines;
    size_t n, room;
};

/* Parses n bytes of text, which holds no NUL but at its end. desc_free() in any case. */
MUST int vmdk_desc_parse(struct vmdk_desc *d, const char *text, size_t n, const char *path,
                         struct err *e);
void vmdk_desc_free(struct vmdk_desc *d);
/* Does a file that begins with these bytes hold a descriptor's text? */
bool vmdk_desc_probe(const uint8_t *head, size_t n);
/* A name in the descriptor as UTF-8 with slashes, malloc'd; NULL: no memory. */
char *vmdk_desc_name(const struct vmdk_desc *d, const char *name);
/* Reads a text into memory, with a closing NUL. */
MUST int vmdk_desc_read(struct disk *file, uint64_t at, uint64_t len, const char *path, char **text,
                        size_t *n, struct err *e);

/* What a new descriptor says. */
struct vmdk_text {
    const char *create_type, *adapter, *hwversion, *tools, *hint;
    uint64_t sectors;
    uint32_t cid, parent_cid;
    bool thin;
};
/* The text up to the list of extents, and what comes after it. */
void vmdk_text_head(FILE *f, const struct vmdk_text *t);
void vmdk_text_tail(FILE *f, const struct vmdk_text *t);
uint32_t vmdk_new_cid(void);

/* --- extents --- */

/* Grains of a stream that has no directory, in order of lba. */
struct vmdk_place {
    uint32_t grain, sector;
};

struct vmdk_extent {
    enum vmdk_type type;
    enum vmdk_access access;
    struct disk *file; /* NULL: none, or not opened as only the descriptor is wanted */
    bool shared;       /* file belongs to another extent, or is the image itself */
    unsigned number;
    uint64_t start, len; /* of the disk, bytes */
    uint64_t base;       /* FLAT: where it begins in file */

    /* SPARSE, COWD */
    struct sparse_extent_header h;
    uint64_t grain; /* bytes */
    uint32_t per_gt;
    uint32_t *gd; /* sectors of the grain tables, 0: none */
    uint32_t gd_count;
    uint64_t gd_at, rgd_at; /* bytes; rgd_at 0: none */
    bool zeroed, packed;
    bool odd; /* the redundant directory had to help, or a stream was cut off: repair comes first */
    struct vmdk_place *places; /* instead of gd */
    size_t place_count;

    /* SESPARSE */
    uint64_t *gd64;
    uint64_t gt_base, gt_bytes, grain_base;

    /* allocation: bytes of file */
    uint64_t end, virgin;
    struct map_runs pool;
    bool touched; /* uncleanShutdown is set, by us */
};

struct vmdk {
    struct map m;
    struct vmdk_desc desc;
    uint64_t text_at;  /* where the descriptor lies in m.file */
    uint64_t text_len; /* 0: there is none */
    struct vmdk_extent *extents;
    size_t extent_count;
    size_t tables; /* bytes of directories so far */
    bool lone;     /* an extent that was opened without its descriptor */
};

extern const struct map_ops vmdk_map_ops;
struct vmdk *vmdk_of(struct map *m);
/* The extent that holds `off`, which lies inside the disk. */
struct vmdk_extent *vmdk_extent_at(struct vmdk *v, uint64_t off);

/* "'x.vmdk' is a damaged VMDK image: ..." */
int vmdk_bad(const char *path, const char *what, struct err *e);

/* Loading, without the parent: descriptor and extents. forgiving: directories are taken as they
 * are, for check. vmdk_unload() in any case; neither closes v->m.file. */
MUST int vmdk_load(struct vmdk *v, const struct disk_cfg *c, struct loop *l, bool forgiving,
                   struct err *e);
void vmdk_unload(struct vmdk *v);

/* Of one extent whose file is open. */
MUST int vmdk_sparse_load(struct vmdk *v, struct vmdk_extent *x, const char *path, bool forgiving,
                          struct err *e);
MUST int vmdk_cowd_load(struct vmdk *v, struct vmdk_extent *x, const char *path, struct err *e);
MUST int vmdk_sesparse_load(struct vmdk *v, struct vmdk_extent *x, const char *path, struct err *e);
/* Memory for a directory, from the image's share. */
MUST int vmdk_take_tables(struct vmdk *v, size_t n, size_t size, void **out, const char *path,
                          struct err *e);
/* Where a stream's directory is, or an index of its grains. */
MUST int vmdk_stream_locate(struct vmdk_extent *x, const char *path, bool forgiving, struct err *e);

/* --- finding grains --- */

MUST int vmdk_sparse_find(struct vmdk *v, struct vmdk_extent *x, uint64_t in, uint64_t len,
                          bool wait, struct piece *p);
MUST int vmdk_sesparse_find(struct vmdk *v, struct vmdk_extent *x, uint64_t in, uint64_t len,
                            bool wait, struct piece *p);
MUST int vmdk_unpack(struct map *m, const struct piece *p, uint8_t *buf);

/* --- scanning: who uses which part of a sparse extent's file --- */

struct vmdk_scan;

/* A table entry. */
struct vmdk_entry {
    uint32_t gt, index; /* number of the table, and in it */
    uint32_t sector;
    uint64_t at; /* of the entry itself in the file */
};
enum vmdk_trouble { VMDK_PAST_END, VMDK_COLLIDES };

struct vmdk_scan {
    struct vmdk_extent *x;
    /* May be NULL. < 0 ends the scan. */
    int (*trouble)(struct vmdk_scan *s, const struct vmdk_entry *n, enum vmdk_trouble what);
    void *arg;
    uint64_t unit, residue; /* a cell's bytes, and where cells begin */
    uint64_t size; /* of the file when the scan began: repair may make it longer meanwhile */
    uint64_t cells;
    uint8_t *used; /* a bit for each cell */
    uint64_t top;  /* bytes: end of the last grain */
    uint64_t allocated, past_end, collisions;
    bool mixed;
};
/* Walks all entries. -errno. vmdk_scan_free() in any case. */
MUST int vmdk_scan(struct vmdk_scan *s);
void vmdk_scan_free(struct vmdk_scan *s);
bool vmdk_cell_used(const struct vmdk_scan *s, uint64_t cell);
/* What is no grain: header, descriptor, directories, tables; by place. */
enum vmdk_kind { VMDK_FIXED, VMDK_TABLE, VMDK_TWIN };
struct vmdk_range {
    uint64_t sector, sectors;
    uint32_t index; /* of a table */
    enum vmdk_kind kind;
};
/* All of them whose places lie in the file, malloc'd. A table that serves as its own twin is there
 * once. */
MUST int vmdk_ranges(struct vmdk_extent *x, struct vmdk_range **out, size_t *n);
/* Makes an extent ready for writing: drops entries past the end of the file, finds free space. */
MUST int vmdk_sparse_prepare(struct vmdk_extent *x, const char *path, struct err *e);
/* Makes the redundant tables as the others are; *differ: how many were not. */
MUST int vmdk_mirror(struct vmdk_extent *x, bool repair, uint64_t *differ);
/* Bytes of a grain table in the file. */
uint64_t vmdk_gt_bytes(const struct vmdk_extent *x);

/* --- streams --- */

/* The trailer of a stream without grains, whose header is h. */
MUST int vmdk_stream_empty(struct disk *file, const struct sparse_extent_header *h);
/* A stream without grains, to be filled by put(). Takes file over on success only. */
MUST int vmdk_stream_writer(struct disk *file, const struct vmdk_extent *x, const char *path,
                            struct loop *l, struct disk **out, struct err *e);
size_t vmdk_pack(struct disk *d, const uint8_t *in, uint8_t *out, size_t room);
MUST int vmdk_put(struct disk *d, const struct packed *v, size_t n);
/* Rebuilds directory and footer from the grains; for check. */
MUST int vmdk_stream_mend(struct vmdk_extent *x);

MUST int vmdk_create(struct disk *file, const struct image_make *k, struct err *e);
MUST int vmdk_resize(struct disk *d, uint64_t bytes, struct err *e);
MUST int vmdk_check(struct disk *file, const struct disk_cfg *c, bool repair,
                    struct image_report *rep, struct err *e);
extern const struct format_option vmdk_options[];

#endif
