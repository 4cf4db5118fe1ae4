/* SPDX-License-Identifier: Apache-2.0 */
/*
 * powercut.c - power cuts at every place of a workload, for each writable image format.
 *
 *   powercut [--points N] [--seeds N] [--first N] [--ops N] [--aftermath N] [--lie] [-v] [ROW...]
 *
 * --points 0 (the default) cuts at every place of the log that differs from the one before in what
 * is on disk or was promised, each in six variants. --lie makes syncs do nothing: it then fails
 * unless losses are found. The last line is `powercut: N cuts, N bad`.
 */
#define _GNU_SOURCE
#include "powercut.h"

#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cfg.h"
#include "core/err.h"
#include "core/file.h"
#include "storage/image.h"

enum { THREADS = 8, SPOTS = 24, LONGEST = 256, DISK_BYTES = 16 << 20 };

static const struct row rows[] = {
    {"raw", "raw", "", NULL},
    {"qcow2", "qcow2", "", NULL},
    {"qcow2-lazy", "qcow2", "lazy_refcounts=on", NULL},
    {"qcow2-extended", "qcow2", "extended_l2=on,cluster_size=128k", NULL},
    {"qcow2-child", "qcow2", "", "raw"},
    {"vhd", "vhd", "subformat=dynamic", NULL},
    {"vhd-fixed", "vhd", "subformat=fixed", NULL},
    {"vhd-child", "vhd", "", "vhd"},
    {"vhdx", "vhdx", "block_size=1M", NULL},
    {"vhdx-fixed", "vhdx", "subformat=fixed,block_size=1M", NULL},
    {"vhdx-child", "vhdx", "block_size=1M", "vhdx"},
    {"vhdx-mixed", "vhdx", "block_size=2M", "qcow2"},
    {"vdi", "vdi", "", NULL},
    {"vdi-static", "vdi", "static=on", NULL},
    {"vdi-child", "vdi", "", "vdi"},
    {"vmdk", "vmdk", "", NULL},
    {"vmdk-zeroed", "vmdk", "zeroed_grain=on", NULL},
    {"vmdk-2gb", "vmdk", "subformat=twoGbMaxExtentSparse", NULL},
    {"vmdk-flat", "vmdk", "subformat=monolithicFlat", NULL},
    {"vmdk-child", "vmdk", "", "vmdk"},
    {"vmdk-child-zeroed", "vmdk", "zeroed_grain=on", "vmdk"},
};

struct op ops[OPS_MAX];

/* --- the client: threads that read and write one disk --- */

struct load {
    struct disk *d;
    pthread_mutex_t lock;
    pthread_cond_t freed;
    uint64_t rnd, sectors, spots[SPOTS];
    unsigned next, end;
    bool busy[OPS_MAX];
    bool trims;
    int failed;
};

static uint64_t rnd(struct load *w, uint64_t below)
{
    w->rnd ^= w->rnd << 13;
    w->rnd ^= w->rnd >> 7;
    w->rnd ^= w->rnd << 17;
    return w->rnd % below;
}

static void choose(struct load *w, struct op *o)
{
    static const uint16_t jumps[] = {0, 0, 1, 7, 8, 64, 128, 2048};
    static const uint16_t lengths[] = {1, 1, 2, 3, 8, 8, 16, 128, 129, 256};
    unsigned kind = (unsigned)rnd(w, 100);

    *o = (struct op){.kind = OP_FLUSH};
    if (rnd(w, 100) < 12)
        return;
    o->kind = kind < 5 ? OP_TRIM : kind < 10 ? OP_ZERO : OP_WRITE;
    o->lba = (w->spots[rnd(w, SPOTS)] + jumps[rnd(w, 8)]) % w->sectors;
    o->n = lengths[rnd(w, 10)];
    if (o->n > w->sectors - o->lba)
        o->n = w->sectors - o->lba;
    o->fua = o->kind != OP_TRIM && rnd(w, 100) < 5;
}

static bool overlaps(const struct load *w, const struct op *o)
{
    for (unsigned i = 1; i < w->next; i++) {
        if (w->busy[i] && ops[i].lba < o->lba + o->n && o->lba < ops[i].lba + ops[i].n)
            return true;
    }
    return false;
}

/* The next operation, which overlaps none that is under way; 0: no more. */
static unsigned take(struct load *w)
{
    unsigned at = 0;

    pthread_mutex_lock(&w->lock);
    if (w->next < w->end && !w->failed) {
        struct op o;

        choose(w, &o);
        while (overlaps(w, &o))
            pthread_cond_wait(&w->freed, &w->lock);
        at = w->next < w->end ? w->next++ : 0;
        if (at) {
            ops[at] = o;
            w->busy[at] = o.kind != OP_FLUSH;
            log_client(o.kind == OP_FLUSH ? EV_FLUSH : EV_ISSUE, at);
        }
    }
    pthread_mutex_unlock(&w->lock);
    return at;
}

static int perform(struct load *w, unsigned at, uint8_t *buf)
{
    const struct op *o = &ops[at];
    struct iovec iov = {buf, o->n * SECTOR};
    struct disk_req r = {.off = o->lba * SECTOR, .len = o->n * SECTOR, .fua = o->fua};
    int rc = -EAGAIN;

    switch (o->kind) {
    case OP_WRITE:
        stamp(buf, o->lba, o->n, at);
        r.op = DISK_WRITE;
        r.iov = &iov;
        r.iovcnt = 1;
        break;
    case OP_ZERO:
        r.op = DISK_ZERO;
        r.unmap = at % 2;
        break;
    case OP_TRIM:
        r.op = DISK_TRIM;
        break;
    case OP_FLUSH:
        r = (struct disk_req){.op = DISK_FLUSH};
        break;
    }
    if (at % 2 && r.op == DISK_WRITE) /* as the loop and the NBD server do */
        rc = disk_try(w->d, &r);
    return rc == -EAGAIN ? disk_now(w->d, &r) : rc;
}

static void *client(void *arg)
{
    uint8_t *buf = malloc((size_t)LONGEST * SECTOR);
    struct load *w = arg;
    unsigned at;

    while (buf && (at = take(w))) {
        int rc = perform(w, at, buf);

        pthread_mutex_lock(&w->lock);
        if (rc < 0)
            w->failed = rc;
        log_client(ops[at].kind == OP_FLUSH ? EV_FLUSHED : ops[at].fua ? EV_FUA : EV_DONE, at);
        w->busy[at] = false;
        pthread_cond_broadcast(&w->freed);
        pthread_mutex_unlock(&w->lock);
    }
    free(buf);
    return NULL;
}

static int run_load(struct disk *d, unsigned count, unsigned seed)
{
    struct load w = {.d = d, .next = 1, .end = count + 1};
    pthread_t t[THREADS];

    w.rnd = UINT64_C(0x2545f4914f6cdd1d) * (seed + 1);
    w.sectors = d->shape.bytes / SECTOR;
    for (size_t i = 0; i < SPOTS; i++)
        w.spots[i] = rnd(&w, w.sectors);
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.freed, NULL);
    for (size_t i = 0; i < THREADS; i++)
        if (pthread_create(&t[i], NULL, client, &w) != 0)
            abort();
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    pthread_mutex_destroy(&w.lock);
    pthread_cond_destroy(&w.freed);
    return w.failed;
}

/* --- one row --- */

struct args {
    struct cut_cfg cut;
    unsigned seeds, count;
    bool lie;
};

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static int make_parent(const char *path, const char *format, struct err *e)
{
    struct disk_cfg c = {.path = path, .format = format};
    struct image_make k = {.path = path, .bytes = DISK_BYTES};
    uint8_t buf[SECTOR];
    struct disk *d;
    int rc = cfg_create(&k.opts, e);

    if (rc == 0)
        rc = image_create(format_by_name(format), &k, true, e);
    if (rc == 0)
        rc = disk_open(&c, NULL, &d, e);
    for (uint64_t i = 0; rc == 0 && i < DISK_BYTES / SECTOR; i++) {
        stamp(buf, i, 1, OP_PARENT);
        if (parent_has(i))
            rc = disk_write(d, i * SECTOR, buf, SECTOR);
    }
    if (rc == 0)
        disk_close(d);
    cfg_destroy(k.opts);
    return rc;
}

static int make_image(const struct row *row, const char *dir, struct err *e)
{
    char path[320], name[32], parent[320];
    struct disk_cfg pc = {.path = parent, .format = row->parent, .readonly = true};
    struct image_make k = {.path = path, .bytes = DISK_BYTES};
    int rc = cfg_create(&k.opts, e);

    snprintf(path, sizeof(path), "%s/base/disk.%s", dir, row->format);
    snprintf(name, sizeof(name), "parent.%s", row->parent ? row->parent : "");
    snprintf(parent, sizeof(parent), "%s/base/%s", dir, name);
    if (rc == 0 && row->options[0])
        rc = cfg_parse(k.opts, row->options, NULL, e);
    if (rc == 0 && row->parent) {
        rc = make_parent(parent, row->parent, e);
        k.backing = name;
        k.backing_format = row->parent;
        if (rc == 0)
            rc = disk_open(&pc, NULL, &k.parent, e);
    }
    if (rc == 0)
        rc = image_create(format_by_name(row->format), &k, true, e);
    disk_close(k.parent);
    cfg_destroy(k.opts);
    return rc;
}

/* Fills the log. */
static int record(const struct args *a, const char *dir, struct err *e)
{
    char live[320], path[340], cmd[700];
    struct disk_cfg c = {.path = path, .format = a->cut.row->format, .threads = true};
    struct disk *d;
    int rc;

    snprintf(live, sizeof(live), "%s/live", dir);
    snprintf(path, sizeof(path), "%s/disk.%s", live, a->cut.row->format);
    snprintf(cmd, sizeof(cmd), "cp -a --sparse=always %s/base %s", dir, live);
    if (system(cmd) != 0)
        return err_set(e, EIO, "cannot copy the image");
    log_clear();
    record_start(live, a->lie);
    rc = disk_open(&c, NULL, &d, e);
    if (rc == 0) {
        rc = run_load(d, a->count, a->cut.seed);
        record_stop(); /* closing is not part of what a power cut sees */
        disk_close(d);
        if (rc < 0)
            rc = err_set(e, -rc, "the workload failed: %s", strerror(-rc));
    }
    record_stop();
    return rc;
}

static bool one(struct args *a, struct cut_result *sum)
{
    struct cut_result r = {0};
    char dir[64], path[128];
    struct err e;
    int rc;

    if (file_mktemp(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", "powercut", dir,
                    sizeof(dir)) < 0)
        return false;
    snprintf(path, sizeof(path), "%s/base", dir);
    (void)mkdir(path, 0700);
    a->cut.dir = dir;
    a->cut.bytes = DISK_BYTES;
    rc = make_image(a->cut.row, dir, &e);
    if (rc == 0)
        rc = record(a, dir, &e);
    if (rc == 0)
        cut_all(&a->cut, &r);
    if (rc < 0)
        printf("%s: %s\n", a->cut.row->name, e.msg);
    else
        printf("%s seed %u: %zu events, %u cuts, %u after repair, %u bad\n", a->cut.row->name,
               a->cut.seed, the_log.n, r.cuts, r.repaired, r.bad);
    (void)fflush(stdout);
    (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    log_clear();
    sum->cuts += r.cuts;
    sum->bad += r.bad;
    a->cut.dir = NULL;
    return rc == 0;
}

static bool named(int argc, char **argv, const char *name)
{
    if (optind == argc)
        return true;
    for (int i = optind; i < argc; i++) {
        if (!strcmp(argv[i], name))
            return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"points", 1, NULL, 'p'},    {"seeds", 1, NULL, 's'}, {"first", 1, NULL, 'f'},
        {"ops", 1, NULL, 'o'},       {"lie", 0, NULL, 'l'},   {"verbose", 0, NULL, 'v'},
        {"aftermath", 1, NULL, 'a'}, {NULL, 0, NULL, 0},
    };
    struct args a = {.seeds = 1, .count = 250, .cut = {.aftermath = 8}};
    struct cut_result sum = {0};
    unsigned first = 1, ran = 0;
    int got;
    bool ok = true;

    while ((got = getopt_long(argc, argv, "v", options, NULL)) != -1) {
        unsigned n = optarg ? (unsigned)strtoul(optarg, NULL, 0) : 0;

        switch (got) {
        case 'p':
            a.cut.points = n;
            break;
        case 's':
            a.seeds = n;
            break;
        case 'f':
            first = n;
            break;
        case 'o':
            a.count = n < OPS_MAX ? n : OPS_MAX - 1;
            break;
        case 'a':
            a.cut.aftermath = n;
            break;
        case 'l':
            a.lie = true;
            break;
        case 'v':
            a.cut.verbose = true;
            break;
        default:
            return 64;
        }
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!named(argc, argv, rows[i].name))
            continue;
        a.cut.row = &rows[i];
        for (a.cut.seed = first; a.cut.seed < first + a.seeds; a.cut.seed++, ran++)
            ok = one(&a, &sum) && ok;
    }
    printf("powercut: %u cuts, %u bad\n", sum.cuts, sum.bad);
    if (a.lie) /* losses must have been found */
        return sum.bad ? 0 : 1;
    return ran && ok && sum.bad == 0 ? 0 : 1;
}
