/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map.h - the engine below every image format that stores a disk as clusters found through tables.
 *
 * A format says where a guest range lies (find), gives space to a new cluster (reserve), points
 * its tables to it (assign) and takes clusters back (clear). The engine does everything else:
 * requests, copy-on-write, the parent, the order of writes, flushes and the reuse of space. The
 * crash-safety argument is in docs/decisions/0010-image-crash-safety.md; in short:
 *
 *  - Table changes live in memory until a flush. A flush copies the changed sectors under the lock,
 *    then: writes of phase 0, sync (data and phase 0 are durable), phase 1, sync, phase 2, sync;
 *    phases without writes cost no sync. Phase 0 holds what nothing durable points to yet, phase 1
 *    the pointers to it, phase 2 pointers to phase 1.
 *  - Space that a table no longer points to is used again only after the flush that made this
 *    durable, and after every request that was under way then.
 *  - A failed table write or sync ends all writing to the image: flushes fail for ever.
 *
 * Threads: m->lock guards tables and allocator; it is never held over guest data I/O, but may be
 * while a table is read. The loop only ever tries it.
 */
#ifndef HOSPES_STORAGE_MAP_H
#define HOSPES_STORAGE_MAP_H

#include <pthread.h>

#include "storage/disk.h"
#include "storage/ranges.h"

struct map;
struct meta;

enum piece_kind {
    PIECE_PARENT, /* the parent's content there, zeroes without a parent */
    PIECE_ZERO,
    PIECE_DATA,
    PIECE_PACKED, /* compressed: one whole cluster */
};

/* A guest range and where it lies. */
struct piece {
    uint64_t off, len; /* guest bytes */
    enum piece_kind kind;
    struct disk *file; /* DATA, PACKED: the host file it is in */
    uint64_t at;       /* DATA, PACKED: offset there */
    uint32_t packed;   /* PACKED: bytes stored, at most */
    bool fresh;        /* from reserve: the space reads as zeroes */
    bool old;      /* from map_place: it had space before, which now holds what the guest sees */
    bool unmarked; /* DATA that may be read, but must be reserved and assigned to be written */
};

/* All with m->lock held, except unpack and close. Offsets and lengths lie inside the disk, rounded
 * up to a whole grain (reserve) or cluster (clear) at its end. */
struct map_ops {
    const char *name;
    /* Fills x->kind, len, file and at for a run that starts at `off`, at most len long. The longer
     * the better. -EAGAIN: a table must be read and wait is false. */
    MUST int (*find)(struct map *m, uint64_t off, uint64_t len, bool wait, struct piece *x);
    /* Takes space for a run from `off` (a multiple of the grain), at most len long, none of which
     * is DATA. Fills x like find, and fresh. Guest-visible state does not change. NULL: the format
     * is never written. */
    MUST int (*reserve)(struct map *m, uint64_t off, uint64_t len, struct piece *x);
    /* What reserve gave is written: point to it. Frees what was there before. After -errno the
     * engine stops all writing. */
    MUST int (*assign)(struct map *m, const struct piece *x);
    /* Gives back what reserve took. */
    void (*cancel)(struct map *m, const struct piece *x);
    /* Whole clusters become zeroes; unmap: their space goes to map_free(). *done: how much of len
     * that was, from the start, at least a cluster. -ENOTSUP: cannot be said in this format, write
     * zeroes. May be NULL, which is the same. */
    MUST int (*clear)(struct map *m, uint64_t off, uint64_t len, bool unmap, uint64_t *done);
    /* Before the first change after opening: says in the file that its content changes. Durable
     * when it returns. May be NULL. */
    MUST int (*touch)(struct map *m);
    /* A flush begins: stage what is not in meta pages. May be NULL. */
    MUST int (*stage)(struct map *m);
    /* With a journal, before the pages of phase 1 are written in place: writes them (whole ones,
     * from m->staged) elsewhere. The engine syncs afterwards, then writes them in place with no
     * sync of their own: the next flush's first sync covers them. Without the lock. May be NULL. */
    MUST int (*journal)(struct map *m);
    /* Freed space that may be used again. May be NULL: the engine's own pool takes it. */
    void (*released)(struct map *m, uint64_t at, uint64_t len);
    /* May the cluster at `at`, about to be released, be punched? NULL: yes. */
    bool (*punchable)(struct map *m, uint64_t at);
    /* Gives the host file's space back, without the lock. May be NULL: the engine trims m->file. A
     * format with several files says by `at` which one it means. */
    MUST int (*punch)(struct map *m, uint64_t at, uint64_t len);
    /* Decompresses a PACKED piece's cluster into buf. Any thread, no lock. */
    MUST int (*unpack)(struct map *m, const struct piece *x, uint8_t *buf);
    /* Just before the file is closed, after the last flush (whose result is given). */
    void (*close)(struct map *m, bool clean);
};

/* One write of a flush: bytes that were copied when it began. */
struct stage_write {
    struct stage_write *next;
    struct disk *file;
    uint64_t off;
    size_t len;
    unsigned phase;
    bool page; /* a table page, so subject to journal */
    uint8_t data[];
};

struct map_run {
    uint64_t at, len;
};
struct map_runs {
    struct map_run *v;
    size_t n, room;
};

/* First member of a format's disk. The format fills the first group before map_init(). */
struct map {
    struct disk d;
    const struct map_ops *ops;
    struct disk *file;   /* owned */
    struct disk *parent; /* owned; NULL: none */
    uint64_t cluster;    /* bytes given at once */
    uint64_t grain;      /* bytes: the smallest part of a cluster with a state of its own */
    uint64_t end;        /* the engine's pool appends here */
    uint64_t virgin;     /* from here on, file space has never been written */

    pthread_mutex_t lock;
    struct meta *meta;
    struct ranges busy; /* clusters that are being allocated or cleared */
    struct disk_fwds fwds;
    int failed;   /* -errno that ended writing; atomic */
    bool touched; /* ops->touch has been called; atomic */

    struct map_runs pool;          /* free space */
    struct map_runs freed;         /* free once a flush has made it so */
    struct map_runs flushed;       /* that is durable; requests may still use them */
    struct map_runs draining_runs; /* free once the requests of the other parity are gone */
    bool draining;
    unsigned parity;    /* atomic */
    uint64_t active[2]; /* requests under way by parity; atomic */

    pthread_mutex_t flushing;
    uint64_t asked, covered; /* flush tickets; guarded by lock */
    struct stage_write *staged, **staged_tail;
    struct disk **files; /* further host files to sync; the format's array */
    size_t file_count;
    bool wrote; /* data since the last sync; atomic */

    pthread_mutex_t unpacked_lock;
    uint8_t *unpacked; /* the last decompressed cluster, and where it was */
    uint64_t unpacked_at;
    struct disk *unpacked_file;
};

/* m is zeroed but for the first group and d.shape. */
MUST int map_init(struct map *m, const struct map_ops *ops, struct loop *l, struct err *e);
/* Undoes map_init() when opening fails later. Closes neither file nor parent. */
void map_fini(struct map *m);
MUST int map_flush(struct map *m);
/* The file says no longer that its content changes: touch() comes before the next change again.
 * Nothing is under way on the disk. */
void map_untouch(struct map *m);
struct map *map_of(struct disk *d); /* NULL when d is no map */

/* --- for formats, with m->lock held --- */

/* len bytes of file space from the pool, or at the end. -ENOSPC. */
MUST int map_alloc(struct map *m, uint64_t len, uint64_t align, struct piece *x);
/* Space that nothing in memory points to any more, but the file may. */
void map_free(struct map *m, uint64_t at, uint64_t len);
/* Space that was never pointed to. */
void map_unalloc(struct map *m, uint64_t at, uint64_t len);
/* One more run at the end of v, joined with the last where they touch. Without memory it is
 * forgotten: lost space, never lost data. */
void map_runs_add(struct map_runs *v, uint64_t at, uint64_t len);
/* Copies a write for the flush that has begun. */
MUST int map_stage(struct map *m, unsigned phase, struct disk *file, uint64_t off, const void *data,
                   size_t len);

enum { META_PAGE = 4096 };
/* Tables are seen through pages of the file. The pointer holds until the lock is dropped
 * or the next meta_ call. Bytes past the end of the file are zero. */
MUST int meta_get(struct map *m, struct disk *file, uint64_t off, bool wait, uint8_t **out);
/* For changing `len` bytes at off, which lie in one page: they go out with the next flush. */
MUST int meta_change(struct map *m, struct disk *file, uint64_t off, size_t len, unsigned phase,
                     uint8_t **out);
/* A range that is a table from now on: zeroes, without reading, in phase 0. Multiples of 512. */
MUST int meta_new(struct map *m, struct disk *file, uint64_t off, uint64_t len);
/* A range that is a table no longer. */
void meta_forget(struct map *m, struct disk *file, uint64_t off, uint64_t len);

/* --- the page cache itself, for map.c --- */
MUST int meta_create(struct meta **out);
void meta_destroy(struct meta *c);
bool meta_full(const struct meta *c); /* so many changes that a flush is due; any thread */
bool meta_clean(const struct meta *c);
/* Changed pages that make meta_full(), if fewer than the usual number. */
void meta_limit(struct meta *c, size_t pages);
MUST int meta_stage(struct map *m);

/* For converting without copying: like writing [off, off+len) of whole clusters, but the caller
 * fills the space. place: x says where; placed: it is filled, or not (ok false). */
MUST int map_place(struct map *m, uint64_t off, uint64_t len, struct piece *x);
MUST int map_placed(struct map *m, const struct piece *x, bool ok);

#endif
