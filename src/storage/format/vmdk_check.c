/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmdk_check.c - checking VMDK images and mending them so that all that was readable stays
 * readable.
 *
 * Two grains, or a grain and a table, in one place: the later one gets a copy of what it reads. A
 * table that is lost is replaced by its twin. An entry past the end of the file has nothing to show
 * and goes. Each pointer is written when what it points to is safe. Streams: every grain is
 * unpacked, as each has a checksum; a directory that is missing is made from the markers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "storage/file.h"
#include "storage/format/vmdk.h"
#include "storage/image.h"
#include "storage/pack.h"

enum { HOST_BLOCK = 4096, SHARED_MOST = 1024 };

struct checker {
    struct vmdk_extent *x;
    bool repair;
    struct image_report *rep;
    uint64_t next;      /* bytes: where copies go */
    bool drops, copies; /* what this pass over the entries is for */
};

static uint64_t size_of(const struct checker *k)
{
    return disk_bytes(k->x->file);
}

static int put32(struct checker *k, uint64_t at, uint32_t value)
{
    uint8_t w[4];

    le32_put(w, value);
    return disk_write(k->x->file, at, w, 4);
}

/* [from, from+len) goes to k->next, durably; *to is where that is, in sectors. */
static int copy(struct checker *k, uint64_t from, uint64_t len, uint32_t *to)
{
    uint8_t *buf = malloc(len);
    int rc = buf ? disk_read(k->x->file, from, buf, len) : -ENOMEM;

    if (rc == 0 && (k->next + len) / VMDK_SECTOR > UINT32_MAX)
        rc = -ENOSPC;
    if (rc == 0)
        rc = disk_write(k->x->file, k->next, buf, len);
    free(buf);
    *to = (uint32_t)(k->next / VMDK_SECTOR);
    k->next += align_up(len, k->x->grain);
    return rc == 0 ? disk_flush(k->x->file) : rc;
}

/* --- directories --- */

static bool inside(const struct checker *k, uint32_t sector)
{
    return (uint64_t)sector * VMDK_SECTOR < size_of(k);
}

/* Entry i of both directories leads somewhere. */
static int check_pair(struct checker *k, uint32_t i, uint32_t *twin)
{
    struct vmdk_extent *x = k->x;
    bool good = inside(k, x->gd[i]), twin_good = inside(k, *twin);
    int rc = 0;

    if (!good) {
        report(k->rep, FINDING_ERROR, k->repair, "grain table %u of extent %u lies past the end%s",
               i, x->number, twin_good && *twin ? ", its twin takes its place" : "");
        x->gd[i] = twin_good ? *twin : 0;
        rc = k->repair ? put32(k, x->gd_at + (uint64_t)i * 4, x->gd[i]) : 0;
    }
    if (!twin_good && rc == 0) {
        report(k->rep, FINDING_ERROR, k->repair,
               "the redundant grain table %u of extent %u lies past the end", i, x->number);
        *twin = x->gd[i];
        rc = k->repair ? put32(k, x->rgd_at + (uint64_t)i * 4, *twin) : 0;
    }
    return rc;
}

/* Table i moves, and its twin with it when they are one. */
static int move_table(struct checker *k, uint32_t i)
{
    struct vmdk_extent *x = k->x;
    uint32_t from = x->gd[i], to;
    uint8_t w[4] = {0};
    int rc = copy(k, (uint64_t)from * VMDK_SECTOR, vmdk_gt_bytes(x), &to);

    if (rc == 0 && x->rgd_at)
        rc = disk_read(x->file, x->rgd_at + (uint64_t)i * 4, w, 4);
    if (rc == 0 && le32_at(w) == from)
        rc = put32(k, x->rgd_at + (uint64_t)i * 4, to);
    if (rc == 0)
        rc = put32(k, x->gd_at + (uint64_t)i * 4, to);
    x->gd[i] = to;
    return rc;
}

static int take_apart(struct checker *k, const struct vmdk_range *v)
{
    bool fixable = k->repair && v->kind != VMDK_FIXED;

    report(k->rep, FINDING_ERROR, fixable, "%s %u of extent %u lies where other content lies",
           v->kind == VMDK_FIXED  ? "directory"
           : v->kind == VMDK_TWIN ? "redundant grain table"
                                  : "grain table",
           v->index, k->x->number);
    if (!fixable)
        return 0;
    if (v->kind == VMDK_TWIN) /* is given up */
        return put32(k, k->x->rgd_at + (uint64_t)v->index * 4, k->x->gd[v->index]);
    return move_table(k, v->index);
}

/* Of two that overlap the later moves, unless it is the one that cannot. Twins come last, when it
 * is known where the tables are. */
static int check_overlaps(struct checker *k)
{
    struct vmdk_range *v, *last = NULL;
    size_t n;
    int rc = vmdk_ranges(k->x, &v, &n);
    bool *moves = calloc(n + 1, sizeof(*moves));

    if (rc == 0 && !moves)
        rc = -ENOMEM;
    for (size_t i = 0; i < n && rc == 0; i++) {
        bool over = last && v[i].sector < last->sector + last->sectors;

        if (over && (v[i].kind != VMDK_FIXED || last->kind == VMDK_FIXED)) {
            moves[i] = true;
            continue;
        }
        if (over)
            moves[last - v] = true;
        last = &v[i];
    }
    for (int twins = 0; twins < 2; twins++) {
        for (size_t i = 0; i < n && rc == 0; i++) {
            if (moves[i] && (v[i].kind == VMDK_TWIN) == (twins == 1))
                rc = take_apart(k, &v[i]);
        }
    }
    free(moves);
    free(v);
    return rc;
}

/* A second directory that the file has no room for is none; the header stops to name it. */
static int check_second(struct checker *k)
{
    struct vmdk_extent *x = k->x;
    uint32_t flags = le32_get(x->h.flags);

    if (!(flags & SPARSE_REDUNDANT_GT) || x->rgd_at ||
        le64_get(x->h.rgdOffset) == le64_get(x->h.gdOffset))
        return 0;
    report(k->rep, FINDING_ERROR, k->repair,
           "the redundant grain directory of extent %u lies past the end", x->number);
    x->h.flags = le32_of(flags & ~SPARSE_REDUNDANT_GT);
    x->h.rgdOffset = le64_of(0);
    return k->repair ? disk_write(x->file, 0, &x->h, sizeof(x->h)) : 0;
}

static int check_directories(struct checker *k)
{
    struct vmdk_extent *x = k->x;
    int rc = check_second(k);

    for (uint32_t i = 0; i < x->gd_count && rc == 0; i++) {
        uint8_t w[4] = {0};
        uint32_t twin;

        if (x->rgd_at)
            rc = disk_read(x->file, x->rgd_at + (uint64_t)i * 4, w, 4);
        twin = le32_at(w);
        if (rc == 0)
            rc = check_pair(k, i, &twin);
    }
    if (rc == 0 && k->repair)
        rc = disk_flush(x->file);
    if (rc == 0)
        rc = check_overlaps(k);
    return rc == 0 && k->repair ? disk_flush(x->file) : rc;
}

/* --- grains --- */

static int trouble(struct vmdk_scan *s, const struct vmdk_entry *n, enum vmdk_trouble what)
{
    struct checker *k = s->arg;
    unsigned long long grain = (uint64_t)n->gt * k->x->per_gt + n->index;
    uint32_t to = 0;
    int rc = 0;

    if (!(what == VMDK_PAST_END ? k->drops : k->copies))
        return 0;
    report(k->rep, FINDING_ERROR, k->repair, "grain %llu of extent %u lies %s", grain, k->x->number,
           what == VMDK_PAST_END ? "past the end of the file" : "where other content lies");
    if (!k->repair)
        return 0;
    if (what == VMDK_COLLIDES)
        rc = copy(k, (uint64_t)n->sector * VMDK_SECTOR, k->x->grain, &to);
    return rc == 0 ? put32(k, n->at, to) : rc;
}

/* --- space --- */

struct space {
    struct checker *k;
    uint64_t found; /* bytes */
    int rc;
};

static int free_extent(void *arg, const struct extent *x)
{
    struct space *s = arg;
    struct disk_req r = {.op = DISK_TRIM, .off = x->off, .len = x->len};

    if (x->kind != EXTENT_DATA)
        return 0;
    s->found += x->len;
    return s->k->repair ? disk_now(s->k->x->file, &r) : 0;
}

/* Host blocks with data in [from, to), of which nothing is in use. */
static int free_range(struct space *s, uint64_t from, uint64_t to)
{
    uint64_t head = le64_get(s->k->x->h.overHead); /* what lies before may be of use to others */

    from = max_u64(from, min_u64(head, UINT32_MAX) * VMDK_SECTOR);
    to = min_u64(to, size_of(s->k));
    from = align_up(from, HOST_BLOCK);
    if (to != size_of(s->k))
        to = align_down(to, HOST_BLOCK);
    return from < to ? disk_extents(s->k->x->file, from, to - from, free_extent, s) : 0;
}

static int check_space(struct checker *k, const struct vmdk_scan *scan)
{
    struct space s = {.k = k};
    uint64_t cell = 0, used_end = 0;
    int rc = 0;

    while (cell < scan->cells && rc == 0) {
        uint64_t first = cell;

        if (vmdk_cell_used(scan, cell)) {
            used_end = cell++ * scan->unit + scan->residue;
            continue;
        }
        while (cell < scan->cells && !vmdk_cell_used(scan, cell))
            cell++;
        rc = free_range(&s, first ? (first - 1) * scan->unit + scan->residue : 0,
                        (cell - 1) * scan->unit + scan->residue);
    }
    k->rep->image_end = max_u64(k->rep->image_end, min_u64(used_end, size_of(k)));
    if (rc < 0 || s.found == 0)
        return rc;
    report(k->rep, FINDING_LEAK, k->repair, "%llu bytes of extent %u are not used",
           (unsigned long long)s.found, k->x->number);
    if (k->repair && k->x->file->shape.grows && used_end < size_of(k))
        rc = file_resize(k->x->file, used_end);
    return rc;
}

static int check_clean(struct checker *k)
{
    static const uint8_t none;

    if (!k->x->h.uncleanShutdown)
        return 0;
    report(k->rep, FINDING_NOTE, k->repair, "extent %u was not shut down", k->x->number);
    return k->repair ? disk_write(k->x->file,
                                  offsetof(struct sparse_extent_header, uncleanShutdown), &none, 1)
                     : 0;
}

/* Entries past the end are gone for good before a copy lies where they point to. */
static int check_entries(struct checker *k, struct vmdk_scan *s)
{
    int rc;

    *s = (struct vmdk_scan){.x = k->x, .trouble = trouble, .arg = k};
    k->drops = true;
    k->copies = !k->repair;
    rc = vmdk_scan(s);
    if (rc < 0 || !k->repair)
        return rc;
    rc = disk_flush(k->x->file);
    vmdk_scan_free(s);
    *s = (struct vmdk_scan){.x = k->x, .trouble = trouble, .arg = k};
    k->drops = false;
    k->copies = true;
    return rc == 0 ? vmdk_scan(s) : rc;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* So many tables in one place were never an image, and would make a small file cost much. */
static int count_shared(const struct vmdk_extent *x, uint32_t *shared)
{
    uint32_t step = (uint32_t)(vmdk_gt_bytes(x) / VMDK_SECTOR);
    size_t bytes = (size_t)x->gd_count * sizeof(uint32_t);
    uint32_t *v = malloc(bytes + 1);

    *shared = 0;
    if (!v)
        return -ENOMEM;
    memcpy(v, x->gd, bytes);
    qsort(v, x->gd_count, sizeof(*v), by_value);
    for (uint32_t i = 1; i < x->gd_count; i++)
        *shared += v[i - 1] && v[i] < (uint64_t)v[i - 1] + step;
    free(v);
    return 0;
}

static int check_sparse(struct checker *k)
{
    struct vmdk_extent *x = k->x;
    struct vmdk_scan s = {0};
    uint64_t differ = 0, errors = k->rep->errors_fixed;
    uint32_t shared;
    int rc = count_shared(x, &shared);

    if (rc == 0 && shared > SHARED_MOST)
        report(k->rep, FINDING_ERROR, false, "%u grain tables of extent %u lie in the same place",
               shared, x->number);
    if (rc < 0 || shared > SHARED_MOST)
        return rc;
    k->next = align_up(size_of(k), x->grain) + x->grain; /* the last one may reach past the end */
    rc = check_directories(k);
    if (rc == 0)
        rc = check_entries(k, &s);
    if (rc == 0 && k->repair)
        rc = disk_flush(x->file);
    if (rc == 0 && x->rgd_at)
        rc = vmdk_mirror(x, k->repair, &differ);
    if (differ)
        report(k->rep, FINDING_ERROR, k->repair,
               "%llu redundant grain tables of extent %u are not like the others",
               (unsigned long long)differ, x->number);
    if (rc == 0 && errors != k->rep->errors_fixed) { /* things lie elsewhere now */
        vmdk_scan_free(&s);
        s = (struct vmdk_scan){.x = x};
        rc = vmdk_scan(&s);
    }
    k->rep->allocated += s.allocated;
    if (rc == 0)
        rc = check_space(k, &s);
    if (rc == 0)
        rc = check_clean(k);
    vmdk_scan_free(&s);
    return rc == 0 && k->repair ? disk_flush(x->file) : rc;
}

/* --- streams --- */

struct unpacking {
    struct checker *k;
    uint8_t *in, *out;
};

static const char *packed_fault(struct unpacking *u, uint64_t grain, uint32_t sector)
{
    const struct vmdk_extent *x = u->k->x;
    uint64_t at = (uint64_t)sector * VMDK_SECTOR, size = size_of(u->k), n;
    bool markers = le32_get(x->h.flags) & SPARSE_MARKERS;
    struct grain_marker m;

    if (!range_in(at, sizeof(m), size))
        return "lies past the end of the file";
    if (disk_read(x->file, at, &m, sizeof(m)) < 0)
        return "cannot be read";
    at += markers ? sizeof(m) : 0;
    n = markers ? le32_get(m.size) : min_u64(x->grain * 2, size - at);
    if (markers && le64_get(m.lba) != grain * (x->grain / VMDK_SECTOR))
        return "is marked as another one";
    if (n > x->grain * 2 || !range_in(at, n, size))
        return "is cut off";
    if (disk_read(x->file, at, u->in, n) < 0 || unpack_zlib(u->in, n, u->out, x->grain) < 0)
        return "cannot be unpacked";
    return NULL;
}

static void check_packed_grain(struct unpacking *u, uint64_t grain, uint32_t sector)
{
    const char *fault;

    if (sector == 0 || (sector == 1 && u->k->x->zeroed))
        return;
    fault = packed_fault(u, grain, sector);
    u->k->rep->packed++;
    if (fault)
        report(u->k->rep, FINDING_ERROR, false, "grain %llu of extent %u %s",
               (unsigned long long)grain, u->k->x->number, fault);
}

static int check_packed(struct unpacking *u)
{
    const struct vmdk_extent *x = u->k->x;
    uint8_t table[VMDK_GT_ENTRIES * 4];
    int rc = 0;

    for (size_t i = 0; i < x->place_count; i++)
        check_packed_grain(u, x->places[i].grain, x->places[i].sector);
    for (uint32_t i = 0; i < x->gd_count && rc == 0; i++) {
        if (x->gd[i] == 0)
            continue;
        if (!inside(u->k, x->gd[i])) {
            report(u->k->rep, FINDING_ERROR, false, "grain table %u lies past the end", i);
            continue;
        }
        rc = disk_read(x->file, (uint64_t)x->gd[i] * VMDK_SECTOR, table, (size_t)x->per_gt * 4);
        for (uint32_t n = 0; n < x->per_gt && rc == 0; n++)
            check_packed_grain(u, (uint64_t)i * x->per_gt + n, le32_at(table + (size_t)n * 4));
    }
    return rc;
}

static int check_stream(struct checker *k)
{
    struct vmdk_extent *x = k->x;
    struct unpacking u = {k, malloc(x->grain * 2), malloc(x->grain)};
    int rc = u.in && u.out ? check_packed(&u) : -ENOMEM;

    free(u.in);
    free(u.out);
    k->rep->image_end = size_of(k);
    if (rc < 0 || !x->places)
        return rc;
    k->repair = k->repair && x->end &&
                x->per_gt == VMDK_GT_ENTRIES; /* else it has not even a place for grains */
    report(k->rep, FINDING_ERROR, k->repair, "the stream has no directory at its end%s",
           x->odd ? ", as it was cut off" : "");
    return k->repair ? vmdk_stream_mend(x) : 0;
}

/* --- the whole --- */

static int check_flat(struct checker *k)
{
    const struct vmdk_extent *x = k->x;

    k->rep->image_end = max_u64(k->rep->image_end, size_of(k));
    if (range_in(x->base, x->len, size_of(k)))
        return 0;
    report(k->rep, FINDING_ERROR, k->repair && x->file->shape.grows,
           "extent %u is %llu bytes too short%s", x->number,
           (unsigned long long)(x->base + x->len - size_of(k)),
           k->repair ? ", which read as zeroes now" : "");
    return k->repair && x->file->shape.grows ? file_resize(x->file, x->base + x->len) : 0;
}

static int check_extent(struct checker *k)
{
    k->rep->clusters += k->x->grain ? (k->x->len + k->x->grain - 1) / k->x->grain : 0;
    if (!k->x->file)
        return 0;
    switch (k->x->type) {
    case VMDK_FLAT:
        return check_flat(k);
    case VMDK_SPARSE:
        return k->x->packed ? check_stream(k) : check_sparse(k);
    default:
        report(k->rep, FINDING_NOTE, false, "of extent %u only the header was checked",
               k->x->number);
        return 0;
    }
}

int vmdk_check(struct disk *file, const struct disk_cfg *c, bool repair, struct image_report *rep,
               struct err *e)
{
    struct vmdk v = {.m.file = file};
    struct err why;
    int rc = 0;

    if (vmdk_load(&v, c, NULL, true, &why) < 0) {
        report(rep, FINDING_ERROR, false, "%s", why.msg);
        vmdk_unload(&v);
        return 0;
    }
    for (size_t i = 0; i < v.extent_count && rc == 0; i++) {
        struct checker k = {.x = &v.extents[i], .rep = rep};

        k.repair = repair && k.x->file && !k.x->file->shape.readonly;
        rc = check_extent(&k);
    }
    vmdk_unload(&v);
    return rc < 0 ? err_set(e, -rc, "cannot check '%s': %s", c->path, strerror(-rc)) : 0;
}
