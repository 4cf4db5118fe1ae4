/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.h - what a guest's disk controller, an image format and a filter all speak.
 *
 * A format opens a parent disk and is itself a disk; the lowest parent is a host file. A filter
 * (overlay, error, delay, log, rate) is a disk over a disk likewise, so fault injection stacks on
 * any format.
 *
 * Threads: a disk belongs to one loop. disk_submit() and the completion run on that loop's thread.
 * disk_try() may be called from any thread and never blocks. disk_now() may be called from any
 * thread and blocks; tools and servers use nothing else and need no loop (it may be NULL then).
 */
#ifndef HOSPES_STORAGE_DISK_H
#define HOSPES_STORAGE_DISK_H

#include "core/core.h"
#include "core/loop.h"

enum disk_op { DISK_READ, DISK_WRITE, DISK_FLUSH, DISK_ZERO, DISK_TRIM };

enum {
    DISK_SECTOR = 512,
    DISK_IOV_MAX = 1024,
    DISK_STACK = 4 << 20, /* bytes: what disk_now() may need for the longest chain of parents */
};

/* The caller owns the request and iov until done(). One request may not be submitted twice at
 * once. Offsets and lengths are bytes and need no alignment below the disk's logical block. */
struct disk_req {
    enum disk_op op;
    bool fua;   /* write or zero: durable before done() */
    bool unmap; /* zero: may deallocate */
    uint64_t off, len;
    struct iovec *iov; /* read and write; their lengths add up to len */
    unsigned iovcnt;
    /* 0 or -errno. Called exactly once, on the loop, never from inside disk_submit(). */
    void (*done)(struct disk_req *r, int res);
    void *owner;
    struct disk_req *next; /* the disk's own, while it holds the request, as is all that follows */
    struct disk *disk;
    int res;
};

/* Constant while the disk is open, but for the bytes of one that grows: see disk_bytes(). */
struct disk_shape {
    uint64_t bytes;
    uint32_t logical, physical; /* block sizes */
    bool readonly;
    bool trims; /* DISK_TRIM and unmapping DISK_ZERO give space back */
    bool rotates;
    bool grows; /* a host file below a format: writes past bytes make it longer, reads get zeroes */
};

enum extent_kind {
    EXTENT_DATA, /* stored here or in a parent image */
    EXTENT_ZERO, /* reads as zeroes, and that is known without reading */
    EXTENT_HOLE, /* never written: zeroes, nothing stored */
};

/* One run of [off, off+len); file_off is where it lies in the host file `file`, UINT64_MAX when
 * nowhere or not contiguous; depth 0 is the top image of a chain. Nonzero stops the walk. */
struct extent {
    uint64_t off, len, file_off;
    struct disk *file; /* NULL: none, or not known */
    enum extent_kind kind;
    unsigned depth;
    bool compressed;
};
typedef int extent_fn(void *arg, const struct extent *x);

/* Every member gets requests that have passed disk_submit()'s checks. */
struct disk_ops {
    const char *name;
    /* Closes the parent too and frees d. All requests have completed. */
    void (*close)(struct disk *d);
    /* Does r on the calling thread, which may be any, and blocks. 0 or -errno; done() is not
     * called. Requests on several threads at once are normal. */
    MUST int (*now)(struct disk *d, struct disk_req *r);
    /* Starts r; on the loop. May be NULL: a worker thread calls now(). */
    void (*submit)(struct disk *d, struct disk_req *r);
    /* May be NULL. Does r at once if that needs no waiting: 0 or -errno as done() would get it;
     * -EAGAIN: not possible now, submit it. done() is not called. Any thread. */
    int (*try)(struct disk *d, struct disk_req *r);
    /* Runs fn over [off, off+len) in order, without holes between. May be NULL: all data. Any
     * thread; fn may read and write the disk. */
    MUST int (*extents)(struct disk *d, uint64_t off, uint64_t len, extent_fn *fn, void *arg);
};

struct disk_async;

/* First member of every disk, filled by disk_init(). */
struct disk {
    const struct disk_ops *ops;
    const struct format_ops *format; /* set by disk_open(); NULL for filters and host files */
    char *path;                      /* likewise: where the image was opened */
    const char *kind; /* set by disk_open(): the name of the format, also through an overlay */
    struct loop *loop;
    struct disk_shape shape;
    uint32_t pack; /* bytes of a cluster for format_ops.pack; 0: does not compress */
    unsigned pack_levels, pack_level; /* the highest level; the one to use, 0: the usual one */
    bool pack_only;                   /* written once, by put() in order, and by nothing else */
    uint64_t inflight;                /* submitted and not yet done; the loop's */
    struct {
        uint64_t ops[5], bytes[5], errors; /* by enum disk_op */
    } stats;
    struct {
        bool locked; /* the guest wants the disc to stay: the drive sets it */
        bool asked;  /* somebody wants the disc: the drive tells the guest, and clears it */
    } door;          /* of a CD-ROM drive's disc; the loop's */
    uint64_t synced; /* changes that the last sync covered; the owner's of a file in several */

    struct alarm late; /* runs completions of disk_finish_later() */
    struct disk_req *late_head, **late_tail;
    struct disk_async *async; /* completions from worker threads; made when first needed */
};

/* Its size. A host file below a format grows while others write to it: whoever asks from a thread
 * that does not keep them out gets a size that it had. Any thread. */
static inline uint64_t disk_bytes(const struct disk *d)
{
    return READ_ONCE(d->shape.bytes);
}

/* Checks range, alignment to the logical block and readonly (-EINVAL, -EROFS) and hands r on. The
 * error also comes by done(), from the loop. */
void disk_submit(struct disk *d, struct disk_req *r);
int disk_try(struct disk *d, struct disk_req *r);
MUST int disk_now(struct disk *d, struct disk_req *r);
/* The part [at, at+n) of r, which covers it, as a request of its own; iov has DISK_IOV_MAX. */
struct disk_req disk_part(const struct disk_req *r, uint64_t at, uint64_t n, struct iovec *iov);
/* Runs fn(arg) on a detached thread that has the stack for disk_now(). 0 or -errno. Any thread. */
MUST int disk_thread(void *(*fn)(void *), void *arg);
void disk_close(struct disk *d); /* NULL is fine; waits for requests in flight, does not flush */
void disk_shape(const struct disk *d, struct disk_shape *s);
MUST int disk_extents(struct disk *d, uint64_t off, uint64_t len, extent_fn *fn, void *arg);
/* Is [off, off+len) zero, as far as tables tell? What lies past the end is. */
bool disk_known_zero(struct disk *d, uint64_t off, uint64_t len);

/* Blocking helpers over disk_now(). 0 or -errno. */
MUST int disk_read(struct disk *d, uint64_t off, void *buf, size_t len);
MUST int disk_write(struct disk *d, uint64_t off, const void *buf, size_t len);
MUST int disk_flush(struct disk *d);
MUST int disk_zero(struct disk *d, uint64_t off, uint64_t len, bool unmap);

/* --- for implementations --- */

/* d is zeroed memory; shape is filled by the caller before or after. */
void disk_init(struct disk *d, const struct disk_ops *ops, struct loop *l);
/* Frees what disk_init() and completions took; not d. */
void disk_fini(struct disk *d);
/* Completes r from inside submit: through the loop, so done() is late. Loop's thread. */
void disk_finish_later(struct disk *d, struct disk_req *r, int res);
/* Completes r now; not from inside submit. Loop's thread. */
void disk_finish(struct disk_req *r, int res);
/* Completes r from any other thread, through the loop. */
void disk_finish_far(struct disk_req *r, int res);
/* Hands r to a worker thread, which calls now() and completes it. */
void disk_work(struct disk *d, struct disk_req *r);

/* A child request on its way to the disk below, from a free list: no allocation once warm. Loop's
 * thread only. */
struct disk_fwd {
    struct disk_req r;
    struct disk_req *up;
    struct disk_fwds *home;
    void *arg;
    uint64_t a, b; /* the forwarder's own */
};
struct disk_fwds {
    struct disk_fwd *spare;
};
/* NULL: no memory. The child is a copy of up, with done left to the caller. */
struct disk_fwd *disk_fwd_get(struct disk_fwds *f, struct disk_req *up);
void disk_fwd_put(struct disk_fwd *w);
void disk_fwds_fini(struct disk_fwds *f);

/* --- opening --- */

/* How to open an image file. */
struct disk_cfg {
    const char *path;
    const char *format; /* NULL: probe. Never probed again once known */
    bool readonly;
    bool snapshot;      /* writes go to a scratch overlay that is thrown away */
    bool no_lock;       /* inspection of a file in use */
    bool allow_outside; /* follow references outside the image's own directory */
    const char
        *within;    /* below this one, an absolute name, they are followed anyway; may be NULL */
    bool no_chain;  /* do not open parents: info and probing */
    unsigned depth; /* 0 for the image itself, 1 for its parent, ... */
    bool threads;   /* worker threads instead of io_uring */
    bool no_sync;   /* see file.h */
    bool filling;   /* see file.h */
    const char *member; /* of the archive at path: opened as an image in its place; see member.h */
    const char *internal;    /* name or id of an internal snapshot, read-only; NULL: the disk now */
    const char *scratch_dir; /* for the overlay; NULL: the image's file system is not touched, it
                              * lies in $TMPDIR or /var/tmp */
};

/* Opens path, probing its format when c->format is NULL, with its chain of parents. */
MUST int disk_open(const struct disk_cfg *c, struct loop *l, struct disk **out, struct err *e);

/* The first step of that alone: the host file at c->path, locked, or in an archive the member that
 * c->path or c->member names, which can only be read. *inner is c with what is then known; its path
 * and member are in `names`, to be freed by the caller in any case. */
struct disk_names {
    char *file, *member; /* member NULL: the whole file */
    char *shown;         /* "x.ova:disk.vmdk" */
};
MUST int disk_open_host(const struct disk_cfg *c, struct loop *l, struct disk **out,
                        struct disk_cfg *inner, struct disk_names *names, struct err *e);
void disk_names_free(struct disk_names *names);

/* The same for a host file that is open already; takes it over in any case. */
MUST int disk_open_file(struct disk *file, const struct disk_cfg *c, struct loop *l,
                        struct disk **out, struct err *e);

/* true when hospes created the image at path: such a disk is written through by default, every
 * other one is opened as a snapshot. The mark is the extended attribute user.hospes.made, which a
 * copy by other tools loses: the question then errs on the safe side. */
bool disk_made_by_hospes(const char *path);
/* Marks a new image. Quietly does nothing where the file system has no such attributes. */
void disk_mark_made(const char *path);

/* --- formats: one struct of functions each, listed in table.c --- */

struct facts;
struct image_make;
struct image_report;

struct format_option {
    const char *name, *about;
};

/* A compressed cluster. */
struct packed {
    uint64_t off; /* guest bytes */
    const uint8_t *data;
    size_t len;           /* of data; 0: it does not compress */
    const uint8_t *plain; /* the cluster as it is */
};

struct format_ops {
    const char *name;     /* "vhdx": as in --disk FILE,format=vhdx */
    const char *suffixes; /* ".vhdx .avhdx" */
    const char *about;    /* one line for help */
    /* 0 (no) to 100 (sure) from the first n and last tn bytes of a file of `size` bytes. */
    int (*probe)(const uint8_t *head, size_t n, const uint8_t *tail, size_t tn, uint64_t size);
    /* Takes the host file over on success only. c->path is where references are relative to;
     * nothing is written to the file when it is read-only. */
    MUST int (*open)(struct disk *file, const struct disk_cfg *c, struct loop *l, struct disk **out,
                     struct err *e);

    /* All that follow may be NULL: the format cannot do it. See image.h for the arguments. */
    const struct format_option *options; /* what create knows, a NULL name at the end */
    /* Writes a new image into an empty host file. */
    MUST int (*create)(struct disk *file, const struct image_make *k, struct err *e);
    /* Looks at every table; repair: mends what it can, losing nothing that was readable. Works on
     * images that open() refuses. -errno only when looking itself failed. */
    MUST int (*check)(struct disk *file, const struct disk_cfg *c, bool repair,
                      struct image_report *rep, struct err *e);
    /* Changes the size of an open disk on which nothing else is under way. */
    MUST int (*resize)(struct disk *d, uint64_t bytes, struct err *e);
    /* After a resize, once what is new has been cleared and is durable: takes back what the image
     * said of itself meanwhile. */
    MUST int (*settle)(struct disk *d, struct err *e);
    /* Says what the image says of itself. */
    void (*facts)(struct disk *d, struct facts *f);
    /* Compressed writing. pack: compresses one cluster (d->pack bytes) into out; the length, or 0
     * when that does not fit into `room`; any thread. put: stores n results, in order of offsets;
     * one thread. What lies one after the other in memory may be written at once. */
    size_t (*pack)(struct disk *d, const uint8_t *in, uint8_t *out, size_t room);
    MUST int (*put)(struct disk *d, const struct packed *v, size_t n);
};
extern const struct format_ops *const formats[];           /* storage/table.c, NULL at the end */
const struct format_ops *format_by_name(const char *name); /* NULL: none */

/* Cylinders of 16 heads and 63 sectors that a disk of so many sectors says to have, `max` at most:
 * at least two, for even the first sector of a disk is read by its cylinder. */
static inline uint64_t disk_cylinders(uint64_t sectors, uint64_t max)
{
    return min_u64(max_u64(sectors / (16 * 63), 2), max);
}

#endif
