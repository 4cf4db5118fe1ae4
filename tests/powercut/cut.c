/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cut.c - files as a power cut leaves them, and what becomes of the disk in them.
 *
 * A change is durable once a sync of its file that began after the change ended has itself ended
 * well. Of all other changes that began, any part may be there: none, all, all but one, only one,
 * some, or some torn at sectors. Each such state must read, check or be repaired, and go on.
 */
#define _GNU_SOURCE
#include "powercut.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"
#include "storage/image.h"

enum variant { CUT_NONE, CUT_ALL, CUT_DROP_ONE, CUT_ONLY_ONE, CUT_SOME, CUT_TORN, CUT_VARIANTS };
static const char *const variants[] = {"none", "all", "drop one", "only one", "some", "torn"};

enum { BLOCK = 2048, GRAIN = 128, LOOK = 64 * 1024, EVERY = 16, ALIKE = 256, PLACES = 64 };

struct cutter {
    const struct cut_cfg *c;
    struct model *m;
    unsigned *pending; /* events, in the order they began */
    size_t count;
    size_t *ended; /* by event: where its end is in the log, 0: not yet */
    uint64_t rnd;
    unsigned made;
    char image[320], why[320];
};

static uint64_t rnd(uint64_t *s, uint64_t below)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s % below;
}

/* --- files --- */

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    abort();
}

static int open_in(const char *dir, const char *sub, const char *name, int flags)
{
    char path[512];
    int fd;

    snprintf(path, sizeof(path), "%s/%s/%s", dir, sub, name);
    fd = open(path, flags | O_CLOEXEC, 0600);
    must(fd >= 0, path);
    return fd;
}

/* Holes stay holes. */
static void copy_data(int from, int to, off_t at, off_t stop)
{
    static uint8_t buf[PIECE];
    off_t end;

    while (at < stop && (at = lseek(from, at, SEEK_DATA)) >= 0 && at < stop) {
        end = lseek(from, at, SEEK_HOLE);
        end = end < stop ? end : stop;
        while (at < end) {
            size_t n = end - at < PIECE ? (size_t)(end - at) : PIECE;

            must(pread(from, buf, n, at) == (ssize_t)n && pwrite(to, buf, n, at) == (ssize_t)n,
                 "copy");
            at += (off_t)n;
        }
    }
}

static void copy_folder(const char *dir, const char *from, const char *to)
{
    char path[512];
    struct dirent *de;
    struct stat st;
    DIR *d;

    snprintf(path, sizeof(path), "%s/%s", dir, to);
    (void)mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/%s", dir, from);
    d = opendir(path);
    must(d, path);
    while ((de = readdir(d))) {
        int in, out;

        if (de->d_name[0] == '.')
            continue;
        in = open_in(dir, from, de->d_name, O_RDONLY);
        out = open_in(dir, to, de->d_name, O_RDWR | O_CREAT);
        must(fstat(in, &st) == 0 && ftruncate(out, st.st_size) == 0, "copy");
        copy_data(in, out, 0, st.st_size);
        close(in);
        close(out);
    }
    closedir(d);
}

/* Gives the pieces that have changed in either folder since the last cut their durable content. */
static void restore(const char *dir, unsigned file)
{
    int from = open_in(dir, "durable", the_log.names[file], O_RDONLY);
    int to = open_in(dir, "cut", the_log.names[file], O_RDWR);
    struct stat st;

    must(fstat(from, &st) == 0 && st.st_size <= (off_t)PIECE * PIECES, "size");
    must(ftruncate(to, st.st_size) == 0, "restore");
    for (uint64_t at = 0; changed_next(file, &at); at += PIECE) {
        if (at >= (uint64_t)st.st_size)
            continue;
        must(fallocate(to, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, PIECE) == 0,
             "punch");
        copy_data(from, to, (off_t)at, (off_t)at + PIECE);
    }
    close(from);
    close(to);
}

/* That no change escapes is looked at now and then. */
static void must_be_alike(const char *dir)
{
    char cmd[256];

    snprintf(cmd, sizeof(cmd), "diff -r %s/durable %s/cut >&2", dir, dir);
    must(system(cmd) == 0, "a change of a file was not seen");
}

/* --- the log on files --- */

static bool torn_away(struct cutter *k, unsigned way, uint64_t i, uint64_t at)
{
    if (way == 0)
        return i >= at;
    if (way == 1)
        return i < at;
    return rnd(&k->rnd, 2);
}

static void apply_write(struct cutter *k, const struct event *x, int fd, bool torn)
{
    uint64_t sectors = (x->off % SECTOR + x->len + SECTOR - 1) / SECTOR, p = 0;
    unsigned way = torn ? (unsigned)rnd(&k->rnd, 3) : 3;
    uint64_t at = torn ? rnd(&k->rnd, sectors + 1) : 0;

    for (uint64_t i = 0; p < x->len; i++) {
        uint64_t n = SECTOR - (x->off + p) % SECTOR;

        n = n < x->len - p ? n : x->len - p;
        if (!torn)
            n = x->len;
        if (!torn || !torn_away(k, way, i, at))
            must(pwrite(fd, x->data + p, n, (off_t)(x->off + p)) == (ssize_t)n, "apply");
        p += n;
    }
}

static void apply(struct cutter *k, unsigned at, const char *sub, bool torn)
{
    const struct event *x = &the_log.v[at];
    int fd = open_in(k->c->dir, sub, the_log.names[x->file], O_RDWR);

    changed(x->file, x->kind == EV_TRUNCATE ? x->len : x->off,
            x->kind == EV_TRUNCATE ? UINT64_MAX : x->len);
    if (x->kind == EV_WRITE)
        apply_write(k, x, fd, torn);
    else if (x->kind == EV_TRUNCATE)
        must(ftruncate(fd, (off_t)x->len) == 0, "truncate");
    else
        (void)!fallocate(fd,
                         x->mode & FALLOC_FL_ZERO_RANGE /* which tmpfs cannot do */
                             ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
                             : x->mode,
                         (off_t)x->off, (off_t)x->len);
    close(fd);
}

/* The sync that began at `began` covers what ended before. */
static void synced(struct cutter *k, unsigned began)
{
    size_t left = 0;

    for (size_t i = 0; i < k->count; i++) {
        unsigned at = k->pending[i];

        if (the_log.v[at].file == the_log.v[began].file && k->ended[at] && k->ended[at] < began)
            apply(k, at, "durable", false);
        else
            k->pending[left++] = at;
    }
    k->count = left;
}

static void forget(struct cutter *k, unsigned at)
{
    size_t left = 0;

    for (size_t i = 0; i < k->count; i++) {
        if (k->pending[i] != at)
            k->pending[left++] = k->pending[i];
    }
    k->count = left;
}

static void step(struct cutter *k, unsigned at)
{
    const struct event *x = &the_log.v[at];

    switch (x->kind) {
    case EV_WRITE:
    case EV_TRUNCATE:
    case EV_ALLOCATE:
        k->pending[k->count++] = at;
        break;
    case EV_END:
        k->ended[x->of] = at;
        if (x->res < 0)
            forget(k, x->of);
        else if (the_log.v[x->of].kind == EV_SYNC)
            synced(k, x->of);
        break;
    case EV_SYNC:
        break;
    default:
        model_event(k->m, x);
        break;
    }
}

/* Is a cut after this event another than one before it? Not if it leaves the same files and finds
 * the same promised: a write that has ended without a sync since, a request that was sent. */
static bool matters(const struct event *x)
{
    switch (x->kind) {
    case EV_WRITE:
    case EV_TRUNCATE:
    case EV_ALLOCATE:
    case EV_FLUSHED:
    case EV_FUA:
        return true;
    case EV_END:
        return x->res < 0 || the_log.v[x->of].kind == EV_SYNC;
    default:
        return false;
    }
}

/* false: this variant makes no sense here. */
static bool make_cut(struct cutter *k, enum variant v)
{
    char path[320];
    size_t one = k->count ? rnd(&k->rnd, k->count) : 0;

    if (k->count == 0 && v != CUT_NONE)
        return false;
    k->made++;
    record_stop();
    for (unsigned i = 0; i < the_log.files; i++)
        restore(k->c->dir, i);
    if (k->made % ALIKE == 9)
        must_be_alike(k->c->dir);
    for (size_t i = 0; i < k->count; i++) {
        bool in =
            v == CUT_ALL || (v == CUT_DROP_ONE && i != one) || (v == CUT_ONLY_ONE && i == one);

        if (v == CUT_SOME)
            in = rnd(&k->rnd, 2);
        if (v == CUT_TORN)
            in = rnd(&k->rnd, 4);
        if (in)
            apply(k, k->pending[i], "cut", v == CUT_TORN);
    }
    snprintf(path, sizeof(path), "%s/cut", k->c->dir);
    record_changes(path);
    return true;
}

/* --- judging --- */

static struct disk_cfg config(const struct cutter *k, bool readonly)
{
    return (struct disk_cfg){
        .path = k->image, .format = k->c->row->format, .readonly = readonly, .no_lock = true};
}

static int say(struct cutter *k, const char *what, const char *why)
{
    snprintf(k->why, sizeof(k->why), "%s: %.280s", what, why);
    return -1;
}

static void first_finding(void *arg, enum finding kind, bool fixed, const char *text)
{
    struct cutter *k = arg;

    (void)fixed;
    if (kind != FINDING_NOTE && !k->why[0])
        snprintf(k->why, sizeof(k->why), "%.300s", text);
}

/* 0 all is well, 1 findings, -1 not even looked at. */
static int check(struct cutter *k, bool repair)
{
    struct image_report rep = {.tell = first_finding, .arg = k};
    struct disk_cfg c = config(k, !repair);
    const struct format_ops *f;
    struct err e;
    int rc;

    k->why[0] = '\0';
    rc = image_check(&c, repair, &rep, &f, &e);
    if (rc == -ENOTSUP)
        return 0;
    if (rc < 0)
        return say(k, "check", e.msg);
    return rep.errors || rep.leaks;
}

/* May the disk hold what it holds? Where it is known to be zero that is believed without reading,
 * but for one cut of sixteen, which is read to the last byte. */
static int content(struct cutter *k, const char *when)
{
    static uint8_t buf[LOOK];
    struct disk_cfg c = config(k, true);
    struct disk *d;
    struct err e;
    char why[160];
    int rc = disk_open(&c, NULL, &d, &e);

    if (rc < 0)
        return say(k, "open", e.msg);
    if (d->shape.bytes != k->c->bytes)
        rc = say(k, "open", "the size is wrong");
    for (uint64_t at = 0; at < k->c->bytes && rc == 0; at += LOOK) {
        bool blank = k->made % EVERY != 0 && disk_known_zero(d, at, LOOK);

        rc = blank ? 0 : disk_read(d, at, buf, LOOK);
        if (rc < 0)
            rc = say(k, "read", strerror(-rc));
        else if (!model_check(k->m, at / SECTOR, LOOK / SECTOR, blank ? NULL : buf, why))
            rc = say(k, when, why);
    }
    disk_close(d);
    return rc;
}

/* 1: it needed repair, 0: it did not. */
static int judge(struct cutter *k)
{
    int found = check(k, false);
    int rc = content(k, "after the cut");

    if (rc < 0 && strncmp(k->why, "after", 5) == 0)
        return rc;
    if (rc == 0 && found == 0)
        return 0;
    if (check(k, true) < 0)
        return -1;
    rc = content(k, "after repair");
    if (rc == 0 && check(k, false) != 0)
        rc = -1;
    return rc < 0 ? rc : 1;
}

/* Places of 64 KiB that nobody has touched: blocks first, then grains. */
static unsigned untouched(const struct cutter *k, uint64_t *at, unsigned most)
{
    unsigned steps[] = {BLOCK, GRAIN}, n = 0;
    uint64_t sectors = k->c->bytes / SECTOR;

    for (size_t s = 0; s < 2; s++) {
        for (uint64_t b = 0; b + steps[s] <= sectors && n < most; b += steps[s]) {
            bool free = true;

            for (uint64_t i = b; i < b + steps[s] && free; i++)
                free = !model_touched(k->m, i);
            for (unsigned i = 0; i < n; i++)
                free = free && at[i] / BLOCK != b / BLOCK;
            if (free)
                at[n++] = b + (steps[s] == BLOCK ? 64 : 0);
        }
    }
    return n;
}

/* The machine starts again and goes on writing. */
static int go_on(struct cutter *k, const uint64_t *at, unsigned n)
{
    static uint8_t buf[GRAIN * SECTOR];
    struct disk_cfg c = config(k, false);
    struct disk *d;
    struct err e;
    int rc = disk_open(&c, NULL, &d, &e);

    if (rc < 0)
        return say(k, "open for writing", e.msg);
    for (unsigned i = 0; i < n && rc == 0; i++) {
        stamp(buf, at[i], GRAIN, OP_AFTER);
        rc = disk_write(d, at[i] * SECTOR, buf, sizeof(buf));
    }
    if (rc == 0)
        rc = disk_flush(d);
    disk_close(d);
    return rc < 0 ? say(k, "writing on", strerror(-rc)) : 0;
}

static int aftermath(struct cutter *k)
{
    uint64_t at[PLACES];
    unsigned n = untouched(k, at, k->c->aftermath < PLACES ? k->c->aftermath : PLACES);
    int rc = go_on(k, at, n);

    for (unsigned i = 0; i < n; i++)
        model_settle(k->m, at[i], GRAIN, OP_AFTER);
    if (rc == 0)
        rc = content(k, "after writing on");
    if (rc == 0 && check(k, false) != 0)
        rc = -1;
    for (unsigned i = 0; i < n; i++)
        model_unsettle(k->m, at[i], GRAIN);
    return rc;
}

static void try_cut(struct cutter *k, size_t at, enum variant v, struct cut_result *out)
{
    int rc;

    if (!make_cut(k, v))
        return;
    out->cuts++;
    rc = judge(k);
    out->repaired += rc == 1;
    if (rc >= 0 && k->c->aftermath)
        rc = aftermath(k);
    if (rc >= 0)
        return;
    if (out->bad++ < 5 || k->c->verbose)
        printf("%s: cut at %zu of %zu, %s: %s\n", k->c->row->name, at, the_log.n, variants[v],
               k->why);
}

static bool chosen(struct cutter *k, size_t left, size_t *wanted)
{
    bool yes = k->c->points == 0 || (left && rnd(&k->rnd, left) < *wanted);

    *wanted -= yes && k->c->points;
    return yes;
}

/* Is `at` a place to cut at: the first, or one after an event that matters? */
static bool is_place(size_t at, size_t first)
{
    return at == first || (at > first && matters(&the_log.v[at - 1]));
}

void cut_all(const struct cut_cfg *c, struct cut_result *out)
{
    struct cutter k = {.c = c, .rnd = UINT64_C(0x9e3779b97f4a7c15) * (c->seed + 1)};
    size_t first = 0, places = 0, wanted = c->points;

    k.m = model_create(c->bytes / SECTOR, c->row->parent);
    k.pending = calloc(the_log.n + 1, sizeof(*k.pending));
    k.ended = calloc(the_log.n + 1, sizeof(*k.ended));
    must(k.pending && k.ended, "memory");
    snprintf(k.image, sizeof(k.image), "%s/cut/disk.%s", c->dir, c->row->format);
    copy_folder(c->dir, "base", "durable");
    copy_folder(c->dir, "base", "cut");
    while (first < the_log.n && the_log.v[first].kind != EV_ISSUE)
        first++;
    for (size_t at = first; at <= the_log.n; at++)
        places += is_place(at, first);
    for (size_t at = 0; at <= the_log.n; at++) {
        if (is_place(at, first) && chosen(&k, places--, &wanted)) {
            for (enum variant v = 0; v < CUT_VARIANTS; v++)
                try_cut(&k, at, v, out);
        }
        if (at < the_log.n)
            step(&k, (unsigned)at);
    }
    model_destroy(k.m);
    free(k.pending);
    free(k.ended);
    record_stop();
}
